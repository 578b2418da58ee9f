"""What a conversion reports, and what a batch reports of each of its inputs."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from srcpack_convert.one.report import ConversionReport, DamageReport, Report

__all__ = ["BatchReport", "BatchStopped", "FailureReport", "PlanReport", "SkipReport", "status_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipReport(Report):
    """An input whose pack is there already, made from the same bytes with the same options.

    Attributes:
        source: The SourceBundle: its absolute path, or its URL without secrets.
        output: The pack that is there.
        source_size: Bytes of the zip.
        output_size: Bytes of the pack.
        source_sha256: Of the zip, as the pack has it; in hex in JSON.
        sha256: The pack's own, as `Pack.sha256`; in hex in JSON.
        files: Entries of the pack, damaged ones included.
        seconds: How long it took to find that out.
        damaged: Members that could not be read when it was converted, as the pack has them.
    """

    status: ClassVar[Literal["skipped"]] = "skipped"

    source: str
    output: str
    source_size: int
    output_size: int
    source_sha256: bytes
    sha256: bytes
    files: int
    seconds: float
    damaged: tuple[DamageReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReport(Report):
    """An input of which there is no pack; what was at its output stays.

    Attributes:
        source: The input: its absolute path, or its URL without secrets.
        output: The pack that was to be; None where that was not known yet.
        reason: Why, without the input's name.
        source_size: Bytes of the input, None if not known.
        seconds: How long it took.
    """

    status: ClassVar[Literal["failed"]] = "failed"

    source: str
    output: str | None
    reason: str
    source_size: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport(Report):
    """An input that would be converted if it were no dry run.

    Attributes:
        source: The SourceBundle: its absolute path, or its URL without secrets.
        output: The pack that would be written.
        source_size: Bytes of the zip, None if not known.
    """

    status: ClassVar[Literal["planned"]] = "planned"

    source: str
    output: str
    source_size: int | None


BatchReport: TypeAlias = ConversionReport | SkipReport | FailureReport | PlanReport
"""What a batch says of an input; each has `status`, `source`, `output` and `as_json`."""


def status_json(report: BatchReport) -> dict[str, Any]:
    """Return what became of an input, as values that JSON knows, its status first."""
    return {"status": report.status, **report.as_json()}


class BatchStopped(Exception):
    """A batch ended before its inputs did; run again, it goes on where it was.

    Attributes:
        failures: Inputs that failed.
        in_a_row: How many of them failed for reasons that are not their own, with no success between them;
            None if it was their number that ended the batch.
        left: Inputs that were found and have no report.
        is_all: Whether no more inputs would have been found.
    """

    def __init__(self, failures: int, in_a_row: int | None, left: int, is_all: bool) -> None:
        super().__init__(failures, in_a_row, left, is_all)
        self.failures = failures
        self.in_a_row = in_a_row
        self.left = left
        self.is_all = is_all

    def __str__(self) -> str:
        bundles = f"{self.left:,}{'' if self.is_all else ' or more'} left to do"
        if self.in_a_row is None:
            return f"ended after {self.failures:,} that failed, with {bundles}"
        reason = "failed in a row, for reasons that are not theirs"
        return f"ended after {self.in_a_row:,} bundles {reason}, with {bundles}"
