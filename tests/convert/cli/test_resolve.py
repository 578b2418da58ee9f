"""The command `resolve`: events and stack traces, single positions, and why a frame is not resolved."""

import base64
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as hypothesis_given
from hypothesis.strategies import sampled_from

import srcpack
from srcpack_convert import convert
from srcpack_convert.cli import main as cli
from support.any_events import ANY_EVENT
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID, Run
from support.places import BUNDLES
from support.source_maps import packed_map, source_map

pytest.importorskip("symbolic", reason="PyPI symbolic resolves what no table answers")

APP = BUNDLES / "app.zip"
SCRIPT = "https://shop.example/static/app.min.js"
V8 = f"""TypeError: no price
    at total ({SCRIPT}:1:60)
    at pay (https://shop.example/absent.js:3:15)
"""


def frame(column: int, script: str = SCRIPT) -> dict[str, Any]:
    return {"abs_path": script, "lineno": 1, "colno": column}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_stack_trace_is_printed_with_the_places_and_the_lines_around_them(run: Run, tmp_path: Path) -> None:
    result = run("resolve", APP, write(tmp_path / "trace.txt", V8))
    assert result.code == 3
    assert result.out.splitlines() == [
        "TypeError: no price",
        "    at new EmptyCartError (../src/cart.js:5:11)",
        "      3 | export class EmptyCartError extends Error {",
        "      4 |   constructor() {",
        '    > 5 |     super("the cart is empty");',
        '      6 |     this.name = "EmptyCartError";',
        "      7 |   }",
        "    at pay (https://shop.example/absent.js:3:15)",
        "",
    ]
    assert result.err == "warning: https://shop.example/absent.js: scraping_disabled\n"
    trace = tmp_path / "trace.txt"  # and fewer lines, or none
    assert run("resolve", APP, trace, "--lines", 0).out.count("|") == 0
    assert run("resolve", APP, trace, "--lines", 1).out.count("|") == 3


def test_an_error_without_a_path_is_told_without_one(run: Run, tmp_path: Path) -> None:
    event = {"stacktrace": {"frames": [frame(60), None]}, "errors": [{"type": "clock_drift"}]}
    assert run("resolve", APP, write(tmp_path / "event.json", json.dumps(event))).err.splitlines() == [
        "warning: clock_drift",
        "warning: invalid_frame: reason 'frame: found NoneType, expected an object'",
    ]


def test_an_event_is_answered_as_json_or_for_people(run: Run, tmp_path: Path) -> None:
    value = {"type": "TypeError", "value": "no price", "stacktrace": {"frames": [frame(10), frame(60)]}}
    event = write(tmp_path / "event.json", json.dumps({"exception": {"values": [value]}, "release": "1"}))
    result = run("resolve", APP, event, "--json")
    assert result.code == 0
    answer = json.loads(result.out)
    assert answer["release"] == "1"
    frames = answer["exception"]["values"][0]["stacktrace"]["frames"]
    assert [each["lineno"] for each in frames] == [3, 5]
    assert frames[1]["data"]["symbolicated"] is True
    lines = run("resolve", APP, event).out.splitlines()
    assert lines[0] == "TypeError: no price"
    assert lines[1] == "    at new EmptyCartError (../src/cart.js:5:11)"
    assert any(line.startswith("    at <anonymous> (../src/cart.js:3:8)") for line in lines)
    threads = {"values": [{"name": "main", "stacktrace": {"frames": [frame(60)]}}]}
    event = write(tmp_path / "threads.json", json.dumps({"threads": threads}))
    assert run("resolve", APP, event).out.splitlines()[:2] == ["thread main", lines[1]]


def test_one_position_takes_no_event(run: Run) -> None:
    result = run("resolve", APP, "--at", f"{SCRIPT}:1:60", "--json")
    (trace,) = json.loads(result.out)["stacktraces"]
    assert (trace["frames"][0]["filename"], trace["frames"][0]["lineno"]) == ("../src/cart.js", 5)
    for wrong in ("a.js", "a.js:1", "a.js:x:1", ":1:1"):
        assert run("resolve", APP, "--at", wrong).code == 2
    assert run("resolve", APP, "absent.txt", "--at", f"{SCRIPT}:1:60").code in (1, 2)


