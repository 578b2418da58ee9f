"""Lets a pack lie, in any field of any structure, and makes the checksums right again.

Each lie is a function that spoils a `Recipe`, or the bytes that were built of it. What it takes at random it
takes from a `random.Random`: a test gives one that hypothesis drives, a fuzzer one of its own seed.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeAlias

import msgpack
import zstandard

from srcpack.format.manifest import ATTRIBUTES_BLOCK, pack_block
from srcpack.rules.lookup_keys import Kind
from support.pack_recipe import (
    TAIL,
    TAIL_SIZE,
    Recipe,
    checksum_of,
    compress,
    frame_header,
    parts_of_index,
    raw_block,
    skippable,
    take_apart,
    with_fan_out,
    with_sections,
    with_slot,
    with_tail,
)
from support.table_recipe import TableRecipe, take_table_apart

__all__ = ["LIES", "LIES_OF_BYTES", "Lie", "LieOfBytes", "lie", "scribble"]

Lie: TypeAlias = Callable[[Recipe, Random], None]
LieOfBytes: TypeAlias = Callable[[bytes, Random], bytes]

LIES: list[Lie] = []
"""Each spoils a recipe."""

LIES_OF_BYTES: list[LieOfBytes] = []
"""Each spoils a pack that was built, and seals what it spoilt where it can be sealed."""

_NUMBERS: tuple[int, ...] = (
    0,
    1,
    2,
    7,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    2**16 - 1,
    2**16,
    2**20 + 1,
    2**26,
    2**30,
    2**30 + 1,
)
_NUMBERS += (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**36, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1)
_CLAIMS = (0, 1, 63, 65, 1 << 20, (1 << 20) + 1, 64 << 20, (64 << 20) + 1, 1 << 30, 64 << 30, 2**64 - 3)
_FIELDS: tuple[str, ...] = (
    "name",
    "type",
    "path",
    "url",
    "headers",
    "extra",
    "position",
    "unlisted",
    "size",
    "lines",
    "sha256",
)
_FIELDS += ("frames", "raw", "binary", "reference", "content_debug_id", "reason", "later", "Later", "")
_FIELDS += ("lookup", "lookup_reason")
_ATTRIBUTES: tuple[str, ...] = (
    "attributes",
    "source_links",
    "has_files",
    "identity",
    "source",
    "created_by",
    "later",
    "Later",
)
_TEXTS: tuple[str, ...] = (
    "",
    "a",
    "~/bad.js",
    "bad.js",
    "\x1b[31m",
    "\u202e",
    "00000001-2222-4333-8444-555566667777",
    "é" * 200,
)
_MSGPACK = (
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"),
    *(
        b"\xc9\xff\xff\xff\xff\x05",
        b"\x91" * 2000,
        b"\x81\xa1a" * 2000,
        b"\xdd\x00\x10\x00\x00" * 100,
        b"\xc1",
    ),
    *(
        b"\xd5\xff12",
        b"\xa3\xed\xa0\x80",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd3" + b"\x80" + bytes(7),
    ),
)


def lie(data: bytes, random: Random, *, most: int = 3) -> bytes:
    """Return a pack with one to `most` lies in it; scribbled in, where its parts cannot be told."""
    made = take_apart(data)
    if made is None or not random.randrange(20):
        return scribble(data, random)
    for _ in range(random.randint(1, most)):
        number = random.randrange(len(LIES) + len(LIES_OF_BYTES))
        if number >= len(LIES):
            break
        LIES[number](made, random)
    else:
        return _built(made, data)
    return LIES_OF_BYTES[number - len(LIES)](_built(made, data), random)


def _built(made: Recipe, otherwise: bytes) -> bytes:
    try:
        return made.build()
    except (ValueError, OverflowError, TypeError, struct.error):
        return otherwise  # a lie that no format has room for


def scribble(data: bytes, random: Random) -> bytes:
    """Return bytes with some of them changed, added, left out or repeated, and nothing made right."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(made))
        size = random.choice((1, 1, 2, 4, 8, 64))
        match random.randrange(5):
            case 0:
                made[at : at + size] = random.randbytes(size)
            case 1 if at < len(made):
                made[at] ^= 1 << random.randrange(8)
            case 2:
                del made[at : at + size]
            case 3:
                made[at:at] = made[(start := random.randint(0, len(made))) : start + size]
            case _:
                width = random.choice((1, 2, 4, 8))
                value = random.choice(_NUMBERS) % 256**width
                made[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))
    return bytes(made)


