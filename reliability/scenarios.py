"""What `reliability.exceptions` ends by exceptions, and what must hold after each of them."""

import _thread
import io
import os
import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from random import Random

import zstandard

import srcpack
from srcpack import ContentCache, PackCache, PackSet, Resolved
from srcpack.caches import Generations, Shelf, Shelves
from srcpack.errors import MalformedSourceMap
from srcpack.format.zstd_frames import DICTIONARIES
from srcpack.resolve import LookupCache, lookup_cache
from srcpack.source.file_object import FileObjectSource
from support.minified import Minified
from support.sample_packs import sample_packs

from .known import text
from .scenario import Scenario, equal, open_in, packed

__all__ = ["SCENARIOS"]


class Contents(Scenario):
    """A cache of contents that evicts, and one that keeps all."""

    modules = ("/srcpack/resolve/content_cache.py",)

    def __init__(self, folder: Path) -> None:
        """Keep three of eight contents, of which two are equal, in one of the caches."""
        contents = {f"{number}": b"%d\n" % max(1, number) * 50 for number in range(8)}
        pack = packed(folder / "a.srcpack", contents)
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
            equal(cache.read(entry), content)
        assert self._small.statistics.bytes <= 300

    def check(self) -> None:
        """Read all and count."""
        for entry, content in self._wanted:
            for cache in (self._small, self._large):
                kept = cache.read(entry)
                equal(kept, content)
                assert cache.read(entry) is kept, "not kept"
            assert 100 <= self._small.statistics.bytes <= 300, self._small.statistics
        held = self._large.statistics
        equal((held.bytes, held.items), (700, 7))


class Packs(Scenario):
    """A cache of packs that evicts, and finds files replaced."""

    modules = ("/srcpack/resolve/pack_cache.py",)

    def __init__(self, folder: Path) -> None:
        """Keep two of four packs."""
        self._paths = [folder / f"{number}.srcpack" for number in range(4)]
        for number, path in enumerate(self._paths):
            packed(path, {"a": b"%d\n" % number})
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
            equal(self._cache.get(self._paths[number])["a"].read(), b"%d\n" % number)
        self._cache.statistics  # noqa: B018  it repairs what it finds

    def check(self) -> None:
        """Get all and count descriptors."""
        for number, path in enumerate(self._paths):
            pack = self._cache.get(path)
            equal(pack["a"].read(), b"%d\n" % number)
            assert self._cache.get(path) is pack
            assert len(self._cache._kept) <= 2, self._cache  # noqa: SLF001  `statistics` would repair it
        equal((self._cache.statistics.open, open_in(self._folder)), (2, 2))


class Kept(Scenario):
    """The caches of entries, blocks and dictionaries, which all packs share."""

    modules = ("/srcpack/caches.py",)

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
            equal(generations.get(number), 1)
            self._shelves.put(owners[number % 5], number, 1)
            equal(owners[number % 5].values[number], 1)
            _at_most_twice(owners)


class Opened(Scenario):
    """Packs that are opened, asked, mapped and read, a dictionary too."""

    modules = (
        "/srcpack/format/packfile.py",
        "/srcpack/format/zstd_frames.py",
        "/srcpack/source/local.py",
        "/srcpack/source/open_file.py",
    )

    def __init__(self, folder: Path) -> None:
        """Convert a bundle with a dictionary, and one that is mapped to be read."""
        self._path, self._raw = folder / "a.srcpack", folder / "raw.srcpack"
        self._contents = {f"{number:02}": text(number * 1000, 600) for number in range(20)}
        self._large = text(0, 300_000)
        samples: list[bytes | bytearray | memoryview] = [text(at * 500, 500) for at in range(100)]
        trained = zstandard.train_dictionary(4096, samples, k=64, d=8)
        packed(self._path, self._contents, dictionary=trained.as_bytes())
        packed(self._raw, {"a": self._large}, preset="raw")
        self._folder = folder

    def prepare(self) -> None:
        """Forget the dictionary."""
        DICTIONARIES.clear()

    def call(self) -> None:
        """Open, read and close."""
        with srcpack.open(self._path) as pack:
            entry = pack.by_url("~/07")
            assert isinstance(entry, srcpack.Entry)
            equal(entry.read(), self._contents["07"])
        equal(bytes(srcpack.open(self._raw)["a"].view()), self._large)
        equal(srcpack.open(self._path, source="pread")["08"].read(), self._contents["08"])

    def check(self) -> None:
        """Read all and count descriptors."""
        equal(open_in(self._folder), 0)
        pack = srcpack.open(self._path)
        for name in ("06", "07"):
            equal(pack[name].read(), self._contents[name])
        assert len(DICTIONARIES) in {2, 3}  # of the pack that brought it, what that one claims, and of others


