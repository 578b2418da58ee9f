"""What a catalog has of many packs, how it is kept up to date, and what stays when that fails."""

import os
import re
import resource
import shlex
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Catalog, FileType, FormatError
from srcpack.rules.lookup_keys import DEBUG_ID, URL, key_of
from srcpack_convert import convert
from srcpack_convert.cli import main as cli
from srcpack_convert.inputs import packs as found
from srcpack_convert.inputs.packs import FoundPack, find_packs
from srcpack_convert.stats import catalog as catalogs
from srcpack_convert.stats.catalog import CatalogReport, PackFacts, read_facts, update_catalog
from srcpack_convert.storage import StoredObject
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID as APP_ID
from support.places import PACKS, ROOT
from support.s3_server import BUCKET, S3Server

HOSTILE = "\x1b]0;title\x07\u202e'; DROP TABLE packs; --\0\r\n\""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a pack with a file for each URL, below the folder `packs`."""

    def write(name: str, *urls: str, **manifest: Any) -> Path:
        path = tmp_path / "packs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files = {f"{number}": {"type": "source", "url": url} for number, url in enumerate(urls)}
        bundle = build_bundle(
            {file: url.encode() for file, url in zip(files, urls, strict=True)}, {"files": files, **manifest}
        )
        path.unlink(missing_ok=True)
        convert(bundle, path, preset="raw", verify=False)
        return path

    return write


class Fleet:
    """A catalog, and what its last update opened and complained of."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "catalog.db"
        self.read: list[str] = []
        self.failures: list[str] = []

    def update(self, *inputs: object) -> CatalogReport:
        self.read.clear()
        self.failures.clear()
        report = update_catalog(
            self.path,
            find_packs(map(str, inputs)),
            failed=lambda error: self.failures.append(str(error)),
            read=self._read,
        )
        assert report.read <= len(self.read)
        if self.path.exists():
            with Catalog(self.path) as catalog:
                assert report.packs == len(catalog)
        return report

    def _read(self, place: str) -> PackFacts:
        self.read.append(place)
        return read_facts(place)

    def names(self, url: str) -> list[str]:
        with Catalog(self.path) as catalog:
            return [os.path.basename(pack.place) for pack in catalog.by_url(url)]

    def count(self, table: str) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            ((count,),) = connection.execute(f"SELECT count(*) FROM {table}")
        return int(count)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*"))


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
            of_any = []
            for path, pack in packs.items():
                types = {each for each in FileType if pack.by_debug_id(debug_id, each)}
                of_any += [path] * bool(types)
                for each in FileType:
                    is_in = path in [found.place for found in catalog.by_debug_id(debug_id, each)]
                    assert is_in == (each in types)
            assert [found.place for found in catalog.by_debug_id(debug_id.upper())] == of_any
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


def test_a_release_is_asked_for_with_a_dist_without_one_or_with_any(write: Write, fleet: Fleet) -> None:
    write("a.srcpack", release="1")
    write("b.srcpack", release="1", dist="x")
    write("c.srcpack", release="1", dist="y")
    fleet.update(write("d.srcpack", release="2", dist="x").parent)

    def names(*question: str | None) -> list[str]:
        return [os.path.basename(pack.place) for pack in catalog.by_release(*question)]  # type: ignore[arg-type]

    with Catalog(fleet.path) as catalog:
        assert names("1") == ["c.srcpack", "b.srcpack", "a.srcpack"]
        assert names("1", "x") == ["b.srcpack"]
        assert names("1", None) == ["a.srcpack"]
        assert names("3") == names("1", "z") == names("1", "") == []


def test_values_of_packs_are_only_values(write: Write, fleet: Fleet) -> None:
    path = write("a.srcpack", HOSTILE, "x" * 100_000, release=HOSTILE, dist="%")
    fleet.update(path)
    with Catalog(fleet.path) as catalog:
        (found_pack,) = catalog.by_url(HOSTILE)
        assert found_pack == catalog.by_release(HOSTILE, "%")[0] == catalog.by_url("x" * 100_000)[0]
        assert (found_pack.release, found_pack.dist) == (HOSTILE, "%")
        assert catalog.by_release("%") == catalog.by_url("\ud800") == []


def test_a_path_that_is_no_text_is_found_and_can_be_opened(write: Write, fleet: Fleet) -> None:
    path = write("a.srcpack", "~/a")
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
    write: Write, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.srcpack", "~/a")
    monkeypatch.chdir(path.parent)
    fleet.update(".", "a.srcpack", "../packs/a.srcpack", f"file://{path}")
    with Catalog(fleet.path) as catalog:
        assert [pack.place for pack in catalog] == [str(path)]


