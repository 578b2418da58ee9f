"""Events of one frame or a few, each for one rule of symbolicator, and what the rule decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from srcpack import Pack, PackSet
from srcpack.resolve import resolve_event
from support.harbour import HOST, ID_A
from support.source_maps import packed_map, source_map

__all__ = [
    "BY_ID",
    "ID",
    "JS",
    "MAP",
    "RESOLVED",
    "UNRESOLVED",
    "H",
    "Ruled",
    "at",
    "differences",
    "file",
    "image",
    "invalid_location",
    "js",
    "malformed",
    "mapped",
    "missing",
    "one",
    "origin",
    "scraping_disabled",
]

H, ID = HOST, ID_A
JS, MAP = f"{H}/a.js", f"{H}/a.js.map"

File = tuple[str, tuple[str, str | bytes, dict[str, str]]]
"""A file's URL; its type, content and headers."""


def file(url: str, kind: str, content: str | bytes, **headers: str) -> File:
    return url, (kind, content, {name.replace("_", "-"): value for name, value in headers.items()})


def js(text: str = "x()", url: str = "~/a.js", kind: str = "minified_source", **headers: str) -> File:
    """Return a script; it refers to `a.js.map` where neither it nor its headers say anything else."""
    refers = headers or "sourceMappingURL" in text
    return file(url, kind, text, **(headers if refers else {"sourcemap": "a.js.map"}))


def one(name: str | None = "src/a.ts", text: str | None = "one\ntwo\n", **more: Any) -> dict[str, Any]:
    """Return a map of one source and, if not told otherwise, one token: the first place of both."""
    segments, names = more.pop("segments", [(0, 0, 0, 0, 0)]), more.pop("names", [])
    return source_map(segments, [name], names, **{"sourcesContent": [text], **more})


def mapped(document: Any = None, url: str = "~/a.js.map", **headers: str) -> File:
    content = document if isinstance(document, bytes) else packed_map(one() if document is None else document)
    return file(url, "source_map", content, **headers)


def at(path: str = JS, line: int = 1, column: int | None = 1, **more: Any) -> dict[str, Any]:
    return {"abs_path": path, "lineno": line} | ({} if column is None else {"colno": column}) | more


def image(debug_id: str = ID, code_file: str = JS) -> dict[str, str]:
    return {"type": "sourcemap", "code_file": code_file, "debug_id": debug_id}


def origin(**key: str) -> dict[str, Any]:
    return {"bundled": ["b://0", {"source_map": key}]}


def scraping_disabled(path: str = JS) -> dict[str, Any]:
    return {"abs_path": path, "type": "scraping_disabled"}


def missing(what: str, path: str = JS, **facts: Any) -> dict[str, Any]:
    return {"abs_path": path, "type": f"missing_{what}", **facts}


def malformed(url: str = MAP) -> dict[str, Any]:
    return {"abs_path": JS, "type": "malformed_sourcemap", "url": url}


def invalid_location(line: int, col: int | None) -> dict[str, Any]:
    return {"abs_path": JS, "type": "invalid_location", "line": line, "col": col}


RESOLVED = {"data.symbolicated": True, "filename": "src/a.ts", "context_line": "one"}
UNRESOLVED = {"data.symbolicated": False, "filename": None, "lineno": 1}
BY_ID = (js(url="~/i.js", debug_id=ID), mapped(url="~/i.map", debug_id=ID))


class Ruled(NamedTuple):
    """An event and what a rule decides of it.

    Attributes:
        rule: The rule.
        frames: The frames of its one stack trace.
        shown: What some fields of the resolved frames are; None for one that is absent.
        files: Those of its one bundle.
        errors: All errors.
        raw: As `shown`, of the raw frames.
        modules: The event's modules.
        bundles: The files of several bundles; the last is tried first.
        stacktraces: Several stack traces in place of `frames`.
        apply_source_context: Whether lines around places are wanted.
    """

    rule: str
    frames: Sequence[dict[str, Any]]
    shown: Sequence[Mapping[str, Any]]
    files: Sequence[File] = (js(), mapped())
    errors: Sequence[Mapping[str, Any]] = ()
    raw: Sequence[Mapping[str, Any]] = ()
    modules: Sequence[Mapping[str, str]] = ()
    bundles: Sequence[Sequence[File]] = ()
    stacktraces: Sequence[Sequence[dict[str, Any]]] = ()
    apply_source_context: bool = True


def differences(case: Ruled, make: Callable[..., Pack]) -> list[str]:
    """Resolve an event; return what is otherwise than its rule says."""
    packs = {f"b://{number}": make(dict(files)) for number, files in enumerate(case.bundles or [case.files])}
    traces = [{"frames": list(frames)} for frames in case.stacktraces or [case.frames]]
    request = {"platform": "javascript", "stacktraces": traces, "modules": list(case.modules)}
    answer = resolve_event(
        request,
        PackSet.by_uri(packs, resolved_with=dict.fromkeys(packs, "release")),
        apply_source_context=case.apply_source_context,
    )
    errors = [] if answer["errors"] == list(case.errors) else [f"errors: {answer['errors']}"]
    return [
        *errors,
        *_of_frames(case.shown, answer["stacktraces"]),
        *_of_frames(case.raw, answer["raw_stacktraces"]),
    ]


def _of_frames(wanted: Sequence[Mapping[str, Any]], traces: Iterable[Mapping[str, Any]]) -> list[str]:
    frames = [frame for trace in traces for frame in trace["frames"]]
    return [
        f"{key} of frame {number}: {_field(frames[number], key)!r} in place of {value!r}"
        for number, fields in enumerate(wanted)
        for key, value in fields.items()
        if _field(frames[number], key) != value
    ]


def _field(frame: Any, key: str) -> Any:
    for part in key.split("."):
        frame = frame.get(part) if isinstance(frame, Mapping) else None
    return frame
