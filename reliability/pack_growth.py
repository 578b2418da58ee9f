"""What a pack costs whose parts are doubled, all that can be repeated: each part, and each pair of them.

    python -m reliability.pack_growth                 # up to 1024 of each; minutes
    python -m reliability.pack_growth --only header   # only parts and pairs with this in their name

To open a pack, to find in it, to list it as a file system and to verify it must take time and memory in
proportion to its bytes, the manifest's and the tables' unpacked: parts that are alike pack to next to
nothing. No time is measured: what is counted is the same in each run, namely the calls of functions, the
bytes read, those decoded, and the most memory at a time.

Prints each part and pair whose cost grows faster, and exits with 1 if there is one.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import msgpack

import srcpack
from reliability.doubling import counted, double_all, grown
from srcpack.errors import SrcpackError
from srcpack.format.lookup_rows import Row, pack_rows
from srcpack.format.lookups import pack_strings, pack_texts
from srcpack.format.zstd_frames import Decompressors
from srcpack.integrations.fsspec import SrcpackFileSystem
from support.pack_recipe import FRAME_SIZE, Recipe, compress, entry_of, skippable
from support.table_recipe import TableRecipe

__all__ = ["PARTS", "Cost", "cost_of", "draft", "fault"]

_DEPTH = 200
_MAP = "map"


# ---- what is repeated


@dataclass
class Draft:
    """A pack to be, of one file and what the parts add."""

    file: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    content: bytes = b"one\n"
    raw: bytes = b""
    rows: int = 1
    strings: list[bytes] = field(default_factory=lambda: [b"source"])
    sources: int = 1
    row_blocks: int = 1
    mapped: int = 0
    buckets: int = 0
    block_entries: int = 64

    def build(self) -> tuple[bytes, int]:
        """Return the pack, and its bytes with manifest and tables unpacked."""
        files = {"file": self.content, **self.contents, **({_MAP: b"{}"} if self.mapped else {})}
        content, entries = b"", dict[str, dict[str, Any]]()
        for name, data in files.items():
            parts = [data[at : at + FRAME_SIZE] for at in range(0, len(data), FRAME_SIZE)]
            frames = list(map(compress, parts))
            entries[name] = entry_of(name, data, 24 + len(content), frames)
            content += b"".join(frames)
        if self.raw:
            entries["raw"] = entry_of("raw", self.raw, 24 + len(content) + 8, raw=True)
            content += skippable(self.raw)
        entries["file"] |= {"headers": self.headers, **self.file}
        entries |= {name: {"name": name, "reason": "none", **more} for name, more in self.others.items()}
        lookups, unpacked = self._tables(entries)
        attributes = {"attributes": self.values, "source_links": self.links, "has_files": True}
        common = {"identity": b"", "source": {"sha256": bytes(32), "size": 1}}
        created = {"created_by": {"tool": "t", "libzstd": "z", "options": {}}}
        made = Recipe([entries[name] for name in sorted(entries)], content)
        made.attributes = {**attributes, **common, **created, **self.attributes}
        made.lookups = lookups
        made.tail["damaged_count"] = len(self.others)
        made.block_entries = self.block_entries
        made.bucket_count = max(self.buckets, len(made.all_keys()) // 4 + 8)
        data = made.build()
        items = (made.attributes, *entries.values())
        return data, len(data) + unpacked + sum(len(msgpack.packb(each)) for each in items)

    def _tables(self, entries: dict[str, dict[str, Any]]) -> tuple[bytes | None, int]:
        """Give so many files a table each; return the tables, and their bytes unpacked."""
        if not self.mapped:
            return None, 0
        names = sorted(entries)
        per_block = -(-self.rows // self.row_blocks)
        rows = [Row(0, number, 1, number, 0, 1, 1) for number in range(self.rows)]
        pieces = [rows[at : at + per_block] for at in range(0, len(rows), per_block)]
        strings = [*self.strings, *(b"s%d" % number for number in range(self.sources - len(self.strings)))]
        texts = pack_texts([b"\0"] * self.sources)
        blocks = [*map(pack_rows, pieces), pack_strings(strings), texts]
        numbers = {"map": names.index(_MAP), "rows": len(rows), "sources": self.sources}
        numbers |= {"strings": len(strings), "row_blocks": len(pieces), "string_blocks": 1, "text_blocks": 1}
        sha256 = entries[_MAP]["sha256"]
        places = [piece[0].column for piece in pieces]
        table = TableRecipe(sha256, {**numbers, "inside": 0}, places, [1], [1], blocks)
        data, head = table.build()
        lookups = b""
        for name in ["file", *list(self.contents)][: self.mapped]:
            entries[name]["lookup"] = [len(lookups), len(data), head, data[head - 4 : head]]
            lookups += data
        return lookups, self.mapped * (sum(map(len, blocks)) + 16 * len(blocks))


Part = Callable[[Draft, int], None]


def _text_of_file(key: str, form: str) -> Part:
    def add(draft: Draft, number: int) -> None:
        draft.file[key] = form * number

    return add


def _damaged(form: str, **more: str) -> Part:
    """Add entries of no content; `@` is the number of the entry."""

    def add(draft: Draft, number: int) -> None:
        for at in range(number):
            draft.others[form.replace("@", str(at))] = {
                key: value.replace("@", str(at)) for key, value in more.items()
            }

    return add


def _map_of(attribute: str, key: str, value: Any) -> Part:
    def add(draft: Draft, number: int) -> None:
        getattr(draft, attribute).update({key.replace("@", str(at)): value for at in range(number)})

    return add


def _nested(wrap: Callable[[Any], Any]) -> Part:
    """Add values that are read over, some 200 deep each."""

    def add(draft: Draft, number: int) -> None:
        for at in range(0, number, _DEPTH):
            value: Any = 1
            for _ in range(min(_DEPTH, number - at)):
                value = wrap(value)
            draft.file[f"n{at}"] = value

    return add


def _extra(form: str) -> Part:
    def add(draft: Draft, number: int) -> None:
        draft.file["extra"] = "{" + ",".join(form.replace("@", str(at)) for at in range(number)) + "}"

    return add


def _deep_name(draft: Draft, number: int) -> None:
    draft.others["d/" * number + "d"] = {}


def _in_the_way(draft: Draft, number: int) -> None:
    for at in range(number):
        draft.others[f"w/{at}"] = draft.others[f"w/{at}/in"] = {}
        draft.others[f"w/{at}~2"] = {}


def _table(change: Callable[[Draft, int], object]) -> Part:
    def add(draft: Draft, number: int) -> None:
        draft.mapped = max(draft.mapped, 1)
        change(draft, number)

    return add


def _files_with_tables(draft: Draft, number: int) -> None:
    for at in range(number):
        draft.contents[f"t{at:05}"] = b"t%d" % at
    draft.mapped += number


def _sets(attribute: str, *, plus: int = 0) -> Callable[[Draft, int], None]:
    return lambda draft, number: setattr(draft, attribute, number + plus)


def _sources(draft: Draft, number: int) -> None:
    draft.sources = number + 1


def _blocks_of_rows(draft: Draft, number: int) -> None:
    draft.rows = draft.row_blocks = number


def _small_blocks(draft: Draft, number: int) -> None:
    _damaged("b@")(draft, number)
    draft.block_entries = 1


PARTS: dict[str, Part] = {
    "entries": _damaged("e@", url="~/e@"),
    "entries of one URL": _damaged("u@", url="~/u", path="u"),
    "small blocks": _small_blocks,
    "bytes of a URL": _text_of_file("url", "u"),
    "backslashes of a path": _text_of_file("path", "\\"),
    "bytes of a reference": _text_of_file("reference", "r"),
    "headers": _map_of("headers", "h@", "v"),
    "attributes": _map_of("values", "a@", "v"),
    "source links": _map_of("links", "*@", "*"),
    "unknown keys": _map_of("file", "k@", 1),
    "unknown keys of the attributes": _map_of("attributes", "k@", 1),
    "unknown values that are long": _map_of("file", "l@", [1, 2, {"a": []}]),
    "nested lists": _nested(lambda value: [value]),
    "nested maps": _nested(lambda value: {"": value}),
    "names in extra": _extra('"x@":1'),
    "lists in extra": _extra('"y@":[[]]'),
    "parts of a file": lambda draft, number: setattr(draft, "content", b"x" * (FRAME_SIZE * number)),
    "line feeds": lambda draft, number: setattr(draft, "content", draft.content + b"\n" * number),
    "parts of a raw file": lambda draft, number: setattr(draft, "raw", b"y" * (FRAME_SIZE * number)),
    "contents": lambda draft, number: draft.contents.update(
        {f"f{at:05}": b"%d" % at for at in range(number)}
    ),
    "buckets": _sets("buckets"),
    "folders in a name": _deep_name,
    "folders": _damaged("x@/y/z"),
    "names in the way of folders": _in_the_way,
    "slashes in a row": _damaged("//@//"),
    "rows of a table": _table(_sets("rows", plus=1)),
    "blocks of rows": _table(_blocks_of_rows),
    "strings of a table": _table(lambda draft, number: draft.strings.extend([b"s"] * number)),
    "bytes of a string": _table(lambda draft, number: draft.strings.append(b"s" * number)),
    "sources of a table": _table(_sources),
    "files with tables": _files_with_tables,
}
"""What can be repeated, each as a function that adds so many of it to a draft."""


def draft(number: int, *names: str) -> tuple[bytes, int]:
    """Return a pack with so many of each of some parts, and its bytes unpacked."""
    pack = Draft()
    for name in names:
        PARTS[name](pack, number)
    return pack.build()


# ---- what is counted


class Cost(NamedTuple):
    """What the work on a pack takes that has `size` bytes, manifest and tables unpacked.

    Attributes:
        size: Bytes of the pack.
        steps: Calls of functions.
        read: Bytes read.
        decoded: Bytes that frames were decoded to.
        memory: Bytes that were in use at most.
    """

    size: int
    steps: int
    read: int
    decoded: int
    memory: int


_SLACK = Cost(0, 1000, 6 << 10, 4 << 10, 96 << 10)
"""How much more there may be in any case."""
_LITTLE = Cost(0, 4, 4, 6, 24)
"""What may be spent on each byte: a cost may grow up to this."""


def cost_of(data: bytes, size: int, *, memory: bool = True) -> Cost:
    """Count what it takes to ask a pack all; `memory` takes as long again."""
    decoded = 0
    decompress = Decompressors.decompress

    def counted_content(decompressors: Decompressors, frame: bytes) -> bytes:
        nonlocal decoded
        content = decompress(decompressors, frame)
        decoded += len(content)
        return content

    with mock.patch.object(Decompressors, "decompress", counted_content):
        steps, read = counted(partial(_work, data))
    return Cost(size, steps, read, decoded, _most_memory(data) if memory else 0)


def _most_memory(data: bytes) -> int:
    """Return the lesser of two times: now and then a table grows that the interpreter keeps for all."""
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(2):
            gc.collect()
            tracemalloc.clear_traces()
            tracemalloc.reset_peak()
            _work(data)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    return min(peaks)


def _work(data: bytes) -> None:
    with suppress(SrcpackError), srcpack.open(data) as pack:
        _find(pack)
        _list(pack)
        srcpack.verify(pack)


def _find(pack: srcpack.Pack) -> None:
    entry = pack.get("file")
    for ask in (pack.by_url, pack.by_path, pack.source_link):
        with suppress(SrcpackError):
            ask("~/absent")
    if entry is not None:
        for about in (
            entry.read,
            lambda: entry.context(1),
            lambda: entry.original(1, 1),
            lambda: entry.headers,
        ):
            with suppress(SrcpackError):
                about()


def _list(pack: srcpack.Pack) -> None:
    files = SrcpackFileSystem(pack)
    waiting = [""]
    while waiting:
        waiting += [info["name"] for info in files.ls(waiting.pop()) if info["type"] == "directory"]


def fault(names: Sequence[str], number: int, *, memory: bool = True) -> str | None:
    """Double so many of each of some parts, and say what grows faster than the pack, if anything does."""
    less, more = (cost_of(*draft(many, *names), memory=memory) for many in (number, 2 * number))
    return grown(names, number, less, more, slack=_SLACK, little=_LITTLE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Double each part and each pair of parts, again and again."""
    about = "See how the cost of a pack grows with each part of it."
    return double_all(arguments, about=about, parts=PARTS, fault=fault)


if __name__ == "__main__":
    sys.exit(main())
