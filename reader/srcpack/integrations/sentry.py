"""A bundle in the shape of Sentry's zip-based class, for code that calls that one.

Names of methods, what they take and what they answer are those of `ArtifactBundleArchive` in
getsentry/sentry 86e1952, `src/sentry/models/artifactbundle.py`. Its rules are not those of lookups in a
pack, which are symbolic's: a file without a URL is found by nothing, by its debug id neither; of several
files with one key the last in the manifest's order wins; debug ids are compared as text; headers come as
they are written.

It differs from that class on purpose where a bundle is broken, or more is asked than it holds:

- a bundle that symbolic refuses is refused;
- a member that cannot be read, or that the zip lacks, raises DamagedMember (in place of zipfile's errors)
  when it is opened, and has no info;
- `get_file_info` knows the files of the bundle, not `manifest.json`.
"""

import io
import json
import os
from collections.abc import Callable, KeysView
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias

from srcpack import opening
from srcpack.errors import FormatError, NotFound
from srcpack.pack import Pack
from srcpack.records import BundleManifest, FileInfo
from srcpack.rules.debug_id import DebugId

__all__ = ["ArtifactBundleArchive", "MemberInfo", "SourceFileType"]

Info: TypeAlias = dict[str, Any]
"""What a manifest says of a file: `type`, `path`, `url`, `headers`, as far as it has them, and other keys."""


class SourceFileType(Enum):
    """Sentry's enumeration of the types of files."""

    SOURCE = 1
    MINIFIED_SOURCE = 2
    SOURCE_MAP = 3
    INDEXED_RAM_BUNDLE = 4


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


