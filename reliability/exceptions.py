"""Does all stay right wherever an exception arrives from outside: a timeout, an interrupt from the keyboard?

    python -m reliability.exceptions                # a minute for each; `just exceptions`
    python -m reliability.exceptions --seconds 1

A service that ends requests by a timeout raises it in a signal handler, which Python calls between any two
bytecodes. So each thing done here is done again and again, with an exception before its first bytecode, its
second, and so on until it gets through; and then with real signals at random instants, while other threads
do the same things and get exceptions of their own. The state is the same all the while. After each
exception must hold, or the exit code is 1:

- it reached the caller, and was not taken for an error of a file;
- every answer is right, and what is read twice is kept;
- caches are within their limits, and count what they hold;
- no descriptor is open that was not before;
- a process that is forked can do the same things.
"""

import argparse
import ctypes
import gc
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from opcode import opmap
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from . import scenarios
from .scenario import Scenario, Timeout
from .scenarios import SCENARIOS

__all__ = ["at_every_bytecode", "by_signals", "by_threads", "forked", "main"]


# ---- where it is ended

_OF_HANDLERS = {opmap[name] for name in ("PUSH_EXC_INFO", "POP_EXCEPT")}
"""Before these no exception arrives: Python keeps or restores there what is handled, and asks for no signal.

One that is raised by tracing would leave the thread with an exception that it keeps for good.
"""


def at_every_bytecode(scenario: Scenario, *, quick: bool = False) -> int:
    """Raise before each bytecode that a call takes; return how many there are.

    Args:
        scenario: What is called.
        quick: Whether to try only the modules that the scenario is about, and each bytecode there only when
            it first comes.

    Raises:
        AssertionError: Something did not hold after an exception, or an exception was swallowed.
    """
    passed: set[object] = set()
    while True:
        scenario.prepare()
        place = _ended_at_next(scenario.call, passed, scenario.modules if quick else None)
        if place is None:
            return len(passed)
        try:
            scenario.check()
        except Exception as error:
            raise AssertionError(f"after an exception at {place}: {error!r}") from error


def _ended_at_next(
    call: Callable[[], None], passed: set[object], modules: tuple[str, ...] | None
) -> str | None:
    """Call, raising before the first bytecode not passed yet; return where, or None if there was none."""
    place: str | None = None
    steps = count()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal place
        code = frame.f_code
        ours = code.co_filename in (__file__, scenarios.__file__)
        if ours or (modules is not None and not code.co_filename.endswith(modules)):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            step = next(steps) if modules is None else (code, frame.f_lasti)
            if step not in passed:
                passed.add(step)
                if code.co_code[frame.f_lasti] in _OF_HANDLERS:
                    return trace
                place = f"{code.co_filename}:{frame.f_lineno}, bytecode {frame.f_lasti} of {code.co_name}"
                raise Timeout
        return trace

    before = sys.gettrace()
    # What the collector of cycles calls is not ours, and what it raises reaches nobody.
    gc.disable()
    # Python 3.12 tells of bytecodes only if some frame asked for them before the trace function was set.
    sys._getframe().f_trace_opcodes = True  # noqa: SLF001
    sys.settrace(trace)
    try:
        call()
    except Timeout:
        return place
    finally:
        sys.settrace(before)
        gc.enable()
    assert place is None, f"an exception at {place} did not reach the caller"
    return None


def by_signals(scenario: Scenario, seconds: float, seed: int = 1) -> int:
    """End calls by signals at random instants; return how many.

    Raises:
        AssertionError: Something did not hold after one.
    """
    random, ended, armed = Random(seed), 0, False

    def end(*_: object) -> None:
        if armed:
            raise Timeout

    before = signal.signal(signal.SIGALRM, end)
    until = time.monotonic() + seconds
    gc.disable()  # what others do at a collection must not be ended
    try:
        while time.monotonic() < until:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 3e-3), 3e-3)
            try:
                while True:
                    armed = False
                    scenario.prepare()
                    armed = True
                    scenario.call()
            except Timeout:
                armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            ended += 1
            scenario.check()
            gc.collect()
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    return ended


def forked(scenario: Scenario) -> bool:
    """Return whether a forked process does it too, and ends."""
    child = os.fork()
    if not child:
        code = 1
        try:
            scenario.prepare()
            scenario.call()
            scenario.check()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + 20
    while not (waited := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.002)
    if not waited[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return waited == (child, 0)


def by_threads(scenario: Scenario, seconds: float, seed: int = 1) -> int:
    """End what other threads do by exceptions at random instants; return how many.

    Raises:
        AssertionError: An answer was wrong, or something did not hold when they were gone.
    """
    random, done = Random(seed), threading.Event()
    ended: list[int] = []
    failures: list[BaseException] = []

    def work() -> None:
        while not done.is_set():
            try:
                while not done.is_set():
                    scenario.call()
            except Timeout:
                ended.append(1)
            except BaseException as error:  # noqa: BLE001  whatever it is, it should not have come
                failures.append(error)
                done.set()

    hooks = threading.excepthook, sys.unraisablehook
    # One that arrives outside of the call ends the thread; or one that this has just started.
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    threads = [threading.Thread(target=work) for _ in range(3)]
    gc.disable()  # what others do at a collection must not be ended
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and not failures:
        time.sleep(random.uniform(1e-4, 2e-3))
        ident = ctypes.c_ulong(random.choice(threads).ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Timeout))
    done.set()
    for thread in threads:
        thread.join()
    gc.enable()
    threading.excepthook, sys.unraisablehook = hooks
    assert not failures, failures[0]
    for _ in range(100):  # what a thread that is gone has taken is not free at once
        scenario.prepare()
        scenario.call()
    scenario.check()
    return len(ended)


# ---- the command


def main(args: Sequence[str] | None = None) -> int:
    """Run all, print the result as Markdown, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reliability.exceptions", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60, help="of signals, and as many of threads, for each"
    )
    options = parser.parse_args(args)
    print("| What is done | bytecodes, each once | calls ended by a signal | by an exception in a thread |")
    print("|---|--:|--:|--:|")
    ways: tuple[Callable[[Scenario], int], ...] = (
        at_every_bytecode,
        partial(by_signals, seconds=options.seconds),
        partial(by_threads, seconds=options.seconds),
    )
    failures = []
    for kind in SCENARIOS:
        cells = []
        for way in ways:
            done = _tried(kind, way)
            cells.append(f"{done:,}" if isinstance(done, int) else "**failed**")
            if not isinstance(done, int):
                failures.append(f"{kind.__name__}: {done}")
        print(f"| {str(kind.__doc__).splitlines()[0]} | {' | '.join(cells)} |", flush=True)
    print("\n".join(["", "FAILED", *failures] if failures else ["", "All held."]))
    return 1 if failures else 0


def _tried(kind: type[Scenario], way: Callable[[Scenario], int]) -> int | AssertionError:
    with tempfile.TemporaryDirectory(prefix="exceptions-") as folder:
        scenario = kind(Path(folder))
        try:
            done = way(scenario)
            assert forked(scenario), "a forked process does not do it, or does not end"
        except AssertionError as error:
            return error
        return done


if __name__ == "__main__":
    sys.exit(main())
