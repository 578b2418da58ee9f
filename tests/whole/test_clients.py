"""Real clients: the zstd program checks packs, @sentry/cli and symbolic read what `export` writes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import srcpack
from srcpack.opening import packfile_of
from srcpack_convert import convert, export
from support.places import BUNDLES, PACKS

needs_zstd = pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd program on the path")
needs_sentry_cli = pytest.mark.skipif(
    "SENTRY_CLI" not in os.environ, reason="SENTRY_CLI does not name the program of npm's @sentry/cli"
)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(list(map(str, arguments)), capture_output=True, check=False)


@needs_zstd
def test_zstd_accepts_packs_without_a_dictionary(tmp_path: Path) -> None:
    packs = []
    for preset in ("balanced", "raw"):
        for path in BUNDLES.glob("*.zip"):
            packs.append(tmp_path / f"{path.stem}-{preset}.srcpack")
            convert(path, packs[-1], preset=preset, dictionary="off")
    done = run("zstd", "-t", *packs)
    assert done.returncode == 0, done.stderr
    assert str(len(packs)).encode() in done.stderr


@needs_zstd
def test_zstd_accepts_a_pack_with_its_dictionary_and_not_without(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    convert(BUNDLES / "many.zip", path)
    with srcpack.open(path) as pack:
        (tmp_path / "dictionary").write_bytes(packfile_of(pack).dictionary().data.as_bytes())
        contents = b"".join(entry.read() for entry in sorted(pack.entries(), key=lambda e: e.record.frames))
    done = run("zstd", "-t", "-D", tmp_path / "dictionary", path)
    assert done.returncode == 0, done.stderr
    assert run("zstd", "-t", path).returncode != 0
    unpacked = run("zstd", "-dc", "-D", tmp_path / "dictionary", path)
    assert unpacked.stdout == contents


@needs_zstd
def test_zstd_refuses_a_damaged_pack(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    convert(BUNDLES / "app.zip", path, dictionary="off")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert run("zstd", "-t", path).returncode != 0


def test_symbolic_recognises_what_export_writes(tmp_path: Path) -> None:
    archive = pytest.importorskip("symbolic.debuginfo").Archive
    for path in PACKS.glob("*.srcpack"):
        for stored in (False, True):
            export(path, tmp_path / "a.zip", stored=stored, force=True)
            (found,) = archive.open(str(tmp_path / "a.zip")).iter_objects()
            assert found.file_format == "sourcebundle", (path.name, stored)


@needs_sentry_cli
@pytest.mark.parametrize("name", ["app", "native", "many", "jvm"])
def test_sentry_cli_reads_the_same_from_what_export_writes(name: str, tmp_path: Path) -> None:
    convert(BUNDLES / f"{name}.zip", tmp_path / "a.srcpack")
    export(tmp_path / "a.srcpack", tmp_path / "a.zip")
    command = (os.environ["SENTRY_CLI"], "debug-files", "print-sources")
    before = run(*command, BUNDLES / f"{name}.zip")
    after = run(*command, tmp_path / "a.zip")
    assert before.returncode == after.returncode == 0, after.stderr
    assert before.stdout.replace(str(BUNDLES / name).encode(), b"") == after.stdout.replace(
        str(tmp_path / "a").encode(), b""
    )