class Read(Scenario):
    """A pack that stays open, mapped after a while, and the position of a file object."""

    modules = ("/srcpack/format/packfile.py", "/srcpack/source/local.py", "/srcpack/source/file_object.py")

    def __init__(self, folder: Path) -> None:
        """Open a pack of several frames."""
        self._path = folder / "a.srcpack"
        self._content = text(0, 40_000)
        packed(self._path, {"a": self._content}, frame_size=16_384)
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
        equal(entry.read(), self._content)
        equal(entry.read_range(16_000, 1000), self._content[16_000:17_000])
        assert entry.context(100) is not None
        with entry.open() as file:
            equal(file.readall(), self._content)
        equal(bytes(entry.view()), self._content)
        equal(self._source.read(1000, 1000), self._content[1000:2000])

    def check(self) -> None:
        """Read again."""
        equal(self._pack["a"].read(), self._content)
        equal(self._source.read(10, 10), self._content[10:20])
        equal(open_in(self._folder), 1)


class Found(Scenario):
    """A set of packs that is asked for files, natively and for JavaScript, and reads them."""

    modules = ("/srcpack/format/directory.py",)

    def __init__(self, folder: Path) -> None:
        """Convert two bundles, one of which has the file."""
        self._paths = [folder / "a.srcpack", folder / "b.srcpack"]
        packed(self._paths[0], {"b.js": b"b\n"})
        packed(self._paths[1], {"a.js": b"a\n"})
        self._packs: list[srcpack.Pack] = []

    def prepare(self) -> None:
        """Open them anew."""
        self._packs = [srcpack.open(path) for path in self._paths]

    def call(self) -> None:
        """Find a file by URL and by path, and read it."""
        packs = PackSet(self._packs or [srcpack.open(path) for path in self._paths])
        for found in (packs.resolve("https://host/a.js?x"), packs.source_by_path("/a.js")):
            assert isinstance(found, srcpack.Resolved), "a miss"
            equal(packs.read(found), b"a\n")
        equal(packs.errors, 0)

    def check(self) -> None:
        """Find it again."""
        self.call()


class Looked(Scenario):
    """A pack with a lookup table of many blocks, asked for positions and the lines around them."""

    modules = ("/srcpack/format/lookup_section.py",)

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
        equal(self._asked(self._pack), self._right)

    def check(self) -> None:
        """Ask again."""
        self.call()
        equal(open_in(self._folder), 1)

    def _asked(self, pack: srcpack.Pack) -> list[object]:
        entry = pack["m/m.js"]
        places = [entry.original(line, column) for line, column in ((1, 1), (6, 200), (1, 9))]
        # What is kept holds no pack open.
        return [place and (place.source, place.line, place.name, place.context(1)) for place in places]


class Lookups(Scenario):
    """A cache of lookups that has room for two of three, and a map that is refused."""

    modules = ("/srcpack/resolve/lookup_cache.py",)

    def __init__(self, folder: Path) -> None:
        """Convert minified files with their maps, which say different things of one place."""
        self._folder = folder
        self._process, self._threads = os.getpid(), _thread._count()  # noqa: SLF001  counts those of C too
        self._found: list[tuple[Resolved, Resolved]] = []
        for number in range(4):
            minified = Minified({"a.ts": None})
            minified.add("x", (number + 1, 1))
            source_map = minified.map() if number < 3 else b'{"mappings":"*"}'
            pack = packed(
                folder / f"{number}.srcpack", {"a.js": minified.text.encode(), "a.js.map": source_map}
            )
            script, mapped = (Resolved.of(pack[name], "url", None, None) for name in ("a.js", "a.js.map"))
            self._found.append((script, mapped))
        size = LookupCache(1 << 20).get(*self._found[0], _content).size
        self._cache = LookupCache(2 * size + lookup_cache._REFUSED_SIZE)  # noqa: SLF001

    def prepare(self) -> None:
        """Drop all lookups."""
        if self._process != os.getpid():
            self._process, self._threads = os.getpid(), _thread._count()  # noqa: SLF001
        self._cache.clear()

    def call(self) -> None:
        """Build, find built, be refused."""
        for number in (0, 0, 3):
            self._ask(number)
        assert self._cache.statistics.hits

    def check(self) -> None:
        """Once the work that nobody waits for is done, ask for all twice; one is evicted for the next."""
        self._wait()
        for number in range(4):
            self._ask(number)
            built = self._cache.statistics.builds
            self._ask(number)
            equal(self._cache.statistics.builds, built)
        self._wait()
        assert self._cache.statistics.bytes <= self._cache.max_bytes, self._cache.statistics
        assert not self._cache._tasks, "a task is never done"  # noqa: SLF001  there is no other sign of it
        assert not lookup_cache._starting.locked(), "threads cannot be started"  # noqa: SLF001
        equal(threading.stack_size(), 0)
        equal(open_in(self._folder), 4)

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while _thread._count() > self._threads:  # noqa: SLF001
            assert time.monotonic() < end, "a lookup is built for ever"
            time.sleep(0.0002)

    def _ask(self, number: int) -> None:
        try:
            token = self._cache.get(*self._found[number], _content).token(1, 1)
        except MalformedSourceMap:
            equal(number, 3)
        else:
            equal(token and token.position.line, number + 1)


def _content(found: Resolved) -> bytes:
    return found.entry.read()


def _at_most_twice(owners: Sequence[Shelf[int, int]]) -> None:
    kept = sum(sum(owner.values.values()) for owner in owners)
    assert kept <= 40, f"shelves keep {kept}"


SCENARIOS: tuple[type[Scenario], ...] = (Contents, Packs, Kept, Opened, Read, Found, Looked, Lookups)
