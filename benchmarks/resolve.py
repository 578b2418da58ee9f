"""How fast is a minified frame resolved, and an event over many packs?"""

import itertools
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import srcpack
from srcpack import Pack, PackSet, Resolved
from srcpack.resolve import LookupCache, resolve_event
from srcpack_convert import convert

from .contenders import clear_caches
from .harness import ROOT, Cell, Column, Job, Result, Table, Target, measure
from .workspace import Workspace

__all__ = ["FRAMES", "Position", "draw_positions", "run"]

_BUNDLES = 200
FRAMES = 4
_FEW = 4
"""Positions that are asked of what builds a lookup for each."""

_KEPT = 256 << 20
_TABLE, _TABLE_COLD = "pack with lookups", "pack with lookups, nothing kept"
_PLAIN = "pack without lookups, `SourceMapCache` built for each"
_BUILT = "zip, `SourceMapCache` built for each"
_CACHED = f"zip, `SourceMapCache` kept, {_KEPT >> 20} MiB"
_PYTHON = {
    "ecma426": "PyPI `ecma426`, map loaded for each",
    "sourcemap": "PyPI `sourcemap`, map loaded for each",
}


class Position(NamedTuple):
    """A place in a minified file; line and column count from 1."""

    name: str
    url: str
    line: int
    column: int


def run(work: Workspace) -> Result:
    """Measure a position of a file, and events of four frames, by tables and by symbolic's cache."""
    name = "app" if work.quick or work.bundle("js-web").origin != "real" else "js-web"
    if name == "app":  # generated maps mean nothing
        work.add(name, lambda path: shutil.copyfile(ROOT / "fixtures" / "bundles" / "app.zip", path))
    bundle = work.bundle(name).path
    plain, tables = work.folder / "plain.srcpack", work.folder / "lookups.srcpack"
    conversions: list[dict[str, Cell]] = []
    for path, lookups in ((plain, False), (tables, True)):
        start = time.perf_counter()
        convert(bundle, path, lookups=lookups)
        way = "with lookups" if lookups else "without lookups"
        conversions.append({"way": way, "s": time.perf_counter() - start, "bytes": path.stat().st_size})
    with ExitStack() as stack:
        forms = {"zip": bundle, "plain": plain, "tables": tables}
        opened = {form: stack.enter_context(srcpack.open(path)) for form, path in forms.items()}
        positions = draw_positions(opened["tables"], 40 if work.quick else 400)
        frames = measure(_frame_jobs(opened, positions), work.rounds(7))
        copies = {form: _copies(work.folder / form, path, _BUNDLES) for form, path in forms.items()}
        events = measure(_event_jobs(copies, positions), work.rounds(5))
    return Result(
        question="resolve",
        title="Frames and events, resolved",
        method=f"""
            Positions are drawn at random from the minified files of {name} that have their source map in the
            bundle. A frame is one position, found by URL; what builds a lookup for each frame answers
            {_FEW} of them in turn. An event has {FRAMES} frames and five lines of context each; it is
            resolved by one of {_BUNDLES} packs or zips, another one each time, which is opened for it.
            *{_TABLE_COLD}*: nothing that the process kept of packs before helps.
        """,
        quick=work.quick,
        bundles=work.origins([name]),
        tables=[
            Table(
                title="A frame",
                columns=[
                    Column("way", "Way"),
                    Column("us", "us", 1),
                    Column("times", f"Times the time of a {_TABLE}", 1),
                ],
                rows=[
                    {"way": name, "us": frames.each(name, 1e-6), "times": frames.speed(_TABLE, name)}
                    for name in frames.seconds
                ],
            ),
            Table(
                title=f"An event of {FRAMES} frames",
                columns=[
                    Column("way", "Way"),
                    Column("ms", "ms", 2),
                    Column("times", f"Times the time of a {_TABLE_COLD}", 1),
                ],
                rows=[
                    {"way": name, "ms": events.each(name, 1e-3), "times": events.speed(_TABLE_COLD, name)}
                    for name in events.seconds
                ],
            ),
            Table(
                title=f"Conversion of {name}, one job",
                columns=[Column("way", "Way"), Column("s", "s", 2), Column("bytes", "Bytes", 0)],
                rows=conversions,
            ),
        ],
        targets=[
            Target(
                claim="a frame from a table, us", value=frames.each(_TABLE, 1e-6), kind="at most", bound=60
            ),
            Target(
                claim="a cold event, times as fast as zips with `SourceMapCache` built for each",
                value=events.speed(_TABLE_COLD, _BUILT),
                kind="at least",
                bound=100,
            ),
        ],
    )


