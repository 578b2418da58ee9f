"""Bundles that symbolic refuses over metadata alone, which are converted where one asks for it."""

import json
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import FormatError
from srcpack.bundle.members import SourceBundle
from srcpack_convert import ConversionReport, Options, convert, export
from srcpack_convert.back.compare import compare
from support.batches import batch, bundle_of, failure_of
from support.bundle_builder import build_bundle
from support.commands import Run

ODD: dict[str, Any] = {
    "org": "o",
    "project": 1,
    "files": {"a.js": {"type": "soure", "url": "~/a.js", "headers": {"debug-id": "1", "size": 7}}},
}
KEPT = {"org": "o", "files": {"a.js": {"url": "~/a.js", "headers": {"debug-id": "1"}}}}
REFUSED = "'manifest.json': the attribute 'project' has the wrong type"


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    (tmp_path / "odd.zip").write_bytes(build_bundle({"a.js": b"f();"}, ODD))
    return tmp_path / "odd.zip"


def test_it_is_refused_unless_asked_for_and_then_report_and_pack_say_why(odd: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.srcpack"
    with pytest.raises(FormatError, match=REFUSED):
        convert(odd, path)
    report = convert(odd, path, lenient=True)
    assert report.refused is not None
    assert report.refused.startswith(REFUSED)
    with srcpack.open(path) as pack, SourceBundle(odd, lenient=True) as bundle:
        assert pack.bundle.created_by["refused"] == report.refused
        entry = pack.by_url("~/a.js")
        assert entry is not None
        assert (entry.type, dict(entry.headers), entry.read()) == ("source", {"debug-id": "1"}, b"f();")
        assert pack.attributes == {"org": "o"}
        assert list(srcpack.verify(pack)) == []
        assert list(compare(pack, bundle)) == []


def test_symbolic_takes_what_comes_back(odd: Path, tmp_path: Path) -> None:
    convert(odd, tmp_path / "odd.srcpack", lenient=True)
    export(tmp_path / "odd.srcpack", tmp_path / "again.zip")
    with SourceBundle(tmp_path / "again.zip") as bundle:
        assert json.loads(bundle.read_manifest()) == KEPT


def test_a_bundle_that_symbolic_takes_gives_the_same_bytes(tmp_path: Path) -> None:
    bundle = bundle_of("x")
    strict = convert(bundle, tmp_path / "strict.srcpack")
    assert convert(bundle, tmp_path / "lenient.srcpack", lenient=True).sha256 == strict.sha256
    assert strict.refused is None


def test_a_batch_that_is_not_lenient_does_not_take_such_a_pack_for_its_own(odd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for status in ("converted", "skipped"):
        report = batch([odd], out, options=Options(lenient=True))["odd.zip"]
        assert report.status == status
        if isinstance(report, ConversionReport):
            assert json.loads(json.dumps(report.as_json()))["refused"].startswith(REFUSED)
    assert REFUSED in failure_of(batch([odd], out)["odd.zip"]).reason


def test_the_command_warns(run: Run, odd: Path, tmp_path: Path) -> None:
    assert run("convert", odd).code == 1
    told = run("convert", odd, "--lenient")
    assert (told.code, f"warning: {odd}: symbolic refuses it: {REFUSED}" in told.err) == (0, True)
    assert run("verify", tmp_path / "odd.srcpack", "--against", odd).code == 0
    assert REFUSED in run("info", tmp_path / "odd.srcpack").out
