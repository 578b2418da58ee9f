"""A SourceBundle zip through the interface of a pack: how it is recognised, what it reads, limits."""

import hashlib
import io
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

import srcpack
from srcpack import DamagedMember, FormatError, LimitExceeded, NotFound, Pack, PackCache
from srcpack.bundle.members import Limits, SourceBundle
from srcpack.bundle.zip_store import ZipStore
from srcpack.format.head_tail import HEAD_SIZE, TAIL_SIZE
from srcpack.format.packfile import PackFile
from srcpack.opening import open_pack
from srcpack.rules.strict_json import JsonError
from support.bundle_builder import BUNDLE_HEADER, build_bundle
from support.calls import calls_of
from support.places import FIXTURES

APP = FIXTURES / "bundles" / "app.zip"
ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
SCRIPT = b"f();\n//# sourceMappingURL=a.js.map\n//# debugId=" + ID.encode()
FILES = {"files/a.js": SCRIPT, "files/b.js": b"one\ntwo\n", "files/c.js": b"\xff", "files/e.js": b""}
MANIFEST = {
    "release": "1",
    "files": {
        "files/a.js": {"type": "minified_source", "url": "~/a.js", "path": "/src/a.js"},
        "files/b.js": {"type": "source", "url": "~/b.js", "headers": {"Sourcemap": "b.map", "debug-id": ID}},
        "files/c.js": {"url": "~/c.js"},
        "files/e.js": {"url": "~/e.js"},
        "files/gone.js": {"url": "~/gone.js"},
    },
}
BUNDLE = build_bundle(FILES, MANIFEST)


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str]]:
    """The members that were read, in order."""
    return calls_of(monkeypatch, SourceBundle, "read")


@pytest.fixture
def zipped() -> Iterator[Pack]:
    with srcpack.open(BUNDLE) as pack:
        yield pack


# ---- opening


@pytest.mark.parametrize("header", [BUNDLE_HEADER, b"SYSB", b""], ids=["header", "no-version", "bare-zip"])
@pytest.mark.parametrize("name", ["a.zip", "a.srcpack", "a"])
def test_a_zip_is_recognised_by_its_content(tmp_path: Path, header: bytes, name: str) -> None:
    data = build_bundle(FILES, MANIFEST, header=header)
    path = tmp_path / name
    path.write_bytes(data)
    for opened in (srcpack.open(path), srcpack.open(str(path), source="pread"), srcpack.open(data)):
        with opened as pack:
            assert isinstance(pack, Pack)
            assert type(pack.store) is ZipStore
            assert pack["files/b.js"].text() == "one\ntwo\n"
    assert pack.file == "<bytes>"
    assert repr(srcpack.open(path)) == f"<Pack {str(path)!r}: 5 entries>"


@pytest.mark.parametrize("kind", ["zip", "pack"])
def test_what_is_in_memory_or_open_is_read_too(kind: str) -> None:
    path = FIXTURES / ("packs/app.srcpack" if kind == "pack" else "bundles/app.zip")
    data = path.read_bytes()
    expected = srcpack.open(data)
    changing = bytearray(data)
    with open(path, "rb") as file, open(path, "rb", buffering=0) as unbuffered:
        for place in (changing, memoryview(data), io.BytesIO(data), file, unbuffered):
            with srcpack.open(place) as pack:
                changing[:] = bytes(len(data))
                assert list(pack) == list(expected)
                assert [entry.read() for entry in pack.entries()] == [e.read() for e in expected.entries()]
            changing[:] = data
        with pytest.raises(TypeError, match="a file object has no name by which"):
            pickle.dumps(srcpack.open(file))
    with pytest.raises(TypeError, match="a path, URL, bytes or binary file is opened, not int: 1"):
        srcpack.open(1)  # type: ignore[arg-type]


def test_an_empty_zip_opens() -> None:
    """It begins with the end record where it has no header; without a manifest it is no bundle."""
    with srcpack.open(build_bundle({}, {})) as pack:
        assert (list(pack), pack.attributes, pack.bundle.has_files) == ([], {}, False)
        assert pack.by_path("a") is pack.by_url("a") is pack.by_debug_id(ID, "source") is None
    with pytest.raises(FormatError, match=r"^<bytes>: the zip has no manifest\.json$"):
        srcpack.open(build_bundle({}, None, header=b""))


def test_a_pack_is_opened_once_with_two_reads_still(monkeypatch: pytest.MonkeyPatch) -> None:
    path = FIXTURES / "packs" / "many.srcpack"
    size = path.stat().st_size
    opens, reads = calls_of(monkeypatch, os, "open"), calls_of(monkeypatch, os, "pread")
    with srcpack.open(path, source="pread") as pack:
        assert type(pack.store) is PackFile
    assert [place for place, *_ in opens] == [path]
    assert [read[1:] for read in reads] == [(HEAD_SIZE, 0), (TAIL_SIZE, size - TAIL_SIZE)]
    srcpack.open(path).close()
    assert [place for place, *_ in opens] == [path, path]


