"""A SourceBundle zip against the pack made of it, measured side by side (`srcpack bench`).

The zip's side is what a careful engineer writes with `zipfile` and `json`: the archive and its manifest are
parsed when it is opened, and a dict leads from keys to members. What both sides do is in `METHOD`.
"""

import json
import math
import os
import platform
import random
import struct
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from gc import collect
from itertools import count, cycle, repeat
from typing import Any, Literal, NamedTuple, Self, TypeAlias, TypeVar

import zstandard

import srcpack
from srcpack import Context, Entry, FileType, FormatError, Pack, SourceLink, SrcpackError
from srcpack.rules.context import get_context
from srcpack.rules.discover import discover_source_map_reference
from srcpack.rules.urls import candidate_urls, source_map_url
from srcpack_convert.bench.measuring import Job, Spread, Timings, measure
from srcpack_convert.one.convert import convert
from srcpack_convert.one.presets import DEFAULT_PRESET

__all__ = [
    "METHOD",
    "Comparison",
    "Event",
    "Row",
    "Zip",
    "bench",
    "replay_pack",
    "replay_zip",
    "versions",
]

METHOD = """
The zip's side opens zipfile.ZipFile, parses manifest.json with json, and makes a dict of all URLs (or paths);
a read is a look into the dict and ZipFile.read. Its threads share one ZipFile, which locks itself, or have
one each, opened before, and share the dict. The pack's side is srcpack.open, by_url (or by_path) and
Entry.read; its threads share one pack. Keys come in one random order, the same each time. An event looks up
the minified file of a frame's URL, learns its source map's reference from a header or its content, looks the
map up and reads it whole, and takes 5 lines either side of a line of the minified file; maps are not
parsed. Memory is what Python holds for an open bundle after a look-up, by tracemalloc. Files are in the page
cache. Both sides take turns; a figure is a median with its quartiles, a ratio is zip over pack, pair
by pair: over 1, the pack is better.
"""

_Key: TypeAlias = Literal["url", "path"]
Progress: TypeAlias = Callable[[str], None]
"""Told what is being done, in a few words."""

_MISS = "~/there-is-no-such-file.js"
_HOST = "https://bench.example"
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 51
_SAMPLE_BYTES = 32 << 20
_SAMPLE_READS = 20_000
_SAMPLE_EVENTS = 200
_LEAST_SAMPLE = 0.02
_MOST_CALLS = 100
_PACKS_IN_MEMORY = 20
_CONTEXT = 5

# zipfile raises these, and more by chance than by intent, on what is damaged or not what it knows.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of both sides.

    Attributes:
        key: What it is called in JSON.
        label: What it is called in tables.
        unit: `s` or `bytes`; of reads and events, for each of them.
        zip: The zip's.
        pack: The pack's.
        ratio: Zip over pack, pair by pair.
    """

    key: str
    label: str
    unit: Literal["s", "bytes"]
    zip: Spread
    pack: Spread
    ratio: Spread

    def as_json(self) -> dict[str, Any]:
        """Return the row as values that JSON knows."""
        figures = {"zip": self.zip.as_json(), "pack": self.pack.as_json(), "ratio": self.ratio.as_json()}
        return {"unit": self.unit, **figures}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A bundle, and what was measured.

    Attributes:
        bundle: The zip, as the caller named it.
        preset: The pack's.
        jobs: Threads that converted.
        conversion_seconds: How long that took, once, with the check of every file against the zip.
        compared: Members whose bytes both sides gave alike.
        compared_size: Their bytes.
        left_out: Members that are not measured, counted by the reason.
        keys: What is looked up: `url`, or `path` where no file has a URL.
        keys_compared: Keys that lead both sides to the same member.
        keys_left_out: Those that don't, and those of members left out.
        minified: Minified files among the members compared.
        with_map: Those of them whose map is in the bundle.
        replayed: Events that are replayed: one for each of some of these, answered alike by both sides.
        threads: How many read side by side, where it is not one.
        rounds: Samples of each figure.
        rows: The figures.
    """

    bundle: str
    preset: str
    jobs: int
    conversion_seconds: float
    compared: int
    compared_size: int
    left_out: Mapping[str, int]
    keys: _Key
    keys_compared: int
    keys_left_out: int
    minified: int
    with_map: int
    replayed: int
    threads: int
    rounds: int
    rows: Sequence[Row]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as values that JSON knows."""
        return {
            "bundle": self.bundle,
            "preset": self.preset,
            "jobs": self.jobs,
            "conversion_seconds": round(self.conversion_seconds, 3),
            "compared": self.compared,
            "compared_size": self.compared_size,
            "left_out": dict(self.left_out),
            "keys": self.keys,
            "keys_compared": self.keys_compared,
            "keys_left_out": self.keys_left_out,
            "minified": self.minified,
            "with_map": self.with_map,
            "replayed": self.replayed,
            "threads": self.threads,
            "rounds": self.rounds,
            "rows": {row.key: row.as_json() for row in self.rows},
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Return what the figures depend on, besides the machine."""
    return {
        "srcpack": srcpack.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "zstandard": zstandard.__version__,
        "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
    }


