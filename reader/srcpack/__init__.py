"""Reader of `.srcpack` files, and of SourceBundle zips behind the same interface.

pack = srcpack.open("app.srcpack")
entry = pack.by_url("~/static/app.min.js")
entry.read()
"""

from importlib.metadata import PackageNotFoundError, version

from srcpack.entry import Entry
from srcpack.errors import (
    DamagedMember,
    FormatError,
    LimitExceeded,
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
from srcpack.rules.object_info import ObjectInfo
from srcpack.rules.source_links import SourceLink
from srcpack.verification import verify

__all__ = [
    "ContentCache",
    "Context",
    "DamagedMember",
    "DebugId",
    "DecodedMap",
    "Entry",
    "FileType",
    "FormatError",
    "LimitExceeded",
    "NotFound",
    "ObjectInfo",
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

try:
    __version__ = version("srcpack")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"
