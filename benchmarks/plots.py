"""Plots of the results, from their JSON alone: one message each, as SVG and PNG.

The same result gives the same file: no date, no path, ids from a fixed salt.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .formats import missing
from .harness import median_of, progress

__all__ = ["PLOTS", "draw", "draw_all"]

_BLACK, _GREY = "#222222", "#8c8c8c"
_BLUE, _SKY, _ORANGE, _VERMILION, _GREEN, _PURPLE = (
    "#0072b2",
    "#56b4e9",
    "#e69f00",
    "#d55e00",
    "#009e73",
    "#cc79a7",
)
"""Okabe and Ito's colours, told apart with any colour vision; lines differ in marker and dash too."""

_STYLES: Mapping[str, tuple[str, str, str]] = {
    "zipfile": (_BLACK, "o", "-"),
    "zipfile, mutex": (_GREY, "v", ":"),
    "zipfile, one a thread": (_GREY, "^", "--"),
    "zip, stored": (_GREY, "P", "--"),
    "zip, mapped, isal": (_ORANGE, "s", "-"),
    "zip, mapped, libdeflate": (_ORANGE, "s", "-"),
    "zip, mapped, zlib": (_ORANGE, "D", "--"),
    "zip, mapped, stored": (_GREY, "X", ":"),
    "pack": (_BLUE, "o", "-"),
    "LMDB": (_GREEN, "^", "-"),
    "SQLite, zstd": (_PURPLE, "v", "-"),
    "libzim": (_VERMILION, "P", "--"),
    "bare loop": (_SKY, "", ":"),
}
_WIDE = 2.6
_INK = "#444444"


def draw(result: Mapping[str, Any], folder: Path) -> None:
    """Draw the plot of a result, if there is one of its question; say so where matplotlib is missing."""
    if (plot := PLOTS.get(result["question"])) is None:
        return
    if missing(("matplotlib",)):
        progress(f"  no plot of {result['question']}: package matplotlib is missing")
        return
    matplotlib = import_module("matplotlib")
    figures = import_module("matplotlib.figure")
    with matplotlib.rc_context(_SETTINGS):
        figure = figures.Figure(layout="constrained")
        plot(figure, result)
        target = folder / f"{result['question']}.svg"
        figure.savefig(target, metadata={"Date": None, "Creator": None})
        figure.savefig(target.with_suffix(".png"), dpi=144, metadata={"Software": None})


def draw_all(folder: Path) -> None:
    """Draw the plots of all results in a folder again."""
    for path in sorted(folder.glob("*.json")):
        draw(json.loads(path.read_text(encoding="utf-8")), folder)


_SETTINGS: Mapping[str, Any] = {
    "svg.hashsalt": "srcpack",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "legend.frameon": False,
}


# ---- parts


def _lines(
    axes: Any, rows: Iterable[Mapping[str, Any]], ways: Sequence[str], x: str, y: str, *, spread: bool = True
) -> None:
    """Draw a line for each way; quartiles as a band."""
    rows = list(rows)
    for way in ways:
        mine = [row for row in rows if row["way"] == way and row[y] is not None]
        if not mine:
            continue
        colour, marker, dash = _STYLES[way]
        at = [row[x] for row in mine]
        ours = way == "pack"
        axes.plot(
            at,
            [median_of(row[y]) for row in mine],
            color=colour,
            marker=marker,
            linestyle=dash,
            label=way,
            linewidth=_WIDE if ours else 1.5,
            zorder=5 if ours else 3,
        )
        if spread and all(isinstance(row[y], dict) for row in mine):
            axes.fill_between(
                at,
                [row[y]["q1"] for row in mine],
                [row[y]["q3"] for row in mine],
                color=colour,
                alpha=0.12,
                linewidth=0,
            )


