"""Finding the files of stack frames: order of packs and URLs, maps, sources, what is a miss."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import (
    ContentCache,
    DamagedMember,
    DebugId,
    DecodedMap,
    Entry,
    FormatError,
    LimitExceeded,
    Pack,
    PackSet,
    Resolved,
    SourceLink,
    SrcpackError,
)
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack_convert import convert
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_bundle, build_zip
from support.places import CASES, PACKS, SHARED

SYMBOLICATOR = SHARED / "corpus" / "symbolicator"
ID_A = "5e618b9f-54a9-4389-b196-519819dd7c47"
ID_B = "0a1705ef-5bdb-55c6-8003-096ca0a1462e"

Make = Callable[..., Pack]
Files = Mapping[str, Mapping[str, Any]]


@pytest.fixture(params=["pack", "zip"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make a pack, or open the zip behind the same interface, of files given by their manifest entries.

    The content of a file is the key `content`, else its name.
    """
    numbers = count()

    def make_one(
        files: Files, *, bundle: bytes | None = None, max_read: int = 1 << 30, **manifest: Any
    ) -> Pack:
        contents = {name: info.get("content", name.encode()) for name, info in files.items()}
        listed = {
            name: {key: value for key, value in info.items() if key != "content"}
            for name, info in files.items()
        }
        zipped = build_bundle(contents, {"files": listed, **manifest}) if bundle is None else bundle
        if request.param == "zip":
            return srcpack.open(zipped, max_read=max_read)
        path = tmp_path / f"{next(numbers)}.srcpack"
        convert(zipped, path, dictionary="off", verify=False)
        return srcpack.open(path, max_read=max_read)

    return make_one


only_packs = pytest.mark.parametrize("make", ["pack"], indirect=True)


def script(url: str | None = None, debug_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "minified_source", **_keys(url, debug_id), **more}


def source_map(url: str | None = None, debug_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "source_map", **_keys(url, debug_id), **more}


def _keys(url: str | None, debug_id: str | None) -> dict[str, Any]:
    keys: dict[str, Any] = {} if url is None else {"url": url}
    return keys if debug_id is None else {**keys, "headers": {"debug-id": debug_id}}


def with_damaged_member(files: Files, name: str) -> bytes:
    """Return a bundle in which the CRC of one member is wrong."""
    members = [ZipMember(name=each, content=each.encode(), crc=1 if each == name else None) for each in files]
    manifest = json.dumps({"files": files}).encode()
    return build_zip([*members, ZipMember(name="manifest.json", content=manifest)], header=BUNDLE_HEADER)


def where(found: Resolved | DecodedMap | SourceLink | None) -> tuple[Pack, str, str, str | None]:
    assert isinstance(found, Resolved)
    assert found.pack is found.entry.pack
    return found.pack, found.entry.name, found.found_by, found.candidate


class Errors(list[tuple[Pack, str, SrcpackError | OSError]]):
    def __call__(self, pack: Pack, key: str, error: SrcpackError | OSError) -> None:
        self.append((pack, key, error))


# ---- the minified file


def test_a_debug_id_in_any_pack_comes_before_a_url_in_the_first(make: Make) -> None:
    by_url, by_id = make({"a": script("https://x/a.js")}), make({"b": script("~/other.js", ID_A)})
    packs = PackSet([by_url, by_id])
    assert where(packs.resolve("https://x/a.js", ID_A)) == (by_id, "b", "debug-id", None)
    assert where(packs.resolve("https://x/a.js", ID_B)) == (by_url, "a", "url", "https://x/a.js")


def test_a_specific_url_in_a_later_pack_beats_a_tilde_url_in_an_earlier_one(make: Make) -> None:
    tilde, specific = make({"a": script("~/a.js")}), make({"b": script("https://x/a.js")})
    packs = PackSet([tilde, specific])
    assert where(packs.resolve("https://x/a.js?v=1#top")) == (specific, "b", "url", "https://x/a.js")
    assert where(packs.resolve("https://y/a.js")) == (tilde, "a", "url", "~/a.js")


