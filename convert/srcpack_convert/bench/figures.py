"""The figures of a comparison: what both sides take for the same work, in turns."""

import math
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from gc import collect
from itertools import count, cycle, repeat
from typing import Any, Literal

import srcpack
from srcpack import Entry, Pack, SourceLink
from srcpack_convert.bench.measuring import Job, Spread, Timings, measure
from srcpack_convert.bench.questions import Asked, Progress, look_up_by, replay_pack, replay_zip, sampled
from srcpack_convert.bench.zip_side import Zip, opened

__all__ = ["Row", "Sides", "measured", "sizes_row"]

_MISS = "~/there-is-no-such-file.js"
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 51
_SAMPLE_READS = 20_000
_LEAST_SAMPLE = 0.02
_MOST_CALLS = 100
_PACKS_IN_MEMORY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of both sides, named for JSON and for tables; the ratio is zip over pack, pair by pair.

    The unit is `s` or `bytes`; of reads and events, for each of them.
    """

    key: str
    label: str
    unit: Literal["s", "bytes"]
    zip: Spread
    pack: Spread
    ratio: Spread

    def as_json(self) -> dict[str, Any]:
        """Return the row as values that JSON knows."""
        figures = {"zip": self.zip.as_json(), "pack": self.pack.as_json(), "ratio": self.ratio.as_json()}
        return {"unit": self.unit, **figures}


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides, open, the pack's path, and what both are asked."""

    path: str
    pack: Pack
    zipped: Zip
    asked: Asked

    def open_zip(self) -> Zip:
        """Open the zip anew."""
        return opened(self.zipped.file, self.zipped.key)

    def find_in_zip(self, key: str) -> tuple[Zip, str | None]:
        """Open the zip anew and look a key up; return both, so that closing is not timed."""
        zipped = self.open_zip()
        return zipped, zipped.by_key.get(key)

    def find_in_pack(self, key: str) -> tuple[Pack, Entry | SourceLink | None]:
        """Open the pack anew and look a key up."""
        pack = srcpack.open(self.path)
        return pack, look_up_by(pack, self.zipped.key)(key)


@dataclass(frozen=True, slots=True)
class _Work:
    """A piece of work that both sides do, for one row of the table; `amount` is what it is divided by."""

    key: str
    label: str
    zip: Job
    pack: Job
    amount: int = 1


def measured(
    sides: Sides, stack: ExitStack, threads: int, seconds: float, tell: Progress
) -> tuple[list[Row], int]:
    """Return the rows of memory and time, and how many rounds were measured.

    The stack takes what else is opened; three rounds are measured, and then for the rest of the seconds.
    """
    tell("measuring memory")
    memory = _memory(sides)
    tell("measuring")
    works = [*_opening(sides), *_reading(sides, stack, threads), *_replaying(sides)]
    jobs = list({side.name: side for work in works for side in (work.zip, work.pack)}.values())
    timings, rounds = _timed(jobs, seconds, tell)
    rows = [
        Row(
            key=work.key,
            label=work.label,
            unit="s",
            zip=timings.each(work.zip.name, work.amount),
            pack=timings.each(work.pack.name, work.amount),
            ratio=timings.speed(work.pack.name, work.zip.name),
        )
        for work in works
    ]
    return [memory, *rows], rounds


def _timed(jobs: Sequence[Job], seconds: float, tell: Progress) -> tuple[Timings, int]:
    """Measure round by round until the next one would take too long."""
    times: dict[str, list[float]] = {job.name: [] for job in jobs}
    start = time.perf_counter()
    took = 0.0
    rounds = 0
    while rounds < _LEAST_ROUNDS or (rounds < _MOST_ROUNDS and took + took / rounds < seconds):
        timings = measure(jobs, 1, warm_up=rounds == 0)
        for name, samples in timings.seconds.items():
            times[name] += samples
        rounds += 1
        took = time.perf_counter() - start
        tell(f"measuring: {rounds} rounds, {took:.0f} s of {seconds:g}")
    return Timings(times, {}), rounds


def sizes_row(of_zip: float, of_pack: float, key: str = "size", label: str = "size") -> Row:
    """Return a row of bytes, which are measured once."""
    return Row(
        key=key,
        label=label,
        unit="bytes",
        zip=Spread.of([of_zip]),
        pack=Spread.of([of_pack]),
        ratio=Spread.of([of_zip / of_pack]),
    )


