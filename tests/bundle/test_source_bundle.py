"""SourceBundles open, and their members are read, as by symbolic, within limits that it lacks."""

import json
import os
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srcpack.bundle.members import Limits, Member, SourceBundle
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, NotFound, SrcpackError
from srcpack.source.local import BytesSource
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_bundle, build_zip
from support.places import CORPUS

# symbolic opens them; they unpack to more than a thousand times their size.
BOMBS = {"bomb-1gb-zeros.zip", "overlap-fifield.zip", "overlap-full.zip"}
CODE = b"int main;\n" * 60
LISTED = {"files": {"files/a.c": {"path": "/a.c"}, "files/b.c": {"path": "/b.c"}}}
MANIFEST = ZipMember(name="manifest.json", content=json.dumps(LISTED).encode())
B = ZipMember(name="files/b.c", content=b"b" * 50)


def a_bundle(*members: ZipMember, **options: Any) -> SourceBundle:
    return SourceBundle(build_zip([*members, B, MANIFEST], header=BUNDLE_HEADER, **options))


def a(**fields: Any) -> ZipMember:
    return ZipMember(**{"name": "files/a.c", "content": CODE, **fields})


def deflated(content: bytes, flush: int = zlib.Z_FINISH) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush(flush)


PACKED = len(deflated(CODE))
# A stored block of deflate, not the last: its length, that inverted, its bytes.
BLOCK = struct.pack("<B2H", 0, 100, 0xFFFF - 100) + CODE[:100]


def refusal(source: bytes | Path, limits: Limits | None = None) -> str:
    with pytest.raises(FormatError) as caught:
        SourceBundle(source, limits=limits or Limits())
    return str(caught.value)


def damage(bundle: SourceBundle, name: str = "files/a.c") -> str:
    """Read a member that is damaged, and see that the one beside it is not."""
    with pytest.raises(DamagedMember) as caught:
        bundle.read(name)
    assert bundle.read("files/b.c") == b"b" * 50
    assert str(caught.value) == f"<bytes>: {name!r} cannot be read: {caught.value.reason}"
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("header", [BUNDLE_HEADER, b"SYSB\xff\xff\xff\xff", b"SYSB", b""])
@pytest.mark.parametrize("offsets_from_zip", [False, True])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"PK\5\6 and more than one end record's length", b"PK\5\6"])
def test_every_form_of_header_opens(
    header: bytes, offsets_from_zip: bool, zip64: bool, comment: bytes
) -> None:
    data = build_zip(
        [a(), B, MANIFEST], header=header, offsets_from_zip=offsets_from_zip, zip64=zip64, comment=comment
    )
    with SourceBundle(data) as bundle:
        assert list(bundle.members) == ["files/a.c", "files/b.c"]
        assert bundle.read("files/a.c") == CODE
        assert list(bundle.manifest.files) == ["files/a.c", "files/b.c"]


def test_a_path_and_bytes_open_alike(tmp_path: Path) -> None:
    data = build_bundle({"files/a.c": CODE, "files/b.c": b""}, LISTED, stored=True)
    path = tmp_path / "b.zip"
    path.write_bytes(data)
    with SourceBundle(path) as by_path, SourceBundle(data) as by_bytes:
        assert by_path.file == str(path)
        assert by_bytes.file == "<bytes>"
        assert by_path.members == by_bytes.members
        assert by_path.read("files/a.c") == by_bytes.read("files/a.c") == CODE
        assert by_path.read("files/b.c") == b""
    with pytest.raises(ValueError, match="closed"):
        by_path.read("files/a.c")
    with pytest.raises(ValueError, match="closed"):
        by_bytes.read("files/a.c")


