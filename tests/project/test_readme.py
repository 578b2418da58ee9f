"""What the README shows is run, and what it names is there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import python_blocks
from support.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
SET_UP = ("python3 -m venv", ".venv/bin/pip", ".venv/bin/python -m pytest")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(arguments: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(arguments, capture_output=True, cwd=ROOT, env=environment, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


SNIPPETS = python_blocks(README)


@pytest.mark.parametrize(("block", "output"), SNIPPETS, ids=range(len(SNIPPETS)))
def test_python_in_the_readme_runs_and_prints_what_is_shown(block: str, output: str, tmp_path: Path) -> None:
    printed = run([sys.executable, "-c", block.replace("/tmp/", f"{tmp_path}/")])
    assert printed
    if output:
        assert printed == output


def commands_of(block: str, folder: Path) -> list[list[str]]:
    """Return the commands of a block, without those that set up, as arguments of srcpack."""
    found = []
    for command in re.split(r" && |\n\$ ", block.removeprefix("$ ").strip()):
        if not command.startswith(SET_UP):
            program, *arguments = shlex.split(command.replace("/tmp/", f"{folder}/"))
            assert program == ".venv/bin/srcpack"
            found.append(arguments)
    return found


def test_commands_in_the_readme_run_and_print_what_is_shown(tmp_path: Path) -> None:
    shown = 0
    for block in re.findall(r"```console\n.*?```(?:\n\n```text\n.*?```)?", README, re.DOTALL):
        console, *output = re.findall(r"```\w+\n(.*?)```", block, re.DOTALL)
        commands = commands_of(console, tmp_path)
        printed = [run([sys.executable, "-m", "srcpack_convert", *command]) for command in commands]
        assert all(printed)
        if output:
            shown += 1
            assert printed[-1].rstrip() == output[0].rstrip()
    assert shown


def test_two_lines_set_up_and_do_what_they_are_for() -> None:
    """`.ci/run` takes them from here, and runs them in a clone."""
    lines = re.findall(r"^\$ (python3 -m venv .*)$", README, re.MULTILINE)
    assert [line.rsplit(" && ", 1)[1].split()[0] for line in lines] == [
        ".venv/bin/srcpack",
        ".venv/bin/python",
    ]
    assert lines[1].endswith(" && .venv/bin/python -m pytest -n 2")


def test_files_that_the_table_of_rooms_names_are_there() -> None:
    for line in re.findall(r"^\| (`[^|]*\.(?:py|/)?.*?) \|", DESIGN, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([^`]+)`", line):
            if " " in name:
                continue
            path = name if "/" in name else f"{folder}/{name}"
            folder = os.path.dirname(path)
            assert (ROOT / path).exists(), path
