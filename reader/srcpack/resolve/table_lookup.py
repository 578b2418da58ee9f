"""The answers of a lookup table, and symbolic's where the table is damaged.

A damaged table is not here, as a damaged file is not: the error is reported, and the search goes on with what
the minified file and its map still have.
"""

from collections.abc import Callable
from hashlib import sha256

from srcpack.errors import SrcpackError, is_from_outside
from srcpack.resolve import lookup_cache
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.store import Lookup, Token

__all__ = ["find_lookup"]


def find_lookup(
    script: Resolved,
    source_map: Resolved | DecodedMap,
    read: Callable[[Resolved], bytes],
    report: Callable[[SrcpackError | OSError], None],
    lookups: lookup_cache.LookupCache | None,
) -> Lookup:
    """Return the table of a minified file if it is one of this map, else what symbolic builds of the two.

    Args:
        script: The minified file.
        source_map: Its source map.
        read: Reads either.
        report: Takes what is wrong with the table.
        lookups: Keeps what symbolic builds; None for the cache that the process shares.

    Raises:
        SrcpackError, OSError: As `LookupCache.get`.
    """

    def build() -> Lookup:
        cache = lookup_cache.SHARED_LOOKUPS if lookups is None else lookups
        return cache.get(script, source_map, read)

    if script.entry.record.lookup is None:
        return build()
    try:
        table = script.entry.lookup_table(_sha256_of(source_map, script, read))
    except (SrcpackError, OSError) as error:
        if is_from_outside(error):
            raise
        report(error)
        table = None
    return build() if table is None else _TableOrSymbolic(table, build, report)


def _sha256_of(
    source_map: Resolved | DecodedMap, script: Resolved, read: Callable[[Resolved], bytes]
) -> bytes | None:
    """Return the SHA-256 of a map. What another pack says of its contents is not believed."""
    if isinstance(source_map, DecodedMap):
        return sha256(source_map.content).digest()
    if source_map.pack is script.pack:
        return source_map.entry.sha256
    return sha256(read(source_map)).digest()


class _TableOrSymbolic(Lookup):
    """All answers of a minified file and its source map, for one thread.

    Args:
        table: The file's table.
        build: Returns what symbolic builds of the two.
        report: Takes what was wrong with the table.
    """

    def __init__(
        self,
        table: Lookup,
        build: Callable[[], Lookup],
        report: Callable[[SrcpackError | OSError], None],
    ) -> None:
        self._lookup = table
        self._is_table = True
        self._build = build
        self._report = report
        # By the whole token: symbolic numbers sources otherwise.
        self._places: dict[Token, tuple[int, int]] = {}

    def token(self, line: int, column: int) -> Token | None:
        """Find the token at a position of the minified file.

        Raises:
            SrcpackError, OSError: The table is damaged, and symbolic cannot answer in its place.
        """
        try:
            token = self._lookup.token(line, column)
        except (SrcpackError, OSError) as error:
            self._leave_table(error)
            token = self._lookup.token(line, column)
        if token is not None and self._is_table:
            self._places.setdefault(token, (line, column))
        return token

    def content(self, token: Token) -> str | None:
        """Return the whole source of a token; None if nobody has it."""
        try:
            return self._lookup.content(self._own(token))
        except (SrcpackError, OSError) as error:
            self._leave_table(error)
            return self._lookup.content(self._own(token))

    def source_lines(self, token: Token, line: int, lines: int) -> tuple[int, str] | None:
        """Return a line of a token's source with its neighbours."""
        try:
            return self._lookup.source_lines(self._own(token), line, lines)
        except (SrcpackError, OSError) as error:
            self._leave_table(error)
            return self._lookup.source_lines(self._own(token), line, lines)

    def _own(self, token: Token) -> Token:
        """Return a token as the present lookup knows it, where the table found it."""
        place = None if self._is_table else self._places.get(token)
        return token if place is None else self._lookup.token(*place) or token

    def _leave_table(self, error: SrcpackError | OSError) -> None:
        """Go over to symbolic; raise what is wrong where it answers already, or is not there."""
        if not self._is_table or is_from_outside(error):
            raise error
        self._report(error)
        self._lookup = self._build()
        self._is_table = False
