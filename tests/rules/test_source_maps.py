"""Which file of a bundle is the source map of which."""

from srcpack.records import EntryRecord, FileType
from srcpack.rules.source_maps import find_source_maps

SCRIPT, MAP, SOURCE = FileType.MINIFIED_SOURCE, FileType.SOURCE_MAP, FileType.SOURCE
ID = "dfb8e43a-f242-3d73-a453-aeb6a777ef75"
OTHER_ID = "aaaaaaaa-f242-3d73-a453-aeb6a777ef75"


def maps_of(*records: EntryRecord) -> dict[str, str | bytes]:
    """Return the names of maps by the names of files."""
    entries = sorted(records, key=lambda record: record.name.encode())
    return {
        entries[number].name: place if isinstance(place, bytes) else entries[place].name
        for number, place in find_source_maps(entries).items()
    }


def script(name: str = "a.js", url: str | None = "~/js/a.js", **more: object) -> EntryRecord:
    return EntryRecord(name, SCRIPT, url=url, **more)  # type: ignore[arg-type]


def test_a_debug_id_comes_before_a_reference() -> None:
    by_id = EntryRecord("z.map", MAP, url="~/other/z.map", headers={"debug-id": ID})
    by_url = EntryRecord("a.map", MAP, url="~/js/a.js.map")
    file = script(headers={"Debug-Id": ID.upper(), "Sourcemap": "a.js.map"})
    assert maps_of(file, by_id, by_url) == {"a.js": "z.map"}
    assert maps_of(file, by_url) == {"a.js": "a.map"}
    assert maps_of(file, by_url, by_id._replace(type=SOURCE)) == {"a.js": "a.map"}
    assert maps_of(file, by_url, by_id._replace(headers={"debug-id": OTHER_ID})) == {"a.js": "a.map"}


def test_a_debug_id_that_only_a_content_has_leads_nowhere() -> None:
    by_id = EntryRecord("z.map", MAP, headers={"debug-id": ID})
    assert maps_of(script(content_debug_id=ID), by_id) == {}
    assert maps_of(script(headers={"debug-id": ID}), by_id._replace(headers={}, content_debug_id=ID)) == {}


def test_a_reference_is_joined_to_the_url_and_looked_for_by_candidates() -> None:
    by_url = EntryRecord("a.map", MAP, url="~/maps/a.js.map")
    assert maps_of(script(reference="../maps/a.js.map"), by_url) == {"a.js": "a.map"}
    assert maps_of(script(reference="/maps/a.js.map"), by_url) == {"a.js": "a.map"}
    assert maps_of(script(reference="~/maps/a.js.map"), by_url) == {"a.js": "a.map"}
    assert maps_of(script(reference="https://cdn.example/maps/a.js.map?x#y"), by_url) == {"a.js": "a.map"}
    assert maps_of(script(url="https://h.example/js/a.js", reference="../maps/a.js.map"), by_url) == {
        "a.js": "a.map"
    }
    assert maps_of(script(url="https://h.example/a.js", reference="../maps/A.js.map"), by_url) == {}
    assert maps_of(script(url=None, reference="~/maps/a.js.map"), by_url) == {}
    assert maps_of(script(reference=""), by_url) == {}


def test_the_first_candidate_that_can_be_read_counts() -> None:
    exact = EntryRecord("1.map", MAP, url="https://h.example/a.js.map")
    any_host = EntryRecord("0.map", MAP, url="~/a.js.map")
    file = script(url="https://h.example/a.js", reference="a.js.map")
    assert maps_of(file, exact, any_host) == {"a.js": "1.map"}
    assert maps_of(file, exact._replace(utf8=False), any_host) == {"a.js": "0.map"}
    assert maps_of(file, exact._replace(reason="cut"), any_host) == {"a.js": "0.map"}
    assert maps_of(file, exact._replace(reason="cut")) == {}


def test_of_several_maps_with_one_key_the_greatest_name_wins_even_if_it_cannot_be_read() -> None:
    maps = [EntryRecord(name, MAP, url="~/js/m", headers={"debug-id": ID}) for name in ("a.map", "b.map")]
    assert maps_of(script(reference="m"), *maps) == {"a.js": "b.map"}
    assert maps_of(script(headers={"debug-id": ID}), *maps) == {"a.js": "b.map"}
    assert maps_of(script(reference="m"), maps[0], maps[1]._replace(reason="cut")) == {}


def test_a_data_url_is_the_map() -> None:
    assert maps_of(script(reference="data:application/json;base64,e30=")) == {"a.js": b"{}"}
    assert maps_of(script(url=None, reference="data:,{}")) == {"a.js": b"{}"}
    assert maps_of(script(reference="data:;base64,?")) == {}


def test_a_data_url_comes_before_a_debug_id_and_one_that_does_not_decode_leaves_the_file_without() -> None:
    by_id = EntryRecord("z.map", MAP, headers={"debug-id": ID})
    assert maps_of(script(headers={"debug-id": ID}, reference="data:,{}"), by_id) == {"a.js": b"{}"}
    assert maps_of(script(headers={"debug-id": ID}, reference="data:;base64,?"), by_id) == {}


def test_any_type_but_a_map_may_have_one_and_be_one() -> None:
    source = EntryRecord("m", SOURCE, url="~/js/m")
    assert maps_of(EntryRecord("a.js", None, url="~/js/a.js", reference="m"), source) == {"a.js": "m"}
    assert maps_of(EntryRecord("a.js", MAP, url="~/js/a.js", reference="m"), source) == {}


def test_a_file_that_cannot_be_read_as_text_has_none() -> None:
    source = EntryRecord("m", MAP, url="~/js/m")
    assert maps_of(script(reference="m", utf8=False), source) == {}
    assert maps_of(script(reference="m", reason="cut"), source) == {}
