"""Events of our own: which frames become what, which errors are told, what stays as it was."""

import copy
import json
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import srcpack
from srcpack import Pack, PackSet
from srcpack.errors import FormatError, InvalidEvent
from srcpack.format.lookup_section import TableLookup
from srcpack.resolve import LookupCache, resolve_event
from srcpack.resolve.search import Origin
from srcpack.rules.original_position import OriginalPosition
from srcpack.store import Token
from srcpack_convert import convert
from support.any_events import ANY_EVENT
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_bundle, build_zip
from support.minified import Minified
from support.source_maps import indexed_map, packed_map
from support.tables import build_tables_here

HOST = "https://harbour.example"
ID_A = "6c1f0f2e-3b0e-4c9f-8e57-51f7a1d0c001"
ID_B = "6c1f0f2e-3b0e-4c9f-8e57-51f7a1d0c002"

CRANE_TS = """\
import { lift } from "./winch";

export class Crane {
  hoist(load: Load) {
    return lift(load);
  }
}
"""

Make = Callable[..., Pack]


@pytest.fixture(params=["lookups", "pack", "zip"])
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a pack, or open the zip, of files given by URL: type, content, headers."""
    numbers = count()
    build_tables_here(monkeypatch)

    def make_one(
        files: Mapping[str, tuple[str, str | bytes] | tuple[str, str | bytes, Mapping[str, str]]],
        **manifest: Any,
    ) -> Pack:
        contents, listed = {}, {}
        for number, (url, (kind, content, *headers)) in enumerate(files.items()):
            contents[str(number)] = content.encode() if isinstance(content, str) else content
            listed[str(number)] = {"type": kind, "url": url} | ({"headers": headers[0]} if headers else {})
        bundle = build_bundle(contents, {"files": listed, **manifest})
        if request.param == "zip":
            return srcpack.open(bundle)
        path = tmp_path / f"{next(numbers)}.srcpack"
        convert(bundle, path, dictionary="off", verify=False, lookups=request.param == "lookups")
        return srcpack.open(path)

    return make_one


def crane() -> tuple[Minified, tuple[int, int], tuple[int, int]]:
    """A class whose method calls a function; the places of the method's name and of the call."""
    minified = Minified({"src/crane.ts": CRANE_TS})
    minified.add("class ")
    minified.add("C", (3, 14), "Crane")
    minified.add("{")
    method = minified.add("h", (4, 3), "hoist")
    minified.add("(e){return ")
    call = minified.add("w", (5, 12), "lift")
    minified.add("(e)}}")
    return minified, method, call


def script(
    minified: Minified, reference: str | None = "crane.js.map", **headers: str
) -> tuple[str, str, dict[str, str]]:
    return "minified_source", minified.text, headers | ({} if reference is None else {"sourcemap": reference})


def harbour(minified: Minified, **more: Any) -> dict[str, Any]:
    """The files of a bundle with one script and its map."""
    return {"~/crane.js": script(minified), "~/crane.js.map": ("source_map", minified.map(**more))}


def frame(place: tuple[int, int], url: str = f"{HOST}/crane.js", **more: Any) -> dict[str, Any]:
    return {"abs_path": url, "lineno": place[0], "colno": place[1], **more}


def resolved(packs: PackSet | Pack, *frames: Any, modules: Any = (), **options: Any) -> dict[str, Any]:
    """Resolve frames as a request to symbolicator has them."""
    request = {"stacktraces": [{"frames": list(frames)}], "modules": list(modules)}
    return resolve_event(request, packs if isinstance(packs, PackSet) else PackSet([packs]), **options)


def frames_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    (trace,) = answer["stacktraces"]
    frames: list[dict[str, Any]] = trace["frames"]
    return frames


def names(answer: dict[str, Any]) -> list[str | None]:
    return [each.get("function") for each in frames_of(answer)]


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


def sdk_event(call: tuple[int, int]) -> dict[str, Any]:
    stacktrace = {
        "frames": [{"filename": f"{HOST}/crane.js", "lineno": call[0], "colno": call[1], "in_app": True}]
    }
    return {
        "event_id": "1" * 32,
        "platform": "javascript",
        "exception": {"values": [{"type": "Error", "value": "too heavy", "stacktrace": stacktrace}, None]},
        "threads": {"values": [{"id": 1, "stacktrace": stacktrace}, {"id": 2, "stacktrace": None}]},
        "stacktrace": {**stacktrace, "registers": {}},
        "extra": {"weight": [1, 2]},
    }


