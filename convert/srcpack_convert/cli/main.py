"""The command line `srcpack`: the only package that prints or exits.

Results go to stdout; progress, warnings and errors to stderr. Exit codes: 0 done; 1 failed, or not found;
2 wrong usage; 3 finished, but some members were damaged or some inputs failed; 128 and the signal's
number where one ended it: 130 interrupted, 141 nobody reads the output, 143 terminated.

Names in packs and bundles come from strangers. Whatever is printed for people goes through
`terminal.shown`, which leaves no control character in it; JSON is ASCII.
"""

import errno
import os
import signal
import sys
from collections import UserDict
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import getdoc
from types import FrameType
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

import srcpack
from srcpack import SrcpackError
from srcpack_convert.cli.terminal import (
    FAILED,
    INTERRUPTED,
    SIGPIPE,
    USAGE,
    Failure,
    Signalled,
    complain,
    described,
    print_line,
    say,
)

__all__ = ["app", "main", "run"]

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]

# typer does not export what all errors of usage have in common, and has moved it between versions.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])


def main() -> NoReturn:
    """Run the command line of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            cast("Any", stream).reconfigure(errors="backslashreplace")
    for number in _SIGNALS:
        # One that is ignored stays so: nohup, and what a shell starts in the background.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    code = run(sys.argv[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # What could not be written must not be tried again while Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno != errno.EPIPE:
            complain(f"<stdout>: {error.strerror}")
            code = code or FAILED
        else:
            code = code or 128 + SIGPIPE
    sys.exit(code)


def run(args: Sequence[str]) -> int:
    """Run one command and return its exit code; whatever it raises becomes a line on stderr."""
    try:
        return _run(args)
    except Signalled as signalled:
        if signalled.number == signal.SIGINT:
            complain("interrupted")
        return 128 + signalled.number


def _run(args: Sequence[str]) -> int:
    try:
        code = _call(args)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "srcpack"
        # pydantic, by which typer may check choices, names the kind of error before its text.
        complain(cast("Any", error).format_message().replace(": Value error, ", ": ", 1))
        say(f"Try '{command} --help'.")
        return USAGE
    except (SrcpackError, Failure, ModuleNotFoundError, OSError) as error:
        complain(described(error))
    except ValueError as error:
        complain(str(error))
        return USAGE
    except MemoryError:
        complain("out of memory")
    except typer.Abort:
        return INTERRUPTED
    else:
        return code if isinstance(code, int) else 0
    return FAILED


def _call(args: Sequence[str]) -> object:
    try:
        return app(list(args) or ["--help"], prog_name="srcpack", standalone_mode=False)
    except BaseException as error:
        # Cleaning up after a signal can raise something else on top of it; the signal ended the command.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, Signalled):
            cause = cause.__context__
        if cause is None:
            raise
        raise cause from None


def _on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the cleaning up after the first. (SIG_IGN would make Python print a
    # traceback for one that is pending.)
    for each in _SIGNALS:
        signal.signal(each, _on_second_signal)
    raise Signalled(number)


def _on_second_signal(_number: int, _frame: FrameType | None) -> None:
    pass


def _version(wanted: bool) -> None:
    if wanted:
        print_line(f"srcpack {srcpack.__version__}")
        raise typer.Exit


_NAMES = (
    "convert",
    "info",
    "ls",
    "cat",
    "find",
    "extract",
    "verify",
    "check",
    "resolve",
    "export",
    "bench",
    "stats",
    "catalog",
    "train",
)
"""The commands in the order of the help; each is a function in the module of its name."""


class _Commands(UserDict[str, Any]):
    """The commands by their names, each imported when it is asked for: one needs little of what all need."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_NAMES))

    def __getitem__(self, name: str) -> Any:
        command = super().__getitem__(name)
        if command is None:
            command = self[name] = _command(name)
        return command


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands()})


def _command(name: str) -> object:
    """Return a command as typer has it."""
    function: Callable[..., object] = getattr(import_module(f"srcpack_convert.cli.{name}"), name)
    single = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    single.command(name, help=_help_of(function))(function)
    return typer.main.get_command(single)


def _help_of(command: Callable[..., object]) -> str:
    """Return what a command's help says; paragraphs are filled to the terminal, examples stay as they are."""
    return (getdoc(command) or "").replace("Examples:\n", "\b\nExamples:\n")


app: typer.Typer = typer.Typer(
    name="srcpack",
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 1 failed or not found, 2 wrong usage, 3 done in part (damaged members, say), "
        "130 interrupted."
    ),
)


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Repackage SourceBundle zips as .srcpack files, and read them."""
