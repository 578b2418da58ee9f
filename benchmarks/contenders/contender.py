"""What each way to read a bundle can do, and the check that it gives what `zipfile` gives."""

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import zstandard

from benchmarks.formats import FORMATS, Material, missing
from srcpack import Context
from srcpack.rules.context import get_context
from srcpack.rules.references_in_content import discover_source_map_reference

__all__ = [
    "CACHED_BYTES",
    "Contender",
    "ThreadsOwn",
    "WrongBytesError",
    "check",
    "lines_around",
    "named",
]

CACHED_BYTES = 32 << 20
"""What the two caches of decoded files may hold, for the whole process."""

_T = TypeVar("_T")
_MISSES = ("~/there-is-no-such-file.js", "", "~", "https://example.com/" + "x" * 600)


class WrongBytesError(Exception):
    """A contender gave other bytes, or another answer, than `zipfile`."""


class Contender:
    """One way to read a bundle.

    Attributes:
        name: What tables call it.
        line: What it is, and which rules it follows.
        format: Name of the format of its file.
        needs: Packages that it takes beside the format's.
        caches: Whether it keeps decoded files, up to `CACHED_BYTES`.
        find: Returns what `read` takes for the file of a URL; None if there is none.
        member: The same by name.
        read: Returns the bytes of what `find` or `member` gave.
        get: Returns the bytes of a name.
    """

    name: ClassVar[str]
    line: ClassVar[str]
    format: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    caches: ClassVar[bool] = False

    find: Callable[[str], Any]
    member: Callable[[str], Any]
    read: Callable[[Any], bytes]
    get: Callable[[str], bytes]

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def skipped(cls) -> str | None:
        """Return why it cannot run here; None if it can."""
        package = missing((*FORMATS[cls.format].needs, *cls.needs))
        return None if package is None else f"package {package} is missing"

    @classmethod
    def compresses(cls) -> bool:
        """Return whether contents are compressed in its file."""
        return FORMATS[cls.format].compresses

    @classmethod
    def forget(cls) -> None:
        """Drop what the process keeps beside open bundles, as in a fresh process."""

    def own(self) -> Self:
        """Return what another thread is to use: the same, where threads may share it."""
        return self

    def reference(self, found: Any, content: bytes) -> str | None:
        """Return the source map reference of a file that was read: a header's, else the comment's."""
        headers = {key.lower(): value for key, value in (self.record(found).get("headers") or {}).items()}
        reference: str | None = headers.get("sourcemap", headers.get("x-sourcemap"))
        return discover_source_map_reference(content) if reference is None else reference

    def record(self, found: Any) -> Mapping[str, Any]:
        """Return what the manifest says of a file."""
        raise NotImplementedError

    def context(self, found: Any, line: int) -> Context | None:
        """Return a line, from 1, and five lines either side; None if there is no such line."""
        return lines_around(self.read(found), line)

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def named(contenders: "Iterable[type[Contender]]", formats: Iterable[str]) -> "list[type[Contender]]":
    """Return the contenders whose file is of one of the formats."""
    wanted = set(formats)
    return [each for each in contenders if each.format in wanted]


def lines_around(content: bytes, line: int, lines: int = 5) -> Context | None:
    """Return a line of a content and its neighbours; newlines before are counted, not split at."""
    first = max(1, line - lines)
    start = _after_newlines(content, first - 1)
    if start is None:
        return None
    end = start
    for _ in range(line - first + lines + 1):
        end = content.find(b"\n", end) + 1
        if not end:
            end = len(content)
            break
    return get_context(content[start:end].decode(), line - first + 1, 0, lines)


def _after_newlines(content: bytes, count: int) -> int | None:
    """Return the position after so many line feeds; None where there are fewer."""
    at = 0
    step = 1 << 16
    while count:
        here = content.count(b"\n", at, at + step)
        if here < count:
            if at + step >= len(content):
                return None
            count -= here
            at += step
        elif step > 1 << 8:
            step >>= 2
        else:
            for _ in range(count):
                at = content.index(b"\n", at) + 1
            return at
    return at


class ThreadsOwn(threading.local):
    """A thread's own things: a decompressor without a dictionary, and what a contender puts there."""

    def __init__(self) -> None:
        self.plain = zstandard.ZstdDecompressor()
        self.with_dictionary: zstandard.ZstdDecompressor | None = None


def check(contender: Contender, material: Material, *, most: int | None = None) -> None:
    """Check that a contender gives what `zipfile` gave, by name and by URL, and misses what is not there.

    Args:
        contender: An open one.
        material: What the bundle holds.
        most: How many files are read; all if None, else so many by chance.

    Raises:
        WrongBytesError: It does not.
    """
    for name in _some(list(material.contents), most):
        found = contender.member(name)
        wanted = material.contents[name]
        if found is None or contender.read(found) != wanted or contender.get(name) != wanted:
            raise WrongBytesError(f"{contender.name}: {name!r} in {contender.path.name}")
    for url in _some(list(material.by_url), most):
        found = contender.find(url)
        if found is None or contender.read(found) != material.contents[material.by_url[url]]:
            raise WrongBytesError(f"{contender.name}: {url!r} in {contender.path.name}")
    for miss in _MISSES:
        if miss not in material.by_url and contender.find(miss) is not None:
            raise WrongBytesError(f"{contender.name}: finds {miss!r} in {contender.path.name}")
        if miss not in material.contents and contender.member(miss) is not None:
            raise WrongBytesError(f"{contender.name}: has {miss!r} in {contender.path.name}")


def _some(items: Sequence[_T], most: int | None) -> Sequence[_T]:
    if most is None or len(items) <= most:
        return items
    return random.Random(1).sample(items, most)
