"""A small bundle, and commands that run over it: in this process, or in one of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

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


def start(*args: object, **options: Any) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "srcpack_convert", *map(str, args)]
    options.setdefault("env", {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    popen: Any = subprocess.Popen  # its type depends on options that are not seen here
    process: subprocess.Popen[bytes] = popen(command, **options)
    return process


def run_process(*args: object, **options: Any) -> Result:
    process = start(*args, **options)
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
