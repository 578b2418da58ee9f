"""The results that are kept belong together, and the documents say what they say."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as benchmarks
from benchmarks import harness, plots, readme, summary

import srcpack_convert.one.presets
from support.places import ROOT

RESULT_FILES = sorted(harness.RESULTS.glob("*.json"))


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
def test_figures_are_made_without_the_contenders_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    figure = pytest.importorskip("matplotlib.figure", reason="plots need matplotlib")
    # To write them takes the time; what is missing is missed before.
    monkeypatch.setattr(figure.Figure, "savefig", lambda _, path, **__: path.touch())
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
