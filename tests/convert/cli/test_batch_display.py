"""What is drawn while a batch runs."""

import pty
import re
import sys
import time
from contextlib import suppress
from typing import Any

import pytest

from srcpack_convert import BatchProgress, FailureReport
from srcpack_convert.cli.batch_display import Display, Shown


def all_of(leader: int) -> bytes:
    """Return all that was written to a terminal whose other end is closed; it may come in pieces."""
    text = b""
    with suppress(OSError), open(leader, "rb", buffering=0) as file:  # EIO is the end
        while piece := file.read(65536):
            text += piece
    return text


def test_on_a_terminal_there_is_a_bar_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With failures as they happen; not where it is not wanted."""
    drawn = []
    for progress in (True, False):
        leader, follower = pty.openpty()
        with open(follower, "w") as terminal, monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", terminal)
            with Display(Shown(progress=progress, each=False, report=None)) as display:
                display.update(progress_of(done=2))
                display.tell_of(FailureReport(source="/in/bad.zip", output=None, reason="it is bad"))
        drawn.append(all_of(leader).decode())
    for text in drawn:
        assert "failed: /in/bad.zip: it is bad\r\n" in text
        assert not re.search(r"\d{4}-\d\d-\d\dT", text)
    assert ["2 of 10 bundles, 2 MB of 10 MB" in text for text in drawn] == [True, False]


def progress_of(*, done: int, converted: int = 0) -> BatchProgress:
    """Return how far a batch of ten bundles of 1 MB is."""
    known: dict[str, Any] = {
        "found": 10,
        "found_size": 10_000_000,
        "is_all": True,
        "ignored": 0,
        "running": 1,
    }
    return BatchProgress(**known, done=done, done_size=done * 1_000_000, converted_size=converted * 1_000_000)


def test_the_rate_is_of_what_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of what is skipped, which takes no time: else the rest would seem to be done at once."""
    now = iter(range(100, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    display = Display(Shown(progress=True, each=False, report=None))
    lines: list[str] = []
    monkeypatch.setattr(display, "say", lines.append)
    for done, converted in ((0, 0), (8, 0), (9, 1)):
        display.update(progress_of(done=done, converted=converted))
    assert lines == [
        "0 of 10 bundles, 0 B of 10 MB",
        "8 of 10 bundles, 8 MB of 10 MB",
        "9 of 10 bundles, 9 MB of 10 MB, 50 kB/s, 0:20 left",
    ]
