"""A fuzz target: any bytes as a pack. All that a pack can be asked is answered rightly, or is refused.

What is right, if an author may write anything? That all ways to a content give the same bytes, of the size
and with the checksums that the entry states; that all fields have the types that they must have; and that a
pack which `verify` finds whole keeps all that SPEC.md says.

`python fuzz/run.py pack` fuzzes it; `check` and `mutate` need no fuzzer.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import zstandard

import srcpack
from srcpack import DamagedMember, Entry, NotFound, Pack, SrcpackError
from srcpack.format.lookup_section import TableLookup
from srcpack.format.zstd_frames import raw_checksum
from srcpack.opening import open_pack, packfile_of
from srcpack.rules.context import get_context
from srcpack.rules.lookup_keys import Kind, debug_id_key, keys_of
from support.damaged_packs import forget_dictionaries
from support.pack_lies import lie, scribble
from support.tables import original

__all__ = ["MAX_LENGTH", "check", "mutate", "seeds"]

MAX_LENGTH = 64 << 10
"""Most bytes of an input."""

_MAX_READ = 4 << 20
_MOST_ENTRIES = 200
_MOST_LINES = 12
_MOST_ROWS = 2000
_MOST_PLACES = 20
_DEBUG_ID = "00000001-2222-4333-8444-555566667777"

_T = TypeVar("_T")


def seeds() -> dict[str, bytes]:
    """Return the packs to begin with, by name."""
    folder = Path(__file__).parent.parent / "fixtures" / "packs"
    small = {path.stem: path.read_bytes() for path in folder.glob("*.srcpack")}
    return {name: data for name, data in small.items() if len(data) < 8 << 10}


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Return a pack with lies in it, whose checksums are right, or with bytes changed."""
    random = Random(seed)
    made = lie(data, random)
    return made if len(made) <= max_size else scribble(data, random)[:max_size]


def check(data: bytes) -> bool:
    """Ask bytes all that a pack can be asked; raise what a reader must not; return whether it is whole.

    Raises:
        AssertionError: An answer is wrong.
        Exception: Any other than a `SrcpackError` that the reader let through.
    """
    forget_dictionaries()
    pack = _ask(lambda: open_pack(data, max_read=_MAX_READ))
    if pack is None:
        return False
    refused = _ask_the_pack(pack)
    entries: list[Entry] = []
    for entry in islice(_until_refused(pack), _MOST_ENTRIES):
        entries.append(entry)
        _ask_an_entry(entry)
        _look_up(pack, entry)
    problems = srcpack.verify(pack)
    for problem in problems:
        _check_error(problem)
    if problems:
        return False
    assert not refused, refused
    assert len(entries) == min(len(pack), _MOST_ENTRIES)
    _check_whole(pack, entries)
    return True


