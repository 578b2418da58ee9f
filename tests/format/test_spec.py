"""SPEC.md says what the code does: its tables, sizes, numbers and example are held against it here."""

import re

import pytest
import zstandard

from srcpack.format import head_tail as layout
from srcpack.format import items, lookup_numbers, lookup_rows, lookups, manifest, zstd_frames
from srcpack.format.head_tail import Section, Tail
from srcpack.format.index import MAX_BUCKET, MEAN_BUCKET, SEED_ATTEMPTS
from srcpack.records import FileType
from srcpack.rules.lookup_keys import Kind
from support import spec_example
from support.places import ROOT

SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")

TYPES: dict[str, type | bool] = {
    "text": str,
    "integer": int,
    "true": True,
    "boolean": bool,
    "array": list,
    "binary, 32 bytes": bytes,
    "map": dict,
    "map of text to text": dict,
}
SIZES = {"u8": 1, "u16": 2, "u32": 4, "i32": 4, "u64": 8}


def section(title: str) -> str:
    """Return the text under a heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", SPEC, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    lines = [line for line in section(title).split("\n\n")[table_at(title)].splitlines() if line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def table_at(title: str) -> int:
    """Return which paragraph under a heading is its first table."""
    paragraphs = section(title).split("\n\n")
    return next(at for at, text in enumerate(paragraphs) if text.lstrip().startswith("|"))


def fields(title: str) -> list[tuple[int, int, str, str]]:
    """Return offset, size, name and value of each row of a byte table."""
    result = []
    for offset, type_, name, value in rows(title):
        size = SIZES.get(type_)
        if size is None:
            count = re.match(r"(?:(\d+) × )?(?:(\d+) bytes|(\w+))", type_)
            assert count, type_
            size = int(count[1] or 1) * (int(count[2]) if count[2] else SIZES[count[3]])
        result.append((int(offset), size, name, value))
    return result


def a_tail() -> Tail:
    """Return a tail in which every number is another one."""
    return Tail(
        file_length=700,
        frame_size=13,
        block_entries=5,
        entry_count=17,
        key_kinds=14,
        bucket_count=19,
        slot_count=20,
        total_size=21,
        content_size=22,
        content_count=23,
        damaged_count=16,
        attributes_length=25,
        dictionary_id=26,
        dictionary_size=27,
        seed=b"seed....",
        dictionary_sha256=b"d" * 32,
        sha256=b"s" * 32,
        sections={1: Section(24, 30), 2: Section(54, 40), 3: Section(94, 20), 4: Section(114, 266)},
    )


@pytest.mark.parametrize(("title", "size"), [("3 Head", layout.HEAD_SIZE), ("9 Tail", layout.TAIL_SIZE)])
def test_byte_tables_have_no_gap_and_the_size_that_the_code_has(title: str, size: int) -> None:
    at = 0
    for offset, length, name, _ in fields(title):
        assert offset == at, name
        at += length
    assert at == size
    assert f"Size: {size} bytes." in section(title)


@pytest.mark.parametrize(("title", "size"), [("Head", 64), ("Row block", 60)])
def test_byte_tables_of_lookup_tables_have_the_size_that_the_code_has(title: str, size: int) -> None:
    at = 0
    for offset, length, name, _ in fields(title):
        assert offset == at, name
        at += length
    assert at == size
    assert size == (lookups._HEAD if title == "Head" else lookup_rows._HEADER).size


def test_head_is_the_table_s() -> None:
    data = layout.pack_head()
    for offset, length, name, value in fields("3 Head"):
        found = data[offset : offset + length]
        if name == "magic":
            assert value == f"`{found.hex(' ').upper()}`"
        else:
            assert int.from_bytes(found, "little") == int(value.strip("`"), 0)


def test_tail_has_each_field_where_the_table_says() -> None:
    tail = a_tail()
    data = layout.pack_tail(tail)
    for offset, length, name, value in fields("9 Tail"):
        found = data[offset : offset + length]
        if hasattr(tail, name) and name != "sections":
            expected = getattr(tail, name)
            assert (found if isinstance(expected, bytes) else int.from_bytes(found, "little")) == expected, (
                name
            )
        elif name in ("frame magic", "frame length"):
            assert int.from_bytes(found, "little") == int(value.strip("`"), 0)
    assert layout.parse_tail(data, file="t", file_length=700, version=(1, 0)) == tail


def test_sections_have_the_ids_and_the_layout_that_the_text_says() -> None:
    ids = {"content": layout.CONTENT, "manifest": layout.MANIFEST}
    ids |= {"dictionary": layout.DICTIONARY, "index": layout.INDEX, "lookups": layout.LOOKUPS}
    assert "id | " + ", ".join(f"{id_} {name}" for name, id_ in ids.items()) in section("9 Tail")
    data = layout.pack_tail(a_tail())
    for number, (id_, (offset, length)) in enumerate(a_tail().sections.items()):
        at = 160 + 24 * number
        assert data[at : at + 8] == id_.to_bytes(8, "little")
        assert data[at + 8 : at + 24] == offset.to_bytes(8, "little") + length.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("title", "types"),
    [("Entry", manifest._ENTRY_TYPES), ("Attributes", manifest._ATTRIBUTE_TYPES)],
)
def test_msgpack_tables_have_the_keys_and_types_that_the_code_checks(
    title: str, types: dict[str, type | bool]
) -> None:
    found = {key.strip("`"): TYPES[type_] for key, type_, *_ in rows(title)}
    assert found == types
    assert list(found) == list(types)


def test_type_numbers_are_the_table_s() -> None:
    meaning = next(row[-1] for row in rows("Entry") if row[0] == "`type`")
    for file_type in FileType:
        assert f"{manifest._TYPE_CODES.index(file_type)} `{file_type}`" in meaning


def test_kinds_of_key_have_the_numbers_of_the_table() -> None:
    found = {name.upper().replace(" ", "_"): int(number) for name, number, *_ in rows("7 Keys")}
    assert found == {kind.name: kind.value for kind in Kind}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("| frame_size | 2^30 |", layout.MAX_FRAME_SIZE == 1 << 30),
        ("unpacked and packed | 64 MiB;", layout.MAX_BLOCK == 64 << 20),
        (
            "| dictionary | 1 MiB unpacked; packed 128 bytes and 1/128 more |",
            layout.MAX_DICTIONARY == 1 << 20,
        ),
        ("| bucket | 32 slots |", MAX_BUCKET == 32),
        ("| head of a lookup table, unpacked | 16 MiB |", lookups.MAX_LOOKUP_HEAD == 16 << 20),
        (
            "| block of a lookup table, unpacked | 1 MiB, 65,536 rows |",
            lookups.MAX_LOOKUP_BLOCK == 1 << 20 and lookup_rows.MAX_ROWS == 65536,
        ),
        ("| line or column in a lookup table | 2^30 - 1 |", lookup_rows.MAX_NUMBER == 2**30 - 1),
        ("`0xFFFFFFFF`: the file's reference", lookups.DATA_URL == 0xFFFFFFFF),
        ("each with a byte `0xFF` after it", lookups.STRING_END == b"\xff"),
        ("lines 1 to 64 take", lookups.LINES_APART == 64),
        ("A width is 0 to 4", lookup_numbers.MAX_WIDTH == 4),
        ("max(1, ceil(keys / 8))", MEAN_BUCKET == 8),
        ("after 64 tries", SEED_ATTEMPTS == 64),
        ("u32 `0x184D2A5B`", layout.SKIPPABLE_MAGIC == 0x184D2A5B),
        ("`0xFFFFFFFF` in the attributes block", manifest.ATTRIBUTES_BLOCK == 0xFFFFFFFF),
        ("unpacked also less than 2^15 for each byte packed", zstd_frames.MOST_SHRUNK == 15),
        ("64 MiB, and 2^8 for each byte of the manifest section |", layout.MOST_MANIFEST_SHRUNK == 8),
        ("| entries of a block | 1 to 1024 |", layout.MAX_BLOCK_ENTRIES == 1024),
        (
            "| values of an entry, of the attributes | 2^16, and eight",
            (items.MOST_VALUES, items.MOST_VALUES_A_BYTE) == (1 << 16, 8),
        ),
        ("part + part/128 (rounded down) + 128", zstd_frames.frame_bound(1000) == 1000 + 7 + 128),
    ],
)
def test_numbers_in_the_text_are_the_code_s(text: str, value: bool) -> None:
    assert re.search(re.escape(text).replace(r"\ ", r"\s+"), SPEC)
    assert value


@pytest.mark.skipif(
    zstandard.ZSTD_VERSION != (1, 5, 7), reason="another libzstd may make other frames than the example's"
)
def test_the_example_is_what_the_code_makes() -> None:
    assert f"```text\n{spec_example.dump(spec_example.example_pack())}\n```" in SPEC


def test_every_heading_is_in_the_table_of_contents() -> None:
    for number, title in re.findall(r"^## (\d+) (.*)$", SPEC, re.MULTILINE):
        assert f"[{number} {title}](#{number}-{title.lower().replace(' ', '-')})" in SPEC
