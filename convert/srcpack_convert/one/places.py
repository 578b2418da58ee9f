"""Where a bundle comes from and where its pack goes: paths, URLs, bytes, file objects.

What is read and written by a conversion is a file. What is at a URL, or comes out of a pipe, is fetched whole
into a temporary file before; a pack that goes to a URL or into a file object is written to a temporary
file, and goes there when it is complete and checked.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from srcpack.source.byte_source import ByteSource
from srcpack.source.file_object import source_of_file_object
from srcpack.source.local import BytesSource, PreadSource
from srcpack.source.locations import is_url, path_or_url, without_secrets
from srcpack.source.object_stores import PATIENCE, Patience
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.storage import MAX_FETCH, UPLOAD_PATIENCE, check_destination, fetched, is_one_file, put

__all__ = [
    "Destination",
    "Source",
    "Transfer",
    "check_places",
    "destination_name",
    "destination_place",
    "pack_to",
    "source_of",
]

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
"""A SourceBundle: its path, URL or bytes, or a binary file of it."""

Destination: TypeAlias = str | os.PathLike[str] | BinaryIO
"""Where a pack goes: a path or a URL, or a binary file that is open for writing."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How bundles are fetched, up to how many bytes, and packs are put; `spool` is for temporary files.

    `patience` is how long stores are waited for; of fetching and putting their own if None.
    """

    spool: str | os.PathLike[str] | None = None
    max_size: int = MAX_FETCH
    patience: Patience | None = None


@contextmanager
def source_of(src: Source, transfer: Transfer) -> Iterator[tuple[ByteSource, bool]]:
    """Yield the bytes of a bundle, and whether others may change them; they are let go when the block ends.

    Raises TypeError if it is none of these or open for text, LimitExceeded if it may not be fetched.
    """
    if isinstance(src, bytes):
        yield BytesSource(src), False
        return
    if not isinstance(src, str | os.PathLike):
        with _file_source(src, transfer) as source:
            yield source, True
        return
    place = path_or_url(os.fspath(src))
    if not is_url(place):
        source = PreadSource(place)
        source.name = without_secrets(os.fspath(src))
        yield source, True
        return
    patience = transfer.patience or PATIENCE
    with fetched(place, spool=transfer.spool, max_size=transfer.max_size, patience=patience) as path:
        source = PreadSource(path)
        source.name = without_secrets(place)
        yield source, False


@contextmanager
def _file_source(file: BinaryIO, transfer: Transfer) -> Iterator[ByteSource]:
    if not hasattr(file, "read"):
        raise TypeError(f"a path, URL, bytes or file is converted, not {type(file).__name__}: {file!r}")
    if file.seekable():
        source = source_of_file_object(file)
        source.name = _name_of(file)
        yield source
        return
    with _temporary(transfer) as (out, path):
        shutil.copyfileobj(file, out, _CHUNK)
        out.flush()
        source = PreadSource(path)
        source.name = _name_of(file)
        yield source


@contextmanager
def pack_to(dst: Destination, transfer: Transfer) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a file to write a pack to, and its path; what was written goes to its place at the block's end.

    If the block raises, what was there before stays.
    """
    if not isinstance(dst, str | os.PathLike):
        with _temporary(transfer) as (out, path):
            yield out, path
            out.seek(0)
            shutil.copyfileobj(out, dst, _CHUNK)
            dst.flush()
        return
    place = path_or_url(os.fspath(dst))
    if not is_url(place):
        with written_aside(place) as written:
            yield written
        return
    with _temporary(transfer) as (out, path):
        yield out, path
        out.flush()
        put(path, place, patience=transfer.patience or UPLOAD_PATIENCE)


@contextmanager
def _temporary(transfer: Transfer) -> Iterator[tuple[BinaryIO, Path]]:
    with tempfile.NamedTemporaryFile(dir=transfer.spool, prefix="srcpack-") as file:
        yield file, Path(file.name)  # type: ignore[misc]


def destination_name(dst: Destination) -> str:
    """Return what a pack is called in messages: its path, its URL without secrets, or a file's name."""
    return without_secrets(os.fspath(dst)) if isinstance(dst, str | os.PathLike) else _name_of(dst)


def destination_place(dst: Destination) -> str | None:
    """Return the path or the URL of a pack; None of a file, which has what is in it already."""
    return path_or_url(os.fspath(dst)) if isinstance(dst, str | os.PathLike) else None


def check_places(src: Source, dst: Destination) -> None:
    """Refuse, before the work, a place that no pack can go to, and that of the bundle itself."""
    destination = destination_place(dst)
    if destination is None:
        if not hasattr(dst, "write"):
            raise TypeError(f"a pack goes to a path, URL or binary file, not to {type(dst).__name__}")
        return
    if is_url(destination):
        check_destination(destination)
    if not isinstance(src, str | os.PathLike):
        return
    source = path_or_url(os.fspath(src))
    if is_url(source) or is_url(destination):
        if source == destination:
            raise ValueError(f"{without_secrets(destination)}: source and destination are one object")
    elif is_one_file(source, destination):
        raise ValueError(f"{destination_name(dst)}: source and destination are one file")


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    return without_secrets(name) if isinstance(name, str) else "<stream>"
