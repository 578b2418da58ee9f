"""Output files that appear under their name whole, or not at all.

A process that is killed leaves the file that it was writing. Its name follows from that of the output, and
who writes it has it locked: so the next one who writes the same output knows it for what it is and removes
it, and never one of a process that lives.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count, takewhile
from pathlib import Path
from typing import BinaryIO

__all__ = ["written_aside"]

_ASKING = threading.Lock()


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a file, and its path, that takes the place of `path` when the block ends without an error.

    It is written beside its place, so that the last step is a rename in one file system; before that it is
    flushed to the disk. What was at `path` stays until then; if the block raises, the file is removed.
    Several threads and processes may write one output at once: what the last one wrote stays.

    Raises:
        FileExistsError: `path` is no regular file but a folder, a device or the like.
        OSError: It cannot be written, or renamed.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        # A rename would take the place of a device.
        raise FileExistsError(errno.EEXIST, "it exists and is not a regular file", os.fspath(path))
    # 32 characters are 128 bytes at most, of the 255 that a name may have.
    digest = sha256(os.fsencode(target.name)).hexdigest()[:16]
    prefix = os.fspath(target.with_name(f".{target.name[:32]}.{digest}."))
    try:
        _remove_abandoned(prefix)
        out, aside = _create(prefix)
        with out:
            try:
                yield out, Path(aside)
                out.flush()
                os.fsync(out.fileno())
                os.fchmod(out.fileno(), 0o666 & ~_umask())
                os.replace(aside, target)
            except BaseException:
                # While it is open, and so locked: later it could be another's.
                with suppress(FileNotFoundError):
                    os.unlink(aside)
                raise
    except BaseException as error:
        # A signal may have come when there was a file that nothing here knew of yet.
        _remove_abandoned(prefix)
        if isinstance(error, OSError) and str(error.filename).startswith(prefix):
            error.filename, error.filename2 = os.fspath(path), None  # a name that its caller knows
        raise
    _sync_folder(target.parent)


def _names(prefix: str) -> Iterator[str]:
    return (f"{prefix}{number}.tmp" for number in count())


def _create(prefix: str) -> tuple[BinaryIO, str]:
    """Create a file under the first name that is free, and lock it."""
    names = _names(prefix)
    while True:
        aside = next(names)
        try:
            out = open(aside, "x+b", opener=_open_private)  # noqa: SIM115  the caller closes it
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
    for aside in takewhile(os.path.lexists, _names(prefix)):
        with suppress(OSError):  # it is gone, in use, another user's, or files cannot be locked here
            number = os.open(aside, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(aside, number):
                    os.unlink(aside)
            finally:
                os.close(number)


def _lock(number: int) -> bool:
    """Lock a new file of ours; return whether nobody else has."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _umask() -> int:
    # There is no way to ask without setting it; two threads at once would take each other's for it.
    with _ASKING:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Flush the rename itself to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