def test_an_event_of_an_sdk_keeps_all_else(make: Make) -> None:
    minified, _, call = crane()
    event = sdk_event(call)
    before = copy.deepcopy(event)
    answer = resolve_event(event, PackSet([make(harbour(minified))]))
    assert event == before
    (value, nothing) = answer["exception"]["values"]
    (shown,) = value["stacktrace"]["frames"]
    (raw,) = value["raw_stacktrace"]["frames"]
    assert (shown["function"], shown["abs_path"]) == ("Crane.hoist", f"{HOST}/src/crane.ts")
    assert (shown["filename"], shown["in_app"]) == ("src/crane.ts", True)
    assert raw == {
        "filename": f"{HOST}/crane.js",
        "lineno": call[0],
        "colno": call[1],
        "in_app": True,
        "pre_context": [],
        "context_line": minified.text,
        "post_context": [],
        "data": {"symbolicated": False},
    }
    assert nothing is None
    assert (value["type"], value["value"]) == ("Error", "too heavy")
    assert answer["threads"]["values"][0] == {
        "id": 1,
        "stacktrace": value["stacktrace"],
        "raw_stacktrace": value["raw_stacktrace"],
    }
    assert answer["threads"]["values"][1] == {"id": 2, "stacktrace": None}
    assert answer["stacktrace"] == {"frames": [shown], "registers": {}}
    assert answer["raw_stacktrace"] == {"frames": [raw], "registers": {}}
    assert {key: answer[key] for key in ("event_id", "platform", "extra")} == {
        key: event[key] for key in ("event_id", "platform", "extra")
    }
    assert "errors" not in answer


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


def wrapped() -> tuple[Minified, dict[str, tuple[int, int]]]:
    """A module of a bundler that calls a function without a name, which calls one whose scope has one."""
    minified = Minified({"dock.js": "moor(cast)\n\nlet x = () => tie()\nfunction tie() { fail() }\n"})
    places = {}
    minified.add("!function(){")
    places["top"] = minified.add("a", (1, 1), "moor")
    minified.add("(")
    minified.add("()=>{")
    places["inner"] = minified.add("b", (3, 15), "tie")
    minified.add("()});function ")
    minified.add("b", (4, 10), "tie")
    minified.add("(){")
    places["fail"] = minified.add("c", (4, 18), "fail")
    minified.add("()}}();")
    return minified, places


def test_a_function_without_a_name_is_called_as_its_caller_calls_it(make: Make) -> None:
    minified, places = wrapped()
    pack = make(harbour(minified))
    trace = [frame(places["top"]), frame(places["inner"], function="r"), frame(places["fail"], function="b")]
    assert names(resolved(pack, *trace)) == ["<anonymous>", "moor", "tie"]
    assert names(resolved(pack, *trace[::-1], frame_order="callee_first")) == ["tie", "moor", "<anonymous>"]


def test_the_caller_hands_its_name_on_once(make: Make) -> None:
    minified, places = wrapped()
    pack = make({**harbour(minified), "~/plain.js": ("source", "x")})
    top, inner = frame(places["top"]), frame(places["inner"], function="r")
    assert names(resolved(pack, top, inner, inner)) == ["<anonymous>", "moor", "tie"]
    assert names(resolved(pack, top, frame((0, 1)), inner)) == ["<anonymous>", None, "r"]
    assert names(resolved(pack, top, frame((1, 1), f"{HOST}/plain.js"), inner)) == ["<anonymous>", None, "r"]
    assert names(resolved(pack, top, {"abs_path": 5}, inner)) == ["<anonymous>", None, "r"]
    handed = frame((1, 1), f"{HOST}/plain.js", token_name="steer")
    assert names(resolved(pack, handed, inner)) == [None, "steer"]
    two = resolve_event({"stacktraces": [{"frames": [top]}, {"frames": [inner]}]}, PackSet([pack]))
    assert [trace["frames"][0]["function"] for trace in two["stacktraces"]] == ["<anonymous>", "r"]


@pytest.mark.parametrize(("raw", "shown"), [("t", "t"), ("", ""), (None, "<unknown>")])
def test_outside_of_functions_the_name_stays(make: Make, raw: str | None, shown: str) -> None:
    minified = Minified({"a.js": "start()"})
    place = minified.add("s", (1, 1), "start")
    minified.add("()")
    assert names(resolved(make(harbour(minified)), frame(place, function=raw))) == [shown]


@pytest.mark.parametrize(("name", "shown"), [("main", "main"), (None, "$async$x")])
def test_what_dart_makes_of_async_functions_gives_way_to_the_token(
    make: Make, name: str | None, shown: str
) -> None:
    minified = Minified({"a.dart": "main() async {}"})
    minified.add("function $async$x(){")
    place = minified.add("f", (1, 1), name)
    minified.add("()}")
    assert names(resolved(make(harbour(minified)), frame(place))) == [shown]