def test_what_is_neither_is_refused_as_no_pack(tmp_path: Path) -> None:
    for data in (b"", b"text", b"SYS", b"PK", b"PK\3", bytes(1000)):
        path = tmp_path / "a"
        path.write_bytes(data)
        for pack in (path, data):
            with pytest.raises(FormatError, match=r"not a pack|too short for a pack"):
                srcpack.open(pack)
    with pytest.raises(FormatError, match="not a regular file"):
        srcpack.open(tmp_path)
    with pytest.raises(FileNotFoundError):
        srcpack.open(tmp_path / "absent")


def test_a_refused_zip_says_what_is_wrong_with_it_and_nothing_of_packs() -> None:
    with pytest.raises(
        FormatError, match=r"'manifest\.json': the attribute 'version' has the wrong type"
    ) as error:
        srcpack.open(build_bundle({}, {"files": {}, "version": 2}))
    assert isinstance(error.value.__context__, JsonError)
    assert error.value.__context__.__context__ is None
    with pytest.raises(FormatError, match="no end record"):
        srcpack.open(BUNDLE_HEADER + b"PK\3\4")


def test_a_damaged_pack_is_not_taken_for_a_zip() -> None:
    data = (FIXTURES / "damaged" / "tail-bit.srcpack").read_bytes()
    with pytest.raises(FormatError, match="checksum of the tail"):
        srcpack.open(data)


def test_open_pack_takes_packs_only() -> None:
    with pytest.raises(FormatError, match="not a pack"):
        open_pack(APP)


def test_a_zip_has_no_parts_of_a_pack(zipped: Pack) -> None:
    with pytest.raises(TypeError, match=r"^<bytes>: a SourceBundle zip, where a \.srcpack is needed$"):
        srcpack.verify(zipped)
    assert zipped.bundle.identity == b""


def test_a_pack_cache_opens_zips_too() -> None:
    with PackCache(2) as cache:
        assert cache.get(APP) is cache.get(APP)
        assert type(cache.get(APP).store) is ZipStore


# ---- what is read


def test_names_and_lookups_read_no_content(zipped: Pack, inflated: list[tuple[str]]) -> None:
    assert list(zipped) == [entry.name for entry in zipped.entries()]
    assert [entry.name for entry in zipped.find_prefix("files/b")] == ["files/b.js"]
    entry = zipped["files/b.js"]
    assert zipped.by_url("~/b.js") == entry
    assert zipped.by_debug_id(ID, "source") == entry
    assert zipped.by_path("\\src\\a.js") == zipped["files/a.js"]
    assert (entry.name, entry.type, entry.url, entry.path) == ("files/b.js", "source", "~/b.js", None)
    assert (entry.source_mapping_url, str(entry.debug_id)) == ("b.map", ID)
    assert entry.headers == {"sourcemap": "b.map", "debug-id": ID}
    assert repr(entry) == "<Entry 'files/b.js' of '<bytes>'>"
    assert "absent" not in zipped
    assert inflated == []


def test_what_a_content_shows_is_found_out_once(zipped: Pack, inflated: list[tuple[str]]) -> None:
    for _ in range(2):
        entry = zipped["files/a.js"]
        assert (entry.source_mapping_url, str(entry.debug_id)) == ("a.js.map", ID)
        assert (entry.size, entry.lines, entry.damage) == (len(SCRIPT), 3, None)
        assert entry.sha256 == hashlib.sha256(SCRIPT).digest()
        assert entry.stored_size > 0
        assert zipped["files/gone.js"].damage == "the manifest lists it, the zip does not have it"
    assert inflated == [("files/a.js",), ("files/gone.js",)]


@pytest.mark.parametrize(
    "read",
    [
        lambda entry: entry.read(),
        lambda entry: entry.text(),
        lambda entry: entry.context(1),
        lambda entry: entry.open().read(),
        lambda entry: entry.read_range(1, 2),
        lambda entry: entry.view(),
    ],
)
def test_a_read_inflates_once(
    zipped: Pack, inflated: list[tuple[str]], read: Callable[[srcpack.Entry], object]
) -> None:
    read(zipped["files/a.js"])
    assert inflated == [("files/a.js",)]


