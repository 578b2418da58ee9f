"""Fetching objects from moto's S3 server in a process of its own, and from a web server.

Between client and server is a proxy that loses, delays and cuts answers. Whatever it does, what is fetched
is one version of the object or an error.
"""

import errno
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from srcpack.errors import LimitExceeded
from srcpack.source.object_stores import Patience
from srcpack_convert.storage import fetched, head
from support.fault_proxy import Cut, Fault, FaultProxy, Lost, Shortened, Stalled, Status
from support.range_server import RangeServer
from support.s3_server import Bucket

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

QUICK = Patience(retries=3, first_wait=0.01, longest_wait=0.05)
IMPATIENT = Patience(retries=3, first_wait=0.01, longest_wait=0.05, idle=0.5)

NOISE, OTHER = (random.Random(seed).randbytes(2_000_000) for seed in range(2))


@pytest.mark.parametrize("size", [0, 1, 2_000_000])
def test_a_whole_object_is_fetched_and_its_file_removed(bucket: Bucket, spool: Path, size: int) -> None:
    with fetched(bucket.write("a.zip", NOISE[:size]), spool=spool) as path:
        assert path.parent == spool
        assert path.read_bytes() == NOISE[:size]


def test_the_file_is_removed_when_the_block_fails(bucket: Bucket, spool: Path) -> None:
    with pytest.raises(KeyboardInterrupt), fetched(bucket.write("a.zip", b"content"), spool=spool):
        raise KeyboardInterrupt


def test_an_object_over_the_limit_is_not_asked_for(bucket: Bucket, proxy: FaultProxy, spool: Path) -> None:
    url = bucket.write("a.zip", b"content")
    with pytest.raises(LimitExceeded) as caught, fetched(url, spool=spool, max_size=6):
        pass
    assert (caught.value.file, caught.value.size, caught.value.limit) == (url, 7, 6)
    assert proxy.asked("GET") == []


def test_a_missing_object_is_an_error_at_once(bucket: Bucket, proxy: FaultProxy, spool: Path) -> None:
    url = f"{bucket.url}/none.zip"
    with pytest.raises(FileNotFoundError) as caught, fetched(url, spool=spool):
        pass
    assert caught.value.filename == url
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    "faults",
    [
        [Status(500), Status(503)],
        [Status(429), Status(408)],
        [Lost(), Lost()],
        [Cut(0), Cut(100_000), Cut(500_000)],
        [Cut(1_900_000)],
        [Stalled(1_000)],
        [Status(500), Cut(1_000), Lost()],
    ],
    ids=repr,
)
def test_a_fetch_survives(bucket: Bucket, proxy: FaultProxy, spool: Path, faults: list[Fault]) -> None:
    url = bucket.write("a.zip", NOISE)
    proxy.plan(*faults, method="GET")
    with fetched(url, spool=spool, patience=IMPATIENT) as path:
        assert path.read_bytes() == NOISE
    assert len(proxy.asked("GET")) == len(faults) + 1


def test_a_fetch_that_advances_outlasts_the_retries_of_one_request(
    bucket: Bucket, proxy: FaultProxy, spool: Path
) -> None:
    content = NOISE * 5
    url = bucket.write("a.zip", content)
    cuts = 8
    proxy.plan(*[Cut(1_100_000)] * cuts, method="GET")
    with fetched(url, spool=spool, patience=QUICK) as path:
        assert path.read_bytes() == content
    assert len(proxy.asked("GET")) == cuts + 1 > QUICK.retries + 1
    assert len({request.headers["if-match"] for request in proxy.asked("GET")}) == 1


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
def test_a_fetch_that_cannot_succeed_is_a_clear_error(
    bucket: Bucket, proxy: FaultProxy, spool: Path, *, fault: Fault, kind: type[OSError], reason: str
) -> None:
    url = bucket.write("a.zip", NOISE)
    proxy.plan(fault, method="GET", forever=True)
    idle = 0.3 if kind is TimeoutError else 30
    patience = Patience(retries=3, first_wait=0.01, longest_wait=0.05, idle=idle)
    with pytest.raises(kind, match=reason) as caught, fetched(url, spool=spool, patience=patience):
        pass
    assert caught.value.filename == url
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("after", "faults"), [("HEAD", []), ("GET", [Cut(1_000_000)])])
def test_an_object_replaced_before_or_while_its_bytes_come_is_an_error(
    bucket: Bucket, proxy: FaultProxy, spool: Path, after: str, faults: list[Fault]
) -> None:
    url = bucket.write("a.zip", NOISE)
    proxy.plan(*faults, method="GET")
    proxy.after_first(after, lambda: bucket.write("a.zip", OTHER))
    with (
        pytest.raises(OSError, match="replaced meanwhile") as caught,
        fetched(url, spool=spool, patience=QUICK),
    ):
        pass
    assert caught.value.errno == errno.ESTALE


