"""How fast is conversion, beside a bare zstd loop over the same contents?"""

from collections.abc import Callable
from pathlib import Path

import srcpack
from srcpack.bundle.members import SourceBundle
from srcpack.errors import DamagedMember, NotFound
from srcpack.opening import packfile_of
from srcpack.rules.content_facts import facts_of
from srcpack_convert.one.compress import Compression
from srcpack_convert.one.convert import convert
from srcpack_convert.one.dictionary import choose_dictionary
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS

from .harness import Cell, Column, Job, Result, Spread, Table, Target, Timings, measure, progress
from .workspace import Workspace

__all__ = ["run"]

_BUNDLES = ("js-many", "js-web", "jvm-junit4", "native-lua", "native-zstd")
_LEAST_OF_BARE = 0.75
_LEAST_OF_ONE_JOB = 1.7
_JOBS = (1, 2)


def run(work: Workspace) -> Result:
    """Measure conversion with the default preset, what its parts take, and the bare loop."""
    rates: list[dict[str, Cell]] = []
    phases: list[dict[str, Cell]] = []
    targets = []
    names = work.chosen(_BUNDLES)
    for name in names:
        progress(f"  {name}")
        amount, timings = _measure(work, name)
        row: dict[str, Cell] = {"bundle": name, "size": amount, "bare": timings.rate("bare", amount)}
        for jobs in _JOBS:
            share = timings.speed(f"jobs {jobs}", "bare")
            row |= {
                f"rate{jobs}": timings.rate(f"jobs {jobs}", amount),
                f"share{jobs}": share,
            }
            if jobs == 1:
                row["cpu"] = timings.cpu_speed("jobs 1", "bare")
        targets += [
            Target(
                claim=f"{name}: rate with one job as a share of the bare loop's",
                value=timings.speed("jobs 1", "bare"),
                kind="at least",
                bound=_LEAST_OF_BARE,
            ),
            Target(
                claim=f"{name}: rate with two jobs, times that with one",
                value=timings.speed("jobs 2", "jobs 1"),
                kind="at least",
                bound=_LEAST_OF_ONE_JOB,
            ),
        ]
        rates.append(row)
        phases.append({"bundle": name, **_phases(timings)})
    rate_columns = [
        Column("bundle", "Bundle"),
        Column("size", "MB of distinct contents", 1),
        Column("bare", "Bare loop, MB/s", 1),
    ]
    for jobs in _JOBS:
        rate_columns += [
            Column(f"rate{jobs}", f"jobs={jobs}, MB/s", 1),
            Column(f"share{jobs}", f"jobs={jobs}, share of the bare loop", 3),
        ]
    rate_columns.append(Column("cpu", "jobs=1, share by processor time", 3))
    return Result(
        question="convert",
        title="Conversion, beside a bare zstd loop",
        method=f"""
            Each bundle is converted with the preset `{DEFAULT_PRESET}` from the zip to a checked, flushed
            and renamed pack. The bare loop compresses the same distinct contents, already in memory, in the
            same parts, with the same dictionary and levels, by `ZstdCompressor`s with checksums that have
            digested the dictionary before; it reads, finds out, checks and writes nothing. Both in one
            process, in turns.
        """,
        quick=work.quick,
        bundles=work.origins(names),
        tables=[
            Table(title="Rates", columns=rate_columns, rows=rates),
            Table(
                title="Where the time goes, jobs=1, milliseconds",
                note="""
                    The first five are run by themselves, as conversion calls them. *Check* is what a
                    conversion takes longer than one with `verify=False`. *Rest* is what that one takes
                    longer than the five: hashing and writing the pack, manifest, index, flush to the disk,
                    Python between the calls.
                """,
                columns=[
                    Column("bundle", "Bundle"),
                    Column("whole", "Whole", 0),
                    *(Column(key, heading, 1) for key, heading, _ in _PHASES),
                    Column("check", "Check", 1),
                    Column("rest", "Rest", 1),
                ],
                rows=phases,
            ),
        ],
        targets=targets,
    )


_PHASES = (
    ("open", "Open the zip", "open"),
    ("dictionary", "Dictionary", "dictionary"),
    ("inflate", "Inflate", "inflate"),
    ("facts", "SHA-256, lines, references", "facts"),
    ("compress", "Compress", "bare"),
)
"""Column, its heading, contender."""


def _phases(timings: Timings) -> dict[str, Cell]:
    parts = [timings.seconds[contender] for _, _, contender in _PHASES]
    rest = [
        whole - sum(of_round) for whole, *of_round in zip(timings.seconds["unchecked"], *parts, strict=True)
    ]
    return {
        "whole": timings.each("jobs 1", 1e-3),
        **{key: timings.each(contender, 1e-3) for key, _, contender in _PHASES},
        "check": timings.gap("jobs 1", "unchecked", 1e-3),
        "rest": Spread.of(seconds * 1e3 for seconds in rest),
    }


def _measure(work: Workspace, name: str) -> tuple[float, Timings]:
    """Return the MB of distinct contents of a bundle, and the timings."""
    preset = PRESETS[DEFAULT_PRESET]
    level = preset.level or 1
    path = work.bundle(name).path
    target = work.folder / "converted.srcpack"
    with srcpack.open(work.pack(name)) as pack:
        dictionary = packfile_of(pack).dictionary().data if packfile_of(pack).tail.dictionary_size else None
    bundle = SourceBundle(path)
    contents = _contents(bundle)
    distinct = list(dict.fromkeys(filter(None, contents.values())))
    parts = [
        memoryview(content)[at : at + preset.frame_size]
        for content in distinct
        for at in range(0, len(content), preset.frame_size)
    ]
    compression = Compression(level, dictionary, large_level=preset.large_level, frame_size=preset.frame_size)
    names = sorted(contents)
    files = bundle.manifest.files

    def find_facts() -> None:
        for member, content in contents.items():
            info = files.get(member)
            facts_of(content, info.type if info else None, dict(info.headers or ()) if info else {})

    def compress() -> None:
        compression.compress(parts)

    def inflate() -> None:
        for member in names:
            bundle.read(member)

    contenders = [
        *(Job(name=f"jobs {jobs}", run=_conversion(path, target, jobs=jobs, verify=True)) for jobs in _JOBS),
        Job(name="bare", run=compress),
        Job(name="unchecked", run=_conversion(path, target, jobs=1, verify=False)),
        Job(name="open", run=lambda: SourceBundle(path).close()),
        Job(
            name="dictionary",
            run=lambda: choose_dictionary(
                bundle, names, preset.dictionary, level=level, frame_size=preset.frame_size
            ),
        ),
        Job(name="inflate", run=inflate),
        Job(name="facts", run=find_facts),
    ]
    timings = measure(contenders, work.rounds(7))
    bundle.close()
    return sum(map(len, distinct)) / 1e6, timings


def _contents(bundle: SourceBundle) -> dict[str, bytes]:
    contents = {}
    for member in sorted(bundle.members):
        try:
            contents[member] = bundle.read(member)
        except (DamagedMember, NotFound):
            continue
    return contents


def _conversion(src: Path, dst: Path, *, jobs: int, verify: bool) -> Callable[[], object]:
    return lambda: convert(src, dst, jobs=jobs, verify=verify, force=True)
