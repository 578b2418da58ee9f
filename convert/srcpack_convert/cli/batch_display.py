"""What a batch shows on stderr while it goes on: on a terminal a bar that moves, else lines for a log."""

import logging
import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from srcpack_convert.cli.terminal import counted, files_text, members_text, say, shown, size_text
from srcpack_convert.many.progress import BatchProgress
from srcpack_convert.many.reports import BatchReport, FailureReport, PlanReport
from srcpack_convert.one.report import ConversionReport

__all__ = ["Display", "Shown", "bundles_text", "duration_text", "short"]

_MOST_LINES = 20
_PLAIN_EVERY = 5.0
_RATE_OVER = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be shown of a batch: its progress, a line on every input.

    `report` is the file that has all that is not shown.
    """

    progress: bool
    each: bool
    report: str | None


class Display(logging.Handler):
    """What is shown of a batch, and of what the library logs meanwhile. A context manager."""

    def __init__(self, what: Shown) -> None:
        super().__init__(logging.INFO if what.each else logging.WARNING)
        self._what = what
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._told_at = time.monotonic()
        self._failed = self._lines = 0
        if what.progress and self._is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=20),
                TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> Self:
        logging.getLogger("srcpack").addHandler(self)
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("searching", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.take_away()
        logging.getLogger("srcpack").removeHandler(self)
        if self._lines > _MOST_LINES and not self._what.each:
            where = f"{self._what.report} has all" if self._what.report else "--report FILE would have all"
            self.say(f"and {self._lines - _MOST_LINES:,} more; {where}")

    def take_away(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Show what the library logs."""
        self.say(f"{record.levelname.lower()}: {record.getMessage()}")

    def say(self, line: str) -> None:
        """Show a line; in a log it begins with the time."""
        if self._bar is not None:
            self._bar.console.print(Text(shown(line)), soft_wrap=True)
        elif self._is_terminal:
            say(line)
        else:
            say(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}")

    def update(self, progress: BatchProgress) -> None:
        """Show how far the batch is."""
        if not self._what.progress:
            return
        now = time.monotonic()
        self._samples.append((now, progress.converted_size))
        while len(self._samples) > 2 and now - self._samples[0][0] > _RATE_OVER:
            self._samples.popleft()
        if self._bar is not None and self._task is not None:
            total = progress.found_size or None if progress.is_all else None
            self._bar.update(
                self._task, completed=progress.done_size, total=total, description=self._text(progress)
            )
        elif now - self._told_at >= _PLAIN_EVERY:
            self._told_at = now
            self.say(self._text(progress))

    def tell_of(self, report: BatchReport) -> None:
        """Show what is wrong with an input, or what became of it."""
        if isinstance(report, FailureReport):
            self._failed += 1
            self._line(f"failed: {short(report.source)}: {report.reason}")
        elif isinstance(report, ConversionReport) and report.damaged:
            first = report.damaged[0]
            text = f"{members_text(len(report.damaged))} cannot be read, {first.member!r}: {first.reason}"
            self._line(f"warning: {short(report.source)}: {text}")
        elif isinstance(report, ConversionReport) and report.refused is not None:
            self._line(f"warning: {short(report.source)}: symbolic refuses it: {report.refused}")
        elif isinstance(report, ConversionReport) and report.without_lookup:
            without = report.without_lookup
            files = counted(len(without), "file has no lookup table", "files have no lookup table")
            self._line(
                f"warning: {short(report.source)}: {files}, {without[0].member!r}: {without[0].reason}"
            )
        elif self._what.each and not isinstance(report, PlanReport):
            line = f"{report.status}: {short(report.source)} -> {short(report.output)}"
            self._line(f"{line}, {files_text(report.files)}, {size_text(report.output_size)}")

    def _line(self, line: str) -> None:
        self._lines += 1
        if self._lines <= _MOST_LINES or self._what.each:
            self.say(line)

    def _text(self, progress: BatchProgress) -> str:
        more = "" if progress.is_all else "+"
        text = f"{progress.done:,} of {progress.found:,}{more} bundles, "
        text += f"{size_text(progress.done_size)} of {size_text(progress.found_size)}{more}"
        # What is skipped takes no time worth counting, and says nothing of what is left.
        seconds = self._samples[-1][0] - self._samples[0][0]
        rate = (self._samples[-1][1] - self._samples[0][1]) / seconds if seconds else 0.0
        if rate:
            text += f", {size_text(round(rate))}/s"
        if not progress.is_all:
            text += ", still searching"
        elif rate and progress.found_size > progress.done_size:
            text += f", {duration_text((progress.found_size - progress.done_size) / rate)} left"
        return text + (f", {self._failed:,} failed" if self._failed else "")


def short(path: str) -> str:
    """Return a path as one would name it in the working folder."""
    try:
        return path.removeprefix(f"{os.getcwd().rstrip('/')}/")
    except OSError:  # it is gone
        return path


def bundles_text(number: int) -> str:
    """Return a number of bundles in words: `1 bundle`."""
    return counted(number, "bundle", "bundles")


def duration_text(seconds: float) -> str:
    """Return a time as people read it: `1:30`, or `2:00:00` with hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
