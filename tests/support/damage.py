"""Damages packs in every way, and judges what the reader then answers.

Four small packs, one of each kind, and a large one; every question that can be asked of a pack, with the
right answers; every kind of damage; and the judgement: an answer of a damaged pack is the right one, or it is
refused with a `SrcpackError`. Anything else is wrong: other content, another entry, another field, one
where there is none, any other exception; or it is a silent miss: nothing, where there is something.

The reader is a function of the bytes that it reads. So a question that reads none of the bytes that were
changed has the same answer as before, and need not be asked again; which bytes each question reads is
recorded while the whole pack is asked. `judge` asks all the questions where it is not told what was
changed, and `tests/format/test_damage.py` has a slow test that never tells it.

`tests/support/zip_damage.py` does the same to zips; `python -m support.damage_tables` prints.
"""

import hashlib
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from srcpack import DamagedMember, DebugId, Entry, FileType, NotFound, Pack, SourceLink, SrcpackError
from srcpack.format.frames import DICTIONARIES
from srcpack.format.head_tail import FRAME_HEADER, HEAD_SIZE, MANIFEST, TAIL_SIZE
from srcpack.format.index import SLOT, parse_fan_out
from srcpack.format.keys import hash_key
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind, debug_id_key, keys_of
from srcpack.source.local import BytesSource
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle

__all__ = [
    "ADDITIONS",
    "CUTS",
    "EXCHANGES",
    "FLIPS",
    "HARMLESS",
    "KINDS",
    "MISSED",
    "REFUSAL",
    "REFUSED",
    "SAMPLED",
    "SAMPLE_STEP",
    "SPLICES",
    "SWAPS",
    "WRONG",
    "ZEROS",
    "Damage",
    "Oracle",
    "Question",
    "Verdict",
    "bundle_of",
    "cut",
    "damages",
    "equal_blocks_pack",
    "exchanged",
    "exchanged_pieces",
    "exchanged_ranges",
    "flipped",
    "forget_dictionaries",
    "judge",
    "large_bundle",
    "large_oracle",
    "lengthened",
    "moved_pieces",
    "oracle_of",
    "other_bundle",
    "other_pack",
    "pieces_of",
    "record",
    "sample_packs",
    "spliced",
    "swapped",
    "swapped_pieces",
    "tally",
    "twin_pack",
    "zeroed",
]

REFUSED, HARMLESS, WRONG, MISSED = "refused", "harmless", "WRONG", "silent miss"
"""What became of a damage: something was refused; all was answered rightly; an answer was wrong; the only
wrong answers were that there is nothing, where there is something."""

FLIPS, ZEROS, SWAPS, EXCHANGES, SPLICES, CUTS, ADDITIONS = KINDS = (
    "each bit flipped",
    "8, 16, 32, 64 bytes zeroed",
    "pieces change places",
    "bytes and pieces of another pack",
    "start of another pack",
    "cut",
    "bytes added or left out",
)
"""Kinds of damage."""

SAMPLED = "bits of a large one flipped, sampled"
"""A kind more, for what is too large to try each bit."""

_SMALL = 4096
"""The smallest frame size that the converter takes, so that a small file has several frames."""

SAMPLE_STEP = 1999
"""Distance of the bits of a sample: a prime number, so that there are bits of each number in a byte."""

_RELEASE = 24
_TAIL_END_SIZE = 16
_DEBUG_IDS = [f"{number:08x}-2222-4333-8444-5555{number:08x}" for number in range(1, 60)]
_TEXTS = [f"let v{digit} = {digit * 6};\n" * 5 for digit in "123456"]
"""Of equal length; their frames have equal lengths too."""


# ---- packs


