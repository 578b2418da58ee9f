"""Packs whose checksums are all right and whose fields lie: refused with an error of ours, or read rightly.

They are put together by `tests/support/pack_recipe.py`. What a pack is asked, and that nothing but a
`SrcpackError` comes of it, is in `survey`.
"""

import hashlib
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice, permutations, product
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz_pack
import srcpack
from srcpack import (
    Context,
    DamagedMember,
    Entry,
    FormatError,
    LimitExceeded,
    NotFound,
    Pack,
    SrcpackError,
)
from srcpack.format import zstd_frames as decoding
from srcpack.format.head_tail import Tail
from srcpack.format.manifest import pack_block
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind
from srcpack.source.byte_source import ByteSource
from support import sample_packs
from support.damaged_packs import forget_dictionaries
from support.pack_lies import lie
from support.pack_recipe import (
    ATTRIBUTES,
    BAD,
    FRAME_SIZE,
    GOOD,
    HEAD,
    LONG,
    RAW,
    SEED,
    TAIL,
    U32,
    U64,
    Recipe,
    checksum_of,
    compress,
    entry_of,
    frame_header,
    frames_of,
    raw_block,
    recipe,
    skippable,
    with_entry,
    with_fan_out,
    with_sections,
    with_tail,
    without,
)

# ---- asking


def survey(data: bytes, *names: str) -> list[SrcpackError]:
    """Ask a pack all there is, and return what it raised; anything but our errors goes through.

    Whatever the pack is, errors begin with its name, and are short enough to be read.
    """
    raised: list[SrcpackError] = []

    def ask(question: Callable[[], Any]) -> Any:
        try:
            return question()
        except SrcpackError as error:
            raised.append(error)
            return None

    forget_dictionaries()
    pack = ask(lambda: srcpack.open(data))
    if pack is not None:
        _ask_everything(pack, ask, names)
        raised += srcpack.verify(pack)
    for error in raised:
        assert str(error).startswith("<bytes>: ")
        assert error.file == "<bytes>"
    return raised


def _ask_everything(pack: Pack, ask: Callable[[Callable[[], Any]], Any], names: tuple[str, ...]) -> None:
    for asked in _ABOUT_A_PACK:
        ask(partial(asked, pack))
    entries = [
        ask(partial(pack.__getitem__, name)) for name in ("bad.js", "good.js", "long.js", "raw.bin", *names)
    ]
    entries += [ask(lambda: pack.by_url("~/bad.js"))]
    entries += ask(lambda: list(islice(pack.entries(), 300))) or []
    for entry in filter(None, entries):
        for about in _ABOUT_AN_ENTRY:
            ask(partial(about, entry))


_ABOUT_A_PACK: tuple[Callable[[Pack], object], ...] = (
    len,
    lambda pack: pack.bundle,
    lambda pack: pack.attributes,
    lambda pack: pack.source_links,
    lambda pack: pack.by_path("/no/such"),
    lambda pack: pack.by_debug_id("00000001-2222-4333-8444-555566667777", "source"),
    lambda pack: pack.by_url("~/no/such"),
    lambda pack: list(islice(pack, 300)),
    lambda pack: list(pack.find_prefix("l")),
    lambda pack: packfile_of(pack).dictionary(),
)
_ABOUT_AN_ENTRY: tuple[Callable[[Entry], object], ...] = (
    Entry.read,
    Entry.text,
    Entry.view,
    lambda entry: entry.open().read(),
    lambda entry: entry.read_range(1, 70),
    lambda entry: entry.context(1),
    lambda entry: entry.context(entry.lines, lines=40),
    lambda entry: (entry.headers, entry.source_mapping_url, entry.type, entry.stored_size),
    lambda entry: entry.debug_id,
)


def refused(data: bytes, question: Callable[[Any], object], match: str, kind: type = FormatError) -> None:
    """Check that a question is refused, and that nothing else than our errors comes of any other."""
    survey(data)
    forget_dictionaries()
    with pytest.raises(kind, match=match) as caught:
        question(srcpack.open(data))
    assert str(caught.value).startswith("<bytes>: ")


def read_bucket(number: int, pack: Pack) -> bytes:
    return packfile_of(pack).directory.read_bucket(number)


def read(name: str) -> Callable[[Any], bytes]:
    return lambda pack: pack[name].read()


def others_are_right(data: bytes) -> None:
    pack = srcpack.open(data)
    assert pack["good.js"].read() == GOOD
    assert pack["long.js"].read() == LONG
    assert pack["raw.bin"].view() == RAW
    assert pack.by_url("~/good.js") == pack["good.js"]
    assert pack.get("absent") is None


# ---- the recipe itself


def test_the_recipe_makes_a_right_pack() -> None:
    data = recipe().build()
    pack = srcpack.open(data)
    assert [entry.read() for entry in pack.entries()] == [BAD, GOOD, LONG, RAW]
    others_are_right(data)
    assert srcpack.verify(pack) == []
    # Of what is asked, a pack has no dictionary, and a raw content that is no text.
    assert {str(error) for error in survey(data)} == {
        "<bytes>: this pack has no dictionary",
        "<bytes>: 'raw.bin' cannot be read: not UTF-8",
    }


# ---- head and tail


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"frame_magic": 0x184D2A5A}, "frame header of the tail at offset"),
        ({"frame_length": 311}, "frame header of the tail at offset"),
        ({"major": 2}, "major version at offset .*: found 2, expected 1"),
        ({"major": 0}, "major version"),
        ({"minor": 1}, r"version in the tail .*: found \(1, 1\), expected the head's \(1, 0\)"),
        ({"flags": 1}, "flags that this reader does not know"),
        ({"flags": 1 << 31}, "flags that this reader does not know"),
        ({"file_length": 0}, "tail: file length"),
        ({"file_length": U64}, "tail: file length"),
        ({"frame_size": 0}, "tail: frame size at .*: found 0, expected 1 to 1073741824"),
        ({"frame_size": 2**30 + 1}, "tail: frame size"),
        ({"frame_size": U32}, "tail: frame size"),
        ({"block_entries": 0}, "tail: entries in a block"),
        ({"block_entries": 1025}, "tail: entries in a block .*: found 1025, expected 1 to 1024"),
        ({"block_entries": 3}, "size of the index"),
        ({"damaged_count": 5}, "tail: damaged entries .*: found 5, expected 4 at most"),
        ({"key_kinds": 31}, "tail: kinds of keys .*: found 0x1f, expected bits of 0xf"),
        ({"entry_count": 65}, "size of the index"),
        ({"entry_count": 0}, "size of the index"),
        ({"entry_count": U32}, "size of the index"),
        ({"bucket_count": 0}, "tail: buckets"),
        ({"bucket_count": 2}, "size of the index"),
        ({"bucket_count": U32}, "size of the index"),
        ({"slot_count": 0}, "size of the index"),
        ({"slot_count": U32}, "size of the index"),
        ({"dictionary_id": 1}, "tail: dictionary id, size, SHA-256"),
        ({"dictionary_size": 1}, "tail: dictionary id, size, SHA-256"),
        ({"dictionary_sha256": bytes(31) + b"\1"}, "tail: dictionary id, size, SHA-256"),
        ({"reserved": b"\0\0\0\1"}, "tail: reserved bytes"),
    ],
)
def test_a_field_of_the_tail_that_lies_is_refused_at_open(fields: dict[Any, Any], match: str) -> None:
    data = with_tail(recipe().build(), **fields)
    survey(data)
    with pytest.raises(FormatError, match=match):
        srcpack.open(data)


