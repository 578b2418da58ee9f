"""Conversion of a SourceBundle into a pack.

A bundle goes one way: its members are read with their facts (`read`), of equal contents one is kept, contents
are compressed (`compress`) and written (`writer`), entries get the places of their contents. Then the pack is
finished, the zip is read once more to see that it is still the same, and the pack is read back (`read_back`).
Each stage takes values and gives values, one member after the other, so the largest of them bound the memory.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeAlias

import zstandard

import srcpack
from srcpack.bundle.members import DEFAULT_LIMITS, Limits, SourceBundle
from srcpack.errors import FormatError
from srcpack.format.head_tail import Tail
from srcpack.records import EntryRecord, FrameRecord
from srcpack.source.hashing import sha256_of
from srcpack.source.object_stores import Patience
from srcpack_convert.one.compress import CompressedMember, Compression, compressed
from srcpack_convert.one.dictionary import choose_dictionary, given_dictionary
from srcpack_convert.one.existing import check_replaced, facts_at, has_content
from srcpack_convert.one.lookup_tables import symbolic_version, write_tables
from srcpack_convert.one.options import DictionaryChoice, Options
from srcpack_convert.one.places import (
    Destination,
    Source,
    Transfer,
    check_places,
    destination_name,
    destination_place,
    pack_to,
    source_of,
)
from srcpack_convert.one.presets import DEFAULT_PRESET
from srcpack_convert.one.read import distinct, read_members
from srcpack_convert.one.read_back import read_back
from srcpack_convert.one.report import ConversionReport, DamageReport, WithoutLookup
from srcpack_convert.one.writer import PackWriter
from srcpack_convert.storage import MAX_FETCH

__all__ = ["Progress", "convert", "convert_bundle", "convert_url"]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes of content done and in all."""

_SPOOLED = 16 << 20
"""Bytes of lookup tables that are held in memory; more go to a temporary file."""


