"""Figures in the README and on the pages of docs/integrations, made from the results.

`python -m benchmarks --readme` writes them there.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from .contenders import BY_NAME
from .harness import RESULTS, ROOT, median_of, render

__all__ = ["PAGES", "README", "block", "page_block", "write", "write_all"]

README = ROOT / "README.md"
PAGES = {
    "sentry.md": ("Opening an archive", "Calls of an archive", "Memory of an open archive"),
    "bugsink.md": ("An event of", "Files of", "A native frame"),
    "glitchtip.md": ("An event of", "Files of"),
}
"""Tables of the result on integrations, by the beginnings of their titles, for the pages that show them."""
_MARKS = ("<!-- measured -->\n", "<!-- /measured -->")

_Row: TypeAlias = Mapping[str, Any]


def write_all() -> None:
    """Put the figures in the README and on the pages."""
    write()
    for page in PAGES:
        write(ROOT / "docs" / "integrations" / page, text=page_block(page))


def write(document: Path = README, results: Path = RESULTS, *, text: str | None = None) -> None:
    """Put figures, the README's if no text is given, between their marks in a document."""
    whole = document.read_text(encoding="utf-8")
    before, _, rest = whole.partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    text = block(results) if text is None else text
    document.write_text(before + _MARKS[0] + text + _MARKS[1] + after, encoding="utf-8")


def page_block(page: str, results: Path = RESULTS) -> str:
    """Return the measured part of a page on integrations: some tables of the result."""
    result = json.loads((results / "integrations.json").read_text(encoding="utf-8"))
    _, *sections = render(result).split("\n## ")
    chosen = [section.strip() for section in sections if section.startswith(PAGES[page])]
    machine = result["environment"]
    where = f"{machine['cores']} cores ({machine['processor']}), {machine['python']}"
    how = "how, is on the page of [all results](../../benchmarks/results/integrations.md)."
    parts = [*(f"### {section}" for section in chosen), f"Measured on {where}; {how}", ""]
    return "\n" + "\n\n".join(parts)


def block(results: Path = RESULTS) -> str:
    """Return the README's measured part; each figure is the median of a row of a result."""
    lines = [
        "",
        "![Throughput of random reads by number of threads](benchmarks/results/read.svg)",
        "",
        "| | `zipfile` | best other that compresses | pack | times the pack |",
        "|---|--:|--:|--:|---|",
        *_opening(results),
        *_reading(results),
        *_events(results),
        *_lines(results),
        *_memory(results),
        "",
        "| | zip | `fast` | `balanced` | `max` | conversion, `balanced`, one job | two jobs |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *_sizes(results),
        "",
        *_beside_the_floor(results),
        "",
        *_resolving(results),
    ]
    machine = json.loads((results / "read.json").read_text(encoding="utf-8"))["environment"]
    lines += [
        "",
        f"Measured on {machine['cores']} cores ({machine['processor']}), {machine['python']}, by",
        "`python -m benchmarks`; medians, in turns. Each figure with its spread, all contenders, how it was",
        "measured, and where we lose: [benchmarks/](benchmarks/README.md).",
        "",
        "",
    ]
    return "\n".join(lines)


def _opening(results: Path) -> Iterable[str]:
    rows = _rows("open", results)
    counts = sorted({row["files"] for row in rows if row["files"]})
    for count, lookup in ((counts[0], "hit"), (counts[-1], "hit"), (counts[-1], "miss")):
        chosen = [row for row in rows if row["files"] == count and row["lookup"] == lookup]
        yield _line(f"open and look up one of {count:,} files by URL, {lookup}", chosen, "each", _micro)


def _reading(results: Path) -> Iterable[str]:
    for table in _tables("read", results):
        size = table["title"].partition(":")[0]
        for threads in (1, 8):
            chosen = [row for row in table["rows"] if row["threads"] == threads]
            many = f"{threads} thread{'s' if threads > 1 else ''}"
            yield _line(f"read a {size} file by name, {many}", chosen, "each", _micro)


def _events(results: Path) -> Iterable[str]:
    for state in ("cold", "warm"):
        chosen = [row for row in _rows("replay", results) if row["state"] == state and row["threads"] == 1]
        yield _line(f"an event over 200 bundles, {state}", chosen, "each", _micro)


