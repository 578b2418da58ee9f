"""Packs read by URL: no fault of a server, and nothing that changes meanwhile, ever gives wrong bytes."""

import errno
import os
import pickle

import pytest

import srcpack
from srcpack import ContentCache, FormatError, Pack, PackCache, PackSet
from srcpack.opening import packfile_of
from srcpack.source import remote
from srcpack.source.remote import RemoteSource
from support.fault_proxy import Cut, FaultProxy, Lost, Shortened, Stalled, Status
from support.range_server import RangeServer
from support.s3_server import BUCKET, S3Server
from support.served_packs import BEHIND_MANIFEST, LINES, MANY, many

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

small = pytest.mark.usefixtures("small")

# ---- an object that is replaced


def other_of_the_same_size() -> bytes:
    """Return a pack whose bytes differ in every content, and in what depends on them."""
    other = bytearray(MANY)
    content = packfile_of(srcpack.open(MANY)).tail.sections[1]
    for at in range(content.offset, content.end):
        other[at] ^= 1
    return bytes(other)


@small
@pytest.mark.parametrize("etag", ["strong", "weak", "none"])
def test_an_object_that_was_replaced_is_an_error(server: RangeServer, etag: str) -> None:
    server.etag = etag  # type: ignore[assignment]
    pack = many(server)
    entry = pack["files/_/_/lib/001.js"]
    assert not pack.store.source.replaced
    server.objects["/many.srcpack"] = other_of_the_same_size()
    server.changed = "Mon, 24 Nov 2025 00:00:01 GMT"
    for _ in range(2):
        with pytest.raises(FormatError, match=r"many\.srcpack: replaced since it was opened"):
            entry.read()
    assert pack.store.source.replaced
    assert (server.answers[-1].if_match is not None) == (etag == "strong")


@small
def test_what_no_server_tells_checksums_do(server: RangeServer) -> None:
    """No ETag, the same size, and the same second: what is read is still never of both packs."""
    server.etag = "none"
    pack = many(server)
    entry = pack["files/_/_/lib/001.js"]
    server.objects["/many.srcpack"] = other_of_the_same_size()
    with pytest.raises(FormatError, match="frame"):
        entry.read()


@small
def test_an_object_that_is_gone_is_a_file_that_is_not_there(server: RangeServer) -> None:
    pack = many(server)
    del server.objects["/many.srcpack"]
    with pytest.raises(FileNotFoundError):
        pack.by_url("~/lib/123.js")
    assert pack.store.source.replaced


@small
def test_a_pickled_pack_is_opened_by_its_url(server: RangeServer) -> None:
    text = pickle.dumps(many(server)["files/_/_/lib/001.js"])
    assert pickle.loads(text).read()
    server.objects["/many.srcpack"] = LINES
    with pytest.raises(FormatError, match="another file since it was pickled"):
        pickle.loads(text)


@small
def test_a_cache_keeps_a_url_until_a_reader_finds_it_replaced(server: RangeServer) -> None:
    url = f"{server.url}/many.srcpack"
    with PackCache(2) as cache:
        pack = cache.get(url)
        server.answers.clear()
        assert cache.get(url) is pack
        assert server.answers == []
        server.objects["/many.srcpack"] = LINES
        with pytest.raises(FormatError, match="replaced"):
            list(pack)
        again = cache.get(url)
        assert list(again) == list(srcpack.open(LINES))
        assert cache.get(url) is again
        assert cache.statistics.replaced == 1


@small
def test_a_set_resolves_over_urls_and_reads_through_a_cache(server: RangeServer) -> None:
    packs = PackSet([many(server)], content_cache=ContentCache(1 << 20))
    found = packs.resolve("https://shop.example/lib/123.js?v=3")
    assert found is not None
    first = packs.read(found)
    requests = len(server.answers)
    assert packs.read(found) is first
    assert len(server.answers) == requests
    del server.objects["/many.srcpack"]
    assert packs.resolve("https://shop.example/lib/001.js") is None
    assert packs.errors >= 1


# ---- servers


