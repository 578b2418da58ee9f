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
from typing import Any, NamedTuple, TypeAlias

from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_zip

__all__ = ["HOSTILE", "HostileBundle", "Outcome", "convert_in_process"]

_Builder: TypeAlias = Callable[[], bytes]

CODE = b"int main;\n" * 60
_MIB = 1 << 20


class HostileBundle(NamedTuple):
    """A bundle and what has to become of it.

    Attributes:
        build: Makes it.
        code: What the command exits with: 0 converted, 1 refused, 3 converted but for some members.
        says: What its first line on stderr has in it; "" where there is none.
        slow: Whether that takes seconds.
    """

    build: _Builder
    code: int
    says: str
    slow: bool


HOSTILE: dict[str, HostileBundle] = {}
"""By name; tests convert each."""


def _hostile(code: int, says: str = "", *, slow: bool = False) -> Callable[[_Builder], _Builder]:
    def add(build: _Builder) -> _Builder:
        HOSTILE[build.__name__.replace("_", "-")] = HostileBundle(build, code, says, slow)
        return build

    return add


# ---- parts


def _a(**fields: Any) -> ZipMember:
    return ZipMember(**{"name": "files/a.c", "content": CODE, **fields})


def _manifest(content: bytes | dict[str, Any] | None = None, **fields: Any) -> ZipMember:
    if content is None:
        content = {"files": {"files/a.c": {"type": "source", "path": "/a.c"}}}
    packed = content if isinstance(content, bytes) else json.dumps(content).encode()
    return ZipMember(name="manifest.json", content=packed, **fields)


def _bundle(*members: ZipMember, manifest: bytes | dict[str, Any] | None = None, **options: Any) -> bytes:
    return build_zip([*members, _manifest(manifest)], header=BUNDLE_HEADER, **options)


def _listing(files: Iterable[bytes]) -> bytes:
    return b'{"files":{' + b",".join(files) + b"}}"


