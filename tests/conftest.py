"""What all tests share: a server; hypothesis tries the same examples each time, however slow the machine."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.s3_server import S3Server, s3_server

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """moto's server, with what other tests left in its bucket."""
    with s3_server() as server:
        yield server
