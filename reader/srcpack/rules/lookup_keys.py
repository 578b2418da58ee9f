"""Keys: what a file is looked up by (SPEC.md, "Keys").

The rules of each kind are symbolic's (symbolic a5980e8, symbolic-debuginfo/src/sourcebundle/mod.rs).
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum

from srcpack.records import EntryRecord, FileType
from srcpack.rules.debug_id import DebugId

__all__ = [
    "ALL_KINDS",
    "DEBUG_ID",
    "NAME",
    "PATH",
    "URL",
    "Kind",
    "debug_id_key",
    "header_debug_id",
    "header_reference",
    "key_of",
    "keys_of",
    "lower_headers",
    "normalize_path",
    "reference_of",
]

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Kind(IntEnum):
    """Kinds of key; the number is hashed with the key, and its bit in the tail says that it is indexed."""

    NAME = 0
    PATH = 1
    URL = 2
    DEBUG_ID = 3


NAME, PATH, URL, DEBUG_ID = _KINDS = tuple(Kind)
"""The kinds by name: to find one in its class takes CPython 3.11 longer than a look-up in a dict."""

ALL_KINDS = sum(1 << kind for kind in Kind)


def normalize_path(path: str) -> str:
    r"""Return the key of a path: `\` is `/`, and nothing else is changed, not even `.` or `..`."""
    return path.replace("\\", "/")


def debug_id_key(debug_id: DebugId | str, file_type: FileType) -> str:
    """Return the key of a debug id and a type: the id's canonical text, a space, the type."""
    return f"{debug_id} {file_type}"


def key_of(record: EntryRecord, kind: Kind) -> str | None:
    """Return the key of a kind that an entry can be found by, if no entry with a greater name has it too.

    A member that the bundle's manifest does not list has its name alone; an empty path or URL is no
    key; a debug id is a key only where the `debug-id` header gives it and the manifest gives a type.
    A pack has the finished id beside the header, or was made before packs had it.
    """
    if kind is NAME:
        return record.name
    if kind is URL:
        return record.url or None
    if kind is PATH:
        return normalize_path(record.path) if record.path else None
    if record.type is None:
        return None
    debug_id = record.debug_id or (header_debug_id(record.headers) if record.headers else None)
    return None if debug_id is None else debug_id_key(debug_id, record.type)


def keys_of(record: EntryRecord) -> Iterator[tuple[Kind, str]]:
    """Yield all keys of an entry, as `key_of` gives them."""
    for kind in _KINDS:
        if (key := key_of(record, kind)) is not None:
            yield kind, key


_REFERENCE_HEADERS = ("sourcemap", "x-sourcemap")
_DEBUG_ID = "debug-id"
_DEBUG_ID_LENGTH = len(_DEBUG_ID)


def header_debug_id(headers: Mapping[str, str] | None) -> DebugId | None:
    """Return the debug id that the `debug-id` header gives; None if there is none or it is invalid."""
    if headers is None:
        return None
    # Nearly always there is one or none. Of two that are one by `lower_headers` the greater name wins.
    found = [name for name in headers if len(name) == _DEBUG_ID_LENGTH and name.lower() == _DEBUG_ID]
    return DebugId.parse_or_none(headers[max(found)]) if found else None


def lower_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers by lower-case name (ASCII only); of two that then are one, the greater name wins."""
    if not headers:
        return {}
    return {
        name.lower() if name.isascii() else name.translate(_ASCII_LOWER): headers[name]
        for name in sorted(headers)
    }


def header_reference(headers: Mapping[str, str] | None) -> str | None:
    """Return the source map reference that a header gives, as written: `sourcemap` before `x-sourcemap`."""
    if headers is None:
        return None
    # Nearly always there is one or none, and nothing to sort.
    found = [name for name in headers if name.isascii() and name.lower() in _REFERENCE_HEADERS]
    if len(found) == 1:
        return headers[found[0]]
    lower = lower_headers({name: headers[name] for name in found})
    return lower.get("sourcemap", lower.get("x-sourcemap"))


def reference_of(record: EntryRecord) -> str | None:
    """Return an entry's source map reference: a header's, else the one in the content; None without any."""
    reference = header_reference(record.headers)
    return record.reference if reference is None else reference
