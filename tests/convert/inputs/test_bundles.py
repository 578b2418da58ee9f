"""Which files are inputs of a batch, and where their packs would go."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert import Inputs, convert_many
from support.batches import bundle_of, write
from support.bundle_builder import ZipMember, build_zip

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(40)


def found(*sources: object, **options: Any) -> list[tuple[str, str]]:
    """Return sources, as seen from the working folder, and where their packs go; or the problem."""
    return [
        (each.source.removeprefix(f"{os.getcwd()}/"), each.problem or each.relative)
        for each in Inputs([str(source) for source in sources], **options)
    ]


def listing(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(content))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to search, which the working folder has as `in`."""
    write(
        tmp_path / "in",
        {
            "z.zip": bundle_of(),
            "b/named otherwise": bundle_of(),
            "b/deep/er/x.zip": build_zip([ZipMember(name="manifest.json", content=b"{}")]),
            "b/.hidden.zip": bundle_of(),
            "a/cut.ZIP": b"",
            "a/notes.txt": b"no zip",
            "a/short": b"PK",
        },
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def test_folders_are_searched_for_what_begins_as_a_bundle(tree: Path) -> None:
    """In the order of names; what is named `.zip` is an input whatever it holds."""
    inputs = Inputs([tree])
    for _ in range(2):
        names = ["a/cut.ZIP", "b/.hidden.zip", "b/deep/er/x.zip", "b/named otherwise", "z.zip"]
        assert [each.relative for each in inputs] == names
        assert inputs.ignored == 2
    (_, _, _, _, last) = inputs
    assert last.size == (tree / "z.zip").stat().st_size
    assert last.stamp == str((tree / "z.zip").stat().st_mtime_ns)


def test_links_to_files_are_followed_and_those_to_folders_are_not(tree: Path) -> None:
    """So a folder that holds itself ends; a link that is named is followed."""
    (tree / "a" / "link").symlink_to("../z.zip")
    (tree / "a" / "up").symlink_to("..")
    (tree / "a" / "itself").symlink_to("itself")
    (tree / "a" / "gone").symlink_to("nothing")
    os.mkfifo(tree / "a" / "pipe")
    inputs = Inputs(["in/a"])
    assert [each.relative for each in inputs] == ["cut.ZIP", "link"]
    assert inputs.ignored == 6
    names = ["b/.hidden.zip", "b/deep/er/x.zip", "b/named otherwise", "z.zip"]
    assert [relative for _, relative in found("in/a/up", exclude=["a"])] == names


def test_a_file_that_is_named_is_an_input_or_a_problem(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    write(tree, ["x[1].zip"])
    assert found("in/a/notes.txt", "in/x[1].zip", "in/none", "in/pipe") == [
        ("in/a/notes.txt", "notes.txt"),
        ("in/x[1].zip", "x[1].zip"),
        ("in/none", "No such file or directory"),
        ("in/pipe", "it is no regular file"),
    ]
    for name in ("in/\0", "in/../\0"):
        ((_, problem),) = found(name)
        assert "embedded null" in problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_cannot_be_read_is_a_problem(tree: Path) -> None:
    (tree / "a").chmod(0)
    (tree / "z.zip").chmod(0)
    try:
        problems = dict(found("in"))
    finally:
        (tree / "a").chmod(0o755)
    assert problems["in/a"] == problems["in/z.zip"] == "Permission denied"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["*.zip"]}, ["b/.hidden.zip", "b/deep/er/x.zip", "z.zip"]),
        ({"include": ["b/*"]}, ["b/.hidden.zip", "b/deep/er/x.zip", "b/named otherwise"]),
        ({"include": ["b/*"], "exclude": ["*.zip"]}, ["b/named otherwise"]),
        ({"exclude": ["b"]}, ["a/cut.ZIP", "z.zip"]),
        ({"exclude": ["deep"]}, ["a/cut.ZIP", "b/.hidden.zip", "b/named otherwise", "z.zip"]),
        ({"exclude": ["b/deep"], "include": ["b/*"]}, ["b/.hidden.zip", "b/named otherwise"]),
        ({"exclude": ["?.zip", "a/*"]}, ["b/.hidden.zip", "b/named otherwise"]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("tree")
def test_patterns_choose_from_folders(options: Any, expected: list[str]) -> None:
    """With a slash they are for the relative path, without for its last part too."""
    assert [relative for _, relative in found("in", **options)] == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.zip", [("in/z.zip", "z.zip")]),
        ("in/**/*.zip", [("in/b/deep/er/x.zip", "b/deep/er/x.zip"), ("in/z.zip", "z.zip")]),
        ("in/b/**/er/*", [("in/b/deep/er/x.zip", "deep/er/x.zip")]),
        ("in/?/*.t?t", [("in/a/notes.txt", "a/notes.txt")]),
        ("in/b/.*", [("in/b/.hidden.zip", ".hidden.zip")]),
        ("i[n]/b/d*", [("in/b/deep/er/x.zip", "in/b/deep/er/x.zip")]),
        ("in/**/deep/**", [("in/b/deep/er/x.zip", "b/deep/er/x.zip")]),
        ("in/*.jar", [("in/*.jar", "no file matches the pattern")]),
    ],
)
def test_patterns_name_files_and_folders(tree: Path, pattern: str, expected: list[tuple[str, str]]) -> None:
    """As a shell's, but in constant memory; a folder that matches is searched."""
    assert found(pattern) == found(tree.parent / pattern) == found(f".//{pattern}") == expected
    assert found("in/**") == found("in")


