"""Which packs and bundles names stand for."""

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from srcpack_convert.inputs.packs import find_packs
from support.places import BUNDLES, PACKS


def found(*names: object, **options: Any) -> list[str]:
    """Return what is found; of what cannot be looked at, the name and why."""
    packs = find_packs([str(name) for name in names], **options)
    return [each.place if each.error is None else f"{each.place}: {reason(each.error)}" for each in packs]


def reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def listed(names: Iterable[bytes], end: bytes = b"\n") -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(b"".join(name + end for name in names)))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to search, which the working folder has as `in`."""
    pack, bundle = (PACKS / "app.srcpack").read_bytes(), (BUNDLES / "app.zip").read_bytes()
    contents = {
        "a.srcpack": pack, "named otherwise": pack, "b/c.srcpack": b"cut", "b/d.zip": bundle,
        "b/bundle": bundle, "b/._d.zip": b"\0\5\x16\7", "b/e.txt": b"text", "b/cut.zip": b"",
    }  # fmt: skip
    for name, content in contents.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


@pytest.mark.usefixtures("tree")
def test_a_name_that_can_be_none_is_told_and_the_rest_goes_on() -> None:
    names = [b"a\0b/c.srcpack", b"in/a.srcpack", b"\0"]
    assert found(listed=listed(names)) == [
        "a\0b/c.srcpack: 'a\\x00b/c.srcpack': embedded null byte",
        "in/a.srcpack",
        "\0: '\\x00': embedded null byte",
    ]
    assert found("", "in/a.srcpack") == [": a name is empty; . is the working folder", "in/a.srcpack"]


@pytest.mark.usefixtures("tree")
def test_a_folder_has_what_begins_as_a_pack_and_what_is_named_as_one() -> None:
    packs = ["in/a.srcpack", "in/b/c.srcpack", "in/named otherwise"]
    assert found("in") == packs
    assert found("in", with_zips=True) == [
        "in/a.srcpack", "in/b/bundle", "in/b/c.srcpack", "in/b/cut.zip", "in/b/d.zip", "in/named otherwise",
    ]  # fmt: skip


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*", ["in/a.srcpack", "in/b/c.srcpack", "in/named otherwise"]),
        ("in/**/*.srcpack", ["in/a.srcpack", "in/b/c.srcpack"]),
        ("in/b/e.*", ["in/b/e.txt"]),
        ("in/[x]*", ["in/[x]*: no pack in it"]),
    ],
)
def test_a_pattern_stands_for_files_whatever_they_are_and_for_the_packs_in_folders(
    pattern: str, expected: list[str]
) -> None:
    assert found(pattern) == expected


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_lists_name_packs_and_no_patterns(end: bytes) -> None:
    names = listed([b"in/b/c.srcpack", b"in/*", b"in/a.srcpack"], end)
    expected = ["in/a.srcpack", "in/b/c.srcpack", "in/*"]
    assert found("in/a.srcpack", listed=names, zero=end == b"\0") == expected


def test_what_is_no_list_is_said_to_be_none() -> None:
    names = io.BufferedReader(io.BytesIO(bytes(100 << 10)))
    (only,) = found(listed=names)
    assert "it is no list" in only


@pytest.mark.usefixtures("tree")
def test_each_pack_is_found_once_by_whatever_name() -> None:
    os.symlink("a.srcpack", "in/link.srcpack")
    os.symlink("b", "in/link")
    url = f"file://{os.getcwd()}/in"
    names = [
        "in/a.srcpack",
        "./in/../in/a.srcpack",
        f"{url}/a.srcpack",
        "in/a*",
        "in/link",
        "in/named otherwise",
    ]
    expected = ["in/a.srcpack", "in/link/c.srcpack", "in/named otherwise"]
    assert found(*names, f"{url}/named%20otherwise") == expected


@pytest.mark.usefixtures("tree")
def test_what_is_named_is_found_whether_or_not_it_is_there() -> None:
    assert found("none", "-", "in/b/e.txt") == ["none", "-", "in/b/e.txt"]
    Path("-").touch()
    assert found("-", "./-") == ["-", "./-"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_cannot_be_listed_is_told(tree: Path) -> None:
    (tree / "b").chmod(0)
    try:
        assert "in/b: Permission denied" in found("in")
    finally:
        (tree / "b").chmod(0o700)


@pytest.mark.parametrize("many", ["packs", b"packs", PACKS])
def test_a_single_text_is_not_taken_for_many(many: Any) -> None:
    with pytest.raises(TypeError, match="names takes many"):
        find_packs(many)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "http:///a.srcpack", "file://elsewhere/packs"])
def test_a_url_that_cannot_be_used_is_told(url: str) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    (only,) = found(url)
    assert only.startswith(f"{url}: ")


def test_of_packs_in_one_folder_the_folder_s_path_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "packs"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.srcpack").write_bytes(b"")
    (folder / "link.srcpack").symlink_to("00.srcpack")
    (tmp_path / "linked").symlink_to(folder)
    asked: list[str] = []
    realpath = os.path.realpath

    def noting(path: str) -> str:
        asked.append(path)
        return realpath(path)

    monkeypatch.setattr(os.path, "realpath", noting)
    found = list(find_packs([str(folder), f"{tmp_path}/linked", f"{folder}/../packs/01.srcpack"]))
    assert len(found) == 20
    link = "link.srcpack"
    assert asked == [
        *(str(folder), f"{folder}/{link}"),
        *(f"{tmp_path}/linked", f"{tmp_path}/linked/{link}"),
        f"{folder}/../packs",
    ]