class ArtifactBundleArchive:
    """Read-only view of an uploaded bundle; a context manager. Threads may share it.

    Attributes:
        pack: The pack or zip that it answers from.
        manifest: The bundle's manifest as JSON values. Its files are in their order.
    """

    def __init__(
        self,
        bundle: Pack | str | os.PathLike[str] | bytes | BinaryIO,
        *,
        file_types: type[Enum] = SourceFileType,
    ) -> None:
        """Open a bundle and read its whole manifest.

        Args:
            bundle: A pack or a SourceBundle zip: open, by path, as bytes, or as a binary file, which is read
                into memory whole. What is opened here is closed with the view, a binary file too; a Pack
                that was given stays open.
            file_types: The enumeration that types are answered and asked in, with the names of
                `SourceFileType`: Sentry's own, where its code uses this class.

        Raises:
            OSError: The file cannot be opened.
            FormatError: It is no bundle, is damaged, or is one that symbolic refuses.
            LimitExceeded: It is over a limit.
        """
        self._close: list[Callable[[], None]] = []
        if isinstance(bundle, Pack):
            self.pack = bundle
        else:
            if not isinstance(bundle, (str, bytes, os.PathLike)):
                self._close.append(bundle.close)
                bundle.seek(0)
                bundle = bundle.read()
            self.pack = opening.open(bundle)
            self._close.append(self.pack.close)
        self.manifest = _as_json(self.pack.bundle_manifest(), self.pack.file)
        self._by_url: dict[str, str] = {}
        self._by_debug_id: dict[tuple[str, Enum], str] = {}
        for name, info in self.get_files().items():
            url = info.get("url")
            if not url:
                continue
            self._by_url[url] = name
            debug_id = _debug_id_of(info)
            if debug_id is not None and info.get("type") is not None:
                self._by_debug_id[debug_id, file_types[info["type"].upper()]] = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened here."""
        for close in self._close:
            close()

    @staticmethod
    def normalize_debug_id(debug_id: str | None) -> str | None:
        """Return a debug id's canonical text; None for None, or if it is invalid."""
        if debug_id is None:
            return None
        try:
            return str(DebugId.parse(debug_id))
        except ValueError:
            return None

    def extract_bundle_id(self) -> str | None:
        """Return the bundle's own debug id, normalised; None if there is none or it is invalid."""
        return self.normalize_debug_id(self.manifest.get("debug_id"))

    # ---- all files

    def get_files(self) -> dict[str, Info]:
        """Return what the manifest says of each file, by name, in the manifest's order."""
        files: dict[str, Info] = self.manifest.get("files", {})
        return files

    def get_files_by(self, block: Callable[[str, Info], bool]) -> dict[str, Info]:
        """Return the files, as `get_files`, for whose name and info `block` is true."""
        return {name: info for name, info in self.get_files().items() if block(name, info)}

    def get_files_by_url_or_debug_id(self, query: str | None) -> dict[str, Info]:
        """Return the files, as `get_files`, that have the query in their URL or debug id; all for None.

        The case of letters does not matter. A query that is a debug id in another form counts too.
        """
        if query is None:
            return dict(self.get_files())
        wanted = query.lower()
        normalized = self.normalize_debug_id(wanted)

        def matches(_: str, info: Info) -> bool:
            if wanted in info.get("url", "").lower():
                return True
            debug_id = _debug_id_of(info)
            if debug_id is None:
                return False
            return wanted in debug_id or (normalized is not None and normalized in debug_id)

        return self.get_files_by(matches)

    def get_all_urls(self) -> list[str]:
        """Return all URLs, in the order in which the manifest has each first."""
        return list(self._by_url)

    def get_all_debug_ids(self) -> KeysView[tuple[str, Enum]]:
        """Return all pairs of debug id and type of files that have a URL."""
        return self._by_debug_id.keys()

    def has_debug_ids(self) -> bool:
        """Return whether there is any such pair."""
        return bool(self._by_debug_id)

    # ---- one file

    def get_file_by_url(self, url: str) -> tuple[io.BufferedReader, dict[str, str]]:
        """Return the content of the file of a URL, as a binary file, and its headers.

        Raises:
            NotFound: There is none; it is a KeyError.
            DamagedMember: It cannot be read.
            FormatError: The pack is damaged here.
        """
        return self._opened(self._by_url.get(url), url)

    def get_file_by_debug_id(
        self, debug_id: str, source_file_type: Enum
    ) -> tuple[io.BufferedReader, dict[str, str]]:
        """Return the content of the file of a debug id and a type, as a binary file, and its headers.

        Args:
            debug_id: The debug id, as `normalize_debug_id` returns it.
            source_file_type: The type, of the enumeration that types are asked in.

        Raises:
            NotFound, DamagedMember, FormatError: As `get_file_by_url`.
        """
        return self._opened(self._by_debug_id.get((debug_id, source_file_type)), debug_id)

    def get_file_info(self, file_path: str | None) -> MemberInfo | None:
        """Return the sizes of a member by its name; None if there is none of that name, or it is damaged.

        Raises:
            FormatError: The pack is damaged here.
        """
        entry = None if file_path is None else self.pack.get(file_path)
        if entry is None or entry.damage is not None:
            return None
        return MemberInfo(entry.name, entry.size, entry.stored_size)

    def _opened(self, name: str | None, key: str) -> tuple[io.BufferedReader, dict[str, str]]:
        if name is None:
            raise NotFound(self.pack.file, key)
        headers: dict[str, str] = self.get_files()[name].get("headers", {})
        return io.BufferedReader(self.pack[name].open()), headers


def _debug_id_of(info: Info) -> str | None:
    """Return the normalised debug id of a file's header; of headers that differ in case the last counts."""
    headers = {name.lower(): value for name, value in info.get("headers", {}).items()}
    return ArtifactBundleArchive.normalize_debug_id(headers.get("debug-id"))


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
        try:
            values.update(json.loads(info.extra))
        except (ValueError, RecursionError) as error:
            # Numbers of thousands of digits, or thousands of brackets: symbolic skips over them.
            raise FormatError(file, "keys of a file that are not known", member=name, found=error) from error
    return values
