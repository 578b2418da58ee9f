"""Packs read where they lie, by range requests to an object store or a web server (docs/remote.md).

A request costs what hundreds of local reads do. So the end of the object is fetched at once and what lies
behind the manifest is kept, and what is known to be read next is fetched together (`RemoteSource.ahead`).
"""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from srcpack.caches import Generations
from srcpack.errors import FormatError

from . import request_plan
from .byte_source import ByteSource
from .locations import without_secrets
from .object_stores import check_process, locate
from .store_errors import errors_of

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta

__all__ = ["PIECE", "RemoteSource"]

PIECE = 384 << 10
"""Bytes fetched from the end of the object when it is opened: all behind the manifest for some 8,000 files.

Where it is not all, the rest is fetched as it is needed in pieces of this size.
"""

_KEPT: Generations[tuple[int, int], bytes] = Generations(32 << 20)
"""Pieces of what lies behind manifests, by source and number; the limit is in bytes, for all packs."""

_tokens = count()


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
    replaced: bool = False

    def __init__(self, url: str) -> None:
        """Fetch the object's end; OSError if it cannot be read, or its store answers no range requests."""
        self.url = url
        self.name: str = without_secrets(url)
        self._store, self._key = locate(url)
        self._token = next(_tokens)
        self._here = _Here()
        result = self._open()
        self._known = _Version.of(result.meta)
        self.size: int = self._known.size
        self._kept_from, end = result.range
        if end - self._kept_from > PIECE:  # it grew since it was asked for its size
            raise OSError(errno.ESTALE, "the object was replaced meanwhile", self.name)
        _KEPT.put((self._token, 0), self._body(result, self._kept_from, end), end - self._kept_from)

    # ---- as a byte source

    def read(self, offset: int, length: int) -> bytes:
        if self.closed:
            raise self.closed_error()
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

    def place(self) -> str | bytes:
        return self.url

    def close(self) -> None:
        self.closed = True

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
            more = self._fetch(fetched, max(end, min(window.end, fetched + request_plan.MAX_REQUEST)))
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
        if end - start <= request_plan.MAX_REQUEST:
            return self._fetch_one(start, end)
        return b"".join(self._fetch_one(*each) for each in request_plan.split(start, end))

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
        self.fetched: tuple[int, bytes] = start, b""


class _Here(threading.local):
    """The window that a thread reads in."""

    window: "ref[_Window] | None" = None

    def current(self) -> _Window | None:
        return None if self.window is None else self.window()
