"""How far a batch is: what was found and done, who is told of it, and when there were too many failures."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from srcpack_convert.inputs.bundles import Input, Inputs
from srcpack_convert.many.reports import BatchReport, BatchStopped, FailureReport
from srcpack_convert.one.report import ConversionReport

__all__ = ["TELL_EVERY", "BatchProgress", "ProgressOfBatch", "Tally"]

TELL_EVERY = 0.25
"""Seconds between two times that somebody is told."""
_MOST_IN_A_ROW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        found: Inputs found so far.
        found_size: Their bytes, as far as known.
        is_all: Whether there are no more.
        ignored: Files passed over while searching folders.
        done: Inputs of which a report was given.
        done_size: Their bytes, as far as known.
        converted_size: Bytes of those among them that were converted in this run.
        running: Inputs handed to workers.
    """

    found: int
    found_size: int
    is_all: bool
    ignored: int
    done: int
    done_size: int
    converted_size: int
    running: int


ProgressOfBatch: TypeAlias = Callable[[BatchProgress], None]


class Tally:
    """Counts what a batch finds and does.

    `max_failures` inputs may fail, for whatever reason; None bounds those in a row that failed for reasons
    that are not their own, with no conversion between them.
    """

    def __init__(self, inputs: Inputs, progress: ProgressOfBatch | None, max_failures: int | None) -> None:
        self._inputs = inputs
        self._progress = progress
        self._max_failures = max_failures
        self.found: int = 0
        self._found_size = 0
        self.is_all = False
        self._done = self._done_size = self._converted_size = 0
        self._failures = self._in_a_row = 0
        self._told_at = -TELL_EVERY

    def find(self, found: Input) -> None:
        """Count an input."""
        self.found += 1
        self._found_size += found.size or 0

    def forget(self, size: int | None, *, is_ignored: bool) -> None:
        """Count no more what is no input, or was named before; the first is a file passed over."""
        self.found -= 1
        self._found_size -= size or 0
        self._inputs.ignored += is_ignored

    def fail(self, *, is_systemic: bool) -> None:
        """Count a failure's kind; its report is counted too."""
        self._in_a_row += is_systemic

    def finish(self, report: BatchReport) -> None:
        """Count a report."""
        size = report.source_size or 0
        self._done += 1
        self._done_size += size
        if isinstance(report, ConversionReport):
            self._converted_size += size
            self._in_a_row = 0
        self._failures += isinstance(report, FailureReport)

    def check_failures(self, workers: int) -> None:
        """End a batch that makes no sense any more; of so many workers each may fail once for one reason."""
        left = self.found - self._done
        if self._max_failures is None:
            if self._in_a_row >= max(_MOST_IN_A_ROW, workers):
                raise BatchStopped(self._failures, self._in_a_row, left, self.is_all)
        elif self._failures >= self._max_failures:
            raise BatchStopped(self._failures, None, left, self.is_all)

    def tell(self, running: int, *, now: bool = False) -> None:
        """Tell how far the batch is, unless that was told a moment ago."""
        if self._progress is None or not (now or time.monotonic() - self._told_at >= TELL_EVERY):
            return
        self._told_at = time.monotonic()
        self._progress(
            BatchProgress(
                found=self.found,
                found_size=self._found_size,
                is_all=self.is_all,
                ignored=self._inputs.ignored,
                done=self._done,
                done_size=self._done_size,
                converted_size=self._converted_size,
                running=running,
            )
        )
