"""The command `train`: one dictionary over many bundles, the same bytes in each of their packs."""

import json
import shutil
from pathlib import Path

import pytest

import srcpack
from srcpack.opening import packfile_of
from srcpack_convert.one.dictionary import SAMPLES_PER_BYTE
from srcpack_convert.one.fleet_dictionary import FleetSamples
from support.bundle_builder import build_bundle
from support.commands import Run
from support.places import BUNDLES


def module(number: int) -> bytes:
    lines = [
        f"export function name{number}_{line}(value) {{ return value * {line}; }}\n" for line in range(20)
    ]
    return "".join(lines).encode()


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    for bundle in range(8):
        files = {f"files/{number}.js": module(100 * bundle + number) for number in range(20)}
        (folder / f"{bundle}.zip").write_bytes(build_bundle(files, {"files": {}}))
    return folder


def test_packs_share_the_dictionary_that_was_trained_on_their_bundles(
    run: Run, fleet: Path, tmp_path: Path
) -> None:
    result = run("train", fleet, "-o", tmp_path / "fleet", "--size", "4K")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{tmp_path / 'fleet'}: a dictionary of 4.1 kB, of 8 bundles\n"
    trained = (tmp_path / "fleet").read_bytes()
    shared_to = ["-o", f"{tmp_path / 'shared'}/", "--dictionary", tmp_path / "fleet"]
    assert run("convert", fleet, *shared_to).code == 0
    assert run("convert", fleet, "-o", f"{tmp_path / 'none'}/", "--dictionary", "off").code == 0
    for number in range(8):
        with srcpack.open(tmp_path / "shared" / f"{number}.srcpack") as pack:
            assert packfile_of(pack).dictionary().data.as_bytes() == trained
            shared = sum(entry.stored_size for entry in pack.entries())
        with srcpack.open(tmp_path / "none" / f"{number}.srcpack") as pack:
            assert shared < 0.6 * sum(entry.stored_size for entry in pack.entries())


def test_neither_the_order_of_bundles_nor_what_holds_them_changes_the_dictionary(
    run: Run, fleet: Path, tmp_path: Path
) -> None:
    assert run("convert", fleet, "-o", f"{tmp_path / 'packs'}/").code == 0
    trained = set()
    for folder, reverse in ((fleet, False), (fleet, True), (tmp_path / "packs", False)):
        bundles = sorted(folder.glob("[0-9]*"), reverse=reverse)
        assert run("train", *bundles, "-o", tmp_path / "fleet", "--size", "4K", "--force").code == 0
        trained.add((tmp_path / "fleet").read_bytes())
    assert len(trained) == 1


def test_of_many_samples_as_many_are_kept_as_are_trained_on(fleet: Path) -> None:
    samples = FleetSamples(1024)
    most = 1024 * SAMPLES_PER_BYTE
    for path in sorted(fleet.iterdir()):
        with srcpack.open(path) as bundle:
            samples.add(bundle)
        assert samples.taken <= 2 * most
    assert samples.train() is not None
    assert samples.taken <= most + len(module(999))


def test_a_bundle_that_cannot_be_read_is_told_and_left_out(run: Run, fleet: Path, tmp_path: Path) -> None:
    (fleet / "broken.zip").write_bytes(b"PK no zip")
    result = run("train", fleet, "-o", tmp_path / "fleet", "--size", "4K", "--json")
    assert result.code == 3
    assert "broken.zip" in result.err
    size = (tmp_path / "fleet").stat().st_size
    expected = {"output": str(tmp_path / "fleet"), "size": size, "bundles": 8, "failed": 1}
    assert json.loads(result.out) == expected


def test_a_bundle_is_not_written_over_by_its_dictionary(run: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "a.zip"
    bundle.write_bytes(before := (BUNDLES / "many.zip").read_bytes())
    result = run("train", tmp_path, "-o", bundle, "--force")
    assert (result.code, result.err) == (1, f"error: {bundle}: it is an input; write to another file\n")
    assert bundle.read_bytes() == before


def test_what_gives_no_dictionary_is_an_error_and_writes_nothing(
    run: Run, fleet: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fleet"
    (tmp_path / "small.zip").write_bytes(build_bundle({"files/a": b"too little"}, {"files": {}}))
    result = run("train", tmp_path / "small.zip", "-o", out)
    assert (result.code, result.err) == (
        1, "error: there is too little in the bundles to train a dictionary on\n",
    )  # fmt: skip
    assert run("train", tmp_path / "missing.zip", "-o", out).code == 1
    assert not out.exists()
    shutil.copy(fleet / "0.zip", out)
    assert run("train", fleet, "-o", out).code == 1
