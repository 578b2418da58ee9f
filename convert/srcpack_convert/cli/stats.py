"""The command over many packs: `stats`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from srcpack_convert.cli.arguments import (
    FilesFromOption,
    ForceOption,
    JsonOption,
    NullOption,
    PacksArgument,
    check_output,
    parse_output,
)
from srcpack_convert.cli.opening import named_packs
from srcpack_convert.cli.terminal import (
    PARTLY,
    Failure,
    about,
    complain,
    counted,
    escaped,
    files_text,
    print_json,
    print_line,
    seldom,
    shown,
    size_text,
    status,
)
from srcpack_convert.stats.index import ENDINGS, ParquetUnavailable, Row, require_pyarrow, written_index
from srcpack_convert.stats.statistics import Statistics, gather


def stats(
    packs: PacksArgument = None,
    *,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=parse_output,
            help="Write a row for each file: .parquet (needs pyarrow) or .jsonl, by the ending.",
        ),
    ] = None,
    force: ForceOption = False,
    files_from: FilesFromOption = None,
    null: NullOption = False,
    as_json: JsonOption = False,
) -> int:
    """Sum up many packs: sizes, ratios by type, duplicates, the largest files.

    Folders are searched through for packs, whatever their names; below an
    s3://, gs:// or az:// URL the packs are the objects named *.srcpack. With
    --index, a query engine can tell which packs have a debug id. Exit code 3
    if some packs could not be read, 1 if none could.

    Examples:
      srcpack stats packs/
      srcpack stats s3://bucket/packs/ --json | jq .duplicates
      srcpack stats packs/ --index files.parquet
    """
    if "-" in (packs or ()):
        raise typer.BadParameter("- is no pack; one of that name is ./-")
    if index is not None:
        _check_index(index, force=force)
    try:
        with named_packs(packs, files_from, null=null) as found, status() as tell, _written(index) as row:
            statistics = gather(found, failed=complain, row=row, progress=_progress(tell))
            if not statistics.packs and not statistics.files:
                raise Failure("no pack could be read")
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from error
    if as_json:
        print_json({**statistics.as_json(), "index": None if index is None else str(index)})
    else:
        for line in _lines(statistics):
            print_line(line)
        if index is not None:
            print_line(shown(f"index        {index}: {counted(statistics.rows, 'row', 'rows')}"))
    return PARTLY if statistics.failed else 0


def _check_index(path: Path, *, force: bool) -> None:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise typer.BadParameter(
            f"--index takes a name that ends with {' or '.join(ENDINGS)}, not {str(path)!r}"
        )
    check_output(path, force=force)
    if ending == ".parquet":
        try:
            require_pyarrow()
        except ParquetUnavailable as error:
            raise Failure(str(error)) from error


@contextmanager
def _written(path: Path | None) -> Iterator[Callable[[Row], None] | None]:
    if path is None:
        yield None
        return
    with about(path), written_index(path) as row:
        yield row


def _progress(tell: Callable[[str], None]) -> Callable[[str, Statistics], None]:
    show = seldom(tell)

    def progress(name: str, so_far: Statistics) -> None:
        show(f"{counted(so_far.packs, 'pack', 'packs')}, {files_text(so_far.files)}: {name}")

    return progress


def _lines(found: Statistics) -> Iterator[str]:
    packs = f"packs        {found.packs:,}, {size_text(found.pack_size)}"
    if found.failed:
        packs += f"; {found.failed:,} could not be read"
    yield packs
    if found.with_zip:
        made = f"{counted(found.with_zip, 'pack', 'packs')} made of them"
        share = _ratio(found.with_zip_size, found.zip_size)
        yield f"zips         {size_text(found.zip_size)}; {made}: {share} of that"
    total = found.total
    files = f"files        {found.files:,}, {size_text(total.size)}"
    if found.damaged:
        files += f"; {found.damaged:,} damaged, in {counted(found.packs_with_damage, 'pack', 'packs')}"
    yield files
    yield (
        f"contents     {found.content_count:,} distinct in their packs, {size_text(found.content_size)}, "
        f"stored in {size_text(total.stored_size)}"
    )
    twice = found.duplicates
    copies = counted(twice.copies, "copy", "copies")
    contents = counted(twice.contents, "content", "contents")
    yield (
        f"duplicates   {copies} of {contents} that another pack has too, "
        f"stored in {size_text(twice.stored_size)}"
    )
    if found.lookups or found.without_lookup:
        size = size_text(found.lookups_size)
        without = f"; {found.without_lookup:,} without" if found.without_lookup else ""
        yield f"lookups      {files_text(found.lookups)} with a table, stored in {size}{without}"
    yield ""
    yield _type_line("type", "files", "content", "stored", "ratio")
    rows = sorted(found.types.items())
    for name, each in [*rows, ("all", total)] if len(rows) > 1 else rows:
        yield _type_line(
            name,
            f"{each.files:,}",
            size_text(each.size),
            size_text(each.stored_size),
            _ratio(each.stored_size, each.size),
        )
    yield ""
    yield "largest files, equal ones once"
    for file in found.largest:
        yield escaped(f"{size_text(file.size):>9}  {file.pack}: {file.member}")


def _type_line(*cells: str) -> str:
    return f"{cells[0]:<20}" + "".join(f"{cell:>13}" for cell in cells[1:])


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"
