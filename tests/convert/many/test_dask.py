"""Many bundles on a Dask cluster: a scheduler and workers that are processes, of which some are killed."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack_convert import BatchReport, Cluster, ClusterError, Options, convert, convert_many
from support.batches import batch, failure_of, json_lines, packs, statuses, write
from support.bundle_builder import build_bundle
from support.commands import Run, environment
from support.dying_worker import Deadly, deaths_of
from support.range_server import RangeServer

pytest.importorskip("distributed", reason="dask.distributed is not installed")
pytestmark = [
    pytest.mark.slow,
    # Of libraries that Dask uses, while its client is set up and closed.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Processes:
    """A scheduler and its workers, as one would start them."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", self.address.split(":")[2])

    def add_worker(self, *args: str) -> None:
        options = ("--nworkers", "1", "--nthreads", "1", "--host", "127.0.0.1", *args)
        self.workers.append(self._start("worker", self.address, *options))

    @staticmethod
    def _start(*args: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + args[0], *args[1:], "--no-dashboard"],
            env=environment(DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE="false"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a nanny's worker too
            process.wait()


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.stop()


@contextmanager
def two_workers(processes: Processes, *options: str) -> Iterator[Cluster]:
    for _ in range(2):
        processes.add_worker(*options)
    client = Cluster(processes.address, timeout=60)
    wait_for(lambda: len(client._client.nthreads()) == 2)
    yield client
    client.shutdown(cancel_futures=True)


@pytest.fixture
def cluster(processes: Processes) -> Iterator[Cluster]:
    """One to be damaged: without nannies, so that a worker that is killed stays away."""
    with two_workers(processes, "--no-nanny") as client:
        yield client


@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[Cluster, str]]:
    """One that stays as it is, as nannies start workers again; and its address."""
    started = Processes()
    with two_workers(started) as client:
        yield client, started.address
    started.stop()


def bundles(folder: Path, names: list[str], size: int = 100_000) -> Path:
    noise = random.Random(1)
    contents = {name: {"x": noise.randbytes(size).hex().encode()} for name in names}
    return write(folder, {name: build_bundle(each, {}, stored=True) for name, each in contents.items()})


def test_a_worker_that_is_killed_costs_nothing_and_a_scheduler_that_goes_away_is_an_error(
    cluster: Cluster, processes: Processes, tmp_path: Path
) -> None:
    """What it had is converted by the other one, to the same bytes as here; and what is finished stays."""
    names = [f"{number:02}.zip" for number in range(8)]
    source = bundles(tmp_path / "in", names)
    reports: list[BatchReport] = []
    for report in convert_many([source], tmp_path / "out", executor=cluster):
        reports.append(report)
        if len(reports) == 3:
            processes.workers[0].kill()
            processes.workers[0].wait()
    found = {os.path.basename(report.source): report.status for report in reports}
    assert found == dict.fromkeys(names, "converted")
    expected = {}
    for name in names:
        convert(source / name, tmp_path / "alone.srcpack", force=True)
        expected[name.replace(".zip", ".srcpack")] = (tmp_path / "alone.srcpack").read_bytes()
    assert packs(tmp_path / "out") == expected

    again = convert_many([source], tmp_path / "out", Options(preset="max"), executor=cluster)
    assert next(again).status == "converted"
    processes.scheduler.kill()
    with pytest.raises(ClusterError, match=f"{processes.address}: the connection to the scheduler is lost"):
        list(again)
    # A worker that goes on by itself may have a temporary file.
    assert {name for name in packs(tmp_path / "out") if name.endswith(".srcpack")} == expected.keys()


def test_a_bundle_that_kills_its_workers_is_given_up_and_the_others_are_not(
    lasting: tuple[Cluster, str], tmp_path: Path
) -> None:
    """After three, whatever the scheduler's `allowed-failures` is."""
    cluster, _ = lasting
    good = [f"{number:02}.zip" for number in range(8)]
    source = bundles(tmp_path / "in", [*good, "03 poison.zip"], size=1000)
    reports = batch([source], tmp_path / "out", executor=Deadly(cluster))
    assert statuses(reports) == {**dict.fromkeys(good, "converted"), "03 poison.zip": "failed"}
    reason = failure_of(reports["03 poison.zip"]).reason
    assert reason.startswith("3 workers did not survive it: its worker is gone")
    assert deaths_of(source / "03 poison.zip") == 3
    wait_for(lambda: len(cluster._client.nthreads()) == 2)


