"""Zips mapped to memory, as a careful engineer would read them today."""

import json
import mmap
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from struct import Struct
from typing import Any, ClassVar

from benchmarks.formats import MANIFEST, missing, records_of
from srcpack import Context

from .contender import CACHED_BYTES, Contender, ThreadsOwn, lines_around

__all__ = [
    "MappedZip",
    "MappedZipIsal",
    "MappedZipLibdeflate",
    "MappedZipLru",
    "MappedZipStored",
    "MappedZipStream",
    "MappedZipZstd",
]

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
        local = ThreadsOwn()

        def inflate(data: Any, size: int) -> bytes:
            return local.plain.decompress(data, size)

        return inflate


class MappedZipStored(MappedZip):
    """A zip at its fastest: nothing to inflate."""

    name = "zip, mapped, stored"
    line = "the zip with STORED members mapped, directory parsed once; checks each CRC-32"
    format = "zip, stored"


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
