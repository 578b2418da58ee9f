"""Debug ids: what two texts of one id have in common, and the one text they are written as.

Rule source: rust-debugid 6185e37 `src/lib.rs`, whose answers PyPI `symbolic` gives too
(`normalize_debug_id`, `id_from_breakpad`).
"""

import re
from typing import NoReturn

__all__ = ["DebugId"]

_HYPHENATED = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
).fullmatch
_COMPACT = re.compile(r"[0-9a-fA-F]{32}").fullmatch
# Rust's integer parser takes a plus sign; Python's takes spaces, underscores and "0x" as well.
_HEX = re.compile(r"\+?[0-9a-fA-F]+").fullmatch
_APPENDIX_DIGITS = 8
_U32_MAX = 0xFFFF_FFFF


class DebugId:
    """Identity of a debug information file: a UUID or a PDB 2.0 timestamp, with an appendix (age).

    Immutable and hashable. Two ids are equal when they mean the same, however they were written.

    Args:
        text: Any form that `parse` takes.

    Raises:
        TypeError: `text` is not a str.
        ValueError: `text` is no debug id.
    """

    __slots__ = ("_text",)

    # The canonical text says everything: a PDB 2.0 id is shorter than any UUID.
    _text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", _canonical(text))

    @classmethod
    def parse(cls, text: str) -> "DebugId":
        """Read an id as a manifest, a source map or an event has it.

        Takes a hyphenated UUID with an optional `-` and hex appendix, a UUID without hyphens with an
        optional hex appendix, or a PDB 2.0 id. An appendix is cut to its first 8 characters. Nothing is
        trimmed from the text.

        Args:
            text: The id.

        Returns:
            The id.

        Raises:
            TypeError: `text` is not a str.
            ValueError: `text` is no debug id.
        """
        return cls(text)

    @classmethod
    def parse_or_none(cls, text: str) -> "DebugId | None":
        """Read an id as `parse` does; None if the text is not one, as readers of events take it."""
        try:
            return cls(text)
        except ValueError:
            return None

    @classmethod
    def from_breakpad(cls, text: str) -> "DebugId":
        """Read an id in Breakpad's form, or raise ValueError: no hyphens, an appendix that is never cut."""
        if not isinstance(text, str):
            raise TypeError(f"a debug id is a str, not {type(text).__name__}")
        if text[8:9] == "-" or len(text) == 32:
            raise _invalid(text)
        if len(text) > 32:
            if not _COMPACT(text, 0, 32):
                raise _invalid(text)
            return cls(f"{text[:32]}{_u32(text[32:], text):x}")
        return cls(text)

    @classmethod
    def from_guid_age(cls, guid_bytes: bytes, age: int) -> "DebugId":
        """Make an id of what a PDB's CodeView record holds: a Microsoft GUID, and the age, the appendix.

        The GUID has 16 bytes, of which the first three fields are little-endian; the age is 0 to 2**32 - 1.
        Raises ValueError if one of them is not so.
        """
        if len(guid_bytes) != 16:
            raise ValueError(f"a GUID has 16 bytes, not {len(guid_bytes)}")
        if not 0 <= age <= _U32_MAX:
            raise ValueError(f"the age {age} is not an unsigned 32-bit number")
        ordered = guid_bytes[3::-1] + guid_bytes[5:3:-1] + guid_bytes[7:5:-1] + guid_bytes[8:]
        return cls(f"{ordered.hex()}{age:x}")

    def breakpad(self) -> str:
        """The id in Breakpad's form: the UUID in upper case without hyphens, then the appendix or 0."""
        stem_end = 8 if len(self._text) < 36 else 36
        stem = self._text[:stem_end].replace("-", "").upper()
        return stem + (self._text[stem_end + 1 :] or "0")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"DebugId({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, DebugId) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a DebugId is immutable, {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a DebugId is immutable, {name!r} cannot be deleted")

    def __reduce__(self) -> tuple[type["DebugId"], tuple[str]]:
        # Setting the slot, as pickle would, is forbidden; and the text of a PDB 2.0 id without an age is
        # too short to be parsed, here as upstream.
        return DebugId, (self.breakpad(),)


def _canonical(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a debug id is a str, not {type(text).__name__}")
    if len(text) == 36 and _HYPHENATED(text):
        return text.lower()
    # What is cut from a long appendix may be any character, as long as it is ASCII.
    if not text.isascii():
        raise _invalid(text)
    hyphen = int(text[8:9] == "-")
    if 9 + hyphen <= len(text) <= 16 + hyphen:
        timestamp, appendix = _u32(text[:8], text), _u32(text[8 + hyphen :], text)
        stem = f"{timestamp:08X}"
    else:
        end = 36 if hyphen else 32
        if not (_HYPHENATED if hyphen else _COMPACT)(text, 0, end):
            raise _invalid(text)
        stem = text[:end].lower()
        if not hyphen:
            stem = f"{stem[:8]}-{stem[8:12]}-{stem[12:16]}-{stem[16:20]}-{stem[20:]}"
        if len(text) == end:
            appendix = 0
        elif hyphen and text[end] != "-":
            raise _invalid(text)
        else:
            start = end + hyphen
            appendix = _u32(text[start : start + _APPENDIX_DIGITS], text)
    return f"{stem}-{appendix:x}" if appendix else stem


def _u32(digits: str, text: str) -> int:
    if not _HEX(digits):
        raise _invalid(text)
    number = int(digits, 16)
    if number > _U32_MAX:
        raise _invalid(text)
    return number


def _invalid(text: str) -> ValueError:
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return ValueError(f"invalid debug id {shown!r}")
