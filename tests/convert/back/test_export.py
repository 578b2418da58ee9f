"""Export: a pack becomes a SourceBundle with an equal manifest and equal contents that symbolic opens."""

import io
import json
import struct
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import srcpack
import srcpack_convert
from srcpack import DamagedMember, FormatError, LimitExceeded
from srcpack.bundle.members import Limits, SourceBundle
from srcpack.records import EntryRecord
from srcpack_convert.back.export import export
from srcpack_convert.one.compress import Content
from srcpack_convert.one.convert import convert
from srcpack_convert.one.writer import PackWriter
from support.bundle_builder import ZipMember, build_bundle, build_zip
from support.places import BUNDLES, CORPUS

LARGE = {"js-web", "js-many"}
BUNDLE_PARAMS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LARGE else [])
    for folder in (BUNDLES, CORPUS / "real", CORPUS / "symbolicator", CORPUS / "odd")
    for path in sorted(folder.glob("*.zip"))
    if path.stem != "zip64-70000-files"  # long, and a test below has counts of more than 16 bits
]

MANIFEST: dict[str, Any] = {
    "files": {
        "z": {"type": "source_map", "url": "~/z", "headers": {"X-b": "1", "a": "2"}},
        "a": {"type": None, "path": "a\\b", "Unknown": [1, {"x": None}]},
        "m": {},
        "empty": {"path": "", "url": "", "headers": {}, "type": "indexed_ram_bundle"},
    },
    "source_links": {"src/*": "https://example.com/*"},
    "release": "1.0",
    "debug_id": "x",
}
FILES = {"z": b"z" * 10_000, "a": b"\xff\0", "m": b"", "empty": b"e", "unlisted": b"u", "sub/unlisted": b""}


def exported(tmp_path: Path, bundle: bytes | Path, *, stored: bool = False) -> Path:
    convert(bundle, tmp_path / "a.srcpack", preset="fast", verify=False, frame_size=4096)
    export(tmp_path / "a.srcpack", tmp_path / "out.zip", stored=stored)
    return tmp_path / "out.zip"


def contents(bundle: SourceBundle) -> dict[str, bytes | None]:
    """Return contents by name; None for a member that cannot be read or that the zip lacks."""
    found: dict[str, bytes | None] = {}
    for name in {*bundle.members, *bundle.manifest.files}:
        try:
            found[name] = bundle.read(name)
        except DamagedMember:
            found[name] = None
    return found


def assert_equal_bundles(given_bundle: bytes | Path, output: Path) -> None:
    with SourceBundle(given_bundle) as before, SourceBundle(output) as after:
        assert after.manifest == before.manifest
        assert list(after.manifest.files) == list(before.manifest.files)
        assert contents(after) == contents(before)


def kind_and_id(path: Path) -> list[tuple[str, str, str]]:
    debuginfo = pytest.importorskip("symbolic.debuginfo")
    objects = debuginfo.Archive.open(str(path)).iter_objects()
    return [(each.kind, each.file_format, each.debug_id) for each in objects]


@pytest.mark.parametrize("path", BUNDLE_PARAMS)
def test_bundle_comes_back_equal_and_symbolic_opens_it(tmp_path: Path, path: Path) -> None:
    try:
        SourceBundle(path).close()
    except FormatError:
        pytest.skip("a bundle that symbolic refuses")
    output = exported(tmp_path, path, stored=path.stem in LARGE)  # to deflate those takes long
    assert_equal_bundles(path, output)
    found = kind_and_id(output)
    assert [file_format for _, file_format, _ in found] == ["sourcebundle"]
    assert found == kind_and_id(path)


@pytest.mark.parametrize("stored", [False, True])
def test_all_that_a_manifest_says_and_every_member_come_back(tmp_path: Path, stored: bool) -> None:
    bundle = build_bundle(FILES, MANIFEST)
    assert_equal_bundles(bundle, exported(tmp_path, bundle, stored=stored))


@pytest.mark.parametrize("manifest", [{}, {"files": {}}, {"source_links": {}}, {"debug_id": ""}])
def test_keys_that_are_missing_stay_missing(tmp_path: Path, manifest: dict[str, Any]) -> None:
    output = exported(tmp_path, build_bundle({}, manifest))
    assert json.loads(zipfile.ZipFile(output).read("manifest.json")) == manifest


