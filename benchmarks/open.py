"""How long does it take to open a bundle and find one file?"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import sourcepack

from .harness import Cell, Column, Contender, Result, Table, Target, Timings, measure, progress
from .workspace import Workspace, ZipReader, clear_caches, shuffled

__all__ = ["run"]

_BUNDLES = ("js-many", "many-files")
_MOST_MICROSECONDS = 100
_LEAST_SPEED = 500
_MISS = "~/static/there-is-no-such-file.js"


def run(work: Workspace) -> Result:
    """Measure opening and the first lookup, hit and miss, of a pack and of its zip."""
    rows: list[dict[str, Cell]] = []
    targets: list[Target] = []
    for name in _BUNDLES:
        progress(f"  {name}")
        bundle = work.bundle(name)
        pack_path = work.pack(name)
        zip_reader = ZipReader(bundle.path)
        by_url = "~/" in next(iter(zip_reader.by_key))
        keys = shuffled(list(zip_reader.by_key))
        files = len(zip_reader.by_key)
        del zip_reader
        timings = _measure(pack_path, bundle.path, keys, by_url=by_url, rounds=work.rounds(15))
        for kind in ("hit", "miss"):
            ours, theirs = f"pack, {kind}", f"zip, {kind}"
            speed = timings.speed(ours, theirs)
            rows.append(
                {
                    "bundle": name,
                    "files": files,
                    "lookup": f"{'URL' if by_url else 'path'}, {kind}",
                    "pack": timings.each(ours, 1e-6),
                    "pread": timings.each(f"pack by pread, {kind}", 1e-6),
                    "zip": timings.each(theirs, 1e-6),
                    "speed": speed,
                }
            )
            what = f"{name}: open and first lookup ({kind})"
            targets.append(
                Target(
                    claim=f"{what}, in microseconds",
                    value=timings.each(ours, 1e-6),
                    kind="at most",
                    bound=_MOST_MICROSECONDS,
                )
            )
            targets.append(
                Target(
                    claim=f"{what}, times as fast as the zip",
                    value=speed,
                    kind="at least",
                    bound=_LEAST_SPEED,
                )
            )
    return Result(
        question="open",
        title="Opening a bundle and finding one file",
        method="""
            A pack is opened and one key looked up, with the caches of the process empty; the zip is opened
            with `zipfile.ZipFile`, its `manifest.json` read and parsed with `json.loads`, two dicts made of
            it (by URL or path, and by debug id), and the same key looked up. The files are in the page
            cache. Closing is not timed. Keys differ from run to run, in a random order that is the same
            each time; a sample is the mean of 100 opens of the pack, or one of the zip.
        """,
        quick=work.quick,
        bundles=work.origins(_BUNDLES),
        tables=[
            Table(
                title="Open and first lookup",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("files", "Files"),
                    Column("lookup", "Lookup"),
                    Column("pack", "Pack, µs", 1),
                    Column("pread", "Pack by pread, µs", 1),
                    Column("zip", "Zip, µs", 0),
                    Column("speed", "Pack times as fast", 0),
                ],
                rows=rows,
            )
        ],
        targets=targets,
    )


def _measure(pack: Path, bundle: Path, keys: list[str], *, by_url: bool, rounds: int) -> Timings:
    hits = itertools.cycle(keys)
    misses = (f"{_MISS}?{number}" for number in itertools.count())

    def of_pack(source: sourcepack.pack.SourceKind, some: Iterator[str]) -> Callable[[], object]:
        def run() -> object:
            opened = sourcepack.open(pack, source=source)
            key = next(some)
            return opened, opened.by_url(key) if by_url else opened.by_path(key)

        return run

    def of_zip(some: Iterator[str]) -> Callable[[], object]:
        def run() -> object:
            opened = ZipReader(bundle)
            return opened, opened.by_key.get(next(some))

        return run

    contenders = []
    for kind, some in (("hit", hits), ("miss", misses)):
        for label, source in (("pack", "mmap"), ("pack by pread", "pread")):
            contenders.append(
                Contender(
                    name=f"{label}, {kind}",
                    run=of_pack("pread" if source == "pread" else "mmap", some),
                    prepare=clear_caches,
                    calls=100,
                )
            )
        contenders.append(Contender(name=f"zip, {kind}", run=of_zip(some)))
    return measure(contenders, rounds)
