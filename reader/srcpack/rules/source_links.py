"""Source links: patterns of source paths, and the URLs that the files can be fetched from.

Rule source: symbolic a5980e8 `symbolic-common/src/sourcelinks.rs` (`SourceLinkMappings`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from srcpack.errors import LimitExceeded

__all__ = ["SourceLink", "SourceLinks"]

_MAX_URL = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceLink:
    """Where a source file can be fetched; its content is not in the bundle.

    Attributes:
        url: The URL.
    """

    url: str


class SourceLinks:
    """The source links of a bundle, sorted once so that looking up a path is quick.

    A pattern that ends with `*` matches every path that starts with what is before it; any other is a whole
    path, `*` in its middle included. Both compare in lower case. Of patterns that are equal in lower case the
    last one counts; symbolic reads a manifest's in byte order, so the greatest has to come last.
    """

    __slots__ = ("_exact", "_file", "_lengths", "_prefixes")

    def __init__(self, mapping: Mapping[str, str], *, file: str = "source links") -> None:
        self._file = file
        self._exact: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        for pattern, url in mapping.items():
            if pattern.endswith("*"):
                self._prefixes[pattern[:-1].lower()] = url
            else:
                self._exact[pattern.lower()] = url
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def resolve(self, path: str) -> str | None:
        r"""Find the URL of a path, in any case and with either kind of slash; None if no pattern has it.

        The pattern that is the whole path wins; else that of the longest prefix, with each `*` in its URL
        replaced by the rest of the path, `\` there turned into `/`. A URL over 1 MiB is a LimitExceeded.
        """
        lowered = path.lower()
        url = self._exact.get(lowered)
        if url is not None:
            return url
        # Each length can have one prefix of this path at most, so no pattern is compared in vain.
        for length in self._lengths:
            prefix = lowered[:length]
            url = self._prefixes.get(prefix)
            if url is not None:
                rest = _rest(path, prefix).replace("\\", "/")
                size = len(url) + url.count("*") * len(rest)
                if size > _MAX_URL:
                    raise LimitExceeded(self._file, "URL of a source link", size, _MAX_URL)
                return url.replace("*", rest)
        return None


def _rest(path: str, prefix: str) -> str:
    """What follows the prefix, which is cut off by its length in bytes as upstream does.

    Lower case can be shorter or longer than what was written; then upstream cuts elsewhere, and has
    nothing left where that is inside a character or past the end.
    """
    if path.isascii():
        return path[len(prefix) :]
    rest = path.encode("utf-8", "surrogatepass")[len(prefix.encode("utf-8", "surrogatepass")) :]
    if rest and rest[0] & 0xC0 == 0x80:
        return ""
    return rest.decode("utf-8", "surrogatepass")
