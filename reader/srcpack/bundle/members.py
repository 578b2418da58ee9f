"""Reading a SourceBundle: a zip, most often behind a header, with a `manifest.json`.

The same bundles open, and the same members can be read, as with symbolic a5980e8
(sourcebundle/mod.rs), which reads zips with the crate zip 7.2.0. The standard library's zipfile finds
another directory in some of them, or none: it takes a `PK 5 6` in the comment for the end record, goes by
the directory's size and not its count, cuts names at NUL, refuses names that are not UTF-8, and moves
a cursor. So the end record and the directory are read here by that crate's rules; inflating is zlib's.

What symbolic lacks is in `Limits`: sizes are checked as declared at open and again as they appear.
All reads are at explicit offsets, and by `pread`: under an `mmap` a file that shrinks kills the process.
"""

import io
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

from srcpack.bundle.manifest_json import MANIFEST_NAME, parse_manifest
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, NotFound
from srcpack.records import BundleManifest
from srcpack.source.local import ByteSource, BytesSource, PreadSource

__all__ = ["DEFAULT_LIMITS", "HEAD_SIZE", "Limits", "Member", "SourceBundle", "is_source_bundle"]

HEAD_SIZE = 4
"""How many of its first bytes show whether a file may be a SourceBundle."""

_BUNDLE_MAGIC = b"SYSB"
_END_MAGIC = b"PK\x05\x06"
_END64_MAGIC = b"PK\x06\x06"
_LOCATOR64_MAGIC = b"PK\x06\x07"
_CENTRAL_MAGIC = b"PK\x01\x02"
_LOCAL_MAGIC = b"PK\x03\x04"
# Magic, disk, disk of the directory, members on this disk, members, size, offset, comment length.
_END = struct.Struct("<4s4H2LH")
# Magic, disk of the directory, offset of the zip64 end record, disks.
_LOCATOR64 = struct.Struct("<4sLQL")
# Magic, size, versions, disk, disk of the directory, members on this disk, members, size, offset.
_END64 = struct.Struct("<4sQ2H2L4Q")
# Magic, versions, flags, method, time, date, CRC, sizes, lengths, disk, attributes, offset.
_CENTRAL = struct.Struct("<4s6H3L5H2L")
# Magic, version, flags, method, time, date, CRC, sizes, lengths.
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA = struct.Struct("<2H")
# Version, CRC-32 of what it stands for.
_UNICODE = struct.Struct("<BL")

_FLAG_ENCRYPTED = 1 << 0
_FLAG_UTF8 = 1 << 11
_STORED, _DEFLATED, _AES = 0, 8, 99
_EXTRA_ZIP64, _EXTRA_AES = 0x0001, 0x9901
_EXTRA_NTFS, _EXTRA_TIMESTAMP = 0x000A, 0x5455
_EXTRA_UNICODE_PATH, _EXTRA_UNICODE_COMMENT = 0x7075, 0x6375
_NO_COUNT32, _NO_SIZE32 = 0xFFFF, 0xFFFFFFFF
_MAX_RECORD = _CENTRAL.size + 3 * 0xFFFF
# A deflate block cannot grow by more; so a larger declared size is a lie and is not waited for.
_MAX_INFLATION = 1032
_CHUNK = 1 << 20
_RATIO_FREE = 64 << 20
# How often a bundle is read at most if all its members are: more than once only where they overlap.
_MAX_READS = 4
# How many end records are looked at, and how many of them may ask for a search through the file,
# before it is given up: a file can hold millions.
_MAX_ENDS = 100_000
_MAX_SEARCHES = 16
# A few bytes of zip can be megabytes of manifest, and those cost more than to inflate. One that uploaders
# write is not twice as large as its zip, and has some twenty quotes and brackets for each file.
_MANIFEST_FREE = 16 << 20
_MANIFEST_SHARE = 50
_MARKS = b'"[{'
_MARKS_FREE = 2_000_000
_MARKS_PER_MEMBER = 50
_MISSING_FREE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a bundle may unpack to.

    Attributes:
        max_file_size: Uncompressed bytes of one member; a larger one cannot be read, the rest can.
        max_total_size: Uncompressed bytes of all members, as the directory declares them.
        max_manifest_size: Uncompressed bytes of `manifest.json`.
        max_total_ratio: Uncompressed bytes of all members for each byte of the bundle; applied where
            the total is over 64 MiB. For the manifest alone it is a 50th of that, applied over 16 MiB.
        max_files: Members of the zip, and files that the manifest lists. Of those that the zip does not
            have, a fifth of it, or 100,000 where that is more.

    Besides, the members may not share their bytes so that reading them all reads the bundle more than four
    times, where that is over 64 MiB; and the quotes and opening brackets in the manifest, by which its
    values can be counted before any takes memory, are at most 2,000,000 and 50 for each member.
    """

    max_file_size: int = 1 << 30
    max_total_size: int = 16 << 30
    max_manifest_size: int = 256 << 20
    max_total_ratio: int = 200
    max_files: int = 500_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the zip, as its directory declares it.

    Attributes:
        name: The name. Without the UTF-8 flag the bytes are cp437; with it, those that are not UTF-8
            become U+FFFD (zip 7.2.0 read.rs).
        size: Uncompressed bytes.
        compressed_size: Bytes in the zip.
        crc: CRC-32 of the uncompressed bytes.
        method: 0 is stored, 8 is deflated; no other can be read.
        encrypted: Whether it says that it is; none of those can be read.
        offset: Where its local header begins, in bytes from the start of the file.
    """

    name: str
    size: int
    compressed_size: int
    crc: int
    method: int
    encrypted: bool
    offset: int


