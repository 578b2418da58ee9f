"""Packs as file systems of fsspec, by fsspec's own tests where these can be about what is never written.

Of fsspec's abstract suite the tests of `get` apply, and run over a pack that holds the files which their
fixtures would write; all but one, which makes a folder and a file in it itself. Those of `copy`, `put`,
`pipe`, `mv` and the one of `open` (exclusive creation) begin with a write, which a pack refuses.
"""

import importlib
import itertools
import os
import pickle
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from fnmatch import filter as matching
from hashlib import md5
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import Mock

import pytest

import srcpack
from srcpack import DamagedMember, FormatError, LimitExceeded
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.calls import calls_of
from support.places import BUNDLES, PACKS
from support.range_server import RangeServer

fsspec = pytest.importorskip("fsspec", reason="no fsspec: pip install 'srcpack[fsspec]'")
abstract = importlib.import_module("fsspec.tests.abstract")

from srcpack.integrations.fsspec import SrcpackFileSystem  # noqa: E402  after the skip

APP = "files/_/_/static/cart.js"
SOURCE = importlib.import_module("srcpack.integrations.fsspec").__file__


def open_fs(name: str) -> SrcpackFileSystem:
    fs = fsspec.filesystem("srcpack", fo=PACKS / f"{name}.srcpack")
    assert isinstance(fs, SrcpackFileSystem)
    return fs


def built(folder: Path, files: dict[str, bytes]) -> SrcpackFileSystem:
    listed = {"files": {name: {"type": "source"} for name in files}}
    (folder / "a.zip").write_bytes(build_bundle(files, listed))
    convert(folder / "a.zip", folder / "a.srcpack", force=True)
    return SrcpackFileSystem(folder / "a.srcpack")


# ---- fsspec's own tests


TREE = ("subfile1", "subfile2", "nesteddir/nestedfile")
NAMES = [
    *("bulk/source/file1", "bulk/source/file2", *(f"bulk/source/subdir/{name}" for name in TREE)),
    *("glob/source/file1", "glob/source/file2"),
    *(f"glob/source/subdir{number}/{name}" for number in (0, 1) for name in TREE),
    *("prefix/source/subdir.txt", "prefix/source/subdir/subfile.txt"),
]
FILES = {
    **dict.fromkeys(NAMES, b""),
    **{
        f"hashed/source/{md5(str(number).encode(), usedforsecurity=False).hexdigest()}.txt": b"%d" % number
        for number in range(10)
    },
}


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> SrcpackFileSystem:
    return built(tmp_path_factory.mktemp("scenarios"), FILES)


def given(value: object) -> Any:
    """Return a fixture that is a value."""
    return pytest.fixture(lambda _: value)


class ReadOnlyFixtures(abstract.AbstractFixtures):  # type: ignore[misc,name-defined]
    @pytest.fixture
    def fs(self, scenarios: SrcpackFileSystem) -> SrcpackFileSystem:
        return scenarios

    fs_path = given("")
    fs_join = given(lambda *parts: "/".join(parts))
    fs_bulk_operations_scenario_0 = given("bulk/source")
    fs_glob_edge_cases_files = given("glob/source")
    fs_dir_and_file_with_same_name_prefix = given("prefix/source")
    fs_10_files_with_hashed_names = given("hashed/source")


class TestGet(abstract.AbstractGetTests, ReadOnlyFixtures):  # type: ignore[misc,name-defined]
    test_get_directory_recursive = None
    """Makes a folder and a file; what it goes on to test is tested below."""

    def test_a_folder_is_got_with_what_is_in_it(
        self, fs: SrcpackFileSystem, local_fs: Any, tmp_path: Path
    ) -> None:
        target = str(tmp_path / "target")
        for round_ in (1, 2):
            fs.get("bulk/source", target, recursive=True)
            found = {os.path.relpath(path, target) for path in local_fs.find(target)}
            expected = {name.removeprefix("bulk/source/") for name in FILES if name.startswith("bulk/")}
            assert found == expected | ({f"source/{name}" for name in expected} if round_ == 2 else set())


# ---- what there is


