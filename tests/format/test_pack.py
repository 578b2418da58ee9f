"""Reading a pack: the mapping, lookups, contents, and what opening and looking up cost."""

import hashlib
import io
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import srcpack
from srcpack import (
    DamagedMember,
    Entry,
    FormatError,
    LimitExceeded,
    NotFound,
    Pack,
)
from srcpack.format.head_tail import (
    FRAME_HEADER,
    HEAD_SIZE,
    INDEX,
    TAIL_SIZE,
    Section,
    pack_frame_header,
    pack_tail,
    parse_frame_header,
)
from srcpack.format.index import MAX_BUCKET, SLOT, find_entries, sort_into_buckets
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.rules.context import get_context
from srcpack.rules.lookup_keys import NAME, Kind
from srcpack.source import remote, request_plan
from srcpack.source.byte_source import ByteSource
from srcpack.source.local import BytesSource
from srcpack.source.source_of import SourceKind
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.pack_recipe import with_tail
from support.places import PACKS
from support.range_server import RangeServer

APP = "files/_/_/static/app.min.js"


class CountingSource(ByteSource):
    """Bytes that keep account of what is read of them."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self._data[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))

    def close(self) -> None:
        pass


def counted(name: str) -> tuple[Pack, CountingSource]:
    source = CountingSource((PACKS / f"{name}.srcpack").read_bytes())
    return Pack(PackFile(source, file=name)), source


@pytest.fixture(params=["mmap", "pread", "bytes", "url"])
def opened(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Pack]]:
    packs: list[Pack] = []
    objects: dict[str, bytes] = {}
    base = ""
    if request.param == "url":
        pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")
        server: RangeServer = request.getfixturevalue("server")
        objects, base = server.objects, server.url
        monkeypatch.setattr(remote, "PIECE", 2048)
        for name in ("MAX_REQUEST", "MAX_GAP", "_LEAST_SHARE"):
            monkeypatch.setattr(request_plan, name, 2048)

    def open_one(name: str) -> Pack:
        path = PACKS / f"{name}.srcpack"
        if request.param == "url":
            objects[f"/{name}"] = path.read_bytes()
            packs.append(srcpack.open(f"{base}/{name}"))
        elif request.param == "bytes":
            packs.append(srcpack.open(path.read_bytes()))
        else:
            packs.append(srcpack.open(path, source=request.param))
        return packs[-1]

    yield open_one
    for pack in packs:
        pack.close()


@pytest.fixture(scope="module")
def server() -> Iterator[RangeServer]:
    with RangeServer({}) as server:
        yield server


# ---- opening


def test_opening_reads_head_and_tail_only() -> None:
    pack, source = counted("many")
    assert source.reads == [(0, HEAD_SIZE), (source.size - TAIL_SIZE, TAIL_SIZE)]
    assert len(pack) == 300
    assert len(source.reads) == 2


def test_a_lookup_reads_one_bucket_and_one_block() -> None:
    """Fan-out, slots, place of the block, the block: and for a second key only what differs."""
    pack, source = counted("many")
    source.reads.clear()
    assert pack.by_url("~/lib/123.js") is not None
    assert [length for _, length in source.reads[:1]] == [16]
    assert len(source.reads) == 4
    source.reads.clear()
    assert pack.by_url("~/lib/124.js") is not None
    assert len(source.reads) == 2


def test_the_index_of_a_small_pack_is_read_once_and_whole() -> None:
    pack, source = counted("app")
    index = packfile_of(pack).tail.sections[INDEX]
    assert len(pack) <= 32, "one block"
    names = list(pack)
    source.reads.clear()
    pack.store.directory.forget()  # type: ignore[attr-defined]
    for name in names:
        assert pack[name].name == name
    assert source.reads[0] == (index.offset, index.length)
    assert len(source.reads) == 2, "the index, and the block"


def test_a_miss_reads_one_bucket() -> None:
    pack, source = counted("many")
    source.reads.clear()
    assert pack.by_url("~/absent.js") is None
    assert "absent" not in pack
    assert len(source.reads) == 4
    assert all(length <= 32 * 8 for _, length in source.reads)


def test_a_looked_up_entry_is_not_looked_up_again() -> None:
    pack, source = counted("many")
    first = pack.by_url("~/lib/123.js")
    source.reads.clear()
    assert pack.by_url("~/lib/123.js") == first
    assert source.reads == []


def test_facts_of_an_entry_decode_no_content() -> None:
    pack, source = counted("headers")
    content = packfile_of(pack).tail.sections[1]
    start, end = content.offset, content.end
    for entry in pack.entries():
        assert entry.type
        _ = entry.source_mapping_url, entry.debug_id, entry.headers, entry.lines, entry.sha256
    assert not any(start <= offset < end for offset, _ in source.reads)


@pytest.mark.parametrize("size", [0, 1, HEAD_SIZE, HEAD_SIZE + TAIL_SIZE - 1])
def test_a_short_file_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "short.srcpack"
    path.write_bytes((PACKS / "app.srcpack").read_bytes()[:size])
    for source in ("mmap", "pread"):
        with pytest.raises(FormatError, match=r"short\.srcpack: "):
            srcpack.open(path, source=source)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(FormatError, match="not a regular file"):
            srcpack.open(path)
    with pytest.raises(FileNotFoundError):
        srcpack.open(tmp_path / "absent")


def test_an_unknown_source_is_misuse() -> None:
    with pytest.raises(ValueError, match="source is 'mmap' or 'pread', not 'disk'"):
        srcpack.open(PACKS / "app.srcpack", source="disk")  # type: ignore[arg-type]


def test_the_reader_imports_neither_typer_nor_the_converter() -> None:
    code = (
        "import sys, srcpack;"
        "print([m for m in sys.modules if m.split('.')[0] in ('typer', 'click', 'srcpack_convert')])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout.strip() == b"[]"


def test_a_pack_may_have_as_many_sections_as_the_table_has_room_for() -> None:
    """A newer minor version may add sections; readers of this one know where they are, and no more."""
    data = (PACKS / "many.srcpack").read_bytes()
    body, pack = data[:18] + b"\1\0" + data[20:-TAIL_SIZE], srcpack.open(data)
    sections = dict(packfile_of(pack).tail.sections)
    for number in range(6, 6 + 6 - len(sections)):
        sections[number] = Section(len(body), FRAME_HEADER.size + number)
        body += pack_frame_header(number) + bytes(number)
    tail = packfile_of(pack).tail._replace(
        file_length=len(body) + TAIL_SIZE, sections=sections, sha256=hashlib.sha256(body).digest()
    )
    newer = srcpack.open(with_tail(body + pack_tail(tail), minor=1))
    assert packfile_of(newer).tail.sections == sections
    assert list(newer) == list(pack)
    assert srcpack.verify(newer) == []


def test_a_frame_of_ours_is_never_longer_than_its_length_can_say() -> None:
    with pytest.raises(FormatError, match="a: length of the manifest at offset 24: found 4294967296"):
        parse_frame_header(bytes(8), 1 << 32, file="a", offset=24, what="manifest")


def test_a_version_is_known_without_an_installation_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    spec = find_spec("srcpack")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.__version__ == "0+unknown"


# ---- the index's arithmetic


def test_a_fingerprint_is_found_in_slots_and_not_across_them() -> None:
    wanted = 0x01020304
    # Once as an entry's number, once from the middle of a slot to the middle of the next one.
    slots = [(wanted, 7), (5, wanted), (6, 0x03040000), (0x0102, 1), (wanted, 8)]
    assert find_entries(b"".join(SLOT.pack(*slot) for slot in slots), wanted) == [7, 8]


def test_keys_are_in_no_buckets_where_one_would_be_too_long() -> None:
    keys = [(Kind.URL, f"~/{number}", number) for number in range(MAX_BUCKET + 1)]
    assert sort_into_buckets(keys, b"the seed", 1) is None
    (bucket,) = sort_into_buckets(keys[1:], b"the seed", 1) or []
    assert bucket == sorted(bucket)
    assert {number for _, number in bucket} == set(range(1, MAX_BUCKET + 1))


# ---- the mapping
# ---- the mapping


def test_a_pack_is_a_mapping_of_names_in_order(opened: Callable[[str], Pack]) -> None:
    pack = opened("many")
    names = list(pack)
    assert names == sorted(names)
    assert len(pack) == len(names) == 300
    assert list(pack.keys()) == names
    assert [entry.name for entry in pack.values()] == names
    assert {name: entry.name for name, entry in pack.items()} == dict(zip(names, names, strict=True))
    assert names[7] in pack
    assert pack.get("absent") is None


def test_a_missing_name_is_a_key_error_that_names_pack_and_member(opened: Callable[[str], Pack]) -> None:
    pack = opened("app")
    with pytest.raises(KeyError) as error:
        pack["absent\n"]
    assert isinstance(error.value, NotFound)
    assert str(error.value) == f"{pack.file}: no entry 'absent\\n'"


@pytest.mark.parametrize("key", [None, 7, b"bytes"])
def test_a_key_that_is_no_text_is_misuse(key: object) -> None:
    pack = srcpack.open(PACKS / "app.srcpack")
    with pytest.raises(TypeError):
        pack[key]  # type: ignore[index]
    with pytest.raises((TypeError, AttributeError)):
        pack.by_url(key)  # type: ignore[arg-type]


def test_a_key_with_a_lone_surrogate_is_a_miss() -> None:
    pack = srcpack.open(PACKS / "app.srcpack")
    assert "\ud800" not in pack
    assert pack.by_url("\ud800") is None
    assert pack.by_path("\ud800") is None


def test_a_wrong_debug_id_or_type_is_misuse() -> None:
    pack = srcpack.open(PACKS / "app.srcpack")
    with pytest.raises(ValueError, match="garbage"):
        pack.by_debug_id("garbage", "source")
    with pytest.raises(ValueError, match="wasm"):
        pack.by_debug_id("5e618b9f-54a9-4389-b196-519819dd7c47", "wasm")


@pytest.mark.parametrize(
    "prefix", ["", "files/", "files/_/_/lib/1", "files/_/_/lib/299.js", "files/_/_/lib/3", "a", "z"]
)
def test_find_prefix_gives_what_a_scan_gives(opened: Callable[[str], Pack], prefix: str) -> None:
    pack = opened("many")
    found = [entry.name for entry in pack.find_prefix(prefix)]
    assert found == [name for name in pack if name.startswith(prefix)]


def test_find_prefix_decodes_only_the_blocks_it_needs() -> None:
    pack, source = counted("many")
    source.reads.clear()
    assert len(list(pack.find_prefix("files/_/_/lib/25"))) == 10
    blocks = {offset for offset, length in source.reads if length > 16}
    assert len(blocks) < packfile_of(pack).tail.block_count


# ---- contents


def test_ranges_views_and_files_give_the_content(opened: Callable[[str], Pack]) -> None:
    pack = opened("lines")
    for entry in pack.entries():
        content = entry.read()
        assert hashlib.sha256(content).digest() == entry.sha256
        assert bytes(entry.view()) == content
        assert entry.view().readonly
        with io.BufferedReader(entry.open(), 1000) as file:
            assert file.read() == content
            file.seek(-5, io.SEEK_END)
            assert file.read() == content[-5:]
            file.seek(0)
            assert list(file) == io.BytesIO(content).readlines()
        for start in (0, 1, 4095, 4096, 4097, len(content) - 1, len(content), len(content) + 1):
            for length in (0, 1, 4096, 9000, 1 << 40):
                assert entry.read_range(start, length) == content[start : start + length]


def test_a_range_decodes_only_its_frames() -> None:
    pack, source = counted("lines")
    entry = pack["files/many-lines.c"]
    source.reads.clear()
    entry.read_range(4096, 4096)
    assert len(source.reads) == 1
    source.reads.clear()
    entry.read_range(4095, 2)
    assert len(source.reads) == 2


def test_a_view_of_a_raw_entry_is_of_the_map() -> None:
    """It is there after the pack was closed, and closing does not mind it."""
    pack = srcpack.open(PACKS / "lines.srcpack")
    entry = pack["files/raw.bin"]
    assert entry.raw
    content = entry.read()
    view = entry.view()
    assert type(view.obj).__name__ == "mmap"
    pack.close()
    assert bytes(view) == content


def test_negative_ranges_are_misuse() -> None:
    entry = srcpack.open(PACKS / "app.srcpack")[APP]
    for start, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            entry.read_range(start, length)


def test_text_is_decoded_strictly() -> None:
    pack = srcpack.open(PACKS / "texts.srcpack")
    assert pack["files/bom"].text() == "\ufeffint a;\n"
    assert pack["files/separators"].text() == "a\u2028b\x0cc\x85d\ne"
    assert pack["files/latin1"].read() == b"caf\xe9\n"
    with pytest.raises(DamagedMember, match="'files/latin1' cannot be read: not UTF-8"):
        pack["files/latin1"].text()
    with pytest.raises(DamagedMember):
        pack["files/latin1"].context(1)


def test_a_member_that_could_not_be_read_says_why() -> None:
    pack = srcpack.open(PACKS / "broken-members.srcpack")
    entry = pack["files/wrong-crc.js"]
    calls: list[Callable[[], object]] = [entry.read, entry.text, entry.view, entry.open]
    calls += [lambda: entry.read_range(0, 1), lambda: entry.context(1)]
    for call in calls:
        with pytest.raises(DamagedMember, match="CRC-32") as error:
            call()
        assert (error.value.member, error.value.file) == (entry.name, pack.file)
    assert (entry.size, entry.sha256, entry.lines) == (0, None, 0)


def test_max_read_bounds_every_read() -> None:
    pack = srcpack.open(PACKS / "lines.srcpack", max_read=5000)
    entry = pack["files/many-lines.c"]
    calls: list[Callable[[], object]] = [entry.read, entry.text, entry.view]
    calls += [lambda: entry.read_range(0, 5001), lambda: entry.context(1000, lines=900)]
    for call in calls:
        with pytest.raises(LimitExceeded, match="over the limit of 5,000"):
            call()
    assert len(entry.read_range(0, 5000)) == 5000
    assert srcpack.open(PACKS / "lines.srcpack", max_read=4095)["files/exact.c"].size == 4096
    with pytest.raises(LimitExceeded):
        srcpack.open(PACKS / "lines.srcpack", max_read=4095)["files/exact.c"].read()


def test_equal_contents_are_stored_once() -> None:
    pack = srcpack.open(PACKS / "texts.srcpack")
    assert pack["files/crlf"].record.frames == pack["files/copy-of-crlf"].record.frames


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_read_many_keeps_the_order(opened: Callable[[str], Pack], threads: int) -> None:
    pack = opened("many")
    items: list[str | Entry] = [name for at, name in enumerate(pack) if at % 3]
    items.reverse()
    items[3] = pack["files/_/_/lib/007.js"]
    expected = [(pack[item] if isinstance(item, str) else item).read() for item in items]
    assert pack.read_many(items, threads=threads) == expected
    assert pack.read_many([], threads=threads) == []


def test_read_many_names_what_is_missing() -> None:
    pack = srcpack.open(PACKS / "many.srcpack")
    with pytest.raises(NotFound, match="absent"):
        pack.read_many(["files/_/_/lib/007.js", "absent"], threads=2)


# ---- lines


@pytest.mark.parametrize(
    "name", ["files/many-lines.c", "files/one-line.js", "files/exact-two.c", "files/raw.bin"]
)
def test_context_is_that_of_the_whole_file(name: str) -> None:
    entry = srcpack.open(PACKS / "lines.srcpack")[name]
    text = entry.text()
    last = entry.lines
    for line in {0, 1, 2, 5, 6, last // 3, last // 2, last - 5, last - 1, last, last + 1, last + 7}:
        for lines in (0, 1, 5, 400):
            if line >= 0:
                assert entry.context(line, lines, 70) == get_context(text, line, 70, lines), (line, lines)


@settings(max_examples=60, deadline=None)
@given(line=st.integers(0, 2010), lines=st.integers(0, 30))
def test_any_context_is_that_of_the_whole_file(line: int, lines: int) -> None:
    entry = srcpack.open(PACKS / "lines.srcpack")["files/many-lines.c"]
    assert entry.context(line, lines) == get_context(entry.text(), line, 0, lines)


def test_context_decodes_only_the_frames_of_its_lines() -> None:
    pack, source = counted("lines")
    entry = pack["files/many-lines.c"]
    frames = len(entry.record.frames)
    source.reads.clear()
    assert entry.context(1000) is not None
    assert len(source.reads) <= 2 < frames
    source.reads.clear()
    assert entry.context(entry.lines + 1) is None
    assert source.reads == []


def test_negative_context_is_misuse() -> None:
    entry = srcpack.open(PACKS / "lines.srcpack")["files/many-lines.c"]
    for lines, column in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            entry.context(1, lines, column)


# ---- closing, copies, threads


def test_reads_of_a_closed_pack_are_misuse(opened: Callable[[str], Pack]) -> None:
    with opened("app") as pack:
        entry = pack[APP]
    for call in (entry.read, lambda: pack["files/_/_/static/main.js"], lambda: list(pack)):
        with pytest.raises(ValueError, match="closed pack"):
            call()
    pack.close()
    assert pack.sha256


def test_a_file_cut_while_it_is_open_gives_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes((PACKS / "many.srcpack").read_bytes())
    with srcpack.open(path, source="pread") as pack:
        os.truncate(path, packfile_of(pack).directory.layout.block_table)
        with pytest.raises(FormatError, match=r"a\.srcpack: cut while it was open at offset \d+: found 0,"):
            pack.by_url("~/static/0.js")


def test_an_entry_is_equal_to_itself_in_the_same_open_pack_and_to_nothing_else(
    opened: Callable[[str], Pack],
) -> None:
    """Anyone can write a pack that claims the identity of another, so no claim makes entries equal."""
    pack = opened("app")
    entry = pack[APP]
    assert entry == pack[APP]
    assert hash(entry) == hash(pack[APP])
    assert entry != pack["files/_/_/static/main.js"]
    assert entry != APP
    assert entry != opened("app")[APP]


def test_a_file_of_an_entry_can_be_closed(opened: Callable[[str], Pack]) -> None:
    file = opened("app")[APP].open()
    assert file.read(3)
    file.close()
    for call in (file.read, lambda: file.readinto(bytearray(1))):
        with pytest.raises(ValueError, match="closed file"):
            call()


def test_a_dropped_pack_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes((PACKS / "app.srcpack").read_bytes())
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    kinds: tuple[SourceKind, ...] = ("mmap", "pread")
    for source in kinds:
        for _ in range(50):
            srcpack.open(path, source=source)[APP].read()
        with pytest.raises(FormatError):
            srcpack.open(tmp_path, source=source)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_pack_and_its_entries_can_be_pickled(opened: Callable[[str], Pack]) -> None:
    pack = opened("app")
    entry = pack[APP]
    again = pickle.loads(pickle.dumps(entry))
    assert again.name == entry.name
    assert again.read() == entry.read()
    assert again.pack.sha256 == pack.sha256
    assert type(again.pack.store.source) is type(pack.store.source)


def test_a_pickled_pack_knows_that_the_file_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes((PACKS / "app.srcpack").read_bytes())
    pickled = pickle.dumps(srcpack.open(path))
    (tmp_path / "new").write_bytes((PACKS / "many.srcpack").read_bytes())
    (tmp_path / "new").rename(path)
    with pytest.raises(FormatError, match="another file since it was pickled"):
        pickle.loads(pickled)


def test_errors_can_be_pickled() -> None:
    errors = [
        FormatError("f", "p", member="m", offset=3, found=1, expected=2),
        DamagedMember("f", "m", "why"),
        LimitExceeded("f", "size", 2, 1, member="m"),
        NotFound("f", "m"),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def _sha256(entry: Entry) -> bytes:
    return hashlib.sha256(entry.read()).digest()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_other_processes_read_a_pack_that_was_opened_here(method: str) -> None:
    if sys.version_info >= (3, 12) and method == "fork" and threading.active_count() > 1:
        pytest.skip("forking a process with threads is deprecated")
    pack = srcpack.open(PACKS / "many.srcpack")
    entries = list(pack.entries())[::37]
    entries[0].read()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as executor:
        assert list(executor.map(_sha256, entries)) == [entry.sha256 for entry in entries]


def test_many_threads_share_a_pack_and_evict_each_other(opened: Callable[[str], Pack]) -> None:
    """Every answer is right while decompressors, blocks and entries of many packs come and go."""
    packs = [opened(name) for name in ("many", "lines", "texts", "headers", "app") for _ in range(4)]
    wanted = [(pack, entry.name, entry.sha256) for pack in packs for entry in pack.entries()]

    def read(part: int) -> int:
        for pack, name, digest in wanted[part::8] + wanted[::8]:
            content = pack[name].read()
            assert hashlib.sha256(content).digest() == digest or (digest is None and not content)
        return part

    with ThreadPoolExecutor(8) as executor:
        assert sorted(executor.map(read, range(8))) == list(range(8))


def test_closing_under_readers_is_clean(opened: Callable[[str], Pack]) -> None:
    for _ in range(20):
        pack = opened("many")
        entries = list(pack.entries())
        ready = threading.Barrier(5)
        wrong: list[object] = []

        def read(entries: list[Entry] = entries, ready: threading.Barrier = ready) -> None:
            ready.wait()
            for entry in entries:
                try:
                    if hashlib.sha256(entry.read()).digest() != entry.sha256:
                        wrong.append(entry)  # noqa: B023
                except ValueError as error:
                    if "closed pack" not in str(error):
                        wrong.append(error)  # noqa: B023
                    return

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        pack.close()
        for thread in threads:
            thread.join()
        assert not wrong


def test_entries_of_packs_that_are_gone_do_not_answer_for_others() -> None:
    data = (PACKS / "app.srcpack").read_bytes()
    other = (PACKS / "headers.srcpack").read_bytes()
    for _ in range(50):
        assert APP in Pack(PackFile(BytesSource(data), file="a"))
        assert APP not in Pack(PackFile(BytesSource(other), file="b"))


@pytest.mark.parametrize("length", [0, 1, 2, 255, 256, 257, 300, 1000, 4096])
def test_lines_are_found_among_very_many(length: int, tmp_path: Path) -> None:
    """Of line feeds alone, and of few: where they are counted by halves, and where they are found."""
    for content in (b"\n" * length, b"x\n" * length + b"end", b"long " * length + b"\na\n" * 300):
        bundle = build_bundle({"a": content}, {"files": {"a": {}}})
        convert(bundle, tmp_path / "a.srcpack", frame_size=4096)
        entry = srcpack.open(tmp_path / "a.srcpack")["a"]
        text = content.decode()
        for line in {1, 2, 256, 257, 258, length, length + 1, entry.lines - 1, entry.lines, entry.lines + 1}:
            if line >= 0:
                assert entry.context(line, 3) == get_context(text, line, 0, 3)


FRAME = 64 << 10


@pytest.fixture(scope="module", params=[False, True], ids=["zstd", "raw"])
def many_frames(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, bytes]:
    """Return a content of 21 frames, and a pack of it."""
    path = tmp_path_factory.mktemp("frames") / "a.srcpack"
    content = bytes(random.Random(5).choices(b"0123456789abcdef", k=20 * FRAME + 1))
    raw = ("a",) if request.param else ()
    convert(build_bundle({"a": content}, {"files": {"a": {}}}), path, frame_size=FRAME, raw=raw)
    return content, path.read_bytes()


@contextmanager
def traced() -> Iterator[Callable[[], tuple[int, int]]]:
    """Yield what tells the bytes that are allocated, and were at most, since it was entered."""
    tracemalloc.start()
    try:
        yield tracemalloc.get_traced_memory
    finally:
        tracemalloc.stop()


def test_a_content_of_many_frames_takes_its_size_and_a_frame_more(many_frames: tuple[bytes, bytes]) -> None:
    content, data = many_frames
    entry = Pack(PackFile(BytesSource(data), file="a"))["a"]
    entry.read_range(0, 1)  # what is loaded once
    with traced() as memory:
        assert entry.read() == content
        # A frame as it is stored, and its content.
        assert len(content) <= memory()[1] < len(content) + 3 * FRAME


def test_an_error_keeps_nothing_of_the_frames_before_it(many_frames: tuple[bytes, bytes]) -> None:
    _, data = many_frames
    frame = Pack(PackFile(BytesSource(data), file="a"))["a"].record.frames[-2]
    damaged = bytearray(data)
    damaged[frame.offset + frame.length // 2] ^= 1
    entry = Pack(PackFile(BytesSource(bytes(damaged)), file="a"))["a"]
    entry.read_range(0, 1)
    with traced() as memory:
        with pytest.raises(FormatError) as kept:
            entry.read()
        assert memory()[0] < 4 * FRAME
        assert kept.value.member == "a"


def test_a_claimed_size_takes_no_memory_before_a_frame_is_right(many_frames: tuple[bytes, bytes]) -> None:
    _, data = many_frames
    pack = Pack(PackFile(BytesSource(data), file="a"))
    honest = pack["a"].record
    count = (1 << 29) // FRAME
    wrong = honest.frames[0]._replace(checksum=b"none")
    lying = honest._replace(size=count * FRAME, frames=(wrong,) * count)
    with traced() as memory:
        with pytest.raises(FormatError):
            Entry(pack, lying).read()
        assert memory()[1] < 10 * FRAME


def test_a_pack_that_is_closed_while_a_block_is_read_does_not_keep_it() -> None:
    pack, source = counted("many")
    read = source.read

    def read_and_close(offset: int, length: int) -> bytes:
        data = read(offset, length)
        if offset >= packfile_of(pack).tail.sections[2].offset and length > 16:
            pack.close()
        return data

    source.read = read_and_close  # type: ignore[method-assign]
    assert next(iter(pack))
    source.read = read  # type: ignore[method-assign]
    source.reads.clear()
    assert next(iter(pack))
    assert source.reads


# ---- long lines


LINE_FRAME = 4096
LONG_CONTENTS = {
    "one line": b"ab'\"" * 5000,
    "ended": b"0123456789" * 2100 + b"\n",
    "ended by both": b"0123456789" * 2100 + b"\r\n",
    "characters": "äöü€𝕏ab".encode() * 1500,
    "licence and comment": b"/*! licence */\n" + "x=𝕏;".encode() * 3000 + b"\n//# sourceMappingURL=a.js.map",
    "two": b"a" * 9000 + b"\r\n" + b"b" * 9000 + b"\n\n" + b"c" * 9000,
    "ends at frames": (b"a" * (LINE_FRAME * 2 - 1) + b"\n") * 3 + b"b" * 3 * LINE_FRAME,
    "return before a frame": b"a" * (LINE_FRAME * 3 - 1) + b"\r\n" + b"b" * 3 * LINE_FRAME + b"\r",
    "empty at the end": b"a" * LINE_FRAME * 3 + b"\n\n\n",
}


@pytest.fixture(scope="module", params=[(), ("*",)], ids=["zstd", "raw"])
def long_lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("lines") / "a.srcpack"
    bundle = build_bundle(LONG_CONTENTS, {"files": {name: {} for name in LONG_CONTENTS}})
    convert(bundle, path, frame_size=LINE_FRAME, raw=request.param, dictionary="off")
    return path.read_bytes()


@pytest.mark.parametrize("name", LONG_CONTENTS)
def test_context_of_long_lines_is_that_of_the_whole_file(long_lines: bytes, name: str) -> None:
    entry = srcpack.open(long_lines)[name]
    text = LONG_CONTENTS[name].decode()
    size = len(LONG_CONTENTS[name])
    columns = {0, 1, 59, 60, 64, 65, 66, 4000, size // 2, size + 9, size, *range(size - 150, size)}
    columns |= {LINE_FRAME * n + at for n in (1, 2) for at in range(-90, 70)}
    for line in range(entry.lines + 2):
        for column in columns:
            for lines in (0, 1, 5):
                assert entry.context(line, lines, column) == get_context(text, line, column, lines), column


def test_a_line_decodes_the_frames_of_its_begin_and_end_and_of_the_column(long_lines: bytes) -> None:
    source = CountingSource(long_lines)
    pack = Pack(PackFile(source, file="a"))
    frames = {name: len(pack[name].record.frames) for name in LONG_CONTENTS}
    for name, line, most in (("one line", 1, 2), ("licence and comment", 2, 3), ("two", 1, 8)):
        entry = pack[name]
        for column in (0, 7000, 12000):
            source.reads.clear()
            assert entry.context(line, 5, column) is not None
            assert len(source.reads) <= most
    assert min(frames["one line"], frames["licence and comment"]) > 3
    source.reads.clear()
    assert pack["one line"].context(2) is None
    assert source.reads == []


def test_a_closed_pack_gives_no_context_of_a_long_line(long_lines: bytes) -> None:
    pack = srcpack.open(long_lines)
    entry = pack["one line"]
    pack.close()
    with pytest.raises(ValueError, match="closed pack"):
        entry.context(1)


def test_line_feeds_that_are_not_as_the_entry_says_are_told_in_a_long_line(long_lines: bytes) -> None:
    store = packfile_of(srcpack.open(long_lines))
    for name in LONG_CONTENTS:
        record = store.find(NAME, name)
        assert record is not None
        frames = [frame._replace(newlines_before=number) for number, frame in enumerate(record.frames)]
        for lie in (
            record._replace(lines=record.lines + 3),
            record._replace(lines=len(frames), frames=tuple(frames)),
        ):
            with pytest.raises(FormatError, match="lines: expected"):
                _ = [store.context(lie, line, 0, 0) for line in range(1, lie.lines + 1)]


# ---- several threads for one file


@pytest.mark.parametrize("threads", [1, 2, 3, 20, 100])
def test_a_file_that_threads_decode_side_by_side_is_whole(
    many_frames: tuple[bytes, bytes], threads: int
) -> None:
    content, data = many_frames
    source = CountingSource(data)
    pack = Pack(PackFile(source, file="a"))
    entry = pack["a"]
    source.reads.clear()
    assert entry.read(threads=threads) == content
    assert sorted(source.reads) == [(frame.offset, frame.length) for frame in entry.record.frames]
    assert pack.read_many(["a", "a"], threads=threads) == [content] * 2


def test_a_small_file_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    pack = srcpack.open(PACKS / "many.srcpack")
    for entry in pack.entries():
        assert entry.read(threads=8) == entry.read()


def test_a_damaged_part_is_refused_whichever_thread_decodes_it(many_frames: tuple[bytes, bytes]) -> None:
    _, data = many_frames
    frames = srcpack.open(data)["a"].record.frames
    for number in (0, 1, 2, len(frames) - 1):
        at = frames[number].offset + frames[number].length // 2
        damaged = srcpack.open(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        for threads in (1, 2, 3):
            with pytest.raises(FormatError, match="'a'"):
                damaged["a"].read(threads=threads)


def test_no_threads_at_all_is_misuse() -> None:
    entry = srcpack.open(PACKS / "lines.srcpack")["files/many-lines.c"]
    with pytest.raises(ValueError, match="threads is at least 1, not 0"):
        entry.read(threads=0)
