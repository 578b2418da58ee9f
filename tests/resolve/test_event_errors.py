"""Events of our own: which errors are told, frames of other platforms, single frames, what an event costs."""

import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

import srcpack
from srcpack import Pack, PackSet
from srcpack.errors import FormatError, InvalidEvent
from srcpack.format.lookup_section import TableLookup
from srcpack.resolve import LookupCache, resolve_event
from srcpack.rules.original_position import OriginalPosition
from srcpack.store import Token
from support.bundle_builder import build_bundle
from support.calls import calls_of
from support.harbour import (
    CRANE_TS,
    HOST,
    ID_A,
    by_id,
    crane,
    frame,
    frames_of,
    harbour,
    names,
    resolved,
    script,
)
from support.minified import Minified
from support.the import the

Make = Callable[..., Pack]
only_packs = pytest.mark.parametrize("make", ["pack"], indirect=True)
only_lookups = pytest.mark.parametrize("make", ["lookups"], indirect=True)


def test_each_error_is_told_once_in_the_order_of_paths_and_kinds(make: Make) -> None:
    minified, _, call = crane()
    files = {
        **harbour(minified),
        "~/lost.js": script(minified, "lost.js.map"),
        "~/bad.js": script(minified, "bad.js.map"),
        "~/bad.js.map": ("source_map", "{}}"),
        "~/broken.js": script(minified, "data:,%ff"),
        "~/plain.js": ("source", "x"),
    }
    of_crane = {"abs_path": f"{HOST}/crane.js"}
    frames = [
        *(frame(call, f"{HOST}/{name}.js") for name in ("lost", "bad", "broken", "plain", "nowhere", "bad")),
        frame(call, "/lost.js"),
        frame(call, "native"),
        frame((9, 9)),
        frame((0, 3)),
        *({**of_crane, "lineno": line} for line in (0, 9)),
        of_crane,
        {"lineno": 1},
        {**of_crane, "lineno": "1"},
        7,
    ]
    answer = resolved(make(files), *frames)
    reason = "lineno: found str, expected a whole number from 0 to 4,294,967,295"
    places = [(None, None), (0, None), (0, 3), (9, 0), (9, 9)]
    assert answer["errors"] == [
        {"type": "invalid_abs_path"},
        {"type": "invalid_frame", "reason": "frame: found int, expected an object"},
        {"abs_path": "/lost.js", "type": "missing_sourcemap"},
        {"abs_path": f"{HOST}/bad.js", "type": "malformed_sourcemap", "url": f"{HOST}/bad.js.map"},
        {"abs_path": f"{HOST}/broken.js", "type": "missing_source"},
        *({**of_crane, "type": "invalid_location", "line": line, "col": column} for line, column in places),
        {**of_crane, "type": "invalid_frame", "reason": reason},
        {"abs_path": f"{HOST}/lost.js", "type": "scraping_disabled"},
        {"abs_path": f"{HOST}/nowhere.js", "type": "scraping_disabled"},
        {"abs_path": "native", "type": "missing_source"},
    ]
    shown, text = frames_of(answer), minified.text
    assert [each["data"]["symbolicated"] for each in shown[:12]] == [False] * 12
    assert [each.get("context_line") for each in shown[:6]] == [text, text, None, "x", None, text]
    assert shown[1]["data"]["resolved_with"] == "unknown"
    assert "sourcemap" not in shown[1]["data"]
    assert shown[12:] == frames[12:]


@pytest.mark.parametrize("make", ["pack", "zip", "lookups"], indirect=True)
def test_symbolic_is_needed_where_there_are_no_tables(
    make: Make, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))], lookup_cache=LookupCache(1 << 20))
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    answer = resolved(packs, frame(call))
    if request.node.callspec.params["make"] == "lookups":
        assert (names(answer), answer["errors"]) == (["Crane.hoist"], [])
    else:
        (error,) = answer["errors"]
        assert (error["abs_path"], error["type"]) == (f"{HOST}/crane.js", "lookup_unavailable")
        assert "srcpack convert --lookups" in error["reason"]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ([], "event: found list, expected an object"),
        ({"stacktraces": {}}, "event: stacktraces: found dict, expected a list"),
        ({"stacktraces": [{"frames": []}, 5]}, r"event: stacktraces\[1\]: found int, expected an object"),
        ({"stacktraces": [{}]}, r"event: stacktraces\[0\].frames: found NoneType, expected a list"),
        ({"exception": "x"}, "event: exception: found str, expected a list"),
        ({"exception": {"values": 3}}, "event: exception.values: found int, expected a list"),
        ({"threads": [1]}, r"event: threads\[0\]: found int, expected an object"),
        (
            {"exception": [{"stacktrace": {"frames": {}}}]},
            r"event: exception\[0\].stacktrace.frames: found dict, expected a list",
        ),
        ({"stacktrace": []}, "event: stacktrace: found list, expected an object"),
    ],
)
def test_an_event_of_another_form_is_refused(event: Any, message: str) -> None:
    with pytest.raises(InvalidEvent, match=f"^{message}$"):
        resolve_event(event, PackSet([]))


