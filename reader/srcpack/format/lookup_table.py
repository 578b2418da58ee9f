"""An open lookup table: head, blocks and strings, each read when it is needed (SPEC.md, "Lookup tables").

A look-up decodes a block of rows and the blocks of the strings that the row has. The table keeps its head
and strings that were asked for lately; nothing waits for a lock.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from srcpack.errors import FormatError, LimitExceeded
from srcpack.format.head_tail import MAX_BLOCK
from srcpack.format.lookup_rows import MAX_NUMBER, Row, find_row, parse_rows
from srcpack.format.lookups import (
    MAX_LOOKUP_BLOCK,
    MAX_LOOKUP_HEAD,
    STRING_END,
    LookupHead,
    SourceText,
    decode_lookup_frame,
    decoded_string,
    parse_head,
    string_of,
    text_of,
)
from srcpack.records import LookupRecord
from srcpack.rules.original_position import OriginalPosition

__all__ = ["LookupTable"]

_KEPT_STRINGS = 1024
_LONGEST_KEPT = 256


class LookupTable:
    """What a source map answers for every place of a file.

    Attributes:
        record: Where the table is, as the entry says.
        head: The table's head.
        cost: Bytes of memory that it takes, or comes to take.
    """

    __slots__ = ("_file", "_read", "_start", "_strings", "cost", "head", "record")

    def __init__(
        self, record: LookupRecord, start: int, read: Callable[[int, int], bytes], *, file: str
    ) -> None:
        """Read the head.

        Args:
            record: Where the table is, as the entry says; it lies inside the section.
            start: Of the section's data in the file.
            read: Returns bytes of the file, by offset and length.
            file: The pack, for messages.

        Raises:
            FormatError: The pack is damaged here.
            LimitExceeded: The head is larger than the version allows.
        """
        self.record: LookupRecord = record
        self._file = file
        self._read = read
        at = start + record.offset
        self._start = at + record.head
        data = self._frame(at, record.head, record.checksum, MAX_LOOKUP_HEAD, "head of a lookup table")
        self.head: LookupHead = parse_head(data, record, file=file, offset=at)
        self._strings: dict[int, str] = {0: ""}
        self.cost: int = len(data) + 128 * min(self.head.strings, _KEPT_STRINGS) + 1024

    # ---- look-ups

    def position(self, row: Row) -> OriginalPosition:
        """Return a row's answer, with its strings.

        Raises:
            FormatError: The pack is damaged here.
            LimitExceeded: A block is larger than the version allows.
        """
        blocks: dict[int, bytes] = {}
        return OriginalPosition(
            self._string(row.source, blocks),
            row.source_line + 1,
            row.source_column + 1,
            self._string(row.name, blocks),
            self._string(row.function, blocks),
        )

    def row(self, line: int, column: int) -> Row | None:
        """Return the row that answers for a place of the file; None where the map has no answer.

        Args:
            line: From 1.
            column: From 1, in UTF-16 units; 0 is taken as 1.

        Raises:
            FormatError: The pack is damaged here.
            LimitExceeded: A block is larger than the version allows.
        """
        places = self.head.row_places
        if not 0 < line <= MAX_NUMBER + 1 or column < 0:
            return None
        line, column = line - 1, max(column, 1) - 1
        number = bisect_right(places, line << 32 | min(column, MAX_NUMBER)) - 1
        if number < 0:
            return None
        block, offset = self._block(number, "block of rows")
        place = places[number]
        return find_row(
            block, line, column, first=(place >> 32, place & 0xFFFFFFFF), file=self._file, offset=offset
        )

    def _string(self, number: int, blocks: dict[int, bytes]) -> str:
        """Return a string by its number; `blocks` are those of strings that this look-up has decoded."""
        text = self._strings.get(number)
        if text is None:
            head = self.head
            if not 0 < number <= head.strings:
                raise self._wrong("number of a string", number, f"1 to {head.strings}")
            which = bisect_right(head.first_strings, number) - 1
            if which not in blocks:
                blocks[which], _ = self._block(len(head.row_places) + which, "block of strings")
            text = string_of(
                blocks[which], number - head.first_strings[which], file=self._file, offset=self._start
            )
            if len(text) <= _LONGEST_KEPT:
                if len(self._strings) > _KEPT_STRINGS:
                    self._strings = {0: ""}
                self._strings[number] = text
        return text

    def text(self, source: int) -> SourceText:
        """Say where the text of a source is, by the number of the source's name.

        Raises:
            FormatError: The pack is damaged here.
        """
        head = self.head
        if not 0 < source <= head.sources:
            raise self._wrong("number of a source", source, f"1 to {head.sources}")
        which = bisect_right(head.first_sources, source) - 1
        first, count = self._group(head.first_sources, which, head.sources)
        block, offset = self._block(len(head.row_places) + len(head.first_strings) + which, "block of texts")
        return text_of(block, source - first, count, file=self._file, offset=offset)

    # ---- the whole

    def rows(self) -> Iterator[Row]:
        """Yield all rows, in their order.

        Raises:
            FormatError: The pack is damaged here, or the table is not as SPEC.md says.
        """
        places = self.head.row_places
        last, count = (-1, 0), 0
        for number, place in enumerate(places):
            block, offset = self._block(number, "block of rows")
            first = (place >> 32, place & 0xFFFFFFFF)
            rows = parse_rows(block, first=first, file=self._file, offset=offset)
            if first <= last:
                raise self._wrong("places of row blocks", first, f"after {last}")
            last = rows[-1][:2]
            count += len(rows)
            _, _, sources, _, _, names, functions = map(max, zip(*rows, strict=True))
            self._check_numbers(sources, max(names, functions))
            yield from rows
        if count != self.head.rows:
            raise self._wrong("rows", count, self.head.rows)

    def strings(self) -> Iterator[str]:
        """Yield all strings, from number 1 on.

        Raises:
            FormatError: The pack is damaged here, or the table is not as SPEC.md says.
        """
        head = self.head
        for which in range(len(head.first_strings)):
            _, count = self._group(head.first_strings, which, head.strings)
            block, offset = self._block(len(head.row_places) + which, "block of strings")
            if block.count(STRING_END) != count or not block.endswith(STRING_END):
                raise self._wrong("strings of a block", block.count(STRING_END), count)
            for piece in block.split(STRING_END)[:-1]:
                yield decoded_string(piece, file=self._file, offset=offset)

    def texts(self) -> Iterator[SourceText]:
        """Yield where the text of each source is, from number 1 on.

        Raises:
            FormatError: The pack is damaged here, or the table is not as SPEC.md says.
        """
        head = self.head
        for which in range(len(head.first_sources)):
            _, count = self._group(head.first_sources, which, head.sources)
            block, offset = self._block(
                len(head.row_places) + len(head.first_strings) + which, "block of texts"
            )
            for number in range(count):
                yield text_of(block, number, count, file=self._file, offset=offset)

    def _check_numbers(self, source: int, string: int) -> None:
        if source > self.head.sources:
            raise self._wrong("number of a source", source, f"0 to {self.head.sources}")
        if string > self.head.strings:
            raise self._wrong("number of a string", string, f"0 to {self.head.strings}")

    def _group(self, firsts: Sequence[int], which: int, last: int) -> tuple[int, int]:
        """Return the number of the first item of a block, and how many there are."""
        first = firsts[which]
        end = firsts[which + 1] if which + 1 < len(firsts) else last + 1
        if first >= end:
            raise self._wrong("first of a block", first, f"below {end}")
        return first, end - first

    def _block(self, number: int, what: str) -> tuple[bytes, int]:
        """Return the content of a block, and the offset of what it is read from."""
        ends, inside = self.head.ends, self.head.inside
        start, end = ends[number - 1] if number else 0, ends[number]
        if not start < end <= ends[-1]:
            raise self._wrong("end of a block", end, f"over {start}, up to {ends[-1]}")
        if inside is not None:
            return inside[start:end], self._start
        offset, checksum = self._start + start, self.head.checksums[4 * number : 4 * number + 4]
        return self._frame(offset, end - start, checksum, MAX_LOOKUP_BLOCK, what), offset

    def _frame(self, offset: int, length: int, checksum: bytes, limit: int, what: str) -> bytes:
        if length > MAX_BLOCK:
            raise LimitExceeded(self._file, f"{what} at offset {offset}: packed size", length, MAX_BLOCK)
        frame = self._read(offset, length)
        return decode_lookup_frame(frame, checksum, limit, what=what, file=self._file, offset=offset)

    def _wrong(self, what: str, found: object, expected: object) -> FormatError:
        return FormatError(
            self._file, f"{what} in a lookup table", offset=self._start, found=found, expected=expected
        )
