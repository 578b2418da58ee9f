"""Stack traces as engines print them: which lines are frames, and how they read when resolved."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.stack_trace import app_url, parse_stack_trace

URL = "https://harbour.example/crane.js"
PORT, AT = "https://harbour.example:8080/crane.js", "https://harbour.example/@port/crane.js"
EVAL = f"eval at lift ({URL}:1:30), <anonymous>"
LOADER, MAIN = "node:internal/modules/cjs/loader", "app:///main.jsbundle"
LOG = "07-15 10:58:25.820 18979 18998 E"

Place = tuple[str | None, str, int, int | None]
"""Function, file, line, column."""


def place_of(line: str, script: str | None = None) -> Place | None:
    (parsed,) = parse_stack_trace(line, script=script).lines
    assert parsed.text == line
    frame = parsed.frame
    return (
        None
        if frame is None
        else (frame.get("function"), frame["abs_path"], frame["lineno"], frame.get("colno"))
    )


V8: dict[str, Place | None] = {
    f"    at lift ({URL}:1:30)": ("lift", URL, 1, 30),
    f"at lift ({URL}:1:30)": ("lift", URL, 1, 30),
    f"    at {URL}:1:30": (None, URL, 1, 30),
    f"    at ({URL}:1:30)": (None, URL, 1, 30),
    f"    at async Crane.hoist ({URL}:1:30)": ("Crane.hoist", URL, 1, 30),
    f"    at async {URL}:1:30": (None, URL, 1, 30),
    f"    at new Crane ({URL}:1:30)": ("new Crane", URL, 1, 30),
    f"    at Object.h [as hoist] ({URL}:1:30)": ("Object.h [as hoist]", URL, 1, 30),
    f"    at Object.<anonymous> ({URL}?v=3:1:30)": ("Object.<anonymous>", f"{URL}?v=3", 1, 30),
    f"    at lift ({PORT}:1:30)": ("lift", PORT, 1, 30),
    "    at lift (/srv/the crane (2)/a.js:1:30)": ("lift", "/srv/the crane (2)/a.js", 1, 30),
    "    at lift (C:\\crane\\a.js:1:30)": ("lift", "C:\\crane\\a.js", 1, 30),
    f"    at Module._load ({LOADER}:1105:14)": ("Module._load", LOADER, 1105, 14),
    "    at lift (file:///srv/a.mjs:7)": ("lift", "file:///srv/a.mjs", 7, None),
    f"    at eval ({EVAL}:1:5)": ("eval", URL, 1, 30),
    f"    at eval (eval at e ({EVAL}:1:5), <anonymous>:1:1)": ("eval", URL, 1, 30),
    "    at Array.map (<anonymous>)": None,
    "    at async Promise.all (index 0)": None,
    "    at <anonymous>:1:5": None,
    "    at lift (native)": None,
    "    at crane.wasm.lift (wasm://wasm/0001:wasm-function[12]:0x1a)": None,
    f"    at lift ({URL}:1:99999999999)": None,
    f"    at lift ({URL}:1:4294967296)": None,
    "at 12:30:10": None,
}

HERMES: dict[str, Place | None] = {
    "    at hoist (address at index.android.bundle:1:4711)": ("hoist", "index.android.bundle", 1, 4712),
    "at value (address at /data/index.android.bundle:3:0)": ("value", "/data/index.android.bundle", 3, 1),
    "    at hoist (index.android.bundle:12:34)": ("hoist", "index.android.bundle", 12, 34),
    "    at apply (native)": None,
    "hoist@1:4711": ("hoist", MAIN, 1, 4712),
    "anonymous@1:0": ("anonymous", MAIN, 1, 1),
    f"{LOG} AndroidRuntime: hoist@1:4711": ("hoist", MAIN, 1, 4712),
    f"{LOG} ReactNativeJS:     at hoist (address at a.bundle:1:4)": ("hoist", "a.bundle", 1, 5),
}

AT_SIGN: dict[str, Place | None] = {
    f"lift@{URL}:1:30": ("lift", URL, 1, 30),
    f"@{URL}:1:30": (None, URL, 1, 30),
    f"Crane/hoist/<@{URL}:1:30": ("Crane/hoist/<", URL, 1, 30),
    f"async*lift@{URL}:1:30": ("lift", URL, 1, 30),
    f"promise callback*lift@{URL}:1:30": ("lift", URL, 1, 30),
    f"setTimeout handler*@{URL}:1:30": (None, URL, 1, 30),
    f"global code@{URL}:1:30": ("global code", URL, 1, 30),
    f"lift @ {URL}:1:30": ("lift", URL, 1, 30),
    f"lift@{URL} line 3 > eval:1:5": ("lift", URL, 3, None),
    f"lift@{URL} line 3 > eval line 1 > eval:1:5": ("lift", URL, 3, None),
    f"lift@{AT}:1:30": ("lift", AT, 1, 30),
    f"{AT}:1:30": (None, AT, 1, 30),
    "lift@index.ios.bundle:1:30": ("lift", "index.ios.bundle", 1, 30),
    f"{URL}:1:30": (None, URL, 1, 30),
    f"    {URL}:1:30 lift": ("lift", URL, 1, 30),
    "   crane-12345678.js:1:30 lift": ("lift", "crane-12345678.js", 1, 30),
    "crane.js:1:30": (None, "crane.js", 1, 30),
    "12:30:10": None,
    "at:12:30": None,
    "map@[native code]": None,
    "[native code]": None,
    "eval code": None,
    "harbour@mail.example": None,
    "root@harbour:22:1": None,
    "2026-01-02T12:30:45": None,
    "see https://harbour.example:1:2 now": None,
}


@pytest.mark.parametrize(("line", "place"), [*V8.items(), *AT_SIGN.items()])
def test_lines_of_engines(line: str, place: Place | None) -> None:
    assert place_of(line) == place


@pytest.mark.parametrize(("line", "place"), HERMES.items())
def test_addresses_of_hermes_count_from_zero(line: str, place: Place | None) -> None:
    assert place_of(line, MAIN) == place


def test_a_place_without_a_file_needs_one() -> None:
    assert place_of("hoist@1:4711") is None


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("index.android.bundle", "app:///index.android.bundle"),
        ("/data/harbour/index.android.bundle", "app:///index.android.bundle"),
        ("file:///var/containers/Harbour.app/main.jsbundle", "app:///main.jsbundle"),
        ("C:\\harbour\\crane.js", "app:///crane.js"),
        (URL, None),
        ("app:///crane.js", None),
        ("node:fs", None),
    ],
)
def test_files_of_disks_have_urls_of_apps_in_events(path: str, url: str | None) -> None:
    assert app_url(path) == url


TRACE = f"""\
TypeError: too heavy at lift (see manual:3)
    at async t ({URL}:1:30)\r
    at Array.map (<anonymous>)
    at n ({URL}:1:60)
    at {URL}:1:90
