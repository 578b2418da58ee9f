"""Conversion of a SourceBundle into a pack."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import zstandard

import srcpack
from srcpack.bundle.manifest_records import records_of
from srcpack.bundle.members import Limits, SourceBundle
from srcpack.errors import DamagedMember, FormatError
from srcpack.format.head_tail import MAX_DICTIONARY, MAX_FRAME_SIZE, Tail
from srcpack.records import EntryRecord, FrameRecord
from srcpack.rules.content_facts import facts_of, with_facts
from srcpack.source.local import ByteSource, MmapSource
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.one.compress import Compression, Content
from srcpack_convert.one.dictionary import choose_dictionary
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS
from srcpack_convert.one.report import ConversionReport, DamageReport
from srcpack_convert.one.writer import PackWriter

__all__ = ["DictionaryChoice", "Options", "convert"]

DictionaryChoice: TypeAlias = Literal["auto", "off"] | int | bytes
"""`auto` or `off`, bytes that a trained one may have at most, or a dictionary itself."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes of content done and in all."""

_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"
_CHUNK = 1 << 20
_TASK_BYTES = 256 << 10
_TASK_PARTS = 64
_IN_FLIGHT = 32 << 20
"""Bytes of content that wait to be compressed or written, beyond which no more is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What decides the bytes of a pack, besides the bundle and libzstd; see `convert`."""

    preset: str = DEFAULT_PRESET
    level: int | None = None
    dictionary: DictionaryChoice = "auto"
    frame_size: int = 0
    raw: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        preset: str,
        level: int | None,
        dictionary: DictionaryChoice,
        frame_size: int | None,
        raw: Sequence[str],
    ) -> "Options":
        """Fill in what the preset decides.

        Raises:
            ValueError: A value is out of its range.
        """
        if preset not in PRESETS:
            raise ValueError(f"preset is one of {', '.join(PRESETS)}, not {preset!r}")
        chosen = PRESETS[preset]
        if level is None:
            level = chosen.level
        elif not 1 <= level <= zstandard.MAX_COMPRESSION_LEVEL:
            raise ValueError(f"level is 1 to {zstandard.MAX_COMPRESSION_LEVEL}, not {level}")
        if frame_size is None:
            frame_size = chosen.frame_size
        elif not 4096 <= frame_size <= MAX_FRAME_SIZE:
            raise ValueError(f"frame size is 4096 to {MAX_FRAME_SIZE} bytes, not {frame_size}")
        if isinstance(dictionary, int) and not 0 < dictionary <= MAX_DICTIONARY:
            raise ValueError(f"a dictionary has 1 to {MAX_DICTIONARY} bytes, not {dictionary}")
        if isinstance(dictionary, bytes):
            _given_dictionary(dictionary)
        elif isinstance(dictionary, str) and dictionary not in ("auto", "off"):
            raise ValueError(f"dictionary is auto, off, a number or bytes, not {dictionary!r}")
        return cls(preset=preset, level=level, dictionary=dictionary, frame_size=frame_size, raw=tuple(raw))

    def as_recorded(self) -> dict[str, Any]:
        """Return what the pack records of them."""
        dictionary = self.dictionary
        if isinstance(dictionary, bytes):
            dictionary = hashlib.sha256(dictionary).digest()
        return {
            "preset": self.preset,
            "level": self.level,
            "dictionary": dictionary,
            "frame_size": self.frame_size,
            "raw": list(self.raw),
        }


