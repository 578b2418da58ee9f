"""Values, entries and zstd frames by SPEC.md alone; `support.spec_reader` reads packs with it."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NoReturn
from uuid import UUID

import msgpack
import zstandard

Entry = dict[str, Any]
ZSTD = 0xFD2FB528
NAME, PATH, URL, DEBUG_ID = range(4)
TYPE_NAMES = ("", "source", "minified_source", "source_map", "indexed_ram_bundle")
INTEGER_END = 1 << 63


class Refused(ValueError):
    """The pack, or the part of it that was asked for, is not as SPEC.md says."""


def refuse(why: str) -> NoReturn:
    """SPEC.md, "Refuse": an error, and no data."""
    raise Refused(why)


def need(truth: object, why: str) -> None:
    """Refuse unless it is true."""
    if not truth:
        refuse(why)


def is_int(value: object) -> bool:
    """SPEC.md section 1: integers are unsigned and under 2^63, and a boolean is none."""
    return type(value) is int and 0 <= value < INTEGER_END


def is_text(value: object) -> bool:
    return type(value) is str


def is_bool(value: object) -> bool:
    return type(value) is bool


def is_true(value: object) -> bool:
    return value is True


def is_hash(value: object) -> bool:
    return type(value) is bytes and len(value) == 32


def is_text_map(value: object) -> bool:
    return type(value) is dict and all(map(is_text, value.values()))


def is_flat(value: object) -> bool:
    """SPEC.md section 5, "Attributes": a scalar, or an array of these."""
    scalars = (type(None), bool, int, float, str, bytes)
    return type(value) in scalars or (type(value) is list and all(type(each) in scalars for each in value))


def is_map(others: Callable[[object], bool], **types: Callable[[object], bool]) -> Callable[[object], bool]:
    """SPEC.md section 5, "Attributes": a map that has these keys, and others of one kind."""
    return lambda value: (
        type(value) is dict
        and types.keys() <= value.keys()
        and all(types.get(key, others)(each) for key, each in value.items())
    )


Table = dict[str, Callable[[object], bool]]
ENTRY: Table = {"name": is_text}
CONTENT: Table = {"size": is_int, "lines": is_int, "sha256": is_hash, "frames": lambda v: type(v) is list}
OPTIONAL: Table = {
    **dict.fromkeys(("path", "url", "debug_id", "extra", "reference", "content_debug_id", "reason"), is_text),
    "lookup": lambda v: type(v) is list,
    "lookup_reason": is_text,
    **dict.fromkeys(("unlisted", "raw", "binary"), is_true),
    **dict.fromkeys(("type", "position"), is_int),
    **dict.fromkeys(("headers", "source_links"), is_text_map),
}
ATTRIBUTES: Table = {
    "attributes": is_text_map,
    "has_files": is_bool,
    "identity": is_hash,
    "source": is_map(is_flat, sha256=is_hash, size=is_int),
    "created_by": is_map(is_text, tool=is_text, libzstd=is_text, options=is_map(is_flat)),
}
OF_MANIFEST = ("type", "path", "url", "headers", "debug_id", "extra", "position")
OF_CONTENT = ("size", "lines", "sha256", "frames", "raw", "binary", "reference", "content_debug_id")
ENTRY_IDENTITY = (
    *("name", "type", "path", "url", "headers", "extra", "position", "unlisted", "size", "lines", "sha256"),
    *("binary", "reference", "content_debug_id", "reason"),
)
ATTRIBUTES_IDENTITY = ("attributes", "source_links", "has_files", "identity", "source", "created_by")


def check_map(value: Entry, required: Table) -> None:
    """SPEC.md section 5: required keys, and types."""
    for key, is_type in {**OPTIONAL, **required}.items():
        need(
            is_type(value[key]) if key in value else key not in required, f"{key}: missing or of another type"
        )


class Item:
    """SPEC.md sections 1, 5 and 13: one msgpack map, unpacked as far as this version knows its keys."""

    def __init__(self, data: bytes, known: set[str], most: int) -> None:
        self.data, self.known, self.left = data, known, most
        self.unpacker = msgpack.Unpacker(max_buffer_size=len(data) + 1)
        self.unpacker.feed(data)

    def unpack(self) -> Entry:
        """The map, without the keys that are read over."""
        try:
            value = self._map(self._outer_value)
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise Refused(f"msgpack: {error}") from error
        need(self.unpacker.tell() == len(self.data), "bytes behind the map")
        return {key: each for key, each in value.items() if key in self.known}

    def _next(self, fixed: range, *others: int) -> bool:
        """Whether the next value begins with one of these bytes."""
        at = self.unpacker.tell()
        need(at < len(self.data), "an item that is cut")
        return self.data[at] in fixed or self.data[at] in others

    def _counted(self, count: int) -> range:
        self.left -= count
        need(self.left >= 0, "too many values")
        return range(count)

    def _map(self, value_of: Callable[[str], object]) -> Entry:
        need(self._next(range(0x80, 0x90), 0xDE, 0xDF), "no map")
        result: Entry = {}
        for _ in self._counted(self.unpacker.read_map_header()):
            need(self._next(range(0xA0, 0xC0), 0xD9, 0xDA, 0xDB), "a key is no text")
            key = self.unpacker.unpack()
            need(key not in result, "a key comes twice")
            result[key] = value_of(key)
        return result

    def _outer_value(self, key: str) -> object:
        if key in self.known:
            return self._value(key)
        need(not "A" <= key[:1] <= "Z", "a key that must be known is not")
        self.unpacker.skip()
        return None

    def _value(self, _: str = "") -> object:
        if self._next(range(0x80, 0x90), 0xDE, 0xDF):
            return self._map(self._value)
        if self._next(range(0x90, 0xA0), 0xDC, 0xDD):
            return [self._value() for _ in self._counted(self.unpacker.read_array_header())]
        return self.unpacker.unpack()


def unzstd(data: bytes, limit: int, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """SPEC.md section 1, "zstd frame": exactly one, of a stated size up to the limit, with a checksum."""
    need(len(data) > 8 and int.from_bytes(data[:4], "little") == ZSTD, "no zstd frame")
    try:
        frame = zstandard.get_frame_parameters(data)
        need(frame.content_size <= limit, "no content size, or too great a one")
        need(frame.content_size < len(data) << 15, "a content size that the frame has no room for")
        need(frame.has_checksum, "a frame without a checksum")
        need(frame.dict_id == (dictionary.dict_id() if dictionary else 0), "a frame of another dictionary")
        decoder = zstandard.ZstdDecompressor(dict_data=dictionary)
        return decoder.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Refused(f"zstd: {error}") from error


def debug_id_text(text: str) -> str | None:
    """SPEC.md section 7: the text of a debug id, if it is a valid one."""
    h = "[0-9a-fA-F]"
    for form in (
        rf"({h}{{8}}(?:-{h}{{4}}){{3}}-{h}{{12}})(?:-(.+))?",
        rf"({h}{{32}})(.+)?",
        rf"(\+{h}{{7}}|{h}{{8}})-?(.{{1,8}})",
    ):
        if text.isascii() and (found := re.fullmatch(form, text, re.DOTALL)):
            stem, appendix = found[1], (found[2] or "0")[:8]
            if re.fullmatch(rf"\+?{h}+", appendix):
                start = f"{int(stem, 16):08X}" if len(stem) == 8 else str(UUID(stem))
                return f"{start}-{int(appendix, 16):x}" if int(appendix, 16) else start
    return None


def is_breakpad(text: str) -> bool:
    """SPEC.md section 5: whether a text is a debug id in Breakpad's form."""
    return re.fullmatch("([0-9A-F]{32}|[0-9A-F]{8})(0|[1-9a-f][0-9a-f]{0,7})", text) is not None


