"""Many bundles: what survives whom, when a batch ends, and how much is done at once."""

import errno
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
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
    BatchStopped,
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
from srcpack_convert.one.convert import convert_bundle
from support.batches import batch, bundle_of, damaged_bundle, failure_of, packs, statuses, write
from support.bundle_builder import build_bundle
from support.dying_worker import Deadly, deaths_of
from support.many import make_many
from support.places import BUNDLES, CORPUS


def test_nothing_wrong_with_one_stops_the_others(bundles: Path, out: Path) -> None:
    write(
        bundles,
        {"cut.zip": bundle_of()[:-5], "damaged.zip": damaged_bundle(), "empty.zip": b"", "no.zip": b"PK"},
    )
    reports = batch([bundles], out)
    assert statuses(reports) == {
        **dict.fromkeys(["a.zip", "c.zip", "d.zip", "damaged.zip"], "converted"),
        **dict.fromkeys(["cut.zip", "empty.zip", "no.zip"], "failed"),
    }
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
    return Task(
        source=str(source),
        destination=str(out),
        name="a.srcpack",
        size=1,
        stamp="",
        options=Options(),
        **fields,
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("a bug"), "RuntimeError: a bug"),
        (RecursionError(), "RecursionError: RecursionError"),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "/x/y"), "/x/y: No space left on device"),
        (OSError("odd"), "odd"),
        (ValueError("wrong"), "wrong"),
    ],
)
def test_whatever_a_conversion_raises_is_a_report(
    bundles: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_task_module, "convert_bundle", fail)
    report = run_task(task_for(bundles / "a.zip", bundles)).report
    assert report is not None
    assert failure_of(report).reason == reason


def test_a_worker_of_another_version_is_an_error(bundles: Path, out: Path) -> None:
    with pytest.raises(VersionMismatch, match=re.escape("here it is 0.0.1; both have to be the same")):
        run_task(task_for(bundles / "a.zip", out, version="0.0.1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs is at least 1, not 0"),
        ({"max_failures": 0}, "max_failures is at least 1, not 0"),
        ({"max_memory": 0}, "max_memory is at least 1, not 0"),
    ],
)
def test_wrong_options_are_told_at_once(out: Path, options: Any, message: str) -> None:
    """Not with the first report."""
    with pytest.raises(ValueError, match=message):
        convert_many([], out, **options)
    assert not out.exists()


