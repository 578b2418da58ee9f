"""What each preset stands for; the values come from the measurements in benchmarks/results/presets.md."""

from typing import NamedTuple

__all__ = ["DEFAULT_PRESET", "PRESETS", "Preset"]


class Preset(NamedTuple):
    """Choices that decide a pack's size, and how long conversion takes.

    Attributes:
        level: Of zstd, 1 to 22; None stores all contents raw.
        dictionary: Sizes in bytes to train a dictionary of and choose from; none if empty.
        frame_size: Bytes of content in a frame.
        large_level: In place of `level` for parts over 256 KiB.
    """

    level: int | None
    dictionary: tuple[int, ...]
    frame_size: int
    large_level: int | None = None


PRESETS = {
    "fast": Preset(level=6, dictionary=(126 << 10,), frame_size=2 << 20),
    "balanced": Preset(level=9, large_level=10, dictionary=(126 << 10,), frame_size=2 << 20),
    "compact": Preset(level=12, dictionary=(126 << 10,), frame_size=2 << 20),
    "max": Preset(level=19, dictionary=(126 << 10, 256 << 10), frame_size=8 << 20),
    "raw": Preset(level=None, dictionary=(), frame_size=2 << 20),
}

DEFAULT_PRESET = "balanced"
