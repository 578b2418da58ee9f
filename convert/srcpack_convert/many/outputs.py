"""Where the packs of a batch go, and that no two inputs get one output."""

import errno
import os
import sqlite3
import unicodedata
from types import TracebackType
from typing import Self

__all__ = ["Outputs", "pack_name"]

_CACHE_KIB = 4096


def pack_name(path: str) -> str:
    """Return the name of a zip's pack: `.srcpack` in the place of `.zip`, or added."""
    return f"{path.removesuffix('.zip') if os.path.basename(path) != '.zip' else path}.srcpack"


class Outputs:
    """The outputs given out so far, each with its input. A context manager.

    They are in a temporary file, so that a million of them take no memory.

    Args:
        folder: The destination.
        flat: Put all packs into the folder itself.
    """

    def __init__(self, folder: str, *, flat: bool = False) -> None:
        self._flat = flat
        self._folds_case = _folds_case(folder)
        self._taken = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._taken.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._taken.execute("PRAGMA journal_mode = OFF")
        self._taken.execute("CREATE TABLE taken (output BLOB PRIMARY KEY, source BLOB) WITHOUT ROWID")
        self._taken.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken.close()

    def of(self, relative: str) -> str:
        """Return the path of a pack, by its zip's, both relative to the folder."""
        return pack_name(relative.rpartition("/")[2] if self._flat else relative)

    def take(self, output: str, source: str) -> str | None:
        """Give an output to a source; return the source that has it already, which may be the same one.

        Raises:
            OSError: The temporary file cannot be written.
        """
        name = unicodedata.normalize("NFC", output).casefold() if self._folds_case else output
        key, value = os.fsencode(name), os.fsencode(source)
        try:
            done = self._taken.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (key, value))
            if done.rowcount == 1:
                return None
            ((owner,),) = self._taken.execute("SELECT source FROM taken WHERE output = ?", (key,))
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"the temporary file of outputs: {error}") from error
        return os.fsdecode(owner)


def _folds_case(folder: str) -> bool:
    """Return whether `A` and `a` are one name in a file system, as far as the folder's own name tells."""
    path = os.path.abspath(folder)
    other = os.path.join(os.path.dirname(path), os.path.basename(path).swapcase())
    try:
        return other != path and os.path.samefile(path, other)
    except OSError:
        return False
