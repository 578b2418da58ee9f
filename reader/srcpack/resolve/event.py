"""Events, as Sentry's SDKs send them, with their stack traces resolved.

An event has stack traces in `exception.values`, in `threads.values` and in `stacktrace`; the debug ids of its
JavaScript files in `debug_meta.images`. A request to symbolicator has `stacktraces` and `modules`.

Rule source: <https://develop.sentry.dev/sdk/data-model/event-payloads/>; symbolicator 87e6456
`symbolicator-js/src/interface.rs`, `symbolication.rs` (symbolicate_js), `lookup.rs` (SourceMapLookup::new).
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from srcpack.errors import InvalidEvent
from srcpack.resolve.frames import FrameResolver
from srcpack.resolve.javascript import FrameError
from srcpack.resolve.search import FileSearch
from srcpack.rules.debug_id import DebugId

__all__ = ["FrameOrder", "debug_ids_of", "images_of", "resolve_event"]

FrameOrder: TypeAlias = Literal["caller_first", "callee_first"]

_FactKey: TypeAlias = tuple[int, int, bytes]
_ErrorKey: TypeAlias = tuple[bytes, int, tuple[_FactKey, ...]]

_KINDS = (
    "invalid_location",
    "invalid_abs_path",
    "missing_source_content",
    "missing_source",
    "malformed_sourcemap",
    "missing_sourcemap",
    "scraping_disabled",
    "invalid_frame",
    "lookup_unavailable",
)
"""Kinds of errors in the order in which those of one file are listed: symbolicator's, then our own."""


def resolve_event(
    event: Mapping[str, Any],
    packs: FileSearch,
    *,
    apply_source_context: bool = True,
    frame_order: FrameOrder = "caller_first",
) -> dict[str, Any]:
    """Resolve the stack traces of an event.

    Frames of JavaScript become what their source maps say; those of the JVM and native ones get the lines
    around their place. A frame that cannot be resolved stays as it is, but for the lines of the minified file
    around its place where that was found, and an error says why.

    Args:
        event: The event, as JSON has it. It is not changed; the answer shares with it what stays the same.
        packs: The packs of the event, a `PackSet`.
        apply_source_context: Whether to add the lines around each place.
        frame_order: The order of the frames in a stack trace: `caller_first` has the outermost first, as
            Sentry does.

    Returns:
        The event with resolved frames. Beside each `stacktrace` that is another now, `raw_stacktrace` has the
        frames as they were. Errors are added to the event's `errors`, each once, in the order of paths: each
        has a `type`, the `abs_path` of its raw frame, and what else belongs to the type. For a request to
        symbolicator, its answer: `stacktraces`, `raw_stacktraces` and `errors`, which may be empty, and
        of frames only the fields that symbolicator knows.

    Raises:
        InvalidEvent: The event, or what holds its stack traces, is of the wrong type.
        ValueError: `frame_order` is neither of the two.
    """
    if frame_order not in ("caller_first", "callee_first"):
        raise ValueError(f"frame_order is caller_first or callee_first, not {frame_order!r}")
    if not isinstance(event, Mapping):
        raise InvalidEvent("", type(event).__name__, "an object")
    is_request = event.get("stacktraces") is not None
    platform = event.get("platform")
    resolver = FrameResolver(
        packs,
        debug_ids_of(event),
        platform=platform if isinstance(platform, str) else None,
        apply_source_context=apply_source_context,
        is_request=is_request,
    )
    traces = _Traces(resolver, reverse=frame_order == "callee_first")
    return traces.of_request(event) if is_request else traces.of_event(event)


