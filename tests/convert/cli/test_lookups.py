"""`--lookups`, and what the commands tell of lookup tables."""

import json
import re
from pathlib import Path

import pytest

import srcpack
from srcpack_convert import convert
from support.commands import Run
from support.source_maps import MappedFiles, bundle_with_maps, packed_map, source_map
from support.tables import build_tables_here

MAP = packed_map(source_map([(0, 0, 0, 4, 2), (0, 9, 0, 5, 0)], ["src/a.ts"], sourcesContent=["a\n" * 9]))
FILES: MappedFiles = {
    "a.js": ("minified_source", b"function a(){}", "a.js.map"),
    "a.js.map": ("source_map", MAP, ""),
    "b.js": ("minified_source", b"function b(){}", "b.js.map"),
    "b.js.map": ("source_map", b'{"version":3,"mappings":"!"}', ""),
    "c.js": ("minified_source", b"c()", ""),
}


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    path = tmp_path / "mapped.zip"
    path.write_bytes(bundle_with_maps(FILES))
    return path


@pytest.fixture
def pack(run: Run, mapped: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build_tables_here(monkeypatch)
    assert run("convert", mapped, "--lookups").code == 0
    return mapped.with_suffix(".srcpack")


def test_convert_stores_lookups_and_says_which_files_have_none(run: Run, mapped: Path) -> None:
    result = run("convert", mapped, "--lookups")
    assert result.code == 0
    assert re.search(r"5 files of \d+ B, 1 with lookups; zip ", result.out)
    assert re.fullmatch(r".*mapped\.zip: 'b\.js' has no lookup table: symbolic: .+\n", result.err)
    with srcpack.open(mapped.with_suffix(".srcpack")) as pack:
        position = pack["a.js"].original(1, 10)
        assert position is not None
        assert (position.source, position.line) == ("src/a.ts", 6)
        assert pack.bundle.created_by["options"]["lookups"] is True
        assert re.fullmatch(r"\d+\.\d+.*", pack.bundle.created_by["symbolic"])
        assert pack.bundle.created_by["options"]["frame_size"] == 128 << 10
    report = json.loads(run("convert", mapped, "--lookups", "--json", "--frame-size", "1M", "--force").out)
    assert (report["lookups"], report["frame_size"]) == (1, 1 << 20)
    (without,) = report["without_lookup"]
    assert without["member"] == "b.js"
    plain = json.loads(run("convert", mapped, "--json", "--force").out)
    assert (plain["lookups"], plain["without_lookup"]) == (0, [])


def test_convert_without_symbolic_says_what_to_install(
    run: Run, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srcpack_convert.one.lookup_tables.version", lambda _: "13.8.2")
    result = run("convert", mapped, "--lookups")
    assert result.code == 1
    assert "lookups need symbolic 13.9 or later, not 13.8.2: pip install srcpack[lookups]" in result.err
    assert not mapped.with_suffix(".srcpack").exists()
    with pytest.raises(ModuleNotFoundError, match="lookups need symbolic"):
        convert(mapped, mapped.with_suffix(".srcpack"), lookups=True)


def test_a_batch_stores_lookups_and_makes_packs_anew_that_have_none(run: Run, mapped: Path) -> None:
    packs = mapped.parent / "packs"
    assert run("convert", mapped, "-o", f"{packs}/").code == 0
    again = run("convert", mapped, "-o", packs, "--lookups", "--json")
    assert json.loads(again.out)["converted"] == 1
    assert "1 file has no lookup table, 'b.js': symbolic: " in again.err
    assert json.loads(run("convert", mapped, "-o", packs, "--lookups", "--json").out)["skipped"] == 1
    with srcpack.open(packs / "mapped.srcpack") as pack:
        assert pack["a.js"].lookup_table() is not None


def test_ls_and_info_show_tables_what_made_them_and_why_there_are_none(run: Run, pack: Path) -> None:
    _, *lines = run("ls", pack, "--long").out.splitlines()
    assert re.search(r"  a\.js  ~/a\.js  \(lookup table: \d+\)$", lines[0])
    assert re.search(r"  b\.js  ~/b\.js  \(no lookup table: symbolic: .+\)$", lines[2])
    assert lines[4].endswith("  c.js  ~/c.js")
    facts = [json.loads(line) for line in run("ls", pack, "--json").out.splitlines()]
    assert [each["lookup_size"] > 0 for each in facts] == [True, False, False, False, False]
    assert [each["lookup_reason"] is None for each in facts] == [True, True, False, True, True]
    out = run("info", pack).out
    assert re.search(r"section lookups +\d+ bytes at \d", out)
    assert re.search(r"created by symbolic +\d+\.\d", out)
    assert json.loads(run("info", pack, "--json").out)["sections"]["lookups"]["length"] > 8


def test_stats_sum_tables_up(run: Run, pack: Path, mapped: Path) -> None:
    assert re.search(r"lookups +1 file with a table, stored in .+; 1 without\n", run("stats", pack).out)
    found = json.loads(run("stats", pack, "--json").out)["lookups"]
    assert (found["files"], found["without"]) == (1, 1)
    sections = json.loads(run("info", pack, "--json").out)["sections"]
    assert found["stored_size"] == sections["lookups"]["length"]
    assert run("convert", mapped, "--force").code == 0
    assert "lookups" not in run("stats", pack).out


def test_export_is_the_same_with_lookups_and_without(
    run: Run, mapped: Path, pack: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.srcpack"
    assert run("convert", mapped, "-o", plain).code == 0
    for source in (plain, pack):
        assert run("export", source, "-o", source.with_suffix(".exported")).code == 0
    assert plain.with_suffix(".exported").read_bytes() == pack.with_suffix(".exported").read_bytes()
    with srcpack.open(plain) as one, srcpack.open(pack) as other:
        assert one.bundle.identity == other.bundle.identity


def test_verify_checks_tables(run: Run, pack: Path) -> None:
    assert run("verify", pack).code == 0
    with srcpack.open(pack) as opened:
        place = opened["a.js"].record.lookup
        section = json.loads(run("info", pack, "--json").out)["sections"]["lookups"]
    assert place is not None
    data = bytearray(pack.read_bytes())
    data[section["offset"] + 8 + place.offset + place.head // 2] ^= 1
    pack.write_bytes(data)
    result = run("verify", pack)
    assert result.code == 1
    assert "head of a lookup table" in result.out + result.err
