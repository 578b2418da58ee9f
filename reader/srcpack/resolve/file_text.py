"""The lines of a file that frames of an event point at: no more of it is read than they need."""

from typing import Any

from srcpack.errors import SrcpackError, is_from_outside
from srcpack.resolve.resolved import Resolved
from srcpack.resolve.search import FileSearch
from srcpack.rules.context import CONTEXT_LINES, Context, SourceText

__all__ = ["FEW_PARTS", "FileText", "UnreadableError", "lines_of_frame"]

FEW_PARTS = 4
"""Reads of parts of a file, after which all of it is read."""


class UnreadableError(Exception):
    """A file that was found cannot be read, as was reported: it counts as not here."""


class FileText:
    """The text of a file, for one event and its thread.

    Args:
        search: Reads the file.
        found: The file.
    """

    __slots__ = ("_found", "_last", "_parts", "_search", "_whole")

    def __init__(self, search: FileSearch, found: Resolved) -> None:
        self._search = search
        self._found = found
        # A zip's member is inflated whole, and one frame is the least that is decoded of a pack's entry.
        self._parts = FEW_PARTS if len(found.entry.record.frames) > 1 else 0
        self._whole: SourceText | None = None
        self._last: tuple[int, int, Context | None] | None = None

    def whole(self) -> SourceText:
        """Return all of it.

        Raises:
            UnreadableError: `PackSet.text` fails.
        """
        if self._whole is None:
            try:
                self._whole = SourceText(self._search.text(self._found))
            except (SrcpackError, OSError) as error:
                if is_from_outside(error):
                    raise
                raise UnreadableError from error
        return self._whole

    def context(self, line: int, column: int = 0) -> Context | None:
        """Return a line and its neighbours; None if there is no such line.

        Raises:
            UnreadableError: As `whole`.
        """
        if self._last is None or self._last[:2] != (line, column):
            self._last = line, column, self._read_context(line, column)
        return self._last[2]

    def _read_context(self, line: int, column: int) -> Context | None:
        if self._whole is None and self._parts:
            self._parts -= 1
            try:
                return self._found.entry.context(line, CONTEXT_LINES, column)
            except (SrcpackError, OSError) as error:
                if is_from_outside(error):
                    raise
        # What is wrong with a part is wrong with the whole, and reported there.
        return self.whole().context(line, column, CONTEXT_LINES)


def lines_of_frame(context: Context | None) -> dict[str, Any]:
    """Return the lines around a place as a frame has them; nothing if there is no such line."""
    if context is None:
        return {}
    return {
        "pre_context": list(context.pre_context),
        "context_line": context.context_line,
        "post_context": list(context.post_context),
    }
