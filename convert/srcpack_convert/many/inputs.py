"""What a batch is to convert: found while it goes on, so that a million inputs are never a list."""

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import accumulate, takewhile
from urllib.parse import unquote

from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.source.object_stores import is_url, path_or_url, without_secrets
from srcpack_convert.storage import is_web, list_objects

__all__ = ["Input", "Inputs", "identity_of", "is_folder_url", "is_pattern"]

_MAGIC = re.compile(r"[*?[]")
_LONGEST_NAME = 64 << 10
"""Bytes of a name in a list of inputs; the limit of systems is far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file or an object that may be a SourceBundle.

    Attributes:
        source: Its path or URL.
        relative: Where its pack goes, relative to the destination, still with the zip's name; with `/`.
        size: Its bytes, None if not known yet.
        stamp: When it was changed last, as text, or its ETag: another stamp, perhaps another content.
        is_candidate: Whether its first bytes, which were not read, tell if it is an input at all.
        problem: Why it cannot be converted, as far as that is known by now.
    """

    source: str
    relative: str
    size: int | None = None
    stamp: str = ""
    is_candidate: bool = False
    problem: str | None = None


class Inputs:
    """The inputs of a batch, found anew each time that this is iterated over, in the order of their names.

    A folder is searched with all below it. Symbolic links to files are followed, those to folders are not,
    save where they are named here. Of the files in a folder those are inputs that begin as SourceBundles do,
    whatever their names are, and those that are named `.zip` whatever they hold: one that was cut is to be
    reported and not passed over. The others are counted. A file that is named here is an input in any case.

    A URL that ends with a slash, or names a bucket alone, is a folder too; first bytes of objects that are
    not named `.zip` are read when their turn comes. A `file://` URL is the path that it names.

    Args:
        sources: Files, folders, URLs, and patterns (`*`, `?`, `[...]`, `**` for folders at any depth), which
            stand for the files and folders that match; a name that exists is no pattern.
        listed: A file to read further names from, one a line; those name files only.
        zero: Names in `listed` end with a NUL, not with a line feed.
        include: Patterns of paths; only what matches one of them is taken from folders.
        exclude: Patterns of paths; what matches one of them is not, and such folders are not searched.
            A pattern with a slash is for the path relative to the folder named, one without for the last
            part of it too; `*` stands for slashes too.
        base: A folder or its URL; packs are put by their inputs' paths relative to it. Without it they are
            put by the path relative to the folder that was named, or to the part of a pattern before its
            first `*`; a file that was named, by its last part; a file that was listed, by the path as it is
            listed, without a slash that it begins with, or by what follows the bucket or host.

    Attributes:
        ignored: Files passed over so far: no SourceBundles, special files, links to folders or to nothing.
    """

    def __init__(
        self,
        sources: Iterable[str | os.PathLike[str]],
        *,
        listed: io.BufferedReader | None = None,
        zero: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        base: str | os.PathLike[str] | None = None,
    ) -> None:
        self._sources = sources
        self._listed = listed
        self._zero = zero
        self._include = include
        self._exclude = exclude
        self._base = None if base is None else identity_of(os.fspath(base))
        self.ignored = 0

    def __iter__(self) -> Iterator[Input]:
        self.ignored = 0
        for source in self._sources:
            yield from self._named(path_or_url(os.fspath(source)))
        if self._listed is not None:
            for name in map(path_or_url, _names(self._listed, b"\0" if self._zero else b"\n")):
                if is_url(name):
                    yield self._object(name, _key(name))
                else:
                    relative = name if _stays_below(name) else os.path.abspath(name)
                    yield self._file(name, relative.lstrip("/"))

    def _named(self, source: str) -> Iterator[Input]:
        if is_url(source):
            if is_folder_url(source):
                yield from self._bucket(source)
            else:
                yield self._object(source, _key(source).rpartition("/")[2])
        elif os.path.isdir(source):
            yield from self._folder(source, None)
        elif is_pattern(source) and not os.path.lexists(source):
            pattern = _Pattern(source)
            empty = True
            for each in self._folder(pattern.root, pattern):
                empty = False
                yield each
            if empty:
                yield Input(source=source, relative=source, problem="no file matches the pattern")
        else:
            yield self._file(source, os.path.basename(source))

    def _file(self, source: str, relative: str) -> Input:
        """Return a file that was named: it is to be converted, or to be reported."""
        try:
            found = os.stat(source)
        except (OSError, ValueError) as error:
            return Input(source=source, relative=relative, problem=_reason(error))
        if stat.S_ISDIR(found.st_mode):
            problem = "it is a folder"
        elif not stat.S_ISREG(found.st_mode):
            problem = "it is no regular file"
        else:
            return self._input(source, relative, found)
        return Input(source=source, relative=relative, problem=problem)

    def _input(self, source: str, relative: str, found: os.stat_result) -> Input:
        return self._placed(
            Input(source=source, relative=relative, size=found.st_size, stamp=str(found.st_mtime_ns))
        )

    def _placed(self, found: Input) -> Input:
        """Put an input by its path relative to the base, if there is one."""
        if self._base is None:
            return found
        whole, base = identity_of(found.source), self._base.rstrip("/") + "/"
        if not whole.startswith(base):
            return replace(found, problem=f"it is not below {self._base}")
        return replace(found, relative=whole.removeprefix(base))

    def _object(self, url: str, relative: str) -> Input:
        """Return an object that was named; whether it is there is asked when its turn comes."""
        return self._placed(Input(source=url, relative=relative))

    def _bucket(self, url: str) -> Iterator[Input]:
        """Yield the inputs below a folder of a bucket."""
        prefix = len(url.rstrip("/")) + 1
        try:
            for found in list_objects(url):
                relative = found.url[prefix:]
                folders = accumulate(relative.split("/")[:-1], "{}/{}".format)
                if not self._chosen(relative) or any(map(self._excluded, folders)):
                    continue
                if found.size < MAGIC_SIZE and not _is_zip(relative):
                    self.ignored += 1
                    continue
                yield self._placed(
                    Input(
                        source=found.url,
                        relative=relative,
                        size=found.size,
                        stamp=found.etag or str(found.modified),
                        is_candidate=not _is_zip(relative),
                    )
                )
        except (OSError, ValueError) as error:
            yield Input(
                source=without_secrets(url), relative="", problem=f"cannot be listed: {_reason(error)}"
            )

    def _folder(self, root: str, pattern: "_Pattern | None") -> Iterator[Input]:
        """Yield the inputs below a folder, one folder's names at a time in memory for each depth."""
        levels = [self._listing(root, "")]
        while levels:
            path = next(levels[-1], None)
            if path is None:
                levels.pop()
            elif isinstance(path, Input):
                yield path
            elif path.endswith("/"):
                folder = path[:-1]
                if (pattern is None or pattern.leads_to(folder)) and not self._excluded(folder):
                    levels.append(self._listing(root, folder))
            elif pattern is None or pattern.matches(path):
                named = pattern is not None and pattern.names(path)
                found = self._candidate(_joined(root, path), path, named=named)
                if found is not None:
                    yield found

    def _listing(self, root: str, folder: str) -> Iterator["str | Input"]:
        """Yield the paths in a folder, relative to the root, sorted; those of folders end with a slash."""
        path = _joined(root, folder) if folder else root
        names: list[str] = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    is_folder = _is_folder(entry)
                    if is_folder is None:
                        self.ignored += 1
                    else:
                        names.append(entry.name + "/" * is_folder)
        except OSError as error:
            yield Input(source=path, relative=folder, problem=_reason(error))
            return
        names.sort()
        names.reverse()
        while names:  # what was yielded is let go of
            yield f"{folder}/{names.pop()}" if folder else names.pop()

    def _candidate(self, source: str, relative: str, *, named: bool) -> Input | None:
        """Return a file found in a folder as an input; None if it is to be passed over."""
        if not self._chosen(relative):
            return None
        try:
            with open(source, "rb", buffering=0, opener=_open_at_once) as file:
                found = os.fstat(file.fileno())
                head = file.read(MAGIC_SIZE) if stat.S_ISREG(found.st_mode) else b""
        except OSError as error:
            return Input(source=source, relative=relative, problem=_reason(error))
        if named or is_source_bundle(head) or _is_zip(relative):
            return self._input(source, relative, found)
        self.ignored += 1
        return None

    def _chosen(self, relative: str) -> bool:
        return not self._excluded(relative) and (not self._include or _matches(relative, self._include))

    def _excluded(self, relative: str) -> bool:
        return bool(self._exclude) and _matches(relative, self._exclude)


