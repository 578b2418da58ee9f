"""Lookup tables, built in this process and asked without a pack."""

from collections.abc import Sequence

import pytest

from srcpack.bundle.members import SourceBundle
from srcpack.format.lookup_table import LookupTable
from srcpack.format.lookups import DATA_URL
from srcpack.records import EntryRecord
from srcpack.rules.original_position import OriginalPosition
from srcpack_convert.one import lookup_tables
from srcpack_convert.one.lookups import build_table
from srcpack_convert.one.table import Table

__all__ = ["build_tables_here", "original"]


def build_tables_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `convert(lookups=True)` start no process, which takes longer than all else of a small bundle."""
    monkeypatch.setattr(lookup_tables._Workers, "build", _build)


def _build(
    _: object, bundle: SourceBundle, records: Sequence[EntryRecord], number: int, source_map: int | bytes
) -> Table:
    entries = {record.sha256: at for at, record in reversed([*enumerate(records)]) if record.utf8}
    script = bundle.read(records[number].name)
    if isinstance(source_map, bytes):
        return build_table(script, source_map, DATA_URL, entries)
    return build_table(script, bundle.read(records[source_map].name), source_map, entries)


def original(table: LookupTable, line: int, column: int) -> OriginalPosition | None:
    """Return what a table answers for a place."""
    row = table.row(line, column)
    return None if row is None else table.position(row)
