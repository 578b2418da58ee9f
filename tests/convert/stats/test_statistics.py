"""What is counted over many packs."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import srcpack
from srcpack.opening import packfile_of
from srcpack_convert import convert
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.index import Row
from srcpack_convert.stats.statistics import LargeFile, Statistics, TypeTotals, gather
from support.bundle_builder import build_bundle
from support.commands import Run, damaged_bundle
from support.fleet import no_failure
from support.places import PACKS
from support.s3_server import BUCKET, Bucket

Write = Callable[..., Path]


def sum_up(*inputs: object) -> tuple[Statistics, list[str]]:
    failures: list[Exception] = []
    statistics = gather(find_packs(map(str, inputs)), failed=failures.append)
    assert statistics.failed == len(failures)
    return statistics, [str(failure) for failure in failures]


def test_sizes_are_added_up_by_type(write: Write) -> None:
    write("a.srcpack", {"a.js": b"12345", "b": b"123"}, {"files": {"a.js": {"type": "minified_source"}}})
    found, _ = sum_up(write("b.srcpack", {"c.js": b"1234567"}).parent)
    assert found.types == {"source": TypeTotals(2, 10, 10), "minified_source": TypeTotals(1, 5, 5)}
    assert found.total == TypeTotals(3, 15, 15)
    assert (found.packs, found.files, found.content_count, found.content_size) == (2, 3, 3, 15)


def test_stored_is_what_contents_take_in_the_packs() -> None:
    found, failures = sum_up(PACKS)
    paths = sorted(PACKS.glob("*.srcpack"))
    with_size = stored = 0
    for path in paths:
        with srcpack.open(path) as pack:
            frames = {frame for entry in pack.entries() for frame in entry.record.frames}
            stored += sum(frame.length for frame in frames)
            with_size += pack.bundle.source["size"]
    assert (found.packs, failures) == (len(paths), [])
    assert found.total.stored_size == stored
    assert found.pack_size == found.with_zip_size == sum(path.stat().st_size for path in paths)
    assert found.zip_size == with_size


def test_a_content_of_several_packs_is_a_duplicate(write: Write) -> None:
    """Twice in one pack it is stored once, and so is no duplicate."""
    write("a.srcpack", {"a": b"in two", "b": b"twice in one", "c": b"twice in one", "d": b""})
    write("b.srcpack", {"a": b"in two", "e": b"in three"})
    write("c.srcpack", {"a": b"in two", "e": b"in three", "f": b"in three", "d": b""})
    found, _ = sum_up(write("d.srcpack", {"g": b"alone"}).parent)
    assert found.as_json()["duplicates"] == {"contents": 2, "copies": 3, "size": 20, "stored_size": 20}
    assert found.content_count == 7


def test_the_largest_files_are_told_from_the_largest_on_and_equal_ones_once(write: Write) -> None:
    sizes = [30, 10, 130, 20, 50, 70, 60, 110, 90, 80, 100, 40]
    one = write("a.srcpack", {f"{size}": b"x" * size for size in sizes})
    write("b.srcpack", {"again": b"x" * 130, "more": b"x" * 120})
    found, _ = sum_up(one.parent)
    assert [each.size for each in found.largest] == [130, 120, 110, 100, 90, 80, 70, 60, 50, 40]
    assert found.largest[0] == LargeFile(130, str(one), "130", "source", 130)


def test_damaged_members_are_counted(tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "damaged.srcpack")
    found, failures = sum_up(tmp_path / "damaged.srcpack")
    assert (found.files, found.damaged, found.packs_with_damage, failures) == (3, 2, 1, [])
    assert found.total == TypeTotals(1, 2, found.total.stored_size)


def test_a_pack_counts_up_to_where_it_is_damaged(write: Write) -> None:
    path = write("a.srcpack", {f"{number:03}": b"%d" % number for number in range(200)})
    with srcpack.open(path) as pack:
        offset = packfile_of(pack).directory.block_place(2).offset
        counted = 2 * packfile_of(pack).tail.block_entries
    data = bytearray(path.read_bytes())
    data[offset + 20] ^= 1
    path.write_bytes(data)
    found, failures = sum_up(path)
    assert (found.packs, found.pack_size, found.files, len(failures)) == (0, 0, counted, 1)
    assert failures[0].startswith(f"{path}: ")


def test_figures_are_json(write: Write) -> None:
    found, _ = sum_up(write("a.srcpack", {"a": b"content", "empty": b""}))
    known = json.loads(json.dumps(found.as_json()))
    assert known["types"] == {"source": {"files": 2, "size": 7, "stored_size": 7, "ratio": 1.0}}
    assert known["zips"]["ratio"] == round(found.pack_size / found.zip_size, 4)
    assert Statistics().as_json()["zips"]["ratio"] is None


def test_what_is_no_pack_is_a_failure_each_and_the_rest_is_counted(write: Write, tmp_path: Path) -> None:
    folder = write("a.srcpack", {"a": b"a"}).parent
    write("deep/er/named otherwise", {"b": b"b"})
    (folder / "deep" / "app.zip").write_bytes(build_bundle({"a": b"a"}, {}))
    (folder / "short").write_bytes(b"x")
    os.mkfifo(folder / "pipe")
    assert sum_up(folder)[0].packs == 2
    (folder / "cut.srcpack").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    names = [folder, folder / "cut.srcpack", tmp_path / "absent", folder / "short", tmp_path / "empty"]
    found, failures = sum_up(*names)
    assert found.packs == 2
    assert len(failures) == 4
    for name, failure in zip(
        ("cut.srcpack: ", "absent", "short: too short for a pack", "empty"), failures, strict=True
    ):
        assert name in failure


def test_a_pack_counts_once_however_often_it_is_named(write: Write) -> None:
    path = write("a.srcpack", {"a": b"a"})
    (path.parent / "link.srcpack").symlink_to("a.srcpack")
    rows: list[Row] = []
    names = [str(path), str(path), str(path.parent), f"file://{path.parent}"]
    found = gather(find_packs(names), failed=no_failure, row=rows.append)
    assert (found.packs, found.files, found.duplicates.copies, len(rows)) == (1, 1, 0, 1)
    assert found.largest[0].pack == str(path)
    (path.parent / "copy.srcpack").write_bytes(path.read_bytes())
    found, failures = sum_up(path.parent, path)
    assert (found.packs, found.duplicates.copies, failures) == (2, 1, [])


@pytest.mark.slow
def test_packs_in_a_bucket_of_motos_server(bucket: Bucket, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    for path in sorted(PACKS.glob("*.srcpack")):
        bucket.write(f"packs/deep/{path.name}", path.read_bytes())
    bucket.write("packs/notes.txt", b"no pack")
    bucket.write("other/bad.srcpack", b"no pack")
    found, failures = sum_up(f"{bucket.url}/packs")
    assert failures == []
    name = f"s3://{BUCKET}/packs/deep"
    expected = sum_up(PACKS)[0].as_json()
    for each in expected["largest"]:
        each["pack"] = each["pack"].replace(str(PACKS), name)
    assert found.as_json() == expected
    one, failures = sum_up(f"{name}/app.srcpack", f"{bucket.url}/other/", f"{bucket.url}/none")
    assert (one.packs, one.failed) == (1, 2)
    assert failures[0].startswith(f"{bucket.url}/other/bad.srcpack: ")
    assert "no pack in it" in failures[1]
    index = tmp_path / "files.jsonl"
    assert run("stats", f"{bucket.url}/", "--index", index).code == 3
    assert json.loads(index.read_text().splitlines()[0])["pack"] == f"{name}/app.srcpack"
