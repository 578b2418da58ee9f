r"""Lines of source files, and the lines around one that a stack frame points at.

A line ends at `\n` or `\r\n` and nowhere else; nothing comes after a trailing newline. Lengths and
columns count UTF-8 bytes.

Rule source: symbolicator 87e6456 `symbolicator-service/src/source_context.rs`, and Rust's `str::lines`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = [
    "CONTEXT_LINES",
    "Context",
    "SourceText",
    "context_of_lines",
    "context_of_places",
    "count_lines",
    "get_context",
    "split_lines",
    "trim_line",
]

CONTEXT_LINES = 5
"""Lines before and after a place that a frame gets."""

_KEPT_WHOLE = 150
_TRIMMED_LENGTH = 140
_BEFORE_COLUMN = 60
_NEAR_EDGE = 5
_BYTES_IN_CHARACTER = 4
_FEW_USES = 4


@dataclass(frozen=True, slots=True)
class Context:
    """A line of a file with its neighbours, each trimmed.

    Attributes:
        pre_context: The lines before, in the file's order.
        context_line: The line asked for.
        post_context: The lines after.
    """

    pre_context: tuple[str, ...]
    context_line: str
    post_context: tuple[str, ...]


def get_context(source: str, line: int, column: int = 0, lines: int = CONTEXT_LINES) -> Context | None:
    r"""Take a line and its neighbours, `lines` on either side, out of a file; None if it has no such line.

    The first line is 1, and 0 is taken for it, as upstream does. `column` is the byte in the line to keep in
    sight where lines are trimmed; 0 keeps their start. Raises ValueError if one of the two is negative.

    A part of a file gives what the whole gives, if it begins at the start of line
    `first <= max(1, line - lines)`, holds all of line `line + lines` with its newline (or goes to the file's
    end), and `line - first + 1` is asked for.
    """
    if column < 0 or lines < 0:
        raise ValueError(f"column {column} and {lines} lines must not be negative")
    line = max(line, 1)
    # One piece past the last line wanted holds all the rest of the file, unsplit.
    wanted = min(line + lines, len(source))
    pieces = _without_ends(source.split("\n", wanted))
    return context_of_lines(pieces[: line + lines], line - 1, column, lines) if line <= len(pieces) else None


def context_of_lines(all_lines: Sequence[str], index: int, column: int, lines: int) -> Context:
    """Take line `index`, from 0, and up to `lines` either side out of lines that were split before.

    Raises IndexError if there is no such line.
    """
    if not 0 <= index < len(all_lines):
        raise IndexError(f"line {index} of {len(all_lines)}")
    return Context(
        tuple(trim_line(text, column) for text in all_lines[max(0, index - lines) : index]),
        trim_line(all_lines[index], column),
        tuple(trim_line(text, column) for text in all_lines[index + 1 : index + 1 + lines]),
    )


def context_of_places(
    read: Callable[[int, int], bytes], places: Sequence[tuple[int, int]], index: int, column: int
) -> Context:
    """Take a line and its neighbours out of a file of which no more is read than is shown.

    `read` returns the bytes between two positions of the file, which is UTF-8; `places` are where each line
    begins, and where it ends without its end.
    """
    lines = tuple(_trimmed_at(read, start, end, column) for start, end in places)
    return Context(lines[:index], lines[index], lines[index + 1 :])


def split_lines(source: str) -> list[str]:
    r"""Split a file into lines without their ends. A `\r` that no `\n` follows is part of its line."""
    return _without_ends(source.split("\n"))


def count_lines(newlines: int, size: int, ends_with_newline: bool) -> int:
    r"""Number the lines of a file by its newlines, its size and whether it ends with a newline."""
    if size == 0:
        return 0
    return newlines if ends_with_newline else newlines + 1


def trim_line(line: str, column: int) -> str:
    """Cut a line over 150 bytes to about 140 around a column, and mark where it was cut with `{snip}`.

    It is kept from 60 bytes before the column on; a column past the end counts as the end, a negative one is
    a ValueError.
    """
    if column < 0:
        raise ValueError(f"column {column} must not be negative")
    if line.isascii():
        if len(line) <= _KEPT_WHOLE:  # as most lines have
            return line
        start, end = _kept(len(line), column)
        return _marked(line[start:end], start > 0, end < len(line))
    return _trimmed(line, _encoded(line), column)


class SourceText:
    """A file whose lines are asked for again and again, and what was found out about it on the way.

    A stack trace may point at one file thousands of times, and a minified file may be one line of megabytes.
    """

    __slots__ = ("_encoded", "_lines", "_uses", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self._uses = 0
        self._lines: list[str] = []
        self._encoded: dict[int, bytes] = {}

    def context(self, line: int, column: int = 0, lines: int = CONTEXT_LINES) -> Context | None:
        """Take a line and its neighbours out of the file, as `get_context` does."""
        self._uses += 1
        if self._uses <= _FEW_USES:
            return get_context(self.text, line, column, lines)
        if self._uses == _FEW_USES + 1:
            self._lines = split_lines(self.text)
        index = max(line, 1) - 1
        if index >= len(self._lines):
            return None
        return Context(
            tuple(self._trimmed(each, column) for each in range(max(0, index - lines), index)),
            self._trimmed(index, column),
            tuple(
                self._trimmed(each, column)
                for each in range(index + 1, min(len(self._lines), index + 1 + lines))
            ),
        )

    def _trimmed(self, index: int, column: int) -> str:
        line = self._lines[index]
        if line.isascii() or len(line) <= _KEPT_WHOLE // _BYTES_IN_CHARACTER:
            return trim_line(line, column)
        raw = self._encoded.get(index)
        if raw is None:
            raw = self._encoded[index] = _encoded(line)
        return _trimmed(line, raw, column)


def _encoded(line: str) -> bytes:
    # Text that was decoded leniently may hold lone surrogates.
    return line.encode("utf-8", "surrogatepass")


def _trimmed(line: str, raw: bytes, column: int) -> str:
    start, end = _kept(len(raw), column)
    if end - start == len(raw):
        return line
    start, end = _character_start(raw, start), _character_start(raw, end)
    return _marked(raw[start:end].decode("utf-8", "surrogatepass"), start > 0, end < len(raw))


def _trimmed_at(read: Callable[[int, int], bytes], begin: int, end: int, column: int) -> str:
    start, stop = _kept(end - begin, column)
    # The character that the part begins with may begin before it; whether it ends one, its next byte says.
    low, high = max(0, start - _BYTES_IN_CHARACTER), min(stop + 1, end - begin)
    raw = read(begin + low, begin + high)
    kept = raw[_character_start(raw, start - low) : _character_start(raw, stop - low)]
    return _marked(kept.decode(), start > 0, stop < end - begin)


def _kept(size: int, column: int) -> tuple[int, int]:
    """Return where what is kept of a line begins and ends, in bytes."""
    if size <= _KEPT_WHOLE:
        return 0, size
    start = max(0, min(column, size) - _BEFORE_COLUMN)
    if start < _NEAR_EDGE:
        start = 0
    end = min(start + _TRIMMED_LENGTH, size)
    if end > size - _NEAR_EDGE:
        end = size
        start = size - _TRIMMED_LENGTH
    return start, end


def _marked(kept: str, cut_before: bool, cut_after: bool) -> str:
    before = "{snip} " if cut_before else ""
    after = " {snip}" if cut_after else ""
    return before + kept + after


def _character_start(raw: bytes, index: int) -> int:
    while 0 < index < len(raw) and raw[index] & 0xC0 == 0x80:
        index -= 1
    return index


def _without_ends(pieces: list[str]) -> list[str]:
    last = pieces.pop()
    lines = [piece.removesuffix("\r") for piece in pieces]
    if last:
        lines.append(last)
    return lines