def test_the_command_converts_on_a_cluster(lasting: tuple[Cluster, str], tmp_path: Path, run: Run) -> None:
    """With paths as the workers need them; its errors are lines."""
    source = bundles(tmp_path / "in", ["a.zip", "b.zip"])
    (source / "bad.zip").write_bytes(b"bad")
    relative = os.path.relpath(source)
    options = ["-o", os.path.relpath(tmp_path / "out"), "--scheduler", lasting[1]]
    report = tmp_path / "report"
    code, out, err = run("convert", relative, *options, "--report", report)
    assert (code, out.startswith("3 bundles: 2 converted, 1 failed; ")) == (3, True)
    assert f"Z failed: {source}/bad.zip: not a SourceBundle" in err
    assert {line["output"] for line in json_lines(report)} == {
        f"{tmp_path}/out/{n}.srcpack" for n in ("a", "b", "bad")
    }
    assert list(packs(tmp_path / "out")) == ["a.srcpack", "b.srcpack"]
    assert lasting[0].slots == 2


def test_a_signed_url_reaches_the_workers_with_its_signature(
    lasting: tuple[Cluster, str], tmp_path: Path, run: Run
) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    with RangeServer({"/app.zip?signature=1": build_bundle({"files/a.js": b"1"}, {})}) as server:
        source = f"{server.url}/app.zip?signature=1"
        args = ["-o", f"{tmp_path / 'out'}/", "--scheduler", lasting[1], "--no-progress"]
        assert run("convert", source, *args).code == 0
    with srcpack.open(tmp_path / "out" / "app.srcpack") as pack:
        assert pack["files/a.js"].read() == b"1"


def test_what_a_call_raises_comes_back(lasting: tuple[Cluster, str]) -> None:
    cluster, _ = lasting
    assert isinstance(cluster.submit(int, "x").exception(), ClusterError)
    waiting = [cluster.submit(time.sleep, 0.2) for _ in range(8)]
    assert waiting[-1].cancel()
    assert waiting[0].result() is None
    wait_for(lambda: not cluster._calls)


def test_workers_of_another_version_are_refused(
    lasting: tuple[Cluster, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, address = lasting
    monkeypatch.setattr(srcpack, "__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"has srcpack .+, and here it is 0\.0\.1; both have to be"):
        Cluster(address)
    assert cluster.submit(abs, -1).result() == 1


@pytest.mark.parametrize(
    ("said", "stays", "problem"),
    [
        (b"", True, "the scheduler does not answer: no answer in 0.5 s"),
        (b"", False, "the scheduler does not answer: "),
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            False,
            "what answers is no Dask scheduler: ",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, "what answers is no Dask scheduler: "),
    ],
)
def test_what_answers_is_asked_whether_it_is_a_scheduler(
    said: bytes, stays: bool, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """In time, and without a word of Dask's own."""
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            if said.startswith(b"HTTP"):
                connection.recv(100)
            connection.sendall(said)
            ended.wait(60 if stays else 0)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        # Only who waits for nothing waits for all of it.
        with pytest.raises(ClusterError, match=re.escape(f"{address}: {problem}")):
            Cluster(address, timeout=60 if said else 0.5)
    ended.set()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("foo://127.0.0.1:8786", "unknown address scheme 'foo'"),
        ("127.0.0.1", "missing port number"),
        ("tls://127.0.0.1:8786", "TLS expects"),
    ],
)
def test_an_address_that_is_none_is_told_at_once(
    address: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClusterError, match=f"^{address}: the scheduler does not answer: {problem}"):
        Cluster(address)
    assert capfd.readouterr() == ("", "")


def test_a_worker_is_no_scheduler(lasting: tuple[Cluster, str]) -> None:
    cluster, _ = lasting
    address = next(iter(cluster._client.nthreads()))
    with pytest.raises(ClusterError, match=f"^{address}: what answers is a Worker, no scheduler$"):
        Cluster(address)


def test_no_scheduler_and_no_workers_are_errors(processes: Processes) -> None:
    with pytest.raises(ClusterError, match=r"the scheduler does not answer: no answer in 0\.1 s"):
        Cluster("tcp://127.0.0.1:1", timeout=0.1)
    wait_for(lambda: _answers(processes.address))
    with pytest.raises(ClusterError, match="no worker joined in 2 s"):
        Cluster(processes.address, timeout=2)


def _answers(address: str) -> bool:
    host, port = address.removeprefix("tcp://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
