"""Minified files with their source maps, written piece by piece."""

from collections.abc import Mapping, Sequence
from typing import Any

from support.source_maps import packed_map, source_map

__all__ = ["Minified"]


class Minified:
    """A minified file, written piece by piece, and what its map says of each piece.

    Args:
        contents: The original sources by name; None for one whose content the map does not have. A list of
            pairs where a name is null or occurs twice.
    """

    def __init__(self, contents: Mapping[str, str | None] | Sequence[tuple[str | None, str | None]]) -> None:
        pairs = list(contents.items()) if isinstance(contents, Mapping) else list(contents)
        self.sources: list[str | None] = [name for name, _ in pairs]
        self.contents = [content for _, content in pairs]
        self.text = ""
        self._names: list[str] = []
        self._segments: list[tuple[int, ...]] = []
        self._line = self._column = 0

    def add(
        self, text: str, original: tuple[int, int] | None = None, name: str | None = None, source: int = 0
    ) -> tuple[int, int]:
        """Write a piece.

        Args:
            text: The piece.
            original: Line and column that it comes from, from 1; None for a piece of the bundler's own.
            name: What it is called there.
            source: The number of the source.

        Returns:
            Line and column of the piece, from 1, as a stack frame has them.
        """
        place = self._line + 1, self._column + 1
        segment: tuple[int, ...] = (self._line, self._column)
        if original is not None:
            segment += (source, original[0] - 1, original[1] - 1)
            if name is not None:
                if name not in self._names:
                    self._names.append(name)
                segment += (self._names.index(name),)
        self._segments.append(segment)
        self.text += text
        newlines = text.count("\n")
        if newlines:
            self._line += newlines
            self._column = 0
        self._column += len(text.rpartition("\n")[2].encode("utf-16-le")) // 2
        return place

    def document(self, **more: Any) -> dict[str, Any]:
        """Return the map, as JSON has it."""
        return source_map(self._segments, self.sources, self._names, sourcesContent=self.contents, **more)

    def map(self, **more: Any) -> bytes:
        """Return the map."""
        return packed_map(self.document(**more))
