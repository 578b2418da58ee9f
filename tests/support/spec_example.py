"""The example of SPEC.md: a pack as small as one gets, and its dump with each field named.

`python -m support.spec_example` writes the dump into SPEC.md; a test checks that it is there.
"""

import hashlib
import io
import struct
from collections.abc import Iterator

import msgpack

import srcpack
from srcpack.format.head_tail import CONTENT, FRAME_HEADER, INDEX, MANIFEST, TAIL_SIZE
from srcpack.format.index import BlockPlace
from srcpack.format.manifest import ATTRIBUTES_BLOCK
from srcpack.opening import packfile_of
from srcpack.pack import Pack
from srcpack.records import EntryRecord, FileType
from srcpack_convert.one.compress import Compression, Content
from srcpack_convert.one.writer import PackWriter
from support.pack_recipe import TAIL
from support.places import ROOT

_DATA = b'alert("hi");\n' * 4
_WIDTH = 16


def example_pack() -> bytes:
    """Return the example's bytes."""
    out = io.BytesIO()
    writer = PackWriter(out, file="example.srcpack", frame_size=2 << 20)
    content = Content.of(_DATA, 2 << 20, Compression(12, None).compress([_DATA]))
    frames = writer.write_content(content)
    record = EntryRecord(
        name="files/a.js",
        type=FileType.MINIFIED_SOURCE,
        url="~/a.js",
        size=len(_DATA),
        lines=4,
        sha256=hashlib.sha256(_DATA).digest(),
        frames=frames,
        raw=content.raw,
    )
    writer.finish(
        [record],
        attributes={"release": "1"},
        source_links=None,
        has_files=True,
        source={"sha256": bytes(32), "size": 0},
        created_by={"tool": "example", "libzstd": "1.5.7", "options": {}},
    )
    return out.getvalue()


def dump(data: bytes) -> str:
    """Return the example's dump: offset, bytes, what they are."""
    pack = srcpack.open(data)
    lines = []
    for at, length, what in _fields(pack):
        for start in range(0, length, _WIDTH):
            chunk = data[at + start : at + min(start + _WIDTH, length)]
            lines.append(f"{at + start:04x}  {chunk.hex(' '):47}  {'' if start else what}".rstrip())
    lines += ["", "The attributes block, unpacked:", "", *_block(pack, -1)]
    lines += ["", "The entry block, unpacked:", "", *_block(pack, 0)]
    return "\n".join(lines)


def _fields(pack: Pack) -> Iterator[tuple[int, int, str]]:
    tail = packfile_of(pack).tail
    for at, length, what in (
        (0, 4, "head: frame magic"),
        (4, 4, "frame length, 16"),
        (8, 8, "magic"),
        (16, 2, "major, 1"),
        (18, 2, "minor, 0"),
        (20, 4, "flags, none"),
    ):
        yield at, length, what
    content = tail.sections[CONTENT]
    yield content.offset, 4, "content: zstd's frame magic"
    yield content.offset + 4, 1, "one segment, checksum, one byte of size"
    yield content.offset + 5, 1, f"content size, {len(_DATA)}"
    yield content.offset + 6, content.length - 10, "zstd block"
    yield content.end - 4, 4, "checksum of the content, as in the entry"
    manifest = tail.sections[MANIFEST]
    yield manifest.offset, 4, "manifest: frame magic"
    yield manifest.offset + 4, 4, f"frame length, {manifest.length - FRAME_HEADER.size}"
    yield manifest.offset + 8, tail.attributes_length, "attributes block: zstd frame (unpacked below)"
    place = packfile_of(pack).directory.block_place(0)
    yield place.offset, place.length, "entry block 0: zstd frame (unpacked below)"
    index, layout = tail.sections[INDEX], packfile_of(pack).directory.layout
    yield index.offset, 4, "index: frame magic"
    yield index.offset + 4, 4, f"frame length, {index.length - FRAME_HEADER.size}"
    yield layout.block_table, 8, f"block table: block 0 is at {place.offset} ..."
    yield layout.block_table + 8, 4, f"... and has {place.length} bytes"
    yield layout.fan_out, 4, "fan-out: first slot of bucket 0"
    yield layout.fan_out + 4, 4, "its checksum"
    yield layout.fan_out + 8, 4, f"first slot after the last bucket, {tail.slot_count}"
    yield layout.fan_out + 12, 4, "no checksum"
    for slot in range(tail.slot_count):
        at = layout.slots + 8 * slot
        yield at, 4, f"slot {slot}: fingerprint"
        yield at + 4, 4, "entry number, 0"
    start = index.end
    special = {
        "frame_magic": "tail: frame magic",
        "frame_length": f"frame length, {TAIL_SIZE - 8}",
        "major": "major, 1",
        "minor": "minor, 0",
        "flags": "flags, none",
        "key_kinds": "key_kinds, all four",
        "slot_count": f"slot_count, {tail.slot_count}: keys of the kinds name and url",
        "dictionary_id": "dictionary_id, none",
        "dictionary_size": "dictionary_size, none",
        "reserved": "reserved",
        "seed": "seed",
        "dictionary_sha256": "dictionary_sha256, none",
        "sha256": "sha256 of all before the tail",
    }
    for name, (at, type_) in TAIL.items():
        if name != "sections":
            said = special.get(name) or f"{name}, {getattr(tail, name)}"
            yield start + at, struct.calcsize(type_), said
    at = start + 160
    for id_, section in tail.sections.items():
        yield at, 4, f"section id {id_}"
        yield at + 4, 4, "reserved"
        yield at + 8, 8, f"offset, {section.offset}"
        yield at + 16, 8, f"length, {section.length}"
        at += 24
    yield at, start + 304 - at, "three unused elements"
    yield start + 304, 8, "checksum of the tail"
    yield start + 312, 8, "magic"


def _block(pack: Pack, number: int) -> list[str]:
    """Dump an unpacked block: the attributes block for -1."""
    tail, directory = packfile_of(pack).tail, packfile_of(pack).directory
    if number < 0:
        at = tail.sections[MANIFEST].offset + FRAME_HEADER.size
        block = directory.read_block(BlockPlace(at, tail.attributes_length), ATTRIBUTES_BLOCK, 1)
    else:
        block = directory.read_block(directory.block_place(number), 0, 1)
    rows = [
        (0, 8, "seed"),
        (8, 4, "first"),
        (12, 4, "count, 1"),
        (16, 4, "position of item 0"),
        (20, 4, f"position of its end, {len(block) - 24}"),
        (24, len(block) - 24, "msgpack map:"),
    ]
    lines = []
    for at, length, what in rows:
        for start in range(0, length, _WIDTH):
            chunk = block[at + start : at + min(start + _WIDTH, length)]
            lines.append(f"{at + start:04x}  {chunk.hex(' '):47}  {'' if start else what}".rstrip())
    lines.append("")
    for key, value in msgpack.unpackb(block[24:]).items():
        shown = value.hex() if isinstance(value, bytes) else repr(value)
        lines.append(f"      {key}: {shown}")
    return lines


def _main() -> None:
    spec = ROOT / "SPEC.md"
    text = spec.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- example -->\n")
    _, mark, after = rest.partition("<!-- /example -->")
    block = "\n```text\n" + dump(example_pack()) + "\n```\n\n"
    spec.write_text(before + "<!-- example -->\n" + block + mark + after, encoding="utf-8")


if __name__ == "__main__":
    _main()
