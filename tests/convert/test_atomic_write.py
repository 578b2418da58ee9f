"""Files that are written aside and renamed: who removes what a killed process left, and what is replaced."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from srcpack_convert import atomic_write, convert, export
from srcpack_convert.atomic_write import written_aside
from support.commands import run_python
from support.places import BUNDLES, PACKS

APP = BUNDLES / "app.zip"
APP_PACK = PACKS / "app.srcpack"


def asides(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*.tmp"))


def leave_one(target: Path) -> Path:
    """Leave what a process leaves that is killed while it writes a file: nobody has it locked any more."""
    with pytest.raises(KeyboardInterrupt), written_aside(target) as (_, aside):
        raise KeyboardInterrupt
    aside.write_bytes(b"half")
    return aside


def fail(_done: int, _all: int) -> None:
    raise KeyboardInterrupt


def write(target: Path, content: bytes = b"whole") -> None:
    with written_aside(target) as (out, _):
        out.write(content)


@pytest.mark.parametrize("fails", [False, True])
def test_the_next_one_removes_what_a_killed_process_left(tmp_path: Path, fails: bool) -> None:
    target = tmp_path / "a.srcpack"
    leave_one(target)
    for other in (tmp_path / "b.srcpack", tmp_path / "a.srcpack2"):
        write(other)
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
    with written_aside(target):
        leave_one(target)
        assert len(asides(tmp_path)) == 2
    assert os.listdir(tmp_path) == ["a.srcpack"]
    with written_aside(target) as (_, aside):
        left = leave_one(target)
        assert left != aside
    left.write_bytes(b"half")
    write(target)
    assert os.listdir(tmp_path) == ["a.srcpack"]


def test_writers_of_one_output_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with written_aside(target) as (first, _):
        with pytest.raises(KeyboardInterrupt):
            convert(APP, target, force=True, progress=fail)
        assert len(asides(tmp_path)) == 1
        write(target, b"second")
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
    target = tmp_path / "none" / "a"
    with pytest.raises(FileNotFoundError) as error, written_aside(target):
        pass
    assert (error.value.filename, error.value.filename2) == (str(target), None)


@pytest.mark.parametrize("name", ["_open", "_lock"])
def test_a_signal_when_the_file_was_just_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = getattr(atomic_write, name)

    def interrupted(*args: object, **values: object) -> None:
        done = real(*args, **values)
        if name == "_open":
            os.close(done)
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic_write, name, interrupted)
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
    write(target)
    with pytest.raises(KeyboardInterrupt):
        convert(APP, target, force=True, progress=fail)
    assert asides(tmp_path) == [left.name]
    assert target.read_bytes() == b"whole"


# ---- what is replaced


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o777])
def test_what_replaces_a_file_has_its_permissions(tmp_path: Path, mode: int) -> None:
    """And replaces it at the end only."""
    target = tmp_path / "a.srcpack"
    target.write_bytes(b"old")
    target.chmod(mode)
    with written_aside(target) as (out, aside):
        assert permissions(aside) & ~mode in (0, 0o200)
        assert aside.parent == tmp_path
        out.write(b"new")
        assert target.read_bytes() == b"old"
    assert (target.read_bytes(), permissions(target)) == (b"new", mode)
    assert os.listdir(tmp_path) == ["a.srcpack"]


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    """Which stays as it is all the time, as it is that of other threads too."""
    code = (
        "import os, sys; from srcpack_convert.atomic_write import written_aside; os.umask(0o027)\n"
        "def umask(_): raise AssertionError\nos.umask = umask\n"
        "with written_aside(sys.argv[1]): pass\n"
    )
    assert run_python("-c", code, tmp_path / "a") == (0, "", "")
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


def test_an_output_that_is_no_file_is_an_error_and_stays_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("fifo", "folder"):
        with pytest.raises(FileExistsError, match="not a regular file"):
            convert(APP, tmp_path / name)
        with pytest.raises(FileExistsError, match="not a regular file"):
            export(APP_PACK, tmp_path / name)
    with pytest.raises(OSError, match="Too many levels of symbolic links"), written_aside(tmp_path / "loop"):
        pass
    assert (tmp_path / "fifo").is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["fifo", "folder", "loop"]