def test_a_member_says_what_the_directory_says() -> None:
    assert a_bundle(a(stored=True)).members["files/a.c"] == Member(
        name="files/a.c",
        size=600,
        compressed_size=600,
        crc=zlib.crc32(CODE),
        method=0,
        encrypted=False,
        offset=8,
    )


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    begin = "<bytes>: not a SourceBundle at offset 0: found "
    assert refusal(b"") == begin + "an empty file, expected b'SYSB' or a zip"
    assert refusal(b"SYS") == begin + "b'SYS', expected b'SYSB' or a zip"
    assert refusal(b"BSYS\0\0\0\2PK") == begin + "b'BSYS', expected b'SYSB' or a zip"
    assert (
        refusal(b"SYSB\2\0\0\0") == "<bytes>: the zip has no end record: found no b'PK\\x05\\x06' in 8 bytes"
    )
    assert refusal(build_bundle({}, None)) == "<bytes>: the zip has no manifest.json"
    with pytest.raises(FileNotFoundError):
        SourceBundle(tmp_path / "none.zip")
    assert refusal(tmp_path) == f"{tmp_path}: not a regular file"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(pipe) == f"{pipe}: not a regular file"


def test_every_truncated_bundle_is_refused() -> None:
    whole = build_bundle({"files/a.c": CODE}, LISTED)
    for length in range(len(whole)):
        refusal(whole[:length])


def test_the_count_of_the_end_record_is_what_counts() -> None:
    """Not the directory's size, as for zipfile."""
    assert refusal(build_zip([a(), MANIFEST], header=BUNDLE_HEADER, count=1)) == (
        "<bytes>: the zip has no manifest.json"
    )
    assert "a record of the directory is missing" in refusal(
        build_zip([a(), MANIFEST], header=BUNDLE_HEADER, count=3)
    )


def test_more_than_65535_members_are_read() -> None:
    names = [f"files/{number}" for number in range(70_000)]
    data = build_bundle(dict.fromkeys(names, b"x"), {"files": {}}, stored=True)
    with SourceBundle(data) as bundle:
        assert list(bundle.members) == names
        assert bundle.read(names[-1]) == b"x"


def test_names_are_decoded_as_the_flag_says() -> None:
    names: list[tuple[str | bytes, int, str]] = [
        ("files/ö", 1 << 11, "files/ö"),
        ("files/ö".encode(), 0, "files/├╢"),
        (b"files/\xff\xe2\x82", 1 << 11, "files/\ufffd\ufffd"),
        (b"files/\0nul", 0, "files/\0nul"),
        (b"files\\back\\slash", 0, "files\\back\\slash"),
        (b"../../etc/passwd", 0, "../../etc/passwd"),
    ]
    for raw, flags, name in names:
        with a_bundle(a(name=raw, flags=flags)) as bundle:
            assert bundle.read(name) == CODE


def test_the_unicode_path_field_has_the_last_word() -> None:
    def field(crc: int, name: bytes) -> bytes:
        return struct.pack("<2HBL", 0x7075, 5 + len(name), 1, crc) + name

    good = field(zlib.crc32(b"files/a.c"), "files/ä".encode())
    with a_bundle(a(extra=good)) as bundle:
        assert bundle.read("files/ä") == CODE
    for bad in (field(1, b"x"), field(zlib.crc32(b"files/a.c"), b"\xff"), struct.pack("<2HB", 0x7075, 1, 1)):
        with pytest.raises(FormatError, match="the extra field 0x7075 of a member is wrong at offset"):
            a_bundle(a(extra=bad))


def test_a_unicode_comment_stands_for_the_comment_as_long_as_it_belongs_to_it() -> None:
    def field(crc: int, comment: bytes) -> bytes:
        return struct.pack("<2HBL", 0x6375, 5 + len(comment), 1, crc) + comment

    good, better = field(zlib.crc32(b""), b"one"), field(zlib.crc32(b"one"), b"two")
    with a_bundle(a(extra=good + better)) as bundle:
        assert bundle.read("files/a.c") == CODE
    for extra in (better, good + good, field(zlib.crc32(b""), b"\xff")):
        with pytest.raises(FormatError, match="the extra field 0x6375 of a member is wrong at offset"):
            a_bundle(a(extra=extra))


