"""Caches of contents and of open packs: bounds, sharing, trust, threads, replaced files, forks."""

import hashlib
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import srcpack
from srcpack import (
    ContentCache,
    DamagedMember,
    Entry,
    FormatError,
    Pack,
    PackCache,
)
from srcpack.opening import packfile_of
from srcpack.records import EntryRecord
from srcpack_convert import convert
from srcpack_convert.one.compress import Content
from srcpack_convert.one.writer import PackWriter
from support.bundle_builder import build_bundle
from support.places import PACKS

Files = dict[str, bytes]


def pack_file(path: Path, files: Files) -> Path:
    convert(
        build_bundle(files, {"files": {name: {} for name in files}}), path, dictionary="off", verify=False
    )
    return path


def pack_of(tmp_path: Path, files: Files, name: str = "a") -> Pack:
    return srcpack.open(pack_file(tmp_path / f"{name}.srcpack", files))


def forged_pack(path: Path, name: str, content: bytes, claimed: bytes) -> Pack:
    """Write a pack, all its checksums right, whose entry claims the SHA-256 of another content."""
    with path.open("wb") as out:
        writer = PackWriter(out, file=str(path), frame_size=4096)
        frames = writer.write_content(Content.of(content, 4096))
        digest = hashlib.sha256(claimed).digest()
        record = EntryRecord(name=name, size=len(content), lines=1, sha256=digest, frames=frames, raw=True)
        writer.finish([record], attributes={}, source_links=None, has_files=True, source={}, created_by={})
    return srcpack.open(path)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Keep account of the names of entries that are read."""
    names: list[str] = []
    read = Entry.read

    def counted(entry: Entry) -> bytes:
        names.append(entry.name)
        return read(entry)

    monkeypatch.setattr(Entry, "read", counted)
    return iter([names])


# ---- contents: what is kept


def test_a_second_read_decodes_nothing(tmp_path: Path, decoded: Iterator[list[str]]) -> None:
    names = next(decoded)
    pack = pack_of(tmp_path, {"a": b"aaa"})
    cache = ContentCache(100)
    first = cache.read(pack["a"])
    assert first == b"aaa"
    assert cache.read(pack["a"]) is first
    assert names == ["a"]
    assert cache.statistics == (1, 1, 0, 3, 1)
    assert repr(cache) == "<ContentCache of 3 of 100 bytes>"


def test_the_sizes_kept_never_exceed_the_limit(tmp_path: Path) -> None:
    files = {f"{size:03}": bytes([size]) * size for size in range(1, 120)}
    pack = pack_of(tmp_path, files)
    cache = ContentCache(100)
    order = random.Random(5)
    for name in order.choices(list(files), k=2000):
        assert cache.read(pack[name]) == files[name]
        held = {id(content.data): len(content.data) for content in cache._state.contents.values()}
        assert sum(held.values()) == cache.statistics.bytes <= 100
        assert len(held) == cache.statistics.items
        assert len(cache._state.ring) == len(cache._state.kept)
    assert cache.statistics.evictions
    assert cache.statistics.hits + cache.statistics.misses == 2000


def test_a_content_of_the_whole_limit_is_kept_and_a_larger_one_is_not(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {"small": b"s", "fits": b"f" * 100, "large": b"l" * 101})
    cache = ContentCache(100)
    for name in ("small", "fits", "large", "large"):
        cache.read(pack[name])
    assert cache.statistics == (0, 4, 1, 100, 1)


def test_the_content_used_last_stays(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {name: name.encode() * 40 for name in "abc"})
    cache = ContentCache(100)
    for name in "aba":
        cache.read(pack[name])
    cache.read(pack["c"])
    hits = cache.statistics.hits
    cache.read(pack["a"])
    assert cache.statistics.hits == hits + 1
    cache.read(pack["b"])
    assert cache.statistics.hits == hits + 1


def test_empty_contents_are_kept_too(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {"a": b"", "b": b""})
    cache = ContentCache(0)
    assert [cache.read(pack[name]) for name in "abab"] == [b""] * 4
    assert cache.statistics == (2, 2, 0, 0, 1)


def test_keep_decides_and_is_asked_before_reading(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {"a": b"aaa", "b.map": b"bbb"})
    cache = ContentCache(100, keep=lambda entry: not entry.name.endswith(".map"))
    for name in ("a", "b.map", "a", "b.map"):
        cache.read(pack[name])
    assert cache.statistics == (1, 3, 0, 3, 1)


def test_entries_are_bounded_as_well_as_bytes(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {f"{number}": b"same" for number in range(10)})
    cache = ContentCache(100, max_entries=3)
    for name in pack:
        assert cache.read(pack[name]) == b"same"
        assert len(cache._state.kept) <= 3
    assert cache.statistics.items == 1
    none = ContentCache(100, max_entries=0)
    none.read(pack["1"])
    assert none.statistics == (0, 1, 0, 0, 0)


def test_errors_are_passed_on_and_nothing_is_kept_of_them(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {"a": b"let a = 1;\n" * 50})
    data = bytearray(Path(pack.file).read_bytes())
    data[pack["a"].record.frames[0].offset + 20] ^= 1
    cache = ContentCache(1000)
    for _ in range(2):
        with pytest.raises(FormatError):
            cache.read(srcpack.open(bytes(data))["a"])
    assert cache.statistics == (0, 2, 0, 0, 0)
    broken = srcpack.open(PACKS / "broken-members.srcpack")
    damaged = next(entry for entry in broken.entries() if entry.damage is not None)
    with pytest.raises(DamagedMember):
        cache.read(damaged)


def test_who_reads_what_another_thread_kept_meanwhile_gets_that_content(tmp_path: Path) -> None:
    entry = pack_of(tmp_path, {"f": b"content"})["f"]
    others: list[bytes] = []

    def overtaken(_entry: Entry) -> bool:
        if not others:  # what another thread does before this one comes to keep the content
            others.append(b"")
            others.append(cache.read(entry))
        return True

    cache = ContentCache(100, overtaken)
    assert cache.read(entry) is others[1]
    assert cache.statistics == (0, 2, 0, 7, 1)


def test_clearing_drops_contents(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {"a": b"aaa"})
    cache = ContentCache(100)
    cache.read(pack["a"])
    cache.clear()
    assert cache.statistics == (0, 1, 0, 0, 0)
    assert cache.read(pack["a"]) == b"aaa"


def test_negative_limits_are_misuse() -> None:
    with pytest.raises(ValueError, match="limits of -1 bytes and 5 entries must not be negative"):
        ContentCache(-1, max_entries=5)


# ---- contents: sharing and trust


def test_equal_contents_of_different_packs_are_held_once(
    tmp_path: Path, decoded: Iterator[list[str]]
) -> None:
    names = next(decoded)
    packs = [pack_of(tmp_path, {"a": b"same" * 10, "b": b"same" * 10}, f"{n}") for n in range(3)]
    cache = ContentCache(100)
    contents = {id(cache.read(entry)) for pack in packs for entry in pack.values()}
    assert len(contents) == 1
    assert cache.statistics == (0, 6, 0, 40, 1)
    # Each entry was read from its own pack once before it was served from what is shared.
    assert names == ["a", "b"] * 3
    assert {id(cache.read(entry)) for pack in packs for entry in pack.values()} == contents
    assert len(names) == 6


@pytest.mark.parametrize("forged_first", [True, False])
def test_a_forged_hash_gives_and_gets_no_wrong_bytes(tmp_path: Path, forged_first: bool) -> None:
    true, evil = b"let good = 1;\n", b"let evil = 1;\n"
    honest = pack_of(tmp_path, {"a": true})
    forged = forged_pack(tmp_path / "forged.srcpack", "a", evil, claimed=true)
    assert honest["a"].sha256 == forged["a"].sha256
    cache = ContentCache(100)
    wanted = [(honest, true), (forged, evil)]
    for _ in range(2):
        for pack, content in reversed(wanted) if forged_first else wanted:
            assert cache.read(pack["a"]) == content
    assert cache.statistics == (2, 2, 0, len(true) + len(evil), 2)


def test_a_forged_identity_of_the_pack_gives_no_wrong_bytes(tmp_path: Path) -> None:
    """The cache goes by nothing that a pack claims."""
    true, evil = b"let good = 1;\n", b"let evil = 1;\n"
    honest, forged = pack_of(tmp_path, {"a": true}, "honest"), pack_of(tmp_path, {"a": evil}, "forged")
    store = packfile_of(forged)
    object.__setattr__(store, "tail", store.tail._replace(sha256=honest.sha256))
    assert honest.sha256 == forged.sha256
    assert honest["a"] != forged["a"]
    cache = ContentCache(100)
    for _ in range(2):
        assert cache.read(honest["a"]) == true
        assert cache.read(forged["a"]) == evil


def test_a_pack_that_is_gone_leaves_nothing_for_the_next_one_at_its_address(tmp_path: Path) -> None:
    cache = ContentCache(1000)
    for number in range(20):
        content = b"%d" % number
        assert cache.read(pack_of(tmp_path, {"a": content}, f"{number}")["a"]) == content


def test_the_cache_keeps_no_pack_open(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {"a": b"aaa"})
    cache = ContentCache(100)
    cache.read(pack["a"])
    gone = weakref.ref(pack)
    del pack
    assert gone() is None
    assert cache.statistics.bytes == 3


# ---- open packs


def opener_that_counts(opened: list[str]) -> Callable[[str], Pack]:
    def open_one(path: str) -> Pack:
        opened.append(Path(path).stem)
        return srcpack.open(path)

    return open_one


def test_a_pack_is_opened_once_and_the_least_recently_used_goes(tmp_path: Path) -> None:
    paths = {name: pack_file(tmp_path / f"{name}.srcpack", {"f": name.encode()}) for name in "abc"}
    opened: list[str] = []
    cache = PackCache(2, opener=opener_that_counts(opened))
    for name in "abbacac":
        assert cache.get(paths[name])["f"].read() == name.encode()
    assert opened == ["a", "b", "c"]
    cache.get(str(paths["b"]))
    cache.get(paths["a"])
    assert opened == ["a", "b", "c", "b", "a"]
    assert cache.statistics == (4, 5, 3, 0, 2)
    assert repr(cache) == "<PackCache of 2 of 2 packs>"


def test_a_pack_that_goes_is_closed_when_its_last_user_is_gone(tmp_path: Path) -> None:
    first, second = (pack_file(tmp_path / f"{name}.srcpack", {"f": b"content"}) for name in "ab")
    cache = PackCache(1)
    entry = cache.get(first)["f"]
    gone = weakref.ref(entry.pack)
    cache.get(second)
    assert entry.read() == b"content"
    del entry
    assert gone() is None
    gone = weakref.ref(cache.get(first))
    assert gone() is not None
    cache.get(second)
    assert gone() is None


def test_a_replaced_file_is_opened_anew(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    cache = PackCache(5)
    old = cache.get(path)
    pack_file(tmp_path / "a.srcpack", {"f": b"new"})
    new = cache.get(path)
    assert (old["f"].read(), new["f"].read()) == (b"old", b"new")
    assert cache.get(path) is new
    assert cache.statistics == (1, 2, 0, 1, 1)


def test_a_file_that_is_gone_is_an_error_and_is_dropped(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    cache = PackCache(5)
    cache.get(path)
    path.unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            cache.get(path)
    assert cache.statistics == (0, 3, 0, 1, 0)


def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    opened: list[str] = []

    def open_and_replace(name: str) -> Pack:
        pack = srcpack.open(name)
        if len(opened) < replacements:
            pack_file(path, {"f": b"new %d" % len(opened)})
        opened.append(name)
        return pack

    cache = PackCache(5, opener=open_and_replace)
    replacements = 1
    assert cache.get(path)["f"].read() == b"new 0"
    assert len(opened) == 2
    # One that never comes to rest is handed out, and not kept.
    opened.clear()
    replacements = 100
    path.write_bytes(path.read_bytes())
    assert cache.get(path)["f"].read() == b"new 1"
    assert (len(opened), cache.statistics.open) == (3, 0)


def test_who_opens_a_pack_that_another_thread_kept_meanwhile_gets_that_one(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    others: list[Pack] = []

    def overtaken(name: str) -> Pack:
        pack = srcpack.open(name)
        if not others:  # what another thread does before this one comes to keep its pack
            others.append(pack)
            others.append(cache.get(path))
        return pack

    cache = PackCache(5, opener=overtaken)
    assert cache.get(path) is others[1]
    assert others[0] is not others[1]
    assert cache.statistics == (0, 2, 0, 0, 1)


def test_a_cache_closed_while_a_pack_is_opened_hands_it_out_and_keeps_nothing(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})

    def open_and_close(name: str) -> Pack:
        cache.close()
        return srcpack.open(name)

    cache = PackCache(5, opener=open_and_close)
    assert cache.get(path)["f"].read() == b"content"
    assert cache.statistics.open == 0


def test_two_threads_that_find_a_file_replaced_drop_the_old_pack_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    cache = PackCache(5)
    cache.get(path)
    pack_file(path, {"f": b"new"})
    stat = os.stat
    others: list[Pack] = []

    def stat_and_be_overtaken(name: str) -> os.stat_result:
        if not others:  # this thread saw the old pack; another one replaces it now
            monkeypatch.setattr(os, "stat", stat)
            others.append(cache.get(path))
        return stat(name)

    monkeypatch.setattr(os, "stat", stat_and_be_overtaken)
    assert cache.get(path) is others[0]
    assert others[0]["f"].read() == b"new"
    assert cache.statistics == (0, 3, 0, 1, 1)


def test_what_is_no_pack_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes(b"no pack")
    cache = PackCache(5)
    with pytest.raises(FormatError):
        cache.get(path)
    assert cache.statistics == (0, 1, 0, 0, 0)


def test_a_closed_cache_gives_no_more_and_leaves_what_is_in_use(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    with PackCache(5) as cache:
        pack = cache.get(path)
    assert pack["f"].read() == b"content"
    assert cache.statistics.open == 0
    with pytest.raises(ValueError, match="get from a closed cache"):
        cache.get(path)


def test_max_open_is_at_least_1() -> None:
    with pytest.raises(ValueError, match="max_open is at least 1, not 0"):
        PackCache(0)


def test_threads_that_want_one_pack_at_once_get_the_same(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    barrier = threading.Barrier(8)

    def slowly(name: str) -> Pack:
        time.sleep(0.01)
        return srcpack.open(name)

    cache = PackCache(5, opener=slowly)

    def get(_: int) -> Pack:
        barrier.wait()
        return cache.get(path)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(get, range(8)))) == 1
    assert cache.statistics.open == 1


# ---- both together


def test_a_zip_is_opened_too_and_shares_contents_with_its_pack(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(build_bundle({"f": b"content"}, {"files": {"f": {}}}))
    convert(tmp_path / "a.zip", tmp_path / "a.srcpack", verify=False)
    packs, contents = PackCache(5), ContentCache(100)
    first = contents.read(packs.get(tmp_path / "a.zip")["f"])
    assert contents.read(packs.get(tmp_path / "a.srcpack")["f"]) is first
    assert contents.read(packs.get(tmp_path / "a.zip")["f"]) is first
    assert packs.statistics == (1, 2, 0, 0, 2)
    assert contents.statistics == (1, 2, 0, 7, 1)


# ---- under threads and forks


def test_threads_get_only_right_bytes_while_both_caches_evict(tmp_path: Path) -> None:
    files = {
        number: {f"f{each}": b"%d of %d;" % (each, number // 2) * (50 + each) for each in range(8)}
        for number in range(20)
    }
    paths = {number: pack_file(tmp_path / f"{number}.srcpack", files[number]) for number in files}
    packs, contents = PackCache(5), ContentCache(5000, max_entries=30)
    done = threading.Event()

    def work(seed: int) -> int:
        order, reads = random.Random(seed), 0
        while not done.is_set():
            number, name = order.randrange(20), f"f{order.randrange(8)}"
            assert contents.read(packs.get(paths[number])[name]) == files[number][name]
            reads += 1
        return reads

    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(work, seed) for seed in range(8)]
        end = time.monotonic() + 1.5
        while time.monotonic() < end and not any(future.done() for future in futures):
            time.sleep(0.002)
            assert contents.statistics.bytes <= 5000
            assert packs.statistics.open <= 5
        done.set()
        reads = sum(future.result() for future in futures)
    statistics = contents.statistics
    assert statistics.hits + statistics.misses == reads
    assert statistics.evictions
    assert packs.statistics.evictions
    state = contents._state
    assert statistics.bytes == sum(len(content.data) for content in state.contents.values())
    assert sum(content.entries for content in state.contents.values()) == len(state.kept) <= 30
