"""Output files that appear under their name whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["written_aside"]


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a file, and its path, that takes the place of `path` when the block ends without an error.

    It is written beside its place, so that the last step is a rename in one file system; before that it is
    flushed to the disk. What was at `path` stays until then; if the block raises, the file is removed.

    Raises:
        OSError: It cannot be written, or renamed.
    """
    target = Path(path)
    # The name is chosen here, before the file exists: wherever a signal arrives, it is known what to remove.
    # 32 characters are 128 bytes at most, of the 255 that a name may have.
    aside = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(aside, "x+b", opener=_open_private) as out:
            yield out, aside
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), 0o666 & ~_umask())
        os.replace(aside, target)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        if isinstance(error, OSError) and error.filename == os.fspath(aside):
            error.filename, error.filename2 = os.fspath(path), None  # a name that its caller knows
        raise
    _sync_folder(target.parent)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _umask() -> int:
    # There is no way to ask without setting it.
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
