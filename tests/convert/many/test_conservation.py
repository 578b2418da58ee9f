"""Each input named is a pack, a failure, or passed over: over generated spellings of names.

`reliability/conservation.py` tries more of them.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.conservation import World, check, chosen, named, world

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")


@pytest.fixture(scope="module")
def place() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.mark.parametrize("number", range(11))
def test_what_was_lost_once_is_not(place: World, number: int) -> None:
    check(place, chosen(place)[number])


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_named_is_a_pack_or_a_failure(place: World, data: Any) -> None:
    check(place, data.draw(named(place)))
