"""What a zip costs whose parts are doubled, all that can be repeated: each part, and each pair of them.

    python -m reliability.growth                 # up to 1024 of each; minutes
    python -m reliability.growth --only extra    # only parts and pairs with this in their name

To open a bundle, to read all that it has, and to find out what conversion records of that, must take time in
proportion to the bytes of the zip, whatever these are. No time is measured: what is counted is the same in
each run, namely the calls of functions, the bytes read and the bytes inflated. In a zip of twice the bytes
there may be twice as many of each, and a little more. What SECURITY.md allows in any case, even for a few
bytes, is taken away here, so that small zips show how large ones grow.

Prints each part and pair whose cost grows faster, and exits with 1 if there is one.
"""

import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

from reliability.doubling import counted, double_all, grown
from srcpack.bundle import members, zip_directory
from srcpack.bundle.manifest_records import records_of
from srcpack.bundle.members import Limits, SourceBundle
from srcpack.errors import DamagedMember, SrcpackError
from srcpack.rules import references_in_content
from srcpack.rules.content_facts import facts_of
from srcpack.rules.lookup_keys import keys_of
from support.bundle_builder import BUNDLE_HEADER, directory_record, end64_records, end_record, local_header

__all__ = ["PARTS", "Cost", "cost_of", "draft", "fault", "without_allowances"]

_LIMITS = Limits(max_total_ratio=8)
_ALLOWANCES: dict[tuple[ModuleType, str], int] = {
    (zip_directory, "_READS_FREE"): 4 << 10,
    (members, "_TOTAL_FREE"): 64 << 10,
    (members, "_SHARED_FREE"): 16 << 10,
    (members, "_MANIFEST_FREE"): 64 << 10,
    (members, "_MANIFEST_SHARE"): 2,
    (members, "_MARKS_FREE"): 1000,
    (members, "_MARKS_SHARE"): 2,
    (members, "_MISSING_FREE"): 100,
    (members, "_MISSING_SHARE"): 8,
    (references_in_content, "_BRACKETS_FREE"): 100,
}
_EMPTY_BLOCK = b"\0\0\0\xff\xff"
_LAST_BLOCK = b"\1\1\0\xfe\xffx"
_LONGEST = 0xFFFF


# ---- what is repeated


class _Written(NamedTuple):
    """What there is of a zip when an end record is added.

    Attributes:
        directory: All records.
        records: How many they are.
        offset: Where they begin.
        end: Bytes in all.
    """

    directory: bytes
    records: int
    offset: int
    end: int


@dataclass
class Draft:
    """A zip to be, of one file and what the parts add."""

    name: str = "files/a"
    type: str = "minified_source"
    content: bytes = b""
    data: bytes = b""
    fields: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    before: bytes = b""
    local_extra: bytes = b""
    extra: bytes = b""
    comment: bytes = b""
    zip_comment: bytes = b""
    ends: list[Callable[[_Written], bytes]] = field(default_factory=list)

    def build(self) -> bytes:
        """Return the zip."""
        out = bytearray(BUNDLE_HEADER + self.before)
        records: list[bytes] = []
        data, method = (self.data + _LAST_BLOCK, 8) if self.data else (self.content, 0)
        content = b"x" if self.data else self.content
        common: dict[str, Any] = {"extra": self.extra[:_LONGEST], "comment": self.comment[:_LONGEST]}

        def add(name: str, data: bytes, content: bytes, method: int, **fields: Any) -> None:
            stated: dict[str, Any] = {
                "crc": zlib.crc32(content),
                "size": len(content),
                "compressed_size": len(data),
            }
            stated = {"method": method, "offset": len(out), **stated, **fields, **common}
            records.append(directory_record(name.encode(), **stated))
            if "offset" not in fields:
                out.extend(
                    local_header(name.encode(), method=method, extra=self.local_extra[:_LONGEST]) + data
                )

        first = len(out)
        add(self.name, data, content, method)
        for name in self.twins:
            add(name, data, content, method, offset=first)
        for name in self.stored:
            add(name, b"y", b"y", 0)
        for name in self.empty:
            add(name, _EMPTY_BLOCK, b"", 8, compressed_size=1 << 20)
        manifest = self._manifest()
        add("manifest.json", manifest, manifest, 0)
        at = len(out)
        directory = b"".join(records)
        out += directory + end_record(len(records), at, comment=self.zip_comment[:_LONGEST])
        for end in self.ends:
            out += end(_Written(directory, len(records), at, len(out)))
        return bytes(out)

    def _manifest(self) -> bytes:
        fields = [f'"type":"{self.type}"', '"headers":{' + ",".join(self.headers) + "}", *self.fields]
        files = [f'"{self.name}":{{' + ",".join(fields) + "}", *self.files]
        values = ['"files":{' + ",".join(files) + "}", '"source_links":{' + ",".join(self.links) + "}"]
        return ("{" + ",".join(values + self.values) + "}").encode()


