"""The shape of Sentry's class over a pack and over a zip: its rules, which are not those of lookups."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import DamagedMember, FormatError, NotFound
from srcpack.format.packfile import PackFile
from srcpack.integrations.sentry import ArtifactBundleArchive, MemberInfo, ReleaseArchive, SourceFileType
from srcpack_convert import convert
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_bundle, build_zip
from support.sentences.packs import entry
from support.the import the

ID_A = "5e618b9f-54a9-4389-b196-519819dd7c47"
ID_B = "0a1705ef-5bdb-55c6-8003-096ca0a1462e"
MINIFIED, MAP = SourceFileType.MINIFIED_SOURCE, SourceFileType.SOURCE_MAP

FILES: Mapping[str, Mapping[str, Any]] = {
    "files/z.js": {
        "url": "~/app.js",
        "type": "minified_source",
        "headers": {"Debug-ID": ID_A.upper(), "SourceMap": "app.js.map"},
        "note": {"deep": [1, None]},
    },
    "files/a.map": {"url": "~/app.js.map", "type": "source_map", "headers": {"debug-id": ID_A}},
    "files/a.js": {"url": "~/app.js", "type": "minified_source", "headers": {"debug-id": ID_B}},
    "files/b.js": {"url": "~/Other.js", "type": None, "path": "/src/b.js", "headers": {"debug-id": ID_A}},
    "files/no-url": {"type": "source_map", "headers": {"debug-id": ID_B}},
    "files/empty-url": {"url": "", "type": "source_map", "headers": {"debug-id": ID_B}},
    "files/bad-id": {"url": "~/bad.js", "type": "source", "headers": {"debug-id": "garbage"}},
}
MANIFEST = {
    "debug_id": ID_B.replace("-", "").upper(),
    "org": "o",
    "files": FILES,
    "source_links": {"/a/*": "u/*"},
}

Open = Callable[..., ArtifactBundleArchive]


@pytest.fixture(params=["pack", "zip"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open a bundle as a view of its pack or of itself; contents are the names."""
    views: list[ArtifactBundleArchive] = []

    def open_one(manifest: Mapping[str, Any] = MANIFEST, bundle: bytes | None = None, **options: Any) -> Any:
        if bundle is None:
            bundle = build_bundle({name: name.encode() for name in manifest.get("files", {})}, manifest)
        if request.param == "pack":
            path = tmp_path / f"{len(views)}.srcpack"
            convert(bundle, path)
            views.append(ArtifactBundleArchive(path, **options))
        else:
            views.append(ArtifactBundleArchive(bundle, **options))
        return views[-1]

    yield open_one
    for view in views:
        view.close()


def read(found: tuple[io.BufferedReader, Mapping[str, str]]) -> tuple[bytes, Mapping[str, str]]:
    file, headers = found
    with file:
        return file.read(), headers


# ---- the manifest


def test_the_manifest_is_as_its_json_was(opened: Open) -> None:
    view = opened()
    assert view.manifest == MANIFEST
    assert view.get_files() == FILES
    assert list(view.get_files()) == list(FILES)
    assert list(view.get_files()["files/z.js"]["headers"]) == ["Debug-ID", "SourceMap"]


def test_a_manifest_without_files_has_none(opened: Open) -> None:
    view = opened({})
    assert (view.manifest, view.get_files(), view.get_all_urls()) == ({}, {}, [])
    assert view.extract_bundle_id() is None
    assert not view.has_debug_ids()


def test_the_bundle_id_is_normalised(opened: Open) -> None:
    assert opened().extract_bundle_id() == ID_B
    assert opened({"debug_id": "no"}).extract_bundle_id() is None


def test_a_manifest_that_json_cannot_hold_is_refused(opened: Open) -> None:
    deep = '{"files": {"files/a": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}}"
    with pytest.raises(FormatError, match="'files/a': keys of a file that are not known"):
        _ = opened(bundle=build_bundle({"files/a": b""}, deep)).manifest


