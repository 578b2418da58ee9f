"""The README's table of figures, made from the results: `python -m benchmarks --readme` writes it there."""

import json
from pathlib import Path
from typing import Any

from .harness import RESULTS, ROOT

__all__ = ["README", "block", "write"]

README = ROOT / "README.md"
_MARKS = ("<!-- measured -->\n", "<!-- /measured -->")


def write() -> None:
    """Put the table between its marks in the README."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    README.write_text(before + _MARKS[0] + block() + _MARKS[1] + after, encoding="utf-8")


def block(results: Path = RESULTS) -> str:
    """Return the table; each figure is the median of a row of a result."""
    presets = _rows("presets", results)
    opened = _rows("open", results)
    converted = {row["bundle"]: row for row in _rows("convert", results)}
    memory = {row["way"]: row for row in _rows("memory", results)}
    lines = [
        "",
        "| | zip | pack | |",
        "|---|--:|--:|---|",
    ]
    for row in opened:
        lookup = row["lookup"].replace("URL", "by URL").replace("path", "by path")
        lines.append(
            f"| open and look up one of {row['files']:,} files {lookup} |"
            f" {_figure(row['zip']) / 1000:,.0f} ms |"
            f" {_figure(row['pack']):,.0f} µs | {_figure(row['speed']):,.0f} times as fast |"
        )
    for name in ("js-many", "js-web"):
        number = 0 if name == "js-many" else 1
        ways = {row["way"]: row for row in _rows("read", results, number)}
        warm, zipped = ways["`pack[name].read()`, warm"], ways["`ZipFile.read(name)`"]
        lines.append(
            f"| read every file of {name} by name, random order | {_figure(zipped['each']):,.0f} µs a file |"
            f" {_figure(warm['each']):,.1f} µs | {_figure(warm['zip']):.1f} times as fast;"
            f" {_figure(warm['bare']):.2f} of a bare zstd loop's speed |"
        )
    ours, theirs = memory["pack"], memory["`ZipFile`, manifest and two dicts"]
    for key, what in (("open", "1,000 open"), ("read", "and one file read of each")):
        lines.append(
            f"| {what}, private memory | {_figure(theirs[f'private_{key}']):,.0f} MB |"
            f" {_figure(ours[f'private_{key}']):,.0f} MB |"
            f" {_figure(ours[f'anonymous_{key}']):,.0f} MB of it not pages of the files |"
        )
    lines += [
        "",
        "| | zip | `fast` | `balanced` | `max` | conversion, `balanced`, one job | two jobs |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in converted.items():
        shares = {each["preset"]: each for each in presets if each["bundle"] == name}
        size = shares["balanced"]["size"] / _figure(shares["balanced"]["ratio"])
        lines.append(
            f"| {name} | {size / 1e6:.2f} MB | "
            + " | ".join(f"{_figure(shares[preset]['ratio']):.3f}" for preset in ("fast", "balanced", "max"))
            + f" | {_figure(row['rate1']):.0f} MB/s, {_figure(row['share1']):.2f} of a bare zstd loop"
            + f" | {_figure(row['rate2']):.0f} MB/s, {_figure(row['share2']):.2f} |"
        )
    machine = json.loads((results / "read.json").read_text(encoding="utf-8"))["environment"]
    lines += [
        "",
        f"Measured on {machine['cores']} cores ({machine['processor']}), {machine['python']}, by",
        "`python -m benchmarks`; medians, side by side in one process. Each figure with its spread, how it",
        "was measured, and what fell short of our targets: [benchmarks/](benchmarks/README.md).",
        "",
        "",
    ]
    return "\n".join(lines)


def _rows(question: str, results: Path, table: int = 0) -> list[dict[str, Any]]:
    result = json.loads((results / f"{question}.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = result["tables"][table]["rows"]
    return rows


def _figure(cell: Any) -> float:
    return float(cell["median"] if isinstance(cell, dict) else cell)
