"""Rows for the sentences of SPEC.md on the file, its contents, dictionary, index and tail."""

from typing import Any

from srcpack.rules.lookup_keys import Kind
from support.pack_recipe import (
    BAD,
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
    without,
)
from support.sentences import packs as make
from support.sentences.packs import DICTIONARY
from support.sentences.row import (
    ATTRIBUTE,
    ENTRY,
    MISS,
    OPEN,
    READ,
    READ_RAW,
    Make,
    Row,
    bucket,
    line,
    rows,
)

_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
_WORDS = DICTIONARY.as_bytes()
_FRAME = frames_of(BAD)[0]
_BOUNDS = "refuse unless first <= end <= slot_count"
_RANGES = "frame_size, block_entries and bucket_count are in their ranges"
_SECTIONS = "the section table is as said above"
_INDEX_LENGTH = "and the length of section 4 MUST be"


def _claim(size: int, content: bytes = b"", rest: bytes | None = None) -> bytes:
    """Return a frame that claims a size, of a content of another, or with other bytes than its checksum."""
    return frame_header(size) + raw_block(content) + (checksum_of(content) if rest is None else rest)


def _frames(packs: dict[str, bytes]) -> dict[str, Make]:
    return {what: make.frame(frame) for what, frame in packs.items()}


def _tails(*fields: dict[str, Any]) -> dict[str, Make]:
    return {str(each): make.tail(**each) for each in fields}


