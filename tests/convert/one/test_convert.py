"""Converting: the same bytes each time, options, what is recorded, and that nothing is ever lost."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import srcpack
from srcpack.bundle.members import Limits, SourceBundle
from srcpack.errors import FormatError, LimitExceeded
from srcpack.format import directory, index, verify_entries
from srcpack.format.head_tail import Tail
from srcpack.format.packfile import PackFile
from srcpack.opening import packfile_of
from srcpack.records import EntryRecord
from srcpack.rules.references_in_content import is_utf8
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.one.compress import Compression, Content
from srcpack_convert.one.convert import convert
from srcpack_convert.one.dictionary import choose_dictionary
from srcpack_convert.one.presets import PRESETS
from srcpack_convert.one.writer import PackWriter
from support.bundle_builder import build_bundle
from support.places import BUNDLES


def words(number: int, size: int) -> bytes:
    """Return text that compresses as text does, and is the same each time."""
    out: list[str] = []
    state = number + 1
    while len(out) * 8 < size:
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        out.append(f"word{state >> 55:03} ")
    return "".join(out).encode()[:size] + b"\n"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of small files and two large ones, enough to keep several threads busy."""
    files = {f"files/{number:03}.js": words(number, 200 + 37 * number) for number in range(200)}
    files["files/large.js.map"] = words(1000, 2_000_000)
    files["files/twin.js.map"] = files["files/large.js.map"]
    files["files/large.js"] = words(1001, 900_000)
    manifest = {"files": {name: {"url": f"~/{name}", "type": "minified_source"} for name in files}}
    path = tmp_path_factory.mktemp("mixed") / "mixed.zip"
    path.write_bytes(build_bundle(files, manifest))
    return path


