"""Code in documents, run as a reader would run it: block after block, from the root of the project."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support.places import ROOT

__all__ = ["Block", "python_blocks", "run_blocks"]

_BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)
_RUN = """
import sys
blocks = sys.stdin.read().split("\\0")
names = {"__name__": "__main__"}
for number, block in enumerate(blocks):
    exec(compile(block, f"block {number}", "exec"), names)
    print(end="\\0", flush=True)
"""


class Block(NamedTuple):
    """A piece of Python, and what the document says that it prints; empty where it says nothing."""

    code: str
    output: str


def python_blocks(text: str) -> list[Block]:
    """Return the Python of a document, each with the text shown below it."""
    return [Block(*found) for found in _BLOCK.findall(text)]


def run_blocks(blocks: list[Block], folder: Path) -> list[str]:
    """Run blocks one after the other in one process, in a folder that has fixtures and examples beside."""
    for name in ("fixtures", "examples"):
        (folder / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input="\0".join(block.code for block in blocks),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=folder,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]
