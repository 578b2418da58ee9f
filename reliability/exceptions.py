"""Does all stay right wherever an exception arrives from outside: a timeout, an interrupt from the keyboard?

    python -m reliability.exceptions                # a minute for each; `just exceptions`
    python -m reliability.exceptions --seconds 1

A service that ends requests by a timeout raises it in a signal handler, which Python calls between any two
bytecodes. So each thing done here is done again and again, with an exception before its first bytecode, its
second, and so on until it gets through; and then with real signals at random instants, while other threads
do the same things and get exceptions of their own. The state is the same all the while. After each
exception must hold, or the exit code is 1:

- it reached the caller, and was not taken for an error of a file;
- every answer is right, and what is read twice is kept;
- caches are within their limits, and count what they hold;
- no descriptor is open that was not before;
- a process that is forked can do the same things.
"""

import argparse
import ctypes
import gc
import io
import os
import signal
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import zstandard

import srcpack
from srcpack import ContentCache, PackCache, PackSet
from srcpack.caches import Generations, Shelf, Shelves
from srcpack.format.zstd_frames import DICTIONARIES
from srcpack.source.file_object import FileObjectSource
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.sample_packs import sample_packs

from .known import text

__all__ = [
    "SCENARIOS",
    "STATEFUL",
    "Scenario",
    "Timeout",
    "at_every_bytecode",
    "by_signals",
    "forked",
    "main",
]


class Timeout(TimeoutError):
    """What a service raises: it is an OSError too, and must not be taken for one of a file."""


