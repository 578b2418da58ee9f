"""A pack: opened by its head and tail, looked up through its index (SPEC.md, "Lookup").

A pack has no state that a read changes, save caches that are correct without a lock; threads share it.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from zstandard import ZstdError, frame_content_size

from srcpack.bundle.manifest_records import manifest_of
from srcpack.caches import Generations, Shelf, Shelves
from srcpack.entry import Entry
from srcpack.errors import FormatError, LimitExceeded, NotFound
from srcpack.format.frames import (
    CHECKSUM_FLAG,
    DICTIONARIES,
    PLAIN,
    Dictionary,
    check_raw,
    content_size,
    decode_block,
)
from srcpack.format.head_tail import (
    CONTENT,
    DICTIONARY,
    FRAME_HEADER,
    HEAD_SIZE,
    MANIFEST,
    MAX_BLOCK,
    MAX_DICTIONARY,
    TAIL_SIZE,
    parse_head,
    parse_tail,
)
from srcpack.format.index import (
    MAX_BUCKET,
    SLOT,
    BlockPlace,
    IndexLayout,
    bucket_checksum,
    find_entries,
    parse_block_place,
    parse_fan_out,
)
from srcpack.format.keys import hash_key
from srcpack.format.manifest import (
    ATTRIBUTES_BLOCK,
    check_block,
    frame_bound,
    item_of,
    parse_attributes,
    parse_entry,
)
from srcpack.records import Attributes, BundleManifest, EntryRecord, FileType
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import (
    DEBUG_ID,
    NAME,
    PATH,
    URL,
    Kind,
    debug_id_key,
    key_of,
    normalize_path,
)
from srcpack.rules.source_links import SourceLink, SourceLinks
from srcpack.source.local import ByteSource, BytesSource, MmapSource, PreadSource
from srcpack.source.object_stores import is_url, path_or_url
from srcpack.source.remote import RemoteSource, blocks_ahead, read_many

__all__ = ["Block", "Pack", "SourceKind", "open_pack"]

SourceKind: TypeAlias = Literal["mmap", "pread"]

_RECORDS: Shelves[str | tuple[Kind, str], EntryRecord] = Shelves(4 << 20)
"""Entries that packs found, by name or by kind and key; 1,000 open packs keep no more of them than one.

