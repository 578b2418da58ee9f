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


@pytest.mark.parametrize(
    ("commands", "place", "problem"),
    [
        (
            ["info", "verify", "export -o x.zip", "stats"],
            "app.zip",
            "a SourceBundle zip, not a pack: convert it first",
        ),
        (["info", "ls", "cat --url x", "extract -o x"], "folder", "it is a folder; name the packs in it"),
    ],
)
@pytest.mark.usefixtures("bundle")
def test_commands_on_packs_say_of_what_is_none_what_it_is(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    commands: list[str],
    place: str,
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for command in commands:
        result = run(*command.split(), place)
        line = (result.out + result.err).splitlines()[0].removeprefix("error: ")
        assert (result.code, line) == (1, f"{place}: {problem}")
    assert sorted(os.listdir()) == ["app.zip", "folder"]


OVER_MANY = {
    "find": ["--path", "C:/src/main.c"],
    "verify": [],
    "check": [],
    "stats": [],
    "resolve": ["--at", "~/app.js:1:1", "--explain"],
}


@pytest.fixture
def tree(pack: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pack and a zip, which the working folder has as `in`."""
    (tmp_path / "in" / "below").mkdir(parents=True)
    pack.rename(tmp_path / "in" / "below" / "a.srcpack")
    bundle.rename(tmp_path / "in" / "z.zip")
    (tmp_path / "in" / "notes.txt").write_text("neither")
    (tmp_path / "list").write_bytes(b"in/below/a.srcpack\n" * 2)
    (tmp_path / "list0").write_bytes(b"in/below/a.srcpack\0")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("command", OVER_MANY)
def test_commands_over_many_packs_take_folders_patterns_and_lists(run: Run, command: str) -> None:
    """And do with them what they do with the pack named, once; what is none is told by its name."""
    expected = run(command, "in/below/a.srcpack", *OVER_MANY[command])
    assert "a.srcpack" in expected.out or command in ("stats", "resolve")
    for places in ("in/below", "in/**/*.srcpack", "--files-from list", "in/below --files-from list0 -0"):
        assert run(command, *places.split(), *OVER_MANY[command]) == expected
    result = run(command, "in/none*", *OVER_MANY[command])
    what = "no pack in it" if command in ("stats", "verify") else "no pack and no SourceBundle in it"
    assert result.code == 1
    assert f"in/none*: {what}" in result.out + result.err


@pytest.mark.usefixtures("tree")
def test_commands_that_read_zips_find_them_in_folders_too(run: Run) -> None:
    found = run("find", "in", "--path", "C:/src/main.c", "--json")
    assert [json.loads(line)["pack"] for line in found.out.splitlines()] == ["in/below/a.srcpack", "in/z.zip"]
    assert run("verify", "in").out.count("\n") == 1


@pytest.mark.parametrize("command", ["find", "verify", "check", "stats"])
@pytest.mark.parametrize(
    ("places", "problem"),
    [
        ([], "give at least one PACK, or --files-from"),
        (["a.srcpack", "-0"], "--null is only for --files-from"),
        (["ftp://host/a.srcpack"], "ftp://"),
    ],
)
def test_what_names_no_packs_is_wrong_usage(run: Run, command: str, places: list[str], problem: str) -> None:
    result = run(command, *places, *OVER_MANY[command])
    assert (result.code, result.out) == (2, "")
    assert problem in result.err


@pytest.mark.parametrize("command", OVER_MANY)
def test_a_list_of_nothing_is_no_success(run: Run, tmp_path: Path, command: str) -> None:
    """As where what made the list has failed."""
    (tmp_path / "list").write_bytes(b"\n")
    result = run(command, "--files-from", tmp_path / "list", *OVER_MANY[command])
    assert result.code == 1
    assert result.err


def test_only_one_pack_is_compared_with_a_zip(run: Run, tree: Path) -> None:
    zipped = tree / "z.zip"
    assert run("verify", "in", "--against", zipped).out.endswith(f", equal to {zipped}\n")
    (tree / "b.srcpack").write_bytes((tree / "below" / "a.srcpack").read_bytes())
    assert run("verify", "in", "--against", zipped).code == 2


@pytest.mark.usefixtures("tree")
def test_an_event_and_a_list_do_not_both_come_from_stdin(run: Run) -> None:
    for given in ([], ["-"]):
        result = run("resolve", "--files-from", "-", *given)
        assert (result.code, result.out) == (2, "")
        assert "both come from stdin" in result.err
