"""The directory of a zip is found and read as by symbolic, and what that reads is bounded by its size."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srcpack.bundle.members import Limits, SourceBundle
from srcpack.bundle.zip_directory import Directory, read_directory
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, SrcpackError
from srcpack.source.local import BytesSource
from support.bundle_builder import (
    BUNDLE_HEADER,
    ZipMember,
    build_bundle,
    build_zip,
    deflated,
    directory_record,
    end64_records,
    end_record,
)

A, B = ZipMember(name="a", content=b"a" * 60), ZipMember(name="b", content=b"b")
MANIFEST = ZipMember(name="manifest.json", content=b"{}")


def directory(data: bytes, *, max_members: int = 100_000) -> Directory:
    return read_directory(BytesSource(data), file="a.zip", max_members=max_members)


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        directory(data)
    return str(caught.value).removeprefix("a.zip: ")


def one(**fields: Any) -> bytes:
    return build_zip([ZipMember(**{"name": "a", "content": b"a" * 60, **fields}), B], header=BUNDLE_HEADER)


# ---- where it is


@pytest.mark.parametrize("header", [BUNDLE_HEADER, b"SYSB\xff\xff\xff\xff", b"SYSB", b""])
@pytest.mark.parametrize("offsets_from_zip", [False, True])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"PK\5\6 and more than one end record's length", b"PK\5\6"])
def test_every_form_of_header_opens(
    header: bytes, offsets_from_zip: bool, zip64: bool, comment: bytes
) -> None:
    data = build_zip(
        [A, B, MANIFEST], header=header, offsets_from_zip=offsets_from_zip, zip64=zip64, comment=comment
    )
    with SourceBundle(data) as bundle:
        assert [(name, bundle.read(name)) for name in bundle.members] == [("a", A.content), ("b", B.content)]


def test_every_truncated_zip_is_refused() -> None:
    whole = build_bundle({"files/a.c": b"int main;"}, {})
    for length in range(len(whole)):
        with pytest.raises(FormatError):
            SourceBundle(whole[:length])


def test_the_count_of_the_end_record_is_what_counts() -> None:
    """Not the directory's size, as for zipfile."""
    assert list(directory(build_zip([A, B], count=1)).members) == ["a"]
    assert "a record of the directory is missing" in refusal(build_zip([A, B], count=3))


def test_more_than_65535_members_are_read_and_no_more_than_the_limit() -> None:
    records = b"".join(directory_record(b"%d" % number) for number in range(70_000))
    data = records + end64_records(70_000, 0, len(records))
    members = directory(data).members
    assert list(members) == [str(number) for number in range(70_000)]
    with pytest.raises(LimitExceeded, match=r"^a\.zip: the number of members is 6, over the limit of 5$"):
        directory(data, max_members=5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BUNDLE_HEADER, "the zip has no end record: found no b'PK\\x05\\x06' in 8 bytes"),
        (end_record(0, 0)[:-1], "the end record is cut off at offset 0"),
        (end_record(0, 0, comment=b"ab")[:-1], "the end record's comment goes past the end at offset 0"),
        (end_record(0, 0, disk=1), "the zip is one of several parts at offset 0"),
        (end_record(1, 0), "the directory's offset is past its end record at offset 0: found 0"),
        (b"PK" + end_record(1, 0), "there is no directory where the end record says at offset 0"),
        (end64_records(1, 0, 56), "the zip64 locator is wrong at offset 56"),
        (end64_records(1, 0, 1), "there is no right zip64 end record where its locator says at offset 1"),
        (end64_records(2**63, 0, 0), "there is no right zip64 end record where its locator says at offset 0"),
        (
            directory_record(b"a", comment=b"c" * 99)[:-99] + end_record(1, 0),
            "a record of the directory goes past the end at offset 0",
        ),
        (b"7z\xbc\xaf\x27\x1c", "the zip has no end record: found no b'PK\\x05\\x06' in 6 bytes"),
    ],
)
def test_an_end_record_that_leads_nowhere_is_refused(data: bytes, message: str) -> None:
    assert refusal(data) == message


def test_an_end_record_that_is_wrong_is_passed_by_for_one_before_it() -> None:
    data = build_zip([A, B])
    assert list(directory(data + end_record(9, 0)).members) == ["a", "b"]
    # One that is right and leads to nothing counts.
    assert directory(data + end_record(0, 0)).members == {}


# ---- what is in it


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
        assert list(directory(one(name=raw, flags=flags)).members) == [name, "b"]


def unicode_field(kind: int, replaced: bytes, text: bytes) -> bytes:
    return struct.pack("<2HBL", kind, 5 + len(text), 1, zlib.crc32(replaced)) + text


def test_the_unicode_path_field_has_the_last_word() -> None:
    good = unicode_field(0x7075, b"a", "ä".encode())
    assert list(directory(one(extra=good)).members) == ["ä", "b"]
    wrong = (unicode_field(0x7075, b"b", b"x"), unicode_field(0x7075, b"a", b"\xff"), b"\x75\x70\1\0\1")
    for bad in wrong:
        assert refusal(one(extra=bad)).startswith("the extra field 0x7075 of a member is wrong at offset ")


