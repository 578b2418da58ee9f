"""What is up to date, and is not converted again."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert import ConversionReport, Limits, Options, PlanReport, SkipReport
from srcpack_convert.many.state import STATE_NAME
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


def test_other_options_convert_again(bundles: Path, out: Path) -> None:
    batch([bundles / "a.zip"], out)
    for options in (
        Options(preset="fast"),
        Options(level=3),
        Options(raw=["*.js"]),
        Options(frame_size=4096),
        Options(dictionary="off"),
    ):
        for status in ("converted", "skipped"):
            assert statuses(batch([bundles / "a.zip"], out, options=options)) == {"a.zip": status}
    assert statuses(batch([bundles / "a.zip"], out, options=options, force=True)) == {"a.zip": "converted"}


def test_a_source_that_changed_is_converted_again(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    (bundles / "a.zip").write_bytes(bundle_of("another size"))
    (bundles / "b/c.zip").write_bytes(bundle_of("b/C.zip"))
    expected = {"a.zip": "converted", "c.zip": "converted", "d.zip": "skipped"}
    assert statuses(batch([bundles], out)) == expected


def test_size_and_time_are_believed_but_for_checksums(bundles: Path, out: Path) -> None:
    source = bundles / "a.zip"
    batch([source], out)
    changed = source.stat().st_mtime_ns
    source.write_bytes(bundle_of("A.ZIP"))
    os.utime(source, ns=(changed, changed))
    moved = out.rename(out.with_name("moved"))  # where packs are does not count
    assert statuses(batch([source], moved)) == {"a.zip": "skipped"}
    assert statuses(batch([source], moved, checksum=True)) == {"a.zip": "converted"}
    # Another file of the same name, size and time is read.
    other = write(out, {"a.zip": bundle_of("a.ZIP")}) / "a.zip"
    shutil.copystat(source, other)
    assert statuses(batch([other], moved)) == {"a.zip": "converted"}


def test_a_pack_that_is_not_whole_is_made_again(bundles: Path, out: Path) -> None:
    batch([bundles / "a.zip"], out)
    whole = (out / "a.srcpack").read_bytes()
    for spoiled in (whole[:-1], whole[:100], whole + b"x"):
        (out / "a.srcpack").write_bytes(spoiled)
        assert statuses(batch([bundles / "a.zip"], out)) == {"a.zip": "converted"}
        assert (out / "a.srcpack").read_bytes() == whole


def test_what_is_no_pack_is_not_replaced(bundles: Path, out: Path) -> None:
    """Save where that is forced; a folder never, nor a FIFO: who opened it to read would wait for ever."""
    write(out, {"a.srcpack": b"precious", "b/c.srcpack/x": b"y"})
    os.mkfifo(out / "b/d.srcpack")
    reports = batch([bundles], out)
    for name, pack in (("a.zip", "a.srcpack"), ("c.zip", "b/c.srcpack"), ("d.zip", "b/d.srcpack")):
        assert failure_of(reports[name]).reason == f"{out / pack}: what is there is no pack"
    assert (out / "a.srcpack").read_bytes() == b"precious"
    expected = {"a.zip": "converted", "c.zip": "failed", "d.zip": "failed"}
    assert statuses(batch([bundles], out, force=True)) == expected
    assert (out / "b/d.srcpack").is_fifo()


def test_members_that_a_limit_damaged_are_read_again_under_another_one(bundles: Path, out: Path) -> None:
    """The pack does not say which limit it was; what is remembered does."""
    source = bundles / "a.zip"
    strict, loose = Limits(max_file_size=5), Limits()

    def run(limits: Limits) -> str:
        return batch([source], out, options=Options(limits=limits))["a.zip"].status

    assert [run(strict), run(strict)] == [run(loose), run(loose)] == ["converted", "skipped"]
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
        expected = {"a.zip": "skipped", "c.zip": "planned", "d.zip": "planned", "none": "failed"}
        assert statuses(reports) == expected
    plan = reports["c.zip"]
    assert isinstance(plan, PlanReport)
    assert plan.as_json() == {
        "source": f"{bundles}/b/c.zip",
        "output": f"{out}/b/c.srcpack",
        "source_size": (bundles / "b/c.zip").stat().st_size,
    }
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
