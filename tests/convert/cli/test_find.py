"""The command `find`."""

import json
from pathlib import Path

import pytest

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
    result = run("find", tmp_path / "bad", pack, "--url", "none")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    result = run("find", tmp_path / "bad", pack, "--url", "app.js")
    near = f"no file has the URL 'app.js'; {pack} has '~/app.js' (another prefix)"
    assert (result.code, result.err.splitlines()[1:]) == (1, [near])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            ["--url", "~/APP.js"],
            "no file has the URL '~/APP.js'; {pack} has '~/app.js' (upper and lower case)\n",
        ),
        (["--path", "none"], "no file has the path 'none', or a name like it\n"),
        (["--debug-id", DEBUG_ID.replace("5", "6")], ""),
    ],
)
def test_find_says_in_one_line_what_is_nearest_to_what_is_nowhere(
    run: Run, pack: Path, tmp_path: Path, asked: list[str], says: str
) -> None:
    other = tmp_path / "other.srcpack"
    convert(build_bundle({"x": b"x"}, {"files": {"x": {"url": "~/x.js"}}}), other)
    assert run("find", other, pack, *asked) == (1, "", says.format(pack=pack))
