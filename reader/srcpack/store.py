"""The contract of a store: what a pack asks of where its entries are, a `.srcpack` or a zip.

A store finds entries by key and by number, and reads the contents of the entries that it gave. It has no
state that a read changes, save caches that are correct without a lock; threads share it.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from srcpack.errors import FormatError, NotFound
from srcpack.records import Attributes, EntryRecord
from srcpack.rules.context import Context, get_context
from srcpack.rules.lookup_keys import NAME, Kind
from srcpack.rules.original_position import OriginalPosition
from srcpack.source.byte_source import ByteSource

__all__ = ["ContentReader", "Lookup", "Reopening", "Store", "Token", "reopened"]

Reopening = tuple[Callable[..., "Store"], tuple[Any, ...]]
"""What opens a store again, perhaps in another process: a function of a module, and its arguments."""


class Token(NamedTuple):
    """What a lookup finds at a position.

    Attributes:
        position: Where the token is in the original sources.
        source: What the lookup knows the token's source by.
    """

    position: OriginalPosition
    source: int | str


class Lookup(ABC):
    """All answers of a minified file and its source map."""

    __slots__ = ()

    @abstractmethod
    def token(self, line: int, column: int) -> Token | None:
        """Find the token at a position of the minified file; None if none begins in the line up to there.

        Both numbers count from 1, the column's unit is UTF-16; column 0 counts as 1.
        """

    @abstractmethod
    def content(self, token: Token) -> str | None:
        """Return the whole source of a token; None if the map does not embed it."""

    @abstractmethod
    def source_lines(self, token: Token, line: int, lines: int) -> tuple[int, str] | None:
        """Return a line of a token's source with its neighbours, as `Store.lines_around` does.

        But the text is empty if the source has no such line; None says that the map does not embed it.
        """


class Store(ABC):
    """Entries in the order of their names, what they are found by, and their contents.

    `file` is what it is called in messages: the path or URL, as the caller named it, without secrets.
    `source` is where its bytes come from; `max_read` is the most bytes of content that one call returns.

    What is damaged raises FormatError; a member that cannot be read, DamagedMember; a content over
    `max_read`, LimitExceeded.
    """

    __slots__ = ("__weakref__", "file", "max_read", "source")

    file: str
    source: ByteSource
    max_read: int

    # ---- as a whole

    @property
    @abstractmethod
    def attributes(self) -> Attributes:
        """What the bundle says besides its files, and what the pack was made from and by."""

    @property
    @abstractmethod
    def sha256(self) -> bytes:
        """What tells it from any other: of a pack SHA-256 of all before the tail, of a zip of its bytes."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.source.closed

    def close(self) -> None:
        """Let go of the file. Views and reads under way stay valid; later reads raise ValueError."""
        self.source.close()

    @abstractmethod
    def reopening(self) -> Reopening:
        """Return what opens it again; that refuses another file than this one."""

    # ---- entries

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of entries."""

    @abstractmethod
    def find(self, kind: Kind, key: str) -> EntryRecord | None:
        """Return the entry that has a key, normalised as SPEC.md, "Keys", says; None if there is none.

        Raises FormatError if there is no index of the kind, TypeError if the key is no text.
        """

    def named(self, item: str | EntryRecord) -> EntryRecord:
        """Return the entry of a name, else raise NotFound; an entry as it is."""
        if not isinstance(item, str):
            return item
        record = self.find(NAME, item)
        if record is None:
            raise NotFound(self.file, item)
        return record

    @abstractmethod
    def record(self, number: int) -> EntryRecord:
        """Return entry `number`, counted from 0 in the order of names; FormatError if there is none."""

    @abstractmethod
    def records(self, start: int = 0) -> Iterator[EntryRecord]:
        """Yield the entries from number `start` on."""

    @abstractmethod
    def first_from(self, name: str) -> int:
        """Return the number of an entry from which on all names that are not less than `name` come.

        There may be some lesser ones first: as many as one block of entries has at most.
        """

    @abstractmethod
    def complete(self, record: EntryRecord) -> EntryRecord:
        """Return an entry with what its content shows, which in a zip costs reading it."""

    # ---- contents

    @abstractmethod
    def read(self, record: EntryRecord, threads: int = 1) -> bytes:
        """Return the whole content, decoded by so many threads if it is in pieces."""

    @abstractmethod
    def read_range(self, record: EntryRecord, start: int, length: int) -> bytes:
        """Return `length` bytes of the content from byte `start`; fewer where the content ends."""

    @abstractmethod
    def read_text(self, record: EntryRecord) -> str:
        """Return the whole content as text; a content that is not UTF-8 is a DamagedMember."""

    @abstractmethod
    def lines_around(self, record: EntryRecord, line: int, lines: int) -> tuple[int, str] | None:
        """Return a text with a line and `lines` lines either side of it, and the number of its first line.

        Lines count from 1. There are fewer where the content begins or ends. None if it is known without
        reading that there is no such line.
        """

    def context(self, record: EntryRecord, line: int, column: int, lines: int) -> Context | None:
        """Return a line and its neighbours, each trimmed around the column; None if there is no such line."""
        found = self.lines_around(record, line, lines)
        if found is None:
            return None
        first, text = found
        return get_context(text, line - first + 1, column, lines)

    @abstractmethod
    def parts(self, record: EntryRecord) -> Iterator[bytes]:
        """Yield the content piece by piece; `max_read` is no limit."""

    @abstractmethod
    def view(self, record: EntryRecord) -> memoryview:
        """Return the content as a read-only view, without a copy where the store can."""

    @abstractmethod
    def open(self, record: EntryRecord) -> "ContentReader":
        """Return the content as a seekable binary file."""

    @abstractmethod
    def lookup(self, record: EntryRecord, map_sha256: bytes | None = None) -> Lookup | None:
        """Return the lookup table of an entry; None if it has none, or one of another map than is given."""

    def read_many(self, wanted: Sequence[str | EntryRecord], threads: int) -> list[bytes]:
        """Return the contents of names or entries, in their order; the first that fails raises."""
        if threads <= 1:
            return [self.read(self.named(item)) for item in wanted]
        records = [self.named(item) for item in wanted]
        if len(records) < threads:
            return [self.read(record, threads) for record in records]
        # A task for each small file would cost more than the file: a thread takes a run of neighbours.
        run = max(1, min(64, len(records) // (4 * threads)))
        runs = [records[at : at + run] for at in range(0, len(records), run)]
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  slow to import, and few need it

        with ThreadPoolExecutor(threads) as executor:
            done = executor.map(lambda run: [self.read(record) for record in run], runs)
            return [data for each in done for data in each]


class ContentReader(io.RawIOBase):
    """A content as a seekable binary file that holds one part of it at a time.

    All parts but the last have `part_size` bytes; `read_part` gives a part by its number.
    """

    def __init__(self, name: str, size: int, part_size: int, read_part: Callable[[int], bytes]) -> None:
        super().__init__()
        self.name = name
        self._size = size
        self._part_size = part_size
        self._read_part = read_part
        self._at = 0
        self._number = -1
        self._part = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes of content."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position, which may lie past the end, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}.get(whence)
        if base is None or base + offset < 0:
            raise ValueError(f"no position {offset} by whence {whence}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Read up to the end of the current part into `buffer`; return how many bytes."""
        if self.closed:
            raise ValueError("read of a closed file")
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, self._part_size)
        if number != self._number:
            self._part = self._read_part(number)
            self._number = number
        target = memoryview(buffer).cast("B")
        data = memoryview(self._part)[start : start + len(target)]
        target[: len(data)] = data
        self._at += len(data)
        return len(data)


def reopened(opened: Callable[..., Store], arguments: tuple[Any, ...], sha256: bytes) -> Store:
    """Open a store again, and refuse another file than the one that it was then."""
    store = opened(*arguments)
    if store.sha256 != sha256:
        raise FormatError(
            store.file, "another file since it was pickled", found=store.sha256.hex(), expected=sha256.hex()
        )
    return store
