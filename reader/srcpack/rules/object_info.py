"""What a bundle's attributes say of the object that its files belong to.

Rule source: symbolic a5980e8 `symbolic-debuginfo/src/sourcebundle/mod.rs` (`SourceBundle::code_id`,
`debug_id`, `name`, `arch`), `symbolic-common/src/types.rs` (`Arch`); rust-debugid 6185e37 (`CodeId`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from srcpack.rules.debug_id import DebugId

__all__ = ["NIL_DEBUG_ID", "ObjectInfo"]

NIL_DEBUG_ID = DebugId.parse("00000000-0000-0000-0000-000000000000")

_UNKNOWN = "unknown"
_ARM = ("", "v5", "v6", "v6m", "v7", "v7em", "v7f", "v7k", "v7m", "v7s", "_unknown")
_ARM64 = ("", "_32", "_32_unknown", "_32_v8", "_unknown", "e", "v8")
_ARCHITECTURES = frozenset(
    {
        *(f"arm{variant}" for variant in _ARM),
        *(f"arm64{variant}" for variant in _ARM64),
        *(f"x86{variant}" for variant in ("", "_64", "_64_unknown", "_64h", "_unknown")),
        *("mips", "mips64", "ppc", "ppc64", "wasm32"),
    }
)
_ALIASES = {"amd64": "x86_64", "arm-64": "arm64", "i386": "x86", "x86-64": "x86_64"}
_NO_HEX_DIGITS = re.compile("[^0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """The object file, of native code mostly, that a bundle has the sources of.

    Attributes:
        debug_id: Its debug id; `NIL_DEBUG_ID` if there is none or it is invalid.
        code_id: Its code id, in lower-case hexadecimal digits; None if there is none, or no digit in it.
        arch: Its architecture by its canonical name; `unknown` if there is none or it is not known.
        name: Its name, or None.
    """

    debug_id: DebugId
    code_id: str | None
    arch: str
    name: str | None

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Self:
        """Read the attributes of a bundle, `Pack.attributes`."""
        code_id = _NO_HEX_DIGITS.sub("", attributes.get("code_id", "")).lower()
        return cls(
            debug_id=DebugId.parse_or_none(attributes.get("debug_id", "")) or NIL_DEBUG_ID,
            code_id=code_id or None,
            arch=_arch(attributes.get("arch", "")),
            name=attributes.get("object_name"),
        )


def _arch(text: str) -> str:
    # Names are ASCII and compared without case; other capitals that become ASCII in lower case are not.
    name = text.lower() if text.isascii() else _UNKNOWN
    name = _ALIASES.get(name, name)
    return name if name in _ARCHITECTURES else _UNKNOWN
