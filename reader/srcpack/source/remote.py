"""Packs read where they lie, by range requests to an object store or a web server (docs/remote.md).

A request costs what hundreds of local reads do. So the end of the object is fetched at once and what lies
behind the manifest is kept; what is known to be read next is fetched together (`RemoteSource.ahead`); and
of many files the neighbours are (`read_many`).
"""

import errno
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from weakref import ref

from srcpack.caches import Generations
from srcpack.errors import FormatError, SrcpackError
from srcpack.format.index import find_entries
from srcpack.format.keys import hash_key
from srcpack.rules.lookup_keys import NAME
from srcpack.source.local import CLOSED, ByteSource, PreadSource
from srcpack.source.object_stores import check_process, errors_of, locate, without_secrets

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta

    from srcpack.entry import Entry
    from srcpack.pack import Block, Pack

__all__ = ["MAX_GAP", "MAX_REQUEST", "PIECE", "RemoteSource", "blocks_ahead", "local_copy", "read_many"]

PIECE = 384 << 10
"""Bytes fetched from the end of the object when it is opened: all behind the manifest for some 8,000 files.

Where it is not all, the rest is fetched as it is needed in pieces of this size.
"""

MAX_REQUEST = 8 << 20
"""Most bytes of one request; what is longer takes several, one after the other.

Threads that fetch side by side share it, down to `_LEAST_SHARE` each.
"""

_LEAST_SHARE = 1 << 20

MAX_GAP = 256 << 10
"""Most bytes between two ranges that are fetched by one request: they take less time than another one."""

_MAX_BLOCKS = 1 << 20
"""Most bytes of manifest blocks that are fetched ahead."""

_MAX_UNPACKED = 8 << 20

_KEPT: Generations[tuple[int, int], bytes] = Generations(32 << 20)
"""Pieces of what lies behind manifests, by source and number; the limit is in bytes, for all packs."""

_tokens = count()

T = TypeVar("T")


