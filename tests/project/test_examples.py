"""The examples run, and print what they are said to print."""

import os
import re
import subprocess
import sys

import pytest

from support.places import ROOT

EXAMPLES = ROOT / "examples"


def run(name: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        capture_output=True,
        env=environment,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stack_trace_is_resolved_from_a_pack() -> None:
    pytest.importorskip("symbolic.sourcemapcache")
    printed = run("resolve_stack_trace.py")
    assert re.findall(r"    at (.*) \((\.\./.*)\)", printed) == [
        ("Cart.add", "../src/cart.js:17:38"),
        ("order", "../src/main.js:8:10"),
        ("formatDay", "../src/format.js:14:15"),
        ("order", "../src/main.js:12:15"),
        ("order", "../src/main.js:7:22"),
    ]
    assert printed.count("(not in the pack)") == 3
    shown = re.findall(r"```text\n(.*?)```", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    assert all(block in printed for block in shown)


def test_the_readme_names_all_examples() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(\w+\.py)`", readme)) == {path.name for path in EXAMPLES.glob("*.py")}