def test_an_order_that_is_none_is_misuse() -> None:
    with pytest.raises(ValueError, match="frame_order is caller_first or callee_first, not 'up'"):
        resolve_event({}, PackSet([]), frame_order="up")  # type: ignore[arg-type]


# ---- the JVM and native


def test_frames_of_the_jvm_get_the_lines_around_them(make: Make) -> None:
    source = "package port\n\nclass Quay {\n    fun moor() = TODO()\n}\n"
    packs = PackSet([make({"~/port/Quay.jvm": ("source", each)}) for each in ("package port\n", source)])
    frames = [
        {"module": "port.Quay$Inner", "filename": "Quay.kt", "lineno": 4, "function": "moor"},
        {"module": "java.lang.Thread", "filename": "Thread.java", "lineno": 840},
        {"module": "port.Quay", "filename": "Quay.kt", "lineno": -2},
        {"module": 5, "filename": "Quay.kt", "lineno": 4},
    ]
    event = {"platform": "java", "exception": {"values": [{"stacktrace": {"frames": frames}}]}}
    answer = resolve_event(event, packs)
    (value,) = answer["exception"]["values"]
    before, at, after = source.split("\n")[:3], "    fun moor() = TODO()", ["}"]
    lines = {"pre_context": before, "context_line": at, "post_context": after}
    assert value["stacktrace"]["frames"] == [{**frames[0], **lines}, *frames[1:]]
    assert value["raw_stacktrace"]["frames"] == frames
    assert answer["errors"] == [
        {"abs_path": "Quay.kt", "type": "invalid_location", "line": None, "col": None},
        {"abs_path": "Quay.kt", "type": "invalid_frame", "reason": "module: found int, expected a text"},
        {"abs_path": "Thread.java", "type": "missing_source", "source": "~/java/lang/Thread.jvm"},
    ]


def test_native_frames_get_the_lines_around_them_or_where_to_get_them() -> None:
    manifest = {
        "files": {"a.c": {"type": "source", "path": "/src/a.c"}},
        "source_links": {"/lib/*": "https://code.example/*"},
    }
    packs = PackSet([srcpack.open(build_bundle({"a.c": b"int a;\nint b;\n"}, manifest))])
    frames: list[dict[str, Any]] = [
        {"abs_path": "\\src\\a.c", "lineno": 2},
        {"filename": "/lib/z.c", "lineno": 2},
        {"abs_path": "/src/a.c", "lineno": 3},
        {"abs_path": "/src/b.c", "lineno": 1},
        {"abs_path": "/src/a.c"},
        {"instruction_addr": "0x1", "lineno": 1},
    ]
    answer = resolve_event({"platform": "native", "stacktrace": {"frames": frames}}, packs)
    lines = {"pre_context": ["int a;"], "context_line": "int b;", "post_context": []}
    link = {"source_link": "https://code.example/z.c"}
    assert answer["stacktrace"]["frames"] == [{**frames[0], **lines}, {**frames[1], **link}, *frames[2:]]
    assert answer["errors"] == [
        {"type": "invalid_abs_path"},
        {"abs_path": "/src/a.c", "type": "invalid_location", "line": None, "col": None},
        {"abs_path": "/src/a.c", "type": "missing_source"},
        {"abs_path": "/src/b.c", "type": "missing_source"},
    ]


def test_a_frame_has_its_own_platform(make: Make) -> None:
    minified, _, call = crane()
    frames = [frame(call, platform=platform) for platform in ("node", "java", "ruby", 3)]
    event = {"platform": "javascript", "stacktrace": {"frames": frames}}
    answer = resolve_event(event, PackSet([make(harbour(minified))]))
    shown = answer["stacktrace"]["frames"]
    assert shown[0]["function"] == "Crane.hoist"
    assert shown[1:] == frames[1:]
    assert [error["reason"] for error in answer["errors"]] == [
        "module: found NoneType, expected a text",
        "platform: found int, expected a text",
    ]


def test_all_frames_of_a_request_for_javascript_are_of_javascript(make: Make) -> None:
    """symbolicator does not ask a frame for its platform; it hands it on."""
    minified, _, call = crane()
    platforms = ["native", "java", "ruby", ""]
    frames = [frame(call, platform=platform) for platform in platforms]
    request = {"platform": "node", "stacktraces": [{"frames": frames}]}
    answer = resolve_event(request, PackSet([make(harbour(minified))]))
    assert names(answer) == ["Crane.hoist"] * 4
    assert [each["platform"] for each in frames_of(answer)] == platforms
    assert answer["errors"] == []


# ---- one frame, one position


