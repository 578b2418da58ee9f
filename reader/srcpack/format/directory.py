"""The entries of one pack, by key and by number (SPEC.md, "Manifest", "Index" and "Lookup").

Each structure of the file is read, checked, and only then believed.
"""

from collections.abc import Iterator
from itertools import count
from typing import TypeAlias

from srcpack.caches import Generations
from srcpack.errors import FormatError
from srcpack.records import Attributes, EntryRecord
from srcpack.rules.lookup_keys import Kind, key_of
from srcpack.source.byte_source import ByteSource

from .fetch import blocks_ahead
from .head_tail import CONTENT, FRAME_HEADER, INDEX, MANIFEST, MAX_BLOCK, Tail
from .index import (
    MAX_BUCKET,
    SLOT,
    BlockPlace,
    IndexLayout,
    bucket_checksum,
    find_entries,
    parse_block_place,
    parse_fan_out,
)
from .items import MOST_VALUES, MOST_VALUES_A_BYTE
from .keys import hash_key
from .manifest import ATTRIBUTES_BLOCK, check_block, item_of, parse_attributes, parse_entry
from .zstd_frames import decode_block, read_exactly

__all__ = ["Block", "Directory"]

Block: TypeAlias = tuple[bytes, int, int, int]
"""An entry block's content, number of its first entry, number of entries, frame's offset."""

_BLOCKS: Generations[tuple[int, int], Block] = Generations(4 << 20)
"""Decoded manifest blocks by pack and number; the limit is in bytes."""

_SMALL_INDEX = 2 << 10
"""An index of so many bytes at most is read whole, and stays: it is that of some 60 files."""

_RECORD_COST = 256
"""Bytes that an entry takes at least."""
_VALUE_COST = 128
"""Bytes that a frame or a header takes beside those that it has in msgpack."""

_tokens = count()


