"""The msgpack maps in a block, made only when it is known what they take (SPEC.md, "Manifest").

One byte of msgpack can become 72 of memory, and five can claim four thousand million elements. A small map
is made at once, and looked at again where that hid something; a large one is walked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgpack

from srcpack.errors import FormatError

__all__ = ["MOST_VALUES", "MOST_VALUES_A_BYTE", "Types", "Wrong", "unpack_map"]

Types: TypeAlias = Mapping[str, type | Literal[True]]
"""By key the type of its value; True for the only value that it may have."""

MOST_VALUES = 1 << 16
"""Values that an item may have, beside `MOST_VALUES_A_BYTE` for each byte of the manifest section."""

MOST_VALUES_A_BYTE = 8

_SMALL = 4 << 10
_DEEPEST = 3
_TEXT, _ARRAY, _MAP = "text", "array", "map"
_KINDS = [
    _MAP if code >> 4 == 8 or code in (0xDE, 0xDF)
    else _ARRAY if code >> 4 == 9 or code in (0xDC, 0xDD)
    else _TEXT if code >> 5 == 5 or 0xD9 <= code <= 0xDB
    else ""
    for code in range(256)
]  # fmt: skip
"""What begins with a byte, as far as that counts here."""

_HEADERS = b"\xa7headers"
_HEADERS_OF = [_HEADERS + bytes([0x80 | count]) for count in range(16)]


class Wrong(Exception):
    """A value does not fit: its key, what was found, and what was expected."""

    def told(self, file: str, what: str, offset: int, member: str | None = None) -> FormatError:
        """Return the error that says where."""
        key, found, expected = self.args
        return FormatError(
            file, f"{what}: {key}", member=member, offset=offset, found=found, expected=expected
        )


def unpack_map(data: bytes, types: Types, required: Sequence[str], most: int) -> dict[str, Any]:
    """Return a map with the values of the known keys, of the types that they must have; else raise `Wrong`.

    It may have `most` values; those of unknown keys do not count, and are left out if they may be.
    """
    fields = _made(data, types) if len(data) <= _SMALL else None
    if fields is None:
        fields = _Walk(data, most).fields(types)
    for key in required:
        if key not in fields:
            raise Wrong(key, "nothing", _name(types[key]))
    return fields


def _made(data: bytes, types: Types) -> dict[str, Any] | None:
    """Return a small map; None where it has to be walked, to find out what is wrong with it, if anything."""
    try:
        fields = msgpack.unpackb(data)
    except (ValueError, msgpack.exceptions.UnpackException):
        return None
    # Of a key that comes twice msgpack keeps the last: there are fewer than the first byte says.
    if type(fields) is not dict or data[0] != 0x80 | len(fields):
        return None
    for key, value in fields.items():
        wanted = types.get(key)
        if wanted is not type(value) and (wanted is not True or value is not True):
            return None
    headers = fields.get("headers")
    if headers is not None and (
        len(headers) >= len(_HEADERS_OF) or data.count(_HEADERS) != 1 or _HEADERS_OF[len(headers)] not in data
    ):
        return None
    return fields


class _Walk:
    """Goes through a map value by value, and makes those that are known and small."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = data
        self._left = most
        self._unpacker = unpacker = msgpack.Unpacker(max_buffer_size=len(data) or 1)
        unpacker.feed(data)

    def fields(self, types: Types) -> dict[str, Any]:
        try:
            return self._fields(types)
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise Wrong("msgpack", str(error) or type(error).__name__, None) from error

    def _fields(self, types: Types) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        unknown: set[str] = set()
        if self._kind() != _MAP:
            raise Wrong("msgpack", "another value", "a map")
        for _ in range(self._counted(self._unpacker.read_map_header())):
            key = self._key()
            if key in fields or key in unknown:
                raise Wrong(repr(key), "twice", "once")
            wanted = types.get(key)
            if wanted is None:
                if "A" <= key[:1] <= "Z":
                    raise Wrong(repr(key), "a key that this reader does not know", None)
                unknown.add(key)
                self._unpacker.skip()
            else:
                fields[key] = value = self._value(key, _DEEPEST)
                if wanted is not type(value) and (wanted is not True or value is not True):
                    raise Wrong(key, value if value is False else type(value).__name__, _name(wanted))
        if self._unpacker.tell() != len(self._data):
            raise Wrong("msgpack", f"{self._unpacker.tell()} bytes", f"{len(self._data)}")
        return fields

    def _kind(self) -> str:
        at = self._unpacker.tell()
        return _KINDS[self._data[at]] if at < len(self._data) else ""

    def _counted(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise Wrong("msgpack", "too many values", None)
        return count

    def _key(self) -> str:
        if self._kind() != _TEXT:
            raise Wrong("msgpack", "a key that is no text", None)
        key: str = self._unpacker.unpack()
        return key

    def _value(self, key: str, depth: int) -> Any:
        """Make a value of a known key: a scalar, or arrays and maps of these, not too deep."""
        kind = self._kind()
        if kind not in (_ARRAY, _MAP):
            return self._unpacker.unpack()
        if not depth:
            raise Wrong(key, "values in values in values", "less")
        if kind == _ARRAY:
            count = self._counted(self._unpacker.read_array_header())
            return [self._value(key, depth - 1) for _ in range(count)]
        made: dict[str, Any] = {}
        for _ in range(self._counted(self._unpacker.read_map_header())):
            name = self._key()
            if name in made:
                raise Wrong(key, f"{name!r} twice", "once")
            made[name] = self._value(key, depth - 1)
        return made


def _name(wanted: type | bool) -> str:
    return wanted.__name__ if isinstance(wanted, type) else str(wanted)