# A row takes a line or two.
# fmt: off
ROWS_OF_FILE = [
    # 1 Conventions, 2 The file, 3 Head
    Row("msgpack maps have text keys", "a number", make.packed_entry(b"\1", b"\1"), "entry: msgpack", ENTRY),
    Row("each at most once", "a key", make.packed_entry(b"\xa4name", b"\xa6bad.js"), "'name'", ENTRY),
    Row("text is valid UTF-8", "a path", make.packed_entry(b"\xa4path", b"\xa1\xff"), "entry: msgpack",
        ENTRY),
    Row("text is valid UTF-8", "a key", make.packed_entry(b"\xa1\xff", b"\1"), "entry: msgpack", ENTRY),
    Row("there is no null", "a path", make.packed_entry(b"\xa4path", b"\xc0"), "entry: path", ENTRY),
    Row("the integers of msgpack are under 2^63", "64 bits", make.entry(position=2**63), "entry: pos", ENTRY),
    Row("lie in this order between head and tail, with no gap", "a gap", make.section(1, 2, 900), "section",
        OPEN),
    *(
        Row("A reader MUST refuse other values of frame magic", f"byte {at}", make.head(at, b"\7"), told,
            OPEN)
        for at, told in ((0, "head"), (4, "head"), (8, "magic"), (16, "version"), (18, "version"),
            (20, "flags"))
    ),
    # 4 Content
    Row("Equal contents (by SHA-256) MUST be stored once", "twice", make.equal_contents_twice,
        "equal content"),
    Row("their entries have equal frames", "other ones", make.equal_contents_twice, "equal content"),
    Row("An empty content is not stored", "raw", make.entry(size=0, lines=0, frames=[], raw=True), "raw",
        ENTRY),
    Row("together they fill the content section with no gap", "a gap", make.gap_in_contents, "end, number"),
    Row("refuse a recorded length over part + part/128", "a byte", make.frames(1, len(BAD) + 129),
        "entry: frames", READ),
    Row("or not over part/2^15 (rounded down)", "of 1 GiB", make.frame_of_few_bytes, "frames at offset",
        READ),
    *rows("refuse a frame whose header does not state that size", "'bad.js': frame", READ, _frames({
        "a byte more": _claim(len(BAD) + 1, BAD),
        "a byte less": _claim(len(BAD) - 1, BAD),
        "nothing": _claim(0),
        "64 GiB": _claim(64 << 30, BAD),
        "all that there is": _claim(U64 - 2, BAD),
        "no size": compress(BAD, write_content_size=False),
        "skippable": skippable(BAD),
        "skippable before": skippable(b"") + _FRAME,
        "its start": _FRAME[:8],
        "the content itself": BAD,
        "a frame of zstd 0.7": b"\x27" + _FRAME[1:],
    })),
    Row("refuse a frame whose last 4 bytes are not the recorded checksum", "another content",
        make.frame(compress(BAD[::-1]), frames=without()["frames"]), "'bad.js': frame at offset .* checksum",
        READ),
    *rows("refuse a frame without the checksum flag", "'bad.js': frame", READ, _frames({
        "none": frame_header(len(BAD), checksum=False) + raw_block(BAD),
        "a checksum behind": compress(BAD, write_checksum=False) + checksum_of(BAD),
    })),
    *rows(
        "decode it with the pack's dictionary, if it has one, and refuse it if zstd does",
        "'bad.js': frame",
        READ,
        _frames({
            "another dictionary": compress(BAD, DICTIONARY),
            "bytes left over": _FRAME + b"\0" + checksum_of(BAD),
            "skippable behind": _FRAME + skippable(b""),
            "two frames": compress(BAD[:20]) + compress(BAD[20:]),
            "twice": _FRAME * 2,
            "a checksum that does not fit": _claim(len(BAD), BAD, b"1234"),
            "a block that is cut": _FRAME[:-5] + checksum_of(BAD),
            "a byte missing": _claim(len(BAD), BAD[1:]),
            "a byte over": _claim(len(BAD), BAD + b"x"),
        }),
    ),
    *rows(
        "For a raw part it MUST refuse another checksum",
        "'raw.bin': (checksum|frame)",
        READ_RAW,
        {
            "of part 0": make.raw((2, b"1234")),
            "of part 1": make.raw((6, b"1234")),
            "of another place": make.raw((0, 31), (4, 31 + 64), (8, 31 + 128)),
        },
    ),
    *(
        Row(says, f"line {number} of 30", make.frames_of_long(lines=lines), "lines", line(number))
        for says, number, lines in (("It MUST refuse where these parts end before line feed *a* - 1", 35, 40),
            ("or before line feed *b* where", 31, 40),
            ("Where *b* is the last line, it MUST refuse unless the content goes on", 31, 31),
            ("and ends with line feed *b* or without one", 29, 29))
    ),
    # 6 Dictionary
    *rows("A reader MUST check the frame as that of a block, with the limit of 1 MiB", "dictionary", READ, {
        "no checksum flag": make.dictionary(frame=compress(_WORDS, write_checksum=False)),
        "no size": make.dictionary(frame=compress(_WORDS, write_content_size=False)),
        "no frame": make.dictionary(frame=b""),
        "not in a frame": make.dictionary(frame=_WORDS),
        "a byte more": make.dictionary(frame=compress(_WORDS) + b"\0"),
        "made with itself": make.dictionary(frame=compress(_WORDS, DICTIONARY)),
        "cut": make.dictionary(_WORDS[:-1], dictionary_size=1024),
        "its start": make.dictionary(_WORDS[:100]),
        "id": make.dictionary(dictionary_id=77),
        "size": make.dictionary(dictionary_size=5000),
    }),
    *rows("with the limit of 1 MiB", "over the limit of", READ, {
        "a byte": make.dictionary(frame=compress(bytes((1 << 20) + 1))),
        "not packed": make.dictionary(frame=bytes(2 << 20)),
        "64 GiB": make.dictionary(frame=_claim(64 << 30)),
        "over what the tail says": make.dictionary(dictionary_size=100),
    }),
    Row("and of the dictionary", "another", make.dictionary(dictionary_sha256=b"x" * 32), "dictionary"),
    *rows("Raw-content dictionaries are not", "dictionary: ", READ, {
        "one": make.dictionary(b"no dictionary" * 9),
        "a magic before it": make.dictionary(b"\x37\xa4\x30\xec\1\0\0\0" + b"x" * 99),
    }),
    # 7 Keys, 8 Index
    Row("An entry without `debug_id` has the key that its headers give", "not in the index",
        make.entry(headers={"debug-id": _ID}), "slots of bucket"),
    Row("the one whose written form is greatest (in bytes) counts", "the other one",
        make.entry(headers={"Debug-Id": _ID, "debug-id": _ID[::-1]}, debug_id=_ID), "entry: debug_id"),
    Row("The headers' debug id is the value of `debug-id`", "of id",
        make.entry(headers={"id": _ID}, debug_id=_ID), "debug_id"),
    Row(
        "Where several entries have one key, the one with the greatest name has it",
        "the first",
        lambda: Recipe([entry_of(name, b"", 0, url="~/a") for name in "ab"],
            keys=[(Kind.NAME, "a", 0), (Kind.NAME, "b", 1), (Kind.URL, "~/a", 0)]).build(),
        "slots of bucket",
    ),
    Row("Bucket 0 has first slot 0", "1", make.later_slots, "slot"),
    Row("the last element of the fan-out has first slot", "a slot more", make.slot_of_no_bucket,
        "last element"),
    Row("the last element of the fan-out has first slot `slot_count` and checksum 0", "1", make.fan_out_end,
        "fan-out"),
    Row("slots are sorted by fingerprint", "not", make.slots(lambda found: (U32, found[0][1])),
        "slots of bucket"),
    Row("A reader MUST check it before it believes", "another", make.checksum_of_a_bucket,
        "checksum of bucket", MISS),
    Row("A reader MUST check it before it believes", "of another seed", make.tail(seed=b"no seed!"), "prefix",
        MISS),
    # 9 Tail
    Row("Sections 1, 2 and 4 MUST be there", "no index", make.section(2, 0, 5), r"sections at offset", OPEN),
    *rows("Either section 3 is there", "tail: dictionary id, size, SHA-256", OPEN, {
        **_tails({"dictionary_id": 1}, {"dictionary_size": 1}, {"dictionary_sha256": bytes(31) + b"\1"}),
        "zeros": make.dictionary(dictionary_id=0),
    }),
    *rows("Ids rise", "section", OPEN, {
        "equal": make.section(1, 0, 1),
        "falling": make.sections(lambda rows: rows.insert(0, rows.pop(1))),
        "nothing first": make.section(0, 0, 0),
    }),
    Row("the first section begins at 24", "not", make.section(0, 2, 23), "section 1", OPEN),
    Row("the last ends where the tail begins", "before", make.section(2, 3, 20), "sections at offset", OPEN),
    Row("All sections but 1 have at least 8 bytes", "3",
        make.changed(entries=[], manifest=b"abc", attributes_frame=b""), r"found \[2\] too short", OPEN),
    Row("section 2 at least 8 + attributes_length", "less", make.tail(attributes_length=9999), "too short",
        OPEN),
    *rows(_INDEX_LENGTH, "size of the index", OPEN, _tails(
        *({"slot_count": number} for number in (0, 1, U32)),
        *({"entry_count": number} for number in (0, 65, U32)),
        *({"bucket_count": number} for number in (2, U32)),
        {"block_entries": 3},
    )),
    Row("the magic, and the checksum", "magic", lambda: recipe().build()[:-1] + b"\0", "no magic", OPEN),
    Row("the magic, and the checksum", "checksum", make.a_bit_of_the_tail, "checksum", OPEN),
    *(
        Row(says, str(fields), make.tail(**fields), told, OPEN)
        for says, told, fields in (
            ("frame magic and frame length", "frame header of the tail at offset",
                {"frame_magic": 0x184D2A5A}),
            ("frame magic and frame length", "frame header of the tail at offset", {"frame_length": 311}),
            ("version and flags are known", "version in the tail .*expected the head's", {"minor": 1}),
            ("version and flags are known", "flags that this reader does not know", {"flags": 1 << 31}),
            ("version and flags are known", "major version at offset .*: found 2, expected 1", {"major": 2}),
            ("version and flags are known", "major version", {"major": 0}),
            ("file_length is the length of the file", "tail: file length", {"file_length": U64}),
            (_RANGES, "tail: frame size at .*: found 0, expected 1 to 1073741824", {"frame_size": 0}),
            (_RANGES, "tail: frame size", {"frame_size": 2**30 + 1}),
            (_RANGES, "tail: entries in a block", {"block_entries": 0}),
            (_RANGES, "tail: entries in a block .*: found 1025, expected 1 to 1024", {"block_entries": 1025}),
            (_RANGES, "tail: buckets", {"bucket_count": 0}),
            ("damaged_count is at most entry_count", "tail: damaged entries .*4 at most",
                {"damaged_count": 5}),
            ("reserved bytes are 0", "tail: reserved bytes", {"reserved": b"\0\0\0\1"}),
            ("where the minor version is 0: section ids are at most 5, and key_kinds", "0x1f",
                {"key_kinds": 31}),
        )
    ),
    Row("dictionary_size is at most 2^20", "a byte", make.dictionary(dictionary_size=(1 << 20) + 1),
        "over the limit of 1,048,576", OPEN),
    *rows(_SECTIONS, "section", OPEN, {
        "unused": make.section(5, 3, 1),
        "reserved": make.section(0, 1, 1),
        "length": make.section(1, 3, 7),
        "far": make.section(1, 2, U64),
        "length of all there is": make.section(2, 3, U64 - 500),
        "overlapping": make.sections(lambda rows: rows[1].__setitem__(2, rows[1][2] - 8)),
    }),
    Row("where the minor version is 0: section ids", "6", make.changed(extra=b"later"), "later version",
        OPEN),
    *(
        Row("Other fields are checked by verification", name, make.tail(**{name: 77}),
            "in the tail|by the tail")
        for name in ("total_size", "content_size", "content_count")
    ),
    # 10 Lookup
    Row(_BOUNDS, "falling", make.fan_out(0, 2, 1), "fan-out of bucket 0", bucket(0)),
    Row(_BOUNDS, "far", make.fan_out(1, 0, U32), "(checksum|fan-out) of bucket", bucket(1)),
    Row(_BOUNDS, "none", make.fan_out(2, U32, U32), "fan-out of bucket", bucket(2)),
    Row("and end - first <= 32", "33", lambda: make.bucket_of(33), "slots 0 to 33, expected at most 32",
        bucket(0)),
    Row("refuse unless checksum == CRC-32", "another", make.checksum_of_a_bucket, "checksum of bucket", MISS),
    *(
        Row("refuse unless slot.entry < entry_count", str(number),
            make.changed(keys=[(Kind.NAME, "bad.js", number)]),
            f"found {number}, expected below 4|slots of bucket", ENTRY)
        for number in (4, 64, U32)
    ),
    *(
        Row("refuse unless the place lies in the manifest section", str(place),
            make.changed(places={0: place}), "place of manifest block 0", ENTRY)
        for place in ((0, 100), (24, 100), (0, 0), (0, U32), (10**6, 5), (2**63, 10), (U64 - 50, 100))
    ),
    Row("refuse unless the block's seed, first, and count", "seed",
        make.changed(block_prefix=(b"no seed!", 0, 4)), "prefix of a manifest block", ENTRY),
    # 11 Verification
    Row("the SHA-256 of all before the tail", "another", make.tail(sha256=bytes(32)), "SHA-256 of all"),
    *(
        Row("the frame headers of all sections and raw contents", str(each), make.spoilt_header_of(each),
            "frame header|dictionary")
        for each in (2, 3, 4)
    ),
    *rows("the frame headers of all sections and raw contents", "frame header of the raw content", None, {
        "raw": make.raw(content=skippable(b"", len(RAW) + 1) + RAW),
        "raw, of 4 GiB": make.raw(content=skippable(b"", U32) + RAW),
        "raw, of zeros": make.raw(content=bytes(8) + RAW),
    }),
    Row("blocks fill the manifest in the order of their numbers", "a gap", make.gap_in_blocks,
        "end of the manifest"),
    Row("together the blocks hold at most 64 MiB", "66 MiB", make.blocks_that_unpack_to_too_much,
        "limit|blocks"),
    Row("entries that have equal contents, by SHA-256", "not", make.equal_contents_twice, "equal content"),
    Row("entries that share a frame have equal content", "binary", make.contents_shared_in_part,
        "shared in part"),
    Row("every entry, as reading it", "a type", make.entry(type=5), "entry: type"),
    Row("what section 5 says besides of keys and values", "extra", make.entry(extra="{"), "entry: extra"),
    Row("names rise", "equal", lambda: Recipe([entry_of("b", b"", 0)] * 2).build(), "order of entries"),
    Row("the content identity", "zeros", make.attributes(identity=bytes(32)), "content identity"),
    Row("every bucket", "a checksum", make.checksum_of_a_bucket, "checksum of bucket"),
    Row("the index holds each key's winner", "a key less", make.keys(lambda found: found.pop()),
        "slots of bucket"),
    Row("indexed, nothing else", "a key more", make.keys(lambda found: found.append((Kind.URL, "more", 0))),
        "slots of bucket"),
    *(
        Row("every part, its checksum flag and dictionary id", *each)
        for each in (
            ("no dictionary", lambda: recipe(compress(BAD), DICTIONARY).build(),
                "checksum and dictionary id"),
            ("SHA-256", make.entry(sha256=bytes(32)), "SHA-256"),
            ("lines", make.entry(lines=3), "lines"),
            ("binary", make.entry(binary=True), "UTF-8"),
            ("line feeds", make.frames_of_long(lambda values: values.__setitem__(7, 1)), "line feeds"),
            ("of nothing", lambda: Recipe([entry_of("a", b"", 0, sha256=bytes(32))]).build(), "sha256"),
            ("of nothing, binary", lambda: Recipe([entry_of("a", b"", 0, binary=True)]).build(), "binary"),
        )
    ),
    Row("the counts and sums in the tail", "damaged_count", make.tail(damaged_count=1), "in the tail"),
    # 13 Evolution, 15 Rules for readers
    Row("one that begins with A-Z means that the entry", "Must", make.entry(Must=1), "entry: 'Must'", ENTRY),
    Row("one that begins with A-Z means that the entry", "of attributes", make.attributes(Must=1),
        "attributes: 'Must'", ATTRIBUTE),
    *(
        Row("so long as that is msgpack", what, make.packed_entry(b"\xa3pad", value), "entry: msgpack", ENTRY)
        for what, value in (("no value", b"\xc1"), ("nothing", b""),
            ("10,000 lists", b"\x91" * 10_000 + b"\1"), ("10,000 maps", b"\x81\xa1a" * 10_000 + b"\1"),
            ("array of 4 G", b"\xdd\xff\xff\xff\xff"),
            ("arrays of 64 K", b"\xdd\x00\x01\x00\x00" * 1000 + bytes(2**16)),
            ("small arrays", b"\xdd\x00\x00\x01\x80" * 180), ("map of 4 G", b"\xdf\xff\xff\xff\xff"),
            ("text of 4 G", b"\xdb\xff\xff\xff\xff"), ("binary of 4 G", b"\xc6\xff\xff\xff\xff"),
            ("extension of 4 G", b"\xc9\xff\xff\xff\xff\5"))
    ),
    Row("Reserved bytes MUST be written as zero", "of the tail", make.tail(reserved=b"\1\0\0\0"), "reserved",
        OPEN),
    Row("MUST refuse, on opening: a file shorter than head and tail", "343 bytes",
        lambda: recipe().build()[-343:], "", OPEN),
]
