"""Results as JSON and Markdown, and the timing side by side that `srcpack bench` has too.

The Markdown is made from the JSON alone.
"""

import json
import os
import platform
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeAlias

import zstandard

from srcpack_convert.bench.measuring import (
    Job,
    Spread,
    Timings,
    measure,
    rounded,
)

__all__ = [
    "RESULTS",
    "ROOT",
    "SCHEMA",
    "Cell",
    "Column",
    "Job",
    "Result",
    "Spread",
    "Table",
    "Target",
    "Timings",
    "calls_for",
    "check_result",
    "environment",
    "measure",
    "median_of",
    "progress",
    "render",
    "render_all",
    "save",
]

SCHEMA = 1
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

_PACKAGES = ("zstandard", "msgpack", "xxhash")
_CONTENDERS_PACKAGES = ("isal", "deflate", "backports.zstd", "lmdb", "libzim")


Cell: TypeAlias = Spread | float | int | str | None


def calls_for(job: Job, seconds: float, most: int) -> Job:
    """Return the job with as many calls in a sample as take about so long; it is run to find out."""
    once = min(job.sample()[0] for _ in range(2))
    return replace(job, calls=max(1, min(most, round(seconds / max(once, 1e-9)))))


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


# ---- results


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: key in the rows, heading, decimal places."""

    key: str
    heading: str
    digits: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of figures; a row has a value or None for each column."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure and the bound it is to keep; of a spread, the median counts."""

    claim: str
    value: Spread | float
    kind: Literal["at most", "at least"]
    bound: float

    @property
    def met(self) -> bool:
        """Whether it keeps it."""
        value = self.value.median if isinstance(self.value, Spread) else self.value
        return value <= self.bound if self.kind == "at most" else value >= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to one question.

    Attributes:
        question: Name of the module that asks it, and of the result's files.
        title: The question in words.
        method: How it was measured, in a few sentences; line breaks in it mean nothing.
        quick: Whether it is a smoke test whose figures mean nothing.
        bundles: What was measured: for each bundle whether it is `real` or `generated`.
        tables: The figures.
        targets: What they are held against.
    """

    question: str
    title: str
    method: str
    quick: bool
    bundles: Mapping[str, str]
    tables: Sequence[Table]
    targets: Sequence[Target] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return {
            "schema": SCHEMA,
            "question": self.question,
            "title": self.title,
            "method": " ".join(self.method.split()),
            "quick": self.quick,
            "environment": environment(),
            "bundles": dict(self.bundles),
            "tables": [
                {
                    "title": table.title,
                    "note": " ".join(table.note.split()),
                    "columns": [
                        {"key": column.key, "heading": column.heading, "digits": column.digits}
                        for column in table.columns
                    ],
                    "rows": [
                        {column.key: _cell_as_json(row.get(column.key)) for column in table.columns}
                        for row in table.rows
                    ],
                }
                for table in self.tables
            ],
            "targets": [
                {
                    "claim": target.claim,
                    "value": _cell_as_json(target.value),
                    "kind": target.kind,
                    "bound": target.bound,
                    "met": target.met,
                }
                for target in self.targets
            ],
        }


def environment() -> dict[str, Any]:
    """Return what a figure depends on: processor, Python, libraries, commit; no name of the machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {
            **{name: version(name) for name in _PACKAGES},
            "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
            "SQLite": sqlite3.sqlite_version,
            **{name: found for name in _CONTENDERS_PACKAGES if (found := _version(name)) is not None},
        },
        "commit": _git("rev-parse", "HEAD"),
        "modified": bool(_git("status", "--porcelain", "--", "reader", "convert", "benchmarks/*.py")),
    }


def check_result(result: Any) -> None:
    """Check that a value read from a result file has the form that `Result.as_json` gives.

    Raises:
        ValueError: It has not.
    """
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ValueError(f"no result of schema {SCHEMA}")
    for key, wanted in _RESULT_TYPES.items():
        if type(result.get(key)) is not wanted:
            raise ValueError(f"{key}: {result.get(key)!r} is no {wanted.__name__}")
    for key in ("processor", "cores", "system", "python", "packages", "commit", "modified"):
        if key not in result["environment"]:
            raise ValueError(f"environment: no {key}")
    for table in result["tables"]:
        keys = [column["key"] for column in table["columns"]]
        for row in table["rows"]:
            if list(row) != keys:
                raise ValueError(f"table {table['title']!r}: row has {list(row)}, columns are {keys}")
            for value in row.values():
                _check_cell(value)
    for target in result["targets"]:
        _check_cell(target["value"])
        value = target["value"]
        median = value["median"] if isinstance(value, dict) else value
        holds = median <= target["bound"] if target["kind"] == "at most" else median >= target["bound"]
        if holds != target["met"]:
            raise ValueError(f"target {target['claim']!r}: met is {target['met']}, the value says {holds}")


