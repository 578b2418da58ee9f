"""A SourceBundle zip against the pack made of it, measured side by side (`srcpack bench`).

What both sides do is in `METHOD`.
"""

import os
import platform
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Any

import zstandard

import srcpack
from srcpack import FormatError
from srcpack_convert.bench.figures import Row, Sides, measured, sizes_row
from srcpack_convert.bench.questions import Asked, Progress
from srcpack_convert.bench.zip_side import Key, opened
from srcpack_convert.one.convert import convert
from srcpack_convert.one.presets import DEFAULT_PRESET

__all__ = ["METHOD", "Comparison", "bench", "versions"]

METHOD = """
The zip's side opens zipfile.ZipFile, parses manifest.json with json, and makes a dict of all URLs (or paths);
a read is a look into the dict and ZipFile.read. Its threads share one ZipFile, which locks itself, or have
one each, opened before, and share the dict. The pack's side is srcpack.open, by_url (or by_path) and
Entry.read; its threads share one pack. Keys come in one random order, the same each time. An event looks up
the minified file of a frame's URL, learns its source map's reference from a header or its content, looks the
map up and reads it whole, and takes 5 lines either side of a line of the minified file; maps are not
parsed. Memory is what Python holds for an open bundle after a look-up, by tracemalloc. Files are in the page
cache. Both sides take turns; a figure is a median with its quartiles, a ratio is zip over pack, pair
by pair: over 1, the pack is better.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A bundle, and what was measured.

    `conversion_seconds` includes the check of every file against the zip. `compared` counts the members whose
    bytes both sides gave alike, `left_out` the others by the reason. Looked up are URLs, or paths where no
    file has a URL: `keys_compared` lead both sides to the same member, `keys_left_out` don't. Of the minified
    files compared, `with_map` have their map in the bundle; `replayed` counts the events of some of these.
    `threads` is how many read side by side, `rounds` how many samples a figure has.
    """

    bundle: str
    preset: str
    jobs: int
    conversion_seconds: float
    compared: int
    compared_size: int
    left_out: Mapping[str, int]
    keys: Key
    keys_compared: int
    keys_left_out: int
    minified: int
    with_map: int
    replayed: int
    threads: int
    rounds: int
    rows: Sequence[Row]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as values that JSON knows."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "conversion_seconds": round(self.conversion_seconds, 3),
            "left_out": dict(self.left_out),
            "rows": {row.key: row.as_json() for row in self.rows},
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Return what the figures depend on, besides the machine."""
    return {
        "srcpack": srcpack.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "zstandard": zstandard.__version__,
        "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
    }


def bench(
    bundle: str | os.PathLike[str],
    *,
    preset: str = DEFAULT_PRESET,
    jobs: int = 1,
    threads: int = 2,
    seconds: float = 15.0,
    progress: Progress | None = None,
) -> Comparison:
    """Convert a SourceBundle into a temporary pack, compare every member, and measure both side by side.

    `jobs` threads convert, `threads`, at least 2, read side by side. After the conversion and the comparison
    it is measured for so many seconds, or for three rounds, if they take longer.

    Raises ValueError if an argument is out of its range, SrcpackError if it is no SourceBundle, over a limit,
    refused by zipfile, or nothing is left that both sides read alike.
    """
    if threads < 2 or not 0 < seconds < float("inf"):
        raise ValueError(f"{threads} threads must be at least 2, {seconds} seconds more than 0")
    tell: Progress = progress or (lambda _: None)
    file = os.fspath(bundle)
    with tempfile.TemporaryDirectory(prefix="srcpack-bench-") as folder, ExitStack() as stack:
        path = os.path.join(folder, "bench.srcpack")
        tell("converting")
        report = convert(bundle, path, preset=preset, jobs=jobs)
        pack = stack.enter_context(srcpack.open(path))
        key: Key = "url" if any(entry.url for entry in pack.entries()) else "path"
        zipped = stack.enter_context(opened(file, key))
        asked = Asked.of(pack, zipped, tell)
        sides = Sides(path, pack, zipped, asked)
        try:
            rows, rounds = measured(sides, stack, threads, seconds, tell)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise FormatError(file, f"changed while it was measured: {error}") from error
    return Comparison(
        bundle=file,
        preset=preset,
        jobs=jobs,
        conversion_seconds=report.seconds,
        compared=len(asked.sizes),
        compared_size=sum(asked.sizes.values()),
        left_out=asked.left_out,
        keys=key,
        keys_compared=len(asked.keys),
        keys_left_out=asked.keys_left_out,
        minified=asked.minified,
        with_map=asked.with_map,
        replayed=len(asked.events),
        threads=threads,
        rounds=rounds,
        rows=[sizes_row(report.source_size, report.output_size), *rows],
    )
