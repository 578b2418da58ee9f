"""Many bundles: which files are inputs, where their packs go, what is skipped, and what survives whom."""

import hashlib
import io
import json
import os
import pty
import random
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack_convert import (
    BatchProgress,
    BatchReport,
    ConversionReport,
    FailureReport,
    Inputs,
    Limits,
    PlanReport,
    SkipReport,
    convert_many,
)
from srcpack_convert.cli import main as cli
from srcpack_convert.many import outputs as outputs_module
from srcpack_convert.many import tasks as tasks_module
from srcpack_convert.many.batch import memory_bound, memory_of
from srcpack_convert.many.outputs import Outputs, pack_name
from srcpack_convert.many.resume import STATE_NAME, State
from srcpack_convert.many.tasks import Known, Task, VersionMismatch, run_task
from srcpack_convert.many.workers import WorkerDied, WorkerProcesses
from srcpack_convert.one.options import Options
from support.bundle_builder import ZipMember, build_bundle, build_zip
from support.dying_worker import Deadly, deaths_of
from support.many import make_many
from support.places import BUNDLES, CORPUS, ROOT

HOSTILE_NAME = "\x1b]0;title\x07\x9b31m\u202egnp.[bold]x[red]\x7f\n"


def bundle_of(text: str = "", files: int = 2) -> bytes:
    """Return a bundle; another text, other bytes of the same size if the texts have one."""
    contents = {f"files/{number}.js": f"f{number}('{text}');\n".encode() for number in range(files)}
    return build_bundle(contents, {"files": {name: {"type": "source"} for name in contents}})


def damaged_bundle() -> bytes:
    members = [
        ZipMember(name="bad", content=b"bad", crc=1),
        ZipMember(name="manifest.json", content=b'{"files": {"bad": {}}}'),
    ]
    return build_zip(members)


