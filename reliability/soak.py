"""Do memory and file descriptors stay flat, and all bytes right, while packs come and go for half an hour?

    python -m reliability.soak                     # 1,000 packs, 30 minutes; `just soak`
    python -m reliability.soak --packs 40 --seconds 4

Threads read from packs at random in every way that there is: through both caches, which evict all the
while, by packs of their own, by lookups that hit and miss, from zips, from files that are no packs; and
packs are replaced under them. All that is read is compared with what it must be. Threads work for a few
seconds, then they end and new ones take over, so that what belongs to a thread has to go with it. Between
two such rounds nothing is in use but what the caches keep; then memory and descriptors are counted.

What must hold, or the exit code is 1:

- no wrong answer, and no exception but those that are asked for;
- after each round, exactly one more descriptor than at the start for each pack that the cache keeps open;
- after the warm-up, the straight line through the samples (least squares) of resident and of anonymous
  memory, each, rises by no more than 4 MiB from the first to the last of them. (Private memory is shown only:
  it grows by the pages of libraries when another process that had them too ends.)

glibc keeps freed memory in one arena for each of many threads, and what it keeps creeps up for a long time.
That is no leak, and hides one: so `just soak` sets MALLOC_ARENA_MAX=1.
"""

import argparse
import itertools
import multiprocessing
import os
import pickle
import platform
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import srcpack
from srcpack import (
    ContentCache,
    DamagedMember,
    Entry,
    FormatError,
    NotFound,
    PackCache,
    PackSet,
    Resolved,
    SrcpackError,
)
from srcpack.rules.context import get_context

from .known import KnownBundle, KnownFile
from .samples import Sample, after_warm_up, as_row, as_table, descriptors, growths, take_sample

__all__ = ["Shape", "Soak", "main"]

