"""What a worker of a batch does: one bundle, whose outcome is a report whatever happens."""

import errno
import hashlib
import os
import time
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import srcpack
from srcpack.bundle.magic import MAGIC_SIZE
from srcpack.errors import SrcpackError
from srcpack.format.head_tail import PACK_HEAD, is_pack
from srcpack.opening import open_pack, packfile_of
from srcpack.pack import Pack
from srcpack.source.locations import is_url, without_secrets
from srcpack_convert.many.inputs import begins_as_input
from srcpack_convert.many.reports import FailureReport, SkipReport
from srcpack_convert.many.workers import WorkerDied
from srcpack_convert.one.convert import convert_bundle
from srcpack_convert.one.options import Options
from srcpack_convert.one.report import ConversionReport, DamageReport
from srcpack_convert.storage import fetched, first_bytes, head, no_bundle

__all__ = [
    "Known",
    "Outcome",
    "PackFacts",
    "Task",
    "VersionMismatch",
    "asked",
    "facts_at",
    "failure",
    "is_input",
    "is_systemic",
    "run_task",
]


_OF_THE_SYSTEM = {
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EROFS,
}


class VersionMismatch(BrokenExecutor):
    """A worker has another version of this project than who gave it a task."""


class Known(NamedTuple):
    """What an earlier batch knew of a source when it had its pack.

    Attributes:
        source: Its absolute path, or its URL without secrets.
        size: Its bytes.
        stamp: When it was changed last, or its ETag.
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
        damaged: Members that could not be read.
    """

    source_sha256: bytes
    source_size: int
    options: Mapping[str, Any]
    size: int
    sha256: bytes
    files: int
    damaged: tuple[DamageReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A bundle to convert.

    Attributes:
        source: The SourceBundle, by its absolute path, or by URL.
        destination: The folder that packs go to, by its absolute path, or by URL.
        name: Path of the pack, relative to the destination.
        size: Bytes of the zip as it was found; None if that is to be asked.
        stamp: When it was changed last, or its ETag.
        options: How it is converted.
        jobs: Threads that compress.
        known: What an earlier batch knew of what the output was made from.
        trust: Believe that where size and stamp are the same, the bytes are.
        is_candidate: Whether the first bytes tell if it is an input at all.
        check: Convert only if the pack that is there is not of these bytes and options.
        deaths: How many processes did not survive it so far.
        version: Of this project, where the task was made.
    """

    # Not in what others print of it, as Dask does of a call that failed: URLs may have secrets.
    source: str = field(repr=False)
    destination: str = field(repr=False)
    name: str
    size: int | None
    stamp: str
    options: Options
    jobs: int = 1
    known: Known | None = None
    trust: bool = True
    is_candidate: bool = False
    check: bool = False
    deaths: int = 0
    version: str = srcpack.__version__

    @property
    def output(self) -> str:
        """The pack, by path or URL."""
        return os.path.join(self.destination, self.name)

    @property
    def limits(self) -> str:
        """The limits on the bundle, as text."""
        return repr(self.options.limits)

    def fits(self, facts: PackFacts) -> bool:
        """Return whether a pack may be what this task would give; the source's digest can tell.

        Which members are over a limit the pack does not say: so one with damaged members has to be of a
        batch with the same limits.
        """
        known_limits = None if self.known is None else self.known.limits
        return (
            self.size in (None, facts.source_size)
            and facts.options == self.options.as_recorded()
            and (not facts.damaged or known_limits == self.limits)
        )

    def knows(self, facts: PackFacts) -> bool:
        """Return whether the pack is of the source's bytes, as far as size and stamp can tell."""
        seen = (without_secrets(self.source), self.size, self.stamp)
        return (
            self.trust
            and bool(self.stamp)
            and self.known is not None
            and self.known[:4] == (*seen, facts.source_sha256)
        )

    def is_of(self, facts: PackFacts) -> bool:
        """Return whether the pack is of the source's bytes, which are read if need be.

        Raises:
            OSError: They cannot be read.
        """
        if self.knows(facts):
            return True
        opened = fetched(self.source) if is_url(self.source) else nullcontext(self.source)
        with opened as path, open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == facts.source_sha256

    def skipped(self, facts: PackFacts, started: float) -> SkipReport:
        """Return the report that the pack is there; `started` is of `time.perf_counter`."""
        return SkipReport(
            source=without_secrets(self.source),
            output=without_secrets(self.output),
            source_size=facts.source_size,
            output_size=facts.size,
            source_sha256=facts.source_sha256,
            sha256=facts.sha256,
            files=facts.files,
            seconds=time.perf_counter() - started,
            damaged=facts.damaged,
        )


class Outcome(NamedTuple):
    """What became of a task.

    Attributes:
        report: The report; None of a candidate that is no input.
        size: Bytes of the source, None if not known.
        stamp: When the source was changed last, or its ETag, before it was read; empty if not known.
        is_systemic: Whether it failed for a reason that other inputs will have too.
    """

    report: ConversionReport | SkipReport | FailureReport | None
    size: int | None
    stamp: str
    is_systemic: bool = False


def run_task(task: Task) -> Outcome:
    """Convert a bundle, or find that its pack is there.

    Raises:
        VersionMismatch: The task was made by another version.
        ModuleNotFoundError: There are URLs, and obstore is not installed.
    """
    if task.version != srcpack.__version__:
        raise VersionMismatch(
            f"a worker has srcpack {srcpack.__version__}, and here it is {task.version}; "
            "both have to be the same"
        )
    started = time.perf_counter()
    try:
        task = asked(task)
        if not is_input(task):
            return Outcome(None, task.size, task.stamp)
        if task.check:
            facts = facts_at(task.output)
            if facts is not None and task.fits(facts) and task.is_of(facts):
                return Outcome(task.skipped(facts, started), task.size, task.stamp)
        if not is_url(task.destination):
            _make_folder(task)
        report = convert_bundle(task.source, task.output, task.options, jobs=task.jobs)
        return Outcome(report, task.size, task.stamp)
    except ModuleNotFoundError:
        raise  # so it would be with every input
    except Exception as error:  # noqa: BLE001  nothing wrong with an input, or with us, may stop the others
        return Outcome(failure(task, error, started), task.size, task.stamp, is_systemic(task, error))


def _make_folder(task: Task) -> None:
    """Make the folder of a pack, but not the destination: where that is not, it is another one."""
    if not os.path.isdir(task.destination):
        reason = "the folder for packs is not there, as seen by the process that converts"
        raise FileNotFoundError(errno.ENOENT, reason, task.destination)
    os.makedirs(os.path.dirname(task.output), exist_ok=True)


def asked(task: Task) -> Task:
    """Return the task with size and stamp of an object that was not looked at before.

    Raises:
        OSError: It is not there, or the store cannot be asked.
    """
    if task.size is not None or not is_url(task.source):
        return task
    found = head(task.source)
    if found is None:
        raise no_bundle(task.source)
    # A query may be a signature, or name the object. What is remembered has none; an ETag tells them apart.
    has_time = found.modified and "?" not in task.source
    return replace(task, size=found.size, stamp=found.etag or (str(found.modified) if has_time else ""))


def is_input(task: Task) -> bool:
    """Return whether a candidate is an input, by its first bytes; what is no candidate is one.

    Raises:
        OSError: They cannot be read.
    """
    return not task.is_candidate or begins_as_input(task.source, first_bytes(task.source, MAGIC_SIZE))


def facts_at(place: str) -> PackFacts | None:
    """Return what the pack at a path or URL says of itself.

    None if nothing is there, or a pack that is damaged: head and tail are checked.

    Raises:
        FileExistsError: Something else is there.
        OSError: It cannot be read.
    """
    try:
        with open_pack(place, source="pread") as pack:
            return _facts_of(pack)
    except FileNotFoundError:
        return None
    except SrcpackError:
        if not is_pack(first_bytes(place, PACK_HEAD)):
            raise _foreign(place) from None
        return None


def _foreign(place: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "what is there is no pack", without_secrets(place))


def _facts_of(pack: Pack) -> PackFacts | None:
    described = pack.bundle
    sha256, size = described.source.get("sha256"), described.source.get("size")
    options = described.created_by.get("options")
    if not (isinstance(sha256, bytes) and isinstance(size, int) and isinstance(options, Mapping)):
        return None
    tail = packfile_of(pack).tail
    damaged: tuple[DamageReport, ...] = ()
    if tail.damaged_count:
        told = ((entry.name, entry.damage) for entry in pack.entries())
        damaged = tuple(DamageReport(member=name, reason=why) for name, why in told if why is not None)
    return PackFacts(sha256, size, options, tail.file_length, tail.sha256, tail.entry_count, damaged)


def failure(task: Task, error: Exception, started: float | None = None) -> FailureReport:
    """Return the report of an error, which need not name the input; see `Task.skipped` for `started`."""
    source, output = without_secrets(task.source), without_secrets(task.output)
    reason = str(error) or type(error).__name__
    if isinstance(error, OSError):
        reason = error.strerror or reason
        if error.filename is not None and os.fsdecode(error.filename) not in (task.source, source):
            reason = f"{os.fsdecode(error.filename)}: {reason}"
    elif isinstance(error, MemoryError):
        reason = "out of memory"
    elif not isinstance(error, SrcpackError | ValueError | WorkerDied):
        reason = f"{type(error).__name__}: {reason}"
    return FailureReport(
        source=source,
        output=output,
        reason=reason.replace(task.source, source).replace(task.output, output).removeprefix(f"{source}: "),
        source_size=task.size,
        seconds=0.0 if started is None else time.perf_counter() - started,
    )


def is_systemic(task: Task, error: Exception) -> bool:
    """Return whether an error says nothing of its input: a full disk, say, or a store that refuses all."""
    if not isinstance(error, OSError):
        return False
    if isinstance(error, ConnectionError | TimeoutError) or error.errno in _OF_THE_SYSTEM:
        return True
    place = "" if error.filename is None else os.fsdecode(error.filename)
    is_of_source = place in (task.source, without_secrets(task.source))
    if isinstance(error, PermissionError):
        return is_url(place) or not is_of_source  # credentials, or a folder
    return isinstance(error, FileNotFoundError) and not is_of_source
