"""Reader of `.srcpack` files.

pack = sourcepack.open("app.srcpack")
entry = pack.by_url("~/static/app.min.js")
entry.read()
"""

from importlib.metadata import PackageNotFoundError, version

from .context import Context
from .debug_id import DebugId
from .entry import Entry
from .errors import DamagedMember, FormatError, LimitExceeded, NotFound, SourcepackError
from .file_type import FileType
from .pack import Pack
from .pack import open_pack as open  # noqa: A004  read as `sourcepack.open`
from .source_links import SourceLink
from .verify import verify

__all__ = [
    "Context",
    "DamagedMember",
    "DebugId",
    "Entry",
    "FileType",
    "FormatError",
    "LimitExceeded",
    "NotFound",
    "Pack",
    "SourceLink",
    "SourcepackError",
    "__version__",
    "open",
    "verify",
]

try:
    __version__ = version("sourcepack")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"
