"""Head, tail and the frames around the sections (SPEC.md, "The file", "Head" and "Tail").

Pure functions between bytes and values; nothing here does I/O. Each struct stands beside the NamedTuple
that its fields fill, in the order of the table in SPEC.md.
"""

from struct import Struct
from typing import NamedTuple

import xxhash

from srcpack.errors import FormatError, LimitExceeded
from srcpack.rules.lookup_keys import ALL_KINDS

__all__ = [
    "CONTENT",
    "DICTIONARY",
    "FRAME_HEADER",
    "HEAD_SIZE",
    "INDEX",
    "LOOKUPS",
    "MAGIC",
    "MANIFEST",
    "MAX_BLOCK",
    "MAX_BLOCK_ENTRIES",
    "MAX_DICTIONARY",
    "MAX_FRAME_SIZE",
    "MAX_SKIPPED",
    "MOST_MANIFEST_SHRUNK",
    "PACK_HEAD",
    "SKIPPABLE_MAGIC",
    "TAIL_SIZE",
    "VERSION",
    "Section",
    "Tail",
    "is_pack",
    "pack_frame_header",
    "pack_head",
    "pack_tail",
    "parse_frame_header",
    "parse_head",
    "parse_tail",
]

MAGIC = b"\x89SRC\r\n\x1a\n"
VERSION = (1, 0)
SKIPPABLE_MAGIC = 0x184D2A5B

CONTENT, MANIFEST, DICTIONARY, INDEX, LOOKUPS = 1, 2, 3, 4, 5
"""Section ids, in file order."""

MAX_BLOCK_ENTRIES = 1024
"""Most entries that a block of the manifest may have."""

MAX_BLOCK = 64 << 20
"""Most bytes that the attributes block or an entry block may unpack to."""

MOST_MANIFEST_SHRUNK = 8
"""What two to this power is for each byte of a manifest that its blocks together may unpack to.

`MAX_BLOCK` more is free. Verification takes time for all of it.
"""

MAX_DICTIONARY = 1 << 20
"""Most bytes that the dictionary may unpack to."""

MAX_FRAME_SIZE = 1 << 30
"""Largest `frame_size`, in bytes of content."""

FRAME_HEADER = Struct("<II")
MAX_SKIPPED = 0xFFFFFFFF
"""Most bytes that a skippable frame may hold."""

_HEAD = Struct("<II8sHHI")
HEAD_SIZE = _HEAD.size
PACK_HEAD = FRAME_HEADER.size + len(MAGIC)
"""How many of its first bytes show whether a file is a pack."""

_TAIL_FIELDS = Struct("<IIHHIQIIIIIIQQIIIII4x8s32s32s")
_SECTION = Struct("<IIQQ")
_SECTION_COUNT = 6
_TAIL_END = Struct("<Q8s")
_CHECKED_SIZE = _TAIL_FIELDS.size + _SECTION_COUNT * _SECTION.size
TAIL_SIZE = _CHECKED_SIZE + _TAIL_END.size


class Section(NamedTuple):
    """Where a section lies: `length` bytes from `offset` of the file, frame header included."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the section."""
        return self.offset + self.length


