"""What a batch is to convert: found while it goes on, so that a million inputs are never a list."""

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from urllib.parse import unquote

from srcpack.bundle.magic import MAGIC_SIZE, is_source_bundle
from srcpack.source.locations import is_url, is_web, path_or_url, without_secrets
from srcpack_convert.inputs.folders import Unlisted, files_below, joined
from srcpack_convert.inputs.names import absolute, is_folder_url, names_in, working_folder
from srcpack_convert.inputs.patterns import Pattern, is_any_match, is_pattern
from srcpack_convert.storage import list_objects

__all__ = ["Input", "Inputs", "begins_as_input"]

_APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""How the files begin that macOS puts beside others, as `._app.zip`, where it cannot store attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file or an object that may be a SourceBundle.

    Attributes:
        source: Its absolute path, or its URL, which may have secrets in it.
        relative: Where its pack goes, relative to the destination, still with the zip's name; with `/`.
        size: Its bytes, None if not known yet.
        stamp: When it was changed last, as text, or its ETag: another stamp, perhaps another content.
        is_candidate: Whether its first bytes, which were not read, tell if it is an input at all.
        problem: Why it cannot be converted, as far as that is known by now.
    """

    source: str = field(repr=False)
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
    reported and not passed over. The others are counted. A file that is named here is an input in any case,
    but for what macOS puts beside one (`._app.zip`).

    A URL that ends with a slash, or names a bucket alone, is a folder too; first bytes of objects that are
    not named `.zip` are read when their turn comes. A `file://` URL is the path that it names. Relative paths
    count from the working folder in which this was made.

    Args:
        sources: Files, folders, URLs, and patterns (`*`, `?`, `[...]`, `**` for folders at any depth), which
            stand for the files and folders that match; a name that exists is no pattern.
        listed: A file to read further names from, one a line; those name files only.
        zero: Names in `listed` end with a NUL, not with a line feed (and a CR before it).
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

    Raises:
        TypeError: A single text or path is given where many are taken.
        ValueError: `base` looks like a URL but is not one.
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
        for name, given in (("sources", sources), ("include", include), ("exclude", exclude)):
            if isinstance(given, str | bytes | os.PathLike):
                raise TypeError(f"{name} takes many: put a single one into a list")
        self._sources = sources
        self._listed = listed
        self._zero = zero
        self._include = include
        self._exclude = exclude
        self._here = working_folder()
        if base is not None:
            base = without_secrets(absolute(path_or_url(os.fsdecode(base)), self._here)).rstrip("/")
        self._base = base
        self.ignored: int = 0

    def __iter__(self) -> Iterator[Input]:
        self.ignored = 0
        for source in self._sources:
            yield from self._checked(os.fsdecode(source), self._of_sources)
        if self._listed is not None:
            yield from self._names(self._listed)

    def _names(self, listed: io.BufferedReader) -> Iterator[Input]:
        try:
            for name in names_in(listed, b"\0" if self._zero else b"\n"):
                yield from self._checked(name, self._of_list)
        except (OSError, ValueError) as error:
            # What came before is done; nothing that follows can be told from a name.
            source = str(getattr(listed, "name", "the list of inputs"))
            yield Input(source=source, relative=source, problem=_reason(error))

    def _checked(self, given: str, find: Callable[[str, str], Iterator[Input]]) -> Iterator[Input]:
        """Yield what a name stands for; of what can be none, why."""
        try:
            name = path_or_url(given)
            place = absolute(name, self._here)
        except ValueError as error:
            shown = without_secrets(given)
            yield Input(source=shown, relative=shown, problem=_reason(error).removeprefix(f"{shown}: "))
        else:
            yield from find(name, place)

    def _of_list(self, name: str, place: str) -> Iterator[Input]:
        if is_url(place):
            yield self._object(place, _key(place))
        else:
            below = os.path.normpath(name)
            yield from self._file(place, place if below.startswith(("/", "../")) else below)

    def _of_sources(self, name: str, place: str) -> Iterator[Input]:
        if is_url(place):
            if is_folder_url(place):
                yield from self._bucket(place)
            else:
                yield self._object(place, _key(place).rpartition("/")[2])
        elif os.path.isdir(place):
            yield from self._folder(place, None)
        elif is_pattern(name) and not os.path.lexists(place):
            pattern = Pattern(name)
            empty = True
            for each in self._folder(absolute(pattern.root, self._here), pattern):
                empty = False
                yield each
            if empty:
                yield Input(source=place, relative=name, problem="no file matches the pattern")
        else:
            yield from self._file(place, os.path.basename(os.path.normpath(name)))

    def _file(self, source: str, relative: str) -> Iterator[Input]:
        """Yield a file that was named: it is to be converted, or to be reported."""
        problem = None
        found: os.stat_result | None = None
        try:
            found = os.stat(source)
            if stat.S_ISDIR(found.st_mode):
                problem = "it is a folder"
            elif not stat.S_ISREG(found.st_mode):
                problem = "it is no regular file"
            elif _may_be_apple_double(source) and _head(source)[1] == _APPLE_DOUBLE:
                self.ignored += 1
                return
        except (OSError, ValueError) as error:
            problem = _reason(error)
        if problem is None and found is not None:
            yield self._input(source, relative, found)
        else:
            yield Input(source=source, relative=relative, problem=problem)

    def _input(self, source: str, relative: str, found: os.stat_result) -> Input:
        return self._placed(
            Input(source=source, relative=relative, size=found.st_size, stamp=str(found.st_mtime_ns))
        )

    def _placed(self, found: Input) -> Input:
        """Put an input by its path relative to the base, if there is one."""
        if self._base is None:
            return found
        whole = without_secrets(found.source)
        if not whole.startswith(f"{self._base}/"):
            return replace(found, problem=f"it is not below {self._base}")
        relative = whole[len(self._base) + 1 :]
        return replace(found, relative=unquote(relative) if is_web(whole) else relative)

    def _object(self, url: str, relative: str) -> Input:
        """Return an object that was named; whether it is there is asked when its turn comes."""
        return self._placed(Input(source=url, relative=relative))

    def _bucket(self, url: str) -> Iterator[Input]:
        prefix = len(url.rstrip("/")) + 1
        try:
            for found in list_objects(url):
                relative = found.url[prefix:]
                folders = accumulate(relative.split("/")[:-1], "{}/{}".format)
                if not self._chosen(relative) or any(map(self._excluded, folders)):
                    continue
                is_plain_zip = _is_zip(relative) and not _may_be_apple_double(relative)
                if found.size < MAGIC_SIZE and not is_plain_zip:
                    self.ignored += 1
                    continue
                yield self._placed(
                    Input(
                        source=found.url,
                        relative=relative,
                        size=found.size,
                        stamp=found.etag or str(found.modified),
                        is_candidate=not is_plain_zip,
                    )
                )
        except (OSError, ValueError) as error:
            yield Input(
                source=without_secrets(url), relative="", problem=f"cannot be listed: {_reason(error)}"
            )

    def _folder(self, root: str, pattern: Pattern | None) -> Iterator[Input]:
        def enters(folder: str) -> bool:
            return (pattern is None or pattern.leads_to(folder)) and not self._excluded(folder)

        for path in files_below(root, enters=enters, passed_over=self._pass_over):
            if isinstance(path, Unlisted):
                source = joined(root, path.folder) if path.folder else root
                yield Input(source=source, relative=path.folder, problem=_reason(path.error))
            elif pattern is None or pattern.matches(path):
                named = pattern is not None and pattern.names(path)
                found = self._candidate(joined(root, path), path, named=named)
                if found is not None:
                    yield found

    def _pass_over(self) -> None:
        self.ignored += 1

    def _candidate(self, source: str, relative: str, *, named: bool) -> Input | None:
        """Return a file found in a folder as an input; None if it is to be passed over."""
        if not self._chosen(relative):
            return None
        try:
            found, head = _head(source)
        except OSError as error:
            return Input(source=source, relative=relative, problem=_reason(error))
        if begins_as_input(relative, head) or (named and head != _APPLE_DOUBLE):
            return self._input(source, relative, found)
        self.ignored += 1
        return None

    def _chosen(self, relative: str) -> bool:
        return not self._excluded(relative) and (not self._include or is_any_match(relative, self._include))

    def _excluded(self, relative: str) -> bool:
        return bool(self._exclude) and is_any_match(relative, self._exclude)


def begins_as_input(name: str, head: bytes) -> bool:
    """Return whether a file that was found, by its name and first `MAGIC_SIZE` bytes, is an input."""
    return is_source_bundle(head) or (_is_zip(name) and head != _APPLE_DOUBLE)


def _is_zip(path: str) -> bool:
    return path.lower().endswith(".zip")


def _may_be_apple_double(path: str) -> bool:
    return path.rpartition("/")[2].startswith("._")


def _key(url: str) -> str:
    """Return what follows the bucket or host in a URL; if that is nothing, the host."""
    host, _, key = without_secrets(url).partition("://")[2].partition("/")
    return (unquote(key) if is_web(url) else key) or host


def _head(path: str) -> tuple[os.stat_result, bytes]:
    """Return what is known of a file, and its first bytes; none if it is not regular."""
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        return found, file.read(MAGIC_SIZE) if stat.S_ISREG(found.st_mode) else b""


def _open_at_once(path: str, flags: int) -> int:
    # It was a regular file, but may be a pipe by now.
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
