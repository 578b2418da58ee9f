"""What the questions share: bundles, files made of them, checked contenders, threads, the floors."""

import gc
import itertools
import mmap
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import zstandard

import srcpack
from srcpack.opening import packfile_of

from .contenders import Contender, check
from .formats import FORMATS, Material, load
from .harness import Cell, Job, progress
from .workloads import Bundle, find_bundle

__all__ = [
    "BareLoop",
    "Copies",
    "Crew",
    "Workspace",
    "able",
    "one_each",
    "percentiles",
    "reading",
    "run_once",
    "shuffled",
    "skipped_rows",
    "stamped",
    "together",
]

_QUICK_SCALE = 0.1


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder for a run, with the bundles and files that were asked for so far.

    Attributes:
        folder: Of its own, removed after the run.
        quick: Whether to only show that everything works: small bundles, few rounds.
        generated: Take generated bundles even where there are real ones.
        most_rounds: Most samples of anything, if a run must be short.
    """

    folder: Path
    quick: bool = False
    generated: bool = False
    most_rounds: int | None = None
    _bundles: dict[str, Bundle] = field(default_factory=dict)

    def bundle(self, name: str) -> Bundle:
        """Return a workload's bundle."""
        if name not in self._bundles:
            self._bundles[name] = find_bundle(
                name,
                self.folder,
                scale=_QUICK_SCALE if self.quick else 1.0,
                generated=self.generated or self.quick,
            )
        return self._bundles[name]

    def add(self, name: str, make: Callable[[Path], object]) -> Bundle:
        """Return a bundle that `make` writes into the folder where it is not there yet."""
        if name not in self._bundles:
            path = self.folder / f"{name}.zip"
            make(path)
            self._bundles[name] = Bundle(name, path, "generated")
        return self._bundles[name]

    def file(self, name: str, form: str) -> Path:
        """Return a workload's bundle in one of `FORMATS`."""
        if form == "zip":
            return self.bundle(name).path
        path = self.folder / f"{name}.{form.replace(', ', '-').replace(' ', '-')}"
        if not path.exists():
            start = time.perf_counter()
            FORMATS[form].make(self.bundle(name).path, path)
            if (seconds := time.perf_counter() - start) > 1:
                progress(f"  {name} as {form}: made in {seconds:.0f} s")
        return path

    def pack(self, name: str) -> Path:
        """Return a pack of a workload's bundle, of the default preset."""
        return self.file(name, "pack")

    def material(self, name: str) -> Material:
        """Return what a workload's bundle holds."""
        return load(self.bundle(name).path)

    @contextmanager
    def opened(
        self, name: str, contenders: Iterable[type[Contender]], *, most: int | None = None
    ) -> Iterator[list[Contender]]:
        """Open those contenders that can run here, each checked: `most` files of it, or all."""
        material = self.material(name)
        stores: list[Contender] = []
        try:
            for contender in able(contenders):
                contender.forget()
                store = contender(self.file(name, contender.format))
                stores.append(store)
                check(store, material, most=most)
            del material
            yield stores
        finally:
            for store in stores:
                store.close()

    def chosen(self, names: Sequence[str]) -> Sequence[str]:
        """Return the workloads to measure of these: all, or two in a quick run."""
        return [names[0], names[-1]] if self.quick else names

    def rounds(self, full: int) -> int:
        """Return how many rounds to measure."""
        most = 1 if self.quick else self.most_rounds
        return full if most is None else min(full, most)

    @property
    def threads(self) -> tuple[int, ...]:
        """Numbers of threads to measure."""
        return (1, 2) if self.quick else (1, 2, 8)

    def origins(self, names: Sequence[str]) -> dict[str, str]:
        """Return whether the bundles of such names are real or generated."""
        return {name: self.bundle(name).origin for name in names}


def able(contenders: Iterable[type[Contender]]) -> list[type[Contender]]:
    """Return those that can run here."""
    return [each for each in contenders if each.skipped() is None]


def skipped_rows(contenders: Iterable[type[Contender]], key: str = "way") -> list[dict[str, Cell]]:
    """Return a row without figures for each contender that cannot run here, which says why."""
    return [{key: f"{each.name} (skipped: {why})"} for each in contenders if (why := each.skipped())]


