"""The command `extract`."""

import json
import os
from pathlib import Path

from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import FILES, Run, damaged_bundle


def test_extract_writes_files_and_tells_changed_names(run: Run, tmp_path: Path) -> None:
    convert(build_bundle({"../up": b"1", "a": b"2"}, {}), tmp_path / "p.srcpack")
    result = run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "out")
    assert result == (
        0,
        f"{tmp_path / 'out'}: 2 files of 2 B\n",
        f"warning: {tmp_path / 'p.srcpack'}: '../up' goes to '%2E%2E/up'\n",
    )
    assert (tmp_path / "out" / "%2E%2E" / "up").read_bytes() == b"1"
    result = run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "out", "a", "--json")
    assert result.code == 1
    assert json.loads(result.out)["problems"] == [{"member": "a", "reason": "a: File exists"}]
    assert run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "out", "a", "--force").code == 0
    assert run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "new", "b").code == 1


def test_outputs_may_be_named_by_file_urls(run: Run, pack: Path, tmp_path: Path) -> None:
    assert run("extract", pack, "loose", "-o", f"file://{tmp_path}/a%20b").code == 0
    assert (tmp_path / "a b" / "loose").read_bytes() == FILES["loose"]
    assert run("stats", pack, "--index", f"file://{tmp_path}/a%20b.jsonl").code == 0
    assert len((tmp_path / "a b.jsonl").read_bytes().splitlines()) == len(FILES)


def test_extract_of_a_damaged_member_exits_with_3(run: Run, tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    result = run("extract", tmp_path / "d.srcpack", "-o", tmp_path / "out")
    assert (result.code, len(result.err.splitlines())) == (3, 2)
    assert os.listdir(tmp_path / "out") == ["ok"]
