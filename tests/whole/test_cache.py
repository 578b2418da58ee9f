"""The caches that packs share: bounded whatever is asked, and what is used survives.

Threads that use them at once are in test_exceptions.py.
"""

from hypothesis import given
from hypothesis import strategies as st

from srcpack.caches import Generations, Shelf, Shelves


def test_what_is_used_survives_and_the_rest_goes() -> None:
    cache: Generations[int, str] = Generations(10)
    cache.put(-1, "used")
    for number in range(100):
        cache.put(number, "new")
        assert cache.get(-1) == "used"
    assert cache.get(0) is None
    assert cache.get(99) == "new"
    cache.clear()
    assert (cache.get(-1), len(cache)) == (None, 0)


def test_hits_in_the_old_generation_count() -> None:
    """Values that are asked for again and again must not pile up beside the new ones."""
    cache: Generations[int, int] = Generations(10)
    for number in range(1000):
        cache.put(number, number)
        for old in range(max(0, number - 40), number):
            cache.get(old)
        assert len(cache) <= 20


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans())))
def test_twice_the_limit_is_kept_at_most(steps: list[tuple[int, bool]]) -> None:
    cache: Generations[int, int] = Generations(20)
    for key, is_put in steps:
        cost = 1 + key % 7
        if is_put:
            cache.put(key, cost, cost)
        else:
            assert cache.get(key) in (None, cost)
        assert sum({**cache._old[0], **cache.young}.values()) <= 40


def test_a_large_value_that_is_used_goes_on_counting_as_large() -> None:
    """And not as the mean of all that were kept beside it, or there would be ever more like it."""
    cache: Generations[int, int] = Generations(100)
    for number in range(1000):
        cache.put(number, 60 if number % 20 == 0 else 1, 60 if number % 20 == 0 else 1)
        for large in range(0, number, 20):
            cache.get(large)
        assert sum({**cache._old[0], **cache.young}.values()) <= 200


def test_a_value_larger_than_the_limit_is_kept_alone() -> None:
    cache: Generations[str, int] = Generations(10)
    cache.put("a", 1)
    cache.put("large", 2, 100)
    assert cache.get("large") == 2
    cache.put("b", 3)
    cache.put("c", 4)
    assert cache.young.keys() == {"b", "c"}


# ---- shelves


def test_a_shelf_is_emptied_when_two_generations_are_full() -> None:
    shelves: Shelves[int, int] = Shelves(10)
    first: Shelf[int, int] = Shelf()
    shelves.put(first, 0, 0)
    others: list[Shelf[int, int]] = [Shelf() for _ in range(30)]
    for number, other in enumerate(others):
        shelves.put(other, number, number)
        assert sum(len(shelf.values) for shelf in (first, *others)) <= 20
    assert first.values == {}
    assert others[-1].values == {29: 29}
    shelves.clear()
    assert not any(shelf.values for shelf in others)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(1, 7)), max_size=200))
def test_shelves_together_keep_twice_the_limit_at_most(steps: list[tuple[int, int, int]]) -> None:
    shelves: Shelves[int, int] = Shelves(20)
    owners: list[Shelf[int, int]] = [Shelf() for _ in range(5)]
    for owner, key, cost in steps:
        shelves.put(owners[owner], key, cost, cost)
        assert owners[owner].values[key] == cost
        assert sum(sum(shelf.values.values()) for shelf in owners) <= 40


def test_one_shelf_that_is_filled_all_the_time_does_not_grow() -> None:
    shelves: Shelves[int, int] = Shelves(100)
    shelf: Shelf[int, int] = Shelf()
    for number in range(10_000):
        shelves.put(shelf, number, number)
        assert len(shelf.values) <= 200
