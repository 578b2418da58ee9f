"""Verification: packs whose checksums are all right, and that say something else than what they hold.

Such a pack comes from a wrong writer or a forger. `Parts` takes a converted pack apart and puts it
together with one thing changed and every checksum made right, so that only `verify` can tell.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard

import srcpack
from srcpack import FormatError
from srcpack.format.head_tail import (
    CONTENT,
    FRAME_HEADER,
    HEAD_SIZE,
    INDEX,
    MANIFEST,
    TAIL_SIZE,
    Section,
    Tail,
    pack_frame_header,
    pack_head,
    pack_tail,
)
from srcpack.format.index import BlockPlace, bucket_checksum, pack_index, sort_into_buckets
from srcpack.format.manifest import (
    ATTRIBUTES_BLOCK,
    attributes_in_identity,
    entry_in_identity,
    pack_attributes,
    pack_block,
    pack_entry,
)
from srcpack.format.verify import find_problems
from srcpack.opening import packfile_of
from srcpack.records import Attributes, EntryRecord
from srcpack.rules.lookup_keys import Kind, keys_of
from srcpack_convert import convert
from support.bundle_builder import build_bundle

FRAME_SIZE = 4096
TEXT = "".join(f"let v{number} = {number};\n" for number in range(500)).encode()
RAW = hashlib.shake_256(b"noise").digest(5000)
FILES = {
    "0-unlisted": b"\xff\xfe not UTF-8, not UTF-8",
    "a.js": TEXT,
    "b.js": b"let b;\n",
    "raw": RAW,
    "twin.js": b"let b;\n",
}
LISTED = {
    "b.js": {"type": "source", "url": "~/b.js", "path": "/b.js"},
    "a.js": {"type": "minified_source", "url": "~/a.js"},
    "raw": {},
    "twin.js": {"type": "source", "url": "~/twin.js"},
    "lost.js": {"type": "source"},
}


@dataclass
class Parts:
    """A pack in parts; `build` puts it together, and makes right what depends on what was changed.

    Attributes:
        tail: The tail; its sections, its file length, its SHA-256 and the like come of building.
        content: The content section.
        attributes: The attributes block.
        records: The entries.
        keys: Kind, key and entry number; None for the keys that the entries have.
        identity: The content identity; None for the right one.
        gap: Bytes of no block between the attributes block and the first entry block.
        end: Bytes of no block after the last one.
        change_index: Called with the index section, and where its fan-out and its slots begin.
    """

    tail: Tail
    content: bytes
    attributes: Attributes
    records: list[EntryRecord]
    keys: list[tuple[Kind, str, int]] | None = None
    identity: bytes | None = None
    gap: bytes = b""
    end: bytes = b""
    change_index: Callable[[bytearray, int, int], None] = field(default=lambda *_: None)

    @classmethod
    def of(cls, data: bytes) -> "Parts":
        with srcpack.open(data) as pack:
            content = packfile_of(pack).tail.sections[CONTENT]
            records = [entry.record for entry in pack.entries()]
            return cls(packfile_of(pack).tail, data[content.offset : content.end], pack.bundle, records)

    def change_tail(self, **fields: Any) -> None:
        self.tail = self.tail._replace(**fields)

    def change(self, name: str, /, **fields: Any) -> None:
        """Change fields of an entry."""
        number = [record.name for record in self.records].index(name)
        self.records[number] = self.records[number]._replace(**fields)

    def build(self) -> bytes:
        seed, items = self.tail.seed, [pack_entry(record)[0] for record in self.records]
        identity = self.identity
        if identity is None:
            parts = [attributes_in_identity(self.attributes), *map(entry_in_identity, self.records)]
            identity = hashlib.sha256(b"".join(parts)).digest()
        attributes = pack_attributes(self.attributes._replace(identity=identity))
        compress = zstandard.ZstdCompressor(write_checksum=True).compress
        first_block = compress(pack_block(seed, ATTRIBUTES_BLOCK, [attributes]))
        manifest = first_block + self.gap
        body = pack_head() + self.content
        places = []
        for first in range(0, len(items), 64):
            block = compress(pack_block(seed, first, items[first : first + 64]))
            places.append(BlockPlace(len(body) + FRAME_HEADER.size + len(manifest), len(block)))
            manifest += block
        manifest += self.end
        sections = {
            CONTENT: Section(HEAD_SIZE, len(self.content)),
            MANIFEST: Section(len(body), FRAME_HEADER.size + len(manifest)),
        }
        body += pack_frame_header(len(manifest)) + manifest
        index, slot_count = self._index(places)
        sections[INDEX] = Section(len(body), len(index))
        body += index
        return body + pack_tail(
            self.tail._replace(
                file_length=len(body) + TAIL_SIZE,
                entry_count=len(items),
                slot_count=slot_count,
                attributes_length=len(first_block),
                sha256=hashlib.sha256(body).digest(),
                sections=sections,
            )
        )

    def _index(self, places: list[BlockPlace]) -> tuple[bytes, int]:
        buckets = sort_into_buckets(self._all_keys(), self.tail.seed, self.tail.bucket_count)
        assert buckets is not None
        index = bytearray(pack_index(self.tail.seed, places, buckets))
        fan_out = FRAME_HEADER.size + 12 * len(places)
        slots = fan_out + 8 * (len(buckets) + 1)
        self.change_index(index, fan_out, slots)
        index[: FRAME_HEADER.size] = pack_frame_header(len(index) - FRAME_HEADER.size)
        for number in range(len(buckets)):
            at = fan_out + 8 * number
            first, _, end = struct.unpack_from("<III", index, at)
            data = bytes(index[slots + 8 * first : slots + 8 * end])
            struct.pack_into("<I", index, at + 4, bucket_checksum(self.tail.seed, number, first, data))
        return bytes(index), (len(index) - slots) // 8

    def _all_keys(self) -> list[tuple[Kind, str, int]]:
        if self.keys is not None:
            return self.keys
        winners = {key: number for number, record in enumerate(self.records) for key in keys_of(record)}
        return [
            (kind, key, number) for (kind, key), number in winners.items() if self.tail.key_kinds >> kind & 1
        ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("whole") / "a.srcpack"
    bundle = build_bundle(FILES, {"files": LISTED, "release": "1"})
    convert(bundle, path, dictionary="off", frame_size=FRAME_SIZE)
    return path.read_bytes()


def problems(data: bytes, expected: Sequence[EntryRecord] | None = None) -> list[str]:
    return [str(error) for error in find_problems(packfile_of(srcpack.open(data)), expected)]


def resealed(data: bytes) -> bytes:
    """Return a pack whose bytes before the tail were changed, with their SHA-256."""
    tail = packfile_of(srcpack.open(data)).tail
    return data[:-TAIL_SIZE] + pack_tail(tail._replace(sha256=hashlib.sha256(data[:-TAIL_SIZE]).digest()))


# ---- what is right


def test_a_pack_put_together_as_it_was_is_right(whole: bytes) -> None:
    assert problems(whole) == []
    parts = Parts.of(whole)
    assert [record.name for record in parts.records] == sorted({*FILES, *LISTED})
    assert problems(parts.build(), parts.records) == []


def test_a_pack_without_some_kinds_of_key_is_right(whole: bytes) -> None:
    parts = Parts.of(whole)
    parts.change_tail(key_kinds=1 << Kind.NAME | 1 << Kind.URL)
    data = parts.build()
    assert problems(data) == []
    pack = srcpack.open(data)
    assert pack.by_url("~/a.js") == pack["a.js"]
    with pytest.raises(FormatError, match="this pack has no index of the kind path"):
        pack.by_path("/b.js")


def test_only_a_pack_can_be_verified() -> None:
    zipped = srcpack.open(build_bundle(FILES, {"files": LISTED}))
    with pytest.raises(TypeError, match=r"a SourceBundle zip, where a \.srcpack is needed"):
        srcpack.verify(zipped)
    with pytest.raises(TypeError, match=r"an open pack is needed, not str: 'app\.srcpack'"):
        srcpack.verify("app.srcpack")  # type: ignore[arg-type]


# ---- the whole file, its sections, its entries


def test_a_byte_changed_is_found_by_the_hash_of_all_and_then_where_it_is(whole: bytes) -> None:
    for at, where in ((TAIL_SIZE + 1, "checksum of bucket"), (len(whole) - 60, "frame at offset")):
        changed = bytearray(whole)
        changed[-at] ^= 1
        of_all, of_part = problems(bytes(changed))
        assert of_all.startswith("<bytes>: SHA-256 of all before the tail: found ")
        assert where in of_part


def test_a_section_must_be_a_frame_that_zstd_skips(whole: bytes) -> None:
    changed = bytearray(whole)
    changed[packfile_of(srcpack.open(whole)).tail.sections[MANIFEST].offset] ^= 1
    (problem,) = problems(resealed(bytes(changed)))
    assert problem.startswith("<bytes>: frame header of the section 2 at offset ")


def test_no_bytes_of_the_manifest_are_outside_its_blocks(whole: bytes) -> None:
    parts = Parts.of(whole)
    parts.gap = b"gap"
    (problem,) = problems(parts.build())
    assert problem.startswith("<bytes>: place of manifest block 0: found ")
    parts.gap, parts.end = b"", b"end"
    (problem,) = problems(parts.build())
    assert problem.startswith("<bytes>: end of the manifest blocks: found ")


def test_the_content_identity_is_worked_out_again(whole: bytes) -> None:
    parts = Parts.of(whole)
    parts.identity = bytes(32)
    (problem,) = problems(parts.build())
    assert problem == (
        f"<bytes>: content identity: found {bytes(32).hex()}, expected {parts.attributes.identity.hex()}"
    )


def test_positions_are_those_of_the_listed_entries_from_0(whole: bytes) -> None:
    for changes in ({"position": 5}, {"position": 1}, {"position": None}):
        parts = Parts.of(whole)
        parts.change("b.js", **changes)
        (problem,) = problems(parts.build())
        assert problem.startswith("<bytes>: positions: found [")


def test_a_debug_id_of_the_content_is_one(whole: bytes) -> None:
    parts = Parts.of(whole)
    parts.change("b.js", content_debug_id="none")
    expected = "Breakpad's form, no header beside it"
    assert problems(parts.build()) == [
        f"<bytes>: 'b.js': entry: content_debug_id: found 'none', expected {expected}"
    ]


@pytest.mark.parametrize("debug_id", ["None", "5e618b9f-54a9-4389-b196-519819dd7c47", ""])
def test_a_debug_id_is_that_of_the_headers(whole: bytes, debug_id: str) -> None:
    parts = Parts.of(whole)
    parts.change("b.js", debug_id=debug_id)
    found = problems(parts.build())
    assert f"<bytes>: 'b.js': entry: debug_id: found {debug_id!r}, expected None, the header's" in found


def test_entries_come_in_the_order_of_their_names_and_each_once(whole: bytes) -> None:
    parts = Parts.of(whole)
    parts.records[2:4] = reversed(parts.records[2:4])
    (problem,) = problems(parts.build())
    assert problem == "<bytes>: 'b.js': order of entries: expected a name after 'lost.js'"
    parts = Parts.of(whole)
    parts.change("b.js", name="a.js")
    (problem,) = problems(parts.build())
    assert problem == "<bytes>: 'a.js': order of entries: expected a name after 'a.js'"


@pytest.mark.parametrize("counted", ["total_size", "damaged_count"])
def test_the_tail_s_sums_over_the_entries_are_right(whole: bytes, counted: str) -> None:
    parts = Parts.of(whole)
    parts.change_tail(**{counted: getattr(parts.tail, counted) + 1})
    (problem,) = problems(parts.build())
    assert problem.startswith("<bytes>: total size and damaged members in the tail: found ")


def test_entries_are_those_that_are_expected(whole: bytes) -> None:
    records = Parts.of(whole).records
    assert problems(whole, records) == []
    for expected in (records[:-1], [*records, records[0]], [records[0]._replace(utf8=True), *records[1:]]):
        (problem,) = problems(whole, expected)
        assert problem.startswith("<bytes>: entry: ")


# ---- the index


def test_the_index_has_each_key_s_winner_and_nothing_else(whole: bytes) -> None:
    keys = Parts.of(whole)._all_keys()
    others = [
        keys[1:],
        [*keys, (Kind.URL, "~/more.js", 0)],
        [(*keys[0][:2], keys[0][2] + 1), *keys[1:]],
    ]
    for changed in others:
        parts = Parts.of(whole)
        parts.keys = changed
        (problem,) = problems(parts.build())
        assert problem.startswith("<bytes>: slots of bucket ")


def test_the_first_slot_is_the_first_bucket_s(whole: bytes) -> None:
    def shift(index: bytearray, fan_out: int, slots: int) -> None:
        index[slots:slots] = b"no slot."
        for at in range(fan_out, slots, 8):
            struct.pack_into("<I", index, at, int.from_bytes(index[at : at + 4], "little") + 1)

    parts = Parts.of(whole)
    parts.change_index = shift
    assert problems(parts.build()) == ["<bytes>: first slot of bucket 0: found 1, expected 0"]


def test_the_last_slot_is_the_last_bucket_s_and_the_fan_out_ends_with_zeros(whole: bytes) -> None:
    def add_slot(index: bytearray, _fan_out: int, _slots: int) -> None:
        index += b"no slot."

    def add_checksum(index: bytearray, _fan_out: int, slots: int) -> None:
        index[slots - 1] = 1

    for change in (add_slot, add_checksum):
        parts = Parts.of(whole)
        parts.change_index = change
        (problem,) = problems(parts.build())
        assert problem.startswith("<bytes>: last element of the fan-out at offset ")


# ---- the contents


def test_contents_are_shared_whole_or_not_at_all(whole: bytes) -> None:
    parts = Parts.of(whole)
    assert parts.records[2].frames == parts.records[-1].frames
    parts.change("twin.js", lines=0)
    assert problems(parts.build()) == [
        "<bytes>: 'twin.js': frames shared in part: found frames of 'b.js'",
    ]


def test_contents_leave_no_gap(whole: bytes) -> None:
    parts = Parts.of(whole)
    first = parts.records.pop(0)
    parts.change_tail(total_size=parts.tail.total_size - first.size)
    (problem,) = problems(parts.build())
    assert problem.startswith("<bytes>: 'a.js': frame: found at ")
    assert problem.endswith(f", expected at {HEAD_SIZE}")


def test_contents_end_with_their_section_and_are_counted_right(whole: bytes) -> None:
    longer = Parts.of(whole)
    longer.content += b"x"
    counted, summed = Parts.of(whole), Parts.of(whole)
    counted.change_tail(content_count=counted.tail.content_count + 1)
    summed.change_tail(content_size=summed.tail.content_size + 1)
    for parts in (longer, counted, summed):
        (problem,) = problems(parts.build())
        assert problem.startswith("<bytes>: end, number and size of the contents by the tail: found (")


def test_what_an_entry_says_of_its_content_is_held_against_it(whole: bytes) -> None:
    records = {record.name: record for record in Parts.of(whole).records}
    frames = records["a.js"].frames
    frames = (frames[0], frames[1]._replace(newlines_before=frames[1].newlines_before + 1), *frames[2:])
    lies: list[tuple[str, dict[str, Any], str]] = [
        ("a.js", {"frames": frames}, "line feeds before frame 1"),
        ("a.js", {"lines": records["a.js"].lines + 1}, "SHA-256, lines, UTF-8"),
        ("a.js", {"sha256": bytes(32)}, "SHA-256, lines, UTF-8"),
        ("a.js", {"utf8": False}, "SHA-256, lines, UTF-8"),
        ("0-unlisted", {"utf8": True}, "SHA-256, lines, UTF-8"),
        ("raw", {"sha256": bytes(32)}, "SHA-256, lines, UTF-8"),
    ]
    for name, fields, problem in lies:
        parts = Parts.of(whole)
        parts.change(name, **fields)
        (found,) = problems(parts.build())
        assert found.startswith(f"<bytes>: {name!r}: {problem}: found ")


def test_each_content_that_is_wrong_is_told_and_the_rest_is_checked(whole: bytes) -> None:
    parts = Parts.of(whole)
    assert next(record for record in parts.records if record.name == "raw").raw
    parts.change("a.js", sha256=bytes(32))
    parts.change("raw", sha256=bytes(31) + b"\1")
    assert [problem.partition(": found ")[0] for problem in problems(parts.build())] == [
        "<bytes>: 'a.js': SHA-256, lines, UTF-8",
        "<bytes>: 'raw': SHA-256, lines, UTF-8",
    ]
