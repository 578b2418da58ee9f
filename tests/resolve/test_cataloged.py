"""The set of packs that an event needs, by a catalog."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Catalog, DebugId, Pack, PackCache, PackSet
from srcpack.resolve import resolve_event
from srcpack_convert import convert
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import update_catalog
from support.bundle_builder import build_bundle
from support.places import PACKS, ROOT

APP = str(PACKS / "app.srcpack")
APP_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
EVENT = json.loads((ROOT / "examples" / "event.json").read_text(encoding="utf-8"))


@pytest.fixture
def fleet(tmp_path: Path) -> Catalog:
    """A catalog of packs of several releases and dists, and of one with a debug id."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    for name, manifest in {
        "a": {"release": "1"},
        "b": {"release": "1", "dist": "x"},
        "c": {"release": "2"},
        "d": {"release": "1"},
        "e": {"debug_id": "0a1705ef-5bdb-55c6-8003-096ca0a1462e"},
    }.items():
        info = {"type": "minified_source", "url": "~/app.js"}
        if name == "c":
            info["headers"] = {"debug-id": APP_ID}  # type: ignore[assignment]
        bundle = build_bundle({"app.js": name.encode()}, {"files": {"app.js": info}, **manifest})
        convert(bundle, folder / f"{name}.srcpack", preset="raw", verify=False)
    update_catalog(tmp_path / "fleet.db", find_packs([str(folder)]), failed=print)
    return Catalog(tmp_path / "fleet.db")


def names(packs: PackSet) -> list[tuple[str, str]]:
    return [(os.path.basename(pack.file)[0], packs.origin(pack).resolved_with) for pack in packs.packs]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, []),
        ({"release": "1"}, [("d", "release"), ("a", "release")]),
        ({"release": "1", "dist": "x"}, [("b", "release")]),
        ({"release": "none", "debug_ids": ["none", "\ud800"]}, []),
        ({"dist": "x"}, []),
        ({"release": "1", "debug_ids": [APP_ID]}, [("d", "release"), ("c", "debug-id"), ("a", "release")]),
        ({"release": "2", "debug_ids": [DebugId.parse(APP_ID)]}, [("c", "debug-id")]),
        ({"debug_ids": ["0A1705EF5BDB55C68003096CA0A1462E"]}, [("e", "debug-id")]),
    ],
)
def test_a_set_has_the_packs_that_an_event_needs(
    fleet: Catalog, wanted: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    opened: list[str] = []

    def opener(place: str) -> Pack:
        opened.append(place)
        return srcpack.open(place)

    packs = PackSet.from_catalog(fleet, opener=opener, **wanted)
    assert names(packs) == expected
    assert sorted(opened) == sorted(pack.file for pack in packs.packs)
    assert packs.errors == 0


def test_a_file_is_found_by_debug_id_before_the_greatest_pack_with_its_url(fleet: Catalog) -> None:
    packs = PackSet.from_catalog(fleet, release="1", debug_ids=[APP_ID])
    by_debug_id = packs.resolve("app:///app.js", APP_ID)
    by_url = packs.resolve("https://host/app.js")
    assert by_debug_id is not None
    assert by_url is not None
    assert (by_debug_id.entry.read(), by_debug_id.found_by) == (b"c", "debug-id")
    assert (by_url.entry.read(), by_url.found_by) == (b"d", "url")


def test_a_pack_that_cannot_be_opened_is_told_or_logged_and_passed_over(
    fleet: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    (pack,) = [pack for pack in fleet if pack.place.endswith("d.srcpack")]
    os.unlink(pack.place)
    told: list[tuple[str, type[Exception]]] = []

    def unopened(place: str, error: Exception) -> None:
        told.append((place, type(error)))

    packs = PackSet.from_catalog(fleet, release="1", on_unopened=unopened)
    assert (names(packs), packs.errors) == ([("a", "release")], 1)
    assert told == [(pack.place, FileNotFoundError)]
    with caplog.at_level("WARNING", logger="srcpack"):
        assert PackSet.from_catalog(fleet, release="1").errors == 1
    assert [pack.place in record.message for record in caplog.records] == [True]


def test_a_timeout_from_outside_ends_the_opening(fleet: Catalog) -> None:
    def opener(_: str) -> Pack:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        PackSet.from_catalog(fleet, release="1", opener=opener)


def test_a_cache_keeps_the_packs_open_for_the_next_event(fleet: Catalog) -> None:
    with PackCache(10) as cache:
        first = PackSet.from_catalog(fleet, release="1", opener=cache.get)
        second = PackSet.from_catalog(fleet, release="1", opener=cache.get)
        assert first.packs == second.packs
        assert cache.statistics.misses == 2


def test_an_event_is_resolved_by_its_release_as_from_the_pack_itself(tmp_path: Path) -> None:
    update_catalog(tmp_path / "catalog.db", find_packs([str(PACKS)]), failed=print)
    catalog = Catalog(tmp_path / "catalog.db")
    packs = PackSet.from_catalog(catalog, release=EVENT["release"], dist=EVENT.get("dist"))
    alone = PackSet.by_uri({APP: srcpack.open(APP)}, resolved_with={APP: "release"})
    assert len(packs.packs) == 1
    assert resolve_event(EVENT, packs) == resolve_event(EVENT, alone)


def test_what_an_event_has_of_another_type_finds_nothing(fleet: Catalog) -> None:
    given: Any = {"release": 1, "dist": {}, "debug_ids": [None, 5, {}, "none"]}
    assert PackSet.from_catalog(fleet, **given).packs == ()
    assert PackSet.from_catalog(fleet, **{**given, "release": "1"}).packs == ()


@pytest.mark.parametrize("single", [APP_ID, APP_ID.encode(), DebugId(APP_ID)])
def test_a_single_debug_id_is_not_taken_for_many(fleet: Catalog, single: Any) -> None:
    with pytest.raises(TypeError, match="debug_ids takes many"):
        PackSet.from_catalog(fleet, debug_ids=single)
