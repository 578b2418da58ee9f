"""A second reader of packs, written from SPEC.md alone: small, slow, and strict."""

import itertools
import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256
from types import SimpleNamespace
from typing import NamedTuple

import msgpack
import xxhash
import zstandard

from support.spec_items import (
    ATTRIBUTES,
    ATTRIBUTES_IDENTITY,
    CONTENT,
    ENTRY,
    ENTRY_IDENTITY,
    OF_CONTENT,
    OPTIONAL,
    PATH,
    TYPE_NAMES,
    Entry,
    Item,
    Refused,
    check_map,
    is_int,
    is_utf8,
    key_of,
    need,
    unzstd,
    verify_entry,
)
from support.spec_lookups import verify_tables

__all__ = ["Refused", "SpecReader"]

SKIPPABLE = 0x184D2A5B
MAGIC = bytes.fromhex("89 53 52 43 0D 0A 1A 0A")
BLOCK_LIMIT, DICTIONARY_LIMIT, BUCKET_LIMIT, ENTRIES_LIMIT, VALUES = 1 << 26, 1 << 20, 32, 1024, 1 << 16
NO_ENTRY = 0xFFFFFFFF
HEAD = struct.Struct("<II8sHHI")
TAIL = struct.Struct("<IIHHIQIIIIIIQQIIIIII8s32s32s144sQ8s")
SECTION = struct.Struct("<IIQQ")


_TAIL = """
    frame_magic frame_length major minor flags file_length frame_size block_entries entry_count key_kinds
    bucket_count slot_count total_size content_size content_count damaged_count attributes_length
    dictionary_id dictionary_size reserved seed dictionary_sha256 sha256 sections checksum magic
"""
"""SPEC.md section 9, in the order of its table."""


class Part(NamedTuple):
    """SPEC.md section 4: one part of a content, with the size it must have."""

    offset: int
    length: int
    checksum: bytes
    newlines_before: int
    size: int


