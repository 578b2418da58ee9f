"""The command `catalog`."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from srcpack.source.locations import path_or_url
from srcpack_convert.cli.arguments import JsonOption, PacksArgument, output_option
from srcpack_convert.cli.terminal import (
    PARTLY,
    Failure,
    about,
    complain,
    counted,
    print_json,
    print_line,
    seldom,
    shown,
    status,
)
from srcpack_convert.inputs.names import check_name
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import CatalogReport, update_catalog


def catalog(
    packs: PacksArgument,
    *,
    output: Annotated[
        Path, output_option("FILE", "The catalog, an SQLite file: made, or brought up to date.")
    ],
    as_json: JsonOption = False,
) -> int:
    """Keep a table of many packs: which have a debug id, URL or release.

    Packs whose size and time of change, or ETag, are as in the catalog are
    not opened again; packs that are in none of the inputs any more go. Bad
    packs are reported, and the rest goes on. Of an input that cannot be
    listed, or has no pack, the catalog keeps what it has. The old catalog is
    there until the new one is whole. Exit code 3 if some packs could not be
    read or some inputs not be listed, 1 if there is no pack.

    Examples:
      srcpack catalog packs/ -o catalog.db
      srcpack catalog s3://bucket/packs/ more/ -o catalog.db --json
    """
    for each in packs or ():
        if each == "-":
            raise typer.BadParameter("- is no pack; one of that name is ./-")
        check_name(each)
        path_or_url(each)  # a mistake is told before anything is done
    if not output.parent.is_dir():
        raise Failure(f"{output}: there is no folder {str(output.parent)!r}")
    try:
        with status() as tell, about(output):
            show = seldom(tell)

            def progress(name: str, so_far: CatalogReport) -> None:
                show(f"{so_far.unchanged:,} unchanged, {so_far.read:,} read: {name}")

            report = update_catalog(output, find_packs(packs or ()), failed=complain, progress=progress)
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from error
    if not report.packs:
        raise Failure("no pack could be read")
    if as_json:
        print_json({"catalog": str(output), **asdict(report)})
    else:
        for line in _lines(str(output), report):
            print_line(shown(line))
    return PARTLY if report.failed else 0


def _lines(output: str, report: CatalogReport) -> Iterator[str]:
    yield f"catalog      {output}: {counted(report.packs, 'pack', 'packs')}"
    yield f"read         {report.read:,}; {report.unchanged:,} unchanged, {report.removed:,} removed"
    if report.failed:
        failed = f"failed       {counted(report.failed, 'pack or input', 'packs or inputs')}"
        yield failed + (f"; {report.kept:,} below it kept as known" if report.kept else "")
