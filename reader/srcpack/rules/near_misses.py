"""What a URL that was not found may have been meant for: the URL that is there and differs in little.

These are the mistakes that uploaders make: another prefix, another query, `%5B` against `[`, another case.
Lookups know none of this (symbolic compares URLs byte by byte); it is only told.
"""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["NearMiss", "UrlsByName"]

_MOST_OF_A_NAME = 100


class NearMiss(NamedTuple):
    """A URL that is there in place of the one that was looked for, and in what it differs, in a few words."""

    url: str
    differs: str


class UrlsByName:
    """URLs, found by the last part of their path. Immutable."""

    __slots__ = ("_by_name",)

    def __init__(self, urls: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = {}
        for url in urls:
            self._by_name.setdefault(_name(url), []).append(url)

    def nearest(self, wanted: Iterable[str]) -> NearMiss | None:
        """Return the URL that differs least from one of those looked for; None if none has the file's name.

        The most specific of those that were looked for comes first.
        """
        best: tuple[int, int, NearMiss] | None = None
        for url in wanted:
            # Very many files may have one name: those looked at are bounded.
            for found in self._by_name.get(_name(url), ())[:_MOST_OF_A_NAME]:
                rank, differs = _difference(url, found)
                near = (rank, -_common_end(url, found), NearMiss(found, differs))
                if best is None or near[:2] < best[:2]:
                    best = near
        return None if best is None else best[2]


def _plain(url: str) -> str:
    """Return a URL without query and fragment, its escapes resolved."""
    return unquote(url.partition("#")[0].partition("?")[0], errors="replace")


def _name(url: str) -> str:
    return _plain(url).rpartition("/")[2].lower()


def _difference(wanted: str, found: str) -> tuple[int, str]:
    """Return how far two URLs of one file name are from each other, and in what they differ."""
    if unquote(wanted) == unquote(found):
        return 0, "percent-encoded otherwise"
    if _plain(wanted) == _plain(found):
        return 1, "another query"
    if _plain(wanted).lower() == _plain(found).lower():
        return 2, "upper and lower case"
    return 3, "another prefix"


def _common_end(one: str, other: str) -> int:
    common = 0
    for a, b in zip(reversed(_plain(one).split("/")), reversed(_plain(other).split("/")), strict=False):
        if a != b:
            break
        common += 1
    return common
