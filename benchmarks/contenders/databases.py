"""What else keeps many small values in one file: LMDB, SQLite, ZIM."""

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import zstandard

from benchmarks.formats import lmdb_key

from .contender import CACHED_BYTES, Contender, ThreadsOwn

__all__ = ["Lmdb", "SqliteArchive", "SqliteZstd", "Zim"]


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
        self._local = ThreadsOwn()
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
