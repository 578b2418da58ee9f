"""The rules as upstream's cases state them, one test a case; skipped where the cases are not at hand."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import DamagedMember, Entry, FormatError, LimitExceeded, Pack, SourceLink
from srcpack.integrations.sentry import ArtifactBundleArchive
from srcpack.rules.context import get_context, trim_line
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import normalize_path
from srcpack.rules.object_info import ObjectInfo
from srcpack.rules.references_in_content import (
    discover_debug_id,
    discover_source_map_debug_id,
    discover_source_map_reference,
)
from srcpack.rules.source_links import SourceLinks
from srcpack.rules.urls import (
    candidate_urls,
    file_stem,
    join_paths,
    jvm_source_url,
    source_map_url,
    strip_hostname,
)
from srcpack_convert import convert
from support.bundle_builder import ZipMember, build_bundle, build_zip
from support.places import CASES
from support.the import the

CASES_FILE = CASES / "symbolic.json"


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
    "bundle.normalize_path": normalize_path,
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

Open = Callable[..., Pack]
"""Opens a bundle's bytes, and takes `max_read`: as its pack, or itself."""


def _bundle(case: Mapping[str, Any]) -> bytes:
    entries = {
        name: bytes.fromhex(content["hex"]) if isinstance(content, dict) else content.encode()
        for name, content in case.get("entries", {}).items()
    }
    return build_bundle(entries, case["manifest"])


def _found(found: Entry | SourceLink | None) -> dict[str, Any] | None:
    """Describe what a lookup gives as symbolic's descriptor does."""
    if found is None:
        return None
    if isinstance(found, SourceLink):
        nothing = dict.fromkeys(("contents", "path", "debug_id", "source_mapping_url"))
        return {"type": "source", "url": found.url, **nothing}
    return {
        "contents": found.text(),
        "type": found.type,
        "url": found.url,
        "path": found.path,
        "debug_id": _text(found.debug_id),
        "source_mapping_url": found.source_mapping_url,
    }


def _lookup(case: Mapping[str, Any], opened: Open) -> dict[str, Any] | None:
    limit = case.get("max_decompressed_source_size", 1 << 30)
    query = case["query"]
    with opened(_bundle(case), max_read=limit) as pack:
        try:
            if query["by"] == "debug_id":
                return _found(pack.by_debug_id(query["value"], query["type"]))
            if query["by"] == "url":
                return _found(pack.by_url(query["value"]))
            return _found(pack.by_path(query["value"]) or pack.source_link(query["value"]))
        except LimitExceeded:
            return {"error": "SourceFileSizeExceeded"}
        except DamagedMember:
            # symbolic reads as it looks up; here the entry is found, and reading it is refused.
            return {"error": "BadZip"}


def _manifest_parse(manifest: str, opened: Open) -> str:
    try:
        opened(build_bundle({}, manifest)).close()
    except FormatError as error:
        return _refusal(error)
    return "ok"


def _refusal(error: FormatError) -> str:
    return "BadManifest" if error.member == "manifest.json" else "BadZip"


def _container(case: Mapping[str, Any], opened: Open) -> dict[str, Any]:
    """Build the zip that the case describes; open it, and look its one file up."""
    good = ZipMember(name="files/a.js", content=b"content")
    manifest = ZipMember(name="manifest.json", content=b'{"files": {"files/a.js": {"url": "~/a.js"}}}')
    members = {
        "valid": [good, manifest],
        "truncated central directory": [good, manifest],
        "no manifest.json member": [good],
        "member data fails CRC-32": [replace(good, crc=1), manifest],
        "member inflates to a length != central directory size": [replace(good, size=6), manifest],
    }
    data = build_zip(
        members[case["zip"]], header=case["magic"].encode() + case["version"].to_bytes(4, "little")
    )
    if case["zip"].startswith("truncated"):
        data = data[: data.index(b"PK\1\2") + 20]
    try:
        pack = opened(data)
    except FormatError as error:
        return dict.fromkeys(("SourceBundle.parse", "Object.parse"), _refusal(error))
    with pack:
        found = the(pack.by_url("~/a.js"))
        try:
            assert found.read() == b"content"
        except DamagedMember:
            return {"SourceBundle.parse": "ok", "lookup": "BadZip"}
    return {"SourceBundle.parse": "ok", "Object.parse": "ok"}


