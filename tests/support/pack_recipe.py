"""Puts packs together from parts that no writer would write, with every checksum right.

So only the check of the meaning can find what is wrong with them. `Recipe` says what is to be in a pack;
`recipe` is one of a small pack that is all right, to be spoilt.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack
import xxhash
import zstandard

from srcpack import FormatError
from srcpack.format.head_tail import Section
from srcpack.format.index import BlockPlace, pack_index, sort_into_buckets
from srcpack.format.manifest import ATTRIBUTES_BLOCK, pack_block, parse_entry
from srcpack.format.zstd_frames import raw_checksum
from srcpack.rules.lookup_keys import Kind, keys_of

SEED = b"the seed"
FRAME_SIZE = 64
HEAD = struct.pack("<II8sHHI", 0x184D2A5B, 16, b"\x89SRC\r\n\x1a\n", 1, 0, 0)
TAIL_SIZE = 320
LATER_SECTION = 6
_FIELDS = """
    frame_magic:I frame_length:I major:H minor:H flags:I file_length:Q frame_size:I block_entries:I
    entry_count:I key_kinds:I bucket_count:I slot_count:I total_size:Q content_size:Q content_count:I
    damaged_count:I attributes_length:I dictionary_id:I dictionary_size:I reserved:4s seed:8s
    dictionary_sha256:32s sha256:32s sections:144s