def write(folder: Path, contents: Mapping[str, bytes] | Iterable[str]) -> Path:
    """Write files into a folder; by names alone, a bundle each."""
    if not isinstance(contents, Mapping):
        contents = {name: bundle_of(name) for name in contents}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return write(tmp_path / "in", ["a.zip", "b/c.zip", "b/d.zip"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def batch(sources: Any, out: Path, **options: Any) -> dict[str, BatchReport]:
    """Convert in threads of this process, and return the reports by the last part of the source."""
    with ThreadPoolExecutor(2) as executor:
        options = {"executor": executor, "jobs": 2, **options}
        reports = list(convert_many(sources, out, **options))
    found = {os.path.basename(report.source): report for report in reports}
    assert len(found) == len(reports)
    return found


def statuses(reports: Mapping[str, BatchReport]) -> dict[str, str]:
    return {name: report.status for name, report in reports.items()}


def packs(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, by path, but the state."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != STATE_NAME
    }


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def failure_of(report: BatchReport) -> FailureReport:
    assert isinstance(report, FailureReport)
    return report


# ---- which files are inputs


def found(*sources: object, **options: Any) -> list[tuple[str, str]]:
    """Return source and relative path of what is found, relative to the working folder; or the problem."""
    return [
        (each.source, each.problem or each.relative)
        for each in Inputs([str(source) for source in sources], **options)
    ]


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
        assert [each.relative for each in inputs] == [
            "a/cut.ZIP",
            "b/.hidden.zip",
            "b/deep/er/x.zip",
            "b/named otherwise",
            "z.zip",
        ]
        assert inputs.ignored == 2


def test_inputs_know_size_and_time(tree: Path) -> None:
    (each,) = Inputs([tree / "z.zip"])
    assert each.size == (tree / "z.zip").stat().st_size
    assert each.stamp == str((tree / "z.zip").stat().st_mtime_ns)


def test_links_to_files_are_followed_and_those_to_folders_are_not(tree: Path) -> None:
    """So a folder that holds itself ends; a link that is named is followed."""
    (tree / "a" / "link").symlink_to("../z.zip")
    (tree / "a" / "up").symlink_to("..")
    (tree / "a" / "itself").symlink_to("itself")
    (tree / "a" / "gone").symlink_to("nothing")
    os.mkfifo(tree / "a" / "pipe")
    inputs = Inputs(["in/a"])
    assert [each.source for each in inputs] == ["in/a/cut.ZIP", "in/a/link"]
    assert inputs.ignored == 6
    assert [relative for _, relative in found("in/a/up", exclude=["a"])] == [
        "b/.hidden.zip",
        "b/deep/er/x.zip",
        "b/named otherwise",
        "z.zip",
    ]


def test_a_file_that_is_named_is_an_input_or_a_problem(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert found("in/a/notes.txt", "in/none", "in/pipe") == [
        ("in/a/notes.txt", "notes.txt"),
        ("in/none", "No such file or directory"),
        ("in/pipe", "it is no regular file"),
    ]
    ((_, problem),) = found("in/\0")
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
    assert found(pattern) == expected
    assert found(tree.parent / pattern) == [
        (str(tree.parent / source), relative) for source, relative in expected
    ]


@pytest.mark.usefixtures("tree")
def test_all_below_a_folder_is_the_folder() -> None:
    assert found("in/**") == found("in")


@pytest.mark.usefixtures("tree")
def test_a_pattern_does_not_search_what_it_cannot_match(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    scandir = os.scandir

    def recorded(path: str) -> Any:
        searched.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recorded)
    assert found("in/b/*.zip") == [("in/b/*.zip", "no file matches the pattern")]
    assert searched == ["in/b"]


def test_a_name_that_exists_is_no_pattern(tree: Path) -> None:
    write(tree, ["x[1].zip"])
    assert found("in/x[1].zip") == [("in/x[1].zip", "x[1].zip")]


@pytest.mark.parametrize("zero", [False, True])
def test_a_list_names_files(tree: Path, zero: bool) -> None:
    """By the path as it is listed; `..` and a first slash lead nowhere else."""
    odd = os.fsdecode(b"in/\xff")
    write(tree.parent, {odd: bundle_of()})
    names = ["in/z.zip", "", str(tree / "z.zip"), "in/../in/z.zip", odd, "in", "none"]
    end = b"\0" if zero else b"\n"
    listed = io.BufferedReader(io.BytesIO(end.join(map(os.fsencode, names))))
    whole = str(tree / "z.zip").removeprefix("/")
    assert found(listed=listed, zero=zero) == [
        ("in/z.zip", "in/z.zip"),
        (str(tree / "z.zip"), whole),
        ("in/../in/z.zip", whole),
        (odd, odd),
        ("in", "it is a folder"),
        ("none", "No such file or directory"),
    ]


def test_a_name_is_there_as_soon_as_it_was_written() -> None:
    """However long the rest takes."""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as listed, open(write_end, "wb", buffering=0) as writer:
        writer.write(b"one\ntw")
        inputs = iter(Inputs([], listed=listed))
        assert next(inputs).source == "one"
        writer.write(b"o\n")
        assert next(inputs).source == "two"


def test_what_is_no_list_is_refused_in_little_memory() -> None:
    endless = io.BufferedReader(io.BytesIO(bytes(b"x" * 200_000)))
    with pytest.raises(ValueError, match="a name of more than 65,536 bytes"):
        found(listed=endless)


def test_a_base_decides_where_packs_go(tree: Path) -> None:
    assert found("in/b/deep", "in/z.zip", base="in") == [
        ("in/b/deep/er/x.zip", "b/deep/er/x.zip"),
        ("in/z.zip", "z.zip"),
    ]
    assert found("in/z.zip", base="in/b") == [("in/z.zip", f"it is not below {tree / 'b'}")]


# ---- where packs go


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


def test_flat_packs_are_in_one_folder(bundles: Path, out: Path) -> None:
    batch([bundles], out, flat=True)
    assert list(packs(out)) == ["a.srcpack", "c.srcpack", "d.srcpack"]


def test_two_inputs_never_get_one_output(tmp_path: Path, out: Path) -> None:
    """The later one fails, and says whose it is; nothing is written twice."""
    write(tmp_path, ["one/a.zip", "two/a.zip", "two/a", "two/b/a.zip"])
    reports = [*convert_many([tmp_path / "one", tmp_path / "two"], out, executor=ThreadPoolExecutor(1))]
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


def test_names_that_differ_by_case_are_one_where_the_file_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("A\u0308.srcpack", "one") is None
        assert outputs.take("\xe4.srcpack", "two") is None
    monkeypatch.setattr(outputs_module, "_folds_case", lambda _: True)
    with Outputs(str(tmp_path)) as outputs:
        assert outputs.take("A\u0308.srcpack", "one") is None
        assert outputs.take("\xe4.srcpack", "two") == "one"


def test_a_destination_that_is_a_file_is_an_error(bundles: Path) -> None:
    with pytest.raises(FileExistsError):
        batch([bundles], bundles / "a.zip")


def test_source_and_output_are_never_one_file(tmp_path: Path) -> None:
    write(tmp_path, ["a.srcpack.zip"])
    (tmp_path / "a.srcpack.srcpack").symlink_to("a.srcpack.zip")
    report = failure_of(batch([tmp_path / "a.srcpack.zip"], tmp_path, force=True)["a.srcpack.zip"])
    assert report.reason.endswith("source and destination are one file")


# ---- what is skipped


def test_a_second_run_converts_nothing(bundles: Path, out: Path) -> None:
    first = batch([bundles], out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.srcpack")}
    second = batch([bundles], out)
    assert statuses(second) == dict.fromkeys(first, "skipped")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.srcpack")} == before
    for name, report in second.items():
        made = first[name]
        assert isinstance(report, SkipReport)
        assert isinstance(made, ConversionReport)
        assert (report.sha256, report.source_sha256) == (made.sha256, made.source_sha256)
        assert (report.source_size, report.output_size) == (made.source_size, made.output_size)
        assert (report.files, report.damaged_count) == (2, 0)


def test_a_second_run_reads_no_source(bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But where it is asked to, or remembers nothing; then it remembers again."""
    batch([bundles], out)
    read: list[str] = []
    digest = hashlib.file_digest

    def recorded(file: Any, name: str) -> Any:
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", recorded)

    def sources_read(**options: Any) -> int:
        read.clear()
        assert set(statuses(batch([bundles], out, **options)).values()) == {"skipped"}
        return len(read)

    assert sources_read() == 0
    assert sources_read(checksum=True) == 3
    (out / STATE_NAME).unlink()
    assert sources_read() == 3
    assert sources_read() == 0
    os.utime(bundles / "a.zip", ns=(1, 1))
    assert sources_read() == 1
    assert sources_read() == 0


@pytest.mark.parametrize(
    "options",
    [{"preset": "fast"}, {"level": 3}, {"raw": ["*.js"]}, {"frame_size": 4096}, {"dictionary": "off"}],
)
def test_other_options_convert_again(bundles: Path, out: Path, options: Any) -> None:
    batch([bundles], out)
    assert set(statuses(batch([bundles], out, **options)).values()) == {"converted"}
    assert set(statuses(batch([bundles], out, **options)).values()) == {"skipped"}


def test_a_source_that_changed_is_converted_again(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    (bundles / "a.zip").write_bytes(bundle_of("another size"))
    (bundles / "b/c.zip").write_bytes(bundle_of("b/C.zip"))
    assert statuses(batch([bundles], out)) == {
        "a.zip": "converted", "c.zip": "converted", "d.zip": "skipped",
    }  # fmt: skip


def test_size_and_time_are_believed_but_for_checksums(bundles: Path, out: Path) -> None:
    source = bundles / "a.zip"
    batch([source], out)
    changed = source.stat().st_mtime_ns
    source.write_bytes(bundle_of("A.ZIP"))
    os.utime(source, ns=(changed, changed))
    assert statuses(batch([source], out)) == {"a.zip": "skipped"}
    assert statuses(batch([source], out, checksum=True)) == {"a.zip": "converted"}


def test_what_is_remembered_is_of_the_source_that_the_output_was_made_from(
    bundles: Path, tmp_path: Path, out: Path
) -> None:
    """Another file of the same name, size and time is read."""
    batch([bundles / "a.zip"], out)
    other = write(tmp_path / "other", {"a.zip": bundle_of("A.ZIP")}) / "a.zip"
    shutil.copystat(bundles / "a.zip", other)
    assert statuses(batch([other], out)) == {"a.zip": "converted"}


def test_a_folder_of_packs_that_was_moved_is_still_up_to_date(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    out.rename(out.with_name("moved"))
    assert set(statuses(batch([bundles], out.with_name("moved"))).values()) == {"skipped"}


def test_force_converts_again(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    assert set(statuses(batch([bundles], out, force=True)).values()) == {"converted"}


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:100], lambda data: data + b"x"])
def test_a_pack_that_is_not_whole_is_made_again(
    bundles: Path, out: Path, spoil: Callable[[bytes], bytes]
) -> None:
    batch([bundles / "a.zip"], out)
    whole = (out / "a.srcpack").read_bytes()
    (out / "a.srcpack").write_bytes(spoil(whole))
    assert statuses(batch([bundles / "a.zip"], out)) == {"a.zip": "converted"}
    assert (out / "a.srcpack").read_bytes() == whole


def test_what_is_no_pack_is_not_replaced(bundles: Path, out: Path) -> None:
    """Save where that is forced; a folder never."""
    write(out, {"a.srcpack": b"precious", "b/c.srcpack/x": b"y"})
    reports = batch([bundles], out)
    assert failure_of(reports["a.zip"]).reason == f"{out / 'a.srcpack'}: what is there is no pack"
    assert failure_of(reports["c.zip"]).reason == f"{out / 'b/c.srcpack'}: what is there is no pack"
    assert (out / "a.srcpack").read_bytes() == b"precious"
    assert statuses(batch([bundles], out, force=True)) == {
        "a.zip": "converted", "c.zip": "failed", "d.zip": "converted",
    }  # fmt: skip


def test_members_that_a_limit_damaged_are_read_again_under_another_one(bundles: Path, out: Path) -> None:
    """The pack does not say which limit it was; what is remembered does."""
    source = bundles / "a.zip"
    strict, loose = Limits(max_file_size=5), Limits()

    def run(limits: Limits) -> str:
        return batch([source], out, limits=limits)["a.zip"].status

    assert [run(strict), run(strict), run(loose), run(loose)] == [
        "converted", "skipped", "converted", "skipped",
    ]  # fmt: skip
    report = batch([source], out, limits=strict)["a.zip"]
    assert report.status == "skipped"  # nothing in it was damaged
    run(Limits(max_file_size=5))
    (out / STATE_NAME).unlink()
    assert run(loose) == "skipped"


def test_a_dry_run_writes_nothing(bundles: Path, out: Path) -> None:
    assert set(statuses(batch([bundles], out, dry_run=True)).values()) == {"planned"}
    assert not out.exists()
    batch([bundles / "a.zip"], out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for checksum in (False, True):
        reports = batch([bundles, bundles / "none"], out, dry_run=True, checksum=checksum)
        assert statuses(reports) == {
            "a.zip": "skipped", "c.zip": "planned", "d.zip": "planned", "none": "failed",
        }  # fmt: skip
    plan = reports["c.zip"]
    assert isinstance(plan, PlanReport)
    assert plan.as_json() == {
        "source": f"{bundles}/b/c.zip",
        "output": f"{out}/b/c.srcpack",
        "source_size": (bundles / "b/c.zip").stat().st_size,
    }
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


# ---- what is remembered

KNOWN = Known("/in/a.zip", 5, "7", b"digest", "limits")


def test_state_is_kept(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff'\n")
    with State(str(tmp_path / "state")) as state:
        assert state.find("a") is None
        state.add("a", KNOWN)
        state.add(odd, KNOWN._replace(source=odd))
    with State(str(tmp_path / "state")) as state:
        assert state.find("a") == KNOWN
        assert state.find(odd) == KNOWN._replace(source=odd)
        state.add("a", KNOWN._replace(size=6))
    with State(str(tmp_path / "state"), is_read_only=True) as state:
        assert state.find("a") == KNOWN._replace(size=6)
        state.add("a", KNOWN)
    assert os.listdir(tmp_path) == ["state"]


def _of_another_version(path: Path) -> None:
    with State(str(path)):
        pass
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.commit()
    database.close()


def _damaged(path: Path) -> None:
    with State(str(path)) as state:
        state.add("a", KNOWN)
    # Magic and page size, and the application id at 68.
    path.write_bytes(path.read_bytes()[:18] + bytes(50) + path.read_bytes()[68:72] + b"x" * 5000)


def _of_an_earlier_version(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE made (output BLOB PRIMARY KEY, source BLOB, size INTEGER, stamp TEXT,"
        " sha256 BLOB, limits TEXT) WITHOUT ROWID"
    )
    database.close()


@pytest.mark.parametrize("spoil", [_damaged, _of_another_version, _of_an_earlier_version, Path.touch])
def test_a_state_file_that_is_of_no_use_is_written_anew(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    path = tmp_path / "state"
    spoil(path)
    before = path.read_bytes()
    with State(str(path), is_read_only=True) as state:
        assert state.find("a") is None
    assert path.read_bytes() == before
    with State(str(path)) as state:
        assert state.find("a") is None
        state.add("a", KNOWN)
    with State(str(path)) as state:
        assert state.find("a") == KNOWN


def test_a_state_file_without_an_id_is_used(tmp_path: Path) -> None:
    """Earlier versions wrote none."""
    path = tmp_path / "state"
    with State(str(path)) as state:
        state.add("a", KNOWN)
    database = sqlite3.connect(path)
    database.execute("PRAGMA application_id = 0")
    database.close()
    with State(str(path)) as state:
        assert state.find("a") == KNOWN


def test_a_state_file_that_was_damaged_in_the_middle_is_as_if_empty(bundles: Path, out: Path) -> None:
    batch([bundles], out)
    data = bytearray((out / STATE_NAME).read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    (out / STATE_NAME).write_bytes(data)
    assert set(statuses(batch([bundles], out)).values()) == {"skipped"}


def test_a_state_file_that_another_batch_has_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "state")
    with State(path) as state:
        state.add("a", KNOWN)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: connect(*args, **{**kw, "timeout": 0}))
    other = connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with State(path) as state:
        assert state.find("a") is None
        state.add("b", KNOWN)
    other.execute("ROLLBACK")
    other.close()
    with State(path) as state:
        assert state.find("a") == KNOWN


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_hold_a_state_file_does_without(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with State(str(tmp_path / "state")) as state:
        state.add("a", KNOWN)
        assert state.find("a") is None
    tmp_path.chmod(0o700)


# ---- one that fails


def test_nothing_wrong_with_one_stops_the_others(bundles: Path, out: Path) -> None:
    write(
        bundles,
        {"cut.zip": bundle_of()[:-5], "damaged.zip": damaged_bundle(), "empty.zip": b"", "no.zip": b"PK"},
    )
    reports = batch([bundles], out)
    assert statuses(reports) == {
        **dict.fromkeys(["a.zip", "c.zip", "d.zip", "damaged.zip"], "converted"),
        **dict.fromkeys(["cut.zip", "empty.zip", "no.zip"], "failed"),
    }
    failed = failure_of(reports["empty.zip"])
    assert failed.reason.startswith("not a SourceBundle at offset 0: found an empty file")
    assert failed.as_json() == {
        "source": f"{bundles}/empty.zip",
        "output": f"{out}/empty.srcpack",
        "reason": failed.reason,
        "source_size": 0,
        "seconds": round(failed.seconds, 3),
    }
    damaged = reports["damaged.zip"]
    assert isinstance(damaged, ConversionReport)
    assert [each.member for each in damaged.damaged] == ["bad"]


def task_for(source: Path, out: Path, **fields: Any) -> Task:
    return Task(source=str(source), output=str(out), size=1, stamp="", options=Options(), **fields)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("a bug"), "RuntimeError: a bug"),
        (RecursionError(), "RecursionError: RecursionError"),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "/x/y"), "/x/y: No space left on device"),
        (OSError("odd"), "odd"),
        (ValueError("wrong"), "wrong"),
    ],
)
def test_whatever_a_conversion_raises_is_a_report(
    bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(tasks_module, "convert_bundle", fail)
    report = run_task(task_for(bundles / "a.zip", out)).report
    assert report is not None
    assert failure_of(report).reason == reason


def test_a_worker_of_another_version_is_an_error(bundles: Path, out: Path) -> None:
    with pytest.raises(VersionMismatch, match=re.escape("here it is 0.0.1; both have to be the same")):
        run_task(task_for(bundles / "a.zip", out, version="0.0.1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "best"}, "preset is one of"),
        ({"jobs": 0}, "jobs is at least 1, not 0"),
        ({"max_memory": 0}, "max_memory is at least 1, not 0"),
    ],
)
def test_wrong_options_are_told_at_once(out: Path, options: Any, message: str) -> None:
    """Not with the first report."""
    with pytest.raises(ValueError, match=message):
        convert_many([], out, **options)
    assert not out.exists()


# ---- how much at once


class Recorder(Executor):
    """Runs tasks in threads, and records which are there at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4)
        self._lock = threading.Lock()
        self._here: list[Task] = []
        self.seen: list[list[str]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        with self._lock:
            self._here.append(args[0])
            self.seen.append([Path(task.source).name for task in self._here])
        return self._threads.submit(self._run, fn, args[0])

    def _run(self, fn: Callable[..., Any], task: Task) -> Any:
        try:
            return fn(task)
        finally:
            with self._lock:
                self._here.remove(task)


def test_no_more_is_begun_than_workers_can_take(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "in", [f"{number:02}.zip" for number in range(20)])
    recorder = Recorder()
    assert len(batch([tmp_path / "in"], out, executor=recorder, jobs=3)) == 20
    assert max(map(len, recorder.seen)) <= 6


def test_memory_bounds_what_is_converted_at_once(tmp_path: Path, out: Path) -> None:
    """By the estimate of the largest that may run at once; what is over the bound runs alone."""
    big = build_bundle({"x": random.Random(1).randbytes(5_000_000)}, {}, stored=True)
    small = [f"{number:02}.zip" for number in range(12)]
    write(tmp_path / "in", {**dict.fromkeys(small, bundle_of()), "05b.zip": big})
    bound = 2 * memory_of(len(bundle_of()))
    assert bound < memory_of(len(big))
    recorder = Recorder()
    reports = batch([tmp_path / "in"], out, executor=recorder, jobs=4, max_memory=bound)
    assert set(statuses(reports).values()) == {"converted"}
    assert len(reports) == 13
    assert max(map(len, recorder.seen)) == 2
    assert [seen for seen in recorder.seen if "05b.zip" in seen] == [["05b.zip"]]


def test_the_estimate_of_memory_grows_with_the_zip_and_has_a_bound() -> None:
    sizes = [0, 1 << 20, 32 << 20, 1 << 30, 16 << 30]
    estimates = [memory_of(size) for size in sizes]
    assert estimates == sorted(estimates)
    assert estimates[-1] == estimates[-2] < 3 << 30
    assert memory_of(1 << 30, Limits(max_file_size=1)) < memory_of(1 << 30)
    assert 0 < memory_bound() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_inputs_are_found_as_they_are_needed(out: Path) -> None:
    pulled: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            pulled.append(1)
            yield f"/none/{len(pulled)}"

    with ThreadPoolExecutor(1) as executor:
        reports = convert_many(endless(), out, executor=executor, jobs=1)
        assert not pulled
        for _ in range(10):
            assert next(reports).status == "failed"
        reports.close()
    assert len(pulled) < 15


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_inputs(out: Path) -> None:
    """60,000 of them that fail, and as many that are looked for while others are converted."""
    told: list[BatchProgress] = []
    with ThreadPoolExecutor(1) as executor:
        names = (f"/none/{number}/app.zip" for number in range(60_000))
        reports = convert_many(names, out, executor=executor, jobs=1, progress=told.append)
        tracemalloc.start()
        count = sum(1 for _ in reports)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == told[-1].done == 60_000
    assert peak < 12_000_000


def test_progress_knows_what_is_to_come(bundles: Path, out: Path) -> None:
    write(bundles, {"notes": b"no zip"})
    told: list[BatchProgress] = []
    batch([bundles], out, progress=told.append)
    size = sum(path.stat().st_size for path in bundles.rglob("*.zip"))
    assert told[-1] == BatchProgress(
        found=3, found_size=size, is_all=True, ignored=1, done=3, done_size=size, running=0
    )


# ---- workers


@pytest.fixture
def workers() -> Iterator[WorkerProcesses]:
    executor = WorkerProcesses(2)
    yield executor
    executor.stop()


def test_processes_are_used_again_and_errors_come_back(workers: WorkerProcesses) -> None:
    pids = {workers.submit(os.getpid).result() for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert type(workers.submit(int, "x").exception()) is ValueError
    assert workers.submit(os.getpid).result() in pids


def test_a_process_that_dies_takes_only_its_own_call_with_it(workers: WorkerProcesses) -> None:
    """And says how; the next call has another process."""
    bystander = workers.submit(time.sleep, 0.5)
    killed = workers.submit(signal.raise_signal, signal.SIGKILL)
    left = workers.submit(os._exit, 7)
    assert bystander.result() is None
    assert str(killed.exception()) == "its process was ended by SIGKILL (out of memory?)"
    assert isinstance(killed.exception(), WorkerDied)
    assert str(left.exception()) == "its process exited with 7"
    assert workers.submit(abs, -1).result() == 1


def test_processes_end_when_the_executor_is_left() -> None:
    with WorkerProcesses(1) as executor:
        pid = executor.submit(os.getpid).result()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_processes_end_when_they_are_stopped_in_a_call() -> None:
    executor = WorkerProcesses(1)
    pid = executor.submit(os.getpid).result()
    sleeping, waiting = executor.submit(time.sleep, 600), executor.submit(time.sleep, 600)
    while not sleeping.running():
        time.sleep(0.01)
    executor.stop()
    assert waiting.cancelled()
    assert sleeping.exception() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_default_executor_is_processes(bundles: Path, out: Path) -> None:
    reports = list(convert_many([bundles], out, jobs=2))
    assert {report.status for report in reports} == {"converted"}
    assert [report.jobs for report in reports if isinstance(report, ConversionReport)] == [1, 1, 1]
    batch([bundles], out.with_name("threads"))
    assert packs(out) == packs(out.with_name("threads"))


def test_the_only_bundle_is_converted_with_all_cores(bundles: Path, out: Path) -> None:
    (report,) = convert_many([bundles / "a.zip"], out, jobs=2)
    assert isinstance(report, ConversionReport)
    assert report.jobs == 2


@pytest.mark.slow
def test_a_bundle_that_kills_its_worker_is_given_up_and_the_others_are_not(
    tmp_path: Path, out: Path, workers: WorkerProcesses
) -> None:
    """After three deaths; one that kills only its first worker is converted."""
    good = [f"{number:02}.zip" for number in range(8)]
    source = write(tmp_path / "in", [*good, "03 poison.zip", "03 unlucky.zip", "06 poison.zip"])
    reports = {
        os.path.basename(report.source): report
        for report in convert_many([source], out, executor=Deadly(workers), jobs=2)
    }
    poison = {name for name in reports if "poison" in name}
    assert statuses(reports) == {
        **dict.fromkeys([*good, "03 unlucky.zip"], "converted"),
        **dict.fromkeys(poison, "failed"),
    }
    assert [deaths_of(source / name) for name in (*sorted(poison), "03 unlucky.zip")] == [3, 3, 1]
    assert failure_of(reports["03 poison.zip"]).reason == (
        "3 workers did not survive it: its process was ended by SIGKILL (out of memory?)"
    )
    assert list(packs(out)) == sorted(pack_name(name) for name in reports if name not in poison)


def test_closing_the_iterator_ends_it(tmp_path: Path, out: Path) -> None:
    """What is finished stays, and is skipped the next time; no temporary file is left."""
    write(tmp_path / "in", [f"{number:02}.zip" for number in range(30)])
    reports = convert_many([tmp_path / "in"], out, jobs=2)
    done = {next(reports).source for _ in range(3)}
    reports.close()
    assert all(name.endswith(".srcpack") for name in packs(out))
    again = {report.source: report.status for report in convert_many([tmp_path / "in"], out, jobs=2)}
    assert {again[source] for source in done} == {"skipped"}
    assert len(packs(out)) == 30


def test_a_script_that_processes_cannot_import_is_told_and_no_bundle_is_blamed(
    bundles: Path, out: Path
) -> None:
    script = bundles.with_name("script.py")
    script.write_text(
        "from srcpack_convert import convert_many\n"
        f"for report in convert_many([{str(bundles)!r}], {str(out)!r}):\n    print(report)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "worker processes do not start" in done.stderr.splitlines()[-1]


def test_an_executor_that_breaks_is_an_error(bundles: Path, out: Path) -> None:
    """It is the caller's, and cannot be made again."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        list(convert_many([bundles], out, executor=executor))


# ---- on the command line


class Run:
    """Runs one command in this process."""

    def __init__(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capfdbinary

    def __call__(self, *args: object) -> tuple[int, str, str]:
        self._capture.readouterr()
        code = cli.run(["convert", *map(str, args)])
        sys.stdout.flush()
        captured = self._capture.readouterr()
        return code, captured.out.decode(), captured.err.decode()


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    return Run(capfdbinary)


def test_a_batch_says_what_it_did(run: Run, bundles: Path, out: Path) -> None:
    write(bundles, {"notes.txt": b"no zip"})
    code, printed, told = run(bundles, "-o", out)
    assert (code, told) == (0, "")
    assert re.fullmatch(
        r"3 bundles: 3 converted; zips [\d.]+ k?B, packs [\d.]+ k?B, ratio \d\.\d{3}; "
        r"other files: 1; \d+\.\d s\n",
        printed,
    )
    code, printed, told = run(bundles, "-o", out)
    assert (code, told) == (0, "")
    assert re.fullmatch(r"nothing to convert: 3 bundles, up to date; other files: 1; \d+\.\d s\n", printed)
    assert json.loads(run(bundles, "-o", out, "--json")[1]) | {"seconds": 0} == {
        "inputs": 3,
        "converted": 0,
        "skipped": 3,
        "failed": 0,
        "with_damaged_members": 0,
        "ignored_files": 1,
        "source_size": 0,
        "output_size": 0,
        "seconds": 0,
    }


def test_these_make_it_a_batch(run: Run, bundles: Path, out: Path) -> None:
    """A folder, several, a pattern, a list; a folder as output, which is made if it ends in a slash."""
    listed = bundles / "list"
    listed.write_text(f"{bundles}/a.zip\n")
    zips = [bundles / "a.zip", bundles / "b/c.zip"]
    ways: list[list[object]] = [[bundles / "b"], [*zips], [bundles / "*.zip"], ["--files-from", listed]]
    ways.append([zips[0]])
    for number, args in enumerate(ways):
        assert run(*args, "-o", f"{out}{number}/")[:3:2] == (0, "")
        assert (out.with_name(f"out{number}") / STATE_NAME).exists()
    (out.with_name("there")).mkdir()
    assert run(zips[0], "-o", out.with_name("there"))[0] == 0
    assert list(packs(out.with_name("there"))) == ["a.srcpack"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], 2, "give at least one INPUT, or --files-from"),
        (["a.zip", "b.zip"], 2, "many bundles need --output, a folder for their packs"),
        (["a.zip", "--flat", "--report", "r"], 2, "--flat, --report: for many bundles; give a folder"),
        (["a.zip", "b.zip", "-o", "{file}"], 1, "{file}: it exists and is no folder"),
        (["--files-from", "{file}", "-o", "x/", "--errors-to", "{file}"], 1, "it is read for --files-from"),
        (["--files-from", "none", "-o", "x/"], 1, "none: No such file or directory"),
        (["{folder}", "-o", "x/", "--preset", "best"], 2, "preset is one of"),
        (["{folder}/empty", "-o", "{folder}/x/"], 1, "no SourceBundle was found; other files: 1"),
    ],
)
def test_wrong_usage_of_a_batch(run: Run, tmp_path: Path, args: list[str], code: int, message: str) -> None:
    write(tmp_path, {"file": b"", "empty/notes": b""})
    places = {"file": str(tmp_path / "file"), "folder": str(tmp_path)}
    result = run(*(arg.format(**places) for arg in args))
    assert (result[0], result[1]) == (code, "")
    assert message.format(**places) in result[2]


def _database(*statements: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        database = sqlite3.connect(path)
        for statement in statements:
            database.execute(statement)
        database.close()

    return make


def _database_with_a_table_more(path: Path) -> None:
    _of_an_earlier_version(path)
    _database("CREATE TABLE theirs (a)")(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(bundle_of()),
        lambda path: path.write_bytes(b"SQLite format 3"),
        lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)),
        lambda path: path.write_bytes(b"x" * 68 + b"SPST" + b"x" * 5000),
        _database("CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)"),
        _database("PRAGMA application_id = 1", "PRAGMA user_version = 1"),
        _database("PRAGMA journal_mode = WAL", "CREATE TABLE theirs (a)"),
        _database_with_a_table_more,
        Path.mkdir,
        os.mkfifo,
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_no_state_file_is_left_alone(
    run: Run, bundles: Path, out: Path, make: Callable[[Path], object], dry_run: bool
) -> None:
    """Told before anything is made or written over."""
    path, report = bundles.with_name("theirs"), bundles.with_name("report")
    make(path)
    report.write_text("old")
    before = path.read_bytes() if path.is_file() else None
    args = ["--state", path, "--report", report, *["--dry-run"] * dry_run]
    assert run(bundles, "-o", out, *args) == (1, "", f"error: {path}: it exists and is no state file\n")
    with pytest.raises(FileExistsError):
        convert_many([bundles], out, state=path, dry_run=dry_run)
    with pytest.raises(FileExistsError):
        State(str(path))
    assert before == (path.read_bytes() if path.is_file() else None)
    assert sorted(os.listdir(out.parent)) == ["in", "report", "theirs"]
    assert report.read_text() == "old"


@pytest.mark.parametrize("option", ["--report", "--errors-to"])
def test_neither_report_nor_list_is_written_over_an_input_or_a_pack(
    run: Run, bundles: Path, out: Path, option: str
) -> None:
    write(bundles, {"no bundle": b"x", "notes": b"notes"})
    run(bundles, "-o", out)
    before = packs(bundles) | packs(out)
    ends = "; write to another file\n"
    for path in (bundles / "b/c.zip", out / "a.srcpack"):
        told = f"error: {path}: it exists and is a bundle or a pack{ends}"
        assert run(bundles, "-o", out, "--force", option, path) == (1, "", told)
    for name in ("a.zip", "no bundle"):
        sources = [f"file://{bundles}/a.zip", bundles / "no bundle"]
        told = f"error: {bundles}/{name}: it is an input{ends}"
        assert run(*sources, "-o", out, "--force", option, bundles / name) == (1, "", told)
    assert packs(bundles) | packs(out) == before
    assert run(bundles, "-o", out, option, bundles / "notes")[0] == 0
    assert run(bundles, "-o", out, option, "/dev/null")[0] == 0
    assert b"notes" not in (bundles / "notes").read_bytes()


def test_a_batch_with_bad_inputs_exits_with_3_and_tells_each(run: Run, bundles: Path, out: Path) -> None:
    write(bundles, {"cut.zip": bundle_of()[:-5], "damaged.zip": damaged_bundle()})
    report, errors = out.with_name("report.jsonl"), out.with_name("errors")
    code, printed, told = run(
        bundles, bundles / "none.zip", "-o", out, "--report", report, "--errors-to", errors
    )
    assert code == 3
    assert printed.startswith("6 bundles: 4 converted, 2 failed, 1 with damaged members; ")
    patterns = [
        r"failed: .+/cut\.zip: the end record is cut off at offset \d+",
        r"failed: .+/none\.zip: No such file or directory",
        r"warning: .+/damaged\.zip: 1 member cannot be read, 'bad': its CRC-32 is .+",
    ]
    for pattern, line in zip(patterns, sorted(told.splitlines()), strict=True):
        assert re.fullmatch(pattern, line)
    lines = {os.path.basename(line["source"]): line for line in json_lines(report)}
    assert {name: line["status"] for name, line in lines.items()} == {
        **dict.fromkeys(["a.zip", "c.zip", "d.zip", "damaged.zip"], "converted"),
        **dict.fromkeys(["cut.zip", "none.zip"], "failed"),
    }
    assert lines["none.zip"]["output"] is None
    assert lines["damaged.zip"]["damaged"][0]["member"] == "bad"
    assert lines["a.zip"]["output"] == f"{out}/a.srcpack"
    assert {"time", "seconds", "source_size", "output_size", "source_sha256", "sha256"} <= set(lines["a.zip"])
    assert sorted(errors.read_text().splitlines()) == [f"{bundles}/cut.zip", f"{bundles}/none.zip"]

    # What is skipped is as damaged as it was.
    assert run(bundles / "damaged.zip", "-o", f"{out}/")[0] == 3

    # What failed is tried again, and put where it would have been.
    (bundles / "cut.zip").write_bytes(bundle_of())
    (bundles / "none.zip").write_bytes(bundle_of())
    assert run("--files-from", errors, "--base", bundles, "-o", out)[0] == 0
    assert list(packs(out)) == [f"{name}.srcpack" for name in ("a", "b/c", "b/d", "cut", "damaged", "none")]


def test_a_batch_of_which_all_fail_exits_with_1(run: Run, bundles: Path, out: Path) -> None:
    assert run(bundles / "none.zip", bundles / "no.zip", "-o", out)[0] == 1


def test_fail_fast_ends_with_the_first_failure(run: Run, tmp_path: Path, out: Path) -> None:
    names = [f"{number:02}.zip" for number in range(40)]
    write(tmp_path / "in", {**dict.fromkeys(names, bundle_of()), "02.zip": b"bad"})
    code, printed, told = run(tmp_path / "in", "-o", out, "--fail-fast", "-j", 1)
    assert code == 1
    assert told.startswith(f"failed: {tmp_path}/in/02.zip: ")
    assert ", 1 failed" in printed
    assert "39.srcpack" not in packs(out)


def test_a_dry_run_prints_a_line_each(run: Run, bundles: Path, out: Path) -> None:
    run(bundles / "a.zip", "-o", f"{out}/")
    code, printed, told = run(bundles, bundles / "none", "-o", out, "--dry-run")
    assert code == 3
    assert printed.splitlines() == [
        f"skip {bundles}/a.zip: {out}/a.srcpack is up to date",
        f"convert {bundles}/b/c.zip -> {out}/b/c.srcpack",
        f"convert {bundles}/b/d.zip -> {out}/b/d.srcpack",
        f"fail {bundles}/none: No such file or directory",
    ]
    assert told.splitlines()[-1].startswith("4 bundles: 2 to convert, 1 up to date, 1 failed; ")
    printed = run(bundles, "-o", out, "--dry-run", "--json")[1]
    assert [json.loads(line)["status"] for line in printed.splitlines()] == ["skipped", "planned", "planned"]
    assert list(packs(out)) == ["a.srcpack"]


def test_a_dry_run_that_nobody_reads_has_nothing_to_go_on_with(bundles: Path, out: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    process = start(bundles, "-o", out, "--dry-run", env=environment)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as told:
        assert (told.read(), process.wait(60)) == (b"", 141)


def test_a_cluster_needs_dask(run: Run, bundles: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, printed, told = run(bundles, "-o", out, "--scheduler", "tcp://127.0.0.1:1")
    assert (code, printed) == (1, "")
    assert told.startswith("error: a cluster needs dask.distributed, which is not installed: pip install ")
    assert not out.exists()


def test_thousands_of_failures_are_not_all_shown(run: Run, tmp_path: Path, out: Path) -> None:
    write(tmp_path / "in", {f"{number:03}.zip": b"" for number in range(50)})
    code, _, told = run(tmp_path / "in", "-o", out, "--report", tmp_path / "report")
    assert code == 1
    assert len(told.splitlines()) == 21
    assert told.splitlines()[-1] == "and 30 more; --report has all"
    assert len((tmp_path / "report").read_text().splitlines()) == 50


def test_no_name_steers_the_terminal(run: Run, tmp_path: Path, out: Path) -> None:
    name = f"{HOSTILE_NAME}.zip"
    write(tmp_path / "in", {name: bundle_of(), f"bad{name}": b"", f"damaged{name}": damaged_bundle()})
    for options in (["--dry-run"], [], ["--force"], ["--json"], []):
        errors = tmp_path / "errors"
        code, printed, told = run(tmp_path / "in", "-o", out, "--errors-to", errors, "-0", *options)
        assert code == (0 if options == ["--dry-run"] else 3)
        for text in (printed, told):
            assert all(char.isprintable() for line in text.split("\n") for char in line), ascii(text)
    listed = ["--files-from", tmp_path / "errors", "-0"]
    assert errors.read_bytes() == os.fsencode(f"{tmp_path}/in/bad{name}") + b"\0"
    (tmp_path / "in" / f"bad{name}").write_bytes(bundle_of())
    assert run(*listed, "--base", tmp_path / "in", "-o", out)[0] == 0


# ---- many bundles to try it with


def test_variations_of_bundles_are_bundles_and_the_same_each_time(tmp_path: Path, out: Path) -> None:
    folder = BUNDLES
    sources = [path for path in sorted(folder.glob("*.zip")) if path.stem != "empty"]
    for name in ("in", "again"):
        size = make_many(tmp_path / name, 2 * len(sources), sources, size=20_000)
    made = packs(tmp_path / "in")
    assert made == packs(tmp_path / "again")
    assert len(set(made.values())) == 2 * len(sources)
    assert sum(map(len, made.values())) == size
    reports = batch([tmp_path / "in"], out)
    assert set(statuses(reports).values()) == {"converted"}


# ---- the document


DOCUMENT = ROOT / "docs" / "batch.md"


def test_the_document_shows_what_is_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first session: what each command prints, but for times."""
    (tmp_path / "fixtures").symlink_to(DOCUMENT.parents[1] / "fixtures")
    monkeypatch.chdir(tmp_path)
    session = re.findall(r"```console\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[0]
    for block in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, *expected = block.splitlines()
        program, name, *args = shlex.split(command)
        assert (program, name) == ("srcpack", "convert")
        code, printed, _ = run(*args)
        assert code == 0
        for line, shown in zip(printed.splitlines(), expected, strict="..." not in expected):
            if shown == "...":
                break
            assert re.sub(r"; [\d.]+ s$", "", line) == re.sub(r"; [\d.]+ s$", "", shown)


@pytest.mark.slow
def test_python_in_the_document_runs(tmp_path: Path) -> None:
    (tmp_path / "fixtures").symlink_to(DOCUMENT.parents[1] / "fixtures")
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for expected in (" 0", "is up to date"):
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert sum(line.endswith(expected) for line in done.stdout.splitlines()) >= 9


# ---- as a process


def start(*args: object, **options: Any) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "srcpack_convert", "convert", *map(str, args)]
    options.setdefault("env", {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    popen: Any = subprocess.Popen  # its type depends on options that are not seen here
    process: subprocess.Popen[bytes] = popen(command, **options)
    return process


def test_a_list_comes_from_standard_input(bundles: Path, out: Path) -> None:
    process = start("--files-from", "-", "-o", out, "--base", bundles, stdin=subprocess.PIPE)
    told = process.communicate(os.fsencode(f"{bundles}/a.zip\n{bundles}/b/c.zip"), timeout=60)
    assert (process.returncode, told[1]) == (0, b"")
    assert list(packs(out)) == ["a.srcpack", "b/c.srcpack"]


@pytest.mark.slow
def test_progress_is_drawn_on_a_terminal(tmp_path: Path, out: Path) -> None:
    """With failures as they happen; not where it is not wanted."""
    write(tmp_path / "in", [f"{number}.zip" for number in range(5)])
    write(tmp_path / "in", {"bad.zip": b""})
    drawn = []
    for options in ([], ["--no-progress"]):
        leader, follower = pty.openpty()
        process = start(tmp_path / "in", "-o", out, "--force", *options, stderr=follower)
        process.communicate(timeout=60)
        os.close(follower)
        drawn.append(os.read(leader, 65536))
        os.close(leader)
        assert process.returncode == 3
    assert b"of 6 bundles" in drawn[0]
    assert f"failed: {tmp_path}/in/bad.zip" in drawn[0].decode().replace("\r\n", "")
    assert b"of 6 bundles" not in drawn[1]


def slow_bundles(folder: Path, number: int) -> Path:
    noise = random.Random(1)
    files = {
        f"{number}.zip": build_bundle({"x": noise.randbytes(300_000).hex().encode()}, {}, stored=True)
        for number in range(number)
    }
    return write(folder, files)


def default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_batch_cleanly(tmp_path: Path, out: Path, name: str, code: int) -> None:
    """As Ctrl-C does, to all processes of the group, twice: no temporary file, no traceback."""
    slow_bundles(tmp_path / "in", 12)
    process = start(
        tmp_path / "in", "-o", out, "--level", 22, "-j", 2,
        preexec_fn=default_signals, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out.glob("*.srcpack")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for _ in range(2):
        if name == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            os.killpg(process.pid, getattr(signal, name))
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (code, b"")
    lines = told.decode().splitlines()
    assert ("error: interrupted" in lines) == (name == "SIGINT")
    assert all(line.startswith(("so far ", "error: interrupted")) for line in lines), lines
    assert all(path.endswith(".srcpack") for path in packs(out))
    for path in out.glob("*.srcpack"):
        with srcpack.open(path) as pack:
            assert pack["x"].size == 600_000


@pytest.mark.slow
def test_a_batch_that_is_interrupted_anywhere_comes_to_the_same_bytes(tmp_path: Path, out: Path) -> None:
    """By Ctrl-C and by SIGKILL in turns, at random instants, and run again until it ends by itself."""
    names = [f"{number:02}.zip" for number in range(40)]
    source = write(tmp_path / "in", {name: bundle_of(name, files=60) for name in names})
    batch([source], tmp_path / "undisturbed")
    expected = packs(tmp_path / "undisturbed")
    instants = random.Random(6)
    codes: list[int] = []
    while 0 not in codes:
        process = start(source, "-o", out, "-j", 2, preexec_fn=default_signals, start_new_session=True)
        there, more = len(list(out.glob("*.srcpack"))), instants.randrange(1, 9)
        while process.poll() is None and len(list(out.glob("*.srcpack"))) < there + more:
            time.sleep(0.001)
        time.sleep(instants.uniform(0, 0.02))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT if len(codes) % 2 else signal.SIGKILL)
        process.communicate(timeout=60)
        for path in out.glob("*.srcpack"):
            assert path.read_bytes() == expected[path.name]
        codes.append(process.returncode)
        assert len(codes) < 40
    assert set(codes) == {0, 130, -signal.SIGKILL}
    assert packs(out) == expected


def hostile_bundles() -> dict[str, bytes]:
    return {
        "cut.zip": bundle_of()[:200],
        "empty.zip": b"",
        "no-manifest.zip": build_bundle({"x": b""}, None),
        "not-json.zip": build_bundle({}, "{"),
        "bomb.zip": build_bundle({"x": bytes(70 << 20)}, {}),
        "noise.zip": b"SYSB" + random.Random(2).randbytes(2000),
    }


@pytest.mark.slow
def test_hostile_bundles_among_good_ones(run: Run, tmp_path: Path, out: Path) -> None:
    """Every good one is converted, every bad one is in the report with its reason, and the exit code is 3."""
    good = [f"{letter}{number}.zip" for number in range(4) for letter in "abcdelnz"]
    hostile = hostile_bundles()
    source = write(tmp_path / "in", {**{name: bundle_of(name) for name in good}, **hostile})
    expected = {**dict.fromkeys(good, "converted"), **dict.fromkeys(hostile, "failed")}
    corpus = [path.name for path in (CORPUS / "hostile").glob("*.zip")]  # where it is there
    for name in corpus:
        shutil.copy(CORPUS / "hostile" / name, source / f"corpus-{name}")
    report = tmp_path / "report"
    assert run(source, "-o", out, "--report", report, "-j", 2)[0] == 3
    lines = {os.path.basename(line["source"]): line for line in json_lines(report)}
    statuses = {name: line["status"] for name, line in lines.items()}
    assert {name: status for name, status in statuses.items() if "corpus" not in name} == expected
    assert {name for name in statuses if "corpus" in name} == {f"corpus-{name}" for name in corpus}
    assert all(line["reason"] for line in lines.values() if line["status"] == "failed")
    assert list(packs(out)) == sorted(
        pack_name(name) for name, status in statuses.items() if status == "converted"
    )
