"""Packs, as many as are asked for, and a catalog of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.fleet import Fleet


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a pack of files, below the folder `packs`."""

    def write(name: str, files: Mapping[str, bytes], manifest: Mapping[str, Any] | None = None) -> Path:
        path = tmp_path / "packs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        convert(build_bundle(files, manifest or {}), path, preset="raw", verify=False)
        return path

    return write


@pytest.fixture
def write_urls(write: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that writes a pack with a file for each URL, below the folder `packs`."""

    def write_urls(name: str, *urls: str, **manifest: Any) -> Path:
        files = {f"{number}": {"type": "source", "url": url} for number, url in enumerate(urls)}
        contents = {f"{number}": url.encode() for number, url in enumerate(urls)}
        return write(name, contents, {"files": files, **manifest})

    return write_urls


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)
