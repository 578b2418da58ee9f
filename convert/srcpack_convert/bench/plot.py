"""The plot of `srcpack bench --plot`, by matplotlib, which is imported when one is asked for."""

import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO

from srcpack_convert.bench.comparison import Comparison
from srcpack_convert.bench.measuring import Spread

__all__ = ["FORMATS", "MOST_PANELS", "PlotUnavailable", "plot", "require_matplotlib"]

FORMATS = ("pdf", "png", "svg")
MOST_PANELS = 50
"""Bundles in one plot; of more, nobody could read it."""

_PACK, _ZIP, _EQUAL = "#2a78b5", "#d1711b", "#555555"


class PlotUnavailable(Exception):
    """matplotlib is not installed."""


def require_matplotlib() -> Any:
    """Return matplotlib's class of figures, which needs no display.

    Raises:
        PlotUnavailable: It is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError as error:
        raise PlotUnavailable(
            f"a plot needs matplotlib ({error}): pip install 'srcpack[plot]', or leave --plot out"
        ) from error
    return Figure


def plot(comparisons: Sequence[Comparison], names: Sequence[str], out: BinaryIO, file_format: str) -> None:
    """Draw the ratios of each bundle, a panel each, on a scale of factors.

    Args:
        comparisons: At least one.
        names: What to call their bundles.
        out: Where to write the picture.
        file_format: One of `FORMATS`.

    Raises:
        PlotUnavailable: matplotlib is not installed.
    """
    heights = [len(each.rows) + 2.2 for each in comparisons]
    figure = require_matplotlib()(figsize=(8, 0.32 * sum(heights) + 0.5), layout="constrained")
    panels = figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for panel, comparison, name in zip(panels, comparisons, names, strict=True):
        _draw(panel, comparison, name)
    panels[-1].set_xlabel(
        "zip over pack, times (size, memory, time): right of 1 the pack is better; lines are quartiles",
        fontsize=8,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of a name in a script that the font lacks
        figure.savefig(out, format=file_format, dpi=150)


def _draw(panel: Any, comparison: Comparison, name: str) -> None:
    rows = comparison.rows
    for at, row in enumerate(rows):
        ratio = row.ratio
        better = ratio.median >= 1
        # A bar starts at 1: on a scale of factors, twice as good is as long as half as good.
        panel.barh(at, ratio.median - 1, left=1, color=_PACK if better else _ZIP, height=0.62)
        panel.plot([ratio.q1, ratio.q3], [at, at], color="black", linewidth=1.2)
        panel.annotate(
            _factor(ratio),
            (ratio.q3 if better else ratio.q1, at),
            xytext=(4 if better else -4, 0),
            textcoords="offset points",
            ha="left" if better else "right",
            va="center",
            fontsize=8,
        )
    panel.set_xscale("log")
    panel.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8)
    panel.invert_yaxis()
    panel.axvline(1, color=_EQUAL, linewidth=0.8)
    panel.margins(x=0.12)
    panel.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.minorticks_off()
    panel.tick_params(axis="x", labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    # A name is a stranger's: a dollar in it begins no formula.
    panel.set_title(
        f"{name}: {comparison.compared:,} files, preset {comparison.preset}",
        loc="left",
        fontsize=9,
        parse_math=False,
    )


def _factor(ratio: Spread) -> str:
    return f"{ratio.median:.3g}" if ratio.median < 1000 else f"{ratio.median:,.0f}"
