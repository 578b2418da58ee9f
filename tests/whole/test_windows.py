"""Reading without what only POSIX has: as far as can be told on another system, as it is on Windows."""

from pathlib import Path

from support.places import BUNDLES, PACKS
from support.without_posix import run_without_posix

SCRIPT = """
import pathlib, sys
import srcpack

path, bundle = sys.argv[1:]
whole = {name: entry.read() for name, entry in srcpack.open(bundle).items()}
assert whole
packs = srcpack.PackCache(3)
contents = srcpack.ContentCache(1 << 20)
with open(path, "rb") as file:
    for pack in (
        packs.get(path),
        packs.get(bundle),
        srcpack.open(path, source="pread"),
        srcpack.open(file),
        srcpack.open(bytearray(pathlib.Path(path).read_bytes())),
    ):
        assert {name: entry.read() for name, entry in pack.items()} == whole
        assert [contents.read(entry) for entry in pack.entries()] == list(whole.values())
        assert pack.read_many(whole, threads=2) == list(whole.values())
        if pack.file != bundle:
            assert list(srcpack.verify(pack)) == []
"""


def test_packs_and_zips_are_read_without_what_is_posix() -> None:
    done = run_without_posix(SCRIPT, PACKS / "app.srcpack", BUNDLES / "app.zip", folder=Path(__file__).parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
