"""Where the lines of a content are, by the line feeds that its entry counts (SPEC.md, "Content")."""

from bisect import bisect_left

from srcpack.errors import FormatError
from srcpack.records import EntryRecord

__all__ = ["after_newlines", "end_of_last_line", "lines_in", "not_as_its_entry_says", "parts_of_lines"]

_FEW = 256


def parts_of_lines(record: EntryRecord, first: int, last: int) -> tuple[int, int]:
    """Return the number of the first part that holds lines `first` to `last`, and of the one after the last.

    The part that a line starts in is the last one with fewer line feeds before it than lines come before the
    line.
    """
    before = [frame.newlines_before for frame in record.frames]
    return max(0, bisect_left(before, first - 1) - 1), max(0, bisect_left(before, last) - 1) + 1


def lines_in(data: bytes, record: EntryRecord, first: int, last: int, part: int) -> bytes:
    """Return lines `first` to `last` out of the parts that hold them, the first of which is number `part`.

    Here and below, ValueError is raised if there are other line feeds than the entry says.
    """
    start = after_newlines(data, 0, first - 1 - record.frames[part].newlines_before)
    if last < record.lines:
        return data[start : after_newlines(data, start, last - first + 1)]
    return data[start : end_of_last_line(data, after_newlines(data, start, last - first))]


def after_newlines(data: bytes, low: int, count: int) -> int:
    """Return the position after `count` line feeds from `low`; many are counted, by halves, few found."""
    high = len(data)
    while count > _FEW and low < high:
        middle = (low + high + 1) // 2
        if (newlines := data.count(b"\n", low, middle)) >= count:
            high = middle
        else:
            low, count = middle, count - newlines
    for _ in range(count):
        low = data.index(b"\n", low) + 1
    return low


def end_of_last_line(data: bytes, low: int) -> int:
    """Return where the last line ends, which begins at `low` and is the only one: the end of the data."""
    end = data.find(b"\n", low) + 1 or len(data)
    if not low < end == len(data):
        raise ValueError("not one line")
    return end


def not_as_its_entry_says(file: str, record: EntryRecord, error: ValueError) -> FormatError:
    """Return the error of a content that is not UTF-8, or has other line feeds."""
    if isinstance(error, UnicodeDecodeError):
        return FormatError(file, "text", member=record.name, found=error, expected="UTF-8 by its entry")
    return FormatError(file, "lines", member=record.name, expected=f"{record.lines} by its entry")
