"""What does each way of keeping bundles take on disk, and to make?"""

import json
import os
import subprocess
import sys

from .formats import FORMATS, missing
from .harness import ROOT, Cell, Column, Result, Spread, Table, Target, progress
from .workspace import Workspace

__all__ = ["BUNDLES", "run"]

BUNDLES = ("js-many", "js-web", "jvm-junit4", "native-lua", "native-zstd")
_MADE = ("js-many", "js-web")
_OURS = "pack"


def run(work: Workspace) -> Result:
    """Measure the size of each format of each bundle, and the time and memory that making one takes."""
    forms = [form for form in FORMATS.values() if missing(form.needs) is None]
    skipped: list[dict[str, Cell]] = [
        {"way": f"{form.name} (skipped: package {package} is missing)"}
        for form in FORMATS.values()
        if (package := missing(form.needs)) is not None
    ]
    names = work.chosen(BUNDLES)
    sizes = {(form.name, name): work.file(name, form.name).stat().st_size for form in forms for name in names}
    zipped = {name: work.bundle(name).path.stat().st_size for name in names}
    rows: list[dict[str, Cell]] = [
        {
            "way": form.name,
            **{name: sizes[form.name, name] / zipped[name] for name in names},
            "line": form.line,
        }
        for form in forms
    ]
    targets = [
        Target(
            claim=f"{name}: pack as a share of the zip with STORED members",
            value=sizes[_OURS, name] / sizes["zip, stored", name],
            kind="at most",
            bound=1,
        )
        for name in names
    ]
    return Result(
        question="size",
        title="Size on disk, and what making the files takes",
        method="""
            Sizes are of the whole files, as a share of the SourceBundle zip: each holds all contents, the
            manifest's records, and what finds a file by name and by URL. Time and peak memory are those of
            making one file in a fresh process, Python and its imports included in the memory; *pack* uses
            as many jobs as there are cores, and checks and flushes what it wrote; the other formats but ZIM
            are made by a loop of ours with one thread that checks nothing. What a service does not make
            itself, the *zip*, costs nothing here.
        """,
        quick=work.quick,
        bundles=work.origins(names),
        tables=[
            Table(
                title="Share of the zip's size",
                columns=[
                    Column("way", "Format"),
                    *(Column(name, name, 3) for name in names),
                    Column("line", "What it is"),
                ],
                rows=rows + skipped,
                note="; ".join(f"{name}: zip of {size / 1e6:.2f} MB" for name, size in zipped.items()) + ".",
            ),
            Table(
                title="Making one",
                columns=[
                    Column("way", "Format"),
                    *(
                        column
                        for name in (_MADE[-1:] if work.quick else _MADE)
                        for column in (
                            Column(f"{name} seconds", f"{name}, s"),
                            Column(f"{name} peak", f"{name}, peak MB", 0),
                        )
                    ),
                ],
                rows=_made(work, [form.name for form in forms if form.name != "zip"]) + skipped,
            ),
        ],
        targets=targets,
    )


def _made(work: Workspace, forms: list[str]) -> list[dict[str, Cell]]:
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    target = work.folder / "made"
    made = _MADE[-1:] if work.quick else _MADE
    for _ in range(work.rounds(3)):
        for name in made:
            progress(f"  making {name}")
            for form in forms:
                target.unlink(missing_ok=True)
                done = subprocess.run(
                    [
                        *(sys.executable, "-m", "benchmarks.probe", "make", form),
                        *(os.fspath(work.bundle(name).path), os.fspath(target)),
                    ],
                    cwd=ROOT,
                    check=True,
                    capture_output=True,
                    text=True,
                )
                runs.setdefault((form, name), []).append(json.loads(done.stdout))
    return [
        {
            "way": form,
            **{f"{name} seconds": Spread.of(one["seconds"] for one in runs[form, name]) for name in made},
            **{f"{name} peak": Spread.of(one["peak"] / 1e6 for one in runs[form, name]) for name in made},
        }
        for form in forms
    ]
