"""What a conversion reports."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

__all__ = ["ConversionReport", "DamageReport", "Report", "WithoutLookup"]


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported of a piece of work."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows: bytes in hex, seconds to the millisecond."""
        fields = asdict(self)
        for name, value in fields.items():
            if isinstance(value, bytes):
                fields[name] = value.hex()
            elif isinstance(value, float):
                fields[name] = round(value, 3)
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class DamageReport:
    """A member that could not be read, and why; the pack has an entry for it that says so."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutLookup:
    """A file whose source map is in the bundle that got no lookup table, and why; its entry says so too."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport(Report):
    """What was converted, into what, and what it took.

    Attributes:
        source: The SourceBundle, as the caller named it.
        output: The pack.
        source_size: Bytes of the zip.
        output_size: Bytes of the pack.
        source_sha256: Of the zip; in hex in JSON.
        sha256: The pack's own, as `Pack.sha256`; in hex in JSON.
        files: Entries of the pack, damaged ones included.
        total_size: Bytes of all files' contents.
        content_size: Bytes of the distinct contents.
        content_count: Distinct contents that are not empty.
        dictionary_size: Bytes of the dictionary, 0 where none is used.
        preset: Name of the preset.
        level: Level of zstd, None where all contents are raw.
        frame_size: Bytes of content in a frame.
        jobs: Threads that compressed.
        verified: Whether every file was read back from the pack and compared.
        seconds: How long it took.
        damaged: Members that could not be read.
        refused: Why symbolic refuses the bundle, whose metadata is kept as far as it takes it; None if it
            does not.
        lookups: Files that have a lookup table.
        without_lookup: Files that were to have one and have none.
    """

    status: ClassVar[Literal["converted"]] = "converted"

    source: str
    output: str
    source_size: int
    output_size: int
    source_sha256: bytes
    sha256: bytes
    files: int
    total_size: int
    content_size: int
    content_count: int
    dictionary_size: int
    preset: str
    level: int | None
    frame_size: int
    jobs: int
    verified: bool
    seconds: float
    damaged: tuple[DamageReport, ...] = field(default=())
    refused: str | None = None
    lookups: int = 0
    without_lookup: tuple[WithoutLookup, ...] = field(default=())

    @property
    def ratio(self) -> float:
        """Size of the pack as a share of the zip's."""
        return self.output_size / self.source_size

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return {**Report.as_json(self), "ratio": round(self.ratio, 4)}
