"""What do several processes gain and cost that read one file?"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from .contenders import (
    Contender,
    Lmdb,
    MappedZip,
    MappedZipIsal,
    Pack,
    PackByPread,
    PackWithCache,
    SqliteZstd,
    Zim,
    Zip,
    check,
)
from .harness import ROOT, Cell, Column, Job, Result, Spread, Table, measure, progress
from .workspace import Workspace, able, shuffled, skipped_rows

__all__ = ["run"]

_BUNDLE = "js-many"
_PROCESSES = (1, 2, 4)
_CONTENDERS: list[type[Contender]] = [
    Zip,
    MappedZip,
    MappedZipIsal,
    Pack,
    PackByPread,
    PackWithCache,
    Lmdb,
    SqliteZstd,
    Zim,
]
_ROUNDS = 7


def run(work: Workspace) -> Result:
    """Measure reads of one bundle by 1, 2 and 4 processes, and the memory they take together."""
    contenders = able(_CONTENDERS)
    counts: Sequence[int] = _PROCESSES
    if work.quick:
        contenders, counts = contenders[:5:2], _PROCESSES[:2]
    material = work.material(_BUNDLE)
    order = shuffled(material.contents)
    amount = sum(map(len, material.contents.values())) / 1e6
    for contender in contenders:
        with contender(work.file(_BUNDLE, contender.format)) as store:
            check(store, material)
    del material
    names = work.folder / "processes.json"
    names.write_text(json.dumps(order), encoding="utf-8")
    jobs = []
    memory: dict[tuple[type[Contender], int], dict[str, float]] = {}
    with ExitStack() as stack:
        crews: dict[tuple[type[Contender], int], _Processes] = {}
        for count in counts:
            for contender in contenders:
                progress(f"  {count} of {contender.name}")
                crew = _Processes(contender, os.fspath(work.file(_BUNDLE, contender.format)), names, count)
                crews[contender, count] = stack.enter_context(crew)
                jobs.append(Job(name=f"{contender.name}/{count}", run=crew.read))
        timings = measure(jobs, work.rounds(_ROUNDS))
        for case, crew in crews.items():
            memory[case] = crew.grown()
    rows: list[dict[str, Cell]] = []
    for contender in contenders:
        for count in counts:
            key = f"{contender.name}/{count}"
            rows.append(
                {
                    "way": contender.name,
                    "processes": count,
                    "rate": timings.rate(key, amount * count),
                    "zipfile": timings.speed(key, f"{Zip.name}/{count}"),
                    "scaling": Spread.of(
                        count * one / many
                        for one, many in zip(
                            timings.seconds[f"{contender.name}/1"], timings.seconds[key], strict=True
                        )
                    ),
                    **memory[contender, count],
                }
            )
    return Result(
        question="processes",
        title="Processes that read one file",
        method=f"""
            Each process opens {_BUNDLE} itself and, when it is told to, reads all files by name in one
            random order; a sample runs from the first word to the last answer. All processes of all
            contenders live through the whole measurement, and those that are not asked wait. *Private* is
            the private memory that all processes of a kind have more than before they opened the bundle;
            *mapped* is what their proportional share (`Pss`) grew by, in which pages of the file that
            several of them map count once in all. Caches of decoded files are each process's own.
        """,
        quick=work.quick,
        bundles=work.origins([_BUNDLE]),
        tables=[
            Table(
                title=f"{_BUNDLE}: {len(order):,} files, {amount:.1f} MB for each process",
                columns=[
                    Column("way", "Way"),
                    Column("processes", "Processes"),
                    Column("rate", "MB/s, all together", 0),
                    Column("zipfile", f"Times `{Zip.name}`"),
                    Column("scaling", "Times one process"),
                    Column("private", "Private, MB", 1),
                    Column("proportional", "Private and share of mapped, MB", 1),
                ],
                rows=rows + skipped_rows(_CONTENDERS),
            )
        ],
    )


class _Processes:
    """Some processes that read a bundle, each time they are told to."""

    def __init__(self, contender: type[Contender], path: str, names: os.PathLike[str], count: int) -> None:
        self._processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.probe", "serve"),
                    *(contender.name, path, os.fspath(names)),
                ],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]

    def read(self) -> None:
        """Let all of them read everything once."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != "\n":
                raise RuntimeError("a process that reads has ended")

    def grown(self) -> dict[str, float]:
        """End them, and return the MB that their memory grew by, added up."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        ends = []
        for process in self._processes:
            assert process.stdout is not None
            ends.append(json.loads(process.stdout.read()))
        return {
            kind: sum(end["read"][kind] - end["before"][kind] for end in ends) / 1e6
            for kind in ("private", "proportional")
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait()
