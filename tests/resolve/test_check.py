"""What `check` finds wrong with a bundle, and that it finds nothing in a good one."""

import json
import sys
from typing import Any

import pytest

import srcpack
from srcpack.format.packfile import PackFile
from srcpack.resolve import check as check_module
from srcpack.resolve import lookup_cache
from srcpack.resolve.check import Finding, check
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.calls import calls_of
from support.places import BUNDLES

ID = "0c4b6a5e-9e0f-4d0a-8f35-1b7c1d2e3f40"
OTHER = "7d2f1a90-5b1c-4c77-9a64-2f6e8d9c0b11"
SCRIPT = "let a=1;\n"


def source_map(sources: list[str | None], contents: list[str | None] | None, **more: Any) -> bytes:
    made = {"version": 3, "sources": sources, "names": [], "mappings": "AAAA", **more}
    return json.dumps(made if contents is None else {**made, "sourcesContent": contents}).encode()


GOOD_MAP = source_map(["a.ts"], ["let a = 1;\n"])


def dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def script(reference: str | None, url: str = "~/js/a.js", **headers: str) -> dict[str, Any]:
    given = headers if reference is None else {"sourcemap": reference, **headers}
    return {"type": "minified_source", "url": url, "headers": dashed(given)}


def a_map(url: str = "~/js/a.js.map", **headers: str) -> dict[str, Any]:
    return {"type": "source_map", "url": url, "headers": dashed(headers)}


def found(contents: dict[str, bytes], files: dict[str, dict[str, Any]]) -> list[Finding]:
    return list(check(srcpack.open(build_bundle(contents, {"files": files}))))


CDN, BRACKETS, QUERY = "https://cdn.example/js/a.js.map", "~/js/%5Bid%5D.js.map", "~/js/a.js.map?v=2"
IDS = f"the script's header says {ID}, the map's header says {OTHER}"
ABSENT = "neither embedded in the map nor in the bundle: 'a.ts', 'b.ts'"


@pytest.mark.parametrize(
    ("script_info", "map_info", "map_content", "kind", "says"),
    [
        (script(None), a_map(), GOOD_MAP, "no-map", "neither a reference to a source map nor a debug id"),
        (script("a.js.map"), a_map(CDN), GOOD_MAP, "map-not-found", f"there is '{CDN}' (another prefix)"),
        (script("[id].js.map"), a_map(BRACKETS), GOOD_MAP, "map-not-found", f"'{BRACKETS}' (percent-encoded"),
        (script("a.js.map"), a_map(QUERY), GOOD_MAP, "map-not-found", f"there is '{QUERY}' (another query)"),
        (script(None, debug_id=ID), a_map(), GOOD_MAP, "map-not-found", "no map has its debug id"),
        (script("a.js.map", ""), a_map(), GOOD_MAP, "map-not-found", "it has no URL that its reference"),
        (script("data:,%FF"), a_map(), GOOD_MAP, "bad-data-url", "not UTF-8"),
        (script("a.js.map"), a_map(), b"{", "malformed-map", "EOF"),
        (script("a.js.map", debug_id=ID), a_map(debug_id=OTHER), GOOD_MAP, "debug-ids-differ", IDS),
        (script("a.js.map"), a_map(), source_map(["a.ts", "b.ts"], [None]), "no-source", ABSENT),
    ],
)
def test_what_is_wrong_with_a_script_and_its_map_is_found(
    script_info: dict[str, Any], map_info: dict[str, Any], map_content: bytes, kind: str, says: str
) -> None:
    pytest.importorskip("symbolic", reason="PyPI symbolic says which maps are malformed")
    contents = {"a.js": SCRIPT.encode(), "a.js.map": map_content}
    findings = found(contents, {"a.js": script_info, "a.js.map": map_info})
    assert [each.kind for each in findings] == [kind]
    assert says in findings[0].says


@pytest.mark.parametrize(
    "files",
    [
        {"a.js": script("a.js.map"), "a.js.map": a_map()},
        {"a.js": script(None, debug_id=ID), "a.js.map": a_map("~/elsewhere.map", debug_id=ID)},
        {
            "a.js": script("https://x.example/a.js.map", "https://x.example/a.js"),
            "a.js.map": a_map("~/a.js.map"),
        },
    ],
)
def test_nothing_is_found_in_a_good_bundle(files: dict[str, Any]) -> None:
    assert found({"a.js": SCRIPT.encode(), "a.js.map": GOOD_MAP}, files) == []


def test_sources_that_are_in_the_bundle_are_not_missed() -> None:
    mapped = source_map(["a.ts"], None, sourceRoot="/src")
    contents = {"a.js": SCRIPT.encode(), "a.js.map": mapped, "a.ts": b"1"}
    source = {"type": "source", "url": "~/src/a.ts"}
    files = {"a.js": script("a.js.map"), "a.js.map": a_map(), "a.ts": source}
    assert found(contents, files) == []
    del files["a.ts"]
    assert [each.kind for each in found(contents, files)] == ["no-source"]


def test_a_map_of_many_scripts_is_told_of_once() -> None:
    pytest.importorskip("symbolic", reason="PyPI symbolic says which maps are malformed")
    scripts = {f"{number}.js": script("a.js.map", f"~/js/{number}.js") for number in range(9)}
    contents = {**dict.fromkeys(scripts, SCRIPT.encode()), "a.js.map": b"{"}
    assert [each.kind for each in found(contents, {**scripts, "a.js.map": a_map()})] == ["malformed-map"]


