"""For every sentence of SPEC.md that excludes something, packs that break it: both readers refuse them.

All checksums are right, so that it is the sentence alone that they break. What is no matter of bytes, but of
how a writer or a reader behaves, is in `ELSEWHERE`. A new sentence without a row fails.
"""

import re

import pytest
import zstandard

import srcpack
from srcpack import SrcpackError
from support.pack_recipe import BAD, GOOD, LONG, RAW, recipe
from support.places import ROOT
from support.sentences.of_file import ROWS_OF_FILE
from support.sentences.of_manifest import ROWS_OF_MANIFEST
from support.sentences.of_tables import ROWS_OF_TABLES
from support.sentences.packs import DICTIONARY
from support.sentences.row import ENTRY, READ, Row
from support.spec_reader import Refused, SpecReader
from support.survey import others_are_right, problems, survey

ROWS = [*ROWS_OF_FILE, *ROWS_OF_MANIFEST, *ROWS_OF_TABLES]
SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")
ELSEWHERE = {
    "and before contents of another pack are decoded with it": "format/test_dictionaries.py",
    "the head, where opening left it out": "source/test_remote.py",
    "A SHA-256 in an entry MUST NOT be used as a key": "resolve/test_content_cache.py",
    "MUST choose `seed` so that no bucket has more than 32 slots": "convert/one/test_convert.py",
    "MUST write `debug_id` wherever the headers give": "format/test_lookup_rules.py",
    "MUST make zstd frames with windows of at most 128 MiB": "convert/one/test_convert.py",
    "MUST NOT let clock, host name, path or number of threads": "convert/one/test_convert.py",
    "MUST write beside the final name": "convert/test_atomic_write.py",
    "MUST check every length against the section or file": "format/test_hostile_packs.py",
    "MUST check a checksum before it uses the meaning": "format/test_replaced.py",
    "MUST tell a damaged pack from a missing key": "format/test_damage.py",
    "It SHOULD put no table where symbolic refuses the map": "convert/one/test_lookup_tables.py",
}
"""How writers and readers behave, and what tests it."""
_SAYS_NOTHING_MORE = {
    *("version 1.0 has none.", "To decode a compressed part a reader MUST, in this order:"),
    *("A reader MUST refuse an entry that", "MUST refuse, on use: what sections 4 to 8 tell it to refuse."),
    "A reader MUST refuse a tail of which one of these is not so:",
    "`verify` checks what reading does not need, and refuses a pack of which one of these is not so:",
}
"""What only heads other sentences, or points to them."""
_EXCLUDES = re.compile(r"\bMUST\b|\brefuse|checked by verification")


def sentences() -> list[str]:
    """Return the sentences of SPEC.md that exclude something, each cut at its semicolons.

    They say MUST, or that something is refused; or are items of a list that is headed so.
    """
    text = SPEC.partition("## 1 Conventions")[2].partition("## 17 Example")[0]
    found: list[str] = []
    headed = False
    for block in re.split(r"\n\s*\n|\n(?=- |\d\. )", text):
        if block.startswith("    "):
            found += [line.strip() for line in block.splitlines() if _EXCLUDES.search(line)]
            continue
        if block[:1] in {"|", ">", "#"}:
            headed = False
            continue
        item = re.match(r"- |\d\. ", block)
        words = " ".join(block.removeprefix(item[0] if item else "").split())
        for sentence in re.split(r"(?<=[)\w]\.)\s(?=[A-Z*`])", words):
            if (item and headed) or _EXCLUDES.search(sentence):
                found += sentence.split("; ")
        if not item:
            headed = _EXCLUDES.search(words) is not None
    return found


@pytest.mark.parametrize("dictionary", [None, DICTIONARY])
def test_the_recipe_is_right_before_it_is_spoilt(dictionary: zstandard.ZstdCompressionDict | None) -> None:
    data = recipe(None, dictionary).build()
    assert [entry.read() for entry in srcpack.open(data).entries()] == [BAD, GOOD, LONG, RAW]
    others_are_right(data)
    assert problems(data) == []
    SpecReader(data).verify()
    # Of what is asked, a pack has no dictionary, and a raw content that is no text.
    refused = {"<bytes>: 'raw.bin' cannot be read: not UTF-8"}
    assert {str(error) for error in survey(data)} - {"<bytes>: this pack has no dictionary"} == refused


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.says[:60]}: {row.what}")
def test_what_a_sentence_excludes_is_refused_by_both_readers(row: Row) -> None:
    """And nothing but an error of ours comes of any other question; other entries are read rightly."""
    data = row.made()
    try:
        told = problems(data)
    except SrcpackError as error:
        told = [str(error)]
    assert any(re.search(row.told, problem) for problem in told), told
    with pytest.raises(Refused):
        SpecReader(data).verify()
    if row.use is not None:
        survey(data)
        reader, oracle = row.use
        with pytest.raises(SrcpackError):
            reader(data)
        with pytest.raises(Refused):
            oracle(data)
    if row.use in (ENTRY, READ) and row.told.startswith(("entry", "'bad.js'")):
        others_are_right(data)


def test_every_row_quotes_what_spec_says() -> None:
    words = " ".join(SPEC.split())
    assert [row.says for row in ROWS if row.says not in words] == []
    assert [said for said in (*ELSEWHERE, *_SAYS_NOTHING_MORE) if said not in words] == []
    assert [path for path in ELSEWHERE.values() if not (ROOT / "tests" / path).is_file()] == []


def test_every_sentence_that_excludes_something_has_a_row() -> None:
    said = [*(row.says for row in ROWS), *ELSEWHERE, *_SAYS_NOTHING_MORE]
    assert [each for each in sentences() if not any(words in each for words in said)] == []