def test_of_two_members_with_one_name_the_last_counts() -> None:
    with a_bundle(a(content=b"first"), a(content=b"last")) as bundle:
        assert bundle.read("files/a.c") == b"last"


def test_directories_and_the_manifest_are_members_only_where_they_are_listed() -> None:
    data = build_bundle({"files/": b"", "files/a.c": b""}, {"files": {}})
    assert list(SourceBundle(data).members) == ["files/a.c"]
    data = build_bundle({"files/": b""}, {"files": {"files/": {}, "manifest.json": {}}})
    bundle = SourceBundle(data)
    assert list(bundle.members) == ["files/", "manifest.json"]
    assert bundle.read("manifest.json") == b'{"files": {"files/": {}, "manifest.json": {}}}'


def test_a_missing_member_is_damaged_if_listed_and_else_not_found() -> None:
    bundle = a_bundle()
    assert damage(bundle) == "the manifest lists it, the zip does not have it"
    with pytest.raises(NotFound) as caught:
        bundle.read("files/c.c")
    assert str(caught.value) == "<bytes>: no entry 'files/c.c'"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"crc": 0xDEADBEEF}, f"its CRC-32 is {zlib.crc32(CODE):08x}, the directory says deadbeef"),
        ({"flags": 1}, "it is encrypted"),
        ({"extra": b"\x01\x99\x07\0\x02\0AE\x03\x08\0", "method": 99}, "it is encrypted"),
        *(
            ({"method": method}, f"its compression method is {method}, not 0 (stored) or 8 (deflated)")
            for method in (1, 6, 9, 12, 14, 93, 95, 98, 0xFFFF)
        ),
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
        (
            {"data": b"\xff" * 30},
            "it is not deflate data: Error -3 while decompressing data: invalid block type",
        ),
        ({"data": BLOCK}, "it unpacks to 100 bytes, the directory says 600"),
        ({"data": BLOCK, "compressed_size": 500}, "it overlaps what begins at offset 152"),
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
        {"local": struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 1, 2, 3, 1, 0) + b"x"},
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
    members = [a(name=f"files/{number}.c", compressed_size=1000) for number in range(3)]
    with a_bundle(*members) as bundle:
        assert [bundle.read(member.name) for member in members if isinstance(member.name, str)] == [CODE] * 3
        assert bundle.read("files/b.c") == B.content


def test_members_that_share_their_bytes_can_be_read_and_are_all_counted() -> None:
    assert (
        a_bundle(a(), a(name="twin", local=b"", data=b"", offset=8, compressed_size=PACKED)).read("twin")
        == CODE
    )
    twins = [
        a(name=f"twin/{number}", local=b"", data=b"", offset=8, compressed_size=PACKED) for number in range(9)
    ]
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(build_zip([a(), *twins, MANIFEST]), limits=Limits(max_total_size=6000))
    total = 6000 + len(MANIFEST.content)
    assert str(caught.value) == f"<bytes>: the size of all members is {total:,}, over the limit of 6,000"


def test_a_kernel_that_many_members_quote_is_no_content_of_the_first() -> None:
    """Fifield's zip bomb: each member's data is a stored block with the next one's header, and so on."""
    kernel = b"k" * 1000
    inner = ZipMember(name="files/b.c", content=kernel, stored=True)
    header = build_zip([inner])[: 30 + len("files/b.c")]
    quoted = header + deflated(kernel)
    # A stored block that is not the last: its length, and that inverted.
    data = struct.pack("<B2H", 0, len(header), 0xFFFF - len(header))
    outer = a(data=data, content=header + kernel, compressed_size=len(data) + len(quoted))
    second = ZipMember(name="c", content=kernel, local=header, data=deflated(kernel))
    with pytest.raises(DamagedMember) as caught:
        SourceBundle(build_zip([outer, second, MANIFEST])).read("files/a.c")
    assert caught.value.reason == "it overlaps what begins at offset 44"