class Directory:
    """Reads the manifest and the index of a pack.

    Attributes:
        layout: Where the parts of the index lie.
    """

    __slots__ = ("_content", "_file", "_index", "_most", "_source", "_tail", "_token", "layout")

    def __init__(self, source: ByteSource, tail: Tail, *, file: str) -> None:
        """Work out where things lie; nothing is read."""
        self.layout: IndexLayout = IndexLayout.of(tail, file=file)
        self._source = source
        self._tail = tail
        self._file = file
        self._content = tail.sections[CONTENT]
        self._most = MOST_VALUES + MOST_VALUES_A_BYTE * tail.sections[MANIFEST].length
        self._token = next(_tokens)
        self._index: bytes | None = None

    def forget(self) -> None:
        """Let nothing that is kept answer any more."""
        self._token = next(_tokens)
        self._index = None

    # ---- by key

    def find(self, kind: Kind, key: str) -> tuple[EntryRecord, int] | None:
        """Return the entry that has the key, and the bytes that it takes; None if there is none."""
        tail = self._tail
        if not tail.key_kinds >> kind & 1:
            raise FormatError(self._file, f"this pack has no index of the kind {kind.name.lower()}")
        hashed = hash_key(tail.seed, kind, key)
        for number in find_entries(self.read_bucket(hashed.bucket(tail.bucket_count)), hashed.fingerprint):
            item, offset = self.read_item(number)
            record = self._parse(item, offset)
            if key_of(record, kind) == key:
                return record, _cost(record, item)
        return None

    def place_of(self, kind: Kind, key: str) -> BlockPlace | None:
        """Return where the block lies in which the key's entry would be, by the index alone."""
        hashed = hash_key(self._tail.seed, kind, key)
        bucket = hashed.bucket(self._tail.bucket_count)
        for number in find_entries(self.read_bucket(bucket), hashed.fingerprint):
            return self.block_place(number // self._tail.block_entries)
        return None

    def read_bucket(self, number: int) -> bytes:
        """Return a bucket's slots."""
        place = self.layout.fan_out_at(number)
        first, checksum, end = parse_fan_out(self._read_index(*place))
        if not first <= end <= self._tail.slot_count or end - first > MAX_BUCKET:
            expected = f"at most {MAX_BUCKET}, up to {self._tail.slot_count}"
            found = f"slots {first} to {end}"
            raise self._wrong(f"fan-out of bucket {number}", found, expected, place.offset)
        slots = self._read_index(self.layout.slots + first * SLOT.size, (end - first) * SLOT.size)
        actual = bucket_checksum(self._tail.seed, number, first, slots)
        if actual != checksum:
            found, expected = f"{checksum:#010x}", f"{actual:#010x}"
            raise self._wrong(f"checksum of bucket {number}", found, expected, place.offset + 4)
        return slots

    # ---- by number

    def record(self, number: int) -> tuple[EntryRecord, int]:
        """Return entry `number`, counted from 0 in the order of names, and the bytes that it takes."""
        item, offset = self.read_item(number)
        record = self._parse(item, offset)
        return record, _cost(record, item)

    def records(self, start: int) -> Iterator[EntryRecord]:
        """Yield the entries from number `start` on, decoding block by block."""
        numbers = range(start // self._tail.block_entries, self._tail.block_count)
        if self._source.distant:
            blocks = blocks_ahead(self._source, numbers, self.block_place, self._block)
        else:
            blocks = map(self._block, numbers)
        for block, first, entries, offset in blocks:
            for item in range(max(0, start - first), entries):
                yield self._parse(item_of(block, item, count=entries, file=self._file, offset=offset), offset)

    def first_from(self, name: str) -> int:
        """Return the number of the first entry of the block in which `name` is or would be."""
        low, high = 0, self._tail.block_count
        while high - low > 1:
            middle = (low + high) // 2
            if self.record(middle * self._tail.block_entries)[0].name < name:
                low = middle
            else:
                high = middle
        return low * self._tail.block_entries

    def _parse(self, item: bytes, offset: int) -> EntryRecord:
        return parse_entry(
            item,
            frame_size=self._tail.frame_size,
            content=self._content,
            most=self._most,
            file=self._file,
            offset=offset,
        )

    def read_item(self, number: int) -> tuple[bytes, int]:
        """Return the msgpack map of entry `number`, and the offset of its block's frame."""
        tail = self._tail
        if not 0 <= number < tail.entry_count:
            raise self._wrong("entry number", number, f"below {tail.entry_count}")
        block, first, entries, offset = self._block(number // tail.block_entries)
        return item_of(block, number - first, count=entries, file=self._file, offset=offset), offset

    # ---- blocks

    def attributes(self) -> Attributes:
        """Return what the attributes block says."""
        offset = self._tail.sections[MANIFEST].offset + FRAME_HEADER.size
        block = self.read_block(BlockPlace(offset, self._tail.attributes_length), ATTRIBUTES_BLOCK, 1)
        item = item_of(block, 0, count=1, file=self._file, offset=offset)
        return parse_attributes(item, most=self._most, file=self._file, offset=offset)

    def _block(self, number: int) -> Block:
        """Return an entry block, and keep it for a while."""
        key = self._token, number
        kept = _BLOCKS.get(key)
        if kept is None:
            tail = self._tail
            first = number * tail.block_entries
            entries = min(tail.block_entries, tail.entry_count - first)
            place = self.block_place(number)
            block = self.read_block(place, first, entries)
            kept = block, first, entries, place.offset
            _BLOCKS.put(key, kept, len(block))
        return kept

    def block_place(self, number: int) -> BlockPlace:
        """Return where the frame of an entry block lies, by the block table."""
        return parse_block_place(self._read_index(*self.layout.block_place_at(number)))

    def read_block(self, place: BlockPlace, first: int, entries: int) -> bytes:
        """Return a block's content, checked to be the one of `entries` items from number `first`."""
        manifest = self._tail.sections[MANIFEST]
        if (
            place.offset < manifest.offset + FRAME_HEADER.size
            or place.length > min(MAX_BLOCK, manifest.end - place.offset)
        ):  # fmt: skip
            expected = f"inside {manifest.offset + FRAME_HEADER.size} to {manifest.end}"
            found = f"{place.length} bytes at {place.offset}"
            raise self._wrong("place of a manifest block", found, expected)
        file, offset = self._file, place.offset
        block = decode_block(self._read(*place), MAX_BLOCK, what="manifest block", file=file, offset=offset)
        check_block(block, seed=self._tail.seed, first=first, count=entries, file=file, offset=offset)
        return block

    def _read_index(self, offset: int, length: int) -> bytes:
        section = self._tail.sections[INDEX]
        index = self._index
        if index is None:
            if section.length > _SMALL_INDEX:
                return self._read(offset, length)
            index = self._index = self._read(*section)
        offset -= section.offset
        return index[offset : offset + length]

    def _read(self, offset: int, length: int) -> bytes:
        return read_exactly(self._source, offset, length, file=self._file)

    def _wrong(self, what: str, found: object, expected: str, offset: int | None = None) -> FormatError:
        return FormatError(self._file, what, offset=offset, found=found, expected=expected)


def _cost(record: EntryRecord, item: bytes) -> int:
    """Return the bytes that an entry takes, about, by its msgpack map."""
    return max(_RECORD_COST, len(item) + _VALUE_COST * (len(record.frames) + len(record.headers or ())))
