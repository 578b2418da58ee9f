"""Some bundles, and a place for their packs."""

from pathlib import Path

import pytest

from support.batches import write


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return write(tmp_path / "in", ["a.zip", "b/c.zip", "b/d.zip"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
