"""Lies in a pack that was built: each public function seals what it spoils where it can be sealed."""

import struct
from random import Random

from support.lies.values import any_number, scribble
from support.pack_parts import parts_of_index, with_fan_out, with_sections, with_sha256, with_slot, with_tail
from support.pack_recipe import TAIL_SIZE


def sections(data: bytes, random: Random) -> bytes:
    """A row of the section table, or two in each other's place."""

    def change(rows: list[list[int]]) -> None:
        row, column = random.randrange(len(rows)), random.randrange(4)
        if random.randrange(4):
            rows[row][column] = any_number(random, rows[row][column]) % 2 ** (32 if column < 2 else 64)
        else:
            other = random.randrange(len(rows))
            rows[row], rows[other] = rows[other], rows[row]

    return with_sections(data, change)


def fan_out(data: bytes, random: Random) -> bytes:
    """Where a bucket begins or ends; its checksum is right."""
    index = parts_of_index(data)
    if index is None:
        return data
    first, end = (any_number(random, 3) % 2**32 if random.randrange(2) else None for _ in range(2))
    return with_fan_out(data, random.randrange(index.buckets or 1), first, end) if index.buckets else data


def a_slot(data: bytes, random: Random) -> bytes:
    """A fingerprint or an entry number; the checksum of the bucket is right."""
    index = parts_of_index(data)
    if index is None or index.end == index.slots:
        return data
    number = random.randrange((index.end - index.slots) // 8)
    fingerprint, entry = struct.unpack_from("<II", data, index.slots + 8 * number)
    if random.randrange(2):
        fingerprint = any_number(random, fingerprint) % 2**32
    else:
        entry = any_number(random, entry) % 2**32
    return with_slot(data, number, fingerprint, entry)


def bytes_before_the_tail(data: bytes, random: Random) -> bytes:
    """Anything, with a tail that has the right length and hash, and is sealed."""
    body = scribble(data[:-TAIL_SIZE], random)
    return with_sha256(with_tail(body + data[-TAIL_SIZE:], file_length=len(body) + TAIL_SIZE))


def end_of_the_tail(data: bytes, random: Random) -> bytes:
    """The checksum of the tail, or the magic at its end."""
    return data[:-16] + scribble(data[-16:], random)
