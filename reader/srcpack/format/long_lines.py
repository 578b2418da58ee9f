"""Lines that go over several frames, of which only what is shown is decoded: a minified file is one line.

Where a line begins and ends, the line feeds that the entry counts before each frame say (SPEC.md, "Content").
So the frames in which a line begins and ends are decoded, and the one around the column; none between.
"""

from bisect import bisect_left
from collections.abc import Callable

from srcpack.records import EntryRecord
from srcpack.rules.context import Context, context_of_places

from .lines import after_newlines, end_of_last_line

__all__ = ["LongLines"]

_MOST_KEPT = 3
"""Decoded frames in memory at once: a line's beginning, its end, and what is shown of it."""


class LongLines:
    """The lines of one content, for one call; `read_part` decodes a frame by its number."""

    __slots__ = ("_before", "_frame_size", "_parts", "_read_part", "_record")

    def __init__(self, record: EntryRecord, frame_size: int, read_part: Callable[[int], bytes]) -> None:
        self._record = record
        self._frame_size = frame_size
        self._read_part = read_part
        self._before = [frame.newlines_before for frame in record.frames]
        self._parts: dict[int, bytes] = {}

    def context(self, line: int, column: int, lines: int) -> Context:
        """Return a line that there is with its neighbours, as `get_context` does of the whole text.

        Raises ValueError if the content has other line feeds than its entry says, or is not UTF-8 there.
        """
        first, last = max(1, line - lines), min(line + lines, self._record.lines)
        start = self._after_newline(first - 1)
        places = []
        for number in range(first, last + 1):
            end = self._end_of_last(start) if number == self._record.lines else self._after_newline(number)
            places.append((start, self._without_end(start, end)))
            start = end
        return context_of_places(self._bytes, places, line - first, column)

    def _after_newline(self, number: int) -> int:
        """Return the position after line feed `number`, counted from 1; the start for number 0."""
        if not number:
            return 0
        part = bisect_left(self._before, number) - 1
        return part * self._frame_size + after_newlines(self._part(part), 0, number - self._before[part])

    def _end_of_last(self, start: int) -> int:
        """Return the end of the content, having seen that the line from `start` on is its last."""
        last = len(self._before) - 1
        at = start - last * self._frame_size
        if at < 0:
            # The line began before: all that is here before its last byte has no line feed.
            at = 0
            if self._before[last] != self._record.lines - 1:
                raise ValueError("not one line")
        end_of_last_line(self._part(last), at)
        return self._record.size

    def _without_end(self, start: int, end: int) -> int:
        if self._bytes(end - 1, end) == b"\n":
            end -= 1
            if end > start and self._bytes(end - 1, end) == b"\r":
                end -= 1
        return end

    def _bytes(self, start: int, end: int) -> bytes:
        first, at = divmod(start, self._frame_size)
        data = self._part(first)[at : at + end - start]
        while len(data) < end - start:
            first += 1
            data += self._part(first)[: end - start - len(data)]
        return data

    def _part(self, number: int) -> bytes:
        part = self._parts.pop(number, None)
        if part is None:
            part = self._read_part(number)
            if len(self._parts) >= _MOST_KEPT:
                del self._parts[next(iter(self._parts))]
        self._parts[number] = part
        return part