def _attributes(attributes: Mapping[str, str], opened: Open) -> dict[str, str | None]:
    with opened(build_bundle({}, {"files": {}, **attributes})) as pack:
        assert pack.attributes == attributes
        info = ObjectInfo.of(pack.attributes)
    return {"debug_id": str(info.debug_id), "arch": info.arch, "name": info.name, "code_id": info.code_id}


def _archive(case: Mapping[str, Any], opened: Open) -> dict[str, Any]:
    """Ask what a case of Sentry's class may expect, of it and of a lookup by symbolic's rules."""
    files = case["manifest"]["files"]
    pack = opened(build_bundle({name: name.encode() for name in files}, case["manifest"]))
    with pack, ArtifactBundleArchive(pack) as view:
        answers: dict[str, Any] = {
            "debug_ids": [[each, kind.name] for each, kind in view.get_all_debug_ids()]
        }
        for url in view.get_all_urls():
            content, headers = view.get_file_by_url(url)
            answers[f"get_file_by_url({url})"] = content.read().decode()
            answers["headers_returned"] = headers
            answers["symbolic"] = _name(pack.by_url(url))
        for info in files.values():
            debug_id = info.get("headers", {}).get("debug-id")
            if debug_id is not None and info.get("type") is not None:
                answers["symbolic_finds_by_debug_id"] = pack.by_debug_id(debug_id, info["type"]) is not None
    return answers


def _name(entry: Entry | None) -> str | None:
    return None if entry is None else entry.name


# The same for areas that need a bundle: asked of its pack, and of the zip through the same interface.
BUNDLE_ANSWERS: dict[str, Callable[[Any, Open], object]] = {
    "bundle.attributes": _attributes,
    "bundle.container": _container,
    "bundle.lookup": _lookup,
    "bundle.manifest_parse": _manifest_parse,
    "sentry.archive": _archive,
}

NOT_HERE = {
    "bundle.sanitize_path": "names of members are the uploader's work; they are read as they are",
    "bundle.writer_rejects": "what an uploader leaves out; nothing here writes bundles from files",
    "bundle.writer_unique_path": "how an uploader names members; an export keeps the names it has",
    "e2e.fixture": "test_pack_set.py resolves them",
    "sentry_cli.url_to_bundle_path": "how an uploader names members; a URL is looked up as it is",
}
"""Areas without an answer, and why."""


def _cases() -> list[dict[str, Any]]:
    if not CASES_FILE.is_file():
        return []
    cases: list[dict[str, Any]] = json.loads(CASES_FILE.read_text(encoding="utf-8"))
    return cases


def _of_areas(areas: Mapping[str, object]) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in _cases() if case["area"] in areas]


needs_cases = pytest.mark.skipif(
    not CASES_FILE.is_file(), reason=f"no {CASES_FILE.name} beside the repository"
)


@pytest.fixture(params=["pack", "zip"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    def open_bundle(data: bytes, **options: Any) -> Pack:
        if request.param == "pack":
            convert(data, tmp_path / "a.srcpack")
            return srcpack.open(tmp_path / "a.srcpack", **options)
        return srcpack.open(data, **options)

    return open_bundle


@needs_cases
@pytest.mark.parametrize("case", _of_areas(ANSWERS))
def test_case(case: dict[str, Any]) -> None:
    assert ANSWERS[case["area"]](case["input"]) == case["expect"], case.get("note")


@needs_cases
@pytest.mark.parametrize("case", _of_areas(BUNDLE_ANSWERS))
def test_case_of_a_bundle(case: dict[str, Any], opened: Open) -> None:
    answer = BUNDLE_ANSWERS[case["area"]](case["input"], opened)
    if case["area"] == "sentry.archive":  # each asks for some of the answers
        assert isinstance(answer, dict)
        answer = {key: answer.get(key) for key in case["expect"]}
    assert answer == case["expect"], case.get("note")


def test_every_area_is_covered_or_left_to_others() -> None:
    covered = ANSWERS.keys() | BUNDLE_ANSWERS.keys()
    assert {case["area"] for case in _cases()} <= covered | NOT_HERE.keys()
    assert not covered & NOT_HERE.keys()
    assert not ANSWERS.keys() & BUNDLE_ANSWERS.keys()
