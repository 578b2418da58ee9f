"""What symbolic answers of a file and the source map that its own bundle has for it."""

from srcpack.entry import Entry
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
    script = Resolved.of(
        entry, "url", None, any_host(entry.url or "") or None, debug_id=header_debug_id(record.headers)
    )
    packs = PackSet([entry.pack])
    source_map = None if record.reason is not None or not record.utf8 else packs.source_map_for(script)
    return None if source_map is None else packs.lookup(script, source_map)
