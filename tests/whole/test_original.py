"""`Entry.original`: from a table, and by symbolic where there is none; the answers are the same."""

import pickle
import random
import weakref
from hashlib import sha256
from pathlib import Path

import pytest
from symbolic.sourcemapcache import SourceMapCache

import srcpack
from srcpack import Entry, FormatError, LookupUnavailable, Pack, PackSet
from srcpack.errors import MalformedSourceMap
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.resolve.lookup_cache import LookupCache
from srcpack.rules.context import Context, get_context
from srcpack.source.byte_source import ByteSource
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.calls import calls_of
from support.sample_packs import sample_packs
from support.source_maps import ask_symbolic, bundle_with_map, packed_map, source_map
from support.the import the

SCRIPT = b"function f(a){return a.b(function(){g()})}\nclass C{m(){let x=()=>f();return x}}\n\nf(new C)"
LONG = "".join(f'line {number} of a \U0001f600 "long" file\\\r\n' for number in range(1, 1000))
TEXTS = [LONG, "const inEntry = 1;\n" * 40, None, None, ""]
SOURCES = ["long.ts", "entry.ts", "by-url.ts", "nowhere.ts", "empty.ts"]
SEGMENTS = [
    (0, 0, 0, 499, 3),
    (0, 9, 1, 20, 4),
    (0, 20),
    (0, 22, 2, 1, 0, 0),
    (0, 30, 3, 5, 5),
    (1, 3, 4, 0, 0),
    (1, 8, 0, 998, 2),
    (1, 20, 0, 999, 0),
    (3, 2, 0, 0, 0, 1),
]
MAP = packed_map(source_map(SEGMENTS, SOURCES, ["f", "\U0001f600"], sourcesContent=TEXTS))
BY_URL = "first\nsecond\nthird\n"
FILES = {
    "a/app.js": ("minified_source", SCRIPT, {"sourcemap": "app.js.map"}),
    "a/app.js.map": ("source_map", MAP, {}),
    "a/by-url.ts": ("source", BY_URL.encode(), {}),
    "a/entry.ts": ("source", str(TEXTS[1]).encode(), {}),
    "a/none.js": ("minified_source", SCRIPT, {}),
    "a/bad.js": ("minified_source", SCRIPT, {"sourcemap": "bad.js.map"}),
    "a/bad.js.map": ("source_map", b'{"version":3,"mappings":"!"}', {}),
}
BUNDLE = build_bundle(
    {f"files/{name}": content for name, (_, content, _) in FILES.items()},
    {
        "files": {
            f"files/{name}": {"type": kind, "url": f"~/{name}", "headers": headers}
            for name, (kind, _, headers) in FILES.items()
        }
    },
)
PLACES = [(line, column) for line in range(5) for column in range(45)]


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pack]:
    folder = tmp_path_factory.mktemp("packs")
    convert(BUNDLE, folder / "lookups.srcpack", lookups=True, frame_size=4096)
    convert(BUNDLE, folder / "plain.srcpack")
    return {
        "lookups": srcpack.open(folder / "lookups.srcpack"),
        "pread": srcpack.open(folder / "lookups.srcpack", source="pread"),
        "memory": srcpack.open((folder / "lookups.srcpack").read_bytes()),
        "plain": srcpack.open(folder / "plain.srcpack"),
        "zip": srcpack.open(BUNDLE),
    }


FORMS = ("lookups", "pread", "memory", "plain", "zip")


def script_of(pack: Pack) -> Entry:
    return pack["files/a/app.js"]


@pytest.mark.parametrize("form", FORMS)
def test_each_position_is_symbolics(packs: dict[str, Pack], form: str) -> None:
    cache = SourceMapCache.from_bytes(SCRIPT, MAP)
    for line, column in PLACES:
        expected = ask_symbolic(cache, line, column) if line else None
        assert script_of(packs[form]).original(line, column) == expected


@pytest.mark.parametrize("form", FORMS)
def test_the_lines_around_are_the_maps_or_those_of_the_file_that_the_name_leads_to(
    packs: dict[str, Pack], form: str
) -> None:
    texts = [LONG, str(TEXTS[1]), BY_URL, None, ""]
    seen = set()
    for line, column in PLACES:
        position = script_of(packs[form]).original(line, column)
        if position is None:
            continue
        text = texts[SOURCES.index(position.source)]
        for lines in (0, 5, 200):
            expected = None if text is None else get_context(text, position.line, position.column, lines)
            assert position.context(lines) == expected
        assert position.context() == position.context(5)
        seen.add(position.source)
    assert seen == set(SOURCES)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_without_a_map_has_no_originals(packs: dict[str, Pack], form: str) -> None:
    assert packs[form]["files/a/none.js"].original(1, 1) is None
    assert packs[form]["files/a/entry.ts"].original(1, 1) is None
    assert packs[form]["files/a/app.js.map"].original(1, 1) is None


