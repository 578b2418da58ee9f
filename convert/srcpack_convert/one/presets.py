"""What each preset stands for; the values come from the measurements in benchmarks/results/presets.md."""

from typing import NamedTuple

__all__ = ["DEFAULT_PRESET", "PRESETS", "Preset"]


class Preset(NamedTuple):
    """Choices that decide a pack's size, and how long conversion takes.

    The level is zstd's, 1 to 22; None stores all contents raw. `large_level` is in place of it for parts over
    256 KiB. `dictionary` has sizes in bytes to train one of and choose from; none if empty.
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