def test_a_frame_is_resolved_for_itself(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(by_id(minified))])
    answer = packs.resolve_frame(frame(call, in_app=False), ID_A)
    assert (answer.frame["function"], answer.frame["in_app"], answer.error) == ("Crane.hoist", False, None)
    assert answer.raw_frame["context_line"] == minified.text
    assert packs.resolve_frame(None, ID_A).frame is None  # type: ignore[arg-type]
    missing = packs.resolve_frame(frame(call), "none")
    assert missing.error == {"abs_path": f"{HOST}/crane.js", "type": "scraping_disabled"}


def test_a_position_is_looked_up_for_itself(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))])
    found = the(packs.resolve(f"{HOST}/crane.js"))
    source_map = packs.source_map_for(found)
    assert source_map is not None

    def position(line: int, column: int) -> OriginalPosition | None:
        return packs.original_position(found, source_map, line, column)

    assert position(*call) == OriginalPosition("src/crane.ts", 5, 12, "lift", "Crane.hoist")
    assert position(1, 0) == position(1, 1)
    for place in ((0, 1), (2, 1), (1, 1 << 32), (1 << 32, 1), (-1, 1), (1, -1)):
        assert position(*place) is None


def test_a_column_may_be_as_large_as_it_likes_and_not_negative(make: Make) -> None:
    minified = Minified({"a.js": "x"})
    minified.add("x", (1, 1))
    entry = the(make(harbour(minified)).by_url("~/crane.js"))
    position = the(entry.original(1, 1))
    for column in (0, 2, (1 << 30) + 1, 1 << 32, 1 << 70):
        assert entry.original(1, column) == position
    assert entry.original(1, -1) is None


# ---- what it costs


@only_packs
def test_files_are_found_and_read_once_an_event(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups, reads = calls_of(monkeypatch, Pack, "by_url"), calls_of(monkeypatch, PackSet, "read")
    minified = Minified({"a.ts": None})
    place = minified.add("x", (1, 1))
    pack = make({**harbour(minified), "~/a.ts": ("source", "text")})
    packs = PackSet([pack], lookup_cache=LookupCache(1 << 20))
    resolved(packs, *[frame(place)] * 50)
    assert len(reads) == 3  # script, map, original
    del reads[:], lookups[:]
    resolved(packs, *[frame(place)] * 50)
    assert len(reads) == 2  # the lookup is at hand
    assert len(lookups) == 6  # each by the URL, and by `~`


@only_lookups
def test_a_source_is_taken_out_of_its_map_once_an_event(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    minified, _, call = crane()
    pack = make(harbour(minified))
    asked = calls_of(monkeypatch, TableLookup, "content")
    frames = frames_of(resolved(pack, *[frame(call)] * 50))
    assert {each["context_line"] for each in frames} == {"    return lift(load);"}
    assert len(asked) == 1


@only_lookups
@pytest.mark.parametrize("answered", range(4))
def test_sources_are_not_mixed_up_where_a_table_is_left(
    make: Make, monkeypatch: pytest.MonkeyPatch, answered: int
) -> None:
    """Tables and symbolic number the sources otherwise."""
    minified = Minified({f"src/{name}.ts": f"text of {name}" for name in "abcd"})
    places = [minified.add(f"{name};", (1, 1), name, number) for number, name in enumerate("abcd")]
    pack = make(harbour(minified))
    token, calls = TableLookup.token, count()

    def damaged_later(self: TableLookup, line: int, column: int) -> Token | None:
        if next(calls) >= answered:
            raise FormatError("x.srcpack", "damaged")
        return token(self, line, column)

    monkeypatch.setattr(TableLookup, "token", damaged_later)
    frames = frames_of(resolved(pack, *map(frame, [*places, *reversed(places)])))
    assert [each["context_line"] for each in frames] == [f"text of {name}" for name in "abcddcba"]


def test_many_places_in_sources_that_the_map_has_not_or_a_file_has_too(make: Make) -> None:
    """After a few places a source is asked for whole, which is nowhere, or in the bundle."""
    minified = Minified({"src/absent.ts": None, "src/crane.ts": CRANE_TS})
    absent = minified.add("a();", (1, 1), None, 0)
    present = minified.add("b();", (5, 12), None, 1)
    beyond = minified.add("c();", (500, 1), None, 1)
    pack = make({**harbour(minified), "~/elsewhere.ts": ("source", CRANE_TS)})
    answer = resolved(pack, *map(frame, [absent, present, beyond] * 7))
    lines = [each.get("context_line") for each in frames_of(answer)]
    assert lines == [None, "    return lift(load);", None] * 7
    assert [each["source"] for each in answer["errors"]] == [f"{HOST}/src/absent.ts"]


def test_work_grows_with_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = calls_of(monkeypatch, Pack, "by_url")
    pack = srcpack.open(build_bundle({}, {"files": {}}))
    asked = []
    for number in (200, 400):
        lookups.clear()
        resolved(pack, *(frame((1, 1), f"{HOST}/{each}.js") for each in range(number)))
        asked.append(len(lookups))
    assert asked == [400, 800]
