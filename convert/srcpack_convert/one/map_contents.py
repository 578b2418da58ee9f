"""Where the texts of the sources lie in a source map, and the map without them.

With its `sourcesContent` in place each answer of symbolic's `SourceMapCache` copies a line of source, which
takes up to 50 times as long as all else. Only the values of these keys are cut out: what is wrong with
anything else is symbolic's to judge, by the letters that the file has. Rule source for what a map may look
like: rust-sourcemap aad1685 `decoder.rs`, `jsontypes.rs`.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from srcpack.format.lookups import LINES_APART

__all__ = ["EmbeddedText", "MapContents", "line_steps", "locate_contents"]

_NO_SPACE = re.compile(r"[^ \t\n\r]").search
_NEWLINE_OR_BACKSLASH = re.compile(rb"\\(?:n|u000[aA]|\\)").finditer
_JUNK = (")", "]", "}", "'")
_DEEPEST = 64
_raw_decode = json.JSONDecoder().raw_decode


class EmbeddedText(NamedTuple):
    """A text in the map.

    Attributes:
        text: As it is meant.
        start: Of its letters in the map, after the quotation mark; in bytes.
        length: Of its letters as they are written there, in bytes.
    """

    text: str
    start: int
    length: int

    @property
    def end(self) -> int:
        """Where the letters end."""
        return self.start + self.length


class MapContents(NamedTuple):
    """What was found in a map.

    Attributes:
        texts: In the order of the map; None where it has null for a text.
        thin: The map with null for each `sourcesContent`.
        has_sections: Whether it is an indexed map: then texts are in no order of sources.
    """

    texts: list[EmbeddedText | None]
    thin: bytes
    has_sections: bool


class _OtherError(ValueError):
    """What is there is not what a source map has there."""


def locate_contents(source_map: bytes) -> MapContents | None:
    """Find the texts of a map's sources.

    Args:
        source_map: The map, UTF-8.

    Returns:
        What was found; None where the JSON, or a `sourcesContent` in it, is not as it has to be, and
        symbolic will say so.
    """
    text = source_map.decode()
    found = _Found(text)
    try:
        found.read_map(_space_end(text, text.index("\n") if text.startswith(_JUNK) else 0), 0)
    except (ValueError, IndexError, RecursionError):
        return None
    texts, arrays = found.texts, found.arrays
    if not source_map.isascii():
        places = [place for each in texts if each for place in (each.start, each.end)]
        byte_of = _bytes_of(text, {*places, *(place for array in arrays for place in array)})
        texts = [
            each and EmbeddedText(each.text, byte_of[each.start], byte_of[each.end] - byte_of[each.start])
            for each in texts
        ]
        arrays = [(byte_of[start], byte_of[end]) for start, end in arrays]
    pieces, last = [], 0
    for start, end in arrays:
        pieces += [source_map[last:start], b"null"]
        last = end
    return MapContents(texts, b"".join((*pieces, source_map[last:])), found.has_sections)


def line_steps(letters: bytes) -> list[int]:
    """Return how many bytes of a JSON string each run of 64 lines takes that is followed by another line."""
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
    """The texts and the values of `sourcesContent` met so far, by places in the map's text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.texts: list[EmbeddedText | None] = []
        self.arrays: list[tuple[int, int]] = []
        self.has_sections = False

    def read_map(self, at: int, depth: int) -> int:
        """Read a map from its brace on, and return where it ends."""
        if depth > _DEEPEST:
            raise _OtherError
        return self._read_members(
            at, {"sourcesContent": self._read_texts, "sections": self._read_sections}, depth
        )

    def _read_sections(self, at: int, depth: int) -> int:
        self.has_sections = self.has_sections or self.text[at] == "["
        return self._read_items(at, lambda at: self._read_members(at, {"map": self.read_map}, depth + 1))

    def _read_texts(self, at: int, _: int) -> int:
        end = self._read_items(at, self._read_text)
        self.arrays.append((at, end))
        return end

    def _read_text(self, at: int) -> int:
        value, end = _raw_decode(self.text, at)
        if value is None:
            self.texts.append(None)
        elif isinstance(value, str):
            self.texts.append(EmbeddedText(value, at + 1, end - at - 2))
        else:
            raise _OtherError
        return end

    def _read_items(self, at: int, read: Callable[[int], int]) -> int:
        """Read an array, or null, and return where it ends."""
        text = self.text
        if text.startswith("null", at):
            return at + 4
        if text[at] != "[":
            raise _OtherError
        at = _space_end(text, at + 1)
        if text[at] == "]":
            return at + 1
        while True:
            at = _space_end(text, read(_space_end(text, at)))
            if text[at] == "]":
                return at + 1
            if text[at] != ",":
                raise _OtherError
            at += 1

    def _read_members(self, at: int, readers: Mapping[str, Callable[[int, int], int]], depth: int) -> int:
        """Read an object, or null, the values of some keys by their readers, and return where it ends."""
        text = self.text
        if text.startswith("null", at):
            return at + 4
        if text[at] != "{":
            raise _OtherError
        at = _space_end(text, at + 1)
        if text[at] == "}":
            return at + 1
        while True:
            key, at = _raw_decode(text, _space_end(text, at))
            at = _space_end(text, at)
            if not isinstance(key, str) or text[at] != ":":
                raise _OtherError
            at = _space_end(text, at + 1)
            if (read := readers.get(key)) is not None:
                at = read(at, depth)
            else:
                _, at = _raw_decode(text, at)
            at = _space_end(text, at)
            if text[at] == "}":
                return at + 1
            if text[at] != ",":
                raise _OtherError
            at += 1


def _space_end(text: str, at: int) -> int:
    match = _NO_SPACE(text, at)
    return len(text) if match is None else match.start()


def _bytes_of(text: str, places: set[int]) -> dict[int, int]:
    """Return for places in a text, counted in characters, those in its UTF-8."""
    byte_of, last, at = {}, 0, 0
    for place in sorted(places):
        at += len(text[last:place].encode())
        byte_of[place] = at
        last = place
    return byte_of
