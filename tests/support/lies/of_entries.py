"""Lies about entries, contents and attributes: each public function is one, and spoils a `Recipe`."""

from collections.abc import Callable
from random import Random
from typing import Any

from support.lies.values import (
    TEXTS,
    any_entry,
    any_number,
    any_value,
    frames_of,
    msgpack_of,
    scribble,
    spoilt_frame,
    spoilt_map,
)
from support.pack_parts import unpacked
from support.pack_recipe import Recipe, compress

_FIELDS = (
    *("name", "type", "path", "url", "headers", "extra", "position", "unlisted", "size", "lines", "sha256"),
    *("frames", "raw", "binary", "reference", "content_debug_id", "reason", "later", "Later", ""),
    *("lookup", "lookup_reason"),
)


def a_field(made: Recipe, random: Random) -> None:
    """Another value, of any type, of a field that it may not have had."""
    any_entry(made, random)[random.choice(_FIELDS)] = any_value(random)


def a_value(made: Recipe, random: Random) -> None:
    """Another value at any depth: any, one near the right one, another entry's, or none."""
    _change_a_value(any_entry(made, random), any_entry(made, random), random)


def a_value_of_the_attributes(made: Recipe, random: Random) -> None:
    """Another value at any depth, a key more, or one less."""
    if isinstance(made.attributes, dict):
        _change_a_value(made.attributes, {}, random)


def _change_a_value(holder: Any, other: Any, random: Random) -> None:
    """Change a value in a map or list, or inside of one of its values; another one's is at the same place."""
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key: Any = random.choice(keys) if keys else ""
    value = holder[key] if holder else None
    others = other.get(key) if isinstance(other, dict) else other[key] if key < len(other) else None
    if isinstance(value, dict | list) and value and random.randrange(4):
        _change_a_value(value, others if type(others) is type(value) else type(value)(), random)
        return
    match random.randrange(5):
        case 0 if holder:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice(("later", "Later", *TEXTS))] = any_value(random)
        case 2 if others is not None:
            holder[key] = others
        case 3 if type(value) is int:
            holder[key] = any_number(random, value)
        case _ if holder:
            holder[key] = any_value(random)


def other_frames(made: Recipe, random: Random) -> None:
    """Frames in another order, of another entry, or too many, or too few."""
    entry = any_entry(made, random)
    frames = frames_of(entry)
    others: list[Any] = [frames_of(any_entry(made, random))]
    others += frames[:-1], frames[4:], frames + frames, frames[4:] + frames[:4], []
    entry["frames"] = random.choice(others)


def msgpack_of_an_entry(made: Recipe, random: Random) -> None:
    """Bytes that are no map, or one too deep, or one that claims more than there is."""
    if made.entries:
        number = random.randrange(len(made.entries))
        made.entries[number] = spoilt_map(msgpack_of(made.entries[number]), random)


def other_entries(made: Recipe, random: Random) -> None:
    """Entries in another order, twice, missing, of one name, or more than a block has."""
    if not made.entries:
        return
    at, other = random.randrange(len(made.entries)), random.randrange(len(made.entries))
    match random.randrange(5):
        case 0:
            made.entries[at], made.entries[other] = made.entries[other], made.entries[at]
        case 1:
            made.entries.insert(at, made.entries[other])
        case 2:
            del made.entries[at]
        case 3:
            name = random.choice(TEXTS)
            made.entries = [
                {**each, "name": name} if isinstance(each, dict) else each for each in made.entries
            ]
        case _:
            more = random.choice((29, 130))
            made.entries += [{"name": f"z{number:03}", "reason": "more"} for number in range(more)]


def bytes_of_the_content(made: Recipe, random: Random) -> None:
    """Content whose checksums are not made right."""
    made.content = scribble(made.content, random)


def a_frame(made: Recipe, random: Random) -> None:
    """A frame that lies of its size, has no checksum, or more after it; the entry goes by it."""
    _spoil_a_frame(made, random, spoilt_frame)


def another_content(made: Recipe, random: Random) -> None:
    """A frame that is all right, of a content that the entry does not describe."""

    def other(content: bytes, random: Random) -> bytes:
        same_size = scribble(content, random)[: len(content)].ljust(len(content), b"\n")
        return compress(random.choice((same_size, b"\n" * len(content), b"\xff" * len(content))))

    _spoil_a_frame(made, random, other)


def _spoil_a_frame(made: Recipe, random: Random, spoil: Callable[[bytes, Random], bytes]) -> None:
    frames = frames_of(any_entry(made, random))
    if not frames:
        return
    number = random.randrange(0, len(frames) - 3, 4)
    offset, length = frames[number : number + 2]
    if type(offset) is int and type(length) is int and 24 <= offset < 24 + len(made.content):
        content = unpacked(made.content[offset - 24 : offset - 24 + max(0, length)], made.dictionary)
        if content is not None:
            _replace(made, offset, length, spoil(content, random))


def _replace(made: Recipe, offset: int, length: int, new: bytes) -> None:
    """Put other bytes into the content section, and let the entries know where things are by then."""
    at = offset - 24
    made.content = made.content[:at] + new + made.content[at + length :]
    for entry in made.entries:
        frames = frames_of(entry) if isinstance(entry, dict) else []
        for place in range(0, len(frames) - 3, 4):
            if frames[place] == offset:
                frames[place + 1 : place + 3] = [len(new), new[-4:]]
            elif type(frames[place]) is int and offset < frames[place] < 2**63:
                frames[place] += len(new) - length
