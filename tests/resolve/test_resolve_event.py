"""Events of our own: what a frame becomes, how functions and files are called, what stays as it was."""

import copy
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

import srcpack
from srcpack import Pack, PackSet
from srcpack.errors import InvalidEvent
from srcpack.resolve import LookupCache, resolve_event
from srcpack.resolve.search import Origin
from support.any_events import ANY_EVENT
from support.bundle_builder import build_bundle
from support.harbour import (
    CRANE_TS,
    HOST,
    crane,
    frame,
    frames_of,
    harbour,
    members,
    names,
    resolved,
    sdk_event,
)
from support.minified import Minified
from support.source_maps import indexed_map, packed_map

Make = Callable[..., Pack]


# ---- a whole event


def test_a_frame_becomes_the_original_one(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))], origins=[Origin("b://1", "release")])
    answer = resolved(packs, frame(call, function="C.h"))
    assert answer["errors"] == []
    assert frames_of(answer) == [
        {
            "function": "Crane.hoist",
            "filename": "src/crane.ts",
            "module": "src/crane",
            "abs_path": f"{HOST}/src/crane.ts",
            "lineno": 5,
            "colno": 12,
            "pre_context": CRANE_TS.split("\n")[:4],
            "context_line": "    return lift(load);",
            "post_context": ["  }", "}"],
            "data": {
                "sourcemap": f"{HOST}/crane.js.map",
                "sourcemap_origin": {
                    "bundled": ["b://1", {"source_map": {"abs_path": f"{HOST}/crane.js.map"}}]
                },
                "resolved_with": "release",
                "symbolicated": True,
            },
        }
    ]
    assert answer["raw_stacktraces"] == [
        {"frames": [frame(call, function="C.h", context_line=minified.text, data={"symbolicated": False})]}
    ]


def test_an_event_of_an_sdk_keeps_all_else(make: Make) -> None:
    minified, _, call = crane()
    event = sdk_event(call)
    before = copy.deepcopy(event)
    answer = resolve_event(event, PackSet([make(harbour(minified))]))
    assert event == before
    (given,), (shown,) = event["stacktrace"]["frames"], answer["stacktrace"]["frames"]
    assert (shown["function"], shown["abs_path"]) == ("Crane.hoist", f"{HOST}/src/crane.ts")
    assert (shown["filename"], shown["in_app"]) == ("src/crane.ts", True)
    lines = {"pre_context": [], "context_line": minified.text, "post_context": []}
    raw = {**given, **lines, "data": {"symbolicated": False}}
    both = {"stacktrace": {"frames": [shown]}, "raw_stacktrace": {"frames": [raw]}}
    assert answer == {
        **event,
        "exception": {"values": [{"type": "Error", "value": "too heavy", **both}, None]},
        "threads": {"values": [{"id": 1, **both}, {"id": 2, "stacktrace": None}]},
        "stacktrace": {"frames": [shown], "registers": {}},
        "raw_stacktrace": {"frames": [raw], "registers": {}},
    }


def test_exceptions_may_be_a_list_or_a_single_one(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))])
    whole = sdk_event(call)
    expected = resolve_event(whole, packs)["exception"]["values"]
    values = whole["exception"]["values"]
    assert resolve_event({**whole, "exception": values}, packs)["exception"] == expected
    assert resolve_event({**whole, "exception": values[0]}, packs)["exception"] == expected[0]
    nothings: list[Any] = [None, {"values": None}, [], {"values": []}]
    for nothing in nothings:
        assert resolve_event({**whole, "exception": nothing}, packs)["exception"] == nothing


def test_a_resolved_event_resolved_again_stays_as_it_is(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))])
    once = resolve_event(sdk_event(call), packs)
    assert resolve_event(once, packs) == once


def test_errors_are_added_to_those_of_the_event() -> None:
    event = {**sdk_event((1, 1)), "errors": [{"type": "clock_drift"}]}
    answer = resolve_event(event, PackSet([]))
    missing = {"abs_path": f"{HOST}/crane.js", "type": "scraping_disabled"}
    assert answer["errors"] == [{"type": "clock_drift"}, missing]
    assert answer["exception"]["values"][0]["stacktrace"]["frames"] == [
        {**event["stacktrace"]["frames"][0], "data": {"symbolicated": False}}
    ]


