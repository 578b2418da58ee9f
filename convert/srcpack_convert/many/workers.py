"""An executor of processes that each have one call at a time, and of which any may die.

`concurrent.futures.ProcessPoolExecutor` breaks as a whole with its first process that dies, and cannot tell
whose call it was. Here that call alone fails, and the next one has a new process.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from queue import LifoQueue
from tempfile import gettempdir
from typing import Any, ParamSpec, TypeVar

__all__ = ["WorkerDied", "WorkerProcesses"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_PATIENCE = 60.0
"""Seconds that a process has to clean up after itself: nothing interrupts libzstd in a frame."""

_LONGEST_FOLDER = 64
"""The most bytes of a temporary folder's name beside which multiprocessing's own fits into a socket's."""

_OF_TERMINALS = [getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name)]


class WorkerDied(BrokenExecutor):
    """The process that had a call ended before the call did. The executor is not broken by that."""


class WorkerProcesses(Executor):
    """Calls functions in processes of their own; at most `number` at once, started when they are needed.

    Threads of this process wait for them, so that whoever submits need not. The processes ignore SIGINT,
    which a terminal sends to all; `stop` ends them.
    """

    def __init__(self, number: int) -> None:
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="worker")
        self._lock = threading.Lock()
        self._is_stopped = self._has_started = False
        self._alive: set[_Worker] = set()
        # Last in, first out: one that has started is used before another one starts.
        self._idle: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(number):
            self._idle.put(None)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Schedule a call; function, arguments and what is returned are pickled.

        The future raises `WorkerDied` if the call's process did not survive it, and BrokenExecutor if none of
        the processes ever started.
        """
        return self._threads.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when the calls that were submitted are done; see `Executor.shutdown`."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            for worker in self._alive:
                worker.pipe.close()
                worker.process.join()

    def stop(self) -> None:
        """End the processes now: each is told to clean up, and is killed if that takes it a minute."""
        with self._lock:
            self._is_stopped = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        processes = [worker.process for worker in self._alive]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + _PATIENCE
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
        self._threads.shutdown()

    def _call(self, fn: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _T:
        worker = self._idle.get()
        try:
            if worker is None or not worker.process.is_alive():
                with self._lock:
                    if self._is_stopped:
                        raise CancelledError
                    if worker is not None:
                        self._alive.discard(worker)
                        self._has_started = self._has_started or worker.is_ready
                    worker = _Worker()
                    self._alive.add(worker)
            try:
                result: _T = worker.call(fn, args, kwargs)
            except WorkerDied as error:
                self._check_start(worker, error)
                raise
            return result
        finally:
            self._idle.put(worker)

    def _check_start(self, worker: "_Worker", error: WorkerDied) -> None:
        """Raise another error for one that exited, not by a signal, where none has ever started."""
        with self._lock:
            has_started = self._has_started or any(each.is_ready for each in self._alive)
        if not has_started and (worker.process.exitcode or 0) > 0:
            raise BrokenExecutor(
                f"worker processes do not start ({error}): each imports the program's main module, "
                'whose work has to be under if __name__ == "__main__"'
            ) from None


class _Worker:
    """A process, and the pipe to it; whether it is known to have started."""

    def __init__(self) -> None:
        # Not forked from this process, which has threads. A server that forks for us starts one in 0.01 s;
        # its socket needs a short name.
        short = len(os.fsencode(gettempdir())) <= _LONGEST_FOLDER
        if short and "forkserver" in get_all_start_methods():
            context: ForkServerContext | SpawnContext = get_context("forkserver")
            context.set_forkserver_preload(["__main__", "srcpack_convert.many.run_task"])
        else:
            context = get_context("spawn")
        self.pipe, other = context.Pipe()
        # A daemon, so that it does not outlive this process; it has no processes of its own.
        self.process = context.Process(target=_serve, args=(other, dict(os.environ)), daemon=True)
        with _without_hang_ups():
            self.process.start()
        other.close()
        self.is_ready = False

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            self.pipe.send((fn, args, kwargs))
            self.is_ready = self.is_ready or self.pipe.recv()
            error, result = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
        else:
            if error is not None:
                raise error
            return result
        # Without the pipe's error: that one holds a buffer, and where the collector of cycles finds both, it
        # may close what is under the buffer first, which fails (Python 3.13).
        raise WorkerDied(_ending(self.process.exitcode))


def _serve(pipe: "Connection[Any, Any]", environment: dict[str, str]) -> None:
    """Be such a process: say that it has started, and make calls until nobody asks for more."""
    # The server that forked this one has the environment of its own start.
    os.environ.clear()
    os.environ.update(environment)
    for number in (signal.SIGINT, *_OF_TERMINALS):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_sigterm)
    answer: Any = True
    while True:
        try:
            pipe.send(answer)
            fn, args, kwargs = pipe.recv()
        except (EOFError, ConnectionError):
            return  # nobody waits any more
        error = result = None
        try:
            result = fn(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001  whatever it is, it is for whoever waits for the call
            error = raised
        answer = (error, result)


@contextmanager
def _without_hang_ups() -> Iterator[None]:
    """Let what multiprocessing starts beside a process, for all of them, outlive the terminal.

    It knows of SIGINT and SIGTERM only. A hang-up would end it before this process can stop the workers.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows, which has no such signals
        yield
        return
    ours = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, ours)


def _on_sigterm(_number: int, _frame: object) -> None:
    # A second one must not interrupt the cleaning up after the first. (Not SIG_IGN: one may be pending.)
    signal.signal(signal.SIGTERM, lambda *_: None)
    raise SystemExit(128 + signal.SIGTERM)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"its process exited with {code}"
