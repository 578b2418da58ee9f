"""How like the real bundles are the generated ones?"""

import zipfile
from pathlib import Path

from .formats import load
from .harness import Cell, Column, Result, Spread, Table
from .size import BUNDLES
from .workloads import Bundle, find_bundle
from .workspace import Workspace

__all__ = ["run"]


def run(work: Workspace) -> Result:
    """Compare number, sizes and compressibility of the files, bundle by bundle."""
    rows: list[dict[str, Cell]] = []
    origins: dict[str, str] = {}
    folder = work.folder / "compared"
    folder.mkdir(exist_ok=True)
    compared = Workspace(folder, quick=work.quick, generated=True)
    for name in work.chosen(BUNDLES):
        for bundle, packed in _both(work, compared, name):
            origins[f"{name}, {bundle.origin}"] = bundle.origin
            rows.append({"bundle": name, "origin": bundle.origin, **_figures(bundle.path, packed)})
    return Result(
        question="generated",
        title="Generated bundles beside the real ones",
        method="""
            Every bundle of the grid that is there for real, and the one that is generated where it is not.
            *Deflated* is what the zip's members take as a share of their contents, *pack* the whole pack of
            the default preset as a share of the whole zip. Sizes of files: the median with the quartiles,
            and the 99th percentile.
        """,
        quick=work.quick,
        bundles=origins,
        tables=[
            Table(
                title="Bundles",
                columns=[
                    Column("bundle", "Bundle"),
                    Column("origin", ""),
                    Column("files", "Files"),
                    Column("total", "MB", 1),
                    Column("size", "Size of a file, bytes", 0),
                    Column("p99", "99 % are under, bytes", 0),
                    Column("largest", "Largest, bytes", 0),
                    Column("zip", "Zip, MB", 2),
                    Column("deflated", "Deflated", 3),
                    Column("pack", "Pack / zip", 3),
                ],
                rows=rows,
            )
        ],
    )


def _both(work: Workspace, compared: Workspace, name: str) -> list[tuple[Bundle, Path]]:
    """Return the real bundle if it is there, and the generated one, each with its pack."""
    generated = (compared.bundle(name), compared.pack(name))
    if work.quick or work.generated:
        return [generated]
    found = find_bundle(name, work.folder)
    return [(found, work.pack(name)), generated] if found.origin == "real" else [generated]


def _figures(path: Path, packed: Path) -> dict[str, Cell]:
    material = load(path)
    sizes = sorted(map(len, material.contents.values()))
    total = sum(sizes)
    zipped = path.stat().st_size
    with zipfile.ZipFile(path) as bundle:
        deflated = sum(info.compress_size for info in bundle.infolist() if info.filename in material.contents)
    return {
        "files": len(sizes),
        "total": total / 1e6,
        "size": Spread.of(sizes),
        "p99": sizes[int(0.99 * len(sizes))],
        "largest": sizes[-1],
        "zip": zipped / 1e6,
        "deflated": deflated / total,
        "pack": packed.stat().st_size / zipped,
    }