def _ask(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except SrcpackError as error:
        _check_error(error)
        return None


def _check_error(error: SrcpackError) -> None:
    message = str(error)
    assert error.file == "<bytes>"
    assert message.startswith("<bytes>: ")
    assert len(message) < 200_000


def _until_refused(pack: Pack) -> Any:
    entries = iter(pack.entries())
    while (entry := _ask(lambda: next(entries, None))) is not None:
        yield entry


def _ask_the_pack(pack: Pack) -> list[str]:
    """Ask what needs no entry; return what was refused, and must not be in a whole pack."""
    questions: dict[str, Callable[[], object]] = {
        "len": lambda: len(pack),
        "bundle": lambda: pack.bundle,
        "attributes": lambda: _check_types(pack.attributes),
        "source_links": lambda: _check_types(pack.source_links),
        "manifest": pack.bundle_manifest,
        "names": lambda: list(islice(pack, _MOST_ENTRIES)),
        "prefix": lambda: list(islice(pack.find_prefix("l"), _MOST_ENTRIES)),
    }
    kinds: dict[Kind, Callable[[], object]] = {
        Kind.NAME: lambda: pack.get("no such"),
        Kind.PATH: lambda: pack.by_path("/no/such"),
        Kind.URL: lambda: pack.by_url("~/no/such"),
        Kind.DEBUG_ID: lambda: pack.by_debug_id(_DEBUG_ID, "source"),
    }
    for kind, question in kinds.items():
        if packfile_of(pack).tail.key_kinds >> kind & 1:
            questions[kind.name] = question
        else:
            assert _ask(question) is None
    refused = []
    for name, question in questions.items():
        try:
            question()
        except SrcpackError as error:
            _check_error(error)
            refused.append(f"{name}: {error}")
    _ask(packfile_of(pack).dictionary)
    _ask(lambda: pack.read_many(islice(pack, 5), threads=1))
    return refused


def _ask_an_entry(entry: Entry) -> None:
    repr(entry)
    hash(entry)
    _ = (entry.type, entry.path, entry.url, dict(entry.headers), entry.stored_size, entry.raw, entry.damage)
    _ = entry.source_mapping_url
    _ask(lambda: entry.debug_id)
    record = entry.record
    _check_types(record.headers or {})
    assert type(record.name) is str
    assert all(value is None or type(value) is str for value in (record.path, record.url, record.extra))
    _ask_a_table(entry)
    content = _ask(entry.read)
    text = _ask(entry.text)
    view = _ask(lambda: bytes(entry.view()))
    opened = _ask(lambda: entry.open().read() if entry.size <= _MAX_READ else None)
    middle = entry.size // 2
    pieces = [_ask(lambda: entry.read_range(0, middle)), _ask(lambda: entry.read_range(middle, _MAX_READ))]
    lines = sorted({0, 1, 2, entry.lines // 2, entry.lines, entry.lines + 1})[:_MOST_LINES]
    contexts = [(line, _ask(lambda line=line: entry.context(line, lines=2))) for line in lines]  # type: ignore[misc]
    if content is None:
        return
    assert len(content) == entry.size <= _MAX_READ
    for number, frame in enumerate(record.frames):
        start = number * packfile_of(entry.pack).frame_size
        assert raw_checksum(content[start : start + packfile_of(entry.pack).frame_size]) == frame.checksum
    assert text is None or text.encode() == content
    assert view is None or view == content  # not of a raw content without a frame of its own
    assert opened == content
    assert b"".join(filter(None, pieces)) == content
    if text is not None and entry.lines == content.count(b"\n") + (content[-1:] not in (b"", b"\n")):
        for line, context in contexts:
            expected = get_context(text, max(line, 1), 0, 2)
            assert context == expected or (context is None and not _newlines_are_right(entry, content))


def _ask_a_table(entry: Entry) -> None:
    """Ask a table, if there is one, for places of its rows and others: what is found has its types."""
    lookup = _ask(entry.lookup_table)
    if not isinstance(lookup, TableLookup):
        return
    rows = _ask(lambda: list(islice(lookup.table.rows(), _MOST_ROWS))) or []
    places = [(row.line + 1, row.column + 1) for row in rows[:: max(1, len(rows) // _MOST_PLACES)]]
    for place in [*places, (1, 1), (1, 2**31), (0, 0), (2**31, 5)]:
        position = _ask(lambda place=place: entry.original(*place))  # type: ignore[misc]
        if position is not None:
            _check_types({position.source: position.name, "": position.function})
            assert min(position.line, position.column) >= 1
            _ask(position.context)


def _check_types(texts: Mapping[str, str]) -> None:
    assert all(type(name) is type(text) is str for name, text in texts.items())


def _newlines_are_right(entry: Entry, content: bytes) -> bool:
    frame_size = packfile_of(entry.pack).frame_size
    return all(
        frame.newlines_before == content.count(b"\n", 0, number * frame_size)
        for number, frame in enumerate(entry.record.frames)
    )


def _look_up(pack: Pack, entry: Entry) -> None:
    """Look an entry up by all its keys: what is found has the key."""
    found: list[tuple[str, Entry | None, bool]] = []
    with_name = _ask(lambda: pack.get(entry.name))
    found.append(("name", with_name, with_name is None or with_name.name == entry.name))
    if entry.url is not None:
        by_url = _ask(lambda: pack.by_url(entry.url or ""))
        found.append(("url", by_url, by_url is None or by_url.url == entry.url))
    if entry.path is not None:
        by_path = _ask(lambda: pack.by_path(entry.path or ""))
        if isinstance(by_path, Entry):
            same = (by_path.path or "").replace("\\", "/") == entry.path.replace("\\", "/")
            found.append(("path", by_path, same))
    for what, _, is_right in found:
        assert is_right, what


def _check_table(entry: Entry) -> None:
    """Check that a table which `verify` finds right answers at each of its rows with that row."""
    lookup = entry.lookup_table()
    if not isinstance(lookup, TableLookup):
        return
    table = lookup.table
    strings = ["", *table.strings()]
    for row in list(islice(table.rows(), _MOST_ROWS))[::7]:
        position = original(table, row.line + 1, row.column + 1)
        if row.source == 0:
            assert position is None
        else:
            assert position is not None
            assert (position.line, position.column) == (row.source_line + 1, row.source_column + 1)
            found = (position.source, position.name, position.function)
            assert found == (strings[row.source], strings[row.name], strings[row.function])


def _check_whole(pack: Pack, entries: list[Entry]) -> None:
    """Check what SPEC.md says of a pack that `verify` finds nothing wrong with."""
    names = [entry.name for entry in entries]
    assert names == sorted(set(names))
    tail = packfile_of(pack).tail
    for number in range(tail.block_count):
        block = zstandard.ZstdDecompressor().decompress(
            pack.store.source.read(*packfile_of(pack).directory.block_place(number))
        )
        first = tail.block_entries * number
        prefix = struct.pack("<8sII", tail.seed, first, min(tail.block_entries, len(pack) - first))
        assert block.startswith(prefix)
    winners: dict[tuple[Kind, str], str] = {}
    for entry in entries:
        for kind_and_key in keys_of(entry.record):
            winners[kind_and_key] = entry.name
        if entry.damage is not None:
            continue
        _check_table(entry)
        if entry.size > _MAX_READ:
            continue
        content = entry.read()
        assert hashlib.sha256(content).digest() == entry.sha256
        assert entry.lines == content.count(b"\n") + (content[-1:] not in (b"", b"\n"))
        assert bytes(entry.view()) == content
        try:
            assert entry.text().encode() == content
        except DamagedMember:
            assert not entry.record.utf8
    if len(pack) > len(entries):
        return
    for (kind, key), name in winners.items():
        if not packfile_of(pack).tail.key_kinds >> kind & 1:
            continue
        match kind:
            case Kind.NAME:
                assert pack[key].name == name
            case Kind.PATH:
                by_path = pack.by_path(key)
                assert isinstance(by_path, Entry)
                assert by_path.name == name
            case Kind.URL:
                assert (by_url := pack.by_url(key)) is not None
                assert by_url.name == name
            case Kind.DEBUG_ID:
                debug_id, file_type = key.split()
                assert key == debug_id_key(srcpack.DebugId.parse(debug_id), srcpack.FileType(file_type))
                assert (by_debug_id := pack.by_debug_id(debug_id, file_type)) is not None
                assert by_debug_id.name == name
    if packfile_of(pack).tail.key_kinds & 1 and "no such" not in names:
        try:
            pack["no such"]
        except NotFound:
            return
        raise AssertionError("found what is not there")
