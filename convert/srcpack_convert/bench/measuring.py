"""Timing side by side: the core of `srcpack bench` and of the benchmarks.

Jobs take turns (A B A B), so that a slow spell of the machine falls on all of them, and are compared
pair by pair within a round. Every figure is a median with its quartiles.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Job", "Spread", "Timings", "measure", "rounded"]

_DIGITS = 5


def rounded(value: float) -> float:
    """Return a figure to five digits, as results keep it; an int stays as it is."""
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")


@dataclass(frozen=True, slots=True)
class Spread:
    """Samples of one figure: their median and quartiles, the least, and how many there are."""

    median: float
    q1: float
    q3: float
    least: float
    samples: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Sum up samples, at least one."""
        values = sorted(values)
        if len(values) == 1:
            q1 = q3 = values[0]
        else:
            q1, _, q3 = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), q1, q3, values[0], len(values))

    def as_json(self) -> dict[str, float]:
        """Return the spread as JSON has it."""
        figures = {"median": self.median, "q1": self.q1, "q3": self.q3, "least": self.least}
        return {**{key: rounded(value) for key, value in figures.items()}, "samples": self.samples}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One way to do a piece of work, to be timed beside others.

    `run` does it once; what it returns is given to `finish` after the clock has stopped. `prepare` is done
    before each run, untimed. A sample is the mean of so many `calls`, each timed by itself by a `clock` of
    nanoseconds.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] | None = None
    finish: Callable[[Any], object] | None = None
    calls: int = 1
    clock: Callable[[], int] = time.perf_counter_ns

    def sample(self) -> tuple[float, float]:
        """Return the seconds that a run takes by the clock, and of this thread's processor time."""
        total = total_cpu = 0
        for _ in range(self.calls):
            if self.prepare is not None:
                self.prepare()
            start_cpu = time.thread_time_ns()
            start = self.clock()
            result = self.run()
            total += self.clock() - start
            total_cpu += time.thread_time_ns() - start_cpu
            if self.finish is not None:
                self.finish(result)
            del result
        return total / self.calls / 1e9, total_cpu / self.calls / 1e9


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of each job, by its name, round by round: sample `i` of each is of round `i`.

    `cpu` is the same in processor time of the thread that measures, for work that it does alone: what other
    processes do meanwhile hardly changes it.
    """

    seconds: Mapping[str, Sequence[float]]
    cpu: Mapping[str, Sequence[float]]

    def each(self, name: str, per: float = 1.0) -> Spread:
        """Return what a run takes in units of `per` seconds: 1e-3 gives milliseconds."""
        return Spread.of(seconds / per for seconds in self.seconds[name])

    def rate(self, name: str, amount: float) -> Spread:
        """Return how much of `amount`, which a run gets through, it does in a second."""
        return Spread.of(amount / seconds for seconds in self.seconds[name])

    def speed(self, name: str, against: str) -> Spread:
        """Return how many times as fast one job is as another, pair by pair."""
        pairs = zip(self.seconds[name], self.seconds[against], strict=True)
        return Spread.of(other / mine for mine, other in pairs)

    def cpu_speed(self, name: str, against: str) -> Spread:
        """Return the same in processor time: steadier on a machine that others use too."""
        return Timings(self.cpu, {}).speed(name, against)

    def gap(self, name: str, below: str, per: float = 1.0) -> Spread:
        """Return how much longer one takes than the one below it, pair by pair, in units of `per` seconds."""
        pairs = zip(self.seconds[name], self.seconds[below], strict=True)
        return Spread.of((longer - shorter) / per for longer, shorter in pairs)


def measure(jobs: Sequence[Job], rounds: int, *, warm_up: bool = True) -> Timings:
    """Time jobs in turns, so many rounds, after a sample of each that is thrown away to warm up."""
    seconds: dict[str, list[float]] = {job.name: [] for job in jobs}
    cpu: dict[str, list[float]] = {job.name: [] for job in jobs}
    if len(seconds) < len(jobs):
        raise ValueError("two jobs have one name")
    enabled = gc.isenabled()
    gc.disable()  # a collection would fall on whoever is at work when it comes
    try:
        if warm_up:
            for job in jobs:
                job.sample()
        for _ in range(rounds):
            for job in jobs:
                gc.collect()
                by_clock, of_thread = job.sample()
                seconds[job.name].append(by_clock)
                cpu[job.name].append(of_thread)
    finally:
        if enabled:
            gc.enable()
    return Timings(seconds, cpu)
