"""Blocks of rows: what is packed is found again, and what no writer packs is refused."""

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from srcpack.errors import FormatError
from srcpack.format.lookup_numbers import Numbers, pack_numbers, shape_of
from srcpack.format.lookup_rows import MAX_NUMBER, MAX_ROWS, Row, find_row, pack_rows, parse_rows

SMALL = st.integers(0, 40)
NUMBERS = st.one_of(SMALL, st.integers(0, 70_000), st.integers(0, MAX_NUMBER))


@st.composite
def lists_of_rows(draw: st.DrawFn) -> list[Row]:
    places = draw(st.sets(st.tuples(st.one_of(SMALL, NUMBERS), NUMBERS), min_size=1, max_size=40))
    rows = []
    for line, column in sorted(places):
        source = draw(st.integers(0, 3))
        answer = (source, *draw(st.tuples(NUMBERS, NUMBERS, st.integers(0, 300), st.integers(0, 300))))
        rows.append(Row(line, column, *answer) if source else Row(line, column))
    return rows


def found(block: bytes, rows: list[Row], line: int, column: int) -> Row | None:
    return find_row(block, line, column, first=rows[0][:2], file="a.srcpack", offset=7)


def answer_of(rows: list[Row], line: int, column: int) -> tuple[int, ...] | None:
    """What the rows say, by looking at all of them."""
    which = bisect_right([row[:2] for row in rows], (line, column)) - 1
    return rows[which][2:] if which >= 0 and rows[which].line == line and rows[which].source else None


@given(lists_of_rows(), st.data())
def test_each_place_has_the_answer_of_the_last_row_before_it_in_its_line(
    rows: list[Row], data: st.DataObject
) -> None:
    block = pack_rows(rows)
    assert parse_rows(block, first=rows[0][:2], file="a.srcpack", offset=7) == rows
    places = [row[:2] for row in rows]
    places += [(line, column + 1) for line, column in places]
    places += data.draw(st.lists(st.tuples(SMALL, NUMBERS)))
    for line, column in places:
        if (line, column) >= rows[0][:2]:
            row = found(block, rows, line, column)
            assert (row and row[2:]) == answer_of(rows, line, column)


def test_long_blocks_are_summed_in_pieces() -> None:
    rows = [
        Row(at // 700, at % 700 * 255, 1 + at % 2, at * 7 % 900, at, at % 300, at % 17) for at in range(2000)
    ]
    block = pack_rows(rows)
    for row in rows[::13]:
        place = row.line, row.column + 254
        assert found(block, rows, *place) == row._replace(column=place[1])


def test_a_block_of_one_line_has_no_answer_for_another() -> None:
    rows = [Row(3, 5, 1), Row(3, 9, 1)]
    assert found(pack_rows(rows), rows, 3, 7) == Row(3, 7, 1)
    assert found(pack_rows(rows), rows, 4, 0) is None


def test_numbers_that_are_all_over_0_each_are_a_step() -> None:
    assert Numbers(pack_numbers([3, 4], 3, 1), 0, 2, 1, 3).last_step(2) == 1


def test_a_row_that_has_no_answer_makes_no_column_wider() -> None:
    rows = [Row(0, 0, 1, 5000, 70, 9, 9), Row(0, 2), Row(0, 4, 1, 5000, 74, 9, 9)]
    widths = pack_rows(rows)[52:56]
    assert widths == bytes((0, 1, 0, 1))


@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_a_writer_is_told_of_lines_and_columns_over_the_limit(place: int) -> None:
    values = [1] * 7
    values[place] = MAX_NUMBER + 1
    with pytest.raises(ValueError, match="over the limit of 1,073,741,823"):
        pack_rows([Row(*values)])


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1), st.data())
@example([0] * 300 + [255] * 300, None)
def test_arrays_of_numbers_are_summed_and_searched_as_they_are(
    values: list[int], data: st.DataObject | None
) -> None:
    values = [0, *values]
    low, width = shape_of(min(values), max(values))
    numbers = Numbers(b"xy" + pack_numbers(values, low, width) + b"z", 2, len(values), width, low)
    assert numbers.end == 2 + len(values) * width
    assert numbers.values() == values
    assert [numbers.number(which) for which in range(len(values))] == values
    start = data.draw(st.integers(0, len(values))) if data else 3
    end = data.draw(st.integers(start, len(values))) if data else len(values)
    assert numbers.sum(start, end) == sum(values[start:end])
    assert numbers.last_step(end) == max((at for at in range(end) if values[at]), default=-1)


