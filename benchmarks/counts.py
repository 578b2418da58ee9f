"""What do first reads, events and long lines cost that can be counted: reads of the disk, calls, frames?"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from srcpack import Entry
from srcpack.format import packfile, zstd_frames
from srcpack.opening import packfile_of
from srcpack.rules.context import get_context
from srcpack.source.open_file import OpenFile

from .contenders import (
    Contender,
    Lmdb,
    MappedZip,
    MappedZipStored,
    Pack,
    PackByPread,
    PackWithoutDictionary,
    WrongBytesError,
    clear_caches,
)
from .events import Event, bundle_name, make_events, resolve_event
from .harness import Cell, Column, Job, Result, Table, Target, measure, progress
from .workloads import File, numbered, write_bundle
from .workspace import Workspace, able, shuffled

__all__ = ["run"]

_DISK: list[type[Contender]] = [Pack, PackByPread, MappedZip, MappedZipStored, Lmdb]
_GENERATED = (10, 1_000, 65_536)
_REAL = ("js-web", "js-many")
_SMALL = 1_000
_MOST_READS = {True: 4, False: 6}
"""By whether the bundle has at most `_SMALL` files."""

_SAMPLES = 20
_BUNDLES, _EVENTS = 200, 600
_ONE_LINE = 8 << 20
_URL = "~/one-line.js"


def run(work: Workspace) -> Result:
    """Count what first reads, events and lines of a large file cost."""
    disk, targets = _disk(work)
    events = _events(work)
    work.add("one-line", partial(_write_one_line, size=_ONE_LINE // 8 if work.quick else _ONE_LINE))
    with Pack(work.pack("one-line")) as store:
        found = store.find(_URL)
        places = _places(found, work.rounds(15))
    return Result(
        question="counts",
        title="What reads cost that can be counted",
        method=f"""
            *Disk*: the file is dropped from the page cache (`posix_fadvise`, `DONTNEED`), a bundle opened,
            one URL looked up and its file read, with the caches of the process empty; {_SAMPLES} files by
            chance. A system call for which `/proc/self/io` then tells of bytes read counts as one read of
            the disk, and so does a major page fault; what the kernel reads ahead comes with it. *Events*:
            those of `replay`, with one thread. A call counts if it gives up Python's global lock: reads,
            seeks and opens of files, and decompressions; hashes do not count. *One line*: a place at
            columns all over a file of one line; the whole is read, decoded and cut as the rules say, and
            the lines must be the same.
        """,
        quick=work.quick,
        bundles={
            **dict.fromkeys([_name(count) for count in _counts(work)], "generated"),
            **work.origins(["js-web", "js-many"]),
            "one-line": "generated",
        },
        tables=[
            Table(
                title="Reads that reach the disk: open, look up, read",
                note="Where the system does not tell, or the folder is in memory, there are no rows.",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("files", "Files", 0),
                    Column("way", "Way"),
                    Column("median", "Reads, median", 0),
                    Column("most", "Most", 0),
                ],
                rows=disk,
            ),
            Table(
                title="An event over 200 bundles",
                columns=[
                    Column("state", "State"),
                    Column("way", "Way"),
                    Column("calls", "Calls that give up the lock, an event", 2),
                    Column("loaded", "Dictionaries loaded, an event", 3),
                    Column("bytes", "Bytes of them, unpacked, an event", 0),
                ],
                rows=events,
            ),
            Table(
                title="A place in a file of one line",
                columns=[
                    Column("way", "Way"),
                    Column("frames", "Frames decoded, at most", 0),
                    Column("each", "ms", 2),
                    Column("whole", "Times as fast as the whole", 1),
                ],
                rows=places,
            ),
        ],
        targets=targets,
    )


def _counts(work: Workspace) -> Sequence[int]:
    return _GENERATED[:2] if work.quick else _GENERATED


def _name(count: int) -> str:
    return f"files-{count}"


# ---- the disk


def _disk(work: Workspace) -> tuple[list[dict[str, Cell]], list[Target]]:
    rows: list[dict[str, Cell]] = []
    targets: list[Target] = []
    for count in _counts(work):
        work.add(_name(count), partial(_write_numbered, count=count))
    if not Path("/proc/self/io").exists():
        return rows, targets
    for name in (*map(_name, _counts(work)), *_REAL):
        material = work.material(name)
        urls = shuffled(material.by_url)[:_SAMPLES]
        files = len(material.contents)
        progress(f"  disk: {name}")
        for contender in able(_DISK):
            path = work.file(name, contender.format)
            reads = sorted(
                _reads_of_disk(contender, path, url, material.contents[material.by_url[url]]) for url in urls
            )
            if not reads[-1]:  # a file system in memory
                continue
            rows.append(
                {
                    "bundle": name,
                    "files": files,
                    "way": contender.name,
                    "median": reads[len(reads) // 2],
                    "most": reads[-1],
                }
            )
            if contender is Pack:
                targets.append(
                    Target(
                        claim=f"{name}, {files:,} files: reads that reach the disk for a first read",
                        value=reads[-1],
                        kind="at most",
                        bound=_MOST_READS[files <= _SMALL],
                    )
                )
    return rows, targets


def _reads_of_disk(contender: type[Contender], path: Path, url: str, content: bytes) -> int:
    import resource  # noqa: PLC0415  Windows has none

    contender.forget()
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    with _counting_calls() as reached:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        with contender(path) as store:
            if store.read(store.find(url)) != content:
                raise WrongBytesError(f"{contender.name}: {url!r} in {path.name}")
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - before
    return len(reached) + faults


@contextmanager
def _counting_calls() -> Iterator[list[str]]:
    """Give a list that grows by a name with each call of the system that reads from the disk."""
    reached: list[str] = []
    kept = {name: getattr(os, name) for name in ("pread", "posix_fadvise")}

    def counting(name: str, *arguments: Any) -> Any:
        before = _bytes_read()
        result = kept[name](*arguments)
        if _bytes_read() > before:
            reached.append(name)
        return result

    for name in kept:
        setattr(os, name, partial(counting, name))
    try:
        yield reached
    finally:
        for name, function in kept.items():
            setattr(os, name, function)


def _bytes_read() -> int:
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(text.partition("\nread_bytes: ")[2].partition("\n")[0])


def _write_numbered(path: Path, count: int) -> None:
    write_bundle(path, numbered(count))


# ---- events

_IN_ONE_STEP: Mapping[CodeType, int] = {OpenFile._of.__func__.__code__: 2}  # type: ignore[attr-defined]  # noqa: SLF001
"""What steps of C, which no profiler sees, call within: the file is opened, and its status asked for."""

_GIVE_UP = {"pread", "posix_fadvise", "seek", "seekable", "decompress", "madvise"}
"""Names of the builtin functions that give up the global lock, of those that reading a pack calls."""


def _events(work: Workspace) -> list[dict[str, Cell]]:
    bundles, count = (8, 24) if work.quick else (_BUNDLES, _EVENTS)
    progress(f"  making {bundles} bundles")
    events = make_events(work, bundles, count)
    rows: list[dict[str, Cell]] = []
    for contender in (Pack, PackWithoutDictionary):
        paths = [work.file(bundle_name(number), contender.format) for number in range(bundles)]
        clear_caches()
        stores: dict[int, Contender] = {}
        for state in ("cold", "warm"):
            with _counting_dictionaries() as loaded:
                calls = _calls(partial(_replay, contender, paths, events, stores))
            rows.append(
                {
                    "state": state,
                    "way": contender.name,
                    "calls": calls / len(events),
                    "loaded": len(loaded) / len(events),
                    "bytes": round(sum(loaded) / len(events)),
                }
            )
        for store in stores.values():
            store.close()
    return rows


def _replay(
    contender: type[Contender], paths: Sequence[Path], events: Sequence[Event], stores: dict[int, Contender]
) -> None:
    for event in events:
        if event.bundle not in stores:
            stores[event.bundle] = contender(paths[event.bundle])
        resolve_event(stores[event.bundle], event)


def _calls(work: Callable[[], object]) -> int:
    """Return how many calls that give up the lock the work makes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        if event == "c_call":
            calls += argument.__name__ in _GIVE_UP
        elif event == "call":
            calls += _IN_ONE_STEP.get(frame.f_code, 0)

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@contextmanager
def _counting_dictionaries() -> Iterator[list[int]]:
    """Give a list that grows with each dictionary that is loaded, by its size."""
    loaded: list[int] = []
    read = zstd_frames.read_dictionary

    def counting(*arguments: Any, **options: Any) -> zstd_frames.Dictionary:
        dictionary = read(*arguments, **options)
        loaded.append(len(dictionary.data))
        return dictionary

    zstd_frames.read_dictionary = counting
    try:
        yield loaded
    finally:
        zstd_frames.read_dictionary = read


