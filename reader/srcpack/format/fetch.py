"""What is asked for together where a request costs much: entry blocks, and the contents of many files.

What goes into one request is planned by `source/request_plan.py`.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from srcpack.errors import SrcpackError, is_from_outside
from srcpack.records import EntryRecord
from srcpack.source.byte_source import ByteSource
from srcpack.source.local import PreadSource
from srcpack.source.request_plan import NOWHERE, Range, longest_run, plan_blocks, plan_requests, split
from srcpack.store import Store

from .index import BlockPlace

__all__ = ["blocks_ahead", "decoded_by_threads", "fetch_many", "fetch_together", "spooled"]

_MAX_UNPACKED = 8 << 20
"""Most bytes, unpacked, of blocks that were fetched together: few bytes may unpack to very many."""

_FIRST_BLOCKS, _MOST_BLOCKS = 4, 256

B = TypeVar("B", bound=tuple[bytes, int, int, int])
T = TypeVar("T")


@contextmanager
def spooled(source: ByteSource) -> Iterator[PreadSource]:
    """Give a distant source out of a temporary file, for those who read all of it or read it twice."""
    from tempfile import NamedTemporaryFile  # noqa: PLC0415  slow to import, and few need it

    with NamedTemporaryFile(prefix="srcpack-") as file:
        with source.ahead(0, source.size):
            for start, end in split(0, source.size):
                file.write(source.read(start, end - start))
        file.flush()
        copy = PreadSource(file.name)
        try:
            yield copy
        finally:
            copy.close()


def blocks_ahead(
    source: ByteSource, numbers: range, place_of: Callable[[int], BlockPlace], read: Callable[[int], B]
) -> Iterator[B]:
    """Yield what `read` gives for the entry blocks of these numbers, fetching ever more of them at a time."""
    at, step = 0, _FIRST_BLOCKS
    while at < len(numbers):
        places = [place_of(number) for number in numbers[at : at + step]]
        lengths = [place.length for place in places]
        end = at + plan_blocks(lengths)
        blocks: list[B] = []
        with source.ahead(places[0].offset, sum(lengths[: end - at])):
            while at + len(blocks) < end and sum(len(block[0]) for block in blocks) <= _MAX_UNPACKED:
                try:
                    blocks.append(read(numbers[at + len(blocks)]))
                except SrcpackError:
                    if not blocks:
                        raise
                    break  # those before it come first
        yield from blocks
        at, step = at + len(blocks), min(step * 2, _MOST_BLOCKS)


def fetch_together(
    source: ByteSource, ranges: Sequence[Range], work: Callable[[int], T], threads: int
) -> list[T | Exception]:
    """Return what `work` gives for the number of each range, or its error; neighbours come by one request."""

    def do(run: list[int]) -> list[tuple[int, T | Exception]]:
        start = ranges[run[0]].start
        with source.ahead(start, max(ranges[number].end for number in run) - start):
            return [(number, _outcome(work, number)) for number in run]

    runs = plan_requests(ranges, longest_run(threads))
    done: dict[int, T | Exception] = {}
    if threads > 1 and len(runs) > 1:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  the same

        with ThreadPoolExecutor(threads) as executor:
            for results in executor.map(do, runs):
                done.update(results)
    else:
        for run in runs:
            done.update(do(run))
    return [done[number] for number in range(len(ranges))]


def fetch_many(
    store: Store,
    wanted: Sequence[str | EntryRecord],
    threads: int,
    place_of: Callable[[str], BlockPlace | None],
) -> list[bytes]:
    """Fetch the manifest blocks of the names, then the contents, both in the order in which they lie.

    `place_of` gives the place of the manifest block that has the entry of a name.
    """

    def block_range(item: str | EntryRecord) -> Range:
        place = place_of(item) if isinstance(item, str) else None
        return NOWHERE if place is None else Range(place.offset, place.offset + place.length)

    found = fetch_together(
        store.source, list(map(block_range, wanted)), lambda number: store.named(wanted[number]), threads
    )
    if threads > 1:  # as where a pack is here: all names are looked up first
        _raise_first(found)
    ranges = [NOWHERE if isinstance(each, Exception) else _content_range(each) for each in found]
    contents = fetch_together(
        store.source,
        ranges,
        lambda number: each if isinstance(each := found[number], Exception) else store.read(each),
        threads,
    )
    return _raise_first(contents)


def decoded_by_threads(
    read_part: Callable[[int], bytes], record: EntryRecord, part_size: int, threads: int
) -> bytes:
    """Return a whole content; each thread puts what it has decoded in its place while the others decode."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  the same

    parts = len(record.frames)
    threads = min(threads, parts)
    with ThreadPoolExecutor(threads - 1) as executor:
        ahead = [executor.submit(read_part, number) for number in range(1, threads)]
        part = read_part(0)  # no memory for all before one is what it must be
        content = io.BytesIO(bytes(record.size))
        content.write(part)
        with content.getbuffer() as view:

            def place(number: int, part: bytes) -> None:
                start = number * part_size
                view[start : start + len(part)] = part

            def decode_every(first: int) -> None:
                for number in range(first, parts, threads):
                    place(number, read_part(number))

            others = [executor.submit(decode_every, threads + number) for number in range(1, threads)]
            for number, decoded in enumerate(ahead, 1):
                place(number, decoded.result())
            decode_every(threads)
            for other in others:
                other.result()
    return content.getvalue()


def _content_range(record: EntryRecord) -> Range:
    frames = record.frames
    return Range(frames[0].offset, frames[-1].offset + frames[-1].length) if frames else NOWHERE


def _raise_first(outcomes: Sequence[T | Exception]) -> list[T]:
    values = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        values.append(outcome)
    return values


def _outcome(work: Callable[[int], T], number: int) -> T | Exception:
    try:
        return work(number)
    except (SrcpackError, OSError) as error:
        if is_from_outside(error):
            raise
        return error
