"""Damage of every kind to a small pack of each kind: refused, or answered rightly; never wrong.

The tests try bits and places by strides, and all of head, tail and the edges of structures; with
`-m exhaustive`, which takes an hour, every place and every question.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

import srcpack
from srcpack import FormatError, Pack, SrcpackError
from srcpack.format.head_tail import DICTIONARY, TAIL_SIZE
from srcpack.format.lookup_section import TableLookup
from srcpack.format.zstd_frames import read_dictionary
from srcpack.opening import packfile_of
from srcpack.source.local import BytesSource
from srcpack.source.source_of import SourceKind
from support import damage_tables
from support.damage import (
    CUTS,
    FLIPS,
    HARMLESS,
    KINDS,
    MISSED,
    REFUSED,
    SWAPS,
    WRONG,
    Damage,
    flipped,
    swapped,
)
from support.damaged_packs import (
    LARGE,
    edges_of,
    judge,
    large_oracle,
    oracle_of,
    pack_damages,
    pieces_of,
    tally,
)
from support.damaged_zips import answers_of, judge_zip, tally_zip, zip_damages
from support.sample_packs import (
    SAMPLES,
    bundle_of,
    equal_blocks_pack,
    open_bytes,
    other_bundle,
    sample_packs,
    twin_pack,
)

STRIDE = 73
"""Prime, so that bits of each number in a byte come up, and every offset by 8."""
FEW = 4
"""Questions asked of each damaged pack; which ones changes from one to the next."""

each_pack = pytest.mark.parametrize("name", SAMPLES)


# ---- what is damaged


def test_the_packs_are_of_every_kind_and_have_entries_of_every_kind() -> None:
    packs = {name: open_bytes(data) for name, data in sample_packs().items()}
    with_dictionary = [name for name, pack in packs.items() if DICTIONARY in packfile_of(pack).tail.sections]
    assert with_dictionary == ["dictionary"]
    assert packfile_of(packs["plain"]).tail.block_count == 3
    assert {len(entry.record.frames) for entry in packs["raw"].entries() if entry.raw} == {1, 2}
    assert max(len(entry.record.frames) for entry in packs["frames"].entries()) == 3
    tables = [table for entry in packs["lookups"].entries() if (table := entry.lookup_table())]
    heads = [table.table.head for table in tables if isinstance(table, TableLookup)]
    assert [head.inside is not None for head in heads] == [True, False]
    assert len(heads[1].row_places) == len(heads[1].first_strings) == 2
    for pack in packs.values():
        entries = list(pack.entries())
        assert [entry.name for entry in entries if entry.damage] == ["files/lost.js"]
        assert [entry.name for entry in entries if not entry.record.listed] == ["notes/unlisted.txt"]
        assert pack["files/empty.js"].read() == b""
        assert not pack["files/latin.txt"].record.utf8
        winner = pack["files/b/twice.js"]
        assert winner.debug_id is not None
        assert pack.by_url("~/twice.js") == pack.by_path("\\src\\twice.js") == winner
        assert pack.by_debug_id(winner.debug_id, "source") == winner
        assert pack.source_link("/linked/a.c") == srcpack.SourceLink("https://example.com/a.c")


@each_pack
def test_the_right_answers_know_every_member_and_every_bucket(name: str) -> None:
    oracle = oracle_of(sample_packs()[name])
    pack = open_bytes(oracle.data)
    answers = dict(zip(dict(oracle.questions), oracle.answers, strict=True))
    assert {f"{ask} {member!r}" for member in pack for ask in ("read", "entry")} <= answers.keys()
    absent = [ask for ask, answer in answers.items() if ask.startswith(("get", "by_")) and answer is None]
    tail = packfile_of(pack).tail
    assert len(absent) >= tail.bucket_count
    # Every byte but those of the frame headers of sections and raw contents, and of gaps, is read by some.
    unread = oracle.readers[tail.sections[1].offset : len(oracle.data) - TAIL_SIZE].count(0)
    assert unread <= 8 * len(tail.sections) + 8 * sum(entry.raw for entry in pack.entries())
    assert judge(oracle.data, oracle) == (HARMLESS, ())


def test_the_judgement_tells_wrong_answers_silent_misses_and_other_exceptions() -> None:
    """The harness itself, by another pack in place of the right one, and by readers that are broken."""
    oracle = oracle_of(sample_packs()["plain"])
    outcome, wrong = judge(sample_packs()["raw"], oracle)
    assert outcome == WRONG
    told = " ".join(wrong)
    assert "len: 16, not 70" in told
    assert "read 'lib/50.js': _Raised(error='NotFound'" in told
    assert "get 'lib/50.js': None, not" in told
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(srcpack.Pack, "by_url", lambda *_: None)
        outcome, wrong = judge(oracle.data, oracle)
        assert outcome == MISSED
        assert all(answer.startswith("by_url ") for answer in wrong)
        patch.setattr(srcpack.Entry, "text", lambda _: "")
        assert judge(oracle.data, oracle).outcome == WRONG
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(srcpack.Entry, "read", lambda _: 1 // 0)
        outcome, wrong = judge(oracle.data, oracle)
        assert outcome == WRONG
        assert wrong[0].startswith("read 'files/_/app.min.js': ZeroDivisionError(")


# ---- damage


@each_pack
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused_or_harmless(name: str, kind: str) -> None:
    """Of what the damage concerns a few questions are asked, others each time."""
    counts, wrong = tally(name, kind, step=STRIDE, most=FEW)
    assert not wrong, "\n".join(wrong[:10])
    assert counts[REFUSED] > 50
    if kind == CUTS:
        assert counts == {REFUSED: counts.total()}
    elif kind == FLIPS:
        assert counts.total() > 2 * len(edges_of(sample_packs()[name]))


@each_pack
def test_the_tail_of_another_pack_of_the_same_length_lets_nothing_be_read(name: str) -> None:
    data, twin = sample_packs()[name], twin_pack(name)
    assert len(data) == len(twin)
    pack = open_bytes(data[:-TAIL_SIZE] + twin[-TAIL_SIZE:])
    for member in open_bytes(data):
        with pytest.raises(FormatError, match="checksum of bucket"):
            pack[member]
        with pytest.raises(FormatError, match="checksum of bucket"):
            pack.get(f"no {member}")
    for ask in (list, lambda pack: pack.attributes, lambda pack: list(pack.find_prefix(""))):
        with pytest.raises(FormatError, match="manifest block"):
            ask(pack)


def test_blocks_of_one_length_that_change_places_are_refused() -> None:
    data = equal_blocks_pack()
    one, other = pieces_of(data)["block"][1:]
    assert len(one) == len(other)
    oracle = oracle_of(data)
    made = swapped(data, pieces_of(data), ())
    swaps = [swap for swap in made if swap.what.startswith(("block swapped", "place of a"))]
    assert len(swaps) == 2
    for swap in swaps:
        assert judge(swap.data, oracle).outcome == REFUSED
        with pytest.raises(FormatError, match="prefix of a manifest block"):
            list(open_bytes(swap.data))
    # Both together are the same pack in another order.
    at = packfile_of(open_bytes(data)).directory.layout.block_table
    table = data[at + 12 : at + 20] + data[at + 8 : at + 12] + data[at : at + 8] + data[at + 20 : at + 24]
    both = swaps[0].data[:at] + table + swaps[0].data[at + 24 :]
    assert judge(both, oracle).outcome == HARMLESS


def test_a_dictionary_that_the_process_has_serves_a_pack_whose_own_is_damaged() -> None:
    """The tail's SHA-256 says which dictionary; where it comes from does not matter to the contents."""
    data = sample_packs()["dictionary"]
    pack = open_bytes(data)
    at = packfile_of(pack).tail.sections[DICTIONARY].offset + 20
    damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    assert judge(damaged, oracle_of(data)).outcome == REFUSED
    pack["lib/00.js"].read()
    assert open_bytes(damaged)["lib/00.js"].read() == pack["lib/00.js"].read()
    # `verify` is not content with that, even where every other checksum is right.
    with pytest.raises(FormatError, match="dictionary"):
        read_dictionary(BytesSource(damaged), packfile_of(pack).tail, file="damaged")