def test_a_greater_minor_version_is_read() -> None:
    data = with_tail(HEAD[:18] + b"\7\0" + recipe().build()[20:], minor=7)
    others_are_right(data)
    survey(data)


@pytest.mark.parametrize(
    ("at", "value", "match"),
    [
        (0, b"\0", "frame header of the head"),
        (4, b"\x11", "frame header of the head"),
        (8, b"\x88", "not a pack: magic"),
        (16, b"\2", "major version"),
        (20, b"\1", "flags that this reader does not know"),
        (18, b"\1", "version in the tail"),
    ],
)
def test_a_head_that_is_none_is_refused(at: int, value: Any, match: str) -> None:
    data = recipe().build()
    with pytest.raises(FormatError, match=match):
        srcpack.open(data[:at] + value + data[at + 1 :])


def _set(row: int, column: int, value: int) -> Callable[[list[list[int]]], None]:
    def change(rows: list[list[int]]) -> None:
        rows[row][column] = value

    return change


def _swap(rows: list[list[int]]) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def _same_id(rows: list[list[int]]) -> None:
    rows[1][0] = rows[0][0]


def _overlap(rows: list[list[int]]) -> None:
    rows[1][2] -= 8
    rows[1][3] += 8


def _gap(rows: list[list[int]]) -> None:
    rows[1][2] += 8
    rows[1][3] -= 8


def _short(rows: list[list[int]]) -> None:
    rows[2][3] -= 8


def _after_end(rows: list[list[int]]) -> None:
    rows[5][3] = 1


def _no_index(rows: list[list[int]]) -> None:
    rows[1][3] += rows[2][3]
    rows[2] = [0, 0, 0, 0]


def _index_is_unknown(rows: list[list[int]]) -> None:
    rows[2][0] = 9


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_swap, "section 2"),
        (_same_id, "section 1"),
        (_overlap, "section 2"),
        (_gap, "section 2"),
        (_short, r"sections at offset .*: found \[1, 2, 4\] up to"),
        (_no_index, r"sections at offset .*: found \[1, 2\]"),
        (_index_is_unknown, r"section of a later version at offset .*: found 9"),
        (_after_end, "section table: bytes after its end"),
        (_set(0, 0, 0), "section table: bytes after its end"),
        (_set(0, 1, 1), "section 1"),
        (_set(0, 2, 0), "section 1"),
        (_set(0, 3, U64), "section 1"),
        (_set(1, 2, U64), "section 2"),
        (_set(1, 3, U64), "section 2"),
        (_set(2, 0, 3), r"sections at"),
        (_set(2, 3, U64 - 500), "section 4"),
    ],
)
def test_a_section_table_that_lies_is_refused_at_open(change: Callable[..., Any], match: str) -> None:
    data = with_sections(recipe().build(), change)
    survey(data)
    with pytest.raises(FormatError, match=match):
        srcpack.open(data)


def of_a_later_version(made: Recipe) -> Recipe:
    made.head = HEAD[:18] + b"\1\0" + HEAD[20:]
    made.tail["minor"] = 1
    return made


def test_a_section_that_this_version_does_not_know_is_skipped_in_a_later_one() -> None:
    made = recipe()
    made.extra = b"of a later version"
    with pytest.raises(FormatError, match=r"section of a later version at offset .*: found 6"):
        srcpack.open(made.build())
    others_are_right(of_a_later_version(made).build())
    assert problems(made.build()) == []


@pytest.mark.parametrize("block_entries", [1, 3, 4, 1024])
def test_blocks_have_as_many_entries_as_the_writer_likes(block_entries: int) -> None:
    made = recipe()
    made.block_entries = block_entries
    others_are_right(made.build())
    assert problems(made.build()) == []


def test_a_section_too_short_for_a_frame_header_is_refused() -> None:
    data = Recipe([], manifest=b"abc", attributes_frame=b"").build()
    survey(data)
    with pytest.raises(FormatError, match=r"tail: sections .*: found \[2\] too short"):
        srcpack.open(data)


def test_kinds_of_key_that_are_not_indexed_are_an_error_not_a_miss() -> None:
    pack = srcpack.open(with_tail(recipe().build(), key_kinds=0))
    questions: tuple[Callable[[], object], ...] = (
        lambda: pack["good.js"],
        lambda: pack.get("absent"),
        lambda: pack.by_url("~/good.js"),
        lambda: pack.by_path("absent"),
        lambda: pack.by_debug_id("00000001-2222-4333-8444-555566667777", "source"),
    )
    for question in questions:
        with pytest.raises(FormatError, match="this pack has no index of the kind"):
            question()
    assert list(pack) == ["bad.js", "good.js", "long.js", "raw.bin"]


@pytest.mark.parametrize("frame_size", [1, 63, 65, 2**30])
def test_another_frame_size_does_not_fit_the_entries(frame_size: int) -> None:
    """Either the number of frames is another, or the size that each states."""
    data = with_tail(recipe().build(), frame_size=frame_size)
    refused(data, read("long.js"), "'long.js': (entry: frames|frame) at offset .*: found ")


def test_another_seed_makes_all_lookups_and_listings_errors() -> None:
    data = with_tail(recipe().build(), seed=b"no seed!")
    for question in (read("good.js"), lambda pack: pack.get("absent"), list, lambda pack: pack.bundle):
        refused(data, question, "checksum of bucket|prefix of a manifest block")


@pytest.mark.parametrize(
    "fields",
    [
        {"total_size": 1},
        {"total_size": U64},
        {"content_size": U64},
        {"content_count": U32},
        {"damaged_count": 1},
        {"sha256": bytes(32)},
    ],
)
def test_sums_that_reading_does_not_need_are_checked_by_verify(fields: dict[Any, Any]) -> None:
    data = with_tail(recipe().build(), **fields)
    others_are_right(data)
    assert len(problems(data)) == 1


# ---- index


def test_a_fan_out_that_lies_is_refused() -> None:
    data = recipe().build()
    slots = packfile_of(srcpack.open(data)).tail.slot_count
    for first, end in ((2, 1), (U32, 2), (0, slots + 1), (0, U32), (U32, U32)):
        changed = bytearray(data)
        index = packfile_of(srcpack.open(data)).directory.layout
        for bucket in range(3):
            struct.pack_into("<II", changed, index.fan_out + 8 * bucket, first, 0)
            struct.pack_into("<I", changed, index.fan_out + 8 * bucket + 8, end)
            refused(bytes(changed), partial(read_bucket, bucket), "fan-out of bucket")


def test_a_bucket_of_33_slots_is_refused() -> None:
    made = recipe()
    made.keys = [(Kind.NAME, f"key {number}", 1) for number in range(50)]
    data = made.build()
    refused(
        with_fan_out(data, 0, first=0, end=33),
        partial(read_bucket, 0),
        "fan-out of bucket 0 .*: found slots 0 to 33, expected at most 32",
    )
    pack = srcpack.open(with_fan_out(data, 0, first=0, end=32))
    assert len(packfile_of(pack).directory.read_bucket(0)) == 32 * 8


