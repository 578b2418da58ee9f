"""How many entries should a block of the manifest hold?"""

import time
from pathlib import Path
from random import Random
from unittest.mock import patch

import srcpack
import srcpack_convert
from srcpack_convert.one import writer

from .harness import Cell, Column, Result, Spread, Table, progress
from .workspace import Workspace

__all__ = ["run"]

_BUNDLES = ("js-many", "js-web")
_ENTRIES = (8, 16, 32, 64, 128, 256, 512, 1024)
_NAMES = 200


def run(work: Workspace) -> Result:
    """Write each bundle with blocks of each number of entries, and look names up in the packs."""
    names = work.chosen(_BUNDLES)
    rows = [row for name in names for row in _rows(work, name)]
    return Result(
        question="blocks",
        title="Entries in a block: size of the pack, and time of a first look-up",
        method=f"""
            The converter, as it is but for the number of entries in a block, writes each bundle. Then each
            pack is opened for each of {_NAMES} names drawn at random, and the entry is asked for: its block
            is decoded each time. The packs take turns; opening is not timed. *Share* is the pack as a share
            of the pack with the converter's {writer.BLOCK_ENTRIES} entries.
        """,
        quick=work.quick,
        bundles=work.origins(names),
        tables=[
            Table(
                title="Blocks",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("entries", "Entries in a block"),
                    Column("size", "Pack, bytes"),
                    Column("share", "Share", 4),
                    Column("microseconds", "First look-up, us", 1),
                ],
                rows=rows,
            )
        ],
        targets=[],
    )


def _rows(work: Workspace, name: str) -> list[dict[str, Cell]]:
    progress(f"  {name}")
    packs: dict[int, Path] = {}
    for entries in _ENTRIES:
        packs[entries] = work.folder / f"{name}-{entries}.srcpack"
        with patch.object(writer, "BLOCK_ENTRIES", entries):
            srcpack_convert.convert(work.bundle(name).path, packs[entries])
    times: dict[int, list[float]] = {entries: [] for entries in _ENTRIES}
    for round_ in range(work.rounds(5)):
        for entries, path in packs.items():
            times[entries].append(_look_up(path, Random(round_)))
    chosen = packs[writer.BLOCK_ENTRIES].stat().st_size
    return [
        {
            "bundle": name,
            "entries": entries,
            "size": path.stat().st_size,
            "share": path.stat().st_size / chosen,
            "microseconds": Spread.of(times[entries]),
        }
        for entries, path in packs.items()
    ]


def _look_up(path: Path, random: Random) -> float:
    """Return the mean time of a look-up in a pack just opened, in microseconds."""
    with srcpack.open(path) as pack:
        names = random.choices([entry.name for entry in pack.entries()], k=_NAMES)
    spent = 0
    for name in names:
        with srcpack.open(path) as pack:
            start = time.perf_counter_ns()
            pack[name]
            spent += time.perf_counter_ns() - start
    return spent / len(names) / 1e3
