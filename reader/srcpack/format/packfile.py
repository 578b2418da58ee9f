"""The store over a `.srcpack`: opened by its head and tail, contents read by frames (SPEC.md, "Content").

Where its entries are, `directory.py` finds. A content is decoded frame by frame; only the frames that hold
what was asked for are read.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from zstandard import ZstdError, frame_content_size

from srcpack.caches import Shelf, Shelves
from srcpack.errors import DamagedMember, FormatError, LimitExceeded
from srcpack.records import Attributes, EntryRecord
from srcpack.rules.context import Context
from srcpack.rules.lookup_keys import NAME, Kind
from srcpack.source.byte_source import ByteSource
from srcpack.source.local import PreadSource
from srcpack.source.source_of import SourceKind, source_of
from srcpack.store import ContentReader, Reopening, Store, reopened

from .directory import Directory
from .fetch import decoded_by_threads, fetch_many, spooled
from .head_tail import (
    DICTIONARY,
    FRAME_HEADER,
    HEAD_SIZE,
    LOOKUPS,
    MANIFEST,
    TAIL_SIZE,
    Section,
    parse_frame_header,
    parse_head,
    parse_tail,
)
from .lines import lines_in, not_as_its_entry_says, parts_of_lines
from .long_lines import LongLines
from .zstd_frames import (
    CHECKSUM_FLAG,
    DICTIONARIES,
    PLAIN,
    Decompressors,
    Dictionary,
    check_raw,
    shared_dictionary,
    wrong_frame,
)

if TYPE_CHECKING:
    from .lookup_section import LookupSection, TableLookup

__all__ = ["PackFile"]

_RECORDS: Shelves[int | str | tuple[Kind, str], EntryRecord] = Shelves(8 << 20)
"""Entries that packs found, by number, by name, or by kind and key; 1,000 open packs keep no more than one.

