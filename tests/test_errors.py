"""Errors: what they say, and that they arrive as they are in another process."""

import pickle
from typing import Any

import pytest

from srcpack import DamagedMember, FormatError, LimitExceeded, NotFound, SrcpackError


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "error",
    [
        FormatError("a.srcpack", "length", member="m", offset=3, found=1, expected=b"2"),
        FormatError("a.srcpack", "entry", found=nested(100_000), expected={"a": nested(400)}),
        FormatError("a.srcpack", "positions", found=list(range(1_000_000))),
        DamagedMember("a.srcpack", "m", "CRC"),
        LimitExceeded("a.srcpack", "size", 2, 1, member="m"),
        NotFound("a.srcpack", "m"),
    ],
)
def test_an_error_is_the_same_after_pickling_and_is_short(error: SrcpackError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert len(str(error)) < 200
    assert str(error).startswith("a.srcpack: ")
