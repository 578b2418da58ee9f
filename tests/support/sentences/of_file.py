"""Rows for the sentences of SPEC.md on the file, its contents, dictionary, index and tail."""

from typing import Any

from srcpack.rules.lookup_keys import Kind
from support.pack_recipe import (
    BAD,
    U32,
    Recipe,
    checksum_of,
    compress,
    entry_of,
    frame_header,
    raw_block,
    recipe,
    with_fan_out,
    without,
)
from support.sentences.packs import (
    DICTIONARY,
    a_bit_of_the_tail,
    a_bucket_of_33_slots,
    attributes,
    blocks_that_unpack_to_too_much,
    changed,
    checksum_of_a_bucket,
    contents_shared_in_part,
    dictionary,
    entry,
    equal_contents_twice,
    fan_out_end,
    frame,
    frame_of_few_bytes,
    frames,
    frames_of_long,
    gap_in_blocks,
    gap_in_contents,
    head,
    keys,
    later_slots,
    packed_entry,
    raw,
    section,
    slot_of_no_bucket,
    slots,
    spoilt_header_of,
    spoilt_raw_header,
    tail,
)
from support.sentences.row import ATTRIBUTE, ENTRY, MISS, OPEN, READ, Row, line

__all__ = ["ROWS_OF_FILE"]

_DICTIONARY = "A reader MUST check the frame as that of a block, with the limit of 1 MiB"
_INDEX = "the index holds each key's winner"
_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
_DICTIONARIES: dict[str, dict[str, Any]] = {
    "no checksum flag": {"frame": compress(DICTIONARY.as_bytes(), write_checksum=False)},
    "no size": {"frame": compress(DICTIONARY.as_bytes(), write_content_size=False)},
    "over 1 MiB": {"frame": compress(bytes((1 << 20) + 1))},
    "id": {"dictionary_id": 77},
    "size": {"dictionary_size": 5000},
}

