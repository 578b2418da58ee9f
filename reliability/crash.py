"""What is left when a conversion, or one of many bundles, is killed at a random instant, hundreds of times?

    python -m reliability.crash                    # 400 kills; `just crash`
    python -m reliability.crash --kills 10 --seed 7

`crash` runs a command that writes packs into a folder, and sends SIGKILL, which no process can handle, to it
and to all that it started. After each kill

- every file whose name ends with `.srcpack` is as before the run or as after one that nobody disturbed, byte
  for byte, and passes `verify`;
- there are no more temporary files than files that the command writes at a time.

After one to three kills in a row the command runs to its end: it succeeds, the packs have the bytes of the
undisturbed run, and no temporary file is left. If something else is found, the exit code is 1.

This is about processes that die, not about computers: what a power failure leaves depends on the disk. (The
file and then its folder are flushed to the disk, before and after the rename.)
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import srcpack
from srcpack import SrcpackError
from srcpack_convert import convert
from support.bundle_builder import build_bundle

from .known import text

__all__ = ["JOBS", "PHASES", "CrashReport", "batch_command", "convert_command", "crash", "main", "old_pack"]

BEFORE, WRITING, WRITTEN, RENAMED, ENDED = PHASES = (
    "before writing",
    "while writing",
    "written, not renamed",
    "renamed",
    "already ended",
)
"""What a kill found the command at, by what it left."""


_TICK = 0.0005


@dataclass(slots=True)
class CrashReport:
    """What became of the kills.

    Attributes:
        kills: Kills by phase.
        verified: Packs that were there after a kill, and verified.
        completed: Runs to the end after kills.
        most_left: Most temporary files that a kill left.
        failures: What must not be.
    """

    kills: Counter[str] = field(default_factory=Counter)
    verified: int = 0
    completed: int = 0
    most_left: int = 0
    failures: list[str] = field(default_factory=list)


def crash(
    command: Sequence[str | os.PathLike[str]],
    output: Path,
    *,
    kills: int,
    random: Random,
    at_a_time: int = 1,
    old: bytes | None = None,
) -> CrashReport:
    """Kill a command again and again, and look at what it leaves.

    Args:
        command: Writes packs into `output`, replacing those that are there, and exits with 0.
        output: A folder that this function may empty.
        kills: How often to kill it.
        random: Decides when.
        at_a_time: How many files it writes at a time, at most.
        old: A pack that is there before, under each name that the command writes; without it there are none.
    """
    report = CrashReport()
    output.mkdir(exist_ok=True)
    pace = _Pace()
    code, said = pace.run(command, output)
    if code:
        raise RuntimeError(f"the command fails: {said!r}")
    new = _packs(output)
    while report.kills.total() < kills:
        _lay(output, new, old)
        for _ in range(min(random.randint(1, 3), kills - report.kills.total())):
            before = _packs(output)
            phase = _kill(command, output, new, pace, random)
            report.kills[phase] += 1
            _check(output, before, new, at_a_time, report)
        code, said = pace.run(command, output)
        report.completed += 1
        if code or _packs(output) != new:
            report.failures.append(f"running again: exit code {code}, {said!r}")
        if left := _asides(output):
            report.failures.append(f"running again left {sorted(left)}")
        if report.failures:
            break
    return report


class _Pace:
    """How long the command takes at least, as far as is known.

    Attributes:
        before: Seconds until it writes.
        after: Seconds from then on.
    """

    def __init__(self) -> None:
        self.before = self.after = 60.0

    def run(self, command: Sequence[str | os.PathLike[str]], output: Path) -> tuple[int, bytes]:
        """Run the command to its end; return its exit code and what it said on stderr."""
        known = _asides(output)
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and not _asides(output).items() - known.items():
            time.sleep(_TICK)
        begun = time.monotonic()
        _, said = process.communicate()
        self.before = min(self.before, begun - started)
        self.after = min(self.after, time.monotonic() - begun)
        return process.returncode, said


def _kill(
    command: Sequence[str | os.PathLike[str]],
    output: Path,
    new: dict[str, bytes],
    pace: "_Pace",
    random: Random,
) -> str:
    """Run the command, kill it, and say at what."""
    before, known = _packs(output), _asides(output)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    sizes = {len(data) for data in new.values()}

    def has_come(phase: str) -> bool:
        asides = dict(_asides(output).items() - known.items())
        if phase == WRITTEN:
            return any(size in sizes for _, _, size in asides.values())
        return phase == BEFORE or bool(asides)

    # Python takes long to start, with nothing at stake; the last steps are short. So not simply at any time.
    phase, most = random.choice(
        (
            (BEFORE, pace.before + pace.after),
            (WRITING, pace.after),
            (WRITING, pace.after),
            (WRITTEN, pace.after * 0.1),
        )
    )
    while process.poll() is None and not has_come(phase):
        time.sleep(_TICK)
    time.sleep(random.random() * most)
    ended = process.poll() is not None
    _kill_all(process)
    if ended:
        return ENDED
    if asides := dict(_asides(output).items() - known.items()):
        return WRITTEN if all(size in sizes for _, _, size in asides.values()) else WRITING
    return BEFORE if _packs(output) == before else RENAMED


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and those that it started, and wait for them to be gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.001)


def _check(
    output: Path, before: dict[str, bytes], new: dict[str, bytes], at_a_time: int, report: CrashReport
) -> None:
    """Look at all that there is after a kill."""
    for name, data in _packs(output).items():
        if data not in (before.get(name), new.get(name)):
            report.failures.append(f"{name} is neither what it was nor what it was to be")
        try:
            with srcpack.open(output / name) as pack:
                report.failures += [f"{name}: {error}" for error in srcpack.verify(pack)]
        except SrcpackError as error:
            report.failures.append(f"{name}: {error}")
        report.verified += 1
    left = _asides(output)
    report.most_left = max(report.most_left, len(left))
    if len(left) > at_a_time:
        report.failures.append(f"{len(left)} temporary files are left")


def _lay(output: Path, new: dict[str, bytes], old: bytes | None) -> None:
    """Empty the folder, and put the old packs there."""
    shutil.rmtree(output)
    output.mkdir()
    for name in new if old is not None else ():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(old or b"")


def _packs(output: Path) -> dict[str, bytes]:
    """Return the packs by path in the folder."""
    paths = sorted(output.rglob("*.srcpack"))
    return {os.fspath(path.relative_to(output)): path.read_bytes() for path in paths}


def _asides(output: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, time of the last write and size of the temporary files by path."""
    found = {}
    for path in output.rglob(".*.tmp"):
        with suppress(FileNotFoundError):
            status = path.stat()
            found[os.fspath(path)] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


