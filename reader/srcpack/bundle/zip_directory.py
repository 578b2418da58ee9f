"""The directory of a zip: the end record that leads to it, its records, and their extra fields.

It is found and read by the rules of the crate zip 7.2.0, by which symbolic reads zips. The standard library's
zipfile finds another directory in some files, or none: it takes a `PK 5 6` in the comment for the end
record, goes by the directory's size and not its count, cuts names at NUL, and refuses names that are not
UTF-8.

A file can have an end record every 22 bytes, and each of them can lead to a search, and to a directory that
is wrong in its last record only. So the bytes that are read are counted, each time they are read.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from srcpack.errors import FormatError, LimitExceeded
from srcpack.source.byte_source import ByteSource

__all__ = ["LOCAL", "LOCAL_MAGIC", "Directory", "Member", "read_directory"]

LOCAL_MAGIC = b"PK\x03\x04"
LOCAL = struct.Struct("<4s5H3L2H")
"""Local header: magic, version, flags, method, time, date, CRC, sizes, lengths."""

_END_MAGIC = b"PK\x05\x06"
_END64_MAGIC = b"PK\x06\x06"
_LOCATOR64_MAGIC = b"PK\x06\x07"
_CENTRAL_MAGIC = b"PK\x01\x02"
# Magic, disk, disk of the directory, members on this disk, members, size, offset, comment length.
_END = struct.Struct("<4s4H2LH")
# Magic, disk of the directory, offset of the zip64 end record, disks.
_LOCATOR64 = struct.Struct("<4sLQL")
# Magic, size, versions, disk, disk of the directory, members on this disk, members, size, offset.
_END64 = struct.Struct("<4sQ2H2L4Q")
# Magic, versions, flags, method, time, date, CRC, sizes, lengths, disk, attributes, offset.
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LENGTHS = slice(10, 13)  # of name, extra fields and comment, which follow
_EXTRA = struct.Struct("<2H")
# Version, CRC-32 of what it stands for.
_UNICODE = struct.Struct("<BL")

_FLAG_ENCRYPTED = 1 << 0
_FLAG_UTF8 = 1 << 11
_AES = 99
_EXTRA_ZIP64, _EXTRA_AES = 0x0001, 0x9901
_EXTRA_NTFS, _EXTRA_TIMESTAMP = 0x000A, 0x5455
_EXTRA_UNICODE_PATH, _EXTRA_UNICODE_COMMENT = 0x7075, 0x6375
_EXTRAS = frozenset(
    {_EXTRA_ZIP64, _EXTRA_AES, _EXTRA_NTFS, _EXTRA_TIMESTAMP, _EXTRA_UNICODE_PATH, _EXTRA_UNICODE_COMMENT}
)
_ZIP64_WHOLE = 3 * 8
_NO_COUNT32, _NO_SIZE32 = 0xFFFF, 0xFFFFFFFF

# Most often the first few bytes of what is looked for are enough.
_FIRST_CHUNK, _CHUNK = 4 << 10, 1 << 20
# Reads for each byte of the file, and how many bytes a small one counts for.
_MAX_READS = 4
_READS_FREE = 1 << 20
_LEAST_READ = 64


class Member(NamedTuple):
    """A member of the zip, as its directory declares it: `size` uncompressed, `offset` of its local header.

    Without the UTF-8 flag the name's bytes are cp437; with it, those that are not UTF-8 become U+FFFD (zip
    7.2.0 read.rs). Method 0 is stored, 8 is deflated; no other can be read, nor what is encrypted.
    """

    name: str
    size: int
    compressed_size: int
    crc: int
    method: int
    encrypted: bool
    offset: int


class Directory(NamedTuple):
    """The directory of a zip: its first byte, and the members by name; the last of those with one name."""

    offset: int
    members: dict[str, Member]


class _Place(NamedTuple):
    """Where a directory is, by an end record: first byte, records, what to add to the offsets in it."""

    offset: int
    records: int
    shift: int


def read_directory(source: ByteSource, *, file: str, max_members: int) -> Directory:
    """Find and read the directory: that of the last end record that has a right one.

    Raises FormatError if there is none, as the last end record shows; LimitExceeded if it has too many
    members, or if more than four times the bytes of the file, and 1 MiB, would have to be read.
    """
    return _Reader(source, file, max_members).directory()


class _Reader:
    def __init__(self, source: ByteSource, file: str, max_members: int) -> None:
        self._source = source
        self._size = source.size
        self._file = file
        self._max_members = max_members
        self._read = 0
        self._window, self._window_at = b"", 0
        self._chunk = _FIRST_CHUNK

    def directory(self) -> Directory:
        first_error: FormatError | None = None
        for at in self._signatures_before(_END_MAGIC, self._size):
            try:
                place = self._place(at)
                return Directory(place.offset, self._members(place))
            except FormatError as error:
                first_error = first_error or error
        if first_error is None:
            raise self._error("the zip has no end record", found=f"no {_END_MAGIC!r} in {self._size:,} bytes")
        raise first_error

    # ---- end records

    def _place(self, at: int) -> _Place:
        """Go by the end record at an offset (zip 7.2.0 spec.rs, `find_central_directory`)."""
        record = self._pread(at, _END.size)
        if len(record) < _END.size:
            raise self._error("the end record is cut off", at)
        _, disk, directory_disk, count_here, count, _, offset, comment = _END.unpack(record)
        if at + _END.size + comment > self._size:
            raise self._error("the end record's comment goes past the end", at)
        if count == _NO_COUNT32 or offset == _NO_SIZE32:
            place = self._place64(at)
            if place is not None:
                return place
        if disk != directory_disk:
            raise self._error("the zip is one of several parts", at)
        if count == 0:
            return _Place(max(offset, at), count_here, 0)
        if offset >= at:
            raise self._error("the directory's offset is past its end record", at, f"{offset:,}")
        start = next(self._signatures_after(_CENTRAL_MAGIC, offset, at), None)
        if start is None:
            raise self._error("there is no directory where the end record says", offset)
        return _Place(start, count_here, start - offset)

    def _place64(self, at: int) -> _Place | None:
        """Go by the zip64 end record, if there is a locator for one before the end record at an offset."""
        locator_at = at - _LOCATOR64.size
        record = self._pread(locator_at, _LOCATOR64.size) if locator_at >= 0 else b""
        if not record.startswith(_LOCATOR64_MAGIC):
            return None
        _, locator_disk, end_offset, disks = _LOCATOR64.unpack(record)
        if end_offset >= locator_at or disks > 1:
            raise self._error("the zip64 locator is wrong", locator_at)
        for end_at in self._signatures_after(_END64_MAGIC, end_offset, locator_at):
            if end_at + _END64.size > locator_at:
                break
            record = self._pread(end_at, _END64.size)
            _, size, _, _, disk, directory_disk, count_here, count, _, offset = _END64.unpack(record)
            right = directory_disk == locator_disk and size + 12 == locator_at - end_at
            if right and offset + count * _CENTRAL.size <= end_at:
                if disk != directory_disk or count_here > count:
                    raise self._error("the zip is one of several parts", end_at)
                return _Place(offset + end_at - end_offset, count, end_at - end_offset)
        raise self._error("there is no right zip64 end record where its locator says", end_offset)

    # ---- records

    def _members(self, place: _Place) -> dict[str, Member]:
        by_name: dict[str, Member] = {}
        at = place.offset
        self._window, self._chunk = b"", _FIRST_CHUNK
        for _ in range(place.records):
            begin = self._begin(at, _CENTRAL.size)
            found = self._window[begin : begin + len(_CENTRAL_MAGIC)]
            if len(self._window) - begin < _CENTRAL.size or found != _CENTRAL_MAGIC:
                raise self._error(
                    "a record of the directory is missing", at, repr(found), repr(_CENTRAL_MAGIC)
                )
            fields = _CENTRAL.unpack_from(self._window, begin)
            length = _CENTRAL.size + sum(fields[_LENGTHS])
            begin = self._begin(at, length)
            if len(self._window) - begin < length:
                raise self._error("a record of the directory goes past the end", at)
            member = self._member(
                fields, self._window[begin + _CENTRAL.size : begin + length], at, place.shift
            )
            by_name[member.name] = member
            if len(by_name) > self._max_members:
                raise LimitExceeded(self._file, "the number of members", len(by_name), self._max_members)
            at += length
        return by_name

    def _begin(self, at: int, size: int) -> int:
        """Return where in the window an offset is, with so many bytes after it, or all that there are."""
        begin = at - self._window_at
        if not self._window or begin + size > len(self._window):
            self._window, self._window_at = self._pread(at, max(size, self._chunk)), at
            self._chunk = min(2 * self._chunk, _CHUNK)
            return 0
        return begin

    def _member(self, fields: tuple[Any, ...], texts: bytes, at: int, shift: int) -> Member:
        """Make sense of a record: of its fields, and of what comes after these."""
        _, _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, _, _, _, _, offset = (
            fields
        )
        raw_name, raw_comment = texts[:name_length], texts[name_length + extra_length :]
        encoding = "utf-8" if flags & _FLAG_UTF8 else "cp437"
        name = raw_name.decode(encoding, "replace")
        comment = b""
        aes = False
        if extra_length:
            comment = raw_comment.decode(encoding, "replace").encode()
        for kind, body in self._extra_fields(texts[name_length : name_length + extra_length], at):
            if not _is_valid(kind, body, comment if kind == _EXTRA_UNICODE_COMMENT else raw_name):
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
        return Member(name, size, packed, crc, method, bool(flags & _FLAG_ENCRYPTED) or aes, offset + shift)

    def _extra_fields(self, extra: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        """Yield the extra fields that mean something of the record at an offset; one byte more is padding."""
        begin = 0
        while begin < len(extra) - 1:
            end = begin + _EXTRA.size
            if end > len(extra):
                raise self._error("the last extra field of a member is cut off", at)
            kind, length = _EXTRA.unpack_from(extra, begin)
            begin = end + length
            if begin > len(extra):
                raise self._error("the last extra field of a member is cut off", at)
            if kind in _EXTRAS:
                yield kind, extra[end:begin]

    def _zip64(self, body: bytes, fields: tuple[int, int, int], at: int) -> tuple[int, int, int]:
        """Take the 64-bit sizes and offset, those that the record leaves open or all three."""
        if _NO_SIZE32 not in fields and len(body) < _ZIP64_WHOLE:
            return fields
        values = []
        taken = 0
        for field in fields:
            value = field
            if field == _NO_SIZE32 or len(body) >= _ZIP64_WHOLE:
                if len(body) < taken + 8:
                    raise self._error(
                        "the zip64 field of a member is too short", at, found=f"{len(body)} bytes"
                    )
                value = int.from_bytes(body[taken : taken + 8], "little")
                taken += 8
            values.append(value)
        return (values[0], values[1], values[2])

    # ---- bytes

    def _signatures_before(self, signature: bytes, end: int) -> Iterator[int]:
        chunk = _FIRST_CHUNK
        while end > 0:
            start = max(0, end - chunk)
            block = self._pread(start, end - start + len(signature) - 1)
            found = len(block)
            while (found := block.rfind(signature, 0, found + len(signature) - 1)) >= 0:
                yield start + found
            end, chunk = start, min(2 * chunk, _CHUNK)

    def _signatures_after(self, signature: bytes, start: int, end: int) -> Iterator[int]:
        chunk = _FIRST_CHUNK
        while start < end:
            block = self._pread(start, min(chunk, end - start) + len(signature) - 1)
            found = block.find(signature)
            while found >= 0:
                yield start + found
                found = block.find(signature, found + 1)
            start, chunk = start + chunk, min(2 * chunk, _CHUNK)

    def _pread(self, offset: int, size: int) -> bytes:
        # The kernel takes offsets and sizes of 63 bits only.
        size = min(size, self._size - offset)
        self._read += max(size, _LEAST_READ)
        most = _MAX_READS * self._size + _READS_FREE
        if self._read > most:
            raise LimitExceeded(self._file, "the bytes read to find its directory", self._read, most)
        return self._source.read(offset, size) if size > 0 else b""

    def _error(
        self, problem: str, offset: int | None = None, found: str | None = None, expected: str | None = None
    ) -> FormatError:
        return FormatError(self._file, problem, offset=offset, found=found, expected=expected)


def _is_valid(kind: int, body: bytes, replaced: bytes) -> bool:
    """Check an extra field of the kinds that zip 7.2.0 (src/extra_fields) knows.

    `replaced` are the bytes that it stands for, where it is the name or comment in Unicode.
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
