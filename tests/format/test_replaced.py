"""Files that shrink, are written over, or are replaced while they are open."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest

import srcpack
from srcpack import Entry, FormatError, Pack, PackCache, SrcpackError
from srcpack.source.source_of import SourceKind
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.places import FIXTURES

OF_AN_ENTRY: dict[str, Callable[[Entry], object]] = {
    "read": Entry.read,
    "view": lambda entry: bytes(entry.view()),
    "range": lambda entry: entry.read_range(entry.size // 2, 100),
    "line": lambda entry: entry.context(max(1, entry.lines)),
    "file": lambda entry: entry.open().read(),
    "again": lambda entry: entry.pack[entry.name].read(),
}


def answers(pack: Pack) -> dict[str, Callable[[], object]]:
    """Return questions, of each kind, to a pack that shrinks later; the entries are found before."""
    entries = list(pack.entries())
    asked: dict[str, Callable[[], object]] = {
        "names": lambda: list(pack),
        "length": lambda: len(pack),
        "bundle": pack.bundle_manifest,
        "absent": lambda: "absent" in pack,
        "url": lambda: (found := pack.by_url("~/lib/123.js")) and found.record,
        "prefix": lambda: [entry.name for entry in pack.find_prefix("files/")],
    }
    for entry in entries[:: len(entries) // 30 + 1]:
        asked |= {f"{entry.name} {kind}": partial(ask, entry) for kind, ask in OF_AN_ENTRY.items()}
    return asked


def outcome(question: Callable[[], object]) -> object:
    try:
        return question()
    except SrcpackError as error:
        return error


@pytest.mark.parametrize("grows_again", [False, True])
@pytest.mark.parametrize("name", ["many", "lines", "texts", "broken-members"])
def test_a_file_that_shrinks_under_pread_is_answered_rightly_or_refused(
    tmp_path: Path, name: str, grows_again: bool
) -> None:
    data = (FIXTURES / "packs" / f"{name}.srcpack").read_bytes()
    path = tmp_path / "a.srcpack"
    refused = 0
    for size in range(0, len(data), len(data) // 9):
        path.write_bytes(data)
        right = {key: outcome(question) for key, question in answers(srcpack.open(data)).items()}
        asked = answers(srcpack.open(path, source="pread"))
        os.truncate(path, size)
        if grows_again:
            os.truncate(path, len(data))  # zeros
        for key, question in asked.items():
            found = outcome(question)
            if isinstance(found, FormatError):
                refused += 1
                assert found.file == str(path)
            elif not isinstance(found, SrcpackError):
                assert found == right[key], key
            else:
                assert type(found) is type(right[key]), key
    assert refused


def test_a_zip_that_shrinks_is_answered_rightly_or_refused(tmp_path: Path) -> None:
    data = (FIXTURES / "bundles" / "many.zip").read_bytes()
    path = tmp_path / "a.zip"
    refused = 0
    for size in range(0, len(data), len(data) // 9):
        path.write_bytes(data)
        pack = srcpack.open(path)
        right = {name: entry.read() for name, entry in srcpack.open(data).items()}
        os.truncate(path, size)
        found = {name: outcome(entry.read) for name, entry in pack.items()}
        refused += sum(isinstance(content, SrcpackError) for content in found.values())
        assert all(right[name] == each for name, each in found.items() if not isinstance(each, SrcpackError))
    assert refused


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a pack whose contents are raw, of a million bytes."""
    noise = {f"f{number}": Random(number).randbytes(100_000) for number in range(10)}
    convert(build_bundle(noise, {"files": {}}), tmp_path / "a.srcpack", raw=("*",))
    return tmp_path / "a.srcpack"


def test_a_file_that_shrinks_before_it_is_mapped_is_refused(large: Path) -> None:
    entry = srcpack.open(large)["f5"]
    os.truncate(large, 5000)
    for question in (entry.read, entry.view, entry.view):
        with pytest.raises(FormatError, match=r"a\.srcpack: "):
            question()


