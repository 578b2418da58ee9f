"""Decompressors: each used by one thread at a time, and no more kept than are of use."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from weakref import ref

import pytest
import zstandard

from srcpack.format import zstd_frames
from srcpack.format.zstd_frames import Decompressors

CONTENTS = [f"function f{number}() {{ return {number} }}\n".encode() * 40 for number in range(300)]
PATIENCE = 20.0
"""Seconds that threads of a test which fails wait for each other."""

FRAMES = [zstandard.ZstdCompressor(write_checksum=True).compress(content) for content in CONTENTS]


class Watched:
    """A decompressor that refuses two threads at once.

    Attributes:
        meanwhile: What is called while it is in use.
    """

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, decompress: Callable[..., bytes]) -> None:
        self._decompress = decompress
        self._is_used = False

    def decompress(self, *arguments: Any) -> bytes:
        """Decompress, alone."""
        assert not self._is_used
        self._is_used = True
        self.meanwhile()
        content = self._decompress(*arguments)
        self._is_used = False
        return content


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    """Return all decompressors that are made from now on."""
    made: list[Watched] = []
    real = zstandard.ZstdDecompressor

    def make(**options: Any) -> Watched:
        made.append(Watched(real(**options).decompress))
        return made[-1]

    monkeypatch.setattr(zstandard, "ZstdDecompressor", make)
    return made


def test_one_thread_needs_one_decompressor(made: list[Watched]) -> None:
    decompressors = Decompressors()
    assert list(map(decompressors.decompress, FRAMES)) == CONTENTS
    assert len(made) == 1


def test_one_that_is_in_use_is_not_given_to_another_thread(made: list[Watched]) -> None:
    decompressors = Decompressors()
    used, end = Event(), Event()

    def wait() -> None:
        used.set()
        end.wait(PATIENCE)

    made[0].meanwhile = wait
    with ThreadPoolExecutor(1) as executor:
        slow = executor.submit(decompressors.decompress, FRAMES[0])
        assert used.wait(PATIENCE)
        try:
            assert list(map(decompressors.decompress, FRAMES[1:])) == CONTENTS[1:]
        finally:
            end.set()
        assert slow.result() == CONTENTS[0]
    assert len(made) == 2


def test_those_that_were_made_last_are_kept(made: list[Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd_frames, "_MADE", deque())
    monkeypatch.setattr(zstd_frames, "_MOST_MADE", 6)
    many = [Decompressors() for _ in range(20)]
    assert [len(each._idle) for each in many] == [0] * 14 + [1] * 6
    assert many[0].decompress(FRAMES[0]) == CONTENTS[0]
    assert [len(each._idle) for each in many] == [1] + [0] * 14 + [1] * 5
    assert len(made) == 21


def test_what_many_threads_use_at_once_is_kept_for_them(
    made: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    decompressors = Decompressors()
    all_are_used = Barrier(8, timeout=PATIENCE)
    monkeypatch.setattr(Watched, "meanwhile", all_are_used.wait)
    with ThreadPoolExecutor(8) as executor:
        for _ in range(3):
            assert list(executor.map(decompressors.decompress, FRAMES[:8])) == CONTENTS[:8]
    assert len(made) == 8


def test_a_dictionary_that_is_dropped_takes_its_decompressors_with_it(made: list[Watched]) -> None:
    dropped = Decompressors()
    assert dropped.decompress(FRAMES[0]) == CONTENTS[0]
    last = ref(made.pop())
    del dropped
    assert last() is None


def test_one_that_failed_is_not_used_again(made: list[Watched]) -> None:
    decompressors = Decompressors()
    with pytest.raises(zstandard.ZstdError):
        decompressors.decompress(FRAMES[0][:-1])
    assert decompressors.decompress(FRAMES[0]) == CONTENTS[0]
    assert len(made) == 2
