"""A pack as a read-only file system of fsspec, by protocol `srcpack` (docs/remote.md).

fsspec.filesystem("srcpack", fo="app.srcpack").cat("files/_/_/static/cart.js")
fsspec.open("srcpack://files/_/_/static/cart.js::s3://bucket/app.srcpack")

A member's path is its name, folders are implied. A name that is no plain path, or that is in the way of a
folder, is listed by another: a component that is empty, `.` or `..` is percent-encoded, as are the slashes
where there are over 100, and a path that is taken gets `~2`, `~3` and so on. So what is listed is a tree, in
which nothing is missing and nothing leads out of it. Every member can be opened by its very name too.
"""

import os
from io import BufferedReader
from typing import Any

from fsspec import AbstractFileSystem

from srcpack import opening
from srcpack.entry import Entry
from srcpack.pack import Pack

__all__ = ["SrcpackFileSystem"]

_LOCAL = {"file", "local"}
_REMOTE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "http", "https"}

_MOST_FOLDERS = 100

_Info = dict[str, Any]


class SrcpackFileSystem(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """The files of a pack, or of a SourceBundle zip that is on this machine.

    Opening and reading a file cost what they cost by the pack's own interface; the first listing decodes the
    whole manifest. Beside `name`, `size` and `type` an info has `member` (the member's name), `sha256`
    (in hexadecimal), `url` and `file_type`. A member that could not be read when the bundle was converted has
    size 0 and `damage`; opening it raises DamagedMember. What would write raises NotImplementedError.

    Attributes:
        pack: The pack.
    """

    pack: Pack

    protocol = "srcpack"
    root_marker = ""
    cachable = False  # a file that is replaced is another file system

    def __init__(
        self,
        fo: str | os.PathLike[str] | bytes | Pack,
        *,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        """Open a pack as a file system.

        Args:
            fo: What `srcpack.open` takes; or an open pack, which whoever opened it closes.
            target_protocol: Where `fo` is, in a chained URL: on this machine, or in one of the stores that
                `srcpack.open` knows, which is asked directly, without fsspec's own file system for it.
            target_options: None are known; credentials come from the environment.
            storage_options: Of fsspec itself.

        Raises:
            ValueError: `target_protocol` is not one of these, or there are options.
            OSError, FormatError, LimitExceeded: As `srcpack.open`.
        """
        super().__init__(**storage_options)
        if isinstance(fo, Pack):
            self.pack = fo
        else:
            self.pack = opening.open(_located(fo, target_protocol, target_options or {}))
        self._root: _Folder | None = None

    # ---- what there is

    def info(self, path: str, **_: Any) -> _Info:
        """Return what is known of a file or folder.

        Raises:
            FileNotFoundError: There is neither.
        """
        path = self._path(path)
        entry = self._entry(path)
        if entry is not None:
            return _info_of(entry, path)
        path = path.lstrip("/")
        if self._folder(path) is None:
            raise FileNotFoundError(path)
        return _folder_info(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return what a folder holds, or the one file, sorted by name.

        Raises:
            FileNotFoundError: There is neither.
        """
        path = self._path(path)
        folder = self._folder(path.lstrip("/"))
        infos = [self.info(path)] if folder is None else folder.listed(path.lstrip("/"))
        return infos if detail else [info["name"] for info in infos]

    def isdir(self, path: str) -> bool:
        """Return whether there is a folder, even if a member has the same name."""
        return self._folder(self._path(path).lstrip("/")) is not None

    def isfile(self, path: str) -> bool:
        """Return whether there is such a member."""
        return self._entry(self._path(path)) is not None

    def ukey(self, path: str) -> str:
        """Return what changes when the content does: its SHA-256."""
        return str(self.info(path).get("sha256"))

    # ---- contents

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return the content from byte `start` to before `end`, both counted from the end if negative.

        Only the frames that cover these bytes are read.

        Raises:
            FileNotFoundError: There is no such file.
            DamagedMember, FormatError, LimitExceeded: As `Entry.read`.
        """
        entry = self._file(path)
        if start is None and end is None:
            return entry.read()
        first, last, _step = slice(start, end).indices(entry.size)
        return entry.read_range(first, max(0, last - first))

    def _open(  # pyright: ignore[reportIncompatibleMethodOverride]  the rest is about buffers and writing
        self, path: str, mode: str = "rb", **_: Any
    ) -> BufferedReader:
        if mode != "rb":
            raise NotImplementedError("a pack is never changed: files in it are open for reading only")
        return BufferedReader(self._file(path).open())

    def _path(self, path: str) -> str:
        return str(self._strip_protocol(path))

    def _file(self, path: str) -> Entry:
        path = self._path(path)
        entry = self._entry(path)
        if entry is None:
            raise (IsADirectoryError if self.isdir(path) else FileNotFoundError)(path)
        return entry

    def _entry(self, path: str) -> Entry | None:
        """Return the member of a path, be it its name or what it is listed as."""
        entry = self.pack.get(path)
        if entry is None and path.startswith("/"):
            entry = self.pack.get(path.lstrip("/"))
        if entry is None and ("%" in path or "~" in path):
            above, _, name = path.lstrip("/").rpartition("/")
            if (folder := self._folder(above)) is not None:
                entry = folder.files.get(name)
        return entry

    def _folder(self, path: str) -> "_Folder | None":
        # Threads that are here at once make the same tree.
        folder = self._root
        if folder is None:
            self._root = folder = _tree_of(self.pack)
        return folder.below(path)


def _located(
    fo: str | os.PathLike[str] | bytes, protocol: str | None, options: dict[str, Any]
) -> str | os.PathLike[str] | bytes:
    if options:
        raise ValueError(f"target_options {sorted(options)}: none are known; set what the environment has")
    if protocol is None or protocol in _LOCAL:
        return fo
    if protocol not in _REMOTE or not isinstance(fo, str):
        raise ValueError(f"a pack is not read through {protocol!r}; from {sorted(_LOCAL | _REMOTE)} it is")
    # fsspec's file systems drop their protocol, save those of the web.
    scheme = {"gcs": "gs"}.get(protocol, protocol)
    return fo if "://" in fo else f"{scheme}://{fo}"


def _info_of(entry: Entry, path: str) -> _Info:
    info = {
        "name": path,
        "size": entry.size,
        "type": "file",
        "member": entry.name,
        "sha256": None if entry.sha256 is None else entry.sha256.hex(),
        "url": entry.url,
        "file_type": entry.type.value,
    }
    return info if entry.damage is None else {**info, "damage": entry.damage}


def _folder_info(path: str) -> _Info:
    return {"name": path, "size": 0, "type": "directory"}


class _Folder:
    """A folder, and what is in it by the last component of its path.

    No path is kept whole: those of all folders of a long name would take its length many times.
    """

    __slots__ = ("_free", "files", "folders")

    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.files: dict[str, Entry] = {}
        self._free: dict[str, int] = {}

    def below(self, path: str) -> "_Folder | None":
        """Return the folder of a path in this one; None if there is none."""
        folder: _Folder | None = self
        for component in path.split("/") if path else ():
            if folder is None:
                break
            folder = folder.folders.get(component)
        return folder

    def made(self, components: list[str]) -> "_Folder":
        """Return the folder of a path in this one, made where there was none."""
        folder = self
        for component in components:
            inner = folder.folders.get(component)
            if inner is None:
                inner = folder.folders[component] = _Folder()
            folder = inner
        return folder

    def add(self, component: str, entry: Entry) -> None:
        """List a file by a component, or by the next like it that is free."""
        free, number = component, self._free.get(component, 1)
        while free in self.files or free in self.folders:
            number += 1
            free = f"{component}~{number}"
            self._free[component] = number
        self.files[free] = entry

    def listed(self, path: str) -> list[_Info]:
        """Return what is in this folder, whose path it is, sorted by name."""
        start = f"{path}/" if path else ""
        infos = [_folder_info(start + component) for component in self.folders]
        infos += [_info_of(entry, start + component) for component, entry in self.files.items()]
        infos.sort(key=lambda info: str(info["name"]))
        return infos


def _tree_of(pack: Pack) -> _Folder:
    root = _Folder()
    plain: list[tuple[_Folder, str, Entry]] = []
    mapped: list[tuple[_Folder, str, Entry]] = []
    for entry in pack.entries():
        path = _path_of(entry.name)
        *above, component = path.split("/")
        (plain if path == entry.name else mapped).append((root.made(above), component, entry))
    # With all folders there. Files that are in nobody's way get their own names first.
    for folder, component, entry in (*plain, *mapped):
        folder.add(component, entry)
    return root


def _path_of(name: str) -> str:
    if name.count("/") > _MOST_FOLDERS:  # each would be known by its whole path: a long name by very many
        return name.replace("/", "%2F")
    return "/".join(map(_plain, name.split("/")))


def _plain(component: str) -> str:
    if component in (".", ".."):
        return component.replace(".", "%2E")
    return component or "%2F"
