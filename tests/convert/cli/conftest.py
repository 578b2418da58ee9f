"""Fixtures of the command line's tests: the whole program, and a bundle and its pack to run it on."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from srcpack_convert.cli import main as cli
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import FILES, MANIFEST, Result, Run


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return a function that runs the whole program in this process."""
    handlers = [(number, signal.getsignal(number)) for number in cli._SIGNALS]

    def run_main(*args: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["srcpack", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, captured.out, captured.err)

    yield run_main
    for number, handler in handlers:
        signal.signal(number, handler)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "app.zip"
    path.write_bytes(build_bundle(FILES, MANIFEST))
    return path


@pytest.fixture
def pack(bundle: Path) -> Path:
    path = bundle.with_suffix(".srcpack")
    convert(bundle, path)
    return path
