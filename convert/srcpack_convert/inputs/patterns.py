"""Patterns of paths: those that name inputs, and those that choose from what a folder holds."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate, takewhile

from srcpack.source.locations import is_url

__all__ = ["Pattern", "is_any_match", "is_pattern"]

_MAGIC = re.compile(r"[*?[]")


def is_pattern(text: str) -> bool:
    """Return whether a text that is no file's name is a pattern of names."""
    return _MAGIC.search(text) is not None and not is_url(text)


def is_any_match(relative: str, patterns: Sequence[str]) -> bool:
    """Return whether a path, or its last part if the pattern has no slash, matches one of some patterns."""
    name = relative.rpartition("/")[2]
    return any(
        fnmatchcase(relative, pattern) or ("/" not in pattern and fnmatchcase(name, pattern))
        for pattern in patterns
    )


class Pattern:
    """A pattern of paths, as shells have them, and `**` for folders at any depth.

    `*`, `?` and `[...]` stand for no slash, and none of them for the dot that a hidden name begins with.

    Attributes:
        root: The folder that paths are relative to: what is before the first part with one of these.
    """

    def __init__(self, text: str) -> None:
        from wcmatch import glob  # noqa: PLC0415  slow to import, and rarely needed

        parts = text.split("/")
        literal = list(takewhile(lambda part: not _MAGIC.search(part), parts))
        self.root: str = "/".join(literal) or ("/" if text.startswith("/") else ".")
        rest = [part for part in parts[len(literal) :] if part not in {"", "."}]
        while rest and rest[-1] == "**":  # all below a folder is the folder
            rest.pop()
        flags = glob.GLOBSTAR | glob.CASE
        starts = ["/".join(rest[:depth]) for depth in range(1, len(rest))]
        self._whole = glob.compile("/".join(rest), flags=flags) if rest else None
        self._starts = glob.compile(starts, flags=flags) if starts else None

    def names(self, path: str) -> bool:
        """Return whether it stands for just this path, relative to its root."""
        return self._whole is not None and self._whole.match(path)

    def matches(self, path: str) -> bool:
        """Return whether it stands for this path, or for a folder that it is in."""
        whole = self._whole
        return whole is None or any(map(whole.match, accumulate(path.split("/"), "{}/{}".format)))

    def leads_to(self, folder: str) -> bool:
        """Return whether it can stand for something in a folder."""
        return self.matches(folder) or (self._starts is not None and self._starts.match(folder))