def test_with_a_query_and_without_are_tried_in_their_order(make: Make) -> None:
    pack = make({"a": script("~/a.js"), "b": script("~/a.js?v=1"), "c": script("~/a.js?v=1#x")})
    assert where(PackSet([pack]).resolve("app://x/a.js?v=1#x")) == (pack, "b", "url", "~/a.js?v=1")
    assert where(PackSet([pack]).resolve("app://x/a.js?v=2")) == (pack, "a", "url", "~/a.js")


def test_of_packs_that_have_the_key_the_first_given_wins(make: Make) -> None:
    packs = [make({"a": script("~/a.js", ID_A)}) for _ in range(3)]
    for order in (packs, packs[::-1]):
        assert where(PackSet(order).resolve("https://x/a.js"))[0] is order[0]
        assert where(PackSet(order).resolve(None, ID_A))[0] is order[0]


def test_by_uri_tries_the_greatest_uri_first_in_byte_order(make: Make) -> None:
    uris = ["sentry://1", "sentry://10", "sentry://2", "sentry://é", "sentry://\U0001f600", "sentry://\uffff"]
    packs = {uri: make({"a": script("~/a.js")}) for uri in uris}
    expected = sorted(uris, key=lambda uri: uri.encode(), reverse=True)
    assert expected[0] == "sentry://\U0001f600"
    assert PackSet.by_uri(packs).packs == tuple(packs[uri] for uri in expected)


def test_one_async_prefix_is_dropped(make: Make) -> None:
    pack = make({"a": script("~/a.js"), "b": script("async b.js")})
    found = PackSet([pack]).resolve("async https://x/a.js")
    assert found is not None
    assert (found.entry.name, found.abs_path) == ("a", "https://x/a.js")
    assert PackSet([pack]).resolve("async b.js") is None
    assert where(PackSet([pack]).resolve("async async b.js"))[1] == "b"


def test_a_debug_id_alone_is_enough(make: Make) -> None:
    pack = make({"a": script(None, ID_A), "b": source_map(None, ID_A)})
    packs = PackSet([pack])
    assert where(packs.resolve(None, ID_A.upper())) == (pack, "a", "debug-id", None)
    assert where(packs.resolve(None, DebugId(ID_A), "source_map")) == (pack, "b", "debug-id", None)
    assert packs.resolve(None, ID_A, "source") is None
    assert packs.resolve(None) is None


def test_a_debug_id_only_in_the_content_finds_nothing(make: Make) -> None:
    pack = make({"a": script(content=b"f()\n//# debugId=" + ID_A.encode())})
    assert pack["a"].debug_id == DebugId(ID_A)
    assert PackSet([pack]).resolve(None, ID_A) is None


def test_a_text_that_is_no_debug_id_counts_as_none(make: Make) -> None:
    pack = make({"a": script("~/a.js")})
    found = PackSet([pack]).resolve("https://x/a.js", "garbage")
    assert found is not None
    assert found.debug_id is None


def test_a_url_finds_a_file_of_any_type(make: Make) -> None:
    pack = make({"a": {"type": "source", "url": "~/a.js"}, "b": {"url": "~/b.js"}})
    assert where(PackSet([pack]).resolve("https://x/a.js"))[1] == "a"
    assert where(PackSet([pack]).resolve("https://x/b.js"))[1] == "b"


def test_an_unknown_type_is_misuse() -> None:
    with pytest.raises(ValueError, match="'script' is no type of file: they are source, minified_source, "):
        PackSet([]).resolve("a.js", file_type="script")


def test_a_set_says_how_many_packs_it_has(make: Make) -> None:
    packs = [make({"a": script("~/a.js")}), make({"a": script("~/b.js")})]
    assert repr(PackSet(packs)) == "<PackSet of 2 packs>"
    assert repr(PackSet([])) == "<PackSet of 0 packs>"


def test_resolve_all_gives_what_comes_after_in_the_order_of_the_search(make: Make) -> None:
    first = make({"a": script("~/a.js", ID_A), "b": script("https://x/a.js")})
    second = make({"c": script("https://x/a.js", ID_A)})
    found = list(PackSet([first, second]).resolve_all("https://x/a.js", ID_A))
    assert [each.entry.name for each in found] == ["a", "c", "b", "c", "a"]
    assert [each.candidate for each in found] == [None, None, "https://x/a.js", "https://x/a.js", "~/a.js"]


# ---- errors are misses


