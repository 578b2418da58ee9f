"""Doubles what can be repeated in a file, each part and each pair, and sees that costs grow no faster.

What costs are, and in what a file is counted, each kind of file says for itself.
"""

import argparse
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import combinations
from types import FrameType
from typing import Any
from unittest import mock

from srcpack.source.local import BytesSource

__all__ = ["counted", "double_all", "grown"]

_FACTOR = 1.25
"""How much faster than the file a cost may grow."""


def counted(work: Callable[[], object]) -> tuple[int, int]:
    """Return how many functions a piece of work calls, and how many bytes it reads of files in memory."""
    steps = read = 0
    read_bytes = BytesSource.read

    def counted_read(source: BytesSource, offset: int, length: int) -> bytes:
        nonlocal read
        piece = read_bytes(source, offset, length)
        read += len(piece)
        return piece

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    with mock.patch.object(BytesSource, "read", counted_read):
        sys.setprofile(count)
        try:
            work()
        finally:
            sys.setprofile(None)
    return steps, read


def grown(
    names: Sequence[str], number: int, less: Any, more: Any, *, slack: Sequence[int], little: Sequence[int]
) -> str | None:
    """Say what grew faster than a file, if anything did.

    Args:
        names: The parts that there are twice as many of.
        number: How many there were of each.
        less: The costs before, as a named tuple that begins with the size.
        more: The costs of twice as many.
        slack: How much more of each cost there may be in any case.
        little: What may be spent on each byte: a cost may grow up to this.
    """
    growth = more.size / less.size
    for kind, before, after, free, share in zip(less._fields, less, more, slack, little, strict=True):
        if after > max(_FACTOR * growth * before, share * more.size) + free:
            return (
                f"{' and '.join(names)}: {before:,} {kind} for {less.size:,} bytes with {number} of each, "
                f"{after:,} for {more.size:,} with {2 * number}"
            )
    return None


def double_all(
    arguments: Sequence[str] | None,
    *,
    about: str,
    parts: Collection[str],
    fault: Callable[[Sequence[str], int], str | None],
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """Double each part and each pair of parts, again and again; return the exit code."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--only", metavar="PART", default="", help="only those with this in their name")
    parser.add_argument("--most", metavar="N", type=int, default=1024, help="how many of each at most")
    given = parser.parse_args(arguments)
    chosen = [
        names
        for size in (1, 2)
        for names in combinations(parts, size)
        if any(given.only in name for name in names)
    ]
    began, faults = time.perf_counter(), 0
    numbers = [32]
    while 4 * numbers[-1] <= given.most:
        numbers.append(2 * numbers[-1])
    with around():
        for names in chosen:
            found = next(filter(None, (fault(names, number) for number in numbers)), None)
            if found is not None:
                faults += 1
                print(found, flush=True)
    seconds = time.perf_counter() - began
    tried = f"{len(chosen):,} parts and pairs up to {2 * numbers[-1]} of each"
    print(f"{tried}, {faults} faults, {seconds:.0f} s")
    return int(faults > 0)
