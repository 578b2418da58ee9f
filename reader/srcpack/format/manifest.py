"""The manifest: attributes block, entry blocks and the entries in them (SPEC.md, "Manifest").

Pure functions between bytes and values. A block's frame is decoded by `frames.py`; what it holds is
parsed here, and nothing in it is believed before its type and bounds are checked.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from struct import Struct
from typing import Any

import msgpack

from srcpack.errors import FormatError
from srcpack.records import Attributes, EntryRecord, FileType, FrameRecord, LookupRecord, ReadOnlyDict

from .head_tail import Section
from .items import Types, Wrong, unpack_map
from .zstd_frames import MOST_SHRUNK, frame_bound

__all__ = [
    "ATTRIBUTES_BLOCK",
    "attributes_in_identity",
    "check_block",
    "entry_in_identity",
    "item_of",
    "pack_attributes",
    "pack_block",
    "pack_entry",
    "parse_attributes",
    "parse_entry",
]

ATTRIBUTES_BLOCK = 0xFFFFFFFF
"""What stands in the attributes block where an entry block has the number of its first entry."""

_PREFIX = Struct("<8sII")
_TWO_POSITIONS = Struct("<II")
_POSITION_SIZE = 4
_INTEGER_END = 1 << 63
_SHA256_SIZE = 32
_new = tuple.__new__
_SCALARS = (type(None), bool, int, float, str, bytes)
_TYPE_CODES: tuple[FileType | None, ...] = (None, *FileType)


# ---- blocks


def pack_block(seed: bytes, first: int, items: Sequence[bytes]) -> bytes:
    """Return the content of a block: prefix, positions of the items and of their end, the items."""
    ends = [0, *accumulate(map(len, items))]
    return _PREFIX.pack(seed, first, len(items)) + Struct(f"<{len(ends)}I").pack(*ends) + b"".join(items)


def check_block(block: bytes, *, seed: bytes, first: int, count: int, file: str, offset: int) -> None:
    """Check that a block is the one of `count` items from number `first` in the pack of that seed."""
    prefix = _PREFIX.pack(seed, first, count)
    if block[: _PREFIX.size] != prefix:
        what, found = "prefix of a manifest block", block[: _PREFIX.size].hex(" ")
        raise FormatError(file, what, offset=offset, found=found, expected=prefix.hex(" "))
    base = _PREFIX.size + (count + 1) * _POSITION_SIZE
    ends = (block[_PREFIX.size : _PREFIX.size + _POSITION_SIZE], block[base - _POSITION_SIZE : base])
    if len(block) < base or ends != (bytes(4), (len(block) - base).to_bytes(_POSITION_SIZE, "little")):
        what, expected = "first and last position in a manifest block", f"0 and {len(block) - base}"
        shown = [end.hex(" ") for end in ends]
        raise FormatError(file, what, offset=offset, found=shown, expected=expected)


def item_of(block: bytes, item: int, *, count: int, file: str, offset: int) -> bytes:
    """Return one item of a checked block."""
    start, end = _TWO_POSITIONS.unpack_from(block, _PREFIX.size + item * _POSITION_SIZE)
    base = _PREFIX.size + (count + 1) * _POSITION_SIZE
    if not start < end <= len(block) - base:
        what = f"position of item {item} in a manifest block"
        found, expected = f"{start} to {end}", f"rising, up to {len(block) - base}"
        raise FormatError(file, what, offset=offset, found=found, expected=expected)
    return block[base + start : base + end]


# ---- entries


def pack_entry(record: EntryRecord) -> tuple[bytes, bytes]:
    """Return the msgpack map of an entry, defaults left out, and what the content identity has of it."""
    fields = _fields_of(record)
    return msgpack.packb(fields), _in_identity(fields)


def _fields_of(record: EntryRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": record.name}
    if record.type is not None or record.type_is_null:
        fields["type"] = _TYPE_CODES.index(record.type)
    # Written out: this is done twice for each entry of a conversion.
    if record.path is not None:
        fields["path"] = record.path
    if record.url is not None:
        fields["url"] = record.url
    if record.headers is not None:
        fields["headers"] = record.headers
    if record.debug_id is not None:
        fields["debug_id"] = record.debug_id
    if record.extra is not None:
        fields["extra"] = record.extra
    if record.position is not None:
        fields["position"] = record.position
    if not record.listed:
        fields["unlisted"] = True
    if record.reason is None:
        fields["size"] = record.size
        fields["lines"] = record.lines
        fields["sha256"] = record.sha256
        fields["frames"] = [value for frame in record.frames for value in frame]
    if record.raw:
        fields["raw"] = True
    if not record.utf8:
        fields["binary"] = True
    if record.reference is not None:
        fields["reference"] = record.reference
    if record.content_debug_id is not None:
        fields["content_debug_id"] = record.content_debug_id
    if record.reason is not None:
        fields["reason"] = record.reason
    if record.lookup is not None:
        fields["lookup"] = list(record.lookup)
    if record.lookup_reason is not None:
        fields["lookup_reason"] = record.lookup_reason
    return fields


def attributes_in_identity(attributes: Attributes) -> bytes:
    """Return what the content identity is worked out of first: what the bundle says besides its files."""
    return pack_attributes(attributes._replace(identity=b"", source={}, created_by={}))


def entry_in_identity(record: EntryRecord) -> bytes:
    """Return what the content identity is worked out of for an entry: what it holds, not where and how."""
    return _in_identity(_fields_of(record))


def _in_identity(fields: dict[str, Any]) -> bytes:
    for key in _NOT_IN_IDENTITY:
        fields.pop(key, None)
    packed: bytes = msgpack.packb(fields)
    return packed


def parse_entry(
    data: bytes, *, frame_size: int, content: Section, most: int, file: str, offset: int
) -> EntryRecord:
    """Return the entry that `data` holds; `content` is the section in which all its frames must lie.

    `most` is how many values the map may have.
    """
    name: str | None = None
    try:
        fields = unpack_map(data, _ENTRY_TYPES, _ENTRY_REQUIRED, most)
        name = fields["name"]
        return _entry_of(fields, frame_size, content)
    except Wrong as wrong:
        raise wrong.told(file, "entry", offset, name) from wrong.__cause__


def _entry_of(fields: dict[str, Any], frame_size: int, content: Section) -> EntryRecord:
    get = fields.get
    code, headers, reason, values = get("type"), get("headers"), get("reason"), get("frames", ())
    position = get("position")
    if code is not None and not 0 <= code < len(_TYPE_CODES):
        raise Wrong("type", code, f"0 to {len(_TYPE_CODES) - 1}")
    if position is not None and not 0 <= position < _INTEGER_END:
        raise Wrong("position", position, "0 to 2^63 - 1")
    if headers is not None:
        headers = _texts("headers", headers)
    if len(values) == 4:
        frames: tuple[FrameRecord, ...] = (_new(FrameRecord, values),)
    elif len(values) % 4:
        raise Wrong("frames", f"{len(values)} values", "four for each frame")
    else:
        frames = tuple([_new(FrameRecord, values[at : at + 4]) for at in range(0, len(values), 4)])
    # In the order of the fields: naming them would take a third of the time that a look-up spends here.
    record = _new(
        EntryRecord,
        (
            fields["name"],
            None if code is None else _TYPE_CODES[code],
            code == 0,
            get("path"),
            get("url"),
            headers,
            get("debug_id"),
            get("extra"),
            position,
            not get("unlisted", False),
            get("size", 0),
            get("lines", 0),
            get("sha256", b""),
            frames,
            get("raw", False),
            not get("binary", False),
            get("reference"),
            get("content_debug_id"),
            reason,
            None if (lookup := get("lookup")) is None else _lookup_of(lookup),
            get("lookup_reason"),
        ),
    )
    if reason is None:
        for key in _CONTENT_KEYS:
            if key not in fields:
                raise Wrong(key, "nothing", "a value, as there is no reason")
        _check_content(record, frame_size, content)
    elif not _OF_CONTENT.isdisjoint(fields):
        raise Wrong("reason", repr(reason), "nothing of a content beside it")
    return record


def _check_content(record: EntryRecord, frame_size: int, content: Section) -> None:
    size, lines, frames = record.size, record.lines, record.frames
    if not 0 <= lines <= size < _INTEGER_END or len(record.sha256) != _SHA256_SIZE:
        raise Wrong(
            "size, lines, sha256", (size, lines, record.sha256.hex()), "no line without a byte, 32 bytes"
        )
    if len(frames) != -(-size // frame_size):
        raise Wrong("frames", len(frames), f"{-(-size // frame_size)} for {size} bytes")
    if record.raw and not size:
        raise Wrong("raw", True, "some content")
    position, newlines, left = content.offset, 0, size
    for frame in frames:
        offset, length, checksum, newlines_before = frame
        part = left if left < frame_size else frame_size
        if (
            not type(offset) is type(length) is type(newlines_before) is int
            or type(checksum) is not bytes
            or len(checksum) != 4
            or offset < position
            or (offset != position and left != size)
            or not part >> MOST_SHRUNK < length <= frame_bound(part)
            or offset + length > content.end
            or not newlines <= newlines_before <= lines
            or (record.raw and length != part)
        ):
            # What is no number is shown by its type: it may be nested too deeply for repr.
            found = [value if type(value) is int else type(value).__name__ for value in frame]
            raise Wrong("frames", found, f"adjoining, inside {content.offset} to {content.end}, lines rising")
        position, newlines, left = offset + length, newlines_before, left - part
    if frames and frames[0].newlines_before:
        raise Wrong("frames", frames[0].newlines_before, "no line feed before the first")


def _lookup_of(values: list[Any]) -> LookupRecord:
    """Return where a table is; that it is in its section is seen where it is read."""
    if (
        list(map(type, values)) != [int, int, int, bytes]
        or not 0 <= min(values[:3]) <= max(values[:3]) < _INTEGER_END
        or len(values[3]) != 4
    ):
        raise Wrong("lookup", "other values", "offset, length, length of the head, 4 bytes")
    return LookupRecord(*values)


# ---- attributes


def pack_attributes(attributes: Attributes) -> bytes:
    """Return the msgpack map of the attributes block."""
    fields = attributes._asdict()
    if attributes.source_links is None:
        del fields["source_links"]
    packed: bytes = msgpack.packb(fields)
    return packed


def parse_attributes(data: bytes, *, most: int, file: str, offset: int) -> Attributes:
    """Return what the attributes block's map says; `most` is how many values it may have."""
    try:
        return _attributes_of(unpack_map(data, _ATTRIBUTE_TYPES, _ATTRIBUTES_REQUIRED, most))
    except Wrong as wrong:
        raise wrong.told(file, "attributes", offset) from wrong.__cause__


