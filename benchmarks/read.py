"""How fast are all files read by name, in random order, by one thread?"""

import zipfile
from collections.abc import Callable

import sourcepack

from .harness import Cell, Column, Contender, Result, Spread, Table, Target, measure, progress
from .workspace import BareLoop, Workspace, clear_caches, shuffled

__all__ = ["run"]

_BUNDLES = {"js-many": 4, "js-web": 3, "jvm-junit4": None, "native-lua": None, "native-zstd": None}
"""How many times as fast as `ZipFile.read` it is to be."""

_LEAST_OF_BARE = 0.85


def run(work: Workspace) -> Result:
    """Measure reading by name, beside the zip and beside the bare loop over the same frames."""
    tables = []
    targets = []
    names = work.chosen(list(_BUNDLES))
    for name in names:
        progress(f"  {name}")
        least = _BUNDLES[name]
        table, of_zip, of_bare = _measure(work, name)
        tables.append(table)
        if least is not None:
            warm = f"{name}: `pack[name].read()`, warm"
            targets += [
                Target(
                    claim=f"{warm}, times as fast as `ZipFile.read`",
                    value=of_zip,
                    kind="at least",
                    bound=least,
                ),
                Target(
                    claim=f"{warm}, speed as a share of the bare loop's",
                    value=of_bare,
                    kind="at least",
                    bound=_LEAST_OF_BARE,
                ),
            ]
    return Result(
        question="read",
        title="Reading every file by name, in random order, one thread",
        method="""
            Each round every way reads all files of the bundle in one random order, the same each time. The
            files are in the page cache. *First pass* opens the pack anew with the caches of the process
            empty; all other ways have just done the same once, untimed. The *bare loop* decodes the same
            frames in the same order with one `ZstdDecompressor` from slices of one map: where each frame
            lies is worked out before, nothing but libzstd's own checksum is checked, and nothing is looked
            up. `read_many` has to keep all it reads, so beside it stands a bare loop that does too.
        """,
        quick=work.quick,
        bundles=work.origins(names),
        tables=tables,
        targets=targets,
    )


def _measure(work: Workspace, name: str) -> tuple[Table, Spread, Spread]:
    path = work.pack(name)
    with sourcepack.open(path) as listed:
        names = shuffled([entry.name for entry in listed.entries() if not entry.damage])
        amount = sum(listed[each].size for each in names) / 1e6
    warm = sourcepack.open(path)
    by_pread = sourcepack.open(path, source="pread")
    entries = [warm[each] for each in names]
    bundle = zipfile.ZipFile(work.bundle(name).path)
    bare = BareLoop(path, names)
    opened: list[sourcepack.Pack] = []

    def open_cold() -> None:
        clear_caches()
        opened[:] = [sourcepack.open(path)]

    def read_cold() -> None:
        pack = opened[0]
        for each in names:
            pack[each].read()

    def read_by_name() -> None:
        for each in names:
            warm[each].read()

    def read_by_pread() -> None:
        for each in names:
            by_pread[each].read()

    def read_entries() -> None:
        for entry in entries:
            entry.read()

    def read_zip() -> None:
        for each in names:
            bundle.read(each)

    ways = {
        "`ZipFile.read(name)`": _after_itself("zip", read_zip),
        "`pack[name].read()`, first pass": Contender(name="first", run=read_cold, prepare=open_cold),
        "`pack[name].read()`, warm": _after_itself("warm", read_by_name),
        "`pack[name].read()`, warm, pread": _after_itself("pread", read_by_pread),
        "`entry.read()`, entries at hand": _after_itself("entries", read_entries),
        "`pack.read_many(names)`, warm": _after_itself("many", lambda: warm.read_many(names)),
        "bare loop": _after_itself("bare", bare.run),
        "bare loop that keeps": _after_itself("bare, kept", bare.run_and_keep),
    }
    timings = measure(list(ways.values()), work.rounds(9 if amount > 20 else 25))
    rows: list[dict[str, Cell]] = []
    for label, way in ways.items():
        floor = "bare, kept" if way.name in ("many", "bare, kept") else "bare"
        rows.append(
            {
                "way": label,
                "each": timings.each(way.name, 1e-6 * len(names)),
                "rate": timings.rate(way.name, amount),
                "zip": timings.speed(way.name, "zip"),
                "bare": timings.speed(way.name, floor),
                "cpu": timings.cpu_speed(way.name, floor),
            }
        )
    columns = [
        Column("way", "Way"),
        Column("each", "µs a file", 2),
        Column("rate", "MB/s", 0),
        Column("zip", "Times as fast as `ZipFile.read`"),
        Column("bare", "Speed as a share of the bare loop's", 3),
        Column("cpu", "The same, processor time", 3),
    ]
    table = Table(title=f"{name}: {len(names):,} files, {amount:.1f} MB", columns=columns, rows=rows)
    return table, timings.speed("warm", "zip"), timings.speed("warm", "bare")


def _after_itself(name: str, run: Callable[[], object]) -> Contender:
    """Return a contender that has just done the same once, so that caches hold what it touches."""
    return Contender(name=name, run=run, prepare=run)