@pytest.mark.parametrize("stored", [False, True])
def test_zip_is_written_as_uploaders_write_it(tmp_path: Path, stored: bool) -> None:
    data = exported(tmp_path, build_bundle(FILES, MANIFEST), stored=stored).read_bytes()
    assert data[:8] == b"SYSB" + struct.pack("<I", 2)
    # By the end record, not by what zipfile makes of it: offsets count from the first byte of the header.
    count, _, directory = struct.unpack_from("<HLL", data, len(data) - 12)
    assert data[directory : directory + 4] == b"PK\x01\x02"
    assert struct.unpack_from("<L", data, directory + 42) == (8,)
    assert data[8:12] == b"PK\x03\x04"
    with zipfile.ZipFile(tmp_path / "out.zip") as output:
        members = output.infolist()
    assert count == len(members)
    assert [each.filename for each in members] == [*sorted(FILES), "manifest.json"]
    assert {each.compress_type for each in members} == {
        zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    }
    assert {(each.date_time, each.create_system) for each in members} == {((1980, 1, 1, 0, 0, 0), 3)}
    assert all(each.orig_filename == each.filename for each in members)


def test_same_pack_gives_the_same_bytes_by_path_and_open(tmp_path: Path) -> None:
    first = exported(tmp_path, build_bundle(FILES, MANIFEST)).read_bytes()
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        report = srcpack_convert.export(pack, tmp_path / "again.zip")
        assert len(pack) == 6  # it is still open
    assert (tmp_path / "again.zip").read_bytes() == first
    assert (report.files, report.total_size, report.left_out) == (6, 10_004, ())
    assert (report.output_size, report.source_size) == (len(first), (tmp_path / "a.srcpack").stat().st_size)
    assert report.as_json()["stored"] is False


# What means something to some system, and any text.
ODD = ["a\\b", "nul\0byte", "dir/", "", "/abs", "../up", "\x1b[m", "ä", "\u202e", "C:x"]
NAMES = st.sampled_from(ODD) | st.text(max_size=12)


@settings(max_examples=30)
@example(dict.fromkeys(ODD, b"content"))
@given(st.dictionaries(NAMES.filter(lambda name: name != "manifest.json"), st.binary(max_size=20)))
def test_names_come_back_whatever_they_are(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    manifest = {"files": {name: {"url": name} for name in files}}
    bundle = build_bundle(files, manifest)
    output = exported(tmp_path_factory.mktemp("export"), bundle)
    assert_equal_bundles(bundle, output)
    assert all(output.read_bytes().count(name.encode()) >= 2 for name in files)


def test_name_that_is_too_long_in_utf8_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    # 30,000 bytes of cp437, each of which is three in UTF-8.
    members = [ZipMember(name=b"\xc4" * 30_000, content=b""), ZipMember(name="manifest.json", content=b"{}")]
    with pytest.raises(
        LimitExceeded, match=r"length of the name in a zip is 90,000, over the limit of 65,535"
    ):
        exported(tmp_path, build_zip(members))
    assert [path.name for path in tmp_path.iterdir()] == ["a.srcpack"]


def test_a_manifest_that_lists_itself_comes_back_byte_for_byte(tmp_path: Path) -> None:
    text = ' {"files": {"manifest.json": {"type": "source", "url": "~/m"}, "a": {}}, "release": "1"}\n'
    bundle = build_bundle({"a": b"a"}, text)
    output = exported(tmp_path, bundle)
    assert_equal_bundles(bundle, output)
    with SourceBundle(output) as after:
        assert after.read("manifest.json") == text.encode()
    with zipfile.ZipFile(output) as members:
        assert members.namelist() == ["a", "manifest.json"]


def test_a_manifest_that_lists_itself_and_is_too_large_a_file_is_written_anew(tmp_path: Path) -> None:
    bundle = build_bundle(
        {"a": b"a"}, {"files": {"manifest.json": {"type": "source"}, "a": {}}, "x": "y" * 200}
    )
    report = convert(bundle, tmp_path / "a.srcpack", limits=Limits(max_file_size=100))
    assert [damaged.member for damaged in report.damaged] == ["manifest.json"]
    assert not export(tmp_path / "a.srcpack", tmp_path / "out.zip").left_out
    with SourceBundle(tmp_path / "out.zip") as after, SourceBundle(bundle) as before:
        assert after.manifest == before.manifest
        assert after.read("a") == b"a"


def forged(path: Path, *records: EntryRecord, content: bytes = b"a") -> Path:
    """Write a pack, all its checksums right, with entries of one content, whatever they say of it."""
    with path.open("wb") as out:
        writer = PackWriter(out, file=str(path), frame_size=4096)
        frames = writer.write_content(Content.of(content, 4096))
        digest = sha256(content).digest()
        writer.finish(
            [
                record._replace(
                    size=len(content), lines=1, sha256=record.sha256 or digest, frames=frames, raw=True
                )
                for record in records
            ],
            attributes={},
            source_links=None,
            has_files=True,
            source={"sha256": bytes(32), "size": 0},
            created_by={"tool": "t", "libzstd": "z", "options": {}},
        )
    return path


def assert_refused(pack: Path, message: str) -> None:
    """Check that the pack is not exported, and that nothing is left of it."""
    target = pack.with_name("out.zip")
    target.write_bytes(b"old")
    with pytest.raises(FormatError, match=message):
        export(pack, target, force=True)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in pack.parent.iterdir()) == ["a.srcpack", "out.zip"]


