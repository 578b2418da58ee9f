"""Packs read by URL: what requests are made for what is asked."""

import os
import re
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import srcpack
from srcpack import FormatError, NotFound, PackCache
from srcpack.caches import Generations
from srcpack.format import fetch
from srcpack.format.head_tail import HEAD_SIZE, pack_tail
from srcpack.opening import local_copy, open_pack, packfile_of
from srcpack.source import remote, request_plan
from srcpack.source.remote import RemoteSource
from srcpack_convert.cli import main as cli
from support.places import BUNDLES, PACKS, ROOT
from support.range_server import RangeServer
from support.remote_requests import measure
from support.served_packs import BEHIND_MANIFEST, LINES, MANY, lines, many

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

small = pytest.mark.usefixtures("small")

# ---- requests


def test_a_small_pack_is_read_whole_by_one_request_for_its_end(server: RangeServer) -> None:
    pack = srcpack.open(f"{server.url}/many.srcpack")
    assert [each.read() for each in pack.values()] == [each.read() for each in srcpack.open(MANY).values()]
    assert server.ranges == [f"bytes=-{remote.PIECE}"]


@small
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


@small
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


@small
def test_a_listing_fetches_ever_more_blocks_at_once(server: RangeServer) -> None:
    pack = many(server)
    assert packfile_of(pack).tail.block_count == 10
    assert list(pack) == list(srcpack.open(MANY))
    assert len(server.answers) == 2
    server.answers.clear()
    assert len(list(many(server).find_prefix("files/_/_/lib/25"))) == 10
    assert len(server.answers) <= 5


@small
def test_a_listing_fetches_no_more_at_once_than_may_be_held(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = many(server)
    store = packfile_of(pack)
    places = map(store.directory.block_place, range(store.tail.block_count))
    monkeypatch.setattr(request_plan, "_MAX_BLOCKS", 1)  # one is always fetched, however large it is
    assert list(pack) == list(srcpack.open(MANY))
    assert [answer.sent for answer in server.answers] == [place.length for place in places]


@small
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


@small
def test_read_many_fetches_neighbours_together(server: RangeServer) -> None:
    pack, local = many(server), srcpack.open(MANY)
    names = list(local)
    near = [*names[5:2:-1], names[4], names[7]]
    assert pack.read_many(near) == local.read_many(near)
    assert len(server.answers) == 2, "a block, and the contents with the gaps between them"
    server.answers.clear()
    far = [names[290], names[10], names[150], names[149]]
    assert pack.read_many(far) == local.read_many(far)
    assert len(server.answers) == 5, "two blocks, one being here and two being neighbours; and three places"
    server.answers.clear()
    assert pack.read_many([pack[name] for name in far], threads=3) == local.read_many(far)
    assert len(server.answers) == 3


@small
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


@small
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


@pytest.mark.slow
def test_the_documentation_s_figures_are_those_of_js_many(
    converted: Callable[[str], tuple[Path, object]],
) -> None:
    """Requests are the same; bytes may differ a little by the version of libzstd.

    Of thousands of files, one is found and read by three requests of less than 450 kB.
    """
    text = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- js-many -->\n(.*)<!-- /js-many -->", text, re.DOTALL)
    assert table is not None
    said = re.findall(r"^\| (.+) \| (\d+) \| ([\d,]+) \|$", table[1], re.MULTILINE)
    measured = list(measure(converted("real/js-many.zip")[0]))
    assert [(name, int(requests)) for name, requests, _ in said] == [each[:2] for each in measured]
    for (_, _, sent), (name, _, found) in zip(said, measured, strict=True):
        assert abs(int(sent.replace(",", "")) - found) <= found * 0.02 + 64, name
    assert [requests for _, requests, _ in measured[:3]] == [1, 1, 1]
    assert sum(sent for _, _, sent in measured[:3]) < 450_000


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


@small
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


@small
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


@small
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


@small
def test_a_pack_at_a_url_is_copied_once_to_be_verified_and_compared(server: RangeServer) -> None:
    bundle = BUNDLES / "many.zip"
    assert cli.run(["verify", f"{server.url}/many.srcpack", "--against", str(bundle)]) == 0
    assert len(server.answers) == 2


@small
def test_a_command_for_few_files_does_not_copy_the_pack(server: RangeServer, tmp_path: Path) -> None:
    url = f"{server.url}/many.srcpack"
    name = next(iter(srcpack.open(MANY)))
    assert cli.run(["extract", url, name, "-o", str(tmp_path / "one")]) == 0
    assert sum(answer.sent for answer in server.answers) < len(MANY) * 3 / 4


def test_commands_take_the_url_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = PACKS / "many.srcpack"
    assert cli.run(["ls", path.as_uri()]) == 0
    assert capsys.readouterr().out.splitlines() == list(srcpack.open(path))


# ---- what is no pack


def test_what_is_no_pack_is_refused(server: RangeServer) -> None:
    for content in (b"", b"short", bytes(700_000), MANY[:-1], MANY[: -len(MANY) // 2]):
        server.objects["/no"] = content
        with pytest.raises((FormatError, OSError), match=f"{server.url}/no"):
            srcpack.open(f"{server.url}/no")


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_zip_is_refused_by_name(server: RangeServer, size: int) -> None:
    content = (BUNDLES / "app.zip").read_bytes()
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


def test_the_source_reads_nothing_beyond_its_end(server: RangeServer) -> None:
    source = RemoteSource(f"{server.url}/many.srcpack")
    assert source.size == len(MANY)
    assert source.read(0, HEAD_SIZE) == MANY[:HEAD_SIZE]
    assert source.read(len(MANY) - 3, 9) == MANY[-3:]
    assert source.read(len(MANY) + 3, 9) == b""
    assert bytes(source.view(5, 7)) == MANY[5:12]