def _attributes_of(fields: dict[str, Any]) -> Attributes:
    if len(fields["identity"]) != _SHA256_SIZE:
        raise Wrong("identity", f"{len(fields['identity'])} bytes", _SHA256_SIZE)
    links = fields.get("source_links")
    source, created_by = fields["source"], {**fields["created_by"]}
    digest, size = source.get("sha256"), source.get("size")
    if (
        type(digest) is not bytes
        or len(digest) != _SHA256_SIZE
        or type(size) is not int
        or not 0 <= size < _INTEGER_END
    ):
        raise Wrong("source", "other values", "sha256 (32 bytes) and size (int)")
    options = created_by.pop("options", None)
    if type(options) is not dict or not {"tool", "libzstd"} <= created_by.keys():
        raise Wrong("created_by", sorted(created_by), "tool, libzstd and options, a map")
    return Attributes(
        _texts("attributes", fields["attributes"]),
        None if links is None else _texts("source_links", links),
        fields["has_files"],
        fields["identity"],
        _flat("source", source),
        ReadOnlyDict({**_texts("created_by", created_by), "options": _flat("options", options)}),
    )


def _flat(key: str, values: Mapping[str, Any]) -> ReadOnlyDict[str, Any]:
    """Return a map of scalars, and of arrays of them, for good."""
    made = {name: tuple(value) if type(value) is list else value for name, value in values.items()}
    for value in made.values():
        for each in value if type(value) is tuple else (value,):
            if type(each) not in _SCALARS:
                raise Wrong(key, "nested values", "scalars, and arrays of them")
    return ReadOnlyDict(made)


