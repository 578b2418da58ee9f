"""A pack that is closed, copied, dropped; what memory reading takes, and a file that threads decode together.

What many threads and processes do with one pack is in tests/whole/test_stress.py.
"""

import os
import pickle
import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import srcpack
from srcpack import Entry, FormatError, Pack
from srcpack.opening import packfile_of
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.counting_source import counted
from support.places import PACKS
from support.range_server import RangeServer

APP = "files/_/_/static/app.min.js"


@pytest.fixture(params=["mmap", "pread", "bytes", "url"])
def pack(request: pytest.FixtureRequest) -> Iterator[Pack]:
    path = PACKS / "app.srcpack"
    if request.param == "url":
        pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")
        with RangeServer({"/app": path.read_bytes()}) as server, srcpack.open(f"{server.url}/app") as opened:
            yield opened
    elif request.param == "bytes":
        yield srcpack.open(path.read_bytes())
    else:
        with srcpack.open(path, source=request.param) as opened:
            yield opened


# ---- closing and copies


def test_reads_of_a_closed_pack_are_misuse(pack: Pack) -> None:
    with pack:
        entry = pack[APP]
    for call in (entry.read, lambda: pack["files/_/_/static/main.js"], lambda: list(pack)):
        with pytest.raises(ValueError, match="closed pack"):
            call()
    pack.close()
    assert pack.sha256


def test_an_entry_that_was_found_by_its_number_is_kept_until_the_pack_is_closed() -> None:
    pack, source = counted("many")
    record = pack.store.record(3)
    assert pack.store.record(3) is record
    pack.close()
    source.reads.clear()
    assert pack.store.record(3) == record
    assert source.reads


def test_a_pack_that_is_closed_while_a_block_is_read_does_not_keep_it() -> None:
    pack, source = counted("many")
    read = source.read

    def read_and_close(offset: int, length: int) -> bytes:
        data = read(offset, length)
        if offset >= packfile_of(pack).tail.sections[2].offset and length > 16:
            pack.close()
        return data

    source.read = read_and_close  # type: ignore[method-assign]
    assert next(iter(pack))
    source.read = read  # type: ignore[method-assign]
    source.reads.clear()
    assert next(iter(pack))
    assert source.reads


def test_a_dropped_pack_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes((PACKS / "app.srcpack").read_bytes())
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for source in ("mmap", "pread"):
        for _ in range(50):
            srcpack.open(path, source=source)[APP].read()
        with pytest.raises(FormatError):
            srcpack.open(tmp_path, source=source)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_pack_and_its_entries_can_be_pickled(pack: Pack) -> None:
    entry = pack[APP]
    again = pickle.loads(pickle.dumps(entry))
    assert again.name == entry.name
    assert again.read() == entry.read()
    assert again.pack.sha256 == pack.sha256
    assert type(again.pack.store.source) is type(pack.store.source)


def test_a_pickled_pack_knows_that_the_file_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes((PACKS / "app.srcpack").read_bytes())
    pickled = pickle.dumps(srcpack.open(path))
    (tmp_path / "new").write_bytes((PACKS / "many.srcpack").read_bytes())
    (tmp_path / "new").rename(path)
    with pytest.raises(FormatError, match="another file since it was pickled"):
        pickle.loads(pickled)


# ---- memory


FRAME = 64 << 10


@pytest.fixture(scope="module", params=[False, True], ids=["zstd", "raw"])
def many_frames(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, bytes]:
    """Return a content of 21 frames, and a pack of it."""
    path = tmp_path_factory.mktemp("frames") / "a.srcpack"
    content = bytes(random.Random(5).choices(b"0123456789abcdef", k=20 * FRAME + 1))
    raw = ("a",) if request.param else ()
    convert(build_bundle({"a": content}, {"files": {"a": {}}}), path, frame_size=FRAME, raw=raw)
    return content, path.read_bytes()


@contextmanager
def traced() -> Iterator[Callable[[], tuple[int, int]]]:
    """Yield what tells the bytes that are allocated, and were at most, since it was entered."""
    tracemalloc.start()
    try:
        yield tracemalloc.get_traced_memory
    finally:
        tracemalloc.stop()


def test_a_content_of_many_frames_takes_its_size_and_a_frame_more(many_frames: tuple[bytes, bytes]) -> None:
    content, data = many_frames
    entry = srcpack.open(data)["a"]
    entry.read_range(0, 1)  # what is loaded once
    with traced() as memory:
        assert entry.read() == content
        # A frame as it is stored, and its content.
        assert len(content) <= memory()[1] < len(content) + 3 * FRAME


def test_an_error_keeps_nothing_of_the_frames_before_it(many_frames: tuple[bytes, bytes]) -> None:
    _, data = many_frames
    frame = srcpack.open(data)["a"].record.frames[-2]
    damaged = bytearray(data)
    damaged[frame.offset + frame.length // 2] ^= 1
    entry = srcpack.open(bytes(damaged))["a"]
    entry.read_range(0, 1)
    with traced() as memory:
        with pytest.raises(FormatError) as kept:
            entry.read()
        assert memory()[0] < 4 * FRAME
        assert kept.value.member == "a"


def test_a_claimed_size_takes_no_memory_before_a_frame_is_right(many_frames: tuple[bytes, bytes]) -> None:
    _, data = many_frames
    pack = srcpack.open(data)
    honest = pack["a"].record
    count = (1 << 29) // FRAME
    wrong = honest.frames[0]._replace(checksum=b"none")
    lying = honest._replace(size=count * FRAME, frames=(wrong,) * count)
    with traced() as memory:
        with pytest.raises(FormatError):
            Entry(pack, lying).read()
        assert memory()[1] < 10 * FRAME


# ---- several threads for one file


@pytest.mark.parametrize("threads", [1, 2, 3, 20, 100])
def test_a_file_that_threads_decode_side_by_side_is_whole(
    many_frames: tuple[bytes, bytes], threads: int
) -> None:
    content, data = many_frames
    pack, source = counted(data)
    entry = pack["a"]
    source.reads.clear()
    assert entry.read(threads=threads) == content
    assert sorted(source.reads) == [(frame.offset, frame.length) for frame in entry.record.frames]
    assert pack.read_many(["a", "a"], threads=threads) == [content] * 2


def test_a_small_file_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    pack = srcpack.open(PACKS / "many.srcpack")
    for entry in pack.entries():
        assert entry.read(threads=8) == entry.read()


def test_a_damaged_part_is_refused_whichever_thread_decodes_it(many_frames: tuple[bytes, bytes]) -> None:
    _, data = many_frames
    frames = srcpack.open(data)["a"].record.frames
    for number in (0, 1, 2, len(frames) - 1):
        at = frames[number].offset + frames[number].length // 2
        damaged = srcpack.open(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        for threads in (1, 2, 3):
            with pytest.raises(FormatError, match="'a'"):
                damaged["a"].read(threads=threads)
