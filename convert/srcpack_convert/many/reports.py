"""What a conversion reports, and what a batch reports of each of its inputs."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from srcpack_convert.one.report import ConversionReport

__all__ = [
    "BatchReport",
    "FailureReport",
    "PlanReport",
    "SkipReport",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipReport:
    """An input whose pack is there already, made from the same bytes with the same options.

    Attributes:
        source: The SourceBundle, as it was found.
        output: The pack that is there.
        source_size: Bytes of the zip.
        output_size: Bytes of the pack.
        source_sha256: Of the zip, in hex, as the pack has it.
        sha256: The pack's identity, in hex.
        files: Entries of the pack, damaged ones included.
        damaged_count: Entries whose member could not be read when it was converted.
        seconds: How long it took to find that out.
    """

    status: ClassVar[str] = "skipped"

    source: str
    output: str
    source_size: int
    output_size: int
    source_sha256: str
    sha256: str
    files: int
    damaged_count: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReport:
    """An input of which there is no pack; what was at its output stays.

    Attributes:
        source: The input, as it was found.
        output: The pack that was to be; None where that was not known yet.
        reason: Why, without the input's name.
        source_size: Bytes of the input, None if not known.
        seconds: How long it took.
    """

    status: ClassVar[str] = "failed"

    source: str
    output: str | None
    reason: str
    source_size: int | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """An input that would be converted if it were no dry run.

    Attributes:
        source: The SourceBundle, as it was found.
        output: The pack that would be written.
        source_size: Bytes of the zip, None if not known.
    """

    status: ClassVar[str] = "planned"

    source: str
    output: str
    source_size: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return asdict(self)


BatchReport: TypeAlias = ConversionReport | SkipReport | FailureReport | PlanReport
"""What a batch says of an input; each has `status`, `source`, `output` and `as_json`."""
