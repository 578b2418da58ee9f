"""Packs read by URL: what requests are made, and that no fault of a server ever gives wrong bytes."""

import errno
import multiprocessing
import os
import pickle
import random
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import srcpack
from srcpack import (
    ContentCache,
    FormatError,
    NotFound,
    Pack,
    PackCache,
    PackSet,
)
from srcpack.caches import Generations
from srcpack.format import fetch
from srcpack.format.head_tail import DICTIONARY, HEAD_SIZE, pack_tail
from srcpack.opening import local_copy, open_pack, packfile_of
from srcpack.source import remote, request_plan
from srcpack.source.object_stores import Patience, locate
from srcpack.source.remote import RemoteSource
from srcpack_convert.cli import main as cli
from support.fault_proxy import Cut, FaultProxy, Lost, Shortened, Stalled, Status
from support.places import FIXTURES
from support.range_server import RangeServer
from support.remote_requests import measure
from support.s3_server import BUCKET, S3Server

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

MANY = (FIXTURES / "packs" / "many.srcpack").read_bytes()
LINES = (FIXTURES / "packs" / "lines.srcpack").read_bytes()
BEHIND_MANIFEST = len(MANY) - packfile_of(srcpack.open(MANY)).tail.sections[DICTIONARY].offset
"""Bytes that follow the manifest of MANY."""


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer({"/many.srcpack": MANY, "/lines.srcpack": LINES}) as server:
        yield server


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pieces so small that of MANY only what is behind its manifest comes when it is opened."""
    monkeypatch.setattr(remote, "PIECE", BEHIND_MANIFEST)
    monkeypatch.setattr(request_plan, "MAX_GAP", 64)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon, and not often."""
    patience = Patience(
        connect=2, idle=0.3, whole=5, retries=2, retry_for=5, first_wait=0.01, longest_wait=0.02
    )
    monkeypatch.setattr(remote, "locate", partial(locate, patience=patience))


def many(server: RangeServer) -> Pack:
    """Open MANY, and forget the requests for it."""
    pack = srcpack.open(f"{server.url}/many.srcpack")
    server.answers.clear()
    return pack


def lines(server: RangeServer) -> Pack:
    pack = srcpack.open(f"{server.url}/lines.srcpack")
    server.answers.clear()
    return pack


# ---- requests


def test_a_pack_is_opened_by_one_request_for_its_end(server: RangeServer) -> None:
    srcpack.open(f"{server.url}/many.srcpack")
    assert server.ranges == [f"bytes=-{remote.PIECE}"]


def test_a_small_pack_is_read_whole_by_that_request(server: RangeServer) -> None:
    pack = many(server)
    assert [entry.read() for entry in pack.values()] == [
        entry.read() for entry in srcpack.open(MANY).values()
    ]
    assert server.answers == []


@pytest.mark.usefixtures("small")
def test_a_lookup_and_a_read_are_a_request_each(server: RangeServer) -> None:
    pack = many(server)
    entry = pack.by_url("~/lib/123.js")
    assert entry is not None
    assert len(server.answers) == 1
    assert entry.read() == srcpack.open(MANY)[entry.name].read()
    assert len(server.answers) == 2
    frame = entry.record.frames[0]
    assert server.ranges[1] == f"bytes={frame.offset}-{frame.offset + frame.length - 1}"
    neighbour = pack.by_url("~/lib/124.js")
    assert neighbour is not None
    assert len(server.answers) == 2
    assert pack.by_url("~/absent.js") is None
    assert "absent" not in pack
    assert len(server.answers) == 2


@pytest.mark.usefixtures("small")
def test_a_dictionary_is_fetched_with_the_end(server: RangeServer) -> None:
    pack = many(server)
    assert packfile_of(pack).dictionary().sha256 == packfile_of(pack).tail.dictionary_sha256
    assert server.answers == []


