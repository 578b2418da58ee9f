"""What is wrong with a bundle, before an event finds out.

Files are looked for as symbolicator does (`PackSet`): a script by its URL, where `~` stands for any host, its
map by debug id or by the reference joined to the script's URL, sources that a map does not embed by theirs.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from srcpack.entry import Entry
from srcpack.errors import LookupUnavailable, MalformedSourceMap, SrcpackError
from srcpack.pack import Pack
from srcpack.records import FileType
from srcpack.resolve.content_cache import ContentCache
from srcpack.resolve.explain import urls_of
from srcpack.resolve.lookup_cache import LookupCache
from srcpack.resolve.pack_set import PackSet
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.rules.lookup_keys import DEBUG_ID, URL, Kind, header_debug_id, keys_of
from srcpack.rules.references_in_content import discover_debug_id, discover_source_map_debug_id
from srcpack.rules.source_maps import ANY_HOST, any_host
from srcpack.rules.thin_source_map import without_junk
from srcpack.rules.urls import candidate_urls, join_paths

__all__ = ["Finding", "check"]

_MOST_SOURCES = 5
"""Missing sources of a map that are named."""

_MOST_CONTENT = 1 << 30
"""Bytes of a file over which symbolicator does not take it."""

_LONG_NAME = 200

_LOOKED_FOR = 16 << 20
_LOOKED_FOR_PER_BYTE = 8
"""Characters of the names that sources of maps are looked for by: so many, and so many more for each byte of
the bundle. Each name has the whole URL of its map in it, which may be long, and there may be very many."""

_KEPT = 64 << 20
"""Bytes of contents that are kept: a map is looked at for its script and for itself."""


class Finding(NamedTuple):
    """Something that is wrong with a file of a bundle.

    Attributes:
        kind: What sort of thing: `damaged`, `not-utf8`, `too-large`, `no-map`, `map-not-found`,
            `bad-data-url`, `malformed-map`, `debug-ids-differ`, `no-source` or `same-key`.
        member: The file's name in the bundle.
        says: What is wrong, and what would mend it where that is known.
    """

    kind: str
    member: str
    says: str


def check(pack: Pack) -> Iterator[Finding]:
    """Find what would keep events from being resolved by the files of a bundle.

    Every map and script is read; whether symbolic accepts a map is asked where it is installed.

    Args:
        pack: The pack, or a zip opened as one.

    Raises:
        FormatError: The pack is damaged.
        OSError: It cannot be read.
    """
    yield from _Check(pack).findings()


class _Check:
    """The check of one pack."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._contents = ContentCache(_KEPT)
        self._packs = PackSet([pack], content_cache=self._contents, lookup_cache=LookupCache(0))
        self._entries = list(pack.entries())
        self._urls = urls_of(pack)
        self._malformed: set[str] = set()
        self._looked_for = _LOOKED_FOR + _LOOKED_FOR_PER_BYTE * sum(entry.size for entry in self._entries)

    def findings(self) -> Iterator[Finding]:
        for entry in self._entries:
            finding = _unreadable(entry)
            if finding is not None:
                yield finding
            elif entry.type is FileType.MINIFIED_SOURCE:
                yield from self._script(entry)
            elif entry.type is FileType.SOURCE_MAP:
                yield from self._map(entry)
        yield from self._same_keys()

    # ---- scripts

    def _script(self, entry: Entry) -> Iterator[Finding]:
        reference = entry.source_mapping_url
        debug_id = header_debug_id(entry.record.headers)
        if reference is None and debug_id is None:
            yield Finding("no-map", entry.name, "it has neither a reference to a source map nor a debug id")
            return
        abs_path = _any_host(entry)
        try:
            found = self._packs.find_source_map(abs_path, reference, debug_id)
        except ValueError as error:
            yield Finding("bad-data-url", entry.name, str(error))
            return
        if found is None:
            says = self._why_no_map(abs_path, reference, has_debug_id=debug_id is not None)
            yield Finding("map-not-found", entry.name, says)
            return
        script = Resolved.of(entry, "url", entry.url, abs_path, debug_id=debug_id)
        if isinstance(found, Resolved):
            yield from self._debug_ids(entry, found.entry)
        else:
            yield from self._sources(entry.name, found.content, found)
        try:
            self._packs.lookup(script, found)
        except MalformedSourceMap as error:
            holder = found.entry if isinstance(found, Resolved) else entry
            if holder.name not in self._malformed:  # many scripts may have one map
                self._malformed.add(holder.name)
                yield Finding("malformed-map", holder.name, error.reason)
        except LookupUnavailable:
            pass  # symbolic is not there to be asked

    def _why_no_map(self, abs_path: str | None, reference: str | None, *, has_debug_id: bool) -> str:
        looked_for = ["its debug id, with the type source_map"] if has_debug_id else []
        if reference is None:
            return f"no map has {looked_for[0]}, and it has no reference to one"
        if abs_path is None:
            return f"it has no URL that its reference {_short(reference)} could be joined to"
        url = join_paths(abs_path, reference)
        wanted = list(dict.fromkeys(candidate_urls(url)))
        looked_for += map(_short, (each.replace(ANY_HOST, "https://HOST") for each in wanted))
        text = f"its reference {_short(reference)} leads nowhere: looked for {', '.join(looked_for)}"
        near = self._urls.nearest(reversed(wanted))
        if near is None:
            return text
        return f"{text}; there is {_short(near.url)} ({near.differs})"

    def _debug_ids(self, script: Entry, source_map: Entry) -> Iterator[Finding]:
        """Compare what header and content of a script and its map say, as far as they say something."""
        ids = {
            "the script's header": header_debug_id(script.record.headers),
            "the script": discover_debug_id(self._contents.read(script)),
            "the map's header": header_debug_id(source_map.record.headers),
            "the map": discover_source_map_debug_id(self._contents.read(source_map)),
        }
        said = {what: debug_id for what, debug_id in ids.items() if debug_id is not None}
        if len(set(said.values())) > 1:
            told = ", ".join(f"{what} says {debug_id}" for what, debug_id in said.items())
            yield Finding("debug-ids-differ", script.name, f"its map is {_short(source_map.name)}: {told}")

    # ---- maps

    def _map(self, entry: Entry) -> Iterator[Finding]:
        base = Resolved.of(entry, "url", entry.url, _any_host(entry))
        yield from self._sources(entry.name, self._contents.read(entry), base)

    def _sources(self, member: str, content: bytes, base: Resolved | DecodedMap) -> Iterator[Finding]:
        """Find sources that a map neither embeds nor finds in the bundle."""
        missing: dict[str, None] = {}
        url = base.source_base or ""
        try:
            for source, embedded in _sources_of(json.loads(without_junk(content))):
                if embedded is not None:
                    continue
                self._looked_for -= len(url) + len(source)
                if self._looked_for < 0:
                    break
                if self._packs.original_source(base, source) is None:
                    missing[source] = None
        except (ValueError, RecursionError, SrcpackError):
            return  # a map that is malformed is told where a script refers to it
        if missing:
            named = ", ".join(map(_short, list(missing)[:_MOST_SOURCES]))
            more = f" and {len(missing) - _MOST_SOURCES:,} more" if len(missing) > _MOST_SOURCES else ""
            if self._looked_for < 0:
                more += "; others were not looked for, as the bundle has too many with too long URLs"
            says = f"neither embedded in the map nor in the bundle: {named}{more}"
            yield Finding("no-source", member, says)

    # ---- the bundle

    def _same_keys(self) -> Iterator[Finding]:
        """Find keys that several files have: the one with the greatest name is found by them."""
        having: defaultdict[tuple[Kind, str], list[str]] = defaultdict(list)
        for entry in self._entries:
            for kind, key in keys_of(entry.record):
                if kind in (URL, DEBUG_ID):
                    having[kind, key].append(entry.name)
        for (kind, key), names in having.items():
            if len(names) > 1:
                what = "URL" if kind == URL else "debug id and type"
                for name in names[:-1]:
                    says = f"its {what} {_short(key)} finds {_short(names[-1])}, which has it too"
                    yield Finding("same-key", name, says)


