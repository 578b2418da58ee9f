"""JSON as strictly as serde_json 1.0.149 takes it, walked over its bytes without recursion.

The standard library's json takes NaN and lone surrogates, has no offsets, builds all it reads, and recurses.
A `Walker` builds nothing: it hands out strings as they are written, and passes over the rest with
regular expressions. None of these backtracks, so that they take time for each byte once, and no memory.
"""

import json
import re
from collections.abc import Collection, Iterator
from functools import cache

__all__ = [
    "COLON",
    "PLAIN",
    "SPACE",
    "JsonError",
    "TooManyBrackets",
    "Walker",
    "check_object",
    "compiled",
    "shown",
    "text_of",
]


@cache
def compiled(expression: bytes) -> re.Pattern[bytes]:
    """Compile an expression when it is first needed: importing a module must not cost that."""
    return re.compile(expression)


SPACE = rb"[ \t\n\r]*+"
PLAIN = rb'[^"\\\x00-\x1f]*+'
"""What a string has between its quotes, if nothing is escaped."""
COLON = SPACE + rb":" + SPACE

_HEX = rb"[0-9a-fA-F]"
_LOOSE_ESCAPE = rb'\\(?:["\\/bfnrt]|u' + _HEX + rb"{4})"
_PAIR = rb"u[dD][89abAB]" + _HEX + rb"{2}\\u[dD][c-fC-F]" + _HEX + rb"{2}"
_STRICT_ESCAPE = rb'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])' + _HEX + rb"{4}|" + _PAIR + rb")"
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"

# A string whose meaning counts may not have a lone surrogate escaped in it; one that is passed over may.
_LOOSE = rb'"' + PLAIN + rb"(?:" + _LOOSE_ESCAPE + PLAIN + rb')*+"'
_STRING = SPACE + rb'("' + PLAIN + rb"(?:" + _STRICT_ESCAPE + PLAIN + rb')*+")'
_NAME = _STRING + COLON

# What `skip` takes at once: all values up to one that is a list or object with something in it.
_FLAT = rb"(?:" + _LOOSE + rb"|" + _NUMBER + rb"|true|false|null|\[" + SPACE + rb"\]|\{" + SPACE + rb"\})"
_VALUE = rb"(?:" + _FLAT + rb"|((?:\[(?!" + SPACE + rb"\]))++)|(\{))"
_FLAT_ELEMENTS = SPACE + rb"(?:" + _FLAT + SPACE + rb"," + SPACE + rb")*+"
_LOOSE_NAME = _LOOSE + COLON
_FLAT_MEMBERS = SPACE + rb"(?:" + _LOOSE_NAME + _FLAT + SPACE + rb"," + SPACE + rb")*+"
_ELEMENTS = _FLAT_ELEMENTS + _VALUE
_MEMBERS = _FLAT_MEMBERS + _LOOSE_NAME + _VALUE
_AFTER_VALUE = SPACE + rb"(?:([\]}]++)|,)"
_END_OF_LIST = ord("]")

_MAX_SHOWN = 80
_KINDS = {
    b"": "the end",
    b'"': "a string",
    b"{": "an object",
    b"[": "a list",
    b"n": "null",
    b"t": "true",
    b"f": "false",
    **{bytes([byte]): "a number" for byte in b"-0123456789"},
}


class JsonError(ValueError):
    """A text is not JSON, or a value in it is not what was asked for.

    `problem`, to be put after the value's name ("is not JSON"), shows at byte `offset`.
    """

    def __init__(
        self, problem: str, offset: int, *, found: str | None = None, expected: str | None = None
    ) -> None:
        super().__init__(f"{problem} at offset {offset}: found {found}, expected {expected}")
        self.problem = problem
        self.offset = offset
        self.found = found
        self.expected = expected


class TooManyBrackets(JsonError):
    """A text has more brackets than it may have."""