@pytest.mark.parametrize(
    "destination", ["s3:///", "s3://", "https://", "ftp://host/x", "s3:/bucket", "file://"]
)
def test_a_destination_that_only_looks_like_a_url_is_refused(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: str
) -> None:
    """As where the variable with the bucket was empty: it would be a local folder of that name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"^{destination}: "):
        convert_many([bundles], destination)
    assert os.listdir(tmp_path) == ["in"]


def test_a_single_text_is_not_taken_for_many(bundles: Path, out: Path) -> None:
    with pytest.raises(TypeError, match="sources takes many"):
        convert_many(str(bundles), out)


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
    """As one on another machine, without the file system that the caller has."""
    outcome = run_task(task_for(bundles / "a.zip", out))
    assert outcome.report is not None
    assert failure_of(outcome.report).reason == (
        f"{out}: the folder for packs is not there, as seen by the process that converts"
    )
    assert outcome.is_systemic
    assert not out.exists()


def test_a_task_shows_no_secrets() -> None:
    """Dask, say, logs calls that failed with their arguments."""
    task = task_for("https://u:hunter2@h/x?hunter2", "s3://hunter2/x")
    assert "hunter2" not in repr(task)


def test_an_error_with_a_secret_in_it_is_told_without(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://host/x.zip?signature=hunter2"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot read {url}")

    monkeypatch.setattr(run_task_module, "convert_bundle", fail)
    report = run_task(task_for(url, bundles)).report
    assert report is not None
    assert failure_of(report).reason == "RuntimeError: cannot read https://host/x.zip"


# ---- when a batch ends


FULL = OSError(errno.ENOSPC, "No space left on device")


def failing_with(monkeypatch: pytest.MonkeyPatch, errors: dict[str, Exception]) -> None:
    """Let conversions fail by the last part of the source."""

    def fail(source: str, *args: Any, **options: Any) -> Any:
        error = errors.get(os.path.basename(source))
        if error is not None:
            raise error
        return convert_bundle(source, *args, **options)

    monkeypatch.setattr(run_task_module, "convert_bundle", fail)


def until_it_stops(source: Path, out: Path, **options: Any) -> tuple[list[str], BatchStopped | None]:
    """Return the statuses that come, one bundle after the other, and why no more do."""
    found: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        try:
            found.extend(
                each.status for each in convert_many([source], out, executor=executor, jobs=1, **options)
            )
        except BatchStopped as stopped:
            return found, stopped
    return found, None


NAMES = [f"{number:02}.zip" for number in range(20)]


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EROFS, "Read-only file system", "/out/x"),
        PermissionError(errno.EACCES, "Permission denied", "/out/x"),
        PermissionError(errno.EACCES, "access denied", "s3://bucket/x"),
        FileNotFoundError(errno.ENOENT, "no such bucket", "s3://bucket/x"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused", "s3://bucket/x"),
        TimeoutError(errno.ETIMEDOUT, "no answer in time"),
    ],
)
def test_what_fails_for_all_ends_a_batch_after_a_few(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """With what is left; the next run goes on, and tries again those that failed."""
    source = write(tmp_path / "in", NAMES)
    with monkeypatch.context() as patched:
        failing_with(patched, dict.fromkeys(NAMES[3:], error))
        found, stopped = until_it_stops(source, out)
    assert found == ["converted"] * 3 + ["failed"] * 5
    assert stopped is not None
    assert (stopped.failures, stopped.in_a_row, stopped.left > 0, stopped.is_all) == (5, 5, True, False)
    assert str(stopped).startswith(
        "ended after 5 bundles failed in a row, for reasons that are not theirs, with "
    )
    assert str(pickle.loads(pickle.dumps(stopped))) == str(stopped)
    assert sorted(until_it_stops(source, out)[0]) == ["converted"] * 17 + ["skipped"] * 3


@pytest.mark.parametrize(
    "error",
    [
        ValueError("not a bundle"),
        MemoryError(),
        RuntimeError("a bug"),
        FileExistsError(errno.EEXIST, "what is there is no pack", "/out/x"),
        OSError(errno.ENAMETOOLONG, "File name too long", "/out/x"),
    ],
)
def test_what_fails_for_itself_ends_nothing(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing_with(monkeypatch, dict.fromkeys(NAMES, error))
    assert until_it_stops(write(tmp_path / "in", NAMES), out) == (["failed"] * 20, None)


def test_a_source_that_may_not_be_read_ends_nothing(tmp_path: Path) -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/in/x.zip")
    assert not run_task_module.is_systemic(task_for("/in/x.zip", tmp_path), refused)
    assert run_task_module.is_systemic(task_for("/in/y.zip", tmp_path), refused)


def test_failures_in_a_row_are_counted_from_the_last_success(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, {name: FULL for at, name in enumerate(NAMES) if at % 5})
    found, stopped = until_it_stops(write(tmp_path / "in", NAMES), out)
    assert found == (["converted"] + ["failed"] * 4) * 4
    assert stopped is None


def test_each_worker_may_fail_once_for_one_reason(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, dict.fromkeys(NAMES, FULL))
    with pytest.raises(BatchStopped) as stopped:
        batch([write(tmp_path / "in", NAMES)], out, jobs=8)
    assert stopped.value.in_a_row == 8


@pytest.mark.parametrize("error", [FULL, ValueError("not a bundle")])
def test_a_batch_ends_with_as_many_failures_as_one_says(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever for; so that more can be borne, too."""
    source = write(tmp_path / "in", NAMES)
    failing_with(monkeypatch, dict.fromkeys(NAMES[:12], error))
    found, stopped = until_it_stops(source, out, max_failures=2)
    assert found == ["failed"] * 2
    assert stopped is not None
    assert (stopped.failures, stopped.in_a_row) == (2, None)
    assert re.fullmatch(r"ended after 2 that failed, with \d or more left to do", str(stopped))
    found, stopped = until_it_stops(source, out, max_failures=13)
    assert (sorted(found), stopped) == (["converted"] * 8 + ["failed"] * 12, None)


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
    write(tmp_path / "in", [f"{number:02}.zip" for number in range(20)])
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
    monkeypatch.setattr(batch_module, "_LOOK_AHEAD", 100)

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
    assert peak_of(8000) < 1.2 * peak_of(2000)


