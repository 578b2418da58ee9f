"""Extraction: names become paths that are safe everywhere, and nothing is written outside the folder."""

import errno
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import srcpack
from srcpack import NotFound
from srcpack_convert.back.extract import _HAS_NAMELESS, Problem, extract, safe_path, safe_paths
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import damaged_bundle

DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"}
DEVICES |= {f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"}
HOSTILE = [
    "/etc/passwd", "//server/share/x", "\\\\server\\share\\x", "C:\\x", "C:/x", "C:x", "../x",
    "a/../../x", "..", ".", "", "/", "a/", "a//b", "..\\x", "x\0y", "CON", "nul.txt", "a/Aux .c",
    "COM¹", "dot.", "space ", "a.c:stream", "\x1b[31mred", "\x9b31m", "x\u202etxt.exe", "~", "-rf",
    "n" * 300, "ä" * 200, "d/" * 200 + "f", "x/" * 50 + "y" * 3000, "a", "a/b", "a~2", "%2E%2E", "A",
    "a%5Cb", "a\\b", "x|y", "w*?", "new\nline",
]  # fmt: skip

# Pieces that mean something to some system, between any text.
names = st.lists(st.one_of(st.sampled_from([*HOSTILE, "/", "\\", "."]), st.text(max_size=8)), max_size=6).map(
    "".join
)


def pack_of(tmp_path: Path, files: dict[str, bytes]) -> srcpack.Pack:
    manifest = {"files": {name: {"type": "source"} for name in files}}
    convert(build_bundle(files, manifest), tmp_path / "a.srcpack", verify=False, frame_size=4096)
    return srcpack.open(tmp_path / "a.srcpack")


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_safe(path: tuple[str, ...]) -> None:
    assert path
    for component in path:
        assert component not in ("", ".", "..")
        assert not re.search(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u202a-\u202e\u2066-\u2069]', component)
        assert component[-1] not in ". "
        assert component.split(".")[0].rstrip(" ").lower() not in DEVICES
        assert len(component.encode()) <= 255
    assert len("/".join(path).encode()) <= 2048
    assert len(path) <= 100


@given(names)
def test_any_name_becomes_a_path_that_is_safe_on_every_system(name: str) -> None:
    path = safe_path(name)
    assert_safe(path)
    assert safe_path("/".join(path)) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("files/_/_/a b.min.js", ("files", "_", "_", "a b.min.js")),
        ("files/ä/[id].tsx", ("files", "ä", "[id].tsx")),
        (".hidden/a..b/...c", (".hidden", "a..b", "...c")),
        ("console.js", ("console.js",)),
        ("100%/a%20b", ("100%", "a%20b")),
        ("/etc/passwd", ("%2F", "etc", "passwd")),
        ("a//b/", ("a", "%2F", "b", "%2F")),
        ("../..", ("%2E%2E", "%2E%2E")),
        ("C:\\x", ("C%3A%5Cx",)),
        ("a.c:stream", ("a.c%3Astream",)),
        ("x\0y", ("x%00y",)),
        ("\x9b1m", ("%C2%9B1m",)),
        ("Nul.txt", ("%4Eul.txt",)),
        ("dot./space ", ("dot%2E", "space%20")),
        ("", ("%2F",)),
    ],
)
def test_what_offends_is_percent_encoded_and_nothing_else_changes(name: str, path: tuple[str, ...]) -> None:
    assert safe_path(name) == path


def test_too_long_components_and_paths_are_cut_and_stay_different() -> None:
    assert [len(safe_path("x" * n)[0]) for n in (255, 256)] == [255, 217]
    assert safe_path("x" * 256) != safe_path("x" * 257)
    assert len(safe_path("d/" * 100 + "name")) == 1
    assert safe_path("d/" * 100 + "name") != safe_path("e/" * 100 + "name")


@given(st.sets(names, max_size=12), st.booleans())
@example(set(HOSTILE), True)
@example({"a\\b", "a%5Cb", "a%5Cb~2", "a%5Cb~3/x"}, False)
def test_no_two_members_are_in_each_others_way(names: set[str], fold_case: bool) -> None:
    paths = safe_paths(names, fold_case=fold_case)
    assert paths.keys() == names
    keys = [
        tuple(component.lower() if fold_case else component for component in path) for path in paths.values()
    ]
    assert len(set(keys)) == len(keys)
    folders = {key[:depth] for key in keys for depth in range(1, len(key))}
    assert not folders.intersection(keys)
    for path in paths.values():
        assert_safe(path)