_ROUND = 5.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is of everything.

    Attributes:
        packs: How many packs are read.
        threads: How many threads read them.
        seconds: How long.
        round: Seconds that a thread lives.
        seed: Of bundles and of what is asked for.
    """

    packs: int
    threads: int
    seconds: float
    round: float
    seed: int


class Soak:
    """A soak under way.

    Attributes:
        samples: What was counted after each round.
        asked: How often each thing was done.
        failures: What went wrong; empty if nothing did.
    """

    def __init__(self, folder: Path, shape: Shape) -> None:
        """Make the packs.

        Args:
            folder: An empty folder for them.
            shape: How many, and what is done.
        """
        self.samples: list[Sample] = []
        self.asked: Counter[str] = Counter()
        self.failures: list[str] = []
        self._shape = shape
        self._folder = folder
        self._bundles = [KnownBundle(number, shape.seed) for number in range(shape.packs)]
        _make(folder, shape)
        self._packs = PackCache(max(2, shape.packs // 8))
        # Of small files there are many more entries than bytes: both limits evict.
        self._contents = ContentCache(shape.packs * 16_000, max_entries=shape.packs * 2)
        self._names = itertools.count()
        self._asked_lock = threading.Lock()

    def run(self, tell: Callable[[str], None]) -> None:
        """Run round after round until the time is over or something is wrong."""
        before = descriptors()
        start = time.monotonic()
        for number in itertools.count():
            threads = [
                threading.Thread(target=self._work, args=(Random(f"{self._shape.seed} {number} {each}"),))
                for each in range(self._shape.threads)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            sample = take_sample(time.monotonic() - start, self.asked.total(), self._packs.statistics.open)
            self.samples.append(sample)
            if sample.descriptors != before + sample.kept:
                self.failures.append(
                    f"{sample.descriptors} descriptors: expected {before} as at the start, and "
                    f"{sample.kept} of packs kept"
                )
            if number % 12 == 0:
                tell(as_row(sample))
            if self.failures or sample.seconds >= self._shape.seconds:
                return

    # ---- what a thread does

    def _work(self, random: Random) -> None:
        end = time.monotonic() + self._shape.round
        asked: Counter[str] = Counter()
        names = [name for name, _ in _ACTIONS]
        weights = [weight for _, weight in _ACTIONS]
        try:
            while time.monotonic() < end and not self.failures:
                name = random.choices(names, weights)[0]
                getattr(self, name)(random)
                asked[name] += 1
        except BaseException:  # noqa: BLE001  whatever it is, it should not have come
            self.failures.append(traceback.format_exc())
        with self._asked_lock:
            self.asked += asked

    def _any(self, random: Random) -> tuple[KnownBundle, Path]:
        """Choose a bundle, some far more often than others, and give its pack."""
        bundle = self._bundles[int(len(self._bundles) * random.random() ** 3)]
        return bundle, self._pack(bundle)

    def _pack(self, bundle: KnownBundle) -> Path:
        return self._folder / f"{bundle.number}.srcpack"

    def read(self, random: Random) -> None:
        """Read a file through both caches."""
        bundle, path = self._any(random)
        file = random.choice(bundle.files)
        entry = self._packs.get(path)[file.name]
        _check(file, lambda: self._contents.read(entry))

    def lookup(self, random: Random) -> None:
        """Look up a file by each of its keys, and ask for what is not there."""
        bundle, path = self._any(random)
        file = random.choice(bundle.files)
        pack = self._packs.get(path)
        found = [pack.by_url(file.url), pack.by_path(file.path)]
        if file.debug_id:
            found.append(pack.by_debug_id(file.debug_id, file.type))
        for entry in found:
            _equal(entry.name if isinstance(entry, Entry) else None, file.name)
        _equal(pack.by_url(f"{file.url}x"), None)
        _equal(f"{random.random()}" in pack, False)
        try:
            pack["absent"]
        except NotFound:
            return
        raise AssertionError("absent")

    def part(self, random: Random) -> None:
        """Read a range, lines, a view, a file in pieces."""
        bundle, path = self._any(random)
        file = random.choice(bundle.files)
        content, entry = file.content(), self._packs.get(path)[file.name]
        _check(file, lambda: bytes(entry.view()))
        if file.kind == "damaged":
            return
        at, length = random.randrange(len(content) + 1), random.randrange(5000)
        _equal(entry.read_range(at, length), content[at : at + length])
        with entry.open() as reader:
            reader.seek(at)
            _equal(reader.readall(), content[at:])
        if file.kind == "text":
            line = random.randrange(1, entry.lines + 2)
            _equal(entry.context(line), get_context(content.decode(), line, 0, 5))

    def resolve(self, random: Random) -> None:
        """Find a frame's file among several packs, and read it through the cache."""
        chosen = [self._any(random) for _ in range(random.randrange(1, 6))]
        packs = PackSet([self._packs.get(path) for _, path in chosen], content_cache=self._contents)
        file = random.choice(random.choice(chosen)[0].files)
        found = packs.resolve(f"https://shop.example/{file.name}?v=2", file.debug_id, file.type)
        if file.kind in ("damaged", "noise"):
            _equal(found, None)  # a miss, as for symbolicator: neither can be read as text
        elif not isinstance(found, Resolved):
            raise AssertionError(f"{file.name} is not found")
        else:
            _equal(packs.read(found), file.content())

    def own(self, random: Random) -> None:
        """Open a pack, or a zip, for oneself; read some or all of it; close it, or just drop it."""
        bundle, path = self._any(random)
        how = random.choice(("mmap", "pread", "bytes", "zip"))
        if how == "zip":
            bundle = random.choice(self._bundles[:_ZIPS])
            pack = srcpack.open(self._folder / f"{bundle.number}.zip")
        elif how == "bytes":
            pack = srcpack.open(path.read_bytes())
        else:
            pack = srcpack.open(path, source="mmap" if how == "mmap" else "pread")
        for file in random.sample(bundle.files, random.randrange(len(bundle.files)) + 1):
            _check(file, pack[file.name].read)
        if random.random() < 0.5:
            pack.close()
            try:
                pack[bundle.files[0].name].read()
            except (ValueError, DamagedMember):
                return
            if how != "bytes" and bundle.files[0].kind != "empty":
                raise AssertionError("read of a closed pack")

    def listing(self, random: Random) -> None:
        """List a pack, and what begins with a prefix."""
        bundle, path = self._any(random)
        pack = self._packs.get(path)
        names = [file.name for file in bundle.files]
        _equal(list(pack), names)
        prefix = random.choice(names)[:-4]
        _equal([entry.name for entry in pack.find_prefix(prefix)], [n for n in names if n.startswith(prefix)])

    def many(self, random: Random) -> None:
        """Read many files of a pack with threads of the pack's."""
        bundle, path = self._any(random)
        files = [file for file in bundle.files if file.kind != "damaged"]
        random.shuffle(files)
        contents = self._packs.get(path).read_many([file.name for file in files], threads=2)
        _equal(contents, [file.content() for file in files])

    def pickled(self, random: Random) -> None:
        """Pickle an entry and read from what comes back."""
        bundle, path = self._any(random)
        file = random.choice(bundle.files)
        try:
            entry = pickle.loads(pickle.dumps(self._packs.get(path)[file.name]))
        except FormatError as error:
            if "another file since it was pickled" not in str(error):
                raise
            return  # it was replaced just now
        _check(file, entry.read)

    def verify(self, random: Random) -> None:
        """Check a whole pack."""
        _, path = self._any(random)
        _equal(srcpack.verify(self._packs.get(path)), [])

    def refused(self, random: Random) -> None:
        """Open and read what is damaged, cut, or no pack at all."""
        _, path = self._any(random)
        data = bytearray(path.read_bytes())
        at = random.randrange(len(data))
        data[at] ^= 1 << random.randrange(8)
        if random.random() < 0.3:
            del data[random.randrange(len(data)) :]
        wrong = self._folder / f"wrong-{next(self._names)}"
        wrong.write_bytes(data)
        try:
            pack = srcpack.open(wrong, source=random.choice(("mmap", "pread")))
            errors = srcpack.verify(pack)
        except SrcpackError:
            return
        finally:
            wrong.unlink()
        _equal(bool(errors), True)

    def replace(self, random: Random) -> None:
        """Rename another pack with the same answers over one."""
        number = random.randrange(min(_VARIANTS, len(self._bundles)))
        aside = self._folder / f"new-{next(self._names)}"
        shutil.copyfile(self._folder / f"{number}.{random.choice('ab')}", aside)
        os.replace(aside, self._pack(self._bundles[number]))


