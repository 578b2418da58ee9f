"""Prints what became of every damage to packs, and to the zips they were made from, as two Markdown tables.

`python -m support.damage_tables` takes an hour or two, with `--jobs 2` half of it; `--quick` asks less, in
fewer places; `packs` or `zips` does one of the tables. Wrong answers are told on stderr. The exit code is 1
where a pack gave one.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import TypeAlias

from support.damage import HARMLESS, KINDS, MISSED, REFUSED, WRONG
from support.damaged_packs import LARGE, tally
from support.damaged_zips import tally_zip
from support.sample_packs import bundle_of, large_bundle, large_pack, sample_packs

__all__ = ["main"]

_Tally: TypeAlias = Callable[..., tuple[Counter[str], list[str]]]

_OUTCOMES = (REFUSED, HARMLESS, WRONG, MISSED)
_TOLD = 5


def _row(*cells: object) -> None:
    shown = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells]
    print("|", " | ".join(shown), "|", flush=True)


def _table(what: str, sizes: Sequence[int], judged: _Tally, jobs: int) -> int:
    """Print a table, and return how many answers were wrong or missed."""
    _row(f"{what} of {', '.join(f'{size:,}' for size in sizes)} bytes", "cases", *_OUTCOMES)
    _row("---", *["--:"] * (1 + len(_OUTCOMES)))
    total: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    tasks = [(pack, kind) for kind in KINDS for pack in sample_packs()] + [("large", LARGE)]
    with ExitStack() as stack:
        mapped = map if jobs == 1 else stack.enter_context(ProcessPoolExecutor(jobs)).map
        results = iter(mapped(judged, *zip(*tasks, strict=True)))
        for kind in (*KINDS, LARGE):
            counts: Counter[str] = Counter()
            for found, wrong in islice(results, sum(task[1] == kind for task in tasks)):
                counts += found
                for answer in wrong[:_TOLD]:
                    print(answer, file=sys.stderr)
                # It is told as pack, damage and question, of which the first word says what was asked.
                asked.update(answer.split(": ")[2].split(" ")[0] for answer in wrong)
            _row(kind, counts.total(), *(counts[outcome] for outcome in _OUTCOMES))
            total += counts
    _row("all", total.total(), *(total[outcome] for outcome in _OUTCOMES))
    if asked:
        questions = ", ".join(f"`{question}` {count:,}" for question, count in asked.most_common())
        print(f"\nThe answers that were wrong or missing, by question: {questions}.")
    return total[WRONG] + total[MISSED]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, and return the exit code."""
    parser = argparse.ArgumentParser(description="Damage small files in every way, and ask them everything.")
    parser.add_argument("what", nargs="?", choices=("packs", "zips"), help="one of the tables; else both")
    parser.add_argument("--quick", action="store_true", help="ask a few questions of each, in fewer places")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    given = parser.parse_args(arguments)
    step = 13 if given.quick else 1
    wrong = 0
    if given.what != "zips":
        sizes = [*map(len, sample_packs().values()), len(large_pack())]
        most = 8 if given.quick else None
        wrong = _table("packs", sizes, partial(tally, step=step, most=most), given.jobs)
    if given.what != "packs":
        if given.what is None:
            print()
        sizes = [*(len(bundle_of(pack)) for pack in sample_packs()), len(large_bundle())]
        _table("their zips", sizes, partial(tally_zip, step=step), given.jobs)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
