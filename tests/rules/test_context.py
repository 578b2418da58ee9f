"""Source context: what a line is, and how long lines are trimmed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules import context
from srcpack.rules.context import (
    Context,
    SourceText,
    context_of_lines,
    count_lines,
    get_context,
    split_lines,
    trim_line,
)

TEXTS = st.text(st.sampled_from("ab\n\n\r\x0b\x0c\x1c\u0085\u2028é"), max_size=40)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb", ["a", "b"]),
        ("a\r\r\nb\r", ["a\r", "b\r"]),
        ("\r\n\r\n", ["", ""]),
        ("a\rb", ["a\rb"]),
        ("a\x0bb\x0cc\x1cd\u0085e\u2028f\u2029g", ["a\x0bb\x0cc\x1cd\u0085e\u2028f\u2029g"]),
    ],
)
def test_lines_end_at_a_newline_and_nowhere_else(source: str, lines: list[str]) -> None:
    assert split_lines(source) == lines


def test_a_line_has_five_neighbours_on_either_side_or_as_many_as_asked_for() -> None:
    source = "".join(f"line {number}\n" for number in range(1, 21))
    context = get_context(source, 10)
    assert context == Context(
        tuple(f"line {number}" for number in range(5, 10)),
        "line 10",
        tuple(f"line {number}" for number in range(11, 16)),
    )
    assert get_context(source, 10, lines=0) == Context((), "line 10", ())
    assert get_context(source, 2, lines=3) == Context(("line 1",), "line 2", ("line 3", "line 4", "line 5"))
    assert get_context(source, 19, lines=3) == Context(
        ("line 16", "line 17", "line 18"), "line 19", ("line 20",)
    )


@pytest.mark.parametrize(("source", "line"), [("", 1), ("a", 2), ("a\n", 2), ("a\n", 10**30), ("a\n\n", 3)])
def test_a_file_has_no_other_lines(source: str, line: int) -> None:
    assert get_context(source, line) is None


def test_line_0_is_taken_for_the_first() -> None:
    assert get_context("a\nb", 0) == get_context("a\nb", 1) == Context((), "a", ("b",))


def test_every_line_is_trimmed_around_the_column() -> None:
    context = get_context("\n".join(["x" * 200, "y" * 200, "short"]), 2, 100)
    assert context == Context(
        ("{snip} " + "x" * 140 + " {snip}",), "{snip} " + "y" * 140 + " {snip}", ("short",)
    )


def test_there_are_no_negative_columns_or_numbers_of_lines() -> None:
    with pytest.raises(ValueError, match=r"^column -1 and 5 lines must not be negative$"):
        get_context("a", 1, -1)
    with pytest.raises(ValueError, match=r"^column 0 and -1 lines must not be negative$"):
        get_context("a", 1, lines=-1)
    with pytest.raises(ValueError, match=r"^column -1 must not be negative$"):
        trim_line("a", -1)


def test_a_line_that_was_split_before_has_to_be_there() -> None:
    for index in (-1, 1):
        with pytest.raises(IndexError, match=rf"^line {index} of 1$"):
            context_of_lines(["a"], index, 0, 5)


@given(TEXTS, st.integers(0, 45), st.integers(0, 6))
def test_context_is_a_slice_of_all_lines(source: str, line: int, lines: int) -> None:
    everything = source.replace("\r\n", "\n").split("\n")
    if not everything[-1]:
        everything.pop()
    expected = None
    line = max(line, 1)
    if line <= len(everything):
        expected = Context(
            tuple(everything[max(0, line - 1 - lines) : line - 1]),
            everything[line - 1],
            tuple(everything[line : line + lines]),
        )
        assert context_of_lines(everything, line - 1, 0, lines) == expected
    assert get_context(source, line, 0, lines) == expected


@given(TEXTS, st.integers(1, 20), st.integers(0, 4), st.data())
def test_a_part_of_a_file_gives_the_context_that_the_whole_gives(
    source: str, line: int, lines: int, data: st.DataObject
) -> None:
    pieces = _kept_ends(source)
    first = data.draw(st.integers(1, max(1, line - lines)))
    last = data.draw(st.integers(line + lines, line + lines + 3))
    part = "".join(pieces[first - 1 : last])
    assert get_context(part, line - first + 1, 0, lines) == get_context(source, line, 0, lines)


def _kept_ends(source: str) -> list[str]:
    pieces = [piece + "\n" for piece in source.split("\n")]
    return [*pieces[:-1], pieces[-1][:-1]]


@given(TEXTS)
def test_lines_are_counted_as_they_are_split(source: str) -> None:
    counted = count_lines(source.count("\n"), len(source), source.endswith("\n"))
    assert counted == len(split_lines(source))


@pytest.mark.parametrize(
    ("size", "column", "start", "end"),
    [
        (150, 75, 0, 150),
        (151, 0, 0, 140),
        (151, 75, 11, 151),
        (300, 0, 0, 140),
        (300, 64, 0, 140),
        (300, 65, 5, 145),
        (300, 160, 100, 240),
        (300, 215, 155, 295),
        (300, 216, 160, 300),
        (300, 299, 160, 300),
        (300, 10**20, 160, 300),
    ],
)
def test_a_long_line_is_cut_to_140_bytes_from_60_before_the_column(
    size: int, column: int, start: int, end: int
) -> None:
    line = "".join(chr(ord("a") + index % 26) for index in range(size))
    expected = ("{snip} " if start else "") + line[start:end] + (" {snip}" if end < size else "")
    assert trim_line(line, column) == expected


def test_columns_count_bytes_and_no_character_is_cut() -> None:
    line = "é" * 100
    # 200 bytes: from 15 down to 14, to 155 down to 154.
    assert trim_line(line, 75) == "{snip} " + "é" * 70 + " {snip}"
    assert trim_line("é" * 75, 75) == "é" * 75
    assert trim_line("\N{GRINNING FACE}" * 50, 73) == "{snip} " + "\N{GRINNING FACE}" * 35 + " {snip}"


def test_text_that_was_decoded_leniently_is_trimmed_too() -> None:
    assert trim_line("\ud800" * 60, 0) == "\ud800" * 46 + " {snip}"


@given(st.text(st.sampled_from("aé€\N{GRINNING FACE}"), min_size=40, max_size=300), st.integers(0, 1300))
def test_what_is_kept_is_a_part_of_the_line_of_about_140_bytes(line: str, column: int) -> None:
    trimmed = trim_line(line, column)
    kept = trimmed.removeprefix("{snip} ").removesuffix(" {snip}")
    assert kept in line
    if len(line.encode()) <= 150:
        assert trimmed == line
    else:
        assert 136 <= len(kept.encode()) <= 148
        assert trimmed.startswith("{snip} ") or line.startswith(kept)
        assert trimmed.endswith(" {snip}") or line.endswith(kept)


LINES = st.lists(st.text(st.sampled_from("aé\r\N{GRINNING FACE}"), max_size=90), max_size=9)


@given(LINES, st.lists(st.tuples(st.integers(0, 11), st.integers(0, 400), st.integers(0, 6)), max_size=12))
def test_a_file_asked_again_and_again_gives_what_it_gives_once(
    lines: list[str], questions: list[tuple[int, int, int]]
) -> None:
    source = SourceText(text := "\n".join(lines))
    for line, column, around in questions:
        assert source.context(line, column, around) == get_context(text, line, column, around)


def test_a_long_line_that_is_asked_for_again_and_again_is_encoded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded: list[str] = []

    def encode(line: str) -> bytes:
        encoded.append(line)
        return line.encode()

    monkeypatch.setattr(context, "_encoded", encode)
    source = SourceText("é" * 10_000)
    for column in range(100):
        source.context(1, column)
    assert len(encoded) < 10
