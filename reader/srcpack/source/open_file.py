"""Open files, read at explicit offsets and closed when nobody has them any more."""

import os
from collections.abc import Callable, Iterator
from io import FileIO
from stat import S_ISREG
from threading import RLock
from typing import BinaryIO, ClassVar

from srcpack.errors import FormatError, is_from_outside

__all__ = ["HAS_PREAD", "Cursor", "OpenFile"]

HAS_PREAD = hasattr(os, "pread")
"""Windows has none: there a file is mapped, or its one cursor is shared."""

_CAN_ADVISE = hasattr(os, "posix_fadvise")
_END = 64 << 10
"""What the first look-up in a small pack needs, and its dictionary; for a disk hardly more than a page."""

_FLAGS = (
    os.O_RDONLY
    # Without it, opening a FIFO that nobody writes to would wait for ever.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # Of Windows.
    | getattr(os, "O_NOINHERIT", 0)
    | getattr(os, "O_BINARY", 0)
)


class OpenFile(FileIO):
    """An open file, with the length that it had then, that is closed when nobody has it any more."""

    __slots__ = ("cursor", "number", "size")

    number: int
    size: int
    cursor: "Cursor"

    # In C: it is no step of Python, which an exception could end, and needs no module that may be gone.
    __del__: ClassVar[Callable[["OpenFile"], None]] = FileIO.close

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> "OpenFile":
        """Open a regular file; FormatError if it is something else."""
        file = cls._of(map(os.open, (path,), (_FLAGS,)))
        # Its end says more cheaply than its status how long it is, and a pipe has none.
        if file is not None and file.seekable():
            file.size = file.seek(0, os.SEEK_END)
            if file.size or S_ISREG(os.fstat(file.number).st_mode):
                file.announce_end()
                return file
        raise FormatError(os.fspath(path), "not a regular file")

    @classmethod
    def again(cls, file: FileIO) -> "OpenFile | None":
        """Open a file once more that is open already; return None if it is no regular file."""
        again = cls._of(map(os.dup, (file.fileno(),)))
        if again is None or not S_ISREG((status := os.fstat(again.number)).st_mode):
            return None
        again.size = status.st_size  # to look for the end would move the position that both have
        return again

    @classmethod
    def _of(cls, opening: Iterator[int]) -> "OpenFile | None":
        # Opened and owned in one step of C: between two of Python an exception may arrive from outside, and
        # a descriptor that nobody has is never closed.
        try:
            file = next(map(cls, opening))
        except IsADirectoryError as error:
            if isinstance(error.filename, int):  # its descriptor, which was left open
                os.close(error.filename)
            return None
        file.number = file.fileno()
        if not HAS_PREAD:
            file.cursor = Cursor()
        return file

    def announce_end(self) -> None:
        """Have the end come from the disk by one read, if it has to: a pack is looked up from there."""
        if _CAN_ADVISE:
            try:
                os.posix_fadvise(self.number, max(0, self.size - _END), 0, os.POSIX_FADV_WILLNEED)
            except OSError as error:  # nothing is lost but time
                if is_from_outside(error):
                    raise

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes from an offset; fewer where the file ends."""
        if not HAS_PREAD:
            return self.cursor.read(self, offset, length)
        data = os.pread(self.number, length, offset)
        while len(data) < length and (more := os.pread(self.number, length - len(data), offset + len(data))):
            data += more
        return data


class Cursor:
    """The one position of a file object, at which one thread reads after the other."""

    __slots__ = ("_locks", "_reader")

    def __init__(self) -> None:
        self._locks: dict[int, RLock] = {}
        self._reader: object = None

    def read(self, file: BinaryIO | FileIO, offset: int, length: int) -> bytes:
        """Return bytes from an offset; fewer where the file ends."""
        # By process: in one that was forked while another thread had the lock, nobody would open it.
        with self._locks.setdefault(os.getpid(), RLock()):
            while True:
                self._reader = reader = object()
                file.seek(offset)
                data = file.read(length) or b""
                while len(data) < length and (more := file.read(length - len(data))):
                    data += more
                # Else a finalizer or signal handler of this very thread has read meanwhile.
                if self._reader is reader:
                    return data
