"""Many bundles on the command line, as a process that signals, or a reader that goes away, end."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

import srcpack
from support.batches import batch, bundle_of, packs, write
from support.bundle_builder import build_bundle
from support.commands import environment, start

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "


def default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_a_batch_cleanly(tmp_path: Path, out: Path, name: str, code: int) -> None:
    """As Ctrl-C does, to all processes of the group, twice: no temporary file, no traceback."""
    noise = [random.Random(number).randbytes(100_000).hex().encode() for number in range(24)]
    bundles = {f"{at}.zip": build_bundle({"x": each}, {}, stored=True) for at, each in enumerate(noise)}
    write(tmp_path / "in", bundles)
    process = start(
        "convert",
        tmp_path / "in", "-o", out, "--level", 22, "-j", 2,
        preexec_fn=default_signals, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out.glob("*.srcpack")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for _ in range(2):
        if name == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            os.killpg(process.pid, getattr(signal, name))
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (code, b"")
    lines = re.sub(TIME, "", told.decode()).splitlines()
    assert ("error: interrupted" in lines) == (name == "SIGINT")
    assert all(line.startswith(("so far ", "error: interrupted")) for line in lines), lines
    assert all(path.endswith(".srcpack") for path in packs(out))
    for path in out.glob("*.srcpack"):
        with srcpack.open(path) as pack:
            assert pack["x"].size == 200_000


@pytest.mark.slow
def test_a_batch_that_is_interrupted_anywhere_comes_to_the_same_bytes(tmp_path: Path, out: Path) -> None:
    """By SIGKILL and by Ctrl-C, to all its processes at random instants, and then run to its end."""
    names = [f"{number:02}.zip" for number in range(12)]
    source = write(tmp_path / "in", {name: bundle_of(name, files=60) for name in names})
    batch([source], tmp_path / "undisturbed")
    expected = packs(tmp_path / "undisturbed")
    instants = random.Random(6)
    codes: list[int] = []
    for number in (signal.SIGKILL, signal.SIGINT, None):
        process = start(
            "convert", source, "-o", out, "-j", 2, preexec_fn=default_signals, start_new_session=True
        )
        if number is not None:
            enough = len(list(out.glob("*.srcpack"))) + instants.randrange(1, 4)
            while process.poll() is None and len(list(out.glob("*.srcpack"))) < enough:
                time.sleep(0.001)
            time.sleep(instants.uniform(0, 0.02))
            os.killpg(process.pid, number)
        process.communicate(timeout=60)
        for path in out.glob("*.srcpack"):
            assert path.read_bytes() == expected[path.name]
        codes.append(process.returncode)
    assert codes == [-signal.SIGKILL, 130, 0]
    assert packs(out) == expected


def test_a_dry_run_that_nobody_reads_has_nothing_to_go_on_with(bundles: Path, out: Path) -> None:
    process = start("convert", bundles, "-o", out, "--dry-run", env=environment(PYTHONUNBUFFERED="1"))
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as told:
        assert (told.read(), process.wait(60)) == (b"", 141)
