"""Packs in an order: looked into one by one, and read, with what goes wrong reported and counted."""

from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from srcpack.entry import Entry
from srcpack.errors import FormatError, SrcpackError, is_from_outside
from srcpack.pack import Pack
from srcpack.resolve.content_cache import ContentCache
from srcpack.resolve.resolved import Resolved, check_readable, decoded
from srcpack.resolve.search import Origin, log_error
from srcpack.rules.context import CONTEXT_LINES, Context, get_context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.source_links import SourceLink

if TYPE_CHECKING:
    from srcpack.resolve.lookup_cache import LookupCache

__all__ = ["ErrorCallback", "OrderedPacks"]

ErrorCallback: TypeAlias = Callable[[Pack, str, SrcpackError | OSError], None]
"""Called with the pack, the key that was looked up in it, and what went wrong."""

F = TypeVar("F", bound=Entry | SourceLink)


class OrderedPacks:
    """What a `PackSet` is made of: packs, where they are from, and how they are read.

    Attributes:
        packs: The packs.
        errors: How many errors counted as "not here". Threads count without a lock: exact where the
            interpreter has its global one.
    """

    __slots__ = ("_lookups", "_on_error", "_origins", "_read", "errors", "packs")

    def __init__(
        self,
        packs: Iterable[Pack],
        *,
        on_error: ErrorCallback | None = None,
        content_cache: ContentCache | None = None,
        lookup_cache: "LookupCache | None" = None,
        origins: Iterable[Origin] = (),
    ) -> None:
        """Make a set of open packs; it does not close them.

        Args:
            packs: The packs, first the one to try first.
            on_error: Called for each error that counts as "not here", in the thread that searches. What it
                raises ends the search. If None, they are logged by `srcpack`.
            content_cache: What `read` reads through.
            lookup_cache: What keeps the lookups of source maps; if None, one that the process shares.
            origins: Where the packs are from, in their order; those that have none are known by their path.

        Raises:
            TypeError: They are no packs, but paths of packs, say, or the names in a single one.
        """
        self.packs: tuple[Pack, ...] = tuple(packs)
        for pack in self.packs:
            if not isinstance(pack, Pack):
                raise TypeError(f"a PackSet is of open packs, not of {type(pack).__name__}: {pack!r}")
        self.errors: int = 0
        self._on_error = log_error if on_error is None else on_error
        self._read = methodcaller("read") if content_cache is None else content_cache.read
        self._lookups = lookup_cache
        self._origins = tuple(origins)

    # ---- contents

    def read(self, resolved: Resolved) -> bytes:
        """Return the content of a file that was found, through the content cache if there is one.

        Raises:
            SrcpackError, OSError: As `Entry.read`; reported and counted too.
        """
        try:
            return self._read(resolved.entry)
        except (SrcpackError, OSError) as error:
            if not is_from_outside(error):
                self._report(resolved.pack, resolved.entry.name, error)
            raise

    def text(self, resolved: Resolved) -> str:
        """Return the content of a file that was found, as `read` does, as text.

        Raises:
            SrcpackError, OSError: As `read`; FormatError also for a content that is not UTF-8.
        """
        content = self.read(resolved)
        try:
            return decoded(resolved, content)
        except FormatError as error:
            self._report(resolved.pack, resolved.entry.name, error)
            raise

    def context(
        self, resolved: Resolved, line: int, lines: int = CONTEXT_LINES, column: int = 0
    ) -> Context | None:
        """Return a line of a file that was found with its neighbours, as `Entry.context` does.

        The file is read as `read` does. But of one in several frames only those that are needed are decoded,
        and nothing is kept: it would be much to decode, and to keep, for a few lines.

        Raises:
            ValueError: As `Entry.context`.
            SrcpackError, OSError: As `text`.
        """
        if len(resolved.entry.record.frames) <= 1:
            return get_context(self.text(resolved), line, column, lines)
        try:
            return resolved.entry.context(line, lines, column)
        except (SrcpackError, OSError) as error:
            if not is_from_outside(error):
                self._report(resolved.pack, resolved.entry.name, error)
            raise

    def origin(self, pack: Pack) -> Origin:
        """Say where a pack of the set is from."""
        number = self.packs.index(pack)
        return self._origins[number] if number < len(self._origins) else Origin(pack.file, "unknown")

    def _readable(
        self, pack: Pack, key: str, find: Callable[..., F | None], *wanted: str | DebugId | Pack
    ) -> F | None:
        """Look a key up. symbolic reads a file as it looks it up: one that it could not read is not found."""
        try:
            found = find(*wanted)
            if isinstance(found, Entry):
                check_readable(found)
        except (SrcpackError, OSError) as error:
            if is_from_outside(error):
                raise
            self._report(pack, key, error)
            return None
        return found

    def _report(self, pack: Pack, key: str, error: SrcpackError | OSError) -> None:
        self.errors += 1
        self._on_error(pack, key, error)
