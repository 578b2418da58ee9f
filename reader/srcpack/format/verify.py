"""Verification of a whole pack: every byte, every checksum, every rule (SPEC.md, "Verification")."""

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest

import zstandard

from srcpack.errors import FormatError, LimitExceeded, SrcpackError
from srcpack.format.head_tail import (
    CONTENT,
    DICTIONARY,
    FRAME_HEADER,
    MANIFEST,
    parse_frame_header,
)
from srcpack.format.index import SLOT, parse_fan_out
from srcpack.format.keys import hash_key
from srcpack.format.manifest import identity_of
from srcpack.records import EntryRecord
from srcpack.rules.context import count_lines
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import Kind, keys_of
from srcpack.source.hashing import sha256_of

from .frames import read_dictionary
from .packfile import PackFile
from .verify_lookups import find_lookup_problems

__all__ = ["find_problems"]

_FRAME_HEADER_MOST = 18


def find_problems(
    packfile: PackFile, expected: Sequence[EntryRecord] | None = None
) -> Iterator[SrcpackError]:
    """Check all of a pack and yield what is wrong with it; nothing, if it is whole.

    The SHA-256 of all comes first, and what follows tells where it is wrong. The first error in the structure
    ends the check; errors in single contents don't. A distant pack is first copied to a temporary file.

    Args:
        packfile: The pack.
        expected: The entries that it must have, where these are known.

    Raises:
        OSError: It cannot be read, or not be copied.
    """
    try:
        with packfile.nearby() as near:
            yield from _problems(near, expected)
    except (FormatError, LimitExceeded) as error:
        yield _alone(error)


def _problems(pack: PackFile, expected: Sequence[EntryRecord] | None) -> Iterator[SrcpackError]:
    try:
        _check_identity(pack)
    except FormatError as error:
        yield _alone(error)
    try:
        _check_sections(pack)
        records = list(pack.records())
        _check_records(pack, records)
        if expected is not None:
            _compare(pack, records, expected)
        _check_index(pack, records)
        contents = _check_content_section(pack, records)
    except (FormatError, LimitExceeded) as error:
        yield _alone(error)
        return
    for record in contents:
        try:
            _check_content(pack, record)
        except (FormatError, LimitExceeded) as error:
            yield _alone(error)
    for problem in find_lookup_problems(pack, records):
        yield _alone(problem)


def _alone(error: SrcpackError) -> SrcpackError:
    """Return an error without the calls that it came through: who keeps it would keep the pack open."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _check_identity(pack: PackFile) -> None:
    found = sha256_of(pack.source, pack.tail.sections[max(pack.tail.sections)].end)
    if found != pack.sha256:
        raise FormatError(
            pack.file, "SHA-256 of all before the tail", found=found.hex(), expected=pack.sha256.hex()
        )


def _check_sections(pack: PackFile) -> None:
    for id_, section in pack.tail.sections.items():
        if id_ == CONTENT:  # frames of its own, checked with the contents
            continue
        parse_frame_header(
            pack.source.read(section.offset, FRAME_HEADER.size),
            section.length - FRAME_HEADER.size,
            file=pack.file,
            offset=section.offset,
            what=f"section {id_}",
        )
    if DICTIONARY in pack.tail.sections:
        read_dictionary(pack.source, pack.tail, file=pack.file)  # not the one that another pack had
    place = pack.tail.sections[MANIFEST].offset + FRAME_HEADER.size + pack.tail.attributes_length
    _ = pack.attributes
    for number in range(pack.tail.block_count):
        offset, length = pack.directory.block_place(number)
        if offset != place:
            raise FormatError(
                pack.file, f"place of manifest block {number}", found=offset, expected=f"{place}, no gap"
            )
        place += length
    if place != pack.tail.sections[MANIFEST].end:
        raise FormatError(
            pack.file, "end of the manifest blocks", found=place, expected=pack.tail.sections[MANIFEST].end
        )


def _check_records(pack: PackFile, records: Sequence[EntryRecord]) -> None:
    identity = identity_of(
        pack.attributes, (pack.directory.read_item(number)[0] for number in range(len(pack)))
    )
    if identity != pack.attributes.identity:
        raise FormatError(
            pack.file, "content identity", found=pack.attributes.identity.hex(), expected=identity.hex()
        )
    positions = sorted(record.position for record in records if record.position is not None)
    if positions and positions != list(range(sum(record.listed for record in records))):
        raise FormatError(pack.file, "positions", found=positions, expected="each listed entry's, from 0")
    for before, record in pairwise(records):
        if before.name >= record.name:
            raise FormatError(
                pack.file, "order of entries", member=record.name, expected=f"a name after {before.name!r}"
            )
    for record in records:
        if record.content_debug_id is not None:
            _check_debug_id(record.content_debug_id, pack.file, record.name)
    found = (sum(record.size for record in records), sum(record.reason is not None for record in records))
    expected = (pack.tail.total_size, pack.tail.damaged_count)
    if found != expected:
        raise FormatError(
            pack.file, "total size and damaged members in the tail", found=expected, expected=found
        )


def _check_debug_id(text: str, file: str, member: str) -> None:
    try:
        DebugId.from_breakpad(text)
    except ValueError as error:
        raise FormatError(file, "debug id", member=member, found=repr(text)) from error


def _compare(pack: PackFile, records: Sequence[EntryRecord], expected: Sequence[EntryRecord]) -> None:
    for found, wanted in zip_longest(records, expected):
        if found != wanted:
            raise FormatError(pack.file, "entry", found=found, expected=wanted)


def _check_index(pack: PackFile, records: Sequence[EntryRecord]) -> None:
    """Check that the buckets hold each key's winner and nothing else."""
    tail = pack.tail
    winners: dict[tuple[Kind, str], int] = {}
    for number, record in enumerate(records):
        for kind, key in keys_of(record):
            if tail.key_kinds >> kind & 1:
                winners[kind, key] = number
    expected: list[list[tuple[int, int]]] = [[] for _ in range(tail.bucket_count)]
    for (kind, key), number in winners.items():
        hashed = hash_key(tail.seed, kind, key)
        expected[hashed.bucket(tail.bucket_count)].append((hashed.fingerprint, number))
    first_slot = 0
    for number, slots in enumerate(expected):
        found = list(SLOT.iter_unpack(pack.directory.read_bucket(number)))
        if found != sorted(slots):
            raise FormatError(pack.file, f"slots of bucket {number}", found=found, expected=sorted(slots))
        place = pack.directory.layout.fan_out_at(number)
        first, _, first_slot_after = parse_fan_out(pack.source.read(*place))
        if first != first_slot:
            raise FormatError(pack.file, f"first slot of bucket {number}", found=first, expected=first_slot)
        first_slot = first_slot_after
    last = pack.source.read(pack.directory.layout.slots - SLOT.size, SLOT.size)
    if last != SLOT.pack(tail.slot_count, 0):
        raise FormatError(
            pack.file,
            "last element of the fan-out",
            offset=pack.directory.layout.slots - SLOT.size,
            found=last.hex(" "),
            expected=SLOT.pack(tail.slot_count, 0).hex(" "),
        )


