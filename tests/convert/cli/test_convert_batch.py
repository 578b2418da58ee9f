"""Many bundles on the command line: what is said of them, written down, and how it ends."""

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from srcpack_convert.cli import batch_display
from srcpack_convert.cli import main as cli
from srcpack_convert.many.state import STATE_NAME
from support.batches import bundle_of, damaged_bundle, json_lines, packs, write
from support.commands import HOSTILE, Result, assert_harmless
from support.commands import Run as RunCommand
from support.places import FIXTURES, ROOT

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "

Run = Callable[..., Result]


@pytest.fixture(name="run")
def run_convert(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `convert`, and takes the times off what it says, however slow it is."""
    monkeypatch.setattr(batch_display, "_PLAIN_EVERY", 1000.0)

    def convert(*args: object) -> Result:
        code, out, err = run("convert", *args)
        return Result(code, out, re.sub(f"^{TIME}", "", err, flags=re.MULTILINE))

    return convert


def test_a_batch_says_what_it_did(run: Run, bundles: Path, out: Path) -> None:
    write(bundles, {"notes.txt": b"no zip"})
    code, printed, told = run(bundles, "-o", out)
    assert (code, told) == (0, "")
    assert re.fullmatch(
        r"3 bundles: 3 converted; zips [\d.]+ k?B, packs [\d.]+ k?B, ratio \d\.\d{3}; "
        r"1 other file passed over; \d+\.\d s\n",
        printed,
    )
    code, printed, told = run(bundles, "-o", out)
    assert (code, told) == (0, "")
    assert re.fullmatch(
        r"nothing to convert: 3 bundles, up to date; 1 other file passed over; \d+\.\d s\n", printed
    )
    figures = json.loads(run(bundles, "-o", out, "--json")[1]) | {"seconds": 0}
    sizes = {"source_size": 0, "output_size": 0, "seconds": 0, "left": 0}
    counts = {"converted": 0, "failed": 0, "with_damaged_members": 0, "pruned": 0}
    assert figures == {"inputs": 3, "skipped": 3, "ignored_files": 1, **counts, **sizes}


def test_these_make_it_a_batch(run: Run, bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, several, a pattern, a list; a folder as output, which is made if it ends in a slash."""
    listed = bundles / "list"
    listed.write_text(f"{bundles}/a.zip\n")
    zips = [bundles / "a.zip", bundles / "b/c.zip"]
    ways: list[list[object]] = [[bundles / "b"], [*zips], [bundles / "*.zip"], ["--files-from", listed]]
    ways.append([zips[0]])
    for number, args in enumerate(ways):
        assert run(*args, "-o", f"{out}{number}/")[:3:2] == (0, "")
        assert (out.with_name(f"out{number}") / STATE_NAME).exists()
    (out.with_name("there")).mkdir()
    assert run(zips[0], "-o", out.with_name("there"))[0] == 0
    assert list(packs(out.with_name("there"))) == ["a.srcpack"]
    names = os.fsencode(f"{bundles}/a.zip\n{bundles}/b/c.zip")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(names))))
    assert run("--files-from", "-", "-o", out, "--base", bundles).code == 0
    assert list(packs(out)) == ["a.srcpack", "b/c.srcpack"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], 2, "give at least one INPUT, or --files-from"),
        (["a.zip", "b.zip"], 2, "many bundles need --output, a folder for their packs"),
        (["a.zip", "--flat", "--report", "r"], 2, "--flat, --report: for many bundles; give a folder"),
        (["a.zip", "b.zip", "-o", "{file}"], 1, "{file}: it exists and is no folder"),
        (["--files-from", "{file}", "-o", "x/", "--errors-to", "{file}"], 1, "it is read for --files-from"),
        (["--files-from", "none", "-o", "x/"], 1, "none: No such file or directory"),
        (["{folder}", "-o", "x/", "--preset", "best"], 2, "preset is one of"),
        (["a.zip", "b.zip", "-o", "x.srcpack"], 2, "many bundles need a folder; one of that name ends in /"),
        (["{folder}", "-o", "x", "-q", "-v"], 2, "give --quiet or --verbose, not both"),
        (["{folder}", "-o", "x", "--fail-fast", "--max-failures", "2"], 2, "not both"),
        (["a.zip", "-v"], 2, "--verbose: for many bundles"),
        (["-", "a.zip", "-o", "x"], 2, "--files-from - reads names from stdin"),
        (["{folder}", "-o", "x", "--base", "-"], 2, "--files-from - reads names from stdin"),
        (["{folder}", "-o", "-"], 2, "- is for one bundle"),
        (["{folder}/empty", "-o", "{folder}/x/"], 1, "no SourceBundle was found; 1 other file passed over"),
    ],
)
def test_wrong_usage_of_a_batch(run: Run, tmp_path: Path, args: list[str], code: int, message: str) -> None:
    write(tmp_path, {"file": b"", "empty/notes": b""})
    places = {"file": str(tmp_path / "file"), "folder": str(tmp_path)}
    result = run(*(arg.format(**places) for arg in args))
    assert (result[0], result[1]) == (code, "")
    assert message.format(**places) in result[2]


