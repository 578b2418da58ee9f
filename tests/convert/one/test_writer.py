"""Frames, and the writer that makes a pack of them: what it refuses, and what reading back finds."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from srcpack.errors import FormatError, LimitExceeded
from srcpack.format.head_tail import Tail
from srcpack_convert import convert
from srcpack_convert.one.compress import Compression, Content
from srcpack_convert.one.writer import PackWriter
from support.bundle_builder import words
from support.places import BUNDLES


def test_no_seed_for_keys_that_fill_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srcpack_convert.one.writer.sort_into_buckets", lambda *_: None)
    writer = PackWriter(io.BytesIO(), file="a", frame_size=4096)
    with pytest.raises(LimitExceeded, match="seeds tried for the index is 65, over the limit of 64"):
        writer.finish([], attributes={}, source_links=None, has_files=True, source={}, created_by={})


def test_a_block_of_entries_has_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("srcpack_convert.one.writer.MAX_BLOCK", 1000)
    with pytest.raises(LimitExceeded, match=r"size of a manifest block is [\d,]+, over the limit of 1,000"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


def test_no_skippable_frame_is_longer_than_its_length_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compress", "writer"):
        monkeypatch.setattr(f"srcpack_convert.one.{module}.MAX_SKIPPED", 10)
    noise = hashlib.shake_256(b"noise").digest(11)
    content = Content.of(noise, 4096, Compression(1, None).compress([noise]))
    assert not content.raw  # it would be, were it shorter
    writer = PackWriter(io.BytesIO(), file="a", frame_size=4096)
    writer.write_content(content)
    with pytest.raises(LimitExceeded, match="a: size of a raw content is 11, over the limit of 10"):
        writer.write_content(Content.of(noise, 4096))
    with pytest.raises(LimitExceeded, match=r"^a: size of the manifest is \d+, over the limit of 10$"):
        writer.finish(
            [],
            attributes={},
            source_links=None,
            has_files=True,
            source={"sha256": bytes(32), "size": 0},
            created_by={"tool": "t", "libzstd": "z", "options": {}},
        )


def test_a_pack_that_was_not_written_right_is_never_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk, or we, got a byte wrong: reading back finds it."""
    original = PackWriter._write
    calls = iter(range(1 << 30))

    def damage(self: PackWriter, data: bytes) -> None:
        if next(calls) == 3:
            data = data[:-1] + bytes([data[-1] ^ 1])
        original(self, data)

    monkeypatch.setattr(PackWriter, "_write", damage)
    with pytest.raises(FormatError, match="frame"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


def test_a_pack_whose_tail_was_not_written_right_is_never_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says of itself, all its checksums right, something else than what was to be written."""
    finish = PackWriter.finish

    def lie(self: PackWriter, *args: Any, **values: Any) -> Tail:
        tail = finish(self, *args, **values)
        return tail._replace(total_size=tail.total_size + 1)

    monkeypatch.setattr(PackWriter, "finish", lie)
    with pytest.raises(FormatError, match=r"a\.srcpack: tail read back: found Tail"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


def test_a_compression_is_shared_by_threads() -> None:
    compression = Compression(3, None)
    parts = [words(number, 5000) for number in range(64)]
    expected = compression.compress(parts)
    with ThreadPoolExecutor(4) as executor:
        assert all(frames == expected for frames in executor.map(compression.compress, [parts] * 16))
