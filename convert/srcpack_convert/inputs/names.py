"""Names as they are given: what they count from, whether they are folders, and lists of them."""

import io
import os
from collections.abc import Iterator

from srcpack.source.locations import is_url, without_secrets

__all__ = ["absolute", "check_name", "is_folder_url", "names_in", "working_folder"]

_LONGEST_NAME = 64 << 10
"""Bytes of a name in a list of inputs; the limit of systems is far below."""


def is_folder_url(url: str) -> bool:
    """Return whether a URL names a folder: it ends with a slash, or is just a bucket."""
    url = without_secrets(url)
    return url.endswith("/") or url.count("/") == 2


def working_folder() -> str:
    """Return the working folder; nothing if it is gone, so that absolute paths can still be used."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def check_name(name: str) -> None:
    """Refuse what names nothing: an empty text, most often a variable that is not set, is no folder.

    Raises:
        ValueError: It is empty, or no system has such a name.
    """
    if not name:
        raise ValueError("a name is empty; . is the working folder")
    if "\0" in name:
        raise ValueError(f"{name!a}: embedded null byte")


def absolute(place: str, folder: str) -> str:
    """Return a path, which counts from a folder, as one that means the same everywhere; a URL as it is.

    Raises:
        ValueError: As `check_name`.
    """
    check_name(place)
    if is_url(place):
        return place
    path = os.path.join(folder, place)
    # Behind a link to a folder, `..` leads elsewhere than the text says.
    return os.path.realpath(path) if ".." in path.split("/") else os.path.normpath(path)


def names_in(listed: io.BufferedReader, end: bytes) -> Iterator[str]:
    """Yield the names in a list, as soon as they are there to be read.

    Raises ValueError if it is no list: a name, or a run of ends without one, is too long.
    """
    rest = b""
    ends = 0
    # Not line by line: what is no list may be one line of any length.
    while block := listed.read1(_LONGEST_NAME):
        *lines, rest = (rest + block).split(end)
        for line in lines:
            name = line.removesuffix(b"\r") if end == b"\n" else line
            ends = 0 if name else ends + 1
            _check_length(max(len(name), ends))
            if name:
                yield os.fsdecode(name)
        _check_length(len(rest))
    name = rest.removesuffix(b"\r") if end == b"\n" else rest
    if name:
        yield os.fsdecode(name)


def _check_length(length: int) -> None:
    if length > _LONGEST_NAME:
        raise ValueError(f"it is no list: it has {_LONGEST_NAME:,} bytes without a name, or in one")