def _named(form: str, number: int) -> list[str]:
    return [form.replace("@", str(at)) for at in range(number)]


def _adds(attribute: str, form: str | bytes) -> Callable[[Draft, int], None]:
    """Return what repeats something: `@` in a text is the number of the repeat."""

    def add(draft: Draft, number: int) -> None:
        more = form * number if isinstance(form, bytes) else _named(form, number)
        setattr(draft, attribute, getattr(draft, attribute) + more)

    return add


def _long_name(draft: Draft, number: int) -> None:
    draft.name += "x" * number


def _listed(draft: Draft, number: int) -> None:
    draft.stored += _named("s@", number)
    draft.files += _named('"s@":{"type":"source","url":"~/s@","headers":{"debug-id":"@"}}', number)


def _nested(opening: str, closing: str) -> Callable[[Draft, int], None]:
    def add(draft: Draft, number: int) -> None:
        draft.fields.append(f'"x":{opening * number}1{closing * number}')

    return add


def _one_field(form: str, repeated: str) -> Callable[[Draft, int], None]:
    def add(draft: Draft, number: int) -> None:
        draft.fields.append(form.replace("@", repeated * number))

    return add


def _source_map(repeated: bytes) -> Callable[[Draft, int], None]:
    def add(draft: Draft, number: int) -> None:
        draft.type = "source_map"
        draft.content += b'{"debug_id":null,"x":[' + repeated * number + b"1]}"

    return add


def _ends(end: Callable[[_Written], bytes]) -> Callable[[Draft, int], None]:
    def add(draft: Draft, number: int) -> None:
        draft.ends += [end] * number

    return add


def _end_of_the_directory(zipped: _Written) -> bytes:
    """Return an end record that leads to the directory, and counts one record more than it has."""
    return end_record(1, zipped.offset, here=zipped.records + 1)


def _end_of_a_search(zipped: _Written) -> bytes:
    return end_record(1, 0, here=zipped.records + 1)


def _end64_of_the_directory(zipped: _Written) -> bytes:
    return end64_records(zipped.records + 1, zipped.offset, zipped.end)


def _end64_of_a_search(_: _Written) -> bytes:
    return b"PK\6\6" + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1) + end_record(0xFFFF, 0xFFFFFFFF)


def _ends_before_a_directory(draft: Draft, number: int) -> None:
    def ends(zipped: _Written) -> bytes:
        end = end_record(0, zipped.end + 22 * number, here=zipped.records + 1)
        return end * number + zipped.directory + b"and no more" + bytes(46)

    draft.ends.append(ends)


