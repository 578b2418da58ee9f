"""The cache in two generations: bounded whatever is asked, and what is used survives."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from sourcepack.cache import Generations


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


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 7), st.booleans())))
def test_twice_the_limit_is_kept_at_most(steps: list[tuple[int, int, bool]]) -> None:
    cache: Generations[int, int] = Generations(20)
    for key, cost, is_put in steps:
        if is_put:
            cache.put(key, key, cost)
        else:
            assert cache.get(key) in (None, key)
        assert len(cache) <= 40


def test_a_value_larger_than_the_limit_is_kept_alone() -> None:
    cache: Generations[str, int] = Generations(10)
    cache.put("a", 1)
    cache.put("large", 2, 100)
    assert cache.get("large") == 2
    cache.put("b", 3)
    cache.put("c", 4)
    assert cache.young.keys() == {"b", "c"}


def test_threads_may_lose_a_value_but_never_get_another_s() -> None:
    cache: Generations[int, int] = Generations(50)

    def use(start: int) -> bool:
        for number in range(start, start + 20_000):
            key = number % 97
            if (found := cache.get(key)) is None:
                cache.put(key, key * 7)
            elif found != key * 7:
                return False
        return True

    with ThreadPoolExecutor(8) as executor:
        assert all(executor.map(use, range(8)))
    assert len(cache) <= 100
