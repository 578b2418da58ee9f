"""Comparing a pack with a bundle: every difference is told, also where the pack itself is damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import srcpack
from srcpack import Pack
from srcpack.bundle.members import DEFAULT_LIMITS, Limits, SourceBundle
from srcpack.opening import packfile_of
from srcpack_convert.back.compare import compare
from srcpack_convert.one.convert import convert
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID, FILES, MANIFEST

APP = "files/app.js"
BUNDLE = build_bundle(FILES, MANIFEST)
MANY = build_bundle(
    {f"{number}.js": b"let v%d;\n" % number * 20 for number in range(40)},
    {"files": {f"{number}.js": {"url": f"~/{number}", "path": f"/{number}"} for number in range(40)}},
)

Change: TypeAlias = Callable[[dict[str, Any], dict[str, bytes]], object]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Return a function that converts a bundle."""
    path: Path = tmp_path_factory.mktemp("compare") / "a.srcpack"

    def pack(bundle: bytes, **options: Any) -> bytes:
        convert(bundle, path, force=True, **options)
        return path.read_bytes()

    return pack


def differences(pack: Pack | bytes, bundle: bytes, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    opened = srcpack.open(pack) if isinstance(pack, bytes) else pack
    with SourceBundle(bundle, limits=limits) as other:
        return [str(error).removeprefix("<bytes>: ") for error in compare(opened, other)]


def set_file(name: str, key: str, value: object) -> Change:
    return lambda manifest, _: manifest["files"][name].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, files: files.update(loose=b"not lis7ed"), "'loose': content differs from the bundle's"),
        (lambda _, files: files.update(loose=b"not listed!"), "'loose': size of the content: found 10"),
        (lambda _, files: files.update(more=b""), "no entry 'more'"),
        (lambda _, files: files.pop("loose"), "'loose': an entry that is not in the bundle"),
        (lambda _, files: files.pop("files/blob"), "'files/blob': readable, though not in the bundle"),
        (lambda m, _: m["files"].pop("files/main.c"), "'files/main.c': listed, though the bundle's"),
        (lambda m, _: m["files"].update(loose={}), "'loose': missing, or not as a file that the manifest"),
        (lambda m, _: m["files"].update({APP: m["files"].pop(APP)}), "the order of the"),
        (lambda m, _: m.update(release="app@2"), "attributes differs from the bundle's: found"),
        (lambda m, _: m.pop("source_links"), "source_links differs from the bundle's"),
        (set_file(APP, "url", "~/b"), "'files/app.js': url differs from the bundle's: found '~/app.js'"),
        (set_file(APP, "type", "source"), "'files/app.js': type differs"),
        (set_file("files/blob", "type", None), "'files/blob': type_is_null differs"),
        (set_file("files/blob", "path", ""), "'files/blob': path differs"),
        (set_file("files/blob", "headers", {}), "'files/blob': headers differs"),
        (set_file("files/main.c", "Note", 2), "'files/main.c': extra differs"),
    ],
)
def test_every_difference_is_found(packed: Callable[..., bytes], change: Change, message: str) -> None:
    manifest, files = json.loads(json.dumps(MANIFEST)), dict(FILES)
    change(manifest, files)
    found = differences(packed(BUNDLE), build_bundle(files, manifest))
    assert any(message in difference for difference in found), found


def test_a_pack_is_equal_to_its_bundle(packed: Callable[..., bytes]) -> None:
    """Also where several files have one key, and where a limit was in the way of both."""
    twins = {"url": "u", "path": "p/q", "type": "source", "headers": {"debug-id": DEBUG_ID}}
    files = {name: {**twins} for name in ("z", "b", "\U0001f600", "\uffee", "B")}
    files["b"]["path"] = "p\\q"
    files["B"]["headers"] = {"debug-id": "invalid", "DEBUG-ID": DEBUG_ID}
    for bundle in (BUNDLE, MANY, build_bundle({name: name.encode() for name in files}, {"files": files})):
        assert differences(packed(bundle), bundle) == []
    limited = packed(BUNDLE, limits=Limits(max_file_size=20))
    assert differences(limited, BUNDLE, Limits(max_file_size=20)) == []
    assert "'files/app.js': not readable, though in the bundle" in str(differences(limited, BUNDLE))


def test_every_key_is_asked(packed: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pack, "by_url", lambda self, _: self["loose"])
    monkeypatch.setattr(Pack, "by_path", lambda *_: None)
    monkeypatch.setattr(Pack, "source_link", lambda *_: None)
    monkeypatch.setattr(Pack, "by_debug_id", lambda self, *_: self["files/app.js"])
    assert differences(packed(BUNDLE), BUNDLE) == [
        "lookup of path 'C:/src/main.c': found None, expected 'files/main.c'",
        "lookup of URL '~/app.js': found 'loose', expected 'files/app.js'",
        "lookup of URL '~/app.js.map': found 'loose', expected 'files/app.js.map'",
        "lookup of URL '~/empty': found 'loose', expected 'files/empty'",
        f"lookup of debug id {DEBUG_ID} source_map: found 'files/app.js', expected 'files/app.js.map'",
    ]


def test_a_damaged_content_is_told_and_the_others_are_compared(packed: Callable[..., bytes]) -> None:
    whole = packed(MANY)
    data = bytearray(whole)
    for name in ("3.js", "5.js"):
        data[srcpack.open(whole)[name].record.frames[0].offset + 9] ^= 1
    first, second = differences(bytes(data), MANY)
    assert first.startswith("'3.js': frame")
    assert second.startswith("'5.js': frame")


def test_a_damaged_bucket_is_told_for_each_key_in_it_and_the_others_are_asked(
    packed: Callable[..., bytes],
) -> None:
    whole = packed(MANY)
    pack = srcpack.open(whole)
    data = bytearray(whole)
    data[packfile_of(pack).directory.layout.slots] ^= 1
    found = differences(bytes(data), MANY)
    assert found
    assert all(difference.startswith("checksum of bucket 0 at offset ") for difference in found)
    assert len(found) <= len(packfile_of(pack).directory.read_bucket(0)) // 8
