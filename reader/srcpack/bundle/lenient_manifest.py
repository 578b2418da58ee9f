"""A `manifest.json` as Sentry's own class takes it: whatever the standard library's json reads.

symbolic refuses a bundle over metadata alone: a type that it does not know, an attribute or header that is no
text, a null URL. Sentry stores such bundles and reads them. Here each value that symbolic would refuse is
left out of what the manifest says, and `manifest_values` has all of them as they were written.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from srcpack.bundle.manifest_json import MANIFEST_NAME, parse_manifest
from srcpack.errors import FormatError, LimitExceeded
from srcpack.records import FILE_KEYS, BundleManifest, FileInfo, FileType

__all__ = ["manifest_values", "parse_leniently"]

_MAX_DIGITS = 4000


def parse_leniently(
    data: bytes, *, file: str, max_files: int | None = None
) -> tuple[BundleManifest, str | None]:
    """Read a manifest: as symbolic if it takes it, else without what it would refuse.

    A type that is unknown is left out, so that the file reads as `source`. Returns what the manifest
    says, and why symbolic refuses it; None where it does not. What is no JSON object, or has no object of
    files, is refused all the same, with symbolic's error.
    """
    try:
        return parse_manifest(data, file=file, max_files=max_files), None
    except FormatError as refusal:
        try:
            values = manifest_values(data, file=file)
        except FormatError:
            raise refusal from None
        files = values.get("files", {})
        if not isinstance(files, dict):
            raise
        reason = str(refusal).removeprefix(f"{file}: ")
    if max_files is not None and len(files) > max_files:
        raise LimitExceeded(file, "the number of files in the manifest", len(files), max_files)
    links = values.get("source_links")
    manifest = BundleManifest(
        files={name: _file_info(info) for name, info in files.items() if _is_text(name)},
        source_links=_texts(links) if isinstance(links, dict) else None,
        attributes={
            name: value for name, value in _texts(values).items() if name not in ("files", "source_links")
        },
        has_files="files" in values,
    )
    return manifest, reason


def manifest_values(data: bytes, *, file: str) -> dict[str, Any]:
    """Return the values of a manifest as they are written, in their order.

    As by `json.loads`, of a name that occurs twice the last value counts, and there may be NaN and lone
    surrogates. A number of more than 4,000 digits is a float.
    """
    try:
        values = json.loads(data.decode(), parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise FormatError(file, f"the manifest is not JSON: {error}", member=MANIFEST_NAME) from error
    if not isinstance(values, dict):
        problem, found = "the manifest has the wrong type", type(values).__name__
        raise FormatError(file, problem, member=MANIFEST_NAME, found=found, expected="an object")
    return values


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _file_info(info: object) -> FileInfo:
    if not isinstance(info, dict):
        return FileInfo()
    file_type, path, url, headers = map(info.get, FILE_KEYS)
    others = {name: value for name, value in info.items() if name not in FILE_KEYS}
    return FileInfo(
        type=FileType(file_type) if file_type in list(FileType) else None,
        type_is_null="type" in info and file_type is None,
        path=path if _is_text(path) else None,
        url=url if _is_text(url) else None,
        headers=tuple(_texts(headers).items()) if isinstance(headers, dict) else None,
        extra=_dumped(others) if others else None,
    )


def _dumped(values: dict[str, Any]) -> str | None:
    try:
        return json.dumps(values, separators=(",", ":"), allow_nan=False)
    except ValueError:  # JSON has no infinity
        return None


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in values.items() if _is_text(name) and _is_text(value)}


def _is_text(value: object) -> TypeGuard[str]:
    """Return whether a value is a text without lone surrogates."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
