"""Tables of a bundle: what symbolic does not survive, and what is over a bound, costs one table."""

import signal
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from typing import Any, TypeAlias

import pytest

from srcpack.bundle.members import SourceBundle
from srcpack.format.lookup_table import LookupTable
from srcpack.format.lookups import ABSENT, DATA_URL, EMBEDDED, ENTRY
from srcpack.records import EntryRecord
from srcpack_convert.one import lookup_tables, lookup_worker
from srcpack_convert.one.lookup_tables import write_tables
from srcpack_convert.one.options import Options
from srcpack_convert.one.read import read_members
from srcpack_convert.one.table import Table
from support.bundle_builder import ZipMember, build_zip
from support.source_maps import MappedFiles, bundle_with_maps, packed_map, source_map

Tables: TypeAlias = tuple[bytes, dict[str, EntryRecord]]
"""The section, and the records by name."""

SCRIPT = b"function f(a){return a.b(function(){g()})}\nclass C{m(){let x=()=>f();return x}}\n\nf(new C)"
SEGMENTS = [(0, 0, 0, 0, 0), (0, 5, 1, 0, 0), (0, 9, 2, 0, 0), (1, 1, 3, 0, 0)]
MAP = packed_map(source_map(SEGMENTS, ["a", "b", "c", "d"], sourcesContent=["A", "B", None, "text of d"]))
FILES: MappedFiles = {
    "a.js": ("minified_source", SCRIPT, "a.js.map"),
    "a.js.map": ("source_map", MAP, ""),
    "b.js": ("minified_source", b"(" * 50_000, "a.js.map"),
    "c.js": ("minified_source", SCRIPT, "c.js.map"),
    "c.js.map": ("source_map", b'{"version":3,"mappings":"!"}', ""),
    "d.js": ("minified_source", SCRIPT, "a.js.map"),
    "d.ts": ("source", b"text of d", ""),
    "e.js": ("minified_source", SCRIPT, "nowhere.map"),
    "f.js": (
        "source",
        b"f()",
        "data:application/json," + MAP.decode().replace("%", "%25").replace("#", "%23"),
    ),
}
TWO = {name: FILES[name] for name in ("a.js", "a.js.map", "f.js")}


def written(files: MappedFiles, jobs: int = 1) -> Tables:
    with SourceBundle(bundle_with_maps(files)) as bundle:
        records = [member.record for member in read_members(bundle, Options())]
        out = BytesIO()
        records = write_tables(out, bundle, records, jobs=jobs)
    return out.getvalue(), {record.name: record for record in records}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return written(FILES)


def table_in(data: bytes, record: EntryRecord) -> LookupTable:
    assert record.lookup is not None
    return LookupTable(record.lookup, 0, lambda offset, length: data[offset : offset + length], file="a")


def test_each_file_with_a_map_has_a_table_or_a_reason(tables: Tables) -> None:
    """And equal files with equal maps share one."""
    data, records = tables
    assert {name for name, record in records.items() if record.lookup} == {"a.js", "d.js", "f.js"}
    reasons = {name: record.lookup_reason for name, record in records.items() if record.lookup_reason}
    assert reasons.keys() == {"b.js", "c.js"}
    assert reasons["b.js"] == "symbolic does not survive it (SIGSEGV)"
    assert (reasons["c.js"] or "").startswith("symbolic: ")
    assert records["a.js"].lookup == records["d.js"].lookup
    assert sum(each.lookup.length for each in (records["a.js"], records["f.js"]) if each.lookup) == len(data)


def test_a_table_says_what_it_is_of(tables: Tables) -> None:
    data, records = tables
    names = [*FILES]
    table = table_in(data, records["a.js"])
    assert table.head.map == names.index("a.js.map")
    assert table.head.map_sha256 == sha256(MAP).digest()
    assert [text.kind for text in table.texts()] == [EMBEDDED, EMBEDDED, ABSENT, ENTRY]
    assert table.text(4).entry == names.index("d.ts")
    assert table_in(data, records["f.js"]).head.map == DATA_URL


def test_tables_are_the_same_bytes_however_many_are_built_at_once(tables: Tables) -> None:
    assert written(FILES, jobs=3) == tables


