"""Listing, fetching, putting and converting objects, against moto's S3 server in a process of its own.

Between client and server is a proxy that loses, delays and cuts answers. Whatever it does, what is fetched
is one version of the object or an error, and what lies under a key is whole: the new object or the old one.
"""

import errno
import hashlib
import os
import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

import srcpack
from srcpack.errors import FormatError, LimitExceeded
from srcpack.source.object_stores import Patience
from srcpack_convert import convert, convert_url
from srcpack_convert.storage import PART, fetched, head, list_objects, put
from support.bundle_builder import build_bundle
from support.fault_proxy import Cut, Fault, FaultProxy, Lost, Request, Shortened, Stalled, Status
from support.places import ROOT
from support.s3_server import BUCKET, MANY, MANY_KEYS, S3Server

When: TypeAlias = Callable[[Request], bool]

QUICK = Patience(retries=3, first_wait=0.01, longest_wait=0.05)
IMPATIENT = Patience(retries=3, first_wait=0.01, longest_wait=0.05, idle=1)

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


class Bucket(NamedTuple):
    """A bucket behind a proxy; `client` asks the server itself."""

    url: str
    client: Any
    proxy: FaultProxy

    def write(self, key: str, content: bytes) -> str:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"{self.url}/{key}"

    def read(self, key: str) -> bytes | None:
        try:
            content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        return content

    def keys(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def uploads(self) -> list[str]:
        """Return the keys of uploads whose parts lie in the bucket, neither completed nor aborted."""
        return [
            found["Key"] for found in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        ]

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.proxy.requests if request.method == method]


@pytest.fixture(scope="module")
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.url) as running:
        yield running


