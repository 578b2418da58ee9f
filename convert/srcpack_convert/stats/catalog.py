"""A catalog kept up to date: which packs a fleet has, and what they can be found by (docs/catalog.md).

The new catalog is written beside the old one, of which it begins as a copy, and takes its place when it is
whole. So whoever reads the old one reads on, and a run that is killed leaves it as it was.
"""

import errno
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, count
from typing import Any, NamedTuple, TypeAlias

from srcpack import FormatError, SrcpackError
from srcpack.catalog import ERRORS, IDENTITY, SCHEMA, connect
from srcpack.opening import open_pack, packfile_of
from srcpack.rules.lookup_keys import DEBUG_ID, URL, key_of
from srcpack.source.locations import is_url, path_or_url, without_secrets
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.inputs.names import absolute, working_folder
from srcpack_convert.inputs.packs import FoundPack
from srcpack_convert.inputs.patterns import Pattern, is_pattern
from srcpack_convert.stats.index import bundle_columns
from srcpack_convert.stats.statistics import Failed
from srcpack_convert.storage import head

__all__ = ["CatalogReport", "PackFacts", "read_facts", "update_catalog"]

_Stamp: TypeAlias = tuple[int, str]
"""Size, and time of the last change or ETag."""

_READERS = 16
"""Packs of stores that are read at a time: for each a few answers are waited for."""

_CACHE = 64 << 20
"""Bytes that SQLite keeps in memory of the catalog that is written."""


class PackFacts(NamedTuple):
    """What a catalog has of a pack: columns of `srcpack.CatalogedPack`, and what files are found by."""

    files: int
    release: str | None
    dist: str | None
    bundle: str | None
    object: str | None
    debug_ids: set[tuple[str, str]]
    urls: set[str]


@dataclass(slots=True)
class CatalogReport:
    """What a run did to a catalog.

    Attributes:
        packs: Packs that the catalog has now.
        unchanged: Those that were not opened, as they are what the catalog says.
        read: Those that were opened, because they are new or not what they were.
        removed: Packs that the catalog had and has no longer: they are gone, or what is there now cannot be
            read.
        failed: Packs that could not be read, and inputs that could not be listed or have no pack.
        kept: Packs of such inputs, which the catalog has as it had them.
    """

    packs: int = 0
    unchanged: int = 0
    read: int = 0
    removed: int = 0
    failed: int = 0
    kept: int = 0


def read_facts(place: str) -> PackFacts:
    """Read what a catalog has of a pack."""
    # By `pread`: a map would end the process if someone cut the file.
    with open_pack(place, source="pread") as pack:
        debug_ids: set[tuple[str, str]] = set()
        urls: set[str] = set()
        for record in packfile_of(pack).records():
            if (url := key_of(record, URL)) is not None:
                urls.add(url)
            if (key := key_of(record, DEBUG_ID)) is not None:
                debug_id, _, file_type = key.rpartition(" ")
                debug_ids.add((debug_id, file_type))
        return PackFacts(len(pack), *bundle_columns(pack), debug_ids, urls)


def update_catalog(
    path: str | os.PathLike[str],
    packs: Iterable[FoundPack],
    *,
    failed: Failed,
    progress: Callable[[str, CatalogReport], None] | None = None,
    read: Callable[[str], PackFacts] = read_facts,
) -> CatalogReport:
    """Make a catalog of packs, or bring one up to date.

    A pack that the catalog has, and whose size and time of change or ETag are the same, is not opened. One
    that is not among the packs any more goes. Of an input that cannot be listed, or has no pack, what the
    catalog has stays: a folder that is not mounted looks empty. Where nothing changed, nothing is written.

    `packs` come as `find_packs` yields them, of all inputs. `failed` is told why one could not be read, and
    the rest goes on; `progress` which is next, and what was done so far.

    Raises FormatError if the file is no catalog, or damaged, OSError if it cannot be written; whatever ends
    this, the old one is as it was.
    """
    with ExitStack() as stack:
        update = _Update(path, stack, failed, read)
        here = working_folder()
        for found in packs:
            place = _absolute(found.place, here)
            if progress is not None:
                progress(without_secrets(place), update.report)
            update.take(found._replace(place=place))
        update.finish()
        return update.report


