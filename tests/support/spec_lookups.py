"""Lookup tables by the second reader: SPEC.md section 16 alone, each table unpacked whole."""

import json
import struct
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from support.spec_items import Entry, need, refuse, unzstd

if TYPE_CHECKING:
    from support.spec_reader import SpecReader

HEAD = struct.Struct("<32s8I")
ROWS = struct.Struct("<9I4i8B")
NO_ENTRY = 0xFFFFFFFF
HEAD_LIMIT, BLOCK_LIMIT, ROW_LIMIT, NUMBER_LIMIT = 1 << 24, 1 << 20, 1 << 16, (1 << 30) - 1
FRAME_LIMIT = 1 << 26


class Row(NamedTuple):
    """SPEC.md section 16, "Row block"."""

    line: int
    column: int
    source: int
    source_line: int
    source_column: int
    name: int
    function: int


class Text(NamedTuple):
    """SPEC.md section 16, "Text block": kind; entry, or start and length; bytes of each 64 lines."""

    kind: int
    place: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()


class SpecTable:
    """A table, unpacked."""

    def __init__(self, data: bytes, head_length: int, checksum: bytes) -> None:
        """SPEC.md section 16, "Head"."""
        need(0 < head_length <= min(len(data), FRAME_LIMIT), "lookup: head")
        frame = data[:head_length]
        need(frame[-4:] == checksum, "lookup: checksum of the head")
        head = unzstd(frame, HEAD_LIMIT)
        need(len(head) >= HEAD.size, "lookup: head is too short")
        self.map_sha256, self.map, self.row_count, self.sources, self.string_count, *counts = (
            HEAD.unpack_from(head)
        )
        *blocks, inside = counts
        need(inside in (0, 1), "lookup: inside")
        r, s, t = blocks
        total = r + s + t
        need(
            HEAD.size + 8 * r + 4 * (s + t + total * (1 if inside else 2)) <= len(head), "lookup: head is cut"
        )
        at = HEAD.size

        def numbers(kind: str, count: int) -> list[int]:
            nonlocal at
            values = list(struct.unpack_from(f"<{count}{kind}", head, at))
            at += count * struct.calcsize(kind)
            return values

        places, first_strings, first_sources = numbers("Q", r), numbers("I", s), numbers("I", t)
        ends = numbers("I", total)
        checksums = [] if inside else [struct.pack("<I", value) for value in numbers("I", total)]
        body = head[at:] if inside else data[head_length:]
        need(inside or at == len(head), "lookup: head goes on")
        need((ends or [0])[-1] == len(body), "lookup: last end")
        need(all(a < b for a, b in pairwise([0, *ends])), "lookup: ends do not rise")
        pieces = [body[a:b] for a, b in pairwise([0, *ends])]
        if not inside:
            need(
                all(a[-4:] == b for a, b in zip(pieces, checksums, strict=True)),
                "lookup: checksum of a block",
            )
            need(all(len(piece) <= FRAME_LIMIT for piece in pieces), "lookup: frame of a block")
            pieces = [unzstd(piece, BLOCK_LIMIT) for piece in pieces]
        need(r <= self.row_count <= r * ROW_LIMIT and self.sources <= self.string_count, "lookup: counts")
        need(places == sorted(set(places)), "lookup: places")
        self.rows: list[Row] = []
        for piece, place in zip(pieces, places, strict=False):
            self.rows += parse_rows(piece, place >> 32, place & 0xFFFFFFFF)
        need(len(self.rows) == self.row_count, "lookup: rows")
        need(all(a[:2] < b[:2] for a, b in pairwise(self.rows)), "lookup: rows are out of order")
        self.strings = [""]
        for piece, count in zip(pieces[r:], group_sizes(first_strings, self.string_count), strict=False):
            self.strings += parse_strings(piece, count)
        self.texts: list[Text] = []
        for piece, count in zip(pieces[r + s :], group_sizes(first_sources, self.sources), strict=True):
            self.texts += parse_texts(piece, count)
        for row in self.rows:
            need(row.source <= self.sources, "lookup: a source that is none")
            need(max(row.name, row.function) <= self.string_count, "lookup: a string that is none")

    def original(self, line: int, column: int) -> tuple[str, int, int, str, str] | None:
        """SPEC.md section 16, "Lookup"; both from 0."""
        which = bisect_right([row[:2] for row in self.rows], (line, column)) - 1
        row = self.rows[which] if which >= 0 else None
        if row is None or row.line != line or row.source == 0:
            return None
        strings = self.strings
        return (
            strings[row.source],
            row.source_line,
            row.source_column,
            strings[row.name],
            strings[row.function],
        )