def test_members_that_cannot_be_read_say_why_each_time(zipped: Pack) -> None:
    gone, binary = zipped["files/gone.js"], zipped["files/c.js"]
    for read in (
        gone.read,
        gone.text,
        gone.view,
        gone.open,
        lambda: gone.read_range(0, 1),
        lambda: gone.context(1),
    ):
        with pytest.raises(DamagedMember, match="the zip does not have it"):
            read()
    assert (gone.size, gone.lines, gone.sha256) == (0, 0, None)
    assert binary.read() == b"\xff"
    for as_text in (binary.text, lambda: binary.context(1)):
        with pytest.raises(DamagedMember, match="not UTF-8"):
            as_text()


def test_a_miss_names_the_zip() -> None:
    with srcpack.open(APP) as pack, pytest.raises(NotFound) as error:
        _ = pack["absent"]
    assert str(error.value) == f"{APP}: no entry 'absent'"


# ---- limits


def test_a_read_over_the_limit_inflates_nothing(inflated: list[tuple[str]]) -> None:
    with srcpack.open(BUNDLE, max_read=7) as pack:
        entry = pack["files/b.js"]
        for read in (entry.read, entry.text, lambda: entry.context(1)):
            with pytest.raises(LimitExceeded, match=r"'files/b\.js': read is 8, over the limit of 7"):
                read()
        assert inflated == []
        with pytest.raises(LimitExceeded, match="read is 8, over the limit of 7"):
            entry.read_range(0, 8)
        assert entry.read_range(1, 7) == b"ne\ntwo\n"
        assert entry.open().read() == b"one\ntwo\n"
    with srcpack.open(BUNDLE, max_read=8) as pack:
        assert pack["files/b.js"].read() == b"one\ntwo\n"


def test_a_member_over_the_bundle_s_limit_is_damaged() -> None:
    with srcpack.open(BUNDLE, max_read=7, limits=Limits(max_file_size=7)) as pack:
        assert pack["files/b.js"].damage == "its size is 8, over the limit of 7"
        with pytest.raises(DamagedMember, match="over the limit of 7"):
            pack["files/b.js"].read()


# ---- identity and closing


def test_a_zip_is_known_by_the_sha256_of_its_bytes(zipped: Pack) -> None:
    assert zipped.sha256 == hashlib.sha256(BUNDLE).digest()
    with srcpack.open(BUNDLE) as other:
        assert other != zipped
        assert other.sha256 == zipped.sha256


def test_another_zip_in_its_place_is_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(BUNDLE)
    pickled = pickle.dumps(srcpack.open(path))
    assert pickle.loads(pickled)["files/b.js"].read() == b"one\ntwo\n"
    path.write_bytes(build_bundle(FILES, MANIFEST, stored=True))
    with pytest.raises(FormatError, match="another file since it was pickled"):
        pickle.loads(pickled)


def test_a_pickled_zip_keeps_its_limits() -> None:
    again = pickle.loads(pickle.dumps(srcpack.open(BUNDLE, max_read=7, limits=Limits(max_file_size=5))))
    assert again.max_read == 7
    assert again["files/b.js"].damage == "its size is 8, over the limit of 5"


def test_reads_of_a_closed_zip_are_misuse(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(BUNDLE)
    for pack in (srcpack.open(path), srcpack.open(BUNDLE)):
        entry = pack["files/a.js"]
        assert entry.lines == 3
        pack.close()
        pack.close()
        with pytest.raises(ValueError, match="closed"):
            entry.read()
        # What the manifest says, and what was found out before, is still there.
        assert (entry.url, entry.lines) == ("~/a.js", 3)
        with pytest.raises(ValueError, match="closed"):
            _ = pack["files/b.js"].size


def test_closing_under_readers_reads_no_other_file(tmp_path: Path) -> None:
    """A descriptor that is closed under a reader could be given to another file at once."""
    path, other = tmp_path / "a.zip", tmp_path / "b.zip"
    path.write_bytes(build_bundle({"files/a": b"a" * 100_000}, {"files": {"files/a": {}}}, stored=True))
    other.write_bytes(build_bundle({"files/a": b"b" * 100_000}, {"files": {"files/a": {}}}, stored=True))
    expected = b"a" * 100_000

    def read_on(entry: srcpack.Entry, running: Barrier) -> int:
        assert entry.read() == expected
        running.wait()
        with suppress(ValueError):  # of the closed pack
            for _ in range(1000):
                assert entry.read() == expected
            return 0
        return 1

    with ThreadPoolExecutor(4) as executor:
        for _ in range(20):
            pack = srcpack.open(path)
            running = Barrier(5)
            tasks = [executor.submit(read_on, pack["files/a"], running) for _ in range(4)]
            running.wait()
            pack.close()
            numbers = [os.open(other, os.O_RDONLY) for _ in range(4)]
            assert [task.result() for task in tasks] == [1, 1, 1, 1]
            for number in numbers:
                os.close(number)
