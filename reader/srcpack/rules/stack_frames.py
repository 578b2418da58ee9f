r"""Names of a JavaScript stack frame: what its function, its file and its module are called.

Rule source: symbolicator 87e6456 `symbolicator-js/src/utils.rs`, the functions of the same names.
"""

import re
from itertools import groupby

from srcpack.rules.urls import strip_hostname

__all__ = [
    "fixup_turbopack_filename",
    "fixup_webpack_filename",
    "fold_function_name",
    "generate_module",
    "get_function_for_token",
]

_USELESS_FUNCTIONS = ("<anonymous>", "__webpack_require__", "__webpack_modules__")
_WEBPACK_NAMESPACE = re.compile(r"webpack(?:-internal)?://[a-zA-Z0-9_\-@.]*/\./")
_WEBPACK_PREFIX = "webpack:///"
_TURBOPACK_PREFIX = "turbopack:///"
_TURBOPACK_PROJECT = "[project]/"

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
# One folder at a time: a repeated group would keep a state for each, and paths may be long.
_LEADING_FOLDER = re.compile(
    r"""/|(?:
        (?:java)?scripts?|js|build|static|node_modules|bower_components
        |[_.~][^/\n]*
        |v?(?:\d+\.)*\d+
        |[a-f0-9]{7,8}
        |[a-f0-9]{32}
        |[a-f0-9]{40}
    )/""",
    re.IGNORECASE | re.VERBOSE,
).match
_COMMIT_ENDING = re.compile(r"[-.][a-f0-9]{7,}\Z", re.IGNORECASE)


def get_function_for_token(frame: str | None, token: str, caller_token_name: str | None) -> str:
    """Choose the name of a frame's function: `token`, the one around it, unless that says nothing.

    Then it is the name that the caller's token has, by which the function was called, if it is not empty;
    else the one that the frame came with, even if it is; else `token` all the same.
    """
    if token not in _USELESS_FUNCTIONS:
        return token
    if caller_token_name:
        return caller_token_name
    return token if frame is None else frame


def fold_function_name(name: str) -> str:
    """Write runs of equal parts between dots once, with their number; the last part is left out of this.

    `a.b.b.c` is `a.{b#2}.c`.
    """
    *parts, last = name.split(".")
    folded = []
    for part, run in groupby(parts):
        count = sum(1 for _ in run)
        folded.append(part if count == 1 else f"{{{part}#{count}}}")
    return ".".join([*folded, last])


def fixup_webpack_filename(filename: str) -> str:
    """Take what webpack puts in front of a source's name off it."""
    _, found, rest = filename.partition("/~/")
    if found:
        return f"~/{rest}"
    if namespace := _WEBPACK_NAMESPACE.match(filename):
        return f"./{filename[namespace.end() :]}"
    return filename.removeprefix(_WEBPACK_PREFIX)


def fixup_turbopack_filename(filename: str) -> str:
    """Take what Turbopack puts in front of a source's name off it."""
    if not filename.startswith(_TURBOPACK_PREFIX):
        return filename
    return filename.removeprefix(_TURBOPACK_PREFIX).removeprefix(_TURBOPACK_PROJECT)


def generate_module(abs_path: str) -> str:
    """Make a module's name of a URL or path: without host, query, fragment, ending and one `.min`.

    Of that, what follows the first folder that is a hash; else all but leading folders that say nothing, and
    a commit at the end.
    """
    path = re.split("[#?]", strip_hostname(abs_path), maxsplit=1)[0]
    dot = path.rfind(".")
    if dot > path.rfind("/"):
        path = path[:dot]
    path = path.removesuffix(".min")

    at = 0
    for segment in path.split("/"):
        at += len(segment) + 1
        if _is_hash(segment):
            return path[at:]

    at = 0
    while folder := _LEADING_FOLDER(path, at):
        at = folder.end()
    return _COMMIT_ENDING.sub("", path[at:])


def _is_hash(segment: str) -> bool:
    # Upstream asks for hexadecimal digits where there are 40 of them, and takes any 32 bytes.
    size = len(segment.encode("utf-8", "surrogatepass"))
    return size == 32 or (size == 40 and _HEX_DIGITS.issuperset(segment))
