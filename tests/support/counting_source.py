"""Bytes that keep account of what is read of them."""

from srcpack import Pack
from srcpack.format.packfile import PackFile
from srcpack.source.byte_source import ByteSource
from support.places import PACKS


class CountingSource(ByteSource):
    """Bytes in memory; `reads` has offset and length of each read so far."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of the bytes."""
        self.reads.append((offset, length))
        return self._data[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        """Return a view of the bytes."""
        return memoryview(self.read(offset, length))

    def close(self) -> None:
        """Do nothing: the bytes stay."""


def counted(data: bytes | str) -> tuple[Pack, CountingSource]:
    """Open a pack, or one of the fixtures by name; return its source too."""
    source = CountingSource((PACKS / f"{data}.srcpack").read_bytes() if isinstance(data, str) else data)
    return Pack(PackFile(source, file="a.srcpack")), source
