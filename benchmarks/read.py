"""How fast are files read by name, in random order, by one thread and by several that share a bundle?"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .contenders import (
    ALL,
    Contender,
    MappedZipStream,
    MappedZipZstd,
    Pack,
    PackWithCache,
    SqliteArchive,
    Zip,
    ZipBehindMutex,
    ZipForEachEvent,
    ZipZstd,
)
from .formats import load
from .harness import Cell, Column, Job, Result, Table, Target, Timings, measure, progress
from .workspace import (
    BareLoop,
    Copies,
    Crew,
    Workspace,
    one_each,
    percentiles,
    reading,
    run_once,
    shuffled,
    skipped_rows,
    stamped,
    together,
)

__all__ = ["ahead", "run"]

_LEFT_OUT = (ZipForEachEvent, MappedZipStream, ZipBehindMutex, ZipZstd, MappedZipZstd, SqliteArchive)
"""What is for other work, and what nobody decides by: it is always behind one of the same kind."""

_CONTENDERS = [each for each in ALL if each not in _LEFT_OUT]


@dataclass(frozen=True, slots=True)
class _Group:
    """Files of about one size.

    Attributes:
        title: What they are.
        bundle: Workload that they are of.
        sizes: Least and most bytes.
        most: How many are read in a sample.
        rounds: How many samples.
        stamped: How many passes with each read timed by itself.
        bare: Least share of the bare loop's speed.
        scaling: Least that two threads are to gain.
    """

    title: str
    bundle: str
    sizes: tuple[int, int]
    most: int
    rounds: int
    stamped: int
    bare: float
    scaling: float | None


_GROUPS: Mapping[str, _Group] = {
    "small": _Group("up to 8 KiB", "js-many", (1, 8 << 10), 3000, 7, 1, 0.8, None),
    "medium": _Group("16 to 512 KiB", "js-web", (16 << 10, 512 << 10), 120, 7, 2, 0.9, 1.9),
    "large": _Group("1 to 8.4 MB", "js-web", (1_000_000, 9_000_000), 6, 5, 3, 0.9, 1.9),
}


def run(work: Workspace) -> Result:
    """Measure every contender on small, medium and large files, with 1, 2, 4 and 8 threads."""
    tables: list[Table] = []
    targets: list[Target] = []
    for name, group in _GROUPS.items():
        if work.quick and name == "medium":
            continue
        progress(f"  {name} files")
        of_group, held = _measure(work, name, group)
        tables.append(of_group)
        targets += held
    bundles = sorted({group.bundle for group in _GROUPS.values()})
    return Result(
        question="read",
        title="Random reads by name, by 1, 2, 4 and 8 threads",
        method=f"""
            Files of {_sizes()} are read whole by name. A sample reads each {work.threads[-1]} times: each of
            N threads reads all of them {work.threads[-1]}/N times, in one random order, the same each time,
            and they begin at places as far apart as there are. Threads share one open bundle, or have what
            the contender gives each thread (opened before). They live on from sample to sample; a sample
            runs until the last one has ended; nothing is done with what is read. `read_many` reads the same
            files as often, each time with threads of its own, and holds all of them until it returns. All is
            in the page cache, and was read before
            by the same contender: decoded files are kept by those that keep them, if they fit. The *bare
            loop* decodes the pack's frames in the same order, with a `ZstdDecompressor` for each thread,
            from slices of one map: where each frame lies is worked out before, nothing but libzstd's own
            checksum is checked, and nothing is looked up. *memcpy* copies the decoded bytes, already in
            memory. Percentiles are of single reads, timed in passes of their own, taken in turns too; a
            percentile is given where at least one read in it lies above it.
        """,
        quick=work.quick,
        bundles=work.origins(bundles),
        tables=tables,
        targets=targets,
    )


def _sizes() -> str:
    return ", ".join(f"{group.title} ({name}, from {group.bundle})" for name, group in _GROUPS.items())


def _measure(work: Workspace, label: str, group: _Group) -> tuple[Table, list[Target]]:
    material = load(work.bundle(group.bundle).path)
    least, most = group.sizes if not work.quick else (group.sizes[0] // 10, group.sizes[1])
    fitting = [name for name, content in material.contents.items() if least <= len(content) <= most]
    names = shuffled(fitting)[: group.most // 5 if work.quick and group.most > 5 else group.most]
    passes = work.threads[-1]  # as long for any number of threads, and long beside the start of a thread
    amount = passes * sum(len(material.contents[name]) for name in names) / 1e6
    contents = {name: material.contents[name] for name in names}
    del material
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(work.threads[-1]))
        stores = stack.enter_context(work.opened(group.bundle, _CONTENDERS))
        jobs: list[Job] = []
        stamps: dict[tuple[str, int], list[int]] = {}
        stamping: list[Job] = []
        for threads in work.threads:
            starts = [number * len(names) // threads for number in range(threads)]
            shares = [[*names[start:], *names[:start]] * (passes // threads) for start in starts]
            jobs += _floors(crew, work.pack(group.bundle), shares, contents, threads)
            for store in stores:
                owned = one_each(stack, store, len(shares))
                jobs.append(
                    together(
                        f"{store.name}/{threads}",
                        crew,
                        [reading(own.get, share) for own, share in zip(owned, shares, strict=True)],
                    )
                )
                taken = stamps[store.name, threads] = []
                stamping.append(
                    together(
                        f"{store.name}/{threads}",
                        crew,
                        [stamped(own.get, share, taken) for own, share in zip(owned, shares, strict=True)],
                    )
                )
                if type(store) is Pack:
                    run = _read_many(store, names, threads, passes)
                    jobs.append(Job(name=f"read_many/{threads}", run=run))
        timings = measure(jobs, work.rounds(group.rounds))
        for _ in range(work.rounds(group.stamped)):
            for job in stamping:
                run_once(job)
    rows: list[dict[str, Cell]] = [
        {
            "way": _LABELS.get(way, way),
            "threads": threads,
            "rate": timings.rate(f"{way}/{threads}", amount),
            "each": timings.each(f"{way}/{threads}", 1e-6 * len(names) * passes),
            "zipfile": timings.speed(f"{way}/{threads}", f"{Zip.name}/{threads}"),
            "bare": timings.speed(f"{way}/{threads}", f"bare/{threads}"),
            "scaling": timings.speed(f"{way}/{threads}", f"{way}/1"),
            **(percentiles(stamps[way, threads]) if (way, threads) in stamps else {}),
        }
        for way in ("memcpy", "bare", *(store.name for store in stores), "read_many")
        for threads in work.threads
    ]
    table = Table(
        title=f"{label}: {len(names):,} files, {amount / passes:.1f} MB",
        columns=[
            Column("way", "Way"),
            Column("threads", "Threads"),
            Column("rate", "MB/s", 0),
            Column("each", "µs a file", 1),
            Column("zipfile", f"Times `{Zip.name}`"),
            Column("bare", "Share of the bare loop", 3),
            Column("scaling", "Times one thread"),
            Column("p50", "p50, µs", 1),
            Column("p99", "p99, µs", 1),
            Column("p999", "p99.9, µs", 1),
        ],
        rows=rows + skipped_rows(_CONTENDERS),
    )
    return table, _targets(label, group, timings, [type(store) for store in stores], work.threads)


_LABELS = {"bare": "bare loop", "read_many": "pack, read_many"}


def _targets(
    label: str,
    group: _Group,
    timings: Timings,
    contenders: Sequence[type[Contender]],
    counts: Sequence[int],
) -> list[Target]:
    targets = [
        target
        for ours in (Pack, PackWithCache)
        for threads in counts
        for target in ahead(f"{label} files, {threads} at once", ours, contenders, timings, f"{threads}")
    ]
    targets.append(
        Target(
            claim=f"{label} files, 1 at once: pack, speed as a share of the bare loop's",
            value=timings.speed("pack/1", "bare/1"),
            kind="at least",
            bound=group.bare,
        )
    )
    if group.scaling is not None:
        targets.append(
            Target(
                claim=f"{label} files: pack, two threads, times one",
                value=timings.speed("pack/2", "pack/1"),
                kind="at least",
                bound=group.scaling,
            )
        )
    return targets


def ahead(
    what: str, ours: type[Contender], contenders: Sequence[type[Contender]], timings: Timings, case: str
) -> list[Target]:
    """Return the target that one of ours is ahead of all that compress, and keep decoded files if it does.

    Args:
        what: What was done, for the claim.
        ours: The one of ours.
        contenders: All that were timed; none if there is nothing to compare with.
        timings: With a job for each contender's name, a slash and the case.
        case: What was timed.
    """
    others = [
        each
        for each in contenders
        if each.compresses() and each.caches == ours.caches and not issubclass(each, Pack)
    ]
    if not others:
        return []
    best = min(others, key=lambda each: timings.each(f"{each.name}/{case}").median)
    return [
        Target(
            claim=f"{what}: {ours.name}, times as fast as {best.name}",
            value=timings.speed(f"{ours.name}/{case}", f"{best.name}/{case}"),
            kind="at least",
            bound=1,
        )
    ]


def _floors(
    crew: Crew,
    path: Path,
    shares: Sequence[Sequence[str]],
    contents: Mapping[str, bytes],
    threads: int,
) -> list[Job]:
    return [
        together(
            f"memcpy/{threads}", crew, [Copies([contents[name] for name in share]).run for share in shares]
        ),
        together(f"bare/{threads}", crew, [BareLoop(path, share).run for share in shares]),
    ]


def _read_many(store: Pack, names: Sequence[str], threads: int, passes: int) -> Callable[[], object]:
    def run() -> None:
        for _ in range(passes):
            store.pack.read_many(names, threads=threads)

    return run
