"""Decoded contents, shared by all packs of a process and bounded by bytes.

What a pack says about its contents is never a key here (SPEC.md, "Verification"): neither the SHA-256 in
an entry nor that of a pack. A content is first read from the pack that it is wanted from, and only then
may it turn out to be one that is kept already.
"""

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from threading import get_ident
from typing import NamedTuple, TypeAlias
from weakref import ref

from srcpack.entry import Entry
from srcpack.pack import Pack

__all__ = ["ContentCache", "ContentCacheStatistics"]

_Key: TypeAlias = tuple[ref[Pack], str]
"""A pack is known by its identity as an object, which nobody can forge. A weak reference stands for it: it
keeps no pack open, and when the pack is gone no other is ever equal to it."""

_Equal: TypeAlias = bytes | tuple[bytes]
"""What equal contents have in common: themselves, or the SHA-256 of large ones."""

_SMALL = 64 << 10
"""Python hashes bytes faster than SHA-256 does, but holds the global lock for it."""

_MOST_REFUSED = 64
"""So often a thread is found at it that changes what is kept before it is taken for gone."""


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

    Equal contents are kept once, whichever packs they are from. When room is needed, contents go in the
    order in which they came, but those that were used since get another round. Several threads that miss
    the same file each decode it. A pack that is opened again is another pack: each of its files is read once
    more before it is served from what is kept.

    There is no lock. One thread at a time changes what is kept; who finds another at it returns what it
    has read, and keeps nothing. What a thread leaves half done, because an exception arrived from outside,
    is never used again: the next one goes on with a copy of what was kept.

    Attributes:
        max_bytes: Most bytes of content that are kept.
    """

    __slots__ = ("_evictions", "_hits", "_keep", "_max_entries", "_misses", "_state", "max_bytes")

    def __init__(
        self,
        max_bytes: int,
        keep: Callable[[Entry], bool] | None = None,
        *,
        max_entries: int = 1 << 18,
    ) -> None:
        """Make an empty cache.

        Args:
            max_bytes: Most bytes of content that are kept; a larger content never is.
            keep: Whether the content of an entry is to be kept. It is asked on each miss, before reading;
                without it, all are.
            max_entries: Most files that the kept contents are known for. Each takes about 300 bytes
                beside its content: with many small files that counts.

        Raises:
            ValueError: A limit is negative.
        """
        if max_bytes < 0 or max_entries < 0:
            raise ValueError(f"limits of {max_bytes} bytes and {max_entries} entries must not be negative")
        self.max_bytes: int = max_bytes
        self._keep = keep
        self._max_entries = max_entries
        self._state = _State({})
        self._hits = self._misses = self._evictions = 0

    def read(self, entry: Entry) -> bytes:
        """Return the whole content of an entry, decoding it if it is not kept.

        Raises:
            DamagedMember, FormatError, LimitExceeded: As `Entry.read`.
        """
        key = ref(entry.pack), entry._record.name  # noqa: SLF001  a property costs more than the hit
        kept = self._state.kept.get(key)
        if kept is None:
            return self._read(entry, key)
        kept.used = True
        self._hits += 1
        return kept.data

    def clear(self) -> None:
        """Drop all contents; statistics go on."""
        self._state = _State({})

    @property
    def statistics(self) -> ContentCacheStatistics:
        """What the cache did and holds, at this moment."""
        if (taken := self._take()) is not None:  # whole, if it was left half done
            taken.release()
        state = self._state
        return ContentCacheStatistics(
            self._hits, self._misses, self._evictions, state.size, len(state.contents)
        )

    def _read(self, entry: Entry, key: _Key) -> bytes:
        self._misses += 1
        keep = self._max_entries > 0 and (self._keep is None or self._keep(entry))
        data = entry.read()
        # Of what will not be kept no hash is wanted.
        if not keep or len(data) > self.max_bytes:
            return data
        equal = data if len(data) <= _SMALL else (sha256(data).digest(),)
        if (state := self._take()) is None:
            return data
        while len(state.kept) >= self._max_entries and key not in state.kept:
            self._evictions += state.evict()
        while state.size + len(data) > self.max_bytes and equal not in state.contents:
            self._evictions += state.evict()
        data = state.keep(key, equal, data)
        state.release()
        return data

    def _take(self) -> "_State | None":
        """Return what is kept, for this thread alone to change, or None if another thread is at it."""
        state = self._state
        mine = _Turn(get_ident())
        turn = state.turn.setdefault(None, mine)
        if turn is mine:
            return state
        if turn.thread != mine.thread and turn.refused < _MOST_REFUSED:
            turn.refused += 1
            return None
        # An exception ended that turn; or this call came in the middle of it, and what it changes is lost.
        state = _State(state.kept.copy())
        state.turn[None] = mine
        self._state = state
        return state

    def __repr__(self) -> str:
        return f"<ContentCache of {self.statistics.bytes:,} of {self.max_bytes:,} bytes>"


class _State:
    """What a cache keeps. All but `kept` follows from it.

    Attributes:
        kept: What is known of each entry, in the order in which they came.
        ring: The same entries, in the order in which they go.
        contents: Each content, by what equal ones have in common.
        size: Sum of their sizes, in bytes.
        turn: Who is changing it, under None.
    """

    __slots__ = ("contents", "kept", "ring", "size", "turn")

    def __init__(self, kept: "dict[_Key, _Kept]") -> None:
        self.kept = kept
        self.ring = deque(kept)
        self.contents: dict[_Equal, _Content] = {}
        self.size = 0
        self.turn: dict[None, _Turn] = {}
        for each in kept.values():
            self._content(each.equal, each.data).entries += 1

    def keep(self, key: _Key, equal: _Equal, data: bytes) -> bytes:
        """Keep a content that was read for `key`, and return the one that is shared."""
        if (kept := self.kept.get(key)) is not None:  # another thread was faster
            return kept.data
        content = self._content(equal, data)
        content.entries += 1
        self.kept[key] = _Kept(content.data, equal)
        self.ring.append(key)
        return content.data

    def evict(self) -> bool:
        """Forget one entry; return whether it was the last that has its content, which goes then."""
        ring = self.ring
        # One round at most: threads that hit all the while could use everything again and again.
        for _ in range(len(ring)):
            kept = self.kept[ring[0]]
            if not kept.used:
                break
            kept.used = False
            ring.rotate(-1)
        kept = self.kept.pop(ring.popleft())
        content = self.contents[kept.equal]
        content.entries -= 1
        if content.entries:
            return False
        del self.contents[kept.equal]
        self.size -= len(content.data)
        return True

    def release(self) -> None:
        """Let others change it."""
        self.turn.clear()

    def _content(self, equal: _Equal, data: bytes) -> "_Content":
        content = self.contents.get(equal)
        if content is None:
            self.size += len(data)
            content = self.contents[equal] = _Content(data)
        return content


class _Content:
    """A content, and how many entries have it."""

    __slots__ = ("data", "entries")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.entries = 0


class _Kept:
    """What is known of one entry of one pack: its content, what equal ones have in common, if it was used."""

    __slots__ = ("data", "equal", "used")

    def __init__(self, data: bytes, equal: _Equal) -> None:
        self.data = data
        self.equal = equal
        self.used = False


class _Turn:
    """Which thread has taken a state, and how often others were refused it meanwhile."""

    __slots__ = ("refused", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.refused = 0
