"""The public interface, held against the types that both checkers see."""

import subprocess
import sys
from pathlib import Path

import pytest

import srcpack
import srcpack.resolve
import srcpack_convert
from support.places import ROOT

API = Path(__file__).with_name("api.py")


@pytest.mark.slow
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_right_uses_of_the_interface_have_their_types_and_wrong_ones_are_refused(checker: str) -> None:
    pytest.importorskip(checker, reason="comes with the extra `lint`")
    more = ["--pythonpath", sys.executable] if checker == "pyright" else []
    ran = subprocess.run(
        [sys.executable, "-m", checker, *more, str(API)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_every_public_name_is_used() -> None:
    text = API.read_text()
    for package in (srcpack, srcpack.resolve, srcpack_convert):
        assert [name for name in package.__all__ if name not in text] == []
