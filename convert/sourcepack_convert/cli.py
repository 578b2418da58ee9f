"""The command line `sourcepack`: the only module that prints or exits.

Results go to stdout; progress, warnings and errors to stderr. Exit codes: 0 done; 1 failed, or not found;
2 wrong usage; 3 finished, but some members were damaged or some inputs failed; 128 and the signal's
number where one ended it: 130 interrupted, 141 nobody reads the output, 143 terminated.

Names in packs and bundles come from strangers. Whatever is printed for people goes through `shown`, which
leaves no control character in it; JSON is ASCII.
"""

import base64
import errno
import hashlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn, TypeAlias, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

import sourcepack
from sourcepack import DebugId, Entry, FileType, Pack, SourceLink, SourcepackError
from sourcepack.keys import Kind
from sourcepack.layout import (
    CONTENT,
    DICTIONARY,
    HEAD_SIZE,
    INDEX,
    MANIFEST,
    MAX_DICTIONARY,
    parse_head,
)
from sourcepack.pack import open_pack
from sourcepack.source_bundle import DEFAULT_LIMITS, Limits, SourceBundle

from .compare import compare
from .conversion import DictionaryChoice
from .conversion import convert as convert_bundle
from .exporting import export as export_pack
from .extract import extract as extract_pack
from .extract import parts_of
from .presets import DEFAULT_PRESET, PRESETS
from .report import DamageReport

__all__ = ["app", "main", "run", "shown"]

FAILED, USAGE, PARTLY, INTERRUPTED = 1, 2, 3, 130

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]
_MOST_LINES = 20
_MOST_SHOWN = 600
_SECTIONS = {CONTENT: "content", MANIFEST: "manifest", DICTIONARY: "dictionary", INDEX: "index"}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_BYTES = re.compile(r"([0-9]{1,15})(?:([KMG])(?:i?B)?)?", re.IGNORECASE).fullmatch

# typer does not export what all errors of usage have in common, and has moved it between versions.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])


class _Failure(Exception):
    """Ends a command with a message and exit code 1; no error of the library."""


