"""One file of a pack: its fields, and its content read by frames (SPEC.md, "Content" and "Entry")."""

import io
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from srcpack.errors import DamagedMember, FormatError, LimitExceeded
from srcpack.format.frames import check_raw
from srcpack.format.head_tail import FRAME_HEADER, parse_frame_header
from srcpack.records import EntryRecord, FileType, FrameRecord
from srcpack.rules.context import Context, get_context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import header_debug_id, header_reference, lower_headers

if TYPE_CHECKING:
    from srcpack.pack import Pack

__all__ = ["Entry", "EntryReader"]

_FEW = 256


class Entry:
    """A file of a pack. It keeps no content: each read decodes again.

    Attributes:
        pack: The pack it is in.
    """

    __slots__ = ("_record", "pack")

    def __init__(self, pack: "Pack", record: EntryRecord) -> None:
        self.pack = pack
        # Fields that come from a content take it from `record`, all else from here: in a pack that is one
        # and the same, in a zip no content is read before somebody asks what it shows.
        self._record = record

    @property
    def record(self) -> EntryRecord:
        """The entry as the manifest has it, field by field as in SPEC.md."""
        return self._record

    # ---- fields

    @property
    def name(self) -> str:
        """The member's name in the SourceBundle."""
        return self._record.name

    @property
    def type(self) -> FileType:
        """The file's type; `source` where the bundle's manifest gives none."""
        return self._record.type or FileType.SOURCE

    @property
    def path(self) -> str | None:
        """The file's path where it was built, as the manifest has it; None if none or empty."""
        return self._record.path or None

    @property
    def url(self) -> str | None:
        """The file's URL, as the manifest has it; None if none or empty."""
        return self._record.url or None

    @property
    def headers(self) -> Mapping[str, str]:
        """The file's headers by lower-case name; `record.headers` has them as written."""
        return lower_headers(self._record.headers)

    @property
    def debug_id(self) -> DebugId | None:
        """The debug id of the `debug-id` header, else the one that conversion found in the content.

        Only the header's can be looked up.

        Raises:
            FormatError: The pack holds a text that is none.
        """
        debug_id = header_debug_id(self._record.headers)
        if debug_id is not None or (text := self.record.content_debug_id) is None:
            return debug_id
        try:
            return DebugId.from_breakpad(text)
        except ValueError as error:
            raise FormatError(self.pack.file, "debug id", member=self.name, found=repr(text)) from error

    @property
    def source_mapping_url(self) -> str | None:
        """Reference to the source map: header `sourcemap`, else `x-sourcemap`, else found in the content.

        A header's value is as written; decoding the content is never needed.
        """
        reference = header_reference(self._record.headers)
        return self.record.reference if reference is None else reference

    @property
    def size(self) -> int:
        """Bytes of content; 0 for a member that could not be read."""
        return self.record.size

    @property
    def stored_size(self) -> int:
        """Bytes that the content's frames take in the pack; equal contents share theirs."""
        return sum(frame.length for frame in self.record.frames)

    @property
    def lines(self) -> int:
        """Lines of the content, each ended by a line feed or the end; nothing follows the last line feed."""
        return self.record.lines

    @property
    def sha256(self) -> bytes | None:
        """SHA-256 of the content, as the pack claims it; None for a member that could not be read."""
        return self.record.sha256 or None

    @property
    def raw(self) -> bool:
        """Whether the content is stored as it is."""
        return self.record.raw

    @property
    def damage(self) -> str | None:
        """Why the member could not be read when the bundle was converted; None if it could."""
        return self.record.reason

    # ---- content

    def read(self) -> bytes:
        """Return the whole content.

        Raises:
            DamagedMember: The member could not be read when the bundle was converted.
            FormatError: The pack is damaged here.
            LimitExceeded: The content is larger than the pack's `max_read`.
        """
        record = self._record
        if len(record.frames) == 1 and record.size <= self.pack.max_read:
            return self.pack.read_frame(record, 0)
        self._check_readable(record.size)
        return self._parts(0, len(record.frames))

    def text(self) -> str:
        """Return the whole content as text.

        Raises:
            DamagedMember: As `read`; also where the content is not UTF-8, as symbolic cannot read it then.
            FormatError: As `read`.
            LimitExceeded: As `read`.
        """
        self._check_text()
        return self._decoded(self.read())

    def read_range(self, start: int, length: int) -> bytes:
        """Return `length` bytes of the content from byte `start`; fewer where the content ends.

        Only the frames that cover the range are decoded.

        Raises:
            ValueError: `start` or `length` is negative.
            DamagedMember, FormatError, LimitExceeded: As `read`.
        """
        if start < 0 or length < 0:
            raise ValueError(f"start {start} and length {length} must not be negative")
        end = min(start + length, self._record.size)
        self._check_readable(end - start)
        if start >= end:
            return b""
        frame_size = self.pack.frame_size
        first, last = start // frame_size, (end - 1) // frame_size
        data = self._parts(first, last + 1)
        return data[start - first * frame_size : end - first * frame_size]

    def parts(self) -> Iterator[bytes]:
        """Yield the content frame by frame, so that no large file is in memory whole; `max_read` is no limit.

        Raises:
            DamagedMember: The member could not be read when the bundle was converted.
            FormatError: The pack is damaged here.
        """
        record = self.record
        if record.reason is not None:
            raise DamagedMember(self.pack.file, record.name, record.reason)
        for number in range(len(record.frames)):
            yield self.pack.read_frame(record, number)

    def view(self) -> memoryview:
        """Return the content as a read-only view.

        The view of a raw entry is one of the map, with no copy: its checksum was right when it was taken, and
        it stays valid after the pack is closed. The view of a compressed entry is one of decoded bytes.

        Raises:
            DamagedMember, FormatError, LimitExceeded: As `read`.
        """
        record = self._record
        self._check_readable(record.size)
        if not record.raw or not record.frames:
            return memoryview(self.read())
        start = record.frames[0].offset
        source = self.pack.source
        with source.ahead(start - FRAME_HEADER.size, FRAME_HEADER.size + record.size):
            header = source.read(start - FRAME_HEADER.size, FRAME_HEADER.size)
            view = source.view(start, record.size)
        parse_frame_header(
            header, record.size, file=self.pack.file, offset=start - FRAME_HEADER.size, what="raw content"
        )
        for frame in record.frames:
            self._check_raw(view[frame.offset - start : frame.offset - start + frame.length], frame)
        return view

    def open(self) -> "EntryReader":
        """Return a binary file that reads the content frame by frame; wrap it in a BufferedReader for lines.

        Raises:
            DamagedMember: As `read`.
        """
        self._check_readable(0)
        return EntryReader(self)

    def context(self, line: int, lines: int = 5, column: int = 0) -> Context | None:
        """Return a line and up to `lines` lines either side of it; None if there is no such line.

        Only the frames that hold these lines are decoded. Each line is cut to about 140 bytes around the
        column, as symbolicator does.

        Args:
            line: Number of the line, from 1; 0 is taken as 1, as symbolicator does.
            lines: How many to give before it and after it.
            column: Byte in the line, from 0, around which the lines are cut.

        Raises:
            ValueError: `lines` or `column` is negative.
            DamagedMember: As `text`.
            FormatError, LimitExceeded: As `read`.
        """
        self._check_text()
        last = self._record.lines
        if lines < 0 or column < 0:
            raise ValueError(f"column {column} and {lines} lines must not be negative")
        line = max(line, 1)
        if line > last:
            return None
        first = max(1, line - lines)
        text = self._decoded(self._lines(first, min(last, line + lines)))
        return get_context(text, line - first + 1, column, lines)

    def _lines(self, first: int, last: int) -> bytes:
        """Return the lines from number `first` to `last`, with the line feeds that end them."""
        # A line starts after as many line feeds as lines come before it: the frame it starts in is
        # the last one with fewer before it.
        record = self._record
        before = [frame.newlines_before for frame in record.frames]
        start = max(0, bisect_left(before, first - 1) - 1)
        end = max(0, bisect_left(before, last) - 1)
        frame_size = self.pack.frame_size
        self._check_readable(min((end - start + 1) * frame_size, record.size))
        data = self._parts(start, end + 1)
        at = self._after_newlines(data, 0, first - 1 - before[start])
        if last == record.lines:
            return data[at:]
        return data[at : self._after_newlines(data, at, last - first + 1)]

    def _after_newlines(self, data: bytes, low: int, count: int) -> int:
        """Return the position after `count` line feeds from `low`; many are counted, by halves, few found."""
        high = len(data)
        while count > _FEW and low < high:
            middle = (low + high + 1) // 2
            if (newlines := data.count(b"\n", low, middle)) >= count:
                high = middle
            else:
                low, count = middle, count - newlines
        for _ in range(count):
            low = data.find(b"\n", low) + 1
            if not low:
                raise FormatError(
                    self.pack.file,
                    "lines",
                    member=self._record.name,
                    expected=f"{self._record.lines} by its entry",
                )
        return low

    def _parts(self, first: int, end: int) -> bytes:
        """Return the contents of the frames from number `first` to before `end`, fetched together."""
        if end - first == 1:
            return self._part(first)
        frames = self._record.frames[first:end]
        if not frames:
            return b""
        start, frame_size = frames[0].offset, self.pack.frame_size
        size = min(self._record.size, end * frame_size) - first * frame_size
        with self.pack.source.ahead(start, frames[-1].offset + frames[-1].length - start):
            part = self._part(first)  # no memory for all before one is what it must be
            # Each goes to its place as it comes. To hold all and join them would take twice the memory, which
            # as it is freed goes back to the system, so that each read would be one of new pages.
            with io.BytesIO(bytes(size)) as content:
                content.write(part)
                for number in range(first + 1, end):
                    content.write(self._part(number))
                return content.getvalue()

    def _part(self, number: int) -> bytes:
        """Return the content of one frame, or one part of a raw content, checked."""
        return self.pack.read_frame(self._record, number)

    def _check_raw(self, data: "bytes | memoryview", frame: FrameRecord) -> None:
        check_raw(data, frame, file=self.pack.file, member=self._record.name)

    def _check_readable(self, length: int) -> None:
        if (reason := self._record.reason) is not None:
            raise DamagedMember(self.pack.file, self.name, reason)
        if length > self.pack.max_read:
            raise LimitExceeded(self.pack.file, "read", length, self.pack.max_read, member=self._record.name)

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise FormatError(
                self.pack.file, "text", member=self._record.name, found=error, expected="UTF-8 by its entry"
            ) from error

    def _check_text(self) -> None:
        self._check_readable(0)
        if not self._record.utf8:
            raise DamagedMember(self.pack.file, self._record.name, "not UTF-8")

    # ---- identity

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self.name == other.name and self.pack.sha256 == other.pack.sha256

    def __hash__(self) -> int:
        return hash((self.pack.sha256, self.name))

    def __repr__(self) -> str:
        return f"<Entry {self.name!r} of {self.pack.file!r}>"

    def __reduce__(self) -> tuple[Callable[..., "Entry"], tuple[Any, ...]]:
        return _entry_of, (self.pack, self.name)


class EntryReader(io.RawIOBase):
    """An entry's content as a seekable binary file that holds one decoded frame at a time.

    Args:
        entry: The entry.
        whole: Its content, where that is one frame and was read already.
    """

    def __init__(self, entry: Entry, whole: bytes | None = None) -> None:
        super().__init__()
        self.name = entry.name
        self._entry = entry
        self._size = entry.size if whole is None else len(whole)
        self._at = 0
        self._number = -1 if whole is None else 0
        self._frame = whole or b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes of content."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position, which may lie past the end, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}.get(whence)
        if base is None or base + offset < 0:
            raise ValueError(f"no position {offset} by whence {whence}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Read up to the end of the current frame into `buffer`; return how many bytes."""
        if self.closed:
            raise ValueError("read of a closed file")
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, self._entry.pack.frame_size)
        if number != self._number:
            self._frame = self._entry.pack.read_frame(self._entry.record, number)
            self._number = number
        target = memoryview(buffer).cast("B")
        data = memoryview(self._frame)[start : start + len(target)]
        target[: len(data)] = data
        self._at += len(data)
        return len(data)


def _entry_of(pack: "Pack", name: str) -> Entry:
    return pack[name]
