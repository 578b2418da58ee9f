"""The command line as a whole: help, usage, exit codes, signals."""

import errno
import os
import re
import runpy
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import srcpack
from srcpack.bundle.members import DEFAULT_LIMITS
from srcpack_convert.cli import main as cli
from srcpack_convert.cli.arguments import parse_bytes
from srcpack_convert.many.capacity import cores
from support.commands import DEBUG_ID, Run
from support.places import PACKS

COMMANDS = [
    "convert", "info", "ls", "cat", "find", "extract", "verify", "check", "resolve", "export",
    "bench", "stats", "catalog", "train",
]  # fmt: skip


GROUP: Any = typer.main.get_command(cli.app)


def test_these_are_the_commands(run: Run) -> None:
    assert list(GROUP.commands) == COMMANDS
    result = run()
    assert (result.code, result.err) == (0, "")
    assert all(f" {name} " in result.out for name in COMMANDS)
    assert "Exit codes" in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_examples_that_its_options_take(run: Run, name: str) -> None:
    command = GROUP.commands[name]
    assert any("--json" in param.opts for param in command.params)
    assert all(param.help for param in command.params)
    examples = re.findall(r"^ +srcpack (.+)$", command.help, re.MULTILINE)
    assert examples
    for example in examples:
        first, *args = shlex.split(re.split(" [|>] ", example)[0])
        assert first == name
        command.make_context(name, args)
    result = run(name, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Examples:" in result.out


@pytest.mark.parametrize("name", ["convert", "verify"])
def test_help_shows_the_limits_as_they_are(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run(name, "--help").out
    for option in ("max-file-size", "max-total-size", "max-manifest-size"):
        match = re.search(rf"--{option} BYTES\s[^-]*?(\w+)\s+by\s+default", text)
        assert match is not None
        assert parse_bytes(match[1]) == getattr(DEFAULT_LIMITS, option.replace("-", "_"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["\x1b[31m"], r"No such command '\\x1b\[31m'"),
        (["ls"], "Missing argument"),
        (["cat", "p"], "exactly one of NAME, --url, --path, --debug-id"),
        (["cat", "p", "n", "--url", "u"], "exactly one of"),
        (["cat", "p", "--debug-id", DEBUG_ID], "--debug-id needs --type: source, minified_source, "),
        (["cat", "p", "n", "--type", "source"], "--type is only for --debug-id$"),
        (
            ["cat", "p", "--debug-id", DEBUG_ID, "--type", "wasm"],
            r"'--type': 'wasm' is not one of 'source', ",
        ),
        (["find", "p"], "exactly one of --url, --path, --debug-id"),
        (["find", "p", "--url", "u", "--type", "source"], "--type is only for --debug-id$"),
        (["find", "p", "--debug-id", "zz"], "invalid debug id 'zz'"),
        (["find", "--catalog", "c", "--path", "a"], "a catalog has no paths"),
        (["find", "p", "--catalog", "c", "--url", "a"], "give packs or a --catalog, not both"),
        (["verify", "p", "q", "--against", "z"], "--against takes one pack"),
        (["extract", "p"], "--output"),
        (["extract", "p", "-o", "-"], "- is stdout, which this is not written to"),
        (["extract", "p", "-o", "s3://k:pw@x/y"], "writes to URLs; give a path, not s3://x/y$"),
        (["extract", "p", "-o", "file://elsewhere/y"], "a file of another host"),
        (
            ["export", "p", "-o", "s3://x/y.zip"],
            "only convert writes to URLs; give a path, not s3://x/y.zip$",
        ),
        (["stats", "p", "--index", "s3://x/y.jsonl"], "give a path, not s3://x/y.jsonl$"),
        (["stats", "p", "s3:///", "--index", "i.jsonl"], "no bucket"),
        (["stats", "p", "ftp://h/x"], "cannot be used"),
        (["stats", "p", "-"], "./-"),
        (["bench", "z", "--plot", "s3://x/y.svg"], "give a path, not s3://x/y.svg$"),
        (["bench", "z", "--plot", "plot.gif"], "pdf, png, svg"),
        (["bench", "z", "--plot", "plot"], "pdf, png, svg"),
        (["bench", *["z"] * 51, "--plot", "plot.png"], "at most 50"),
        (["bench", "z", "--preset", "none"], "--preset is one of"),
        (["bench", "z", "--threads", "1"], "threads"),
        (["convert", "z", "--jobs", "0"], "'--jobs' / '-j': '0' is no whole number from 1 on"),
        (["convert", "z", "--level", "abc"], "'--level': 'abc' is no whole number from 1 on"),
        (["convert", "z", "--max-files", "-1"], "'--max-files': '-1' is no whole number from 1 on"),
        (["convert", "z", "--frame-size", "1x"], "'1x' is no number of bytes"),
        (["convert", "z", "--preset", "best"], "preset is one of"),
        (["convert", "z", "--dictionary", "2M"], "a dictionary has 1 to"),
        (["convert", "z", "-o", __file__, "--preset", "mx"], "preset is one of"),
        (["convert", "z", "y", "-o", __file__, "--level", "99"], "level is 1 to 22, not 99"),
        (["convert", "z", "-o", "-", "--json"], "--json: stdout gets the pack"),
        (["convert", "z", "y", "-o", "-"], "- is for one bundle"),
        (["convert", "-", "y", "-o", "x/"], "- is for one bundle"),
        (["convert", "-"], "-: give --output, nothing is put beside it"),
        (["convert", "http://u:p@host/z?s"], "http://host/z: give --output, nothing is put beside it"),
        (["train", "z", "-o", "d", "--size", "1K"], "size"),
        (["train", "z", "-o", "d", "--size", "2M"], "size"),
    ],
)
def test_wrong_usage_is_told_in_two_lines_and_exits_with_2(run: Run, args: list[str], message: str) -> None:
    result = run(*args)
    assert (result.code, result.out) == (2, "")
    assert re.search(message, result.err, re.MULTILINE)
    assert result.err.startswith("error: ")
    assert result.err.count("\n") <= 2


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "", "-o", "out"],
        ["convert", "z", "", "-o", "out"],
        ["convert", "z", "-o", ""],
        ["convert", "z", "y", "-o", ""],
        ["convert", "z", "-o", "out/", "--base", ""],
        ["convert", "z", "-o", "out/", "--state", ""],
        ["convert", "z", "-o", "out/", "--report", ""],
        ["convert", "--files-from", "", "-o", "out"],
        ["extract", "p", "-o", ""],
        ["export", "p", "-o", ""],
        ["train", "z", "-o", ""],
        ["catalog", "", "-o", "c.db"],
        ["catalog", "p", "-o", ""],
        ["stats", ""],
        ["verify", ""],
        ["check", "p", ""],
        ["find", "", "--url", "x"],
        ["find", "--catalog", "", "--url", "x"],
        ["train", "", "-o", "d"],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_never_the_working_folder(
    run: Run, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set would have all that is there searched, or written to."""
    monkeypatch.chdir(tmp_path)
    result = run(*command)
    assert (result.code, result.out) == (2, "")
    assert "a name is empty" in result.err
    assert list(tmp_path.iterdir()) == []


def test_the_program_exits_with_the_code_of_its_command(main: Run) -> None:
    pack = PACKS / "app.srcpack"
    result = main("ls", pack)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == list(srcpack.open(pack))
    assert main("cat", pack, "none") == (1, "", f"error: {pack}: no entry 'none'\n")
    assert main("cat").code == 2


def test_the_module_is_the_program_where_it_is_run_and_only_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], main: Run
) -> None:
    expected = main("--version")
    assert expected.out == f"srcpack {srcpack.__version__}\n"
    # A process that was spawned imports the main module by another name.
    runpy.run_module("srcpack_convert.__main__", run_name="__mp_main__")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "argv", ["srcpack", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("srcpack_convert", run_name="__main__")
    assert (caught.value.code, *capsys.readouterr()) == expected == (0, expected.out, "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_command_after_it_cleaned_up(
    main: Run, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    for number in cli._SIGNALS:  # who runs the tests may ignore some, and then they stay ignored
        signal.signal(number, signal.SIG_DFL)
    cleaned: list[str] = []

    def command(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(getattr(signal, name))
        finally:
            signal.raise_signal(signal.SIGTERM)  # a second one does not end the cleaning up
            cleaned.append("up")
            raise OSError(errno.EIO, "and then that fails too")

    monkeypatch.setattr(cli, "app", command)
    assert main("ls") == (code, "", "error: interrupted\n" if name == "SIGINT" else "")
    assert cleaned == ["up"]


def test_a_signal_that_is_ignored_stays_so(main: Run) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert main("--version").code == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is cli._on_signal


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "error: out of memory\n"),
        (typer.Abort(), 130, ""),
        (OSError("no number"), 1, "error: no number\n"),
        (ValueError("an option is wrong"), 2, "error: an option is wrong\n"),
    ],
)
def test_what_a_command_raises_becomes_a_line_and_a_code(
    main: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    """But an error of the program itself is not hidden."""
    raised = [RuntimeError("a mistake of ours"), error]

    def command(*_: object, **__: object) -> None:
        raise raised.pop()

    monkeypatch.setattr(cli, "app", command)
    assert main("ls") == (code, "", message)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        cli.run(["ls"])


def test_cores_are_counted_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.parametrize("name", ["convert", "cat", "find", "stats", "resolve", "bench"])
def test_help_fits_a_terminal_of_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    text = run(name, "--help").out
    before, examples, after = re.split(r"(  Examples:\n(?:    .*\n)+)", text)
    assert all(line.startswith("    srcpack ") or "srcpack" in line for line in examples.splitlines()[1:])
    assert max(map(len, (before + after).splitlines())) <= 80
    assert "<bool>" not in text
    assert "default: (" not in text