def _dots(axes: Any, rows: Sequence[Mapping[str, Any]], key: str, ways: Sequence[str]) -> None:
    """Draw a dot for each way, with its quartiles; no bars, since a logarithmic axis has no zero."""
    by_way = {row["way"]: row[key] for row in rows}
    for place, way in enumerate(ways):
        if by_way.get(way) is None:
            continue
        cell = by_way[way]
        ours = way.startswith("pack")
        colour = _BLUE if ours else _BLACK if way.startswith("zipfile") else _GREY
        axes.plot([cell["q1"], cell["q3"]], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot([cell["median"]], [place], "o", color=colour, markersize=6)
        axes.annotate(
            _short(cell["median"]),
            (max(cell["q3"], cell["median"]), place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.set_yticks(range(len(ways)), ways)
    axes.set_ylim(len(ways) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    for label in axes.get_yticklabels():
        if label.get_text().startswith("pack"):
            label.set_color(_BLUE)
            label.set_fontweight("bold")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _plain(axis: Any) -> None:
    """Write the ticks of a logarithmic axis as plain numbers."""
    ticker = import_module("matplotlib.ticker")
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def _threads(axes: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    ticker = import_module("matplotlib.ticker")
    threads = sorted({row["threads"] for row in rows if row["threads"]})
    axes.set_xscale("log", base=2)
    axes.set_xticks(threads, [str(number) for number in threads])
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel("threads")


def _where(result: Mapping[str, Any]) -> str:
    machine = result["environment"]
    quick = " A quick run: its figures mean nothing." if result["quick"] else ""
    return f"{machine['cores']} cores ({machine['processor']}), {machine['python']}.{quick}"


def _caption(figure: Any, result: Mapping[str, Any], title: str, text: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold", color=_BLACK)
    figure.supxlabel(f"{text} {_where(result)}", x=0.01, ha="left", fontsize=7.5, color="#777777")


# ---- plots


def _open(figure: Any, result: Mapping[str, Any]) -> None:
    figure.set_size_inches(7.6, 4.6)
    axes = figure.subplots()
    rows = [row for row in result["tables"][0]["rows"] if row["lookup"] == "hit"]
    ways = (
        "zipfile",
        "zip, stored",
        "zip, mapped, zlib",
        "SQLite, zstd",
        "libzim",
        "LMDB",
        "pack",
    )
    _lines(axes, rows, ways, "files", "each")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted({row["files"] for row in rows}))
    _plain(axes.xaxis)
    axes.minorticks_off()
    axes.set_yticks([10, 100, 1_000, 10_000, 100_000, 1_000_000])
    axes.set_yticklabels(["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"])
    axes.set_xlabel("files in the bundle")
    axes.set_ylabel("open, and find one file by URL")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _caption(
        figure,
        result,
        "Opening a bundle and finding one file, by the number of its files",
        "Medians; both axes are logarithmic; files in the page cache.",
    )


def _read(figure: Any, result: Mapping[str, Any]) -> None:
    figure.set_size_inches(9.6, 4.1)
    tables = result["tables"]
    panels = figure.subplots(1, len(tables))
    ways = (
        "bare loop",
        "pack",
        "LMDB",
        "SQLite, zstd",
        "zip, mapped, libdeflate",
        "zipfile, one a thread",
        "zipfile",
    )
    for axes, table in zip(panels, tables, strict=True):
        _lines(axes, table["rows"], ways, "threads", "rate")
        _threads(axes, [row for row in table["rows"] if row["threads"]])
        axes.set_ylim(bottom=0)
        axes.set_title(table["title"])
    panels[0].set_ylabel("MB/s of contents")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    _caption(
        figure,
        result,
        "Random reads from one open bundle, by threads",
        "Medians and quartiles; each panel has its own scale, from 0.",
    )


def _contention(figure: Any, result: Mapping[str, Any]) -> None:
    figure.set_size_inches(8.6, 4.1)
    tables = result["tables"]
    panels = figure.subplots(1, len(tables), sharey=True)
    ways = (
        "zipfile",
        "zipfile, mutex",
        "zipfile, one a thread",
        "zip, mapped, isal",
        "SQLite, zstd",
        "LMDB",
        "pack",
    )
    for axes, table in zip(panels, tables, strict=True):
        _lines(axes, table["rows"], ways, "threads", "p99")
        _threads(axes, [row for row in table["rows"] if row["threads"]])
        axes.set_yscale("log")
        axes.set_title("Nothing between reads" if table is tables[0] else "Python work between reads")
    _plain(panels[0].yaxis)
    panels[0].set_ylabel("µs, 99th percentile")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    _caption(
        figure,
        result,
        "How long a small file takes while other threads read too",
        "One thread reads files under 16 KiB, the others files of all sizes. Logarithmic axis.",
    )


def _replay(figure: Any, result: Mapping[str, Any]) -> None:
    figure.set_size_inches(9.2, 4.7)
    rows = [row for row in result["tables"][0]["rows"] if row["threads"] == 1]
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    warm = {row["way"]: median_of(row["each"]) for row in rows if row["state"] == "warm"}
    ways = sorted(warm, key=lambda way: -warm[way])
    for axes, state, title in (
        (panels[0], "cold", "Cold: each bundle is opened when first hit"),
        (panels[1], "warm", "Warm: all bundles are open"),
    ):
        _dots(axes, [row for row in rows if row["state"] == state], "each", ways)
        axes.set_xscale("log")
        _plain(axes.xaxis)
        axes.set_title(title)
        axes.set_xlabel("µs an event (logarithmic)")
        axes.margins(x=0.16)
    _caption(
        figure,
        result,
        f"{result['title']}: minified file, reference, map, and lines of context",
        "One thread; medians and quartiles.",
    )


def _size(figure: Any, result: Mapping[str, Any]) -> None:
    table = result["tables"][0]
    rows = [
        row for row in table["rows"] if all(row[column["key"]] is not None for column in table["columns"])
    ]
    names = [column["key"] for column in table["columns"][1:-1]]
    figure.set_size_inches(7.8, 4.4)
    axes = figure.subplots()
    rows = [row for row in rows if row["way"] not in ("zip, stored", "pack, raw")]
    rows.sort(key=lambda row: -sum(row[name] for name in names))
    marks = zip(names, "osD^v", (_BLUE, _VERMILION, _GREEN, _ORANGE, _PURPLE), strict=False)
    for name, marker, colour in marks:
        axes.plot(
            [row[name] for row in rows],
            range(len(rows)),
            marker,
            color=colour,
            label=name,
            alpha=0.9,
        )
    axes.axvline(1, color=_BLACK, linewidth=1)
    axes.set_yticks(range(len(rows)), [row["way"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("size as a share of the SourceBundle zip")
    for label in axes.get_yticklabels():
        if label.get_text().startswith("pack"):
            label.set_color(_BLUE)
            label.set_fontweight("bold")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _caption(
        figure,
        result,
        "Size on disk, beside the zip",
        "Without the formats that do not compress; see the table.",
    )


def _resolve(figure: Any, result: Mapping[str, Any]) -> None:
    figure.set_size_inches(10.4, 3.6)
    panels = figure.subplots(1, 2)
    for axes, start, unit in ((panels[0], "A frame", "µs a frame"), (panels[1], "An event", "ms an event")):
        table = next(table for table in result["tables"] if table["title"].startswith(start))
        rows = [
            {**row, "way": row["way"].replace("`", "")} for row in table["rows"] if row["place"] is not None
        ]
        rows.sort(key=lambda row: -median_of(row["place"]))
        _dots(axes, rows, "place", [row["way"] for row in rows])
        axes.set_xscale("log")
        _plain(axes.xaxis)
        axes.set_title(table["title"])
        axes.set_xlabel(f"{unit} (logarithmic)")
        axes.margins(x=0.16)
        axes.tick_params(axis="y", labelsize=7.5)
    _caption(
        figure,
        result,
        "Resolving minified frames: from tables, and by what is built of the maps",
        "Positions of any place; medians and quartiles.",
    )


PLOTS: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "open": _open,
    "read": _read,
    "contention": _contention,
    "replay": _replay,
    "resolve": _resolve,
    "size": _size,
}
