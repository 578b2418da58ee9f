"""Dictionaries that packs share: loaded once, hashed before another pack's contents are decoded with them."""

import hashlib
from contextlib import suppress
from itertools import permutations, product
from typing import Any

import pytest
import zstandard

import srcpack
from srcpack import FormatError
from srcpack.format import zstd_frames as decoding
from srcpack.format.head_tail import Tail
from srcpack.opening import packfile_of
from srcpack.source.byte_source import ByteSource
from support.damaged_packs import forget_dictionaries
from support.pack_recipe import BAD, recipe
from support.sentences.packs import DICTIONARY, dictionary
from support.survey import problems

OTHER_DICTIONARY = zstandard.train_dictionary(
    1024,
    [b"%d: other words, %d of them" % (number % 5, number) for number in range(300)],
    dict_id=DICTIONARY.dict_id(),
)
HONEST = dictionary()


def liar() -> bytes:
    """Make a pack that claims the SHA-256 of a dictionary which it does not have."""
    made = recipe(None, OTHER_DICTIONARY)
    made.tail = {"dictionary_sha256": hashlib.sha256(DICTIONARY.as_bytes()).digest()}
    return made.build()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a name with each dictionary that is read from a pack; none is known yet."""
    loaded: list[str] = []
    read_dictionary = decoding.read_dictionary

    def counting(source: ByteSource, tail: Tail, *, file: str) -> decoding.Dictionary:
        loaded.append(file)
        return read_dictionary(source, tail, file=file)

    monkeypatch.setattr(decoding, "read_dictionary", counting)
    forget_dictionaries()
    return loaded


def test_a_dictionary_with_another_sha256_serves_its_own_pack_alone(loaded: list[str]) -> None:
    """Though it was there first."""
    lying = srcpack.open(liar())
    assert lying["bad.js"].read() == BAD
    loaded.clear()
    honest = srcpack.open(HONEST())
    assert honest["bad.js"].read() == BAD
    assert packfile_of(honest).dictionary().data.as_bytes() == DICTIONARY.as_bytes()
    assert packfile_of(lying).dictionary().data.as_bytes() == OTHER_DICTIONARY.as_bytes()
    assert len(loaded) == 1
    assert any("SHA-256 of the dictionary" in problem for problem in problems(liar()))
    assert problems(HONEST()) == []


def test_a_dictionary_with_another_sha256_takes_the_place_of_none() -> None:
    """Whatever was dropped meanwhile, and whoever reads first again."""
    packs = {"first": HONEST(), "second": HONEST(), "liar": liar()}
    for before, after in product(permutations(packs), repeat=2):
        opened = {name: srcpack.open(data) for name, data in packs.items()}
        for order in (before, after):
            forget_dictionaries()
            for name in order:
                if name == "liar":
                    with suppress(FormatError):  # the one that it claims was here before
                        assert opened[name]["bad.js"].read() == BAD
                else:
                    assert packfile_of(opened[name]).dictionary().data.as_bytes() == DICTIONARY.as_bytes()
                    assert opened[name]["bad.js"].read() == BAD


def test_a_dictionary_of_many_packs_is_loaded_once_and_hashed_once(
    loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []

    def counting(data: bytes) -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr(decoding, "sha256", counting)
    packs = [srcpack.open(HONEST()) for _ in range(5)]
    assert packs[0]["bad.js"].read() == BAD
    assert (len(loaded), hashed) == (1, [])
    for pack in [*packs, *packs]:
        assert pack["bad.js"].read() == BAD
    assert (len(loaded), hashed) == (1, [len(DICTIONARY.as_bytes())])


def test_a_dictionary_that_another_pack_has_hides_nothing_from_verify() -> None:
    """A pack with a broken dictionary works beside one whose dictionary is whole, but does not verify."""
    forget_dictionaries()
    assert srcpack.open(HONEST())["bad.js"].read() == BAD
    broken = srcpack.open(dictionary(frame=b"x" * 40)())
    assert broken["bad.js"].read() == BAD
    assert "dictionary: frame" in str(next(iter(srcpack.verify(broken))))
