"""Decoded contents, shared by all packs of a process and bounded by bytes.

What a pack says about its contents is never a key here (SPEC.md, "Verification"): neither the SHA-256 in
an entry nor that of a pack. A content is first read from the pack that it is wanted from, and hashed; only
then may it turn out to be one that is kept already.
"""

import os
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import NamedTuple
from weakref import ref

from srcpack.entry import Entry
from srcpack.pack import Pack

__all__ = ["ContentCache", "ContentCacheStatistics"]

_LOCK = Lock()
"""Held for a moment when a content is kept, by all caches alike: so one hook does for a fork."""

# A thread of the parent may be keeping a content at the moment of a fork. The child would have its half
# of the change, and a lock that nobody opens.
os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class ContentCacheStatistics(NamedTuple):
    """What a cache did and holds.

    Attributes:
        hits: Reads answered from the cache.
        misses: Reads that decoded, those of files that are not to be kept among them. Both are counted
            without a lock: exact where the interpreter has its global one.
        evictions: Contents dropped to make room.
        bytes: Sum of the sizes of the contents kept.
        items: Distinct contents kept.
    """

    hits: int
    misses: int
    evictions: int
    bytes: int
    items: int


class ContentCache:
    """Whole contents of files, kept while they are used and fit.

    Equal contents are kept once, whichever packs they are from. A hit takes no lock. When room is
    needed, contents go in the order in which they came, but those that were used since get another
    round. Several threads that miss the same file each decode it. A pack that is opened again is another
    pack: each of its files is read once more before it is served from what is kept.

    Attributes:
        max_bytes: Most bytes of content that are kept.
    """

    __slots__ = (
        "_bytes",
        "_contents",
        "_evictions",
        "_hits",
        "_keep",
        "_kept",
        "_max_entries",
        "_misses",
        "_ring",
        "max_bytes",
    )

    def __init__(
        self,
        max_bytes: int,
        keep: Callable[[Entry], bool] = lambda _entry: True,
        *,
        max_entries: int = 1 << 18,
    ) -> None:
        """Make an empty cache.

        Args:
            max_bytes: Most bytes of content that are kept; a larger content never is.
            keep: Whether the content of an entry is to be kept. It is asked on each miss, before reading.
            max_entries: Most files that the kept contents are known for. Each takes about 300 bytes
                beside its content: with many small files that counts.

        Raises:
            ValueError: A limit is negative.
        """
        if max_bytes < 0 or max_entries < 0:
            raise ValueError(f"limits of {max_bytes} bytes and {max_entries} entries must not be negative")
        self.max_bytes = max_bytes
        self._keep = keep
        self._max_entries = max_entries
        # A pack is known by its identity as an object, which nobody can forge. A weak reference stands for
        # it: it keeps no pack open, and when the pack is gone no other is ever equal to it.
        self._kept: dict[tuple[ref[Pack], str], _Kept] = {}
        self._contents: dict[bytes, _Content] = {}
        self._ring: deque[tuple[ref[Pack], str]] = deque()
        self._bytes = self._hits = self._misses = self._evictions = 0

    def read(self, entry: Entry) -> bytes:
        """Return the whole content of an entry, decoding it if it is not kept.

        Raises:
            DamagedMember, FormatError, LimitExceeded: As `Entry.read`.
        """
        key = (ref(entry.pack), entry.name)
        kept = self._kept.get(key)
        if kept is None:
            return self._read(entry, key)
        kept.used = True
        self._hits += 1
        return kept.data

    def clear(self) -> None:
        """Drop all contents; statistics go on."""
        with _LOCK:
            self._kept.clear()
            self._contents.clear()
            self._ring.clear()
            self._bytes = 0

    @property
    def statistics(self) -> ContentCacheStatistics:
        """What the cache did and holds, at this moment."""
        with _LOCK:
            return ContentCacheStatistics(
                self._hits, self._misses, self._evictions, self._bytes, len(self._contents)
            )

    def _read(self, entry: Entry, key: "tuple[ref[Pack], str]") -> bytes:
        self._misses += 1
        keep = self._max_entries > 0 and self._keep(entry)
        data = entry.read()
        # Of what will not be kept no hash is wanted.
        if not keep or len(data) > self.max_bytes:
            return data
        digest = sha256(data).digest()
        with _LOCK:
            return self._store(key, digest, data)

    def _store(self, key: "tuple[ref[Pack], str]", digest: bytes, data: bytes) -> bytes:
        """Keep a content that was read for `key`, and return the one that is shared."""
        if key in self._kept:  # another thread was faster
            return self._kept[key].data
        while len(self._kept) >= self._max_entries:
            self._evict()
        content = self._contents.get(digest)
        if content is None:
            while self._bytes + len(data) > self.max_bytes:
                self._evict()
            content = self._contents[digest] = _Content(data)
            self._bytes += len(data)
        content.entries += 1
        self._kept[key] = _Kept(content.data, digest)
        self._ring.append(key)
        return content.data

    def _evict(self) -> None:
        """Forget one entry, and its content if it was the last that has it."""
        ring = self._ring
        # One round at most: threads that hit all the while could use everything again and again.
        for _ in range(len(ring)):
            kept = self._kept[ring[0]]
            if not kept.used:
                break
            kept.used = False
            ring.rotate(-1)
        kept = self._kept.pop(ring.popleft())
        content = self._contents[kept.digest]
        content.entries -= 1
        if not content.entries:
            del self._contents[kept.digest]
            self._bytes -= len(content.data)
            self._evictions += 1

    def __repr__(self) -> str:
        return f"<ContentCache of {self.statistics.bytes:,} of {self.max_bytes:,} bytes>"


class _Content:
    """A content, and how many entries have it."""

    __slots__ = ("data", "entries")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.entries = 0


class _Kept:
    """What is known of one entry of one pack: its content, the SHA-256 of just that, whether it was used."""

    __slots__ = ("data", "digest", "used")

    def __init__(self, data: bytes, digest: bytes) -> None:
        self.data = data
        self.digest = digest
        self.used = False
