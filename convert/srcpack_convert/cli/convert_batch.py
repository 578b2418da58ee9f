"""A batch as the command line runs it: what is written down of it, what is printed, how it ends."""

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Self

from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.format.head_tail import PACK_HEAD, is_pack
from srcpack.source.locations import path_or_url
from srcpack_convert.cli.batch_display import Display, Shown, bundles_text, duration_text, short
from srcpack_convert.cli.prune import Prune
from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    Failure,
    about,
    complain,
    counted,
    print_json,
    print_line,
    shown,
    size_text,
)
from srcpack_convert.inputs.bundles import Inputs
from srcpack_convert.many.batch import convert_many
from srcpack_convert.many.cluster import Cluster, ClusterError
from srcpack_convert.many.reports import (
    BatchReport,
    BatchStopped,
    FailureReport,
    PlanReport,
    SkipReport,
    status_json,
)
from srcpack_convert.one.options import Options
from srcpack_convert.one.report import ConversionReport
from srcpack_convert.storage import first_bytes, is_one_file

__all__ = ["BatchOutput", "check_written", "cluster", "run_batch"]

_PLANS = {"planned": "convert", "skipped": "skip", "failed": "fail"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutput:
    """What a batch tells, and where.

    `errors_to` is a file for the paths of inputs that failed, `end` what ends a path there; `is_quiet` leaves
    out the summary, unless it is JSON.
    """

    as_json: bool
    is_quiet: bool
    shown: Shown
    errors_to: str | None
    end: bytes


def run_batch(
    inputs: Inputs,
    destination: str,
    options: Options,
    output: BatchOutput,
    *,
    prune: Prune | None = None,
    **how: Any,
) -> int:
    """Convert many bundles and return the exit code; see `convert_many` for `how`."""
    summary = _Summary()
    dry_run: bool = how["dry_run"]
    display = Display(output.shown)
    # What this refuses it refuses at once, and then no file is written over.
    reports = convert_many(inputs, destination, options, progress=display.update, **how)
    stopped: BatchStopped | None = None
    with _Log(output) as log, display:
        try:
            with closing(reports):
                for report in reports:
                    summary.add(report)
                    if prune is not None:
                        prune.see(report)
                    log.write(report)
                    display.tell_of(report)
                    if dry_run:
                        _print_plan(report, as_json=output.as_json)
        except BatchStopped as error:
            stopped = error
        except BaseException as error:
            display.take_away()
            if summary.total and not dry_run:
                display.say(f"so far {summary.text()}; the same command goes on from here")
            if isinstance(error, BrokenExecutor | ModuleNotFoundError):
                raise Failure(str(error)) from error
            raise
    summary.ignored = inputs.ignored
    if not summary.total:
        raise Failure(f"no SourceBundle was found{summary.ignored_text()}")
    if prune is not None and stopped is None:
        summary.pruned, summary.not_pruned = prune.run(), prune.failed
    if dry_run:
        display.say(summary.text(dry_run=True))
    elif output.as_json:
        print_json({**summary.as_json(), "left": stopped.left if stopped else 0})
    elif not output.is_quiet:
        print_line(shown(summary.text()))
    if stopped is not None:
        complain(f"{stopped}; the same command goes on from here")
        return FAILED
    return summary.exit_code()


def check_written(path: str, sources: Sequence[str], files_from: str | None) -> None:
    """Refuse to write over what is read, and over bundles and packs."""
    if not os.path.isfile(path):
        return
    if files_from is not None and is_one_file(path, files_from):
        raise Failure(f"{path}: it is read for --files-from; write to another file")
    if any(is_one_file(path, source) for source in map(path_or_url, sources)):
        raise Failure(f"{path}: it is an input; write to another file")
    head = first_bytes(path, PACK_HEAD)
    if is_source_bundle(head[:MAGIC_SIZE]) or is_pack(head):
        raise Failure(f"{path}: it exists and is a bundle or a pack; write to another file")


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Yield the workers of a scheduler."""
    for name in ("distributed", "distributed.client"):  # what they log is told here in a line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        found = Cluster(address)
    except (ModuleNotFoundError, ClusterError) as error:
        raise Failure(str(error)) from error
    try:
        yield found
    finally:
        found.shutdown(cancel_futures=True)


def _print_plan(report: BatchReport, *, as_json: bool) -> None:
    if as_json:
        print_json(status_json(report))
        return
    line = f"{_PLANS[report.status]} {short(report.source)}"
    if isinstance(report, FailureReport):
        line += f": {report.reason}"
    elif isinstance(report, PlanReport):
        line += f" -> {short(report.output)}"
    else:
        line += f": {short(report.output)} is up to date"
    print_line(shown(line))


class _Summary:
    """Counts of a batch."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.counts = {"converted": 0, "skipped": 0, "failed": 0, "planned": 0}
        self.damaged = self.source_size = self.output_size = self.ignored = 0
        self.pruned = self.not_pruned = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, report: BatchReport) -> None:
        self.counts[report.status] += 1
        if isinstance(report, ConversionReport | SkipReport):
            self.damaged += bool(report.damaged)
        if isinstance(report, ConversionReport):
            self.source_size += report.source_size
            self.output_size += report.output_size

    def exit_code(self) -> int:
        failed = self.counts["failed"]
        if failed and failed == self.total:
            return FAILED
        return PARTLY if failed or self.damaged or self.not_pruned else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "inputs": self.total,
            **{status: count for status, count in self.counts.items() if status != "planned"},
            "with_damaged_members": self.damaged,
            "ignored_files": self.ignored,
            "pruned": self.pruned,
            "source_size": self.source_size,
            "output_size": self.output_size,
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def text(self, *, dry_run: bool = False) -> str:
        counts, total = self.counts, self.total
        seconds = time.monotonic() - self._started
        if counts["skipped"] == total:
            text = f"nothing to convert: {bundles_text(total)}, up to date"
        elif counts["planned"]:
            text = f"{bundles_text(total)}: {counts['planned']:,} to convert"
        else:
            text = f"{bundles_text(total)}: {counts['converted']:,} converted"
        if counts["skipped"] and counts["skipped"] != total:
            text += f", {counts['skipped']:,} up to date"
        if counts["failed"]:
            text += f", {counts['failed']:,} failed"
        if self.damaged:
            text += f", {self.damaged:,} with damaged members"
        if counts["converted"]:
            ratio = self.output_size / self.source_size
            text += f"; zips {size_text(self.source_size)}, packs {size_text(self.output_size)}, "
            text += f"ratio {ratio:.3f}"
        if self.pruned:
            text += f"; {counted(self.pruned, 'pack', 'packs')} {'to remove' if dry_run else 'removed'}"
        text += self.ignored_text()
        return f"{text}; {duration_text(seconds) if seconds >= 60 else f'{seconds:.1f} s'}"

    def ignored_text(self) -> str:
        return f"; {counted(self.ignored, 'other file', 'other files')} passed over" if self.ignored else ""


class _Log:
    """The files that a batch writes of itself. A context manager."""

    def __init__(self, output: BatchOutput) -> None:
        self._output = output
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._report = self._open(opened, self._output.shown.report)
            self._errors = self._open(opened, self._output.errors_to)
            self._files = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @staticmethod
    def _open(stack: ExitStack, path: str | None) -> BinaryIO | None:
        # Unbuffered, a line a write: what ended is known, however the batch ends.
        return None if path is None else stack.enter_context(open(path, "wb", buffering=0))

    def write(self, report: BatchReport) -> None:
        if self._report is not None:
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **status_json(report)}
            self._write(self._report, self._output.shown.report, json.dumps(line).encode() + b"\n")
        if self._errors is not None and isinstance(report, FailureReport):
            self._write(self._errors, self._output.errors_to, os.fsencode(report.source) + self._output.end)

    @staticmethod
    def _write(file: BinaryIO, path: str | None, data: bytes) -> None:
        with about(path or ""):
            while data:
                data = data[file.write(data) :]