def test_a_damaged_member_is_a_miss_and_is_reported(make: Make) -> None:
    files = {"a": script("https://x/a.js", ID_A), "b": script("~/a.js")}
    damaged, whole = make({}, bundle=with_damaged_member(files, "a")), make({"c": script("https://x/a.js")})
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


def test_a_file_that_is_not_utf8_is_a_miss(make: Make) -> None:
    pack = make({"a": script("https://x/a.js", content=b"caf\xe9"), "b": script("~/a.js")})
    errors = Errors()
    assert where(PackSet([pack], on_error=errors).resolve("https://x/a.js"))[1] == "b"
    assert [str(error) for *_, error in errors] == [f"{pack.file}: 'a' cannot be read: not UTF-8"]


def test_a_file_over_the_read_limit_is_a_miss(make: Make) -> None:
    pack = make({"a": script("https://x/a.js", content=b"12345"), "b": script("~/a.js")}, max_read=4)
    errors = Errors()
    assert where(PackSet([pack], on_error=errors).resolve("https://x/a.js"))[1] == "b"
    assert [type(error) for *_, error in errors] == [LimitExceeded]


@only_packs
def test_a_damaged_index_is_a_miss_and_not_a_silent_one(make: Make) -> None:
    good = make({"a": script("~/a.js")})
    data = bytearray(Path(good.file).read_bytes())
    data[packfile_of(good).directory.layout.slots] ^= 1
    damaged = srcpack.open(bytes(data))
    errors = Errors()
    packs = PackSet([damaged, good], on_error=errors)
    assert where(packs.resolve("~/a.js"))[0] is good
    assert [(pack, key, type(error)) for pack, key, error in errors] == [(damaged, "~/a.js", FormatError)]


def test_an_error_of_the_operating_system_is_a_miss_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, good = make({"a": script("~/a.js")}), make({"b": script("~/a.js")})

    def fail(offset: int, length: int) -> bytes:
        raise OSError(5, f"cannot read {length} bytes at {offset}")

    monkeypatch.setattr(broken.store.source, "read", fail)
    packs = PackSet([broken, good])
    assert where(packs.resolve("https://x/a.js"))[0] is good
    assert packs.errors


def test_errors_that_nobody_takes_are_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Damage is a warning; what the conversion found unreadable is told to those who look for it."""
    files = {"a": script("https://x/a.js", ID_A)}
    packs = PackSet([make({}, bundle=with_damaged_member(files, "a"))])
    with caplog.at_level("DEBUG", logger="srcpack"):
        assert packs.resolve("https://x/a.js") is None
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("srcpack", "DEBUG")
    assert record.getMessage().startswith("looking for 'https://x/a.js': ")
    assert "'a' cannot be read" in record.getMessage()


def test_damage_that_nobody_takes_is_a_warning(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make({"a": script("~/a.js")})

    def fail(*_: int) -> bytes:
        raise OSError(5, "no such disk")

    monkeypatch.setattr(broken.store.source, "read", fail)
    assert PackSet([broken]).resolve("https://x/a.js") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(caplog.records) != []


def test_a_closed_pack_is_misuse(make: Make) -> None:
    pack = make({"a": script("~/a.js")})
    pack.close()
    with pytest.raises(ValueError, match="read of a closed pack"):
        PackSet([pack]).resolve("https://x/a.js")


def test_what_the_callback_raises_ends_the_search(make: Make) -> None:
    def stop(_pack: Pack, _key: str, error: SrcpackError | OSError) -> None:
        raise error

    pack = make({"a": script("~/a.js", content=b"\xff")})
    with pytest.raises(DamagedMember, match="not UTF-8"):
        PackSet([pack], on_error=stop).resolve("~/a.js")


@only_packs
def test_reading_reports_what_only_decoding_finds(make: Make) -> None:
    good = make({"a": script("~/a.js", content=b"let a = 1;\n" * 50)})
    data = bytearray(Path(good.file).read_bytes())
    data[good["a"].record.frames[0].offset + 20] ^= 1
    errors = Errors()
    packs = PackSet([srcpack.open(bytes(data)), good], on_error=errors)
    first, second = packs.resolve_all("~/a.js")
    with pytest.raises(FormatError):
        packs.read(first)
    assert [(key, type(error)) for _, key, error in errors] == [("a", FormatError)]
    assert packs.read(second) == good["a"].read()


def test_reading_goes_through_the_content_cache(make: Make) -> None:
    cache = ContentCache(1 << 20)
    packs = PackSet([make({"a": script("~/a.js")})], content_cache=cache)
    found = packs.resolve("~/a.js")
    assert found is not None
    assert packs.read(found) is packs.read(found)
    assert cache.statistics[:2] == (1, 1)


def test_context_goes_through_the_content_cache(make: Make) -> None:
    cache = ContentCache(1 << 20)
    content = b"".join(b"line %d\n" % number for number in range(1, 30))
    packs = PackSet([make({"a": script("~/a.js", content=content)})], content_cache=cache)
    found = packs.resolve("~/a.js")
    assert found is not None
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
        found = packs.resolve("~/a.js")
        assert found is not None
        assert packs.context(found, 2000) == found.entry.context(2000)
        assert cache.statistics[:2] == (0, 0)
        pack.store.max_read = 1000
        with pytest.raises(LimitExceeded):
            packs.context(found, 2000)
    assert (errors, packs.errors) == (["a"], 1)


# ---- the source map


def test_the_map_is_looked_for_by_the_events_debug_id_first(make: Make) -> None:
    """The event's id counts for the map even where the minified file was found by its URL."""
    first = make({"a": script("~/a.js", headers={"sourcemap": "a.js.map"}), "m": source_map("~/a.js.map")})
    second = make({"n": source_map("~/elsewhere.map", ID_A)})
    packs = PackSet([first, second])
    minified = packs.resolve("https://x/a.js", ID_A)
    assert minified is not None
    assert minified.found_by == "url"
    assert where(packs.source_map_for(minified)) == (second, "n", "debug-id", None)


