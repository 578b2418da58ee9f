"""What is discovered in contents: map references and debug ids in comments, debug ids in source maps."""

import json
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.debug_id import DebugId
from srcpack.rules.references_in_content import (
    discover_debug_id,
    discover_source_map_debug_id,
    discover_source_map_reference,
)

ONE = "3f2a9c10-7b44-4e0d-9a61-00c5d8e7b1f2"
TWO = "b7e15162-8aed-4a9b-8b5d-2e0a1f3c4d5e"


@pytest.mark.parametrize(
    ("content", "reference"),
    [
        (b"f()\n//# sourceMappingURL=out.js.map\n", "out.js.map"),
        (b"f() //@ sourceMappingURL=out.js.map", "out.js.map"),
        (b"//# sourceMappingURL=a.map\n//@ sourceMappingURL=b.map\nf()", "b.map"),
        (b"//@ sourceMappingURL=a.map\n//# sourceMappingURL=b.map\nf()", "b.map"),
        (b"//# sourceMappingURL= \t\r\n\x0cout.map rest", "out.map"),
        (b"//# sourceMappingURL=out\x0bput.map\x0crest", "out\x0bput.map"),
        (b"//# sourceMappingURL=out.map?v=1#top", "out.map"),
        (b"//# sourceMappingURL=out.map#top?v=1", "out.map"),
        (b"//# sourceMappingURL=?v=1", ""),
        (b"//# sourceMappingURL=", ""),
        (b"//# sourceMappingURL= \n\n", ""),
        (b"//# sourceMappingURL=data:application/json;base64,e30=\n", "data:application/json;base64,e30="),
        ("s=1 //# sourceMappingURL=ö\u00a0ü.map\u2028f()".encode(), "ö\u00a0ü.map\u2028f()"),
        (b'x="//# sourceMappingURL=a.map";', 'a.map";'),
        (b"//# sourceMappingURL=a.map\n/*# sourceMappingURL=b.map */", "a.map"),
        (b"//# sourceMappingURL=//# sourceMappingURL=a.map", "a.map"),
        (b"", None),
        (b"sourceMappingURL=a.map", None),
        (b"//#  sourceMappingURL=a.map", None),
        (b"//#\tsourceMappingURL=a.map", None),
        (b"//! sourceMappingURL=a.map", None),
        (b"//# sourcemappingurl=a.map", None),
        (b"//# sourceMappingURL =a.map", None),
    ],
)
def test_the_reference_is_the_value_of_the_last_comment(content: bytes, reference: str | None) -> None:
    assert discover_source_map_reference(content) == reference


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"f()\n//# debugId={ONE}\n", ONE),
        (f"f() //# debugId= {ONE} //", ONE),
        (f"//# debugId={ONE}\n//# debugId={TWO}\n", TWO),
        (f"//# debugId={ONE.upper()}-A", f"{ONE}-a"),
        (f"//# debugId={ONE}\x0b", None),
        (f"//# debugId={ONE}?x", None),
        (f"//# debugId={ONE}\n//# debugId=later", None),
        (f"//# debugId={ONE}\n//# debugId=", None),
        (f"//# debugId={ONE}-12345678ä", None),
        (f"//@ debugId={ONE}", None),
        (f"//# debug_id={ONE}", None),
        ("", None),
    ],
)
def test_the_debug_id_is_that_of_the_last_comment_valid_or_not(content: str, expected: str | None) -> None:
    found = discover_debug_id(content.encode())
    assert found == (DebugId.parse(expected) if expected else None)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\xaf"])
def test_nothing_is_discovered_in_what_is_not_utf8(bad: bytes) -> None:
    for content in (bad + b"\n%b", b"%b\n" + bad):
        assert discover_source_map_reference(content % b"//# sourceMappingURL=a.map") is None
        assert discover_debug_id(content % b"//# debugId=%b" % ONE.encode()) is None
    assert discover_source_map_debug_id(b'{"debugId":"%b","x":"%b"}' % (ONE.encode(), bad)) is None


@pytest.mark.parametrize("shift", range(4))
def test_characters_at_the_edges_of_the_parts_that_are_checked(shift: int) -> None:
    """UTF-8 is checked in parts of 64 KiB; a character of 4 bytes lies across an edge in turn."""
    content = b"x" * ((1 << 16) - shift) + "\N{GRINNING FACE}".encode() + b"//# sourceMappingURL=a"
    assert discover_source_map_reference(content) == "a"
    assert discover_source_map_reference(content.replace(b"\x98", b"x")) is None


