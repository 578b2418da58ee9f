"""What do events cost that resolve frames over many bundles, from nothing open and with all open?"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import srcpack
from srcpack import FileType, PackSet, resolve
from srcpack.resolve import LookupCache
from srcpack.rules.source_maps import any_host
from srcpack_convert import convert

from .contenders import (
    CACHED_BYTES,
    Contender,
    Lmdb,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipLru,
    Pack,
    PackByPread,
    PackWithCache,
    PackWithoutDictionary,
    SqliteZstd,
    WrongBytesError,
    Zip,
    ZipForEachEvent,
    clear_caches,
)
from .events import (
    LARGE_PAIRS,
    SMALL_PAIRS,
    Event,
    Fleet,
    bundle_name,
    event_tasks,
    make_events,
    resolve_event,
)
from .harness import Cell, Column, Job, Result, Table, Target, Timings, measure, progress
from .read import ahead
from .workspace import Crew, Workspace, able, percentiles, skipped_rows, together

__all__ = ["run"]

_CONTENDERS: list[type[Contender]] = [
    Zip,
    ZipForEachEvent,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipLru,
    Pack,
    PackByPread,
    PackWithoutDictionary,
    PackWithCache,
    Lmdb,
    SqliteZstd,
]
_BUNDLES = 200
_EVENTS = 600
_THREADS = (1, 4, 8)
_ROUNDS = 5
_REFERENCES = 20
_MOST_WAIT = 1 / 3


def run(work: Workspace) -> Result:
    """Measure a replay of events over 200 bundles, and finding all source map references of one."""
    bundles = 8 if work.quick else _BUNDLES
    count = 24 if work.quick else _EVENTS
    progress(f"  making {bundles} bundles")
    events = make_events(work, bundles, count)
    contenders = able(_CONTENDERS)
    files: dict[str, list[Path]] = {}
    for form in dict.fromkeys(contender.format for contender in contenders):
        start = time.perf_counter()
        files[form] = [work.file(bundle_name(number), form) for number in range(bundles)]
        progress(f"  {form}: {time.perf_counter() - start:.0f} s")
    _check(contenders, files, events[:: max(1, len(events) // 50)])
    timings, stamps = _measure(contenders, files, events, work.rounds(_ROUNDS))
    rows: list[dict[str, Cell]] = []
    targets: list[Target] = []
    for threads in _THREADS:
        for state in ("cold", "warm"):
            for contender in contenders:
                key = f"{contender.name}/{state}/{threads}"
                rows.append(
                    {
                        "threads": threads,
                        "state": state,
                        "way": contender.name,
                        "each": timings.each(key, 1e-6 * len(events)),
                        "zipfile": timings.speed(key, f"{Zip.name}/{state}/{threads}"),
                        **percentiles(stamps[key]),
                    }
                )
            targets += _targets(contenders, timings, state, threads)
            if threads == _THREADS[-1]:
                targets += _waits(stamps, state, threads)
    resolved = _measure_resolved(work, bundles, events)
    references = _references(work)
    targets.append(
        Target(
            claim="js-many: all source map references, times as fast as from the zip",
            value=references.speed("pack", "zip"),
            kind="at least",
            bound=_REFERENCES,
        )
    )
    return Result(
        question="replay",
        title=f"Events over {bundles} bundles",
        method=f"""
            An event finds a minified file by URL in one of {bundles} bundles, reads it, takes five lines
            either side of a line of it, learns its source map reference (from the header, else the
            comment), finds the map by URL and reads it. Each bundle has {SMALL_PAIRS} pairs of file and
            map by chance from js-many, and {LARGE_PAIRS} of js-web's under 1 MiB. Bundles, and pairs
            within a bundle, are hit with the weights 1, 1/2, 1/3, ... of a random order (Zipf); {count}
            events, the same for all. *Cold*: nothing is open, and the process has no caches; a bundle is
            opened when it is first hit, and stays open. *Warm*: the same events once more. With several
            threads events are dealt out, and threads share open bundles or have their own, as the contender
            says. Caches of decoded files hold {CACHED_BYTES >> 20} MiB, for all bundles together. The files
            are in the page cache. *Resolved*: `resolve_event` gives each event's frame its original function,
            file, line, column and context, by one thread; zips and packs without lookup tables have a
            `LookupCache` of {CACHED_BYTES >> 20} MiB, which is empty where the state is cold. *References*:
            both ways open js-many and learn the reference of each minified file; the zip reads each, as
            symbolic does on a lookup; the pack has them in its entries, found by listing, caches of the
            process empty, and a second time by URL.
        """,
        quick=work.quick,
        bundles={
            **work.origins(["js-many", "js-web"]),
            f"{bundles} of their files": work.bundle("js-many").origin,
        },
        tables=[
            Table(
                title="Events",
                columns=[
                    Column("threads", "Threads"),
                    Column("state", "State"),
                    Column("way", "Way"),
                    Column("each", "µs an event", 1),
                    Column("zipfile", f"Times as fast as `{Zip.name}`"),
                    Column("p50", "p50, µs", 0),
                    Column("p99", "p99, µs", 0),
                    Column("p999", "p99.9, µs", 0),
                ],
                rows=rows + skipped_rows(_CONTENDERS),
            ),
            Table(
                title="The same events, resolved",
                columns=[
                    Column("state", "State"),
                    Column("way", "Way"),
                    Column("each", "µs an event", 1),
                    Column("zip", "Times as fast as the zip", 1),
                ],
                rows=[
                    {
                        "state": state,
                        "way": way,
                        "each": resolved.each(f"{way}/{state}", 1e-6 * len(events)),
                        "zip": resolved.speed(f"{way}/{state}", f"zip/{state}"),
                    }
                    for state in ("cold", "warm")
                    for way in _RESOLVED
                ],
            ),
            Table(
                title="All source map references of js-many",
                columns=[
                    Column("way", "Way"),
                    Column("each", "ms", 2),
                    Column("zip", "Times as fast as the zip", 1),
                ],
                rows=[
                    {
                        "way": way,
                        "each": references.each(way, 1e-3),
                        "zip": references.speed(way, "zip"),
                    }
                    for way in ("zip", "pack", "pack, again")
                ],
            ),
        ],
        targets=targets,
    )


def _targets(
    contenders: Sequence[type[Contender]], timings: Timings, state: str, threads: int
) -> list[Target]:
    return [
        target
        for ours in (Pack, PackWithCache)
        for target in ahead(f"{state}, {threads} at once", ours, contenders, timings, f"{state}/{threads}")
    ]


def _waits(stamps: Mapping[str, list[int]], state: str, threads: int) -> list[Target]:
    """Return the target for the longest hundredth of the waits; none where events are too few to tell."""
    ours, theirs = (percentiles(stamps[f"{name}/{state}/{threads}"])["p99"] for name in (Pack.name, Zip.name))
    if not isinstance(ours, float) or not isinstance(theirs, float):
        return []
    claim = f"{state}, {threads} at once: p99 of a pack as a share of a shared `{Zip.name}`'s"
    return [Target(claim=claim, value=ours / theirs, kind="at most", bound=_MOST_WAIT)]


class _Reopening(Fleet):
    """No fleet at all: a bundle is opened for each event."""

    def store(self, number: int, worker: int) -> Contender:
        """Open the bundle."""
        del worker
        return self._contender(self._files[number])

    def release(self, store: Contender) -> None:
        """Close it again."""
        store.close()


def _check(
    contenders: Sequence[type[Contender]], files: dict[str, list[Path]], events: Sequence[Event]
) -> None:
    for event in events:
        expected: object = None
        for contender in contenders:
            with contender(files[contender.format][event.bundle]) as store:
                resolved = resolve_event(store, event)
            expected = expected or resolved
            if resolved != expected:
                raise WrongBytesError(f"{contender.name}: {event.url} of bundle {event.bundle}")


def _measure(
    contenders: Sequence[type[Contender]],
    files: dict[str, list[Path]],
    events: Sequence[Event],
    rounds: int,
) -> tuple[Timings, dict[str, list[int]]]:
    """Return the timings, and the nanoseconds of all single events."""
    jobs: list[Job] = []
    stamps: dict[str, list[int]] = {}
    with Crew(_THREADS[-1]) as crew:
        for threads in _THREADS:
            for contender in contenders:
                kind = _Reopening if contender is ZipForEachEvent else Fleet
                fleet = kind(contender, files[contender.format], threads)
                for state in ("cold", "warm"):
                    key = f"{contender.name}/{state}/{threads}"
                    stamps[key] = []
                    job = together(key, crew, event_tasks(fleet, events, threads, stamps[key]))
                    # One fleet at a time is open: LMDB opens a file once in a process.
                    jobs.append(
                        replace(job, prepare=_emptying(crew, contender))
                        if state == "cold"
                        else replace(job, finish=_closing(fleet))
                    )
        timings = measure(jobs, rounds, warm_up=False)
    return timings, stamps


def _emptying(crew: Crew, contender: type[Contender]) -> Callable[[], object]:
    return lambda: crew.run([contender.forget] * _THREADS[-1])


def _closing(fleet: Fleet) -> Callable[[object], object]:
    return lambda _: fleet.close()


# ---- events, resolved

_RESOLVED = ("zip", "pack", "pack with lookups")


def _measure_resolved(work: Workspace, bundles: int, events: Sequence[Event]) -> Timings:
    """Measure the events with their frames resolved, from nothing open and with all open."""
    names = [bundle_name(number) for number in range(bundles)]
    places = {form: [work.file(name, form) for name in names] for form in ("zip", "pack")}
    places["pack with lookups"] = [work.folder / f"{name}.lookups.srcpack" for name in names]
    start = time.perf_counter()
    for name, path in zip(names, places["pack with lookups"], strict=True):
        convert(work.bundle(name).path, path, lookups=True)
    progress(f"  packs with lookups: {time.perf_counter() - start:.0f} s")
    jobs: list[Job] = []
    with ExitStack() as stack:
        for way in _RESOLVED:
            service = _Service(places[way], events)
            stack.callback(service.forget)
            jobs.append(Job(name=f"{way}/cold", run=service.resolve_all, prepare=service.forget))
            jobs.append(Job(name=f"{way}/warm", run=service.resolve_all))
        return measure(jobs, work.rounds(_ROUNDS), warm_up=False)


class _Service:
    """What resolves events: bundles are opened when they are first hit, and lookups are kept."""

    def __init__(self, places: Sequence[Path], events: Sequence[Event]) -> None:
        self._places = places
        self._events = events
        self._opened: dict[int, srcpack.Pack] = {}
        self._lookups = LookupCache(CACHED_BYTES)

    def resolve_all(self) -> None:
        """Resolve all events, one after the other."""
        for event in self._events:
            pack = self._opened.get(event.bundle)
            if pack is None:
                pack = self._opened[event.bundle] = srcpack.open(self._places[event.bundle])
            frame = {"abs_path": any_host(event.url), "lineno": event.line, "colno": event.column}
            packs = PackSet([pack], lookup_cache=self._lookups)
            resolve.resolve_event({"stacktraces": [{"frames": [frame]}]}, packs)

    def forget(self) -> None:
        """Close all, and keep nothing."""
        for pack in self._opened.values():
            pack.close()
        self._opened.clear()
        self._lookups.clear()
        clear_caches()


# ---- source map references


def _references(work: Workspace) -> Timings:
    pack_path, zip_path = work.pack("js-many"), work.bundle("js-many").path
    kept = srcpack.open(pack_path)
    minified = [entry for entry in kept.entries() if entry.type is FileType.MINIFIED_SOURCE]
    urls = [entry.url or "" for entry in minified]
    names = [entry.name for entry in minified]

    def of_pack() -> object:
        pack = srcpack.open(pack_path)
        return [e.source_mapping_url for e in pack.entries() if e.type is FileType.MINIFIED_SOURCE]

    def again() -> object:
        return [entry.source_mapping_url for entry in map(kept.by_url, urls) if entry]

    def of_zip() -> object:
        with Zip(zip_path) as bundle:
            return [bundle.reference(name, bundle.read(name)) for name in names]

    return measure(
        [
            Job(name="zip", run=of_zip),
            Job(name="pack", run=of_pack, prepare=clear_caches),
            Job(name="pack, again", run=again, prepare=again),
        ],
        work.rounds(9),
    )
