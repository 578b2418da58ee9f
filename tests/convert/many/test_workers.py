"""Processes that have calls, and may die: what others see of them, and what one does, done in this one."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from srcpack_convert.many import workers
from srcpack_convert.many.workers import WorkerDied, WorkerProcesses, _ending, _serve, _Worker
from support.commands import environment, run_python

Ends: TypeAlias = "tuple[Connection[Any, Any], Connection[Any, Any]]"

SIGNALS = ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTERM")


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Return both ends of a pipe; environment and signals, which a worker sets, are put back."""
    before = dict(os.environ)
    handlers = [(number, signal.getsignal(number)) for name in SIGNALS if (number := getattr(signal, name))]
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, theirs
    os.environ.clear()
    os.environ.update(before)
    for number, handler in handlers:
        signal.signal(number, handler)


def test_calls_are_made_one_after_the_other_until_nobody_asks(ends: Ends) -> None:
    ours, theirs = ends

    calls: list[Any] = [
        (abs, (-3,), {}),
        (int, ("x",), {}),
        (os.getenv, ("ONLY",), {}),
        (int, ("f",), {"base": 16}),
    ]

    def ask() -> list[Any]:
        assert ours.recv()  # that it has started
        answers = []
        for call in calls:
            ours.send(call)
            answers.append(ours.recv())
        ours.close()
        return answers

    with ThreadPoolExecutor(1) as executor:
        asked = executor.submit(ask)
        _serve(theirs, {"ONLY": "this"})
    assert dict(os.environ) == {"ONLY": "this"}
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    first, wrong, variable, last = asked.result()
    assert (first, variable, last) == ((None, 3), (None, "this"), (None, 15))
    assert type(wrong[0]) is ValueError
    assert wrong[1] is None


@pytest.mark.parametrize("calls", [[], [(abs, (-3,), {})]])
def test_a_worker_whose_answer_nobody_waits_for_ends(ends: Ends, calls: list[Any]) -> None:
    """Also where nobody waited for it to start."""
    ours, theirs = ends
    for call in calls:
        ours.send(call)
    ours.close()
    _serve(theirs, {})


def test_a_worker_that_died_before_its_call_leaves_no_buffer_of_it_behind() -> None:
    worker = _Worker()
    with worker.pipe:
        worker.process.kill()
        worker.process.join()
        with pytest.raises(WorkerDied, match="SIGKILL") as raised:
            worker.call(abs, (-3,), {})
    # A collector of cycles in Python 3.13 complains about what a failed send leaves.
    assert raised.value.__context__ is None
    del raised
    gc.collect()


_HANG_UP = """
import os, signal
from multiprocessing import forkserver, resource_tracker
from srcpack_convert.many.workers import _Worker

if __name__ == "__main__":
    first = _Worker()
    for process in (forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid):
        os.kill(process, signal.SIGHUP)
        os.kill(process, signal.SIGQUIT)
    _Worker()
    print(first.call(abs, (-3,), {}))
"""

_CALL = """
from srcpack_convert.many.workers import WorkerProcesses

if __name__ == "__main__":
    executor = WorkerProcesses(1)
    print(executor.submit(abs, -3).result())
    executor.stop()
"""


def test_what_starts_workers_outlives_a_hang_up(tmp_path: Path) -> None:
    """A signal of the terminal goes to all processes of a group, those of multiprocessing too.

    In a process of its own: in this one a test of something else may have started them.
    """
    script = tmp_path / "hang_up.py"
    script.write_text(_HANG_UP, encoding="ascii")
    assert run_python(script) == (0, "3\n", "")


def test_a_worker_that_is_told_to_end_cleans_up_and_is_not_told_twice(ends: Ends) -> None:
    ours, theirs = ends
    ours.send((signal.raise_signal, (signal.SIGTERM,), {}))
    with pytest.raises(SystemExit) as ended:
        _serve(theirs, {})
    assert ended.value.code == 128 + signal.SIGTERM
    signal.raise_signal(signal.SIGTERM)


