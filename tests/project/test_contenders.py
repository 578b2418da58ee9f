"""The contenders of the benchmarks give the right answers, of bundles that are made the same each time."""

import shutil
import zipfile
from functools import partial
from pathlib import Path

import pytest
from benchmarks import contenders, formats, workloads, workspace

from srcpack.bundle.members import SourceBundle
from srcpack.rules.context import get_context
from support.bundle_builder import build_bundle, directory_record, end64_records, end_record
from support.places import ROOT


def _odd_bundle(path: Path) -> None:
    """A bundle with what readers stumble over: an empty file, one URL twice, long and strange names."""
    files = [
        workloads.File("files/empty.js", b"", {"type": "minified_source", "url": "~/empty.js"}),
        workloads.File("files/a.js", b"first\n" * 50, {"type": "source", "url": "~/same.js"}),
        workloads.File("files/b.js", b"second\n" * 50, {"type": "source", "url": "~/same.js"}),
        workloads.File("files/no-url.c", bytes(range(256)) * 40, {"type": "source", "path": "/no-url.c"}),
        workloads.File(
            "files/\u00fcber/\u6f22.js",
            "\u6f22\n".encode(),
            {"url": "~/\u6f22.js", "headers": {"X-SourceMap": "m"}},
        ),
        workloads.File(f"files/{'long/' * 150}x.js", b"x" * 5000, {"url": "https://e.test/" + "u" * 700}),
        *workloads.javascript(5, [3000] * 12),
    ]
    workloads.write_bundle(path, files)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> workspace.Workspace:
    work = workspace.Workspace(tmp_path_factory.mktemp("odd"))
    work.add("odd", _odd_bundle)
    for bundle in ("app", "many", "broken-members", "names"):
        work.add(bundle, partial(shutil.copy, ROOT / "fixtures" / "bundles" / f"{bundle}.zip"))
    return work


@pytest.mark.parametrize("contender", contenders.ALL, ids=lambda contender: contender.name)
def test_a_contender_gives_the_right_answers(
    contender: type[contenders.Contender], odd: workspace.Workspace
) -> None:
    """All members by name, all URLs, and misses; another thread's too; lines and references."""
    if (why := contender.skipped()) is not None:
        pytest.skip(why)
    for bundle in ("odd", "app", "many", "names"):
        material = odd.material(bundle)
        contender.forget()
        with contender(odd.file(bundle, contender.format)) as store:
            contenders.check(store, material)
            own = store.own()
            contenders.check(own, material)
            if own is not store:
                own.close()
    with contender(odd.file("odd", contender.format)) as store:
        found = store.find("~/\u6f22.js")
        assert store.reference(found, store.read(found)) == "m"
        assert store.read(store.find("~/same.js")) == b"second\n" * 50  # the greatest name has it
        for line in (1, 3, 30, 49, 50):
            expected = get_context("second\n" * 50, line)
            assert store.context(store.find("~/same.js"), line) == expected is not None
        assert store.context(store.find("~/same.js"), 51) is None


def test_lines_of_a_content_of_many_pieces() -> None:
    """Counted in steps, found in the last one."""
    content = b"".join(b"%d\n" % number for number in range(1, 60_001))
    for line in (1, 5, 6, 10_000, 31_415, 59_999, 60_000, 60_001):
        assert contenders.lines_around(content, line) == get_context(content.decode(), line)


def test_early_lines_of_a_long_member(tmp_path: Path) -> None:
    """What is inflated no further than needed gives the same lines as the whole."""
    content = b"".join(b"line %d %d\n" % (number, number * 7919 % 10007) for number in range(1, 60_001))
    path = tmp_path / "long.zip"
    workloads.write_bundle(path, [workloads.File("files/l.js", content, {"url": "~/l.js"})])
    with contenders.MappedZipStream(path) as store:
        for line in (1, 7, 29_999, 45_678, 59_998, 60_000, 60_001):
            assert store.context("files/l.js", line) == contenders.lines_around(content, line)


