"""One file of a pack: its fields, and its content (SPEC.md, "Entry")."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from srcpack.errors import FormatError
from srcpack.records import EntryRecord, FileType
from srcpack.rules.context import CONTEXT_LINES, Context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import header_debug_id, header_reference, lower_headers
from srcpack.rules.original_position import OriginalPosition
from srcpack.rules.source_maps import original_source_urls
from srcpack.store import ContentReader, Lookup, Token

if TYPE_CHECKING:
    from srcpack.pack import Pack

__all__ = ["Entry"]


class Entry:
    """A file of a pack. It keeps no content: each read decodes again.

    In a zip, what the manifest does not say is found out by reading the content when it is first asked for,
    and kept: `size`, `lines`, `sha256`, `damage`, `stored_size`, all of `record`, and where no header has
    them `debug_id` and `source_mapping_url`.

    Two entries are equal if they have the same name in the same open pack. What packs say of their contents
    decides nothing here, as anyone can write a pack that claims the SHA-256 of another.

    Attributes:
        pack: The pack it is in.
    """

    __slots__ = ("_record", "pack")

    def __init__(self, pack: "Pack", record: EntryRecord) -> None:
        self.pack: Pack = pack
        # What the manifest says is taken from here, what a content shows from `record`.
        self._record = record

    @property
    def record(self) -> EntryRecord:
        """The entry as the manifest has it, field by field as in SPEC.md."""
        return self.pack.store.complete(self._record)

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
            FormatError: The pack holds a text that is not a debug id.
        """
        text: str | None = None
        try:
            if (text := self._record.debug_id) is not None:
                return DebugId(text)
            debug_id = header_debug_id(self._record.headers)
            if debug_id is not None or (text := self.record.content_debug_id) is None:
                return debug_id
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
        """Bytes that the content takes in the pack or zip; equal contents of a pack share theirs."""
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

    def read(self, *, threads: int = 1) -> bytes:
        """Return the whole content.

        Args:
            threads: How many threads decode side by side, where a processor is idle. It pays for files of
                a pack over 4 MiB, of which 2 MiB are stored in one piece.

        Raises:
            ValueError: `threads` is less than 1.
            DamagedMember: The member cannot be read, or could not when the bundle was converted.
            FormatError: The pack is damaged here.
            LimitExceeded: The content is larger than the pack's `max_read`.
        """
        if threads == 1:
            return self.pack.store.read(self._record)
        if threads < 1:
            raise ValueError(f"threads is at least 1, not {threads}")
        return self.pack.store.read(self._record, threads)

    def text(self) -> str:
        """Return the whole content as text.

        Raises:
            DamagedMember: As `read`; also where the content is not UTF-8, as symbolic cannot read it then.
            FormatError, LimitExceeded: As `read`.
        """
        return self.pack.store.read_text(self._record)

    def read_range(self, start: int, length: int) -> bytes:
        """Return `length` bytes of the content from byte `start`; fewer where the content ends.

        Of a pack only the frames that cover the range are decoded.

        Raises:
            ValueError: `start` or `length` is negative.
            DamagedMember, FormatError, LimitExceeded: As `read`.
        """
        if start < 0 or length < 0:
            raise ValueError(f"start {start} and length {length} must not be negative")
        return self.pack.store.read_range(self._record, start, length)

    def parts(self) -> Iterator[bytes]:
        """Yield the content frame by frame, so that no large file is in memory whole; `max_read` is no limit.

        Raises:
            DamagedMember, FormatError: As `read`.
        """
        return self.pack.store.parts(self._record)

    def view(self) -> memoryview:
        """Return the content as a read-only view.

        The view of a raw entry is one of the map, with no copy: its checksum was right when it was taken, and
        it stays valid after the pack is closed. The view of a compressed entry is one of decoded bytes.

        Raises:
            DamagedMember, FormatError, LimitExceeded: As `read`.
        """
        return self.pack.store.view(self._record)

    def open(self) -> ContentReader:
        """Return a binary file that reads the content frame by frame; wrap it in a BufferedReader for lines.

        Raises:
            DamagedMember: As `read`.
        """
        return self.pack.store.open(self._record)

    def context(self, line: int, lines: int = CONTEXT_LINES, column: int = 0) -> Context | None:
        """Return a line and up to `lines` lines either side of it; None if there is no such line.

        Of a pack only the frames that hold these lines are decoded, and of long lines those in which they
        begin, end and are shown. Each is cut to about 140 bytes around the column, as symbolicator does.

        Args:
            line: Number of the line, from 1; 0 is taken as 1, as symbolicator does.
            lines: How many to give before it and after it.
            column: Byte in the line, from 0, around which the lines are cut.

        Raises:
            ValueError: `lines` or `column` is negative.
            DamagedMember: As `text`.
            FormatError, LimitExceeded: As `read`.
        """
        if lines < 0 or column < 0:
            raise ValueError(f"column {column} and {lines} lines must not be negative")
        return self.pack.store.context(self._record, max(line, 1), column, lines)

    # ---- source map

    def original(self, line: int, column: int) -> OriginalPosition | None:
        """Say where in the original sources a position of this file is from, by its source map.

        A pack that was converted with lookups has a table of the answers; only a few small blocks of it are
        read. Otherwise symbolic builds as much of the file and its map, which takes up to some 600 ms, and is
        kept for a while. The map is the one that the bundle has for the file: by debug id, else by reference.

        Args:
            line: Number of the line, from 1 as in a stack frame.
            column: Column in the line, from 1, in UTF-16 units; 0 counts as 1.

        Returns:
            The position, which also gives the lines around it; None if the map has no answer, or the bundle
            no map.

        Raises:
            LookupUnavailable: There is no table, and symbolic is not installed, or fails.
            MalformedSourceMap: There is no table, as symbolic refuses the map.
            DamagedMember, FormatError, LimitExceeded: As `read`.
        """
        lookup = self.lookup_table()
        if lookup is None:
            # On demand: of a pack with tables nothing of it is needed, and it is built upon entries.
            from srcpack.resolve.entry_lookup import entry_lookup  # noqa: PLC0415

            lookup = entry_lookup(self)
        token = None if lookup is None else lookup.token(line, column)
        if lookup is None or token is None:
            return None
        position = token.position
        return OriginalPosition(
            position.source,
            position.line,
            position.column,
            position.name,
            position.function,
            partial(self._source_lines, lookup, token),
        )

    def lookup_table(self, map_sha256: bytes | None = None) -> Lookup | None:
        """Return the file's lookup table; None if it has none, or one of another source map than is given.

        Raises:
            FormatError, LimitExceeded: As `read`.
        """
        return self.pack.store.lookup(self._record, map_sha256)

    def _source_lines(self, lookup: Lookup, token: Token, line: int, lines: int) -> tuple[int, str] | None:
        """Read lines of a source out of the map, else out of the file that its name leads to."""
        found = lookup.source_lines(token, line, lines)
        if found is not None:
            return found
        for url in original_source_urls(self.record, token.position.source):
            source = self.pack.by_url(url)
            if source is not None and source.damage is None and source.record.utf8:
                return self.pack.store.lines_around(source.record, line, lines)
        return None

    # ---- identity

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self.pack is other.pack and self.name == other.name

    def __hash__(self) -> int:
        return hash((id(self.pack), self.name))

    def __repr__(self) -> str:
        return f"<Entry {self.name!r} of {self.pack.file!r}>"

    def __reduce__(self) -> tuple[Callable[..., "Entry"], tuple[Any, ...]]:
        return _entry_of, (self.pack, self.name)


def _entry_of(pack: "Pack", name: str) -> Entry:
    return pack[name]
