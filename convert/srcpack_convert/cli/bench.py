"""The command that measures: `bench`."""

import os
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from srcpack import SrcpackError
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.bench.comparison import METHOD, Comparison, versions
from srcpack_convert.bench.comparison import bench as bench_bundle
from srcpack_convert.bench.figures import Row
from srcpack_convert.bench.measuring import Spread
from srcpack_convert.bench.plot import FORMATS, MOST_BUNDLES, PlotUnavailable, plot, require_matplotlib
from srcpack_convert.cli.arguments import ForceOption, JsonLinesOption, check_output, parse_file, parse_output
from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    Failure,
    about,
    complain,
    members_text,
    print_json,
    print_line,
    shown,
    size_text,
    status,
)
from srcpack_convert.many.capacity import cores
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS

_WIDTH = 80


def bench(
    bundles: Annotated[list[str], typer.Argument(metavar="ZIP", parser=parse_file, help="SourceBundles.")],
    *,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(PRESETS)}: what the packs are made with.",
            autocompletion=lambda: list(PRESETS),
        ),
    ] = DEFAULT_PRESET,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            max=86_400,
            help="How long to measure a bundle, after it was converted and compared.",
        ),
    ] = 15.0,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            max=64,
            help="Threads that read side by side; by default one for each core, at least 2.",
        ),
    ] = None,
    plot_to: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            parser=parse_output,
            help=f"Draw the ratios too: {', '.join(FORMATS)}, by its ending.",
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonLinesOption = False,
) -> int:
    """Measure your own SourceBundles, zip against pack.

    Each zip is converted into a temporary pack, every member is compared, and
    then both sides take turns. Members that zipfile and the pack do not give
    alike are left out and counted. Exit code 3 if some bundles could not be
    measured, 1 if none could. The plot needs matplotlib.

    Examples:
      srcpack bench app.zip
      srcpack bench *.zip --seconds 30 --plot bench.svg
      srcpack bench app.zip --json | jq .rows.read.ratio.median
    """
    if preset not in PRESETS:
        raise typer.BadParameter(f"--preset is one of {', '.join(PRESETS)}, not {preset!r}")
    if plot_to is not None:
        _check_plot(plot_to, len(bundles), force=force)
    done: list[Comparison] = []
    for each in bundles:
        try:
            with about(each), status() as tell:
                comparison = bench_bundle(
                    each,
                    preset=preset,
                    jobs=cores(),
                    threads=threads or max(2, cores()),
                    seconds=seconds,
                    progress=partial(_tell, tell, each),
                )
        except (SrcpackError, OSError) as error:
            complain(error)
            continue
        done.append(comparison)
        if as_json:
            print_json(comparison.as_json())
        else:
            _print_lines(_lines_of(comparison))
    if not done:
        return FAILED
    if not as_json:
        _print_lines(_method())
    if plot_to is not None:
        with about(plot_to), written_aside(plot_to) as (out, _):
            names = [shown(os.path.basename(one.bundle)) for one in done]
            plot(done, names, out, _ending(plot_to), made_with=_made_with())
    return PARTLY if len(done) < len(bundles) else 0


def _tell(tell: Callable[[str], None], bundle: str, text: str) -> None:
    tell(f"{bundle}: {text}")


def _check_plot(path: Path, bundles: int, *, force: bool) -> None:
    if _ending(path) not in FORMATS:
        raise typer.BadParameter(
            f"--plot takes a name that ends with {', '.join(FORMATS)}, not {str(path)!r}"
        )
    if bundles > MOST_BUNDLES:
        raise typer.BadParameter(f"--plot takes at most {MOST_BUNDLES} bundles, not {bundles:,}")
    check_output(path, force=force)
    try:
        require_matplotlib()
    except PlotUnavailable as error:
        raise Failure(str(error)) from error


def _ending(path: Path) -> str:
    return path.suffix[1:].lower()


def _print_lines(lines: Iterator[str]) -> None:
    for line in lines:
        print_line(line)


def _lines_of(comparison: Comparison) -> Iterator[str]:
    yield shown(comparison.bundle)
    yield (
        f"  converted once, preset {comparison.preset}: {comparison.conversion_seconds:.3g} s "
        f"with {comparison.jobs} thread{'' if comparison.jobs == 1 else 's'}"
    )
    yield (
        f"  the same bytes from both sides: {members_text(comparison.compared)}, "
        f"{size_text(comparison.compared_size)}"
    )
    for reason, number in comparison.left_out.items():
        yield f"  left out: {members_text(number)} {reason}"
    what = "URL" if comparison.keys == "url" else "path"
    line = f"  looked up by {what}: {comparison.keys_compared:,}"
    if comparison.keys_left_out:
        line += f"; {comparison.keys_left_out:,} left out, not answered alike"
    yield line
    if comparison.minified:
        yield (
            f"  minified files: {comparison.minified:,}, {comparison.with_map:,} of them with their map; "
            f"events: {comparison.replayed:,}"
        )
    yield f"  {comparison.rounds} rounds"
    yield ""
    yield f"{'median, quartiles':<27}{'zip':<18}{'pack':<18}{'zip : pack, pairs'}"
    for row in comparison.rows:
        yield _row_line(row)
    yield ""


def _row_line(row: Row) -> str:
    sides = f"{_figure_text(row.zip, row.unit):<18}{_figure_text(row.pack, row.unit):<18}"
    return f"{row.label:<27}{sides}{_ratio_text(row.ratio)}"


_UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}


def _figure_text(figure: Spread, unit: Literal["s", "bytes"]) -> str:
    """Return a median and its quartiles as people read them: `1.23 ms 1.2-1.3`."""
    scale, name = next((each for each in _UNITS[unit] if figure.median >= each[0]), _UNITS[unit][-1])
    text = f"{_digits(figure.median / scale)} {name}"
    if figure.samples > 1:
        text += f" {_digits(figure.q1 / scale)}-{_digits(figure.q3 / scale)}"
    return text


def _ratio_text(ratio: Spread) -> str:
    text = f"{_digits(ratio.median):>5}"
    return f"{text} {_digits(ratio.q1)}-{_digits(ratio.q3)}" if ratio.samples > 1 else text


def _digits(value: float) -> str:
    """Return a figure with three digits, and none cut off before the point."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def _method() -> Iterator[str]:
    yield from textwrap.wrap(METHOD.strip(), _WIDTH)
    yield from textwrap.wrap(f"{_made_with()}.", _WIDTH)


def _made_with() -> str:
    known = versions()
    return (
        f"{known['python']}, srcpack {known['srcpack']}, zstandard {known['zstandard']} "
        f"(libzstd {known['libzstd']}); {cores()} cores"
    )
