"""What do 1,000 open bundles cost in memory?"""

import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import zstandard

from srcpack_convert.one.convert import convert

from .contenders import (
    Contender,
    Lmdb,
    MappedZip,
    MappedZipStored,
    Pack,
    PackByPread,
    SqliteArchive,
    SqliteZstd,
    Zim,
    Zip,
    ZipStored,
)
from .formats import FORMATS
from .harness import ROOT, Cell, Column, Result, Spread, Table, Target, progress
from .workloads import javascript, write_bundle
from .workspace import Workspace, able, skipped_rows

__all__ = ["run"]

_BUNDLES = 1000
_DISTINCT = 100
_DISTINCT_FORMATS = ("zip", "pack")
_URLS, _COPIED_URLS = "urls.json", "urls-of-copies.json"
_FILES = 24
_CONTENT = 50_000
_DICTIONARY = 126 << 10
_MOST_OPEN, _MOST_READ = 20, 60
_CONTENDERS: list[type[Contender]] = [
    Zip,
    ZipStored,
    MappedZip,
    MappedZipStored,
    Pack,
    PackByPread,
    Lmdb,
    SqliteArchive,
    SqliteZstd,
    Zim,
]
_PHASES = (("open", "opened"), ("read", "read"))
_KINDS = ("private", "anonymous")


def run(work: Workspace) -> Result:
    """Measure private memory after opening, and after a read from each, in fresh processes."""
    count = 16 if work.quick else _BUNDLES
    contenders = able(_CONTENDERS)
    progress(f"  making {count} bundles")
    folder = _make(work.folder / "memory", count, contenders)
    runs: dict[type[Contender], list[dict[str, dict[str, int]]]] = {each: [] for each in contenders}
    for _ in range(work.rounds(5)):
        for contender in contenders:
            runs[contender].append(_probe(contender, folder))
    rows: list[dict[str, Cell]] = []
    figures: dict[tuple[type[Contender], str], Spread] = {}
    for contender in contenders:
        row: dict[str, Cell] = {"way": contender.name}
        for at, phase in _PHASES:
            for kind in _KINDS:
                spread = Spread.of(_grown(one, phase, kind) for one in runs[contender])
                row[f"{kind}_{at}"] = figures[contender, f"{kind}_{at}"] = spread
            row[f"each_{at}"] = figures[contender, f"private_{at}"].median * 1e3 / count
            row[f"zip_{at}"] = _ratio(figures[Zip, f"private_{at}"], figures[contender, f"private_{at}"])
        rows.append(row)
    targets = []
    for at, bound, what in (
        ("open", _MOST_OPEN, "open"),
        ("read", _MOST_READ, "open, one file read of each"),
    ):
        ours = figures[Pack, f"private_{at}"]
        targets += [
            Target(
                claim=f"{count:,} packs {what}: MB of private memory",
                value=ours,
                kind="at most",
                bound=bound,
            ),
            Target(
                claim=f"{count:,} packs {what}: private memory as a share of STORED zips'",
                value=ours.median / figures[ZipStored, f"private_{at}"].median,
                kind="at most",
                bound=1,
            ),
        ]
    return Result(
        question="memory",
        title=f"Memory of {count:,} bundles open at once",
        method=f"""
            {count:,} different generated bundles of {_FILES} JavaScript files and maps, {_CONTENT:,} bytes
            together; their packs have dictionaries of {_DICTIONARY >> 10} KiB, each another one (far more
            than the converter would give such small bundles). Formats other than zip and pack are made of
            {_DISTINCT} of the bundles, and copied. A fresh process opens all of one kind, then reads one
            file of each; the figures are what it has more than before the first was opened. *Private* is
            what `/proc/self/smaps_rollup` calls so (`Private_Clean` and `Private_Dirty`): it includes pages
            of the files that no other process maps, which the system can drop at any time. *Anonymous*
            leaves these out.
        """,
        quick=work.quick,
        bundles={f"{count} small bundles": "generated"},
        tables=[
            Table(
                title="MB above the baseline",
                columns=[
                    Column("way", "Way"),
                    Column("private_open", "Private, opened", 1),
                    Column("each_open", "KB a bundle", 1),
                    Column("zip_open", f"`{Zip.name}`, times as much", 1),
                    Column("private_read", "Private, one read of each", 1),
                    Column("each_read", "KB a bundle", 1),
                    Column("zip_read", f"`{Zip.name}`, times as much", 1),
                    Column("anonymous_open", "Anonymous, opened", 1),
                    Column("anonymous_read", "Anonymous, one read of each", 1),
                ],
                rows=rows + skipped_rows(_CONTENDERS),
            )
        ],
        targets=targets,
    )


