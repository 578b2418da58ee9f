"""Many bundles: what survives whom, when a batch ends, and how much is done at once."""

import errno
import os
import random
import re
import threading
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert import (
    BatchProgress,
    ConversionReport,
    FailureReport,
    Limits,
    Options,
    convert_many,
)
from srcpack_convert.many import batch as batch_module
from srcpack_convert.many import run_task as run_task_module
from srcpack_convert.many.capacity import memory_bound, memory_of
from srcpack_convert.many.outputs import pack_name
from srcpack_convert.many.run_task import VersionMismatch, run_task
from srcpack_convert.many.tasks import Task
from srcpack_convert.many.workers import WorkerProcesses
from support.batches import batch, bundle_of, damaged_bundle, failure_of, packs, statuses, write
from support.bundle_builder import build_bundle
from support.commands import run_python
from support.dying_worker import Deadly, deaths_of
from support.many import make_many
from support.places import BUNDLES

NAMES = [f"{number:02}.zip" for number in range(20)]
SIGNED = "https://host/x.zip?signature=hunter2"


def test_nothing_wrong_with_one_stops_the_others(bundles: Path, out: Path) -> None:
    hostile = {
        "cut.zip": bundle_of()[:-5],
        "empty.zip": b"",
        "no.zip": b"PK",
        "no-manifest.zip": build_bundle({"x": b""}, None),
        "not-json.zip": build_bundle({}, "{"),
        "bomb.zip": build_bundle({"x": bytes(2 << 20)}, {}),
        "noise.zip": b"SYSB" + random.Random(2).randbytes(2000),
    }
    write(bundles, {**hostile, "damaged.zip": damaged_bundle()})
    reports = batch([bundles], out, options=Options(limits=Limits(max_total_size=1 << 20)))
    assert statuses(reports) == {
        **dict.fromkeys(["a.zip", "c.zip", "d.zip", "damaged.zip"], "converted"),
        **dict.fromkeys(hostile, "failed"),
    }
    assert all(report.reason for report in reports.values() if isinstance(report, FailureReport))
    assert list(packs(out)) == ["a.srcpack", "b/c.srcpack", "b/d.srcpack", "damaged.srcpack"]
    failed = failure_of(reports["empty.zip"])
    assert failed.reason.startswith("not a SourceBundle at offset 0: found an empty file")
    assert failed.as_json() == {
        "source": f"{bundles}/empty.zip",
        "output": f"{out}/empty.srcpack",
        "reason": failed.reason,
        "source_size": 0,
        "seconds": round(failed.seconds, 3),
    }
    damaged = reports["damaged.zip"]
    assert isinstance(damaged, ConversionReport)
    assert [each.member for each in damaged.damaged] == ["bad"]


