"""Bundles by the dozen, batches of them in threads of this process, and what they leave."""

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from srcpack_convert import BatchReport, FailureReport, convert_many
from srcpack_convert.many.state import STATE_NAME
from support.bundle_builder import ZipMember, build_bundle, build_zip

__all__ = [
    "batch",
    "bundle_of",
    "damaged_bundle",
    "failure_of",
    "json_lines",
    "packs",
    "statuses",
    "write",
]


def bundle_of(text: str = "", files: int = 2) -> bytes:
    """Return a bundle; another text, other bytes of the same size if the texts have one."""
    contents = {f"files/{number}.js": f"f{number}('{text}');\n".encode() for number in range(files)}
    return build_bundle(contents, {"files": {name: {"type": "source"} for name in contents}})


def damaged_bundle() -> bytes:
    members = [
        ZipMember(name="bad", content=b"bad", crc=1),
        ZipMember(name="manifest.json", content=b'{"files": {"bad": {}}}'),
    ]
    return build_zip(members)


def write(folder: Path, contents: Mapping[str, bytes] | Iterable[str]) -> Path:
    """Write files into a folder; by names alone, a bundle each."""
    if not isinstance(contents, Mapping):
        contents = {name: bundle_of(name) for name in contents}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def batch(sources: Any, out: str | Path, **options: Any) -> dict[str, BatchReport]:
    """Convert in threads of this process, and return the reports by the last part of the source."""
    with ThreadPoolExecutor(2) as executor:
        options = {"executor": executor, "jobs": 2, **options}
        reports = list(convert_many(sources, out, **options))
    found = {os.path.basename(report.source): report for report in reports}
    assert len(found) == len(reports)
    return found


def statuses(reports: Mapping[str, BatchReport]) -> dict[str, str]:
    return {name: report.status for name, report in reports.items()}


def packs(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, by path, but the state."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != STATE_NAME
    }


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def failure_of(report: BatchReport) -> FailureReport:
    assert isinstance(report, FailureReport)
    return report