def convert(
    src: str | os.PathLike[str] | bytes,
    dst: str | os.PathLike[str],
    *,
    preset: str = DEFAULT_PRESET,
    level: int | None = None,
    dictionary: DictionaryChoice = "auto",
    frame_size: int | None = None,
    raw: Sequence[str] = (),
    jobs: int = 1,
    verify: bool = True,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Convert a SourceBundle zip into a pack.

    The pack is written beside its place, checked and renamed: whatever happens, `dst` is either what it
    was or a whole pack. Same bundle, options and libzstd: same bytes, whatever `jobs` is.

    Args:
        src: The zip, by path or as bytes.
        dst: The pack to write; a file there is replaced.
        preset: `fast`, `balanced`, `max` or `raw`.
        level: Level of zstd in place of the preset's.
        dictionary: `auto` trains one and uses it where it pays, `off` uses none; a number is the most
            bytes one may have; bytes are a trained dictionary, always used.
        frame_size: Bytes of content in a frame in place of the preset's.
        raw: Patterns of member names (`*`, `?`, `[...]`) whose contents are stored as they are.
        jobs: Threads that compress.
        verify: Read every file back from the pack and compare it with what the zip held.
        limits: Sizes over which the bundle or a member is refused.
        progress: Told the bytes of content done and in all.

    Raises:
        ValueError: An option is out of its range.
        OSError: A file cannot be read or written.
        FormatError: The bundle is refused, as symbolic refuses it; it changed while it was read; or the
            check of the pack failed.
        LimitExceeded: The bundle is over a limit.
    """
    started = time.perf_counter()
    options = Options.of(preset, level, dictionary, frame_size, raw)
    if jobs < 1:
        raise ValueError(f"jobs is at least 1, not {jobs}")
    if not isinstance(src, bytes) and os.path.exists(dst) and os.path.samefile(src, dst):
        raise ValueError(f"{os.fspath(dst)}: source and destination are one file")
    with SourceBundle(src, limits=limits or Limits()) as bundle:
        source_sha256, source_size = _digest(bundle.source), bundle.source.size
        with written_aside(dst) as (out, aside):
            work = _Conversion(bundle, options, jobs, progress, os.fspath(dst))
            tail = work.write(out, source={"sha256": source_sha256, "size": source_size})
            if not isinstance(src, bytes):
                _check_unchanged(bundle, source_sha256)
            if verify:
                out.flush()
                _read_back(aside, tail, work, file=os.fspath(dst))
    return ConversionReport(
        source=bundle.file,
        output=os.fspath(dst),
        source_size=source_size,
        output_size=tail.file_length,
        source_sha256=source_sha256.hex(),
        sha256=tail.sha256.hex(),
        files=tail.entry_count,
        total_size=tail.total_size,
        content_size=tail.content_size,
        content_count=tail.content_count,
        dictionary_size=tail.dictionary_size,
        preset=options.preset,
        level=options.level,
        frame_size=options.frame_size,
        jobs=jobs,
        verified=verify,
        seconds=time.perf_counter() - started,
        damaged=tuple(DamageReport(member=name, reason=reason) for name, reason in work.damaged.items()),
    )


class _Conversion:
    """One conversion under way: members are read in the order of their names, compressed, and written."""

    def __init__(
        self, bundle: SourceBundle, options: Options, jobs: int, progress: Progress | None, file: str
    ) -> None:
        self._bundle = bundle
        self._options = options
        self._jobs = jobs
        self._progress = progress
        self._file = file
        self.damaged: dict[str, str] = {}
        self.records = records_of(bundle)
        self._places: dict[bytes, tuple[tuple[FrameRecord, ...], bool]] = {}
        members = bundle.members.values()
        # Equal contents are stored once: raw, if one of their names is to be. Nearly always these are equal.
        self._raw = {(member.crc, member.size) for member in members if self._is_raw(member.name)}
        self._total = sum(member.size for member in members)
        self._done = 0

    def write(self, out: BinaryIO, *, source: dict[str, Any]) -> Tail:
        options, manifest = self._options, self._bundle.manifest
        dictionary = self._dictionary()
        writer = PackWriter(out, file=self._file, frame_size=options.frame_size, dictionary=dictionary)
        compression = Compression(options.level or 1, dictionary)
        for digest, content in _compressed(self._contents(), compression, options.frame_size, self._jobs):
            self._places[digest] = (writer.write_content(content), content.is_raw)
            self._advance(len(content.data))
        self.records = [self._placed(record) for record in self.records]
        return writer.finish(
            self.records,
            attributes=manifest.attributes,
            source_links=manifest.source_links,
            has_files=manifest.has_files,
            source=source,
            created_by={
                "tool": f"srcpack {srcpack.__version__}",
                "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
                "options": options.as_recorded(),
            },
        )

    def _dictionary(self) -> zstandard.ZstdCompressionDict | None:
        options = self._options
        if isinstance(options.dictionary, bytes):
            return _given_dictionary(options.dictionary)
        if options.dictionary == "off" or options.level is None:
            return None
        sizes = PRESETS[options.preset].dictionary
        if isinstance(options.dictionary, int):
            sizes = (options.dictionary,)
        members = self._bundle.members
        names = [
            record.name for record in self.records if record.name in members and not self._is_raw(record.name)
        ]
        return choose_dictionary(
            self._bundle, names, sizes, level=options.level, frame_size=options.frame_size
        )

    def _is_raw(self, name: str) -> bool:
        return self._options.level is None or any(fnmatchcase(name, glob) for glob in self._options.raw)

    def _contents(self) -> Iterator[tuple[bytes, Content]]:
        """Read the members one by one and yield each distinct content once, with its SHA-256."""
        seen: set[bytes] = set()
        for at, record in enumerate(self.records):
            name = record.name
            try:
                data = self._bundle.read(name)
            except DamagedMember as error:
                self.damaged[name] = error.reason
                self.records[at] = record._replace(reason=error.reason)
                self._advance(self._bundle.members[name].size if name in self._bundle.members else 0)
                continue
            facts = facts_of(data, record.type, record.headers)
            self.records[at] = with_facts(record, facts)
            if not data or facts.sha256 in seen:
                self._advance(len(data))
                continue
            seen.add(facts.sha256)
            member = self._bundle.members[name]
            parts = -(-len(data) // self._options.frame_size)
            yield facts.sha256, Content(data, parts, keep_raw=(member.crc, member.size) in self._raw)

    def _advance(self, size: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _placed(self, record: EntryRecord) -> EntryRecord:
        """Return an entry with the frames of its content."""
        frames, raw = self._places.get(record.sha256, ((), False))
        return record._replace(frames=frames, raw=raw)


def _compressed(
    contents: Iterator[tuple[bytes, Content]], compression: Compression, frame_size: int, jobs: int
) -> Iterator[tuple[bytes, Content]]:
    """Yield the contents in their order, with their frames; parts are compressed side by side."""
    if jobs == 1:
        for digest, content in contents:
            if not content.keep_raw:
                content.frames = compression.compress(_parts(content, frame_size))
            yield digest, content
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="compress") as executor:
        waiting: deque[tuple[bytes, Content]] = deque()
        tasks: deque[tuple[Future[list[bytes]], list[Content]]] = deque()
        batch: list[tuple[Content, memoryview]] = []
        batch_size = in_flight = 0

        def submit() -> None:
            nonlocal batch_size
            if batch:
                future = executor.submit(compression.compress, [part for _, part in batch])
                tasks.append((future, [content for content, _ in batch]))
                batch.clear()
                batch_size = 0

        def finished(limit: int) -> Iterator[tuple[bytes, Content]]:
            nonlocal in_flight
            while waiting and in_flight > limit:
                while not waiting[0][1].is_done:
                    future, owners = tasks.popleft()
                    for content, frame in zip(owners, future.result(), strict=True):
                        content.frames.append(frame)
                digest, content = waiting.popleft()
                in_flight -= len(content.data)
                yield digest, content

        try:
            for digest, content in contents:
                waiting.append((digest, content))
                in_flight += len(content.data)
                if not content.keep_raw:
                    for part in _parts(content, frame_size):
                        batch.append((content, part))
                        batch_size += len(part)
                        if batch_size >= _TASK_BYTES or len(batch) >= _TASK_PARTS:
                            submit()
                if in_flight > _IN_FLIGHT:
                    submit()
                    yield from finished(_IN_FLIGHT // 2)
            submit()
            yield from finished(-1)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _parts(content: Content, frame_size: int) -> list[memoryview]:
    view = memoryview(content.data)
    return [view[at : at + frame_size] for at in range(0, len(view), frame_size)]


def _given_dictionary(data: bytes) -> zstandard.ZstdCompressionDict:
    """Return a dictionary that the caller gave.

    Raises:
        ValueError: It is none that a pack may have: a trained one whose id is not 0, of at most 1 MiB.
    """
    if not 8 <= len(data) <= MAX_DICTIONARY:
        raise ValueError(f"a dictionary has 8 to {MAX_DICTIONARY} bytes, this one has {len(data)}")
    if not data.startswith(_DICTIONARY_MAGIC):
        raise ValueError("no trained dictionary: it does not begin with zstd's magic for one")
    dictionary = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
    if not dictionary.dict_id():
        raise ValueError("a dictionary must have an id that is not 0")
    return dictionary


def _digest(source: ByteSource) -> bytes:
    """Return the SHA-256 of the zip as it is open here, whatever has its name by now."""
    digest = hashlib.sha256()
    for at in range(0, source.size, _CHUNK):
        digest.update(source.read(at, min(_CHUNK, source.size - at)))
    return digest.digest()


def _check_unchanged(bundle: SourceBundle, digest: bytes) -> None:
    """Read the zip once more: its bytes must be those of the beginning.

    Members that changed would be recorded as damaged, by their CRC-32, in a pack that is whole. Times of the
    file would cost less, but a change within a tick of the clock does not show in them.

    Raises:
        FormatError: They are others. (A change that is undone before is not noticed.)
    """
    found = _digest(bundle.source)
    if found != digest:
        raise FormatError(
            bundle.file,
            "it changed while it was converted: SHA-256",
            found=found.hex(),
            expected=f"{digest.hex()} as at the start",
        )


def _read_back(path: Path, tail: Tail, work: _Conversion, *, file: str) -> None:
    """Read all of the written file as a reader would, and compare it with what the zip held.

    The entries have the SHA-256 of what was inflated, and contents are compared with that.

    Raises:
        FormatError: Something is not what it was; the disk or the memory is at fault, or we are.
    """
    with srcpack.Pack(MmapSource(path), file=file, max_read=1 << 62) as pack:
        if pack.tail != tail:
            raise FormatError(file, "tail read back", found=pack.tail, expected=tail)
        for error in srcpack.verify(pack, work.records):
            raise error