def _grown(memory: dict[str, dict[str, int]], phase: str, kind: str) -> float:
    return (memory[phase][kind] - memory["before"][kind]) / 1e6


def _ratio(theirs: Spread, ours: Spread) -> float | None:
    return theirs.median / ours.median if ours.median else None


def _probe(contender: type[Contender], folder: Path) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.probe", "open", contender.name),
            os.fspath(_folder(folder, contender.format)),
            os.fspath(folder / (_URLS if contender.format in _DISTINCT_FORMATS else _COPIED_URLS)),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    memory: dict[str, dict[str, int]] = json.loads(done.stdout)
    return memory


def _folder(folder: Path, form: str) -> Path:
    return folder / form.replace(", ", "-").replace(" ", "-")


def _make(folder: Path, count: int, contenders: list[type[Contender]]) -> Path:
    """Make bundles, and the other formats of them."""
    forms = {contender.format: _folder(folder, contender.format) for contender in contenders}
    for path in forms.values():
        path.mkdir(parents=True)
    samples: list[bytes | bytearray | memoryview] = [file.content for file in javascript(99, [2500] * 1200)]
    trained = zstandard.train_dictionary(_DICTIONARY, samples, k=256, d=8, f=20, accel=4).as_bytes()
    distinct = min(count, _DISTINCT)
    tasks = [
        (number, trained, {form: os.fspath(path) for form, path in forms.items()}, number < distinct)
        for number in range(count)
    ]
    # Not forked: the parent may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as executor:
        urls = list(executor.map(_make_one, tasks, chunksize=5))
    (folder / _URLS).write_text(json.dumps(urls), encoding="utf-8")
    for form, path in forms.items():
        if form not in _DISTINCT_FORMATS:
            for number in range(distinct, count):
                shutil.copyfile(path / f"{number % distinct:04}", path / f"{number:04}")
    copied = [urls[number % distinct] for number in range(count)]
    (folder / _COPIED_URLS).write_text(json.dumps(copied), encoding="utf-8")
    return folder


def _make_one(task: tuple[int, bytes, dict[str, str], bool]) -> str:
    """Make one bundle in its formats, and return a URL in it."""
    number, trained, forms, all_forms = task
    name = f"{number:04}"
    path = Path(forms["zip"]) / name
    rng = random.Random(number)
    cuts = sorted(rng.sample(range(200, _CONTENT - 200), _FILES - 1))
    sizes = [max(64, end - start) for start, end in zip([0, *cuts], [*cuts, _CONTENT], strict=True)]
    files = javascript(1000 + number, sizes)
    write_bundle(path, files)
    # Another id and another last part make it a dictionary of its own; its entropy tables stay the same.
    own = rng.randbytes(64)
    dictionary = trained[:4] + (0x8000 + number).to_bytes(4, "little") + trained[8:-64] + own
    convert(path, Path(forms["pack"]) / name, preset="fast", dictionary=dictionary)
    if all_forms:
        for form, folder in forms.items():
            if form not in _DISTINCT_FORMATS:
                FORMATS[form].make(path, Path(folder) / name)
    url: str = files[0].info["url"]
    return url
