"""Contents of files: what is found out about each, and its frames (SPEC.md, "Content")."""

import codecs
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import zstandard

from sourcepack.context import count_lines
from sourcepack.discover import (
    discover_debug_id,
    discover_source_map_debug_id,
    discover_source_map_reference,
)
from sourcepack.entry import raw_checksum
from sourcepack.file_type import FileType
from sourcepack.keys import header_debug_id, header_reference

__all__ = ["Compression", "Content", "Facts", "facts_of", "is_utf8"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What conversion finds out about a member's content, so that reading need not.

    Attributes:
        size: In bytes.
        sha256: Of the content.
        lines: As SPEC.md counts them.
        utf8: Whether it is UTF-8.
        reference: Source map reference in the content of a source or minified source, if no header has one.
        debug_id: Debug id in the content, as Breakpad writes it, if no header has one.
    """

    size: int
    sha256: bytes
    lines: int
    utf8: bool
    reference: str | None
    debug_id: str | None


def facts_of(content: bytes, file_type: FileType | None, headers: Mapping[str, str]) -> Facts:
    """Find out what an entry records about a content.

    Args:
        content: The whole content.
        file_type: The type that the manifest gives; None reads as `source`.
        headers: The file's headers. What one of them gives is not looked for in the content, as it wins.
    """
    utf8 = is_utf8(content)
    reference = debug_id = None
    if utf8 and file_type is not FileType.INDEXED_RAM_BUNDLE:
        is_map = file_type is FileType.SOURCE_MAP
        if not is_map and header_reference(headers) is None:
            reference = discover_source_map_reference(content)
        if header_debug_id(headers) is None:
            debug_id = (discover_source_map_debug_id if is_map else discover_debug_id)(content)
    newlines = content.count(b"\n")
    return Facts(
        size=len(content),
        sha256=sha256(content).digest(),
        lines=count_lines(newlines, len(content), ends_with_newline=content.endswith(b"\n")),
        utf8=utf8,
        reference=reference,
        debug_id=None if debug_id is None else debug_id.breakpad(),
    )


def is_utf8(content: bytes) -> bool:
    """Return whether a content is UTF-8, without a text of it in memory: that may be four times as large."""
    if content.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(content), _CHUNK):
            decoder.decode(content[at : at + _CHUNK], final=at + _CHUNK >= len(content))
    except UnicodeDecodeError:
        return False
    return True


@dataclass(slots=True)
class Content:
    """A distinct content on its way into the pack.

    Attributes:
        data: Its bytes, until it is written.
        parts: How many frames it has.
        keep_raw: Store it as it is, whatever its frames would take.
        frames: The compressed ones, as far as they are done.
    """

    data: bytes
    parts: int
    keep_raw: bool
    frames: list[bytes] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to compress."""
        return self.keep_raw or len(self.frames) == self.parts

    @property
    def is_raw(self) -> bool:
        """Whether it is stored raw: asked for, or because its frames would not be smaller."""
        return self.keep_raw or sum(map(len, self.frames)) >= len(self.data) + 8

    def checksum(self, number: int, frame_size: int) -> bytes:
        """Return the low 32 bits of the XXH64 of a part, as they end a zstd frame."""
        if self.is_raw:
            part = memoryview(self.data)[number * frame_size : (number + 1) * frame_size]
            return raw_checksum(part)
        return self.frames[number][-4:]

    def newlines_before(self, frame_size: int) -> list[int]:
        """Return how many line feeds come before each part."""
        before = [0]
        for number in range(self.parts - 1):
            start = number * frame_size
            before.append(before[-1] + self.data.count(b"\n", start, start + frame_size))
        return before


class Compression:
    """Compresses parts of contents, in any thread; each thread has a compressor of its own."""

    def __init__(self, level: int, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        self._level = level
        self._dictionary = dictionary
        self._local = threading.local()

    def compress(self, parts: Sequence[memoryview | bytes]) -> list[bytes]:
        """Return the frame of each part, with its size and its checksum."""
        compressor: zstandard.ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = zstandard.ZstdCompressor(
                level=self._level, dict_data=self._dictionary, write_checksum=True, write_content_size=True
            )
            self._local.compressor = compressor
        return [compressor.compress(part) for part in parts]
