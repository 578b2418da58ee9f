"""What a source map says of positions, as PyPI symbolic's `SourceMapCache` answers it.

The sources that a map embeds are taken out before the `SourceMapCache` is built, as each answer would copy
a line of them, and are kept beside it. So that an answer says which of two sources of one name is
meant, sources are numbered in what symbolic gets, but for maps with sections: of these it makes one map,
and one source of all that have one name.

symbolic writes what it builds to a temporary file and maps that, some 30 bytes a token.

Rule source: symbolic a5980e8 `symbolic-sourcemapcache` and `symbolic-cabi/src/sourcemapcache.rs`,
rust-sourcemap aad1685 `decoder.rs`, `types.rs`.
"""

import sys

from srcpack.errors import LookupUnavailable, MalformedSourceMap
from srcpack.rules.original_position import OriginalPosition
from srcpack.rules.thin_source_map import EMPTY_CONTENT, ThinSourceMap, thin_source_map
from srcpack.store import Lookup, Token

__all__ = ["SymbolicLookup"]

_U32_MAX = 0xFFFFFFFF
_BYTES_PER_TOKEN = 32
_HOW_TO_GET_IT = (
    "PyPI symbolic is not installed; install srcpack[lookups], or convert the bundle with "
    "`srcpack convert --lookups`"
)


class SymbolicLookup(Lookup):
    """All answers of a minified file and its source map. Immutable; threads share it.

    Attributes:
        size: Bytes that it takes, as far as that can be told from outside.
    """

    __slots__ = ("_cache", "_contents", "_names", "size")

    def __init__(self, script: bytes, source_map: bytes, *, file: str, member: str | None = None) -> None:
        """Build the lookup.

        Args:
            script: The minified file, UTF-8; empty to do without the functions in it.
            source_map: Its source map, UTF-8.
            file: The pack that the map is in, for errors.
            member: The map's name in it; None for a map that is no file of its own.

        Raises:
            MalformedSourceMap: symbolic refuses the map.
            LookupUnavailable: symbolic is not installed, or cannot write its temporary file.
        """
        # On demand: it is an extra, and nothing else of the reader needs it.
        try:
            from symbolic.exceptions import SymbolicError  # noqa: PLC0415
            from symbolic.sourcemap import SourceMapView  # noqa: PLC0415
            from symbolic.sourcemapcache import SourceMapCache  # noqa: PLC0415
        except (ImportError, OSError) as error:
            raise LookupUnavailable(file, member, _HOW_TO_GET_IT) from error
        try:
            # The map as it came: this refuses what symbolicator refuses.
            view = SourceMapView.from_json_bytes(source_map)
            thin = thin_source_map(source_map)
            names = [view.get_source_name(number) or "" for number in range(view.source_count)]
            self._names = None if thin.contents is None else names
            self._contents: list[str | None] | dict[str, str | None] = thin.contents or {}
            if thin.contents is None:
                if thin.marked is not None:
                    view = SourceMapView.from_json_bytes(thin.marked)
                self._contents = {name: view.get_source_contents(at) for at, name in enumerate(names)}
            self._cache = SourceMapCache.from_bytes(script, thin.text)
        except SymbolicError as error:
            if type(error).__name__ == "IoError":
                reason = f"symbolic cannot write a temporary file: {error}"
                raise LookupUnavailable(file, member, reason) from error
            raise MalformedSourceMap(file, member, str(error)) from error
        self.size: int = _size(thin, names, self._contents)

    def token(self, line: int, column: int) -> Token | None:
        """Find the token at a position of the minified file.

        Args:
            line: Number of the line, from 1.
            column: Column in the line, from 1, in UTF-16 units; 0 counts as 1.

        Returns:
            The token; None if none begins in the line at the position or before it.
        """
        if not 0 < line <= _U32_MAX or column < 0:
            return None
        found = self._cache.lookup(line, min(max(column, 1), _U32_MAX), 0)
        if found is None:
            return None
        # symbolic's binding gives None for empty texts and for missing ones.
        name = found.src or ""
        source: int | str = name
        if self._names is not None:
            # The root of the sources stands before their numbers too.
            number = name.rpartition("/")[2]
            if number.isdecimal() and int(number) < len(self._names):
                source = int(number)
                name = self._names[source]
        position = OriginalPosition(name, found.line, found.col, found.name or "", found.function_name or "")
        return Token(position, source)

    def content(self, token: Token) -> str | None:
        """Return the whole source of a token; None if the map does not embed it."""
        source, contents = token.source, self._contents
        if isinstance(contents, dict):
            content = contents.get(str(source))
            return "" if content == EMPTY_CONTENT else content
        return contents[source] if isinstance(source, int) and source < len(contents) else None

    def source_lines(self, token: Token, line: int, lines: int) -> tuple[int, str] | None:  # noqa: ARG002
        """Return the whole source of a token, and that it begins with line 1; None if there is none."""
        content = self.content(token)
        return None if content is None else (1, content)


def _size(thin: ThinSourceMap, names: list[str], contents: "list[str | None] | dict[str, str | None]") -> int:
    embedded = contents.values() if isinstance(contents, dict) else contents
    tokens = thin.text.count(b",") + thin.text.count(b";")
    return (
        len(thin.text)
        + tokens * _BYTES_PER_TOKEN
        + sum(map(sys.getsizeof, names))
        + sum(sys.getsizeof(each) for each in embedded)
    )
