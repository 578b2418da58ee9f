"""Arguments that several commands have, and what is checked of them before the work."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from srcpack import FileType
from srcpack.format.head_tail import MAX_DICTIONARY
from srcpack.source.locations import is_url, path_or_url, without_secrets
from srcpack_convert.cli.terminal import Failure
from srcpack_convert.inputs.names import check_name

if TYPE_CHECKING:
    from srcpack_convert.one.options import DictionaryChoice

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_BYTES = re.compile(r"([0-9]{1,15})(?:([KMG])(?:i?B)?)?", re.IGNORECASE).fullmatch


def parse_bytes(text: str | int) -> int:
    """Return a number of bytes, given as `65536`, `64K`, `2M` or `1G`."""
    if isinstance(text, int):  # typer parses defaults too
        return text
    match = _BYTES(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no number of bytes, such as 65536, 64K, 2M or 1G")
    return int(match[1]) * _UNITS[(match[2] or "").upper()]


def parse_count(text: str | int) -> int:
    """Return a whole number from 1 on."""
    if isinstance(text, int):  # typer parses defaults too
        return text
    if not re.fullmatch("0*[1-9][0-9]{0,17}", text):
        raise typer.BadParameter(f"{text!r} is no whole number from 1 on")
    return int(text)


def parse_dictionary(text: str) -> "DictionaryChoice":
    """Return what `--dictionary` means: a word, a number of bytes, or the bytes of a file."""
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    if _BYTES(text):
        return parse_bytes(text)
    with open(parse_file(text), "rb") as file:
        # One byte more than there may be is enough to be told so.
        return file.read(MAX_DICTIONARY + 1)


def parse_output(text: str) -> Path:
    """Return the path of an output, given as that or as a `file://` URL; other URLs are refused."""
    try:
        check_name(text)
        place = path_or_url(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if place == "-":
        raise typer.BadParameter("- is stdout, which this is not written to; a file of that name is ./-")
    if is_url(place):
        raise typer.BadParameter(f"only convert writes to URLs; give a path, not {without_secrets(place)}")
    return Path(place)


def parse_output_or_stdout(text: str) -> str:
    """Return the path of an output; or `-`, which is standard output."""
    return text if text == "-" else os.fspath(parse_output(text))


def parse_file(text: str) -> str:
    """Return the path of a file of this machine, given as that or as a `file://` URL."""
    try:
        check_name(text)
        path = path_or_url(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if is_url(path):
        raise typer.BadParameter(f"give a path, not {without_secrets(path)}")
    if path == "-":
        raise typer.BadParameter("- stands for no file here; one of that name is ./-")
    return path


def parse_list(text: str) -> str:
    """Return the path of a list of names, or `-` for standard input."""
    return text if text == "-" else parse_file(text)


def size_option(text: str) -> Any:
    """Return an option of a number of bytes, whose help has the default as people write it."""
    return typer.Option(metavar="BYTES", parser=parse_bytes, show_default=False, help=text)


def count_option(text: str, *names: str) -> Any:
    """Return an option of a whole number from 1 on."""
    return typer.Option(*names, metavar="N", parser=parse_count, help=text)


def file_option(text: str) -> Any:
    """Return an option of a file of this machine."""
    return typer.Option(metavar="FILE", parser=parse_file, help=text)


def output_option(metavar: str, text: str) -> Any:
    """Return the option of where a command writes to."""
    return typer.Option("--output", "-o", metavar=metavar, parser=parse_output, help=text)


PackArgument: TypeAlias = Annotated[str, typer.Argument(metavar="PACK", help="A .srcpack file.")]
PacksArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PACK",
        help=".srcpack files, by path or URL; folders and buckets, searched with all below; patterns in "
        "quotes.",
    ),
]
PackOrZipArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="PACK", help="A .srcpack file, or a SourceBundle zip.")
]
PacksOrZipsArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PACK",
        help=".srcpack files or SourceBundle zips, by path or URL; folders and buckets, searched with all "
        "below; patterns in quotes.",
    ),
]
FilesFromOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FILE|-", parser=parse_list, help="Read more names, one a line.")
]
NullOption: TypeAlias = Annotated[
    bool, typer.Option("--null", "-0", help="Names in --files-from end with NUL.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLinesOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON Lines: one object a line.")
]
ForceOption: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
UrlOption: TypeAlias = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="URL, exactly as in the manifest.")
]
PathOption: TypeAlias = Annotated[
    str | None, typer.Option("--path", metavar="PATH", help="Path; slashes and backslashes are the same.")
]
DebugIdOption: TypeAlias = Annotated[
    str | None, typer.Option("--debug-id", metavar="ID", help="Debug id, in any form.")
]
MaxFileSize: TypeAlias = Annotated[
    int, size_option("Members that unpack to more count as damaged; 1G by default.")
]
MaxTotalSize: TypeAlias = Annotated[
    int, size_option("A bundle whose members unpack to more is refused; 16G by default.")
]
MaxManifestSize: TypeAlias = Annotated[
    int, size_option("A bundle with a larger manifest is refused; 256M by default.")
]
MaxTotalRatio: TypeAlias = Annotated[
    int, count_option("A bundle that unpacks to more than so many times its size, and 64 MiB, is refused.")
]
MaxFiles: TypeAlias = Annotated[
    int, count_option("A bundle with more members, or that lists more files, is refused.")
]


def check_output(path: Path, *, force: bool) -> None:
    """Refuse an output before the work."""
    if not path.parent.is_dir():
        raise Failure(f"{path}: there is no folder {os.fspath(path.parent)!r}")
    if path.exists() and not path.is_file():
        raise Failure(f"{path}: it exists and is not a regular file")
    if path.exists() and not force:
        raise Failure(f"{path}: it exists; --force replaces it")


def check_selectors(selectors: Mapping[str, str | None]) -> None:
    """Refuse anything but exactly one of these options."""
    if sum(value is not None for value in selectors.values()) != 1:
        raise typer.BadParameter(f"give exactly one of {', '.join(selectors)}")


def check_type(file_type: FileType | None, debug_id: str | None) -> None:
    """Refuse a type where no debug id is given."""
    if file_type is not None and debug_id is None:
        raise typer.BadParameter("--type is only for --debug-id")
