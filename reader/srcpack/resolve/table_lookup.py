"""The answers of a lookup table, and symbolic's where the table is damaged.

A damaged table is not here, as a damaged file is not: the error is reported, and the search goes on with what
the minified file and its map still have.
"""

from collections.abc import Callable

from srcpack.errors import SrcpackError, is_from_outside
from srcpack.store import Lookup, Token

__all__ = ["TableOrSymbolic"]


class TableOrSymbolic(Lookup):
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
        self._places: dict[int | str, tuple[int, int]] = {}

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
            self._places.setdefault(token.source, (line, column))
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
        place = None if self._is_table else self._places.get(token.source)
        return token if place is None else self._lookup.token(*place) or token

    def _leave_table(self, error: SrcpackError | OSError) -> None:
        """Go over to symbolic; raise what is wrong where it answers already, or is not there."""
        if not self._is_table or is_from_outside(error):
            raise error
        self._report(error)
        self._lookup = self._build()
        self._is_table = False
