"""`srcpack bench`: both sides do the same work and give the same answers. No time is asserted."""

import gc
import json
import random
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Entry, FormatError, SrcpackError
from srcpack_convert import convert
from srcpack_convert.bench import figures
from srcpack_convert.bench.comparison import Comparison, bench
from srcpack_convert.bench.figures import Row
from srcpack_convert.bench.measuring import Job, Spread, Timings
from srcpack_convert.bench.plot import plot
from srcpack_convert.bench.questions import Event, replay_pack, replay_zip, sampled
from srcpack_convert.bench.zip_side import Zip
from srcpack_convert.cli import bench as benching
from support.bundle_builder import ZipMember, build_bundle, build_zip
from support.commands import HOSTILE, Run, assert_harmless, hide

MAP = b'{"version":3,"sources":[],"mappings":""}'
SCRIPT = "".join(f"var line{number} = {number};\n" for number in range(1, 40)).encode()


def script(name: str, reference: str = "", headers: dict[str, str] | None = None) -> dict[str, Any]:
    content = SCRIPT + (f"//# sourceMappingURL={reference}\n".encode() if reference else b"")
    info = {"type": "minified_source", "url": f"~/static/{name}", "headers": headers or {}}
    return {"name": f"files/_/_/static/{name}", "content": content, "info": info}


FILES = [
    script("comment.js", "comment.js.map"),
    script("header.js", headers={"SourceMap": "maps/header.js.map"}),
    script("absolute.js", "https://bench.example/static/comment.js.map"),
    script("inline.js", "data:application/json;base64,e30="),
    script("absent.js", "absent.js.map"),
    script("none.js"),
]
Write = Callable[..., Path]
MAPS = {"comment.js.map": MAP, "maps/header.js.map": MAP + b" "}


def javascript() -> bytes:
    files = {each["name"]: each["content"] for each in FILES}
    manifest = {each["name"]: each["info"] for each in FILES}
    for name, content in MAPS.items():
        files[f"files/_/_/static/{name}"] = content
        manifest[f"files/_/_/static/{name}"] = {"type": "source_map", "url": f"~/static/{name}"}
    return build_bundle(files, {"files": manifest})


