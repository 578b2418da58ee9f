"""The command `export`."""

import json
from pathlib import Path

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
