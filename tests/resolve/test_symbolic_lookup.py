"""A lookup answers what symbolic does of the same map, though it is built of another text."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from symbolic.sourcemapcache import SourceMapCache

from srcpack.resolve.symbolic_lookup import SymbolicLookup
from support.source_maps import ask_symbolic, indexed_map, packed_map, source_map
from support.the import the

NAMES = ["a.js", "b.js", None, "", "/c.js", "https://x/d.js", "7", "ä😀.js"]
CONTENTS = [
    "",
    "one",
    "one\ntwo\r\nthree\n",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
]
SCRIPT = "function f(){g()}\nvar a=()=>{b()};class C{m(){n()}}\n'😀'+h()"


@st.composite
def maps(draw: st.DrawFn) -> dict[str, Any]:
    sources = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    contents = draw(st.none() | st.lists(st.none() | st.sampled_from(CONTENTS), max_size=5))
    names = draw(st.lists(st.sampled_from(["n", "", 5, None]), min_size=1, max_size=3))
    place = st.integers(0, 3), st.integers(0, 30)
    original = st.integers(0, len(sources) - 1), st.integers(0, 3), st.integers(0, 9)
    segment = (
        st.tuples(*place)
        | st.tuples(*place, *original)
        | st.tuples(*place, *original, st.integers(0, len(names) - 1))
    )
    segments = sorted(draw(st.lists(segment, max_size=12)), key=lambda each: each[:2])
    root = draw(st.sampled_from([None, "", "x", "/y/", "https://z"]))
    return source_map(segments, sources, names, sourcesContent=contents, sourceRoot=root)


def check(whole: dict[str, Any]) -> None:
    script, text = SCRIPT.encode(), packed_map(whole)
    lookup, cache = SymbolicLookup(script, text, file="x"), SourceMapCache.from_bytes(script, text)
    for line in range(1, 6):
        for column in (0, 2, 11, 19, 40):
            token = lookup.token(line, column)
            assert (None if token is None else token.position) == ask_symbolic(cache, line, column)
            if token is None:
                continue
            # With the lines around it symbolic shows which text it takes.
            shown = the(cache.lookup(line, max(column, 1), token.position.line))
            content = lookup.content(token)
            lines = [] if content is None else content.split("\n")
            if token.position.line <= len(lines):
                assert (shown.context_line or "").rstrip("\r\n") == lines[token.position.line - 1].rstrip(
                    "\r"
                )
            else:
                assert shown.context_line is None
            # It does not show an empty text in its first line.
            if content != "" or token.position.line > 1:
                shows_any = bool(shown.pre_context or shown.context_line or shown.post_context)
                assert shows_any == (content is not None)


@given(maps())
def test_maps_without_sections(whole: dict[str, Any]) -> None:
    check(whole)


@given(maps(), maps(), maps())
def test_maps_with_sections(first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]) -> None:
    check(indexed_map((0, 0, first), (1, 3, indexed_map((0, 0, second))), (2, 0, third)))


@given(maps(), st.lists(st.none() | st.just([{"names": ["g", ""], "mappings": "AAA,ECC"}]), max_size=4))
def test_maps_of_hermes(whole: dict[str, Any], functions: list[Any]) -> None:
    check({**whole, "x_facebook_sources": functions})
