"""Opening of whatever holds a bundle's files: a `.srcpack`, or the SourceBundle zip itself."""

import os
from contextlib import suppress

from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.bundle.zip_store import BundlePack
from srcpack.errors import FormatError
from srcpack.pack import Pack, SourceKind, open_pack
from srcpack.source.local import PreadSource
from srcpack.source.object_stores import is_url, path_or_url, without_secrets
from srcpack.source.remote import RemoteSource

__all__ = ["open_any", "open_packed"]


def open_any(
    pack: str | os.PathLike[str] | bytes, *, source: SourceKind = "mmap", max_read: int = 1 << 30
) -> Pack:
    """Open a pack, or a SourceBundle zip behind the same interface; which one it is its first bytes say.

    Of a pack the head and the tail are read and checked, whatever the number of files. A zip is slow: its
    directory and its whole manifest are read here, and see `BundlePack` for the rest.

    A pack at a URL (`s3://`, `gs://`, `az://`, `https://`, `http://`) is read by range requests, the first of
    them here: see docs/remote.md. A `file://` URL is the path that it names.

    Args:
        pack: Path of a `.srcpack` file or of a SourceBundle zip, or its bytes; or the URL of a pack.
        source: How a file is read. `mmap` maps a pack, which must then not be truncated or written over in
            place while it is open (replacing it by renaming another over it is safe); `pread` reads by
            offset, for network file systems and where others may truncate files. A zip is always read so.
        max_read: Most bytes of content that one call may return.

    Raises:
        OSError: The file cannot be opened, or the object cannot be read.
        ModuleNotFoundError: A URL needs the extra `remote`, which is not installed.
        RuntimeError: This process was forked from one that had read URLs.
        ValueError: The URL names no object.
        FormatError: It is neither, was cut, is damaged in head or tail, needs a newer reader, or is a zip
            that symbolic refuses, or a zip at a URL.
        LimitExceeded: A size in the tail is over what the version allows, or the zip is over a limit.
    """
    if isinstance(pack, str):
        pack = path_or_url(pack)
    try:
        return open_pack(pack, source=source, max_read=max_read)
    except FormatError as error:
        # Only what is no pack is looked at again: a pack is opened with the reads that it takes.
        if not is_source_bundle(_head_of(pack)):
            raise
        if isinstance(pack, str) and is_url(pack):
            raise FormatError(
                without_secrets(pack),
                "a SourceBundle zip, which is not read by URL: download it, or convert it to a pack",
            ) from error
    return BundlePack(pack, max_read=max_read)


def open_packed(pack: str | os.PathLike[str], *, source: SourceKind = "mmap") -> Pack:
    """Open a `.srcpack` by path or URL, and say of a SourceBundle zip that it is one.

    Raises:
        FormatError, LimitExceeded, OSError: As `open_pack`; so are others for a URL.
    """
    try:
        return open_pack(pack, source=source)
    except FormatError as error:
        if not is_source_bundle(_head_of(pack)):
            raise
        raise FormatError(error.file, "a SourceBundle zip, not a pack: convert it first") from error


def _head_of(file: str | os.PathLike[str] | bytes) -> bytes:
    """Return the first bytes of a file or object; none if it is no regular file, or is gone."""
    if isinstance(file, bytes):
        return file[:MAGIC_SIZE]
    with suppress(FormatError, OSError):
        if isinstance(file, str) and is_url(file):
            return RemoteSource(file).read(0, MAGIC_SIZE)
        return PreadSource(file).read(0, MAGIC_SIZE)
    return b""
