"""The command `check`."""

from srcpack import SrcpackError
from srcpack.resolve.check import check as find_out
from srcpack_convert.cli.arguments import JsonLinesOption, PacksOrZipsArgument
from srcpack_convert.cli.opening import name_of, open_one
from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    about,
    complain,
    described,
    print_json,
    print_line,
    shown,
)


def check(packs: PacksOrZipsArgument, *, as_json: JsonLinesOption = False) -> int:
    """Find what is wrong with bundles before an event finds out.

    Scripts without a map, references that lead nowhere, maps whose sources are missing, debug ids that
    differ between script and map, files with one key, maps that symbolic refuses, content that is damaged,
    too large or not UTF-8. Exit code 3 if something was found, 1 if a bundle could not be read.

    Examples:
      srcpack check app.zip
      srcpack check *.srcpack --json | jq -r .kind | sort | uniq -c
    """
    found = failures = 0
    for each in packs:
        name = name_of(each)
        try:
            with about(name), open_one(each) as pack:
                for finding in find_out(pack):
                    found += 1
                    if as_json:
                        print_json({"pack": name, **finding._asdict()})
                    else:
                        print_line(shown(f"{name}: {finding.kind}: {finding.member!r}: {finding.says}"))
        except SrcpackError as error:
            complain(str(error))
            failures += 1
        except OSError as error:
            complain(described(error))
            failures += 1
    if failures:
        return FAILED
    return PARTLY if found else 0