ROWS_OF_FILE = [
    # 1 Conventions, 2 The file, 3 Head
    Row("msgpack maps have text keys", "a number", packed_entry(b"\1", b"\1"), "entry: msgpack", ENTRY),
    Row("each at most once", "a key", packed_entry(b"\xa4name", b"\xa6bad.js"), "'name'", ENTRY),
    Row("text is valid UTF-8", "a path", packed_entry(b"\xa4path", b"\xa1\xff"), "entry: msgpack", ENTRY),
    Row("there is no null", "a path", packed_entry(b"\xa4path", b"\xc0"), "entry: path", ENTRY),
    Row(
        "the integers of msgpack are under 2^63",
        "a position",
        entry(position=2**63),
        "entry: position",
        ENTRY,
    ),
    Row("lie in this order between head and tail, with no gap", "a gap", section(1, 2, 900), "section", OPEN),
    *(
        Row("A reader MUST refuse other values of frame magic", f"byte {at}", head(at, b"\7"), told, OPEN)
        for at, told in ((0, "head"), (4, "head"), (8, "magic"), (16, "version"), (20, "flags"))
    ),
    # 4 Content
    Row("Equal contents (by SHA-256) MUST be stored once", "twice", equal_contents_twice, "equal content"),
    Row("their entries have equal frames", "other ones", equal_contents_twice, "equal content"),
    Row("An empty content is not stored", "raw", entry(size=0, lines=0, frames=[], raw=True), "raw", ENTRY),
    Row("together they fill the content section with no gap", "a gap", gap_in_contents, "end, number"),
    Row("refuse a recorded length over part + part/128", "a byte", frames(1, len(BAD) + 129), "frames", READ),
    Row("or not over part/2^15 (rounded down)", "of 1 GiB", frame_of_few_bytes, "frames", READ),
    Row(
        "refuse a frame whose header does not state that size",
        "a byte more",
        frame(frame_header(len(BAD) + 1) + raw_block(BAD) + checksum_of(BAD)),
        "frame",
        READ,
    ),
    Row(
        "refuse a frame whose last 4 bytes are not the recorded checksum",
        "another content",
        frame(compress(BAD[::-1]), frames=without()["frames"]),
        "frame",
        READ,
    ),
    Row(
        "refuse a frame without the checksum flag",
        "none",
        frame(frame_header(len(BAD), checksum=False) + raw_block(BAD)),
        "frame",
        READ,
    ),
    *(
        Row(
            "decode it with the pack's dictionary, if it has one, and refuse it if zstd does",
            *each,
            "frame",
            READ,
        )
        for each in (
            ("another dictionary", frame(compress(BAD, DICTIONARY))),
            ("bytes left over", frame(compress(BAD) + b"\0" + checksum_of(BAD))),
            ("a checksum that does not fit", frame(frame_header(len(BAD)) + raw_block(BAD) + b"1234")),
            ("a block that is cut", frame(compress(BAD)[:-5] + checksum_of(BAD))),
        )
    ),
    Row("For a raw part it MUST refuse another checksum", "of part 0", raw(2, b"1234"), "raw content"),
    Row(
        "It MUST refuse where these parts end before line feed *a* - 1",
        "line 35 of 30",
        frames_of_long(lambda _: None, lines=40),
        "lines",
        line(35),
    ),
    Row(
        "or before line feed *b* where",
        "line 31 of 30",
        frames_of_long(lambda _: None, lines=40),
        "lines",
        line(31),
    ),
    Row(
        "Where *b* is the last line, it MUST refuse unless the content goes on",
        "line 31 of 30",
        frames_of_long(lambda _: None, lines=31),
        "lines",
        line(31),
    ),
    Row(
        "and ends with line feed *b* or without one",
        "line 29 of 30",
        frames_of_long(lambda _: None, lines=29),
        "lines",
        line(29),
    ),
    # 6 Dictionary
    *(
        Row(_DICTIONARY, what, dictionary(**changes), "dictionary", READ)
        for what, changes in _DICTIONARIES.items()
    ),
    Row("and of the dictionary", "another", dictionary(dictionary_sha256=b"x" * 32), "dictionary"),
    Row("Raw-content dictionaries are not", "one", dictionary(b"no dictionary" * 9), "dictionary", READ),
    # 7 Keys, 8 Index
    Row(
        "An entry without `debug_id` has the key that its headers give",
        "not in the index",
        entry(headers={"debug-id": _ID}),
        "slots of bucket",
    ),
    Row(
        "the one whose written form is greatest (in bytes) counts",
        "the other one",
        entry(headers={"Debug-Id": _ID, "debug-id": _ID[::-1]}, debug_id=_ID),
        "entry: debug_id",
    ),
    Row(
        "The headers' debug id is the value of `debug-id`",
        "of id",
        entry(headers={"id": _ID}, debug_id=_ID),
        "debug_id",
    ),
    Row(
        "Where several entries have one key, the one with the greatest name has it",
        "the first",
        lambda: Recipe(
            [entry_of(name, b"", 0, url="~/a") for name in "ab"],
            keys=[(Kind.NAME, "a", 0), (Kind.NAME, "b", 1), (Kind.URL, "~/a", 0)],
        ).build(),
        "slots of bucket",
    ),
    Row("Bucket 0 has first slot 0", "1", later_slots, "slot"),
    Row(
        "the last element of the fan-out has first slot",
        "a slot more",
        slot_of_no_bucket,
        "last element of the fan-out",
    ),
    Row(
        "the last element of the fan-out has first slot `slot_count` and checksum 0",
        "1",
        fan_out_end,
        "fan-out",
    ),
    Row("slots are sorted by fingerprint", "not", slots(lambda found: (U32, found[0][1])), "slots of bucket"),
    Row(
        "A reader MUST check it before it believes",
        "another",
        checksum_of_a_bucket,
        "checksum of bucket",
        MISS,
    ),
    # 9 Tail
    Row("Sections 1, 2 and 4 MUST be there", "no index", section(2, 0, 5), "sections", OPEN),
    Row("Either section 3 is there", "not", tail(dictionary_id=1), "dictionary", OPEN),
    Row("Either section 3 is there", "zeros", dictionary(dictionary_id=0), "dictionary", OPEN),
    Row("Ids rise", "not", section(1, 0, 1), "section", OPEN),
    Row("the first section begins at 24", "not", section(0, 2, 23), "section 1", OPEN),
    Row("the last ends where the tail begins", "before", section(2, 3, 20), "sections", OPEN),
    Row(
        "All sections but 1 have at least 8 bytes",
        "3",
        changed(entries=[], manifest=b"abc", attributes_frame=b""),
        "",
        OPEN,
    ),
    Row("section 2 at least 8 + attributes_length", "less", tail(attributes_length=9999), "sections", OPEN),
    Row("and the length of section 4 MUST be", "less", tail(slot_count=1), "size of the index", OPEN),
    Row("the magic, and the checksum", "magic", lambda: recipe().build()[:-1] + b"\0", "no magic", OPEN),
    Row("the magic, and the checksum", "checksum", a_bit_of_the_tail, "checksum", OPEN),
    *(
        Row(says, str(fields), tail(**fields), "tail|version|flags", OPEN)
        for says, fields in (
            ("frame magic and frame length", {"frame_magic": 1}),
            ("frame magic and frame length", {"frame_length": 311}),
            ("version and flags are known", {"minor": 1}),
            ("version and flags are known", {"flags": 2}),
            ("version and flags are known", {"major": 2}),
            ("file_length is the length of the file", {"file_length": 1}),
            ("frame_size, block_entries and bucket_count are in their ranges", {"frame_size": 0}),
            ("frame_size, block_entries and bucket_count are in their ranges", {"frame_size": 2**30 + 1}),
            ("frame_size, block_entries and bucket_count are in their ranges", {"block_entries": 0}),
            ("frame_size, block_entries and bucket_count are in their ranges", {"block_entries": 1025}),
            ("frame_size, block_entries and bucket_count are in their ranges", {"bucket_count": 0}),
            ("damaged_count is at most entry_count", {"damaged_count": 5}),
            ("dictionary_size is at most 2^20", {"dictionary_size": (1 << 20) + 1}),
            ("reserved bytes are 0", {"reserved": b"\0\0\0\1"}),
            ("where the minor version is 0: section ids are at most 5, and key_kinds", {"key_kinds": 31}),
        )
    ),
    *(
        Row("the section table is as said above", what, section(*place), "", OPEN)
        for what, place in (("unused", (5, 3, 1)), ("reserved", (0, 1, 1)), ("length", (1, 3, 7)))
    ),
    Row("where the minor version is 0: section ids", "6", changed(extra=b"later"), "later version", OPEN),
    *(
        Row("Other fields are checked by verification", name, tail(**{name: 77}), "in the tail|by the tail")
        for name in ("total_size", "content_size", "content_count")
    ),
    # 10 Lookup
    Row(
        "refuse unless first <= end <= slot_count",
        "falling",
        lambda: with_fan_out(recipe().build(), 0, 2, 1),
        "",
    ),
    Row("and end - first <= 32", "33", a_bucket_of_33_slots, "at most 32"),
    Row("refuse unless checksum == CRC-32", "another", checksum_of_a_bucket, "checksum of bucket", MISS),
    Row(
        "refuse unless slot.entry < entry_count",
        "4",
        changed(keys=[(Kind.NAME, "bad.js", 4)]),
        "",
        ENTRY,
    ),
    Row(
        "refuse unless the place lies in the manifest section",
        "head",
        changed(places={0: (0, 100)}),
        "place",
        ENTRY,
    ),
    Row(
        "refuse unless the block's seed, first, and count",
        "seed",
        changed(block_prefix=(b"no seed!", 0, 4)),
        "prefix",
        ENTRY,
    ),
    # 11 Verification
    Row("the SHA-256 of all before the tail", "another", tail(sha256=bytes(32)), "SHA-256 of all"),
    *(
        Row(
            "the frame headers of all sections and raw contents",
            str(each),
            spoilt_header_of(each),
            "frame header|dictionary",
        )
        for each in (2, 3, 4)
    ),
    Row("the frame headers of all sections and raw contents", "raw", spoilt_raw_header, "frame header"),
    Row(
        "blocks fill the manifest in the order of their numbers",
        "a gap",
        gap_in_blocks,
        "end of the manifest",
    ),
    Row(
        "together the blocks hold at most 64 MiB",
        "66 MiB",
        blocks_that_unpack_to_too_much,
        "MiB|limit|blocks",
    ),
    Row("entries that have equal contents, by SHA-256", "not", equal_contents_twice, "equal content"),
    Row("entries that share a frame have equal content", "binary", contents_shared_in_part, "shared in part"),
    Row("every entry, as reading it", "a type", entry(type=5), "entry: type"),
    Row("what section 5 says besides of keys and values", "extra", entry(extra="{"), "entry: extra"),
    Row("names rise", "equal", lambda: Recipe([entry_of("b", b"", 0)] * 2).build(), "order of entries"),
    Row("the content identity", "zeros", attributes(identity=bytes(32)), "content identity"),
    Row("every bucket", "a checksum", checksum_of_a_bucket, "checksum of bucket"),
    Row(_INDEX, "a key less", keys(lambda found: found.pop()), "slots of bucket"),
    Row(
        "indexed, nothing else",
        "a key more",
        keys(lambda found: found.append((Kind.URL, "more", 0))),
        "slots of bucket",
    ),
    *(
        Row("every part, its checksum flag and dictionary id", *each)
        for each in (
            ("no dictionary", lambda: recipe(compress(BAD), DICTIONARY).build(), "dictionary id"),
            ("SHA-256", entry(sha256=bytes(32)), "SHA-256"),
            ("lines", entry(lines=3), "lines"),
            ("binary", entry(binary=True), "UTF-8"),
            ("line feeds", frames_of_long(lambda values: values.__setitem__(7, 1)), "line feeds"),
            (
                "an empty content's SHA-256",
                lambda: Recipe([entry_of("a", b"", 0, sha256=bytes(32))]).build(),
                "sha256",
            ),
            (
                "an empty content that is binary",
                lambda: Recipe([entry_of("a", b"", 0, binary=True)]).build(),
                "binary",
            ),
        )
    ),
    Row("the counts and sums in the tail", "damaged_count", tail(damaged_count=1), "in the tail"),
    # 13 Evolution, 15 Rules for readers
    Row("one that begins with A-Z means that the entry", "Must", entry(Must=1), "entry: 'Must'", ENTRY),
    Row(
        "one that begins with A-Z means that the entry",
        "of attributes",
        attributes(Must=1),
        "attributes: 'Must'",
        ATTRIBUTE,
    ),
    Row("so long as that is msgpack", "no value", packed_entry(b"\xa3pad", b"\xc1"), "entry: msgpack", ENTRY),
    Row(
        "Reserved bytes MUST be written as zero", "of the tail", tail(reserved=b"\1\0\0\0"), "reserved", OPEN
    ),
    Row(
        "MUST refuse, on opening: a file shorter than head and tail",
        "343 bytes",
        lambda: recipe().build()[-343:],
        "",
        OPEN,
    ),
]
