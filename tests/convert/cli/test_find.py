"""The command `find`."""

import json
from pathlib import Path

from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID, Run


def test_find_tells_packs_and_members(run: Run, pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.srcpack"
    convert(build_bundle({"x": b"x"}, {"files": {"x": {"url": "~/app.js"}}}), other)
    assert run("find", pack, other, "--url", "~/app.js") == (0, f"{pack}: files/app.js\n{other}: x\n", "")
    found = run("find", other, pack, "--debug-id", DEBUG_ID)
    assert found == (0, f"{pack}: files/app.js\n{pack}: files/app.js.map\n", "")
    assert (
        run("find", pack, "--debug-id", DEBUG_ID, "--type", "source_map").out == f"{pack}: files/app.js.map\n"
    )
    assert run("find", pack, "--path", "/lib/y") == (0, f"{pack}: source link https://example.com/y\n", "")
    assert run("find", pack, other, "--url", "none") == (1, "", "")
    assert json.loads(run("find", pack, "--path", "/lib/y", "--json").out) == {
        "pack": str(pack),
        "source_link": "https://example.com/y",
    }
    hit = json.loads(run("find", other, "--url", "~/app.js", "--json").out)
    assert (hit["pack"], hit["name"], hit["type"]) == (str(other), "x", "source")


def test_find_goes_on_after_a_pack_that_cannot_be_read(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no pack")
    result = run("find", tmp_path / "none", tmp_path / "bad", pack, "--url", "~/app.js")
    assert (result.code, result.out) == (3, f"{pack}: files/app.js\n")
    assert len(result.err.splitlines()) == 2
    assert result.err.startswith(
        f"error: {tmp_path / 'none'}: No such file or directory\nerror: {tmp_path / 'bad'}: "
    )
    assert run("find", tmp_path / "bad", pack, "--url", "none").code == 1
