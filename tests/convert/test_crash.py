"""Conversion when the worst happens: killed, no room, no permission, an input that changes or is none."""

import errno
import fcntl
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import crash

import srcpack
from srcpack import FormatError
from srcpack.opening import packfile_of
from srcpack_convert import atomic_write as output
from srcpack_convert import convert, export
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.cli import main as cli
from support.bundle_builder import build_bundle
from support.places import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
APP = ROOT / "fixtures" / "bundles" / "app.zip"
APP_PACK = ROOT / "fixtures" / "packs" / "app.srcpack"


def run(*command: object, folder: Path) -> tuple[int, str, str]:
    """Run a command; return its exit code, stdout and stderr."""
    done = subprocess.run(
        [str(each) for each in command],
        env=ENVIRONMENT,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def asides(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*.tmp"))


# ---- killed


@pytest.mark.slow
@pytest.mark.parametrize("command", [crash.convert_command, crash.batch_command])
def test_a_killed_conversion_leaves_old_packs_or_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., list[str]]
) -> None:
    """A few times; `reliability.crash` kills hundreds of them."""
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
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
    report = crash.crash(
        [sys.executable, "-c", begin + program, os.fspath(tmp_path / "out"), os.fspath(APP_PACK)],
        tmp_path / "out",
        kills=4,
        random=random.Random(1),
    )
    assert failure in report.failures[0]


# ---- temporary files


def leave_one(target: Path) -> Path:
    """Leave what a process leaves that is killed while it writes a file: nobody has it locked any more."""
    with pytest.raises(KeyboardInterrupt), written_aside(target) as (_, aside):
        raise KeyboardInterrupt
    aside.write_bytes(b"half")
    return aside


