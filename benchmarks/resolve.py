"""How fast is a minified frame resolved, an event over many packs, and a trace by a program of its own?"""

import itertools
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import srcpack
from srcpack import Entry, Pack, PackSet, Resolved
from srcpack.resolve import LookupCache, resolve_event
from srcpack_convert import convert

from .contenders import clear_caches
from .harness import ROOT, Cell, Column, Job, Result, Table, Target, Timings, measure
from .workspace import Workspace

__all__ = ["FRAMES", "Position", "draw_positions", "run"]

_BUNDLES = 200
FRAMES = 4
_FEW = {"file": 16, "place": 4}
"""Frames, and events, in a sample, by how their positions are drawn."""

_KEPT = 256 << 20
_TABLE, _TABLE_COLD = "pack with lookups", "pack with lookups, nothing kept"
_PLAIN = "pack without lookups, `SourceMapCache` built for each"
_BUILT = "zip, `SourceMapCache` built for each"
_CACHED = f"zip, `SourceMapCache` kept, {_KEPT >> 20} MiB"
_CACHED_PLAIN = f"pack without lookups, `SourceMapCache` kept, {_KEPT >> 20} MiB"
_PYTHON = {
    "ecma426": "PyPI `ecma426`, map loaded for each",
    "sourcemap": "PyPI `sourcemap`, map loaded for each",
}
_DRAWS = {"file": "any file", "place": "any place"}
_WARM, _COLD, _CONTEXT = "warm", "cold, the pack open", "warm, with five lines of context"

_UNITS = {"us": (1e-6, 1), "ms": (1e-3, 2)}
"""Seconds, and decimal places in tables."""

_MAP_SIZE = 1_000_000
"""Bytes of the map, about, that whole programs are given."""


class Position(NamedTuple):
    """A place in a minified file; line and column count from 1."""

    name: str
    url: str
    line: int
    column: int


def run(work: Workspace) -> Result:
    """Measure a position of a file, frames, events and programs, by tables and by symbolic's cache."""
    name = "app" if work.quick or work.bundle("js-web").origin != "real" else "js-web"
    if name == "app":  # generated maps mean nothing
        work.add(name, lambda path: shutil.copyfile(ROOT / "fixtures" / "bundles" / "app.zip", path))
    bundle = work.bundle(name).path
    plain, tables = work.folder / "plain.srcpack", work.folder / "lookups.srcpack"
    conversions: list[dict[str, Cell]] = []
    for path, lookups in ((plain, False), (tables, True)):
        start = time.process_time_ns() + _children_time_ns()
        convert(bundle, path, lookups=lookups)
        seconds = (time.process_time_ns() + _children_time_ns() - start) / 1e9
        way = "with lookups" if lookups else "without lookups"
        conversions.append({"way": way, "s": seconds, "bytes": path.stat().st_size})
    forms = {"zip": bundle, "plain": plain, "tables": tables}
    copies = {form: _copies(work.folder / form, path, _BUNDLES) for form, path in forms.items()}
    frames: dict[str, Timings] = {}
    events: dict[str, Timings] = {}
    with ExitStack() as stack:
        opened = {form: stack.enter_context(srcpack.open(path)) for form, path in forms.items()}
        drawn = {
            draw: draw_positions(opened["tables"], 40 if work.quick else 400, by_size=draw == "place")
            for draw in _DRAWS
        }
        for draw, positions in drawn.items():
            frames[draw] = measure(_frame_jobs(opened, positions[: _FEW[draw]]), work.rounds(7))
            events[draw] = measure(_event_jobs(copies, positions, _FEW[draw]), work.rounds(7))
        entries = measure(_entry_jobs(opened["tables"], drawn["place"]), work.rounds(15))
        programs = _programs(opened["tables"], forms, work)
    return Result(
        question="resolve",
        title="Frames and events, resolved",
        method=f"""
            Positions are drawn at random from the minified files of {name} that have their source map in the
            bundle. *Any file*: each file is as likely as any other, and most are small. *Any place*: each
            character of code is as likely as any other, so that most positions are in large files. A frame
            is one position, found by URL with its map. A sample of any way is the same {_FEW["file"]} frames
            or events by file, {_FEW["place"]} by place. An event has {FRAMES} frames and five lines of
            context each; it is resolved by one of {_BUNDLES} packs or zips, another one each time, which is
            opened for it.
            *{_TABLE_COLD}*: nothing that the process kept of packs before helps. *Programs*: a trace of
            {FRAMES} frames of one file, with a process for each, from its start to its end; npm's programs
            are given the map, and `sentry-cli`, which takes one position, the first frame. All times are
            processor time, of all threads of the process or program, as nothing here waits or runs side by
            side.
        """,
        quick=work.quick,
        bundles=work.origins([name]),
        tables=[
            Table(
                title="`Entry.original`",
                columns=[Column("way", "Way"), Column("us", "us", 1)],
                rows=[{"way": way, "us": entries.each(way, 1e-6)} for way in entries.seconds],
                note="Positions of *any place*.",
            ),
            _by_draw("A frame", frames, _TABLE, "us"),
            _by_draw(f"An event of {FRAMES} frames", events, _TABLE_COLD, "ms"),
            Table(
                title="Programs",
                columns=[Column("way", "Way"), Column("ms", "ms", 0)],
                rows=programs,
            ),
            Table(
                title=f"Conversion of {name}, one job",
                columns=[Column("way", "Way"), Column("s", "s", 2), Column("bytes", "Bytes", 0)],
                rows=conversions,
            ),
        ],
        targets=[
            *(
                Target(
                    claim=f"`Entry.original`, {way}, us",
                    value=entries.each(way, 1e-6),
                    kind="at most",
                    bound=bound,
                )
                for way, bound in ((_WARM, 60), (_COLD, 100), (_CONTEXT, 400))
            ),
            *(
                Target(
                    claim=f"a cold event, {draw}: times as fast as zips with `SourceMapCache` built for each",
                    value=events[key].speed(_TABLE_COLD, _BUILT),
                    kind="at least",
                    bound=100,
                )
                for key, draw in _DRAWS.items()
            ),
        ],
    )