The limit is in bytes, about, so that few large ones are kept; it is that of some 19,000 entries of usual
size: the reads of one that is not kept cost ten times as much.
"""


class PackFile(Store):
    """An open `.srcpack`.

    Attributes:
        tail: The tail: sections, counts and sizes.
        directory: Reads the manifest and the index.
        frame_size: Bytes of content in each frame of a file but its last.
    """

    __slots__ = ("_attributes", "_dictionary_key", "_kept", "_lookups", "directory", "frame_size", "tail")

    def __init__(self, source: ByteSource, *, file: str, max_read: int = 1 << 30) -> None:
        """Open a pack from a byte source; `file` is what to call it in messages."""
        self.file = file
        self.source = source
        self.max_read = max_read
        # The tail repeats the head, which is worth no request of its own.
        version = None if source.distant else parse_head(source.read(0, HEAD_SIZE), file=file)
        end = source.read(max(0, source.size - TAIL_SIZE), TAIL_SIZE)
        tail = parse_tail(end, file=file, file_length=source.size, version=version)
        self.tail: Final = tail
        self.directory: Final = Directory(source, tail, file=file)
        if source.distant:
            source.keep(tail.sections[MANIFEST].end)
        self.frame_size: int = tail.frame_size
        self._dictionary_key = object() if DICTIONARY in tail.sections else None
        section = tail.sections.get(LOOKUPS)
        self._lookups = None if section is None else _lookup_section(source, section, file)
        self._attributes: Attributes | None = None
        self._kept: Shelf[int | str | tuple[Kind, str], EntryRecord] = Shelf()

    # ---- as a whole

    @property
    def attributes(self) -> Attributes:
        if self._attributes is None:
            self._attributes = self.directory.attributes()
        return self._attributes

    @property
    def sha256(self) -> bytes:
        return self.tail.sha256

    def close(self) -> None:
        self.source.close()
        # What is kept would answer for a while yet.
        self.directory.forget()
        if self._lookups is not None:
            self._lookups.forget()
        self._kept = Shelf()

    def reopening(self) -> Reopening:
        kind = "pread" if isinstance(self.source, PreadSource) else "mmap"
        return reopened, (PackFile.at, (self.source.place(), kind, self.max_read), self.sha256)

    @contextmanager
    def nearby(self) -> Iterator["PackFile"]:
        """Give the pack out of a temporary file where it is distant, else itself."""
        if not self.source.distant:
            yield self
            return
        with spooled(self.source) as copy:
            near = type(self)(copy, file=self.file, max_read=self.max_read)
            if near.sha256 != self.sha256:
                raise FormatError(
                    self.file, "another pack", found=near.sha256.hex(), expected=self.sha256.hex()
                )
            yield near

    # ---- entries

    def __len__(self) -> int:
        return self.tail.entry_count

    def find(self, kind: Kind, key: str) -> EntryRecord | None:
        kept_by = key if kind is NAME else (kind, key)
        shelf = self._kept
        # A pair of a kind and a key is no name, though something may be kept by it.
        if (kept := shelf.values.get(kept_by)) is not None and type(key) is str:
            return kept
        if not isinstance(key, str):
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        if (found := self.directory.find(kind, key)) is None:
            return None
        record, cost = found
        _RECORDS.put(shelf, kept_by, record, cost)
        return record

    def record(self, number: int) -> EntryRecord:
        shelf = self._kept
        if (record := shelf.values.get(number)) is None:
            record, cost = self.directory.record(number)
            _RECORDS.put(shelf, number, record, cost)
        return record

    def records(self, start: int = 0) -> Iterator[EntryRecord]:
        return self.directory.records(start)

    def first_from(self, name: str) -> int:
        return self.directory.first_from(name)

    def complete(self, record: EntryRecord) -> EntryRecord:
        return record

    # ---- contents

    def read(self, record: EntryRecord, threads: int = 1) -> bytes:
        frames = record.frames
        if len(frames) == 1 and record.size <= self.max_read:
            return self.read_part(record, 0)
        self._check_readable(record, record.size)
        if threads > 1 and len(frames) > 1 and not self.source.distant:
            return decoded_by_threads(partial(self.read_part, record), record, self.frame_size, threads)
        return self._joined(record, 0, len(frames))

    def read_range(self, record: EntryRecord, start: int, length: int) -> bytes:
        end = min(start + length, record.size)
        self._check_readable(record, end - start)
        if start >= end:
            return b""
        first, last = start // self.frame_size, (end - 1) // self.frame_size
        data = self._joined(record, first, last + 1)
        return data[start - first * self.frame_size : end - first * self.frame_size]

    def read_text(self, record: EntryRecord) -> str:
        self._check_text(record)
        try:
            return self.read(record).decode()
        except UnicodeDecodeError as error:
            raise not_as_its_entry_says(self.file, record, error) from error

    def lines_around(self, record: EntryRecord, line: int, lines: int) -> tuple[int, str] | None:
        self._check_text(record)
        if line > record.lines:
            return None
        first, last = max(1, line - lines), min(line + lines, record.lines)
        start, end = parts_of_lines(record, first, last)
        self._check_readable(record, min((end - start) * self.frame_size, record.size))
        data = self._joined(record, start, end)
        try:
            return first, lines_in(data, record, first, last, start).decode()
        except ValueError as error:
            raise not_as_its_entry_says(self.file, record, error) from error

    def context(self, record: EntryRecord, line: int, column: int, lines: int) -> Context | None:
        self._check_text(record)
        if line > record.lines:
            return None
        start, end = parts_of_lines(record, max(1, line - lines), min(line + lines, record.lines))
        if end - start <= (2 if self.source.distant else 1):  # one request takes both
            return super().context(record, line, column, lines)
        self._check_readable(record, min((end - start) * self.frame_size, record.size))
        try:
            long_lines = LongLines(record, self.frame_size, partial(self.read_part, record))
            return long_lines.context(line, column, lines)
        except ValueError as error:
            if self.closed:
                raise
            raise not_as_its_entry_says(self.file, record, error) from error

    def parts(self, record: EntryRecord) -> Iterator[bytes]:
        self._check_readable(record, 0)
        for number in range(len(record.frames)):
            yield self.read_part(record, number)

    def view(self, record: EntryRecord) -> memoryview:
        """Return a view: for a raw content one of the map, which was right when it was taken."""
        self._check_readable(record, record.size)
        if not record.raw or not record.frames:
            return memoryview(self.read(record))
        start = record.frames[0].offset
        header_at, source = start - FRAME_HEADER.size, self.source
        with source.ahead(header_at, FRAME_HEADER.size + record.size):
            header = source.read(header_at, FRAME_HEADER.size)
            view = source.view(start, record.size)
        parse_frame_header(header, record.size, file=self.file, offset=header_at, what="raw content")
        for frame in record.frames:
            at = frame.offset - start
            check_raw(view[at : at + frame.length], frame, file=self.file, member=record.name)
        return view

    def open(self, record: EntryRecord) -> ContentReader:
        self._check_readable(record, 0)
        return ContentReader(record.name, record.size, self.frame_size, partial(self.read_part, record))

    def lookup(self, record: EntryRecord, map_sha256: bytes | None = None) -> "TableLookup | None":
        if self._lookups is not None:
            return self._lookups.lookup(self, record, map_sha256)
        if record.lookup is not None:
            raise FormatError(self.file, "a lookup table, and no section of them", member=record.name)
        return None

    def read_many(self, wanted: Sequence[str | EntryRecord], threads: int) -> list[bytes]:
        if self.source.distant:
            return fetch_many(self, wanted, threads, partial(self.directory.place_of, NAME))
        return super().read_many(wanted, threads)

    # ---- frames

    def read_part(self, record: EntryRecord, number: int) -> bytes:
        """Return the content of one frame of an entry, or of one part of a raw one, checked."""
        offset, length, checksum, _ = frame = record.frames[number]
        data = self.source.read(offset, length)
        if record.raw:
            check_raw(data, frame, file=self.file, member=record.name)
            return data
        size = record.size - number * self.frame_size
        if size > self.frame_size:
            size = self.frame_size
        key = self._dictionary_key
        decoder: Decompressors = PLAIN
        if key is not None:
            # Not `get`: without the global lock it takes 20 us where the key is equal but another object.
            try:
                decoder = DICTIONARIES.young[key]
            except KeyError:
                decoder = self.dictionary()
        # What the header claims is allocated, so it is compared first. libzstd holds the content against the
        # frame's checksum; that this is the entry's tells right bytes in the wrong place.
        try:
            if data.endswith(checksum) and frame_content_size(data) == size and data[4] & CHECKSUM_FLAG:
                return decoder.decompress(data)
        except ZstdError as error:
            raise FormatError(self.file, f"frame: {error}", member=record.name, offset=offset) from error
        raise wrong_frame(data, size, frame, file=self.file, member=record.name)

    def dictionary(self) -> Dictionary:
        """Return the pack's dictionary, checked against the tail; the process keeps the last few."""
        self._dictionary_key, dictionary = shared_dictionary(
            self._dictionary_key, self.source, self.tail, file=self.file
        )
        return dictionary

    def _joined(self, record: EntryRecord, first: int, end: int) -> bytes:
        if end - first == 1:
            return self.read_part(record, first)
        frames = record.frames[first:end]
        if not frames:
            return b""
        start, frame_size = frames[0].offset, self.frame_size
        size = min(record.size, end * frame_size) - first * frame_size
        with self.source.ahead(start, frames[-1].offset + frames[-1].length - start):
            part = self.read_part(record, first)  # no memory for all before one is what it must be
            # Each goes to its place as it comes. To hold all and join them would take twice the memory, which
            # as it is freed goes back to the system, so that each read would be one of new pages.
            with io.BytesIO(bytes(size)) as content:
                content.write(part)
                for number in range(first + 1, end):
                    content.write(self.read_part(record, number))
                return content.getvalue()

    # ---- checks

    def _check_readable(self, record: EntryRecord, length: int) -> None:
        if record.reason is not None:
            raise DamagedMember(self.file, record.name, record.reason)
        if length > self.max_read:
            raise LimitExceeded(self.file, "read", length, self.max_read, member=record.name)

    def _check_text(self, record: EntryRecord) -> None:
        self._check_readable(record, 0)
        if not record.utf8:
            raise DamagedMember(self.file, record.name, "not UTF-8")

    @classmethod
    def at(
        cls, place: str | os.PathLike[str] | bytes | ByteSource, source: SourceKind, max_read: int
    ) -> Self:
        """Open a pack by its path, by the URL of an object, or out of its bytes or another source of them."""
        opened = source_of(place, source)
        return cls(opened, file=opened.name, max_read=max_read)


def _lookup_section(source: ByteSource, section: Section, file: str) -> "LookupSection":
    from .lookup_section import LookupSection  # noqa: PLC0415  slow to import, and not all packs have one

    return LookupSection(source, section, file=file)
