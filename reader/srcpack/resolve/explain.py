"""Why a frame was resolved as it was, or was not: what was asked where, and what would mend it.

The searches are those of `PackSet`, in the order in which a frame meets them (docs of `resolve_event`).
"""

from collections.abc import Iterator

from srcpack.errors import LookupUnavailable, MalformedSourceMap, SrcpackError
from srcpack.pack import Pack
from srcpack.records import FileType
from srcpack.resolve.pack_set import PackSet
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import header_debug_id
from srcpack.rules.near_misses import NearMiss, UrlsByName
from srcpack.rules.urls import candidate_urls, join_paths

__all__ = ["FrameExplainer", "urls_of"]


class FrameExplainer:
    """Explains the frames of an event by packs. It keeps the URLs of all packs, once they are needed."""

    def __init__(self, packs: PackSet) -> None:
        """Take the packs of an event."""
        self._packs = packs
        self._urls: list[tuple[Pack, UrlsByName]] | None = None

    def explain(
        self, abs_path: str, line: int, column: int | None, debug_id: DebugId | None = None
    ) -> Iterator[str]:
        """Yield a line for each step of a JavaScript frame.

        Args:
            abs_path: The frame's URL or path.
            line: Number of the line, from 1.
            column: Column, from 1, or None.
            debug_id: The debug id that the event gives for the file.
        """
        abs_path = abs_path.removeprefix("async ")
        script = self._packs.resolve(abs_path, debug_id)
        yield from self._search("script", abs_path, debug_id, FileType.MINIFIED_SOURCE, script)
        if script is None:
            return
        reference = script.entry.source_mapping_url
        if reference is None and debug_id is None:
            yield "the script refers to no source map, and the event gives no debug id for it"
            own = header_debug_id(script.entry.record.headers)
            if own is not None:
                yield f"its header has debug id {own}: the event's debug_meta lacks an image of it"
            return
        source_map = self._source_map(script, reference)
        if reference is not None and not reference.startswith("data:"):
            url = join_paths(abs_path, reference)
            yield f"reference of the script: {reference!r}, joined to {url!r}"
        else:
            url = None
            if reference is not None:
                yield f"reference of the script: a source map of {len(reference):,} characters in itself"
        if isinstance(source_map, str):
            yield f"source map: {source_map}"
            return
        if not isinstance(source_map, DecodedMap):
            yield from self._search("source map", url, debug_id, FileType.SOURCE_MAP, source_map)
            if source_map is None:
                return
        yield from self._token(script, source_map, line, column)

    def _source_map(self, script: Resolved, reference: str | None) -> Resolved | DecodedMap | str | None:
        try:
            return self._packs.find_source_map(script.abs_path, reference, script.debug_id)
        except ValueError as error:
            return str(error)

    def _token(
        self, script: Resolved, source_map: Resolved | DecodedMap, line: int, column: int | None
    ) -> Iterator[str]:
        try:
            found = self._packs.original_position(script, source_map, line, column or 0)
        except (MalformedSourceMap, LookupUnavailable) as error:
            yield f"source map: {error}"
            return
        except (SrcpackError, OSError) as error:
            yield f"it cannot be read: {error}"
            return
        place = f"line {line:,}, column {column if column is not None else 'none'}"
        if found is None:
            yield f"token: the map has none at {place}; is it the map of this version of the script?"
            return
        original = f"{found.source!r} line {found.line:,}, column {found.column:,}"
        yield f"token at {place}: {original}, in {found.function}"

    def _search(
        self,
        what: str,
        url: str | None,
        debug_id: DebugId | None,
        file_type: FileType,
        found: Resolved | None,
    ) -> Iterator[str]:
        """Say what was looked for and what was found, or what is there in its place."""
        asked = [] if debug_id is None else [f"debug id {debug_id} as {file_type}"]
        candidates = [] if url is None else list(dict.fromkeys(candidate_urls(url)))
        asked += map(repr, candidates)
        bundles = f"{len(self._packs.packs):,} bundle{'s' * (len(self._packs.packs) != 1)}"
        yield f"{what}: looked for {', then '.join(asked) or 'nothing'} in {bundles}"
        if found is not None:
            by = f"debug id {found.debug_id}" if found.found_by == "debug-id" else f"URL {found.candidate!r}"
            yield f"{what}: found by {by}: {found.entry.name!r} in {found.pack.file}"
            return
        yield f"{what}: not found"
        near = self._nearest(candidates)
        if near is not None:
            pack, miss = near
            yield f"{what}: {pack.file} has {miss.url!r} ({miss.differs}): {_mend(miss)}"
        elif candidates:
            yield f"{what}: no bundle has a file of that name: was it uploaded, and for this release?"

    def _nearest(self, wanted: list[str]) -> tuple[Pack, NearMiss] | None:
        if self._urls is None:
            self._urls = [(pack, urls_of(pack)) for pack in self._packs.packs]
        for pack, urls in self._urls:
            # `~/...` first: that is what uploaders write.
            if (miss := urls.nearest(reversed(wanted))) is not None:
                return pack, miss
        return None


def urls_of(pack: Pack) -> UrlsByName:
    """Return the URLs of a pack's files, for what is nearest to one that it has not.

    Raises:
        FormatError, OSError: As `Pack.entries`.
    """
    return UrlsByName(entry.url for entry in pack.entries() if entry.url)


def _mend(miss: NearMiss) -> str:
    if miss.differs == "another prefix":
        return "upload with the prefix that the frame has, or rewrite the frame's path"
    if miss.differs == "another query":
        return "upload without the query, which lookups leave out of the frame's URL too"
    return "upload it as the frame has it: URLs are compared character by character"
