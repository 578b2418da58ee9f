"""Writing a pack front to back: head, contents, manifest, dictionary, index, tail (SPEC.md, "Writers")."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any, BinaryIO

import zstandard

from srcpack.errors import LimitExceeded
from srcpack.format.head_tail import (
    CONTENT,
    DICTIONARY,
    FRAME_HEADER,
    HEAD_SIZE,
    INDEX,
    LOOKUPS,
    MANIFEST,
    MAX_BLOCK,
    MAX_SKIPPED,
    MOST_MANIFEST_SHRUNK,
    Section,
    Tail,
    pack_frame_header,
    pack_head,
    pack_tail,
)
from srcpack.format.index import MEAN_BUCKET, SEED_ATTEMPTS, BlockPlace, pack_index, sort_into_buckets
from srcpack.format.manifest import (
    ATTRIBUTES_BLOCK,
    attributes_in_identity,
    pack_attributes,
    pack_block,
    pack_entry,
)
from srcpack.records import Attributes, EntryRecord, FrameRecord
from srcpack.rules.lookup_keys import ALL_KINDS, Kind, keys_of
from srcpack_convert.one.compress import Content
from srcpack_convert.one.dictionary import pack_dictionary

__all__ = ["PackWriter"]

_CHUNK = 1 << 20

BLOCK_ENTRIES = 32
"""Entries in a block: fewer are found faster and packed worse (`benchmarks/results/blocks.md`)."""

_METADATA_LEVEL = 13
"""Most for the manifest, which takes 20 us a file at this; a higher one makes packs hardly smaller."""


class PackWriter:
    """Writes one pack to a file, each byte once.

    Contents first, one by one, then `finish` with the entries that refer to them.
    """

    def __init__(
        self,
        out: BinaryIO,
        *,
        file: str,
        frame_size: int,
        dictionary: zstandard.ZstdCompressionDict | None = None,
        level: int = _METADATA_LEVEL,
    ) -> None:
        """Begin a pack in an empty file that is open for writing; `file` is what to call it in messages.

        `dictionary` and `level` are what contents are compressed with; the manifest's level is the same, up
        to 13.
        """
        self._out = out
        self._file = file
        self._frame_size = frame_size
        self._dictionary = dictionary
        self._level = min(level, _METADATA_LEVEL)
        self._sha256 = hashlib.sha256()
        self._offset = 0
        self._contents = 0
        self._content_size = 0
        self._write(pack_head())

    def write_content(self, content: Content) -> tuple[FrameRecord, ...]:
        """Write a content's frames, or the content as it is, and return where they are."""
        self._contents += 1
        self._content_size += content.size
        if content.raw:
            if content.size > MAX_SKIPPED:
                raise LimitExceeded(self._file, "size of a raw content", content.size, MAX_SKIPPED)
            self._write(pack_frame_header(content.size))
        places = []
        for frame, checksum, newlines in zip(
            content.frames, content.checksums, content.newlines_before, strict=True
        ):
            places.append(FrameRecord(self._offset, len(frame), checksum, newlines))
            self._write(frame)
        return tuple(places)

    def finish(
        self,
        records: Sequence[EntryRecord],
        *,
        attributes: Mapping[str, str],
        source_links: Mapping[str, str] | None,
        has_files: bool,
        source: Mapping[str, Any],
        created_by: Mapping[str, Any],
        lookups: IO[bytes] | None = None,
    ) -> Tail:
        """Write everything after the contents and return the tail; the file is then a pack.

        The records are sorted by name. Raises LimitExceeded if a block of entries is too large, or no seed
        was found.
        """
        content_end = self._offset
        described = Attributes(attributes, source_links, has_files, b"", dict(source), dict(created_by))
        identity = hashlib.sha256(attributes_in_identity(described))
        entries = []
        for record in records:
            packed, in_identity = pack_entry(record)
            entries.append(packed)
            identity.update(in_identity)
        packed_attributes = pack_attributes(described._replace(identity=identity.digest()))
        seed, buckets = self._choose_seed(records, packed_attributes, entries)

        compressor = zstandard.ZstdCompressor(level=self._level, write_checksum=True)
        blocks = [self._pack_block(compressor, seed, ATTRIBUTES_BLOCK, [packed_attributes])]
        for first in range(0, len(entries), BLOCK_ENTRIES):
            items = entries[first : first + BLOCK_ENTRIES]
            blocks.append(self._pack_block(compressor, seed, first, items))
        manifest_size = sum(map(len, blocks))
        if manifest_size > MAX_SKIPPED:
            raise LimitExceeded(self._file, "size of the manifest", manifest_size, MAX_SKIPPED)
        unpacked = sum(map(zstandard.frame_content_size, blocks))
        most = MAX_BLOCK + (manifest_size + FRAME_HEADER.size << MOST_MANIFEST_SHRUNK)
        if unpacked > most:
            raise LimitExceeded(self._file, "unpacked size of the manifest", unpacked, most)
        self._write(pack_frame_header(manifest_size))
        places = []
        for block in blocks:
            places.append(BlockPlace(self._offset, len(block)))
            self._write(block)
        sections = {
            CONTENT: Section(HEAD_SIZE, content_end - HEAD_SIZE),
            MANIFEST: Section(content_end, self._offset - content_end),
        }
        dictionary = b"" if self._dictionary is None else self._dictionary.as_bytes()
        if self._dictionary is not None:
            packed_dictionary = pack_dictionary(self._dictionary)
            sections[DICTIONARY] = Section(self._offset, FRAME_HEADER.size + len(packed_dictionary))
            self._write(pack_frame_header(len(packed_dictionary)) + packed_dictionary)
        index = pack_index(seed, places[1:], buckets)
        sections[INDEX] = Section(self._offset, len(index))
        self._write(index)
        if lookups is not None:
            sections[LOOKUPS] = self._write_lookups(lookups)

        tail = Tail(
            file_length=0,
            frame_size=self._frame_size,
            block_entries=BLOCK_ENTRIES,
            entry_count=len(records),
            key_kinds=ALL_KINDS,
            bucket_count=len(buckets),
            slot_count=sum(map(len, buckets)),
            total_size=sum(record.size for record in records),
            content_size=self._content_size,
            content_count=self._contents,
            damaged_count=sum(record.reason is not None for record in records),
            attributes_length=len(blocks[0]),
            dictionary_id=0 if self._dictionary is None else self._dictionary.dict_id(),
            dictionary_size=len(dictionary),
            seed=seed,
            dictionary_sha256=hashlib.sha256(dictionary).digest() if dictionary else bytes(32),
            sha256=self._sha256.digest(),
            sections=sections,
        )
        tail = tail._replace(file_length=self._offset + len(pack_tail(tail)))
        self._write(pack_tail(tail))
        return tail

    def _write_lookups(self, lookups: IO[bytes]) -> Section:
        offset, size = self._offset, lookups.seek(0, os.SEEK_END)
        self._write(pack_frame_header(size))
        lookups.seek(0)
        while data := lookups.read(_CHUNK):
            self._write(data)
        return Section(offset, self._offset - offset)

    def _choose_seed(
        self, records: Sequence[EntryRecord], packed_attributes: bytes, entries: Sequence[bytes]
    ) -> tuple[bytes, list[list[tuple[int, int]]]]:
        # In the order of names a later entry replaces an earlier one: the greatest name wins the key.
        winners: dict[tuple[Kind, str], int] = {}
        for number, record in enumerate(records):
            for key in keys_of(record):
                winners[key] = number
        keys = [(kind, key, number) for (kind, key), number in winners.items()]
        bucket_count = max(1, -(-len(keys) // MEAN_BUCKET))
        metadata = hashlib.sha256(packed_attributes)
        for entry in entries:
            metadata.update(entry)
        for counter in range(SEED_ATTEMPTS):
            seed = hashlib.sha256(metadata.digest() + counter.to_bytes(4, "little")).digest()[:8]
            buckets = sort_into_buckets(keys, seed, bucket_count)
            if buckets is not None:
                return seed, buckets
        raise LimitExceeded(self._file, "seeds tried for the index", SEED_ATTEMPTS + 1, SEED_ATTEMPTS)

    def _pack_block(
        self, compressor: zstandard.ZstdCompressor, seed: bytes, first: int, items: Sequence[bytes]
    ) -> bytes:
        block = pack_block(seed, first, items)
        if len(block) > MAX_BLOCK:
            raise LimitExceeded(self._file, "size of a manifest block", len(block), MAX_BLOCK)
        return compressor.compress(block)

    def _write(self, data: bytes | memoryview) -> None:
        self._out.write(data)
        self._sha256.update(data)
        self._offset += len(data)
