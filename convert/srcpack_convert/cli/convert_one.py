"""The conversion of one bundle as the command line runs it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from srcpack.source.locations import is_url, is_web, path_or_url, without_secrets
from srcpack_convert.cli.arguments import check_output
from srcpack_convert.cli.describe import damage_text, lookups_text
from srcpack_convert.cli.terminal import (
    PARTLY,
    Failure,
    about,
    bytes_from_stdin,
    bytes_to_stdout,
    files_text,
    print_json,
    print_line,
    say,
    shown,
    size_text,
    warn,
)
from srcpack_convert.many.outputs import pack_name
from srcpack_convert.many.reports import SkipReport, status_json
from srcpack_convert.many.tasks import Task
from srcpack_convert.many.up_to_date import fits, is_of, skipped
from srcpack_convert.one.convert import convert_bundle
from srcpack_convert.one.existing import facts_at
from srcpack_convert.one.options import Options
from srcpack_convert.storage import check_destination, head

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
    """Convert a bundle and return the exit code; `-` is standard input or output."""
    if output is None:
        if is_web(source) or source == "-":
            raise typer.BadParameter(f"{without_secrets(source)}: give --output, nothing is put beside it")
        output = pack_name(without_secrets(source))
    if output == "-":
        if as_json:
            raise typer.BadParameter("--json: stdout gets the pack")
    elif _exists(output) and not force:
        skipped = None if source == "-" else _up_to_date(source, output, options)
        if skipped is None:
            raise Failure(f"{without_secrets(output)}: it exists; --force replaces it")
        if as_json:
            print_json(status_json(skipped))
        elif not is_quiet:
            print_line(shown(f"{skipped.output}: up to date"))
        return 0
    src = bytes_from_stdin("a bundle") if source == "-" else source
    dst = bytes_to_stdout("a pack") if output == "-" else output
    with about(output), _progress(is_shown=is_watched) as progress:
        report = convert_bundle(src, dst, options, force=force, jobs=jobs, progress=progress)
    if as_json:
        print_json(status_json(report))
    elif not is_quiet:
        tell = say if output == "-" else print_line
        tell(
            shown(
                f"{report.output}: {files_text(report.files)} of {size_text(report.total_size)}"
                f"{damage_text(len(report.damaged))}{lookups_text(report.lookups)}; "
                f"zip {size_text(report.source_size)}, "
                f"pack {size_text(report.output_size)}, ratio {report.ratio:.3f}; {report.seconds:.1f} s"
            )
        )
    if report.refused is not None:
        warn([f"{report.source}: symbolic refuses it: {report.refused}"])
    warn(f"{report.source}: {each.member!r} cannot be read: {each.reason}" for each in report.damaged)
    warn(
        f"{report.source}: {each.member!r} has no lookup table: {each.reason}"
        for each in report.without_lookup
    )
    return PARTLY if report.damaged else 0


def _exists(output: str) -> bool:
    """Return whether something is at an output; refuse one that no pack can be written to."""
    if is_url(output):
        check_destination(output)
        return head(output) is not None
    path = Path(path_or_url(output))
    check_output(path, force=True)
    return path.exists()


def _up_to_date(source: str, output: str, options: Options) -> SkipReport | None:
    """Return the report of a pack that is what the conversion would give; None if it is something else."""
    started = time.perf_counter()
    folder, name = os.path.split(path_or_url(output))
    task = Task(
        source=path_or_url(source), destination=folder, name=name, size=None, stamp="", options=options
    )
    try:
        facts = facts_at(task.output)
    except FileExistsError:
        return None
    if facts is None or not fits(task, facts) or not is_of(task, facts):
        return None
    return replace(skipped(task, facts, started), output=without_secrets(output))


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
