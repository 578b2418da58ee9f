"""Everything that can be asked of a pack, and the judgement of what a damaged one answers.

An answer of a damaged pack is the right one, or it is refused with a `SrcpackError`. Anything else is wrong:
other content, another entry, another field, one where there is none, any other exception; or it is a silent
miss: nothing, where there is something.

The reader is a function of the bytes that it reads. So a question that reads none of the bytes that were
changed has the same answer as before, and need not be asked again; which bytes each question reads is
recorded while the whole pack is asked. `judge` asks all the questions where it is not told what was
changed, and `tests/format/test_damage.py` has an exhaustive test that never tells it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from srcpack import DamagedMember, NotFound, Pack, SrcpackError
from srcpack.format.head_tail import FRAME_HEADER, HEAD_SIZE, LOOKUPS, MANIFEST, TAIL_SIZE
from srcpack.format.index import SLOT, parse_fan_out
from srcpack.format.lookup_section import TableLookup
from srcpack.format.packfile import PackFile
from srcpack.format.zstd_frames import DICTIONARIES
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind
from srcpack.source.local import BytesSource
from support.damage import HARMLESS, MISSED, REFUSED, WRONG, Damage, Pieces, damages, flipped
from support.pack_questions import Ask, about_key, about_prefix, of_entry, questions_of
from support.sample_packs import large_pack, open_bytes, other_pack, sample_packs, twin_pack

LARGE = "bits of a large one flipped, sampled"
"""A kind of damage more, of a pack that is too large to try each bit."""

LARGE_STEP = 1999
"""Distance of the bits that are flipped in it; prime, so that bits of each number in a byte come up."""


def forget_dictionaries() -> None:
    """Let the next pack read its dictionary itself; the process keeps the last few."""
    DICTIONARIES.clear()


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
    questions: dict[str, Ask] = {"len": len, "names": list, **about_prefix("files/1")}
    for name in open_bytes(data):
        questions |= of_entry(name, "read") | about_key(Kind.NAME, name)
        questions |= about_key(Kind.URL, f"~/{name}") | about_key(Kind.URL, f"~/no/{name}")
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
