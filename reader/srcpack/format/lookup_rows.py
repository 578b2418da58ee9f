"""Row blocks of a lookup table: what a source map answers from one place of a minified file on.

SPEC.md, "Row block". Pure functions between bytes and values. A row is found without parsing its
block: what it has is the sum of the differences of the rows before it.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import add, sub
from struct import Struct
from typing import NamedTuple

from srcpack.errors import FormatError
from srcpack.format.lookup_numbers import MAX_WIDTH, Numbers, pack_numbers, shape_of, width_of

__all__ = ["MAX_NUMBER", "MAX_ROWS", "Row", "find_row", "pack_rows", "parse_rows"]

MAX_NUMBER = (1 << 30) - 1
"""Greatest line or column that a row may have: differences of their differences fit 32 bits."""

MAX_ROWS = 1 << 16
"""Most rows in a block."""

_HEADER = Struct("<9I4i8B")
_new = tuple.__new__


class Row(NamedTuple):
    """A place in the minified file, and what the map answers from there to the next row or the line's end.

    Attributes:
        line: In the minified file, from 0.
        column: In that line, from 0.
        source: Number of the string that names the source; 0 where the map has no answer, and then none
            of what follows counts.
        source_line: In the source, from 0.
        source_column: In that line, from 0.
        name: Number of the string that names the token.
        function: Number of the string that names the function around it.
    """

    line: int
    column: int
    source: int = 0
    source_line: int = 0
    source_column: int = 0
    name: int = 0
    function: int = 0


class _Columns(NamedTuple):
    """A block: the first row's place in its source, and the arrays.

    Each table holds the numbers that its column has, each once and rising, as differences; the column
    holds for each row which of them it is.
    """

    source_line: int
    source_column: int
    firsts: tuple[int, int, int]
    lines: Numbers
    columns: Numbers
    source_lines: Numbers
    source_columns: Numbers
    source_table: Numbers
    sources: Numbers
    name_table: Numbers
    names: Numbers
    function_table: Numbers
    functions: Numbers


# ---- reading


def find_row(
    block: bytes, line: int, column: int, *, first: tuple[int, int], file: str, offset: int
) -> Row | None:
    """Return the row that answers for a place of the minified file; None where the map has no answer.

    Args:
        block: The last one whose first row is not after the place.
        line: In the minified file, from 0.
        column: In that line, from 0; the row has this one too, though it may begin before it.
        first: Line and column of the block's first row.
        file: The pack, for messages.
        offset: Of the block's frame, for messages.

    Raises:
        FormatError: The block is not as SPEC.md says.
    """
    (
        source_line,
        source_column,
        firsts,
        lines,
        columns,
        source_lines,
        source_columns,
        source_table,
        sources,
        name_table,
        names,
        function_table,
        functions,
    ) = _parse_block(block, file, offset)
    start, end = 0, lines.size
    if lines.width:
        end = lines.reach(0, end, line - first[0])
        start = max(0, lines.last_step(end))
        if first[0] + lines.sum(0, start + 1) != line:
            return None
    elif line != first[0]:
        return None
    # Where a line begins its first column is stored whole, but that of the block's first row is known.
    row = columns.reach(start, end, column if start else column - first[1]) - 1
    if row < start:
        return None
    source = firsts[0] + _above(source_table, sources, row, file, offset)
    if source == 0:
        return None
    source_line += source_lines.sum(0, row + 1)
    step = source_lines.last_step(row + 1)
    if step >= 0:
        source_column = source_columns.number(step)
    source_column += source_columns.sum(max(step, 0) + 1, row + 1) + columns.sum(max(step, 0) + 1, row + 1)
    if not (0 <= source_line <= MAX_NUMBER and 0 <= source_column <= MAX_NUMBER):
        raise _wrong_row(row, f"source line {source_line}, column {source_column}", file, offset)
    return _new(
        Row,
        (
            line,
            column,
            source,
            source_line,
            source_column,
            firsts[1] + _above(name_table, names, row, file, offset),
            firsts[2] + _above(function_table, functions, row, file, offset),
        ),
    )


def parse_rows(block: bytes, *, first: tuple[int, int], file: str, offset: int) -> list[Row]:
    """Return all rows of a block; the arguments are those of `find_row`.

    Raises:
        FormatError: The block is not as SPEC.md says, or its rows are out of order.
    """
    source_line, source_column, firsts, *arrays = _parse_block(block, file, offset)
    line_steps, column_steps, source_line_steps, source_column_steps = (each.values() for each in arrays[:4])
    if line_steps[0] or column_steps[0] or source_line_steps[0] or source_column_steps[0]:
        raise _wrong_row(0, "a step", file, offset)
    lines = list(accumulate(line_steps[1:], initial=first[0]))
    columns = _with_starts(line_steps, column_steps, column_steps, first[1])
    source_lines = list(accumulate(source_line_steps[1:], initial=source_line))
    added = list(map(add, source_column_steps, column_steps))
    source_columns = _with_starts(source_line_steps, added, source_column_steps, source_column)
    for row, (line_step, column_step) in enumerate(zip(line_steps, column_steps, strict=True)):
        if not line_step and column_step <= 0 and row:
            raise _wrong_row(row, f"{lines[row]}:{columns[row]}", file, offset)
    for places in (lines, columns, source_lines, source_columns):
        if min(places) < 0 or max(places) > MAX_NUMBER:
            row = next(row for row, place in enumerate(places) if not 0 <= place <= MAX_NUMBER)
            raise _wrong_row(row, places[row], file, offset)
    numbers = []
    for number, table, column in zip(firsts, arrays[4::2], arrays[5::2], strict=True):
        steps, indexes = table.values(), column.values()
        if 0 in steps:
            raise FormatError(file, "table in a row block", offset=offset, expected="rising numbers")
        if (greatest := max(indexes)) > len(steps):
            raise _wrong_row(indexes.index(greatest), f"index {greatest}", file, offset)
        distinct = list(accumulate(steps, initial=number))
        numbers.append([distinct[index] for index in indexes])
    rows = zip(lines, columns, numbers[0], source_lines, source_columns, *numbers[1:], strict=True)
    return [_new(Row, row if row[2] else (*row[:2], 0, 0, 0, 0, 0)) for row in rows]


def _with_starts(starts: Sequence[int], steps: Sequence[int], whole: Sequence[int], value: int) -> list[int]:
    """Add up steps from a first value on; where there is a start, the value is there as a whole."""
    if not any(starts):
        return list(accumulate(steps[1:], initial=value))
    values = []
    for start, step, instead in zip(starts, steps, whole, strict=True):
        value = instead if start else value + step
        values.append(value)
    return values


def _parse_block(block: bytes, file: str, offset: int) -> _Columns:
    """Return where a block's arrays lie. It is on the path of each lookup, and so written out."""
    if len(block) >= _HEADER.size:
        (
            count,
            source_line,
            source_column,
            sources,
            names,
            functions,
            first_source,
            first_name,
            first_function,
            line_low,
            column_low,
            source_line_low,
            source_column_low,
            line_width,
            column_width,
            source_line_width,
            source_column_width,
            source_width,
            name_width,
            function_width,
            reserved,
        ) = _HEADER.unpack_from(block)
        if (
            0 < sources <= count <= MAX_ROWS
            and 0 < names <= count
            and 0 < functions <= count
            and max(line_width, column_width, source_line_width, source_column_width) <= MAX_WIDTH
            and max(source_width, name_width, function_width) <= MAX_WIDTH
            and line_low == reserved == 0
        ):
            columns_at = _HEADER.size + count * line_width
            source_lines_at = columns_at + count * column_width
            source_columns_at = source_lines_at + count * source_line_width
            source_table_at = source_columns_at + count * source_column_width
            sources_at = source_table_at + (sources - 1) * source_width
            source_index = 0 if sources == 1 else 1 if sources <= 256 else 2
            name_table_at = sources_at + count * source_index
            names_at = name_table_at + (names - 1) * name_width
            name_index = 0 if names == 1 else 1 if names <= 256 else 2
            function_table_at = names_at + count * name_index
            functions_at = function_table_at + (functions - 1) * function_width
            function_index = 0 if functions == 1 else 1 if functions <= 256 else 2
            if functions_at + count * function_index == len(block):
                return _new(
                    _Columns,
                    (
                        source_line,
                        source_column,
                        (first_source, first_name, first_function),
                        _new(Numbers, (block, _HEADER.size, count, line_width, 0)),
                        _new(Numbers, (block, columns_at, count, column_width, column_low)),
                        _new(Numbers, (block, source_lines_at, count, source_line_width, source_line_low)),
                        _new(
                            Numbers, (block, source_columns_at, count, source_column_width, source_column_low)
                        ),
                        _new(Numbers, (block, source_table_at, sources - 1, source_width, 0)),
                        _new(Numbers, (block, sources_at, count, source_index, 0)),
                        _new(Numbers, (block, name_table_at, names - 1, name_width, 0)),
                        _new(Numbers, (block, names_at, count, name_index, 0)),
                        _new(Numbers, (block, function_table_at, functions - 1, function_width, 0)),
                        _new(Numbers, (block, functions_at, count, function_index, 0)),
                    ),
                )
    raise FormatError(
        file,
        "row block",
        offset=offset,
        found=f"{len(block)} bytes, {block[: _HEADER.size].hex(' ')}",
        expected="a header and the arrays that it describes",
    )


