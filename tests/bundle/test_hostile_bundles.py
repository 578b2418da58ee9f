"""Bundles made to do harm, converted by the real command line as a process of its own.

Each is converted, in part or whole, or refused; without much memory, without an end that says nothing or
too much, and without a trace anywhere but in the output.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import srcpack
from srcpack.bundle.members import SourceBundle
from srcpack_convert.back.compare import compare
from srcpack_convert.cli.main import run
from support.hostile_bundles import HOSTILE, OPTIONS, Outcome, convert_in_process, main
from support.places import CORPUS

LIMITED = {"bomb-1gb-zeros", "overlap-full", "overlap-fifield"}
"""What symbolic opens, which has no limits, and we refuse."""
LARGE = {"manifest-300k-headers.zip", "manifest-million-files.zip"}
"""Left to `test_members.py`."""
MOST_MEMORY = 400 << 20
MOST_LINES = 21  # 20 members, and how many more there are


class Batch(NamedTuple):
    """All hostile bundles, converted by one process."""

    folder: Path
    outcome: Outcome
    reports: dict[str, dict[str, Any]]


def converted(folder: Path, bundles: Path, *options: str) -> Batch:
    options = ("--report", str(folder / "report"), "--preset", "fast", *options)
    outcome = convert_in_process(bundles, folder / "packs", *options, most=MOST_MEMORY)
    lines = (folder / "report").read_text().splitlines()
    reports = {Path(report["source"]).stem: report for report in map(json.loads, lines)}
    return Batch(folder, outcome, reports)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "zips").mkdir()
    for name, hostile in HOSTILE.items():
        (folder / "zips" / f"{name}.zip").write_bytes(hostile.build())
    return converted(folder, folder / "zips", *OPTIONS)


def check_in_good_order(batch: Batch) -> None:
    """What a name holds is never written as it is: what are left are lines of characters that one can see."""
    out, err = batch.outcome.out, batch.outcome.err
    assert batch.outcome.code == 3
    assert all(char.isprintable() or char == "\n" for char in out + err)
    assert "Traceback" not in out + err
    packs = {path.name for path in (batch.folder / "packs").iterdir()} - {".srcpack-state.db"}
    whole = {name for name, report in batch.reports.items() if report["status"] == "converted"}
    assert packs == {f"{name}.srcpack" for name in whole}


def test_all_are_converted_or_refused_in_good_order(batch: Batch) -> None:
    check_in_good_order(batch)
    assert batch.reports.keys() == HOSTILE.keys()
    assert {path.name for path in batch.folder.iterdir()} == {"zips", "packs", "report"}
    for name, hostile in HOSTILE.items():
        assert (batch.folder / "zips" / f"{name}.zip").read_bytes() == hostile.build()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_converted_or_refused(name: str, batch: Batch) -> None:
    hostile, report = HOSTILE[name], batch.reports[name]
    if hostile.code == 1:
        assert report["status"] == "failed"
        assert hostile.says in report["reason"]
        return
    assert report["status"] == "converted"
    damaged = [f"{member['member']!r} cannot be read: {member['reason']}" for member in report["damaged"]]
    assert len(damaged) > 0 if hostile.says else damaged == []
    zipped = batch.folder / "zips" / f"{name}.zip"
    with srcpack.open(batch.folder / "packs" / f"{name}.srcpack") as pack, SourceBundle(zipped) as bundle:
        assert list(compare(pack, bundle)) == []


STEERING = [name for name in HOSTILE if "steer" in name or "64-kib" in name or "of-one-url" in name]


@pytest.mark.parametrize("name", STEERING)
def test_what_is_said_of_one_can_be_seen(
    name: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    hostile, zipped = HOSTILE[name], tmp_path / "a.zip"
    zipped.write_bytes(hostile.build())
    assert run(["convert", str(zipped)]) == hostile.code
    sys.stdout.flush()
    out, err = (said.decode() for said in capfdbinary.readouterr())
    assert all(char.isprintable() or char == "\n" for char in out + err)
    lines = err.splitlines()
    assert min(len(lines), 2) == {0: 0, 1: 1}.get(hostile.code, min(len(lines), 2))
    for line in lines[: MOST_LINES - 1]:
        assert line.startswith(f"{'error' if hostile.code == 1 else 'warning'}: {zipped}: ")
        assert len(line) < 700
    assert not lines or hostile.says in lines[0]
    if name == "files-of-one-url-and-path":
        assert lines[MOST_LINES - 1 :] == ["and 980 more"]


@pytest.mark.skipif(not CORPUS.exists(), reason="no ../shared/corpus beside the checkout")
def test_the_bundles_of_the_corpus_are_converted_or_refused(tmp_path: Path) -> None:
    (tmp_path / "zips").mkdir()
    expected = json.loads((CORPUS / "hostile" / "EXPECT.json").read_text(encoding="utf-8"))
    for name in expected.keys() - LARGE:
        (tmp_path / "zips" / name).symlink_to(CORPUS / "hostile" / name)
    batch = converted(tmp_path, tmp_path / "zips")
    check_in_good_order(batch)
    opens = {
        name[:-4] for name, what in expected.items() if what["symbolic"] == "opens" and name not in LARGE
    }
    assert {
        name for name, report in batch.reports.items() if report["status"] == "converted"
    } == opens - LIMITED


def test_the_table_has_a_line_for_each_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--only", "names-that-steer"])
    *_, line = capsys.readouterr().out.splitlines()
    assert line.startswith("| names-that-steer-a-terminal | 239 | 3 | ")
    assert line.endswith(
        " | warning: '\\n\\x1b[31m' cannot be read: the manifest lists it, the zip does not have it |"
    )
