"""Reader of `.srcpack` files, and of SourceBundle zips behind the same interface.

pack = srcpack.open("app.srcpack")
entry = pack.by_url("~/static/app.min.js")
entry.read()
"""

from typing import TYPE_CHECKING

from srcpack.entry import Entry
from srcpack.errors import (
    DamagedMember,
    FormatError,
    InvalidEvent,
    LimitExceeded,
    LookupUnavailable,
    MalformedSourceMap,
    NotFound,
    SrcpackError,
)
from srcpack.opening import open  # noqa: A004  read as `srcpack.open`
from srcpack.pack import Pack
from srcpack.records import FileType
from srcpack.resolve.content_cache import ContentCache
from srcpack.resolve.pack_cache import PackCache
from srcpack.resolve.pack_set import PackSet
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.rules.context import Context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.original_position import OriginalPosition
from srcpack.rules.source_links import SourceLink
from srcpack.verification import verify

if TYPE_CHECKING:
    from srcpack.bundle.members import Limits
    from srcpack.catalog import Catalog, CatalogedPack
    from srcpack.resolve.lookup_cache import LookupCache
    from srcpack.rules.object_info import ObjectInfo

    __version__: str

__all__ = [
    "Catalog",
    "CatalogedPack",
    "ContentCache",
    "Context",
    "DamagedMember",
    "DebugId",
    "DecodedMap",
    "Entry",
    "FileType",
    "FormatError",
    "InvalidEvent",
    "LimitExceeded",
    "Limits",
    "LookupCache",
    "LookupUnavailable",
    "MalformedSourceMap",
    "NotFound",
    "ObjectInfo",
    "OriginalPosition",
    "Pack",
    "PackCache",
    "PackSet",
    "Resolved",
    "SourceLink",
    "SrcpackError",
    "__version__",
    "open",
    "verify",
]

_LATER = {
    "Catalog": "srcpack.catalog",
    "CatalogedPack": "srcpack.catalog",
    "Limits": "srcpack.bundle.members",
    "LookupCache": "srcpack.resolve.lookup_cache",
    "ObjectInfo": "srcpack.rules.object_info",
}
"""Public names that few need, and their modules, which are imported when they are asked for."""


if not TYPE_CHECKING:  # or type checkers would take any name

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _version()
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  as slow as all the rest

    try:
        return version("srcpack")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"
