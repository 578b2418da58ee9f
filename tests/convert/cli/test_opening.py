"""What commands open: packs, zips in their place, and no folders."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from support.commands import DEBUG_ID, FILES, Run, damaged_bundle


def test_commands_that_only_read_files_take_zips(run: Run, bundle: Path, pack: Path, tmp_path: Path) -> None:
    listed = [json.loads(line) for line in run("ls", pack, "--json").out.splitlines()]
    zipped = [json.loads(line) for line in run("ls", bundle, "--json").out.splitlines()]
    for facts in (*listed, *zipped):  # how each of the two stores it
        del facts["stored_size"], facts["raw"]
    assert zipped == listed
    for wanted in (["loose"], ["--url", "~/app.js"], ["--debug-id", DEBUG_ID, "--type", "source_map"]):
        assert run("cat", bundle, *wanted) == run("cat", pack, *wanted)
    found = run("find", bundle, pack, "--path", "C:/src/main.c")
    assert found == (0, f"{bundle}: files/main.c\n{pack}: files/main.c\n", "")
    assert run("extract", bundle, "-o", tmp_path / "out").code == 0
    for name, content in FILES.items():
        assert (tmp_path / "out" / name).read_bytes() == content


def test_a_pack_is_read_from_stdin_whether_or_not_it_can_be_sought(
    run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, follower = os.pipe()
    os.write(follower, pack.read_bytes())
    os.close(follower)
    with open(pack, "rb") as seekable, open(leader, "rb") as piped:
        for stdin in (piped, seekable):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
            assert run("cat", "-", "loose").out == "not listed"
        assert run("verify", "-") == (0, "<stdin>: ok, 6 files of 80 B\n", "")
        assert run("cat", "-", "none").err.endswith(": no entry 'none'\n")


def test_damage_in_a_zip_is_found_when_it_is_read(run: Run, tmp_path: Path) -> None:
    zipped = damaged_bundle(tmp_path)
    assert "bad000" in run("ls", zipped).out
    assert "(damaged: its CRC-32" in run("ls", zipped, "--long").out
    result = run("extract", zipped, "-o", tmp_path / "out")
    assert (result.code, len(result.err.splitlines())) == (3, 2)


@pytest.mark.parametrize("command", [["info"], ["verify"], ["export", "-o", "out.zip"], ["stats"]])
def test_commands_on_packs_say_of_a_zip_that_it_is_one(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(bundle.parent)
    result = run(*command, bundle)
    assert result.code == 1
    line = (result.out + result.err).splitlines()[0].removeprefix("error: ")
    assert line == f"{bundle}: a SourceBundle zip, not a pack: convert it first"
    assert not Path("out.zip").exists()


@pytest.mark.parametrize(
    "command",
    [["info"], ["ls"], ["cat", "--url", "x"], ["find", "--url", "x"], ["verify"], ["extract", "-o", "out"]],
)
def test_commands_on_packs_say_of_a_folder_that_it_is_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*command, tmp_path)
    line = (result.out + result.err).removeprefix("error: ")
    assert (result.code, line) == (1, f"{tmp_path}: it is a folder; name the packs in it\n")
