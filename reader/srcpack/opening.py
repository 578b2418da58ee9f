"""Opening of whatever holds a bundle's files: a `.srcpack`, or the SourceBundle zip itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EMFILE, ENFILE
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.errors import FormatError, is_from_outside
from srcpack.format.packfile import PackFile
from srcpack.pack import Pack
from srcpack.source.byte_source import ByteSource
from srcpack.source.locations import is_url, path_or_url, without_secrets
from srcpack.source.source_of import SourceKind, source_of

if TYPE_CHECKING:
    from srcpack.bundle.members import Limits

__all__ = ["Place", "local_copy", "open", "open_pack", "packfile_of"]

Place: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What a pack is opened from."""


def open(  # noqa: A001  read as `srcpack.open`
    pack: Place, *, source: SourceKind = "mmap", max_read: int = 1 << 30, limits: "Limits | None" = None
) -> Pack:
    """Open a pack, or a SourceBundle zip behind the same interface; which one it is its first bytes say.

    Of a pack the head and the tail are read and checked, whatever the number of files. A zip is slow: its
    directory and its whole manifest are read here, each read inflates a member whole, and what a content
    shows is found out by reading it.

    A pack at a URL (`s3://`, `gs://`, `az://`, `https://`, `http://`) is read by range requests, the first of
    them here: see docs/remote.md. A `file://` URL is the path that it names.

    Args:
        pack: Path of a `.srcpack` file or of a SourceBundle zip; or its bytes, of which a copy is taken where
            they can change; or a seekable binary file of it, which must stay open if it is not one of
            Python's `open`; or the URL of a pack.
        source: How a file is read. `mmap` maps a pack, which must then not be truncated or written over in
            place while it is open (replacing it by renaming another over it is safe); `pread` reads by
            offset, for network file systems and where others may truncate files. A zip is always read so.
        max_read: Most bytes of content that one call may return.
        limits: How much a zip may unpack to.

    Raises:
        OSError: The file cannot be opened, or the object cannot be read.
        ModuleNotFoundError: A URL needs the extra `remote`, which is not installed.
        RuntimeError: This process was forked from one that had read URLs.
        TypeError: It is something else.
        ValueError: The URL names no object, or is of a kind that is not known; the file has no position.
        FormatError: It is neither, was cut, is damaged in head or tail, needs a newer reader, or is a zip
            that symbolic refuses, or a zip at a URL.
        LimitExceeded: A size in the tail is over what the version allows, or the zip is over a limit.
    """
    place = _place(pack)
    try:
        return Pack(PackFile.at(place, source, max_read))
    except FormatError as error:
        # Only what is no pack is looked at again: a pack is opened with the reads that it takes.
        if not _is_zip(place):
            raise
        if isinstance(place, str) and is_url(place):
            raise FormatError(
                without_secrets(place),
                "a SourceBundle zip, which is not read by URL: download it, or convert it to a pack",
            ) from error
    from srcpack.bundle.members import DEFAULT_LIMITS  # noqa: PLC0415  slow to import, and most open packs
    from srcpack.bundle.zip_store import ZipStore  # noqa: PLC0415  the same

    return Pack(ZipStore(place, max_read=max_read, limits=limits or DEFAULT_LIMITS))


def open_pack(pack: Place, *, source: SourceKind = "mmap", max_read: int = 1 << 30) -> Pack:
    """Open a `.srcpack` as `open` does, and say of a SourceBundle zip that it is one, by a FormatError."""
    place = _place(pack)
    try:
        return Pack(PackFile.at(place, source, max_read))
    except FormatError as error:
        if not _is_zip(place):
            raise
        raise FormatError(error.file, "a SourceBundle zip, not a pack: convert it first") from error


def packfile_of(pack: Pack) -> PackFile:
    """Return the file of a pack, which has what belongs to the format: the tail, the index, the dictionary.

    Raises TypeError if it is no open pack, or a SourceBundle zip.
    """
    if not isinstance(pack, Pack):
        raise TypeError(f"an open pack is needed, not {type(pack).__name__}: {pack!r}")
    if not isinstance(pack.store, PackFile):
        raise TypeError(f"{pack.file}: a SourceBundle zip, where a .srcpack is needed")
    return pack.store


@contextmanager
def local_copy(pack: Pack) -> Iterator[Pack]:
    """Give a pack out of a temporary file if it is read by URL, else itself, to those who read all of it."""
    if not pack.store.source.distant:
        yield pack
        return
    with packfile_of(pack).nearby() as near:
        yield Pack(near)


def _place(pack: Place) -> str | os.PathLike[str] | bytes | ByteSource:
    if isinstance(pack, str):
        return path_or_url(pack)
    if isinstance(pack, bytes | os.PathLike):
        return pack
    if isinstance(pack, bytearray | memoryview):
        return bytes(pack)
    if not hasattr(pack, "read"):
        raise TypeError(f"a path, URL, bytes or binary file is opened, not {type(pack).__name__}: {pack!r}")
    from srcpack.source.file_object import source_of_file_object  # noqa: PLC0415  few need it

    return source_of_file_object(pack)


def _is_zip(place: str | os.PathLike[str] | bytes | ByteSource) -> bool:
    try:
        return is_source_bundle(source_of(place, "pread").read(0, MAGIC_SIZE))
    except (FormatError, OSError) as error:
        # What has nothing to do with the file must not make it "no pack".
        if is_from_outside(error) or (isinstance(error, OSError) and error.errno in (EMFILE, ENFILE)):
            raise
        return False
