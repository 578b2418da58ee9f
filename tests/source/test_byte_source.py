"""Where a pack's bytes come from: reads that the system cuts short, files that are cut, steps of two threads.

What two threads do at once happens here step by step: the other thread's step is put where the first one
calls the system.
"""

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srcpack import FormatError
from srcpack.source.byte_source import ByteSource
from srcpack.source.local import BytesSource, MmapSource, PreadSource

DATA = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def meanwhile(monkeypatch: pytest.MonkeyPatch, step: Callable[[], object]) -> None:
    """Have another thread take a step, once, right after a file is mapped."""
    map_file: Any = mmap.mmap
    steps = [step]

    def mapped(*args: Any, **options: Any) -> Any:
        made = map_file(*args, **options)
        if steps:
            steps.pop()()
        return made

    monkeypatch.setattr(mmap, "mmap", mapped)


@pytest.mark.parametrize("kind", [MmapSource, PreadSource])
def test_what_the_system_reads_in_small_pieces_is_put_together(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ByteSource]
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda number, length, offset: pread(number, min(length, 7), offset))
    source = kind(path)  # type: ignore[call-arg]
    assert source.read(250, 100) == DATA[250:350]
    assert source.read(len(DATA) - 10, 100) == DATA[-10:]
    assert source.read(len(DATA), 100) == b""


@pytest.mark.parametrize("kind", [MmapSource, PreadSource, BytesSource])
def test_a_source_gives_bytes_and_views_until_it_is_closed(path: Path, kind: Any) -> None:
    source: ByteSource = kind(DATA if kind is BytesSource else path)
    view = source.view(100, 50)
    assert view.readonly
    assert (source.size, source.read(100, 50), bytes(view)) == (len(DATA), DATA[100:150], DATA[100:150])
    source.close()
    source.close()
    assert bytes(view) == DATA[100:150]
    for call in (source.read, source.view):
        with pytest.raises(ValueError, match="read of a closed pack"):
            call(0, 1)


def test_a_file_is_mapped_at_a_large_read_a_view_or_after_many_small_reads(path: Path) -> None:
    source = MmapSource(path)
    for _ in range(MmapSource._SMALL_READS):
        assert source.read(5, 3) == DATA[5:8]
    assert source._map is None
    assert source.read(5, 3) == DATA[5:8]
    assert source._map is not None
    large = MmapSource(path)
    assert large.read(0, MmapSource._SMALL + 1) == DATA
    assert large._map is not None


def test_a_file_cut_before_it_is_mapped_is_refused(path: Path) -> None:
    source = MmapSource(path)
    os.truncate(path, 100)
    with pytest.raises(FormatError, match=r"data: cut while it was open: "):
        source.view(0, 10)


def test_a_system_that_takes_no_advice_maps_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_RANDOM", raising=False)
    assert bytes(MmapSource(path).view(100, 50)) == DATA[100:150]


def test_threads_that_map_at_once_each_read_right_and_one_map_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = MmapSource(path)
    others: list[memoryview] = []
    meanwhile(monkeypatch, lambda: others.append(source.view(0, 10)))
    assert bytes(source.view(100, 50)) == DATA[100:150]
    assert list(map(bytes, others)) == [DATA[:10]]
    assert source._descriptor is None
    assert source.view(7, 1).obj is source._map


def test_a_thread_that_finds_the_file_mapped_meanwhile_uses_that_map(path: Path) -> None:
    class Overtaken(MmapSource):
        """Another thread maps the file after this one saw that it was not mapped."""

        overtaken = False

        def _mapped(self) -> mmap.mmap | None:
            if not self.overtaken:
                self.overtaken = True
                super()._mapped()
            return super()._mapped()

    source = Overtaken(path)
    assert bytes(source.view(100, 50)) == DATA[100:150]
    assert source.overtaken
    assert source.view(0, 1).obj is source._map


def test_a_source_closed_while_it_is_mapped_keeps_no_map_and_the_read_is_right(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = MmapSource(path)
    meanwhile(monkeypatch, source.close)
    assert bytes(source.view(100, 50)) == DATA[100:150]
    assert source._map is None
    with pytest.raises(ValueError, match="read of a closed pack"):
        source.view(0, 1)
