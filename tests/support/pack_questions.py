"""Every question about a pack, with arguments that it has and ones that it has not."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from srcpack import DebugId, Entry, FileType, Pack
from srcpack.format.keys import hash_key
from srcpack.format.lookup_rows import Row
from srcpack.format.lookup_section import TableLookup
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind, debug_id_key, keys_of
from support.sample_packs import DEBUG_IDS, SMALL

Ask: TypeAlias = Callable[[Pack], object]


def questions_of(pack: Pack) -> dict[str, Ask]:
    """Return all questions about a pack by name."""
    asked: dict[str, Ask] = {
        "len": len,
        "tail": lambda pack: (packfile_of(pack).tail, pack.sha256),
        "bundle": lambda pack: pack.bundle,
        "attributes": lambda pack: dict(pack.attributes),
        "source_links": lambda pack: dict(pack.source_links),
        "names": list,
        "entries": lambda pack: list(map(_fields, pack.entries())),
    }
    for prefix in ("", "a", "f", "files/", "files/a", "files/b/twice.js", "lib/", "lib/5", "notes", "zzz"):
        asked |= about_prefix(prefix)
    entries = list(pack.entries())
    contents = set()
    for entry in entries:
        asked |= of_entry(entry.name, "read")
        # Of a content that another entry has too, this one's way to it is asked, the rest is the same.
        if entry.sha256 not in contents:
            asked |= _about_content(entry.name, entry.size, entry.lines)
        contents.add(entry.sha256)
        if isinstance(lookup := entry.lookup_table(), TableLookup):
            asked |= _about_originals(entry.name, list(lookup.table.rows()))
    keys = {key for entry in entries for key in keys_of(entry.record)}
    links = ("C:/src/b.c", "/linked/one.c", "/LINKED/two.c", "\\linked\\three.c")
    for kind, key in [*sorted(keys), *_absent_keys(pack), *((Kind.PATH, path) for path in links)]:
        asked |= about_key(kind, key)
    readable = [entry.name for entry in entries if entry.damage is None]
    return asked | {"read_many": lambda pack: pack.read_many(readable)}


def _fields(found: object) -> object:
    """Return all that an entry says of itself."""
    if not isinstance(found, Entry):
        return found
    facts = (found.name, found.type, found.path, found.url, dict(found.headers), found.debug_id, found.lines)
    more = (found.source_mapping_url, found.size, found.stored_size, found.sha256, found.raw, found.damage)
    return *facts, *more, found.record


def _of_pack(method: str, *arguments: Any) -> Ask:
    return lambda pack: _fields(getattr(pack, method)(*arguments))


def of_entry(name: str, method: str, *arguments: Any) -> dict[str, Ask]:
    said = " ".join((method, repr(name), *map(repr, arguments)))
    return {said: lambda pack: getattr(pack[name], method)(*arguments)}


def about_prefix(prefix: str) -> dict[str, Ask]:
    return {f"find_prefix {prefix!r}": lambda pack: list(map(_fields, pack.find_prefix(prefix)))}


def _about_content(name: str, size: int, lines: int) -> dict[str, Ask]:
    def viewed(pack: Pack) -> object:
        view = pack[name].view()
        return bytes(view), view.readonly

    def streamed(pack: Pack) -> object:
        with pack[name].open() as file:
            start = file.read(10)
            return start, file.seek(0), io.BufferedReader(file).read()

    asked = {f"view {name!r}": viewed, f"open {name!r}": streamed, **of_entry(name, "text")}
    for start, length in {(0, 1), (size // 2, 7), (max(0, size - 3), 9), (SMALL - 2, 4), (size, 1)}:
        asked |= of_entry(name, "read_range", start, length)
    for line in {1, lines // 2, lines, lines + 1}:
        asked |= of_entry(name, "context", line, 2, 3)
    return asked


def _about_originals(name: str, rows: Sequence[Row]) -> dict[str, Ask]:
    """Ask for every few rows, so that all blocks of a table are asked for, and for no row."""

    def table(pack: Pack) -> object:
        found = pack[name].lookup_table()
        return found.table.head if isinstance(found, TableLookup) else None

    def original(pack: Pack, place: tuple[int, int]) -> object:
        found = pack[name].original(*place)
        return found and (found, found.context(2))

    places = [(row.line + 1, row.column + 1) for row in rows[:: max(1, len(rows) // 60)]]
    asked: dict[str, Ask] = {f"lookup_table {name!r}": table}
    for place in [*places, (1, 1 << 20), (99, 1)]:
        asked[f"original {name!r} {place}"] = partial(original, place=place)
    return asked


def about_key(kind: Kind, key: str) -> dict[str, Ask]:
    if kind is Kind.NAME:
        asks = ("entry", _of_pack("__getitem__", key)), ("get", _of_pack("get", key))
        return {f"{what} {key!r}": ask for what, ask in (*asks, ("contains", _of_pack("__contains__", key)))}
    if kind is Kind.PATH:
        return {f"{method} {key!r}": _of_pack(method, key) for method in ("by_path", "source_link")}
    if kind is Kind.URL:
        return {f"by_url {key!r}": _of_pack("by_url", key)}
    debug_id, file_type = key.split()
    wanted = DebugId.parse(debug_id), FileType(file_type)
    return {f"by_debug_id {key!r}": _of_pack("by_debug_id", *wanted)}


def _absent_keys(pack: Pack) -> Iterator[tuple[Kind, str]]:
    """Yield keys that no entry has: of each kind some, and in each bucket one at least."""
    yield from ((Kind.NAME, ""), (Kind.NAME, "files"), (Kind.PATH, ""), (Kind.URL, ""))
    yield Kind.DEBUG_ID, f"{DEBUG_IDS[0]} {FileType.INDEXED_RAM_BUNDLE}"
    tail = packfile_of(pack).tail
    buckets = set(range(tail.bucket_count))
    number = 0
    while buckets or number < 8:
        kind, key = Kind(number % 4), f"no/such/{number}.js"
        if kind is Kind.DEBUG_ID:
            key = debug_id_key(DebugId.parse(f"{number:032x}"), FileType.SOURCE_MAP)
        buckets.discard(hash_key(tail.seed, kind, key).bucket(tail.bucket_count))
        yield kind, key
        number += 1
