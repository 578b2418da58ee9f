"""A batch as the command line runs it: what is shown of it meanwhile, what is written down, how it ends."""

import json
import os
import sys
import time
from collections import deque
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from srcpack_convert.cli.terminal import (
    FAILED,
    PARTLY,
    Failure,
    about,
    members_text,
    print_json,
    print_line,
    say,
    shown,
    size_text,
)
from srcpack_convert.many.batch import BatchProgress, convert_many
from srcpack_convert.many.inputs import Inputs
from srcpack_convert.many.reports import BatchReport, FailureReport, PlanReport, SkipReport
from srcpack_convert.one.report import ConversionReport

_MOST_LINES = 20
_PLAIN_EVERY = 5.0
_RATE_OVER = 30.0
_PLANS = {"planned": "convert", "skipped": "skip", "failed": "fail"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutput:
    """What a batch tells, and where.

    Attributes:
        as_json: Print results as JSON.
        is_watched: Show how far it is.
        report: A file for a line of JSON on each input.
        errors_to: A file for the paths of inputs that failed.
        end: What ends a path there.
        fail_fast: End with the first input that fails.
    """

    as_json: bool
    is_watched: bool
    report: str | None
    errors_to: str | None
    end: bytes
    fail_fast: bool


def run_batch(inputs: Inputs, destination: str, output: BatchOutput, **options: Any) -> int:
    """Convert many bundles and return the exit code; the options are those of `convert_many`."""
    summary = _Summary()
    dry_run: bool = options["dry_run"]
    display = _Display(is_shown=output.is_watched)
    # What this refuses it refuses at once, and then no file is written over.
    reports = convert_many(inputs, destination, progress=display.update, **options)
    with _Log(output) as log, display:
        try:
            with closing(reports):
                for report in reports:
                    summary.add(report)
                    log.write(report)
                    display.tell_of(report)
                    if dry_run:
                        _print_plan(report, as_json=output.as_json)
                    if output.fail_fast and isinstance(report, FailureReport):
                        break
        except BaseException as error:
            display.close()
            if summary.total and not dry_run:
                say(f"so far {summary.text()}; the same command goes on from here")
            if isinstance(error, BrokenExecutor | ModuleNotFoundError):
                raise Failure(str(error)) from error
            raise
    summary.ignored = inputs.ignored
    if not summary.total:
        others = f"; other files: {inputs.ignored:,}" if inputs.ignored else ""
        raise Failure(f"no SourceBundle was found{others}")
    if dry_run:
        say(summary.text())
    elif output.as_json:
        print_json(summary.as_json())
    else:
        print_line(shown(summary.text()))
    return summary.exit_code(fail_fast=output.fail_fast)


def _print_plan(report: BatchReport, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(report))
        return
    line = f"{_PLANS[report.status]} {report.source}"
    if isinstance(report, FailureReport):
        line += f": {report.reason}"
    elif isinstance(report, PlanReport):
        line += f" -> {report.output}"
    else:
        line += f": {report.output} is up to date"
    print_line(shown(line))


def _as_json(report: BatchReport) -> dict[str, Any]:
    return {"status": report.status, **report.as_json()}


def _damaged(report: BatchReport) -> int:
    """Return how many members of an input could not be read."""
    if isinstance(report, ConversionReport):
        return len(report.damaged)
    return report.damaged_count if isinstance(report, SkipReport) else 0


class _Summary:
    """Counts of a batch."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.counts = {"converted": 0, "skipped": 0, "failed": 0, "planned": 0}
        self.damaged = self.source_size = self.output_size = self.ignored = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, report: BatchReport) -> None:
        self.counts[report.status] += 1
        self.damaged += _damaged(report) > 0
        if isinstance(report, ConversionReport):
            self.source_size += report.source_size
            self.output_size += report.output_size

    def exit_code(self, *, fail_fast: bool) -> int:
        failed = self.counts["failed"]
        if failed and (fail_fast or failed == self.total):
            return FAILED
        return PARTLY if failed or self.damaged else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "inputs": self.total,
            **{status: count for status, count in self.counts.items() if status != "planned"},
            "with_damaged_members": self.damaged,
            "ignored_files": self.ignored,
            "source_size": self.source_size,
            "output_size": self.output_size,
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def text(self) -> str:
        counts, total = self.counts, self.total
        seconds = time.monotonic() - self._started
        if counts["skipped"] == total:
            text = f"nothing to convert: {_bundles(total)}, up to date"
        elif counts["planned"]:
            text = f"{_bundles(total)}: {counts['planned']:,} to convert"
        else:
            text = f"{_bundles(total)}: {counts['converted']:,} converted"
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
        if self.ignored:
            text += f"; other files: {self.ignored:,}"
        return f"{text}; {_duration(seconds) if seconds >= 60 else f'{seconds:.1f} s'}"


class _Log:
    """The files that a batch writes of itself. A context manager."""

    def __init__(self, output: BatchOutput) -> None:
        self._output = output
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._report = self._open(opened, self._output.report)
            self._errors = self._open(opened, self._output.errors_to)
            self._files = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    @staticmethod
    def _open(stack: ExitStack, path: str | None) -> BinaryIO | None:
        # Unbuffered, a line a write: what ended is known, however the batch ends.
        return None if path is None else stack.enter_context(open(path, "wb", buffering=0))

    def write(self, report: BatchReport) -> None:
        if self._report is not None:
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **_as_json(report)}
            self._write(self._report, self._output.report, json.dumps(line).encode() + b"\n")
        if self._errors is not None and isinstance(report, FailureReport):
            self._write(self._errors, self._output.errors_to, os.fsencode(report.source) + self._output.end)

    @staticmethod
    def _write(file: BinaryIO, path: str | None, data: bytes) -> None:
        with about(path or ""):
            while data:
                data = data[file.write(data) :]


class _Display:
    """What is shown on stderr: on a terminal a bar that moves, else a line every few seconds."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._told_at = time.monotonic()
        self._failed = self._lines = 0
        if is_shown and sys.stderr is not None and sys.stderr.isatty():
            self._bar = Progress(
                BarColumn(bar_width=20),
                TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("searching", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._lines > _MOST_LINES:
            say(f"and {self._lines - _MOST_LINES:,} more; --report has all")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, progress: BatchProgress) -> None:
        """Show how far the batch is."""
        if not self._is_shown:
            return
        now = time.monotonic()
        self._samples.append((now, progress.done_size))
        while len(self._samples) > 2 and now - self._samples[0][0] > _RATE_OVER:
            self._samples.popleft()
        if self._bar is not None and self._task is not None:
            total = progress.found_size or None if progress.is_all else None
            self._bar.update(
                self._task, completed=progress.done_size, total=total, description=self._text(progress)
            )
        elif now - self._told_at >= _PLAIN_EVERY:
            self._told_at = now
            say(self._text(progress))

    def tell_of(self, report: BatchReport) -> None:
        """Show what is wrong with an input."""
        if isinstance(report, FailureReport):
            self._failed += 1
            self._line(f"failed: {report.source}: {report.reason}")
        elif isinstance(report, ConversionReport) and report.damaged:
            first = report.damaged[0]
            text = f"{members_text(len(report.damaged))} cannot be read, {first.member!r}: {first.reason}"
            self._line(f"warning: {report.source}: {text}")

    def _line(self, line: str) -> None:
        self._lines += 1
        if self._lines > _MOST_LINES:
            return
        if self._bar is not None:
            self._bar.console.print(Text(shown(line)), soft_wrap=True)
        else:
            say(line)

    def _text(self, progress: BatchProgress) -> str:
        more = "" if progress.is_all else "+"
        text = f"{progress.done:,} of {progress.found:,}{more} bundles, "
        text += f"{size_text(progress.done_size)} of {size_text(progress.found_size)}{more}"
        seconds = self._samples[-1][0] - self._samples[0][0]
        rate = (self._samples[-1][1] - self._samples[0][1]) / seconds if seconds else 0.0
        if rate:
            text += f", {size_text(round(rate))}/s"
        if not progress.is_all:
            text += ", still searching"
        elif rate and progress.found_size > progress.done_size:
            text += f", {_duration((progress.found_size - progress.done_size) / rate)} left"
        return text + (f", {self._failed:,} failed" if self._failed else "")


def _bundles(number: int) -> str:
    return f"{number:,} {'bundle' if number == 1 else 'bundles'}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
