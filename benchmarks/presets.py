"""What does each preset give, and why has it these values?"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import zstandard

from srcpack.bundle.members import SourceBundle
from srcpack_convert.one.dictionary import BYTES_PER_BYTE, pack_dictionary, train
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS, Preset

from .harness import ROOT, Cell, Column, Result, Spread, Table, Target, progress
from .workspace import Workspace

__all__ = ["run"]

_BUNDLES = ("js-many", "js-web", "jvm-junit4", "native-lua", "native-zstd")
_JOBS = (1, 2)
_TARGETS = {
    "compact": {"js-many": 0.63, "jvm-junit4": 0.63, "native-lua": 0.83, "js-web": 0.90},
    "max": {"js-many": 0.575, "jvm-junit4": 0.60, "native-lua": 0.79, "js-web": 0.82},
}
_LEVELS = (3, 5, 6, 9, 11, 12, 13, 15, 19)
_DICTIONARIES = (0, 64, 96, 126, 160, 192, 256, 512)
"""In KiB."""
_SWEPT = {
    "js-many": _DICTIONARIES,
    "js-web": (0, 126, 256),  # its many large files would take ten minutes with all
    "jvm-junit4": _DICTIONARIES,
    "native-lua": _DICTIONARIES,
}
_SLICES = 3
_PASSES_UP_TO = 20_000_000


def run(work: Workspace) -> Result:
    """Measure the presets on each bundle, and sweep levels and dictionary sizes."""
    rows: list[dict[str, Cell]] = []
    targets = []
    names = work.chosen(_BUNDLES)
    for name in names:
        progress(f"  {name}")
        for preset, row in _presets(work, name):
            rows.append({"bundle": name, "preset": preset, **row})
            bound = _TARGETS.get(preset, {}).get(name)
            ratio = row["ratio"]
            if bound is not None and isinstance(ratio, float):
                claim = f"{name}, preset `{preset}`: pack as a share of the zip"
                targets.append(Target(claim=claim, value=ratio, kind="at most", bound=bound))
    columns = [
        Column("bundle", "Bundle"),
        Column("preset", "Preset"),
        Column("ratio", "Pack / zip", 4),
        Column("size", "Pack, bytes"),
        Column("dictionary", "Dictionary, bytes"),
    ]
    for jobs in _JOBS:
        columns += [
            Column(f"seconds{jobs}", f"jobs={jobs}, s"),
            Column(f"peak{jobs}", f"jobs={jobs}, peak MB", 0),
        ]
    tables = [Table(title="Presets", columns=columns, rows=rows)]
    for name, dictionaries in list(_SWEPT.items())[: 1 if work.quick else None]:
        progress(f"  sweep of {name}")
        tables += _sweep_tables(work, name, dictionaries)
    values = "; ".join(f"`{name}`: {_described(preset)}" for name, preset in PRESETS.items())
    return Result(
        question="presets",
        title="Presets: size, time and memory, and why they have their values",
        method=f"""
            {values}. Each conversion runs in a fresh process, presets in turns; *peak* is the most memory
            that the process had resident, Python and its imports (about 30 MB) included. The sweep
            compresses the distinct contents of a bundle, cut into parts as in the preset
            `{DEFAULT_PRESET}`, at each level and with a dictionary of each size, trained as the converter
            trains it. *Share* is what the frames and the packed dictionary take as a share of what the
            zip's deflated members take, whether the dictionary pays or not; a dictionary is never asked to
            have more than 1/{BYTES_PER_BYTE} of the contents: larger ones are the same there. Rates are by
            the processor time of one thread with one compressor or decompressor, over {_SLICES} slices of
            the contents, in turns.
        """,
        quick=work.quick,
        bundles=work.origins(names),
        tables=tables,
        targets=targets,
    )


def _described(preset: Preset) -> str:
    if preset.level is None:
        return "all contents raw"
    sizes = " or ".join(f"{size >> 10} KiB" for size in preset.dictionary)
    level = f"level {preset.level}"
    if preset.large_level is not None:
        level += f", {preset.large_level} for parts over 256 KiB"
    return f"{level}, dictionary of {sizes}, frames of {preset.frame_size >> 20} MiB"


# ---- whole conversions


def _presets(work: Workspace, name: str) -> Iterator[tuple[str, dict[str, Cell]]]:
    bundle = work.bundle(name).path
    target = work.folder / "preset.srcpack"
    cases = [(preset, jobs) for preset in PRESETS for jobs in _JOBS]
    runs: dict[tuple[str, int], list[dict[str, float]]] = {case: [] for case in cases}
    for _ in range(work.rounds(3)):
        for preset, jobs in cases:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.probe", "convert"),
                    *(os.fspath(bundle), os.fspath(target), preset, str(jobs)),
                ],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            runs[preset, jobs].append(json.loads(done.stdout))
    zip_size = bundle.stat().st_size
    for preset in PRESETS:
        first = runs[preset, 1][0]
        row: dict[str, Cell] = {
            "ratio": first["size"] / zip_size,
            "size": int(first["size"]),
            "dictionary": int(first["dictionary"]),
        }
        for jobs in _JOBS:
            row[f"seconds{jobs}"] = Spread.of(one["seconds"] for one in runs[preset, jobs])
            row[f"peak{jobs}"] = Spread.of(one["peak"] / 1e6 for one in runs[preset, jobs])
        yield preset, row


# ---- sweep


@dataclass(slots=True)
class _Case:
    """One level with one dictionary: bytes of the frames, and MB/s of each slice."""

    size: int = 0
    compressing: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)


def _sweep_tables(work: Workspace, name: str, dictionaries: Sequence[int]) -> list[Table]:
    levels: Sequence[int] = _LEVELS
    if work.quick:
        levels, dictionaries = (3, 12), (0, 126)
    with SourceBundle(work.bundle(name).path) as bundle:
        members = sorted(bundle.members)
        contents = [bundle.read(member) for member in members]
        deflated = sum(bundle.members[member].compressed_size for member in members)
    # As the converter takes its samples: the first 16 KiB of files in hash order.
    order = sorted(range(len(members)), key=lambda at: sha256(members[at].encode()).digest())
    samples = [contents[at][: 16 << 10] for at in order if len(contents[at]) >= 8]
    distinct = list(dict.fromkeys(filter(None, contents)))
    amount = sum(map(len, distinct))
    trained = {size: _trained(samples, min(size << 10, amount // BYTES_PER_BYTE)) for size in dictionaries}
    slices = _slices(distinct, PRESETS[DEFAULT_PRESET].frame_size)
    cases = {(level, size): _Case() for level in levels for size in trained}
    passes = 1 if amount > _PASSES_UP_TO / 2 or work.quick else 3
    for number in range(passes):
        for part in slices:
            for (level, size), case in cases.items():
                _compress(part, level, trained[size], case, count=not number)
    for (_, size), case in cases.items():
        if (dictionary := trained[size]) is not None:
            case.size += len(pack_dictionary(dictionary))
    columns = [Column("level", "Level")]
    columns += [Column(str(size), f"{size} KiB" if size else "no dictionary", 4) for size in trained]
    of_rates = [Column(column.key, column.heading, 0 if at else 2) for at, column in enumerate(columns)]
    shares: list[dict[str, Cell]] = []
    compressing: list[dict[str, Cell]] = []
    decoding: list[dict[str, Cell]] = []
    for level in levels:
        of_level = {str(size): cases[level, size] for size in trained}
        shares.append({"level": level, **{key: case.size / deflated for key, case in of_level.items()}})
        compressing.append(
            {"level": level, **{key: Spread.of(case.compressing) for key, case in of_level.items()}}
        )
        decoding.append({"level": level, **{key: Spread.of(case.decoding) for key, case in of_level.items()}})
    title = f"{name}, {len(distinct):,} contents, {amount / 1e6:.1f} MB"
    slow = [Column(column.key, column.heading, 1) if at else column for at, column in enumerate(columns)]
    return [
        Table(title=f"{title}: share of the deflated payload", columns=columns, rows=shares),
        Table(title=f"{title}: compressing, MB/s", columns=slow, rows=compressing),
        Table(title=f"{title}: decoding, MB/s", columns=of_rates, rows=decoding),
    ]


def _trained(samples: Sequence[bytes], size: int) -> zstandard.ZstdCompressionDict | None:
    if not size:
        return None
    chosen, taken = [], 0
    for sample in samples:
        if taken >= 20 * size:
            break
        chosen.append(sample)
        taken += len(sample)
    return train(chosen, size)


def _slices(contents: Sequence[bytes], frame_size: int) -> list[list[memoryview]]:
    """Cut contents into frames and deal these out, the largest first, into slices of about one size."""
    frames = [
        memoryview(content)[at : at + frame_size]
        for content in contents
        for at in range(0, len(content), frame_size)
    ]
    frames.sort(key=len, reverse=True)
    slices: list[list[memoryview]] = [[] for _ in range(_SLICES)]
    sizes = [0] * _SLICES
    for frame in frames:
        at = sizes.index(min(sizes))
        slices[at].append(frame)
        sizes[at] += len(frame)
    return slices


def _compress(
    part: Sequence[memoryview],
    level: int,
    dictionary: zstandard.ZstdCompressionDict | None,
    case: _Case,
    *,
    count: bool,
) -> None:
    """Compress a slice and decode it again, and add what it took and came to."""
    compressor = zstandard.ZstdCompressor(level=level, dict_data=dictionary, write_checksum=True)
    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
    decompressor.decompress(compressor.compress(b"the dictionary is digested now"))
    amount = sum(map(len, part)) / 1e6
    start = time.thread_time()  # what other processes do meanwhile must not count
    frames = [compressor.compress(frame) for frame in part]
    compressed = time.thread_time()
    for frame in frames:
        decompressor.decompress(frame)
    end = time.thread_time()
    case.compressing.append(amount / (compressed - start))
    case.decoding.append(amount / (end - compressed))
    if count:
        # What does not shrink is stored raw, behind a header of 8 bytes.
        case.size += sum(min(len(frame), len(data) + 8) for frame, data in zip(frames, part, strict=True))
