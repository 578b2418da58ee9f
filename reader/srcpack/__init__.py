"""Reader of `.srcpack` files, and of SourceBundle zips behind the same interface.

pack = srcpack.open("app.srcpack")
entry = pack.by_url("~/static/app.min.js")
entry.read()
"""

from importlib.metadata import PackageNotFoundError, version

from .bundle_pack import BundlePack
from .content_cache import ContentCache
from .context import Context
from .debug_id import DebugId
from .entry import Entry
from .errors import DamagedMember, FormatError, LimitExceeded, NotFound, SrcpackError
from .file_type import FileType
from .object_info import ObjectInfo
from .opening import open_any as open  # noqa: A004  read as `srcpack.open`
from .pack import Pack
from .pack_cache import PackCache
from .pack_set import PackSet
from .resolved import DecodedMap, Resolved
from .source_links import SourceLink
from .verification import verify

__all__ = [
    "BundlePack",
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
