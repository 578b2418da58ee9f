"""Makes many bundles, each another variation of a part of one that there is.

    python -m support.many OUT                          # 2,000 bundles, from this project's own
    python -m support.many OUT --number 500 --of DIR    # from all bundles in a folder

Same arguments, same bytes. They lie in folders of 100; each has some neighbouring files of its bundle, of at
most `--size` bytes, with a line of its own added to one of them.
"""

import argparse
import json
import math
import random
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from srcpack.bundle.manifest_json import MANIFEST_NAME
from srcpack.bundle.members import SourceBundle
from srcpack.errors import DamagedMember
from support.bundle_builder import BUNDLE_HEADER
from support.places import BUNDLES

__all__ = ["make_many"]

_SEED = 1
_FOLDER = 100


def make_many(out: Path, number: int, sources: Sequence[Path], *, size: int = 300_000) -> int:
    """Write bundles, and return the bytes of all.

    Args:
        out: Where to; folders are made.
        number: How many.
        sources: Bundles that they are parts of, in turns.
        size: Most bytes of content in each, save where a single file has more.
    """
    parts = [_Parts(source, size) for source in sources]
    total = 0
    for at in range(number):
        path = out / f"{at // _FOLDER:04}" / f"{at:06}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        parts[at % len(parts)].write(path, at)
        total += path.stat().st_size
    return total


class _Parts:
    """A bundle to take parts of."""

    def __init__(self, source: Path, size: int) -> None:
        self._size = size
        with SourceBundle(source) as bundle:
            self._contents = dict(_readable(bundle))
        self._names = sorted(self._contents)
        with zipfile.ZipFile(source) as archive:
            self._manifest: dict[str, Any] = json.loads(archive.read(MANIFEST_NAME), parse_float=_finite)

    def write(self, path: Path, number: int) -> None:
        rng = random.Random(f"{_SEED} {number}")
        start, taken = rng.randrange(len(self._names) or 1), 0
        names: list[str] = []
        for name in self._names[start:] + self._names[:start]:
            if names and taken + len(self._contents[name]) > self._size:
                break
            names.append(name)
            taken += len(self._contents[name])
        files = self._manifest.get("files", {})
        manifest = {**self._manifest, "files": {name: files[name] for name in names if name in files}}
        with path.open("wb") as out:
            out.write(BUNDLE_HEADER)
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                for at, name in enumerate(names):
                    line = b"" if at else f"\n// variation {number}: {rng.getrandbits(64):x}\n".encode()
                    archive.writestr(_dated(name), self._contents[name] + line)
                archive.writestr(_dated(MANIFEST_NAME), json.dumps(manifest))


def _readable(bundle: SourceBundle) -> Iterator[tuple[str, bytes]]:
    for name in bundle.members:
        try:
            yield name, bundle.read(name)
        except DamagedMember:
            continue


def _finite(text: str) -> float:
    """Return a number that can be written again: 1e999 is none."""
    return float(text) if math.isfinite(float(text)) else 0.0


def _dated(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # of 1980, not of now
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def main() -> None:
    """Make what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--of", type=Path, default=BUNDLES, metavar="DIR")
    parser.add_argument("--size", type=int, default=300_000, metavar="BYTES")
    chosen = parser.parse_args()
    total = make_many(chosen.out, chosen.number, sorted(chosen.of.glob("*.zip")), size=chosen.size)
    print(f"{chosen.number:,} bundles of {total:,} bytes")


if __name__ == "__main__":
    main()