@pytest.mark.parametrize("number", [4, 5, 63, 64, U32])
def test_a_slot_of_an_entry_that_is_not_there_is_refused(number: int) -> None:
    made = recipe()
    made.keys = [(Kind.NAME, "bad.js", number)]
    refused(made.build(), lambda pack: pack["bad.js"], f"entry number: found {number}, expected below 4")


def test_a_slot_of_the_wrong_entry_is_no_hit() -> None:
    """The entry's own key decides; an author who leaves a key out of the index can do so."""
    made = recipe()
    made.keys = [(Kind.NAME, "bad.js", 1), (Kind.URL, "~/bad.js", 2), (Kind.NAME, "good.js", 1)]
    pack = srcpack.open(made.build())
    with pytest.raises(NotFound):
        pack["bad.js"]
    assert pack.by_url("~/bad.js") is None
    assert pack["good.js"].read() == GOOD
    assert "slots of bucket" in problems(made.build())[0]


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 100), (24, 100), (U64, 1), (U64 - 50, 100), (2**63, 10), (0, 0), (0, U32), (10**6, 5)],
)
def test_a_place_outside_the_manifest_is_refused(offset: int, length: int) -> None:
    made = recipe()
    made.places = {0: (offset, length)}
    refused(made.build(), read("good.js"), "place of a manifest block")


def test_a_place_inside_the_manifest_that_is_no_block_is_refused() -> None:
    section = packfile_of(srcpack.open(recipe().build())).tail.sections[2]
    for offset, length in (
        (section.offset + 8, 0),
        (section.offset + 8, 5),
        (section.offset + 8, section.length - 8),
        (section.end, 0),
        (section.end - 1, 1),
        (section.end - 20, 20),
    ):
        made = recipe()
        made.places = {0: (offset, length)}
        refused(made.build(), read("good.js"), "manifest block")


def test_a_place_of_another_block_is_refused() -> None:
    attributes = packfile_of(srcpack.open(recipe().build())).tail
    made = recipe()
    made.places = {0: (attributes.sections[2].offset + 8, attributes.attributes_length)}
    refused(made.build(), read("good.js"), "prefix of a manifest block")


# ---- blocks


@pytest.mark.parametrize(
    "prefix", [(b"no seed!", 0, 4), (SEED, 1, 4), (SEED, U32, 4), (SEED, 0, 3), (SEED, 0, U32), (SEED, 0, 0)]
)
def test_a_block_of_another_pack_or_place_is_refused(prefix: tuple[bytes, int, int]) -> None:
    made = recipe()
    made.block_prefix = prefix
    refused(made.build(), read("good.js"), "prefix of a manifest block")


def block_with(positions: list[int], items: bytes) -> bytes:
    return struct.pack(f"<8sII{len(positions)}I", SEED, 0, 4, *positions) + items


@pytest.mark.parametrize(
    ("block", "match"),
    [
        (b"", "manifest block: frame"),
        (SEED, "prefix of a manifest block"),
        (struct.pack("<8sII", SEED, 0, 4), "in a manifest block"),
        (block_with([0, 1, 2, 3], b""), "in a manifest block"),
        (block_with([0, 9, 10, 11, 12], b"x" * 9), "in a manifest block"),
        (block_with([1, 9, 10, 11, 12], b"x" * 12), "in a manifest block"),
        (block_with([0, U32, U32, U32, U32], b"x" * 9), "in a manifest block"),
        (block_with([0, 0, 0, 0, 0], b""), "position of item 1"),
        (block_with([0, 9, 9, 9, 9], b"x" * 9), "position of item 1"),
        (block_with([0, 9, 8, 9, 9], b"x" * 9), "position of item 1"),
        (block_with([0, 1, U32, 8, 9], b"x" * 9), "position of item 1"),
    ],
)
def test_a_block_whose_positions_lie_is_refused(block: bytes, match: str) -> None:
    made = recipe()
    made.blocks = {0: compress(block)}
    refused(made.build(), read("good.js"), match)


@pytest.mark.parametrize(
    ("change", "match", "kind"),
    [
        (lambda block: compress(block, write_checksum=False), "manifest block: frame", FormatError),
        (lambda block: compress(block, write_content_size=False), "manifest block: frame", FormatError),
        (lambda block: compress(block) + b"\0", "manifest block: ", FormatError),
        (lambda block: compress(block) + compress(b"x"), "manifest block: ", FormatError),
        (lambda block: compress(block) + skippable(b""), "manifest block: ", FormatError),
        (lambda block: skippable(b"") + compress(block), "manifest block: frame", FormatError),
        (skippable, "manifest block: frame", FormatError),
        (lambda block: compress(block)[:-1], "manifest block: ", FormatError),
        (lambda block: compress(block)[:12], "manifest block: frame", FormatError),
        (
            lambda block: frame_header(len(block) + 1) + raw_block(block) + checksum_of(block),
            "manifest block: ",
            FormatError,
        ),
        (
            lambda block: frame_header(len(block) - 1) + raw_block(block) + checksum_of(block),
            "manifest block: ",
            FormatError,
        ),
        (lambda _: frame_header(0) + raw_block(b"") + checksum_of(b""), "block: frame", FormatError),
        (
            lambda _: frame_header(64 << 20) + raw_block(b"") + checksum_of(b""),
            "manifest block: ",
            FormatError,
        ),
        (lambda _: frame_header((64 << 20) + 1) + raw_block(b"") + checksum_of(b""), "limit", LimitExceeded),
        (lambda _: frame_header(64 << 30) + raw_block(b"") + checksum_of(b""), "limit", LimitExceeded),
        (
            lambda _: frame_header(U64 - 2) + raw_block(b"") + checksum_of(b""),
            "manifest block",
            SrcpackError,
        ),
        (lambda _: frame_header(U64) + raw_block(b"") + checksum_of(b""), "manifest block", SrcpackError),
    ],
)
def test_a_block_in_a_frame_that_lies_is_refused(
    change: Callable[..., Any], match: str, kind: type[SrcpackError]
) -> None:
    made = recipe()
    items = [msgpack.packb(entry) for entry in made.entries]
    made.blocks = {0: change(pack_block(SEED, 0, items))}
    refused(made.build(), read("good.js"), match, kind)


def test_two_blocks_with_each_others_places_are_refused() -> None:
    made = recipe()
    made.entries += [entry_of(f"z{number:02}", b"", 0) for number in range(70)]
    places = [packfile_of(srcpack.open(made.build())).directory.block_place(number) for number in (1, 0)]
    made.places = dict(enumerate(places))
    refused(made.build(), read("good.js"), "prefix of a manifest block")
    refused(made.build(), lambda pack: list(pack.find_prefix("z")), "prefix of a manifest block")


# ---- entries

DEEP = b"\x91" * 10_000 + b"\1"
# As deep as msgpack takes, and too deep for repr.
RATHER_DEEP = b"\x91" * 1000 + b"\1"


