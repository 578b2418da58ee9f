"""Ways to keep a bundle's files and read them, behind one interface.

All of them find a file by URL and by name and give its bytes whole. Each is checked against what `zipfile`
reads before it is timed. The zips parse `manifest.json` and build a dict of URLs when they are opened, as a
service must.
"""

import json
import mmap
import os
import random
import sqlite3
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from struct import Struct
from typing import Any, ClassVar, Self, TypeVar

import zstandard

import srcpack
from srcpack import ContentCache, Context
from srcpack.format.directory import _BLOCKS
from srcpack.format.lookup_section import _TABLES
from srcpack.format.packfile import _RECORDS
from srcpack.format.zstd_frames import DICTIONARIES
from srcpack.rules.context import get_context
from srcpack.rules.discover import discover_source_map_reference
from srcpack.source.source_of import SourceKind

from .formats import FORMATS, MANIFEST, Material, lmdb_key, missing, records_of, zstd_zipfile

__all__ = [
    "ALL",
    "BY_NAME",
    "CACHED_BYTES",
    "Contender",
    "WrongBytesError",
    "check",
    "clear_caches",
    "lines_around",
    "named",
]

CACHED_BYTES = 32 << 20
"""What the two caches of decoded files may hold, for the whole process."""

_T = TypeVar("_T")


class WrongBytesError(Exception):
    """A contender gave other bytes, or another answer, than `zipfile`."""


class Contender:
    """One way to read a bundle.

    Attributes:
        name: What tables call it.
        line: What it is, and which rules it follows.
        format: Name of the format of its file.
        needs: Packages that it takes beside the format's.
        caches: Whether it keeps decoded files, up to `CACHED_BYTES`.
        find: Returns what `read` takes for the file of a URL; None if there is none.
        member: The same by name.
        read: Returns the bytes of what `find` or `member` gave.
        get: Returns the bytes of a name.
    """

    name: ClassVar[str]
    line: ClassVar[str]
    format: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    caches: ClassVar[bool] = False

    find: Callable[[str], Any]
    member: Callable[[str], Any]
    read: Callable[[Any], bytes]
    get: Callable[[str], bytes]

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def skipped(cls) -> str | None:
        """Return why it cannot run here; None if it can."""
        package = missing((*FORMATS[cls.format].needs, *cls.needs))
        return None if package is None else f"package {package} is missing"

    @classmethod
    def compresses(cls) -> bool:
        """Return whether contents are compressed in its file."""
        return FORMATS[cls.format].compresses

    @classmethod
    def forget(cls) -> None:
        """Drop what the process keeps beside open bundles, as in a fresh process."""

    def own(self) -> Self:
        """Return what another thread is to use: the same, where threads may share it."""
        return self

    def reference(self, found: Any, content: bytes) -> str | None:
        """Return the source map reference of a file that was read: a header's, else the comment's."""
        headers = {key.lower(): value for key, value in (self.record(found).get("headers") or {}).items()}
        reference: str | None = headers.get("sourcemap", headers.get("x-sourcemap"))
        return discover_source_map_reference(content) if reference is None else reference

    def record(self, found: Any) -> Mapping[str, Any]:
        """Return what the manifest says of a file."""
        raise NotImplementedError

    def context(self, found: Any, line: int) -> Context | None:
        """Return a line, from 1, and five lines either side; None if there is no such line."""
        return lines_around(self.read(found), line)

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def named(contenders: "Iterable[type[Contender]]", formats: Iterable[str]) -> "list[type[Contender]]":
    """Return the contenders whose file is of one of the formats."""
    wanted = set(formats)
    return [each for each in contenders if each.format in wanted]


def lines_around(content: bytes, line: int, lines: int = 5) -> Context | None:
    """Return a line of a content and its neighbours; newlines before are counted, not split at."""
    first = max(1, line - lines)
    start = _after_newlines(content, first - 1)
    if start is None:
        return None
    end = start
    for _ in range(line - first + lines + 1):
        end = content.find(b"\n", end) + 1
        if not end:
            end = len(content)
            break
    return get_context(content[start:end].decode(), line - first + 1, 0, lines)


