"""The command `convert`: outputs, options, warnings, exit codes."""

import errno
import hashlib
import io
import json
import os
import re
import sys
from pathlib import Path

import pytest

import srcpack
from srcpack.opening import packfile_of
from srcpack_convert.cli import main as cli
from support.bundle_builder import build_bundle
from support.commands import FILES, Run, Terminal, damaged_bundle
from support.places import BUNDLES


class Piped(io.BytesIO):
    """What comes out of a pipe."""

    name = "<stdin>"

    def seekable(self) -> bool:
        return False


def test_convert_writes_beside_the_zip_and_says_what_it_did(run: Run, bundle: Path) -> None:
    result = run("convert", bundle)
    pack = bundle.with_suffix(".srcpack")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(pack))}: 6 files of \d+ B; zip .+, pack .+, ratio \d\.\d{{3}}; \d\.\d s\n",
        result.out,
    )
    assert sorted(srcpack.open(pack)) == sorted(FILES)
    # The ending is added to a name without `.zip`.
    bundle.rename(bundle.with_name("app.bundle"))
    assert run("convert", bundle.with_name("app.bundle")).code == 0
    assert bundle.with_name("app.bundle.srcpack").exists()


def test_convert_takes_the_options_of_the_library(run: Run, bundle: Path) -> None:
    output = bundle.with_name("out.srcpack")
    args = ["--preset", "fast", "--level", 5, "--dictionary", "off", "--frame-size", "64K", "--raw", "*.map"]
    args += ["--raw", "loose", "--jobs", 2, "--no-verify", "--json"]
    result = run("convert", bundle, "-o", output, *args)
    report = json.loads(result.out)
    assert (report["preset"], report["level"], report["frame_size"], report["jobs"]) == ("fast", 5, 65536, 2)
    assert (report["verified"], report["files"], report["damaged"]) == (False, 6, [])
    assert report["sha256"] == srcpack.open(output).sha256.hex()
    assert report["source_sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    with srcpack.open(output) as pack:
        assert pack["loose"].raw
        assert pack["files/app.js.map"].raw
        assert pack.bundle.created_by["options"]["raw"] == ("*.map", "loose")


def test_convert_takes_a_dictionary_by_size_or_file(run: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "many.zip"
    bundle.write_bytes((BUNDLES / "many.zip").read_bytes())
    assert json.loads(run("convert", bundle, "--dictionary", "8K", "--json").out)["dictionary_size"] <= 8192
    with srcpack.open(tmp_path / "many.srcpack") as pack:
        (tmp_path / "dictionary").write_bytes(packfile_of(pack).dictionary().data.as_bytes())
    other = run("convert", bundle, "-o", tmp_path / "b", "--dictionary", tmp_path / "dictionary", "--json")
    assert json.loads(other.out)["dictionary_size"] == (tmp_path / "dictionary").stat().st_size
    assert run("convert", bundle, "-o", tmp_path / "c", "--dictionary", "none").err == (
        "error: none: No such file or directory\n"
    )


def test_convert_refuses_an_output_that_is_something_else(run: Run, pack: Path) -> None:
    before, exists = pack.read_bytes(), (1, "", f"error: {pack}: it exists; --force replaces it\n")
    assert run("convert", pack.with_suffix(".zip"), "--preset", "fast") == exists
    other = pack.with_name("other.zip")
    other.write_bytes(build_bundle({"a": b"a"}, {}))
    assert run("convert", other, "-o", pack) == exists
    assert run("convert", other, "-o", other).err == f"error: {other}: it exists; --force replaces it\n"
    assert pack.read_bytes() == before
    assert run("convert", other, "-o", pack, "--force").code == 0
    assert run("convert", "x.zip", "-o", os.devnull, "--force").err.endswith("not a regular file\n")
    assert run("convert", "x.zip", "-o", pack.parent / "no" / "x").err.endswith("no'\n")


def test_convert_says_that_a_pack_is_up_to_date(run: Run, bundle: Path) -> None:
    pack = bundle.with_suffix(".srcpack")
    made = json.loads(run("convert", bundle, "--json").out)
    before = pack.stat()
    assert run("convert", bundle) == (0, f"{pack}: up to date\n", "")
    assert run("convert", bundle, "--quiet") == (0, "", "")
    found = json.loads(run("convert", bundle, "--json").out)
    assert (made["status"], found["status"]) == ("converted", "skipped")
    assert {**found, "seconds": 0} == {key: made[key] for key in found} | {"status": "skipped", "seconds": 0}
    now = pack.stat()
    # Reading it may change when it was read last, and nothing else.
    assert (now.st_ino, now.st_mode, now.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert (now.st_mtime_ns, now.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert run("convert", bundle.with_name("gone.zip"), "-o", pack) == (
        1, "", f"error: {bundle.with_name('gone.zip')}: No such file or directory\n",
    )  # fmt: skip


def test_convert_reads_stdin_and_writes_stdout(
    pack: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = bundle.with_name("out.srcpack")
    with open(bundle, "rb") as seekable:
        for stdin in (seekable, Piped(bundle.read_bytes())):
            output.unlink(missing_ok=True)
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
            assert cli.run(["convert", "-", "-o", str(output)]) == 0
            assert output.read_bytes() == pack.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bundle.read_bytes())))
    capfdbinary.readouterr()
    assert cli.run(["convert", "-", "-o", "-"]) == 0
    sys.stdout.flush()
    out, err = capfdbinary.readouterr()
    assert out == pack.read_bytes()
    assert err.startswith(b"<stdout>: 6 files of 80 B; zip ")
    assert not Path("-").exists()


def test_convert_says_what_is_wrong_with_stdin(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stdin, message in (
        (io.TextIOWrapper(Piped(b"")), "<stdin>: not a SourceBundle at offset 0: found an empty file"),
        (Terminal(), "a bundle is not read from a terminal; give a file, or a pipe"),
        (None, "<stdin>: it is closed"),
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        result = run("convert", "-", "-o", tmp_path / "a.srcpack")
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(f"error: {message}")
    assert os.listdir(tmp_path) == []


def test_convert_warns_of_damaged_members_and_exits_with_3(run: Run, tmp_path: Path) -> None:
    bundle = damaged_bundle(tmp_path)
    result = run("convert", bundle)
    assert result.code == 3
    assert "3 files of 2 B, 2 damaged" in result.out
    told = re.findall(r"^warning: (.+): '(.+)' cannot be read: .+$", result.err, re.MULTILINE)
    assert told == [(str(bundle), "bad000"), (str(bundle), "gone")]
    assert len(json.loads(run("convert", bundle, "--force", "--json").out)["damaged"]) == 2
    # Thousands are cut short.
    bundle.with_suffix(".srcpack").unlink()
    lines = run("convert", damaged_bundle(tmp_path, 100)).err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 81 more"


def test_convert_takes_limits(run: Run, bundle: Path) -> None:
    result = run("convert", bundle, "--max-file-size", 20)
    assert result.code == 3
    assert "'files/app.js' cannot be read: its size is 43, over the limit of 20" in result.err
    result = run("convert", bundle, "--force", "--max-manifest-size", "1K", "--max-total-size", 50)
    problem = rf"error: {bundle}: the size of all members is \d+, over the limit of 50\n"
    assert (result.code, bool(re.fullmatch(problem, result.err))) == (1, True)
    result = run("convert", bundle, "--force", "--max-files", 1)
    assert result.code == 1
    assert "over the limit of 1\n" in result.err


def test_refused_bundle_is_one_line_and_no_pack(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"neither")
    result = run("convert", tmp_path / "bad.zip")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith(f"error: {tmp_path / 'bad.zip'}: not a SourceBundle at offset 0")
    assert os.listdir(tmp_path) == ["bad.zip"]


def test_an_error_that_names_no_file_is_told_with_the_output_s_name(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    output = bundle.with_suffix(".srcpack")
    assert run("convert", bundle) == (1, "", f"error: {output}: No space left on device\n")
    assert os.listdir(bundle.parent) == [bundle.name]


def test_a_terminal_shows_progress(run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("convert", bundle).code == 0
    assert "finishing" in terminal.getvalue()