class Scenario(ABC):
    """Something that is done, and what must hold after it, wherever it was ended."""

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Make what is needed in an empty folder."""

    @abstractmethod
    def prepare(self) -> None:
        """Make sure that the next call does all that there is to do."""

    @abstractmethod
    def call(self) -> None:
        """Do it."""

    @abstractmethod
    def check(self) -> None:
        """Raise AssertionError if something does not hold."""


# ---- what is done


class Contents(Scenario):
    """A cache of contents that evicts, and one that keeps all."""

    def __init__(self, folder: Path) -> None:
        """Keep three of eight contents, of which two are equal, in one of the caches."""
        contents = {f"{number}": b"%d\n" % max(1, number) * 50 for number in range(8)}
        pack = _packed(folder / "a.srcpack", contents)
        self._wanted = [(pack[name], content) for name, content in contents.items()]
        self._small, self._large = ContentCache(300, max_entries=4), ContentCache(10_000)
        self._next = 0

    def prepare(self) -> None:
        """Go on to the next content, which is not kept any more."""
        self._next += 1
        self._large.clear()

    def call(self) -> None:
        """Read, miss and hit."""
        entry, content = self._wanted[self._next % 8]
        for cache in (self._small, self._large, self._large):
            _equal(cache.read(entry), content)
        assert self._small.statistics.bytes <= 300

    def check(self) -> None:
        """Read all and count."""
        for entry, content in self._wanted:
            for cache in (self._small, self._large):
                kept = cache.read(entry)
                _equal(kept, content)
                assert cache.read(entry) is kept, "not kept"
            assert 100 <= self._small.statistics.bytes <= 300, self._small.statistics
        held = self._large.statistics
        _equal((held.bytes, held.items), (700, 7))


class Packs(Scenario):
    """A cache of packs that evicts, and finds files replaced."""

    def __init__(self, folder: Path) -> None:
        """Keep two of four packs."""
        self._paths = [folder / f"{number}.srcpack" for number in range(4)]
        for number, path in enumerate(self._paths):
            _packed(path, {"a": b"%d\n" % number})
        self._cache = PackCache(2)
        self._next = 0
        self._folder = folder

    def prepare(self) -> None:
        """Go on to the next pack, which is not kept any more, and give it another file now and then."""
        self._next += 1
        if self._next % 3 == 0:
            path = self._paths[self._next % 4]
            aside = path.with_suffix(".new")
            aside.write_bytes(path.read_bytes())
            aside.rename(path)

    def call(self) -> None:
        """Open, find open, and read."""
        number = self._next % 4
        for _ in range(2):
            _equal(self._cache.get(self._paths[number])["a"].read(), b"%d\n" % number)
        self._cache.statistics  # noqa: B018  it repairs what it finds

    def check(self) -> None:
        """Get all and count descriptors."""
        for number, path in enumerate(self._paths):
            pack = self._cache.get(path)
            _equal(pack["a"].read(), b"%d\n" % number)
            assert self._cache.get(path) is pack
            assert len(self._cache._kept) <= 2, self._cache  # noqa: SLF001  `statistics` would repair it
        _equal((self._cache.statistics.open, _open_in(self._folder)), (2, 2))


class Kept(Scenario):
    """The caches of entries, blocks and dictionaries, which all packs share."""

    def __init__(self, folder: Path) -> None:  # noqa: ARG002  it needs none
        """Make small ones."""
        self._generations: Generations[int, int] = Generations(20)
        self._shelves: Shelves[int, int] = Shelves(20)
        self._owners: list[Shelf[int, int]] = [Shelf() for _ in range(5)]
        self._numbers = count()

    def prepare(self) -> None:
        """They are full already."""

    def call(self) -> None:
        """Fill them more than once."""
        for number in (next(self._numbers) for _ in range(7)):
            cost = 1 + number % 7
            self._generations.put(number, cost, cost)
            for last in (number, number - 6):
                assert self._generations.get(last) in (1 + last % 7, 1, None)
            self._shelves.put(self._owners[number % 5], number, cost, cost)

    def check(self) -> None:
        """Count what they keep."""
        generations, owners = self._generations, self._owners
        young, (old, _) = generations.young, generations._old  # noqa: SLF001  there are no others
        assert sum({**old, **young}.values()) <= 40, (old, young)
        _at_most_twice(owners)
        for number in (next(self._numbers) for _ in range(50)):
            generations.put(number, 1)
            _equal(generations.get(number), 1)
            self._shelves.put(owners[number % 5], number, 1)
            _equal(owners[number % 5].values[number], 1)
            _at_most_twice(owners)


class Opened(Scenario):
    """Packs that are opened, asked, mapped and read, a dictionary too."""

    def __init__(self, folder: Path) -> None:
        """Convert a bundle with a dictionary, and one that is mapped to be read."""
        self._path, self._raw = folder / "a.srcpack", folder / "raw.srcpack"
        self._contents = {f"{number:02}": text(number * 1000, 600) for number in range(20)}
        self._large = text(0, 300_000)
        samples: list[bytes | bytearray | memoryview] = [text(at * 500, 500) for at in range(100)]
        trained = zstandard.train_dictionary(4096, samples, k=64, d=8)
        _packed(self._path, self._contents, dictionary=trained.as_bytes())
        _packed(self._raw, {"a": self._large}, preset="raw")
        self._folder = folder

    def prepare(self) -> None:
        """Forget the dictionary."""
        DICTIONARIES.clear()

    def call(self) -> None:
        """Open, read and close."""
        with srcpack.open(self._path) as pack:
            entry = pack.by_url("~/07")
            assert isinstance(entry, srcpack.Entry)
            _equal(entry.read(), self._contents["07"])
        _equal(bytes(srcpack.open(self._raw)["a"].view()), self._large)
        _equal(srcpack.open(self._path, source="pread")["08"].read(), self._contents["08"])

    def check(self) -> None:
        """Read all and count descriptors."""
        _equal(_open_in(self._folder), 0)
        pack = srcpack.open(self._path)
        for name in ("06", "07"):
            _equal(pack[name].read(), self._contents[name])
        assert len(DICTIONARIES) in {2, 3}  # of the pack that brought it, what that one claims, and of others


class Read(Scenario):
    """A pack that stays open, mapped after a while, and the position of a file object."""

    def __init__(self, folder: Path) -> None:
        """Open a pack of several frames."""
        self._path = folder / "a.srcpack"
        self._content = text(0, 40_000)
        _packed(self._path, {"a": self._content}, frame_size=16_384)
        self._source = FileObjectSource(io.BytesIO(self._content))
        self._pack = srcpack.open(self._path)
        self._folder = folder
        self._random = Random(1)

    def prepare(self) -> None:
        """Open it anew, so that it has to be mapped again."""
        self._pack = srcpack.open(self._path)

    def call(self) -> None:
        """Read whole, a part, lines, and by pieces."""
        entry = self._pack["a"]
        _equal(entry.read(), self._content)
        _equal(entry.read_range(16_000, 1000), self._content[16_000:17_000])
        assert entry.context(100) is not None
        with entry.open() as file:
            _equal(file.readall(), self._content)
        _equal(bytes(entry.view()), self._content)
        _equal(self._source.read(1000, 1000), self._content[1000:2000])

    def check(self) -> None:
        """Read again."""
        _equal(self._pack["a"].read(), self._content)
        _equal(self._source.read(10, 10), self._content[10:20])
        _equal(_open_in(self._folder), 1)


class Found(Scenario):
    """A set of packs that is asked for files, natively and for JavaScript, and reads them."""

    def __init__(self, folder: Path) -> None:
        """Convert two bundles, one of which has the file."""
        self._paths = [folder / "a.srcpack", folder / "b.srcpack"]
        _packed(self._paths[0], {"b.js": b"b\n"})
        _packed(self._paths[1], {"a.js": b"a\n"})
        self._packs: list[srcpack.Pack] = []

    def prepare(self) -> None:
        """Open them anew."""
        self._packs = [srcpack.open(path) for path in self._paths]

    def call(self) -> None:
        """Find a file by URL and by path, and read it."""
        packs = PackSet(self._packs or [srcpack.open(path) for path in self._paths])
        for found in (packs.resolve("https://host/a.js?x"), packs.source_by_path("/a.js")):
            assert isinstance(found, srcpack.Resolved), "a miss"
            _equal(packs.read(found), b"a\n")
        _equal(packs.errors, 0)

    def check(self) -> None:
        """Find it again."""
        self.call()


class Looked(Scenario):
    """A pack with a lookup table of many blocks, asked for positions and the lines around them."""

    def __init__(self, folder: Path) -> None:
        """Ask for what is right."""
        self._path = folder / "a.srcpack"
        self._path.write_bytes(sample_packs()["lookups"])
        self._folder = folder
        self._pack = srcpack.open(self._path)
        self._right = self._asked(self._pack)
        assert None not in self._right

    def prepare(self) -> None:
        """Open it anew, so that no table is known."""
        self._pack = srcpack.open(self._path)

    def call(self) -> None:
        """Ask for positions in blocks that are read and in one that is known by then."""
        _equal(self._asked(self._pack), self._right)

    def check(self) -> None:
        """Ask again."""
        self.call()
        _equal(_open_in(self._folder), 1)

    def _asked(self, pack: srcpack.Pack) -> list[object]:
        entry = pack["m/m.js"]
        places = [entry.original(line, column) for line, column in ((1, 1), (6, 200), (1, 9))]
        # What is kept holds no pack open.
        return [place and (place.source, place.line, place.name, place.context(1)) for place in places]


SCENARIOS: tuple[type[Scenario], ...] = (Contents, Packs, Kept, Opened, Read, Found, Looked)

STATEFUL = (
    "/srcpack/caches.py",
    "/srcpack/format/directory.py",
    "/srcpack/format/lookup_section.py",
    "/srcpack/format/packfile.py",
    "/srcpack/format/zstd_frames.py",
    "/srcpack/resolve/content_cache.py",
    "/srcpack/resolve/pack_cache.py",
    "/srcpack/source/local.py",
    "/srcpack/source/open_file.py",
    "/srcpack/source/file_object.py",
    "/srcpack/source/remote.py",
)
"""The modules that have what outlives a call; the others only pass an exception on."""


def _packed(path: Path, contents: dict[str, bytes], **options: Any) -> srcpack.Pack:
    bundle = build_bundle(
        contents, {"files": {name: {"url": f"~/{name}", "path": f"/{name}"} for name in contents}}
    )
    convert(bundle, path, **{"dictionary": "off", "verify": False, **options})
    return srcpack.open(path)


def _at_most_twice(owners: Sequence[Shelf[int, int]]) -> None:
    kept = sum(sum(owner.values.values()) for owner in owners)
    assert kept <= 40, f"shelves keep {kept}"


def _equal(found: object, expected: object) -> None:
    assert found == expected, f"{str(found)[:100]} where {str(expected)[:100]} is right"


def _open_in(folder: Path) -> int:
    """Return how many descriptors this process has of files in a folder."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the list's own
            found += os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/")
    return found