class _Signalled(BaseException):
    """A signal arrived: all blocks on the way up clean up after themselves; nothing but `run` catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


# ---- entry points


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
            _complain(f"<stdout>: {error.strerror}")
            code = code or FAILED
        else:
            code = code or 128 + signal.SIGPIPE
    sys.exit(code)


def run(args: Sequence[str]) -> int:
    """Run one command and return its exit code; whatever it raises becomes a line on stderr."""
    try:
        return _run(args)
    except BaseException as error:
        # Cleaning up after a signal can raise something else on top of it.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, _Signalled):
            cause = cause.__context__
        if cause is None:
            raise
        if cause.number == signal.SIGINT:
            _complain("interrupted")
        return 128 + cause.number


def _run(args: Sequence[str]) -> int:
    try:
        code = app(list(args) or ["--help"], prog_name="sourcepack", standalone_mode=False)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sourcepack"
        _complain(cast("Any", error).format_message())
        _say(f"Try '{command} --help'.")
        return USAGE
    except (SourcepackError, _Failure) as error:
        _complain(str(error))
    except OSError as error:
        _complain(_described(error))
    except ValueError as error:
        _complain(str(error))
        return USAGE
    except MemoryError:
        _complain("out of memory")
    except typer.Abort:
        return INTERRUPTED
    else:
        return code if isinstance(code, int) else 0
    return FAILED


def _on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the cleaning up after the first. (SIG_IGN would make Python print a
    # traceback for one that is pending.)
    for each in _SIGNALS:
        signal.signal(each, _on_second_signal)
    raise _Signalled(number)


def _on_second_signal(_number: int, _frame: FrameType | None) -> None:
    pass


# ---- printing


def shown(text: str) -> str:
    """Return a text with every character escaped that could steer a terminal or hide, and not too long.

    Those are control characters, also C1 ones, what changes the direction of a text, and surrogates.
    Backslashes stay, so that a text of `repr`, and a path of Windows, is not escaped again.
    """
    if len(text) > _MOST_SHOWN:
        text = f"{text[: _MOST_SHOWN - 200]}...{text[-200:]}"
    return _escaped(text)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _print(line: str) -> None:
    """Print a line of a result. It may be long, and must already be escaped."""
    _write(sys.stdout, "<stdout>", line)


def _print_json(value: Mapping[str, Any]) -> None:
    # A DEL is the one control character that json.dumps leaves as it is.
    _print(json.dumps(value).replace("\x7f", "\\u007f"))


def _say(line: str) -> None:
    """Print a line for the person at the terminal."""
    if sys.stderr is not None:
        _write(sys.stderr, "<stderr>", shown(line))


def _complain(message: str) -> None:
    _say(f"error: {message}")


def _warn(messages: Iterable[str], prefix: str = "warning: ") -> None:
    """Print warnings, but not thousands."""
    _some([prefix + message for message in messages], _say)


def _some(lines: Sequence[str], out: Callable[[str], None]) -> None:
    for line in lines[:_MOST_LINES]:
        out(line)
    if len(lines) > _MOST_LINES:
        out(f"and {len(lines) - _MOST_LINES:,} more")


def _write(stream: Any, name: str, line: str) -> None:
    with _writing(name):
        stream.write(line + "\n")


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # As for other tools: who reads the output has seen enough.
        raise _Signalled(signal.SIGPIPE) from None
    except OSError as error:
        error.filename = name
        raise
    except AttributeError:
        raise _Failure(f"{name}: it is closed") from None


def _described(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Name a file in errors that name none, as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def _size(size: int) -> str:
    """Return a number of bytes as people read it: `7.3 MB`."""
    if size < 1000:
        return f"{size} B"
    value, units = size / 1000, ["kB", "MB", "GB", "TB", "PB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _files(number: int) -> str:
    return _counted(number, "file", "files")


def _members(number: int) -> str:
    return _counted(number, "member", "members")


# ---- arguments


def _bytes(text: str | int) -> int:
    if isinstance(text, int):  # typer parses defaults too
        return text
    match = _BYTES(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no number of bytes, such as 65536, 64K, 2M or 1G")
    return int(match[1]) * _UNITS[(match[2] or "").upper()]


def _dictionary(text: str) -> DictionaryChoice:
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    if _BYTES(text):
        return _bytes(text)
    with open(text, "rb") as file:
        # One byte more than there may be is enough to be told so.
        return file.read(MAX_DICTIONARY + 1)


def _version(wanted: bool) -> None:
    if wanted:
        _print(f"sourcepack {sourcepack.__version__}")
        raise typer.Exit


PackArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="PACK", help="A .srcpack file.")]
PacksArgument: TypeAlias = Annotated[list[Path], typer.Argument(metavar="PACK...", help=".srcpack files.")]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLinesOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON Lines: one object a line.")
]
ForceOption: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
UrlOption: TypeAlias = Annotated[str | None, typer.Option("--url", help="URL, exactly as in the manifest.")]
PathOption: TypeAlias = Annotated[
    str | None, typer.Option("--path", help="Path; slashes and backslashes are the same.")
]
DebugIdOption: TypeAlias = Annotated[
    str | None, typer.Option("--debug-id", metavar="ID", help="Debug id, in any form.")
]
MaxFileSize: TypeAlias = Annotated[
    int,
    typer.Option(metavar="BYTES", parser=_bytes, help="Members that unpack to more are recorded as damaged."),
]
MaxTotalSize: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="BYTES",
        parser=_bytes,
        show_default="16G",
        help="A bundle whose members unpack to more is refused.",
    ),
]
MaxManifestSize: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="BYTES",
        parser=_bytes,
        show_default="256M",
        help="A bundle with a larger manifest is refused.",
    ),
]
MaxTotalRatio: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1, help="A bundle that unpacks to more than so many times its size, and 64 MiB, is refused."
    ),
]
MaxFiles: TypeAlias = Annotated[
    int, typer.Option(min=1, help="A bundle with more members, or that lists more files, is refused.")
]

app = typer.Typer(
    name="sourcepack",
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


# ---- commands


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="ZIP", help="A SourceBundle.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PACK", help="The pack; without it, beside the zip."),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(PRESETS)}: from fast to small; raw does not compress.",
            autocompletion=lambda: list(PRESETS),
        ),
    ] = DEFAULT_PRESET,
    level: Annotated[int | None, typer.Option(help="Level of zstd, in place of the preset's.")] = None,
    dictionary: Annotated[
        str,
        typer.Option(
            metavar="auto|off|BYTES|FILE",
            help="Train one where it pays; use none; train one of at most so many bytes; use this one.",
        ),
    ] = "auto",
    frame_size: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES", parser=_bytes, help="Bytes of content in a frame, in place of the preset's."
        ),
    ] = None,
    raw: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Store members with such names as they are. May be repeated."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Threads that compress; by default one for each core.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Read every file back and compare it with the zip.")
    ] = True,
    force: ForceOption = False,
    max_file_size: MaxFileSize = DEFAULT_LIMITS.max_file_size,
    max_total_size: MaxTotalSize = DEFAULT_LIMITS.max_total_size,
    max_manifest_size: MaxManifestSize = DEFAULT_LIMITS.max_manifest_size,
    max_total_ratio: MaxTotalRatio = DEFAULT_LIMITS.max_total_ratio,
    max_files: MaxFiles = DEFAULT_LIMITS.max_files,
    as_json: JsonOption = False,
) -> int:
    """Convert a SourceBundle zip into a pack.

    Members that cannot be read are recorded as damaged, and the exit code is 3.

    Examples:
      sourcepack convert app.zip
      sourcepack convert app.zip -o packs/app.srcpack --preset max
      sourcepack convert app.zip --raw '*.map' --jobs 2 --json
    """
    if output is None:
        output = source.with_suffix(".srcpack") if source.suffix == ".zip" else Path(f"{source}.srcpack")
    _check_output(output, force=force)
    limits = Limits(
        max_file_size=max_file_size,
        max_total_size=max_total_size,
        max_manifest_size=max_manifest_size,
        max_total_ratio=max_total_ratio,
        max_files=max_files,
    )
    choice = _dictionary(dictionary)
    with _about(output), _progress() as progress:
        report = convert_bundle(
            source,
            output,
            preset=preset,
            level=level,
            dictionary=choice,
            frame_size=frame_size,
            raw=raw or (),
            jobs=jobs or _cores(),
            verify=verify,
            limits=limits,
            progress=progress,
        )
    if as_json:
        _print_json(report.as_json())
    else:
        _print(
            shown(
                f"{report.output}: {_files(report.files)} of {_size(report.total_size)}"
                f"{_damage_count(len(report.damaged))}; zip {_size(report.source_size)}, "
                f"pack {_size(report.output_size)}, ratio {report.ratio:.3f}; {report.seconds:.1f} s"
            )
        )
    _warn_of_damage(report.source, report.damaged, "cannot be read")
    return PARTLY if report.damaged else 0


@app.command()
def info(pack: PackArgument, *, as_json: JsonOption = False) -> None:
    """Show what a pack is: sizes, sections, attributes, what it was made from and by.

    Examples:
      sourcepack info app.srcpack
      sourcepack info app.srcpack --json | jq .attributes.release
    """
    with _open(pack) as opened:
        facts = _facts(opened)
    if as_json:
        _print_json(facts)
        return
    for name, value in _fact_lines(facts):
        _print(f"{shown(name):<20}  {shown(value)}")


@app.command("ls")
def list_entries(
    pack: PackArgument,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Beginning of the names to list.")] = "",
    *,
    long: Annotated[
        bool,
        typer.Option(
            "--long", "-l", help="Show type, size, stored size, lines, debug id, name, URL or path."
        ),
    ] = False,
    as_json: JsonLinesOption = False,
) -> int:
    """List the members of a pack by name.

    Control characters in names are escaped; JSON has the names as they are.

    Examples:
      sourcepack ls app.srcpack
      sourcepack ls app.srcpack files/_/_/static/ --long
      sourcepack ls app.srcpack --json | jq -r .url
    """
    found = False
    with _open(pack) as opened:
        for entry in opened.find_prefix(prefix):
            found = True
            if as_json:
                _print_json(_entry_facts(entry))
            else:
                _print(_long_line(entry) if long else _escaped(entry.name))
        if prefix and not found:
            raise _Failure(f"{opened.file}: no entry whose name begins with {prefix!r}")
    return 0


@app.command()
def cat(
    pack: PackArgument,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the member.")] = None,
    *,
    url: UrlOption = None,
    path: PathOption = None,
    debug_id: DebugIdOption = None,
    file_type: Annotated[
        FileType | None, typer.Option("--type", help="Type of the file, with --debug-id.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the content of one file to stdout, and nothing else.

    With --json, an object that has name, size, sha256, encoding and content: utf-8 text, else base64.

    Examples:
      sourcepack cat app.srcpack files/_/_/static/app.min.js
      sourcepack cat app.srcpack --url '~/static/app.min.js' > app.min.js
      sourcepack cat app.srcpack --debug-id 5e618b9f-54a9-4389-b196-519819dd7c47 --type source_map
    """
    _check_selectors({"NAME": name, "--url": url, "--path": path, "--debug-id": debug_id})
    if (debug_id is None) != (file_type is None):
        raise typer.BadParameter("--debug-id and --type go together")
    with _open(pack) as opened:
        if name is not None:
            found: Entry | SourceLink | None = opened[name]
        else:
            found = next(iter(_look_up(opened, url, path, debug_id, [file_type] if file_type else [])), None)
        if found is None:
            wanted = f"the URL {url!r}" if url is not None else f"the path {path!r}"
            if debug_id is not None:
                wanted = f"the debug id {debug_id} and the type {file_type}"
            raise _Failure(f"{opened.file}: no entry has {wanted}")
        if isinstance(found, SourceLink):
            raise _Failure(
                f"{opened.file}: the path {path!r} is not in it, but has a source link: {found.url}"
            )
        if as_json:
            _print_json(_content_facts(found))
        else:
            for part in parts_of(found):
                with _writing("<stdout>"):
                    sys.stdout.buffer.write(part)


