"""A lookup table: its head, its blocks of strings and of texts (SPEC.md, "Lookup tables").

Pure functions between bytes and values; `lookup_rows.py` has the blocks of rows, `lookup_table.py` reads
them all. The head is believed because the entry has its checksum, each block because the head has it.
"""

import json
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate
from struct import Struct
from typing import NamedTuple

from srcpack.errors import FormatError
from srcpack.format.lookup_numbers import MAX_WIDTH, Numbers, pack_numbers, width_of
from srcpack.format.lookup_rows import MAX_ROWS
from srcpack.format.zstd_frames import decode_block
from srcpack.records import LookupRecord

__all__ = [
    "ABSENT",
    "DATA_URL",
    "EMBEDDED",
    "ENTRY",
    "LINES_APART",
    "MAX_LOOKUP_BLOCK",
    "MAX_LOOKUP_HEAD",
    "STRING_END",
    "LookupHead",
    "SourceText",
    "decode_lookup_frame",
    "decoded_string",
    "meaning_of",
    "pack_embedded_text",
    "pack_entry_text",
    "pack_head",
    "pack_strings",
    "pack_texts",
    "parse_head",
    "string_of",
    "text_of",
]

MAX_LOOKUP_HEAD = 16 << 20
"""Most bytes that the head of a table may unpack to."""

MAX_LOOKUP_BLOCK = 1 << 20
"""Most bytes that a block of a table may unpack to."""

DATA_URL = 0xFFFFFFFF
"""What stands for the number of the map's entry where the file's own reference is a `data:` URL."""

LINES_APART = 64
"""Lines between those of which a text's record has the position."""

ABSENT, ENTRY, EMBEDDED = range(3)
"""Where the text of a source is: not in the map; in the map, and in an entry as well; in the map alone."""

STRING_END = b"\xff"
"""What ends a string; UTF-8 has no such byte."""

_HEAD = Struct("<32s8I")
_ENTRY_TEXT = Struct("<BI")
_EMBEDDED_TEXT = Struct("<BIIB")
_TWO = Struct("<II")
_INSIDE = 1
_new = tuple.__new__


class LookupHead(NamedTuple):
    """The head of a table.

    Attributes:
        map_sha256: SHA-256 of the source map.
        map: Number of the entry that is the source map; `DATA_URL` if that is in the file's reference.
        rows: How many there are.
        sources: How many sources the map has; the first strings are their names.
        strings: How many there are.
        row_places: Of each block of rows the place of its first row: line << 32 | column.
        first_strings: Of each block of strings the number of its first string; the first of all is 1.
        first_sources: Of each block of texts the number of its first source.
        ends: Where each block ends, counted from the start of the first: rows, then strings, then texts.
        checksums: The last 4 bytes of each block's frame; none where the blocks are in the head.
        inside: The blocks, where they are in the head.
    """

    map_sha256: bytes
    map: int
    rows: int
    sources: int
    strings: int
    row_places: Sequence[int]
    first_strings: Sequence[int]
    first_sources: Sequence[int]
    ends: Sequence[int]
    checksums: bytes
    inside: bytes | None


class SourceText(NamedTuple):
    """Where the text of a source is.

    Attributes:
        kind: `ABSENT`, `ENTRY` or `EMBEDDED`.
        entry: Number of an entry that has just this content, with kind `ENTRY`.
        start: Where the JSON string begins in the map, after its quotation mark, with kind `EMBEDDED`.
        length: Its bytes, up to the other quotation mark.
        steps: How many of these bytes lines 1 to 64, 65 to 128 and so on take, as far as more lines follow.
    """

    kind: int
    entry: int = 0
    start: int = 0
    length: int = 0
    steps: Numbers = Numbers(b"", 0, 0, 0)

    def around(self, first: int, last: int) -> tuple[int, int, int] | None:
        """Say what to read of the map for the lines from `first` to `last`, counted from 1.

        Returns:
            Number of a line, `first` or before it; where it begins in the map; and how many bytes there
            are from there to the end of line `last`, or more. None if the text has no line `first`.

        Raises:
            ValueError: Positions do not lie in the string.
        """
        steps = self.steps
        group = (first - 1) // LINES_APART
        if group > steps.size:
            return None
        after = (last - 1) // LINES_APART + 1
        start = steps.sum(0, group)
        end = self.length if after > steps.size else start + steps.sum(group, after)
        if not start <= end <= self.length:
            raise ValueError(f"{start} to {end} in a string of {self.length} bytes")
        return group * LINES_APART + 1, self.start + start, end - start