def test_a_mapped_zip_with_over_65535_members(tmp_path: Path) -> None:
    """Its end is of another form."""
    data = build_bundle({"last": b"content"}, {}, header=b"")
    contents, records = data[: data.index(b"PK\1\2")], data[data.index(b"PK\1\2") : data.index(b"PK\5\6")]
    directory = directory_record(b"other") * 65_540 + records
    end = end64_records(65_542, len(contents), len(contents + directory), len(directory))[:76]
    path = tmp_path / "many.zip"
    path.write_bytes(contents + directory + end + end_record(0xFFFF, len(contents), len(directory)))
    with contenders.MappedZip(path) as store:
        assert store.get("last") == b"content"
        assert store.member("other")


def test_a_mapped_zip_checks_the_crc(tmp_path: Path) -> None:
    """As `zipfile` does, or the comparison would be unfair."""
    path = tmp_path / "damaged.zip"
    workloads.write_bundle(path, [workloads.File("file", bytes(range(256)), {})])
    with contenders.MappedZip(path) as store:
        assert store.get("file") == bytes(range(256))
    path.write_bytes(path.read_bytes().replace(b"\x0c\x0d\x0e", b"\x0c\x0d\x0f"))
    with (
        contenders.MappedZip(path) as store,
        pytest.raises(zipfile.BadZipFile, match="file: not the size or CRC-32"),
    ):
        store.get("file")


def test_wrong_bytes_are_told(odd: workspace.Workspace) -> None:
    """A contender that gives something else is not timed."""
    material = odd.material("odd")
    with contenders.Zip(odd.file("odd", "zip")) as store:
        store.read = lambda _: b"something else"
        with pytest.raises(contenders.WrongBytesError, match="zipfile: "):
            contenders.check(store, material)
    with contenders.Zip(odd.file("odd", "zip")) as store:
        store.find = lambda _: "files/a.js"
        with pytest.raises(contenders.WrongBytesError, match="zipfile: "):
            contenders.check(store, material)


def test_members_that_zipfile_cannot_read_are_left_out(odd: workspace.Workspace) -> None:
    """Every format holds just the readable ones."""
    material = odd.material("broken-members")
    with zipfile.ZipFile(odd.file("broken-members", "zip")) as bundle:
        assert 0 < len(material.contents) < len(bundle.namelist()) - 1
    for form in ("zip, stored", "zip, zstd", "sqlar", "SQLite, zstd"):
        contender = next(each for each in contenders.ALL if each.format == form and not each.needs)
        with contender(odd.file("broken-members", form)) as store:
            contenders.check(store, material)


def test_a_missing_package_is_skipped_by_name(odd: workspace.Workspace) -> None:
    """The table says which contender is not there, and why."""

    class Absent(contenders.Zip):
        name = "absent"
        needs = ("no_such_package",)

    assert workspace.able([Absent, contenders.Zip]) == [contenders.Zip]
    rows = workspace.skipped_rows([Absent, contenders.Zip])
    assert rows == [{"way": "absent (skipped: package no_such_package is missing)"}]
    with odd.opened("odd", [Absent, contenders.Zip]) as stores:
        assert [store.name for store in stores] == ["zipfile"]


def test_the_names_of_contenders_are_one_each() -> None:
    """Tables and results tell them apart by it."""
    assert len(contenders.BY_NAME) == len(contenders.ALL)
    assert all(contender.line and contender.format in formats.FORMATS for contender in contenders.ALL)


# ---- generated bundles


@pytest.mark.parametrize("name", sorted(workloads.SHAPES))
def test_a_generated_bundle_is_the_same_each_time_and_has_its_shape(name: str, tmp_path: Path) -> None:
    """Number of files and median of sizes are the shape's; it opens as a SourceBundle."""
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    for path in (first, second):
        workloads.generate_bundle(workloads.SHAPES[name], path, scale=0.02)
    assert first.read_bytes() == second.read_bytes()
    shape = workloads.SHAPES[name]
    with SourceBundle(first) as bundle:
        sizes = sorted(member.size for member in bundle.members.values())
        assert len(sizes) == len(bundle.manifest.files) == max(8, round(shape.files * 0.02))
        assert sizes[len(sizes) // 2] == pytest.approx(shape.size_at(0.5), rel=0.5)


def test_sizes_between_quantiles() -> None:
    """The quantiles themselves, and in proportion between them."""
    shape = workloads.SHAPES["js-many"]
    assert [shape.size_at(p) for p in (0.0, 0.25, 0.5, 1.0)] == [87, 588, 1091, 549075]
    assert 588 < shape.size_at(0.3) < shape.size_at(0.4) < 1091