@pytest.fixture(autouse=True)
def few_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take each sample from one run: what is timed is not looked at."""
    monkeypatch.setattr(figures, "_LEAST_SAMPLE", 1e-9)
    gc.freeze()  # or the collections between samples would go through all that pytest holds
    yield
    gc.unfreeze()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(data: bytes, name: str = "app.zip") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def measured(write: Write, run: Run) -> Run:
    """Return a function that runs `bench` on what has JavaScript."""
    path = write(javascript())
    return lambda *args: run("bench", "--seconds", "0.1", path, *args)


def quick(path: Path, **options: Any) -> Comparison:
    return bench(path, seconds=0.1, **options)


# ---- the same answers


def test_members_and_keys_are_compared_and_counted(write: Write) -> None:
    comparison = quick(write(javascript()))
    assert comparison.compared == len(FILES) + len(MAPS)
    assert comparison.compared_size == sum(len(each["content"]) for each in FILES) + len(MAP) * 2 + 1
    assert (comparison.left_out, comparison.keys) == ({}, "url")
    assert (comparison.keys_compared, comparison.keys_left_out) == (len(FILES) + len(MAPS), 0)
    assert (comparison.minified, comparison.with_map, comparison.replayed) == (len(FILES), 3, 3)


def test_members_that_one_side_cannot_read_are_left_out_and_counted(write: Write) -> None:
    """zipfile wants the local header's name to be the directory's, and cuts names at NUL."""
    other_name = build_zip([ZipMember(name="local", content=b"x")])[: 30 + len("local")]
    contents = {"ok": b"ok\n", "damaged": b"bad", "named otherwise": b"x", "cut": b"one", "cut\0off": b"two"}
    changes: dict[str, dict[str, Any]] = {
        "damaged": {"crc": 1},
        "named otherwise": {"stored": True, "local": other_name},
    }
    members = [
        ZipMember(name=name, content=content, **changes.get(name, {})) for name, content in contents.items()
    ]
    manifest = {"files": {name: {"path": f"/{name}"} for name in contents}}
    members.append(ZipMember(name="manifest.json", content=json.dumps(manifest).encode()))
    comparison = quick(write(build_zip(members)))
    assert comparison.compared == 1
    assert comparison.left_out == {"damaged": 1, "read otherwise by zipfile": 1, "refused by zipfile": 2}
    assert (comparison.keys, comparison.keys_compared, comparison.keys_left_out) == ("path", 1, 4)


def test_a_key_of_two_members_is_left_out_where_the_sides_differ(write: Write) -> None:
    """The greatest name wins, by symbolic's rule; a dict keeps the last in the manifest's order."""
    files = {"b": b"1", "a": b"2", "c": b"3"}
    manifest = {"files": {"b": {"url": "~/x"}, "a": {"url": "~/x"}, "c": {"url": "~/y"}}}
    comparison = quick(write(build_bundle(files, manifest)))
    assert (comparison.compared, comparison.keys_compared, comparison.keys_left_out) == (3, 1, 1)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[srcpack.Pack, Zip]]:
    path = tmp_path_factory.mktemp("sides") / "app.zip"
    path.write_bytes(javascript())
    convert(path, path.with_suffix(".srcpack"))
    with srcpack.open(path.with_suffix(".srcpack")) as pack, Zip(str(path), "url") as zipped:
        yield pack, zipped


@pytest.mark.parametrize("column", [0, 17])
@pytest.mark.parametrize("name", ["comment.js", "header.js", "absolute.js"])
def test_an_event_is_answered_alike(sides: tuple[srcpack.Pack, Zip], name: str, column: int) -> None:
    event = Event(f"https://bench.example/static/{name}?v=1", 20, column, 0)
    answer = replay_pack(sides[0], event)
    assert answer == replay_zip(sides[1], event)
    assert answer is not None
    source_map, context = answer
    assert source_map == MAPS["maps/header.js.map" if name == "header.js" else "comment.js.map"]
    assert context is not None
    assert context.context_line == "var line20 = 20;"
    assert (len(context.pre_context), len(context.post_context)) == (5, 5)


@pytest.mark.parametrize("name", ["inline.js", "absent.js", "none.js", "gone.js"])
def test_an_event_without_a_map_has_no_answer(sides: tuple[srcpack.Pack, Zip], name: str) -> None:
    event = Event(f"https://bench.example/static/{name}", 20, 0, 0)
    assert replay_pack(sides[0], event) is None
    assert replay_zip(sides[1], event) is None


def test_an_event_that_is_not_answered_alike_is_not_replayed(write: Write) -> None:
    """Of two files of one URL the pack has the greatest, the dict the last; and Latin-1 has no lines."""
    latin = script("latin.js", headers={"sourcemap": "comment.js.map"})
    latin["content"] += b"\xff"
    files = {latin["name"]: latin["content"], "b": MAP, "a": MAP + b"\n"}
    of_maps = {"type": "source_map", "url": "~/static/comment.js.map"}
    manifest = {"files": {latin["name"]: latin["info"], "b": of_maps, "a": of_maps}}
    comparison = quick(write(build_bundle(files, manifest)))
    assert (comparison.with_map, comparison.replayed) == (1, 0)
    assert "event" not in [row.key for row in comparison.rows]


# ---- the same work


def test_both_sides_of_a_row_read_as_much(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    zip_read, entry_read = zipfile.ZipFile.read, Entry.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *args: reads.update(["zip"]) or zip_read(*args))
    monkeypatch.setattr(Entry, "read", lambda *args: reads.update(["pack"]) or entry_read(*args))
    seen: dict[str, dict[str, int]] = {}

    def measure(jobs: Sequence[Job], rounds: int, **_: bool) -> Timings:
        for job in jobs:
            reads.clear()
            job.run()
            seen[job.name] = dict(reads)
        return Timings({job.name: [1.0] * rounds for job in jobs}, {})

    monkeypatch.setattr(figures, "measure", measure)
    comparison = quick(write(javascript()), threads=3)
    files = len(FILES) + len(MAPS)
    assert seen == {
        "zip, hit": {"zip": 1},  # its manifest
        "pack, hit": {},
        "zip, miss": {"zip": 1},
        "pack, miss": {},
        "zip, read": {"zip": files},
        "pack, read": {"pack": files},
        "zip, read by threads": {"zip": files},
        "zips, read by threads": {"zip": files},
        "pack, read by threads": {"pack": files},
        "zip, event": {"zip": 6},
        "pack, event": {"pack": 3},  # of the minified file, only the lines
    }
    by_key = {row.key: row for row in comparison.rows}
    assert by_key["read"].zip.median == pytest.approx(1 / files)
    assert by_key["event"].pack.median == pytest.approx(1 / 3)
    assert by_key["open_hit"].zip.median == 1


def test_rows_have_both_sides_and_their_ratio(write: Write) -> None:
    path = write(javascript())
    comparison = quick(path, preset="raw")
    assert comparison.preset == "raw"
    size = comparison.rows[0]
    assert (size.key, size.zip.median) == ("size", path.stat().st_size)
    assert size.ratio.median == size.zip.median / size.pack.median
    for row in comparison.rows[2:]:
        assert row.zip.samples == row.pack.samples == row.ratio.samples == comparison.rounds >= 3
        assert row.zip.least > 0
    rows = json.loads(json.dumps(comparison.as_json()))["rows"]
    assert rows["size"]["zip"]["median"] == path.stat().st_size


def test_a_bundle_without_javascript_has_no_event(write: Write) -> None:
    bundle = build_bundle({"a": b"a"}, {"files": {"a": {"path": "C:\\a"}}})
    keys = [row.key for row in quick(write(bundle)).rows]
    assert keys == [
        "size", "memory", "open_hit", "open_miss", "read", "read_threads_one_zip", "read_threads_own_zips"
    ]  # fmt: skip


def test_a_sample_ends_before_it_is_too_large() -> None:
    assert sampled([1, 2, 3], lambda _: 16 << 20) == [1, 2]
    assert sampled([1, 2, 3], lambda _: 1 << 40) == [1]


# ---- what cannot be measured


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK", "not a SourceBundle"),
        (build_zip([ZipMember(name="manifest.json", content=b"{}")]), "nothing to measure"),
        (build_bundle({"a": b"a"}, {"files": {"a": {}}}), "nothing to measure"),
        # zipfile takes this comment for the end record.
        (build_zip([ZipMember(name="manifest.json", content=b"{}")], comment=b"PK\5\6"), "zipfile and json"),
    ],
)
def test_what_cannot_be_measured_is_an_error_and_leaves_nothing(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    path = write(data)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(SrcpackError, match=message):
        quick(path)
    assert not list((tmp_path / "temporary").iterdir())


def test_a_zip_that_changes_meanwhile_is_an_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(javascript())

    def measure(jobs: Sequence[Job], *_: int, **__: bool) -> Timings:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
        for job in jobs[4:]:
            job.run()
        raise AssertionError

    monkeypatch.setattr(figures, "measure", measure)
    with pytest.raises(FormatError, match="changed while it was measured"):
        quick(path)


@pytest.mark.parametrize("options", [{"threads": 1}, {"preset": "none"}])
def test_arguments_out_of_range_are_refused(write: Write, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be at least 2|preset is one of"):
        quick(write(javascript()), **options)


# ---- on the command line


def test_the_table_fits_a_terminal_and_says_what_was_done(measured: Run) -> None:
    code, out, err = measured("--threads", 2)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    start = lines.index("")
    table = lines[start + 1 : lines.index("", start + 1)]
    assert all(len(line) <= 80 for line in lines[1:] if line not in table[1:])
    assert "  the same bytes from both sides: 8 members, 4.14 kB" in lines
    assert "  minified files: 6, 3 of them with their map; events: 3" in lines
    for label in ("size", "memory, open", "open, find a URL", "read, 2 threads, own zips", "event: file"):
        assert [line for line in lines if line.startswith(label)], label
    assert "zipfile.ZipFile" in out


@pytest.mark.parametrize("ratio", [0.0123, 0.1234, 1.234, 12.34, 123.4, 1234, 12345])
@pytest.mark.parametrize("seconds", [12.34e-6, 1.234e-3, 0.1234, 1.234])
def test_a_row_fits_a_terminal_and_keeps_three_digits(ratio: float, seconds: float) -> None:
    zipped, packed = (Spread.of([time * 0.81, time, time * 1.21]) for time in (seconds, seconds / ratio))
    row = Row(
        key="read",
        label="read, 64 threads, own zips",
        unit="s",
        zip=zipped,
        pack=packed,
        ratio=Spread.of([ratio * 0.81, ratio, ratio * 1.21]),
    )
    line = benching._row_line(row)
    assert len(line) <= 80
    assert line.startswith("read, 64 threads, own zips 1")
    assert "12" in line[63:]


def test_json_is_a_line_for_each_bundle_that_could_be_measured(
    write: Write, run: Run, measured: Run, tmp_path: Path
) -> None:
    bad = write(b"nothing", "bad.zip")
    code, out, err = measured(bad, tmp_path / "gone.zip", "--json")
    assert code == 3
    assert [json.loads(line)["bundle"] for line in out.splitlines()] == [str(tmp_path / "app.zip")]
    assert err.splitlines()[0].startswith(f"error: {bad}: not a SourceBundle")
    assert err.splitlines()[1] == f"error: {tmp_path / 'gone.zip'}: No such file or directory"
    assert run("bench", bad)[:2] == (1, "")


@pytest.mark.parametrize(("ending", "head"), [("png", b"\x89PNG"), ("PDF", b"%PDF"), ("svg", b"<?xml")])
def test_a_plot_has_the_format_of_its_ending_and_no_name_that_steers_a_terminal(
    run: Run, write: Write, tmp_path: Path, ending: str, head: bytes
) -> None:
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    path, target = write(javascript(), f"$x^2${HOSTILE}.zip"), tmp_path / f"plot.{ending}"
    code, out, err = run("bench", "--seconds", "0.1", path, "--plot", target)
    assert (code, err) == (0, "")
    assert_harmless(out)
    assert target.read_bytes().startswith(head)
    assert run("bench", path, "--plot", target).code == 1  # it exists


def test_the_plot_shows_losses_and_great_factors() -> None:
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    rng = random.Random(1)
    rows = [
        Row(key=f"{n}", label=f"row {n}", unit="s", zip=one, pack=one, ratio=Spread.of([n, n * 1.5]))
        for n, one in ((10.0**power, Spread.of([rng.random()])) for power in (-3, 0, 4))
    ]
    known: dict[str, Any] = {"left_out": {}, "keys": "url", "rows": rows, "bundle": "a", "preset": "fast"}
    known |= dict.fromkeys(
        ["jobs", "compared", "compared_size", "keys_compared", "keys_left_out", "minified", "with_map"], 1
    )
    comparison = Comparison(**known, replayed=1, conversion_seconds=1.0, threads=2, rounds=2)
    heights = []
    for number in (2, 50):
        out = BytesIO()
        names = ["$x$", "本", *map(str, range(number))][:number]
        plot([comparison] * number, names, out, "png", made_with="1.0; 2 cores")
        assert out.getvalue().startswith(b"\x89PNG")
        _, height = struct.unpack(">II", out.getvalue()[16:24])
        heights.append(height)
    assert max(heights) < 1200  # it fits a screen, however many bundles


def test_without_matplotlib_a_plot_is_refused_before_the_work(
    measured: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "matplotlib")
    code, out, err = measured("--plot", tmp_path / "plot.png")
    assert (code, out) == (1, "")
    assert "pip install 'srcpack[plot]'" in err
    assert measured().code == 0
