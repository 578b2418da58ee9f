"""Where packs go, and that no two inputs get one output."""

import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import srcpack
from srcpack_convert import BatchProgress, FailureReport, convert_many
from srcpack_convert.many import outputs as outputs_module
from srcpack_convert.many.outputs import Outputs, pack_name
from support.batches import batch, failure_of, packs, statuses, write


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.zip", "a.srcpack"), ("a", "a.srcpack"), ("a.ZIP", "a.ZIP.srcpack"), ("d/.zip", "d/.zip.srcpack")],
)
def test_names_of_packs(name: str, pack: str) -> None:
    assert pack_name(name) == pack


def test_packs_are_put_as_their_zips_are(bundles: Path, out: Path) -> None:
    reports = batch([bundles], out)
    assert statuses(reports) == dict.fromkeys(["a.zip", "c.zip", "d.zip"], "converted")
    assert list(packs(out)) == ["a.srcpack", "b/c.srcpack", "b/d.srcpack"]
    with srcpack.open(out / "b" / "c.srcpack") as pack:
        assert pack["files/0.js"].text() == "f0('b/c.zip');\n"
    batch([bundles], out.with_name("flat"), flat=True)
    assert list(packs(out.with_name("flat"))) == ["a.srcpack", "c.srcpack", "d.srcpack"]


def test_two_inputs_never_get_one_output(tmp_path: Path, out: Path) -> None:
    """The later one fails, and says whose it is; nothing is written twice."""
    write(tmp_path, ["one/a.zip", "two/a.zip", "two/a", "two/b/a.zip"])
    sources = [tmp_path / "one", tmp_path / "two"]
    with ThreadPoolExecutor(1) as executor:
        reports = [*convert_many(sources, out, executor=executor)]
    failed = {report.source: report.reason for report in reports if isinstance(report, FailureReport)}
    owner = f"its output {out}/a.srcpack is already that of {tmp_path}/one/a.zip"
    assert failed == {f"{tmp_path}/two/a": owner, f"{tmp_path}/two/a.zip": owner}
    assert list(packs(out)) == ["a.srcpack", "b/a.srcpack"]
    with srcpack.open(out / "a.srcpack") as pack:
        assert pack["files/0.js"].text() == "f0('one/a.zip');\n"


def test_an_input_that_is_named_twice_is_converted_once(bundles: Path, out: Path) -> None:
    told: list[BatchProgress] = []
    reports = batch([bundles, bundles / "a.zip", bundles / "*.zip"], out, progress=told.append)
    assert len(reports) == 3
    assert (told[-1].found, told[-1].done, told[-1].is_all) == (3, 3, True)


@pytest.mark.parametrize(
    ("relative", "output"),
    [
        ("x//y.zip", "x/y.srcpack"),
        ("./x/./y.zip", "x/y.srcpack"),
        ("x/../y.zip", "y.srcpack"),
        ("../../y.zip", "y.srcpack"),
        ("/y.zip", "y.srcpack"),
        ("x/y/", "x/y.srcpack"),
    ],
)
def test_an_output_has_one_spelling_and_is_never_outside(tmp_path: Path, relative: str, output: str) -> None:
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.of(relative) == output


def test_a_link_is_no_second_output(tmp_path: Path) -> None:
    """Neither one in the place of a folder nor one in the place of a pack."""
    write(tmp_path, {"real/b.srcpack": b""})
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/c.srcpack").symlink_to("b.srcpack")
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("real/a.srcpack", "/1.zip") is None
        assert outputs.take("link/a.srcpack", "/2.zip") == ("/1.zip", False)
        assert outputs.take("link/b.srcpack", "/3.zip") is None
        assert outputs.take("real/c.srcpack", "/4.zip") == ("/3.zip", False)
        assert outputs.take("other/a.srcpack", "/5.zip") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://host/get?id=1", "https://host/get?id=2"),
        ("https://host/get?id=1", "https://host/get"),
        ("https://one@host/get", "https://other@host/get"),
        ("/host/get", "https://host/get"),
    ],
)
def test_what_is_secret_in_a_url_may_be_what_names_the_object(tmp_path: Path, one: str, other: str) -> None:
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("get.srcpack", one) is None
        assert outputs.take("get.srcpack", one) == (one.partition("?")[0].replace("one@", ""), True)
        owner = outputs.take("get.srcpack", other)
        assert owner is not None
        assert not owner.is_same


def test_one_file_under_two_names_is_the_same_input(tmp_path: Path) -> None:
    write(tmp_path / "in", ["a.zip"])
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/a.zip").write_bytes(b"another")
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("a.srcpack", f"{tmp_path}/in/a.zip") is None
        assert outputs.take("a.srcpack", f"{tmp_path}/link/a.zip") == (f"{tmp_path}/in/a.zip", True)
        assert outputs.take("a.srcpack", f"{tmp_path}/copy/a.zip") == (f"{tmp_path}/in/a.zip", False)


def test_names_that_differ_by_case_are_one_where_the_file_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("A\u0308.srcpack", "one") is None
        assert outputs.take("\xe4.srcpack", "two") is None
    monkeypatch.setattr(outputs_module, "_folds_names", lambda *_, **__: True)
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("A\u0308.srcpack", "/one") is None
        assert outputs.take("\xe4.srcpack", "/two") == ("/one", False)


@pytest.mark.parametrize("differs", [str.swapcase, lambda name: unicodedata.normalize("NFD", name)])
def test_the_file_system_is_asked_by_a_file_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, differs: Callable[[str], str]
) -> None:
    """Which is not there any more afterwards; a dry run asks for the folder's own name."""
    lexists = os.path.lexists

    def folding(path: str) -> bool:
        return lexists(path) or any(differs(name) == os.path.basename(path) for name in os.listdir(tmp_path))

    assert not outputs_module._folds_names(str(tmp_path), may_write=True)
    monkeypatch.setattr(os.path, "lexists", folding)
    assert outputs_module._folds_names(str(tmp_path), may_write=True)
    assert not os.listdir(tmp_path)
    assert not outputs_module._folds_names(str(tmp_path), may_write=False)
    (tmp_path.parent / tmp_path.name.swapcase()).symlink_to(tmp_path)
    assert outputs_module._folds_names(str(tmp_path), may_write=False)
    assert not outputs_module._folds_names(str(tmp_path / "none"), may_write=True)


def test_a_destination_is_neither_a_file_nor_the_source(tmp_path: Path) -> None:
    write(tmp_path, ["a.srcpack.zip"])
    (tmp_path / "a.srcpack.srcpack").symlink_to("a.srcpack.zip")
    report = failure_of(batch([tmp_path / "a.srcpack.zip"], tmp_path, force=True)["a.srcpack.zip"])
    assert report.reason.endswith("source and destination are one file")
    with pytest.raises(FileExistsError):
        batch([tmp_path / "a.srcpack.zip"], tmp_path / "a.srcpack.zip")
