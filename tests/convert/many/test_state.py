"""What is remembered of a batch's sources, and what its file survives."""

import logging
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from srcpack_convert import convert_many
from srcpack_convert.many.state import STATE_NAME, State
from srcpack_convert.many.tasks import Known
from support.batches import batch, bundle_of, statuses, write

KNOWN = Known("/in/a.zip", 5, "7", b"digest", "limits")


def test_state_is_kept(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff'\n")
    with State(str(tmp_path / "state")) as state:
        assert state.find("a") is None
        state.add("a", KNOWN)
        state.add(odd, KNOWN._replace(source=odd))
    with State(str(tmp_path / "state")) as state:
        assert state.find("a") == KNOWN
        assert state.find(odd) == KNOWN._replace(source=odd)
        state.add("a", KNOWN._replace(size=6))
    with State(str(tmp_path / "state"), is_read_only=True) as state:
        assert state.find("a") == KNOWN._replace(size=6)
        state.add("a", KNOWN)
    assert os.listdir(tmp_path) == ["state"]


def _change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def _damaged(path: Path) -> None:
    with State(str(path)) as state:
        state.add("a", KNOWN)
    # Magic and page size, and the application id at 68.
    path.write_bytes(path.read_bytes()[:18] + bytes(50) + path.read_bytes()[68:72] + b"x" * 5000)


def _changed(*statements: str) -> Callable[[Path], None]:
    """Return what makes a state file, and changes it."""

    def make(path: Path) -> None:
        with State(str(path)):
            pass
        _change(path, *statements)

    return make


_of_another_version = _changed("PRAGMA user_version = 99")
_with_another_table = _changed("DROP TABLE made", "CREATE TABLE made (output, source)")


@pytest.mark.parametrize(
    "spoil", [_damaged, _of_another_version, _with_another_table, lambda path: path.write_bytes(b"SQL")]
)
def test_a_state_file_that_is_of_no_use_is_set_aside(
    tmp_path: Path, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """Under a name that is free, so that none is lost, and a new one is begun."""
    path = tmp_path / "state"
    for aside in ("state.damaged", "state.damaged1"):
        spoil(path)
        before = path.read_bytes()
        with State(str(path), is_read_only=True) as state:
            assert state.find("a") is None
        assert path.read_bytes() == before
        caplog.clear()
        with State(str(path)) as state:
            assert state.find("a") is None
            state.add("a", KNOWN)
        with State(str(path)) as state:
            assert state.find("a") == KNOWN
        assert (tmp_path / aside).read_bytes() == before
        ((name, level, message),) = caplog.record_tuples
        assert (name, level) == ("srcpack", logging.WARNING)
        assert message.startswith(f"{path}: ")
        assert message.endswith(f"set aside as {tmp_path / aside}, and sources are read anew")
    assert sorted(os.listdir(tmp_path)) == ["state", "state.damaged", "state.damaged1"]


def test_a_state_file_that_cannot_be_set_aside_is_left_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    for name, spoil in (("damaged", _damaged), ("another version", _of_another_version)):
        path = tmp_path / name
        spoil(path)
        before = path.read_bytes()
        with State(str(path)) as state:
            state.add("a", KNOWN)
            assert state.find("a") is None
        assert path.read_bytes() == before
    told = [message.endswith("cannot be set aside: Permission denied") for message in caplog.messages]
    assert told == [True, True]


def is_sound(known: Known | None) -> bool:
    return known is None or [*map(type, known)] == [str, int, str, bytes, str]


def test_no_bit_of_a_state_file_ends_a_batch(tmp_path: Path) -> None:
    """Of those in its header and schema, and of some of the rest: 200 of all."""
    path = tmp_path / STATE_NAME
    with State(str(path)) as state:
        for number in range(100):
            state.add(f"{number}.srcpack", KNOWN)
    whole = path.read_bytes()
    schema = whole.index(b"CREATE TABLE made")
    places = random.Random(5)
    bits = [8 * (schema + 2) + 7, *places.sample(range(8 * 110), 40)]
    bits += places.sample(range(8 * (schema - 40), 8 * (schema + 120)), 60)
    bits += places.sample(range(8 * len(whole)), 100)
    for bit in bits:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        for _ in range(2):
            with State(str(path)) as state:
                assert is_sound(state.find("50.srcpack"))
                state.add("new.srcpack", KNOWN)
        for aside in tmp_path.glob("*.damaged*"):
            aside.unlink()


def test_a_value_of_another_type_is_none_that_is_known(tmp_path: Path) -> None:
    """What a column's type is in SQLite is only what it prefers."""
    path = tmp_path / "state"
    for column in ("source", "size", "stamp", "sha256", "limits"):
        for value in ("NULL", "'text'", "X'ff'", "1.5"):
            with State(str(path)) as state:
                state.add("a", KNOWN)
            _change(path, f"UPDATE made SET {column} = {value}")
            with State(str(path)) as state:
                assert is_sound(state.find("a"))


def test_a_state_file_that_was_damaged_in_the_middle_is_as_if_empty(
    bundles: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next run has a whole one again."""
    batch([bundles], out)
    data = bytearray((out / STATE_NAME).read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    (out / STATE_NAME).write_bytes(data)
    for warnings in (1, 0):
        caplog.clear()
        assert set(statuses(batch([bundles], out)).values()) == {"skipped"}
        assert len(caplog.messages) == warnings


def test_a_state_file_that_another_batch_has_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "state")
    with State(path) as state:
        state.add("a", KNOWN)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: connect(*args, **{**kw, "timeout": 0}))
    other = connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with State(path) as state:
        assert state.find("a") is None
        state.add("b", KNOWN)
    other.execute("ROLLBACK")
    other.close()
    with State(path) as state:
        assert state.find("a") == KNOWN


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_hold_a_state_file_does_without(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with State(str(tmp_path / "state")) as state:
        state.add("a", KNOWN)
        assert state.find("a") is None
    tmp_path.chmod(0o700)


# ---- what is no state file


def _database(*statements: str) -> Callable[[Path], None]:
    return lambda path: _change(path, *statements)


FOREIGN: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(bundle_of()),
    lambda path: path.write_bytes(b"SQLite format 3"),
    lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)),
    lambda path: path.write_bytes(b"x" * 68 + b"SPST" + b"x" * 5000),
    _database("CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)"),
    _database("PRAGMA application_id = 1", "PRAGMA user_version = 1"),
    _database("PRAGMA journal_mode = WAL", "CREATE TABLE theirs (a)"),
    Path.mkdir,
    os.mkfifo,
]


@pytest.mark.parametrize("make", FOREIGN)
def test_what_is_no_state_file_is_left_alone(
    bundles: Path, out: Path, make: Callable[[Path], object]
) -> None:
    """Told before anything is made."""
    path = bundles.with_name("theirs")
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for dry_run in (False, True):
        with pytest.raises(FileExistsError, match="it exists and is no state file"):
            convert_many([bundles], out, state=path, dry_run=dry_run)
    assert before == (path.read_bytes() if path.is_file() else None)
    assert sorted(os.listdir(out.parent)) == ["in", "theirs"]


@pytest.mark.parametrize("make", FOREIGN)
def test_what_is_at_the_default_place_can_only_be_damaged_where_it_is_a_file(
    tmp_path: Path, out: Path, make: Callable[[Path], object]
) -> None:
    source = write(tmp_path / "in", ["a.zip"])
    out.mkdir()
    make(out / STATE_NAME)
    if not (out / STATE_NAME).is_file():
        with pytest.raises(FileExistsError):
            convert_many([source], out)
        return
    before = (out / STATE_NAME).read_bytes()
    assert statuses(batch([source], out)) == {"a.zip": "converted"}
    assert (out / f"{STATE_NAME}.damaged").read_bytes() == before
    assert statuses(batch([source], out)) == {"a.zip": "skipped"}


@pytest.mark.parametrize("state", ["s3://bucket/state", "s3:///state", "ftp://host/state"])
def test_a_state_file_is_no_url(bundles: Path, out: Path, state: str) -> None:
    with pytest.raises(ValueError, match=f"^{state}: "):
        convert_many([bundles], out, state=state)
    assert not out.exists()