class SpecReader:
    """A pack in memory."""

    def __init__(self, data: bytes) -> None:
        """SPEC.md sections 3, 9 and 15: what is refused on opening."""
        need(len(data) >= HEAD.size + TAIL.size, "too short")
        self.data = data
        head = HEAD.unpack_from(data)
        raw_tail = data[-TAIL.size :]
        self.tail = tail = SimpleNamespace(**dict(zip(_TAIL.split(), TAIL.unpack(raw_tail), strict=True)))
        need(head[:3] == (SKIPPABLE, 16, MAGIC), "no head")
        need((tail.frame_magic, tail.frame_length, tail.magic) == (SKIPPABLE, 312, MAGIC), "no tail")
        need(tail.checksum == xxhash.xxh64_intdigest(raw_tail[:304]), "tail: checksum")
        need(head[3:] == (tail.major, tail.minor, tail.flags), "head and tail differ")
        need(tail.major == 1 and tail.flags == 0, "unknown version or flags")
        need(tail.file_length == len(data), "file length")
        need(
            1 <= tail.frame_size <= 1 << 30 and 1 <= tail.block_entries <= ENTRIES_LIMIT,
            "frame_size, block_entries",
        )
        need(tail.bucket_count >= 1 and tail.reserved == 0, "bucket_count, reserved")
        need(tail.damaged_count <= tail.entry_count, "damaged_count")
        need(tail.minor > 0 or tail.key_kinds < 1 << 4, "key_kinds")
        self.block_count = -(-tail.entry_count // tail.block_entries)
        need(tail.attributes_length <= BLOCK_LIMIT and tail.dictionary_size <= DICTIONARY_LIMIT, "limits")
        self.sections = self._read_sections()
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        self._blocks = self.sections[4][0] + 8
        self._fan_out = self._blocks + 12 * self.block_count
        self._slots = self._fan_out + 8 * (tail.bucket_count + 1)

    def _read_sections(self) -> dict[int, tuple[int, int]]:
        """SPEC.md section 9: the section table, as id: (offset, end)."""
        tail, sections, at, last = self.tail, dict[int, tuple[int, int]](), HEAD.size, 0
        elements = list(SECTION.iter_unpack(tail.sections))
        while elements and elements[-1] == (0, 0, 0, 0):
            elements.pop()
        for number, reserved, offset, length in elements:
            need(number > last and reserved == 0 and offset == at, "section table")
            last, at = number, offset + length
            sections[number] = (offset, at)
            need(at <= len(self.data) - TAIL.size, "section table: length")
            need(number == 1 or length >= 8, "a section without a frame header")
            need(tail.minor > 0 or number <= 5, "a section of a later version")
            need(number not in (2, 4) or length - 8 <= 0xFFFFFFFF, "a section of 4 GiB")
        need(at == len(self.data) - TAIL.size, "sections do not end at the tail")
        need({1, 2, 4} <= set(sections), "a section is missing")
        facts = {
            bool(tail.dictionary_id),
            bool(tail.dictionary_size),
            any(tail.dictionary_sha256),
            3 in sections,
        }
        need(len(facts) == 1, "dictionary: in the tail, or in the section table, but not in both")
        length = 8 + 12 * self.block_count + 8 * (tail.bucket_count + 1) + 8 * tail.slot_count
        need(sections[4][1] - sections[4][0] == length, "index: length")
        need(sections[2][1] - sections[2][0] >= 8 + tail.attributes_length, "manifest: length")
        return sections

    def _u32(self, at: int) -> int:
        """SPEC.md section 1."""
        return int.from_bytes(self.data[at : at + 4], "little")

    def _block(self, offset: int, length: int, first: int, count: int) -> list[bytes]:
        """SPEC.md section 5: the items of a block."""
        start, end = self.sections[2]
        need(start + 8 <= offset and offset + length <= end and length <= BLOCK_LIMIT, "block: place")
        block = unzstd(self.data[offset : offset + length], BLOCK_LIMIT)
        base = 16 + 4 * (count + 1)
        need(len(block) >= base, "block: too short")
        need(block[:16] == self.tail.seed + struct.pack("<II", first, count), "block: another one")
        at = struct.unpack_from(f"<{count + 1}I", block, 16)
        need(at[0] == 0 and at[-1] == len(block) - base, "block: positions")
        need(all(a < b for a, b in itertools.pairwise(at)), "block: positions do not rise")
        return [block[base + a : base + b] for a, b in itertools.pairwise(at)]

    def _entry_block(self, number: int) -> list[bytes]:
        """SPEC.md sections 8 and 10: the block table, and a block of entries."""
        offset, length = struct.unpack_from("<QI", self.data, self._blocks + 12 * number)
        first = self.tail.block_entries * number
        count = min(self.tail.block_entries, self.tail.entry_count - first)
        return self._block(offset, length, first, count)

    def _attributes_item(self) -> bytes:
        """SPEC.md section 5: the first block of the manifest."""
        return self._block(self.sections[2][0] + 8, self.tail.attributes_length, NO_ENTRY, 1)[0]

    def attributes(self) -> Entry:
        """SPEC.md section 5, "Attributes"."""
        attributes = self._unpack(self._attributes_item(), {*ATTRIBUTES, "source_links"})
        check_map(attributes, ATTRIBUTES)
        return attributes

    def _unpack(self, item: bytes, known: set[str]) -> Entry:
        """SPEC.md section 5: a map with as many values as it may have."""
        start, end = self.sections[2]
        return Item(item, known, VALUES + 8 * (end - start)).unpack()

    def _entry(self, item: bytes) -> Entry:
        """SPEC.md section 5, "Entry"."""
        entry = self._unpack(item, {*ENTRY, *CONTENT, *OPTIONAL} - {"source_links"})
        check_map(entry, ENTRY if "reason" in entry else ENTRY | CONTENT)
        need(entry.get("type", 0) < len(TYPE_NAMES), "type")
        if "reason" in entry:
            need(not any(key in entry for key in OF_CONTENT), "a reason beside a content")
        else:
            need(entry["size"] or "raw" not in entry, "raw, and empty")
            self._parts(entry)
        return entry

    def _parts(self, entry: Entry) -> list[Part]:
        """SPEC.md sections 4 and 5: the parts of a content, refused where they do not fit it."""
        size, lines, frames, raw = entry["size"], entry["lines"], entry["frames"], entry.get("raw", False)
        step = self.tail.frame_size
        need(lines <= size and len(frames) == 4 * -(-size // step), "frames: number, or lines")
        start, end = self.sections[1]
        at, newlines, parts = start + 8 * raw, 0, list[Part]()
        for i in range(0, len(frames), 4):
            offset, length, checksum, before = frames[i : i + 4]
            part = Part(offset, length, checksum, before, min(step, size - i // 4 * step))
            need(is_int(offset) and is_int(length) and is_int(before), "frames: types")
            need(type(checksum) is bytes and len(checksum) == 4, "frames: checksum")
            need(offset == at if i else offset >= at, "frames: parts do not adjoin")
            need(offset + length <= end, "frames: place")
            need(part.size >> 15 < length <= part.size + part.size // 128 + 128, "frames: length")
            need(not raw or length == part.size, "frames: raw parts")
            need(newlines <= before <= (lines if i else 0), "frames: newlines_before")
            at, newlines = offset + length, before
            parts.append(part)
        return parts

    def _load_dictionary(self) -> zstandard.ZstdCompressionDict | None:
        """SPEC.md section 6."""
        if self._dictionary is None and 3 in self.sections:
            start, end = self.sections[3]
            need(
                (self._u32(start), self._u32(start + 4)) == (SKIPPABLE, end - start - 8), "dictionary: header"
            )
            data = unzstd(self.data[start + 8 : end], self.tail.dictionary_size)
            need(len(data) == self.tail.dictionary_size, "dictionary: size")
            need(sha256(data).digest() == self.tail.dictionary_sha256, "dictionary: SHA-256")
            dictionary = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
            need(dictionary.dict_id() == self.tail.dictionary_id, "dictionary: id")
            self._dictionary = dictionary
        return self._dictionary

    def _read_part(self, part: Part, *, raw: bool) -> bytes:
        """SPEC.md section 4, "A reader that decodes a part"."""
        data = self.data[part.offset : part.offset + part.length]
        if raw:
            need(
                xxhash.xxh64_intdigest(data) & 0xFFFFFFFF == int.from_bytes(part.checksum, "little"),
                "raw part",
            )
            return data
        need(data[-4:] == part.checksum, "part: another checksum")
        content = unzstd(data, part.size, self._load_dictionary())
        need(len(content) == part.size, "part: content size")
        return content

    def _contents(self, entry: Entry) -> Iterator[tuple[Part, bytes]]:
        """SPEC.md section 4: a content, part by part."""
        need("reason" not in entry, f"damaged: {entry.get('reason')}")
        for part in self._parts(entry):
            yield part, self._read_part(part, raw=entry.get("raw", False))

    def read(self, entry: Entry) -> bytes:
        """SPEC.md section 4: the content of an entry."""
        return b"".join(content for _, content in self._contents(entry))

    def lines(self, entry: Entry, n: int) -> bytes:
        """SPEC.md section 4: line n, from 1, with its line feed; only the parts that hold it are decoded."""
        need("reason" not in entry, f"damaged: {entry.get('reason')}")
        if not 1 <= n <= entry["lines"]:
            raise IndexError(n)
        raw, parts = entry.get("raw", False), self._parts(entry)
        before = [part.newlines_before for part in parts]
        first = max((i for i, count in enumerate(before) if count < n - 1), default=0)
        last = max((i for i, count in enumerate(before) if count < n), default=0)
        content = b"".join(self._read_part(part, raw=raw) for part in parts[first : last + 1])
        at = 0
        for _ in range(n - 1 - before[first]):
            at = content.find(b"\n", at) + 1
            need(at, "a line feed is not where it was counted")
        line, line_feed, rest = content[at:].partition(b"\n")
        if n == entry["lines"]:
            need(line + line_feed and not rest, "another number of lines than was counted")
        else:
            need(line_feed, "a line feed is not where it was counted")
        return line + line_feed

    def entries(self) -> Iterator[Entry]:
        """SPEC.md section 5: all entries, in order."""
        for number in range(self.block_count):
            yield from map(self._entry, self._entry_block(number))

    def names(self) -> list[str]:
        """SPEC.md section 5: the names of all entries, in order."""
        return [entry["name"] for entry in self.entries()]

    def _hash(self, kind: int, key: str) -> tuple[int, int]:
        """SPEC.md section 7: bucket and fingerprint of a key."""
        digest = sha256(self.tail.seed + bytes([kind]) + key.encode()).digest()
        fingerprint, position = struct.unpack_from("<II", digest)
        return (position * self.tail.bucket_count) >> 32, fingerprint

    def _bucket(self, bucket: int) -> list[tuple[int, int]]:
        """SPEC.md section 8: the slots of a bucket."""
        first, checksum, end = struct.unpack_from("<III", self.data, self._fan_out + 8 * bucket)
        need(first <= end <= self.tail.slot_count and end - first <= BUCKET_LIMIT, "bucket: bounds")
        slots = self.data[self._slots + 8 * first : self._slots + 8 * end]
        need(
            checksum == zlib.crc32(self.tail.seed + struct.pack("<II", bucket, first) + slots),
            "bucket: checksum",
        )
        return list(struct.iter_unpack("<II", slots))

    def find(self, kind: int, key: str) -> Entry | None:
        """SPEC.md section 10: the entry that has the key, or None."""
        if kind not in range(4) or not self.tail.key_kinds >> kind & 1:
            raise ValueError(f"keys of kind {kind} are not in the index")
        key = key.replace("\\", "/") if kind == PATH else key
        bucket, fingerprint = self._hash(kind, key)
        for slot_fingerprint, number in self._bucket(bucket):
            if slot_fingerprint == fingerprint:
                need(number < self.tail.entry_count, "a slot of no entry")
                block, item = divmod(number, self.tail.block_entries)
                entry = self._entry(self._entry_block(block)[item])
                if key_of(entry, kind) == key:
                    return entry
        return None

    def verify(self) -> None:
        """SPEC.md section 11."""
        need(sha256(self.data[: -TAIL.size]).digest() == self.tail.sha256, "SHA-256")
        for number in set(self.sections) - {1}:
            start, end = self.sections[number]
            need((self._u32(start), self._u32(start + 4)) == (SKIPPABLE, end - start - 8), "section header")
        self._load_dictionary()
        at, end = self.sections[2][0] + 8, self.sections[2][1]
        blocks = [(at, self.tail.attributes_length)]
        blocks += struct.iter_unpack("<QI", self.data[self._blocks : self._fan_out])
        unpacked = 0
        for offset, length in blocks:
            need(offset == at, "blocks do not fill the manifest")
            need(length <= BLOCK_LIMIT, "a block is too long")
            unpacked += len(unzstd(self.data[offset : offset + length], BLOCK_LIMIT))
            at = offset + length
        need(at == end, "blocks do not fill the manifest")
        need(unpacked <= BLOCK_LIMIT + (end - self.sections[2][0] << 8), "blocks unpack to too much")
        entries = list(self.entries())
        need(all(a["name"] < b["name"] for a, b in itertools.pairwise(entries)), "order of entries")
        for entry in entries:
            verify_entry(entry)
        self._verify_positions([entry for entry in entries if "unlisted" not in entry])
        self._verify_identity(entries)
        self._verify_index(entries)
        self._verify_contents([entry for entry in entries if "reason" not in entry])
        verify_tables(self)

    def _verify_positions(self, listed: list[Entry]) -> None:
        """SPEC.md section 5, `position`, and `has_files` of the attributes."""
        need(not listed or self.attributes()["has_files"], "has_files")
        positions = [entry["position"] for entry in listed if "position" in entry]
        if positions:
            need(sorted(positions) == list(range(len(listed))) != positions, "positions")

    def _verify_identity(self, entries: list[Entry]) -> None:
        """SPEC.md section 5, content identity."""
        attributes = self.attributes()
        counted = {**attributes, "identity": b"", "source": {}, "created_by": {}}
        digest = sha256(msgpack.packb({k: counted[k] for k in ATTRIBUTES_IDENTITY if k in counted}))
        for entry in entries:
            digest.update(msgpack.packb({k: entry[k] for k in ENTRY_IDENTITY if k in entry}))
        need(digest.digest() == attributes["identity"], "identity")

    def _verify_index(self, entries: list[Entry]) -> None:
        """SPEC.md sections 7 and 8: each key's winner, and nothing else."""
        kinds = [kind for kind in range(4) if self.tail.key_kinds >> kind & 1]
        winners = {(kind, key_of(entry, kind)): n for n, entry in enumerate(entries) for kind in kinds}
        buckets: list[list[tuple[int, int]]] = [[] for _ in range(self.tail.bucket_count)]
        for (kind, key), n in winners.items():
            if key is not None:
                bucket, fingerprint = self._hash(kind, key)
                buckets[bucket].append((fingerprint, n))
        for bucket, slots in enumerate(buckets):
            found = self._bucket(bucket)
            need(found == sorted(set(found)) and {*slots} <= {*found}, "index: a bucket")
            need(len(found) == len(slots) or self.tail.key_kinds >> 4, "index: a key that no entry has")
        end = struct.unpack_from("<II", self.data, self._slots - 8)
        need(end == (self.tail.slot_count, 0), "index: end")
        need(self._u32(self._fan_out) == 0, "index: start")

    def _verify_contents(self, entries: list[Entry]) -> None:
        """SPEC.md section 4, and the sums and counts of section 9."""
        distinct: dict[bytes, Entry] = {}
        for entry in entries:
            same = distinct.setdefault(entry["sha256"], entry)
            need(
                all(entry.get(k) == same.get(k) for k in ("size", "lines", "frames", "raw", "binary")),
                "equal contents",
            )
        extents = []
        for entry in distinct.values():
            digest, newlines, last, raw, whole = sha256(), 0, b"", entry.get("raw", False), b""
            for part, content in self._contents(entry):
                need(part.newlines_before == newlines, "newlines_before")
                extents.append((part.offset, part.offset + part.length))
                newlines += content.count(b"\n")
                digest.update(content)
                whole += content
                last = content[-1:]
            need(entry["lines"] == newlines + (last not in (b"", b"\n")), "lines")
            need(digest.digest() == entry["sha256"], "SHA-256 of a content")
            need(is_utf8(whole) == ("binary" not in entry), "binary")
            if raw and entry["size"]:
                start = entry["frames"][0] - 8
                need((self._u32(start), self._u32(start + 4)) == (SKIPPABLE, entry["size"]), "raw: header")
                extents.append((start, start + 8))
        at, end = self.sections[1]
        for start, stop in sorted(extents):
            need(start == at, "contents do not fill their section")
            at = stop
        need(at == end, "contents do not fill their section")
        tail, sizes = self.tail, [entry["size"] for entry in distinct.values()]
        need(tail.total_size == sum(entry["size"] for entry in entries), "total_size")
        need(tail.content_size == sum(sizes), "content_size")
        need(tail.content_count == sum(map(bool, sizes)), "content_count")
        need(tail.damaged_count == tail.entry_count - len(entries), "damaged_count")
