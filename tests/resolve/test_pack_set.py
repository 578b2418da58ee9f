"""Finding the files of stack frames: order of packs and URLs, maps, sources, what it costs."""

import base64
from collections.abc import Callable

import pytest

import srcpack
from srcpack import DebugId, DecodedMap, Pack, PackSet, Resolved, SourceLink
from srcpack.format.packfile import PackFile
from support.calls import calls_of
from support.places import PACKS
from support.searched import ID_A, ID_B, Errors, Files, script, source_map, where
from support.the import the

Make = Callable[..., Pack]


# ---- the minified file


def test_a_debug_id_in_any_pack_comes_before_a_url_in_the_first(packed: Make) -> None:
    by_url, by_id = packed({"a": script("https://x/a.js")}), packed({"b": script("~/other.js", ID_A)})
    packs = PackSet([by_url, by_id])
    assert where(packs.resolve("https://x/a.js", ID_A)) == (by_id, "b", "debug-id", None)
    assert where(packs.resolve("https://x/a.js", ID_B)) == (by_url, "a", "url", "https://x/a.js")


def test_a_specific_url_in_a_later_pack_beats_a_tilde_url_in_an_earlier_one(packed: Make) -> None:
    tilde, specific = packed({"a": script("~/a.js")}), packed({"b": script("https://x/a.js")})
    packs = PackSet([tilde, specific])
    assert where(packs.resolve("https://x/a.js?v=1#top")) == (specific, "b", "url", "https://x/a.js")
    assert where(packs.resolve("https://y/a.js")) == (tilde, "a", "url", "~/a.js")


def test_with_a_query_and_without_are_tried_in_their_order(packed: Make) -> None:
    pack = packed({"a": script("~/a.js"), "b": script("~/a.js?v=1"), "c": script("~/a.js?v=1#x")})
    assert where(PackSet([pack]).resolve("app://x/a.js?v=1#x")) == (pack, "b", "url", "~/a.js?v=1")
    assert where(PackSet([pack]).resolve("app://x/a.js?v=2")) == (pack, "a", "url", "~/a.js")


def test_of_packs_that_have_the_key_the_first_given_wins(packed: Make) -> None:
    packs = [packed({"a": script("~/a.js", ID_A)}) for _ in range(3)]
    for order in (packs, packs[::-1]):
        assert where(PackSet(order).resolve("https://x/a.js"))[0] is order[0]
        assert where(PackSet(order).resolve(None, ID_A))[0] is order[0]


def test_by_uri_tries_the_greatest_uri_first_in_byte_order(packed: Make) -> None:
    uris = ["sentry://1", "sentry://10", "sentry://2", "sentry://é", "sentry://\U0001f600", "sentry://\uffff"]
    packs = {uri: packed({"a": script("~/a.js")}) for uri in uris}
    expected = sorted(uris, key=lambda uri: uri.encode(), reverse=True)
    assert expected[0] == "sentry://\U0001f600"
    assert PackSet.by_uri(packs).packs == tuple(packs[uri] for uri in expected)


def test_one_async_prefix_is_dropped(packed: Make) -> None:
    pack = packed({"a": script("~/a.js"), "b": script("async b.js")})
    found = the(PackSet([pack]).resolve("async https://x/a.js"))
    assert (found.entry.name, found.abs_path) == ("a", "https://x/a.js")
    assert PackSet([pack]).resolve("async b.js") is None
    assert where(PackSet([pack]).resolve("async async b.js"))[1] == "b"


def test_a_debug_id_alone_is_enough(packed: Make) -> None:
    pack = packed({"a": script(None, ID_A), "b": source_map(None, ID_A)})
    packs = PackSet([pack])
    assert where(packs.resolve(None, ID_A.upper())) == (pack, "a", "debug-id", None)
    assert where(packs.resolve(None, DebugId(ID_A), "source_map")) == (pack, "b", "debug-id", None)
    assert packs.resolve(None, ID_A, "source") is None
    assert packs.resolve(None) is None


def test_a_debug_id_only_in_the_content_finds_nothing(packed: Make) -> None:
    pack = packed({"a": script(content=b"f()\n//# debugId=" + ID_A.encode())})
    assert pack["a"].debug_id == DebugId(ID_A)
    assert PackSet([pack]).resolve(None, ID_A) is None


