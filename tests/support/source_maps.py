"""Source maps put together from their segments, and what is made of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from symbolic.sourcemapcache import SourceMapCache

from srcpack.rules.original_position import OriginalPosition
from support.bundle_builder import build_bundle

__all__ = [
    "MappedFiles",
    "Segment",
    "ask_symbolic",
    "bundle_with_maps",
    "indexed_map",
    "packed_map",
    "source_map",
]

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

Segment = Sequence[int]
"""Line and column in the minified file; perhaps source, line, column; perhaps name. All from 0."""

MappedFiles = Mapping[str, tuple[str, bytes, str]]
"""Type, content and reference to a source map by name; no reference where that is empty."""


def source_map(
    segments: Sequence[Segment], sources: Sequence[str | None], names: Sequence[Any] = (), **more: Any
) -> dict[str, Any]:
    """Return the map of segments, which are sorted by line but in a line need not be."""
    lines: list[list[str]] = [[]]
    column, last = 0, [0, 0, 0, 0]
    for segment in segments:
        while len(lines) <= segment[0]:
            lines.append([])
            column = 0
        steps = [segment[1] - column]
        column = segment[1]
        for which, value in enumerate(segment[2:]):
            steps.append(value - last[which])
            last[which] = value
        lines[-1].append("".join(map(_vlq, steps)))
    mappings = ";".join(",".join(line) for line in lines)
    return {"version": 3, "sources": list(sources), "names": list(names), "mappings": mappings, **more}


def indexed_map(*sections: tuple[int, int, dict[str, Any]]) -> dict[str, Any]:
    """Return the map of sections: line, column, map."""
    return {
        "version": 3,
        "sections": [
            {"offset": {"line": line, "column": column}, "map": each} for line, column, each in sections
        ],
    }


def packed_map(value: dict[str, Any]) -> bytes:
    """Return a map's JSON."""
    return json.dumps(value, ensure_ascii=False).encode()


def bundle_with_maps(files: MappedFiles) -> bytes:
    """Return a bundle of files, each at the URL of its name."""
    listed: dict[str, dict[str, Any]] = {}
    for name, (kind, _, reference) in files.items():
        headers = {"headers": {"sourcemap": reference}} if reference else {}
        listed[name] = {"type": kind, "url": f"~/{name}", **headers}
    return build_bundle({name: content for name, (_, content, _) in files.items()}, {"files": listed})


def bundle_with_map(script: bytes, mapped: bytes, name: str = "a.js") -> bytes:
    """Return a bundle of a minified file, and of its map, which has the same name and `.map`."""
    headers = {"sourcemap": f"{name}.map"}
    files = {
        name: {"type": "minified_source", "url": f"~/{name}", "headers": headers},
        f"{name}.map": {"type": "source_map", "url": f"~/{name}.map"},
    }
    return build_bundle({name: script, f"{name}.map": mapped}, {"files": files})


def ask_symbolic(cache: SourceMapCache, line: int, column: int) -> OriginalPosition | None:
    """Return what symbolic answers for a place, counted from 1."""
    token = cache.lookup(line, max(column, 1), 0)
    if token is None:
        return None
    return OriginalPosition(
        token.src or "", token.line, token.col, token.name or "", token.function_name or ""
    )


def _vlq(value: int) -> str:
    rest = (-value << 1) | 1 if value < 0 else value << 1
    digits = ""
    while True:
        rest, digit = rest >> 5, rest & 31
        digits += _DIGITS[digit | (32 if rest else 0)]
        if not rest:
            return digits