@given(st.lists(st.integers(0, 300), max_size=120), st.integers(0, 9000))
def test_the_reach_of_a_sum_ends_before_the_first_place_where_it_is_greater(
    values: list[int], limit: int
) -> None:
    low, width = shape_of(0, max(values, default=0))
    numbers = Numbers(pack_numbers(values, low, width), 0, len(values), width, low)
    reach = numbers.reach(0, len(values), limit)
    assert sum(values[:reach]) <= limit
    assert reach == len(values) or sum(values[: reach + 1]) > limit


# ---- what no writer packs

GOOD = [Row(0, 0, 1, 0, 0, 5, 9), Row(0, 9, 2, 3, 1, 7, 0), Row(2, 1, 1, 400, 2, 7, 9)]


def spoilt(at: int, *values: int) -> bytes:
    block = bytearray(pack_rows(GOOD))
    block[at : at + len(values)] = bytes(values)
    return bytes(block)


HEADERS = {
    "more rows than a block may have": spoilt(0, 0, 0, 2),
    "fewer rows than the arrays are for": spoilt(0, 2),
    "an empty table of sources": spoilt(12, 0),
    "more sources than rows": spoilt(12, 4),
    "an empty table of names": spoilt(16, 0),
    "an empty table of functions": spoilt(20, 0),
    "a table with numbers of five bytes": spoilt(56, 5),
    "less than a header": pack_rows(GOOD)[:59],
    "nothing": b"",
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_block_whose_header_does_not_fit_is_refused(what: str) -> None:
    with pytest.raises(FormatError, match=r"a\.srcpack: row block at offset 7: found .*, expected a header"):
        found(HEADERS[what], GOOD, 0, 0)
    with pytest.raises(FormatError, match="row block at offset 7"):
        parse_rows(HEADERS[what], first=(0, 0), file="a.srcpack", offset=7)


def test_an_index_past_its_table_is_refused() -> None:
    block = pack_rows(GOOD)
    names = block.index(bytes((0, 1, 1)), 60)
    bad = block[:names] + bytes((0, 1, 2)) + block[names + 3 :]
    assert found(bad, GOOD, 0, 5) is not None
    with pytest.raises(FormatError, match="row 2 of a row block at offset 7: found index 2"):
        found(bad, GOOD, 2, 1)
    with pytest.raises(FormatError, match="row 2 of a row block"):
        parse_rows(bad, first=(0, 0), file="a.srcpack", offset=7)


@pytest.mark.parametrize("rows", [[Row(0, 5, 1), Row(0, 5, 1, 1)], [Row(0, 5, 1), Row(0, 4, 1)]])
def test_rows_out_of_order_are_refused_where_all_are_read(rows: list[Row]) -> None:
    assert any(row[:2] >= after[:2] for row, after in pairwise(rows))
    with pytest.raises(FormatError, match="row 1 of a row block"):
        parse_rows(pack_rows(rows), first=rows[0][:2], file="a.srcpack", offset=7)


def test_places_below_nothing_are_refused() -> None:
    below = Row(0, 9, 1, -1, 0, 0, 0)
    block = pack_rows([Row(0, 0, 1, 0, 0, 0, 0), below])
    with pytest.raises(FormatError, match="row 1 of a row block at offset 7: found source line -1, column 0"):
        find_row(block, 0, 9, first=(0, 0), file="a.srcpack", offset=7)
    with pytest.raises(FormatError, match="row 1 of a row block"):
        parse_rows(block, first=(0, 0), file="a.srcpack", offset=7)


def test_places_as_far_apart_as_they_may_be() -> None:
    rows = [
        Row(0, 0, 1, MAX_NUMBER, MAX_NUMBER),
        Row(0, MAX_NUMBER, 1, MAX_NUMBER, 0),
        Row(MAX_NUMBER, MAX_NUMBER, 1, 0, MAX_NUMBER),
    ]
    block = pack_rows(rows)
    assert [found(block, rows, *row[:2]) for row in rows] == rows


def test_as_many_rows_as_a_block_may_have() -> None:
    rows = [Row(0, number, 1, 0, number, number, number) for number in range(MAX_ROWS)]
    block = pack_rows(rows)
    assert found(block, rows, 0, MAX_ROWS - 1) == rows[-1]
