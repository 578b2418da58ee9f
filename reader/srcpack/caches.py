"""Bounded caches that a hit reads without a lock (SPEC.md does not know of them)."""

import os
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Generations", "Shelf", "Shelves"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_TURNING = Lock()
"""Held for a moment when shelves are emptied, by all alike: so one hook does for a fork."""

# See content_cache.py: a child would never empty a shelf again, and grow without limit.
os.register_at_fork(
    before=_TURNING.acquire, after_in_parent=_TURNING.release, after_in_child=_TURNING.release
)


class Generations(Generic[K, V]):
    """A cache in two generations, each of at most `limit` cost; what is used survives.

    A value goes into the young generation. When that is full it becomes the old one, and the old one
    is dropped; a hit in the old one brings the value into the young one, at the old one's mean cost. So
    about twice `limit` is kept at most, and what was not used since the last change but one goes.

    It is correct without a lock because each step is one operation on a dict, and since the worst that
    two threads can do to each other is to lose a value, or to count a cost twice.

    Attributes:
        young: The young generation; who looks into it first saves most hits a call of `get`.
    """

    __slots__ = ("_cost", "_limit", "_old", "_old_mean", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Drop all values."""
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._cost = self._old_mean = 0.0

    def get(self, key: K) -> V | None:
        """Return the value kept for the key, or None."""
        value = self.young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value, self._old_mean)
        return value

    def put(self, key: K, value: V, cost: float = 1) -> None:
        """Keep a value; `cost` is in the unit of the limit."""
        young = self.young  # another thread may put an empty one there
        if self._cost + cost > self._limit and young:
            self._old, self._old_mean = young, self._cost / len(young)
            self.young, self._cost = {}, 0.0
        self.young[key] = value
        self._cost += cost

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self.young.keys() | self._old.keys())


class Shelf(Generic[K, V]):
    """What one owner keeps of what many keep together.

    Attributes:
        values: By key; the owner reads it, and `Shelves.put` fills it.
        generation: The one in which it was filled last.
    """

    __slots__ = ("generation", "values")

    def __init__(self) -> None:
        self.values: dict[K, V] = {}
        self.generation = -1


class Shelves(Generic[K, V]):
    """Shelves of many owners that share one limit; a hit is one look into the owner's own dict.

    Values are put in generations of at most `limit` cost. When one is full, all shelves that were filled
    in the one before are emptied; so twice the limit is kept at most. An owner that is gone takes nothing
    with it: its shelf is emptied in its turn.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cost = 0
        self._generation = 0
        self._young: list[Shelf[K, V]] = []
        self._old: list[Shelf[K, V]] = []

    def put(self, shelf: Shelf[K, V], key: K, value: V, cost: int = 1) -> None:
        """Keep a value on a shelf; `cost` is in the unit of the limit."""
        # Who finds another thread at it goes on: nobody waits.
        if self._cost + cost > self._limit and _TURNING.acquire(blocking=False):
            try:
                self._turn()
            finally:
                _TURNING.release()
        if shelf.generation != self._generation:
            shelf.generation = self._generation
            self._young.append(shelf)
        shelf.values[key] = value
        self._cost += cost

    def clear(self) -> None:
        """Empty all shelves."""
        with _TURNING:
            self._turn()
            self._turn()

    def _turn(self) -> None:
        emptied, self._old, self._young = self._old, self._young, []
        self._generation += 1
        self._cost = 0
        for shelf in emptied:
            shelf.values.clear()
