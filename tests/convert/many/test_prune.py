"""Packs whose zip is gone: which are removed, and all that are not."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert.cli import main as cli
from srcpack_convert.many.state import STATE_NAME, State
from support.batches import batch, bundle_of, packs

Prune = Callable[..., tuple[int, str, str]]


@pytest.fixture
def made(bundles: Path, out: Path) -> Path:
    """The packs of three bundles, one of which is then removed."""
    batch([bundles], out)
    (bundles / "b" / "c.zip").unlink()
    return out / "b" / "c.srcpack"


@pytest.fixture
def prune(bundles: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> Prune:
    """Return a function that converts again, with `--prune`."""

    def run(*args: object, source: object = bundles) -> tuple[int, str, str]:
        capfd.readouterr()
        code = cli.run(["convert", str(source), "-o", str(out), "--no-progress", "--prune", *map(str, args)])
        sys.stdout.flush()
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_dry_run_says_what_would_be_removed(bundles: Path, made: Path, prune: Prune) -> None:
    code, told, err = prune("--dry-run")
    assert code == 0
    assert f"remove {made}: {bundles}/b/c.zip is gone\n" in told
    assert "; 1 pack to remove; " in err
    told = prune("--dry-run", "--json")[1].splitlines()[-1]
    assert json.loads(told) == {"status": "stale", "source": f"{bundles}/b/c.zip", "output": str(made)}
    assert made.exists()


@pytest.mark.usefixtures("made")
def test_packs_whose_zip_is_gone_are_removed_and_forgotten(out: Path, prune: Prune) -> None:
    code, told, _ = prune("--yes")
    assert code == 0
    assert told.startswith("nothing to convert: 2 bundles, up to date; 1 pack removed; ")
    assert sorted(packs(out)) == ["a.srcpack", "b/d.srcpack"]
    with State(str(out / STATE_NAME)) as state:
        assert sorted(name for name, _ in state.rows()) == ["a.srcpack", "b/d.srcpack"]
    assert json.loads(prune("--yes", "--json")[1])["pruned"] == 0


@pytest.mark.parametrize(("answer", "is_removed"), [("y\n", True), ("n\n", False)])
def test_it_asks(
    made: Path, prune: Prune, monkeypatch: pytest.MonkeyPatch, answer: str, is_removed: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, _, err = prune()
    assert code == 0
    assert f"{made}: " in err
    assert "Remove 1 pack?" in err
    assert made.exists() is not is_removed


def test_an_end_of_input_is_no_answer(made: Path, prune: Prune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert prune()[0] == 130
    assert made.exists()


def other_bytes(pack: Path) -> None:
    batch([write(pack.parents[2] / "other.zip", bundle_of("other"))], pack.parent, force=True)
    (pack.parent / "other.srcpack").rename(pack)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def link(pack: Path) -> None:
    pack.rename(pack.parent / "real")
    pack.symlink_to("real")


def link_to_the_folder(pack: Path) -> None:
    pack.parent.rename(pack.parents[1] / "real")
    pack.parent.symlink_to("real")


def dangling_link(pack: Path) -> None:
    (pack.parents[2] / "in" / "b" / "c.zip").symlink_to("nothing")


def cut(pack: Path) -> None:
    os.truncate(pack, 100)


def no_pack(pack: Path) -> None:
    pack.write_bytes(b"somebody's notes")


def no_state(pack: Path) -> None:
    (pack.parents[1] / STATE_NAME).unlink()


@pytest.mark.parametrize(
    "change", [other_bytes, link, link_to_the_folder, dangling_link, cut, no_pack, no_state]
)
def test_what_is_not_for_sure_the_pack_of_a_zip_that_is_gone_stays(
    made: Path, prune: Prune, change: Callable[[Path], Any]
) -> None:
    change(made)
    before = made.read_bytes()
    _, told, _ = prune("--yes")
    assert "removed" not in told
    assert made.read_bytes() == before


def test_packs_of_other_folders_stay(bundles: Path, made: Path, prune: Prune) -> None:
    (bundles.parent / "elsewhere").mkdir()
    write(bundles.parent / "elsewhere" / "a.zip", bundle_of("a"))
    assert "removed" not in prune("--yes", source=bundles.parent / "elsewhere")[1]
    assert made.exists()


def test_patterns_have_what_matches_them(bundles: Path, made: Path, prune: Prune) -> None:
    assert "removed" not in prune("--yes", source=f"{bundles}/[a]*")[1]
    assert made.exists()
    assert "1 pack removed" in prune("--yes", source=f"{bundles}/**/*.zip")[1]
    assert not made.exists()


def test_of_a_folder_without_any_zip_left_nothing_is_removed(
    bundles: Path, out: Path, made: Path, prune: Prune
) -> None:
    """It may not be mounted; also where it lies in another one that has some."""
    (bundles / "b" / "d.zip").unlink()
    _, told, err = prune(bundles / "b", "--yes")
    assert "removed;" not in told
    assert f"error: {bundles}/b: none of the zips known from it is there; its packs are not removed" in err
    assert made.exists()
    assert (out / "b" / "d.srcpack").exists()


def test_what_an_input_that_failed_is_to_become_stays(bundles: Path, made: Path, out: Path) -> None:
    """It was moved, and is damaged now: the pack is the best that there is."""
    write(bundles / "c.zip", b"PK cut")
    args = ["--base", str(bundles), "--prune", "--yes", "--no-progress"]
    batch([bundles / "a.zip"], out, flat=True)
    made.rename(out / "c.srcpack")
    with State(str(out / STATE_NAME)) as state:
        known = state.find("b/c.srcpack")
        assert known is not None
        state.add("c.srcpack", known)
    assert cli.run(["convert", str(bundles), "-o", str(out), *args]) == 3
    assert (out / "c.srcpack").exists()


def test_a_pack_that_cannot_be_removed_is_told(
    made: Path, prune: Prune, monkeypatch: pytest.MonkeyPatch
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    args: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert cli.run(["convert", *args]) == 2
    assert problem in capfd.readouterr().err
