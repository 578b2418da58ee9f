"""Conversion when the worst happens: killed, no room, no permission, an input that changes or is none."""

import errno
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import crash

from srcpack import FormatError
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.commands import Run, environment, run_process
from support.places import BUNDLES, PACKS

APP = BUNDLES / "app.zip"

# ---- killed


@pytest.mark.slow
@pytest.mark.parametrize("command", [crash.convert_command, crash.batch_command])
def test_a_killed_conversion_leaves_old_packs_or_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., list[str]]
) -> None:
    """A few times; `reliability.crash` kills hundreds of them."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    report = crash.crash(
        command(tmp_path, files=12),
        tmp_path / "out",
        kills=2,
        random=random.Random(1),
        at_a_time=crash.JOBS,
        old=crash.old_pack(tmp_path),
    )
    assert not report.failures
    assert report.kills.total() == 2
    assert report.completed


IN_PLACE = """
open(".0.tmp", "wb").close()
with open("a.srcpack", "wb", buffering=0) as file:
    file.write(pack[:500])
    time.sleep(0.4)
    file.write(pack[500:])
os.unlink(".0.tmp")
"""
LITTERING = """
with open(f".{os.getpid()}.tmp", "wb") as file:
    time.sleep(0.2)
    file.write(pack)
os.link(file.name, "new")
os.replace("new", "a.srcpack")
"""
ONLY_ONCE = """
with open(".0.tmp", "xb") as file:
    time.sleep(0.2)
    file.write(pack)
os.replace(".0.tmp", "a.srcpack")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "failure"),
    [
        (IN_PLACE, "a.srcpack is neither what it was"),
        (LITTERING, "left"),
        (ONLY_ONCE, "running again: exit code 1"),
    ],
)
def test_commands_that_do_it_wrong_are_found(tmp_path: Path, program: str, failure: str) -> None:
    begin = "import os, sys, time; os.chdir(sys.argv[1]); pack = open(sys.argv[2], 'rb').read()"
    places = [os.fspath(tmp_path / "out"), os.fspath(PACKS / "app.srcpack")]
    report = crash.crash(
        [sys.executable, "-c", begin + program, *places], tmp_path / "out", kills=4, random=random.Random(1)
    )
    assert failure in report.failures[0]


