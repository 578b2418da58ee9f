"""The conversion of one bundle as the command line runs it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from srcpack.source.locations import is_url, without_secrets
from srcpack_convert.cli.arguments import check_output
from srcpack_convert.cli.describe import damage_text, lookups_text
from srcpack_convert.cli.terminal import (
    PARTLY,
    Failure,
    about,
    files_text,
    print_json,
    print_line,
    shown,
    size_text,
    warn,
)
from srcpack_convert.many.outputs import pack_name
from srcpack_convert.one.convert import convert_bundle
from srcpack_convert.one.convert_url import convert_url
from srcpack_convert.one.options import Options
from srcpack_convert.storage import check_destination, head, is_web

__all__ = ["convert_one"]


def convert_one(
    source: str,
    output: str | None,
    *,
    force: bool,
    as_json: bool,
    is_watched: bool,
    is_quiet: bool,
    options: Options,
    jobs: int,
) -> int:
    """Convert a bundle and return the exit code."""
    if output is None:
        if is_web(source):
            raise typer.BadParameter(f"{without_secrets(source)}: give --output, nothing is put beside it")
        output = pack_name(without_secrets(source))
    if is_url(output):
        check_destination(output)
        if not force and head(output) is not None:
            raise Failure(f"{without_secrets(output)}: it exists; --force replaces it")
    else:
        check_output(Path(output), force=force)
    run = convert_url if is_url(source) or is_url(output) else convert_bundle
    with about(output), _progress(is_shown=is_watched) as progress:
        report = run(source, output, options, jobs=jobs, progress=progress)
    if as_json:
        print_json(report.as_json())
    elif not is_quiet:
        print_line(
            shown(
                f"{report.output}: {files_text(report.files)} of {size_text(report.total_size)}"
                f"{damage_text(len(report.damaged))}{lookups_text(report.lookups)}; "
                f"zip {size_text(report.source_size)}, "
                f"pack {size_text(report.output_size)}, ratio {report.ratio:.3f}; {report.seconds:.1f} s"
            )
        )
    warn(f"{report.source}: {each.member!r} cannot be read: {each.reason}" for each in report.damaged)
    warn(
        f"{report.source}: {each.member!r} has no lookup table: {each.reason}"
        for each in report.without_lookup
    )
    return PARTLY if report.damaged else 0


@contextmanager
def _progress(*, is_shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what conversion tells its progress to; None where nobody watches."""
    if not is_shown or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("converting", total=None)

        def update(done: int, total: int) -> None:
            bar.update(
                task, completed=done, total=total, description="finishing" if done == total else "converting"
            )

        yield update