@cache
def _deflated_zeros(size: int) -> tuple[bytes, int]:
    """Return so many MiB of zeros, deflated as one block for each, and their CRC-32."""
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = compressor.compress(bytes(_MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(size):
        crc = zlib.crc32(bytes(_MIB), crc)
    return block * size + b"\x03\x00", crc


def _zeros(name: str, size: int) -> ZipMember:
    data, crc = _deflated_zeros(size)
    return ZipMember(name=name, data=data, size=size * _MIB, crc=crc)


def _record(name: bytes, *, offset: int = 8, flags: int = 0, size: int = 0) -> bytes:
    fields = (20, 20, flags, 0, 0, 0, 0, size, size, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + name


def _end(records_here: int, records: int, offset: int, comment: bytes = b"") -> bytes:
    counts = (0, 0, records_here, records, 0, offset, len(comment))
    return struct.pack("<4s4H2LH", b"PK\5\6", *counts) + comment


def _end64(records: int, offset: int, at: int) -> bytes:
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, records, records, 0, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    return end + locator + _end(0xFFFF, 0xFFFF, 0xFFFFFFFF)


# ---- bombs


@_hostile(1, "the ratio of all members' size to the bundle's is 1,0", slow=True)
def bomb() -> bytes:
    return _bundle(_zeros("files/bomb.c", 1024))


@_hostile(0)
def bomb_within_the_limits() -> bytes:
    return _bundle(_zeros("files/a.c", 60))


@_hostile(1, "the ratio of all members' size to the bundle's is 926, over the limit of 200")
def bomb_of_many_members() -> bytes:
    return _bundle(*(_zeros(f"files/{number}", 1) for number in range(70)))


@_hostile(1, "the ratio of all members' size to the bundle's is")
def bomb_of_members_that_are_the_same_bytes() -> bytes:
    first = _zeros("files/k", 1)
    same: dict[str, Any] = {"local": b"", "data": b"", "offset": 8, "size": _MIB, "crc": first.crc}
    twins = [
        ZipMember(name=f"files/{number}", compressed_size=len(first.data or b""), **same)
        for number in range(2000)
    ]
    return _bundle(first, *twins)


@_hostile(1, "the ratio of all members' size to the bundle's is")
def bomb_of_quoted_headers() -> bytes:
    """Fifield's: each member's data is a stored block with the next one's header, up to a common kernel."""
    kernel, size = _deflated_zeros(4)[0], 4 * _MIB
    names = [f"files/{number}" for number in range(100)]
    headers = [
        struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 0, 0, len(name), 0) + name.encode()
        for name in names
    ]
    members, length = [], len(kernel)
    for number in reversed(range(len(names))):
        if number + 1 < len(names):
            quoted = headers[number + 1]
            length += 5 + len(quoted)
            size += len(quoted)
            data = struct.pack("<B2H", 0, len(quoted), 0xFFFF - len(quoted))
        else:
            data = kernel
        member = ZipMember(
            name=names[number], local=headers[number], data=data, size=size, compressed_size=length
        )
        members.append(member)
    return _bundle(*reversed(members))


@_hostile(1, "the compressed size of all members is")
def deflate_that_gives_nothing_read_by_many() -> bytes:
    """Empty blocks: megabytes that inflate to a byte, and thousands of members that are the same ones."""
    data = b"\0\0\0\xff\xff" * 400_000 + b"\1\1\0\xfe\xffx"
    first = ZipMember(name="files/k", content=b"x", data=data)
    same: dict[str, Any] = {
        "content": b"x",
        "local": b"",
        "data": b"",
        "offset": 8,
        "compressed_size": len(data),
    }
    return _bundle(first, *(ZipMember(name=f"files/{number}", **same) for number in range(3000)))


@_hostile(0)
def zip_in_a_zip() -> bytes:
    inner = _bundle(_a())
    for _ in range(20):
        inner = _bundle(ZipMember(name="files/a.c", content=inner))
    return inner


# ---- lies of the zip


@_hostile(3, "its size is 4,294,967,294, over the limit of 1,073,741,824")
def size_of_4_gib() -> bytes:
    return _bundle(_a(size=0xFFFFFFFE))


@_hostile(3, "its size is 18,446,744,073,709,551,615, over the limit of")
def size_of_16_eib() -> bytes:
    extra = struct.pack("<2H3Q", 1, 24, 2**64 - 1, len(CODE), 8)
    return _bundle(_a(size=0xFFFFFFFF, extra=extra))


@_hostile(3, "its local header at offset 9,223,372,036,854,775,807 is past the end")
def offset_of_8_eib() -> bytes:
    extra = struct.pack("<2H3Q", 1, 24, len(CODE), 80, 2**63 - 1)
    return _bundle(_a(size=0xFFFFFFFF, extra=extra))


@_hostile(3, "it unpacks to more than the 10 bytes that the directory says")
def size_too_small() -> bytes:
    return _bundle(_a(size=10))


@_hostile(3, "bytes cannot unpack to 1,073,741,824")
def size_that_cannot_be() -> bytes:
    return _bundle(*(_a(name=f"files/{number}", size=1 << 30) for number in range(20)))


@_hostile(3, "it is stored in 600 bytes, its size is 700")
def stored_size_that_differs() -> bytes:
    return _bundle(_a(stored=True, size=700))


@_hostile(3, "it overlaps what begins at offset")
def overlap() -> bytes:
    return _bundle(_a(stored=True, size=800, compressed_size=800))


@_hostile(1, "there is no right zip64 end record where its locator says")
def count_of_2_to_63() -> bytes:
    data = BUNDLE_HEADER + _record(b"x")
    return data + _end64(2**63, 8, len(data))


@_hostile(1, "the zip64 locator is wrong")
def locator_past_the_end() -> bytes:
    data = BUNDLE_HEADER + _record(b"x")
    return data + _end64(1, 8, 2**64 - 1)


@_hostile(1, "the zip is one of several parts")
def several_disks() -> bytes:
    data = _bundle(_a())
    return data[:-18] + b"\1\0\0\0" + data[-14:]


@_hostile(1, "the zip has no manifest.json")
def an_empty_end_record_behind_the_right_one() -> bytes:
    return _bundle(_a()) + _end(0, 0, 0)


@_hostile(0)
def end_records_in_the_comment() -> bytes:
    return _bundle(_a(), comment=(b"PK\5\6" * (0xFFFF // 4)))


@_hostile(1, "the number of records in its directories is 1,000,001", slow=True)
def end_records_of_one_directory_that_is_wrong() -> bytes:
    """Each is tried, and each time all records but the last are right."""
    ends = 3000
    directory = _record(b"x") * 65_534 + b"and no more"
    return BUNDLE_HEADER + _end(0xFFFF, 0, 8 + 22 * ends) * ends + directory


@_hostile(1, "the number of records in its directories is 1,000,001", slow=True)
def zip64_end_records_of_one_directory_that_is_wrong() -> bytes:
    records = 200_000
    out = bytearray(BUNDLE_HEADER + _record(b"x") * records + b"and no more" + bytes(47))
    for _ in range(100):
        out += _end64(records + 1, 8, len(out))
    return bytes(out)


@_hostile(1, "the number of members is 500,001, over the limit of 500,000", slow=True)
def directory_of_600000_records() -> bytes:
    records = b"".join(_record(b"%x" % number) for number in range(600_000))
    data = BUNDLE_HEADER + records
    return data + _end64(600_000, 8, len(data))


@_hostile(0, slow=True)
def members_of_no_bytes_100000_of_them() -> bytes:
    return _bundle(*(ZipMember(name=f"{number}", stored=True) for number in range(100_000)), manifest={})


@_hostile(1, "the end record is cut off")
def last_byte_missing() -> bytes:
    return _bundle(_a())[:-1]


@_hostile(1, "the zip has no end record")
def a_header_and_noise() -> bytes:
    return BUNDLE_HEADER + zlib.compress(bytes(range(256)) * 999) * 50


@_hostile(1, "not a SourceBundle")
def another_archive() -> bytes:
    return b"7z\xbc\xaf\x27\x1c" + bytes(500)


@_hostile(1, "an empty file")
def nothing() -> bytes:
    return b""


@_hostile(3, "it is encrypted")
def encrypted() -> bytes:
    return _bundle(_a(flags=1))


@_hostile(1, "'manifest.json': it is encrypted")
def encrypted_manifest() -> bytes:
    return build_zip([_a(), _manifest(flags=1)], header=BUNDLE_HEADER)


@_hostile(3, "its compression method is 9, not 0 (stored) or 8 (deflated)")
def deflate64() -> bytes:
    return _bundle(_a(method=9))


@_hostile(1, "a member has method 99 (AES) without the extra field for it")
def aes_without_its_field() -> bytes:
    return _bundle(_a(method=99))


@_hostile(3, "its CRC-32 is")
def wrong_crc() -> bytes:
    return _bundle(_a(crc=1))


@_hostile(3, "it is not deflate data")
def noise_for_deflate() -> bytes:
    return _bundle(_a(data=b"\xff" * 30))


@_hostile(0)
def sizes_in_a_data_descriptor() -> bytes:
    """The local header has none; they come after the data, and the directory has them."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = compressor.compress(CODE) + compressor.flush()
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0, 0, 9, 0) + b"files/a.c"
    descriptor = struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(CODE), len(data), len(CODE))
    return _bundle(_a(local=local, data=data + descriptor, compressed_size=len(data), flags=8))


@_hostile(1, "the manifest is not JSON at offset 0: found '/', expected an object")
def manifest_that_is_a_link() -> bytes:
    return build_zip([_manifest(b"/etc/passwd", stored=True)], header=BUNDLE_HEADER)


# ---- names


@_hostile(0)
def names_that_lead_out() -> bytes:
    names = [
        "../../outside",
        "/etc/passwd",
        "C:\\windows\\system.ini",
        "\\\\host\\share\\x",
        "a/../../../b",
        "con",
        "a:stream",
        "./x",
        "a//b",
        "~root/x",
    ]
    return _bundle(*(ZipMember(name=name, content=name.encode()) for name in names), manifest={})


_STEERING = [
    "\x1b[2J\x1b]0;title\x07",
    "\u202etxt.exe",
    "nul\0byte",
    "\x9b31m",
    "line\r\nerror: none",
    "\u2028",
    "\x7f",
]


@_hostile(3, "'\\n\\x1b[31m' cannot be read: the manifest lists it, the zip does not have it")
def names_that_steer_a_terminal() -> bytes:
    return _bundle(manifest={"files": {name: {} for name in ("\n\x1b[31m", *_STEERING)}})


@_hostile(0)
def members_that_steer_a_terminal() -> bytes:
    return _bundle(*(ZipMember(name=name, content=b"x") for name in _STEERING), manifest={})


@_hostile(1, "the attribute '\\x1b[31m' has the wrong type")
def an_attribute_that_steers_a_terminal() -> bytes:
    return _bundle(manifest={"\x1b[31m": 7})


@_hostile(1, "files['\\x1b[31m'].type is unknown at offset 34: found '\\x1b[0m', expected source")
def a_type_that_steers_a_terminal() -> bytes:
    return _bundle(manifest={"files": {"\x1b[31m": {"type": "\x1b[0m"}}})


@_hostile(3, "...")
def a_name_of_64_kib() -> bytes:
    return _bundle(manifest={"files": {"a" * 65_535: {}}})


@_hostile(0)
def names_that_differ_in_case_and_form() -> bytes:
    names = ["a.js", "A.js", "\u00e9", "e\u0301", "a.js ", "a.js"]
    return _bundle(*(ZipMember(name=name, content=name.encode()) for name in names), manifest={})


@_hostile(0)
def a_name_that_is_not_utf8() -> bytes:
    return _bundle(_a(name=b"files/\xff\xfe", flags=1 << 11), manifest={})


# ---- manifests


@_hostile(1, "bytes, is 16,777,217, over the limit of 16,777,216")
def a_deep_manifest_of_60_mib() -> bytes:
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"x":' + b"[" * (60 * _MIB))


@_hostile(1, "the number of quotes and brackets in it is", slow=True)
def a_deep_manifest_of_10_mib() -> bytes:
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"x":' + b"[" * (10 * _MIB))


@_hostile(0)
def a_deep_value_of_an_unknown_key() -> bytes:
    deep = b'[1,{"":' * 100_000 + b"1" + b"}]" * 100_000
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"x":' + deep + b"}}}")


@_hostile(1, "not JSON at offset 1000028")
def a_deep_value_that_does_not_end() -> bytes:
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"x": ' + b"[" * 1_000_000)


@_hostile(1, "the attribute 'x' has the wrong type")
def a_deep_attribute() -> bytes:
    return _bundle(_a(), manifest=b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@_hostile(1, "'manifest.json': its size, in a bundle of 4,606,962 bytes, is 18,427,849, over the limit of")
def a_million_files() -> bytes:
    return _bundle(manifest=_listing(b'"files/%d":{"path":"/%d"}' % (n, n) for n in range(1_000_000)))


@_hostile(1, "the number of files that the manifest lists and the zip does not have is 300,000", slow=True)
def files_that_are_not_there() -> bytes:
    return _bundle(manifest=_listing(b'"%d":{}' % number for number in range(300_000)))


@_hostile(3, "the manifest lists it, the zip does not have it", slow=True)
def files_of_one_url_and_path() -> bytes:
    return _bundle(manifest=_listing(b'"%d":{"url":"u","path":"p"}' % number for number in range(60_000)))


@_hostile(1, "the number of quotes and brackets in it is 4,000,0")
def a_million_headers() -> bytes:
    headers = b",".join(b'"h%d":""' % number for number in range(1_000_000))
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"headers":{' + headers + b"}}}}")


@_hostile(0, slow=True)
def headers_300000_of_them() -> bytes:
    headers = b",".join(b'"h\\u0061%d":""' % number for number in range(300_000))
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"headers":{' + headers + b"}}}}")


@_hostile(0, slow=True)
def source_links_400000_of_them() -> bytes:
    links = b",".join(b'"%d*":"*"' % number for number in range(400_000))
    return _bundle(_a(), manifest=b'{"source_links":{' + links + b"}}")


@_hostile(0)
def source_links_full_of_stars() -> bytes:
    links = {"*" * number + "*a*" * 50 + "*": "*" * 10_000 for number in range(300)}
    return _bundle(_a(), manifest={"source_links": links})


@_hostile(0, slow=True)
def unknown_keys_600000_of_them() -> bytes:
    keys = b",".join(b'"%d":1e999' % number for number in range(600_000))
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{' + keys + b"}}}")


@_hostile(0)
def a_number_of_a_million_digits() -> bytes:
    return _bundle(_a(), manifest=b'{"files":{"files/a.c":{"x":' + b"9" * 1_000_000 + b"}}}")


@_hostile(0)
def a_url_of_15_mib() -> bytes:
    return _bundle(_a(), manifest={"files": {"files/a.c": {"url": "u" * (15 * _MIB)}}})


@_hostile(1, "is given twice")
def a_key_twice() -> bytes:
    return _bundle(_a(), manifest=b'{"files":{},"files":{}}')


@_hostile(1, "found 0xef, expected an object")
def byte_order_mark() -> bytes:
    return _bundle(_a(), manifest=b"\xef\xbb\xbf{}")


@_hostile(1, "is not UTF-8")
def manifest_that_is_not_utf8() -> bytes:
    return _bundle(_a(), manifest=b'{"files":{"\xff":{}}}')


@_hostile(1, "has a lone surrogate")
def lone_surrogate() -> bytes:
    return _bundle(_a(), manifest=b'{"a":"\\ud800"}')


@_hostile(1, "has the wrong type at offset 5: found a number, expected a string")
def attribute_that_is_a_number() -> bytes:
    return _bundle(_a(), manifest=b'{"a":1}')


# ---- contents


def _content(content: bytes, type_: str) -> bytes:
    return _bundle(_a(content=content), manifest={"files": {"files/a.c": {"type": type_}}})


@_hostile(0)
def a_deep_source_map() -> bytes:
    return _content(b'{"debug_id":"x","a":' + b"[" * 300_000 + b"]" * 300_000 + b"}", "source_map")


@_hostile(0)
def references_2_million_of_them() -> bytes:
    return _content(b"//# sourceMappingURL=\n" * 2_000_000, "minified_source")


@_hostile(0)
def a_reference_of_40_mib_of_spaces() -> bytes:
    return _content(b"//# sourceMappingURL=" + b" " * (40 * _MIB), "minified_source")


@_hostile(0)
def line_feeds_only() -> bytes:
    return _content(b"\n" * (40 * _MIB), "minified_source")


# ---- converting


class Outcome(NamedTuple):
    """What became of a conversion by the command line.

    Attributes:
        code: What it exited with; negative for a signal.
        out: What it wrote on stdout.
        err: What it wrote on stderr.
        seconds: CPU time.
        memory: Most bytes of memory at once.
    """

    code: int
    out: bytes
    err: bytes
    seconds: float
    memory: int


# What a process took at most includes what its parent had when it began: so the parent is a small one.
_LAUNCHER = """
import os, resource, sys
report, seconds, *command = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
_, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(int(report), "w") as out:
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, memory, file=out)
"""


def convert_in_process(bundle: Path, pack: Path, *options: str, seconds: int = 60) -> Outcome:
    """Run `srcpack convert` as a process in the pack's folder, which it has for temporary files too.

    Args:
        bundle: The zip.
        pack: The pack to be.
        options: Of the command.
        seconds: CPU time after which it is killed.
    """
    command = [sys.executable, "-m", "srcpack_convert", "convert", str(bundle), "-o", str(pack), *options]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    read_end, write_end = os.pipe()
    with open(read_end) as report:
        try:
            launched = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(write_end), str(seconds), *command],
                cwd=pack.parent,
                env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(pack.parent)},
                capture_output=True,
                check=True,
                pass_fds=[write_end],
            )
        finally:
            os.close(write_end)
        code, taken, memory = report.read().split()
    return Outcome(int(code), launched.stdout, launched.stderr, float(taken), int(memory))


def _line(name: str, bundle: Path, folder: Path) -> str:
    outcome = convert_in_process(bundle, folder / "a.srcpack", "--force")
    said = outcome.err.decode().replace(f"{bundle}: ", "").splitlines()
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
