"""What a catalog has of many packs, how it is kept up to date, and what stays when that fails."""

import os
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Catalog, FileType, FormatError
from srcpack.rules.lookup_keys import DEBUG_ID, URL, key_of
from srcpack_convert.cli import main as cli
from srcpack_convert.inputs import packs as found
from srcpack_convert.inputs.packs import FoundPack, find_packs
from srcpack_convert.stats import catalog as catalogs
from srcpack_convert.stats.catalog import CatalogReport, PackFacts, update_catalog
from srcpack_convert.storage import StoredObject
from support import commands
from support.fleet import Fleet
from support.places import PACKS, ROOT
from support.s3_server import BUCKET, Bucket

HOSTILE = f"{commands.HOSTILE}'; DROP TABLE packs; --\0\""

Write = Callable[..., Path]


# ---- what is in it


def test_a_catalog_finds_the_packs_that_have_something_and_no_others(fleet: Fleet) -> None:
    """Held against the packs themselves, over all that any of them can be asked for."""
    report = fleet.update(PACKS)
    packs = {str(path): srcpack.open(path) for path in sorted(PACKS.glob("*.srcpack"), reverse=True)}
    assert (report.packs, report.read) == (len(packs), len(packs))
    records = [entry.record for pack in packs.values() for entry in pack.entries()]
    urls = {key for record in records if (key := key_of(record, URL)) is not None}
    ids = {key.split(" ")[0] for record in records if (key := key_of(record, DEBUG_ID)) is not None}
    assert len(urls) > 100
    assert len(ids) > 2
    with Catalog(fleet.path) as catalog:
        assert [pack.place for pack in catalog] == list(packs)
        for url in {*urls, "~/absent", ""}:
            expected = [path for path, pack in packs.items() if pack.by_url(url)]
            assert [pack.place for pack in catalog.by_url(url)] == expected
        for debug_id in {*ids, "00000000-0000-0000-0000-00000000abcd"}:
            having = [
                [path for path, pack in packs.items() if pack.by_debug_id(debug_id, each)]
                for each in FileType
            ]
            for each, expected in zip(FileType, having, strict=True):
                assert [found.place for found in catalog.by_debug_id(debug_id, each)] == expected
            found_any = [found.place for found in catalog.by_debug_id(debug_id.upper())]
            assert found_any == [path for path in packs if any(path in expected for expected in having)]
        for found_pack in catalog:
            pack = packs[found_pack.place]
            assert found_pack.size == os.path.getsize(found_pack.place)
            assert found_pack.files == len(pack)
            assert found_pack.release == pack.attributes.get("release")
            assert found_pack.dist == pack.attributes.get("dist")
            assert found_pack in catalog.by_bundle(pack.bundle.identity)
            assert found_pack in catalog.by_bundle(pack.bundle.identity.hex().upper())
        (app,) = catalog.by_object(packs[str(PACKS / "app.srcpack")].attributes["debug_id"])
        assert app.place == str(PACKS / "app.srcpack")


def test_a_release_is_asked_for_with_a_dist_without_one_or_with_any(write_urls: Write, fleet: Fleet) -> None:
    write_urls("a.srcpack", release="1")
    write_urls("b.srcpack", release="1", dist="x")
    write_urls("c.srcpack", release="1", dist="y")
    fleet.update(write_urls("d.srcpack", release="2", dist="x").parent)

    def names(*question: str | None) -> list[str]:
        return [os.path.basename(pack.place) for pack in catalog.by_release(*question)]  # type: ignore[arg-type]

    with Catalog(fleet.path) as catalog:
        assert names("1") == ["c.srcpack", "b.srcpack", "a.srcpack"]
        assert names("1", "x") == ["b.srcpack"]
        assert names("1", None) == ["a.srcpack"]
        assert names("3") == names("1", "z") == names("1", "") == []


def test_values_of_packs_are_only_values(write_urls: Write, fleet: Fleet) -> None:
    path = write_urls("a.srcpack", HOSTILE, "x" * 100_000, release=HOSTILE, dist="%")
    fleet.update(path)
    with Catalog(fleet.path) as catalog:
        (found_pack,) = catalog.by_url(HOSTILE)
        assert found_pack == catalog.by_release(HOSTILE, "%")[0] == catalog.by_url("x" * 100_000)[0]
        assert (found_pack.release, found_pack.dist) == (HOSTILE, "%")
        assert catalog.by_release("%") == catalog.by_url("\ud800") == []


def test_a_path_that_is_no_text_is_found_and_can_be_opened(write_urls: Write, fleet: Fleet) -> None:
    path = write_urls("a.srcpack", "~/a")
    try:
        os.rename(path, os.fsencode(path.parent) + b"/\xff.srcpack")
    except OSError:
        pytest.skip("this file system takes no such name")
    fleet.update(path.parent)
    with Catalog(fleet.path) as catalog:
        (found_pack,) = catalog
    assert found_pack.place == f"{path.parent}/\udcff.srcpack"
    assert srcpack.open(found_pack.place).by_url("~/a")
    assert fleet.update(path.parent).unchanged == 1