def convert(
    src: Source,
    dst: Destination,
    *,
    preset: str = DEFAULT_PRESET,
    level: int | None = None,
    dictionary: DictionaryChoice = "auto",
    frame_size: int | None = None,
    raw: Sequence[str] = (),
    lookups: bool = False,
    lenient: bool = False,
    force: bool = False,
    jobs: int = 1,
    verify: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> ConversionReport:
    """Convert a SourceBundle zip into a pack.

    The pack is written beside its place, checked and renamed: whatever happens, `dst` is either what it
    was or a whole pack. At a URL, and in a file object, it goes there when it is complete and checked. Same
    bundle, options and libzstd: same bytes, whatever `jobs` is.

    What can be had again by another call is replaced: a pack of the same bytes, whatever its options were, a
    damaged pack, an empty file. All else stays, unless `force` is given.

    Args:
        src: The zip: its path, URL or bytes, or a binary file, of which all is read.
        dst: The pack to write, by path or URL; or a binary file that is open for writing, which stays open.
        preset: `fast`, `balanced`, `compact`, `max` or `raw`.
        level: Level of zstd in place of the preset's.
        dictionary: `auto` trains one and uses it where it pays, `off` uses none; a number is the most
            bytes one may have; bytes are a trained dictionary, always used.
        frame_size: Bytes of content in a frame in place of the preset's, of which 128 KiB are used with
            lookups, if it has more.
        raw: Patterns of member names (`*`, `?`, `[...]`) whose contents are stored as they are.
        lookups: Give each file that has its source map in the bundle a table of all that the map answers, so
            that `Entry.original` needs neither map nor symbolic. symbolic answers, of the extra `lookups`.
        lenient: Convert also a bundle that symbolic refuses over metadata alone, without what it refuses. The
            report says why, and so does the pack.
        force: Replace what is at `dst`, also the pack of another bundle, and a file that is no pack.
        jobs: Threads that compress, and processes that build tables.
        verify: Read every file back from the pack and compare it with what the zip held.
        limits: Sizes over which the bundle or a member is refused.
        progress: Told the bytes of content done and in all.

    Returns:
        The report; URLs in it have no user names and no queries, which may be secrets, and its seconds
        include fetching and putting.

    Raises:
        ValueError: An option is out of its range, or a URL cannot be used.
        ModuleNotFoundError: Lookups need symbolic, which is not installed, or too old.
        FileExistsError: What is at `dst` would be lost; or it is a folder, or a device.
        OSError: A file or object cannot be read or written.
        FormatError: The bundle is refused, as symbolic refuses it; it changed while it was read; or the
            check of the pack failed.
        LimitExceeded: The bundle is over a limit.
    """
    options = Options(
        preset=preset,
        level=level,
        dictionary=dictionary,
        frame_size=frame_size,
        raw=raw,
        lookups=lookups,
        lenient=lenient,
        verify=verify,
        limits=limits,
    )
    return convert_bundle(src, dst, options, force=force, jobs=jobs, progress=progress)


def convert_url(
    source: str,
    destination: str,
    options: Options | None = None,
    *,
    force: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
    spool: str | os.PathLike[str] | None = None,
    max_size: int = MAX_FETCH,
    patience: Patience | None = None,
) -> ConversionReport:
    """Convert a SourceBundle zip into a pack, each at a path or a URL, with a say in how they are moved.

    Args:
        source: The zip.
        destination: The pack; see `convert` for what is replaced.
        options: How it is converted.
        force: Replace what is at the destination, whatever it is.
        jobs: Threads that compress.
        progress: Told the bytes of content done and in all.
        spool: Folder for the zip and the pack while they are here, the system's for temporary files if None.
        max_size: Bytes of the zip over which it is refused.
        patience: How long the stores are waited for; the modules' own constants if None.

    Raises:
        LimitExceeded: As `convert`, and where the zip is larger than `max_size`. Other errors are the same.
    """
    transfer = Transfer(spool=spool, max_size=max_size, patience=patience)
    return convert_bundle(
        source,
        destination,
        options or Options(),
        force=force,
        jobs=jobs,
        progress=progress,
        transfer=transfer,
    )


def convert_bundle(
    src: Source,
    dst: Destination,
    options: Options,
    *,
    force: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
    transfer: Transfer = Transfer(),  # noqa: B008  it does not change
) -> ConversionReport:
    """Convert a SourceBundle zip into a pack; as `convert`, with the options in one object."""
    started = time.perf_counter()
    if jobs < 1:
        raise ValueError(f"jobs is at least 1, not {jobs}")
    check_places(src, dst)
    file = destination_name(dst)
    place = None if force else destination_place(dst)
    existing = facts_at(place) if place is not None and has_content(place) else None
    with (
        source_of(src, transfer) as (source, may_change),
        SourceBundle(source, limits=options.limits, lenient=options.lenient) as bundle,
        pack_to(dst, transfer) as (out, aside),
    ):
        source_sha256 = sha256_of(source)
        check_replaced(existing, source_sha256, file)
        records, tail = _write(
            out,
            bundle,
            options,
            file=file,
            source={"sha256": source_sha256, "size": source.size},
            jobs=jobs,
            progress=progress,
        )
        if may_change:
            _check_unchanged(bundle, source_sha256)
        if options.verify:
            out.flush()
            read_back(aside, tail, records, file=file)
    settings = options.settings
    return ConversionReport(
        source=bundle.file,
        output=file,
        source_size=source.size,
        output_size=tail.file_length,
        source_sha256=source_sha256,
        sha256=tail.sha256,
        files=tail.entry_count,
        total_size=tail.total_size,
        content_size=tail.content_size,
        content_count=tail.content_count,
        dictionary_size=tail.dictionary_size,
        preset=options.preset,
        level=settings.level,
        frame_size=settings.frame_size,
        jobs=jobs,
        verified=options.verify,
        seconds=time.perf_counter() - started,
        damaged=tuple(
            DamageReport(member=record.name, reason=record.reason)
            for record in records
            if record.reason is not None
        ),
        refused=bundle.refused,
        lookups=sum(record.lookup is not None for record in records),
        without_lookup=tuple(
            WithoutLookup(member=record.name, reason=record.lookup_reason)
            for record in records
            if record.lookup_reason is not None
        ),
    )


def _write(
    out: BinaryIO,
    bundle: SourceBundle,
    options: Options,
    *,
    file: str,
    source: dict[str, Any],
    jobs: int,
    progress: Progress | None,
) -> tuple[list[EntryRecord], Tail]:
    settings, manifest = options.settings, bundle.manifest
    dictionary = _dictionary(bundle, options)
    level = settings.level or 1
    writer = PackWriter(out, file=file, frame_size=settings.frame_size, dictionary=dictionary, level=level)
    compression = Compression(
        level, dictionary, large_level=settings.large_level, frame_size=settings.frame_size
    )
    read = distinct(read_members(bundle, options))
    total = sum(member.size for member in bundle.members.values())
    with closing(compressed(read, compression, settings.frame_size, jobs)) as members:
        records = list(_placed(_told(members, progress, total), writer))
    created_by: dict[str, Any] = {
        "tool": f"srcpack {srcpack.__version__}",
        "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
        "options": options.as_recorded(),
    }
    if bundle.refused is not None:
        created_by["refused"] = bundle.refused
    with SpooledTemporaryFile(_SPOOLED) as tables:
        lookups = None
        if options.lookups:
            created_by["symbolic"] = symbolic_version()
            records = write_tables(tables, bundle, records, jobs=jobs)
            lookups = tables if tables.tell() else None
        tail = writer.finish(
            records,
            attributes=manifest.attributes,
            source_links=manifest.source_links,
            has_files=manifest.has_files,
            source=source,
            created_by=created_by,
            lookups=lookups,
        )
    return records, tail


def _dictionary(bundle: SourceBundle, options: Options) -> zstandard.ZstdCompressionDict | None:
    if isinstance(options.dictionary, bytes):
        return given_dictionary(options.dictionary)
    level, sizes, frame_size, _ = options.settings
    if level is None or not sizes:
        return None
    names = [name for name in bundle.members if not options.stores_raw(name)]
    return choose_dictionary(bundle, names, sizes, level=level, frame_size=frame_size)


def _told(
    members: Iterator[CompressedMember], progress: Progress | None, total: int
) -> Iterator[CompressedMember]:
    """Yield the members, and tell of each when the next is asked for."""
    done = 0
    for member in members:
        yield member
        done += member.size
        if progress is not None:
            progress(done, total)


def _placed(members: Iterator[CompressedMember], writer: PackWriter) -> Iterator[EntryRecord]:
    """Write the contents, and yield each member's entry with the place of its content."""
    places: dict[bytes, tuple[tuple[FrameRecord, ...], bool]] = {}
    for record, content, _ in members:
        if content is not None:
            places[record.sha256] = (writer.write_content(content), content.raw)
        frames, raw = places.get(record.sha256, ((), False))
        yield record._replace(frames=frames, raw=raw)


def _check_unchanged(bundle: SourceBundle, digest: bytes) -> None:
    """Read the zip once more: its bytes must be those of the beginning.

    Members that changed would be recorded as damaged, by their CRC-32, in a pack that is whole. Times of the
    file would cost less, but a change within a tick of the clock does not show in them. A change that is
    undone before is not noticed.
    """
    found = sha256_of(bundle.source)
    if found != digest:
        raise FormatError(
            bundle.file,
            "it changed while it was converted: SHA-256",
            found=found.hex(),
            expected=f"{digest.hex()} as at the start",
        )
