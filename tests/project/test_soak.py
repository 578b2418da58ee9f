"""The soak, for a few seconds; and that it would find what it is there to find."""

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import samples, soak

import srcpack
from srcpack.opening import packfile_of
from srcpack.source.local import PreadSource
from support.places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are counted in /proc")

SHORT = soak.Shape(packs=3, threads=2, seconds=0.2, round=0.1, seed=1)


@pytest.mark.slow
def test_a_short_soak_holds() -> None:
    """Descriptors are counted exactly; memory may rise, as the caches are not full so soon."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MALLOC_ARENA_MAX": "1"}
    options = ["--packs", "8", "--seconds", "1", "--most-growth", "100"]
    done = subprocess.run(
        [sys.executable, "-m", "reliability.soak", *options],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("All held.\n")


def make_here(folder: Path, shape: soak.Shape) -> None:
    """Start no processes to make a few packs."""
    for number in range(shape.packs):
        soak._make_one((folder, number, shape.seed))


def leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []  # each closes itself when it is forgotten
    monkeypatch.setattr(soak.Soak, "lookup", lambda _self, _random: opened.append(PreadSource(__file__)))


def gives_wrong_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    read = srcpack.Entry.read
    monkeypatch.setattr(srcpack.Entry, "read", lambda entry: read(entry).replace(b"const", b"CONST"))


def raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_url(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(srcpack.Pack, "by_url", by_url)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "failure"),
    [
        (leaks, "descriptors: expected"),
        (gives_wrong_bytes, "AssertionError: found"),
        (raises, "RuntimeError: a mistake"),
    ],
)
def test_what_is_wrong_ends_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[pytest.MonkeyPatch], None],
    failure: str,
) -> None:
    monkeypatch.setattr(soak, "_make", make_here)
    run = soak.Soak(tmp_path, SHORT)
    damage(monkeypatch)
    run.run(lambda _row: None)
    assert failure in run.failures[0]


def test_what_ends_the_first_round_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything was counted, too."""
    monkeypatch.setattr(soak, "_make", lambda *_: None)
    monkeypatch.setattr(soak.Soak, "run", lambda self, _tell: self.failures.append("a mistake"))
    assert soak.main(["--packs", "1"]) == 1
    assert capsys.readouterr().out == "\nFAILED\na mistake\n"


def test_errors_of_verify_keep_no_pack_open(tmp_path: Path) -> None:
    """Nor do they make a cycle with a caller that keeps them, so that only the collector could close it."""
    data = bytearray((ROOT / "fixtures" / "packs" / "lines.srcpack").read_bytes())
    with srcpack.open(bytes(data)) as whole:
        data[packfile_of(whole).tail.sections[1].offset + 100] ^= 1
    (tmp_path / "a.srcpack").write_bytes(data)
    pack = srcpack.open(tmp_path / "a.srcpack")
    gone = weakref.ref(pack)
    gc.disable()
    try:
        errors = srcpack.verify(pack)
        del pack
        assert errors
        assert gone() is None
    finally:
        gc.enable()


def test_a_rise_after_the_warm_up_is_told() -> None:
    """And one before it, as of caches that fill, is not."""
    counted = [
        samples.Sample(
            seconds=10.0 * at,
            reads=at,
            descriptors=9,
            kept=1,
            threads=1,
            resident=min(at, 10) * 1_000_000,
            private=5_000_000 + at % 2,
            anonymous=at * 1000,
        )
        for at in range(61)
    ]
    late = samples.after_warm_up(counted)
    assert [late[0].seconds, late[-1].seconds] == [100, 600]
    growths = samples.growths(late)
    assert growths["resident"] == 0
    assert growths["anonymous"] == pytest.approx(50_000)
