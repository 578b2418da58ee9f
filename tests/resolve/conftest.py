"""Packs for the events of this room."""

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Pack
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.harbour import members
from support.searched import Files
from support.tables import build_tables_here


@pytest.fixture(params=["lookups", "pack", "zip"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Pack]:
    """Make a pack, or open the zip, of files given by URL: type, content, headers."""
    numbers = count()
    build_tables_here(monkeypatch)

    def make_one(files: Mapping[str, Any], **manifest: Any) -> Pack:
        bundle = build_bundle(*members(files, **manifest))
        if request.param == "zip":
            return srcpack.open(bundle)
        path = tmp_path / f"{next(numbers)}.srcpack"
        convert(bundle, path, dictionary="off", verify=False, lookups=request.param == "lookups")
        return srcpack.open(path)

    return make_one


@pytest.fixture(params=["pack", "zip"])
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Pack]:
    """Make a pack, or open the zip behind the same interface, of files given by their manifest entries."""
    numbers = count()

    def pack_one(
        files: Files, *, bundle: bytes | None = None, max_read: int = 1 << 30, **manifest: Any
    ) -> Pack:
        contents = {name: info.get("content", name.encode()) for name, info in files.items()}
        listed = {name: {k: v for k, v in info.items() if k != "content"} for name, info in files.items()}
        zipped = build_bundle(contents, {"files": listed, **manifest}) if bundle is None else bundle
        if request.param == "zip":
            return srcpack.open(zipped, max_read=max_read)
        path = tmp_path / f"{next(numbers)}.srcpack"
        convert(zipped, path, dictionary="off", verify=False)
        return srcpack.open(path, max_read=max_read)

    return pack_one