def test_long_names_of_others_are_cut() -> None:
    """There may be many files that each tell of the same one."""
    name = "z" * 60_000
    files = {each: {"type": "source", "url": "~/a"} for each in ("a", "b", name)}
    findings = found(dict.fromkeys(files, b"1"), files)
    assert [each.member for each in findings] == ["a", "b"]
    assert max(len(each.says) for each in findings) < 1000


def test_sources_are_looked_for_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a map with many sources each is joined to the map's URL, which may be long."""
    monkeypatch.setattr(check_module, "_LOOKED_FOR", 500)
    monkeypatch.setattr(check_module, "_LOOKED_FOR_PER_BYTE", 0)
    contents = {"a.js.map": source_map([f"{number}.ts" for number in range(100)], None)}
    (finding,) = found(contents, {"a.js.map": a_map(f"~/{'a' * 100}")})
    assert "'0.ts', '1.ts', '2.ts', '3.ts'; others were not looked for" in finding.says


def test_files_that_others_hide_or_that_cannot_be_read_are_found() -> None:
    contents = {"a.js": b"\xff", "b.js": SCRIPT.encode(), "c.js": SCRIPT.encode(), "a.js.map": GOOD_MAP}
    files = {
        "a.js": script("a.js.map", "~/x.js"),
        "b.js": script("a.js.map"),
        "c.js": script("a.js.map"),
        "gone.js": script("a.js.map", "~/gone.js"),
        "a.js.map": a_map(),
    }
    findings = {(each.kind, each.member): each.says for each in found(contents, files)}
    assert findings.keys() == {("not-utf8", "a.js"), ("damaged", "gone.js"), ("same-key", "b.js")}
    assert findings["same-key", "b.js"] == "its URL '~/js/a.js' finds 'c.js', which has it too"


def test_a_pack_gives_what_its_zip_gives(tmp_path: Any) -> None:
    for bundle in sorted(BUNDLES.glob("*.zip")):
        convert(bundle, tmp_path / "a.srcpack", preset="fast", verify=False, force=True)
        with srcpack.open(bundle) as zipped, srcpack.open(tmp_path / "a.srcpack") as pack:
            assert list(check(pack)) == list(check(zipped)), bundle.name


def test_sources_of_a_map_in_the_reference_are_missed_too() -> None:
    import base64

    given = base64.b64encode(source_map(["a.ts"], [None])).decode()
    files = {"a.js": script(f"data:application/json;base64,{given}")}
    finding = Finding("no-source", "a.js", "neither embedded in the map nor in the bundle: 'a.ts'")
    assert found({"a.js": SCRIPT.encode()}, files) == [finding]


def test_maps_are_checked_as_far_as_they_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without symbolic nobody says that one is malformed."""
    pytest.importorskip("symbolic", reason="PyPI symbolic says which maps are malformed")
    sections = {"version": 3, "sections": [{"map": 5}, {"map": json.loads(source_map(["b.ts", None], None))}]}
    contents = {"a.js": SCRIPT.encode(), "a.js.map": json.dumps(sections).encode()}
    files = {"a.js": script("a.js.map"), "a.js.map": a_map()}
    assert "malformed-map" in [finding.kind for finding in found(contents, files)]
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    finding = Finding("no-source", "a.js.map", "neither embedded in the map nor in the bundle: 'b.ts'")
    assert found(contents, files) == [finding]


@pytest.mark.parametrize(
    "source_map",
    [
        {"sections": 5},
        {"sections": [{"map": {"sources": 5}}]},
        {"sources": {"a.ts": 1}},
        {"sources": ["a.ts"], "sourcesContent": 5},
        {"sources": ["a.ts"], "sourcesContent": {"a.ts": ""}},
    ],
)
def test_a_map_of_wrong_types_is_malformed(source_map: dict[str, Any]) -> None:
    pytest.importorskip("symbolic", reason="PyPI symbolic says which maps are malformed")
    contents = {"a.js": SCRIPT.encode(), "a.js.map": json.dumps(source_map).encode()}
    findings = found(contents, {"a.js": script("a.js.map"), "a.js.map": a_map()})
    assert ("malformed-map", "a.js.map") in [(each.kind, each.member) for each in findings]


def test_files_over_symbolicators_limit_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srcpack.resolve.check._MOST_CONTENT", 8)
    (finding,) = found({"a.js": SCRIPT.encode()}, {"a.js": script(None)})
    assert finding == Finding("too-large", "a.js", "it has 9 bytes, over the 8 that symbolicator takes")


def test_a_pack_is_checked_with_each_file_read_once_and_leaves_no_lookup_behind(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = build_bundle(
        {"a.js": SCRIPT.encode(), "a.js.map": GOOD_MAP},
        {"files": {"a.js": script("a.js.map"), "a.js.map": a_map()}},
    )
    convert(bundle, tmp_path / "a.srcpack")
    read = calls_of(monkeypatch, PackFile, "read")
    before = lookup_cache.SHARED_LOOKUPS.statistics
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        assert list(check(pack)) == []
    assert sorted(record.name for (record,) in read) == ["a.js", "a.js.map"]
    assert lookup_cache.SHARED_LOOKUPS.statistics == before