# ---- no room, no permission


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A bundle whose pack has over 200,000 bytes."""
    path = tmp_path / "a.zip"
    path.write_bytes(build_bundle({"a": random.Random(1).randbytes(200_000)}, {}, stored=True))
    return path


def test_a_file_size_limit_leaves_the_old_pack_and_nothing_else(noise: Path, tmp_path: Path) -> None:
    (tmp_path / "a.srcpack").write_bytes(b"old")
    limit = resource.RLIMIT_FSIZE, (65536, 65536)
    result = run_process("convert", noise, "--force", preexec_fn=lambda: resource.setrlimit(*limit))
    assert result == (1, "", f"error: {tmp_path / 'a.srcpack'}: File too large\n")
    assert (tmp_path / "a.srcpack").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.srcpack", "a.zip"]


def test_a_full_disk_and_a_read_only_one_leave_the_old_pack_and_nothing_else(
    noise: Path, tmp_path: Path
) -> None:
    """The disk is mounted for these commands alone, in a name space of their own."""
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs -o size=128k tmpfs mount"
    (tmp_path / "mount").mkdir()
    try:
        subprocess.run([*unshare, mount], cwd=tmp_path, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    shell = f"""
        {mount} && printf old > mount/a.srcpack
        "$0" -m srcpack_convert convert "$1" -o mount/a.srcpack --force
        mount -o remount,ro mount
        "$0" -m srcpack_convert convert "$1" -o mount/a.srcpack --force
        ls -A mount; cat mount/*
    """
    done = subprocess.run(
        [*unshare, shell, sys.executable, noise],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "a.srcpack\nold"
    assert done.stderr.splitlines() == [
        "error: mount/a.srcpack: No space left on device", "error: mount/a.srcpack: Read-only file system"
    ]  # fmt: skip


def without_privileges() -> list[str]:
    """Return what a command begins with to be held to permissions, whoever runs the tests."""
    if os.geteuid():
        return []
    setpriv = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    try:
        subprocess.run([*setpriv, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"root is not held to permissions, and setpriv does not help: {error}")
    return setpriv


@pytest.mark.parametrize("what", ["input", "folder"])
def test_what_is_not_permitted_is_one_line(tmp_path: Path, what: str) -> None:
    (tmp_path / "a.zip").write_bytes(APP.read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "a.zip").chmod(0 if what == "input" else 0o600)
    (tmp_path / "out").chmod(0o500 if what == "folder" else 0o700)
    command = [sys.executable, "-m", "srcpack_convert", "convert", "a.zip", "-o", "out/a.srcpack"]
    done = subprocess.run(
        [*without_privileges(), *command],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    named = "a.zip" if what == "input" else "out/a.srcpack"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {named}: Permission denied\n")
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("reads", [0, 5, 12])
def test_an_input_that_the_disk_does_not_give_is_no_damaged_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    pread, done = os.pread, iter(range(1000))

    def failing(number: int, length: int, offset: int) -> bytes:
        if next(done) >= reads:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(number, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(OSError, match="Input/output error"):
        convert(APP, tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


# ---- an input that changes, or is none


def rewrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with open(path, "r+b") as file:
        file.write(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten": rewrite,
    "truncated": lambda path: os.truncate(path, 40_000),
    "emptied": lambda path: os.truncate(path, 0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("jobs", "verify"), [(1, True), (2, False)])
def test_an_input_that_changes_is_refused(tmp_path: Path, change: str, jobs: int, verify: bool) -> None:
    """Its members would be recorded as damaged in a pack that is whole."""
    source, target = tmp_path / "a.zip", tmp_path / "a.srcpack"
    contents = {f"f{number}": random.Random(number).randbytes(4000) for number in range(20)}
    source.write_bytes(build_bundle(contents, {"files": {}}))
    target.write_bytes(b"old")
    status = source.stat()

    def progress(done: int, _all: int) -> None:
        if done == 8000:
            CHANGES[change](source)
            os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))

    problem = r"a\.zip: it changed while it was converted: SHA-256: found [0-9a-f]"
    with pytest.raises(FormatError, match=problem):
        convert(source, target, force=True, jobs=jobs, verify=verify, progress=progress)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.srcpack", "a.zip"]


def test_an_input_that_is_replaced_or_grows_is_converted_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "a.zip"
    source.write_bytes(APP.read_bytes())

    def progress(done: int, total: int) -> None:
        if done == total:
            (tmp_path / "other").write_bytes(b"another file")
            (tmp_path / "other").rename(source)
        elif source.stat().st_size == APP.stat().st_size:
            with open(source, "ab") as file:
                file.write(b"more")

    convert(source, tmp_path / "a.srcpack", progress=progress)
    assert source.read_bytes() == b"another file"
    assert (tmp_path / "a.srcpack").read_bytes() == (PACKS / "app.srcpack").read_bytes()


def make_folder_loop(path: Path) -> None:
    path.mkdir()
    (path / "inner").symlink_to(path)


INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a fifo that nobody writes to": (os.mkfifo, "a.zip: not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "a.zip: not a regular file"),
    "a terminal": (lambda path: path.symlink_to("/dev/ptmx"), "a.zip: not a regular file"),
    "a loop of links": (lambda path: path.symlink_to(path), "a.zip: Too many levels of symbolic links"),
    "an empty folder": (Path.mkdir, "no SourceBundle was found"),
    "a folder that leads to itself": (
        make_folder_loop,
        "no SourceBundle was found; 1 other file passed over",
    ),
}


@pytest.mark.parametrize(("make", "message"), INPUTS.values(), ids=list(INPUTS))
def test_an_input_that_is_no_file_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], message: str
) -> None:
    """The library, too, takes files only."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a.zip")
    assert run("convert", "a.zip", "-o", "out") == (1, "", f"error: {message}\n")
    with pytest.raises((FormatError, OSError), match=r"not a regular file|symbolic links"):
        convert(tmp_path / "a.zip", tmp_path / "a.srcpack")
    assert not list(tmp_path.glob("**/*.srcpack"))
    assert not list(tmp_path.glob(".*.tmp"))
