"""Files that the contenders read, each made from a SourceBundle zip.

Every format keeps each readable member's content by name, and for each URL the name and the manifest's record
of its file. Where several files have one URL, the one with the greatest name has it, as symbolic decides.
"""

import json
import os
import shutil
import sqlite3
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import zstandard

from srcpack.bundle.members import SourceBundle
from srcpack_convert.one.convert import convert
from srcpack_convert.one.dictionary import choose_dictionary
from srcpack_convert.one.options import DictionaryChoice
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS

__all__ = [
    "FORMATS",
    "MANIFEST",
    "Format",
    "Material",
    "lmdb_key",
    "load",
    "missing",
    "records_of",
    "zstd_zipfile",
]

MANIFEST = "manifest.json"
_HEADER = b"SYSB\x02\0\0\0"
_ZSTD_METHOD = 93
_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, OSError)
"""What `zipfile` raises for damaged, encrypted and strangely compressed members (bz2 raises OSError)."""
_LEVEL = PRESETS[DEFAULT_PRESET].level or 12
"""The default preset's; where another format takes zstd, it takes the same level and kind of dictionary."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a bundle holds, as `zipfile` reads it.

    Attributes:
        contents: Of the readable members, by name.
        by_url: The name of the file that has a URL.
        records: What the manifest says, by name.
        manifest: The bytes of `manifest.json`.
    """

    contents: Mapping[str, bytes]
    by_url: Mapping[str, str]
    records: Mapping[str, Mapping[str, Any]]
    manifest: bytes

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents as a SourceBundle has them, the manifest last."""
        yield from self.contents.items()
        yield MANIFEST, self.manifest


def load(path: Path) -> Material:
    """Read a bundle whole. Members that `zipfile` cannot read are left out."""
    contents: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as bundle:
        for info in bundle.infolist():
            try:
                contents[info.filename] = bundle.read(info)
            except _UNREADABLE:
                continue
    manifest = contents.pop(MANIFEST, b"{}")
    records = json.loads(manifest).get("files") or {}
    winners = dict(records_of(records))
    by_url = {url: name for url, name in winners.items() if name in contents}
    return Material(contents, by_url, records, manifest)


def records_of(records: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield URL and name of the files that have a URL; of several with one URL the winner comes last."""
    for name in sorted(records):
        url = records[name].get("url")
        if url:
            yield url, name


def missing(packages: tuple[str, ...]) -> str | None:
    """Return which of the packages is not installed; None if all are."""
    return next((name for name in packages if not _installed(name)), None)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a dotted name, the package above it
        return False


# ---- formats


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    Attributes:
        name: What tables call it.
        line: What it is.
        make: Makes the file from a bundle.
        compresses: Whether contents are compressed in it.
        needs: Packages without which it cannot be made or read.
    """

    name: str
    line: str
    make: Callable[[Path, Path], object]
    compresses: bool = True
    needs: tuple[str, ...] = field(default=())


def _copy(src: Path, dst: Path) -> None:
    shutil.copyfile(src, dst)


def _zip_stored(src: Path, dst: Path) -> None:
    material = load(src)
    with dst.open("wb") as out:
        out.write(_HEADER)
        with zipfile.ZipFile(out, "w") as target:
            for name, content in material.members():
                target.writestr(zipfile.ZipInfo(name), content)


def _zip_zstd(src: Path, dst: Path) -> None:
    # Python 3.14 writes such members too, but with a new compressor for each, which takes long.
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    material = load(src)
    with dst.open("wb+") as out:
        out.write(_HEADER)
        with zipfile.ZipFile(out, "w") as target:
            for name, content in material.members():
                member = zipfile.ZipInfo(name)
                target.writestr(member, compressor.compress(content))
                member.compress_type = _ZSTD_METHOD
                member.CRC, member.file_size = zlib.crc32(content), len(content)
                end = out.tell()
                out.seek(member.header_offset)
                out.write(member.FileHeader())
                out.seek(end)


def zstd_zipfile() -> Any:
    """Return a `zipfile` that knows zstd: Python 3.14's, else that of `backports.zstd`."""
    if hasattr(zipfile, "ZIP_ZSTANDARD"):
        return zipfile
    return import_module("backports.zstd.zipfile")


def _pack(preset: str, dictionary: DictionaryChoice = "auto") -> Callable[[Path, Path], object]:
    return lambda src, dst: convert(
        src, dst, preset=preset, dictionary=dictionary, jobs=len(os.sched_getaffinity(0)), force=True
    )


def lmdb_key(kind: str, key: str) -> bytes:
    """Return a key of LMDB, which takes 511 bytes at most: longer ones are hashed."""
    raw = f"{kind}{key}".encode("utf-8", "surrogatepass")
    return raw if len(raw) <= 500 else sha256(raw).digest()


