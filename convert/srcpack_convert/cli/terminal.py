"""What the command line prints, and how it says that something failed."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from srcpack.errors import SrcpackError
from srcpack.source.locations import without_secrets

FAILED, USAGE, PARTLY, INTERRUPTED = 1, 2, 3, 130

SIGPIPE: int = getattr(signal, "SIGPIPE", 13)
"""What a process ends by whose output nobody reads; Windows has none, and the same exit code."""

_MOST_LINES = 20
_MOST_SHOWN = 600
_BETWEEN = 0.1
"""Seconds between two changes of what is shown of the progress."""


class Failure(Exception):
    """Ends a command with a message and exit code 1; no error of the library."""


class Signalled(BaseException):
    """A signal arrived: all blocks on the way up clean up after themselves; nothing but `run` catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def shown(text: str) -> str:
    """Return a text with every character escaped that could steer a terminal or hide, and not too long.

    Those are control characters, also C1 ones, what changes the direction of a text, and surrogates.
    Backslashes stay, so that a text of `repr`, and a path of Windows, is not escaped again.
    """
    if len(text) > _MOST_SHOWN:
        text = f"{text[: _MOST_SHOWN - 200]}...{text[-200:]}"
    return escaped(text)


def escaped(text: str) -> str:
    """Return a text with every character escaped that could steer a terminal or hide."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def print_line(line: str) -> None:
    """Print a line of a result. It may be long, and must already be escaped."""
    _write(sys.stdout, "<stdout>", line)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a JSON object on a line of its own; it is ASCII."""
    print_line(json_line(value))


def json_line(value: Mapping[str, Any]) -> str:
    """Return a JSON object as a line; it is ASCII."""
    # A DEL is the one control character that json.dumps leaves as it is.
    return json.dumps(value).replace("\x7f", "\\u007f")


def say(line: str) -> None:
    """Print a line for the person at the terminal."""
    if sys.stderr is not None:
        _write(sys.stderr, "<stderr>", shown(line))


def complain(problem: str | Exception) -> None:
    """Print an error."""
    say(f"error: {problem if isinstance(problem, str) else described(problem)}")


def warn(messages: Iterable[str]) -> None:
    """Print warnings, but not thousands."""
    some([f"warning: {message}" for message in messages], say)


def some(lines: Sequence[str], out: Callable[[str], None]) -> None:
    """Print lines, but not thousands."""
    for line in lines[:_MOST_LINES]:
        out(line)
    if len(lines) > _MOST_LINES:
        out(f"and {len(lines) - _MOST_LINES:,} more")


def _write(stream: Any, name: str, line: str) -> None:
    with writing(name):
        stream.write(line + "\n")


class _Stdout:
    """Stdout for bytes, whose errors are what they mean for a command."""

    name = "<stdout>"

    def write(self, data: bytes) -> int:
        with writing(self.name):
            return int(sys.stdout.buffer.write(data))

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with writing(self.name):
            sys.stdout.buffer.flush()


def bytes_to_stdout(what: str | None = None) -> BinaryIO:
    """Return stdout for bytes; where `what` is told, a terminal does not get it."""
    if what is not None and sys.stdout is not None and sys.stdout.isatty():
        raise Failure(f"{what} is not written to a terminal; give a file, or a pipe")
    return cast("BinaryIO", _Stdout())


def bytes_from_stdin(what: str) -> BinaryIO:
    """Return stdin for bytes; a terminal has none of `what`."""
    if sys.stdin is None:
        raise Failure("<stdin>: it is closed")
    if sys.stdin.isatty():
        raise Failure(f"{what} is not read from a terminal; give a file, or a pipe")
    return sys.stdin.buffer


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows on the terminal what is being done; where nobody watches it does nothing.

    No thread draws, so that what is measured meanwhile is not disturbed.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  slow to import, and few are watched
    from rich.progress import Progress, TextColumn  # noqa: PLC0415

    # What is printed meanwhile goes where it would have gone: stdout may be a file.
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
    )
    with bar:
        task = bar.add_task("")

        def tell(text: str) -> None:
            bar.update(task, description=shown(text), refresh=True)

        yield tell


def seldom(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that tells, but not so often that the telling takes long."""
    due = 0.0

    def tell_if_due(text: str) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + _BETWEEN
            tell(text)

    return tell_if_due


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn errors of an output stream into what they mean for a command."""
    try:
        yield
    except BrokenPipeError:
        # As for other tools: who reads the output has seen enough.
        raise Signalled(SIGPIPE) from None
    except OSError as error:
        error.filename = name
        raise
    except AttributeError:
        raise Failure(f"{name}: it is closed") from None


def described(error: Exception) -> str:
    """Return an error as people read it."""
    if not isinstance(error, OSError):
        return str(error)
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{without_secrets(os.fsdecode(error.filename))}: {reason}"


class Failures:
    """What of many could not be read, which does not keep a command from the rest."""

    def __init__(self) -> None:
        self.count: int = 0

    @contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Tell of what cannot be read in the block, and count it."""
        try:
            with about(name):
                yield
        except (SrcpackError, OSError, ValueError) as error:
            complain(error)
            self.count += 1


@contextmanager
def about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name a file in errors that name none, as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = without_secrets(os.fspath(path))
        raise


def size_text(size: int) -> str:
    """Return a number of bytes as people read it: `7.3 MB`."""
    if size < 1000:
        return f"{size} B"
    value, units = size / 1000, ["kB", "MB", "GB", "TB", "PB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def counted(number: int, one: str, many: str) -> str:
    """Return a number of things in words: `1 pack`."""
    return f"{number:,} {one if number == 1 else many}"


def files_text(number: int) -> str:
    """Return a number of files in words: `1 file`."""
    return counted(number, "file", "files")


def members_text(number: int) -> str:
    """Return a number of members in words: `2 members`."""
    return counted(number, "member", "members")