def test_a_file_makes_way_for_a_folder_and_an_unsafe_name_for_a_safe_one() -> None:
    assert safe_paths(["a", "a/b", "a~2", "x%5Cy", "x\\y"]) == {
        "a": ("a~3",),
        "a/b": ("a", "b"),
        "a~2": ("a~2",),
        "x%5Cy": ("x%5Cy",),
        "x\\y": ("x%5Cy~2",),
    }


def test_names_that_differ_in_case_or_accent_encoding_are_told_apart_where_the_system_does_not() -> None:
    names = ["A.js", "a.js", "dir/x", "Dir", "\u00e9", "e\u0301"]
    assert all("/".join(path) == name for name, path in safe_paths(names).items())
    assert safe_paths(names, fold_case=True) == {
        "A.js": ("A.js",),
        "a.js": ("a.js~2",),
        "Dir": ("Dir~2",),
        "dir/x": ("dir", "x"),
        "e\u0301": ("e\u0301",),
        "\u00e9": ("\u00e9~2",),
    }


def test_a_number_does_not_make_a_name_too_long() -> None:
    # Two unsafe names of the greatest length that become the same.
    names = ["x" * 252 + "\\", "x" * 252 + "%5C"]
    paths = safe_paths(names)
    assert paths[names[1]] == (names[1],)
    (other,) = paths[names[0]]
    assert other.startswith("x" * 100)
    assert other.endswith("~2")
    assert len(other) <= 255


def test_many_names_that_map_to_one_place_take_no_square_time() -> None:
    names = {format(n, "013b").replace("0", "\\").replace("1", "%5C") for n in range(1 << 13)}
    assert len(set(safe_paths(names).values())) == 1 << 13


def test_hostile_names_are_written_below_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    files = {name: f"content of {number}".encode() for number, name in enumerate(HOSTILE)}
    folder = tmp_path / "in" / "out"
    with pack_of(tmp_path, files) as pack:
        report = extract(pack, folder)
        assert report.files == len(files)
        assert report.problems == []
        assert sorted(files_below(folder).values()) == sorted(files.values())
        for name, content in files.items():
            assert (folder / report.renamed.get(name, name)).read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["a.srcpack", "in"]
    assert os.listdir(tmp_path / "in") == ["out"]


def test_where_a_member_goes_does_not_depend_on_what_is_asked_for(tmp_path: Path) -> None:
    with pack_of(tmp_path, {"a": b"1", "a/b": b"2"}) as pack:
        assert extract(pack, tmp_path / "out", ["a"]).renamed == {"a": "a~2"}
    assert files_below(tmp_path / "out") == {"a~2": b"1"}


def test_names_and_prefixes_choose_members_once_each(tmp_path: Path) -> None:
    with pack_of(tmp_path, {"a/1": b"", "a/2": b"2", "ab": b"3", "c": b"4"}) as pack:
        assert extract(pack, tmp_path / "out", ["a/", "a/2", "c"]).files == 3
    assert files_below(tmp_path / "out") == {"a/1": b"", "a/2": b"2", "c": b"4"}


@pytest.mark.parametrize("name", ["nothing", "nothing/", "a"])
def test_unknown_name_is_told_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pack_of(tmp_path, {"a/1": b"1"}) as pack, pytest.raises(NotFound, match=f"no entry '{name}'"):
        extract(pack, tmp_path / "out", ["a/1", name])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("single", ["a/1", b"a/1"])
def test_a_single_name_is_not_taken_for_many(tmp_path: Path, single: Any) -> None:
    with pack_of(tmp_path, {"a/1": b"1"}) as pack, pytest.raises(TypeError, match="names takes many"):
        extract(pack, tmp_path / "out", single)
    assert not (tmp_path / "out").exists()


def test_existing_files_stay_unless_forced(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a").write_bytes(b"old")
    with pack_of(tmp_path, {"a": b"new", "b": b"b"}) as pack:
        report = extract(pack, folder)
        assert report.problems == [Problem(member="a", reason="a: File exists")]
        assert files_below(folder) == {"a": b"old", "b": b"b"}
        assert extract(pack, folder, force=True).problems == []
    assert files_below(folder) == {"a": b"new", "b": b"b"}


@pytest.mark.parametrize("force", [False, True])
def test_links_in_the_folder_lead_no_write_outside(tmp_path: Path, force: bool) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    folder.mkdir()
    (outside / "file").write_bytes(b"old")
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "file")
    (folder / "dangling").symlink_to(outside / "new")
    (folder / "is").mkdir()
    with pack_of(tmp_path, {"link/a": b"x", "file": b"x", "dangling": b"x", "is": b"x", "ok": b"x"}) as pack:
        report = extract(pack, folder, force=force)
    assert files_below(outside) == {"file": b"old"}
    assert (folder / "ok").read_bytes() == b"x"
    in_the_way = {"link/a", "is"} if force else {"link/a", "is", "file", "dangling"}
    assert {problem.member for problem in report.problems} == in_the_way
    if force:
        assert not (folder / "file").is_symlink()
    assert not list(folder.rglob("*.tmp"))


