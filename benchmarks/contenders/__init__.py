"""Ways to keep a bundle's files and read them, behind one interface.

All of them find a file by URL and by name and give its bytes whole. Each is checked against what `zipfile`
reads before it is timed. The zips parse `manifest.json` and build a dict of URLs when they are opened, as a
service must.
"""

from collections.abc import Mapping

from .contender import CACHED_BYTES, Contender, WrongBytesError, check, lines_around, named
from .databases import Lmdb, SqliteArchive, SqliteZstd, Zim
from .mapped_zips import (
    MappedZip,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipLru,
    MappedZipStored,
    MappedZipStream,
    MappedZipZstd,
)
from .packs import Pack, PackByPread, PackRaw, PackWithCache, PackWithoutDictionary, clear_caches
from .zips import Zip, ZipBehindMutex, ZipForEachEvent, ZipForEachThread, ZipStored, ZipZstd

__all__ = [
    "ALL",
    "BY_NAME",
    "CACHED_BYTES",
    "Contender",
    "Lmdb",
    "MappedZip",
    "MappedZipIsal",
    "MappedZipLibdeflate",
    "MappedZipLru",
    "MappedZipStored",
    "MappedZipStream",
    "MappedZipZstd",
    "Pack",
    "PackByPread",
    "PackRaw",
    "PackWithCache",
    "PackWithoutDictionary",
    "SqliteArchive",
    "SqliteZstd",
    "WrongBytesError",
    "Zim",
    "Zip",
    "ZipBehindMutex",
    "ZipForEachEvent",
    "ZipForEachThread",
    "ZipStored",
    "ZipZstd",
    "check",
    "clear_caches",
    "lines_around",
    "named",
]

ALL: tuple[type[Contender], ...] = (
    Zip,
    ZipBehindMutex,
    ZipForEachThread,
    ZipForEachEvent,
    ZipStored,
    ZipZstd,
    MappedZip,
    MappedZipIsal,
    MappedZipLibdeflate,
    MappedZipZstd,
    MappedZipStored,
    MappedZipStream,
    MappedZipLru,
    Pack,
    PackByPread,
    PackWithoutDictionary,
    PackRaw,
    PackWithCache,
    Lmdb,
    SqliteArchive,
    SqliteZstd,
    Zim,
)
BY_NAME: Mapping[str, type[Contender]] = {each.name: each for each in ALL}
