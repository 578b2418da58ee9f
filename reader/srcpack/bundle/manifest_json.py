"""The `manifest.json` of a SourceBundle: bytes to values and back.

A manifest is read as strictly as symbolic reads it, so that no bundle is taken here that processing
refuses, nor the other way round (symbolic a5980e8 sourcebundle/mod.rs, `SourceBundleManifest` and
`SourceFileInfo`; serde_json 1.0.149 for the JSON). The standard library's json takes duplicate keys,
NaN and lone surrogates, has no offsets, and recurses. So the JSON is walked here with regular
expressions over the bytes, without recursion, and only what is kept is decoded: one expression takes
a whole entry of the form that uploaders write, a step by step reader takes the rest and has the errors.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from srcpack.errors import FormatError
from srcpack.records import BundleManifest, FileInfo, FileType

__all__ = ["MANIFEST_NAME", "dump_manifest", "parse_manifest"]

MANIFEST_NAME = "manifest.json"

_WS = r"[ \t\n\r]*+"
_PLAIN = r'"[^"\\\x00-\x1f]*+"'
_PLAIN_GROUP = r'"([^"\\\x00-\x1f]*+)"'
_STRING = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+"'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_COLON = rf"{_WS}:{_WS}"
# After a member of an object: a comma and another name, or the closing bracket, which is left there.
_NEXT = rf'{_WS}(?:,{_WS}(?=")|(?=\}}))'
_PAIRS = rf"\{{{_WS}((?:{_PLAIN}{_COLON}{_PLAIN}{_NEXT})*+)\}}"


def _flat(value: str) -> str:
    """Give an expression for a scalar, or a list or object of what the given expression takes."""
    elements = rf"\[{_WS}(?:{value}{_WS}(?:,{_WS}(?!\])|(?=\])))*+\]"
    members = rf"\{{{_WS}(?:{_STRING}{_COLON}{value}{_NEXT})*+\}}"
    return rf"(?:{_STRING}|{_NUMBER}|true|false|null|{elements}|{members})"


def _compiled(expression: str) -> re.Pattern[bytes]:
    return re.compile(expression.encode())


_space = _compiled(_WS)
_string = _compiled(rf"{_WS}({_STRING})")
_name = _compiled(rf"{_WS}({_STRING}){_COLON}")
_after_value = _compiled(rf"{_WS}([,\]}}])")
_pair = _compiled(rf"{_PLAIN_GROUP}{_COLON}{_PLAIN_GROUP}")
_pairs = _compiled(rf"{_WS}{_PAIRS}")
# `"NAME": {"type": .., "path": .., "url": .., "headers": {..}}`, each field optional, in symbolic's order.
_entry = _compiled(
    rf"{_WS}{_PLAIN_GROUP}{_COLON}\{{{_WS}"
    + "".join(rf'(?:"{field}"{_COLON}{_PLAIN_GROUP}{_NEXT})?+' for field in ("type", "path", "url"))
    + rf'(?:"headers"{_COLON}{_PAIRS}{_WS})?+\}}{_WS}([,}}])'
)
# For values that nobody asks for. Most are not deep and are taken whole, for speed; group 1 is the
# bracket that a deeper one begins with.
_FLAT = _flat(_flat(_flat(r"(?:\[\]|\{\})")))
_value = _compiled(rf"{_WS}(?:{_FLAT}|([\[{{]))")
_values = _compiled(rf"(?:{_WS}{_FLAT}{_WS},)*+")
_named_values = _compiled(rf"(?:{_WS}{_STRING}{_COLON}{_FLAT}{_WS},)*+")

_FIELDS = ("type", "path", "url", "headers")
_TYPES = {file_type.value.encode(): file_type for file_type in FileType}
_MAX_SHOWN = 80
_KINDS = {
    b"": "the end",
    b'"': "a string",
    b"{": "an object",
    b"[": "a list",
    b"n": "null",
    b"t": "true",
    b"f": "false",
    **{bytes([byte]): "a number" for byte in b"-0123456789"},
}


def parse_manifest(data: bytes, *, file: str) -> BundleManifest:
    """Read a manifest.

    Args:
        data: The content of `manifest.json`.
        file: The bundle, as errors are to name it.

    Raises:
        FormatError: symbolic would refuse it; the offset is that in `data`, in bytes.
    """
    return _Reader(data, file).manifest()


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


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "...")


def _shown_path(path: tuple[str, ...]) -> str:
    """Name a value in messages by the keys that lead to it: `files['a.js'].headers['sourcemap']`."""
    if not path:
        return "the manifest"
    first, *rest = path
    if first not in ("files", "source_links"):
        return f"the attribute {_shown(first)}"
    # Every second key is one of the bundle's own, the others are fields of symbolic's structs.
    return first + "".join(f".{key}" if at % 2 else f"[{_shown(key)}]" for at, key in enumerate(rest))


class _Reader:
    """Reads the JSON values one after the other; `at` is the offset of the next byte.

    A `path` is that of the value to be read, for messages.
    """

    __slots__ = ("at", "data", "file")

    def __init__(self, data: bytes, file: str) -> None:
        self.data = data
        self.file = file
        self.at = 0

    def manifest(self) -> BundleManifest:
        files: dict[str, FileInfo] | None = None
        source_links: dict[str, str] | None = None
        attributes: dict[str, str] = {}
        for name, _ in self.members(()):
            if name == "files":
                if files is not None:
                    raise self.error("files is given twice")
                files = self.files()
            elif name == "source_links":
                if source_links is not None:
                    raise self.error("source_links is given twice")
                source_links = self.strings((name,))
            else:
                attributes[name] = self.string((name,))
        if self.peek():
            raise self.error("there is more after the manifest", found=self.found())
        return BundleManifest(
            files=files or {},
            source_links=source_links,
            attributes=attributes,
            has_files=files is not None,
        )

    def files(self) -> dict[str, FileInfo]:
        files: dict[str, FileInfo] = {}
        path = ("files",)
        after = self.begin(b"{", path, "an object")
        while after == b",":
            entry = self.plain_entry()
            if entry is None:
                name, _ = self.name(path)
                files[name] = self.file_info(("files", name))
                after = self.next(b"}")
            else:
                name, files[name], after = entry
        return files

    def plain_entry(self) -> tuple[str, FileInfo, bytes] | None:
        """Read a file's name and object, if they are as uploaders write them, and what follows them."""
        entry = _entry.match(self.data, self.at)
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
        return text, info, after

    def file_info(self, path: tuple[str, ...]) -> FileInfo:
        if self.peek() == b"[":
            return self.listed_file_info(path)
        known: dict[str, Any] = {}
        extra = []
        for name, raw_name in self.members(path, "an object or list"):
            if name in known:
                raise self.error(f"{_shown_path((*path, name))} is given twice")
            if name in _FIELDS:
                known[name] = self.field((*path, name))
            else:
                start = self.at
                self.skip()
                extra.append(raw_name + b":" + self.data[start : self.at])
        if not extra:
            return _file_info(known)
        return _file_info(known, (b"{" + b",".join(extra) + b"}").decode(errors="replace"))

    def listed_file_info(self, path: tuple[str, ...]) -> FileInfo:
        """Read a file given as the list of its fields, which serde's derived structs accept."""
        known: dict[str, Any] = {}
        if self.begin(b"[", path, "a list") == b"]":
            raise self.error(f"{_shown_path(path)} is an empty list")
        for name in _FIELDS:
            known[name] = self.field((*path, name))
            if self.next(b"]") == b"]":
                return _file_info(known)
        raise self.error(f"{_shown_path(path)} has more than {len(_FIELDS)} elements")

    def field(self, path: tuple[str, ...]) -> FileType | str | tuple[tuple[str, str], ...] | None:
        name = path[-1]
        if name == "headers":
            return tuple(self.strings(path).items())
        return self.type(path) if name == "type" else self.string(path)

    def type(self, path: tuple[str, ...]) -> FileType | None:
        first = self.peek()
        start = self.at
        if first == b"n":
            self.null(path)
            return None
        if first == b"{":
            # serde's other form of a variant without content: {"source": null}
            self.at += 1
            value, _ = self.name(path)
            self.null(path)
            if self.next(b"}") == b",":
                raise self.error(f"{_shown_path(path)} has more than one member")
        else:
            value = self.string(path)
        file_type = _TYPES.get(value.encode())
        if file_type is None:
            self.at = start
            expected = ", ".join(FileType)
            raise self.error(f"{_shown_path(path)} is unknown", found=_shown(value), expected=expected)
        return file_type

    def null(self, path: tuple[str, ...]) -> None:
        self.peek()
        if not self.data.startswith(b"null", self.at):
            raise self.wrong_type(path, "null")
        self.at += len(b"null")

    def strings(self, path: tuple[str, ...]) -> dict[str, str]:
        """Read an object whose values are strings; of a name that occurs twice the last value counts."""
        pairs = _pairs.match(self.data, self.at)
        with suppress(UnicodeDecodeError):
            if pairs is not None:
                values = _decoded(pairs[1])
                self.at = pairs.end()
                return values
        # Read step by step, an error has an offset.
        return {name: self.string((*path, name)) for name, _ in self.members(path)}

    def members(self, path: tuple[str, ...], expected: str = "an object") -> Iterator[tuple[str, bytes]]:
        """Go over an object: yield each name, as text and as written, with the cursor at its value."""
        after = self.begin(b"{", path, expected)
        while after == b",":
            yield self.name(path)
            after = self.next(b"}")

    def name(self, path: tuple[str, ...]) -> tuple[str, bytes]:
        match = _name.match(self.data, self.at)
        if match is None:
            match = _string.match(self.data, self.at)
            if match is not None:
                self.at = match.end()
            self.peek()
            raise self.error("not JSON", found=self.found(), expected="a name" if match is None else "':'")
        return self.text(match, path), match[1]

    def string(self, path: tuple[str, ...]) -> str:
        match = _string.match(self.data, self.at)
        if match is None:
            if self.peek() == b'"':
                raise self.error(f"{_shown_path(path)} is not a JSON string")
            raise self.wrong_type(path, "a string")
        return self.text(match, path)

    def text(self, match: re.Match[bytes], path: tuple[str, ...]) -> str:
        """Decode the string in group 1."""
        raw = match[1]
        try:
            text = raw.decode()
            value = text[1:-1] if b"\\" not in raw else str(json.loads(text))
            value.encode()
        except UnicodeDecodeError as error:
            self.at = match.start(1) + error.start
            problem = f"a string in {_shown_path(path)} is not UTF-8"
            raise self.error(problem, found=f"0x{raw[error.start]:02x}") from error
        except UnicodeEncodeError as error:
            self.at = match.start(1)
            problem = f"a string in {_shown_path(path)} has a lone surrogate"
            raise self.error(problem, found=_shown(error.object)) from error
        self.at = match.end()
        return value

    def skip(self) -> None:
        """Pass over a value of any kind and depth, checking its grammar only (serde's `IgnoredAny`).

        Strings in it may have lone surrogates and bytes that are not UTF-8.
        """
        enclosing = bytearray()
        while True:
            value = _value.match(self.data, self.at)
            if value is None:
                self.peek()
                raise self.error("not JSON", found=self.found(), expected="a value")
            self.at = value.end()
            if value[1] is not None:
                enclosing += value[1]
            else:
                while enclosing and self.next(b"]" if enclosing[-1:] == b"[" else b"}") != b",":
                    enclosing.pop()
                if not enclosing:
                    return
            if enclosing[-1:] == b"[":
                self.at = _end(_values.match(self.data, self.at), self.at)
                continue
            self.at = _end(_named_values.match(self.data, self.at), self.at)
            name = _name.match(self.data, self.at)
            if name is None:
                self.peek()
                raise self.error("not JSON", found=self.found(), expected="a name and ':'")
            self.at = name.end()

    def begin(self, bracket: bytes, path: tuple[str, ...], expected: str) -> bytes:
        """Take an opening bracket; return the closing one if it follows and was taken, else a comma."""
        if self.peek() != bracket:
            raise self.wrong_type(path, expected)
        self.at += 1
        close = b"}" if bracket == b"{" else b"]"
        if self.peek() != close:
            return b","
        self.at += 1
        return close

    def next(self, close: bytes) -> bytes:
        """Take what follows a value: a comma or the closing bracket."""
        after = _after_value.match(self.data, self.at)
        if after is None or after[1] not in (b",", close):
            self.peek()
            raise self.error("not JSON", found=self.found(), expected=f"',' or '{close.decode()}'")
        self.at = after.end()
        return after[1]

    def peek(self) -> bytes:
        """Pass over white space and return the next byte, or nothing at the end."""
        self.at = _end(_space.match(self.data, self.at), self.at)
        return self.data[self.at : self.at + 1]

    def found(self) -> str:
        """Name what begins at the cursor."""
        first = self.data[self.at : self.at + 1]
        if first in _KINDS:
            return _KINDS[first]
        return repr(first.decode()) if first.isascii() else f"0x{first.hex()}"

    def wrong_type(self, path: tuple[str, ...], expected: str) -> FormatError:
        first = self.data[self.at : self.at + 1]
        problem = "has the wrong type" if first and first in _KINDS else "is not JSON"
        return self.error(f"{_shown_path(path)} {problem}", found=self.found(), expected=expected)

    def error(self, problem: str, *, found: object = None, expected: object = None) -> FormatError:
        return FormatError(
            self.file, problem, member=MANIFEST_NAME, offset=self.at, found=found, expected=expected
        )


def _decoded(pairs: bytes) -> dict[str, str]:
    return {sys.intern(name.decode()): value.decode() for name, value in _pair.findall(pairs)}


def _file_info(known: dict[str, Any], extra: str | None = None) -> FileInfo:
    return FileInfo(
        type=known.get("type"),
        type_is_null="type" in known and known["type"] is None,
        path=known.get("path"),
        url=known.get("url"),
        headers=known.get("headers"),
        extra=extra,
    )


def _end(match: re.Match[bytes] | None, otherwise: int) -> int:
    return otherwise if match is None else match.end()