def _unreadable(entry: Entry) -> Finding | None:
    record = entry.record
    if record.reason is not None:
        return Finding("damaged", record.name, record.reason)
    if not record.utf8:
        return Finding("not-utf8", record.name, "it is not UTF-8, so symbolic cannot read it")
    if record.size > _MOST_CONTENT:
        says = f"it has {record.size:,} bytes, over the {_MOST_CONTENT:,} that symbolicator takes"
        return Finding("too-large", record.name, says)
    return None


def _any_host(entry: Entry) -> str | None:
    return None if entry.url is None else any_host(entry.url)


def _sources_of(document: Any) -> Iterator[tuple[str, str | None]]:
    """Yield the sources of a map and of its sections, each with its embedded content if it has one."""
    maps = [document]
    while maps:
        each = maps.pop()
        if not isinstance(each, dict):
            continue
        maps += [section.get("map") for section in _list(each, "sections") if isinstance(section, dict)]
        contents = _list(each, "sourcesContent")
        root = each.get("sourceRoot") or ""
        for number, source in enumerate(_list(each, "sources")):
            if isinstance(source, str) and source:
                content = contents[number] if number < len(contents) else None
                yield _rooted(root, source), content


def _list(source_map: dict[str, Any], key: str) -> list[Any]:
    """Return a list of a map; an empty one where it has something else, as a malformed map may."""
    value = source_map.get(key)
    return value if isinstance(value, list) else []


def _rooted(root: object, source: str) -> str:
    """Return a source's name with the root in front, as rust-sourcemap aad1685 `types.rs` puts it there."""
    if not isinstance(root, str) or not root or source.startswith(("/", "http:", "https:")):
        return source
    return f"{root.removesuffix('/')}/{source}"


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONG_NAME else f"{text[:_LONG_NAME]}...")
