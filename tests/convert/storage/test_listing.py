"""Listing objects and asking for them, against moto's S3 server in a process of its own."""

import hashlib
import tracemalloc
from pathlib import Path

import pytest

from srcpack.source.object_stores import Patience
from srcpack_convert.storage import fetched, head, list_objects, put
from support.fault_proxy import FaultProxy
from support.range_server import RangeServer
from support.s3_server import MANY, MANY_KEYS, Bucket

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

QUICK = Patience(retries=3, first_wait=0.01, longest_wait=0.05)
MD5 = f'"{hashlib.md5(b"content").hexdigest()}"'


def test_a_folder_is_listed_page_by_page(proxy: FaultProxy) -> None:
    tracemalloc.start()
    try:
        objects = list_objects(f"s3://{MANY}/folder/")
        first = next(objects)
        assert (first.url, first.size, first.etag) == (f"s3://{MANY}/folder/00000.zip", 7, MD5)
        assert first.modified > 1_600_000_000
        # A page is 1,000, and one more may be under way: of 2,500, the rest was not asked for.
        assert len(proxy.asked("GET")) <= 2
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        names = [int(found.url[-9:-4]) for found in objects]
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert names == list(range(1, MANY_KEYS))
    assert len(proxy.asked("GET")) == -(-MANY_KEYS // 1000)
    assert peak < 1_500 * 1_000  # of one page, whose dicts take about 1,000 bytes each


def test_a_listing_has_what_is_below_a_folder_and_no_marks(bucket: Bucket) -> None:
    for key in ("app/a.zip", "app/deep/b.zip", "apple.zip", "app.zip", "other/c.zip"):
        bucket.write(key, b"content")
    bucket.write("app/", b"")
    below = [f"{bucket.url}/app/a.zip", f"{bucket.url}/app/deep/b.zip"]
    for url in (f"{bucket.url}/app/", f"{bucket.url}/app"):
        assert [found.url for found in list_objects(url)] == below
    assert len(list(list_objects(bucket.url))) == 5
    assert list(list_objects(f"{bucket.url}/none/")) == []


def test_keys_are_taken_character_by_character(bucket: Bucket, tmp_path: Path) -> None:
    keys = [
        "a b.zip",
        "a%20b.zip",
        "100%.zip",
        "a%2Fb.zip",
        "ü/é.zip",
        "a+b&c=d.zip",
        "a?.zip",
        "#1.zip",
        "~*'()",
    ]
    for key in keys:
        (tmp_path / "content").write_bytes(key.encode())
        put(tmp_path / "content", f"{bucket.url}/{key}", patience=QUICK)
    assert sorted(bucket.keys()) == sorted(keys)
    for found in list_objects(bucket.url):
        with fetched(found.url) as path:
            assert path.read_bytes() == found.url.removeprefix(f"{bucket.url}/").encode()


def test_what_cannot_be_listed_is_told(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is not there, a key that cannot be named, wrong credentials, a web server."""
    with pytest.raises(FileNotFoundError, match="NoSuchBucket") as caught:
        list(list_objects("s3://no-such-bucket/folder"))
    assert caught.value.filename == "s3://no-such-bucket/folder"
    bucket.write("a//b.zip", b"content")
    with pytest.raises(OSError, match="empty path segment") as empty:
        list(list_objects(bucket.url))
    assert "\n" not in str(empty.value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(PermissionError, match="SignatureDoesNotMatch"):
        list(list_objects(bucket.url))
    with RangeServer({"/a": b"a"}) as server, pytest.raises(OSError, match="no listing"):
        next(list_objects(f"{server.url}/a"))


def test_files_are_listed_by_their_urls(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    names = ["a b.zip", "a%20b.zip", "folder/tab\t.zip", "ü.zip"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "empty").touch()
    found = list(list_objects(f"file://{tmp_path}"))
    assert len(found) == len(names)
    for one in found:
        assert one.url.isascii()
        assert head(one.url) == one
        with fetched(one.url) as path:
            assert path.read_bytes() == path.relative_to(tmp_path).as_posix().encode()
    assert all((tmp_path / name).exists() for name in names)
    with pytest.raises(FileNotFoundError):
        list(list_objects(f"file://{tmp_path}/none"))


def test_head_tells_what_is_there(bucket: Bucket) -> None:
    url = bucket.write("a.zip", b"content")
    found = head(url)
    assert found is not None
    assert (found.url, found.size, found.etag) == (url, 7, MD5)
    assert head(f"{bucket.url}/none.zip") is None