def task_for(source: object, out: object, **fields: Any) -> Task:
    known: dict[str, Any] = {"name": "a.srcpack", "size": 1, "stamp": "", "options": Options(), **fields}
    return Task(source=str(source), destination=str(out), **known)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("a bug"), "RuntimeError: a bug"),
        (RecursionError(), "RecursionError: RecursionError"),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "/x/y"), "/x/y: No space left on device"),
        (OSError("odd"), "odd"),
        (ValueError("wrong"), "wrong"),
        (RuntimeError(f"cannot read {SIGNED}"), "RuntimeError: cannot read https://host/x.zip"),
    ],
)
def test_whatever_a_conversion_raises_is_a_report_without_secrets(
    bundles: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_task_module, "convert_bundle", fail)
    report = run_task(task_for(SIGNED, bundles)).report
    assert report is not None
    assert failure_of(report).reason == reason


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"jobs": 0}, "jobs is at least 1, not 0"),
        ({"max_failures": 0}, "max_failures is at least 1, not 0"),
        ({"max_memory": 0}, "max_memory is at least 1, not 0"),
        ({"sources": "in"}, "sources takes many"),
        # As where the variable with the bucket was empty: it would be a local folder of that name.
        *(
            ({"destination": place}, f"^{place}: ")
            for place in ("s3:///", "s3://", "https://", "ftp://host/x", "s3:/bucket", "file://")
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Any, message: str
) -> None:
    """Not with the first report."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message):
        convert_many(**{"sources": [], "destination": "out", **wrong})
    assert os.listdir(tmp_path) == []


# ---- where workers stand


def test_workers_in_another_folder_write_where_the_caller_stands(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths count from where the batch was asked for, for workers and for later."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(1) as executor:
        reports = convert_many(["in", "in/none"], "out", executor=executor, jobs=1, state="state")
        monkeypatch.chdir(tmp_path / "elsewhere")
        found = {report.source: report.output for report in reports}
    assert found.pop(f"{tmp_path}/in/none") is None
    assert sorted(found) == [str(path) for path in sorted(bundles.rglob("*.zip"))]
    assert all(output is not None and os.path.isfile(output) for output in found.values())
    assert os.listdir(tmp_path / "elsewhere") == []
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "in", "out", "state"]


def test_a_worker_that_does_not_see_the_destination_makes_no_other_one(bundles: Path, out: Path) -> None:
    """As one on another machine, without the file system that the caller has; nor one of another version."""
    outcome = run_task(task_for(bundles / "a.zip", out))
    assert outcome.report is not None
    assert failure_of(outcome.report).reason == (
        f"{out}: the folder for packs is not there, as seen by the process that converts"
    )
    assert outcome.is_systemic
    assert not out.exists()
    with pytest.raises(VersionMismatch, match=re.escape("here it is 0.0.1; both have to be the same")):
        run_task(task_for(bundles / "a.zip", out, version="0.0.1"))


def test_a_task_shows_no_secrets() -> None:
    """Dask, say, logs calls that failed with their arguments."""
    task = task_for("https://u:hunter2@h/x?hunter2", "s3://hunter2/x")
    assert "hunter2" not in repr(task)


ERRORS = [
    (OSError(errno.ENOSPC, "No space left on device"), True),
    (OSError(errno.EROFS, "Read-only file system", "/out/x"), True),
    (PermissionError(errno.EACCES, "Permission denied", "/out/x"), True),
    (PermissionError(errno.EACCES, "Permission denied", "/in/x.zip"), False),
    (PermissionError(errno.EACCES, "Permission denied", "/in/other.zip"), True),
    (PermissionError(errno.EACCES, "access denied", "s3://bucket/x"), True),
    (FileNotFoundError(errno.ENOENT, "no such bucket", "s3://bucket/x"), True),
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused", "s3://bucket/x"), True),
    (TimeoutError(errno.ETIMEDOUT, "no answer in time"), True),
    (ValueError("not a bundle"), False),
    (MemoryError(), False),
    (RuntimeError("a bug"), False),
    (FileExistsError(errno.EEXIST, "what is there is no pack", "/out/x"), False),
    (OSError(errno.ENAMETOOLONG, "File name too long", "/out/x"), False),
]


@pytest.mark.parametrize(("error", "is_systemic"), ERRORS)
def test_what_fails_for_all_is_told_from_what_fails_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, is_systemic: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_task_module, "convert_bundle", fail)
    assert run_task(task_for("/in/x.zip", tmp_path)).is_systemic == is_systemic


# ---- how much at once


class Recorder(Executor):
    """Runs tasks in threads, and records which are there at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4)
        self._lock = threading.Lock()
        self._here: list[Task] = []
        self.seen: list[list[str]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        with self._lock:
            self._here.append(args[0])
            self.seen.append([Path(task.source).name for task in self._here])
        return self._threads.submit(self._run, fn, args[0])

    def _run(self, fn: Callable[..., Any], task: Task) -> Any:
        try:
            return fn(task)
        finally:
            with self._lock:
                self._here.remove(task)


def test_no_more_is_begun_than_workers_can_take(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "in", NAMES)
    recorder = Recorder()
    assert len(batch([tmp_path / "in"], out, executor=recorder, jobs=3)) == 20
    assert max(map(len, recorder.seen)) <= 6


def test_memory_bounds_what_is_converted_at_once(tmp_path: Path, out: Path) -> None:
    """By the estimate of the largest that may run at once; what is over the bound runs alone."""
    big = build_bundle({"x": random.Random(1).randbytes(5_000_000)}, {}, stored=True)
    small = [f"{number:02}.zip" for number in range(12)]
    write(tmp_path / "in", {**dict.fromkeys(small, bundle_of()), "05b.zip": big})
    bound = 2 * memory_of(len(bundle_of()))
    assert bound < memory_of(len(big))
    recorder = Recorder()
    reports = batch([tmp_path / "in"], out, executor=recorder, jobs=4, max_memory=bound)
    assert set(statuses(reports).values()) == {"converted"}
    assert len(reports) == 13
    assert max(map(len, recorder.seen)) == 2
    assert [seen for seen in recorder.seen if "05b.zip" in seen] == [["05b.zip"]]


def test_the_estimate_of_memory_grows_with_the_zip_and_has_a_bound() -> None:
    sizes = [0, 1 << 20, 32 << 20, 1 << 30, 16 << 30]
    estimates = [memory_of(size) for size in sizes]
    assert estimates == sorted(estimates)
    assert estimates[-1] == estimates[-2] < 3 << 30
    assert memory_of(1 << 30, Limits(max_file_size=1)) < memory_of(1 << 30)
    bound = memory_bound()
    assert bound is not None
    assert 0 < bound < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_inputs_are_found_as_they_are_needed(out: Path) -> None:
    pulled: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            pulled.append(1)
            yield f"/none/{len(pulled)}"

    with ThreadPoolExecutor(1) as executor:
        reports = convert_many(endless(), out, executor=executor, jobs=1)
        assert not pulled
        for _ in range(10):
            assert next(reports).status == "failed"
        reports.close()
    assert len(pulled) < 15


def test_memory_does_not_grow_with_the_number_of_inputs(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While they fail, and others are looked for."""
    monkeypatch.setattr(batch_module, "_LOOK_AHEAD", 50)

    def peak_of(number: int) -> int:
        told: deque[BatchProgress] = deque(maxlen=1)
        names = (f"/none/{number}/app.zip" for number in range(number))
        with ThreadPoolExecutor(1) as executor:
            reports = convert_many(names, out, executor=executor, jobs=1, progress=told.append)
            tracemalloc.start()
            count = sum(1 for _ in reports)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert count == told[-1].done == number
        return peak

    peak_of(100)
    assert peak_of(4000) < 1.2 * peak_of(1000)


def test_progress_knows_what_is_to_come(bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or, where finding takes long, what was found so far, and all in the end."""
    write(bundles, {"notes": b"no zip"})
    told: list[BatchProgress] = []
    with monkeypatch.context() as patched:
        patched.setattr(batch_module, "_LOOK_FOR", 0)
        batch([bundles], out, progress=told.append)
    size = sum(path.stat().st_size for path in bundles.rglob("*.zip"))
    counts: dict[str, Any] = {"found": 3, "is_all": True, "ignored": 1, "done": 3, "running": 0}
    assert told[-1] == BatchProgress(**counts, found_size=size, done_size=size, converted_size=size)
    batch([bundles], out, progress=told.append)
    assert (told[-1].done_size, told[-1].converted_size, told[-1].is_all) == (size, 0, True)


def test_the_default_executor_is_processes(bundles: Path, out: Path) -> None:
    reports = list(convert_many([bundles], out, jobs=2))
    assert {report.status for report in reports} == {"converted"}
    assert [report.jobs for report in reports if isinstance(report, ConversionReport)] == [1, 1, 1]
    batch([bundles], out.with_name("threads"))
    assert packs(out) == packs(out.with_name("threads"))
    # The only bundle is converted with all cores.
    (report,) = convert_many([bundles / "a.zip"], out.with_name("one"), jobs=2)
    assert isinstance(report, ConversionReport)
    assert report.jobs == 2


@pytest.mark.slow
def test_a_bundle_that_kills_its_worker_is_given_up_and_the_others_are_not(tmp_path: Path, out: Path) -> None:
    """After three deaths; one that kills only its first worker is converted."""
    good = [f"{number:02}.zip" for number in range(8)]
    source = write(tmp_path / "in", [*good, "03 poison.zip", "03 unlucky.zip", "06 poison.zip"])
    workers = WorkerProcesses(2)
    with closing(convert_many([source], out, executor=Deadly(workers), jobs=2)) as found:
        reports = {os.path.basename(report.source): report for report in found}
    workers.stop()
    poison = {name for name in reports if "poison" in name}
    assert statuses(reports) == {
        **dict.fromkeys([*good, "03 unlucky.zip"], "converted"),
        **dict.fromkeys(poison, "failed"),
    }
    assert [deaths_of(source / name) for name in (*sorted(poison), "03 unlucky.zip")] == [3, 3, 1]
    assert failure_of(reports["03 poison.zip"]).reason == (
        "3 workers did not survive it: its process was ended by SIGKILL (out of memory?)"
    )
    assert list(packs(out)) == sorted(pack_name(name) for name in reports if name not in poison)


def test_closing_the_iterator_ends_it(tmp_path: Path, out: Path) -> None:
    """What is finished stays, and is skipped the next time; no temporary file is left."""
    write(tmp_path / "in", NAMES)
    reports = convert_many([tmp_path / "in"], out, jobs=2)
    done = {next(reports).source for _ in range(3)}
    reports.close()
    assert all(name.endswith(".srcpack") for name in packs(out))
    again = {report.source: report.status for report in convert_many([tmp_path / "in"], out, jobs=2)}
    assert {again[source] for source in done} == {"skipped"}
    assert len(packs(out)) == len(NAMES)


def test_a_script_that_processes_cannot_import_is_told_and_no_bundle_is_blamed(
    bundles: Path, out: Path
) -> None:
    script = bundles.with_name("script.py")
    script.write_text(
        "from srcpack_convert import convert_many\n"
        f"for report in convert_many([{str(bundles)!r}], {str(out)!r}):\n    print(report)\n"
    )
    code, printed, told = run_python(script)
    assert (code, printed) == (1, "")
    assert "worker processes do not start" in told.splitlines()[-1]


def test_an_executor_that_breaks_is_an_error(bundles: Path, out: Path) -> None:
    """It is the caller's, and cannot be made again."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        list(convert_many([bundles], out, executor=executor))


def test_variations_of_bundles_are_bundles_and_the_same_each_time(tmp_path: Path, out: Path) -> None:
    sources = [path for path in sorted(BUNDLES.glob("*.zip")) if path.stem != "empty"]
    for name in ("in", "again"):
        size = make_many(tmp_path / name, 2 * len(sources), sources, size=20_000)
    made = packs(tmp_path / "in")
    assert made == packs(tmp_path / "again")
    assert len(set(made.values())) == 2 * len(sources)
    assert sum(map(len, made.values())) == size
    reports = batch([tmp_path / "in"], out)
    assert set(statuses(reports).values()) == {"converted"}