def test_frames_of_platforms_without_source_bundles_are_left_alone() -> None:
    event = {"platform": "python", "stacktrace": {"frames": [{"filename": "a.py", "lineno": "3"}]}}
    assert resolve_event(event, PackSet([])) == event


# ---- names of functions


def wrapped() -> tuple[dict[str, Any], dict[str, Any]]:
    """A module of a bundler that calls a function without a name, which calls one whose scope has one."""
    minified = Minified({"dock.js": "moor(cast)\n\nlet x = () => tie()\nfunction tie() { fail() }\n"})
    minified.add("!function(){")
    top = minified.add("a", (1, 1), "moor")
    minified.add("(")
    minified.add("()=>{")
    inner = minified.add("b", (3, 15), "tie")
    minified.add("()});function ")
    minified.add("b", (4, 10), "tie")
    minified.add("(){")
    fail = minified.add("c", (4, 18), "fail")
    minified.add("()}}();")
    frames = {"top": frame(top), "inner": frame(inner, function="r"), "fail": frame(fail, function="b")}
    return harbour(minified), frames


def test_a_function_without_a_name_is_called_as_its_caller_calls_it(make: Make) -> None:
    files, frames = wrapped()
    pack, trace = make(files), list(frames.values())
    assert names(resolved(pack, *trace)) == ["<anonymous>", "moor", "tie"]
    assert names(resolved(pack, *trace[::-1], frame_order="callee_first")) == ["tie", "moor", "<anonymous>"]


def test_the_caller_hands_its_name_on_once(make: Make) -> None:
    files, frames = wrapped()
    pack = make({**files, "~/plain.js": ("source", "x")})
    top, inner, plain = frames["top"], frames["inner"], frame((1, 1), f"{HOST}/plain.js")
    assert names(resolved(pack, top, inner, inner)) == ["<anonymous>", "moor", "tie"]
    for between in (frame((0, 1)), plain, {"abs_path": 5}):
        assert names(resolved(pack, top, between, inner)) == ["<anonymous>", None, "r"]
    assert names(resolved(pack, {**plain, "token_name": "steer"}, inner)) == [None, "steer"]
    two = resolve_event({"stacktraces": [{"frames": [top]}, {"frames": [inner]}]}, PackSet([pack]))
    assert [trace["frames"][0]["function"] for trace in two["stacktraces"]] == ["<anonymous>", "r"]


# Before the place, its name in the map, after it; what the frame calls the function; what it is called then.
@pytest.mark.parametrize(
    ("before", "name", "raw", "shown"),
    [
        pytest.param("", "start", "t", "t", id="outside of functions the name stays"),
        ("", "start", "", ""),
        ("", "start", None, "<unknown>"),
        pytest.param("function $async$x(){", "main", None, "main", id="an async function of Dart"),
        ("function $async$x(){", None, None, "$async$x"),
        pytest.param("a.b.b.b.c=function(){", None, None, "a.{b#3}.c", id="repeated parts are folded"),
    ],
)
def test_a_function_is_called_by_what_is_around_it(
    make: Make, before: str, name: str | None, raw: str | None, shown: str
) -> None:
    minified = Minified({"a": "start()"})
    if before:
        minified.add(before)
    place = minified.add("f", (1, 1), name)
    minified.add("()}" if before else "()")
    assert names(resolved(make(harbour(minified)), frame(place, function=raw))) == [shown]


# ---- names of files


