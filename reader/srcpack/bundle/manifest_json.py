"""The `manifest.json` of a SourceBundle: bytes to values and back.

A manifest is read as strictly as symbolic reads it, so that no bundle is taken here that processing
refuses, nor the other way round (symbolic a5980e8 sourcebundle/mod.rs, `SourceBundleManifest` and
`SourceFileInfo`, as serde_json reads them: see `strict_json`). One expression takes a whole entry of the
form that uploaders write; a `Walker` takes the rest step by step, and has the errors.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from srcpack.errors import FormatError, LimitExceeded
from srcpack.records import FILE_KEYS, BundleManifest, FileInfo, FileType
from srcpack.rules.strict_json import COLON, PLAIN, SPACE, JsonError, Walker, compiled, shown

__all__ = ["MANIFEST_NAME", "dump_manifest", "parse_manifest"]

MANIFEST_NAME = "manifest.json"

# After a member of an object: a comma and another name, or the closing bracket, which is left there.
_NEXT = SPACE + rb"(?:," + SPACE + rb'(?=")|(?=\}))'
_QUOTED = rb'"' + PLAIN + rb'"'
_TEXT = rb'"(' + PLAIN + rb')"'
_PAIR = _TEXT + COLON + _TEXT
_PAIRS = rb"\{" + SPACE + rb"((?:" + _QUOTED + COLON + _QUOTED + _NEXT + rb")*+)\}"
_PAIRS_ALONE = SPACE + _PAIRS
# `"NAME": {"type": .., "path": .., "url": .., "headers": {..}}`, each field optional, in symbolic's order.
_FIELD = rb'(?:"%b"' + COLON + _TEXT + _NEXT + rb")?+"
_ENTRY = SPACE + _TEXT + COLON + rb"\{" + SPACE + _FIELD % b"type" + _FIELD % b"path" + _FIELD % b"url"
_ENTRY += rb'(?:"headers"' + COLON + _PAIRS + SPACE + rb")?+\}" + SPACE + rb"([,}])"

_TYPES = {file_type.value.encode(): file_type for file_type in FileType}


def parse_manifest(data: bytes, *, file: str, max_files: int | None = None) -> BundleManifest:
    """Read a manifest that lists at most `max_files` files; FormatError if symbolic would refuse it.

    The error's offset is that in `data`, in bytes.
    """
    reader = _Reader(data, file, len(data) if max_files is None else max_files)
    try:
        return reader.manifest()
    except JsonError as error:
        raise FormatError(
            file,
            f"{_shown_path(reader.path)} {error.problem}",
            member=MANIFEST_NAME,
            offset=error.offset,
            found=error.found,
            expected=error.expected,
        ) from error


def dump_manifest(manifest: BundleManifest) -> bytes:
    """Write a manifest that `parse_manifest` reads as an equal one."""
    members = []
    if manifest.has_files:
        files = [f"{_quoted(name)}:{_dump_file(info)}" for name, info in manifest.files.items()]
        members.append('"files":{' + ",".join(files) + "}")
    if manifest.source_links is not None:
        members.append('"source_links":' + _quoted(manifest.source_links))
    members += [f"{_quoted(name)}:{_quoted(value)}" for name, value in manifest.attributes.items()]
    return ("{" + ",".join(members) + "}").encode()


def _dump_file(info: FileInfo) -> str:
    members = []
    if info.type is not None or info.type_is_null:
        members.append('"type":' + _quoted(info.type))
    if info.path is not None:
        members.append('"path":' + _quoted(info.path))
    if info.url is not None:
        members.append('"url":' + _quoted(info.url))
    if info.headers is not None:
        members.append('"headers":' + _quoted(dict(info.headers)))
    if info.extra is not None:
        members.append(info.extra[1:-1])
    return "{" + ",".join(members) + "}"


def _quoted(value: str | dict[str, str] | None) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _shown_path(path: tuple[str, ...]) -> str:
    """Name a value in messages by the keys that lead to it: `files['a.js'].headers['sourcemap']`."""
    if not path:
        return "the manifest"
    first, *rest = path
    if first not in ("files", "source_links"):
        return f"the attribute {shown(first)}"
    # Every second key is one of the bundle's own, the others are fields of symbolic's structs.
    return first + "".join(f".{key}" if at % 2 else f"[{shown(key)}]" for at, key in enumerate(rest))


class _Reader(Walker):
    """Reads the values of a manifest one after the other.

    `path` are the keys that lead to the value that is read, for messages; `written` is the key that was read
    last, as it is written.
    """

    __slots__ = ("file", "max_files", "path", "written")

    def __init__(self, data: bytes, file: str, max_files: int) -> None:
        super().__init__(data)
        self.file = file
        self.max_files = max_files
        self.path: tuple[str, ...] = ()
        self.written = b""

    def manifest(self) -> BundleManifest:
        files: dict[str, FileInfo] | None = None
        source_links: dict[str, str] | None = None
        attributes: dict[str, str] = {}
        for name in self.names():
            if name == "files":
                if files is not None:
                    raise self.error("is given twice")
                files = self.files()
            elif name == "source_links":
                if source_links is not None:
                    raise self.error("is given twice")
                source_links = self.strings()
            else:
                attributes[name] = self.text(self.string())
        self.end()
        return BundleManifest(
            files=files or {}, source_links=source_links, attributes=attributes, has_files=files is not None
        )

    def names(self, expected: str = "an object") -> Iterator[str]:
        """Go over an object: yield each name; its value is to be read before the next."""
        path = self.path
        more = self.enter(b"{", expected)
        while more:
            self.written = self.name()
            name = self.text(self.written)
            self.path = (*path, name)
            yield name
            self.path = path
            more = self.more(b"{")

    def files(self) -> dict[str, FileInfo]:
        files: dict[str, FileInfo] = {}
        path = self.path
        more = self.enter(b"{", "an object")
        while more:
            if len(files) == self.max_files:
                what = "the number of files in the manifest"
                raise LimitExceeded(self.file, what, len(files) + 1, self.max_files)
            entry = self.plain_entry()
            if entry is not None:
                name, files[name], more = entry
                continue
            name = self.text(self.name())
            self.path = (*path, name)
            files[name] = self.listed_file_info() if self.peek() == b"[" else self.file_info()
            self.path = path
            more = self.more(b"{")
        return files

    def plain_entry(self) -> tuple[str, FileInfo, bool] | None:
        """Read a file's name and object, if they are as uploaders write them, and whether more follow."""
        entry = compiled(_ENTRY).match(self.data, self.at)
        if entry is None:
            return None
        name, file_type, path, url, headers, after = entry.groups()
        if file_type is not None and file_type not in _TYPES:
            return None
        try:
            text = name.decode()
            info = FileInfo(
                type=None if file_type is None else _TYPES[file_type],
                path=None if path is None else path.decode(),
                url=None if url is None else url.decode(),
                headers=None if headers is None else tuple(_decoded(headers).items()),
            )
        except UnicodeDecodeError:
            # Read step by step in its turn, the error has an offset.
            return None
        self.at = entry.end()
        return text, info, after == b","

    def file_info(self) -> FileInfo:
        known: dict[str, Any] = {}
        extra: dict[str, bytes] = {}
        for name in self.names("an object or list"):
            if name in known:
                raise self.error("is given twice")
            if name in FILE_KEYS:
                known[name] = self.field(name)
            else:
                start = self.at
                self.skip()
                # Of a name that occurs twice the last value counts.
                extra[name] = self.written + b":" + self.data[start : self.at]
        if not extra:
            return _file_info(known)
        return _file_info(known, (b"{" + b",".join(extra.values()) + b"}").decode(errors="replace"))

    def listed_file_info(self) -> FileInfo:
        """Read a file given as the list of its fields, which serde's derived structs accept."""
        known: dict[str, Any] = {}
        path = self.path
        if not self.enter(b"[", "a list"):
            raise self.error("is an empty list")
        for name in FILE_KEYS:
            self.path = (*path, name)
            known[name] = self.field(name)
            self.path = path
            if not self.more(b"["):
                return _file_info(known)
        raise self.error(f"has more than {len(FILE_KEYS)} elements")

    def field(self, name: str) -> FileType | str | tuple[tuple[str, str], ...] | None:
        if name == "type":
            return self.type()
        return tuple(self.strings().items()) if name == "headers" else self.text(self.string())

    def type(self) -> FileType | None:
        first = self.peek()
        start = self.at
        if first == b"n":
            self.null()
            return None
        if first == b"{":
            # serde's other form of a variant without content: {"source": null}
            if not self.enter(b"{", "an object"):
                raise self.error("is an empty object")
            value = self.text(self.name())
            self.null()
            if self.more(b"{"):
                raise self.error("has more than one member")
        else:
            value = self.text(self.string())
        file_type = _TYPES.get(value.encode())
        if file_type is None:
            self.at = start
            raise self.error("is unknown", found=shown(value), expected=", ".join(FileType))
        return file_type

    def strings(self) -> dict[str, str]:
        """Read an object whose values are strings; of a name that occurs twice the last value counts."""
        pairs = compiled(_PAIRS_ALONE).match(self.data, self.at)
        with suppress(UnicodeDecodeError):
            if pairs is not None:
                values = _decoded(pairs[1])
                self.at = pairs.end()
                return values
        # Read step by step, an error has an offset.
        return {name: self.text(self.string()) for name in self.names()}


def _decoded(pairs: bytes) -> dict[str, str]:
    return {sys.intern(name.decode()): value.decode() for name, value in compiled(_PAIR).findall(pairs)}


def _file_info(known: dict[str, Any], extra: str | None = None) -> FileInfo:
    return FileInfo(
        type=known.get("type"),
        type_is_null="type" in known and known["type"] is None,
        path=known.get("path"),
        url=known.get("url"),
        headers=known.get("headers"),
        extra=extra,
    )
