"""Which file of a bundle is the source map of which, as far as the bundle alone decides.

A `data:` URL is the map, or none if it does not decode. Else the map is found by debug id, else by the
reference, joined to the file's URL and looked for by candidates. An event can lead elsewhere: its own debug
ids count there, and all bundles are searched.

Rule source: symbolicator 87e6456 `symbolicator-js/src/lookup.rs`.
"""

from collections.abc import Sequence

from srcpack.records import EntryRecord, FileType
from srcpack.rules.lookup_keys import debug_id_key, header_debug_id, reference_of
from srcpack.rules.urls import candidate_urls, join_paths, source_map_url

__all__ = ["ANY_HOST", "any_host", "find_source_maps", "original_source_urls"]

ANY_HOST = "https://host.invalid"
"""Stands for `~`, which is any host."""


def find_source_maps(records: Sequence[EntryRecord]) -> dict[int, int | bytes]:
    """Find the source maps of a bundle's files, given all entries in the order of their names.

    Returns by the number of each file that has one: the number of the entry that is its map, or the map
    itself where the reference is a `data:` URL.
    """
    by_url: dict[str, int] = {}
    by_debug_id: dict[str, int] = {}
    for number, record in enumerate(records):
        # In the order of names, so the greatest name wins; one that cannot be read wins too, and is no map.
        if record.url:
            by_url[record.url] = number
        if record.type is FileType.SOURCE_MAP and (debug_id := header_debug_id(record.headers)) is not None:
            by_debug_id[debug_id_key(debug_id, FileType.SOURCE_MAP)] = number
    found: dict[int, int | bytes] = {}
    for number, record in enumerate(records):
        if record.type is FileType.SOURCE_MAP or not _is_readable(record):
            continue
        place = _by_reference(record)
        if isinstance(place, bytes):
            found[number] = place
            continue
        maps = [] if place is None else [by_url.get(url) for url in candidate_urls(place)]
        if (debug_id := header_debug_id(record.headers)) is not None and not _has_data_url(record):
            maps.insert(0, by_debug_id.get(debug_id_key(debug_id, FileType.SOURCE_MAP)))
        for source_map in maps:
            if source_map is not None and _is_readable(records[source_map]):
                found[number] = source_map
                break
    return found


def any_host(url: str) -> str:
    """Return a URL that a frame can have whose file has this one: with a host, where `~` stands for any."""
    return ANY_HOST + url[1:] if url.startswith("~") else url


def original_source_urls(record: EntryRecord, name: str) -> list[str]:
    """List the URLs that an original source, by its name in the map, can have in a minified file's bundle."""
    reference = reference_of(record)
    base = any_host(record.url or "")
    if base and reference is not None and not _has_data_url(record):
        base = join_paths(base, reference)
    return candidate_urls(join_paths(base, name) if base else name)


def _by_reference(record: EntryRecord) -> str | bytes | None:
    """Return the map that a file's reference holds, or its URL; None where it leads nowhere."""
    reference = reference_of(record)
    if reference is None or not (record.url or _has_data_url(record)):
        return None
    try:
        return source_map_url(any_host(record.url or ""), reference)
    except ValueError:
        return None


def _has_data_url(record: EntryRecord) -> bool:
    return (reference_of(record) or "").startswith("data:")


def _is_readable(record: EntryRecord) -> bool:
    return record.reason is None and record.utf8