@pytest.mark.usefixtures("tree")
def test_a_pattern_does_not_search_what_it_cannot_match(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    scandir = os.scandir

    def recorded(path: str) -> Any:
        searched.append(os.path.relpath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recorded)
    assert found("in/b/*.zip") == [("in/b/*.zip", "no file matches the pattern")]
    assert searched == ["in/b"]


@pytest.mark.parametrize("zero", [False, True])
def test_a_list_names_files(tree: Path, zero: bool) -> None:
    """By the path as it is listed, however that is spelled; `..` and a first slash lead nowhere else."""
    odd = os.fsdecode(b"in/\xff")
    write(tree.parent, {odd: bundle_of()})
    whole = str(tree / "z.zip")
    names = ["in/z.zip", "", whole, "./in//z.zip", "in/../in/z.zip", f"../{tree.parent.name}/in/z.zip"]
    names += [odd, "in", "none", "in/z.zip\r"]
    end = b"\0" if zero else b"\n"
    expected = [
        ("in/z.zip", "in/z.zip"),
        ("in/z.zip", whole),
        ("in/z.zip", "in/z.zip"),
        ("in/z.zip", "in/z.zip"),
        ("in/z.zip", whole),
        (odd, odd),
        ("in", "it is a folder"),
        ("none", "No such file or directory"),
        ("in/z.zip\r", "No such file or directory") if zero else ("in/z.zip", "in/z.zip"),
    ]
    assert found(listed=listing(end.join(map(os.fsencode, names))), zero=zero) == expected
    windows = listing(b"in/z.zip\r\n\r\nin/b/.hidden.zip\r\n")
    assert [relative for _, relative in found(listed=windows)] == ["in/z.zip", "in/b/.hidden.zip"]


@pytest.mark.usefixtures("tree")
def test_what_can_be_no_input_is_a_problem_and_the_rest_of_the_list_is_read() -> None:
    problems = {
        "file://host/x": "another host",
        "s3:///x": "no bucket",
        "ftp://u:hunter2@host/x?hunter2": "cannot be used",
        "s3:/bucket/x": "two slashes",
        "\0": "null",
    }
    told = found(listed=listing("\n".join([*problems, "in/z.zip"]).encode()))
    assert told.pop() == ("in/z.zip", "in/z.zip")
    assert [source for source, _ in told] == [
        name.replace("u:hunter2@host/x?hunter2", "host/x") for name in problems
    ]
    for (_, problem), expected in zip(told, problems.values(), strict=True):
        assert expected in problem
        assert "hunter2" not in problem
    assert found(*problems, "in/z.zip") == [*told, ("in/z.zip", "z.zip")]


def test_a_name_is_there_as_soon_as_it_was_written() -> None:
    """However long the rest takes."""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as listed, open(write_end, "wb", buffering=0) as writer:
        writer.write(b"one\ntw")
        inputs = iter(Inputs([], listed=listed))
        assert next(inputs).relative == "one"
        writer.write(b"o\n")
        assert next(inputs).relative == "two"


class Endless(io.RawIOBase):
    """A list without an end: a name, and then the same byte again and again."""

    name = "endless"

    def __init__(self, byte: bytes) -> None:
        self._next = b"in/z.zip\n" if byte == b"\n" else b"in/z.zip\0"
        self._byte = byte

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block, self._next = self._next, self._byte * 4096
        buffer[: len(block)] = block
        return len(block)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(("byte", "zero"), [(b"x", True), (b"\0", True), (b"\n", False)])
def test_a_list_without_an_end_is_refused_where_it_is_no_list(byte: bytes, zero: bool) -> None:
    """As `/dev/zero`: one name of any length, or nothing but ends of names. What came before counts."""
    first, refused = found(listed=io.BufferedReader(Endless(byte)), zero=zero)
    assert first == ("in/z.zip", "in/z.zip")
    assert refused == ("endless", "it is no list: it has 65,536 bytes without a name, or in one")


@pytest.mark.usefixtures("tree")
def test_a_list_that_cannot_be_read_to_its_end_is_a_problem() -> None:
    class Torn(Endless):
        def readinto(self, buffer: Any) -> int:
            if self._next != b"in/z.zip\n":
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    told = found(listed=io.BufferedReader(Torn(b"\n")))
    assert told == [("in/z.zip", "in/z.zip"), ("endless", "Input/output error")]


@pytest.mark.parametrize(
    "options",
    [
        {"sources": "in"},
        {"sources": b"in"},
        {"sources": Path("in")},
        {"sources": [], "include": "*.zip"},
        {"sources": [], "exclude": "*.zip"},
    ],
)
def test_a_single_text_is_never_taken_for_many(options: Any) -> None:
    """Else its characters would be inputs, the first of which is `/` often."""
    name = list(options)[-1]
    with pytest.raises(TypeError, match=f"^{name} takes many: put a single one into a list$"):
        Inputs(**options)


def test_an_empty_name_is_not_the_working_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the value of a variable that is not set, most often."""
    monkeypatch.chdir(tree)
    (found,) = Inputs([""])
    assert found.problem == "a name is empty; . is the working folder"
    for wrong in (
        lambda: Inputs(["."], base=""),
        lambda: convert_many(["."], ""),
        lambda: convert_many(["."], "out", state=""),
    ):
        with pytest.raises(ValueError, match="a name is empty"):
            wrong()


def test_what_macos_puts_beside_a_bundle_is_passed_over(tree: Path) -> None:
    """Where it is named too, as by `find -name '*.zip'`; but not what is only named so."""
    contents = {"app.zip": bundle_of(), "._app.zip": APPLE_DOUBLE, "._b.zip": bundle_of(), "._c.zip": b""}
    write(tree / "mac", contents)
    listed = listing(b"in/mac/._app.zip\nin/mac/._b.zip\n")
    for sources in (["in/mac"], ["in/mac/.*.zip", "in/mac/*"], ["in/mac/._app.zip", "in/mac/app.zip"]):
        inputs = Inputs(sources)
        assert "._app.zip" not in [each.relative for each in inputs]
        assert inputs.ignored == 1
    assert [name for _, name in found("in/mac")] == ["._b.zip", "._c.zip", "app.zip"]
    assert [name for _, name in found(listed=listed)] == ["in/mac/._b.zip"]


def test_paths_count_from_the_folder_in_which_inputs_were_made(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(["in/b", "in/*.zip"], base="in", listed=listing(b"in/z.zip"))
    expected = [(each.source, each.relative) for each in Inputs([tree / "b", tree / "z.zip"], base=tree)]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found_later = [(each.source, each.relative) for each in inputs]
    assert found_later == [*expected, expected[-1]]


def test_a_path_behind_a_link_is_what_the_system_says(tree: Path) -> None:
    """`a/../z.zip` is no other name of `z.zip` where `a` is a link to a folder elsewhere."""
    write(tree, {"far/off/x": b"", "far/z.zip": bundle_of("another")})
    (tree / "link").symlink_to("far/off")
    (each,) = Inputs([tree / "link/../z.zip"])
    assert each.source == str(tree / "far/z.zip")


def test_a_folder_that_is_gone_takes_only_relative_names_with_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    inputs = Inputs([tree / "z.zip", "z.zip"])
    assert [each.problem for each in inputs] == [None, "No such file or directory"]


def test_inputs_show_no_secrets() -> None:
    (each,) = Inputs(["https://user:hunter2@host/x.zip?hunter2"])
    assert "hunter2" not in repr(each)
    assert b"hunter2" in pickle.dumps(each)  # who converts it needs it


def test_a_base_decides_where_packs_go(tree: Path) -> None:
    assert found("in/b/deep", "in/z.zip", base="in") == [
        ("in/b/deep/er/x.zip", "b/deep/er/x.zip"),
        ("in/z.zip", "z.zip"),
    ]
    assert found("in/z.zip", base="in/b") == [("in/z.zip", f"it is not below {tree / 'b'}")]
    for base in ("./in/", tree, "in//b/.."):
        assert found("in/b/deep", base=base) == [("in/b/deep/er/x.zip", "b/deep/er/x.zip")]
