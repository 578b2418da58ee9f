"""The first page of the results: in ten rows, where a pack wins, where it is level, and where it loses."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ROWS", "page", "write"]

ROWS: Mapping[str, tuple[str, str]] = {
    "open a bundle of 10 files and find one": (
        "open",
        "10 files: open and first lookup [(]hit[)], times as fast as",
    ),
    "open a bundle of 1,000 files and find one": (
        "open",
        "1,000 files: open and first lookup [(]hit[)], times as fast as",
    ),
    "read a small file": ("read", "small files, 1 at once: pack, times as fast as"),
    "read small files, 8 threads": ("read", "small files, 8 at once: pack, times as fast as"),
    "read a medium file": ("read", "medium files, 1 at once: pack, times as fast as"),
    "read a large file": ("read", "large files, 1 at once: pack, times as fast as"),
    "an event, nothing open": ("replay", "cold, 1 at once: pack, times as fast as"),
    "an event, all open": ("replay", "warm, 1 at once: pack, times as fast as"),
    "11 lines of a large file": ("lines", "pack, times as fast as .*, the fastest other"),
    "memory of 1,000 open bundles": ("memory", "1,000 packs open: private memory as a share of"),
}
"""By what is done: the question, and a pattern for the beginning of its target's claim."""

_LEVEL = 0.1
"""By how much the better of two is better at least."""


def page(results: Path) -> str:
    """Return the page, made from the results in a folder."""
    found = [_row(results, what, *where) for what, where in ROWS.items()]
    found.sort(key=lambda row: -row[2])
    lines = [
        "# Where a pack wins, where it is level, and where it loses",
        "",
        "Beside the best other way to do the same, of all that are measured; the page of each question has",
        f"its spread, and how it was measured. Level is what differs by {_LEVEL:.0%} at most. Made from the",
        "JSON files; not to be edited.",
        "",
        "| A pack | What | Beside | Times as good | All of it |",
        "|---|---|---|--:|---|",
    ]
    for what, beside, times, question in found:
        verdict = "wins" if times > 1 + _LEVEL else "**loses**" if times < 1 - _LEVEL else "is level"
        lines.append(f"| {verdict} | {what} | {beside} | {times:.2f} | [{question}]({question}.md) |")
    return "\n".join(lines) + "\n"


def write(results: Path) -> None:
    """Write the page beside the results, if all that it is made from are there."""
    if all((results / f"{question}.json").is_file() for question, _ in ROWS.values()):
        (results / "README.md").write_text(page(results), encoding="utf-8")


def _row(results: Path, what: str, question: str, claim: str) -> tuple[str, str, float, str]:
    result = json.loads((results / f"{question}.json").read_text(encoding="utf-8"))
    (target,) = (target for target in result["targets"] if re.match(claim, target["claim"]))
    value: Any = target["value"]
    median: float = value["median"] if isinstance(value, dict) else value
    beside = target["claim"].partition(" as fast as ")[2] or target["claim"].partition(" a share of ")[2]
    times = median if target["kind"] == "at least" else 1 / median
    return what, beside.removesuffix("'").partition(", the fastest")[0], round(times, 2), question
