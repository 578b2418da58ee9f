"""Events whose answers are known: whole cases, as folders of bundles with an event and what is expected."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import pytest

import srcpack
from srcpack import Pack, PackSet
from srcpack.errors import MalformedSourceMap
from srcpack.resolve import resolve_event
from srcpack.resolve.symbolic_lookup import SymbolicLookup
from srcpack.rules.stack_frames import (
    fixup_turbopack_filename,
    fixup_webpack_filename,
    fold_function_name,
    generate_module,
    get_function_for_token,
)
from srcpack.rules.urls import join_paths
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.places import CASES
from support.tables import build_tables_here

EVENTS = CASES / "events"
RULES = CASES / "resolve.json"

Form: TypeAlias = Literal["zip", "pack", "lookups"]
FORMS: tuple[Form, ...] = ("zip", "pack", "lookups")


@contextmanager
def opened(bundles: dict[str, Path | bytes], form: Form) -> Iterator[dict[str, Pack]]:
    """Open bundles by their URI: as they are, or as the packs that they are converted to."""
    with ExitStack() as stack:
        if form == "zip":
            yield {uri: stack.enter_context(srcpack.open(bundle)) for uri, bundle in bundles.items()}
            return
        folder = Path(stack.enter_context(TemporaryDirectory()))
        packs = {}
        for number, (uri, bundle) in enumerate(bundles.items()):
            path = folder / f"{number}.srcpack"
            convert(bundle, path, dictionary="off", verify=False, lookups=form == "lookups")
            packs[uri] = stack.enter_context(srcpack.open(path))
        yield packs


def resolve_request(event: dict[str, Any], bundles: dict[str, Path | bytes], form: Form) -> dict[str, Any]:
    """Resolve the event of a case: a request to symbolicator, but for its stack traces and its bundles."""
    request = {
        "platform": event.get("platform"),
        "stacktraces": event["stacktraces"] if "stacktraces" in event else [{"frames": event["frames"]}],
        "modules": event.get("modules", []),
    }
    resolved_with = {
        bundle["uri"]: bundle["resolved_with"] for bundle in event["bundles"] if "resolved_with" in bundle
    }
    with opened(bundles, form) as packs:
        return resolve_event(
            request,
            PackSet.by_uri(packs, resolved_with=resolved_with),
            apply_source_context=event.get("apply_source_context", True),
            frame_order=event.get("frame_order", "caller_first"),
        )


def resolve_case(folder: Path, form: Form) -> dict[str, Any]:
    """Resolve the event of a folder.

    Args:
        folder: It has `event.json`, and the bundles that this names.
        form: What the bundles are read from: the zips, packs, or packs with lookups.

    Returns:
        `stacktraces`, `raw_stacktraces` and `errors`, as `expect.json` has them.
    """
    event = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    return resolve_request(event, {each["uri"]: folder / each["file"] for each in event["bundles"]}, form)


def case_bundle(files: list[dict[str, Any]]) -> bytes:
    """Build the bundle of a case of `resolve.json`."""
    contents = {f"files/{number}": file["content"].encode() for number, file in enumerate(files)}
    listed = {
        f"files/{number}": {key: value for key, value in file.items() if key != "content"}
        for number, file in enumerate(files)
    }
    return build_bundle(contents, {"files": listed})


def _folders() -> list[Any]:
    found = sorted(EVENTS.glob("*/event.json")) if EVENTS.is_dir() else []
    return [pytest.param(path.parent, id=path.parent.name) for path in found]


@pytest.mark.skipif(not EVENTS.is_dir(), reason=f"no {EVENTS.name} beside the repository")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", _folders())
def test_a_case_has_its_answer(folder: Path, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    build_tables_here(monkeypatch)
    expected = json.loads((folder / "expect.json").read_text(encoding="utf-8"))
    answer = resolve_case(folder, form)
    assert answer == {key: expected[key] for key in ("stacktraces", "raw_stacktraces", "errors")}


# ---- cases of single rules


def _token(case: dict[str, Any]) -> dict[str, Any] | None:
    lookup = SymbolicLookup(case["minified"].encode(), case["map"].encode(), file="case")
    token = lookup.token(case["line"], case["col"])
    if token is None:
        return None
    position = token.position
    return {
        "src": position.source or None,
        "line": position.line,
        "col": position.column,
        "name": position.name or None,
        "function": position.function or None,
    }


def _map_is_readable(text: str) -> str:
    try:
        SymbolicLookup(b"", text.encode(), file="case")
    except MalformedSourceMap:
        return "malformed_sourcemap"
    return "ok"


def _error_of_missing_file(abs_path: str) -> str:
    request = {"stacktraces": [{"frames": [{"abs_path": abs_path, "lineno": 1}]}]}
    (error,) = resolve_event(request, PackSet([]))["errors"]
    return str(error["type"])


# How the input of a case of each area becomes what it expects.
ANSWERS: dict[str, Callable[[Any], object]] = {
    "error_of_missing_file": _error_of_missing_file,
    "fixup_turbopack_filename": fixup_turbopack_filename,
    "fixup_webpack_filename": fixup_webpack_filename,
    "fold_function_name": fold_function_name,
    "function_for_token": lambda case: get_function_for_token(
        case["frame"], case["token"], case["caller_token_name"]
    ),
    "generate_module": generate_module,
    "join_paths": lambda case: join_paths(*case),
    "map_is_readable": _map_is_readable,
    "token": _token,
}


def _rules(areas: Callable[[str], bool]) -> list[Any]:
    cases = json.loads(RULES.read_text(encoding="utf-8")) if RULES.is_file() else []
    return [
        pytest.param(case, id=case["id"]) for case in cases if areas(case["area"].removeprefix("resolve."))
    ]


needs_rules = pytest.mark.skipif(not RULES.is_file(), reason=f"no {RULES.name} beside the repository")


@needs_rules
@pytest.mark.parametrize("case", _rules(lambda area: area != "frames"))
def test_a_rule_gives_its_answer(case: dict[str, Any]) -> None:
    answer = ANSWERS[case["area"].removeprefix("resolve.")](case["input"])
    if isinstance(answer, dict) and case["expect"] is not None:
        answer = {key: answer[key] for key in case["expect"]}  # only what is expected is compared
    assert answer == case["expect"], case.get("note")


@needs_rules
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", _rules(lambda area: area == "frames"))
def test_frames_have_their_answer(case: dict[str, Any], form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    build_tables_here(monkeypatch)
    event = {**case["input"], "bundles": [{"uri": "b", "resolved_with": "release"}]}
    answer = resolve_request(event, {"b": case_bundle(case["input"]["files"])}, form)
    expected = case["expect"]
    assert answer == {
        "stacktraces": [{"frames": expected["frames"]}],
        "raw_stacktraces": [{"frames": expected["raw_frames"]}],
        "errors": expected["errors"],
    }, case.get("note")
