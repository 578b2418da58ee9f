"""What a source map gives, and which are malformed: an event for each rule, whatever it is read from.

Rule source: symbolicator 87e6456 `symbolicator-js/src/symbolication.rs`, `lookup.rs`.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import quote

import pytest

from srcpack import Pack
from support.ruled_events import (
    ID,
    JS,
    MAP,
    RESOLVED,
    UNRESOLVED,
    H,
    Ruled,
    at,
    differences,
    image,
    invalid_location,
    js,
    malformed,
    mapped,
    one,
    origin,
)
from support.source_maps import indexed_map, packed_map

Make: TypeAlias = Callable[..., Pack]

CONTENT = packed_map(one())
BASE64 = b64encode(CONTENT).decode()

RULED = [
    # ---- the map
    Ruled(
        "a malformed map leaves where it is from, and no label",
        [at(data={"sourcemap": "old"})],
        [
            {
                "data": {
                    "sourcemap": "old",
                    "sourcemap_origin": origin(abs_path=MAP),
                    "resolved_with": "release",
                    "symbolicated": False,
                },
                "context_line": "x()",
            }
        ],
        (js(), mapped(packed_map(one()) + b"x")),
        [malformed()],
        raw=[{"data.resolved_with": "release", "data.sourcemap_origin": origin(abs_path=MAP)}],
    ),
    Ruled(
        "a data: map that does not parse has the script for a label",
        [at()],
        [{"data": {"sourcemap_origin": "embedded", "resolved_with": "release", "symbolicated": False}}],
        (js(sourcemap="data:,nope"),),
        [malformed(JS)],
    ),
    Ruled(
        "a byte order mark is malformed",
        [at()],
        [UNRESOLVED],
        (js(), mapped(b"\xef\xbb\xbf" + packed_map(one()))),
        [malformed()],
    ),
    Ruled(
        "a data: map of a script by debug id was found by debug id",
        [at()],
        [RESOLVED | {"data.resolved_with": "debug-id"}],
        (js(url="~/i.js", debug_id=ID, sourcemap="data:," + quote(packed_map(one()))),),
        modules=[image()],
    ),
    Ruled(
        "a data: map with a debug id of the event is the data: map",
        [at()],
        [RESOLVED | {"data.resolved_with": "release", "data.sourcemap_origin": "embedded"}],
        (js(sourcemap="data:," + quote(packed_map(one()))), mapped(one("other.ts"), "~/i.map", debug_id=ID)),
        modules=[image()],
    ),
    Ruled(
        "a section with a url is malformed",
        [at()],
        [UNRESOLVED],
        (
            js(),
            mapped(
                packed_map({"version": 3, "sections": [{"offset": {"line": 0, "column": 0}, "url": "b.map"}]})
            ),
        ),
        [malformed()],
    ),
    Ruled(
        "sections are sorted",
        [at(), at(column=2)],
        [{"filename": "first.ts"}, {"filename": "second.ts"}],
        (js(), mapped(indexed_map((0, 1, one("second.ts")), (0, 0, one("first.ts"))))),
    ),
    Ruled(
        "a section's root is its own",
        [at()],
        [{"filename": "r/a.ts", "context_line": "one"}],
        (js(), mapped(indexed_map((0, 0, one("a.ts", sourceRoot="r/")), (9, 0, one("a.ts"))))),
    ),
    Ruled(
        "a segment of one field is no token",
        [at(), at(column=2)],
        [UNRESOLVED, RESOLVED],
        (js(), mapped(one(segments=[(0, 0), (0, 1, 0, 0, 0)]))),
        [invalid_location(1, 1)],
    ),
    Ruled(
        "before the first token of a line there is none, whatever the line before has",
        [at(line=2)],
        [{"data.symbolicated": False}],
        (js("x()\nyy"), mapped(one(segments=[(0, 0, 0, 0, 0), (1, 1, 0, 0, 0)]))),
        [invalid_location(2, 1)],
    ),
    Ruled(
        "no column and column 0 are the first, and the error says 0",
        [at(column=None), at(column=0), at(line=7, column=None)],
        [RESOLVED | {"colno": 1}] * 2 + [{"colno": None}],
        errors=[invalid_location(7, 0)],
        raw=[{"colno": None}, {"colno": 0}, {"colno": None, "context_line": None}],
    ),
    Ruled("beyond the end of the line the last token counts", [at(column=4_294_967_295)], [RESOLVED]),
    Ruled(
        "a line that the file has not and the map has",
        [at(line=3)],
        [{"data.symbolicated": True, "lineno": 2, "context_line": "two"}],
        (js(), mapped(one(segments=[(2, 0, 0, 1, 0)]))),
        raw=[{"context_line": None}],
    ),
    Ruled(
        "names may be numbers, null and empty",
        [at(column=c) for c in (1, 2, 3)],
        [{"function": "<unknown>"}] * 3,
        (
            js("abc"),
            mapped(
                one(
                    segments=[(0, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 1), (0, 2, 0, 0, 0, 2)], names=[7, None, ""]
                )
            ),
        ),
    ),
    Ruled(
        "an index out of range is malformed",
        [at()],
        [UNRESOLVED],
        (js(), mapped(one(segments=[(0, 0, 1, 0, 0)]))),
        [malformed()],
    ),
    Ruled("a map's version is read over", [at()], [RESOLVED], (js(), mapped({**one(), "version": 2}))),
    Ruled(
        "of Hermes the scopes are the map's",
        [at(function="raw")],
        [{"function": "hermes", "filename": "src/a.ts"}],
        (js(""), mapped(one(x_facebook_sources=[[{"names": ["hermes"], "mappings": "AAA"}]]))),
    ),
    Ruled(
        "a Hermes source without scopes is unknown",
        [at(function="raw"), at()],
        [{"function": "raw"}, {"function": "<unknown>"}],
        (js("function f(){x()}"), mapped(one(x_facebook_sources=[None]))),
    ),
]


@pytest.mark.parametrize("case", RULED, ids=lambda case: case.rule)
def test_a_map_is_read_by_its_rule(case: Ruled, make: Make) -> None:
    assert differences(case, make) == []


@pytest.mark.parametrize("head", [b")]}'\n", b"}\n", b"'x\n", b"]\r\n"])
def test_a_head_that_keeps_browsers_from_running_a_map_is_skipped(head: bytes, make: Make) -> None:
    case = Ruled("a head is skipped", [at()], [RESOLVED], (js(), mapped(head + CONTENT)))
    assert differences(case, make) == []


@pytest.mark.parametrize(
    "url",
    [
        f"data:application/json;charset=utf-8;base64,{BASE64}",
        f"data:text/plain;base64,{BASE64.rstrip('=')}",
        f"data:;BASE64,{BASE64}",
        f"data:application/json; base64,{BASE64}",
        f"data:application/json,{quote(CONTENT)}",
        f"data:,{CONTENT.decode()}",
        f"data:application/json;charset=us-ascii,{quote(CONTENT, safe='{}:,[]')}",
    ],
)
def test_a_map_in_the_reference_may_be_written_in_any_way_of_data_urls(url: str, make: Make) -> None:
    shown = RESOLVED | {
        "data.sourcemap": JS,
        "data.sourcemap_origin": "embedded",
        "abs_path": f"{H}/src/a.ts",
    }
    assert differences(Ruled("data:", [at()], [shown], [js(sourcemap=url)]), make) == []
