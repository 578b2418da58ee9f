"""A bundle that keeps several threads busy."""

from pathlib import Path

import pytest

from support.bundle_builder import build_bundle, words


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of small files and two large ones."""
    files = {f"files/{number:03}.js": words(number, 200 + 74 * number) for number in range(100)}
    files["files/large.js.map"] = words(1000, 400_000)
    files["files/twin.js.map"] = files["files/large.js.map"]
    files["files/large.js"] = words(1001, 200_000)
    manifest = {"files": {name: {"url": f"~/{name}", "type": "minified_source"} for name in files}}
    path = tmp_path_factory.mktemp("mixed") / "mixed.zip"
    path.write_bytes(build_bundle(files, manifest))
    return path
