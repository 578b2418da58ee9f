"""A second reader of packs, written from SPEC.md alone: small, slow, and strict."""

import itertools
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

import msgpack
import xxhash
import zstandard

Entry = dict[str, Any]
SKIPPABLE, ZSTD = 0x184D2A5B, 0xFD2FB528
MAGIC = bytes.fromhex("89 53 52 43 0D 0A 1A 0A")
NAME, PATH, URL, DEBUG_ID = range(4)
TYPE_NAMES = ("", "source", "minified_source", "source_map", "indexed_ram_bundle")
BLOCK_ENTRIES, BLOCK_LIMIT, DICTIONARY_LIMIT, BUCKET_LIMIT = 64, 1 << 26, 1 << 20, 32
NO_ENTRY = 0xFFFFFFFF
HEAD = struct.Struct("<II8sHHI")
TAIL = struct.Struct("<IIHHIQIIIIIIQQIIIIII8s32s32s144sQ8s")
SECTION = struct.Struct("<IIQQ")


class Refused(ValueError):
    """The pack, or the part of it that was asked for, is not as SPEC.md says."""


class Tail(NamedTuple):
    """SPEC.md section 9, in the order of its table."""

    frame_magic: int
    frame_length: int
    major: int
    minor: int
    flags: int
    file_length: int
    frame_size: int
    block_entries: int
    entry_count: int
    key_kinds: int
    bucket_count: int
    slot_count: int
    total_size: int
    content_size: int
    content_count: int
    damaged_count: int
    attributes_length: int
    dictionary_id: int
    dictionary_size: int
    reserved: int
    seed: bytes
    dictionary_sha256: bytes
    sha256: bytes
    sections: bytes
    checksum: int
    magic: bytes


class Part(NamedTuple):
    """SPEC.md section 4: one part of a content, with the size it must have."""

    offset: int
    length: int
    checksum: bytes
    newlines_before: int
    size: int


def refuse(why: str) -> NoReturn:
    """SPEC.md, "Refuse": an error, and no data."""
    raise Refused(why)


def need(truth: object, why: str) -> None:
    """Refuse unless it is true."""
    if not truth:
        refuse(why)


def is_int(value: object) -> bool:
    """SPEC.md section 1: integers are unsigned, and a boolean is none."""
    return type(value) is int and value >= 0


def is_text(value: object) -> bool:
    return type(value) is str


def is_bool(value: object) -> bool:
    return type(value) is bool


def is_hash(value: object) -> bool:
    return type(value) is bytes and len(value) == 32


def is_text_map(value: object) -> bool:
    return type(value) is dict and all(map(is_text, value.values()))


