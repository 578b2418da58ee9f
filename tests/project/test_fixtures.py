"""The fixtures: what make.py makes, what the packs answer, and what damaged ones say."""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import zstandard
from bundle_fixtures import FIXTURES
from make import DAMAGES, make

import srcpack
from srcpack import Entry, FormatError, Pack, SourceLink
from srcpack.source.source_of import SourceKind
from support.places import FIXTURES as HERE

SOURCES = ("mmap", "pread")
KINDS = (*SOURCES, "zip", "zip-in-memory")


def sidecar(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((HERE / "packs" / f"{name}.json").read_text(encoding="utf-8"))
    return value


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> SourceKind:
    return cast("SourceKind", request.param)


@pytest.fixture(params=[fixture.name for fixture in FIXTURES])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pack(name: str, kind: str) -> Iterator[Pack]:
    """Open a pack, or its bundle: both have to hold and answer what the sidecar says."""
    bundle = HERE / "bundles" / f"{name}.zip"
    if kind in SOURCES:
        opened = srcpack.open(HERE / "packs" / f"{name}.srcpack", source=cast("SourceKind", kind))
    else:
        opened = srcpack.open(bundle if kind == "zip" else bundle.read_bytes())
    with opened:
        yield opened


def test_make_gives_the_bytes_that_are_kept(tmp_path: Path) -> None:
    """A pack is decided by bundle, options and libzstd; a change of the format shows here first."""
    kept = srcpack.open(HERE / "packs" / "app.srcpack").bundle.created_by
    libzstd = ".".join(map(str, zstandard.ZSTD_VERSION))
    if (kept["tool"], kept["libzstd"]) != (f"srcpack {srcpack.__version__}", libzstd):
        pytest.skip(f"the packs were made by {kept['tool']} with libzstd {kept['libzstd']}")
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip("zlib-ng deflates the bundles in another way")
    make(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert made
    for path, data in made.items():
        assert (HERE / path).read_bytes() == data, path
    folders = [HERE / folder for folder in ("bundles", "packs", "damaged")]
    assert {path.relative_to(HERE) for folder in folders for path in folder.iterdir()} == set(made)


def test_a_pack_has_the_entries_that_its_sidecar_says(name: str, pack: Pack) -> None:
    expected = sidecar(name)["entries"]
    assert [entry.name for entry in pack.entries()] == [entry["name"] for entry in expected]
    for entry, facts in zip(pack.entries(), expected, strict=True):
        record = entry.record
        found = {
            "name": entry.name,
            "listed": record.listed,
            "type": record.type,
            "path": entry.path,
            "url": entry.url,
            "size": entry.size,
            "lines": entry.lines,
            "sha256": None if entry.sha256 is None else entry.sha256.hex(),
            "source_mapping_url": entry.source_mapping_url,
            "debug_id": None if entry.debug_id is None else str(entry.debug_id),
        }
        damage = facts.pop("damage", None)
        assert (entry.damage is None) == (damage is None)
        if damage is not None:
            assert damage in (entry.damage or "")
        assert {key: found[key] for key in facts} == facts


def test_a_pack_has_the_contents_of_its_bundle(name: str, pack: Pack) -> None:
    contents = next(fixture for fixture in FIXTURES if fixture.name == name).files
    for entry in pack.entries():
        if entry.damage is None:
            assert entry.read() == contents[entry.name]
            assert bytes(entry.view()) == contents[entry.name]
            with entry.open() as file:
                assert file.read() == contents[entry.name]


def test_a_pack_answers_lookups_as_its_sidecar_says(name: str, pack: Pack) -> None:
    for kind, lookups in sidecar(name)["lookups"].items():
        for key, expected in lookups.items():
            answer: Entry | SourceLink | None
            if kind == "debug_id":
                answer = pack.by_debug_id(*key.split(" "))
            else:
                answer = pack.by_url(key) if kind == "url" else pack.by_path(key) or pack.source_link(key)
            found = answer.url if isinstance(answer, SourceLink) else answer and answer.name
            assert found == expected, (kind, key)


def test_a_pack_keeps_the_manifest_s_other_values(name: str, pack: Pack) -> None:
    expected = sidecar(name)
    assert pack.attributes == expected["attributes"]
    assert pack.source_links == expected["source_links"]


def test_a_pack_verifies(name: str, source: SourceKind) -> None:
    with srcpack.open(HERE / "packs" / f"{name}.srcpack", source=source) as pack:
        assert srcpack.verify(pack) == []


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_a_damaged_pack_is_refused_with_a_reason(damage: Any, source: SourceKind) -> None:
    path = HERE / "damaged" / f"{damage.name}.srcpack"
    if damage.where == "open":
        with pytest.raises(FormatError, match=damage.says) as error:
            srcpack.open(path, source=source)
    else:
        pack = srcpack.open(path, source=source)
        with pytest.raises(FormatError, match=damage.says) as error:
            pack[damage.where].read()
        assert error.value.member == damage.where
        assert [str(problem) for problem in srcpack.verify(pack)]
    assert str(path) in str(error.value)


def test_each_fixture_says_what_it_covers() -> None:
    assert all(fixture.covers for fixture in FIXTURES)
    assert len({fixture.name for fixture in FIXTURES}) == len(FIXTURES)
