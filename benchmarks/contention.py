"""What do threads that share one open bundle cost each other, with and without Python work between reads?"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from .contenders import (
    Contender,
    Lmdb,
    MappedZipIsal,
    MappedZipLru,
    Pack,
    PackWithCache,
    SqliteZstd,
    Zip,
    ZipForEachThread,
)
from .harness import Cell, Column, Job, Result, Table, Target, Timings, measure, progress
from .read import ahead
from .workspace import (
    Crew,
    Workspace,
    able,
    one_each,
    percentiles,
    reading,
    run_once,
    shuffled,
    skipped_rows,
    stamped,
    together,
)

__all__ = ["run"]

_BUNDLE = "js-web"
_CONTENDERS: list[type[Contender]] = [
    Zip,
    ZipForEachThread,
    MappedZipIsal,
    MappedZipLru,
    Pack,
    PackWithCache,
    Lmdb,
    SqliteZstd,
]
_STEPS = 4000
_SMALL = 16 << 10
_STAMPED = 4


def run(work: Workspace) -> Result:
    """Measure reads of all files of one bundle by 1 to 8 threads, bare and with work after each."""
    tables = []
    targets: list[Target] = []
    for steps, label in ((0, "nothing"), (_STEPS, f"a Python loop of {_STEPS:,} steps")):
        progress(f"  {label} between reads")
        table, held = _measure(work, steps, label)
        tables.append(table)
        targets += held
    return Result(
        question="contention",
        title="Threads that share one open bundle",
        method=f"""
            Every thread reads files of {_BUNDLE}, of all sizes mixed (100 bytes to 8.4 MB), by name from
            one shared open bundle, or from what the contender gives each thread; all files once, in one
            random order dealt out to the threads. After each read a thread does nothing, or runs a loop of
            {_STEPS:,} steps in Python, which holds the interpreter's lock as a service's own code does.
            *Small files wait* is the 99th percentile of reads of files under {_SMALL >> 10} KiB: what a
            short read waits for others.
        """,
        quick=work.quick,
        bundles=work.origins([_BUNDLE]),
        tables=tables,
        targets=targets,
    )


def _measure(work: Workspace, steps: int, label: str) -> tuple[Table, list[Target]]:
    material = work.material(_BUNDLE)
    sizes = {name: len(content) for name, content in material.contents.items() if content}
    del material
    names = shuffled(sizes)
    small = [name for name in names if sizes[name] < _SMALL]
    jobs: list[Job] = []
    stamping: list[Job] = []
    stamps: dict[tuple[str, int], list[int]] = {}
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(work.threads[-1]))
        stores = stack.enter_context(work.opened(_BUNDLE, _CONTENDERS))
        for threads in work.threads:
            shares = [names[number::threads] for number in range(threads)]
            for store in stores:
                owned = one_each(stack, store, threads)
                jobs.append(
                    together(
                        f"{store.name}/{threads}",
                        crew,
                        [
                            reading(_with_work(own.get, steps), share)
                            for own, share in zip(owned, shares, strict=True)
                        ],
                    )
                )
                # One thread's short reads are timed while the others go on with everything.
                taken = stamps[store.name, threads] = []
                stamping.append(
                    together(
                        store.name,
                        crew,
                        [
                            stamped(_with_work(owned[0].get, 0), small, taken),
                            *(
                                reading(_with_work(own.get, steps), share)
                                for own, share in zip(owned[1:], shares[1:], strict=True)
                            ),
                        ],
                    )
                )
        timings = measure(jobs, work.rounds(7))
        for _ in range(work.rounds(_STAMPED)):
            for job in stamping:
                run_once(job)
    amount = sum(sizes.values()) / 1e6
    rows: list[dict[str, Cell]] = []
    for store in stores:
        for threads in work.threads:
            key = f"{store.name}/{threads}"
            rows.append(
                {
                    "way": store.name,
                    "threads": threads,
                    "reads": timings.rate(key, len(names)),
                    "zipfile": timings.speed(key, f"{Zip.name}/{threads}"),
                    "scaling": timings.speed(key, f"{store.name}/1"),
                    "p99": percentiles(stamps[store.name, threads])["p99"],
                }
            )
    table = Table(
        title=f"{label[0].upper()}{label[1:]} between reads: {len(names):,} files, {amount:.1f} MB",
        columns=[
            Column("way", "Way"),
            Column("threads", "Threads"),
            Column("reads", "Reads a second", 0),
            Column("zipfile", f"Times `{Zip.name}`"),
            Column("scaling", "Times one thread"),
            Column("p99", "Small files wait, µs", 0),
        ],
        rows=rows + skipped_rows(_CONTENDERS),
    )
    return table, _targets(label, timings, work.threads)


def _with_work(read: Callable[[str], object], steps: int) -> Callable[[str], object]:
    if not steps:
        return read

    def run(name: str) -> None:
        read(name)
        for _ in range(steps):
            pass

    return run


def _targets(label: str, timings: Timings, counts: Sequence[int]) -> list[Target]:
    contenders: Sequence[type[Contender]] = able(_CONTENDERS)
    return [
        target
        for ours in (Pack, PackWithCache)
        for threads in counts[1:]
        for target in ahead(f"{label}, {threads} threads", ours, contenders, timings, f"{threads}")
    ]
