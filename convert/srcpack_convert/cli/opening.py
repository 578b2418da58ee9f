"""How commands open packs and zips, and look files up in them."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import srcpack
from srcpack import Entry, FileType, Pack, SourceLink, opening
from srcpack.opening import local_copy
from srcpack.source.locations import path_or_url

__all__ = ["look_up", "open_one", "open_pack", "open_whole"]


def open_one(path: str) -> Pack:
    """Open a pack for a command, or a SourceBundle zip behind the same interface."""
    _refuse_folder(path)
    # By `pread`: a map would end the process if someone cut the file.
    return srcpack.open(path, source="pread")


def open_pack(path: str) -> Pack:
    """Open a pack for a command that tells of what only packs have."""
    _refuse_folder(path)
    return opening.open_pack(path, source="pread")


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


def _refuse_folder(path: str) -> None:
    if os.path.isdir(path_or_url(path)):
        raise IsADirectoryError(errno.EISDIR, "it is a folder; name the packs in it", path)


@contextmanager
def open_whole(path: str) -> Iterator[Pack]:
    """Open a pack for a command that reads all of it: one at a URL out of a copy, not file by file."""
    with open_pack(path) as pack, local_copy(pack) as whole:
        yield whole
