"""Exceptions that arrive from outside, between any two steps: timeouts, interrupts from the keyboard.

`reliability/exceptions.py` has what is done and what must hold after it; docs/reliability.md has a long run.
"""

import errno
import sys
from pathlib import Path

import pytest

from srcpack.format.fetch import fetch_together
from srcpack.source.local import BytesSource
from srcpack.source.request_plan import NOWHERE
from support.places import ROOT

sys.path.insert(0, str(ROOT))

from reliability import exceptions
from reliability.exceptions import SCENARIOS, Scenario

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")


@pytest.mark.parametrize("kind", SCENARIOS)
def test_an_exception_before_any_bytecode_leaves_all_right(tmp_path: Path, kind: type[Scenario]) -> None:
    scenario = kind(tmp_path)
    assert exceptions.at_every_bytecode(scenario, quick=True) > 100
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


def test_a_timeout_of_one_read_of_many_ends_them_all() -> None:
    """It is an OSError, but none of the file that was read when it came."""
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        raise exceptions.Timeout if number == 1 else FileNotFoundError(errno.ENOENT, "gone")

    with pytest.raises(exceptions.Timeout):
        fetch_together(BytesSource(b""), [NOWHERE] * 5, work, 1)
    assert done == [0, 1]
