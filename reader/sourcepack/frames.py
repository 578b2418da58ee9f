"""Decoding of zstd frames, checked before memory is taken (SPEC.md, "Content" and "Dictionary").

zstandard's one-shot `decompress` allocates what the frame's header claims, so the header is held
against what the manifest says first. A decompressor is not thread-safe: each thread has its own.
"""

import threading
from collections.abc import Callable
from hashlib import sha256

import zstandard

from .cache import Generations
from .errors import FormatError, LimitExceeded

__all__ = ["CHECKSUM_FLAG", "DECOMPRESSORS", "Decompressors", "Dictionary", "content_size", "decode_block"]

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
CHECKSUM_FLAG = 0x04
"""Set in the fifth byte of a zstd frame that ends with a checksum."""

_SMALLEST_FRAME = 4 + 2 + 3 + 4

_DICTIONARIES: Generations[bytes, "Dictionary"] = Generations(12 << 20)
"""By SHA-256, shared by all packs and threads; the limit is in bytes.

One of the usual 126 KiB takes longer to read, unpack and hash than 50 small files to decode, so the 100 to
200 used last are kept; but not 1,000 for 1,000 open packs.
"""

_DECOMPRESSORS_PER_THREAD = 32
"""A decompressor takes 15 KiB with its dictionary shared, and 8 microseconds to make."""


class Dictionary:
    """A trained dictionary whose SHA-256 was checked.

    Attributes:
        sha256: Of its bytes; what decompressors are kept by.
        data: What zstandard builds a decompressor from. It may be shared between threads once one was.
    """

    __slots__ = ("data", "sha256")

    def __init__(self, data: bytes) -> None:
        self.sha256 = sha256(data).digest()
        self.data = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
        # Digested here, while no other thread has it: building the first decompressor writes to it.
        zstandard.ZstdDecompressor(dict_data=self.data)

    @staticmethod
    def kept(digest: bytes) -> "Dictionary | None":
        """Return the dictionary of that SHA-256 if the process has it."""
        return _DICTIONARIES.get(digest)

    def keep(self) -> None:
        """Let `kept` find it."""
        _DICTIONARIES.put(self.sha256, self, len(self.data))


class Decompressors(threading.local):
    """A thread's decompressors: one without a dictionary, some by dictionary, and the one used last.

    Attributes:
        last_sha256: What the last one was asked for by; packs compare it by identity.
        last: The last one.
    """

    def __init__(self) -> None:
        self.plain = zstandard.ZstdDecompressor()
        self.last_sha256: bytes | None = None
        self.last = self.plain
        self._by_dictionary: Generations[bytes, zstandard.ZstdDecompressor] = Generations(
            _DECOMPRESSORS_PER_THREAD
        )

    def use(self, sha256: bytes | None, load: Callable[[], Dictionary]) -> zstandard.ZstdDecompressor:
        """Return the decompressor for the dictionary of a SHA-256, or for none, and make it the last.

        `load` gives the dictionary where this thread has no decompressor for it.
        """
        if sha256 is None:
            decompressor = self.plain
        elif (kept := self._by_dictionary.get(sha256)) is not None:
            decompressor = kept
        else:
            decompressor = zstandard.ZstdDecompressor(dict_data=load().data)
            self._by_dictionary.put(sha256, decompressor)
        self.last, self.last_sha256 = decompressor, sha256
        return decompressor


DECOMPRESSORS = Decompressors()


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

    Args:
        frame: Exactly the frame.
        limit: Most bytes that it may hold.
        what: Name of the structure, for messages.
        file: The pack, for messages.
        offset: Of the frame in the file, for messages.

    Raises:
        FormatError: The frame is damaged.
        LimitExceeded: Its header claims more than `limit`.
    """
    size = content_size(frame)
    if size < 1 or len(frame) < _SMALLEST_FRAME or not frame[4] & CHECKSUM_FLAG:
        raise FormatError(
            file,
            f"{what}: frame",
            offset=offset,
            found=frame[:8].hex(" "),
            expected="a zstd frame with content size and checksum",
        )
    if size > limit:
        raise LimitExceeded(file, f"{what} at offset {offset}: unpacked size", size, limit)
    try:
        return DECOMPRESSORS.plain.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(file, f"{what}: {error}", offset=offset) from error
