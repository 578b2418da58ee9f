"""The zip's side of a comparison: a SourceBundle as a careful engineer reads it with `zipfile` and `json`."""

import json
import struct
import zipfile
import zlib
from typing import Any, Literal, Self, TypeAlias

from srcpack.errors import FormatError

__all__ = ["ZIP_ERRORS", "Key", "Zip", "opened"]

Key: TypeAlias = Literal["url", "path"]

# zipfile raises these, and more by chance than by intent, on what is damaged or not what it knows.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Zip:
    """A SourceBundle as a careful engineer reads it: directory and manifest parsed, and a dict by key."""

    def __init__(self, file: str, key: Key) -> None:
        self.file = file
        self.key: Key = key
        self.zip: zipfile.ZipFile = zipfile.ZipFile(file)
        try:
            self.files: dict[str, dict[str, Any]] = (
                json.loads(self.zip.read("manifest.json")).get("files") or {}
            )
            self.by_key: dict[str, str] = {
                info[key]: name for name, info in self.files.items() if info.get(key)
            }
        except BaseException:
            self.zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()


def opened(file: str, key: Key) -> Zip:
    """Open a zip; FormatError if zipfile or json cannot read it."""
    try:
        return Zip(file, key)
    except ZIP_ERRORS as error:
        raise FormatError(file, f"zipfile and json cannot read it: {error!r}") from error
