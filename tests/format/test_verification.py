"""Verification beside the rows of test_sentences.py: what is right, what is told, and what is expected."""

from collections.abc import Sequence

import pytest

import srcpack
from srcpack import FormatError
from srcpack.format.verify import find_problems
from srcpack.opening import packfile_of
from srcpack.records import EntryRecord
from srcpack.rules.lookup_keys import Kind
from support.bundle_builder import build_bundle
from support.pack_recipe import TAIL_SIZE, recipe


@pytest.fixture(scope="module")
def whole() -> bytes:
    return recipe().build()


def problems(data: bytes, expected: Sequence[EntryRecord] | None = None) -> list[str]:
    return [str(error) for error in find_problems(packfile_of(srcpack.open(data)), expected)]


def test_a_pack_without_some_kinds_of_key_is_right() -> None:
    made = recipe()
    made.keys = [key for key in made.all_keys() if key[0] in {Kind.NAME, Kind.URL}]
    made.tail["key_kinds"] = 1 << Kind.NAME | 1 << Kind.URL
    data = made.build()
    assert problems(data) == []
    pack = srcpack.open(data)
    assert pack.by_url("~/good.js") == pack["good.js"]
    with pytest.raises(FormatError, match="this pack has no index of the kind path"):
        pack.by_path("/b.js")


def test_only_a_pack_can_be_verified() -> None:
    zipped = srcpack.open(build_bundle({"a.js": b"a"}, {"files": {}}))
    with pytest.raises(TypeError, match=r"a SourceBundle zip, where a \.srcpack is needed"):
        srcpack.verify(zipped)
    with pytest.raises(TypeError, match=r"an open pack is needed, not str: 'app\.srcpack'"):
        srcpack.verify("app.srcpack")  # type: ignore[arg-type]


def test_a_byte_changed_is_found_by_the_hash_of_all_and_then_where_it_is(whole: bytes) -> None:
    for at, where in (
        (len(whole) - TAIL_SIZE - 1, "checksum of bucket"),
        (24 + 8 + 160 + 20, "'good.js': frame"),
    ):
        changed = bytearray(whole)
        changed[at] ^= 1
        of_all, of_part = problems(bytes(changed))
        assert of_all.startswith("<bytes>: SHA-256 of all before the tail: found ")
        assert where in of_part


def test_names_that_do_not_rise_are_told_with_the_name_before() -> None:
    made = recipe()
    made.entries[1:3] = reversed(made.entries[1:3])
    made.keys = made.all_keys()
    (problem,) = problems(made.build())
    assert problem == "<bytes>: 'good.js': order of entries: expected a name after 'long.js'"


def test_each_content_that_is_wrong_is_told_and_the_rest_is_checked() -> None:
    made = recipe()
    for number in (0, 3):
        made.entries[number] = {**made.entries[number], "sha256": bytes(31) + bytes([number])}
    assert [problem.partition(": found ")[0] for problem in problems(made.build())] == [
        "<bytes>: 'bad.js': SHA-256, lines, UTF-8",
        "<bytes>: 'raw.bin': SHA-256, lines, UTF-8",
    ]


def test_entries_are_those_that_are_expected(whole: bytes) -> None:
    with srcpack.open(whole) as pack:
        records = [entry.record for entry in pack.entries()]
    assert problems(whole, records) == []
    for expected in (records[:-1], [*records, records[0]], [records[0]._replace(utf8=False), *records[1:]]):
        (problem,) = problems(whole, expected)
        assert problem.startswith("<bytes>: entry: ")
