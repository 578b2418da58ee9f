"""Archives of a bundle, as services have classes of them: what opening costs, what calls, what memory."""

import io
import itertools
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from srcpack.integrations.sentry import ArtifactBundleArchive

from .contenders import clear_caches
from .formats import MANIFEST
from .harness import ROOT, Cell, Job, Timings, measure
from .workspace import Workspace

__all__ = ["ARCHIVES", "FILES", "PACK", "PAGE", "ZIPFILE", "ZipArchive", "calls", "memory", "openings"]

FILES = 4
"""Files read in an event."""
PAGE = 20
"""Files listed on a page."""
ZIPFILE, PACK = "class over `zipfile`", "`ArtifactBundleArchive`, pack"
_ZIP = "`ArtifactBundleArchive`, zip"


class ZipArchive:
    """What such classes do over `zipfile`: directory, manifest and dicts of keys are read at the opening."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        manifest: dict[str, Any] = json.loads(self._zip.read(MANIFEST))
        self.files: dict[str, dict[str, Any]] = manifest.get("files", {})
        self.by_url = {info.get("url"): name for name, info in self.files.items()}
        self.by_debug_id = {
            (value.lower(), info.get("type")): name
            for name, info in self.files.items()
            for key, value in (info.get("headers") or {}).items()
            if key.lower() == "debug-id"
        }

    def get_file_by_url(self, url: str) -> tuple[io.BufferedIOBase, dict[str, str]]:
        """Return the file of a URL, and its headers."""
        name = self.by_url[url]
        return self._zip.open(name), dict(self.files[name].get("headers") or {})  # type: ignore[return-value]

    def get_files_by_url_or_debug_id(self, query: str | None) -> dict[str, dict[str, Any]]:
        """Return the files whose URL has the query in it, or all."""
        return {name: info for name, info in self.files.items() if query is None or query in info["url"]}

    def get_file_info(self, name: str) -> zipfile.ZipInfo:
        """Return the sizes of a member."""
        return self._zip.getinfo(name)

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


ARCHIVES: Mapping[str, Callable[[Path], Any]] = {
    ZIPFILE: ZipArchive,
    _ZIP: ArtifactBundleArchive,
    PACK: ArtifactBundleArchive,
}


def _paths(work: Workspace, name: str) -> dict[str, Path]:
    zipped, pack = work.bundle(name).path, work.pack(name)
    return {ZIPFILE: zipped, _ZIP: zipped, PACK: pack}


def _urls(path: Path) -> list[str]:
    with ZipArchive(path) as archive:
        urls = sorted(url for url in archive.by_url if url)
    return random.Random(5).sample(urls, min(len(urls), 200))


def openings(work: Workspace, name: str) -> list[dict[str, Cell]]:
    """Measure opening an archive and closing it, in each way."""
    paths = _paths(work, name)

    def opening(way: str) -> Callable[[], object]:
        return lambda: ARCHIVES[way](paths[way]).close()

    jobs = [
        Job(name=way, run=opening(way), prepare=clear_caches, calls=100 if way == PACK else 1)
        for way in ARCHIVES
    ]
    timings = measure(jobs, work.rounds(15))
    busy = Timings(timings.cpu, {})
    return [
        {
            "bundle": name,
            "way": way,
            "us": timings.each(way, 1e-6),
            "busy": busy.each(way, 1e-6),
            "times": timings.speed(way, ZIPFILE),
        }
        for way in ARCHIVES
    ]


def calls(work: Workspace, name: str) -> list[dict[str, Cell]]:
    """Measure an event and a page, in each way."""
    paths = _paths(work, name)
    urls = _urls(paths[ZIPFILE])

    def event(way: str) -> Callable[[], object]:
        turn = itertools.cycle(urls)

        def one() -> None:
            with ARCHIVES[way](paths[way]) as archive:
                for url in itertools.islice(turn, FILES):
                    archive.get_file_by_url(url)[0].read()

        return one

    def page(way: str) -> Callable[[], object]:
        def one() -> None:
            with ARCHIVES[way](paths[way]) as archive:
                for path in itertools.islice(archive.get_files_by_url_or_debug_id(None), PAGE):
                    archive.get_file_info(path)

        return one

    figures = {
        key: measure(
            [
                Job(name=way, run=call(way), prepare=clear_caches, calls=1 if work.quick else 10)
                for way in ARCHIVES
            ],
            work.rounds(7),
        )
        for key, call in (("event", event), ("page", page))
    }
    return [
        {
            "bundle": name,
            "way": way,
            **{key: timings.each(way, 1e-3) for key, timings in figures.items()},
            **{f"{key}_times": timings.speed(way, ZIPFILE) for key, timings in figures.items()},
        }
        for way in ARCHIVES
    ]


def memory(work: Workspace, name: str) -> list[dict[str, Cell]]:
    """Measure the private memory that each way takes, in kB."""
    paths = _paths(work, name)
    urls = json.dumps(_urls(paths[ZIPFILE])[:FILES])
    rows: list[dict[str, Cell]] = []
    for way, path in paths.items():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.probe", "archive", way, os.fspath(path), urls],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(done.stdout)
        grown = {key: found[key]["private"] - found["before"]["private"] for key in ("opened", "read")}
        rows.append({"bundle": name, "way": way, **{key: value // 1000 for key, value in grown.items()}})
    return rows
