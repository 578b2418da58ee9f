"""Extraction of a pack into a folder, whatever its names are.

Names come from strangers. Each is mapped to a path that no system takes for anything but a file below the
folder, and every step of that path is taken by a descriptor of the folder before it, without following
links: what lies in the folder already cannot lead a write elsewhere either.
"""

import errno
import os
import re
import secrets
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO, Self, TypeAlias

from srcpack import DamagedMember, Entry, FormatError, NotFound, Pack

__all__ = ["ExtractReport", "Problem", "extract", "safe_path", "safe_paths"]

RelativePath: TypeAlias = tuple[str, ...]
"""The components of a path below a folder."""

_MAX_COMPONENT = 255
_MAX_PATH = 2048
_MAX_DEPTH = 100
_KEPT = 200
"""Bytes kept of a component that is too long."""

# Control characters, what steers the direction or the lines of a text, and what Windows does not allow.
_UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\\\\:*?"<>|]').sub
# Devices in every folder of Windows, whatever follows a dot.
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\..*)?", re.IGNORECASE
).fullmatch

_IN_THE_WAY = {errno.EEXIST, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTEMPTY}
"""Errors that are of one file; any other, as a full disk, ends the extraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A member that was not extracted, and why."""

    member: str
    reason: str


@dataclass(slots=True, kw_only=True)
class ExtractReport:
    """What was extracted into a folder.

    `renamed` has the path below the folder by name of those members that could not keep theirs.
    """

    pack: str
    directory: str
    files: int = 0
    total_size: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the report as values that JSON knows."""
        return asdict(self)


def extract(
    pack: Pack, directory: str | os.PathLike[str], names: Sequence[str] = (), *, force: bool = False
) -> ExtractReport:
    """Write the contents of a pack as files below a folder, which is made if it does not exist.

    Where a member goes depends on the pack and the file system alone, not on `names` (of members, or prefixes
    that end with `/`; all members if empty) or on what is there. `force` replaces files that exist.

    Raises TypeError if `names` is a single text, NotFound if there is no such member or prefix; then nothing
    was written. Raises OSError if the folder or a file cannot be written; or this is Windows, where no file
    can be named by way of an open folder, which keeps what others change meanwhile from leading out of it.
    """
    if isinstance(names, str | bytes):
        raise TypeError("names takes many: put a single one into a list")
    if os.open not in os.supports_dir_fd:
        reason = "this system cannot write below a folder safely; cat writes single files"
        raise OSError(errno.ENOTSUP, reason, os.fspath(directory))
    entries = list(_selected(pack, names)) if names else pack.entries()
    os.makedirs(directory, exist_ok=True)
    report = ExtractReport(pack=pack.file, directory=os.fspath(directory))
    with _Folders(directory) as folders:
        paths = safe_paths(pack, fold_case=folders.fold_case())
        for entry in entries:
            path = paths[entry.name]
            try:
                folders.write(entry, path, force=force)
            except (DamagedMember, FormatError) as error:
                reason = error.reason if isinstance(error, DamagedMember) else str(error)
                report.problems.append(Problem(member=entry.name, reason=reason))
                continue
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    error.filename = os.path.join(directory, *path)
                    raise
                reason = f"{'/'.join(path)}: {error.strerror}"
                report.problems.append(Problem(member=entry.name, reason=reason))
                continue
            report.files += 1
            report.total_size += entry.size
            if (place := "/".join(path)) != entry.name:
                report.renamed[entry.name] = place
    return report


def safe_path(name: str) -> RelativePath:
    r"""Return where a member goes below a folder, by its name alone.

    A name that is safe on every system keeps its components. In others what offends is percent-encoded: `\`,
    `:`, control characters and the like; `.` and `..`; a dot or space at the end of a component; the
    first character of a device of Windows; a component that is empty becomes `%2F`. What is too long is
    cut, and gets a hash of the whole.
    """
    path = tuple(map(_safe_component, name.split("/")))
    if len(path) > _MAX_DEPTH or sum(len(component.encode()) + 1 for component in path) > _MAX_PATH:
        return (_shortened(path[-1], name),)
    return path


def safe_paths(names: Iterable[str], *, fold_case: bool = False) -> dict[str, RelativePath]:
    """Return where each member of a pack goes, so that no two are in each other's way.

    Where two would, the one whose name is safe keeps its place, else the first by name; a file makes way for
    a folder. The other gets `~2`, `~3` and so on at its end. With `fold_case` the file system takes names
    that differ in case, or in how an accent is encoded, for one.
    """
    wanted = {name: safe_path(name) for name in sorted(names)}

    def key_of(path: RelativePath) -> RelativePath:
        return tuple(map(_folded, path)) if fold_case else path

    # In this order the paths below a folder come right after the folder's own.
    keys = sorted({key_of(path) for path in wanted.values()})

    def begins_one(key: RelativePath, at: int) -> bool:
        return at < len(keys) and keys[at][: len(key)] == key

    taken: set[RelativePath] = set()
    numbers: dict[RelativePath, int] = {}
    paths = {}
    for name, path in sorted(wanted.items(), key=lambda item: "/".join(item[1]) != item[0]):
        place, key = path, key_of(path)
        if key in taken or begins_one(key, bisect_right(keys, key)):
            wanted_key = key
            while key in taken or begins_one(key, bisect_left(keys, key)):
                number = numbers[wanted_key] = numbers.get(wanted_key, 1) + 1
                place = (*path[:-1], _numbered(path[-1], number))
                key = key_of(place)
        taken.add(key)
        paths[name] = place
    return paths


def _safe_component(component: str) -> str:
    if not component:
        return "%2F"
    if component in (".", ".."):
        return component.replace(".", "%2E")
    safe = _UNSAFE(lambda match: _quoted(match[0]), component)
    if safe[-1] in ". ":
        safe = safe[:-1] + _quoted(safe[-1])
    if _DEVICE(safe):
        safe = _quoted(safe[0]) + safe[1:]
    return safe if len(safe.encode()) <= _MAX_COMPONENT else _shortened(safe, component)


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode(errors="surrogatepass"))


def _shortened(component: str, whole: str) -> str:
    head = component.encode()[:_KEPT].decode(errors="ignore")
    return f"{head}~{sha256(whole.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _numbered(component: str, number: int) -> str:
    suffix = f"~{number}"
    if len(component.encode()) + len(suffix) > _MAX_COMPONENT:
        component = _shortened(component, component)
    return component + suffix


def _folded(component: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", component).casefold())


def _selected(pack: Pack, names: Sequence[str]) -> Iterator[Entry]:
    """Yield the entries that names and prefixes mean, each once."""
    seen = set()
    for name in names:
        found = list(pack.find_prefix(name)) if name.endswith("/") else [pack[name]]
        if not found:
            raise NotFound(pack.file, name)
        for entry in found:
            if entry.name not in seen:
                seen.add(entry.name)
                yield entry


class _Folders:
    """Writes files below a folder; keeps the folder that the last file went to open, as most have company."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._top = os.open(directory, _FOLDER & ~_flags("O_NOFOLLOW"))
        self._last = self._top
        self._last_path: RelativePath = ()
        self._nameless = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        os.close(self._top)

    def fold_case(self) -> bool:
        """Return whether the file system takes names that differ in case for one."""
        name = _temporary_name()
        try:
            self._nameless = _is_named_afterwards(name, self._top)
            if not self._nameless:
                os.close(os.open(name, _CREATE, 0o600, dir_fd=self._top))
            return _exists(name.upper(), self._top)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._top)

    def write(self, entry: Entry, path: RelativePath, *, force: bool) -> None:
        """Write a content as a file that gets its name when it is whole, so that it is whole or not there."""
        parts = entry.parts()
        # The first part before the file and its folders: what is damaged makes neither.
        first = next(parts, b"")
        folder = self._enter(path[:-1])
        if not force and _exists(path[-1], folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        with _NewFile(folder, nameless=self._nameless) as new:
            new.out.write(first)
            new.out.writelines(parts)
            new.move(path[-1], force=force)

    def _enter(self, path: RelativePath) -> int:
        """Return a descriptor of a folder, making it and those above it where they do not exist."""
        if path == self._last_path:
            return self._last
        self._leave()
        for depth, component in enumerate(path, 1):
            with suppress(FileExistsError):
                os.mkdir(component, dir_fd=self._last)
            inner = os.open(component, _FOLDER, dir_fd=self._last)
            if self._last != self._top:
                os.close(self._last)
            self._last, self._last_path = inner, path[:depth]
        return self._last

    def _leave(self) -> None:
        if self._last != self._top:
            os.close(self._last)
        self._last, self._last_path = self._top, ()


class _NewFile:
    """A file that is being written, in an open folder. A context manager.

    Args:
        folder: The folder.
        nameless: Give it no name before it is whole, so that nothing is left if this process is killed.

    Attributes:
        out: The file.
    """

    def __init__(self, folder: int, *, nameless: bool) -> None:
        self._folder = folder
        self._name = None if nameless else _temporary_name()
        name, flags = (".", _NAMELESS) if self._name is None else (self._name, _CREATE)
        self.out: BinaryIO = os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.out.close()
        finally:
            if self._name is not None:
                with suppress(FileNotFoundError):
                    os.unlink(self._name, dir_fd=self._folder)

    def move(self, name: str, *, force: bool) -> None:
        """Give it its name; a file that has it is replaced by force only."""
        self.out.flush()
        if self._name is None and not force:
            self._link(name)
            return
        if self._name is None:
            self._name = _temporary_name()
            self._link(self._name)
        if force:
            os.replace(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        else:
            _move_to_free_name(self._name, name, self._folder)

    def _link(self, name: str) -> None:
        os.link(f"{_DESCRIPTORS}/{self.out.fileno()}", name, dst_dir_fd=self._folder, follow_symlinks=True)


def _is_named_afterwards(name: str, folder: int) -> bool:
    """Make an empty file that gets its name when it is there, and return whether the system could do that."""
    if not _HAS_NAMELESS:
        return False
    try:
        with _NewFile(folder, nameless=True) as new:
            new.move(name, force=False)
    except OSError:
        return False
    return True


def _temporary_name() -> str:
    return f".srcpack-{secrets.token_hex(8)}.tmp"


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _move_to_free_name(name: str, to: str, folder: int) -> None:
    """Rename a file, if nobody has given the new name to another meanwhile."""
    try:
        os.link(name, to, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.replace(name, to, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _flags(*names: str) -> int:
    found = 0
    for name in names:
        found |= getattr(os, name, 0)
    return found


_CREATE = _flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC")
_NAMELESS = _flags("O_WRONLY", "O_TMPFILE", "O_CLOEXEC")
_DESCRIPTORS = "/proc/self/fd"
_HAS_NAMELESS = hasattr(os, "O_TMPFILE") and os.path.isdir(_DESCRIPTORS)
_FOLDER = _flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
# What file systems that have no hard links say.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
