"""Takes lookup tables apart and puts them together again, with every checksum right."""

import struct
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import zstandard

from support.pack_recipe import compress

__all__ = ["TableRecipe", "take_table_apart"]

_HEAD = struct.Struct("<32s8I")
NAMES = ("map", "rows", "sources", "strings", "row_blocks", "string_blocks", "text_blocks", "inside")


@dataclass
class TableRecipe:
    """A table to be; each attribute may be set to what a table must not have.

    Attributes:
        map_sha256: As the head has it.
        numbers: The numbers of the head by name; counts of blocks are not made right.
        places: As the head has them, like the others.
        first_strings: As the head has them.
        first_sources: As the head has them.
        blocks: The blocks, unpacked.
        frames: Frames in place of those of blocks, by number.
        ends: Ends in place of the right ones, by number.
        head_frame: The frame in place of the head's.
    """

    map_sha256: bytes
    numbers: dict[str, int]
    places: list[int]
    first_strings: list[int]
    first_sources: list[int]
    blocks: list[bytes]
    frames: dict[int, bytes] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    head_frame: bytes | None = None

    def build(self) -> tuple[bytes, int]:
        """Return the table, and the length of its head's frame."""
        inside = self.numbers["inside"] == 1
        blocks = [
            self.frames.get(number, block if inside else compress(block))
            for number, block in enumerate(self.blocks)
        ]
        ends = list(accumulate(map(len, blocks)))
        for number, end in self.ends.items():
            ends[number % (len(ends) or 1)] = end
        frame = compress(self.head(ends, blocks)) if self.head_frame is None else self.head_frame
        return frame if inside else frame + b"".join(blocks), len(frame)

    def head(self, ends: list[int], blocks: list[bytes]) -> bytes:
        """Return the head's content."""
        inside = self.numbers["inside"] == 1
        return b"".join(
            (
                _HEAD.pack(self.map_sha256, *(self.numbers[name] for name in NAMES)),
                struct.pack(f"<{len(self.places)}Q", *self.places),
                struct.pack(f"<{len(self.first_strings)}I", *self.first_strings),
                struct.pack(f"<{len(self.first_sources)}I", *self.first_sources),
                struct.pack(f"<{len(ends)}I", *ends),
                *(blocks if inside else [block[-4:] for block in blocks]),
            )
        )


def take_table_apart(table: bytes, head_length: int) -> TableRecipe | None:
    """Return the recipe of a table; None where its parts cannot be told."""
    try:
        head = _unpacked(table[:head_length])
        sha256, *values = _HEAD.unpack_from(head)
        numbers: dict[str, int] = dict(zip(NAMES, values, strict=True))
        r, s, t = (numbers[name] for name in NAMES[4:7])
        total = r + s + t
        at = _HEAD.size
        places = list(struct.unpack_from(f"<{r}Q", head, at))
        first_strings = list(struct.unpack_from(f"<{s}I", head, at + 8 * r))
        first_sources = list(struct.unpack_from(f"<{t}I", head, at + 8 * r + 4 * s))
        at += 8 * r + 4 * (s + t)
        ends = struct.unpack_from(f"<{total}I", head, at)
        inside = numbers["inside"] == 1
        body = head[at + 4 * total :] if inside else table[head_length:]
        pieces = [body[start:end] for start, end in pairwise((0, *ends))]
        blocks = pieces if inside else list(map(_unpacked, pieces))
    except (struct.error, zstandard.ZstdError, ValueError):
        return None
    return TableRecipe(sha256, numbers, places, first_strings, first_sources, blocks)


def _unpacked(frame: bytes) -> bytes:
    if not 0 < zstandard.frame_content_size(frame) < 1 << 20:
        raise ValueError("no frame of a size that one would unpack")
    return zstandard.ZstdDecompressor().decompress(frame)
