"""The guide and the pages on taking packs up: their Python runs and prints what they show, in their order."""

import re
from pathlib import Path

import pytest

from support.documents import python_blocks, run_blocks
from support.places import ROOT

FOLDER = ROOT / "docs" / "integrations"
PAGES = sorted(path.name for path in FOLDER.glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("page", ["../guide.md", *PAGES])
def test_the_python_of_a_page_runs_and_prints_what_is_shown(page: str, tmp_path: Path) -> None:
    pytest.importorskip("symbolic", reason="some of them convert with lookups")
    blocks = python_blocks((FOLDER / page).read_text(encoding="utf-8"))
    assert blocks
    for block, printed in zip(blocks, run_blocks(blocks, tmp_path), strict=True):
        if block.output:
            assert printed == block.output


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_import_is_there(page: str) -> None:
    """Of the changes to other projects' code the imports are run; the Python below them is the rest."""
    added = re.findall(
        r"^\+((?:from|import) srcpack.*)$", (FOLDER / page).read_text(encoding="utf-8"), re.MULTILINE
    )
    for line in added:
        exec(line, {})


def test_the_list_of_pages_has_all() -> None:
    listed = re.findall(r"\]\((\w+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == PAGES


def test_the_site_has_every_document() -> None:
    """A document that nobody is led to is one that nobody reads. A hook makes the commands' reference."""
    documents = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = re.findall(r"\bdocs/[\w/-]+\.md\b", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(documents | {"docs/reference/commands.md"})
