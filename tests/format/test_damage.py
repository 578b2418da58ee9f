"""Every bit, window and cut of a small pack of each kind: refused, or answered rightly; never wrong."""

import hashlib
import io
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import srcpack
from srcpack import FormatError, Pack, SrcpackError
from srcpack.format.frames import read_dictionary
from srcpack.format.head_tail import DICTIONARY, TAIL_SIZE
from srcpack.format.packfile import PackFile, SourceKind
from srcpack.opening import packfile_of
from srcpack.source.local import BytesSource
from support import damage, damage_tables, zip_damage
from support.damage import CUTS, FLIPS, HARMLESS, KINDS, MISSED, REFUSED, SAMPLED, WRONG

PACKS = ("dictionary", "plain", "raw", "frames")
FEW = 8
"""Questions that the quick tests ask of each damaged pack; which ones changes from one to the next."""


@pytest.fixture(params=PACKS)
def name(request: pytest.FixtureRequest) -> str:
    param: str = request.param
    return param


def open_bytes(data: bytes) -> Pack:
    return Pack(PackFile(BytesSource(data), file="pack"))


# ---- what is damaged


def test_the_packs_are_of_every_kind() -> None:
    packs = {name: open_bytes(data) for name, data in damage.sample_packs().items()}
    assert tuple(packs) == PACKS
    assert [name for name, pack in packs.items() if DICTIONARY in packfile_of(pack).tail.sections] == [
        "dictionary"
    ]
    assert packfile_of(packs["plain"]).tail.block_count == 2
    raw = [entry for entry in packs["raw"].entries() if entry.raw]
    assert {len(entry.record.frames) for entry in raw} == {1, 2}
    assert max(len(entry.record.frames) for entry in packs["frames"].entries()) == 3


def test_each_pack_has_entries_of_every_kind(name: str) -> None:
    pack = open_bytes(damage.sample_packs()[name])
    entries = list(pack.entries())
    assert [entry.name for entry in entries if entry.damage] == ["files/lost.js"]
    assert [entry.name for entry in entries if not entry.record.listed] == ["notes/unlisted.txt"]
    assert pack["files/empty.js"].read() == b""
    assert not pack["files/latin.txt"].record.utf8
    winner = pack["files/b/twice.js"]
    assert winner.debug_id is not None
    assert pack.by_url("~/twice.js") == winner
    assert pack.by_path("\\src\\twice.js") == winner
    assert pack.by_debug_id(winner.debug_id, "source") == winner
    assert pack.source_link("/linked/a.c") == srcpack.SourceLink("https://example.com/a.c")


def test_the_right_answers_know_every_member_and_every_bucket(name: str) -> None:
    oracle = damage.oracle_of(damage.sample_packs()[name])
    pack = open_bytes(oracle.data)
    asked = {question.name for question in oracle.questions}
    for member in pack:
        assert {f"read {member!r}", f"entry {member!r}"} <= asked
    absent = [
        answer
        for question, answer in zip(oracle.questions, oracle.answers, strict=True)
        if question.name.startswith(("get", "by_")) and answer is None
    ]
    assert len(absent) >= packfile_of(pack).tail.bucket_count
    # Every byte but those of the frame headers of sections and raw contents, and of gaps, is read by some.
    start, end = packfile_of(pack).tail.sections[1].offset, len(oracle.data) - TAIL_SIZE
    unread = sum(not readers for readers in oracle.readers[start:end])
    assert unread <= 8 * len(packfile_of(pack).tail.sections) + 8 * sum(entry.raw for entry in pack.entries())


def test_a_whole_pack_is_judged_harmless(name: str) -> None:
    oracle = damage.oracle_of(damage.sample_packs()[name])
    assert damage.judge(oracle.data, oracle) == (damage.HARMLESS, ())


def test_a_wrong_answer_is_told() -> None:
    """The harness itself: another pack in place of the right one is wrong in many ways."""
    oracle = damage.oracle_of(damage.sample_packs()["plain"])
    verdict = damage.judge(damage.sample_packs()["raw"], oracle)
    assert verdict.outcome == WRONG
    told = " ".join(verdict.wrong)
    assert "len: 16, not 70" in told
    assert "read 'lib/50.js': _Raised(error='NotFound'" in told
    assert "get 'lib/50.js': None, not" in told