class RemoteSource(ByteSource):
    """The bytes of an object, asked for by range; it must stay the one that was opened.

    Every answer is held against the object's size and ETag (or time of change), and every request after the
    first asks for that ETag: an object that was replaced is an error and never a mix. Threads share a
    source without a lock.

    Attributes:
        url: The object, as the caller named it; it may hold a secret. `name` is for messages.
        name: The URL without user name, password and query.
        replaced: Whether the object was found to be another one, or gone.
    """

    distant = True

    def __init__(self, url: str) -> None:
        """Fetch the object's end.

        Raises:
            OSError: The object cannot be read, or its store answers no range requests.
            FormatError: The answer is not what was asked for.
            ModuleNotFoundError, ValueError, RuntimeError: As `object_store.locate`.
        """
        self.url = url
        self.name = without_secrets(url)
        self._store, self._key = locate(url)
        self._closed = False
        self._token = next(_tokens)
        self._here = _Here()
        result = self._open()
        self._known = _Version.of(result.meta)
        self.size = self._known.size
        self._kept_from, end = result.range
        if end - self._kept_from > PIECE:  # it grew since it was asked for its size
            raise OSError(errno.ESTALE, "the object was replaced meanwhile", self.name)
        _KEPT.put((self._token, 0), self._body(result, self._kept_from, end), end - self._kept_from)

    # ---- as a byte source

    def read(self, offset: int, length: int) -> bytes:
        if self._closed:
            raise ValueError(CLOSED)
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if offset >= self._kept_from:
            return self._read_kept(offset, end)
        window = self._here.current()
        if window is not None and window.start <= offset and end <= window.end:
            return self._read_window(window, offset, end)
        return self._fetch(offset, end)

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))

    def close(self) -> None:
        self._closed = True

    def keep(self, offset: int) -> None:
        if self.size > PIECE:
            first = _KEPT.get((self._token, 0))
            if first is not None and offset > self._kept_from:
                first = first[offset - self._kept_from :]
                _KEPT.put((self._token, 0), first, len(first))
            self._kept_from = offset

    @contextmanager
    def ahead(self, offset: int, length: int) -> Iterator[None]:
        # It lives no longer than this call, wherever an exception arrives: nobody else has it.
        window = _Window(offset, min(offset + length, self.size))
        here = self._here
        outer = here.current()
        if outer is None or offset < outer.start or window.end > outer.end:
            here.window = ref(window)
        try:
            yield
        finally:
            here.window = None if outer is None else ref(outer)

    # ---- kept and fetched ahead

    def _read_kept(self, offset: int, end: int) -> bytes:
        """Return bytes from behind the manifest, out of pieces that are counted from the end."""
        first, last = (self.size - 1 - offset) // PIECE, (self.size - end) // PIECE
        data = b"".join(map(self._piece, range(first, last - 1, -1)))
        start = offset - max(self._kept_from, self.size - (first + 1) * PIECE)
        return data[start : start + end - offset]

    def _piece(self, number: int) -> bytes:
        piece = _KEPT.get((self._token, number))
        if piece is None:
            end = self.size - number * PIECE
            piece = self._fetch(max(self._kept_from, end - PIECE), end)
            _KEPT.put((self._token, number), piece, len(piece))
        return piece

    def _read_window(self, window: "_Window", offset: int, end: int) -> bytes:
        at, data = window.fetched
        fetched = at + len(data)
        if not at <= offset <= fetched:
            at = fetched = offset
            data = b""
        if end > fetched:
            more = self._fetch(fetched, max(end, min(window.end, fetched + MAX_REQUEST)))
            data = data[offset - at :] + more
            at = offset
            window.fetched = at, data
        return data[offset - at : end - at]

    # ---- requests

    def _open(self) -> "GetResult":
        """Ask for the object's end, by a suffix range or, where the store has none, by its length."""
        try:
            return self._get({"range": {"suffix": PIECE}})
        except OSError as error:
            # Azure has no suffix ranges. Web servers may answer one longer than the object with all of it or
            # with 416; and some have no ranges at all.
            if error.errno != errno.ENOTSUP and "(416" not in str(error.strerror):
                raise
        with errors_of(self.url):
            import obstore  # noqa: PLC0415  optional, and slow to import

            size = obstore.head(self._store, self._key)["size"]
        if size <= PIECE:
            return self._get({})
        try:
            return self._get({"range": (size - PIECE, size)})
        except OSError as error:
            if error.errno == errno.ENOTSUP:
                error.strerror = "the server answers no range requests: download the pack to read it"
            raise

    def _fetch(self, start: int, end: int) -> bytes:
        if end - start <= MAX_REQUEST:
            return self._fetch_one(start, end)
        return b"".join(
            self._fetch_one(at, min(at + MAX_REQUEST, end)) for at in range(start, end, MAX_REQUEST)
        )

    def _fetch_one(self, start: int, end: int) -> bytes:
        options: GetOptions = {"range": (start, end)}
        if (etag := self._known.strong_etag) is not None:
            options["if_match"] = etag
        try:
            result = self._get(options)
            found = _Version.of(result.meta)
            if self._known.fits(found):
                return self._body(result, start, end)
        except OSError as error:
            if error.errno == errno.ENOENT:
                self.replaced = True
            if error.errno != errno.ESTALE:
                raise
            found = None
        self.replaced = True
        raise FormatError(self.name, "replaced since it was opened", found=found, expected=self._known)

    def _get(self, options: "GetOptions") -> "GetResult":
        check_process()
        with errors_of(self.url):
            import obstore  # noqa: PLC0415  optional, and slow to import

            return obstore.get(self._store, self._key, options=options)

    def _body(self, result: "GetResult", start: int, end: int) -> bytes:
        """Return the body of an answer, which must be just the range; no more of it is taken."""
        length = end - start
        with errors_of(self.url):
            body = next(iter(result.stream(min_chunk_size=length + 1)), b"")
        if result.range != (start, end) or len(body) != length:
            found = "more" if len(body) > length else f"{len(body)} bytes"
            raise OSError(errno.EIO, f"the store answered {found} where {length} were asked for", self.name)
        return bytes(body)


class _Version(NamedTuple):
    """What an object is told from its successors by."""

    size: int
    etag: str | None
    changed: str

    @classmethod
    def of(cls, meta: "ObjectMeta") -> "_Version":
        return cls(meta["size"], meta["e_tag"], meta["last_modified"].isoformat())

    @property
    def strong_etag(self) -> str | None:
        """The ETag if it can be asked for; a weak one never matches."""
        return None if self.etag is None or self.etag.startswith("W/") else self.etag

    def fits(self, other: "_Version") -> bool:
        """Return whether both can be of one object; its copies on several servers may differ in time."""
        if self.etag is not None:
            return (self.size, self.etag) == (other.size, other.etag)
        return self == other

    def __str__(self) -> str:
        return f"{self.size} bytes, ETag {self.etag}, changed {self.changed}"


