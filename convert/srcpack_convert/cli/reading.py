"""The commands that read packs."""

import errno
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

import srcpack
from srcpack import DebugId, Entry, FileType, Pack, SourceLink, SrcpackError
from srcpack.bundle.members import DEFAULT_LIMITS, Limits, SourceBundle
from srcpack.opening import open_packed
from srcpack.source.object_stores import path_or_url
from srcpack.source.remote import local_copy
from srcpack_convert.back.compare import compare
from srcpack_convert.back.extract import extract as extract_pack
from srcpack_convert.cli.arguments import (
    DebugIdOption,
    ForceOption,
    JsonLinesOption,
    JsonOption,
    MaxFiles,
    MaxFileSize,
    MaxManifestSize,
    MaxTotalRatio,
    MaxTotalSize,
    PackArgument,
    PackOrZipArgument,
    PacksArgument,
    PacksOrZipsArgument,
    PathOption,
    UrlOption,
    check_selectors,
    parse_output,
)
from srcpack_convert.cli.describe import (
    content_facts,
    counts,
    damage_mark,
    entry_facts,
    fact_lines,
    facts_of_pack,
    long_line,
)
from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    Failure,
    about,
    complain,
    described,
    escaped,
    files_text,
    json_line,
    members_text,
    print_json,
    print_line,
    shown,
    size_text,
    some,
    warn,
    writing,
)


def info(pack: PackArgument, *, as_json: JsonOption = False) -> None:
    """Show what a pack is: sizes, sections, attributes, what it was made from and by.

    Examples:
      srcpack info app.srcpack
      srcpack info app.srcpack --json | jq .attributes.release
    """
    with _open_packed(pack) as opened:
        facts = facts_of_pack(opened)
    if as_json:
        print_json(facts)
        return
    for name, value in fact_lines(facts):
        print_line(f"{shown(name):<20}  {shown(value)}")


def list_entries(
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
            found = True
            if as_json:
                print_json(entry_facts(entry))
            else:
                print_line(long_line(entry) if long else escaped(entry.name))
        if prefix and not found:
            raise Failure(f"{opened.file}: no entry whose name begins with {prefix!r}")
    return 0


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
    as_json: JsonOption = False,
) -> None:
    """Write the content of one file to stdout, and nothing else.

    With --json, an object that has name, size, sha256, encoding and content: utf-8 text, else base64.

    Examples:
      srcpack cat app.srcpack files/_/_/static/app.min.js
      srcpack cat app.srcpack --url '~/static/app.min.js' > app.min.js
      srcpack cat app.srcpack --debug-id 5e618b9f-54a9-4389-b196-519819dd7c47 --type source_map
    """
    check_selectors({"NAME": name, "--url": url, "--path": path, "--debug-id": debug_id})
    _check_type(file_type, debug_id)
    if debug_id is not None and file_type is None:
        raise typer.BadParameter(f"--debug-id needs --type: {', '.join(FileType)}")
    with open_one(pack) as opened:
        if name is not None:
            found: Entry | SourceLink | None = opened[name]
        else:
            found = next(iter(_look_up(opened, url, path, debug_id, [file_type] if file_type else [])), None)
        if found is None:
            wanted = f"the URL {url!r}" if url is not None else f"the path {path!r}"
            if debug_id is not None:
                wanted = f"the debug id {debug_id} and the type {file_type}"
            raise Failure(f"{opened.file}: no entry has {wanted}")
        if isinstance(found, SourceLink):
            raise Failure(
                f"{opened.file}: the path {path!r} is not in it, but has a source link: {found.url}"
            )
        if as_json:
            print_json(content_facts(found))
        else:
            for part in found.parts():
                with writing("<stdout>"):
                    sys.stdout.buffer.write(part)


