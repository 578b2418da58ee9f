"""What reaches the terminal: nothing hostile, and errors of the output itself."""

import errno
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert.cli.terminal import size_text
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID, HOSTILE, Result, Run, assert_harmless
from support.places import PACKS


def test_no_control_character_of_a_name_reaches_the_terminal(run: Run, tmp_path: Path) -> None:
    manifest = {
        "files": {
            HOSTILE: {"type": "source", "url": HOSTILE, "headers": {"debug-id": DEBUG_ID}},
            f"{HOSTILE}gone": {"path": HOSTILE},
        },
        "source_links": {"x*": HOSTILE},
        HOSTILE: HOSTILE,
    }
    bundle = tmp_path / f"{HOSTILE}.zip"
    bundle.write_bytes(build_bundle({HOSTILE: b"content"}, manifest))
    pack = bundle.with_suffix(".srcpack")
    out = tmp_path / HOSTILE
    commands: Sequence[Sequence[object]] = [
        ("convert", bundle),
        ("convert", bundle),
        ("info", pack),
        ("ls", pack),
        ("ls", pack, "-l"),
        ("cat", pack, HOSTILE + "x"),
        ("cat", pack, f"{HOSTILE}gone"),
        ("cat", pack, "--path", "xx"),
        ("cat", pack, "--path", HOSTILE + "x"),
        ("find", pack, f"{pack}x", "--url", HOSTILE),
        ("find", pack, "--path", "xx"),
        ("extract", pack, "-o", out),
        ("extract", pack, "-o", out),
        ("verify", pack, "--against", bundle),
        ("stats", pack, f"{pack}x"),
        ("stats", pack, "--index", f"{out}.jsonl", "--force"),
        ("catalog", pack, f"{pack}x", "-o", f"{out}.db"),
        ("export", pack, "-o", f"{out}.again"),
        ("ls", pack, HOSTILE + "x"),
        ("ls", pack, f"--{HOSTILE}"),
        (HOSTILE,),
    ]
    for command in commands:
        result = run(*command)
        assert result.out + result.err
        assert_harmless(result.out, result.err)
        if command[0] not in ("export", "cat", "extract", HOSTILE):
            with_json = run(*command, "--json", *["--force"] * (command[0] == "convert"))
            assert with_json.out.isascii()
            assert_harmless(with_json.out)
    assert "[bold]x[red]" in run("ls", pack).out
    assert json.loads(run("ls", pack, "--json").out.splitlines()[0])["name"] == HOSTILE
    assert run("cat", pack, HOSTILE).out == "content"


def test_a_long_message_keeps_its_beginning_and_its_end(run: Run, pack: Path) -> None:
    result = run("cat", pack, "x" * 100_000)
    assert len(result.err) < 700
    assert result.err.startswith(f"error: {pack}: no entry 'xxx")
    assert result.err.endswith("xxx'\n")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_500, "1 MB")],
)
def test_sizes_are_told_in_three_digits(size: int, text: str) -> None:
    assert size_text(size) == text


class Unwritable(io.RawIOBase):
    """An output that gives an error, until it is repaired."""

    def __init__(self, number: int) -> None:
        self.number = number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        return len(data)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, (1, "", "error: <stdout>: No space left on device\n")),
        (errno.EPIPE, (128 + signal.SIGPIPE, "", "")),
    ],
)
def test_output_that_cannot_be_written_is_an_error_or_ends_it_quietly(
    main: Run, monkeypatch: pytest.MonkeyPatch, buffered: bool, number: int, expected: Result
) -> None:
    raw = Unwritable(number)
    below: Any = io.BufferedWriter(raw) if buffered else raw
    out = io.TextIOWrapper(below, write_through=not buffered)
    instead: list[int] = []

    def replaced(opened: int, place: int) -> None:
        os.close(opened)
        instead.append(place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup2", replaced)
        patch.setattr(sys, "stdout", out)
        result = main("ls", PACKS / "app.srcpack")
    raw.number = 0
    out.close()
    assert result == expected
    assert instead == [1] * buffered


def test_a_closed_output_is_an_error_only_for_what_is_printed(
    main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = PACKS / "app.srcpack"
    monkeypatch.setattr(sys, "stdout", None)
    assert main("ls", pack) == (1, "", "error: <stdout>: it is closed\n")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stderr", None)
    assert main("cat", pack, "none") == (1, "", "")