def test_everything_is_found_where_it_is() -> None:
    fs = open_fs("app")
    assert fs.find("") == list(fs.pack) != []
    assert fs.ls("", detail=False) == ["files"]
    assert fs.ls("files/_/_", detail=False) == ["files/_/_/static"]
    assert fs.info("files/_") == {"name": "files/_", "size": 0, "type": "directory"}
    for path, is_folder, is_file in (("files", True, False), (APP, False, True), ("absent", False, False)):
        assert (fs.isdir(path), fs.isfile(path)) == (is_folder, is_file)
        assert fs.exists(path) == (is_folder or is_file)
    assert fs.exists("")
    assert [f"{path}/{name}" for path, _, names in fs.walk("") for name in sorted(names)] == list(fs.pack)
    assert fs.glob("files/**/cart.js") == [name for name in fs.pack if name.endswith("/cart.js")]
    assert fs.du("") == packfile_of(fs.pack).tail.total_size
    assert fs.ls(APP) == [fs.info(APP)]


def test_an_info_says_what_the_entry_does() -> None:
    fs = open_fs("app")
    entry = fs.pack[APP]
    assert entry.sha256 is not None
    assert fs.info(APP) == {
        "name": APP,
        "size": entry.size,
        "type": "file",
        "member": APP,
        "sha256": entry.sha256.hex(),
        "url": entry.url,
        "file_type": entry.type.value,
    }
    assert fs.ukey(APP) == entry.sha256.hex()
    assert fs.size(APP) == entry.size


def test_a_leading_slash_and_the_protocol_may_be_there() -> None:
    fs = open_fs("app")
    for path in (APP, f"/{APP}", f"srcpack://{APP}", f"srcpack:///{APP}"):
        assert fs.cat_file(path) == fs.pack[APP].read()
        assert fs.isfile(path)
    for path in ("files", "/files", "files/", "srcpack://files"):
        assert fs.isdir(path)
        assert fs.ls(path, detail=False) == ["files/_"]
        assert fs.info(path)["type"] == "directory"


@pytest.mark.parametrize("ask", ["info", "ls", "cat_file", "open", "size", "ukey"])
def test_what_is_absent_is_a_file_that_is_not_there(ask: str) -> None:
    with pytest.raises(FileNotFoundError):
        getattr(open_fs("app"), ask)("files/absent~2")
    with pytest.raises(IsADirectoryError):
        open_fs("app").cat_file("files/_")


@pytest.mark.parametrize("ask", ["rm", "mkdir", "touch", "makedirs", "rm_file", "created", "modified"])
def test_what_a_pack_has_not_is_not_implemented(ask: str) -> None:
    fs = open_fs("app")
    before = fs.find("")
    try:
        getattr(fs, ask)("files/new")
    except (NotImplementedError, FileNotFoundError):
        pass
    else:  # fsspec's default for folders is to do nothing
        assert ask in {"mkdir", "makedirs"}
    assert fs.find("") == before
    for mode in ("wb", "ab", "xb", "r+b"):
        with pytest.raises(NotImplementedError, match="reading only"):
            fs.open(APP, mode)


# ---- names that are no plain paths


def test_odd_names_are_listed_as_a_tree_and_read_by_either_name() -> None:
    fs = open_fs("names")
    listed = {fs.info(path)["member"]: path for path in fs.find("")}
    assert list(listed) == [fs.info(path)["member"] for path in fs.find("")]
    assert sorted(listed) == list(fs.pack)
    odd = {"/absolute.js": "%2F/absolute.js", "files/../../up.js": "files/%2E%2E/%2E%2E/up.js"}
    assert {k: path for k, path in listed.items() if k != path} == {**odd, "files/a": "files/a~2"}
    for name, path in listed.items():
        assert fs.cat_file(name) == fs.cat_file(path) == fs.pack[name].read()
    assert "files/with%20percent?.js" in listed


def test_a_file_that_is_a_folder_too_is_both() -> None:
    fs = open_fs("names")
    assert fs.isdir("files/a")
    assert fs.isfile("files/a")
    assert fs.ls("files/a", detail=False) == ["files/a/b"]
    assert fs.info("files/a")["member"] == "files/a"
    assert {"files/a", "files/a~2"} <= set(fs.ls("files", detail=False))