def test_a_url_with_secrets_is_refused_and_not_repeated(fleet: Fleet, write: Write) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    report = fleet.update("https://user:pass@host/a.srcpack?sig=key", write("a.srcpack", "~/a"))
    assert (report.packs, report.failed) == (1, 1)
    assert fleet.failures == [
        "https://host/a.srcpack: a catalog keeps no user name, password or query of a URL"
    ]
    assert b"pass" not in fleet.path.read_bytes()


# ---- kept up to date


def test_unchanged_packs_are_not_opened_and_nothing_is_written(write: Write, fleet: Fleet) -> None:
    write("a.srcpack", "~/a")
    folder = write("b.srcpack", "~/b").parent
    assert fleet.update(folder) == CatalogReport(packs=2, read=2)
    before = fleet.path.stat()
    assert fleet.update(folder) == CatalogReport(packs=2, unchanged=2)
    assert fleet.read == []
    after = fleet.path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_pack_that_was_changed_is_read_again(write: Write, fleet: Fleet) -> None:
    write("a.srcpack", "~/old", release="1")
    folder = write("b.srcpack", "~/b").parent
    fleet.update(folder)
    path = write("a.srcpack", "~/new", release="2")
    os.utime(path, ns=(1, 1))
    assert fleet.update(folder) == CatalogReport(packs=2, unchanged=1, read=1)
    assert fleet.read == [str(path)]
    assert (fleet.names("~/old"), fleet.names("~/new"), fleet.names("~/b")) == (
        [],
        ["a.srcpack"],
        ["b.srcpack"],
    )
    assert fleet.count("urls") == 2


def test_of_packs_that_are_gone_nothing_stays(write: Write, fleet: Fleet) -> None:
    folder = write("a.srcpack", "~/a").parent
    write("deep/b.srcpack", "~/b")
    write("deep/c.srcpack", "~/c").rename(folder / "z.srcpack")
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


def test_bad_packs_are_told_each_time_and_the_rest_goes_on(write: Write, fleet: Fleet) -> None:
    good = write("a.srcpack", "~/a")
    bad = write("b.srcpack", "~/b")
    write("c.srcpack", "~/c")
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
    write: Write, fleet: Fleet, tmp_path: Path
) -> None:
    """A folder that is not mounted is absent, or empty."""
    folder = write("mount/a.srcpack", "~/a").parent
    other = write("other/b.srcpack", "~/b")
    write("mountain.srcpack", "~/c")
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
    write: Write, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write("a.srcpack", "~/a").parent
    write("locked/b.srcpack", "~/b")
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
    s3: S3Server, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore", reason="URLs need obstore")
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    client = s3.empty()
    for name in ("app", "many"):
        body = (PACKS / f"{name}.srcpack").read_bytes()
        client.put_object(Bucket=BUCKET, Key=f"packs/deep/{name}.srcpack", Body=body)
    folder, one = f"s3://{BUCKET}/packs", f"s3://{BUCKET}/packs/deep/app.srcpack"
    assert fleet.update(folder) == CatalogReport(packs=2, read=2)
    with Catalog(fleet.path) as catalog:
        assert [pack.place for pack in catalog.by_debug_id(APP_ID)] == [one]
    assert fleet.update(folder, one) == CatalogReport(packs=2, unchanged=2)
    client.put_object(
        Bucket=BUCKET, Key="packs/deep/app.srcpack", Body=(PACKS / "app.srcpack").read_bytes()[:-1] + b"x"
    )
    assert fleet.update(folder) == CatalogReport(packs=1, unchanged=1, failed=1, removed=1)
    client.delete_object(Bucket=BUCKET, Key="packs/deep/app.srcpack")
    assert fleet.update(folder) == CatalogReport(packs=1, unchanged=1)
    # A store that cannot be asked, and a folder without a pack.
    for inputs in ((f"s3://{BUCKET}-none/x/", folder), (folder, f"s3://{BUCKET}/none/")):
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


# ---- what stays when it fails


class EndedError(BaseException):
    """As a signal is: no error of a pack."""


def test_a_run_that_is_ended_leaves_the_catalog_as_it_was(write: Write, fleet: Fleet, tmp_path: Path) -> None:
    folder = write("a.srcpack", "~/a").parent
    fleet.update(folder)
    before = fleet.path.read_bytes()
    write("b.srcpack", "~/b")
    write("c.srcpack", "~/c")

    def read(place: str) -> PackFacts:
        if place.endswith("c.srcpack"):
            raise EndedError
        return read_facts(place)

    with pytest.raises(EndedError):
        update_catalog(fleet.path, find_packs([str(folder)]), failed=print, read=read)
    assert fleet.path.read_bytes() == before
    assert leftovers(tmp_path) == []
    assert fleet.update(folder).read == 2


