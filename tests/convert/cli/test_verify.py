"""The command `verify`, also against the zip; which differences are found is in `back/test_compare.py`."""

import hashlib
import json
from pathlib import Path

from support.bundle_builder import build_bundle
from support.commands import FILES, MANIFEST, Run, flip


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


def test_verify_against_another_zip_says_so_first_and_compares(
    run: Run, pack: Path, bundle: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.zip"
    more = {f"more{number:03}": b"" for number in range(30)}
    other.write_bytes(build_bundle({**FILES, **more}, MANIFEST))
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
