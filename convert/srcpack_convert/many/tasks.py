"""A task of a batch: a bundle, and where its pack is to be."""

import os
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import srcpack
from srcpack.bundle.magic import MAGIC_SIZE
from srcpack.source.locations import is_url
from srcpack_convert.inputs.bundles import begins_as_input
from srcpack_convert.one.options import Options
from srcpack_convert.storage import first_bytes, head, no_bundle

__all__ = ["Known", "Task", "asked", "is_input"]


class Known(NamedTuple):
    """What an earlier batch knew of a source when it had its pack.

    `stamp` is when it was changed last, or its ETag; `limits` are those that its members were read with.
    """

    source: str
    size: int
    stamp: str
    sha256: bytes
    limits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A bundle to convert, by absolute path or URL, as is the folder in which the pack gets its name.

    `size` is None if it is to be asked; `stamp` is when the zip was changed last, or its ETag. `known` is
    what an earlier batch knew of what the output was made from; `trust` believes that where size and stamp
    are the same, the bytes are. Of a candidate (`is_candidate`) the first bytes tell if it is an input at
    all. `check` converts only if the pack that is there is not of these bytes and options. `deaths` counts
    the processes that did not survive it, `jobs` the threads that compress; `version` is of this project,
    where the task was made.
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


def asked(task: Task) -> Task:
    """Return the task with size and stamp of an object that was not looked at before."""
    if task.size is not None or not is_url(task.source):
        return task
    found = head(task.source)
    if found is None:
        raise no_bundle(task.source)
    # A query may be a signature, or name the object. What is remembered has none; an ETag tells them apart.
    has_time = found.modified and "?" not in task.source
    return replace(task, size=found.size, stamp=found.etag or (str(found.modified) if has_time else ""))


def is_input(task: Task) -> bool:
    """Return whether a candidate is an input, by its first bytes; what is no candidate is one."""
    return not task.is_candidate or begins_as_input(task.source, first_bytes(task.source, MAGIC_SIZE))