def _lie(spoil: Lie) -> Lie:
    LIES.append(spoil)
    return spoil


def _lie_of_bytes(spoil: LieOfBytes) -> LieOfBytes:
    LIES_OF_BYTES.append(spoil)
    return spoil


# ---- values


def _number(random: Random, near: int | None = None) -> int:
    if near is not None and random.randrange(2):
        return near + random.choice((-64, -8, -4, -1, 1, 4, 8, 64))
    return random.choice(_NUMBERS)


def _value(random: Random, depth: int = 3) -> Any:
    match random.randrange(10):
        case 0:
            return None
        case 1:
            return bool(random.randrange(2))
        case 2:
            return _number(random)
        case 3:
            return -random.choice(_NUMBERS[:-5]) - 1
        case 4:
            return random.choice((0.0, 1.5, float("nan"), float("inf")))
        case 5:
            return random.choice(_TEXTS)
        case 6:
            return random.randbytes(random.choice((0, 4, 16, 32, 33)))
        case 7:
            return random.choice(
                (msgpack.Timestamp(1), msgpack.ExtType(5, b""), msgpack.ExtType(127, b"x" * 16))
            )
        case 8 if depth:
            return [_value(random, depth - 1) for _ in range(random.randrange(5))]
        case _ if depth:
            return {random.choice(_TEXTS): _value(random, depth - 1) for _ in range(random.randrange(3))}
    return 1


def _any_entry(made: Recipe, random: Random) -> dict[str, Any]:
    entries = [entry for entry in made.entries if isinstance(entry, dict)]
    return random.choice(entries) if entries else {}


def _frames(entry: dict[str, Any]) -> list[Any]:
    frames = entry.get("frames")
    return frames if isinstance(frames, list) and len(frames) >= 4 else []


def _spoilt_map(packed: bytes, random: Random) -> bytes:
    """Return msgpack with a byte changed, or a key more whose value is a hard one."""
    if packed[:1] and 0x80 <= packed[0] < 0x8F and random.randrange(2):
        return bytes([packed[0] + 1]) + packed[1:] + b"\xa5later" + random.choice(_MSGPACK)
    return scribble(packed, random)


def _spoilt_frame(content: bytes, random: Random) -> bytes:
    """Return a frame of a content that is no frame of ours."""
    claimed = random.choice(_CLAIMS) if random.randrange(2) else len(content) + random.choice((-1, 0, 1))
    claimed %= 2**64
    match random.randrange(12):
        case 0:
            return compress(content, write_checksum=False)
        case 1:
            return compress(content, write_checksum=False) + checksum_of(content)
        case 2:
            return compress(content, write_content_size=False)
        case 3:
            return compress(content) + random.choice((b"\0", b"1234", skippable(b""), compress(content)))
        case 4:
            return skippable(content, random.choice((None, 0, len(content) + 1, 2**32 - 1)))
        case 5:
            return skippable(b"") + compress(content)
        case 6:
            return frame_header(claimed, checksum=False) + raw_block(content)
        case 7:
            return compress(content)[: -random.choice((1, 4, 5))]
        case 8:
            return compress(content[:-1]) if content else compress(b"x")
        case 9:
            return scribble(compress(content), random)
        case 10:
            frame = bytearray(compress(content))
            frame[4] ^= random.choice((1, 2, 3, 4, 8, 16, 32, 64, 128))
            return bytes(frame)
        case _:
            return frame_header(claimed) + raw_block(content[:100_000]) + checksum_of(content)


def _content_of(made: Recipe, frame: Sequence[Any]) -> bytes | None:
    """Return what a frame of the content section holds."""
    offset, length = frame[:2]
    if type(offset) is not int or type(length) is not int or not 24 <= offset < 24 + len(made.content):
        return None
    data = made.content[offset - 24 : offset - 24 + max(0, length)]
    options: dict[str, Any] = {}
    if made.dictionary:
        try:
            options["dict_data"] = zstandard.ZstdCompressionDict(made.dictionary, dict_type=2)
        except zstandard.ZstdError:
            return None
    try:
        if not 0 < zstandard.frame_content_size(data) < 1 << 20:
            return None
        return zstandard.ZstdDecompressor(**options).decompress(data)
    except zstandard.ZstdError:
        return None


