"""Reading a SourceBundle: a zip, most often behind a header, with a `manifest.json`.

The same bundles open, and the same members can be read, as with symbolic a5980e8
(sourcebundle/mod.rs), which reads zips with the crate zip 7.2.0: see `zip_directory`. Inflating is zlib's.

What symbolic lacks is in `Limits`: sizes are checked as declared at open and again as they appear.
All reads are at explicit offsets, and by `pread`: under an `mmap` a file that shrinks kills the process.
"""

import io
import os
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from srcpack.bundle.lenient_manifest import parse_leniently
from srcpack.bundle.magic import BUNDLE_MAGIC, MAGIC_SIZE, is_source_bundle
from srcpack.bundle.manifest_json import MANIFEST_NAME, parse_manifest
from srcpack.bundle.zip_directory import LOCAL, LOCAL_MAGIC, Member, read_directory
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, NotFound
from srcpack.records import NOT_IN_ZIP, BundleManifest
from srcpack.rules.strict_json import shown
from srcpack.source.byte_source import ByteSource
from srcpack.source.local import BytesSource, PreadSource

__all__ = ["DEFAULT_LIMITS", "Limits", "Member", "SourceBundle"]

_STORED, _DEFLATED = 0, 8
# A deflate block cannot grow by more; so a larger declared size is a lie and is not waited for.
_MAX_INFLATION = 1032
_CHUNK = 1 << 20
# What a few bytes may cost in any case; more has to be in proportion to the size of the bundle. Uploaders
# write manifests that are not twice as large as their zip, with some twenty quotes and brackets a file.
_TOTAL_FREE = 64 << 20
_SHARED_FREE = 1 << 20
_MANIFEST_FREE, _MANIFEST_SHARE = 16 << 20, 50
_MARKS_FREE, _MARKS_SHARE = 100_000, 100
_MARKS = b'"[{'
_MISSING_FREE, _MISSING_SHARE = 10_000, 12_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a bundle may unpack to.

    Attributes:
        max_file_size: Uncompressed bytes of one member; a larger one cannot be read, the rest can.
        max_total_size: Uncompressed bytes of all members, as the directory declares them.
        max_manifest_size: Uncompressed bytes of `manifest.json`.
        max_total_ratio: Uncompressed bytes of all members for each byte of the bundle; applied where
            the total is over 64 MiB. The limits below are in proportion to it.
        max_files: Members of the zip, and files that the manifest lists.

    With the default ratio of 200, these have limits besides, for each byte of the bundle:

    - 200 bytes, and 1 MiB in any case, of members that are the bytes of another member once more, compressed
      and uncompressed together;
    - 4 bytes, and 16 MiB in any case, of the manifest, uncompressed;
    - 2, and 100,000 in any case, of quotes and opening brackets in the manifest, by which its values are
      counted before any takes memory;
    - 1/64, and 10,000 in any case, of files that the manifest lists and the zip does not have.
    """

    max_file_size: int = 1 << 30
    max_total_size: int = 16 << 30
    max_manifest_size: int = 256 << 20
    max_total_ratio: int = 200
    max_files: int = 500_000


DEFAULT_LIMITS = Limits()


class SourceBundle:
    """An open bundle; a context manager. Several threads may read from it at once.

    Unlike symbolic it takes a bare zip too.

    Attributes:
        file: The bundle as errors name it: the path as given, or `<bytes>`.
        source: Where its bytes come from.
        manifest: Its manifest.
        refused: Why symbolic refuses its manifest; None where it does not.
        members: The members by name; the last in the directory of those with one name. `manifest.json`
            and directories (`dir/`) only where the manifest lists them as files.
    """

    file: str
    source: ByteSource
    manifest: BundleManifest
    refused: str | None
    members: Mapping[str, Member]

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | ByteSource,
        *,
        limits: Limits = DEFAULT_LIMITS,
        lenient: bool = False,
    ) -> None:
        self._limits = limits
        self._lenient = lenient
        if isinstance(source, bytes):
            self.source: ByteSource = BytesSource(source)
        else:
            self.source = source if isinstance(source, ByteSource) else PreadSource(source)
        self.file = self.source.name
        self._size = self.source.size
        self._most = limits.max_total_ratio * self._size
        try:
            self._read_all_but_content()
        except BaseException:
            self.close()
            raise

    def _read_all_but_content(self) -> None:
        head = self._pread(0, MAGIC_SIZE)
        if not is_source_bundle(head):
            found = repr(head) if head else "an empty file"
            raise self._error("not a SourceBundle", 0, found, f"{BUNDLE_MAGIC!r} or a zip")
        self._directory_offset, by_name = read_directory(
            self.source, file=self.file, max_members=self._limits.max_files
        )
        starts = {member.offset for member in by_name.values()} | {self._directory_offset, self._size}
        self._starts = sorted(starts)
        self._stops: list[int] | None = None
        if MANIFEST_NAME not in by_name:
            # As of a folder that was zipped, and not what is in it.
            below = min(
                (name for name in by_name if name.endswith(f"/{MANIFEST_NAME}")), key=len, default=None
            )
            has = "" if below is None else f" at its top, but {shown(below)}"
            raise self._error(f"the zip has no manifest.json{has}")
        self._manifest_member = by_name[MANIFEST_NAME]
        self._check_total(by_name.values())
        max_missing = _MISSING_FREE + self._most // _MISSING_SHARE
        max_files = min(self._limits.max_files, len(by_name) + max_missing)
        data = self.read_manifest()
        if self._lenient:
            self.manifest, self.refused = parse_leniently(data, file=self.file, max_files=max_files)
        else:
            self.manifest = parse_manifest(data, file=self.file, max_files=max_files)
            self.refused = None
        listed = self.manifest.files
        missing = len(listed.keys() - by_name.keys())
        what = "the number of files that the manifest lists and the zip does not have"
        self._check(what, missing, max_missing)
        self.members = MappingProxyType(
            {
                name: member
                for name, member in by_name.items()
                if name in listed or not (name == MANIFEST_NAME or name.endswith("/"))
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a read that begins after that raises ValueError."""
        self.source.close()

    def read(self, name: str) -> bytes:
        """Read a member, and check its size and CRC; DamagedMember if that fails, or the zip lacks it."""
        member = self._readable(name)
        content = self._unpack(member, member.size + 1)
        if len(content) > member.size:
            reason = f"it unpacks to more than the {member.size:,} bytes that the directory says"
        elif len(content) < member.size:
            reason = f"it unpacks to {len(content):,} bytes, the directory says {member.size:,}"
        elif (crc := zlib.crc32(content)) != member.crc:
            reason = f"its CRC-32 is {crc:08x}, the directory says {member.crc:08x}"
        else:
            return content
        raise DamagedMember(self.file, name, reason)

    def read_head(self, name: str, size: int) -> bytes:
        """Read at most the first `size` bytes of a member, inflating no more; the CRC is not checked."""
        member = self._readable(name)
        return self._unpack(member, min(size, member.size))

    def read_manifest(self) -> bytes:
        """Read `manifest.json`. Its CRC is checked; its declared size is not, by symbolic neither."""
        member = self._manifest_member
        if member.encrypted or member.method not in (_STORED, _DEFLATED):
            raise self._error(f"{self._unreadable(member)}", member=MANIFEST_NAME)
        in_proportion = _MANIFEST_FREE + self._most // _MANIFEST_SHARE
        limit = min(self._limits.max_manifest_size, in_proportion)
        try:
            content = self._unpack(member, limit + 1)
        except DamagedMember as error:
            raise FormatError(self.file, error.reason, member=MANIFEST_NAME) from error
        what = "its size" if limit < in_proportion else f"its size, in a bundle of {self._size:,} bytes,"
        self._check(what, len(content), limit, member=MANIFEST_NAME)
        crc = zlib.crc32(content)
        if crc != member.crc:
            found, expected = f"{crc:08x}", f"{member.crc:08x}"
            raise self._error("its CRC-32 is wrong", found=found, expected=expected, member=MANIFEST_NAME)
        what = f"the number of quotes and brackets in it, in a bundle of {self._size:,} bytes,"
        marks = sum(map(content.count, _MARKS))
        self._check(what, marks, _MARKS_FREE + self._most // _MARKS_SHARE, member=MANIFEST_NAME)
        return content

    def _readable(self, name: str) -> Member:
        member = self.members.get(name)
        if member is None:
            if name in self.manifest.files:
                raise DamagedMember(self.file, name, NOT_IN_ZIP)
            raise NotFound(self.file, name)
        reason = self._unreadable(member)
        if reason is not None:
            raise DamagedMember(self.file, name, reason)
        return member

    def _unreadable(self, member: Member) -> str | None:
        """Say why a member cannot be read, as far as the directory shows it."""
        if member.encrypted:
            return "it is encrypted"
        if member.method not in (_STORED, _DEFLATED):
            return f"its compression method is {member.method}, not 0 (stored) or 8 (deflated)"
        if member.size > self._limits.max_file_size:
            return f"its size is {member.size:,}, over the limit of {self._limits.max_file_size:,}"
        packed = member.compressed_size
        if member.method == _STORED and packed != member.size:
            return f"it is stored in {packed:,} bytes, its size is {member.size:,}"
        packed = min(packed, self._size)
        if member.size > packed * _MAX_INFLATION:
            return f"its {packed:,} bytes cannot unpack to {member.size:,}"
        return None

    def _unpack(self, member: Member, limit: int) -> bytes:
        """Unpack at most `limit` bytes of a member.

        Its compressed size may be too large, but its content may not really come from the next member
        or the directory: what does could be a part of many members (a zip bomb after Fifield).
        """
        header = self._pread(member.offset, LOCAL.size)
        if len(header) < LOCAL.size:
            reason = f"its local header at offset {member.offset:,} is past the end"
            raise DamagedMember(self.file, member.name, reason)
        magic, *_, name_length, extra_length = LOCAL.unpack(header)
        if magic != LOCAL_MAGIC:
            reason = f"its local header at offset {member.offset:,} begins with {magic!r}"
            raise DamagedMember(self.file, member.name, reason)
        start = member.offset + LOCAL.size + name_length + extra_length
        end = start + member.compressed_size
        stop = self._stop(member.offset, end)
        if member.method == _DEFLATED:
            return self._inflate(member, start, end, stop, limit)
        if end > stop:
            raise DamagedMember(self.file, member.name, f"it overlaps what begins at offset {stop:,}")
        return self._pread(start, min(limit, end - start))

    def _stop(self, offset: int, end: int) -> int:
        """Find what a member that begins at an offset may not go past, where it says that it ends at `end`.

        That is the next header, the directory or the end of the file; not where there is none of
        these, since the offset of one member could then be a lie that makes others unreadable.
        """
        start = self._starts[bisect_right(self._starts, offset)]
        if end <= start:
            return start
        if self._stops is None:
            # Looked at once for all members, or many that lie would cost their square.
            self._stops = [
                start
                for start in self._starts
                if start in (self._directory_offset, self._size)
                or self._pread(start, len(LOCAL_MAGIC)) == LOCAL_MAGIC
            ]
        return self._stops[bisect_right(self._stops, offset)]

    def _inflate(self, member: Member, start: int, end: int, stop: int, limit: int) -> bytes:
        """Inflate at most `limit` bytes, and not past `stop` for any of the member's content.

        As in flate2, data without a final block is no error of its own, nor are bytes after it.
        """
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        if 0 < end - start <= _CHUNK and 0 < limit <= _CHUNK and end <= stop:
            # Nearly all are small: what is inflated at once needs no buffer.
            try:
                return inflater.decompress(self._pread(start, end - start), limit)
            except zlib.error as error:
                raise DamagedMember(self.file, member.name, f"it is not deflate data: {error}") from error
        content = io.BytesIO()
        packed = b""
        while (room := min(_CHUNK, limit - content.tell())) > 0 and not inflater.eof:
            try:
                piece = inflater.decompress(packed, room)
            except zlib.error as error:
                raise DamagedMember(self.file, member.name, f"it is not deflate data: {error}") from error
            content.write(piece)
            packed = inflater.unconsumed_tail
            if packed or len(piece) == room or inflater.eof:
                continue
            if stop <= start < end:
                raise DamagedMember(self.file, member.name, f"it overlaps what begins at offset {stop:,}")
            packed = self._pread(start, min(_CHUNK, min(stop, end) - start))
            start += len(packed)
            if not packed:
                break
        return content.getvalue()

    def _check(self, what: str, size: int, limit: int, *, member: str | None = None) -> None:
        if size > limit:
            raise LimitExceeded(self.file, what, size, limit, member=member)

    def _check_total(self, members: Iterable[Member]) -> None:
        total = shared = 0
        offsets = set()
        for member in members:
            if self._unreadable(member) is None:
                total += member.size
                # Only members that begin at one place can have bytes in common: see `_stop`.
                if member.offset in offsets:
                    shared += member.size + min(member.compressed_size, self._size)
                offsets.add(member.offset)
        self._check("the size of all members", total, self._limits.max_total_size)
        if total > _TOTAL_FREE:
            what = "the ratio of all members' size to the bundle's"
            self._check(what, -(-total // self._size), self._limits.max_total_ratio)
        self._check("the size of members that share their bytes", shared, _SHARED_FREE + self._most)

    def _pread(self, offset: int, size: int) -> bytes:
        # The kernel takes offsets and sizes of 63 bits only.
        size = min(size, self._size - offset)
        return self.source.read(offset, size) if size > 0 else b""

    def _error(
        self,
        problem: str,
        offset: int | None = None,
        found: object = None,
        expected: object = None,
        *,
        member: str | None = None,
    ) -> FormatError:
        return FormatError(self.file, problem, member=member, offset=offset, found=found, expected=expected)