class _Update:
    """A run: the catalog as it was, and the one that is written once there is something to write."""

    def __init__(
        self, path: str | os.PathLike[str], stack: ExitStack, failed: Failed, read: Callable[[str], PackFacts]
    ) -> None:
        self.report = CatalogReport()
        self._path = os.fspath(path)
        self._stack = stack
        self._failed = failed
        self._read = read
        self._old = connect(path) if os.path.exists(path) else None
        if self._old is not None:
            stack.callback(self._old.close)
        self._new: sqlite3.Connection | None = None
        last = max((number for (number,) in self._rows("SELECT max(id) FROM packs") if number), default=0)
        self._ids = count(last + 1)
        # Packs of the old catalog, by their numbers there.
        self._unchanged: set[int] = set()
        self._stale: set[int] = set()
        self._replaced = 0
        # Packs of stores, that threads read ahead.
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: deque[partial[None]] = deque()
        # Inputs that could not be listed; those that end with a slash stand for what is below them.
        self._unlisted: set[str] = set()

    def take(self, found: FoundPack) -> None:
        """Take up a pack: by what the catalog has of it, or by reading it."""
        place = found.place
        try:
            stamp = _stamp(found)
        except (OSError, ValueError) as error:
            self._fail(place, error)
            return
        known = self._known(place)
        if known is not None:
            if known[1] == stamp:
                self._unchanged.add(known[0])
                self.report.unchanged += 1
                return
            self._stale.add(known[0])
        write = partial(self._write, place, stamp, replaces=known is not None)
        if is_url(place):
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_READERS)
                self._stack.callback(self._pool.shutdown, cancel_futures=True)
            self._ahead.append(partial(write, self._pool.submit(self._read, place).result))
            if len(self._ahead) >= 2 * _READERS:
                self._ahead.popleft()()
        else:
            write(partial(self._read, place))

    def _write(self, place: str, stamp: _Stamp, read: Callable[[], PackFacts], *, replaces: bool) -> None:
        try:
            facts = read()
        except (SrcpackError, OSError, ValueError) as error:
            self.report.failed += 1
            self._failed(error)
            return
        with _errors_of(self._path):
            _insert(self._writing(), next(self._ids), place, stamp, facts)
        self.report.read += 1
        self._replaced += replaces

    def finish(self) -> None:
        """Let go of what is gone. What was written takes its place when the stack is left."""
        while self._ahead:
            self._ahead.popleft()()
        gone = []
        for number, place in self._rows("SELECT id, place FROM packs"):
            if number in self._unchanged:
                continue
            if not isinstance(place, str):
                raise FormatError(self._path, "damaged catalog: a place", found=place)
            if number not in self._stale and self._is_unlisted(place):
                self.report.kept += 1
            else:
                gone.append((number,))
        self.report.removed = len(gone) - self._replaced
        self.report.packs = self.report.unchanged + self.report.read + self.report.kept
        if gone or self._new is not None:
            with _errors_of(self._path):
                _remove(self._writing(), gone)
                self._writing().execute("COMMIT")

    def _fail(self, place: str, error: OSError | ValueError) -> None:
        """Tell what cannot be looked at; what is known of it, and of what is below it, stays."""
        self.report.failed += 1
        folder = Pattern(place).root if is_pattern(place) else place
        self._unlisted.add(f"{folder.rstrip('/')}/")
        if not isinstance(error, FileNotFoundError):
            self._unlisted.add(place)
        self._failed(error)

    def _is_unlisted(self, place: str) -> bool:
        folders = accumulate(place.split("/")[:-1], "{}/{}".format)
        return bool(self._unlisted) and (
            place in self._unlisted or any(f"{folder}/" in self._unlisted for folder in folders)
        )

    def _known(self, place: str) -> tuple[int, _Stamp] | None:
        """Return the number and the stamp that the old catalog has of a pack."""
        for number, *stamp in self._rows(
            "SELECT id, size, stamp FROM packs WHERE place = CAST(? AS TEXT)", os.fsencode(place)
        ):
            return number, (stamp[0], stamp[1])
        return None

    def _rows(self, statement: str, *values: bytes) -> Iterator[tuple[Any, ...]]:
        if self._old is None:
            return
        try:
            yield from self._old.execute(statement, values)
        except ERRORS as error:
            raise FormatError(self._path, f"damaged catalog: {error}") from error

    def _writing(self) -> sqlite3.Connection:
        """Return the new catalog, which begins as a copy of the old one."""
        if self._new is None:
            _, aside = self._stack.enter_context(written_aside(self._path))
            self._new = sqlite3.connect(aside, isolation_level=None)
            self._stack.callback(self._new.close)
            # It has no name yet: whatever ends this, nobody will read it.
            for pragma in ("journal_mode = off", "synchronous = off", f"cache_size = -{_CACHE >> 10}"):
                self._new.execute(f"PRAGMA {pragma}")
            if self._old is not None:
                self._old.backup(self._new)
            else:
                for statement in (*IDENTITY, *SCHEMA):
                    self._new.execute(statement)
            self._new.execute("BEGIN")
        return self._new


