"""Lookup tables, built in this process and asked without a pack."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from srcpack.bundle.members import SourceBundle
from srcpack.format.lookup_table import LookupTable
from srcpack.format.lookups import DATA_URL
from srcpack.records import EntryRecord
from srcpack.rules.original_position import OriginalPosition
from srcpack_convert.one import lookup_tables
from srcpack_convert.one.lookups import build_table
from srcpack_convert.one.table import NoTable

__all__ = ["build_tables_here", "original", "tables_built_here"]


def build_tables_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `convert(lookups=True)` start no process, which takes longer than all else of a small bundle."""
    monkeypatch.setattr(lookup_tables, "_built", _built)


@contextmanager
def tables_built_here() -> Iterator[None]:
    """Build lookup tables in this process for a while."""
    with patch.object(lookup_tables, "_built", _built):
        yield


def _built(
    bundle: SourceBundle, records: Sequence[EntryRecord], pairs: Sequence[Any], _: int
) -> Iterator[Any]:
    entries = {record.sha256: at for at, record in reversed([*enumerate(records)]) if record.utf8}
    for number, place in pairs:
        embedded = isinstance(place, bytes)
        content = place if embedded else bundle.read(records[place].name)
        try:
            script = bundle.read(records[number].name)
            yield build_table(script, content, DATA_URL if embedded else place, entries)
        except NoTable as reason:
            yield str(reason)


def original(table: LookupTable, line: int, column: int) -> OriginalPosition | None:
    """Return what a table answers for a place."""
    row = table.row(line, column)
    return None if row is None else table.position(row)