def test_nothing_that_is_got_leaves_the_folder(tmp_path: Path) -> None:
    names = ("../up", "/root", "a//b", "a/./b", "a/../b", "a", "..", "a/%2E%2E/b", "z//")
    fs, one = built(tmp_path, {name: name.encode() for name in names}), tmp_path / "one"
    fs.get("", str(one / "target"), recursive=True)
    got = {str(path.relative_to(one)): path.read_text() for path in one.rglob("*") if path.is_file()}
    assert sorted(got.values()) == list(fs.pack)
    assert all(path.startswith("target/") for path in got)
    assert got["target/a/%2E%2E/b"] == "a/%2E%2E/b"
    assert got["target/a/%2E%2E/b~2"] == "a/../b"
    assert sorted(os.listdir(tmp_path)) == ["a.srcpack", "a.zip", "one"]


def test_a_name_of_very_many_folders_is_listed_as_one(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 102)
    fs = built(tmp_path, {deep: b"deep", deep[2:]: b"less"})
    assert fs.ls("", detail=False) == ["d", deep.replace("/", "%2F")]
    assert fs.cat_file(deep.replace("/", "%2F")) == b"deep"
    assert len(fs.find("")) == 2


# ---- what a listing costs


@pytest.mark.parametrize("doubled", [(2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1), (1, 2, 2), (2, 1, 2)])
def test_the_memory_of_a_listing_is_in_proportion_to_the_names(
    tmp_path: Path, doubled: tuple[int, int, int]
) -> None:
    """However many there are, however deep, and however long their components are."""
    before = memory_for_a_byte(tmp_path, 30, 24, 120)
    count, depth, length = doubled
    assert memory_for_a_byte(tmp_path, 30 * count, 24 * depth, 120 * length) < 1.25 * before


def memory_for_a_byte(folder: Path, count: int, depth: int, length: int) -> float:
    names = [f"{number:03}" + ("/" + "x" * length) * depth for number in range(count)]
    fs = built(folder, dict.fromkeys(names, b""))
    list(fs.pack)
    tracemalloc.start()
    try:
        assert len(fs.ls("")) == count
        return tracemalloc.get_traced_memory()[1] / sum(map(len, names))
    finally:
        tracemalloc.stop()


def test_the_time_of_a_listing_is_in_proportion_to_names_that_collide(tmp_path: Path) -> None:
    """All of these would be listed as `%2E/%2E/` and so on."""
    steps = [steps_of_a_listing(tmp_path, depth) / (depth * 2**depth) for depth in (4, 5, 6, 7)]
    assert steps[-1] <= steps[0]


def steps_of_a_listing(folder: Path, depth: int) -> int:
    names = ["/".join(choice) for choice in itertools.product((".", "%2E"), repeat=depth)]
    names += [f"{'/'.join(['%2E'] * depth)}~{number}" for number in range(5, len(names))]
    fs = built(folder, dict.fromkeys(names, b""))
    steps = itertools.count()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            next(steps)
        return trace if frame.f_code.co_filename == SOURCE else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        listed = fs.ls("/".join(["%2E"] * (depth - 1)), detail=False)
    finally:
        sys.settrace(before)
    assert len(set(listed)) == len(names)
    return next(steps)


# ---- contents


def test_contents_are_those_of_the_pack() -> None:
    fs = open_fs("lines")
    for name, entry in fs.pack.items():
        content = entry.read()
        assert fs.cat_file(name) == content
        ranges = [(0, 10), (4095, 4097), (-5, None), (None, -3), (5, 2), (7, 1 << 40), (-1 << 40, 3)]
        for start, end in ranges:
            assert fs.cat_file(name, start, end) == content[start:end]
        opened: Any = fs.open(name)
        with opened as file:
            assert file.read(5) + file.read() == content
            file.seek(-3, os.SEEK_END)
            assert file.read() == content[-3:]
    assert fs.cat(list(fs.pack)) == {name: entry.read() for name, entry in fs.pack.items()}
    assert fs.read_text("files/many-lines.c") == fs.pack["files/many-lines.c"].text()


def test_a_range_reads_only_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = open_fs("lines")
    read = calls_of(monkeypatch, PackFile, "read_part")
    fs.cat_file("files/many-lines.c", 4096, 8192)
    assert [number for _, number in read] == [1]


