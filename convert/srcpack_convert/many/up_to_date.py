"""Whether the pack of a task is there already: of the same bytes and options, as the pack itself says."""

import errno
import hashlib
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

from srcpack.errors import SrcpackError
from srcpack.format.head_tail import PACK_HEAD, is_pack
from srcpack.opening import open_pack, packfile_of
from srcpack.pack import Pack
from srcpack.source.locations import is_url, without_secrets
from srcpack_convert.many.reports import SkipReport
from srcpack_convert.many.tasks import Task
from srcpack_convert.one.report import DamageReport
from srcpack_convert.storage import fetched, first_bytes

__all__ = ["PackFacts", "facts_at", "fits", "is_of", "knows", "skipped"]


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
        is_refused: Whether symbolic refuses the zip, and only a lenient conversion gives this pack.
    """

    source_sha256: bytes
    source_size: int
    options: Mapping[str, Any]
    size: int
    sha256: bytes
    files: int
    damaged: tuple[DamageReport, ...]
    is_refused: bool


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
    return PackFacts(
        sha256,
        size,
        options,
        tail.file_length,
        tail.sha256,
        tail.entry_count,
        damaged,
        is_refused="refused" in described.created_by,
    )


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
    """Return whether the pack is of the source's bytes, which are read if need be.

    Raises:
        OSError: They cannot be read.
    """
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