@pytest.mark.parametrize("extra", ['{"url": 5}', '{"headers": null}', "[1]", "5", '"url"', "null"])
def test_other_keys_of_a_file_are_no_known_ones(extra: str) -> None:
    """A pack whose checksums are right may say otherwise; `verify` refuses it."""
    with ArtifactBundleArchive(entry(extra=extra)()) as view:
        for ask in (lambda: view.manifest, lambda: view.get_files_by_url_or_debug_id("a")):
            with pytest.raises(FormatError, match="keys of a file that are not known"):
                ask()


# ---- lookups


def test_the_last_of_one_url_wins_in_the_manifest_s_order(opened: Open) -> None:
    """symbolic takes the greatest name, so that the same bundle has another answer there."""
    view = opened()
    assert read(view.get_file_by_url("~/app.js")) == (b"files/a.js", {"debug-id": ID_B})
    assert view.pack.by_url("~/app.js") == view.pack["files/z.js"]
    assert view.get_all_urls() == ["~/app.js", "~/app.js.map", "~/Other.js", "~/bad.js"]


def test_a_debug_id_finds_files_that_have_a_url_and_a_type(opened: Open) -> None:
    view = opened()
    assert list(view.get_all_debug_ids()) == [(ID_A, MINIFIED), (ID_A, MAP), (ID_B, MINIFIED)]
    assert view.has_debug_ids()
    assert read(view.get_file_by_debug_id(ID_A, MINIFIED)) == (b"files/z.js", FILES["files/z.js"]["headers"])
    assert read(view.get_file_by_debug_id(ID_A, MAP))[0] == b"files/a.map"
    assert view.pack.by_debug_id(ID_B, "source_map") == view.pack["files/no-url"]
    with pytest.raises(KeyError):
        view.get_file_by_debug_id(ID_B, MAP)


def test_of_headers_that_differ_in_case_the_last_counts(opened: Open) -> None:
    headers = {"debug-id": ID_A, "DEBUG-ID": ID_B}
    view = opened({"files": {"files/a": {"url": "u", "type": "source", "headers": headers}}})
    assert list(view.get_all_debug_ids()) == [(ID_B, SourceFileType.SOURCE)]
    assert view.get_file_by_url("u")[1] == headers


def test_keys_are_compared_as_text(opened: Open) -> None:
    view = opened()
    for debug_id in (ID_A.upper(), ID_A.replace("-", ""), "", "absent"):
        with pytest.raises(NotFound, match=f"no entry '{debug_id}'"):
            view.get_file_by_debug_id(debug_id, MINIFIED)
    for url in ("", "~/APP.js", "~/app.js?x", "absent"):
        with pytest.raises(KeyError):
            view.get_file_by_url(url)


def test_types_are_answered_and_asked_in_the_caller_s_enumeration(opened: Open) -> None:
    class Theirs(Enum):
        SOURCE = "s"
        MINIFIED_SOURCE = "m"
        SOURCE_MAP = "p"
        INDEXED_RAM_BUNDLE = "r"

    view = opened(file_types=Theirs)
    assert (ID_A, Theirs.SOURCE_MAP) in view.get_all_debug_ids()
    assert view.get_file_by_debug_id(ID_A, Theirs.SOURCE_MAP)[0].read() == b"files/a.map"
    assert [file_type.value for file_type in SourceFileType] == [1, 2, 3, 4]


def test_debug_ids_are_normalised_as_symbolic_does() -> None:
    symbolic = pytest.importorskip("symbolic")
    for text in (ID_A, ID_A.upper(), ID_A.replace("-", ""), f"{ID_A}-a", f"{ID_A}-0"):
        assert ArtifactBundleArchive.normalize_debug_id(text) == symbolic.normalize_debug_id(text)
    for text in ("", "garbage", f"{ID_A}00000001", f"{{{ID_A}}}", f" {ID_A}", f"{ID_A}-"):
        with pytest.raises(symbolic.SymbolicError):
            symbolic.normalize_debug_id(text)
        assert ArtifactBundleArchive.normalize_debug_id(text) is None
    assert ArtifactBundleArchive.normalize_debug_id(None) is None


# ---- searches


