"""Ways to make lookup tables that break a sentence of SPEC.md, with every checksum right."""

from collections.abc import Callable
from typing import Any

import zstandard

from support.pack_parts import take_apart
from support.pack_recipe import compress
from support.sample_packs import sample_packs
from support.sentences.row import MAPPED, Make
from support.table_recipe import TableRecipe, take_table_apart


def with_table(
    change: Callable[[TableRecipe], object] = lambda _: None,
    *,
    spoil: Callable[[bytes], bytes] = bytes,
    place: tuple[int, Any] | None = None,
    **more: Any,
) -> Make:
    """Make a pack of which the table of a file is another.

    The places of tables are right, but for one value, if `place` is given. `spoil` changes the table's bytes;
    `more` are other fields of the entry.
    """

    def made() -> bytes:
        pack = take_apart(sample_packs()["lookups"])
        assert pack is not None
        assert pack.lookups is not None
        entry = next(each for each in pack.entries if isinstance(each, dict) and each["name"] == MAPPED)
        offset, length, head, _ = entry["lookup"]
        table = take_table_apart(pack.lookups[offset : offset + length], head)
        assert table is not None
        change(table)
        data, head = table.build()
        entry["lookup"] = [offset, len(data), head, data[max(0, head - 4) : head]]
        pack.lookups = pack.lookups[:offset] + spoil(data)
        if place is not None:
            entry["lookup"][place[0]] = place[1]
        entry.update(more)
        return pack.build()

    return made


def number(name: str, value: int) -> Callable[[TableRecipe], object]:
    return lambda table: table.numbers.__setitem__(name, value)


def in_block(which: int, change: Callable[[bytes], bytes]) -> Callable[[TableRecipe], object]:
    return lambda table: table.blocks.__setitem__(which, change(table.blocks[which]))


def put(at: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda block: block[:at] + data + block[at + len(data) :]


def list_of(name: str, at: int, value: int) -> Callable[[TableRecipe], object]:
    return lambda table: getattr(table, name).__setitem__(at, value)


def end(which: int, value: int) -> Callable[[TableRecipe], object]:
    return lambda table: table.ends.__setitem__(which, value)


def frame_of_head(**options: Any) -> Callable[[TableRecipe], object]:
    def change(table: TableRecipe) -> None:
        data, length = table.build()
        head = zstandard.ZstdDecompressor().decompress(data[:length])
        table.head_frame = compress(head, **options)

    return change


def frame_of_block(which: int, **options: Any) -> Callable[[TableRecipe], object]:
    return lambda table: table.frames.__setitem__(which, compress(table.blocks[which], **options))


def table_of_another_file() -> bytes:
    pack = take_apart(sample_packs()["lookups"])
    assert pack is not None
    entries = [each for each in pack.entries if isinstance(each, dict)]
    (first, *_) = (each for each in entries if "lookup" in each and each["name"] != MAPPED)
    other = next(each for each in entries if each.get("size") and "lookup" not in each)
    other["lookup"] = first["lookup"]
    other.pop("lookup_reason", None)
    return pack.build()
