"""Reading without what only POSIX has: as far as can be told on another system, as it is on Windows."""

import os
import subprocess
import sys
from pathlib import Path

from support.places import BUNDLES, PACKS

POSIX_ONLY = (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fork", "geteuid", "pread", "preadv",
    "posix_fadvise", "posix_fallocate", "register_at_fork", "sched_getaffinity", "sysconf",
)  # fmt: skip

SCRIPT = """
import mmap, os, pathlib, signal, sys
for name in sys.argv[1].split(","):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGQUIT", "setitimer"):
    delattr(signal, name)
del mmap.MADV_RANDOM
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None

import srcpack

path, bundle = sys.argv[2:]
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
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            SCRIPT,
            ",".join(name for name in POSIX_ONLY if hasattr(os, name)),
            PACKS / "app.srcpack",
            BUNDLES / "app.zip",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
