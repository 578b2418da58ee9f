r"""Stack traces as JavaScript engines print them: into frames, and back into lines.

| engine | its lines |
|---|---|
| V8 | `    at Crane.h [as hoist] (https://harbour.example/crane.js:1:30)`, `    at async /srv/a.js:1:2` |
| Hermes | `    at hoist (address at index.android.bundle:1:4711)`; `hoist@1:4711` in Android's log |
| SpiderMonkey (Firefox) | `h@https://harbour.example/crane.js:1:30`, `async*h@...` |
| JavaScriptCore (Safari) | the same; a place alone; a place, and then the function |

Files of a device's or server's disk have other names in events: see `app_url`.

All print the innermost frame first. Lines and columns count from 1, columns in UTF-16 units; only Hermes,
which prints the address of an instruction for a column, counts these from 0, and they become one more here,
as in Sentry's SDK. Code that `eval` runs is taken to be where `eval` was called.

Rule source: what the engines print; sentry-javascript `packages/browser/src/stack-parsers.ts` (eval);
sentry-react-native 3fe2c78 `rewriteframes.ts` and metro-symbolicate 0.87.1 (columns of Hermes).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

__all__ = ["StackTrace", "TraceLine", "app_url", "parse_stack_trace"]

_U32_MAX = 0xFFFFFFFF
_NO_PLACES = ("native", "[native code]", "<anonymous>", "unknown")
_PLACE = re.compile(r"(?P<path>.*?):(?P<line>[0-9]{1,10})(?::(?P<column>[0-9]{1,10}))?").fullmatch
_BARE_PLACE = re.compile(r"[0-9]{1,10}:[0-9]{1,10}").fullmatch
_PLACE_OF_EVAL = re.compile(r"\(([^()\s]+:[0-9]{1,10}:[0-9]{1,10})\)").search
_GECKO_EVAL = re.compile(
    r"(?P<path>\S+) line (?P<line>[0-9]{1,10})(?: > eval line [0-9]{1,10})* > (?:eval|Function)\b"
).match
_AT = re.compile(r"(?P<head>(?:[^()@]{0,100}: )?\s*at (?:async )?)(?P<rest>\S.*)").fullmatch
_PLACE_ALONE = re.compile(
    r"(?P<head>\s*)(?P<place>(?P<path>\S+):[0-9]{1,10}:[0-9]{1,10})(?:\s+(?P<function>\S+))?\s*"
).fullmatch
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:").match
_BACKSLASH = "\\"
_PATH_OF_CODE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|/|.*\.(?:js|mjs|cjs|bundle|jsbundle|hbc)\b").match


class TraceLine(NamedTuple):
    """A line of a stack trace, without its end; None for a frame where it names no place in a file.

    The frame is as an event has it: `abs_path`, `lineno`; `colno` and `function` if they are there. `head`
    stands before the function, such as `    at async `; `@` between function and place is of Firefox and
    Safari.
    """

    text: str
    frame: Mapping[str, Any] | None = None
    head: str = ""
    has_at_sign: bool = False


class StackTrace(NamedTuple):
    """A text with stack traces in it: all its lines."""

    lines: tuple[TraceLine, ...]

    def stacktraces(self) -> list[dict[str, Any]]:
        """Return the stack traces as a request to symbolicator has them, the innermost frame first.

        Lines one after the other that are frames are one stack trace.
        """
        return [
            {"frames": [dict(line.frame) for line in run if line.frame is not None]}
            for is_frame, run in groupby(self.lines, lambda line: line.frame is not None)
            if is_frame
        ]

    def resolved(
        self, stacktraces: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        """Yield each line as it reads when its frame is resolved, and that frame.

        `stacktraces` is what the method of that name gave, resolved. A line that has no frame, or whose frame
        was not resolved, stays as it is, and comes with None.
        """
        frames = (frame for trace in stacktraces for frame in trace["frames"])
        for line in self.lines:
            frame = None if line.frame is None else next(frames)
            if frame is None or not frame.get("data", {}).get("symbolicated"):
                yield line.text, None
                continue
            function = frame.get("function") or "<anonymous>"
            file = frame.get("filename") or frame["abs_path"]
            place = f"{file}:{frame['lineno']}:{frame['colno']}"
            text = f"{function}@{place}" if line.has_at_sign else f"{function} ({place})"
            yield line.head + text, frame


def parse_stack_trace(text: str, *, script: str | None = None) -> StackTrace:
    """Find the frames in what an engine or a log printed.

    `script` is the URL or path of the file that places without one are in; None leaves them aside.
    """
    return StackTrace(tuple(_parse_line(line.removesuffix("\r"), script) for line in text.split("\n")))


def app_url(path: str) -> str | None:
    """Return the URL by which events have a file of a disk, and bundles of apps too: `app:///` and its name.

    Sentry's SDKs rewrite paths so (`rewriteFrames`), as the folder is another on each device. None if the
    path is a URL of another scheme than `file`.
    """
    path = path.removeprefix("file://")
    if _SCHEME(path):
        return None
    return f"app:///{path.replace(_BACKSLASH, '/').rpartition('/')[2]}"


def _parse_line(text: str, script: str | None) -> TraceLine:
    if at := _AT(text):
        function, place = _split_at_line(at["rest"].rstrip())
        return _line(text, _frame(function, place, script), at["head"], has_at_sign=False)
    before, found, place = text.partition("@")
    if found and not _PATH_OF_CODE(before.strip()):
        # What a log put in front, and what an asynchronous caller is marked with.
        cut = max(before.rfind(": ") + 1, before.rfind("*") + 1)
        cut += len(before[cut:]) - len(before[cut:].lstrip())
        frame = _frame(before[cut:].strip(), place.strip(), script)
        if frame is not None and (_BARE_PLACE(place.strip()) or _PATH_OF_CODE(frame["abs_path"])):
            return _line(text, frame, before[:cut], has_at_sign=True)
    elif (alone := _PLACE_ALONE(text)) and _PATH_OF_CODE(alone["path"]):
        frame = _frame(alone["function"] or "", alone["place"], script)
        return _line(text, frame, alone["head"], has_at_sign=True)
    return TraceLine(text)


def _line(text: str, frame: Mapping[str, Any] | None, head: str, *, has_at_sign: bool) -> TraceLine:
    return TraceLine(text) if frame is None else TraceLine(text, frame, head, has_at_sign)


def _split_at_line(rest: str) -> tuple[str, str]:
    """Return the function and the place of what follows `at `."""
    function, found, place = rest.partition(" (")
    if found and place.endswith(")"):
        return function, place[:-1]
    return "", rest[1:-1] if rest.startswith("(") and rest.endswith(")") else rest


def _frame(function: str, place: str, script: str | None) -> dict[str, Any] | None:
    if place.startswith("eval at ") and (called := _PLACE_OF_EVAL(place)):
        place = called[1]
    is_address = place.startswith("address at ") or _BARE_PLACE(place) is not None
    place = place.removeprefix("address at ")
    if _BARE_PLACE(place):
        if script is None:
            return None
        place = f"{script}:{place}"
    evaluated = _GECKO_EVAL(place)
    match = _PLACE(f"{evaluated['path']}:{evaluated['line']}" if evaluated else place)
    if match is None or not match["path"] or match["path"].isdecimal() or match["path"] in _NO_PLACES:
        return None
    frame: dict[str, Any] = {"abs_path": match["path"], "lineno": int(match["line"])}
    if match["column"] is not None:
        frame["colno"] = int(match["column"]) + is_address
    if frame["lineno"] > _U32_MAX or frame.get("colno", 0) > _U32_MAX:
        return None
    if function:
        frame["function"] = function
    return frame