# ---- web servers


@pytest.fixture
def web() -> Iterator[RangeServer]:
    with RangeServer({"/a%20file": NOISE}) as running:
        yield running


@pytest.mark.parametrize("etag", ["none", "strong", "weak"])
def test_a_file_of_a_web_server_is_fetched(
    web: RangeServer, spool: Path, etag: Literal["none", "strong", "weak"]
) -> None:
    web.etag, web.ranges_known, web.changed = etag, False, "Thu, 01 Jan 2026 00:00:01 GMT"
    url = f"{web.url}/a%20file"
    found = head(url)
    assert found is not None
    assert (found.size, found.etag, found.modified) == (len(NOISE), web.etag_of(NOISE), 1767225601)
    with fetched(url, spool=spool) as path:
        assert path.read_bytes() == NOISE
    assert head(url.replace("file", "none")) is None


@pytest.mark.parametrize("etag", ["none", "strong"])
def test_a_web_servers_file_that_changes_is_an_error(
    web: RangeServer, spool: Path, etag: Literal["none", "strong"]
) -> None:
    """Also where the server has one ETag for both, and heeds no If-Match."""
    web.etag = etag

    def change(_: str | None) -> None:
        if len(web.answers) == 2:
            web.changed = "Thu, 01 Jan 2026 00:00:02 GMT"

    web.before = change
    with pytest.raises(OSError, match="replaced meanwhile"), fetched(f"{web.url}/a%20file", spool=spool):
        pass


def test_a_cut_answer_of_a_web_server_without_etags_is_an_error(web: RangeServer, spool: Path) -> None:
    web.etag, web.ranges_known = "none", False
    with FaultProxy(web.url) as proxy:
        proxy.plan(Cut(400_000), method="GET")
        with (
            pytest.raises(ConnectionError),
            fetched(f"{proxy.url}/a%20file", spool=spool, patience=QUICK),
        ):
            pass


def test_a_signed_url_is_read_by_get_alone_and_its_signature_kept_secret(
    web: RangeServer, spool: Path
) -> None:
    signed = "/a%20file?X-Amz-Signature=SIGNED%2F%3D&X-Amz-Expires=1"
    web.objects = {signed: NOISE}
    with FaultProxy(web.url) as proxy:
        proxy.plan(Status(403), method="HEAD", forever=True)
        proxy.plan(
            Status(403, b"no right by sig=hunter2"), when=lambda asked: "hunter2" in asked.path, forever=True
        )
        found = head(proxy.url + signed)
        assert found is not None
        assert found.size == len(NOISE)
        with fetched(proxy.url + signed, spool=spool) as path:
            assert path.read_bytes() == NOISE
        for wrong, kind in (("/a%20file?sig=hunter2", PermissionError), ("/none?SIGNED", FileNotFoundError)):
            with pytest.raises(kind) as caught, fetched(proxy.url + wrong, spool=spool):
                pass
            assert caught.value.filename == proxy.url + wrong.partition("?")[0]
            assert not any(secret in str(caught.value) for secret in ("hunter2", "SIGNED"))
