"""Symbolicator's own bundles: a pack gives what the zip gives, and finds what symbolicator finds."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Pack, PackSet, Resolved
from srcpack_convert import convert
from support.places import CASES, SHARED
from support.the import the

SYMBOLICATOR = SHARED / "corpus" / "symbolicator"

needs_corpus = pytest.mark.skipif(
    not SYMBOLICATOR.is_dir(), reason="no corpus of symbolicator's beside the repository"
)


def converted(name: str, tmp_path: Path) -> Pack:
    convert(SYMBOLICATOR / name, tmp_path / f"{name}.srcpack")
    return srcpack.open(tmp_path / f"{name}.srcpack")


def members_of(name: str) -> dict[str, bytes]:
    """Return the members as the standard library reads them, without any code of ours."""
    with zipfile.ZipFile(io.BytesIO((SYMBOLICATOR / name).read_bytes())) as bundle:
        return {member: bundle.read(member) for member in bundle.namelist()}


def token_of(
    minified: bytes, mapped: bytes, line: int, column: int
) -> tuple[str | None, str | None, int, int]:
    cache = pytest.importorskip("symbolic.sourcemapcache").SourceMapCache.from_bytes(minified, mapped)
    token = cache.lookup(line, column, 0)
    return token.function_name, token.src, token.line, token.col


def e2e_cases() -> list[Any]:
    cases = (
        json.loads((CASES / "symbolic.json").read_text(encoding="utf-8"))
        if (CASES / "symbolic.json").is_file() and SYMBOLICATOR.is_dir()
        else []
    )
    return [pytest.param(case, id=case["id"]) for case in cases if case["area"] == "e2e.fixture"]


EXPECTED_TOKENS = {
    "e2e.fixture-01": ("<unknown>", "../../this is a söurce path/entrypoint1.js", 29, 1),
    "e2e.fixture-02": ("onFailure", "test.js", 5, 11),
    "e2e.fixture-04": ("test", None, None, None),
}
"""By symbolicator's snapshots, whose `Object.<anonymous>` in the first is the frame's own name."""


@pytest.mark.parametrize("case", e2e_cases())
def test_a_pack_gives_symbolic_what_the_zip_gives_it(case: dict[str, Any], tmp_path: Path) -> None:
    given, expected, query = case["input"], case["expect"], case["input"]["query"]
    names = [
        path.partition("tests/fixtures/")[2].replace("/", "__")
        for path in given.get("zips_in_uri_order") or [given["zip"]]
    ]
    packs = PackSet.by_uri({name: converted(name, tmp_path) for name in names})
    minified = the(packs.resolve(query["abs_path"], query.get("debug_id")))
    mapped = packs.source_map_for(minified)
    assert isinstance(mapped, Resolved)
    bundle = Path(minified.pack.file).name.removesuffix(".srcpack")
    assert mapped.pack is minified.pack
    if "bundle_used" in expected:
        assert bundle.endswith(expected["bundle_used"])
    else:
        assert expected["minified_found_by"] == " ".join(
            filter(None, (minified.found_by, minified.candidate))
        )
        assert expected["sourcemap_found_by"] == " ".join(filter(None, (mapped.found_by, mapped.candidate)))
        assert expected["sourcemap"] == mapped.abs_path
    line, column = query["line"], query["column"]
    if "raw_context_line" in expected:
        assert the(minified.entry.context(line, column=column)).context_line == expected["raw_context_line"]

    zipped = members_of(bundle)
    from_zip = token_of(zipped[minified.entry.name], zipped[mapped.entry.name], line, column)
    assert token_of(packs.read(minified), packs.read(mapped), line, column) == from_zip
    for found, wanted in zip(from_zip, EXPECTED_TOKENS[case["id"]], strict=True):
        assert wanted is None or found == wanted
    assert packs.errors == 0


@needs_corpus
def test_the_map_of_a_scraped_script_is_found_by_the_scripts_debug_id(tmp_path: Path) -> None:
    pack = converted("sourcemaps__e2e_scraped_debugid__bundle.zip", tmp_path)
    packs = PackSet([pack])
    debug_id = "2f259f80-58b7-44cb-d7cd-de1505e7e718"
    url = "http://localhost:1234/files/app.js"
    assert packs.resolve(url) is None
    found = packs.find_source_map(url, None, debug_id)
    assert isinstance(found, Resolved)
    assert (found.entry.name, found.found_by) == ("files/app.js.map", "debug-id")
    assert (found.abs_path, found.source_base) == (None, url)


@needs_corpus
def test_jvm_frames_find_their_source_as_symbolicator_does(tmp_path: Path) -> None:
    packs = PackSet(
        [
            converted("proguard__basic_source_lookup__bundle.zip", tmp_path),
            converted("proguard__source_lookup_with_proguard__edit_activity.zip", tmp_path),
            converted("proguard__source_lookup_with_proguard__some_service.zip", tmp_path),
        ]
    )
    main, ui = "io.sentry.samples.MainActivity", "io.sentry.samples.instrumentation.ui"
    for module, abs_path, line, expected in (
        ("OtherActivity", "OtherActivity.java", 100, None),
        ("DifferentActivity", "DifferentActivity", 200, None),
        (main, None, 11, "InnerClass().whoops()"),
        (f"{main}$InnerClass", "MainActivity.kt", 20, "AnotherInnerClass().whoops2()"),
        (f"{main}$AnotherInnerClass", None, 26, "AdditionalInnerClass().whoops3()"),
        (f"{main}$AdditionalInnerClass", "MainActivity.kt", 32, "OneMoreInnerClass().whoops4()"),
        (f"{main}$OneMoreInnerClass", "SourceFile", 38, 'throw RuntimeException("whoops")'),
        (f"{ui}.EditActivity", "EditActivity.kt", 37, "SomeService().helloThere()"),
        (f"{ui}.SomeService", "SomeService.java", 5, "InnerClassOfSomeService().helloInner()"),
        (
            f"{ui}.SomeService$InnerClassOfSomeService",
            "SomeService.java",
            10,
            "AnotherClassInSameFile().helloOther()",
        ),
        (f"{ui}.AnotherClassInSameFile", "AnotherClassInSameFile.java", 17, None),
        (f"{ui}.AnotherClassInSameFile$AnotherInnerClass", "AnotherClassInSameFile.java", 26, None),
    ):
        found = packs.jvm_source(module, abs_path, line)
        assert (found is None) == (expected is None)
        context = found.entry.context(line) if found is not None else None
        assert (context.context_line.strip() if context is not None else None) == expected


@needs_corpus
def test_a_native_frame_finds_its_source_as_symbolicator_does(tmp_path: Path) -> None:
    packs = PackSet([converted("symbols__7f__883fcdc55336d0a809b0150f09500b.src.zip", tmp_path)])
    found = packs.source_by_path("/Users/swatinem/Coding/sentry-native/examples/example.c")
    assert isinstance(found, Resolved)
    context = the(found.entry.context(60))
    assert context.context_line == "    memset((char *)invalid_mem, 1, 100);"
    assert context.pre_context == ("#endif", "", "static void", "trigger_crash()", "{")
