"""Programs that people resolve stack traces with, and `srcpack resolve`: the same file, line and column.

Each takes one source map and counts in its own way; all count lines from 1.

- `metro-symbolicate` counts columns from 0 if it is not told otherwise, those that V8 prints from 1 too, and
  prints none in a trace; its mode `--attribution` takes and gives places as JSON.
- `stacktracify` takes what a trace prints for columns from 0, and prints columns from 0. The name that it
  prints is that of the token, and lines that it cannot map it leaves out.
- `sentry-cli sourcemaps resolve` takes one position; its columns count from 1, as ours do.

They are looked for beside the program that SENTRY_CLI names, where npm puts them, and on the path.
"""

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import srcpack
from srcpack import Pack
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.commands import run_process
from support.places import BUNDLES, FIXTURES
from support.source_maps import packed_map, source_map
from support.the import the

MAP = FIXTURES / "app" / "dist" / "app.min.js.map"
SCRIPT = "https://shop.example/static/app.min.js"
NAME = "files/_/_/static/app.min.js"
COLUMNS = random.Random(12).sample(range(100, 900), 30)


def program(name: str) -> str:
    """Return the path of a program; a test without it skips."""
    beside = Path(os.environ.get("SENTRY_CLI", "absent")).with_name(name)
    found = shutil.which(beside) or shutil.which(name)
    if found is None:
        pytest.skip(f"npm's {name} is not installed")
    return found


def run(name: str, *arguments: str | Path, given: str = "") -> str:
    done = subprocess.run(
        [program(name), *map(str, arguments)], input=given, capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    path = tmp_path_factory.mktemp("tools") / "app.srcpack"
    convert(BUNDLES / "app.zip", path, lookups=True)
    return srcpack.open(path)


def printed_trace(columns: list[int]) -> str:
    """Return a trace as each engine prints it, one after the other."""
    forms = (
        "    at f ({}:1:{})",
        "    at {}:1:{}",
        "    at async f ({}:1:{})",
        "f@{}:1:{}",
        "{}:1:{}",
        "   {}:1:{} f",
    )
    places = (forms[number % len(forms)].format(SCRIPT, column) for number, column in enumerate(columns))
    return "\n".join(["Error: no price", *places])


def ours(pack: Pack, trace: str) -> list[tuple[str, int, int]]:
    """Return file, line and column of each frame, as the command prints them."""
    result = run_process("resolve", pack.file, "-", "--json", stdin=_piped(trace))
    assert result.code == 0, result.err
    return [
        (frame["filename"], frame["lineno"], frame["colno"])
        for each in json.loads(result.out)["stacktraces"]
        for frame in each["frames"]
    ]


def _piped(text: str) -> int:
    reading, writing = os.pipe()
    with open(writing, "w") as pipe:
        pipe.write(text)
    return reading


def test_stacktracify_prints_the_same_places(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text(printed_trace([column - 1 for column in COLUMNS]))
    out = run("stacktracify", MAP, "--file", tmp_path / "trace.txt")
    theirs = [
        (match[1], int(match[2]), int(match[3]) + 1) for match in re.finditer(r"\((.*):(\d+):(\d+)\)", out)
    ]
    assert len(theirs) == len(COLUMNS)
    assert theirs == ours(pack, printed_trace(COLUMNS))


def test_metro_symbolicate_prints_the_same_files_and_lines(pack: Pack) -> None:
    out = run("metro-symbolicate", "--input-column-start", "1", MAP, given=printed_trace(COLUMNS))
    theirs = [(match[1], int(match[2])) for match in re.finditer(r"(\.\./\S*?):(\d+):", out)]
    assert len(theirs) == len(COLUMNS)
    assert theirs == [place[:2] for place in ours(pack, printed_trace(COLUMNS))]


def test_metro_symbolicate_gives_the_same_place_for_every_column(pack: Pack) -> None:
    columns = range(len(pack[NAME].text().split("\n")[0]))
    places = "".join(json.dumps({"location": {"line": 1, "column": column}}) + "\n" for column in columns)
    out = run("metro-symbolicate", MAP, "--attribution", given=places)
    theirs = [json.loads(line)["location"] for line in out.splitlines()]
    assert len(theirs) == len(columns) > 900
    for column, place in zip(columns, theirs, strict=True):
        found = pack[NAME].original(1, column + 1)
        position = (None, None, None) if found is None else (found.source, found.line, found.column - 1)
        assert (place["file"], place["line"], place["column"]) == position, column


def test_metro_symbolicate_gives_the_same_places_and_functions_of_hermes(tmp_path: Path) -> None:
    functions = [{"names": ["<global>", "hoist", "lower"], "mappings": "AAA,ECC,ECC"}]
    segments = [(0, 10 * number, 0, number, 2 * number) for number in range(20)]
    hermes = packed_map(source_map(segments, ["crane.js"], x_facebook_sources=[functions]))
    (tmp_path / "map").write_bytes(hermes)
    files = {
        "main": {"type": "minified_source", "url": "~/main.jsbundle", "headers": {"sourcemap": "main.map"}},
        "map": {"type": "source_map", "url": "~/main.map"},
    }
    convert(
        build_bundle({"main": b"", "map": hermes}, {"files": files}), tmp_path / "a.srcpack", lookups=True
    )
    lines = [f"    at h (address at index.android.bundle:1:{column})" for column in range(0, 200, 7)]
    out = run("metro-symbolicate", tmp_path / "map", given="\n".join(lines))
    theirs = [(match[1], int(match[2]), match[3]) for match in re.finditer(r"(crane\.js):(\d+):(\S+)\)", out)]
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        trace = "\n".join(lines).replace("index.android.bundle", "/data/harbour/main.jsbundle")
        result = run_process("resolve", pack.file, "-", "--json", stdin=_piped(trace))
        (answer,) = json.loads(result.out)["stacktraces"]
    ours = [(frame["filename"], frame["lineno"], frame["function"]) for frame in answer["frames"]]
    assert len(theirs) == len(lines)
    assert theirs == ours


def test_sentry_cli_finds_the_same_places(pack: Pack) -> None:
    for column in COLUMNS[:5]:
        out = run("sentry-cli", "sourcemaps", "resolve", MAP, "--line", "1", "--column", str(column))
        found = re.search(r"located at line +(\d+), column +(\d+) in source file (.*)\.\n", out)
        assert found is not None, out
        position = the(pack[NAME].original(1, column))
        assert (found[3], int(found[1]), int(found[2])) == (position.source, position.line, position.column)
