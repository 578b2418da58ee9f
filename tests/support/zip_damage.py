"""Damages the zips that the sample packs are made from, in the same ways, and judges a reader of zips.

The reader is what services have: `zipfile`, `json`, and dictionaries from URL, path and debug id to members.
It is judged mildly: any exception counts as a refusal, and where bytes of another bundle were put in, all
answers may also be those of the other one.
"""

import io
import json
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from support.damage import (
    ADDITIONS,
    CUTS,
    EXCHANGES,
    FLIPS,
    HARMLESS,
    MISSED,
    REFUSAL,
    REFUSED,
    SAMPLE_STEP,
    SAMPLED,
    SPLICES,
    SWAPS,
    WRONG,
    ZEROS,
    Damage,
    Oracle,
    Question,
    Verdict,
    bundle_of,
    cut,
    exchanged_pieces,
    exchanged_ranges,
    flipped,
    judge,
    large_bundle,
    lengthened,
    moved_pieces,
    other_bundle,
    record,
    spliced,
    swapped_pieces,
    zeroed,
)

__all__ = ["ZipReader", "large_zip_oracle", "pieces_of_zip", "tally_zip", "zip_damages", "zip_oracle_of"]

_END_SIZE = 22
_CENTRAL_SIZE, _LOCAL_SIZE = 46, 30
_OUTCOMES = (HARMLESS, REFUSED, MISSED, WRONG)
"""From good to bad."""


class ZipReader:
    """A SourceBundle as services read it."""

    def __init__(self, file: io.BytesIO) -> None:
        self._zip = zipfile.ZipFile(file)
        self.manifest: dict[str, Any] = json.loads(self._zip.read("manifest.json"))
        self.files: dict[str, dict[str, Any]] = self.manifest["files"]
        self._names: dict[tuple[str, str], str] = {}
        for name in sorted(self.files):
            info = self.files[name]
            keys = [("path", info.get("path")), ("url", info.get("url"))]
            for header, value in info.get("headers", {}).items():
                if header.lower() == "debug-id":
                    keys.append(("debug id", f"{value.lower()} {info['type']}"))
            self._names.update({(kind, key): name for kind, key in keys if key})

    def names(self) -> list[str]:
        """Return the names of the members."""
        return sorted(self._zip.namelist())

    def find(self, kind: str, key: str) -> str | None:
        """Return the name of the member that has a path, URL or debug id."""
        return self._names.get((kind, key))

    def read(self, name: str) -> bytes:
        """Return the content of a member."""
        return self._zip.read(name)

    def keys(self) -> list[tuple[str, str]]:
        """Return all paths, URLs and debug ids."""
        return list(self._names)


