"""The byte source of a place: a path, the URL of an object, bytes, or another source."""

import os
from typing import Literal, TypeAlias

from .byte_source import ByteSource
from .local import BytesSource, MmapSource, PreadSource
from .locations import is_url

__all__ = ["SourceKind", "source_of"]

SourceKind: TypeAlias = Literal["mmap", "pread"]


def source_of(place: str | os.PathLike[str] | bytes | ByteSource, kind: SourceKind) -> ByteSource:
    """Open what is at a place.

    Args:
        place: A path, the URL of an object, bytes, or a source, which is returned.
        kind: How a file is read.

    Raises:
        OSError: The file cannot be opened, or the object cannot be read.
        ModuleNotFoundError, RuntimeError: As `srcpack.open`, for a URL.
        ValueError: The kind is not known, or as `srcpack.open`, for a URL.
    """
    if isinstance(place, ByteSource):
        return place
    if isinstance(place, bytes):
        return BytesSource(place)
    if kind not in ("mmap", "pread"):
        raise ValueError(f"source is 'mmap' or 'pread', not {kind!r}")
    if isinstance(place, str) and is_url(place):
        from .remote import RemoteSource  # noqa: PLC0415  slow to import, and few need it

        return RemoteSource(place)
    return MmapSource(place) if kind == "mmap" else PreadSource(place)
