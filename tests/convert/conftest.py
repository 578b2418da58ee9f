"""Some bundles, and a place for their packs; how a command is run; a bucket."""

import os
import sys
from pathlib import Path

import pytest

from srcpack_convert.cli import main as cli
from support.batches import write
from support.commands import Result, Run
from support.s3_server import Bucket, S3Server


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return write(tmp_path / "in", ["a.zip", "b/c.zip", "b/d.zip"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Return a function that runs one command in this process."""

    def run_command(*args: object) -> Result:
        capfdbinary.readouterr()
        code = cli.run([str(arg) for arg in args])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Result(code, captured.out.decode(), captured.err.decode())

    return run_command


@pytest.fixture
def bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which this process and those that it starts find by the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Bucket(s3.empty())
