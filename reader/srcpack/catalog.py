"""A catalog: a table of many packs that says which of them have a debug id, a URL, a release.

It is an SQLite file that `srcpack catalog` writes (docs/catalog.md). A file under its name is never changed:
another one takes its place. So it is read without SQLite's locks, and threads that ask at once have
connections of their own.
"""

import errno
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from types import EllipsisType
from typing import Any, NamedTuple, Self, TypeAlias
from urllib.parse import quote

from srcpack.errors import FormatError
from srcpack.records import FileType
from srcpack.rules.debug_id import DebugId
from srcpack.source.open_file import OpenFile

__all__ = ["ERRORS", "IDENTITY", "SCHEMA", "Catalog", "CatalogedPack", "connect"]

_APPLICATION_ID = int.from_bytes(b"srcp")
_VERSION = 1

IDENTITY = (f"PRAGMA application_id = {_APPLICATION_ID}", f"PRAGMA user_version = {_VERSION}")
"""The statements that make an SQLite file a catalog, with tables of this version."""

SCHEMA = (
    """CREATE TABLE packs (
  id INTEGER PRIMARY KEY, place TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, stamp TEXT NOT NULL,
  files INTEGER NOT NULL, release TEXT, dist TEXT, bundle TEXT, object TEXT
)""",
    """CREATE TABLE debug_ids (
  debug_id TEXT NOT NULL, type TEXT NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (debug_id, type, pack)
) WITHOUT ROWID""",
    """CREATE TABLE urls (
  url TEXT NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (url, pack)
) WITHOUT ROWID""",
    "CREATE INDEX packs_by_release ON packs (release, dist)",
    "CREATE INDEX packs_by_bundle ON packs (bundle)",
    "CREATE INDEX packs_by_object ON packs (object)",
)
"""The statements that make an empty catalog. `stamp` is the time of a file's last change, or an ETag."""

_COLUMNS = "place, size, files, release, dist, bundle, object"
_PACKS = f"SELECT {_COLUMNS} FROM packs"  # noqa: S608  no value is put in
_TYPES = ((str,), (int,), (int,), *[(str, type(None))] * 4)

ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises of a damaged file; the second where it cannot decode its own message about it."""

_FileId: TypeAlias = tuple[int, int, int, int]
_Opened: TypeAlias = tuple[_FileId, int, sqlite3.Connection]
"""A connection, of which file and in which process it was opened."""


class CatalogedPack(NamedTuple):
    """What a catalog has of a pack.

    Attributes:
        place: The pack's absolute path, or its URL.
        size: Its bytes.
        files: How many files it has.
        release: Of the bundle, as in its manifest; so is `dist`.
        dist: None if there is none.
        bundle: The bundle's identity in hex, the same for two packs of one bundle; None if the pack has none.
        object: The debug id of the object that the files belong to, of a native one mostly; None if none.
    """

    place: str
    size: int
    files: int
    release: str | None
    dist: str | None
    bundle: str | None
    object: str | None


class Catalog:
    """A catalog file, asked which packs have something.

    The answers are those of when the catalog was written; no pack is opened. They come with the greatest
    place first, by bytes, as `PackSet.by_uri` tries them. When another catalog has taken the file's place,
    the next question is asked of that one. Threads share a catalog without a lock; it survives a fork.

    Asking raises ValueError if the catalog was closed, and FormatError if it is damaged there.

    Attributes:
        path: The file, as the caller named it.
    """

    __slots__ = ("_closed", "_free", "_place", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a catalog.

        Raises:
            FormatError: The file is no catalog, or of another version, or damaged where that is seen at once.
            OSError: It cannot be opened.
        """
        self.path: str = os.fspath(path)
        # The process may be in another folder when the next question comes.
        self._place: str = os.path.abspath(self.path) if self.path else ""
        self._free: deque[_Opened] = deque()
        self._closed = False
        self._free.append(self._connection())

    # ---- lookups

    def by_debug_id(
        self, debug_id: DebugId | str, file_type: FileType | str | None = None
    ) -> list[CatalogedPack]:
        """Return the packs with a file of that debug id, as `Pack.by_debug_id` finds it, of a type or of any.

        Raises ValueError if the text is not a debug id, or the type not one of the four.
        """
        debug_id_text = _debug_id_text(debug_id)
        if file_type is None:
            return self._packs("id IN (SELECT pack FROM debug_ids WHERE debug_id = ?)", debug_id_text)
        return self._packs(
            "id IN (SELECT pack FROM debug_ids WHERE debug_id = ? AND type = ?)",
            debug_id_text,
            FileType(file_type).value,
        )

    def by_url(self, url: str) -> list[CatalogedPack]:
        """Return the packs with a file of just that URL, whatever its type."""
        return self._packs("id IN (SELECT pack FROM urls WHERE url = ?)", _text_of(url, "a URL"))

    def by_release(self, release: str, dist: str | EllipsisType | None = ...) -> list[CatalogedPack]:
        """Return the packs of a release, of all dists; of one if it is given, of none if it is None."""
        release = _text_of(release, "a release")
        if isinstance(dist, EllipsisType):
            return self._packs("release = ?", release)
        return self._packs(
            "release = ? AND dist IS ?", release, None if dist is None else _text_of(dist, "a dist")
        )

    def by_bundle(self, bundle: bytes | str) -> list[CatalogedPack]:
        """Return the packs of a bundle, by its identity (`pack.bundle.identity`) as it is or in hex."""
        return self._packs(
            "bundle = ?",
            bundle.hex() if isinstance(bundle, bytes) else _text_of(bundle, "an identity").lower(),
        )

    def by_object(self, debug_id: DebugId | str) -> list[CatalogedPack]:
        """Return the packs with the sources of an object, by its debug id; ValueError if it is none."""
        return self._packs("object = ?", _debug_id_text(debug_id))

    # ---- as a whole

    def __len__(self) -> int:
        ((count,),) = self._rows("SELECT count(*) FROM packs")
        return int(count)

    def __iter__(self) -> Iterator[CatalogedPack]:
        return iter(self._packs("true"))

    @property
    def closed(self) -> bool:
        """Whether the catalog was closed."""
        return self._closed

    def close(self) -> None:
        """Let go of the file; later questions raise ValueError."""
        self._closed = True
        while self._free:
            self._free.pop()[2].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Catalog {self.path!r}>"

    # ---- rows

    def _packs(self, condition: str, *values: str | None) -> list[CatalogedPack]:
        rows = self._rows(f"{_PACKS} WHERE {condition}", *values)
        for row in rows:
            if not all(map(isinstance, row, _TYPES)):
                raise FormatError(self.path, "damaged catalog", found=row)
        packs = [CatalogedPack(*row) for row in rows]
        # Not by SQL, which might go through all packs in their order to save the sorting of three.
        packs.sort(key=_place_bytes, reverse=True)
        return packs

    def _rows(self, statement: str, *values: str | None) -> list[tuple[Any, ...]]:
        if self._closed:
            raise ValueError(f"{self.path}: the catalog is closed")
        taken = self._taken()
        try:
            rows = taken[2].execute(statement, values).fetchall()
        except UnicodeEncodeError:
            rows = []  # an event may have a text that is none, as "\\ud800"; no pack has
        except BaseException as error:
            taken[2].close()
            if isinstance(error, ERRORS):
                raise FormatError(self.path, f"damaged catalog: {error}") from error
            raise
        self._free.append(taken)
        if self._closed:  # meanwhile
            self.close()
        return rows

    def _taken(self) -> _Opened:
        """Return a connection that nobody else has, to the file that is there now."""
        wanted = _file_id(self._place), os.getpid()
        while self._free:
            try:
                taken = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if taken[:2] == wanted:
                return taken
            taken[2].close()
        return self._connection()

    def _connection(self) -> _Opened:
        # Before it is opened: if it is replaced in between, the next question opens the new one.
        file_id = _file_id(self._place)
        return file_id, os.getpid(), connect(self._place, name=self.path)


