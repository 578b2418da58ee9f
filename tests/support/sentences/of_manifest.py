"""Rows for the sentences of SPEC.md on the manifest."""

from functools import partial
from typing import Any

import msgpack

from support.pack_recipe import (
    ATTRIBUTES,
    BAD,
    U32,
    U64,
    Recipe,
    checksum_of,
    compress,
    entry_of,
    frame_header,
    raw_block,
    skippable,
    with_entry,
    without,
)
from support.sentences import packs as make
from support.sentences.packs import DICTIONARY, items
from support.sentences.row import ATTRIBUTE, ENTRY, LAST_ENTRY, LONG_ENTRY, Make, Row, rows

_BLOCK = "manifest block"
_TYPES = "lacks a required key, or has a value of another type"
_FIT = "has frames that do not fit"
_NEWLINES = "`newlines_before` not 0 in the first part"
_POSITION = "Either all listed entries have a `position`"
_FOUND = "`reference` and `content_debug_id` are only there where no header gives one"
_DEBUG_ID = "`debug_id` is the text of the headers' debug id"
_ATTRIBUTES = "A reader MUST refuse attributes that lack a required key"
_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
_UNLISTED = {"type": 1, "path": "p", "url": "u", "headers": {}, "debug_id": _ID, "extra": "{}", "position": 0}
# A row takes a line or two.
# fmt: off
_DAMAGED: dict[str, Any] = {
    "size": 0, "lines": 0, "sha256": bytes(32), "frames": [], "raw": True, "binary": True, "reference": "r",
    "content_debug_id": "x",
}
_OTHER_TYPES: tuple[tuple[str, Any], ...] = (
    ("name", 1), ("type", "1"), ("type", -1), ("type", True), ("path", None), ("url", b"u"), ("debug_id", 1),
    ("headers", []), ("headers", {"a": 1}), ("headers", {"a": None}), ("headers", {b"a": "b"}), ("extra", {}),
    ("position", -1), ("position", msgpack.Timestamp(1)), ("unlisted", False), ("unlisted", 1),
    ("size", True), ("size", -1), ("size", U64), ("lines", 2**63), ("lines", 1.5), ("sha256", bytes(31)),
    ("sha256", b""),
    ("sha256", msgpack.ExtType(5, b"x" * 32)), ("frames", {}), ("raw", False), ("raw", "x"), ("binary", 1),
    ("reference", 1.5), ("content_debug_id", []), ("reason", None), ("lookup", "l"), ("lookup_reason", b""),
)
_OF_A_FRAME: tuple[tuple[int, Any], ...] = (
    (2, b"123"), (2, b"12345"), (2, "1234"), (2, 1234), (0, True), (0, -1), (1, 5.0), (1, -1), (3, None),
    (3, b""), (3, -1), (0, U64), (1, U64), (3, U64),
)
_NOT_FITTING: tuple[dict[str, Any], ...] = (
    {"frames": []}, {"frames": [1]}, {"frames": [1, 2, 3, 4, 5]}, {"frames": [[], [], [], []]}, {"raw": True},
    {"frames": without()["frames"] * 2}, {"frames": without()["frames"] * 2, "size": 128}, {"size": 0},
    {"size": 65}, {"size": 2**63 - 1}, {"size": 2**30, "lines": 0},
)
_OTHER_ATTRIBUTES: tuple[dict[Any, Any], ...] = (
    {"attributes": {"a": 1}}, {"attributes": []}, {"attributes": {b"a": "b"}}, {"source_links": []},
    {"source_links": {"a": None}}, {"has_files": 1}, {"identity": bytes(31)}, {"identity": ""},
    {"source": []}, {"source": None}, {"created_by": "t"}, {b"must": 1},
)
# fmt: on


def _blocks(packs: dict[str, bytes]) -> dict[str, Make]:
    return {what: make.changed(blocks={0: data}) for what, data in packs.items()}


def _claim(size: int) -> bytes:
    return frame_header(size) + raw_block(b"") + checksum_of(b"")


