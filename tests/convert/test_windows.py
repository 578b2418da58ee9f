"""Converting without what only POSIX has: as far as can be told on another system, as it is on Windows."""

from pathlib import Path

from support.places import BUNDLES
from support.without_posix import run_without_posix

SCRIPT = """
import errno, importlib, os, pkgutil, sys
(bundle,) = sys.argv[1:]

def closed(function):
    # What is open can be neither renamed nor removed there.
    def call(path, *args, **options):
        if os.path.isdir("/proc/self/fd"):
            for number in os.listdir("/proc/self/fd"):
                try:
                    is_open = os.readlink(f"/proc/self/fd/{number}") == os.path.realpath(path)
                except OSError:
                    continue
                if is_open:
                    raise PermissionError(errno.EACCES, "it is open", path)
        return function(path, *args, **options)
    return call

os.replace, os.rename, os.unlink, os.remove = map(closed, (os.replace, os.rename, os.unlink, os.remove))

import srcpack_convert
for module in pkgutil.walk_packages(srcpack_convert.__path__, "srcpack_convert."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

import srcpack
from concurrent.futures import ThreadPoolExecutor
from srcpack_convert import convert, convert_many, export
from srcpack_convert.back.extract import extract
from srcpack_convert.cli import main as cli

for _ in range(2):  # the second replaces the first
    convert(bundle, "app.srcpack")
with srcpack.open("app.srcpack", source="pread") as pack:
    export(pack, "again.zip")
    try:
        extract(pack, "out")
    except OSError as error:
        assert error.errno == errno.ENOTSUP and not os.path.exists("out")
    else:
        raise AssertionError("it was extracted")
try:
    convert(b"no bundle", "app.srcpack")
except srcpack.FormatError:
    pass
with ThreadPoolExecutor(1) as executor:
    for status in ("converted", "skipped"):
        (report,) = convert_many(["again.zip"], "packs", executor=executor)
        assert report.status == status, report
assert sorted(os.listdir()) == ["again.zip", "app.srcpack", "packs"]
assert sorted(os.listdir("packs")) == [".srcpack-state.db", "again.srcpack"]
for args in (["ls", "app.srcpack"], ["verify", "packs"], ["convert", "again.zip", "-o", "other.srcpack"]):
    assert cli.run(args) == 0
"""


def test_bundles_are_converted_without_what_is_posix(tmp_path: Path) -> None:
    done = run_without_posix(SCRIPT, BUNDLES / "app.zip", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
