"""What a bundle's attributes say of its object file, and that symbolic says the same."""

from collections.abc import Mapping

import pytest

from srcpack.rules.object_info import NIL_DEBUG_ID, ObjectInfo
from support.bundle_builder import build_bundle

NIL = "00000000-0000-0000-0000-000000000000"
ID = "dfb8e43a-f242-3d73-a453-aeb6a777ef75"
# Attributes, and the debug id, code id and architecture that symbolic gives for them.
EXAMPLES: list[tuple[Mapping[str, str], tuple[str, str | None, str]]] = [
    ({}, (NIL, None, "unknown")),
    ({"debug_id": ID, "arch": "x86_64", "code_id": "F53AF9062B83"}, (ID, "f53af9062b83", "x86_64")),
    ({"debug_id": ID.replace("-", "").upper() + "a"}, (f"{ID}-a", None, "unknown")),
    ({"debug_id": "nonsense"}, (NIL, None, "unknown")),
    ({"debug_id": ""}, (NIL, None, "unknown")),
    ({"code_id": ""}, (NIL, None, "unknown")),
    ({"code_id": "xyz"}, (NIL, None, "unknown")),
    ({"code_id": "F5-3A/z9Ğ"}, (NIL, "f53a9", "unknown")),
    ({"arch": ""}, (NIL, None, "unknown")),
    ({"arch": "AMD64"}, (NIL, None, "x86_64")),
    ({"arch": "x86-64"}, (NIL, None, "x86_64")),
    ({"arch": "ARM-64"}, (NIL, None, "arm64")),
    ({"arch": "i386"}, (NIL, None, "x86")),
    ({"arch": "i686"}, (NIL, None, "unknown")),
    ({"arch": "armv7k"}, (NIL, None, "armv7k")),
    ({"arch": "arm64_32_v8"}, (NIL, None, "arm64_32_v8")),
    ({"arch": "arm64_32v8"}, (NIL, None, "unknown")),
    ({"arch": "wasm32"}, (NIL, None, "wasm32")),
    ({"arch": " x86"}, (NIL, None, "unknown")),
    ({"arch": "\N{KELVIN SIGN}86"}, (NIL, None, "unknown")),
]


@pytest.mark.parametrize(("attributes", "expected"), EXAMPLES)
def test_attributes_describe_an_object(
    attributes: Mapping[str, str], expected: tuple[str, str | None, str]
) -> None:
    info = ObjectInfo.of(attributes)
    assert (str(info.debug_id), info.code_id, info.arch) == expected
    assert info.name is None


@pytest.mark.parametrize(("attributes", "expected"), EXAMPLES)
def test_symbolic_says_the_same(attributes: Mapping[str, str], expected: tuple[str, str | None, str]) -> None:
    symbolic = pytest.importorskip("symbolic")
    data = build_bundle({}, {"files": {}, **attributes})
    archive = symbolic.Archive.from_bytes(data)
    (found,) = archive.iter_objects()
    assert (found.debug_id, found.code_id, found.arch) == expected


def test_the_name_is_the_object_s() -> None:
    assert ObjectInfo.of({"object_name": "relay", "name": "no"}).name == "relay"
    assert ObjectInfo.of({"object_name": ""}).name == ""
    assert ObjectInfo.of({"debug_id": "x"}).debug_id == NIL_DEBUG_ID