def temporary_files(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


# ---- determinism


@pytest.mark.parametrize("preset", ["fast", "balanced", "raw"])
def test_jobs_and_repetition_do_not_change_a_byte(mixed: Path, tmp_path: Path, preset: str) -> None:
    packs = []
    for number, jobs in enumerate((1, 1, 2, 3)):
        convert(mixed, tmp_path / f"{number}.srcpack", preset=preset, jobs=jobs, frame_size=1 << 18)
        packs.append((tmp_path / f"{number}.srcpack").read_bytes())
    assert packs[0] == packs[1] == packs[2] == packs[3]


def test_neither_names_of_files_nor_the_order_of_members_are_in_a_pack(tmp_path: Path) -> None:
    """The zip's own bytes are: its SHA-256 is recorded. All else is the same."""
    files = {f"files/{number}": words(number, 500) for number in range(20)}
    manifest = {"files": {name: {"url": name} for name in sorted(files)}}
    packs = []
    for number, order in enumerate((sorted(files), sorted(files, reverse=True))):
        bundle = tmp_path / f"{number}.zip"
        bundle.write_bytes(build_bundle({name: files[name] for name in order}, manifest))
        convert(bundle, tmp_path / f"{number}.srcpack")
        packs.append(srcpack.open(tmp_path / f"{number}.srcpack"))
    assert [entry.record for entry in packs[0].entries()] == [entry.record for entry in packs[1].entries()]
    assert packs[0].bundle.identity == packs[1].bundle.identity
    assert packs[0].bundle.source != packs[1].bundle.source


def test_content_identity_is_the_bundle_s_whatever_the_options(mixed: Path, tmp_path: Path) -> None:
    identities = set()
    options: tuple[dict[str, Any], ...] = (
        {"preset": "raw"},
        {"level": 1},
        {"dictionary": "off", "frame_size": 1 << 16},
    )
    for number, chosen in enumerate(options):
        convert(mixed, tmp_path / f"{number}.srcpack", **chosen)
        pack = srcpack.open(tmp_path / f"{number}.srcpack")
        identities.add(pack.bundle.identity)
    assert len(identities) == 1
    other = build_bundle({"files/a": b"a"}, {"files": {"files/a": {}}})
    convert(other, tmp_path / "other.srcpack")
    assert srcpack.open(tmp_path / "other.srcpack").bundle.identity not in identities


# ---- options


def test_what_decided_the_bytes_is_recorded(tmp_path: Path) -> None:
    data = (BUNDLES / "app.zip").read_bytes()
    report = convert(data, tmp_path / "a.srcpack", level=7, frame_size=1 << 16, raw=["*.map"])
    bundle = srcpack.open(tmp_path / "a.srcpack").bundle
    assert bundle.source == {"sha256": hashlib.sha256(data).digest(), "size": len(data)}
    assert bundle.created_by == {
        "tool": f"srcpack {srcpack.__version__}",
        "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
        "options": {
            "preset": "balanced",
            "level": 7,
            "dictionary": "auto",
            "frame_size": 1 << 16,
            "raw": ("*.map",),
        },
    }
    assert (report.level, report.frame_size, report.source) == (7, 1 << 16, "<bytes>")
    assert report.sha256 == srcpack.open(tmp_path / "a.srcpack").sha256
    assert report.source_sha256 == bundle.source["sha256"]
    assert report.as_json()["sha256"] == report.sha256.hex()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "best"}, "preset is one of fast, balanced, compact, max, raw, not 'best'"),
        ({"level": 0}, "level is 1 to 22, not 0"),
        ({"level": 23}, "level is 1 to 22, not 23"),
        ({"frame_size": 4095}, "frame size is 4096 to 1073741824 bytes, not 4095"),
        ({"frame_size": (1 << 30) + 1}, "frame size is 4096 to 1073741824 bytes, not 1073741825"),
        ({"dictionary": 0}, "a dictionary has 1 to 1048576 bytes, not 0"),
        ({"dictionary": (1 << 20) + 1}, "a dictionary has 1 to 1048576 bytes, not 1048577"),
        ({"dictionary": b"short"}, "a dictionary has 8 to 1048576 bytes, this one has 5"),
        (
            {"dictionary": b"no dictionary"},
            "no trained dictionary: it does not begin with zstd's magic for one",
        ),
        ({"dictionary": "on"}, "dictionary is auto, off, a number or bytes, not 'on'"),
        ({"jobs": 0}, "jobs is at least 1, not 0"),
    ],
)
def test_an_option_out_of_its_range_is_misuse(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("single", ["*.js", b"*.js"])
def test_a_single_pattern_is_not_taken_for_many(single: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="raw is a list of patterns"):
        convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", raw=single)


def test_raw_patterns_choose_what_is_stored_as_it_is(tmp_path: Path) -> None:
    convert(BUNDLES / "many.zip", tmp_path / "a.srcpack", raw=["*/00?.js", "files/_/_/lib/29[5-9].js"])
    pack = srcpack.open(tmp_path / "a.srcpack")
    raw = [entry.name[-6:-3] for entry in pack.entries() if entry.raw]
    assert raw == [f"{number:03}" for number in (*range(10), *range(295, 300))]


def test_a_content_is_raw_if_one_of_its_names_is_to_be(tmp_path: Path) -> None:
    files = {"a.js": words(1, 3000), "b.bin": words(1, 3000), "c.js": words(2, 3000)}
    convert(
        build_bundle(files, {"files": {name: {} for name in files}}), tmp_path / "a.srcpack", raw=["*.bin"]
    )
    pack = srcpack.open(tmp_path / "a.srcpack")
    assert [entry.raw for entry in pack.entries()] == [True, True, False]
    assert packfile_of(pack).tail.content_count == 2


def test_contents_that_do_not_shrink_are_stored_raw(tmp_path: Path) -> None:
    noise = hashlib.shake_256(b"noise").digest(100_000)
    bundle = build_bundle(
        {"files/noise": noise, "files/tiny": b"x"}, {"files": {"files/noise": {}, "files/tiny": {}}}
    )
    convert(bundle, tmp_path / "a.srcpack", frame_size=1 << 14)
    pack = srcpack.open(tmp_path / "a.srcpack")
    assert pack["files/noise"].raw
    assert pack["files/tiny"].raw
    assert pack["files/noise"].read() == noise
    assert pack["files/noise"].read_range(16000, 1000) == noise[16000:17000]


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8192, 8193])
def test_files_around_the_frame_size_have_the_right_frames(tmp_path: Path, size: int) -> None:
    content = words(3, size - 1)
    assert len(content) == size
    bundle = build_bundle({"files/a": content}, {"files": {"files/a": {}}})
    convert(bundle, tmp_path / "a.srcpack", frame_size=4096)
    entry = srcpack.open(tmp_path / "a.srcpack")["files/a"]
    assert len(entry.record.frames) == -(-size // 4096)
    assert entry.read() == content


# ---- dictionary


def test_a_dictionary_is_used_where_it_pays(tmp_path: Path) -> None:
    auto = convert(BUNDLES / "many.zip", tmp_path / "auto.srcpack")
    off = convert(BUNDLES / "many.zip", tmp_path / "off.srcpack", dictionary="off")
    assert auto.dictionary_size > 0
    assert off.dictionary_size == 0
    assert auto.output_size < 0.8 * off.output_size


def test_no_dictionary_where_it_does_not_pay(tmp_path: Path) -> None:
    files = {f"files/{number}": hashlib.shake_256(bytes([number])).digest(5000) for number in range(40)}
    bundle = build_bundle(files, {"files": {name: {} for name in files}})
    assert convert(bundle, tmp_path / "a.srcpack").dictionary_size == 0


def test_a_dictionary_has_the_bytes_asked_for_at_most(tmp_path: Path) -> None:
    assert 0 < convert(BUNDLES / "many.zip", tmp_path / "a.srcpack", dictionary=5000).dictionary_size <= 5000


def test_of_several_dictionaries_the_one_that_makes_the_pack_smallest_is_chosen(tmp_path: Path) -> None:
    files = {f"files/{number:03}": words(number, 1500) for number in range(300)}
    with SourceBundle(build_bundle(files, {"files": {name: {} for name in files}})) as bundle:

        def chosen(*sizes: int) -> bytes:
            dictionary = choose_dictionary(bundle, list(files), sizes, level=3, frame_size=1 << 16)
            assert dictionary is not None
            return dictionary.as_bytes()

        small, large = chosen(4 << 10), chosen(40 << 10)
        both = chosen(4 << 10, 40 << 10)
    assert len(small) < len(large)

    def size_with(dictionary: bytes) -> int:
        data = build_bundle(files, {"files": {name: {} for name in files}})
        return convert(data, tmp_path / "a.srcpack", level=3, dictionary=dictionary).output_size

    assert both == min(small, large, key=size_with)


def test_a_dictionary_that_is_given_is_shared_by_packs(tmp_path: Path) -> None:
    convert(BUNDLES / "many.zip", tmp_path / "first.srcpack")
    dictionary = packfile_of(srcpack.open(tmp_path / "first.srcpack")).dictionary()
    data = dictionary.data.as_bytes()
    for name in ("app", "texts"):
        report = convert(BUNDLES / f"{name}.zip", tmp_path / f"{name}.srcpack", dictionary=data)
        pack = srcpack.open(tmp_path / f"{name}.srcpack")
        assert report.dictionary_size == len(data)
        assert packfile_of(pack).tail.dictionary_sha256 == hashlib.sha256(data).digest()
        assert pack.bundle.created_by["options"]["dictionary"] == hashlib.sha256(data).digest()
        assert srcpack.verify(pack) == []


# ---- refusals


def test_a_bundle_over_a_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="over the limit of 1,000"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack", limits=Limits(max_total_size=1000))
    assert os.listdir(tmp_path) == []


def test_a_member_over_the_limit_is_an_entry_that_says_so(tmp_path: Path) -> None:
    report = convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", limits=Limits(max_file_size=1000))
    assert [damage.member for damage in report.damaged] == ["files/_/_/static/app.min.js.map"]
    assert all("1,000" in damage.reason for damage in report.damaged)


def test_what_is_no_bundle_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "old.srcpack").write_bytes(b"old")
    with pytest.raises(FormatError):
        convert(b"SYSB\2\0\0\0no zip", tmp_path / "old.srcpack", force=True)
    assert (tmp_path / "old.srcpack").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old.srcpack"]


