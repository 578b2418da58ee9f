"""How fast are a few lines taken out of a large file?"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from .contenders import (
    Contender,
    Lmdb,
    MappedZip,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipStored,
    MappedZipStream,
    Pack,
    PackByPread,
    PackRaw,
    SqliteZstd,
    WrongBytesError,
    Zip,
    lines_around,
)
from .harness import Cell, Column, Job, Result, Table, Target, Timings, measure
from .workloads import File, write_bundle
from .workspace import Workspace, skipped_rows

__all__ = ["run"]

_CONTENDERS: list[type[Contender]] = [
    Zip,
    MappedZip,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipStream,
    MappedZipStored,
    Pack,
    PackByPread,
    PackRaw,
    Lmdb,
    SqliteZstd,
]
_LARGE = 60 << 20
_URL = "~/large.js"
_TIMES_THE_ZIP = 20
_THREADS = (1, 2)
_TIMES_ONE = 1.8


def run(work: Workspace) -> Result:
    """Measure a line and five either side, at random places of a file of 60 MB."""
    size = _LARGE // 20 if work.quick else _LARGE
    work.add("large", lambda path: _write(path, size))
    lines = work.material("large").contents["files/_/_/large.js"].count(b"\n")
    rng = random.Random(11)
    places = [rng.randrange(1, lines) for _ in range(64)]
    rows: list[dict[str, Cell]] = []
    with work.opened("large", _CONTENDERS) as stores:
        content = stores[0].get("files/_/_/large.js")
        for store in stores:
            for line in places[: 2 if work.quick else 4]:
                if store.context(store.find(_URL), line) != lines_around(content, line):
                    raise WrongBytesError(f"{store.name}: line {line}")
        del content
        # Each goes through the same places, one a round.
        jobs = [Job(name=store.name, run=_taking(store, itertools.cycle(places))) for store in stores]
        timings = measure(jobs, work.rounds(15))
        rows = [
            {
                "way": store.name,
                "each": timings.each(store.name, 1e-3),
                "zipfile": timings.speed(store.name, Zip.name),
            }
            for store in stores
        ]
        whole = _by_threads(stores, work.rounds(15))
        others = [store.name for store in stores if store.compresses() and not isinstance(store, Pack)]
    best = min(others, key=lambda name: timings.each(name).median)
    return Result(
        question="lines",
        title="Five lines either side of a line of a large file",
        method=f"""
            The bundle holds one file of {size >> 20} MiB with {lines:,} lines. A sample finds the file by
            URL and returns one line with five either side, at a random place, the same for all in a round.
            A pack decodes the frame of 2 MiB that holds them, raw packs the part; others take the whole
            content and count line feeds to the place, but for *{MappedZipStream.name}*, which inflates
            until the lines are there, and so checks no CRC-32. What keeps decoded files keeps none this
            large. *By threads*: `Entry.read` with one and with several, in turns.
        """,
        quick=work.quick,
        bundles={"large": "generated"},
        tables=[
            Table(
                title="A line and its neighbours",
                columns=[
                    Column("way", "Way"),
                    Column("each", "ms", 3),
                    Column("zipfile", f"Times as fast as `{Zip.name}`", 1),
                ],
                rows=rows + skipped_rows(_CONTENDERS),
            ),
            Table(
                title="All of the file, by threads",
                columns=[
                    Column("threads", "Threads"),
                    Column("each", "ms", 1),
                    Column("one", "Times as fast as one", 2),
                ],
                rows=[
                    {
                        "threads": threads,
                        "each": whole.each(str(threads), 1e-3),
                        "one": whole.speed(str(threads), "1"),
                    }
                    for threads in _THREADS
                ],
            ),
        ],
        targets=[
            Target(
                claim="pack, all of the file by two threads, times as fast as by one",
                value=whole.speed("2", "1"),
                kind="at least",
                bound=_TIMES_ONE,
            ),
            Target(
                claim=f"pack, times as fast as {best}, the fastest other that compresses",
                value=timings.speed(Pack.name, best),
                kind="at least",
                bound=1,
            ),
            Target(
                claim=f"pack, times as fast as `{Zip.name}`",
                value=timings.speed(Pack.name, Zip.name),
                kind="at least",
                bound=_TIMES_THE_ZIP,
            ),
        ],
    )


def _write(path: Path, size: int) -> None:
    lines = "".join(
        f"value{n:04} = compute(left{n * 7 % 1009}, right{n * n % 997});  // {n}\n" for n in range(9973)
    )
    content = (lines * (size // len(lines) + 1)).encode()[:size]
    write_bundle(path, [File("files/_/_/large.js", content, {"type": "source", "url": _URL})])


def _taking(store: Contender, places: Iterator[int]) -> Callable[[], object]:
    return lambda: store.context(store.find(_URL), next(places))


def _by_threads(stores: Sequence[Contender], rounds: int) -> Timings:
    """Read the whole file from the pack by one thread and by several, in turns."""
    pack = next(store for store in stores if type(store) is Pack)
    found = pack.find(_URL)
    if found.read(threads=_THREADS[-1]) != found.read():
        raise WrongBytesError(f"{pack.name}: {_THREADS[-1]} threads")
    jobs = [Job(name=str(threads), run=partial(found.read, threads=threads)) for threads in _THREADS]
    return measure(jobs, rounds)
