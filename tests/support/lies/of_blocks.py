"""Lies about blocks, attributes, dictionary, index, tail and head: each public function spoils a `Recipe`."""

import struct
from random import Random

from srcpack.format.manifest import ATTRIBUTES_BLOCK, pack_block
from srcpack.rules.lookup_keys import Kind
from support.lies.values import TEXTS, any_number, msgpack_of, scribble, spoilt_frame, spoilt_map
from support.pack_recipe import TAIL, Recipe, compress, skippable


def _block(made: Recipe, number: int) -> bytes:
    first = made.block_entries * number
    entries = made.entries[first : first + made.block_entries]
    return pack_block(made.seed, first, list(map(msgpack_of, entries)))


def _any_block(made: Recipe, random: Random) -> int:
    return random.randrange(-(-len(made.entries) // made.block_entries) or 1)


def a_prefix(made: Recipe, random: Random) -> None:
    """A block's seed, first number or count."""
    number = _any_block(made, random)
    first = made.block_entries * number
    prefix = [made.seed, first, min(made.block_entries, len(made.entries) - first)]
    at = random.randrange(3)
    prefix[at] = random.randbytes(8) if at == 0 else any_number(random, 64) % 2**32
    made.blocks[number] = compress(struct.pack("<8sII", *prefix) + _block(made, number)[16:])


def positions(made: Recipe, random: Random) -> None:
    """Positions that go back, past the end, or are of another item."""
    number = _any_block(made, random)
    block = bytearray(_block(made, number))
    count = struct.unpack_from("<I", block, 12)[0] + 1
    at = 16 + 4 * random.randrange(count)
    struct.pack_into("<I", block, at, any_number(random, struct.unpack_from("<I", block, at)[0]) % 2**32)
    made.blocks[number] = compress(bytes(block))


def frame_of_a_block(made: Recipe, random: Random) -> None:
    """A frame that lies of its size, say 64 GiB, or has no checksum, or more after it."""
    number = _any_block(made, random)
    made.blocks[number] = spoilt_frame(_block(made, number), random)


def bytes_of_a_block(made: Recipe, random: Random) -> None:
    """A block with any bytes changed, in a frame that is right."""
    number = _any_block(made, random)
    made.blocks[number] = compress(scribble(_block(made, number), random) or b"\0")


def a_place(made: Recipe, random: Random) -> None:
    """The place of a block, or of the attributes for it."""
    number = _any_block(made, random)
    near = 24 + len(made.content) + 8
    made.places[number] = (any_number(random, near) % 2**64, any_number(random, 100) % 2**32)


def msgpack_of_the_attributes(made: Recipe, random: Random) -> None:
    """Bytes that are no map."""
    made.attributes = spoilt_map(msgpack_of(made.attributes), random) or b"\xc0"


def frame_of_the_attributes(made: Recipe, random: Random) -> None:
    """A frame that lies."""
    block = pack_block(made.seed, ATTRIBUTES_BLOCK, [msgpack_of(made.attributes)])
    made.attributes_frame = spoilt_frame(block, random)


def dictionary(made: Recipe, random: Random) -> None:
    """Another dictionary, a broken one, one that is too large, none, or one where there was none."""
    whole = made.dictionary or b"\x37\xa4\x30\xec\1\0\0\0" + bytes(range(256))
    match random.randrange(5):
        case 0:
            made.dictionary = scribble(whole, random)
        case 1:
            made.dictionary = whole[: random.choice((0, 7, 8, 9, 100, len(whole) - 1))]
        case 2:
            made.dictionary = whole[:4] + struct.pack("<I", any_number(random, 1) % 2**32) + whole[8:]
        case 3:
            made.dictionary_frame = spoilt_frame(whole, random)
        case _:
            made.dictionary = whole + bytes(random.choice((1, 1 << 20)))


def keys(made: Recipe, random: Random) -> None:
    """Keys of the wrong entry, or of none, of another kind, too many, or missing."""
    made.keys = [
        (kind, key, number if random.randrange(3) else any_number(random, number) % 2**32)
        for kind, key, number in made.all_keys()
        if random.randrange(8)
    ]
    for _ in range(random.randrange(4)):
        made.keys.append((random.choice(list(Kind)), random.choice(TEXTS), any_number(random, 1) % 2**32))


def buckets(made: Recipe, random: Random) -> None:
    """Another number of buckets, with an index that fits."""
    made.bucket_count = random.choice((1, 2, 3, 64, 1000))


def a_field_of_the_tail(made: Recipe, random: Random) -> None:
    """Another value in the tail."""
    name = random.choice([name for name in TAIL if name not in ("sections", "seed")])
    type_ = TAIL[name][1]
    if type_.endswith("s"):
        made.tail[name] = random.choice((b"", random.randbytes(32)))
    else:
        near = made.tail.get(name, len(made.entries))
        made.tail[name] = any_number(random, near) % 256 ** struct.calcsize(type_)


def another_seed(made: Recipe, random: Random) -> None:
    """A seed that the blocks do not have, or all have."""
    if random.randrange(2):
        made.tail["seed"] = random.randbytes(8)
    else:
        made.seed = random.randbytes(8)


def a_section_more(made: Recipe, random: Random) -> None:
    """A section that this version does not know; or no manifest to speak of."""
    if random.randrange(2):
        made.extra = random.randbytes(random.choice((0, 1, 100)))
    else:
        made.manifest = random.choice((b"", b"1234567", skippable(b""), skippable(b"x" * 50, 2**32 - 1)))


def head(made: Recipe, random: Random) -> None:
    """Any field of the head."""
    made.head = (scribble(made.head, random) + bytes(24))[:24]