class _Window:
    """A range that will be read, and what of it is here: an offset, and the bytes from there."""

    __slots__ = ("__weakref__", "end", "fetched", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.fetched = start, b""


class _Here(threading.local):
    """The window that a thread reads in."""

    window: "ref[_Window] | None" = None

    def current(self) -> _Window | None:
        """Return it, if whoever reads in it is still there."""
        return None if self.window is None else self.window()


# ---- what a pack asks for together


@contextmanager
def local_copy(pack: "Pack") -> Iterator["Pack"]:
    """Give a pack out of a temporary file, for who reads all of it or reads it more than once.

    Raises:
        FormatError, LimitExceeded: What was copied is no pack, or another one.
        OSError: The pack cannot be read, or the file not be written.
    """
    size = pack.source.size
    with NamedTemporaryFile(prefix="srcpack-") as file:
        with pack.source.ahead(0, size):
            for at in range(0, size, MAX_REQUEST):
                file.write(pack.source.read(at, MAX_REQUEST))
        file.flush()
        with type(pack)(PreadSource(file.name), file=pack.file, max_read=pack.max_read) as copy:
            if copy.sha256 != pack.sha256:
                raise FormatError(
                    pack.file, "another pack", found=copy.sha256.hex(), expected=pack.sha256.hex()
                )
            yield copy


def blocks_ahead(pack: "Pack", numbers: range, read: "Callable[[int], Block]") -> "Iterator[Block]":
    """Yield what `read` gives for the entry blocks of these numbers, fetching ever more of them at a time.

    Raises:
        FormatError, LimitExceeded, OSError: As `read`.
    """
    at, step = 0, 1
    while at < len(numbers):
        place = pack.block_place(numbers[at])
        end, length = at + 1, place.length
        while end < min(at + step, len(numbers)):
            more = length + pack.block_place(numbers[end]).length
            if more > _MAX_BLOCKS:
                break
            end, length = end + 1, more
        blocks: list[Block] = []
        with pack.source.ahead(place.offset, length):
            # What a few bytes unpack to may be very much.
            while at + len(blocks) < end and sum(len(block) for block, *_ in blocks) <= _MAX_UNPACKED:
                try:
                    blocks.append(read(numbers[at + len(blocks)]))
                except SrcpackError:
                    if not blocks:
                        raise
                    break  # those before it come first
        yield from blocks
        at, step = at + len(blocks), step * 2


def read_many(pack: "Pack", items: Iterable["str | Entry"], threads: int) -> list[bytes]:
    """Return contents as `Pack.read_many` does, from a pack for which a request costs much.

    The manifest blocks of the names are fetched first, then the contents, both in the order in which they lie
    and neighbours by one request. Each thread holds the bytes of one request.
    """
    wanted = list(items)
    found = _side_by_side(
        pack,
        [_block_of(pack, item) if isinstance(item, str) else _NOWHERE for item in wanted],
        lambda at: pack[item] if isinstance(item := wanted[at], str) else item,
        threads,
    )
    if threads > 1:  # as where a pack is here: all names are looked up first
        _raise_first(found)
    contents = _side_by_side(
        pack,
        [_NOWHERE if isinstance(entry, Exception) else _content_of(entry) for entry in found],
        lambda at: entry.read() if not isinstance(entry := found[at], Exception) else entry,
        threads,
    )
    return _raise_first(contents)


class _Place(NamedTuple):
    start: int
    end: int


_NOWHERE = _Place(0, 0)


def _content_of(entry: "Entry") -> _Place:
    frames = entry.record.frames
    return _Place(frames[0].offset, frames[-1].offset + frames[-1].length) if frames else _NOWHERE


def _block_of(pack: "Pack", name: str) -> _Place:
    """Return where the block lies in which a name would be, by the index alone."""
    hashed = hash_key(pack.tail.seed, NAME, name)
    bucket = hashed.bucket(pack.tail.bucket_count)
    for number in find_entries(pack.read_bucket(bucket), hashed.fingerprint):
        place = pack.block_place(number // pack.tail.block_entries)
        return _Place(place.offset, place.offset + place.length)
    return _NOWHERE


def _side_by_side(
    pack: "Pack", places: Sequence[_Place], work: Callable[[int], T], threads: int
) -> list[T | Exception]:
    """Return what `work` gives for the number of each place, or its error, fetching neighbours together."""

    def do(run: list[int]) -> list[tuple[int, T | Exception]]:
        start = places[run[0]].start
        with pack.source.ahead(start, max(places[number].end for number in run) - start):
            return [(number, _outcome(work, number)) for number in run]

    runs = _runs(places, max(_LEAST_SHARE, MAX_REQUEST // max(1, threads)))
    done: dict[int, T | Exception] = {}
    if threads > 1 and len(runs) > 1:
        with ThreadPoolExecutor(threads) as executor:
            for results in executor.map(do, runs):
                done.update(results)
    else:
        for run in runs:
            done.update(do(run))
    return [done[number] for number in range(len(places))]


def _outcome(work: Callable[[int], T], number: int) -> T | Exception:
    try:
        return work(number)
    except (SrcpackError, OSError) as error:
        return error


def _raise_first(outcomes: Sequence[T | Exception]) -> list[T]:
    """Return the outcomes, or raise the first that is an error."""
    values = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        values.append(outcome)
    return values


def _runs(places: Sequence[_Place], longest: int) -> list[list[int]]:
    """Return the numbers of the places in the order in which they lie, those of one request together."""
    runs: list[list[int]] = []
    start = end = -1
    for number in sorted(range(len(places)), key=places.__getitem__):
        place = places[number]
        if runs and place.start - end <= MAX_GAP and place.end - start <= longest:
            runs[-1].append(number)
            end = max(end, place.end)
        else:
            runs.append([number])
            start, end = place
    return runs
