"""Ways to make packs that break a sentence of SPEC.md, and no other, with every checksum right."""

import hashlib
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import msgpack
import zstandard

from srcpack.format.manifest import pack_block
from srcpack.rules.lookup_keys import Kind
from support.pack_recipe import (
    ATTRIBUTES,
    GOOD,
    HEAD,
    RAW,
    SEED,
    Recipe,
    compress,
    entry_of,
    parts_of_index,
    recipe,
    skippable,
    with_entry,
    with_fan_out,
    with_sections,
    with_slot,
    with_tail,
    without,
)

__all__ = [
    "DICTIONARY",
    "a_bit_of_the_tail",
    "a_bucket_of_33_slots",
    "all_positions",
    "attributes",
    "block",
    "blocks_in_another_order",
    "blocks_that_unpack_to_too_much",
    "changed",
    "checksum_of_a_bucket",
    "contents_shared_in_part",
    "damaged",
    "dictionary",
    "entry",
    "equal_contents_twice",
    "fan_out_end",
    "frame",
    "frame_of_few_bytes",
    "frame_over_64_mib",
    "frames",
    "frames_of_long",
    "gap_in_blocks",
    "gap_in_contents",
    "head",
    "inner",
    "items",
    "keys",
    "later_slots",
    "packed_entry",
    "positions",
    "raw",
    "section",
    "slot_of_no_bucket",
    "slots",
    "spoilt_header_of",
    "spoilt_raw_header",
    "tail",
]


def changed(**fields: Any) -> Callable[[], bytes]:
    """Make a pack of the recipe with other parts."""

    def made() -> bytes:
        pack = recipe()
        for name, value in fields.items():
            setattr(pack, name, value)
        return pack.build()

    return made


def tail(**fields: Any) -> Callable[[], bytes]:
    return lambda: with_tail(recipe().build(), **fields)


def head(at: int, value: bytes) -> Callable[[], bytes]:
    return changed(head=HEAD[:at] + value + HEAD[at + len(value) :])


def section(row: int, column: int, value: int) -> Callable[[], bytes]:
    def change(rows: list[list[int]]) -> None:
        rows[row][column] = value

    return lambda: with_sections(recipe().build(), change)


def entry(**fields: Any) -> Callable[[], bytes]:
    """Make a pack whose first entry, `bad.js`, has other fields, or lacks those that are None."""
    return lambda: with_entry(without(**fields))


def packed_entry(key: bytes, value: bytes, **fields: Any) -> Callable[[], bytes]:
    """Make a pack whose first entry has one more key, as msgpack has both."""
    packed: bytes = msgpack.packb(without(**fields))
    return lambda: with_entry(bytes([packed[0] + 1]) + packed[1:] + key + value)


def damaged(**fields: Any) -> Callable[[], bytes]:
    """Make a pack whose first entry has a reason and no content, and other fields."""
    nothing = dict.fromkeys(("size", "lines", "sha256", "frames"))
    return lambda: with_entry(without(**{**nothing, "reason": "gone", **fields}))


def frames(at: int, value: Any) -> Callable[[], bytes]:
    """Make a pack in which one of the four values of the frame of `bad.js` is another."""
    values = list(without()["frames"])
    values[at] = value
    return entry(frames=values)


def frames_of_long(change: Callable[[list[Any]], object], **fields: Any) -> Callable[[], bytes]:
    """Make a pack in which the frames of `long.js` are others."""

    def made() -> bytes:
        pack = recipe()
        long = pack.entries[2]
        assert isinstance(long, dict)
        change(long["frames"])
        long.update(fields)
        return pack.build()

    return made


def raw(at: int, value: Any, **fields: Any) -> Callable[[], bytes]:
    """Make a pack in which one value of the parts of `raw.bin` is another."""

    def made() -> bytes:
        pack = recipe()
        entry = pack.entries[3]
        assert isinstance(entry, dict)
        entry["frames"][at] = value
        entry.update(fields)
        return pack.build()

    return made