@pytest.mark.parametrize("listed", [True, False])
def test_a_manifest_of_another_bundle_among_the_files_is_refused(tmp_path: Path, listed: bool) -> None:
    pack = forged(tmp_path / "a.srcpack", EntryRecord("manifest.json", listed=listed), content=b"{}")
    message = (
        "it lists itself, and is not" if listed else "the manifest's name, on a file that it does not list"
    )
    assert_refused(pack, f"'manifest.json': {message}")


def test_a_content_that_is_not_what_its_entry_says_is_refused(tmp_path: Path) -> None:
    record = EntryRecord("a", sha256=sha256(b"two").digest())
    pack = forged(tmp_path / "a.srcpack", record, content=b"one")
    assert_refused(pack, f"'a': SHA-256: found {sha256(b'one').hexdigest()}, expected")


HOSTILE = {
    "a list": "[1]",
    "nothing": "",
    "no JSON": "x",
    "the text of an object and more": '{"a":1} ',
    "a key that is known": '{"url":"~/b.js"}',
    "another file": '{"a":1},"b.js":{"url":"~/evil.js"}',
    "another manifest": '{"a":1}},"release":"2","x":{"y":{}',
    "a number that is none": '{"a":NaN}',
    "a control character": '{"a":"\t"}',
}


@pytest.mark.parametrize("extra", HOSTILE.values(), ids=list(HOSTILE))
def test_unknown_keys_that_are_no_json_object_are_refused(tmp_path: Path, extra: str) -> None:
    """A pack comes from anywhere: what it says of a file must not become what the manifest says of others."""
    pack = forged(tmp_path / "a.srcpack", EntryRecord("a.js", url="~/a.js", extra=extra))
    assert_refused(pack, r"a\.srcpack: ")
    out = io.BytesIO()
    with pytest.raises(FormatError, match=r"a\.srcpack: "):
        export(pack, out)
    assert out.getvalue() == b""


def test_one_name_on_two_entries_is_refused(tmp_path: Path) -> None:
    pack = forged(tmp_path / "a.srcpack", EntryRecord("a"), EntryRecord("a"))
    assert_refused(pack, r"a\.srcpack: .*'a': order of entries")


def test_what_was_written_is_read_back_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(build_bundle(FILES, MANIFEST), tmp_path / "a.srcpack")
    close = zipfile.ZipFile.close

    def wrong(self: zipfile.ZipFile) -> None:
        if self.mode == "w":
            self.filelist.pop(1)
        close(self)

    monkeypatch.setattr(zipfile.ZipFile, "close", wrong)
    assert_refused(tmp_path / "a.srcpack", "the zip that was written is not read back as this pack")


