"""The rules of lookups in a bundle, one by one, of a pack and of the zip itself.

Rule source: symbolic a5980e8 `symbolic-debuginfo/src/sourcebundle/mod.rs`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import srcpack
from srcpack import DamagedMember, Entry, Pack, SourceLink
from srcpack_convert import convert
from support.bundle_builder import build_bundle

ID = "11111111-1111-1111-1111-111111111111"
Query = tuple[str, ...]


class Rule(NamedTuple):
    """A rule, files that show it, and the name or the link's URL that a query by it finds.

    Attributes:
        says: The rule.
        files: What the manifest says, by name.
        finds: Name, URL of a link, or None, by query: `url` or `path` and a key, or a debug id and a type.
        links: The source links.
    """

    says: str
    files: Mapping[str, Mapping[str, Any]]
    finds: Mapping[Query, str | None]
    links: Mapping[str, str] = {}


def of(file_type: str, **headers: str) -> dict[str, Any]:
    return {"type": file_type, "headers": headers or {"debug-id": ID}}


# fmt: off
RULES = [
    Rule(
        "either slash finds a path, and the path is given as it is written",
        {"a": {"path": "C:\\src\\a.cs"}, "b": {"path": "/src/b.h"}},
        {
            ("path", "C:\\src\\a.cs"): "a",
            ("path", "C:/src/a.cs"): "a",
            ("path", "c:/src/a.cs"): None,
            ("path", "\\src\\b.h"): "b",
        },
    ),
    Rule("nothing of a path is cleaned", {"a": {"path": "/src/./a.c"}, "b": {"path": "/src//b.c"}},
        {("path", "/src/a.c"): None, ("path", "/src/./a.c"): "a", ("path", "/src/b.c"): None}),
    Rule("a URL is found as it is, query included", {"a": {"url": "~/a.js?v=1"}},
        {("url", "~/a.js"): None, ("url", "~/a.js?v=1"): "a", ("url", "~/A.js?v=1"): None}),
    Rule("neither the name nor the path is a URL, nor the name a path",
        {"files/a": {"url": "~/a", "path": "/a"}},
        {("url", "files/a"): None, ("url", "/a"): None, ("path", "files/a"): None, ("path", "~/a"): None}),
    Rule("an empty URL or path is no key", {"a": {"url": "", "path": ""}},
        {("url", ""): None, ("path", ""): None}),
    Rule("of several the greatest name wins, in whatever order they are listed",
        {"b": {"url": "~/x", "path": "/x"}, "a": {"url": "~/x", "path": "\\x"}},
        {("url", "~/x"): "b", ("path", "/x"): "b"}),
    Rule("the greatest name of one debug id and type wins",
        {"a": of("source_map"), "b": of("source_map"), "c": of("source")},
        {(ID, "source_map"): "b", (ID, "source"): "c", (ID, "indexed_ram_bundle"): None}),
    Rule("debug ids are compared parsed", {"a": of("minified_source", **{"debug-id": ID.replace("-", "")})},
        {(ID, "minified_source"): "a", (ID.replace("-", "").upper(), "minified_source"): "a"}),
    Rule("a debug id needs a type, and the type asked for",
        {"a": {"headers": {"debug-id": ID}}, "b": {"type": None, "headers": {"debug-id": ID}}},
        {(ID, "source"): None, (ID, "minified_source"): None}),
    Rule("header names have no case", {"a": of("minified_source", **{"Debug-ID": ID})},
        {(ID, "minified_source"): "a"}),
    Rule(
        "a file is found before a source link, and a link by the longest prefix, without case",
        {"a": {"path": "/files/bar/a.c"}},
        {
            ("path", "/files/bar/a.c"): "a",
            ("path", "/files/bar/b.c"): "https://bar/b.c",
            ("path", "\\FILES\\foo\\x.c"): "https://all/foo/x.c",
            ("path", "/other"): None,
            ("url", "/files/bar/b.c"): None,
        },
        {"/files/bar/*": "https://bar/*", "/files/*": "https://all/*"},
    ),
]
# fmt: on


@pytest.fixture(params=["pack", "zip"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(kind: str, data: bytes, folder: Path) -> Pack:
    if kind == "zip":
        return srcpack.open(data)
    convert(data, folder / "a.srcpack")
    return srcpack.open(folder / "a.srcpack")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)
def test_a_rule_of_lookups(rule: Rule, kind: str, tmp_path: Path) -> None:
    contents = {name: name.encode() for name in rule.files}
    with opened(
        kind, build_bundle(contents, {"files": rule.files, "source_links": rule.links}), tmp_path
    ) as pack:
        for (by, key), expected in rule.finds.items():
            found: Entry | SourceLink | None
            if by == "url":
                found = pack.by_url(key)
            elif by == "path":
                found = pack.by_path(key) or pack.source_link(key)
            else:
                found = pack.by_debug_id(by, key)
            name = found.url if isinstance(found, SourceLink) else found and found.name
            assert name == expected, (by, key)
            if isinstance(found, Entry):
                assert found.read() == found.name.encode()


COMMENTS = f"x\n//# sourceMappingURL=c.map\n//# debugId={ID}".encode()
# What a file says, its content, and the type, debug id and source map reference that it has then.
# fmt: off
DESCRIBED: list[tuple[str, Mapping[str, Any], bytes, tuple[str, str | None, str | None]]] = [
    ("no type reads as source", {}, COMMENTS, ("source", ID, "c.map")),
    ("comments of minified sources", {"type": "minified_source"}, COMMENTS, ("minified_source", ID, "c.map")),
    ("none of RAM bundles", {"type": "indexed_ram_bundle"}, COMMENTS, ("indexed_ram_bundle", None, None)),
    ("a header is not cut", of("source", sourcemap="h?x#y"), COMMENTS, ("source", ID, "h?x#y")),
    ("an empty header wins too", of("source", sourcemap=""), COMMENTS, ("source", ID, "")),
    ("the newer header wins", of("source", **{"x-sourcemap": "o", "sourcemap": "n"}), b"",
        ("source", None, "n")),
    ("the greater header wins", of("source", Sourcemap="one", SourceMap="two"), b"", ("source", None, "one")),
    ("a wrong id is none", of("source", **{"debug-id": "garbage"}), COMMENTS, ("source", ID, "c.map")),
    ("a map has its id inside", {"type": "source_map"}, f'{{"debugId": "{ID}"}}'.encode(),
        ("source_map", ID, None)),
]
# fmt: on


@pytest.mark.parametrize(
    ("info", "content", "expected"), [row[1:] for row in DESCRIBED], ids=[row[0] for row in DESCRIBED]
)
def test_a_file_is_described(
    info: Mapping[str, Any],
    content: bytes,
    expected: tuple[str, str | None, str | None],
    kind: str,
    tmp_path: Path,
) -> None:
    manifest = {"files": {"files/a": {"url": "~/a", **info}}}
    with opened(kind, build_bundle({"files/a": content}, manifest), tmp_path) as pack:
        found = pack.by_url("~/a")
        assert found is not None
        debug_id = None if found.debug_id is None else str(found.debug_id)
        assert (found.type, debug_id, found.source_mapping_url) == expected
        # Only the header's can be looked up.
        assert (pack.by_debug_id(ID, found.type) is None) == (info.get("headers", {}).get("debug-id") != ID)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"\xef\xbb\xbfA", "\ufeffA", id="a BOM is kept"),
        pytest.param(b"", "", id="an empty file is found"),
        pytest.param(b"A\xff", None, id="bytes that are not UTF-8 are no text"),
    ],
)
def test_a_file_s_text(content: bytes, text: str | None, kind: str, tmp_path: Path) -> None:
    bundle = build_bundle({"files/a": content}, {"files": {"files/a": {}, "files/gone": {"url": "~/g"}}})
    with opened(kind, bundle, tmp_path) as pack:
        assert pack["files/a"].read() == content
        if text is None:
            with pytest.raises(DamagedMember, match="not UTF-8"):
                pack["files/a"].text()
        else:
            assert pack["files/a"].text() == text
        gone = pack.by_url("~/g")
        assert gone is not None  # not a miss: symbolic's lookup is an error
        with pytest.raises(DamagedMember):
            gone.text()
