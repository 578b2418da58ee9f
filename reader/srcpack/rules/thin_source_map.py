"""A source map without the sources that it embeds: all that a lookup of positions is built of.

The format is Ecma-426, <https://tc39.es/ecma426/>, as rust-sourcemap aad1685 `decoder.rs` reads it.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["EMPTY_CONTENT", "ThinSourceMap", "junk_size", "thin_source_map", "without_junk"]

EMPTY_CONTENT = "\0empty"
"""Stands in `marked` for each embedded source that is empty."""

_JUNK = (b")", b"]", b"}", b"'")


class _NotUnderstoodError(ValueError):
    """A map or section that is no object."""


class ThinSourceMap(NamedTuple):
    """A source map taken apart: its text without the sources that it embeds.

    `contents` has the embedded source of each number, None where there is none, and each source has its
    number for a name too. It is None for a map with sections, as sources of one name are one there, and for a
    map that is not understood. `marked` is a map with sections that has `EMPTY_CONTENT` for each embedded
    source that is empty, where there is any.
    """

    text: bytes
    contents: list[str | None] | None
    marked: bytes | None = None


def thin_source_map(source_map: bytes) -> ThinSourceMap:
    """Take the embedded sources out of a source map that symbolic accepts.

    It may accept JSON that Python does not, such as numbers of thousands of digits: then the map is left as
    it is.
    """
    try:
        document = json.loads(without_junk(source_map))
        maps = list(_maps_of(document))
        if len(maps) == 1:
            return _numbered(document)
        contents = [each.pop("sourcesContent", None) for each in maps]
        thin = _packed(document)
        if not any(isinstance(each, list) and "" in each for each in contents):
            return ThinSourceMap(thin, None)
        for each, content in zip(maps, contents, strict=True):
            if isinstance(content, list):
                each["sourcesContent"] = [EMPTY_CONTENT if text == "" else text for text in content]
        return ThinSourceMap(thin, None, _packed(document))
    except (ValueError, RecursionError):
        return ThinSourceMap(source_map, None)


def without_junk(source_map: bytes) -> bytes:
    """Skip a first line that keeps a browser from running the map as a script."""
    return source_map[junk_size(source_map) :]


def junk_size(source_map: bytes) -> int:
    """Return how many bytes such a line takes, with its end; 0 where there is none."""
    if not source_map.startswith(_JUNK):
        return 0
    return source_map.find(b"\n") + 1 or len(source_map)


def _maps_of(document: Any) -> Iterator[dict[str, Any]]:
    waiting = [document]
    while waiting:
        source_map = waiting.pop()
        # symbolic takes an array of all fields for an object too; nobody writes that.
        if not isinstance(source_map, dict):
            raise _NotUnderstoodError
        yield source_map
        for section in source_map.get("sections") or ():
            if not isinstance(section, dict):
                raise _NotUnderstoodError
            if section.get("map") is not None:
                waiting.append(section["map"])


def _numbered(document: dict[str, Any]) -> ThinSourceMap:
    contents = document.pop("sourcesContent", None) or []
    if sources := document.get("sources"):
        document["sources"] = [str(number) for number in range(len(sources))]
    return ThinSourceMap(_packed(document), contents)


def _packed(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
