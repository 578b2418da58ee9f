"""Lines around a place: those of the whole file, of the frames alone that have them."""

from pathlib import Path

import pytest

import srcpack
from srcpack import FormatError
from srcpack.opening import packfile_of
from srcpack.rules.context import get_context
from srcpack.rules.lookup_keys import NAME
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.counting_source import counted
from support.places import PACKS


@pytest.mark.parametrize(
    "name", ["files/many-lines.c", "files/one-line.js", "files/exact-two.c", "files/raw.bin"]
)
def test_context_is_that_of_the_whole_file(name: str) -> None:
    entry = srcpack.open(PACKS / "lines.srcpack")[name]
    text = entry.text()
    last = entry.lines
    for line in {0, 1, 2, 5, 6, last // 3, last // 2, last - 5, last - 1, last, last + 1, last + 7}:
        for lines in (0, 1, 5, 400):
            if line >= 0:
                assert entry.context(line, lines, 70) == get_context(text, line, 70, lines), (line, lines)


def test_context_decodes_only_the_frames_of_its_lines() -> None:
    pack, source = counted("lines")
    entry = pack["files/many-lines.c"]
    frames = len(entry.record.frames)
    source.reads.clear()
    assert entry.context(1000) is not None
    assert len(source.reads) <= 2 < frames
    source.reads.clear()
    assert entry.context(entry.lines + 1) is None
    assert source.reads == []


@pytest.mark.parametrize("length", [0, 1, 2, 255, 256, 257, 300, 1000, 4096])
def test_lines_are_found_among_very_many(length: int, tmp_path: Path) -> None:
    """Of line feeds alone, and of few: where they are counted by halves, and where they are found."""
    contents = {"a": b"\n" * length, "b": b"x\n" * length + b"end", "c": b"long " * length + b"\na\n" * 300}
    bundle = build_bundle(contents, {"files": {name: {} for name in contents}})
    convert(bundle, tmp_path / "a.srcpack", frame_size=4096, force=True)
    for entry in srcpack.open(tmp_path / "a.srcpack").values():
        text = contents[entry.name].decode()
        for line in {1, 2, 256, 257, 258, length, length + 1, entry.lines - 1, entry.lines, entry.lines + 1}:
            if line >= 0:
                assert entry.context(line, 3) == get_context(text, line, 0, 3)


# ---- long lines


LINE_FRAME = 4096
LONG_CONTENTS = {
    "one line": b"ab'\"" * 5000,
    "one line of two frames": b"0123456789" * 600,
    "ended": b"0123456789" * 2100 + b"\n",
    "ended by both": b"0123456789" * 2100 + b"\r\n",
    "characters": "äöü€𝕏ab".encode() * 1500,
    "licence and comment": b"/*! licence */\n" + "x=𝕏;".encode() * 3000 + b"\n//# sourceMappingURL=a.js.map",
    "two": b"a" * 9000 + b"\r\n" + b"b" * 9000 + b"\n\n" + b"c" * 9000,
    "ends at frames": (b"a" * (LINE_FRAME * 2 - 1) + b"\n") * 3 + b"b" * 3 * LINE_FRAME,
    "return before a frame": b"a" * (LINE_FRAME * 3 - 1) + b"\r\n" + b"b" * 3 * LINE_FRAME + b"\r",
    "empty at the end": b"a" * LINE_FRAME * 3 + b"\n\n\n",
}


@pytest.fixture(scope="module", params=[(), ("*",)], ids=["zstd", "raw"])
def long_lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("lines") / "a.srcpack"
    bundle = build_bundle(LONG_CONTENTS, {"files": {name: {} for name in LONG_CONTENTS}})
    convert(bundle, path, frame_size=LINE_FRAME, raw=request.param, dictionary="off")
    return path.read_bytes()


@pytest.mark.parametrize("name", LONG_CONTENTS)
def test_context_of_long_lines_is_that_of_the_whole_file(long_lines: bytes, name: str) -> None:
    entry = srcpack.open(long_lines)[name]
    text = LONG_CONTENTS[name].decode()
    size = len(LONG_CONTENTS[name])
    columns = {0, 1, 59, 60, 64, 65, 66, 4000, size // 2, size + 9, size, *range(size - 150, size, 3)}
    columns |= {LINE_FRAME * n + at for n in (1, 2) for at in range(-90, 70, 3)}
    for line in range(entry.lines + 2):
        for column in columns:
            for lines in (0, 5):
                assert entry.context(line, lines, column) == get_context(text, line, column, lines), column


def test_a_line_decodes_the_frames_of_its_begin_and_end_and_of_the_column(long_lines: bytes) -> None:
    pack, source = counted(long_lines)
    frames = {name: len(pack[name].record.frames) for name in LONG_CONTENTS}
    for name, line, most in (("one line", 1, 2), ("licence and comment", 2, 3), ("two", 1, 8)):
        entry = pack[name]
        for column in (0, 7000, 12000):
            source.reads.clear()
            assert entry.context(line, 5, column) is not None
            assert len(source.reads) <= most
    assert min(frames["one line"], frames["licence and comment"]) > 3
    source.reads.clear()
    assert pack["one line"].context(2) is None
    assert source.reads == []


def test_of_a_line_of_two_frames_only_the_one_that_shows_it_is_decoded(long_lines: bytes) -> None:
    pack, source = counted(long_lines)
    entry = pack["one line of two frames"]
    assert len(entry.record.frames) == 2
    for column, reads in ((10, 2), (5000, 1)):
        source.reads.clear()
        assert entry.context(1, 5, column) is not None
        assert len(source.reads) == reads


def test_a_closed_pack_gives_no_context_of_a_long_line(long_lines: bytes) -> None:
    pack = srcpack.open(long_lines)
    entry = pack["one line"]
    pack.close()
    with pytest.raises(ValueError, match="closed pack"):
        entry.context(1)


def test_line_feeds_that_are_not_as_the_entry_says_are_told_in_a_long_line(long_lines: bytes) -> None:
    store = packfile_of(srcpack.open(long_lines))
    for name in LONG_CONTENTS:
        record = store.find(NAME, name)
        assert record is not None
        frames = [frame._replace(newlines_before=number) for number, frame in enumerate(record.frames)]
        for lie in (
            record._replace(lines=record.lines + 3),
            record._replace(lines=len(frames), frames=tuple(frames)),
        ):
            with pytest.raises(FormatError, match="lines: expected"):
                _ = [store.context(lie, line, 0, 0) for line in range(1, lie.lines + 1)]
