"""`srcpack stats`: what is counted over many packs, and the index that query engines read."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack.opening import packfile_of
from srcpack_convert import convert
from srcpack_convert.cli import main as cli
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats import index as stats_index
from srcpack_convert.stats.index import COLUMNS, Row, rows_of, written_index
from srcpack_convert.stats.statistics import LargeFile, Statistics, TypeTotals, gather
from support.bundle_builder import ZipMember, build_bundle, build_zip
from support.pack_recipe import recipe
from support.places import PACKS, ROOT
from support.s3_server import BUCKET, S3Server

DOCUMENT = ROOT / "docs" / "stats.md"
DEBUG_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
HOSTILE = "\x1b]0;title\x07\u202e[bold]\r\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a pack of files, below the folder `packs`."""

    def write(name: str, files: Mapping[str, bytes], manifest: Mapping[str, Any] | None = None) -> Path:
        path = tmp_path / "packs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        convert(build_bundle(files, manifest or {}), path, preset="raw")
        return path

    return write


def failing(error: Exception) -> None:
    raise error


def sum_up(*inputs: object) -> tuple[Statistics, list[str]]:
    failures: list[Exception] = []
    statistics = gather(find_packs(map(str, inputs)), failed=failures.append)
    assert statistics.failed == len(failures)
    return statistics, [str(failure) for failure in failures]


