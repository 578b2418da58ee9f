"""Zips read by `zipfile`: shared, locked, one for each thread, reopened, stored, with zstd members."""

import json
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.formats import MANIFEST, records_of, zstd_zipfile

from .contender import Contender

__all__ = ["Zip", "ZipBehindMutex", "ZipForEachEvent", "ZipForEachThread", "ZipStored", "ZipZstd"]


class Zip(Contender):
    """The seed of all: `zipfile`, with the manifest parsed."""

    name = "zipfile"
    line = "one `ZipFile` for all threads, with `zipfile`'s own lock; checks each CRC-32"
    format = "zip"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.zip = self._open()
        records = json.loads(self.zip.read(MANIFEST)).get("files") or {}
        self.records: Mapping[str, Mapping[str, Any]] = records
        self.by_url = dict(records_of(records))
        self.find = self.by_url.get
        self.read = self.get = self.zip.read

    def _open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def member(self, name: str) -> str | None:
        """Return the name if the zip has it."""
        return name if name in self.zip.NameToInfo else None

    def record(self, found: str) -> Mapping[str, Any]:
        """Return the manifest's record, parsed at open."""
        return self.records.get(found, {})

    def close(self) -> None:
        """Close the zip."""
        self.zip.close()


class ZipBehindMutex(Zip):
    """What services do whose archive is a cursor."""

    name = "zipfile, mutex"
    line = "one `ZipFile`, and a mutex held from the start of a read to its end"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        lock, read = threading.Lock(), self.zip.read

        def locked(name: str) -> bytes:
            with lock:
                return read(name)

        self.read = self.get = locked


class ZipForEachThread(Zip):
    """No lock, at the price of memory and opens."""

    name = "zipfile, one a thread"
    line = "a `ZipFile` and a parsed manifest for each thread"

    def own(self) -> Self:
        """Return another one."""
        return type(self)(self.path)


class ZipForEachEvent(Zip):
    """Nothing shared, nothing kept."""

    name = "zipfile, reopened"
    line = "opened, manifest included, and closed for each event"


class ZipStored(Zip):
    """No decompression."""

    name = "zip, stored"
    line = "`zipfile` over STORED members"
    format = "zip, stored"


class ZipZstd(Zip):
    """The zip specification's method 93."""

    name = "zip, zstd members"
    line = "`zipfile` of Python 3.14, or `backports.zstd`'s, over zstd members; checks each CRC-32"
    format = "zip, zstd"
    needs = () if hasattr(zipfile, "ZIP_ZSTANDARD") else ("backports.zstd",)

    def _open(self) -> zipfile.ZipFile:
        opened: zipfile.ZipFile = zstd_zipfile().ZipFile(self.path)
        return opened