def is_pattern(text: str) -> bool:
    """Return whether a text that is no file's name is a pattern of names."""
    return _MAGIC.search(text) is not None and not is_url(text)


def is_folder_url(url: str) -> bool:
    """Return whether a URL names a folder: it ends with a slash, or is just a bucket."""
    return url.endswith("/") or url.count("/") == 2


class _Pattern:
    """A pattern of paths, as shells have them, and `**` for folders at any depth.

    `*`, `?` and `[...]` stand for no slash, and none of them for the dot that a hidden name begins with.
    """

    def __init__(self, text: str) -> None:
        parts = text.split("/")
        literal = list(takewhile(lambda part: not _MAGIC.search(part), parts))
        self.root = "/".join(literal) or ("/" if text.startswith("/") else ".")
        self._parts = [part for part in parts[len(literal) :] if part]
        while self._parts and self._parts[-1] == "**":  # all below a folder is the folder
            self._parts.pop()

    def names(self, path: str) -> bool:
        """Return whether it stands for just this path, relative to its root."""
        return len(self._parts) in self._states(path.split("/"))

    def matches(self, path: str) -> bool:
        """Return whether it stands for this path, or for a folder that it is in."""
        names = path.split("/")
        return any(len(self._parts) in self._states(names[:depth]) for depth in range(len(names) + 1))

    def leads_to(self, folder: str) -> bool:
        """Return whether it can stand for something in a folder."""
        return bool(self._states(folder.split("/"))) or self.matches(folder)

    def _states(self, names: Sequence[str]) -> set[int]:
        """Return how many parts of the pattern these names may have used up."""
        states = self._with_gaps({0})
        for name in names:
            states = self._with_gaps(
                {state + (self._parts[state] != "**") for state in states if self._takes(state, name)}
            )
        return states

    def _takes(self, state: int, name: str) -> bool:
        if state == len(self._parts):
            return False
        part = self._parts[state]
        if name.startswith(".") and not part.startswith("."):
            return False
        return part == "**" or fnmatchcase(name, part)

    def _with_gaps(self, states: set[int]) -> set[int]:
        """Let each `**` also stand for nothing."""
        for state in sorted(states):
            after = state
            while after < len(self._parts) and self._parts[after] == "**":
                after += 1
                states.add(after)
        return states