def _by_draw(title: str, timings: Mapping[str, Timings], ours: str, unit: str) -> Table:
    """Return a table of ways, with time, and times the time of ours, for each way to draw positions."""
    columns = [Column("way", "Way")]
    for draw, what in _DRAWS.items():
        columns.append(Column(draw, f"{unit}, {what}", _UNITS[unit][1]))
        columns.append(Column(f"{draw}_times", f"Times the time of a {ours}", 1))
    rows: list[dict[str, Cell]] = []
    for way in next(iter(timings.values())).seconds:
        row: dict[str, Cell] = {"way": way}
        for draw, timing in timings.items():
            row |= {draw: timing.each(way, _UNITS[unit][0]), f"{draw}_times": timing.speed(ours, way)}
        rows.append(row)
    return Table(title=title, columns=columns, rows=rows)


def draw_positions(pack: Pack, count: int, *, by_size: bool = False) -> list[Position]:
    """Return positions of minified files that have a lookup table, the same ones each time.

    Args:
        pack: The pack.
        count: How many.
        by_size: Whether each character of code is as likely as any other, not each file.
    """
    rng = random.Random(17)
    scripts = [entry for entry in pack.entries() if entry.record.lookup is not None and entry.size]
    texts: dict[str, list[int]] = {}
    found: list[Position] = []
    for entry in rng.choices(scripts, [entry.size if by_size else 1 for entry in scripts], k=count):
        if entry.name not in texts:
            texts[entry.name] = [0, *accumulate(len(line) + 1 for line in entry.text().split("\n"))]
        starts = texts[entry.name]
        at = rng.randrange(starts[-1])
        line = bisect_right(starts, at)
        url = f"https://host.example{(entry.url or '').removeprefix('~')}"
        found.append(Position(entry.name, url, line, at - starts[line - 1] + 1))
    return found


def _job(name: str, run: Callable[[], object], calls: int, *, cold: bool = False) -> Job:
    prepare = clear_caches if cold else None
    return Job(name=name, run=run, prepare=prepare, calls=calls, clock=time.process_time_ns)