def test_a_damaged_member_says_so() -> None:
    fs = open_fs("broken-members")
    info = fs.info("files/wrong-crc.js")
    assert info["size"] == 0
    assert "CRC-32" in info["damage"]
    for ask in (fs.cat_file, fs.open):
        with pytest.raises(DamagedMember):
            ask("files/wrong-crc.js")
    with pytest.raises(LimitExceeded):
        SrcpackFileSystem(srcpack.open(PACKS / "app.srcpack", max_read=3)).cat_file(APP)


# ---- how it is opened


def test_a_chained_url_of_this_machine() -> None:
    path = (PACKS / "app.srcpack").absolute()
    text = srcpack.open(path)[APP].text()
    for url, options in ((f"::file://{path}", {}), (f"::{path}", {}), ("", {"fo": str(path)})):
        with fsspec.open(f"srcpack://{APP}{url}", "rt", **options) as file:
            assert file.read() == text
    opened = fsspec.open_files(f"srcpack://files/_/_/static/*.js::file://{path}")
    assert [file.path for file in opened] == matching(srcpack.open(path), "files/_/_/static/*.js")


@pytest.mark.parametrize("given", [Path, str, Path.read_bytes, srcpack.open, lambda _: BUNDLES / "app.zip"])
def test_it_opens_what_srcpack_opens(given: Callable[[Path], object]) -> None:
    path = PACKS / "app.srcpack"
    fs = fsspec.filesystem("srcpack", fo=given(path))
    for each in (fs, pickle.loads(pickle.dumps(fs))):
        assert each.cat_file(APP) == srcpack.open(path)[APP].read()
        assert each.find("") == list(srcpack.open(path))


def test_a_file_that_was_replaced_is_another_file_system(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    for name in ("app", "names"):
        (tmp_path / "new").write_bytes((PACKS / f"{name}.srcpack").read_bytes())
        os.replace(tmp_path / "new", path)
        assert len(fsspec.filesystem("srcpack", fo=str(path)).find("")) == len(open_fs(name).pack)


def test_other_targets_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="not read through 'memory'"):
        fsspec.open(f"srcpack://{APP}::memory://app.srcpack")
    with pytest.raises(ValueError, match="target_options"):
        fsspec.filesystem("srcpack", fo="app.srcpack", target_options={"key": "x"})
    with pytest.raises(FileNotFoundError):
        fsspec.filesystem("srcpack", fo="absent.srcpack")
    with pytest.raises(FormatError):
        fsspec.filesystem("srcpack", fo=b"no pack")


@pytest.fixture
def server() -> Iterator[RangeServer]:
    pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")
    with RangeServer({"/app.srcpack": (PACKS / "app.srcpack").read_bytes()}) as server:
        yield server


def test_a_pack_at_a_url_is_read_by_ranges(server: RangeServer) -> None:
    fs = fsspec.filesystem("srcpack", fo=f"{server.url}/app.srcpack")
    assert fs.cat_file(APP) == srcpack.open(PACKS / "app.srcpack")[APP].read()
    assert fs.find("") == list(srcpack.open(PACKS / "app.srcpack"))
    assert len(server.answers) == 1


@pytest.mark.parametrize(
    ("protocol", "fo", "expected"),
    [
        ("s3", "bucket/a b.srcpack", "s3://bucket/a b.srcpack"),
        ("gcs", "bucket/a.srcpack", "gs://bucket/a.srcpack"),
        ("az", "container/a.srcpack", "az://container/a.srcpack"),
        ("https", "https://host/a.srcpack?x=y", "https://host/a.srcpack?x=y"),
        ("file", "/folder/a.srcpack", "/folder/a.srcpack"),
    ],
)
def test_the_target_of_a_chained_url_is_opened_by_its_own(
    monkeypatch: pytest.MonkeyPatch, protocol: str, fo: str, expected: str
) -> None:
    pack = srcpack.open(PACKS / "app.srcpack")
    opener = Mock(return_value=pack)
    monkeypatch.setattr("srcpack.opening.open", opener)
    assert SrcpackFileSystem(fo, target_protocol=protocol, target_options={}).pack is pack
    opener.assert_called_once_with(expected)