# ---- where it is ended


def at_every_bytecode(scenario: Scenario, *, quick: bool = False) -> int:
    """Raise before each bytecode that a call takes; return how many there are.

    Args:
        scenario: What is called.
        quick: Whether to try only what is in `STATEFUL`, and each bytecode there only when it first comes.

    Raises:
        AssertionError: Something did not hold after an exception, or an exception was swallowed.
    """
    passed: set[object] = set()
    while True:
        scenario.prepare()
        place = _ended_at_next(scenario.call, passed, quick=quick)
        if place is None:
            return len(passed)
        try:
            scenario.check()
        except Exception as error:
            raise AssertionError(f"after an exception at {place}: {error!r}") from error


def _ended_at_next(call: Callable[[], None], passed: set[object], *, quick: bool) -> str | None:
    """Call, raising before the first bytecode not passed yet; return where, or None if there was none."""
    place: str | None = None
    steps = count()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal place
        code = frame.f_code
        if code.co_filename == __file__ or (quick and not code.co_filename.endswith(STATEFUL)):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            step = (code, frame.f_lasti) if quick else next(steps)
            if step not in passed:
                passed.add(step)
                place = f"{code.co_filename}:{frame.f_lineno}, bytecode {frame.f_lasti} of {code.co_name}"
                raise Timeout
        return trace

    before = sys.gettrace()
    # What the collector of cycles calls is not ours, and what it raises reaches nobody.
    gc.disable()
    # Python 3.12 tells of bytecodes only if some frame asked for them before the trace function was set.
    sys._getframe().f_trace_opcodes = True  # noqa: SLF001
    sys.settrace(trace)
    try:
        call()
    except Timeout:
        return place
    finally:
        sys.settrace(before)
        gc.enable()
    assert place is None, f"an exception at {place} did not reach the caller"
    return None


