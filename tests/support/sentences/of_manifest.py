"""Rows for the sentences of SPEC.md on the manifest."""

from typing import Any

import msgpack

from support.pack_recipe import (
    ATTRIBUTES,
    BAD,
    U32,
    Recipe,
    checksum_of,
    compress,
    entry_of,
    frame_header,
    raw_block,
    with_entry,
    without,
)
from support.sentences.packs import (
    DICTIONARY,
    all_positions,
    attributes,
    block,
    blocks_in_another_order,
    damaged,
    entry,
    frame_over_64_mib,
    frames,
    frames_of_long,
    inner,
    items,
    packed_entry,
    positions,
    raw,
)
from support.sentences.row import ATTRIBUTE, ENTRY, Row

__all__ = ["ROWS_OF_MANIFEST"]

_BLOCK = "A reader MUST refuse a block whose frame is over 64 MiB"
_TYPES = "lacks a required key, or has a value of another type"
_NEWLINES = "`newlines_before` not 0 in the first part"
_REASON = "has a `reason`, and one of"
_EXTRA = "`extra` is JSON as RFC 8259 has it"
_POSITION = "Either all listed entries have a `position`"
_FOUND = "`reference` and `content_debug_id` are only there where no header gives one"
_BREAKPAD = "*Breakpad's form* of an id"
_ATTRIBUTES = "A reader MUST refuse attributes that lack a required key"
_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
_UNLISTED = {"type": 1, "path": "p", "url": "u", "headers": {}, "debug_id": _ID, "extra": "{}", "position": 0}
_DAMAGED: dict[str, Any] = {
    "size": 0,
    "lines": 0,
    "sha256": bytes(32),
    "frames": [],
    "raw": True,
    "binary": True,
    "reference": "r",
    "content_debug_id": "x",
}
_OTHER_TYPES: dict[str, Any] = {
    "name": 1,
    "type": "1",
    "path": None,
    "url": b"u",
    "headers": [],
    "debug_id": 1,
    "extra": {},
    "position": -1,
    "unlisted": False,
    "size": True,
    "lines": 2**63,
    "sha256": bytes(31),
    "frames": {},
    "raw": False,
    "binary": 1,
    "reference": 1.5,
    "content_debug_id": [],
    "lookup": "l",
    "lookup_reason": b"",
}
_OTHER_ATTRIBUTES: dict[str, Any] = {
    "attributes": {"a": 1},
    "source_links": [],
    "has_files": 1,
    "identity": bytes(31),
    "source": [],
    "created_by": "t",
}

