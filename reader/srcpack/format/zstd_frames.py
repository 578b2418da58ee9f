"""Decoding of zstd frames, checked before memory is taken (SPEC.md, "Content" and "Dictionary").

zstandard's one-shot `decompress` allocates what the frame's header claims, so the header is held
against what the manifest says first.
"""

from collections import deque
from contextlib import suppress
from hashlib import sha256
from weakref import ref

import xxhash
import zstandard

from srcpack.caches import Generations
from srcpack.errors import FormatError, LimitExceeded
from srcpack.records import FrameRecord
from srcpack.source.byte_source import ByteSource

from .head_tail import DICTIONARY, FRAME_HEADER, MAX_DICTIONARY, Tail

__all__ = [
    "CHECKSUM_FLAG",
    "DICTIONARIES",
    "MOST_SHRUNK",
    "PLAIN",
    "Decompressors",
    "Dictionary",
    "check_raw",
    "content_size",
    "decode_block",
    "frame_bound",
    "raw_checksum",
    "read_dictionary",
    "shared_dictionary",
    "wrong_frame",
]

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
CHECKSUM_FLAG = 0x04
"""Set in the fifth byte of a zstd frame that ends with a checksum."""

MOST_SHRUNK = 15
"""Each byte of a frame holds less than two to this power of content.

zstd needs 4 bytes for each 128 KiB, and a header; so what a read takes is bounded by what is there.
"""

_SMALLEST_FRAME = 4 + 2 + 3 + 4

DICTIONARIES: Generations[object, "Dictionary"] = Generations(9 << 20)
"""Shared by all packs and threads; the limit is in bytes.

By an object that stands for the pack that it was read from; by the SHA-256 that this pack claims, in a tuple;
and, once it was found to have it, by the SHA-256, for all packs that claim it.

One of the usual 126 KiB takes longer to read and unpack than 50 small files to decode, so the 60 to 120 used
last are kept; but not 1,000 for 1,000 open packs.
"""

_DICTIONARY_COST = 32 << 10
"""Bytes that a dictionary takes beside its own: libzstd's tables."""

_MADE: deque[ref[deque[zstandard.ZstdDecompressor]]] = deque()
"""Where decompressors wait, once for each that was made; the oldest is let go when there are too many."""

_MOST_MADE = 256
"""Each takes 24 KiB when it has decoded small contents, and 94 KiB after large ones."""


class Decompressors:
    """Decompressors of one dictionary, or of none, that wait to be used by any thread.

    A decompressor is for one thread at a time: it is taken from here and put back. Making one takes as long
    as decoding a few small files, so those that were made last are kept, for all dictionaries together.
    """

    __slots__ = ("_dictionary", "_idle")

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None = None) -> None:
        self._dictionary = dictionary
        self._idle: deque[zstandard.ZstdDecompressor] = deque()
        # Digested here, while no other thread has it: building the first decompressor writes to it.
        self._idle.append(self._made())

    def decompress(self, frame: bytes) -> bytes:
        """Return the content of just one frame; its size is allocated, and so was checked before.

        Raises ZstdError if it is damaged, has no content size, or has bytes after it.
        """
        try:
            decompressor = self._idle.pop()
        except IndexError:
            decompressor = self._made()
        content = decompressor.decompress(frame, 0, False, False)  # no second frame, no bytes after it
        self._idle.append(decompressor)
        return content

    def _made(self) -> zstandard.ZstdDecompressor:
        """Return a new one, and let the oldest go if there are too many."""
        _MADE.append(ref(self._idle))
        if len(_MADE) > _MOST_MADE and (idle := _MADE.popleft()()):
            with suppress(IndexError):  # it is in use
                idle.popleft()
        return zstandard.ZstdDecompressor(dict_data=self._dictionary)


PLAIN = Decompressors()
"""What decodes frames without a dictionary."""


class Dictionary(Decompressors):
    """A trained dictionary, with what decodes frames by it.

    Attributes:
        data: The dictionary, as zstandard has it.
    """

    __slots__ = ("_sha256", "data")

    def __init__(self, data: bytes) -> None:
        self.data: zstandard.ZstdCompressionDict = zstandard.ZstdCompressionDict(
            data, dict_type=zstandard.DICT_TYPE_FULLDICT
        )
        self._sha256: bytes | None = None
        super().__init__(self.data)

    @property
    def sha256(self) -> bytes:
        """Of its bytes; worked out when it is first asked for."""
        if self._sha256 is None:
            self._sha256 = sha256(self.data.as_bytes()).digest()
        return self._sha256

    @property
    def cost(self) -> int:
        """Bytes that it takes, about."""
        return len(self.data) + _DICTIONARY_COST


def content_size(frame: bytes) -> int:
    """Return the content size in a frame's header; -1 if it has none or is no zstd frame."""
    if frame[:4] != _ZSTD_MAGIC:
        return -1
    try:
        return zstandard.frame_content_size(frame)
    except zstandard.ZstdError:
        return -1


