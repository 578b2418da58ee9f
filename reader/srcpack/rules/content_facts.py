"""What an entry records of a content, so that reading need not find it out (SPEC.md, "Entry").

Conversion stores it in the pack; where a zip is read itself it is found out when somebody asks.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from srcpack.records import EntryRecord, FileType
from srcpack.rules.context import count_lines
from srcpack.rules.lookup_keys import header_debug_id, header_reference
from srcpack.rules.references_in_content import (
    discover_debug_id,
    discover_source_map_debug_id,
    discover_source_map_reference,
    is_utf8,
)

__all__ = ["Facts", "facts_of", "with_facts"]


class Facts(NamedTuple):
    """What is found out about a member's content: `lines` as SPEC.md counts them, `size` in bytes.

    `reference` and `debug_id` (as Breakpad writes it) are those in the content, where no header has one.
    """

    size: int
    sha256: bytes
    lines: int
    utf8: bool
    reference: str | None
    debug_id: str | None


def facts_of(content: bytes, file_type: FileType | None, headers: Mapping[str, str] | None) -> Facts:
    """Find out what an entry records about a whole content.

    What one of the headers gives is not looked for in the content, as it wins.
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


def with_facts(record: EntryRecord, facts: Facts) -> EntryRecord:
    """Return an entry with what was found out about its content."""
    return record._replace(
        size=facts.size,
        sha256=facts.sha256,
        lines=facts.lines,
        utf8=facts.utf8,
        reference=facts.reference,
        content_debug_id=facts.debug_id,
    )
