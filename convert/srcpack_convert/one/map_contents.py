"""Where the texts of the sources lie in a source map, and the map without them.

With its `sourcesContent` in place each answer of symbolic's `SourceMapCache` copies a line of source, which
takes up to 50 times as long as all else. Only the values of these keys are cut out: whether anything else is
as it has to be is symbolic's to judge. Rule source for what a map may look like: rust-sourcemap aad1685
`decoder.rs`, `jsontypes.rs`.
"""

import re
from hashlib import sha256
from typing import NamedTuple

from srcpack.format.lookups import LINES_APART
from srcpack.rules.strict_json import JsonError, TooManyBrackets, Walker
from srcpack.rules.thin_source_map import junk_size

__all__ = ["EmbeddedText", "MapContents", "line_steps", "locate_contents"]

_NEWLINE_OR_BACKSLASH = re.compile(rb"\\(?:n|u000[aA]|\\)").finditer
_DEEPEST = 64
_BRACKETS_FREE = 10_000
_BYTES_PER_BRACKET = 32


class EmbeddedText(NamedTuple):
    """A text in the map: SHA-256 of what it means, in UTF-8; where its letters begin, and how many bytes."""

    sha256: bytes
    start: int
    length: int


class MapContents(NamedTuple):
    """What was found in a map: its texts in their order, None where it has null for one.

    `thin` is the map with null for each `sourcesContent`. In an indexed map, which `has_sections`, texts are
    in no order of sources.
    """

    texts: list[EmbeddedText | None]
    thin: bytes
    has_sections: bool


def locate_contents(source_map: bytes) -> MapContents:
    """Find the texts of a map's sources; none where the JSON is not as it has to be, as symbolic will say.

    Raises TooManyBrackets if of brackets, texts and sections there is more than one for every 32 bytes, and
    10,000 more. No map comes near that, and each takes a hundred times as long as other bytes.
    """
    walker = Walker(source_map, most=_BRACKETS_FREE + len(source_map) // _BYTES_PER_BRACKET)
    walker.at = junk_size(source_map)
    found = _Found(walker)
    try:
        found.read_map(0)
        walker.end()
    except TooManyBrackets:
        raise
    except (JsonError, UnicodeDecodeError):
        return MapContents([], source_map, has_sections=False)
    pieces, last = [], 0
    for start, end in found.arrays:
        pieces += [source_map[last:start], b"null"]
        last = end
    return MapContents(found.texts, b"".join((*pieces, source_map[last:])), found.has_sections)


def line_steps(letters: bytes) -> list[int]:
    """Return how many bytes of a JSON string each run of 64 lines takes that a line feed ends."""
    steps, last, newlines = [], 0, 0
    for match in _NEWLINE_OR_BACKSLASH(letters):
        if match[0] == b"\\\\":
            continue
        newlines += 1
        if newlines % LINES_APART == 0:
            steps.append(match.end() - last)
            last = match.end()
    return steps


class _Found:
    """What was met so far: texts, and where each `sourcesContent` begins and ends."""

    def __init__(self, walker: Walker) -> None:
        self.texts: list[EmbeddedText | None] = []
        self.arrays: list[tuple[int, int]] = []
        self.has_sections = False
        self._walker = walker

    def read_map(self, depth: int) -> None:
        walker = self._walker
        for name in walker.members():
            walker.count()
            key = walker.text(name)
            if walker.peek() == b"n":
                walker.null()
            elif key == "sourcesContent":
                start = walker.at
                self._read_texts()
                self.arrays.append((start, walker.at))
            elif key == "sections" and depth < _DEEPEST:
                self.has_sections = True
                self._read_sections(depth)
            else:
                walker.skip()

    def _read_sections(self, depth: int) -> None:
        walker = self._walker
        more = walker.enter(b"[", "a list")
        while more:
            walker.count()
            for name in walker.members():
                walker.count()
                if walker.text(name) == "map" and walker.peek() == b"{":
                    self.read_map(depth + 1)
                else:
                    walker.skip()
            more = walker.more(b"[")

    def _read_texts(self) -> None:
        walker = self._walker
        more = walker.enter(b"[", "a list")
        while more:
            walker.count()
            if walker.peek() == b"n":
                walker.null()
                self.texts.append(None)
            else:
                string = walker.string()
                digest = sha256(walker.text(string).encode()).digest()
                self.texts.append(EmbeddedText(digest, walker.at - len(string) + 1, len(string) - 2))
            more = walker.more(b"[")
