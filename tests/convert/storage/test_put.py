"""Putting objects into moto's S3 server in a process of its own, through a proxy that loses and cuts answers.

Whatever it does, what lies under a key is whole: the new object or the old one.
"""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from srcpack.source.object_stores import Patience
from srcpack_convert.storage import PART, fetched, head, put
from support.fault_proxy import Fault, FaultProxy, Lost, Request, Status
from support.s3_server import Bucket

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

QUICK = Patience(retries=3, first_wait=0.01, longest_wait=0.05)
LARGE = random.Random(3).randbytes(PART + 200_000)
SMALL = LARGE[:100_000]

Step: TypeAlias = tuple[bytes, Callable[[Request], bool]]
"""What is put, and which of the requests that this takes."""
ONE: Step = SMALL, lambda request: request.method == "PUT"
START: Step = LARGE, lambda request: request.method == "POST" and "uploads" in request.path
SECOND_PART: Step = LARGE, lambda request: "partNumber=2" in request.path
COMPLETION: Step = LARGE, lambda request: request.method == "POST" and "uploadId=" in request.path


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "content"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("size", "puts"), [(0, 1), (len(SMALL), 1), (PART, 1), (len(LARGE), 2)])
def test_a_file_is_put(bucket: Bucket, proxy: FaultProxy, tmp_path: Path, size: int, puts: int) -> None:
    url = f"{bucket.url}/folder/a.srcpack"
    stored = put(file_of(tmp_path, LARGE[:size]), url)
    assert bucket.read("folder/a.srcpack") == LARGE[:size]
    assert stored == head(url)
    assert stored.size == size
    assert len(proxy.asked("PUT")) == puts
    assert bucket.uploads() == []


@pytest.mark.parametrize(
    ("step", "faults"),
    [
        (ONE, [Status(500), Status(503), Status(429)]),
        (ONE, [Lost(), Status(500)]),
        (SECOND_PART, [Status(500), Lost()]),
        (COMPLETION, [Status(503)]),
        (COMPLETION, [Lost()]),
        (START, [Status(500), Status(500)]),
    ],
)
def test_a_put_survives(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path, step: Step, faults: list[Fault]
) -> None:
    content, when = step
    proxy.plan(*faults, when=when)
    put(file_of(tmp_path, content), f"{bucket.url}/a.srcpack", patience=QUICK)
    assert bucket.read("a.srcpack") == content
    assert bucket.uploads() == []


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (ONE, Status(500)),
        (ONE, Status(403)),
        (START, Status(500)),
        (SECOND_PART, Status(500)),
        (SECOND_PART, Lost()),
        (SECOND_PART, Status(403)),
        (COMPLETION, Status(500)),
        (COMPLETION, Status(400)),
    ],
)
def test_after_a_failed_put_the_old_object_is_there_or_none(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path, step: Step, fault: Fault
) -> None:
    content, when = step
    bucket.write("old.srcpack", b"old pack")
    proxy.plan(fault, when=when, forever=True)
    for key, old in (("old.srcpack", b"old pack"), ("new.srcpack", None)):
        with pytest.raises(OSError, match=r"refused|failed|cut") as caught:
            put(file_of(tmp_path, content), f"{bucket.url}/{key}", patience=QUICK)
        assert caught.value.filename == f"{bucket.url}/{key}"
        assert "\n" not in str(caught.value)
        assert bucket.read(key) == old
        assert bucket.uploads() == []


@pytest.mark.parametrize("step", [ONE, COMPLETION])
def test_a_put_whose_answers_are_all_lost_fails_and_leaves_a_whole_object(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path, step: Step
) -> None:
    content, when = step
    bucket.write("a.srcpack", b"old pack")
    proxy.plan(Lost(), when=when, forever=True)
    with pytest.raises(OSError, match=r"was cut|without an answer"):
        put(file_of(tmp_path, content), f"{bucket.url}/a.srcpack", patience=QUICK)
    assert bucket.read("a.srcpack") == content  # all of it arrived; only nobody told us


@pytest.mark.parametrize(
    ("other", "problem"),
    [(b"other", "the object has 5"), (SMALL[::-1], "the same size")],
    ids=["size", "etag"],
)
def test_another_object_put_at_the_same_moment_is_noticed(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path, other: bytes, problem: str
) -> None:
    proxy.after_first("PUT", lambda: bucket.write("a.srcpack", other))
    with pytest.raises(OSError, match=problem) as caught:
        put(file_of(tmp_path, SMALL), f"{bucket.url}/a.srcpack")
    assert caught.value.errno == errno.ESTALE


@pytest.mark.parametrize(
    "wrong",
    [{"AWS_SECRET_ACCESS_KEY": "hunter2"}, {"AWS_ACCESS_KEY_ID": "nobody"}, {"AWS_SKIP_SIGNATURE": "true"}],
    ids=str,
)
def test_wrong_credentials_are_refused_at_once(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    url = bucket.write("a.zip", b"content")
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PermissionError) as reading, fetched(url):
        pass
    with pytest.raises(PermissionError) as writing:
        put(file_of(tmp_path, b"other"), url)
    for caught in (reading, writing):
        assert caught.value.filename == url
        assert "refused the credentials" in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert len(proxy.requests) == 2
    assert bucket.read("a.zip") == b"content"


def test_a_file_is_put_in_one_step(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/a%20pack"
    stored = put(file_of(tmp_path, SMALL), url)
    assert (tmp_path / "a pack").read_bytes() == SMALL
    assert stored == head(url)
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "none", url)
    with pytest.raises(OSError, match="for reading only"):
        put(tmp_path / "content", "https://host.invalid/a")
    assert sorted(os.listdir(tmp_path)) == ["a pack", "content"]
