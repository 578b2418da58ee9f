"""Verification of a whole pack: every byte, every checksum, every rule (SPEC.md, "Verification").

Whether what is in it is of use, `resolve/check.py` tells.
"""

import codecs
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import zstandard

from srcpack.errors import FormatError, LimitExceeded, SrcpackError
from srcpack.format.head_tail import (
    CONTENT,
    DICTIONARY,
    FRAME_HEADER,
    MANIFEST,
    MAX_BLOCK,
    MOST_MANIFEST_SHRUNK,
    parse_frame_header,
)
from srcpack.format.index import SLOT, parse_fan_out
from srcpack.format.keys import KeyHash
from srcpack.records import EntryRecord
from srcpack.rules.context import count_lines
from srcpack.rules.lookup_keys import ALL_KINDS
from srcpack.rules.references_in_content import is_utf8
from srcpack.source.hashing import sha256_of

from .packfile import PackFile
from .verify_entries import check_entries
from .verify_lookups import find_lookup_problems
from .zstd_frames import content_size, read_dictionary

__all__ = ["find_problems"]

_FRAME_HEADER_MOST = 18


def find_problems(
    packfile: PackFile, expected: Sequence[EntryRecord] | None = None
) -> Iterator[SrcpackError]:
    """Check all of a pack, and yield what is wrong with it; nothing, if it is whole.

    The SHA-256 of all comes first, and what follows tells where it is wrong. The first error in the structure
    ends the check; errors in single contents don't. A distant pack is first copied to a temporary file.
    `expected` are the entries that it must have, where these are known.
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
        winners, first_of_content, tables = check_entries(pack, expected)
        _check_index(pack, winners)
    except (FormatError, LimitExceeded) as error:
        yield _alone(error)
        return
    # Entries that were expected are those that were found, and need not be read again.
    for number, record in enumerate(pack.records() if expected is None else expected):
        if number in first_of_content:
            try:
                _check_content(pack, record)
            except (FormatError, LimitExceeded) as error:
                yield _alone(error)
    for problem in find_lookup_problems(pack, tables):
        yield _alone(problem)


def _alone(error: SrcpackError) -> SrcpackError:
    """Return an error without the calls that it came through: who keeps it would keep the pack open."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _check_identity(pack: PackFile) -> None:
    found = sha256_of(pack.source, pack.tail.sections[max(pack.tail.sections)].end).hex()
    if found != (expected := pack.sha256.hex()):
        raise FormatError(pack.file, "SHA-256 of all before the tail", found=found, expected=expected)


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
        dictionary = read_dictionary(pack.source, pack.tail, file=pack.file)  # not what another pack had
        if dictionary.sha256 != pack.tail.dictionary_sha256:
            found, expected = dictionary.sha256.hex(), pack.tail.dictionary_sha256.hex()
            raise FormatError(pack.file, "SHA-256 of the dictionary", found=found, expected=expected)
    place = pack.tail.sections[MANIFEST].offset + FRAME_HEADER.size + pack.tail.attributes_length
    _ = pack.attributes
    unpacked = content_size(pack.source.read(place - pack.tail.attributes_length, _FRAME_HEADER_MOST))
    for number in range(pack.tail.block_count):
        offset, length = pack.directory.block_place(number)
        if offset != place:
            what = f"place of manifest block {number}"
            raise FormatError(pack.file, what, found=offset, expected=f"{place}, no gap")
        unpacked += max(0, content_size(pack.source.read(offset, min(length, _FRAME_HEADER_MOST))))
        place += length
    most = MAX_BLOCK + (pack.tail.sections[MANIFEST].length << MOST_MANIFEST_SHRUNK)
    if unpacked > most:
        raise LimitExceeded(pack.file, "unpacked size of all manifest blocks", unpacked, most)
    if place != (end := pack.tail.sections[MANIFEST].end):
        raise FormatError(pack.file, "end of the manifest blocks", found=place, expected=end)


def _check_index(pack: PackFile, winners: Mapping[bytes, int]) -> None:
    """Check that the buckets hold each key's winner and, where all kinds of key are known, nothing else."""
    tail = pack.tail
    expected: list[list[tuple[int, int]]] = [[] for _ in range(tail.bucket_count)]
    for digest, number in winners.items():
        hashed = KeyHash.of(digest)
        expected[hashed.bucket(tail.bucket_count)].append((hashed.fingerprint, number))
    all_known = tail.key_kinds <= ALL_KINDS
    first_slot = 0
    for number, slots in enumerate(expected):
        found = list(SLOT.iter_unpack(pack.directory.read_bucket(number)))
        wanted = sorted(slots)
        if found != wanted if all_known else found != sorted(set(found)) or not {*wanted} <= {*found}:
            raise FormatError(pack.file, f"slots of bucket {number}", found=found, expected=wanted)
        place = pack.directory.layout.fan_out_at(number)
        first, _, first_slot_after = parse_fan_out(pack.source.read(*place))
        if first != first_slot:
            raise FormatError(pack.file, f"first slot of bucket {number}", found=first, expected=first_slot)
        first_slot = first_slot_after
    at = pack.directory.layout.slots - SLOT.size
    last, end = pack.source.read(at, SLOT.size), SLOT.pack(tail.slot_count, 0)
    if last != end:
        shown, what = last.hex(" "), "last element of the fan-out"
        raise FormatError(pack.file, what, offset=at, found=shown, expected=end.hex(" "))


def _check_frame_header(pack: PackFile, record: EntryRecord, offset: int) -> None:
    """Check what decoding does not need: that libzstd had a checksum to check, and the dictionary's id."""
    parameters = zstandard.get_frame_parameters(pack.source.read(offset, _FRAME_HEADER_MOST))
    found, expected = (parameters.has_checksum, parameters.dict_id), (True, pack.tail.dictionary_id)
    if found != expected:
        what, name = "frame's checksum and dictionary id", record.name
        raise FormatError(pack.file, what, member=name, offset=offset, found=found, expected=expected)


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
    decoder = codecs.getincrementaldecoder("utf-8")() if len(record.frames) > 1 else None
    for number, frame in enumerate(record.frames):
        if newlines != frame.newlines_before:
            what, before = f"line feeds before frame {number}", frame.newlines_before
            raise FormatError(pack.file, what, member=record.name, found=before, expected=newlines)
        data = pack.read_part(record, number)
        if not record.raw:
            _check_frame_header(pack, record, frame.offset)
        if decoder is None:
            utf8 = is_utf8(data)
        else:
            utf8 = utf8 and _decodes(decoder, data, final=number + 1 == len(record.frames))
        digest.update(data)
        newlines += data.count(b"\n")
    lines = count_lines(newlines, record.size, ends_with_newline=data.endswith(b"\n"))
    expected = (digest.hexdigest(), lines, utf8)
    found = (record.sha256.hex(), record.lines, record.utf8)
    if found != expected:
        what = "SHA-256, lines, UTF-8"
        raise FormatError(pack.file, what, member=record.name, found=found, expected=expected)


def _decodes(decoder: codecs.IncrementalDecoder, data: bytes, *, final: bool) -> bool:
    try:
        decoder.decode(data, final)
    except UnicodeDecodeError:
        return False
    return True
