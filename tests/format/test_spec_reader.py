"""SPEC.md is enough to read a pack: a reader written from it alone gives what the bundle held.

What it refuses is in `support/sentences`.
"""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import srcpack
from srcpack import Entry, Pack
from srcpack.records import FileType
from srcpack.rules.lookup_keys import Kind, keys_of
from support import spec_reader
from support.places import BUNDLES, PACKS
from support.sample_packs import SAMPLES, bundle_of, sample_packs
from support.spec_items import Refused

SpecReader: Any = spec_reader.SpecReader
FIELDS = ("name", "path", "url", "headers", "extra", "position", "debug_id", "reference", "content_debug_id")


@pytest.fixture(scope="module", params=[*sorted(path.stem for path in PACKS.glob("*.srcpack")), *SAMPLES])
def both(request: pytest.FixtureRequest) -> tuple[Any, Pack]:
    """Return a pack by the second reader, and its bundle."""
    if request.param in SAMPLES:
        data, bundle = sample_packs()[request.param], bundle_of(request.param)
    else:
        data = (PACKS / f"{request.param}.srcpack").read_bytes()
        bundle = (BUNDLES / f"{request.param}.zip").read_bytes()
    return SpecReader(data), srcpack.open(bundle)


def test_a_whole_pack_is_verified(both: tuple[Any, Pack]) -> None:
    reader, bundle = both
    reader.verify()
    assert reader.attributes()["attributes"] == bundle.attributes
    assert reader.attributes().get("source_links", {}) == bundle.source_links


def test_entries_have_the_fields_and_contents_of_the_bundle(both: tuple[Any, Pack]) -> None:
    reader, bundle = both
    types: dict[FileType | None, int | None] = {
        None: None,
        **{each: number for number, each in enumerate(FileType, 1)},
    }
    for entry, expected in zip(reader.entries(), bundle.entries(), strict=True):
        record = expected.record
        assert [entry.get(field) for field in FIELDS] == [getattr(record, field) for field in FIELDS]
        assert entry.get("type") == (0 if record.type_is_null else types[record.type])
        assert entry.get("unlisted", False) == (not record.listed)
        if expected.damage is not None:
            assert entry["reason"] == record.reason
            with pytest.raises(Refused, match="damaged"):
                reader.read(entry)
            continue
        content = expected.read()
        assert reader.read(entry) == content
        assert (entry["size"], entry["sha256"]) == (len(content), record.sha256)
        assert entry.get("binary", False) == (not record.utf8)
        lines = list(io.BytesIO(content))
        assert entry["lines"] == len(lines)
        for number in {1, 2, 3, len(lines) // 2, len(lines) - 1, len(lines)} & {*range(1, len(lines) + 1)}:
            assert reader.lines(entry, number) == lines[number - 1]
        for number in (0, len(lines) + 1):
            with pytest.raises(IndexError):
                reader.lines(entry, number)


def test_keys_have_the_answers_of_the_bundle(both: tuple[Any, Pack]) -> None:
    reader, bundle = both
    ask: dict[Kind, Callable[[str], object]] = {
        Kind.NAME: bundle.get,
        Kind.PATH: bundle.by_path,
        Kind.URL: bundle.by_url,
        Kind.DEBUG_ID: lambda key: bundle.by_debug_id(*key.split()),
    }
    keys = {key for entry in bundle.entries() for key in keys_of(entry.record)}
    keys |= {(kind, form) for kind, key in keys if kind != Kind.DEBUG_ID for form in (f"{key}x", key.upper())}
    keys |= {(Kind.PATH, key.replace("/", "\\")) for kind, key in keys if kind == Kind.PATH}
    keys |= {(kind, "") for kind in (Kind.NAME, Kind.PATH, Kind.URL)}
    keys |= {(Kind.DEBUG_ID, "00000000-0000-0000-0000-000000000001 source")}
    for kind, key in keys:
        found, expected = reader.find(kind, key), ask[kind](key)
        assert (found and found["name"]) == (expected.name if isinstance(expected, Entry) else None), key
    with pytest.raises(ValueError, match="not in the index"):
        reader.find(4, "a")


def broken(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_a_line_needs_only_its_parts() -> None:
    data = sample_packs()["frames"]
    entry = SpecReader(data).find(0, "frames/long.txt")
    last = SpecReader(data).lines(entry, entry["lines"])
    reader = SpecReader(broken(data, entry["frames"][0] + entry["frames"][1] // 2))
    assert reader.lines(entry, entry["lines"]) == last
    with pytest.raises(Refused):
        reader.lines(entry, 1)


def answers(data: bytes) -> Iterator[Any]:
    """What a reader gives, or that it refuses; asked one by one."""
    try:
        reader = SpecReader(data)
    except Refused:
        return
    questions: list[Callable[[], Any]] = [reader.names, reader.attributes]
    for kind, key in ((0, "frames/long.txt"), (1, "/src/twice.js"), (2, "~/app.min.js"), (2, "~/no")):
        questions.append(lambda kind=kind, key=key: (found := reader.find(kind, key)) and reader.read(found))  # type: ignore[misc]
    questions += [lambda n=n: reader.lines(reader.find(0, "frames/long.txt"), n) for n in (1, 150, 300)]  # type: ignore[misc]
    for question in questions:
        try:
            yield question()
        except Refused:
            yield Refused


def test_a_flipped_byte_is_refused_or_does_not_matter() -> None:
    data = sample_packs()["frames"]
    right = list(answers(data))
    assert Refused not in right
    for at in {*range(0, len(data), 13), *range(len(data) - 330, len(data), 3)}:
        for answer, expected in zip(answers(broken(data, at)), right, strict=False):
            assert answer in (Refused, expected), at
        with pytest.raises(Refused):
            SpecReader(broken(data, at)).verify()


def test_a_cut_file_is_refused() -> None:
    data = sample_packs()["frames"]
    for damaged in (*(data[:end] for end in range(0, len(data), 11)), data + b"\0"):
        with pytest.raises(Refused):
            SpecReader(damaged)
