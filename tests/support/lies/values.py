"""What lies are made of: numbers, values, bytes that are changed, frames that are none of ours."""

from random import Random
from typing import Any

import msgpack

from support.pack_recipe import Recipe, checksum_of, compress, frame_header, raw_block, skippable

NUMBERS = (
    *(0, 1, 2, 7, 63, 64, 65, 127, 128, 255, 256, 2**16 - 1, 2**16, 2**20 + 1, 2**26, 2**30, 2**30 + 1),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**36, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1),
)
TEXTS = (
    "",
    "a",
    "~/bad.js",
    "bad.js",
    "\x1b[31m",
    "\u202e",
    "00000001-2222-4333-8444-555566667777",
    "é" * 200,
)
_CLAIMS = (0, 1, 63, 65, 1 << 20, (1 << 20) + 1, 64 << 20, (64 << 20) + 1, 1 << 30, 64 << 30, 2**64 - 3)
_MSGPACK = (
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"),
    *(
        b"\xc9\xff\xff\xff\xff\x05",
        b"\x91" * 2000,
        b"\x81\xa1a" * 2000,
        b"\xdd\x00\x10\x00\x00" * 100,
        b"\xc1",
    ),
    *(b"\xd5\xff12", b"\xa3\xed\xa0\x80", b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7)),
)


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
                value = random.choice(NUMBERS) % 256**width
                made[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))
    return bytes(made)


def any_number(random: Random, near: int | None = None) -> int:
    if near is not None and random.randrange(2):
        return near + random.choice((-64, -8, -4, -1, 1, 4, 8, 64))
    return random.choice(NUMBERS)


def any_value(random: Random, depth: int = 3) -> Any:
    match random.randrange(10):
        case 0:
            return random.choice((None, True, False))
        case 1 | 2:
            return any_number(random)
        case 3:
            return -random.choice(NUMBERS[:-5]) - 1
        case 4:
            return random.choice((0.0, 1.5, float("nan"), float("inf")))
        case 5:
            return random.choice(TEXTS)
        case 6:
            return random.randbytes(random.choice((0, 4, 16, 32, 33)))
        case 7:
            return random.choice((msgpack.Timestamp(1), msgpack.ExtType(5, b""), msgpack.ExtType(127, b"x")))
        case 8 if depth:
            return [any_value(random, depth - 1) for _ in range(random.randrange(5))]
        case _ if depth:
            return {random.choice(TEXTS): any_value(random, depth - 1) for _ in range(random.randrange(3))}
    return 1


def any_entry(made: Recipe, random: Random) -> dict[str, Any]:
    entries = [entry for entry in made.entries if isinstance(entry, dict)]
    return random.choice(entries) if entries else {}


def frames_of(entry: dict[str, Any]) -> list[Any]:
    frames = entry.get("frames")
    return frames if isinstance(frames, list) and len(frames) >= 4 else []


def spoilt_map(packed: bytes, random: Random) -> bytes:
    """Return msgpack with a byte changed, or a key more whose value is a hard one."""
    if packed[:1] and 0x80 <= packed[0] < 0x8F and random.randrange(2):
        return bytes([packed[0] + 1]) + packed[1:] + b"\xa5later" + random.choice(_MSGPACK)
    return scribble(packed, random)


def spoilt_frame(content: bytes, random: Random) -> bytes:
    """Return a frame of a content that is no frame of ours."""
    claimed = random.choice(_CLAIMS) if random.randrange(2) else len(content) + random.choice((-1, 0, 1))
    claimed %= 2**64
    match random.randrange(12):
        case 0 | 1:
            return compress(content, write_checksum=False) + random.choice((b"", checksum_of(content)))
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


def msgpack_of(value: Any) -> bytes:
    """Return a value as msgpack has it, or what already is; nothing where it cannot be packed."""
    try:
        return value if isinstance(value, bytes) else bytes(msgpack.packb(value))
    except (ValueError, OverflowError, TypeError):
        return b""