def test_files_are_searched_by_url_and_debug_id(opened: Open) -> None:
    view = opened()

    def found(query: str | None) -> list[str]:
        return list(view.get_files_by_url_or_debug_id(query))

    assert found(None) == found("") == list(FILES)
    assert found("OTHER") == ["files/b.js"]
    assert found("5E618B9F-54A9") == ["files/z.js", "files/a.map", "files/b.js"]
    assert found(ID_B.replace("-", "").upper()) == ["files/a.js", "files/no-url", "files/empty-url"]
    assert found("garbage") == []
    assert found("absent") == []
    assert view.get_files_by_url_or_debug_id("bad.js") == {"files/bad-id": FILES["files/bad-id"]}


def test_files_are_chosen_by_name_and_info(opened: Open) -> None:
    chosen = opened().get_files_by(lambda name, info: name > "files/b" and info.get("type") == "source_map")
    assert list(chosen) == ["files/no-url", "files/empty-url"]


# ---- members


def test_a_member_has_its_size(opened: Open) -> None:
    info = opened().get_file_info("files/z.js")
    assert isinstance(info, MemberInfo)
    assert (info.filename, info.file_size) == ("files/z.js", 10)
    assert info.compress_size > 0
    for name in ("absent", "", None):
        assert opened().get_file_info(name) is None
    assert opened().info("files/z.js") == info
    with pytest.raises(KeyError):
        opened().info("absent")


def test_a_member_that_cannot_be_read_has_no_size_and_says_why(opened: Open) -> None:
    files = {"files/bad": {"url": "b"}, "files/gone": {"url": "g"}, "files/good": {"url": "u"}}
    manifest = json.dumps({"files": files}).encode()
    view = opened(
        bundle=build_zip(
            [
                ZipMember(name="files/bad", content=b"x", crc=1),
                ZipMember(name="files/good", content=b"y"),
                ZipMember(name="manifest.json", content=manifest),
            ],
            header=BUNDLE_HEADER,
        )
    )
    assert view.get_all_urls() == ["b", "g", "u"]
    assert view.get_file_info("files/gone") is None
    with pytest.raises(KeyError):
        view.info("files/gone")
    info = view.get_file_info("files/bad")
    assert info is None if isinstance(view.pack.store, PackFile) else info == MemberInfo("files/bad", 1, 3)
    with pytest.raises(DamagedMember, match="CRC-32"):
        view.get_file_by_url("b")
    with pytest.raises(DamagedMember, match="the zip does not have it") as missing:
        view.get_file_by_url("g")
    assert isinstance(missing.value, KeyError)
    assert read(view.get_file_by_url("u")) == (b"y", {})


def test_a_member_is_given_by_its_name(opened: Open) -> None:
    view = opened()
    assert read(view.get_file("files/z.js")) == (b"files/z.js", FILES["files/z.js"]["headers"])
    assert view.read("files/a.map") == b"files/a.map"
    assert view.artifact_count == len(FILES)
    for ask in (view.get_file, view.read, view.info):
        with pytest.raises(KeyError):
            ask("absent")


def test_the_manifest_is_a_member_too(opened: Open) -> None:
    view = opened()
    content = view.read("manifest.json")
    assert json.loads(content) == MANIFEST
    assert read(view.get_file("manifest.json")) == (content, {})
    info = the(view.get_file_info("manifest.json"))
    assert (info.filename, info.file_size) == ("manifest.json", len(content))


def test_urls_are_given_by_debug_id_and_by_name(opened: Open) -> None:
    view = opened()
    assert view.get_file_url_by_debug_id(ID_A, MAP) == "~/app.js.map"
    assert view.get_file_url_by_debug_id(ID_B, MAP) is None
    assert view.get_file_url_by_file_path("files/b.js") == "~/Other.js"
    assert view.get_file_url_by_file_path("files/no-url") is None
    assert view.get_file_url_by_file_path("absent") is None


def test_headers_are_normalised_by_the_class_itself() -> None:
    assert ArtifactBundleArchive.normalize_headers({"A": "1", "b": 2, "a": "3"}) == {"a": "3", "b": 2}


