"""Where the packs of a batch go, and that no two inputs get one output."""

import errno
import os
import sqlite3
import tempfile
import unicodedata
from hashlib import sha256
from typing import NamedTuple, Self

from srcpack.source.locations import is_url, without_secrets

__all__ = ["Outputs", "Owner", "pack_name"]

_CACHE_KIB = 4096


class Owner(NamedTuple):
    """Which input has an output already, without secrets; `is_same` if it was named twice."""

    source: str
    is_same: bool


def pack_name(path: str) -> str:
    """Return the name of a zip's pack: `.srcpack` in the place of `.zip`, or added."""
    return f"{path.removesuffix('.zip') if os.path.basename(path) != '.zip' else path}.srcpack"


class Outputs:
    """The outputs given out so far, each with its input, in a temporary file. A context manager.

    `flat` puts all packs into the folder, a path or a URL, itself; `is_read_only` writes nothing to it.
    """

    def __init__(self, folder: str, *, flat: bool = False, is_read_only: bool = False) -> None:
        self._folder = folder
        self._flat = flat
        self._is_url = is_url(folder)
        self._folds_names = not self._is_url and _folds_names(folder, may_write=not is_read_only)
        self._real = ("", "")
        self._taken = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._taken.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._taken.execute("PRAGMA journal_mode = OFF")
        self._taken.execute(
            "CREATE TABLE taken (output BLOB PRIMARY KEY, source BLOB, url BLOB) WITHOUT ROWID"
        )
        self._taken.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._taken.close()

    def of(self, relative: str) -> str:
        """Return the path of a pack, by its zip's, both relative to the folder, and never out of it."""
        path = os.path.normpath(f"/{relative}").lstrip("/")
        return pack_name(path.rpartition("/")[2] if self._flat else path)

    def take(self, output: str, source: str) -> Owner | None:
        """Give an output to a source, unless another one, or this one, has it already."""
        shown = without_secrets(source)
        # What is not shown may be what names the object.
        url = sha256(source.encode(errors="surrogatepass")).digest() if is_url(source) else b""
        key = os.fsencode(self._one_name_of(output))
        try:
            done = self._taken.execute(
                "INSERT OR IGNORE INTO taken VALUES (?, ?, ?)", (key, os.fsencode(shown), url)
            )
            if done.rowcount == 1:
                return None
            ((owner, its_url),) = self._taken.execute(
                "SELECT source, url FROM taken WHERE output = ?", (key,)
            )
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"the temporary file of outputs: {error}") from error
        owner = os.fsdecode(owner)
        is_same = url == its_url and (bool(url) or os.path.realpath(owner) == os.path.realpath(source))
        return Owner(owner, is_same)

    def _one_name_of(self, output: str) -> str:
        """Return the one name of the file that an output's path leads to: links may, and other letters."""
        if self._is_url:
            return output
        folder, _, name = output.rpartition("/")
        if folder != self._real[0] or not self._real[1]:  # inputs come folder by folder
            self._real = folder, os.path.realpath(os.path.join(self._folder, folder))
        path = os.path.join(self._real[1], name)
        if os.path.islink(path):
            path = os.path.realpath(path)
        return unicodedata.normalize("NFC", path).casefold() if self._folds_names else path


def _folds_names(folder: str, *, may_write: bool) -> bool:
    """Return whether `A` and `a`, or two ways to write an accent, are one name in a folder's file system.

    Where nothing is to be written to it, the folder's own name tells.
    """
    try:
        if may_write:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".srcpack-A\u00e9-") as file:
                name = os.path.basename(file.name)
                others = (name.swapcase(), unicodedata.normalize("NFD", name))
                return any(os.path.lexists(os.path.join(folder, other)) for other in others)
        other = os.path.join(os.path.dirname(folder), os.path.basename(folder).swapcase())
        return other != folder and os.path.samefile(folder, other)
    except (OSError, UnicodeEncodeError):  # nothing is there, nothing can be written, or no such name
        return False
