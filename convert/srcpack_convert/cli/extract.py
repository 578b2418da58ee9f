"""The command `extract`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from srcpack.opening import local_copy
from srcpack_convert.back.extract import extract as extract_pack
from srcpack_convert.cli.arguments import ForceOption, JsonOption, PackOrZipArgument, output_option
from srcpack_convert.cli.opening import open_one
from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    about,
    files_text,
    print_json,
    print_line,
    shown,
    size_text,
    warn,
)


def extract(
    pack: PackOrZipArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names, or prefixes that end with /; all without any."),
    ] = None,
    *,
    output: Annotated[Path, output_option("DIR", "The folder; made if it does not exist.")],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> int:
    """Write files of a pack into a folder, and never outside of it.

    Names that are not safe on every system are changed, and stderr says how. The exit code is 3 if some
    files were not written: damaged, or in the way of what exists.

    Examples:
      srcpack extract app.srcpack -o sources
      srcpack extract app.srcpack -o sources files/_/_/static/ files/_/_/main.js
    """
    with (
        about(output),
        open_one(pack) as opened,
        nullcontext(opened) if names else local_copy(opened) as source,
    ):
        report = extract_pack(source, output, names or (), force=force)
    if as_json:
        print_json(report.as_json())
    else:
        print_line(shown(f"{report.directory}: {files_text(report.files)} of {size_text(report.total_size)}"))
    warn([f"{report.pack}: {name!r} goes to {place!r}" for name, place in report.renamed.items()])
    warn(f"{report.pack}: {each.member!r} was not extracted: {each.reason}" for each in report.problems)
    if not report.problems:
        return 0
    return PARTLY if report.files else FAILED
