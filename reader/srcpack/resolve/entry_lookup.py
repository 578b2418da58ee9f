"""What symbolic answers of a file and the source map that its own bundle has for it."""

from srcpack.entry import Entry
from srcpack.resolve import lookup_cache
from srcpack.resolve.pack_set import PackSet
from srcpack.resolve.resolved import Resolved
from srcpack.rules.lookup_keys import header_debug_id
from srcpack.rules.source_maps import any_host
from srcpack.store import Lookup

__all__ = ["entry_lookup"]


def entry_lookup(entry: Entry) -> Lookup | None:
    """Return the lookup of a file, built of it and its map once for a while; None if its bundle has no map.

    The map is the one that a table is made of: by the debug id that the file's header gives, else by the
    file's reference (`rules/source_maps.py`).

    Raises:
        MalformedSourceMap: symbolic refuses the map.
        LookupUnavailable: symbolic is not installed, or fails for a reason that is not in the map.
        DamagedMember, FormatError, LimitExceeded: As reading the two.
    """
    record = entry.record
    if record.reason is not None or not record.utf8:
        return None
    abs_path = any_host(entry.url) if entry.url else None
    script = Resolved.of(entry, "url", None, abs_path, debug_id=header_debug_id(record.headers))
    source_map = PackSet([entry.pack]).source_map_for(script)
    if source_map is None:
        return None
    return lookup_cache.SHARED_LOOKUPS.get(script, source_map, lambda found: found.entry.read())
