"""The members and the manifest of a bundle, as Sentry's zip-based classes give them (`sentry.py`)."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

from srcpack import opening
from srcpack.bundle.manifest_json import MANIFEST_NAME, dump_manifest
from srcpack.bundle.zip_store import ZipStore
from srcpack.entry import Entry
from srcpack.errors import DamagedMember, FormatError
from srcpack.pack import Pack
from srcpack.records import NOT_IN_ZIP, BundleManifest, FileInfo

__all__ = ["ArchiveMembers", "Info", "MemberInfo", "MissingMember", "opened"]

Info: TypeAlias = dict[str, Any]
"""What a manifest says of a file: `type`, `path`, `url`, `headers`, as far as it has them, and other keys."""


_KNOWN = {"type", "path", "url", "headers"}
_SHOWN = 200


class MissingMember(DamagedMember, KeyError):
    """A member that the manifest lists and the zip did not have; a KeyError, as with zipfile."""


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """What is asked of a `zipfile.ZipInfo`.

    Attributes:
        filename: The member's name.
        file_size: Bytes of content.
        compress_size: Bytes that it takes in the pack or in the zip.
    """

    filename: str
    file_size: int
    compress_size: int


class ArchiveMembers:
    """What both classes have: the manifest, and members by name."""

    pack: Pack

    def __init__(self, bundle: Pack | opening.Place) -> None:
        self._close: list[Callable[[], None]] = []
        if isinstance(bundle, Pack):
            self.pack = bundle
        else:
            if not isinstance(bundle, str | bytes | bytearray | memoryview | os.PathLike):
                self._close.append(bundle.close)
            self.pack = opening.open(bundle)
            self._close.append(self.pack.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened here, a binary file that was given too; a Pack that was given stays open."""
        for close in self._close:
            close()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The bundle's manifest as JSON values, files in their order; decoded when it is first asked for."""
        return _as_json(self.pack.bundle_manifest(), self.pack.file)

    @property
    def artifact_count(self) -> int:
        """How many files the manifest lists."""
        return len(self.get_files())

    def get_files(self) -> dict[str, Info]:
        """Return what the manifest says of each file, by name, in the manifest's order."""
        files: dict[str, Info] = self.manifest.get("files", {})
        return files

    def info(self, filename: str) -> MemberInfo:
        """Return the sizes of a member, without reading it.

        Raises:
            MissingMember, NotFound: There is none of that name; both are KeyErrors.
            DamagedMember: It could not be read when the pack was made, so its size is not known.
        """
        if filename == MANIFEST_NAME:
            size = len(self._manifest_json)
            return MemberInfo(filename, size, size)
        entry = self.pack[filename]
        if isinstance(self.pack.store, ZipStore):
            member = self.pack.store.bundle.members.get(filename)
            if member is None:
                raise MissingMember(self.pack.file, filename, NOT_IN_ZIP)
            return MemberInfo(filename, member.size, member.compressed_size)
        if entry.damage is not None:
            raise _damaged(DamagedMember(self.pack.file, filename, entry.damage))
        return MemberInfo(filename, entry.size, entry.stored_size)

    def read(self, filename: str) -> bytes:
        """Return the content of a member, `manifest.json` too."""
        with self.open_member(filename) as file:
            return file.read()

    @cached_property
    def _manifest_json(self) -> bytes:
        return dump_manifest(self.pack.bundle_manifest())

    def open_member(self, name: str) -> io.BufferedReader:
        """Return a member as a binary file.

        Raises:
            MissingMember, NotFound: There is none of that name; both are KeyErrors.
        """
        if name == MANIFEST_NAME:
            return io.BufferedReader(io.BytesIO(self._manifest_json))
        return opened(self.pack[name])


def opened(entry: Entry) -> io.BufferedReader:
    """Return a member's content as a binary file."""
    try:
        return io.BufferedReader(entry.open())
    except DamagedMember as error:
        raise _damaged(error) from error


def _damaged(error: DamagedMember) -> DamagedMember:
    """Return the error as a KeyError too, if it is that the zip lacks the member."""
    if error.reason != NOT_IN_ZIP:
        return error
    return MissingMember(error.file, str(error.member), error.reason)


def _as_json(manifest: BundleManifest, file: str) -> dict[str, Any]:
    values: dict[str, Any] = dict(manifest.attributes)
    if manifest.has_files:
        values["files"] = {name: _info(info, name, file) for name, info in manifest.files.items()}
    if manifest.source_links is not None:
        values["source_links"] = dict(manifest.source_links)
    return values


def _info(info: FileInfo, name: str, file: str) -> Info:
    values: Info = {}
    if info.type is not None or info.type_is_null:
        values["type"] = None if info.type is None else info.type.value
    if info.path is not None:
        values["path"] = info.path
    if info.url is not None:
        values["url"] = info.url
    if info.headers is not None:
        values["headers"] = dict(info.headers)
    if info.extra is not None:
        problem = "keys of a file that are not known"
        try:
            extra = json.loads(info.extra)
        except (ValueError, RecursionError) as error:
            # Numbers of thousands of digits, or thousands of brackets: symbolic skips over them.
            raise FormatError(file, problem, member=name, found=error) from error
        if not isinstance(extra, dict) or not _KNOWN.isdisjoint(extra):
            raise FormatError(file, problem, member=name, found=info.extra[:_SHOWN], expected="other keys")
        values.update(extra)
    return values