@pytest.mark.parametrize("suffixes", ["416", "whole", "never"])
def test_a_suffix_longer_than_the_object_may_be_refused(server: RangeServer, suffixes: str) -> None:
    server.suffixes = suffixes  # type: ignore[assignment]
    pack = srcpack.open(f"{server.url}/many.srcpack")
    assert [answer.method for answer in server.answers] == ["GET", "HEAD", "GET"]
    assert list(pack) == list(srcpack.open(MANY))
    assert len(server.answers) == 3


@small
def test_without_suffix_ranges_the_length_is_asked_for(server: RangeServer) -> None:
    """As it is with Azure's store."""
    server.suffixes = "never"
    pack = srcpack.open(f"{server.url}/many.srcpack")
    assert [answer.method for answer in server.answers] == ["GET", "HEAD", "GET"]
    assert server.sent == BEHIND_MANIFEST
    assert list(pack) == list(srcpack.open(MANY))


@small
def test_a_server_without_ranges_is_told_from_others(server: RangeServer) -> None:
    server.ranges_known = False
    with pytest.raises(OSError, match="answers no range requests: download the pack") as error:
        srcpack.open(f"{server.url}/many.srcpack")
    assert error.value.errno == errno.ENOTSUP
    assert not any(answer.range is None and answer.method == "GET" for answer in server.answers)


@small
def test_an_object_that_goes_between_two_requests_is_a_file_that_is_not_there(server: RangeServer) -> None:
    server.suffixes = "never"

    def remove(_range: str | None) -> None:
        if len(server.answers) == 2:
            del server.objects["/many.srcpack"]

    server.before = remove
    with pytest.raises(FileNotFoundError, match="no such object"):
        srcpack.open(f"{server.url}/many.srcpack")
    assert [answer.method for answer in server.answers] == ["GET", "HEAD", "GET"]


def test_of_a_server_without_ranges_a_small_pack_is_read(server: RangeServer) -> None:
    server.ranges_known = False
    pack = srcpack.open(f"{server.url}/many.srcpack")
    assert [entry.read() for entry in pack.values()]