def _lines(results: Path) -> Iterable[str]:
    yield _line("11 lines of a file of 60 MiB", _rows("lines", results), "each", lambda ms: _micro(ms * 1e3))


def _memory(results: Path) -> Iterable[str]:
    rows = _rows("memory", results)
    for key, what in (
        ("private_open", "1,000 open, private memory"),
        ("private_read", "and one file read of each"),
    ):
        yield _line(what, rows, key, lambda mega: f"{mega:,.1f} MB")


def _beside_the_floor(results: Path) -> Iterable[str]:
    bare, scaling = [], []
    for table in _tables("read", results):
        ours = {row["threads"]: row for row in table["rows"] if row["way"] == "pack"}
        bare.append(f"{median_of(ours[1]['bare']):.2f}")
        scaling.append(f"{median_of(ours[2]['scaling']):.2f}")
    yield (
        "On small, medium and large files, one thread reads at "
        + _listed(bare)
        + " of the speed of a bare zstd"
    )
    yield "loop over the same frames, and two threads at " + _listed(scaling) + " times the speed of one."


def _resolving(results: Path) -> Iterable[str]:
    events = _tables("resolve", results)[2]["rows"]
    ours, built = (
        _micro(median_of(_of(events, way)["place"]) * 1e3)
        for way in ("pack with lookups, nothing kept", "zip, `SourceMapCache` built for each")
    )
    yield f"An event of four minified frames, with context, takes {ours} from a pack with lookup tables that"
    yield f"is opened for it, and {built} from a zip with symbolic's `SourceMapCache`, in"
    yield "[processor time](benchmarks/results/resolve.md)."


def _listed(items: list[str]) -> str:
    return ", ".join(items[:-1]) + f" and {items[-1]}"


def _sizes(results: Path) -> Iterable[str]:
    presets = _rows("presets", results)
    for row in _rows("convert", results):
        name = row["bundle"]
        shares = {each["preset"]: each for each in presets if each["bundle"] == name}
        size = shares["balanced"]["size"] / median_of(shares["balanced"]["ratio"])
        yield (
            f"| {name} | {size / 1e6:.2f} MB | "
            + " | ".join(
                f"{median_of(shares[preset]['ratio']):.3f}" for preset in ("fast", "balanced", "max")
            )
            + f" | {median_of(row['rate1']):.0f} MB/s, {median_of(row['share1']):.2f} of a bare zstd loop"
            + f" | {median_of(row['rate2']):.0f} MB/s, {median_of(row['share2']):.2f} |"
        )


def _line(what: str, rows: Iterable[_Row], key: str, text: Callable[[float], str]) -> str:
    """Return a row of the first table: `zipfile`, the best of the others, ours, and how these compare."""
    rows = list(rows)
    zipped, ours = median_of(_of(rows, "zipfile")[key]), median_of(_of(rows, "pack")[key])
    best = min(filter(_is_other, rows), key=lambda row: median_of(row[key]))
    other = median_of(best[key])
    return (
        f"| {what} | {text(zipped)} | {text(other)} ({best['way']}) | {text(ours)} |"
        f" {_times(zipped, ours)} and {_times(other, ours)} |"
    )


def _times(theirs: float, ours: float) -> str:
    times = theirs / ours if ours else float("inf")
    return f"{times:,.0f}" if times >= 10 else f"{times:.2g}"


def _is_other(row: _Row) -> bool:
    """Whether a row is of a contender that compresses and keeps nothing decoded, not ours or `zipfile`."""
    contender = BY_NAME.get(row["way"])
    if contender is None or row["way"].startswith("pack") or row["way"] == "zipfile":
        return False
    return contender.compresses() and not contender.caches


def _micro(value: float) -> str:
    for unit, per in (("µs", 1.0), ("ms", 1e3)):
        if value < 1000 * per:
            return f"{_digits(value / per)} {unit}"
    return f"{_digits(value / 1e6)} s"


def _digits(value: float) -> str:
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _of(rows: Iterable[_Row], way: str) -> _Row:
    return next(row for row in rows if row["way"] == way)


def _rows(question: str, results: Path) -> list[_Row]:
    rows: list[_Row] = _tables(question, results)[0]["rows"]
    return rows


def _tables(question: str, results: Path) -> list[dict[str, Any]]:
    result = json.loads((results / f"{question}.json").read_text(encoding="utf-8"))
    tables: list[dict[str, Any]] = result["tables"]
    return tables
