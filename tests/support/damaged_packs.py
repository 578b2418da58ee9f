"""Everything that can be asked of a pack, and the judgement of what a damaged one answers.

An answer of a damaged pack is the right one, or it is refused with a `SrcpackError`. Anything else is wrong:
other content, another entry, another field, one where there is none, any other exception; or it is a silent
miss: nothing, where there is something.

The reader is a function of the bytes that it reads. So a question that reads none of the bytes that were
changed has the same answer as before, and need not be asked again; which bytes each question reads is
recorded while the whole pack is asked. `judge` asks all the questions where it is not told what was
changed, and `tests/format/test_damage.py` has an exhaustive test that never tells it.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from srcpack import DamagedMember, DebugId, Entry, FileType, NotFound, Pack, SourceLink, SrcpackError
from srcpack.format.head_tail import FRAME_HEADER, HEAD_SIZE, LOOKUPS, MANIFEST, TAIL_SIZE
from srcpack.format.index import SLOT, parse_fan_out
from srcpack.format.keys import hash_key
from srcpack.format.lookup_rows import Row
from srcpack.format.lookup_section import TableLookup
from srcpack.format.packfile import PackFile
from srcpack.format.zstd_frames import DICTIONARIES
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind, debug_id_key, keys_of
from srcpack.source.local import BytesSource
from support.damage import HARMLESS, MISSED, REFUSED, WRONG, Damage, Pieces, damages, flipped
from support.sample_packs import (
    DEBUG_IDS,
    SMALL,
    large_pack,
    open_bytes,
    other_pack,
    sample_packs,
    twin_pack,
)

__all__ = [
    "LARGE",
    "Oracle",
    "Verdict",
    "edges_of",
    "forget_dictionaries",
    "judge",
    "large_oracle",
    "oracle_of",
    "pack_damages",
    "pieces_of",
    "tally",
]

LARGE = "bits of a large one flipped, sampled"
"""A kind of damage more, of a pack that is too large to try each bit."""

LARGE_STEP = 1999
"""Distance of the bits that are flipped in it; prime, so that bits of each number in a byte come up."""

Ask: TypeAlias = Callable[[Pack], object]


def forget_dictionaries() -> None:
    """Let the next pack read its dictionary itself; the process keeps the last few."""
    DICTIONARIES.clear()


# ---- questions


def questions_of(pack: Pack) -> dict[str, Ask]:
    """Return every question about a pack, with arguments that it has and ones that it has not."""
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
        asked |= _about_prefix(prefix)
    entries = list(pack.entries())
    contents = set()
    for entry in entries:
        asked |= _about_name(entry.name)
        # Of a content that another entry has too, this one's way to it is asked, the rest is the same.
        if entry.sha256 not in contents:
            asked |= _about_content(entry.name, entry.size, entry.lines)
        contents.add(entry.sha256)
        if isinstance(lookup := entry.lookup_table(), TableLookup):
            asked |= _about_originals(entry.name, list(lookup.table.rows()))
    keys = {key for entry in entries for key in keys_of(entry.record)}
    links = ("C:/src/b.c", "/linked/one.c", "/LINKED/two.c", "\\linked\\three.c")
    for kind, key in [*sorted(keys), *_absent_keys(pack), *((Kind.PATH, path) for path in links)]:
        asked |= _about_key(kind, key)
    readable = [entry.name for entry in entries if entry.damage is None]
    return asked | {"read_many": lambda pack: pack.read_many(readable)}


def _fields(found: Entry | SourceLink | None) -> object:
    """Return all that an entry says of itself."""
    if not isinstance(found, Entry):
        return found
    facts = (found.name, found.type, found.path, found.url, dict(found.headers), found.debug_id, found.lines)
    more = (found.source_mapping_url, found.size, found.stored_size, found.sha256, found.raw, found.damage)
    return *facts, *more, found.record


def _about_prefix(prefix: str) -> dict[str, Ask]:
    return {f"find_prefix {prefix!r}": lambda pack: list(map(_fields, pack.find_prefix(prefix)))}


def _about_name(name: str) -> dict[str, Ask]:
    return {f"read {name!r}": lambda pack: pack[name].read()}


def _about_content(name: str, size: int, lines: int) -> dict[str, Ask]:
    def viewed(pack: Pack) -> object:
        view = pack[name].view()
        return bytes(view), view.readonly

    def streamed(pack: Pack) -> object:
        with pack[name].open() as file:
            start = file.read(10)
            return start, file.seek(0), io.BufferedReader(file).read()

    asked: dict[str, Ask] = {
        f"text {name!r}": lambda pack: pack[name].text(),
        f"view {name!r}": viewed,
        f"open {name!r}": streamed,
    }
    for start, length in {(0, 1), (size // 2, 7), (max(0, size - 3), 9), (SMALL - 2, 4), (size, 1)}:
        asked |= _about_range(name, start, length)
    for line in {1, lines // 2, lines, lines + 1}:
        asked |= _about_line(name, line)
    return asked


def _about_range(name: str, start: int, length: int) -> dict[str, Ask]:
    return {f"read_range {name!r} {start} {length}": lambda pack: pack[name].read_range(start, length)}


def _about_line(name: str, line: int) -> dict[str, Ask]:
    return {f"context {name!r} {line}": lambda pack: pack[name].context(line, lines=2, column=3)}


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


def _about_key(kind: Kind, key: str) -> dict[str, Ask]:
    if kind is Kind.NAME:
        return {
            f"entry {key!r}": lambda pack: _fields(pack[key]),
            f"get {key!r}": lambda pack: _fields(pack.get(key)),
            f"contains {key!r}": lambda pack: key in pack,
        }
    if kind is Kind.PATH:
        return {
            f"by_path {key!r}": lambda pack: _fields(pack.by_path(key)),
            f"source_link {key!r}": lambda pack: _fields(pack.source_link(key)),
        }
    if kind is Kind.URL:
        return {f"by_url {key!r}": lambda pack: _fields(pack.by_url(key))}
    debug_id, file_type = key.split()
    wanted = DebugId.parse(debug_id), FileType(file_type)
    return {f"by_debug_id {key!r}": lambda pack: _fields(pack.by_debug_id(*wanted))}


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


# ---- answers


class _Raised(NamedTuple):
    """An answer that is an error: there is no such entry, or its member could not be read."""

    error: str
    member: str | None
    reason: str | None


_REFUSAL = object()


def _answer(ask: Ask, pack: Pack) -> object:
    """Return the answer; `_REFUSAL` where what is asked is found to be damaged."""
    try:
        return ask(pack)
    except (NotFound, DamagedMember) as error:
        return _Raised(type(error).__name__, error.member, getattr(error, "reason", None))
    except SrcpackError:
        return _REFUSAL
    except Exception as error:  # noqa: BLE001  any other exception is just what is looked for
        return error


class _TracedSource(BytesSource):
    """A pack in memory that notes which of its bytes are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.spans: set[tuple[int, int]] = set()

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of the bytes."""
        self.spans.add((offset, offset + length))
        return super().read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        """Return a view of the bytes."""
        self.spans.add((offset, offset + length))
        return super().view(offset, length)


class Oracle:
    """A whole pack with the questions to it and the right answers.

    Attributes:
        data: The pack.
        questions: Name and question.
        answers: The answer to each.
        readers: For each of its cells, a bit for each question that reads of it after it was opened.
        cell: Bytes in a cell.
    """

    def __init__(self, data: bytes, questions: dict[str, Ask], *, cell: int = 1) -> None:
        self.data, self.questions, self.cell = data, list(questions.items()), cell
        self.answers: list[object] = []
        self.readers = [0] * (len(data) // cell + 1)
        self._numbers: dict[int, list[int]] = {}
        for number, (name, ask) in enumerate(self.questions):
            # A pack of its own for each, so that nothing is answered from a cache.
            forget_dictionaries()
            source = _TracedSource(data)
            pack = Pack(PackFile(source, file="whole"))
            source.spans.clear()
            answer = _answer(ask, pack)
            assert answer is not _REFUSAL, name
            assert not isinstance(answer, Exception), name
            self.answers.append(answer)
            spans = (range(start // cell, (end - 1) // cell + 1) for start, end in source.spans if end)
            for at in set().union(*spans):
                self.readers[at] |= 1 << number

    def concerned(self, touched: Iterable[range] | None) -> list[int]:
        """Return the numbers of the questions that read a byte of the ranges; of all, if there are none."""
        mask = 0
        for span in touched or ():
            if span.start < HEAD_SIZE or span.stop > len(self.data) - TAIL_SIZE:
                touched = None  # it is read when the pack is opened, and so concerns all
                break
            for at in range(span.start // self.cell, (span.stop - 1) // self.cell + 1):
                mask |= self.readers[at]
        if touched is None:
            mask = (1 << len(self.questions)) - 1
        if mask not in self._numbers:
            self._numbers[mask] = [number for number in range(len(self.questions)) if mask >> number & 1]
        return self._numbers[mask]


@cache
def oracle_of(data: bytes) -> Oracle:
    """Return the oracle of a small pack."""
    return Oracle(data, questions_of(open_bytes(data)))


@cache
def large_oracle() -> Oracle:
    """Return the oracle of the large pack; of each file it knows less than that of a small one."""
    data = large_pack()
    questions: dict[str, Ask] = {"len": len, "names": list, **_about_prefix("files/1")}
    for name in open_bytes(data):
        questions |= _about_name(name) | _about_key(Kind.NAME, name)
        questions |= _about_key(Kind.URL, f"~/{name}") | _about_key(Kind.URL, f"~/no/{name}")
    return Oracle(data, questions, cell=64)


# ---- judgement


class Verdict(NamedTuple):
    """What became of a damage, and what was answered wrongly and how, if anything was."""

    outcome: str
    wrong: tuple[str, ...] = ()


def judge(
    data: bytes,
    oracle: Oracle,
    *,
    touched: Iterable[range] | None = None,
    most: int | None = None,
    turn: int = 0,
    opened: Callable[[bytes], Pack] = open_bytes,
) -> Verdict:
    """Open a damaged pack, ask it, and hold the answers against the right ones.

    Args:
        data: The damaged pack.
        oracle: Of the pack that it was, or, of two packs put together, of the one whose tail it has.
        touched: What differs, where that is known; None asks everything.
        most: Most questions to ask; `turn` decides which; None asks all that are concerned.
        turn: Number of the damage.
        opened: Opens it.
    """
    try:
        pack = opened(data)
    except SrcpackError:
        return Verdict(REFUSED)
    except Exception as error:  # noqa: BLE001  any other exception is just what is looked for
        return Verdict(WRONG, (f"open: {error!r}",))
    forget_dictionaries()
    numbers = oracle.concerned(touched)
    if most is not None and len(numbers) > most:
        step = -(-len(numbers) // most)
        numbers = numbers[turn % step :: step]
    outcome, wrong, only_missed = HARMLESS, [], True
    for number in numbers:
        (name, ask), right = oracle.questions[number], oracle.answers[number]
        answer = _answer(ask, pack)
        if answer is _REFUSAL:
            outcome = REFUSED
        elif answer is not right and answer != right:
            only_missed = only_missed and _is_nothing(answer, right)
            wrong.append(f"{name}: {answer!r:.300}, not {right!r:.300}")
    if wrong:
        outcome = MISSED if only_missed else WRONG
    return Verdict(outcome, tuple(wrong))


def _is_nothing(answer: object, right: object) -> bool:
    """Return whether an answer says that there is nothing, or less, where there is something."""
    if answer is None or answer is False or (isinstance(answer, _Raised) and not answer.reason):
        return True
    return isinstance(answer, list) and isinstance(right, list) and all(each in right for each in answer)


def pieces_of(data: bytes) -> Pieces:
    """Return where in a pack the things lie that can change places."""
    pack = open_bytes(data)
    tail, index = packfile_of(pack).tail, packfile_of(pack).directory.layout
    buckets = []
    for number in range(tail.bucket_count):
        first, _, end = parse_fan_out(pack.store.source.read(*index.fan_out_at(number)))
        buckets.append(range(index.slots + first * SLOT.size, index.slots + end * SLOT.size))
    blocks = [(tail.sections[MANIFEST].offset + FRAME_HEADER.size, tail.attributes_length)]
    blocks += [packfile_of(pack).directory.block_place(number) for number in range(tail.block_count)]
    lookups = [entry.record.lookup for entry in pack.entries() if entry.record.lookup is not None]
    start = tail.sections[LOOKUPS].offset + FRAME_HEADER.size if lookups else 0
    frames = {frame[:2] for entry in pack.entries() for frame in entry.record.frames}
    return {
        "section": [range(section.offset, section.end) for section in tail.sections.values()],
        "block": [range(offset, offset + length) for offset, length in blocks],
        "place of a block": _run(index.block_table, 12, tail.block_count),
        "frame": [range(offset, offset + length) for offset, length in sorted(frames)],
        "fan-out": _run(index.fan_out, 8, tail.bucket_count + 1),
        "slots of a bucket": buckets,
        "slot": _run(index.slots, 8, tail.slot_count),
        "lookup table": [range(start + each.offset, start + each.offset + each.length) for each in lookups],
        "lookup block": list(_lookup_blocks(pack, start)),
    }


def _lookup_blocks(pack: Pack, start: int) -> Iterator[range]:
    """Yield where the frames of blocks of tables lie."""
    for entry in pack.entries():
        lookup, place = entry.lookup_table(), entry.record.lookup
        if isinstance(lookup, TableLookup) and place is not None and lookup.table.head.inside is None:
            at = start + place.offset + place.head
            for one, other in pairwise((0, *lookup.table.head.ends)):
                yield range(at + one, at + other)


def _run(start: int, size: int, count: int) -> list[range]:
    return [range(at, at + size) for at in range(start, start + size * count, size)]


def edges_of(data: bytes) -> set[int]:
    """Return the offsets of head and tail, and where each piece begins and ends."""
    spans = [span for pieces in pieces_of(data).values() for span in pieces if span]
    ends = {at for span in spans for at in (span.start, span.stop - 1)}
    return ends | {*range(HEAD_SIZE), *range(len(data) - TAIL_SIZE, len(data))}


def pack_damages(name: str, kind: str, step: int = 1) -> Iterator[Damage]:
    """Yield each damage of a kind to a sample pack; with a step over 1 in fewer places, but at all edges."""
    if kind == LARGE:
        return flipped(large_pack(), LARGE_STEP * step)
    whole, others = sample_packs()[name], (other_pack(name), twin_pack(name))
    edges = edges_of(whole) if step > 1 else ()
    movable = ("section", "block")
    return damages(kind, whole, others, pieces_of, movable=movable, step=step, edges=edges)


def tally(name: str, kind: str, *, step: int = 1, most: int | None = None) -> tuple[Counter[str], list[str]]:
    """Damage a sample pack in every way of a kind and count what became of it.

    Args:
        name: Of the sample pack; it says nothing where the kind is `LARGE`.
        kind: One of `damage.KINDS`, or `LARGE`.
        step: As `pack_damages`.
        most: Most questions asked of each damaged pack; None asks all that the damage concerns.

    Returns:
        How many ended how, and each wrong answer.
    """
    counts: Counter[str] = Counter()
    wrong = []
    for turn, damage in enumerate(pack_damages(name, kind, step)):
        oracle = large_oracle() if kind == LARGE else oracle_of(damage.whole)
        verdict = judge(damage.data, oracle, touched=damage.touched, most=most, turn=turn)
        counts[verdict.outcome] += 1
        wrong += [f"{name}: {damage.what}: {answer}" for answer in verdict.wrong]
    return counts, wrong
