"""The command `check`: how good a bundle is, for people; `verify` holds bytes against SPEC.md."""

from srcpack.resolve.check import check as find_out
from srcpack_convert.cli.arguments import FilesFromOption, JsonLinesOption, NullOption, PacksOrZipsArgument
from srcpack_convert.cli.opening import name_of, named_packs, open_one
from srcpack_convert.cli.terminal import FAILED, PARTLY, Failure, Failures, print_json, print_line, shown


def check(
    packs: PacksOrZipsArgument = None,
    *,
    files_from: FilesFromOption = None,
    null: NullOption = False,
    as_json: JsonLinesOption = False,
) -> int:
    """Find what is wrong with bundles before an event finds out.

    Scripts without a map, references that lead nowhere, maps whose sources are missing, debug ids that
    differ between script and map, files with one key, maps that symbolic refuses, content that is damaged,
    too large or not UTF-8. Exit code 3 if something was found, 1 if a bundle could not be read.

    Examples:
      srcpack check app.zip
      srcpack check bundles/ --json | jq -r .kind | sort | uniq -c
    """
    count = read = 0
    failures = Failures()
    with named_packs(packs, files_from, null=null, with_zips=True) as found:
        for each in found:
            name = name_of(each.place)
            with failures.told(name), open_one(each.checked()) as pack:
                read += 1
                for finding in find_out(pack):
                    count += 1
                    if as_json:
                        print_json({"pack": name, **finding._asdict()})
                    else:
                        print_line(shown(f"{name}: {finding.kind}: {finding.member!r}: {finding.says}"))
    if failures.count:
        return FAILED
    if not read:
        raise Failure("no pack is named")
    return PARTLY if count else 0
