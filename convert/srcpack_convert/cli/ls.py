"""The command `ls`."""

from typing import Annotated

import typer

from srcpack_convert.cli.arguments import JsonLinesOption, PackOrZipArgument
from srcpack_convert.cli.describe import LONG_HEADER, entry_facts, long_line
from srcpack_convert.cli.opening import open_one
from srcpack_convert.cli.terminal import Failure, escaped, print_json, print_line


def ls(
    pack: PackOrZipArgument,
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
      srcpack ls app.srcpack
      srcpack ls app.srcpack files/_/_/static/ --long
      srcpack ls app.srcpack --json | jq -r .url
    """
    found = False
    with open_one(pack) as opened:
        for entry in opened.find_prefix(prefix):
            if long and not found and not as_json:
                print_line(LONG_HEADER)
            found = True
            if as_json:
                print_json(entry_facts(entry))
            else:
                print_line(long_line(entry) if long else escaped(entry.name))
        if prefix and not found:
            raise Failure(f"{opened.file}: no entry whose name begins with {prefix!r}")
    return 0