def _above(table: Numbers, column: Numbers, row: int, file: str, offset: int) -> int:
    """Return how much what a row has is above the first number of its table."""
    block, at, size, width, _ = column
    if not width:
        return 0
    index = block[at + row]
    if width == 2:
        index += block[at + size + row] << 8
    if index > table.size:
        raise _wrong_row(row, f"index {index}", file, offset)
    return table.sum(0, index)


def _wrong_row(row: int, found: object, file: str, offset: int) -> FormatError:
    return FormatError(
        file,
        f"row {row} of a row block",
        offset=offset,
        found=found,
        expected="rising places, inside their bounds",
    )


# ---- writing


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Return the block of 1 to `MAX_ROWS` rows, which are sorted.

    Raises:
        ValueError: A line or column is over `MAX_NUMBER`.
    """
    columns_of_rows = tuple(zip(*rows, strict=True))
    if 0 in columns_of_rows[2]:
        columns_of_rows = tuple(zip(*_without_gaps(rows), strict=True))
    lines, columns, sources, source_lines, source_columns, names, functions = columns_of_rows
    greatest = max(lines[-1], *map(max, (columns, source_lines, source_columns)))
    if greatest > MAX_NUMBER:
        raise ValueError(f"a line or column {greatest:,}, over the limit of {MAX_NUMBER:,}")
    line_steps = [0, *map(sub, lines[1:], lines)]
    column_steps = [0, *map(sub, columns[1:], columns)]
    if lines[0] != lines[-1]:
        column_steps = _whole_where(line_steps, columns, column_steps)
    source_line_steps = [0, *map(sub, source_lines[1:], source_lines)]
    source_column_steps = [0, *map(sub, source_columns[1:], source_columns)]
    source_column_steps = list(map(sub, source_column_steps, column_steps))
    source_column_steps = _whole_where(source_line_steps, source_columns, source_column_steps)

    lows, widths, arrays = [], [], []
    for steps in (line_steps, column_steps, source_line_steps, source_column_steps):
        low, width = shape_of(min(steps), max(steps))
        lows.append(low)
        widths.append(width)
        arrays.append(pack_numbers(steps, low, width))
    sizes, firsts = [], []
    for numbers in (sources, names, functions):
        distinct = sorted(set(numbers))
        steps = list(map(sub, distinct[1:], distinct))
        sizes.append(len(distinct))
        firsts.append(distinct[0])
        widths.append(width_of(max(steps, default=0)))
        arrays.append(pack_numbers(steps, 0, widths[-1]))
        index = dict(zip(distinct, range(len(distinct)), strict=True))
        arrays.append(pack_numbers([index[number] for number in numbers], 0, width_of(len(distinct) - 1)))
    header = _HEADER.pack(len(rows), source_lines[0], source_columns[0], *sizes, *firsts, *lows, *widths, 0)
    return header + b"".join(arrays)


def _without_gaps(rows: Sequence[Row]) -> Iterator[Row]:
    """Give rows that have no answer what the row before has, so that differences stay small."""
    last = Row(0, 0)
    for row in rows:
        last = row if row.source else Row(row.line, row.column, 0, *last[3:])
        yield last


def _whole_where(steps: Sequence[int], values: Sequence[int], differences: Sequence[int]) -> list[int]:
    """Return the differences, and the value itself where another column has a step."""
    return [value if step else less for step, value, less in zip(steps, values, differences, strict=True)]