def test_the_map_is_looked_for_by_the_reference_joined_to_the_frames_path(make: Make) -> None:
    pack = make(
        {
            "a": script("~/js/a.js", content=b"f()\n//# sourceMappingURL=../maps/a.js.map?v=1"),
            "m": source_map("~/maps/a.js.map"),
        }
    )
    packs = PackSet([pack])
    minified = packs.resolve("https://x/js/a.js?v=2")
    assert minified is not None
    found = packs.source_map_for(minified)
    assert where(found) == (pack, "m", "url", "~/maps/a.js.map")
    assert isinstance(found, Resolved)
    assert found.abs_path == found.source_base == minified.source_base == "https://x/maps/a.js.map"


def test_the_files_own_debug_id_is_not_passed_on_to_the_map(make: Make) -> None:
    pack = make(
        {
            "a": script("~/a.js", headers={"debug-id": ID_A, "sourcemap": "a.js.map"}),
            "by-id": source_map("~/elsewhere.map", ID_A),
            "by-url": source_map("~/a.js.map"),
        }
    )
    packs = PackSet([pack])
    minified = packs.resolve("https://x/a.js")
    assert minified is not None
    assert minified.entry.debug_id == DebugId(ID_A)
    assert where(packs.source_map_for(minified))[1] == "by-url"


def test_a_header_comes_before_the_comment_in_the_content(make: Make) -> None:
    pack = make(
        {
            "a": script("~/a.js", headers={"X-SourceMap": "h.map"}, content=b"//# sourceMappingURL=c.map"),
            "c": source_map("~/c.map"),
            "h": source_map("~/h.map"),
        }
    )
    packs = PackSet([pack])
    minified = packs.resolve("https://x/a.js")
    assert minified is not None
    assert where(packs.source_map_for(minified))[1] == "h"


def test_without_a_reference_the_debug_id_alone_decides(make: Make) -> None:
    pack = make({"a": script("~/a.js"), "m": source_map(None, ID_A)})
    packs = PackSet([pack])
    minified = packs.resolve("https://x/a.js", ID_A)
    assert minified is not None
    found = packs.source_map_for(minified)
    assert where(found) == (pack, "m", "debug-id", None)
    assert isinstance(found, Resolved)
    assert (found.abs_path, found.source_base) == (None, "https://x/a.js")
    without = packs.resolve("https://x/a.js")
    assert without is not None
    assert packs.source_map_for(without) is None


