"""Python scripts run without what only POSIX has: as far as can be told on another system, as on Windows."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["run_without_posix"]

_OF_OS = (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fork", "geteuid", "mkfifo", "pread",
    "preadv", "posix_fadvise", "posix_fallocate", "register_at_fork", "sched_getaffinity", "sysconf",
)  # fmt: skip

_HIDE = f"""
import mmap, os, signal, sys
for name in {_OF_OS}:
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGPIPE", "SIGQUIT", "SIGXCPU", "pthread_sigmask", "setitimer"):
    delattr(signal, name)
del mmap.MADV_RANDOM
os.supports_dir_fd = set()
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
"""


def run_without_posix(
    script: str, *arguments: str | os.PathLike[str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    """Run a script in a fresh process, in a folder; warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", _HIDE + script, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
