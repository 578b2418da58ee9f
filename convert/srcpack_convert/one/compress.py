"""Contents of files on their way into a pack, and their frames (SPEC.md, "Content")."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import zstandard

from srcpack.format.frames import raw_checksum
from srcpack.format.head_tail import FRAME_HEADER, MAX_SKIPPED

__all__ = ["Compression", "Content"]


@dataclass(slots=True)
class Content:
    """A distinct content on its way into the pack.

    Attributes:
        data: Its bytes, until it is written.
        parts: How many frames it has.
        keep_raw: Store it as it is, whatever its frames would take.
        frames: The compressed ones, as far as they are done.
    """

    data: bytes
    parts: int
    keep_raw: bool
    frames: list[bytes] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to compress."""
        return self.keep_raw or len(self.frames) == self.parts

    @property
    def is_raw(self) -> bool:
        """Whether it is stored raw: asked for, or because its frames would not be smaller."""
        raw_size = len(self.data) + FRAME_HEADER.size
        return self.keep_raw or (sum(map(len, self.frames)) >= raw_size and len(self.data) <= MAX_SKIPPED)

    def checksum(self, number: int, frame_size: int) -> bytes:
        """Return the low 32 bits of the XXH64 of a part, as they end a zstd frame."""
        if self.is_raw:
            part = memoryview(self.data)[number * frame_size : (number + 1) * frame_size]
            return raw_checksum(part)
        return self.frames[number][-4:]

    def newlines_before(self, frame_size: int) -> list[int]:
        """Return how many line feeds come before each part."""
        before = [0]
        for number in range(self.parts - 1):
            start = number * frame_size
            before.append(before[-1] + self.data.count(b"\n", start, start + frame_size))
        return before


class Compression:
    """Compresses parts of contents, in any thread; each thread has a compressor of its own."""

    def __init__(self, level: int, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        self._level = level
        self._dictionary = dictionary
        self._local = threading.local()

    def compress(self, parts: Sequence[memoryview | bytes]) -> list[bytes]:
        """Return the frame of each part, with its size and its checksum."""
        compressor: zstandard.ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = zstandard.ZstdCompressor(
                level=self._level, dict_data=self._dictionary, write_checksum=True, write_content_size=True
            )
            self._local.compressor = compressor
        return [compressor.compress(part) for part in parts]