def _replace(made: Recipe, offset: int, length: int, new: bytes) -> None:
    """Put other bytes into the content section, and let the entries know where things are by then."""
    at = offset - 24
    made.content = made.content[:at] + new + made.content[at + length :]
    for entry in made.entries:
        if isinstance(entry, dict):
            frames = _frames(entry)
            for place in range(0, len(frames) - 3, 4):
                if frames[place] == offset:
                    frames[place + 1] = len(new)
                    frames[place + 2] = new[-4:]
                elif type(frames[place]) is int and offset < frames[place] < 2**63:
                    frames[place] += len(new) - length


# ---- entries


@_lie
def a_field(made: Recipe, random: Random) -> None:
    """Another value, of any type."""
    _any_entry(made, random)[random.choice(_FIELDS)] = _value(random)


@_lie
def a_number(made: Recipe, random: Random) -> None:
    """Another number, most often near the right one."""
    entry = _any_entry(made, random)
    key = random.choice(("size", "lines", "type", "position"))
    value = entry.get(key)
    entry[key] = _number(random, value if type(value) is int else None)


@_lie
def no_field(made: Recipe, random: Random) -> None:
    """A field that is missing."""
    entry = _any_entry(made, random)
    if entry:
        del entry[random.choice(list(entry))]


@_lie
def a_value_of_a_frame(made: Recipe, random: Random) -> None:
    """Another offset, length, checksum or number of line feeds: any, near, or another frame's."""
    frames = _frames(_any_entry(made, random))
    if not frames:
        return
    at = random.randrange(len(frames))
    others = _frames(_any_entry(made, random))
    match random.randrange(3):
        case 0 if others:
            frames[at] = others[at % 4]
        case 1:
            frames[at] = _value(random)
        case _:
            frames[at] = _number(random, frames[at] if type(frames[at]) is int else None)


@_lie
def other_frames(made: Recipe, random: Random) -> None:
    """Frames in another order, of another entry, or too many, or too few."""
    entry = _any_entry(made, random)
    frames = _frames(entry)
    others = _frames(_any_entry(made, random))
    entry["frames"] = random.choice(
        (frames[4:], frames + frames, others, frames[:-1], frames[4:] + frames[:4], [])
    )


@_lie
def msgpack_of_an_entry(made: Recipe, random: Random) -> None:
    """Bytes that are no map, or one too deep, or one that claims more than there is."""
    if made.entries:
        number = random.randrange(len(made.entries))
        entry = made.entries[number]
        packed = entry if isinstance(entry, bytes) else _packed(entry)
        made.entries[number] = _spoilt_map(packed, random)


