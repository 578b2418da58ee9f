"""Every error that the library raises of its own.

    SrcpackError
    ├── FormatError            a pack or a SourceBundle is not what it has to be
    ├── DamagedMember          one member cannot be read; the rest can
    ├── LimitExceeded          a size is over its limit; nothing of that size was allocated
    ├── MalformedSourceMap     symbolic refuses a source map
    ├── LookupUnavailable      what could look positions up in a source map is not there
    ├── InvalidEvent           an event has not the form that events have
    └── NotFound (KeyError)    a pack has no entry of that name

Errors take facts (file, member, offset, found, expected) and build their message from them. What the
input contains is shown with `repr`, so that no control character of a file name reaches a terminal.
Misuse by the caller stays ValueError or TypeError.
"""

from collections.abc import Callable
from reprlib import Repr
from typing import Any

__all__ = [
    "DamagedMember",
    "FormatError",
    "InvalidEvent",
    "LimitExceeded",
    "LookupUnavailable",
    "MalformedSourceMap",
    "NotFound",
    "SrcpackError",
    "is_from_outside",
]


_SHORT = Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxfrozenset = 20
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 600


class SrcpackError(Exception):
    """Base of all errors of this library.

    Attributes:
        file: The pack or bundle, as the caller named it.
        member: The member it is about, or None.
    """

    def __init__(self, message: str, *, file: str, member: str | None = None) -> None:
        super().__init__(message)
        self.file = file
        self.member = member

    def __str__(self) -> str:
        # KeyError, a base of NotFound, would show the repr of its message.
        return str(self.args[0])

    def __reduce__(self) -> tuple["Callable[..., SrcpackError]", tuple[Any, ...]]:
        # The default calls the class with `args` alone, which the keyword arguments don't fit.
        return _rebuilt, (type(self), self.args, self.__dict__.copy())


class FormatError(SrcpackError):
    """A pack or a SourceBundle is not what SPEC.md, or the SourceBundle rules, say it has to be.

    Attributes:
        offset: Byte offset in the file that the problem is at, or None.
        found: What is there, or None: a text, bytes or a number; of any other value a short text.
        expected: What has to be there, or None; as `found`.
    """

    def __init__(
        self,
        file: str,
        problem: str,
        *,
        member: str | None = None,
        offset: int | None = None,
        found: object = None,
        expected: object = None,
    ) -> None:
        # Nested too deep, a value of a pack could be neither shown nor pickled.
        found, expected = _plain(found), _plain(expected)
        message = _place(file, member) + problem
        if offset is not None:
            message += f" at offset {offset}"
        if found is not None:
            message += f": found {found}"
        if expected is not None:
            message += f", expected {expected}" if found is not None else f": expected {expected}"
        super().__init__(message, file=file, member=member)
        self.offset = offset
        self.found = found
        self.expected = expected


class DamagedMember(SrcpackError):
    """A member that is listed cannot be read.

    Attributes:
        reason: Why, in a few words.
    """

    def __init__(self, file: str, member: str, reason: str) -> None:
        super().__init__(f"{file}: {member!r} cannot be read: {reason}", file=file, member=member)
        self.reason = reason


class LimitExceeded(SrcpackError):
    """A size that the input declares, or grows to, is over its limit.

    Attributes:
        what: What is too large.
        size: The size found, in bytes unless `what` says otherwise.
        limit: The limit, in the same unit.
    """

    def __init__(self, file: str, what: str, size: int, limit: int, *, member: str | None = None) -> None:
        message = f"{_place(file, member)}{what} is {size:,}, over the limit of {limit:,}"
        super().__init__(message, file=file, member=member)
        self.what = what
        self.size = size
        self.limit = limit


class MalformedSourceMap(SrcpackError):
    """A source map that symbolic does not accept.

    Attributes:
        reason: What symbolic says of it.
    """

    def __init__(self, file: str, member: str | None, reason: str) -> None:
        message = f"{_place(file, member)}malformed source map: {reason}"
        super().__init__(message, file=file, member=member)
        self.reason = reason


class LookupUnavailable(SrcpackError):
    """Positions cannot be looked up in a source map, for a reason that is not in the map.

    Attributes:
        reason: What is missing, and what to do about it.
    """

    def __init__(self, file: str, member: str | None, reason: str) -> None:
        message = f"{_place(file, member)}no positions can be looked up: {reason}"
        super().__init__(message, file=file, member=member)
        self.reason = reason


class InvalidEvent(SrcpackError):
    """An event has not the form that Sentry's SDKs give it.

    Attributes:
        where: The key in the event, as `exception.values[2].stacktrace.frames`.
        found: The type that is there.
        expected: What has to be there.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        place = f"event: {where}" if where else "event"
        super().__init__(f"{place}: found {found}, expected {expected}", file="event")
        self.where = where
        self.found = found
        self.expected = expected


class NotFound(SrcpackError, KeyError):
    """A pack has no entry of that name."""

    def __init__(self, file: str, member: str) -> None:
        super().__init__(f"{file}: no entry {member!r}", file=file, member=member)


def _place(file: str, member: str | None) -> str:
    return f"{file}: " if member is None else f"{file}: {member!r}: "


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return str(value) if isinstance(value, Exception) else _SHORT.repr(value)


def _rebuilt(cls: type[SrcpackError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SrcpackError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


def is_from_outside(error: BaseException) -> bool:
    """Return whether an error has nothing to do with a file: a timeout, say, that a signal handler raised.

    TimeoutError is an OSError; but the operating system's have a number.
    """
    return isinstance(error, OSError) and error.errno is None