def _bundle(fillers: int, large: Mapping[str, bytes], release: str) -> bytes:
    """Build a bundle that has every kind of member and of key, `large` ones, and `fillers` more."""
    texts = [text.encode() for text in _TEXTS]
    listed: dict[str, dict[str, object]] = {
        "files/_/app.min.js": {
            "type": "minified_source",
            "url": "~/app.min.js",
            "headers": {"Debug-Id": _DEBUG_IDS[0], "sourcemap": "app.min.js.map"},
        },
        "files/_/app.min.js.map": {
            "type": "source_map",
            "url": "~/app.min.js.map",
            "headers": {"debug-id": _DEBUG_IDS[0]},
        },
        "files/src/b.c": {"type": "source", "path": "C:\\src\\b.c", "url": "", "odd": [1, {"two": None}]},
        "files/empty.js": {"type": "source", "url": "~/empty.js"},
        "files/latin.txt": {"type": None, "path": "/src/latin.txt"},
        "files/lost.js": {"type": "source", "path": "/src/lost.js", "url": "~/lost.js"},
        "files/no-type.js": {"url": "~/no-type.js", "headers": {}},
    }
    # Two members with the same path, URL and debug id: the greater name has the keys.
    for name in ("files/b/twice.js", "files/a/twice.js"):
        headers = {"debug-id": _DEBUG_IDS[1], "x-sourcemap": f"{name}.map"}
        listed[name] = {"type": "source", "path": "/src/twice.js", "url": "~/twice.js", "headers": headers}
    files = {
        "files/_/app.min.js": b"(()=>{" + b"throw new Error(1);" * 5 + b"})()\n//# sourceMappingURL=no\n",
        "files/_/app.min.js.map": b'{"version":3,"sources":["a.js","a.js","a.js"],"mappings":"AAAA,AAAA"}',
        "files/src/b.c": b"int main(void)\r\n{\r\n    return 0;\r\n    return 0;\r\n}",
        "files/a/twice.js": texts[0],
        "files/b/twice.js": texts[1],
        "files/empty.js": b"",
        "files/latin.txt": "é à la carte, à la carte, à la carte, à la carte\n".encode("latin-1"),
        "files/no-type.js": texts[2] + f"//# debugId={_DEBUG_IDS[3]}\n".encode(),
        "notes/unlisted.txt": texts[3],
    }
    for name, content in large.items():
        files[name] = content
        listed[name] = {"type": "source", "url": f"~/{name}", "path": f"/{name}"}
    for number in range(fillers):
        name = f"lib/{number:02}.js"
        files[name] = texts[number % len(texts)]
        listed[name] = {"type": "source", **({"url": f"~/{number}.js"} if number % 4 == 0 else {})}
    links = {"/linked/*": "https://example.com/*", "/linked/one.c": "https://example.com/1"}
    return build_bundle(files, {"release": release, "files": listed, "source_links": links})


def _noise(size: int) -> bytes:
    """Return bytes that zstd cannot shrink."""
    return hashlib.shake_256(b"noise").digest(size)


@cache
def _dictionary() -> bytes:
    samples: list[bytes | bytearray | memoryview] = [
        f"{text}// {number}\n".encode() for number in range(60) for text in _TEXTS
    ]
    return zstandard.train_dictionary(600, samples).as_bytes()