def test_repeated_parts_of_a_name_are_folded(make: Make) -> None:
    minified = Minified({"a.js": "x"})
    minified.add("a.b.b.b.c=function(){")
    place = minified.add("f", (1, 1))
    minified.add("()}")
    assert names(resolved(make(harbour(minified)), frame(place))) == ["a.{b#3}.c"]


# ---- names of files


@pytest.mark.parametrize(
    ("source", "root", "given", "shown"),
    [
        ("src/crane.ts", None, None, ("src/crane.ts", f"{HOST}/src/crane.ts", "src/crane")),
        ("crane.ts", "../maps/", None, ("../maps/crane.ts", f"{HOST}/maps/crane.ts", "maps/crane")),
        ("src/crane.ts", None, "mine", ("src/crane.ts", f"{HOST}/src/crane.ts", "mine")),
        ("webpack:///./crane.ts", None, "mine", ("./crane.ts", "webpack:///./crane.ts", "crane")),
        (
            "turbopack:///[project]/crane.ts",
            None,
            None,
            ("crane.ts", "turbopack:///[project]/crane.ts", "crane"),
        ),
        (
            "turbopack:x/crane.ts",
            None,
            "mine",
            ("turbopack:x/crane.ts", "turbopack:x/crane.ts", "turbopack:x/crane"),
        ),
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
    (resolved_frame,) = frames_of(resolved(pack, frame(place, filename="crane.js", module=given)))
    assert tuple(map(resolved_frame.get, ("filename", "abs_path", "module"))) == shown
    assert resolved_frame["context_line"] == "text"


def test_of_sources_with_one_name_each_has_its_own_text(make: Make) -> None:
    minified = Minified(
        [("a.js", "first"), (None, "second"), ("a.js", "third"), (None, "fourth"), ("a.js", None)]
    )
    places = [minified.add("x", (1, 1), source=number) for number in range(5)]
    answer = resolved(make(harbour(minified)), *map(frame, places))
    assert [each.get("context_line") for each in frames_of(answer)] == [
        "first",
        "second",
        "third",
        "fourth",
        None,
    ]
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


# ---- which files


def by_id(minified: Minified, **headers: str) -> dict[str, Any]:
    return {
        "~/0.js": ("minified_source", minified.text, {"debug-id": ID_A}),
        "~/0.js.map": ("source_map", minified.map(), {"debug-id": ID_A, **headers}),
    }


def image(debug_id: str, code_file: str = f"{HOST}/crane.js") -> dict[str, str]:
    return {"type": "sourcemap", "code_file": code_file, "debug_id": debug_id}


def test_a_debug_id_of_the_event_finds_script_and_map(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(by_id(minified))], origins=[Origin("b://1", "release")])
    (shown,) = frames_of(resolved(packs, frame(call), modules=[image(ID_A.upper().replace("-", ""))]))
    assert shown["data"] == {
        "sourcemap": f"{HOST}/crane.js",
        "sourcemap_origin": {"bundled": ["b://1", {"source_map": {"debug_id": ID_A}}]},
        "resolved_with": "debug-id",
        "symbolicated": True,
    }
    event = {
        "stacktrace": {"frames": [frame(call)]},
        "debug_meta": {"images": [None, {"type": "elf"}, {**image(ID_A), "debug_id": 5}, image(ID_A)]},
    }
    assert resolve_event(event, packs)["stacktrace"]["frames"][0]["function"] == "Crane.hoist"


def test_of_images_for_one_file_the_last_counts(make: Make) -> None:
    minified, _, call = crane()
    pack = make(by_id(minified))
    assert names(resolved(pack, frame(call), modules=[image(ID_B), image(ID_A)])) == ["Crane.hoist"]
    for last in (ID_B, "none"):
        assert names(resolved(pack, frame(call), modules=[image(ID_A), image(last)])) == [None]
    assert names(resolved(pack, frame(call), modules=[image(ID_A, f"{HOST}/other.js")])) == [None]


def test_a_map_by_debug_id_alone_has_no_reference_of_its_own(make: Make) -> None:
    minified, _, call = crane()
    answer = resolved(make(by_id(minified, sourcemap="x")), frame(call), modules=[image(ID_A)])
    assert answer["errors"] == [
        {"abs_path": f"{HOST}/crane.js", "type": "malformed_sourcemap", "url": f"{HOST}/crane.js"}
    ]


def test_a_map_in_the_reference_is_read(make: Make) -> None:
    minified, _, call = crane()
    url = "data:application/json;base64," + b64encode(minified.map()).decode()
    (shown,) = frames_of(resolved(make({"~/crane.js": script(minified, url)}), frame(call)))
    assert shown["function"] == "Crane.hoist"
    assert shown["data"] == {
        "sourcemap": f"{HOST}/crane.js",
        "sourcemap_origin": "embedded",
        "resolved_with": "unknown",
        "symbolicated": True,
    }


def test_of_two_packs_the_one_with_the_greatest_uri_is_tried_first(make: Make) -> None:
    old, _, call = crane()
    new, _, _ = crane()
    new.sources = ["new.ts"]
    packs = {"b://1": make(harbour(old)), "b://2": make(harbour(new))}
    found = {"b://2": "index"}
    (shown,) = frames_of(resolved(PackSet.by_uri(packs, resolved_with=found), frame(call)))
    assert (shown["filename"], shown["data"]["resolved_with"]) == ("new.ts", "index")
    (shown,) = frames_of(resolved(PackSet.by_uri({**packs, "b://0": packs["b://1"]}), frame(call)))
    assert shown["data"]["resolved_with"] == "unknown"


def test_one_async_is_taken_off(make: Make) -> None:
    minified, _, call = crane()
    answer = resolved(
        make({**harbour(minified), "async ~/x.js": ("source", "x")}),
        frame(call, f"async {HOST}/crane.js"),
        frame((1, 1), "async async ~/x.js"),
    )
    assert [each["abs_path"] for each in frames_of(answer)] == [f"{HOST}/src/crane.ts", "async ~/x.js"]
    assert [each["abs_path"] for each in answer["raw_stacktraces"][0]["frames"]] == [
        f"{HOST}/crane.js",
        "async ~/x.js",
    ]


def test_what_cannot_be_read_is_not_here() -> None:
    minified, _, call = crane()
    good = srcpack.open(build_bundle(*_members(harbour(minified))))
    for damaged in ("0", "1"):
        contents, manifest = _members(harbour(minified))
        members = [
            ZipMember(name=name, content=each, crc=1 if name == damaged else None)
            for name, each in contents.items()
        ]
        listing = ZipMember(name="manifest.json", content=json.dumps(manifest).encode())
        bad = srcpack.open(build_zip([*members, listing], header=BUNDLE_HEADER))
        packs = PackSet([bad, good])
        assert names(resolved(packs, frame(call))) == ["Crane.hoist"]
        assert packs.errors


def damaged_pack(path: Path, files: Mapping[str, Any], *urls: str) -> Pack:
    """Convert files to a pack, and open it with a bit flipped in the content of each of the URLs."""
    convert(build_bundle(*_members(files)), path, dictionary="off", verify=False)
    data = bytearray(path.read_bytes())
    with srcpack.open(path) as pack:
        for url in urls:
            entry = pack.by_url(url)
            assert entry is not None
            data[entry.record.frames[0].offset + 8] ^= 1
    return srcpack.open(bytes(data))


def test_a_map_whose_content_is_damaged_is_not_here(tmp_path: Path) -> None:
    """It is found, as its entry is whole, and turns out unreadable: the next one is taken."""
    minified, _, call = crane()
    bad = damaged_pack(tmp_path / "bad.srcpack", harbour(minified), "~/crane.js.map")
    packs = PackSet([bad], lookup_cache=LookupCache(1 << 20))
    answer = resolved(packs, frame(call))
    assert [error["type"] for error in answer["errors"]] == ["scraping_disabled"]
    assert packs.errors
    good = damaged_pack(tmp_path / "good.srcpack", harbour(minified))
    packs = PackSet([bad, good], lookup_cache=LookupCache(1 << 20))
    answer = resolved(packs, frame(call))
    assert (names(answer), answer["errors"]) == (["Crane.hoist"], [])
    assert packs.errors


def test_an_original_whose_content_is_damaged_is_not_here(tmp_path: Path) -> None:
    minified = Minified({"src/crane.ts": None})
    call = minified.add("h()", (2, 1))
    files = {**harbour(minified), "~/src/crane.ts": ("source", "first\nsecond\n")}
    bad = damaged_pack(tmp_path / "bad.srcpack", files, "~/src/crane.ts")
    packs = PackSet([bad], lookup_cache=LookupCache(1 << 20))
    answer = resolved(packs, frame(call))
    assert [error["type"] for error in answer["errors"]] == ["missing_source_content"]
    assert "context_line" not in frames_of(answer)[0]
    good = damaged_pack(tmp_path / "good.srcpack", files)
    answer = resolved(PackSet([bad, good], lookup_cache=LookupCache(1 << 20)), frame(call))
    assert (frames_of(answer)[0]["context_line"], answer["errors"]) == ("second", [])


@pytest.mark.parametrize(
    "wanted",
    [
        {"platform": "java", "module": "harbour.Crane", "filename": "Crane.java", "lineno": 1},
        {"platform": "native", "abs_path": "/src/crane.c", "lineno": 1},
    ],
)
def test_a_source_of_other_platforms_whose_content_is_damaged_is_not_here(
    tmp_path: Path, wanted: dict[str, Any]
) -> None:
    files = {"j": b"class Crane {}\n", "c": b"int crane;\n"}
    listed = {
        "j": {"type": "source", "url": "~/harbour/Crane.jvm"},
        "c": {"type": "source", "path": "/src/crane.c"},
    }
    path = tmp_path / "bad.srcpack"
    convert(build_bundle(files, {"files": listed}), path, dictionary="off")
    data = bytearray(path.read_bytes())
    with srcpack.open(path) as good:
        for entry in good.entries():
            data[entry.record.frames[0].offset + 8] ^= 1
        answer = resolved(good, wanted)
        assert "context_line" in frames_of(answer)[0]
        answer = resolved(good, wanted, apply_source_context=False)
        assert (frames_of(answer), answer["errors"]) == ([wanted], [])
    packs = PackSet([srcpack.open(bytes(data))])
    answer = resolved(packs, wanted, wanted)
    assert frames_of(answer) == [wanted] * 2
    assert [error["type"] for error in answer["errors"]] == ["missing_source"]
    assert packs.errors == 1, "it is read once"


def test_what_a_request_says_of_a_frames_map_is_handed_on(make: Make) -> None:
    minified, _, _ = crane()
    given = {"sourcemap": "a.map", "sourcemap_origin": {"bundled": []}, "resolved_with": "x", "more": 1}
    answer = resolved(make(harbour(minified)), frame((1, 1), "absent.js", data=given))
    assert frames_of(answer)[0]["data"] == {
        "sourcemap": "a.map",
        "sourcemap_origin": {"bundled": []},
        "resolved_with": "x",
        "symbolicated": False,
    }


def _members(files: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    contents, listed = {}, {}
    for number, (url, (kind, content, *headers)) in enumerate(files.items()):
        contents[str(number)] = content.encode() if isinstance(content, str) else content
        listed[str(number)] = {"type": kind, "url": url, "headers": headers[0] if headers else {}}
    return contents, {"files": listed}


def long_script(source: str) -> tuple[Minified, tuple[int, int], tuple[int, int]]:
    """A script of several frames; a place in the first of them and one in the last."""
    minified = Minified({source: "first\nlast\n"})
    first = minified.add("a();", (1, 1))
    minified.add("\n" + "/* ballast */\n" * 1000)
    last = minified.add("b();", (2, 1))
    return minified, first, last


@pytest.mark.parametrize("lookups", [True, False])
@pytest.mark.parametrize("wants_context", [True, False])
def test_a_script_that_is_damaged_elsewhere_serves_until_that_is_needed(
    lookups: bool, wants_context: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_tables_here(monkeypatch)
    packs = {}
    for uri, source in (("b://2", "damaged.ts"), ("b://1", "whole.ts")):
        minified, first, last = long_script(source)
        path = tmp_path / f"{source}.srcpack"
        files = {
            "~/crane.js": script(minified, f"{source}.map"),
            f"~/{source}.map": ("source_map", minified.map()),
        }
        bundle = build_bundle(*_members(files))
        convert(bundle, path, dictionary="off", frame_size=4096, verify=False, lookups=lookups)
        packs[uri] = srcpack.open(path)
    entry = packs["b://2"].by_url("~/crane.js")
    assert entry is not None
    data = bytearray((tmp_path / "damaged.ts.srcpack").read_bytes())
    data[entry.record.frames[-1].offset + 8] ^= 1
    packs["b://2"] = srcpack.open(bytes(data))
    by_uri = PackSet.by_uri(packs, lookup_cache=LookupCache(1 << 20))
    answer = resolved(by_uri, frame(first), frame(last), frame(first), apply_source_context=wants_context)
    sources = [each.get("filename") for each in frames_of(answer)]
    if not lookups:  # symbolic needs all of it
        assert sources == ["whole.ts"] * 3
    elif wants_context:
        assert sources == ["damaged.ts", "whole.ts", "whole.ts"]
    else:
        assert sources == ["damaged.ts"] * 3
    assert answer["errors"] == []
    assert bool(by_uri.errors) is not (lookups and not wants_context)


# ---- lines around the place


def test_an_original_that_the_map_lacks_is_found_by_its_url(make: Make) -> None:
    minified = Minified({"src/crane.ts": None, "src/lost.ts": None})
    here, lost = minified.add("x", (2, 1)), minified.add("y", (1, 1), source=1)
    files = {**harbour(minified), f"{HOST}/src/crane.ts": ("source_map", "one\r\ntwo\r\nthree\r\n")}
    answer = resolved(make(files), frame(here), frame(lost))
    shown, missing = frames_of(answer)
    assert (shown["pre_context"], shown["context_line"], shown["post_context"]) == (["one"], "two", ["three"])
    assert missing["data"]["symbolicated"] is True
    assert "context_line" not in missing
    assert answer["errors"] == [
        {
            "abs_path": f"{HOST}/crane.js",
            "type": "missing_source_content",
            "source": f"{HOST}/src/lost.ts",
            "sourcemap": f"{HOST}/crane.js.map",
        }
    ]


def test_an_original_with_a_broken_reference_of_its_own_is_not_here(make: Make) -> None:
    minified = Minified({"a.ts": None})
    place = minified.add("x", (1, 1))
    files = {**harbour(minified), "~/a.ts": ("source", "x //# sourceMappingURL=data:;base64,*")}
    answer = resolved(make(files), frame(place))
    assert [error["type"] for error in answer["errors"]] == ["missing_source_content"]


@pytest.mark.parametrize(("content", "line"), [("", 1), ("one\n", 2), ("one", 9)])
def test_a_line_that_is_not_there_is_no_error(make: Make, content: str, line: int) -> None:
    minified = Minified({"a.ts": content})
    place = minified.add("x", (line, 1))
    answer = resolved(make(harbour(minified)), frame(place))
    assert answer["errors"] == []
    assert "context_line" not in frames_of(answer)[0]


def test_context_that_came_with_a_frame_stays_if_there_is_no_better(make: Make) -> None:
    minified = Minified({"a.ts": None})
    place = minified.add("x", (1, 1))
    came: dict[str, Any] = {"pre_context": ["p"], "context_line": "c", "post_context": ["q"]}
    answer = resolved(make(harbour(minified)), frame(place, **came), frame((7, 1), **came))
    shown, failed = frames_of(answer)
    assert {key: shown[key] for key in came} == came
    assert {key: failed[key] for key in came} == came
    assert answer["raw_stacktraces"][0]["frames"][0]["context_line"] == "x"


def test_long_lines_are_cut_around_the_column(make: Make) -> None:
    minified = Minified({"a.ts": "b" * 300})
    minified.add("a" * 400)
    place = minified.add("x", (1, 200))
    answer = resolved(make(harbour(minified)), frame(place))
    assert answer["raw_stacktraces"][0]["frames"][0]["context_line"] == "{snip} " + "a" * 139 + "x"
    assert frames_of(answer)[0]["context_line"] == "{snip} " + "b" * 140 + " {snip}"


def test_without_source_context_no_original_is_missed(make: Make) -> None:
    minified = Minified({"a.ts": None})
    place = minified.add("x", (1, 1))
    answer = resolved(make(harbour(minified)), frame(place), apply_source_context=False)
    assert answer["errors"] == []
    assert "context_line" not in frames_of(answer)[0]
    assert "context_line" not in answer["raw_stacktraces"][0]["frames"][0]


# ---- errors


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
    frames = [
        *(frame(call, f"{HOST}/{name}.js") for name in ("lost", "bad", "broken", "plain", "nowhere", "bad")),
        frame(call, "/lost.js"),
        frame(call, "native"),
        frame((9, 9)),
        frame((0, 3)),
        {"abs_path": f"{HOST}/crane.js", "lineno": 0},
        {"abs_path": f"{HOST}/crane.js", "lineno": 9},
        {"abs_path": f"{HOST}/crane.js"},
        {"lineno": 1},
        {"abs_path": f"{HOST}/crane.js", "lineno": "1"},
        7,
    ]
    answer = resolved(make(files), *frames)
    of_crane = {"abs_path": f"{HOST}/crane.js"}
    assert answer["errors"] == [
        {"type": "invalid_abs_path"},
        {"type": "invalid_frame", "reason": "frame: found int, expected an object"},
        {"abs_path": "/lost.js", "type": "missing_sourcemap"},
        {"abs_path": f"{HOST}/bad.js", "type": "malformed_sourcemap", "url": f"{HOST}/bad.js.map"},
        {"abs_path": f"{HOST}/broken.js", "type": "missing_source"},
        {**of_crane, "type": "invalid_location", "line": None, "col": None},
        {**of_crane, "type": "invalid_location", "line": 0, "col": None},
        {**of_crane, "type": "invalid_location", "line": 0, "col": 3},
        {**of_crane, "type": "invalid_location", "line": 9, "col": 0},
        {**of_crane, "type": "invalid_location", "line": 9, "col": 9},
        {
            **of_crane,
            "type": "invalid_frame",
            "reason": "lineno: found str, expected a whole number from 0 to 4,294,967,295",
        },
        {"abs_path": f"{HOST}/lost.js", "type": "scraping_disabled"},
        {"abs_path": f"{HOST}/nowhere.js", "type": "scraping_disabled"},
        {"abs_path": "native", "type": "missing_source"},
    ]
    shown = frames_of(answer)
    assert [each["data"]["symbolicated"] for each in shown[:12]] == [False] * 12
    assert [each.get("context_line") for each in shown[:6]] == [
        minified.text,
        minified.text,
        None,
        "x",
        None,
        minified.text,
    ]
    assert shown[1]["data"]["resolved_with"] == "unknown"
    assert "sourcemap" not in shown[1]["data"]
    assert shown[12:] == frames[12:]


@pytest.mark.parametrize("make", ["pack", "zip"], indirect=True)
def test_without_symbolic_the_error_says_what_to_do(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))], lookup_cache=LookupCache(1 << 20))
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    (error,) = resolved(packs, frame(call))["errors"]
    assert (error["abs_path"], error["type"]) == (f"{HOST}/crane.js", "lookup_unavailable")
    assert "srcpack convert --lookups" in error["reason"]


