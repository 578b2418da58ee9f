"""Tables of real maps hold symbolic's answers, to the last field and for every place."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from symbolic.sourcemap import SourceMapView
from symbolic.sourcemapcache import SourceMapCache

import srcpack
from srcpack import Entry
from srcpack.bundle.manifest_json import dump_manifest
from srcpack.bundle.members import SourceBundle
from srcpack.format.lookup_section import TableLookup, map_in_reference
from srcpack.format.lookups import ABSENT, DATA_URL
from srcpack_convert import convert
from srcpack_convert.one.map_contents import locate_contents
from support.bundle_builder import build_bundle
from support.places import CORPUS
from support.source_maps import ask_symbolic
from support.spec_lookups import find_table
from support.spec_reader import SpecReader
from support.the import the

POSITIONS = 5000
SMALL = 2000
"""Tokens of a map of which all are asked for."""
SCRIPTS = 50
"""Of a bundle, that have tables where not all is asked: these take most of the time."""
FEW = 30
"""Of maps that are looked at whole, and of positions asked of each other one, where not all is asked."""

BUNDLES = [
    *sorted((CORPUS / "real").glob("js-*.zip")),
    *sorted((CORPUS / "symbolicator").glob("sourcemaps*.zip")),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BUNDLES, reason="the shared corpus is not here"),
]


def tables_of(pack: srcpack.Pack) -> Iterator[tuple[Entry, TableLookup, bytes]]:
    """Yield the files that have tables, these, and the maps."""
    for entry in pack.entries():
        assert entry.record.lookup_reason is None
        table = entry.lookup_table()
        if isinstance(table, TableLookup):
            number = table.table.head.map
            record = entry.record
            yield (
                entry,
                table,
                map_in_reference(record)
                if number == DATA_URL
                else pack.store.read(pack.store.record(number)),
            )


def with_some_scripts(path: Path) -> bytes:
    """Return the bundle with some `SCRIPTS` of its scripts, or all if it has no more, and all else."""
    with SourceBundle(path) as bundle:
        files = json.loads(dump_manifest(bundle.manifest))["files"]
        scripts = [name for name, info in files.items() if info.get("type") == "minified_source"]
        left_out = {*scripts} - {*scripts[:: max(1, len(scripts) // SCRIPTS)]}
        contents = {name: bundle.read(name) for name in bundle.members if name not in left_out}
    listed = {name: info for name, info in files.items() if name not in left_out}
    return build_bundle(contents, {"files": listed}, stored=True)


@pytest.mark.parametrize("ask_all", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_every_answer_is_symbolics(bundle: Path, ask_all: bool, tmp_path: Path) -> None:
    """5,000 positions of every map, and all tokens of the smaller ones; or some of both, of some maps."""
    given = bundle if ask_all else with_some_scripts(bundle)
    convert(given, tmp_path / "a.srcpack", lookups=True, preset="fast")
    draw = random.Random(bundle.stem)
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        assert srcpack.verify(pack) == []
        tables = list(tables_of(pack))
        for number, (entry, table, source_map) in enumerate(tables):
            is_whole = ask_all or number % (len(tables) // FEW + 1) == 0
            script = entry.read()
            # With the sources in the map symbolic takes up to 50 times as long to say the same.
            thin = locate_contents(source_map).thin if is_whole else source_map
            cache = SourceMapCache.from_bytes(script, thin)
            lines = [len(line.encode("utf-16-le")) // 2 for line in script.decode().split("\n")]
            for _ in range(POSITIONS if ask_all else FEW):
                line = draw.randrange(len(lines) + 1)
                column = draw.randrange((lines[line] if line < len(lines) else 0) + 3)
                check(entry, cache, line + 1, column)
            view = SourceMapView.from_json_bytes(source_map)
            if is_whole and len(view) <= SMALL:
                for token in view:
                    check(entry, cache, token.dst_line + 1, token.dst_col + 1)
                    check(entry, cache, token.dst_line + 1, token.dst_col)
            texts = {name: view.get_source_contents(number) for number, name in view.iter_sources()}
            check_context(entry, table, texts, draw)


def check(entry: Entry, cache: SourceMapCache, line: int, column: int) -> None:
    assert entry.original(line, column) == ask_symbolic(cache, line, column), (entry.name, line, column)


def check_context(
    entry: Entry, table: TableLookup, texts: dict[str | None, str | None], draw: random.Random
) -> None:
    """Some lines of some sources are those of the texts that the map embeds."""
    rows = [row for row in table.table.rows() if row.source]
    for row in draw.sample(rows, min(len(rows), 3)):
        position = the(entry.original(row.line + 1, row.column + 1))
        text = texts.get(position.source or None)
        kind = table.table.text(row.source).kind
        assert (kind == ABSENT) == (text is None)
        if text is not None:
            context = position.context(2)
            all_lines = text.split("\n")
            if position.line > len(all_lines):
                assert context is None
            elif context is not None and len(all_lines[position.line - 1].encode()) <= 150:
                assert context.context_line == all_lines[position.line - 1].removesuffix("\r")


def test_the_second_reader_reads_the_same(tmp_path: Path) -> None:
    bundle = CORPUS / "real" / "js-small-axios.zip"
    convert(bundle, tmp_path / "a.srcpack", lookups=True, preset="fast")
    reader = SpecReader((tmp_path / "a.srcpack").read_bytes())
    draw = random.Random(5)
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        for fields in reader.entries():
            table = find_table(reader, fields)
            if table is None:
                continue
            for row in draw.sample(table.rows, 300):
                line, column = row.line, row.column + draw.randrange(3)
                found = table.original(line, column)
                position = pack[fields["name"]].original(line + 1, column + 1)
                if found is None:
                    assert position is None
                    continue
                assert position is not None
                source, source_line, source_column, name, function = found
                assert (position.source, position.name, position.function) == (source, name, function)
                assert (position.line, position.column) == (source_line + 1, source_column + 1)
