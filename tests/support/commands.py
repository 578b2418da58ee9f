"""A small bundle, and commands that run over it: in this process, or in one of their own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

import srcpack
from support.bundle_builder import ZipMember, build_zip

DEBUG_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
FILES = {
    "files/app.js": b"minified()\n//# sourceMappingURL=app.js.map\n",
    "files/app.js.map": b'{"version": 3}',
    "files/blob": b"\xff\0\xfe",
    "files/empty": b"",
    "files/main.c": b"int main;\n",
    "loose": b"not listed",
}
MANIFEST: dict[str, Any] = {
    "files": {
        "files/app.js": {"type": "minified_source", "url": "~/app.js", "headers": {"Debug-Id": DEBUG_ID}},
        "files/app.js.map": {"type": "source_map", "url": "~/app.js.map", "headers": {"debug-id": DEBUG_ID}},
        "files/blob": {},
        "files/empty": {"type": "source", "url": "~/empty"},
        "files/main.c": {"type": "source", "path": "C:\\src\\main.c", "Note": 1},
    },
    "source_links": {"/lib/*": "https://example.com/*"},
    "release": "app@1",
}


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Result]


HOSTILE = "\x1b]0;title\x07\x9b31m\u202egnp.[bold]x[red]\x7f\r\n"
"""A name that would steer a terminal."""


class Terminal(io.StringIO):
    """A terminal as standard input or output."""

    def isatty(self) -> bool:
        return True


def assert_harmless(*texts: str) -> None:
    """Check that no character but the line feed steers a terminal."""
    for text in texts:
        assert all(char.isprintable() for line in text.split("\n") for char in line), ascii(text)


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let a package be as if it were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


def start(*args: object, **options: Any) -> "subprocess.Popen[bytes]":
    """Start the program."""
    return start_python("-m", "srcpack_convert", *args, **options)


def start_python(*args: object, **options: Any) -> "subprocess.Popen[bytes]":
    """Start Python, with what this process imports."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    popen: Any = subprocess.Popen  # its type depends on options that are not seen here
    command = [sys.executable, *map(str, args)]
    process: subprocess.Popen[bytes] = popen(command, **{"env": environment(), **pipes, **options})
    return process


def run_process(*args: object, **options: Any) -> Result:
    """Run the program to its end."""
    return finished(start(*args, **options))


def run_python(*args: object, **options: Any) -> Result:
    """Run Python to its end."""
    return finished(start_python(*args, **options))


def finished(process: "subprocess.Popen[bytes]") -> Result:
    """Wait for a process."""
    out, err = process.communicate(timeout=60)
    return Result(process.returncode, (out or b"").decode(), (err or b"").decode())


def damaged_bundle(tmp_path: Path, number: int = 1) -> Path:
    names = [f"bad{at:03}" for at in range(number)]
    manifest = {"files": {name: {"type": "source"} for name in [*names, "gone", "ok"]}}
    members = [ZipMember(name=name, content=b"bad", crc=1) for name in names]
    members += [
        ZipMember(name="ok", content=b"ok"),
        ZipMember(name="manifest.json", content=json.dumps(manifest).encode()),
    ]
    path = tmp_path / "damaged.zip"
    path.write_bytes(build_zip(members))
    return path


def flip(path: Path, name: str) -> None:
    """Damage the content of an entry in a pack."""
    with srcpack.open(path) as pack:
        offset = pack[name].record.frames[0].offset
    data = bytearray(path.read_bytes())
    data[offset + 9] ^= 1
    path.write_bytes(data)