# ---- head


def pack_head(head: LookupHead) -> bytes:
    """Return the content of a table's head."""
    return b"".join(
        (
            _HEAD.pack(
                head.map_sha256,
                head.map,
                head.rows,
                head.sources,
                head.strings,
                len(head.row_places),
                len(head.first_strings),
                len(head.first_sources),
                0 if head.inside is None else _INSIDE,
            ),
            _packed("Q", head.row_places),
            _packed("I", head.first_strings),
            _packed("I", head.first_sources),
            _packed("I", head.ends),
            head.checksums,
            head.inside or b"",
        )
    )


def parse_head(data: bytes, record: LookupRecord, *, file: str, offset: int) -> LookupHead:
    """Return the head of a table.

    Args:
        data: Its content.
        record: Where the table is, as the entry says.
        file: The pack, for messages.
        offset: Of the head's frame, for messages.

    Raises:
        FormatError: It is not as SPEC.md says.
    """
    if len(data) >= _HEAD.size:
        sha256, number, rows, sources, strings, row_blocks, string_blocks, text_blocks, flags = (
            _HEAD.unpack_from(data)
        )
        blocks = row_blocks + string_blocks + text_blocks
        texts_at = _HEAD.size + 8 * row_blocks + 4 * string_blocks
        ends_at = texts_at + 4 * text_blocks
        checksums_at = ends_at + 4 * blocks
        end = checksums_at + (0 if flags else 4 * blocks)
        if end <= len(data) and flags <= _INSIDE:
            ends = _array("I", data, ends_at, checksums_at)
            room = len(data) - end if flags else record.length - record.head
            first_strings = _array("I", data, _HEAD.size + 8 * row_blocks, texts_at)
            first_sources = _array("I", data, texts_at, ends_at)
            if (
                (ends[-1] if blocks else 0) == room
                and (flags or end == len(data))
                and row_blocks <= rows <= row_blocks * MAX_ROWS
                and sources <= strings
                and list(first_strings[:1]) == ([1] if strings else [])
                and list(first_sources[:1]) == ([1] if sources else [])
            ):
                return _new(
                    LookupHead,
                    (
                        sha256,
                        number,
                        rows,
                        sources,
                        strings,
                        _array("Q", data, _HEAD.size, _HEAD.size + 8 * row_blocks),
                        first_strings,
                        first_sources,
                        ends,
                        data[checksums_at:end],
                        data[end:] if flags else None,
                    ),
                )
    raise FormatError(
        file,
        "head of a lookup table",
        offset=offset,
        found=f"{len(data)} bytes, {data[: _HEAD.size].hex(' ')}",
        expected="a header and the tables that it describes",
    )


def _packed(kind: str, numbers: Sequence[int]) -> bytes:
    return Struct(f"<{len(numbers)}{kind}").pack(*numbers)


def _array(kind: str, data: bytes, start: int, end: int) -> Sequence[int]:
    """Return numbers without making an object of each, as few of many are looked at."""
    numbers = array(kind, data[start:end])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


# ---- blocks