def group_sizes(firsts: list[int], last: int) -> list[int]:
    """SPEC.md section 16, "Head": how many items the blocks have that begin with these numbers."""
    need((firsts[:1] == [1]) if last else not firsts, "lookup: first number")
    sizes = [b - a for a, b in pairwise([*firsts, last + 1])] if firsts else []
    need(all(size > 0 for size in sizes), "lookup: first numbers do not rise")
    return sizes


def parse_rows(block: bytes, line: int, column: int) -> list[Row]:
    """SPEC.md section 16, "Row block"."""
    need(len(block) >= ROWS.size, "rows: too short")
    (n, source_line, source_column, *rest) = ROWS.unpack_from(block)
    sizes, firsts, lows, widths = rest[:3], rest[3:6], rest[6:10], rest[10:17]
    need(1 <= n <= ROW_LIMIT and all(1 <= size <= n for size in sizes), "rows: counts")
    need(lows[0] == rest[17] == 0 and max(widths) <= 4, "rows: header")
    at = ROWS.size

    def numbers(count: int, width: int, low: int = 0) -> list[int]:
        nonlocal at
        planes = [block[at + count * p : at + count * (p + 1)] for p in range(width)]
        at += count * width
        need(at <= len(block), "rows: cut")
        return [low + sum(planes[p][i] << 8 * p for p in range(width)) for i in range(count)]

    steps = [numbers(n, width, low) for width, low in zip(widths, lows, strict=False)]
    picked = []
    for size, first, width in zip(sizes, firsts, widths[4:], strict=True):
        table = numbers(size - 1, width)
        need(0 not in table, "rows: a table does not rise")
        values = list(accumulate(table, initial=first))
        index = numbers(n, 0 if size == 1 else 1 if size <= 256 else 2)
        need(max(index) < size, "rows: an index past its table")
        picked.append([values[i] for i in index])
    need(at == len(block), "rows: length")
    need(all(column[0] == 0 for column in steps), "rows: the first row")
    rows = []
    for i, (lines, columns, source_lines, source_columns) in enumerate(zip(*steps, strict=True)):
        line, column = line + lines, columns if lines else column + columns
        source_line += source_lines
        source_column = source_columns if source_lines else source_column + columns + source_columns
        row = Row(line, column, picked[0][i], source_line, source_column, picked[1][i], picked[2][i])
        need(max(row[:2]) <= NUMBER_LIMIT, "rows: too large a place")
        need(
            0 <= source_line <= NUMBER_LIMIT and 0 <= source_column <= NUMBER_LIMIT,
            "rows: a place that is none",
        )
        rows.append(row)
    return rows


def parse_strings(block: bytes, count: int) -> list[str]:
    """SPEC.md section 16, "String block"."""
    *strings, rest = block.split(b"\xff")
    need(rest == b"" and len(strings) == count, "strings: number")
    try:
        return [string.decode() for string in strings]
    except UnicodeDecodeError as error:
        refuse(f"strings: {error}")


def parse_texts(block: bytes, count: int) -> list[Text]:
    """SPEC.md section 16, "Text block"."""
    base = 4 * (count + 1)
    need(len(block) >= base, "texts: too short")
    at = struct.unpack_from(f"<{count + 1}I", block)
    need(at[0] == 0 and at[-1] == len(block) - base, "texts: positions")
    need(all(a < b for a, b in pairwise(at)), "texts: positions do not rise")
    return [parse_text(block[base + a : base + b]) for a, b in pairwise(at)]