def map_with(key: bytes, value: bytes, *, fields: dict[str, Any] | None = None) -> bytes:
    """Return the map of `bad.js` and one more key, each as msgpack has them."""
    packed: bytes = msgpack.packb(without() if fields is None else fields)
    return bytes([packed[0] + 1]) + packed[1:] + key + value


# Of each type that a field can have, a right value; the fields of `bad.js` come on top.
RIGHT: dict[str, Any] = {
    "path": "",
    "headers": {},
    "extra": "",
    "position": 0,
    "unlisted": True,
    "raw": True,
    "binary": True,
    "reference": "",
    "content_debug_id": "",
    "reason": "",
    **without(),
}
VALUES: list[Any] = [
    *(None, True, -1, 1.5, "text", b"binary", [[]], {}, msgpack.Timestamp(1), msgpack.ExtType(5, b"")),
]
WRONG_TYPES = [(key, value) for key in RIGHT for value in VALUES if type(value) is not type(RIGHT[key])]


@pytest.mark.parametrize(("key", "value"), WRONG_TYPES, ids=str)
def test_a_field_of_another_type_makes_the_entry_refused(key: str, value: Any) -> None:
    data = with_entry({**without(), key: value})
    refused(data, read("bad.js"), f"entry: {key} at offset .*: found {type(value).__name__}, expected ")
    others_are_right(data)


@pytest.mark.parametrize("key", ["name", "size", "lines", "sha256", "frames"])
def test_an_entry_without_a_field_is_refused(key: str) -> None:
    data = with_entry(without(**{key: None}))
    refused(data, read("bad.js"), f"entry: {key} at offset .*: found nothing")
    others_are_right(data)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"type": 5}, "entry: type at offset .*: found 5, expected 0 to 4"),
        ({"type": -1}, "entry: type"),
        ({"type": U64}, "entry: type"),
        ({"size": -1}, "size, lines, sha256"),
        ({"size": 10**6}, "entry: frames"),
        ({"size": U64}, "size, lines, sha256"),
        ({"size": 2**63 - 1}, "entry: frames"),
        ({"size": 0}, "size, lines, sha256"),
        ({"size": 65}, "entry: frames"),
        ({"lines": -1}, "size, lines, sha256"),
        ({"lines": len(BAD) + 1}, "size, lines, sha256"),
        ({"sha256": b""}, "size, lines, sha256"),
        ({"sha256": bytes(33)}, "size, lines, sha256"),
        ({"headers": {"a": 1}}, "entry: headers"),
        ({"headers": {b"a": "b"}}, "entry: headers"),
        ({"headers": {"a": None}}, "entry: headers"),
        ({"raw": True}, "entry: frames"),
        ({"reason": "gone"}, "entry: reason"),
        ({"reason": "gone", "size": 0, "frames": []}, "entry: reason"),
        ({"Must": 1}, "entry: 'Must' at offset .*: found a key that this reader does not know"),
        ({"Z": [1, {"a": 2}]}, "entry: 'Z'"),
        ({b"name": 1}, "entry: msgpack at offset .*: found a key that is no text"),
        ({"position": -1}, "entry: position"),
        ({"position": 2**63}, "entry: position"),
        ({"lookup": [0, 5, -1, b"abcd"]}, "entry: lookup"),
        ({"lookup": [2**63, 5, 1, b"abcd"]}, "entry: lookup"),
        ({"lookup": [0, 2**63, 1, b"abcd"]}, "entry: lookup"),
        ({"lookup": [0, 5, 2**63, b"abcd"]}, "entry: lookup"),
        ({"raw": False}, "entry: raw at offset .*: found False, expected True"),
        ({"binary": False}, "entry: binary"),
        ({"unlisted": False}, "entry: unlisted"),
    ],
)
def test_an_entry_with_a_wrong_value_is_refused_and_the_others_are_not(
    fields: dict[Any, Any], match: str
) -> None:
    data = with_entry({**without(), **fields})
    refused(data, read("bad.js"), match)
    others_are_right(data)


def frames(*changes: tuple[int, Any]) -> dict[str, Any]:
    """Return a change of the four values of the one frame of `bad.js`."""
    values = list(recipe().entries[0]["frames"])  # type: ignore[call-overload]
    for at, value in changes:
        values[at] = value
    return {"frames": values}


@pytest.mark.parametrize(
    "fields",
    [
        frames((0, 0)),
        frames((0, 23)),
        frames((0, -1)),
        frames((0, U64)),
        frames((0, 10**6)),
        frames((0, 2**63 - 1)),
        frames((1, 0)),
        frames((1, -1)),
        frames((1, U32)),
        frames((1, U64)),
        frames((1, len(BAD) + 129)),
        frames((2, b"")),
        frames((2, b"12345")),
        frames((2, "1234")),
        frames((2, 1234)),
        frames((3, 1)),
        frames((3, -1)),
        frames((3, U64)),
        frames((0, True)),
        frames((1, 5.0)),
        frames((3, None)),
        frames((3, b"")),
        {"frames": []},
        {"frames": [1]},
        {"frames": [1, 2, 3]},
        {"frames": [1, 2, 3, 4, 5]},
        {"frames": [[], [], [], []]},
        {"frames": frames()["frames"] * 2},
        {"frames": frames()["frames"] * 2, "size": 2 * FRAME_SIZE},
        {"size": 2**30, "lines": 0},
    ],
)
def test_frames_that_lie_are_refused(fields: dict[Any, Any]) -> None:
    data = with_entry({**without(), **fields})
    refused(data, read("bad.js"), "entry: frames at offset .*: found")
    others_are_right(data)


def test_a_frame_of_few_bytes_cannot_claim_a_large_content() -> None:
    """Four bytes of a zstd frame hold at most 128 KiB; so much is not taken for nothing."""
    zeros = bytes(1 << 20)
    frame = compress(zeros)
    assert len(frame) > len(zeros) >> 15
    for claimed, match in ((len(zeros), None), (2**30, "entry: frames")):
        entry = entry_of("bad.js", b"", 0, size=claimed, lines=0)
        entry["frames"] = [24, len(frame), frame[-4:], 0]
        entry["sha256"] = hashlib.sha256(zeros).digest()
        data = Recipe([entry], frame, tail={"frame_size": 2**30}).build()
        if match is None:
            assert srcpack.open(data)["bad.js"].read() == zeros
        else:
            refused(data, read("bad.js"), match)


def test_entries_may_share_frames_and_nothing_breaks_when_they_do_in_part() -> None:
    made = recipe()
    made.entries[0] = {**made.entries[1], "name": "bad.js", "url": "~/bad.js"}  # type: ignore[dict-item]
    assert srcpack.open(made.build())["bad.js"].read() == GOOD
    made.entries[0]["lines"] = 3  # type: ignore[index]
    made.keys = made.all_keys()
    assert "frames shared in part" in problems(made.build())[0]


