"""The members of a SourceBundle are read as by symbolic, within limits that it lacks."""

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from srcpack.bundle.members import Limits, SourceBundle
from srcpack.bundle.zip_directory import Member
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, NotFound
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_bundle, build_zip, deflated, local_header
from support.places import CORPUS

CODE = b"int main;\n" * 60
LISTED = {"files": {"files/a.c": {"path": "/a.c"}, "files/b.c": {"path": "/b.c"}}}
MANIFEST = ZipMember(name="manifest.json", content=json.dumps(LISTED).encode())
B = ZipMember(name="files/b.c", content=b"b" * 50)
PACKED = len(deflated(CODE))
# A stored block of deflate, not the last: its length, that inverted, its bytes.
BLOCK = struct.pack("<B2H", 0, 100, 0xFFFF - 100) + CODE[:100]
EMPTY_BLOCK, LAST_BLOCK = b"\0\0\0\xff\xff", b"\1\1\0\xfe\xffx"
NOTHING: dict[str, Any] = {"content": b"", "data": EMPTY_BLOCK}
LONG_HEADER = local_header(b"files/a.c", extra=bytes(99))[:-99]
NO_DEFLATE = "it is not deflate data: Error -3 while decompressing data"


def a_bundle(*members: ZipMember, limits: Limits | None = None) -> SourceBundle:
    data = build_zip([*members, B, MANIFEST], header=BUNDLE_HEADER)
    return SourceBundle(data, limits=limits or Limits())


def a(**fields: Any) -> ZipMember:
    return ZipMember(**{"name": "files/a.c", "content": CODE, **fields})


def refusal(source: bytes | Path) -> str:
    with pytest.raises(FormatError) as caught:
        SourceBundle(source)
    return str(caught.value)


def over_limit(data: bytes, **limits: int) -> str:
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(data, limits=Limits(**limits))
    return str(caught.value).removeprefix("<bytes>: ")


def damage(bundle: SourceBundle, name: str = "files/a.c") -> str:
    """Read a member that is damaged, and see that the one beside it is not."""
    with pytest.raises(DamagedMember) as caught:
        bundle.read(name)
    assert bundle.read("files/b.c") == b"b" * 50
    assert str(caught.value) == f"<bytes>: {name!r} cannot be read: {caught.value.reason}"
    assert "\n" not in str(caught.value)
    return caught.value.reason


# ---- opening


def test_a_path_and_bytes_open_alike(tmp_path: Path) -> None:
    data = build_bundle({"files/a.c": CODE, "files/b.c": b""}, LISTED, stored=True)
    path = tmp_path / "b.zip"
    path.write_bytes(data)
    with SourceBundle(path) as by_path, SourceBundle(data) as by_bytes:
        assert (by_path.file, by_bytes.file) == (str(path), "<bytes>")
        assert by_path.members == by_bytes.members
        assert by_path.read("files/a.c") == by_bytes.read("files/a.c") == CODE
        assert by_path.read("files/b.c") == b""
    for bundle in (by_path, by_bytes):
        with pytest.raises(ValueError, match="closed"):
            bundle.read("files/a.c")


def test_a_member_says_what_the_directory_says() -> None:
    member = Member("files/a.c", 600, 600, zlib.crc32(CODE), method=0, encrypted=False, offset=8)
    assert a_bundle(a(stored=True)).members["files/a.c"] == member


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    begin = "<bytes>: not a SourceBundle at offset 0: found "
    assert refusal(b"") == begin + "an empty file, expected b'SYSB' or a zip"
    assert refusal(b"SYS") == begin + "b'SYS', expected b'SYSB' or a zip"
    assert refusal(b"BSYS\0\0\0\2PK") == begin + "b'BSYS', expected b'SYSB' or a zip"
    assert refusal(build_bundle({}, None)) == "<bytes>: the zip has no manifest.json"
    folder = build_bundle({"x/deep/manifest.json": b"{}", "x/manifest.json": b"{}", "x/a.js": b""}, None)
    assert refusal(folder) == "<bytes>: the zip has no manifest.json at its top, but 'x/manifest.json'"
    with pytest.raises(FileNotFoundError):
        SourceBundle(tmp_path / "none.zip")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        assert refusal(path) == f"{path}: not a regular file"


def test_directories_and_the_manifest_are_members_only_where_they_are_listed() -> None:
    data = build_bundle({"files/": b"", "files/a.c": b""}, {"files": {}})
    assert list(SourceBundle(data).members) == ["files/a.c"]
    data = build_bundle({"files/": b""}, {"files": {"files/": {}, "manifest.json": {}}})
    bundle = SourceBundle(data)
    assert list(bundle.members) == ["files/", "manifest.json"]
    assert bundle.read("manifest.json") == b'{"files": {"files/": {}, "manifest.json": {}}}'


