"""The command `check`."""

import json
from pathlib import Path

from support.bundle_builder import build_bundle
from support.commands import Run
from support.places import BUNDLES


def test_what_is_found_is_a_line_each_and_exit_code_3(run: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "a.zip"
    files = {"a.js": {"type": "minified_source", "url": "~/a.js"}}
    bundle.write_bytes(build_bundle({"a.js": b"1\n"}, {"files": files}))
    result = run("check", bundle)
    assert result.code == 3
    says = "it has neither a reference to a source map nor a debug id"
    assert result.out == f"{bundle}: no-map: 'a.js': {says}\n"
    result = run("check", bundle, "--json")
    assert json.loads(result.out) == {"pack": str(bundle), "kind": "no-map", "member": "a.js", "says": says}


def test_nothing_found_is_exit_code_0_and_what_cannot_be_read_1(run: Run, tmp_path: Path) -> None:
    good = BUNDLES / "native.zip"
    assert run("check", good) == (0, "", "")
    result = run("check", tmp_path / "absent.zip", good)
    assert (result.code, result.out) == (1, "")
    assert "absent.zip" in result.err
