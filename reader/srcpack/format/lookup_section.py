"""The section of lookup tables of one pack, and what a table answers (SPEC.md, "Lookup tables")."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from weakref import ref

from srcpack.caches import Generations
from srcpack.errors import FormatError
from srcpack.records import EntryRecord, LookupRecord
from srcpack.rules.lookup_keys import reference_of
from srcpack.rules.urls import source_map_url
from srcpack.source.byte_source import ByteSource
from srcpack.store import Lookup, Store, Token

from .head_tail import FRAME_HEADER, Section
from .lookup_table import LookupTable
from .lookups import ABSENT, DATA_URL, ENTRY, SourceText, meaning_of
from .zstd_frames import read_exactly

__all__ = ["LookupSection", "TableLookup", "map_in_reference"]

_TABLES: Generations[tuple[int, int], LookupTable] = Generations(16 << 20)
"""Tables that were opened, by section and offset; the limit is in bytes."""

_AHEAD = 64 << 10
"""Bytes of a table that a distant source fetches with its head."""

_tokens = count()


class LookupSection:
    """Opens the tables of a pack, and keeps those that were used lately."""

    __slots__ = ("_file", "_section", "_source", "_token")

    def __init__(self, source: ByteSource, section: Section, *, file: str) -> None:
        self._source = source
        self._section = section
        self._file = file
        self._token = next(_tokens)

    def forget(self) -> None:
        """Let no table that the process keeps answer any more."""
        self._token = next(_tokens)

    def lookup(self, store: Store, record: EntryRecord, map_sha256: bytes | None) -> "TableLookup | None":
        """Return what the table of an entry answers, as `Store.lookup`.

        Raises:
            FormatError, LimitExceeded: As `table`.
        """
        if record.lookup is None:
            return None
        table = self.table(record.lookup)
        if map_sha256 is not None and map_sha256 != table.head.map_sha256:
            return None
        return TableLookup(table, store, record)

    def table(self, place: LookupRecord) -> LookupTable:
        """Return the table at a place.

        Raises:
            FormatError: The pack is damaged here, or the place is not in the section.
            LimitExceeded: The table's head is larger than the version allows.
        """
        key = self._token, place.offset
        kept = _TABLES.get(key)
        if kept is not None and kept.record == place:
            return kept
        start = self._section.offset + FRAME_HEADER.size
        if not 0 < place.head <= place.length <= self._section.end - start - place.offset:
            raise FormatError(
                self._file,
                "place of a lookup table",
                found=f"{place.length} bytes at {place.offset}, {place.head} of its head",
                expected=f"inside the section's {self._section.end - start}",
            )
        with self._source.ahead(start + place.offset, min(place.length, max(place.head, _AHEAD))):
            table = LookupTable(place, start, _reader(self._source, self._file), file=self._file)
        _TABLES.put(key, table, table.cost)
        return table


def _reader(source: ByteSource, file: str) -> Callable[[int, int], bytes]:
    """Return what reads a source while its pack is there: a table that is kept for all keeps none open."""
    weak = ref(source)

    def read(offset: int, length: int) -> bytes:
        here = weak()
        if here is None:
            raise ValueError(f"{file}: read of a closed pack")
        return read_exactly(here, offset, length, file=file)

    return read


def map_in_reference(record: EntryRecord) -> bytes:
    """Return the source map that a file's own reference holds; nothing where it holds none."""
    try:
        content = source_map_url("", reference_of(record) or "")
    except ValueError:
        return b""
    return content if isinstance(content, bytes) else b""


class TableLookup(Lookup):
    """What a table answers for an entry.

    Args:
        table: The entry's table.
        store: The pack, which has the texts.
        record: The entry.
    """

    __slots__ = ("_record", "_store", "table")

    def __init__(self, table: LookupTable, store: Store, record: EntryRecord) -> None:
        self.table: LookupTable = table
        self._store = store
        self._record = record

    def token(self, line: int, column: int) -> Token | None:
        """Find the token at a position of the minified file."""
        row = self.table.row(line, column)
        return None if row is None else Token(self.table.position(row), row.source)

    def content(self, token: Token) -> str | None:
        """Return the whole source, out of an entry that has just this text, or out of the map's JSON."""
        text = self._text_of(token)
        if text.kind == ABSENT:
            return None
        if text.kind == ENTRY:
            return self._store.read_text(self._store.record(text.entry))
        return self._embedded(text.start, text.length)

    def source_lines(self, token: Token, line: int, lines: int) -> tuple[int, str] | None:
        """Return the lines out of an entry that has just this text, or out of the map's JSON."""
        text = self._text_of(token)
        if text.kind == ABSENT:
            return None
        if text.kind == ENTRY:
            return self._store.lines_around(self._store.record(text.entry), line, lines) or (line, "")
        try:
            place = text.around(max(1, line - lines), line + lines)
        except ValueError as error:
            raise self._wrong(error) from error
        if place is None:
            return line, ""
        first, start, length = place
        return first, self._embedded(start, length)

    def _text_of(self, token: Token) -> SourceText:
        if not isinstance(token.source, int):
            raise TypeError("a token of another lookup")
        return self.table.text(token.source)

    def _embedded(self, start: int, length: int) -> str:
        """Return what the letters of a JSON string in the map mean, or some of them.

        Raises:
            FormatError: They are not there, or the map is another one.
            LimitExceeded: They are more than the pack's `max_read`.
        """
        letters = self._read_map(start, length)
        if len(letters) != length:
            raise self._wrong(f"{len(letters)} bytes of {length}")
        try:
            return meaning_of(letters)
        except ValueError as error:
            raise self._wrong(error) from error

    def _wrong(self, found: object) -> FormatError:
        return FormatError(
            self._store.file,
            "text in the source map",
            member=self._record.name,
            found=found,
            expected="lines of a JSON string",
        )

    def _read_map(self, start: int, length: int) -> bytes:
        """Return a range of the map's content."""
        head, record = self.table.head, self._record
        if head.map == DATA_URL:
            content = map_in_reference(record)
            digest = sha256(content).digest()
            letters = content[start : start + length]
        else:
            source_map = self._store.record(head.map)
            digest = source_map.sha256
            letters = self._store.read_range(source_map, start, length)
        if digest != head.map_sha256:
            raise FormatError(
                self._store.file,
                "SHA-256 of the source map",
                member=record.name,
                found=digest.hex(),
                expected=f"{head.map_sha256.hex()} by its lookup table",
            )
        return letters
