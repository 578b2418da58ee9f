"""The bundles of the corpus beside the checkout: each converts, or is refused, and answers as its zip does.

The corpus is data of others and no part of this project; without it these tests skip.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from _pytest.mark import ParameterSet

import srcpack
from srcpack.bundle.manifest_json import parse_manifest
from srcpack.bundle.members import SourceBundle
from srcpack.errors import FormatError, LimitExceeded
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.rules.references_in_content import discover_source_map_reference
from srcpack_convert import ConversionReport, convert
from srcpack_convert.back.compare import compare
from support.places import CORPUS

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="no ../shared/corpus beside the checkout")

Converted: TypeAlias = Callable[[str], tuple[Path, ConversionReport]]

LARGE = ("js-many", "js-web")

LARGEST_SHARE = {"js-many": 0.63, "jvm-junit4": 0.65, "native-lua": 0.84, "js-web": 0.90}
"""Of the zip's size, that a pack of the default preset may have."""

LARGEST_SHARE_MAX = {"js-many": 0.575, "jvm-junit4": 0.60, "native-lua": 0.79, "js-web": 0.82}
"""The same for the preset `max`."""


def expectations(folder: str) -> dict[str, dict[str, Any]]:
    path = CORPUS / folder / "EXPECT.json"
    value: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return value


def bundles(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (CORPUS / folder).glob("*.zip"))


def that_open() -> list[Path]:
    odd = expectations("odd")
    return [
        *bundles("real", "symbolicator"),
        *(path for path in bundles("odd") if odd[path.name]["symbolic"] == "opens"),
    ]


def manifest_of(path: Path) -> Any:
    with SourceBundle(path) as bundle:
        return bundle.manifest


def cases(paths: list[Path]) -> list[ParameterSet]:
    """Leave bundles of very many files to the whole suite."""
    slow = ("zip64-70000-files", "manifest-million-files", *LARGE)
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(path, id=path.stem, marks=marks[path.stem in slow]) for path in paths]


@pytest.mark.parametrize("path", cases(that_open()))
def test_a_bundle_converts_and_answers_as_its_zip_does(path: Path, converted: Converted) -> None:
    """That they all come back is tested in tests/convert/back/test_export.py."""
    target, report = converted(str(path.relative_to(CORPUS)))
    with srcpack.open(target) as pack, SourceBundle(path) as bundle:
        assert report.files == len(pack)
        if path.stem == "zip64-70000-files":  # they are all alike
            assert list(pack) == sorted(bundle.members) == sorted(bundle.manifest.files)
            assert all(pack[name].read() == bundle.read(name) for name in list(pack)[::500])
        else:
            assert [str(error) for error in compare(pack, bundle)] == []
    if path.stem in LARGEST_SHARE:
        assert report.ratio <= LARGEST_SHARE[path.stem]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["jvm-junit4", "native-lua", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in LARGE)],
)
def test_the_preset_max_makes_small_packs(name: str, tmp_path: Path) -> None:
    report = convert(CORPUS / "real" / f"{name}.zip", tmp_path / "max.srcpack", preset="max", jobs=2)
    assert report.ratio <= LARGEST_SHARE_MAX[name]


@pytest.mark.parametrize("path", cases(sorted({*bundles("odd", "hostile")} - {*that_open()})))
def test_an_odd_or_hostile_bundle_is_converted_or_refused_as_symbolic_does(
    path: Path, tmp_path: Path
) -> None:
    expected = expectations(path.parent.name)[path.name]
    target = tmp_path / "a.srcpack"
    try:
        convert(path, target, force=True)
    except LimitExceeded:
        assert expected["symbolic"] == "opens"  # where symbolic has no limits, and we do
        assert path.stem in ("bomb-1gb-zeros", "manifest-million-files", "overlap-full", "overlap-fifield")
    except FormatError:
        assert expected["symbolic"] == "refuses"
    else:
        assert expected["symbolic"] == "opens"
        target.unlink()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_equal_contents_of_a_real_bundle_are_stored_once(converted: Converted) -> None:
    with zipfile.ZipFile(CORPUS / "real" / "js-many.zip") as bundle:
        contents = {bundle.read(name) for name in bundle.namelist() if name != "manifest.json"} - {b""}
        manifest = bundle.read("manifest.json")
    pack = srcpack.open(converted("real/js-many.zip")[0])
    assert packfile_of(pack).tail.content_count == len(contents)
    assert packfile_of(pack).tail.content_size == sum(map(len, contents))
    assert len(pack) == len(parse_manifest(manifest, file="js-many").files)


@pytest.mark.slow
def test_map_references_of_a_real_bundle_are_known_without_decoding(
    converted: Converted, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {}
    with SourceBundle(CORPUS / "real" / "js-many.zip") as bundle:
        for name, info in bundle.manifest.files.items():
            if info.type is srcpack.FileType.MINIFIED_SOURCE:
                header = dict(info.headers or ()).get("sourcemap")
                in_content = discover_source_map_reference(bundle.read(name))
                expected[name] = in_content if header is None else header

    def decoded(*_: object) -> bytes:
        raise AssertionError("a file was decoded")

    monkeypatch.setattr(PackFile, "read_part", decoded)
    pack = srcpack.open(converted("real/js-many.zip")[0])
    found = {e.name: e.source_mapping_url for e in pack.entries() if e.type == "minified_source"}
    assert found == expected
    assert len(found) > 3000