def by_signals(scenario: Scenario, seconds: float, seed: int = 1) -> int:
    """End calls by signals at random instants; return how many.

    Raises:
        AssertionError: Something did not hold after one.
    """
    random, ended, armed = Random(seed), 0, False

    def end(*_: object) -> None:
        if armed:
            raise Timeout

    before = signal.signal(signal.SIGALRM, end)
    until = time.monotonic() + seconds
    gc.disable()  # what others do at a collection must not be ended
    try:
        while time.monotonic() < until:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 3e-3), 3e-3)
            try:
                while True:
                    armed = False
                    scenario.prepare()
                    armed = True
                    scenario.call()
            except Timeout:
                armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            ended += 1
            scenario.check()
            gc.collect()
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    return ended


def forked(scenario: Scenario) -> bool:
    """Return whether a forked process does it too, and ends."""
    child = os.fork()
    if not child:
        code = 1
        try:
            scenario.prepare()
            scenario.call()
            scenario.check()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + 20
    while not (waited := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.002)
    if not waited[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return waited == (child, 0)


def by_threads(scenario: Scenario, seconds: float, seed: int = 1) -> int:
    """End what other threads do by exceptions at random instants; return how many.

    Raises:
        AssertionError: An answer was wrong, or something did not hold when they were gone.
    """
    random, done = Random(seed), threading.Event()
    ended: list[int] = []
    failures: list[BaseException] = []

    def work() -> None:
        while not done.is_set():
            try:
                while not done.is_set():
                    scenario.call()
            except Timeout:
                ended.append(1)
            except BaseException as error:  # noqa: BLE001  whatever it is, it should not have come
                failures.append(error)
                done.set()

    hook = threading.excepthook
    threading.excepthook = lambda _: None  # one that arrives outside of the call ends the thread
    threads = [threading.Thread(target=work) for _ in range(3)]
    gc.disable()  # what others do at a collection must not be ended
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and not failures:
        time.sleep(random.uniform(1e-4, 2e-3))
        ident = ctypes.c_ulong(random.choice(threads).ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Timeout))
    done.set()
    for thread in threads:
        thread.join()
    gc.enable()
    threading.excepthook = hook
    assert not failures, failures[0]
    for _ in range(100):  # what a thread that is gone has taken is not free at once
        scenario.prepare()
        scenario.call()
    scenario.check()
    return len(ended)


# ---- the command


def main(args: Sequence[str] | None = None) -> int:
    """Run all, print the result as Markdown, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reliability.exceptions", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60, help="of signals, and as many of threads, for each"
    )
    options = parser.parse_args(args)
    print("| What is done | bytecodes, each once | calls ended by a signal | by an exception in a thread |")
    print("|---|--:|--:|--:|")
    ways: tuple[Callable[[Scenario], int], ...] = (
        at_every_bytecode,
        partial(by_signals, seconds=options.seconds),
        partial(by_threads, seconds=options.seconds),
    )
    failures = []
    for kind in SCENARIOS:
        cells = []
        for way in ways:
            done = _tried(kind, way)
            cells.append(f"{done:,}" if isinstance(done, int) else "**failed**")
            if not isinstance(done, int):
                failures.append(f"{kind.__name__}: {done}")
        print(f"| {str(kind.__doc__).splitlines()[0]} | {' | '.join(cells)} |", flush=True)
    print("\n".join(["", "FAILED", *failures] if failures else ["", "All held."]))
    return 1 if failures else 0


def _tried(kind: type[Scenario], way: Callable[[Scenario], int]) -> int | AssertionError:
    with tempfile.TemporaryDirectory(prefix="exceptions-") as folder:
        scenario = kind(Path(folder))
        try:
            done = way(scenario)
            assert forked(scenario), "a forked process does not do it, or does not end"
        except AssertionError as error:
            return error
        return done


if __name__ == "__main__":
    sys.exit(main())
