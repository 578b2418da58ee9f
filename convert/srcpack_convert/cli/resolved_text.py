"""Resolved frames as text for people: function, file, line and the source around it."""

from collections.abc import Iterator, Mapping
from typing import Any

from srcpack_convert.cli.terminal import escaped, shown

__all__ = ["event_lines", "frames_of", "source_lines"]

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def event_lines(event: Mapping[str, Any], lines: int, *, colour: bool) -> Iterator[str]:
    """Yield the stack traces of a resolved event, innermost frame first, with the source around each place.

    `lines` are shown either side of it.
    """
    for title, frames in _traces(event):
        if title:
            yield shown(title)
        for frame in reversed(frames):
            if isinstance(frame, Mapping):
                yield _styled(shown(f"    at {_place(frame)}"), _BOLD, colour)
                yield from source_lines(frame, lines, colour=colour)


def source_lines(frame: Mapping[str, Any], lines: int, *, colour: bool) -> Iterator[str]:
    """Yield the source around a frame's place, its line marked; nothing if the frame has none."""
    line, current = frame.get("lineno"), frame.get("context_line")
    if not lines or not isinstance(line, int) or not isinstance(current, str):
        return
    before, after = (
        [*map(str, found)] if isinstance(found := frame.get(key), list) else []
        for key in ("pre_context", "post_context")
    )
    before, after = before[-lines:], after[:lines]
    width = len(str(line + len(after)))
    for number, text in enumerate(before, line - len(before)):
        yield _styled(f"      {number:>{width}} | {_code(text)}", _DIM, colour)
    yield f"    > {line:>{width}} | {_code(current)}"
    for number, text in enumerate(after, line + 1):
        yield _styled(f"      {number:>{width}} | {_code(text)}", _DIM, colour)


def _traces(event: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield what stands over each stack trace, and its frames."""
    exceptions = event.get("exception")
    values = exceptions.get("values") if isinstance(exceptions, Mapping) else exceptions
    for value in values if isinstance(values, list) else [exceptions]:
        if isinstance(value, Mapping) and (frames := frames_of(value.get("stacktrace"))):
            yield f"{value.get('type') or 'Error'}: {value.get('value') or ''}".rstrip(": "), frames
    threads = event.get("threads")
    values = threads.get("values") if isinstance(threads, Mapping) else threads
    for value in values if isinstance(values, list) else ():
        if isinstance(value, Mapping) and (frames := frames_of(value.get("stacktrace"))):
            yield f"thread {value.get('name') or value.get('id') or ''}".rstrip(), frames
    for trace in (event.get("stacktrace"), *(event.get("stacktraces") or ())):
        if frames := frames_of(trace):
            yield "", frames


def frames_of(trace: Any) -> list[Any]:
    """Return the frames of a stack trace; none where it is none."""
    frames = trace.get("frames") if isinstance(trace, Mapping) else None
    return frames if isinstance(frames, list) else []


def _place(frame: Mapping[str, Any]) -> str:
    path = frame.get("filename") or frame.get("abs_path") or frame.get("module") or "?"
    place = ":".join(
        str(part) for part in (path, frame.get("lineno"), frame.get("colno")) if part is not None
    )
    function = frame.get("function")
    return f"{function} ({place})" if function else place


def _code(text: str) -> str:
    return escaped(text.replace("\t", "    "))


def _styled(text: str, style: str, colour: bool) -> str:
    return f"{style}{text}{_PLAIN}" if colour else text
