"""Tables: heads, blocks of strings and texts, and what a look-up reads and refuses."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.errors import FormatError, LimitExceeded
from srcpack.format.head_tail import FRAME_HEADER, Section
from srcpack.format.lookup_numbers import Numbers, pack_numbers
from srcpack.format.lookup_rows import Row, pack_rows
from srcpack.format.lookup_section import LookupSection
from srcpack.format.lookup_table import LookupTable
from srcpack.format.lookups import (
    ABSENT,
    EMBEDDED,
    ENTRY,
    LookupHead,
    SourceText,
    pack_embedded_text,
    pack_entry_text,
    pack_head,
    pack_strings,
    pack_texts,
    parse_head,
    text_of,
)
from srcpack.records import LookupRecord
from srcpack.rules.original_position import OriginalPosition
from srcpack.source.local import BytesSource
from support.pack_recipe import compress
from support.tables import original

ROWS = [
    [Row(0, 4, 1, 2, 3, 4, 3), Row(0, 10), Row(0, 20, 2, 0, 0, 0, 5)],
    [Row(0, 30, 1, 7, 7, 0, 5), Row(2, 0, 2, 1, 0, 4, 4)],
]
STRINGS = [[b"src/a.ts", "src/\U0001f600.ts".encode()], [b"<unknown>", b"run", b"stop"]]
TEXTS = [[pack_entry_text(17)], [pack_embedded_text(100, 5000, [2000, 2500])]]


@dataclass
class Parts:
    """What is to be in a table; frames can be spoilt before it is put together."""

    rows: list[bytes] = field(default_factory=lambda: [pack_rows(rows) for rows in ROWS])
    strings: list[bytes] = field(default_factory=lambda: [pack_strings(block) for block in STRINGS])
    texts: list[bytes] = field(default_factory=lambda: [pack_texts(block) for block in TEXTS])
    inside: bool = False
    head: dict[str, Any] = field(default_factory=dict)
    claimed: int = 0
    spoil_head: Callable[[bytes], bytes] | None = None

    def table(self) -> tuple[LookupTable, list[tuple[int, int]]]:
        """Return the table, and the list that tells what it reads."""
        blocks = [*self.rows, *self.strings, *self.texts]
        if not self.inside:
            blocks = [compress(block) for block in blocks]
        ends = [sum(map(len, blocks[: number + 1])) for number in range(len(blocks))]
        head = LookupHead(
            map_sha256=bytes(range(32)),
            map=3,
            rows=5,
            sources=2,
            strings=5,
            row_places=[4, 30],
            first_strings=[1, 3],
            first_sources=[1, 2],
            ends=ends,
            checksums=b"" if self.inside else b"".join(block[-4:] for block in blocks),
            inside=b"".join(blocks) if self.inside else None,
        )._replace(**self.head)
        packed = pack_head(head)
        frame = compress(self.spoil_head(packed) if self.spoil_head else packed)
        data = frame if self.inside else b"".join((frame, *blocks))
        reads: list[tuple[int, int]] = []

        def read(offset: int, length: int) -> bytes:
            reads.append((offset, length))
            return (bytes(1000) + data)[offset : offset + length]

        record = LookupRecord(40, len(data) + self.claimed, len(frame), frame[-4:])
        return LookupTable(record, 960, read, file="a.srcpack"), reads


ANSWERS = {
    (1, 1): None,
    (1, 4): None,
    (1, 5): OriginalPosition("src/a.ts", 3, 4, "run", "<unknown>"),
    (1, 10): OriginalPosition("src/a.ts", 3, 4, "run", "<unknown>"),
    (1, 11): None,
    (1, 21): OriginalPosition("src/\U0001f600.ts", 1, 1, "", "stop"),
    (1, 31): OriginalPosition("src/a.ts", 8, 8, "", "stop"),
    (1, 2**40): OriginalPosition("src/a.ts", 8, 8, "", "stop"),
    (2, 1): None,
    (3, 0): OriginalPosition("src/\U0001f600.ts", 2, 1, "run", "run"),
    (3, 1): OriginalPosition("src/\U0001f600.ts", 2, 1, "run", "run"),
    (4, 1): None,
    (2**40, 1): None,
    (0, 1): None,
    (-1, 1): None,
}


@pytest.mark.parametrize("inside", [False, True])
def test_each_place_has_its_answer(inside: bool) -> None:
    table, _ = Parts(inside=inside).table()
    assert {place: original(table, *place) for place in ANSWERS} == ANSWERS
    assert list(table.rows()) == [row for rows in ROWS for row in rows]
    assert list(table.strings()) == [string.decode() for block in STRINGS for string in block]
    assert table.text(1) == SourceText(ENTRY, entry=17)
    assert table.text(2)[:4] == (EMBEDDED, 0, 100, 5000)
    assert list(table.texts()) == [table.text(1), table.text(2)]


def test_a_look_up_reads_the_head_one_block_of_rows_and_the_strings_that_the_row_has() -> None:
    table, reads = Parts().table()
    assert len(reads) == 1
    original(table, 1, 5)
    assert len(reads) == 1 + 3, "name and function are in one block"
    original(table, 1, 6)
    assert len(reads) == 1 + 3 + 1, "strings are kept"
    original(table, 1, 11)
    assert len(reads) == 1 + 3 + 2, "no strings without an answer"
    original(table, 0, 1)
    original(table, 1, 1)
    assert len(reads) == 1 + 3 + 2, "no block for a place before all rows"
    assert len(set(reads)) == 4


def test_a_table_inside_its_head_is_one_read() -> None:
    table, reads = Parts(inside=True).table()
    for place in ANSWERS:
        original(table, *place)
    table.text(2)
    assert len(reads) == 1


def test_a_map_without_tokens_has_an_empty_table() -> None:
    head = {"rows": 0, "row_places": [], "sources": 0, "strings": 0, "first_strings": [], "first_sources": []}
    table, _ = Parts(rows=[], strings=[], texts=[], head=head).table()
    assert original(table, 1, 1) is None
    assert not [*table.rows(), *table.strings(), *table.texts()]


# ---- texts


@given(
    st.lists(st.integers(0, 100_000), max_size=6),
    st.integers(0, 100_000),
    st.integers(1, 500),
    st.integers(0, 200),
)
def test_lines_of_a_text_are_read_from_the_last_known_line_before_them(
    steps: list[int], rest: int, first: int, more: int
) -> None:
    length = sum(steps) + rest
    block = pack_texts([b"\0", pack_embedded_text(1000, length, steps)])
    text = text_of(block, 1, 2, file="a.srcpack", offset=7)
    around = text.around(first, first + more)
    if (first - 1) // 64 > len(steps):
        assert around is None
        return
    assert around is not None
    line, start, size = around
    assert line <= first < line + 64
    assert line % 64 == 1
    assert start == 1000 + sum(steps[: line // 64])
    end = (first + more - 1) // 64 + 1
    assert start + size == 1000 + (length if end > len(steps) else sum(steps[:end]))


def test_positions_past_the_end_of_a_text_are_refused() -> None:
    text = text_of(pack_texts([pack_embedded_text(0, 10, [8, 8])]), 0, 1, file="a.srcpack", offset=7)
    assert text.around(1, 64) == (1, 0, 8)
    for first, last in ((65, 70), (65, 128), (129, 130)):
        with pytest.raises(ValueError, match="in a string of 10 bytes"):
            text.around(first, last)


RECORDS = {
    "nothing": b"",
    "a kind that is none": b"\3",
    "more than a kind": b"\0\0",
    "half a number of an entry": b"\1\0\0",
    "half an embedded text": bytes((2, 0, 0, 0, 0)),
    "steps without a width": bytes((2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
    "steps of five bytes": bytes((2, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 1, 1, 1, 1)),
    "half a step": bytes((2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1)),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_of_a_text_that_has_no_known_form_is_refused(what: str) -> None:
    block = pack_texts([b"\0", RECORDS[what], b"\0"])
    assert text_of(block, 0, 3, file="a.srcpack", offset=7) == SourceText(ABSENT)
    with pytest.raises(FormatError, match=r"a\.srcpack: record 1 of a block of texts at offset 7"):
        text_of(block, 1, 3, file="a.srcpack", offset=7)


@pytest.mark.parametrize(
    "block", [b"", bytes(8), bytes((0, 0, 0, 0, 2, 0, 0, 0, 0)), bytes((5, 0, 0, 0, 6, 0, 0, 0, 0))]
)
def test_positions_of_records_outside_their_block_are_refused(block: bytes) -> None:
    with pytest.raises(FormatError, match="record 0 of a block of texts"):
        text_of(block, 0, 1, file="a.srcpack", offset=7)


# ---- what no writer writes


def at(place: int, value: bytes) -> Any:
    return lambda data: data[:place] + value + data[place + len(value) :]


HEADS: dict[str, Parts] = {
    "nothing but a byte": Parts(spoil_head=lambda data: data[:1]),
    "cut": Parts(spoil_head=lambda data: data[:-1]),
    "with more after it": Parts(spoil_head=lambda data: data + b"\0"),
    "inside, cut": Parts(inside=True, spoil_head=lambda data: data[:-1]),
    "inside, with more after it": Parts(inside=True, spoil_head=lambda data: data + b"\0"),
    "flags that are unknown": Parts(spoil_head=at(60, b"\2")),
    "four billion blocks": Parts(spoil_head=at(48, b"\xff\xff\xff\xff")),
    "fewer rows than blocks": Parts(head={"rows": 1}),
    "more rows than blocks may have": Parts(head={"rows": 2 * 65536 + 1}),
    "rows without a block": Parts(rows=[], head={"row_places": []}),
    "fewer strings than sources": Parts(head={"sources": 6}),
    "strings that begin with number 2": Parts(head={"first_strings": [2, 3]}),
    "strings without a block": Parts(strings=[], head={"first_strings": []}),
    "blocks of strings without strings": Parts(head={"strings": 0, "sources": 0}),
    "sources that begin with number 2": Parts(head={"first_sources": [2, 2]}),
    "sources without a block": Parts(texts=[], head={"first_sources": []}),
    "blocks of texts without sources": Parts(head={"sources": 0}),
    "an end that is not the table's": Parts(head={"ends": [10, 20, 30, 40, 50, 60]}),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_does_not_fit_is_refused(what: str) -> None:
    with pytest.raises(FormatError, match=r"a\.srcpack: head of a lookup table at offset 1000: found"):
        HEADS[what].table()


BLOCKS: dict[str, tuple[Parts, str]] = {
    "a source that is none": (
        Parts(rows=[pack_rows([Row(0, 4, 6)]), pack_rows(ROWS[1])]),
        "number of a string in a lookup table at offset .*: found 6, expected 1 to 5",
    ),
    "rows that are none": (Parts(rows=[b"rows", b"rows"]), "row block"),
    "fewer strings than there should be": (
        Parts(strings=[b"", pack_strings(STRINGS[1])]),
        "block of strings",
    ),
    "a string that does not end": (
        Parts(strings=[b"src/a.ts", pack_strings(STRINGS[1])]),
        "block of strings",
    ),
}


@pytest.mark.parametrize("what", BLOCKS)
def test_a_block_that_does_not_fit_is_refused_where_it_is_needed(what: str) -> None:
    parts, message = BLOCKS[what]
    with pytest.raises(FormatError, match=message):
        original(parts.table()[0], 1, 5)


def test_another_block_with_a_checksum_of_its_own_is_refused() -> None:
    table, _ = Parts().table()
    other, _ = Parts(rows=[pack_rows([Row(0, 4, 1)]), pack_rows(ROWS[1])]).table()
    table.head = table.head._replace(checksums=other.head.checksums)
    with pytest.raises(FormatError, match=r"block of rows: checksum at offset .*: found .*, expected"):
        original(table, 1, 5)
    assert original(table, 1, 31) == ANSWERS[1, 31]


def test_a_frame_over_64_mib_is_refused_before_it_is_read() -> None:
    too_long = (64 << 20) + 1
    reads: list[tuple[int, int]] = []

    def read(offset: int, length: int) -> bytes:
        reads.append((offset, length))
        return b""

    record = LookupRecord(40, 1 << 32, too_long, b"abcd")
    with pytest.raises(LimitExceeded, match="head of a lookup table at offset 1000: packed size"):
        LookupTable(record, 960, read, file="a.srcpack")
    assert not reads
    whole, _ = Parts().table()
    ends = [end + too_long for end in whole.head.ends]
    table, reads_of_table = Parts(head={"ends": ends}, claimed=too_long).table()
    with pytest.raises(LimitExceeded, match=r"block of rows at offset \d+: packed size"):
        original(table, 1, 5)
    assert len(reads_of_table) == 1, "its head alone"


def test_numbers_that_are_outside_are_refused() -> None:
    table, _ = Parts().table()
    for number in (0, 3, -1):
        with pytest.raises(
            FormatError, match=f"number of a source in a lookup table at .*: found {number}, expected 1 to 2"
        ):
            table.text(number)


@given(st.binary(max_size=160))
def test_any_bytes_are_no_head_or_a_head(data: bytes) -> None:
    try:
        head = parse_head(data, LookupRecord(0, 50, 40, b"1234"), file="a.srcpack", offset=0)
    except FormatError:
        return
    assert pack_head(head) == data


def test_numbers_without_planes_are_what_they_are_stored_without() -> None:
    numbers = Numbers(pack_numbers([0, 0], 0, 0), 0, 2, 0)
    assert numbers.values() == [0, 0]


# ---- the section


def section_of(data: bytes, place: LookupRecord, length: int) -> LookupTable:
    """Open the table at a place of a section of some length, of a file that has only these bytes."""
    section = LookupSection(BytesSource(data), Section(0, FRAME_HEADER.size + length), file="x.srcpack")
    return section.table(place)


@pytest.mark.parametrize("place", [(0, 101, 90), (50, 51, 20), (0, 10, 0), (0, 10, 11)])
def test_a_place_outside_its_section_is_refused(place: tuple[int, int, int]) -> None:
    with pytest.raises(FormatError, match="place of a lookup table"):
        section_of(bytes(1000), LookupRecord(*place, bytes(4)), 100)


def test_a_section_that_ends_before_its_table_does_is_refused() -> None:
    with pytest.raises(FormatError, match="cut while it was open"):
        section_of(bytes(50), LookupRecord(0, 100, 90, bytes(4)), 100)