def test_a_text_that_is_no_debug_id_counts_as_none(packed: Make) -> None:
    pack = packed({"a": script("~/a.js")})
    assert the(PackSet([pack]).resolve("https://x/a.js", "garbage")).debug_id is None


def test_a_url_finds_a_file_of_any_type(packed: Make) -> None:
    pack = packed({"a": {"type": "source", "url": "~/a.js"}, "b": {"url": "~/b.js"}})
    assert where(PackSet([pack]).resolve("https://x/a.js"))[1] == "a"
    assert where(PackSet([pack]).resolve("https://x/b.js"))[1] == "b"


def test_an_unknown_type_is_misuse() -> None:
    with pytest.raises(ValueError, match="'script' is no type of file: they are source, minified_source, "):
        PackSet([]).resolve("a.js", file_type="script")


def test_resolve_all_gives_what_comes_after_in_the_order_of_the_search(packed: Make) -> None:
    first = packed({"a": script("~/a.js", ID_A), "b": script("https://x/a.js")})
    second = packed({"c": script("https://x/a.js", ID_A)})
    found = list(PackSet([first, second]).resolve_all("https://x/a.js", ID_A))
    assert [each.entry.name for each in found] == ["a", "c", "b", "c", "a"]
    assert [each.candidate for each in found] == [None, None, "https://x/a.js", "https://x/a.js", "~/a.js"]


# ---- the source map

# Files, what the script is looked for by, and the map that is found for it.
MAPS: dict[str, tuple[Files, tuple[str | None, str | None], tuple[str, str, str | None]]] = {
    "by the reference, joined to the frame's path": (
        {
            "a": script("~/js/a.js", content=b"f()\n//# sourceMappingURL=../maps/a.js.map?v=1"),
            "m": source_map("~/maps/a.js.map"),
        },
        ("https://x/js/a.js?v=2", None),
        ("m", "url", "~/maps/a.js.map"),
    ),
    "the file's own debug id is not passed on": (
        {
            "a": script("~/a.js", headers={"debug-id": ID_A, "sourcemap": "a.js.map"}),
            "by-id": source_map("~/elsewhere.map", ID_A),
            "by-url": source_map("~/a.js.map"),
        },
        ("https://x/a.js", None),
        ("by-url", "url", "~/a.js.map"),
    ),
    "a header comes before the comment in the content": (
        {
            "a": script("~/a.js", headers={"X-SourceMap": "h.map"}, content=b"//# sourceMappingURL=c.map"),
            "c": source_map("~/c.map"),
            "h": source_map("~/h.map"),
        },
        ("https://x/a.js", None),
        ("h", "url", "~/h.map"),
    ),
    "without a reference the debug id alone decides": (
        {"a": script("~/a.js"), "m": source_map(None, ID_A)},
        ("https://x/a.js", ID_A),
        ("m", "debug-id", None),
    ),
    "an empty reference is one: joined like any other it leads to the folder": (
        {"a": script("~/js/a.js", headers={"sourcemap": ""}), "m": source_map("~/js")},
        ("https://x/js/a.js", None),
        ("m", "url", "~/js"),
    ),
    "of a file that was found by debug id": (
        {"a": script(None, ID_A, content=b"//# sourceMappingURL=a.map"), "m": source_map(None, ID_A)},
        (None, ID_A),
        ("m", "debug-id", None),
    ),
}


@pytest.mark.parametrize("what", MAPS)
def test_the_map_of_a_script_is_found(packed: Make, what: str) -> None:
    files, asked, (name, found_by, candidate) = MAPS[what]
    pack = packed(files)
    packs = PackSet([pack])
    minified = the(packs.resolve(*asked))
    found = packs.source_map_for(minified)
    assert where(found) == (pack, name, found_by, candidate)
    assert isinstance(found, Resolved)
    if found_by == "url" and candidate is not None:
        assert found.abs_path == found.source_base == minified.source_base == f"https://x{candidate[1:]}"
    else:
        assert (found.abs_path, found.source_base) == (None, asked[0])


def test_the_map_is_looked_for_by_the_events_debug_id_first(packed: Make) -> None:
    """The event's id counts for the map even where the minified file was found by its URL."""
    first = packed({"a": script("~/a.js", headers={"sourcemap": "a.js.map"}), "m": source_map("~/a.js.map")})
    second = packed({"n": source_map("~/elsewhere.map", ID_A)})
    packs = PackSet([first, second])
    minified = the(packs.resolve("https://x/a.js", ID_A))
    assert minified.found_by == "url"
    assert where(packs.source_map_for(minified)) == (second, "n", "debug-id", None)


