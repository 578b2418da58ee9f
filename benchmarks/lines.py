"""How fast are a few lines taken out of a large file?"""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from .contenders import (
    Contender,
    Lmdb,
    MappedZip,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipStored,
    MappedZipStream,
    MappedZipZstd,
    Pack,
    PackByPread,
    PackRaw,
    SqliteArchive,
    SqliteZstd,
    WrongBytesError,
    Zim,
    Zip,
    ZipStored,
    lines_around,
)
from .harness import Cell, Column, Job, Result, Table, Target, measure
from .workloads import File, write_bundle
from .workspace import Workspace, skipped_rows

__all__ = ["run"]

_CONTENDERS: list[type[Contender]] = [
    Zip,
    ZipStored,
    MappedZip,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipStream,
    MappedZipZstd,
    MappedZipStored,
    Pack,
    PackByPread,
    PackRaw,
    Lmdb,
    SqliteArchive,
    SqliteZstd,
    Zim,
]
_LARGE = 60 << 20
_URL = "~/large.js"
_TIMES_THE_ZIP = 20


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
            large.
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
            )
        ],
        targets=[
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
