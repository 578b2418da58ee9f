"""A bundle's manifest as entries, and entries as a bundle's manifest (SPEC.md, "Entry")."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from srcpack.records import Attributes, BundleManifest, EntryRecord, FileInfo, ReadOnlyDict
from srcpack.rules.lookup_keys import header_debug_id

if TYPE_CHECKING:
    from srcpack.bundle.members import SourceBundle

__all__ = ["manifest_of", "records_of"]


def records_of(bundle: "SourceBundle") -> list[EntryRecord]:
    """Return an entry for each member and each file that the manifest lists, in the order of their names.

    They have what the manifest says, and nothing of the contents.
    """
    files = bundle.manifest.files
    # The manifest's order of files is kept where it is not that of the names.
    positions: dict[str, int] = {}
    if list(files) != sorted(files):
        positions = {name: at for at, name in enumerate(files)}
    return [_record(name, files.get(name), positions.get(name)) for name in sorted({*bundle.members, *files})]


def manifest_of(attributes: Attributes, records: Iterable[EntryRecord]) -> BundleManifest:
    """Return the manifest of the bundle that has all these entries, files in the order that they record."""
    listed = [record for record in records if record.listed]
    if any(record.position is not None for record in listed):
        listed.sort(key=lambda record: -1 if record.position is None else record.position)
    return BundleManifest(
        files={record.name: _file_info(record) for record in listed},
        source_links=None if attributes.source_links is None else dict(attributes.source_links),
        attributes=dict(attributes.attributes),
        has_files=attributes.has_files,
    )


def _record(name: str, info: FileInfo | None, position: int | None) -> EntryRecord:
    if info is None:
        return EntryRecord(name, listed=False)
    headers = None if info.headers is None else ReadOnlyDict(info.headers)
    debug_id = header_debug_id(headers)
    return EntryRecord(
        name,
        type=info.type,
        type_is_null=info.type_is_null,
        path=info.path,
        url=info.url,
        headers=headers,
        debug_id=None if debug_id is None else str(debug_id),
        extra=info.extra,
        position=position,
    )


def _file_info(record: EntryRecord) -> FileInfo:
    return FileInfo(
        type=record.type,
        type_is_null=record.type_is_null,
        path=record.path,
        url=record.url,
        headers=None if record.headers is None else tuple(record.headers.items()),
        extra=record.extra,
    )
