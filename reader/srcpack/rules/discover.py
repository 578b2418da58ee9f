"""What a file's own content says: the source map it refers to, and its debug id.

symbolic reads contents as UTF-8 text and fails on a file that is not; then nothing is discovered here.
No part of a content is copied but the value found, and time grows with the size alone, whatever the
content.

Rule source: symbolic a5980e8 `symbolic-debuginfo/src/js.rs`; for the JSON, what serde and serde_json
make of the struct there.
"""

import codecs
import json
import re

from srcpack.rules.debug_id import DebugId

__all__ = ["discover_debug_id", "discover_source_map_debug_id", "discover_source_map_reference"]

# ASCII white space, which has no vertical tab; `strip` and `split` of bytes take that too.
_REFERENCE = re.compile(rb"[ \t\n\f\r]*([^ \t\n\f\r?#]*)").match
_WORD = re.compile(rb"[ \t\n\f\r]*([^ \t\n\f\r]*)").match

_UTF8_CHUNK = 1 << 16

# JSON as serde_json takes it. Strings whose meaning counts must not have lone surrogates escaped in
# them; for all that is skipped four hex digits will do.
_SPACE = rb"[ \t\n\r]*"
_PLAIN = rb'[^"\\\x00-\x1f]*'
_SIMPLE_ESCAPE = rb'["\\/bfnrt]'
_ESCAPE = rb"\\(?:" + _SIMPLE_ESCAPE + rb"|u[0-9a-fA-F]{4})"
_PAIRED_ESCAPE = (
    rb"\\(?:" + _SIMPLE_ESCAPE + rb"|u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_SHORT = _NUMBER + rb"|true|false|null|\[" + _SPACE + rb"\]|\{" + _SPACE + rb"\}"
# A repeated group costs memory for each turn, so long runs are matched piece by piece.
_SKIPPED_TEXT = re.compile(_PLAIN + rb"(?:" + _ESCAPE + _PLAIN + rb"){0,500}")
_READ_TEXT = re.compile(_PLAIN + rb"(?:" + _PAIRED_ESCAPE + _PLAIN + rb"){0,500}")
_SHORT_ITEMS = re.compile(
    rb"(?:" + _SPACE + rb'(?:"[^"\\\x00-\x1f]{0,64}"|' + _SHORT + rb")" + _SPACE + rb",){0,500}"
).match
_VALUE = re.compile(
    _SPACE + rb"(?:" + _SHORT + rb'|(?P<text>")|(?P<array>\[)|(?P<object>\{' + _SPACE + rb'"))'
).match
_COLON = re.compile(_SPACE + rb":").match
_COMMA = re.compile(_SPACE + rb",").match
_AFTER_ITEM = re.compile(_SPACE + rb"(?:(?P<next>,)|\])").match
_AFTER_MEMBER = re.compile(_SPACE + rb"(?:(?P<next>," + _SPACE + rb'")|\})').match
_NULL_OR_TEXT = re.compile(_SPACE + rb'(?:null|(?P<text>"))').match
_END = re.compile(_SPACE).fullmatch
_ARRAY_FIRST = re.compile(_SPACE + rb"\[").match

_ID_KEYS = ("debug_id", "debugId")
_LONGEST_ID_KEY = len("debug_id") * len(r"\u0000")
_ESCAPED_KEY_LETTER = re.compile(rb"\\u00(?:6[24579]|75|5[fF]|4[49])").search


class _NotAcceptedError(ValueError):
    """The content is no JSON, or not what symbolic's struct is read from."""


def discover_source_map_reference(content: bytes) -> str | None:
    """Find the source map that a JavaScript file refers to in a comment.

    Args:
        content: The file.

    Returns:
        The value of the last `//# sourceMappingURL=` or `//@ sourceMappingURL=`, wherever in a line it
        is: white space before it is skipped, it ends at white space, and query and fragment are cut off.
        "" if nothing is left, None if there is no such comment or the content is not UTF-8.
    """
    magic = b"//# sourceMappingURL="
    at = content.rfind(magic)
    at = max(at, content.rfind(b"//@ sourceMappingURL=", max(at, 0)))
    if at < 0 or not _is_utf8(content):
        return None
    value = _REFERENCE(content, at + len(magic))
    return value[1].decode() if value is not None else None


def discover_debug_id(content: bytes) -> DebugId | None:
    """Find the debug id that a JavaScript file has in a comment.

    Args:
        content: The file.

    Returns:
        The id in the last `//# debugId=`; None if that is invalid, whatever earlier ones say, if there
        is no such comment, or if the content is not UTF-8.
    """
    magic = b"//# debugId="
    at = content.rfind(magic)
    if at < 0:
        return None
    value = _WORD(content, at + len(magic))
    if value is None or not value[1].isascii() or not _is_utf8(content):
        return None
    try:
        return DebugId.parse(value[1].decode())
    except ValueError:
        return None


def discover_source_map_debug_id(content: bytes) -> DebugId | None:
    """Find the debug id that a source map has as a field.

    symbolic deserialises a struct of two optional ids from the whole text. So the text has to be JSON to
    its end, nested however deep, and each field may be there once, null or a valid id. Like any serde
    struct it is read from an array too: of exactly `debugId` and `debug_id`, in that order.

    Args:
        content: The source map.

    Returns:
        The object's `debug_id`, else its `debugId`. None if it has neither, if the text is not accepted
        (JSON errors, a byte order mark, a duplicate or invalid field), or if it is not UTF-8.
    """
    # Most maps have no id, and need no look at their grammar.
    if not (
        b"debug_id" in content
        or b"debugId" in content
        or _ARRAY_FIRST(content)
        or _ESCAPED_KEY_LETTER(content)
    ):
        return None
    try:
        ids = _ids_of_array(content) if _ARRAY_FIRST(content) else _ids_of_object(content)
    except _NotAcceptedError:
        return None
    found = ids.get("debug_id") or ids.get("debugId")
    return found if found is not None and _is_utf8(content) else None


def _is_utf8(content: bytes) -> bool:
    """Whether the content decodes, found out without holding it decoded."""
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


def _ids_of_array(content: bytes) -> dict[str, DebugId | None]:
    at = _past(_ARRAY_FIRST(content))
    new, at = _optional_id(content, at)
    old, at = _optional_id(content, _past(_COMMA(content, at)))
    end = _AFTER_ITEM(content, at)
    if end is None or end["next"] or not _END(content, end.end()):
        raise _NotAcceptedError
    return {"debugId": new, "debug_id": old}


def _ids_of_object(content: bytes) -> dict[str, DebugId | None]:
    ids: dict[str, DebugId | None] = {}
    opening = _VALUE(content)
    if opening is None or not opening["object"]:
        raise _NotAcceptedError
    at = opening.end()
    while True:
        start, at = at, _text_end(content, at, _READ_TEXT)
        key = _id_key(content[start:at]) if at - start <= _LONGEST_ID_KEY else None
        at = _past(_COLON(content, at + 1))
        if key is None:
            at = _value_end(content, at)
        elif key in ids:
            raise _NotAcceptedError
        else:
            ids[key], at = _optional_id(content, at)
        following = _AFTER_MEMBER(content, at)
        at = _past(following)
        if following is not None and not following["next"]:
            break
    if not _END(content, at):
        raise _NotAcceptedError
    return ids


def _id_key(raw: bytes) -> str | None:
    """The field that a key means, escapes in it resolved."""
    try:
        key = json.loads(f'"{raw.decode()}"') if b"\\" in raw else raw.decode()
    except UnicodeDecodeError as error:
        raise _NotAcceptedError from error
    return key if key in _ID_KEYS else None


def _optional_id(content: bytes, at: int) -> tuple[DebugId | None, int]:
    """Read null or an id; the other value is where it ends."""
    value = _NULL_OR_TEXT(content, at)
    at = _past(value)
    if value is None or not value["text"]:
        return None, at
    end = _text_end(content, at, _READ_TEXT)
    try:
        with memoryview(content) as view:
            text = str(view[at:end], "ascii")
        return DebugId.parse(json.loads(f'"{text}"') if "\\" in text else text), end + 1
    except ValueError as error:
        raise _NotAcceptedError from error


def _value_end(content: bytes, at: int) -> int:
    """Skip one value of any kind, and return where it ends."""
    # A closing bracket for each that is open: recursion would end at some depth, serde_json goes on.
    closing = bytearray()
    while True:
        if closing.endswith(b"]"):
            at = _past(_SHORT_ITEMS(content, at))
        value = _VALUE(content, at)
        at = _past(value)
        kind = value.lastgroup if value is not None else None
        if kind == "array":
            closing += b"]"
            continue
        if kind == "object":
            closing += b"}"
            at = _past(_COLON(content, _text_end(content, at, _SKIPPED_TEXT) + 1))
            continue
        if kind == "text":
            at = _text_end(content, at, _SKIPPED_TEXT) + 1
        while closing:
            in_object = closing.endswith(b"}")
            following = (_AFTER_MEMBER if in_object else _AFTER_ITEM)(content, at)
            at = _past(following)
            if following is not None and following["next"]:
                if in_object:
                    at = _past(_COLON(content, _text_end(content, at, _SKIPPED_TEXT) + 1))
                break
            del closing[-1:]
        else:
            return at


def _text_end(content: bytes, at: int, text: re.Pattern[bytes]) -> int:
    """Find the quote that ends the string whose first character is at `at`."""
    while True:
        end = _past(text.match(content, at))
        if content.startswith(b'"', end):
            return end
        # A run that was cut short goes on at an escape; one that took nothing never will.
        if end == at:
            raise _NotAcceptedError
        at = end


def _past(match: re.Match[bytes] | None) -> int:
    if match is None:
        raise _NotAcceptedError
    return match.end()
