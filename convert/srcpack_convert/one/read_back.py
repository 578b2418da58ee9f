"""The check of a pack that was written: all of it is read as a reader would, and compared with the zip."""

from collections.abc import Sequence
from pathlib import Path

import srcpack
from srcpack.errors import FormatError
from srcpack.format.head_tail import Tail
from srcpack.records import EntryRecord
from srcpack.source.local import MmapSource

__all__ = ["read_back"]


def read_back(path: Path, tail: Tail, records: Sequence[EntryRecord], *, file: str) -> None:
    """Read all of a written file, and compare it with what was to be in it.

    The entries have the SHA-256 of what was inflated, and contents are compared with that.

    Args:
        path: The file.
        tail: What was written as its tail.
        records: Its entries.
        file: What to call it in messages.

    Raises:
        FormatError: Something is not what it was; the disk or the memory is at fault, or we are.
    """
    with srcpack.Pack(MmapSource(path), file=file, max_read=1 << 62) as pack:
        if pack.tail != tail:
            raise FormatError(file, "tail read back", found=pack.tail, expected=tail)
        for error in srcpack.verify(pack, records):
            raise error
