"""Conversion by a process that some bundles kill, for tests of what survives it.

    for report in convert_many(sources, destination, executor=Deadly(WorkerProcesses(2)), jobs=2): ...

A bundle whose name has `poison` in it kills each process that takes it on; one with `unlucky`, the first.
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from srcpack_convert.many.tasks import Task

__all__ = ["Deadly", "deaths_of"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Deadly(Executor):
    """An executor around another one, whose calls of `run_task` some bundles don't survive."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Schedule a call."""
        call = cast("Callable[_P, _T]", _Dying(cast("Callable[[Task], object]", fn)))
        return self._executor.submit(call, *args, **kwargs)


class _Dying:
    def __init__(self, fn: Callable[[Task], object]) -> None:
        self._fn = fn

    def __call__(self, task: Task) -> object:
        name = Path(task.source).name
        if "poison" in name or ("unlucky" in name and not deaths_of(task.source)):
            with _record(task.source).open("a", encoding="ascii") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return self._fn(task)


def deaths_of(source: str | os.PathLike[str]) -> int:
    """Return how many processes a bundle has killed."""
    record = _record(source)
    return record.stat().st_size if record.exists() else 0


def _record(source: str | os.PathLike[str]) -> Path:
    return Path(f"{os.fspath(source)}.deaths")
