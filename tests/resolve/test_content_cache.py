"""The cache of contents: bounds, sharing, trust. Its threads and exceptions are in tests/whole."""

import hashlib
import random
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import ContentCache, DamagedMember, Entry, FormatError, Pack
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.records import EntryRecord
from srcpack_convert import convert
from srcpack_convert.one.compress import Content
from srcpack_convert.one.writer import PackWriter
from support.bundle_builder import build_bundle
from support.calls import calls_of
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
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[EntryRecord]]:
    """Keep account of the entries that are read."""
    return calls_of(monkeypatch, PackFile, "read")


# ---- what is kept


def test_a_second_read_decodes_nothing(tmp_path: Path, decoded: list[tuple[EntryRecord]]) -> None:
    pack = pack_of(tmp_path, {"a": b"aaa"})
    cache = ContentCache(100)
    first = cache.read(pack["a"])
    assert first == b"aaa"
    assert cache.read(pack["a"]) is first
    assert [record.name for (record,) in decoded] == ["a"]
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


# ---- sharing and trust


def test_equal_contents_of_different_packs_are_held_once(
    tmp_path: Path, decoded: list[tuple[EntryRecord]]
) -> None:
    packs = [pack_of(tmp_path, {"a": b"same" * 10, "b": b"same" * 10}, f"{n}") for n in range(3)]
    cache = ContentCache(100)
    contents = {id(cache.read(entry)) for pack in packs for entry in pack.values()}
    assert len(contents) == 1
    assert cache.statistics == (0, 6, 0, 40, 1)
    # Each entry was read from its own pack once before it was served from what is shared.
    assert [record.name for (record,) in decoded] == ["a", "b"] * 3
    assert {id(cache.read(entry)) for pack in packs for entry in pack.values()} == contents
    assert len(decoded) == 6


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


def test_a_zip_shares_contents_with_its_pack(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(build_bundle({"f": b"content"}, {"files": {"f": {}}}))
    convert(tmp_path / "a.zip", tmp_path / "a.srcpack", verify=False)
    cache = ContentCache(100)
    bundle, pack = srcpack.open(tmp_path / "a.zip"), srcpack.open(tmp_path / "a.srcpack")
    first = cache.read(bundle["f"])
    assert cache.read(pack["f"]) is first
    assert cache.read(bundle["f"]) is first
    assert cache.statistics == (1, 2, 0, 7, 1)


# ---- one thread at a time changes what is kept, and nobody waits


def test_who_finds_another_thread_at_it_reads_and_keeps_nothing(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, {f"{number:03}": b"%d" % number for number in range(100)})
    cache = ContentCache(1000)
    cache.read(pack["000"])
    thread = threading.Thread(target=cache._take)  # it ends, and never gives back what it took
    thread.start()
    thread.join()
    kept = 0
    for number in range(1, 100):
        assert cache.read(pack[f"{number:03}"]) == b"%d" % number
        assert cache.read(pack["000"]) == b"0"
        kept = cache.statistics.items
        assert kept == 1 or number > 30, "a thread that is at it is taken for gone too soon"
    assert kept > 30, "a thread that is gone is waited for"
    assert cache.statistics.hits == 99


def test_what_asks_in_the_middle_of_a_change_gets_its_answer(tmp_path: Path) -> None:
    """Such as a finalizer: here the hash of what is to be kept."""
    pack = pack_of(tmp_path, {name: name.encode() * 40 for name in "abcd"})
    cache = ContentCache(100)

    class Asking(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            if not asked:
                asked.append(b"")
                asked[0] = cache.read(pack["a"])
            return super().get(key, default)

    asked: list[bytes] = []
    cache.read(pack["a"])
    cache._state.contents = Asking(cache._state.contents)
    for name in "bcd":
        assert cache.read(pack[name]) == name.encode() * 40
    assert asked == [b"a" * 40]
    assert 0 < cache.statistics.bytes <= 100
    assert cache.statistics.evictions
