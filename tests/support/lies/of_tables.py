"""Lies about lookup tables: each public function is one, and spoils a `Recipe`."""

import struct
from collections.abc import Callable
from functools import wraps
from random import Random
from typing import Any, TypeAlias

from support.lies.values import any_entry, any_number, scribble, spoilt_frame
from support.pack_recipe import Recipe
from support.table_recipe import TableRecipe, take_table_apart

_Change: TypeAlias = Callable[[TableRecipe, Random], None]


def _change_table(made: Recipe, random: Random, change: _Change) -> None:
    """Change a table, and let the entries know where all are by then; invent one where there is none."""
    entries = [entry for entry in made.entries if isinstance(entry, dict) and _is_place(entry.get("lookup"))]
    if not entries or made.lookups is None:
        made.lookups = random.randbytes(60)
        any_entry(made, random)["lookup"] = [0, 60, random.choice((1, 50, 60)), made.lookups[-4:]]
        return
    offset, length, head, _ = random.choice(entries)["lookup"]
    table = take_table_apart(made.lookups[offset : offset + length], head)
    if table is None:
        made.lookups = scribble(made.lookups, random)
        return
    change(table, random)
    try:
        data, head = table.build()
    except (struct.error, ValueError):
        return  # there is no room for it
    made.lookups = made.lookups[:offset] + data + made.lookups[offset + length :]
    for entry in entries:
        place = entry["lookup"]
        if place[0] == offset:
            entry["lookup"] = [offset, len(data), head, data[max(0, head - 4) : head]]
        elif place[0] > offset:
            place[0] += len(data) - length


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(type(each) is int for each in value[:3])


def _of_a_table(change: _Change) -> Callable[[Recipe, Random], None]:
    @wraps(change)
    def lie(made: Recipe, random: Random) -> None:
        _change_table(made, random, change)

    return lie


def place_of_a_table(made: Recipe, random: Random) -> None:
    """Another offset, length, length of the head or checksum; or the table of another entry."""
    entry = any_entry(made, random)
    others = [other["lookup"] for other in made.entries if isinstance(other, dict) and "lookup" in other]
    place = entry.get("lookup") or (random.choice(others) if others else [0, 1, 1, b"1234"])
    if _is_place(place):
        entry["lookup"] = place = list(place)
        at = random.randrange(5)
        if at < 4:
            place[at] = random.randbytes(4) if at == 3 else any_number(random, place[at])


@_of_a_table
def number_in_a_head(table: TableRecipe, random: Random) -> None:
    """A count, the map, or where a block begins or ends."""
    lists = [each for each in (table.places, table.first_strings, table.first_sources) if each]
    match random.randrange(4):
        case 0 if lists:
            each = random.choice(lists)
            at = random.randrange(len(each))
            each[at] = any_number(random, each[at]) % 2 ** (64 if each is table.places else 32)
        case 1:
            number = random.randrange(len(table.blocks) or 1)
            table.ends[number] = any_number(random, 40) % 2**32
        case 2:
            table.map_sha256 = random.randbytes(32)
        case _:
            name = random.choice(list(table.numbers))
            table.numbers[name] = any_number(random, table.numbers[name]) % 2**32


@_of_a_table
def block_of_a_table(table: TableRecipe, random: Random) -> None:
    """A block of rows, strings or texts with any bytes changed, in another's place, or missing."""
    at, other = (random.randrange(len(table.blocks) or 1) for _ in range(2))
    if not table.blocks:
        return
    match random.randrange(6):
        case 0:
            table.blocks[at] = table.blocks[other]
        case 1:
            del table.blocks[at]
        case _:
            table.blocks[at] = scribble(table.blocks[at], random) or b"\0"


@_of_a_table
def number_in_a_block(table: TableRecipe, random: Random) -> None:
    """A number in a block's header, or anywhere in it."""
    if not table.blocks:
        return
    at = random.randrange(len(table.blocks))
    block = bytearray(table.blocks[at])
    width = random.choice((1, 4))
    if len(block) >= width:
        place = random.randrange(min(len(block) - width, random.choice((64, len(block)))) + 1)
        near = int.from_bytes(block[place : place + width], "little")
        block[place : place + width] = (any_number(random, near) % 256**width).to_bytes(width, "little")
    table.blocks[at] = bytes(block)


@_of_a_table
def frame_of_a_table(table: TableRecipe, random: Random) -> None:
    """A frame of a head or block that lies of its size, has no checksum, or more after it."""
    number = random.randrange(len(table.blocks) + 1)
    if number < len(table.blocks):
        table.frames[number] = spoilt_frame(table.blocks[number], random)
    else:
        table.head_frame = spoilt_frame(random.randbytes(80), random)


def bytes_of_tables(made: Recipe, random: Random) -> None:
    """Tables whose checksums are not made right; or a section of them that nothing is told of."""
    made.lookups = scribble(made.lookups or b"12345678", random)