def draw_positions(pack: Pack, count: int) -> list[Position]:
    """Return positions of minified files that have a lookup table, the same ones each time."""
    rng = random.Random(17)
    scripts = [entry for entry in pack.entries() if entry.record.lookup is not None and entry.url]
    texts: dict[str, list[str]] = {}
    found: list[Position] = []
    while len(found) < count:
        entry = rng.choice(scripts)
        lines = texts.setdefault(entry.name, entry.text().split("\n"))
        line = rng.randrange(len(lines))
        if lines[line]:
            url = f"https://host.example{(entry.url or '').removeprefix('~')}"
            found.append(Position(entry.name, url, line + 1, rng.randrange(len(lines[line])) + 1))
    return found


# ---- frames


def _frame_jobs(opened: dict[str, Pack], positions: Sequence[Position]) -> list[Job]:
    def asked(search: PackSet, places: Sequence[Position]) -> Callable[[], object]:
        turn = itertools.cycle(places)

        def one() -> object:
            place = next(turn)
            script, source_map = _files(search, place.url)
            return search.original_position(script, source_map, place.line, place.column)

        return one

    few = positions[:_FEW]
    jobs = [
        Job(name=_TABLE, run=asked(PackSet([opened["tables"]]), positions), calls=len(positions)),
        Job(
            name=_TABLE_COLD,
            run=asked(PackSet([opened["tables"]]), positions),
            prepare=clear_caches,
            calls=20,
        ),
        Job(
            name=_CACHED,
            run=asked(PackSet([opened["zip"]], lookup_cache=LookupCache(_KEPT)), few),
            calls=len(few),
        ),
    ]
    for name, form in ((_BUILT, "zip"), (_PLAIN, "plain")):
        jobs.append(Job(name=name, run=asked(PackSet([opened[form]], lookup_cache=LookupCache(0)), few)))
    search = PackSet([opened["zip"]])
    maps = [search.read(_files(search, place.url)[1]).decode() for place in few]
    for module, name in _PYTHON.items():
        if find_spec(module) is not None:
            load: Callable[[str], Any] = import_module(module).loads
            jobs.append(Job(name=name, run=_loading(load, maps)))
    return jobs


def _files(search: PackSet, url: str) -> tuple[Resolved, Resolved]:
    script = search.resolve(url)
    source_map = None if script is None else search.source_map_for(script)
    if script is None or not isinstance(source_map, Resolved):
        raise ValueError(f"{url}: not in the bundle with its map")
    return script, source_map


def _loading(load: Callable[[str], Any], maps: Sequence[str]) -> Callable[[], object]:
    turn = itertools.cycle(maps)
    return lambda: load(next(turn))


# ---- events


def _event_jobs(copies: dict[str, list[Path]], positions: Sequence[Position]) -> list[Job]:
    rng = random.Random(23)
    events = [
        {
            "stacktraces": [
                {"frames": [{"abs_path": place.url, "lineno": place.line, "colno": place.column}]}
                for place in rng.sample(positions, FRAMES)
            ]
        }
        for _ in range(_FEW)
    ]

    def resolving(form: str, lookups: LookupCache | None) -> Callable[[], object]:
        turn = itertools.cycle(events)
        paths = itertools.cycle(rng.sample(copies[form], len(copies[form])))

        def one() -> object:
            with srcpack.open(next(paths)) as pack:
                return resolve_event(next(turn), PackSet([pack], lookup_cache=lookups))

        return one

    return [
        Job(name=_TABLE_COLD, run=resolving("tables", None), prepare=clear_caches, calls=5),
        Job(name=_PLAIN, run=resolving("plain", LookupCache(0))),
        Job(name=_BUILT, run=resolving("zip", LookupCache(0))),
        Job(name=_CACHED, run=resolving("zip", LookupCache(_KEPT)), calls=len(events)),
    ]


def _copies(folder: Path, path: Path, count: int) -> list[Path]:
    """Give a file so many names, which are as many packs to a reader."""
    folder.mkdir()
    made = [folder / f"{number}{path.suffix}" for number in range(count)]
    for name in made:
        os.link(path, name) if path.is_relative_to(folder.parent) else os.symlink(path.resolve(), name)
    return made
