"""Bundles in the shape of Sentry's zip-based classes, for code that calls those.

Names of methods, what they take and what they answer are those of `ArtifactBundleArchive` in
getsentry/sentry 86e1952, `src/sentry/models/artifactbundle.py`, and of `ReleaseArchive` beside it,
`src/sentry/models/releasefile.py`. Their rules are not those of lookups in a pack, which are symbolic's: a
file without a URL is found by nothing, by its debug id neither; of several files with one key the last in the
manifest's order wins; debug ids are compared as text; headers come as they are written.

Opening costs what opening the pack costs. A lookup goes through the pack's index where that has their answer,
and else decodes the manifest, once; so do a lookup that finds nothing, and all lists.

It differs from those classes where a bundle is broken, or more is asked than a pack holds:

- a bundle that symbolic refuses is refused;
- a member that cannot be read raises DamagedMember (in place of zipfile's errors) when it is opened; of a
  pack it has no info;
- `manifest.json` is written anew, with equal values.
"""

import io
import os
from collections.abc import Callable, KeysView
from enum import Enum
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Any

from srcpack import opening
from srcpack.bundle.manifest_json import MANIFEST_NAME
from srcpack.entry import Entry
from srcpack.errors import DamagedMember, FormatError, NotFound
from srcpack.integrations.archive_members import ArchiveMembers, Info, MemberInfo, MissingMember, opened
from srcpack.pack import Pack
from srcpack.records import EntryRecord
from srcpack.rules.debug_id import DebugId
from srcpack.rules.lookup_keys import DEBUG_ID, URL, Kind

__all__ = ["ArtifactBundleArchive", "MemberInfo", "MissingMember", "ReleaseArchive", "SourceFileType"]


class SourceFileType(Enum):
    """Sentry's enumeration of the types of files."""

    SOURCE = 1
    MINIFIED_SOURCE = 2
    SOURCE_MAP = 3
    INDEXED_RAM_BUNDLE = 4


class ArtifactBundleArchive(ArchiveMembers):
    """Read-only view of an uploaded bundle; a context manager. Threads may share it.

    Attributes:
        pack: The pack or zip that it answers from.
    """

    def __init__(
        self,
        fileobj: Pack | opening.Place,
        build_memory_map: bool = True,  # noqa: ARG002
        *,
        file_types: type[Enum] = SourceFileType,
    ) -> None:
        """Open a bundle.

        Args:
            fileobj: A pack or a SourceBundle zip: open, by path or URL, as bytes, or as a seekable binary
                file, which is not read whole. What is opened here is closed with the view, a binary file
                too; a Pack that was given stays open.
            build_memory_map: Taken, as Sentry's class has it, and without meaning: what lookups need is made
                when they need it.
            file_types: The enumeration that types are answered and asked in, with the names of
                `SourceFileType`: Sentry's own, where its code uses this class.

        Raises:
            OSError: The file cannot be opened.
            FormatError: It is no bundle, is damaged, or is one that symbolic refuses.
            LimitExceeded: It is over a limit.
        """
        super().__init__(fileobj)
        self._file_types = file_types

    @staticmethod
    def normalize_headers(headers: dict[str, Any]) -> dict[str, Any]:
        """Return headers by their names in lower case; of names that then are one the last counts."""
        return {name.lower(): value for name, value in headers.items()}

    @staticmethod
    def normalize_debug_id(debug_id: str | None) -> str | None:
        """Return a debug id's canonical text; None for None, or if it is invalid."""
        found = None if debug_id is None else DebugId.parse_or_none(debug_id)
        return None if found is None else str(found)

    def extract_bundle_id(self) -> str | None:
        """Return the bundle's own debug id, normalised; None if there is none or it is invalid."""
        return self.normalize_debug_id(self.pack.attributes.get("debug_id"))

    # ---- all files

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

    def get_file(self, file_path: str) -> tuple[io.BufferedReader, dict[str, str]]:
        """Return the content of a member by its name, as a binary file, and its headers.

        Raises:
            MissingMember, NotFound: There is none; both are KeyErrors.
            DamagedMember: It cannot be read.
            FormatError: The pack is damaged here.
        """
        if file_path == MANIFEST_NAME:
            return self.open_member(file_path), {}
        entry = self.pack[file_path]
        return opened(entry), dict(_manifest_record(entry).headers or {})

    def get_file_by_url(self, url: str) -> tuple[io.BufferedReader, dict[str, str]]:
        """Return the content and headers of the file of a URL; errors as `get_file`."""
        return self._found(self._name_by_url(url), url)

    def get_file_by_debug_id(
        self, debug_id: str, source_file_type: Enum
    ) -> tuple[io.BufferedReader, dict[str, str]]:
        """Return the content of the file of a debug id and a type, as a binary file, and its headers.

        Args:
            debug_id: The debug id, as `normalize_debug_id` returns it.
            source_file_type: The type, of the enumeration that types are asked in.

        Raises:
            MissingMember, NotFound, DamagedMember, FormatError: As `get_file`.
        """
        return self._found(self._name_by_debug_id(debug_id, source_file_type), debug_id)

    def get_file_url_by_debug_id(self, debug_id: str, source_file_type: Enum) -> str | None:
        """Return the URL of the file of a debug id and a type; None if there is none."""
        name = self._name_by_debug_id(debug_id, source_file_type)
        return None if name is None else self.pack[name].url

    def get_file_url_by_file_path(self, file_path: str) -> str | None:
        """Return the URL that the manifest gives for a member; None if it gives or lists none."""
        entry = self.pack.get(file_path)
        return None if entry is None else _manifest_record(entry).url

    def get_file_info(self, file_path: str | None) -> MemberInfo | None:
        """Return the sizes of a member by its name; None if there is none of that name, or it is damaged.

        Raises:
            FormatError: The pack is damaged here.
        """
        if file_path is None:
            return None
        try:
            return self.info(file_path)
        except (NotFound, DamagedMember):
            return None

    # ---- keys

    def _found(self, name: str | None, key: str) -> tuple[io.BufferedReader, dict[str, str]]:
        if name is None:
            raise NotFound(self.pack.file, key)
        return self.get_file(name)

    def _name_by_url(self, url: str) -> str | None:
        record = self._indexed(URL, url) if url and isinstance(url, str) else None
        return self._by_url.get(url) if record is None else record.name

    def _name_by_debug_id(self, debug_id: str, source_file_type: Enum) -> str | None:
        key = f"{debug_id} {source_file_type.name.lower()}"
        record = self._indexed(DEBUG_ID, key) if isinstance(debug_id, str) else None
        return self._by_debug_id.get((debug_id, source_file_type)) if record is None else record.name

    def _indexed(self, kind: Kind, key: str) -> EntryRecord | None:
        """Return what the index finds by a key, if that is what Sentry's class finds.

        Where files are listed in the order of their names, the greatest name is the last in the manifest.
        """
        record = self.pack.store.find(kind, key)
        if record is None or record.position is not None or not record.url:
            return None
        headers = record.headers or {}
        has_one_debug_id = len({name.lower() for name in headers}) == len(headers)
        return record if has_one_debug_id else None

    @cached_property
    def _by_url(self) -> dict[str, str]:
        return {info["url"]: name for name, info in self.get_files().items() if info.get("url")}

    @cached_property
    def _by_debug_id(self) -> dict[tuple[str, Enum], str]:
        found: dict[tuple[str, Enum], str] = {}
        for name, info in self.get_files().items():
            debug_id = _debug_id_of(info) if info.get("url") else None
            if debug_id is not None and info.get("type") is not None:
                found[debug_id, self._file_types[info["type"].upper()]] = name
        return found