def test_source_and_destination_must_differ(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes((BUNDLES / "app.zip").read_bytes())
    os.link(path, tmp_path / "link")
    for other in (path, tmp_path / "link"):
        with pytest.raises(ValueError, match="source and destination are one file"):
            convert(path, other)


# ---- nothing is lost


class DiskFullError(OSError):
    pass


@pytest.mark.parametrize("step", ["write_content", "finish"])
@pytest.mark.parametrize(
    "error", [DiskFullError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()]
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_conversion_leaves_the_old_pack_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, jobs: int
) -> None:
    target = tmp_path / "a.srcpack"
    target.write_bytes(b"the old one")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(PackWriter, step, fail)
    with pytest.raises(type(error)):
        convert(BUNDLES / "many.zip", target, force=True, jobs=jobs)
    assert target.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == ["a.srcpack"]


def test_a_pack_that_was_not_written_right_is_never_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk, or we, got a byte wrong: reading back finds it."""
    original = PackWriter._write
    calls = iter(range(1 << 30))

    def damage(self: PackWriter, data: bytes) -> None:
        if next(calls) == 3:
            data = data[:-1] + bytes([data[-1] ^ 1])
        original(self, data)

    monkeypatch.setattr(PackWriter, "_write", damage)
    with pytest.raises(FormatError, match="frame"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


def test_a_pack_whose_tail_was_not_written_right_is_never_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says of itself, all its checksums right, something else than what was to be written."""
    finish = PackWriter.finish

    def lie(self: PackWriter, *args: Any, **values: Any) -> Tail:
        tail = finish(self, *args, **values)
        return tail._replace(total_size=tail.total_size + 1)

    monkeypatch.setattr(PackWriter, "finish", lie)
    with pytest.raises(FormatError, match=r"a\.srcpack: tail read back: found Tail"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


def test_a_dictionary_without_an_id_is_misuse(tmp_path: Path) -> None:
    trained = zstandard.train_dictionary(600, [words(number, 300) for number in range(60)])
    dictionary = bytearray(trained.as_bytes())
    dictionary[4:8] = bytes(4)
    with pytest.raises(ValueError, match="a dictionary must have an id that is not 0"):
        convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", dictionary=bytes(dictionary))


def test_large_files_wait_for_each_other_and_come_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more to compress than may be in memory, what is done is written before more is read."""
    files = {f"{number}": words(number, 30_000) for number in range(12)}
    bundle = build_bundle(files, {"files": {name: {} for name in files}})
    convert(bundle, tmp_path / "one.srcpack", jobs=1)
    monkeypatch.setattr("srcpack_convert.one.compress._IN_FLIGHT", 100_000)
    convert(bundle, tmp_path / "two.srcpack", jobs=2)
    assert (tmp_path / "one.srcpack").read_bytes() == (tmp_path / "two.srcpack").read_bytes()


def test_without_verification_nothing_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules[convert.__module__], "read_back")
    assert not convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", verify=False).verified


def test_written_aside_replaces_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with written_aside(target) as (out, aside):
        out.write(b"new")
        assert target.read_bytes() == b"old"
        assert aside.parent == tmp_path
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_written_aside_names_in_errors_what_its_caller_knows(tmp_path: Path) -> None:
    target = tmp_path / "absent" / "out"
    with pytest.raises(FileNotFoundError) as caught, written_aside(target):
        pass
    assert (caught.value.filename, caught.value.filename2) == (str(target), None)


def test_progress_counts_to_the_whole(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = convert(BUNDLES / "many.zip", tmp_path / "a.srcpack", progress=lambda *done: calls.append(done))
    assert calls == sorted(calls)
    assert calls[-1] == (report.total_size, report.total_size)


# ---- the whole, at random

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.text("ab\n\r ", max_size=300).map(str.encode),
    st.builds(words, st.integers(0, 5), st.integers(1, 9000)),
)
INFOS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["source", "minified_source", "source_map", "indexed_ram_bundle", None]),
        "path": st.sampled_from(["", "/a", "\\a", "/b"]),
        "url": st.sampled_from(["", "~/a", "~/b"]),
        "headers": st.dictionaries(
            st.sampled_from(["debug-id", "Debug-Id", "sourcemap", "x-sourcemap"]),
            st.sampled_from(["5e618b9f54a94389b196519819dd7c47", "no id", "a.map", ""]),
        ),
        "other": st.recursive(st.none() | st.booleans() | st.integers(), st.lists, max_leaves=4),
    },
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    files=st.dictionaries(
        NAMES.filter(lambda name: name != "manifest.json"), st.tuples(CONTENTS, INFOS), max_size=8
    ),
    level=st.sampled_from([1, 12]),
    jobs=st.sampled_from([1, 2]),
)
def test_any_bundle_comes_back(
    files: dict[str, tuple[bytes, dict[str, Any]]],
    level: int,
    jobs: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    target = tmp_path_factory.mktemp("any") / "a.srcpack"
    names = {name for name in files if not name.endswith("/")}
    bundle = build_bundle(
        {name: files[name][0] for name in names}, {"files": {name: files[name][1] for name in names}}
    )
    convert(bundle, target, level=level, jobs=jobs, frame_size=4096)
    with srcpack.open(target) as pack:
        assert list(pack) == sorted(names)
        for name in names:
            content, info = files[name]
            entry = pack[name]
            assert entry.read() == content
            assert entry.record.path == info.get("path")
            assert entry.record.url == info.get("url")
            assert entry.record.headers == info.get("headers")
            assert entry.record.type == info.get("type")
        for kind, find in (("url", pack.by_url), ("path", pack.by_path)):
            for key in ("~/a", "~/b", "/a", "/b"):
                having = [
                    n
                    for n in names
                    if files[n][1].get(kind, "").replace("\\", "/" if kind == "path" else "\\") == key
                ]
                found = find(key)
                assert (found.name if isinstance(found, srcpack.Entry) else None) == max(having, default=None)


@given(st.binary(max_size=50), st.integers(4, 9))
def test_utf8_is_found_out_piece_by_piece(data: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srcpack.rules.references_in_content._UTF8_CHUNK", chunk)
        try:
            data.decode()
        except UnicodeDecodeError:
            assert not is_utf8(data)
        else:
            assert is_utf8(data)


# ---- memory


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    size = 60 << 20
    content = words(9, 1 << 20) * (size >> 20)
    path = tmp_path_factory.mktemp("large") / "large.zip"
    names = [f"files/{number}" for number in range(4)]
    files = {name: content[: size - 1000 * at] for at, name in enumerate(names)}
    path.write_bytes(build_bundle(files, {"files": {name: {} for name in names}}, stored=True))
    yield path, size
    path.unlink()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_memory_is_bounded_by_the_largest_file(large: tuple[Path, int], tmp_path: Path, jobs: int) -> None:
    """Under 200 MB plus four times the largest file; the bundle has four of that size."""
    path, size = large
    code = (
        "import re, sys; from srcpack_convert.one.convert import convert;"
        "convert(sys.argv[1], sys.argv[2], level=1, jobs=int(sys.argv[3]));"
        # The peak of this program alone; ru_maxrss has that of the one that started it, too.
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", code, str(path), str(tmp_path / "a.srcpack"), str(jobs)]
    done = subprocess.run(arguments, capture_output=True, env=environment, check=True, text=True)
    peak = int(done.stdout) * 1024
    assert peak < (200 << 20) + 4 * size


# ---- parts


class Counted(bytes):
    """Bytes that count how often their length is asked for."""

    asked = 0

    def __len__(self) -> int:
        type(self).asked += 1
        return super().__len__()


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_work_grows_as_the_parts_of_a_file_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Of a file of twice as many parts each frame is looked at as often as before, not twice as often."""
    compress = Compression.compress
    monkeypatch.setattr(
        Compression, "compress", lambda self, parts: list(map(Counted, compress(self, parts)))
    )
    asked = []
    for parts in (16, 32, 64):
        monkeypatch.setattr(Counted, "asked", 0)
        bundle = build_bundle({"a": words(1, parts * 4096 - 1)}, {})
        convert(
            bundle,
            tmp_path / "a.srcpack",
            frame_size=4096,
            dictionary="off",
            jobs=jobs,
            verify=False,
            force=True,
        )
        asked.append(Counted.asked)
    assert asked[2] - asked[1] == 2 * (asked[1] - asked[0]) > 0


def test_a_compression_is_shared_by_threads() -> None:
    compression = Compression(3, None)
    parts = [words(number, 5000) for number in range(64)]
    expected = compression.compress(parts)
    with ThreadPoolExecutor(4) as executor:
        assert all(frames == expected for frames in executor.map(compression.compress, [parts] * 16))


def test_no_seed_for_keys_that_fill_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srcpack_convert.one.writer.sort_into_buckets", lambda *_: None)
    writer = PackWriter(io.BytesIO(), file="a", frame_size=4096)
    with pytest.raises(LimitExceeded, match="seeds tried for the index is 65, over the limit of 64"):
        writer.finish([], attributes={}, source_links=None, has_files=True, source={}, created_by={})


def test_a_block_of_entries_has_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("srcpack_convert.one.writer.MAX_BLOCK", 1000)
    with pytest.raises(LimitExceeded, match=r"size of a manifest block is [\d,]+, over the limit of 1,000"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack")
    assert os.listdir(tmp_path) == []


def test_presets_go_from_fast_to_small() -> None:
    levels = [PRESETS[name].level for name in ("fast", "balanced", "compact", "max")]
    assert levels == sorted(levels, key=lambda level: level or 0)
    assert PRESETS["raw"].level is None


def test_no_skippable_frame_is_longer_than_its_length_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compress", "writer"):
        monkeypatch.setattr(f"srcpack_convert.one.{module}.MAX_SKIPPED", 10)
    noise = hashlib.shake_256(b"noise").digest(11)
    content = Content.of(noise, 4096, Compression(1, None).compress([noise]))
    assert not content.raw  # it would be, were it shorter
    writer = PackWriter(io.BytesIO(), file="a", frame_size=4096)
    writer.write_content(content)
    with pytest.raises(LimitExceeded, match="a: size of a raw content is 11, over the limit of 10"):
        writer.write_content(Content.of(noise, 4096))
    with pytest.raises(LimitExceeded, match=r"^a: size of the manifest is \d+, over the limit of 10$"):
        writer.finish(
            [],
            attributes={},
            source_links=None,
            has_files=True,
            source={"sha256": bytes(32), "size": 0},
            created_by={"tool": "t", "libzstd": "z", "options": {}},
        )


# ---- what it costs


def test_the_check_reads_each_entry_and_each_frame_of_the_pack_once(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, frames = list[bytes](), list[tuple[str, int]]()
    parse, read_part = vars(directory)["parse_entry"], PackFile.read_part

    def parsed(data: bytes, **rest: Any) -> Any:
        entries.append(data)
        return parse(data, **rest)

    def part_read(pack: PackFile, record: EntryRecord, number: int) -> bytes:
        frames.append((record.name, number))
        return read_part(pack, record, number)

    monkeypatch.setattr(directory, "parse_entry", parsed)
    monkeypatch.setattr(PackFile, "read_part", part_read)
    report = convert(mixed, tmp_path / "mixed.srcpack", frame_size=1 << 20)
    assert len(entries) == len(set(entries)) == report.files
    assert len(frames) == len(set(frames)) == report.content_count + 1


def test_each_key_is_hashed_once_to_be_written_and_once_to_be_checked(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = list[tuple[object, ...]]()
    for module, name in ((index, "hash_key"), (verify_entries, "digest_key")):
        function = getattr(module, name)

        def counted(*key: object, function: Any = function) -> object:
            hashed.append(key)
            return function(*key)

        monkeypatch.setattr(module, name, counted)
    report = convert(mixed, tmp_path / "mixed.srcpack")
    with srcpack.open(tmp_path / "mixed.srcpack") as pack:
        keys = packfile_of(pack).tail.slot_count
    assert keys == 2 * report.files  # names and URLs
    assert len(hashed) == 2 * keys
    assert len(set(hashed)) == keys
