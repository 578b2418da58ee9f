"""Takes packs apart into recipes, and changes packs that were built, with every checksum right."""

import hashlib
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import msgpack
import zstandard

from srcpack.format.index import bucket_checksum
from support.pack_recipe import HEAD, LATER_SECTION, TAIL, TAIL_SIZE, Recipe, sealed_tail

_DERIVED = {
    *("frame_magic", "frame_length", "file_length", "entry_count", "bucket_count", "slot_count", "seed"),
    "block_entries",
    *("total_size", "content_size", "content_count", "attributes_length", "sections", "sha256"),
    *("dictionary_id", "dictionary_size", "dictionary_sha256"),
}
"""Fields of the tail that follow from the rest of a recipe."""


def take_apart(data: bytes) -> Recipe | None:
    """Return the recipe of a pack, as far as it is whole; None where its parts cannot be told.

    What is built of it is the same pack, packed anew, with every checksum right.
    """
    if len(data) < len(HEAD) + TAIL_SIZE:
        return None
    tail = _tail_of(data)
    sections = {
        id_: data[at : at + size] for id_, _, at, size in struct.iter_unpack("<IIQQ", tail["sections"])
    }
    places = parts_of_index(data)
    if not {1, 2, 4} <= sections.keys() or places is None:
        return None
    attributes = _items_of(sections[2][8 : 8 + tail["attributes_length"]])
    if attributes is None:
        return None
    items: list[bytes] = []
    for number in range(places.blocks):
        at, length = struct.unpack_from("<QI", data, places.block_table + 12 * number)
        block = _items_of(data[at : at + length])
        if block is None:
            return None
        items += block
    made = Recipe(
        [_map_of(item) for item in items],
        sections[1],
        attributes=_map_of(attributes[0]) if attributes else b"",
        head=data[: len(HEAD)],
        seed=tail["seed"],
        bucket_count=tail["bucket_count"],
        block_entries=tail["block_entries"],
        tail={name: value for name, value in tail.items() if name not in _DERIVED},
        lookups=sections[5][8:] if 5 in sections else None,
        extra=sections[LATER_SECTION][8:] if LATER_SECTION in sections else None,
    )
    if isinstance(made.attributes, dict):
        made.attributes["identity"] = b""
    if 3 in sections:
        made.dictionary = unpacked(sections[3][8:]) or b""
        if not made.dictionary:
            made.dictionary_frame = sections[3][8:]
    return made


class IndexParts(NamedTuple):
    """Where the parts of an index begin, and how many each has.

    Attributes:
        block_table: Offset of the block table.
        fan_out: Offset of the fan-out.
        slots: Offset of the slots.
        blocks: How many blocks of entries there are.
        buckets: How many buckets there are.
        end: Offset behind the last slot.
    """

    block_table: int
    fan_out: int
    slots: int
    blocks: int
    buckets: int
    end: int


def parts_of_index(data: bytes) -> IndexParts | None:
    """Return where the parts of a pack's index lie by its tail; None where that cannot be."""
    tail = _tail_of(data)
    rows = {row[0]: row for row in struct.iter_unpack("<IIQQ", tail["sections"])}
    if 4 not in rows or not tail["block_entries"]:
        return None
    _, _, at, length = rows[4]
    blocks = -(-tail["entry_count"] // tail["block_entries"])
    fan_out = at + 8 + 12 * blocks
    slots = fan_out + 8 * (tail["bucket_count"] + 1)
    end = slots + 8 * tail["slot_count"]
    if at + length != end or end > len(data) - TAIL_SIZE:
        return None
    return IndexParts(at + 8, fan_out, slots, blocks, tail["bucket_count"], end)


def index_of(data: bytes) -> IndexParts:
    """Return where the parts of the index lie of a pack that has one."""
    index = parts_of_index(data)
    assert index is not None
    return index


def _tail_of(data: bytes) -> dict[str, Any]:
    return {
        name: struct.unpack_from(type_, data, len(data) - TAIL_SIZE + at)[0]
        for name, (at, type_) in TAIL.items()
    }


def unpacked(frame: bytes, dictionary: bytes = b"") -> bytes | None:
    """Return the content of a frame; None where it is none, or of a size that nobody would unpack."""
    try:
        if not 0 < zstandard.frame_content_size(frame) < 1 << 20:
            return None
        shared = zstandard.ZstdCompressionDict(dictionary, dict_type=2) if dictionary else None
        return zstandard.ZstdDecompressor(dict_data=shared).decompress(frame)
    except zstandard.ZstdError:
        return None


def _items_of(frame: bytes) -> list[bytes] | None:
    """Return the items of a block of the manifest; None where it is none."""
    block = unpacked(frame)
    if block is None or len(block) < 16:
        return None
    (count,) = struct.unpack_from("<I", block, 12)
    if count > 1024 or len(block) < 16 + 4 * (count + 1):
        return None
    ends = struct.unpack_from(f"<{count + 1}I", block, 16)
    items = block[16 + 4 * (count + 1) :]
    return [items[start:end] for start, end in pairwise(ends)]


def _map_of(item: bytes) -> Any:
    """Return the map of an entry, or its bytes where it is none that could be packed again."""
    try:
        entry = msgpack.unpackb(item)
        if type(entry) is dict and all(type(key) is str for key in entry):
            msgpack.packb(entry)
            return entry
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
        pass
    return item


def with_tail(data: bytes, **fields: Any) -> bytes:
    """Return a pack with other values in its tail, whose checksum is right."""
    return data[:-TAIL_SIZE] + sealed_tail({**_tail_of(data), **fields})


def with_sections(data: bytes, change: Callable[[list[list[int]]], object]) -> bytes:
    """Return a pack with another section table: a list of id, reserved, offset and length."""
    table = data[-TAIL_SIZE + 160 : -16]
    rows = [list(row) for row in struct.iter_unpack("<IIQQ", table)]
    change(rows)
    return with_tail(data, sections=b"".join(struct.pack("<IIQQ", *row) for row in rows))


def with_sha256(data: bytes) -> bytes:
    """Return a pack whose tail has the SHA-256 of what is before it now."""
    return with_tail(data, sha256=hashlib.sha256(data[:-TAIL_SIZE]).digest())


def with_fan_out(data: bytes, bucket: int, first: int | None = None, end: int | None = None) -> bytes:
    """Return a pack where a bucket begins or ends elsewhere; the bucket's checksum is right, if it can be."""
    index, changed = index_of(data), bytearray(data)
    at = index.fan_out + 8 * bucket
    if first is not None:
        struct.pack_into("<I", changed, at, first)
    if end is not None:
        struct.pack_into("<I", changed, at + 8, end)
    _seal_bucket(changed, index, bucket)
    return bytes(changed)


def with_slot(data: bytes, number: int, fingerprint: int, entry: int) -> bytes:
    """Return a pack with another slot; the checksum of its bucket is right."""
    index, changed = index_of(data), bytearray(data)
    struct.pack_into("<II", changed, index.slots + 8 * number, fingerprint, entry)
    for bucket in range(index.buckets):
        _seal_bucket(changed, index, bucket)
    return bytes(changed)


def _seal_bucket(data: bytearray, index: IndexParts, bucket: int) -> None:
    at = index.fan_out + 8 * bucket
    start, _, stop = struct.unpack_from("<III", data, at)
    slots = bytes(data[index.slots + 8 * start : index.slots + 8 * stop])
    seed = bytes(_tail_of(bytes(data[-TAIL_SIZE:]))["seed"])
    struct.pack_into("<I", data, at + 4, bucket_checksum(seed, bucket, start, slots))
