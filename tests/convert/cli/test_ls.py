"""The command `ls`."""

import hashlib
import json
import re
from pathlib import Path

from srcpack_convert.one.convert import convert
from support.commands import DEBUG_ID, FILES, Run, damaged_bundle


def test_ls_lists_names_in_order_below_a_prefix(run: Run, pack: Path) -> None:
    assert run("ls", pack) == (0, "".join(f"{name}\n" for name in sorted(FILES)), "")
    assert run("ls", pack, "files/app").out == "files/app.js\nfiles/app.js.map\n"
    assert run("ls", pack, "no/") == (1, "", f"error: {pack}: no entry whose name begins with 'no/'\n")


def test_ls_long_says_type_sizes_lines_debug_id_and_place(run: Run, pack: Path) -> None:
    header, *lines = run("ls", pack, "--long").out.splitlines()
    assert header.split("  ")[-2:] == ["name", "URL or path"]
    for title in ("type", "size", "stored", "lines", "debug id"):
        at = header.index(title)
        assert lines[0][at : at + len(title)].strip()
    assert lines[0].split() == ["minified_source", "43", "43", "2", DEBUG_ID, "files/app.js", "~/app.js"]
    assert lines[4].split()[-2:] == ["files/main.c", "C:\\src\\main.c"]
    assert lines[5].endswith("loose  (not in the manifest)")


def test_ls_json_is_one_object_a_line(run: Run, pack: Path) -> None:
    entries = [json.loads(line) for line in run("ls", pack, "--json").out.splitlines()]
    assert [entry["name"] for entry in entries] == sorted(FILES)
    first = entries[0]
    assert first["sha256"] == hashlib.sha256(FILES["files/app.js"]).hexdigest()
    assert (first["debug_id"], first["source_mapping_url"]) == (DEBUG_ID, "app.js.map")
    assert first["headers"] == {"Debug-Id": DEBUG_ID}
    assert entries[4]["extra"] == '{"Note":1}'
    assert [entry["listed"] for entry in entries] == [True] * 5 + [False]


def test_damaged_members_are_marked(run: Run, tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    assert re.search(r"bad000  \(damaged: .*CRC.*\)\n", run("ls", tmp_path / "d.srcpack", "-l").out)
    assert json.loads(run("ls", tmp_path / "d.srcpack", "--json").out.splitlines()[0])["damage"]
    assert "2 damaged" in run("info", tmp_path / "d.srcpack").out
