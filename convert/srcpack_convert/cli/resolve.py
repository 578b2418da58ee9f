"""The command `resolve`."""

import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from srcpack import DebugId, Pack, PackSet, SrcpackError
from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.format.head_tail import PACK_HEAD, is_pack
from srcpack.resolve import resolve_event
from srcpack.resolve.event import debug_ids_of, images_of
from srcpack.resolve.explain import FrameExplainer
from srcpack.resolve.frames import path_of
from srcpack.rules.stack_trace import StackTrace, app_url, parse_stack_trace
from srcpack.source.locations import is_url
from srcpack_convert.cli.arguments import DebugIdOption, FilesFromOption, JsonOption, NullOption
from srcpack_convert.cli.opening import allow_open_files, name_of, named_packs, open_one
from srcpack_convert.cli.resolved_text import event_lines, frames_of, source_lines
from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    Failure,
    about,
    complain,
    described,
    print_json,
    print_line,
    shown,
    warn,
)
from srcpack_convert.inputs.patterns import is_pattern
from srcpack_convert.storage import first_bytes

__all__ = ["resolve"]

_MOST_INPUT = 64 << 20


def resolve(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PACK... [EVENT]",
            help="Packs, zips, folders, patterns, URLs of packs; and one event (JSON) or stack trace, or -.",
        ),
    ] = None,
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="URL:LINE:COLUMN", help="One position, in place of an event."),
    ] = None,
    debug_id: DebugIdOption = None,
    script: Annotated[
        str | None,
        typer.Option("--script", metavar="URL", help="File of places that are printed without one."),
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", min=0, max=5, help="Lines of source to show either side of a place.")
    ] = 2,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say for each frame what was asked where, and what would mend it."),
    ] = False,
    files_from: FilesFromOption = None,
    null: NullOption = False,
    as_json: JsonOption = False,
) -> int:
    """Resolve the frames of an event, or of a stack trace, to the original sources.

    An event is JSON as Sentry's SDKs send it; a stack trace is text as V8, Firefox, Safari and Hermes
    print it. A file of a disk in a trace, which no pack has by its path, is looked for as app:///NAME, as
    SDKs send it. Needs PyPI symbolic for packs that were converted without --lookups, and for zips. Exit
    code 3 if some frames could not be resolved, or some packs not be read, 1 if none could.

    Examples:
      srcpack resolve app.srcpack trace.txt
      pbpaste | srcpack resolve packs/ -
      srcpack resolve app.srcpack event.json --json | jq .exception
      srcpack resolve app.srcpack --at https://a.example/a.js:1:4711 --explain
    """
    packs, given = _sorted_out(places or [])
    if at is not None and given is not None:
        raise typer.BadParameter(f"--at takes the place of an event: {given!r}")
    if not packs and files_from is None:
        raise typer.BadParameter("no pack is named")
    if files_from == "-" and at is None and given in (None, "-"):
        raise typer.BadParameter("--files-from - and the event both come from stdin; give the event's file")
    trace: StackTrace | None = None
    if at is not None:
        event: Mapping[str, Any] = {"stacktraces": [{"frames": [_frame_at(at)]}], "modules": []}
    else:
        text = _read(given or "-")
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            event = _parsed(text, given or "-")
        else:
            trace = parse_stack_trace(text, script=script)
            event = {"stacktraces": trace.stacktraces()}
            if script is None:
                _tell_bare_places(text, trace)
    if debug_id is not None:
        event = _with_debug_id(event, DebugId.parse(debug_id))
    with ExitStack() as stack:
        opened: dict[str, Pack] = {}
        failures = 0
        allow_open_files()
        found = stack.enter_context(named_packs(packs, files_from, null=null, with_zips=True))
        for each in found:
            try:
                with about(name_of(each.place)):
                    opened[each.place] = stack.enter_context(open_one(each.checked()))
            except (SrcpackError, OSError, ValueError) as error:
                complain(described(error))
                failures += 1
        if failures and not opened:
            return FAILED
        search = PackSet.by_uri(opened)
        if trace is not None and debug_id is None:
            _name_as_sent(event, search)
        answer = resolve_event(event, search, frame_order="caller_first" if trace is None else "callee_first")
        if as_json:
            print_json(answer)
        elif trace is not None:
            _print_trace(trace, answer, lines)
        else:
            for line in event_lines(answer, lines, colour=_has_colour()):
                print_line(line)
        if explain:
            _explain(event, search)
        if not as_json:
            errors = answer.get("errors")  # with those that the event came with, of whatever form
            known = errors if isinstance(errors, list) else []
            warn(_error_text(error) for error in known if isinstance(error, Mapping))
    code = _code(answer)
    return PARTLY if failures and not code else code


def _print_trace(trace: StackTrace, answer: Mapping[str, Any], lines: int) -> None:
    for text, frame in trace.resolved(answer["stacktraces"]):
        print_line(shown(text))
        if frame is not None:
            for line in source_lines(frame, lines, colour=_has_colour()):
                print_line(line)


def _explain(event: Mapping[str, Any], search: PackSet) -> None:
    explainer = FrameExplainer(search)
    debug_ids = debug_ids_of(event)
    for frame in _frames_of(event):
        path, line = path_of(frame), frame.get("lineno")
        if path is None or not isinstance(line, int):
            continue
        column = frame.get("colno")
        print_line(shown(f"{path}:{line}" + (f":{column}" if isinstance(column, int) else "")))
        debug_id = debug_ids.get(path.removeprefix("async "))
        for step in explainer.explain(path, line, column if isinstance(column, int) else None, debug_id):
            print_line(shown(f"  {step}"))


