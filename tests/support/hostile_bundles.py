"""Bundles that somebody made to do harm: those that are converted, in part or whole, and those refused.

Each is there because of what it costs or writes; what is wrong in one field alone is in `tests/bundle`.
"""

import json
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeAlias

from support.bundle_builder import (
    BUNDLE_HEADER,
    ZipMember,
    build_zip,
    directory_record,
    end64_records,
    end_record,
)

__all__ = ["CONVERTED", "IN_PART", "REFUSED"]

_Builder: TypeAlias = Callable[[], bytes]

_MIB = 1 << 20


def _a(**fields: Any) -> ZipMember:
    return ZipMember(**{"name": "files/a.c", "content": b"int main;\n" * 60, **fields})


def _bundle(*members: ZipMember, manifest: bytes | dict[str, Any] | None = None, **options: Any) -> bytes:
    if manifest is None:
        manifest = {"files": {"files/a.c": {"type": "source", "path": "/a.c"}}}
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    members = (*members, ZipMember(name="manifest.json", content=content))
    return build_zip(members, header=BUNDLE_HEADER, **options)


def _named(names: Iterable[str]) -> bytes:
    return _bundle(*(ZipMember(name=name, content=name.encode()) for name in names), manifest={})


def _fields(fields: bytes) -> bytes:
    """Return a bundle whose manifest says this of its file."""
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{' + fields + b"}}}")


def _many(form: bytes, number: int) -> bytes:
    return b",".join(form % at for at in range(number))


def _content(content: bytes, type_: str = "minified_source") -> bytes:
    return _bundle(_a(content=content), manifest={"files": {"files/a.c": {"type": type_}}})


@cache
def _zeros_deflated(size: int) -> tuple[bytes, int]:
    """Return so many MiB of zeros, deflated as one block for each, and their CRC-32."""
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = compressor.compress(bytes(_MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(size):
        crc = zlib.crc32(bytes(_MIB), crc)
    return block * size + b"\x03\x00", crc


def _zeros(name: str, size: int) -> ZipMember:
    data, crc = _zeros_deflated(size)
    return ZipMember(name=name, data=data, size=size * _MIB, crc=crc)


def _twins(first: ZipMember, number: int, size: int) -> bytes:
    """Return a bundle of a member, and of more that are the same bytes of it."""
    same: dict[str, Any] = {
        "crc": first.crc,
        "content": first.content,
        "local": b"",
        "data": b"",
        "offset": 8,
    }
    same["compressed_size"] = len(first.data or b"")
    return _bundle(first, *(ZipMember(name=f"{at}", size=size, **same) for at in range(number)))


def _zip_in_a_zip() -> bytes:
    inner = _bundle(_a())
    for _ in range(20):
        inner = _bundle(_a(content=inner))
    return inner


def _ends(records: int, ends: int) -> bytes:
    """Each end record leads to the directory, which is wrong behind its last record."""
    end = end_record(0, 8 + 22 * ends, here=records + 1)
    return BUNDLE_HEADER + end * ends + directory_record(b"x") * records + b"and no more"


def _ends64(records: int, ends: int) -> bytes:
    out = BUNDLE_HEADER + directory_record(b"x") * records + b"and no more" + bytes(47)
    for _ in range(ends):
        out += end64_records(records + 1, 8, len(out))
    return out


def _many_records(number: int) -> bytes:
    records = b"".join(directory_record(b"%x" % at) for at in range(number))
    return BUNDLE_HEADER + records + end64_records(number, 8, len(BUNDLE_HEADER + records))


_RATIO = "the ratio of all members' size to the bundle's is "
_SHARED = "the size of members that share their bytes is "
_READ = "the bytes read to find its directory is "
_MARKS = "'manifest.json': the number of quotes and brackets in it, in a bundle of "
_GONE = "the manifest lists it, the zip does not have it"
_STEERING = [
    "\x1b[2J\x1b]0;title\x07", "\u202etxt.exe", "nul\0byte", "\x9b31m", "a\r\nerror: none", "\u2028", "\x7f",
]  # fmt: skip
_LEADING_OUT = [
    "../../outside", "/etc/passwd", "C:\\windows\\system.ini", "\\\\host\\share\\x", "a/../../../b",
    "con", "a:stream", "./x", "a//b", "~root/x",
]  # fmt: skip
_GIVES_NOTHING = ZipMember(name="k", content=b"x", data=b"\0\0\0\xff\xff" * 40_000 + b"\1\1\0\xfe\xffx")

REFUSED: dict[str, tuple[str, _Builder]] = {
    "bomb": (_RATIO + "1,0", lambda: _bundle(_zeros("files/bomb.c", 70))),
    "bomb-of-many": (_RATIO + "9", lambda: _bundle(*(_zeros(f"{number}", 1) for number in range(70)))),
    "bomb-of-twins": (_SHARED, lambda: _twins(_zeros("files/k", 1), 4, _MIB)),
    "deflate-that-gives-nothing-read-by-many": (_SHARED, lambda: _twins(_GIVES_NOTHING, 300, 1)),
    "end-records-of-one-directory": (_READ, lambda: _ends(5000, 3000)),
    "zip64-end-records-of-one-directory": (_READ, lambda: _ends64(4000, 100)),
    "20000-members": ("the number of members is 15,001, over", lambda: _many_records(20_000)),
    "an-attribute-that-steers-a-terminal": (
        "the attribute '\\x1b[31m' has the wrong type",
        lambda: _bundle(manifest={"\x1b[31m": 7}),
    ),
    "a-type-that-steers-a-terminal": (
        "files['\\x1b[31m'].type is unknown at offset 34: found '\\x1b[0m', expected source",
        lambda: _bundle(manifest={"files": {"\x1b[31m": {"type": "\x1b[0m"}}}),
    ),
    "a-surrogate-that-steers-a-terminal": (
        "files['a'].url has a lone surrogate at offset 21: found '\\x9b\\ud800'",
        lambda: _bundle(manifest='{"files":{"a":{"url":"\x9b\\ud800"}}}'.encode()),
    ),
    "a-long-manifest": ("'manifest.json': its size, in a ", lambda: _fields(b" " * (17 * _MIB))),
    "a-deep-manifest": (_MARKS, lambda: _fields(b'"x":' + b"[" * 1_000_000)),
    "a-deep-value-that-does-not-end": (
        "files['files/a.c'].x is not JSON at offset 90027: found '}', expected a value",
        lambda: _fields(b'"x":' + b"[" * 90_000),
    ),
    "100000-files": (
        "the number of files in the manifest is 1",
        lambda: _bundle(manifest=b'{"files":{' + _many(b'"%d":{}', 100_000) + b"}}"),
    ),
}
"""By name, why and how."""

IN_PART: dict[str, tuple[str, _Builder]] = {
    "sizes-that-cannot-be": (
        "bytes cannot unpack to 1,073,741,824",
        lambda: _bundle(*(_a(name=f"{at}", size=1 << 30) for at in range(20)), manifest={}),
    ),
    "names-that-steer-a-terminal": (
        f"'\\n\\x1b[31m' cannot be read: {_GONE}",
        lambda: _bundle(manifest={"files": {name: {} for name in ("\n\x1b[31m", *_STEERING)}}),
    ),
    "a-name-of-64-kib": ("...", lambda: _bundle(manifest={"files": {"a" * 65_535: {}}})),
    "1000-files-of-one-url-and-path": (
        _GONE,
        lambda: _bundle(manifest=b'{"files":{' + _many(b'"%d":{"url":"u","path":"p"}', 1000) + b"}}"),
    ),
}
"""By name, what is said of the first member that cannot be read, and how."""

CONVERTED: dict[str, _Builder] = {
    "bomb-within-the-limits": lambda: _bundle(_zeros("files/a.c", 60)),
    "zip-in-a-zip": _zip_in_a_zip,
    "end-records-in-the-comment": lambda: _bundle(_a(), comment=b"PK\5\6" * (0xFFFF // 4)),
    "2000-members-of-no-bytes": lambda: _bundle(
        *(ZipMember(name=f"{at}") for at in range(2000)), manifest={}
    ),
    "names-that-lead-out": lambda: _named(_LEADING_OUT),
    "names-that-differ-in-case-and-form": lambda: _named(["a", "A", "\u00e9", "e\u0301", "a ", "a"]),
    "members-that-steer-a-terminal": lambda: _named(_STEERING),
    "a-deep-value": lambda: _fields(b'"x":' + b'[1,{"":' * 20_000 + b"1" + b"}]" * 20_000),
    "10000-headers": lambda: _fields(b'"headers":{' + _many(b'"\\u0061%d":""', 10_000) + b"}"),
    "20000-source-links": lambda: _bundle(manifest={"source_links": {f"{at}*": "*" for at in range(20_000)}}),
    "source-links-full-of-stars": lambda: _bundle(
        manifest={"source_links": {"*" * at + "*a*" * 50 + "*": "*" * 10_000 for at in range(300)}}
    ),
    "20000-unknown-keys": lambda: _fields(_many(b'"%d":1e999', 20_000)),
    "a-number-of-a-million-digits": lambda: _fields(b'"x":' + b"9" * 1_000_000),
    "a-url-of-15-mib": lambda: _fields(b'"url":"' + b"u" * (15 * _MIB) + b'"'),
    "a-deep-source-map": lambda: _content(
        b'{"debug_id":"x","a":' + b"[" * 900_000 + b"]" * 900_000 + b"}", "source_map"
    ),
    "a-source-map-of-brackets": lambda: _content(
        b'{"debug_id":null,"a":[' + b"[[]]," * 300_000 + b"1]}", "source_map"
    ),
    "400000-references": lambda: _content(b"//# sourceMappingURL=\n" * 400_000),
    "a-reference-of-spaces": lambda: _content(b"//# sourceMappingURL=" + b" " * (10 * _MIB)),
    "line-feeds-only": lambda: _content(b"\n" * (10 * _MIB)),
}
"""By name."""