@pytest.mark.parametrize("form", FORMS)
def test_a_map_that_symbolic_refuses_is_an_error(packs: dict[str, Pack], form: str) -> None:
    with pytest.raises(MalformedSourceMap):
        packs[form]["files/a/bad.js"].original(1, 1)


def test_a_table_needs_no_symbolic(packs: dict[str, Pack], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("symbolic.exceptions", "symbolic.sourcemap", "symbolic.sourcemapcache"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    monkeypatch.setattr("srcpack.resolve.lookup_cache.SHARED_LOOKUPS", LookupCache(1 << 20))
    position = the(script_of(packs["lookups"]).original(1, 1))
    assert position.context() is not None
    with pytest.raises(LookupUnavailable, match=r"install srcpack\[lookups\], or convert"):
        script_of(packs["plain"]).original(1, 1)


def test_a_position_crosses_to_another_process_without_its_pack(packs: dict[str, Pack]) -> None:
    position = the(script_of(packs["lookups"]).original(1, 1))
    copy = pickle.loads(pickle.dumps(position))
    assert copy == position
    assert hash(copy) == hash(position)
    assert copy.context() is None
    with pytest.raises(ValueError, match="-1 lines"):
        position.context(-1)


def test_a_closed_pack_answers_no_more(tmp_path: Path) -> None:
    convert(BUNDLE, tmp_path / "a.srcpack", lookups=True)
    pack = srcpack.open(tmp_path / "a.srcpack")
    entry = script_of(pack)
    position = the(entry.original(1, 1))
    pack.close()
    with pytest.raises(ValueError, match="closed pack"):
        entry.original(1, 1)
    with pytest.raises(ValueError, match="closed pack"):
        position.context()


# ---- what a look-up costs


class Counting(ByteSource):
    """A source that counts what is read."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.name, self.size = source.name, source.size
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self._source.read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return self._source.view(offset, length)

    def close(self) -> None:
        self._source.close()


def pack_of_many_rows(folder: Path) -> Path:
    draw = random.Random(3)
    segments = [
        (line, column, draw.randrange(300), draw.randrange(900), 4, draw.randrange(9000))
        for line in range(20)
        for column in sorted(draw.sample(range(100_000), 1000))
    ]
    sources, names = [f"src/{n}.ts" for n in range(300)], [f"name{n}" for n in range(9000)]
    value = source_map(segments, sources, names, sourcesContent=[LONG] * 2)
    bundle = bundle_with_map(b"x", packed_map(value))
    convert(bundle, folder / "many.srcpack", lookups=True, frame_size=16 << 10)
    return folder / "many.srcpack"


def test_a_look_up_reads_one_block_of_rows_and_the_strings_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = srcpack.open(pack_of_many_rows(tmp_path))
    entry = pack["a.js"]
    source = Counting(packfile_of(pack).source)
    monkeypatch.setattr(packfile_of(pack)._lookups, "_source", source)
    assert entry.lookup_table() is not None
    size = the(entry.record.lookup).length
    assert len(source.reads) == 1, "the head"
    for place in ((1, 50_000), (7, 3), (20, 99_999), (13, 77)):
        before = len(source.reads)
        entry.original(*place)
        read = source.reads[before:]
        assert len(read) <= 1 + 3, "a block of rows; source, name, function"
        assert sum(length for _, length in read) < size / 10
    before = len(source.reads)
    entry.original(13, 77)
    assert len(source.reads) == before + 1, "strings are kept"


def test_lines_of_a_source_cost_the_frames_that_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = srcpack.open(pack_of_many_rows(tmp_path))
    decoded = calls_of(monkeypatch, PackFile, "read_part")
    entry = pack["a.js"]
    position = next(
        found
        for column in range(1, 100_000, 50)
        if (found := entry.original(1, column))
        and found.source in ("src/0.ts", "src/1.ts")
        and found.line < 900
    )
    assert not decoded, "no content is read for a position"
    assert position.context() == get_context(LONG, position.line, position.column)
    assert 1 <= len(decoded) <= 2
    assert len(pack["a.js.map"].record.frames) > 4


# ---- sets of packs


def test_a_set_asks_the_table_that_was_made_of_just_this_script_and_map(
    packs: dict[str, Pack], tmp_path: Path
) -> None:
    lookups = LookupCache(1 << 20)
    packset = PackSet([packs["lookups"]], lookup_cache=lookups)
    script = the(packset.resolve("https://host.example/a/app.js"))
    found = packset.source_map_for(script)
    assert found is not None
    assert packset.original_position(script, found, 1, 1) == script_of(packs["lookups"]).original(1, 1)
    assert lookups.statistics.builds == 0

    # The same map in another pack: its content decides, not what that pack says of it.
    other = PackSet([packs["plain"]], lookup_cache=lookups)
    same = the(other.resolve("https://host.example/a/app.js.map"))
    assert packset.original_position(script, same, 1, 1) == script_of(packs["lookups"]).original(1, 1)
    assert lookups.statistics.builds == 0

    changed = packed_map(source_map([(0, 0, 0, 0, 0)], ["another.ts"]))
    bundle = build_bundle({"m": changed}, {"files": {"m": {"type": "source_map", "url": "~/m"}}})
    convert(bundle, tmp_path / "other.srcpack")
    with srcpack.open(tmp_path / "other.srcpack") as pack:
        another = the(PackSet([pack], lookup_cache=lookups).resolve("https://host.example/m"))
        position = packset.original_position(script, another, 1, 1)
    assert position is not None
    assert position.source == "another.ts"
    assert lookups.statistics.builds == 1


def damaged(path: Path, number: int) -> bytes:
    """Return a pack with a bit flipped in a byte of its section of lookups."""
    data = bytearray(path.read_bytes())
    with srcpack.open(bytes(data)) as pack:
        section = packfile_of(pack).tail.sections[5]
    data[section.offset + 8 + number % (section.length - 8)] ^= 4
    return bytes(data)


def test_a_damaged_table_is_an_error_of_the_entry_and_reported_by_a_set(tmp_path: Path) -> None:
    path = pack_of_many_rows(tmp_path)
    with srcpack.open(path) as whole:
        expected = {place: whole["a.js"].original(*place) for place in ((1, 1000), (5, 50_000))}
    refused = 0
    for number in range(0, 100_000, 1709):
        with srcpack.open(damaged(path, number)) as pack:
            packset = PackSet([pack])
            script = the(packset.resolve("https://h/a.js"))
            found = packset.source_map_for(script)
            assert found is not None
            for place, position in expected.items():
                try:
                    assert pack["a.js"].original(*place) == position
                except FormatError:
                    refused += 1
                assert packset.original_position(script, found, *place) == position
    assert refused > 3


def test_the_bundle_decides_which_map_a_table_is_of() -> None:
    """A later file with the same URL wins, in the bundle as in the table."""
    first = packed_map(source_map([(0, 0, 0, 0, 0)], ["first.ts"]))
    second = packed_map(source_map([(0, 0, 0, 0, 0)], ["second.ts"]))
    bundle = build_bundle(
        {"a.js": b"x", "b.map": first, "c.map": second},
        {
            "files": {
                "a.js": {"type": "minified_source", "url": "~/a.js", "headers": {"sourcemap": "m"}},
                "b.map": {"type": "source_map", "url": "~/m"},
                "c.map": {"type": "source_map", "url": "~/m"},
            }
        },
    )
    with srcpack.open(bundle) as pack:
        position = pack["a.js"].original(1, 1)
    assert position is not None
    assert position.source == "second.ts"


def test_a_data_url_holds_the_map_and_its_texts(tmp_path: Path) -> None:
    import base64

    value = packed_map(source_map([(0, 0, 0, 499, 0)], ["a.ts"], sourcesContent=[LONG]))
    script = b"x()\n//# sourceMappingURL=data:application/json;base64," + base64.b64encode(value)
    bundle = build_bundle({"a.js": script}, {"files": {"a.js": {"type": "minified_source", "url": "~/a.js"}}})
    convert(bundle, tmp_path / "a.srcpack", lookups=True)
    for source in (bundle, tmp_path / "a.srcpack"):
        with srcpack.open(source) as pack:
            entry = pack["a.js"]
            position = the(entry.original(1, 2))
            context = position.context(1)
            assert isinstance(context, Context)
            assert context == get_context(LONG, 500, 1, 1)
            assert (entry.lookup_table() is None) == (source is bundle)
            if source is not bundle:
                assert entry.lookup_table(sha256(value).digest()) is not None
                assert entry.lookup_table(bytes(32)) is None


def test_a_file_that_is_no_text_has_no_originals(tmp_path: Path) -> None:
    bundle = bundle_with_map(b"\xff", packed_map(source_map([(0, 0, 0, 0, 0)], ["a.ts"])))
    convert(bundle, tmp_path / "a.srcpack")
    for source in (bundle, tmp_path / "a.srcpack"):
        with srcpack.open(source) as pack:
            assert pack["a.js"].original(1, 1) is None


def test_a_table_that_is_kept_keeps_no_pack_open(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes(sample_packs()["lookups"])
    pack = srcpack.open(path)
    assert pack["m/m.js"].original(1, 1) is not None
    source = weakref.ref(pack.store.source)
    del pack
    assert source() is None
