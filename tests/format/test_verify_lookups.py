"""What `verify` says of lookup tables whose blocks are whole and whose content is not right."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack.format.lookup_table import LookupTable
from srcpack.format.lookups import ENTRY, LookupHead, SourceText, parse_head
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.source_maps import packed_map, source_map
from support.tables import build_tables_here

TEXT = "".join(f'line "{number}" \n' for number in range(200))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build_tables_here(monkeypatch)
    segments = [(0, column, 0, column, 0) for column in range(20)]
    value = packed_map(source_map(segments, ["a.ts"], sourcesContent=[TEXT]))
    files = {
        "a.js": {"type": "minified_source", "url": "~/a.js", "headers": {"sourcemap": "a.js.map"}},
        "a.js.map": {"type": "source_map", "url": "~/a.js.map"},
    }
    bundle = build_bundle({"a.js": b"x" * 20, "a.js.map": value, "blob": b"\xff"}, {"files": files})
    convert(bundle, tmp_path / "a.srcpack", lookups=True, dictionary="off")
    return tmp_path / "a.srcpack"


def said(path: Path) -> list[str]:
    with srcpack.open(path) as pack:
        return [str(error) for error in srcpack.verify(pack)]


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        (lambda text: [text, text], None),
        (
            lambda text: [text, text._replace(start=text.start + 1, length=text.length - 1)],
            "texts in the source map",
        ),
        (lambda text: [text._replace(start=text.start + 1)], "text in the source map"),
        (lambda text: [text._replace(length=text.length - 1)], "text in the source map"),
        (lambda text: [text._replace(start=0)], "text in the source map"),
        (lambda _: [SourceText(ENTRY, entry=999)], "entry 999, which is no text"),
        (lambda _: [SourceText(ENTRY, entry=2)], "entry 2, which is no text"),
        (lambda _: [SourceText(ENTRY, entry=1)], None),
    ],
)
def test_texts_are_where_a_table_says(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lie: Callable[[SourceText], list[SourceText]],
    says: str | None,
) -> None:
    assert said(path) == []
    texts = LookupTable.texts

    def lying(table: LookupTable) -> Iterator[SourceText]:
        (text,) = texts(table)
        yield from lie(text)

    monkeypatch.setattr(LookupTable, "texts", lying)
    found = said(path)
    assert [says is not None and says in each for each in found] == [True] * (says is not None), found


@pytest.mark.parametrize(
    ("lie", "says"),
    [({"map": 999}, "source map: found 999"), ({"map_sha256": bytes(32)}, "SHA-256 of the source map")],
)
def test_a_table_is_of_the_map_that_it_says(
    path: Path, monkeypatch: pytest.MonkeyPatch, lie: dict[str, Any], says: str
) -> None:
    def lying(*arguments: Any, **more: Any) -> LookupHead:
        return parse_head(*arguments, **more)._replace(**lie)

    monkeypatch.setattr("srcpack.format.lookup_table.parse_head", lying)
    (found,) = said(path)
    assert says in found
