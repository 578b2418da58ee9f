"""Whether the pack of a task is there already: of the same bytes and options, as the pack itself says."""

import hashlib
import time
from contextlib import nullcontext

from srcpack.source.locations import is_url, without_secrets
from srcpack_convert.many.reports import SkipReport
from srcpack_convert.many.tasks import Task
from srcpack_convert.one.existing import PackFacts
from srcpack_convert.storage import fetched

__all__ = ["fits", "is_of", "knows", "skipped"]


def fits(task: Task, facts: PackFacts) -> bool:
    """Return whether a pack may be what a task would give; the source's digest can tell.

    Which members are over a limit the pack does not say: so one with damaged members has to be of a
    batch with the same limits.
    """
    known_limits = None if task.known is None else task.known.limits
    return (
        task.size in (None, facts.source_size)
        and facts.options == task.options.as_recorded()
        and (task.options.lenient or not facts.is_refused)
        and (not facts.damaged or known_limits == task.limits)
    )


def knows(task: Task, facts: PackFacts) -> bool:
    """Return whether the pack is of the source's bytes, as far as size and stamp can tell."""
    seen = (without_secrets(task.source), task.size, task.stamp)
    return (
        task.trust
        and bool(task.stamp)
        and task.known is not None
        and task.known[:4] == (*seen, facts.source_sha256)
    )


def is_of(task: Task, facts: PackFacts) -> bool:
    """Return whether the pack is of the source's bytes, which are read if need be."""
    if knows(task, facts):
        return True
    opened = fetched(task.source) if is_url(task.source) else nullcontext(task.source)
    with opened as path, open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest() == facts.source_sha256


def skipped(task: Task, facts: PackFacts, started: float) -> SkipReport:
    """Return the report that the pack is there; `started` is of `time.perf_counter`."""
    return SkipReport(
        source=without_secrets(task.source),
        output=without_secrets(task.output),
        source_size=facts.source_size,
        output_size=facts.size,
        source_sha256=facts.source_sha256,
        sha256=facts.sha256,
        files=facts.files,
        seconds=time.perf_counter() - started,
        damaged=facts.damaged,
    )
