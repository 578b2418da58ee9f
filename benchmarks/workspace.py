"""What the questions share: bundles, packs made of them, the zip reader to compare with, the bare loop."""

import json
import mmap
import os
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

import sourcepack
from sourcepack.frames import _DICTIONARIES, DECOMPRESSORS, Decompressors
from sourcepack.pack import _BLOCKS, _RECORDS
from sourcepack_convert.conversion import convert
from sourcepack_convert.presets import DEFAULT_PRESET

from .harness import progress
from .workloads import Bundle, find_bundle

__all__ = ["BareLoop", "Workspace", "ZipReader", "clear_caches", "shuffled"]

_QUICK_SCALE = 0.1


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder for a run, with the bundles and packs that were asked for so far.

    Attributes:
        folder: Of its own, removed after the run.
        quick: Whether to only show that everything works: small bundles, few rounds.
        generated: Take generated bundles even where there are real ones.
    """

    folder: Path
    quick: bool = False
    generated: bool = False
    _bundles: dict[str, Bundle] = field(default_factory=dict)

    def bundle(self, name: str) -> Bundle:
        """Return a workload's bundle."""
        if name not in self._bundles:
            self._bundles[name] = find_bundle(
                name,
                self.folder,
                scale=_QUICK_SCALE if self.quick else 1.0,
                generated=self.generated or self.quick,
            )
        return self._bundles[name]

    def pack(self, name: str, preset: str = DEFAULT_PRESET) -> Path:
        """Return a pack of a workload's bundle."""
        path = self.folder / f"{name}.{preset}.srcpack"
        if not path.exists():
            progress(f"  converting {name}, preset {preset}")
            convert(self.bundle(name).path, path, preset=preset, jobs=os.cpu_count() or 1)
        return path

    def chosen(self, names: Sequence[str]) -> Sequence[str]:
        """Return the workloads to measure of these: all, or two in a quick run."""
        return [names[0], names[-1]] if self.quick else names

    def rounds(self, full: int) -> int:
        """Return how many rounds to measure."""
        return 2 if self.quick else full

    def origins(self, names: Sequence[str]) -> dict[str, str]:
        """Return whether the bundles of such names are real or generated."""
        return {name: self.bundle(name).origin for name in names}


def clear_caches() -> None:
    """Forget what the process and this thread keep of packs: entries, blocks, dictionaries, their decoders.

    The thread's decompressor without a dictionary stays: it is none of a pack's.
    """
    _RECORDS.clear()
    _BLOCKS.clear()
    _DICTIONARIES.clear()
    plain = DECOMPRESSORS.plain
    Decompressors.__init__(DECOMPRESSORS)
    DECOMPRESSORS.plain = DECOMPRESSORS.last = plain


def shuffled(names: Sequence[str], seed: int = 7) -> list[str]:
    """Return names in an order that is random, and the same each time."""
    names = sorted(names)
    random.Random(seed).shuffle(names)
    return names


class ZipReader:
    """What a service does with a SourceBundle today: the zip's directory and the manifest, parsed at open.

    Two dicts find a file: by URL (by path where the bundle has no URLs), and by debug id and type.
    """

    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path)
        self.by_key: dict[str, str] = {}
        self.by_debug_id: dict[tuple[str, str], str] = {}
        files: dict[str, Any] = json.loads(self.zip.read("manifest.json"))["files"]
        for name, info in files.items():
            key = info.get("url") or info.get("path")
            if key:
                self.by_key[key] = name
            debug_id = info.get("headers", {}).get("debug-id")
            if debug_id:
                self.by_debug_id[debug_id, info.get("type")] = name


class BareLoop:
    """The floor: frames of a pack decoded by one `ZstdDecompressor` from slices of one map, nothing checked.

    Where they lie is worked out before; libzstd still checks each frame's own checksum.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with sourcepack.open(path) as pack:
            records = [pack[name].record for name in names]
            dictionary = pack.dictionary().data if pack.tail.dictionary_size else None
        self._frames = [
            (frame.offset, frame.offset + frame.length, record.raw)
            for record in records
            for frame in record.frames
        ]
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)

    def run(self) -> None:
        """Decode all frames, one after the other."""
        mapped, decompress = self._map, self._decompressor.decompress
        for start, end, raw in self._frames:
            if raw:
                mapped[start:end]
            else:
                decompress(mapped[start:end])

    def run_and_keep(self) -> list[bytes]:
        """Decode all frames and keep what they hold, as `read_many` must."""
        mapped, decompress = self._map, self._decompressor.decompress
        return [
            mapped[start:end] if raw else decompress(mapped[start:end]) for start, end, raw in self._frames
        ]


def reading(read: Callable[[str], object], names: Sequence[str]) -> Callable[[], None]:
    """Return a function that reads all of the names, one after the other."""

    def run() -> None:
        for name in names:
            read(name)

    return run
