"""How fast does a catalog of 100,000 packs answer, and what do its runs cost?"""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from srcpack import Catalog, FileType
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import CatalogReport, PackFacts, read_facts, update_catalog

from .harness import Cell, Column, Job, Result, Spread, Table, Target, Timings, measure, progress
from .workspace import Workspace

__all__ = ["run"]

_PACKS = 100_000
_IN_A_FOLDER = 1_000
_SCRIPTS = 10
_OF_A_RELEASE = 20
_OF_AN_APP = 100
_CHANGED = 100
_QUESTIONS = 2_000
_BUNDLES = ("js-many", "js-web", "jvm-junit4", "native-lua", "native-zstd")
_MOST_US = 1_000


def run(work: Workspace) -> Result:
    """Make a catalog of synthetic packs, ask it, and bring it up to date."""
    packs = 300 if work.quick else _PACKS
    progress(f"  making {packs:,} files")
    fleet = _Fleet(work.folder / "fleet", work.folder / "catalog.db", packs)
    fleet.make()
    runs = _runs(fleet, work.rounds(3))
    questions = _questions(fleet, 50 if work.quick else _QUESTIONS)
    reading = _reading(work)
    size = fleet.catalog.stat().st_size
    rows = packs * 4 * _SCRIPTS
    return Result(
        question="catalog",
        title=f"A catalog of {packs:,} packs",
        method=f"""
            {packs:,} files stand for packs, {_IN_A_FOLDER:,} in a folder. The catalog is made of them and
            brought up to date by the code of `srcpack catalog`, but for the reading of a pack, in whose place
            its facts are made up: {_SCRIPTS} scripts and as many maps, each with a URL and a debug id;
            one script and map have a URL that {_OF_AN_APP} packs have, all others one of their own;
            {_OF_A_RELEASE} packs are of a release. What the reading takes, the last table says of bundles.
            Each question is asked {_QUESTIONS:,} times with different values, in an order that is random;
            the catalog is in the page cache. Between runs {_CHANGED} files are changed, or renamed.
        """,
        quick=work.quick,
        bundles={f"{packs:,} packs": "generated", **work.origins(work.chosen(_BUNDLES))},
        tables=[
            Table(
                title="Questions",
                columns=[
                    Column("question", "Which packs have this?"),
                    Column("packs", "Packs in the answer"),
                    Column("each", "µs", 1),
                    Column("p99", "µs of processor time, 99 of 100 take less", 1),
                ],
                rows=questions,
            ),
            Table(
                title="Runs",
                note=f"""
                    The file has {size / 1e6:,.0f} MB: {size / packs:,.0f} bytes for a pack, or
                    {size / rows:,.0f} for each URL and debug id of a file.
                """,
                columns=[
                    Column("run", "Run"),
                    Column("read", "Packs read"),
                    Column("removed", "Removed"),
                    Column("seconds", "s", 2),
                    Column("busy", "s of processor time", 2),
                ],
                rows=runs,
            ),
            Table(
                title="Reading a pack for the catalog",
                columns=[Column("bundle", "Pack of"), Column("files", "Files"), Column("each", "ms", 2)],
                rows=reading,
            ),
        ],
        targets=[
            Target(
                claim=f"{row['question']}: µs of processor time, 99 of 100 take less",
                value=float(str(row["p99"])),
                kind="at most",
                bound=_MOST_US,
            )
            for row in questions
            if row["p99"] is not None
        ],
    )


@dataclass(frozen=True, slots=True)
class _Fleet:
    """Files that stand for packs, and their catalog."""

    folder: Path
    catalog: Path
    packs: int

    def make(self) -> None:
        for number in range(self.packs):
            if number % _IN_A_FOLDER == 0:
                self.place(number).parent.mkdir(parents=True)
            self.place(number).write_bytes(b"x" * 100)

    def place(self, number: int) -> Path:
        return self.folder / f"{number // _IN_A_FOLDER:05}" / f"{number:07}.srcpack"

    def touch(self, numbers: range) -> None:
        for number in numbers:
            os.utime(self.place(number))

    def shift(self, numbers: range) -> None:
        """Rename files, or rename them back."""
        for number in numbers:
            place = self.place(number)
            other = place.with_suffix(".renamed.srcpack")
            (other if other.exists() else place).rename(place if other.exists() else other)

    def update(self) -> CatalogReport:
        return update_catalog(self.catalog, find_packs([os.fspath(self.folder)]), failed=_fail, read=_facts)


def _facts(place: str) -> PackFacts:
    number = int(os.path.basename(place)[:7])
    ids = [debug_id(number, script) for script in range(_SCRIPTS)]
    types = (FileType.MINIFIED_SOURCE.value, FileType.SOURCE_MAP.value)
    return PackFacts(
        files=2 * _SCRIPTS,
        release=release(number),
        dist=None,
        bundle=bundle(number),
        object=None,
        debug_ids={(each, file_type) for each in ids for file_type in types},
        urls={url(number, script) + end for script in range(_SCRIPTS) for end in ("", ".map")},
    )


