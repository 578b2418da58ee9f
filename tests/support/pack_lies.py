"""Lets a pack lie, in any field of any structure, and makes the checksums right again.

What a lie takes at random it takes from a `random.Random`: a test gives one that hypothesis drives, a fuzzer
one of its own seed.
"""

import struct
from collections.abc import Callable
from inspect import isfunction
from random import Random
from types import ModuleType
from typing import Any, TypeAlias

from support.lies import of_blocks, of_bytes, of_entries, of_tables
from support.lies.values import scribble
from support.pack_parts import take_apart
from support.pack_recipe import Recipe

__all__ = ["LIES", "LIES_OF_BYTES", "lie", "scribble"]

Lie: TypeAlias = Callable[[Recipe, Random], None]
LieOfBytes: TypeAlias = Callable[[bytes, Random], bytes]


def _lies_in(module: ModuleType) -> list[Any]:
    own = (each for name, each in vars(module).items() if name[0] != "_" and isfunction(each))
    return [each for each in own if each.__module__ == module.__name__]


LIES: list[Lie] = [each for module in (of_entries, of_blocks, of_tables) for each in _lies_in(module)]
"""Each spoils a recipe."""

LIES_OF_BYTES: list[LieOfBytes] = _lies_in(of_bytes)
"""Each spoils a pack that was built, and seals what it spoilt where it can be sealed."""


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
