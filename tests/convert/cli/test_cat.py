"""The command `cat`: bytes and nothing else."""

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest

from srcpack_convert.cli import main as cli
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID, FILES, Run, damaged_bundle, flip


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        (["files/blob"], "files/blob"),
        (["files/empty"], "files/empty"),
        (["--url", "~/app.js"], "files/app.js"),
        (["--path", "C:/src/main.c"], "files/main.c"),
        (["--debug-id", DEBUG_ID.replace("-", "").upper(), "--type", "source_map"], "files/app.js.map"),
    ],
)
def test_cat_writes_the_bytes_and_nothing_else(
    pack: Path, selector: list[str], name: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.run(["cat", str(pack), *selector]) == 0
    sys.stdout.flush()
    assert capfdbinary.readouterr() == (FILES[name], b"")


def test_cat_json_has_text_or_base64(run: Run, pack: Path) -> None:
    text = json.loads(run("cat", pack, "files/main.c", "--json").out)
    assert text == {
        "name": "files/main.c",
        "size": 10,
        "sha256": hashlib.sha256(FILES["files/main.c"]).hexdigest(),
        "encoding": "utf-8",
        "content": "int main;\n",
    }
    blob = json.loads(run("cat", pack, "files/blob", "--json").out)
    assert blob["encoding"] == "base64"
    assert base64.b64decode(blob["content"]) == FILES["files/blob"]


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (["files/none"], "no entry 'files/none'"),
        (["--url", "~/app.js?v"], "no entry has the URL '~/app.js?v'; there is '~/app.js' (another query)"),
        (["--path", "none"], "no entry has the path 'none'"),
        (
            ["--debug-id", DEBUG_ID, "--type", "source"],
            f"no entry has the debug id {DEBUG_ID} and the type source",
        ),
        (
            ["--path", "/lib/x.c"],
            "the path '/lib/x.c' is not in it, but has a source link: https://example.com/x.c",
        ),
    ],
)
def test_cat_of_what_is_not_there_is_a_line_on_stderr(
    run: Run, pack: Path, selector: list[str], message: str
) -> None:
    assert run("cat", pack, *selector) == (1, "", f"error: {pack}: {message}\n")


def test_cat_of_a_damaged_member_says_why(run: Run, tmp_path: Path, pack: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    result = run("cat", tmp_path / "d.srcpack", "bad000")
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(r"error: .*d\.srcpack: 'bad000' cannot be read: .*CRC.*\n", result.err)
    flip(pack, "files/main.c")
    result = run("cat", pack, "files/main.c")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {pack}: 'files/main.c': ")


@pytest.mark.parametrize(
    ("lines", "shown"),
    [("2-3", b"two\r\nthree\n"), ("4", b"four"), ("1-1", b"one\n"), ("3-99", b"three\nfour"), ("5-9", b"")],
)
def test_cat_writes_lines_alone(
    tmp_path: Path, lines: str, shown: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "a.zip").write_bytes(
        build_bundle({"f": b"one\ntwo\r\nthree\nfour"}, {"files": {"f": {"type": "source"}}})
    )
    assert cli.run(["cat", str(tmp_path / "a.zip"), "f", "--lines", lines]) == 0
    sys.stdout.flush()
    assert capfdbinary.readouterr() == (shown, b"")


def test_cat_refuses_lines_that_are_no_range_or_to_be_json(run: Run, pack: Path) -> None:
    for lines in ("0-3", "3-2", "a", "-3", "3-", "1-2-3", ""):
        refused = run("cat", pack, "files/main.c", f"--lines={lines}")
        assert (refused.code, "expected FIRST-LAST" in refused.err) == (2, True)
    assert run("cat", pack, "files/main.c", "--lines", "1-2", "--json").code == 2