@pytest.mark.parametrize(
    "value",
    [
        b"\xc0",
        b"\1",
        RATHER_DEEP,
        msgpack.packb({"a": [1, {b"b": None}]}),
        msgpack.packb(msgpack.ExtType(17, b"later")),
        b"\xcb" + b"\xff" * 8,
        pytest.param(b"\xa1\xff", id="text that is not UTF-8"),
        pytest.param(b"\xa3\xed\xa0\x80", id="surrogate"),
        pytest.param(b"\xd5\xff12", id="timestamp of 2 bytes"),
        pytest.param(b"\x82\xa1a\1\xa1a\2", id="a key twice"),
        pytest.param(b"\x82\1\1\xc0\x90", id="keys that are no text"),
    ],
)
def test_a_key_that_begins_with_no_capital_is_read_over(value: Any) -> None:
    for key in ("pad", "É", "1", ""):
        data = with_entry(map_with(msgpack.packb(key), value))
        assert srcpack.open(data)["bad.js"].read() == BAD
        others_are_right(data)
        survey(data)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(map_with(b"\xa3pad", DEEP), id="10,000 lists"),
        pytest.param(map_with(b"\xa3pad", b"\x81\xa1a" * 10_000 + b"\1"), id="10,000 maps"),
        pytest.param(map_with(b"\xa3pad", b"\xdd\xff\xff\xff\xff"), id="array of 4 G"),
        pytest.param(map_with(b"\xa3pad", b"\xdd\x00\x10\x00\x00" * 1000 + bytes(2**20)), id="arrays of 1 M"),
        pytest.param(map_with(b"\xa3pad", b"\xdd\x00\x00\x01\x80" * 180), id="small arrays"),
        pytest.param(map_with(b"\xa3pad", b"\xdf\xff\xff\xff\xff"), id="map of 4 G"),
        pytest.param(map_with(b"\xa3pad", b"\xdb\xff\xff\xff\xff"), id="text of 4 G"),
        pytest.param(map_with(b"\xa3pad", b"\xc6\xff\xff\xff\xff"), id="binary of 4 G"),
        pytest.param(map_with(b"\xa3pad", b"\xc9\xff\xff\xff\xff\5"), id="extension of 4 G"),
        pytest.param(map_with(b"\xa1\xff", b"\1"), id="key that is not UTF-8"),
        pytest.param(map_with(b"\xa3pad", b"\xc1"), id="byte that means nothing"),
        pytest.param(map_with(b"\1", b"\1"), id="number as a key"),
        pytest.param(map_with(b"\x90", b"\1"), id="array as a key"),
        pytest.param(map_with(b"\xc0", b"\1"), id="nil as a key"),
        pytest.param(map_with(b"\xa3pad", b""), id="value that is not there"),
        pytest.param(map_with(b"\xa3pad", b"\1\1"), id="bytes behind"),
        pytest.param(msgpack.packb(without())[:-1], id="cut"),
        pytest.param(b"\x80", id="empty map"),
        pytest.param(b"\xc0", id="nil"),
        pytest.param(b"\x90", id="array"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="map of 4 G and no more"),
        pytest.param(bytes(70_000), id="zeros"),
    ],
)
def test_msgpack_that_lies_is_refused(entry: bytes) -> None:
    data = with_entry(entry)
    refused(data, read("bad.js"), "entry: (msgpack|name)")
    others_are_right(data)


def test_values_nested_too_deeply_to_be_shown_are_refused_all_the_same() -> None:
    packed = msgpack.packb(without(frames=None))
    values = b"\x94" + RATHER_DEEP * 4
    entry = bytes([packed[0] + 1]) + packed[1:] + b"\xa6frames" + values
    refused(
        with_entry(entry), read("bad.js"), r"frames at offset .*: found (values in values|\['list', 'list')"
    )


def test_a_large_entry_is_read() -> None:
    """Over 1 KiB an entry is walked before it is decoded."""
    data = with_entry(without(extra="{" + " " * 5000 + "}", headers={"a": "b" * 3000}))
    pack = srcpack.open(data)
    assert pack["bad.js"].read() == BAD
    assert pack["bad.js"].record.extra == "{" + " " * 5000 + "}"


def test_an_unreadable_member_says_so() -> None:
    data = with_entry({"name": "bad.js", "url": "~/bad.js", "reason": "it was \x1b[31mgone"})
    for question in (read("bad.js"), lambda pack: pack.by_url("~/bad.js").text()):
        with pytest.raises(DamagedMember, match="cannot be read: it was"):
            question(srcpack.open(data))
    survey(data)


def test_a_debug_id_that_is_none_is_refused_when_asked_for() -> None:
    data = with_entry(without(content_debug_id="no id"))
    assert srcpack.open(data)["bad.js"].read() == BAD
    refused(data, lambda pack: pack["bad.js"].debug_id, "debug id: found 'no id'")


def test_content_said_to_be_utf8_that_is_not_is_refused_as_text() -> None:
    content = b"one\ntw\xff\nthree\n"
    frame = compress(content)
    entry = entry_of("bad.js", content, 24, [frame])
    data = Recipe([entry], frame).build()
    assert srcpack.open(data)["bad.js"].read() == content
    refused(data, lambda pack: pack["bad.js"].text(), "'bad.js': text: found .* byte 0xff .* expected UTF-8")
    refused(data, lambda pack: pack["bad.js"].context(2), "'bad.js': text: found")
    # Lines of which it is not, in their turn, can be had.
    assert srcpack.open(data)["bad.js"].context(1, lines=0) == Context((), "one", ())


@pytest.mark.parametrize("lines", [0, 1, 5, 30, 100])
def test_wrong_numbers_of_lines_are_refused_or_bounded(lines: int) -> None:
    """An author can lie about lines; what comes of it is an error or lines that are there."""
    made = recipe()
    entry = made.entries[2]
    assert isinstance(entry, dict)
    entry["lines"] = lines
    entry["frames"] = [
        min(value, lines) if at % 4 == 3 else value for at, value in enumerate(entry["frames"])
    ]
    data = made.build()
    survey(data)
    for line in range(110):
        try:
            found = srcpack.open(data)["long.js"].context(line)
        except FormatError as error:
            assert "lines" in str(error)  # noqa: PT017  which of them, is the author's
        else:
            assert found is None or found.context_line.encode() in LONG
    if lines != 30:
        assert problems(data)


WRONG_ATTRIBUTES: list[dict[Any, Any]] = [
    {"attributes": []},
    {"attributes": {"a": 1}},
    {"attributes": {b"a": "b"}},
    {"source_links": None},
    {"source_links": {"a": None}},
    {"source_links": {b"a": "b"}},
    {"has_files": 1},
    {"identity": ""},
    {"identity": bytes(31)},
    {"source": None},
    {"created_by": []},
    {"source": {"sha256": "text", "size": 1}},
    {"source": {"sha256": bytes(32), "size": 1, "more": {}}},
    {"source": {"sha256": bytes(32), "size": -1}},
    {"source": {"sha256": bytes(32), "size": 2**63}},
    {"created_by": {"tool": 1, "options": {}}},
    {"created_by": {"tool": "t"}},
    {"created_by": {"options": {"deep": [[]]}}},
    {"Must": 1},
    {b"must": 1},
]


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        b"\x80",
        b"\x90",
        b"\xdf\xff\xff\xff\xff",
        {"attributes": {}},
        *({**ATTRIBUTES, "identity": bytes(32), **changed} for changed in WRONG_ATTRIBUTES),
    ],
)
def test_attributes_that_lie_are_refused_and_entries_are_not(attributes: Any) -> None:
    made = recipe()
    made.attributes = attributes
    data = made.build()
    match = "attributes: " if attributes else "position of item 0"
    refused(data, lambda pack: pack.attributes, match)
    refused(data, lambda pack: pack.source_links, match)
    refused(data, lambda pack: pack.source_link("/absent"), match)
    others_are_right(data)