def test_without_a_reference_and_an_id_there_is_no_map(packed: Make) -> None:
    packs = PackSet([packed({"a": script("~/a.js"), "m": source_map(None, ID_A)})])
    assert packs.source_map_for(the(packs.resolve("https://x/a.js"))) is None


def test_a_map_in_a_data_url_is_decoded_in_place(packed: Make) -> None:
    reference = "data:application/json;base64," + base64.b64encode(b'{"version":3}').decode()
    pack = packed({"a": script("~/js/a.js", headers={"sourcemap": reference}), "m": source_map(None, ID_A)})
    packs = PackSet([pack])
    minified = the(packs.resolve("https://x/js/a.js", ID_A))
    found = packs.source_map_for(minified)
    assert found == DecodedMap(content=b'{"version":3}', source_base="https://x/js/a.js")
    assert minified.source_base == "https://x/js/a.js"


def test_a_data_url_that_does_not_decode_is_reported(packed: Make) -> None:
    pack = packed(
        {"a": script("~/a.js", headers={"sourcemap": "data:;base64,!"}), "m": source_map(None, ID_A)}
    )
    errors = Errors()
    packs = PackSet([pack], on_error=errors)
    assert packs.source_map_for(the(packs.resolve("~/a.js", ID_A))) is None
    assert [(found, key) for found, key, _ in errors] == [(pack, "data:")]
    assert str(errors[0][2]) == f"{pack.file}: 'a': source map: the data: URL's content is not base64"


def test_the_map_of_a_file_from_the_web_is_found_by_what_is_known_of_it(packed: Make) -> None:
    pack = packed({"m": source_map(None, ID_A), "n": source_map("~/a.js.map")})
    packs = PackSet([pack])
    assert where(packs.find_source_map("https://x/a.js", None, ID_A))[1] == "m"
    assert where(packs.find_source_map("https://x/a.js", "a.js.map"))[1] == "n"
    assert packs.find_source_map("https://x/a.js", None) is None
    with pytest.raises(ValueError, match="no comma"):
        packs.find_source_map("https://x/a.js", "data:")


# ---- original sources


def test_original_sources_are_relative_to_the_map(packed: Make) -> None:
    pack = packed(
        {
            "a": script("~/js/a.js", headers={"sourcemap": "../maps/a.js.map"}),
            "m": source_map("~/maps/a.js.map"),
            "s": {"type": "source", "url": "~/maps/src/a.ts"},
            "w": {"type": "source", "url": "webpack:///./b.ts"},
        }
    )
    packs = PackSet([pack])
    minified = the(packs.resolve("https://x/js/a.js"))
    found = packs.source_map_for(minified)
    assert found is not None
    bases: list[Resolved | DecodedMap | str] = [minified, found, "https://x/maps/a.js.map"]
    for base in bases:
        assert where(packs.original_source(base, "src/a.ts")) == (pack, "s", "url", "~/maps/src/a.ts")
        assert where(packs.original_source(base, "webpack:///./b.ts"))[1] == "w"
        assert packs.original_source(base, "src/b.ts") is None


def test_original_sources_are_relative_to_the_minified_file_where_the_map_has_no_url(packed: Make) -> None:
    pack = packed(
        {
            "a": script("~/js/a.js", headers={"sourcemap": "data:,{}"}),
            "b": script("~/js/b.js"),
            "m": source_map(None, ID_A),
            "s": {"type": "source", "url": "~/js/s.ts"},
        }
    )
    packs = PackSet([pack])
    for url, debug_id in (("https://x/js/a.js", None), ("https://x/js/b.js", ID_A)):
        minified = the(packs.resolve(url, debug_id))
        found = packs.source_map_for(minified)
        assert found is not None
        assert where(packs.original_source(minified, "s.ts"))[1] == "s"
        assert where(packs.original_source(found, "s.ts"))[1] == "s"


def test_a_map_of_which_only_the_debug_id_is_known_has_sources_by_whole_urls_only(packed: Make) -> None:
    pack = packed({"m": source_map(None, ID_A), "s": {"url": "webpack:///s.ts"}, "t": {"url": "~/t.ts"}})
    packs = PackSet([pack])
    found = the(packs.resolve(None, ID_A, "source_map"))
    assert where(packs.original_source(found, "webpack:///s.ts"))[1] == "s"
    assert packs.original_source(found, "t.ts") is None


