"""Comparing a pack with a bundle where the pack itself is damaged; the rest is in `test_cli.py`, "verify"."""

from pathlib import Path

import pytest

import srcpack
from srcpack import Pack
from srcpack.bundle.members import SourceBundle
from srcpack.opening import packfile_of
from srcpack_convert.back.compare import compare
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle

FILES = {f"{number}.js": b"let v%d;\n" % number * 20 for number in range(40)}
MANIFEST = {"files": {name: {"url": f"~/{name}", "path": f"/{name}"} for name in FILES}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("compare") / "a.srcpack"
    convert(build_bundle(FILES, MANIFEST), path)
    return path.read_bytes()


def differences(pack: Pack) -> list[str]:
    with SourceBundle(build_bundle(FILES, MANIFEST)) as bundle:
        return [str(error).removeprefix("<bytes>: ") for error in compare(pack, bundle)]


def test_a_pack_is_equal_to_its_bundle(whole: bytes) -> None:
    assert differences(srcpack.open(whole)) == []


def test_a_damaged_content_is_told_and_the_others_are_compared(whole: bytes) -> None:
    data = bytearray(whole)
    for name in ("3.js", "5.js"):
        data[srcpack.open(whole)[name].record.frames[0].offset + 9] ^= 1
    first, second = differences(srcpack.open(bytes(data)))
    assert first.startswith("'3.js': frame")
    assert second.startswith("'5.js': frame")


def test_a_damaged_bucket_is_told_for_each_key_in_it_and_the_others_are_asked(whole: bytes) -> None:
    pack = srcpack.open(whole)
    data = bytearray(whole)
    data[packfile_of(pack).directory.layout.slots] ^= 1
    found = differences(srcpack.open(bytes(data)))
    assert found
    assert all(difference.startswith("checksum of bucket 0 at offset ") for difference in found)
    assert len(found) <= len(packfile_of(pack).directory.read_bucket(0)) // 8
