"""The command `verify`: a pack's bytes against SPEC.md; `check` tells people how good a bundle is."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Annotated, Any

import typer

import srcpack
from srcpack import Pack, SrcpackError
from srcpack.bundle.members import DEFAULT_LIMITS, Limits, SourceBundle
from srcpack.source.hashing import sha256_of
from srcpack_convert.back.compare import compare
from srcpack_convert.cli.arguments import (
    FilesFromOption,
    JsonLinesOption,
    MaxFiles,
    MaxFileSize,
    MaxManifestSize,
    MaxTotalRatio,
    MaxTotalSize,
    NullOption,
    PacksArgument,
    parse_file,
)
from srcpack_convert.cli.describe import counts
from srcpack_convert.cli.opening import name_of, named_packs, open_whole
from srcpack_convert.cli.terminal import (
    FAILED,
    Failure,
    about,
    described,
    files_text,
    members_text,
    print_json,
    print_line,
    shown,
    size_text,
    some,
)


def verify(
    packs: PacksArgument = None,
    *,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="ZIP", parser=parse_file, help="The SourceBundle that the one pack was made from."
        ),
    ] = None,
    max_file_size: MaxFileSize = DEFAULT_LIMITS.max_file_size,
    max_total_size: MaxTotalSize = DEFAULT_LIMITS.max_total_size,
    max_manifest_size: MaxManifestSize = DEFAULT_LIMITS.max_manifest_size,
    max_total_ratio: MaxTotalRatio = DEFAULT_LIMITS.max_total_ratio,
    max_files: MaxFiles = DEFAULT_LIMITS.max_files,
    files_from: FilesFromOption = None,
    null: NullOption = False,
    as_json: JsonLinesOption = False,
) -> int:
    """Check every checksum, every SHA-256 and every rule of the format.

    With --against, also compare every file, every fact of the manifest and every lookup with the zip. It may
    be another zip than the pack was made from, which is told, if it gives the same answers. A zip that
    symbolic refuses over metadata alone is compared without what it refuses.

    Examples:
      srcpack verify packs/
      srcpack verify app.srcpack --against app.zip
    """
    limits = Limits(
        max_file_size=max_file_size,
        max_total_size=max_total_size,
        max_manifest_size=max_manifest_size,
        max_total_ratio=max_total_ratio,
        max_files=max_files,
    )
    code = 0
    with ExitStack() as stack:
        found = stack.enter_context(named_packs(packs, files_from, null=null))
        bundle = None
        if against is not None:
            first = list(islice(found, 2))
            if len(first) != 1:
                raise typer.BadParameter("--against takes one pack")
            found = iter(first)
            bundle = stack.enter_context(SourceBundle(against, limits=limits, lenient=True))
        read = 0
        for read, each in enumerate(found, 1):  # noqa: B007  to see if there is any
            name = name_of(each.place)
            problems: list[str] = []
            facts: dict[str, Any] = {}
            try:
                with about(name), open_whole(each.checked()) as pack:
                    facts = counts(pack)
                    problems += map(str, srcpack.verify(pack))
                    if bundle is not None and not problems:
                        facts |= _digests(pack, bundle)
                        problems += map(str, compare(pack, bundle))
            except (SrcpackError, OSError, ValueError) as error:
                problems.append(described(error))
            if problems:
                code = FAILED
            _print_verdict(name, facts, problems, against=against, as_json=as_json)
        if not read:
            raise Failure("no pack is named")
    return code


def _digests(pack: Pack, bundle: SourceBundle) -> dict[str, str | None]:
    """Return the SHA-256 of a zip, and the one that a pack records of what it was made from, in hex."""
    recorded = pack.bundle.source.get("sha256")
    return {
        "against_sha256": sha256_of(bundle.source).hex(),
        "source_sha256": recorded.hex() if isinstance(recorded, bytes) else None,
    }


def _print_verdict(
    pack: str, facts: Mapping[str, Any], problems: Sequence[str], *, against: str | None, as_json: bool
) -> None:
    if as_json:
        verdict = {"pack": pack, "ok": not problems, **facts, "problems": list(problems)}
        if against is not None:
            verdict["against"] = against
        print_json(verdict)
        return
    found, recorded = facts.get("against_sha256"), facts.get("source_sha256")
    another = ""
    if recorded not in (None, found):
        another = f"made from another zip: SHA-256 found {found}, expected {recorded}"
    if problems:
        if another:
            print_line(shown(f"{pack}: {another}"))
        some(problems, lambda line: print_line(shown(line)))
        return
    line = f"{pack}: ok, {files_text(facts['files'])} of {size_text(facts['total_size'])}"
    if against is not None:
        line += f", equal to {against}"
    if another:
        line += f"; {another}"
    if facts["damaged"]:
        line += f"; {members_text(facts['damaged'])} could not be read when it was made"
    print_line(shown(line))
