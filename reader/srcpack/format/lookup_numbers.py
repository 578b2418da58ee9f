"""Arrays of numbers in the blocks of a lookup table (SPEC.md, "Numbers").

The low bytes of all numbers come first, then the next bytes of all, and so on: each such plane compresses
by itself, and the sum of a run of numbers is a few sums of bytes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from struct import Struct
from typing import NamedTuple
from zlib import adler32

__all__ = ["MAX_WIDTH", "Numbers", "pack_numbers", "shape_of", "width_of"]

MAX_WIDTH = 4
"""Most bytes that a number takes."""

# The sum of so many bytes is below the modulus of Adler-32, and so the low half of their checksum, which
# takes a twentieth of the time of `sum`.
_SUMMED = 256
_FEW = 48
_SHIFTS = ((), (0,), (0, 8), (0, 8, 16), (0, 8, 16, 24))
_BYTES = tuple(bytes((byte,)) for byte in range(256))
_CENTRED = 128


class Numbers(NamedTuple):
    """An array of numbers in a block; nothing of it is parsed.

    Attributes:
        block: What it is in.
        at: Where it begins.
        size: How many numbers there are.
        width: Bytes of each.
        low: What each is stored without.
    """

    block: bytes
    at: int
    size: int
    width: int
    low: int = 0

    @property
    def end(self) -> int:
        """Where what comes after it begins."""
        return self.at + self.size * self.width

    def number(self, which: int) -> int:
        """Return one number."""
        block, at, size, width, value = self
        if width:
            value += block[at + which]
            for plane in range(1, width):
                value += block[at + plane * size + which] << 8 * plane
        return value

    def sum(self, start: int, end: int) -> int:
        """Return the sum of the numbers from number `start` to before `end`."""
        block, at, size, width, low = self
        total = low * (end - start)
        if end - start <= _SUMMED and width <= 2:  # as most are
            if width:
                total += adler32(block[at + start : at + end], 0) & 0xFFFF
                if width == 2:
                    at += size
                    total += (adler32(block[at + start : at + end], 0) & 0xFFFF) << 8
            return total
        for shift in _SHIFTS[width]:
            here, last = at + start, at + end
            while last - here > _SUMMED:
                total += (adler32(block[here : here + _SUMMED], 0) & 0xFFFF) << shift
                here += _SUMMED
            total += (adler32(block[here:last], 0) & 0xFFFF) << shift
            at += size
        return total

    def reach(self, start: int, end: int, limit: int) -> int:
        """Return how far the numbers from `start` add up to no more than `limit`; at most `end`.

        Where none is negative, that is the first place after which the sum is greater.
        """
        block, at, _, width, low = self
        while end - start > _FEW:
            middle = (start + end) // 2
            if width == 1 and middle - start <= _SUMMED:  # as mostly
                total = low * (middle - start) + (adler32(block[at + start : at + middle], 0) & 0xFFFF)
            else:
                total = self.sum(start, middle)
            if total <= limit:
                start, limit = middle, limit - total
            else:
                end = middle
        return start + bisect_right(list(accumulate(self.run(start, end))), limit)

    def last_step(self, end: int) -> int:
        """Return which of the numbers before `end` is the last that is not 0; -1 if all are."""
        block, at, size, width, low = self
        if low == 0:
            found = 0
            for _ in range(width):
                found = max(found, len(block[at : at + end].rstrip(b"\0")))
                at += size
            return found - 1
        if low > 0 or -low >> 8 * width:
            return end - 1  # no number can be 0
        found = 0
        for shift in _SHIFTS[width]:
            found = max(found, len(block[at : at + end].rstrip(_BYTES[-low >> shift & 0xFF])))
            at += size
        return found - 1

    def values(self) -> list[int]:
        """Return all numbers."""
        return list(self.run(0, self.size))

    def run(self, start: int, end: int) -> Sequence[int]:
        """Return the numbers from number `start` to before `end`."""
        block, at, size, width, low = self
        if width == 1:
            values: Sequence[int] = block[at + start : at + end]
        else:
            whole = bytearray(MAX_WIDTH * (end - start))
            for plane in range(width):
                whole[plane::MAX_WIDTH] = block[at + start : at + end]
                at += size
            values = Struct(f"<{end - start}I").unpack(whole)
        return [value + low for value in values] if low else values


def pack_numbers(values: Sequence[int], low: int, width: int) -> bytes:
    """Return the array of what each value is above `low`."""
    if width == 0:
        return b""
    if low:
        values = [value - low for value in values]
    if width == 1:
        return bytes(values)
    whole = Struct(f"<{len(values)}I").pack(*values)
    return b"".join([whole[plane::4] for plane in range(width)])


def width_of(greatest: int) -> int:
    """Return how many bytes a number up to `greatest` takes; 0 takes none."""
    return (greatest.bit_length() + 7) // 8


def shape_of(least: int, greatest: int) -> tuple[int, int]:
    """Choose `low` and width for numbers from `least` to `greatest`, of which one is 0.

    Where two bytes are needed, those from -128 to 127 have the same high byte, as most are among them.
    """
    if least >= 0:
        return 0, width_of(greatest)
    if greatest - least < 256:
        return least, 1
    width = width_of(greatest - least)
    low = -((_CENTRED - 1 - least) // 256 * 256 + _CENTRED)
    return (low, width) if width < MAX_WIDTH and width_of(greatest - low) == width else (least, width)