def test_the_manifest_is_held_to_its_crc_and_not_to_its_size() -> None:
    def with_manifest(**fields: Any) -> bytes:
        return build_zip([ZipMember(name="manifest.json", content=b"{}", **fields)], header=BUNDLE_HEADER)

    for size in (0, 1, 0xFFFFFFFE):
        assert SourceBundle(with_manifest(size=size)).members == {}
    begin = "<bytes>: 'manifest.json': "
    crc = f"its CRC-32 is wrong: found {zlib.crc32(b'{}'):08x}, expected 00000001"
    assert refusal(with_manifest(crc=1)) == begin + crc
    assert refusal(with_manifest(flags=1)) == begin + "it is encrypted"
    method = "its compression method is 12, not 0 (stored) or 8 (deflated)"
    assert refusal(with_manifest(method=12)) == begin + method
    assert refusal(with_manifest(offset=9000)) == begin + "its local header at offset 9,000 is past the end"


# ---- members


def test_a_missing_member_is_damaged_if_listed_and_else_not_found() -> None:
    bundle = a_bundle()
    assert damage(bundle) == "the manifest lists it, the zip does not have it"
    with pytest.raises(NotFound, match=r"^<bytes>: no entry 'files/c\.c'$"):
        bundle.read("files/c.c")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"crc": 0xDEADBEEF}, f"its CRC-32 is {zlib.crc32(CODE):08x}, the directory says deadbeef"),
        ({"flags": 1}, "it is encrypted"),
        ({"extra": b"\x01\x99\x07\0\x02\0AE\x03\x08\0", "method": 99}, "it is encrypted"),
        ({"method": 9}, "its compression method is 9, not 0 (stored) or 8 (deflated)"),
        ({"method": 0xFFFF}, "its compression method is 65535, not 0 (stored) or 8 (deflated)"),
        ({"size": 10}, "it unpacks to more than the 10 bytes that the directory says"),
        ({"size": 601}, "it unpacks to 600 bytes, the directory says 601"),
        ({"size": 0}, "it unpacks to more than the 0 bytes that the directory says"),
        ({"size": 0xFFFFFFFE}, "its size is 4,294,967,294, over the limit of 1,073,741,824"),
        ({"size": 50_000}, f"its {PACKED} bytes cannot unpack to 50,000"),
        ({"stored": True, "size": 700}, "it is stored in 600 bytes, its size is 700"),
        ({"stored": True, "compressed_size": 700}, "it is stored in 700 bytes, its size is 600"),
        ({"stored": True, "size": 900, "compressed_size": 900}, "it overlaps what begins at offset 647"),
        ({"offset": 100_000}, "its local header at offset 100,000 is past the end"),
        ({"offset": 9}, "its local header at offset 9 begins with b'K\\x03\\x04\\x14'"),
        ({"data": b"\xff" * 9}, f"{NO_DEFLATE}: invalid block type"),
        ({"data": BLOCK}, "it unpacks to 100 bytes, the directory says 600"),
        ({"data": BLOCK, "compressed_size": 500}, "it overlaps what begins at offset 152"),
        # What gives nothing would be read on and on, and a long local header could put it anywhere.
        ({**NOTHING, "compressed_size": 999}, "it overlaps what begins at offset 52"),
        ({**NOTHING, "local": LONG_HEADER}, "it overlaps what begins at offset 52"),
    ],
)
def test_a_member_that_symbolic_cannot_read_is_damaged(fields: dict[str, Any], reason: str) -> None:
    assert damage(a_bundle(a(**fields))) == reason


@pytest.mark.parametrize(
    "fields",
    [
        {"data": deflated(CODE) + b"after the final block"},
        {"data": deflated(CODE, zlib.Z_SYNC_FLUSH)},
        {"compressed_size": 100_000_000},
        {"local": local_header(b"x", method=0, crc=1, compressed_size=2, size=3)},
        {"extra": struct.pack("<2H3Q", 1, 24, 600, len(deflated(CODE)), 8), "size": 0xFFFFFFFF},
        {"extra": b"\0"},
    ],
)
def test_a_member_that_is_odd_and_right_is_read(fields: dict[str, Any]) -> None:
    """As by symbolic: the directory counts, not the local header; what is after the content does not."""
    assert a_bundle(a(**fields)).read("files/a.c") == CODE


def test_an_offset_that_lies_harms_no_other_member() -> None:
    """Only where there really is a header does the member before it have to end."""
    within_a = 8 + 39 + 5
    assert a_bundle(a(), ZipMember(name="c", offset=within_a)).read("files/a.c") == CODE


def test_each_member_that_claims_more_bytes_than_it_has_is_read_up_to_the_next_header() -> None:
    names = [f"files/{number}.c" for number in range(3)]
    bundle = a_bundle(*(a(name=name, compressed_size=1000) for name in names))
    assert [bundle.read(name) for name in names] == [CODE] * 3
    assert bundle.read("files/b.c") == B.content


