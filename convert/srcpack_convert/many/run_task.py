"""What a worker of a batch does: one bundle, whose outcome is a report whatever happens."""

import errno
import os
import time
from concurrent.futures import BrokenExecutor
from typing import NamedTuple

import srcpack
from srcpack.errors import SrcpackError
from srcpack.source.locations import is_url, without_secrets
from srcpack_convert.many.reports import FailureReport, SkipReport
from srcpack_convert.many.tasks import Task, asked, is_input
from srcpack_convert.many.up_to_date import fits, is_of, skipped
from srcpack_convert.many.workers import WorkerDied
from srcpack_convert.one.convert import convert_bundle
from srcpack_convert.one.existing import facts_at
from srcpack_convert.one.report import ConversionReport

__all__ = ["Outcome", "VersionMismatch", "failure", "is_systemic", "run_task"]

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


class Outcome(NamedTuple):
    """What became of a task: its report; None of a candidate that is no input.

    `size` and `stamp` (its time of change, or ETag) are the source's before it was read, as far as known;
    `is_systemic` says that it failed for a reason that other inputs will have too.
    """

    report: ConversionReport | SkipReport | FailureReport | None
    size: int | None
    stamp: str
    is_systemic: bool = False


def run_task(task: Task) -> Outcome:
    """Convert a bundle, or find that its pack is there.

    Raises VersionMismatch if the task was made by another version, ModuleNotFoundError if there are URLs and
    no obstore.
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
            if facts is not None and fits(task, facts) and is_of(task, facts):
                return Outcome(skipped(task, facts, started), task.size, task.stamp)
        if not is_url(task.destination):
            _make_folder(task)
        report = convert_bundle(task.source, task.output, task.options, force=True, jobs=task.jobs)
        return Outcome(report, task.size, task.stamp)
    except ModuleNotFoundError:
        raise  # so it would be with every input
    except Exception as error:  # noqa: BLE001  nothing wrong with an input, or with us, may stop the others
        return Outcome(failure(task, error, started), task.size, task.stamp, is_systemic(task, error))


def failure(task: Task, error: Exception, started: float | None = None) -> FailureReport:
    """Return the report of an error, which need not name the input; see `skipped` for `started`."""
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


def _make_folder(task: Task) -> None:
    """Make the folder of a pack, but not the destination: where that is not, it is another one."""
    if not os.path.isdir(task.destination):
        reason = "the folder for packs is not there, as seen by the process that converts"
        raise FileNotFoundError(errno.ENOENT, reason, task.destination)
    os.makedirs(os.path.dirname(task.output), exist_ok=True)