def find(
    packs: PacksOrZipsArgument,
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
      srcpack find *.srcpack --url '~/static/app.min.js'
      srcpack find *.srcpack --path src/main.c
      srcpack find *.srcpack --debug-id 5e618b9f-54a9-4389-b196-519819dd7c47
    """
    check_selectors({"--url": url, "--path": path, "--debug-id": debug_id})
    _check_type(file_type, debug_id)
    if debug_id is not None:
        DebugId.parse(debug_id)
    hits = failures = 0
    for each in packs:
        try:
            with about(each), open_one(each) as pack:
                found = _look_up(pack, url, path, debug_id, [file_type] if file_type else FileType)
                lines = [_hit_line(each, hit, as_json=as_json) for hit in found]
        except SrcpackError as error:
            complain(str(error))
            failures += 1
            continue
        except OSError as error:
            complain(described(error))
            failures += 1
            continue
        hits += len(lines)
        for line in lines:
            print_line(line)
    if not hits:
        return FAILED
    return PARTLY if failures else 0


def extract(
    pack: PackOrZipArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Names, or prefixes that end with /; all without any."),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            parser=parse_output,
            help="The folder; made if it does not exist.",
        ),
    ],
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
    with about(output), open_one(pack) as opened, nullcontext(opened) if names else _near(opened) as near:
        report = extract_pack(near, output, names or (), force=force)
    if as_json:
        print_json(report.as_json())
    else:
        print_line(shown(f"{report.directory}: {files_text(report.files)} of {size_text(report.total_size)}"))
    warn([f"{report.pack}: {name!r} goes to {place!r}" for name, place in report.renamed.items()])
    warn(f"{report.pack}: {each.member!r} was not extracted: {each.reason}" for each in report.problems)
    if not report.problems:
        return 0
    return PARTLY if report.files else FAILED


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

    With --against, also compare every file, every fact of the manifest and every lookup with the zip. It may
    be another zip than the pack was made from, which is told, if it gives the same answers.

    Examples:
      srcpack verify *.srcpack
      srcpack verify app.srcpack --against app.zip
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
                with about(each), open_whole(each) as pack:
                    facts = counts(pack)
                    problems += map(str, srcpack.verify(pack))
                    if bundle is not None and not problems:
                        facts |= _digests(pack, bundle)
                        problems += map(str, compare(pack, bundle))
            except SrcpackError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(described(error))
            if problems:
                code = FAILED
            _print_verdict(each, facts, problems, against=against, as_json=as_json)
    return code


def open_one(path: str) -> Pack:
    """Open a pack for a command, or a SourceBundle zip behind the same interface."""
    _refuse_folder(path)
    # By `pread`: a map would end the process if someone cut the file.
    return srcpack.open(path, source="pread")


def _open_packed(path: str) -> Pack:
    """Open a pack for a command that tells of what only packs have."""
    _refuse_folder(path)
    return open_packed(path, source="pread")


def _refuse_folder(path: str) -> None:
    if os.path.isdir(path_or_url(path)):
        raise IsADirectoryError(errno.EISDIR, "it is a folder; name the packs in it", path)


@contextmanager
def open_whole(path: str) -> Iterator[Pack]:
    """Open a pack for a command that reads all of it: one at a URL out of a copy, not file by file."""
    with _open_packed(path) as pack, _near(pack) as near:
        yield near


def _near(pack: Pack) -> AbstractContextManager[Pack]:
    return local_copy(pack) if pack.source.distant else nullcontext(pack)


def _check_type(file_type: FileType | None, debug_id: str | None) -> None:
    if file_type is not None and debug_id is None:
        raise typer.BadParameter("--type is only for --debug-id")


def _look_up(
    pack: Pack, url: str | None, path: str | None, debug_id: str | None, types: Iterable[FileType]
) -> Iterator[Entry | SourceLink]:
    found: list[Entry | SourceLink | None] = []
    if url is not None:
        found.append(pack.by_url(url))
    if path is not None:
        found.append(pack.by_path(path))
    if debug_id is not None:
        found += (pack.by_debug_id(debug_id, file_type) for file_type in types)
    return (hit for hit in found if hit is not None)


def _hit_line(pack: str, hit: Entry | SourceLink, *, as_json: bool) -> str:
    if isinstance(hit, SourceLink):
        if as_json:
            return json_line({"pack": pack, "source_link": hit.url})
        return escaped(f"{pack}: source link {hit.url}")
    if as_json:
        return json_line({"pack": pack, **entry_facts(hit)})
    return escaped(f"{pack}: {hit.name}{damage_mark(hit)}")


def _digests(pack: Pack, bundle: SourceBundle) -> dict[str, str | None]:
    """Return the SHA-256 of a zip, and the one that a pack records of what it was made from, in hex."""
    with open(bundle.file, "rb") as file:
        found = hashlib.file_digest(file, "sha256")
    recorded = pack.bundle.source.get("sha256")
    return {
        "against_sha256": found.hexdigest(),
        "source_sha256": recorded.hex() if isinstance(recorded, bytes) else None,
    }


def _print_verdict(
    pack: str, facts: Mapping[str, Any], problems: Sequence[str], *, against: Path | None, as_json: bool
) -> None:
    if as_json:
        verdict = {"pack": pack, "ok": not problems, **facts, "problems": list(problems)}
        if against is not None:
            verdict["against"] = str(against)
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
