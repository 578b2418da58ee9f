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
from support.pack_parts import index_of, with_fan_out, with_sections, with_sha256, with_slot, with_tail
from support.pack_recipe import (
    ATTRIBUTES,
    GOOD,
    HEAD,
    RAW,
    SEED,
    Recipe,
    compress,
    entry_of,
    recipe,
    skippable,
    with_entry,
    without,
)
from support.sentences.row import Make

DICTIONARY = zstandard.train_dictionary(
    1024, [b"%d: the words of a dictionary, %d of them" % (number % 7, number) for number in range(300)]
)


def spoilt(change: Callable[[Recipe], object]) -> Make:
    """Make a pack of the recipe after a change."""

    def made() -> bytes:
        pack = recipe()
        change(pack)
        return pack.build()

    return made


def changed(**fields: Any) -> Make:
    """Make a pack of the recipe with other parts."""
    return spoilt(lambda pack: vars(pack).update(fields))


def tail(**fields: Any) -> Make:
    return lambda: with_tail(recipe().build(), **fields)


def head(at: int, value: bytes) -> Make:
    return changed(head=HEAD[:at] + value + HEAD[at + len(value) :])


def section(row: int, column: int, value: int) -> Make:
    return sections(lambda rows: rows[row].__setitem__(column, value))


def sections(change: Callable[[list[list[int]]], object]) -> Make:
    return lambda: with_sections(recipe().build(), change)


def entry(**fields: Any) -> Make:
    """Make a pack whose first entry, `bad.js`, has other fields, or lacks those that are None."""
    return lambda: with_entry(without(**fields))


def map_with(key: bytes, value: bytes, fields: dict[str, Any]) -> bytes:
    """Return the map of an entry and one more key, each as msgpack has them."""
    packed: bytes = msgpack.packb(fields)
    return bytes([packed[0] + 1]) + packed[1:] + key + value


def packed_entry(key: bytes, value: bytes, **fields: Any) -> Make:
    """Make a pack whose first entry has one more key, as msgpack has both."""
    return lambda: with_entry(map_with(key, value, without(**fields)))


def damaged(**fields: Any) -> Make:
    """Make a pack whose first entry has a reason and no content, and other fields."""
    nothing = dict.fromkeys(("size", "lines", "sha256", "frames"))
    return entry(**{**nothing, "reason": "gone", **fields})


def frames(at: int, value: Any) -> Make:
    """Make a pack in which one of the four values of the frame of `bad.js` is another."""
    values = list(without()["frames"])
    values[at] = value
    return entry(frames=values)


def frames_of_long(change: Callable[[list[Any]], object] = lambda _: None, **fields: Any) -> Make:
    """Make a pack in which the frames of `long.js`, or other fields of it, are others."""
    return spoilt(lambda pack: (change(pack.entries[2]["frames"]), pack.entries[2].update(fields)))


def raw(*values: tuple[int, Any], content: bytes | None = None) -> Make:
    """Make a pack in which values of the parts of `raw.bin` are others, or its bytes are."""

    def change(pack: Recipe) -> None:
        for at, value in values:
            pack.entries[3]["frames"][at] = value
        if content is not None:
            pack.content = content + pack.content[8 + len(RAW) :]

    return spoilt(change)


def frame(data: bytes, **fields: Any) -> Make:
    """Make a pack with another frame for `bad.js`."""
    return lambda: recipe(data, **fields).build()


@cache
def items() -> list[bytes]:
    return [msgpack.packb(each) for each in recipe().entries]


def block(change: Callable[[bytes], bytes]) -> Make:
    """Make a pack whose block of entries is in another frame."""
    return changed(blocks={0: change(pack_block(SEED, 0, items()))})


def positions(*values: int, items: bytes = b"\x80" * 9) -> Make:
    """Make a pack whose block of entries has such positions."""
    return changed(blocks={0: compress(struct.pack(f"<8sII{len(values)}I", SEED, 0, 4, *values) + items)})


def place(start: int, end: int = 0) -> Make:
    """Make a pack whose block of entries is looked for so many bytes off its start and its end."""

    def made() -> bytes:
        whole = recipe().build()
        offset, length = struct.unpack_from("<QI", whole, index_of(whole).block_table)
        return changed(places={0: (offset + start, length - start + end)})()

    return made


def place_of_attributes() -> bytes:
    pack = recipe()
    length = struct.unpack_from("<I", pack.build()[-320:], 72)[0]
    return changed(places={0: (24 + len(pack.content) + 8, length)})()


def attributes(**fields: Any) -> Make:
    made = {**ATTRIBUTES, **fields}
    return changed(attributes={key: value for key, value in made.items() if value is not None})


def inner(name: str, **fields: Any) -> Make:
    """Make a pack whose attributes' `source` or `created_by` is another."""
    value: dict[str, Any] = {**ATTRIBUTES[name], **fields}  # type: ignore[dict-item]
    return attributes(**{name: {key: each for key, each in value.items() if each is not None}})