@pytest.mark.parametrize("length", [10_000, U32])
def test_an_attributes_block_longer_than_its_section_is_refused_at_open(length: int) -> None:
    data = with_tail(recipe().build(), attributes_length=length)
    survey(data)
    with pytest.raises(FormatError, match=r"tail: sections .*: found \[2\] too short"):
        srcpack.open(data)


@pytest.mark.parametrize("length", [0, 1, 20, 200])
def test_a_wrong_length_of_the_attributes_block_is_refused(length: int) -> None:
    data = with_tail(recipe().build(), attributes_length=length)
    refused(data, lambda pack: pack.attributes, "manifest block")
    others_are_right(data)


# ---- frames of content

BAD_FRAME = frames_of(BAD)[0]
DICTIONARY = zstandard.train_dictionary(
    1024, [b"%d: the words of a dictionary, %d of them" % (number % 7, number) for number in range(300)]
)
OTHER_DICTIONARY = zstandard.train_dictionary(
    1024,
    [b"%d: other words, %d of them" % (number % 5, number) for number in range(300)],
    dict_id=DICTIONARY.dict_id(),
)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(frame_header(64 << 30) + raw_block(BAD) + checksum_of(BAD), id="64 GiB"),
        pytest.param(frame_header(U64 - 2) + raw_block(BAD) + checksum_of(BAD), id="all the size there is"),
        pytest.param(frame_header(len(BAD) + 1) + raw_block(BAD) + checksum_of(BAD), id="a byte more"),
        pytest.param(frame_header(len(BAD) - 1) + raw_block(BAD) + checksum_of(BAD), id="a byte less"),
        pytest.param(frame_header(len(BAD)) + raw_block(BAD[1:]) + checksum_of(BAD[1:]), id="a byte missing"),
        pytest.param(
            frame_header(len(BAD)) + raw_block(BAD + b"x") + checksum_of(BAD + b"x"), id="a byte over"
        ),
        pytest.param(frame_header(0) + raw_block(b"") + checksum_of(b""), id="nothing"),
        pytest.param(frame_header(len(BAD)) + raw_block(BAD) + b"1234", id="wrong checksum"),
        pytest.param(compress(BAD, write_content_size=False), id="without size"),
        pytest.param(compress(BAD, write_checksum=False) + checksum_of(BAD), id="checksum behind"),
        pytest.param(skippable(BAD), id="skippable"),
        pytest.param(skippable(b"") + BAD_FRAME, id="skippable before"),
        pytest.param(BAD_FRAME + skippable(b""), id="skippable behind"),
        pytest.param(compress(BAD[:20]) + compress(BAD[20:]), id="two frames"),
        pytest.param(BAD_FRAME + BAD_FRAME, id="twice"),
        pytest.param(BAD_FRAME + b"\0" + BAD_FRAME[-4:], id="bytes behind"),
        pytest.param(BAD_FRAME[:-5] + BAD_FRAME[-4:], id="a byte less of it"),
        pytest.param(BAD_FRAME[:8], id="its start"),
        pytest.param(BAD, id="the content itself"),
        pytest.param(compress(BAD, DICTIONARY), id="made with a dictionary"),
        pytest.param(b"\x27" + BAD_FRAME[1:], id="frame of zstd 0.7"),
    ],
)
def test_a_frame_that_lies_is_refused(frame: bytes) -> None:
    data = recipe(frame=frame).build()
    for question in (
        read("bad.js"),
        lambda pack: pack["bad.js"].text(),
        lambda pack: pack["bad.js"].view(),
        lambda pack: pack["bad.js"].open().read(),
        lambda pack: pack["bad.js"].read_range(1, 1),
        lambda pack: pack["bad.js"].context(1),
    ):
        refused(data, question, "'bad.js': frame")
    others_are_right(data)


def test_a_frame_of_another_content_is_refused() -> None:
    """Right bytes in the wrong place: the frame is whole, and is not the entry's."""
    other = b"let other = 3;" + BAD[14:]
    assert len(other) == len(BAD)
    values = frames((2, checksum_of(BAD)))
    data = recipe(frame=compress(other), **values).build()
    refused(data, read("bad.js"), "'bad.js': frame at offset .* checksum")


def test_a_frame_without_a_checksum_is_refused() -> None:
    """Its last bytes can be what the entry has as its checksum, and then nothing would check the content."""
    frame = frame_header(len(BAD), checksum=False) + raw_block(BAD)
    data = recipe(frame).build()
    with pytest.raises(FormatError, match=r"^<bytes>: 'bad\.js': frame at offset"):
        srcpack.open(data)["bad.js"].read()
    assert len(problems(data)) == 1


def test_a_frame_made_without_the_dictionary_is_told_by_verify() -> None:
    told = "<bytes>: 'bad.js': frame's checksum and dictionary id at offset"
    data = recipe(BAD_FRAME, DICTIONARY).build()
    assert srcpack.open(data)["bad.js"].read() == BAD
    assert problems(data) == [
        f"{told} {data.index(BAD_FRAME)}: found (True, 0), expected (True, {DICTIONARY.dict_id()})"
    ]


def problems(data: bytes) -> list[str]:
    return list(map(str, srcpack.verify(srcpack.open(data))))


def test_an_empty_content_that_lies_is_told_by_verify() -> None:
    """It has no frame whose content could be looked at."""
    nothing = entry_of("bad.js", b"", 0)
    assert problems(Recipe([nothing]).build()) == []
    for untrue in ({"sha256": bytes(32)}, {"binary": True}):
        data = Recipe([{**nothing, **untrue}]).build()
        assert srcpack.open(data)["bad.js"].read() == b""
        (problem,) = problems(data)
        assert problem.startswith("<bytes>: 'bad.js': entry: sha256, binary: found ")


# ---- raw contents


def raw_recipe(*changes: tuple[int, Any], content: bytes | None = None, **fields: Any) -> bytes:
    made = recipe()
    entry = made.entries[3]
    assert isinstance(entry, dict)
    for at, value in changes:
        entry["frames"][at] = value
    entry.update(fields)
    if content is not None:
        made.content = content + made.content[8 + len(RAW) :]
    return made.build()


@pytest.mark.parametrize(
    "changes",
    [
        [(4, 32 + 65)],
        [(4, 32 + 63)],
        [(4, 24)],
        [(1, 63)],
        [(1, 65), (4, 32 + 65)],
        [(5, 35)],
        [(5, 37)],
        [(0, 10**6)],
    ],
)
def test_raw_parts_that_do_not_adjoin_are_refused(changes: list[tuple[int, Any]]) -> None:
    data = raw_recipe(*changes)
    for question in (read("raw.bin"), lambda pack: pack["raw.bin"].view()):
        refused(data, question, "entry: frames")