class _Traces:
    """Resolves the stack traces of one event, and gathers the errors."""

    def __init__(self, resolver: FrameResolver, *, reverse: bool) -> None:
        self._resolver = resolver
        self._reverse = reverse
        self._errors: dict[_ErrorKey, FrameError] = {}

    def of_request(self, event: Mapping[str, Any]) -> dict[str, Any]:
        resolved, raw = [], []
        for number, trace in enumerate(_list(event["stacktraces"], "stacktraces")):
            where = f"stacktraces[{number}]"
            frames, raw_frames = self._frames(_object(trace, where).get("frames"), f"{where}.frames")
            resolved.append({"frames": frames})
            raw.append({"frames": raw_frames})
        return {"stacktraces": resolved, "raw_stacktraces": raw, "errors": self._sorted_errors()}

    def of_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._container(event, "")
        for key in ("exception", "threads"):
            if event.get(key) is not None:
                answer[key] = self._values(event[key], key)
        if self._errors:
            known = event.get("errors")
            answer["errors"] = [*(known if isinstance(known, list) else ()), *self._sorted_errors()]
        return answer

    def _values(self, interface: Any, where: str) -> Any:
        """Resolve `exception` or `threads`: an object with `values`, such a list, or a single value."""
        if isinstance(interface, Mapping) and "values" in interface:
            values = interface["values"]
            return {**interface, "values": None if values is None else self._list(values, f"{where}.values")}
        if isinstance(interface, Mapping):
            return self._container(interface, where)
        return self._list(interface, where)

    def _list(self, values: Any, where: str) -> list[Any]:
        return [
            None if value is None else self._container(value, f"{where}[{number}]")
            for number, value in enumerate(_list(values, where))
        ]

    def _container(self, container: Any, where: str) -> dict[str, Any]:
        """Resolve the stack trace that an object has, if it has one."""
        answer = dict(_object(container, where))
        if answer.get("stacktrace") is None:
            return answer
        where = f"{where}.stacktrace" if where else "stacktrace"
        trace = _object(answer["stacktrace"], where)
        if trace.get("frames") is None:
            return answer
        frames, raw_frames = self._frames(trace["frames"], f"{where}.frames")
        answer["stacktrace"] = {**trace, "frames": frames}
        if any(frame is not raw for frame, raw in zip(frames, raw_frames, strict=True)):
            answer["raw_stacktrace"] = {**trace, "frames": raw_frames}
        return answer

    def _frames(self, frames: Any, where: str) -> tuple[list[Any], list[Any]]:
        """Return the resolved frames of a stack trace, and the raw ones."""
        frames = _list(frames, where)
        # The name that a frame hands on goes from the outside to the inside.
        answers = self._resolver.resolve_trace(reversed(frames) if self._reverse else frames)
        for answer in answers:
            if answer.error is not None:
                self._errors[_error_key(answer.error)] = answer.error
        if self._reverse:
            answers.reverse()
        return [answer.frame for answer in answers], [answer.raw_frame for answer in answers]

    def _sorted_errors(self) -> list[FrameError]:
        return [self._errors[key] for key in sorted(self._errors)]


def _error_key(error: FrameError) -> _ErrorKey:
    """Return what tells errors apart and orders them: the path, the kind, then what belongs to the kind."""
    facts = (_fact_key(value) for key, value in error.items() if key not in ("abs_path", "type"))
    path = error.get("abs_path", "").encode("utf-8", "surrogatepass")
    return path, _KINDS.index(error["type"]), tuple(facts)


def _fact_key(value: str | int | None) -> _FactKey:
    if isinstance(value, str):
        return 2, 0, value.encode("utf-8", "surrogatepass")
    return (0, 0, b"") if value is None else (1, value, b"")


def images_of(event: Mapping[str, Any]) -> list[Any]:
    """Return the images of an event or request, those that are no objects too."""
    images = event.get("modules")
    if not isinstance(images, list):
        debug_meta = event.get("debug_meta")
        images = debug_meta.get("images") if isinstance(debug_meta, Mapping) else None
    return images if isinstance(images, list) else []


def debug_ids_of(event: Mapping[str, Any]) -> dict[str, DebugId | None]:
    """Return the debug id that the event gives for each JavaScript file; of two for one file the last."""
    ids: dict[str, DebugId | None] = {}
    for image in images_of(event):
        if isinstance(image, Mapping) and image.get("type") == "sourcemap":
            code_file, debug_id = image.get("code_file"), image.get("debug_id")
            if isinstance(code_file, str):
                ids[code_file] = DebugId.parse_or_none(debug_id) if isinstance(debug_id, str) else None
    return ids


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidEvent(where, type(value).__name__, "an object")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidEvent(where, type(value).__name__, "a list")
    return value
