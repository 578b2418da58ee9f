"""Where a pack's bytes come from: a map of the file, `pread`, or bytes in memory.

Every access names its offset, so threads share a source without a cursor and without a lock. `close`
only drops the reference: a read that is under way in another thread has its own, and the last one
to go unmaps or closes. (Closing a descriptor under a reader could let it read another file that was
given the same number.)
"""

import mmap
import os
from abc import ABC, abstractmethod
from stat import S_ISREG
from typing import Final

from .errors import FormatError

__all__ = ["ByteSource", "BytesSource", "MmapSource", "PreadSource"]


class ByteSource(ABC):
    """Bytes at explicit offsets of something that does not change.

    Attributes:
        size: How many there are.
    """

    size: int

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`; fewer where the source ends.

        Raises:
            ValueError: The source was closed.
            OSError: The operating system could not read.
        """

    @abstractmethod
    def view(self, offset: int, length: int) -> memoryview:
        """Return those bytes without a copy where the source can, read-only."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the source; calling it again does nothing."""


class BytesSource(ByteSource):
    """A pack that is in memory."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data: bytes | None = data

    def _open(self) -> bytes:
        if self._data is None:
            raise ValueError("read of a closed pack")
        return self._data

    def read(self, offset: int, length: int) -> bytes:
        return self._open()[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self._open())[offset : offset + length]

    def close(self) -> None:
        self._data = None


class MmapSource(ByteSource):
    """A map of the file. The file must not be truncated or written over while it is open."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        descriptor = _Descriptor(path)
        self.size = descriptor.size
        # Mapping an empty file is an error; it is no pack either way, which the caller will say.
        self._map: mmap.mmap | bytes | None = b""
        if self.size:
            self._map = mmap.mmap(descriptor.number, self.size, access=mmap.ACCESS_READ)
            if hasattr(mmap, "MADV_RANDOM"):
                self._map.madvise(mmap.MADV_RANDOM)

    def read(self, offset: int, length: int) -> bytes:
        if (mapped := self._map) is None:
            raise ValueError("read of a closed pack")
        return mapped[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        if (mapped := self._map) is None:
            raise ValueError("read of a closed pack")
        return memoryview(mapped)[offset : offset + length]

    def close(self) -> None:
        self._map = None


class PreadSource(ByteSource):
    """Reads of the file by offset; safe where others may truncate it, and on network file systems."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._descriptor: _Descriptor | None = _Descriptor(path)
        self.size = self._descriptor.size

    def read(self, offset: int, length: int) -> bytes:
        if (descriptor := self._descriptor) is None:
            raise ValueError("read of a closed pack")
        data = os.pread(descriptor.number, length, offset)
        while len(data) < length and (
            more := os.pread(descriptor.number, length - len(data), offset + len(data))
        ):
            data += more
        return data

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))

    def close(self) -> None:
        self._descriptor = None


class _Descriptor:
    """A file descriptor that is closed when nobody has it any more."""

    __slots__ = ("number", "size")

    number: Final[int]
    size: Final[int]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self.number)
        if not S_ISREG(status.st_mode):
            raise FormatError(os.fspath(path), "not a regular file")
        self.size = status.st_size

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)
