"""Bounded caches that are read and filled without a lock (SPEC.md does not know of them).

Between any two steps here another thread may come, an exception may arrive from outside (a timeout that
a signal handler raises, KeyboardInterrupt), or a finalizer may ask the same cache. So each step is one
operation on a dict or list; a cost is counted before the value is kept; and what was left half done is
done again. The worst that can happen is that a value is lost, or counted twice for a while.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Generations", "Shelf", "Shelves"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Generations(Generic[K, V]):
    """A cache in two generations, each of at most `limit` cost; what is used survives.

    A value goes into the young generation. When that is full it becomes the old one, and the old one
    is dropped; a hit in the old one brings the value into the young one. So about twice `limit` is kept at
    most, and what was not used since the last change but one goes.

    Attributes:
        young: The young generation; who looks into it first saves most hits a call of `get`.
    """

    __slots__ = ("_cost", "_costs", "_limit", "_old", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Drop all values."""
        self._old: tuple[dict[K, V], dict[K, int]] = {}, {}
        self.young: dict[K, V] = {}
        self._costs: dict[K, int] = {}
        self._cost = 0

    def get(self, key: K) -> V | None:
        """Return the value kept for the key, or None."""
        value = self.young.get(key)
        if value is None:
            values, costs = self._old
            if (value := values.get(key)) is not None:
                self.put(key, value, costs.get(key, self._limit))
        return value

    def put(self, key: K, value: V, cost: int = 1) -> None:
        """Keep a value; `cost` is in the unit of the limit."""
        young = self.young
        if self._cost + cost > self._limit and young:
            self._old = young, self._costs
            self.young, self._costs, self._cost = {}, {}, 0
        self._cost += cost
        self._costs[key] = cost
        self.young[key] = value

    def __len__(self) -> int:
        return len(self.young.keys() | self._old[0].keys())


class Shelf(Generic[K, V]):
    """What one owner keeps of what many keep together.

    Attributes:
        values: By key; the owner reads it, and `Shelves.put` fills it.
        generation: Number of the one in which it was filled last.
    """

    __slots__ = ("generation", "values")

    def __init__(self) -> None:
        self.values: dict[K, V] = {}
        self.generation: int = -1


class Shelves(Generic[K, V]):
    """Shelves of many owners that share one limit; a hit is one look into the owner's own dict.

    Values are put in generations of at most `limit` cost. When one is full, all shelves that were filled
    in the one before are emptied; so twice the limit is kept at most. An owner that is gone takes nothing
    with it: its shelf is emptied in its turn.
    """

    __slots__ = ("_limit", "_now")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._now: _Generation[K, V] = _Generation(0, [])

    def put(self, shelf: Shelf[K, V], key: K, value: V, cost: int = 1) -> None:
        """Keep a value on a shelf; `cost` is in the unit of the limit."""
        now = self._now
        if now.cost + cost > self._limit:
            now = self._turn()
        now.cost += cost
        if shelf.generation != now.number:
            now.shelves.append(shelf)
            shelf.generation = now.number
        shelf.values[key] = value

    def clear(self) -> None:
        """Empty all shelves."""
        self._turn()
        self._turn()

    def _turn(self) -> "_Generation[K, V]":
        """Empty what was filled before this generation, and begin the next one, which all agree on."""
        now = self._now
        for shelf in now.before:
            shelf.values.clear()
        self._now = after = now.after.setdefault(None, _Generation(now.number + 1, now.shelves))
        return after


class _Generation(Generic[K, V]):
    """Shelves that are filled in one generation, and those of the one before it.

    Under None, `after` holds the next one, once there is one.
    """

    __slots__ = ("after", "before", "cost", "number", "shelves")

    def __init__(self, number: int, before: list[Shelf[K, V]]) -> None:
        self.number = number
        self.before = before
        self.cost = 0
        self.shelves: list[Shelf[K, V]] = []
        self.after: dict[None, _Generation[K, V]] = {}
