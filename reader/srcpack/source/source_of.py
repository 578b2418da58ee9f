"""The byte source of a place: a path, the URL of an object, bytes, or another source."""

import os
from typing import Literal, TypeAlias

from .byte_source import ByteSource
from .local import BytesSource, MmapSource, PreadSource
from .locations import is_url

__all__ = ["SourceKind", "source_of"]

SourceKind: TypeAlias = Literal["mmap", "pread"]


def source_of(place: str | os.PathLike[str] | bytes | ByteSource, kind: SourceKind) -> ByteSource:
    """Open what is at a path or a URL, or return what reads bytes, or the source that is given.

    `kind` is how a file is read. Errors are those of `srcpack.open`.
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
