"""All that PyPI symbolic answers about a script and its source map, through its C interface.

symbolic 13.9 and later. Its calls release the global lock. They do not survive every input: a script nested
some thousands deep overflows the stack of the process, so this runs in processes of its own
(`lookup_worker.py`).
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, TypeAlias

from symbolic._lowlevel import ffi, lib
from symbolic.exceptions import SymbolicError
from symbolic.sourcemap import SourceMapView
from symbolic.sourcemapcache import SourceMapCache
from symbolic.utils import rustcall

from srcpack.rules.thin_source_map import EMPTY_CONTENT, thin_source_map

__all__ = ["AnswerRow", "Refused", "SymbolicAnswers", "empty_sources"]

AnswerRow: TypeAlias = tuple[int, int, int, int, int, int, int]
"""Line and column in the script; number of the source, line and column there; numbers of name and function.

Sources count from 1, all else from 0; where there is no answer, all but the first two are 0.
"""

_call: Any = rustcall


def _span_of(part: str) -> slice:
    """Return where in an answer a text is told: its address, its length, and whether the answer owns it."""
    fields = dict(ffi.typeof("SymbolicSmTokenMatch").fields)
    start = fields[part].offset
    return slice(start, start + dict(fields[part].type.fields)["owned"].offset + 1)


_PLACE = Struct("=II")
_NAME, _FUNCTION = _span_of("name"), _span_of("function_name")
_ANSWER_SIZE: int = max(_NAME.stop, _FUNCTION.stop)


def empty_sources(source_map: bytes) -> frozenset[int]:
    """Return the numbers of the sources that an indexed map embeds, though as empty texts.

    symbolic's binding gives the same for them as for those that it does not embed.
    """
    marked = thin_source_map(source_map).marked
    if marked is None:
        return frozenset()
    view = SourceMapView.from_json_bytes(marked)
    numbers = range(view.source_count)
    return frozenset(each for each in numbers if view.get_source_contents(each) == EMPTY_CONTENT)


class Refused(Exception):
    """symbolic has no answers; the message says why."""


class SymbolicAnswers:
    """A map, and what its `SourceMapCache` answers; Refused if symbolic does not take it.

    `thin` is the map without `sourcesContent`, for the cache. `sources` are the names of the map's sources,
    as answers have them.
    """

    def __init__(self, script: bytes, source_map: bytes, thin: bytes) -> None:
        try:
            self._view = SourceMapView.from_json_bytes(source_map)
            self._cache = SourceMapCache.from_bytes(script, thin)
        except SymbolicError as error:
            raise Refused(error.message) from error
        self.tokens: int = len(self._view)
        self.sources: list[bytes] = [
            _owned_text(lib.symbolic_sourcemapview_get_source_name, self._view, number)
            for number in range(self._view.source_count)
        ]

    def text(self, source: int) -> bytes:
        """Return the text of a source, UTF-8; empty where the map has none or an empty one."""
        return _owned_text(lib.symbolic_sourcemapview_get_source_contents, self._view, source)

    def rows(self, number_of: Callable[[bytes], int]) -> Iterator[AnswerRow]:
        """Yield the answer at each place where a token begins, in the order of the script.

        `number_of` returns the number of a name. Raises Refused if symbolic failed, OverflowError if a place
        is beyond what can be asked for.
        """
        cache = _pointer(self._cache)
        look_up, free = lib.symbolic_sourcemapcache_lookup_token, lib.symbolic_sourcemapcache_token_match_free
        buffer, place_of = ffi.buffer, _PLACE.unpack_from
        numbers: dict[bytes, int] = {}
        for line, column, sources in self._places():
            answer = look_up(cache, line + 1, column + 1, 0)
            if answer:
                # The structure in one piece: to ask for its parts one by one takes twice as long.
                packed = buffer(answer, _ANSWER_SIZE)[:]
                source_line, source_column = place_of(packed)
                name, function = packed[_NAME], packed[_FUNCTION]
                if (name_number := numbers.get(name)) is None:
                    name_number = number_of(_text_of(answer.name))
                    if not answer.name.owned:  # it lies in the cache, and stays where it is
                        numbers[name] = name_number
                if (function_number := numbers.get(function)) is None:
                    function_number = number_of(_text_of(answer.function_name))
                    if not answer.function_name.owned:
                        numbers[function] = function_number
                source = sources[0] if len(sources) == 1 else self._source_of(answer, sources)
                yield (
                    line,
                    column,
                    source + 1,
                    source_line - 1,
                    source_column - 1,
                    name_number,
                    function_number,
                )
                free(answer)
            else:
                _checked(look_up, cache, line + 1, column + 1, 0)  # for the error, if that is why
                yield line, column, 0, 0, 0, 0, 0

    def _places(self) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Yield each place where tokens begin, with the numbers of their sources."""
        view = _pointer(self._view)
        get_token, free = lib.symbolic_sourcemapview_get_token, lib.symbolic_token_match_free
        line = column = -1
        sources: tuple[int, ...] = ()
        for number in range(self.tokens):
            token = get_token(view, number)
            if not token:
                _checked(get_token, view, number)
                raise Refused(f"no token {number} of {self.tokens}")
            next_line, next_column, source = token.dst_line, token.dst_col, token.src_id
            free(token)
            if next_line == line and next_column == column:
                sources += (source,)
                continue
            if line >= 0:
                yield line, column, sources
            if (next_line, next_column) < (line, column):
                raise Refused(f"token {number} is out of order")
            line, column, sources = next_line, next_column, (source,)
        if line >= 0:
            yield line, column, sources

    def _source_of(self, answer: Any, sources: tuple[int, ...]) -> int:
        """Say which of the sources of several tokens at one place an answer has: of equal names the last."""
        name = _text_of(answer.src)
        for source in reversed(sources):
            if source < len(self.sources) and self.sources[source] == name:
                return source
        raise Refused(f"an answer with the source {name!r}, which no token there has")


def _checked(function: Any, *arguments: Any) -> Any:
    try:
        return _call(function, *arguments)
    except SymbolicError as error:
        raise Refused(error.message) from error


def _pointer(thing: Any) -> Any:
    return thing._get_objptr()  # noqa: SLF001  what the library's own methods pass


def _text_of(text: Any) -> bytes:
    found: bytes = ffi.unpack(text.data, text.len) if text.len else b""
    return found


def _owned_text(function: Any, view: SourceMapView, number: int) -> bytes:
    """Return a text that the library gives away."""
    text = _checked(function, _pointer(view), number)
    try:
        return _text_of(text)
    finally:
        if text.owned:
            lib.symbolic_str_free(ffi.addressof(text))
