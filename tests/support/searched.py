"""Files of a bundle as sets of packs find them, and what is told of a search."""

import json
from collections.abc import Mapping
from typing import Any

from srcpack import DecodedMap, Pack, Resolved, SourceLink, SrcpackError
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_zip

__all__ = ["ID_A", "ID_B", "Errors", "Files", "script", "source_map", "where", "with_damaged_member"]

ID_A = "5e618b9f-54a9-4389-b196-519819dd7c47"
ID_B = "0a1705ef-5bdb-55c6-8003-096ca0a1462e"

Files = Mapping[str, Mapping[str, Any]]
"""What the manifest says of each file; its content is the key `content`, else its name."""


def script(url: str | None = None, debug_id: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what the manifest says of a minified file."""
    return {"type": "minified_source", **_keys(url, debug_id), **more}


def source_map(url: str | None = None, debug_id: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what the manifest says of a source map."""
    return {"type": "source_map", **_keys(url, debug_id), **more}


def _keys(url: str | None, debug_id: str | None) -> dict[str, Any]:
    keys: dict[str, Any] = {} if url is None else {"url": url}
    return keys if debug_id is None else {**keys, "headers": {"debug-id": debug_id}}


def with_damaged_member(files: Files, name: str) -> bytes:
    """Return a bundle in which the CRC of one member is wrong."""
    members = [ZipMember(name=each, content=each.encode(), crc=1 if each == name else None) for each in files]
    manifest = json.dumps({"files": files}).encode()
    return build_zip([*members, ZipMember(name="manifest.json", content=manifest)], header=BUNDLE_HEADER)


def where(found: Resolved | DecodedMap | SourceLink | None) -> tuple[Pack, str, str, str | None]:
    """Return pack and name of a file that was found, and what it was found by."""
    assert isinstance(found, Resolved)
    assert found.pack is found.entry.pack
    return found.pack, found.entry.name, found.found_by, found.candidate


class Errors(list[tuple[Pack, str, SrcpackError | OSError]]):
    """Keeps the errors of a search."""

    def __call__(self, pack: Pack, key: str, error: SrcpackError | OSError) -> None:
        """Take an error."""
        self.append((pack, key, error))
