"""What is up to date, and what is remembered of it."""

import hashlib
import logging
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert import ConversionReport, Limits, Options, PlanReport, SkipReport, convert_many
from srcpack_convert.many.resume import STATE_NAME, State
from srcpack_convert.many.tasks import Known
from support.batches import batch, bundle_of, damaged_bundle, failure_of, statuses, write


def test_a_second_run_converts_nothing(bundles: Path, out: Path) -> None:
    first = batch([bundles], out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.srcpack")}
    second = batch([bundles], out)
    assert statuses(second) == dict.fromkeys(first, "skipped")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.srcpack")} == before
    for name, report in second.items():
        made = first[name]
        assert isinstance(report, SkipReport)
        assert isinstance(made, ConversionReport)
        assert (report.sha256, report.source_sha256) == (made.sha256, made.source_sha256)
        assert (report.source_size, report.output_size) == (made.source_size, made.output_size)
        assert (report.files, report.damaged) == (2, ())


def test_a_report_of_what_is_up_to_date_has_its_damage_too(bundles: Path, out: Path) -> None:
    """So that a batch that was resumed says as much as one that was not."""
    write(bundles, {"damaged.zip": damaged_bundle()})
    reports = [batch([bundles / "damaged.zip"], out)["damaged.zip"] for _ in range(2)]
    for report, status in zip(reports, ["converted", "skipped"], strict=True):
        assert isinstance(report, ConversionReport | SkipReport)
        assert report.status == status
        ((member, reason),) = [(each.member, each.reason) for each in report.damaged]
        assert member == "bad"
        assert reason.startswith("its CRC-32 is ")


def test_a_second_run_reads_no_source(bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But where it is asked to, or remembers nothing; then it remembers again."""
    batch([bundles], out)
    read: list[str] = []
    digest = hashlib.file_digest

    def recorded(file: Any, name: str) -> Any:
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", recorded)

    def sources_read(**options: Any) -> int:
        read.clear()
        assert set(statuses(batch([bundles], out, **options)).values()) == {"skipped"}
        return len(read)

    assert sources_read() == 0
    assert sources_read(checksum=True) == 3
    (out / STATE_NAME).unlink()
    assert sources_read() == 3
    assert sources_read() == 0
    os.utime(bundles / "a.zip", ns=(1, 1))
    assert sources_read() == 1
    assert sources_read() == 0


@pytest.mark.parametrize(
    "options",
    [
        Options(preset="fast"),
        Options(level=3),
        Options(raw=["*.js"]),
        Options(frame_size=4096),
        Options(dictionary="off"),
    ],
)
def test_other_options_convert_again(bundles: Path, out: Path, options: Options) -> None:
    batch([bundles], out)
    assert set(statuses(batch([bundles], out, options=options)).values()) == {"converted"}
    assert set(statuses(batch([bundles], out, options=options)).values()) == {"skipped"}


def test_a_source_that_changed_is_converted_again(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    (bundles / "a.zip").write_bytes(bundle_of("another size"))
    (bundles / "b/c.zip").write_bytes(bundle_of("b/C.zip"))
    assert statuses(batch([bundles], out)) == {
        "a.zip": "converted", "c.zip": "converted", "d.zip": "skipped",
    }  # fmt: skip


def test_size_and_time_are_believed_but_for_checksums(bundles: Path, out: Path) -> None:
    source = bundles / "a.zip"
    batch([source], out)
    changed = source.stat().st_mtime_ns
    source.write_bytes(bundle_of("A.ZIP"))
    os.utime(source, ns=(changed, changed))
    assert statuses(batch([source], out)) == {"a.zip": "skipped"}
    assert statuses(batch([source], out, checksum=True)) == {"a.zip": "converted"}


def test_what_is_remembered_is_of_the_source_that_the_output_was_made_from(
    bundles: Path, tmp_path: Path, out: Path
) -> None:
    """Another file of the same name, size and time is read."""
    batch([bundles / "a.zip"], out)
    other = write(tmp_path / "other", {"a.zip": bundle_of("A.ZIP")}) / "a.zip"
    shutil.copystat(bundles / "a.zip", other)
    assert statuses(batch([other], out)) == {"a.zip": "converted"}


def test_a_folder_of_packs_that_was_moved_is_still_up_to_date(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    out.rename(out.with_name("moved"))
    assert set(statuses(batch([bundles], out.with_name("moved"))).values()) == {"skipped"}


def test_force_converts_again(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    assert set(statuses(batch([bundles], out, force=True)).values()) == {"converted"}


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:100], lambda data: data + b"x"])
def test_a_pack_that_is_not_whole_is_made_again(
    bundles: Path, out: Path, spoil: Callable[[bytes], bytes]
) -> None:
    batch([bundles / "a.zip"], out)
    whole = (out / "a.srcpack").read_bytes()
    (out / "a.srcpack").write_bytes(spoil(whole))
    assert statuses(batch([bundles / "a.zip"], out)) == {"a.zip": "converted"}
    assert (out / "a.srcpack").read_bytes() == whole


def test_what_is_no_pack_is_not_replaced(bundles: Path, out: Path) -> None:
    """Save where that is forced; a folder never."""
    write(out, {"a.srcpack": b"precious", "b/c.srcpack/x": b"y"})
    reports = batch([bundles], out)
    assert failure_of(reports["a.zip"]).reason == f"{out / 'a.srcpack'}: what is there is no pack"
    assert failure_of(reports["c.zip"]).reason == f"{out / 'b/c.srcpack'}: what is there is no pack"
    assert (out / "a.srcpack").read_bytes() == b"precious"
    assert statuses(batch([bundles], out, force=True)) == {
        "a.zip": "converted", "c.zip": "failed", "d.zip": "converted",
    }  # fmt: skip


def test_a_fifo_where_the_pack_would_be_is_no_pack(bundles: Path, out: Path) -> None:
    """Which nobody writes to: who opened it to read would wait for ever."""
    out.mkdir()
    os.mkfifo(out / "a.srcpack")
    reports = batch([bundles / "a.zip"], out)
    assert failure_of(reports["a.zip"]).reason == f"{out / 'a.srcpack'}: what is there is no pack"
    assert (out / "a.srcpack").is_fifo()


def test_members_that_a_limit_damaged_are_read_again_under_another_one(bundles: Path, out: Path) -> None:
    """The pack does not say which limit it was; what is remembered does."""
    source = bundles / "a.zip"
    strict, loose = Limits(max_file_size=5), Limits()

    def run(limits: Limits) -> str:
        return batch([source], out, options=Options(limits=limits))["a.zip"].status

    assert [run(strict), run(strict), run(loose), run(loose)] == [
        "converted", "skipped", "converted", "skipped",
    ]  # fmt: skip
    report = batch([source], out, options=Options(limits=strict))["a.zip"]
    assert report.status == "skipped"  # nothing in it was damaged
    run(Limits(max_file_size=5))
    (out / STATE_NAME).unlink()
    assert run(loose) == "skipped"


def test_a_dry_run_writes_nothing(bundles: Path, out: Path) -> None:
    assert set(statuses(batch([bundles], out, dry_run=True)).values()) == {"planned"}
    assert not out.exists()
    batch([bundles / "a.zip"], out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for checksum in (False, True):
        reports = batch([bundles, bundles / "none"], out, dry_run=True, checksum=checksum)
        assert statuses(reports) == {
            "a.zip": "skipped", "c.zip": "planned", "d.zip": "planned", "none": "failed",
        }  # fmt: skip
    plan = reports["c.zip"]
    assert isinstance(plan, PlanReport)
    assert plan.as_json() == {
        "source": f"{bundles}/b/c.zip",
        "output": f"{out}/b/c.srcpack",
        "source_size": (bundles / "b/c.zip").stat().st_size,
    }
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


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


def _of_another_version(path: Path) -> None:
    with State(str(path)):
        pass
    _change(path, "PRAGMA user_version = 99")


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


def _with_another_table(path: Path) -> None:
    with State(str(path)):
        pass
    _change(path, "DROP TABLE made", "CREATE TABLE made (output, source)")


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
    for spoil in (_damaged, _of_another_version):
        path = tmp_path / spoil.__name__
        spoil(path)
        before = path.read_bytes()
        with State(str(path)) as state:
            state.add("a", KNOWN)
            assert state.find("a") is None
        assert path.read_bytes() == before
    assert [message.endswith("cannot be set aside: Permission denied") for message in caplog.messages] == [
        True, True,
    ]  # fmt: skip


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


@pytest.mark.parametrize("value", ["NULL", "'text'", "X'ff'", "1.5"])
@pytest.mark.parametrize("column", ["source", "size", "stamp", "sha256", "limits"])
def test_a_value_of_another_type_is_none_that_is_known(tmp_path: Path, column: str, value: str) -> None:
    """What a column's type is in SQLite is only what it prefers."""
    path = tmp_path / "state"
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
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_no_state_file_is_left_alone(
    bundles: Path, out: Path, make: Callable[[Path], object], dry_run: bool
) -> None:
    """Told before anything is made."""
    path = bundles.with_name("theirs")
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(FileExistsError, match="it exists and is no state file"):
        convert_many([bundles], out, state=path, dry_run=dry_run)
    assert before == (path.read_bytes() if path.is_file() else None)
    assert sorted(os.listdir(out.parent)) == ["in", "theirs"]


@pytest.mark.parametrize("make", FOREIGN[:-2])
def test_what_is_at_the_default_place_can_only_be_damaged(
    bundles: Path, out: Path, make: Callable[[Path], object]
) -> None:
    out.mkdir()
    make(out / STATE_NAME)
    before = (out / STATE_NAME).read_bytes()
    assert set(statuses(batch([bundles], out)).values()) == {"converted"}
    assert (out / f"{STATE_NAME}.damaged").read_bytes() == before
    assert set(statuses(batch([bundles], out)).values()) == {"skipped"}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_damaged_one(bundles: Path, out: Path, make: Callable[[Path], object]) -> None:
    out.mkdir()
    make(out / STATE_NAME)
    with pytest.raises(FileExistsError):
        convert_many([bundles], out)


@pytest.mark.parametrize("state", ["s3://bucket/state", "s3:///state", "ftp://host/state"])
def test_a_state_file_is_no_url(bundles: Path, out: Path, state: str) -> None:
    with pytest.raises(ValueError, match=f"^{state}: "):
        convert_many([bundles], out, state=state)
    assert not out.exists()