"""
TAIL: dict[str, tuple[int, str]] = {}
"""Offset and type of each field: written out as SPEC.md has them, so that the code is held against it."""
for _field in _FIELDS.split():
    _name, _, _type = _field.partition(":")
    TAIL[_name] = sum(struct.calcsize(type_) for _, type_ in TAIL.values()), f"<{_type}"

ATTRIBUTES = {
    "attributes": {"release": "1"},
    "has_files": True,
    "identity": b"",
    "source": {"sha256": bytes(32), "size": 1},
    "created_by": {"tool": "t", "libzstd": "z", "options": {}},
}
_OF_ATTRIBUTES = ("attributes", "source_links", "has_files", "identity", "source", "created_by")
U32, U64 = 2**32 - 1, 2**64 - 1
GOOD = b"let good = 1;\n" * 4
BAD = b"let bad = 2;\n" * 4
LONG = b"".join(b"line %d\n" % number for number in range(30))
RAW = bytes(range(160))


# ---- putting packs together


def skippable(data: bytes, length: int | None = None) -> bytes:
    """Return a skippable frame, or one that claims another length."""
    return struct.pack("<II", 0x184D2A5B, len(data) if length is None else length) + data


def compress(data: bytes, dictionary: zstandard.ZstdCompressionDict | None = None, **options: Any) -> bytes:
    """Return a zstd frame, with size and checksum unless options say otherwise."""
    options = {"write_checksum": True, "write_content_size": True, **options}
    return zstandard.ZstdCompressor(level=3, dict_data=dictionary, **options).compress(data)


def frame_header(size: int, *, checksum: bool = True) -> bytes:
    """Return the start of a zstd frame that claims a size."""
    return b"\x28\xb5\x2f\xfd" + bytes([0xE4 if checksum else 0xE0]) + struct.pack("<Q", size)


def raw_block(data: bytes) -> bytes:
    """Return the last block of a zstd frame, not compressed."""
    return (len(data) << 3 | 1).to_bytes(3, "little") + data


def checksum_of(data: bytes) -> bytes:
    """Return the checksum that ends the zstd frame of a content."""
    return xxhash.xxh64_digest(data)[:3:-1]


_IN_IDENTITY = (
    *("name", "type", "path", "url", "headers", "extra", "position", "unlisted", "size", "lines", "sha256"),
    *("binary", "reference", "content_debug_id", "reason"),
)


def identity_of(items: list[bytes], attributes: Mapping[str, Any] = ATTRIBUTES) -> bytes:
    """Return the content identity of a pack with these entries; zeros where one of them is no map."""
    empty = {**attributes, "identity": b"", "source": {}, "created_by": {}}
    digest = hashlib.sha256(msgpack.packb({key: empty[key] for key in _OF_ATTRIBUTES if key in empty}))
    for item in items:
        try:
            entry = msgpack.unpackb(item)
            digest.update(msgpack.packb({key: entry[key] for key in _IN_IDENTITY if key in entry}))
        except (ValueError, TypeError):
            return bytes(32)
    return digest.digest()


@dataclass
class Recipe:
    """A pack to be; each attribute may be set to what a pack must not have.

    Attributes:
        entries: Each a map, or the bytes in place of one.
        content: What lies in the content section.
        keys: Kind, key and entry number; None for the keys that the entries have.
        blocks: Frames in place of the entry blocks.
        block_prefix: What the prefix of the entry blocks is to say: seed, first, count.
        attributes: A map, or the bytes in place of one; an identity of b"" in it becomes the right one.
        attributes_frame: The frame in place of the attributes block.
        dictionary: The content of the dictionary section.
        dictionary_frame: The frame in place of it.
        manifest: The manifest section, in place of the frame that is right.
        places: Elements of the block table by number, in place of the right ones.
        lookups: What lies in the section of lookup tables.
        extra: A section that this version does not know.
        block_entries: Entries in a block.
        tail: Fields of the tail by name, in place of the right ones.
        head: The head.
        seed: The seed.
        bucket_count: How many buckets the index has.
    """

    entries: list[Any]
    content: bytes = b""
    keys: list[tuple[Kind, str, int]] | None = None
    blocks: dict[int, bytes] = field(default_factory=dict)
    block_prefix: tuple[bytes, int, int] | None = None
    attributes: Any = None
    attributes_frame: bytes | None = None
    dictionary: bytes = b""
    dictionary_frame: bytes | None = None
    manifest: bytes | None = None
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    lookups: bytes | None = None
    extra: bytes | None = None
    tail: dict[str, Any] = field(default_factory=dict)
    head: bytes = HEAD
    seed: bytes = SEED
    bucket_count: int = 3
    block_entries: int = 64

    def build(self) -> bytes:
        """Return the pack."""
        items = [entry if isinstance(entry, bytes) else msgpack.packb(entry) for entry in self.entries]
        attributes = ATTRIBUTES if self.attributes is None else self.attributes
        if isinstance(attributes, Mapping) and attributes.get("identity") == b"":
            attributes = {**attributes, "identity": identity_of(items, attributes)}
        if not isinstance(attributes, bytes):
            attributes = msgpack.packb(attributes)
        of_attributes = compress(pack_block(self.seed, ATTRIBUTES_BLOCK, [attributes]))
        blocks = [of_attributes if self.attributes_frame is None else self.attributes_frame]
        for number, first in enumerate(range(0, len(items), self.block_entries)):
            block = pack_block(self.seed, first, items[first : first + self.block_entries])
            if self.block_prefix is not None:
                block = struct.pack("<8sII", *self.block_prefix) + block[16:]
            blocks.append(self.blocks.get(number, compress(block)))
        body = self.head + self.content
        manifest_at = len(body)
        body += skippable(b"".join(blocks)) if self.manifest is None else self.manifest
        places, at = [], manifest_at + 8
        for number, frame in enumerate(blocks):
            places.append(BlockPlace(*self.places.get(number - 1, (at, len(frame)))))
            at += len(frame)
        sections = [(1, 0, 24, manifest_at - 24), (2, 0, manifest_at, len(body) - manifest_at)]
        if self.dictionary or self.dictionary_frame is not None:
            frame = compress(self.dictionary) if self.dictionary_frame is None else self.dictionary_frame
            sections.append((3, 0, len(body), 8 + len(frame)))
            body += skippable(frame)
        buckets = sort_into_buckets(self.all_keys(), self.seed, self.bucket_count)
        if buckets is None:
            raise ValueError("a bucket has too many keys")
        index = pack_index(self.seed, places[1:], buckets)
        sections.append((4, 0, len(body), len(index)))
        body += index
        for number, section in ((5, self.lookups), (LATER_SECTION, self.extra)):
            if section is not None:
                sections.append((number, 0, len(body), 8 + len(section)))
                body += skippable(section)
        sizes = [entry.get("size", 0) for entry in self.entries if isinstance(entry, dict)]
        contents = {str(entry.get("frames")): entry for entry in self.entries if isinstance(entry, dict)}
        distinct = [entry["size"] for entry in contents.values() if entry.get("size") and entry.get("frames")]
        fields: dict[str, Any] = {
            "frame_magic": 0x184D2A5B,
            "frame_length": TAIL_SIZE - 8,
            "major": 1,
            "file_length": len(body) + TAIL_SIZE,
            "frame_size": FRAME_SIZE,
            "block_entries": self.block_entries,
            "entry_count": len(items),
            "key_kinds": 15,
            "bucket_count": self.bucket_count,
            "slot_count": sum(map(len, buckets)),
            "total_size": sum(size for size in sizes if type(size) is int) % 2**64,
            "content_size": sum(size for size in distinct if type(size) is int) % 2**64,
            "content_count": len(distinct),
            "attributes_length": len(blocks[0]),
            "seed": self.seed,
            "sha256": hashlib.sha256(body).digest(),
            "sections": b"".join(struct.pack("<IIQQ", *section) for section in sections),
        }
        if len(sections) > 3 and sections[2][0] == 3:
            fields["dictionary_id"] = int.from_bytes(self.dictionary[4:8], "little") or 1
            fields["dictionary_size"] = len(self.dictionary) or 1
            fields["dictionary_sha256"] = hashlib.sha256(self.dictionary).digest()
        return body + sealed_tail({**fields, **self.tail})

    def all_keys(self) -> list[tuple[Kind, str, int]]:
        """Return the keys of the index to be."""
        if self.keys is not None:
            return self.keys
        found = {}
        for number, entry in enumerate(self.entries):
            if isinstance(entry, dict):
                for key in _keys_of(entry):
                    found[key] = number
        return [(kind, key, number) for (kind, key), number in found.items()]


def _keys_of(entry: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    """Return the keys of an entry as far as it is right, whatever it says of its content."""
    fields = {key: entry[key] for key in ("name", "type", "path", "url", "headers") if key in entry}
    try:
        packed = msgpack.packb({**fields, "reason": ""})
        record = parse_entry(packed, frame_size=1, content=Section(0, 0), most=100, file="", offset=0)
        return list(keys_of(record))
    except (FormatError, ValueError, TypeError, OverflowError):
        return []


def sealed_tail(fields: dict[str, Any]) -> bytes:
    """Return a tail whose checksum is right; fields that are not given are zeros."""
    tail = bytearray(TAIL_SIZE - 16)
    for name, value in fields.items():
        struct.pack_into(TAIL[name][1], tail, TAIL[name][0], value)
    return bytes(tail) + struct.pack("<Q8s", xxhash.xxh64_intdigest(tail), HEAD[8:16])


def entry_of(
    name: str, data: bytes, at: int, frames: list[bytes] | None = None, **more: Any
) -> dict[str, Any]:
    """Return the map of an entry whose frames begin at an offset."""
    parts = [data[start : start + FRAME_SIZE] for start in range(0, len(data), FRAME_SIZE)]
    values: list[Any] = []
    newlines = 0
    for number, part in enumerate(parts):
        frame = part if frames is None else frames[number]
        values += [at, len(frame), raw_checksum(part) if frames is None else frame[-4:], newlines]
        at += len(frame)
        newlines += part.count(b"\n")
    lines = newlines + (bool(data) and not data.endswith(b"\n"))
    fields = {"name": name, "type": 1, "url": f"~/{name}", "size": len(data), "lines": lines}
    return {**fields, "sha256": hashlib.sha256(data).digest(), "frames": values, **more}


def frames_of(data: bytes, dictionary: zstandard.ZstdCompressionDict | None = None) -> list[bytes]:
    """Return the frames of a content."""
    return [compress(data[at : at + FRAME_SIZE], dictionary) for at in range(0, len(data), FRAME_SIZE)]


def recipe(
    frame: bytes | None = None, dictionary: zstandard.ZstdCompressionDict | None = None, **bad: Any
) -> Recipe:
    """Return a pack of four entries, all right but for the frame of `bad.js` and fields of its entry."""
    if frame is None:
        frame = frames_of(BAD, dictionary)[0]
    good, long = frames_of(GOOD, dictionary), frames_of(LONG, dictionary)
    content = skippable(RAW) + good[0] + frame + b"".join(long)
    at = 24 + 8 + len(RAW)
    entries = [
        {**entry_of("bad.js", BAD, at + len(good[0]), [frame]), **bad},
        entry_of("good.js", GOOD, at, good),
        entry_of("long.js", LONG, at + len(good[0]) + len(frame), long),
        entry_of("raw.bin", RAW, 24 + 8, raw=True, binary=True),
    ]
    keys = [
        (kind, key, number)
        for number, entry in enumerate(entries)
        for kind, key in ((Kind.NAME, entry["name"]), (Kind.URL, entry["url"]))
    ]
    return Recipe(entries, content, keys, dictionary=dictionary.as_bytes() if dictionary else b"")


def without(**fields: Any) -> dict[str, Any]:
    """Return the right map of `bad.js` with fields changed; those that are None are left out."""
    made = {**recipe().entries[0], **fields}
    return {key: value for key, value in made.items() if value is not None}


def with_entry(bad: dict[Any, Any] | bytes) -> bytes:
    """Return a pack whose first entry is another."""
    made = recipe()
    made.entries[0] = bad
    return made.build()
