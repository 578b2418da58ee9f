"""Packs of a batch whose zip is gone: found with care, and removed one by one.

A pack is only removed if the state file knows which zip it was made from, that zip lay below a folder or
pattern of this batch and is not there any more, and the file is a regular one that says itself that it was
made from those bytes. Of a folder of which no zip is left nothing is removed: more likely it is not mounted.
"""

import os
import stat
from collections.abc import Collection, Iterable
from typing import NamedTuple

from srcpack.errors import SrcpackError
from srcpack.source.locations import is_url, path_or_url
from srcpack_convert.inputs.names import absolute, working_folder
from srcpack_convert.inputs.patterns import Pattern, is_pattern
from srcpack_convert.many.state import State
from srcpack_convert.many.tasks import Known
from srcpack_convert.one.existing import facts_at

__all__ = ["Root", "StalePack", "StalePacks", "find_stale", "remove_stale", "roots_of"]


class Root(NamedTuple):
    """A folder that a batch searches, and which files below it are inputs; None if all may be."""

    folder: str
    pattern: Pattern | None

    def has(self, source: str) -> bool:
        """Return whether a file would be found by it, were it there."""
        start = os.path.join(self.folder, "")
        if not source.startswith(start):
            return False
        return self.pattern is None or self.pattern.matches(source[len(start) :])


class StalePack(NamedTuple):
    """A pack whose zip is gone: its path in the destination, the absolute one, what is known of the zip."""

    name: str
    output: str
    known: Known


class StalePacks(NamedTuple):
    """What was found: such packs, and folders none of whose zips is there, so that their packs stay."""

    packs: list[StalePack]
    empty_roots: list[str]


def roots_of(names: Iterable[str]) -> list[Root]:
    """Return the folders of this machine among the names that a batch is given, patterns included."""
    here = working_folder()
    roots = []
    for name in names:
        place = path_or_url(name)
        if is_url(place):
            continue
        path = absolute(place, here)
        if os.path.isdir(path):
            roots.append(Root(path, None))
        elif is_pattern(place) and not os.path.lexists(path):
            pattern = Pattern(place)
            roots.append(Root(absolute(pattern.root, here), pattern))
    return roots


def find_stale(
    state: State, destination: str, roots: Iterable[Root], *, claimed: Collection[str] = ()
) -> StalePacks:
    """Find the packs whose zip is gone; nothing is removed.

    What is in `claimed` is left alone, as other inputs are to be converted into it.
    """
    roots = list(roots)
    candidates: list[tuple[StalePack, list[Root]]] = []
    alive: set[Root] = set()
    for name, known in state.rows():
        found = [root for root in roots if root.has(known.source)]
        if not found:
            continue
        if not _is_gone(known.source):
            alive.update(found)
            continue
        pack = StalePack(name, os.path.join(destination, name), known)
        if pack.output not in claimed and _is_stale(pack, destination):
            candidates.append((pack, found))
    return StalePacks(
        sorted(pack for pack, found in candidates if alive.issuperset(found)),
        sorted({root.folder for _, found in candidates for root in found if root not in alive}),
    )


def remove_stale(pack: StalePack, destination: str, state: State) -> bool:
    """Remove a pack whose zip is gone, and what is remembered of it; False if that is not so any more."""
    if not (_is_gone(pack.known.source) and _is_stale(pack, destination)):
        return False
    os.unlink(pack.output)
    state.forget(pack.name)
    return True


def _is_gone(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _is_stale(pack: StalePack, destination: str) -> bool:
    """Return whether a file is the pack that is remembered, and lies in the destination."""
    # Where a link leads to a folder, another input may have the same pack by another name.
    folder = os.path.join(os.path.realpath(destination), os.path.dirname(pack.name)).rstrip("/")
    try:
        if os.path.realpath(os.path.dirname(pack.output)) != folder:
            return False
        if not stat.S_ISREG(os.lstat(pack.output).st_mode):
            return False
        facts = facts_at(pack.output)
    except (SrcpackError, OSError, ValueError):
        return False
    made_from = (pack.known.sha256, pack.known.size)
    return facts is not None and (facts.source_sha256, facts.source_size) == made_from
