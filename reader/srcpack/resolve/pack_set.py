"""An ordered set of packs, and how the files of a stack frame are found in it.

Finding decodes no content: what a lookup has to know of a file, its entry says. So a file whose frames
are damaged in the pack itself is found all the same, and reading it fails; `PackSet.resolve_all` has what
comes after it. `PackSet.resolve_frame`, and `resolve_event` over it, do all that symbolicator does.

Rule source: symbolicator 87e6456 `symbolicator-js/src/lookup.rs` (bundles, candidates, the source map
and the sources), `symbolicator-proguard/src/symbolication.rs` (JVM) and
`symbolicator-native/src/symbolication/module_lookup.rs` (native).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from srcpack.entry import Entry
from srcpack.errors import FormatError, SrcpackError
from srcpack.opening import open as open_any
from srcpack.pack import Pack
from srcpack.records import FileType
from srcpack.resolve.content_cache import ContentCache
from srcpack.resolve.ordered_packs import ErrorCallback, OrderedPacks
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.resolve.search import Origin
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import debug_id_key
from srcpack.rules.original_position import OriginalPosition
from srcpack.rules.source_links import SourceLink
from srcpack.rules.urls import candidate_urls, join_paths, jvm_source_url, source_map_url
from srcpack.source.locations import without_secrets
from srcpack.store import Lookup

if TYPE_CHECKING:
    from srcpack.catalog import Catalog
    from srcpack.resolve.frames import ResolvedFrame
    from srcpack.resolve.lookup_cache import LookupCache

__all__ = ["ErrorCallback", "PackSet"]


class PackSet(OrderedPacks):
    """Packs that are searched together, in the order given.

    symbolicator tries the bundles of a JavaScript event with the greatest URI first, which is what `by_uri`
    does, and those of a JVM event as they come. An error in reading counts as "not here": the search goes
    on, and the error is reported. Immutable but for `errors`; threads share it.

    Attributes:
        packs: The packs.
        errors: How many errors counted as "not here". Threads count without a lock: exact where the
            interpreter has its global one.
    """

    __slots__ = ()

    @classmethod
    def by_uri(
        cls,
        packs: Mapping[str, Pack],
        *,
        resolved_with: Mapping[str, str] | None = None,
        on_error: ErrorCallback | None = None,
        content_cache: ContentCache | None = None,
        lookup_cache: "LookupCache | None" = None,
    ) -> Self:
        """Make a set that tries the pack with the greatest URI, by bytes of UTF-8, first.

        So does symbolicator with the bundles of a JavaScript event (a `BTreeMap`, read in reverse). How the
        bundle of a URI was found is `resolved_with`, `unknown` where it is not said; all else is as for
        `PackSet`. Resolved frames tell the URI of their map's bundle, without what may be secret in it.
        """
        uris = sorted(packs, key=lambda uri: uri.encode(errors="surrogatepass"), reverse=True)
        return cls(
            (packs[uri] for uri in uris),
            on_error=on_error,
            content_cache=content_cache,
            lookup_cache=lookup_cache,
            origins=(Origin(without_secrets(uri), (resolved_with or {}).get(uri, "unknown")) for uri in uris),
        )

    @classmethod
    def from_catalog(
        cls,
        catalog: "Catalog",
        *,
        release: str | None = None,
        dist: str | None = None,
        debug_ids: Iterable[DebugId | str] = (),
        opener: Callable[[str], Pack] = open_any,
        on_unopened: Callable[[str, SrcpackError | OSError], None] | None = None,
        on_error: ErrorCallback | None = None,
        content_cache: ContentCache | None = None,
        lookup_cache: "LookupCache | None" = None,
    ) -> Self:
        """Open the packs that an event needs, and make a set of them as `by_uri` does, by their places.

        They are those with one of the debug ids, of a file or of an object, and those of the release and
        dist. Each file is looked for by debug id in all of them, and then by URL. A pack that cannot be
        opened counts as "not here", as an error does.

        Args:
            catalog: Knows which packs these are.
            release: The event's release.
            dist: The event's dist; without one, only packs without one are of the release.
            debug_ids: Those of the event's modules and files. A text that is not one is passed over.
            opener: Opens a pack by its path or URL: `srcpack.open`, or the `get` of a `PackCache`, which
                keeps it open for the next event. Nobody has to close the packs.
            on_unopened: Called with the path or URL of a pack that cannot be opened, and the error. If None,
                it is logged by `srcpack`.
            on_error: Called as by other sets.
            content_cache: What `read` reads through.
            lookup_cache: What keeps the lookups of source maps.

        Raises:
            FormatError, OSError: The catalog cannot be read.
            TypeError: `debug_ids` is a single one.
        """
        from srcpack.resolve.cataloged import open_all, places_of  # noqa: PLC0415  few have a catalog

        places = places_of(catalog, release, dist, debug_ids)
        opened = open_all(places, opener, on_unopened)
        packs = cls.by_uri(
            opened,
            resolved_with=places,
            on_error=on_error,
            content_cache=content_cache,
            lookup_cache=lookup_cache,
        )
        packs.errors = len(places) - len(opened)
        return packs

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
            debug_id: The file's debug id, as the event says. A text that is not one counts as None, as it
                does in symbolicator.
            file_type: The type that a file found by debug id must have.

        Returns:
            The first that can be read and is UTF-8 by what its entry says; None if there is none.

        Raises:
            ValueError: The type is not one of the four.
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
        return self.find_all(abs_path, _debug_id_of(debug_id), FileType(file_type))

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
        return next(self.find_all(url, _debug_id_of(debug_id), FileType.SOURCE_MAP, base), None)

    def original_source(self, base: Resolved | DecodedMap | str, name: str) -> Resolved | None:
        """Find an original source that a source map names and does not embed.

        Args:
            base: The minified file or its source map, as resolved; or the URL of the map, else that of the
                minified file.
            name: The source's name in the map.
        """
        url = base if isinstance(base, str) else base.source_base
        wanted = name if url is None else join_paths(url, name)
        return next(self.find_all(wanted, None, FileType.SOURCE), None)

    def original_position(
        self, script: Resolved, source_map: Resolved | DecodedMap, line: int, column: int
    ) -> OriginalPosition | None:
        """Say where in the original sources a position of a minified file is from; errors as for `lookup`.

        Line and column count from 1, the column in UTF-16 units; column 0 counts as 1.
        """
        token = self.lookup(script, source_map).token(line, column)
        return None if token is None else token.position

    def lookup(
        self, script: Resolved, source_map: Resolved | DecodedMap, text: Callable[[], str] | None = None
    ) -> Lookup:
        """Return what answers for all positions of a minified file: its table, or what symbolic builds.

        A table is taken if it was made of just this map, by its SHA-256. symbolic builds once for many.

        Args:
            script: The minified file.
            source_map: Its source map.
            text: Returns the text of the minified file, where it may be at hand.

        Raises:
            MalformedSourceMap: symbolic refuses the map.
            LookupUnavailable: symbolic is not installed, or fails for a reason that is not in the map.
            SrcpackError, OSError: As `read`.
        """
        # On demand, as resolve_frame below: only who resolves positions needs all of it.
        from srcpack.resolve.table_lookup import find_lookup  # noqa: PLC0415

        def read(resolved: Resolved) -> bytes:
            return self.read(resolved) if text is None or resolved is not script else text().encode()

        report = partial(self._report, script.pack, script.entry.name)
        return find_lookup(script, source_map, read, report, self._lookups)

    def resolve_frame(
        self, frame: Mapping[str, Any], debug_id: DebugId | str | None = None
    ) -> "ResolvedFrame":
        """Resolve one frame, as `srcpack.resolve.resolve_event` does those of an event.

        Args:
            frame: The frame, as JSON has it. It is one of JavaScript if `platform` does not say otherwise.
            debug_id: The debug id that the event gives for the frame's file.
        """
        from srcpack.resolve.frames import resolve_frame  # noqa: PLC0415

        return resolve_frame(frame, self, _debug_id_of(debug_id))

    # ---- JVM and native

    def jvm_source(self, module: str, abs_path: str | None, line: int) -> Resolved | None:
        """Find the source of a JVM frame: the first that has the frame's line. `entry.context` gives it.

        Args:
            module: Full name of the class.
            abs_path: The frame's file name, as `jvm_source_url` takes it.
            line: Number of the line, from 1; a frame without one, or with 0, has no source.
        """
        return next(self.jvm_sources(module, abs_path, line), None)

    def jvm_sources(self, module: str, abs_path: str | None, line: int) -> Iterator[Resolved]:
        """Find all that `jvm_source` would give if those before could not be read, looking as it is asked."""
        if line < 1:
            return
        url = jvm_source_url(module, abs_path)
        for pack in self.packs:
            entry = self._readable(pack, url, pack.by_url, url)
            if entry is not None and entry.lines >= line:
                yield Resolved.of(entry, "url", url, abs_path)

    def source_by_path(self, path: str) -> Resolved | SourceLink | None:
        """Find the source of a native frame: a file of any pack, else the first source link of http or https.

        symbolicator asks the one bundle of the frame's module, for its files and then its links, and does
        not follow links of other schemes. Of several packs, a file is better than a link to fetch; a
        pack whose file cannot be read has no say.

        Args:
            path: The frame's path, with either kind of slash.
        """
        return next(self.sources_by_path(path), None)

    def sources_by_path(self, path: str) -> Iterator[Resolved | SourceLink]:
        """Find all that `source_by_path` would give if those before could not be read, looking as asked."""
        link = None
        for pack in self.packs:
            found = self._readable(pack, path, _by_path, pack, path)
            if isinstance(found, Entry):
                yield Resolved.of(found, "path", path, path)
            elif link is None and found is not None and found.url.startswith(("https://", "http://")):
                link = found
        if link is not None:
            yield link

    # ---- one search

    def find_all(
        self,
        abs_path: str | None,
        debug_id: DebugId | None,
        file_type: FileType,
        source_base: str | None = None,
    ) -> Iterator[Resolved]:
        """Find files as `resolve_all` does, by a URL or path that is taken as it is.

        Args:
            abs_path: The URL or path, or None.
            debug_id: The debug id, or None.
            file_type: The type that a file found by debug id must have.
            source_base: What the names of original sources are relative to, where that is known.
        """
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

    def __repr__(self) -> str:
        return f"<PackSet of {len(self.packs)} packs>"


def _by_path(pack: Pack, path: str) -> Entry | SourceLink | None:
    return pack.by_path(path) or pack.source_link(path)


def _debug_id_of(debug_id: DebugId | str | None) -> DebugId | None:
    return DebugId.parse_or_none(debug_id) if isinstance(debug_id, str) else debug_id
