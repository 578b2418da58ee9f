"""The index of files that query engines read: its rows, its batches, and that it is whole or not there."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats import index as stats_index
from srcpack_convert.stats.index import COLUMNS, Row, rows_of, written_index
from srcpack_convert.stats.statistics import Statistics, gather
from support.commands import DEBUG_ID, Run
from support.fleet import no_failure
from support.pack_recipe import recipe
from support.places import PACKS, ROOT

DOCUMENT = ROOT / "docs" / "stats.md"

Write = Callable[..., Path]


def fill(index: Path, *inputs: Path, failed: Callable[[Exception], None] = no_failure) -> Statistics:
    with written_index(index) as row:
        return gather(find_packs(map(str, inputs)), failed=failed, row=row)


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
    fill(index, PACKS)
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
    fill(index, path)
    assert [row["member"] for row in read_index(index)] == [f"{number:03}" for number in range(100)]
    if index.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.ParquetFile(index).num_row_groups == 9


def test_long_texts_end_a_batch_early(write: Write, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_index, "_BATCH_TEXT", 1000)
    monkeypatch.setattr(stats_index, "_GROUP_BYTES", 1000)
    manifest = {"files": {f"{number}": {"path": f"/{number}" * 100} for number in range(10)}}
    path = write("a.srcpack", {f"{number}": b"" for number in range(10)}, manifest)
    fill(index, path)
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
    fill(index, path)
    first, second = (row["source_mapping_url"] for row in read_index(index))
    assert first == "data:application/json;base64"
    assert len(second) == 200


def test_a_path_that_is_no_text_is_escaped(write: Write, index: Path) -> None:
    path = write("a.srcpack", {"a": b"a"})
    try:
        os.rename(path, os.fsencode(path.parent) + b"/\xff.srcpack")
    except OSError:
        pytest.skip("this file system takes no such name")
    fill(index, path.parent)
    assert [row["pack"] for row in read_index(index)] == [f"{path.parent}/\\udcff.srcpack"]


def test_what_was_there_stays_if_the_index_cannot_be_written_whole(index: Path) -> None:
    index.write_bytes(b"old")

    def write_half(row: Callable[[Row], None]) -> None:
        pack = srcpack.open(PACKS / "many.srcpack")
        for number, values in enumerate(rows_of(pack, pack.entries())):
            if number == 50:
                raise OSError(28, "No space left on device")
            row(values)

    with pytest.raises(OSError, match="No space"), written_index(index) as row:
        write_half(row)
    with pytest.raises(ValueError, match="parquet or"), written_index(index.with_suffix(".csv")):
        pass
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
    found = fill(index, folder, failed=failures.append)
    assert [each["member"] for each in read_index(index)] == ["a", "z"]
    assert (found.packs, found.failed, found.rows) == (2, 1, 2)
    (failure,) = map(str, failures)
    assert failure.startswith(f"{folder}/m.srcpack: ")
    assert "debug id" in failure


def test_the_document_shows_what_is_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the queries need DuckDB")
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    monkeypatch.chdir(ROOT)
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = iter(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    queries = 0
    for language, as_shown in shown:
        block = as_shown.replace("/tmp/", f"{tmp_path}/")
        if language == "console":
            commands = re.findall(r"^\$ srcpack (.*)\n((?:[^$\n].*\n|\n)*)", block, re.MULTILINE)
            for command, output in commands:
                code, out, err = run(*command.split())
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
    fill(tmp_path / "files.jsonl", PACKS, path)
    query = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[1]
    query = query.replace("/tmp/", f"{tmp_path}/").replace(DEBUG_ID, f"{DEBUG_ID}-a")
    assert duckdb.sql(query).fetchall() == [(str(path), "source")]
