"""Packs whose zip is gone: which are removed, and all that are not."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from srcpack_convert.many.state import STATE_NAME, State
from support.batches import batch, packs, write
from support.commands import Result, Run, Terminal


@pytest.fixture
def made(bundles: Path, out: Path) -> Path:
    """The packs of three bundles, one of which is then removed."""
    batch([bundles], out)
    (bundles / "b" / "c.zip").unlink()
    return out / "b" / "c.srcpack"


@pytest.fixture
def prune(bundles: Path, out: Path, run: Run) -> Run:
    """Return a function that converts again, with `--prune`."""

    def again(*args: object, source: object = bundles) -> Result:
        return run("convert", source, "-o", out, "--no-progress", "--prune", *args)

    return again


def test_a_dry_run_says_what_would_be_removed(bundles: Path, made: Path, prune: Run) -> None:
    code, told, err = prune("--dry-run")
    assert code == 0
    assert f"remove {made}: {bundles}/b/c.zip is gone\n" in told
    assert "; 1 pack to remove; " in err
    told = prune("--dry-run", "--json")[1].splitlines()[-1]
    assert json.loads(told) == {"status": "stale", "source": f"{bundles}/b/c.zip", "output": str(made)}
    assert made.exists()


@pytest.mark.usefixtures("made")
def test_packs_whose_zip_is_gone_are_removed_and_forgotten(out: Path, prune: Run) -> None:
    code, told, _ = prune("--yes")
    assert code == 0
    assert told.startswith("nothing to convert: 2 bundles, up to date; 1 pack removed; ")
    assert sorted(packs(out)) == ["a.srcpack", "b/d.srcpack"]
    with State(str(out / STATE_NAME)) as state:
        assert sorted(name for name, _ in state.rows()) == ["a.srcpack", "b/d.srcpack"]
    assert json.loads(prune("--yes", "--json")[1])["pruned"] == 0


@pytest.mark.parametrize(
    ("answer", "code", "is_removed"), [("y\n", 0, True), ("n\n", 0, False), ("", 130, False)]
)
def test_it_asks(
    made: Path, prune: Run, monkeypatch: pytest.MonkeyPatch, *, answer: str, code: int, is_removed: bool
) -> None:
    """And an end of input is no answer."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    asked = prune()
    assert asked.code == code
    assert f"{made}: " in asked.err
    assert "Remove 1 pack?" in asked.err
    assert made.exists() is not is_removed


def other_bytes(pack: Path) -> None:
    batch([write(pack.parents[2], ["other.zip"]) / "other.zip"], pack.parent, force=True)
    (pack.parent / "other.srcpack").rename(pack)


def link(pack: Path) -> None:
    pack.rename(pack.parent / "real")
    pack.symlink_to("real")


def link_to_the_folder(pack: Path) -> None:
    pack.parent.rename(pack.parents[1] / "real")
    pack.parent.symlink_to("real")


CHANGES: dict[str, Callable[[Path], object]] = {
    "other bytes": other_bytes,
    "a link": link,
    "a link to the folder": link_to_the_folder,
    "a dangling link": lambda pack: (pack.parents[2] / "in" / "b" / "c.zip").symlink_to("nothing"),
    "cut": lambda pack: os.truncate(pack, 100),
    "no pack": lambda pack: pack.write_bytes(b"somebody's notes"),
    "no state": lambda pack: (pack.parents[1] / STATE_NAME).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_for_sure_the_pack_of_a_zip_that_is_gone_stays(
    made: Path, prune: Run, change: str
) -> None:
    CHANGES[change](made)
    before = made.read_bytes()
    _, told, _ = prune("--yes")
    assert "removed" not in told
    assert made.read_bytes() == before


def test_packs_of_other_folders_stay(bundles: Path, made: Path, prune: Run) -> None:
    elsewhere = write(bundles.parent / "elsewhere", ["a.zip"])
    assert "removed" not in prune("--yes", source=elsewhere).out
    assert made.exists()


def test_patterns_have_what_matches_them(bundles: Path, made: Path, prune: Run) -> None:
    assert "removed" not in prune("--yes", source=f"{bundles}/[a]*")[1]
    assert made.exists()
    assert "1 pack removed" in prune("--yes", source=f"{bundles}/**/*.zip")[1]
    assert not made.exists()


def test_of_a_folder_without_any_zip_left_nothing_is_removed(
    bundles: Path, out: Path, made: Path, prune: Run
) -> None:
    """It may not be mounted; also where it lies in another one that has some."""
    (bundles / "b" / "d.zip").unlink()
    _, told, err = prune(bundles / "b", "--yes")
    assert "removed;" not in told
    assert f"error: {bundles}/b: none of the zips known from it is there; its packs are not removed" in err
    assert made.exists()
    assert (out / "b" / "d.srcpack").exists()


def test_what_an_input_that_failed_is_to_become_stays(
    bundles: Path, made: Path, out: Path, prune: Run
) -> None:
    """It was moved, and is damaged now: the pack is the best that there is."""
    write(bundles, {"c.zip": b"PK cut"})
    made.rename(out / "c.srcpack")
    with State(str(out / STATE_NAME)) as state:
        known = state.find("b/c.srcpack")
        assert known is not None
        state.add("c.srcpack", known)
    assert prune("--base", bundles, "--yes").code == 3
    assert (out / "c.srcpack").exists()


def test_a_pack_that_cannot_be_removed_is_told(
    made: Path, prune: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("srcpack_convert.many.prune.os.unlink", refuse)
    code, _, err = prune("--yes")
    assert (code, err) == (3, f"error: {made}: Permission denied\n")


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["in", "-o", "out/", "--prune"], "there is no terminal: give --yes"),
        (["in", "-o", "out/", "--yes"], "--yes is only for --prune"),
        (["in", "-o", "s3://bucket/out", "--prune", "--yes"], "packs at URLs stay"),
        (["in/a.zip", "-o", "out/", "--prune", "--yes"], "--prune needs a folder or a pattern"),
        (["in/a.zip", "--prune"], "--prune: for many bundles"),
    ],
)
@pytest.mark.usefixtures("made")
def test_what_is_not_clear_is_refused_before_the_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    result = run("convert", *args)
    assert (result.code, problem in result.err) == (2, True)
