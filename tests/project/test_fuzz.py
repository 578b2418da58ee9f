"""The fuzz targets without a fuzzer: their corpora replayed, and what they would find in a broken reader."""

import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

import fuzz_bundle
import fuzz_pack
import run as fuzz_run
import srcpack
from srcpack.rules.content_facts import facts_of
from support import sample_packs
from support.pack_lies import LIES, LIES_OF_BYTES, lie
from support.pack_parts import take_apart
from support.pack_recipe import recipe
from support.the import the

TARGETS = {"pack": fuzz_pack, "bundle": fuzz_bundle}
CORPUS = Path(fuzz_run.__file__).parent / "corpus"


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_answered_rightly_or_refused(target: str) -> None:
    outcomes = Counter(TARGETS[target].check(data) for data in corpus(target))
    assert min(outcomes[True], outcomes[False]) > 0


def test_the_corpora_are_small() -> None:
    paths = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in paths) < 1_000_000
    assert {path.parent.name for path in paths} == set(TARGETS) == set(fuzz_run.TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_are_whole(target: str) -> None:
    seeds = TARGETS[target].seeds()
    assert len(seeds) > 5
    assert all(map(TARGETS[target].check, seeds.values()))


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_seed_makes_the_same_input(target: str) -> None:
    module: Any = TARGETS[target]
    for data in module.seeds().values():
        made = {seed: module.mutate(data, module.MAX_LENGTH, seed) for seed in range(20)}
        assert made == {seed: module.mutate(data, module.MAX_LENGTH, seed) for seed in made}
        assert len(set(made.values())) > 10
        assert max(map(len, made.values())) <= module.MAX_LENGTH


@cache
def packs() -> list[bytes]:
    return [recipe().build(), *sample_packs.sample_packs().values()]


def test_a_pack_taken_apart_is_put_together_again() -> None:
    for data in packs():
        made = the(take_apart(data))
        again = made.build()
        assert fuzz_pack.check(again)
        with srcpack.open(again) as one, srcpack.open(data) as other:
            assert one.bundle == other.bundle
            assert [entry.record for entry in one.entries()] == [entry.record for entry in other.entries()]


def test_what_cannot_be_taken_apart_is_scribbled_in() -> None:
    for data in (b"", b"x" * 400, recipe().build()[1:]):
        assert take_apart(data) is None
        assert lie(data, Random(1)) != data


@pytest.mark.slow
def test_every_lie_is_told_and_every_one_is_seen_or_does_no_harm() -> None:
    """Each alone, in each pack; all make another pack, and all but those that can be true are refused."""
    harmless = set()
    for number, spoil in enumerate([*LIES, *LIES_OF_BYTES]):
        told = refused = 0
        for turn in range(15):
            data = packs()[turn % len(packs())]
            random = Random(1000 * number + turn)
            if number < len(LIES):
                made = the(take_apart(data))
                right = made.build()
                LIES[number](made, random)
                try:
                    spoilt = made.build()
                except (ValueError, OverflowError):  # it does not fit
                    continue
            else:
                right, spoilt = data, LIES_OF_BYTES[number - len(LIES)](data, random)
            told += spoilt != right
            refused += not fuzz_pack.check(spoilt)
            if refused and told > 3 and turn >= len(packs()) - 1:
                break
        assert told > 3, spoil
        if not refused:
            harmless.add(spoil.__name__)
    assert harmless == {"buckets"}


@pytest.mark.parametrize(
    ("target", "name", "broken"),
    [
        ("pack", "srcpack.format.packfile.check_raw", lambda *_, **__: None),
        ("pack", "srcpack.format.directory.check_block", lambda *_, **__: None),
        ("pack", "srcpack.format.packfile.PackFile.read", lambda self, record: self.read_part(record, 0)),
        ("pack", "srcpack.format.verify._check_content", lambda *_: None),
        ("pack", "srcpack.format.verify._check_index", lambda *_: None),
        ("pack", "srcpack.format.lookup_table.bisect_right", lambda *_: 1),
        ("pack", "srcpack.format.manifest._texts", lambda _, texts: texts),
        ("bundle", "srcpack.bundle.members.SourceBundle._unpack", lambda *_: 1 // 0),
        ("bundle", "srcpack_convert.back.export.dump_manifest", lambda _: b'{"files":{}}'),
        (
            "bundle",
            "srcpack_convert.one.read.facts_of",
            lambda data, kind, _: facts_of(data, kind, {}),
        ),
    ],
)
def test_what_is_broken_in_the_library_is_found(
    target: str, name: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name, broken)
    found = 0
    module: Any = TARGETS[target]
    inputs = [*corpus(target), *module.seeds().values(), *sample_packs.sample_packs().values()]
    for turn in range(2000):
        data = inputs[turn % len(inputs)]
        try:
            module.check(data if turn < len(inputs) else module.mutate(data, module.MAX_LENGTH, turn))
        except Exception:  # noqa: BLE001  whatever it is, it is not let through
            found += 1
            break
    assert found


def test_the_runner_tells_of_targets_that_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fuzz_run.main(["zip"])
    assert "no target 'zip'; there are pack, bundle" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_runner_fuzzes_and_says_how_much(target: str) -> None:
    pytest.importorskip("atheris", reason="needs the extra fuzz")
    # A process of its own: what a fuzzer takes for its memory begins with the most that its parent ever had.
    command = [sys.executable, fuzz_run.__file__, target, "--minutes", "0.05"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    last = run.stdout.splitlines()[-1]
    assert re.fullmatch(rf"\| {target} \| 0\.05 \| [\d,]+ \| [\d,]+ \| [\d,]+ \| [\d,]+ \| 0 \|", last)
