"""Where the parts of the project are, and the shared material that some tests use if it is there."""

from pathlib import Path

__all__ = ["BUNDLES", "CASES", "CORPUS", "FIXTURES", "PACKS", "ROOT", "SHARED"]

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
BUNDLES = FIXTURES / "bundles"
PACKS = FIXTURES / "packs"
SHARED = ROOT.parent / "shared"
CASES = SHARED / "cases"
CORPUS = SHARED / "corpus"
