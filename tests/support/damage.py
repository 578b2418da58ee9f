"""Damages files in every way: bits, windows, pieces that change places, bytes of others, cuts, additions.

Of packs, `support.damaged_packs` judges what the reader then answers; of zips, `support.damaged_zips`.
`python -m support.damage_tables` prints what became of it all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple, TypeAlias

from srcpack.format.head_tail import HEAD_SIZE, TAIL_SIZE

__all__ = ["KINDS", "Damage", "Pieces", "cut", "damages", "flipped", "replaced", "swapped", "zeroed"]

REFUSED, HARMLESS, WRONG, MISSED = "refused", "harmless", "WRONG", "silent miss"
"""What became of a damage: something was refused; all was answered rightly; an answer was wrong; the only
wrong answers were that there is nothing, where there is something."""

FLIPS, ZEROS, SWAPS, EXCHANGES, SPLICES, CUTS, ADDITIONS = KINDS = (
    "each bit flipped",
    "8, 16, 32, 64 bytes zeroed",
    "pieces change places",
    "bytes and pieces of another pack",
    "start of another pack",
    "cut",
    "bytes added or left out",
)
"""Kinds of damage."""

MIXED = (EXCHANGES, SPLICES, ADDITIONS)
"""Kinds that put bytes of another file in."""

_TAIL_END_SIZE = 16
_MANY_PAIRS = 1000

Pieces: TypeAlias = Mapping[str, Sequence[range]]
"""Where in a file the things lie that can change places, by their kind."""


class Damage(NamedTuple):
    """A damaged file.

    Attributes:
        what: What was done to it.
        data: All of it.
        touched: Where it differs from the whole one; None if it has another length.
        whole: The file that it was, or, of two put together, the one whose end it has.
    """

    what: str
    data: bytes
    touched: tuple[range, ...] | None
    whole: bytes


def damages(
    kind: str,
    whole: bytes,
    others: Sequence[bytes],
    pieces_of: Callable[[bytes], Pieces],
    *,
    movable: Sequence[str],
    step: int = 1,
    edges: Iterable[int] = (),
) -> Iterator[Damage]:
    """Yield each damage of a kind.

    Args:
        kind: One of `KINDS`.
        whole: The file.
        others: Files with which it is mixed.
        pieces_of: Finds the pieces of such a file.
        movable: Kinds of pieces that change places whatever their lengths.
        step: Distance of the places tried, where a kind tries many; 1 tries all.
        edges: Offsets that are tried whatever the step is.
    """
    if kind == FLIPS:
        yield from flipped(whole, step, edges)
    elif kind == ZEROS:
        yield from zeroed(whole, step, edges)
    elif kind == SWAPS:
        yield from swapped(whole, pieces_of(whole), movable, step)
    elif kind == CUTS:
        yield from cut(whole, step)
    for other in others if kind in MIXED else ():
        if kind == EXCHANGES:
            yield from _exchanged(whole, pieces_of(whole), other, pieces_of(other), step)
        elif kind == SPLICES:
            yield from _spliced(whole, other, step)
            yield from _spliced(other, whole, step)
        else:
            yield from _lengthened(whole, other, step)


def flipped(data: bytes, step: int = 1, edges: Iterable[int] = ()) -> Iterator[Damage]:
    """Flip each bit in turn, or each whose number is a multiple of `step`, and two bits of each edge."""
    numbers = {*range(0, 8 * len(data), step), *(8 * at + bit for at in edges for bit in (0, 7))}
    for at, bit in (divmod(number, 8) for number in sorted(numbers)):
        yield from replaced(data, {at: bytes([data[at] ^ 1 << bit])}, f"bit {bit} flipped")


def zeroed(data: bytes, step: int = 1, edges: Iterable[int] = ()) -> Iterator[Damage]:
    """Zero each window of 8, 16, 32 and 64 bytes that begins at a multiple of `step`, or at an edge."""
    for size in (8, 16, 32, 64):
        for at in sorted({*range(0, len(data) - size + 1, step), *edges}):
            yield from replaced(data, {at: bytes(min(size, len(data) - at))}, f"{size} zeros")


def swapped(data: bytes, pieces: Pieces, movable: Sequence[str], step: int = 1) -> Iterator[Damage]:
    """Let each two pieces of one kind change places that have one length, or that are movable."""
    for kind, spans in pieces.items():
        for one, other in _some(combinations(spans, 2), step):
            if len(one) == len(other):
                yield from replaced(data, _change_places(data, one, other), f"{kind} swapped")
            elif kind in movable:
                between = data[one.stop : other.start]
                moved = data[other.start : other.stop] + between + data[one.start : one.stop]
                yield from replaced(data, {one.start: moved}, f"{kind} moved")
    # Whole buckets: the slots and the elements of the fan-out that tell of them.
    buckets = zip(pieces.get("slots of a bucket", ()), pieces.get("fan-out", ()), strict=False)
    for (one, told), (other, told_too) in combinations(buckets, 2):
        if len(one) == len(other):
            changes = _change_places(data, one, other) | _change_places(data, told, told_too)
            yield from replaced(data, changes, "bucket swapped")


def _change_places(data: bytes, one: range, other: range) -> dict[int, bytes]:
    return {one.start: data[other.start : other.stop], other.start: data[one.start : one.stop]}


def _exchanged(data: bytes, pieces: Pieces, other: bytes, theirs: Pieces, step: int) -> Iterator[Damage]:
    """Put ranges of another file in their own place, and its pieces in that of ones of their length."""
    for size in (8, 64, 512):
        for at in range(0, min(len(data), len(other)) - size + 1, step):
            for damage in replaced(data, {at: other[at : at + size]}, f"{size} bytes of another"):
                # With all of the other's tail it is the other pack that is damaged: splices do that.
                if damage.data[-TAIL_SIZE:] != other[-TAIL_SIZE:]:
                    yield damage
    for kind, spans in pieces.items():
        for mine, span in _some(product(spans, theirs[kind]), step):
            if len(span) == len(mine):
                changes = {mine.start: other[span.start : span.stop]}
                yield from replaced(data, changes, f"{kind} of another")


def _some(pairs: Iterable[tuple[range, range]], step: int) -> Sequence[tuple[range, range]]:
    """Return pairs of pieces; with a step over 1, of a kind that has very many, some of them."""
    found = list(pairs)
    return found[::step] if len(found) > _MANY_PAIRS else found


def _spliced(data: bytes, other: bytes, step: int) -> Iterator[Damage]:
    """Put the start of another file in place of a file's own, up to each multiple of `step` and the tail."""
    # Up to the checksum that ends the tail: with that too, it would be the other pack.
    end = min(len(other), len(data) - _TAIL_END_SIZE + 1)
    for at in sorted({*range(1, end, step), min(end, len(data) - TAIL_SIZE)}):
        yield from replaced(data, {0: other[:at]}, f"{at} bytes of another")