def _insert(new: sqlite3.Connection, number: int, place: str, stamp: _Stamp, facts: PackFacts) -> None:
    name = os.fsencode(place)  # a path of the system may be no UTF-8
    # As it was, if it was there.
    new.execute("DELETE FROM packs WHERE place = CAST(? AS TEXT)", (name,))
    new.execute(
        "INSERT INTO packs (id, place, size, stamp, files, release, dist, bundle, object) "
        "VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?)",
        (number, name, *stamp, facts.files, facts.release, facts.dist, facts.bundle, facts.object),
    )
    new.executemany(
        "INSERT INTO debug_ids (debug_id, type, pack) VALUES (?, ?, ?)",
        ((debug_id, file_type, number) for debug_id, file_type in facts.debug_ids),
    )
    new.executemany("INSERT INTO urls (url, pack) VALUES (?, ?)", ((url, number) for url in facts.urls))


def _remove(new: sqlite3.Connection, gone: list[tuple[int]]) -> None:
    # Each table is gone through once, however many packs go. An index for it would double the file.
    new.execute("CREATE TEMP TABLE gone (id INTEGER PRIMARY KEY)")
    new.executemany("INSERT INTO gone VALUES (?)", gone)
    for table, column in (("packs", "id"), ("debug_ids", "pack"), ("urls", "pack")):
        new.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT id FROM gone)")  # noqa: S608  ours


def _stamp(found: FoundPack) -> _Stamp:
    """Return a pack's size, and what is another text for another content."""
    found.checked()
    stored = found.stored
    if (shown := without_secrets(found.place)) != found.place:
        raise ValueError(f"{shown}: a catalog keeps no user name, password or query of a URL")
    if stored is None and not is_url(found.place):
        status = os.stat(found.place)
        return status.st_size, str(status.st_mtime_ns)
    if stored is None and (stored := head(found.place)) is None:
        raise FileNotFoundError(errno.ENOENT, "no such object", found.place)
    return stored.size, stored.etag or str(stored.modified)


def _absolute(name: str, here: str) -> str:
    """Return a place as it is known wherever a program runs; what cannot be used is told by its error."""
    try:
        return absolute(path_or_url(name), here)
    except ValueError:
        return name


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Raise what SQLite says of a catalog that cannot be written, or begins as a copy of a damaged one."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(errno.ENOSPC if "full" in str(error) else errno.EIO, str(error), path) from error
    except ERRORS as error:
        raise FormatError(path, f"damaged catalog: {error}") from error
