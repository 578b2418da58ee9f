"""What cannot be read in a search is a miss, and is told; what is read goes through the cache."""

from collections.abc import Callable
from pathlib import Path

import pytest

import srcpack
from srcpack import (
    ContentCache,
    DamagedMember,
    Entry,
    FormatError,
    LimitExceeded,
    Pack,
    PackSet,
    SrcpackError,
)
from srcpack.opening import packfile_of
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.searched import ID_A, Errors, script, where, with_damaged_member
from support.the import the

Make = Callable[..., Pack]
only_packs = pytest.mark.parametrize("packed", ["pack"], indirect=True)


def test_a_damaged_member_is_a_miss_and_is_reported(packed: Make) -> None:
    files = {"a": script("https://x/a.js", ID_A), "b": script("~/a.js")}
    damaged = packed({}, bundle=with_damaged_member(files, "a"))
    whole = packed({"c": script("https://x/a.js")})
    errors = Errors()
    packs = PackSet([damaged, whole], on_error=errors)
    assert where(packs.resolve("https://x/a.js", ID_A)) == (whole, "c", "url", "https://x/a.js")
    assert [(pack, key) for pack, key, _ in errors] == [
        (damaged, f"{ID_A} minified_source"),
        (damaged, "https://x/a.js"),
    ]
    assert all(isinstance(error, DamagedMember) and error.member == "a" for *_, error in errors)
    assert packs.errors == 2
    assert where(PackSet([damaged]).resolve("https://x/a.js")) == (damaged, "b", "url", "~/a.js")


def test_a_file_that_is_not_utf8_is_a_miss(packed: Make) -> None:
    pack = packed({"a": script("https://x/a.js", content=b"caf\xe9"), "b": script("~/a.js")})
    errors = Errors()
    assert where(PackSet([pack], on_error=errors).resolve("https://x/a.js"))[1] == "b"
    assert [str(error) for *_, error in errors] == [f"{pack.file}: 'a' cannot be read: not UTF-8"]


def test_a_file_over_the_read_limit_is_a_miss(packed: Make) -> None:
    pack = packed({"a": script("https://x/a.js", content=b"12345"), "b": script("~/a.js")}, max_read=4)
    errors = Errors()
    assert where(PackSet([pack], on_error=errors).resolve("https://x/a.js"))[1] == "b"
    assert [type(error) for *_, error in errors] == [LimitExceeded]


@only_packs
def test_a_damaged_index_is_a_miss_and_not_a_silent_one(packed: Make) -> None:
    good = packed({"a": script("~/a.js")})
    data = bytearray(Path(good.file).read_bytes())
    data[packfile_of(good).directory.layout.slots] ^= 1
    damaged = srcpack.open(bytes(data))
    errors = Errors()
    packs = PackSet([damaged, good], on_error=errors)
    assert where(packs.resolve("~/a.js"))[0] is good
    assert [(pack, key, type(error)) for pack, key, error in errors] == [(damaged, "~/a.js", FormatError)]