@pytest.mark.parametrize(
    "extra", [b"ab", b"\x34\x12\x05\0x", b"\x01\0\x04\0abcd", b"\x55\x54\0\0", b"\x0a\0\x01\0x"]
)
def test_extra_fields_that_symbolic_refuses_are_refused(extra: bytes) -> None:
    with pytest.raises(FormatError):
        a_bundle(a(extra=extra, size=0xFFFFFFFF))


def test_the_manifest_is_held_to_its_crc_and_not_to_its_size() -> None:
    def with_manifest(**fields: Any) -> bytes:
        return build_zip([ZipMember(name="manifest.json", content=b"{}", **fields)], header=BUNDLE_HEADER)

    for size in (0, 1, 0xFFFFFFFE):
        assert SourceBundle(with_manifest(size=size)).members == {}
    begin = "<bytes>: 'manifest.json': "
    assert refusal(with_manifest(crc=1)) == (
        begin + f"its CRC-32 is wrong: found {zlib.crc32(b'{}'):08x}, expected 00000001"
    )
    assert refusal(with_manifest(flags=1)) == begin + "it is encrypted"
    assert refusal(with_manifest(method=12)) == (
        begin + "its compression method is 12, not 0 (stored) or 8 (deflated)"
    )
    assert refusal(with_manifest(offset=9000)) == begin + "its local header at offset 9,000 is past the end"
    assert refusal(with_manifest(method=99)) == (
        "<bytes>: a member has method 99 (AES) without the extra field for it at offset 55"
    )


def test_a_file_over_the_limit_is_damaged_and_one_at_the_limit_is_not() -> None:
    data = build_zip([a(), B, MANIFEST])
    assert SourceBundle(data, limits=Limits(max_file_size=600)).read("files/a.c") == CODE
    assert damage(SourceBundle(data, limits=Limits(max_file_size=599))) == (
        "its size is 600, over the limit of 599"
    )


def test_a_large_manifest_is_refused_by_what_it_unpacks_to() -> None:
    data = build_bundle({}, b" " * 100_000 + b"{}")
    assert SourceBundle(data, limits=Limits(max_manifest_size=100_002)).members == {}
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(data, limits=Limits(max_manifest_size=100_001))
    assert str(caught.value) == "<bytes>: 'manifest.json': its size is 100,002, over the limit of 100,001"


def test_a_manifest_is_refused_by_its_size_beside_the_bundle_s() -> None:
    data = build_bundle({}, b" " * (17 << 20) + b"{}")
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(data)
    limit = (16 << 20) + 4 * len(data)
    assert str(caught.value) == (
        f"<bytes>: 'manifest.json': its size, in a bundle of {len(data):,} bytes, "
        f"is {limit + 1:,}, over the limit of {limit:,}"
    )
    assert SourceBundle(data, limits=Limits(max_total_ratio=100_000)).members == {}
    beside = build_bundle({"noise": os.urandom(300_000)}, b" " * (17 << 20) + b"{}")
    assert list(SourceBundle(beside).members) == ["noise"]


