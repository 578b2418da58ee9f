"""A minified file with its map, in a bundle; and frames of it, resolved as a request to symbolicator."""

from collections.abc import Mapping
from typing import Any

from srcpack import Pack, PackSet
from srcpack.resolve import resolve_event
from support.minified import Minified

__all__ = [
    "CRANE_TS",
    "HOST",
    "ID_A",
    "ID_B",
    "by_id",
    "crane",
    "frame",
    "frames_of",
    "harbour",
    "image",
    "members",
    "names",
    "resolved",
    "script",
    "sdk_event",
]

HOST = "https://harbour.example"
ID_A = "6c1f0f2e-3b0e-4c9f-8e57-51f7a1d0c001"
ID_B = "6c1f0f2e-3b0e-4c9f-8e57-51f7a1d0c002"

CRANE_TS = """\
import { lift } from "./winch";

export class Crane {
  hoist(load: Load) {
    return lift(load);
  }
}
"""


def members(files: Mapping[str, Any], **manifest: Any) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return contents and manifest of a bundle of files by URL: type, content, perhaps headers."""
    contents, listed = {}, {}
    for number, (url, (kind, content, *headers)) in enumerate(files.items()):
        contents[str(number)] = content.encode() if isinstance(content, str) else content
        listed[str(number)] = {"type": kind, "url": url} | ({"headers": headers[0]} if headers else {})
    return contents, {"files": listed, **manifest}


def crane() -> tuple[Minified, tuple[int, int], tuple[int, int]]:
    """Write a class whose method calls a function; return also where the method's name and the call are."""
    minified = Minified({"src/crane.ts": CRANE_TS})
    minified.add("class ")
    minified.add("C", (3, 14), "Crane")
    minified.add("{")
    method = minified.add("h", (4, 3), "hoist")
    minified.add("(e){return ")
    call = minified.add("w", (5, 12), "lift")
    minified.add("(e)}}")
    return minified, method, call


def script(
    minified: Minified, reference: str | None = "crane.js.map", **headers: str
) -> tuple[str, str, dict[str, str]]:
    """Return a minified file that refers to its map."""
    return "minified_source", minified.text, headers | ({} if reference is None else {"sourcemap": reference})


def harbour(minified: Minified, **more: Any) -> dict[str, Any]:
    """Return the files of a bundle with one script and its map."""
    return {"~/crane.js": script(minified), "~/crane.js.map": ("source_map", minified.map(**more))}


def by_id(minified: Minified, **headers: str) -> dict[str, Any]:
    """Return the files of a bundle with one script and its map, which are found by debug id only."""
    return {
        "~/0.js": ("minified_source", minified.text, {"debug-id": ID_A}),
        "~/0.js.map": ("source_map", minified.map(), {"debug-id": ID_A, **headers}),
    }


def image(debug_id: str, code_file: str = f"{HOST}/crane.js") -> dict[str, str]:
    """Return what an event says of the debug id of a file."""
    return {"type": "sourcemap", "code_file": code_file, "debug_id": debug_id}


def frame(place: tuple[int, int], url: str = f"{HOST}/crane.js", **more: Any) -> dict[str, Any]:
    """Return a frame at a line and column."""
    return {"abs_path": url, "lineno": place[0], "colno": place[1], **more}


def resolved(packs: PackSet | Pack, *frames: Any, modules: Any = (), **options: Any) -> dict[str, Any]:
    """Resolve frames as a request to symbolicator has them."""
    request = {"stacktraces": [{"frames": list(frames)}], "modules": list(modules)}
    return resolve_event(request, packs if isinstance(packs, PackSet) else PackSet([packs]), **options)


def frames_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the frames of the only trace."""
    (trace,) = answer["stacktraces"]
    frames: list[dict[str, Any]] = trace["frames"]
    return frames


def names(answer: dict[str, Any]) -> list[str | None]:
    """Return what the functions of the only trace are called."""
    return [each.get("function") for each in frames_of(answer)]


def sdk_event(call: tuple[int, int]) -> dict[str, Any]:
    """Return an event as an SDK sends it, with one stack trace wherever there may be one."""
    stacktrace = {
        "frames": [{"filename": f"{HOST}/crane.js", "lineno": call[0], "colno": call[1], "in_app": True}]
    }
    return {
        "event_id": "1" * 32,
        "platform": "javascript",
        "exception": {"values": [{"type": "Error", "value": "too heavy", "stacktrace": stacktrace}, None]},
        "threads": {"values": [{"id": 1, "stacktrace": stacktrace}, {"id": 2, "stacktrace": None}]},
        "stacktrace": {**stacktrace, "registers": {}},
        "extra": {"weight": [1, 2]},
    }