def test_an_error_of_the_operating_system_is_a_miss_too(
    packed: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = packed({"a": script("~/a.js")}), packed({"b": script("~/a.js")})

    def fail(offset: int, length: int) -> bytes:
        raise OSError(5, f"cannot read {length} bytes at {offset}")

    monkeypatch.setattr(broken.store.source, "read", fail)
    packs = PackSet([broken, good])
    assert where(packs.resolve("https://x/a.js"))[0] is good
    assert packs.errors


def test_errors_that_nobody_takes_are_logged(packed: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Damage is a warning; what the conversion found unreadable is told to those who look for it."""
    files = {"a": script("https://x/a.js", ID_A)}
    packs = PackSet([packed({}, bundle=with_damaged_member(files, "a"))])
    with caplog.at_level("DEBUG", logger="srcpack"):
        assert packs.resolve("https://x/a.js") is None
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("srcpack", "DEBUG")
    assert record.getMessage().startswith("looking for 'https://x/a.js': ")
    assert "'a' cannot be read" in record.getMessage()


def test_damage_that_nobody_takes_is_a_warning(
    packed: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = packed({"a": script("~/a.js")})

    def fail(*_: int) -> bytes:
        raise OSError(5, "no such disk")

    monkeypatch.setattr(broken.store.source, "read", fail)
    assert PackSet([broken]).resolve("https://x/a.js") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(caplog.records) != []


def test_a_closed_pack_is_misuse(packed: Make) -> None:
    pack = packed({"a": script("~/a.js")})
    pack.close()
    with pytest.raises(ValueError, match="read of a closed pack"):
        PackSet([pack]).resolve("https://x/a.js")


def test_what_the_callback_raises_ends_the_search(packed: Make) -> None:
    def stop(_pack: Pack, _key: str, error: SrcpackError | OSError) -> None:
        raise error

    pack = packed({"a": script("~/a.js", content=b"\xff")})
    with pytest.raises(DamagedMember, match="not UTF-8"):
        PackSet([pack], on_error=stop).resolve("~/a.js")


@only_packs
def test_reading_reports_what_only_decoding_finds(packed: Make) -> None:
    good = packed({"a": script("~/a.js", content=b"let a = 1;\n" * 50)})
    data = bytearray(Path(good.file).read_bytes())
    data[good["a"].record.frames[0].offset + 20] ^= 1
    errors = Errors()
    packs = PackSet([srcpack.open(bytes(data)), good], on_error=errors)
    first, second = packs.resolve_all("~/a.js")
    with pytest.raises(FormatError):
        packs.read(first)
    assert [(key, type(error)) for _, key, error in errors] == [("a", FormatError)]
    assert packs.read(second) == good["a"].read()


def test_reading_goes_through_the_content_cache(packed: Make) -> None:
    cache = ContentCache(1 << 20)
    packs = PackSet([packed({"a": script("~/a.js")})], content_cache=cache)
    found = the(packs.resolve("~/a.js"))
    assert packs.read(found) is packs.read(found)
    assert cache.statistics[:2] == (1, 1)


def test_context_goes_through_the_content_cache(packed: Make) -> None:
    cache = ContentCache(1 << 20)
    content = b"".join(b"line %d\n" % number for number in range(1, 30))
    packs = PackSet([packed({"a": script("~/a.js", content=content)})], content_cache=cache)
    found = the(packs.resolve("~/a.js"))
    for line in (1, 12, 29, 30):
        assert packs.context(found, line, 3, 2) == found.entry.context(line, 3, 2)
    assert cache.statistics[:2] == (3, 1)
    assert PackSet(packs.packs).context(found, 12) == found.entry.context(12)
    with pytest.raises(ValueError, match="negative"):
        packs.context(found, 1, -1)


def test_context_of_a_file_of_several_frames_is_not_kept(tmp_path: Path) -> None:
    content = b"abcdefgh\n" * 5000
    bundle = build_bundle({"a": content}, {"files": {"a": {"url": "~/a.js", "type": "minified_source"}}})
    convert(bundle, tmp_path / "a.srcpack", frame_size=4096)
    cache = ContentCache(1 << 20)
    errors: list[str] = []
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        packs = PackSet([pack], content_cache=cache, on_error=lambda _, key, __: errors.append(key))
        found = the(packs.resolve("~/a.js"))
        assert packs.context(found, 2000) == found.entry.context(2000)
        assert cache.statistics[:2] == (0, 0)
        pack.store.max_read = 1000
        with pytest.raises(LimitExceeded):
            packs.context(found, 2000)
    assert (errors, packs.errors) == (["a"], 1)


def test_a_content_that_is_not_utf8_though_its_entry_says_so_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pack = srcpack.open(build_bundle({"a.js": b"f()"}, {"files": {"a.js": {"url": "~/a.js"}}}))
    told: list[str] = []
    packs = PackSet([pack], on_error=lambda _, key, error: told.append(f"{key}: {error}"))
    found = the(packs.resolve("https://x/a.js"))
    assert packs.text(found) == "f()"
    monkeypatch.setattr(Entry, "read", lambda _: b"\xff")
    with pytest.raises(FormatError, match="UTF-8 by its entry"):
        packs.text(found)
    assert len(told) == packs.errors == 1
