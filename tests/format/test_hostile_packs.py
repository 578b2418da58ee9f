"""Packs whose checksums are all right and whose fields are odd, or lie: what is read, and what it costs.

What is refused is in `support/sentences`, row by row.
"""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz_pack
import srcpack
from srcpack import Context, DamagedMember, FormatError, NotFound
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind
from support.pack_lies import lie
from support.pack_parts import with_tail
from support.pack_recipe import (
    BAD,
    GOOD,
    HEAD,
    LONG,
    RAW,
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
    without,
)
from support.sample_packs import SAMPLES, sample_packs
from support.sentences import packs as make
from support.survey import others_are_right, problems, survey

# ---- tail and index


def test_a_section_that_this_version_does_not_know_is_skipped_in_a_later_one() -> None:
    later = {"head": HEAD[:18] + b"\1\0" + HEAD[20:], "tail": {"minor": 1}}
    data = make.changed(extra=b"of a later version", **later)()
    others_are_right(data)
    assert problems(data) == []


@pytest.mark.parametrize("block_entries", [1, 3, 4, 1024])
def test_blocks_have_as_many_entries_as_the_writer_likes(block_entries: int) -> None:
    data = make.changed(block_entries=block_entries)()
    others_are_right(data)
    assert problems(data) == []


def test_kinds_of_key_that_are_not_indexed_are_an_error_not_a_miss() -> None:
    pack = srcpack.open(with_tail(recipe().build(), key_kinds=0))
    questions: tuple[Callable[[], object], ...] = (
        *(lambda: pack["good.js"], lambda: pack.get("absent")),
        *(lambda: pack.by_url("~/good.js"), lambda: pack.by_path("absent")),
        lambda: pack.by_debug_id("00000001-2222-4333-8444-555566667777", "source"),
    )
    for question in questions:
        with pytest.raises(FormatError, match="this pack has no index of the kind"):
            question()
    assert list(pack) == ["bad.js", "good.js", "long.js", "raw.bin"]


def test_sums_that_reading_does_not_need_are_checked_by_verify() -> None:
    sums = {"total_size": 1, "content_size": U64, "content_count": U32, "damaged_count": 1}
    data = with_tail(recipe().build(), sha256=bytes(32), **sums)
    others_are_right(data)
    assert [problem.partition(":")[2].partition(": found")[0] for problem in problems(data)] == [
        " SHA-256 of all before the tail",
        " total size and damaged members in the tail",
    ]


def test_a_bucket_of_32_slots_is_read() -> None:
    assert len(packfile_of(srcpack.open(make.bucket_of(32))).directory.read_bucket(0)) == 32 * 8


def test_a_slot_of_the_wrong_entry_is_no_hit() -> None:
    """The entry's own key decides; an author who leaves a key out of the index can do so."""
    keys = [(Kind.NAME, "bad.js", 1), (Kind.URL, "~/bad.js", 2), (Kind.NAME, "good.js", 1)]
    data = make.changed(keys=keys)()
    pack = srcpack.open(data)
    with pytest.raises(NotFound):
        pack["bad.js"]
    assert pack.by_url("~/bad.js") is None
    assert pack["good.js"].read() == GOOD
    assert "slots of bucket" in problems(data)[0]


# ---- entries and attributes

# As deep as msgpack takes, and too deep for repr.
RATHER_DEEP = b"\x91" * 1000 + b"\1"


@pytest.mark.parametrize(
    "value",
    [
        *(b"\xc0", b"\1", RATHER_DEEP, msgpack.packb({"a": [1, {b"b": None}]}), b"\xcb" + b"\xff" * 8),
        pytest.param(msgpack.packb(msgpack.ExtType(17, b"later")), id="extension"),
        pytest.param(b"\xa1\xff", id="text that is not UTF-8"),
        pytest.param(b"\xa3\xed\xa0\x80", id="surrogate"),
        pytest.param(b"\xd5\xff12", id="timestamp of 2 bytes"),
        pytest.param(b"\x82\xa1a\1\xa1a\2", id="a key twice"),
        pytest.param(b"\x82\1\1\xc0\x90", id="keys that are no text"),
    ],
)
def test_a_key_that_begins_with_no_capital_is_read_over(value: Any) -> None:
    for key in ("pad", "É", "1", ""):
        data = make.packed_entry(msgpack.packb(key), value)()
        assert srcpack.open(data)["bad.js"].read() == BAD
        others_are_right(data)
        survey(data)


def test_values_nested_too_deeply_to_be_shown_are_refused_all_the_same() -> None:
    data = make.packed_entry(b"\xa6frames", b"\x94" + RATHER_DEEP * 4, frames=None)()
    with pytest.raises(FormatError, match=r"frames at offset .*: found (values in values|\['list', 'list')"):
        srcpack.open(data)["bad.js"]


def test_a_large_entry_is_read() -> None:
    """Over 1 KiB an entry is walked before it is decoded."""
    extra = "{" + " " * 5000 + "}"
    entry = srcpack.open(with_entry(without(extra=extra, headers={"a": "b" * 3000})))["bad.js"]
    assert (entry.read(), entry.record.extra) == (BAD, extra)


