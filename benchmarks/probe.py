"""Measurements that need a process of their own: `python -m benchmarks.probe WHAT ...`, JSON on stdout.

The peak is `VmHWM` where there is one. `getrusage` would give at least what the parent had: Linux carries
the peak of the process that forked over into the new one.
"""

import gc
import json
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sourcepack
from sourcepack_convert.conversion import convert

from .workspace import ZipReader

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Do what the arguments say, and print what it took."""
    what, *rest = arguments
    print(json.dumps(_convert(*rest) if what == "convert" else _open_all(*rest)))


def _convert(src: str, dst: str, preset: str, jobs: str) -> dict[str, float]:
    before = _peak()
    start = time.perf_counter()
    report = convert(src, dst, preset=preset, jobs=int(jobs))
    return {
        "seconds": time.perf_counter() - start,
        "peak": _peak(),
        "before": before,
        "size": report.output_size,
        "dictionary": report.dictionary_size,
    }


def _open_all(way: str, folder: str) -> dict[str, dict[str, int]]:
    suffix = ".srcpack" if way.startswith("pack") else ".zip"
    paths = sorted(Path(folder).glob(f"*{suffix}"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opener, read = _WAYS[way]
    opened: list[Any] = []
    before = _memory()
    opened.extend(map(opener, paths))
    after_open = _memory()
    for each in opened:
        read(each)
    return {"before": before, "opened": after_open, "read": _memory()}


def _read_pack(pack: sourcepack.Pack) -> None:
    next(pack.entries()).read()


def _read_zip(opened: zipfile.ZipFile) -> None:
    opened.read(opened.namelist()[0])


_WAYS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], None]]] = {
    "pack": (sourcepack.open, _read_pack),
    "pack-pread": (lambda path: sourcepack.open(path, source="pread"), _read_pack),
    "zip": (zipfile.ZipFile, _read_zip),
    "zip-parsed": (ZipReader, lambda reader: _read_zip(reader.zip)),
}


def _memory() -> dict[str, int]:
    """Return private and anonymous bytes of this process."""
    gc.collect()
    fields = _fields("/proc/self/smaps_rollup")
    return {"private": fields["Private_Clean"] + fields["Private_Dirty"], "anonymous": fields["Anonymous"]}


def _peak() -> int:
    """Return the most bytes that were resident since this process began."""
    try:
        return _fields("/proc/self/status")["VmHWM"]
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _fields(path: str) -> dict[str, int]:
    """Return the fields of a file of /proc that are in kB, in bytes."""
    fields = {}
    for line in Path(path).read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if value.endswith(" kB"):
            fields[key] = int(value[:-3]) * 1024
    return fields


if __name__ == "__main__":
    main(sys.argv[1:])
