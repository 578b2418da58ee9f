"""Packs: mapped, read by `pread`, without a dictionary, raw, behind a cache."""

from pathlib import Path
from typing import ClassVar

import srcpack
from srcpack import ContentCache, Context
from srcpack.format.directory import _BLOCKS
from srcpack.format.lookup_section import _TABLES
from srcpack.format.packfile import _RECORDS
from srcpack.format.zstd_frames import DICTIONARIES
from srcpack.source.source_of import SourceKind

from .contender import CACHED_BYTES, Contender

__all__ = ["Pack", "PackByPread", "PackRaw", "PackWithCache", "PackWithoutDictionary", "clear_caches"]


def clear_caches() -> None:
    """Forget what the process keeps of packs: entries, blocks, tables, dictionaries, decompressors."""
    _RECORDS.clear()
    _BLOCKS.clear()
    _TABLES.clear()
    DICTIONARIES.clear()


class Pack(Contender):
    """A pack as `srcpack.open` gives it."""

    name = "pack"
    line = "`srcpack.open`: mapped, shared, no lock; checks index, entry and every frame"
    format = "pack"
    source: ClassVar[SourceKind] = "mmap"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.pack = pack = srcpack.open(path, source=self.source)
        self.find = pack.by_url
        self.member = pack.get
        self.read = srcpack.Entry.read
        self.get = lambda name: pack[name].read()

    @classmethod
    def forget(cls) -> None:
        """Empty the process's caches."""
        clear_caches()

    def reference(self, found: srcpack.Entry, content: bytes) -> str | None:
        """Return what the entry has: conversion looked for the comment."""
        del content
        return found.source_mapping_url

    def context(self, found: srcpack.Entry, line: int) -> Context | None:
        """Decode only the frames that hold the lines."""
        return found.context(line)

    def close(self) -> None:
        """Close the pack."""
        self.pack.close()


class PackByPread(Pack):
    """For network file systems, and files that others may truncate."""

    name = "pack, pread"
    line = 'the same with `source="pread"`: nothing is mapped'
    source = "pread"


class PackWithoutDictionary(Pack):
    """What the dictionary costs and gives."""

    name = "pack, no dictionary"
    line = "a pack converted with `--dictionary off`"
    format = "pack, no dictionary"


class PackRaw(Pack):
    """Nothing to decompress."""

    name = "pack, raw"
    line = "a pack of the preset `raw`; checks each part's XXH64"
    format = "pack, raw"


class PackWithCache(Pack):
    """Decoded files kept for the next one."""

    name = "pack, ContentCache"
    line = f"a pack behind a `ContentCache` of {CACHED_BYTES >> 20} MiB for the process"
    caches = True
    _cache: ClassVar[ContentCache] = ContentCache(CACHED_BYTES)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        pack, read = self.pack, self._cache.read
        self.read = read
        self.get = lambda name: read(pack[name])

    @classmethod
    def forget(cls) -> None:
        """Empty this cache too."""
        super().forget()
        cls._cache.clear()
