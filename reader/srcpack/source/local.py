"""Where a pack's bytes come from: a map of the file, `pread`, or bytes in memory.

Every access names its offset, so threads share a source without a cursor and without a lock. `close`
only drops the reference: a read that is under way in another thread has its own, and the last one
to go unmaps or closes. (Closing a descriptor under a reader could let it read another file that was
given the same number.)
"""

import mmap
import os
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from srcpack.errors import FormatError
from srcpack.source.open_file import HAS_PREAD, OpenFile

__all__ = ["CLOSED", "ByteSource", "BytesSource", "MmapSource", "PreadSource"]

CLOSED = "read of a closed pack"
"""What the ValueError of a read after `close` says."""


class ByteSource(ABC):
    """Bytes at explicit offsets of something that does not change.

    Attributes:
        size: How many there are.
        distant: Whether each read costs a request, so that fewer and larger ones are better.
        replaced: Whether a distant one was found to be another than the one that was opened, or gone.
    """

    distant: ClassVar[bool] = False
    replaced = False
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

    def keep(self, offset: int) -> None:  # noqa: B027  most have nothing to keep
        """Say that what lies from `offset` on is worth keeping once it was read."""

    def ahead(self, offset: int, length: int) -> AbstractContextManager[None]:  # noqa: ARG002
        """Say that this thread reads these bytes, or most of them, inside the `with`, from first to last."""
        return nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Let go of the source; calling it again does nothing."""


class BytesSource(ByteSource):
    """A pack that is in memory; of a `bytearray` or `memoryview`, which can change, a copy is taken."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data: bytes | None = data if isinstance(data, bytes) else bytes(data)
        self.size = len(self._data)

    def _open(self) -> bytes:
        if self._data is None:
            raise ValueError(CLOSED)
        return self._data

    def read(self, offset: int, length: int) -> bytes:
        return self._open()[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self._open())[offset : offset + length]

    def close(self) -> None:
        self._data = None


class MmapSource(ByteSource):
    """A map of the file. The file must not be truncated or written over while it is open.

    Touching a page of a map for the first time costs several microseconds, and 64 KiB that the system counts
    as the process's own: for a pack of which little is read, that is more than `pread` costs. So the
    file is mapped at the first large read or view, or after a number of small reads. Where that is refused
    (by a file system without shared maps, at the limit of maps or of open files) it goes on by `pread`.
    """

    _SMALL_READS = 64
    _SMALL = 256 << 10

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._descriptor: OpenFile | None = OpenFile.at(path)
        self.size = self._descriptor.size
        self._map: mmap.mmap | None = None
        self._small_reads = 0 if HAS_PREAD else self._SMALL_READS
        self._refused = False
        self._closed = False

    def read(self, offset: int, length: int) -> bytes:
        if (mapped := self._map) is None:
            descriptor = self._descriptor
            if descriptor is not None and length <= self._SMALL and self._small_reads < self._SMALL_READS:
                self._small_reads += 1
                return descriptor.read_at(offset, length)
            if (mapped := self._mapped()) is None:
                return self._unmapped().read_at(offset, length)
        return mapped[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        if (mapped := self._map) is None and (mapped := self._mapped()) is None:
            return memoryview(self._unmapped().read_at(offset, length))
        return memoryview(mapped)[offset : offset + length]

    def _mapped(self) -> mmap.mmap | None:
        """Map the file if it can be. Threads that do so at once each make a map, and the last one's stays."""
        descriptor = self._descriptor
        if self._closed or descriptor is None:
            if (mapped := self._map) is not None:
                return mapped
            raise ValueError(CLOSED)
        if self._refused:
            return None
        try:
            mapped = mmap.mmap(descriptor.number, self.size, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise FormatError(os.fspath(self._path), f"cut while it was open: {error}") from error
        except OSError as error:
            if error.errno is None:  # a timeout, say, that a signal handler raised
                raise
            self._refused = True
            return None
        if hasattr(mmap, "MADV_RANDOM"):
            mapped.madvise(mmap.MADV_RANDOM)
        self._map = mapped
        self._descriptor = None  # the map has a descriptor of its own, and one is enough
        if self._closed:
            self._map = None
        return mapped

    def _unmapped(self) -> OpenFile:
        if (descriptor := self._descriptor) is None:
            raise ValueError(CLOSED)
        return descriptor

    def close(self) -> None:
        self._closed = True
        self._map = self._descriptor = None


class PreadSource(ByteSource):
    """Reads of the file by offset; safe where others may truncate it, and on network file systems."""

    def __init__(self, path: str | os.PathLike[str] | OpenFile) -> None:
        self._descriptor: OpenFile | None = path if isinstance(path, OpenFile) else OpenFile.at(path)
        self.size = self._descriptor.size

    def read(self, offset: int, length: int) -> bytes:
        if (descriptor := self._descriptor) is None:
            raise ValueError(CLOSED)
        return descriptor.read_at(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))

    def close(self) -> None:
        self._descriptor = None
