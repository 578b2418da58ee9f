"""Packs shared by many threads, by processes, and by what ends under them.

`python -X gil=0` runs these on a free-threaded interpreter; `.ci/run` does where it finds one.
"""

import asyncio
import multiprocessing
import operator
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from reliability.known import KnownBundle, KnownFile

import srcpack
from srcpack import ContentCache, DamagedMember, Entry, NotFound, Pack, PackCache
from srcpack.source.source_of import SourceKind

THREADS = 32
READS = 40
SEED = 11
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, KnownBundle]:
    """Packs of many kinds, by path; the first has most files."""
    folder = tmp_path_factory.mktemp("library")
    bundles = sorted((KnownBundle(number, SEED) for number in range(6)), key=lambda each: -len(each.files))
    paths = {folder / f"{bundle.number}.srcpack": bundle for bundle in bundles}
    for path, bundle in paths.items():
        bundle.convert(path)
    return paths


@pytest.fixture
def switching() -> Iterator[None]:
    """Let threads take turns a hundred times as often as they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


def check(
    entry: Entry, file: KnownFile, read: Callable[[Entry], bytes] = operator.methodcaller("read")
) -> None:
    assert entry.name == file.name
    if file.kind != "damaged":
        assert read(entry) == file.content()
        return
    with pytest.raises(DamagedMember):
        read(entry)


def check_in_every_way(pack: Pack, file: KnownFile, random: Random) -> None:
    """Look a file up by one key and read it, some way or other."""
    found: Entry | srcpack.SourceLink | None
    match random.randrange(4):
        case 0:
            found = pack[file.name]
        case 1:
            found = pack.by_url(file.url)
        case 2:
            found = pack.by_path(file.path)
        case _:
            found = pack.by_debug_id(file.debug_id, file.type) if file.debug_id else pack[file.name]
    assert isinstance(found, Entry)
    at = random.randrange(file.size + 1)
    ways: list[Callable[[Entry], bytes]] = [
        lambda entry: entry.read(),
        lambda entry: bytes(entry.view()),
        lambda entry: entry.read_range(0, at) + entry.read_range(at, 1 << 30),
        lambda entry: entry.open().readall(),
    ]
    check(found, file, random.choice(ways))
    with pytest.raises(NotFound):
        pack[f"{file.name}{at}"]


def at_once(work: Callable[[Random], object], threads: int = THREADS) -> None:
    """Run something in many threads that begin together; raise what one of them raises."""
    barrier = threading.Barrier(threads)

    def begin(number: int) -> None:
        barrier.wait()
        work(Random(number))

    with ThreadPoolExecutor(threads) as executor:
        for done in [executor.submit(begin, number) for number in range(threads)]:
            done.result()


# ---- threads


@pytest.mark.slow
@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize("source", ["mmap", "pread", "bytes", "zip"])
def test_32_threads_share_one_pack(library: dict[Path, KnownBundle], source: str) -> None:
    path, bundle = next(iter(library.items()))
    if source == "zip":
        pack = srcpack.open(bundle.zip())
    elif source == "bytes":
        pack = srcpack.open(path.read_bytes())
    else:
        pack = srcpack.open(path, source="mmap" if source == "mmap" else "pread")

    def work(random: Random) -> None:
        for _ in range(READS):
            check_in_every_way(pack, random.choice(bundle.files), random)

    at_once(work)


@pytest.mark.slow
@pytest.mark.usefixtures("switching")
def test_32_threads_share_caches_that_evict(library: dict[Path, KnownBundle]) -> None:
    contents, evicting = ContentCache(100_000, max_entries=40), PackCache(3)
    shared = ContentCache(1 << 30)

    def work(random: Random) -> None:
        for _ in range(READS):
            path, bundle = random.choice(list(library.items()))
            file = random.choice(bundle.files)
            pack = evicting.get(path)
            check(pack[file.name], file, random.choice((contents, shared)).read)

    at_once(work)
    assert contents.statistics.evictions
    assert contents.statistics.bytes <= 100_000
    assert evicting.statistics.evictions
    assert evicting.statistics.open <= 3


@pytest.mark.slow
@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize("source", ["mmap", "pread"])
def test_a_pack_that_is_closed_under_readers_gives_right_bytes_or_says_so(
    library: dict[Path, KnownBundle], source: SourceKind
) -> None:
    """In whatever way they read: and no descriptor is closed that another file has by then."""
    path, bundle = next(iter(library.items()))
    for round_number in range(10):
        pack, reads = srcpack.open(path, source=source), iter(range(1 << 30))
        cache = ContentCache(50_000)

        def work(
            random: Random, pack: Pack = pack, reads: Iterator[int] = reads, cache: ContentCache = cache
        ) -> None:
            for _ in range(READS):
                file = random.choice(bundle.files)
                try:
                    check_in_every_way(pack, file, random)
                    check(pack[file.name], file, cache.read)
                except ValueError as error:
                    assert "closed pack" in str(error)  # noqa: PT017  other errors are raised as they are
                    return
                if next(reads) == 20 * round_number:  # noqa: B023
                    pack.close()
                    os.close(os.open(os.devnull, os.O_RDONLY))  # takes the number that became free

        at_once(work, threads=8)
        pack.close()


def test_asyncio_reads_by_threads(library: dict[Path, KnownBundle]) -> None:
    path, bundle = next(iter(library.items()))
    files = [file for file in bundle.files if file.kind != "damaged"]

    async def read_all() -> None:
        with srcpack.open(path) as pack:
            found = await asyncio.gather(*(asyncio.to_thread(pack.by_url, file.url) for file in files))
            reads = [asyncio.to_thread(entry.read) for entry in found if isinstance(entry, Entry)]
            assert await asyncio.gather(*reads) == [file.content() for file in files]
            cancelled = asyncio.create_task(asyncio.to_thread(pack[files[0].name].read))
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert await asyncio.to_thread(pack[files[0].name].read) == files[0].content()

    asyncio.run(read_all())


# ---- processes


def the_same(pack: Pack, name: str) -> Entry:
    assert pack[name].pack is pack
    return pack[name]


@pytest.mark.slow
def test_packs_go_to_processes_and_entries_come_back(library: dict[Path, KnownBundle]) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        for path, bundle in list(library.items())[:2]:
            pack, names = srcpack.open(path), [file.name for file in bundle.files]
            entries = list(executor.map(the_same, [pack] * len(names), names, chunksize=10))
            for file, entry in zip(bundle.files, entries, strict=True):
                assert entry.pack.sha256 == pack.sha256
                check(entry, file)


def in_a_child(work: Callable[[], bool]) -> bool:
    """Return what a forked process returns, or False if it does not end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that threads and forks don't mix is the point
        child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + 60
    while not (waited := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.005)
    if not waited[0]:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return waited == (child, 0)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mmap", "pread"])