def test_packs_are_found_in_folders_and_a_trace_comes_by_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "packs" / "below").mkdir(parents=True)
    convert(APP, tmp_path / "packs" / "below" / "app.srcpack")
    for given in (["-"], []):
        with write(tmp_path / "trace.txt", V8).open() as trace:
            monkeypatch.setattr("sys.stdin", trace)
            assert "../src/cart.js:5:11" in run("resolve", tmp_path / "packs", *given).out
    (tmp_path / "empty").mkdir()
    result = run("resolve", tmp_path / "empty", tmp_path / "trace.txt")
    assert (result.code, result.err) == (
        1,
        f"error: {tmp_path / 'empty'}: no pack and no SourceBundle in it\n",
    )
    assert run("resolve", tmp_path / "trace.txt").code == 2
    assert run("resolve", APP, tmp_path / "trace.txt", tmp_path / "trace.txt").code == 2


def test_a_pack_that_cannot_be_read_is_told_and_the_others_are_searched(run: Run, tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    packs.mkdir()
    convert(APP, packs / "app.srcpack")
    (packs / "bad.srcpack").write_bytes(b"bad")
    trace = write(tmp_path / "trace.txt", V8.partition("    at pay")[0])
    whole = run("resolve", packs / "app.srcpack", trace)
    result = run("resolve", packs, trace)
    assert (whole.code, result.code, result.out) == (0, 3, whole.out)
    assert f"error: {packs / 'bad.srcpack'}: " in result.err
    for bad in ("bad.srcpack", "none.srcpack"):  # which is no event, whatever it holds
        result = run("resolve", packs / "app.srcpack", packs / bad, trace)
        assert (result.code, result.out) == (3, whole.out)
        assert f"error: {packs / bad}: " in result.err
    (packs / "app.srcpack").unlink()
    assert run("resolve", packs, trace)[:2] == (1, "")


def test_more_packs_are_opened_than_files_may_be_open_at_first(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert run("resolve", APP, write(tmp_path / "trace.txt", V8)).code == 3
    assert asked == [(10_240, resource.RLIM_INFINITY)]


def test_a_trace_is_read_from_what_a_shell_puts_in_the_place_of_a_file(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trace")
    writer = threading.Thread(target=(tmp_path / "trace").write_text, args=(V8,))
    writer.start()
    assert "../src/cart.js:5:11" in run("resolve", APP, tmp_path / "trace").out
    writer.join()


def test_a_file_of_a_device_is_found_as_events_have_it(run: Run, tmp_path: Path) -> None:
    hermes = source_map(
        [(0, 10, 0, 2, 4)], ["hoist.js"], x_facebook_sources=[[{"names": ["hoist"], "mappings": "AAA"}]]
    )
    files = {
        "main": {"type": "minified_source", "url": "~/main.jsbundle", "headers": {"sourcemap": "main.map"}},
        "map": {"type": "source_map", "url": "~/main.map"},
    }
    app = tmp_path / "app.zip"
    app.write_bytes(build_bundle({"main": b"", "map": packed_map(hermes)}, {"files": files}))
    trace = """\
Error: heavy
    at h (address at /data/harbour/main.jsbundle:1:10)
    at h (address at main.jsbundle:1:10)
h@file:///var/containers/Harbour.app/main.jsbundle:1:11
    at h (address at other.jsbundle:1:10)
h@1:10
"""
    result = run("resolve", app, write(tmp_path / "trace.txt", trace))
    assert result.out.splitlines() == [
        "Error: heavy",
        "    at hoist (hoist.js:3:5)",
        "    at hoist (hoist.js:3:5)",
        "hoist@hoist.js:3:5",
        "    at h (address at other.jsbundle:1:10)",
        "h@1:10",
        "",
    ]
    hint = "warning: 1 of the trace's places name no file: --script says which it is"
    assert result.err.splitlines()[0] == hint
    result = run("resolve", app, tmp_path / "trace.txt", "--script", "main.jsbundle")
    assert (result.out.splitlines()[5], hint in result.err) == ("hoist@hoist.js:3:5", False)


def explained(run: Run, tmp_path: Path, files: dict[str, Any], at: str, **contents: bytes) -> list[str]:
    bundle = tmp_path / "explained.zip"
    members = {name: contents.get(name.partition(".")[0], b"1\n") for name in files}
    bundle.write_bytes(build_bundle(members, {"files": files}))
    out = run("resolve", bundle, "--at", at, "--explain").out
    steps = [line[2:] for line in out.splitlines() if line[:2] == "  " != line[2:4]]
    return [step.replace(str(bundle), "BUNDLE") for step in steps]


MINIFIED = {"type": "minified_source", "url": "~/js/a.js"}


QUERY = "(another query): upload without the query, which lookups leave out of the frame's URL too"
PREFIX = "(another prefix): upload with the prefix that the frame has, or rewrite the frame's path"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.js": {**MINIFIED, "url": "~/static/a.js"}}, f"script: BUNDLE has '~/static/a.js' {PREFIX}"),
        (
            {"a.js": {**MINIFIED, "url": "~/js/a.js?v=1"}},
            f"script: BUNDLE has '~/js/a.js?v=1' {QUERY}",
        ),
        (
            {"a.js": {**MINIFIED, "url": "~/js/b.js"}},
            "script: no bundle has a file of that name: was it uploaded, and for this release?",
        ),
        (
            {"a.js": MINIFIED},
            "the script refers to no source map, and the event gives no debug id for it",
        ),
        (
            {
                "a.js": {**MINIFIED, "headers": {"sourcemap": "a.js.map"}},
                "m": {"type": "source_map", "url": "~/maps/a.js.map"},
            },
            f"source map: BUNDLE has '~/maps/a.js.map' {PREFIX}",
        ),
    ],
)
def test_what_was_asked_and_what_would_mend_it_is_explained(
    run: Run, tmp_path: Path, files: dict[str, Any], says: str
) -> None:
    lines = explained(run, tmp_path, files, "https://h.example/js/a.js:1:1")
    assert lines[0].startswith("script: looked for 'https://h.example/js/")
    assert lines[-1] == says


def test_a_found_frame_is_explained_too(run: Run) -> None:
    lines = run("resolve", APP, "--at", f"{SCRIPT}:1:60", "--explain").out.splitlines()
    assert (
        lines[-1] == "  token at line 1, column 60: '../src/cart.js' line 5, column 11, in new EmptyCartError"
    )
    lines = run("resolve", APP, "--at", f"{SCRIPT}:9:60", "--explain").out.splitlines()
    assert "the map has none at line 9, column 60" in lines[-1]


def test_a_script_by_debug_id_alone_is_explained(run: Run, tmp_path: Path) -> None:
    with_id = {**MINIFIED, "headers": {"debug-id": DEBUG_ID}}
    lines = explained(run, tmp_path, {"a.js": with_id}, "https://h.example/js/a.js:1:1")
    assert lines[-1] == f"its header has debug id {DEBUG_ID}: the event's debug_meta lacks an image of it"
    bundle = tmp_path / "explained.zip"
    at = ["--at", "https://h.example/js/a.js:1:1", "--debug-id", DEBUG_ID, "--explain"]
    out = run("resolve", bundle, *at).out
    assert f"source map: looked for debug id {DEBUG_ID} as source_map in 1 bundle\n" in out
    assert out.rstrip().endswith("source map: not found")


def test_what_cannot_be_read_is_explained(run: Run, tmp_path: Path) -> None:
    script = {**MINIFIED, "headers": {"sourcemap": "a.js.map"}}
    files = {"a.js": script, "a.js.map": {"type": "source_map", "url": "~/js/a.js.map"}}
    pack = tmp_path / "a.srcpack"
    convert(build_bundle({"a.js": b"f()\n", "a.js.map": MAP}, {"files": files}), pack, dictionary="off")
    data = bytearray(pack.read_bytes())
    with srcpack.open(pack) as whole:
        data[whole["a.js.map"].record.frames[0].offset + 8] ^= 1
    pack.write_bytes(data)
    out = run("resolve", pack, "--at", "https://h.example/js/a.js:1:1", "--explain").out
    assert "it cannot be read: " in out


MAP = packed_map(source_map([(0, 0, 0, 0, 0)], ["a.ts"]))
INLINE = "data:application/json;base64," + base64.b64encode(MAP).decode()


@pytest.mark.parametrize(
    ("reference", "members", "says"),
    [
        (INLINE, {}, ["a source map of 121 characters in itself", "'a.ts' line 1, column 1, in"]),
        ("data:application/json;base64,%", {}, ["a source map of 30 characters in itself", "source map:"]),
        (
            "a.js.map",
            {"a.js.map": b"{}"},
            ["reference of the script: 'a.js.map', joined to 'https://h.example/js/a.js.map'", "source map:"],
        ),
        ("a.js.map", {"a.js.map": b"[]"}, ["'a.js.map': malformed source map: bad json"]),
        ("a.js.map", {}, ["source map: no bundle has a file of that name"]),
    ],
)
def test_the_search_for_a_source_map_is_explained(
    run: Run, tmp_path: Path, reference: str, members: dict[str, bytes], says: list[str]
) -> None:
    files: dict[str, Any] = {"a.js": {**MINIFIED, "headers": {"sourcemap": reference}}}
    files |= {name: {"type": "source_map", "url": f"~/js/{name}"} for name in members}
    bundle = tmp_path / "app.zip"
    bundle.write_bytes(build_bundle({"a.js": b"f()\n", **members}, {"files": files}))
    out = run("resolve", bundle, "--at", "https://h.example/js/a.js:1:1", "--explain").out
    for each in says:
        assert each in out


@hypothesis_given(
    event=ANY_EVENT, more=sampled_from([["--explain"], ["--debug-id", DEBUG_ID], ["--lines", "0"]])
)
@example(event={"debug_meta": {"images": [{"type": "sourcemap", "code_file": ["x"]}]}}, more=["--explain"])
@example(event={"stacktraces": [{"frames": 5}]}, more=["--debug-id", DEBUG_ID])
@example(
    event={
        "platform": "native",
        "stacktrace": {"frames": [{"lineno": 1, "context_line": "", "pre_context": 5}]},
    },
    more=["--lines", "0"],
)
def test_any_json_is_an_event_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, event: Any, more: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(event))
    assert cli.run(["resolve", str(APP), str(path), *more]) in (0, 1, 3)