@pytest.mark.parametrize("by_path", [True, False])
def test_a_zip_that_was_opened_as_a_pack_is_not_exported(tmp_path: Path, by_path: bool) -> None:
    bundle = tmp_path / "a.zip"
    bundle.write_bytes(build_bundle(FILES, MANIFEST))
    (tmp_path / "out.zip").write_bytes(b"old")
    with srcpack.open(bundle) as zipped, pytest.raises((TypeError, FormatError), match="a SourceBundle zip"):
        export(bundle if by_path else zipped, tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == b"old"


class Pipe(io.RawIOBase):
    """A pipe that takes a little at a time."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(memoryview(data)[:1000])
        self.taken += part
        return len(part)


@pytest.mark.parametrize("stored", [False, True])
def test_an_open_file_is_written_front_to_back(tmp_path: Path, stored: bool) -> None:
    bundle = build_bundle(FILES, MANIFEST)
    convert(bundle, tmp_path / "a.srcpack")
    pipe: Any = Pipe()
    report = export(tmp_path / "a.srcpack", pipe, stored=stored)
    assert not pipe.closed
    output = tmp_path / "out.zip"
    output.write_bytes(pipe.taken)
    assert_equal_bundles(bundle, output)
    assert kind_and_id(output)
    assert (report.output, report.output_size) == ("<stream>", len(pipe.taken))
    with zipfile.ZipFile(output) as read:
        assert read.testzip() is None


def test_damaged_members_stay_listed_and_are_left_out(tmp_path: Path) -> None:
    manifest = {"files": {"gone": {"url": "~/gone"}, "bad": {"type": "source"}, "ok": {}}}
    members = [
        ZipMember(name="bad", content=b"bad", crc=1),
        ZipMember(name="loose", content=b"loose", method=12),
        ZipMember(name="ok", content=b"ok"),
        ZipMember(name="manifest.json", content=json.dumps(manifest).encode()),
    ]
    report = convert(build_zip(members), tmp_path / "a.srcpack")
    left_out = export(tmp_path / "a.srcpack", tmp_path / "out.zip").left_out
    assert left_out == tuple(sorted(report.damaged, key=lambda damaged: damaged.member))
    assert [damaged.member for damaged in left_out] == ["bad", "gone", "loose"]
    with SourceBundle(tmp_path / "out.zip") as after, SourceBundle(build_zip(members)) as before:
        assert after.manifest == before.manifest
        assert list(after.members) == ["ok"]


@pytest.mark.parametrize(
    ("limit", "value", "record"),
    [("ZIP_FILECOUNT_LIMIT", 3, b"PK\x06\x06"), ("ZIP64_LIMIT", 100, struct.pack("<2HQ", 1, 16, 10_000))],
)
def test_more_members_than_16_bits_count_and_large_ones_need_zip64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, record: bytes
) -> None:
    monkeypatch.setattr(zipfile, limit, value)
    bundle = build_bundle(FILES, MANIFEST)
    output = exported(tmp_path, bundle)
    assert record in output.read_bytes()
    assert_equal_bundles(bundle, output)
    assert kind_and_id(output)


def test_damaged_pack_leaves_the_zip_as_it_was(tmp_path: Path) -> None:
    convert(build_bundle(FILES, MANIFEST), tmp_path / "a.srcpack", frame_size=4096)
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        place = pack["z"].record.frames[1]
    data = bytearray((tmp_path / "a.srcpack").read_bytes())
    data[place.offset + place.length // 2] ^= 1
    (tmp_path / "a.srcpack").write_bytes(data)
    assert_refused(tmp_path / "a.srcpack", "'z': frame")


def test_a_pack_is_not_exported_over_itself(tmp_path: Path) -> None:
    exported(tmp_path, build_bundle(FILES, MANIFEST))
    before = (tmp_path / "a.srcpack").read_bytes()
    with pytest.raises(ValueError, match="source and destination are one file"):
        export(tmp_path / "a.srcpack", tmp_path / "." / "a.srcpack")
    assert (tmp_path / "a.srcpack").read_bytes() == before
