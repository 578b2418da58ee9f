"""What is at a pack's or a zip's place already: replaced where nothing is lost, else by `force` alone."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack_convert import Options, convert, convert_url, export
from support.batches import batch, bundle_of, statuses
from support.bundle_builder import ZipMember, build_zip
from support.s3_server import Bucket

ONE, OTHER = bundle_of("one"), bundle_of("two")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "a.srcpack"
    convert(ONE, path)
    return path


def test_the_same_bundle_is_converted_again_whatever_the_options(pack: Path) -> None:
    before = pack.read_bytes()
    assert convert(ONE, pack).source_sha256 == convert(ONE, pack).source_sha256
    assert pack.read_bytes() == before
    convert(ONE, pack, preset="raw")
    assert pack.read_bytes() != before


@pytest.mark.parametrize(
    "there", [b"notes", b"SYSB\2\0\0\0", ONE, b"\0"], ids=["text", "head", "bundle", "byte"]
)
def test_a_file_that_is_no_pack_stays(tmp_path: Path, there: bytes) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes(there)
    with pytest.raises(FileExistsError, match="no pack") as raised:
        convert(OTHER, path)
    assert raised.value.filename == str(path)
    assert path.read_bytes() == there
    assert os.listdir(tmp_path) == ["a.srcpack"]
    assert convert(OTHER, path, force=True).output == str(path)
    assert srcpack.verify(srcpack.open(path)) == []


def test_the_pack_of_another_bundle_stays(pack: Path) -> None:
    before = pack.read_bytes()
    with pytest.raises(FileExistsError, match="another bundle"):
        convert(OTHER, pack)
    with pytest.raises(FileExistsError, match="another bundle"):
        convert(io.BytesIO(OTHER), pack)
    assert pack.read_bytes() == before
    convert(OTHER, pack, force=True)
    assert pack.read_bytes() != before


@pytest.mark.parametrize("cut", [0, 40, -1], ids=["empty", "begun", "cut"])
def test_an_empty_file_and_a_damaged_pack_are_no_loss(pack: Path, cut: int) -> None:
    whole = pack.read_bytes()
    pack.write_bytes(whole[:cut])
    convert(ONE, pack)
    assert pack.read_bytes() == whole


def test_by_url_the_rule_is_the_same(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(OTHER)
    source, destination = (tmp_path / "b.zip").as_uri(), pack.as_uri()
    with pytest.raises(FileExistsError, match="another bundle"):
        convert_url(source, destination)
    convert_url(source, destination, force=True)
    convert_url(source, destination, Options(preset="fast"))


def test_an_object_in_a_bucket_is_asked_for_first(bucket: Bucket, pack: Path) -> None:
    pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")
    url = f"{bucket.url}/existing/a.srcpack"
    convert(ONE, url)
    with pytest.raises(FileExistsError, match="another bundle"):
        convert(OTHER, url)
    assert srcpack.open(url).sha256 == srcpack.open(pack).sha256


@pytest.mark.parametrize("wrong", [b"a.srcpack", None, 5])
def test_what_is_neither_a_path_nor_a_file_is_told_before_the_work(pack: Path, wrong: Any) -> None:
    for call in (lambda: convert(b"no zip", wrong), lambda: export(pack, wrong)):
        with pytest.raises(TypeError, match=r"goes to a path.* not to "):
            call()


def test_a_link_is_what_it_leads_to(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pack)
    (tmp_path / "new").symlink_to(tmp_path / "to-be")
    with pytest.raises(FileExistsError, match="another bundle"):
        convert(OTHER, tmp_path / "link")
    convert(OTHER, tmp_path / "new")
    assert (tmp_path / "to-be").is_file()


def test_a_batch_takes_the_packs_of_its_bundles_for_its_own(tmp_path: Path) -> None:
    """It is told where packs go by a folder, and a zip that changed is converted anew."""
    bundle, out = tmp_path / "a.zip", tmp_path / "out"
    bundle.write_bytes(ONE)
    assert statuses(batch([bundle], out)) == {"a.zip": "converted"}
    bundle.write_bytes(OTHER)
    assert statuses(batch([bundle], out)) == {"a.zip": "converted"}
    (out / "a.srcpack").write_bytes(b"notes")
    assert statuses(batch([bundle], out)) == {"a.zip": "failed"}
    (out / "a.srcpack").write_bytes(b"")
    assert statuses(batch([bundle], out)) == {"a.zip": "converted"}


def test_an_export_is_made_again(pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.touch()
    export(pack, path)
    before = path.read_bytes()
    export(pack, path)
    assert path.read_bytes() == before
    export(pack, path, stored=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize("there", [b"notes", OTHER, ONE[:-30]], ids=["text", "another", "cut"])
def test_what_an_export_would_lose_stays(pack: Path, tmp_path: Path, there: bytes) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(there)
    with pytest.raises(FileExistsError, match="what is there is"):
        export(pack, path)
    assert path.read_bytes() == there
    assert sorted(os.listdir(tmp_path)) == ["a.srcpack", "b.zip"]
    export(pack, path, force=True)
    assert path.read_bytes() != there


def test_a_zip_that_has_what_the_pack_lacks_stays(tmp_path: Path) -> None:
    members = [
        ZipMember(name="bad", content=b"bad", crc=1),
        ZipMember(name="good", content=b"good"),
        ZipMember(name="manifest.json", content=b'{"files": {"bad": {}, "good": {}}}'),
    ]
    bundle, path = tmp_path / "a.zip", tmp_path / "a.srcpack"
    bundle.write_bytes(before := build_zip(members))
    convert(bundle, path)
    with pytest.raises(FileExistsError, match="another bundle"):
        export(path, bundle)
    assert bundle.read_bytes() == before
