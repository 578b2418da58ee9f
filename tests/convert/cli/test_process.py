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

import srcpack_convert
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import FILES, run_process, start
from support.places import PACKS


def test_shells_complete_choices() -> None:
    words = "srcpack cat --type so"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "_SRCPACK_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    command = [sys.executable, "-m", "srcpack_convert"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    assert output.split() == ["source", "source_map"]


def test_cat_as_a_process_writes_the_bytes(pack: Path) -> None:
    process = start("cat", pack, "files/blob")
    assert process.communicate() == (FILES["files/blob"], b"")
    assert process.returncode == 0


def test_nobody_reading_ends_it_quietly(tmp_path: Path) -> None:
    pack = tmp_path / "many.srcpack"
    convert(build_bundle({f"{number:09}" * 10: b"" for number in range(3000)}, {}), pack, preset="fast")
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


def test_closed_output_is_an_error(pack: Path) -> None:
    shell = 'exec "$0" -m srcpack_convert ls "$1" >&-'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        ["sh", "-c", shell, sys.executable, pack],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (1, "error: <stdout>: it is closed\n")


def test_closed_stderr_is_no_error() -> None:
    shell = 'exec "$0" -m srcpack_convert cat "$1" none 2>&-'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = ["sh", "-c", shell, sys.executable, str(PACKS / "app.srcpack")]
    result = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (1, b"", b"")


@pytest.mark.parametrize(("name", "code", "jobs"), [("SIGINT", 130, 1), ("SIGTERM", 143, 2)])
def test_a_signal_leaves_no_file_and_the_old_pack(tmp_path: Path, name: str, code: int, jobs: int) -> None:
    noise = random.Random(1)
    files = {f"{number}": noise.randbytes(1_000_000).hex().encode() for number in range(8)}
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


def test_full_disk_names_the_pack_and_leaves_no_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    noise = random.Random(1).randbytes(200_000)
    (tmp_path / "a.zip").write_bytes(build_bundle({"a": noise}, {}, stored=True))
    result = run_process(
        "convert",
        tmp_path / "a.zip",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    assert result == (1, "", f"error: {tmp_path / 'a.srcpack'}: File too large\n")
    assert os.listdir(tmp_path) == ["a.zip"]


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
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_the_reader_as_a_module_is_the_command() -> None:
    shown = [
        subprocess.run(
            [sys.executable, "-m", module, "ls", str(PACKS / "app.srcpack"), "--json"],
            capture_output=True,
            check=True,
        ).stdout
        for module in ("srcpack", "srcpack_convert")
    ]
    assert shown[0] == shown[1] != b""