@app.command()
def find(
    packs: PacksArgument,
    *,
    url: UrlOption = None,
    path: PathOption = None,
    debug_id: DebugIdOption = None,
    file_type: Annotated[
        FileType | None, typer.Option("--type", help="Type of the file, with --debug-id; without it, any.")
    ] = None,
    as_json: JsonLinesOption = False,
) -> int:
    """Find which packs have a file, and as which member.

    Exit code 1 if none has it; 3 if one has it, but another could not be read.

    Examples:
      sourcepack find *.srcpack --url '~/static/app.min.js'
      sourcepack find *.srcpack --path src/main.c
      sourcepack find *.srcpack --debug-id 5e618b9f-54a9-4389-b196-519819dd7c47
    """
    _check_selectors({"--url": url, "--path": path, "--debug-id": debug_id})
    if file_type is not None and debug_id is None:
        raise typer.BadParameter("--type goes with --debug-id")
    if debug_id is not None:
        DebugId.parse(debug_id)
    hits = failures = 0
    for each in packs:
        try:
            with _about(each), _open(each) as pack:
                found = list(_look_up(pack, url, path, debug_id, [file_type] if file_type else FileType))
        except SourcepackError as error:
            _complain(str(error))
            failures += 1
            continue
        except OSError as error:
            _complain(_described(error))
            failures += 1
            continue
        hits += len(found)
        for hit in found:
            _print_hit(each, hit, as_json=as_json)
    if not hits:
        return FAILED
    return PARTLY if failures else 0


