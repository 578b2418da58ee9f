"""Contents of members into the frames that a pack holds (SPEC.md, "Content")."""

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Self

import zstandard

from srcpack.format.head_tail import FRAME_HEADER, MAX_SKIPPED
from srcpack.format.zstd_frames import raw_checksum
from srcpack.records import EntryRecord
from srcpack_convert.one.read import ReadMember

__all__ = ["CompressedMember", "Compression", "Content", "compressed"]

_TASK_BYTES = 256 << 10
_TASK_PARTS = 64
_LARGE = 256 << 10
"""Bytes over which a part is large; libzstd's parameters take a step there."""
_IN_FLIGHT = 32 << 20
"""Bytes of content that wait to be compressed or written, beyond which no more is read."""


class Content(NamedTuple):
    """A content that is not empty, ready to be written: its zstd frames, or its parts as they are, if raw.

    Of each there is the low half of its XXH64, 4 bytes as they end a zstd frame, and how many line feeds come
    before it.
    """

    size: int
    frames: Sequence[bytes | memoryview]
    checksums: Sequence[bytes]
    newlines_before: Sequence[int]
    raw: bool

    @classmethod
    def of(cls, data: bytes, frame_size: int, frames: Sequence[bytes] | None = None) -> Self:
        """Return a content with these zstd frames; raw without any, or where they would not be smaller."""
        newlines = [0]
        for at in range(0, len(data) - frame_size, frame_size):
            newlines.append(newlines[-1] + data.count(b"\n", at, at + frame_size))
        if frames is not None and (
            sum(map(len, frames)) < len(data) + FRAME_HEADER.size or len(data) > MAX_SKIPPED
        ):
            return cls(len(data), frames, [frame[-4:] for frame in frames], newlines, raw=False)
        parts = _parts(data, frame_size)
        return cls(len(data), parts, [raw_checksum(part) for part in parts], newlines, raw=True)


class CompressedMember(NamedTuple):
    """A member on its way into the pack: its entry, without frames, and its size by the zip's directory.

    Its content is None where the pack needs nothing (more) for it.
    """

    record: EntryRecord
    content: Content | None
    size: int


class Compression:
    """Compresses parts of contents, in any thread; each thread has compressors of its own.

    `large_level` is in place of `level` for parts over 256 KiB, up to `frame_size`, if it is another.
    """

    def __init__(
        self,
        level: int,
        dictionary: zstandard.ZstdCompressionDict | None,
        *,
        large_level: int | None = None,
        frame_size: int = 0,
    ) -> None:
        self._level = level
        self._large_level = large_level
        self._frame_size = frame_size
        self._dictionary = dictionary
        self._local = threading.local()

    def compress(self, parts: Sequence[memoryview | bytes]) -> list[bytes]:
        """Return the frame of each part, with its size and its checksum."""
        compressors: tuple[zstandard.ZstdCompressor, zstandard.ZstdCompressor] | None
        compressors = getattr(self._local, "compressors", None)
        if compressors is None:
            compressors = self._local.compressors = self._made()
        small, large = compressors
        return [(large if len(part) > _LARGE else small).compress(part) for part in parts]

    def _made(self) -> tuple[zstandard.ZstdCompressor, zstandard.ZstdCompressor]:
        """Return a compressor for parts of up to 256 KiB, and one for larger parts."""
        small = zstandard.ZstdCompressor(
            level=self._level, dict_data=self._dictionary, write_checksum=True, write_content_size=True
        )
        if self._large_level is None:
            return small, small
        # By its level alone libzstd would take the dictionary's size into account, and other parameters,
        # with which these parts take twice as long and are larger.
        parameters = zstandard.ZstdCompressionParameters.from_level(
            self._large_level,
            source_size=self._frame_size,
            write_checksum=True,
            write_content_size=True,
            write_dict_id=True,
        )
        return small, zstandard.ZstdCompressor(compression_params=parameters, dict_data=self._dictionary)


def compressed(
    members: Iterator[ReadMember], compression: Compression, frame_size: int, jobs: int
) -> Generator[CompressedMember, None, None]:
    """Yield the members in their order, contents compressed by `jobs` threads; equal ones come once."""
    if jobs == 1:
        for member in members:
            parts = _to_compress(member, frame_size)
            yield _compressed(member, frame_size, compression.compress(parts))
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="compress") as executor:
        waiting: deque[tuple[ReadMember, int]] = deque()
        tasks: deque[Future[list[bytes]]] = deque()
        frames = _results(tasks)
        batch: list[memoryview] = []
        batch_size = in_flight = 0
        try:
            for member in members:
                parts = _to_compress(member, frame_size)
                waiting.append((member, len(parts)))
                in_flight += len(member.content)
                for part in parts:
                    batch.append(part)
                    batch_size += len(part)
                    if batch_size >= _TASK_BYTES or len(batch) >= _TASK_PARTS:
                        tasks.append(executor.submit(compression.compress, batch))
                        batch, batch_size = [], 0
                if in_flight > _IN_FLIGHT:
                    tasks.append(executor.submit(compression.compress, batch))
                    batch, batch_size = [], 0
                    while in_flight > _IN_FLIGHT // 2:
                        done, count = waiting.popleft()
                        in_flight -= len(done.content)
                        yield _compressed(done, frame_size, [next(frames) for _ in range(count)])
            tasks.append(executor.submit(compression.compress, batch))
            for done, count in waiting:
                yield _compressed(done, frame_size, [next(frames) for _ in range(count)])
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _to_compress(member: ReadMember, frame_size: int) -> list[memoryview]:
    return [] if member.keep_raw else _parts(member.content, frame_size)


def _compressed(member: ReadMember, frame_size: int, frames: Sequence[bytes]) -> CompressedMember:
    content = None
    if member.content:
        content = Content.of(member.content, frame_size, None if member.keep_raw else frames)
    return CompressedMember(member.record, content, member.size)


def _parts(data: bytes, frame_size: int) -> list[memoryview]:
    view = memoryview(data)
    return [view[at : at + frame_size] for at in range(0, len(view), frame_size)]


def _results(tasks: deque[Future[list[bytes]]]) -> Iterator[bytes]:
    while True:
        yield from tasks.popleft().result()
