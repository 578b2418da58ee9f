"""Converting from and into moto's S3 server in a process of its own, and from a web server."""

import hashlib
from pathlib import Path

import pytest

from srcpack.errors import FormatError
from srcpack.source.object_stores import Patience
from srcpack_convert import convert, convert_url
from support.batches import bundle_of
from support.fault_proxy import Cut, FaultProxy, Lost, Status
from support.places import BUNDLES, ROOT
from support.range_server import RangeServer
from support.s3_server import Bucket

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

QUICK = Patience(retries=3, first_wait=0.01, longest_wait=0.05)
BUNDLE = bundle_of("x", files=400)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("pack") / "app.srcpack"
    convert(BUNDLE, path)
    return path.read_bytes()


def test_a_bundle_is_converted_from_bucket_to_bucket(
    bucket: Bucket, proxy: FaultProxy, spool: Path, pack: bytes
) -> None:
    """Also over a bad line."""
    source = bucket.write("app.zip", BUNDLE)
    destination = f"{bucket.url}/packs/app.srcpack"
    report = convert_url(source, destination, spool=spool)
    assert bucket.read("packs/app.srcpack") == pack
    assert (report.source, report.output) == (source, destination)
    assert report.source_sha256 == hashlib.sha256(BUNDLE).digest()
    assert (report.source_size, report.output_size) == (len(BUNDLE), len(pack))
    assert report.verified
    proxy.plan(Status(500), Cut(10_000), method="GET")
    proxy.plan(Status(503), Lost(), method="PUT")
    proxy.plan(Status(500), method="HEAD")
    convert_url(source, f"{bucket.url}/again.srcpack", spool=spool, patience=QUICK)
    assert bucket.read("again.srcpack") == pack


def test_either_side_may_be_a_path_or_a_file_url(
    bucket: Bucket, spool: Path, pack: bytes, tmp_path: Path
) -> None:
    source, local = bucket.write("app.zip", BUNDLE), tmp_path / "app.zip"
    local.write_bytes(BUNDLE)
    out = tmp_path / "out.srcpack"
    assert convert_url(source, str(out), spool=spool).output == str(out)
    assert out.read_bytes() == pack
    convert_url(str(local), f"{bucket.url}/app.srcpack", spool=spool)
    assert bucket.read("app.srcpack") == pack
    convert_url(f"file://{local}", f"file://{tmp_path}/from%20file.srcpack", spool=spool)
    assert (tmp_path / "from file.srcpack").read_bytes() == pack


@pytest.mark.parametrize("content", [b"no zip at all", b""])
def test_a_refused_bundle_is_named_by_its_url_and_nothing_is_put(
    bucket: Bucket, spool: Path, content: bytes
) -> None:
    source = bucket.write("app.zip", content)
    with pytest.raises(FormatError) as caught:
        convert_url(source, f"{bucket.url}/app.srcpack", spool=spool)
    assert caught.value.file == source
    assert str(caught.value).startswith(f"{source}: ")
    assert str(spool) not in str(caught.value)
    assert bucket.keys() == ["app.zip"]


def test_impossible_destinations_are_refused_before_anything_is_fetched(
    bucket: Bucket, proxy: FaultProxy, spool: Path
) -> None:
    source = bucket.write("app.zip", BUNDLE)
    for destination, kind, problem in (
        ("https://host/app.srcpack?SIGNED", OSError, "for reading only"),
        (f"{bucket.url}/folder/", ValueError, "names a folder"),
        ("s3://key:hunter2@bucket/app", ValueError, "no user name"),
        (source, ValueError, "one object"),
    ):
        with pytest.raises(kind, match=problem) as caught:
            convert_url(source, destination, spool=spool)
        assert not any(secret in str(caught.value) for secret in ("hunter2", "SIGNED"))
    assert proxy.requests == []


def test_a_signed_url_is_converted_and_reported_without_its_signature(pack: bytes, tmp_path: Path) -> None:
    with RangeServer({"/app.zip?SIGNED": BUNDLE}) as web:
        report = convert_url(f"{web.url}/app.zip?SIGNED", str(tmp_path / "out.srcpack"))
        assert report.source == f"{web.url}/app.zip"
    assert (tmp_path / "out.srcpack").read_bytes() == pack


DOCUMENT = ROOT / "docs" / "object-storage.md"


@pytest.mark.skipif(not DOCUMENT.exists(), reason="no docs/ beside the tests")
def test_the_document_shows_what_is_so(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = DOCUMENT.read_text()
    script, shown = (text.split(f"```{kind}\n")[1].split("```")[0] for kind in ("python", "text"))
    bucket.client.create_bucket(Bucket="releases")
    (tmp_path / "app.zip").write_bytes((BUNDLES / "app.zip").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    assert capsys.readouterr().out == shown
