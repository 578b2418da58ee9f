"""The command `find`."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated

import typer

from srcpack import Catalog, DebugId, Entry, FileType, SourceLink, SrcpackError
from srcpack_convert.cli.arguments import (
    DebugIdOption,
    FilesFromOption,
    JsonLinesOption,
    NullOption,
    PacksOrZipsArgument,
    PathOption,
    UrlOption,
    check_selectors,
    check_type,
    file_option,
)
from srcpack_convert.cli.describe import damage_mark, entry_facts
from srcpack_convert.cli.opening import look_up, name_of, named_packs, near_miss, open_one
from srcpack_convert.cli.terminal import FAILED, PARTLY, Failures, escaped, json_line, print_line, say
from srcpack_convert.inputs.packs import FoundPack

_MOST_ASKED_AGAIN = 100
"""Packs that are looked through for a name that is near, where none has what was asked for."""


def find(
    packs: PacksOrZipsArgument = None,
    *,
    url: UrlOption = None,
    path: PathOption = None,
    debug_id: DebugIdOption = None,
    file_type: Annotated[
        FileType | None, typer.Option("--type", help="Type of the file, with --debug-id; without it, any.")
    ] = None,
    catalog: Annotated[
        str | None, file_option("Open the packs that have it by a catalog, and no others.")
    ] = None,
    files_from: FilesFromOption = None,
    null: NullOption = False,
    as_json: JsonLinesOption = False,
) -> int:
    """Find which packs have a file, and as which member.

    Exit code 1 if none has it: then a line on stderr says which URL or path is nearest to the one asked for;
    3 if one has it, but another could not be read.

    Examples:
      srcpack find *.srcpack --url '~/static/app.min.js'
      srcpack find packs/ --path src/main.c
      srcpack find 's3://bucket/packs/' --debug-id 5e618b9f-54a9-4389-b196-519819dd7c47
      srcpack find --catalog catalog.db --url '~/static/app.min.js'
    """
    check_selectors({"--url": url, "--path": path, "--debug-id": debug_id})
    check_type(file_type, debug_id)
    if debug_id is not None:
        DebugId.parse(debug_id)
    hits = 0
    failures = Failures()
    asked: list[str] = []
    are_all = catalog is None
    with ExitStack() as stack:
        if catalog is None:
            found = stack.enter_context(named_packs(packs, files_from, null=null, with_zips=True))
        elif packs or files_from is not None:
            raise typer.BadParameter("give packs or a --catalog, not both")
        else:
            found = _cataloged(catalog, url, debug_id, file_type)
        for each in found:
            name = name_of(each.place)
            lines: list[str] | None = None
            with failures.told(name), open_one(each.checked()) as pack:
                files = look_up(pack, url, path, debug_id, [file_type] if file_type else FileType)
                lines = [_hit_line(name, hit, as_json=as_json) for hit in files]
            if lines is None:
                continue
            if len(asked) < _MOST_ASKED_AGAIN:
                asked.append(each.place)
            else:
                are_all = False
            hits += len(lines)
            for line in lines:
                print_line(line)
    if not hits:
        _tell_nearest(asked, url, path, are_all=are_all and not failures.count)
        return FAILED
    return PARTLY if failures.count else 0


def _cataloged(
    catalog: str, url: str | None, debug_id: str | None, file_type: FileType | None
) -> Iterator[FoundPack]:
    """Return the packs that have a file by what a catalog says."""
    if url is None and debug_id is None:
        raise typer.BadParameter("a catalog has no paths; give a --url or a --debug-id")
    with Catalog(catalog) as known:
        packs = known.by_url(url) if url is not None else known.by_debug_id(debug_id or "", file_type)
    return (FoundPack(pack.place) for pack in packs)


def _tell_nearest(packs: list[str], url: str | None, path: str | None, *, are_all: bool) -> None:
    """Say what the first pack has that has anything like the file."""
    if url is None and path is None:
        return
    wanted = f"the path {path!r}" if url is None else f"the URL {url!r}"
    for each in packs:
        try:
            with open_one(each) as pack:
                near = near_miss(pack, url, path)
        except (SrcpackError, OSError):
            are_all = False  # it came through a pipe
            continue
        if near is not None:
            say(f"no file has {wanted}; {name_of(each)} has {near}")
            return
    if are_all:
        say(f"no file has {wanted}, or a name like it")


def _hit_line(pack: str, hit: Entry | SourceLink, *, as_json: bool) -> str:
    if isinstance(hit, SourceLink):
        if as_json:
            return json_line({"pack": pack, "source_link": hit.url})
        return escaped(f"{pack}: source link {hit.url}")
    if as_json:
        return json_line({"pack": pack, **entry_facts(hit)})
    return escaped(f"{pack}: {hit.name}{damage_mark(hit)}")
