"""Which file of a bundle is the source map of which, as far as the bundle alone decides.

By debug id, else by the reference, joined to the file's URL and looked for by candidates. An event can lead
elsewhere: its own debug ids count there, and all bundles are searched.

Rule source: symbolicator 87e6456 `symbolicator-js/src/lookup.rs`.
"""

from collections.abc import Sequence

from srcpack.records import EntryRecord, FileType
from srcpack.rules.lookup_keys import debug_id_key, header_debug_id, header_reference
from srcpack.rules.urls import candidate_urls, source_map_url

__all__ = ["find_source_maps"]

_HOST = "https://host.invalid"
"""Stands for `~`, which is any host; an entry with this one is not looked for."""


def find_source_maps(records: Sequence[EntryRecord]) -> dict[int, int | bytes]:
    """Find the source maps of a bundle's files.

    Args:
        records: All entries, in the order of their names.

    Returns:
        By the number of a file: the number of the entry that is its map, or the map itself where the
        reference is a `data:` URL. Files that have none are not there.
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
        if (debug_id := header_debug_id(record.headers)) is not None:
            source_map = by_debug_id.get(debug_id_key(debug_id, FileType.SOURCE_MAP))
            if source_map is not None and _is_readable(records[source_map]):
                found[number] = source_map
                continue
        reference = header_reference(record.headers)
        if reference is None:
            reference = record.reference
        if reference is not None and (place := _by_reference(record, reference)) is not None:
            if isinstance(place, bytes):
                found[number] = place
                continue
            for url in candidate_urls(place):
                source_map = by_url.get(url)
                if source_map is not None and _is_readable(records[source_map]):
                    found[number] = source_map
                    break
    return found


def _by_reference(record: EntryRecord, reference: str) -> str | bytes | None:
    """Return the map that a reference holds, or its URL; None where it leads nowhere."""
    url = record.url or ""
    if not url and not reference.startswith("data:"):
        return None
    try:
        return source_map_url(_HOST + url[1:] if url.startswith("~") else url, reference)
    except ValueError:
        return None


def _is_readable(record: EntryRecord) -> bool:
    return record.reason is None and record.utf8
