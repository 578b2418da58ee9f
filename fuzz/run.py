"""Runs the fuzz targets under atheris, which looks for inputs that reach code not reached before.

    python fuzz/run.py                      each target, for ten minutes
    python fuzz/run.py pack --minutes 1     one of them, for one
    python fuzz/run.py pack --save          afterwards keep the smallest inputs that reach as much

Each target runs in a process of its own that may take 1 GiB of memory, and 10 seconds for an input. What
it finds is left in `fuzz/findings/`, and the exit code is 1. At the end it prints the numbers of each run as
Markdown.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["TARGETS", "main"]

TARGETS = {"pack": "fuzz_pack", "bundle": "fuzz_bundle"}
"""Modules by name of the target."""

_HERE = Path(__file__).parent
_CORPUS = _HERE / "corpus"
_FINDINGS = _HERE / "findings"
_PATH = [_HERE, _HERE.parent / "tests"]
_MEMORY_MB, _SECONDS = 1024, 10
_STATUS = re.compile(r"#(\d+)\t(?:INITED|DONE|NEW|REDUCE|pulse).* cov: (\d+) ft: (\d+) corp: (\d+)/")


class _Run(NamedTuple):
    """What a run came to: inputs tried, edges and features reached, inputs that reach them, findings."""

    target: str
    minutes: float
    executions: int
    edges: int
    features: int
    inputs: int
    findings: int


def _fuzz(target: str, command: str, arguments: Sequence[str]) -> None:
    """Be the process that fuzzes, which libFuzzer knows by a command: never returns."""
    atheris: Any = import_module("atheris")  # only this process needs it
    sys.path[:0] = map(str, _PATH)
    with atheris.instrument_imports(include=["srcpack", "srcpack_convert"]):
        module = import_module(TARGETS[target])

    def one_input(data: bytes) -> None:
        module.check(data)

    atheris.Setup([command, *arguments], one_input, custom_mutator=module.mutate)
    atheris.Fuzz()


@contextmanager
def _seeded(target: str) -> Iterator[tuple[Path, Any]]:
    """Yield a folder of inputs to begin with, and the target's module."""
    sys.path[:0] = map(str, _PATH)
    module = import_module(TARGETS[target])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed, data in module.seeds().items():
            (folder / seed).write_bytes(data)
        for path in sorted((_CORPUS / target).glob("*")):
            shutil.copy(path, folder)
        yield folder, module


def _run(target: str, minutes: float, *, save: bool) -> _Run:
    findings = _FINDINGS / target
    findings.mkdir(parents=True, exist_ok=True)
    before = len(list(findings.iterdir()))
    with _seeded(target) as (folder, module):
        command = [
            *(sys.executable, __file__, "--process", target, __file__, str(folder)),
            f"-max_total_time={round(60 * minutes)}",
            f"-max_len={module.MAX_LENGTH}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-timeout={_SECONDS}",
            f"-artifact_prefix={findings}{os.sep}",
        ]
        last = (0, 0, 0, 0)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:  # noqa: S603
            assert process.stderr is not None
            for line in process.stderr:
                sys.stderr.write(line)
                if match := _STATUS.match(line):
                    last = (int(match[1]), int(match[2]), int(match[3]), int(match[4]))
        found = len(list(findings.iterdir())) - before
        if process.returncode and not found:
            found = 1
        if save and not found:
            _save(target, folder, module.MAX_LENGTH)
    return _Run(target, minutes, *last, found)


def _save(target: str, folder: Path, max_length: int) -> None:
    """Keep few and small inputs that reach all the edges that a run reached, named by their hash."""
    with tempfile.TemporaryDirectory() as name:
        kept, command = Path(name, "kept"), Path(name, "command")
        kept.mkdir()
        # libFuzzer calls the command anew for each input that ends the process.
        call = shlex.join([sys.executable, __file__, "--process", target, str(command)])
        command.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        command.chmod(0o700)
        options = ["-set_cover_merge=1", "-use_counters=0", f"-max_len={max_length}", str(kept), str(folder)]
        subprocess.run([command, *options], check=True)  # noqa: S603
        corpus = _CORPUS / target
        shutil.rmtree(corpus, ignore_errors=True)
        corpus.mkdir(parents=True)
        for path in sorted(kept.iterdir()):
            data = path.read_bytes()
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--process"]:
        _fuzz(arguments[1], arguments[2], arguments[3:])
    parser = argparse.ArgumentParser(description="Fuzz packs and bundles.")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default"
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long each is run; 10 by default")
    parser.add_argument("--save", action="store_true", help="keep what was reached in fuzz/corpus/")
    given = parser.parse_args(arguments)
    if unknown := set(given.targets) - TARGETS.keys():
        parser.error(f"no target {unknown.pop()!r}; there are {', '.join(TARGETS)}")
    runs = [_run(target, given.minutes, save=given.save) for target in given.targets or TARGETS]
    print("| target | minutes | inputs tried | edges | features | inputs kept | findings |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for run in runs:
        print(f"| {run.target} |", " | ".join(f"{value:,}" for value in run[1:]), "|")
    return 1 if any(run.findings for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