class Walker:
    """Goes over the values of a JSON text, one after the other.

    What is not as a method wants it is a `JsonError`. `skip` may meet `most` brackets, around something and
    outside of strings, where those that follow each other directly count once: these are what takes time.
    `at` is the offset of the next byte.
    """

    __slots__ = ("_left", "_start", "at", "data")

    def __init__(self, data: bytes, *, most: int | None = None) -> None:
        self.data: bytes = data
        self.at: int = 0
        self._left = len(data) if most is None else most
        self._start = 0

    def peek(self) -> bytes:
        """Pass over white space and return the next byte, or nothing at the end."""
        space = compiled(SPACE).match(self.data, self.at)
        self.at = self.at if space is None else space.end()
        return self.data[self.at : self.at + 1]

    def enter(self, bracket: bytes, expected: str) -> bool:
        """Take an opening bracket; return whether something is in it, else take the closing one too."""
        if self.peek() != bracket:
            raise self.wrong_type(expected)
        self.at += 1
        if self.peek() != _closing(bracket):
            return True
        self.at += 1
        return False

    def more(self, bracket: bytes) -> bool:
        """Take what follows a value in what began with `bracket`; return whether it is a comma."""
        found = self.peek()
        if found not in (b",", _closing(bracket)):
            raise self._not_json(f"',' or '{_closing(bracket).decode()}'")
        self.at += 1
        return found == b","

    def members(self) -> Iterator[bytes]:
        """Go over an object: yield each name as it is written; its value is to be taken before the next."""
        more = self.enter(b"{", "an object")
        while more:
            yield self.name()
            more = self.more(b"{")

    def name(self) -> bytes:
        """Take a name and its colon; return it as it is written, with its quotes."""
        match = compiled(_NAME).match(self.data, self.at)
        if match is None:
            if self.peek() != b'"':
                raise self._not_json("a name")
            self.string()
            self.peek()
            raise self._not_json("':'")
        self.at = match.end()
        self._start = match.start(1)
        return match[1]

    def string(self) -> bytes:
        """Take a string; return it as it is written, with its quotes."""
        match = compiled(_STRING).match(self.data, self.at)
        if match is None:
            if self.peek() != b'"':
                raise self.wrong_type("a string")
            loose = compiled(_LOOSE).match(self.data, self.at)
            if loose is None:
                raise self.error("is not a JSON string")
            found = shown(json.loads(loose[0].decode(errors="replace")))
            raise self.error("has a lone surrogate", found=found)
        self.at = match.end()
        self._start = match.start(1)
        return match[1]

    def text(self, string: bytes) -> str:
        """Return the meaning of the name or string that was taken last."""
        try:
            return text_of(string)
        except UnicodeDecodeError as error:
            self.at = self._start + error.start
            raise self.error("is not UTF-8", found=f"0x{string[error.start]:02x}") from error

    def null(self) -> None:
        """Take a null."""
        self.peek()
        if not self.data.startswith(b"null", self.at):
            raise self.wrong_type("null")
        self.at += len(b"null")

    def skip(self) -> None:
        """Pass over a value of any kind and depth, checking its grammar only (serde's `IgnoredAny`).

        Strings in it may have lone surrogates and bytes that are not UTF-8.
        """
        data = self.data
        enclosing = bytearray()  # the bracket that each list and object needs, which the value is in
        self.peek()
        value = compiled(_VALUE).match(data, self.at)
        while value is not None:
            self.at = value.end()
            if value.lastindex is None:
                if not self._leave(enclosing):
                    return
            else:
                enclosing += b"]" * len(value[1]) if value[1] else b"}"
                self.count()
            expression = _ELEMENTS if enclosing[-1] == _END_OF_LIST else _MEMBERS
            value = compiled(expression).match(data, self.at)
        if enclosing.endswith(b"}"):
            self._take(_FLAT_MEMBERS)
            if not self._take(_LOOSE_NAME):
                raise self._not_json("a name and ':'")
        elif enclosing:
            self._take(_FLAT_ELEMENTS)
        raise self._not_json("a value")

    def _leave(self, enclosing: bytearray) -> bool:
        """Take the brackets and the comma after a value; return whether another one follows."""
        while enclosing:
            after = compiled(_AFTER_VALUE).match(self.data, self.at)
            needed = enclosing[-1:]
            if after is not None:
                if after[1] is None:
                    self.at = after.end()
                    return True
                self.count()
                brackets, needed = after[1][: len(enclosing)], enclosing[: -len(after[1]) - 1 : -1]
                self.at = after.start(1)
                if brackets == needed:
                    self.at += len(brackets)
                    del enclosing[-len(brackets) :]
                    continue
                while self.data[self.at] == needed[0]:
                    self.at += 1
                    del needed[0]
            raise self._not_json(f"',' or '{needed[:1].decode()}'")
        return False

    def count(self) -> None:
        """Count a bracket, or what takes as long to pass over."""
        self._left -= 1
        if self._left < 0:
            raise TooManyBrackets("has too many brackets", self.at)

    def _take(self, expression: bytes) -> bool:
        match = compiled(expression).match(self.data, self.at)
        if match is not None:
            self.at = match.end()
        return match is not None

    def end(self) -> None:
        """See that nothing but white space is left."""
        if self.peek():
            raise self.error("has more after it", found=self._found())

    def error(self, problem: str, *, found: str | None = None, expected: str | None = None) -> JsonError:
        """Return the error that there is a problem with what begins at the next byte."""
        return JsonError(problem, self.at, found=found, expected=expected)

    def wrong_type(self, expected: str) -> JsonError:
        """Return the error that another kind of value begins at the next byte."""
        first = self.data[self.at : self.at + 1]
        problem = "has the wrong type" if first and first in _KINDS else "is not JSON"
        return self.error(problem, found=self._found(), expected=expected)

    def _not_json(self, expected: str) -> JsonError:
        self.peek()
        return self.error("is not JSON", found=self._found(), expected=expected)

    def _found(self) -> str:
        first = self.data[self.at : self.at + 1]
        if first in _KINDS:
            return _KINDS[first]
        return repr(first.decode()) if first.isascii() else f"0x{first.hex()}"


def text_of(string: bytes) -> str:
    """Return the meaning of a string as `Walker` hands it out; UnicodeDecodeError if it is not UTF-8."""
    text = string.decode()
    return text[1:-1] if b"\\" not in string else str(json.loads(text))


def check_object(text: str, *, without: Collection[str]) -> None:
    """Raise JsonError unless a text is one JSON object and nothing more, each name once and none of some."""
    walker = Walker(text.encode(errors="surrogatepass"))
    seen: set[str] = set()
    for string in walker.members():
        name = walker.text(string)
        if name in without:
            raise walker.error("has a name that it may not have", found=shown(name))
        if name in seen:
            raise walker.error("has a name twice", found=shown(name))
        seen.add(name)
        walker.skip()
    walker.end()


def shown(text: str) -> str:
    """Return a text as messages show it: quoted, printable, and not too long."""
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "...")


def _closing(bracket: bytes) -> bytes:
    return b"}" if bracket == b"{" else b"]"