# How often each is done, of 100. The first bundles have a zip beside them, and packs to be replaced by.
_ACTIONS = (
    ("read", 40), ("lookup", 15), ("part", 12), ("resolve", 10), ("own", 8), ("listing", 4), ("many", 2),
    ("pickled", 3), ("verify", 1), ("refused", 3), ("replace", 2),
)  # fmt: skip
_ZIPS = 20
_VARIANTS = 30


def _equal(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"found {found!r:.300}, expected {expected!r:.300}")


# No context manager: since Python 3.12 contextlib's leaves a cycle where an error comes through: a pack
# that only the collector closes.
def _check(file: KnownFile, read: Callable[[], bytes]) -> None:
    """Compare what is read of a file with what it must be; one that is damaged has to be refused."""
    try:
        found = read()
    except DamagedMember:
        if file.kind != "damaged":
            raise
    else:
        _equal(file.kind == "damaged", False)
        _equal(found, file.content())


# ---- the packs


def _make(folder: Path, shape: Shape) -> None:
    # By processes that are gone when memory is counted; not forked, as there may be threads.
    tasks = [(folder, number, shape.seed) for number in range(shape.packs)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        list(executor.map(_make_one, tasks, chunksize=max(1, min(20, shape.packs // 4))))


def _make_one(task: tuple[Path, int, int]) -> None:
    folder, number, seed = task
    bundle = KnownBundle(number, seed)
    bundle.convert(folder / f"{number}.srcpack")
    if number < _ZIPS:
        (folder / f"{number}.zip").write_bytes(bundle.zip())
    if number < _VARIANTS:
        bundle.convert(folder / f"{number}.a", level=3)
        bundle.convert(folder / f"{number}.b", level=1, dictionary="off", frame_size=8192)


# ---- the command


def main(args: Sequence[str] | None = None) -> int:
    """Run a soak, print its result as Markdown, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reliability.soak", description="Soak the reader.")
    parser.add_argument("--packs", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    more = "4; a short run needs more, to fill caches"
    parser.add_argument("--most-growth", type=float, default=4, metavar="MIB", help=more)
    options = parser.parse_args(args)
    shape = Shape(
        options.packs, options.threads, options.seconds, min(_ROUND, options.seconds / 8), options.seed
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), shape)
        soak.run(lambda row: print(row, file=sys.stderr, flush=True))
    samples = after_warm_up(soak.samples)
    rises = growths(samples) if len(samples) > 1 else {}
    soak.failures += [
        f"{kind} memory rises by {rise / (1 << 20):.1f} MiB"
        for kind, rise in rises.items()
        if rise > options.most_growth * (1 << 20)
    ]
    if soak.samples:
        _print(soak, shape)
        rise = ", ".join(f"{kind} {rise / (1 << 20):+.2f} MiB" for kind, rise in rises.items())
        print(f"\nRise of the line through the {len(samples)} samples after the warm-up: {rise}.")
    print("\n".join(["", "FAILED", *soak.failures] if soak.failures else ["", "All held."]))
    return 1 if soak.failures else 0


def _print(soak: Soak, shape: Shape) -> None:
    done = soak.samples[-1]
    print(
        f"{shape.packs:,} packs, {shape.threads} threads at a time and {len(soak.samples):,} times others, "
        f"{done.seconds / 60:.1f} minutes, seed {shape.seed}; {platform.python_implementation()} "
        f"{platform.python_version()}, srcpack {srcpack.__version__}, "
        f"MALLOC_ARENA_MAX={os.environ.get('MALLOC_ARENA_MAX', '')}\n"
    )
    print(f"{done.reads:,} things done: {', '.join(f'{n} {count:,}' for n, count in soak.asked.items())}.\n")
    print("\n".join(as_table(soak.samples)))


if __name__ == "__main__":
    sys.exit(main())
