"""What an import costs: no more than is needed."""

from typing import Any, cast

import pytest
import typer

import srcpack_convert
from srcpack_convert.cli.main import app
from support.commands import run_python
from support.places import PACKS

PACK = str(PACKS / "app.srcpack")
COMMANDS = list(cast("Any", typer.main.get_command(app)).commands)


def modules_after(statement: str) -> set[str]:
    """Return the modules that a new process has after a statement."""
    code, printed, _ = run_python("-c", f"{statement}\nimport sys\nprint(*sys.modules)")
    assert code == 0
    return set(printed.splitlines()[-1].split())


def test_a_process_that_builds_lookup_tables_imports_nothing_of_batches_and_of_the_command_line() -> None:
    loaded = modules_after("import srcpack_convert.one.lookup_worker")
    rooms = {name.split(".")[1] for name in loaded if name.startswith("srcpack_convert.")}
    assert rooms == {"one"}
    assert not loaded & {"asyncio", "sqlite3", "typer", "rich", "zstandard.backend_cffi"}


def test_the_command_line_needs_only_what_is_installed_with_it() -> None:
    """symbolic, obstore and the others come by extras."""
    optional = {"symbolic", "obstore", "fsspec", "distributed", "pyarrow", "matplotlib"}
    loaded = modules_after("from srcpack_convert.cli.main import run; run(['--help'])")
    assert {f"srcpack_convert.cli.{name}" for name in COMMANDS} <= loaded
    assert not loaded & optional


@pytest.mark.parametrize(
    "arguments", [["ls", PACK], ["resolve", "--help"], ["resolve", PACK, "--at", "a.js:1:1"]]
)
def test_a_command_imports_nothing_of_the_others(arguments: list[str]) -> None:
    loaded = modules_after(f"from srcpack_convert.cli.main import run; run({arguments!r})")
    assert [name for name in COMMANDS if f"srcpack_convert.cli.{name}" in loaded] == arguments[:1]
    rooms = {name.split(".")[1] for name in loaded if name.startswith("srcpack_convert.")}
    assert rooms <= {"cli", "inputs", "storage", "atomic_write"}
    assert not loaded & {"rich", "asyncio", "sqlite3", "multiprocessing", "symbolic", "wcmatch"}


def test_a_batch_imports_asyncio_for_a_cluster_only() -> None:
    assert "asyncio" not in modules_after("from srcpack_convert import convert_many")


def test_all_public_names_are_there() -> None:
    assert dir(srcpack_convert) == sorted(srcpack_convert.__all__)
    for name in srcpack_convert.__all__:
        assert getattr(srcpack_convert, name) is not None
    with pytest.raises(AttributeError, match=r"^module 'srcpack_convert' has no attribute 'nothing'$"):
        _ = srcpack_convert.nothing  # type: ignore[attr-defined]
