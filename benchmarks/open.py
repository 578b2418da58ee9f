"""How long does it take to open a bundle and find one file, by the number of its files?"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from srcpack.opening import packfile_of

from .contenders import (
    Contender,
    Lmdb,
    MappedZip,
    MappedZipStored,
    Pack,
    PackByPread,
    SqliteZstd,
    Zip,
    check,
)
from .harness import Cell, Column, Job, Result, Table, Target, Timings, calls_for, measure, progress
from .workloads import numbered, write_bundle
from .workspace import Workspace, able, shuffled, skipped_rows

__all__ = ["run"]

_CONTENDERS: list[type[Contender]] = [
    Zip,
    MappedZip,
    MappedZipStored,
    Pack,
    PackByPread,
    Lmdb,
    SqliteZstd,
]
_FILES = {10: 15, 1_000: 15, 10_000: 9, 65_536: 5}
"""By number of files, how many rounds."""

_QUICK_FILES = {10: 2, 1_000: 2}
_CHECKED = 2_000
_MOST_MICROSECONDS = 100
_MISS = "~/static/there-is-no-such-file.js"
_KINDS = {"hit": "hit", "miss": "miss", "read": "hit, and its bytes read"}


def run(work: Workspace) -> Result:
    """Measure opening and the first lookup, hit, miss and read, of bundles with 10 to 65,536 files."""
    rows: list[dict[str, Cell]] = []
    targets: list[Target] = []
    bytes_read: list[dict[str, Cell]] = []
    counts = _QUICK_FILES if work.quick else _FILES
    names = [_name(count) for count in counts]
    smallest: Timings | None = None
    for count, rounds in counts.items():
        progress(f"  {count:,} files")
        timings = _measure(work, count, rounds)
        smallest = smallest or timings
        for contender in able(_CONTENDERS):
            for kind, label in _KINDS.items():
                key = f"{contender.name}/{kind}"
                rows.append(
                    {
                        "files": count,
                        "lookup": label,
                        "way": contender.name,
                        "each": timings.each(key, 1e-6),
                        "zipfile": timings.speed(key, f"{Zip.name}/{kind}"),
                        "growth": timings.each(key).median / smallest.each(key).median,
                    }
                )
        targets += _targets(count, timings)
        pack = Pack(work.file(_name(count), "pack"))
        tail = packfile_of(pack.pack).tail
        bytes_read.append({"files": count, "index": 12 + 8 * tail.slot_count / tail.bucket_count + 12})
        pack.close()
    return Result(
        question="open",
        title="Opening a bundle and finding one file",
        method=f"""
            A bundle is opened and one URL looked up, with the caches of the process empty. *Hit* and *miss*
            end with the answer, *read* with the file's bytes. The zips parse `manifest.json` and make a
            dict of URLs. Bundles have files of 20 bytes or so; URLs differ from run to run, in a random
            order that is the same each time. Fast ways take the mean of several runs as a sample. Closing
            is not timed, and the files are in the page cache. Before, {_CHECKED:,} files of each were read
            and compared. *Growth* is the median as a multiple of the one with {min(counts)} files.
        """,
        quick=work.quick,
        bundles=dict.fromkeys(names, "generated"),
        tables=[
            Table(
                title="Open and first lookup",
                columns=[
                    Column("files", "Files"),
                    Column("lookup", "Lookup"),
                    Column("way", "Way"),
                    Column("each", "µs", 1),
                    Column("zipfile", f"Times as fast as `{Zip.name}`", 1),
                    Column("growth", "Growth", 2),
                ],
                rows=rows + skipped_rows(_CONTENDERS),
            ),
            Table(
                title="Bytes of a pack's index that a lookup reads, on average",
                columns=[Column("files", "Files"), Column("index", "Bytes", 0)],
                rows=bytes_read,
            ),
        ],
        targets=targets,
    )


def _name(count: int) -> str:
    return f"files-{count}"


def _targets(count: int, timings: Timings) -> list[Target]:
    targets = []
    for kind, label in _KINDS.items():
        what = f"{count:,} files: open and first lookup ({label})"
        if kind != "read":
            targets.append(
                Target(
                    claim=f"{what}, in microseconds",
                    value=timings.each(f"{Pack.name}/{kind}", 1e-6),
                    kind="at most",
                    bound=_MOST_MICROSECONDS,
                )
            )
        others = [each for each in able(_CONTENDERS) if not issubclass(each, Pack)]
        seconds = {each: timings.each(f"{each.name}/{kind}").median for each in others}
        best = min(seconds, key=seconds.__getitem__)
        targets.append(
            Target(
                claim=f"{what}, times as fast as {best.name}, the fastest other",
                value=timings.speed(f"{Pack.name}/{kind}", f"{best.name}/{kind}"),
                kind="at least",
                bound=1,
            )
        )
    return targets


def _measure(work: Workspace, count: int, rounds: int) -> Timings:
    name = _name(count)
    work.add(name, lambda path: write_bundle(path, numbered(count)))
    material = work.material(name)
    urls = shuffled(material.by_url)
    jobs = []
    for contender in able(_CONTENDERS):
        path = work.file(name, contender.format)
        with contender(path) as store:
            check(store, material, most=_CHECKED)
        for kind in _KINDS:
            some = (
                (f"{_MISS}?{number}" for number in itertools.count())
                if kind == "miss"
                else itertools.cycle(urls)
            )
            job = Job(
                name=f"{contender.name}/{kind}",
                run=_opening(contender, path, some, read=kind == "read"),
                prepare=contender.forget,
                finish=contender.close,
            )
            jobs.append(calls_for(job, 0.01, 100))
    return measure(jobs, rounds)


def _opening(
    contender: type[Contender], path: Path, urls: Iterator[str], *, read: bool
) -> Callable[[], Contender]:
    def run() -> Contender:
        store = contender(path)
        found = store.find(next(urls))
        if read:
            store.read(found)
        return store

    return run