def frame(data: bytes, **fields: Any) -> Callable[[], bytes]:
    """Make a pack with another frame for `bad.js`."""
    return lambda: recipe(data, **fields).build()


@cache
def items() -> list[bytes]:
    return [msgpack.packb(each) for each in recipe().entries]


def block(change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    """Make a pack whose block of entries is in another frame."""
    return changed(blocks={0: change(pack_block(SEED, 0, items()))})


def positions(*values: int, items: bytes = b"\x80" * 9) -> Callable[[], bytes]:
    """Make a pack whose block of entries has such positions."""
    data = struct.pack(f"<8sII{len(values)}I", SEED, 0, 4, *values) + items
    return changed(blocks={0: compress(data)})


def attributes(**fields: Any) -> Callable[[], bytes]:
    made = {**ATTRIBUTES, **fields}
    return changed(attributes={key: value for key, value in made.items() if value is not None})


def inner(name: str, **fields: Any) -> Callable[[], bytes]:
    """Make a pack whose attributes' `source` or `created_by` is another."""
    value: dict[str, Any] = {**ATTRIBUTES[name], **fields}  # type: ignore[dict-item]
    return attributes(**{name: {key: each for key, each in value.items() if each is not None}})


DICTIONARY = zstandard.train_dictionary(
    1024, [b"%d: the words of a dictionary, %d of them" % (number % 7, number) for number in range(300)]
)


def dictionary(content: bytes | None = None, frame: bytes | None = None, **tail: Any) -> Callable[[], bytes]:
    """Make a pack with a dictionary, or with something else in its place."""

    def made() -> bytes:
        pack = recipe(None, DICTIONARY)
        if content is not None:
            pack.dictionary = content
        pack.dictionary_frame = frame
        pack.tail = tail
        return pack.build()

    return made


def all_positions(*numbers: int | None) -> Callable[[], bytes]:
    """Make a pack whose entries have these positions."""

    def made() -> bytes:
        pack = recipe()
        for each, number in zip(pack.entries, numbers, strict=True):
            assert isinstance(each, dict)
            if number is not None:
                each["position"] = number
        return pack.build()

    return made


def keys(change: Callable[[list[tuple[Kind, str, int]]], object]) -> Callable[[], bytes]:
    """Make a pack with other keys in its index."""

    def made() -> bytes:
        pack = recipe()
        pack.keys = pack.all_keys()
        change(pack.keys)
        return pack.build()

    return made


def equal_contents_twice() -> bytes:
    return recipe(compress(GOOD), sha256=hashlib.sha256(GOOD).digest()).build()


def contents_shared_in_part() -> bytes:
    pack = recipe()
    pack.entries[0] = {**pack.entries[1], "name": "bad.js", "url": "~/bad.js", "binary": True}  # type: ignore[dict-item]
    return pack.build()


def gap_in_contents() -> bytes:
    pack = recipe()
    pack.content += skippable(b"gap")
    return pack.build()


def gap_in_blocks() -> bytes:
    whole = recipe().build()
    at = parts_of_index(whole)
    assert at is not None
    offset, length = struct.unpack_from("<QI", whole, at.block_table)
    start = 24 + len(recipe().content)
    manifest = whole[start + 8 : offset + length]
    return changed(manifest=skippable(manifest + b"gap"))()


def blocks_in_another_order() -> bytes:
    pack = recipe()
    pack.block_entries = 2
    whole = pack.build()
    at = parts_of_index(whole)
    assert at is not None
    (one, size), (other, more) = struct.iter_unpack("<QI", whole[at.block_table : at.fan_out])
    start = 24 + len(pack.content) + 8
    pack.manifest = skippable(whole[start:one] + whole[other : other + more] + whole[one : one + size])
    pack.places = {0: (one + more, size), 1: (one, more)}
    return pack.build()


def blocks_that_unpack_to_too_much() -> bytes:
    """Two blocks of 33 MiB, in keys that are read over."""
    pack = recipe()
    pack.block_entries = 2
    for number in (0, 2):
        pack.entries[number] = {**pack.entries[number], "pad": bytes(33 << 20)}  # type: ignore[dict-item]
    return pack.build()


def frame_over_64_mib() -> bytes:
    pack = recipe()
    pack.manifest = skippable(bytes((64 << 20) + 1))
    pack.places = {0: (24 + len(pack.content) + 8, (64 << 20) + 1)}
    return pack.build()


def frame_of_few_bytes() -> bytes:
    zeros = compress(bytes(1 << 20))
    made = entry_of("bad.js", b"", 0, size=2**30, lines=0, sha256=hashlib.sha256(bytes(1 << 20)).digest())
    made["frames"] = [24, len(zeros), zeros[-4:], 0]
    return Recipe([made], zeros, tail={"frame_size": 2**30}).build()


def spoilt_header_of(number: int) -> Callable[[], bytes]:
    """Make a pack in which the frame header of a section is another; the SHA-256 is right."""

    def made() -> bytes:
        data = bytearray(recipe(None, DICTIONARY).build())
        rows = struct.iter_unpack("<IIQQ", bytes(data[-160:-16]))
        (at,) = (row[2] for row in rows if row[0] == number)
        data[at] ^= 1
        return with_tail(bytes(data), sha256=hashlib.sha256(data[:-320]).digest())

    return made


def spoilt_raw_header() -> bytes:
    pack = recipe()
    pack.content = skippable(b"", len(RAW) + 1) + pack.content[8:]
    return pack.build()


def later_slots() -> bytes:
    """Begin the first bucket at slot 1, with its checksum right."""
    return with_fan_out(recipe().build(), 0, first=1)


def slot_of_no_bucket() -> bytes:
    """Put a slot behind those of the last bucket, where the index has room for it."""
    data = recipe().build()
    at = parts_of_index(data)
    assert at is not None
    body = bytearray(data[:-320] + b"no slot.")
    struct.pack_into("<I", body, at.block_table - 4, len(body) - at.block_table)

    def lengthen(rows: list[list[int]]) -> None:
        rows[2][3] += 8

    made = with_sections(bytes(body) + data[-320:], lengthen)
    digest = hashlib.sha256(body).digest()
    return with_tail(made, file_length=len(made), slot_count=(at.end - at.slots) // 8 + 1, sha256=digest)


def fan_out_end() -> bytes:
    data = bytearray(recipe().build())
    at = parts_of_index(bytes(data))
    assert at is not None
    data[at.slots - 1] = 1
    return with_tail(bytes(data), sha256=hashlib.sha256(data[:-320]).digest())


def slots(change: Callable[[list[tuple[int, int]]], tuple[int, int]]) -> Callable[[], bytes]:
    """Make a pack whose first slot is another; the bucket's checksum and the hash of all are right."""

    def made() -> bytes:
        data = recipe().build()
        at = parts_of_index(data)
        assert at is not None
        found = list(struct.iter_unpack("<II", data[at.slots : at.end]))
        data = with_slot(data, 0, *change(found))
        return with_tail(data, sha256=hashlib.sha256(data[:-320]).digest())

    return made


def a_bit_of_the_tail() -> bytes:
    data = recipe().build()
    return data[:-16] + bytes([data[-16] ^ 1]) + data[-15:]


def a_bucket_of_33_slots() -> bytes:
    data = changed(keys=[(Kind.NAME, f"key {number}", 1) for number in range(50)])()
    return with_fan_out(data, 0, first=0, end=33)


def checksum_of_a_bucket() -> bytes:
    data = bytearray(recipe().build())
    at = parts_of_index(bytes(data))
    assert at is not None
    for bucket in range(at.buckets):
        data[at.fan_out + 8 * bucket + 4] ^= 1
    return with_tail(bytes(data), sha256=hashlib.sha256(data[:-320]).digest())