def _after_newlines(content: bytes, count: int) -> int | None:
    """Return the position after so many line feeds; None where there are fewer."""
    at = 0
    step = 1 << 16
    while count:
        here = content.count(b"\n", at, at + step)
        if here < count:
            if at + step >= len(content):
                return None
            count -= here
            at += step
        elif step > 1 << 8:
            step >>= 2
        else:
            for _ in range(count):
                at = content.index(b"\n", at) + 1
            return at
    return at


# ---- zip


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


_END = Struct("<4s4H2LH")
_DIRECTORY = Struct("<4s4x2H4x3L3H8xL")
_LOCAL_NAMES = Struct("<2H")
_END_MAGIC, _DIRECTORY_MAGIC = b"PK\5\6", b"PK\1\2"
_ZIP64_PARTS = 76
"""Bytes of the two records between directory and end, in a zip with over 65,535 members."""


class MappedZip(Contender):
    """What a careful engineer would write today: no cursor, no lock, the directory parsed once."""

    name = "zip, mapped, zlib"
    line = "the zip mapped, directory and manifest parsed once by `struct`, zlib; checks each CRC-32"
    format = "zip"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._view = memoryview(self._map)
        self._places = self._directory()
        self.inflate = self.inflater()
        self.crc32: Callable[[bytes], int] = zlib.crc32
        self.records: Mapping[str, Mapping[str, Any]] = json.loads(self.get(MANIFEST)).get("files") or {}
        self.by_url = dict(records_of(self.records))
        self.find = self.by_url.get
        self.read = self.get

    @classmethod
    def inflater(cls) -> Callable[[Any, int], bytes]:
        """Return what inflates, given deflated bytes and the size they come to."""
        decompress = zlib.decompress
        return lambda data, size: decompress(data, -15, size or 1)

    def get(self, name: str) -> bytes:
        """Return a member's content, checked against its CRC-32."""
        offset, packed, size, crc, method = self._places[name]
        names = sum(_LOCAL_NAMES.unpack_from(self._view, offset + 26))
        start = offset + 30 + names
        data = self._view[start : start + packed]
        content = self.inflate(data, size) if method else bytes(data)
        if len(content) != size or self.crc32(content) != crc:
            raise zipfile.BadZipFile(f"{name}: not the size or CRC-32 of the directory")
        return content

    def member(self, name: str) -> str | None:
        """Return the name if the zip has it."""
        return name if name in self._places else None

    def record(self, found: str) -> Mapping[str, Any]:
        """Return the manifest's record, parsed at open."""
        return self.records.get(found, {})

    def _directory(self) -> dict[str, tuple[int, int, int, int, int]]:
        end = self._map.rfind(_END_MAGIC)
        *_, size, offset, _ = _END.unpack_from(self._map, end)
        at = offset
        if self._map[at : at + 4] != _DIRECTORY_MAGIC:  # something stands before the zip: the header
            at = end - size
            if self._map[at : at + 4] != _DIRECTORY_MAGIC:
                at -= _ZIP64_PARTS
        shift, stop = at - offset, at + size
        view = self._map
        places = {}
        while at < stop:
            magic, flags, method, crc, packed, unpacked, name, extra, comment, place = _DIRECTORY.unpack_from(
                view, at
            )
            if magic != _DIRECTORY_MAGIC or 0xFFFFFFFF in (packed, unpacked, place):
                raise zipfile.BadZipFile(f"{self.path.name}: over 4 GiB, or no directory at {at}")
            at += _DIRECTORY.size
            text = view[at : at + name].decode("utf-8" if flags & 0x800 else "cp437")
            places[text] = (place + shift, packed, unpacked, crc, method)
            at += name + extra + comment
        return places

    def close(self) -> None:
        """Unmap the zip, once nobody has a slice of it any more."""
        del self._view, self._map


