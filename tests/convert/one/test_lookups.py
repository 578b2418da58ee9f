"""Tables out of maps: the answers are symbolic's, and texts are where they say."""

import json
import random
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from symbolic.sourcemap import SourceMapView
from symbolic.sourcemapcache import SourceMapCache

from srcpack.format.lookup_table import LookupTable
from srcpack.format.lookups import ABSENT, EMBEDDED, ENTRY
from srcpack.records import LookupRecord
from srcpack_convert.one import lookups
from srcpack_convert.one.lookups import build_table
from srcpack_convert.one.map_contents import line_steps, locate_contents
from srcpack_convert.one.table import NoTable, Table
from support.source_maps import ask_symbolic, indexed_map, packed_map, source_map
from support.tables import original

SCRIPT = b"function f(a){return a.b(function(){g()})}\nclass C{m(){let x=()=>f();return x}}\n\nf(new C)"


def opened(table: Table) -> LookupTable:
    record = LookupRecord(0, len(table.data), table.head, table.data[table.head - 4 : table.head])
    return LookupTable(
        record, 0, lambda offset, length: table.data[offset : offset + length], file="a.srcpack"
    )


def places_of(packed: bytes, script: bytes) -> list[tuple[int, int]]:
    """Return places before, at and after each token, and others; from 1."""
    places = {(1, 1), (1, 2**31), (2, 1), (3, 1), (4, 7), (99, 1)}
    for token in SourceMapView.from_json_bytes(packed):
        for column in (token.dst_col - 1, token.dst_col, token.dst_col + 1):
            places.add((token.dst_line + 1, max(column, 0) + 1))
        places.add((token.dst_line + 2, token.dst_col + 1))
    for number, line in enumerate(script.decode().split("\n"), 1):
        places |= {(number, column) for column in range(1, len(line) + 3, 3)}
    return sorted(place for place in places if place[0] < 2**31)


def check_against_symbolic(script: bytes, packed: bytes) -> LookupTable:
    table = opened(build_table(script, packed, 0, {}))
    cache = SourceMapCache.from_bytes(script, packed)
    for place in places_of(packed, script):
        assert original(table, *place) == ask_symbolic(cache, *place), place
    rows = list(table.rows())
    assert len(rows) == table.head.rows
    assert len(list(table.strings())) == table.head.strings
    assert len(list(table.texts())) == table.head.sources
    return table


# ---- answers

NAMES = st.one_of(
    st.none(),
    st.sampled_from(["", "f", "\0", "\U0001f600", "a\u2028b"]),
    st.text(max_size=5),
    st.integers(0, 9),
)
SOURCES = st.one_of(
    st.none(),
    st.sampled_from(["", "a.ts", "/abs.ts", "webpack:///b.ts", "https://h/c.ts", "\U0001f600.ts"]),
    st.text(max_size=6),
)
TEXTS = st.one_of(st.none(), st.text(max_size=30), st.sampled_from(["", "a\r\nb", "x\n" * 200, 'q"\\\n']))


@st.composite
def plain_maps(draw: st.DrawFn) -> dict[str, Any]:
    sources, names = draw(st.lists(SOURCES, max_size=4)), draw(st.lists(NAMES, max_size=4))
    segments = []
    for line in sorted(draw(st.lists(st.integers(0, 4), max_size=20))):
        segment = [line, draw(st.integers(0, 60))]  # in a line in any order, and twice the same
        kind = draw(st.sampled_from((0, 1, 1, 2, 2, 2)))
        if kind and sources:
            segment += [draw(st.integers(0, len(sources) - 1)), *draw(st.tuples(*[st.integers(0, 300)] * 2))]
            if kind > 1 and names:
                segment.append(draw(st.integers(0, len(names) - 1)))
        segments.append(segment)
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more["sourceRoot"] = draw(st.sampled_from(["", "/", "root", "root/", "https://h/r"]))
    if draw(st.booleans()):
        more["sourcesContent"] = draw(st.lists(TEXTS, max_size=len(sources)))
    if draw(st.booleans()):
        functions = {"names": ["<global>", "h", ""], "mappings": "AAA,CCA;ADC,KCC"}
        more["x_facebook_sources"] = [draw(st.sampled_from((None, [functions]))) for _ in sources]
    return source_map(segments, sources, names, **more)


@st.composite
def maps(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return draw(plain_maps())
    offsets = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=3))
    return indexed_map(*((line, column, draw(plain_maps())) for line, column in offsets))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    maps(),
    st.sampled_from(
        [SCRIPT, b"", "/*\U0001f600\xe9*/".encode() + SCRIPT, b"no script(", b"\xef\xbb\xbf" + SCRIPT]
    ),
)
def test_every_answer_is_symbolics(value: dict[str, Any], script: bytes) -> None:
    packed = packed_map(value)
    try:
        SourceMapCache.from_bytes(script, packed)
    except Exception:  # noqa: BLE001  all that symbolic refuses, of its own kind
        with pytest.raises(NoTable, match=r"^symbolic: "):
            build_table(script, packed, 0, {})
        return
    check_against_symbolic(script, packed)


