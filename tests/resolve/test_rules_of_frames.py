"""What a resolved frame is called and shows: an event for each rule, whatever it is read from.

Rule source: symbolicator 87e6456 `symbolicator-js/src/symbolication.rs`, `utils.rs`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from srcpack import Pack
from support.ruled_events import (
    JS,
    MAP,
    H,
    Ruled,
    at,
    differences,
    file,
    js,
    mapped,
    missing,
    one,
)

Make: TypeAlias = Callable[..., Pack]

RULED = [
    # ---- functions
    Ruled("at the top a raw name stays, folded", [at(function="a.b.b.c")], [{"function": "a.{b#2}.c"}]),
    Ruled(
        "at the top a raw name that says nothing gives way to the caller's",
        [at(), at(function="__webpack_require__"), at(function="<anonymous>"), at(function="")],
        [{"function": "<unknown>"}, {"function": "boot"}, {"function": "boot"}, {"function": ""}],
        (js(), mapped(one(segments=[(0, 0, 0, 0, 0, 0)], names=["boot"]))),
    ),
    Ruled(
        "without a caller it stays",
        [at(function="__webpack_modules__")],
        [{"function": "__webpack_modules__"}],
    ),
    Ruled(
        "<unknown> is a name",
        [at(), at(function="<unknown>")],
        [{"function": "<unknown>"}] * 2,
        (js(), mapped(one(segments=[(0, 0, 0, 0, 0, 0)], names=["boot"]))),
    ),
    Ruled(
        "a caller's name that is empty is none",
        [at(), at(column=2, function="f")],
        [{"function": "<unknown>"}, {"function": "f"}],
        (js("x(()=>{y()})"), mapped(one(segments=[(0, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0)], names=[""]))),
    ),
    Ruled(
        "an anonymous function with an empty raw name has that",
        [at(column=7, function="")],
        [{"function": ""}],
        (js("x(()=>{y()})"), mapped(one(segments=[(0, 6, 0, 0, 0)]))),
    ),
    Ruled(
        "what is handed on is the name of the token, not the function",
        [at(column=14), at(column=14, function="r")],
        [{"function": "outer"}, {"function": "outer"}],
        (
            js("function f(){ x()}"),
            mapped(one(segments=[(0, 9, 0, 0, 0, 0), (0, 13, 0, 0, 0, 1)], names=["outer", "call"])),
        ),
    ),
    Ruled(
        "the scope is the one where the token begins",
        [at(column=30)],
        [{"function": "outer"}],
        (
            js("function f(){ x(function g(){ y()})}"),
            mapped(one(segments=[(0, 9, 0, 0, 0, 0), (0, 13, 0, 0, 0)], names=["outer"])),
        ),
    ),
    Ruled(
        "a trace that begins hands nothing over",
        (),
        [{"function": "<unknown>"}, {"function": "f"}],
        (js("x(()=>{y()})"), mapped(one(segments=[(0, 0, 0, 0, 0, 0), (0, 6, 0, 0, 0)], names=["boot"]))),
        stacktraces=[[at()], [at(column=8, function="f")]],
    ),
    Ruled(
        "a script that does not parse has no functions",
        [at(function="r")],
        [{"function": "r"}],
        (js("function ("), mapped()),
    ),
    # ---- files
    Ruled(
        "names of a script on a disk are joined as paths, and give no module",
        [at("/srv/dist/a.js")],
        [{"abs_path": "/srv/src/a.ts", "module": None}],
        (js(url="/srv/dist/a.js"), mapped(one("../src/a.ts"), url="/srv/dist/a.js.map")),
    ),
    # ---- lines
    Ruled(
        "content that is missing is told by its joined URL",
        [at()],
        [{"data.symbolicated": True, "context_line": None}],
        (js(), mapped(one("q.ts?x=1#f", None))),
        [missing("source_content", source=f"{H}/q.ts?x=1#f", sourcemap=MAP)],
    ),
    Ruled(
        "it is looked for without query",
        [at()],
        [{"context_line": "here"}],
        (js(), mapped(one("q.ts?x=1#f", None)), file("~/q.ts", "source", "here")),
    ),
    Ruled(
        "a list of contents may be short",
        [at()],
        [{"context_line": None}],
        (js(), mapped(one(sourcesContent=[]))),
        [missing("source_content", source=f"{H}/src/a.ts", sourcemap=MAP)],
    ),
    Ruled(
        "an empty name leads to the folder",
        [at()],
        [{"filename": None, "abs_path": JS}],
        (js(), mapped(one(None, None))),
        [missing("source_content", source=H, sourcemap=MAP)],
    ),
    Ruled(
        "an original that is no text is missing",
        [at()],
        [{"context_line": None}],
        (js(), mapped(one(text=None)), file("~/src/a.ts", "source", b"\xff")),
        [missing("source_content", source=f"{H}/src/a.ts", sourcemap=MAP)],
    ),
    Ruled(
        "without context no original is looked for",
        [at()],
        [{"context_line": None, "filename": "src/a.ts"}],
        (js(), mapped(one(text=None))),
        raw=[{"context_line": None}],
        apply_source_context=False,
    ),
    Ruled(
        "context that came stays where there is none",
        [at(pre_context=["p"], context_line="c")],
        [{"pre_context": ["p"], "context_line": "c"}],
        (js(), mapped(one(segments=[(0, 0, 0, 9, 0)]))),
        raw=[{"pre_context": None, "context_line": "x()"}],
    ),
    Ruled(
        "CRLF ends a line, CR does not",
        [at(line=2)],
        [{"pre_context": ["a\rb"], "context_line": "c", "post_context": ["d\r"]}],
        (file("~/a.js", "source", "a\rb\r\nc\nd\r"),),
    ),
    Ruled(
        "a column is a byte from 0 to the trimming of lines",
        [at(column=100)],
        [{"context_line": "{snip} " + "é" * 70}],
        (file("~/a.js", "source", "é" * 90),),
    ),
]


@pytest.mark.parametrize("case", RULED, ids=lambda case: case.rule)
def test_a_frame_is_shown_by_its_rule(case: Ruled, make: Make) -> None:
    assert differences(case, make) == []


@pytest.mark.parametrize(
    ("name", "given", "more", "names"),
    [
        ("webpack:///./e.ts", {"module": "mine"}, {}, ("./e.ts", "webpack:///./e.ts", "e")),
        ("webpack:///~/lib/f.js", {}, {}, ("~/lib/f.js", "webpack:///~/lib/f.js", "lib/f")),
        ("webpack://ns/./g.ts", {}, {}, ("./g.ts", "webpack://ns/./g.ts", "g")),
        ("webpack://ns/g.ts", {}, {}, ("webpack://ns/g.ts", "webpack://ns/g.ts", "g")),
        ("webpack:h.js", {}, {}, ("webpack:h.js", "webpack:h.js", "webpack:h")),
        ("turbopack:///[project]/i.ts", {"module": "mine"}, {}, ("i.ts", "turbopack:///[project]/i.ts", "i")),
        ("turbopack:///j.ts", {}, {}, ("j.ts", "turbopack:///j.ts", "j")),
        ("app:///m.min.js", {}, {}, ("app:///m.min.js", "app:///m.min.js", "m")),
        ("app:///m.js", {"module": ""}, {}, ("app:///m.js", "app:///m.js", "")),
        (
            "capacitor://localhost/m.js",
            {},
            {},
            ("capacitor://localhost/m.js", "capacitor://localhost/m.js", None),
        ),
        ("file:///m.js", {}, {}, ("file:///m.js", "file:///m.js", None)),
        ("/abs.js", {}, {"sourceRoot": "root"}, ("/abs.js", f"{H}/abs.js", "abs")),
        ("//cdn.example/s.js", {}, {}, ("//cdn.example/s.js", "https://cdn.example/s.js", "s")),
        ("~/o.js", {}, {}, ("~/o.js", f"{H}/o.js", "o")),
        ("../../up.js", {}, {}, ("../../up.js", f"{H}/up.js", "up")),
        ("a.js", {}, {"sourceRoot": "webpack:///"}, ("a.js", "webpack:///a.js", "a")),
        ("webpack:///a.js", {}, {"sourceRoot": "r"}, ("r/webpack:///a.js", "r/webpack:///a.js", None)),
        (
            "https://o.example/a.js",
            {},
            {"sourceRoot": "r"},
            ("https://o.example/a.js", "https://o.example/a.js", "a"),
        ),
        ("a.js", {}, {"sourceRoot": ""}, ("a.js", f"{H}/a.js", "a")),
        ("a.js", {}, {"sourceRoot": "/"}, ("/a.js", f"{H}/a.js", "a")),
        (None, {"module": "m", "filename": "f"}, {}, ("f", JS, "m")),
        ("", {}, {"sourceRoot": "r/"}, ("r/", f"{H}/r", "r")),
        (
            "static/js/v1.2/_x/deadbeef/u-1234567.js",
            {},
            {},
            ("static/js/v1.2/_x/deadbeef/u-1234567.js", f"{H}/static/js/v1.2/_x/deadbeef/u-1234567.js", "u"),
        ),
        ("x/" + "z" * 32 + "/t.js", {}, {}, ("x/" + "z" * 32 + "/t.js", f"{H}/x/" + "z" * 32 + "/t.js", "t")),
        ("0", {}, {}, ("0", f"{H}/0", "0")),
    ],
)
def test_a_file_has_the_names_that_its_source_leads_to(
    name: str | None,
    given: dict[str, Any],
    more: dict[str, Any],
    names: tuple[str, str, str | None],
    make: Make,
) -> None:
    shown = dict(zip(("filename", "abs_path", "module"), names, strict=True)) | {"context_line": "one"}
    case = Ruled("names of files", [at(**given)], [shown], (js(), mapped(one(name, "one", **more))))
    assert differences(case, make) == []