def fail(_done: int, _all: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("fails", [False, True])
def test_the_next_one_removes_what_a_killed_process_left(tmp_path: Path, fails: bool) -> None:
    target = tmp_path / "a.srcpack"
    leave_one(target)
    for other in (tmp_path / "b.srcpack", tmp_path / "a.srcpack2"):
        convert(APP, other)
        assert len(asides(tmp_path)) == 1  # it is not theirs
    if fails:
        with pytest.raises(KeyboardInterrupt):
            convert(APP, target, force=True, progress=fail)
    else:
        convert(APP, target)
    assert asides(tmp_path) == []


def test_what_a_killed_process_left_beside_another_writer_is_removed(tmp_path: Path) -> None:
    """By the other one when it is done, and by the next where the other was killed too."""
    target = tmp_path / "a.srcpack"
    with written_aside(target) as (first, _):
        first.write(b"first")
        leave_one(target)
        assert len(asides(tmp_path)) == 2
    assert os.listdir(tmp_path) == ["a.srcpack"]
    with written_aside(target) as (_, aside):
        left = leave_one(target)
        assert left != aside
    left.write_bytes(b"half")
    convert(APP, target)
    assert os.listdir(tmp_path) == ["a.srcpack"]


def test_writers_of_one_output_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with written_aside(target) as (first, _):
        with pytest.raises(KeyboardInterrupt):
            convert(APP, target, progress=fail)
        assert len(asides(tmp_path)) == 1
        with written_aside(target) as (second, _):
            second.write(b"second")
        assert target.read_bytes() == b"second"
        first.write(b"first")
    assert target.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_was_taken_for_abandoned_before_it_was_locked_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by another process, which has it locked, or has removed it already."""
    flock, others = fcntl.flock, list[int]()

    def late(number: int, operation: int) -> None:
        if len(others) == 0:
            others.append(os.open(tmp_path / asides(tmp_path)[-1], os.O_RDWR))
            flock(others[0], fcntl.LOCK_EX)
        elif len(others) == 1:
            others.append(0)
            os.unlink(tmp_path / asides(tmp_path)[-1])
        flock(number, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with written_aside(tmp_path / "a") as (out, path):
        out.write(b"third")
        assert path.name.endswith(".2.tmp")
    os.close(others[0])
    assert (tmp_path / "a").read_bytes() == b"third"


def test_one_that_another_process_removes_and_makes_anew_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, flock = leave_one(tmp_path / "a"), fcntl.flock

    def late(number: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        left.rename(tmp_path / "gone")
        left.write_bytes(b"of a process that lives")
        flock(number, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with written_aside(tmp_path / "a") as (_, path):
        assert path != left
        assert left.read_bytes() == b"of a process that lives"


def test_a_folder_that_is_not_there_is_told_by_the_name_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, written_aside(tmp_path / "none" / "a"):
        pass
    assert error.value.filename == str(tmp_path / "none" / "a")


@pytest.mark.parametrize("name", ["_open", "_lock"])
def test_a_signal_when_the_file_was_just_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = getattr(output, name)

    def interrupted(*args: object, **values: object) -> None:
        done = real(*args, **values)
        if name == "_open":
            os.close(done)
        raise KeyboardInterrupt

    monkeypatch.setattr(output, name, interrupted)
    with pytest.raises(KeyboardInterrupt), written_aside(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == []


def test_where_files_cannot_be_locked_none_is_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.srcpack"
    left = leave_one(target)

    def no_locks(_number: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    convert(APP, target)
    with pytest.raises(KeyboardInterrupt):
        convert(APP, target, force=True, progress=fail)
    assert asides(tmp_path) == [left.name]
    assert packfile_of(srcpack.open(target)).tail.entry_count


def test_an_output_that_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "folder"):
        for write in (lambda to: convert(APP, to), lambda to: export(APP_PACK, to)):
            with pytest.raises(FileExistsError, match="not a regular file"):
                write(tmp_path / name)
    assert (tmp_path / "fifo").is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["fifo", "folder"]


# ---- what is replaced


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o777])
def test_what_replaces_a_file_has_its_permissions(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "a.srcpack"
    target.write_bytes(b"old")
    target.chmod(mode)
    with written_aside(target) as (out, aside):
        assert permissions(aside) & ~mode in (0, 0o200)
        out.write(b"new")
    assert (target.read_bytes(), permissions(target)) == (b"new", mode)


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    """Which stays as it is all the time, as it is that of other threads too."""
    code = (
        "import os, sys; from srcpack_convert.atomic_write import written_aside; os.umask(0o027)\n"
        "before = os.umask\ndef umask(_): raise AssertionError\nos.umask = umask\n"
        "with written_aside(sys.argv[1]): pass\n"
    )
    assert run(sys.executable, "-c", code, tmp_path / "a", folder=tmp_path) == (0, "", "")
    assert permissions(tmp_path / "a") == 0o640


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.srcpack").write_bytes(b"old")
    (tmp_path / "there" / "a.srcpack").chmod(0o600)
    for name in ("a.srcpack", "new.srcpack"):
        link = tmp_path / name
        link.symlink_to(Path("there") / name)
        convert(APP, link, force=True)
        assert link.is_symlink()
        assert (tmp_path / "there" / name).read_bytes() == APP_PACK.read_bytes()
    assert permissions(tmp_path / "there" / "a.srcpack") == 0o600
    assert sorted(os.listdir(tmp_path / "there")) == ["a.srcpack", "new.srcpack"]


def test_a_link_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    make_link_loop(tmp_path / "a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"), written_aside(tmp_path / "a"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


# ---- no room, no permission


@pytest.fixture
def on_a_mount(tmp_path: Path) -> Callable[..., list[object]]:
    """Return what runs a shell's commands in a folder `mount` that is mounted with some options.

    It is mounted for those commands alone, in a name space of their own: so nothing has to be unmounted.
    """
    unshare = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    (tmp_path / "mount").mkdir()

    def command(options: str, shell: str) -> list[object]:
        mount = f"mount -t tmpfs -o {options} tmpfs mount && {shell}"
        return [*unshare, "sh", "-c", mount, sys.executable]

    return command


def test_a_full_disk_leaves_the_old_pack_and_nothing_else(
    tmp_path: Path, on_a_mount: Callable[..., list[object]]
) -> None:
    """And with more room it goes on as if nothing had been."""
    noise = {f"f{number}": random.Random(number).randbytes(40_000) for number in range(20)}
    (tmp_path / "a.zip").write_bytes(build_bundle(noise, {"files": {}}, stored=True))
    shell = """
        "$0" -m srcpack_convert convert fixture.zip -o mount/a.srcpack >&2 || exit 9
        cp mount/a.srcpack before
        "$0" -m srcpack_convert convert a.zip -o mount/a.srcpack --force && exit 9
        ls -A mount; cmp before mount/a.srcpack || exit 9
        mount -o remount,size=2m mount
        "$0" -m srcpack_convert convert a.zip -o mount/a.srcpack --force >&2
    """
    (tmp_path / "fixture.zip").symlink_to(APP)
    code, out, err = run(*on_a_mount("size=256k", shell), folder=tmp_path)
    assert (code, out) == (0, "a.srcpack\n")
    assert "error: mount/a.srcpack: No space left on device\n" in err


def test_a_read_only_disk_is_one_line(tmp_path: Path, on_a_mount: Callable[..., list[object]]) -> None:
    (tmp_path / "a.zip").symlink_to(APP)
    shell = '"$0" -m srcpack_convert convert a.zip -o mount/a.srcpack'
    assert run(*on_a_mount("ro", shell), folder=tmp_path) == (
        1, "", "error: mount/a.srcpack: Read-only file system\n",
    )  # fmt: skip


def without_privileges() -> list[object]:
    """Return what a command begins with to be held to permissions, whoever runs the tests."""
    if os.geteuid():
        return []
    setpriv: list[object] = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    try:
        subprocess.run([*map(str, setpriv), "true"], check=True, capture_output=True)
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
    code, out, err = run(*without_privileges(), *command, folder=tmp_path)
    named = "a.zip" if what == "input" else "out/a.srcpack"
    assert (code, out, err) == (1, "", f"error: {named}: Permission denied\n")
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


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_input_that_changes_is_refused(
    tmp_path: Path, change: Callable[[Path], object], jobs: int, verify: bool
) -> None:
    """Its members would be recorded as damaged in a pack that is whole."""
    source, target = tmp_path / "a.zip", tmp_path / "a.srcpack"
    contents = {f"f{number}": random.Random(number).randbytes(4000) for number in range(20)}
    source.write_bytes(build_bundle(contents, {"files": {}}))
    target.write_bytes(b"old")
    status = source.stat()

    def progress(done: int, _all: int) -> None:
        if done == 8000:
            change(source)
            os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(
        FormatError, match=r"a\.zip: it changed while it was converted: SHA-256: found [0-9a-f]"
    ):
        convert(source, target, force=True, jobs=jobs, verify=verify, progress=progress)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.srcpack", "a.zip"]


def test_an_input_that_is_replaced_or_grows_is_converted_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "a.zip"
    source.write_bytes(APP.read_bytes())
    convert(source, tmp_path / "expected")

    def progress(done: int, total: int) -> None:
        if done == total:
            (tmp_path / "other").write_bytes(b"another file")
            (tmp_path / "other").rename(source)
        elif source.stat().st_size == APP.stat().st_size:
            with open(source, "ab") as file:
                file.write(b"more")

    convert(source, tmp_path / "a.srcpack", progress=progress)
    assert source.read_bytes() == b"another file"
    assert (tmp_path / "a.srcpack").read_bytes() == (tmp_path / "expected").read_bytes()


def make_link_loop(path: Path) -> None:
    path.symlink_to(path.with_name("b"))
    path.with_name("b").symlink_to(path)


def make_folder_loop(path: Path) -> None:
    path.mkdir()
    (path / "inner").symlink_to(path)


INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a fifo that nobody writes to": (os.mkfifo, "a.zip: not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "a.zip: not a regular file"),
    "a terminal": (lambda path: path.symlink_to("/dev/ptmx"), "a.zip: not a regular file"),
    "a loop of links": (make_link_loop, "a.zip: Too many levels of symbolic links"),
    "an empty folder": (Path.mkdir, "no SourceBundle was found"),
    "a folder that leads to itself": (
        make_folder_loop,
        "no SourceBundle was found; 1 other file passed over",
    ),
}


@pytest.mark.parametrize(("make", "message"), INPUTS.values(), ids=list(INPUTS))
def test_an_input_that_is_no_file_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a.zip")
    assert cli.run(["convert", "a.zip", "-o", "out"]) == 1
    assert capsys.readouterr() == ("", f"error: {message}\n")
    assert not list(tmp_path.glob("out/**/*.srcpack"))
    assert asides(tmp_path) == []


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, make_link_loop])
def test_the_library_takes_files_only(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "a.zip")
    with pytest.raises((FormatError, OSError), match=r"not a regular file|symbolic links"):
        convert(tmp_path / "a.zip", tmp_path / "a.srcpack")
    assert not (tmp_path / "a.srcpack").exists()