@pytest.mark.parametrize("make", ["lookups"], indirect=True)
def test_tables_need_no_symbolic(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    minified, _, call = crane()
    packs = PackSet([make(harbour(minified))], lookup_cache=LookupCache(1 << 20))
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    answer = resolved(packs, frame(call))
    assert (names(answer), answer["errors"]) == (["Crane.hoist"], [])


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
    packs = PackSet(
        [
            make({"~/port/Quay.jvm": ("source", "package port\n")}),
            make({"~/port/Quay.jvm": ("source", source)}),
        ]
    )
    frames = [
        {"module": "port.Quay$Inner", "filename": "Quay.kt", "lineno": 4, "function": "moor"},
        {"module": "java.lang.Thread", "filename": "Thread.java", "lineno": 840},
        {"module": "port.Quay", "filename": "Quay.kt", "lineno": -2},
        {"module": 5, "filename": "Quay.kt", "lineno": 4},
    ]
    event = {"platform": "java", "exception": {"values": [{"stacktrace": {"frames": frames}}]}}
    answer = resolve_event(event, packs)
    (value,) = answer["exception"]["values"]
    assert value["stacktrace"]["frames"] == [
        {
            **frames[0],
            "pre_context": ["package port", "", "class Quay {"],
            "context_line": "    fun moor() = TODO()",
            "post_context": ["}"],
        },
        *frames[1:],
    ]
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
    found, linked, *rest = answer["stacktrace"]["frames"]
    lines = {"pre_context": ["int a;"], "context_line": "int b;", "post_context": []}
    assert found == {**frames[0], **lines}
    assert linked == {**frames[1], "source_link": "https://code.example/z.c"}
    assert rest == frames[2:]
    assert answer["errors"] == [
        {"type": "invalid_abs_path"},
        {"abs_path": "/src/a.c", "type": "invalid_location", "line": None, "col": None},
        {"abs_path": "/src/a.c", "type": "missing_source"},
        {"abs_path": "/src/b.c", "type": "missing_source"},
    ]


def test_a_frame_has_its_own_platform(make: Make) -> None:
    minified, _, call = crane()
    event = {
        "platform": "javascript",
        "stacktrace": {
            "frames": [
                frame(call, platform="node"),
                frame(call, platform="java"),
                frame(call, platform="ruby"),
                frame(call, platform=3),
            ]
        },
    }
    answer = resolve_event(event, PackSet([make(harbour(minified))]))
    shown = answer["stacktrace"]["frames"]
    assert shown[0]["function"] == "Crane.hoist"
    assert shown[1:] == event["stacktrace"]["frames"][1:]  # type: ignore[index]
    assert [error["reason"] for error in answer["errors"]] == [
        "module: found NoneType, expected a text",
        "platform: found int, expected a text",
    ]


def test_all_frames_of_a_request_for_javascript_are_of_javascript(make: Make) -> None:
    """symbolicator does not ask a frame for its platform; it hands it on."""
    minified, _, call = crane()
    frames = [frame(call, platform=platform) for platform in ("native", "java", "ruby", "")]
    request = {"platform": "node", "stacktraces": [{"frames": frames}]}
    answer = resolve_event(request, PackSet([make(harbour(minified))]))
    assert names(answer) == ["Crane.hoist"] * 4
    assert [each["platform"] for each in frames_of(answer)] == ["native", "java", "ruby", ""]
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
    found = packs.resolve(f"{HOST}/crane.js")
    assert found is not None
    source_map = packs.source_map_for(found)
    assert source_map is not None
    position = packs.original_position(found, source_map, *call)
    assert position == OriginalPosition("src/crane.ts", 5, 12, "lift", "Crane.hoist")
    assert packs.original_position(found, source_map, 1, 0) == packs.original_position(
        found, source_map, 1, 1
    )
    for place in ((0, 1), (2, 1), (1, 1 << 32), (1 << 32, 1), (-1, 1), (1, -1)):
        assert packs.original_position(found, source_map, *place) is None


def test_a_column_may_be_as_large_as_it_likes_and_not_negative(make: Make) -> None:
    minified = Minified({"a.js": "x"})
    minified.add("x", (1, 1))
    entry = make(harbour(minified)).by_url("~/crane.js")
    assert entry is not None
    position = entry.original(1, 1)
    assert position is not None
    for column in (0, 2, (1 << 30) + 1, 1 << 32, 1 << 70):
        assert entry.original(1, column) == position
    assert entry.original(1, -1) is None


# ---- any event, many threads, much of it


@dataclass
class Counter:
    """Counts what a pack is asked, and what is read."""

    lookups: int = 0
    reads: int = 0


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    by_url, read = Pack.by_url, PackSet.read

    def counting_by_url(self: Pack, url: str) -> Any:
        counter.lookups += 1
        return by_url(self, url)

    def counting_read(self: PackSet, found: srcpack.Resolved) -> bytes:
        counter.reads += 1
        return read(self, found)

    monkeypatch.setattr(Pack, "by_url", counting_by_url)
    monkeypatch.setattr(PackSet, "read", counting_read)
    return counter


@pytest.mark.parametrize("make", ["pack"], indirect=True)
def test_files_are_found_and_read_once_an_event(make: Make, counter: Counter) -> None:
    minified = Minified({"a.ts": None})
    place = minified.add("x", (1, 1))
    pack = make({**harbour(minified), "~/a.ts": ("source", "text")})
    packs = PackSet([pack], lookup_cache=LookupCache(1 << 20))
    resolved(packs, *[frame(place)] * 50)
    assert counter.reads == 3  # script, map, original
    counter.reads = counter.lookups = 0
    resolved(packs, *[frame(place)] * 50)
    assert counter.reads == 2  # the lookup is at hand
    assert counter.lookups == 6  # each by the URL, and by `~`


@pytest.mark.parametrize("make", ["lookups"], indirect=True)
def test_a_source_is_taken_out_of_its_map_once_an_event(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    minified, _, call = crane()
    pack = make(harbour(minified))
    asked: list[Token] = []
    content = TableLookup.content

    def counting(self: TableLookup, token: Token) -> str | None:
        asked.append(token)
        return content(self, token)

    monkeypatch.setattr(TableLookup, "content", counting)
    frames = frames_of(resolved(pack, *[frame(call)] * 50))
    assert {each["context_line"] for each in frames} == {"    return lift(load);"}
    assert len(asked) == 1


@pytest.mark.parametrize("make", ["lookups"], indirect=True)
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


def test_work_grows_with_the_frames(counter: Counter) -> None:
    pack = srcpack.open(build_bundle({}, {"files": {}}))
    asked = []
    for number in (200, 400):
        counter.lookups = 0
        resolved(pack, *(frame((1, 1), f"{HOST}/{each}.js") for each in range(number)))
        asked.append(counter.lookups)
    assert asked == [400, 800]


HARBOUR = PackSet([srcpack.open(build_bundle(*_members(harbour(crane()[0]))))])


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
    frames = [
        {"abs_path": "x", "lineno": 1, "data": deep, "vars": deep},
        frame((1, 10**5000)),
        frame((1, 1)),
    ] * 1_000
    answer = resolve_event({"stacktrace": {"frames": frames}, "extra": deep}, HARBOUR)
    assert len(answer["stacktrace"]["frames"]) == 3_000
    assert [error["type"] for error in answer["errors"]] == [
        "invalid_location",
        "invalid_frame",
        "invalid_frame",
    ]


def test_threads_share_packs_and_lookups(make: Make) -> None:
    minified, method, call = crane()
    packs = PackSet([make(harbour(minified))], lookup_cache=LookupCache(1 << 20))
    event = sdk_event(call)
    event["exception"]["values"][0]["stacktrace"]["frames"].append(frame(method))
    expected = resolve_event(event, PackSet([make(harbour(minified))]))
    expected_text = json.dumps(expected).replace(expected_uri(expected), "x")
    got: list[str] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(20):
            answer = resolve_event(event, packs)
            got.append(json.dumps(answer).replace(expected_uri(answer), "x"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 160
    assert set(got) == {expected_text}


def expected_uri(answer: dict[str, Any]) -> str:
    """Return what the pack is known by, as its JSON has it."""
    frames = answer["exception"]["values"][0]["stacktrace"]["frames"]
    return json.dumps(frames[0]["data"]["sourcemap_origin"]["bundled"][0])
