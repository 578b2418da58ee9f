"""Bundles that somebody made to do harm, and what becomes of each: converted, in part or whole, or refused.

`python -m support.hostile_bundles` converts each, and each zip of the folders that it is given, by the
command line in a process of its own, and prints as Markdown what that took and said.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from support.bundle_builder import (
    BUNDLE_HEADER,
    ZipMember,
    build_zip,
    deflated,
    directory_record,
    end64_records,
    end_record,
    local_header,
)

__all__ = ["HOSTILE", "OPTIONS", "HostileBundle", "Outcome", "convert_in_process"]

CODE = b"int main;\n" * 60
_MIB = 1 << 20


class HostileBundle(NamedTuple):
    """A bundle and what has to become of it.

    Attributes:
        code: What the command exits with: 0 converted, 1 refused, 3 converted but for some members.
        says: What its first line on stderr has in it; "" where there is none.
        build: Makes it.
    """

    code: int
    says: str
    build: Callable[[], bytes]


# ---- parts


def _a(**fields: Any) -> ZipMember:
    return ZipMember(**{"name": "files/a.c", "content": CODE, **fields})


def _manifest(content: bytes | dict[str, Any] | None = None) -> ZipMember:
    if content is None:
        content = {"files": {"files/a.c": {"type": "source", "path": "/a.c"}}}
    return ZipMember(
        name="manifest.json", content=content if isinstance(content, bytes) else json.dumps(content).encode()
    )


def _bundle(*members: ZipMember, manifest: bytes | dict[str, Any] | None = None, **options: Any) -> bytes:
    return build_zip([*members, _manifest(manifest)], header=BUNDLE_HEADER, **options)


def _value(value: bytes) -> bytes:
    """Return a bundle whose manifest has a value under a key that nobody knows."""
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"x":' + value + b"}}}")


def _listing(files: Iterable[bytes]) -> bytes:
    return b'{"files":{' + b",".join(files) + b"}}"


def _content(content: bytes, type_: str = "minified_source") -> bytes:
    return _bundle(_a(content=content), manifest={"files": {"files/a.c": {"type": type_}}})


def _named(names: Iterable[str]) -> bytes:
    return _bundle(*(ZipMember(name=name, content=name.encode()) for name in names), manifest={})


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


def _twins(first: ZipMember, number: int, **fields: Any) -> bytes:
    """Return a bundle of a member, and of more that are the same bytes of it."""
    same: dict[str, Any] = {
        "content": first.content,
        "crc": first.crc,
        "local": b"",
        "data": b"",
        "offset": 8,
    }
    same["compressed_size"] = len(first.data or b"")
    return _bundle(first, *(ZipMember(name=f"files/{at}", **same, **fields) for at in range(number)))


def _quoted_headers() -> bytes:
    """Fifield's: each member's data is a stored block with the next one's header, up to a common kernel."""
    kernel, size = _zeros_deflated(4)[0], 4 * _MIB
    names = [f"files/{number}" for number in range(100)]
    headers = [local_header(name.encode()) for name in names]
    members, length = [], len(kernel)
    for number in reversed(range(len(names))):
        data = kernel
        if number + 1 < len(names):
            quoted = headers[number + 1]
            length += 5 + len(quoted)
            size += len(quoted)
            data = struct.pack("<B2H", 0, len(quoted), 0xFFFF - len(quoted))
        members.append(
            ZipMember(name=names[number], local=headers[number], data=data, size=size, compressed_size=length)
        )
    return _bundle(*reversed(members))


def _in_a_descriptor() -> bytes:
    """The local header has no sizes; they come after the data, and the directory has them."""
    data = deflated(CODE)
    descriptor = struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(CODE), len(data), len(CODE))
    local = local_header(b"files/a.c", flags=8)
    return _bundle(_a(local=local, data=data + descriptor, compressed_size=len(data), flags=8))


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


def _end64_alone(count: int, at: int | None) -> bytes:
    data = BUNDLE_HEADER + directory_record(b"x")
    return data + end64_records(count, 8, len(data) if at is None else at)


def _many_records(number: int) -> bytes:
    records = b"".join(directory_record(b"%x" % at) for at in range(number))
    return BUNDLE_HEADER + records + end64_records(number, 8, len(BUNDLE_HEADER + records))


