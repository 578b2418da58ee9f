"""Verification of the lookup tables of a pack (SPEC.md, "Verification").

Everything in a table is read and held against its map; what the map answers is not asked of symbolic again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import pairwise

from srcpack.errors import FormatError, LimitExceeded, SrcpackError
from srcpack.records import EntryRecord

from .head_tail import FRAME_HEADER, LOOKUPS
from .lookup_section import TableLookup, map_in_reference
from .lookups import DATA_URL, EMBEDDED, ENTRY, LINES_APART, meaning_of
from .packfile import PackFile

__all__ = ["find_lookup_problems"]

_QUOTE = b'"'


def find_lookup_problems(pack: PackFile, tables: Sequence[int]) -> Iterator[SrcpackError]:
    """Check the section of lookup tables; yield for each table the first thing that is wrong with it.

    `tables` are the numbers of the entries that have one.
    """
    shared: dict[int, EntryRecord] = {}
    for record in map(pack.record, tables):
        if record.lookup is None:
            continue
        if record.reason is not None or record.lookup_reason is not None:
            yield FormatError(pack.file, "a lookup table where there can be none", member=record.name)
        first = shared.setdefault(record.lookup.offset, record)
        if (first.lookup, first.sha256) != (record.lookup, record.sha256):
            found = f"that of {first.name!r}"
            yield FormatError(pack.file, "a lookup table of another file", member=record.name, found=found)
    if (gap := _gap(pack, shared)) is not None:
        yield gap
        return
    for record in shared.values():
        try:
            _check_table(pack, record)
        except (FormatError, LimitExceeded) as error:
            yield error


def _gap(pack: PackFile, tables: dict[int, EntryRecord]) -> FormatError | None:
    """Return the error that tables do not fill their section with no gap."""
    section = pack.tail.sections.get(LOOKUPS)
    at = 0
    for offset in sorted(tables):
        place = tables[offset].lookup
        if place is None or offset != at:
            what, name = "place of a lookup table", tables[offset].name
            return FormatError(pack.file, what, member=name, found=offset, expected=at)
        at += place.length
    room = 0 if section is None else section.length - FRAME_HEADER.size
    if at != room:
        return FormatError(pack.file, "end of the lookup tables", found=at, expected=room)
    return None


def _check_table(pack: PackFile, record: EntryRecord) -> None:
    lookup = pack.lookup(record)
    if lookup is None:
        return
    table = lookup.table
    deque(table.rows(), 0)
    deque(table.strings(), 0)
    content = _map_content(pack, record, lookup)
    embedded = set()
    for text in table.texts():
        if text.kind == EMBEDDED:
            embedded.add((text.start, text.length, tuple(text.steps.values())))
        elif text.kind == ENTRY and not _is_text(pack, text.entry):
            found = f"entry {text.entry}, which is no text"
            raise FormatError(pack.file, "text of a source", member=record.name, found=found)
    # Of texts that overlap, each would be decoded, however long they are and however many.
    for (start, length, _), (next_start, _, _) in pairwise(sorted(embedded)):
        if next_start < start + length + 2 * len(_QUOTE):
            what, found = "texts in the source map", f"one at {next_start}"
            expected = f"none before {start + length + 2}"
            raise FormatError(pack.file, what, member=record.name, found=found, expected=expected)
    for place in embedded:
        _check_text(pack, record, content, place)


def _is_text(pack: PackFile, number: int) -> bool:
    if number >= len(pack):
        return False
    record = pack.record(number)
    return record.reason is None and record.utf8


def _map_content(pack: PackFile, record: EntryRecord, lookup: TableLookup) -> bytes:
    """Return the source map of a table, which is the one that it was made of."""
    head = lookup.table.head
    if head.map == DATA_URL:
        content = map_in_reference(record)
    elif head.map < len(pack):
        content = pack.read(pack.record(head.map))
    else:
        expected = f"below {len(pack)}"
        raise FormatError(pack.file, "source map", member=record.name, found=head.map, expected=expected)
    digest, expected = sha256(content).hexdigest(), head.map_sha256.hex()
    if digest != expected:
        what = "SHA-256 of the source map"
        raise FormatError(pack.file, what, member=record.name, found=digest, expected=expected)
    return content


def _check_text(
    pack: PackFile, record: EntryRecord, content: bytes, text: tuple[int, int, tuple[int, ...]]
) -> None:
    """Check that a text is a JSON string in the map, and that its lines begin where the table says."""
    start, length, steps = text
    end = start + length
    found: object = f"{length} bytes at {start}"
    is_right = start > 0 and content[start - 1 : start] == content[end : end + 1] == _QUOTE
    at = start
    try:
        for step in steps:
            newlines, ends = _newlines(content[at : at + step])
            is_right = is_right and ends and newlines == LINES_APART
            at += step
        newlines, _ = _newlines(content[at:end])
        if is_right and at <= end and newlines < LINES_APART:
            return
    except ValueError as error:
        found = error
    what, expected = "text in the source map", f"a JSON string, {LINES_APART} lines to each number"
    raise FormatError(pack.file, what, member=record.name, found=found, expected=expected)


def _newlines(letters: bytes) -> tuple[int, bool]:
    """Return how many line feeds the letters of a JSON string mean, and whether one of them is the last."""
    text = meaning_of(letters)
    return text.count("\n"), text.endswith("\n")