def is_map_with(**types: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: type(value) is dict and all(is_type(value.get(k)) for k, is_type in types.items())


Table = dict[str, Callable[[object], bool]]
ENTRY: Table = {"name": is_text}
CONTENT: Table = {"size": is_int, "lines": is_int, "sha256": is_hash, "frames": lambda v: type(v) is list}
OPTIONAL: Table = {
    **dict.fromkeys(("path", "url", "extra", "reference", "content_debug_id", "reason"), is_text),
    "lookup": lambda v: type(v) is list,
    "lookup_reason": is_text,
    **dict.fromkeys(("unlisted", "raw", "binary"), is_bool),
    **dict.fromkeys(("type", "position"), is_int),
    **dict.fromkeys(("headers", "source_links"), is_text_map),
}
ATTRIBUTES: Table = {
    "attributes": is_text_map,
    "has_files": is_bool,
    "identity": is_hash,
    "source": is_map_with(sha256=is_hash, size=is_int),
    "created_by": is_map_with(tool=is_text, libzstd=is_text, options=is_map_with()),
}


def check_map(value: Entry, required: Table) -> None:
    """SPEC.md sections 5 and 13: required keys, types, and keys that may not be read over."""
    for key, is_type in {**OPTIONAL, **required}.items():
        need(
            is_type(value[key]) if key in value else key not in required, f"{key}: missing or of another type"
        )
    need(not any("A" <= key[:1] <= "Z" for key in value), "a key that must be known is not")


def unpack_map(data: bytes) -> Entry:
    """SPEC.md section 1: one msgpack map, all maps with text keys, each at most once."""

    def pairs(items: list[tuple[object, object]]) -> dict[object, object]:
        need(all(is_text(key) for key, _ in items), "a key is no text")
        need(len(dict(items)) == len(items), "a key comes twice")
        return dict(items)

    try:
        value = msgpack.unpackb(data, object_pairs_hook=pairs, raw=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"msgpack: {error}") from error
    if not isinstance(value, dict):
        refuse("an item is no map")
    return value


def unzstd(data: bytes, limit: int, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """SPEC.md section 1, "zstd frame": exactly one, of a stated size up to the limit, with a checksum."""
    need(len(data) > 8 and int.from_bytes(data[:4], "little") == ZSTD, "no zstd frame")
    try:
        frame = zstandard.get_frame_parameters(data)
        need(frame.content_size <= limit, "no content size, or too great a one")
        need(frame.has_checksum, "a frame without a checksum")
        need(frame.dict_id == (dictionary.dict_id() if dictionary else 0), "a frame of another dictionary")
        decoder = zstandard.ZstdDecompressor(dict_data=dictionary)
        return decoder.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Refused(f"zstd: {error}") from error


def debug_id_text(text: str) -> str | None:
    """SPEC.md section 7: the text of a debug id; which forms are valid is symbolic's parser, measured."""
    h, appendix = "[0-9a-f]", r"(\+?[0-9a-f]{1,7}|[0-9a-f]{8})"
    tail = rf"(?:{appendix}|(\+[0-9a-f]{{7}}|[0-9a-f]{{8}}).+)"
    for form in (
        rf"({h}{{8}}-{h}{{4}}-{h}{{4}}-{h}{{4}}-{h}{{12}})(?:-{tail})?",
        rf"({h}{{32}}){tail}?",
        rf"(\+{h}{{7}}|{h}{{8}})-?{appendix}",
    ):
        if text.isascii() and (found := re.fullmatch(form, text, re.IGNORECASE | re.DOTALL)):
            first, *ages = found.groups()
            age = int(next(filter(None, ages), "0"), 16)
            start = f"{int(first, 16):08X}" if len(first) == 8 else str(UUID(first))
            return f"{start}-{age:x}" if age else start
    return None


def key_of(entry: Entry, kind: int) -> str | None:
    """SPEC.md section 7: the key of an entry."""
    if kind == NAME:
        return str(entry["name"])
    if kind == PATH:
        return entry.get("path", "").replace("\\", "/") or None
    if kind == URL:
        return entry.get("url") or None
    headers = entry.get("headers", {})
    written = max((name for name in headers if name.encode().lower() == b"debug-id"), default=None)
    text = debug_id_text(headers[written]) if written is not None else None
    number = entry.get("type", 0)
    return f"{text} {TYPE_NAMES[number]}" if text and 0 < number < len(TYPE_NAMES) else None


class SpecReader:
    """A pack in memory."""

    def __init__(self, data: bytes) -> None:
        """SPEC.md sections 3, 9 and 15: what is refused on opening."""
        need(len(data) >= HEAD.size + TAIL.size, "too short")
        self.data = data
        head = HEAD.unpack_from(data)
        raw_tail = data[-TAIL.size :]
        self.tail = tail = Tail(*TAIL.unpack(raw_tail))
        need(head[:3] == (SKIPPABLE, 16, MAGIC), "no head")
        need((tail.frame_magic, tail.frame_length, tail.magic) == (SKIPPABLE, 312, MAGIC), "no tail")
        need(tail.checksum == xxhash.xxh64_intdigest(raw_tail[:304]), "tail: checksum")
        need(head[3:] == (tail.major, tail.minor, tail.flags), "head and tail differ")
        need(tail.major == 1 and tail.flags == 0, "unknown version or flags")
        need(tail.file_length == len(data), "file length")
        need(
            1 <= tail.frame_size <= 1 << 30 and tail.block_entries == BLOCK_ENTRIES,
            "frame_size, block_entries",
        )
        need(tail.bucket_count >= 1 and tail.reserved == 0, "bucket_count, reserved")
        need(tail.attributes_length <= BLOCK_LIMIT and tail.dictionary_size <= DICTIONARY_LIMIT, "limits")
        self.sections = self._read_sections()
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        self._blocks = self.sections[4][0] + 8
        self._fan_out = self._blocks + 12 * -(-tail.entry_count // BLOCK_ENTRIES)
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
        length = 8 + 12 * -(-tail.entry_count // 64) + 8 * (tail.bucket_count + 1) + 8 * tail.slot_count
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
        first = BLOCK_ENTRIES * number
        return self._block(offset, length, first, min(BLOCK_ENTRIES, self.tail.entry_count - first))

    def _attributes_item(self) -> bytes:
        """SPEC.md section 5: the first block of the manifest."""
        return self._block(self.sections[2][0] + 8, self.tail.attributes_length, NO_ENTRY, 1)[0]

    def attributes(self) -> Entry:
        """SPEC.md section 5, "Attributes"."""
        attributes = unpack_map(self._attributes_item())
        check_map(attributes, ATTRIBUTES)
        return attributes

    def _entry(self, item: bytes) -> Entry:
        """SPEC.md section 5, "Entry"."""
        entry = unpack_map(item)
        check_map(entry, ENTRY if "reason" in entry else ENTRY | CONTENT)
        if "reason" not in entry:
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
            need(at <= offset and offset + length <= end, "frames: place")
            need(not raw or (length == part.size and (i == 0 or offset == at)), "frames: raw parts")
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
        need(part.length <= part.size + part.size // 128 + 128, "part: length")
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
        """SPEC.md section 4: line n, from 1, with its newline; only the parts that hold it are decoded."""
        need("reason" not in entry, f"damaged: {entry.get('reason')}")
        if not 1 <= n <= entry["lines"]:
            raise IndexError(n)
        raw, parts = entry.get("raw", False), self._parts(entry)
        first = max((i for i, part in enumerate(parts) if part.newlines_before < n - 1), default=0)
        line, at = b"", 0
        for part in parts[first:]:
            content = self._read_part(part, raw=raw)
            if part is parts[first]:
                for _ in range(n - 1 - part.newlines_before):
                    at = content.find(b"\n", at) + 1
                    need(at, "a newline is not where it was counted")
            end = content.find(b"\n", at) + 1
            line += content[at : end or None]
            if end:
                break
            at = 0
        need(line, "a line is not where it was counted")
        return line

    def entries(self) -> Iterator[Entry]:
        """SPEC.md section 5: all entries, in order."""
        for number in range(-(-self.tail.entry_count // BLOCK_ENTRIES)):
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
                block, item = divmod(number, BLOCK_ENTRIES)
                entry = self._entry(self._entry_block(block)[item])
                if key_of(entry, kind) == key:
                    return entry
        return None

    def verify(self) -> None:
        """SPEC.md section 11."""
        need(sha256(self.data[: -TAIL.size]).digest() == self.tail.sha256, "SHA-256")
        for number in set(self.sections) & {2, 3, 4, 5}:
            start, end = self.sections[number]
            need((self._u32(start), self._u32(start + 4)) == (SKIPPABLE, end - start - 8), "section header")
        self._load_dictionary()
        at = self.sections[2][0] + 8 + self.tail.attributes_length
        for block in range(self._blocks, self._fan_out, 12):
            offset, length = struct.unpack_from("<QI", self.data, block)
            need(offset == at, "blocks do not fill the manifest")
            at = offset + length
        need(at == self.sections[2][1], "blocks do not fill the manifest")
        entries = list(self.entries())
        need(all(a["name"] < b["name"] for a, b in itertools.pairwise(entries)), "order of entries")
        listed = [entry for entry in entries if not entry.get("unlisted")]
        positions = [entry["position"] for entry in listed if "position" in entry]
        need(not positions or sorted(positions) == list(range(len(listed))), "positions")
        self._verify_identity(entries)
        self._verify_index(entries)
        self._verify_contents([entry for entry in entries if "reason" not in entry])
        from support.spec_lookups import verify_tables

        verify_tables(self)

    def _verify_identity(self, entries: list[Entry]) -> None:
        """SPEC.md section 5, content identity."""
        attributes = self.attributes()
        empty: Entry = {"identity": b"", "source": {}, "created_by": {}}
        digest = sha256(
            msgpack.packb(
                {k: empty.get(k, v) for k, v in attributes.items() if k in ATTRIBUTES or k == "source_links"}
            )
        )
        for entry in entries:
            left_out = ("frames", "raw", "lookup", "lookup_reason")
            digest.update(msgpack.packb({k: v for k, v in entry.items() if k not in left_out}))
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
            need(self._bucket(bucket) == sorted(slots), "index: a bucket")
        count = sum(map(len, buckets))
        end = struct.unpack_from("<II", self.data, self._slots - 8)
        need(end == (self.tail.slot_count, 0) and count == self.tail.slot_count, "index: end")
        need(self._u32(self._fan_out) == 0, "index: start")

    def _verify_contents(self, entries: list[Entry]) -> None:
        """SPEC.md section 4, and the sums and counts of section 9."""
        distinct: dict[bytes, Entry] = {}
        for entry in entries:
            same = distinct.setdefault(entry["sha256"], entry)
            need(
                all(entry.get(k) == same.get(k) for k in ("size", "lines", "frames", "raw")), "equal contents"
            )
        extents = []
        for entry in distinct.values():
            digest, newlines, last, raw = sha256(), 0, b"", entry.get("raw", False)
            for part, content in self._contents(entry):
                need(part.newlines_before == newlines, "newlines_before")
                extents.append((part.offset, part.offset + part.length))
                newlines += content.count(b"\n")
                digest.update(content)
                last = content[-1:]
            need(entry["lines"] == newlines + (last not in (b"", b"\n")), "lines")
            need(digest.digest() == entry["sha256"], "SHA-256 of a content")
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