@app.command()
def extract(
    pack: PackArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Names, or prefixes that end with /; all without any."),
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder; made if it does not exist.")
    ],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> int:
    """Write files of a pack into a folder, and never outside of it.

    Names that are not safe on every system are changed, and stderr says how. The exit code is 3 if some
    files were not written: damaged, or in the way of what exists.

    Examples:
      sourcepack extract app.srcpack -o sources
      sourcepack extract app.srcpack -o sources files/_/_/static/ files/_/_/main.js
    """
    with _about(output), _open(pack) as opened:
        report = extract_pack(opened, output, names or (), force=force)
    if as_json:
        _print_json(report.as_json())
    else:
        _print(shown(f"{report.directory}: {_files(report.files)} of {_size(report.total_size)}"))
    _warn([f"{report.pack}: {name!r} goes to {place!r}" for name, place in report.renamed.items()])
    _warn(f"{report.pack}: {each.member!r} was not extracted: {each.reason}" for each in report.problems)
    if not report.problems:
        return 0
    return PARTLY if report.files else FAILED


@app.command()
def verify(
    packs: PacksArgument,
    *,
    against: Annotated[
        Path | None, typer.Option(metavar="ZIP", help="The SourceBundle that the one pack was made from.")
    ] = None,
    max_file_size: MaxFileSize = DEFAULT_LIMITS.max_file_size,
    max_total_size: MaxTotalSize = DEFAULT_LIMITS.max_total_size,
    max_manifest_size: MaxManifestSize = DEFAULT_LIMITS.max_manifest_size,
    max_total_ratio: MaxTotalRatio = DEFAULT_LIMITS.max_total_ratio,
    max_files: MaxFiles = DEFAULT_LIMITS.max_files,
    as_json: JsonLinesOption = False,
) -> int:
    """Check every checksum, every SHA-256 and every rule of the format.

    With --against, also compare every file, every fact of the manifest and every lookup with the zip.

    Examples:
      sourcepack verify *.srcpack
      sourcepack verify app.srcpack --against app.zip
    """
    if against is not None and len(packs) != 1:
        raise typer.BadParameter("--against takes one pack")
    limits = Limits(
        max_file_size=max_file_size,
        max_total_size=max_total_size,
        max_manifest_size=max_manifest_size,
        max_total_ratio=max_total_ratio,
        max_files=max_files,
    )
    code = 0
    with ExitStack() as stack:
        bundle = None if against is None else stack.enter_context(SourceBundle(against, limits=limits))
        for each in packs:
            problems: list[str] = []
            facts: dict[str, Any] = {}
            try:
                with _about(each), _open(each) as pack:
                    facts = _counts(pack)
                    problems += map(str, sourcepack.verify(pack))
                    if bundle is not None and not problems:
                        problems += map(str, compare(pack, bundle))
            except SourcepackError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(_described(error))
            if problems:
                code = FAILED
            _print_verdict(each, facts, problems, against=against, as_json=as_json)
    return code


