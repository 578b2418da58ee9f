"""JSON is taken and refused as by serde_json, its errors are where they are, and no depth is too deep."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.strict_json import JsonError, Walker, check_object, text_of


def pass_over(text: str) -> None:
    """Walk over one value, and see that there is nothing more."""
    walker = Walker(text.encode())
    walker.skip()
    walker.end()


def refusal(text: str) -> tuple[str, int, str | None, str | None]:
    with pytest.raises(JsonError) as caught:
        pass_over(text)
    error = caught.value
    return error.problem, error.offset, error.found, error.expected


@pytest.mark.parametrize(
    ("text", "offset", "found", "expected"),
    [
        ("", 0, "the end", "a value"),
        (" ]", 1, "']'", "a value"),
        ("tru", 0, "true", "a value"),
        ("[1,]", 3, "']'", "a value"),
        ("[1,2,[],x", 8, "'x'", "a value"),
        ("[[[1 2", 5, "a number", "',' or ']'"),
        ("[[1},2]", 3, "'}'", "',' or ']'"),
        ('[{"a":1]', 7, "']'", "',' or '}'"),
        ('[[{"a":[1]}},2]', 11, "'}'", "',' or ']'"),
        ("[[1] ] ]", 7, "']'", None),
        ('{"a":1,}', 7, "'}'", "a name and ':'"),
        ('{"a":1,"b" 2}', 7, "a string", "a name and ':'"),
        ('{"a":[],"b":}', 12, "'}'", "a value"),
        ('{"a":{"b":[]},1:2}', 14, "a number", "a name and ':'"),
        ("[\xff", 1, "0xc3", "a value"),
        ('["\x1f"]', 1, "a string", "a value"),
    ],
)
def test_an_error_says_where_it_is(text: str, offset: int, found: str, expected: str | None) -> None:
    problem = "has more after it" if expected is None else "is not JSON"
    assert refusal(text) == (problem, offset, found, expected)


SCALARS = [
    "0", "-0", "12", "1.5", "-1e5", "1E+5", "1e-400", "1e999", "9" * 400, "true", "false", "null", '""',
    r'"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"', r'"\ud800"', '"\x7f\u2028"', '"' + "\\n" * 2000 + '"',
]  # fmt: skip
WRONG = [
    "01", "+1", "-", ".5", "1.", "1e", "1e+", "0x1", "1_0", "NaN", "Infinity", "True", "nul", "nulll",
    "/**/1", "[,1]", "{1:2}", "1 2", "[1 2]", "\x0b1", f"[{'1,' * 2000}]", '"', '"\\', '"\n"', '"\0"',
    r'"\x"', r'"\u12"', r'"\u12g4"', r'"\U0001"', '"' + "\\n" * 2000 + r'\q"',
]  # fmt: skip


def test_numbers_words_and_strings_are_those_of_json() -> None:
    for value in SCALARS:
        for text in (value, f"[{value}]", f'{{"\\udc00":{value} , "":[ {value}, {value}]}}'):
            pass_over(text)
    for value in WRONG:
        for text in (value, f"[{value}]", f'{{"":{value}}}'):
            refusal(text)


TOKENS = [
    "[", "]", "{", "}", "[[", "]]", "}]", ",", ":", '"a"', '"a":', '"\\u12', "-1.5e3", "01", "true", "[]",
    "{ }", " ",
]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join))
def test_a_value_is_passed_over_if_a_json_library_takes_it(text: str) -> None:
    def refuse(_: str) -> None:
        raise ValueError

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        refusal(text)
    else:
        pass_over(text)


@given(st.text() | st.text('\\/"u0123dDaf\n'))
def test_a_string_means_what_a_json_library_says(text: str) -> None:
    for written in (json.dumps(text), f'"{text}"'):
        try:
            expected = json.loads(written)
            expected.encode()
        except ValueError:
            with pytest.raises(JsonError):
                read_whole(written)
        else:
            assert read_whole(written) == expected


def read_whole(written: str) -> str:
    walker = Walker(written.encode(errors="surrogatepass"))
    text = walker.text(walker.string())
    walker.end()
    return text


@pytest.mark.parametrize("unit", ["[", "[ ", '{"":', '[{"a" : ', "[1,", '{"a":1,"b":[2,{},'])
def test_any_depth_is_passed_over_in_little_memory(unit: str) -> None:
    closing = "".join(" ]" if bracket == "[" else "}" for bracket in reversed(unit) if bracket in "[{")
    if "{}" in unit:
        closing = "]}"
    data = (unit * 20_000 + "1" + closing * 20_000).encode()
    walker = Walker(data)
    tracemalloc.start()
    try:
        walker.skip()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    walker.end()
    assert peak < 2 * len(data)


def test_brackets_are_counted_where_there_is_a_limit() -> None:
    data = b'[[[[]]],{"a":[1],"b":{}},[],[2]]'
    # [[[ and ]], { and [, ], }, [ and ]]
    Walker(data, most=8).skip()
    with pytest.raises(JsonError, match="has too many brackets at offset 30"):
        Walker(data, most=7).skip()


@pytest.mark.parametrize("text", ["{}", ' { "x" : [1, {"path": 2}] , "y":"\\ud800" } ', '{"\\u0078":1}'])
def test_an_object_of_other_names_passes(text: str) -> None:
    check_object(text, without={"path", "url"})


@pytest.mark.parametrize(
    ("text", "problem", "found"),
    [
        ("", "is not JSON", "the end"),
        ("[]", "has the wrong type", "a list"),
        ('{"x":1}}', "has more after it", "'}'"),
        ('{"x":1},"files/b.js":{"a":1}', "has more after it", "','"),
        ('{"x":NaN}', "is not JSON", "'N'"),
        ('{"path":1}', "has a name that it may not have", "'path'"),
        ('{"x":1,"\\u0070ath":1}', "has a name that it may not have", "'path'"),
        ('{"x":1,"\\u0078":1}', "has a name twice", "'x'"),
        ('{"\\ud800":1}', "has a lone surrogate", "'\\ud800'"),
        ('{"\ud800":1}', "is not UTF-8", "0xed"),
        ("\ufeff{}", "is not JSON", "0xef"),
    ],
)
def test_what_is_no_such_object_is_refused(text: str, problem: str, found: str) -> None:
    with pytest.raises(JsonError) as caught:
        check_object(text, without={"path", "url"})
    assert (caught.value.problem, caught.value.found) == (problem, found)


def test_a_string_is_handed_out_as_it_is_written() -> None:
    walker = Walker(b' { "\\u0061" : "b\\n", "c":"" } ')
    taken = [(name, walker.string()) for name in walker.members()]
    assert taken == [(b'"\\u0061"', b'"b\\n"'), (b'"c"', b'""')]
    assert [(text_of(name), text_of(value)) for name, value in taken] == [("a", "b\n"), ("c", "")]