def test_a_fork_reads_what_is_open_while_threads_read_it(
    library: dict[Path, KnownBundle], source: SourceKind
) -> None:
    path, bundle = next(iter(library.items()))
    pack, cache, done = srcpack.open(path, source=source), ContentCache(50_000), threading.Event()

    def read_all() -> bool:
        for file in bundle.files:
            check(pack[file.name], file)
            check(pack[file.name], file, cache.read)
        return True

    def keep_reading() -> None:
        while not done.is_set():
            read_all()

    with ThreadPoolExecutor(4) as executor:
        readers = [executor.submit(keep_reading) for _ in range(4)]
        try:
            assert all(in_a_child(read_all) for _ in range(5))
        finally:
            done.set()
        for reader in readers:
            reader.result()


# ---- the end of the interpreter


ENDS = """
import itertools, sys, threading, srcpack
path, source, ends = sys.argv[1:]
pack = srcpack.open(path, source=source)
cache = srcpack.ContentCache(50_000)
packs = srcpack.PackCache(1)
cycle = [srcpack.open(path, source=source)]
cycle.append(cycle)
entries = [entry for entry in pack.entries() if entry.damage is None]
busy = threading.Barrier(9)

def read():
    for number in itertools.count():
        entry = entries[number % len(entries)]
        entry.read()
        cache.read(entry)
        packs.get(path).by_url(entry.url)
        view = entry.view()
        if number == 20:
            busy.wait()

for _ in range(8):
    threading.Thread(target=read, daemon=True).start()
busy.wait()
if ends == "by an exception":
    raise SystemExit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("source", "ends"), [("mmap", "at the end"), ("pread", "by an exception")])
def test_the_interpreter_ends_quietly_under_readers(
    library: dict[Path, KnownBundle], source: SourceKind, ends: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", ENDS, next(iter(library)), source, ends],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
