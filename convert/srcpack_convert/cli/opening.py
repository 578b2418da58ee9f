"""How commands open packs and zips, and look files up in them."""

import errno
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import typer

import srcpack
from srcpack import Entry, FileType, Pack, SourceLink, opening
from srcpack.opening import local_copy
from srcpack.resolve.explain import urls_of
from srcpack.rules.lookup_keys import normalize_path
from srcpack.rules.near_misses import UrlsByName
from srcpack.source.locations import path_or_url, without_secrets
from srcpack_convert.cli.terminal import bytes_from_stdin
from srcpack_convert.inputs.names import check_name
from srcpack_convert.inputs.packs import FoundPack, find_packs

try:
    import resource
except ImportError:  # Windows, which has no such limit either
    resource = None  # type: ignore[assignment]

__all__ = [
    "allow_open_files",
    "listed_names",
    "look_up",
    "name_of",
    "named_packs",
    "near_miss",
    "open_one",
    "open_pack",
    "open_whole",
]


@contextmanager
def named_packs(
    names: list[str] | None, files_from: str | None, *, null: bool, with_zips: bool = False
) -> Iterator[Iterator[FoundPack]]:
    """Yield the packs that a command over many is to read; see `find_packs`."""
    if not names and files_from is None:
        raise typer.BadParameter("give at least one PACK, or --files-from")
    if null and files_from is None:
        raise typer.BadParameter("--null is only for --files-from")
    for each in names or ():
        check_name(each)
        path_or_url(each)  # a mistake is told before anything is done
    with listed_names(files_from) as listed:
        yield find_packs(names or (), listed=listed, zero=null, with_zips=with_zips)


@contextmanager
def listed_names(files_from: str | None) -> Iterator[io.BufferedReader | None]:
    """Yield the list of names that `--files-from` names, for reading."""
    if files_from is None:
        yield None
    elif files_from == "-":
        yield cast("io.BufferedReader", sys.stdin.buffer)
    else:
        with open(files_from, "rb") as listed:
            yield listed


_OPEN_FILES = 10_240
"""Files that macOS lets a process have open at most, whatever it says."""


def allow_open_files() -> None:
    """Let this process have as many files open as it may: a command may have very many packs open."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def open_one(path: str) -> Pack:
    """Open a pack for a command, or a SourceBundle zip behind the same interface."""
    # By `pread`: a map would end the process if someone cut the file.
    with _place(path) as place:
        return srcpack.open(place, source="pread")


def open_pack(path: str) -> Pack:
    """Open a pack for a command that tells of what only packs have."""
    with _place(path) as place:
        return opening.open_pack(place, source="pread")


def name_of(path: str) -> str:
    """Return what a pack is called in what is printed: its path, or its URL without secrets."""
    return "<stdin>" if path == "-" else without_secrets(path)


def look_up(
    pack: Pack, url: str | None, path: str | None, debug_id: str | None, types: Iterable[FileType]
) -> Iterator[Entry | SourceLink]:
    """Yield what a pack has under a URL, a path, or a debug id of some types."""
    found: list[Entry | SourceLink | None] = []
    if url is not None:
        found.append(pack.by_url(url))
    if path is not None:
        found.append(pack.by_path(path) or pack.source_link(path))
    if debug_id is not None:
        found += (pack.by_debug_id(debug_id, file_type) for file_type in types)
    return (hit for hit in found if hit is not None)


def near_miss(pack: Pack, url: str | None, path: str | None) -> str | None:
    """Say what is nearest to a URL or path that a pack has not; None where no file has such a name."""
    if url is not None:
        near = urls_of(pack).nearest([url])
    elif path is not None:
        paths = UrlsByName(normalize_path(entry.path) for entry in pack.entries() if entry.path)
        near = paths.nearest([normalize_path(path)])
    else:
        return None
    return None if near is None else f"{near.url!r} ({near.differs})"


@contextmanager
def _place(path: str) -> Iterator[str | BinaryIO]:
    """Yield what is to be opened; of `-` what comes on stdin, all of it, as a pack is read in any order."""
    if path != "-":
        if os.path.isdir(path_or_url(path)):
            raise IsADirectoryError(errno.EISDIR, "it is a folder; name the packs in it", path)
        yield path
        return
    stdin = bytes_from_stdin("a pack")
    if stdin.seekable():
        yield stdin
        return
    with (
        tempfile.NamedTemporaryFile(prefix="srcpack-") as named,
        open(named.name, "r+b", buffering=0) as spool,
    ):
        shutil.copyfileobj(stdin, spool)
        spool.name = stdin.name
        yield spool


@contextmanager
def open_whole(path: str) -> Iterator[Pack]:
    """Open a pack for a command that reads all of it: one at a URL out of a copy, not file by file."""
    with open_pack(path) as pack, local_copy(pack) as whole:
        yield whole
