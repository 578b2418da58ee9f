"""What does an event cost that resolves frames: references, lines of a large file, cached contents?"""

from collections.abc import Callable

import sourcepack
from sourcepack import ContentCache, Entry, FileType
from sourcepack.discover import discover_source_map_reference
from sourcepack_convert.conversion import convert

from .harness import Cell, Column, Contender, Result, Spread, Table, Target, Timings, measure
from .workloads import File, write_bundle
from .workspace import Workspace, ZipReader, clear_caches

__all__ = ["run"]

_REFERENCES = 20
_CONTEXT = 20
_HIT_MICROSECONDS = 1
_LARGE = 60 << 20
_HITS = 1000


def run(work: Workspace) -> Result:
    """Measure the steps of an event that a pack makes cheaper."""
    references = _references(work)
    lines = _lines(work)
    hits = _hits(work)
    rows: list[dict[str, Cell]] = [
        _row("source map references of all minified files", references, "pack", "zip", 1e-3),
        _row("the same, a second time", references, "pack, again", "zip", 1e-3),
        _row("5 lines either side of a line of a large file", lines, "context", "whole", 1e-3),
    ]
    hit = Spread.of(value / _HITS / 1e-6 for value in hits.seconds["hit"])
    return Result(
        question="processing",
        title="What an event costs that resolves frames",
        method="""
            *References*: both ways open js-many and learn the source map reference of each minified file; the
            zip reads each, as symbolic does on a lookup, and takes the header's or else the comment's; the
            pack has it in the entry, found by listing, with the caches of the process empty. A second
            time it looks each up by URL, with the entries at hand. *Lines*: `Entry.context` of a line in the
            middle of a file of 60 MB with lines of about 60 bytes, beside reading that file whole.
            *Cached content*: `ContentCache.read` of a file that it holds.
        """,
        quick=work.quick,
        bundles=work.origins(["js-many"]),
        tables=[
            Table(
                title="Steps",
                columns=[
                    Column("step", "Step"),
                    Column("ours", "Pack, ms", 3),
                    Column("theirs", "Otherwise, ms", 3),
                    Column("speed", "Times as fast", 1),
                ],
                rows=rows,
                note=f"A hit in a content cache takes {hit.median:.2f} microseconds.",
            )
        ],
        targets=[
            Target(
                claim="js-many: source map references, times as fast as from the zip",
                value=references.speed("pack", "zip"),
                kind="at least",
                bound=_REFERENCES,
            ),
            Target(
                claim="lines of a 60 MB file, times as fast as reading it whole",
                value=lines.speed("context", "whole"),
                kind="at least",
                bound=_CONTEXT,
            ),
            Target(claim="hit in a content cache, µs", value=hit, kind="at most", bound=_HIT_MICROSECONDS),
        ],
    )


def _row(step: str, timings: Timings, ours: str, theirs: str, per: float) -> dict[str, Cell]:
    return {
        "step": step,
        "ours": timings.each(ours, per),
        "theirs": timings.each(theirs, per),
        "speed": timings.speed(ours, theirs),
    }


def _references(work: Workspace) -> Timings:
    pack_path, zip_path = work.pack("js-many"), work.bundle("js-many").path
    kept = sourcepack.open(pack_path)
    minified = [entry for entry in kept.entries() if entry.type is FileType.MINIFIED_SOURCE]
    urls = [entry.url or "" for entry in minified]
    headers = {entry.name: entry.headers for entry in minified}

    def of_pack() -> object:
        pack = sourcepack.open(pack_path)
        return [e.source_mapping_url for e in pack.entries() if e.type is FileType.MINIFIED_SOURCE]

    def again() -> object:
        return [entry.source_mapping_url for entry in map(kept.by_url, urls) if entry]

    def of_zip() -> object:
        bundle = ZipReader(zip_path)
        found = []
        for name, named in headers.items():
            content = bundle.zip.read(name)
            reference = named.get("sourcemap", named.get("x-sourcemap"))
            found.append(discover_source_map_reference(content) if reference is None else reference)
        return found

    contenders = [
        Contender(name="pack", run=of_pack, prepare=clear_caches),
        Contender(name="pack, again", run=again, prepare=again),
        Contender(name="zip", run=of_zip),
    ]
    return measure(contenders, work.rounds(9))


def _large_entry(work: Workspace) -> Entry:
    size = _LARGE // 20 if work.quick else _LARGE
    lines = "".join(
        f"value{n:04} = compute(left{n * 7 % 1009}, right{n * n % 997});  // {n}\n" for n in range(9973)
    )
    content = (lines * (size // len(lines) + 1)).encode()[:size]
    write_bundle(work.folder / "large.zip", [File("files/large.c", content, {"path": "/large.c"})])
    convert(work.folder / "large.zip", work.folder / "large.srcpack", level=3)
    return sourcepack.open(work.folder / "large.srcpack")["files/large.c"]


def _lines(work: Workspace) -> Timings:
    entry = _large_entry(work)
    middle = entry.lines // 2
    contenders = [
        Contender(name="context", run=lambda: entry.context(middle)),
        Contender(name="whole", run=entry.read),
    ]
    return measure(contenders, work.rounds(15))


def _hits(work: Workspace) -> Timings:
    cache = ContentCache(64 << 20)
    entries = list(sourcepack.open(work.pack("js-many")).entries())[:_HITS]
    entries = (entries * _HITS)[:_HITS]
    for entry in entries:
        cache.read(entry)

    def hit(read: Callable[[Entry], bytes] = cache.read) -> None:
        for entry in entries:
            read(entry)

    return measure([Contender(name="hit", run=hit)], work.rounds(15))
