"""Which ranges are asked for together: planning only, no I/O (docs/remote.md, "What a read costs").

A request costs what hundreds of local reads do, so neighbours are fetched by one, if what lies between them
takes less time than another request.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

__all__ = [
    "MAX_GAP",
    "MAX_REQUEST",
    "NOWHERE",
    "Range",
    "longest_run",
    "plan_blocks",
    "plan_requests",
    "split",
]

MAX_REQUEST = 8 << 20
"""Most bytes of one request; what is longer takes several, one after the other.

Threads that fetch side by side share it, down to `_LEAST_SHARE` each.
"""

_LEAST_SHARE = 1 << 20

MAX_GAP = 256 << 10
"""Most bytes between two ranges that are fetched by one request: they take less time than another one."""

_MAX_BLOCKS = 1 << 20
"""Most bytes of manifest blocks that are fetched ahead."""


class Range(NamedTuple):
    """Bytes from offset `start` up to, not including, `end`."""

    start: int
    end: int


NOWHERE = Range(0, 0)
"""The range of what needs no bytes."""


def longest_run(threads: int) -> int:
    """Return how many bytes each of so many threads may ask for at once."""
    return max(_LEAST_SHARE, MAX_REQUEST // max(1, threads))


def split(start: int, end: int) -> list[Range]:
    """Return the requests that a range takes, one after the other."""
    return [Range(at, min(at + MAX_REQUEST, end)) for at in range(start, end, MAX_REQUEST)]


def plan_requests(ranges: Sequence[Range], longest: int) -> list[list[int]]:
    """Return the numbers of the ranges in the order in which they lie, those of one request together.

    A request has at most `longest` bytes from its start to its end, unless one range is longer.
    """
    runs: list[list[int]] = []
    start = end = -1
    for number in sorted(range(len(ranges)), key=ranges.__getitem__):
        wanted = ranges[number]
        if runs and wanted.start - end <= MAX_GAP and wanted.end - start <= longest:
            runs[-1].append(number)
            end = max(end, wanted.end)
        else:
            runs.append([number])
            start, end = wanted
    return runs


def plan_blocks(lengths: Sequence[int]) -> int:
    """Return how many blocks of these lengths, one after the other, are fetched by one request: 1 or more."""
    return max(1, sum(total <= _MAX_BLOCKS for total in accumulate(lengths)))
