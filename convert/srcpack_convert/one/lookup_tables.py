"""The lookup tables of a bundle: which files get one, built side by side in processes of their own.

SPEC.md, "Lookup tables". A file that gets none has the reason, and whatever happens to one, the rest stay.
"""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from queue import Empty, SimpleQueue
from typing import IO, TypeAlias

from srcpack.bundle.members import SourceBundle
from srcpack.errors import SrcpackError
from srcpack.format.head_tail import MAX_SKIPPED
from srcpack.format.lookups import DATA_URL
from srcpack.records import EntryRecord, LookupRecord
from srcpack.rules.source_maps import find_source_maps
from srcpack_convert.one.lookup_worker import receive, seconds_for, send
from srcpack_convert.one.table import NoTable, Table

__all__ = ["MAX_SCRIPT", "MAX_SOURCE_MAP", "symbolic_version", "write_tables"]

MAX_SCRIPT = 256 << 20
"""Most bytes of a file that gets a table."""

MAX_SOURCE_MAP = 512 << 20
"""Most bytes of the map of a file that gets a table."""

_WORK_FREE, _WORK_SHARE = 64 << 20, 2
"""Bytes of files and maps that tables are built from, in any case and for each byte of a bundle's contents.

Each file may have a map of its own, but without this a map might be that of any number of files.
"""

_LEAST_SYMBOLIC = (13, 9)
_CRASHED_ON_WINDOWS = 0xC0000000
_AHEAD = 4
_Pair: TypeAlias = tuple[int, int | bytes]
_Key: TypeAlias = tuple[bytes, bytes]


def symbolic_version() -> str:
    """Return the version of symbolic, whose answers the tables have; ModuleNotFoundError if it is too old."""
    try:
        found = version("symbolic")
    except PackageNotFoundError:
        found = ""
    numbers = [int(number) for number in re.findall(r"\d+", found)[:2]]
    if tuple(numbers) < _LEAST_SYMBOLIC:
        raise ModuleNotFoundError(
            f"lookups need symbolic 13.9 or later, not {found or 'none'}: pip install srcpack[lookups]",
            name="symbolic",
        )
    return found


def write_tables(
    out: IO[bytes], bundle: SourceBundle, records: Sequence[EntryRecord], *, jobs: int
) -> list[EntryRecord]:
    """Write the tables of all files that have their source map in the bundle, `jobs` built at once.

    Returns the entries, with the place of the table or the reason why there is none.
    """
    pairs: dict[_Key, _Pair] = {}
    keys: dict[int, _Key] = {}
    places: dict[_Key, LookupRecord | str] = {}
    left = _WORK_FREE + _WORK_SHARE * sum(record.size for record in records)
    for number, source_map in find_source_maps(records).items():
        digest = sha256(source_map).digest() if isinstance(source_map, bytes) else records[source_map].sha256
        keys[number] = key = records[number].sha256, digest
        if key in pairs or key in places:
            continue
        size = len(source_map) if isinstance(source_map, bytes) else records[source_map].size
        left -= records[number].size + size
        if left < 0:
            places[key] = f"too many files have a map of {size:,} bytes, or more"
        else:
            pairs[key] = number, source_map
    offset = 0
    for key, table in zip(pairs, _built(bundle, records, [*pairs.values()], jobs), strict=True):
        if isinstance(table, str):
            places[key] = table
        elif offset + len(table.data) > MAX_SKIPPED:
            places[key] = f"the tables before it leave no room for {len(table.data):,} bytes"
        else:
            out.write(table.data)
            places[key] = LookupRecord(
                offset, len(table.data), table.head, table.data[table.head - 4 : table.head]
            )
            offset += len(table.data)
    return [
        _with_place(record, places[keys[number]]) if number in keys else record
        for number, record in enumerate(records)
    ]


def _with_place(record: EntryRecord, place: LookupRecord | str) -> EntryRecord:
    if isinstance(place, str):
        return record._replace(lookup_reason=place)
    return record._replace(lookup=place)