class Tail(NamedTuple):
    """The tail's fields, in file order, and the sections by their id."""

    file_length: int
    frame_size: int
    block_entries: int
    entry_count: int
    key_kinds: int
    bucket_count: int
    slot_count: int
    total_size: int
    content_size: int
    content_count: int
    damaged_count: int
    attributes_length: int
    dictionary_id: int
    dictionary_size: int
    seed: bytes
    dictionary_sha256: bytes
    sha256: bytes
    sections: dict[int, Section]

    @property
    def block_count(self) -> int:
        """Entry blocks in the manifest."""
        return -(-self.entry_count // self.block_entries)


def pack_frame_header(length: int) -> bytes:
    """Return the 8 bytes before `length` bytes that zstd skips."""
    return FRAME_HEADER.pack(SKIPPABLE_MAGIC, length)


def parse_frame_header(data: bytes, length: int, *, file: str, offset: int, what: str) -> None:
    """Check the 8 bytes at `offset` that precede `length` bytes of `what`."""
    if not 0 <= length <= MAX_SKIPPED:
        raise FormatError(file, f"length of the {what}", offset=offset, found=length)
    expected = pack_frame_header(length)
    if data != expected:
        found, wanted = data.hex(" "), expected.hex(" ")
        raise FormatError(file, f"frame header of the {what}", offset=offset, found=found, expected=wanted)


def pack_head() -> bytes:
    """Return the first bytes of every pack of this version."""
    return _HEAD.pack(SKIPPABLE_MAGIC, HEAD_SIZE - FRAME_HEADER.size, MAGIC, *VERSION, 0)


_HEAD_BYTES = pack_head()


def is_pack(head: bytes) -> bool:
    """Return whether a file that begins with these `PACK_HEAD` bytes is a pack of whatever version."""
    return head[FRAME_HEADER.size : PACK_HEAD] == MAGIC


def parse_head(data: bytes, *, file: str) -> tuple[int, int]:
    """Return the version, as (major, minor), of a file that begins with `data`."""
    if data == _HEAD_BYTES:
        return VERSION
    if len(data) < HEAD_SIZE:
        raise FormatError(file, "too short for a pack", found=f"{len(data)} bytes")
    magic, length, name, major, minor, flags = _HEAD.unpack_from(data)
    if name != MAGIC:
        raise FormatError(file, "not a pack: magic", offset=8, found=name.hex(" "), expected=MAGIC.hex(" "))
    if (magic, length) != (SKIPPABLE_MAGIC, HEAD_SIZE - FRAME_HEADER.size):
        parse_frame_header(data[:8], HEAD_SIZE - FRAME_HEADER.size, file=file, offset=0, what="head")
    _check_version(major, flags, file=file, offset=16)
    return major, minor


def pack_tail(tail: Tail) -> bytes:
    """Return the last `TAIL_SIZE` bytes of a pack."""
    *fields, seed, dictionary_sha256, sha256, sections = tail
    start = (SKIPPABLE_MAGIC, TAIL_SIZE - FRAME_HEADER.size, *VERSION, 0)
    checked = _TAIL_FIELDS.pack(*start, *fields, seed, dictionary_sha256, sha256)
    for id_, (offset, length) in sections.items():
        checked += _SECTION.pack(id_, 0, offset, length)
    checked = checked.ljust(_CHECKED_SIZE, b"\0")
    return checked + _TAIL_END.pack(xxhash.xxh64_intdigest(checked), MAGIC)


def parse_tail(data: bytes, *, file: str, file_length: int, version: tuple[int, int] | None) -> Tail:
    """Return the tail of a pack of `file_length` bytes that ends with `data`.

    `version` is the head's, which the tail's must equal; None where the head was not read.
    """
    start = file_length - TAIL_SIZE
    if len(data) != TAIL_SIZE:
        raise FormatError(file, "truncated: no room for a tail", found=f"{file_length} bytes")
    checksum, magic = _TAIL_END.unpack_from(data, _CHECKED_SIZE)
    if magic != MAGIC:
        raise FormatError(
            file, "truncated: no magic", offset=file_length - 8, found=magic.hex(" "), expected=MAGIC.hex(" ")
        )
    if checksum != (actual := xxhash.xxh64_intdigest(data[:_CHECKED_SIZE])):
        found, expected = f"{checksum:#018x}", f"{actual:#018x}"
        raise FormatError(
            file, "checksum of the tail", offset=start + _CHECKED_SIZE, found=found, expected=expected
        )
    frame_magic, length, major, minor, flags, *fields = _TAIL_FIELDS.unpack_from(data)
    if (frame_magic, length) != (SKIPPABLE_MAGIC, TAIL_SIZE - FRAME_HEADER.size):
        parse_frame_header(data[:8], TAIL_SIZE - FRAME_HEADER.size, file=file, offset=start, what="tail")
    _check_version(major, flags, file=file, offset=start + 8)
    if version is not None and (major, minor) != version:
        expected = f"the head's {version}"
        raise FormatError(
            file, "version in the tail", offset=start + 8, found=(major, minor), expected=expected
        )
    tail = Tail._make([*fields, _parse_sections(data, minor, file=file, start=start)])
    _check_tail(tail, data, minor, file=file, file_length=file_length)
    return tail


def _check_version(major: int, flags: int, *, file: str, offset: int) -> None:
    if major != VERSION[0]:
        raise FormatError(file, "major version", offset=offset, found=major, expected=VERSION[0])
    if flags:
        raise FormatError(
            file, "flags that this reader does not know", offset=offset + 4, found=f"{flags:#x}"
        )


def _parse_sections(data: bytes, minor: int, *, file: str, start: int) -> dict[int, Section]:
    sections: dict[int, Section] = {}
    position = HEAD_SIZE
    previous = 0
    for at in range(_TAIL_FIELDS.size, _CHECKED_SIZE, _SECTION.size):
        id_, zero, offset, length = _SECTION.unpack_from(data, at)
        if not id_:
            if any(data[at:_CHECKED_SIZE]):
                raise FormatError(file, "section table: bytes after its end", offset=start + at)
            break
        if id_ <= previous or zero or offset != position or length > start - position:
            found = f"{length} bytes at {offset}"
            expected = f"an id over {previous}, zeros, and bytes from {position} to {start} at most"
            raise FormatError(file, f"section {id_}", offset=start + at, found=found, expected=expected)
        if id_ > LOOKUPS and minor == VERSION[1]:
            raise FormatError(file, "section of a later version", offset=start + at, found=id_)
        sections[id_] = Section(offset, length)
        previous = id_
        position += length
    if position != start or not {CONTENT, MANIFEST, INDEX} <= sections.keys():
        found, expected = f"{sorted(sections)} up to {position}", f"1, 2 and 4 at least, up to {start}"
        raise FormatError(file, "sections", offset=start + _TAIL_FIELDS.size, found=found, expected=expected)
    return sections


def _check_tail(tail: Tail, data: bytes, minor: int, *, file: str, file_length: int) -> None:
    def wrong(problem: str, found: object, expected: object) -> FormatError:
        return FormatError(
            file, f"tail: {problem}", offset=file_length - TAIL_SIZE, found=found, expected=expected
        )

    if tail.file_length != file_length:
        raise wrong("file length", tail.file_length, f"{file_length}, the length of the file")
    if not 1 <= tail.frame_size <= MAX_FRAME_SIZE:
        raise wrong("frame size", tail.frame_size, f"1 to {MAX_FRAME_SIZE}")
    if not 1 <= tail.block_entries <= MAX_BLOCK_ENTRIES:
        raise wrong("entries in a block", tail.block_entries, f"1 to {MAX_BLOCK_ENTRIES}")
    if tail.damaged_count > tail.entry_count:
        raise wrong("damaged entries", tail.damaged_count, f"{tail.entry_count} at most")
    if tail.key_kinds > ALL_KINDS and minor == VERSION[1]:
        raise wrong("kinds of keys", f"{tail.key_kinds:#x}", f"bits of {ALL_KINDS:#x}")
    if not tail.bucket_count:
        raise wrong("buckets", 0, "at least 1")
    if any(data[_RESERVED_AT : _RESERVED_AT + 4]):
        raise wrong("reserved bytes", data[_RESERVED_AT : _RESERVED_AT + 4].hex(" "), "zeros")
    short = [
        id_ for id_, section in tail.sections.items() if id_ != CONTENT and section.length < FRAME_HEADER.size
    ]
    if short or tail.sections[MANIFEST].length < FRAME_HEADER.size + tail.attributes_length:
        raise wrong(
            "sections", f"{short or [MANIFEST]} too short", "a frame header, and the attributes block"
        )
    # All three or none, with the section or without.
    dictionary = [tail.dictionary_id > 0, tail.dictionary_size > 0, tail.dictionary_sha256 != bytes(32)]
    if dictionary != [DICTIONARY in tail.sections] * 3:
        raise wrong("dictionary id, size, SHA-256", dictionary, f"all {DICTIONARY in tail.sections}")
    if tail.dictionary_size > MAX_DICTIONARY:
        raise LimitExceeded(file, "dictionary size", tail.dictionary_size, MAX_DICTIONARY)


_RESERVED_AT = _TAIL_FIELDS.size - 32 - 32 - 8 - 4