def test_a_kernel_that_many_members_quote_is_no_content_of_the_first() -> None:
    """Fifield's zip bomb: each member's data is a stored block with the next one's header, and so on."""
    kernel = b"k" * 1000
    header = local_header(b"c", crc=zlib.crc32(kernel), compressed_size=1000, size=1000)
    # A stored block that is not the last: its length, and that inverted.
    data = struct.pack("<B2H", 0, len(header), 0xFFFF - len(header))
    length = len(data) + len(header + deflated(kernel))
    outer = a(data=data, content=header + kernel, compressed_size=length)
    second = ZipMember(name="c", content=kernel, local=header, data=deflated(kernel))
    with pytest.raises(DamagedMember) as caught:
        SourceBundle(build_zip([outer, second, MANIFEST])).read("files/a.c")
    assert caught.value.reason == "it overlaps what begins at offset 44"


def test_the_head_is_at_most_what_there_is() -> None:
    bundle = a_bundle(a(crc=0), a(name="stored", stored=True))
    for name in ("files/a.c", "stored"):
        assert [bundle.read_head(name, size) for size in (0, 4, 10_000)] == [b"", b"int ", CODE]
    with pytest.raises(NotFound):
        bundle.read_head("none", 4)


def test_a_file_that_shrinks_gives_errors(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(build_zip([a(content=os.urandom(5000)), a(name="stored", stored=True), MANIFEST]))
    with SourceBundle(path) as bundle:
        os.truncate(path, 1000)
        for name in ("files/a.c", "stored"):
            with pytest.raises(DamagedMember):
                bundle.read(name)


# ---- limits


def test_a_file_over_the_limit_is_damaged_and_one_at_the_limit_is_not() -> None:
    assert a_bundle(a(), limits=Limits(max_file_size=600)).read("files/a.c") == CODE
    assert damage(a_bundle(a(), limits=Limits(max_file_size=599))) == "its size is 600, over the limit of 599"


def test_members_that_share_their_bytes_can_be_read_and_are_all_counted() -> None:
    same: dict[str, Any] = {"local": b"", "data": b"", "offset": 0, "compressed_size": PACKED}
    twins = [a(name=f"twin/{number}", **same) for number in range(9)]
    data = build_zip([a(), *twins, MANIFEST])
    assert SourceBundle(data).read("twin/8") == CODE
    total = f"{6000 + len(MANIFEST.content):,}"
    message = f"the size of all members is {total}, over the limit of 6,000"
    assert over_limit(data, max_total_size=6000) == message


def test_members_that_are_the_same_bytes_are_refused_once_these_are_many() -> None:
    """A deflate stream of empty blocks gives nothing; so the ratio of the sizes does not show it."""
    first = a(content=b"x", data=EMPTY_BLOCK * 60_000 + LAST_BLOCK)
    length = len(first.data or b"")

    def sharing(members: int) -> bytes:
        same: dict[str, Any] = {"content": b"x", "local": b"", "data": b"", "compressed_size": length}
        return build_zip([first, *(a(name=f"{at}", offset=0, **same) for at in range(members)), MANIFEST])

    with SourceBundle(sharing(200)) as bundle:
        assert bundle.read("199") == b"x"
    refused = sharing(240)
    assert over_limit(refused) == (
        f"the size of members that share their bytes is {240 * (length + 1):,}, "
        f"over the limit of {(1 << 20) + 200 * len(refused):,}"
    )


def test_a_bomb_is_refused_by_its_ratio_and_a_lie_is_not_counted() -> None:
    zeros = deflated(bytes(8 << 20))
    bombs = [ZipMember(name=f"{number}", data=zeros, size=8 << 20) for number in range(9)]
    data = build_zip([*bombs, MANIFEST])
    assert over_limit(data).startswith("the ratio of all members' size to the bundle's is 1,0")
    SourceBundle(data, limits=Limits(max_total_ratio=1100)).close()
    SourceBundle(build_zip([*bombs[:7], MANIFEST])).close()
    a_bundle(*(a(size=0x3FFFFFFF) for _ in range(40))).close()


def test_a_manifest_is_refused_by_what_it_unpacks_to() -> None:
    data = build_bundle({}, b" " * 100_000 + b"{}")
    assert SourceBundle(data, limits=Limits(max_manifest_size=100_002)).members == {}
    message = "'manifest.json': its size is 100,002, over the limit of 100,001"
    assert over_limit(data, max_manifest_size=100_001) == message
    data = build_bundle({}, b" " * (17 << 20) + b"{}")
    limit = (16 << 20) + 4 * len(data)
    size = f"its size, in a bundle of {len(data):,} bytes, is {limit + 1:,}"
    assert over_limit(data) == f"'manifest.json': {size}, over the limit of {limit:,}"
    beside = build_bundle({"noise": os.urandom(300_000)}, b" " * (17 << 20) + b"{}")
    assert list(SourceBundle(beside).members) == ["noise"]


@pytest.mark.parametrize("mark", [b'"":0,', b"[[0],0],", b'{"":0},'])
def test_a_manifest_is_refused_by_its_quotes_and_brackets_before_it_is_read(
    mark: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srcpack.bundle.members.parse_manifest", None)
    data = build_bundle({}, mark * 60_000)
    marks = sum((mark * 60_000).count(each) for each in (b'"', b"[", b"{"))
    assert over_limit(data) == (
        f"'manifest.json': the number of quotes and brackets in it, in a bundle of {len(data):,} bytes, "
        f"is {marks:,}, over the limit of {100_000 + 2 * len(data):,}"
    )


def test_more_files_than_the_limit_are_refused() -> None:
    """In the zip and in the manifest: a manifest can list a million files that are not there."""
    many = build_bundle({f"files/{number}": b"" for number in range(5)}, {})
    assert over_limit(many, max_files=5) == "the number of members is 6, over the limit of 5"
    listed = build_bundle({}, {"files": {f"files/{number}": {} for number in range(6)}})
    assert over_limit(listed, max_files=5) == "the number of files in the manifest is 6, over the limit of 5"
    SourceBundle(listed, limits=Limits(max_files=6)).close()


def test_more_files_that_are_not_there_than_the_limit_are_refused() -> None:
    """As soon as there are more than there can be."""
    for present in (0, 2):
        files = {f"{number}": b"" for number in range(present)}
        listed = build_bundle(files, {"files": {f"{number}": {} for number in range(present, 13_000)}})
        most = 10_000 + len(listed) // 64 + present + 1
        assert over_limit(listed) == (
            f"the number of files in the manifest is {most + 1:,}, over the limit of {most:,}"
        )
    listed = build_bundle({"a": b"", "b": b""}, {"files": {f"{number}": {} for number in range(10_002)}})
    absent = "the number of files that the manifest lists and the zip does not have"
    assert over_limit(listed, max_total_ratio=0) == f"{absent} is 10,002, over the limit of 10,000"


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all pieces that were inflated."""
    sizes: list[int] = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self.inner = real(wbits)

        def decompress(self, data: bytes, size: int) -> bytes:
            piece = self.inner.decompress(data, size)
            sizes.append(len(piece))
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    return sizes


def test_no_more_is_inflated_than_declared_or_asked_for(inflated: list[int]) -> None:
    zeros = bytes(3 << 20)
    bundle = a_bundle(a(content=zeros), a(name="lie", content=zeros, size=1000))
    inflated.clear()
    assert bundle.read("files/a.c") == zeros
    assert sum(inflated) == len(zeros)
    inflated.clear()
    assert bundle.read_head("files/a.c", 16) == bytes(16)
    assert sum(inflated) == 16
    inflated.clear()
    with pytest.raises(DamagedMember):
        bundle.read("lie")
    assert sum(inflated) == 1001


# ---- the corpus

LIMITED = {
    "bomb-1gb-zeros.zip": "ratio",
    "overlap-fifield.zip": "ratio",
    "overlap-full.zip": "ratio",
    "manifest-million-files.zip": r"the number of files in the manifest is 8\d,\d+, over",
}
"""What symbolic opens, which has no limits, and why we refuse it."""


EXPECTED = [
    pytest.param(listing.with_name(name), expected, id=name)
    for listing in CORPUS.glob("*/EXPECT.json")
    for name, expected in json.loads(listing.read_text()).items()
    if name != "zip64-70000-files.zip"  # `tests/whole/test_corpus.py` reads it
]


@pytest.mark.parametrize(("path", "expected"), EXPECTED)
def test_the_corpus_opens_or_is_refused_as_by_symbolic(
    path: Path, expected: dict[str, str | None], inflated: list[int]
) -> None:
    if path.name in LIMITED:
        with pytest.raises(LimitExceeded, match=LIMITED[path.name]):
            SourceBundle(path)
        return
    if expected["symbolic"] == "refuses":
        assert refusal(path).startswith(f"{path}: ")
        return
    with SourceBundle(path) as bundle:
        manifest_size = sum(inflated)
        damaged = []
        for name in bundle.manifest.files:
            try:
                bundle.read(name)
            except DamagedMember as error:
                damaged.append(error)
        most = sum(member.size + 1 for member in bundle.members.values() if not bundle._unreadable(member))
        assert sum(inflated) - manifest_size <= most
    # Contents that are not text are an error for symbolic, and not for us.
    first_error = expected["first_error"]
    assert bool(damaged) == (first_error is not None and "UTF-8" not in first_error)
