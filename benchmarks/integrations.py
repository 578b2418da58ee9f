"""What does a service gain that reads bundles by Python classes, as docs/integrations/ has it?"""

import itertools
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import srcpack
from srcpack import PackCache, PackSet
from srcpack.resolve import resolve_event
from srcpack_convert import convert

from .archives import FILES, PACK, PAGE, ZIPFILE, calls, memory, openings
from .contenders import clear_caches
from .harness import ROOT, Cell, Column, Job, Result, Spread, Table, Target, measure
from .resolve import FRAMES, Position, draw_positions
from .workspace import Workspace

__all__ = ["run"]

_BUNDLES = ("js-many", "js-web")
_NATIVE = "native-zstd"
_AROUND = 5
_MOST_US = 100

_KEPT, _OPENED = "pack with lookups, kept open", "pack with lookups, opened for it, nothing kept"
_PYTHON = "zip, maps loaded by PyPI `ecma426`, once an event"
_VIEW = "zip, map and script loaded by PyPI `symbolic`, once a frame"
_SCANNED = "zip, opened for each frame, names searched, file split into lines"
_CONTEXT = "pack, kept open, `by_path(...).context(...)`"
_CONTEXT_OPENED = "pack, opened for each frame"


def run(work: Workspace) -> Result:
    """Measure calls and memory of archives, events with their maps, and lines around native frames."""
    names = ("js-many",) if work.quick else _BUNDLES
    opened = [row for name in names for row in openings(work, name)]
    called = [row for name in names for row in calls(work, name)]
    held = [row for name in names for row in memory(work, name)]
    mapped = "app" if work.quick or work.bundle("js-web").origin != "real" else "js-web"
    if mapped == "app":  # generated maps mean nothing
        work.add(mapped, lambda path: shutil.copyfile(ROOT / "fixtures" / "bundles" / "app.zip", path))
    events, sizes = _events(work, mapped)
    return Result(
        question="integrations",
        title="What services gain that read bundles in Python",
        method=f"""
            *{ZIPFILE}*: what Sentry's class and those like it do, in a few lines: directory, manifest, and
            dicts of URLs and debug ids are read when it is opened. *Event*: opened, {FILES} files read
            by URL, closed; *page*: opened, all files listed, sizes of {PAGE} asked for, closed. Packs are
            asked with nothing kept of packs before. Memory is of a fresh process, over what it had before
            (one small archive opened and closed): private bytes as `/proc/self/smaps_rollup` has them. An
            event has {FRAMES} frames of {mapped}, at positions drawn at random, resolved with the lines
            around; the ways that load maps look up positions alone, and read no lines. A native frame is
            a file and a line of {_NATIVE}, with {_AROUND} lines either side.
        """,
        quick=work.quick,
        bundles=work.origins([*names, mapped, _NATIVE]),
        tables=[
            Table(
                title="Opening an archive, and closing it",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("way", "Way"),
                    Column("us", "µs", 1),
                    Column("busy", "µs of processor time", 1),
                    Column("times", f"times the speed of a {ZIPFILE}", 1),
                ],
                rows=opened,
            ),
            Table(
                title="Calls of an archive",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("way", "Way"),
                    Column("event", "Event, ms", 2),
                    Column("event_times", f"times the speed of a {ZIPFILE}", 1),
                    Column("page", "Page, ms", 2),
                    Column("page_times", f"times the speed of a {ZIPFILE}", 1),
                ],
                rows=called,
            ),
            Table(
                title="Memory of an open archive, kB",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("way", "Way"),
                    Column("opened", "Opened", 0),
                    Column("read", f"{FILES} files looked up and read", 0),
                ],
                rows=held,
            ),
            Table(
                title=f"An event of {FRAMES} minified frames",
                columns=[
                    Column("way", "Way"),
                    Column("ms", "ms", 2),
                    Column("times", f"Times the time of a {_OPENED}", 1),
                ],
                rows=events,
            ),
            Table(
                title=f"Files of {mapped}",
                columns=[Column("what", "What"), Column("bytes", "Bytes")],
                rows=sizes,
            ),
            Table(
                title="A native frame",
                columns=[
                    Column("way", "Way"),
                    Column("us", "us", 0),
                    Column("times", f"Times the time of a {_CONTEXT}", 1),
                ],
                rows=_native(work),
            ),
        ],
        targets=[
            Target(
                claim=f"{PACK}, of {row['bundle']}: µs of processor time to open",
                value=us,
                kind="at most",
                bound=_MOST_US,
            )
            for row in opened
            if row["way"] == PACK and isinstance(us := row["busy"], Spread)
        ],
    )


# ---- events


