"""Packs read from binary file objects, such as a service has of uploads and of its own storage."""

import os
from io import BufferedRandom, BufferedReader, BytesIO, FileIO
from typing import BinaryIO

from srcpack.source.byte_source import ByteSource
from srcpack.source.local import BytesSource, PreadSource
from srcpack.source.locations import without_secrets
from srcpack.source.open_file import HAS_PREAD, Cursor, OpenFile

__all__ = ["FileObjectSource", "source_of_file_object"]


def source_of_file_object(file: BinaryIO) -> ByteSource:
    """Return a source of all bytes of a seekable binary file, wherever its position is; it has its name.

    A file as Python's `open` gives it is read by `pread`, through a descriptor of its own: its position stays
    where it is, and it may be closed. The bytes of a `BytesIO` are taken as they are now. All else is a
    `FileObjectSource`. Raises TypeError if it is open for text, ValueError if it is closed or has no
    position.
    """
    source = _source_of(file)
    if isinstance(name := getattr(file, "name", None), str):
        source.name = without_secrets(name)  # some have their URL for a name
    return source


def _source_of(file: BinaryIO) -> ByteSource:
    if not isinstance(file.read(0), bytes):
        raise TypeError("a file object must be open for bytes, not for text")
    if type(file) is BytesIO:
        return BytesSource(file.getvalue())
    if not file.seekable():
        raise ValueError("a file object must be seekable")
    raw = file.raw if isinstance(file, BufferedReader | BufferedRandom) else file
    # Objects of other classes may have the number of a file that holds something else, as GzipFile does.
    if type(raw) is FileIO and HAS_PREAD:
        file.flush()
        if (opened := OpenFile.again(raw)) is not None:
            return PreadSource(opened)
    return FileObjectSource(file)


class FileObjectSource(ByteSource):
    """A seekable binary file object that has one position, and so a lock that keeps its reads apart.

    A read waits for other threads' reads of the same object, and for nothing else. Nobody else may read or
    seek the object while the pack is open, neither here nor in a process forked from this one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.name = "<file>"
        self._file: BinaryIO | None = file
        self._cursor = Cursor()
        position = file.tell()
        self.size: int = file.seek(0, os.SEEK_END)
        file.seek(position)

    def read(self, offset: int, length: int) -> bytes:
        if (file := self._file) is None:
            raise self.closed_error()
        return self._cursor.read(file, offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))

    def close(self) -> None:
        self.closed = True
        self._file = None
