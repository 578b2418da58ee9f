"""What do two threads gain that share one open bundle?"""

import threading
import zipfile
from collections.abc import Callable, Sequence

import sourcepack

from .harness import Cell, Column, Contender, Result, Table, measure, progress
from .workspace import Workspace, reading, shuffled

__all__ = ["run"]

_BUNDLES = ("js-many", "js-web")
_THREADS = (1, 2)


def run(work: Workspace) -> Result:
    """Measure the same reads by one thread and by two, of one pack and of one `ZipFile`."""
    tables = []
    for name in _BUNDLES:
        progress(f"  {name}")
        tables.append(_measure(work, name))
    return Result(
        question="threads",
        title="Threads that share one open bundle",
        method="""
            All files are read once by name, in one random order that is dealt out to the threads; a sample
            runs from the first thread's start to the last one's end. The threads share one pack, or one
            `ZipFile` (which locks itself). Nothing is done with what is read.
        """,
        quick=work.quick,
        bundles=work.origins(_BUNDLES),
        tables=tables,
    )


def _measure(work: Workspace, name: str) -> Table:
    pack = sourcepack.open(work.pack(name))
    bundle = zipfile.ZipFile(work.bundle(name).path)
    names = shuffled([entry.name for entry in pack.entries() if not entry.damage])
    amount = sum(pack[each].size for each in names) / 1e6
    contenders = []
    for threads in _THREADS:
        contenders += [
            Contender(name=f"zip {threads}", run=_dealt(bundle.read, names, threads)),
            Contender(name=f"pack {threads}", run=_dealt(lambda each: pack[each].read(), names, threads)),
            Contender(name=f"many {threads}", run=_read_many(pack, names, threads)),
        ]
    timings = measure(contenders, work.rounds(9 if amount > 20 else 25))
    rows: list[dict[str, Cell]] = [
        {
            "way": label,
            "threads": threads,
            "rate": timings.rate(f"{way} {threads}", amount),
            "scaling": timings.speed(f"{way} {threads}", f"{way} 1"),
            "zip": timings.speed(f"{way} {threads}", f"zip {threads}"),
        }
        for way, label in (
            ("zip", "one `ZipFile`"),
            ("pack", "one pack, `pack[name].read()`"),
            ("many", "one pack, `read_many(names, threads=N)`"),
        )
        for threads in _THREADS
    ]
    columns = [
        Column("way", "Way"),
        Column("threads", "Threads"),
        Column("rate", "MB/s", 0),
        Column("scaling", "Times one thread"),
        Column("zip", "Times the zip with as many threads"),
    ]
    return Table(title=f"{name}: {len(names):,} files, {amount:.1f} MB", columns=columns, rows=rows)


def _dealt(read: Callable[[str], object], names: Sequence[str], threads: int) -> Callable[[], None]:
    shares = [reading(read, names[number::threads]) for number in range(threads)]

    def run() -> None:
        workers = [threading.Thread(target=share) for share in shares]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return run


def _read_many(pack: sourcepack.Pack, names: Sequence[str], threads: int) -> Callable[[], object]:
    return lambda: pack.read_many(names, threads=threads)