def header(entry: Entry, name: str) -> str | None:
    """SPEC.md section 7: a header, by its name in ASCII lower case; of equal ones the greatest counts."""
    headers: dict[str, str] = entry.get("headers", {})
    written = [each for each in headers if each.encode().lower() == name.encode()]
    return headers[max(written)] if written else None


def headers_debug_id(entry: Entry) -> str | None:
    """SPEC.md section 7: the text of the debug id that the headers give."""
    value = header(entry, "debug-id")
    return None if value is None else debug_id_text(value)


def key_of(entry: Entry, kind: int) -> str | None:
    """SPEC.md section 7: the key of an entry."""
    if kind == NAME:
        return str(entry["name"])
    if kind == PATH:
        return entry.get("path", "").replace("\\", "/") or None
    if kind == URL:
        return entry.get("url") or None
    text = entry.get("debug_id", headers_debug_id(entry))
    number = entry.get("type", 0)
    return f"{text} {TYPE_NAMES[number]}" if text and number else None


def is_utf8(data: bytes) -> bool:
    """SPEC.md section 1, text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def json_object(text: str) -> list[tuple[str, object]]:
    """The pairs of a JSON object; RFC 8259 has no NaN and no infinity, and every text is Unicode."""

    def no_number(name: str) -> NoReturn:
        refuse(f"JSON: {name}")

    def pairs(found: list[tuple[str, object]]) -> object:
        outermost[:] = found
        return None

    outermost: list[tuple[str, object]] = []
    try:
        json.loads(text, parse_constant=no_number, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise Refused(f"JSON: {error}") from error
    return outermost


def verify_entry(entry: Entry) -> None:
    """SPEC.md section 5: what the table says besides."""
    if "unlisted" in entry:
        need(not any(key in entry for key in OF_MANIFEST), "unlisted, and in the manifest")
    if "extra" in entry:
        need(entry["extra"][:1] == "{" and entry["extra"][-1:] == "}", "extra: no object alone")
        names = [name for name, _ in json_object(entry["extra"])]
        need(len(names) == len({*names, "type", "path", "url", "headers"}) - 4, "extra: names")
    given = headers_debug_id(entry)
    need("debug_id" not in entry or entry["debug_id"] == given, "debug_id is not the headers'")
    if "reference" in entry:
        need(header(entry, "sourcemap") is None and header(entry, "x-sourcemap") is None, "reference")
    if "content_debug_id" in entry:
        need(given is None and is_breakpad(entry["content_debug_id"]), "content_debug_id")
    if "reason" not in entry and not entry["size"]:
        need(entry["sha256"] == sha256().digest() and "binary" not in entry, "an empty content")
