"""Bundles made to do harm, converted by the real command line as a process of its own.

Each is converted, in part or whole, or refused; without much memory, without an end that says nothing or
too much, and without a trace anywhere but in the output.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import srcpack
from srcpack.bundle.members import SourceBundle
from srcpack_convert.back.compare import compare
from srcpack_convert.cli.main import run
from support.commands import Result, start
from support.hostile_bundles import CONVERTED, IN_PART, REFUSED
from support.places import CORPUS

MOST_MEMORY, MOST_SECONDS = 400 << 20, 60
MOST_LINES = 21  # 20 members, and how many more there are
LIMITED = {"bomb-1gb-zeros", "overlap-full", "overlap-fifield"}
"""What symbolic opens, which has no limits, and we refuse."""
LARGE = {"manifest-300k-headers.zip", "manifest-million-files.zip"}
"""Left to `test_members.py`."""


class Batch(NamedTuple):
    """A folder of bundles, converted by one command."""

    folder: Path
    result: Result
    reports: dict[str, dict[str, Any]]


def limited() -> None:
    """Bound what the process and those that it starts may take."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    if sys.platform == "linux":  # elsewhere it is not heeded
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))


def converted(folder: Path) -> Batch:
    """Convert the bundles in `zips`, and see that it was done in good order."""
    options = ("--jobs", 1, "--max-files", 15_000, "--preset", "fast", "--report", folder / "report")
    (folder / "tmp").mkdir()
    process = start(
        *("convert", folder / "zips", "-o", folder / "packs", *options),
        preexec_fn=limited,
        cwd=folder / "tmp",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder / "tmp")},
    )
    out, err = (said.decode() for said in process.communicate())
    rows = map(json.loads, (folder / "report").read_text(encoding="utf-8").splitlines())
    reports = {Path(report["source"]).stem: report for report in rows}
    assert process.returncode == 3
    # What a name holds is never written as it is: what are left are lines of characters that one can see.
    assert all(char.isprintable() or char == "\n" for char in out + err)
    assert "Traceback" not in out + err
    assert {path.name for path in folder.iterdir()} == {"zips", "packs", "report", "tmp"}
    assert list((folder / "tmp").iterdir()) == []
    whole = {f"{name}.srcpack" for name, report in reports.items() if report["status"] == "converted"}
    assert {path.name for path in (folder / "packs").iterdir()} - {".srcpack-state.db"} == whole
    return Batch(folder, Result(process.returncode, out, err), reports)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "zips").mkdir()
    builders = {name: build for name, (_, build) in {**REFUSED, **IN_PART}.items()} | CONVERTED
    zips = {folder / "zips" / f"{name}.zip": build() for name, build in builders.items()}
    for path, data in zips.items():
        path.write_bytes(data)
    batch = converted(folder)
    assert batch.reports.keys() == builders.keys()
    assert all(path.read_bytes() == data for path, data in zips.items())
    return batch


@pytest.mark.parametrize("name", REFUSED)
def test_some_are_refused(name: str, batch: Batch) -> None:
    says, _ = REFUSED[name]
    assert batch.reports[name]["status"] == "failed"
    assert says in batch.reports[name]["reason"]


@pytest.mark.parametrize("name", [*IN_PART, *CONVERTED])
def test_others_are_converted_in_part_or_whole(name: str, batch: Batch) -> None:
    report = batch.reports[name]
    assert report["status"] == "converted"
    assert bool(report["damaged"]) == (name in IN_PART)
    zipped = batch.folder / "zips" / f"{name}.zip"
    with srcpack.open(batch.folder / "packs" / f"{name}.srcpack") as pack, SourceBundle(zipped) as bundle:
        assert list(compare(pack, bundle)) == []


@pytest.mark.parametrize("name", [*IN_PART, *(name for name in REFUSED if "steer" in name)])
def test_what_is_said_of_one_can_be_seen(
    name: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    says, build = {**REFUSED, **IN_PART}[name]
    zipped = tmp_path / "a.zip"
    zipped.write_bytes(build())
    assert run(["convert", str(zipped)]) == (1 if name in REFUSED else 3)
    sys.stdout.flush()
    out, err = (said.decode() for said in capfdbinary.readouterr())
    assert all(char.isprintable() or char == "\n" for char in out + err)
    lines = err.splitlines()
    assert says in lines[0]
    for line in lines[: MOST_LINES - 1]:
        assert line.startswith(f"{'error' if name in REFUSED else 'warning'}: {zipped}: ")
        assert len(line) < 700
    if name == "1000-files-of-one-url-and-path":
        assert lines[MOST_LINES - 1 :] == ["and 980 more"]
    elif name in REFUSED:
        assert len(lines) == 1


@pytest.mark.skipif(not CORPUS.exists(), reason="no ../shared/corpus beside the checkout")
def test_the_bundles_of_the_corpus_are_converted_or_refused(tmp_path: Path) -> None:
    (tmp_path / "zips").mkdir()
    expected = json.loads((CORPUS / "hostile" / "EXPECT.json").read_text(encoding="utf-8"))
    for name in expected.keys() - LARGE:
        (tmp_path / "zips" / name).symlink_to(CORPUS / "hostile" / name)
    reports = converted(tmp_path).reports
    opens = {
        name[:-4] for name, what in expected.items() if what["symbolic"] == "opens" and name not in LARGE
    }
    assert {name for name, report in reports.items() if report["status"] == "converted"} == opens - LIMITED