def debug_id(number: int, script: int) -> str:
    """Return the debug id of a script."""
    digits = blake2b(b"%d %d" % (number, script), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def url(number: int, script: int) -> str:
    """Return the URL of a script."""
    if script == 0:
        return f"~/application-{number // _OF_AN_APP}/static/js/main.js"
    return f"~/application-{number // _OF_AN_APP}/static/js/{script}.{debug_id(number, script)[:8]}.chunk.js"


def release(number: int) -> str:
    """Return the release of a pack."""
    return f"application-{number // _OF_AN_APP}@1.{number // _OF_A_RELEASE}.0"


def bundle(number: int) -> str:
    """Return the identity of a pack's bundle."""
    return blake2b(b"%d" % number, digest_size=32).hexdigest()


def _fail(error: Exception) -> None:
    raise error


def _questions(fleet: _Fleet, times: int) -> list[dict[str, Cell]]:
    rng = random.Random(5)
    rows: list[dict[str, Cell]] = []
    with Catalog(fleet.catalog) as catalog:
        ways: list[tuple[str, Callable[[int, int], Callable[[], Sequence[object]]]]] = [
            (
                "a debug id, of one type",
                lambda number, script: partial(catalog.by_debug_id, debug_id(number, script), "source_map"),
            ),
            (
                "a debug id, of any type",
                lambda number, script: partial(catalog.by_debug_id, debug_id(number, script)),
            ),
            ("a URL that one has", lambda number, script: partial(catalog.by_url, url(number, script or 1))),
            (f"a URL that {_OF_AN_APP} have", lambda number, _: partial(catalog.by_url, url(number, 0))),
            ("a URL that none has", lambda number, _: partial(catalog.by_url, url(number, 1) + ".none")),
            (
                "a release, without a dist",
                lambda number, _: partial(catalog.by_release, release(number), None),
            ),
            ("a bundle", lambda number, _: partial(catalog.by_bundle, bundle(number))),
            ("an object that none has", lambda number, _: partial(catalog.by_object, debug_id(number, 0))),
        ]
        for title, asking in ways:
            samples: list[float] = []
            busy: list[float] = []
            found = 0
            for _ in range(times):
                ask = asking(rng.randrange(fleet.packs), rng.randrange(_SCRIPTS))
                start_cpu, start = time.thread_time_ns(), time.perf_counter_ns()
                answer = ask()
                samples.append((time.perf_counter_ns() - start) / 1e3)
                busy.append((time.thread_time_ns() - start_cpu) / 1e3)
                found = len(answer)
            busy.sort()
            rows.append(
                {
                    "question": title,
                    "packs": found,
                    "each": Spread.of(samples),
                    "p99": busy[len(busy) * 99 // 100],
                }
            )

    def first() -> None:
        with Catalog(fleet.catalog) as opened:
            opened.by_url(url(0, 1))

    timings = measure([Job(name="first", run=first, calls=20)], 5)
    each = timings.each("first", 1e-6)
    rows.append({"question": "to open the catalog and ask for a URL", "packs": 1, "each": each, "p99": None})
    return rows


def _runs(fleet: _Fleet, rounds: int) -> list[dict[str, Cell]]:
    reports: dict[str, CatalogReport] = {}
    step = max(1, fleet.packs // _CHANGED)
    changed, renamed = range(0, fleet.packs, step), range(1, fleet.packs, step)

    def update(name: str) -> None:
        reports[name] = fleet.update()

    def fresh() -> None:
        fleet.catalog.unlink(missing_ok=True)

    jobs = [
        Job(name="the first", run=partial(update, "the first"), prepare=fresh),
        Job(name="nothing changed", run=partial(update, "nothing changed")),
        Job(name="some changed", run=partial(update, "some changed"), prepare=partial(fleet.touch, changed)),
        Job(
            name="some gone, some new",
            run=partial(update, "some gone, some new"),
            prepare=partial(fleet.shift, renamed),
        ),
    ]
    first = measure(jobs[:1], 1, warm_up=False)
    later = measure(jobs[1:], rounds, warm_up=False)
    timings = Timings({**first.seconds, **later.seconds}, {**first.cpu, **later.cpu})
    busy = Timings(timings.cpu, {})
    return [
        {
            "run": job.name,
            "read": reports[job.name].read,
            "removed": reports[job.name].removed,
            "seconds": timings.each(job.name),
            "busy": busy.each(job.name),
        }
        for job in jobs
    ]


def _reading(work: Workspace) -> list[dict[str, Cell]]:
    names = work.chosen(_BUNDLES)
    packs = {name: os.fspath(work.pack(name)) for name in names}
    timings = measure(
        [Job(name=name, run=partial(read_facts, packs[name])) for name in names], work.rounds(9)
    )
    return [
        {"bundle": name, "files": read_facts(packs[name]).files, "each": timings.each(name, 1e-3)}
        for name in names
    ]
