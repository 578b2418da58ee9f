"""Open packs by path, a bounded number of them."""

import os
from collections.abc import Callable
from itertools import count
from threading import Lock
from typing import NamedTuple, Self, TypeAlias

from srcpack.opening import open_any
from srcpack.pack import Pack
from srcpack.source.object_stores import is_url, path_or_url

__all__ = ["PackCache", "PackCacheStatistics"]

_ATTEMPTS = 3
"""Tries to open a file that is replaced at the same time."""

_LOCK = Lock()
"""Held for a moment when a pack is kept or dropped, by all caches alike: so one hook does for a fork."""

# See content_cache.py.
os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)

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

    def __init__(self, max_open: int, *, opener: Callable[[str], Pack] = open_any) -> None:
        """Make an empty cache.

        Args:
            max_open: Most packs kept, 1 or more.
            opener: Opens a pack by its path; the default is `srcpack.open`.

        Raises:
            ValueError: `max_open` is less than 1.
        """
        if max_open < 1:
            raise ValueError(f"max_open is at least 1, not {max_open}")
        self.max_open = max_open
        self._opener = opener
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
            self._drop(name, kept)
            raise
        if kept is not None and kept.file_id == file_id and not kept.pack.source.replaced:
            kept.used = next(self._clock)
            self._hits += 1
            return kept.pack
        self._misses += 1
        self._drop(name, kept)
        return self._open(name, file_id)

    def close(self) -> None:
        """Drop all packs. Those that somebody still has stay open; `get` raises ValueError."""
        self._closed = True
        with _LOCK:
            dropped, self._kept = self._kept, {}
        del dropped  # packs close here, after the lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def statistics(self) -> PackCacheStatistics:
        """What the cache did and holds, at this moment."""
        with _LOCK:
            return PackCacheStatistics(
                self._hits, self._misses, self._evictions, self._replaced, len(self._kept)
            )

    def _open(self, name: str, file_id: _FileId) -> Pack:
        attempts = _ATTEMPTS
        while True:
            pack = self._opener(name)
            # The same file before and after: it is the one that was opened.
            before, file_id = file_id, _file_id(name)
            if before == file_id:
                return self._keep(name, file_id, pack)
            attempts -= 1
            if not attempts:
                return pack

    def _keep(self, name: str, file_id: _FileId, pack: Pack) -> Pack:
        dropped = None
        with _LOCK:
            kept = self._kept.get(name)
            if kept is not None and kept.file_id == file_id and not kept.pack.source.replaced:
                # another thread was faster
                return kept.pack
            if self._closed:
                return pack
            self._kept[name] = _Kept(pack, file_id, next(self._clock))
            if len(self._kept) > self.max_open:
                oldest = min(self._kept, key=lambda each: self._kept[each].used)
                dropped = self._kept.pop(oldest)
                self._evictions += 1
        del dropped  # it closes here, after the lock
        return pack

    def _drop(self, name: str, stale: "_Kept | None") -> None:
        if stale is None:
            return
        with _LOCK:
            if self._kept.get(name) is stale:
                del self._kept[name]
                self._replaced += 1

    def __repr__(self) -> str:
        return f"<PackCache of {len(self._kept)} of {self.max_open} packs>"


class _Kept:
    """An open pack, what its file was known by, and when it was last used."""

    __slots__ = ("file_id", "pack", "used")

    def __init__(self, pack: Pack, file_id: _FileId, used: int) -> None:
        self.pack = pack
        self.file_id = file_id
        self.used = used


_REMOTE: _FileId = (-1, -1, -1, -1)


def _file_id(path: str) -> _FileId:
    path = path_or_url(path)
    if is_url(path):
        return _REMOTE
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