def test_a_folder_that_could_not_be_entered_does_not_lead_later_files_astray(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b").write_bytes(b"in the way")
    with pack_of(tmp_path, {"a/b/c": b"1", "top": b"2", "a/z": b"3"}) as pack:
        report = extract(pack, folder)
    assert report.problems == [Problem(member="a/b/c", reason="a/b/c: Not a directory")]
    assert files_below(folder) == {"a/b": b"in the way", "top": b"2", "a/z": b"3"}


def test_damaged_members_are_reported_and_the_rest_is_written(tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "a.srcpack")
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        report = extract(pack, tmp_path / "out")
        damaged = [entry for entry in pack.entries() if entry.damage]
        assert report.problems == [Problem(member=entry.name, reason=str(entry.damage)) for entry in damaged]
    assert [problem.member for problem in report.problems] == ["bad000", "gone"]
    assert files_below(tmp_path / "out") == {"ok": b"ok"}


@pytest.mark.parametrize("frame", [0, 1])
def test_nothing_is_left_of_a_content_that_is_damaged_in_the_pack(tmp_path: Path, frame: int) -> None:
    text = "".join(f"{number} " for number in range(3000)).encode()
    with pack_of(tmp_path, {"d/long": text, "ok": b"ok"}) as pack:
        place = pack["d/long"].record.frames[frame]
    data = bytearray((tmp_path / "a.srcpack").read_bytes())
    data[place.offset + place.length // 2] ^= 1
    with srcpack.open(bytes(data)) as pack:
        report = extract(pack, tmp_path / "out")
    assert [problem.member for problem in report.problems] == ["d/long"]
    assert files_below(tmp_path / "out") == {"ok": b"ok"}


def test_a_full_disk_ends_it_and_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_entry: srcpack.Entry) -> Iterator[bytes]:
        yield b"part"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("srcpack.Entry.parts", full)
    with pack_of(tmp_path, {"d/a": b"1"}) as pack, pytest.raises(OSError, match="No space") as caught:
        extract(pack, tmp_path / "out")
    assert Path(caught.value.filename) == tmp_path / "out" / "d" / "a"
    assert files_below(tmp_path / "out") == {}


def test_file_systems_without_hard_links_are_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pack_of(tmp_path, {"d/a": b"1"}) as pack:
        assert extract(pack, tmp_path / "out").problems == []
    assert files_below(tmp_path / "out") == {"d/a": b"1"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that threads and forks do not mix
def test_a_process_that_is_killed_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """Where the system has files without a name."""
    if not _HAS_NAMELESS:
        pytest.skip("no files without a name on this system")

    def interrupted(_entry: srcpack.Entry) -> Iterator[bytes]:
        yield b"first"
        os.kill(os.getpid(), signal.SIGKILL)

    with pack_of(tmp_path, {"a": b"1"}) as pack:
        child = os.fork()
        if not child:
            srcpack.Entry.parts = interrupted  # type: ignore[method-assign, assignment]
            extract(pack, tmp_path / "out", force=True)
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        assert files_below(tmp_path / "out") == {}
        assert extract(pack, tmp_path / "out", force=True).files == 1
    assert files_below(tmp_path / "out") == {"a": b"1"}


@pytest.mark.parametrize("force", [False, True])
def test_where_files_have_names_from_the_start_the_same_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    monkeypatch.setattr("srcpack_convert.back.extract._HAS_NAMELESS", False)
    with pack_of(tmp_path, {"d/a": b"1", "b": b"2"}) as pack:
        assert extract(pack, tmp_path / "out", force=force).problems == []
    assert files_below(tmp_path / "out") == {"d/a": b"1", "b": b"2"}


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"

    def meanwhile(_entry: srcpack.Entry) -> Iterator[bytes]:
        yield b"first"
        (folder / "a").write_bytes(b"of another")
        yield b"second"

    monkeypatch.setattr("srcpack.Entry.parts", meanwhile)
    with pack_of(tmp_path, {"a": b"1"}) as pack:
        assert extract(pack, folder).problems == [Problem(member="a", reason="a: File exists")]
    assert files_below(folder) == {"a": b"of another"}


def test_many_folders_need_few_descriptors(tmp_path: Path) -> None:
    files = {f"{number}/" + "d/" * 90 + "f": b"" for number in range(20)}
    with pack_of(tmp_path, files) as pack:
        before = len(os.listdir("/dev/fd"))
        assert extract(pack, tmp_path / "out").files == 20
        assert len(os.listdir("/dev/fd")) == before