def _converted(bundle: bytes, **options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sample.srcpack")
        convert(bundle, path, **options)
        return path.read_bytes()


def _sample(pack: str, *, level: int = 12, release: str | None = None) -> bytes:
    options: dict[str, Any] = {"level": level, "frame_size": _SMALL, "dictionary": "off"}
    if pack == "dictionary":
        options["dictionary"] = _dictionary()
    elif pack == "raw":
        options["raw"] = ["raw/*", "files/src/*", "files/latin*"]
    return _converted(bundle_of(pack, release=release), **options)


def bundle_of(pack: str, *, release: str | None = None) -> bytes:
    """Return the bundle that a sample pack is made from, or that of another release."""
    fillers, large = {"dictionary": 8, "plain": 60}.get(pack, 4), {}
    if pack == "raw":
        large = {"raw/parts.bin": _noise(_SMALL + 100), "raw/one.bin": _noise(90)}
    elif pack == "frames":
        line = b"%d: the same words on each line\n"
        large = {"frames/long.txt": b"".join(line % number for number in range(300))}
    return _bundle(fillers, large, _noise(_RELEASE).hex() if release is None else release)


def other_bundle(pack: str) -> bytes:
    """Return the bundle of another release, with the same members, that has just as many bytes."""
    whole = bundle_of(pack)
    for number in range(1000):
        other = bundle_of(pack, release=hashlib.sha256(bytes([number % 256, number >> 8])).hexdigest()[:48])
        if len(other) == len(whole):
            return other
    raise ValueError(f"no other bundle of {pack!r} found")


@cache
def large_bundle() -> bytes:
    """Return a bundle of hundreds of files, of which the largest has a megabyte."""
    words = [hashlib.sha256(bytes([number])).hexdigest()[: 3 + number % 7] for number in range(200)]

    def text(seed: int, lines: int) -> bytes:
        noise = hashlib.shake_256(b"%d" % seed).digest(6 * lines)
        picked = [words[byte % 200] for byte in noise]
        return "".join(" ".join(picked[at : at + 6]) + ";\n" for at in range(0, len(picked), 6)).encode()

    files = {f"files/{number:03}.js": text(number, 3 + number % 90) for number in range(400)}
    files["files/large.js"] = text(1000, 30_000)
    files["files/noise.bin"] = _noise(200_000)
    listed = {name: {"type": "source", "url": f"~/{name}"} for name in files}
    return build_bundle(files, {"release": "1", "files": listed})


@cache
def large_oracle() -> "Oracle":
    """Return the oracle of the large bundle's pack; of each file it knows less than that of a small one."""
    data = _converted(large_bundle(), level=3, frame_size=64 << 10)
    names = list(Pack(PackFile(BytesSource(data), file="whole")))
    questions = [Question("len", len), Question("names", list), _prefix_question("files/1")]
    for name in names:
        questions += [_read_question(name), *_key_questions(Kind.NAME, name)]
        questions += [*_key_questions(Kind.URL, f"~/{name}"), *_key_questions(Kind.URL, f"~/no/{name}")]
    return _pack_oracle(data, questions, cell=64)


@cache
def sample_packs() -> Mapping[str, bytes]:
    """Return a small pack of each kind.

    `dictionary` has one; `plain` has none, but two blocks of entries; `raw` has raw contents of one and
    of two parts; `frames` has a file of several frames.
    """
    return {pack: _sample(pack) for pack in ("dictionary", "plain", "raw", "frames")}


@cache
def other_pack(pack: str) -> bytes:
    """Return a pack of the same bundle at another level: other frames, another seed."""
    return _sample(pack, level=1)


@cache
def twin_pack(pack: str) -> bytes:
    """Return a pack of another bundle, with the same members, that has just as many bytes."""
    digits = _noise(200)[::-1].hex()
    for size in range(len(digits)):
        twin = _sample(pack, release=digits[:size])
        if len(twin) == len(sample_packs()[pack]):
            return twin
    raise ValueError(f"no twin of {pack!r} found")


@cache
def equal_blocks_pack() -> bytes:
    """Return a pack whose two blocks of entries have the same length in the file."""
    files = {f"files/{number:02}.js": _TEXTS[0].encode() for number in range(68)}
    listed = {name: {"type": "source", "url": f"~/{name}"} for name in files}
    size = 0
    for attempt in range(200):
        listed["files/66.js"]["odd"] = _noise(4000).hex()[attempt : attempt + size]
        data = _converted(build_bundle(files, {"files": listed}), level=1, dictionary="off")
        places = PackFile(BytesSource(data), file="equal blocks").directory
        difference = places.block_place(0).length - places.block_place(1).length
        if not difference:
            return data
        size += difference
    raise ValueError("no pack with equal blocks found")


# ---- questions


class Question(NamedTuple):
    """Something that a pack can be asked.

    Attributes:
        name: For messages.
        ask: Asks it; what it returns can be compared.
    """

    name: str
    ask: Callable[[Any], object]


def _fields(found: Entry | SourceLink | None) -> object:
    """Return all that an entry says of itself."""
    if not isinstance(found, Entry):
        return found
    return (
        found.name,
        found.type,
        found.path,
        found.url,
        dict(found.headers),
        found.debug_id,
        found.source_mapping_url,
        found.size,
        found.stored_size,
        found.lines,
        found.sha256,
        found.raw,
        found.damage,
        found.record,
    )


def _questions_of(pack: Pack) -> Iterator[Question]:
    """Yield every question about a pack, with arguments that it has and ones that it has not."""
    yield Question("len", len)
    yield Question("tail", lambda pack: (packfile_of(pack).tail, pack.sha256))
    yield Question("bundle", lambda pack: pack.bundle)
    yield Question("attributes", lambda pack: dict(pack.attributes))
    yield Question("source_links", lambda pack: dict(pack.source_links))
    yield Question("names", list)
    yield Question("entries", lambda pack: list(map(_fields, pack.entries())))
    for prefix in ("", "a", "f", "files/", "files/a", "files/b/twice.js", "lib/", "lib/5", "notes", "zzz"):
        yield _prefix_question(prefix)
    entries = list(pack.entries())
    contents = set()
    for entry in entries:
        yield _read_question(entry.name)
        # Of a content that another entry has too, this one's way to it is asked, the rest is the same.
        if entry.sha256 not in contents:
            yield from _content_questions(entry.name, entry.size, entry.lines)
        contents.add(entry.sha256)
    keys = {key for entry in entries for key in keys_of(entry.record)}
    for kind, key in [*sorted(keys), *_absent_keys(pack)]:
        yield from _key_questions(kind, key)
    for path in ("C:/src/b.c", "/linked/one.c", "/LINKED/two.c", "\\linked\\three.c"):
        yield from _key_questions(Kind.PATH, path)
    readable = [entry.name for entry in entries if entry.damage is None]
    yield Question("read_many", lambda pack: pack.read_many(readable))


def _prefix_question(prefix: str) -> Question:
    return Question(f"find_prefix {prefix!r}", lambda pack: list(map(_fields, pack.find_prefix(prefix))))


def _read_question(name: str) -> Question:
    return Question(f"read {name!r}", lambda pack: pack[name].read())


def _content_questions(name: str, size: int, lines: int) -> Iterator[Question]:
    def viewed(pack: Pack) -> object:
        view = pack[name].view()
        return bytes(view), view.readonly

    def streamed(pack: Pack) -> object:
        with pack[name].open() as file:
            start = file.read(10)
            return start, file.seek(0), io.BufferedReader(file).read()

    yield Question(f"text {name!r}", lambda pack: pack[name].text())
    yield Question(f"view {name!r}", viewed)
    yield Question(f"open {name!r}", streamed)
    for start, length in {(0, 1), (size // 2, 7), (max(0, size - 3), 9), (_SMALL - 2, 4), (size, 1)}:
        yield _range_question(name, start, length)
    for line in {1, lines // 2, lines, lines + 1}:
        yield _context_question(name, line)


def _range_question(name: str, start: int, length: int) -> Question:
    return Question(
        f"read_range {name!r} {start} {length}", lambda pack: pack[name].read_range(start, length)
    )


def _context_question(name: str, line: int) -> Question:
    return Question(f"context {name!r} {line}", lambda pack: pack[name].context(line, lines=2, column=3))


def _key_questions(kind: Kind, key: str) -> Iterator[Question]:
    if kind is Kind.NAME:
        yield Question(f"entry {key!r}", lambda pack: _fields(pack[key]))
        yield Question(f"get {key!r}", lambda pack: _fields(pack.get(key)))
        yield Question(f"contains {key!r}", lambda pack: key in pack)
    elif kind is Kind.PATH:
        yield Question(f"by_path {key!r}", lambda pack: _fields(pack.by_path(key)))
        yield Question(f"source_link {key!r}", lambda pack: _fields(pack.source_link(key)))
    elif kind is Kind.URL:
        yield Question(f"by_url {key!r}", lambda pack: _fields(pack.by_url(key)))
    else:
        debug_id, file_type = key.split()
        yield Question(
            f"by_debug_id {key!r}",
            lambda pack: _fields(pack.by_debug_id(DebugId.parse(debug_id), FileType(file_type))),
        )


def _absent_keys(pack: Pack) -> Iterator[tuple[Kind, str]]:
    """Yield keys that no entry has: of each kind some, and in each bucket one at least."""
    yield from ((Kind.NAME, ""), (Kind.NAME, "files"), (Kind.PATH, ""), (Kind.URL, ""))
    yield Kind.DEBUG_ID, f"{_DEBUG_IDS[0]} {FileType.INDEXED_RAM_BUNDLE}"
    tail = packfile_of(pack).tail
    buckets = set(range(tail.bucket_count))
    number = 0
    while buckets or number < 8:
        kind = Kind(number % 4)
        key = f"no/such/{number}.js"
        if kind is Kind.DEBUG_ID:
            key = debug_id_key(DebugId.parse(f"{number:032x}"), FileType.SOURCE_MAP)
        buckets.discard(hash_key(tail.seed, kind, key).bucket(tail.bucket_count))
        yield kind, key
        number += 1


class _Raised(NamedTuple):
    """An answer that is an error: there is no such entry, or its member could not be read."""

    error: str
    member: str | None
    reason: str | None


REFUSAL = object()
"""The answer that is a refusal."""


def _answer(question: Question, asked: Any, refusals: type[Exception]) -> object:
    """Return the answer; `REFUSAL` where what is asked is found to be damaged."""
    try:
        return question.ask(asked)
    except (NotFound, DamagedMember) as error:
        return _Raised(type(error).__name__, error.member, getattr(error, "reason", None))
    except refusals:
        return REFUSAL
    except Exception as error:  # noqa: BLE001  any other exception is just what is looked for
        return error


def _is_nothing(answer: object, right: object) -> bool:
    """Return whether an answer says that there is nothing, or less, where there is something."""
    if answer is None or answer is False or (isinstance(answer, _Raised) and not answer.reason):
        return True
    return isinstance(answer, list) and isinstance(right, list) and all(each in right for each in answer)


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


@dataclass(frozen=True, slots=True)
class Oracle:
    """A whole pack with the right answers.

    Attributes:
        data: The pack.
        questions: What it was asked.
        answers: What it answered.
        readers: For each of its cells, a bit for each question that reads of it after it was opened.
        opening: What is read when it is opened, and so concerns all questions.
        cell: Bytes in a cell.
        opened: Opens such a file.
        refusals: What it raises where it refuses.
    """

    data: bytes
    questions: Sequence[Question]
    answers: Sequence[object]
    readers: Sequence[int]
    opening: Sequence[range]
    cell: int
    opened: Callable[[bytes], Any]
    refusals: type[Exception]
    _numbers: dict[int, list[int]] = field(default_factory=dict)

    def concerned(self, touched: Iterable[range] | None) -> list[int]:
        """Return the numbers of the questions that read a byte of the ranges; of all, if there are none."""
        mask = -1
        if touched is not None:
            mask = 0
            for span in touched:
                if any(span.start < read.stop and read.start < span.stop for read in self.opening):
                    mask = -1
                    break
                for bits in self.readers[span.start // self.cell : (span.stop - 1) // self.cell + 1]:
                    mask |= bits
        if mask not in self._numbers:
            self._numbers[mask] = [number for number in range(len(self.questions)) if mask >> number & 1]
        return self._numbers[mask]


def forget_dictionaries() -> None:
    """Let the next pack read its dictionary itself; the process keeps the last few."""
    DICTIONARIES.clear()


@cache
def oracle_of(data: bytes) -> Oracle:
    """Ask a whole pack everything, and note what is read for each answer."""
    return _pack_oracle(data, list(_questions_of(Pack(PackFile(BytesSource(data), file="whole")))))


def _pack_oracle(data: bytes, questions: Sequence[Question], *, cell: int = 1) -> Oracle:
    def traced(question: Question) -> tuple[object, Iterable[tuple[int, int]]]:
        # A pack of its own for each, so that nothing is answered from a cache.
        forget_dictionaries()
        source = _TracedSource(data)
        pack = Pack(PackFile(source, file="whole"))
        source.spans.clear()
        answer = _answer(question, pack, SrcpackError)
        if answer is REFUSAL or isinstance(answer, Exception):
            raise ValueError(f"{question.name}: a whole pack does not answer: {answer!r}")
        return answer, source.spans

    opening = [range(HEAD_SIZE), range(len(data) - TAIL_SIZE, len(data))]
    return record(
        data, questions, traced, opening=opening, cell=cell, opened=_in_memory, refusals=SrcpackError
    )


def record(
    data: bytes,
    questions: Sequence[Question],
    traced: Callable[[Question], tuple[object, Iterable[tuple[int, int]]]],
    *,
    opening: Sequence[range],
    cell: int,
    opened: Callable[[bytes], Any],
    refusals: type[Exception],
) -> Oracle:
    """Ask questions, and note what is read for each answer.

    Args:
        data: The whole file.
        questions: What to ask.
        traced: Asks it of the whole file, and returns the answer and what was read for it.
        opening: As `Oracle` has it, like the others.
        cell: Bytes in a cell.
        opened: Opens such a file.
        refusals: What it raises where it refuses.
    """
    answers = []
    readers = [0] * (len(data) // cell + 1)
    for number, question in enumerate(questions):
        answer, spans = traced(question)
        answers.append(answer)
        for at in set().union(*(range(start // cell, (end - 1) // cell + 1) for start, end in spans if end)):
            if at < len(readers):
                readers[at] |= 1 << number
    return Oracle(data, questions, answers, readers, opening, cell, opened, refusals)


# ---- judgement


class Verdict(NamedTuple):
    """What became of a damage.

    Attributes:
        outcome: `REFUSED`, `HARMLESS`, `WRONG` or `MISSED`.
        wrong: What was answered wrongly, and how; empty unless the outcome is `WRONG` or `MISSED`.
    """

    outcome: str
    wrong: tuple[str, ...] = ()


def _in_memory(data: bytes) -> Pack:
    return Pack(PackFile(BytesSource(data), file="damaged"))


def judge(
    data: bytes,
    oracle: Oracle,
    *,
    touched: Iterable[range] | None = None,
    most: int | None = None,
    turn: int = 0,
    opened: Callable[[bytes], Any] | None = None,
) -> Verdict:
    """Open a damaged pack, ask it, and hold the answers against the right ones.

    Args:
        data: The damaged pack.
        oracle: The pack that it was, or, of two packs put together, the one whose tail it has.
        touched: What differs, where that is known; None asks everything.
        most: Most questions to ask; `turn` decides which; None asks all that are concerned.
        turn: Number of the damage.
        opened: Opens it, in place of what the oracle opens with.
    """
    try:
        asked = (opened or oracle.opened)(data)
    except oracle.refusals:
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
        question, right = oracle.questions[number], oracle.answers[number]
        answer = _answer(question, asked, oracle.refusals)
        if answer is right or answer == right:
            continue
        if answer is REFUSAL:
            outcome = REFUSED
        else:
            only_missed = only_missed and _is_nothing(answer, right)
            wrong.append(f"{question.name}: {answer!r:.300}, not {right!r:.300}")
    if wrong:
        outcome = MISSED if only_missed else WRONG
    return Verdict(outcome, tuple(wrong))


# ---- damage


class Damage(NamedTuple):
    """A damaged pack.

    Attributes:
        what: What was done to it.
        data: All of it.
        touched: Where it differs from the whole one; None if it has another length.
    """

    what: str
    data: bytes
    touched: tuple[range, ...] | None


def flipped(data: bytes, step: int = 1) -> Iterator[Damage]:
    """Flip each bit in turn, or each one whose number is a multiple of `step`."""
    damaged = bytearray(data)
    for number in range(0, 8 * len(data), step):
        at, bit = divmod(number, 8)
        damaged[at] ^= 1 << bit
        yield Damage(f"bit {bit} of byte {at}", bytes(damaged), (range(at, at + 1),))
        damaged[at] ^= 1 << bit


def zeroed(data: bytes, step: int = 1) -> Iterator[Damage]:
    """Zero each window of 8, 16, 32 and 64 bytes that begins at a multiple of `step`."""
    for size in (8, 16, 32, 64):
        for at in range(0, len(data) - size + 1, step):
            yield from _replaced(data, {at: bytes(size)}, f"{size} zeros")


def pieces_of(data: bytes) -> dict[str, list[range]]:
    """Return where in a pack the things lie that can change places, by their kind."""
    pack = Pack(PackFile(BytesSource(data), file="whole"))
    tail, index = packfile_of(pack).tail, packfile_of(pack).directory.layout
    buckets = []
    for number in range(tail.bucket_count):
        first, _, end = parse_fan_out(pack.store.source.read(*index.fan_out_at(number)))
        buckets.append(range(index.slots + first * SLOT.size, index.slots + end * SLOT.size))
    blocks = [(tail.sections[MANIFEST].offset + FRAME_HEADER.size, tail.attributes_length)]
    blocks += [packfile_of(pack).directory.block_place(number) for number in range(tail.block_count)]
    frames = {frame[:2] for entry in pack.entries() for frame in entry.record.frames}
    return {
        "section": [range(section.offset, section.end) for section in tail.sections.values()],
        "block": [range(offset, offset + length) for offset, length in blocks],
        "place of a block": _run(index.block_table, 12, tail.block_count),
        "frame": [range(offset, offset + length) for offset, length in sorted(frames)],
        "fan-out": _run(index.fan_out, 8, tail.bucket_count + 1),
        "slots of a bucket": buckets,
        "slot": _run(index.slots, 8, tail.slot_count),
    }


def _run(start: int, size: int, count: int) -> list[range]:
    return [range(at, at + size) for at in range(start, start + size * count, size)]


def swapped(data: bytes) -> Iterator[Damage]:
    """Let each two pieces of one kind and one length change places, and each two sections and blocks."""
    pieces = pieces_of(data)
    yield from swapped_pieces(data, pieces)
    # Whole buckets: the slots and the elements of the fan-out that tell of them.
    buckets = list(zip(pieces["slots of a bucket"], pieces["fan-out"], strict=False))
    for (one, told), (other, told_too) in combinations(buckets, 2):
        if len(one) == len(other):
            changes = _change_places(data, one, other) | _change_places(data, told, told_too)
            yield from _replaced(data, changes, "bucket swapped")
    yield from moved_pieces(data, {kind: pieces[kind] for kind in ("section", "block")})


def swapped_pieces(data: bytes, pieces: Mapping[str, Sequence[range]]) -> Iterator[Damage]:
    """Let each two pieces of one kind and one length change places."""
    for kind, spans in pieces.items():
        for one, other in combinations(spans, 2):
            if len(one) == len(other):
                yield from _replaced(data, _change_places(data, one, other), f"{kind} swapped")


def moved_pieces(data: bytes, pieces: Mapping[str, Sequence[range]]) -> Iterator[Damage]:
    """Let each two pieces of one kind and any length change places: what lies between them moves."""
    for kind, spans in pieces.items():
        for one, other in combinations(spans, 2):
            between = data[one.stop : other.start]
            moved = data[other.start : other.stop] + between + data[one.start : one.stop]
            yield from _replaced(data, {one.start: moved}, f"{kind} moved")


def _change_places(data: bytes, one: range, other: range) -> dict[int, bytes]:
    return {one.start: data[other.start : other.stop], other.start: data[one.start : one.stop]}


def exchanged(data: bytes, other: bytes, step: int = 1) -> Iterator[Damage]:
    """Put bytes of another pack into a pack: ranges in their own place, and pieces in that of ones like them.

    Ranges have 8, 64 and 512 bytes and begin at multiples of `step`.
    """
    for damage in exchanged_ranges(data, other, step):
        # With all of the other's tail it is the other pack that is damaged: `spliced` does that.
        if damage.data[-TAIL_SIZE:] != other[-TAIL_SIZE:]:
            yield damage
    yield from exchanged_pieces(data, pieces_of(data), other, pieces_of(other))


def exchanged_ranges(data: bytes, other: bytes, step: int) -> Iterator[Damage]:
    """Put ranges of another file into a file, in their own place."""
    for size in (8, 64, 512):
        for at in range(0, min(len(data), len(other)) - size + 1, step):
            yield from _replaced(data, {at: other[at : at + size]}, f"{size} bytes of another")


def exchanged_pieces(
    data: bytes,
    pieces: Mapping[str, Sequence[range]],
    other: bytes,
    theirs: Mapping[str, Sequence[range]],
) -> Iterator[Damage]:
    """Put pieces of another file into the places of ones like them and of their length."""
    for kind, spans in pieces.items():
        for mine in spans:
            for span in theirs[kind]:
                if len(span) == len(mine):
                    new = other[span.start : span.stop]
                    yield from _replaced(data, {mine.start: new}, f"{kind} of another")


def spliced(data: bytes, other: bytes, step: int = 1) -> Iterator[Damage]:
    """Put the start of another pack in place of a pack's own, up to each multiple of `step` and the tail."""
    # Up to the checksum that ends the tail: with that too, it would be the other pack.
    end = min(len(other), len(data) - _TAIL_END_SIZE + 1)
    for at in sorted({*range(1, end, step), min(end, len(data) - TAIL_SIZE)}):
        for damage in _replaced(data, {0: other[:at]}, ""):
            yield damage._replace(what=f"{at} bytes of another at the start")


def cut(data: bytes) -> Iterator[Damage]:
    """Cut a pack to each length, from its end and from its start."""
    for at in range(len(data)):
        yield Damage(f"cut to {at} bytes", data[:at], None)
        yield Damage(f"{at + 1} bytes cut off the start", data[at + 1 :], None)


def lengthened(data: bytes, other: bytes) -> Iterator[Damage]:
    """Add bytes to a pack, leave some out, and put another's tail on."""
    for added in (b"\0", b"\0" * 8, data[:HEAD_SIZE], data[-TAIL_SIZE:], other[-TAIL_SIZE:], data, other):
        yield Damage(f"{len(added)} bytes added at the end", data + added, None)
        yield Damage(f"{len(added)} bytes added at the start", added + data, None)
        yield Damage(
            f"{len(added)} bytes added before the tail", data[:-TAIL_SIZE] + added + data[-TAIL_SIZE:], None
        )
    for at in range(len(data)):
        yield Damage(f"a byte added at {at}", data[:at] + b"\0" + data[at:], None)
        yield Damage(f"byte {at} left out", data[:at] + data[at + 1 :], None)


def _replaced(data: bytes, changes: Mapping[int, bytes], what: str) -> Iterator[Damage]:
    """Yield a pack with other bytes at some offsets; nothing, if they are the same bytes."""
    damaged = bytearray(data)
    touched = []
    for at, new in changes.items():
        different = [place for place, byte in enumerate(new, at) if byte != data[place]]
        if different:
            touched.append(range(different[0], different[-1] + 1))
            damaged[at : at + len(new)] = new
    if touched:
        yield Damage(f"{what} at {' and '.join(map(str, changes))}", bytes(damaged), tuple(touched))


# ---- table


def damages(pack: str, kind: str, step: int = 1) -> Iterator[tuple[bytes, Damage]]:
    """Yield each damage of a kind to a sample pack, with the pack whose tail it has.

    Args:
        pack: Name of the sample pack.
        kind: One of `KINDS`, or `SAMPLED`, for which the pack's name says nothing.
        step: Distance of the places tried, where a kind tries many; 1 tries all.
    """
    if kind == SAMPLED:
        oracle = large_oracle()
        for damage in flipped(oracle.data, SAMPLE_STEP * step):
            yield oracle.data, damage
        return
    whole, other, twin = sample_packs()[pack], other_pack(pack), twin_pack(pack)
    of_whole: dict[str, Callable[[], Iterable[Iterator[Damage]]]] = {
        FLIPS: lambda: [flipped(whole, step)],
        ZEROS: lambda: [zeroed(whole, step)],
        SWAPS: lambda: [swapped(whole)],
        EXCHANGES: lambda: [exchanged(whole, other, step), exchanged(whole, twin, step)],
        SPLICES: lambda: [spliced(whole, other, step), spliced(whole, twin, step)],
        CUTS: lambda: [cut(whole)],
        ADDITIONS: lambda: [lengthened(whole, other), lengthened(whole, twin)],
    }
    for made in of_whole[kind]():
        for damage in made:
            yield whole, damage
    if kind == SPLICES:
        for another in (other, twin):
            for damage in spliced(another, whole, step):
                yield another, damage


def tally(pack: str, kind: str, *, step: int = 1, most: int | None = None) -> tuple[Counter[str], list[str]]:
    """Damage a sample pack in every way of a kind and count what became of it.

    Args:
        pack: Name of the sample pack.
        kind: One of `KINDS`.
        step: As `damages`.
        most: Most questions asked of each damaged pack; None asks all that the damage concerns.

    Returns:
        How many ended how, and each wrong answer.
    """
    counts: Counter[str] = Counter()
    wrong = []
    for turn, (whole, damage) in enumerate(damages(pack, kind, step)):
        oracle = large_oracle() if kind == SAMPLED else oracle_of(whole)
        verdict = judge(damage.data, oracle, touched=damage.touched, most=most, turn=turn)
        counts[verdict.outcome] += 1
        wrong += [f"{pack}: {damage.what}: {answer}" for answer in verdict.wrong]
    return counts, wrong