@app.command()
def export(
    pack: PackArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="ZIP", help="The SourceBundle.")],
    stored: Annotated[
        bool, typer.Option("--stored", help="Store the members, in place of deflating them.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> int:
    """Turn a pack back into a SourceBundle zip with the same manifest and contents.

    Members that were damaged when the bundle was converted are left out, and the exit code is 3.

    Examples:
      sourcepack export app.srcpack -o app.zip
      sourcepack export app.srcpack -o app.zip --stored --force
    """
    _check_output(output, force=force)
    with _about(output), _open(pack) as opened:
        report = export_pack(opened, output, stored=stored)
    if as_json:
        _print_json(report.as_json())
    else:
        _print(
            shown(
                f"{report.output}: {_files(report.files)} of {_size(report.total_size)}; "
                f"pack {_size(report.source_size)}, zip {_size(report.output_size)}; {report.seconds:.1f} s"
            )
        )
    _warn_of_damage(report.source, report.left_out, "is left out")
    return PARTLY if report.left_out else 0


# ---- what the commands share


def _open(path: Path) -> Pack:
    # By `pread`: a map would end the process if someone cut the file.
    return open_pack(path, source="pread")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_output(path: Path, *, force: bool) -> None:
    """Refuse an output before the work."""
    if not path.parent.is_dir():
        raise _Failure(f"{path}: there is no folder {os.fspath(path.parent)!r}")
    if os.path.lexists(path) and not path.is_file():
        raise _Failure(f"{path}: it exists and is not a regular file")
    if os.path.lexists(path) and not force:
        raise _Failure(f"{path}: it exists; --force replaces it")


def _check_selectors(selectors: Mapping[str, str | None]) -> None:
    if sum(value is not None for value in selectors.values()) != 1:
        raise typer.BadParameter(f"give exactly one of {', '.join(selectors)}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what conversion tells its progress to; None where nobody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("converting", total=None)

        def update(done: int, total: int) -> None:
            bar.update(
                task, completed=done, total=total, description="finishing" if done == total else "converting"
            )

        yield update


def _look_up(
    pack: Pack, url: str | None, path: str | None, debug_id: str | None, types: Iterable[FileType]
) -> Iterator[Entry | SourceLink]:
    found: list[Entry | SourceLink | None] = []
    if url is not None:
        found = [pack.by_url(url)]
    elif path is not None:
        found = [pack.by_path(path)]
    elif debug_id is not None:
        found = [pack.by_debug_id(debug_id, file_type) for file_type in types]
    return (hit for hit in found if hit is not None)


def _print_hit(pack: Path, hit: Entry | SourceLink, *, as_json: bool) -> None:
    if isinstance(hit, SourceLink):
        if as_json:
            _print_json({"pack": os.fspath(pack), "source_link": hit.url})
        else:
            _print(_escaped(f"{pack}: source link {hit.url}"))
    elif as_json:
        _print_json({"pack": os.fspath(pack), **_entry_facts(hit)})
    else:
        _print(_escaped(f"{pack}: {hit.name}{_damage_mark(hit)}"))


def _print_verdict(
    pack: Path, facts: Mapping[str, Any], problems: Sequence[str], *, against: Path | None, as_json: bool
) -> None:
    if as_json:
        verdict = {"pack": os.fspath(pack), "ok": not problems, **facts, "problems": list(problems)}
        if against is not None:
            verdict["against"] = os.fspath(against)
        _print_json(verdict)
        return
    if problems:
        _some(problems, lambda line: _print(shown(line)))
        return
    line = f"{pack}: ok, {_files(facts['files'])} of {_size(facts['total_size'])}"
    if against is not None:
        line += f", equal to {against}"
    if facts["damaged"]:
        line += f"; {_members(facts['damaged'])} could not be read when it was made"
    _print(shown(line))


def _damage_count(number: int) -> str:
    return f", {number:,} damaged" if number else ""


def _warn_of_damage(file: str, damaged: Sequence[DamageReport], what: str) -> None:
    _warn(f"{file}: {each.member!r} {what}: {each.reason}" for each in damaged)


# ---- facts


def _counts(pack: Pack) -> dict[str, Any]:
    return {"files": len(pack), "damaged": pack.tail.damaged_count, "total_size": pack.tail.total_size}


def _facts(pack: Pack) -> dict[str, Any]:
    """Return what the tail and the attributes block say, as values that JSON knows."""
    tail, bundle = pack.tail, pack.bundle
    major, minor = parse_head(pack.source.read(0, HEAD_SIZE), file=pack.file)
    source_size = bundle.source.get("size")
    dictionary = None
    if DICTIONARY in tail.sections:
        dictionary = {
            "id": tail.dictionary_id,
            "size": tail.dictionary_size,
            "stored_size": tail.sections[DICTIONARY].length,
            "sha256": tail.dictionary_sha256.hex(),
        }
    return {
        "pack": pack.file,
        "format": f"{major}.{minor}",
        "size": tail.file_length,
        "sha256": tail.sha256.hex(),
        "identity": bundle.identity.hex(),
        **_counts(pack),
        "content_count": tail.content_count,
        "content_size": tail.content_size,
        "frame_size": tail.frame_size,
        "keys": tail.slot_count,
        "key_kinds": [kind.name.lower() for kind in Kind if tail.key_kinds >> kind & 1],
        "ratio": (
            round(tail.file_length / source_size, 4)
            if isinstance(source_size, int) and source_size > 0
            else None
        ),
        "dictionary": dictionary,
        "sections": {
            _SECTIONS.get(id_, str(id_)): {"offset": section.offset, "length": section.length}
            for id_, section in tail.sections.items()
        },
        "attributes": dict(bundle.attributes),
        "source_links": dict(pack.source_links),
        "source": _plain(bundle.source),
        "created_by": _plain(bundle.created_by),
    }


def _fact_lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "pack", facts["pack"]
    yield "format", facts["format"]
    yield "size", _exact(facts["size"]) + ("" if facts["ratio"] is None else f", {facts['ratio']} of the zip")
    yield "SHA-256", facts["sha256"]
    yield "content identity", facts["identity"]
    yield "files", f"{facts['files']:,}, {_exact(facts['total_size'])}{_damage_count(facts['damaged'])}"
    yield "contents", f"{facts['content_count']:,} distinct, {_exact(facts['content_size'])}"
    yield "frame size", _exact(facts["frame_size"])
    yield "keys", f"{facts['keys']:,}: {', '.join(facts['key_kinds'])}"
    dictionary = facts["dictionary"]
    if dictionary is None:
        yield "dictionary", "none"
    else:
        stored = f"{dictionary['stored_size']:,} in the pack"
        yield "dictionary", f"{_exact(dictionary['size'])}, {stored}, id {dictionary['id']}"
    for name, section in facts["sections"].items():
        yield f"section {name}", f"{section['length']:,} bytes at {section['offset']:,}"
    for name in ("source", "created_by"):
        for key, value in facts[name].items():
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{name.replace('_', ' ')} {key}", text
    yield "source links", f"{len(facts['source_links']):,}"
    for key, value in facts["attributes"].items():
        yield f"attribute {key}", value


def _exact(size: int) -> str:
    return f"{size:,} bytes" if size < 1000 else f"{size:,} bytes ({_size(size)})"


def _plain(value: Any) -> Any:
    """Return a value out of msgpack as one that JSON knows; bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else repr(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int) else repr(value)


def _entry_facts(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "type": entry.type,
        "path": entry.path,
        "url": entry.url,
        "debug_id": _debug_id(entry),
        "source_mapping_url": entry.source_mapping_url,
        "headers": dict(entry.record.headers or {}),
        "extra": entry.record.extra,
        "listed": entry.record.listed,
        "size": entry.size,
        "stored_size": entry.stored_size,
        "frames": len(entry.record.frames),
        "lines": entry.lines,
        "sha256": None if entry.sha256 is None else entry.sha256.hex(),
        "raw": entry.raw,
        "utf8": entry.record.utf8,
        "damage": entry.damage,
    }


def _content_facts(entry: Entry) -> dict[str, Any]:
    content = entry.read()
    try:
        encoding, text = "utf-8", content.decode()
    except UnicodeDecodeError:
        encoding, text = "base64", base64.b64encode(content).decode()
    return {
        "name": entry.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "encoding": encoding,
        "content": text,
    }


def _long_line(entry: Entry) -> str:
    line = (
        f"{entry.type:<18} {entry.size:>13,} {entry.stored_size:>12,} {entry.lines:>9,} "
        f"{_debug_id(entry) or '-':<36}  {entry.name}"
    )
    if (place := entry.url or entry.path) is not None:
        line += f"  {place}"
    if not entry.record.listed:
        line += "  (not in the manifest)"
    return _escaped(line + _damage_mark(entry))


def _debug_id(entry: Entry) -> str | None:
    return None if entry.debug_id is None else str(entry.debug_id)


def _damage_mark(entry: Entry) -> str:
    return "" if entry.damage is None else f"  (damaged: {entry.damage})"