@pytest.mark.skipif(sys.platform != "linux", reason="what becomes of a map beyond the end is the system's")
def test_a_file_that_shrinks_under_its_map_ends_the_process(large: Path) -> None:
    """What README.md warns of is so; `pread` is the way around it, as is tested above."""
    program = """
import os, sys, srcpack
entries = list(srcpack.open(sys.argv[1]).entries())
entries[0].view()
os.truncate(sys.argv[1], 4096)
entries[5].read()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONFAULTHANDLER", None)
    command = [sys.executable, "-c", program, str(large)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGBUS, b"")


@pytest.mark.parametrize("source", ["mmap", "pread"])
def test_a_file_that_is_written_over_is_refused(large: Path, source: SourceKind) -> None:
    """Its checksums are held against what is there at the moment of the read."""
    entries = list(srcpack.open(large, source=source).entries())
    entries[0].view()
    with open(large, "r+b") as file:
        file.write(bytes(large.stat().st_size))
    for entry in entries:
        for question in (entry.read, entry.view, partial(entry.read_range, 5, 100)):
            with pytest.raises(FormatError):
                question()


# ---- replaced by renaming, under load


VERSIONS = ("old", "new")


def content_of(version: str, number: int) -> bytes:
    return f"{version} {number}\n".encode() * (50 * number + (1 if version == "old" else 777))


def one_version(pack: Pack) -> str:
    """Read all of a pack, and return which version all of it is."""
    version = pack.attributes["release"]
    assert list(pack) == [f"f{number}" for number in range(10)]
    for number, entry in enumerate(pack.entries()):
        assert entry.read() == content_of(version, number)
    return version


def replace_until(path: Path, stop: Path) -> int:
    """Rename one version and the other over the path, again and again."""
    renamed = 0
    while not stop.exists():
        version = VERSIONS[renamed % 2]
        aside = path.with_name("aside")
        shutil.copyfile(path.with_name(version), aside)
        os.replace(aside, path)
        renamed += 1
    return renamed


def seen_until_both(read: Callable[[], str], stop: Path) -> set[str]:
    """Read again and again until both versions were seen."""
    seen: set[str] = set()
    times = 0
    while (len(seen) < 2 or times < 30) and not stop.exists():
        seen.add(read())
        times += 1
    return seen


def reopened(path: Path, source: SourceKind) -> str:
    with srcpack.open(path, source=source) as pack:
        return one_version(pack)


def hold(pack: Pack, stop: Path) -> int:
    """Read an open pack again and again until the others have seen enough."""
    reads = 0
    while not stop.exists():
        assert one_version(pack) == "old"
        reads += 1
    return reads


@pytest.mark.slow
def test_replacing_by_renaming_is_safe_under_load(tmp_path: Path) -> None:
    """Who opens sees one version or the other, whole; what is open stays what it was."""
    path, stop = tmp_path / "a.srcpack", tmp_path / "stop"
    for version in VERSIONS:
        contents = {f"f{number}": content_of(version, number) for number in range(10)}
        convert(build_bundle(contents, {"release": version, "files": {}}), tmp_path / version)
    shutil.copyfile(tmp_path / "old", path)
    kinds: tuple[SourceKind, ...] = ("mmap", "pread")
    held = [srcpack.open(path, source=kind) for kind in kinds]
    with (
        ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes,
        ThreadPoolExecutor(6) as threads,
        PackCache(1) as cache,
    ):
        renamed = processes.submit(replace_until, path, stop)
        try:
            again = [partial(reopened, path, kind) for kind in kinds]
            readers = [processes.submit(seen_until_both, each, stop) for each in again]
            again += [lambda: one_version(cache.get(path))] * 2  # type: ignore[list-item]
            readers += [threads.submit(seen_until_both, each, stop) for each in again]
            holders = [threads.submit(hold, pack, stop) for pack in held]
            for reader in readers:
                assert reader.result(timeout=120) == set(VERSIONS)
        finally:
            stop.touch()
        assert renamed.result() > 2
        assert all(holder.result() for holder in holders)