def test_columns_count_utf16_units() -> None:
    """An astral character counts two, in the map and where symbolic finds the function around a token."""
    script = "/*\U0001f600\U0001f600*/function f(){g()}".encode()
    begin = "/*\U0001f600\U0001f600*/".encode("utf-16-le")
    units = len(begin) // 2
    packed = packed_map(source_map([(0, units - 1, 0, 0, 0), (0, units, 0, 1, 0)], ["a.ts"]))
    table = check_against_symbolic(script, packed)
    before, inside = original(table, 1, units), original(table, 1, units + 1)
    assert before is not None
    assert inside is not None
    assert (before.function, inside.function) == ("<unknown>", "f")


def test_a_table_of_many_blocks_says_what_symbolic_says() -> None:
    draw = random.Random(7)
    segments = []
    for line in range(12):
        for column in sorted(draw.sample(range(3000), 120)):
            kind = draw.randrange(8)
            segment = [line, column]
            if kind:
                segment += [draw.randrange(40), draw.randrange(3000), draw.randrange(200)]
            if kind > 3:
                segment.append(draw.randrange(1500))
            segments.append(segment)
    names = [f"name_{number}" for number in range(1500)]
    packed = packed_map(source_map(segments, [f"src/{number}.ts" for number in range(40)], names))
    table = check_against_symbolic(SCRIPT, packed)
    assert len(table.head.row_places) > 2
    assert len(table.head.first_strings) > 2
    assert table.head.inside is None


def test_rows_that_say_nothing_new_are_left_out() -> None:
    segments = [(0, 0), (0, 4, 0, 1, 1), (0, 8, 0, 1, 1), (0, 9), (0, 12), (1, 0), (2, 0, 0, 1, 1)]
    table = check_against_symbolic(SCRIPT, packed_map(source_map(segments, ["a.ts"])))
    assert [row[:2] for row in table.rows()] == [(0, 4), (0, 9), (2, 0)]


def test_of_several_tokens_at_a_place_the_answers_source_is_taken() -> None:
    segments = [(0, 5, 0, 1, 1), (0, 5, 1, 2, 2), (0, 9, 2, 0, 0), (0, 9, 1, 0, 0)]
    packed = packed_map(source_map(segments, ["a", "b", "a"], sourcesContent=["first", "second", "third"]))
    table = check_against_symbolic(SCRIPT, packed)
    cache = SourceMapCache.from_bytes(SCRIPT, packed)
    for place in ((1, 6), (1, 10)):
        row = table.row(*place)
        token = cache.lookup(*place, 1)
        assert row is not None
        assert token is not None
        text = table.text(row.source)
        line = packed[text.start : text.start + text.length].decode()
        assert token.context_line in (None, line)


# ---- texts


def texts_of(value: dict[str, Any], entries: dict[bytes, int] | None = None) -> list[Any]:
    packed = packed_map(value)
    table = opened(build_table(SCRIPT, packed, 0, entries or {}))
    found: list[Any] = []
    for text in table.texts():
        if text.kind == EMBEDDED:
            found.append(json.loads(b'"' + packed[text.start : text.start + text.length] + b'"'))
        else:
            found.append(text.entry if text.kind == ENTRY else None)
            assert text.kind in (ABSENT, ENTRY)
    return found


SEGMENTS = [(0, 0, 0, 0, 0), (0, 5, 1, 0, 0), (0, 9, 2, 0, 0), (1, 1, 3, 0, 0)]


def test_the_text_of_a_source_is_in_an_entry_or_in_the_map_or_nowhere() -> None:
    texts = ['a\n"\\\U0001f600', None, "", "in an entry"]
    value = source_map(SEGMENTS, ["a", "b", "c", "d"], sourcesContent=texts)
    entries = {sha256(b"in an entry").digest(): 12, sha256(b"").digest(): 13}
    assert texts_of(value, entries) == ['a\n"\\\U0001f600', None, "", 12]
    assert texts_of(source_map(SEGMENTS, ["a", "b", "c", "d"], sourcesContent=["a"])) == ["a", *[None] * 3]
    assert texts_of(source_map(SEGMENTS, ["a", "b", "c", "d"])) == [None] * 4


def test_an_indexed_maps_sources_are_put_together_as_symbolic_does() -> None:
    first = source_map(SEGMENTS, ["a", "b", "c", "d"], sourcesContent=["A", None, "C"])
    second = source_map(SEGMENTS, ["c", "b", "e", "d"], sourcesContent=["other", "B", "E", "D"])
    value = indexed_map((0, 0, first), (5, 0, second))
    view = SourceMapView.from_json_bytes(packed_map(value))
    expected = [view.get_source_contents(number) for number, _ in view.iter_sources()]
    assert texts_of(value) == expected
    assert set(filter(None, expected)) == {"A", "B", "other", "D", "E"}, "the last one of a name counts"


