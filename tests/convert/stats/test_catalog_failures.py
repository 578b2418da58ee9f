"""What stays of a catalog when its update fails, and who sees what meanwhile."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from srcpack import Catalog, FormatError
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import CatalogReport, update_catalog
from support.fleet import Fleet

Write = Callable[..., Path]


class EndedError(BaseException):
    """As a signal is: no error of a pack."""


class Grown(NamedTuple):
    """A folder of which the catalog has one pack, and two were added; and what the catalog is."""

    folder: Path
    before: bytes


@pytest.fixture
def grown(write_urls: Write, fleet: Fleet) -> Grown:
    folder = write_urls("a.srcpack", "~/a").parent
    fleet.update(folder)
    write_urls("b.srcpack", "~/a")
    write_urls("c.srcpack", "~/c")
    return Grown(folder, fleet.path.read_bytes())


def at_the_last(act: Callable[[], object]) -> Callable[[str], object]:
    return lambda place: act() if place.endswith("c.srcpack") else None


def test_a_run_that_is_ended_leaves_the_catalog_as_it_was(grown: Grown, fleet: Fleet, tmp_path: Path) -> None:
    def end() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        fleet.update(grown.folder, reading=at_the_last(end))
    assert fleet.path.read_bytes() == grown.before
    assert not list(tmp_path.glob(".*"))
    assert fleet.update(grown.folder).read == 2


def test_a_run_that_is_killed_leaves_the_catalog_as_it_was(
    grown: Grown, fleet: Fleet, tmp_path: Path
) -> None:
    child = os.fork()
    if not child:
        fleet.update(grown.folder, reading=at_the_last(lambda: os._exit(9)))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert fleet.path.read_bytes() == grown.before
    assert len(list(tmp_path.glob(".*"))) == 1
    assert fleet.update(grown.folder).read == 2
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_an_error_that_names_the_catalog(
    write_urls: Write, grown: Grown, fleet: Fleet, tmp_path: Path
) -> None:
    write_urls("b.srcpack", *(f"~/{number}{'x' * 500}" for number in range(500)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(grown.before) + 10_000, hard))
    try:
        with pytest.raises(OSError, match="disk") as caught:
            fleet.update(grown.folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(fleet.path)
    assert fleet.failures == []
    assert fleet.path.read_bytes() == grown.before
    assert not list(tmp_path.glob(".*"))


def test_another_file_is_not_written_over(write_urls: Write, fleet: Fleet) -> None:
    path = write_urls("a.srcpack", "~/a")
    for content in (b"", b"no catalog at all", b"SQLite format 3\0" + bytes(200)):
        fleet.path.write_bytes(content)
        with pytest.raises(FormatError, match=f"^{fleet.path}: no catalog"):
            fleet.update(path)
        assert fleet.path.read_bytes() == content


def test_a_damaged_catalog_is_an_error_that_names_it(grown: Grown, fleet: Fleet) -> None:
    """Whatever SQLite, or the decoding of its messages, says of it; or a catalog comes of it."""
    refused: list[str] = []
    for place in [*range(0, len(grown.before), 97), *range(100, 1200, 7)]:
        data = bytearray(grown.before)
        data[place] ^= 0x80
        fleet.path.write_bytes(data)
        try:
            update_catalog(
                fleet.path,
                find_packs([f"{grown.folder}/a.srcpack", f"{grown.folder}/none/"]),
                failed=lambda _: None,
            )
        except FormatError as error:
            refused.append(str(error))
    assert len(refused) > 5
    assert all(each.startswith(f"{fleet.path}: ") for each in refused)


def test_who_reads_a_catalog_gets_the_new_one_when_it_is_whole(grown: Grown, fleet: Fleet) -> None:
    during: list[int] = []
    with Catalog(fleet.path) as catalog:
        fleet.update(grown.folder, reading=lambda _: during.append(len(catalog.by_url("~/a"))))
        assert (during, len(catalog.by_url("~/a")), len(catalog)) == ([1, 1], 2, 3)


def test_a_run_begins_with_the_catalog_that_it_opened(grown: Grown, fleet: Fleet) -> None:
    """Two runs at once: what the last one wrote stays, and it is whole."""
    other = Fleet(fleet.path.parent)
    report = fleet.update(grown.folder, reading=lambda _: other.update(grown.folder))
    assert report == CatalogReport(packs=3, unchanged=1, read=2)
    assert fleet.update(grown.folder) == CatalogReport(packs=3, unchanged=3)