class _Connection(sqlite3.Connection):
    """Closed with its last user, as a pack is, with no warning."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # it could not be opened
            self.close()


def connect(path: str | os.PathLike[str], *, name: str | None = None) -> sqlite3.Connection:
    """Open a catalog for reading, and check that it is one; `name` is what to call it in messages.

    The connection may be used by any thread, but by one at a time. It takes no locks and writes nothing.
    Raises FormatError if the file is no catalog, or of another version, or was cut, OSError if it cannot be
    opened.
    """
    name = name or os.fspath(path)
    try:
        length = OpenFile.at(path).size  # a pipe, say, is not waited for
    except FormatError as error:
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name) from error
        raise FormatError(name, "no catalog: not a regular file") from error
    # Colons, question marks and the like are parts of the path.
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(
            uri, uri=True, check_same_thread=False, isolation_level=None, factory=_Connection
        )
    except ERRORS as error:
        raise FormatError(name, f"no catalog: {error}") from error
    try:
        _check(connection, name, length)
    except BaseException as error:
        connection.close()
        if isinstance(error, ERRORS):
            raise FormatError(name, f"no catalog: {error}") from error
        raise
    return connection


def _check(connection: sqlite3.Connection, name: str, length: int) -> None:
    # A path of the system may be no UTF-8.
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    for pragma in ("trusted_schema = off", "cell_size_check = on", "query_only = on"):
        connection.execute(f"PRAGMA {pragma}")
    if _pragma(connection, "application_id") != _APPLICATION_ID:
        raise FormatError(name, "no catalog: an SQLite file of something else")
    version = _pragma(connection, "user_version")
    if version != _VERSION:
        raise FormatError(name, "catalog of another version", found=version, expected=_VERSION)
    # Whoever could change this could put a view or a trigger in a table's place.
    tables = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if sorted(tables) != sorted((statement,) for statement in SCHEMA):
        raise FormatError(name, "damaged catalog: its tables are others")
    if (expected := _pragma(connection, "page_count") * _pragma(connection, "page_size")) != length:
        raise FormatError(name, "damaged catalog: its length", found=length, expected=expected)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    ((value,),) = connection.execute(f"PRAGMA {name}")
    return int(value)


def _debug_id_text(debug_id: DebugId | str) -> str:
    if isinstance(debug_id, str):
        debug_id = DebugId.parse(debug_id)
    elif not isinstance(debug_id, DebugId):
        raise TypeError(f"a debug id is a str or DebugId, not {type(debug_id).__name__}")
    return str(debug_id)


def _text_of(value: str, what: str) -> str:
    if not isinstance(value, str):  # SQLite would find nothing by bytes
        raise TypeError(f"{what} is a str, not {type(value).__name__}")
    return value


def _file_id(path: str) -> _FileId:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _place_bytes(pack: CatalogedPack) -> bytes:
    return pack.place.encode(errors="surrogatepass")
