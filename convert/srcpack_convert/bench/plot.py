"""The plot of `srcpack bench --plot`, by matplotlib, which is imported when one is asked for."""

import warnings
from collections.abc import Sequence
from statistics import median
from typing import Any, BinaryIO

from srcpack_convert.bench.comparison import Comparison
from srcpack_convert.bench.measuring import Spread

__all__ = ["FORMATS", "MOST_BUNDLES", "PlotUnavailable", "plot", "require_matplotlib"]

FORMATS = ("pdf", "png", "svg")
MOST_BUNDLES = 50
"""Bundles in one plot; of more, nobody could read it."""

_MOST_NAMED = 10
"""Bundles that have colours of their own, and names; of more there would be too many."""

_PACK, _ZIP, _EQUAL, _GRID = "#2a78b5", "#d1711b", "#555555", "#dddddd"
_LONGEST_NAME = 60
_BAND = 0.62
"""The part of a row that points take."""


class PlotUnavailable(Exception):
    """matplotlib is not installed."""


def require_matplotlib() -> Any:
    """Return matplotlib's class of figures, which needs no display, else raise PlotUnavailable."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError as error:
        raise PlotUnavailable(
            f"a plot needs matplotlib ({error}): pip install 'srcpack[plot]', or leave --plot out"
        ) from error
    return Figure


def plot(
    comparisons: Sequence[Comparison],
    names: Sequence[str],
    out: BinaryIO,
    file_format: str,
    *,
    made_with: str = "",
) -> None:
    """Draw the ratios on a scale of factors: a row for each measure, a point and quartiles for each bundle.

    `names` is what to call the bundles, `file_format` one of `FORMATS`; `made_with`, versions and machine, is
    told below.
    """
    names = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..." for name in names]
    labels = list(dict.fromkeys(row.label for each in comparisons for row in each.rows))
    spacing = 0.34 + 0.03 * min(len(comparisons), 12)
    has_legend = 1 < len(comparisons) <= _MOST_NAMED
    height = spacing * len(labels) + 1.3 + (0.17 * len(comparisons) if has_legend else 0)
    figure = require_matplotlib()(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    for number, comparison in enumerate(comparisons):
        shift = _BAND * ((number + 0.5) / len(comparisons) - 0.5)
        _draw(axes, comparison, labels, shift, f"C{number}" if has_legend else None)
    if len(comparisons) > 1:
        _draw_medians(axes, comparisons, labels)
    _dress(axes, labels)
    _head(axes, comparisons, names)
    if has_legend:
        handles = [
            axes.plot([], [], "o", color=f"C{number}", markersize=4)[0] for number in range(len(names))
        ]
        legend = figure.legend(handles, names, loc="outside lower left", fontsize=7, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    axes.set_xlabel(
        "zip over pack, times (size, memory, time): right of 1 the pack is better; lines are quartiles\n"
        + made_with,
        fontsize=8,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of a name in a script that the font lacks
        figure.savefig(out, format=file_format, dpi=150)


def _draw(axes: Any, comparison: Comparison, labels: Sequence[str], shift: float, color: str | None) -> None:
    for row in comparison.rows:
        ratio, at = row.ratio, labels.index(row.label) + shift
        own = color or (_PACK if ratio.median >= 1 else _ZIP)
        axes.plot([ratio.q1, ratio.q3], [at, at], color=own, linewidth=1.2, alpha=0.6)
        axes.plot([ratio.median], [at], "o", color=own, markersize=4)


def _draw_medians(axes: Any, comparisons: Sequence[Comparison], labels: Sequence[str]) -> None:
    for at, label in enumerate(labels):
        found = median(row.ratio.median for each in comparisons for row in each.rows if row.label == label)
        axes.plot([found, found], [at - _BAND / 2, at + _BAND / 2], color="black", linewidth=1)


def _dress(axes: Any, labels: Sequence[str]) -> None:
    axes.set_xscale("log")
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.axvline(1, color=_EQUAL, linewidth=0.8)
    axes.margins(x=0.12)
    axes.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _head(axes: Any, comparisons: Sequence[Comparison], names: Sequence[str]) -> None:
    """Say what was measured; of one bundle also each figure."""
    first = comparisons[0]
    title = f"{len(names)} bundles, preset {first.preset}; black: the median over them"
    if len(names) == 1:
        title = f"{names[0]}: {first.compared:,} files, preset {first.preset}"
        for at, row in enumerate(first.rows):
            axes.annotate(
                _factor(row.ratio),
                (max(row.ratio.q3, row.ratio.median), at),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    # A name is a stranger's: a dollar in it begins no formula.
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)


def _factor(ratio: Spread) -> str:
    return f"{ratio.median:.3g}" if ratio.median < 1000 else f"{ratio.median:,.0f}"
