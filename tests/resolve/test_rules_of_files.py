"""Which script and which map a frame is resolved by: an event for each rule, whatever it is read from.

Rule source: symbolicator 87e6456 `symbolicator-js/src/lookup.rs`.
"""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from srcpack import Pack
from support.ruled_events import (
    BY_ID,
    ID,
    JS,
    MAP,
    RESOLVED,
    UNRESOLVED,
    Ruled,
    at,
    differences,
    file,
    image,
    invalid_location,
    js,
    malformed,
    mapped,
    missing,
    one,
    origin,
    scraping_disabled,
)

Make: TypeAlias = Callable[..., Pack]

RULED = [
    # ---- the event
    Ruled(
        "a code_file keeps its async",
        [at(f"async {JS}")],
        [UNRESOLVED],
        BY_ID,
        [scraping_disabled()],
        modules=[image(code_file=f"async {JS}")],
    ),
    Ruled(
        "a code_file is compared with its query",
        [at(f"{JS}?v=1")],
        [UNRESOLVED],
        BY_ID,
        [scraping_disabled(f"{JS}?v=1")],
        modules=[image()],
    ),
    Ruled(
        "an async of another case is part of the path",
        [at(f"Async {JS}")],
        [{"abs_path": f"Async {JS}"} | UNRESOLVED],
        (),
        [missing("source", f"Async {JS}")],
    ),
    Ruled(
        "a debug id may be upper-case and without hyphens",
        [at()],
        [RESOLVED | {"data.resolved_with": "debug-id"}],
        BY_ID,
        modules=[image(ID.upper().replace("-", ""))],
    ),
    Ruled(
        "an appendix of 0 is none",
        [at()],
        [{"data.sourcemap_origin": origin(debug_id=ID), "data.sourcemap": JS}],
        BY_ID,
        modules=[image(f"{ID}-0")],
    ),
    Ruled(
        "another appendix is another id, and said in the key",
        [at()],
        [
            RESOLVED
            | {
                "data.resolved_with": "release",
                "data.sourcemap_origin": origin(abs_path=MAP, debug_id=f"{ID}-a"),
            }
        ],
        modules=[image(f"{ID}-A")],
    ),
    Ruled(
        "fields that are not known go, and those that are stay",
        [at(in_app=True, vars={}, platform="node", module="m", data={"sourcemap": "s", "more": 1})],
        [
            {
                "in_app": None,
                "vars": None,
                "platform": "node",
                "module": "m",
                "data": {"sourcemap": "s", "symbolicated": False},
            }
        ],
        (),
        [scraping_disabled()],
    ),
    Ruled(
        "a frame of a request for JavaScript is one, whatever its platform",
        [at(platform="native"), at(platform="java", module="m")],
        [RESOLVED | {"platform": "native"}, RESOLVED | {"platform": "java"}],
    ),
    Ruled(
        "errors of two traces are told once",
        (),
        (),
        (),
        [invalid_location(0, None), scraping_disabled(), missing("source", "native")],
        stacktraces=[[at(), at("native")], [at(), at("native"), at(line=0, column=None)]],
    ),
    # ---- the script
    Ruled(
        "of line 0 nothing is looked up",
        [at(line=0), at(line=0, column=None)],
        [{"context_line": None}] * 2,
        errors=[invalid_location(0, None), invalid_location(0, 1)],
        raw=[{"context_line": None}] * 2,
    ),
    Ruled(
        "a URL in an old bundle comes before the path in a new one",
        [at()],
        [{"filename": "old.ts"}],
        bundles=[(js(url=JS, sourcemap="old.map"), mapped(one("old.ts"), "~/old.map")), (js(), mapped())],
    ),
    Ruled(
        "the fragment is cut, and the query tried first",
        [at(f"{JS}?v=1#top")],
        [{"filename": "q.ts"}],
        (js(), mapped(), js(url="~/a.js?v=1", sourcemap="q.map"), mapped(one("q.ts"), "~/q.map")),
    ),
    Ruled(
        "a script may be of any type if its URL fits", [at()], [RESOLVED], (js(kind="source_map"), mapped())
    ),
    Ruled(
        "but by debug id of its own only",
        [at()],
        [UNRESOLVED],
        (js(url="~/i.js", kind="source", debug_id=ID),),
        [scraping_disabled()],
        modules=[image()],
    ),
    Ruled(
        "a script that is no text is not here",
        [at()],
        [RESOLVED],
        bundles=[(js(), mapped()), (file("~/a.js", "minified_source", b"\xff", sourcemap="x"),)],
    ),
    Ruled(
        "a bad data: reference ends the search",
        [at()],
        [UNRESOLVED],
        bundles=[(js(), mapped()), (js(sourcemap="data:,%ff"),)],
        errors=[missing("source")],
        raw=[{"context_line": None}],
    ),
    Ruled(
        "bundles go by the bytes of their URIs",
        [at()],
        [{"filename": "9.ts"}],
        bundles=[(js(), mapped())] * 9 + [(js(), mapped(one("9.ts")))] + [(js(), mapped(one("10.ts")))],
    ),
    Ruled(
        "a path, and what only looks like a URL, is missing",
        [at(p) for p in ("a.js", "/a.js", "<anonymous>", "native", "", "//h/a.js")],
        [UNRESOLVED] * 6,
        (),
        [missing("source", p) for p in ("", "//h/a.js", "/a.js", "<anonymous>", "a.js", "native")],
    ),
    Ruled(
        "a URL of any scheme could be fetched",
        [at(p) for p in ("app:///a", "node:fs", "C:\\a", "webpack-internal:///a", "HTTP://h/a", "file:a")],
        [UNRESOLVED] * 6,
        (),
        [
            scraping_disabled(p)
            for p in ("C:\\a", "HTTP://h/a", "app:///a", "file:a", "node:fs", "webpack-internal:///a")
        ],
    ),
    # ---- the reference
    Ruled(
        "a header comes before the comment, sourcemap before x-sourcemap",
        [at()],
        [RESOLVED],
        (js("x()//# sourceMappingURL=no", **{"X-SourceMap": "no2", "SourceMap": "a.js.map"}), mapped()),
    ),
    Ruled(
        "an empty header is a reference: to the folder",
        [at()],
        [UNRESOLVED],
        (js("x()//# sourceMappingURL=a.js.map", sourcemap=""), mapped()),
        [scraping_disabled()],
    ),
    Ruled(
        "the last comment counts, up to white space, query and fragment cut",
        [at()],
        [RESOLVED],
        (js("x()//# sourceMappingURL=no\n//@ sourceMappingURL= \ta.js.map?a=1#b c"), mapped()),
    ),
    Ruled(
        "a comment that is cut to nothing is a reference: to the folder",
        [at()],
        [UNRESOLVED],
        (js("x()//# sourceMappingURL=?a.js.map"), mapped()),
        [scraping_disabled()],
    ),
    Ruled(
        "a file without reference is no error, even with a debug id of its own",
        [at()],
        [UNRESOLVED | {"context_line": "x()"}],
        (js(debug_id=ID), mapped(debug_id=ID)),
    ),
    Ruled(
        "the debug id of a script found by URL is not handed on",
        [at()],
        [UNRESOLVED],
        (js(debug_id=ID, sourcemap="no.map"), mapped(debug_id=ID)),
        [scraping_disabled()],
    ),
    Ruled(
        "a map by the event's debug id serves a script by URL",
        [at()],
        [
            RESOLVED
            | {
                "data.resolved_with": "debug-id",
                "data.sourcemap": MAP,
                "data.sourcemap_origin": origin(abs_path=MAP, debug_id=ID),
            }
        ],
        (js(), mapped(url="~/i.map", debug_id=ID)),
        modules=[image()],
    ),
    Ruled(
        "a map by URL serves a script by debug id",
        [at()],
        [RESOLVED | {"data.resolved_with": "release"}],
        (js(url="~/i.js", debug_id=ID, sourcemap="a.js.map"), mapped()),
        modules=[image()],
    ),
    Ruled(
        "a map by debug id alone is missing, not out of reach",
        [at()],
        [UNRESOLVED],
        (file("~/a.js", "minified_source", "x()"),),
        [missing("sourcemap")],
        modules=[image()],
    ),
    Ruled(
        "a map with a URL is out of reach, with a debug id too",
        [at()],
        [UNRESOLVED],
        (js(),),
        [scraping_disabled()],
        modules=[image()],
    ),
    Ruled(
        "a map with a path is missing",
        [at("/srv/a.js")],
        [UNRESOLVED | {"context_line": "x()"}],
        (js(url="/srv/a.js"),),
        [missing("sourcemap", "/srv/a.js")],
    ),
    Ruled(
        "whether it is, the joined URL says",
        [at("/srv/a.js")],
        [UNRESOLVED],
        (js(url="/srv/a.js", sourcemap="http://o.example/m"),),
        [scraping_disabled("/srv/a.js")],
    ),
    Ruled("a map's own reference goes unused", [at()], [RESOLVED], (js(), mapped(sourcemap="x"))),
    Ruled(
        "a map whose own reference is a bad data: is malformed",
        [at()],
        [UNRESOLVED],
        (js(), mapped(sourcemap="data:x")),
        [malformed()],
    ),
]


@pytest.mark.parametrize("case", RULED, ids=lambda case: case.rule)
def test_files_are_found_by_their_rule(case: Ruled, make: Make) -> None:
    assert differences(case, make) == []