# ---- what was given


def _sorted_out(places: list[str]) -> tuple[list[str], str | None]:
    """Tell packs, folders of packs and URLs from the one event or stack trace among what was named."""
    packs: list[str] = []
    given: str | None = None
    for place in places:
        if place != "-" and (_has_name_of_pack(place) or os.path.isdir(place) or _is_pack(place)):
            packs.append(place)
        elif given is None:
            given = place
        else:
            raise typer.BadParameter(f"one event or stack trace is resolved: {given!r} or {place!r}?")
    return packs, given


def _has_name_of_pack(place: str) -> bool:
    """Return whether a name is none of an event: what has it and is no pack is told to be none."""
    is_named = place.lower().endswith((".srcpack", ".zip"))
    return is_named or is_url(place) or (is_pattern(place) and not os.path.lexists(place))


def _is_pack(path: str) -> bool:
    with about(path):
        # What a shell puts in the place of a file is read once: it has no first bytes to look at before.
        head = first_bytes(path, PACK_HEAD) if stat.S_ISREG(os.stat(path).st_mode) else b""
    return is_pack(head) or is_source_bundle(head[:MAGIC_SIZE])


def _read(given: str) -> str:
    with about(given):
        if given == "-":
            data = sys.stdin.buffer.read(_MOST_INPUT + 1)
        else:
            with open(given, "rb") as file:
                data = file.read(_MOST_INPUT + 1)
    if len(data) > _MOST_INPUT:
        raise Failure(f"{given}: more than {_MOST_INPUT:,} bytes are no event and no stack trace")
    return data.decode(errors="replace")


def _parsed(text: str, given: str) -> Mapping[str, Any]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{given}: no JSON: {error}") from error
    if not isinstance(event, Mapping):
        raise Failure(f"{given}: an event is an object")
    return event


def _frame_at(at: str) -> dict[str, Any]:
    path, _, column = at.rpartition(":")
    path, _, line = path.rpartition(":")
    if not path or not (line.isascii() and line.isdecimal()) or not (column.isascii() and column.isdecimal()):
        raise typer.BadParameter(f"--at is URL:LINE:COLUMN, not {at!r}")
    return {"abs_path": path, "lineno": int(line), "colno": int(column)}


def _with_debug_id(event: Mapping[str, Any], debug_id: DebugId) -> Mapping[str, Any]:
    """Let all files of an event that come without one have a debug id."""
    known = debug_ids_of(event)
    paths = {
        path.removeprefix("async ") for frame in _frames_of(event) if (path := path_of(frame)) is not None
    }
    images = [
        *images_of(event),
        *(
            {"type": "sourcemap", "code_file": path, "debug_id": str(debug_id)}
            for path in sorted(paths)
            if known.get(path) is None
        ),
    ]
    if event.get("stacktraces") is not None or isinstance(event.get("modules"), list):
        return {**event, "modules": images}
    debug_meta = event.get("debug_meta")
    return {
        **event,
        "debug_meta": {**(debug_meta if isinstance(debug_meta, Mapping) else {}), "images": images},
    }


def _tell_bare_places(text: str, trace: StackTrace) -> None:
    """Say that Hermes prints places without their file, where it did and nobody said which file it is."""
    named = parse_stack_trace(text, script="-")
    bare = sum(a.frame != b.frame for a, b in zip(trace.lines, named.lines, strict=True))
    if bare:
        warn([f"{bare:,} of the trace's places name no file: --script says which it is"])


def _name_as_sent(event: Mapping[str, Any], search: PackSet) -> None:
    """Let a trace's file that no pack has by its path have the name that SDKs send, if one has it by that."""
    names: dict[str, str] = {}
    for trace in event["stacktraces"]:
        for frame in trace["frames"]:
            path = frame["abs_path"]
            if path not in names:
                sent = app_url(path)
                is_elsewhere = search.resolve(path) is None and sent and search.resolve(sent) is not None
                names[path] = sent if sent and is_elsewhere else path
            frame["abs_path"] = names[path]


def _frames_of(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the frames of all stack traces, as they are in the event."""
    holders: list[Any] = [event]
    for key in ("exception", "threads"):
        found = event.get(key)
        values = found.get("values") if isinstance(found, Mapping) else found
        holders += values if isinstance(values, list) else [found]
    traces = [each.get("stacktrace") for each in holders if isinstance(each, Mapping)]
    stacktraces = event.get("stacktraces")
    for trace in [*traces, *(stacktraces if isinstance(stacktraces, list) else ())]:
        yield from (frame for frame in frames_of(trace) if isinstance(frame, Mapping))


# ---- what is told


def _has_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _error_text(error: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{key} {value!r}" for key, value in error.items() if key not in ("type", "abs_path"))
    return ": ".join(str(each) for each in (error.get("abs_path"), error.get("type"), facts) if each)


def _code(answer: Mapping[str, Any]) -> int:
    resolved = [
        bool(_data(frame).get("symbolicated")) or "context_line" in frame for frame in _frames_of(answer)
    ]
    if not any(resolved):
        return FAILED
    return 0 if all(resolved) else PARTLY


def _data(frame: Mapping[str, Any]) -> Mapping[str, Any]:
    data = frame.get("data")
    return data if isinstance(data, Mapping) else {}