def test_any_other_exception_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = damage.oracle_of(damage.sample_packs()["plain"])
    monkeypatch.setattr(srcpack.Entry, "read", lambda _: 1 // 0)
    verdict = damage.judge(oracle.data, oracle)
    assert verdict.outcome == WRONG
    assert verdict.wrong[0].startswith("read 'files/_/app.min.js': ZeroDivisionError(")


# ---- damage


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused_or_harmless(name: str, kind: str) -> None:
    """Each bit; windows and cuts in many places; of what the damage concerns a few questions are asked."""
    counts, wrong = damage.tally(name, kind, step=1 if kind == FLIPS else 8, most=FEW)
    assert not wrong, "\n".join(wrong[:10])
    assert counts[REFUSED] > 0
    if kind == FLIPS:
        assert counts.total() == 8 * len(damage.sample_packs()[name])


def test_no_cut_pack_opens(name: str) -> None:
    """A pack that was cut has no tail, or one that tells of another length."""
    data = damage.sample_packs()[name]
    for cut in damage.cut(data):
        with pytest.raises(SrcpackError):
            open_bytes(cut.data)
    assert damage.tally(name, CUTS)[0] == {REFUSED: 2 * len(data)}


def test_the_tail_of_another_pack_of_the_same_length_lets_nothing_be_read(name: str) -> None:
    data, twin = damage.sample_packs()[name], damage.twin_pack(name)
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
    data = damage.equal_blocks_pack()
    one, other = damage.pieces_of(data)["block"][1:]
    assert len(one) == len(other)
    oracle = damage.oracle_of(data)
    swaps = [swap for swap in damage.swapped(data) if swap.what.startswith(("block swapped", "place of a"))]
    assert len(swaps) == 2
    for swap in swaps:
        assert damage.judge(swap.data, oracle).outcome == REFUSED
        with pytest.raises(FormatError, match="prefix of a manifest block"):
            list(open_bytes(swap.data))
    # Both together are the same pack in another order.
    at = packfile_of(open_bytes(data)).directory.layout.block_table
    table = data[at + 12 : at + 20] + data[at + 8 : at + 12] + data[at : at + 8] + data[at + 20 : at + 24]
    both = swaps[0].data[:at] + table + swaps[0].data[at + 24 :]
    assert damage.judge(both, oracle).outcome == damage.HARMLESS


def test_a_dictionary_that_the_process_has_serves_a_pack_whose_own_is_damaged() -> None:
    """The tail's SHA-256 says which dictionary; where it comes from does not matter to the contents."""
    data = damage.sample_packs()["dictionary"]
    pack = open_bytes(data)
    oracle = damage.oracle_of(data)
    at = packfile_of(pack).tail.sections[DICTIONARY].offset + 20
    damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    assert damage.judge(damaged, oracle).outcome == REFUSED
    pack["lib/00.js"].read()
    assert open_bytes(damaged)["lib/00.js"].read() == pack["lib/00.js"].read()
    # `verify` is not content with that, even where every other checksum is right.
    with pytest.raises(FormatError, match="dictionary"):
        read_dictionary(BytesSource(damaged), packfile_of(pack).tail, file="damaged")


@pytest.mark.parametrize("source", ["mmap", "pread"])
def test_every_source_refuses_what_bytes_in_memory_refuse(
    name: str, source: SourceKind, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.srcpack"

    def opened(data: bytes) -> Pack:
        # Nothing is written over a file that may still be mapped.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        return srcpack.open(path, source=source)

    oracle = damage.oracle_of(damage.sample_packs()[name])
    for turn, flip in enumerate(damage.flipped(oracle.data, step=499)):
        judge = partial(damage.judge, flip.data, oracle, touched=flip.touched, most=FEW, turn=turn)
        assert judge(opened=opened) == judge(), flip.what


# ---- verify


def test_verify_tells_of_every_bit(name: str) -> None:
    """Not one of all bits flips without `srcpack.verify`, or opening, noticing."""
    data = damage.sample_packs()[name]
    assert srcpack.verify(open_bytes(data)) == []
    for flip in damage.flipped(data):
        try:
            pack = open_bytes(flip.data)
        except SrcpackError:
            continue
        assert any(srcpack.verify(pack)), flip.what


def test_verify_tells_of_zeroed_windows_and_swapped_pieces(name: str) -> None:
    data = damage.sample_packs()[name]
    for damaged in (*damage.zeroed(data, step=8), *damage.swapped(data)):
        try:
            pack = open_bytes(damaged.data)
        except SrcpackError:
            continue
        assert any(srcpack.verify(pack)), damaged.what


def test_sampled_bits_of_a_large_pack_are_refused_or_harmless() -> None:
    pack = open_bytes(damage.large_oracle().data)
    assert len(pack) > 400
    assert max(len(entry.record.frames) for entry in pack.entries()) > 10
    assert DICTIONARY in packfile_of(pack).tail.sections
    counts, wrong = damage.tally("large", SAMPLED, step=10)
    assert not wrong, "\n".join(wrong[:10])
    assert counts[REFUSED] > 300
    assert counts.total() == counts[REFUSED] + counts[HARMLESS]


# ---- zips, for comparison


def test_the_zips_are_those_of_the_packs(name: str) -> None:
    pack = open_bytes(damage.sample_packs()[name])
    data = damage.bundle_of(name)
    assert pack.bundle.source == {"sha256": hashlib.sha256(data).digest(), "size": len(data)}
    reader = zip_damage.ZipReader(io.BytesIO(data))
    for entry in pack.entries():
        if entry.damage is None:
            assert reader.read(entry.name) == entry.read()
    assert reader.find("url", "~/twice.js") == reader.find("path", "/src/twice.js") == "files/b/twice.js"
    other = damage.other_bundle(name)
    assert len(other) == len(data)
    assert other != data


def test_a_whole_zip_is_judged_harmless_and_another_is_not(name: str) -> None:
    oracle = zip_damage.zip_oracle_of(damage.bundle_of(name))
    assert damage.judge(oracle.data, oracle) == (HARMLESS, ())
    verdict = damage.judge(damage.other_bundle(name), oracle)
    assert verdict.outcome == WRONG
    assert [wrong.split(":")[0] for wrong in verdict.wrong] == ["attributes", "read 'manifest.json'"]
    missing = damage.bundle_of("frames" if name == "plain" else "plain")
    assert damage.judge(missing, oracle).outcome == WRONG


def test_what_zips_give_for_damage_is_counted() -> None:
    """A name in the directory has no checksum: a flip in it lets a member be another, or none."""
    counts, wrong = zip_damage.tally_zip("frames", FLIPS, step=7)
    assert {answer.split(": ")[2] for answer in wrong} == {"names"}
    assert min(counts[outcome] for outcome in (REFUSED, HARMLESS, WRONG, MISSED)) > 0
    assert counts.total() == -(-8 * len(damage.bundle_of("frames")) // 7)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (FLIPS, CUTS)])
def test_zips_are_damaged_in_every_way(kind: str) -> None:
    counts, _ = zip_damage.tally_zip("frames", kind, step=64, most=4)
    assert counts[REFUSED] > 20


def test_nothing_where_there_is_something_is_a_silent_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = damage.oracle_of(damage.sample_packs()["raw"])
    monkeypatch.setattr(srcpack.Pack, "by_url", lambda *_: None)
    verdict = damage.judge(oracle.data, oracle)
    assert verdict.outcome == MISSED
    assert all(wrong.startswith("by_url ") for wrong in verdict.wrong)
    monkeypatch.setattr(srcpack.Entry, "text", lambda _: "")
    assert damage.judge(oracle.data, oracle).outcome == WRONG


# ---- the tables, and all of it


def test_the_tables_have_a_line_for_each_kind_and_tell_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(damage_tables, "tally", lambda *_, **__: (Counter({REFUSED: 1000}), []))
    monkeypatch.setattr(
        damage_tables, "tally_zip", lambda *_, **__: (Counter({MISSED: 1}), ["raw: cut: find x: None"])
    )
    assert damage_tables.main(["--quick"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("| packs of 3,0")
    assert lines[0].endswith(" bytes | cases | refused | harmless | WRONG | silent miss |")
    assert lines[2] == "| each bit flipped | 4,000 | 4,000 | 0 | 0 | 0 |"
    assert lines[9:11] == [
        "| bits of a large one flipped, sampled | 1,000 | 1,000 | 0 | 0 | 0 |",
        "| all | 29,000 | 29,000 | 0 | 0 | 0 |",
    ]
    assert lines[12].startswith("| their zips of ")
    assert lines[-3] == "| all | 29 | 0 | 0 | 0 | 29 |"
    assert lines[-1] == "The answers that were wrong or missing, by question: `find` 29."
    assert err == "raw: cut: find x: None\n" * 29
    monkeypatch.setattr(damage_tables, "tally", lambda *_, **__: (Counter({MISSED: 1}), []))
    assert damage_tables.main(["packs", "--quick"]) == 1


@pytest.mark.slow
@pytest.mark.exhaustive
def test_all_questions_of_every_bit(name: str) -> None:
    """Every bit, and everything is asked, whether or not it reads the byte with the bit."""
    oracle = damage.oracle_of(damage.sample_packs()[name])
    for flip in damage.flipped(oracle.data):
        verdict = damage.judge(flip.data, oracle)
        assert verdict.outcome != WRONG, (flip.what, verdict.wrong[:3])


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", KINDS)
def test_all_places_and_all_questions_concerned(name: str, kind: str) -> None:
    _, wrong = damage.tally(name, kind)
    assert not wrong, "\n".join(wrong[:10])
