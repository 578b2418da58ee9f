"""What do 1,000 open bundles cost in memory?"""

import json
import multiprocessing
import os
import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import zstandard

from sourcepack_convert.conversion import convert

from .harness import ROOT, Cell, Column, Result, Spread, Table, Target, progress
from .workloads import javascript, write_bundle
from .workspace import Workspace

__all__ = ["run"]

_BUNDLES = 1000
_FILES = 24
_CONTENT = 50_000
_DICTIONARY = 126 << 10
_MOST_OPEN, _MOST_READ = 20, 60
_WAYS = {
    "pack": "pack",
    "pack-pread": "pack by pread",
    "zip": "`zipfile.ZipFile`",
    "zip-parsed": "`ZipFile`, manifest and two dicts",
}


def run(work: Workspace) -> Result:
    """Measure private memory after opening, and after a read from each, in fresh processes."""
    count = 40 if work.quick else _BUNDLES
    progress(f"  making {count} bundles and packs")
    folder = _make(work.folder / "memory", count)
    rows: list[dict[str, Cell]] = []
    targets = []
    for way, label in _WAYS.items():
        progress(f"  {way}")
        runs = [_probe(way, folder) for _ in range(1 if work.quick else 5)]
        row: dict[str, Cell] = {"way": label}
        for at, phase in (("open", "opened"), ("read", "read")):
            row[f"private_{at}"] = Spread.of(_grown(one, phase, "private") for one in runs)
            row[f"anonymous_{at}"] = Spread.of(_grown(one, phase, "anonymous") for one in runs)
        rows.append(row)
        if way == "pack":
            for key, bound, what in (
                ("private_open", _MOST_OPEN, "open"),
                ("private_read", _MOST_READ, "open, one file read of each"),
            ):
                value = row[key]
                if isinstance(value, Spread):
                    claim = f"{count:,} packs {what}: MB of private memory"
                    targets.append(Target(claim=claim, value=value, kind="at most", bound=bound))
    return Result(
        question="memory",
        title=f"Memory of {count:,} bundles open at once",
        method=f"""
            {count:,} different generated bundles of {_FILES} JavaScript files and maps, {_CONTENT:,} bytes
            together; their packs have dictionaries of {_DICTIONARY >> 10} KiB, each another one (far more
            than the converter would give such small bundles). A fresh process opens all of them, then reads
            one file of each; the figures are what it has more than before the first was opened. *Private*
            is what `/proc/self/smaps_rollup` calls so (`Private_Clean` and `Private_Dirty`): it includes
            pages of the files that no other process maps, which the system can drop at any time.
            *Anonymous* leaves these out. Each `mmap` and each `ZipFile` keeps a file descriptor.
        """,
        quick=work.quick,
        bundles={f"{count} small bundles": "generated"},
        tables=[
            Table(
                title="MB above the baseline",
                columns=[
                    Column("way", "Way"),
                    Column("private_open", "Private, opened", 1),
                    Column("private_read", "Private, one read of each", 1),
                    Column("anonymous_open", "Anonymous, opened", 1),
                    Column("anonymous_read", "Anonymous, one read of each", 1),
                ],
                rows=rows,
            )
        ],
        targets=targets,
    )


def _grown(memory: dict[str, dict[str, int]], phase: str, kind: str) -> float:
    return (memory[phase][kind] - memory["before"][kind]) / 1e6


def _probe(way: str, folder: Path) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.probe", "open", way, os.fspath(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    memory: dict[str, dict[str, int]] = json.loads(done.stdout)
    return memory


def _make(folder: Path, count: int) -> Path:
    """Make bundles and packs of them."""
    folder.mkdir()
    samples: list[bytes | bytearray | memoryview] = [file.content for file in javascript(99, [2500] * 1200)]
    trained = zstandard.train_dictionary(_DICTIONARY, samples, k=256, d=8, f=20, accel=4).as_bytes()
    tasks = [(os.fspath(folder), number, trained) for number in range(count)]
    # Not forked: the parent may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as executor:
        list(executor.map(_make_one, tasks, chunksize=10))
    return folder


def _make_one(task: tuple[str, int, bytes]) -> None:
    folder, number, trained = task
    path = Path(folder) / f"{number:04}.zip"
    rng = random.Random(number)
    cuts = sorted(rng.sample(range(200, _CONTENT - 200), _FILES - 1))
    sizes = [max(64, end - start) for start, end in zip([0, *cuts], [*cuts, _CONTENT], strict=True)]
    write_bundle(path, javascript(1000 + number, sizes))
    # Another id and another last part make it a dictionary of its own; its entropy tables stay the same.
    own = rng.randbytes(64)
    dictionary = trained[:4] + (0x8000 + number).to_bytes(4, "little") + trained[8:-64] + own
    convert(path, path.with_suffix(".srcpack"), preset="fast", dictionary=dictionary)