# The name in the map, its root, the frame's module; file, path and module that are shown.
@pytest.mark.parametrize(
    ("source", "root", "given", "shown"),
    [
        ("src/crane.ts", None, None, ("src/crane.ts", f"{HOST}/src/crane.ts", "src/crane")),
        ("crane.ts", "../maps/", None, ("../maps/crane.ts", f"{HOST}/maps/crane.ts", "maps/crane")),
        ("src/crane.ts", None, "mine", ("src/crane.ts", f"{HOST}/src/crane.ts", "mine")),
        ("webpack:///./crane.ts", None, "mine", ("./crane.ts", "webpack:///./crane.ts", "crane")),
        ("turbopack:///[project]/c.ts", None, None, ("c.ts", "turbopack:///[project]/c.ts", "c")),
        ("turbopack:x/c.ts", None, "mine", ("turbopack:x/c.ts", "turbopack:x/c.ts", "turbopack:x/c")),
        ("webpack-internal:///./x", None, None, ("webpack-internal:///./x", "webpack-internal:///./x", None)),
        ("file:///srv/crane.ts", None, None, ("file:///srv/crane.ts", "file:///srv/crane.ts", None)),
        (None, None, None, ("crane.js", f"{HOST}/crane.js", None)),
        (None, "maps", None, ("maps/", f"{HOST}/maps", "maps")),
    ],
)
def test_a_file_is_called_by_its_name_in_the_map(
    make: Make, source: str | None, root: str | None, given: str | None, shown: tuple[str, str, str | None]
) -> None:
    minified = Minified([(source, "text")])
    place = minified.add("x", (1, 1))
    pack = make(harbour(minified, sourceRoot=root))
    (found,) = frames_of(resolved(pack, frame(place, filename="crane.js", module=given)))
    assert tuple(map(found.get, ("filename", "abs_path", "module"))) == shown
    assert found["context_line"] == "text"


def test_of_sources_with_one_name_each_has_its_own_text(make: Make) -> None:
    texts = ["first", "second", "third", "fourth", None]
    minified = Minified(list(zip(["a.js", None, "a.js", None, "a.js"], texts, strict=True)))
    places = [minified.add("x", (1, 1), source=number) for number in range(5)]
    answer = resolved(make(harbour(minified)), *map(frame, places))
    assert [each.get("context_line") for each in frames_of(answer)] == texts
    assert [error["type"] for error in answer["errors"]] == ["missing_source_content"]


def test_sections_share_the_sources_of_one_name(make: Make) -> None:
    def section(*sources: tuple[str, str | None]) -> dict[str, Any]:
        part = Minified(list(sources))
        for number in range(len(sources)):
            part.add("x", (1, 1), source=number)
        return part.document()

    whole = indexed_map(
        (0, 0, section(("a.js", None), ("b.js", "of b"))),
        (1, 0, section(("a.js", "of a"), ("c.js", ""), ("d.js", None))),
    )
    files = {
        "~/crane.js": ("minified_source", "xx\nxxx", {"sourcemap": "crane.js.map"}),
        "~/crane.js.map": ("source_map", packed_map(whole)),
    }
    answer = resolved(make(files), *(frame(place) for place in ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3))))
    shown = [(each["filename"], each.get("context_line")) for each in frames_of(answer)]
    assert shown == [("a.js", "of a"), ("b.js", "of b"), ("a.js", "of a"), ("c.js", None), ("d.js", None)]
    assert [error["source"] for error in answer["errors"]] == [f"{HOST}/d.js"]


# ---- any event, and many threads


HARBOUR = PackSet([srcpack.open(build_bundle(*members(harbour(crane()[0]))))])


@given(ANY_EVENT)
def test_any_json_is_an_event_or_is_refused(event: Any) -> None:
    before = copy.deepcopy(event)
    try:
        answer = resolve_event(event, HARBOUR)
    except InvalidEvent:
        return
    assert isinstance(answer, dict)
    assert json.dumps(event) == json.dumps(before)


def test_deep_and_long_events_are_no_work() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    odd = {"abs_path": "x", "lineno": 1, "data": deep, "vars": deep}
    frames = [odd, frame((1, 10**5000)), frame((1, 1))] * 1_000
    answer = resolve_event({"stacktrace": {"frames": frames}, "extra": deep}, HARBOUR)
    assert len(answer["stacktrace"]["frames"]) == 3_000
    kinds = [error["type"] for error in answer["errors"]]
    assert kinds == ["invalid_location", "invalid_frame", "invalid_frame"]


def test_threads_share_packs_and_lookups(make: Make) -> None:
    minified, method, call = crane()
    packs = PackSet([make(harbour(minified))], lookup_cache=LookupCache(1 << 20))
    event = sdk_event(call)
    event["exception"]["values"][0]["stacktrace"]["frames"].append(frame(method))
    expected = resolve_event(event, PackSet(packs.packs, lookup_cache=LookupCache(1 << 20)))
    got: list[dict[str, Any]] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(20):
            got.append(resolve_event(event, packs))  # noqa: PERF401  others append meanwhile

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 160
