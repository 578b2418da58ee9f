"""The values that packs, bundles and the rules share: types of files, entries, attributes, manifests.

Field by field as in SPEC.md, "Manifest", and as in a SourceBundle's `manifest.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

__all__ = [
    "FILE_KEYS",
    "NOT_IN_ZIP",
    "Attributes",
    "BundleManifest",
    "EntryRecord",
    "FileInfo",
    "FileType",
    "FrameRecord",
    "LookupRecord",
    "ReadOnlyDict",
]

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyDict(dict[K, V]):
    """A dict that nobody changes once it is made.

    Packs keep what they read and give it to all who ask. Unlike a `MappingProxyType` it can be pickled, and
    json and msgpack take it.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("what a pack says cannot be changed; dict() makes a copy that can")

    if not TYPE_CHECKING:  # of a dict, they are what they are there
        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type["ReadOnlyDict[K, V]"], tuple[dict[K, V]]]:
        return type(self), (dict(self),)


NOT_IN_ZIP = "the manifest lists it, the zip does not have it"
"""The `reason` of an entry whose member the zip lacked."""


FILE_KEYS = ("type", "path", "url", "headers")
"""The keys that SourceBundle defines of a file, in symbolic's order."""


class FileType(StrEnum):
    """The four types that symbolic knows; any other makes it refuse the bundle."""

    SOURCE = "source"
    MINIFIED_SOURCE = "minified_source"
    SOURCE_MAP = "source_map"
    INDEXED_RAM_BUNDLE = "indexed_ram_bundle"

    @classmethod
    def _missing_(cls, value: object) -> "FileType":
        raise ValueError(f"{value!r} is no type of file: they are {', '.join(cls)}")


class FrameRecord(NamedTuple):
    """One zstd frame, or one part of a raw content, as an entry records it: where in the file it is.

    `checksum` is the low half of the XXH64 of its content, 4 bytes as they end a zstd frame;
    `newlines_before` counts the line feeds of the file's content that come before it.
    """

    offset: int
    length: int
    checksum: bytes
    newlines_before: int


class LookupRecord(NamedTuple):
    """Where an entry's lookup table is in the data of the section, as the entry records it.

    `head` is the length of its head's frame, with which it begins, `checksum` the last 4 bytes of that frame.
    """

    offset: int
    length: int
    head: int
    checksum: bytes


class EntryRecord(NamedTuple):
    """An entry as the manifest has it; field by field as in SPEC.md.

    `type` is None where the bundle's manifest has no type or a null one, which `type_is_null` tells
    apart; both read as `source`. `reason` is set if and only if the member could not be read.
    """

    name: str
    type: FileType | None = None
    type_is_null: bool = False
    path: str | None = None
    url: str | None = None
    headers: Mapping[str, str] | None = None
    debug_id: str | None = None
    extra: str | None = None
    position: int | None = None
    listed: bool = True
    size: int = 0
    lines: int = 0
    sha256: bytes = b""
    frames: tuple[FrameRecord, ...] = ()
    raw: bool = False
    utf8: bool = True
    reference: str | None = None
    content_debug_id: str | None = None
    reason: str | None = None
    lookup: LookupRecord | None = None
    lookup_reason: str | None = None


class Attributes(NamedTuple):
    """The attributes block.

    Attributes:
        attributes: The bundle's top-level values, all but `files` and `source_links`.
        source_links: The bundle's source links, or None where its manifest has none.
        has_files: Whether the bundle's manifest has the key `files`.
        identity: SHA-256 over names, metadata and contents; equal for two packs of one bundle.
        source: What the pack was made from: `sha256` and `size` of the zip, its `header`.
        created_by: What made it: `tool`, `libzstd`, and the `options` that decide the bytes.
    """

    attributes: Mapping[str, str]
    source_links: Mapping[str, str] | None
    has_files: bool
    identity: bytes
    source: Mapping[str, Any]
    created_by: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """What a manifest says of one file; None where a key is missing, and a path or URL may be empty.

    `type` is None also where it is null, which `type_is_null` tells. Headers are pairs as written, in order;
    of a name that occurs twice the last value counts. `extra` has the keys that symbolic does not know, with
    their values, to the letter: the text of a JSON object (bytes that are not UTF-8, which symbolic skips
    over, become U+FFFD).
    """

    type: FileType | None = None
    type_is_null: bool = False
    path: str | None = None
    url: str | None = None
    headers: tuple[tuple[str, str], ...] | None = None
    extra: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest:
    """A whole manifest: files by member name, in the order of the JSON; the last of duplicates.

    `source_links` is None where the key is missing, `has_files` whether the key `files` is there; all other
    top-level values are `attributes`.
    """

    files: dict[str, FileInfo]
    source_links: dict[str, str] | None
    attributes: dict[str, str]
    has_files: bool = True
