"""Exceptions that arrive from outside, between any two steps: timeouts, interrupts from the keyboard.

`reliability/scenarios.py` has what is done and what must hold after it; docs/reliability.md has a long run.
"""

import errno
import sys
from pathlib import Path

import pytest
from reliability import exceptions
from reliability.scenario import STATEFUL, Scenario, Timeout
from reliability.scenarios import SCENARIOS

from srcpack.format.fetch import fetch_together
from srcpack.source.local import BytesSource
from srcpack.source.request_plan import NOWHERE
from support.range_server import RangeServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")


@pytest.mark.parametrize("kind", SCENARIOS)
def test_an_exception_before_any_bytecode_leaves_all_right(tmp_path: Path, kind: type[Scenario]) -> None:
    scenario = kind(tmp_path)
    assert exceptions.at_every_bytecode(scenario, quick=True) > 50
    assert exceptions.forked(scenario)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_signals_at_random_instants_leave_all_right(tmp_path: Path, kind: type[Scenario]) -> None:
    assert exceptions.by_signals(kind(tmp_path), 0.2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that threads and forks don't mix is the point
@pytest.mark.parametrize("kind", SCENARIOS)
def test_exceptions_in_threads_leave_all_right_in_forks_too(tmp_path: Path, kind: type[Scenario]) -> None:
    scenario = kind(tmp_path)
    exceptions.by_threads(scenario, 0.2)
    assert exceptions.forked(scenario)


class Window(Scenario):
    """What a thread fetches ahead from a server."""

    modules = ("/srcpack/source/remote.py",)

    def __init__(self, folder: Path) -> None:
        from srcpack.source.remote import RemoteSource

        self._data = bytes(range(251)) * 4000
        (folder / "data").write_bytes(self._data)
        with RangeServer({"/data": self._data}) as server:
            self._source = RemoteSource(f"{server.url}/data")
        self._source.keep(len(self._data) - 100)
        self._source._fetch = lambda start, end: self._data[start:end]  # type: ignore[method-assign]

    def prepare(self) -> None:
        pass

    def call(self) -> None:
        read = self._source.read
        with self._source.ahead(1000, 5000):
            assert read(3000, 700) + read(3700, 300) == self._data[3000:4000]
            ended = None
            try:
                with self._source.ahead(1500, 1000):
                    assert read(1800, 200) + read(1400, 900) == self._data[1800:2000] + self._data[1400:2300]
            except Timeout as error:
                ended = error
            assert read(3100, 900) + read(1100, 5) == self._data[3100:4000] + self._data[1100:1105]
        if ended is not None:
            raise ended

    def check(self) -> None:
        assert self._source._here.current() is None
        self.call()


def test_an_exception_before_any_bytecode_leaves_no_window_behind(tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")
    assert exceptions.at_every_bytecode(Window(tmp_path)) > 500


def test_every_module_with_a_state_is_tried() -> None:
    kinds: list[type[Scenario]] = [*SCENARIOS, Window]
    assert {module for kind in kinds for module in kind.modules} == set(STATEFUL)


def test_a_timeout_of_one_read_of_many_ends_them_all() -> None:
    """It is an OSError, but none of the file that was read when it came."""
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        raise Timeout if number == 1 else FileNotFoundError(errno.ENOENT, "gone")

    with pytest.raises(Timeout):
        fetch_together(BytesSource(b""), [NOWHERE] * 5, work, 1)
    assert done == [0, 1]
