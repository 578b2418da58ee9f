"""Output files that appear under their name whole, or not at all.

A process that is killed leaves the file that it was writing. Its name follows from that of the output, and
whoever writes it has it locked: so the next one who writes the same output knows it for what it is and
removes it, and never one of a process that lives.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["written_aside"]

try:
    _fcntl: Any = import_module("fcntl")
except ImportError:
    _fcntl = None
_MOVES_OPEN_FILES = _fcntl is not None
"""Windows has no fcntl; there a file that is open can be neither renamed nor removed, which is its lock."""

_GAP = 16
"""Free names in a row after which no more are looked at: what a killed one left may be behind some."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a file, and its path, that takes the place of `path` when the block ends without an error.

    It is written beside its place, so that the last step is a rename in one file system; before that it is
    flushed to the disk. What was at `path` stays until then; if the block raises, the file is removed.
    Several threads and processes may write one output at once: what the last one wrote stays.

    A symbolic link stays, and the file that it leads to is written. What replaces a file has its permissions
    (its owner is who writes it); a new file has those that the umask, or the folder's default, gives.

    Raises:
        FileExistsError: `path` is no regular file but a folder, a device or the like.
    """
    mode = _mode(path)
    target = Path(os.path.realpath(path))
    # 32 characters are 128 bytes at most, of the 255 that a name may have.
    digest = sha256(os.fsencode(target.name)).hexdigest()[:16]
    prefix = os.fspath(target.with_name(f".{target.name[:32]}.{digest}."))
    try:
        _remove_abandoned(prefix)
        out, aside = _create(prefix, mode)
        with out:
            try:
                yield out, Path(aside)
                out.flush()
                os.fsync(out.fileno())
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(out.fileno(), mode)
                if not _MOVES_OPEN_FILES:
                    out.close()
                os.replace(aside, target)
            except BaseException:
                # While it is open, and so locked: later it could be another's.
                if not _MOVES_OPEN_FILES:
                    out.close()
                with suppress(FileNotFoundError):
                    os.unlink(aside)
                raise
        _sync_folder(target.parent)
    except OSError as error:
        if str(error.filename).startswith(prefix):
            error.filename, error.filename2 = os.fspath(path), None  # a name that its caller knows
        raise
    finally:
        # One who wrote the same output meanwhile may have been killed; and a signal may have come when there
        # was a file that nothing here knew of yet.
        _remove_abandoned(prefix)


def _mode(path: str | os.PathLike[str]) -> int | None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        # A rename would take the place of a device.
        raise FileExistsError(errno.EEXIST, "it exists and is not a regular file", os.fspath(path))
    return stat.S_IMODE(mode) & 0o777


def _create(prefix: str, mode: int | None) -> tuple[BinaryIO, str]:
    """Create a file under the first name that is free, and lock it; nobody may read it who may not later."""
    # Whoever removes it when it is abandoned has to open it.
    permissions = 0o666 if mode is None else mode | stat.S_IRUSR | stat.S_IWUSR
    opener = partial(_open, permissions=permissions)
    names = (f"{prefix}{number}.tmp" for number in count())
    while True:
        aside = next(names)
        try:
            out = open(aside, "x+b", opener=opener)  # noqa: SIM115  the caller closes it
        except FileExistsError:
            continue
        try:
            # Until it was locked, another process could take it for abandoned.
            if _lock(out.fileno()) and _is_at(aside, out.fileno()):
                return out, aside
        except BaseException:
            out.close()
            raise
        out.close()


def _remove_abandoned(prefix: str) -> None:
    """Remove the files that no living process has locked."""
    free = 0
    for number in count():
        aside = f"{prefix}{number}.tmp"
        free = 0 if os.path.lexists(aside) else free + 1
        if free == _GAP:
            return
        if free:
            continue
        with suppress(OSError):  # it is gone, in use, another user's, or files cannot be locked here
            if not _MOVES_OPEN_FILES:
                os.unlink(aside)
                continue
            opened = os.open(aside, os.O_RDWR | _NO_LINK | _AT_ONCE)
            try:
                _fcntl.flock(opened, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                if _is_at(aside, opened):
                    os.unlink(aside)
            finally:
                os.close(opened)


def _lock(number: int) -> bool:
    """Lock a new file of ours; return whether nobody else has."""
    if not _MOVES_OPEN_FILES:
        return True
    try:
        _fcntl.flock(number, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # this file system cannot: then files are never taken for abandoned
    return True


def _is_at(path: str, number: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(number))
    except FileNotFoundError:
        return False


def _open(path: str, flags: int, *, permissions: int) -> int:
    return os.open(path, flags | _NO_LINK, permissions)


def _sync_folder(folder: Path) -> None:
    """Flush the rename itself to the disk."""
    if not _MOVES_OPEN_FILES:
        return  # folders cannot be opened there
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
