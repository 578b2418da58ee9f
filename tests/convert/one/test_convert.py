"""Converting: the same bytes each time, options, what is recorded, and that nothing is ever lost."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import srcpack
from srcpack.bundle.members import Limits
from srcpack.errors import FormatError, LimitExceeded
from srcpack.opening import packfile_of
from srcpack.rules.references_in_content import is_utf8
from srcpack_convert.one.convert import convert
from srcpack_convert.one.presets import PRESETS
from srcpack_convert.one.writer import PackWriter
from support.bundle_builder import build_bundle, words
from support.places import BUNDLES

# ---- determinism


@pytest.mark.parametrize("preset", ["fast", "balanced", "raw"])
def test_jobs_and_repetition_do_not_change_a_byte(mixed: Path, tmp_path: Path, preset: str) -> None:
    packs = set()
    for jobs in (1, 2, 3):
        convert(mixed, tmp_path / "a.srcpack", preset=preset, jobs=jobs, frame_size=1 << 16)
        packs.add((tmp_path / "a.srcpack").read_bytes())
    assert len(packs) == 1


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
    def identity(source: Path, **options: Any) -> bytes:
        convert(source, tmp_path / "a.srcpack", force=True, **options)
        return srcpack.open(tmp_path / "a.srcpack").bundle.identity

    whole = identity(mixed, preset="raw")
    assert identity(mixed, level=1) == identity(mixed, dictionary="off", frame_size=1 << 16) == whole
    assert identity(BUNDLES / "app.zip") != whole


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
    convert(build_bundle(files, {}), tmp_path / "a.srcpack", raw=["*.bin"])
    pack = srcpack.open(tmp_path / "a.srcpack")
    assert [entry.raw for entry in pack.entries()] == [True, True, False]
    assert packfile_of(pack).tail.content_count == 2


def test_contents_that_do_not_shrink_are_stored_raw(tmp_path: Path) -> None:
    noise = hashlib.shake_256(b"noise").digest(100_000)
    convert(
        build_bundle({"files/noise": noise, "files/tiny": b"x"}, {}),
        tmp_path / "a.srcpack",
        frame_size=1 << 14,
    )
    pack = srcpack.open(tmp_path / "a.srcpack")
    assert pack["files/noise"].raw
    assert pack["files/tiny"].raw
    assert pack["files/noise"].read() == noise
    assert pack["files/noise"].read_range(16000, 1000) == noise[16000:17000]


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8192, 8193])
def test_files_around_the_frame_size_have_the_right_frames(tmp_path: Path, size: int) -> None:
    content = words(3, size - 1)
    assert len(content) == size
    convert(build_bundle({"files/a": content}, {}), tmp_path / "a.srcpack", frame_size=4096)
    entry = srcpack.open(tmp_path / "a.srcpack")["files/a"]
    assert len(entry.record.frames) == -(-size // 4096)
    assert entry.read() == content


# ---- refusals


def test_a_bundle_over_a_limit_is_refused_and_a_member_an_entry_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="over the limit of 1,000"):
        convert(BUNDLES / "many.zip", tmp_path / "a.srcpack", limits=Limits(max_total_size=1000))
    assert os.listdir(tmp_path) == []
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


@pytest.mark.parametrize("step", ["write_content", "finish"])
@pytest.mark.parametrize(
    ("error", "jobs"),
    [(OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 2), (MemoryError(), 2)],
)
def test_an_interrupted_conversion_leaves_the_old_pack_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, jobs: int
) -> None:
    target = tmp_path / "a.srcpack"
    target.write_bytes(b"the old one")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(PackWriter, step, fail)
    with pytest.raises(type(error)):
        convert(BUNDLES / "app.zip", target, force=True, jobs=jobs)
    assert target.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == ["a.srcpack"]


def test_large_files_wait_for_each_other_and_come_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more to compress than may be in memory, what is done is written before more is read."""
    bundle = build_bundle({f"{number}": words(number, 30_000) for number in range(12)}, {})
    convert(bundle, tmp_path / "one.srcpack", jobs=1)
    monkeypatch.setattr("srcpack_convert.one.compress._IN_FLIGHT", 100_000)
    convert(bundle, tmp_path / "two.srcpack", jobs=2)
    assert (tmp_path / "one.srcpack").read_bytes() == (tmp_path / "two.srcpack").read_bytes()


def test_without_verification_nothing_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules[convert.__module__], "read_back")
    assert not convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", verify=False).verified


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


@settings(max_examples=40)
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


def test_presets_go_from_fast_to_small() -> None:
    levels = [PRESETS[name].level for name in ("fast", "balanced", "compact", "max")]
    assert levels == sorted(levels, key=lambda level: level or 0)
    assert PRESETS["raw"].level is None
