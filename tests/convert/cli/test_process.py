"""The command line as a process: bytes, pipes, signals, terminals."""

import os
import pty
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import srcpack
import srcpack_convert
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import environment, run_process, run_python, start
from support.places import PACKS


def test_shells_complete_choices() -> None:
    words = "srcpack cat --type so"
    asked = {"_SRCPACK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    assert run_process(env=environment(**asked)).out.split() == ["source", "source_map"]


def test_nobody_reading_ends_it_quietly(tmp_path: Path) -> None:
    pack = tmp_path / "many.srcpack"
    convert(build_bundle({f"{number:09}" * 10: b"" for number in range(1000)}, {}), pack, preset="fast")
    process = start("ls", pack, "--long")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_output_is_an_error(pack: Path) -> None:
    with open("/dev/full", "wb") as full:
        result = run_process("cat", pack, "files/main.c", stdout=full)
    assert result == (1, "", "error: <stdout>: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "message"), [("ls {} >&-", "error: <stdout>: it is closed\n"), ("cat {} none 2>&-", "")]
)
def test_closed_output_is_an_error_and_closed_stderr_is_none(command: str, message: str) -> None:
    shell = f'exec "{sys.executable}" -m srcpack_convert {command.format(PACKS / "app.srcpack")}'
    done = subprocess.run(["sh", "-c", shell], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


@pytest.mark.parametrize(("name", "code", "jobs"), [("SIGINT", 130, 1), ("SIGTERM", 143, 2)])
def test_a_signal_leaves_no_file_and_the_old_pack(tmp_path: Path, name: str, code: int, jobs: int) -> None:
    noise = random.Random(1)
    files = {f"{number}": noise.randbytes(500_000).hex().encode() for number in range(8)}
    bundle, pack = tmp_path / "slow.zip", tmp_path / "slow.srcpack"
    bundle.write_bytes(build_bundle(files, {}, stored=True))
    pack.write_bytes(b"old")
    # A shell starts what is in the background with SIGINT ignored, nohup with SIGHUP: so it stays.
    process = start(
        "convert", bundle, "--force", "--level", 22, "--dictionary", "off", "--jobs", jobs,
        preexec_fn=partial(signal.signal, getattr(signal, name), signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*.tmp")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, b"")
    assert err in (b"", b"error: interrupted\n")
    assert sorted(os.listdir(tmp_path)) == ["slow.srcpack", "slow.zip"]
    assert pack.read_bytes() == b"old"


def test_progress_is_drawn_on_a_terminal(bundle: Path) -> None:
    leader, follower = pty.openpty()
    process = start("convert", bundle, stderr=follower)
    out, _ = process.communicate(timeout=60)
    os.close(follower)
    drawn = os.read(leader, 65536)
    os.close(leader)
    assert process.returncode == 0
    assert b"ing" in drawn
    assert out.startswith(bytes(bundle.with_suffix(".srcpack")))


def test_the_public_api_needs_no_command_line() -> None:
    assert srcpack_convert.__all__ == sorted(srcpack_convert.__all__)
    program = (
        "import sys, srcpack_convert; srcpack_convert.convert, srcpack_convert.export;"
        "assert not {'typer', 'rich'} & set(sys.modules)"
    )
    assert run_python("-c", program) == (0, "", "")


def test_the_reader_as_a_module_is_the_command() -> None:
    """And writes bytes as they are."""
    pack = PACKS / "app.srcpack"
    with srcpack.open(pack) as opened:
        name = next(iter(opened))
        expected = opened[name].text()
    for module in ("srcpack", "srcpack_convert"):
        assert run_python("-m", module, "cat", pack, name) == (0, expected, "")