@pytest.mark.parametrize(
    "option", ["-o", "--base", "--state", "--report", "--errors-to", "--files-from", "input"]
)
@pytest.mark.parametrize(
    "at",
    [
        ("s3:///", "names no bucket or host"),
        ("https://", "names no bucket or host"),
        ("ftp://u:hunter2@host/?hunter2", "cannot be used"),
        ("gs:/bucket/x", "two slashes"),
        ("file://", "names no file"),
    ],
)
@pytest.mark.usefixtures("bundles")
def test_what_only_looks_like_a_url_is_no_place(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, at: tuple[str, str]
) -> None:
    place, problem = at
    monkeypatch.chdir(tmp_path)
    output = [] if option == "-o" else ["-o", "out"]
    code, printed, told = run("in", *output, *([place] if option == "input" else [option, place]))
    assert (code, printed) == (2, "")
    assert problem in told
    assert "hunter2" not in told
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("option", ["--state", "--report", "--errors-to", "--files-from"])
def test_a_local_file_is_no_url(
    run: Run, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Nor `-`, which is only where names are read from."""
    monkeypatch.chdir(tmp_path)
    assert "give a path, not s3://bucket/x" in run("in", "-o", "out", option, "s3://bucket/x").err
    if option != "--files-from":
        assert "- stands for no file here; one of that name is ./-" in run("in", "-o", "out", option, "-").err
    assert os.listdir(tmp_path) == [bundles.name]
    (tmp_path / "empty").touch()
    assert run("in", "-o", "out", option, f"file://{tmp_path}/empty").code == 0


def test_what_a_batch_writes_goes_to_different_files(run: Run, bundles: Path, out: Path) -> None:
    for other in ("--errors-to", "--state"):
        result = run("convert", bundles, "-o", out, "--report", out.parent / "x", other, bundles / ".." / "x")
        assert (result.code, result.out) == (2, "")
        assert "are different files" in result.err
    assert not out.exists()


def test_a_foreign_state_file_is_told_of_before_anything_is_written_over(
    run: Run, bundles: Path, out: Path
) -> None:
    write(bundles.parent, {"theirs": bundle_of(), "report": b"old"})
    theirs, report = bundles.with_name("theirs"), bundles.with_name("report")
    told = f"error: {theirs}: it exists and is no state file\n"
    assert run(bundles, "-o", out, "--state", theirs, "--report", report) == (1, "", told)
    assert (report.read_text(), theirs.read_bytes(), out.exists()) == ("old", bundle_of(), False)


def test_a_damaged_state_file_is_a_warning(run: Run, bundles: Path, out: Path) -> None:
    run(bundles, "-o", out)
    data = (out / STATE_NAME).read_bytes().replace(b"CREATE", b"CR\xc5ATE", 1)
    (out / STATE_NAME).write_bytes(data)
    code, printed, told = run(bundles, "-o", out)
    assert (code, printed.startswith("nothing to convert")) == (0, True)
    assert told.startswith(f"warning: {out / STATE_NAME}: damaged")
    assert len(told.splitlines()) == 1
    assert (out / f"{STATE_NAME}.damaged").read_bytes() == data
    assert run(bundles, "-o", out)[2] == ""


@pytest.mark.parametrize("option", ["--report", "--errors-to"])
def test_neither_report_nor_list_is_written_over_an_input_or_a_pack(
    run: Run, bundles: Path, out: Path, option: str
) -> None:
    write(bundles, {"no bundle": b"x", "notes": b"notes"})
    run(bundles, "-o", out)
    before = packs(bundles) | packs(out)
    ends = "; write to another file\n"
    for path in (bundles / "b/c.zip", out / "a.srcpack"):
        told = f"error: {path}: it exists and is a bundle or a pack{ends}"
        assert run(bundles, "-o", out, "--force", option, path) == (1, "", told)
    for name in ("a.zip", "no bundle"):
        sources = [f"file://{bundles}/a.zip", bundles / "no bundle"]
        told = f"error: {bundles}/{name}: it is an input{ends}"
        assert run(*sources, "-o", out, "--force", option, bundles / name) == (1, "", told)
    assert packs(bundles) | packs(out) == before
    assert run(bundles, "-o", out, option, bundles / "notes")[0] == 0
    assert run(bundles, "-o", out, option, "/dev/null")[0] == 0
    assert b"notes" not in (bundles / "notes").read_bytes()


def test_a_batch_with_bad_inputs_exits_with_3_and_tells_each(run: Run, bundles: Path, out: Path) -> None:
    write(bundles, {"cut.zip": bundle_of()[:-5], "damaged.zip": damaged_bundle()})
    report, errors = out.with_name("report.jsonl"), out.with_name("errors")
    code, printed, told = run(
        bundles, bundles / "none.zip", "-o", out, "--report", report, "--errors-to", errors
    )
    assert code == 3
    assert printed.startswith("6 bundles: 4 converted, 2 failed, 1 with damaged members; ")
    patterns = [
        r"failed: .+/cut\.zip: the end record is cut off at offset \d+",
        r"failed: .+/none\.zip: No such file or directory",
        r"warning: .+/damaged\.zip: 1 member cannot be read, 'bad': its CRC-32 is .+",
    ]
    for pattern, line in zip(patterns, sorted(told.splitlines()), strict=True):
        assert re.fullmatch(pattern, line)
    lines = {os.path.basename(line["source"]): line for line in json_lines(report)}
    assert {name for name, line in lines.items() if line["status"] == "failed"} == {"cut.zip", "none.zip"}
    assert lines["none.zip"]["output"] is None
    assert lines["damaged.zip"]["damaged"][0]["member"] == "bad"
    assert lines["a.zip"]["output"] == f"{out}/a.srcpack"
    assert {"time", "seconds", "source_size", "output_size", "source_sha256", "sha256"} <= set(lines["a.zip"])
    assert sorted(errors.read_text().splitlines()) == [f"{bundles}/cut.zip", f"{bundles}/none.zip"]

    # What is skipped is as damaged as it was.
    assert run(bundles / "damaged.zip", "-o", f"{out}/")[0] == 3

    # What failed is tried again, and put where it would have been.
    (bundles / "cut.zip").write_bytes(bundle_of())
    (bundles / "none.zip").write_bytes(bundle_of())
    assert run("--files-from", errors, "--base", bundles, "-o", out)[0] == 0
    assert list(packs(out)) == [f"{name}.srcpack" for name in ("a", "b/c", "b/d", "cut", "damaged", "none")]


@pytest.mark.parametrize(("option", "failures"), [(["--fail-fast"], 1), (["--max-failures", 3], 3)])
def test_a_batch_may_end_with_its_failures(
    run: Run, tmp_path: Path, out: Path, option: list[object], failures: int
) -> None:
    names = [f"{number:02}.zip" for number in range(40)]
    write(tmp_path / "in", {**dict.fromkeys(names, bundle_of()), **dict.fromkeys(names[2:6], b"bad")})
    code, printed, told = run(tmp_path / "in", "-o", out, "-j", 1, "--json", *option)
    assert code == 1
    *lines, last = told.splitlines()
    assert [line.startswith(f"failed: {tmp_path}/in/0") for line in lines] == [True] * failures
    said = json.loads(printed)
    assert (said["failed"], said["left"] > 0) == (failures, True)
    assert re.fullmatch(
        f"error: ended after {failures} that failed, with {said['left']} (or more )?left to do; "
        "the same command goes on from here",
        last,
    )
    assert "39.srcpack" not in packs(out)


def test_a_dry_run_prints_a_line_each(run: Run, bundles: Path, out: Path) -> None:
    run(bundles / "a.zip", "-o", f"{out}/")
    code, printed, told = run(bundles, bundles / "none", "-o", out, "--dry-run")
    assert code == 3
    assert printed.splitlines() == [
        f"skip {bundles}/a.zip: {out}/a.srcpack is up to date",
        f"convert {bundles}/b/c.zip -> {out}/b/c.srcpack",
        f"convert {bundles}/b/d.zip -> {out}/b/d.srcpack",
        f"fail {bundles}/none: No such file or directory",
    ]
    assert told.splitlines()[-1].startswith("4 bundles: 2 to convert, 1 up to date, 1 failed; ")
    printed = run(bundles, "-o", out, "--dry-run", "--json")[1]
    assert [json.loads(line)["status"] for line in printed.splitlines()] == ["skipped", "planned", "planned"]
    assert list(packs(out)) == ["a.srcpack"]


def test_a_cluster_needs_dask(run: Run, bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, printed, told = run(bundles, "-o", out, "--scheduler", "tcp://127.0.0.1:1")
    assert (code, printed) == (1, "")
    assert told.startswith("error: a cluster needs dask.distributed, which is not installed: pip install ")
    assert not out.exists()


def test_thousands_of_failures_are_not_all_shown(run: Run, tmp_path: Path, out: Path) -> None:
    write(tmp_path / "in", {f"{number:03}.zip": b"" for number in range(50)})
    code, _, told = run(tmp_path / "in", "-o", out, "--report", tmp_path / "report")
    assert code == 1
    assert len(told.splitlines()) == 21
    assert told.splitlines()[-1] == f"and 30 more; {tmp_path / 'report'} has all"
    assert len((tmp_path / "report").read_text().splitlines()) == 50
    told = run(tmp_path / "in", "-o", out).err
    assert told.splitlines()[-1] == "and 30 more; --report FILE would have all"
    assert len(run(tmp_path / "in", "-o", out, "-v").err.splitlines()) == 50


def test_verbose_is_a_line_each_and_quiet_only_what_is_wrong(run: Run, bundles: Path, out: Path) -> None:
    write(bundles, {"cut.zip": b""})
    for status in ("converted", "skipped"):
        lines = run(bundles, "-o", out, "-v").err.splitlines()
        each = [rf"{status}: .+/{name}.zip -> .+/{name}.srcpack, 2 files, \d+ B" for name in "acd"]
        lines.sort(key=lambda line: (line.startswith("failed"), line))
        for pattern, line in zip([*each, r"failed: .+/cut\.zip: .+"], lines, strict=True):
            assert re.fullmatch(pattern, line)
    code, printed, told = run(bundles, "-o", out, "-q")
    assert (code, printed) == (3, "")
    assert re.fullmatch(r"failed: .+/cut\.zip: .+\n", told)
    assert run(bundles / "a.zip", "-o", out / "x.srcpack", "-q") == (0, "", "")


def test_paths_are_shown_as_one_would_name_them(
    run: Run, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(bundles, {"cut.zip": b""})
    monkeypatch.chdir(tmp_path)
    printed = run("in", "-o", "out", "--dry-run").out.splitlines()
    assert printed[:2] == ["convert in/a.zip -> out/a.srcpack", "convert in/b/c.zip -> out/b/c.srcpack"]
    assert run("in", "-o", "out", "--report", "report").err.startswith("failed: in/cut.zip: ")
    (line,) = [line for line in json_lines(tmp_path / "report") if line["status"] == "failed"]
    assert (line["source"], line["output"]) == (f"{bundles}/cut.zip", f"{tmp_path}/out/cut.srcpack")


def test_lines_for_a_log_begin_with_the_time(
    bundles: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(bundles, {"cut.zip": b""})
    assert cli.run(["convert", str(bundles), "-o", str(out)]) == 3
    assert re.fullmatch(rf"{TIME}failed: .+/cut\.zip: .+\n", capfd.readouterr().err)


def test_no_name_steers_the_terminal(run: Run, tmp_path: Path, out: Path) -> None:
    name = f"{HOSTILE}.zip"
    write(tmp_path / "in", {name: bundle_of(), f"bad{name}": b"", f"damaged{name}": damaged_bundle()})
    for options in (["--dry-run"], [], ["--force"], ["--json"], []):
        errors = tmp_path / "errors"
        code, printed, told = run(tmp_path / "in", "-o", out, "--errors-to", errors, "-0", *options)
        assert code == (0 if options == ["--dry-run"] else 3)
        assert_harmless(printed, told)
    listed = ["--files-from", tmp_path / "errors", "-0"]
    assert errors.read_bytes() == os.fsencode(f"{tmp_path}/in/bad{name}") + b"\0"
    (tmp_path / "in" / f"bad{name}").write_bytes(bundle_of())
    assert run(*listed, "--base", tmp_path / "in", "-o", out)[0] == 0


DOCUMENT = ROOT / "docs" / "batch.md"


def test_the_document_shows_what_is_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first session: what each command prints, but for times."""
    (tmp_path / "fixtures").symlink_to(FIXTURES)
    monkeypatch.chdir(tmp_path)
    session = re.findall(r"```console\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[0]
    for block in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, *expected = block.splitlines()
        program, name, *args = shlex.split(command)
        assert (program, name) == ("srcpack", "convert")
        code, printed, _ = run(*args)
        assert code == 0
        for line, shown in zip(printed.splitlines(), expected, strict="..." not in expected):
            if shown == "...":
                break
            assert re.sub(r"; [\d.]+ s$", "", line) == re.sub(r"; [\d.]+ s$", "", shown)


def test_python_in_the_document_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fixtures").symlink_to(FIXTURES)
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for expected in (" 0", "is up to date"):
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
        printed = capsys.readouterr().out
        assert sum(line.endswith(expected) for line in printed.splitlines()) >= 9
