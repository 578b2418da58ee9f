"""What does a batch of bundles gain from two jobs, does its memory grow, and what does a second run take?"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from srcpack_convert.many.capacity import memory_of

from .harness import ROOT, Cell, Column, Job, Result, Spread, Table, Target, measure, progress
from .workloads import File, write_bundle
from .workspace import Workspace

sys.path.insert(0, str(ROOT / "tests"))

from support.many import make_many

__all__ = ["run"]

_BUNDLES = ("js-many", "js-web", "jvm-junit4", "native-lua", "native-zstd")
_NUMBER = 2000
_JOBS = (1, 2)
_LEAST_GAIN = 1.85
_LEAST_SKIPPED = 5000
_MOST_GROWTH = 1.1
_SAMPLE_EVERY = 0.25

_ONE = r"""
import re, sys
from srcpack_convert import convert
convert(sys.argv[1], sys.argv[2], force=True)
print(re.search(r"VmHWM:\s*([0-9]+) kB", open("/proc/self/status").read())[1])
"""


def run(work: Workspace) -> Result:
    """Measure whole runs of the command over many bundles."""
    number = 24 if work.quick else _NUMBER
    names = work.chosen(_BUNDLES)
    bundles, out = work.folder / "many", work.folder / "many-packs"
    progress(f"  making {number:,} bundles")
    size = make_many(bundles, number, [work.bundle(name).path for name in names])
    memory: dict[int, list[_Memory]] = {jobs: [] for jobs in _JOBS}
    options: dict[str, Sequence[str]] = {"skip": ["--jobs", "2"], "checksum": ["--jobs", "2", "--checksum"]}

    def converted(jobs: int) -> None:
        memory[jobs].append(_convert(bundles, out, ["--jobs", str(jobs)], converted=number))

    def skipped(name: str) -> None:
        _convert(bundles, out, options[name], skipped=number)

    def clear() -> None:
        shutil.rmtree(out, ignore_errors=True)

    tasks = [Job(name=f"jobs {jobs}", run=partial(converted, jobs), prepare=clear) for jobs in _JOBS]
    tasks += [Job(name=name, run=partial(skipped, name)) for name in options]
    timings = measure(tasks, work.rounds(3), warm_up=False)
    gain = timings.speed("jobs 2", "jobs 1")
    rows: list[dict[str, Cell]] = [
        {
            "run": f"first, jobs={jobs}",
            "rate": timings.rate(f"jobs {jobs}", 60 * number),
            "bytes": timings.rate(f"jobs {jobs}", size / 1e6),
            "gain": timings.speed(f"jobs {jobs}", "jobs 1"),
            "middle": Spread.of(each.middle for each in memory[jobs]),
            "late": Spread.of(each.late for each in memory[jobs]),
            "most": Spread.of(each.most for each in memory[jobs]),
        }
        for jobs in _JOBS
    ]
    for name, title in (("skip", "second"), ("checksum", "second, `--checksum`")):
        rows.append({"run": title, "rate": timings.rate(name, 60 * number)})
    return Result(
        question="batch",
        title=f"{number:,} bundles converted by one command",
        method=f"""
            `tests/support/many.py` makes {number:,} bundles, {size / 1e6:.0f} MB together, each of some
            neighbouring files of one of the bundles named, of at most 300,000 bytes. Each run is the command
            `srcpack convert FOLDER -o PACKS` from its start to its end, Python's start included. Before
            a first run the packs are removed. Memory is the proportional share (`Pss`) of all processes of
            the command together, a sample each {_SAMPLE_EVERY} s: the most in the first half of the run, and
            in the second.
        """,
        quick=work.quick,
        bundles=work.origins(names),
        tables=[
            _needs(work),
            Table(
                title="Runs",
                columns=[
                    Column("run", "Run"),
                    Column("rate", "Bundles a minute", 0),
                    Column("bytes", "MB of zips a second", 2),
                    Column("gain", "Times jobs=1", 2),
                    Column("middle", "Memory in the middle third, MB", 0),
                    Column("late", "In the last third, MB", 0),
                    Column("most", "At most, MB", 0),
                ],
                rows=rows,
            ),
        ],
        targets=[
            Target(claim="rate with jobs=2, times jobs=1", value=gain, kind="at least", bound=_LEAST_GAIN),
            Target(
                claim="bundles a minute in a second run",
                value=timings.rate("skip", 60 * number),
                kind="at least",
                bound=_LEAST_SKIPPED,
            ),
            Target(
                claim="memory with jobs=2, last third of the run to the middle one",
                value=Spread.of(each.late / each.middle for each in memory[2]),
                kind="at most",
                bound=_MOST_GROWTH,
            ),
        ],
    )


def _needs(work: Workspace) -> Table:
    """Measure what single conversions take, beside what `--max-memory` believes."""
    scale = 0.05 if work.quick else 1.0
    bundles = [work.bundle(name) for name in (*work.chosen(_BUNDLES), "many-files")]
    noise = random.Random(1).randbytes(round(200e6 * scale))
    digits = noise[: len(noise) // 2].hex().encode()
    for name, content in (("one large text", digits), ("one large file that does not shrink", noise)):
        bundles.append(work.add(name, partial(_write_one, content)))
    rows: list[dict[str, Cell]] = []
    for bundle in bundles:
        progress(f"  memory of {bundle.name}")
        command = [sys.executable, "-c", _ONE, os.fspath(bundle.path), os.fspath(work.folder / "one.srcpack")]
        peak = float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout) * 1024 / 1e6
        size = bundle.path.stat().st_size
        rows.append(
            {"bundle": bundle.name, "size": size / 1e6, "peak": peak, "estimate": memory_of(size) / 1e6}
        )
    return Table(
        title="What one conversion needs",
        columns=[
            Column("bundle", "Bundle"),
            Column("size", "Zip, MB", 1),
            Column("peak", "Peak memory, MB", 0),
            Column("estimate", "Estimate, MB", 0),
        ],
        rows=rows,
    )


def _write_one(content: bytes, path: Path) -> None:
    write_bundle(path, [File("files/large", content, {"type": "source", "url": "~/large"})])


@dataclass(frozen=True, slots=True)
class _Memory:
    """Megabytes that a run took: medians of its middle and its last third, and the most."""

    middle: float
    late: float
    most: float


def _convert(bundles: Path, out: Path, options: Sequence[str], **counts: int) -> _Memory:
    """Run the command, check what it says it did, and return the memory that it took."""
    samples: list[float] = []
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "srcpack_convert", "convert", os.fspath(bundles)),
                *("-o", os.fspath(out), "--json", "--no-progress", *options),
            ],
            stdout=printed,
            start_new_session=True,
        )
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_SAMPLE_EVERY):
                samples.append(_memory_of_session(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        ended.set()
        watcher.join()
        printed.seek(0)
        summary = json.loads(printed.read())
    if code or any(summary[name] != count for name, count in counts.items()):
        raise RuntimeError(f"exit code {code}: {summary}")
    samples = samples or [1.0]  # it was over at once
    third = -(-len(samples) // 3)
    middle = samples[third : 2 * third] or samples
    return _Memory(statistics.median(middle), statistics.median(samples[-third:]), max(samples))


def _memory_of_session(session: int) -> float:
    """Return the megabytes that the processes of a session take; 0 where the system does not tell."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            rollup = (folder / "smaps_rollup").read_text()
        except (OSError, IndexError):  # it has ended meanwhile
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1000