ROWS_OF_MANIFEST = [
    # 5 Manifest
    Row(_BLOCK, "zeros", frame_over_64_mib, "manifest block", ENTRY),
    *(
        Row(says, what, block(change), "manifest block", ENTRY)
        for says, what, change in (
            (
                "or states a content size that is over 64 MiB",
                "a byte",
                lambda _: frame_header((64 << 20) + 1) + raw_block(b"") + checksum_of(b""),
            ),
            (
                "or not under 2^15 times the frame's length",
                "in few bytes",
                lambda _: frame_header(64 << 20) + raw_block(b"") + checksum_of(b""),
            ),
            ("or none, or a dictionary id", "no size", lambda data: compress(data, write_content_size=False)),
            ("or a dictionary id", "one", lambda data: compress(data, DICTIONARY)),
            ("that has no checksum flag", "none", lambda data: compress(data, write_checksum=False)),
            ("or is not all of its place", "a byte more", lambda data: compress(data) + b"\0"),
            ("whose seed, first or count is not", "seed", lambda data: compress(b"no seed!" + data[8:])),
            (
                "whose seed, first or count is not",
                "first",
                lambda data: compress(data[:8] + b"\1" + data[9:]),
            ),
            (
                "whose seed, first or count is not",
                "count",
                lambda data: compress(data[:12] + b"\3" + data[13:]),
            ),
        )
    ),
    Row("and whose first position is not 0", "1", positions(1, 2, 4, 6, 9), "manifest block", ENTRY),
    Row(
        "or last position not the end of the block",
        "before",
        positions(0, 2, 4, 6, 8),
        "manifest block",
        ENTRY,
    ),
    Row(
        "It MUST refuse an item whose positions do not rise", "equal", positions(0, 0, 4, 6, 9), "item", ENTRY
    ),
    Row("or run past the block's end", "far past", positions(0, U32, 4, 6, 9), "item", ENTRY),
    Row(
        "not one msgpack map from its first byte", "nil", lambda: with_entry(b"\xc0"), "entry: msgpack", ENTRY
    ),
    Row("to its last", "a byte more", lambda: with_entry(items()[0] + b"\0"), "entry: msgpack", ENTRY),
    Row("to its last", "cut", lambda: with_entry(items()[0][:-1]), "entry: msgpack", ENTRY),
    Row(
        "Entries are sorted by name",
        "not",
        lambda: Recipe([entry_of("b", b"", 0), entry_of("a", b"", 0)]).build(),
        "order of entries",
    ),
    Row(
        "no two have the same", "two", lambda: Recipe([entry_of("b", b"", 0)] * 2).build(), "order of entries"
    ),
    Row(
        "Blocks lie in the order of their numbers",
        "exchanged",
        blocks_in_another_order,
        "place of manifest block",
    ),
    *(
        Row(_TYPES, f"no {key}", entry(**{key: None}), f"entry: {key}", ENTRY)
        for key in ("size", "lines", "sha256", "frames")
    ),
    Row(_TYPES, "no name", lambda: with_entry(without(name=None)), "entry: name", ENTRY),
    *(
        Row(
            _TYPES,
            f"{key}: {value!r:.20}",
            packed_entry(msgpack.packb(key), msgpack.packb(value), **{key: None}),
            "entry: ",
            ENTRY,
        )
        for key, value in _OTHER_TYPES.items()
    ),
    Row(_TYPES, "a checksum of 3 bytes", frames(2, b"123"), "entry: frames", ENTRY),
    Row("has more than 2^16 values", "in frames", entry(frames=[0] * 80_000), "values", ENTRY),
    Row("has a `type` over 4", "5", entry(type=5), "entry: type", ENTRY),
    *(Row(_REASON, key, damaged(**{key: value}), "entry: reason", ENTRY) for key, value in _DAMAGED.items()),
    Row("is `raw` and of size 0", "so", entry(size=0, lines=0, frames=[], raw=True), "raw", ENTRY),
    Row("has frames that do not fit", "none", entry(frames=[]), "entry: frames", ENTRY),
    Row("a length that step 1 of section 4 refuses", "0", frames(1, 0), "entry: frames", ENTRY),
    Row("an offset or an end outside the content section", "offset", frames(0, 23), "entry: frames", ENTRY),
    Row("an offset or an end outside the content section", "end", frames(0, 10**6), "entry: frames", ENTRY),
    Row("parts that do not adjoin", "a gap", raw(4, 32 + 65), "entry: frames"),
    Row(_NEWLINES, "1", frames(3, 1), "entry: frames", ENTRY),
    Row(_NEWLINES, "falling", frames_of_long(lambda values: values.__setitem__(11, 0)), "entry: frames"),
    Row(_NEWLINES, "above", frames_of_long(lambda values: values.__setitem__(15, 31)), "entry: frames"),
    Row("`lines` above `size`", "53", entry(lines=len(BAD) + 1), "entry: size, lines", ENTRY),
    Row("for raw content a length that is not the part's", "63", raw(1, 63), "entry: frames"),
    *(
        Row(
            "`unlisted` excludes",
            key,
            entry(**{"url": None, "type": None, key: value}, unlisted=True),
            "unlisted",
        )
        for key, value in _UNLISTED.items()
    ),
    *(
        Row(_EXTRA, text, entry(extra=text), "entry: extra")
        for text in (
            *("", "{", "[]", " {}", "{} ", '{"a":NaN}', '{"a":1,}', "{'a':1}", '{"a":"\ud800"}', '{"a":1}{}'),
            *(
                '{"a":1,"a":2}',
                '{"a":1,"\\u0061":2}',
                '{"url":1}',
                '{"type":null}',
                '{"path":""}',
                '{"headers":{}}',
            ),
        )
        if text.isprintable()
    ),
    Row(
        "What the table says besides is checked by verification",
        "an empty `extra`",
        entry(extra=""),
        "entry: extra",
    ),
    Row(_POSITION, "one", all_positions(1, 0, 3, None), "positions"),
    Row(_POSITION, "a gap", all_positions(1, 0, 2, 4), "positions"),
    Row(_POSITION, "one twice", all_positions(1, 0, 1, 2), "positions"),
    Row(
        "or, where that would be the order of names, none has", "all", all_positions(0, 1, 2, 3), "positions"
    ),
    *(
        Row(_FOUND, name, entry(reference="r", headers={name: "h"}), "entry: reference")
        for name in ("sourcemap", "x-sourcemap", "SourceMap")
    ),
    Row(
        _FOUND,
        "debug-id",
        entry(content_debug_id="5E618B9F54A94389B196519819DD7C470", headers={"Debug-Id": _ID}, debug_id=_ID),
        "content_debug_id",
    ),
    Row("`debug_id` is the text of the headers' debug id", "another", entry(debug_id=_ID), "entry: debug_id"),
    Row(
        "`debug_id` is the text of the headers' debug id",
        "in upper case",
        entry(debug_id=_ID.upper(), headers={"debug-id": _ID}),
        "entry: debug_id",
    ),
    *(
        Row(_BREAKPAD, text or "empty", entry(content_debug_id=text), "content_debug_id")
        for text in (
            "",
            _ID,
            "5e618b9f54a94389b196519819dd7c470",
            "5E618B9F54A94389B196519819DD7C47",
            "5E618B9F0A",
        )
    ),
    *(
        Row(_ATTRIBUTES, f"no {key}", attributes(**{key: None}), "attributes: ", ATTRIBUTE)
        for key in ATTRIBUTES
    ),
    *(
        Row(
            "or one of the five that the table names inside",
            f"no {key}",
            inner(name, **{key: None}),
            "attributes: ",
            ATTRIBUTE,
        )
        for name, key in (
            *(("source", "sha256"), ("source", "size"), ("created_by", "tool"), ("created_by", "libzstd")),
            ("created_by", "options"),
        )
    ),
    *(
        Row(
            "that have a value of another type",
            f"{key}: {value!r:.20}",
            attributes(**{key: value}),
            "attributes: ",
            ATTRIBUTE,
        )
        for key, value in _OTHER_ATTRIBUTES.items()
    ),
    *(
        Row(
            "Values of `source` and `options` are nil",
            f"a map in {name}",
            inner(name, **{key: {"a": {}}}),
            "attributes: ",
            ATTRIBUTE,
        )
        for name, key in (("source", "more"), ("created_by", "options"))
    ),
    Row(
        "those of `created_by` but `options` are text",
        "1",
        inner("created_by", more=1),
        "attributes: ",
        ATTRIBUTE,
    ),
    Row(
        "or that have too many values, as an entry",
        "80,000",
        inner("source", more=[0] * 80_000),
        "values",
        ATTRIBUTE,
    ),
    Row(
        "The *content identity* is equal for two packs",
        "another",
        attributes(identity=bytes(32)),
        "content identity",
    ),
]