def test_an_empty_reference_is_one(make: Make) -> None:
    """It is joined like any other, which leads to the folder."""
    pack = make({"a": script("~/js/a.js", headers={"sourcemap": ""}), "m": source_map("~/js")})
    packs = PackSet([pack])
    minified = packs.resolve("https://x/js/a.js")
    assert minified is not None
    assert where(packs.source_map_for(minified)) == (pack, "m", "url", "~/js")


def test_a_file_found_by_debug_id_alone_can_have_its_map_found_so(make: Make) -> None:
    pack = make({"a": script(None, ID_A, content=b"//# sourceMappingURL=a.map"), "m": source_map(None, ID_A)})
    packs = PackSet([pack])
    minified = packs.resolve(None, ID_A)
    assert minified is not None
    assert where(packs.source_map_for(minified))[1] == "m"


def test_a_map_in_a_data_url_is_decoded_in_place(make: Make) -> None:
    reference = "data:application/json;base64," + base64.b64encode(b'{"version":3}').decode()
    pack = make({"a": script("~/js/a.js", headers={"sourcemap": reference}), "m": source_map(None, ID_A)})
    packs = PackSet([pack])
    minified = packs.resolve("https://x/js/a.js", ID_A)
    assert minified is not None
    found = packs.source_map_for(minified)
    assert found == DecodedMap(content=b'{"version":3}', source_base="https://x/js/a.js")
    assert minified.source_base == "https://x/js/a.js"


def test_a_data_url_that_does_not_decode_is_reported(make: Make) -> None:
    pack = make({"a": script("~/a.js", headers={"sourcemap": "data:;base64,!"}), "m": source_map(None, ID_A)})
    errors = Errors()
    packs = PackSet([pack], on_error=errors)
    minified = packs.resolve("~/a.js", ID_A)
    assert minified is not None
    assert packs.source_map_for(minified) is None
    assert [(found, key) for found, key, _ in errors] == [(pack, "data:")]
    assert str(errors[0][2]) == f"{pack.file}: 'a': source map: the data: URL's content is not base64"


def test_the_map_of_a_file_from_the_web_is_found_by_what_is_known_of_it(make: Make) -> None:
    pack = make({"m": source_map(None, ID_A), "n": source_map("~/a.js.map")})
    packs = PackSet([pack])
    assert where(packs.find_source_map("https://x/a.js", None, ID_A))[1] == "m"
    assert where(packs.find_source_map("https://x/a.js", "a.js.map"))[1] == "n"
    assert packs.find_source_map("https://x/a.js", None) is None
    with pytest.raises(ValueError, match="no comma"):
        packs.find_source_map("https://x/a.js", "data:")


# ---- original sources


def test_original_sources_are_relative_to_the_map(make: Make) -> None:
    pack = make(
        {
            "a": script("~/js/a.js", headers={"sourcemap": "../maps/a.js.map"}),
            "m": source_map("~/maps/a.js.map"),
            "s": {"type": "source", "url": "~/maps/src/a.ts"},
            "w": {"type": "source", "url": "webpack:///./b.ts"},
        }
    )
    packs = PackSet([pack])
    minified = packs.resolve("https://x/js/a.js")
    assert minified is not None
    found = packs.source_map_for(minified)
    assert found is not None
    for base in (minified, found, "https://x/maps/a.js.map"):
        assert where(packs.original_source(base, "src/a.ts")) == (pack, "s", "url", "~/maps/src/a.ts")
        assert where(packs.original_source(base, "webpack:///./b.ts"))[1] == "w"
        assert packs.original_source(base, "src/b.ts") is None


def test_original_sources_are_relative_to_the_minified_file_where_the_map_has_no_url(make: Make) -> None:
    pack = make(
        {
            "a": script("~/js/a.js", headers={"sourcemap": "data:,{}"}),
            "b": script("~/js/b.js"),
            "m": source_map(None, ID_A),
            "s": {"type": "source", "url": "~/js/s.ts"},
        }
    )
    packs = PackSet([pack])
    for url, debug_id in (("https://x/js/a.js", None), ("https://x/js/b.js", ID_A)):
        minified = packs.resolve(url, debug_id)
        assert minified is not None
        found = packs.source_map_for(minified)
        assert found is not None
        assert where(packs.original_source(minified, "s.ts"))[1] == "s"
        assert where(packs.original_source(found, "s.ts"))[1] == "s"


