"""Export of a pack as a SourceBundle: what conversion took in, given back.

The zip is as uploaders write it: header `SYSB` and version 2, offsets that count from the header's first
byte (symbolic asks for that), `manifest.json` last.
"""

import hashlib
import os
import stat
import struct
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import srcpack
from srcpack.bundle.manifest_json import MANIFEST_NAME, dump_manifest, parse_manifest
from srcpack.errors import FormatError, LimitExceeded, NotFound
from srcpack.opening import open_packed
from srcpack.records import BundleManifest
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.one.report import DamageReport

__all__ = ["ExportReport", "export"]

_HEADER = struct.pack("<4sI", b"SYSB", 2)
_MAX_NAME = 0xFFFF
_UNIX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
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

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def export(
    pack: srcpack.Pack | str | os.PathLike[str], dst: str | os.PathLike[str], *, stored: bool = False
) -> ExportReport:
    """Turn a pack back into a SourceBundle with an equal manifest and equal contents.

    The zip is written beside its place and renamed: whatever happens, `dst` is either what it was or a
    whole zip. Same pack, `stored` and zlib: same bytes.

    Args:
        pack: The pack, open or by path.
        dst: The zip to write; a file there is replaced.
        stored: Store the members, in place of deflating them.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: `dst` is the pack itself.
        FormatError: The pack is damaged, or holds what no SourceBundle can.
        LimitExceeded: A member's name is longer than a zip allows.
    """
    started = time.perf_counter()
    with _opened(pack) as opened:
        if os.path.exists(opened.file) and os.path.exists(dst) and os.path.samefile(opened.file, dst):
            raise ValueError(f"{os.fspath(dst)}: source and destination are one file")
        manifest = opened.bundle_manifest()
        left_out = []
        files = total_size = 0
        with written_aside(dst) as (out, _):
            out.write(_HEADER)
            with zipfile.ZipFile(out, "w") as bundle:
                for entry in opened.entries():
                    if entry.name == MANIFEST_NAME:
                        continue
                    if entry.damage is not None:
                        left_out.append(DamageReport(member=entry.name, reason=entry.damage))
                        continue
                    _write_entry(bundle, entry, stored=stored)
                    files += 1
                    total_size += entry.size
                content = _manifest_content(opened, manifest)
                _write_member(bundle, opened.file, MANIFEST_NAME, len(content), [content], stored=stored)
            output_size = out.seek(0, os.SEEK_END)
    return ExportReport(
        source=opened.file,
        output=os.fspath(dst),
        source_size=opened.tail.file_length,
        output_size=output_size,
        files=files,
        total_size=total_size,
        stored=stored,
        seconds=time.perf_counter() - started,
        left_out=tuple(left_out),
    )


def _opened(
    pack: srcpack.Pack | str | os.PathLike[str],
) -> AbstractContextManager[srcpack.Pack]:
    """Return a pack that is closed when the block ends, if it was not open before."""
    return nullcontext(pack) if isinstance(pack, srcpack.Pack) else open_packed(pack, source="pread")


def _manifest_content(pack: srcpack.Pack, manifest: BundleManifest) -> bytes:
    """Return the bytes of `manifest.json`.

    A manifest may list itself among its files. Then the pack has its bytes, and they must be what the zip
    gets, both as the manifest and as that file.
    """
    try:
        entry = pack[MANIFEST_NAME]
    except NotFound:
        return dump_manifest(manifest)
    if not entry.record.listed:
        raise FormatError(
            pack.file, "the manifest's name, on a file that it does not list", member=entry.name
        )
    if entry.damage is not None:
        return dump_manifest(manifest)
    content = entry.read()
    if parse_manifest(content, file=pack.file) != manifest:
        raise FormatError(
            pack.file, "it lists itself, and is not the manifest of this pack", member=entry.name
        )
    return content


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
