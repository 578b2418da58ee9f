"""The command: `python -m benchmarks [--quick] [NAME...]`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import (
    batch,
    blocks,
    catalog,
    contention,
    convert,
    counts,
    dictionaries,
    generated,
    integrations,
    lines,
    memory,
    open,  # noqa: A004  the questions' names
    plots,
    presets,
    processes,
    read,
    readme,
    replay,
    resolve,
    size,
    summary,
)
from .harness import RESULTS, Result, check_result, progress, render, render_all, save
from .workspace import Workspace

__all__ = ["QUESTIONS", "main"]

QUESTIONS: Mapping[str, Callable[[Workspace], Result]] = {
    "open": open.run,
    "memory": memory.run,
    "read": read.run,
    "contention": contention.run,
    "replay": replay.run,
    "resolve": resolve.run,
    "integrations": integrations.run,
    "lines": lines.run,
    "counts": counts.run,
    "size": size.run,
    "blocks": blocks.run,
    "presets": presets.run,
    "dictionaries": dictionaries.run,
    "convert": convert.run,
    "batch": batch.run,
    "processes": processes.run,
    "catalog": catalog.run,
    "generated": generated.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the questions that the command line names, or all; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Srcpack; see benchmarks/README.md."
    )
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help=f"questions to answer: {', '.join(QUESTIONS)}; all if none"
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--full", action="store_true", help="measure; the default")
    extent.add_argument(
        "--quick", action="store_true", help="show that everything works: small bundles, no results written"
    )
    parser.add_argument(
        "--generated", action="store_true", help="measure on generated bundles even where there are real ones"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="take N samples of anything at most")
    parser.add_argument("--out", type=Path, help="folder for the results; benchmarks/results if not --quick")
    parser.add_argument(
        "--render", action="store_true", help="only make Markdown and plots from the JSON again"
    )
    parser.add_argument(
        "--readme", action="store_true", help="only put the results' figures in README and docs/integrations"
    )
    chosen = parser.parse_args(arguments)
    if chosen.readme:
        readme.write_all()
        return 0
    out = chosen.out if chosen.out is not None or chosen.quick else RESULTS
    if chosen.render:
        render_all(out or RESULTS)
        plots.draw_all(out or RESULTS)
        summary.write(out or RESULTS)
        return 0
    if unknown := [name for name in chosen.names if name not in QUESTIONS]:
        parser.error(f"no such question: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="srcpack-benchmarks-") as folder:
        work = Workspace(
            Path(folder), quick=chosen.quick, generated=chosen.generated, most_rounds=chosen.rounds
        )
        begin = time.perf_counter()
        for name in chosen.names or QUESTIONS:
            start = time.perf_counter()
            progress(f"{name} ...")
            result = QUESTIONS[name](work).as_json()
            check_result(result)
            if out is not None:
                save(result, out)
                plots.draw(result, out)
            print(render(result), flush=True)
            progress(f"{name}: {time.perf_counter() - start:.0f} s")
        if out is not None:
            summary.write(out)
        progress(f"all: {(time.perf_counter() - begin) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
