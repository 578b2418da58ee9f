"""The options of a conversion, one object from the caller to the place where each is used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import zstandard

from srcpack.bundle.members import DEFAULT_LIMITS, Limits
from srcpack.format.head_tail import MAX_DICTIONARY, MAX_FRAME_SIZE
from srcpack_convert.one.dictionary import given_dictionary
from srcpack_convert.one.lookup_tables import symbolic_version
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS, Preset

__all__ = ["DictionaryChoice", "Options"]

DictionaryChoice: TypeAlias = Literal["auto", "off"] | int | bytes
"""`auto` or `off`, the most bytes that a trained one may have, or a dictionary itself."""

_SMALLEST_FRAME = 4096
_FRAME_SIZE_WITH_LOOKUPS = 128 << 10
"""Most bytes of content in a frame, if not told otherwise: a few lines are read out of each map and script.

A pack of large maps is 4.6 % larger than with frames of 2 MiB; for a few lines a sixteenth is decoded.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a bundle is converted.

    Same bundle, options and libzstd: same bytes.

    Attributes:
        preset: `fast`, `balanced`, `compact`, `max` or `raw`.
        level: Level of zstd in place of the preset's.
        dictionary: `auto` trains one and uses it where it pays, `off` uses none; a number is the most
            bytes that one may have; bytes are a trained dictionary, always used.
        frame_size: Bytes of content in a frame in place of the preset's, of which 128 KiB are used with
            lookups, if it has more.
        raw: Patterns of member names (`*`, `?`, `[...]`) whose contents are stored as they are.
        lookups: Give each file that has its source map in the bundle a table of all that the map answers.
        lenient: Convert also a bundle that symbolic refuses over metadata alone, without what it refuses:
            types that it does not know, attributes and headers that are no texts, and the like.
        verify: Read every file back from the pack and compare it with what the zip held.
        limits: Sizes over which the bundle or a member is refused.
        settings: The preset's values, or those given in place of them.

    Raises:
        ValueError: One is out of its range.
        ModuleNotFoundError: Lookups need symbolic, which is not installed, or too old.
        TypeError: `raw` is a single text.
    """

    preset: str = DEFAULT_PRESET
    level: int | None = None
    dictionary: DictionaryChoice = "auto"
    frame_size: int | None = None
    raw: Sequence[str] = ()
    lookups: bool = False
    lenient: bool = False
    verify: bool = True
    limits: Limits = DEFAULT_LIMITS
    settings: Preset = field(init=False, repr=False, compare=False)
    _recorded_dictionary: DictionaryChoice = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset is one of {', '.join(PRESETS)}, not {self.preset!r}")
        if self.level is not None and not 1 <= self.level <= zstandard.MAX_COMPRESSION_LEVEL:
            raise ValueError(f"level is 1 to {zstandard.MAX_COMPRESSION_LEVEL}, not {self.level}")
        if self.frame_size is not None and not _SMALLEST_FRAME <= self.frame_size <= MAX_FRAME_SIZE:
            raise ValueError(
                f"frame size is {_SMALLEST_FRAME} to {MAX_FRAME_SIZE} bytes, not {self.frame_size}"
            )
        _check_dictionary(self.dictionary)
        if isinstance(self.raw, str | bytes):
            raise TypeError(f"raw is a list of patterns, not one text: {self.raw!r}")
        object.__setattr__(self, "raw", tuple(self.raw))
        object.__setattr__(self, "settings", self._settings())
        recorded = sha256(self.dictionary).digest() if isinstance(self.dictionary, bytes) else self.dictionary
        object.__setattr__(self, "_recorded_dictionary", recorded)
        if self.lookups:
            symbolic_version()

    def _settings(self) -> Preset:
        level, sizes, frame_size, large_level = PRESETS[self.preset]
        if self.level is not None:
            level, large_level = self.level, None
        if isinstance(self.dictionary, int):
            sizes = (self.dictionary,)
        elif self.dictionary != "auto":
            sizes = ()
        if self.lookups:
            frame_size = min(frame_size, _FRAME_SIZE_WITH_LOOKUPS)
        return Preset(
            level=level, dictionary=sizes, frame_size=self.frame_size or frame_size, large_level=large_level
        )

    def stores_raw(self, name: str) -> bool:
        """Return whether the content of a member with this name is to be stored as it is."""
        return self.settings.level is None or any(fnmatchcase(name, pattern) for pattern in self.raw)

    def as_recorded(self) -> dict[str, Any]:
        """Return what a pack records of them: those that decide its bytes."""
        return {
            "preset": self.preset,
            "level": self.settings.level,
            **({} if self.settings.large_level is None else {"large_level": self.settings.large_level}),
            "dictionary": self._recorded_dictionary,
            "frame_size": self.settings.frame_size,
            "raw": self.raw,
            **({"lookups": True} if self.lookups else {}),
        }


def _check_dictionary(choice: DictionaryChoice) -> None:
    if isinstance(choice, bytes):
        given_dictionary(choice)
    elif isinstance(choice, str):
        if choice not in ("auto", "off"):
            raise ValueError(f"dictionary is auto, off, a number or bytes, not {choice!r}")
    elif not 0 < choice <= MAX_DICTIONARY:
        raise ValueError(f"a dictionary has 1 to {MAX_DICTIONARY} bytes, not {choice}")
