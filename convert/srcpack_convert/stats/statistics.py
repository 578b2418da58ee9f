"""Figures over many packs: sizes, duplicates, the largest files (`srcpack stats`).

Packs are opened one by one and read block by block. What is kept of all of them is 16 bytes of the SHA-256 of
each distinct content: about 100 bytes of memory for each, with the dict. All else does not grow with the
number of packs.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeAlias

from srcpack import Entry, Pack, SrcpackError
from srcpack.format.head_tail import LOOKUPS
from srcpack.opening import open_pack, packfile_of
from srcpack.source.locations import without_secrets
from srcpack_convert.inputs.packs import FoundPack
from srcpack_convert.stats.index import Row, rows_of

__all__ = ["Duplicates", "LargeFile", "Statistics", "TypeTotals", "gather"]

Failed: TypeAlias = Callable[[SrcpackError | OSError | ValueError], None]
"""Told of what could not be read."""

_LARGEST = 10
_DIGEST = 16


@dataclass(slots=True)
class TypeTotals:
    """Files of one type, the bytes of their contents, and those that these take in the packs.

    Equal contents of one pack are stored once, and count for the first of their files.
    """

    files: int = 0
    size: int = 0
    stored_size: int = 0


@dataclass(slots=True)
class Duplicates:
    """Contents that are in more than one pack, by the SHA-256 that the packs claim.

    `copies` counts in how many packs they are beyond the first; the sizes are of these copies, which could be
    saved.
    """

    contents: int = 0
    copies: int = 0
    size: int = 0
    stored_size: int = 0


class LargeFile(NamedTuple):
    """One of the largest files; of equal ones the first that was found."""

    size: int
    pack: str
    member: str
    type: str
    stored_size: int


@dataclass(slots=True)
class Statistics:
    """What was counted: packs that were read to their end, their entries, damaged ones included.

    `failed` counts packs that could not be read, and inputs without a pack. The files of a pack before the
    place where it is damaged are counted all the same, the pack's own size is not.

    `with_zip` counts packs that say how large the zip was that they were made from; `rows` those made of
    files, if any are; `content_count` distinct contents, pack by pack; `without_lookup` files whose source
    map is in their pack, which has lookup tables, and none for them.
    """

    packs: int = 0
    failed: int = 0
    pack_size: int = 0
    with_zip: int = 0
    with_zip_size: int = 0
    zip_size: int = 0
    files: int = 0
    rows: int = 0
    damaged: int = 0
    packs_with_damage: int = 0
    content_count: int = 0
    content_size: int = 0
    lookups: int = 0
    without_lookup: int = 0
    lookups_size: int = 0
    types: dict[str, TypeTotals] = field(default_factory=dict)
    duplicates: Duplicates = field(default_factory=Duplicates)
    _largest: list[LargeFile] = field(default_factory=list)
    _seen: dict[bytes, bool] = field(default_factory=dict)

    @property
    def largest(self) -> list[LargeFile]:
        """The largest files, from the largest on."""
        return sorted(self._largest, reverse=True)

    @property
    def total(self) -> TypeTotals:
        """Readable files of all types."""
        total = TypeTotals()
        for each in self.types.values():
            total.files += each.files
            total.size += each.size
            total.stored_size += each.stored_size
        return total

    def count(self, pack: Pack) -> Iterator[Entry]:
        """Count a pack, and yield its entries as they are counted; of a damaged one those that come first."""
        in_pack: set[int] = set()
        damaged = False
        for entry in pack.entries():
            self.files += 1
            if entry.damage is not None:
                self.damaged += 1
                if not damaged:
                    damaged = True
                    self.packs_with_damage += 1
            else:
                self._count_content(entry, in_pack)
            self.lookups += entry.record.lookup is not None
            self.without_lookup += entry.record.lookup_reason is not None
            yield entry
        source_size, tail = pack.bundle.source.get("size"), packfile_of(pack).tail
        self.packs += 1
        self.pack_size += tail.file_length
        if (section := tail.sections.get(LOOKUPS)) is not None:
            self.lookups_size += section.length
        if isinstance(source_size, int) and source_size > 0:
            self.with_zip += 1
            self.with_zip_size += tail.file_length
            self.zip_size += source_size

    def _count_content(self, entry: Entry, in_pack: set[int]) -> None:
        size, stored = entry.size, entry.stored_size
        totals = self.types.setdefault(entry.type, TypeTotals())
        totals.files += 1
        totals.size += size
        frames = entry.record.frames
        # Two entries of a pack have one content if and only if they have one place.
        if not frames or frames[0].offset in in_pack:
            return
        in_pack.add(frames[0].offset)
        totals.stored_size += stored
        self.content_count += 1
        self.content_size += size
        digest = entry.record.sha256[:_DIGEST]
        known = self._seen.get(digest)
        self._seen[digest] = known is not None
        if known is None:
            item = LargeFile(size, entry.pack.file, entry.name, entry.type, stored)
            if len(self._largest) < _LARGEST:
                heapq.heappush(self._largest, item)
            elif size > self._largest[0].size:
                heapq.heapreplace(self._largest, item)
        else:
            self.duplicates.contents += not known
            self.duplicates.copies += 1
            self.duplicates.size += size
            self.duplicates.stored_size += stored

    def as_json(self) -> dict[str, Any]:
        """Return the figures as values that JSON knows."""
        total = self.total
        return {
            "packs": self.packs,
            "failed": self.failed,
            "pack_size": self.pack_size,
            "zips": {
                "packs": self.with_zip,
                "pack_size": self.with_zip_size,
                "zip_size": self.zip_size,
                "ratio": ratio(self.with_zip_size, self.zip_size),
            },
            "files": self.files,
            "damaged": self.damaged,
            "packs_with_damage": self.packs_with_damage,
            "total_size": total.size,
            "stored_size": total.stored_size,
            "content_count": self.content_count,
            "content_size": self.content_size,
            "lookups": {
                "files": self.lookups,
                "stored_size": self.lookups_size,
                "without": self.without_lookup,
            },
            "types": {
                name: {**asdict(each), "ratio": ratio(each.stored_size, each.size)}
                for name, each in sorted(self.types.items())
            },
            "duplicates": asdict(self.duplicates),
            "largest": [each._asdict() for each in self.largest],
        }


def ratio(part: int, whole: int) -> float | None:
    """Return a share with four digits; None of nothing."""
    return round(part / whole, 4) if whole else None


def gather(
    packs: Iterable[FoundPack],
    *,
    failed: Failed,
    row: Callable[[Row], None] | None = None,
    progress: Callable[[str, Statistics], None] | None = None,
) -> Statistics:
    """Count packs, as `find_packs` yields them, one after the other.

    `failed` is told why one could not be read, or not to its end; `row` gets the row of each entry, and what
    it raises is no pack's fault, and ends all; `progress` is told which is next, and what was counted so far.
    """
    statistics = Statistics()

    def fail(error: SrcpackError | OSError | ValueError) -> None:
        statistics.failed += 1
        failed(error)

    for pack in packs:
        if progress is not None:
            progress(without_secrets(pack.place), statistics)
        for each in _counted(pack, statistics, fail, with_rows=row is not None):
            if row is not None:
                row(each)
                statistics.rows += 1
    return statistics


def _counted(found: FoundPack, statistics: Statistics, fail: Failed, *, with_rows: bool) -> Iterator[Row]:
    """Count a pack, and yield its entries' rows if they are wanted."""
    # Errors of whoever takes the rows, a full disk say, do not come through here: they are not a pack's.
    try:
        # By `pread`: a map would end the process if someone cut the file.
        with open_pack(found.checked(), source="pread") as pack:
            entries = statistics.count(pack)
            if with_rows:
                yield from rows_of(pack, entries)
            else:
                deque(entries, maxlen=0)
    except (SrcpackError, OSError, ValueError) as error:
        fail(error)