def cut(data: bytes, step: int = 1) -> Iterator[Damage]:
    """Cut a file to each length, from its end and from its start."""
    for at in range(0, len(data), step):
        yield Damage(f"cut to {at} bytes", data[:at], None, data)
        yield Damage(f"{at + 1} bytes cut off the start", data[at + 1 :], None, data)


def _lengthened(data: bytes, other: bytes, step: int) -> Iterator[Damage]:
    """Add bytes to a file, leave some out, and put another's tail on."""
    for added in (b"\0", b"\0" * 8, data[:HEAD_SIZE], data[-TAIL_SIZE:], other[-TAIL_SIZE:], data, other):
        for at in (0, len(data) - TAIL_SIZE, len(data)):
            yield Damage(f"{len(added)} bytes added at {at}", data[:at] + added + data[at:], None, data)
    for at in range(0, len(data), step):
        yield Damage(f"a byte added at {at}", data[:at] + b"\0" + data[at:], None, data)
        yield Damage(f"byte {at} left out", data[:at] + data[at + 1 :], None, data)


def replaced(data: bytes, changes: Mapping[int, bytes], what: str) -> Iterator[Damage]:
    """Yield a file with other bytes at some offsets; nothing, if they are the same bytes."""
    damaged = bytearray(data)
    touched = []
    for at, new in changes.items():
        different = [place for place, byte in enumerate(new, at) if byte != data[place]]
        if different:
            touched.append(range(different[0], different[-1] + 1))
            damaged[at : at + len(new)] = new
    if touched:
        yield Damage(f"{what} at {' and '.join(map(str, changes))}", bytes(damaged), tuple(touched), data)