The limit is in bytes of msgpack, so that few large ones are kept; a small one counts as `_RECORD_COST`.
"""

_RECORD_COST = 256

Block: TypeAlias = tuple[bytes, int, int, int]
"""An entry block's content, number of its first entry, number of entries, frame's offset."""

_BLOCKS: Generations[tuple[int, int], Block] = Generations(4 << 20)
"""Decoded manifest blocks by pack and number; the limit is in bytes."""

_tokens = count()


class Pack(Mapping[str, Entry]):
    """An open pack: a mapping of member names, in byte order, to entries.

    `BundlePack` is the same interface over a SourceBundle zip, save for the parts of the file format.

    Attributes:
        file: The pack, as the caller named it.
        source: Where its bytes come from.
        tail: The tail: sections, counts and sizes.
        index: Where the parts of the index lie.
        max_read: Most bytes of content that one call returns.
        frame_size: Bytes of content in each frame of a file but its last.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_content",
        "_dictionary_sha256",
        "_kept",
        "_links",
        "_token",
        "file",
        "frame_size",
        "index",
        "max_read",
        "source",
        "tail",
    )

    def __init__(self, source: ByteSource, *, file: str, max_read: int = 1 << 30) -> None:
        """Open a pack from a byte source; `srcpack.open` is how most do.

        Args:
            source: Its bytes.
            file: What to call it in messages.
            max_read: Most bytes of content that one call may return.

        Raises:
            FormatError: It is no pack, was cut, is damaged in head or tail, or needs a newer reader.
            LimitExceeded: A size in the tail is over what the version allows.
        """
        self.file = file
        self.source = source
        self.max_read = max_read
        # The tail repeats what the head says, and is worth no request of its own.
        version = None if source.distant else parse_head(source.read(0, HEAD_SIZE), file=file)
        tail = parse_tail(
            source.read(max(0, source.size - TAIL_SIZE), TAIL_SIZE),
            file=file,
            file_length=source.size,
            version=version,
        )
        self.tail: Final = tail
        self.index: Final = IndexLayout.of(tail, file=file)
        if source.distant:
            source.keep(tail.sections[MANIFEST].end)
        self.frame_size = tail.frame_size
        self._content = tail.sections[CONTENT]
        self._dictionary_sha256 = tail.dictionary_sha256 if DICTIONARY in tail.sections else None
        self._attributes: Attributes | None = None
        self._links: SourceLinks | None = None
        self._kept: Shelf[str | tuple[Kind, str], EntryRecord] = Shelf()
        self._token = next(_tokens)

    # ---- as a whole

    @property
    def attributes(self) -> Mapping[str, str]:
        """The top-level values of the bundle's manifest: `debug_id`, `release` and the like."""
        return self.bundle.attributes

    @property
    def source_links(self) -> Mapping[str, str]:
        """The bundle's source links: pattern of a path to target."""
        return self.bundle.source_links or {}

    @property
    def bundle(self) -> Attributes:
        """All of the attributes block: also what the pack was made from and by."""
        if self._attributes is None:
            offset = self.tail.sections[MANIFEST].offset + FRAME_HEADER.size
            place = BlockPlace(offset, self.tail.attributes_length)
            block = self.read_block(place, ATTRIBUTES_BLOCK, 1)
            item = item_of(block, 0, count=1, file=self.file, offset=offset)
            self._attributes = parse_attributes(item, file=self.file, offset=offset)
        return self._attributes

    @property
    def sha256(self) -> bytes:
        """The pack's identity: SHA-256 of all its bytes before the tail, as the tail has it."""
        return self.tail.sha256

    def bundle_manifest(self) -> BundleManifest:
        """Return the manifest of the bundle that the pack was made from, files in its order.

        Decodes all manifest blocks.

        Raises:
            FormatError: The pack is damaged here.
        """
        return manifest_of(self.bundle, self._records(0))

    def close(self) -> None:
        """Let go of the file. Views and reads under way stay valid; later reads raise ValueError."""
        self.source.close()
        self._token = next(_tokens)  # or blocks that are kept would answer for a while yet

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---- lookups

    def __getitem__(self, name: str) -> Entry:
        record = self._kept.values.get(name) or self._find(NAME, name)
        if record is None:
            raise NotFound(self.file, name)
        return Entry(self, record)

    def by_path(self, path: str) -> Entry | SourceLink | None:
        r"""Return the file of a path, else the URL that a source link gives for it, else None.

        `\` and `/` are the same; nothing else is normalised.

        Raises:
            FormatError: The pack is damaged here, or has no index of paths.
            LimitExceeded: The URL would be over 1 MiB.
        """
        key = normalize_path(path)
        record = self._find(PATH, key)
        if record is not None:
            return Entry(self, record)
        if self._links is None:
            # Of patterns that are equal in lower case the greatest wins, as symbolic keeps them sorted.
            self._links = SourceLinks(dict(sorted(self.source_links.items())), file=self.file)
        url = self._links.resolve(key)
        return None if url is None else SourceLink(url)

    def by_url(self, url: str) -> Entry | None:
        """Return the file of just that URL, whatever its type.

        Raises:
            FormatError: The pack is damaged here, or has no index of URLs.
        """
        record = self._find(URL, url)
        return None if record is None else Entry(self, record)

    def by_debug_id(self, debug_id: DebugId | str, file_type: FileType | str) -> Entry | None:
        """Return the file of that type whose `debug-id` header gives that debug id.

        Raises:
            ValueError: The text is no debug id, or the type is none of the four.
            FormatError: The pack is damaged here, or has no index of debug ids.
        """
        if isinstance(debug_id, str):
            debug_id = DebugId.parse(debug_id)
        record = self._find(DEBUG_ID, debug_id_key(debug_id, FileType(file_type)))
        return None if record is None else Entry(self, record)

    def _find(self, kind: Kind, key: str) -> EntryRecord | None:
        """Return the entry that has the key (SPEC.md, "Lookup")."""
        kept_by = key if kind is NAME else (kind, key)
        if (kept := self._kept.values.get(kept_by)) is not None:
            return kept
        if not isinstance(key, str):
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        tail = self.tail
        if not tail.key_kinds >> kind & 1:
            raise FormatError(self.file, f"this pack has no index of the kind {kind.name.lower()}")
        hashed = hash_key(tail.seed, kind, key)
        for number in find_entries(self.read_bucket(hashed.bucket(tail.bucket_count)), hashed.fingerprint):
            item, offset = self.read_item(number)
            record = self._parse_entry(item, offset)
            if key_of(record, kind) == key:
                _RECORDS.put(self._kept, kept_by, record, max(_RECORD_COST, len(item)))
                return record
        return None

    # ---- listing

    def __len__(self) -> int:
        return self.tail.entry_count

    def __iter__(self) -> Iterator[str]:
        return (record.name for record in self._records(0))

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the order of their names, decoding block by block."""
        return (Entry(self, record) for record in self._records(0))

    def find_prefix(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose names begin with `prefix`, in order; other blocks are not decoded."""
        low, high = 0, self.tail.block_count
        while high - low > 1:
            middle = (low + high) // 2
            if self.read_record(middle * self.tail.block_entries).name < prefix:
                low = middle
            else:
                high = middle
        for record in self._records(low * self.tail.block_entries):
            if record.name.startswith(prefix):
                yield Entry(self, record)
            elif record.name > prefix:
                return

    def _records(self, start: int) -> Iterator[EntryRecord]:
        numbers = range(start // self.tail.block_entries, self.tail.block_count)
        blocks = (
            blocks_ahead(self, numbers, self._block) if self.source.distant else map(self._block, numbers)
        )
        for block, first, entries, offset in blocks:
            for item in range(max(0, start - first), entries):
                yield self._parse_entry(
                    item_of(block, item, count=entries, file=self.file, offset=offset), offset
                )

    # ---- contents

    def read_many(self, items: Iterable[str | Entry], *, threads: int = 1) -> list[bytes]:
        """Return the contents of names or entries, in their order.

        Args:
            items: Names, entries, or both.
            threads: How many threads decode side by side.

        Raises:
            NotFound: There is no entry of a name.
            DamagedMember, FormatError, LimitExceeded: As `Entry.read`, for the first such item.
        """
        if self.source.distant:
            return read_many(self, items, threads)
        found = (self[item] if isinstance(item, str) else item for item in items)
        if threads <= 1:
            return [entry.read() for entry in found]
        entries = list(found)
        # A task for each small file would cost more than the file: a thread takes a run of neighbours.
        run = max(1, min(64, len(entries) // (4 * threads)))
        runs = [entries[at : at + run] for at in range(0, len(entries), run)]
        with ThreadPoolExecutor(threads) as executor:
            return [data for done in executor.map(_read_all, runs) for data in done]

    def read_frame(self, record: EntryRecord, number: int) -> bytes:
        """Return the content of one frame of an entry, or of one part of a raw one, checked.

        Raises:
            FormatError: The pack is damaged here.
        """
        offset, length, checksum, _ = frame = record.frames[number]
        data = self.source.read(offset, length)
        if record.raw:
            check_raw(data, frame, file=self.file, member=record.name)
            return data
        size = record.size - number * self.frame_size
        if size > self.frame_size:
            size = self.frame_size
        digest = self._dictionary_sha256
        decoder = PLAIN if digest is None else DICTIONARIES.young.get(digest) or self.dictionary()
        # What the header claims is allocated, so it is compared first. libzstd holds the content against the
        # frame's checksum; that this is the entry's tells right bytes in the wrong place.
        try:
            if data.endswith(checksum) and frame_content_size(data) == size and data[4] & CHECKSUM_FLAG:
                return decoder.decompress(data)
        except ZstdError as error:
            raise FormatError(self.file, f"frame: {error}", member=record.name, offset=offset) from error
        raise FormatError(
            self.file,
            "frame",
            member=record.name,
            offset=offset,
            found=f"size {content_size(data)}, checksum {data[-4:].hex()}",
            expected=f"size {size}, checksum {checksum.hex()}",
        )

    def dictionary(self) -> Dictionary:
        """Return the pack's dictionary, checked against the tail; the process keeps the last few.

        Raises:
            FormatError: It is damaged, or the pack has none.
        """
        digest = self._dictionary_sha256
        dictionary = None if digest is None else DICTIONARIES.get(digest)
        if dictionary is None:
            dictionary = self.read_dictionary()
            dictionary.keep()
        return dictionary

    def read_dictionary(self) -> Dictionary:
        """Return the dictionary as this pack holds it, whether or not the process has it already.

        Raises:
            FormatError: It is damaged, or the pack has none.
            LimitExceeded: It is larger than the version allows.
        """
        digest = self._dictionary_sha256
        if digest is None:
            raise FormatError(self.file, "this pack has no dictionary")
        section, size = self.tail.sections[DICTIONARY], self.tail.dictionary_size
        length = section.length - FRAME_HEADER.size
        if length > frame_bound(MAX_DICTIONARY):
            raise LimitExceeded(self.file, "packed dictionary", length, frame_bound(MAX_DICTIONARY))
        offset = section.offset + FRAME_HEADER.size
        data = decode_block(
            self._read(offset, length), size, what="dictionary", file=self.file, offset=offset
        )
        try:
            dictionary = Dictionary(data)
        except ZstdError as error:
            raise FormatError(self.file, f"dictionary: {error}", offset=offset) from error
        found = (len(data), dictionary.sha256.hex(), dictionary.data.dict_id())
        expected = (size, digest.hex(), self.tail.dictionary_id)
        if found != expected:
            raise FormatError(
                self.file,
                "size, SHA-256 and id of the dictionary",
                offset=offset,
                found=found,
                expected=expected,
            )
        return dictionary

    # ---- structures of the file, each checked before it is believed

    def read_bucket(self, number: int) -> bytes:
        """Return a bucket's slots.

        Raises:
            FormatError: They are damaged, or are not this bucket's.
        """
        place = self.index.fan_out_at(number)
        first, checksum, end = parse_fan_out(self._read(*place))
        if not first <= end <= self.tail.slot_count or end - first > MAX_BUCKET:
            raise FormatError(
                self.file,
                f"fan-out of bucket {number}",
                offset=place.offset,
                found=f"slots {first} to {end}",
                expected=f"at most {MAX_BUCKET}, up to {self.tail.slot_count}",
            )
        slots = self._read(self.index.slots + first * SLOT.size, (end - first) * SLOT.size)
        actual = bucket_checksum(self.tail.seed, number, first, slots)
        if actual != checksum:
            raise FormatError(
                self.file,
                f"checksum of bucket {number}",
                offset=place.offset + 4,
                found=f"{checksum:#010x}",
                expected=f"{actual:#010x}",
            )
        return slots

    def read_record(self, number: int) -> EntryRecord:
        """Return entry `number`, counted from 0 in the order of names.

        Raises:
            FormatError: The pack is damaged here, or there is no such entry.
        """
        return self._parse_entry(*self.read_item(number))

    def _parse_entry(self, item: bytes, offset: int) -> EntryRecord:
        return parse_entry(
            item, frame_size=self.frame_size, content=self._content, file=self.file, offset=offset
        )

    def read_item(self, number: int) -> tuple[bytes, int]:
        """Return the msgpack map of entry `number`, and the offset of its block's frame.

        Raises:
            FormatError: The pack is damaged here, or there is no such entry.
        """
        tail = self.tail
        if not 0 <= number < tail.entry_count:
            raise FormatError(self.file, "entry number", found=number, expected=f"below {tail.entry_count}")
        block, first, count, offset = self._block(number // tail.block_entries)
        return item_of(block, number - first, count=count, file=self.file, offset=offset), offset

    def _block(self, number: int) -> Block:
        """Return an entry block, and keep it for a while."""
        key = self._token, number
        kept = _BLOCKS.get(key)
        if kept is None:
            tail = self.tail
            first = number * tail.block_entries
            count = min(tail.block_entries, tail.entry_count - first)
            place = self.block_place(number)
            block = self.read_block(place, first, count)
            kept = block, first, count, place.offset
            _BLOCKS.put(key, kept, len(block))
        return kept

    def block_place(self, number: int) -> BlockPlace:
        """Return where the frame of an entry block lies, by the block table."""
        return parse_block_place(self._read(*self.index.block_place_at(number)))

    def read_block(self, place: BlockPlace, first: int, count: int) -> bytes:
        """Return a block's content, checked to be the one of `count` items from number `first`.

        Raises:
            FormatError: It is damaged, or another block.
            LimitExceeded: It claims more than a block may have.
        """
        manifest = self.tail.sections[MANIFEST]
        if (
            place.offset < manifest.offset + FRAME_HEADER.size
            or place.length > min(MAX_BLOCK, manifest.end - place.offset)
        ):  # fmt: skip
            raise FormatError(
                self.file,
                "place of a manifest block",
                found=f"{place.length} bytes at {place.offset}",
                expected=f"inside {manifest.offset + FRAME_HEADER.size} to {manifest.end}",
            )
        block = decode_block(
            self._read(*place), MAX_BLOCK, what="manifest block", file=self.file, offset=place.offset
        )
        check_block(block, seed=self.tail.seed, first=first, count=count, file=self.file, offset=place.offset)
        return block

    def _read(self, offset: int, length: int) -> bytes:
        data = self.source.read(offset, length)
        if len(data) != length:
            raise FormatError(
                self.file, "cut while it was open", offset=offset, found=len(data), expected=f"{length} bytes"
            )
        return data

    # ---- identity

    # A mapping of thousands of files is not compared file by file: a pack is equal to itself.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.file!r}: {len(self)} entries>"

    def __reduce__(self) -> tuple[Callable[..., "Pack"], tuple[Any, ...]]:
        if isinstance(self.source, BytesSource):
            source: bytes | str = self.source.read(0, self.source.size)
        elif isinstance(self.source, RemoteSource):
            source = self.source.url
        else:
            source = os.path.abspath(self.file)
        kind = "pread" if isinstance(self.source, PreadSource) else "mmap"
        return _reopen, (source, kind, self.max_read, self.sha256)


def open_pack(
    pack: str | os.PathLike[str] | bytes, *, source: SourceKind = "mmap", max_read: int = 1 << 30
) -> Pack:
    """Open a `.srcpack` and nothing else: its head and tail are read and checked, whatever its files.

    Args:
        pack: Path or URL of a `.srcpack` file, or its bytes.
        source: How a file is read. `mmap` maps it, and then it must not be truncated or written over in
            place while it is open (replacing it by renaming another over it is safe); `pread` reads by
            offset, for network file systems and where others may truncate files.
        max_read: Most bytes of content that one call may return.

    Raises:
        OSError: The file cannot be opened, or the object cannot be read.
        ModuleNotFoundError, RuntimeError, ValueError: As `srcpack.open`, for a URL.
        FormatError: It is no pack, was cut, is damaged in head or tail, or needs a newer reader.
        LimitExceeded: A size in the tail is over what the version allows.
    """
    if isinstance(pack, bytes):
        return Pack(BytesSource(pack), file="<bytes>", max_read=max_read)
    if source not in ("mmap", "pread"):
        raise ValueError(f"source is 'mmap' or 'pread', not {source!r}")
    if isinstance(pack, str) and is_url(pack := path_or_url(pack)):
        remote = RemoteSource(pack)
        return Pack(remote, file=remote.name, max_read=max_read)
    opened = MmapSource(pack) if source == "mmap" else PreadSource(pack)
    return Pack(opened, file=os.fspath(pack), max_read=max_read)


def _reopen(source: str | bytes, kind: SourceKind, max_read: int, sha256: bytes) -> Pack:
    pack = open_pack(source, source=kind, max_read=max_read)
    if pack.sha256 != sha256:
        raise FormatError(
            pack.file, "another pack since it was pickled", found=pack.sha256.hex(), expected=sha256.hex()
        )
    return pack


def _read_all(entries: list[Entry]) -> list[bytes]:
    return [entry.read() for entry in entries]