COMMENT_TOKENS = [
    "//# ", "//@ ", "//", "# ", "sourceMappingURL=", "debugId=", "a.map", ONE, "1", "é", *" \n\x0b\x0c?#",
]  # fmt: skip
COMMENT_PARTS = st.lists(st.sampled_from(COMMENT_TOKENS), max_size=14).map(
    lambda parts: "".join(parts).encode()
)


@given(COMMENT_PARTS)
def test_comments_are_found_as_a_plain_search_from_the_start_finds_them(content: bytes) -> None:
    references = re.findall(rb"(?=//[#@] sourceMappingURL=[ \t\n\f\r]*([^ \t\n\f\r?#]*))", content)
    assert discover_source_map_reference(content) == (references[-1].decode() if references else None)
    ids = re.findall(rb"(?=//# debugId=[ \t\n\f\r]*([^ \t\n\f\r]*))", content)
    try:
        expected = DebugId.parse(ids[-1].decode()) if ids else None
    except ValueError:
        expected = None
    assert discover_debug_id(content) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"version":3,"debug_id":"@1"}', ONE),
        (' \t\r\n{ "debugId" : "@1" , "version" : 3 } \n', ONE),
        ('{"debug_id":"@1","debugId":"@2"}', ONE),
        ('{"debugId":"@2","debug_id":"@1"}', ONE),
        ('{"debugId":"@2","debug_id":null}', TWO),
        ('{"debugId":null,"debug_id":"@1"}', ONE),
        ('{"debugId":null}', None),
        ('{"\\u0064ebug\\u005fid":"@1"}', ONE),
        ('{"debugI\\u0064":"@1"}', ONE),
        ('{"debug_id":"\\u0033' + ONE[1:] + '"}', ONE),
        ('{"debugid":"@1"}', None),
        ('{"debug-id":"@1"}', None),
        ('{"debugId ":"@1"}', None),
        ('{"x":{"debug_id":"@1"}}', None),
        ('{"x":"debug_id"}', None),
        ('{"x":{"debug_id":5,"debug_id":5},"debugId":"@1"}', ONE),
        ('{"a":1,"a":2,"debugId":"@1"}', ONE),
        ('["debugId",{"debugId":"@1"}]', None),
        ('"debugId"', None),
        ("", None),
    ],
)
def test_a_source_map_has_its_id_at_the_top(text: str, expected: str | None) -> None:
    content = text.replace("@1", ONE).replace("@2", TWO).encode()
    assert discover_source_map_debug_id(content) == (DebugId.parse(expected) if expected else None)