def test_one_that_exits_before_it_has_started_is_no_call_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """But one that exits in its call is, and so is one that does not start where others have."""
    executor = WorkerProcesses(1)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(workers, "_serve", os._exit)  # which takes no two arguments
            with pytest.raises(BrokenExecutor, match=r"not start \(.* exited with 1\): .*__main__"):
                executor.submit(abs, -3).result()
        with pytest.raises(WorkerDied, match="exited with 7"):
            executor.submit(os._exit, 7).result()
        monkeypatch.setattr(workers, "_serve", os._exit)
        with pytest.raises(WorkerDied, match="exited with 1"):
            executor.submit(abs, -3).result()
    finally:
        executor.stop()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (7, "exited with 7"),
        (None, "exited with None"),
        (-9, "was ended by SIGKILL (out of memory?)"),
        (-15, "was ended by SIGTERM"),
        (-50, "was ended by signal 50"),
    ],
)
def test_how_a_process_ended_is_told(code: int | None, text: str) -> None:
    assert _ending(code) == f"its process {text}"


def test_where_no_server_forks_processes_are_spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "get_all_start_methods", lambda: ["spawn"])
    executor = WorkerProcesses(1)
    try:
        assert executor.submit(os.getpid).result() != os.getpid()
    finally:
        executor.stop()


def test_where_a_socket_would_have_too_long_a_name_processes_are_spawned(tmp_path: Path) -> None:
    """In a process of its own, which has no such server yet."""
    script = tmp_path / "call.py"
    script.write_text(_CALL, encoding="ascii")
    (tmp_path / ("x" * 100)).mkdir()
    assert run_python(script, env=environment(TMPDIR=str(tmp_path / ("x" * 100)))) == (0, "3\n", "")


def test_a_call_that_comes_to_its_turn_when_all_is_stopped_starts_no_process() -> None:
    executor = WorkerProcesses(1)
    executor.stop()
    with pytest.raises(CancelledError):
        executor._call(abs, (-1,), {})
    assert not executor._alive


def test_who_does_not_wait_leaves_the_processes_to_end_by_themselves() -> None:
    executor = WorkerProcesses(1)
    call = executor.submit(os.getpid)
    executor.shutdown(wait=False)
    assert call.result() != os.getpid()
    (worker,) = executor._alive
    executor.shutdown()
    assert worker.process.exitcode == 0


# ---- as others see them


@pytest.fixture
def executor() -> Iterator[WorkerProcesses]:
    started = WorkerProcesses(2)
    yield started
    started.stop()


def test_processes_are_used_again_and_errors_come_back(executor: WorkerProcesses) -> None:
    pids = {executor.submit(os.getpid).result() for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert type(executor.submit(int, "x").exception()) is ValueError
    assert executor.submit(os.getpid).result() in pids


def test_a_process_that_dies_takes_only_its_own_call_with_it(executor: WorkerProcesses) -> None:
    """And says how; the next call has another process."""
    bystander = executor.submit(time.sleep, 0.5)
    killed = executor.submit(signal.raise_signal, signal.SIGKILL)
    left = executor.submit(os._exit, 7)
    assert bystander.result() is None
    assert str(killed.exception()) == "its process was ended by SIGKILL (out of memory?)"
    assert isinstance(killed.exception(), WorkerDied)
    assert str(left.exception()) == "its process exited with 7"
    assert executor.submit(abs, -1).result() == 1


def test_processes_end_when_the_executor_is_left() -> None:
    with WorkerProcesses(1) as executor:
        pid = executor.submit(os.getpid).result()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_processes_end_when_they_are_stopped_in_a_call() -> None:
    executor = WorkerProcesses(1)
    pid = executor.submit(os.getpid).result()
    sleeping, waiting = executor.submit(time.sleep, 600), executor.submit(time.sleep, 600)
    while not sleeping.running():
        time.sleep(0.01)
    executor.stop()
    assert waiting.cancelled()
    assert sleeping.exception() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
