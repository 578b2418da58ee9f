"""A pack: the files of one bundle, by name, path, URL and debug id, over a store.

A pack has no state that a read changes, save caches that are correct without a lock; threads share it.
"""

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any, Self

from srcpack.bundle.manifest_records import manifest_of
from srcpack.entry import Entry
from srcpack.errors import NotFound
from srcpack.records import Attributes, BundleManifest, EntryRecord, FileType
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import DEBUG_ID, NAME, PATH, URL, debug_id_key, normalize_path
from srcpack.rules.source_links import SourceLink, SourceLinks
from srcpack.store import Store

__all__ = ["Pack"]


class Pack(Mapping[str, Entry]):
    """An open pack: a mapping of member names, in byte order, to entries.

    It is the same over a `.srcpack` and over a SourceBundle zip; what belongs to one of them alone, its
    `store` has.

    Attributes:
        store: Where the entries are: a `PackFile` or a `ZipStore`.
        file: The pack, as the caller named it; of a URL without secrets.
    """

    __slots__ = ("__weakref__", "_find", "_links", "file", "store")

    def __init__(self, store: Store) -> None:
        """Make a pack over an open store; `srcpack.open` is how most do."""
        self.store: Store = store
        self.file: str = store.file
        self._find = store.find
        self._links: SourceLinks | None = None

    # ---- as a whole

    @property
    def attributes(self) -> Mapping[str, str]:
        """The top-level values of the bundle's manifest: `debug_id`, `release` and the like."""
        return self.store.attributes.attributes

    @property
    def source_links(self) -> Mapping[str, str]:
        """The bundle's source links: pattern of a path to target."""
        return self.store.attributes.source_links or {}

    @property
    def bundle(self) -> Attributes:
        """What the bundle says besides its files, and what the pack was made from and by.

        Of a zip, `identity`, `source` and `created_by` are empty.
        """
        return self.store.attributes

    @property
    def sha256(self) -> bytes:
        """The pack's identity, as its tail has it; of a zip SHA-256 of its bytes, which are read for it."""
        return self.store.sha256

    @property
    def max_read(self) -> int:
        """Most bytes of content that one call returns."""
        return self.store.max_read

    def bundle_manifest(self) -> BundleManifest:
        """Return the manifest of the bundle, files in its order; decodes all manifest blocks of a pack."""
        return manifest_of(self.bundle, self.store.records())

    @property
    def closed(self) -> bool:
        """Whether the pack was closed."""
        return self.store.closed

    def close(self) -> None:
        """Let go of the file. Views and reads under way stay valid; later reads raise ValueError."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- lookups

    def __getitem__(self, name: str) -> Entry:
        record = self._find(NAME, name)
        if record is None:
            raise NotFound(self.file, name)
        return Entry(self, record)

    def by_path(self, path: str) -> Entry | None:
        r"""Return the file of a path; None if there is none, though there may be a `source_link`.

        `\` and `/` are the same; nothing else is normalised.

        Raises:
            FormatError: The pack is damaged here, or has no index of paths.
        """
        if not isinstance(path, str):
            raise TypeError(f"a path is a str, not {type(path).__name__}")
        record = self._find(PATH, normalize_path(path))
        return None if record is None else Entry(self, record)

    def source_link(self, path: str) -> SourceLink | None:
        """Return where the source links say that the file of a path can be fetched; None if they don't.

        symbolic asks the links only for a path that no file of the bundle has.

        Raises:
            FormatError: The pack is damaged here.
            LimitExceeded: The URL would be over 1 MiB.
        """
        if not isinstance(path, str):
            raise TypeError(f"a path is a str, not {type(path).__name__}")
        if self._links is None:
            # Of patterns that are equal in lower case the greatest wins, as symbolic keeps them sorted.
            self._links = SourceLinks(dict(sorted(self.source_links.items())), file=self.file)
        url = self._links.resolve(normalize_path(path))
        return None if url is None else SourceLink(url)

    def by_url(self, url: str) -> Entry | None:
        """Return the file of just that URL, whatever its type.

        Raises:
            FormatError: The pack is damaged here, or has no index of URLs.
        """
        record = self._find(URL, url)
        return None if record is None else Entry(self, record)

    def by_debug_id(self, debug_id: DebugId | str, file_type: FileType | str) -> Entry | None:
        """Return the file of that type whose `debug-id` header gives that debug id.

        Raises:
            ValueError: The text is not a debug id, or the type is not one of the four.
            FormatError: The pack is damaged here, or has no index of debug ids.
        """
        if isinstance(debug_id, str):
            debug_id = DebugId.parse(debug_id)
        elif not isinstance(debug_id, DebugId):
            raise TypeError(f"a debug id is a str or DebugId, not {type(debug_id).__name__}")
        record = self._find(DEBUG_ID, debug_id_key(debug_id, FileType(file_type)))
        return None if record is None else Entry(self, record)

    # ---- listing

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[str]:
        return (record.name for record in self.store.records())

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the order of their names; a pack decodes block by block."""
        return (Entry(self, record) for record in self.store.records())

    def items(self) -> ItemsView[str, Entry]:
        """Return the names with their entries, at the cost of `entries`."""
        return _Items(self)

    def values(self) -> ValuesView[Entry]:
        """Return the entries, at the cost of `entries`."""
        return _Values(self)

    def find_prefix(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose names begin with `prefix`, in order; a pack decodes no other blocks."""
        for record in self.store.records(self.store.first_from(prefix)):
            if record.name < prefix:
                continue
            if not record.name.startswith(prefix):
                return
            yield Entry(self, record)

    # ---- contents

    def read_many(self, items: Iterable[str | Entry], *, threads: int = 1) -> list[bytes]:
        """Return the contents of names or entries, in their order.

        Args:
            items: Names, entries of this pack, or both.
            threads: How many threads decode side by side.

        Raises:
            TypeError: `items` is a single text.
            ValueError: `threads` is less than 1, or an entry is of another pack.
            NotFound: There is no entry of a name.
            DamagedMember, FormatError, LimitExceeded: As `Entry.read`, for the first such item.
        """
        if isinstance(items, str | bytes):
            raise TypeError("many names are read, not a single text")
        if threads < 1:
            raise ValueError(f"threads is at least 1, not {threads}")
        return self.store.read_many([self._wanted(item) for item in items], threads)

    def _wanted(self, item: str | Entry) -> str | EntryRecord:
        if isinstance(item, str):
            return item
        if item.pack is not self:
            raise ValueError(f"{item!r} is of another pack than {self.file!r}")
        return item._record  # noqa: SLF001

    # ---- identity

    # A mapping of thousands of files is not compared file by file: a pack is equal to itself.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"<Pack {self.file!r}: {len(self)} entries>"

    def __reduce__(self) -> tuple[Callable[..., "Pack"], tuple[Any, ...]]:
        return _reopened, self.store.reopening()


class _Items(ItemsView[str, Entry]):
    """Iterates without a lookup for each."""

    _mapping: Pack

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return ((entry.name, entry) for entry in self._mapping.entries())


class _Values(ValuesView[Entry]):
    """Iterates without a lookup for each."""

    _mapping: Pack

    def __iter__(self) -> Iterator[Entry]:
        return self._mapping.entries()


def _reopened(opened: Callable[..., Store], arguments: tuple[Any, ...]) -> Pack:
    return Pack(opened(*arguments))