class _TracedFile(io.BytesIO):
    """A zip in memory that notes which of its bytes are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.spans: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        """Read some bytes."""
        start = self.tell()
        data = super().read(size)
        self.spans.append((start, start + len(data)))
        return data


def _opened(data: bytes) -> ZipReader:
    return ZipReader(io.BytesIO(data))


def _questions_of(reader: ZipReader) -> Iterator[Question]:
    attributes = [key for key in reader.manifest if key != "files"]
    yield Question("names", lambda reader: reader.names())
    yield Question("attributes", lambda reader: {key: reader.manifest[key] for key in attributes})
    yield Question("files", lambda reader: list(reader.files))
    for name in sorted({*reader.files, *reader.names()}):
        yield _field_question(name)
        yield _read_question(name)
    keys = [*reader.keys(), ("url", "~/no/such"), ("path", "/no/such"), ("debug id", f"{'0' * 32} source")]
    for kind, key in keys:
        yield _find_question(kind, key)


def _field_question(name: str) -> Question:
    return Question(f"fields of {name!r}", lambda reader: reader.files.get(name))


def _read_question(name: str) -> Question:
    return Question(f"read {name!r}", lambda reader: reader.read(name))


def _find_question(kind: str, key: str) -> Question:
    return Question(f"find {kind} {key!r}", lambda reader: reader.find(kind, key))


@cache
def zip_oracle_of(data: bytes) -> Oracle:
    """Ask a whole zip everything, and note what is read for each answer."""
    return _oracle(data, list(_questions_of(_opened(data))), cell=1)


@cache
def large_zip_oracle() -> Oracle:
    """Return the oracle of the large bundle."""
    data = large_bundle()
    return _oracle(data, list(_questions_of(_opened(data))), cell=64)


def _oracle(data: bytes, questions: Sequence[Question], *, cell: int) -> Oracle:
    file = _TracedFile(data)
    reader = ZipReader(file)
    opening = [range(start, end) for start, end in file.spans if end > start]

    def traced(question: Question) -> tuple[object, Iterable[tuple[int, int]]]:
        file.spans = []
        try:
            answer = question.ask(reader)
        except KeyError:  # a file that the manifest lists and the zip does not have
            answer = REFUSAL
        return answer, file.spans

    return record(data, questions, traced, opening=opening, cell=cell, opened=_opened, refusals=Exception)


# ---- damage


def pieces_of_zip(data: bytes) -> dict[str, list[range]]:
    """Return where in a zip the things lie that can change places, by their kind."""
    count, size, offset = struct.unpack_from("<HLL", data, len(data) - _END_SIZE + 10)
    members, contents, records = [], [], []
    at = offset
    for _ in range(count):
        packed = struct.unpack_from("<L", data, at + 20)[0]
        name, extra, comment = struct.unpack_from("<3H", data, at + 28)
        start = struct.unpack_from("<L", data, at + 42)[0]
        content = start + _LOCAL_SIZE + name
        members.append(range(start, content + packed))
        contents.append(range(content, content + packed))
        end = at + _CENTRAL_SIZE + name + extra + comment
        records.append(range(at, end))
        at = end
    return {
        "section": [range(offset), range(offset, offset + size)],
        "member": members,
        "content": contents,
        "record": records,
    }


def zip_damages(pack: str, kind: str, step: int = 1) -> Iterator[tuple[tuple[Oracle, ...], Damage]]:
    """Yield each damage of a kind to the zip of a sample pack, with the zips whose answers are right.

    Args:
        pack: Name of the sample pack.
        kind: One of `damage.KINDS`, or `SAMPLED`, for which the pack's name says nothing.
        step: Distance of the places tried, where a kind tries many; 1 tries all.
    """
    if kind == SAMPLED:
        oracle = large_zip_oracle()
        for damage in flipped(oracle.data, SAMPLE_STEP * step):
            yield (oracle,), damage
        return
    whole, other = bundle_of(pack), other_bundle(pack)
    oracles = (zip_oracle_of(whole), zip_oracle_of(other))
    pieces = pieces_of_zip(whole)
    made: list[Iterator[Damage]] = []
    if kind == FLIPS:
        made = [flipped(whole, step)]
    elif kind == ZEROS:
        made = [zeroed(whole, step)]
    elif kind == SWAPS:
        made = [swapped_pieces(whole, pieces), moved_pieces(whole, pieces)]
    elif kind == EXCHANGES:
        made = [
            exchanged_ranges(whole, other, step),
            exchanged_pieces(whole, pieces, other, pieces_of_zip(other)),
        ]
    elif kind == SPLICES:
        made = [spliced(whole, other, step), spliced(other, whole, step)]
    elif kind == CUTS:
        made = [cut(whole)]
    elif kind == ADDITIONS:
        made = [lengthened(whole, other)]
    mixed = kind in (EXCHANGES, SPLICES, ADDITIONS)
    for damages in made:
        for damage in damages:
            yield oracles if mixed else oracles[:1], damage._replace(touched=None) if mixed else damage


def tally_zip(
    pack: str, kind: str, *, step: int = 1, most: int | None = None
) -> tuple[Counter[str], list[str]]:
    """Damage the zip of a sample pack in every way of a kind and count what became of it.

    Args:
        pack: Name of the sample pack.
        kind: As `zip_damages`.
        step: As `zip_damages`.
        most: Most questions asked of each damaged zip; None asks all that the damage concerns.

    Returns:
        How many ended how, and each wrong answer.
    """
    counts: Counter[str] = Counter()
    wrong = []
    for turn, (oracles, damage) in enumerate(zip_damages(pack, kind, step)):
        verdicts = (
            judge(damage.data, oracle, touched=damage.touched, most=most, turn=turn) for oracle in oracles
        )
        verdict = _best(verdicts)
        counts[verdict.outcome] += 1
        wrong += [f"{pack}: {damage.what}: {answer}" for answer in verdict.wrong]
    return counts, wrong


def _best(verdicts: Iterable[Verdict]) -> Verdict:
    best = Verdict(WRONG)
    for verdict in verdicts:
        if _OUTCOMES.index(verdict.outcome) <= _OUTCOMES.index(best.outcome):
            best = verdict
        if best.outcome in (HARMLESS, REFUSED):
            break
    return best
