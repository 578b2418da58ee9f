"""A catalog as it is read: what it refuses, threads and forks, and the set of packs that an event needs."""

import gc
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from srcpack import Catalog, CatalogedPack, DebugId, FormatError
from srcpack.catalog import SCHEMA, connect
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import update_catalog
from support.calls import calls_of
from support.places import PACKS, ROOT

APP = str(PACKS / "app.srcpack")
APP_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
EVENT = json.loads((ROOT / "examples" / "event.json").read_text(encoding="utf-8"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalog of the packs of the fixtures."""
    path = tmp_path / "catalog.db"
    update_catalog(path, find_packs([str(PACKS)]), failed=print)
    return path


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    with Catalog(path) as catalog:
        yield catalog


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)


def places(packs: list[CatalogedPack]) -> list[str]:
    return [os.path.basename(pack.place) for pack in packs]


def ask_all(catalog: Catalog) -> list[CatalogedPack]:
    return [
        *catalog,
        *catalog.by_url("~/static/app.min.js"),
        *catalog.by_debug_id(APP_ID),
        *catalog.by_debug_id(APP_ID, "source_map"),
        *catalog.by_release("shop@1.0.0"),
        *catalog.by_bundle(b"x"),
        *catalog.by_object(APP_ID),
    ]


# ---- the file


def test_what_is_no_catalog_is_refused_by_name(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    for content in (b"", b"text", b"SQLite format 3\0" + bytes(84)):
        other.write_bytes(content)
        with pytest.raises(FormatError, match=f"^{other}: no catalog: ") as caught:
            Catalog(other)
        assert caught.value.file == str(other)
    with pytest.raises(FormatError, match="no catalog"):
        Catalog(APP)
    with pytest.raises(FileNotFoundError):
        Catalog(tmp_path / "none.db")
    with pytest.raises(IsADirectoryError):
        Catalog(tmp_path)
    change(path, "PRAGMA application_id = 7")
    with pytest.raises(FormatError, match="an SQLite file of something else"):
        Catalog(path)


def test_a_catalog_of_another_version_is_refused(path: Path) -> None:
    change(path, "PRAGMA user_version = 2")
    with pytest.raises(FormatError, match=f"^{path}: catalog of another version: found 2, expected 1"):
        Catalog(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS SELECT * FROM packs",
        "DROP TABLE urls",
        "ALTER TABLE packs RENAME TO old; CREATE VIEW packs AS SELECT * FROM old",
        "CREATE TRIGGER each AFTER INSERT ON packs BEGIN SELECT 1; END",
        "DROP INDEX packs_by_release",
    ],
)
def test_a_catalog_with_other_tables_is_refused(path: Path, statement: str) -> None:
    change(path, statement)
    with pytest.raises(FormatError, match=f"^{path}: damaged catalog: its tables are others"):
        Catalog(path)


@pytest.mark.parametrize("column", ["place", "size", "files", "release", "bundle"])
def test_a_value_of_another_type_is_an_error(path: Path, column: str) -> None:
    change(path, f"UPDATE packs SET {column} = x'00' WHERE place = '{APP}'")
    with Catalog(path) as catalog, pytest.raises(FormatError, match=f"^{path}: damaged catalog: found "):
        catalog.by_url("~/static/app.min.js")


def test_a_cut_catalog_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in (50, 100, 4096, len(whole) - 4096, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match=f"^{path}: "):
            Catalog(path)


def test_a_damaged_catalog_gives_packs_or_errors_that_name_it(path: Path) -> None:
    """SQLite has no checksums: a letter in a text is not noticed, but nothing else comes of damage."""
    whole = path.read_bytes()
    rng = random.Random(1)
    refused: list[FormatError] = []
    for _ in range(200):
        data = bytearray(whole)
        page = rng.randrange(len(whole) // 4096) * 4096
        # The heads of pages are where the structure is.
        place = page + rng.choice([rng.randrange(64), rng.randrange(4096)])
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            with Catalog(path) as catalog:
                assert all(isinstance(pack, CatalogedPack) for pack in ask_all(catalog))
        except FormatError as error:
            refused.append(error)
    assert len(refused) > 5
    assert {error.file for error in refused} == {str(path)}
    assert all(str(error).startswith(f"{path}: ") for error in refused)


def test_each_bit_of_the_tables_is_checked(path: Path) -> None:
    """sqlite3 cannot always decode its own message about one."""
    whole = path.read_bytes()
    first = whole.index(SCHEMA[0].encode())
    for place in range(first, first + 40):
        for bit in (0x01, 0x80):
            data = bytearray(whole)
            data[place] ^= bit
            path.write_bytes(data)
            with pytest.raises(FormatError, match=f"^{path}: "):
                Catalog(path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FormatError, match="not a regular file"):
        Catalog(tmp_path / "fifo")


def test_a_relative_path_counts_from_where_the_catalog_was_opened(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Catalog(path.name) as catalog:
        catalog._free.clear()
        monkeypatch.chdir("/")
        assert len(catalog) > 0
        assert catalog.path == path.name


def test_each_lookup_goes_by_an_index(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what it costs does not grow with the packs."""
    statements = calls_of(monkeypatch, Catalog, "_rows")
    with Catalog(path) as catalog:
        ask_all(catalog)
        catalog.by_release("shop@1.0.0", None)
    with closing(connect(path)) as connection:
        plans = {
            statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            for statement, *values in statements
            if " WHERE " in statement and "WHERE true" not in statement
        }
    assert len(plans) == 7
    for statement, plan in plans.items():
        assert all(not step.startswith("SCAN") for step in plan), (statement, plan)


def test_the_tables_are_as_the_document_says() -> None:
    document = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    for statement in SCHEMA:
        assert f"{statement};" in document


# ---- its use


def test_a_closed_catalog_says_so(path: Path) -> None:
    catalog = Catalog(path)
    assert not catalog.closed
    catalog.close()
    catalog.close()
    assert catalog.closed
    with pytest.raises(ValueError, match=f"{path}: the catalog is closed"):
        catalog.by_url("~/a")


def test_wrong_questions_are_the_callers_fault(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="invalid debug id"):
        catalog.by_debug_id("none")
    with pytest.raises(ValueError, match="'map'"):
        catalog.by_debug_id(APP_ID, "map")
    for wrong in (b"~/a", Path("~/a"), None, 5):
        for ask in (
            catalog.by_url,
            catalog.by_release,
            catalog.by_debug_id,
            catalog.by_object,
            lambda each: catalog.by_release("1", cast("Any", each if each is not None else 5)),
        ):
            with pytest.raises(TypeError, match="is a str"):
                ask(cast("Any", wrong))
    assert catalog.by_debug_id(DebugId.parse(APP_ID)) == catalog.by_debug_id(APP_ID.replace("-", "").upper())


def test_the_next_question_is_asked_of_the_catalog_that_took_the_place(
    path: Path, catalog: Catalog, tmp_path: Path
) -> None:
    assert len(catalog) > 1
    update_catalog(tmp_path / "one.db", find_packs([APP]), failed=print)
    os.replace(tmp_path / "one.db", path)
    assert places(list(catalog)) == ["app.srcpack"]
    path.unlink()
    with pytest.raises(FileNotFoundError):
        catalog.by_url("~/a")
    update_catalog(path, find_packs([APP]), failed=print)
    assert len(catalog) == 1


def test_threads_share_a_catalog_that_is_replaced_meanwhile(path: Path, catalog: Catalog) -> None:
    copy = path.with_suffix(".copy")
    expected = ask_all(catalog)
    wrong: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                if (answer := ask_all(catalog)) != expected:
                    wrong.append(answer)
        except Exception as error:  # noqa: BLE001  a thread's error is lost otherwise
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        shutil.copy(path, copy)
        os.replace(copy, path)
        ask_all(catalog)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(catalog._free) <= 5


def test_a_catalog_that_nobody_has_any_more_is_closed_without_a_warning(path: Path, tmp_path: Path) -> None:
    catalog = Catalog(path)
    connection = catalog._free[-1][2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del catalog
        with pytest.raises(sqlite3.OperationalError):
            sqlite3.connect(f"file:{tmp_path}/none?mode=ro", uri=True, factory=type(connection))
        del connection
        gc.collect()


def test_a_fork_has_connections_of_its_own(catalog: Catalog) -> None:
    """Two processes that share one would move each other's place in the file."""
    expected = ask_all(catalog)
    inherited = catalog._free[-1][2]
    child = os.fork()
    if not child:
        right = ask_all(catalog) == expected
        own = all(connection is not inherited for _, _, connection in catalog._free)
        os._exit(0 if right and own else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask_all(catalog) == expected


def test_reading_a_catalog_imports_nothing_of_the_converter() -> None:
    """And who has none does not import SQLite."""
    script = (
        "import sys, srcpack\n"
        "assert 'sqlite3' not in sys.modules\n"
        "srcpack.Catalog\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "assert 'sqlite3' in roots\n"
        "print(sorted(roots & {'srcpack_convert', 'typer', 'rich', 'wcmatch', 'obstore', 'pyarrow'}))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