# ---- JVM and native


def test_the_first_pack_that_has_the_line_has_the_jvm_source(packed: Make) -> None:
    short = packed({"s": {"url": "~/io/Main.jvm", "content": b"1\n2\n"}})
    long = packed({"l": {"url": "~/io/Main.jvm", "content": b"1\n2\n3"}})
    packs = PackSet([short, long])
    assert where(packs.jvm_source("io.Main$Inner", None, 2)) == (short, "s", "url", "~/io/Main.jvm")
    assert where(packs.jvm_source("io.Other", "Main.kt", 3)) == (long, "l", "url", "~/io/Main.jvm")
    assert packs.jvm_source("io.Main", "Main.kt", 4) is None
    assert packs.jvm_source("io.Main", "Main.kt", 0) is None
    assert packs.jvm_source("io.Absent", None, 1) is None


def test_a_jvm_source_that_cannot_be_read_is_a_miss(packed: Make) -> None:
    damaged = packed({"d": {"url": "~/Main.jvm", "content": b"\xff\n"}})
    whole = packed({"w": {"url": "~/Main.jvm"}})
    packs = PackSet([damaged, whole])
    assert where(packs.jvm_source("Main", None, 1))[0] is whole
    assert packs.errors == 1


def test_a_native_source_is_a_file_of_any_pack_before_a_link_of_any(packed: Make) -> None:
    links = packed({}, source_links={"/src/*": "https://example.com/*", "/local/*": "file:///*"})
    later = packed({}, source_links={"/*": "http://example.org/*"})
    files = packed({"a": {"path": "C:\\src\\a.c"}, "b": {"path": "/src/b.c"}})
    packs = PackSet([links, later, files])
    assert where(packs.source_by_path("C:/src/a.c")) == (files, "a", "path", "C:/src/a.c")
    assert where(packs.source_by_path("/src/b.c"))[1] == "b"
    assert packs.source_by_path("/src/c.c") == SourceLink("https://example.com/c.c")
    assert packs.source_by_path("/local/c.c") == SourceLink("http://example.org/local/c.c")
    assert packs.source_by_path("relative.c") is None


def test_a_pack_whose_native_file_cannot_be_read_gives_no_link_for_it(packed: Make) -> None:
    links = {"/*": "https://example.com/*"}
    packs = PackSet([packed({"a": {"path": "/a.c", "content": b"\xff"}}, source_links=links)])
    assert packs.source_by_path("/a.c") is None
    assert packs.errors == 1


# ---- what it costs


@pytest.mark.parametrize("packed", ["pack"], indirect=True)
def test_finding_decodes_no_content(packed: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = calls_of(monkeypatch, PackFile, "read_part")
    pack = packed(
        {
            "a": script("~/a.js", content=b"f()\n//# sourceMappingURL=a.js.map"),
            "b": script("~/a.js?", content=b"\xff"),
            "m": source_map("~/a.js.map", ID_A),
            "s": {"url": "~/s.ts", "path": "/s.ts"},
            "j": {"url": "~/J.jvm", "content": b"1\n2\n"},
        }
    )
    packs = PackSet([pack, pack])
    minified = the(packs.resolve("https://x/a.js"))
    assert packs.source_map_for(minified) is not None
    assert packs.original_source(minified, "s.ts") is not None
    assert packs.jvm_source("J", None, 2) is not None
    assert packs.source_by_path("/s.ts") is not None
    assert packs.resolve(None, ID_A, "source_map") is not None
    assert decoded == []
    packs.read(minified)
    assert [record.name for record, _ in decoded] == ["a"]


def test_a_set_is_of_open_packs() -> None:
    path = PACKS / "app.srcpack"
    with srcpack.open(path) as pack:
        for packs, wrong in (([str(path)], "str"), (pack, "str"), ([pack, path], "PosixPath")):
            with pytest.raises(TypeError, match=f"a PackSet is of open packs, not of {wrong}: "):
                PackSet(packs)  # type: ignore[arg-type]
        assert repr(PackSet([pack, pack])) == "<PackSet of 2 packs>"


def test_names_of_the_room_are_loaded_when_they_are_asked_for() -> None:
    import srcpack.resolve as room

    assert dir(room) == sorted(room.__all__)
    assert all(getattr(room, name) is not None for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'resolve_events'"):
        room.resolve_events  # type: ignore[attr-defined]  # noqa: B018  to ask is the test