def _built(
    bundle: SourceBundle, records: Sequence[EntryRecord], pairs: Sequence[_Pair], jobs: int
) -> Iterator[Table | str]:
    """Yield the table of each pair, or why there is none, in their order."""
    usable = [record.sha256 if record.utf8 and record.sha256 else bytes(32) for record in records]
    workers = _Workers(b"".join(usable))

    def build(pair: _Pair) -> Table | str:
        try:
            return workers.build(bundle, records, *pair)
        except (NoTable, SrcpackError) as error:
            return str(error)

    with ThreadPoolExecutor(jobs, thread_name_prefix="lookups") as executor:
        tasks: deque[Future[Table | str]] = deque()
        try:
            for pair in pairs:
                tasks.append(executor.submit(build, pair))
                if len(tasks) > _AHEAD * jobs:
                    yield tasks.popleft().result()
            while tasks:
                yield tasks.popleft().result()
        finally:
            # Before the executor waits for its threads, which wait for them.
            executor.shutdown(wait=False, cancel_futures=True)
            workers.stop()


class _Workers:
    """Processes that build tables; each is used by one thread at a time.

    `entries` are the SHA-256 of each entry's content, one after the other; zero where that is no text.
    """

    def __init__(self, entries: bytes) -> None:
        self._entries = entries
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._is_stopped = False

    def build(
        self, bundle: SourceBundle, records: Sequence[EntryRecord], number: int, source_map: int | bytes
    ) -> Table:
        """Build the table of a file; NoTable says why there is none."""
        map_size = len(source_map) if isinstance(source_map, bytes) else records[source_map].size
        for what, size, limit in (
            ("the file", records[number].size, MAX_SCRIPT),
            ("the map", map_size, MAX_SOURCE_MAP),
        ):
            if size > limit:
                raise NoTable(f"{what} has {size:,} bytes, over the limit of {limit:,}")
        if isinstance(source_map, bytes):
            map_number, content = DATA_URL, source_map
        else:
            map_number, content = source_map, bundle.read(records[source_map].name)
        script = bundle.read(records[number].name)
        try:
            worker = self._idle.get_nowait()
        except Empty:
            worker = self._started()
        assert worker.stdin is not None  # noqa: S101  it was started with pipes
        assert worker.stdout is not None  # noqa: S101
        seconds = seconds_for(_packed_size(bundle, records, number, source_map))
        with suppress(BrokenPipeError):
            send(worker.stdin, {"script": script, "map": content, "number": map_number, "seconds": seconds})
        answer = receive(worker.stdout)
        if answer is None:
            raise _ended(worker, seconds)
        self._idle.put(worker)
        if "reason" in answer:
            raise NoTable(answer["reason"])
        return Table(**answer)

    def _started(self) -> "subprocess.Popen[bytes]":
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "srcpack_convert.one.lookup_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._all.append(worker)
        if self._is_stopped:
            worker.kill()
        assert worker.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):
            send(worker.stdin, {"entries": self._entries})
        return worker

    def stop(self) -> None:
        """End all processes, whatever they do."""
        self._is_stopped = True
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # of what is in its buffer yet
                        pipe.close()


def _packed_size(
    bundle: SourceBundle, records: Sequence[EntryRecord], number: int, source_map: int | bytes
) -> int:
    """Return the bytes that a file and its map take in the zip."""
    numbers = [number] if isinstance(source_map, bytes) else [number, source_map]
    members = [bundle.members[records[each].name] for each in numbers]
    return sum(min(member.compressed_size, bundle.source.size) for member in members)


def _ended(worker: "subprocess.Popen[bytes]", seconds: int) -> NoTable:
    """Return why a process did not survive its work; RuntimeError if it was not its work."""
    code = worker.wait()
    if code == -getattr(signal, "SIGXCPU", 0):
        return NoTable(f"it takes symbolic over {seconds} seconds")
    if code < 0:
        return NoTable(f"symbolic does not survive it ({signal.Signals(-code).name})")
    if code >= _CRASHED_ON_WINDOWS:
        return NoTable(f"symbolic does not survive it (0x{code:08X})")
    raise RuntimeError(f"a process for lookup tables ended with exit code {code}")
