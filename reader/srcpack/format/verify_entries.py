"""Verification of the entries of a pack, one after the other (SPEC.md, "Verification").

Entries are read anew where they are needed again: few bytes of a pack can be a great many of entries. What is
kept of each takes a few hundred bytes, however large it is.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import msgpack

from srcpack.errors import FormatError
from srcpack.records import FILE_KEYS, EntryRecord
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import header_debug_id, header_reference, keys_of
from srcpack.rules.strict_json import JsonError, check_object

from .head_tail import CONTENT, FRAME_HEADER
from .keys import digest_key
from .manifest import attributes_in_identity, entry_in_identity
from .packfile import PackFile

__all__ = ["check_entries"]

_EMPTY_SHA256 = sha256().hexdigest()


class _Content(NamedTuple):
    """A content: the number of the first entry that has it, its end, its size, SHA-256 of its facts."""

    number: int
    end: int
    size: int
    facts: bytes


def check_entries(
    pack: PackFile, expected: Sequence[EntryRecord] | None
) -> tuple[dict[bytes, int], set[int], list[int]]:
    """Check all entries, without their contents, and what the pack says of all of them together.

    `expected` are the entries that it must have, where these are known. What is returned: by the SHA-256 of a
    key, the number of the entry that has it; numbers of entries, one for each content, and of those that have
    a lookup table.
    """
    checking = _Checking(pack)
    for number, record in enumerate(pack.records()):
        checking.add(number, record)
        if expected is not None and (number >= len(expected) or record != expected[number]):
            wanted = expected[number] if number < len(expected) else "no more entries"
            raise FormatError(pack.file, "entry", found=record, expected=wanted)
    if expected is not None and len(pack) < len(expected):
        raise FormatError(pack.file, "entry", found="no more entries", expected=expected[len(pack)])
    checking.check_sums()
    checking.check_contents()
    first_of_content = {content.number for content in checking.contents.values()}
    return checking.winners, first_of_content, checking.tables


class _Checking:
    """What is kept of the entries so far."""

    def __init__(self, pack: PackFile) -> None:
        self._pack = pack
        self._identity = sha256(attributes_in_identity(pack.attributes))
        self._last: str | None = None
        self._positions: list[int] = []
        self._listed = self._total_size = self._damaged = 0
        self._places: dict[bytes, int] = {}
        self.winners: dict[bytes, int] = {}
        self.contents: dict[int, _Content] = {}
        self.tables: list[int] = []

    def add(self, number: int, record: EntryRecord) -> None:
        file, name, tail = self._pack.file, record.name, self._pack.tail
        if self._last is not None and name <= self._last:
            expected = f"a name after {self._last!r}"
            raise FormatError(file, "order of entries", member=name, expected=expected)
        self._last = name
        _check_facts(record, file)
        self._identity.update(entry_in_identity(record))
        self._listed += record.listed
        if record.position is not None:
            self._positions.append(record.position)
        self._total_size += record.size
        self._damaged += record.reason is not None
        for kind, key in keys_of(record):
            if tail.key_kinds >> kind & 1:
                self.winners[digest_key(tail.seed, kind, key)] = number
        if record.reason is None:
            self._add_content(number, record)
        if record.lookup is not None:
            self.tables.append(number)

    def _add_content(self, number: int, record: EntryRecord) -> None:
        """Take a content: where it is the same as an earlier one, all that is said of it is the same."""
        file, frames = self._pack.file, record.frames
        start = frames[0].offset - (FRAME_HEADER.size if record.raw else 0) if frames else 0
        if self._places.setdefault(record.sha256, start) != start:
            found, expected = "two of them", "one, shared"
            raise FormatError(file, "equal contents", member=record.name, found=found, expected=expected)
        facts = (record.raw, record.size, record.lines, record.sha256, record.utf8, frames)
        end = frames[-1].offset + frames[-1].length if frames else 0
        content = _Content(number, end, record.size, sha256(msgpack.packb(facts)).digest())
        first = self.contents.setdefault(start, content)
        if content.facts != first.facts:
            found = f"frames of {self._pack.record(first.number).name!r}"
            raise FormatError(file, "frames shared in part", member=record.name, found=found)

    def check_sums(self) -> None:
        """Check what the attributes and the tail say of all entries."""
        file, tail = self._pack.file, self._pack.tail
        identity, said = self._identity.digest().hex(), self._pack.attributes.identity.hex()
        if identity != said:
            raise FormatError(file, "content identity", found=said, expected=identity)
        positions = sorted(self._positions)
        if positions and positions != list(range(self._listed)):
            raise FormatError(file, "positions", found=positions, expected="each listed entry's, from 0")
        if positions and positions == self._positions:
            raise FormatError(file, "positions", found="the order of names", expected="none")
        if self._listed and not self._pack.attributes.has_files:
            raise FormatError(file, "has_files", found=False, expected=f"True for {self._listed} listed")
        found, expected = (tail.total_size, tail.damaged_count), (self._total_size, self._damaged)
        if found != expected:
            what = "total size and damaged members in the tail"
            raise FormatError(file, what, found=found, expected=expected)

    def check_contents(self) -> None:
        """Check that the contents fill their section, with no gap, and are counted right."""
        pack, tail = self._pack, self._pack.tail
        position = tail.sections[CONTENT].offset
        stored = {start: content for start, content in self.contents.items() if start}
        for start in sorted(stored):
            if start != position:
                name, place = pack.record(stored[start].number).name, f"at {position}"
                raise FormatError(pack.file, "frame", member=name, found=f"at {start}", expected=place)
            position = stored[start].end
        found = (tail.sections[CONTENT].end, tail.content_count, tail.content_size)
        expected = (position, len(stored), sum(content.size for content in stored.values()))
        if found != expected:
            what = "end, number and size of the contents by the tail"
            raise FormatError(pack.file, what, found=found, expected=expected)


def _check_facts(record: EntryRecord, file: str) -> None:
    """Check what reading an entry does not need."""

    def wrong(key: str, found: object, expected: object) -> FormatError:
        return FormatError(file, f"entry: {key}", member=record.name, found=found, expected=expected)

    if not record.listed:
        said = (
            *(record.type, record.path, record.url, record.headers),
            *(record.debug_id, record.extra, record.position),
        )
        if record.type_is_null or any(value is not None for value in said):
            raise wrong("unlisted", said, "nothing that only a manifest can say")
    if record.extra is not None:
        try:
            check_object(record.extra, without=FILE_KEYS)
        except JsonError as error:
            raise wrong("extra", str(error), "a JSON object") from error
        if (record.extra[0], record.extra[-1]) != ("{", "}"):
            raise wrong("extra", "white space around it", "a JSON object alone")
    in_header = header_debug_id(record.headers)
    if record.debug_id is not None and (in_header is None or record.debug_id != str(in_header)):
        raise wrong("debug_id", repr(record.debug_id), f"{in_header}, the header's")
    if record.reference is not None and header_reference(record.headers) is not None:
        raise wrong("reference", repr(record.reference), "none beside a header's")
    if record.content_debug_id is not None and (
        in_header is not None or not _is_breakpad(record.content_debug_id)
    ):
        raise wrong("content_debug_id", repr(record.content_debug_id), "Breakpad's form, no header beside it")
    if record.reason is None and not record.frames:
        found = (record.sha256.hex(), record.utf8)
        if found != (_EMPTY_SHA256, True):
            raise wrong("sha256, binary", found, "those of an empty content")


def _is_breakpad(text: str) -> bool:
    try:
        return DebugId.from_breakpad(text).breakpad() == text
    except ValueError:
        return False
