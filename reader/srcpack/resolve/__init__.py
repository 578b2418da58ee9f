"""Many packs together: sets and caches of packs and contents, and the resolving of events."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srcpack.resolve.event import FrameOrder, resolve_event
    from srcpack.resolve.frames import ResolvedFrame
    from srcpack.resolve.lookup_cache import LookupCache, LookupCacheStatistics

__all__ = ["FrameOrder", "LookupCache", "LookupCacheStatistics", "ResolvedFrame", "resolve_event"]

_MODULES = {
    "FrameOrder": "event",
    "LookupCache": "lookup_cache",
    "LookupCacheStatistics": "lookup_cache",
    "ResolvedFrame": "frames",
    "resolve_event": "event",
}


if not TYPE_CHECKING:  # or type checkers would take any name

    def __getattr__(name: str) -> object:
        # Whoever only reads packs does without what resolves events.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