def _check_content_section(pack: PackFile, records: Sequence[EntryRecord]) -> list[EntryRecord]:
    """Check that contents tile their section, and return one entry of each distinct content."""
    distinct: dict[int, EntryRecord] = {}
    empty: dict[tuple[object, ...], EntryRecord] = {}
    for record in records:
        if not record.frames:
            if record.reason is None:
                empty.setdefault(_content_of(record), record)
            continue
        other = distinct.setdefault(record.frames[0].offset, record)
        if _content_of(other) != _content_of(record):
            raise FormatError(
                pack.file, "frames shared in part", member=record.name, found=f"frames of {other.name!r}"
            )
    position = pack.tail.sections[CONTENT].offset
    for offset in sorted(distinct):
        record = distinct[offset]
        if record.raw:
            position += FRAME_HEADER.size
        for frame in record.frames:
            if frame.offset != position:
                raise FormatError(
                    pack.file,
                    "frame",
                    member=record.name,
                    found=f"at {frame.offset}",
                    expected=f"at {position}",
                )
            position += frame.length
    found = (position, len(distinct), sum(record.size for record in distinct.values()))
    tail = pack.tail
    expected = (tail.sections[CONTENT].end, tail.content_count, tail.content_size)
    if found != expected:
        raise FormatError(
            pack.file, "end, number and size of the contents by the tail", found=expected, expected=found
        )
    return [*empty.values(), *(distinct[offset] for offset in sorted(distinct))]


def _content_of(record: EntryRecord) -> tuple[object, ...]:
    return (record.frames, record.raw, record.size, record.lines, record.sha256, record.utf8)


def _check_frame_header(pack: PackFile, record: EntryRecord, offset: int) -> None:
    """Check what decoding does not need: that libzstd had a checksum to check, and the dictionary's id."""
    parameters = zstandard.get_frame_parameters(pack.source.read(offset, _FRAME_HEADER_MOST))
    found = (parameters.has_checksum, parameters.dict_id)
    if found != (True, pack.tail.dictionary_id):
        raise FormatError(
            pack.file,
            "frame's checksum and dictionary id",
            member=record.name,
            offset=offset,
            found=found,
            expected=(True, pack.tail.dictionary_id),
        )


def _check_content(pack: PackFile, record: EntryRecord) -> None:
    """Check a content's frames, and what its entry says of it, one frame at a time."""
    if record.raw and record.frames:
        offset = record.frames[0].offset - FRAME_HEADER.size
        header = pack.source.read(offset, FRAME_HEADER.size)
        parse_frame_header(header, record.size, file=pack.file, offset=offset, what="raw content")
    digest = hashlib.sha256()
    newlines = 0
    data = b""
    utf8 = True
    decoder = codecs.getincrementaldecoder("utf-8")()
    for number, frame in enumerate(record.frames):
        if newlines != frame.newlines_before:
            raise FormatError(
                pack.file,
                f"line feeds before frame {number}",
                member=record.name,
                found=frame.newlines_before,
                expected=newlines,
            )
        data = pack.read_part(record, number)
        if not record.raw:
            _check_frame_header(pack, record, frame.offset)
        utf8 = utf8 and _decodes(decoder, data, final=number + 1 == len(record.frames))
        digest.update(data)
        newlines += data.count(b"\n")
    lines = count_lines(newlines, record.size, ends_with_newline=data.endswith(b"\n"))
    expected = (digest.hexdigest(), lines, utf8)
    found = (record.sha256.hex(), record.lines, record.utf8)
    if found != expected:
        raise FormatError(
            pack.file, "SHA-256, lines, UTF-8", member=record.name, found=found, expected=expected
        )


def _decodes(decoder: codecs.IncrementalDecoder, data: bytes, *, final: bool) -> bool:
    try:
        decoder.decode(data, final)
    except UnicodeDecodeError:
        return False
    return True