@pytest.mark.parametrize("source", ["mmap", "pread"])
@each_pack
def test_every_source_refuses_what_bytes_in_memory_refuse(
    name: str, source: SourceKind, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.srcpack"

    def opened(data: bytes) -> Pack:
        # Nothing is written over a file that may still be mapped.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        return srcpack.open(path, source=source)

    oracle = oracle_of(sample_packs()[name])
    for turn, flip in enumerate(flipped(oracle.data, step=499)):
        judged = partial(judge, flip.data, oracle, touched=flip.touched, most=FEW, turn=turn)
        assert judged(opened=opened) == judged(), flip.what


def test_sampled_bits_of_a_large_pack_are_refused_or_harmless() -> None:
    pack = open_bytes(large_oracle().data)
    assert len(pack) > 400
    assert max(len(entry.record.frames) for entry in pack.entries()) > 10
    assert DICTIONARY in packfile_of(pack).tail.sections
    counts, wrong = tally("large", LARGE, step=20)
    assert not wrong, "\n".join(wrong[:10])
    assert counts[REFUSED] > 150
    assert counts.total() == counts[REFUSED] + counts[HARMLESS]


# ---- verify


def unnoticed(damages: Iterable[Damage]) -> list[str]:
    """Return the damages that neither opening nor `srcpack.verify` tells of."""
    missed = []
    for damage in damages:
        try:
            pack = open_bytes(damage.data)
        except SrcpackError:
            continue
        if not srcpack.verify(pack):
            missed.append(damage.what)
    return missed


@each_pack
def test_verify_tells_of_bits_and_of_swapped_pieces(name: str) -> None:
    assert srcpack.verify(open_bytes(sample_packs()[name])) == []
    for kind in (FLIPS, SWAPS):
        assert unnoticed(islice(pack_damages(name, kind, STRIDE), 0, None, 13)) == []


# ---- zips, for comparison


@each_pack
def test_the_zips_are_those_of_the_packs(name: str) -> None:
    pack, data = open_bytes(sample_packs()[name]), bundle_of(name)
    assert pack.bundle.source == {"sha256": hashlib.sha256(data).digest(), "size": len(data)}
    answers = answers_of(data)
    for entry in pack.entries():
        if entry.damage is None:
            assert answers[f"read {entry.name!r}"] == entry.read()
    assert answers["find url '~/twice.js'"] == answers["find path '/src/twice.js'"] == "files/b/twice.js"
    flip = next(flipped(data, 8 * len(data)))
    assert judge_zip(flip._replace(data=data), data) == (HARMLESS, ())
    other = other_bundle(name)
    assert len(other) == len(data)
    outcome, wrong = judge_zip(flip._replace(data=other), data)
    assert outcome == WRONG
    assert [answer.split(":")[0] for answer in wrong] == ["attributes", "read 'manifest.json'"]
    assert judge_zip(flip._replace(data=other), data, other).outcome == HARMLESS


def test_what_zips_give_for_damage_is_counted() -> None:
    """A name in the directory has no checksum: a flip in it lets a member be another, or none."""
    counts, wrong = tally_zip("frames", FLIPS, step=11)
    assert {answer.split(": ")[2] for answer in wrong} == {"names"}
    assert min(counts[outcome] for outcome in (REFUSED, HARMLESS, WRONG, MISSED)) > 0
    assert counts.total() == -(-8 * len(bundle_of("frames")) // 11)
    for kind in KINDS:
        assert sum(1 for _ in zip_damages("frames", kind, 37)) > 50


# ---- the tables, and all of it


def test_the_tables_have_a_line_for_each_kind_and_tell_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = (Counter({MISSED: 1}), ["raw: cut: find x: None"])
    monkeypatch.setattr(damage_tables, "tally", lambda *_, **__: (Counter({REFUSED: 1000}), []))
    monkeypatch.setattr(damage_tables, "tally_zip", lambda *_, **__: missed)
    assert damage_tables.main(["--quick"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("| packs of 2,9")
    assert lines[0].endswith(" bytes | cases | refused | harmless | WRONG | silent miss |")
    assert lines[2] == "| each bit flipped | 5,000 | 5,000 | 0 | 0 | 0 |"
    assert lines[9] == "| bits of a large one flipped, sampled | 1,000 | 1,000 | 0 | 0 | 0 |"
    assert lines[10] == "| all | 36,000 | 36,000 | 0 | 0 | 0 |"
    assert lines[12].startswith("| their zips of ")
    assert lines[-3] == "| all | 36 | 0 | 0 | 0 | 36 |"
    assert lines[-1] == "The answers that were wrong or missing, by question: `find` 36."
    assert err == "raw: cut: find x: None\n" * 36
    monkeypatch.setattr(damage_tables, "tally", lambda *_, **__: missed)
    assert damage_tables.main(["packs", "--quick"]) == 1


@pytest.mark.slow
@pytest.mark.exhaustive
@each_pack
def test_all_questions_of_every_bit(name: str) -> None:
    """Every bit, and everything is asked, whether or not it reads the byte with the bit; `verify` too."""
    oracle = oracle_of(sample_packs()[name])
    for flip in flipped(oracle.data):
        verdict = judge(flip.data, oracle)
        assert verdict.outcome not in (WRONG, MISSED), (flip.what, verdict.wrong[:3])
    for kind in KINDS[:3]:
        assert unnoticed(pack_damages(name, kind)) == []


@pytest.mark.slow
@pytest.mark.exhaustive
@each_pack
@pytest.mark.parametrize("kind", KINDS)
def test_all_places_and_all_questions_concerned(name: str, kind: str) -> None:
    _, wrong = tally(name, kind)
    assert not wrong, "\n".join(wrong[:10])
