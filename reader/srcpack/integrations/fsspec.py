"""A pack as a read-only file system of fsspec, by protocol `srcpack` (docs/remote.md).

fsspec.filesystem("srcpack", fo="app.srcpack").cat("files/_/_/static/cart.js")
fsspec.open("srcpack://files/_/_/static/cart.js::s3://bucket/app.srcpack")

A member's path is its name, folders are implied. A name that is no plain path, or that is in the way of a
folder, is listed by another: a component that is empty, `.` or `..` is percent-encoded, as are the slashes
where there are over 100, and a path that is taken gets `~2`, `~3` and so on. So what is listed is a tree, in
which nothing is missing and nothing leads out of it. Every member can be opened by its very name too.
"""

import os
from collections.abc import Iterator
from io import BufferedReader
from itertools import accumulate
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
            ValueError: `target_protocol` is none of these, or there are options.
            OSError, FormatError, LimitExceeded: As `srcpack.open`.
        """
        super().__init__(**storage_options)
        if isinstance(fo, Pack):
            self.pack = fo
        else:
            self.pack = opening.open(_located(fo, target_protocol, target_options or {}))
        self._folders: dict[str, list[_Info]] | None = None
        self._members: dict[str, str] = {}

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
        if path not in self._tree():
            raise FileNotFoundError(path)
        return _folder(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return what a folder holds, or the one file, sorted by name.

        Raises:
            FileNotFoundError: There is neither.
        """
        path = self._path(path)
        listed = self._tree().get(path.lstrip("/"))
        infos = [self.info(path)] if listed is None else [dict(info) for info in listed]
        return infos if detail else [info["name"] for info in infos]

    def isdir(self, path: str) -> bool:
        """Return whether there is a folder, even if a member has the same name."""
        return self._path(path).lstrip("/") in self._tree()

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
        entry = self.pack.get(path) or self.pack.get(path.lstrip("/"))
        if entry is None and ("%" in path or "~" in path):
            self._tree()
            entry = self.pack.get(self._members.get(path.lstrip("/"), ""))
        return entry

    # ---- the tree

    def _tree(self) -> dict[str, list[_Info]]:
        """Return what each folder holds, by its path. Threads that are here at once make the same of it."""
        folders = self._folders
        if folders is None:
            entries = {entry.name: entry for entry in self.pack.entries()}
            paths, members = _paths_of(entries)
            folders = {"": []}
            for name, path in paths.items():
                for folder in _folders_of(path):
                    if folder not in folders:
                        folders[folder] = []
                        folders[_parent_of(folder)].append(_folder(folder))
                folders[_parent_of(path)].append(_info_of(entries[name], path))
            for infos in folders.values():
                infos.sort(key=lambda info: str(info["name"]))
            self._members = members
            self._folders = folders
        return folders


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


def _folder(path: str) -> _Info:
    return {"name": path, "size": 0, "type": "directory"}


def _paths_of(names: dict[str, Entry]) -> tuple[dict[str, str], dict[str, str]]:
    """Return each member's path in the tree, and the member's name by those paths that are not its name."""
    wanted = {name: _path_of(name) for name in names}
    folders = {folder for path in wanted.values() for folder in _folders_of(path)}
    paths: dict[str, str] = {}
    taken: set[str] = set()
    members: dict[str, str] = {}
    for name, path in sorted(wanted.items(), key=lambda item: item[0] != item[1]):
        free, number = path, 1
        while free in taken or free in folders:
            number += 1
            free = f"{path}~{number}"
        taken.add(free)
        paths[name] = free
        if free != name:
            members[free] = name
    return paths, members


def _path_of(name: str) -> str:
    if name.count("/") > _MOST_FOLDERS:  # each would be known by its whole path: a long name by very many
        return name.replace("/", "%2F")
    return "/".join(map(_plain, name.split("/")))


def _plain(component: str) -> str:
    if component in (".", ".."):
        return component.replace(".", "%2E")
    return component or "%2F"


def _folders_of(path: str) -> Iterator[str]:
    """Return the folders that a path lies in, the outermost first."""
    return accumulate(path.split("/")[:-1], "{}/{}".format)


def _parent_of(path: str) -> str:
    return path.rpartition("/")[0]