def test_raw_content_of_another_place_is_refused() -> None:
    earlier = [(number, 31 + 64 * (number // 4)) for number in (0, 4, 8)]
    for changes in (earlier, [(2, b"1234")], [(6, b"1234")]):
        data = raw_recipe(*changes)
        for question in (
            read("raw.bin"),
            lambda pack: pack["raw.bin"].view(),
            lambda pack: pack["raw.bin"].open().read(),
        ):
            refused(data, question, "'raw.bin': checksum of raw content|frame header of the raw content")


def test_a_raw_content_that_is_in_no_frame_of_its_own_has_no_view() -> None:
    """Reading needs its bytes only, and has checked them; a view needs the frame too."""
    for header in (skippable(b"", len(RAW) + 1), bytes(8), skippable(b"", U32)):
        data = raw_recipe(content=header + RAW)
        assert srcpack.open(data)["raw.bin"].read() == RAW
        refused(data, lambda pack: pack["raw.bin"].view(), "frame header of the raw content")
        assert "frame header of the raw content" in problems(data)[0]


# ---- dictionary


def dictionary_recipe(frame: bytes | None = None, content: bytes | None = None, **tail: Any) -> bytes:
    """Return a pack with a dictionary, or with something else in its place."""
    made = recipe(None, DICTIONARY)
    if content is not None:
        made.dictionary = content
    made.dictionary_frame = frame
    made.tail = tail
    return made.build()


def test_a_pack_with_a_dictionary_is_right() -> None:
    forget_dictionaries()
    data = dictionary_recipe()
    others_are_right(data)
    assert srcpack.open(data)["bad.js"].read() == BAD
    assert problems(data) == []
    assert {str(error) for error in survey(data)} == {"<bytes>: 'raw.bin' cannot be read: not UTF-8"}


@pytest.mark.parametrize(
    ("made", "match"),
    [
        ({"content": b"no dictionary" * 9}, "dictionary: "),
        ({"content": b"\x37\xa4\x30\xec\1\0\0\0" + b"x" * 99}, "dictionary: "),
        ({"content": b"\x37\xa4\x30\xec\1\0\0\0"}, "dictionary: "),
        (
            {"content": DICTIONARY.as_bytes()[:-1], "dictionary_size": 1024},
            "size and id of the dictionary",
        ),
        ({"content": DICTIONARY.as_bytes()[:100]}, "dictionary: "),
        ({"dictionary_id": 77}, "size and id of the dictionary"),
        ({"dictionary_size": 5000}, "size and id of the dictionary"),
        ({"frame": b""}, "dictionary: frame"),
        ({"frame": b"x"}, "dictionary: frame"),
        ({"frame": DICTIONARY.as_bytes()}, "dictionary: frame"),
        ({"frame": compress(DICTIONARY.as_bytes(), write_checksum=False)}, "dictionary: frame"),
        ({"frame": compress(DICTIONARY.as_bytes(), write_content_size=False)}, "dictionary: frame"),
        ({"frame": compress(DICTIONARY.as_bytes()) + b"\0"}, "dictionary: "),
        ({"frame": compress(DICTIONARY.as_bytes(), DICTIONARY)}, "dictionary: "),
    ],
)
def test_a_dictionary_that_lies_is_refused(made: dict[str, Any], match: str) -> None:
    refused(dictionary_recipe(**made), read("bad.js"), match)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        ({"dictionary_size": 100}, LimitExceeded),
        ({"frame": frame_header(64 << 20) + raw_block(b"") + checksum_of(b"")}, LimitExceeded),
        ({"frame": frame_header(64 << 30) + raw_block(b"") + checksum_of(b"")}, LimitExceeded),
        ({"frame": compress(bytes(2 << 20))}, LimitExceeded),
        ({"frame": bytes(2 << 20)}, LimitExceeded),
    ],
)
def test_a_dictionary_over_its_size_is_refused_before_memory_is_taken(
    made: dict[str, Any], kind: type[SrcpackError]
) -> None:
    refused(dictionary_recipe(**made), read("bad.js"), "over the limit of", kind)


def test_a_dictionary_over_the_limit_of_the_version_is_refused_at_open() -> None:
    with pytest.raises(LimitExceeded, match="dictionary size is 1,048,577, over the limit of 1,048,576"):
        srcpack.open(dictionary_recipe(dictionary_size=(1 << 20) + 1))


def test_a_dictionary_with_another_sha256_serves_its_own_pack_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It claims the SHA-256 of a dictionary that it does not have, and is there first."""
    forget_dictionaries()
    made = recipe(None, OTHER_DICTIONARY)
    made.tail = {"dictionary_sha256": hashlib.sha256(DICTIONARY.as_bytes()).digest()}
    liar = srcpack.open(made.build())
    assert liar["bad.js"].read() == BAD
    loaded = counted_dictionaries(monkeypatch)
    honest = srcpack.open(dictionary_recipe())
    assert honest["bad.js"].read() == BAD
    assert packfile_of(honest).dictionary().data.as_bytes() == DICTIONARY.as_bytes()
    assert packfile_of(liar).dictionary().data.as_bytes() == OTHER_DICTIONARY.as_bytes()
    assert len(loaded) == 1
    assert any("SHA-256 of the dictionary" in problem for problem in problems(made.build()))
    assert problems(dictionary_recipe()) == []


def test_a_dictionary_with_another_sha256_takes_the_place_of_none() -> None:
    """Whatever was dropped meanwhile, and whoever reads first again."""
    made = recipe(None, OTHER_DICTIONARY)
    made.tail = {"dictionary_sha256": hashlib.sha256(DICTIONARY.as_bytes()).digest()}
    packs = {"first": dictionary_recipe(), "second": dictionary_recipe(), "liar": made.build()}
    for before, after in product(permutations(packs), repeat=2):
        opened = {name: srcpack.open(data) for name, data in packs.items()}
        for order in (before, after):
            forget_dictionaries()
            for name in order:
                if name == "liar":
                    with suppress(FormatError):  # the one that it claims was here before
                        assert opened[name]["bad.js"].read() == BAD
                else:
                    assert packfile_of(opened[name]).dictionary().data.as_bytes() == DICTIONARY.as_bytes()
                    assert opened[name]["bad.js"].read() == BAD


def test_a_dictionary_of_many_packs_is_loaded_once_and_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_dictionaries()
    loaded = counted_dictionaries(monkeypatch)
    hashed: list[int] = []

    def counting(data: bytes) -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr(decoding, "sha256", counting)
    packs = [srcpack.open(dictionary_recipe()) for _ in range(5)]
    assert packs[0]["bad.js"].read() == BAD
    assert (len(loaded), hashed) == (1, [])
    for pack in [*packs, *packs]:
        assert pack["bad.js"].read() == BAD
    assert (len(loaded), hashed) == (1, [len(DICTIONARY.as_bytes())])


def counted_dictionaries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a name with each dictionary that is read from a pack."""
    loaded: list[str] = []
    read_dictionary = decoding.read_dictionary

    def counting(source: ByteSource, tail: Tail, *, file: str) -> decoding.Dictionary:
        loaded.append(file)
        return read_dictionary(source, tail, file=file)

    monkeypatch.setattr(decoding, "read_dictionary", counting)
    return loaded


def test_a_dictionary_that_another_pack_has_hides_nothing_from_verify() -> None:
    """A pack with a broken dictionary works beside one whose dictionary is whole, but does not verify."""
    forget_dictionaries()
    assert srcpack.open(dictionary_recipe())["bad.js"].read() == BAD
    broken = srcpack.open(dictionary_recipe(frame=b"x" * 40))
    assert broken["bad.js"].read() == BAD
    assert "dictionary: frame" in str(next(iter(srcpack.verify(broken))))


# ---- memory

_CHILD = """
import resource, sys
import srcpack
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (160 << 20), used + (160 << 20)))
for path in sys.argv[1:]:
    try:
        pack = srcpack.open(path, source="pread")
        pack["bad.js"].read()
    except srcpack.SrcpackError as error:
        print(type(error).__name__)
    else:
        print("read")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")
def test_nothing_of_a_claimed_size_is_allocated(tmp_path: Path) -> None:
    """Each of these claims 1 GiB or more, and is refused by a process that may take 160 MiB."""
    claim = frame_header(64 << 30) + raw_block(BAD) + checksum_of(BAD)
    blocks = recipe()
    blocks.blocks = {0: claim}
    largest_block = recipe()
    largest_block.blocks = {0: frame_header(64 << 20) + raw_block(BAD) + checksum_of(BAD)}
    one_gib = Recipe(
        [{**without(), "size": 2**30, "lines": 0, "frames": [24, len(BAD_FRAME), BAD_FRAME[-4:], 0]}],
        frame_header(2**30) + raw_block(BAD) + checksum_of(BAD),
        tail={"frame_size": 2**30},
    )
    claims = {
        "content": recipe(frame=claim).build(),
        "content of one frame": one_gib.build(),
        "block": blocks.build(),
        "largest block": largest_block.build(),
        "dictionary": dictionary_recipe(frame=claim),
        "arrays": with_entry(map_with(b"\xa3pad", b"\xdd\x00\x40\x00\x00" * 1000 + bytes(4 << 20))),
        "array": with_entry(map_with(b"\xa3pad", b"\xdd\xff\xff\xff\xff")),
        "text": with_entry(map_with(b"\xa3pad", b"\xdb\xff\xff\xff\xff")),
        "entries": with_tail(recipe().build(), entry_count=U32),
        "buckets": with_tail(recipe().build(), bucket_count=U32),
        "slots": with_tail(recipe().build(), slot_count=U32),
        "attributes": with_tail(recipe().build(), attributes_length=U32),
    }
    paths = []
    for name, data in claims.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    outcomes = dict(zip(claims, child.stdout.split(), strict=False))
    assert child.stderr == ""
    assert outcomes == {
        **dict.fromkeys(claims, "FormatError"),
        "block": "LimitExceeded",
        "dictionary": "LimitExceeded",
    }


def test_large_entries_do_not_fill_the_cache_of_entries() -> None:
    """A few bytes of pack unpack to megabytes of entry; what stays in memory is bounded by bytes."""
    count, size = 64, 64 << 10
    names = [f"{number}.js" for number in range(count)]
    made = Recipe([entry_of(name, b"", 0, extra=" " * size) for name in names])
    made.keys = [(Kind.NAME, name, number) for number, name in enumerate(names)]
    data = made.build()
    assert len(data) < 8 << 10
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(12):
            pack = srcpack.open(data)
            for name in names:
                assert pack[name].record.extra == " " * size
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 24 << 20 < 12 * count * size


# ---- any field, any value

_NUMBERS = st.one_of(
    st.integers(0, 200),
    st.sampled_from([2**16 - 1, 2**30, 2**31, U32, 2**32, 2**63 - 1, 2**63, U64, U64 - 7]),
    st.integers(0, U64),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    _NUMBERS,
    st.integers(-(2**63), -1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=40),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
_FIELDS = st.sampled_from([*RIGHT, "later", "Later"])
_TAIL_FIELDS = st.sampled_from([name for name in TAIL if name not in ("sections", "sha256")])


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Draw a pack with up to three lies in it; all checksums are right."""
    made = recipe()
    if draw(st.booleans()):
        made.dictionary = DICTIONARY.as_bytes()
    for _ in range(draw(st.integers(0, 2))):
        number = draw(st.integers(0, 3))
        entry = made.entries[number]
        if not isinstance(entry, dict):
            continue
        match draw(st.sampled_from(["field", "frame", "remove", "bytes"])):
            case "field":
                entry[draw(_FIELDS)] = draw(_VALUES)
            case "frame":
                values = entry.get("frames")
                if isinstance(values, list) and values:
                    values[draw(st.integers(0, len(values) - 1))] = draw(_SCALARS)
            case "remove":
                entry.pop(draw(_FIELDS), None)
            case "bytes":
                packed = bytearray(msgpack.packb(entry))
                packed[draw(st.integers(0, len(packed) - 1))] = draw(st.integers(0, 255))
                made.entries[number] = bytes(packed)
    match draw(st.sampled_from(["nothing", "tail", "content", "place", "sections", "index", "keys"])):
        case "tail":
            return _with_any_tail(made.build(), draw(_TAIL_FIELDS), draw(_NUMBERS))
        case "content":
            at = draw(st.integers(0, len(made.content) - 1))
            made.content = (
                made.content[:at] + draw(st.binary(min_size=1, max_size=9)) + made.content[at + 1 :]
            )
        case "place":
            made.places = {0: (draw(_NUMBERS), draw(_NUMBERS) % 2**32)}
        case "sections":
            row, column, value = draw(st.integers(0, 5)), draw(st.integers(0, 3)), draw(_NUMBERS)
            return with_sections(made.build(), _set(row, column, value if column > 1 else value % 2**32))
        case "index":
            first, end = draw(_NUMBERS) % 2**32, draw(_NUMBERS) % 2**32
            return with_fan_out(made.build(), draw(st.integers(0, 2)), first, end)
        case "keys":
            names = st.sampled_from(["bad.js", "good.js", "~/bad.js", "absent"])
            made.keys = [(draw(st.sampled_from(Kind)), draw(names), draw(_NUMBERS) % 2**32) for _ in range(6)]
    return made.build()


def _with_any_tail(data: bytes, name: str, value: int) -> bytes:
    size = struct.calcsize(TAIL[name][1])
    packed = (value % 2**64).to_bytes(8, "little").ljust(size, b"\0")[:size]
    return with_tail(data, **{name: struct.unpack(TAIL[name][1], packed)[0]})


@settings(derandomize=True, max_examples=600, deadline=None, database=None)
@given(hostile())
def test_whatever_lies_nothing_but_our_errors_comes_of_it(data: bytes) -> None:
    survey(data, "absent")


@settings(derandomize=True, max_examples=500, deadline=None, database=None)
@given(st.sampled_from(sorted(sample_packs.sample_packs())), st.randoms(use_true_random=False))
def test_whatever_lies_in_any_pack_what_is_answered_is_right(name: str, random: Random) -> None:
    """Every field of every structure, up to three at once, in packs of each kind."""
    fuzz_pack.check(lie(sample_packs.sample_packs()[name], random))


@settings(derandomize=True, max_examples=400, deadline=None, database=None)
@given(st.data())
def test_whatever_an_entry_is_the_others_are_read_rightly(drawn: st.DataObject) -> None:
    entry = {**without(), drawn.draw(_FIELDS): drawn.draw(_VALUES)}
    data = with_entry(entry)
    others_are_right(data)
    survey(data)
