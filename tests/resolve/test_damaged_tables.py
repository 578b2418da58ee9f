"""Events whose lookup tables, maps or sources are damaged: what still answers, and what is told."""

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

import srcpack
from srcpack import Entry, Pack, PackSet
from srcpack.errors import FormatError, SrcpackError
from srcpack.format.head_tail import FRAME_HEADER, LOOKUPS
from srcpack.format.lookup_section import TableLookup, map_in_reference
from srcpack.opening import packfile_of
from srcpack.resolve import LookupCache, resolve_event
from srcpack_convert import convert
from support.source_maps import bundle_with_map, packed_map, source_map
from support.tables import build_tables_here
from support.the import the

SCRIPT = "https://harbour.example/crane.js"
LINES = 2000
TEXT = "".join(f"line {number} of the source\n" for number in range(1, LINES + 1))
COLUMNS = 3000

Damage = Callable[[Pack, bytearray], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A pack whose one table has blocks outside of its head; column `n` of the script is line `n % LINES`."""
    folder = tmp_path_factory.mktemp("tables")
    draw = random.Random(4)
    segments = [(0, column, 0, column % LINES, 2, draw.randrange(1500)) for column in range(COLUMNS)]
    names = [f"name of token {number}" for number in range(1500)]
    value = packed_map(source_map(segments, ["src/crane.ts"], names, sourcesContent=[TEXT]))
    bundle = bundle_with_map(b"x" * 3 * COLUMNS, value, "crane.js")
    with pytest.MonkeyPatch.context() as patch:
        build_tables_here(patch)
        convert(bundle, folder / "a.srcpack", lookups=True, dictionary="off", frame_size=4096)
    return (folder / "a.srcpack").read_bytes()


def table_of(pack: Pack) -> tuple[TableLookup, int]:
    """Return the table, and where its blocks begin."""
    table, record = pack["crane.js"].lookup_table(), pack["crane.js"].record.lookup
    assert isinstance(table, TableLookup)
    assert record is not None
    assert table.table.head.inside is None
    start = packfile_of(pack).tail.sections[LOOKUPS].offset + FRAME_HEADER.size
    return table, start + record.offset + record.head


def head(pack: Pack, data: bytearray) -> None:
    _, blocks = table_of(pack)
    data[blocks - 9] ^= 1


def block(which: Callable[[TableLookup], int]) -> Damage:
    def damage(pack: Pack, data: bytearray) -> None:
        table, blocks = table_of(pack)
        data[blocks + table.table.head.ends[which(table)] - 9] ^= 1

    return damage


def end_of_map(pack: Pack, data: bytearray) -> None:
    """Damage one of the last frames of the map, which hold the last lines of the source."""
    frames = pack["crane.js.map"].record.frames
    assert len(frames) > 8
    data[frames[-3].offset + 9] ^= 1


rows = block(lambda _: 0)
strings = block(lambda table: len(table.table.head.row_places))
texts = block(lambda table: len(table.table.head.row_places) + len(table.table.head.first_strings))
PARTS = {"head": head, "rows": rows, "strings": strings, "texts": texts}


def damaged(whole: bytes, *damages: Damage) -> Pack:
    data = bytearray(whole)
    with srcpack.open(whole) as pack:
        for damage in damages:
            damage(pack, data)
    return srcpack.open(bytes(data))


def resolved(packs: PackSet, *columns: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the frames at columns of the script, and the errors."""
    frames = [{"abs_path": SCRIPT, "lineno": 1, "colno": column} for column in columns]
    answer = resolve_event({"stacktraces": [{"frames": frames}], "modules": []}, packs)
    return answer["stacktraces"][0]["frames"], answer["errors"]


def reporting(pack: Pack) -> tuple[PackSet, list[SrcpackError | OSError]]:
    told: list[SrcpackError | OSError] = []
    packs = PackSet(
        [pack], on_error=lambda _, __, error: told.append(error), lookup_cache=LookupCache(8 << 20)
    )
    return packs, told


@pytest.mark.parametrize("part", PARTS)
def test_symbolic_answers_where_a_table_is_damaged(part: str, whole: bytes) -> None:
    pytest.importorskip("symbolic")
    expected = resolved(PackSet([srcpack.open(whole)]), 5, 6, 7)
    packs, told = reporting(damaged(whole, PARTS[part]))
    assert resolved(packs, 5, 6, 7) == expected
    assert expected[0][0]["context_line"] == "line 5 of the source"
    assert [type(error) for error in told] == [FormatError]


@pytest.mark.parametrize("part", ["head", "rows", "strings"])
def test_without_symbolic_a_frame_whose_table_is_damaged_stays_as_it_is(
    part: str, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    packs, told = reporting(damaged(whole, PARTS[part]))
    (frame,), (error,) = resolved(packs, 5)
    assert (frame["lineno"], frame["data"]) == (1, {"symbolicated": False})
    assert frame["context_line"].startswith("xxx"), "that of the minified file"
    assert error["type"] == "lookup_unavailable"
    assert "srcpack convert --lookups" in error["reason"]
    assert told, "what is wrong with the table"


def test_without_symbolic_a_frame_whose_texts_are_damaged_has_its_place_alone(
    whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    packs, told = reporting(damaged(whole, texts))
    frames, (error,) = resolved(packs, 5, 6)
    assert [frame["lineno"] for frame in frames] == [5, 6]
    assert not any("context_line" in frame for frame in frames)
    assert (error["type"], error["source"]) == (
        "missing_source_content",
        "https://harbour.example/src/crane.ts",
    )
    assert told


def test_a_part_of_the_map_that_is_damaged_costs_the_lines_in_it_alone(whole: bytes) -> None:
    """symbolic, which needs all of the map, cannot help."""
    packs, told = reporting(damaged(whole, end_of_map))
    columns = range(1, LINES, 50)
    expected, _ = resolved(PackSet([srcpack.open(whole)]), *columns)
    without = 0
    for column, whole_frame in zip(columns, expected, strict=True):
        (frame,), errors = resolved(packs, column)
        if errors:
            without += 1
            assert [error["type"] for error in errors] == ["missing_source_content"]
            lines = {"pre_context", "context_line", "post_context"}
            assert frame == {key: value for key, value in whole_frame.items() if key not in lines}
        else:
            assert frame == whole_frame
    assert 0 < without < len(columns) // 4
    assert told


def test_a_source_that_cannot_be_read_whole_serves_the_first_few_frames(whole: bytes) -> None:
    """The fifth place in a source takes all of its text, which is damaged behind the lines of the others."""
    packs, told = reporting(damaged(whole, end_of_map))
    frames, errors = resolved(packs, 1, 2, 3, 4, 5, 6)
    assert [frame["lineno"] for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert ["context_line" in frame for frame in frames] == [True] * 4 + [False] * 2
    assert [error["type"] for error in errors] == ["missing_source_content"]
    assert told


def test_lines_of_an_original_position_whose_text_is_damaged_are_an_error(whole: bytes) -> None:
    with damaged(whole, texts) as pack:
        position = the(pack["crane.js"].original(1, 5))
        assert position.line == 5
        with pytest.raises(FormatError, match="block of texts"):
            position.context()


def test_a_map_that_is_another_one_gives_no_lines(whole: bytes) -> None:
    """A table says by which bytes of which map its texts are; they are not taken out of another."""
    with srcpack.open(whole) as pack:
        table, _ = table_of(pack)
        token = the(table.token(1, 5))
        found = the(table.source_lines(token, 5, 0))
        assert "line 5 of the source" in found[1]
        table.table.head = table.table.head._replace(map_sha256=bytes(32))
        with pytest.raises(FormatError, match="SHA-256 of the source map"):
            table.source_lines(token, 5, 0)


def test_a_token_of_another_lookup_is_misuse(whole: bytes) -> None:
    with srcpack.open(whole) as pack:
        table, _ = table_of(pack)
        token = the(table.token(1, 5))
        with pytest.raises(TypeError, match="a token of another lookup"):
            table.content(token._replace(source="src/crane.ts"))


def test_a_reference_that_does_not_decode_holds_no_map(whole: bytes) -> None:
    with srcpack.open(whole) as pack:
        record = pack["crane.js"].record
    for reference in ("crane.js.map", "data:application/json;base64,%", None):
        assert map_in_reference(record._replace(reference=reference, headers=None)) == b""
    assert map_in_reference(record._replace(reference="data:,{}", headers=None)) == b"{}"


def test_texts_that_end_before_they_should_are_refused(whole: bytes) -> None:
    """The map is the one that the table says, but the table says of it what it has not."""
    with srcpack.open(whole) as pack:
        table, _ = table_of(pack)
        token = the(table.token(1, 5))
        text = table.table.text(1)
        size = pack["crane.js.map"].size
        with pytest.MonkeyPatch.context() as patch:
            for start, length in ((size, 5), (size - 5, 50), (text.start - 1, text.length)):
                lying = text._replace(start=start, length=length)
                patch.setattr(type(table.table), "text", lambda _, __, lying=lying: lying)
                with pytest.raises(FormatError, match="text in the source map"):
                    table.content(token)
            lying = text._replace(length=10)
            patch.setattr(type(table.table), "text", lambda _, __: lying)
            with pytest.raises(FormatError, match="text in the source map"):
                table.source_lines(token, LINES, 0)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (Entry, "context"),
        (Entry, "read"),
        (Entry, "lookup_table"),
        (TableLookup, "token"),
        (TableLookup, "source_lines"),
        (TableLookup, "content"),
    ],
)
def test_an_exception_from_outside_is_no_damage(
    whole: bytes, monkeypatch: pytest.MonkeyPatch, kind: type, method: str
) -> None:
    """A timeout that a signal handler raises ends the event, and counts as no missing file."""

    def interrupted(*_: object) -> None:
        raise TimeoutError("it took too long")

    packs, told = reporting(srcpack.open(whole))
    monkeypatch.setattr(kind, method, interrupted)
    if (kind, method) == (Entry, "read"):
        monkeypatch.setattr("srcpack.resolve.file_text.FEW_PARTS", 0)
    with pytest.raises(TimeoutError, match="it took too long"):
        resolved(packs, *range(1, 7))
    assert told == []