def test_what_the_index_knows_decodes_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        f"files/{number}": {"url": f"~/{number}", "type": "source", "headers": {"debug-id": f"{number:032x}"}}
        for number in range(1, 9)
    }
    convert(build_bundle(dict.fromkeys(files, b"1"), {"files": files}), tmp_path / "a.srcpack")
    view = ArtifactBundleArchive(tmp_path / "a.srcpack")
    monkeypatch.setattr(srcpack.Pack, "bundle_manifest", None)
    assert view.get_file_by_url("~/7")[0].read() == b"1"
    debug_id = "00000000-0000-0000-0000-000000000003"
    assert view.get_file_url_by_debug_id(debug_id, SourceFileType.SOURCE) == "~/3"
    assert view.get_file_info("files/2") is not None
    assert view.extract_bundle_id() is None
    with pytest.raises(TypeError, match="NoneType"):
        view.get_all_urls()


def test_an_archive_of_a_release_finds_by_url_and_is_extracted(tmp_path: Path) -> None:
    files = {"files/a.js": {"url": "~/a.js", "headers": {"X": "1"}}, "files/b/c.js": {"url": "~/c.js"}}
    data = build_bundle({"files/a.js": b"A", "files/b/c.js": b"C"}, {"files": files, "release": "1"})
    convert(data, tmp_path / "a.srcpack")
    for given in (data, tmp_path / "a.srcpack"):
        with ReleaseArchive(given) as archive:
            assert (archive.artifact_count, archive.manifest["release"]) == (2, "1")
            assert read(archive.get_file_by_url("~/a.js")) == (b"A", {"X": "1"})
            with pytest.raises(KeyError):
                archive.get_file_by_url("~/absent.js")
            assert (archive.info("files/a.js").file_size, archive.read("files/a.js")) == (1, b"A")
            with archive.extract() as folder:
                assert (Path(folder) / "files" / "b" / "c.js").read_bytes() == b"C"
                assert json.loads((Path(folder) / "manifest.json").read_bytes())["files"] == files


def test_an_archive_is_not_extracted_out_of_its_folder() -> None:
    data = build_bundle({"../out": b"1"}, {"files": {"../out": {"url": "u"}}})
    with ReleaseArchive(data) as archive, pytest.raises(FormatError, match="leads out of the folder"):
        archive.extract()


def test_a_name_that_no_file_can_have_is_an_error_of_the_bundle() -> None:
    data = build_bundle({"a\0b": b"1"}, {"files": {"a\0b": {"url": "u"}}})
    with ReleaseArchive(data) as archive, pytest.raises(FormatError, match="no file can have"):
        archive.extract()


# ---- opening and closing


def test_a_bundle_is_given_in_any_form(tmp_path: Path) -> None:
    data = build_bundle({"files/a": b"A"}, {"files": {"files/a": {"url": "u"}}})
    zipped, pack = tmp_path / "a.zip", tmp_path / "a.srcpack"
    zipped.write_bytes(data)
    convert(data, pack)
    for path in (zipped, pack):
        with path.open("rb") as file:
            assert file.read(9)
            for given in (path, str(path), path.read_bytes(), file, io.BytesIO(path.read_bytes())):
                with ArtifactBundleArchive(given) as view:
                    assert view.get_file_by_url("u")[0].read() == b"A"
                with pytest.raises(ValueError, match="closed"):
                    view.get_file_by_url("u")[0].read()
            assert file.closed


def test_a_pack_that_was_given_stays_open(tmp_path: Path) -> None:
    data = build_bundle({"files/a": b"A"}, {"files": {"files/a": {"url": "u"}}})
    with srcpack.open(data) as pack:
        with ArtifactBundleArchive(pack) as view:
            assert view.pack is pack
        assert pack["files/a"].read() == b"A"
        assert view.get_file_by_url("u")[0].read() == b"A"
    with pytest.raises(FormatError, match="not a pack"):
        ArtifactBundleArchive(io.BytesIO(b"text" * 1000))
    with pytest.raises(FileNotFoundError):
        ArtifactBundleArchive(tmp_path / "absent")
