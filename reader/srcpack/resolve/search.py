"""What the frames of an event are resolved with: a search for files, and the lookup of a source map.

`PackSet` is the search. A lookup is what symbolic builds of a file and its map, or a table that says as much.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from srcpack.errors import DamagedMember, SrcpackError
from srcpack.pack import Pack
from srcpack.records import FileType
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.rules.debug_id import DebugId
from srcpack.rules.source_links import SourceLink
from srcpack.store import Lookup

__all__ = ["FileSearch", "Origin", "log_error"]


class Origin(NamedTuple):
    """Where the pack of a file is from.

    Attributes:
        uri: The URI that its bundle is known by.
        resolved_with: How the bundle was found: `release`, `release-old`, `index`, `debug-id` or `unknown`.
    """

    uri: str
    resolved_with: str


class FileSearch(Protocol):
    """Finds and reads the files of frames; see `PackSet`."""

    def find_all(
        self,
        abs_path: str | None,
        debug_id: DebugId | None,
        file_type: FileType,
        source_base: str | None = None,
    ) -> Iterator[Resolved]:
        """Find the files of a debug id and then of a URL, first the one that counts first."""
        ...

    def jvm_sources(self, module: str, abs_path: str | None, line: int) -> Iterator[Resolved]:
        """Find the sources of a JVM frame that have its line."""
        ...

    def sources_by_path(self, path: str) -> Iterator[Resolved | SourceLink]:
        """Find the sources of a native frame, files before links."""
        ...

    def text(self, resolved: Resolved) -> str:
        """Return the content of a file that was found."""
        ...

    def lookup(
        self, script: Resolved, source_map: Resolved | DecodedMap, text: Callable[[], str] | None = None
    ) -> Lookup:
        """Return the lookup of a minified file, whose text may be at hand, and its map."""
        ...

    def origin(self, pack: Pack) -> Origin:
        """Say where a pack is from."""
        ...


def log_error(_: Pack, key: str, error: SrcpackError | OSError) -> None:
    """Log an error that counts as "not here": a warning, or for debugging what is known since conversion."""
    from logging import DEBUG, WARNING, getLogger  # noqa: PLC0415  slow to import, and packs are rarely damaged

    level = DEBUG if isinstance(error, DamagedMember) else WARNING
    getLogger("srcpack").log(level, "looking for %r: %s", key, error)
