"""A SourceBundle zip behind the interface of a pack: slow, and with the same answers.

So a service can be moved to packs bundle by bundle. Opening reads the zip's directory and all of its
`manifest.json`, each read inflates its member whole, and what conversion would have stored of a content
(size, lines, SHA-256, references, whether it can be read at all) is found out by reading it when it is
first asked for. Threads share it as they share a pack.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

from srcpack.bundle.manifest_records import records_of
from srcpack.bundle.members import DEFAULT_LIMITS, Limits, SourceBundle
from srcpack.entry import Entry, EntryReader
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, NotFound
from srcpack.pack import Pack
from srcpack.records import Attributes, BundleManifest, EntryRecord, FileType, FrameRecord
from srcpack.rules.content_facts import facts_of, with_facts
from srcpack.rules.context import Context, get_context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import NAME, Kind, keys_of
from srcpack.rules.source_links import SourceLink
from srcpack.source.local import BytesSource

__all__ = ["BundleEntry", "BundlePack"]

_ONE_FRAME = 1 << 62
_CHUNK = 1 << 20


class BundleEntry(Entry):
    """A file of a zip.

    What the manifest does not say is found out from the content on first use, and kept by the pack: of
    the fields these are `size`, `lines`, `sha256`, `damage`, `stored_size` and all of `record`, and where
    no header has them `debug_id` and `source_mapping_url`.
    """

    __slots__ = ("_bundle_pack",)

    def __init__(self, pack: "BundlePack", record: EntryRecord) -> None:
        super().__init__(pack, record)
        self._bundle_pack = pack

    @property
    def record(self) -> EntryRecord:
        """The entry as a pack would have it; its content is one frame, the member in the zip."""
        return self._bundle_pack.complete(self._record)

    def read(self) -> bytes:
        """Return the whole content, inflating it once, whether or not it was read before."""
        return self._bundle_pack.read_member(self.name)

    def text(self) -> str:
        """Return the whole content as text."""
        data = self.read()
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DamagedMember(self.pack.file, self.name, "not UTF-8") from error

    def read_range(self, start: int, length: int) -> bytes:
        """Return `length` bytes of the content from byte `start`, out of the whole content."""
        if start < 0 or length < 0:
            raise ValueError(f"start {start} and length {length} must not be negative")
        content = self._bundle_pack.read_frame(self._record, 0)
        end = min(start + length, len(content))
        if end - start > self.pack.max_read:
            raise LimitExceeded(self.pack.file, "read", end - start, self.pack.max_read, member=self.name)
        return content[start:end]

    def view(self) -> memoryview:
        """Return the content, inflated, as a read-only view."""
        return memoryview(self.read())

    def open(self) -> EntryReader:
        """Return a binary file over the content, which is inflated here and held whole."""
        return EntryReader(self, self._bundle_pack.read_frame(self._record, 0))

    def context(self, line: int, lines: int = 5, column: int = 0) -> Context | None:
        """Return a line and up to `lines` lines either side of it, out of the whole content."""
        return get_context(self.text(), line, column, lines)


class BundlePack(Pack):
    """An open SourceBundle zip: a mapping of member names, in byte order, to entries.

    What belongs to the file format of packs alone it does not have: `tail`, `index`, the dictionary,
    and the methods that read these. `bundle.identity`, `source` and `created_by` are empty.
    """

    __slots__ = ("_complete", "_limits", "_listed", "_names", "_sha256", "_winners", "_zip")

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        max_read: int = 1 << 30,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Open a zip; `srcpack.open` is how most do.

        Args:
            source: Its path, or its bytes. A file is read by `pread`.
            max_read: Most bytes of content that one call may return. Members up to the file limit of
                `limits` are inflated all the same, where a part of them or a fact about them is asked for.
            limits: How much it may unpack to; a larger member counts as damaged.

        Raises:
            OSError: The file cannot be opened.
            FormatError: It is no SourceBundle, or one that symbolic refuses.
            LimitExceeded: It is over a limit.
        """
        self._zip = SourceBundle(source, limits=limits)
        manifest = self._zip.manifest
        self.file = self._zip.file
        self.source = self._zip.source
        self.max_read = max_read
        self.frame_size = _ONE_FRAME
        self._limits = limits
        self._listed = {record.name: record for record in records_of(self._zip)}
        self._names = list(self._listed)
        self._complete: dict[str, EntryRecord] = {}
        self._winners: dict[tuple[Kind, str], EntryRecord] | None = None
        self._sha256: bytes | None = None
        self._attributes = Attributes(
            manifest.attributes, manifest.source_links, manifest.has_files, b"", {}, {}
        )
        self._links = None

    # ---- as a whole

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the zip's bytes, which are all read the first time."""
        if self._sha256 is None:
            digest = sha256()
            for at in range(0, self.source.size, _CHUNK):
                digest.update(self.source.read(at, _CHUNK))
            self._sha256 = digest.digest()
        return self._sha256

    def bundle_manifest(self) -> BundleManifest:
        """Return the bundle's manifest."""
        return self._zip.manifest

    # ---- lookups

    def __getitem__(self, name: str) -> Entry:
        record = self._find(NAME, name)
        if record is None:
            raise NotFound(self.file, name)
        return BundleEntry(self, record)

    def by_path(self, path: str) -> Entry | SourceLink | None:
        """Return the file of a path, else the URL that a source link gives for it, else None."""
        found = super().by_path(path)
        return BundleEntry(self, found.record) if isinstance(found, Entry) else found

    def by_url(self, url: str) -> Entry | None:
        """Return the file of just that URL, whatever its type."""
        found = super().by_url(url)
        return None if found is None else BundleEntry(self, found.record)

    def by_debug_id(self, debug_id: DebugId | str, file_type: FileType | str) -> Entry | None:
        """Return the file of that type whose `debug-id` header gives that debug id."""
        found = super().by_debug_id(debug_id, file_type)
        return None if found is None else BundleEntry(self, found.record)

    def _find(self, kind: Kind, key: str) -> EntryRecord | None:
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

    # ---- listing

    def __len__(self) -> int:
        return len(self._names)

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the order of their names."""
        return (BundleEntry(self, record) for record in self._records(0))

    def find_prefix(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose names begin with `prefix`, in order."""
        for record in self._records(bisect_left(self._names, prefix)):
            if not record.name.startswith(prefix):
                return
            yield BundleEntry(self, record)

    def _records(self, start: int) -> Iterator[EntryRecord]:
        return islice(self._listed.values(), start, None)

    # ---- contents

    def read_member(self, name: str) -> bytes:
        """Return the content of a member.

        Raises:
            DamagedMember: It cannot be read.
            LimitExceeded: It is larger than `max_read`; then it is not inflated.
        """
        member = self._zip.members.get(name)
        if member is not None and member.size > self.max_read:
            self._zip.read_head(name, 0)  # says so where the directory shows that it cannot be read
            raise LimitExceeded(self.file, "read", member.size, self.max_read, member=name)
        return self._zip.read(name)

    def read_frame(self, record: EntryRecord, number: int) -> bytes:  # noqa: ARG002  there is one
        """Return the content of an entry.

        Raises:
            DamagedMember: It cannot be read.
        """
        return self._zip.read(record.name)

    def complete(self, record: EntryRecord) -> EntryRecord:
        """Return an entry with what is found out from its content; it is read once.

        Args:
            record: What the manifest says of it.
        """
        complete = self._complete.get(record.name)
        if complete is None:
            complete = self._complete[record.name] = self._found_out(record)
        return complete

    def _found_out(self, record: EntryRecord) -> EntryRecord:
        try:
            content = self._zip.read(record.name)
        except DamagedMember as error:
            return record._replace(reason=error.reason)
        record = with_facts(record, facts_of(content, record.type, record.headers))
        if not content:
            return record
        member = self._zip.members[record.name]
        frame = FrameRecord(member.offset, member.compressed_size, member.crc.to_bytes(4, "little"), 0)
        return record._replace(frames=(frame,))

    # ---- identity

    def __reduce__(self) -> tuple[Callable[..., Pack], tuple[Any, ...]]:
        if isinstance(self.source, BytesSource):
            source: bytes | str = self.source.read(0, self.source.size)
        else:
            source = os.path.abspath(self.file)
        return _reopen, (source, self.max_read, self._limits, self.sha256)


def _reopen(source: str | bytes, max_read: int, limits: Limits, digest: bytes) -> BundlePack:
    pack = BundlePack(source, max_read=max_read, limits=limits)
    if pack.sha256 != digest:
        raise FormatError(
            pack.file, "another zip since it was pickled", found=pack.sha256.hex(), expected=digest.hex()
        )
    return pack