class _Directory(NamedTuple):
    """Where the directory is, by an end record.

    Attributes:
        offset: Its first byte, from the start of the file.
        records: How many records it has.
        shift: What is to be added to the offsets in it.
    """

    offset: int
    records: int
    shift: int


class SourceBundle:
    """An open bundle; a context manager. Several threads may read from it at once.

    Unlike symbolic it takes a bare zip too.

    Args:
        source: A path, or the bytes of a bundle.
        limits: How much it may unpack to.

    Attributes:
        file: The bundle as errors name it: the path as given, or `<bytes>`.
        source: Where its bytes come from.
        manifest: Its manifest.
        members: The members by name; the last in the directory of those with one name. `manifest.json`
            and directories (`dir/`) only where the manifest lists them as files.

    Raises:
        FormatError: It is not a SourceBundle, or one that symbolic refuses.
        LimitExceeded: Its manifest, its number of files, or all members together are over a limit.
        OSError: The file cannot be opened.
    """

    file: str
    source: ByteSource
    manifest: BundleManifest
    members: Mapping[str, Member]

    def __init__(self, source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        if isinstance(source, bytes):
            self.file = "<bytes>"
            self.source = BytesSource(source)
        else:
            self.file = os.fspath(source)
            self.source = PreadSource(source)
        self._size = self.source.size
        try:
            self._read_all_but_content()
        except BaseException:
            self.close()
            raise

    def _read_all_but_content(self) -> None:
        head = self._pread(0, HEAD_SIZE)
        if not is_source_bundle(head):
            found = repr(head) if head else "an empty file"
            raise self._error("not a SourceBundle", 0, found, f"{_BUNDLE_MAGIC!r} or a zip")
        self._directory_offset, by_name = self._directory()
        starts = {member.offset for member in by_name.values()} | {self._directory_offset, self._size}
        self._starts = sorted(starts)
        self._stops: list[int] | None = None
        manifest = by_name.get(MANIFEST_NAME)
        if manifest is None:
            raise self._error("the zip has no manifest.json")
        self._check_total(by_name.values())
        self.manifest = parse_manifest(self._read_manifest(manifest, len(by_name)), file=self.file)
        listed, most = self.manifest.files, self._limits.max_files
        self._check_count("the number of files in the manifest", len(listed), most)
        missing = len(listed.keys() - by_name.keys())
        what = "the number of files that the manifest lists and the zip does not have"
        self._check_count(what, missing, max(_MISSING_FREE, most // 5))
        self.members = MappingProxyType(
            {
                name: member
                for name, member in by_name.items()
                if name in listed or not (name == MANIFEST_NAME or name.endswith("/"))
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a read that begins after that raises ValueError."""
        self.source.close()

    def read(self, name: str) -> bytes:
        """Read a member, and check its size and CRC.

        Raises:
            DamagedMember: It cannot be read, or is over `max_file_size`, or the manifest lists it and
                the zip does not have it.
            NotFound: Neither has it.
        """
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
        """Read at most the first `size` bytes of a member, inflating no more; the CRC is not checked.

        Raises:
            DamagedMember: As `read`, for what shows up so far.
            NotFound: As `read`.
        """
        member = self._readable(name)
        return self._unpack(member, min(size, member.size))

    def _readable(self, name: str) -> Member:
        member = self.members.get(name)
        if member is None:
            if name in self.manifest.files:
                raise DamagedMember(self.file, name, "the manifest lists it, the zip does not have it")
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
        header = self._pread(member.offset, _LOCAL.size)
        if len(header) < _LOCAL.size:
            reason = f"its local header at offset {member.offset:,} is past the end"
            raise DamagedMember(self.file, member.name, reason)
        magic, *_, name_length, extra_length = _LOCAL.unpack(header)
        if magic != _LOCAL_MAGIC:
            reason = f"its local header at offset {member.offset:,} begins with {magic!r}"
            raise DamagedMember(self.file, member.name, reason)
        start = member.offset + _LOCAL.size + name_length + extra_length
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
                or self._pread(start, len(_LOCAL_MAGIC)) == _LOCAL_MAGIC
            ]
        return self._stops[bisect_right(self._stops, offset)]

    def _inflate(self, member: Member, start: int, end: int, stop: int, limit: int) -> bytes:
        """Inflate at most `limit` bytes, and not past `stop` for any of the member's content.

        As in flate2, data without a final block is no error of its own, nor are bytes after it.
        """
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
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
            if start >= stop and start < end and content.tell() < member.size:
                raise DamagedMember(self.file, member.name, f"it overlaps what begins at offset {stop:,}")
            packed = self._pread(start, min(_CHUNK, (min(stop, end) if start < stop else end) - start))
            start += len(packed)
            if not packed:
                break
        return content.getvalue()

    def _check_count(self, what: str, count: int, limit: int, *, member: str | None = None) -> None:
        if count > limit:
            raise LimitExceeded(self.file, what, count, limit, member=member)

    def _check_total(self, members: Iterable[Member]) -> None:
        readable = [member for member in members if self._unreadable(member) is None]
        # Deflated data can be long and give nothing, and many members can be the same bytes of it.
        packed = sum(min(member.compressed_size, self._size) for member in readable)
        if packed > _RATIO_FREE:
            self._check_count("the compressed size of all members", packed, _MAX_READS * self._size)
        total = sum(member.size for member in readable)
        if total > self._limits.max_total_size:
            raise LimitExceeded(self.file, "the size of all members", total, self._limits.max_total_size)
        ratio = -(-total // self._size)
        if total > _RATIO_FREE and ratio > self._limits.max_total_ratio:
            what = "the ratio of all members' size to the bundle's"
            raise LimitExceeded(self.file, what, ratio, self._limits.max_total_ratio)

    def _read_manifest(self, member: Member, members: int) -> bytes:
        """Read the manifest of a bundle of so many members.

        Its CRC is checked; its declared size is not, by symbolic neither.
        """
        if member.encrypted or member.method not in (_STORED, _DEFLATED):
            raise self._error(f"{self._unreadable(member)}", member=MANIFEST_NAME)
        by_ratio = max(_MANIFEST_FREE, self._limits.max_total_ratio * self._size // _MANIFEST_SHARE)
        limit = min(self._limits.max_manifest_size, by_ratio)
        try:
            content = self._unpack(member, limit + 1)
        except DamagedMember as error:
            raise FormatError(self.file, error.reason, member=MANIFEST_NAME) from error
        if len(content) > limit:
            what = "its size" if limit < by_ratio else f"its size, in a bundle of {self._size:,} bytes,"
            raise LimitExceeded(self.file, what, len(content), limit, member=MANIFEST_NAME)
        crc = zlib.crc32(content)
        if crc != member.crc:
            found, expected = f"{crc:08x}", f"{member.crc:08x}"
            raise self._error("its CRC-32 is wrong", found=found, expected=expected, member=MANIFEST_NAME)
        marks = sum(map(content.count, _MARKS))
        limit = _MARKS_FREE + _MARKS_PER_MEMBER * members
        self._check_count("the number of quotes and brackets in it", marks, limit, member=MANIFEST_NAME)
        return content

    def _directory(self) -> tuple[int, dict[str, Member]]:
        """Find and read the directory: that of the last end record that has a right one."""
        first_error: FormatError | None = None
        self._searches = self._records = 0
        for at in islice(self._signatures_before(_END_MAGIC, self._size), _MAX_ENDS):
            try:
                directory = self._locate_directory(at)
                return directory.offset, self._read_directory(directory)
            except FormatError as error:
                first_error = first_error or error
        if first_error is None:
            raise self._error("the zip has no end record", found=f"no {_END_MAGIC!r} in {self._size:,} bytes")
        raise first_error

    def _locate_directory(self, at: int) -> _Directory:
        """Go by the end record at an offset (zip 7.2.0 spec.rs, `find_central_directory`)."""
        record = self._pread(at, _END.size)
        if len(record) < _END.size:
            raise self._error("the end record is cut off", at)
        _, disk, directory_disk, count_here, count, _, offset, comment = _END.unpack(record)
        if at + _END.size + comment > self._size:
            raise self._error("the end record's comment goes past the end", at)
        if count == _NO_COUNT32 or offset == _NO_SIZE32:
            directory = self._locate_directory64(at)
            if directory is not None:
                return directory
        if disk != directory_disk:
            raise self._error("the zip is one of several parts", at)
        if count == 0:
            return _Directory(max(offset, at), count_here, 0)
        if offset >= at:
            raise self._error("the directory's offset is past its end record", at, f"{offset:,}")
        start = next(self._signatures_after(_CENTRAL_MAGIC, offset, at), None)
        if start is None:
            raise self._error("there is no directory where the end record says", offset)
        return _Directory(start, count_here, start - offset)

    def _locate_directory64(self, at: int) -> _Directory | None:
        """Go by the zip64 end record, if there is a locator for one before the end record at an offset."""
        locator_at = at - _LOCATOR64.size
        record = self._pread(locator_at, _LOCATOR64.size) if locator_at >= 0 else b""
        if not record.startswith(_LOCATOR64_MAGIC):
            return None
        _, locator_disk, end_offset, disks = _LOCATOR64.unpack(record)
        if end_offset >= locator_at or disks > 1:
            raise self._error("the zip64 locator is wrong", locator_at)
        for end_at in islice(self._signatures_after(_END64_MAGIC, end_offset, locator_at), _MAX_ENDS):
            record = self._pread(end_at, _END64.size)
            if end_at + _END64.size > locator_at:
                break
            _, size, _, _, disk, directory_disk, count_here, count, _, offset = _END64.unpack(record)
            right = directory_disk == locator_disk and size + 12 == locator_at - end_at
            if right and offset + count * _CENTRAL.size <= end_at:
                if disk != directory_disk or count_here > count:
                    raise self._error("the zip is one of several parts", end_at)
                return _Directory(offset + end_at - end_offset, count, end_at - end_offset)
        raise self._error("there is no right zip64 end record where its locator says", end_offset)

    def _read_directory(self, directory: _Directory) -> dict[str, Member]:
        by_name: dict[str, Member] = {}
        at, window, window_at = directory.offset, b"", directory.offset
        most = self._limits.max_files
        for _ in range(directory.records):
            # Each end record could lead to the same long directory that is wrong in its last record.
            self._records += 1
            if self._records > 2 * most:
                self._check_count("the number of records in its directories", self._records, 2 * most)
            if at + _MAX_RECORD > window_at + len(window) and window_at + len(window) < self._size:
                window, window_at = self._pread(at, _CHUNK), at
            begin = at - window_at
            record = window[begin : begin + _CENTRAL.size]
            if len(record) < _CENTRAL.size or not record.startswith(_CENTRAL_MAGIC):
                raise self._error(
                    "a record of the directory is missing", at, repr(record[:4]), repr(_CENTRAL_MAGIC)
                )
            _, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, _, offset = _CENTRAL.unpack(
                record
            )
            name_length, extra_length, comment_length = lengths
            name_end = begin + _CENTRAL.size + name_length
            extra_end = name_end + extra_length
            if extra_end + comment_length > len(window):
                raise self._error("a record of the directory goes past the end", at)
            raw_name = window[begin + _CENTRAL.size : name_end]
            encoding = "utf-8" if flags & _FLAG_UTF8 else "cp437"
            name = raw_name.decode(encoding, "replace")
            comment = window[extra_end : extra_end + comment_length].decode(encoding, "replace").encode()
            aes = False
            for kind, body in self._extras(window[name_end:extra_end], at):
                if not _is_right(kind, body, comment if kind == _EXTRA_UNICODE_COMMENT else raw_name):
                    raise self._error(f"the extra field 0x{kind:04x} of a member is wrong", at)
                if kind == _EXTRA_ZIP64:
                    size, packed, offset = self._zip64(body, (size, packed, offset), at)
                elif kind == _EXTRA_UNICODE_PATH:
                    raw_name = body[_UNICODE.size :]
                    name = raw_name.decode()
                elif kind == _EXTRA_UNICODE_COMMENT:
                    comment = body[_UNICODE.size :]
                elif kind == _EXTRA_AES:
                    aes = True
            if method == _AES and not aes:
                raise self._error("a member has method 99 (AES) without the extra field for it", at)
            by_name[name] = Member(
                name=name,
                size=size,
                compressed_size=packed,
                crc=crc,
                method=method,
                encrypted=bool(flags & _FLAG_ENCRYPTED) or aes,
                offset=offset + directory.shift,
            )
            if len(by_name) > most:
                self._check_count("the number of members", len(by_name), most)
            at = window_at + extra_end + comment_length
        return by_name

    def _extras(self, extra: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        """Go over the extra fields of the directory's record at an offset; one byte more is padding."""
        begin = 0
        while begin < len(extra) - 1:
            end = begin + _EXTRA.size
            if end > len(extra):
                raise self._error("the last extra field of a member is cut off", at)
            kind, length = _EXTRA.unpack_from(extra, begin)
            begin = end + length
            if begin > len(extra):
                raise self._error("the last extra field of a member is cut off", at)
            yield kind, extra[end:begin]

    def _zip64(self, body: bytes, fields: tuple[int, int, int], at: int) -> tuple[int, int, int]:
        """Take the 64-bit sizes and offset, those that the record leaves open or all three."""
        values = []
        taken = 0
        for field in fields:
            value = field
            if field == _NO_SIZE32 or len(body) >= 3 * 8:
                if len(body) < taken + 8:
                    raise self._error(
                        "the zip64 field of a member is too short", at, found=f"{len(body)} bytes"
                    )
                value = int.from_bytes(body[taken : taken + 8], "little")
                taken += 8
            values.append(value)
        return (values[0], values[1], values[2])

    def _signatures_before(self, signature: bytes, end: int) -> Iterator[int]:
        """Find a signature from an offset backwards."""
        while end > 0:
            start = max(0, end - _CHUNK)
            block = self._pread(start, end - start + len(signature) - 1)
            found = len(block)
            while (found := block.rfind(signature, 0, found + len(signature) - 1)) >= 0:
                yield start + found
            end = start

    def _signatures_after(self, signature: bytes, start: int, end: int) -> Iterator[int]:
        """Find a signature from an offset up to another."""
        self._searches += 1
        if self._searches > _MAX_SEARCHES:
            return
        while start < end:
            block = self._pread(start, min(_CHUNK, end - start) + len(signature) - 1)
            found = block.find(signature)
            while found >= 0:
                yield start + found
                found = block.find(signature, found + 1)
            start += _CHUNK

    def _pread(self, offset: int, size: int) -> bytes:
        """Read bytes at an offset; fewer at the end of the file."""
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


def is_source_bundle(head: bytes) -> bool:
    """Return whether a file that begins with these `HEAD_SIZE` bytes is to be read as a SourceBundle."""
    return head in (_BUNDLE_MAGIC, _LOCAL_MAGIC, _END_MAGIC)


def _is_right(kind: int, body: bytes, replaced: bytes) -> bool:
    """Check an extra field of the kinds that zip 7.2.0 (src/extra_fields) knows.

    Args:
        kind: Its kind.
        body: Its bytes.
        replaced: The bytes that it stands for, where it is the name or comment in Unicode.
    """
    if kind == _EXTRA_NTFS:
        return len(body) == 32 and body[4:8] == b"\x01\0\x18\0"
    if kind == _EXTRA_TIMESTAMP:
        return len(body) == 5 or (bool(body) and len(body) == 1 + 4 * body[0].bit_count())
    if kind == _EXTRA_AES:
        return len(body) == 7 and body[:4] in (b"\x01\0AE", b"\x02\0AE") and body[4] in (1, 2, 3)
    if kind in (_EXTRA_UNICODE_PATH, _EXTRA_UNICODE_COMMENT):
        try:
            body[_UNICODE.size :].decode()
        except UnicodeDecodeError:
            return False
        return len(body) >= _UNICODE.size and _UNICODE.unpack_from(body)[1] == zlib.crc32(replaced)
    return True
