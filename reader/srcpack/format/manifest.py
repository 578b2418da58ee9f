"""The manifest: attributes block, entry blocks and the entries in them (SPEC.md, "Manifest").

Pure functions between bytes and values. A block's frame is decoded by `frames.py`; what it holds is
parsed here, and nothing in it is believed before its type and bounds are checked.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from struct import Struct
from typing import Any, cast

import msgpack

from srcpack.errors import FormatError
from srcpack.records import Attributes, EntryRecord, FileType, FrameRecord, LookupRecord

from .frames import frame_bound
from .head_tail import Section

__all__ = [
    "ATTRIBUTES_BLOCK",
    "check_block",
    "identity_of",
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
_SMALL_ITEM = 1 << 10
# 4 bytes of a zstd frame hold at most 128 KiB of content; so what a read takes is bounded by what is there.
_MOST_SHRUNK = 15
_new = tuple.__new__
_TYPE_CODES: tuple[FileType | None, ...] = (None, *FileType)


# ---- blocks


def pack_block(seed: bytes, first: int, items: Sequence[bytes]) -> bytes:
    """Return the content of a block: prefix, positions of the items and of their end, the items."""
    ends = [0, *accumulate(map(len, items))]
    return _PREFIX.pack(seed, first, len(items)) + Struct(f"<{len(ends)}I").pack(*ends) + b"".join(items)


def check_block(block: bytes, *, seed: bytes, first: int, count: int, file: str, offset: int) -> None:
    """Check that a block is the one of `count` items from number `first` in the pack of that seed.

    `offset` is that of the block's frame, for messages.

    Raises:
        FormatError: It is of another pack, or of another place in this one.
    """
    prefix = _PREFIX.pack(seed, first, count)
    if block[: _PREFIX.size] != prefix:
        raise FormatError(
            file,
            "prefix of a manifest block",
            offset=offset,
            found=block[: _PREFIX.size].hex(" "),
            expected=prefix.hex(" "),
        )
    base = _PREFIX.size + (count + 1) * _POSITION_SIZE
    ends = (block[_PREFIX.size : _PREFIX.size + _POSITION_SIZE], block[base - _POSITION_SIZE : base])
    if len(block) < base or ends != (bytes(4), (len(block) - base).to_bytes(_POSITION_SIZE, "little")):
        raise FormatError(
            file,
            "first and last position in a manifest block",
            offset=offset,
            found=[end.hex(" ") for end in ends],
            expected=f"0 and {len(block) - base}",
        )


def item_of(block: bytes, item: int, *, count: int, file: str, offset: int) -> bytes:
    """Return one item of a checked block.

    Raises:
        FormatError: Its positions are not inside the block.
    """
    start, end = _TWO_POSITIONS.unpack_from(block, _PREFIX.size + item * _POSITION_SIZE)
    base = _PREFIX.size + (count + 1) * _POSITION_SIZE
    if not start < end <= len(block) - base:
        raise FormatError(
            file,
            f"position of item {item} in a manifest block",
            offset=offset,
            found=f"{start} to {end}",
            expected=f"rising, up to {len(block) - base}",
        )
    return block[base + start : base + end]


# ---- entries


def pack_entry(record: EntryRecord) -> bytes:
    """Return the msgpack map of an entry; fields at their default are left out."""
    fields: dict[str, Any] = {"name": record.name}
    if record.type is not None or record.type_is_null:
        fields["type"] = _TYPE_CODES.index(record.type)
    for key in ("path", "url", "headers", "extra", "position"):
        if (value := getattr(record, key)) is not None:
            fields[key] = value
    if not record.listed:
        fields["unlisted"] = True
    if record.reason is not None:
        fields["reason"] = record.reason
    else:
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
    if record.lookup is not None:
        fields["lookup"] = list(record.lookup)
    if record.lookup_reason is not None:
        fields["lookup_reason"] = record.lookup_reason
    packed: bytes = msgpack.packb(fields)
    return packed


def identity_of(attributes: Attributes, entries: Iterable[bytes]) -> bytes:
    """Return the content identity: SHA-256 over what a pack holds, not where and how it is stored."""
    digest = sha256(pack_attributes(attributes._replace(identity=b"", source={}, created_by={})))
    for packed in entries:
        fields = msgpack.unpackb(packed)
        fields.pop("frames", None)
        fields.pop("raw", None)
        fields.pop("lookup", None)
        fields.pop("lookup_reason", None)
        digest.update(msgpack.packb(fields))
    return digest.digest()


def parse_entry(data: bytes, *, frame_size: int, content: Section, file: str, offset: int) -> EntryRecord:
    """Return the entry that `data` holds.

    Args:
        data: The msgpack map.
        frame_size: The pack's, in bytes of content.
        content: The content section, in which all frames must lie.
        file: The pack, for messages.
        offset: Of the block's frame, for messages.

    Raises:
        FormatError: It is not as SPEC.md says, or has a part that this reader must understand and does not.
    """
    name: str | None = None
    try:
        fields = _unpack_map(data, _ENTRY_TYPES, _ENTRY_REQUIRED)
        name = fields["name"]
        return _entry_of(fields, frame_size, content)
    except _Wrong as wrong:
        raise wrong.told(file, "entry", offset, name) from wrong.__cause__


def _entry_of(fields: dict[str, Any], frame_size: int, content: Section) -> EntryRecord:
    get = fields.get
    code, headers, reason, values = get("type"), get("headers"), get("reason"), get("frames", ())
    if code is not None and not 0 <= code < len(_TYPE_CODES):
        raise _Wrong("type", code, f"0 to {len(_TYPE_CODES) - 1}")
    if headers is not None:
        _check_strings("headers", headers)
    if len(values) == 4:
        frames: tuple[FrameRecord, ...] = (_new(FrameRecord, values),)
    elif len(values) % 4:
        raise _Wrong("frames", f"{len(values)} values", "four for each frame")
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
            get("extra"),
            get("position"),
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
                raise _Wrong(key, "nothing", "a value, as there is no reason")
        _check_content(record, frame_size, content)
    elif values or record.size or record.lines or record.sha256:
        raise _Wrong("reason", repr(reason), "no content beside it")
    return record


def _check_content(record: EntryRecord, frame_size: int, content: Section) -> None:
    size, lines, frames = record.size, record.lines, record.frames
    if size < 0 or not 0 <= lines <= size or len(record.sha256) != 32:
        raise _Wrong(
            "size, lines, sha256", (size, lines, record.sha256.hex()), "no line without a byte, 32 bytes"
        )
    if len(frames) != -(-size // frame_size):
        raise _Wrong("frames", len(frames), f"{-(-size // frame_size)} for {size} bytes")
    position, newlines, left = content.offset, 0, size
    for frame in frames:
        offset, length, checksum, newlines_before = frame
        part = left if left < frame_size else frame_size
        if (
            not type(offset) is type(length) is type(newlines_before) is int
            or type(checksum) is not bytes
            or len(checksum) != 4
            or offset < position
            or not part >> _MOST_SHRUNK < length <= frame_bound(part)
            or offset + length > content.end
            or not newlines <= newlines_before <= lines
            or (record.raw and (length != part or (offset != position and left != size)))
        ):
            # What is no number is shown by its type: it may be nested too deeply for repr.
            found = [value if type(value) is int else type(value).__name__ for value in frame]
            raise _Wrong("frames", found, f"in order, inside {content.offset} to {content.end}, lines rising")
        position, newlines, left = offset + length, newlines_before, left - part
    if frames and frames[0].newlines_before:
        raise _Wrong("frames", frames[0].newlines_before, "no line feed before the first")


def _lookup_of(values: list[Any]) -> LookupRecord:
    """Return where a table is; that it is in its section is seen where it is read."""
    if list(map(type, values)) != [int, int, int, bytes] or min(values[:3]) < 0 or len(values[3]) != 4:
        raise _Wrong("lookup", "other values", "offset, length, length of the head, 4 bytes")
    return LookupRecord(*values)


# ---- attributes


def pack_attributes(attributes: Attributes) -> bytes:
    """Return the msgpack map of the attributes block."""
    fields = attributes._asdict()
    if attributes.source_links is None:
        del fields["source_links"]
    packed: bytes = msgpack.packb(fields)
    return packed


def parse_attributes(data: bytes, *, file: str, offset: int) -> Attributes:
    """Return what the attributes block's map says.

    Raises:
        FormatError: It is not as SPEC.md says.
    """
    try:
        return _attributes_of(_unpack_map(data, _ATTRIBUTE_TYPES, _ATTRIBUTES_REQUIRED))
    except _Wrong as wrong:
        raise wrong.told(file, "attributes", offset) from wrong.__cause__


def _attributes_of(fields: dict[str, Any]) -> Attributes:
    if len(fields["identity"]) != 32:
        raise _Wrong("identity", f"{len(fields['identity'])} bytes", 32)
    links = fields.get("source_links")
    for key, value in (("attributes", fields["attributes"]), ("source_links", links or {})):
        _check_strings(key, value)
    source, created_by = fields["source"], fields["created_by"]
    if type(source.get("sha256")) is not bytes or type(source.get("size")) is not int:
        raise _Wrong("source", "other types", "sha256 (bytes) and size (int)")
    options = created_by.get("options")
    if type(options) is not dict or not all(map(_is_flat, (*source.values(), *options.values()))):
        raise _Wrong("source, created_by", "nested values", "options, and values that are flat")
    if any(type(value) is not str for key, value in created_by.items() if key != "options"):
        raise _Wrong("created_by", "other types", "str, beside options")
    return Attributes(
        fields["attributes"],
        links,
        fields["has_files"],
        fields["identity"],
        source,
        created_by,
    )


def _is_flat(value: object) -> bool:
    """Return whether a value can be shown without going deep: a scalar, or a list of them."""
    scalar = (type(None), bool, int, float, str, bytes)
    return type(value) in scalar or (type(value) is list and all(type(each) in scalar for each in value))


# ---- msgpack maps


class _Wrong(Exception):
    """A value does not fit: its key, what was found, and what was expected."""

    def told(self, file: str, what: str, offset: int, member: str | None = None) -> FormatError:
        """Return the error that says where."""
        key, found, expected = self.args
        return FormatError(
            file, f"{what}: {key}", member=member, offset=offset, found=found, expected=expected
        )


def _unpack_map(data: bytes, types: Mapping[str, type], required: Sequence[str]) -> dict[str, Any]:
    """Return a msgpack map whose values have the types they must have."""
    try:
        if len(data) > _SMALL_ITEM:
            # Each array takes memory by its declared length. A thousand unfinished ones inside each other
            # would take gigabytes, so it is seen first, without taking any, that all are finished.
            walker = msgpack.Unpacker(max_buffer_size=len(data))
            walker.feed(data)
            walker.skip()
        fields = msgpack.unpackb(data)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise _Wrong("msgpack", error, None) from error
    if type(fields) is not dict:
        raise _Wrong("msgpack", type(fields).__name__, "a map")
    for key, value in fields.items():
        wanted = types.get(key)
        if wanted is not type(value):
            if wanted is not None:
                raise _Wrong(key, type(value).__name__, wanted.__name__)
            if type(key) is not str or "A" <= key[:1] <= "Z":
                raise _Wrong(repr(key), "a key that this reader does not know", None)
    for key in required:
        if key not in fields:
            raise _Wrong(key, "nothing", types[key].__name__)
    return cast("dict[str, Any]", fields)


def _check_strings(key: str, strings: Mapping[Any, Any]) -> None:
    for name, text in strings.items():
        if type(name) is not str or type(text) is not str:
            raise _Wrong(key, f"{type(name).__name__}: {type(text).__name__}", "str: str")


_ENTRY_TYPES: Mapping[str, type] = {
    "name": str,
    "type": int,
    "path": str,
    "url": str,
    "headers": dict,
    "extra": str,
    "position": int,
    "unlisted": bool,
    "size": int,
    "lines": int,
    "sha256": bytes,
    "frames": list,
    "raw": bool,
    "binary": bool,
    "reference": str,
    "content_debug_id": str,
    "reason": str,
    "lookup": list,
    "lookup_reason": str,
}

_ENTRY_REQUIRED = ("name",)
_CONTENT_KEYS = ("size", "lines", "sha256", "frames")

_ATTRIBUTE_TYPES: Mapping[str, type] = {
    "attributes": dict,
    "source_links": dict,
    "has_files": bool,
    "identity": bytes,
    "source": dict,
    "created_by": dict,
}
_ATTRIBUTES_REQUIRED = ("attributes", "has_files", "identity", "source", "created_by")