def run(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    capfd.readouterr()
    code = cli.run(["stats", *map(str, args)])
    sys.stdout.flush()
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def damaged_pack(tmp_path: Path) -> Path:
    manifest = {"files": {name: {"type": "source"} for name in ("bad", "ok")}}
    members = [
        ZipMember(name="bad", content=b"bad", crc=1),
        ZipMember(name="ok", content=b"ok"),
        ZipMember(name="manifest.json", content=json.dumps(manifest).encode()),
    ]
    convert(build_zip(members), tmp_path / "damaged.srcpack")
    return tmp_path / "damaged.srcpack"


# ---- figures


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
    found, failures = sum_up(damaged_pack(tmp_path))
    assert (found.files, found.damaged, found.packs_with_damage, failures) == (2, 1, 1, [])
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


# ---- what is a pack


def test_folders_have_packs_by_content_and_by_name(write: Write, tmp_path: Path) -> None:
    folder = write("a.srcpack", {"a": b"a"}).parent
    write("deep/er/named otherwise", {"b": b"b"})
    (folder / "deep" / "app.zip").write_bytes(build_bundle({"a": b"a"}, {}))
    (folder / "short").write_bytes(b"x")
    os.mkfifo(folder / "pipe")
    assert sum_up(folder)[0].packs == 2
    (folder / "cut.srcpack").write_bytes(b"")
    found, failures = sum_up(folder, tmp_path / "absent", folder / "short")
    assert found.packs == 2
    assert len(failures) == 3
    assert "cut.srcpack: " in failures[0]
    assert "absent" in failures[1]
    assert "short: too short for a pack" in failures[2]


def test_a_pack_counts_once_however_often_it_is_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.srcpack", {"a": b"a"})
    folder = path.parent
    (folder / "link.srcpack").symlink_to("a.srcpack")
    monkeypatch.chdir(tmp_path)
    names = [path, path, folder, f"{folder}/../packs/a.srcpack", "packs/a.srcpack", f"file://{path}"]
    found, failures = sum_up(*names)
    assert (found.packs, found.files, found.duplicates.copies, failures) == (1, 1, 0, [])
    copy = folder / "copy.srcpack"
    copy.write_bytes(path.read_bytes())
    found, failures = sum_up(folder, path)
    assert (found.packs, found.duplicates.copies, failures) == (2, 1, [])
    rows: list[Row] = []
    gather(find_packs([str(path), str(path)]), failed=failing, row=rows.append)
    assert len(rows) == 1


def test_a_pack_that_cannot_be_read_fails_once_however_often_it_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.srcpack"
    bad.write_bytes(b"")
    assert len(sum_up(bad, bad, tmp_path)[1]) == 1


def test_a_folder_without_packs_is_a_failure(tmp_path: Path) -> None:
    _, failures = sum_up(tmp_path)
    assert failures == [f"[Errno 2] no pack in it: '{tmp_path}'"]


def test_a_file_url_is_its_path(write: Write, tmp_path: Path) -> None:
    path = write("a b.srcpack", {"a": b"a"})
    for url in (f"file://{tmp_path}/packs", f"file://{tmp_path}/packs/a%20b.srcpack"):
        found, failures = sum_up(url)
        assert (found.packs, failures) == (1, [])
        assert found.largest[0].pack == str(path)


@pytest.mark.parametrize("url", ["s3://", "http:///a.srcpack", "file://elsewhere/packs"])
def test_a_url_that_names_nothing_is_a_failure(write: Write, url: str) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    found, failures = sum_up(url, write("a.srcpack", {"a": b"a"}))
    assert (found.packs, len(failures)) == (1, 1)


def test_without_obstore_a_url_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    code, out, err = run(capfd, write("a.srcpack", {"a": b"a"}), "s3://bucket/packs/")
    assert (code, out) == (1, "")
    assert "srcpack[remote]" in err


@pytest.mark.slow
def test_packs_in_a_bucket_of_motos_server(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    client = s3.empty()
    for path in sorted(PACKS.glob("*.srcpack")):
        client.put_object(Bucket=BUCKET, Key=f"packs/deep/{path.name}", Body=path.read_bytes())
    client.put_object(Bucket=BUCKET, Key="packs/notes.txt", Body=b"no pack")
    client.put_object(Bucket=BUCKET, Key="other/bad.srcpack", Body=b"no pack")
    local = sum_up(PACKS)[0]
    found, failures = sum_up(f"s3://{BUCKET}/packs")
    assert failures == []
    name = f"s3://{BUCKET}/packs/deep"
    expected = local.as_json()
    for each in expected["largest"]:
        each["pack"] = each["pack"].replace(str(PACKS), name)
    assert found.as_json() == expected
    one, failures = sum_up(f"{name}/app.srcpack", f"s3://{BUCKET}/other/", f"s3://{BUCKET}/none")
    assert (one.packs, one.failed) == (1, 2)
    assert failures[0].startswith(f"s3://{BUCKET}/other/bad.srcpack: ")
    assert "no pack in it" in failures[1]
    index = tmp_path / "files.jsonl"
    assert run(capfd, f"s3://{BUCKET}/", "--index", index)[0] == 3
    assert json.loads(index.read_text().splitlines()[0])["pack"] == f"{name}/app.srcpack"


# ---- the index


def read_index(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


@pytest.fixture(params=["parquet", "jsonl"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    return tmp_path / f"files.{request.param}"


def test_the_index_has_a_row_for_each_file(index: Path) -> None:
    with written_index(index) as row:
        gather(find_packs([str(PACKS)]), failed=failing, row=row)
    expected = []
    for path in sorted(PACKS.glob("*.srcpack")):
        with srcpack.open(path) as pack:
            for entry in pack.entries():
                same = ("path", "url", "type", "size", "stored_size", "lines", "source_mapping_url", "damage")
                facts = {column: getattr(entry, column) for column in same}
                facts |= {"pack": str(path), "member": entry.name, "bundle": pack.bundle.identity.hex()}
                facts |= {"release": pack.attributes.get("release"), "dist": pack.attributes.get("dist")}
                facts["object"] = pack.attributes.get("debug_id")
                facts["debug_id"] = str(entry.debug_id) if entry.debug_id else None
                facts["sha256"] = entry.sha256.hex() if entry.sha256 else None
                expected.append(facts)
    rows = read_index(index)
    assert rows == expected
    assert all(list(each) == list(COLUMNS) for each in rows)
    for column in ("debug_id", "source_mapping_url", "damage", "sha256", "release", "object"):
        assert {each[column] is None for each in rows} == {True, False}, column


def test_batches_and_groups_lose_nothing(write: Write, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.srcpack", {f"{number:03}": b"%d" % number for number in range(100)})
    monkeypatch.setattr(stats_index, "_BATCH_ROWS", 3)
    monkeypatch.setattr(stats_index, "_GROUP_ROWS", 12)
    with written_index(index) as row:
        gather(find_packs([str(path)]), failed=failing, row=row)
    assert [row["member"] for row in read_index(index)] == [f"{number:03}" for number in range(100)]
    if index.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.ParquetFile(index).num_row_groups == 9


def test_long_texts_end_a_batch_early(write: Write, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_index, "_BATCH_TEXT", 1000)
    monkeypatch.setattr(stats_index, "_GROUP_BYTES", 1000)
    manifest = {"files": {f"{number}": {"path": f"/{number}" * 100} for number in range(10)}}
    path = write("a.srcpack", {f"{number}": b"" for number in range(10)}, manifest)
    with written_index(index) as row:
        gather(find_packs([str(path)]), failed=failing, row=row)
    assert [row["path"] for row in read_index(index)] == [f"/{number}" * 100 for number in range(10)]
    if index.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.ParquetFile(index).num_row_groups > 1


def test_of_a_map_in_its_reference_the_index_keeps_the_kind(write: Write, index: Path) -> None:
    reference = "data:application/json;base64," + "A" * 5000
    path = write(
        "a.srcpack",
        {"a": f"//# sourceMappingURL={reference}\n".encode(), "b": b""},
        {"files": {"a": {}, "b": {"headers": {"sourcemap": "data:" + "x" * 5000}}}},
    )
    with written_index(index) as row:
        gather(find_packs([str(path)]), failed=failing, row=row)
    first, second = (row["source_mapping_url"] for row in read_index(index))
    assert first == "data:application/json;base64"
    assert len(second) == 200


def test_a_path_that_is_no_text_is_escaped(write: Write, index: Path) -> None:
    path = write("a.srcpack", {"a": b"a"})
    try:
        os.rename(path, os.fsencode(path.parent) + b"/\xff.srcpack")
    except OSError:
        pytest.skip("this file system takes no such name")
    with written_index(index) as row:
        gather(find_packs([str(path.parent)]), failed=failing, row=row)
    assert [row["pack"] for row in read_index(index)] == [f"{path.parent}/\\udcff.srcpack"]


def test_what_was_there_stays_if_the_index_cannot_be_written_whole(index: Path) -> None:
    index.write_bytes(b"old")

    def fill(row: Callable[[Row], None]) -> None:
        pack = srcpack.open(PACKS / "many.srcpack")
        for number, values in enumerate(rows_of(pack, pack.entries())):
            if number == 50:
                raise OSError(28, "No space left on device")
            row(values)

    with pytest.raises(OSError, match="No space"), written_index(index) as row:
        fill(row)
    assert index.read_bytes() == b"old"
    assert os.listdir(index.parent) == [index.name]


def test_an_error_of_the_index_is_no_pack_s() -> None:
    """A full disk must not look like a thousand packs that cannot be read."""

    def full(_: Row) -> None:
        raise OSError(28, "No space left on device")

    failures: list[Exception] = []
    with pytest.raises(OSError, match="No space"):
        gather(find_packs([str(PACKS)]), failed=failures.append, row=full)
    assert failures == []


def test_a_pack_with_a_value_that_is_none_is_one_that_fails(index: Path, write: Write) -> None:
    """What comes before it is in the index, and so are the other packs."""
    folder = write("a.srcpack", {"a": b"a"}).parent
    write("z.srcpack", {"z": b"z"})
    bad = recipe()
    for entry in bad.entries:
        assert isinstance(entry, dict)
        entry["content_debug_id"] = "none"
    (folder / "m.srcpack").write_bytes(bad.build())
    failures: list[Exception] = []
    with written_index(index) as row:
        found = gather(find_packs([str(folder)]), failed=failures.append, row=row)
    assert [each["member"] for each in read_index(index)] == ["a", "z"]
    assert (found.packs, found.failed, found.rows) == (2, 1, 2)
    (failure,) = map(str, failures)
    assert failure.startswith(f"{folder}/m.srcpack: ")
    assert "debug id" in failure


@pytest.mark.parametrize("many", ["packs", b"packs", PACKS])
def test_a_single_text_is_not_taken_for_many(many: Any) -> None:
    with pytest.raises(TypeError, match="names takes many"):
        find_packs(many)


@pytest.mark.parametrize(
    ("place", "problem"), [("s3:///", "no bucket"), ("ftp://h/x", "cannot be used"), ("-", "./-")]
)
def test_what_can_be_no_pack_is_told_before_the_work(
    write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str, problem: str
) -> None:
    path = write("a.srcpack", {"a": b"a"})
    code, out, err = run(capfd, path, place, "--index", tmp_path / "i.jsonl")
    assert (code, out) == (2, "")
    assert problem in err
    assert not (tmp_path / "i.jsonl").exists()


def test_an_index_of_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parquet or"), written_index(tmp_path / "a.csv"):
        pass


# ---- on the command line


def test_stats_prints_a_table_that_fits(
    write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write("a.srcpack", {"a": b"content", "b": b"b"}, {"files": {"b": {"type": "source_map"}}})
    write("b.srcpack", {"a": b"content"})
    code, out, err = run(capfd, tmp_path / "packs", damaged_pack(tmp_path))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    start = lines.index("largest files, equal ones once")
    assert max(map(len, lines[:start])) <= 80
    assert [line.split()[0] for line in lines[:5]] == ["packs", "zips", "files", "contents", "duplicates"]
    assert lines[2] == "files        5, 17 B; 1 damaged, in 1 pack"
    assert lines[4] == "duplicates   1 copy of 1 content that another pack has too, stored in 7 B"
    assert [line.split() for line in lines if line.startswith(("source", "all"))] == [
        ["source", "3", "16", "B", "16", "B", "1.000"],
        ["source_map", "1", "1", "B", "1", "B", "1.000"],
        ["all", "4", "17", "B", "17", "B", "1.000"],
    ]
    assert lines[start + 1] == f"      7 B  {tmp_path / 'packs' / 'a.srcpack'}: a"


def test_json_is_one_object_and_failures_make_3(
    write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write("a.srcpack", {"a": b"a"})
    code, out, err = run(capfd, path, tmp_path / "gone", "--json", "--index", tmp_path / "i.jsonl")
    assert code == 3
    assert json.loads(out) == {
        **sum_up(path)[0].as_json(), "failed": 1, "index": str(tmp_path / "i.jsonl")
    }  # fmt: skip
    assert err == f"error: {tmp_path / 'gone'}: No such file or directory\n"


def test_where_nothing_could_be_read_there_is_no_index(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.srcpack").write_bytes(b"nothing")
    code, out, err = run(capfd, tmp_path, "--index", tmp_path / "files.jsonl")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "error: no pack could be read"
    assert os.listdir(tmp_path) == ["bad.srcpack"]


def test_an_index_is_replaced_only_by_force(
    write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write("a.srcpack", {"a": b"a"})
    (tmp_path / "i.jsonl").write_text("old")
    assert run(capfd, path, "--index", tmp_path / "i.jsonl")[0] == 1
    assert (tmp_path / "i.jsonl").read_text() == "old"
    assert run(capfd, path, "--index", tmp_path / "i.jsonl", "--force")[0] == 0
    assert len(read_index(tmp_path / "i.jsonl")) == 1
    code, _, err = run(capfd, path, "--index", tmp_path / "i.csv")
    assert code == 2
    assert ".parquet or .jsonl" in err


def test_without_pyarrow_parquet_is_refused_before_the_work(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = write("a.srcpack", {"a": b"a"})
    code, out, err = run(capfd, path, "--index", tmp_path / "i.parquet")
    assert (code, out) == (1, "")
    assert "pip install 'srcpack[parquet]'" in err
    assert run(capfd, path, "--index", tmp_path / "i.jsonl")[0] == 0


def test_no_control_character_reaches_the_terminal(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(f"{HOSTILE}.srcpack", {HOSTILE: b"a"})
    (path.parent / f"{HOSTILE}bad.srcpack").write_bytes(b"x")
    for options in ([], ["--json"], ["--index", path.parent / f"{HOSTILE}.jsonl"]):
        code, out, err = run(capfd, path.parent, *options)
        assert code == 3
        assert all(char.isprintable() for line in (out + err).split("\n") for char in line)


# ---- the documentation


def test_the_document_shows_what_is_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the queries need DuckDB")
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    monkeypatch.chdir(ROOT)
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    shown = iter(blocks)
    queries = 0
    for language, as_shown in shown:
        block = as_shown.replace("/tmp/", f"{tmp_path}/")
        if language == "console":
            for command, output in re.findall(
                r"^\$ srcpack stats (.*)\n((?:[^$\n].*\n|\n)*)", block, re.MULTILINE
            ):
                code, out, err = run(capfd, *command.split())
                assert (code, err) == (0, "")
                assert out.startswith(output.rstrip("\n"))
        else:
            assert language == "sql"
            queries += 1
            rows = duckdb.sql(block).fetchall()
            assert next(shown)[1].splitlines() == aligned(rows)
    assert queries == 4
    for name in COLUMNS:
        assert f"`{name}`" in text


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def test_duckdb_finds_ids_with_an_age_in_json_lines_too(write: Write, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the queries need DuckDB")
    manifest = {"files": {"a": {"type": "source", "headers": {"debug-id": f"{DEBUG_ID}-a"}}}}
    path = write("a.srcpack", {"a": b"a"}, manifest)
    with written_index(tmp_path / "files.jsonl") as row:
        gather(find_packs([str(PACKS), str(path)]), failed=failing, row=row)
    query = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[1]
    query = query.replace("/tmp/", f"{tmp_path}/").replace(DEBUG_ID, f"{DEBUG_ID}-a")
    assert duckdb.sql(query).fetchall() == [(str(path), "source")]
