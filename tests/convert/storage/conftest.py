"""A proxy between this process and moto's S3 server, and a folder for what is fetched."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fault_proxy import FaultProxy
from support.s3_server import Bucket, S3Server


@pytest.fixture
def proxy(s3: S3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What loses, delays and cuts answers of the bucket, as it is told to."""
    assert bucket.keys() == []
    with FaultProxy(s3.url) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """A folder for what is fetched, which is empty in the end, whatever happened."""
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    assert os.listdir(folder) == []
