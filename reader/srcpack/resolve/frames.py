"""The frames of a stack trace, each resolved by the rules of its platform.

JavaScript frames become original ones. Those of the JVM and native ones get the lines around their place,
as other steps have resolved them already; what cannot be resolved stays as it is.

Rule source: symbolicator 87e6456 `symbolicator-js/src/interface.rs` (JsFrame) and `symbolication.rs`,
`symbolicator-proguard/src/symbolication.rs`, `symbolicator-native/src/symbolication/`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard

from srcpack.pack import Pack
from srcpack.resolve.file_text import FileText, UnreadableError, lines_of_frame
from srcpack.resolve.javascript import FrameError, JavaScriptFrame, JavaScriptFrames
from srcpack.resolve.resolved import Resolved
from srcpack.resolve.search import FileSearch
from srcpack.rules.context import Context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.urls import jvm_source_url

__all__ = ["FrameResolver", "ResolvedFrame", "path_of", "resolve_frame"]

_JAVASCRIPT = frozenset(("javascript", "node"))
_JVM = frozenset(("java",))
_NATIVE = frozenset(("native", "c", "cocoa", "csharp", "objc", "rust", "swift"))

_U32_MAX = 0xFFFFFFFF
_TEXTS = ("function", "filename", "module", "platform", "context_line", "token_name")
_LISTS = ("pre_context", "post_context")
_DATA: Mapping[str, type | tuple[type, ...]] = {
    "sourcemap": str,
    "sourcemap_origin": (str, dict),
    "resolved_with": str,
    "symbolicated": bool,
}


class ResolvedFrame(NamedTuple):
    """A frame that was resolved, or that could not be.

    Attributes:
        frame: The frame as resolved; the raw frame if it cannot be.
        raw_frame: The frame as it came, with the lines of the minified file around its place if it was found.
        error: Why the frame could not be resolved, or what is missing of it all the same: `type`, a kind of
            symbolicator's, `abs_path` and what else belongs to the kind. None if nothing is wrong.
    """

    frame: Any
    raw_frame: Any
    error: FrameError | None = None


def resolve_frame(frame: Mapping[str, Any], search: FileSearch, debug_id: DebugId | None) -> ResolvedFrame:
    """Resolve a frame for itself; see `PackSet.resolve_frame`."""
    path = path_of(frame) if isinstance(frame, Mapping) else None
    debug_ids = {} if path is None or debug_id is None else {path.removeprefix("async "): debug_id}
    return FrameResolver(search, debug_ids).resolve_trace([frame])[0]


class FrameResolver:
    """Resolves the frames of one event, in one thread.

    Args:
        search: Finds and reads files.
        debug_ids: The debug ids that the event gives for JavaScript files.
        platform: The platform of frames that name none.
        apply_source_context: Whether the lines around each place are wanted.
        is_request: Whether frames are those of a request to symbolicator: all are of JavaScript if its
            platform is that, else those that are not said to be others; and an answer has the fields alone
            that are known. Else an answer has all fields of its frame, and a file's URL may be its
            `filename`, as SDKs send it.
    """

    def __init__(
        self,
        search: FileSearch,
        debug_ids: Mapping[str, DebugId | None],
        *,
        platform: str | None = None,
        apply_source_context: bool = True,
        is_request: bool = False,
    ) -> None:
        self._search = search
        self._javascript = JavaScriptFrames(search, debug_ids, apply_source_context=apply_source_context)
        self._platform = platform
        self._wants_context = apply_source_context
        self._is_request = is_request
        self._is_javascript = is_request and platform in _JAVASCRIPT
        self._texts: dict[tuple[Pack, str], FileText | None] = {}

    def resolve_trace(self, frames: Iterable[object]) -> list[ResolvedFrame]:
        """Resolve the frames of one stack trace, the outermost first."""
        answers = []
        token_name = None
        for frame in frames:
            answer, token_name = self._resolve(frame, token_name)
            answers.append(answer)
        return answers

    def _resolve(self, frame: object, caller_token_name: str | None) -> tuple[ResolvedFrame, str | None]:
        if not isinstance(frame, Mapping):
            return _unchanged(frame, _invalid("frame", "an object", frame)), None
        if self._is_javascript:
            return self._resolve_javascript(frame, caller_token_name)
        platform = frame.get("platform") or self._platform
        if platform is not None and not isinstance(platform, str):
            return _unchanged(frame, _invalid("platform", "a text", platform)), None
        if platform in _JVM:
            return self._resolve_jvm(frame), None
        if platform in _NATIVE:
            return self._resolve_native(frame), None
        if self._is_request or platform is None or platform in _JAVASCRIPT:
            return self._resolve_javascript(frame, caller_token_name)
        return ResolvedFrame(frame, frame), None

    # ---- JavaScript

    def _resolve_javascript(
        self, frame: Mapping[str, Any], caller_token_name: str | None
    ) -> tuple[ResolvedFrame, str | None]:
        data = frame.get("data")
        if not self._is_request and isinstance(data, Mapping) and data.get("symbolicated") is True:
            return ResolvedFrame(frame, frame), None
        try:
            raw = _known_fields(frame, is_request=self._is_request)
        except _InvalidFrameError as problem:
            return _unchanged(frame, problem.error), None
        path = raw["abs_path"]
        answer = self._javascript.resolve(raw, caller_token_name)
        error = None if answer.error is None else {"abs_path": path, **answer.error}
        resolved = raw if answer.frame is None else answer.frame
        if self._is_request:
            return ResolvedFrame(_shown(resolved), _shown(raw), error), answer.token_name
        return ResolvedFrame(
            _merged(frame, resolved, path), _merged(frame, raw, path), error
        ), answer.token_name

    # ---- JVM and native

    def _resolve_jvm(self, frame: Mapping[str, Any]) -> ResolvedFrame:
        module, path, line = frame.get("module"), path_of(frame), frame.get("lineno")
        if not isinstance(module, str):
            return _unchanged(frame, _invalid("module", "a text", module))
        if not _is_number(line) or line == 0:
            return _unchanged(frame, {"type": "invalid_location", "line": None, "col": None})
        if not self._wants_context:
            return ResolvedFrame(frame, frame)
        for found in self._search.jvm_sources(module, path, line):
            if (context := self._context(found, line)) is not None:
                return _with_context(frame, context)
        return _unchanged(frame, {"type": "missing_source", "source": jvm_source_url(module, path)})

    def _resolve_native(self, frame: Mapping[str, Any]) -> ResolvedFrame:
        path, line = path_of(frame), frame.get("lineno")
        if path is None:
            return _unchanged(frame, {"type": "invalid_abs_path"})
        if not _is_number(line) or line == 0:
            return _unchanged(frame, {"type": "invalid_location", "line": None, "col": None})
        if not self._wants_context:
            return ResolvedFrame(frame, frame)
        for found in self._search.sources_by_path(path):
            if not isinstance(found, Resolved):
                return ResolvedFrame({**frame, "source_link": found.url}, frame)
            if (context := self._context(found, line)) is not None:
                return _with_context(frame, context)
        return _unchanged(frame, {"type": "missing_source"})

    def _context(self, found: Resolved, line: int) -> Context | None:
        key = found.pack, found.entry.name
        if key not in self._texts:
            self._texts[key] = FileText(self._search, found)
        text = self._texts[key]
        try:
            return None if text is None else text.context(line)
        except UnreadableError:
            self._texts[key] = None
            return None


class _InvalidFrameError(Exception):
    """A frame that cannot even be looked at, and why."""

    def __init__(self, error: FrameError) -> None:
        super().__init__(error)
        self.error = error


def _invalid(what: str, expected: str, found: object) -> FrameError:
    return {"type": "invalid_frame", "reason": f"{what}: found {type(found).__name__}, expected {expected}"}


def _known_fields(frame: Mapping[str, Any], *, is_request: bool) -> JavaScriptFrame:
    """Take what symbolicator knows out of a frame, and check that it is of the types that it has."""
    known: JavaScriptFrame = {}
    for key in _TEXTS:
        if (value := frame.get(key)) is not None:
            if not isinstance(value, str):
                raise _InvalidFrameError(_invalid(key, "a text", value))
            known[key] = value
    for key in _LISTS:
        if (value := frame.get(key)) is not None:
            if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
                raise _InvalidFrameError(_invalid(key, "a list of texts", value))
            known[key] = value
    for key in ("lineno", "colno"):
        if (value := frame.get(key)) is not None:
            if not _is_number(value):
                raise _InvalidFrameError(_invalid(key, f"a whole number from 0 to {_U32_MAX:,}", value))
            known[key] = value
    path = frame.get("abs_path") if is_request else path_of(frame)
    if path is None:
        raise _InvalidFrameError({"type": "invalid_abs_path"})
    if not isinstance(path, str):
        raise _InvalidFrameError(_invalid("abs_path", "a text", path))
    known["abs_path"] = path.removeprefix("async ")
    if "lineno" not in known:
        raise _InvalidFrameError({"type": "invalid_location", "line": None, "col": known.get("colno")})
    data = frame.get("data")
    if data is not None and not isinstance(data, Mapping):
        raise _InvalidFrameError(_invalid("data", "an object", data))
    known["data"] = {"symbolicated": False}
    for key, kind in _DATA.items():
        if data is not None and isinstance(data.get(key), kind):
            known["data"][key] = data[key]
    return known


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _U32_MAX


def path_of(frame: Mapping[str, Any]) -> str | None:
    """Return the URL or path of a frame's file: SDKs send it as `filename` alone where that says it all."""
    for key in ("abs_path", "filename"):
        if isinstance(value := frame.get(key), str):
            return value
    return None


def _unchanged(frame: Any, error: FrameError) -> ResolvedFrame:
    path = path_of(frame) if isinstance(frame, Mapping) else None
    return ResolvedFrame(frame, frame, error if path is None else {"abs_path": path, **error})


def _with_context(frame: Mapping[str, Any], context: Context) -> ResolvedFrame:
    return ResolvedFrame({**frame, **lines_of_frame(context)}, frame)


def _shown(answer: JavaScriptFrame) -> dict[str, Any]:
    """Return a frame as symbolicator answers it: no list is empty."""
    return {key: value for key, value in answer.items() if key != "token_name" and value != []}


def _merged(frame: Mapping[str, Any], answer: JavaScriptFrame, path: str) -> dict[str, Any]:
    """Return a frame with what is known of it now, and all its other fields."""
    merged = {**frame, **answer, "data": {**(frame.get("data") or {}), **answer["data"]}}
    if frame.get("abs_path") is None and answer["abs_path"] == path:
        del merged["abs_path"]
    return merged