PARTS: dict[str, Callable[[Draft, int], None]] = {
    "end records": _ends(_end_of_the_directory),
    "end records that search": _ends(_end_of_a_search),
    "end records before a directory": _ends_before_a_directory,
    "zip64 end records": _ends(_end64_of_the_directory),
    "zip64 end records that search": _ends(_end64_of_a_search),
    "signatures of records": _adds("before", b"PK\1\2"),
    "signatures of end records": _adds("zip_comment", b"PK\5\6"),
    "members": _adds("stored", "m@"),
    "members that are listed": _listed,
    "members that share their data": _adds("twins", "t@"),
    "members of no bytes that claim many": _adds("empty", "e@"),
    "empty blocks": _adds("data", _EMPTY_BLOCK),
    "extra fields": _adds("extra", struct.pack("<2H", 1, 0)),
    "unknown extra fields": _adds("extra", struct.pack("<2H", 0x7777, 0)),
    "bytes of comments": _adds("comment", b"c"),
    "bytes of names": _long_name,
    "bytes of local headers": _adds("local_extra", b"\0"),
    "files that are not there": _adds("files", '"f@":{}'),
    "files of one name": _adds("files", '"f":{"url":"@"}'),
    "files of one URL and path": _adds("files", '"g@":{"url":"~/u","path":"u"}'),
    "files given as lists": _adds("files", '"l@":["source","p@","u@",{}]'),
    "headers": _adds("headers", '"h@":"v"'),
    "headers with escapes": _adds("headers", '"\\u0068@":"v"'),
    "attributes": _adds("values", '"v@":"w"'),
    "source links": _adds("links", '"*@":"*"'),
    "source links with escapes": _adds("links", '"\\n@*":"*"'),
    "unknown keys": _adds("fields", '"k@":1'),
    "one unknown key again": _adds("fields", '"k":1'),
    "nested lists": _nested("[", "]"),
    "nested lists with spaces": _nested("[ ", " ]"),
    "nested objects": _nested('{"":', "}"),
    "lists beside each other": _one_field('"lists":[@1]', "[[1]],"),
    "numbers": _one_field('"numbers":[@1]', "1,"),
    "escapes": _one_field('"url":"@"', "\\n"),
    "white space": _one_field('"space":@1', " "),
    "lines": _adds("content", b"f();\n"),
    "references": _adds("content", b"//# sourceMappingURL=a\n"),
    "spaces after a reference": _adds("content", b"//# sourceMappingURL=          "),
    "brackets in a source map": _source_map(b"[[]],"),
    "strings in a source map": _source_map(b'"\\n",'),
}
"""What can be repeated, each as a function that adds so many of it to a draft."""


def draft(number: int, *names: str) -> bytes:
    """Return a zip with so many of each of some parts."""
    zipped = Draft()
    for name in names:
        PARTS[name](zipped, number)
    return zipped.build()


# ---- what is counted


class Cost(NamedTuple):
    """What the work on a zip of `size` bytes takes.

    Attributes:
        size: Bytes of the zip.
        steps: Calls of functions.
        read: Bytes read.
        inflated: Bytes inflated.
    """

    size: int
    steps: int
    read: int
    inflated: int


_SLACK = Cost(0, 5000, 24 << 10, 24 << 10)
"""How much more there may be in any case."""
_LITTLE = Cost(0, 8, 6, 8)
"""What may be spent on each byte: a cost may grow up to this."""


@contextmanager
def without_allowances() -> Iterator[None]:
    """Take away most of what a zip may cost in any case."""
    patches = [mock.patch.object(module, name, value) for (module, name), value in _ALLOWANCES.items()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def cost_of(data: bytes) -> Cost:
    """Count what it takes to open a bundle, to read all of it, and to find out what there is to record."""
    inflated = 0
    make_inflater = zlib.decompressobj

    class Inflater:
        def __init__(self, wbits: int) -> None:
            self._inner = make_inflater(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal inflated
            piece = self._inner.decompress(data, most)
            inflated += len(piece)
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    with mock.patch("zlib.decompressobj", Inflater):
        steps, read = counted(partial(_work, data))
    return Cost(len(data), steps, read, inflated)


def _work(data: bytes) -> None:
    with suppress(SrcpackError), SourceBundle(data, limits=_LIMITS) as bundle:
        for record in records_of(bundle):
            list(keys_of(record))
            with suppress(DamagedMember):
                facts_of(bundle.read(record.name), record.type, record.headers)


def fault(names: Sequence[str], number: int) -> str | None:
    """Double so many of each of some parts, and say what grows faster than the zip, if anything does."""
    less, more = cost_of(draft(number, *names)), cost_of(draft(2 * number, *names))
    return grown(names, number, less, more, slack=_SLACK, little=_LITTLE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Double each part and each pair of parts, again and again."""
    about = "See how the cost of a zip grows with each part of it."
    return double_all(arguments, about=about, parts=PARTS, fault=fault, around=without_allowances)


if __name__ == "__main__":
    sys.exit(main())