class MappedZipIsal(MappedZip):
    """Intel's inflate."""

    name = "zip, mapped, isal"
    line = "the same, inflated and checked by ISA-L"
    needs = ("isal",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.crc32 = import_module("isal.isal_zlib").crc32

    @classmethod
    def inflater(cls) -> Callable[[Any, int], bytes]:
        """Return ISA-L's."""
        decompress = import_module("isal.isal_zlib").decompress
        return lambda data, size: decompress(data, -15, size or 1)


class MappedZipLibdeflate(MappedZip):
    """The fastest inflate there is of whole buffers."""

    name = "zip, mapped, libdeflate"
    line = "the same, inflated and checked by libdeflate"
    needs = ("deflate",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.crc32 = import_module("deflate").crc32

    @classmethod
    def inflater(cls) -> Callable[[Any, int], bytes]:
        """Return libdeflate's."""
        inflate = import_module("deflate").deflate_decompress
        return lambda data, size: bytes(inflate(data, size)) if size else b""


class MappedZipZstd(MappedZip):
    """As fast as a zip gets with zstd and no dictionary."""

    name = "zip, mapped, zstd members"
    line = "the zip with zstd members mapped, directory parsed once, python-zstandard; checks each CRC-32"
    format = "zip, zstd"

    @classmethod
    def inflater(cls) -> Callable[[Any, int], bytes]:
        """Return libzstd's."""
        local = _Local()

        def inflate(data: Any, size: int) -> bytes:
            return local.plain.decompress(data, size)

        return inflate


class MappedZipStored(MappedZip):
    """A zip at its fastest: nothing to inflate."""

    name = "zip, mapped, stored"
    line = "the zip with STORED members mapped, directory parsed once; checks each CRC-32"
    format = "zip, stored"


class _Local(threading.local):
    """A thread's own things: a decompressor without a dictionary, and what a contender puts there."""

    def __init__(self) -> None:
        self.plain = zstandard.ZstdDecompressor()
        self.with_dictionary: zstandard.ZstdDecompressor | None = None


class _Lru:
    """Least recently used first to go, bounded by bytes, behind a lock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path, str], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Path, str], load: Callable[[str], bytes]) -> bytes:
        with self._lock:
            content = self._kept.get(key)
            if content is not None:
                self._kept.move_to_end(key)
                return content
        content = load(key[1])
        if len(content) <= self._limit:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = content
                    self._bytes += len(content)
                    while self._bytes > self._limit:
                        self._bytes -= len(self._kept.popitem(last=False)[1])
        return content


class MappedZipLru(MappedZip):
    """Decoded files kept for the next one."""

    name = "zip, mapped, LRU"
    line = f"zip, mapped, zlib, with {CACHED_BYTES >> 20} MiB of decoded files kept for the process"
    caches = True
    _cache: ClassVar[_Lru] = _Lru(CACHED_BYTES)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        load = super().get
        self.read = self.get = lambda name: self._cache.get((path, name), load)  # type: ignore[method-assign]

    @classmethod
    def forget(cls) -> None:
        """Empty the cache."""
        cls._cache = _Lru(CACHED_BYTES)


class MappedZipStream(MappedZip):
    """For a few lines of a large file: no more is inflated than is wanted."""

    name = "zip, mapped, stops early"
    line = "inflates (by ISA-L, else zlib) until the lines are there; checks nothing of them"
    _STEP = 64 << 10

    def context(self, found: str, line: int) -> Context | None:
        """Inflate up to the lines, keeping only what they may begin in."""
        offset, packed, _, _, method = self._places[found]
        if not method:
            return super().context(found, line)
        module = zlib if missing(("isal",)) else import_module("isal.isal_zlib")
        inflate = module.decompressobj(-15).decompress
        at = offset + 30 + sum(_LOCAL_NAMES.unpack_from(self._view, offset + 26))
        end = at + packed
        first, last = max(1, line - 5), line + 5
        before, kept, newlines = 0, b"", 0
        while at < end and newlines < last:
            step = inflate(self._view[at : min(end, at + self._STEP)])
            at += self._STEP
            here = step.count(b"\n")
            if newlines + here < first - 1:
                before, kept = newlines + here, b""
            else:
                kept += step
            newlines += here
        return lines_around(kept, line - before)


# ---- ours


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


# ---- others


class Lmdb(Contender):
    """The usual key-value store for reading."""

    name = "LMDB"
    line = (
        "zstd values with the pack's dictionary, one environment, a transaction for each read;"
        " libzstd's checksums"
    )
    format = "LMDB"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        lmdb = import_module("lmdb")
        self._environment = environment = lmdb.open(
            os.fspath(path), subdir=False, lock=False, readonly=True, readahead=False, max_spare_txns=16
        )
        with environment.begin() as transaction:
            dictionary = bytes(transaction.get(b"d"))
        self._decoders = _Decoders(dictionary)

    def find(self, url: str) -> list[Any] | None:
        """Return name and record."""
        with self._environment.begin(buffers=True) as transaction:
            found = transaction.get(lmdb_key("u", url))
            return None if found is None else json.loads(bytes(found))

    def member(self, name: str) -> list[Any] | None:
        """Return the name if there is such a key."""
        with self._environment.begin(buffers=True) as transaction:
            return None if transaction.get(lmdb_key("f", name)) is None else [name, {}]

    def get(self, name: str) -> bytes:
        """Decompress a value, straight from the map."""
        with self._environment.begin(buffers=True) as transaction:
            return self._decoders.decompressor().decompress(transaction.get(lmdb_key("f", name)))

    def read(self, found: list[Any]) -> bytes:
        """Return the content of a name."""
        return self.get(found[0])

    def record(self, found: list[Any]) -> Mapping[str, Any]:
        """Return what came with the name."""
        record: Mapping[str, Any] = found[1]
        return record

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()


class _Decoders:
    """A decompressor for each thread, of one dictionary."""

    def __init__(self, dictionary: bytes | None) -> None:
        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        self._local = _Local()
        self._lock = threading.Lock()

    def decompressor(self) -> zstandard.ZstdDecompressor:
        if self._dictionary is None:
            return self._local.plain
        mine = self._local.with_dictionary
        if mine is None:
            with self._lock:  # the first one digests the dictionary
                mine = self._local.with_dictionary = zstandard.ZstdDecompressor(dict_data=self._dictionary)
        return mine


class _Sqlite(Contender):
    """The two SQLite ways: a read-only, immutable, mapped connection for each thread."""

    _GET: ClassVar[str] = "SELECT sz, data FROM sqlar WHERE name = ?"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._database = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        self._database.execute(f"PRAGMA mmap_size={1 << 30}")
        self._execute = self._database.execute
        self._unpack = self._unpacker()

    def _unpacker(self) -> Callable[[int, bytes], bytes]:
        raise NotImplementedError

    def own(self) -> Self:
        """Return another connection: one takes turns."""
        return type(self)(self.path)

    def find(self, url: str) -> list[Any] | None:
        """Return name and record."""
        row = self._execute("SELECT found FROM url WHERE url = ?", (url,)).fetchone()
        return None if row is None else json.loads(row[0])

    def member(self, name: str) -> list[Any] | None:
        """Return the name if there is such a row."""
        row = self._execute("SELECT 1 FROM sqlar WHERE name = ?", (name,)).fetchone()
        return None if row is None else [name, {}]

    def get(self, name: str) -> bytes:
        """Decompress a blob."""
        return self._unpack(*self._execute(self._GET, (name,)).fetchone())

    def read(self, found: list[Any]) -> bytes:
        """Return the content of a name."""
        return self.get(found[0])

    def record(self, found: list[Any]) -> Mapping[str, Any]:
        """Return what came with the name."""
        record: Mapping[str, Any] = found[1]
        return record

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


class SqliteArchive(_Sqlite):
    """SQLite's own archive format."""

    name = "SQLite archive"
    line = "sqlar with a table of URLs, a connection for each thread, mapped; zlib, no checksum but Adler-32"
    format = "sqlar"

    def _unpacker(self) -> Callable[[int, bytes], bytes]:
        decompress = zlib.decompress
        return lambda size, data: data if len(data) == size else decompress(data, 15, size or 1)


class SqliteZstd(_Sqlite):
    """One more: what people who find sqlar's zlib slow reach for, with everything that we have."""

    name = "SQLite, zstd"
    line = "the same tables with zstd blobs and the pack's dictionary; libzstd's checksums"
    format = "SQLite, zstd"

    def _unpacker(self) -> Callable[[int, bytes], bytes]:
        row = self._execute("SELECT data FROM dictionary").fetchone()
        decoders = _Decoders(row[0] if row else None)
        return lambda _, data: decoders.decompressor().decompress(data)


class Zim(Contender):
    """The archive of offline Wikipedia."""

    name = "libzim"
    line = (
        f"a ZIM archive, shared; clusters of many files, of which libzim keeps {CACHED_BYTES >> 20} MiB"
        " decoded for the process; no checksum but libzstd's"
    )
    format = "ZIM"
    caches = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import_module("libzim").set_cluster_cache_max_size(CACHED_BYTES)
        self._archive = import_module("libzim.reader").Archive(path)
        self._has, self._entry = self._archive.has_entry_by_path, self._archive.get_entry_by_path

    def find(self, url: str) -> list[Any] | None:
        """Return name and record."""
        path = f"u/{url}"
        if not self._has(path):
            return None
        return json.loads(bytes(self._entry(path).get_item().content))  # type: ignore[no-any-return]

    @classmethod
    def forget(cls) -> None:
        """Empty libzim's cache of clusters."""
        libzim = import_module("libzim")
        libzim.set_cluster_cache_max_size(0)
        libzim.set_cluster_cache_max_size(CACHED_BYTES)

    def member(self, name: str) -> list[Any] | None:
        """Return the name if there is such an entry."""
        return [name, {}] if self._has(f"f/{name}") else None

    def get(self, name: str) -> bytes:
        """Copy a file out of its cluster."""
        return bytes(self._entry(f"f/{name}").get_item().content)

    def read(self, found: list[Any]) -> bytes:
        """Return the content of a name."""
        return self.get(found[0])

    def record(self, found: list[Any]) -> Mapping[str, Any]:
        """Return what came with the name."""
        record: Mapping[str, Any] = found[1]
        return record


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

_MISSES = ("~/there-is-no-such-file.js", "", "~", "https://example.com/" + "x" * 600)


def check(contender: Contender, material: Material, *, most: int | None = None) -> None:
    """Check that a contender gives what `zipfile` gave, by name and by URL, and misses what is not there.

    Args:
        contender: An open one.
        material: What the bundle holds.
        most: How many files are read; all if None, else so many by chance.

    Raises:
        WrongBytesError: It does not.
    """
    for name in _some(list(material.contents), most):
        found = contender.member(name)
        wanted = material.contents[name]
        if found is None or contender.read(found) != wanted or contender.get(name) != wanted:
            raise WrongBytesError(f"{contender.name}: {name!r} in {contender.path.name}")
    for url in _some(list(material.by_url), most):
        found = contender.find(url)
        if found is None or contender.read(found) != material.contents[material.by_url[url]]:
            raise WrongBytesError(f"{contender.name}: {url!r} in {contender.path.name}")
    for miss in _MISSES:
        if miss not in material.by_url and contender.find(miss) is not None:
            raise WrongBytesError(f"{contender.name}: finds {miss!r} in {contender.path.name}")
        if miss not in material.contents and contender.member(miss) is not None:
            raise WrongBytesError(f"{contender.name}: has {miss!r} in {contender.path.name}")


def _some(items: Sequence[_T], most: int | None) -> Sequence[_T]:
    if most is None or len(items) <= most:
        return items
    return random.Random(1).sample(items, most)
