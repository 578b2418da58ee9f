"""What a source map answers: a position in the original sources, and the lines around it.

Rule source: symbolic a5980e8 `symbolic-sourcemapcache`; symbolicator 87e6456
`symbolicator-service/src/source_context.rs`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from srcpack.rules.context import CONTEXT_LINES, Context, get_context

__all__ = ["LinesReader", "OriginalPosition"]

LinesReader: TypeAlias = Callable[[int, int], tuple[int, str] | None]
"""Takes the number of a line, and how many lines either side are wanted; returns the number of the first line
of a text that has these, and the text. None where nobody has the source, or it has no such line."""


@dataclass(frozen=True, slots=True)
class OriginalPosition:
    """Where in the original sources a position in a minified file comes from, by its source map.

    Attributes:
        source: The source's name as the map gives it, with `sourceRoot` in front; "" where the map names
            none.
        line: Number of the line, from 1.
        column: Column in the line, from 1 as in a stack frame, in UTF-16 units.
        name: The name that the map gives the token itself; "" where it gives none, or an empty one.
        function: The function around the place where the token begins: its name, which is "" only in maps
            of Hermes; `<anonymous>` if it has none; `<unknown>` outside of functions, or where the
            minified file does not parse.
    """

    source: str
    line: int
    column: int
    name: str
    function: str
    _read_lines: LinesReader | None = field(default=None, repr=False, compare=False)

    def context(self, lines: int = CONTEXT_LINES) -> Context | None:
        """Return the line and up to `lines` lines either side of it; None where the source has no such line.

        The text is what the map embeds, else the file of the bundle that the source's name leads to; None
        where neither is there. Each line is cut to about 140 bytes around the column, as symbolicator does:
        it takes the column, which counts UTF-16 units from 1, for bytes from 0.

        Raises:
            ValueError: `lines` is negative, or the pack was closed.
            DamagedMember, FormatError, LimitExceeded: As reading an entry.
        """
        if lines < 0:
            raise ValueError(f"{lines} lines must not be negative")
        found = self._read_lines and self._read_lines(self.line, lines)
        if found is None:
            return None
        first, text = found
        return get_context(text, self.line - first + 1, self.column, lines)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what reads lines: another process has its own packs."""
        return OriginalPosition, (self.source, self.line, self.column, self.name, self.function)
