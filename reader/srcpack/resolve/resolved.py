"""What a search for the file of a stack frame gives."""

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from srcpack.entry import Entry
from srcpack.errors import DamagedMember, FormatError, LimitExceeded
from srcpack.pack import Pack
from srcpack.rules.debug_id import DebugId
from srcpack.rules.urls import join_paths

__all__ = ["DecodedMap", "FoundBy", "Resolved", "check_readable", "decoded"]

FoundBy: TypeAlias = Literal["debug-id", "url", "path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A file that was found, and how.

    Attributes:
        entry: The file.
        pack: The pack it is in.
        found_by: What it was found by.
        candidate: The URL or path that it was found by; None if by debug id.
        abs_path: The URL or path that was looked for, without `async `; None if only a debug id was.
        debug_id: The debug id that was looked for, found by it or not. The source map is looked for by it
            too. Never one that only the file itself has.
        source_base: What the names of original sources are relative to: the URL of the source map where the
            file refers to one, else `abs_path`.
    """

    entry: Entry
    pack: Pack
    found_by: FoundBy
    candidate: str | None
    abs_path: str | None
    debug_id: DebugId | None
    source_base: str | None

    @classmethod
    def of(
        cls,
        entry: Entry,
        found_by: FoundBy,
        candidate: str | None,
        abs_path: str | None,
        *,
        debug_id: DebugId | None = None,
        source_base: str | None = None,
    ) -> Self:
        """Say how an entry was found; without a `source_base` it is worked out from the entry's reference."""
        if source_base is None:
            source_base = abs_path
            reference = entry.source_mapping_url
            if abs_path is not None and reference is not None and not reference.startswith("data:"):
                source_base = join_paths(abs_path, reference)
        return cls(
            entry=entry,
            pack=entry.pack,
            found_by=found_by,
            candidate=candidate,
            abs_path=abs_path,
            debug_id=debug_id,
            source_base=source_base,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedMap:
    """A source map that was in the reference itself, as a `data:` URL.

    Attributes:
        content: The map, UTF-8.
        source_base: What the names of original sources are relative to: the minified file.
    """

    content: bytes
    source_base: str | None


def check_readable(entry: Entry) -> None:
    """Check what reading an entry as text would, as far as that is known without decoding it.

    Raises:
        DamagedMember: The member could not be read when the bundle was converted, or is not UTF-8.
        LimitExceeded: The content is larger than the pack's `max_read`.
    """
    record, pack = entry.record, entry.pack
    reason = record.reason or (None if record.utf8 else "not UTF-8")
    if reason is not None:
        raise DamagedMember(pack.file, record.name, reason)
    if record.size > pack.max_read:
        raise LimitExceeded(pack.file, "read", record.size, pack.max_read, member=record.name)


def decoded(resolved: Resolved, content: bytes) -> str:
    """Return the content that was read of a file as text.

    Raises:
        FormatError: It is not UTF-8, though the file's entry says so.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        file, member = resolved.pack.file, resolved.entry.name
        expected = "UTF-8 by its entry"
        raise FormatError(file, "text", member=member, found=error, expected=expected) from error
