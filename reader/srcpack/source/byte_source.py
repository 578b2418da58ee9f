"""Bytes at explicit offsets: what packs and zips are read from.

Every access names its offset, so threads share a source without a cursor and without a lock. `close`
only drops the reference: a read that is under way in another thread has its own, and the last one
to go unmaps or closes. (Closing a descriptor under a reader could let it read another file that was
given the same number.)
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

__all__ = ["ByteSource"]


class ByteSource(ABC):
    """Bytes at explicit offsets of something that does not change.

    Attributes:
        name: What it is called in messages.
        size: How many bytes there are.
        closed: Whether it was closed.
        distant: Whether each read costs a request, so that fewer and larger ones are better.
        replaced: Whether a distant one was found to be another than the one that was opened, or gone.
    """

    distant: ClassVar[bool] = False
    replaced: bool = False
    closed: bool = False
    name: str
    size: int

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`; fewer where the source ends.

        Raises:
            ValueError: The source was closed.
            OSError: The operating system could not read.
        """

    @abstractmethod
    def view(self, offset: int, length: int) -> memoryview:
        """Return those bytes without a copy where the source can, read-only."""

    def keep(self, offset: int) -> None:  # noqa: B027  most have nothing to keep
        """Say that what lies from `offset` on is worth keeping once it was read."""

    def ahead(self, offset: int, length: int) -> AbstractContextManager[None]:  # noqa: ARG002
        """Say that this thread reads these bytes, or most of them, inside the `with`, from first to last."""
        return nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Let go of the source; calling it again does nothing."""

    def place(self) -> str | bytes:
        """Return the path, URL or bytes by which the source can be opened again, perhaps in another process.

        Raises:
            TypeError: There is none: it is a file object of this process.
            ValueError: The source was closed, and its bytes are gone.
        """
        raise TypeError(f"{self.name}: a file object has no name by which another process could open it")

    def closed_error(self) -> ValueError:
        """Return the error of a read after `close`."""
        return ValueError(f"{self.name}: read of a closed pack")
