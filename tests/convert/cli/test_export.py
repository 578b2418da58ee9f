"""The command `export`."""

import json
import sys
from pathlib import Path

import pytest

from srcpack_convert.cli import main as cli
from srcpack_convert.one.convert import convert
from support.commands import Run, damaged_bundle


def test_export_gives_the_bundle_back(run: Run, pack: Path, tmp_path: Path) -> None:
    result = run("export", pack, "-o", tmp_path / "out.zip")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{tmp_path / 'out.zip'}: 6 files of 80 B; pack ")
    assert run("verify", pack, "--against", tmp_path / "out.zip").code == 0
    assert run("export", pack, "-o", tmp_path / "out.zip").code == 1
    assert json.loads(run("export", pack, "-o", tmp_path / "out.zip", "--force", "--stored", "--json").out)[
        "stored"
    ]


def test_export_of_damaged_members_exits_with_3(run: Run, tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    result = run("export", tmp_path / "d.srcpack", "-o", tmp_path / "out.zip")
    assert result.code == 3
    assert "'bad000' is left out: " in result.err
    assert run("verify", tmp_path / "d.srcpack", "--against", tmp_path / "out.zip").code == 0


def test_export_writes_the_zip_to_stdout_and_the_rest_to_stderr(
    pack: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.run(["export", str(pack), "-o", "-"]) == 0
    sys.stdout.flush()
    out, err = capfdbinary.readouterr()
    (tmp_path / "out.zip").write_bytes(out)
    assert err.startswith(b"<stdout>: 6 files of 80 B; pack ")
    assert cli.run(["verify", str(pack), "--against", str(tmp_path / "out.zip")]) == 0
    assert not Path("-").exists()


def test_export_mixes_no_json_into_the_zip_and_writes_none_to_a_terminal(
    run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("export", pack, "-o", "-", "--json") == (
        2, "", "error: Invalid value: --json: stdout gets the zip\nTry 'srcpack export --help'.\n",
    )  # fmt: skip
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    result = run("export", pack, "-o", "-")
    assert result == (1, "", "error: a zip is not written to a terminal; give a file, or a pipe\n")
