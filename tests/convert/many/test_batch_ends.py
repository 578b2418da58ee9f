"""When a batch ends: with reasons that are not the bundles', or with as many failures as one says."""

import errno
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert import BatchStopped, convert_many
from srcpack_convert.many import run_task as run_task_module
from srcpack_convert.one.convert import convert_bundle
from support.batches import batch, write

NAMES = [f"{number:02}.zip" for number in range(20)]
FULL, OWN = OSError(errno.ENOSPC, "No space left on device"), ValueError("not a bundle")


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
        reports = convert_many([source], out, executor=executor, jobs=1, **options)
        try:
            found.extend(each.status for each in reports)
        except BatchStopped as stopped:
            return found, stopped
    return found, None


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in", NAMES)


def test_what_fails_for_all_ends_a_batch_after_a_few(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is left; the next run goes on, and tries again those that failed."""
    with monkeypatch.context() as patched:
        failing_with(patched, dict.fromkeys(NAMES[3:], FULL))
        found, stopped = until_it_stops(source, out)
    assert found == ["converted"] * 3 + ["failed"] * 5
    assert stopped is not None
    assert (stopped.failures, stopped.in_a_row, stopped.left > 0, stopped.is_all) == (5, 5, True, False)
    said = "ended after 5 bundles failed in a row, for reasons that are not theirs, with "
    assert str(stopped).startswith(said)
    assert str(pickle.loads(pickle.dumps(stopped))) == str(stopped)
    assert sorted(until_it_stops(source, out)[0]) == ["converted"] * 17 + ["skipped"] * 3


def test_what_fails_for_itself_ends_nothing(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(monkeypatch, dict.fromkeys(NAMES, OWN))
    assert until_it_stops(source, out) == (["failed"] * 20, None)


def test_failures_in_a_row_are_counted_from_the_last_success(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, {name: FULL for at, name in enumerate(NAMES) if at % 5})
    assert until_it_stops(source, out) == ((["converted"] + ["failed"] * 4) * 4, None)


def test_each_worker_may_fail_once_for_one_reason(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(monkeypatch, dict.fromkeys(NAMES, FULL))
    with pytest.raises(BatchStopped) as stopped:
        batch([source], out, jobs=8)
    assert stopped.value.in_a_row == 8


@pytest.mark.parametrize("error", [FULL, OWN])
def test_a_batch_ends_with_as_many_failures_as_one_says(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever for; so that more can be borne, too."""
    failing_with(monkeypatch, dict.fromkeys(NAMES[:12], error))
    found, stopped = until_it_stops(source, out, max_failures=2)
    assert found == ["failed"] * 2
    assert stopped is not None
    assert (stopped.failures, stopped.in_a_row) == (2, None)
    assert re.fullmatch(r"ended after 2 that failed, with \d or more left to do", str(stopped))
    found, stopped = until_it_stops(source, out, max_failures=13)
    assert (sorted(found), stopped) == (["converted"] * 8 + ["failed"] * 12, None)