def test_progress_knows_what_is_to_come(bundles: Path, out: Path) -> None:
    write(bundles, {"notes": b"no zip"})
    told: list[BatchProgress] = []
    batch([bundles], out, progress=told.append)
    size = sum(path.stat().st_size for path in bundles.rglob("*.zip"))
    assert told[-1] == BatchProgress(
        found=3,
        found_size=size,
        is_all=True,
        ignored=1,
        done=3,
        done_size=size,
        converted_size=size,
        running=0,
    )
    batch([bundles], out, progress=told.append)
    assert (told[-1].done_size, told[-1].converted_size) == (size, 0)


def test_the_default_executor_is_processes(bundles: Path, out: Path) -> None:
    reports = list(convert_many([bundles], out, jobs=2))
    assert {report.status for report in reports} == {"converted"}
    assert [report.jobs for report in reports if isinstance(report, ConversionReport)] == [1, 1, 1]
    batch([bundles], out.with_name("threads"))
    assert packs(out) == packs(out.with_name("threads"))


def test_the_only_bundle_is_converted_with_all_cores(bundles: Path, out: Path) -> None:
    (report,) = convert_many([bundles / "a.zip"], out, jobs=2)
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
    write(tmp_path / "in", [f"{number:02}.zip" for number in range(30)])
    reports = convert_many([tmp_path / "in"], out, jobs=2)
    done = {next(reports).source for _ in range(3)}
    reports.close()
    assert all(name.endswith(".srcpack") for name in packs(out))
    again = {report.source: report.status for report in convert_many([tmp_path / "in"], out, jobs=2)}
    assert {again[source] for source in done} == {"skipped"}
    assert len(packs(out)) == 30


def test_a_script_that_processes_cannot_import_is_told_and_no_bundle_is_blamed(
    bundles: Path, out: Path
) -> None:
    script = bundles.with_name("script.py")
    script.write_text(
        "from srcpack_convert import convert_many\n"
        f"for report in convert_many([{str(bundles)!r}], {str(out)!r}):\n    print(report)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "worker processes do not start" in done.stderr.splitlines()[-1]


def test_an_executor_that_breaks_is_an_error(bundles: Path, out: Path) -> None:
    """It is the caller's, and cannot be made again."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        list(convert_many([bundles], out, executor=executor))


def test_variations_of_bundles_are_bundles_and_the_same_each_time(tmp_path: Path, out: Path) -> None:
    folder = BUNDLES
    sources = [path for path in sorted(folder.glob("*.zip")) if path.stem != "empty"]
    for name in ("in", "again"):
        size = make_many(tmp_path / name, 2 * len(sources), sources, size=20_000)
    made = packs(tmp_path / "in")
    assert made == packs(tmp_path / "again")
    assert len(set(made.values())) == 2 * len(sources)
    assert sum(map(len, made.values())) == size
    reports = batch([tmp_path / "in"], out)
    assert set(statuses(reports).values()) == {"converted"}


def hostile_bundles() -> dict[str, bytes]:
    return {
        "cut.zip": bundle_of()[:200],
        "empty.zip": b"",
        "no-manifest.zip": build_bundle({"x": b""}, None),
        "not-json.zip": build_bundle({}, "{"),
        "bomb.zip": build_bundle({"x": bytes(9 << 20)}, {}),
        "noise.zip": b"SYSB" + random.Random(2).randbytes(2000),
    }


@pytest.mark.slow
def test_hostile_bundles_among_good_ones(tmp_path: Path, out: Path) -> None:
    """Every good one is converted, and every bad one has a report with its reason."""
    good = [f"{letter}{number}.zip" for number in range(4) for letter in "abcdelnz"]
    hostile = hostile_bundles()
    source = write(tmp_path / "in", {**{name: bundle_of(name) for name in good}, **hostile})
    corpus = [path.name for path in (CORPUS / "hostile").glob("*.zip")]  # where it is there
    for name in corpus:
        shutil.copy(CORPUS / "hostile" / name, source / f"corpus-{name}")
    reports = batch([source], out, options=Options(limits=Limits(max_total_size=8 << 20)))
    found = statuses(reports)
    assert {name: status for name, status in found.items() if "corpus" not in name} == {
        **dict.fromkeys(good, "converted"),
        **dict.fromkeys(hostile, "failed"),
    }
    assert {name for name in found if "corpus" in name} == {f"corpus-{name}" for name in corpus}
    assert all(report.reason for report in reports.values() if isinstance(report, FailureReport))
    made = sorted(pack_name(name) for name, status in found.items() if status == "converted")
    assert list(packs(out)) == made
