"""Folders searched with all below them, in the order of their names."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Unlisted", "files_below", "joined"]


class Unlisted(NamedTuple):
    """A folder that could not be listed, by its path relative to the one that is searched, and why."""

    folder: str
    error: OSError


def files_below(
    root: str, *, enters: Callable[[str], bool], passed_over: Callable[[], None]
) -> Iterator[str | Unlisted]:
    """Yield the files below a folder by their paths relative to it.

    Links to files are followed, those to folders are not. `enters` returns whether to search a folder, by its
    relative path; `passed_over` is called for what is neither. The names of one folder for each depth are in
    memory at a time.
    """
    levels = [_listing(root, "", passed_over)]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif isinstance(path, str) and path.endswith("/"):
            if enters(path[:-1]):
                levels.append(_listing(root, path[:-1], passed_over))
        else:
            yield path


def joined(folder: str, path: str) -> str:
    """Return a path below a folder, as people name it."""
    return path if folder == "." else os.path.join(folder, path)


def _listing(root: str, folder: str, passed_over: Callable[[], None]) -> Iterator[str | Unlisted]:
    """Yield the paths in a folder, relative to the root, sorted; those of folders end with a slash."""
    names: list[str] = []
    try:
        with os.scandir(joined(root, folder) if folder else root) as entries:
            for entry in entries:
                is_folder = _is_folder(entry)
                if is_folder is None:
                    passed_over()
                else:
                    names.append(entry.name + "/" * is_folder)
    except OSError as error:
        yield Unlisted(folder, error)
        return
    names.sort()
    names.reverse()
    while names:  # what was yielded is let go of
        yield f"{folder}/{names.pop()}" if folder else names.pop()


def _is_folder(entry: os.DirEntry[str]) -> bool | None:
    """Return whether this is a folder, or a file or a link to one; None if it is neither."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return True
        return False if entry.is_file() else None
    except OSError:  # links that lead to themselves
        return None