def parse_text(record: bytes) -> Text:
    """SPEC.md section 16, a record of a text block."""
    kind, rest = record[0], record[1:]
    if kind == 0:
        need(not rest, "text: length")
        return Text(0)
    if kind == 1:
        need(len(rest) == 4, "text: length")
        return Text(1, struct.unpack("<I", rest))
    need(kind == 2 and len(rest) >= 9, "text: kind")
    start, length, width = struct.unpack_from("<IIB", rest)
    planes = rest[9:]
    need(width <= 4 and (len(planes) % width == 0 if width else not planes), "text: numbers")
    n = len(planes) // width if width else 0
    return Text(
        2, (start, length), tuple(sum(planes[n * p + i] << 8 * p for p in range(width)) for i in range(n))
    )


def find_table(reader: "SpecReader", entry: Entry) -> SpecTable | None:
    """SPEC.md section 16: the table of an entry."""
    place: list[Any] | None = entry.get("lookup")
    if place is None:
        return None
    need(5 in reader.sections, "lookup: no section")
    start, end = reader.sections[5]
    need(
        len(place) == 4 and all(type(number) is int and number >= 0 for number in place[:3]), "lookup: types"
    )
    offset, length, head_length, checksum = place
    need(type(checksum) is bytes and len(checksum) == 4, "lookup: checksum")
    need(start + 8 + offset + length <= end, "lookup: place")
    return SpecTable(reader.data[start + 8 + offset :][:length], head_length, checksum)


def verify_tables(reader: "SpecReader") -> None:
    """SPEC.md section 16, "Verification"."""
    entries = list(reader.entries())
    places = sorted({tuple(entry["lookup"][:2]) for entry in entries if "lookup" in entry})
    if 5 not in reader.sections:
        need(not places, "lookup: no section")
        return
    at = 0
    for offset, length in places:
        need(offset == at, "lookup: tables do not adjoin")
        at += length
    start, end = reader.sections[5]
    need(
        struct.unpack_from("<II", reader.data, start) == (0x184D2A5B, end - start - 8),
        "lookup: section header",
    )
    need(at == end - start - 8, "lookup: tables do not fill their section")
    owners: dict[int, Entry] = {}
    for entry in entries:
        table = find_table(reader, entry)
        if table is None:
            continue
        need("reason" not in entry and "lookup_reason" not in entry, "lookup: of a file that has none")
        owner = owners.setdefault(entry["lookup"][0], entry)
        need(
            owner["sha256"] == entry["sha256"] and owner["lookup"] == entry["lookup"],
            "lookup: another file's",
        )
        if table.map == NO_ENTRY:
            continue
        need(table.map < len(entries), "lookup: a map that is none")
        need(entries[table.map].get("sha256") == table.map_sha256, "lookup: another map")
        content = reader.read(entries[table.map])
        for text in table.texts:
            if text.kind == 1:
                need(
                    text.place[0] < len(entries) and "reason" not in entries[text.place[0]],
                    "text: no such entry",
                )
            if text.kind == 2:
                check_embedded(content, text.place, text.steps)


def check_embedded(content: bytes, place: tuple[int, ...], steps: tuple[int, ...]) -> None:
    """SPEC.md section 16: a text in a map, and where its lines begin."""
    start, length = place
    string = content[start - 1 : start + length + 1] if start else b""
    need(len(string) == length + 2 and sum(steps) <= length, "text: place")
    try:
        whole = json.loads(string)
        need(isinstance(whole, str), "text: no JSON string")
        at, left = 1, whole
        for step in steps:
            piece = json.loads(b'"' + string[at : at + step] + b'"')
            need(piece.count("\n") == 64 and piece.endswith("\n") and left.startswith(piece), "text: lines")
            at, left = at + step, left[len(piece) :]
        need(left.count("\n") < 64, "text: lines without a number")
    except (ValueError, UnicodeDecodeError) as error:
        refuse(f"text: {error}")
