"""Reading a pack: the mapping, lookups, contents, and what opening and looking up cost."""

import hashlib
import io
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import pytest

import srcpack
from srcpack import DamagedMember, FormatError, LimitExceeded, NotFound, Pack
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
from srcpack.rules.lookup_keys import Kind
from srcpack.source.local import BytesSource
from support.counting_source import counted
from support.pack_parts import with_tail
from support.places import PACKS

APP = "files/_/_/static/app.min.js"

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


def test_a_short_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.srcpack"
    for size in (0, 1, HEAD_SIZE, HEAD_SIZE + TAIL_SIZE - 1):
        path.write_bytes((PACKS / "app.srcpack").read_bytes()[:size])
        for source in ("mmap", "pread"):
            with pytest.raises(FormatError, match=r"short\.srcpack: "):
                srcpack.open(path, source=source)


def test_an_unknown_source_is_misuse() -> None:
    with pytest.raises(ValueError, match="source is 'mmap' or 'pread', not 'disk'"):
        srcpack.open(PACKS / "app.srcpack", source="disk")  # type: ignore[arg-type]


def test_opening_a_pack_imports_no_more_than_reading_needs() -> None:
    code = (
        "import sys, srcpack, srcpack.source.object_stores; srcpack.open(sys.argv[1]).close();"
        "print(*{module.split('.')[0] for module in sys.modules})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(PACKS / "app.srcpack")]
    done = subprocess.run(command, capture_output=True, env=environment, check=True, text=True)
    assert not {"typer", "click", "srcpack_convert", "obstore", "fsspec", "symbolic"} & {*done.stdout.split()}


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


def test_a_pack_is_a_mapping_of_names_in_order() -> None:
    pack = srcpack.open(PACKS / "many.srcpack")
    names = list(pack)
    assert names == sorted(names)
    assert len(pack) == len(names) == 300
    assert list(pack.keys()) == names
    assert [entry.name for entry in pack.values()] == names
    assert {name: entry.name for name, entry in pack.items()} == dict(zip(names, names, strict=True))
    assert names[7] in pack
    assert pack.get("absent") is None


def test_a_missing_name_is_a_key_error_that_names_pack_and_member() -> None:
    pack = srcpack.open(PACKS / "app.srcpack")
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


def test_find_prefix_gives_what_a_scan_gives() -> None:
    pack = srcpack.open(PACKS / "many.srcpack")
    lib = "files/_/_/lib/"
    for prefix in ("", "files/", f"{lib}1", f"{lib}299.js", f"{lib}3", "a", "z"):
        found = [entry.name for entry in pack.find_prefix(prefix)]
        assert found == [name for name in pack if name.startswith(prefix)]


def test_find_prefix_decodes_only_the_blocks_it_needs() -> None:
    pack, source = counted("many")
    source.reads.clear()
    assert len(list(pack.find_prefix("files/_/_/lib/25"))) == 10
    blocks = {offset for offset, length in source.reads if length > 16}
    assert len(blocks) < packfile_of(pack).tail.block_count


# ---- contents


def test_ranges_views_and_files_give_the_content() -> None:
    pack = srcpack.open(PACKS / "lines.srcpack")
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


def test_negative_numbers_and_no_threads_are_misuse() -> None:
    entry = srcpack.open(PACKS / "app.srcpack")[APP]
    ranges = (lambda: entry.read_range(-1, 1), lambda: entry.read_range(0, -1))
    for ask in (*ranges, lambda: entry.context(1, -1), lambda: entry.context(1, 0, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            ask()
    with pytest.raises(ValueError, match="threads is at least 1, not 0"):
        entry.read(threads=0)


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
    more = (lambda: entry.read_range(0, 1), lambda: entry.context(1))
    for call in (entry.read, entry.text, entry.view, entry.open, *more):
        with pytest.raises(DamagedMember, match="CRC-32") as error:
            call()
        assert (error.value.member, error.value.file) == (entry.name, pack.file)
    assert (entry.size, entry.sha256, entry.lines) == (0, None, 0)


def test_max_read_bounds_every_read() -> None:
    pack = srcpack.open(PACKS / "lines.srcpack", max_read=5000)
    entry = pack["files/many-lines.c"]
    more = (lambda: entry.read_range(0, 5001), lambda: entry.context(1000, lines=900))
    for call in (entry.read, entry.text, entry.view, *more):
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
def test_read_many_keeps_the_order(threads: int) -> None:
    pack = srcpack.open(PACKS / "many.srcpack")
    names = [name for at, name in enumerate(pack) if at % 3][::-1]
    expected = [pack[name].read() for name in names]
    assert pack.read_many([*names[:3], pack[names[3]], *names[4:]], threads=threads) == expected
    assert pack.read_many([], threads=threads) == []


def test_an_entry_is_equal_to_itself_in_the_same_open_pack_and_to_nothing_else() -> None:
    """Anyone can write a pack that claims the identity of another, so no claim makes entries equal."""
    pack = srcpack.open(PACKS / "app.srcpack")
    entry = pack[APP]
    assert entry == pack[APP]
    assert hash(entry) == hash(pack[APP])
    assert entry != pack["files/_/_/static/main.js"]
    assert entry != APP
    assert entry != srcpack.open(PACKS / "app.srcpack")[APP]


def test_a_file_of_an_entry_can_be_closed() -> None:
    file = srcpack.open(PACKS / "app.srcpack")[APP].open()
    assert file.read(3)
    file.close()
    for call in (file.read, lambda: file.readinto(bytearray(1))):
        with pytest.raises(ValueError, match="closed file"):
            call()


def test_entries_of_packs_that_are_gone_do_not_answer_for_others() -> None:
    data = (PACKS / "app.srcpack").read_bytes()
    other = (PACKS / "headers.srcpack").read_bytes()
    for _ in range(50):
        assert APP in Pack(PackFile(BytesSource(data), file="a"))
        assert APP not in Pack(PackFile(BytesSource(other), file="b"))