def dictionary(content: bytes | None = None, frame: bytes | None = None, **tail: Any) -> Make:
    """Make a pack with a dictionary, or with something else in its place."""

    def made() -> bytes:
        pack = recipe(None, DICTIONARY)
        pack.dictionary = pack.dictionary if content is None else content
        pack.dictionary_frame, pack.tail = frame, tail
        return pack.build()

    return made


def all_positions(*numbers: int | None) -> Make:
    """Make a pack whose entries have these positions."""

    def change(pack: Recipe) -> None:
        for each, number in zip(pack.entries, numbers, strict=True):
            each.update({} if number is None else {"position": number})

    return spoilt(change)


def keys(change: Callable[[list[tuple[Kind, str, int]]], object]) -> Make:
    """Make a pack with other keys in its index."""
    return spoilt(lambda pack: change(pack.keys or []))


def equal_contents_twice() -> bytes:
    return recipe(compress(GOOD), sha256=hashlib.sha256(GOOD).digest()).build()


def contents_shared_in_part() -> bytes:
    pack = recipe()
    pack.entries[0] = {**pack.entries[1], "name": "bad.js", "url": "~/bad.js", "binary": True}
    return pack.build()


def gap_in_contents() -> bytes:
    return changed(content=recipe().content + skippable(b"gap"))()


def gap_in_blocks() -> bytes:
    whole = recipe().build()
    offset, length = struct.unpack_from("<QI", whole, index_of(whole).block_table)
    manifest = whole[24 + len(recipe().content) + 8 : offset + length]
    return changed(manifest=skippable(manifest + b"gap"))()


def blocks_in_another_order() -> bytes:
    pack = recipe()
    pack.block_entries = 2
    whole = pack.build()
    at = index_of(whole)
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
        large = map_with(b"\xa3pad", msgpack.packb(bytes(33 << 20)), fields=pack.entries[number])
        pack.blocks[number // 2] = compress(pack_block(SEED, number, [large, items()[number + 1]]))
    return pack.build()


def frame_over_64_mib() -> bytes:
    pack = recipe()
    pack.manifest = skippable(bytes((64 << 20) + 1))
    pack.places = {0: (24 + len(pack.content) + 8, (64 << 20) + 1)}
    return pack.build()


def frame_of_few_bytes(size: int = 2**30) -> bytes:
    """Make a pack of 1 MiB of zeros, which its entry says to be of another size."""
    zeros = compress(bytes(1 << 20))
    made = entry_of("bad.js", b"", 0, size=size, lines=0, sha256=hashlib.sha256(bytes(1 << 20)).digest())
    made["frames"] = [24, len(zeros), zeros[-4:], 0]
    return Recipe([made], zeros, tail={"frame_size": 2**30}).build()


def spoilt_header_of(number: int) -> Make:
    """Make a pack in which the frame header of a section is another; the SHA-256 is right."""

    def made() -> bytes:
        data = bytearray(recipe(None, DICTIONARY).build())
        rows = struct.iter_unpack("<IIQQ", bytes(data[-160:-16]))
        (at,) = (row[2] for row in rows if row[0] == number)
        data[at] ^= 1
        return with_sha256(bytes(data))

    return made


def later_slots() -> bytes:
    """Begin the first bucket at slot 1, with its checksum right."""
    return with_fan_out(recipe().build(), 0, first=1)


def slot_of_no_bucket() -> bytes:
    """Put a slot behind those of the last bucket, where the index has room for it."""
    data = recipe().build()
    at = index_of(data)
    body = bytearray(data[:-320] + b"no slot.")
    struct.pack_into("<I", body, at.block_table - 4, len(body) - at.block_table)
    made = with_sections(bytes(body) + data[-320:], lambda rows: rows[2].__setitem__(3, rows[2][3] + 8))
    return with_sha256(with_tail(made, file_length=len(made), slot_count=(at.end - at.slots) // 8 + 1))


def fan_out_end() -> bytes:
    data = bytearray(recipe().build())
    data[index_of(bytes(data)).slots - 1] = 1
    return with_sha256(bytes(data))


def slots(change: Callable[[list[tuple[int, int]]], tuple[int, int]]) -> Make:
    """Make a pack whose first slot is another; the bucket's checksum and the hash of all are right."""

    def made() -> bytes:
        data = recipe().build()
        at = index_of(data)
        found = list(struct.iter_unpack("<II", data[at.slots : at.end]))
        return with_sha256(with_slot(data, 0, *change(found)))

    return made


def a_bit_of_the_tail() -> bytes:
    data = recipe().build()
    return data[:-16] + bytes([data[-16] ^ 1]) + data[-15:]


def fan_out(bucket: int, first: int, end: int) -> Make:
    return lambda: with_fan_out(recipe().build(), bucket, first, end)


def bucket_of(count: int) -> bytes:
    """Make a pack whose first bucket has so many slots, of the next ones too."""
    data = changed(keys=[(Kind.NAME, f"key {number}", 1) for number in range(50)])()
    return with_fan_out(data, 0, first=0, end=count)


def checksum_of_a_bucket() -> bytes:
    data = bytearray(recipe().build())
    at = index_of(bytes(data))
    for bucket in range(at.buckets):
        data[at.fan_out + 8 * bucket + 4] ^= 1
    return with_sha256(bytes(data))