Caused by: Error: rust
async*t@{URL}:1:30
"""


def test_runs_of_frames_are_stack_traces() -> None:
    trace = parse_stack_trace(TRACE)
    assert trace.stacktraces() == [
        {"frames": [{"abs_path": URL, "lineno": 1, "colno": 30, "function": "t"}]},
        {
            "frames": [
                {"abs_path": URL, "lineno": 1, "colno": 60, "function": "n"},
                {"abs_path": URL, "lineno": 1, "colno": 90},
            ]
        },
        {"frames": [{"abs_path": URL, "lineno": 1, "colno": 30, "function": "t"}]},
    ]


def test_resolved_frames_read_as_the_engine_prints_them() -> None:
    def original(function: str | None, line: int, **more: Any) -> dict[str, Any]:
        return {
            "function": function,
            "filename": "src/crane.ts",
            "abs_path": f"{URL}/src/crane.ts",
            "lineno": line,
            "colno": 3,
            "data": {"symbolicated": True},
            **more,
        }

    unresolved = {"abs_path": URL, "lineno": 1, "colno": 60, "data": {"symbolicated": False}}
    first, last = original("hoist", 7), original("moor", 9, filename=None)
    answer = [{"frames": [first]}, {"frames": [unresolved, original(None, 8)]}, {"frames": [last]}]
    lines = list(parse_stack_trace(TRACE).resolved(answer))
    assert [text for text, _ in lines] == [
        "TypeError: too heavy at lift (see manual:3)",
        "    at async hoist (src/crane.ts:7:3)",
        "    at Array.map (<anonymous>)",
        f"    at n ({URL}:1:60)",
        "    at <anonymous> (src/crane.ts:8:3)",
        "Caused by: Error: rust",
        f"async*moor@{URL}/src/crane.ts:9:3",
        "",
    ]
    assert [frame for _, frame in lines] == [None, first, None, None, original(None, 8), None, last, None]


@given(st.lists(st.sampled_from([*V8, *HERMES, *AT_SIGN, "x", "", "at ", "@", ":1:2"])))
def test_what_is_not_resolved_reads_as_it_did(lines: list[str]) -> None:
    text = "\n".join(lines)
    trace = parse_stack_trace(text)
    assert "\n".join(line for line, _ in trace.resolved(trace.stacktraces())) == text


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    for prefix in ("", "    at ", "a@", "at f (", "a@b line "):
        trace = parse_stack_trace(prefix + text, script="x")
        assert len(trace.lines) == text.count("\n") + 1


@pytest.mark.parametrize(
    "unit", ["at ", "(", "@", "x: ", ":1", "*", "a:1:1 ", " line 1 > eval", "(a:1:1", "1:", "a/", ".js:"]
)
def test_long_lines_are_no_work(unit: str) -> None:
    for prefix in ("", "at ", "at eval (eval at ", "a@b", "a@b line 1"):
        parse_stack_trace(prefix + unit * 50_000)