def test_a_large_index_is_fetched_in_pieces_and_each_once(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PIECE", 1000)
    pack = many(server)
    local = srcpack.open(MANY)
    for entry in local.values():
        assert pack.by_url(entry.url or "") is not None
    start = packfile_of(pack).tail.sections[2].end
    of_index = [range_ for range_ in server.ranges if int((range_ or "")[6:].split("-")[0]) >= start]
    assert len(of_index) == len(set(of_index)) <= -(-BEHIND_MANIFEST // 1000)
    assert len(server.answers) == len(of_index) + packfile_of(pack).tail.block_count


def test_what_is_kept_is_bounded_for_all_packs_together(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lost the end of its pack to others fetches it again."""
    kept: Generations[tuple[int, int], bytes] = Generations(3 * len(MANY))
    monkeypatch.setattr(remote, "_KEPT", kept)
    packs = [many(server) for _ in range(20)]
    assert len(kept) <= 6
    name = next(iter(srcpack.open(MANY)))
    assert packs[0][name].read() == packs[19][name].read()
    assert server.ranges == [f"bytes=0-{len(MANY) - 1}"]


def test_a_content_of_many_frames_is_one_request(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PIECE", 500)
    pack, local = lines(server), srcpack.open(LINES)
    for name in ("files/many-lines.c", "files/raw.bin"):
        entry, same = pack[name], local[name]
        assert len(entry.record.frames) == 9
        server.answers.clear()
        assert entry.read() == same.read()
        assert len(server.answers) == 1
        assert entry.read_range(4095, 4098) == same.read_range(4095, 4098)
        assert len(server.answers) == 2
        first, last = entry.record.frames[0], entry.record.frames[2]
        assert server.answers[1].sent == last.offset + last.length - first.offset
        assert bytes(entry.view()) == same.read()
        assert len(server.answers) == 3
    entry = pack["files/many-lines.c"]
    assert entry.context(1000, lines=200) == local["files/many-lines.c"].context(1000, lines=200)
    assert len(server.answers) == 4
    assert server.answers[3].sent < entry.stored_size / 2


def test_a_request_is_bounded(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PIECE", 500)
    monkeypatch.setattr(request_plan, "MAX_REQUEST", 10_000)
    pack = lines(server)
    content = srcpack.open(LINES)["files/raw.bin"].read()
    assert pack["files/raw.bin"].read() == content
    assert bytes(pack["files/raw.bin"].view()) == content
    assert max(answer.sent for answer in server.answers) == 10_000
    assert len([answer for answer in server.answers if answer.sent > 1000]) == 8


@pytest.mark.usefixtures("small")
def test_a_listing_fetches_ever_more_blocks_at_once(server: RangeServer) -> None:
    pack = many(server)
    assert packfile_of(pack).tail.block_count == 10
    assert list(pack) == list(srcpack.open(MANY))
    assert len(server.answers) == 2
    server.answers.clear()
    assert len(list(many(server).find_prefix("files/_/_/lib/25"))) == 10
    assert len(server.answers) <= 5


@pytest.mark.usefixtures("small")
def test_a_listing_fetches_no_more_at_once_than_may_be_held(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = many(server)
    places = [
        packfile_of(pack).directory.block_place(number)
        for number in range(packfile_of(pack).tail.block_count)
    ]
    monkeypatch.setattr(request_plan, "_MAX_BLOCKS", 1)  # one is always fetched, however large it is
    assert list(pack) == list(srcpack.open(MANY))
    assert [answer.sent for answer in server.answers] == [place.length for place in places]


@pytest.mark.usefixtures("small")
def test_a_listing_holds_few_blocks_and_gives_those_before_a_damaged_one(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srcpack.format.directory._BLOCKS", Generations(1))  # keeps the last two
    monkeypatch.setattr(fetch, "_MAX_UNPACKED", 1)
    names = list(srcpack.open(MANY))
    pack = many(server)
    assert list(pack) == names
    assert len(server.answers) == packfile_of(pack).tail.block_count
    monkeypatch.setattr(fetch, "_MAX_UNPACKED", 1 << 20)
    server.answers.clear()
    assert list(pack) == names
    assert len(server.answers) == 2
    damaged = bytearray(MANY)
    damaged[packfile_of(pack).directory.block_place(2).offset + 100] ^= 1
    server.objects["/many.srcpack"] = bytes(damaged)
    given: list[str] = []
    with pytest.raises(FormatError, match="manifest block"):
        given.extend(iter(many(server)))
    assert given == names[: 2 * packfile_of(pack).tail.block_entries]


@pytest.mark.usefixtures("small")
def test_read_many_fetches_neighbours_together(server: RangeServer) -> None:
    pack, local = many(server), srcpack.open(MANY)
    names = list(local)
    near = [*names[5:2:-1], names[4], packfile_of(local).tail and names[7]]
    assert pack.read_many(near) == local.read_many(near)
    assert len(server.answers) == 2, "a block, and the contents with the gaps between them"
    server.answers.clear()
    far = [names[290], names[10], names[150], names[149]]
    assert pack.read_many(far) == local.read_many(far)
    assert len(server.answers) == 5, "two blocks, one being here and two being neighbours; and three places"
    server.answers.clear()
    assert pack.read_many([pack[name] for name in far], threads=3) == local.read_many(far)
    assert len(server.answers) == 3


@pytest.mark.usefixtures("small")
def test_read_many_fetches_side_by_side(server: RangeServer) -> None:
    """Each of three requests waits until the others were made."""
    pack, local = many(server), srcpack.open(MANY)
    far = [list(local)[at] for at in (10, 150, 290)]
    entries = [pack[name] for name in far]
    together = threading.Barrier(3, timeout=30)

    def wait(_range: str | None) -> None:
        together.wait()

    server.before = wait
    assert pack.read_many(entries, threads=3) == local.read_many(far)


@pytest.mark.usefixtures("small")
def test_read_many_splits_what_is_long(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_plan, "MAX_REQUEST", 4000)
    monkeypatch.setattr(request_plan, "_LEAST_SHARE", 1000)
    pack, local = many(server), srcpack.open(MANY)
    entries = list(pack.values())
    for threads, most in ((1, 4000), (2, 2000), (9, 1000)):
        server.answers.clear()
        assert pack.read_many(entries, threads=threads) == local.read_many(list(local))
        assert most / 2 < max(answer.sent for answer in server.answers) <= most


def test_read_many_raises_the_first_error(server: RangeServer) -> None:
    pack = many(server)
    with pytest.raises(NotFound, match="'absent'"):
        pack.read_many([next(iter(pack)), "absent", "absent too"])


@pytest.fixture
def js_many(converted: Callable[[str], tuple[Path, object]]) -> bytes:
    return converted("real/js-many.zip")[0].read_bytes()


@pytest.mark.slow
def test_of_thousands_of_files_one_takes_three_requests_and_less_than_450_kb(js_many: bytes) -> None:
    local = srcpack.open(js_many)
    assert len(local) == 6562
    entries = random.Random(6).sample(list(local.values()), 12)
    with RangeServer({"/js-many.srcpack": js_many}) as server:
        for one, other in zip(entries[::2], entries[1::2], strict=True):
            server.answers.clear()
            pack = srcpack.open(f"{server.url}/js-many.srcpack")
            found = pack.by_url(one.url or "")
            assert found is not None
            assert found.read() == one.read()
            assert len(server.answers) <= 3
            assert server.sent < 450_000
            assert pack[other.name].read() == other.read()
            assert len(server.answers) <= 5


@pytest.mark.slow
def test_the_documentation_s_figures_are_those_of_js_many(js_many: bytes, tmp_path: Path) -> None:
    """Requests are the same; bytes may differ a little by the version of libzstd."""
    (tmp_path / "js-many.srcpack").write_bytes(js_many)
    text = (FIXTURES.parent / "docs" / "remote.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- js-many -->\n(.*)<!-- /js-many -->", text, re.DOTALL)
    assert table is not None
    said = re.findall(r"^\| (.+) \| (\d+) \| ([\d,]+) \|$", table[1], re.MULTILINE)
    measured = list(measure(tmp_path / "js-many.srcpack"))
    assert [(name, int(requests)) for name, requests, _ in said] == [each[:2] for each in measured]
    for (_, _, sent), (name, _, found) in zip(said, measured, strict=True):
        assert abs(int(sent.replace(",", "")) - found) <= found * 0.02 + 64, name


# ---- the head, and the whole


def test_the_head_is_read_by_verify_alone(server: RangeServer) -> None:
    damaged = bytearray(MANY)
    damaged[20] = 1  # a flag, which the tail does not have
    server.objects["/many.srcpack"] = bytes(damaged)
    with pytest.raises(FormatError, match="flags"):
        srcpack.open(bytes(damaged))
    pack = many(server)
    assert pack[next(iter(pack))].read()
    assert "flags" in str(srcpack.verify(pack)[0])


@pytest.mark.usefixtures("small")
def test_verify_fetches_the_pack_once(server: RangeServer) -> None:
    pack = many(server)
    assert srcpack.verify(pack) == []
    assert server.sent == len(MANY)
    damaged = bytearray(MANY)
    damaged[1000] ^= 1
    server.objects["/many.srcpack"] = bytes(damaged)
    assert [str(error) for error in srcpack.verify(many(server))] == [
        f"{server.url}/many.srcpack: {rest}"
        for error in srcpack.verify(srcpack.open(bytes(damaged)))
        for rest in [str(error).removeprefix("<bytes>: ")]
    ]


def test_a_local_copy_is_the_pack_in_a_file(server: RangeServer) -> None:
    pack = many(server)
    with local_copy(pack) as copy:
        assert (copy.file, copy.sha256, copy.max_read) == (pack.file, pack.sha256, pack.max_read)
        assert not copy.store.source.distant
        assert list(copy) == list(pack)
    with pytest.raises(ValueError, match="closed"):
        copy.store.source.read(0, 1)


@pytest.mark.usefixtures("small")
def test_a_local_copy_is_of_the_pack_that_was_opened(server: RangeServer) -> None:
    server.etag = "none"
    pack = many(server)
    # A tail that says another SHA-256 than the one that was read when the pack was opened.
    other = pack_tail(packfile_of(pack).tail._replace(sha256=bytes(32)))
    server.objects["/many.srcpack"] = MANY[: -len(other)] + other
    remote._KEPT.clear()
    with (
        pytest.raises(FormatError, match=r"many\.srcpack: another pack: found 0000"),
        local_copy(pack),
    ):
        pass


# ---- what is no pack


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 700_000, MANY[:-1], MANY[: -len(MANY) // 2]])
def test_what_is_no_pack_is_refused(server: RangeServer, content: bytes) -> None:
    server.objects["/no"] = content
    with pytest.raises((FormatError, OSError), match=f"{server.url}/no"):
        srcpack.open(f"{server.url}/no")


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_zip_is_refused_by_name(server: RangeServer, size: int) -> None:
    content = (FIXTURES / "bundles" / "app.zip").read_bytes()
    server.objects["/app.zip"] = content[:8] + bytes(size) + content[8:]
    with pytest.raises(FormatError, match="zip, which is not read by URL: download it, or convert it"):
        srcpack.open(f"{server.url}/app.zip")
    assert server.sent < 800_000
    with pytest.raises(FormatError, match=r": a SourceBundle zip, not a pack: convert it first$"):
        open_pack(f"{server.url}/app.zip")


def test_a_missing_object_is_a_file_that_is_not_there(server: RangeServer) -> None:
    with pytest.raises(FileNotFoundError) as error:
        srcpack.open(f"{server.url}/absent.srcpack")
    assert error.value.filename == f"{server.url}/absent.srcpack"


def test_a_file_url_is_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a pack"
    path.write_bytes(MANY)
    url = f"file://{tmp_path}/a%20pack"
    with srcpack.open(url) as pack, PackCache(2) as cache:
        assert pack.file == str(path)
        assert not pack.store.source.distant
        assert cache.get(url).file == str(path)
        (tmp_path / "other").write_bytes(LINES)
        os.replace(tmp_path / "other", path)
        assert len(cache.get(url)) != len(pack)


# ---- an object that is replaced


def other_of_the_same_size() -> bytes:
    """Return a pack whose bytes differ in every content, and in what depends on them."""
    other = bytearray(MANY)
    content = packfile_of(srcpack.open(MANY)).tail.sections[1]
    for at in range(content.offset, content.end):
        other[at] ^= 1
    return bytes(other)


@pytest.mark.usefixtures("small")
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


@pytest.mark.usefixtures("small")
def test_what_no_server_tells_checksums_do(server: RangeServer) -> None:
    """No ETag, the same size, and the same second: what is read is still never of both packs."""
    server.etag = "none"
    pack = many(server)
    entry = pack["files/_/_/lib/001.js"]
    server.objects["/many.srcpack"] = other_of_the_same_size()
    with pytest.raises(FormatError, match="frame"):
        entry.read()


@pytest.mark.usefixtures("small")
def test_an_object_that_is_gone_is_a_file_that_is_not_there(server: RangeServer) -> None:
    pack = many(server)
    del server.objects["/many.srcpack"]
    with pytest.raises(FileNotFoundError):
        pack.by_url("~/lib/123.js")
    assert pack.store.source.replaced


@pytest.mark.usefixtures("small")
def test_a_pickled_pack_is_opened_by_its_url(server: RangeServer) -> None:
    pack = many(server)
    text = pickle.dumps(pack["files/_/_/lib/001.js"])
    again = pickle.loads(text)
    assert again.name == "files/_/_/lib/001.js"
    assert again.pack.file == pack.file
    assert again.read() == pack[again.name].read()
    server.objects["/many.srcpack"] = LINES
    with pytest.raises(FormatError, match="another file since it was pickled"):
        pickle.loads(text)


@pytest.mark.usefixtures("small")
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


@pytest.mark.usefixtures("small")
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


@pytest.mark.usefixtures("small")
def test_without_suffix_ranges_the_length_is_asked_for(server: RangeServer) -> None:
    """As it is with Azure's store."""
    server.suffixes = "never"
    pack = srcpack.open(f"{server.url}/many.srcpack")
    assert [answer.method for answer in server.answers] == ["GET", "HEAD", "GET"]
    assert server.sent == BEHIND_MANIFEST
    assert list(pack) == list(srcpack.open(MANY))


@pytest.mark.usefixtures("small")
def test_a_server_without_ranges_is_told_from_others(server: RangeServer) -> None:
    server.ranges_known = False
    with pytest.raises(OSError, match="answers no range requests: download the pack") as error:
        srcpack.open(f"{server.url}/many.srcpack")
    assert error.value.errno == errno.ENOTSUP
    assert not any(answer.range is None and answer.method == "GET" for answer in server.answers)


@pytest.mark.usefixtures("small")
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


@pytest.mark.usefixtures("small")
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


# ---- closing, processes


def test_reads_of_a_closed_pack_are_misuse(server: RangeServer) -> None:
    pack = many(server)
    pack.close()
    pack.close()
    with pytest.raises(ValueError, match="closed"):
        pack.by_url("~/lib/123.js")


def in_the_child(pack: Pack, known: str, name: str) -> str:
    """Say how reading goes in this process: first what is here, then what is not."""
    assert pack[known].name == known
    try:
        return f"read {len(pack[name].read())} bytes"
    except RuntimeError as error:
        return str(error)


@pytest.mark.usefixtures("small")
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


@pytest.mark.slow
def test_a_spawned_process_opens_the_pack_again(server: RangeServer) -> None:
    pack = many(server)
    name = "files/_/_/lib/250.js"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_read_of, pack, name).result(timeout=60) == pack[name].read()
    assert [answer.range for answer in server.answers] == [f"bytes=-{remote.PIECE}"]


def _read_of(pack: Pack, name: str) -> bytes:
    return pack[name].read()


def test_obstore_is_imported_for_urls_only() -> None:
    code = (
        "import sys, srcpack; srcpack.open(sys.argv[1]).close();"
        "print([m for m in sys.modules if m.split('.')[0] in ('obstore', 'fsspec')])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    path = FIXTURES / "packs" / "app.srcpack"
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, env=environment, check=True
    )
    assert done.stdout.strip() == b"[]"


def test_the_source_reads_nothing_beyond_its_end(server: RangeServer) -> None:
    source = RemoteSource(f"{server.url}/many.srcpack")
    assert source.size == len(MANY)
    assert source.read(0, HEAD_SIZE) == MANY[:HEAD_SIZE]
    assert source.read(len(MANY) - 3, 9) == MANY[-3:]
    assert source.read(len(MANY) + 3, 9) == b""
    assert bytes(source.view(5, 7)) == MANY[5:12]


# ---- an S3-compatible server in a process of its own


@pytest.mark.slow
@pytest.mark.usefixtures("small")
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


@pytest.mark.usefixtures("small")
def test_commands_that_read_all_of_a_pack_copy_it_and_do_not_ask_for_each_file(
    server: RangeServer, tmp_path: Path
) -> None:
    url = f"{server.url}/many.srcpack"
    assert cli.run(["extract", url, "-o", str(tmp_path / "all")]) == 0
    assert cli.run(["export", url, "-o", str(tmp_path / "many.zip")]) == 0
    assert len(server.answers) == 4
    pack = srcpack.open(MANY)
    extracted = {file.read_bytes() for file in (tmp_path / "all").rglob("*") if file.is_file()}
    assert extracted == {entry.read() for entry in pack.entries()}
    with zipfile.ZipFile(tmp_path / "many.zip") as bundle:
        assert {name: bundle.read(name) for name in pack} == {name: pack[name].read() for name in pack}


@pytest.mark.usefixtures("small")
def test_a_pack_at_a_url_is_copied_once_to_be_verified_and_compared(server: RangeServer) -> None:
    bundle = FIXTURES / "bundles" / "many.zip"
    assert cli.run(["verify", f"{server.url}/many.srcpack", "--against", str(bundle)]) == 0
    assert len(server.answers) == 2


@pytest.mark.usefixtures("small")
def test_a_command_for_few_files_does_not_copy_the_pack(server: RangeServer, tmp_path: Path) -> None:
    url = f"{server.url}/many.srcpack"
    name = next(iter(srcpack.open(MANY)))
    assert cli.run(["extract", url, name, "-o", str(tmp_path / "one")]) == 0
    assert sum(answer.sent for answer in server.answers) < len(MANY) * 3 / 4


def test_commands_take_the_url_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = FIXTURES / "packs" / "many.srcpack"
    assert cli.run(["ls", path.as_uri()]) == 0
    assert capsys.readouterr().out.splitlines() == list(srcpack.open(path))
