"""What symbolic refuses over metadata alone is read without that, and comes back as it was written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.bundle.lenient_manifest import manifest_values, parse_leniently
from srcpack.bundle.manifest_json import dump_manifest, parse_manifest
from srcpack.bundle.members import SourceBundle
from srcpack.errors import FormatError, LimitExceeded
from srcpack.records import BundleManifest, FileInfo, FileType
from support.bundle_builder import build_bundle

ODD: dict[str, Any] = {
    "org": "o",
    "project": 1,
    "dist": None,
    "files": {
        "a.js": {"type": "soure", "url": "~/a.js", "headers": {"debug-id": "1", "size": 7, "x": None}},
        "b.js": {"type": "minified_source", "url": None, "path": ["b.js"], "headers": None, "more": [1]},
        "c.js": {"type": None, "headers": []},
        "d.js": None,
    },
    "source_links": {"a*": "b*", "c*": 1},
}
READ = BundleManifest(
    files={
        "a.js": FileInfo(url="~/a.js", headers=(("debug-id", "1"),)),
        "b.js": FileInfo(type=FileType.MINIFIED_SOURCE, extra='{"more":[1]}'),
        "c.js": FileInfo(type_is_null=True),
        "d.js": FileInfo(),
    },
    source_links={"a*": "b*"},
    attributes={"org": "o"},
)


def lenient(data: str | bytes, **options: int) -> BundleManifest:
    return parse_leniently(data.encode() if isinstance(data, str) else data, file="b.zip", **options)[0]


def test_what_symbolic_refuses_is_left_out_and_the_rest_is_read() -> None:
    data = json.dumps(ODD).encode()
    with pytest.raises(FormatError):
        parse_manifest(data, file="b.zip")
    assert lenient(data) == READ
    assert manifest_values(data, file="b.zip") == ODD
    assert list(manifest_values(data, file="b.zip")["files"]) == list(ODD["files"])
    assert parse_manifest(dump_manifest(READ), file="b.zip") == READ


def test_a_bundle_that_sentry_stores_opens() -> None:
    data = build_bundle({"a.js": b"f();"}, ODD)
    with pytest.raises(FormatError, match="the attribute 'project' has the wrong type"):
        SourceBundle(data)
    with SourceBundle(data, lenient=True) as bundle:
        assert bundle.manifest == READ
        assert bundle.refused is not None
        assert bundle.refused.startswith("'manifest.json': the attribute 'project' has the wrong type")
        assert bundle.read("a.js") == b"f();"
        assert manifest_values(bundle.read_manifest(), file=bundle.file) == ODD
    with SourceBundle(build_bundle({"a.js": b"f();"}, {}), lenient=True) as bundle:
        assert bundle.refused is None


def test_what_symbolic_takes_is_read_as_by_symbolic() -> None:
    """Also what the standard library's json does not take, or not so."""
    deep = '{"files":{"a":["source","p"],"b":{"x":' + "[" * 100_000 + "]" * 100_000 + "}}}"
    for data in ('{"files":{"a":{"x":' + "9" * 5000 + ',"y":"\\ud800"}}}', deep):
        assert lenient(data) == parse_manifest(data.encode(), file="b.zip")
    with pytest.raises(FormatError, match="the manifest is not JSON: maximum recursion depth exceeded"):
        manifest_values(deep.encode(), file="b.zip")
    assert manifest_values(b'{"x":%s}' % (b"9" * 5000), file="b.zip") == {"x": float("inf")}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "the manifest is not JSON at offset 0: found the end, expected an object"),
        ("[]", "the manifest has the wrong type at offset 0: found a list, expected an object"),
        ('{"x":1', "the attribute 'x' has the wrong type at offset 5: found a number, expected a string"),
        ('{"files":[]}', "files has the wrong type at offset 9: found a list, expected an object"),
        (b'{"x":"\xff"}', "the attribute 'x' is not UTF-8 at offset 6: found 0xff"),
    ],
)
def test_what_is_no_manifest_at_all_is_refused(data: str | bytes, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        lenient(data)
    assert str(caught.value) == f"b.zip: 'manifest.json': {message}"


def test_lone_surrogates_and_infinities_are_left_out() -> None:
    files = '{"\\ud800":{},"a":{"type":1,"url":"\\ud800","x":1e999},"b":{"headers":{"\\ud800":"v"}}}'
    manifest = lenient('{"files":' + files + ',"x":"\\ud800"}')
    assert manifest.files == {"a": FileInfo(), "b": FileInfo(headers=())}
    assert manifest.attributes == {}


def test_files_are_counted() -> None:
    data = '{"x":1,"files":{"a":{},"b":{}}}'
    assert list(lenient(data, max_files=2).files) == ["a", "b"]
    with pytest.raises(LimitExceeded, match="the number of files in the manifest is 2, over the limit of 1"):
        lenient(data, max_files=1)


texts = st.text(max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
infos = st.dictionaries(st.sampled_from(["type", "path", "url", "headers", "x"]), values) | values


@given(
    st.dictionaries(st.sampled_from(["source_links", "x"]), values), st.dictionaries(texts, infos, max_size=3)
)
def test_any_json_is_a_manifest_and_what_is_read_of_it_can_be_written(
    attributes: dict[str, Any], files: dict[str, Any]
) -> None:
    manifest = lenient(json.dumps({**attributes, "files": files}))
    assert parse_manifest(dump_manifest(manifest), file="b.zip") == manifest
    assert list(manifest.files) == list(files)
