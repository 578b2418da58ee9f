"""Opening of whatever holds a bundle's files: a `.srcpack`, or the SourceBundle zip itself."""

import os
from contextlib import suppress

from .bundle_pack import BundlePack
from .byte_source import PreadSource
from .errors import FormatError
from .pack import Pack, SourceKind, open_pack
from .source_bundle import HEAD_SIZE, is_source_bundle

__all__ = ["open_any"]


def open_any(
    pack: str | os.PathLike[str] | bytes, *, source: SourceKind = "mmap", max_read: int = 1 << 30
) -> Pack:
    """Open a pack, or a SourceBundle zip behind the same interface; which one it is its first bytes say.

    Of a pack the head and the tail are read and checked, whatever the number of files. A zip is slow: its
    directory and its whole manifest are read here, and see `BundlePack` for the rest.

    Args:
        pack: Path of a `.srcpack` file or of a SourceBundle zip, or its bytes.
        source: `mmap` maps a pack, which must then not be truncated or written over in place while it is
            open (replacing it by renaming another over it is safe); `pread` reads by offset, for
            network file systems and where others may truncate files. A zip is always read by `pread`.
        max_read: Most bytes of content that one call may return.

    Raises:
        OSError: The file cannot be opened.
        FormatError: It is neither, was cut, is damaged in head or tail, needs a newer reader, or is a zip
            that symbolic refuses.
        LimitExceeded: A size in the tail is over what the version allows, or the zip is over a limit.
    """
    try:
        return open_pack(pack, source=source, max_read=max_read)
    except FormatError:
        # Only what is no pack is looked at again: a pack is opened with the reads that it takes.
        if not is_source_bundle(_head_of(pack)):
            raise
    return BundlePack(pack, max_read=max_read)


def _head_of(file: str | os.PathLike[str] | bytes) -> bytes:
    """Return the first bytes of a file; none if it is no regular file, or is gone."""
    if isinstance(file, bytes):
        return file[:HEAD_SIZE]
    with suppress(FormatError, OSError):
        return PreadSource(file).read(0, HEAD_SIZE)
    return b""