def bench(
    bundle: str | os.PathLike[str],
    *,
    preset: str = DEFAULT_PRESET,
    jobs: int = 1,
    threads: int = 2,
    seconds: float = 15.0,
    progress: Progress | None = None,
) -> Comparison:
    """Convert a SourceBundle into a temporary pack, compare every member, and measure both side by side.

    Args:
        bundle: The zip.
        preset: The pack's.
        jobs: Threads that convert.
        threads: How many read side by side, at least 2.
        seconds: How long to measure, after the conversion and the comparison; three rounds are taken in any
            case.
        progress: Told what is being done.

    Raises:
        ValueError: An argument is out of its range.
        OSError: A file cannot be read, or the pack not be written.
        SrcpackError: It is no SourceBundle, or is over a limit; zipfile refuses it; or nothing is left
            that both sides read alike.
    """
    if threads < 2 or not 0 < seconds < float("inf"):
        raise ValueError(f"{threads} threads must be at least 2, {seconds} seconds more than 0")
    tell = progress or _silent
    file = os.fspath(bundle)
    with tempfile.TemporaryDirectory(prefix="srcpack-bench-") as folder, ExitStack() as stack:
        path = os.path.join(folder, "bench.srcpack")
        tell("converting")
        report = convert(bundle, path, preset=preset, jobs=jobs)
        pack = stack.enter_context(srcpack.open(path))
        key: _Key = "url" if any(entry.url for entry in pack.entries()) else "path"
        zipped = stack.enter_context(_opened(file, key))
        asked = _Asked.of(pack, zipped, tell)
        sides = _Sides(path, pack, zipped, asked)
        try:
            rows, rounds = _measured(sides, stack, threads, seconds, tell)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise FormatError(file, f"changed while it was measured: {error}") from error
    return Comparison(
        bundle=file,
        preset=preset,
        jobs=jobs,
        conversion_seconds=report.seconds,
        compared=len(asked.sizes),
        compared_size=sum(asked.sizes.values()),
        left_out=asked.left_out,
        keys=key,
        keys_compared=len(asked.keys),
        keys_left_out=asked.keys_left_out,
        minified=asked.minified,
        with_map=asked.with_map,
        replayed=len(asked.events),
        threads=threads,
        rounds=rounds,
        rows=[_sizes(report.source_size, report.output_size), *rows],
    )


# ---- the zip's side


class Zip:
    """A SourceBundle as a careful engineer reads it: directory and manifest parsed, and a dict by key."""

    def __init__(self, file: str, key: _Key) -> None:
        self.file = file
        self.key: _Key = key
        self.zip = zipfile.ZipFile(file)
        try:
            self.files: dict[str, dict[str, Any]] = (
                json.loads(self.zip.read("manifest.json")).get("files") or {}
            )
            self.by_key: dict[str, str] = {
                info[key]: name for name, info in self.files.items() if info.get(key)
            }
        except BaseException:
            self.zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()


def _opened(file: str, key: _Key) -> Zip:
    try:
        return Zip(file, key)
    except _ZIP_ERRORS as error:
        raise FormatError(file, f"zipfile and json cannot read it: {error!r}") from error


# ---- an event


class Event(NamedTuple):
    """A frame that asks for its file.

    Attributes:
        url: The file's.
        line: From 1.
        column: From 0.
        size: Bytes of the file and its map.
    """

    url: str
    line: int
    column: int
    size: int


def replay_zip(zipped: Zip, event: Event) -> tuple[bytes, Context | None] | None:
    """Return the source map of an event's file, and the lines around the event's place, from a zip."""
    name = _first(zipped.by_key.get, event.url)
    if name is None:
        return None
    content = zipped.zip.read(name)
    headers = {header.lower(): value for header, value in (zipped.files[name].get("headers") or {}).items()}
    reference = headers.get("sourcemap", headers.get("x-sourcemap"))
    if reference is None:
        reference = discover_source_map_reference(content)
    map_name = _first(zipped.by_key.get, _map_url(event.url, reference))
    if map_name is None:
        return None
    return zipped.zip.read(map_name), get_context(content.decode(), event.line, event.column, _CONTEXT)


