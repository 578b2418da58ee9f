"""The benchmarks' harness, and that the results that are kept belong together. No time is asserted."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest

import sourcepack_convert.presets
from sourcepack.source_bundle import SourceBundle

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import harness, readme, workloads  # noqa: E402
from benchmarks.harness import Column, Contender, Result, Spread, Table, Target, Timings  # noqa: E402

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


def test_a_single_sample_is_its_own_spread() -> None:
    """There is nothing between its quartiles."""
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


def test_contenders_take_turns() -> None:
    """A B, A B: first once each to warm up, then once in each round."""
    done: list[str] = []
    contenders = [Contender(name=name, run=partial(done.append, name)) for name in "AB"]
    timings = harness.measure(contenders, 3)
    assert "".join(done) == "AB" * 4
    assert [len(timings.seconds[name]) for name in "AB"] == [3, 3]


def test_a_sample_is_the_mean_of_its_calls_and_preparation_is_not_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call is timed by itself, so that what comes before it is left out."""
    clock = count(step=1_000_000_000)
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(clock))
    contender = Contender(name="A", run=lambda: next(clock), prepare=lambda: next(clock), calls=4)
    assert contender.sample()[0] == 2.0
    assert next(clock) == 4 * 4 * 1_000_000_000


def test_two_contenders_of_one_name_are_refused() -> None:
    """Their samples would be mixed."""
    with pytest.raises(ValueError, match="two contenders have one name"):
        harness.measure([Contender(name="A", run=int), Contender(name="A", run=int)], 1)


# ---- results


@pytest.mark.parametrize(
    ("kind", "value", "met"),
    [("at least", 2.0, True), ("at least", 1.99, False), ("at most", 2.0, True), ("at most", 2.01, False)],
)
def test_a_target_is_met_by_its_bound(kind: Literal["at most", "at least"], value: float, met: bool) -> None:
    """The bound itself is good enough."""
    assert Target(claim="", value=value, kind=kind, bound=2).met is met
    assert Target(claim="", value=Spread.of([0.0, value, 9.0]), kind=kind, bound=2).met is met


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
    assert set(harness.environment()["packages"]) == {"zstandard", "msgpack", "xxhash", "libzstd"}


# ---- the results that are kept


def test_every_question_has_a_result() -> None:
    """And there is none of a question that is not asked any more."""
    assert {path.stem for path in RESULT_FILES} == set(command.QUESTIONS)


def test_the_presets_refer_to_a_result_that_exists() -> None:
    """The docstring of presets.py says where its values come from."""
    (reference,) = re.findall(r"benchmarks/results/[\w.]+\.md", sourcepack_convert.presets.__doc__ or "")
    assert (ROOT / reference).is_file()


@pytest.mark.parametrize("path", RESULT_FILES, ids=lambda path: path.stem)
def test_a_kept_result_and_its_markdown_agree(path: Path) -> None:
    """The Markdown is just what its JSON gives; neither is of a quick run, or names the machine."""
    text = path.read_text(encoding="utf-8")
    result = json.loads(text)
    harness.check_result(result)
    assert result["question"] == path.stem
    assert not result["quick"]
    assert path.with_suffix(".md").read_text(encoding="utf-8") == harness.render(result)
    assert not re.search(r"/(work|tmp|home|root)/", text)


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
        command.main(["nothing"])
    assert "no such question: nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_a_quick_run_answers_all_questions(tmp_path: Path) -> None:
    """On generated bundles, in a folder of its own; what it writes has the form of the schema."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in tmp_path.glob("*.json")} == set(command.QUESTIONS)
    for path in tmp_path.glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        harness.check_result(result)
        assert result["quick"]
        assert set(result["bundles"].values()) == {"generated"}


def test_the_readme_has_the_figures_of_the_results() -> None:
    assert readme.block() in readme.README.read_text(encoding="utf-8")
