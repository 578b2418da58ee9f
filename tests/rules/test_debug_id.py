"""Debug ids: which texts mean one, when two are the same, and how one is written."""

import copy
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.debug_id import DebugId

UUID = "3f2a9c10-7b44-4e0d-9a61-00c5d8e7b1f2"
COMPACT = UUID.replace("-", "")

# Near misses: mostly what an id is made of, and what Python's int() and regexes would let through.
ID_CHARACTERS = st.sampled_from("0123456789abcdefABCDEF-+ _xg\n\0é\u0661")
ID_LIKE = st.one_of(
    st.text(ID_CHARACTERS, max_size=20),
    st.builds(
        lambda start, end: UUID + start + end, st.sampled_from(["", "-", "--"]), st.text(ID_CHARACTERS)
    ),
    st.builds(lambda end: COMPACT.upper() + end, st.text(ID_CHARACTERS, max_size=12)),
    st.builds(
        lambda start, end: start + end,
        st.from_regex(r"[0-9a-fA-F+]{7,8}-?", fullmatch=True),
        st.text(ID_CHARACTERS, max_size=9),
    ),
    st.from_regex(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (UUID, UUID),
        (UUID.upper(), UUID),
        (COMPACT, UUID),
        (f"{UUID}-1f", f"{UUID}-1f"),
        (f"{COMPACT}1F", f"{UUID}-1f"),
        (f"{UUID}-000", UUID),
        (f"{UUID}-+5", f"{UUID}-5"),
        (f"{COMPACT}+5", f"{UUID}-5"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_a_uuid_with_or_without_hyphens_and_appendix(text: str, canonical: str) -> None:
    assert str(DebugId.parse(text)) == canonical


@pytest.mark.parametrize("tail", ["9", "zz", " \n", "-9", "0" * 5000])
def test_an_appendix_is_cut_to_eight_characters(tail: str) -> None:
    assert str(DebugId.parse(f"{UUID}-12345678{tail}")) == f"{UUID}-12345678"
    assert str(DebugId.parse(f"{COMPACT}12345678{tail}")) == f"{UUID}-12345678"


def test_an_appendix_may_be_all_zeros_once_cut() -> None:
    assert DebugId.parse(f"{UUID}-000000001") == DebugId.parse(UUID)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("418e89c3-1", "418E89C3-1"),
        ("418E89C31", "418E89C3-1"),
        ("418E89C3ABCDEF01", "418E89C3-abcdef01"),
        ("418E89C3-ABCDEF01", "418E89C3-abcdef01"),
        ("418E89C30", "418E89C3"),
        ("+18e89c3-1", "018E89C3-1"),
        ("000000000", "00000000"),
    ],
)
def test_a_short_id_is_a_pdb20_timestamp_and_age(text: str, canonical: str) -> None:
    assert str(DebugId.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "418e89c3",
        "418e89c3-",
        "418e89c3-123456789",
        "418e89c3a-1",
        "418e89c3 1",
        "0x18e89c-1",
        "418e_9c3-1",
        f" {UUID}",
        f"{UUID} ",
        f"{UUID}\n",
        f"{UUID}-",
        f"{UUID}a",
        f"{UUID}--1",
        f"{UUID}-1g",
        f"{UUID}-+",
        f"{UUID}-1_0",
        f"{UUID}-12345678é",
        f"{COMPACT}-1",
        f"{COMPACT}+",
        f"{COMPACT[:8]}-{COMPACT[8:]}",
        UUID[:-1],
        COMPACT[:-1],
        f"{{{UUID}}}",
        f"urn:uuid:{UUID}",
        UUID.replace("0", "\u0660"),
    ],
)
def test_anything_else_is_invalid(text: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid debug id " + re.escape(repr(text))):
        DebugId.parse(text)


def test_the_message_shows_no_more_than_the_start_of_a_long_text() -> None:
    with pytest.raises(ValueError, match=r"^invalid debug id 'g{80}…'$"):
        DebugId.parse("g" * 1_000_000)


@pytest.mark.parametrize("not_text", [None, UUID.encode(), 1])
def test_only_text_is_parsed(not_text: Any) -> None:
    message = rf"^a debug id is a str, not {type(not_text).__name__}$"
    with pytest.raises(TypeError, match=message):
        DebugId.parse(not_text)
    with pytest.raises(TypeError, match=message):
        DebugId.from_breakpad(not_text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f"{COMPACT}0", UUID),
        (f"{COMPACT}1f", f"{UUID}-1f"),
        (f"{COMPACT}+1f", f"{UUID}-1f"),
        (f"{COMPACT}000000000ffffffff", f"{UUID}-ffffffff"),
        ("418E89C31", "418E89C3-1"),
    ],
)
def test_breakpad_form(text: str, canonical: str) -> None:
    assert str(DebugId.from_breakpad(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        COMPACT,
        UUID,
        f"{UUID}-1",
        f"{COMPACT}-1",
        f"{COMPACT}123456789",
        f"{COMPACT}1z",
        "418E89C3-1",
        "418E89C3",
        "",
    ],
)
def test_breakpad_form_has_no_hyphens_and_a_whole_appendix(text: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid debug id "):
        DebugId.from_breakpad(text)


@pytest.mark.parametrize(
    ("text", "breakpad"),
    [
        (UUID, f"{COMPACT.upper()}0"),
        (f"{UUID}-AB", f"{COMPACT.upper()}ab"),
        ("418e89c3-A", "418E89C3a"),
        ("418e89c30", "418E89C30"),
    ],
)
def test_writing_breakpad_form(text: str, breakpad: str) -> None:
    assert DebugId.parse(text).breakpad() == breakpad


def test_a_guid_has_its_first_three_fields_swapped() -> None:
    guid = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert str(DebugId.from_guid_age(guid, 0)) == "33221100-5544-7766-8899-aabbccddeeff"
    assert str(DebugId.from_guid_age(guid, 0xFFFFFFFF)) == "33221100-5544-7766-8899-aabbccddeeff-ffffffff"


def test_a_guid_has_sixteen_bytes_and_the_age_is_unsigned() -> None:
    with pytest.raises(ValueError, match=r"^a GUID has 16 bytes, not 15$"):
        DebugId.from_guid_age(bytes(15), 1)
    for age in (-1, 1 << 32):
        with pytest.raises(ValueError, match=rf"^the age {age} is not an unsigned 32-bit number$"):
            DebugId.from_guid_age(bytes(16), age)


def test_ids_are_equal_by_meaning() -> None:
    forms = [UUID, UUID.upper(), COMPACT, f"{COMPACT}0", f"{UUID}-0"]
    assert len({DebugId.parse(form) for form in forms}) == 1
    assert DebugId.parse(UUID) != DebugId.parse(f"{UUID}-1")
    # The same bits, but not the same kind of id.
    assert DebugId.parse("418e89c30") != DebugId.parse("418e89c3-0000-0000-0000-000000000000")
    assert DebugId.parse(UUID) != UUID


def test_an_id_cannot_be_changed() -> None:
    debug_id = DebugId.parse(UUID)
    with pytest.raises(AttributeError, match=r"^a DebugId is immutable, '_text' cannot be set$"):
        debug_id._text = "x"
    with pytest.raises(AttributeError, match=r"^a DebugId is immutable, '_text' cannot be deleted$"):
        del debug_id._text
    with pytest.raises(AttributeError):
        debug_id.other = 1
    assert not hasattr(debug_id, "__dict__")


@pytest.mark.parametrize("text", [UUID, f"{UUID}-7", "418E89C3-1", "418E89C30"])
def test_ids_survive_pickle_and_copy(text: str) -> None:
    debug_id = DebugId.parse(text)
    assert pickle.loads(pickle.dumps(debug_id)) == debug_id
    assert copy.deepcopy(debug_id) == debug_id


def test_an_id_shows_itself() -> None:
    assert repr(DebugId.parse(f"{UUID}-7")) == f"DebugId('{UUID}-7')"


@given(st.binary(min_size=16, max_size=16), st.integers(0, 0xFFFFFFFF))
def test_every_form_of_an_id_leads_back_to_it(guid: bytes, age: int) -> None:
    debug_id = DebugId.from_guid_age(guid, age)
    assert DebugId.parse(str(debug_id)) == debug_id
    assert DebugId.from_breakpad(debug_id.breakpad()) == debug_id
    assert hash(DebugId.parse(str(debug_id).upper())) == hash(debug_id)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_every_form_of_a_pdb20_id_leads_back_to_it(timestamp: int, age: int) -> None:
    debug_id = DebugId.parse(f"{timestamp:08x}{age:x}")
    assert DebugId.from_breakpad(debug_id.breakpad()) == debug_id
    # Without an age the text is 8 characters, which upstream writes but does not read either.
    if age:
        assert DebugId.parse(str(debug_id)) == debug_id


@given(ID_LIKE)
def test_symbolic_gives_the_same_answers(text: str) -> None:
    symbolic = pytest.importorskip("symbolic")
    for theirs, ours in (
        (symbolic.normalize_debug_id, DebugId.parse),
        (symbolic.id_from_breakpad, DebugId.from_breakpad),
    ):
        try:
            expected = theirs(text)
        except symbolic.ParseDebugIdError:
            expected = None
        try:
            found = str(ours(text))
        except ValueError:
            found = None
        assert found == expected
