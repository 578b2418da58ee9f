"""The benchmarks' harness: figures, turns, results, the command. No time is asserted."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as benchmarks
from benchmarks import harness, workspace
from benchmarks.harness import Column, Job, Result, Spread, Table, Target, Timings

from support.places import ROOT


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
