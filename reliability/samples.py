"""What is counted of a process while it soaks, and whether that rises."""

import os
import threading
from collections import Counter
from collections.abc import Sequence
from statistics import linear_regression
from typing import NamedTuple

__all__ = ["Sample", "after_warm_up", "as_row", "as_table", "descriptors", "growths", "take_sample"]


class Sample(NamedTuple):
    """What was counted after a round.

    Attributes:
        seconds: Since the first round began.
        reads: Answers checked so far.
        descriptors: Those of the process.
        kept: Packs that the cache keeps open.
        threads: Those of the process.
        resident: Bytes of memory, `Rss`.
        private: Bytes of it that no other process has: `Private_Clean` and `Private_Dirty`.
        anonymous: Bytes of it that are no pages of files.
    """

    seconds: float
    reads: int
    descriptors: int
    kept: int
    threads: int
    resident: int
    private: int
    anonymous: int


def descriptors() -> int:
    """Return how many this process has."""
    return len(os.listdir("/proc/self/fd")) - 1  # one is that of the listing


def take_sample(seconds: float, reads: int, kept: int) -> Sample:
    """Count memory, descriptors and threads."""
    memory: Counter[str] = Counter()
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        for line in file:
            key, *values = line.split()
            if values[-1] == "kB":
                memory[key] += int(values[0]) << 10
    return Sample(
        seconds=seconds,
        reads=reads,
        descriptors=descriptors(),
        kept=kept,
        threads=threading.active_count(),
        resident=memory["Rss:"],
        private=memory["Private_Clean:"] + memory["Private_Dirty:"],
        anonymous=memory["Anonymous:"],
    )


def growths(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by how many bytes the line through the samples rises from the first to the last, by kind."""
    seconds = [sample.seconds for sample in samples]
    rises = {}
    for kind in ("resident", "anonymous"):
        line = linear_regression(seconds, [getattr(sample, kind) for sample in samples])
        rises[kind] = line.slope * (seconds[-1] - seconds[0])
    return rises


def after_warm_up(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples of the last five sixths of the time."""
    return [sample for sample in samples if sample.seconds >= samples[-1].seconds / 6]


def as_row(sample: Sample) -> str:
    """Return a row of a table in Markdown."""
    mib = (f"{size / (1 << 20):.1f}" for size in (sample.resident, sample.private, sample.anonymous))
    cells = (f"{sample.seconds / 60:.1f}", f"{sample.reads:,}", f"{sample.descriptors}", f"{sample.kept}")
    return f"| {' | '.join((*cells, f'{sample.threads}', *mib))} |"


def as_table(samples: Sequence[Sample], rows: int = 7) -> list[str]:
    """Return the lines of a table of some of the samples, from the first to the last."""
    return [
        "| Minute | Done | Descriptors | Packs kept open | Threads | Resident, MiB | Private | Anonymous |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(as_row(samples[at * (len(samples) - 1) // (rows - 1)]) for at in range(rows)),
    ]
