"""The command `info`."""

from srcpack_convert.cli.arguments import JsonOption, PackArgument
from srcpack_convert.cli.describe import fact_lines, facts_of_pack
from srcpack_convert.cli.opening import open_pack
from srcpack_convert.cli.terminal import print_json, print_line, shown


def info(pack: PackArgument, *, as_json: JsonOption = False) -> None:
    """Show what a pack is: sizes, sections, attributes, what it was made from and by.

    Examples:
      srcpack info app.srcpack
      srcpack info app.srcpack --json | jq .attributes.release
    """
    with open_pack(pack) as opened:
        facts = facts_of_pack(opened)
    if as_json:
        print_json(facts)
        return
    for name, value in fact_lines(facts):
        print_line(f"{shown(name):<20}  {shown(value)}")
