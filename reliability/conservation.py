"""Does each input of a batch become a pack, a failure, or something passed over, however it is spelled?

    python -m reliability.conservation                      # 2,000 batches; `just conservation`
    python -m reliability.conservation --batches 100 --seed 7

Each batch names up to ten inputs: files and URLs that exist or do not, are bundles or are not, spelled in
many ways (`./`, `//`, `..`, links, absolute, percent-encoded, with queries), in a list or as sources, with
folders and patterns among them; the folder for packs is spelled in many ways too, and has links in it. It is
run twice. `support.conservation` says what must hold. The first batch for which it does not is made as small
as possible and shown, and the exit code is 1.
"""

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from support.conservation import check, named, world

__all__ = ["conserve", "main"]


def conserve(batches: int, *, first_seed: int) -> int:
    """Try batches, and return how many there were.

    Raises:
        AssertionError: An input was lost, or something else than its pack was made.
    """
    tried = 0
    with world() as place:

        @seed(first_seed)
        @settings(
            max_examples=batches,
            deadline=None,
            database=None,
            suppress_health_check=tuple(HealthCheck.__members__.values()),
        )
        @given(data=st.data())
        def each_is_conserved(data: Any) -> None:
            nonlocal tried
            tried += 1
            check(place, data.draw(named(place)))

        each_is_conserved()
    return tried


def main(args: Sequence[str] | None = None) -> int:
    """Try what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(args)
    started = time.monotonic()
    tried = conserve(chosen.batches, first_seed=chosen.seed)
    seconds = time.monotonic() - started
    print(f"{tried:,} batches, each run twice, in {seconds:.0f} s: nothing was lost ({platform.platform()})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
