"""What an import costs: no more than is needed."""

import os
import subprocess
import sys

import pytest

import srcpack_convert


def modules_after(statement: str) -> set[str]:
    """Return the modules that a new process has after a statement."""
    return set(
        subprocess.run(
            [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
    )


def test_a_process_that_builds_lookup_tables_imports_nothing_of_batches_and_of_the_command_line() -> None:
    loaded = modules_after("import srcpack_convert.one.lookup_worker")
    rooms = {name.split(".")[1] for name in loaded if name.startswith("srcpack_convert.")}
    assert rooms == {"one"}
    assert not loaded & {"asyncio", "sqlite3", "typer", "rich", "zstandard.backend_cffi"}


def test_the_command_line_needs_only_what_is_installed_with_it() -> None:
    """symbolic, obstore and the others come by extras."""
    optional = {"symbolic", "obstore", "fsspec", "distributed", "pyarrow", "matplotlib"}
    assert not modules_after("import srcpack_convert.cli.main") & optional


def test_a_batch_imports_asyncio_for_a_cluster_only() -> None:
    assert "asyncio" not in modules_after("from srcpack_convert import convert_many")


def test_all_public_names_are_there() -> None:
    assert dir(srcpack_convert) == sorted(srcpack_convert.__all__)
    for name in srcpack_convert.__all__:
        assert getattr(srcpack_convert, name) is not None
    with pytest.raises(AttributeError, match=r"^module 'srcpack_convert' has no attribute 'nothing'$"):
        _ = srcpack_convert.nothing  # type: ignore[attr-defined]