def _children_time_ns() -> int:
    """Return the processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1e9)


# ---- positions of an entry


def _entry_jobs(pack: Pack, positions: Sequence[Position]) -> list[Job]:
    places = [(pack[place.name], place) for place in positions]

    def asking(ask: Callable[[Entry, Position], object]) -> Callable[[], object]:
        turn = itertools.cycle(places)
        return lambda: ask(*next(turn))

    def original(entry: Entry, place: Position) -> object:
        return entry.original(place.line, place.column)

    def with_context(entry: Entry, place: Position) -> object:
        found = entry.original(place.line, place.column)
        return None if found is None else found.context()

    calls = len(positions)
    return [
        _job(_WARM, asking(original), calls),
        _job(_COLD, asking(original), calls, cold=True),
        _job(_CONTEXT, asking(with_context), calls),
    ]


# ---- frames


def _frame_jobs(opened: dict[str, Pack], places: Sequence[Position]) -> list[Job]:
    def asked(search: PackSet) -> Callable[[], object]:
        turn = itertools.cycle(places)

        def one() -> object:
            place = next(turn)
            script, source_map = _files(search, place.url)
            return search.original_position(script, source_map, place.line, place.column)

        return one

    def job(name: str, form: str, lookups: LookupCache | None = None, *, cold: bool = False) -> Job:
        run = asked(PackSet([opened[form]], lookup_cache=lookups))
        return _job(name, run, len(places), cold=cold)

    jobs = [
        job(_TABLE, "tables"),
        job(_TABLE_COLD, "tables", cold=True),
        job(_CACHED, "zip", LookupCache(_KEPT)),
        job(_CACHED_PLAIN, "plain", LookupCache(_KEPT)),
        job(_BUILT, "zip", LookupCache(0)),
        job(_PLAIN, "plain", LookupCache(0)),
    ]
    search = PackSet([opened["zip"]])
    maps = [search.read(_files(search, place.url)[1]).decode() for place in places]
    for module, name in _PYTHON.items():
        if find_spec(module) is not None:
            load: Callable[[str], Any] = import_module(module).loads
            jobs.append(_job(name, _loading(load, maps), len(places)))
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


def _event_jobs(copies: dict[str, list[Path]], positions: Sequence[Position], count: int) -> list[Job]:
    rng = random.Random(23)
    events = [
        {
            "stacktraces": [
                {"frames": [{"abs_path": place.url, "lineno": place.line, "colno": place.column}]}
                for place in rng.sample(positions, FRAMES)
            ]
        }
        for _ in range(count)
    ]

    def job(name: str, form: str, lookups: LookupCache | None, *, cold: bool = False) -> Job:
        turn = itertools.cycle(events)
        paths = itertools.cycle(rng.sample(copies[form], len(copies[form])))

        def one() -> object:
            with srcpack.open(next(paths)) as pack:
                return resolve_event(next(turn), PackSet([pack], lookup_cache=lookups))

        return _job(name, one, len(events), cold=cold)

    return [
        job(_TABLE_COLD, "tables", None, cold=True),
        job(_PLAIN, "plain", LookupCache(0)),
        job(_BUILT, "zip", LookupCache(0)),
        job(_CACHED, "zip", LookupCache(_KEPT)),
        job(_CACHED_PLAIN, "plain", LookupCache(_KEPT)),
    ]


def _copies(folder: Path, path: Path, count: int) -> list[Path]:
    """Give a file so many names, which are as many packs to a reader."""
    folder.mkdir()
    made = [folder / f"{number}{path.suffix}" for number in range(count)]
    for name in made:
        os.link(path, name) if path.is_relative_to(folder.parent) else os.symlink(path.resolve(), name)
    return made


# ---- programs


def _programs(pack: Pack, forms: Mapping[str, Path], work: Workspace) -> list[dict[str, Cell]]:
    """Return how long each program takes for a trace; without a figure those that are not installed."""
    search = PackSet([pack])
    pairs = [
        (script, source_map)
        for entry in pack.entries()
        if entry.record.lookup is not None and (script := search.resolve(_url_of(entry))) is not None
        if isinstance(source_map := search.source_map_for(script), Resolved)
    ]
    script, source_map = min(pairs, key=lambda pair: abs(pair[1].entry.size - _MAP_SIZE))
    (work.folder / "trace.map").write_bytes(search.read(source_map))
    places = list(_mapped_places(script.entry))
    lines = [f"    at f ({script.abs_path}:{line}:{column})" for line, column in places]
    (work.folder / "trace.txt").write_text("\n".join(["Error: no price", *lines, ""]), encoding="utf-8")
    trace, source = os.fspath(work.folder / "trace.txt"), os.fspath(work.folder / "trace.map")
    line, column = map(str, places[0])
    resolve = [sys.executable, "-m", "srcpack_convert", "resolve"]
    commands: dict[str, list[str]] = {
        "`srcpack resolve`, pack with lookups": [*resolve, os.fspath(forms["tables"]), trace],
        "`srcpack resolve`, pack without lookups": [*resolve, os.fspath(forms["plain"]), trace],
        "`srcpack resolve`, zip": [*resolve, os.fspath(forms["zip"]), trace],
    }
    rows: list[dict[str, Cell]] = []
    for name, arguments in (
        ("metro-symbolicate", ["--input-column-start", "1", source]),
        ("stacktracify", [source, "--file", trace]),
        ("sentry-cli", ["sourcemaps", "resolve", source, "--line", line, "--column", column]),
    ):
        if (program := _program(name)) is not None:
            commands[f"`{name}`"] = [program, *arguments]
        else:
            rows.append({"way": f"`{name}` (skipped: not installed)"})
    jobs = [
        Job(name=name, run=_running(command, trace), clock=_children_time_ns)
        for name, command in commands.items()
    ]
    timings = measure(jobs, work.rounds(7))
    measured: list[dict[str, Cell]] = [{"way": name, "ms": timings.each(name, 1e-3)} for name in commands]
    return measured + rows


def _url_of(entry: Entry) -> str:
    return f"https://host.example{(entry.url or '').removeprefix('~')}"


def _mapped_places(entry: Entry) -> Iterator[tuple[int, int]]:
    """Yield some places of a file that its map has an answer for."""
    rng = random.Random(29)
    lines = entry.text().split("\n")
    left = FRAMES
    while left:
        number = rng.randrange(len(lines))
        column = rng.randint(1, max(1, len(lines[number])))
        if entry.original(number + 1, column) is not None:
            left -= 1
            yield number + 1, column


def _program(name: str) -> str | None:
    """Return the path of a program of npm, which is beside the one that SENTRY_CLI names or on the path."""
    beside = Path(os.environ.get("SENTRY_CLI", "absent")).with_name(name)
    return shutil.which(beside) or shutil.which(name)


def _running(command: Sequence[str], trace: str) -> Callable[[], object]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled

    def run() -> object:
        with open(trace, "rb") as given:
            done = subprocess.run(command, stdin=given, capture_output=True, env=environment, check=False)
        if not done.stdout:
            raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
        return done

    return run