@pytest.mark.parametrize("mark", [b'"":0,', b"[[0],0],", b'{"":0},'])
def test_a_manifest_is_refused_by_its_quotes_and_brackets_before_it_is_read(
    mark: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srcpack.bundle.members.parse_manifest", None)
    data = build_bundle({}, mark * 60_000)
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(data)
    marks = sum((mark * 60_000).count(each) for each in (b'"', b"[", b"{"))
    assert str(caught.value) == (
        f"<bytes>: 'manifest.json': the number of quotes and brackets in it, in a bundle of {len(data):,} "
        f"bytes, is {marks:,}, over the limit of {100_000 + 2 * len(data):,}"
    )


def test_members_that_are_the_same_bytes_are_refused_once_these_are_many() -> None:
    """A deflate stream of empty blocks gives nothing; so the ratio of the sizes does not show it."""
    data = b"\0\0\0\xff\xff" * 60_000 + b"\1\1\0\xfe\xffx"
    first = a(content=b"x", data=data)
    same = {"content": b"x", "local": b"", "data": b"", "offset": 8, "compressed_size": len(data)}

    def sharing(members: int) -> bytes:
        twins = [a(name=f"{number}", **same) for number in range(members)]
        return build_zip([first, *twins, MANIFEST], header=BUNDLE_HEADER)

    with SourceBundle(sharing(200)) as bundle:
        assert bundle.read("199") == b"x"
    refused = sharing(240)
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(refused)
    assert str(caught.value) == (
        f"<bytes>: the size of members that share their bytes is {240 * (len(data) + 1):,}, "
        f"over the limit of {(1 << 20) + 200 * len(refused):,}"
    )


def test_a_member_of_no_bytes_reads_no_more_than_it_has() -> None:
    """Its local header could put its data anywhere, and what inflates to nothing would be read on and on."""
    empty = b"\0\0\0\xff\xff" * 100
    far = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 0, 0, 9, 300) + b"files/a.c"
    for local in (None, far):
        bundle = a_bundle(
            a(content=b"", data=empty[:50], compressed_size=400, local=local), a(name="e", data=empty)
        )
        assert damage(bundle).startswith("it overlaps what begins at offset ")


def test_a_bomb_is_refused_by_its_ratio_and_a_lie_is_not_counted() -> None:
    zeros = bytes(8 << 20)
    members = [ZipMember(name=f"files/{number}", content=zeros) for number in range(9)]
    data = build_zip([*members, MANIFEST])
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(data)
    assert "the ratio of all members' size to the bundle's is 1,0" in str(caught.value)
    assert str(caught.value).endswith(", over the limit of 200")
    SourceBundle(data, limits=Limits(max_total_ratio=1100)).close()
    SourceBundle(build_zip([*members[:7], MANIFEST])).close()
    a_bundle(*(a(size=0x3FFFFFFF) for _ in range(40))).close()


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
    zeros = bytes(5 << 20)
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


def test_the_head_is_at_most_what_there_is() -> None:
    bundle = a_bundle(a(crc=0), a(name="stored", stored=True))
    for name in ("files/a.c", "stored"):
        assert bundle.read_head(name, 0) == b""
        assert bundle.read_head(name, 4) == b"int "
        assert bundle.read_head(name, 10_000) == CODE
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