def one_each(stack: ExitStack, store: Contender, threads: int) -> list[Contender]:
    """Return what each thread is to use; what is not shared is closed with the stack."""
    owned = [store, *(store.own() for _ in range(1, threads))]
    for each in owned:
        if each is not store:
            stack.callback(each.close)
    return owned


def shuffled(names: Iterable[str], seed: int = 7) -> list[str]:
    """Return names in an order that is random, and the same each time."""
    names = sorted(names)
    random.Random(seed).shuffle(names)
    return names


# ---- threads


class Crew:
    """Threads that live on and work side by side, so that what a thread keeps is there the next time."""

    def __init__(self, threads: int) -> None:
        self._queues: list[SimpleQueue[Callable[[], object] | None]] = [SimpleQueue() for _ in range(threads)]
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        for queue in self._queues:
            threading.Thread(target=self._work, args=(queue,), daemon=True).start()

    def run(self, tasks: Sequence[Callable[[], object]]) -> None:
        """Give each thread a task, as far as there are tasks, and wait until all are done.

        Raises:
            BaseException: What a task raised.
        """
        for queue, task in zip(self._queues, tasks, strict=False):
            queue.put(task)
        errors = [self._done.get() for _ in tasks]
        for error in errors:
            if error is not None:
                raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for queue in self._queues:
            queue.put(None)

    def _work(self, queue: "SimpleQueue[Callable[[], object] | None]") -> None:
        while (task := queue.get()) is not None:
            try:
                task()
            except BaseException as error:  # noqa: BLE001  told to the thread that measures
                self._done.put(error)
            else:
                self._done.put(None)
            del task


def together(name: str, crew: Crew, tasks: Sequence[Callable[[], object]]) -> Job:
    """Return a job of tasks that run side by side, until the last one has ended."""
    return Job(name=name, run=lambda: crew.run(tasks))


def reading(read: Callable[[str], object], names: Sequence[str]) -> Callable[[], None]:
    """Return a function that reads all of the names, one after the other."""

    def run() -> None:
        for name in names:
            read(name)

    return run


def stamped(
    read: Callable[[str], object], names: Sequence[str], nanoseconds: list[int]
) -> Callable[[], None]:
    """Return the same with the time that each read takes appended to a list."""

    def run() -> None:
        clock = time.perf_counter_ns
        for name in names:
            start = clock()
            read(name)
            nanoseconds.append(clock() - start)

    return run


def run_once(job: Job) -> None:
    """Do a job once, untimed and with no collection of garbage in it."""
    gc.collect()
    gc.disable()
    try:
        job.run()
    finally:
        gc.enable()


def percentiles(nanoseconds: Sequence[int]) -> dict[str, Cell]:
    """Return p50, p99 and p99.9 in microseconds; None where there are too few samples to tell."""
    values = sorted(nanoseconds)
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    return {
        key: values[int(share * len(values))] / 1e3 if len(values) * (1 - share) >= 1 else None
        for key, share in shares.items()
    }


# ---- floors


class BareLoop:
    """The floor: frames of a pack decoded by one `ZstdDecompressor` from slices of one map, nothing checked.

    Where they lie is worked out before; libzstd still checks each frame's own checksum.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with srcpack.open(path) as pack:
            records = [pack[name].record for name in names]
            dictionary = (
                packfile_of(pack).dictionary().data if packfile_of(pack).tail.dictionary_size else None
            )
        self._frames = [
            (frame.offset, frame.offset + frame.length, record.raw)
            for record in records
            for frame in record.frames
        ]
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)

    def run(self) -> None:
        """Decode all frames, one after the other."""
        mapped, decompress = self._map, self._decompressor.decompress
        for start, end, raw in self._frames:
            if raw:
                mapped[start:end]
            else:
                decompress(mapped[start:end])


class Copies:
    """The floor below that: the decoded bytes, already in memory, copied."""

    def __init__(self, contents: Sequence[bytes]) -> None:
        self._whole = b"".join(contents)
        ends = [0]
        for content in contents:
            ends.append(ends[-1] + len(content))
        self._places = list(itertools.pairwise(ends))

    def run(self) -> None:
        """Copy all contents, one after the other."""
        whole = self._whole
        for start, end in self._places:
            whole[start:end]
