"""What is left of a source map without the sources that it embeds."""

import json
from typing import Any

import pytest

from srcpack.rules.bracket_depth import bracket_depth
from srcpack.rules.thin_source_map import EMPTY_CONTENT, thin_source_map
from support.source_maps import indexed_map, packed_map, source_map


def one(sources: list[str | None], contents: Any, **more: Any) -> dict[str, Any]:
    return source_map([(0, 0, 0, 0, 0)], sources, sourcesContent=contents, **more)


def test_sources_are_numbered_and_their_contents_kept_beside() -> None:
    document = one(["a.js", None, "a.js"], ["of a", "", None], x_of_others=[1])
    thin = thin_source_map(packed_map(document))
    del document["sourcesContent"]
    assert json.loads(thin.text) == {**document, "sources": ["0", "1", "2"]}
    assert thin.contents == ["of a", "", None]
    assert thin.marked is None


@pytest.mark.parametrize("contents", [None, []])
def test_a_map_without_contents_has_none(contents: list[str] | None) -> None:
    assert thin_source_map(packed_map(one(["a.js"], contents))).contents == []
    assert thin_source_map(b'{"mappings":""}') == (b'{"mappings":""}', [], None)


@pytest.mark.parametrize("junk", [b")]}'\n", b"'x\n", b"]\n"])
def test_a_first_line_of_junk_goes(junk: bytes) -> None:
    assert thin_source_map(junk + b'{"mappings":""}').text == b'{"mappings":""}'


def test_a_map_with_sections_keeps_the_names() -> None:
    document = indexed_map((0, 0, one(["a.js"], ["of a"])), (1, 0, indexed_map((0, 0, one(["b.js"], None)))))
    thin = thin_source_map(packed_map(document))
    assert (thin.contents, thin.marked) == (None, None)
    sections = json.loads(thin.text)["sections"]
    assert "sourcesContent" not in sections[0]["map"]
    assert sections[0]["map"]["sources"] == ["a.js"]
    assert "sourcesContent" not in sections[1]["map"]["sections"][0]["map"]


def test_empty_sources_in_sections_are_marked() -> None:
    thin = thin_source_map(packed_map(indexed_map((0, 0, one(["a.js", "b.js"], ["", None])))))
    assert thin.marked is not None
    marked = json.loads(thin.marked)["sections"][0]["map"]
    assert marked["sourcesContent"] == [EMPTY_CONTENT, None]


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b'{"mappings":"","n":' + b"1" * 5000 + b"}",
        b'{"mappings":"","n":1e999}',
        b"[" * 100_000,
        b'["a", "map", "as", "an", "array"]',
        b'{"sections":[[{"line":0,"column":0},null,{}]]}',
        b'{"sections":[{"offset":{"line":0,"column":0},"map":[]}]}',
        b"\xff",
    ],
)
def test_what_python_does_not_read_as_symbolic_does_is_left_as_it_is(text: bytes) -> None:
    assert thin_source_map(text) == (text, None, None)


@pytest.mark.parametrize(
    ("script", "depth"),
    [(b"", 0), (b"f(x[0])", 2), (b"{}" * 9, 1), (b"((", 2), (b"))((", 2), (b")(", 1), ('"ä({["'.encode(), 3)],
)
def test_brackets_are_counted_in_depth(script: bytes, depth: int) -> None:
    assert bracket_depth(script) == depth
