"""Comparison of a pack with the SourceBundle it was made from.

What a bundle answers to each lookup is worked out here from its manifest alone, by symbolic's rules
(a5980e8 sourcebundle/mod.rs): files are inserted in the order of their names into a map by path, one by
URL and one by debug id and type, so that the last, which has the greatest name, stays.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import TypeAlias

from srcpack import (
    DamagedMember,
    DebugId,
    Entry,
    FileType,
    FormatError,
    NotFound,
    Pack,
    SourceLink,
    SrcpackError,
)
from srcpack.bundle.members import SourceBundle
from srcpack.opening import packfile_of
from srcpack.records import BundleManifest, FileInfo
from srcpack.rules.content_facts import facts_of

__all__ = ["compare"]

_Key: TypeAlias = str | tuple[DebugId, FileType]


def compare(pack: Pack, bundle: SourceBundle) -> Iterator[SrcpackError]:
    """Compare a pack with a bundle, and yield what differs; nothing, if they give the same answers.

    Compared are all that the manifest says, the order of the files, which members cannot be read, every
    byte of the others with what the pack says of it, and the winner of every key.
    """
    yield from _compare_manifests(pack, pack.bundle_manifest(), bundle.manifest)
    names = sorted({*bundle.members, *bundle.manifest.files}, key=str.encode)
    for name in sorted(set(pack).difference(names)):
        yield FormatError(pack.file, "an entry that is not in the bundle", member=name)
    for name in names:
        try:
            yield from _compare_member(pack, bundle, name)
        except FormatError as error:
            yield error
    yield from _compare_lookups(pack, bundle.manifest, len(names))


def _compare_manifests(pack: Pack, found: BundleManifest, expected: BundleManifest) -> Iterator[SrcpackError]:
    for name in ("has_files", "source_links", "attributes"):
        yield from _compare_values(pack, name, getattr(found, name), getattr(expected, name))
    for name, info in expected.files.items():
        of_pack = found.files.get(name)
        if of_pack is None:
            yield FormatError(pack.file, "missing, or not as a file that the manifest lists", member=name)
            continue
        for field in fields(FileInfo):
            values = getattr(of_pack, field.name), getattr(info, field.name)
            yield from _compare_values(pack, field.name, *values, member=name)
    for name in found.files.keys() - expected.files.keys():
        yield FormatError(pack.file, "listed, though the bundle's manifest does not list it", member=name)
    if found.files.keys() == expected.files.keys() and list(found.files) != list(expected.files):
        yield FormatError(pack.file, "the order of the manifest's files differs from the bundle's")


def _compare_member(pack: Pack, bundle: SourceBundle, name: str) -> Iterator[SrcpackError]:
    try:
        entry = pack[name]
    except NotFound as error:
        yield error
        return
    try:
        content = bundle.read(name)
    except DamagedMember as error:
        if entry.damage is None:
            yield FormatError(
                pack.file, "readable, though not in the bundle", member=name, expected=error.reason
            )
        return
    if entry.damage is not None:
        yield FormatError(
            pack.file, "not readable, though in the bundle", member=name, found=repr(entry.damage)
        )
        return
    at = 0
    view = memoryview(content)
    for part in entry.parts():
        if part != view[at : at + len(part)]:
            yield FormatError(pack.file, "content differs from the bundle's", member=name)
            return
        at += len(part)
    if at != len(content):
        yield FormatError(pack.file, "size of the content", member=name, found=at, expected=len(content))
        return
    info = bundle.manifest.files.get(name, FileInfo())
    facts, record = facts_of(content, info.type, dict(info.headers or ())), entry.record
    found = (record.size, record.sha256.hex(), record.lines, record.utf8)
    expected = (facts.size, facts.sha256.hex(), facts.lines, facts.utf8)
    yield from _compare_values(pack, "size, SHA-256, lines, UTF-8", found, expected, member=name)
    yield from _compare_values(pack, "source map reference", record.reference, facts.reference, member=name)
    yield from _compare_values(pack, "debug id", record.content_debug_id, facts.debug_id, member=name)


def _compare_lookups(pack: Pack, manifest: BundleManifest, name_count: int) -> Iterator[SrcpackError]:
    paths: dict[_Key, str] = {}
    urls: dict[_Key, str] = {}
    debug_ids: dict[_Key, str] = {}
    for name in sorted(manifest.files, key=str.encode):
        info = manifest.files[name]
        if info.path:
            paths[info.path.replace("\\", "/")] = name
        if info.url:
            urls[info.url] = name
        if info.type is not None and (debug_id := _header_debug_id(info)) is not None:
            debug_ids[debug_id, info.type] = name
    for what, winners in (("path", paths), ("URL", urls), ("debug id", debug_ids)):
        for key, name in winners.items():
            try:
                found = _look_up(pack, what, key)
            except FormatError as error:
                yield error
                continue
            found_name = found.name if isinstance(found, Entry) else None
            if found_name != name:
                shown = repr(key) if isinstance(key, str) else " ".join(map(str, key))
                yield FormatError(
                    pack.file, f"lookup of {what} {shown}", found=repr(found_name), expected=repr(name)
                )
    keys = name_count + len(paths) + len(urls) + len(debug_ids)
    yield from _compare_values(pack, "number of keys in the index", packfile_of(pack).tail.slot_count, keys)


def _header_debug_id(info: FileInfo) -> DebugId | None:
    debug_id = None
    # Names differ in case only where a header is given twice; in byte order the last one stays.
    for name, value in sorted(info.headers or ()):
        if name.isascii() and name.lower() == "debug-id":
            debug_id = value
    if debug_id is None:
        return None
    try:
        return DebugId.parse(debug_id)
    except ValueError:
        return None


def _look_up(pack: Pack, what: str, key: _Key) -> Entry | SourceLink | None:
    if not isinstance(key, str):
        return pack.by_debug_id(*key)
    return (pack.by_path(key) or pack.source_link(key)) if what == "path" else pack.by_url(key)


def _compare_values(
    pack: Pack, what: str, found: object, expected: object, *, member: str | None = None
) -> Iterator[SrcpackError]:
    if found != expected:
        yield FormatError(
            pack.file,
            f"{what} differs from the bundle's",
            member=member,
            found=repr(found),
            expected=repr(expected),
        )
