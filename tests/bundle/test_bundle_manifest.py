"""manifest.json is read as strictly as symbolic reads it, and nothing of it is lost."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from srcpack.bundle.manifest_json import dump_manifest, parse_manifest
from srcpack.errors import FormatError
from srcpack.records import BundleManifest, FileInfo, FileType
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_zip


def parsed(data: str | bytes) -> BundleManifest:
    return parse_manifest(data.encode() if isinstance(data, str) else data, file="b.zip")


def refusal(data: str | bytes) -> str:
    with pytest.raises(FormatError) as caught:
        parsed(data)
    prefix = "b.zip: 'manifest.json': "
    assert caught.value.member == "manifest.json"
    assert str(caught.value).startswith(prefix)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(prefix)


def one_file(entry: str) -> FileInfo:
    return parsed('{"files":{"a.js":' + entry + "}}").files["a.js"]


def test_all_that_a_manifest_can_say_is_read() -> None:
    manifest = parsed(
        ' { "files" : { "b" : { "type" : "minified_source" , "path" : "/b" , "url" : "~/b" ,'
        ' "headers" : { "debug-id" : "1" , "Sourcemap" : "b.map" } } , "a" : { } } ,'
        ' "source_links" : { "/src/*" : "https://e/*" } , "org" : "o" } \r\n\t'
    )
    assert manifest == BundleManifest(
        files={
            "b": FileInfo(
                type=FileType.MINIFIED_SOURCE,
                path="/b",
                url="~/b",
                headers=(("debug-id", "1"), ("Sourcemap", "b.map")),
            ),
            "a": FileInfo(),
        },
        source_links={"/src/*": "https://e/*"},
        attributes={"org": "o"},
    )
    assert list(manifest.files) == ["b", "a"]


def test_a_missing_key_is_told_from_an_empty_one() -> None:
    assert parsed("{}") == BundleManifest(files={}, source_links=None, attributes={}, has_files=False)
    assert parsed('{"files":{},"source_links":{}}') == BundleManifest(
        files={}, source_links={}, attributes={}
    )
    assert one_file("{}") == FileInfo()
    assert one_file('{"path":"","url":"","headers":{}}') == FileInfo(path="", url="", headers=())
    assert one_file('{"type":null}') == FileInfo(type_is_null=True)


def test_the_last_of_duplicates_counts_where_symbolic_has_a_map() -> None:
    assert parsed('{"org":"1","org":"2"}').attributes == {"org": "2"}
    assert parsed('{"source_links":{"a":"1","a":"2"}}').source_links == {"a": "2"}
    assert parsed('{"files":{"a":{"url":"1"},"b":{},"a":{"url":"2"}}}').files == {
        "a": FileInfo(url="2"),
        "b": FileInfo(),
    }
    assert one_file('{"headers":{"x":"1","y":"2","x":"3"}}').headers == (("x", "3"), ("y", "2"))


def test_fields_in_another_order_and_with_escapes_are_the_same() -> None:
    assert one_file('{"headers":{"\\u0061":"\\n"},"url":"\\ud83d\\ude00","type":"source"}') == FileInfo(
        type=FileType.SOURCE, url="\U0001f600", headers=(("a", "\n"),)
    )
    assert one_file('{"\\u0074ype":"source"}') == FileInfo(type=FileType.SOURCE)


def test_what_serde_takes_for_a_struct_and_an_enum_is_taken() -> None:
    """A derived struct may be a list of its fields, a variant may be an object."""
    assert one_file('["source","p","u",{"h":"v"}]') == FileInfo(
        type=FileType.SOURCE, path="p", url="u", headers=(("h", "v"),)
    )
    assert one_file("[null]") == FileInfo(type_is_null=True)
    assert one_file('{"type":{"source_map":null}}') == FileInfo(type=FileType.SOURCE_MAP)
    assert refusal('{"files":{"a":[]}}') == "files['a'] is an empty list at offset 16"
    assert refusal('{"files":{"a":[null,"","",{},1]}}') == "files['a'] has more than 4 elements at offset 29"
    assert refusal('{"files":{"a":{"type":{"source":1}}}}') == (
        "files['a'].type has the wrong type at offset 32: found a number, expected null"
    )


VALUES = [
    "1e99999", "9" * 100_000, "-0.10E+5", '"\\ud800"', '{ "a" : [ 1 , { } ] , "a" : 2 }', "null",
    "[[[[[[[1]]]]],{}]]",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_values_of_unknown_keys_are_kept_to_the_letter(value: str) -> None:
    info = one_file('{"url":"u", "x" : ' + value + ',"path":"p","y":true}')
    assert info == FileInfo(path="p", url="u", extra=f'{{"x":{value},"y":true}}')


def test_an_unknown_value_may_be_of_any_depth() -> None:
    """serde_json skips values that nobody asks for without recursion, so a depth of 128 is no limit."""
    for value in ("[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000):
        assert one_file('{"x":' + value + "}").extra == '{"x":' + value + "}"
    assert refusal('{"x":' + "[" * 100_000) == (
        "the attribute 'x' has the wrong type at offset 5: found a list, expected a string"
    )


def test_bytes_that_are_not_utf_8_are_refused_only_where_they_are_kept() -> None:
    assert parsed(b'{"files":{"a":{"x":"\xff"}}}').files["a"].extra == '{"x":"\ufffd"}'
    assert refusal(b'{"files":{"a":{"\xff":1}}}') == "files['a'] is not UTF-8 at offset 16: found 0xff"
    assert refusal(b'{"files":{"a":{"url":"a\xed\xa0\x80"}}}') == (
        "files['a'].url is not UTF-8 at offset 23: found 0xed"
    )
    assert refusal(b'{"files":{"a\xff":{}}}') == "files is not UTF-8 at offset 12: found 0xff"
    assert refusal(b'{"source_links":{"a":"\xff"}}') == (
        "source_links['a'] is not UTF-8 at offset 22: found 0xff"
    )


REFUSED = r"""
null  the manifest has the wrong type at offset 0: found null, expected an object
[{}]  the manifest has the wrong type at offset 0: found a list, expected an object
"files"  the manifest has the wrong type at offset 0: found a string, expected an object
/* */{}  the manifest is not JSON at offset 0: found '/', expected an object
{} x  the manifest has more after it at offset 3: found 'x'
{"a"}  the manifest is not JSON at offset 4: found '}', expected ':'
{"a":"b",}  the manifest is not JSON at offset 9: found '}', expected a name
{"a":"\x"}  the attribute 'a' is not a JSON string at offset 5
{"a":"\ud800"}  the attribute 'a' has a lone surrogate at offset 5: found '\ud800'
{"x":2}  the attribute 'x' has the wrong type at offset 5: found a number, expected a string
{"x":NaN}  the attribute 'x' is not JSON at offset 5: found 'N', expected a string
{"files":null}  files has the wrong type at offset 9: found null, expected an object
{"files":[]}  files has the wrong type at offset 9: found a list, expected an object
{"files":{},"files":{}}  files is given twice at offset 20
{"source_links":null}  source_links has the wrong type at offset 16: found null, expected an object
{"source_links":{},"source_links":{}}  source_links is given twice at offset 34
{"source_links":{"a":1}}  source_links['a'] has the wrong type at offset 21: found a number, expected a string
{"files":{"a":null}}  files['a'] has the wrong type at offset 14: found null, expected an object or list
{"files":{"a":{"type":1}}}  files['a'].type has the wrong type at offset 22: found a number, expected a string
{"files":{"a":{"type":{}}}}  files['a'].type is an empty object at offset 24
{"files":{"a":{"type":{"source":null,"source":null}}}}  files['a'].type has more than one member at offset 37
{"files":{"a":{"url":null}}}  files['a'].url has the wrong type at offset 21: found null, expected a string
{"files":{"a":{"path":true}}}  files['a'].path has the wrong type at offset 22: found true, expected a string
{"files":{"a":{"url":"1","url":"2"}}}  files['a'].url is given twice at offset 31
{"files":{"a":{"x":01}}}  files['a'] is not JSON at offset 20: found a number, expected ',' or '}'
{"files":{"a":{"x":[1,]}}}  files['a'].x is not JSON at offset 22: found ']', expected a value
"""


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_what_symbolic_refuses_is_refused(line: str) -> None:
    data, message = line.split("  ")
    assert refusal(data) == message


def test_other_things_that_symbolic_refuses_are_refused() -> None:
    begin = "the manifest is not JSON at offset 0: found "
    assert refusal("") == begin + "the end, expected an object"
    assert refusal(b"\xef\xbb\xbf{}") == begin + "0xef, expected an object"
    assert refusal("\x0b{}") == begin + "'\\x0b', expected an object"
    assert refusal('{"a":"\x01"}') == "the attribute 'a' is not a JSON string at offset 5"
    types = "source, minified_source, source_map, indexed_ram_bundle"
    assert refusal('{"files":{"a":{"type":"Source"}}}') == (
        f"files['a'].type is unknown at offset 22: found 'Source', expected {types}"
    )
    assert refusal('{"files":{"a":{"headers":{"x":{}}}}}') == (
        "files['a'].headers['x'] has the wrong type at offset 30: found an object, expected a string"
    )


def test_a_long_name_is_not_shown_whole() -> None:
    message = refusal('{"files":{"' + "x" * 1000 + '":{"url":1}}}')
    assert message == (
        f"files['{'x' * 80}...'].url has the wrong type at offset 1020: found a number, expected a string"
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
unknown_names = texts.filter(lambda name: name not in {"type", "path", "url", "headers"})
infos = st.builds(
    FileInfo,
    type=st.none() | st.sampled_from(FileType),
    path=st.none() | texts,
    url=st.none() | texts,
    headers=st.none() | st.dictionaries(texts, texts, max_size=3).map(lambda headers: tuple(headers.items())),
    extra=st.none()
    | st.dictionaries(unknown_names, jsons, min_size=1, max_size=2).map(
        lambda extra: json.dumps(extra, separators=(",", ":"))
    ),
)
manifests = st.builds(
    BundleManifest,
    files=st.dictionaries(texts, infos, min_size=1, max_size=3),
    source_links=st.none() | st.dictionaries(texts, texts, max_size=2),
    attributes=st.dictionaries(
        texts.filter(lambda name: name not in {"files", "source_links"}), texts, max_size=2
    ),
)


@given(manifests)
@example(BundleManifest(files={}, source_links=None, attributes={}, has_files=False))
@example(BundleManifest(files={"a": FileInfo(type_is_null=True)}, source_links={}, attributes={}))
@example(
    BundleManifest(files={"a": FileInfo(extra='{"x":"\\ud800","y":1e999}')}, source_links={}, attributes={})
)
def test_what_is_written_reads_as_the_same(manifest: BundleManifest) -> None:
    assert parse_manifest(dump_manifest(manifest), file="b.zip") == manifest


SEEDS = (
    '{"files":{"a":{"type":"source","path":"/a","url":"~/a","headers":{"x":"y","Z":""},"q":[1,{"a":1}]}}}',
    '{"files":{"a":{"url":"~/a"},"b":{}},"source_links":{"a":"b"},"org":"o"}',
    '{"files":{"a":["source","p","u",{"h":"v"}],"b":[null],"c":{"type":{"source":null}},"d":{"type":null}}}',
    '{"files":{"a":{"q":[[[[[1,2],{"a":{"b":[{"c":[]}]}}]]]],"r":{"a":{"b":{"c":{"d":{"e":1}}}}}}}}',
    ' { "files" : { "b" : { "url" : "\\ud83d\\ude00" , "x" : -1.5e+10 , "y" : "\\ud800" } } } ',
    ' { "x" : "\\u0041" , "y" : "" } ',
)
SNIPPETS = (
    *(bytes([byte]) for byte in b'{}[],:"\\ \t\n\r\0\x0b\x1f\x7f\xff-/'),
    b"null", b"true", b"0", b"01", b"-", b"1.", b"1e5", b"-0", b".5", b"NaN", b"nul", b"//x\n",
    b'"source"', b'"type"', b'"headers"', b'"files"', b'"\\ud800"', b'"\\udc00"', b'"\\u0074ype"', b'"\\x"',
    b"\xc3\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b'"a":1,', b',"url":""', b'"x":"\xff",',
    b'{"source":null}', b'["source"]', b"[[[[[]]]]]", b'{"a":{"b":[]}}',
)  # fmt: skip
edits = st.lists(
    st.tuples(st.integers(0, 250), st.integers(0, 6), st.sampled_from(SNIPPETS) | st.just(b"")),
    max_size=3,
)


@settings(max_examples=400)
@given(st.sampled_from(SEEDS), edits)
def test_symbolic_takes_and_refuses_the_same(seed: str, changes: list[tuple[int, int, bytes]]) -> None:
    symbolic = pytest.importorskip("symbolic")
    data = seed.encode()
    for at, removed, inserted in changes:
        data = data[:at] + inserted + data[at + removed :]
    archive = build_zip([ZipMember(name="manifest.json", content=data, stored=True)], header=BUNDLE_HEADER)
    try:
        (_,) = symbolic.Archive.from_bytes(archive).iter_objects()
        theirs = True
    except symbolic.SymbolicError:
        theirs = False
    try:
        manifest: BundleManifest | None = parsed(data)
    except FormatError:
        manifest = None
    assert (manifest is not None) == theirs
    if manifest is not None:
        assert parsed(dump_manifest(manifest)) == manifest