def replay_pack(pack: Pack, event: Event) -> tuple[bytes, Context | None] | None:
    """Return the same from a pack."""
    script = _first(pack.by_url, event.url)
    if script is None:
        return None
    source_map = _first(pack.by_url, _map_url(event.url, script.source_mapping_url))
    if source_map is None:
        return None
    return source_map.read(), script.context(event.line, _CONTEXT, event.column)


_Found = TypeVar("_Found")


def _first(look_up: Callable[[str], _Found | None], url: str | None) -> _Found | None:
    if url is not None:
        for candidate in candidate_urls(url):
            if (found := look_up(candidate)) is not None:
                return found
    return None


def _map_url(base: str, reference: str | None) -> str | None:
    """Return the URL that a reference means; None without one, and for a map that is in the reference."""
    if not reference or reference.startswith("data:"):
        return None
    url = source_map_url(base, reference)
    return url if isinstance(url, str) else None


def _event_url(url: str) -> str:
    return _HOST + url[1:] if url.startswith("~/") else url


# ---- what both sides are asked, and answer alike


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked of both sides, in random order.

    Attributes:
        sizes: Of the members whose bytes are alike, by name.
        left_out: The others, counted by the reason.
        keys: Those that lead both sides to the same of these members.
        keys_left_out: How many others the manifest has.
        minified: How many of the keys are a minified file's.
        with_map: How many of those have their map in the bundle.
        events: One for each of some of these.
    """

    sizes: Mapping[str, int]
    left_out: Mapping[str, int]
    keys: Sequence[str]
    keys_left_out: int
    minified: int
    with_map: int
    events: Sequence[Event]

    @classmethod
    def of(cls, pack: Pack, zipped: Zip, tell: Progress) -> "_Asked":
        """Compare both sides, member by member and key by key.

        Raises:
            FormatError: There is nothing that they answer alike.
        """
        sizes, left_out = _compared(pack, zipped.zip, tell)
        rng = random.Random(7)  # noqa: S311  to be the same each time
        keys, keys_left_out = _alike(pack, zipped, sizes)
        if not keys:
            reason = "no URL or path that leads zipfile and the pack to the same bytes: nothing to measure"
            raise FormatError(zipped.file, reason)
        rng.shuffle(keys)
        tell("looking for source maps")
        minified, events = _events(pack, keys, rng) if zipped.key == "url" else (0, [])
        return cls(
            sizes=sizes,
            left_out=left_out,
            keys=keys,
            keys_left_out=keys_left_out,
            minified=minified,
            with_map=len(events),
            events=[
                event
                for event in _sample(events[:_SAMPLE_EVENTS], lambda event: event.size)
                if _answered_alike(pack, zipped, event)
            ],
        )


_Item = TypeVar("_Item")


def _sample(items: Sequence[_Item], size: Callable[[_Item], int]) -> list[_Item]:
    """Return the first items, at least one, that together have no more than some bytes."""
    sample: list[_Item] = []
    total = 0
    for item in items:
        total += size(item)
        if sample and total > _SAMPLE_BYTES:
            break
        sample.append(item)
    return sample


def _compared(
    pack: Pack, zipped: zipfile.ZipFile, tell: Progress
) -> tuple[dict[str, int], Mapping[str, int]]:
    """Read every member of both; return the sizes of those that are alike, and count the others."""
    sizes: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    for number, entry in enumerate(pack.entries()):
        if number % 64 == 0:
            tell(f"comparing every member: {number:,} of {len(pack):,}")
        reason = _difference(entry, zipped)
        if reason is None:
            sizes[entry.name] = entry.size
        else:
            left_out[reason] += 1
    return sizes, dict(sorted(left_out.items()))


def _difference(entry: Entry, zipped: zipfile.ZipFile) -> str | None:
    if entry.damage is not None:
        return "damaged"
    try:
        # The size is compared first: what zipfile would inflate may be more than the limits let in.
        same = zipped.getinfo(entry.name).file_size == entry.size and zipped.read(entry.name) == entry.read()
    except _ZIP_ERRORS:
        return "refused by zipfile"
    return None if same else "read otherwise by zipfile"


def _alike(pack: Pack, zipped: Zip, sizes: Mapping[str, int]) -> tuple[list[str], int]:
    look_up = _look_up(pack, zipped.key)
    keys = []
    for key, name in sorted(zipped.by_key.items()):
        found = look_up(key)
        if name in sizes and isinstance(found, Entry) and found.name == name:
            keys.append(key)
    return keys, len(zipped.by_key) - len(keys)


def _events(pack: Pack, keys: Sequence[str], rng: random.Random) -> tuple[int, list[Event]]:
    """Return how many of the keys are minified files', and an event for each that has its map there."""
    minified = 0
    events = []
    for key in keys:
        script = pack.by_url(key)
        if script is None or script.type is not FileType.MINIFIED_SOURCE:
            continue
        minified += 1
        url = _event_url(key)
        source_map = _first(pack.by_url, _map_url(url, script.source_mapping_url))
        if script.lines and source_map is not None:
            line, column = rng.randint(1, script.lines), rng.randrange(-(-script.size // script.lines))
            events.append(Event(url, line, column, script.size + source_map.size))
    return minified, events


def _answered_alike(pack: Pack, zipped: Zip, event: Event) -> bool:
    try:
        answer = replay_pack(pack, event)
        return answer is not None and answer == replay_zip(zipped, event)
    except (SrcpackError, *_ZIP_ERRORS):
        return False


def _look_up(pack: Pack, key: _Key) -> Callable[[str], Entry | None]:
    return pack.by_url if key == "url" else pack.by_path


# ---- the clock


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both sides, open.

    Attributes:
        path: Of the pack.
        pack: It.
        zipped: The zip.
        asked: What both are asked.
    """

    path: str
    pack: Pack
    zipped: Zip
    asked: _Asked

    def open_zip(self) -> Zip:
        """Open the zip anew."""
        return _opened(self.zipped.file, self.zipped.key)

    def find_in_zip(self, key: str) -> tuple[Zip, str | None]:
        """Open the zip anew and look a key up; return both, so that closing is not timed."""
        zipped = self.open_zip()
        return zipped, zipped.by_key.get(key)

    def find_in_pack(self, key: str) -> tuple[Pack, Entry | SourceLink | None]:
        """Open the pack anew and look a key up."""
        pack = srcpack.open(self.path)
        return pack, _look_up(pack, self.zipped.key)(key)


@dataclass(frozen=True, slots=True)
class _Work:
    """A piece of work that both sides do, for one row of the table; `amount` is what it is divided by."""

    key: str
    label: str
    zip: Job
    pack: Job
    amount: int = 1


def _measured(
    sides: _Sides, stack: ExitStack, threads: int, seconds: float, tell: Progress
) -> tuple[list[Row], int]:
    tell("measuring memory")
    memory = _memory(sides)
    tell("measuring")
    works = [*_opening(sides), *_reading(sides, stack, threads), *_replaying(sides)]
    jobs = list({side.name: side for work in works for side in (work.zip, work.pack)}.values())
    timings, rounds = _timed(jobs, seconds, tell)
    rows = [
        Row(
            key=work.key,
            label=work.label,
            unit="s",
            zip=timings.each(work.zip.name, work.amount),
            pack=timings.each(work.pack.name, work.amount),
            ratio=timings.speed(work.pack.name, work.zip.name),
        )
        for work in works
    ]
    return [memory, *rows], rounds


def _timed(jobs: Sequence[Job], seconds: float, tell: Progress) -> tuple[Timings, int]:
    """Measure round by round until the next one would take too long."""
    times: dict[str, list[float]] = {job.name: [] for job in jobs}
    start = time.perf_counter()
    took = 0.0
    rounds = 0
    while rounds < _LEAST_ROUNDS or (rounds < _MOST_ROUNDS and took + took / rounds < seconds):
        timings = measure(jobs, 1, warm_up=rounds == 0)
        for name, samples in timings.seconds.items():
            times[name] += samples
        rounds += 1
        took = time.perf_counter() - start
        tell(f"measuring: {rounds} rounds, {took:.0f} s of {seconds:g}")
    return Timings(times, {}), rounds


def _sizes(of_zip: float, of_pack: float, key: str = "size", label: str = "size") -> Row:
    return Row(
        key=key,
        label=label,
        unit="bytes",
        zip=Spread.of([of_zip]),
        pack=Spread.of([of_pack]),
        ratio=Spread.of([of_zip / of_pack]),
    )


def _memory(sides: _Sides) -> Row:
    keys = cycle(sides.asked.keys)
    of_zip = _held(lambda: sides.find_in_zip(next(keys)), 1)
    of_pack = _held(lambda: sides.find_in_pack(next(keys)), _PACKS_IN_MEMORY)
    return _sizes(of_zip, of_pack, "memory", "memory, open")


def _held(open_one: Callable[[], object], count: int) -> float:
    """Return the bytes that Python holds for each of `count` results."""
    open_one()  # what is made once in a process is not one bundle's
    collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = [open_one() for _ in range(count)]
        collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / len(held)


def _opening(sides: _Sides) -> Iterator[_Work]:
    hits = cycle(sides.asked.keys)
    misses = map("{}?{}".format, repeat(_MISS), count())
    what = "URL" if sides.zipped.key == "url" else "path"
    for kind, label, keys in (("hit", f"open, find a {what}", hits), ("miss", "open, find none", misses)):
        yield _Work(
            f"open_{kind}",
            label,
            _job(f"zip, {kind}", partial(_with_next, sides.find_in_zip, keys)),
            _job(f"pack, {kind}", partial(_with_next, sides.find_in_pack, keys)),
        )


def _with_next(find: Callable[[str], object], keys: Iterator[str]) -> object:
    return find(next(keys))


def _job(name: str, run: Callable[[], object]) -> Job:
    """Return a job of whose runs a sample takes so many that the clock's own steps don't matter."""
    run()
    return Job(name=name, run=run, calls=min(_MOST_CALLS, math.ceil(_LEAST_SAMPLE / _seconds(run))))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    result = run()
    took = time.perf_counter() - start
    del result
    return max(took, 1e-9)


def _reading(sides: _Sides, stack: ExitStack, threads: int) -> Iterator[_Work]:
    zips = [sides.zipped, *(stack.enter_context(sides.open_zip()) for _ in range(threads - 1))]
    pool = stack.enter_context(ThreadPoolExecutor(threads))
    keys = _sample(sides.asked.keys[:_SAMPLE_READS], lambda key: sides.asked.sizes[sides.zipped.by_key[key]])
    of_zip = partial(_read_from_zip, sides.zipped.zip.read, sides.zipped.by_key)
    of_zips = [partial(_read_from_zip, each.zip.read, sides.zipped.by_key) for each in zips]
    of_pack = partial(_read_from_pack, _look_up(sides.pack, sides.zipped.key))
    of_pack(keys)
    keys = keys * min(_SAMPLE_READS, math.ceil(_LEAST_SAMPLE / _seconds(partial(of_pack, keys))))

    def dealt(name: str, read: Sequence[Callable[[Sequence[str]], None]]) -> Job:
        shares = [keys[number::threads] for number in range(threads)]

        def run() -> None:
            for done in [pool.submit(each, share) for each, share in zip(read, shares, strict=True)]:
                done.result()

        return Job(name=name, run=run)

    many = f"{threads} threads"
    yield _Work(
        "read",
        "read, 1 thread",
        Job(name="zip, read", run=partial(of_zip, keys)),
        Job(name="pack, read", run=partial(of_pack, keys)),
        len(keys),
    )
    in_threads = dealt("pack, read by threads", [of_pack] * threads)
    shared = dealt("zip, read by threads", [of_zip] * threads)
    yield _Work("read_threads_one_zip", f"read, {many}, one zip", shared, in_threads, len(keys))
    own = dealt("zips, read by threads", of_zips)
    yield _Work("read_threads_own_zips", f"read, {many}, own zips", own, in_threads, len(keys))


def _read_from_zip(read: Callable[[str], bytes], by_key: Mapping[str, str], keys: Sequence[str]) -> None:
    for key in keys:
        read(by_key[key])


def _read_from_pack(look_up: Callable[[str], Entry | None], keys: Sequence[str]) -> None:
    for key in keys:
        entry = look_up(key)
        if isinstance(entry, Entry):
            entry.read()


def _replaying(sides: _Sides) -> Iterator[_Work]:
    events = sides.asked.events
    if not events:
        return

    def of_zip() -> None:
        for event in events:
            replay_zip(sides.zipped, event)

    def of_pack() -> None:
        for event in events:
            replay_pack(sides.pack, event)

    yield _Work(
        "event",
        "event: file, map, lines",
        _job("zip, event", of_zip),
        _job("pack, event", of_pack),
        len(events),
    )


def _silent(_: str) -> None:
    pass
