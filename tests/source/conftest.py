"""A web server with two packs, and readers that ask it for small pieces, or not for long."""

from collections.abc import Iterator
from functools import partial

import pytest

from srcpack.source import remote, request_plan
from srcpack.source.object_stores import Patience, locate
from support.range_server import RangeServer
from support.served_packs import BEHIND_MANIFEST, LINES, MANY


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer({"/many.srcpack": MANY, "/lines.srcpack": LINES}) as server:
        yield server


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pieces so small that of MANY only what is behind its manifest comes when it is opened."""
    monkeypatch.setattr(remote, "PIECE", BEHIND_MANIFEST)
    monkeypatch.setattr(request_plan, "MAX_GAP", 64)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon, and not often."""
    patience = Patience(
        connect=2, idle=0.3, whole=5, retries=2, retry_for=5, first_wait=0.01, longest_wait=0.02
    )
    monkeypatch.setattr(remote, "locate", partial(locate, patience=patience))
