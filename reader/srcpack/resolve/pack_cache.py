"""Open packs by path, a bounded number of them."""

import errno
import os
import sys
from collections.abc import Callable
from itertools import count
from operator import attrgetter
from typing import NamedTuple, Self, TypeAlias

from srcpack import opening
from srcpack.pack import Pack
from srcpack.source.locations import is_url, path_or_url

try:
    import resource
except ImportError:  # Windows, which has no such limit either
    resource = None  # type: ignore[assignment]

__all__ = ["PackCache", "PackCacheStatistics"]

_ATTEMPTS = 3
"""Tries to open a file that is replaced at the same time."""

_FileId: TypeAlias = tuple[int, int, int, int]


class PackCacheStatistics(NamedTuple):
    """What a cache did and holds.

    Attributes:
        hits: Packs handed out that were open. Counted without a lock: exact where the interpreter has its
            global one.
        misses: Packs that had to be opened, or could not be.
        evictions: Packs dropped to make room.
        replaced: Packs dropped because another file, or none, has their path now.
        open: Packs kept.
    """

    hits: int
    misses: int
    evictions: int
    replaced: int
    open: int


class PackCache:
    """Packs that stay open for the next one who wants them; the least recently used goes first.

    A pack that goes is not closed, only dropped: who has it reads on, and with its last user gone it is
    closed at once. So the files open are those kept and those in use. A hit costs a `stat` of the file
    and takes no lock. Threads that miss the same path at once may each open it, and all get the same pack.

    A file that is kept open counts against the process's limit of open files. Packs take no more than
    three quarters of that, whatever `max_open` is; and where a pack cannot be opened because of it, those
    kept go until it can.

    A URL is a path too. A hit of one makes no request: that the object was replaced or deleted is found out
    by the reader who then gets the error, and the next `get` opens the new one.

    Attributes:
        max_open: Most packs kept.
    """

    __slots__ = (
        "_clock",
        "_closed",
        "_evictions",
        "_hits",
        "_kept",
        "_misses",
        "_opener",
        "_replaced",
        "max_open",
    )

    def __init__(self, max_open: int, *, opener: Callable[[str], Pack] = opening.open) -> None:
        """Make an empty cache.

        Args:
            max_open: Most packs kept, 1 or more.
            opener: Opens a pack by its path; the default is `srcpack.open`.

        Raises:
            ValueError: `max_open` is less than 1.
        """
        if max_open < 1:
            raise ValueError(f"max_open is at least 1, not {max_open}")
        self.max_open: int = max_open
        self._opener = opener
        # All there is: how many there are and which goes next follow from it, wherever an exception arrives.
        self._kept: dict[str, _Kept] = {}
        self._clock = count()
        self._closed = False
        self._hits = self._misses = self._evictions = self._replaced = 0

    def get(self, path: str | os.PathLike[str]) -> Pack:
        """Return the pack of a path or URL, opening it if it is not open or if it is known to be replaced.

        The pack belongs to all who got it: do not close it.

        Raises:
            ValueError: The cache was closed.
            OSError, FormatError, LimitExceeded: As `srcpack.open`.
        """
        if self._closed:
            raise ValueError("get from a closed cache")
        name = os.fspath(path)
        kept = self._kept.get(name)
        try:
            file_id = _file_id(name)
        except OSError:
            self._misses += 1
            self._drop(kept)
            raise
        if kept is not None and kept.is_of(file_id):
            kept.used = next(self._clock)
            self._hits += 1
            return kept.pack
        self._misses += 1
        self._drop(kept)
        return self._open(name, file_id)

    def close(self) -> None:
        """Drop all packs. Those that somebody still has stay open; `get` raises ValueError."""
        self._closed = True
        self._kept.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def statistics(self) -> PackCacheStatistics:
        """What the cache did and holds, at this moment."""
        self._make_room(0)  # threads that kept one at the same moment may have kept one too many
        return PackCacheStatistics(self._hits, self._misses, self._evictions, self._replaced, len(self._kept))

    def _open(self, name: str, file_id: _FileId) -> Pack:
        attempts = _ATTEMPTS
        while True:
            pack = self._opened(name)
            # The same file before and after: it is the one that was opened.
            before, file_id = file_id, _file_id(name)
            if before == file_id:
                return self._keep(_Kept(name, pack, file_id, next(self._clock)))
            attempts -= 1
            if not attempts:
                return pack

    def _opened(self, name: str) -> Pack:
        while True:
            try:
                return self._opener(name)
            except OSError as error:
                # Others may be using the one that went: then the next one goes.
                files = _files(list(self._kept.values()))
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not files:
                    raise
                self._evict(files)
            del files  # or the one that went would stay open

    def _keep(self, made: "_Kept") -> Pack:
        """Return the pack that is kept under the name of the one just made."""
        while True:
            kept = self._kept.get(made.name)
            if kept is None:
                self._make_room(1)
                kept = self._kept.setdefault(made.name, made)
            if self._closed:
                self._kept.clear()
                return made.pack
            if kept is made or kept.is_of(made.file_id):  # another thread was faster
                return kept.pack
            self._drop(kept)

    def _drop(self, stale: "_Kept | None") -> None:
        if stale is None:
            return
        dropped = self._kept.pop(stale.name, None)
        if dropped is stale:
            self._replaced += 1
        elif dropped is not None:  # another thread has put the new one there
            self._kept.setdefault(dropped.name, dropped)

    def _make_room(self, more: int) -> None:
        """Drop packs until there is room for so many more."""
        while len(kept := list(self._kept.values())) + more > self.max_open:
            self._evict(kept)
        most = _most_files()
        while len(kept) + more > most and len(files := _files(kept)) + more > most:
            self._evict(files)
            kept = list(self._kept.values())

    def _evict(self, kept: "list[_Kept]") -> None:
        """Drop the least recently used of these."""
        oldest = min(kept, key=attrgetter("used"))
        if self._kept.pop(oldest.name, None) is not None:
            self._evictions += 1

    def __repr__(self) -> str:
        return f"<PackCache of {len(self._kept)} of {self.max_open} packs>"


class _Kept:
    """An open pack, what its file was known by, and when it was last used."""

    __slots__ = ("file_id", "name", "pack", "used")

    def __init__(self, name: str, pack: Pack, file_id: _FileId, used: int) -> None:
        self.name = name
        self.pack = pack
        self.file_id = file_id
        self.used = used

    def is_of(self, file_id: _FileId) -> bool:
        """Return whether this is still the pack of its path, whose file is known by `file_id` now."""
        return self.file_id == file_id and not self.pack.store.source.replaced


_REMOTE: _FileId = (-1, -1, -1, -1)


def _files(kept: list[_Kept]) -> list[_Kept]:
    """Return those that have a file open."""
    return [each for each in kept if each.file_id != _REMOTE]


def _most_files() -> int:
    """Return how many files packs may have open: the process has others too, which need room."""
    if resource is None:
        return sys.maxsize
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(1, limit * 3 // 4)


def _file_id(path: str) -> _FileId:
    path = path_or_url(path)
    if is_url(path):
        return _REMOTE
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