def _texts(key: str, texts: Mapping[Any, Any]) -> ReadOnlyDict[str, str]:
    """Return a map of text to text for good: what is read is kept, and answers for others too."""
    for name, text in texts.items():
        if type(name) is not str or type(text) is not str:
            raise Wrong(key, f"{type(name).__name__}: {type(text).__name__}", "str: str")
    return ReadOnlyDict(texts)


_ENTRY_TYPES: Types = {
    "name": str,
    "type": int,
    "path": str,
    "url": str,
    "headers": dict,
    "debug_id": str,
    "extra": str,
    "position": int,
    "unlisted": True,
    "size": int,
    "lines": int,
    "sha256": bytes,
    "frames": list,
    "raw": True,
    "binary": True,
    "reference": str,
    "content_debug_id": str,
    "reason": str,
    "lookup": list,
    "lookup_reason": str,
}

_NOT_IN_IDENTITY = ("debug_id", "frames", "raw", "lookup", "lookup_reason")
_ENTRY_REQUIRED = ("name",)
_CONTENT_KEYS = ("size", "lines", "sha256", "frames")
_OF_CONTENT = frozenset((*_CONTENT_KEYS, "raw", "binary", "reference", "content_debug_id"))

_ATTRIBUTE_TYPES: Types = {
    "attributes": dict,
    "source_links": dict,
    "has_files": bool,
    "identity": bytes,
    "source": dict,
    "created_by": dict,
}
_ATTRIBUTES_REQUIRED = ("attributes", "has_files", "identity", "source", "created_by")
