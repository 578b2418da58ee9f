"""What a worker of a batch does: one bundle, whose outcome is a report whatever happens."""

import errno
import hashlib
import os
import time
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import sourcepack
from sourcepack.errors import SourcepackError
from sourcepack.layout import FRAME_HEADER, MAGIC
from sourcepack.pack import Pack, open_pack

from .conversion import convert
from .report import ConversionReport, FailureReport, SkipReport

__all__ = ["Known", "PackFacts", "Task", "VersionMismatch", "facts_at", "failure", "run_task"]


class VersionMismatch(BrokenExecutor):
    """A worker has another version of this project than who gave it a task."""


class Known(NamedTuple):
    """What an earlier batch knew of a source when it had its pack.

    Attributes:
        source: Its absolute path.
        size: Its bytes.
        stamp: When it was changed last, as text.
        sha256: Of its bytes.
        limits: The limits that its members were read with, as text.
    """

    source: str
    size: int
    stamp: str
    sha256: bytes
    limits: str


class PackFacts(NamedTuple):
    """What a pack says of itself.

    Attributes:
        source_sha256: Of the zip that it was made from.
        source_size: Bytes of that zip.
        options: What decided its bytes, besides the zip and libzstd.
        size: Bytes of the pack.
        sha256: Its identity.
        files: Its entries.
        damaged: Entries of members that could not be read.
    """

    source_sha256: bytes
    source_size: int
    options: Mapping[str, Any]
    size: int
    sha256: bytes
    files: int
    damaged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A bundle to convert.

    Attributes:
        source: The SourceBundle.
        output: The pack.
        size: Bytes of the zip as it was found.
        stamp: When it was changed last, as text.
        options: Arguments of `convert`.
        recorded: What a pack records of the options that decide its bytes.
        known: What an earlier batch knew of what the output was made from.
        trust: Believe that where size and stamp are the same, the bytes are.
        check: Convert only if the pack that is there is not of these bytes and options.
        deaths: How many processes did not survive it so far.
        version: Of this project, where the task was made.
    """

    source: str
    output: str
    size: int
    stamp: str
    options: Mapping[str, Any]
    recorded: Mapping[str, Any]
    known: Known | None = None
    trust: bool = True
    check: bool = False
    deaths: int = 0
    version: str = sourcepack.__version__

    @property
    def limits(self) -> str:
        """The limits on the bundle, as text."""
        return repr(self.options["limits"])

    def fits(self, facts: PackFacts) -> bool:
        """Return whether a pack may be what this task would give; the source's digest can tell.

        Which members are over a limit the pack does not say: so one with damaged members has to be of a
        batch with the same limits.
        """
        known_limits = None if self.known is None else self.known.limits
        return (
            facts.source_size == self.size
            and facts.options == self.recorded
            and (not facts.damaged or known_limits == self.limits)
        )

    def knows(self, facts: PackFacts) -> bool:
        """Return whether the pack is of the source's bytes, as far as size and stamp can tell."""
        seen = (os.path.abspath(self.source), self.size, self.stamp)
        return self.trust and self.known is not None and self.known[:4] == (*seen, facts.source_sha256)

    def is_of(self, facts: PackFacts) -> bool:
        """Return whether the pack is of the source's bytes, which are read if need be.

        Raises:
            OSError: They cannot be read.
        """
        if self.knows(facts):
            return True
        with open(self.source, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == facts.source_sha256

    def skipped(self, facts: PackFacts, started: float) -> SkipReport:
        """Return the report that the pack is there; `started` is of `time.perf_counter`."""
        return SkipReport(
            source=self.source,
            output=self.output,
            source_size=facts.source_size,
            output_size=facts.size,
            source_sha256=facts.source_sha256.hex(),
            sha256=facts.sha256.hex(),
            files=facts.files,
            damaged_count=facts.damaged,
            seconds=time.perf_counter() - started,
        )


def run_task(task: Task) -> ConversionReport | SkipReport | FailureReport:
    """Convert a bundle, or find that its pack is there.

    Raises:
        VersionMismatch: The task was made by another version.
    """
    if task.version != sourcepack.__version__:
        raise VersionMismatch(
            f"a worker has sourcepack {sourcepack.__version__}, and here it is {task.version}; "
            "both have to be the same"
        )
    started = time.perf_counter()
    try:
        if task.check:
            facts = facts_at(task.output)
            if facts is not None and task.fits(facts) and task.is_of(facts):
                return task.skipped(facts, started)
        os.makedirs(os.path.dirname(task.output) or ".", exist_ok=True)
        return convert(task.source, task.output, **task.options)
    except Exception as error:  # noqa: BLE001  nothing wrong with an input, or with us, may stop the others
        return failure(task, error, started)


def facts_at(path: str) -> PackFacts | None:
    """Return what the pack at a path says of itself; None if nothing is there, or a pack that is damaged.

    Raises:
        FileExistsError: Something else is there.
        OSError: It cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(FRAME_HEADER.size + len(MAGIC))
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        head = b""
    if head[FRAME_HEADER.size :] != MAGIC:
        raise FileExistsError(errno.EEXIST, "what is there is no pack", path)
    try:
        # Head and tail are checked: a pack that was cut, or is another version's, is none here.
        with open_pack(path, source="pread") as pack:
            return _facts_of(pack)
    except SourcepackError:
        return None


def _facts_of(pack: Pack) -> PackFacts | None:
    described = pack.bundle
    sha256, size = described.source.get("sha256"), described.source.get("size")
    options = described.created_by.get("options")
    if not (isinstance(sha256, bytes) and isinstance(size, int) and isinstance(options, Mapping)):
        return None
    tail = pack.tail
    return PackFacts(
        sha256, size, options, tail.file_length, tail.sha256, tail.entry_count, tail.damaged_count
    )


def failure(task: Task, error: Exception, started: float) -> FailureReport:
    """Return the report of an error, which need not name the input."""
    reason = str(error) or type(error).__name__
    if isinstance(error, OSError):
        reason = error.strerror or reason
        if error.filename is not None and os.fsdecode(error.filename) != task.source:
            reason = f"{os.fsdecode(error.filename)}: {reason}"
    elif isinstance(error, MemoryError):
        reason = "out of memory"
    elif not isinstance(error, SourcepackError | ValueError):
        reason = f"{type(error).__name__}: {reason}"
    return FailureReport(
        source=task.source,
        output=task.output,
        reason=reason.removeprefix(f"{task.source}: "),
        source_size=task.size,
        seconds=time.perf_counter() - started,
    )
