"""Where a pack's bytes come from: reads that the system cuts short, files that are cut, steps of two threads.

What two threads do at once happens here step by step: the other thread's step is put where the first one
calls the system.
"""

import errno
import gzip
import io
import mmap
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast
from unittest.mock import Mock

import pytest

import srcpack
from srcpack import FormatError
from srcpack.source import local, open_file
from srcpack.source.byte_source import ByteSource
from srcpack.source.file_object import FileObjectSource, source_of_file_object
from srcpack.source.local import BytesSource, MmapSource, PreadSource
from srcpack_convert import convert
from support.places import BUNDLES

DATA = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def is_closed(source: ByteSource) -> None:
    for call in (source.read, source.view):
        with pytest.raises(ValueError, match="read of a closed pack"):
            call(0, 1)


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


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice")
@pytest.mark.parametrize("kind", [MmapSource, PreadSource])
def test_the_end_of_a_file_is_announced_once_as_it_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ByteSource]
) -> None:
    advice: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *rest: advice.append(rest))
    monkeypatch.setattr(open_file, "_END", 100)
    source = kind(path)  # type: ignore[call-arg]
    assert advice == [(len(DATA) - 100, 0, os.POSIX_FADV_WILLNEED)]
    assert source.read(0, 10) == DATA[:10]
    assert len(advice) == 1


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice")
def test_a_file_whose_system_takes_no_advice_is_read_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fadvise", Mock(side_effect=OSError(errno.EINVAL, "no such advice")))
    assert PreadSource(path).read(0, 10) == DATA[:10]
    monkeypatch.setattr(os, "posix_fadvise", Mock(side_effect=TimeoutError("a signal handler's")))
    with pytest.raises(TimeoutError, match="signal handler"):
        PreadSource(path)


@pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="the system takes no advice")
def test_many_pages_of_a_map_are_announced_before_they_are_touched(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(DATA * 20)
    advice: list[tuple[int, int]] = []

    class Mapped(mmap.mmap):
        def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
            if option == mmap.MADV_WILLNEED:
                advice.append((start, length))
                super().madvise(option, start, length)

    source = MmapSource(path)
    with path.open("rb") as file:
        source._map = Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert source.read(5000, 64 << 10) == (DATA * 20)[5000 : 5000 + (64 << 10)]
    assert advice == []
    assert source.read(5000, 100_000) == (DATA * 20)[5000:105_000]
    assert bytes(source.view(9000, 70_000)) == (DATA * 20)[9000:79_000]
    assert advice == [
        (start - start % mmap.PAGESIZE, start % mmap.PAGESIZE + length)
        for start, length in ((5000, 100_000), (9000, 70_000))
    ]
    assert source.read(len(DATA) * 20 - 10, 1 << 20) == DATA[-10:]


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
    is_closed(source)


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


def test_advice_that_the_system_refuses_is_not_missed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that were built without it, and some sandboxes."""
    asked: list[int] = []

    class Unadvised(mmap.mmap):
        def madvise(self, option: int, *_: int) -> None:
            asked.append(option)
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(mmap, "mmap", Unadvised)
    monkeypatch.setattr(local, "_MANY_PAGES", 10)
    source = MmapSource(path)
    assert bytes(source.view(100, 50)) == DATA[100:150]
    assert source.read(0, len(DATA)) == DATA
    assert set(asked) == {mmap.MADV_RANDOM, mmap.MADV_WILLNEED}


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
    is_closed(source)


# ---- what the system refuses


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EINVAL, errno.ENOMEM, errno.EMFILE])
def test_where_no_map_can_be_made_all_goes_on_by_pread(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse = Mock(side_effect=OSError(code, os.strerror(code)))
    monkeypatch.setattr(mmap, "mmap", refuse)
    source = MmapSource(path)
    for _ in range(MmapSource._SMALL_READS + 5):
        assert source.read(5, 3) == DATA[5:8]
    assert bytes(source.view(100, 50)) == DATA[100:150]
    assert source.read(0, MmapSource._SMALL + 1) == DATA
    assert refuse.call_count == 1
    source.close()
    is_closed(source)


def test_a_timeout_is_not_taken_for_a_refusal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MmapSource(path)
    meanwhile(monkeypatch, lambda: (_ for _ in ()).throw(TimeoutError))
    with pytest.raises(TimeoutError):
        source.view(0, 1)
    assert bytes(source.view(0, 1)) == DATA[:1]
    assert source._map is not None


def test_conversion_checks_its_pack_without_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "mmap", Mock(side_effect=OSError(errno.ENODEV, "No such device")))
    assert convert(BUNDLES / "many.zip", tmp_path / "many.srcpack").verified
    with srcpack.open(tmp_path / "many.srcpack") as pack, srcpack.open(BUNDLES / "many.zip") as bundle:
        assert [entry.read() for entry in pack.entries()] == [entry.read() for entry in bundle.entries()]


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_what_is_no_regular_file_is_refused_and_leaves_nothing_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    for other in (tmp_path, tmp_path / "fifo", Path("/dev/null"), Path("/dev/zero")):
        with pytest.raises(FormatError, match="not a regular file"):
            PreadSource(other)
    with pytest.raises(FileNotFoundError):
        PreadSource(tmp_path / "absent")
    assert len(os.listdir("/proc/self/fd")) == before


# ---- Windows has no pread: a file is mapped at once, or its one position is shared


@pytest.fixture
def no_pread(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("open_file", "local", "file_object"):
        monkeypatch.setattr(f"srcpack.source.{module}.HAS_PREAD", False)
    monkeypatch.delattr(os, "pread")


@pytest.mark.usefixtures("no_pread")
def test_without_pread_a_file_is_mapped_at_once(path: Path) -> None:
    source = MmapSource(path)
    assert source.read(5, 3) == DATA[5:8]
    assert source._map is not None


@pytest.mark.usefixtures("no_pread")
def test_without_pread_threads_read_one_after_the_other(path: Path) -> None:
    with path.open("rb") as file:
        for source in (PreadSource(path), source_of_file_object(file)):
            read_by_threads(source)


# ---- what is in memory, and file objects


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_read(kind: Any) -> None:
    data = kind(DATA)
    source = BytesSource(data)
    if kind is bytearray:
        data[:] = b""  # it may change afterwards
    assert (source.size, source.read(100, 50)) == (len(DATA), DATA[100:150])


class Unknown(io.BytesIO):
    """A file object that has no descriptor, reads in small pieces, and is none that is known."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 7))


def read_by_threads(source: ByteSource) -> None:
    def read(start: int) -> bool:
        return all(source.read(at, 9) == DATA[at : at + 9] for at in range(start, len(DATA), 20))

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(read, range(8)))
    assert source.read(len(DATA) - 10, 100) == DATA[-10:]
    assert bytes(source.view(3, 4)) == DATA[3:7]


