"""The index: block table, fan-out and slots (SPEC.md, "Index").

Pure functions between bytes and values, and the arithmetic of where each structure lies.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from srcpack.errors import FormatError
from srcpack.format.head_tail import FRAME_HEADER, INDEX, Section, Tail, pack_frame_header
from srcpack.format.keys import KeyHash, hash_key
from srcpack.rules.lookup_keys import Kind

__all__ = [
    "MAX_BUCKET",
    "MEAN_BUCKET",
    "SEED_ATTEMPTS",
    "SLOT",
    "BlockPlace",
    "IndexLayout",
    "bucket_checksum",
    "find_entries",
    "pack_index",
    "parse_block_place",
    "parse_fan_out",
    "sort_into_buckets",
]

MEAN_BUCKET = 8
"""Keys a bucket holds on average, at most."""

MAX_BUCKET = 32
"""Slots that a bucket may have; the writer takes another seed rather than make a longer one."""

SEED_ATTEMPTS = 64
"""Seeds a writer tries before it gives up."""

SLOT = Struct("<II")
_BLOCK_PLACE = Struct("<QI")
_FAN_OUT = Struct("<II")
_TWO_FAN_OUTS = Struct("<IIII")
_BUCKET_PREFIX = Struct("<8sII")


class BlockPlace(NamedTuple):
    """Where a block's frame lies in the file."""

    offset: int
    length: int


class IndexLayout(NamedTuple):
    """Offsets in the file of the index's three parts."""

    block_table: int
    fan_out: int
    slots: int

    @classmethod
    def of(cls, tail: Tail, *, file: str) -> "IndexLayout":
        """Work out the layout from the tail's counts, which give just the size of the section."""
        section = tail.sections[INDEX]
        block_table = section.offset + FRAME_HEADER.size
        fan_out = block_table + tail.block_count * _BLOCK_PLACE.size
        slots = fan_out + (tail.bucket_count + 1) * _FAN_OUT.size
        end = slots + tail.slot_count * SLOT.size
        if end != section.end:
            found, expected = section.length, f"{end - section.offset} by the tail's counts"
            raise FormatError(
                file, "size of the index", offset=section.offset, found=found, expected=expected
            )
        return cls(block_table, fan_out, slots)

    def block_place_at(self, number: int) -> Section:
        """Return where the place of a block is told: an offset and a length."""
        return Section(self.block_table + number * _BLOCK_PLACE.size, _BLOCK_PLACE.size)

    def fan_out_at(self, bucket: int) -> Section:
        """Return where the fan-out elements of a bucket and of the one after it lie."""
        return Section(self.fan_out + bucket * _FAN_OUT.size, _TWO_FAN_OUTS.size)


def parse_block_place(data: bytes) -> BlockPlace:
    """Return an element of the block table."""
    return BlockPlace._make(_BLOCK_PLACE.unpack(data))


def parse_fan_out(data: bytes) -> tuple[int, int, int]:
    """Return a bucket's first slot, its checksum, and the next bucket's first slot."""
    first, checksum, end, _ = _TWO_FAN_OUTS.unpack(data)
    return first, checksum, end


def bucket_checksum(seed: bytes, bucket: int, first: int, slots: bytes) -> int:
    """Return the CRC-32 that makes a bucket belong to its pack, its number and its place."""
    return crc32(slots, crc32(_BUCKET_PREFIX.pack(seed, bucket, first)))


def find_entries(slots: bytes, fingerprint: int) -> list[int]:
    """Return the numbers of the entries whose slot has the fingerprint, each once; mostly one or none."""
    wanted = fingerprint.to_bytes(4, "little")
    found = []
    at = slots.find(wanted)
    while at >= 0:
        if at % SLOT.size == 0:
            number = int.from_bytes(slots[at + 4 : at + 8], "little")
            if number not in found:
                found.append(number)
        at = slots.find(wanted, at + 1)
    return found


def sort_into_buckets(
    keys: Iterable[tuple[Kind, str, int]], seed: bytes, bucket_count: int
) -> list[list[tuple[int, int]]] | None:
    """Return each bucket's slots (fingerprint, entry number), sorted; None if one is too long.

    `keys` are kind, normalised key and entry number of every key, each key once.
    """
    buckets: list[list[tuple[int, int]]] = [[] for _ in range(bucket_count)]
    for kind, key, number in keys:
        hashed: KeyHash = hash_key(seed, kind, key)
        buckets[hashed.bucket(bucket_count)].append((hashed.fingerprint, number))
    if max(map(len, buckets)) > MAX_BUCKET:
        return None
    for bucket in buckets:
        bucket.sort()
    return buckets


def pack_index(seed: bytes, blocks: Sequence[BlockPlace], buckets: Sequence[list[tuple[int, int]]]) -> bytes:
    """Return the whole index section, frame header included."""
    fan_out = bytearray()
    slots = bytearray()
    first = 0
    for number, bucket in enumerate(buckets):
        packed = b"".join(SLOT.pack(*slot) for slot in bucket)
        fan_out += _FAN_OUT.pack(first, bucket_checksum(seed, number, first, packed))
        slots += packed
        first += len(bucket)
    fan_out += _FAN_OUT.pack(first, 0)
    table = b"".join(_BLOCK_PLACE.pack(*place) for place in blocks)
    return pack_frame_header(len(table) + len(fan_out) + len(slots)) + table + fan_out + slots
