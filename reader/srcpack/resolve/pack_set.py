"""An ordered set of packs, and how the files of a stack frame are found in it.

Finding decodes no content: what a lookup has to know of a file, its entry says. So a file whose frames
are damaged in the pack itself is found all the same, and reading it fails; `PackSet.resolve_all` has what
comes after it.

Rule source: symbolicator 87e6456 `symbolicator-js/src/lookup.rs` (bundles, candidates, the source map
and the sources), `symbolicator-proguard/src/symbolication.rs` (JVM) and
`symbolicator-native/src/symbolication/module_lookup.rs` (native).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Self, TypeAlias, TypeVar

from srcpack.entry import Entry
from srcpack.errors import DamagedMember, FormatError, LimitExceeded, SrcpackError
from srcpack.pack import Pack
from srcpack.records import FileType
from srcpack.resolve.content_cache import ContentCache
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import debug_id_key
from srcpack.rules.source_links import SourceLink
from srcpack.rules.urls import candidate_urls, join_paths, jvm_source_url, source_map_url

__all__ = ["ErrorCallback", "PackSet"]

ErrorCallback: TypeAlias = Callable[[Pack, str, SrcpackError | OSError], None]
"""Called with the pack, the key that was looked up in it, and what went wrong."""

F = TypeVar("F", bound=Entry | SourceLink)


class PackSet:
    """Packs that are searched together, in the order given.

    symbolicator tries the bundles of a JavaScript event with the greatest URI first, which is what `by_uri`
    does, and those of a JVM event as they come. An error in reading counts as "not here": the search goes
    on, and the error is reported. Immutable but for `errors`; threads share it.

    Attributes:
        packs: The packs.
        errors: How many errors counted as "not here". Threads count without a lock: exact where the
            interpreter has its global one.
    """

    __slots__ = ("_on_error", "_read", "errors", "packs")

    def __init__(
        self,
        packs: Iterable[Pack],
        *,
        on_error: ErrorCallback | None = None,
        content_cache: ContentCache | None = None,
    ) -> None:
        """Make a set of open packs; it does not close them.

        Args:
            packs: The packs, first the one to try first.
            on_error: Called for each error that counts as "not here", in the thread that searches. What it
                raises ends the search.
            content_cache: What `read` reads through.

        Raises:
            TypeError: They are no packs, but paths of packs, say, or the names in a single one.
        """
        self.packs = tuple(packs)
        for pack in self.packs:
            if not isinstance(pack, Pack):
                raise TypeError(f"a PackSet is of open packs, not of {type(pack).__name__}: {pack!r}")
        self.errors = 0
        self._on_error = on_error
        self._read = _read if content_cache is None else content_cache.read

    @classmethod
    def by_uri(
        cls,
        packs: Mapping[str, Pack],
        *,
        on_error: ErrorCallback | None = None,
        content_cache: ContentCache | None = None,
    ) -> Self:
        """Make a set that tries the pack with the greatest URI, by bytes of UTF-8, first.

        So does symbolicator with the bundles of a JavaScript event (a `BTreeMap`, read in reverse).
        """
        uris = sorted(packs, key=lambda uri: uri.encode(errors="surrogatepass"), reverse=True)
        return cls((packs[uri] for uri in uris), on_error=on_error, content_cache=content_cache)

    # ---- JavaScript

    def resolve(
        self,
        abs_path: str | None,
        debug_id: DebugId | str | None = None,
        file_type: FileType | str = FileType.MINIFIED_SOURCE,
    ) -> Resolved | None:
        """Find the file of a frame.

        With a debug id, each pack is asked for a file of that id and type. Then each candidate URL in
        turn is looked for in each pack, whatever the file's type: a specific URL in a later pack comes
        before `~/...` in an earlier one.

        Args:
            abs_path: The frame's URL or path; a leading `async ` is dropped. None to go by debug id alone.
            debug_id: The file's debug id, as the event says. A text that is none counts as None, as it
                does in symbolicator.
            file_type: The type that a file found by debug id must have.

        Returns:
            The first that can be read and is UTF-8 by what its entry says; None if there is none.

        Raises:
            ValueError: The type is none of the four.
        """
        return next(self.resolve_all(abs_path, debug_id, file_type), None)

    def resolve_all(
        self,
        abs_path: str | None,
        debug_id: DebugId | str | None = None,
        file_type: FileType | str = FileType.MINIFIED_SOURCE,
    ) -> Iterator[Resolved]:
        """Find all that `resolve` would give if those before could not be read, looking as it is asked.

        A file may come twice, by debug id and by URL. Arguments and errors are as for `resolve`.
        """
        if abs_path is not None:
            abs_path = abs_path.removeprefix("async ")
        return self._find(abs_path, _debug_id_of(debug_id), FileType(file_type))

    def source_map_for(self, minified: Resolved) -> Resolved | DecodedMap | None:
        """Find the source map of a minified file, as `find_source_map` does, by what its entry says.

        A `data:` URL that does not decode is reported as an error. (symbolicator then takes the minified file
        itself for unreadable, without looking for another.)
        """
        reference = minified.entry.source_mapping_url
        try:
            return self.find_source_map(minified.abs_path, reference, minified.debug_id)
        except ValueError as error:
            problem = FormatError(minified.pack.file, f"source map: {error}", member=minified.entry.name)
            self._report(minified.pack, "data:", problem)
            return None

    def find_source_map(
        self, abs_path: str | None, reference: str | None, debug_id: DebugId | str | None = None
    ) -> Resolved | DecodedMap | None:
        """Find the source map of a minified file that may be in no pack, such as one fetched from the web.

        The reference, joined to `abs_path`, is looked for as `resolve` does, with the debug id. Without a
        reference, or without an `abs_path` to join it to, the debug id alone decides.

        Args:
            abs_path: URL or path of the minified file.
            reference: Its reference to a map, from a header or its content; a `data:` URL is decoded.
            debug_id: The debug id that the event gives. One that only the content has counts for a
                file from the web, and not for a file of a pack.

        Raises:
            ValueError: The reference is a `data:` URL that does not decode to UTF-8.
        """
        url = None
        if reference is not None and (abs_path is not None or reference.startswith("data:")):
            found = source_map_url(abs_path or "", reference)
            if isinstance(found, bytes):
                return DecodedMap(content=found, source_base=abs_path)
            url = found
        base = abs_path if url is None else url
        return next(self._find(url, _debug_id_of(debug_id), FileType.SOURCE_MAP, base), None)

    def original_source(self, base: Resolved | DecodedMap | str, name: str) -> Resolved | None:
        """Find an original source that a source map names and does not embed.

        Args:
            base: The minified file or its source map, as resolved; or the URL of the map, else that of the
                minified file.
            name: The source's name in the map.
        """
        url = base if isinstance(base, str) else base.source_base
        return next(self._find(name if url is None else join_paths(url, name), None, FileType.SOURCE), None)

    # ---- JVM and native

    def jvm_source(self, module: str, abs_path: str | None, line: int) -> Resolved | None:
        """Find the source of a JVM frame: the first that has the frame's line. `entry.context` gives it.

        Args:
            module: Full name of the class.
            abs_path: The frame's file name, as `jvm_source_url` takes it.
            line: Number of the line, from 1; a frame without one, or with 0, has no source.
        """
        if line < 1:
            return None
        url = jvm_source_url(module, abs_path)
        for pack in self.packs:
            entry = self._readable(pack, url, pack.by_url, url)
            if entry is not None and entry.lines >= line:
                return Resolved.of(entry, "url", url, abs_path)
        return None

    def source_by_path(self, path: str) -> Resolved | SourceLink | None:
        """Find the source of a native frame: a file of any pack, else the first source link of http or https.

        symbolicator asks the one bundle of the frame's module, for its files and then its links, and does
        not follow links of other schemes. Of several packs, a file is better than a link to fetch; a
        pack whose file cannot be read has no say.

        Args:
            path: The frame's path, with either kind of slash.
        """
        link = None
        for pack in self.packs:
            found = self._readable(pack, path, pack.by_path, path)
            if isinstance(found, Entry):
                return Resolved.of(found, "path", path, path)
            if link is None and found is not None and found.url.startswith(("https://", "http://")):
                link = found
        return link

    # ---- contents

    def read(self, resolved: Resolved) -> bytes:
        """Return the content of a file that was found, through the content cache if there is one.

        Raises:
            SrcpackError, OSError: As `Entry.read`; reported and counted too.
        """
        try:
            return self._read(resolved.entry)
        except (SrcpackError, OSError) as error:
            self._report(resolved.pack, resolved.entry.name, error)
            raise

    # ---- one lookup

    def _find(
        self,
        abs_path: str | None,
        debug_id: DebugId | None,
        file_type: FileType,
        source_base: str | None = None,
    ) -> Iterator[Resolved]:
        if debug_id is not None:
            key = debug_id_key(debug_id, file_type)
            for pack in self.packs:
                entry = self._readable(pack, key, pack.by_debug_id, debug_id, file_type)
                if entry is not None:
                    yield Resolved.of(
                        entry, "debug-id", None, abs_path, debug_id=debug_id, source_base=source_base
                    )
        if abs_path is not None:
            for url in dict.fromkeys(candidate_urls(abs_path)):
                for pack in self.packs:
                    entry = self._readable(pack, url, pack.by_url, url)
                    if entry is not None:
                        yield Resolved.of(
                            entry, "url", url, abs_path, debug_id=debug_id, source_base=source_base
                        )

    def _readable(
        self, pack: Pack, key: str, find: Callable[..., F | None], *wanted: str | DebugId
    ) -> F | None:
        """Look a key up. symbolic reads a file as it looks it up: one that it could not read is not found."""
        try:
            found = find(*wanted)
            if isinstance(found, Entry):
                _check_readable(found)
        except (SrcpackError, OSError) as error:
            self._report(pack, key, error)
            return None
        return found

    def _report(self, pack: Pack, key: str, error: SrcpackError | OSError) -> None:
        self.errors += 1
        if self._on_error is not None:
            self._on_error(pack, key, error)

    def __repr__(self) -> str:
        return f"<PackSet of {len(self.packs)} packs>"


def _check_readable(entry: Entry) -> None:
    """Raise what reading the entry as text would, as far as that is known without decoding it."""
    reason = entry.damage or (None if entry.record.utf8 else "not UTF-8")
    if reason is not None:
        raise DamagedMember(entry.pack.file, entry.name, reason)
    if entry.size > entry.pack.max_read:
        raise LimitExceeded(entry.pack.file, "read", entry.size, entry.pack.max_read, member=entry.name)


def _read(entry: Entry) -> bytes:
    return entry.read()


def _debug_id_of(debug_id: DebugId | str | None) -> DebugId | None:
    if not isinstance(debug_id, str):
        return debug_id
    try:
        return DebugId.parse(debug_id)
    except ValueError:
        return None
