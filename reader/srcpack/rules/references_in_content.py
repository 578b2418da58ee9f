"""References found in a file's own content: the source map that it names, and its debug id.

symbolic reads contents as UTF-8 text and fails on a file that is not; then nothing is found here.
No part of a content is copied but the value found, and time grows with the size alone, whatever the
content.

Rule source: symbolic a5980e8 `symbolic-debuginfo/src/js.rs`; for the JSON, what serde and serde_json
make of the struct there.
"""

import codecs

from srcpack.rules.debug_id import DebugId
from srcpack.rules.strict_json import SPACE, Walker, compiled, text_of

__all__ = ["discover_debug_id", "discover_source_map_debug_id", "discover_source_map_reference", "is_utf8"]

# ASCII white space, which has no vertical tab; `strip` and `split` of bytes take that too.
_REFERENCE = rb"[ \t\n\f\r]*([^ \t\n\f\r?#]*)"
_WORD = rb"[ \t\n\f\r]*([^ \t\n\f\r]*)"

_UTF8_CHUNK = 1 << 16

_LIST = SPACE + rb"\["
_ID_KEYS = ("debugId", "debug_id")
_LONGEST_ID_KEY = len(r'"\u0000"') * len("debug_id")
_ESCAPED_KEY_LETTER = rb"\\u00(?:6[24579]|75|5[fF]|4[49])"
_BRACKETS_FREE = 10_000
_BYTES_PER_BRACKET = 16


def is_utf8(content: bytes) -> bool:
    """Return whether a content is UTF-8, without a text of it in memory: that may be four times as large."""
    if content.isascii():
        return True
    at = 0
    with memoryview(content) as view:
        while at < len(content):
            end = at + _UTF8_CHUNK
            try:
                _, used = codecs.utf_8_decode(view[at:end], "strict", end >= len(content))
            except UnicodeDecodeError:
                return False
            at += used
    return True


def discover_source_map_reference(content: bytes) -> str | None:
    """Find the source map that a JavaScript file refers to in a comment; None without one, or if not UTF-8.

    It is the value of the last `//# sourceMappingURL=` or `//@ sourceMappingURL=`, wherever in a line it is:
    white space before it is skipped, it ends at white space, and query and fragment are cut off. It may be
    empty.
    """
    magic = b"//# sourceMappingURL="
    at = content.rfind(magic)
    at = max(at, content.rfind(b"//@ sourceMappingURL=", max(at, 0)))
    if at < 0 or not is_utf8(content):
        return None
    value = compiled(_REFERENCE).match(content, at + len(magic))
    return value[1].decode() if value is not None else None


def discover_debug_id(content: bytes) -> DebugId | None:
    """Find the debug id that a JavaScript file has in its last `//# debugId=` comment.

    None if that is invalid, whatever earlier ones say, if there is none, or if the content is not UTF-8.
    """
    magic = b"//# debugId="
    at = content.rfind(magic)
    if at < 0:
        return None
    value = compiled(_WORD).match(content, at + len(magic))
    if value is None or not value[1].isascii() or not is_utf8(content):
        return None
    return DebugId.parse_or_none(value[1].decode())


def discover_source_map_debug_id(content: bytes) -> DebugId | None:
    """Find the debug id that a source map has as a field: the object's `debug_id`, else its `debugId`.

    symbolic deserialises a struct of two optional ids from the whole text. So the text has to be JSON to its
    end, nested however deep, and each field may be there once, null or a valid id. Like any serde struct it
    is read from an array too: of exactly `debugId` and `debug_id`, in that order.

    None if it has neither, if the text is not accepted (JSON errors, a byte order mark, a duplicate or
    invalid field), or if it is not UTF-8. Unlike symbolic, also None for a text that is nearly all brackets:
    one for every 16 bytes, and 10,000 more, where those that follow each other directly count once. No map
    comes near that, and each takes a hundred times as long as other bytes.
    """
    # Most maps have no id, and need no look at their grammar.
    is_list = compiled(_LIST).match(content) is not None
    if not (
        is_list
        or b"debug_id" in content
        or b"debugId" in content
        or compiled(_ESCAPED_KEY_LETTER).search(content)
    ):
        return None
    walker = Walker(content, most=_BRACKETS_FREE + len(content) // _BYTES_PER_BRACKET)
    try:
        ids = _ids_of_list(walker) if is_list else _ids_of_object(walker)
        walker.end()
    except ValueError:
        return None
    found = ids.get("debug_id") or ids.get("debugId")
    return found if found is not None and is_utf8(content) else None


def _ids_of_list(walker: Walker) -> dict[str, DebugId | None]:
    """Read the list of a struct's fields; ValueError if symbolic does not take it."""
    ids: dict[str, DebugId | None] = {}
    more = walker.enter(b"[", "a list")
    for key in _ID_KEYS:
        if not more:
            raise ValueError(f"no {key}")
        ids[key] = _optional_id(walker)
        more = walker.more(b"[")
    if more:
        raise ValueError("more than two ids")
    return ids


def _ids_of_object(walker: Walker) -> dict[str, DebugId | None]:
    """Read the object of a struct's fields; ValueError if symbolic does not take it."""
    ids: dict[str, DebugId | None] = {}
    for name in walker.members():
        key = text_of(name) if len(name) <= _LONGEST_ID_KEY else ""
        if key not in _ID_KEYS:
            walker.skip()
        elif key in ids:
            raise ValueError(f"{key} twice")
        else:
            ids[key] = _optional_id(walker)
    return ids


def _optional_id(walker: Walker) -> DebugId | None:
    if walker.peek() == b"n":
        walker.null()
        return None
    string = walker.string()
    if not string.isascii():
        raise ValueError("an id is ASCII")
    return DebugId.parse(text_of(string))