# ---- the command line


JOBS = 2
"""Threads of a conversion, or conversions of a batch, side by side."""

_BUNDLES = 6


def convert_command(folder: Path, *, files: int) -> list[str]:
    """Make a bundle, and return the command that converts it to `out/app.srcpack`, both in the folder."""
    _write_bundle(folder / "app.zip", range(files))
    return _command(folder / "app.zip", folder / "out" / "app.srcpack", "--force")


def batch_command(folder: Path, *, files: int) -> list[str]:
    """Make bundles that have so many files together; return the command that converts all into `out`."""
    (folder / "bundles" / "inner").mkdir(parents=True)
    for number in range(_BUNDLES):
        place = folder / "bundles" / ("inner" if number % 2 else "") / f"{number}.zip"
        _write_bundle(place, range(number, files, _BUNDLES))
    return _command(folder / "bundles", folder / "out")


def _write_bundle(path: Path, numbers: range) -> None:
    contents = {f"f{number}.js": text(number * 7919 % 1_000_000, 30_000) for number in numbers}
    path.write_bytes(build_bundle(contents, {"files": {name: {} for name in contents}}))


def _command(source: Path, output: Path, *options: str) -> list[str]:
    paths = [os.fspath(source), "--output", os.fspath(output)]
    return [sys.executable, "-m", "srcpack_convert", "convert", *paths, "--jobs", str(JOBS), *options]


def old_pack(folder: Path) -> bytes:
    """Return a pack with other contents than those that the commands write."""
    convert(build_bundle({"old": b"old"}, {"files": {}}), folder / "old")
    return (folder / "old").read_bytes()


def main(args: Sequence[str] | None = None) -> int:
    """Kill conversions, print what became of it as Markdown, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reliability.crash", description="Kill conversions.")
    parser.add_argument("--kills", type=int, default=400)
    parser.add_argument("--files", type=int, default=150, help="files of the bundle, of 30 kB each")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(args)
    print(
        f"{options.kills} kills, {options.files} files of 30 kB in one bundle or in {_BUNDLES}, seed "
        f"{options.seed}; {platform.python_implementation()} {platform.python_version()}, "
        f"srcpack {srcpack.__version__}\n"
    )
    print(f"| Killed | There before | Kills | {' | '.join(PHASES)} | Packs verified | Runs to the end |")
    print("|---|---|" + "--:|" * (len(PHASES) + 3))
    failures = []
    for at, (make, what, before) in enumerate(
        (
            (convert_command, "a conversion", "nothing"),
            (convert_command, "a conversion", "an old pack"),
            (batch_command, "a batch", "nothing"),
            (batch_command, "a batch", "old packs"),
        )
    ):
        with tempfile.TemporaryDirectory(prefix="crash-") as name:
            folder = Path(name)
            report = crash(
                make(folder, files=options.files),
                folder / "out",
                kills=(options.kills + at) // 4,
                random=Random(f"{options.seed} {at}"),
                at_a_time=JOBS if make is batch_command else 1,
                old=None if before == "nothing" else old_pack(folder),
            )
        counts = (report.kills.total(), *(report.kills[phase] for phase in PHASES))
        cells = (what, before, *counts, report.verified, report.completed)
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        failures += report.failures
    print("\n".join(["", "FAILED", *failures] if failures else ["", "All held."]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