@given(
    st.lists(
        st.sampled_from(["a", "\n", "\r\n", "\\n", '"', "\xe9", "\U0001f600", "\u2028", "\\", "u000a"]),
        max_size=150,
    ),
    st.booleans(),
)
def test_steps_lead_to_the_beginning_of_every_64th_line(pieces: list[str], is_ascii: bool) -> None:
    text = "".join(pieces) + "\n" * 130
    letters = json.dumps(text, ensure_ascii=is_ascii).encode()[1:-1]
    if is_ascii:
        letters = letters.replace(b"\\u000A", b"\\n")
    begin = 0
    for number, step in enumerate(line_steps(letters), 1):
        begin += step
        rest = json.loads(b'"' + letters[begin:] + b'"')
        assert rest == text.split("\n", 64 * number)[-1]
    assert len(line_steps(letters)) == text.count("\n") // 64


def test_line_feeds_may_be_written_by_their_number() -> None:
    assert line_steps(rb"\u000a" * 64 + rb"\u000A" * 64 + rb"\\n" * 99) == [64 * 6, 64 * 6]


def test_a_map_is_cut_to_what_answers_need() -> None:
    texts = '["\xe9\\n", null ]'
    whole = f' {{"version":3,"sourcesContent" : {texts},"sources":["a","b"],"mappings":"AAAA"}}'.encode()
    contents = locate_contents(b")]}'\n" + whole)
    assert contents.thin == b")]}'\n" + whole.replace(texts.encode(), b"null")
    first, second = contents.texts
    assert second is None
    assert first is not None
    assert (b")]}'\n" + whole)[first.start : first.start + first.length] == "\xe9\\n".encode()
    assert first.sha256 == sha256("\xe9\n".encode()).digest()
    assert not contents.has_sections


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b'{"sourcesContent":[1]}',
        b'{"sourcesContent":{}}',
        b'{"sourcesContent":["\\ud800"]}',
        b'{"sourcesContent":["\xff"]}',
        b'{"sourcesContent":["a"]} x',
        b'{"sections":[1]}',
        b")]}' on one line",
        b'{"sourcesContent":["a"],"x":' + b"[" * 9999,
    ],
)
def test_a_map_that_is_not_as_it_should_be_is_left_to_symbolic(wrong: bytes) -> None:
    assert locate_contents(wrong) == ([], wrong, False)
    with pytest.raises(NoTable, match=r"^symbolic: "):
        build_table(SCRIPT, wrong, 0, {})


# ---- bounds


def test_a_map_over_a_bound_has_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = packed_map(source_map(SEGMENTS, ["a", "b", "c", "d"]))
    monkeypatch.setattr(lookups, "MAX_TOKENS", 3)
    with pytest.raises(NoTable, match="the map has 4 tokens, over the limit of 3"):
        build_table(SCRIPT, packed, 0, {})
    monkeypatch.undo()
    monkeypatch.setattr(lookups, "MAX_LOOKUP_HEAD", 30)
    with pytest.raises(NoTable, match=r"a head of .* bytes, over the limit of 30"):
        build_table(SCRIPT, packed, 0, {})


@pytest.mark.parametrize(
    ("before", "repeated", "after"),
    [
        (b'"x":[', b"[[],0]", b"]"),
        (b'"x":[', b'{"":[]}', b"]"),
        (b'"sourcesContent":[', b'""', b"]"),
        (b'"sections":[', b'{"map":{}}', b"]"),
        (b"", b'"":0', b""),
    ],
)
def test_a_map_that_is_nearly_all_brackets_has_no_table(before: bytes, repeated: bytes, after: bytes) -> None:
    def of(number: int) -> bytes:
        return b'{"version":3,' + before + b",".join([repeated] * number) + after + b"}"

    assert locate_contents(of(2000)).thin
    with pytest.raises(NoTable, match="the map has too many brackets"):
        build_table(SCRIPT, of(20_000), 0, {})


def test_a_line_or_a_string_over_a_bound_has_no_table() -> None:
    far = packed_map(source_map([(0, 0, 0, 2**30, 0)], ["a"]))
    with pytest.raises(NoTable, match="a line or column 1,073,741,824, over the limit"):
        build_table(SCRIPT, far, 0, {})
    long = packed_map(source_map([(0, 0, 0, 0, 0)], ["a" * (1 << 20)]))
    with pytest.raises(NoTable, match="a block of 1,048,577 bytes, over the limit"):
        build_table(SCRIPT, long, 0, {})
