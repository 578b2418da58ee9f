"""What a pack costs grows as its bytes do, whatever is repeated in it; `just pack-growth` tries more."""

from unittest import mock

import pytest

import srcpack

pytest.importorskip("fsspec", reason="no fsspec: pip install 'srcpack[fsspec]'")

from reliability import pack_growth as growth


@pytest.mark.parametrize("part", growth.PARTS)
def test_twice_as_many_cost_twice_as_much(part: str) -> None:
    assert growth.fault([part], 60) is None


@pytest.mark.slow
@pytest.mark.parametrize("part", growth.PARTS)
def test_twice_as_many_of_two_things_cost_twice_as_much(part: str) -> None:
    others = list(growth.PARTS)[list(growth.PARTS).index(part) + 1 :: 3]
    faults = [growth.fault([part, other], 24, memory=False) for other in others]
    assert [fault for fault in faults if fault is not None] == []


@pytest.mark.parametrize("part", growth.PARTS)
def test_packs_of_many_parts_are_right_and_have_them(part: str) -> None:
    data, size = growth.draft(60, part)
    assert srcpack.verify(srcpack.open(data)) == []
    assert growth.draft(120, part)[1] > size


def test_what_is_not_limited_is_found() -> None:
    assert growth.fault(["folders in a name"], 400) is None
    with mock.patch("srcpack.integrations.fsspec._MOST_FOLDERS", 1 << 40):
        assert growth.fault(["folders in a name"], 400) is not None