def decode_lookup_frame(
    frame: bytes, checksum: bytes, limit: int, *, what: str, file: str, offset: int
) -> bytes:
    """Return the content of a head or block.

    Args:
        frame: Exactly the frame.
        checksum: What its last 4 bytes have to be.
        limit: Most bytes that it may hold.
        what: Name of the structure, for messages.
        file: The pack, for messages.
        offset: Of the frame in the file, for messages.

    Raises:
        FormatError: The frame is damaged, or another one.
        LimitExceeded: Its header claims more than `limit`.
    """
    if not frame.endswith(checksum):
        raise FormatError(
            file, f"{what}: checksum", offset=offset, found=frame[-4:].hex(), expected=checksum.hex()
        )
    return decode_block(frame, limit, what=what, file=file, offset=offset)


def pack_strings(strings: Sequence[bytes]) -> bytes:
    """Return the block of strings, UTF-8 each."""
    return STRING_END.join((*strings, b""))


def string_of(block: bytes, which: int, *, file: str, offset: int) -> str:
    """Return one string of a block.

    Raises:
        FormatError: The block has no such string, or it is not UTF-8.
    """
    pieces = block.split(STRING_END, which + 1)
    if len(pieces) != which + 2:
        raise FormatError(
            file, "block of strings", offset=offset, found=len(pieces) - 1, expected=f"over {which}"
        )
    return decoded_string(pieces[which], file=file, offset=offset)


def decoded_string(data: bytes, *, file: str, offset: int) -> str:
    """Return a string as text.

    Raises:
        FormatError: It is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(file, f"string: {error}", offset=offset) from error


def meaning_of(letters: bytes) -> str:
    """Return what letters of a JSON string mean.

    Raises:
        ValueError: They are no JSON, no UTF-8, or have half a surrogate pair alone.
    """
    text: str = json.loads(b'"%b"' % letters)
    text.encode()
    return text


def pack_texts(texts: Sequence[bytes]) -> bytes:
    """Return the block of the records of texts."""
    return _packed("I", [0, *accumulate(map(len, texts))]) + b"".join(texts)


def pack_entry_text(entry: int) -> bytes:
    """Return the record of a text that is in the map, and in an entry as well."""
    return _ENTRY_TEXT.pack(ENTRY, entry)


def pack_embedded_text(start: int, length: int, steps: Sequence[int]) -> bytes:
    """Return the record of a text that is in the map alone; the values are those of `SourceText`."""
    width = width_of(max(steps, default=0))
    return _EMBEDDED_TEXT.pack(EMBEDDED, start, length, width) + pack_numbers(steps, 0, width)


def text_of(block: bytes, which: int, count: int, *, file: str, offset: int) -> SourceText:
    """Return one record out of a block of `count`.

    Raises:
        FormatError: The block or the record is not as SPEC.md says.
    """
    base = 4 * (count + 1)
    bounds = block[:4] + block[base - 4 : base]  # of all records: from 0 to the end of the block
    if base <= len(block) and bounds == _TWO.pack(0, len(block) - base):
        start, end = _TWO.unpack_from(block, 4 * which)
        record = block[base + start : base + end]
        kind = record[0] if start < end <= len(block) - base else -1
        if kind == ABSENT and len(record) == 1:
            return SourceText(ABSENT)
        if kind == ENTRY and len(record) == _ENTRY_TEXT.size:
            return SourceText(ENTRY, entry=_ENTRY_TEXT.unpack(record)[1])
        if kind == EMBEDDED and len(record) >= _EMBEDDED_TEXT.size:
            _, at, length, width = _EMBEDDED_TEXT.unpack_from(record)
            steps, rest = divmod(len(record) - _EMBEDDED_TEXT.size, width or 1)
            if width <= MAX_WIDTH and not rest and (width or not steps):
                return SourceText(EMBEDDED, 0, at, length, Numbers(record, _EMBEDDED_TEXT.size, steps, width))
    raise FormatError(
        file,
        f"record {which} of a block of texts",
        offset=offset,
        expected=f"{count} records, each of a known form",
    )