def test_explained_is_the_debug_id_that_the_resolver_takes(run: Run, tmp_path: Path) -> None:
    other = {"type": "elf", "code_file": SCRIPT, "debug_id": DEBUG_ID}
    event = {"stacktraces": [{"frames": [frame(60)]}], "debug_meta": {"images": [other]}}
    result = run("resolve", APP, write(tmp_path / "event.json", json.dumps(event)), "--explain")
    assert DEBUG_ID not in result.out


def test_a_debug_id_is_given_to_all_frames_whatever_the_event_is_like(run: Run, tmp_path: Path) -> None:
    files = {
        "a.js": {**MINIFIED, "headers": {"debug-id": DEBUG_ID}},
        "a.js.map": {"type": "source_map", "headers": {"debug-id": DEBUG_ID}},
    }
    bundle = tmp_path / "app.zip"
    bundle.write_bytes(build_bundle({"a.js": b"f()\n", "a.js.map": MAP}, {"files": files}))
    event = {"stacktraces": [{"frames": [frame(1, "async https://h.example/other.js")]}]}
    given = write(tmp_path / "event.json", json.dumps(event))
    assert run("resolve", bundle, given).code == 1
    result = run("resolve", bundle, given, "--debug-id", DEBUG_ID)
    assert (result.code, "(a.ts:1:1)" in result.out) == (0, True)
    # SDKs send the URL as filename alone, and under "modules" the versions of packages.
    sent = {"filename": "https://h.example/other.js", "lineno": 1, "colno": 1}
    of_sdk = {"stacktrace": {"frames": [sent]}, "modules": {"left-pad": "1.3.0"}}
    result = run("resolve", bundle, write(given, json.dumps(of_sdk)), "--debug-id", DEBUG_ID, "--json")
    answer = json.loads(result.out)
    assert answer["stacktrace"]["frames"][0]["filename"] == "a.ts"
    assert answer["modules"] == of_sdk["modules"]