def render(result: Mapping[str, Any]) -> str:
    """Return a result, as read from its JSON file, as Markdown."""
    where = result["environment"]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    commit = (where["commit"] or "unknown")[:12] + (" with changes" if where["modified"] else "")
    bundles = ", ".join(f"{name} ({origin})" for name, origin in result["bundles"].items())
    question = result["question"]
    parts = [
        f"# {result['title']}",
        f"From `{question}.json`, by `python -m benchmarks {question}`; not to be edited.",
        result["method"],
        "A figure is a median, with the quartiles in brackets where it was measured more than once.",
        (
            f"- Machine: {where['processor']}, {where['cores']} cores, {where['system']}\n"
            f"- Software: {where['python']}, {packages}; commit {commit}\n"
            f"- Bundles: {bundles}"
        ),
    ]
    if result["quick"]:
        parts.append("**A quick run: it shows that everything works; its figures mean nothing.**")
    elif result["targets"]:
        columns = [("claim", "Target"), ("kind", ""), ("bound", "Bound"), ("value", "Measured"), ("met", "")]
        rows = [
            {**target, "met": "met" if target["met"] else "**missed**", "bound": f"{target['bound']:g}"}
            for target in result["targets"]
        ]
        parts += ["## Targets", _markdown_table([(*column, 3) for column in columns], rows)]
    for table in result["tables"]:
        columns3 = [(column["key"], column["heading"], column["digits"]) for column in table["columns"]]
        parts += [f"## {table['title']}", *([table["note"]] if table["note"] else [])]
        parts.append(_markdown_table(columns3, table["rows"]))
    return "\n\n".join(parts) + "\n"


def save(result: Mapping[str, Any], folder: Path) -> None:
    """Write a result as JSON, and as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{result['question']}.json"
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    target.with_suffix(".md").write_text(render(result), encoding="utf-8")


def render_all(folder: Path) -> None:
    """Write the Markdown of all results in a folder again."""
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        path.with_suffix(".md").write_text(render(result), encoding="utf-8")


_RESULT_TYPES: Mapping[str, type] = {
    "question": str,
    "title": str,
    "method": str,
    "quick": bool,
    "environment": dict,
    "bundles": dict,
    "tables": list,
    "targets": list,
}
_SPREAD_KEYS = ["median", "q1", "q3", "least", "samples"]


def median_of(cell: Any) -> float:
    """Return the value of a cell of a result, or the median of those that it has."""
    return float(cell["median"] if isinstance(cell, dict) else cell)


def _check_cell(value: Any) -> None:
    if isinstance(value, dict) and list(value) != _SPREAD_KEYS:
        raise ValueError(f"a spread has {_SPREAD_KEYS}, not {list(value)}")
    if not isinstance(value, dict | float | int | str | None):
        raise ValueError(f"{value!r} is no figure")  # noqa: TRY004  a file's value, not an argument


def _cell_as_json(value: Cell) -> Any:
    if isinstance(value, Spread):
        return value.as_json()
    return rounded(value) if isinstance(value, float) else value


def _cell_as_text(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        text = _number_as_text(value["median"], digits)
        if value["samples"] > 1:
            low, high = _number_as_text(value["q1"], digits), _number_as_text(value["q3"], digits)
            text += f" ({low} to {high})"
        return text
    return _number_as_text(value, digits)


def _number_as_text(value: float, digits: int) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def _markdown_table(columns: Sequence[tuple[str, str, int]], rows: Sequence[Mapping[str, Any]]) -> str:
    are_text = [all(isinstance(row[key], str) for row in rows) for key, _, _ in columns]
    lines = [
        "| " + " | ".join(heading for _, heading, _ in columns) + " |",
        "|" + "|".join("---" if text else "--:" for text in are_text) + "|",
    ]
    for row in rows:
        cells = [_cell_as_text(row[key], digits) for key, _, digits in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, check=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
