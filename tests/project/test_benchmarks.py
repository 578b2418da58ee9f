"""The benchmarks' harness, and that the results that are kept belong together. No time is asserted."""

import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as benchmarks
from benchmarks import contenders, formats, harness, plots, readme, summary, workloads, workspace
from benchmarks.harness import Column, Job, Result, Spread, Table, Target, Timings

import srcpack_convert.one.presets
from srcpack.bundle.members import SourceBundle
from srcpack.rules.context import get_context
from support.places import ROOT

RESULT_FILES = sorted(harness.RESULTS.glob("*.json"))


@pytest.fixture
def result() -> dict[str, Any]:
    """A result with a figure of each sort."""
    return Result(
        question="example",
        title="An example",
        method="Line one\n   and two.",
        quick=False,
        bundles={"js-many": "generated"},
        tables=[
            Table(
                title="Figures",
                columns=[Column("way", "Way"), Column("rate", "MB/s", 1), Column("files", "Files")],
                rows=[
                    {"way": "zip", "rate": Spread.of([3.0, 1.0, 2.0]), "files": 6562},
                    {"way": "pack", "rate": 1 / 3},
                ],
            )
        ],
        targets=[Target(claim="twice as fast", value=Spread.of([2.5]), kind="at least", bound=2)],
    ).as_json()


# ---- figures


def test_a_spread_has_the_median_and_the_quartiles() -> None:
    """Quartiles lie between samples by proportion, whatever order the samples came in."""
    assert Spread.of([5.0, 1.0, 4.0, 2.0, 3.0]) == Spread(median=3.0, q1=2.0, q3=4.0, least=1.0, samples=5)
    assert Spread.of([1.0, 2.0]) == Spread(median=1.5, q1=1.25, q3=1.75, least=1.0, samples=2)
    assert Spread.of([7.0]) == Spread(median=7.0, q1=7.0, q3=7.0, least=7.0, samples=1)


def test_speeds_are_compared_pair_by_pair() -> None:
    """The median of the ratios, not the ratio of the medians: a slow round falls on both."""
    timings = Timings(
        {"ours": [1.0, 10.0, 2.0], "theirs": [4.0, 30.0, 4.0]}, {"ours": [1.0], "theirs": [5.0]}
    )
    assert timings.speed("ours", "theirs") == Spread.of([4.0, 3.0, 2.0])
    assert timings.speed("ours", "ours") == Spread.of([1.0, 1.0, 1.0])
    assert timings.cpu_speed("ours", "theirs") == Spread.of([5.0])
    assert timings.gap("theirs", "ours", 1e-3) == Spread.of([3000.0, 20000.0, 2000.0])


def test_rates_and_times_are_in_the_units_asked_for() -> None:
    """`per` is the unit in seconds, a rate is an amount by the second."""
    timings = Timings({"ours": [0.5, 0.25]}, {})
    assert timings.each("ours", 1e-3) == Spread.of([500.0, 250.0])
    assert timings.rate("ours", 10) == Spread.of([20.0, 40.0])


# ---- turns


def test_jobs_take_turns() -> None:
    """A B, A B: first once each to warm up, then once in each round."""
    done: list[str] = []
    jobs = [Job(name=name, run=partial(done.append, name)) for name in "AB"]
    timings = harness.measure(jobs, 3)
    assert "".join(done) == "AB" * 4
    assert [len(timings.seconds[name]) for name in "AB"] == [3, 3]


def test_a_sample_is_the_mean_of_its_calls_and_preparation_is_not_timed() -> None:
    """Each call is timed by itself, so that what comes before it is left out."""
    clock = count(step=1_000_000_000)
    job = Job(
        name="A",
        run=lambda: next(clock),
        prepare=lambda: next(clock),
        finish=lambda _: next(clock),
        calls=4,
        clock=lambda: next(clock),
    )
    assert job.sample()[0] == 2.0
    assert next(clock) == 4 * 5 * 1_000_000_000


