"""A sentence of SPEC.md, a pack that breaks it, and what both readers are asked of the pack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import srcpack
from support.spec_lookups import find_table
from support.spec_reader import SpecReader

__all__ = ["ATTRIBUTE", "ENTRY", "MAPPED", "MISS", "OPEN", "READ", "TABLE", "Row", "line"]

Use: TypeAlias = tuple[Callable[[bytes], object], Callable[[bytes], object]]


def entry_of_pack(data: bytes, name: str = "bad.js") -> srcpack.Entry:
    return srcpack.open(data)[name]


def entry_by_spec(data: bytes, name: str = "bad.js") -> dict[str, Any]:
    found = SpecReader(data).find(0, name)
    assert found is not None
    return found


def line(number: int) -> Use:
    """Ask for a line of `long.js`."""
    return (
        lambda data: entry_of_pack(data, "long.js").context(number, lines=0),
        lambda data: SpecReader(data).lines(entry_by_spec(data, "long.js"), number),
    )


OPEN: Use = (srcpack.open, SpecReader)
ATTRIBUTE: Use = (lambda data: srcpack.open(data).attributes, lambda data: SpecReader(data).attributes())
ENTRY: Use = (entry_of_pack, entry_by_spec)
READ: Use = (lambda data: entry_of_pack(data).read(), lambda data: SpecReader(data).read(entry_by_spec(data)))
MISS: Use = (lambda data: srcpack.open(data).get("absent"), lambda data: SpecReader(data).find(0, "absent"))
TABLE: Use = (
    lambda data: entry_of_pack(data, MAPPED).original(1, 1),
    lambda data: find_table(SpecReader(data), entry_by_spec(data, MAPPED)),
)
MAPPED = "m/m.js"


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
    made: Callable[[], bytes]
    told: str
    use: Use | None = None