def test_a_unicode_comment_stands_for_the_comment_as_long_as_it_belongs_to_it() -> None:
    good, better = unicode_field(0x6375, b"", b"one"), unicode_field(0x6375, b"one", b"two")
    assert list(directory(one(extra=good + better)).members) == ["a", "b"]
    for extra in (better, good + good, unicode_field(0x6375, b"", b"\xff")):
        assert refusal(one(extra=extra)).startswith("the extra field 0x6375 of a member is wrong at offset ")


@pytest.mark.parametrize(
    "extra", [b"ab", b"\x34\x12\x05\0x", b"\x01\0\x04\0abcd", b"\x55\x54\0\0", b"\x0a\0\x01\0x"]
)
def test_extra_fields_that_symbolic_refuses_are_refused(extra: bytes) -> None:
    refusal(one(extra=extra, size=0xFFFFFFFF))


def test_aes_needs_its_field() -> None:
    assert directory(one(method=99, extra=b"\x01\x99\x07\0\x02\0AE\x03\x08\0")).members["a"].encrypted
    message = "a member has method 99 (AES) without the extra field for it at offset "
    assert refusal(one(method=99)).startswith(message)


def test_sizes_and_offset_of_64_bits_are_those_of_the_field() -> None:
    extra = struct.pack("<2H3Q", 1, 24, 2**64 - 1, 2**40, 2**63)
    member = directory(one(extra=extra)).members["a"]
    assert (member.size, member.compressed_size, member.offset) == (2**64 - 1, 2**40, 2**63)
    extra = struct.pack("<2HQ", 1, 8, 600)
    member = directory(one(extra=extra, size=0xFFFFFFFF)).members["a"]
    assert (member.size, member.compressed_size, member.offset) == (600, len(deflated(b"a" * 60)), 8)


def test_of_two_members_with_one_name_the_last_counts() -> None:
    data = build_zip([A, ZipMember(name="a", content=b"last"), MANIFEST])
    assert SourceBundle(data).read("a") == b"last"


# ---- what it costs


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all reads."""
    sizes: list[int] = []
    real = BytesSource.read

    def counting(self: BytesSource, offset: int, size: int) -> bytes:
        data = real(self, offset, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(BytesSource, "read", counting)
    return sizes


def test_a_few_bytes_are_read_for_a_few_members(read: list[int]) -> None:
    members = [ZipMember(name=f"{number}", content=bytes(1000), stored=True) for number in range(5000)]
    data = build_zip([*members[:2], ZipMember(name="large", content=bytes(5_000_000), stored=True)])
    directory(data)
    assert sum(read) < 10_000
    read.clear()
    data = build_zip(members)
    directory(data)
    assert sum(read) < 500_000


RECORD = directory_record(b"")
EXTRA = struct.pack("<2H", 1, 0) * 16_383


@pytest.mark.parametrize(
    "filler",
    [
        end_record(1, 0),
        end_record(1, 0xFFFFFFF0),
        b"PK\1\2PK\6\6" + struct.pack("<4sLQL", b"PK\6\7", 0, 8, 1) + end_record(0xFFFF, 8),
        RECORD + end_record(2, 8),
    ],
)
def test_a_file_full_of_end_records_does_not_cost_its_square(filler: bytes, read: list[int]) -> None:
    data = BUNDLE_HEADER + filler * (200_000 // len(filler))
    with pytest.raises(SrcpackError):
        directory(data)
    assert sum(read) <= 4 * len(data) + (1 << 20)


@pytest.mark.parametrize(
    ("record", "records"), [(RECORD, 3000), (directory_record(b"", extra=EXTRA), 5)], ids=["records", "extra"]
)
def test_end_records_that_share_a_directory_do_not_cost_their_product(
    record: bytes, records: int, read: list[int]
) -> None:
    """It is wrong in its last record, and each of them leads to it."""
    end = end_record(0, 8 + 22 * 300, here=records + 1)
    data = BUNDLE_HEADER + end * 300 + record * records + b"no record"
    with pytest.raises(LimitExceeded) as caught:
        directory(data)
    assert str(caught.value).startswith("a.zip: the bytes read to find its directory is ")
    assert str(caught.value).endswith(f", over the limit of {4 * len(data) + (1 << 20):,}")
    assert sum(read) <= 4 * len(data) + (1 << 20)


# ---- as by symbolic

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


@settings(max_examples=400)
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
    edits: list[tuple[Callable[[bytes, int, int, int], bytes], tuple[int, int, int]]],
    **options: Any,
) -> None:
    symbolic = pytest.importorskip("symbolic")
    first = ZipMember(name="a", content=b"a" * 600, extra=extra, flags=flags, size=size, compressed_size=size)
    data = build_zip([first, B, MANIFEST], **options)
    for edit, change in edits:
        data = edit(data, *change)
    try:
        (_,) = symbolic.Archive.from_bytes(data).iter_objects()
        theirs = True
    except symbolic.SymbolicError:
        theirs = False
    try:
        with SourceBundle(data, limits=Limits(max_total_ratio=100_000)) as bundle:
            for name in bundle.members:
                with suppress(DamagedMember):
                    bundle.read(name)
        ours = True
    except SrcpackError:
        ours = False
    assert ours == theirs