class ReleaseArchive(ArchiveMembers):
    """Read-only view of an older bundle of a release, whose files are found by URL alone.

    Attributes:
        pack: The pack or zip that it answers from.
    """

    def __init__(self, fileobj: Pack | opening.Place) -> None:
        """Open a bundle; arguments and errors as for `ArtifactBundleArchive`."""
        super().__init__(fileobj)

    @cached_property
    def _by_url(self) -> dict[str, str]:
        return {info["url"]: name for name, info in self.get_files().items()}

    def get_file_by_url(self, url: str) -> tuple[io.BufferedReader, dict[str, str]]:
        """Return the content of the file of a URL, as a binary file, and its headers.

        Raises:
            KeyError: There is none.
            DamagedMember: It cannot be read.
        """
        name = self._by_url[url]
        return self.open_member(name), dict(self.get_files()[name].get("headers", {}))

    def extract(self) -> "TemporaryDirectory[str]":
        """Write all members into a temporary folder, and return it; it goes when it is closed.

        Raises:
            DamagedMember: A member cannot be read.
            FormatError: A name would lead out of the folder, or the pack is damaged.
            OSError: It cannot be written.
        """
        folder = TemporaryDirectory()
        try:
            for name in [*self.pack, MANIFEST_NAME]:
                place = self._place_below(folder.name, name)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "wb") as file:
                    file.write(self.read(name))
        except BaseException:
            folder.cleanup()
            raise
        return folder

    def _place_below(self, folder: str, name: str) -> str:
        if "\0" in name:
            raise FormatError(self.pack.file, "a name that no file can have", member=name)
        place = os.path.normpath(os.path.join(folder, name))
        if os.path.commonpath([folder, place]) != folder or place == folder:
            raise FormatError(self.pack.file, "a name that leads out of the folder", member=name)
        return place


def _manifest_record(entry: Entry) -> EntryRecord:
    return entry._record  # noqa: SLF001  a zip's `record` would read the member


def _debug_id_of(info: Info) -> str | None:
    """Return the normalised debug id of a file's header; of headers that differ in case the last counts."""
    headers = ArtifactBundleArchive.normalize_headers(info.get("headers", {}))
    return ArtifactBundleArchive.normalize_debug_id(headers.get("debug-id"))