def test_a_run_that_is_killed_leaves_the_catalog_as_it_was(
    write: Write, fleet: Fleet, tmp_path: Path
) -> None:
    folder = write("a.srcpack", "~/a").parent
    fleet.update(folder)
    before = fleet.path.read_bytes()
    write("b.srcpack", "~/b")
    write("c.srcpack", "~/c")

    def read(place: str) -> PackFacts:
        if place.endswith("c.srcpack"):
            os._exit(9)
        return read_facts(place)

    child = os.fork()
    if not child:
        update_catalog(fleet.path, find_packs([str(folder)]), failed=print, read=read)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert fleet.path.read_bytes() == before
    assert len(leftovers(tmp_path)) == 1
    assert fleet.update(folder).read == 2
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_an_error_that_names_the_catalog(write: Write, fleet: Fleet, tmp_path: Path) -> None:
    folder = write("a.srcpack", "~/a").parent
    fleet.update(folder)
    before = fleet.path.read_bytes()
    write("b.srcpack", *(f"~/{number}{'x' * 500}" for number in range(500)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10_000, hard))
    try:
        with pytest.raises(OSError, match="disk") as caught:
            fleet.update(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(fleet.path)
    assert fleet.failures == []
    assert fleet.path.read_bytes() == before
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no catalog at all", b"SQLite format 3\0" + bytes(200)])
def test_another_file_is_not_written_over(write: Write, fleet: Fleet, content: bytes) -> None:
    path = write("a.srcpack", "~/a")
    fleet.path.write_bytes(content)
    with pytest.raises(FormatError, match=f"^{fleet.path}: no catalog"):
        update_catalog(fleet.path, find_packs([str(path)]), failed=print)
    assert fleet.path.read_bytes() == content


def test_a_damaged_catalog_is_an_error_that_names_it(write: Write, fleet: Fleet) -> None:
    """Whatever SQLite, or the decoding of its messages, says of it; or a catalog comes of it."""
    folder = write("a.srcpack", "~/a").parent
    fleet.update(folder)
    whole = fleet.path.read_bytes()
    refused: list[str] = []
    for place in [*range(0, len(whole), 97), *range(100, 1200, 7)]:
        data = bytearray(whole)
        data[place] ^= 0x80
        fleet.path.write_bytes(data)
        try:
            update_catalog(fleet.path, find_packs([str(folder), f"{folder}/none/"]), failed=lambda _: None)
        except FormatError as error:
            refused.append(str(error))
    assert len(refused) > 5
    assert all(each.startswith(f"{fleet.path}: ") for each in refused)


def test_who_reads_a_catalog_gets_the_new_one_when_it_is_whole(write: Write, fleet: Fleet) -> None:
    folder = write("a.srcpack", "~/a").parent
    fleet.update(folder)
    write("b.srcpack", "~/a")
    during: list[int] = []

    def read(place: str) -> PackFacts:
        during.append(len(catalog.by_url("~/a")))
        return read_facts(place)

    with Catalog(fleet.path) as catalog:
        update_catalog(fleet.path, find_packs([str(folder)]), failed=print, read=read)
        assert (during, len(catalog.by_url("~/a")), len(catalog)) == ([1], 2, 2)


def test_a_run_begins_with_the_catalog_that_it_opened(write: Write, fleet: Fleet) -> None:
    """Two runs at once: what the last one wrote stays, and it is whole."""
    folder = write("a.srcpack", "~/a").parent
    fleet.update(folder)
    write("b.srcpack", "~/b")

    def read(place: str) -> PackFacts:
        update_catalog(fleet.path, find_packs([str(folder)]), failed=print)
        return read_facts(place)

    report = update_catalog(fleet.path, find_packs([str(folder)]), failed=print, read=read)
    assert report == CatalogReport(packs=2, unchanged=1, read=1)
    assert fleet.update(folder) == CatalogReport(packs=2, unchanged=2)


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


def test_progress_is_told_of_each_pack(write: Write, fleet: Fleet) -> None:
    paths = [str(write(f"{name}.srcpack", "~/a")) for name in "ab"]
    told: list[tuple[str, int]] = []
    catalogs.update_catalog(
        fleet.path,
        find_packs(paths),
        failed=print,
        progress=lambda name, so_far: told.append((name, so_far.read)),
    )
    assert told == [(paths[0], 0), (paths[1], 1)]
