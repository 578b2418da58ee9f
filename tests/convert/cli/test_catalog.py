"""The command `catalog`, and `find --catalog`."""

import json
import os
import shutil
from pathlib import Path

import pytest

from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import update_catalog
from support.commands import DEBUG_ID, Run
from support.places import PACKS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a pack in it."""
    (tmp_path / "packs").mkdir()
    shutil.copy(PACKS / "app.srcpack", tmp_path / "packs")
    return tmp_path / "packs"


@pytest.fixture
def catalog(tmp_path: Path, folder: Path) -> Path:
    """A catalog of the packs of the fixtures, and of a copy of one."""
    update_catalog(tmp_path / "all.db", find_packs([str(PACKS), str(folder)]), failed=print)
    return tmp_path / "all.db"


def test_the_command_says_what_it_did(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.srcpack").write_bytes(b"")
    path = tmp_path / "catalog.db"
    result = run("catalog", folder, "-o", path)
    assert result.code == 3
    assert result.out == (
        f"catalog      {path}: 1 pack\nread         1; 0 unchanged, 0 removed\nfailed       1 pack or input\n"
    )
    assert result.err.startswith(f"error: {folder}/bad.srcpack: ")
    (folder / "bad.srcpack").unlink()
    result = run("catalog", folder, "-o", path, "--json")
    assert (result.code, result.err) == (0, "")
    figures = {"packs": 1, "unchanged": 1, "read": 0, "removed": 0, "failed": 0, "kept": 0}
    assert json.loads(result.out) == {"catalog": str(path), **figures}
    folder.rename(tmp_path / "away")
    (tmp_path / "away" / "app.srcpack").rename(tmp_path / "b.srcpack")
    result = run("catalog", folder, tmp_path / "b.srcpack", "-o", path)
    assert (result.code, result.err) == (3, f"error: {folder}: No such file or directory\n")
    assert result.out.splitlines()[2] == "failed       1 pack or input; 1 below it kept as known"


@pytest.mark.parametrize(
    ("args", "code", "problem"),
    [
        (["-o", "c.db"], 2, "Missing argument"),
        (["packs"], 2, "--output"),
        (["-", "-o", "c.db"], 2, "- is no pack"),
        (["ftp://h/x", "-o", "c.db"], 2, "cannot be used"),
        (["packs", "-o", "-"], 2, "- is stdout"),
        (["packs", "-o", "none/c.db"], 1, "there is no folder 'none'"),
        (["none", "-o", "c.db"], 1, "no pack could be read"),
    ],
)
def test_wrong_use_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, args: list[str], code: int, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("catalog", *args)
    assert (result.code, result.out) == (code, "")
    assert problem in result.err
    assert os.listdir(tmp_path) == []


def test_a_catalog_that_is_none_is_told(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(b"text, and no catalog")
    for command in (["catalog", folder, "-o", path], ["find", "--catalog", path, "--url", "~/a"]):
        result = run(*command)
        assert (result.code, result.out) == (1, "")
        assert result.err == f"error: {path}: no catalog: file is not a database\n"


def test_find_opens_the_packs_that_a_catalog_names(run: Run, catalog: Path, folder: Path) -> None:
    packs = sorted([*PACKS.glob("*.srcpack"), *folder.iterdir()], key=os.fsencode, reverse=True)
    by_hand = run("find", *packs, "--debug-id", DEBUG_ID)
    assert (by_hand.code, len(by_hand.out.splitlines())) == (0, 4)
    assert run("find", "--catalog", catalog, "--debug-id", DEBUG_ID) == by_hand
    typed = run("find", "--catalog", catalog, "--debug-id", DEBUG_ID, "--type", "source_map")
    assert typed == run("find", *packs, "--debug-id", DEBUG_ID, "--type", "source_map")
    by_url = run("find", "--catalog", catalog, "--url", "~/static/app.min.js")
    assert by_url == run("find", *packs, "--url", "~/static/app.min.js")
    assert len(by_url.out.splitlines()) == 2
    assert run("find", "--catalog", catalog, "--url", "~/absent") == (1, "", "")
    # What became of them since is seen.
    (folder / "app.srcpack").write_bytes(b"")
    again = run("find", "--catalog", catalog, "--url", "~/static/app.min.js")
    assert (again.code, len(again.out.splitlines())) == (3, 1)