def _packed(value: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(value)
    except (ValueError, OverflowError, TypeError):
        return b""
    return packed


@_lie
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
            name = random.choice(_TEXTS)
            made.entries = [
                {**entry, "name": name} if isinstance(entry, dict) else entry for entry in made.entries
            ]
        case _:
            extra = [
                {"name": f"z{number:03}", "reason": "more"} for number in range(random.choice((29, 130)))
            ]
            made.entries += extra


# ---- contents


@_lie
def bytes_of_the_content(made: Recipe, random: Random) -> None:
    """Content whose checksums are not made right."""
    made.content = scribble(made.content, random)


@_lie
def a_frame(made: Recipe, random: Random) -> None:
    """A frame that lies of its size, has no checksum, or more after it; the entry goes by it."""
    frames = _frames(_any_entry(made, random))
    if not frames:
        return
    at = random.randrange(0, len(frames) - 3, 4)
    content = _content_of(made, frames[at : at + 4])
    if content is not None:
        _replace(made, frames[at], frames[at + 1], _spoilt_frame(content, random))


@_lie
def another_content(made: Recipe, random: Random) -> None:
    """A frame that is all right, of a content that the entry does not describe."""
    frames = _frames(_any_entry(made, random))
    if not frames:
        return
    at = random.randrange(0, len(frames) - 3, 4)
    content = _content_of(made, frames[at : at + 4])
    if content is not None:
        same_size = scribble(content, random)[: len(content)].ljust(len(content), b"\n")
        other = random.choice((same_size, b"\n" * len(content), b"\xff" * len(content)))
        _replace(made, frames[at], frames[at + 1], compress(other))


@_lie
def another_sha256(made: Recipe, random: Random) -> None:
    """The hash of something else."""
    _any_entry(made, random)["sha256"] = hashlib.sha256(random.randbytes(1)).digest()


# ---- blocks, attributes, dictionary


def _block(made: Recipe, number: int) -> bytes:
    first = made.block_entries * number
    entries = made.entries[first : first + made.block_entries]
    items = [entry if isinstance(entry, bytes) else _packed(entry) for entry in entries]
    return pack_block(made.seed, first, items)


def _any_block(made: Recipe, random: Random) -> int:
    return random.randrange(-(-len(made.entries) // made.block_entries) or 1)


@_lie
def a_prefix(made: Recipe, random: Random) -> None:
    """A block's seed, first number or count."""
    number = _any_block(made, random)
    first = made.block_entries * number
    prefix = [made.seed, first, min(made.block_entries, len(made.entries) - first)]
    at = random.randrange(3)
    prefix[at] = random.randbytes(8) if at == 0 else _number(random, 64) % 2**32
    made.blocks[number] = compress(struct.pack("<8sII", *prefix) + _block(made, number)[16:])


@_lie
def positions(made: Recipe, random: Random) -> None:
    """Positions that go back, past the end, or are of another item."""
    number = _any_block(made, random)
    block = bytearray(_block(made, number))
    count = struct.unpack_from("<I", block, 12)[0] + 1
    at = 16 + 4 * random.randrange(count)
    struct.pack_into("<I", block, at, _number(random, struct.unpack_from("<I", block, at)[0]) % 2**32)
    made.blocks[number] = compress(bytes(block))


@_lie
def frame_of_a_block(made: Recipe, random: Random) -> None:
    """A frame that lies of its size, say 64 GiB, or has no checksum, or more after it."""
    number = _any_block(made, random)
    made.blocks[number] = _spoilt_frame(_block(made, number), random)


@_lie
def bytes_of_a_block(made: Recipe, random: Random) -> None:
    """A block with any bytes changed, in a frame that is right."""
    number = _any_block(made, random)
    made.blocks[number] = compress(scribble(_block(made, number), random) or b"\0")


@_lie
def a_place(made: Recipe, random: Random) -> None:
    """The place of a block, or of the attributes for it."""
    number = _any_block(made, random)
    near = 24 + len(made.content) + 8
    made.places[number] = (_number(random, near) % 2**64, _number(random, 100) % 2**32)


@_lie
def attributes(made: Recipe, random: Random) -> None:
    """Another value in the attributes, of any type, at any depth."""
    if not isinstance(made.attributes, dict):
        return
    key = random.choice(_ATTRIBUTES)
    inner = made.attributes.get(key)
    if isinstance(inner, dict) and random.randrange(2):
        made.attributes[key] = {**inner, random.choice((*inner, *_TEXTS)): _value(random)}
    elif random.randrange(4):
        made.attributes[key] = _value(random)
    else:
        made.attributes.pop(key, None)


@_lie
def msgpack_of_the_attributes(made: Recipe, random: Random) -> None:
    """Bytes that are no map."""
    packed = made.attributes if isinstance(made.attributes, bytes) else _packed(made.attributes)
    made.attributes = _spoilt_map(packed, random) or b"\xc0"


@_lie
def frame_of_the_attributes(made: Recipe, random: Random) -> None:
    """A frame that lies."""
    packed = made.attributes if isinstance(made.attributes, bytes) else _packed(made.attributes)
    made.attributes_frame = _spoilt_frame(pack_block(made.seed, ATTRIBUTES_BLOCK, [packed]), random)


@_lie
def dictionary(made: Recipe, random: Random) -> None:
    """Another dictionary, a broken one, one that is too large, none, or one where there was none."""
    whole = made.dictionary or b"\x37\xa4\x30\xec\1\0\0\0" + bytes(range(256))
    match random.randrange(5):
        case 0:
            made.dictionary = scribble(whole, random)
        case 1:
            made.dictionary = whole[: random.choice((0, 7, 8, 9, 100, len(whole) - 1))]
        case 2:
            made.dictionary = whole[:4] + struct.pack("<I", _number(random, 1) % 2**32) + whole[8:]
        case 3:
            made.dictionary_frame = _spoilt_frame(whole, random)
        case _:
            made.dictionary = whole + bytes(random.choice((1, 1 << 20)))


# ---- lookup tables


def _change_table(made: Recipe, random: Random, change: Callable[[TableRecipe], None]) -> None:
    """Change a table, and let the entries know where all are by then; invent one where there is none."""
    entries = [entry for entry in made.entries if isinstance(entry, dict) and _is_place(entry.get("lookup"))]
    if not entries or made.lookups is None:
        made.lookups = random.randbytes(60)
        _any_entry(made, random)["lookup"] = [0, 60, random.choice((1, 50, 60)), made.lookups[-4:]]
        return
    offset, length, head, _ = random.choice(entries)["lookup"]
    table = take_table_apart(made.lookups[offset : offset + length], head)
    if table is None:
        made.lookups = scribble(made.lookups, random)
        return
    change(table)
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


@_lie
def place_of_a_table(made: Recipe, random: Random) -> None:
    """Another offset, length, length of the head or checksum; or the table of another entry."""
    entry = _any_entry(made, random)
    others = [other["lookup"] for other in made.entries if isinstance(other, dict) and "lookup" in other]
    place = entry.get("lookup") or (random.choice(others) if others else [0, 1, 1, b"1234"])
    if not _is_place(place):
        return
    place = list(place)
    if random.randrange(4):
        at = random.randrange(4)
        place[at] = random.randbytes(4) if at == 3 else _number(random, place[at])
    entry["lookup"] = place


@_lie
def number_in_a_head(made: Recipe, random: Random) -> None:
    """A count, the map, or where a block begins or ends."""

    def change(table: TableRecipe) -> None:
        lists = [each for each in (table.places, table.first_strings, table.first_sources) if each]
        match random.randrange(4):
            case 0 if lists:
                each = random.choice(lists)
                at = random.randrange(len(each))
                each[at] = _number(random, each[at]) % 2 ** (64 if each is table.places else 32)
            case 1:
                number = random.randrange(len(table.blocks) or 1)
                table.ends[number] = _number(random, 40) % 2**32
            case 2:
                table.map_sha256 = random.randbytes(32)
            case _:
                name = random.choice(list(table.numbers))
                table.numbers[name] = _number(random, table.numbers[name]) % 2**32

    _change_table(made, random, change)


@_lie
def block_of_a_table(made: Recipe, random: Random) -> None:
    """A block of rows, strings or texts with any bytes changed, in another's place, or missing."""

    def change(table: TableRecipe) -> None:
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

    _change_table(made, random, change)


@_lie
def number_in_a_block(made: Recipe, random: Random) -> None:
    """A number in a block's header, or anywhere in it."""

    def change(table: TableRecipe) -> None:
        if not table.blocks:
            return
        at = random.randrange(len(table.blocks))
        block = bytearray(table.blocks[at])
        width = random.choice((1, 4))
        if len(block) >= width:
            place = random.randrange(min(len(block) - width, random.choice((64, len(block)))) + 1)
            near = int.from_bytes(block[place : place + width], "little")
            block[place : place + width] = (_number(random, near) % 256**width).to_bytes(width, "little")
        table.blocks[at] = bytes(block)

    _change_table(made, random, change)


@_lie
def frame_of_a_table(made: Recipe, random: Random) -> None:
    """A frame of a head or block that lies of its size, has no checksum, or more after it."""

    def change(table: TableRecipe) -> None:
        number = random.randrange(len(table.blocks) + 1)
        if number < len(table.blocks):
            table.frames[number] = _spoilt_frame(table.blocks[number], random)
        else:
            table.head_frame = _spoilt_frame(random.randbytes(80), random)

    _change_table(made, random, change)


@_lie
def bytes_of_tables(made: Recipe, random: Random) -> None:
    """Tables whose checksums are not made right; or a section of them that nothing is told of."""
    made.lookups = scribble(made.lookups or b"12345678", random)


# ---- index, tail, head


@_lie
def keys(made: Recipe, random: Random) -> None:
    """Keys of the wrong entry, or of none, of another kind, too many, or missing."""
    made.keys = [
        (kind, key, number if random.randrange(3) else _number(random, number) % 2**32)
        for kind, key, number in made.all_keys()
        if random.randrange(8)
    ]
    for _ in range(random.randrange(4)):
        made.keys.append((random.choice(list(Kind)), random.choice(_TEXTS), _number(random, 1) % 2**32))


@_lie
def buckets(made: Recipe, random: Random) -> None:
    """Another number of buckets, with an index that fits."""
    made.bucket_count = random.choice((1, 2, 3, 64, 1000))


@_lie
def a_field_of_the_tail(made: Recipe, random: Random) -> None:
    """Another value in the tail."""
    name = random.choice([name for name in TAIL if name not in ("sections", "seed")])
    type_ = TAIL[name][1]
    if type_.endswith("s"):
        made.tail[name] = random.choice((b"", random.randbytes(32)))
    else:
        near = made.tail.get(name, len(made.entries))
        made.tail[name] = _number(random, near) % 256 ** struct.calcsize(type_)


@_lie
def another_seed(made: Recipe, random: Random) -> None:
    """A seed that the blocks do not have, or all have."""
    if random.randrange(2):
        made.tail["seed"] = random.randbytes(8)
    else:
        made.seed = random.randbytes(8)


@_lie
def a_section_more(made: Recipe, random: Random) -> None:
    """A section that this version does not know; or no manifest to speak of."""
    if random.randrange(2):
        made.extra = random.randbytes(random.choice((0, 1, 100)))
    else:
        made.manifest = random.choice((b"", b"1234567", skippable(b""), skippable(b"x" * 50, 2**32 - 1)))


@_lie
def head(made: Recipe, random: Random) -> None:
    """Any field of the head."""
    made.head = (scribble(made.head, random) + bytes(24))[:24]


@_lie_of_bytes
def sections(data: bytes, random: Random) -> bytes:
    """A row of the section table, or two in each other's place."""

    def change(rows: list[list[int]]) -> None:
        row, column = random.randrange(len(rows)), random.randrange(4)
        if random.randrange(4):
            rows[row][column] = _number(random, rows[row][column]) % 2 ** (32 if column < 2 else 64)
        else:
            other = random.randrange(len(rows))
            rows[row], rows[other] = rows[other], rows[row]

    return with_sections(data, change)


@_lie_of_bytes
def fan_out(data: bytes, random: Random) -> bytes:
    """Where a bucket begins or ends; its checksum is right."""
    index = parts_of_index(data)
    if index is None:
        return data
    first, end = (_number(random, 3) % 2**32 if random.randrange(2) else None for _ in range(2))
    return with_fan_out(data, random.randrange(index.buckets or 1), first, end) if index.buckets else data


@_lie_of_bytes
def a_slot(data: bytes, random: Random) -> bytes:
    """A fingerprint or an entry number; the checksum of the bucket is right."""
    index = parts_of_index(data)
    if index is None or index.end == index.slots:
        return data
    number = random.randrange((index.end - index.slots) // 8)
    fingerprint, entry = struct.unpack_from("<II", data, index.slots + 8 * number)
    if random.randrange(2):
        fingerprint = _number(random, fingerprint) % 2**32
    else:
        entry = _number(random, entry) % 2**32
    return with_slot(data, number, fingerprint, entry)


@_lie_of_bytes
def bytes_before_the_tail(data: bytes, random: Random) -> bytes:
    """Anything, with a tail that has the right length and hash, and is sealed."""
    body = scribble(data[:-TAIL_SIZE], random)
    return with_tail(
        body + data[-TAIL_SIZE:], file_length=len(body) + TAIL_SIZE, sha256=hashlib.sha256(body).digest()
    )


@_lie_of_bytes
def end_of_the_tail(data: bytes, random: Random) -> bytes:
    """The checksum of the tail, or the magic at its end."""
    return data[:-16] + scribble(data[-16:], random)