def test_relative_paths_are_kept_as_absolute_ones(
    write_urls: Write, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_urls("a.srcpack", "~/a")
    monkeypatch.chdir(path.parent)
    fleet.update(".", "a.srcpack", "../packs/a.srcpack", f"file://{path}")
    with Catalog(fleet.path) as catalog:
        assert [pack.place for pack in catalog] == [str(path)]


def test_a_url_with_secrets_is_refused_and_not_repeated(fleet: Fleet, write_urls: Write) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    report = fleet.update("https://user:pass@host/a.srcpack?sig=key", write_urls("a.srcpack", "~/a"))
    assert (report.packs, report.failed) == (1, 1)
    assert fleet.failures == [
        "https://host/a.srcpack: a catalog keeps no user name, password or query of a URL"
    ]
    assert b"pass" not in fleet.path.read_bytes()


# ---- kept up to date


def test_only_packs_that_were_changed_are_read_again(write_urls: Write, fleet: Fleet) -> None:
    """And where none was, nothing is written."""
    write_urls("a.srcpack", "~/old", release="1")
    folder = write_urls("b.srcpack", "~/b").parent
    assert fleet.update(folder) == CatalogReport(packs=2, read=2)
    before = fleet.path.stat()
    assert fleet.update(folder) == CatalogReport(packs=2, unchanged=2)
    assert fleet.read == []
    after = fleet.path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    path = write_urls("a.srcpack", "~/new", release="2")
    os.utime(path, ns=(1, 1))
    assert fleet.update(folder) == CatalogReport(packs=2, unchanged=1, read=1)
    assert fleet.read == [str(path)]
    assert [fleet.names(url) for url in ("~/old", "~/new", "~/b")] == [[], ["a.srcpack"], ["b.srcpack"]]
    assert fleet.count("urls") == 2


def test_of_packs_that_are_gone_nothing_stays(write_urls: Write, fleet: Fleet) -> None:
    folder = write_urls("a.srcpack", "~/a").parent
    write_urls("deep/b.srcpack", "~/b")
    write_urls("deep/c.srcpack", "~/c").rename(folder / "z.srcpack")
    fleet.update(folder)
    (folder / "deep" / "b.srcpack").unlink()
    (folder / "z.srcpack").rename(folder / "y.srcpack")
    assert fleet.update(folder) == CatalogReport(packs=2, unchanged=1, read=1, removed=2)
    assert (fleet.names("~/b"), fleet.names("~/c")) == ([], ["y.srcpack"])
    assert fleet.count("urls") == 2
    # The last one too, where it was named.
    assert fleet.update(folder / "a.srcpack", folder / "y.srcpack").unchanged == 2
    (folder / "y.srcpack").unlink()
    report = fleet.update(folder / "a.srcpack", folder / "y.srcpack")
    assert report == CatalogReport(packs=1, unchanged=1, removed=1, failed=1)


def test_bad_packs_are_told_each_time_and_the_rest_goes_on(write_urls: Write, fleet: Fleet) -> None:
    good = write_urls("a.srcpack", "~/a")
    bad = write_urls("b.srcpack", "~/b")
    write_urls("c.srcpack", "~/c")
    fleet.update(good.parent)
    content = bad.read_bytes()
    bad.write_bytes(content[:-1])
    for removed in (1, 0):
        report = fleet.update(good.parent)
        assert report == CatalogReport(packs=2, unchanged=2, failed=1, removed=removed)
        (failure,) = fleet.failures
        assert failure.startswith(f"{bad}: ")
        assert fleet.names("~/b") == []
    bad.write_bytes(content)
    assert fleet.update(good.parent) == CatalogReport(packs=3, unchanged=2, read=1)
    assert fleet.names("~/b") == ["b.srcpack"]


def test_what_is_below_an_input_that_cannot_be_listed_stays(
    write_urls: Write, fleet: Fleet, tmp_path: Path
) -> None:
    """A folder that is not mounted is absent, or empty."""
    folder = write_urls("mount/a.srcpack", "~/a").parent
    other = write_urls("other/b.srcpack", "~/b")
    write_urls("mountain.srcpack", "~/c")
    both = (folder, other.parent, tmp_path / "packs" / "mountain.srcpack")
    fleet.update(*both)
    folder.rename(tmp_path / "away")
    kept = CatalogReport(packs=3, unchanged=2, failed=1, kept=1)
    assert fleet.update(*both) == kept
    folder.mkdir()
    assert fleet.update(*both) == kept
    assert fleet.names("~/a") == ["a.srcpack"]
    pattern = f"{folder}/**/*.srcpack"
    assert fleet.update(pattern, *both[1:]) == kept
    # What is not named any more is gone.
    assert fleet.update(other.parent) == CatalogReport(packs=1, unchanged=1, removed=2)


def test_what_is_below_a_folder_that_cannot_be_read_stays(
    write_urls: Write, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_urls("a.srcpack", "~/a").parent
    write_urls("locked/b.srcpack", "~/b")
    fleet.update(folder)
    (folder / "a.srcpack").unlink()
    scandir = os.scandir

    def listing(path: str) -> Any:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)
    report = fleet.update(folder)
    assert (report.packs, report.kept, report.removed) == (1, 1, 1)
    assert fleet.names("~/b") == ["b.srcpack"]
    monkeypatch.undo()
    assert fleet.update(folder) == CatalogReport(packs=1, unchanged=1)


@pytest.mark.slow
def test_packs_in_a_bucket_are_known_by_their_etags(
    bucket: Bucket, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    app = (PACKS / "app.srcpack").read_bytes()
    folder, key = f"{bucket.url}/packs", "packs/deep/app.srcpack"
    one = bucket.write(key, app)
    bucket.write("packs/deep/many.srcpack", (PACKS / "many.srcpack").read_bytes())
    assert fleet.update(folder) == CatalogReport(packs=2, read=2)
    with Catalog(fleet.path) as catalog:
        assert [pack.place for pack in catalog.by_debug_id(commands.DEBUG_ID)] == [one]
    assert fleet.update(folder, one) == CatalogReport(packs=2, unchanged=2)
    bucket.write(key, app[:-1] + b"x")
    assert fleet.update(folder) == CatalogReport(packs=1, unchanged=1, failed=1, removed=1)
    bucket.client.delete_object(Bucket=BUCKET, Key=key)
    assert fleet.update(folder) == CatalogReport(packs=1, unchanged=1)
    # A store that cannot be asked, and a folder without a pack.
    for inputs in ((f"s3://{BUCKET}-none/x/", folder), (folder, f"{bucket.url}/none/")):
        assert fleet.update(*inputs) == CatalogReport(packs=1, unchanged=1, failed=1)
    monkeypatch.setattr(found, "list_objects", _unreachable)
    assert fleet.update(folder) == CatalogReport(packs=1, kept=1, failed=1)


def _unreachable(url: str) -> Any:
    raise ConnectionRefusedError(111, "the connection was refused", url)


def test_packs_of_a_store_are_read_side_by_side_and_bad_ones_told(fleet: Fleet) -> None:
    """A few at a time: for each of them answers are waited for."""
    urls = [f"s3://bucket/{number:03}.srcpack" for number in range(3 * catalogs._READERS)]
    packs = [FoundPack(url, stored=StoredObject(url, 7, 0.0, f'"{url}"')) for url in urls]
    together = threading.Barrier(catalogs._READERS)
    failures: list[str] = []

    def read(place: str) -> PackFacts:
        together.wait(60)
        if place == urls[5]:
            raise FormatError(place, "not a pack")
        return PackFacts(1, None, None, None, None, set(), {place})

    def update() -> CatalogReport:
        return update_catalog(fleet.path, packs, failed=lambda error: failures.append(str(error)), read=read)

    assert update() == CatalogReport(packs=len(urls) - 1, read=len(urls) - 1, failed=1)
    assert failures == [f"{urls[5]}: not a pack"]
    with Catalog(fleet.path) as catalog:
        assert [pack.place for url in urls for pack in catalog.by_url(url)] == urls[:5] + urls[6:]
    together.abort()
    failures.clear()
    with pytest.raises(threading.BrokenBarrierError):
        update()


def test_what_the_document_shows_is_what_comes_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8").replace("/tmp/", f"{tmp_path}/")
    blocks = iter(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    ran = 0
    for language, block in blocks:
        if language == "console":
            for command, output in re.findall(r"^\$ srcpack (.*)\n((?:[^$\n].*\n)*)", block, re.MULTILINE):
                assert cli.run(shlex.split(command)) == 0
                printed = capfd.readouterr().out
                assert output in {"", printed}
                ran += bool(printed)
        elif language == "python":
            exec(block, {})
            assert capfd.readouterr().out == next(blocks)[1]
            ran += 1
    assert ran == 7


def test_progress_is_told_of_each_pack(write_urls: Write, fleet: Fleet) -> None:
    paths = [str(write_urls(f"{name}.srcpack", "~/a")) for name in "ab"]
    told: list[tuple[str, int]] = []
    catalogs.update_catalog(
        fleet.path,
        find_packs(paths),
        failed=print,
        progress=lambda name, so_far: told.append((name, so_far.read)),
    )
    assert told == [(paths[0], 0), (paths[1], 1)]