def test_two_jobs_of_one_name_are_refused() -> None:
    """Their samples would be mixed."""
    with pytest.raises(ValueError, match="two jobs have one name"):
        harness.measure([Job(name="A", run=int), Job(name="A", run=int)], 1)


def test_a_crew_does_tasks_side_by_side_and_tells_what_they_raise() -> None:
    """Its threads live on: what one keeps is there the next time."""
    with workspace.Crew(2) as crew:
        meeting = threading.Barrier(2, timeout=60)  # passed only if both run at once
        first: list[int] = []
        crew.run([lambda: first.append(meeting.wait()) for _ in range(2)])
        assert sorted(first) == [0, 1]
        seen: list[int] = []
        for _ in range(2):
            crew.run([lambda: seen.append(threading.get_ident())])
        assert len(set(seen)) == 1
        with pytest.raises(ZeroDivisionError):
            crew.run([lambda: 1 // 0, list])


def test_percentiles_are_given_where_reads_lie_above_them() -> None:
    """99 reads do not tell what one in a hundred takes."""
    assert workspace.percentiles([1000 * n for n in range(99)]) == {"p50": 49, "p99": None, "p999": None}
    assert workspace.percentiles([1000 * n for n in range(1000)]) == {"p50": 500, "p99": 990, "p999": 999}


# ---- results


def test_a_target_is_met_by_its_bound() -> None:
    for kind, value, met in (
        ("at least", 2.0, True),
        ("at least", 1.99, False),
        ("at most", 2.0, True),
        ("at most", 2.01, False),
    ):
        for measured in (value, Spread.of([0.0, value, 9.0])):
            assert Target(claim="", value=measured, kind=kind, bound=2).met is met, (kind, value)  # type: ignore[arg-type]


def test_a_result_has_the_form_of_the_schema(result: dict[str, Any]) -> None:
    """It survives JSON, and every row has every column."""
    harness.check_result(json.loads(json.dumps(result)))
    assert result["tables"][0]["rows"][1] == {"way": "pack", "rate": 0.33333, "files": None}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda result: result.update(schema=0), "no result of schema 1"),
        (lambda result: result.update(tables=None), "tables: None is no list"),
        (lambda result: result["environment"].pop("commit"), "environment: no commit"),
        (lambda result: result["tables"][0]["rows"][0].pop("rate"), "row has"),
        (lambda result: result["tables"][0]["rows"][0].update(rate=[1]), "is no figure"),
        (lambda result: result["tables"][0]["rows"][0]["rate"].pop("q1"), "a spread has"),
        (lambda result: result["targets"][0].update(met=False), "met is False, the value says True"),
    ],
)
def test_a_result_of_another_form_is_refused(
    result: dict[str, Any], spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    """What is wrong is named."""
    spoil(result)
    with pytest.raises(ValueError, match=re.escape(message)):
        harness.check_result(result)


def test_a_result_as_markdown(result: dict[str, Any]) -> None:
    """Medians with their quartiles, single figures without, nothing for what was not measured."""
    text = harness.render(result)
    assert "| zip | 2.0 (1.5 to 2.5) | 6,562 |" in text
    assert "| pack | 0.3 | - |" in text
    assert "| twice as fast | at least | 2 | 2.500 | met |" in text
    assert "\n\nLine one and two.\n\n" in text


def test_the_environment_does_not_name_the_machine() -> None:
    """Neither the host nor a folder of it."""
    found = json.dumps(harness.environment())
    assert str(ROOT) not in found
    assert str(Path.home()) not in found
    assert set(harness.environment()["packages"]) >= {
        "zstandard",
        "msgpack",
        "xxhash",
        "libzstd",
        "zlib",
        "SQLite",
    }


# ---- the results that are kept


def test_every_question_has_a_result() -> None:
    """And there is none of a question that is not asked any more."""
    assert {path.stem for path in RESULT_FILES} == set(benchmarks.QUESTIONS)


def test_the_presets_refer_to_a_result_that_exists() -> None:
    """The docstring of presets.py says where its values come from."""
    (reference,) = re.findall(r"benchmarks/results/[\w.]+\.md", srcpack_convert.one.presets.__doc__ or "")
    assert (ROOT / reference).is_file()


def test_a_kept_result_and_its_markdown_agree() -> None:
    """The Markdown is just what its JSON gives; neither is of a quick run, or names the machine."""
    for path in RESULT_FILES:
        text = path.read_text(encoding="utf-8")
        result = json.loads(text)
        harness.check_result(result)
        assert result["question"] == path.stem
        assert not result["quick"], path
        assert path.with_suffix(".md").read_text(encoding="utf-8") == harness.render(result), path
        assert not re.search(r"/(work|tmp|home|root)/", text), path


def test_the_first_page_agrees_with_the_results() -> None:
    """Ten rows, each of one target; what wins comes first."""
    text = (harness.RESULTS / "README.md").read_text(encoding="utf-8")
    assert text == summary.page(harness.RESULTS)
    _, *rows = text.partition("|---|")[2].splitlines()
    times = [float(row.split("|")[4]) for row in rows]
    assert len(times) == len(summary.ROWS) == 10
    assert times == sorted(times, reverse=True)
    for row, figure in zip(rows, times, strict=True):
        assert ("wins" in row, "**loses**" in row) == (figure > 1.1, figure < 0.9)


def test_a_plot_is_kept_beside_its_result() -> None:
    """As SVG and PNG; the SVG has no date, and names neither machine nor software."""
    for question in plots.PLOTS:
        assert (harness.RESULTS / f"{question}.png").is_file()
        svg = (harness.RESULTS / f"{question}.svg").read_text(encoding="utf-8")
        assert "<dc:date>" not in svg
        assert not re.search(r"/(work|tmp|home|root)/", svg), question


def test_a_plot_is_the_same_each_time(tmp_path: Path) -> None:
    """A rerun changes no more of it than the figures."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    result = json.loads((harness.RESULTS / "size.json").read_text(encoding="utf-8"))
    drawn = []
    for _ in range(2):
        plots.draw(result, tmp_path)
        drawn.append([(tmp_path / f"size{suffix}").read_bytes() for suffix in (".svg", ".png")])
    assert drawn[0] == drawn[1]


def test_no_plot_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and nothing fails."""
    monkeypatch.setattr(plots, "missing", lambda packages: packages[0])
    plots.draw_all(harness.RESULTS)
    plots.draw({"question": "read"}, tmp_path)
    assert not list(tmp_path.iterdir())
    assert "no plot of read: package matplotlib is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_figures_are_made_without_the_contenders_that_are_missing(tmp_path: Path) -> None:
    """Their rows have no figures."""
    for path in RESULT_FILES:
        result = json.loads(path.read_text(encoding="utf-8"))
        for table in result["tables"]:
            if table["columns"][0]["key"] == "way" or any(row.get("way") == "LMDB" for row in table["rows"]):
                table["rows"] = [row for row in table["rows"] if row["way"] != "LMDB"]
                none = dict.fromkeys(table["rows"][0])
                table["rows"].append({**none, "way": "LMDB (skipped: package lmdb is missing)"})
        (tmp_path / path.name).write_text(json.dumps(result), encoding="utf-8")
    assert "(LMDB)" not in readme.block(tmp_path)
    assert readme.block(tmp_path).count("\n") == readme.block().count("\n")
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    plots.draw_all(tmp_path)
    assert {path.stem for path in tmp_path.glob("*.svg")} == set(plots.PLOTS)


# ---- what the documents claim


@dataclass(frozen=True)
class Claim:
    """Words of a document, and the figure that bears them out."""

    document: str
    words: str
    question: str
    table: int
    row: dict[str, Any]
    column: str
    holds: Callable[[float], bool]


CLAIMS = [
    Claim(
        "README.md",
        "Opening costs the same for ten files and for",
        "open",
        0,
        {"way": "pack", "lookup": "miss", "files": 65_536},
        "growth",
        lambda growth: growth < 2,
    ),
    Claim(
        "SPEC.md",
        "A lookup reads about 90 bytes of index",
        "open",
        1,
        {"files": 65_536},
        "index",
        lambda size: 80 <= size <= 100,
    ),
]
MEASURED = re.compile(
    r"\b[\d.,]+ ?(?:µs|us|ms|[kMG]B/s|times (?:as|faster|the speed)|% (?:of|faster|smaller|less))"
)


def test_claims_agree_with_results() -> None:
    """The documents still say so, and the figures still bear it out."""
    for claim in CLAIMS:
        assert claim.words in " ".join((ROOT / claim.document).read_text(encoding="utf-8").split())
        result = json.loads((harness.RESULTS / f"{claim.question}.json").read_text(encoding="utf-8"))
        (row,) = (row for row in result["tables"][claim.table]["rows"] if claim.row.items() <= row.items())
        cell = row[claim.column]
        assert claim.holds(cell["median"] if isinstance(cell, dict) else cell), claim.words


def test_measured_figures_come_from_results() -> None:
    """Outside of the part that is made from the results there are none, but for the claims above."""
    for document in ("README.md", "SPEC.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        text = re.sub(r"<!-- measured -->.*<!-- /measured -->", "", text, flags=re.DOTALL)
        claimed = {claim.words for claim in CLAIMS if claim.document == document}
        for found in MEASURED.finditer(text):
            line = text[text.rfind("\n", 0, found.start()) + 1 : text.find("\n", found.end())]
            assert any(words in line for words in claimed), line


# ---- contenders


def _odd_bundle(path: Path) -> None:
    """A bundle with what readers stumble over: an empty file, one URL twice, long and strange names."""
    files = [
        workloads.File("files/empty.js", b"", {"type": "minified_source", "url": "~/empty.js"}),
        workloads.File("files/a.js", b"first\n" * 50, {"type": "source", "url": "~/same.js"}),
        workloads.File("files/b.js", b"second\n" * 50, {"type": "source", "url": "~/same.js"}),
        workloads.File("files/no-url.c", bytes(range(256)) * 40, {"type": "source", "path": "/no-url.c"}),
        workloads.File(
            "files/\u00fcber/\u6f22.js",
            "\u6f22\n".encode(),
            {"url": "~/\u6f22.js", "headers": {"X-SourceMap": "m"}},
        ),
        workloads.File(f"files/{'long/' * 150}x.js", b"x" * 5000, {"url": "https://e.test/" + "u" * 700}),
        *workloads.javascript(5, [3000] * 12),
    ]
    workloads.write_bundle(path, files)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> workspace.Workspace:
    work = workspace.Workspace(tmp_path_factory.mktemp("odd"))
    work.add("odd", _odd_bundle)
    for bundle in ("app", "many", "broken-members", "names"):
        work.add(bundle, partial(shutil.copy, ROOT / "fixtures" / "bundles" / f"{bundle}.zip"))
    return work


@pytest.mark.parametrize("contender", contenders.ALL, ids=lambda contender: contender.name)
def test_a_contender_gives_the_right_answers(
    contender: type[contenders.Contender], odd: workspace.Workspace
) -> None:
    """All members by name, all URLs, and misses; another thread's too; lines and references."""
    if (why := contender.skipped()) is not None:
        pytest.skip(why)
    for bundle in ("odd", "app", "many", "names"):
        material = odd.material(bundle)
        contender.forget()
        with contender(odd.file(bundle, contender.format)) as store:
            contenders.check(store, material)
            own = store.own()
            contenders.check(own, material)
            if own is not store:
                own.close()
    with contender(odd.file("odd", contender.format)) as store:
        found = store.find("~/\u6f22.js")
        assert store.reference(found, store.read(found)) == "m"
        assert store.read(store.find("~/same.js")) == b"second\n" * 50  # the greatest name has it
        for line in (1, 3, 30, 49, 50):
            expected = get_context("second\n" * 50, line)
            assert store.context(store.find("~/same.js"), line) == expected is not None
        assert store.context(store.find("~/same.js"), 51) is None


def test_lines_of_a_content_of_many_pieces() -> None:
    """Counted in steps, found in the last one."""
    content = b"".join(b"%d\n" % number for number in range(1, 60_001))
    for line in (1, 5, 6, 10_000, 31_415, 59_999, 60_000, 60_001):
        assert contenders.lines_around(content, line) == get_context(content.decode(), line)


def test_early_lines_of_a_long_member(tmp_path: Path) -> None:
    """What is inflated no further than needed gives the same lines as the whole."""
    content = b"".join(b"line %d %d\n" % (number, number * 7919 % 10007) for number in range(1, 60_001))
    path = tmp_path / "long.zip"
    workloads.write_bundle(path, [workloads.File("files/l.js", content, {"url": "~/l.js"})])
    with contenders.MappedZipStream(path) as store:
        for line in (1, 7, 29_999, 45_678, 59_998, 60_000, 60_001):
            assert store.context("files/l.js", line) == contenders.lines_around(content, line)


def test_a_mapped_zip_with_over_65535_members(tmp_path: Path) -> None:
    """Its end is of another form."""
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as target:
        for number in range(65_540):
            target.writestr(zipfile.ZipInfo(f"{number}"), b"")
        target.writestr("last", b"content")
        target.writestr("manifest.json", b"{}")
    with contenders.MappedZip(path) as store:
        assert store.get("last") == b"content"
        assert store.member("65539")


def test_a_mapped_zip_checks_the_crc(tmp_path: Path) -> None:
    """As `zipfile` does, or the comparison would be unfair."""
    path = tmp_path / "damaged.zip"
    workloads.write_bundle(path, [workloads.File("file", bytes(range(256)), {})])
    with contenders.MappedZip(path) as store:
        assert store.get("file") == bytes(range(256))
    path.write_bytes(path.read_bytes().replace(b"\x0c\x0d\x0e", b"\x0c\x0d\x0f"))
    with (
        contenders.MappedZip(path) as store,
        pytest.raises(zipfile.BadZipFile, match="file: not the size or CRC-32"),
    ):
        store.get("file")


def test_wrong_bytes_are_told(odd: workspace.Workspace) -> None:
    """A contender that gives something else is not timed."""
    material = odd.material("odd")
    with contenders.Zip(odd.file("odd", "zip")) as store:
        store.read = lambda _: b"something else"
        with pytest.raises(contenders.WrongBytesError, match="zipfile: "):
            contenders.check(store, material)
    with contenders.Zip(odd.file("odd", "zip")) as store:
        store.find = lambda _: "files/a.js"
        with pytest.raises(contenders.WrongBytesError, match="zipfile: "):
            contenders.check(store, material)


def test_members_that_zipfile_cannot_read_are_left_out(odd: workspace.Workspace) -> None:
    """Every format holds just the readable ones."""
    material = odd.material("broken-members")
    with zipfile.ZipFile(odd.file("broken-members", "zip")) as bundle:
        assert 0 < len(material.contents) < len(bundle.namelist()) - 1
    for form in ("zip, stored", "zip, zstd", "sqlar", "SQLite, zstd"):
        contender = next(each for each in contenders.ALL if each.format == form and not each.needs)
        with contender(odd.file("broken-members", form)) as store:
            contenders.check(store, material)


def test_a_missing_package_is_skipped_by_name(odd: workspace.Workspace) -> None:
    """The table says which contender is not there, and why."""

    class Absent(contenders.Zip):
        name = "absent"
        needs = ("no_such_package",)

    assert workspace.able([Absent, contenders.Zip]) == [contenders.Zip]
    rows = workspace.skipped_rows([Absent, contenders.Zip])
    assert rows == [{"way": "absent (skipped: package no_such_package is missing)"}]
    with odd.opened("odd", [Absent, contenders.Zip]) as stores:
        assert [store.name for store in stores] == ["zipfile"]


def test_the_names_of_contenders_are_one_each() -> None:
    """Tables and results tell them apart by it."""
    assert len(contenders.BY_NAME) == len(contenders.ALL)
    assert all(contender.line and contender.format in formats.FORMATS for contender in contenders.ALL)


# ---- generated bundles


@pytest.mark.parametrize("name", sorted(workloads.SHAPES))
def test_a_generated_bundle_is_the_same_each_time_and_has_its_shape(name: str, tmp_path: Path) -> None:
    """Number of files and median of sizes are the shape's; it opens as a SourceBundle."""
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    for path in (first, second):
        workloads.generate_bundle(workloads.SHAPES[name], path, scale=0.02)
    assert first.read_bytes() == second.read_bytes()
    shape = workloads.SHAPES[name]
    with SourceBundle(first) as bundle:
        sizes = sorted(member.size for member in bundle.members.values())
        assert len(sizes) == len(bundle.manifest.files) == max(8, round(shape.files * 0.02))
        assert sizes[len(sizes) // 2] == pytest.approx(shape.size_at(0.5), rel=0.5)


def test_sizes_between_quantiles() -> None:
    """The quantiles themselves, and in proportion between them."""
    shape = workloads.SHAPES["js-many"]
    assert [shape.size_at(p) for p in (0.0, 0.25, 0.5, 1.0)] == [87, 588, 1091, 549075]
    assert 588 < shape.size_at(0.3) < shape.size_at(0.4) < 1091


# ---- the command


def test_an_unknown_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, before anything is measured."""
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main(["nothing"])
    assert "no such question: nothing" in capsys.readouterr().err


def test_a_quick_run_of_one_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it writes has the form of the schema, and says that it means nothing."""
    assert benchmarks.main(["--quick", "--out", str(tmp_path), "lines"]) == 0
    result = json.loads((tmp_path / "lines.json").read_text(encoding="utf-8"))
    harness.check_result(result)
    assert result["quick"]
    assert "its figures mean nothing" in capsys.readouterr().out
    ways = {row["way"] for row in result["tables"][0]["rows"]}
    assert {"zipfile", "pack", "zip, mapped, zlib"} <= ways


@pytest.mark.slow
@pytest.mark.exhaustive  # CI runs this command in a step of its own
def test_a_quick_run_answers_all_questions(tmp_path: Path) -> None:
    """On generated bundles, in a folder of its own; what it writes has the form of the schema."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json")}
    assert results.keys() == benchmarks.QUESTIONS.keys()
    for result in results.values():
        harness.check_result(result)
        assert result["quick"]
        assert set(result["bundles"].values()) == {"generated"}


def test_the_readme_has_the_figures_of_the_results() -> None:
    """Its measured part is just what the results give."""
    assert readme.block() in readme.README.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", readme.PAGES)
def test_pages_on_integrations_have_the_figures_of_the_result(page: str) -> None:
    """Each shows the tables that it is to show, as they are."""
    text = readme.page_block(page)
    assert text.count("### ") == len(readme.PAGES[page])
    assert text in (ROOT / "docs" / "integrations" / page).read_text(encoding="utf-8")


def test_the_readme_is_written_between_its_marks(tmp_path: Path) -> None:
    """All else stays."""
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n", encoding="utf-8")
    readme.write(page)
    assert page.read_text(encoding="utf-8") == (
        f"before\n<!-- measured -->\n{readme.block()}<!-- /measured -->\nafter\n"
    )