_RATIO = "the ratio of all members' size to the bundle's is "
_SHARED = "the size of members that share their bytes is "
_READ = "the bytes read to find its directory is "
_MARKS = "'manifest.json': the number of quotes and brackets in it, in a bundle of "
_GONE = "the manifest lists it, the zip does not have it"
_STEERING = [
    "\x1b[2J\x1b]0;title\x07",
    "\u202etxt.exe",
    "nul\0byte",
    "\x9b31m",
    "a\r\nerror: none",
    "\u2028",
    "\x7f",
]
_LEADING_OUT = [
    "../../outside",
    "/etc/passwd",
    "C:\\windows\\system.ini",
    "\\\\host\\share\\x",
    "a/../../../b",
]
_LEADING_OUT += ["con", "a:stream", "./x", "a//b", "~root/x"]
_EMPTY_BLOCKS = b"\0\0\0\xff\xff" * 40_000 + b"\1\1\0\xfe\xffx"
_EIB_SIZE = struct.pack("<2H3Q", 1, 24, 2**64 - 1, len(CODE), 8)
_EIB_OFFSET = struct.pack("<2H3Q", 1, 24, len(CODE), 80, 2**63 - 1)

HOSTILE: dict[str, HostileBundle] = {
    name: HostileBundle(code, says, build)
    for name, code, says, build in (
        # ---- bombs
        ("bomb", 1, _RATIO + "1,0", lambda: _bundle(_zeros("files/bomb.c", 70))),
        ("bomb-within-the-limits", 0, "", lambda: _bundle(_zeros("files/a.c", 60))),
        ("bomb-of-many", 1, _RATIO + "9", lambda: _bundle(*(_zeros(f"{number}", 1) for number in range(70)))),
        ("bomb-of-twins", 1, _RATIO, lambda: _twins(_zeros("files/k", 1), 1000, size=_MIB)),
        ("bomb-of-few-twins", 1, _SHARED, lambda: _twins(_zeros("files/k", 1), 4, size=_MIB)),
        ("bomb-of-quoted-headers", 1, _RATIO, _quoted_headers),
        (
            "deflate-that-gives-nothing-read-by-many",
            1,
            _SHARED,
            lambda: _twins(ZipMember(name="files/k", content=b"x", data=_EMPTY_BLOCKS), 300, size=1),
        ),
        ("zip-in-a-zip", 0, "", _zip_in_a_zip),
        # ---- lies of the zip
        ("size-of-4-gib", 3, "its size is 4,294,967,294, over", lambda: _bundle(_a(size=0xFFFFFFFE))),
        ("size-of-16-eib", 3, "551,615, over", lambda: _bundle(_a(size=0xFFFFFFFF, extra=_EIB_SIZE))),
        ("offset-of-8-eib", 3, "775,807 is past", lambda: _bundle(_a(size=0xFFFFFFFF, extra=_EIB_OFFSET))),
        (
            "size-that-cannot-be",
            3,
            "bytes cannot unpack to 1,073,741,824",
            lambda: _bundle(*(_a(name=f"files/{number}", size=1 << 30) for number in range(20))),
        ),
        ("count-of-2-to-63", 1, "no right zip64 end record", lambda: _end64_alone(2**63, None)),
        ("locator-past-the-end", 1, "the zip64 locator is wrong", lambda: _end64_alone(1, 2**64 - 1)),
        (
            "empty-end-record-behind",
            1,
            "the zip has no manifest.json",
            lambda: _bundle(_a()) + end_record(0, 0),
        ),
        ("end-records-in-the-comment", 0, "", lambda: _bundle(_a(), comment=b"PK\5\6" * (0xFFFF // 4))),
        ("end-records-of-one-directory", 1, _READ, lambda: _ends(5000, 3000)),
        ("zip64-end-records-of-one-directory", 1, _READ, lambda: _ends64(4000, 100)),
        (
            "directory-of-20000-records",
            1,
            "the number of members is 15,001, over",
            lambda: _many_records(20_000),
        ),
        (
            "members-of-no-bytes-2000-of-them",
            0,
            "",
            lambda: _bundle(*(ZipMember(name=f"{at}", stored=True) for at in range(2000)), manifest={}),
        ),
        (
            "noise",
            1,
            "the zip has no end record",
            lambda: BUNDLE_HEADER + zlib.compress(bytes(range(256)) * 999),
        ),
        ("sizes-in-a-data-descriptor", 0, "", _in_a_descriptor),
        # ---- names
        ("names-that-lead-out", 0, "", lambda: _named(_LEADING_OUT)),
        (
            "names-that-differ-in-case-and-form",
            0,
            "",
            lambda: _named(["a", "A", "\u00e9", "e\u0301", "a ", "a"]),
        ),
        ("members-that-steer-a-terminal", 0, "", lambda: _named(_STEERING)),
        (
            "names-that-steer-a-terminal",
            3,
            f"'\\n\\x1b[31m' cannot be read: {_GONE}",
            lambda: _bundle(manifest={"files": {name: {} for name in ("\n\x1b[31m", *_STEERING)}}),
        ),
        (
            "an-attribute-that-steers-a-terminal",
            1,
            "the attribute '\\x1b[31m' has the wrong type",
            lambda: _bundle(manifest={"\x1b[31m": 7}),
        ),
        (
            "a-type-that-steers-a-terminal",
            1,
            "files['\\x1b[31m'].type is unknown at offset 34: found '\\x1b[0m', expected source",
            lambda: _bundle(manifest={"files": {"\x1b[31m": {"type": "\x1b[0m"}}}),
        ),
        (
            "a-surrogate-that-steers-a-terminal",
            1,
            "files['a'].url has a lone surrogate at offset 21: found '\\x9b\\ud800'",
            lambda: _bundle(manifest='{"files":{"a":{"url":"\x9b\\ud800"}}}'.encode()),
        ),
        ("a-name-of-64-kib", 3, "...", lambda: _bundle(manifest={"files": {"a" * 65_535: {}}})),
        ("a-name-not-utf8", 0, "", lambda: _bundle(_a(name=b"files/\xff\xfe", flags=1 << 11), manifest={})),
        # ---- manifests
        (
            "a-long-manifest",
            1,
            "'manifest.json': its size, in a bundle of ",
            lambda: _value(b" " * (17 * _MIB)),
        ),
        ("a-deep-manifest", 1, _MARKS, lambda: _value(b"[" * 1_000_000)),
        ("a-deep-value", 0, "", lambda: _value(b'[1,{"":' * 20_000 + b"1" + b"}]" * 20_000)),
        ("a-deep-value-that-does-not-end", 1, "is not JSON at offset 90027", lambda: _value(b"[" * 90_000)),
        (
            "a-deep-attribute",
            1,
            "'x' has the wrong type",
            lambda: _bundle(_a(), manifest=b'{"x":' + b"[" * 90_000),
        ),
        (
            "100000-files",
            1,
            "the number of files in the manifest is 1",
            lambda: _bundle(manifest=_listing(b'"%d":{"path":"/%d"}' % (at, at) for at in range(100_000))),
        ),
        (
            "files-of-one-url-and-path",
            3,
            _GONE,
            lambda: _bundle(manifest=_listing(b'"%d":{"url":"u","path":"p"}' % at for at in range(1000))),
        ),
        (
            "a-million-quotes",
            1,
            _MARKS,
            lambda: _bundle(manifest=b'{"files":{"a":{"headers":{' + b'"":"",' * 250_000 + b'"":""}}}}'),
        ),
        (
            "10000-headers",
            0,
            "",
            lambda: _bundle(
                _a(),
                manifest=_listing(
                    [
                        b'"files/a.c":{"headers":{'
                        + b",".join(b'"\\u0061%d":""' % at for at in range(10_000))
                        + b"}}"
                    ]
                ),
            ),
        ),
        (
            "20000-source-links",
            0,
            "",
            lambda: _bundle(manifest={"source_links": {f"{at}*": "*" for at in range(20_000)}}),
        ),
        (
            "source-links-full-of-stars",
            0,
            "",
            lambda: _bundle(
                manifest={"source_links": {"*" * at + "*a*" * 50 + "*": "*" * 10_000 for at in range(300)}}
            ),
        ),
        (
            "20000-unknown-keys",
            0,
            "",
            lambda: _bundle(
                _a(),
                manifest=_listing(
                    [b'"files/a.c":{' + b",".join(b'"%d":1e999' % at for at in range(20_000)) + b"}"]
                ),
            ),
        ),
        ("a-number-of-a-million-digits", 0, "", lambda: _value(b"9" * 1_000_000)),
        (
            "a-url-of-15-mib",
            0,
            "",
            lambda: _bundle(_a(), manifest={"files": {"files/a.c": {"url": "u" * (15 * _MIB)}}}),
        ),
        # ---- contents
        (
            "a-deep-source-map",
            0,
            "",
            lambda: _content(b'{"debug_id":"x","a":' + b"[" * 900_000 + b"]" * 900_000 + b"}", "source_map"),
        ),
        (
            "a-source-map-of-brackets",
            0,
            "",
            lambda: _content(b'{"debug_id":null,"a":[' + b"[[]]," * 300_000 + b"1]}", "source_map"),
        ),
        ("400000-references", 0, "", lambda: _content(b"//# sourceMappingURL=\n" * 400_000)),
        ("a-reference-of-spaces", 0, "", lambda: _content(b"//# sourceMappingURL=" + b" " * (10 * _MIB))),
        ("line-feeds-only", 0, "", lambda: _content(b"\n" * (10 * _MIB))),
    )
}
"""By name; the command has `OPTIONS`."""

OPTIONS = ("--jobs", "1", "--max-files", "15000")


# ---- converting


class Outcome(NamedTuple):
    """What became of a command.

    Attributes:
        code: What it exited with; negative for a signal.
        out: What it wrote on stdout.
        err: What it wrote on stderr.
        seconds: CPU time.
        memory: Most bytes of memory at once.
    """

    code: int
    out: str
    err: str
    seconds: float
    memory: int


# What a process took at most includes what its parent had when it began: so the parent is a small one.
_LAUNCHER = """
import os, resource, sys
report, seconds, most, *command = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
if sys.platform == "linux":  # elsewhere it is not heeded
    resource.setrlimit(resource.RLIMIT_DATA, (int(most), int(most)))
_, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(int(report), "w") as out:
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, memory, file=out)
"""


def convert_in_process(
    source: Path, output: Path, *options: str, seconds: int = 60, most: int = 1 << 30
) -> Outcome:
    """Run `srcpack convert` as a process in the output's folder, which it has for temporary files too.

    Args:
        source: The zip, or a folder of zips.
        output: The pack to be, or the folder of packs.
        options: Of the command.
        seconds: CPU time after which it, or a process that it starts, is killed.
        most: Bytes of memory that it, and each process that it starts, may have.
    """
    command = [sys.executable, "-m", "srcpack_convert", "convert", str(source), "-o", str(output), *options]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    read_end, write_end = os.pipe()
    with open(read_end) as report:
        try:
            launched = subprocess.run(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    _LAUNCHER,
                    str(write_end),
                    str(seconds),
                    str(most),
                    *command,
                ],
                cwd=output.parent,
                env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(output.parent)},
                capture_output=True,
                check=True,
                pass_fds=[write_end],
            )
        finally:
            os.close(write_end)
        code, taken, memory = report.read().split()
    return Outcome(int(code), launched.stdout.decode(), launched.stderr.decode(), float(taken), int(memory))


def _line(name: str, bundle: Path, folder: Path) -> str:
    outcome = convert_in_process(bundle, folder / "a.srcpack", "--force", *OPTIONS)
    said = outcome.err.replace(f"{bundle}: ", "").splitlines()
    first = said[0] if said else ""
    if len(first) > 140:
        first = first[:140] + "..."
    return (
        f"| {name} | {bundle.stat().st_size:,} | {outcome.code} | {outcome.seconds:.1f} "
        f"| {outcome.memory / 1e6:.0f} | {first.replace('|', '&#124;').replace('`', ' ')} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert all hostile bundles, and the zips of some folders, and print what it took."""
    parser = argparse.ArgumentParser(description="Convert hostile bundles, and say what each took.")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="folders of more zips")
    parser.add_argument("--only", metavar="PART", default="", help="only those whose name has this in it")
    given = parser.parse_args(arguments)
    print("| bundle | bytes | exit code | CPU seconds | MB of memory | first line on stderr |")
    print("|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, hostile in HOSTILE.items():
            if given.only in kind:
                bundle = folder / "a.zip"
                bundle.write_bytes(hostile.build())
                print(_line(kind, bundle, folder), flush=True)
        for each in given.folders:
            for bundle in sorted(each.resolve().glob("*.zip")):
                if given.only in bundle.stem:
                    print(_line(bundle.stem, bundle, folder), flush=True)


if __name__ == "__main__":
    main()
