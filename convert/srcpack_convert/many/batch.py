"""Conversion of many bundles: a window of tasks over workers, in constant memory however many there are."""

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any

from srcpack.source.locations import is_url, is_web, parse_url, path_or_url, without_secrets
from srcpack_convert.inputs.bundles import Input, Inputs
from srcpack_convert.inputs.names import absolute, working_folder
from srcpack_convert.many.capacity import cores, memory_bound, memory_of
from srcpack_convert.many.cluster import Cluster
from srcpack_convert.many.outputs import Outputs
from srcpack_convert.many.progress import TELL_EVERY, ProgressOfBatch, Tally
from srcpack_convert.many.reports import BatchReport, FailureReport, PlanReport
from srcpack_convert.many.run_task import Outcome, failure, is_systemic, run_task
from srcpack_convert.many.state import State, check_state, default_state
from srcpack_convert.many.tasks import Known, Task, asked, is_input
from srcpack_convert.many.up_to_date import fits, is_of, knows, skipped
from srcpack_convert.many.workers import WorkerDied, WorkerProcesses
from srcpack_convert.one.existing import facts_at
from srcpack_convert.one.options import Options

__all__ = ["convert_many"]

_MOST_DEATHS = 3
"""Workers that a bundle may take with it before it is given up."""

_LOOK_AHEAD = 10_000
_LOOK_FOR = 0.05
_MOST_SUSPECTS = 1000


