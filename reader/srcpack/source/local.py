"""Bytes of a file, by a map or by `pread`, and bytes in memory."""

import mmap
import os

from srcpack.errors import FormatError, is_from_outside

from .byte_source import ByteSource
from .open_file import HAS_PREAD, OpenFile

__all__ = ["BytesSource", "MmapSource", "PreadSource"]


_MANY_PAGES = 64 << 10
"""Bytes of a map from which on it costs little to say that they are wanted."""


class BytesSource(ByteSource):
    """A pack that is in memory; of a `bytearray` or `memoryview`, which can change, a copy is taken."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.name = "<bytes>"
        self._data: bytes | None = data if isinstance(data, bytes) else bytes(data)
        self.size: int = len(self._data)

    def _open(self) -> bytes:
        if self._data is None:
            raise self.closed_error()
        return self._data

    def read(self, offset: int, length: int) -> bytes:
        return self._open()[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self._open())[offset : offset + length]

    def place(self) -> str | bytes:
        return self._open()

    def close(self) -> None:
        self.closed = True
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
        self.name: str = os.fspath(path)
        self._path = _absolute(self.name)
        self._descriptor: OpenFile | None = OpenFile.at(path)
        self.size: int = self._descriptor.size
        self._map: mmap.mmap | None = None
        self._small_reads = 0 if HAS_PREAD else self._SMALL_READS
        self._refused = False

    def read(self, offset: int, length: int) -> bytes:
        if (mapped := self._map) is None:
            descriptor = self._descriptor
            if descriptor is not None and length <= self._SMALL and self._small_reads < self._SMALL_READS:
                self._small_reads += 1
                return descriptor.read_at(offset, length)
            if (mapped := self._mapped()) is None:
                return self._unmapped().read_at(offset, length)
        if length > _MANY_PAGES:
            _will_need(mapped, offset, length)
        return mapped[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        if (mapped := self._map) is None and (mapped := self._mapped()) is None:
            return memoryview(self._unmapped().read_at(offset, length))
        if length > _MANY_PAGES:
            _will_need(mapped, offset, length)
        return memoryview(mapped)[offset : offset + length]

    def _mapped(self) -> mmap.mmap | None:
        """Map the file if it can be. Threads that do so at once each make a map; the last one stays."""
        descriptor = self._descriptor
        if self.closed or descriptor is None:
            if (mapped := self._map) is not None:
                return mapped
            raise self.closed_error()
        if self._refused:
            return None
        try:
            mapped = mmap.mmap(descriptor.number, self.size, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise FormatError(self.name, f"cut while it was open: {error}") from error
        except OSError as error:
            if is_from_outside(error):
                raise
            self._refused = True
            return None
        if hasattr(mmap, "MADV_RANDOM"):
            _advise(mapped, mmap.MADV_RANDOM, 0, self.size)
        self._map = mapped
        self._descriptor = None  # the map has a descriptor of its own, and one is enough
        if self.closed:
            self._map = None
        return mapped

    def _unmapped(self) -> OpenFile:
        if (descriptor := self._descriptor) is None:
            raise self.closed_error()
        return descriptor

    def place(self) -> str | bytes:
        return self._path

    def close(self) -> None:
        self.closed = True
        self._map = self._descriptor = None


class PreadSource(ByteSource):
    """Reads of the file by offset; safe where others may truncate it, and on network file systems."""

    _path: str | None
    _descriptor: OpenFile | None

    def __init__(self, path: str | os.PathLike[str] | OpenFile) -> None:
        if isinstance(path, OpenFile):
            self.name, self._path, self._descriptor = "<file>", None, path
        else:
            self.name: str = os.fspath(path)
            self._path = _absolute(self.name)
            self._descriptor = OpenFile.at(path)
        self.size: int = self._descriptor.size

    def read(self, offset: int, length: int) -> bytes:
        if (descriptor := self._descriptor) is None:
            raise self.closed_error()
        return descriptor.read_at(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))

    def place(self) -> str | bytes:
        return super().place() if self._path is None else self._path

    def close(self) -> None:
        self.closed = True
        self._descriptor = None


def _will_need(mapped: mmap.mmap, offset: int, length: int) -> None:
    """Have bytes come from the disk together, if they have to: a map for random reads brings single pages."""
    if hasattr(mmap, "MADV_WILLNEED") and offset + length <= len(mapped):
        start = offset - offset % mmap.PAGESIZE
        _advise(mapped, mmap.MADV_WILLNEED, start, offset + length - start)


def _advise(mapped: mmap.mmap, advice: int, start: int, length: int) -> None:
    try:
        mapped.madvise(advice, start, length)
    except OSError as error:  # a system that takes none: nothing is lost but time
        if is_from_outside(error):
            raise


def _absolute(path: str) -> str:
    # Now: the process may be in another folder when it is needed.
    return path if path.startswith("/") else os.path.abspath(path)