def test_a_map_of_which_only_the_debug_id_is_known_has_sources_by_whole_urls_only(make: Make) -> None:
    pack = make({"m": source_map(None, ID_A), "s": {"url": "webpack:///s.ts"}, "t": {"url": "~/t.ts"}})
    packs = PackSet([pack])
    found = packs.resolve(None, ID_A, "source_map")
    assert found is not None
    assert where(packs.original_source(found, "webpack:///s.ts"))[1] == "s"
    assert packs.original_source(found, "t.ts") is None


# ---- JVM and native


def test_the_first_pack_that_has_the_line_has_the_jvm_source(make: Make) -> None:
    short = make({"s": {"url": "~/io/Main.jvm", "content": b"1\n2\n"}})
    long = make({"l": {"url": "~/io/Main.jvm", "content": b"1\n2\n3"}})
    packs = PackSet([short, long])
    assert where(packs.jvm_source("io.Main$Inner", None, 2)) == (short, "s", "url", "~/io/Main.jvm")
    assert where(packs.jvm_source("io.Other", "Main.kt", 3)) == (long, "l", "url", "~/io/Main.jvm")
    assert packs.jvm_source("io.Main", "Main.kt", 4) is None
    assert packs.jvm_source("io.Main", "Main.kt", 0) is None
    assert packs.jvm_source("io.Absent", None, 1) is None


def test_a_jvm_source_that_cannot_be_read_is_a_miss(make: Make) -> None:
    damaged = make({"d": {"url": "~/Main.jvm", "content": b"\xff\n"}})
    whole = make({"w": {"url": "~/Main.jvm"}})
    packs = PackSet([damaged, whole])
    assert where(packs.jvm_source("Main", None, 1))[0] is whole
    assert packs.errors == 1


def test_a_native_source_is_a_file_of_any_pack_before_a_link_of_any(make: Make) -> None:
    links = make({}, source_links={"/src/*": "https://example.com/*", "/local/*": "file:///*"})
    later = make({}, source_links={"/*": "http://example.org/*"})
    files = make({"a": {"path": "C:\\src\\a.c"}, "b": {"path": "/src/b.c"}})
    packs = PackSet([links, later, files])
    assert where(packs.source_by_path("C:/src/a.c")) == (files, "a", "path", "C:/src/a.c")
    assert where(packs.source_by_path("/src/b.c"))[1] == "b"
    assert packs.source_by_path("/src/c.c") == SourceLink("https://example.com/c.c")
    assert packs.source_by_path("/local/c.c") == SourceLink("http://example.org/local/c.c")
    assert packs.source_by_path("relative.c") is None


def test_a_pack_whose_native_file_cannot_be_read_gives_no_link_for_it(make: Make) -> None:
    pack = make(
        {"a": {"path": "/a.c", "content": b"\xff"}},
        source_links={"/*": "https://example.com/*"},
    )
    packs = PackSet([pack])
    assert packs.source_by_path("/a.c") is None
    assert packs.errors == 1


# ---- what it costs