def test_threads_read_without_a_cursor(tmp_path: Path) -> None:
    contents = {f"files/{number}": bytes([number]) * (number * 3001) for number in range(40)}
    path = tmp_path / "b.zip"
    path.write_bytes(build_bundle(contents, {"files": {}}))
    wrong: list[str] = []

    def read_all(bundle: SourceBundle) -> None:
        wrong.extend(
            name for _ in range(5) for name, content in contents.items() if bundle.read(name) != content
        )

    with SourceBundle(path) as bundle:
        threads = [threading.Thread(target=read_all, args=(bundle,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all reads."""
    sizes: list[int] = []
    real = BytesSource.read

    def counting(self: BytesSource, offset: int, size: int) -> bytes:
        data = real(self, offset, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(BytesSource, "read", counting)
    return sizes


RECORD = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 16)


def end(here: int, count: int, offset: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, here, count, 0, offset, 0)


@pytest.mark.parametrize(
    "filler",
    [
        end(1, 1, 0),
        end(1, 1, 0xFFFFFFF0),
        b"PK\1\2PK\6\6" + struct.pack("<4sLQL", b"PK\6\7", 0, 8, 1) + end(0xFFFF, 0xFFFF, 8),
        RECORD + end(2, 2, 8),
    ],
)
def test_a_file_full_of_end_records_does_not_cost_its_square(filler: bytes, searched: list[int]) -> None:
    data = BUNDLE_HEADER + filler * (200_000 // len(filler))
    with pytest.raises(SrcpackError):
        SourceBundle(data)
    assert sum(searched) <= 4 * len(data) + (1 << 20)


@pytest.mark.parametrize("extra", [b"", struct.pack("<2H", 1, 0) * 16_383])
def test_end_records_that_share_a_directory_do_not_cost_their_product(
    extra: bytes, searched: list[int]
) -> None:
    """It is wrong in its last record, and each of them leads to it."""
    record = RECORD[:30] + struct.pack("<H", len(extra)) + RECORD[32:] + extra
    records, ends = (3000, 300) if not extra else (5, 300)
    data = BUNDLE_HEADER + end(records + 1, 0, 8 + 22 * ends) * ends + record * records + b"no record"
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(data)
    assert str(caught.value).startswith("<bytes>: the bytes read to find its directory is ")
    assert str(caught.value).endswith(f", over the limit of {4 * len(data) + (1 << 20):,}")
    assert sum(searched) <= 4 * len(data) + (1 << 20)


def corpus(*folders: str) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param(None, None, marks=pytest.mark.skip("needs the shared corpus"))]
    return [
        pytest.param(CORPUS / folder / name, expected, id=name)
        for folder in folders
        for name, expected in json.loads((CORPUS / folder / "EXPECT.json").read_text()).items()
    ]


@pytest.mark.parametrize(("path", "expected"), corpus("odd", "hostile"))
def test_the_corpus_opens_or_is_refused_as_by_symbolic(
    path: Path, expected: dict[str, str | None], inflated: list[int]
) -> None:
    if path.name in BOMBS:
        with pytest.raises(LimitExceeded, match="ratio"):
            SourceBundle(path)
        assert sum(inflated) == 0
        return
    if path.name == "manifest-million-files.zip":
        with pytest.raises(LimitExceeded, match=r"the number of files in the manifest is 8\d,\d+, over"):
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
                if len(damaged) == 3:
                    break
        sizes = sum(
            member.size + 1 for name, member in bundle.members.items() if not bundle._unreadable(member)
        )
        assert sum(inflated) - manifest_size <= sizes
    # Contents that are not text are an error for symbolic, and not for us.
    first_error = expected["first_error"]
    assert bool(damaged) == (first_error is not None and "UTF-8" not in first_error)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("real/*.zip")) + sorted(CORPUS.glob("symbolicator/*.zip"))
)
def test_all_of_a_real_bundle_is_read(path: Path) -> None:
    with SourceBundle(path) as bundle:
        assert bundle.members.keys() >= bundle.manifest.files.keys()
        for name, member in bundle.members.items():
            assert len(bundle.read(name)) == member.size


EXTRAS = (
    *(b"", b"a", b"ab", b"\1\0\0", b"\x34\x12\1\0x", b"\x34\x12\2\0x", b"\1\0\0\0", b"\1\0\x04\0abcd"),
    *(struct.pack("<2HQ", 1, 8, 30), struct.pack("<2H3Q", 1, 24, 30, 20, 10)),
    *(b"\x55\x54\x05\0\1\0\0\0\0", b"\x55\x54\0\0", b"\x55\x54\2\0\0\0", b"\x0a\0\1\0x"),
    *(b"\x01\x99\x07\0\1\0AE\3\x08\0", b"\x01\x99\x07\0\3\0AE\3\x08\0", b"\x75\x70\6\0\1\0\0\0\0x"),
)
NUMBERS = (0, 1, 2, 3, 8, 46, 255, 0xFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1)
changes = st.tuples(st.integers(0, 600), st.sampled_from((1, 2, 4, 8)), st.sampled_from(NUMBERS))


def overwritten(data: bytes, at: int, width: int, number: int) -> bytes:
    at = max(len(data) - at, 4)
    return data[:at] + (number & (1 << 8 * width) - 1).to_bytes(width, "little") + data[at + width :]


def cut(data: bytes, at: int, width: int, number: int) -> bytes:
    at = max(len(data) - at, 4)
    return data[:at] + data[at + width * (number & 15) :]


@settings(max_examples=2000)
@given(
    extra=st.sampled_from(EXTRAS),
    flags=st.sampled_from((0, 1 << 11, 1)),
    size=st.sampled_from((None, 0xFFFFFFFF)),
    header=st.sampled_from((BUNDLE_HEADER, b"SYSB")),
    comment=st.sampled_from((b"", b"PK\5\6", b"PK\5\6" + bytes(18))),
    zip64=st.booleans(),
    offsets_from_zip=st.booleans(),
    edits=st.lists(st.tuples(st.sampled_from((overwritten, cut)), changes), max_size=2),
)
def test_symbolic_opens_and_refuses_the_same_zips(
    *,
    extra: bytes,
    flags: int,
    size: int | None,
    header: bytes,
    comment: bytes,
    zip64: bool,
    offsets_from_zip: bool,
    edits: list[tuple[Callable[[bytes, int, int, int], bytes], tuple[int, int, int]]],
) -> None:
    symbolic = pytest.importorskip("symbolic")
    data = build_zip(
        [a(extra=extra, flags=flags, size=size, compressed_size=size), B, MANIFEST],
        header=header,
        comment=comment,
        zip64=zip64,
        offsets_from_zip=offsets_from_zip,
    )
    for edit, change in edits:
        data = edit(data, *change)
    try:
        (_,) = symbolic.Archive.from_bytes(data).iter_objects()
        theirs = True
    except symbolic.SymbolicError:
        theirs = False
    try:
        with SourceBundle(data) as bundle:
            for name in bundle.members:
                with suppress(DamagedMember):
                    bundle.read(name)
        ours = True
    except SrcpackError:
        ours = False
    assert ours == theirs


def test_more_files_than_the_limit_are_refused() -> None:
    """In the zip and in the manifest: a manifest can list a million files that are not there."""
    many = build_bundle({f"files/{number}": b"" for number in range(5)}, {})
    with pytest.raises(LimitExceeded, match=r"^<bytes>: the number of members is 6, over the limit of 5$"):
        SourceBundle(many, limits=Limits(max_files=5))
    listed = build_bundle({}, {"files": {f"files/{number}": {} for number in range(6)}})
    message = r"^<bytes>: the number of files in the manifest is 6, over the limit of 5$"
    with pytest.raises(LimitExceeded, match=message):
        SourceBundle(listed, limits=Limits(max_files=5))
    SourceBundle(listed, limits=Limits(max_files=6)).close()


def test_more_files_that_are_not_there_than_the_limit_are_refused() -> None:
    """As soon as there are more than there can be."""
    for present in (0, 2):
        files = {f"{number}": b"" for number in range(present)}
        listed = build_bundle(files, {"files": {f"{number}": {} for number in range(present, 13_000)}})
        most = 10_000 + len(listed) // 64
        with pytest.raises(LimitExceeded) as caught:
            SourceBundle(listed)
        assert str(caught.value) == (
            f"<bytes>: the number of files in the manifest is {most + present + 2:,}, "
            f"over the limit of {most + present + 1:,}"
        )
    listed = build_bundle({"a": b"", "b": b""}, {"files": {f"{number}": {} for number in range(10_002)}})
    with pytest.raises(LimitExceeded) as caught:
        SourceBundle(listed, limits=Limits(max_total_ratio=0))
    assert str(caught.value) == (
        "<bytes>: the number of files that the manifest lists and the zip does not have "
        "is 10,002, over the limit of 10,000"
    )
