"""The store over a SourceBundle zip: slow, and with the answers of its pack.

So a service can be moved to packs bundle by bundle. Opening reads the zip's directory and all of its
`manifest.json`, each read inflates its member whole, and what conversion would have stored of a content
(size, lines, SHA-256, references, whether it can be read at all) is found out by reading it when it is
first asked for.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from srcpack.errors import DamagedMember, FormatError, LimitExceeded
from srcpack.records import Attributes, EntryRecord, FrameRecord, ReadOnlyDict
from srcpack.rules.content_facts import facts_of, with_facts
from srcpack.rules.lookup_keys import NAME, Kind, keys_of
from srcpack.source.byte_source import ByteSource
from srcpack.source.hashing import sha256_of
from srcpack.store import ContentReader, Reopening, Store, reopened

from .manifest_records import records_of
from .members import DEFAULT_LIMITS, Limits, SourceBundle

__all__ = ["ZipStore"]


class ZipStore(Store):
    """An open SourceBundle zip.

    Attributes:
        bundle: The zip: its members and its manifest.
    """

    __slots__ = ("_attributes", "_complete", "_limits", "_listed", "_names", "_sha256", "_winners", "bundle")

    def __init__(
        self,
        place: str | os.PathLike[str] | bytes | ByteSource,
        *,
        max_read: int = 1 << 30,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Open a zip by its path, of which it reads by `pread`, or out of its bytes or a source of them.

        Members up to the file limit of `limits` are inflated, whatever `max_read` is, where a part of them or
        a fact about them is asked for; a larger member counts as damaged.
        """
        self.bundle: SourceBundle = SourceBundle(place, limits=limits)
        self.file: str = self.bundle.file
        self.source: ByteSource = self.bundle.source
        self.max_read = max_read
        self._limits = limits
        self._listed = {record.name: record for record in records_of(self.bundle)}
        self._names = list(self._listed)
        self._complete: dict[str, EntryRecord] = {}
        self._winners: dict[tuple[Kind, str], EntryRecord] | None = None
        self._sha256: bytes | None = None
        manifest = self.bundle.manifest
        self._attributes = Attributes(
            ReadOnlyDict(manifest.attributes),
            None if manifest.source_links is None else ReadOnlyDict(manifest.source_links),
            manifest.has_files,
            b"",
            ReadOnlyDict(),
            ReadOnlyDict(),
        )

    # ---- as a whole

    @property
    def attributes(self) -> Attributes:
        return self._attributes

    @property
    def sha256(self) -> bytes:
        if self._sha256 is None:
            self._sha256 = sha256_of(self.source)
        return self._sha256

    def reopening(self) -> Reopening:
        return reopened, (_opened, (self.source.place(), self.max_read, self._limits), self.sha256)

    # ---- entries

    def __len__(self) -> int:
        return len(self._names)

    def find(self, kind: Kind, key: str) -> EntryRecord | None:
        if not isinstance(key, str):
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        if kind is NAME:
            return self._listed.get(key)
        winners = self._winners
        if winners is None:
            # The records come in the order of their names, so the greatest stays. Two threads that are
            # here at once make the same of it.
            winners = {
                found: record
                for record in self._listed.values()
                for found in keys_of(record)
                if found[0] is not NAME
            }
            self._winners = winners
        return winners.get((kind, key))

    def record(self, number: int) -> EntryRecord:
        if not 0 <= number < len(self._names):
            raise FormatError(self.file, "entry number", found=number, expected=f"below {len(self._names)}")
        return self._listed[self._names[number]]

    def records(self, start: int = 0) -> Iterator[EntryRecord]:
        return islice(self._listed.values(), start, None)

    def first_from(self, name: str) -> int:
        return bisect_left(self._names, name)

    def complete(self, record: EntryRecord) -> EntryRecord:
        complete = self._complete.get(record.name)
        if complete is None:
            complete = self._complete[record.name] = self._found_out(record)
        return complete

    def _found_out(self, record: EntryRecord) -> EntryRecord:
        try:
            content = self.bundle.read(record.name)
        except DamagedMember as error:
            return record._replace(reason=error.reason)
        record = with_facts(record, facts_of(content, record.type, record.headers))
        if not content:
            return record
        member = self.bundle.members[record.name]
        frame = FrameRecord(member.offset, member.compressed_size, member.crc.to_bytes(4, "little"), 0)
        return record._replace(frames=(frame,))

    # ---- contents

    def read(self, record: EntryRecord, threads: int = 1) -> bytes:
        name = record.name
        member = self.bundle.members.get(name)
        if member is not None and member.size > self.max_read:
            self.bundle.read_head(name, 0)  # says so where the directory shows that it cannot be read
            raise LimitExceeded(self.file, "read", member.size, self.max_read, member=name)
        return self.bundle.read(name)

    def read_range(self, record: EntryRecord, start: int, length: int) -> bytes:
        content = self.bundle.read(record.name)
        end = min(start + length, len(content))
        if end - start > self.max_read:
            raise LimitExceeded(self.file, "read", end - start, self.max_read, member=record.name)
        return content[start:end]

    def read_text(self, record: EntryRecord) -> str:
        data = self.read(record)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DamagedMember(self.file, record.name, "not UTF-8") from error

    def lines_around(self, record: EntryRecord, line: int, lines: int) -> tuple[int, str] | None:
        """Return the whole content, from line 1 on."""
        return 1, self.read_text(record)

    def parts(self, record: EntryRecord) -> Iterator[bytes]:
        content = self.bundle.read(record.name)
        if content:
            yield content

    def view(self, record: EntryRecord) -> memoryview:
        return memoryview(self.read(record))

    def open(self, record: EntryRecord) -> ContentReader:
        """Return a binary file over the content, which is inflated here and held whole."""
        content = self.bundle.read(record.name)
        return ContentReader(record.name, len(content), len(content), lambda _number: content)

    def lookup(self, record: EntryRecord, map_sha256: bytes | None = None) -> None:
        """Return None: a zip has no tables."""


def _opened(place: str | bytes, max_read: int, limits: Limits) -> ZipStore:
    return ZipStore(place, max_read=max_read, limits=limits)