@only_packs
def test_finding_decodes_no_content(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counted(_packfile: PackFile, record: Any, _number: int) -> bytes:
        decoded.append(record.name)
        return b""

    monkeypatch.setattr(PackFile, "read_part", counted)
    pack = make(
        {
            "a": script("~/a.js", content=b"f()\n//# sourceMappingURL=a.js.map"),
            "b": script("~/a.js?", content=b"\xff"),
            "m": source_map("~/a.js.map", ID_A),
            "s": {"url": "~/s.ts", "path": "/s.ts"},
            "j": {"url": "~/J.jvm", "content": b"1\n2\n"},
        }
    )
    packs = PackSet([pack, pack])
    minified = packs.resolve("https://x/a.js")
    assert minified is not None
    assert packs.source_map_for(minified) is not None
    assert packs.original_source(minified, "s.ts") is not None
    assert packs.jvm_source("J", None, 2) is not None
    assert packs.source_by_path("/s.ts") is not None
    assert packs.resolve(None, ID_A, "source_map") is not None
    assert decoded == []
    packs.read(minified)
    assert decoded == ["a"]


# ---- symbolicator's own fixtures

needs_corpus = pytest.mark.skipif(
    not SYMBOLICATOR.is_dir(), reason="no corpus of symbolicator's beside the repository"
)


def converted(name: str, tmp_path: Path) -> Pack:
    convert(SYMBOLICATOR / name, tmp_path / f"{name}.srcpack")
    return srcpack.open(tmp_path / f"{name}.srcpack")


def members_of(name: str) -> dict[str, bytes]:
    """Return the members as the standard library reads them, without any code of ours."""
    with zipfile.ZipFile(io.BytesIO((SYMBOLICATOR / name).read_bytes())) as bundle:
        return {member: bundle.read(member) for member in bundle.namelist()}


def token_of(
    minified: bytes, mapped: bytes, line: int, column: int
) -> tuple[str | None, str | None, int, int]:
    cache = pytest.importorskip("symbolic.sourcemapcache").SourceMapCache.from_bytes(minified, mapped)
    token = cache.lookup(line, column, 0)
    return token.function_name, token.src, token.line, token.col


def e2e_cases() -> list[Any]:
    cases = (
        json.loads((CASES / "symbolic.json").read_text(encoding="utf-8"))
        if (CASES / "symbolic.json").is_file() and SYMBOLICATOR.is_dir()
        else []
    )
    return [pytest.param(case, id=case["id"]) for case in cases if case["area"] == "e2e.fixture"]


EXPECTED_TOKENS = {
    "e2e.fixture-01": ("<unknown>", "../../this is a söurce path/entrypoint1.js", 29, 1),
    "e2e.fixture-02": ("onFailure", "test.js", 5, 11),
    "e2e.fixture-04": ("test", None, None, None),
}
"""By symbolicator's snapshots, whose `Object.<anonymous>` in the first is the frame's own name."""


@pytest.mark.parametrize("case", e2e_cases())
def test_a_pack_gives_symbolic_what_the_zip_gives_it(case: dict[str, Any], tmp_path: Path) -> None:
    given, expected, query = case["input"], case["expect"], case["input"]["query"]
    names = [
        path.partition("tests/fixtures/")[2].replace("/", "__")
        for path in given.get("zips_in_uri_order") or [given["zip"]]
    ]
    packs = PackSet.by_uri({name: converted(name, tmp_path) for name in names})
    minified = packs.resolve(query["abs_path"], query.get("debug_id"))
    assert minified is not None
    mapped = packs.source_map_for(minified)
    assert isinstance(mapped, Resolved)
    bundle = Path(minified.pack.file).name.removesuffix(".srcpack")
    assert mapped.pack is minified.pack
    if "bundle_used" in expected:
        assert bundle.endswith(expected["bundle_used"])
    else:
        assert expected["minified_found_by"] == " ".join(
            filter(None, (minified.found_by, minified.candidate))
        )
        assert expected["sourcemap_found_by"] == " ".join(filter(None, (mapped.found_by, mapped.candidate)))
        assert expected["sourcemap"] == mapped.abs_path
    line, column = query["line"], query["column"]
    if "raw_context_line" in expected:
        context = minified.entry.context(line, column=column)
        assert context is not None
        assert context.context_line == expected["raw_context_line"]

    zipped = members_of(bundle)
    from_zip = token_of(zipped[minified.entry.name], zipped[mapped.entry.name], line, column)
    assert token_of(packs.read(minified), packs.read(mapped), line, column) == from_zip
    for found, wanted in zip(from_zip, EXPECTED_TOKENS[case["id"]], strict=True):
        assert wanted is None or found == wanted
    assert packs.errors == 0


@needs_corpus
def test_the_map_of_a_scraped_script_is_found_by_the_scripts_debug_id(tmp_path: Path) -> None:
    pack = converted("sourcemaps__e2e_scraped_debugid__bundle.zip", tmp_path)
    packs = PackSet([pack])
    debug_id = "2f259f80-58b7-44cb-d7cd-de1505e7e718"
    url = "http://localhost:1234/files/app.js"
    assert packs.resolve(url) is None
    found = packs.find_source_map(url, None, debug_id)
    assert where(found) == (pack, "files/app.js.map", "debug-id", None)
    assert isinstance(found, Resolved)
    assert (found.abs_path, found.source_base) == (None, url)


@needs_corpus
def test_jvm_frames_find_their_source_as_symbolicator_does(tmp_path: Path) -> None:
    packs = PackSet(
        [
            converted("proguard__basic_source_lookup__bundle.zip", tmp_path),
            converted("proguard__source_lookup_with_proguard__edit_activity.zip", tmp_path),
            converted("proguard__source_lookup_with_proguard__some_service.zip", tmp_path),
        ]
    )
    main, ui = "io.sentry.samples.MainActivity", "io.sentry.samples.instrumentation.ui"
    for module, abs_path, line, expected in (
        ("OtherActivity", "OtherActivity.java", 100, None),
        ("DifferentActivity", "DifferentActivity", 200, None),
        (main, None, 11, "InnerClass().whoops()"),
        (f"{main}$InnerClass", "MainActivity.kt", 20, "AnotherInnerClass().whoops2()"),
        (f"{main}$AnotherInnerClass", None, 26, "AdditionalInnerClass().whoops3()"),
        (f"{main}$AdditionalInnerClass", "MainActivity.kt", 32, "OneMoreInnerClass().whoops4()"),
        (f"{main}$OneMoreInnerClass", "SourceFile", 38, 'throw RuntimeException("whoops")'),
        (f"{ui}.EditActivity", "EditActivity.kt", 37, "SomeService().helloThere()"),
        (f"{ui}.SomeService", "SomeService.java", 5, "InnerClassOfSomeService().helloInner()"),
        (
            f"{ui}.SomeService$InnerClassOfSomeService",
            "SomeService.java",
            10,
            "AnotherClassInSameFile().helloOther()",
        ),
        (f"{ui}.AnotherClassInSameFile", "AnotherClassInSameFile.java", 17, None),
        (f"{ui}.AnotherClassInSameFile$AnotherInnerClass", "AnotherClassInSameFile.java", 26, None),
    ):
        found = packs.jvm_source(module, abs_path, line)
        assert (found is None) == (expected is None)
        context = found.entry.context(line) if found is not None else None
        assert (context.context_line.strip() if context is not None else None) == expected


@needs_corpus
def test_a_native_frame_finds_its_source_as_symbolicator_does(tmp_path: Path) -> None:
    packs = PackSet([converted("symbols__7f__883fcdc55336d0a809b0150f09500b.src.zip", tmp_path)])
    found = packs.source_by_path("/Users/swatinem/Coding/sentry-native/examples/example.c")
    assert isinstance(found, Resolved)
    context = found.entry.context(60)
    assert context is not None
    assert context.context_line == "    memset((char *)invalid_mem, 1, 100);"
    assert context.pre_context == ("#endif", "", "static void", "trigger_crash()", "{")


def test_a_set_is_of_open_packs() -> None:
    path = PACKS / "app.srcpack"
    with srcpack.open(path) as pack:
        for packs, wrong in (([str(path)], "str"), (pack, "str"), ([pack, path], "PosixPath")):
            with pytest.raises(TypeError, match=f"a PackSet is of open packs, not of {wrong}: "):
                PackSet(packs)  # type: ignore[arg-type]


def test_a_content_that_is_not_utf8_though_its_entry_says_so_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pack = srcpack.open(build_bundle({"a.js": b"f()"}, {"files": {"a.js": {"url": "~/a.js"}}}))
    told: list[str] = []
    packs = PackSet([pack], on_error=lambda _, key, error: told.append(f"{key}: {error}"))
    found = packs.resolve("https://x/a.js")
    assert found is not None
    assert packs.text(found) == "f()"
    monkeypatch.setattr(Entry, "read", lambda _: b"\xff")
    with pytest.raises(FormatError, match="UTF-8 by its entry"):
        packs.text(found)
    assert len(told) == packs.errors == 1


def test_names_of_the_room_are_loaded_when_they_are_asked_for() -> None:
    import srcpack.resolve as room

    assert dir(room) == sorted(room.__all__)
    assert all(getattr(room, name) is not None for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'resolve_events'"):
        room.resolve_events  # type: ignore[attr-defined]  # noqa: B018  to ask is the test
