"""Measurements that need a process of their own: `python -m benchmarks.probe WHAT ...`, JSON on stdout.

The peak is `VmHWM` where there is one. `getrusage` would give at least what the parent had: Linux carries
the peak of the process that forked over into the new one.
"""

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from srcpack_convert.one.convert import convert

from .archives import ARCHIVES
from .contenders import BY_NAME, Contender
from .formats import FORMATS
from .harness import ROOT

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Do what the arguments say, and print what it took."""
    what, *rest = arguments
    done = _PROBES[what](*rest)
    print(json.dumps(done), flush=True)


def _convert(src: str, dst: str, preset: str, jobs: str) -> dict[str, float]:
    before = _peak()
    start = time.perf_counter()
    report = convert(src, dst, preset=preset, jobs=int(jobs), force=True)
    return {
        "seconds": time.perf_counter() - start,
        "peak": _peak(),
        "before": before,
        "size": report.output_size,
        "dictionary": report.dictionary_size,
    }


def _make(form: str, src: str, dst: str) -> dict[str, float]:
    start = time.perf_counter()
    FORMATS[form].make(Path(src), Path(dst))
    return {"seconds": time.perf_counter() - start, "peak": _peak()}


def _open_all(way: str, folder: str, urls: str) -> dict[str, dict[str, int]]:
    paths = sorted(Path(folder).iterdir())
    wanted: list[str] = json.loads(Path(urls).read_text(encoding="utf-8"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    contender = BY_NAME[way]
    # What the first one imports and allocates for good is no bundle's.
    with contender(paths[0]) as first:
        first.read(first.find(wanted[0]))
    contender.forget()
    opened: list[Contender] = []
    before = memory()
    opened.extend(map(contender, paths))
    after_open = memory()
    for each, url in zip(opened, wanted, strict=True):
        each.read(each.find(url))
    return {"before": before, "opened": after_open, "read": memory()}


def _open_archive(way: str, path: str, urls: str) -> dict[str, dict[str, int]]:
    open_archive = ARCHIVES[way]
    # What the first one imports and allocates for good is no bundle's.
    fixtures = ROOT / "fixtures"
    for small in (fixtures / "bundles" / "app.zip", fixtures / "packs" / "app.srcpack"):
        if Path(path).suffix == small.suffix:
            with open_archive(small) as first:
                first.get_file_by_url("~/static/app.min.js")[0].read()
    before = memory()
    with open_archive(Path(path)) as archive:
        after_open = memory()
        for url in json.loads(urls):
            archive.get_file_by_url(url)[0].read()
        return {"before": before, "opened": after_open, "read": memory()}


def _serve(way: str, path: str, names: str) -> dict[str, dict[str, int]]:
    """Open a bundle; for each line on stdin read all names and answer with a line; return the memory."""
    wanted: list[str] = json.loads(Path(names).read_text(encoding="utf-8"))
    before = memory()
    with BY_NAME[way](Path(path)) as store:
        for _ in sys.stdin:
            for name in wanted:
                store.get(name)
            print(flush=True)
        return {"before": before, "read": memory()}


_PROBES: Mapping[str, Callable[..., Any]] = {
    "convert": _convert,
    "make": _make,
    "open": _open_all,
    "archive": _open_archive,
    "serve": _serve,
}


def memory() -> dict[str, int]:
    """Return private, anonymous and proportional bytes of this process."""
    gc.collect()
    fields = _fields("/proc/self/smaps_rollup")
    return {
        "private": fields["Private_Clean"] + fields["Private_Dirty"],
        "anonymous": fields["Anonymous"],
        "proportional": fields["Pss"],
    }


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
