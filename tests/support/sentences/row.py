"""A sentence of SPEC.md, packs that break it, and what both readers are asked of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

import srcpack
from srcpack import Entry, SrcpackError
from srcpack.opening import packfile_of
from support.spec_lookups import find_table
from support.spec_reader import SpecReader

Make: TypeAlias = Callable[[], bytes]
Use: TypeAlias = tuple[Callable[[bytes], object], Callable[[bytes], object]]

MAPPED = "m/m.js"
_OTHER_WAYS: tuple[Callable[[Entry], object], ...] = (
    *(Entry.text, Entry.view, lambda entry: entry.open().readall()),
    *(lambda entry: entry.read_range(0, entry.size), lambda entry: entry.context(1, lines=99)),
)


@dataclass(frozen=True)
class Row:
    """A pack that breaks a sentence.

    Attributes:
        says: The words of SPEC.md, or how they begin.
        what: What is wrong with the pack.
        made: Makes it.
        told: What a problem that `verify` tells has in it, or the error of opening.
        use: What is refused beside `verify`.
    """

    says: str
    what: str
    made: Make
    told: str
    use: Use | None = None


def rows(says: str, told: str, use: Use | None, packs: Mapping[str, Make]) -> Iterator[Row]:
    """Yield a row for each of several packs that break one sentence, by what is wrong with them."""
    return (Row(says, what, made, told, use) for what, made in packs.items())


def entry_of_pack(data: bytes, name: str = "bad.js") -> Entry:
    return srcpack.open(data)[name]


def entry_by_spec(data: bytes, name: str = "bad.js") -> dict[str, Any]:
    found = SpecReader(data).find(0, name)
    assert found is not None
    return found


def _read(name: str) -> Use:
    """Ask for a content: what is refused in one way is refused in every one."""

    def read(data: bytes) -> None:
        entry = entry_of_pack(data, name)
        for way in _OTHER_WAYS:
            with pytest.raises(SrcpackError):
                way(entry)
        entry.read()

    return read, lambda data: SpecReader(data).read(entry_by_spec(data, name))


def line(number: int) -> Use:
    """Ask for a line of `long.js`."""
    return (
        lambda data: entry_of_pack(data, "long.js").context(number, lines=0),
        lambda data: SpecReader(data).lines(entry_by_spec(data, "long.js"), number),
    )


def bucket(number: int) -> Use:
    return (
        lambda data: packfile_of(srcpack.open(data)).directory.read_bucket(number),
        lambda data: SpecReader(data)._bucket(number),
    )


OPEN: Use = (srcpack.open, SpecReader)
ATTRIBUTE: Use = (lambda data: srcpack.open(data).attributes, lambda data: SpecReader(data).attributes())
ENTRY: Use = (entry_of_pack, entry_by_spec)
LAST_ENTRY: Use = (lambda data: entry_of_pack(data, "raw.bin"), lambda data: entry_by_spec(data, "raw.bin"))
LONG_ENTRY: Use = (lambda data: entry_of_pack(data, "long.js"), lambda data: entry_by_spec(data, "long.js"))
READ: Use = _read("bad.js")
READ_RAW: Use = _read("raw.bin")
MISS: Use = (lambda data: srcpack.open(data).get("absent"), lambda data: SpecReader(data).find(0, "absent"))
TABLE: Use = (
    lambda data: entry_of_pack(data, MAPPED).original(1, 1),
    lambda data: find_table(SpecReader(data), entry_by_spec(data, MAPPED)),
)
