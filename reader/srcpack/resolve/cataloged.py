"""The packs of a catalog that an event needs, opened.

Rule source: Sentry asks by debug id, and by release and dist as they are: an event without a dist has bundles
without one (sentry `artifactbundle.py`, `get_artifact_bundles_by_release`).
"""

from collections.abc import Callable, Iterable, Mapping

from srcpack.catalog import Catalog
from srcpack.errors import SrcpackError, is_from_outside
from srcpack.pack import Pack
from srcpack.rules.debug_id import DebugId

__all__ = ["open_all", "places_of"]


def places_of(
    catalog: Catalog, release: str | None, dist: str | None, debug_ids: Iterable[DebugId | str]
) -> dict[str, str]:
    """Return the paths and URLs of the packs, and how each was found: `debug-id`, else `release`.

    Arguments and errors are those of `PackSet.from_catalog`.
    """
    if isinstance(debug_ids, str | bytes | DebugId):
        raise TypeError("debug_ids takes many: put a single one into a list")
    found: dict[str, str] = {}
    for each in debug_ids:
        debug_id = DebugId.parse_or_none(each) if isinstance(each, str) else each
        if isinstance(debug_id, DebugId):  # what an event has may be of any type
            for pack in catalog.by_debug_id(debug_id) + catalog.by_object(debug_id):
                found[pack.place] = "debug-id"
    if isinstance(release, str) and isinstance(dist, str | None):
        for pack in catalog.by_release(release, dist):
            found.setdefault(pack.place, "release")
    return found


def open_all(
    places: Iterable[str],
    opener: Callable[[str], Pack],
    on_unopened: Callable[[str, SrcpackError | OSError], None] | None,
) -> Mapping[str, Pack]:
    """Return those packs that can be opened, by their paths and URLs."""
    packs: dict[str, Pack] = {}
    for place in places:
        try:
            packs[place] = opener(place)
        except (SrcpackError, OSError) as error:
            if is_from_outside(error):
                raise
            (on_unopened or _log_unopened)(place, error)
    return packs


def _log_unopened(_: str, error: SrcpackError | OSError) -> None:
    from logging import getLogger  # noqa: PLC0415  slow to import, and packs are rarely gone

    getLogger("srcpack").warning("opening a pack of a catalog: %s", error)