def test_an_unreadable_member_says_so() -> None:
    data = with_entry({"name": "bad.js", "url": "~/bad.js", "reason": "it was \x1b[31mgone"})
    pack = srcpack.open(data)
    for entry in (pack["bad.js"], pack.by_url("~/bad.js")):
        assert entry is not None
        with pytest.raises(DamagedMember, match="cannot be read: it was"):
            entry.read()
    survey(data)


def test_a_debug_id_that_is_none_is_refused_when_asked_for() -> None:
    entry = srcpack.open(with_entry(without(content_debug_id="no id")))["bad.js"]
    assert entry.read() == BAD
    with pytest.raises(FormatError, match="debug id: found 'no id'"):
        _ = entry.debug_id


def test_content_said_to_be_utf8_that_is_not_is_refused_as_text() -> None:
    content = b"one\ntw\xff\nthree\n"
    data = Recipe([entry_of("bad.js", content, 24, [compress(content)])], compress(content)).build()
    entry = srcpack.open(data)["bad.js"]
    assert entry.read() == content
    for question in (entry.text, lambda: entry.context(2)):
        with pytest.raises(FormatError, match=r"'bad\.js': text: found .* byte 0xff .* expected UTF-8"):
            question()
    # Lines of which it is not, in their turn, can be had.
    assert entry.context(1, lines=0) == Context((), "one", ())


@pytest.mark.parametrize("lines", [0, 1, 5, 30, 100])
def test_wrong_numbers_of_lines_are_refused_or_bounded(lines: int) -> None:
    """An author can lie about lines; what comes of it is an error or lines that are there."""
    made = recipe()
    entry = made.entries[2]
    entry["lines"] = lines
    entry["frames"] = [min(each, lines) if at % 4 == 3 else each for at, each in enumerate(entry["frames"])]
    data = made.build()
    survey(data)
    long = srcpack.open(data)["long.js"]
    for line in range(110):
        try:
            found = long.context(line)
        except FormatError as error:
            assert "lines" in str(error)  # noqa: PT017  which of them, is the author's
        else:
            assert found is None or found.context_line.encode() in LONG
    assert bool(problems(data)) == (lines != 30)


def test_attributes_that_lie_are_refused_and_entries_are_not() -> None:
    data = make.changed(attributes=b"\x80")()
    pack = srcpack.open(data)
    for question in (lambda: pack.attributes, lambda: pack.source_links, lambda: pack.source_link("/absent")):
        with pytest.raises(FormatError, match="attributes: "):
            question()
    others_are_right(data)


# ---- contents


def test_zeros_that_shrink_as_far_as_they_can_are_read() -> None:
    """Four bytes of a zstd frame hold at most 128 KiB; so much is not taken for nothing."""
    assert srcpack.open(make.frame_of_few_bytes(1 << 20))["bad.js"].read() == bytes(1 << 20)


def test_a_raw_content_that_is_in_no_frame_of_its_own_has_no_view() -> None:
    """Reading needs its bytes only, and has checked them; a view needs the frame too."""
    for header in (skippable(b"", len(RAW) + 1), bytes(8), skippable(b"", U32)):
        entry = srcpack.open(make.raw(content=header + RAW)())["raw.bin"]
        assert entry.read() == RAW
        with pytest.raises(FormatError, match="frame header of the raw content"):
            entry.view()


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
    frame = frames_of(BAD)[0]
    claim = frame_header(64 << 30) + raw_block(BAD) + checksum_of(BAD)
    one_gib = Recipe(
        [{**without(), "size": 2**30, "lines": 0, "frames": [24, len(frame), frame[-4:], 0]}],
        frame_header(2**30) + raw_block(BAD) + checksum_of(BAD),
        tail={"frame_size": 2**30},
    )
    largest = frame_header(64 << 20) + raw_block(BAD) + checksum_of(BAD)
    arrays = b"\xdd\x00\x40\x00\x00" * 1000 + bytes(4 << 20)
    claims = {
        "content": recipe(frame=claim).build(),
        "content of one frame": one_gib.build(),
        "block": make.changed(blocks={0: claim})(),
        "largest block": make.changed(blocks={0: largest})(),
        "dictionary": make.dictionary(frame=claim)(),
        "arrays": make.packed_entry(b"\xa3pad", arrays)(),
        "array": make.packed_entry(b"\xa3pad", b"\xdd\xff\xff\xff\xff")(),
        "text": make.packed_entry(b"\xa3pad", b"\xdb\xff\xff\xff\xff")(),
    }
    for field in ("entry_count", "bucket_count", "slot_count", "attributes_length"):
        claims[field] = with_tail(recipe().build(), **{field: U32})
    for name, data in claims.items():
        (tmp_path / name).write_bytes(data)
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *(tmp_path / name for name in claims)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert child.stderr == ""
    assert dict(zip(claims, child.stdout.split(), strict=True)) == {
        **dict.fromkeys(claims, "FormatError"),
        **dict.fromkeys(("block", "dictionary"), "LimitExceeded"),
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


@settings(max_examples=400)
@given(st.sampled_from(["recipe", *SAMPLES]), st.randoms(use_true_random=False))
def test_whatever_lies_in_any_pack_what_is_answered_is_right(name: str, random: Random) -> None:
    """Every field of every structure, up to three at once, in packs of each kind."""
    fuzz_pack.check(lie(sample_packs().get(name) or recipe().build(), random))