# ---- one line


def _write_one_line(path: Path, size: int) -> None:
    words = "".join(f"v{n}=f({n * 7 % 1009},{n * n % 997});" for n in range(9973))
    content = (words * (size // len(words) + 1)).encode()[:size]
    write_bundle(path, [File("files/_/_/one-line.js", content, {"type": "minified_source", "url": _URL})])


def _places(found: Entry, rounds: int) -> list[dict[str, Cell]]:
    """Compare a place in a line with the whole file cut."""
    columns = [found.size * number // 17 for number in range(1, 17)]
    store = packfile_of(found.pack)
    decoded: list[int] = []
    for column in columns:
        with _counting_parts() as parts:
            context = found.context(1, column=column)
        if context != get_context(found.text(), 1, column):
            raise WrongBytesError(f"column {column}")
        decoded.append(len(parts))
    here, there = itertools.cycle(columns), itertools.cycle(columns)
    jobs = [
        Job(name="context", run=lambda: found.context(1, column=next(here))),
        Job(name="whole", run=lambda: get_context(store.read_text(found.record), 1, next(there))),
    ]
    timings = measure(jobs, rounds)
    frames = {"context": max(decoded), "whole": len(found.record.frames)}
    labels = {"context": "`Entry.context`", "whole": "the whole text, cut"}
    return [
        {
            "way": labels[name],
            "frames": frames[name],
            "each": timings.each(name, 1e-3),
            "whole": timings.speed(name, "whole"),
        }
        for name in labels
    ]


@contextmanager
def _counting_parts() -> Iterator[list[int]]:
    """Give a list that grows by a number with each frame that is decoded."""
    parts: list[int] = []
    read_part = packfile.PackFile.read_part

    def counting(self: packfile.PackFile, record: Any, number: int) -> bytes:
        parts.append(number)
        return read_part(self, record, number)

    packfile.PackFile.read_part = counting  # type: ignore[method-assign]
    try:
        yield parts
    finally:
        packfile.PackFile.read_part = read_part  # type: ignore[method-assign]