def decode_block(frame: bytes, limit: int, *, what: str, file: str, offset: int) -> bytes:
    """Return the content of a frame that carries its own size and checksum: a block or the dictionary.

    The frame holds `limit` bytes at most; `what` names the structure in messages.
    """
    size = content_size(frame)
    if size < 1 or len(frame) < _SMALLEST_FRAME or not frame[4] & CHECKSUM_FLAG:
        found, expected = frame[:8].hex(" "), "a zstd frame with content size and checksum"
        raise FormatError(file, f"{what}: frame", offset=offset, found=found, expected=expected)
    if size > limit:
        raise LimitExceeded(file, f"{what} at offset {offset}: unpacked size", size, limit)
    if size >> MOST_SHRUNK >= len(frame):
        found, expected = f"{len(frame)} bytes", f"more for {size}"
        raise FormatError(file, f"{what}: frame", offset=offset, found=found, expected=expected)
    try:
        return PLAIN.decompress(frame)
    except zstandard.ZstdError as error:
        raise FormatError(file, f"{what}: {error}", offset=offset) from error


def raw_checksum(data: bytes | memoryview) -> bytes:
    """Return the low 32 bits of the XXH64 of a part of a raw content, as they would end a zstd frame."""
    return xxhash.xxh64_digest(data)[:3:-1]


def check_raw(data: bytes | memoryview, frame: FrameRecord, *, file: str, member: str) -> None:
    """Check a part of a raw content against its checksum."""
    checksum = raw_checksum(data)
    if checksum != frame.checksum or len(data) != frame.length:
        found, expected, what = checksum.hex(), frame.checksum.hex(), "checksum of raw content"
        raise FormatError(file, what, member=member, offset=frame.offset, found=found, expected=expected)


def wrong_frame(data: bytes, size: int, frame: FrameRecord, *, file: str, member: str) -> FormatError:
    """Return the error of a frame that has not the content size and the checksum that it must have."""
    found = f"size {content_size(data)}, checksum {data[-4:].hex()}"
    expected = f"size {size}, checksum {frame.checksum.hex()}"
    return FormatError(file, "frame", member=member, offset=frame.offset, found=found, expected=expected)


def frame_bound(size: int) -> int:
    """Return the most bytes that a frame of `size` bytes of content may have."""
    return size + (size >> 7) + 128


def read_exactly(source: ByteSource, offset: int, length: int, *, file: str) -> bytes:
    """Read what head and tail say is there: the file may have been cut since."""
    data = source.read(offset, length)
    if len(data) != length:
        raise FormatError(
            file, "cut while it was open", offset=offset, found=len(data), expected=f"{length} bytes"
        )
    return data


def shared_dictionary(key: object, source: ByteSource, tail: Tail, *, file: str) -> tuple[object, Dictionary]:
    """Return a pack's dictionary, and the key by which `DICTIONARIES` has it; the process keeps the last few.

    A dictionary that another pack brought is used if it has the SHA-256 that this one's tail gives. Only for
    that is it hashed: what a pack has itself, its checksum guards. `key` is what stands for the pack.
    """
    kept = DICTIONARIES.get(key)
    if kept is not None:
        return key, kept
    digest = tail.dictionary_sha256
    shared = DICTIONARIES.get(digest)
    if shared is None:
        claimed = DICTIONARIES.get((digest,))
        if claimed is not None and claimed.sha256 == digest:
            shared = claimed
            DICTIONARIES.put(digest, shared, shared.cost)
    if shared is not None:
        return digest, shared
    dictionary = read_dictionary(source, tail, file=file)
    # Not the key that it had, which may be a SHA-256: nobody has seen yet that this one has it.
    key = object()
    DICTIONARIES.put(key, dictionary, dictionary.cost)
    DICTIONARIES.put((digest,), dictionary, 0)
    return key, dictionary


def read_dictionary(source: ByteSource, tail: Tail, *, file: str) -> Dictionary:
    """Read a pack's dictionary, even if the process has it already, and check it but for its SHA-256."""
    section = tail.sections.get(DICTIONARY)
    if section is None:
        raise FormatError(file, "this pack has no dictionary")
    length = section.length - FRAME_HEADER.size
    if length > frame_bound(MAX_DICTIONARY):
        raise LimitExceeded(file, "packed dictionary", length, frame_bound(MAX_DICTIONARY))
    offset = section.offset + FRAME_HEADER.size
    data = read_exactly(source, offset, length, file=file)
    data = decode_block(data, tail.dictionary_size, what="dictionary", file=file, offset=offset)
    try:
        dictionary = Dictionary(data)
    except zstandard.ZstdError as error:
        raise FormatError(file, f"dictionary: {error}", offset=offset) from error
    found = (len(data), dictionary.data.dict_id())
    expected = (tail.dictionary_size, tail.dictionary_id)
    if found != expected:
        raise FormatError(
            file, "size and id of the dictionary", offset=offset, found=found, expected=expected
        )
    return dictionary
