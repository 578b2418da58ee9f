"""The rules as upstream's cases state them, one test a case; skipped where the cases are not at hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sourcepack.context import get_context, trim_line
from sourcepack.debug_id import DebugId
from sourcepack.discover import (
    discover_debug_id,
    discover_source_map_debug_id,
    discover_source_map_reference,
)
from sourcepack.source_links import SourceLinks
from sourcepack.urls import (
    candidate_urls,
    file_stem,
    join_paths,
    jvm_source_url,
    source_map_url,
    strip_hostname,
)

CASES_FILE = Path(__file__).parents[2] / "shared" / "cases" / "symbolic.json"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _ok_or_error(read: Callable[[str], DebugId], text: str) -> dict[str, Any]:
    try:
        return {"ok": str(read(text))}
    except ValueError:
        return {"error": True}


def _source_map_url(case: dict[str, Any]) -> dict[str, Any]:
    try:
        found = source_map_url(case["base"], case["ref"])
    except ValueError:
        # Upstream's message is not ours.
        return {"error": "Malformed: invalid `data:` url"}
    return {"remote": found} if isinstance(found, str) else {"data": found.decode()}


def _context(case: dict[str, Any]) -> dict[str, Any] | None:
    lines = 5 if case["context_lines"] is None else case["context_lines"]
    found = get_context(case["source"], case["lineno"], case["column"], lines)
    if found is None:
        return None
    return {
        "pre_context": list(found.pre_context),
        "context_line": found.context_line,
        "post_context": list(found.post_context),
    }


# How the input of a case of each area becomes what it expects. A new area is a new line here.
ANSWERS: dict[str, Callable[[Any], object]] = {
    "context.get_lines": _context,
    "context.trim_line": lambda case: trim_line(case["line"], case["column"]),
    "debugid.equal": lambda texts: len({DebugId.parse(text) for text in texts}) == 1,
    "debugid.from_breakpad": lambda text: _ok_or_error(DebugId.from_breakpad, text),
    "debugid.from_guid_age": lambda case: str(
        DebugId.from_guid_age(bytes.fromhex(case["guid_hex"]), case["age"])
    ),
    "debugid.parse": lambda text: _ok_or_error(DebugId.parse, text),
    "debugid.to_breakpad": lambda text: DebugId.parse(text).breakpad(),
    "js.discover_debug_id": lambda text: _text(discover_debug_id(text.encode())),
    "js.discover_sourcemap_embedded_debug_id": lambda text: _text(
        discover_source_map_debug_id(text.encode())
    ),
    "js.discover_sourcemaps_location": lambda text: discover_source_map_reference(text.encode()),
    "sourcelinks.resolve": lambda case: SourceLinks(dict(case["mappings"])).resolve(case["path"]),
    "symbolicator.candidate_urls": candidate_urls,
    "symbolicator.extract_file_stem": file_stem,
    "symbolicator.join_paths": lambda case: join_paths(case["base"], case["right"]),
    "symbolicator.jvm_source_url": lambda case: jvm_source_url(case["module"], case["abs_path"]),
    "symbolicator.sourcemap_url": _source_map_url,
    "symbolicator.strip_hostname": strip_hostname,
}

# Areas that need a whole bundle or another part of the project; their tests are elsewhere.
NOT_HERE = {
    "bundle.attributes",
    "bundle.container",
    "bundle.lookup",
    "bundle.manifest_parse",
    "bundle.normalize_path",
    "bundle.sanitize_path",
    "bundle.writer_rejects",
    "bundle.writer_unique_path",
    "e2e.fixture",
    "sentry.archive",
    "sentry_cli.url_to_bundle_path",
}


def _cases() -> list[dict[str, Any]]:
    if not CASES_FILE.is_file():
        return []
    cases: list[dict[str, Any]] = json.loads(CASES_FILE.read_text(encoding="utf-8"))
    return cases


@pytest.mark.skipif(not CASES_FILE.is_file(), reason=f"no {CASES_FILE.name} beside the repository")
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in _cases() if case["area"] in ANSWERS]
)
def test_case(case: dict[str, Any]) -> None:
    assert ANSWERS[case["area"]](case["input"]) == case["expect"], case.get("note")


def test_every_area_is_covered_or_left_to_others() -> None:
    assert {case["area"] for case in _cases()} <= ANSWERS.keys() | NOT_HERE
    assert not ANSWERS.keys() & NOT_HERE
