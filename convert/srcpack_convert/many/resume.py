"""What batches remember of their sources: digests by size and time, so that a source need not be read again.

It is only a shortcut. Whether a pack is up to date, the pack itself tells, with the source's SHA-256; this
saves computing that. Lost, damaged, locked or of another version it is as if it were empty. What is no
state file is left as it is.
"""

import errno
import os
import sqlite3
import stat
import struct
import time
from contextlib import closing, suppress
from types import TracebackType
from typing import Self
from urllib.parse import quote

from srcpack_convert.many.tasks import Known

__all__ = ["STATE_NAME", "State", "check_state"]

STATE_NAME = ".srcpack-state.db"

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


class State:
    """A state file. A context manager; closing it saves it.

    Args:
        path: The file; None remembers nothing.
        is_read_only: Only look.

    Raises:
        FileExistsError: What is there is no state file.
    """

    def __init__(self, path: str | None, *, is_read_only: bool = False) -> None:
        self._is_read_only = is_read_only
        self._new: list[tuple[bytes, bytes, int, str, bytes, str]] = []
        self._saved_at = time.monotonic()
        self._database: sqlite3.Connection | None = None
        if path is None or (is_read_only and not os.path.exists(path)):
            return
        check_state(path)
        if not is_read_only:
            with suppress(OSError):
                os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            self._database = _opened(path, is_read_only=is_read_only)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if is_read_only or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN):
                return
            # Damaged, or another version's: it can be written anew, and else remembers nothing.
            with suppress(OSError, sqlite3.Error):
                os.unlink(path)
                self._database = _opened(path, is_read_only=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()
        if self._database is not None:
            self._database.close()

    def find(self, output: str) -> Known | None:
        """Return what is known of the source that an output was made from."""
        if self._database is None:
            return None
        query = "SELECT source, size, stamp, sha256, limits FROM made WHERE output = ?"
        try:
            row = self._database.execute(query, (os.fsencode(output),)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return None if row is None else Known(os.fsdecode(row[0]), *row[1:])

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
        with suppress(sqlite3.DatabaseError), self._database:
            self._database.executemany("INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?, ?)", new)


def check_state(path: str) -> None:
    """Refuse a file of somebody else's, which must not be written to, let alone be written anew.

    Raises:
        FileExistsError: It exists, and is neither empty nor a state file.
    """
    try:
        is_ours = stat.S_ISREG(os.stat(path).st_mode) and _is_ours(path)
    except OSError:
        return  # none is there, or SQLite cannot open it either
    if not is_ours:
        raise FileExistsError(errno.EEXIST, "it exists and is no state file", path)


def _is_ours(path: str) -> bool:
    with open(path, "rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return not header
    magic, application_id = _HEADER.unpack(header)
    if magic != _MAGIC or application_id:
        return (magic, application_id) == (_MAGIC, _APPLICATION_ID)
    # Those of earlier versions have no id. Immutable: nothing is locked, nor made beside it.
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?immutable=1", uri=True)) as database:
            return database.execute("SELECT sql FROM sqlite_master").fetchall() == [(_TABLE,)]
    except sqlite3.DatabaseError:
        return False


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))


def _opened(path: str, *, is_read_only: bool) -> sqlite3.Connection:
    mode = "ro" if is_read_only else "rwc"
    database = sqlite3.connect(
        f"file:{_quoted(path)}?mode={mode}", uri=True, timeout=2.0, check_same_thread=False
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
    except BaseException:
        database.close()
        raise
    return database


def _check(version: int) -> None:
    if version != _VERSION:
        raise sqlite3.DatabaseError(f"a state file of version {version}")