def test_a_file_object_of_any_kind_is_read_by_threads(path: Path, tmp_path: Path) -> None:
    (tmp_path / "packed.gz").write_bytes(gzip.compress(DATA))
    opened: list[tuple[Any, type[ByteSource]]] = [
        (path.open("rb"), PreadSource),
        (path.open("rb", buffering=0), PreadSource),
        (path.open("r+b"), PreadSource),
        (io.BytesIO(DATA), BytesSource),
        (Unknown(DATA), FileObjectSource),
        (gzip.GzipFile(tmp_path / "packed.gz"), FileObjectSource),
    ]
    for file, kind in opened:
        with file:
            file.seek(5)
            source = source_of_file_object(file)
            assert (type(source), source.size, file.tell()) == (kind, len(DATA), 5)
            read_by_threads(source)
            source.close()
            source.close()
            is_closed(source)


def test_a_file_object_of_the_system_may_be_written_moved_and_closed(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"more")
        source = source_of_file_object(file)
    assert source.read(len(DATA), 100) == b"more"


def test_what_cannot_be_read_at_offsets_is_refused(path: Path) -> None:
    with (
        path.open(encoding="latin-1") as text,
        pytest.raises(TypeError, match="open for bytes, not for text"),
    ):
        source_of_file_object(cast(BinaryIO, text))
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as pipe, pytest.raises(ValueError, match="must be seekable"):
        source_of_file_object(pipe)
    with pytest.raises(ValueError, match="closed file"):
        source_of_file_object(pipe)


def test_a_signal_handler_may_read_the_object_that_its_thread_is_reading() -> None:
    class Interrupted(io.BytesIO):
        """Something reads between the seek and the read."""

        inner: bytes | None = None

        def read(self, size: int | None = -1, /) -> bytes:
            if self.inner is None:
                self.inner = b""
                self.inner = source.read(500, 10)
            return super().read(size)

    file = Interrupted(DATA)
    source = FileObjectSource(file)
    assert source.read(100, 10) == DATA[100:110]
    assert file.inner == DATA[500:510]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_process_forked_while_another_thread_reads_an_object_does_not_wait_for_it() -> None:
    children: list[int] = []
    forking = iter([True])

    class Forking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if next(forking, False):
                with ThreadPoolExecutor(1) as executor:
                    children.append(executor.submit(fork).result())
            return super().read(size)

    def fork() -> int:
        child = os.fork()
        if not child:
            os._exit(0 if source.read(100, 10) == DATA[100:110] else 1)
        return child

    source = FileObjectSource(Forking(DATA))
    assert source.read(0, 10) == DATA[:10]
    assert os.waitpid(children[0], 0)[1] == 0
