"""The commands between zips and packs: `convert` and `export`."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sourcepack.source_bundle import DEFAULT_LIMITS, Limits
from sourcepack_convert.conversion import convert as convert_bundle
from sourcepack_convert.exporting import export as export_pack
from sourcepack_convert.presets import DEFAULT_PRESET, PRESETS
from sourcepack_convert.report import DamageReport

from .arguments import (
    ForceOption,
    JsonOption,
    MaxFiles,
    MaxFileSize,
    MaxManifestSize,
    MaxTotalRatio,
    MaxTotalSize,
    PackArgument,
    check_output,
    cores,
    parse_bytes,
    parse_dictionary,
)
from .facts import damage_text
from .reading import open_one
from .terminal import PARTLY, about, files_text, print_json, print_line, shown, size_text, warn


def convert(
    source: Annotated[Path, typer.Argument(metavar="ZIP", help="A SourceBundle.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PACK", help="The pack; without it, beside the zip."),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(PRESETS)}: from fast to small; raw does not compress.",
            autocompletion=lambda: list(PRESETS),
        ),
    ] = DEFAULT_PRESET,
    level: Annotated[int | None, typer.Option(help="Level of zstd, in place of the preset's.")] = None,
    dictionary: Annotated[
        str,
        typer.Option(
            metavar="auto|off|BYTES|FILE",
            help="Train one where it pays; use none; train one of at most so many bytes; use this one.",
        ),
    ] = "auto",
    frame_size: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES", parser=parse_bytes, help="Bytes of content in a frame, in place of the preset's."
        ),
    ] = None,
    raw: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Store members with such names as they are. May be repeated."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Threads that compress; by default one for each core.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Read every file back and compare it with the zip.")
    ] = True,
    force: ForceOption = False,
    max_file_size: MaxFileSize = DEFAULT_LIMITS.max_file_size,
    max_total_size: MaxTotalSize = DEFAULT_LIMITS.max_total_size,
    max_manifest_size: MaxManifestSize = DEFAULT_LIMITS.max_manifest_size,
    max_total_ratio: MaxTotalRatio = DEFAULT_LIMITS.max_total_ratio,
    max_files: MaxFiles = DEFAULT_LIMITS.max_files,
    as_json: JsonOption = False,
) -> int:
    """Convert a SourceBundle zip into a pack.

    Members that cannot be read are recorded as damaged, and the exit code is 3.

    Examples:
      sourcepack convert app.zip
      sourcepack convert app.zip -o packs/app.srcpack --preset max
      sourcepack convert app.zip --raw '*.map' --jobs 2 --json
    """
    if output is None:
        output = source.with_suffix(".srcpack") if source.suffix == ".zip" else Path(f"{source}.srcpack")
    check_output(output, force=force)
    limits = Limits(
        max_file_size=max_file_size,
        max_total_size=max_total_size,
        max_manifest_size=max_manifest_size,
        max_total_ratio=max_total_ratio,
        max_files=max_files,
    )
    choice = parse_dictionary(dictionary)
    with about(output), _progress() as progress:
        report = convert_bundle(
            source,
            output,
            preset=preset,
            level=level,
            dictionary=choice,
            frame_size=frame_size,
            raw=raw or (),
            jobs=jobs or cores(),
            verify=verify,
            limits=limits,
            progress=progress,
        )
    if as_json:
        print_json(report.as_json())
    else:
        print_line(
            shown(
                f"{report.output}: {files_text(report.files)} of {size_text(report.total_size)}"
                f"{damage_text(len(report.damaged))}; zip {size_text(report.source_size)}, "
                f"pack {size_text(report.output_size)}, ratio {report.ratio:.3f}; {report.seconds:.1f} s"
            )
        )
    warn_of_damage(report.source, report.damaged, "cannot be read")
    return PARTLY if report.damaged else 0


def export(
    pack: PackArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="ZIP", help="The SourceBundle.")],
    stored: Annotated[
        bool, typer.Option("--stored", help="Store the members, in place of deflating them.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> int:
    """Turn a pack back into a SourceBundle zip with the same manifest and contents.

    Members that were damaged when the bundle was converted are left out, and the exit code is 3.

    Examples:
      sourcepack export app.srcpack -o app.zip
      sourcepack export app.srcpack -o app.zip --stored --force
    """
    check_output(output, force=force)
    with about(output), open_one(pack) as opened:
        report = export_pack(opened, output, stored=stored)
    if as_json:
        print_json(report.as_json())
    else:
        print_line(
            shown(
                f"{report.output}: {files_text(report.files)} of {size_text(report.total_size)}; "
                f"pack {size_text(report.source_size)}, zip {size_text(report.output_size)}; "
                f"{report.seconds:.1f} s"
            )
        )
    warn_of_damage(report.source, report.left_out, "is left out")
    return PARTLY if report.left_out else 0


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what conversion tells its progress to; None where nobody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
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


def warn_of_damage(file: str, damaged: Sequence[DamageReport], what: str) -> None:
    """Warn of members that could not be read."""
    warn(f"{file}: {each.member!r} {what}: {each.reason}" for each in damaged)