def _events(work: Workspace, name: str) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
    zipped, pack, tables = work.bundle(name).path, work.pack(name), work.folder / "tables.srcpack"
    convert(zipped, tables, lookups=True, force=True)
    with srcpack.open(tables) as opened:
        positions = draw_positions(opened, 40 if work.quick else 400)
        maps = _maps(opened, positions)
    rng = random.Random(23)
    drawn = [rng.sample(positions, FRAMES) for _ in range(10)]
    with ExitStack() as stack:
        cache = stack.enter_context(PackCache(8))
        archive = stack.enter_context(zipfile.ZipFile(zipped))
        jobs = [
            Job(
                name=_OPENED,
                run=_by_tables(drawn, lambda: srcpack.open(tables)),
                prepare=clear_caches,
                calls=5,
            ),
            Job(name=_KEPT, run=_by_tables(drawn, lambda: cache.get(tables)), calls=len(drawn)),
        ]
        if find_spec("ecma426") is not None:
            load: Callable[[str], Any] = import_module("ecma426").loads
            jobs.append(Job(name=_PYTHON, run=_by_python(drawn, archive, maps, load)))
        if find_spec("symbolic") is not None:
            jobs.append(Job(name=_VIEW, run=_by_views(drawn, archive, maps)))
        timings = measure(jobs, work.rounds(5))
    rows: list[dict[str, Cell]] = [
        {"way": job.name, "ms": timings.each(job.name, 1e-3), "times": timings.speed(_OPENED, job.name)}
        for job in jobs
    ]
    sizes: list[dict[str, Cell]] = [
        {"what": what, "bytes": path.stat().st_size}
        for what, path in (("zip", zipped), ("pack", pack), ("pack with lookups", tables))
    ]
    with zipfile.ZipFile(zipped) as source:
        sizes.append(
            {"what": "files of the zip, unpacked", "bytes": sum(i.file_size for i in source.infolist())}
        )
    return rows, sizes


def _maps(pack: srcpack.Pack, positions: Sequence[Position]) -> dict[str, str]:
    """Return the names of the maps of minified files."""
    search = PackSet([pack])
    found = {}
    for place in positions:
        script = search.resolve(place.url)
        source_map = script and search.source_map_for(script)
        if not isinstance(source_map, srcpack.Resolved):
            raise ValueError(f"{place.url}: not in the bundle with its map")  # noqa: TRY004  of data
        found[place.name] = source_map.entry.name
    return found


def _by_tables(
    drawn: Sequence[Sequence[Position]], opened: Callable[[], srcpack.Pack]
) -> Callable[[], object]:
    turn = itertools.cycle(
        {
            "stacktraces": [
                {"frames": [{"abs_path": p.url, "lineno": p.line, "colno": p.column} for p in places]}
            ]
        }
        for places in drawn
    )
    return lambda: resolve_event(next(turn), PackSet([opened()]))


def _by_python(
    drawn: Sequence[Sequence[Position]],
    archive: zipfile.ZipFile,
    maps: Mapping[str, str],
    load: Callable[[str], Any],
) -> Callable[[], object]:
    turn = itertools.cycle(drawn)

    def one() -> list[object]:
        loaded: dict[str, Any] = {}
        found = []
        for place in next(turn):
            name = maps[place.name]
            if name not in loaded:
                text = archive.read(name).decode()
                loaded[name] = load(text), json.loads(text).get("sourcesContent")
            try:
                found.append(loaded[name][0].lookup_left(line=place.line - 1, column=place.column - 1))
            except LookupError:
                found.append(None)
        return found

    return one


def _by_views(
    drawn: Sequence[Sequence[Position]], archive: zipfile.ZipFile, maps: Mapping[str, str]
) -> Callable[[], object]:
    view = import_module("symbolic.sourcemap").SourceMapView
    turn = itertools.cycle(drawn)

    def one() -> list[object]:
        found = []
        for place in next(turn):
            archive.read(place.name)
            loaded = view.from_json_bytes(archive.read(maps[place.name]))
            found.append(loaded.lookup(place.line - 1, place.column - 1))
        return found

    return one


# ---- native frames


def _native(work: Workspace) -> list[dict[str, Cell]]:
    zipped, path = work.bundle(_NATIVE).path, work.pack(_NATIVE)
    with srcpack.open(path) as pack:
        entries = [entry for entry in pack.entries() if entry.path and entry.lines]
        rng = random.Random(3)
        chosen = [rng.choice(entries) for _ in range(100)]
        places = [(str(entry.path), rng.randint(1, entry.lines)) for entry in chosen]

        def asked(ask: Callable[[str, int], object]) -> Callable[[], object]:
            turn = itertools.cycle(places)
            return lambda: ask(*next(turn))

        def scanned(wanted: str, line: int) -> list[str]:
            with zipfile.ZipFile(zipped) as archive:
                name = next(name for name in archive.namelist() if name.endswith(wanted.lstrip("/")))
                lines = archive.read(name).decode().splitlines()
            return lines[max(0, line - 1 - _AROUND) : line + _AROUND]

        def around(wanted: str, line: int, within: srcpack.Pack = pack) -> object:
            entry = within.by_path(wanted)
            return entry and entry.context(line, lines=_AROUND)

        def opened(wanted: str, line: int) -> object:
            with srcpack.open(path) as own:
                return around(wanted, line, own)

        calls = 5 if work.quick else len(places)
        timings = measure(
            [
                Job(name=_CONTEXT, run=asked(around), calls=calls),
                Job(name=_CONTEXT_OPENED, run=asked(opened), prepare=clear_caches, calls=calls),
                Job(name=_SCANNED, run=asked(scanned), calls=calls),
            ],
            work.rounds(7),
        )
    return [
        {"way": way, "us": timings.each(way, 1e-6), "times": timings.speed(_CONTEXT, way)}
        for way in timings.seconds
    ]
