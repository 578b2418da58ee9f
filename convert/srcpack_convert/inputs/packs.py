"""The packs that names stand for, each once, found while the work on them goes on."""

import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.format.head_tail import PACK_HEAD, is_pack
from srcpack.source.locations import is_url, is_web, path_or_url, without_secrets
from srcpack_convert.inputs.folders import Unlisted, files_below, joined
from srcpack_convert.inputs.names import check_name, is_folder_url, names_in
from srcpack_convert.inputs.patterns import Pattern, is_pattern
from srcpack_convert.storage import StoredObject, first_bytes, head, list_objects

__all__ = ["FoundPack", "find_packs"]

_DIGEST = 16
"""Bytes that are kept of the place of each pack, to know it again."""


class FoundPack(NamedTuple):
    """A pack by its path or URL, which may have secrets, or `-`; or what may be one, or why there is none.

    `stored` is what a store said of it, where it was asked.
    """

    place: str
    error: OSError | ValueError | None = None
    stored: StoredObject | None = None

    def checked(self) -> str:
        """Return the place, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.place


def find_packs(
    names: Iterable[str],
    *,
    listed: io.BufferedReader | None = None,
    zero: bool = False,
    with_zips: bool = False,
) -> Iterator[FoundPack]:
    """Yield the packs that names stand for, in the order of the names, each once.

    A folder is searched with all below it; symbolic links to files are followed, those to folders are not.
    The packs in it are what begins as one, and what is named `.srcpack` whatever it holds. Below the URL of a
    bucket or of a folder in one, whose objects are not looked into for that, they are what is named so. A
    file or an object that is named, in `names` or in a list, is yielded whatever it is; so is `-`.

    Names in `names` may be patterns (`*`, `?`, `[...]`, `**` for folders at any depth), which stand for the
    files and folders that match; a name that exists is no pattern, nor are those in `listed`, one a line, or
    with `zero` ended by a NUL. `with_zips` yields SourceBundle zips too.

    Raises TypeError if `names` is a single text or path, ModuleNotFoundError if a URL needs the extra
    `remote`.
    """
    if isinstance(names, str | bytes | os.PathLike):
        raise TypeError("names takes many: put a single one into a list")
    return _each_once(_found(names, listed, zero=zero, kinds=_Kinds(with_zips)))


def _each_once(packs: Iterable[FoundPack]) -> Iterator[FoundPack]:
    seen: set[bytes] = set()
    last = real = ""
    for pack in packs:
        if pack.error is None:
            # A URL as it is: its query, which is left out of messages, may be what names the object.
            place = pack.place
            if place != "-" and not is_url(place):
                folder, name = os.path.split(place)
                if folder != last or not real:
                    last, real = folder, os.path.realpath(folder)  # asks for each part of the path
                is_plain = name not in {"", ".", ".."} and not os.path.islink(place)
                place = os.path.join(real, name) if is_plain else os.path.realpath(place)
            digest = sha256(place.encode(errors="surrogatepass")).digest()[:_DIGEST]
            if digest in seen:
                continue
            seen.add(digest)
        yield pack


class _Kinds:
    """What is looked for in folders."""

    def __init__(self, with_zips: bool) -> None:
        self._with_zips = with_zips
        self.what = "no pack and no SourceBundle in it" if with_zips else "no pack in it"

    def has_name(self, name: str) -> bool:
        """Return whether a file has the name of one."""
        if self._with_zips and name.lower().endswith(".zip"):
            return not name.rpartition("/")[2].startswith("._")  # as macOS names what it puts beside a file
        return name.endswith(".srcpack")

    def is_one(self, path: str) -> bool:
        """Return whether a file is one by its name, or by its first bytes."""
        if self.has_name(path):
            return True
        first = first_bytes(path, PACK_HEAD)
        return is_pack(first) or (self._with_zips and is_source_bundle(first[:MAGIC_SIZE]))


def _found(
    names: Iterable[str], listed: io.BufferedReader | None, *, zero: bool, kinds: _Kinds
) -> Iterator[FoundPack]:
    for name in names:
        yield from _checked(name, kinds, is_listed=False)
    if listed is None:
        return
    try:
        for name in names_in(listed, b"\0" if zero else b"\n"):
            yield from _checked(name, kinds, is_listed=True)
    except (OSError, ValueError) as error:
        yield _unreadable(str(getattr(listed, "name", "the list")), error)


def _checked(name: str, kinds: _Kinds, *, is_listed: bool) -> Iterator[FoundPack]:
    """Yield what a name stands for; where that is nothing, say so."""
    empty = True
    try:
        check_name(name)
        for found in _of_name(path_or_url(name), kinds, is_listed=is_listed):
            empty = False
            yield found
    except (OSError, ValueError) as error:
        yield _unreadable(name, error)
    else:
        if empty:
            yield _unreadable(name, FileNotFoundError(errno.ENOENT, kinds.what))


def _of_name(place: str, kinds: _Kinds, *, is_listed: bool) -> Iterator[FoundPack]:
    if is_url(place):
        if _is_object(place, kinds):
            yield FoundPack(place)
        else:
            for each in list_objects(place):
                if kinds.has_name(each.url):
                    yield FoundPack(each.url, stored=each)
    elif os.path.isdir(place):
        yield from _in_folder(place, None, kinds)
    elif not is_listed and is_pattern(place) and not os.path.lexists(place):
        pattern = Pattern(place)
        yield from _in_folder(pattern.root, pattern, kinds)
    else:
        yield FoundPack(place)


def _is_object(url: str, kinds: _Kinds) -> bool:
    if is_web(url):
        return True
    return not is_folder_url(url) and (kinds.has_name(url) or head(url) is not None)


def _in_folder(root: str, pattern: Pattern | None, kinds: _Kinds) -> Iterator[FoundPack]:
    enters: Callable[[str], bool] = (lambda _: True) if pattern is None else pattern.leads_to
    for path in files_below(root, enters=enters, passed_over=lambda: None):
        if isinstance(path, Unlisted):
            yield _unreadable(joined(root, path.folder) if path.folder else root, path.error)
            continue
        if pattern is not None and not pattern.matches(path):
            continue
        file = joined(root, path)
        try:
            if (pattern is not None and pattern.names(path)) or kinds.is_one(file):
                yield FoundPack(file)
        except OSError as error:
            yield _unreadable(file, error)


def _unreadable(name: str, error: OSError | ValueError) -> FoundPack:
    if isinstance(error, OSError) and error.filename is None:
        error.filename = without_secrets(name)
    return FoundPack(name, error)
