"""The command `stats`."""

import json
import os
from pathlib import Path

import pytest

from srcpack_convert import convert
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.statistics import gather
from support.bundle_builder import build_bundle
from support.commands import Run, damaged_bundle, hide
from support.fleet import no_failure


def test_stats_prints_a_table_that_fits(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    pack.rename(tmp_path / "packs" / "a.srcpack")
    files = {"loose": b"not listed", "more": b"more"}
    convert(
        build_bundle(files, {"files": {"more": {"type": "source_map"}}}), tmp_path / "packs" / "b.srcpack"
    )
    convert(damaged_bundle(tmp_path), tmp_path / "damaged.srcpack")
    code, out, err = run("stats", tmp_path / "packs", tmp_path / "damaged.srcpack")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    start = lines.index("largest files, equal ones once")
    assert max(map(len, lines[:start])) <= 80
    assert [line.split()[0] for line in lines[:5]] == ["packs", "zips", "files", "contents", "duplicates"]
    assert lines[2] == "files        11, 96 B; 2 damaged, in 1 pack"
    assert lines[4] == "duplicates   1 copy of 1 content that another pack has too, stored in 10 B"
    assert [line.split() for line in lines if line.startswith(("minified", "source", "all"))] == [
        ["minified_source", "1", "43", "B", "43", "B", "1.000"],
        ["source", "6", "35", "B", "35", "B", "1.000"],
        ["source_map", "2", "18", "B", "18", "B", "1.000"],
        ["all", "9", "96", "B", "96", "B", "1.000"],
    ]
    assert lines[start + 1] == f"     43 B  {tmp_path / 'packs' / 'a.srcpack'}: files/app.js"


def test_json_is_one_object_and_failures_make_3(run: Run, pack: Path, tmp_path: Path) -> None:
    code, out, err = run("stats", pack, tmp_path / "gone", "--json", "--index", tmp_path / "i.jsonl")
    assert code == 3
    figures = gather(find_packs([str(pack)]), failed=no_failure)
    assert json.loads(out) == {
        **figures.as_json(), "failed": 1, "index": str(tmp_path / "i.jsonl")
    }  # fmt: skip
    assert err == f"error: {tmp_path / 'gone'}: No such file or directory\n"


def test_where_nothing_could_be_read_there_is_no_index(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.srcpack").write_bytes(b"nothing")
    code, out, err = run("stats", tmp_path, "--index", tmp_path / "files.jsonl")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "error: no pack could be read"
    assert os.listdir(tmp_path) == ["bad.srcpack"]


def test_an_index_is_replaced_only_by_force(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "i.jsonl").write_text("old")
    assert run("stats", pack, "--index", tmp_path / "i.jsonl")[0] == 1
    assert (tmp_path / "i.jsonl").read_text() == "old"
    assert run("stats", pack, "--index", tmp_path / "i.jsonl", "--force")[0] == 0
    assert len((tmp_path / "i.jsonl").read_text().splitlines()) == 6
    code, _, err = run("stats", pack, "--index", tmp_path / "i.csv")
    assert code == 2
    assert ".parquet or .jsonl" in err


def test_without_pyarrow_parquet_is_refused_before_the_work(
    run: Run, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "pyarrow")
    code, out, err = run("stats", pack, "--index", tmp_path / "i.parquet")
    assert (code, out) == (1, "")
    assert "pip install 'srcpack[parquet]'" in err
    assert run("stats", pack, "--index", tmp_path / "i.jsonl")[0] == 0


def test_without_obstore_a_url_is_refused(run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "obstore")
    code, out, err = run("stats", pack, "s3://bucket/packs/")
    assert (code, out) == (1, "")
    assert "srcpack[remote]" in err
