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


def test_commands_in_the_readme_run(tmp_path: Path) -> None:
    commands = [line[2:] for block in blocks("console") for line in block.splitlines()]
    assert [command for command in commands if not command.startswith(SET_UP)]
    for command in commands:
        if command.startswith(SET_UP):
            continue
        program, *arguments = shlex.split(command.replace("/tmp/", f"{tmp_path}/"))
        assert program == ".venv/bin/srcpack"
        assert run([sys.executable, "-m", "srcpack_convert", *arguments])


def test_what_the_readme_shows_of_a_command_is_what_it_prints(tmp_path: Path) -> None:
    shown = re.findall(r"```console\n([^`]*)```\n\n```text\n([^`]*)```", README)
    assert shown
    for commands, output in shown:
        lines = commands.replace("/tmp/", f"{tmp_path}/").splitlines()
        printed = [run([sys.executable, "-m", "srcpack_convert", *shlex.split(line)[2:]]) for line in lines]
        assert printed[-1].rstrip() == output.rstrip()


def test_files_that_the_readme_names_are_there() -> None:
    for line in re.findall(r"^\| (`[^|]*\.(?:py|/)?.*?) \|", README, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([^`]+)`", line):
            if " " in name:
                continue
            path = name if "/" in name else f"{folder}/{name}"
            folder = os.path.dirname(path)
            assert (ROOT / path).exists(), path


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "$ .venv/bin/python -m pytest -n 2\n" in README
    assert '/bin/python" -m pytest -n 2' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