def _lmdb(src: Path, dst: Path) -> None:
    lmdb = import_module("lmdb")
    material = load(src)
    dictionary, compress = _zstd(src, material)
    aside = dst.with_suffix(".growing")
    size = sum(map(len, material.contents.values())) + 2048 * (2 * len(material.contents) + 512)
    with lmdb.open(os.fspath(aside), map_size=2 * size, subdir=False, lock=False, sync=False) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b"d", dictionary)
            for name, content in material.contents.items():
                transaction.put(lmdb_key("f", name), compress(content))
            for url, name in material.by_url.items():
                transaction.put(lmdb_key("u", url), _found(name, material.records[name]))
        # Compacted on the way, as somebody would who ships the file.
        descriptor = os.open(dst, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            environment.copyfd(descriptor, compact=True)
        finally:
            os.close(descriptor)
    aside.unlink()


def _sqlar(src: Path, dst: Path) -> None:
    def pack(content: bytes) -> bytes:
        packed = zlib.compress(content)
        return packed if len(packed) < len(content) else content  # as `sqlite3 -A` does

    _sqlite(load(src), dst, pack, None)


def _sqlite_zstd(src: Path, dst: Path) -> None:
    material = load(src)
    dictionary, compress = _zstd(src, material)
    _sqlite(material, dst, compress, dictionary)


def _sqlite(material: Material, dst: Path, pack: Callable[[bytes], bytes], dictionary: bytes | None) -> None:
    with sqlite3.connect(dst) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB)")
        database.execute("CREATE TABLE url(url TEXT PRIMARY KEY, found BLOB) WITHOUT ROWID")
        database.execute("CREATE TABLE dictionary(data BLOB)")
        database.executemany(
            "INSERT INTO sqlar VALUES(?, 33188, 0, ?, ?)",
            ((name, len(content), pack(content)) for name, content in material.contents.items()),
        )
        database.executemany(
            "INSERT INTO url VALUES(?, ?)",
            ((url, _found(name, material.records[name])) for url, name in material.by_url.items()),
        )
        if dictionary is not None:
            database.execute("INSERT INTO dictionary VALUES(?)", (dictionary,))
    database.close()


def _zim(src: Path, dst: Path) -> None:
    writer = import_module("libzim.writer")

    class Item(writer.Item):  # type: ignore[misc,name-defined]
        def __init__(self, path: str, content: bytes) -> None:
            super().__init__()
            self.path, self.content = path, content

        def get_path(self) -> str:
            return self.path

        def get_title(self) -> str:
            return ""

        def get_mimetype(self) -> str:
            return "application/octet-stream"

        def get_contentprovider(self) -> Any:
            return writer.StringProvider(self.content)

        def get_hints(self) -> dict[Any, Any]:
            return {writer.Hint.COMPRESS: True}

    material = load(src)
    with _stdout_to_stderr():  # libzim reports on stdout
        creator = writer.Creator(dst).config_indexing(False, "eng").config_nbworkers(1)
        with creator:
            for name, content in material.contents.items():
                creator.add_item(Item(f"f/{name}", content))
            for url, name in material.by_url.items():
                creator.add_item(Item(f"u/{url}", _found(name, material.records[name])))


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(silent)


def _found(name: str, record: Mapping[str, Any]) -> bytes:
    return json.dumps([name, record], separators=(",", ":")).encode()


def _zstd(src: Path, material: Material) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Return the dictionary that a pack of the bundle has (none: no bytes), and what compresses contents."""
    with SourceBundle(src) as bundle:
        chosen = choose_dictionary(
            bundle,
            sorted(bundle.members.keys() & material.contents.keys()),
            PRESETS[DEFAULT_PRESET].dictionary,
            level=_LEVEL,
            frame_size=PRESETS[DEFAULT_PRESET].frame_size,
        )
    compressor = zstandard.ZstdCompressor(level=_LEVEL, dict_data=chosen, write_checksum=True)
    return (b"" if chosen is None else chosen.as_bytes()), compressor.compress


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("zip", "the SourceBundle as it is: deflated members", _copy),
        Format("zip, stored", "a SourceBundle with STORED members", _zip_stored, False),
        Format("zip, zstd", f"a SourceBundle with zstd members (method 93), level {_LEVEL}", _zip_zstd),
        Format("pack", f"preset `{DEFAULT_PRESET}`", _pack(DEFAULT_PRESET)),
        Format(
            "pack, no dictionary", f"preset `{DEFAULT_PRESET}`, dictionary off", _pack(DEFAULT_PRESET, "off")
        ),
        Format("pack, fast", "preset `fast`", _pack("fast")),
        Format("pack, max", "preset `max`", _pack("max")),
        Format("pack, raw", "preset `raw`: nothing compressed", _pack("raw"), False),
        Format(
            "LMDB",
            f"a key for each file and URL, contents zstd level {_LEVEL} and the pack's dictionary, compacted",
            _lmdb,
            needs=("lmdb",),
        ),
        Format("sqlar", "SQLite archive: zlib, as `sqlite3 -A` makes it, and a table of URLs", _sqlar),
        Format(
            "SQLite, zstd",
            f"the same tables, contents zstd level {_LEVEL} with the pack's dictionary",
            _sqlite_zstd,
        ),
        Format("ZIM", "openZIM: zstd clusters of about 2 MB, as libzim makes them", _zim, needs=("libzim",)),
    )
}