def test_tables_that_find_no_room_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(TWO)[1]["a.js"].lookup
    assert first is not None
    monkeypatch.setattr(lookup_tables, "MAX_SKIPPED", first.length)
    data, records = written(TWO)
    assert len(data) == first.length
    assert records["a.js"].lookup == first
    assert (records["f.js"].lookup_reason or "").startswith("the tables before it leave no room for ")


def test_a_file_or_a_map_over_its_bound_has_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_tables, "MAX_SCRIPT", len(SCRIPT) - 1)
    _, records = written(TWO)
    reason = f"the file has {len(SCRIPT)} bytes, over the limit of {len(SCRIPT) - 1}"
    assert records["a.js"].lookup_reason == reason
    assert records["f.js"].lookup is not None
    monkeypatch.setattr(lookup_tables, "MAX_SOURCE_MAP", len(MAP) - 1)
    _, records = written({"f.js": FILES["f.js"]})
    assert records["f.js"].lookup_reason == f"the map has {len(MAP)} bytes, over the limit of {len(MAP) - 1}"


def test_a_map_of_very_many_files_is_not_worked_on_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that tables are built from grow as those of the bundle, not as files times maps."""
    monkeypatch.setattr(lookup_tables, "_WORK_FREE", 0)
    built = list[int]()
    build = lookup_tables._Workers.build

    def seen(workers: Any, bundle: SourceBundle, records: Any, number: int, source_map: int) -> Table:
        built.append(records[number].size + records[source_map].size)
        return build(workers, bundle, records, number, source_map)

    monkeypatch.setattr(lookup_tables._Workers, "build", seen)
    for count in (20, 40):
        built.clear()
        # The map is much larger than a file.
        files = {
            f"{number:02}.js": ("minified_source", b"f(%d)" % number, "x.map") for number in range(count)
        }
        text = packed_map({**source_map(SEGMENTS, ["a", "b", "c", "d"]), "x_padding": "x" * 20_000})
        _, records = written({**files, "x.map": ("source_map", text, "")})
        assert sum(built) <= 2 * sum(record.size for record in records.values())
        tables = [records[name] for name in files if records[name].lookup is not None]
        assert len(tables) == len(built) == 2
        reasons = {records[name].lookup_reason for name in files} - {None}
        assert reasons == {f"too many files have a map of {len(text):,} bytes, or more"}


def test_time_goes_by_what_the_zip_has_not_by_what_that_unpacks_to() -> None:
    assert lookup_worker.seconds_for(0) == 10
    assert lookup_worker.seconds_for(1 << 20) == 42
    contents = {"a.js": SCRIPT, "a.map": MAP + b" " * 1_000_000, "manifest.json": b"{}"}
    data = build_zip([ZipMember(name=name, content=content) for name, content in contents.items()])
    with SourceBundle(data) as bundle:
        records = [member.record for member in read_members(bundle, Options())]
        assert sum(record.size for record in records) > 1_000_000
        assert lookup_tables._packed_size(bundle, records, 0, 1) < 5_000


def test_a_process_that_the_system_ended_says_why() -> None:
    def ended_by(how: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", f"import os, signal, sys\n{how}"])

    slow = ended_by("signal.raise_signal(signal.SIGXCPU)")
    assert str(lookup_tables._ended(slow, 14)) == "it takes symbolic over 14 seconds"
    killed = ended_by("os.kill(os.getpid(), signal.SIGKILL)")
    assert str(lookup_tables._ended(killed, 0)) == "symbolic does not survive it (SIGKILL)"
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        lookup_tables._ended(ended_by("sys.exit(3)"), 0)


def test_no_process_is_left_when_the_work_is_broken_off() -> None:
    with SourceBundle(bundle_with_maps(FILES)) as bundle:
        records = [member.record for member in read_members(bundle, Options())]
        started: list[subprocess.Popen[bytes]] = []

        class Broken(BytesIO):
            def write(self, _: Any) -> int:
                raise KeyboardInterrupt

        start = lookup_tables._Workers._started

        def seen(workers: Any) -> Any:
            started.append(start(workers))
            return started[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lookup_tables._Workers, "_started", seen)
            with pytest.raises(KeyboardInterrupt):
                write_tables(Broken(), bundle, records, jobs=2)
    assert started
    assert all(process.returncode is not None for process in started)
    assert {process.returncode for process in started} <= {-signal.SIGKILL, -signal.SIGSEGV}