@pytest.fixture
def bucket(s3: S3Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in s3.environment(endpoint=proxy.url).items():
        monkeypatch.setenv(name, value)
    client = s3.empty()
    proxy.reset()
    return Bucket(f"s3://{BUCKET}", client, proxy)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for what is fetched, which is empty in the end, whatever happened."""
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    assert os.listdir(folder) == []


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "content"
    path.write_bytes(content)
    return path


# ---- listing


def test_s3_by_moto_lists_a_folder_page_by_page(bucket: Bucket) -> None:
    tracemalloc.start()
    try:
        objects = list_objects(f"s3://{MANY}/folder/")
        first = next(objects)
        assert first.url == f"s3://{MANY}/folder/00000.zip"
        assert first.size == len(b"content")
        assert first.etag == f'"{hashlib.md5(b"content").hexdigest()}"'
        assert first.modified > 1_600_000_000
        # A page is 1,000, and one more may be under way: of 2,500, the rest was not asked for.
        assert len(bucket.asked("GET")) <= 2
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        names = [int(found.url[-9:-4]) for found in objects]
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert names == list(range(1, MANY_KEYS))
    assert len(bucket.asked("GET")) == -(-MANY_KEYS // 1000)
    assert peak < 1_500 * 1_000  # of one page, whose dicts take about 1,000 bytes each


def test_s3_by_moto_lists_what_is_below_a_folder_and_no_marks(bucket: Bucket) -> None:
    for key in ("app/a.zip", "app/deep/b.zip", "apple.zip", "app.zip", "other/c.zip"):
        bucket.write(key, b"content")
    bucket.write("app/", b"")
    for url in (f"{bucket.url}/app/", f"{bucket.url}/app"):
        assert [found.url for found in list_objects(url)] == [
            f"{bucket.url}/app/a.zip",
            f"{bucket.url}/app/deep/b.zip",
        ]
    assert len(list(list_objects(bucket.url))) == 5
    assert list(list_objects(f"{bucket.url}/none/")) == []


def test_s3_by_moto_keys_are_taken_character_by_character(bucket: Bucket, tmp_path: Path) -> None:
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
    for number, key in enumerate(keys):
        put(file_of(tmp_path, b"%d" % number), f"{bucket.url}/{key}", patience=QUICK)
    assert sorted(bucket.keys()) == sorted(keys)
    for found in list_objects(bucket.url):
        number = keys.index(found.url.removeprefix(f"{bucket.url}/"))
        with fetched(found.url) as path:
            assert path.read_bytes() == b"%d" % number


@pytest.mark.usefixtures("bucket")
def test_s3_by_moto_a_bucket_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="NoSuchBucket") as caught:
        list(list_objects("s3://no-such-bucket/folder"))
    assert caught.value.filename == "s3://no-such-bucket/folder"


def test_s3_by_moto_a_key_that_cannot_be_named_is_told(bucket: Bucket) -> None:
    bucket.write("a//b.zip", b"content")
    with pytest.raises(OSError, match="empty path segment") as caught:
        list(list_objects(bucket.url))
    assert "\n" not in str(caught.value)


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


# ---- asking and fetching


def test_s3_by_moto_head_tells_what_is_there(bucket: Bucket) -> None:
    url = bucket.write("a.zip", b"content")
    found = head(url)
    assert found is not None
    assert (found.url, found.size, found.etag) == (url, 7, f'"{hashlib.md5(b"content").hexdigest()}"')
    assert head(f"{bucket.url}/none.zip") is None


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_s3_by_moto_a_whole_object_is_fetched_and_its_file_removed(
    bucket: Bucket, spool: Path, size: int
) -> None:
    content = noise(size)
    with fetched(bucket.write("a.zip", content), spool=spool) as path:
        assert path.parent == spool
        assert path.read_bytes() == content
    assert os.listdir(spool) == []


def test_s3_by_moto_the_file_is_removed_when_the_block_fails(bucket: Bucket, spool: Path) -> None:
    with pytest.raises(KeyboardInterrupt), fetched(bucket.write("a.zip", b"content"), spool=spool):
        raise KeyboardInterrupt


def test_s3_by_moto_an_object_over_the_limit_is_not_asked_for(bucket: Bucket, spool: Path) -> None:
    url = bucket.write("a.zip", b"content")
    with pytest.raises(LimitExceeded) as caught, fetched(url, spool=spool, max_size=6):
        pass
    assert (caught.value.file, caught.value.size, caught.value.limit) == (url, 7, 6)
    assert bucket.asked("GET") == []


def test_s3_by_moto_a_missing_object_is_an_error_at_once(bucket: Bucket, spool: Path) -> None:
    url = f"{bucket.url}/none.zip"
    with pytest.raises(FileNotFoundError) as caught, fetched(url, spool=spool):
        pass
    assert caught.value.filename == url
    assert len(bucket.proxy.requests) == 1


@pytest.mark.parametrize(
    "faults",
    [
        [Status(500), Status(503)],
        [Status(429), Status(408)],
        [Lost(), Lost()],
        [Cut(0), Cut(100_000), Cut(500_000)],
        [Cut(2_900_000)],
        [Stalled(1_000)],
        [Status(500), Cut(1_000), Lost()],
    ],
    ids=repr,
)
def test_s3_by_moto_a_fetch_survives(bucket: Bucket, spool: Path, faults: list[Fault]) -> None:
    content = noise(3_000_000)
    url = bucket.write("a.zip", content)
    bucket.proxy.plan(*faults, method="GET")
    with fetched(url, spool=spool, patience=IMPATIENT) as path:
        assert path.read_bytes() == content
    assert len(bucket.asked("GET")) == len(faults) + 1


def test_s3_by_moto_a_fetch_that_advances_outlasts_the_retries_of_one_request(
    bucket: Bucket, spool: Path
) -> None:
    content = noise(9_000_000)
    url = bucket.write("a.zip", content)
    cuts = 8
    bucket.proxy.plan(*[Cut(1_100_000)] * cuts, method="GET")
    with fetched(url, spool=spool, patience=QUICK) as path:
        assert path.read_bytes() == content
    etag = bucket.asked("GET")[0].headers["if-match"]
    assert len(bucket.asked("GET")) == cuts + 1 > QUICK.retries + 1
    assert all(request.headers["if-match"] == etag for request in bucket.asked("GET"))


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (Status(500), OSError, "500 Internal Server Error, Injected, after 3 retries"),
        (Status(429), OSError, "429 Too Many Requests"),
        (Status(403), PermissionError, "refused the credentials"),
        (Status(404), FileNotFoundError, "no such object"),
        (Lost(), ConnectionError, "was cut"),
        (Cut(1_000), ConnectionError, "was cut"),
        (Stalled(1_000), TimeoutError, "no answer in time"),
        (Shortened(1_000), OSError, "1,000 bytes are sent, 2,000,000 were announced"),
    ],
    ids=repr,
)
def test_s3_by_moto_a_fetch_that_cannot_succeed_is_a_clear_error(
    bucket: Bucket, spool: Path, fault: Fault, kind: type[OSError], reason: str
) -> None:
    url = bucket.write("a.zip", noise(2_000_000))
    bucket.proxy.plan(fault, method="GET", forever=True)
    patience = Patience(
        retries=3, first_wait=0.01, longest_wait=0.05, idle=0.5 if kind is TimeoutError else 30
    )
    with pytest.raises(kind, match=reason) as caught, fetched(url, spool=spool, patience=patience):
        pass
    assert caught.value.filename == url
    assert "\n" not in str(caught.value)


def test_s3_by_moto_an_object_replaced_before_its_bytes_come_is_an_error(bucket: Bucket, spool: Path) -> None:
    url = bucket.write("a.zip", noise(2_000))
    bucket.proxy.on_answer = replacing(bucket, "HEAD", "a.zip", noise(2_000, seed=1))
    with pytest.raises(OSError, match="replaced meanwhile") as caught, fetched(url, spool=spool):
        pass
    assert caught.value.errno == errno.ESTALE


def test_s3_by_moto_an_object_replaced_while_its_bytes_come_is_an_error(bucket: Bucket, spool: Path) -> None:
    url = bucket.write("a.zip", noise(2_000_000))
    bucket.proxy.plan(Cut(1_000_000), method="GET")
    bucket.proxy.on_answer = replacing(bucket, "GET", "a.zip", noise(2_000_000, seed=1))
    with (
        pytest.raises(OSError, match="replaced meanwhile") as caught,
        fetched(url, spool=spool, patience=QUICK),
    ):
        pass
    assert caught.value.errno == errno.ESTALE


def replacing(bucket: Bucket, method: str, key: str, content: bytes) -> Callable[[Request], None]:
    """Return what puts another object in the place of one, when the first such request is answered."""

    def act(request: Request) -> None:
        if request.method == method and len(bucket.asked(method)) == 1:
            bucket.write(key, content)

    return act


@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_SECRET_ACCESS_KEY": "hunter2"},
        {"AWS_ACCESS_KEY_ID": "nobody"},
        {"AWS_SKIP_SIGNATURE": "true"},
    ],
    ids=str,
)
def test_s3_by_moto_wrong_credentials_are_refused_at_once(
    bucket: Bucket, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    url = bucket.write("a.zip", b"content")
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PermissionError) as reading, fetched(url, spool=spool):
        pass
    with pytest.raises(PermissionError) as writing:
        put(file_of(tmp_path, b"other"), url)
    for caught in (reading, writing):
        assert caught.value.filename == url
        assert "refused the credentials" in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert len(bucket.proxy.requests) == 2
    assert bucket.read("a.zip") == b"content"


def test_s3_by_moto_a_listing_with_wrong_credentials_is_refused(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(PermissionError, match="SignatureDoesNotMatch"):
        list(list_objects(bucket.url))


# ---- putting

SMALL, LARGE = noise(100_000, seed=2), noise(PART + 200_000, seed=3)


@pytest.mark.parametrize(("content", "puts"), [(b"", 1), (SMALL, 1), (noise(PART), 1), (LARGE, 2)])
def test_s3_by_moto_a_file_is_put(bucket: Bucket, tmp_path: Path, content: bytes, puts: int) -> None:
    url = f"{bucket.url}/folder/a.srcpack"
    stored = put(file_of(tmp_path, content), url)
    assert bucket.read("folder/a.srcpack") == content
    assert stored == head(url)
    assert stored.size == len(content)
    assert len(bucket.asked("PUT")) == puts
    assert bucket.uploads() == []


def is_part(request: Request) -> bool:
    return "partNumber=2" in request.path


def is_completion(request: Request) -> bool:
    return request.method == "POST" and "uploadId=" in request.path


def is_start(request: Request) -> bool:
    return request.method == "POST" and "uploads" in request.path


def is_put(request: Request) -> bool:
    return request.method == "PUT"


@pytest.mark.parametrize(
    ("content", "when", "faults"),
    [
        (SMALL, is_put, [Status(500), Status(503), Status(429)]),
        (SMALL, is_put, [Lost(), Status(500)]),
        (LARGE, is_part, [Status(500), Lost()]),
        (LARGE, is_completion, [Status(503)]),
        (LARGE, is_completion, [Lost()]),
        (LARGE, is_start, [Status(500), Status(500)]),
    ],
    ids=lambda value: len(value) if isinstance(value, bytes) else getattr(value, "__name__", repr(value)),
)
def test_s3_by_moto_a_put_survives(
    bucket: Bucket, tmp_path: Path, content: bytes, when: When, faults: list[Fault]
) -> None:
    bucket.proxy.plan(*faults, when=when)
    put(file_of(tmp_path, content), f"{bucket.url}/a.srcpack", patience=QUICK)
    assert bucket.read("a.srcpack") == content
    assert bucket.uploads() == []


@pytest.mark.parametrize(
    ("content", "when", "fault"),
    [
        (SMALL, is_put, Status(500)),
        (SMALL, is_put, Status(403)),
        (LARGE, is_start, Status(500)),
        (LARGE, is_part, Status(500)),
        (LARGE, is_part, Lost()),
        (LARGE, is_part, Status(403)),
        (LARGE, is_completion, Status(500)),
        (LARGE, is_completion, Status(400)),
    ],
    ids=lambda value: len(value) if isinstance(value, bytes) else getattr(value, "__name__", repr(value)),
)
def test_s3_by_moto_after_a_failed_put_the_old_object_is_there_or_none(
    bucket: Bucket, tmp_path: Path, content: bytes, when: When, fault: Fault
) -> None:
    bucket.write("old.srcpack", b"old pack")
    bucket.proxy.plan(fault, when=when, forever=True)
    for key, old in (("old.srcpack", b"old pack"), ("new.srcpack", None)):
        with pytest.raises(OSError, match=r"refused|failed|cut") as caught:
            put(file_of(tmp_path, content), f"{bucket.url}/{key}", patience=QUICK)
        assert caught.value.filename == f"{bucket.url}/{key}"
        assert "\n" not in str(caught.value)
        assert bucket.read(key) == old
        assert bucket.uploads() == []


@pytest.mark.parametrize(("content", "when"), [(SMALL, is_put), (LARGE, is_completion)], ids=["one", "parts"])
def test_s3_by_moto_a_put_whose_answers_are_all_lost_fails_and_leaves_a_whole_object(
    bucket: Bucket, tmp_path: Path, content: bytes, when: When
) -> None:
    bucket.write("a.srcpack", b"old pack")
    bucket.proxy.plan(Lost(), when=when, forever=True)
    with pytest.raises(OSError, match=r"was cut|without an answer"):
        put(file_of(tmp_path, content), f"{bucket.url}/a.srcpack", patience=QUICK)
    assert bucket.read("a.srcpack") == content  # all of it arrived; only nobody told us


def test_s3_by_moto_another_object_put_at_the_same_moment_is_noticed(bucket: Bucket, tmp_path: Path) -> None:
    for other, problem in ((b"other", "the object has 5"), (noise(len(SMALL), seed=9), "the same size")):
        bucket.proxy.reset()
        bucket.proxy.on_answer = replacing(bucket, "PUT", "a.srcpack", other)
        with pytest.raises(OSError, match=problem) as caught:
            put(file_of(tmp_path, SMALL), f"{bucket.url}/a.srcpack")
        assert caught.value.errno == errno.ESTALE


def test_a_file_is_put_in_one_step(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/a%20pack"
    stored = put(file_of(tmp_path, SMALL), url)
    assert (tmp_path / "a pack").read_bytes() == SMALL
    assert stored == head(url)
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "none", url)
    assert sorted(os.listdir(tmp_path)) == ["a pack", "content"]


# ---- converting


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {f"files/{number}.js": b"content %d\n" % number * number for number in range(1, 200)}
    manifest = {"files": {name: {"url": f"~/{name}", "type": "minified_source"} for name in files}}
    path = tmp_path_factory.mktemp("bundle") / "app.zip"
    path.write_bytes(build_bundle(files, manifest))
    return path


@pytest.fixture(scope="module")
def pack(bundle: Path) -> bytes:
    path = bundle.with_suffix(".srcpack")
    convert(bundle, path)
    return path.read_bytes()


def test_s3_by_moto_a_bundle_is_converted_from_bucket_to_bucket(
    bucket: Bucket, spool: Path, bundle: Path, pack: bytes
) -> None:
    source = bucket.write("app.zip", bundle.read_bytes())
    destination = f"{bucket.url}/packs/app.srcpack"
    report = convert_url(source, destination, spool=spool)
    assert bucket.read("packs/app.srcpack") == pack
    assert (report.source, report.output) == (source, destination)
    assert report.source_sha256 == hashlib.sha256(bundle.read_bytes()).digest()
    assert (report.source_size, report.output_size) == (bundle.stat().st_size, len(pack))
    assert report.verified


def test_s3_by_moto_either_side_may_be_a_path_or_a_file_url(
    bucket: Bucket, spool: Path, bundle: Path, pack: bytes, tmp_path: Path
) -> None:
    source = bucket.write("app.zip", bundle.read_bytes())
    out = tmp_path / "out.srcpack"
    assert convert_url(source, str(out), spool=spool).output == str(out)
    assert out.read_bytes() == pack
    convert_url(str(bundle), f"{bucket.url}/app.srcpack", spool=spool)
    assert bucket.read("app.srcpack") == pack
    convert_url(f"file://{bundle}", f"file://{tmp_path}/from%20file.srcpack", spool=spool)
    assert (tmp_path / "from file.srcpack").read_bytes() == pack


@pytest.mark.parametrize("content", [b"no zip at all", b""])
def test_s3_by_moto_a_refused_bundle_is_named_by_its_url_and_nothing_is_put(
    bucket: Bucket, spool: Path, content: bytes
) -> None:
    source = bucket.write("app.zip", content)
    with pytest.raises(FormatError) as caught:
        convert_url(source, f"{bucket.url}/app.srcpack", spool=spool)
    assert caught.value.file == source
    assert str(caught.value).startswith(f"{source}: ")
    assert str(spool) not in str(caught.value)
    assert bucket.keys() == ["app.zip"]


def test_s3_by_moto_a_conversion_over_a_bad_line_is_the_same_pack(
    bucket: Bucket, spool: Path, bundle: Path, pack: bytes
) -> None:
    source = bucket.write("app.zip", bundle.read_bytes())
    bucket.proxy.plan(Status(500), Cut(10_000), method="GET")
    bucket.proxy.plan(Status(503), Lost(), method="PUT")
    bucket.proxy.plan(Status(500), method="HEAD")
    convert_url(source, f"{bucket.url}/app.srcpack", spool=spool, patience=QUICK)
    assert bucket.read("app.srcpack") == pack


def test_impossible_destinations_are_refused_before_anything_is_fetched(
    bucket: Bucket, spool: Path, bundle: Path
) -> None:
    source = bucket.write("app.zip", bundle.read_bytes())
    for destination, kind, problem in (
        ("https://host/app.srcpack?SIGNED", OSError, "for reading only"),
        (f"{bucket.url}/folder/", ValueError, "names a folder"),
        ("s3://key:hunter2@bucket/app", ValueError, "no user name"),
        (source, ValueError, "one object"),
    ):
        with pytest.raises(kind, match=problem) as caught:
            convert_url(source, destination, spool=spool)
        assert "hunter2" not in str(caught.value)
        assert "SIGNED" not in str(caught.value)
    assert bucket.proxy.requests == []


# ---- web servers


class Web(ThreadingHTTPServer):
    """A web server with one file, without ranges; with an ETag, if it is given one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.contents = [b""]
        """What the file holds at each request in turn; the last for all that follow."""
        self.etag: str | None = None
        self.signature = ""
        """The query without which nothing is answered, and with which only GET is, as a signed URL's."""
        self.host = f"http://127.0.0.1:{self.server_address[1]}"
        self.url = f"{self.host}/a%20file"


class _Page(SimpleHTTPRequestHandler):
    def send_head(self) -> Any:
        web = self.server
        assert isinstance(web, Web)
        path, _, query = self.path.partition("?")
        if query != web.signature or (query and self.command != "GET"):
            self.send_error(403, explain=f"no right by {query}")
            return None
        if path != "/a%20file":
            self.send_error(404)
            return None
        content = web.contents.pop(0) if len(web.contents) > 1 else web.contents[0]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", f"Thu, 01 Jan 2026 00:00:{len(web.contents):02} GMT")
        if web.etag:
            self.send_header("ETag", web.etag)
        self.end_headers()
        return _Body(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, _size: int) -> bytes:
        content, self.content = self.content, b""
        return content

    def close(self) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("etag", [None, '"strong"', 'W/"weak"'])
def test_a_file_of_a_web_server_is_fetched(web: Web, spool: Path, etag: str | None) -> None:
    web.contents, web.etag = [noise(1_500_000)], etag
    found = head(web.url)
    assert found is not None
    assert (found.size, found.etag, found.modified) == (1_500_000, etag, 1767225601)
    with fetched(web.url, spool=spool) as path:
        assert path.read_bytes() == web.contents[0]
    assert head(web.url.replace("file", "none")) is None


@pytest.mark.parametrize("etag", [None, '"the same for all"'])
def test_a_web_servers_file_that_changes_is_an_error(web: Web, spool: Path, etag: str | None) -> None:
    web.contents, web.etag = [noise(1_000)] * 2 + [noise(1_000, seed=1)], etag
    with pytest.raises(OSError, match="replaced meanwhile"), fetched(web.url, spool=spool):
        pass


def test_a_cut_answer_of_a_web_server_without_etags_is_an_error(web: Web, spool: Path) -> None:
    web.contents = [noise(1_000_000)]
    with FaultProxy(web.url) as proxy:
        proxy.plan(Cut(400_000), method="GET")
        url = f"{proxy.url}/a%20file"
        with pytest.raises(ConnectionError), fetched(url, spool=spool, patience=QUICK):
            pass


def test_a_signed_url_is_read_by_get_alone_and_its_signature_kept_secret(
    web: Web, spool: Path, bundle: Path, pack: bytes, tmp_path: Path
) -> None:
    web.contents, web.signature = [bundle.read_bytes()], "X-Amz-Signature=SIGNED%2F%3D&X-Amz-Expires=1"
    url = f"{web.url}?{web.signature}"
    found = head(url)
    assert found is not None
    assert found.size == len(web.contents[0])
    report = convert_url(url, str(tmp_path / "out.srcpack"), spool=spool)
    assert (tmp_path / "out.srcpack").read_bytes() == pack
    assert report.source == web.url
    with pytest.raises(PermissionError) as refused, fetched(f"{web.url}?sig=hunter2", spool=spool):
        pass
    with (
        pytest.raises(FileNotFoundError) as missing,
        fetched(f"{web.host}/none?{web.signature}", spool=spool),
    ):
        pass
    for caught in (refused, missing):
        assert caught.value.filename in {web.url, f"{web.host}/none"}
        assert not any(secret in str(caught.value) for secret in ("hunter2", "SIGNED"))


def test_a_web_server_is_neither_listed_nor_written(web: Web, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no listing"):
        next(list_objects(web.url))
    with pytest.raises(OSError, match="for reading only"):
        put(file_of(tmp_path, b"content"), web.url)


def test_a_converted_pack_opens(bundle: Path, tmp_path: Path) -> None:
    convert_url(f"file://{bundle}", f"file://{tmp_path}/app.srcpack")
    with srcpack.open(tmp_path / "app.srcpack") as opened:
        assert len(opened) == 199


DOCUMENT = ROOT / "docs" / "object-storage.md"


@pytest.mark.skipif(not DOCUMENT.exists(), reason="no docs/ beside the tests")
def test_s3_by_moto_the_document_shows_what_is_so(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = DOCUMENT.read_text()
    script, shown = (text.split(f"```{kind}\n")[1].split("```")[0] for kind in ("python", "text"))
    bucket.client.create_bucket(Bucket="releases")
    (tmp_path / "app.zip").write_bytes((DOCUMENT.parents[1] / "fixtures/bundles/app.zip").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    assert capsys.readouterr().out == shown
