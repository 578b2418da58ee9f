"""The command `verify`, also against the zip."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srcpack import Pack
from support.bundle_builder import build_bundle
from support.commands import DEBUG_ID, FILES, MANIFEST, Run, flip


def test_verify_says_ok_or_what_is_wrong(run: Run, pack: Path, bundle: Path) -> None:
    assert run("verify", pack) == (0, f"{pack}: ok, 6 files of 80 B\n", "")
    assert run("verify", pack, "--against", bundle) == (
        0,
        f"{pack}: ok, 6 files of 80 B, equal to {bundle}\n",
        "",
    )
    verdict = json.loads(run("verify", pack, "--json").out)
    assert verdict == {
        "pack": str(pack),
        "ok": True,
        "files": 6,
        "damaged": 0,
        "total_size": 80,
        "problems": [],
    }


def test_verify_goes_through_all_packs_and_fails_if_one_is_bad(run: Run, pack: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.srcpack"
    bad.write_bytes(pack.read_bytes())
    flip(bad, "files/main.c")
    result = run("verify", bad, tmp_path / "none", pack)
    first, where, second, third = result.out.splitlines()
    assert result.code == 1
    assert first.startswith(f"{bad}: SHA-256 of all before the tail")
    assert where.startswith(f"{bad}: 'files/main.c': checksum of raw content at offset ")
    assert second == f"{tmp_path / 'none'}: No such file or directory"
    assert third == f"{pack}: ok, 6 files of 80 B"
    assert not json.loads(run("verify", bad, "--json").out)["ok"]


def test_verify_says_of_what_is_no_pack_that_it_is_none(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "no.srcpack"
    path.write_bytes(b"no pack, though it is long enough to have a head")
    result = run("verify", path)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(f"{path}: not a pack: magic at offset 8")


def changed(change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> bytes:
    manifest, files = json.loads(json.dumps(MANIFEST)), dict(FILES)
    change(manifest, files)
    return build_bundle(files, manifest)


def set_file(name: str, key: str, value: object) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    return lambda manifest, _: manifest["files"][name].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda _, files: files.__setitem__("loose", b"not lis7ed"),
            "'loose': content differs from the bundle's",
        ),
        (
            lambda _, files: files.__setitem__("loose", b"not listed!"),
            "'loose': size of the content: found 10",
        ),
        (lambda _, files: files.__setitem__("more", b""), "no entry 'more'"),
        (lambda _, files: files.pop("loose"), "'loose': an entry that is not in the bundle"),
        (lambda _, files: files.pop("files/blob"), "'files/blob': readable, though not in the bundle"),
        (lambda m, _: m["files"].pop("files/main.c"), "'files/main.c': listed, though the bundle's"),
        (
            lambda m, _: m["files"].__setitem__("loose", {}),
            "'loose': missing, or not as a file that the manifest",
        ),
        (
            lambda m, _: m["files"].__setitem__("files/app.js", m["files"].pop("files/app.js")),
            "the order of the",
        ),
        (lambda m, _: m.__setitem__("release", "app@2"), "attributes differs from the bundle's: found"),
        (lambda m, _: m.pop("source_links"), "source_links differs from the bundle's"),
        (
            set_file("files/app.js", "url", "~/b"),
            "'files/app.js': url differs from the bundle's: found '~/app.js'",
        ),
        (set_file("files/app.js", "type", "source"), "'files/app.js': type differs"),
        (set_file("files/blob", "type", None), "'files/blob': type_is_null differs"),
        (set_file("files/blob", "path", ""), "'files/blob': path differs"),
        (set_file("files/blob", "headers", {}), "'files/blob': headers differs"),
        (set_file("files/main.c", "Note", 2), "'files/main.c': extra differs"),
    ],
)
def test_verify_against_finds_every_difference(
    run: Run, pack: Path, tmp_path: Path, change: Any, message: str
) -> None:
    other = tmp_path / "other.zip"
    other.write_bytes(changed(change))
    result = run("verify", pack, "--against", other)
    assert (result.code, result.err) == (1, "")
    assert message in result.out


def test_verify_against_another_zip_says_so_first_and_compares(
    run: Run, pack: Path, bundle: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.zip"
    names = [f"more{number:03}" for number in range(30)]
    other.write_bytes(changed(lambda _, files: files.update(dict.fromkeys(names, b""))))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (other, bundle)]
    another = "made from another zip: SHA-256 found {}, expected {}".format(*digests)
    first, *lines = run("verify", pack, "--against", other).out.splitlines()
    assert first == f"{pack}: {another}"
    assert (len(lines), lines[-1]) == (21, "and 11 more")
    verdict = json.loads(run("verify", pack, "--against", other, "--json").out)
    assert [verdict["against_sha256"], verdict["source_sha256"]] == digests
    assert len(verdict["problems"]) == 31


def test_verify_takes_another_zip_of_the_same_content(run: Run, pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zip"
    run("export", pack, "-o", other)
    result = run("verify", pack, "--against", other)
    assert result.code == 0
    assert f", equal to {other}; made from another zip: SHA-256 found " in result.out
    assert json.loads(run("verify", pack, "--against", other, "--json").out)["ok"]


def test_verify_against_finds_a_member_that_the_pack_calls_damaged(run: Run, bundle: Path) -> None:
    assert run("convert", bundle, "--max-file-size", 20).code == 3
    result = run("verify", bundle.with_suffix(".srcpack"), "--against", bundle)
    assert result.code == 1
    assert "'files/app.js': not readable, though in the bundle" in result.out
    assert run("verify", bundle.with_suffix(".srcpack"), "--against", bundle, "--max-file-size", 20).code == 0


def test_verify_against_asks_every_key(
    run: Run, pack: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pack, "by_url", lambda self, _: self["loose"])
    monkeypatch.setattr(Pack, "by_path", lambda *_: None)
    monkeypatch.setattr(Pack, "source_link", lambda *_: None)
    monkeypatch.setattr(Pack, "by_debug_id", lambda self, *_: self["files/app.js"])
    lines = run("verify", pack, "--against", bundle).out.splitlines()
    assert [line.partition(f"{pack}: ")[2] for line in lines] == [
        "lookup of path 'C:/src/main.c': found None, expected 'files/main.c'",
        "lookup of URL '~/app.js': found 'loose', expected 'files/app.js'",
        "lookup of URL '~/app.js.map': found 'loose', expected 'files/app.js.map'",
        "lookup of URL '~/empty': found 'loose', expected 'files/empty'",
        f"lookup of debug id {DEBUG_ID} source_map: found 'files/app.js', expected 'files/app.js.map'",
    ]


def test_verify_against_knows_the_winners(run: Run, tmp_path: Path) -> None:
    twins = {"url": "u", "path": "p/q", "type": "source", "headers": {"debug-id": DEBUG_ID}}
    files = {name: {**twins} for name in ("z", "b", "\U0001f600", "\uffee", "B")}
    files["b"]["path"] = "p\\q"
    files["B"]["headers"] = {"debug-id": "invalid", "DEBUG-ID": DEBUG_ID}
    bundle = tmp_path / "twins.zip"
    bundle.write_bytes(build_bundle({name: name.encode() for name in files}, {"files": files}))
    assert run("convert", bundle).code == 0
    result = run("verify", bundle.with_suffix(".srcpack"), "--against", bundle)
    assert (result.code, result.err) == (0, "")
