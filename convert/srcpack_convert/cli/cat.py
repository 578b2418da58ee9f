"""The command `cat`."""

import re
from io import BufferedReader
from itertools import islice
from typing import Annotated

import typer

from srcpack import Entry, FileType, SourceLink
from srcpack_convert.cli.arguments import (
    DebugIdOption,
    JsonOption,
    PackOrZipArgument,
    PathOption,
    UrlOption,
    check_selectors,
    check_type,
)
from srcpack_convert.cli.describe import content_facts
from srcpack_convert.cli.opening import look_up, near_miss, open_one
from srcpack_convert.cli.terminal import Failure, bytes_to_stdout, print_json


def cat(
    pack: PackOrZipArgument,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the member.")] = None,
    *,
    url: UrlOption = None,
    path: PathOption = None,
    debug_id: DebugIdOption = None,
    file_type: Annotated[
        FileType | None, typer.Option("--type", help="Type of the file, with --debug-id.")
    ] = None,
    lines: Annotated[
        str | None, typer.Option(metavar="FIRST-LAST", help="These lines alone, counted from 1.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the content of one file to stdout, and nothing else.

    With --json, an object that has name, size, sha256, encoding and content: utf-8 text, else base64.

    Examples:
      srcpack cat app.srcpack files/_/_/static/app.min.js
      srcpack cat app.srcpack --url '~/static/app.min.js' > app.min.js
      srcpack cat app.srcpack src/main.c --lines 10-20
      srcpack cat app.srcpack --debug-id 5e618b9f-54a9-4389-b196-519819dd7c47 --type source_map
    """
    check_selectors({"NAME": name, "--url": url, "--path": path, "--debug-id": debug_id})
    check_type(file_type, debug_id)
    if debug_id is not None and file_type is None:
        raise typer.BadParameter(f"--debug-id needs --type: {', '.join(FileType)}")
    first, last = (1, None) if lines is None else _range(lines)
    if lines is not None and as_json:
        raise typer.BadParameter("--lines and --json exclude each other")
    with open_one(pack) as opened:
        if name is not None:
            found: Entry | SourceLink | None = opened[name]
        else:
            found = next(iter(look_up(opened, url, path, debug_id, [file_type] if file_type else [])), None)
        if found is None:
            wanted = f"the URL {url!r}" if url is not None else f"the path {path!r}"
            if debug_id is not None:
                wanted = f"the debug id {debug_id} and the type {file_type}"
            near = near_miss(opened, url, path)
            raise Failure(f"{opened.file}: no entry has {wanted}" + (f"; there is {near}" if near else ""))
        if isinstance(found, SourceLink):
            raise Failure(
                f"{opened.file}: the path {path!r} is not in it, but has a source link: {found.url}"
            )
        if as_json:
            print_json(content_facts(found))
        elif lines is not None:
            with BufferedReader(found.open()) as content:
                bytes_to_stdout().writelines(islice(content, first - 1, last))
        else:
            bytes_to_stdout().writelines(found.parts())


def _range(lines: str) -> tuple[int, int]:
    """Return the first and the last line of `FIRST-LAST`, or of one number."""
    found = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", lines)
    first, last = (0, 0) if found is None else (int(found[1]), int(found[2] or found[1]))
    if not 1 <= first <= last:
        raise typer.BadParameter(f"--lines {lines}: expected FIRST-LAST, such as 10-20")
    return first, last