def _matches(relative: str, patterns: Sequence[str]) -> bool:
    name = relative.rpartition("/")[2]
    return any(
        fnmatchcase(relative, pattern) or ("/" not in pattern and fnmatchcase(name, pattern))
        for pattern in patterns
    )


def _is_zip(path: str) -> bool:
    return path.lower().endswith(".zip")


def identity_of(source: str) -> str:
    """Return the name of a source that is the same wherever it is named from."""
    source = path_or_url(source)
    return without_secrets(source) if is_url(source) else os.path.abspath(source)


def _key(url: str) -> str:
    """Return what follows the bucket or host in a URL."""
    key = without_secrets(url).split("/", 3)[-1]
    return unquote(key) if is_web(url) else key


def _joined(folder: str, path: str) -> str:
    return path if folder == "." else os.path.join(folder, path)


def _stays_below(path: str) -> bool:
    return not os.path.isabs(path) and ".." not in path.split("/")


def _names(listed: io.BufferedReader, end: bytes) -> Iterator[str]:
    """Yield the names in a list, as soon as they are there to be read."""
    rest = b""
    # Not line by line: what is no list may be one line of any length.
    while block := listed.read1(_LONGEST_NAME):
        *names, rest = (rest + block).split(end)
        yield from map(os.fsdecode, filter(None, names))
        if len(rest) > _LONGEST_NAME:
            raise ValueError(f"the list of inputs has a name of more than {_LONGEST_NAME:,} bytes")
    if rest:
        yield os.fsdecode(rest)


def _is_folder(entry: os.DirEntry[str]) -> bool | None:
    """Return whether this is a folder, or a file or a link to one; None if it is neither."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return True
        return False if entry.is_file() else None
    except OSError:  # links that lead to themselves
        return None


def _open_at_once(path: str, flags: int) -> int:
    # It was a regular file, but may be a pipe by now.
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
