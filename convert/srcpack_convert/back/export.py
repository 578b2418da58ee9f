"""Export of a pack as a SourceBundle: what conversion took in, given back.

The zip is as uploaders write it: header `SYSB` and version 2, offsets that count from the header's first
byte (symbolic asks for that), `manifest.json` last.
"""

import errno
import hashlib
import os
import stat
import struct
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import srcpack
from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.bundle.manifest_json import MANIFEST_NAME, dump_manifest, parse_manifest
from srcpack.bundle.members import DEFAULT_LIMITS, Limits, SourceBundle
from srcpack.errors import FormatError, LimitExceeded, NotFound, SrcpackError
from srcpack.opening import open_pack, packfile_of
from srcpack.records import BundleManifest
from srcpack.source.locations import is_url, path_or_url, without_secrets
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.one.existing import has_content
from srcpack_convert.one.report import DamageReport, Report
from srcpack_convert.storage import first_bytes, is_one_file

__all__ = ["ExportReport", "export"]

_HEADER = struct.pack("<4sI", b"SYSB", 2)
_MAX_NAME = 0xFFFF
_UNIX = 3
_MOST = 1 << 62
_NO_LIMITS = Limits(
    max_file_size=_MOST, max_total_size=_MOST, max_manifest_size=_MOST, max_total_ratio=_MOST, max_files=_MOST
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport(Report):
    """What was exported, into what.

    Attributes:
        source: The pack, as the caller named it.
        output: The zip.
        source_size: Bytes of the pack.
        output_size: Bytes of the zip.
        files: Members written, the manifest not counted.
        total_size: Bytes of their contents.
        stored: Whether they are stored, not deflated.
        seconds: How long it took.
        left_out: Members without a content in the pack: the zip lacks them, as conversion could not read
            them. The manifest lists those that it listed.
    """

    source: str
    output: str
    source_size: int
    output_size: int
    files: int
    total_size: int
    stored: bool
    seconds: float
    left_out: tuple[DamageReport, ...] = ()


def export(
    pack: srcpack.Pack | str | os.PathLike[str],
    dst: str | os.PathLike[str] | BinaryIO,
    *,
    stored: bool = False,
    force: bool = False,
) -> ExportReport:
    """Turn a pack back into a SourceBundle with an equal manifest and equal contents.

    The zip is written beside its place, read back and renamed: whatever happens, `dst` is either what it was
    or a whole zip. Into an open file it is written front to back, so that it may be a socket or a pipe; if
    that fails, what was written has no directory, and is no zip. Same pack, `stored` and zlib: same bytes,
    apart from those two ways.

    A zip with an equal manifest and equal members is replaced, and an empty file. All else stays, unless
    `force` is given: the zip that the pack was made from, say, where members of it were damaged.

    Args:
        pack: The pack, open or by path.
        dst: The zip to write, by path; or a file open for writing bytes, which stays open.
        stored: Store the members, in place of deflating them.
        force: Replace what is at `dst`, whatever file it is.

    Raises:
        FileExistsError: What is at `dst` would be lost; or it is a folder, or a device.
        OSError: A file cannot be read or written.
        ValueError: `dst` is the pack itself, or a URL.
        TypeError: The pack is a SourceBundle zip that was opened as one.
        FormatError: The pack is damaged, or holds what no SourceBundle can.
        LimitExceeded: A member's name is longer than a zip allows.
    """
    started = time.perf_counter()
    if isinstance(dst, str | os.PathLike):
        dst = path_or_url(os.fspath(dst))
        if is_url(dst):
            raise ValueError(f"{without_secrets(dst)}: a zip is written to a path, or into a file object")
    elif not hasattr(dst, "write"):
        raise TypeError(f"a zip goes to a path or a binary file, not to {type(dst).__name__}")
    with _opened(pack) as opened:
        file, manifest = opened.file, opened.bundle_manifest()
        content = _manifest_content(opened, manifest)
        if isinstance(dst, str):
            if is_one_file(file, dst):
                raise ValueError(f"{dst}: source and destination are one file")
            output = dst
            may_go = force or not has_content(dst)
            if not may_go and not is_source_bundle(first_bytes(dst, MAGIC_SIZE)):
                raise FileExistsError(errno.EEXIST, "what is there is no SourceBundle", dst)
            with written_aside(dst) as (out, aside):
                written = _write_zip(out, opened, content, stored=stored)
                out.flush()
                if not _is_read_back(aside, written.members, manifest, _NO_LIMITS):
                    reason = "the zip that was written is not read back as this pack"
                    raise FormatError(file, reason)
                if not may_go and not _has_all(dst, written.members, manifest):
                    raise FileExistsError(errno.EEXIST, "what is there is another bundle", dst)
                output_size = out.seek(0, os.SEEK_END)
        else:
            output = without_secrets(str(getattr(dst, "name", "<stream>")))
            stream = _Stream(dst)
            written = _write_zip(cast("BinaryIO", stream), opened, content, stored=stored)
            output_size = stream.tell()
        source_size = packfile_of(opened).tail.file_length
    return ExportReport(
        source=file,
        output=output,
        source_size=source_size,
        output_size=output_size,
        files=written.files,
        total_size=written.total_size,
        stored=stored,
        seconds=time.perf_counter() - started,
        left_out=written.left_out,
    )


@contextmanager
def _opened(pack: srcpack.Pack | str | os.PathLike[str]) -> Iterator[srcpack.Pack]:
    """Yield a pack; it is closed when the block ends, if it was not open before."""
    if isinstance(pack, srcpack.Pack):
        packfile_of(pack)  # a zip is refused before anything is written
        yield pack
    else:
        with open_pack(pack, source="pread") as opened:
            yield opened


def _manifest_content(pack: srcpack.Pack, manifest: BundleManifest) -> bytes:
    """Return the bytes of `manifest.json`.

    A manifest may list itself among its files. Then the pack has its bytes, and they must be what the zip
    gets, both as the manifest and as that file.
    """
    try:
        entry = pack[MANIFEST_NAME]
    except NotFound:
        return _dumped(pack, manifest)
    if not entry.record.listed:
        raise FormatError(
            pack.file, "the manifest's name, on a file that it does not list", member=entry.name
        )
    if entry.damage is not None:
        return _dumped(pack, manifest)
    content = entry.read()
    if parse_manifest(content, file=pack.file) != manifest:
        raise FormatError(
            pack.file, "it lists itself, and is not the manifest of this pack", member=entry.name
        )
    return content


def _dumped(pack: srcpack.Pack, manifest: BundleManifest) -> bytes:
    """Return a manifest as bytes that say the same and no more, whatever the pack holds."""
    content = dump_manifest(manifest)
    problem = "holds what no manifest.json can"
    try:
        found = parse_manifest(content, file=pack.file)
    except FormatError as error:
        raise FormatError(pack.file, f"{problem}: {str(error).removeprefix(f'{pack.file}: ')}") from error
    for name, info in manifest.files.items():
        if found.files.get(name) != info:
            raise FormatError(pack.file, problem, member=name, found=repr(info))
    if found != manifest:
        raise FormatError(pack.file, problem)
    return content


class _Written(NamedTuple):
    """What a zip got: size and CRC-32 of each member; of the files, not the manifest, number and size."""

    members: dict[str, tuple[int, int]]
    files: int
    total_size: int
    left_out: tuple[DamageReport, ...]


def _write_zip(out: BinaryIO, pack: srcpack.Pack, manifest: bytes, *, stored: bool) -> _Written:
    left_out = []
    last: str | None = None
    out.write(_HEADER)
    with zipfile.ZipFile(out, "w") as bundle:
        for entry in pack.entries():
            if last is not None and entry.name <= last:
                expected = f"a name after {last!r}"
                raise FormatError(pack.file, "order of entries", member=entry.name, expected=expected)
            last = entry.name
            if entry.damage is not None:
                if entry.name != MANIFEST_NAME:
                    left_out.append(DamageReport(member=entry.name, reason=entry.damage))
            elif entry.name != MANIFEST_NAME:
                _write_entry(bundle, entry, stored=stored)
        members = bundle.infolist()
        files, total_size = len(members), sum(info.file_size for info in members)
        _write_member(bundle, pack.file, MANIFEST_NAME, len(manifest), [manifest], stored=stored)
        written = {info.filename: (info.file_size, info.CRC) for info in bundle.infolist()}
    return _Written(written, files, total_size, tuple(left_out))


def _is_read_back(
    path: str | Path, written: dict[str, tuple[int, int]], manifest: BundleManifest, limits: Limits
) -> bool:
    """Read the manifest and the directory of a zip as a reader of bundles would, and compare them."""
    with SourceBundle(path, limits=limits) as bundle:
        found = {name: (member.size, member.crc) for name, member in bundle.members.items()}
        expected = {name: written.get(name) for name in found}
        missing = written.keys() - found.keys() - {MANIFEST_NAME}
        is_whole = found == expected and all(name[-1:] == "/" for name in missing)
        return is_whole and bundle.manifest == manifest


def _has_all(path: str, written: dict[str, tuple[int, int]], manifest: BundleManifest) -> bool:
    """Return whether a zip that is there holds what was written, and no more."""
    try:
        return _is_read_back(path, written, manifest, DEFAULT_LIMITS)
    except SrcpackError:
        return False


class _Stream:
    """A file that is written front to back only, whatever it could do; zipfile asks it where it is."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._at = 0

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data)
        while view:
            # One that is not buffered may take a part.
            view = view[self._out.write(view) or 0 :]
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        self._out.flush()


def _write_entry(bundle: zipfile.ZipFile, entry: srcpack.Entry, *, stored: bool) -> None:
    digest = hashlib.sha256()

    def parts() -> Iterator[bytes]:
        for part in entry.parts():
            digest.update(part)
            yield part

    _write_member(bundle, entry.pack.file, entry.name, entry.size, parts(), stored=stored)
    if digest.digest() != entry.sha256:
        raise FormatError(
            entry.pack.file,
            "SHA-256",
            member=entry.name,
            found=digest.hexdigest(),
            expected=entry.record.sha256.hex(),
        )


def _write_member(
    bundle: zipfile.ZipFile, file: str, name: str, size: int, parts: Iterable[bytes], *, stored: bool
) -> None:
    if (length := len(name.encode())) > _MAX_NAME:
        raise LimitExceeded(file, "length of the name in a zip", length, _MAX_NAME, member=name)
    info = zipfile.ZipInfo()
    # Set afterwards, as the constructor would cut it at a NUL and replace the system's separators.
    info.filename = name
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    info.create_system = _UNIX
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    # By the size zipfile decides whether the header needs 64-bit fields; it is written again at the end.
    info.file_size = size
    with bundle.open(info, "w") as out:
        for part in parts:
            out.write(part)