def test_an_object_that_grew_between_two_requests_is_not_taken_whole(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.suffixes = "416"
    monkeypatch.setattr(remote, "PIECE", len(MANY) + 1000)

    def grow(_range: str | None) -> None:
        if len(server.answers) == 2:
            server.objects["/many.srcpack"] = bytes(50_000)

    server.before = grow
    with pytest.raises(OSError, match="replaced meanwhile"):
        srcpack.open(f"{server.url}/many.srcpack")


def test_a_body_that_is_too_long_is_an_error(server: RangeServer) -> None:
    server.longer = 1
    with pytest.raises(OSError, match=f"answered more where {len(MANY)} were asked for"):
        srcpack.open(f"{server.url}/many.srcpack")


@small
def test_a_body_that_is_too_short_is_an_error(server: RangeServer) -> None:
    with FaultProxy(server.url) as proxy:
        proxy.plan(Shortened(100))
        with pytest.raises(OSError, match=f"answered 100 bytes where {BEHIND_MANIFEST} were asked for"):
            srcpack.open(f"{proxy.url}/many.srcpack")
        pack = srcpack.open(f"{proxy.url}/many.srcpack")
        proxy.plan(Shortened(100))
        with pytest.raises(OSError, match=r"answered 100 bytes where \d+ were asked for"):
            pack.by_url("~/lib/123.js")
        assert pack.by_url("~/lib/123.js") is not None


@pytest.mark.usefixtures("small", "hasty")
def test_failures_are_asked_for_again(server: RangeServer) -> None:
    with FaultProxy(server.url) as proxy:
        proxy.plan(Status(500), Lost())
        pack = srcpack.open(f"{proxy.url}/many.srcpack")
        proxy.plan(Status(503), Cut(1000))
        entry = pack.by_url("~/lib/123.js")
        assert entry is not None
        proxy.plan(Cut(0), Status(500))
        assert entry.read() == srcpack.open(MANY)[entry.name].read()


@pytest.mark.usefixtures("small", "hasty")
@pytest.mark.parametrize(
    ("fault", "error"), [(Status(500), OSError), (Cut(10), ConnectionError), (Stalled(10), TimeoutError)]
)
def test_failures_that_last_are_errors_in_bounded_time(
    server: RangeServer, fault: Status | Cut | Stalled, error: type[OSError]
) -> None:
    with FaultProxy(server.url) as proxy:
        pack = srcpack.open(f"{proxy.url}/many.srcpack")
        proxy.plan(fault, forever=True)
        with pytest.raises(error):
            pack.by_url("~/lib/123.js")
        with pytest.raises(error):
            srcpack.open(f"{proxy.url}/many.srcpack")
        assert len(proxy.requests) <= 1 + 2 * 3
        proxy.reset()
        assert pack.by_url("~/lib/123.js") is not None


@pytest.mark.usefixtures("small", "hasty")
def test_an_object_that_is_replaced_in_the_middle_of_an_answer_is_an_error(server: RangeServer) -> None:
    """The rest of an answer that was cut is asked for; it must be the rest of the same."""

    def replace(_range: str | None) -> None:
        if server.answers:
            server.objects["/many.srcpack"] = other_of_the_same_size()

    with FaultProxy(server.url) as proxy:
        pack = srcpack.open(f"{proxy.url}/many.srcpack")
        server.before = replace
        for ask, error in (
            (lambda: pack.by_url("~/lib/123.js"), FormatError),
            (lambda: srcpack.open(f"{proxy.url}/many.srcpack"), OSError),
        ):
            server.objects["/many.srcpack"] = MANY
            server.answers.clear()
            proxy.plan(Cut(100))
            with pytest.raises(error, match=r"many\.srcpack"):
                ask()
            assert len(server.answers) == 2


def test_messages_hold_no_secret(server: RangeServer) -> None:
    server.objects["/many.srcpack?signature=SECRET"] = MANY
    pack = srcpack.open(f"{server.url}/many.srcpack?signature=SECRET")
    assert pack.file == f"{server.url}/many.srcpack"
    assert isinstance(pack.store.source, RemoteSource)
    assert "SECRET" not in repr(pack)
    again = pickle.loads(pickle.dumps(pack))
    assert again.sha256 == pack.sha256
    server.objects.clear()
    with pytest.raises(OSError, match=r"many\.srcpack") as error:
        srcpack.open(f"{server.url}/many.srcpack?signature=SECRET")
    assert "SECRET" not in str(error.value)


# ---- processes


def in_the_child(pack: Pack, known: str, name: str) -> str:
    """Say how reading goes in this process: first what is here, then what is not."""
    assert pack[known].name == known
    try:
        return f"read {len(pack[name].read())} bytes"
    except RuntimeError as error:
        return str(error)


@small
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_is_told_that_it_cannot_ask(server: RangeServer) -> None:
    """And does not wait for ever: the threads that would answer it are its parent's."""
    pack = many(server)
    known, name = "files/_/_/lib/001.js", "files/_/_/lib/250.js"
    assert known in pack
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, in_the_child(pack, known, name).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    assert "forked after obstore was used" in said
    assert pack[name].read()


# ---- an S3-compatible server in a process of its own


@pytest.mark.slow
@small
def test_a_pack_in_a_bucket_is_read_where_it_lies(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = s3.client()
    client.put_object(Bucket=BUCKET, Key="packs/many.srcpack", Body=MANY)
    with FaultProxy(s3.url) as proxy:
        for name, value in s3.environment(endpoint=proxy.url).items():
            monkeypatch.setenv(name, value)
        pack = srcpack.open(f"s3://{BUCKET}/packs/many.srcpack")
        entry = pack.by_url("~/lib/123.js")
        assert entry is not None
        assert entry.read() == srcpack.open(MANY)[entry.name].read()
        assert [request.method for request in proxy.requests] == ["GET"] * 3
        assert proxy.requests[0].range == f"bytes=-{BEHIND_MANIFEST}"
        assert list(pack) == list(srcpack.open(MANY))
        assert srcpack.verify(pack) == []
        client.put_object(Bucket=BUCKET, Key="packs/many.srcpack", Body=LINES)
        with pytest.raises(FormatError, match=f"s3://{BUCKET}/packs/many.srcpack: replaced since"):
            pack["files/_/_/lib/007.js"].read()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(PermissionError):
            srcpack.open(f"s3://{BUCKET}/packs/many.srcpack")
