"""What a conversion costs, in what can be counted: memory, looks at parts, entries, frames and keys."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack.format import directory, index, verify_entries
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.records import EntryRecord
from srcpack_convert import convert
from srcpack_convert.one.compress import Compression
from support.bundle_builder import build_bundle, words
from support.commands import run_python


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    size = 4 << 20
    content = words(9, 1 << 18) * (size >> 18)
    path = tmp_path_factory.mktemp("large") / "large.zip"
    path.write_bytes(build_bundle({f"{at}": content[1000 * at :] for at in range(24)}, {}, stored=True))
    yield path, size
    path.unlink()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_memory_is_bounded_by_the_largest_file(large: tuple[Path, int], tmp_path: Path, jobs: int) -> None:
    """Under 70 MB plus four times the largest file; the bundle has 24 of that size."""
    path, size = large
    code = (
        "import re, sys; from srcpack_convert.one.convert import convert;"
        "convert(sys.argv[1], sys.argv[2], level=1, jobs=int(sys.argv[3]));"
        # The peak of this program alone; ru_maxrss has that of the one that started it, too.
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    peak = int(run_python("-c", code, path, tmp_path / "a.srcpack", jobs).out) * 1024
    assert peak < (70 << 20) + 4 * size < path.stat().st_size


class Counted(bytes):
    """Bytes that count how often their length is asked for."""

    asked = 0

    def __len__(self) -> int:
        type(self).asked += 1
        return super().__len__()


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_work_grows_as_the_parts_of_a_file_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Of a file of twice as many parts each frame is looked at as often as before, not twice as often."""
    compress = Compression.compress
    monkeypatch.setattr(
        Compression, "compress", lambda self, parts: list(map(Counted, compress(self, parts)))
    )
    asked = []
    for parts in (16, 32, 64):
        monkeypatch.setattr(Counted, "asked", 0)
        bundle = build_bundle({"a": words(1, parts * 4096 - 1)}, {})
        convert(
            bundle,
            tmp_path / "a.srcpack",
            frame_size=4096,
            dictionary="off",
            jobs=jobs,
            verify=False,
            force=True,
        )
        asked.append(Counted.asked)
    assert asked[2] - asked[1] == 2 * (asked[1] - asked[0]) > 0


def test_the_check_reads_each_entry_and_each_frame_of_the_pack_once(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, frames = list[bytes](), list[tuple[str, int]]()
    parse, read_part = vars(directory)["parse_entry"], PackFile.read_part

    def parsed(data: bytes, **rest: Any) -> Any:
        entries.append(data)
        return parse(data, **rest)

    def part_read(pack: PackFile, record: EntryRecord, number: int) -> bytes:
        frames.append((record.name, number))
        return read_part(pack, record, number)

    monkeypatch.setattr(directory, "parse_entry", parsed)
    monkeypatch.setattr(PackFile, "read_part", part_read)
    report = convert(mixed, tmp_path / "mixed.srcpack", frame_size=1 << 18)
    assert len(entries) == len(set(entries)) == report.files
    assert len(frames) == len(set(frames)) == report.content_count + 1


def test_each_key_is_hashed_once_to_be_written_and_once_to_be_checked(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = list[tuple[object, ...]]()
    for module, name in ((index, "hash_key"), (verify_entries, "digest_key")):
        function = getattr(module, name)

        def counted(*key: object, function: Any = function) -> object:
            hashed.append(key)
            return function(*key)

        monkeypatch.setattr(module, name, counted)
    report = convert(mixed, tmp_path / "mixed.srcpack")
    with srcpack.open(tmp_path / "mixed.srcpack") as pack:
        keys = packfile_of(pack).tail.slot_count
    assert keys == 2 * report.files  # names and URLs
    assert len(hashed) == 2 * keys
    assert len(set(hashed)) == keys
