"""What a scenario is that exceptions from outside end, and what several of them need."""

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import srcpack
from srcpack_convert import convert
from support.bundle_builder import build_bundle

__all__ = ["STATEFUL", "Scenario", "Timeout", "equal", "open_in", "packed"]

STATEFUL = (
    "/srcpack/caches.py",
    "/srcpack/format/directory.py",
    "/srcpack/format/lookup_section.py",
    "/srcpack/format/packfile.py",
    "/srcpack/format/zstd_frames.py",
    "/srcpack/resolve/content_cache.py",
    "/srcpack/resolve/lookup_cache.py",
    "/srcpack/resolve/pack_cache.py",
    "/srcpack/source/local.py",
    "/srcpack/source/open_file.py",
    "/srcpack/source/file_object.py",
    "/srcpack/source/remote.py",
)
"""The modules that have what outlives a call; the others only pass an exception on."""


class Timeout(TimeoutError):
    """What a service raises: it is an OSError too, and must not be taken for one of a file."""


class Scenario(ABC):
    """Something that is done, and what must hold after it, wherever it was ended.

    Attributes:
        modules: Those of `STATEFUL` that it is about.
    """

    modules: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Make what is needed in an empty folder."""

    @abstractmethod
    def prepare(self) -> None:
        """Make sure that the next call does all that there is to do."""

    @abstractmethod
    def call(self) -> None:
        """Do it."""

    @abstractmethod
    def check(self) -> None:
        """Raise AssertionError if something does not hold."""


def packed(path: Path, contents: dict[str, bytes], **options: Any) -> srcpack.Pack:
    """Convert files, with a URL and a path each, and open the pack."""
    bundle = build_bundle(
        contents, {"files": {name: {"url": f"~/{name}", "path": f"/{name}"} for name in contents}}
    )
    convert(bundle, path, **{"dictionary": "off", "verify": False, "force": True, **options})
    return srcpack.open(path)


def equal(found: object, expected: object) -> None:
    """Raise AssertionError if a value is not the right one."""
    assert found == expected, f"{str(found)[:100]} where {str(expected)[:100]} is right"


def open_in(folder: Path) -> int:
    """Return how many descriptors this process has of files in a folder."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the list's own
            found += os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/")
    return found
