"""What batches remember of their sources: digests by size and time, so that a source need not be read again.

It is only a shortcut. Whether a pack is up to date, the pack itself tells, with the source's SHA-256; this
saves computing that. Lost, locked or read-only it is as if it were empty; damaged, or of another version, it
is set aside. What is no state file is left as it is.
"""

import errno
import logging
import os
import sqlite3
import stat
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import count
from typing import Self
from urllib.parse import quote

from srcpack.source.locations import is_url
from srcpack_convert.many.tasks import Known

__all__ = ["STATE_NAME", "State", "check_state", "default_state"]

STATE_NAME = ".srcpack-state.db"

_LOG = logging.getLogger("srcpack")

_VERSION = 1
_APPLICATION_ID = 0x53505354
"""What SQLite has in a database's header for programs to know their own by: "SPST"."""

# Of an SQLite database's header (https://sqlite.org/fileformat.html): its magic, and the application id.
_HEADER = struct.Struct(">16s52xI")
_MAGIC = b"SQLite format 3\0"

_TABLE = (
    "CREATE TABLE made (output BLOB PRIMARY KEY, source BLOB, size INTEGER, stamp TEXT,"
    " sha256 BLOB, limits TEXT) WITHOUT ROWID"
)
_SAVE_EVERY = 1.0
"""Seconds of work that a crash may lose."""

# sqlite3 raises UnicodeDecodeError where it cannot decode its own message, which may quote a damaged schema.
_ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)
_NOT_DAMAGED = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class State:
    """A state file (see `check_state`). A context manager; closing it saves it."""

    def __init__(self, path: str, *, is_read_only: bool = False) -> None:
        self._path = path
        self._is_read_only = is_read_only
        self._new: list[tuple[bytes, bytes, int, str, bytes, str]] = []
        self._saved_at = time.monotonic()
        self._database: sqlite3.Connection | None = None
        if is_read_only and not os.path.exists(path):
            return
        if not is_read_only:
            with suppress(OSError):
                os.makedirs(os.path.dirname(path), exist_ok=True)
            if not _is_ours(path) and not self._set_aside("no state file"):
                return
        try:
            self._database = _opened(path, is_read_only=is_read_only)
        except _ERRORS as error:
            self._on_error(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()
        self._close()

    def find(self, output: str) -> Known | None:
        """Return what is known of the source that an output was made from."""
        if self._database is None:
            return None
        query = "SELECT source, size, stamp, sha256, limits FROM made WHERE output = ?"
        try:
            row = self._database.execute(query, (os.fsencode(output),)).fetchone()
        except _ERRORS as error:
            self._on_error(error)
            return None
        return None if row is None else _known_of(row)

    def rows(self) -> Iterator[tuple[str, Known]]:
        """Yield all outputs, and what is known of the source that each was made from."""
        if self._database is None:
            return
        self.save()
        try:
            for output, *row in self._database.execute(
                "SELECT output, source, size, stamp, sha256, limits FROM made"
            ):
                known = _known_of(row)
                if known is not None and type(output) is bytes:
                    yield os.fsdecode(output), known
        except _ERRORS as error:
            self._on_error(error)

    def forget(self, output: str) -> None:
        """Forget what an output was made from."""
        if self._database is None or self._is_read_only:
            return
        try:
            with self._database:
                self._database.execute("DELETE FROM made WHERE output = ?", (os.fsencode(output),))
        except _ERRORS as error:
            self._on_error(error)

    def add(self, output: str, known: Known) -> None:
        """Remember what an output was made from."""
        if self._database is None or self._is_read_only:
            return
        self._new.append((os.fsencode(output), os.fsencode(known.source), *known[1:]))
        if time.monotonic() - self._saved_at >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write what is new."""
        new, self._new = self._new, []
        self._saved_at = time.monotonic()
        if self._database is None or not new:
            return
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?, ?)", new)
        except _ERRORS as error:
            self._on_error(error)

    def _on_error(self, error: Exception) -> None:
        """Go on with an empty file where this one is damaged."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if self._is_read_only or code in _NOT_DAMAGED:
            return
        self._close()
        if self._set_aside("damaged, or of another version"):
            with suppress(*_ERRORS):
                self._database = _opened(self._path, is_read_only=False)

    def _set_aside(self, why: str) -> bool:
        """Rename the file, so that what is wrong with it can be seen, and it is in nobody's way."""
        names = (f"{self._path}.damaged{number or ''}" for number in count())
        aside = next(name for name in names if not os.path.lexists(name))
        try:
            os.rename(self._path, aside)
        except OSError as error:
            _LOG.warning("%s: %s, and it cannot be set aside: %s", self._path, why, error.strerror)
            return False
        _LOG.warning("%s: %s; set aside as %s, and sources are read anew", self._path, why, aside)
        return True

    def _close(self) -> None:
        if self._database is not None:
            with suppress(*_ERRORS):
                self._database.close()
            self._database = None


def default_state(destination: str) -> str:
    """Return where a batch remembers its sources: in the destination, or for a URL in the user's cache."""
    if not is_url(destination):
        return os.path.join(destination, STATE_NAME)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "srcpack", f"{sha256(os.fsencode(destination)).hexdigest()[:32]}.db")


def check_state(path: str, *, is_default: bool) -> None:
    """Refuse what must not be written to, by FileExistsError: somebody else's file, or no file at all.

    At the default place a file that is not ours can only be one that was damaged: it is set aside.
    """
    try:
        may_be_used = stat.S_ISREG(os.stat(path).st_mode) and (is_default or _is_ours(path))
    except (OSError, ValueError):
        return  # none is there, or SQLite cannot open it either
    if not may_be_used:
        raise FileExistsError(errno.EEXIST, "it exists and is no state file", path)


def _known_of(row: Sequence[object]) -> Known | None:
    """Return what a row says; None if it cannot be one of ours."""
    # A column's type in SQLite is only what it prefers.
    match row:
        case [bytes(source), int(size), str(stamp), bytes(digest), str(limits)]:
            return Known(os.fsdecode(source), size, stamp, digest, limits)
    return None


def _is_ours(path: str) -> bool:
    """Return whether a file begins as a state file does, is empty, or cannot be read."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER.size)
    except OSError:
        return True
    return not header or (len(header) == _HEADER.size and _HEADER.unpack(header) == (_MAGIC, _APPLICATION_ID))


def _opened(path: str, *, is_read_only: bool) -> sqlite3.Connection:
    mode = "ro" if is_read_only else "rwc"
    database = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}", uri=True, timeout=2.0, check_same_thread=False
    )
    try:
        # Not the write-ahead log, which network file systems cannot have. No waiting for the disk: a file
        # that a power cut damages is one that is written anew.
        database.execute("PRAGMA synchronous = OFF")
        ((version,),) = database.execute("PRAGMA user_version")
        if version == 0 and not is_read_only:
            version = _VERSION
            # The id comes first, so that a file that was only begun is known too.
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {_VERSION}")
        _check(version)
        database.execute("SELECT source, size, stamp, sha256, limits FROM made LIMIT 0")
    except BaseException:
        database.close()
        raise
    return database


def _check(version: int) -> None:
    if version != _VERSION:
        raise sqlite3.DatabaseError(f"a state file of version {version}")
