"""What a bundle costs grows as its bytes do, whatever is repeated in it; `just growth` tries more of each."""

from collections.abc import Iterator
from unittest import mock

import pytest
from reliability import growth


@pytest.fixture(autouse=True)
def without_allowances() -> Iterator[None]:
    with growth.without_allowances():
        yield


@pytest.mark.parametrize("part", growth.PARTS)
def test_twice_as_many_cost_twice_as_much(part: str) -> None:
    assert growth.fault([part], 24) is None
    assert growth.fault([part], 400) is None


@pytest.mark.slow
@pytest.mark.parametrize("part", growth.PARTS)
def test_twice_as_many_of_two_things_cost_twice_as_much(part: str) -> None:
    others = list(growth.PARTS)[list(growth.PARTS).index(part) + 1 :]
    faults = [growth.fault([part, other], 24) for other in others]
    assert [fault for fault in faults if fault is not None] == []


@pytest.mark.parametrize(
    ("limit", "parts"),
    [
        ("zip_directory._MAX_READS", ("end records", "members")),
        ("zip_directory._MAX_READS", ("zip64 end records", "extra fields")),
        ("zip_directory._MAX_READS", ("end records that search", "lines")),
        ("members._SHARED_FREE", ("members that share their data", "empty blocks")),
    ],
)
def test_what_is_not_limited_is_found(limit: str, parts: tuple[str, str]) -> None:
    with mock.patch(f"srcpack.bundle.{limit}", 1 << 40):
        assert any(growth.fault(parts, number) is not None for number in (24, 100, 200))


def test_the_command_says_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert growth.main(["--only", "nested objects", "--most", "64"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{len(growth.PARTS)} parts and pairs up to 64 of each, 0 faults, ")
    with mock.patch("srcpack.bundle.zip_directory._MAX_READS", 1 << 40):
        assert growth.main(["--only", "zip64 end records that search", "--most", "128"]) == 1
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("zip64 end records that search: ")


def test_what_there_is_of_a_part_is_in_the_zip() -> None:
    for part in growth.PARTS:
        assert len(growth.draft(200, part)) > len(growth.draft(100, part))