def convert_many(
    sources: Iterable[str | os.PathLike[str]] | Inputs,
    destination: str | os.PathLike[str],
    options: Options | None = None,
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    flat: bool = False,
    force: bool = False,
    checksum: bool = False,
    state: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    max_failures: int | None = None,
    max_memory: int | None = None,
    look_ahead: bool = True,
    progress: ProgressOfBatch | None = None,
) -> Generator[BatchReport, None, None]:
    """Convert many SourceBundles, and yield a report of each as it is done, in no particular order.

    Nothing happens before the first report is asked for. No input stops the others: what is wrong with one is
    in its `FailureReport`. A pack that is there already, of the same bytes (by their SHA-256) and options, is
    left as it is: so a batch that was ended at any instant goes on where it was when it is run again. Closing
    the iterator ends what is under way; finished packs stay. Relative paths count from the folder in which
    this is called; reports have absolute ones.

    Args:
        sources: Files, folders, patterns, URLs; see `Inputs`, which has more choices.
        destination: The folder to write to, made if it is not there, or its URL. Packs are put as their zips
            are in the folders named.
        options: How each is converted.
        executor: Runs the tasks, one bundle each; it is not shut down. A `Cluster`, say, or any other of
            `concurrent.futures`, which may break with its first worker that dies. Without one, a bundle is
            converted in one of `jobs` processes, and a process that does not survive it is replaced; programs
            then need the `if __name__ == "__main__"` that multiprocessing asks for.
        jobs: How many bundles are converted at once; by default one for each core, or what the `Cluster`
            has. Of another executor it should be what that has. Without an executor, a bundle that is the
            only one is converted with as many threads.
        flat: Put all packs into the destination itself.
        force: Convert also what is up to date, and replace files that are no packs.
        checksum: Read each source to find whether its pack is up to date, whatever size and time say.
        state: File that remembers digests of sources by their sizes and times, or ETags; by default
            `.srcpack-state.db` in the destination, or in `~/.cache/srcpack` if that is a URL. A file
            that is none is refused; one that is damaged is set aside, which the logger `srcpack` tells.
        dry_run: Write nothing, and yield a `PlanReport` for each bundle that would be converted.
        max_failures: End after so many inputs that failed, whatever for. By default the batch ends when five
            in a row (or one for each worker, if there are more) failed for a reason that is not their own: a
            full disk, a store that refuses the credentials or does not answer.
        max_memory: Bytes that what is converted at once may take by `memory_of`; a bundle that would take
            more by itself is converted alone. By default three quarters of the machine's memory, or of what
            its container may have; not limited where there is an executor.
        look_ahead: Find more inputs than can be worked on, so that `progress` knows how many there are;
            False where finding one may take long, as in a list that is still being written.
        progress: Told how far the batch is, at most a quarter of a second apart.

    Raises:
        TypeError: `sources` is a single text or path.
        ValueError: An option is out of its range; or `destination` or `state` looks like a URL but is not one
            that can be written to.
        FileExistsError: `state` exists and is no state file.
        OSError: The destination cannot be made.
        BatchStopped: There were too many failures; see `max_failures`.
        BrokenExecutor: The executor given does not work any more; or the processes do not start, for lack of
            that `if __name__ == "__main__"` most often.
    """
    for name, number in (("jobs", jobs), ("max_failures", max_failures), ("max_memory", max_memory)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is at least 1, not {number}")
    folder = working_folder()
    destination = absolute(path_or_url(os.fsdecode(destination)), folder)
    if is_web(destination):
        raise ValueError(f"{without_secrets(destination)}: http:// and https:// URLs are for reading only")
    if is_url(destination):
        parse_url(destination)
        destination = destination.rstrip("/")
    state_path = default_state(destination)
    if state is not None:
        state_path = absolute(path_or_url(os.fsdecode(state)), folder)
    if is_url(state_path):
        raise ValueError(f"{without_secrets(state_path)}: the state file is a local one")
    check_state(state_path, is_default=state is None)
    if executor is None and max_memory is None:
        max_memory = memory_bound()
    batch = _Batch(
        inputs=sources if isinstance(sources, Inputs) else Inputs(sources),
        destination=destination,
        options=options or Options(),
        executor=executor,
        jobs=jobs,
        flat=flat,
        force=force,
        checksum=checksum,
        state_path=state_path,
        dry_run=dry_run,
        max_failures=max_failures,
        max_memory=max_memory,
        look_ahead=look_ahead,
        progress=progress,
    )
    return batch.run()


@dataclass(kw_only=True)
class _Batch:
    """A batch under way."""

    inputs: Inputs
    destination: str
    options: Options
    executor: Executor | None
    jobs: int | None
    flat: bool
    force: bool
    checksum: bool
    state_path: str
    dry_run: bool
    max_failures: int | None
    max_memory: int | None
    look_ahead: bool
    progress: ProgressOfBatch | None

    def __post_init__(self) -> None:
        self._is_url = is_url(self.destination)
        self._threads = 1
        self._found = iter(self.inputs)
        self._ahead: deque[Input] = deque()
        self._suspects: deque[Task] = deque()
        self._running: dict[Future[Any], Task] = {}
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()
        self._tally = Tally(self.inputs, self.progress, self.max_failures)

    def run(self) -> Generator[BatchReport, None, None]:
        """Yield the reports."""
        if not self.dry_run and not self._is_url:
            os.makedirs(self.destination, exist_ok=True)
        with ExitStack() as stack:
            self._outputs = stack.enter_context(
                Outputs(self.destination, flat=self.flat, is_read_only=self.dry_run)
            )
            self._state = stack.enter_context(State(self.state_path, is_read_only=self.dry_run))
            executor = self.executor
            if executor is not None:
                stack.callback(self._let_go)
            else:
                own = WorkerProcesses(self._slots)
                stack.callback(own.stop)
                executor = own
            for report in self._reports(executor):
                self._tally.finish(report)
                self._tally.tell(len(self._running))
                yield report
                self._tally.check_failures(self._slots)
            self._tally.tell(len(self._running), now=True)

    def _reports(self, executor: Executor) -> Iterator[BatchReport]:
        if self.look_ahead:
            while len(self._ahead) < 2 and self._find():
                pass
            if self._tally.is_all and self._tally.found == 1:
                self._threads = self._slots if self.executor is None else 1
        held: Task | None = None
        while True:
            while held is None or self._fits(held):
                if held is not None:
                    self._start(executor, held)
                following = self._next()
                held = following if isinstance(following, Task) else None
                if following is None:
                    break
                if not isinstance(following, Task):
                    yield following
            if not self._running:
                return
            report = self._wait()
            if report is not None:
                yield report

    # ---- finding

    def _find(self) -> bool:
        found = next(self._found, None)
        if found is None:
            self._tally.is_all = True
            return False
        self._ahead.append(found)
        self._tally.find(found)
        return True

    def _find_more(self) -> bool:
        """Find inputs for a moment, so that it is known what is to come; return whether to go on."""
        if not self.look_ahead or self.progress is None:
            return False
        until = time.monotonic() + _LOOK_FOR
        while len(self._ahead) < _LOOK_AHEAD and time.monotonic() < until:
            if not self._find():
                return False
        return len(self._ahead) < _LOOK_AHEAD

    def _next(self) -> Task | BatchReport | None:
        """Return what is to be done next, or what is known of an input without work; None at the end."""
        while self._ahead or (not self._tally.is_all and self._find()):
            if len(self._suspects) >= _MOST_SUSPECTS:
                break
            self._tally.tell(len(self._running))
            following = self._decide(self._ahead.popleft())
            if following is not None:
                return following
        # Each of these is run alone, so others would wait: they come last.
        return self._suspects.popleft() if self._suspects else None

    def _decide(self, found: Input) -> Task | BatchReport | None:
        """Return what is to be done with an input; None if it was named before, or is none."""
        started = time.perf_counter()
        if found.problem is not None:
            return self._failed(found, None, found.problem)
        name = self._outputs.of(found.relative)
        task = Task(
            source=found.source,
            destination=self.destination,
            name=name,
            size=found.size,
            stamp=found.stamp,
            is_candidate=found.is_candidate,
            options=self.options,
            jobs=self._threads,
            trust=not self.checksum,
        )
        try:
            owner = self._outputs.take(name, found.source)
            if owner is not None and owner.is_same:
                self._tally.forget(task.size, is_ignored=False)
                return None
            if owner is not None:
                output = without_secrets(task.output)
                return self._failed(found, output, f"its output {output} is already that of {owner.source}")
            if self.dry_run and not is_input(task):
                self._tally.forget(task.size, is_ignored=True)
                return None
            if self.force:
                return self._planned(task) if self.dry_run else task
            task = replace(task, known=self._state.find(name))
            if self._is_url and not self.dry_run:
                return replace(task, check=True)  # workers wait for stores side by side
            facts = facts_at(task.output)
            if facts is None or not fits(task, facts):
                return self._planned(task) if self.dry_run else task
            if knows(task, facts) or (self.dry_run and is_of(asked(task), facts)):
                return skipped(task, facts, started)
        except (OSError, ValueError) as error:
            self._tally.fail(is_systemic=is_systemic(task, error))
            return failure(task, error, started)
        return self._planned(task) if self.dry_run else replace(task, check=True)

    @staticmethod
    def _planned(task: Task) -> PlanReport:
        source, output = without_secrets(task.source), without_secrets(task.output)
        return PlanReport(source=source, output=output, source_size=task.size)

    @staticmethod
    def _failed(found: Input, output: str | None, reason: str) -> FailureReport:
        source = without_secrets(found.source)
        return FailureReport(source=source, output=output, reason=reason, source_size=found.size)

    # ---- running

    @property
    def _slots(self) -> int:
        """How many tasks are run at once; a cluster's workers come and go."""
        if self.jobs is not None:
            return self.jobs
        return self.executor.slots if isinstance(self.executor, Cluster) else cores()

    def _fits(self, task: Task) -> bool:
        running = self._running.values()
        if not running:
            return True
        # After a death it is not known whose fault it was, and memory may have been short.
        if task.deaths or any(each.deaths for each in running) or len(running) >= 2 * self._slots:
            return False
        if self.max_memory is None:
            return True
        needs = (
            memory_of(each.size or 0, self.options.limits, lookups=self.options.lookups)
            for each in chain(running, [task])
        )
        return sum(nlargest(self._slots, needs)) <= self.max_memory

    def _start(self, executor: Executor, task: Task) -> None:
        future = executor.submit(run_task, task)
        self._running[future] = task
        future.add_done_callback(self._finished.put)

    def _wait(self) -> BatchReport | None:
        """Wait until a task is done, or it is time to tell how far the batch is."""
        self._tally.tell(len(self._running))
        try:
            if self._find_more():
                future = self._finished.get_nowait()
            else:
                future = self._finished.get(timeout=None if self.progress is None else TELL_EVERY)
        except Empty:
            return None
        task = self._running.pop(future)
        try:
            outcome: Outcome = future.result()
        except WorkerDied as error:
            task = replace(task, deaths=task.deaths + 1)
            if task.deaths < _MOST_DEATHS:
                self._suspects.append(task)
                return None
            return failure(task, WorkerDied(f"{task.deaths} workers did not survive it: {error}"))
        report = outcome.report
        self._tally.fail(is_systemic=outcome.is_systemic)
        if report is None:
            self._tally.forget(task.size, is_ignored=True)
        elif not isinstance(report, FailureReport) and outcome.size is not None:
            seen = (without_secrets(task.source), outcome.size, outcome.stamp)
            known = Known(*seen, report.source_sha256, task.limits)
            self._state.add(task.name, known)
        return report

    def _let_go(self) -> None:
        """Leave an executor that is somebody else's with nothing of ours."""
        for future in self._running:
            future.cancel()
        wait(self._running)
