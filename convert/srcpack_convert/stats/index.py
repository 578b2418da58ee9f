"""A table with a row for each file of many packs, for query engines: Parquet, or JSON lines.

Rows are written in batches, beside the table's place, which it takes when it is whole. pyarrow is imported
where a Parquet file is asked for.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from srcpack import Entry, ObjectInfo, Pack
from srcpack.rules.object_info import NIL_DEBUG_ID
from srcpack_convert.atomic_write import written_aside

__all__ = [
    "COLUMNS",
    "ENDINGS",
    "ParquetUnavailable",
    "Row",
    "bundle_columns",
    "require_pyarrow",
    "rows_of",
    "written_index",
]


class Row(NamedTuple):
    """What a table has of a file."""

    pack: str
    release: str | None
    dist: str | None
    bundle: str | None
    object: str | None
    member: str
    path: str | None
    url: str | None
    debug_id: str | None
    type: str
    size: int
    stored_size: int
    lines: int
    sha256: str | None
    source_mapping_url: str | None
    damage: str | None


COLUMNS = Row._fields
_NUMBERS = {"size", "stored_size", "lines"}

ENDINGS = (".parquet", ".jsonl")

_BATCH_ROWS = 8192
_BATCH_TEXT = 8 << 20
"""Characters of text after which a batch ends early."""
_GROUP_ROWS = 16 * _BATCH_ROWS
_GROUP_BYTES = 64 << 20


class ParquetUnavailable(Exception):
    """pyarrow is not installed."""


def require_pyarrow() -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`, else raise ParquetUnavailable."""
    try:
        import pyarrow as pa  # noqa: PLC0415  an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ParquetUnavailable(
            f"a Parquet file needs pyarrow ({error}): pip install 'srcpack[parquet]', "
            "or give a name that ends with .jsonl"
        ) from error
    return pa, parquet


@contextmanager
def written_index(path: str | os.PathLike[str]) -> Iterator[Callable[[Row], None]]:
    """Yield a function that writes a row; the file takes its place when the block ends well.

    Its ending chooses the format. Raises ValueError if that is none of `ENDINGS`, ParquetUnavailable if
    pyarrow is needed and not installed.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        raise ValueError(f"{os.fspath(path)}: an index ends with {' or '.join(ENDINGS)}")
    writing = _parquet if ending == ".parquet" else _json_lines
    with written_aside(path) as (out, _), writing(out) as write:
        yield write


def bundle_columns(pack: Pack) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the release, the dist, the identity in hex and the object of a pack's bundle."""
    attributes = pack.attributes
    object_id = ObjectInfo.of(attributes).debug_id
    of_object = None if object_id == NIL_DEBUG_ID else str(object_id)
    return attributes.get("release"), attributes.get("dist"), pack.bundle.identity.hex() or None, of_object


def rows_of(pack: Pack, entries: Iterable[Entry]) -> Iterator[Row]:
    """Yield the row of each of a pack's entries; FormatError if a value does not fit its column."""
    # A path of the system may be no UTF-8.
    of_pack = pack.file.encode("utf-8", "backslashreplace").decode(), *bundle_columns(pack)
    for entry in entries:
        debug_id, digest, reference = entry.debug_id, entry.sha256, entry.source_mapping_url
        yield Row(
            *of_pack,
            member=entry.name,
            path=entry.path,
            url=entry.url,
            debug_id=None if debug_id is None else str(debug_id),
            type=entry.type.value,
            size=entry.size,
            stored_size=entry.stored_size,
            lines=entry.lines,
            sha256=None if digest is None else digest.hex(),
            source_mapping_url=_without_data(reference),
            damage=entry.damage,
        )


def _without_data(reference: str | None) -> str | None:
    """Return a reference; of a map that is in the reference, which may have megabytes, what is before it."""
    if reference is None or not reference.startswith("data:"):
        return reference
    return reference[:200].partition(",")[0]


@contextmanager
def _json_lines(out: BinaryIO) -> Iterator[Callable[[Row], None]]:
    encode = json.JSONEncoder().encode

    def write(row: Row) -> None:
        out.write(encode(row._asdict()).encode() + b"\n")

    yield write


@contextmanager
def _parquet(out: BinaryIO) -> Iterator[Callable[[Row], None]]:
    pa, parquet = require_pyarrow()
    text, number = pa.string(), pa.int64()
    schema = pa.schema([(name, number if name in _NUMBERS else text) for name in COLUMNS])
    rows: list[Row] = []
    batches: list[Any] = []
    texts = 0

    def write(row: Row) -> None:
        nonlocal texts
        rows.append(row)
        texts += sum(len(value) for value in row if isinstance(value, str))
        if len(rows) >= _BATCH_ROWS or texts >= _BATCH_TEXT:
            end_batch()

    def end_batch() -> None:
        nonlocal texts
        if rows:
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
            rows.clear()
            texts = 0
        table = pa.Table.from_batches(batches, schema)
        if table.num_rows >= _GROUP_ROWS or table.nbytes >= _GROUP_BYTES:
            end_group(table)

    def end_group(table: Any) -> None:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        batches.clear()

    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        yield write
        end_batch()
        if batches:
            end_group(pa.Table.from_batches(batches, schema))