def _memory(sides: Sides) -> Row:
    keys = cycle(sides.asked.keys)
    of_zip = _held(lambda: sides.find_in_zip(next(keys)), 1)
    of_pack = _held(lambda: sides.find_in_pack(next(keys)), _PACKS_IN_MEMORY)
    return sizes_row(of_zip, of_pack, "memory", "memory, open")


def _held(open_one: Callable[[], object], count: int) -> float:
    """Return the bytes that Python holds for each of `count` results."""
    open_one()  # what is made once in a process is not one bundle's
    collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = [open_one() for _ in range(count)]
        collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / len(held)


def _opening(sides: Sides) -> Iterator[_Work]:
    hits = cycle(sides.asked.keys)
    misses = map("{}?{}".format, repeat(_MISS), count())
    what = "URL" if sides.zipped.key == "url" else "path"
    for kind, label, keys in (("hit", f"open, find a {what}", hits), ("miss", "open, find none", misses)):
        yield _Work(
            f"open_{kind}",
            label,
            _job(f"zip, {kind}", partial(_with_next, sides.find_in_zip, keys)),
            _job(f"pack, {kind}", partial(_with_next, sides.find_in_pack, keys)),
        )


def _with_next(find: Callable[[str], object], keys: Iterator[str]) -> object:
    return find(next(keys))


def _job(name: str, run: Callable[[], object]) -> Job:
    """Return a job of whose runs a sample takes so many that the clock's own steps don't matter."""
    run()
    return Job(name=name, run=run, calls=min(_MOST_CALLS, math.ceil(_LEAST_SAMPLE / _seconds(run))))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    result = run()
    took = time.perf_counter() - start
    del result
    return max(took, 1e-9)


def _reading(sides: Sides, stack: ExitStack, threads: int) -> Iterator[_Work]:
    zips = [sides.zipped, *(stack.enter_context(sides.open_zip()) for _ in range(threads - 1))]
    pool = stack.enter_context(ThreadPoolExecutor(threads))
    keys = sampled(sides.asked.keys[:_SAMPLE_READS], lambda key: sides.asked.sizes[sides.zipped.by_key[key]])
    of_zip = partial(_read_from_zip, sides.zipped.zip.read, sides.zipped.by_key)
    of_zips = [partial(_read_from_zip, each.zip.read, sides.zipped.by_key) for each in zips]
    of_pack = partial(_read_from_pack, look_up_by(sides.pack, sides.zipped.key))
    of_pack(keys)
    keys = keys * min(_SAMPLE_READS, math.ceil(_LEAST_SAMPLE / _seconds(partial(of_pack, keys))))

    def dealt(name: str, read: Sequence[Callable[[Sequence[str]], None]]) -> Job:
        shares = [keys[number::threads] for number in range(threads)]

        def run() -> None:
            for done in [pool.submit(each, share) for each, share in zip(read, shares, strict=True)]:
                done.result()

        return Job(name=name, run=run)

    many = f"{threads} threads"
    yield _Work(
        "read",
        "read, 1 thread",
        Job(name="zip, read", run=partial(of_zip, keys)),
        Job(name="pack, read", run=partial(of_pack, keys)),
        len(keys),
    )
    in_threads = dealt("pack, read by threads", [of_pack] * threads)
    shared = dealt("zip, read by threads", [of_zip] * threads)
    yield _Work("read_threads_one_zip", f"read, {many}, one zip", shared, in_threads, len(keys))
    own = dealt("zips, read by threads", of_zips)
    yield _Work("read_threads_own_zips", f"read, {many}, own zips", own, in_threads, len(keys))


def _read_from_zip(read: Callable[[str], bytes], by_key: Mapping[str, str], keys: Sequence[str]) -> None:
    for key in keys:
        read(by_key[key])


def _read_from_pack(look_up: Callable[[str], Entry | None], keys: Sequence[str]) -> None:
    for key in keys:
        entry = look_up(key)
        if isinstance(entry, Entry):
            entry.read()


def _replaying(sides: Sides) -> Iterator[_Work]:
    events = sides.asked.events
    if not events:
        return

    def of_zip() -> None:
        for event in events:
            replay_zip(sides.zipped, event)

    def of_pack() -> None:
        for event in events:
            replay_pack(sides.pack, event)

    yield _Work(
        "event",
        "event: file, map, lines",
        _job("zip, event", of_zip),
        _job("pack, event", of_pack),
        len(events),
    )