REFUSED = [
    '{"debug_id":"@1","debug_id":"@1"}', '{"debug_id":null,"debug_id":"@1"}',
    '{"debug_id":"@1","debug\\u005fid":"@1"}', '{"debug_id":"@1","debugId":"nope"}',
    '{"debug_id":"@1","debugId":""}', '{"debug_id":"@1","debugId":7}', '{"debug_id":"@1","debugId":true}',
    '{"debug_id":["@1"]}', '{"debug_id":{"x":"@1"}}', '{"debug_id":"@1\\ud800"}', '{"debug_id":" @1"}',
    '{"debug_id":"@1"', '{"debug_id":"@1"}}', '{"debug_id":"@1"} x', '{"debug_id":"@1"}\0',
    '{"debug_id":"@1",}', '{,"debug_id":"@1"}', '{"debug_id":"@1" "x":1}', '{"debug_id" "@1"}',
    "{'debug_id':\"@1\"}", '{debug_id:"@1"}', ')]}\'\n{"debug_id":"@1"}', '\ufeff{"debug_id":"@1"}',
    '\u00a0{"debug_id":"@1"}', '\x0c{"debug_id":"@1"}', '//\n{"debug_id":"@1"}',
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_source_map_that_is_not_accepted_has_no_id(text: str) -> None:
    assert discover_source_map_debug_id(text.replace("@1", ONE).encode()) is None


def test_a_key_that_is_not_utf8_is_an_error() -> None:
    assert discover_source_map_debug_id(b'{"debug_id":"%s","v\xff":1}' % ONE.encode()) is None
    assert discover_source_map_debug_id(b'{"v\xff":1,"debug_id":"%s"}' % ONE.encode()) is None


def test_json_errors_anywhere_leave_no_id() -> None:
    """What errors there are is for `strict_json` to say."""
    for value, expected in (("[1e5,{}]", ONE), ('"\\ud800"', ONE), ("[1,]", None), ("NaN", None), ("", None)):
        for text in (f'{{"debugId":"{ONE}","x":{value}}}', f'{{"x":{value},"debugId":"{ONE}"}}'):
            found = discover_source_map_debug_id(text.encode())
            assert found == (DebugId.parse(expected) if expected else None), text


def test_a_key_or_id_with_a_lone_surrogate_escaped_is_an_error_and_a_pair_is_not() -> None:
    """Only where the text counts: symbolic reads all keys at the top, and skips what is below."""
    for key, accepted in (
        ("\\ud800", False),
        ("\\udc00\\ud800", False),
        ("\\ud800\\ud800\\udc00", False),
        ("\\ud800x", False),
        ("\\uD83D\\uDE00", True),
        ("\\\\ud800", True),
        ("\\ud7ff\\ue000", True),
    ):
        found = discover_source_map_debug_id(f'{{"debugId":"{ONE}","{key}":1}}'.encode())
        assert (found is not None) == accepted, key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["@1",null]', ONE),
        (' [ null , "@1" ] ', ONE),
        ('["@1","@2"]', TWO),
        ("[null,null]", None),
        ('["@1"]', None),
        ('["@1",null,null]', None),
        ('["@1",null,]', None),
        ('["@1","nope"]', None),
        ('["@1",null]]', None),
        ("[]", None),
    ],
)
def test_an_array_of_both_ids_is_read_as_serde_reads_it(text: str, expected: str | None) -> None:
    content = text.replace("@1", ONE).replace("@2", TWO).encode()
    assert discover_source_map_debug_id(content) == (DebugId.parse(expected) if expected else None)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.sampled_from([ONE, TWO]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["debugId", "x"]), inner),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from(["debug_id", "debugId"]) | st.text(max_size=5),
        JSON_VALUES | st.sampled_from([ONE, TWO]),
    ),
    st.booleans(),
    st.sampled_from([None, 1, " "]),
    st.sampled_from(["", "", "", " \n", "]", "\0"]),
)
def test_ids_are_found_as_a_json_library_finds_them(
    fields: dict[str, Any], ascii_only: bool, indent: int | str | None, tail: str
) -> None:
    text = json.dumps(fields, ensure_ascii=ascii_only, indent=indent) + tail
    assert discover_source_map_debug_id(text.encode()) == _found_by_json(text)


def _found_by_json(text: str) -> DebugId | None:
    def refuse(_: str) -> None:
        raise ValueError

    try:
        pairs = json.loads(text, parse_constant=refuse, object_pairs_hook=tuple)
    except ValueError:
        return None
    if not isinstance(pairs, tuple):
        return None
    ids = [(key, value) for key, value in pairs if key in ("debug_id", "debugId")]
    if len(dict(ids)) < len(ids):
        return None
    try:
        parsed = {key: DebugId.parse(value) for key, value in ids if value is not None}
    except (TypeError, ValueError):
        return None
    return parsed.get("debug_id") or parsed.get("debugId")


@pytest.mark.parametrize(
    "filling",
    [
        '"x":' + '{"":' * 9_000 + "1" + "}" * 9_000,
        '"x":"' + "\N{GRINNING FACE}" * 100_000 + '"',
        '"' + "\\u0061" * 100_000 + '":1',
        '"a' + "\N{GRINNING FACE}" + "a" * 400_000 + '":1',
        '"debug_id":"' + ONE + "-12345678" + "\\u0061" * 100_000 + '"',
    ],
    ids=lambda filling: f"{filling[:8]}...{filling[-8:]}",
)
def test_nesting_and_size_cost_neither_stack_nor_memory(filling: str) -> None:
    content = f'{{{filling},"debugId":"{ONE}"}}'.encode()
    tracemalloc.start()
    try:
        found = discover_source_map_debug_id(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(found).startswith(ONE)
    assert peak < 3 * len(content)


@pytest.mark.parametrize("unit", ["[[]],", '{"":[]},'])
def test_a_map_of_nothing_but_brackets_has_no_id(unit: str) -> None:
    """Each costs as much as a hundred other bytes; symbolic finds the id in both."""
    few, many = (f'{{"debugId":"{ONE}","x":[{unit * number}1]}}'.encode() for number in (5000, 20_000))
    assert discover_source_map_debug_id(few) == DebugId.parse(ONE)
    assert discover_source_map_debug_id(many) is None