# fmt: off
ROWS_OF_MANIFEST = [
    # 5 Manifest
    Row("A reader MUST refuse a block whose frame is over 64 MiB", "zeros", make.frame_over_64_mib, _BLOCK,
        ENTRY),
    *rows("or states a content size that is over 64 MiB", "manifest block.*limit", ENTRY,
        _blocks({str(size): _claim(size) for size in ((64 << 20) + 1, 64 << 30, U64 - 2)})),
    *rows("or not under 2^15 times the frame's length", _BLOCK, ENTRY,
        _blocks({"in few bytes": _claim(64 << 20), "nothing at all": _claim(0)})),
    Row("or none, or a dictionary id", "no size",
        make.block(lambda data: compress(data, write_content_size=False)), "manifest block: frame", ENTRY),
    Row("or a dictionary id", "one", make.block(lambda data: compress(data, DICTIONARY)), _BLOCK, ENTRY),
    Row("that has no checksum flag", "none", make.block(lambda data: compress(data, write_checksum=False)),
        "manifest block: frame", ENTRY),
    *rows("or is not all of its place", _BLOCK, ENTRY, {
        "a byte more": make.block(lambda data: compress(data) + b"\0"),
        "two frames": make.block(lambda data: compress(data) + compress(b"x")),
        "skippable behind": make.block(lambda data: compress(data) + skippable(b"")),
        "skippable before": make.block(lambda data: skippable(b"") + compress(data)),
        "skippable": make.block(skippable),
        "a byte less": make.block(lambda data: compress(data)[:-1]),
        "its start": make.block(lambda data: compress(data)[:12]),
        "a size that is too great": make.block(
            lambda data: frame_header(len(data) + 1) + raw_block(data) + checksum_of(data)),
        "a size that is too small": make.block(
            lambda data: frame_header(len(data) - 1) + raw_block(data) + checksum_of(data)),
        "from its second byte": make.place(1),
        "up to its last byte": make.place(0, -1),
        "from the attributes on": make.place(-5),
    }),
    Row("or is not all of its place", "attributes", make.tail(attributes_length=20), _BLOCK, ATTRIBUTE),
    Row("or is not all of its place", "no attributes", make.tail(attributes_length=0), _BLOCK, ATTRIBUTE),
    *rows("whose seed, first or count is not", "(prefix|place) of (a )?manifest block", ENTRY, {
        "seed": make.block(lambda data: compress(b"no seed!" + data[8:])),
        "first": make.block(lambda data: compress(data[:8] + b"\1" + data[9:])),
        "count": make.block(lambda data: compress(data[:12] + b"\3" + data[13:])),
        "a seed and no more": make.block(lambda data: compress(data[:8])),
        "of the attributes": make.place_of_attributes,
    }),
    *rows("and whose first position is not 0", "in a manifest block", ENTRY, {
        "1": make.positions(1, 2, 4, 6, 9),
        "none": make.positions(items=b""),
        "too few": make.positions(0, 1, items=b""),
    }),
    *rows("or last position not the end of the block", "in a manifest block", ENTRY,
        {"before": make.positions(0, 2, 4, 6, 8), "far": make.positions(0, 2, 4, 6, U32)}),
    *rows("It MUST refuse an item whose positions do not rise", "position of item|entry: msgpack", ENTRY,
        {"equal": make.positions(0, 0, 4, 6, 9), "falling": make.positions(0, 9, 8, 9, 9)}),
    Row("or run past the block's end", "far past", make.positions(0, U32, 4, 6, 9), "item", ENTRY),
    *(
        Row("not one msgpack map from its first byte", what, partial(with_entry, data), "entry: msg", ENTRY)
        for what, data in (("nil", b"\xc0"), ("array", b"\x90"), ("of 4 G", b"\xdf\xff\xff\xff\xff"),
            ("zeros", bytes(70_000)))
    ),
    *(
        Row("not one msgpack map from its first byte", f"key {key!r}", make.packed_entry(key, b"\1"),
            "entry: msg", ENTRY)
        for key in (b"\x90", b"\xc0")
    ),
    Row("to its last", "a byte more", lambda: with_entry(items()[0] + b"\0"), "entry: msgpack", ENTRY),
    Row("to its last", "cut", lambda: with_entry(items()[0][:-1]), "entry: msgpack", ENTRY),
    Row("Entries are sorted by name", "not",
        lambda: Recipe([entry_of("b", b"", 0), entry_of("a", b"", 0)]).build(), "order of entries"),
    Row("no two have the same", "two", lambda: Recipe([entry_of("b", b"", 0)] * 2).build(),
        "order of entries"),
    Row("Blocks lie in the order of their numbers", "exchanged", make.blocks_in_another_order,
        "place of manifest block"),
    *(
        Row(_TYPES, f"no {key}", lambda key=key: with_entry(without(**{key: None})), f"entry: .*{key}", ENTRY)  # type: ignore[misc]
        for key in ("name", "size", "lines", "sha256", "frames")
    ),
    *(
        Row(_TYPES, f"{key}: {value!r:.20}",
            make.packed_entry(msgpack.packb(key), msgpack.packb(value), **{key: None}),
            f"entry: .*{key}.* at offset", ENTRY)
        for key, value in _OTHER_TYPES
    ),
    *(
        Row(_TYPES, f"{at} of a frame: {value!r}", make.frames(at, value), "entry: frames", ENTRY)
        for at, value in _OF_A_FRAME
    ),
    *(
        Row(_TYPES, f"lookup: {value}", make.entry(lookup=value), "entry: lookup")
        for value in ([0, 5, -1, b"abcd"], [2**63, 5, 1, b"abcd"], [0, 2**63, 1, b"abcd"])
    ),
    Row("has more than 2^16 values", "in frames", make.entry(frames=[0] * 80_000), "values", ENTRY),
    Row("has a `type` over 4", "5", make.entry(type=5), "entry: type at offset .*: found 5, expected 0 to 4",
        ENTRY),
    *(
        Row("has a `reason`, and one of", key, make.damaged(**{key: value}), "entry: reason", ENTRY)
        for key, value in _DAMAGED.items()
    ),
    Row("is `raw` and of size 0", "so", make.entry(size=0, lines=0, frames=[], raw=True), "raw", ENTRY),
    *(
        Row(_FIT, str(fields)[:40], make.entry(**fields),
            "entry: frames at offset .*: found|size, lines, sha256", ENTRY)
        for fields in _NOT_FITTING
    ),
    *(
        Row(_FIT, f"a frame size of {size}", make.tail(frame_size=size), "'(bad|long).js': entry: frames",
            LONG_ENTRY)
        for size in (1, 2**30)
    ),
    Row("a length that step 1 of section 4 refuses", "0", make.frames(1, 0), "entry: frames", ENTRY),
    *(
        Row("an offset or an end outside the content section", str(offset), make.frames(0, offset),
            "entry: frames", ENTRY)
        for offset in (0, 23, 10**6, 2**63 - 1)
    ),
    *(
        Row(says, str(values), make.raw(*values), "'raw.bin': entry: frames", LAST_ENTRY)
        for says, values in (("parts that do not adjoin", [(4, 32 + 65)]),
            ("parts that do not adjoin", [(4, 32 + 63)]), ("parts that do not adjoin", [(4, 24)]),
            ("parts that do not adjoin", [(0, 10**6)]),
            ("for raw content a length that is not the part's", [(1, 63)]),
            ("for raw content a length that is not the part's", [(1, 65), (4, 32 + 65)]),
            ("for raw content a length that is not the part's", [(5, 37)]))
    ),
    Row(_NEWLINES, "1", make.frames(3, 1), "entry: frames", ENTRY),
    *(
        Row(_NEWLINES, what,
            make.frames_of_long(partial(lambda at, value, values: values.__setitem__(at, value), at, value)),
            "'long.js': entry: frames", LONG_ENTRY)
        for what, at, value in (("falling", 11, 0), ("above", 15, 31))
    ),
    Row("`lines` above `size`", "53", make.entry(lines=len(BAD) + 1), "entry: size, lines", ENTRY),
    *(
        Row("`unlisted` excludes", key, make.entry(**{"url": None, "type": None, key: value}, unlisted=True),
            "unlisted")
        for key, value in _UNLISTED.items()
    ),
    *(
        Row("`extra` is JSON as RFC 8259 has it", text, make.entry(extra=text), "entry: extra")
        for text in (
            *("", "{", "[]", " {}", "{} ", '{"a":NaN}', '{"a":1,}', "{'a':1}", '{"a":1}{}', '{"a":1,"a":2}'),
            *('{"a":1,"\\u0061":2}', '{"url":1}', '{"type":null}', '{"path":""}', '{"headers":{}}'),
        )
    ),
    Row("What the table says besides is checked by verification", "an `extra`", make.entry(extra=""),
        "entry: extra"),
    Row(_POSITION, "one", make.all_positions(1, 0, 3, None), "positions"),
    Row(_POSITION, "a gap", make.all_positions(1, 0, 2, 4), "positions"),
    Row(_POSITION, "one twice", make.all_positions(1, 0, 1, 2), "positions"),
    Row("or, where that would be the order of names, none has", "all", make.all_positions(0, 1, 2, 3),
        "positions"),
    *(
        Row(_FOUND, name, make.entry(reference="r", headers={name: "h"}), "entry: reference")
        for name in ("sourcemap", "x-sourcemap", "SourceMap")
    ),
    Row(
        _FOUND,
        "debug-id",
        make.entry(content_debug_id="5E618B9F54A94389B196519819DD7C470", headers={"Debug-Id": _ID},
            debug_id=_ID),
        "content_debug_id",
    ),
    Row(_DEBUG_ID, "another", make.entry(debug_id=_ID), "entry: debug_id"),
    Row(_DEBUG_ID, "in upper case", make.entry(debug_id=_ID.upper(), headers={"debug-id": _ID}),
        "entry: debug_id"),
    *(
        Row("*Breakpad's form* of an id", text or "empty", make.entry(content_debug_id=text),
            "content_debug_id")
        for text in (
            *("", _ID, "5e618b9f54a94389b196519819dd7c470"),
            *("5E618B9F54A94389B196519819DD7C47", "5E618B9F0A"),
        )
    ),
    *(
        Row(_ATTRIBUTES, f"no {key}", make.attributes(**{key: None}), "attributes: ", ATTRIBUTE)
        for key in ATTRIBUTES
    ),
    *(
        Row(_ATTRIBUTES, f"but are {data!r}", make.changed(attributes=data), "attributes: |item 0", ATTRIBUTE)
        for data in (b"", b"\x80", b"\x90", b"\xdf\xff\xff\xff\xff")
    ),
    *(
        Row("or one of the five that the table names inside", f"no {key}", make.inner(name, **{key: None}),
            "attributes: ", ATTRIBUTE)
        for name, key in (
            *(("source", "sha256"), ("source", "size"), ("created_by", "tool"), ("created_by", "libzstd")),
            ("created_by", "options"),
        )
    ),
    *(
        Row("that have a value of another type", str(fields),
            make.changed(attributes={**ATTRIBUTES, **fields}), "attributes: ", ATTRIBUTE)
        for fields in _OTHER_ATTRIBUTES
    ),
    *(
        Row("that have a value of another type", f"{key}: {value}", make.inner(name, **{key: value}),
            "attributes: ", ATTRIBUTE)
        for name, key, value in (
            *(("source", "sha256", "text"), ("source", "size", -1), ("source", "size", 2**63)),
            *(("created_by", "tool", 1), ("created_by", "options", {"deep": [[]]})),
        )
    ),
    *(
        Row("Values of `source` and `options` are nil", f"a map in {name}",
            make.inner(name, **{key: {"a": {}}}), "attributes: ", ATTRIBUTE)
        for name, key in (("source", "more"), ("created_by", "options"))
    ),
    Row("those of `created_by` but `options` are text", "1", make.inner("created_by", more=1), "attributes: ",
        ATTRIBUTE),
    Row("or that have too many values, as an entry", "80,000", make.inner("source", more=[0] * 80_000),
        "values", ATTRIBUTE),
    Row("The *content identity* is equal for two packs", "another", make.attributes(identity=bytes(32)),
        "content identity"),
]
