"""The check of a pack that was written: all of it is read as a reader would, and compared with the zip."""

from collections.abc import Sequence
from pathlib import Path

from srcpack.errors import FormatError
from srcpack.format.head_tail import Tail
from srcpack.format.packfile import PackFile
from srcpack.format.verify import find_problems
from srcpack.records import EntryRecord
from srcpack.source.local import MmapSource

__all__ = ["read_back"]


def read_back(path: Path, tail: Tail, records: Sequence[EntryRecord], *, file: str) -> None:
    """Read all of a written file, and compare it with the tail and the entries that were to be in it.

    The entries have the SHA-256 of what was inflated, and contents are compared with that. Where it raises
    FormatError, the disk or the memory is at fault, or we are.
    """
    packfile = PackFile(MmapSource(path), file=file, max_read=1 << 62)
    try:
        if packfile.tail != tail:
            raise FormatError(file, "tail read back", found=packfile.tail, expected=tail)
        for error in find_problems(packfile, records):
            raise error
    finally:
        packfile.close()
