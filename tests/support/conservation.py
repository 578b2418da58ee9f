"""Batches over generated spellings of names, and what must hold: each is a pack, a failure, or passed over.

Names are relative, absolute, with `.`, `..` and empty parts, through links, of other letters, URLs with
queries, names of nothing and of what is no bundle; the folder for packs is spelled too, and has links in it.
"""

import os
import re
import string
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from hypothesis import strategies as st

import srcpack
from srcpack.source.locations import path_or_url
from srcpack_convert import (
    BatchProgress,
    BatchReport,
    ConversionReport,
    FailureReport,
    Inputs,
    Options,
    SkipReport,
    convert_many,
)
from support.batches import bundle_of
from support.range_server import RangeServer

__all__ = ["Named", "World", "check", "chosen", "named", "world"]

APPLE_DOUBLE = b"\0\5\x16\7" + bytes(30)
FILES = [
    "a.zip",
    "c.zip",
    "b/c.zip",
    "b/C.zip",
    "b/d e.zip",
    "b/\xe4.zip",
    "b/a\u0308.zip",
    "b/%41.zip",
    "b/b/c",
    "s3:/x.zip",
]
OTHERS = {"bad.zip": b"bad", "b/._c.zip": APPLE_DOUBLE, "b/notes": b"notes"}
NOTHING = ["none.zip", "b/none/a.zip", "b"]
LINKS = {"link": "b", "b/up": "..", "l.zip": "a.zip", "b/gone.zip": "nothing"}
URLS = [
    ["/get?id=1", "/get?id=2", "/get"],
    ["/b/c.zip", "/b//c.zip", "/b/%63.zip"],
    ["/none.zip?x", "/b/get?id=1"],
]
LINKED_OUTPUTS: list[tuple[tuple[str, str], ...]] = [
    (),
    (("b/b", "."), ("in/b/b", ".")),
    (("b", "in"), ("a.srcpack", "x.srcpack")),
    (("in", "b"), ("c.srcpack", "b/c.srcpack")),
]


@dataclass(frozen=True, repr=False)
class World:
    """Where batches are run: a folder `in` with bundles, links and others, and a web server."""

    folder: str
    server: RangeServer


@dataclass(frozen=True)
class Named:
    """A batch to be.

    Attributes:
        listed: What is named in a list.
        sources: What is named besides.
        base: See `Inputs`.
        destination: A spelling of the folder for packs.
        flat: See `convert_many`.
        links: Links in the folder for packs: of what, to what.
    """

    listed: Sequence[str]
    sources: Sequence[str]
    base: str | None
    destination: str
    flat: bool
    links: tuple[tuple[str, str], ...]


@contextmanager
def world() -> Iterator[World]:
    """Make the place where batches are run, which is the working folder meanwhile."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as made, RangeServer({}) as server:
        folder = os.path.realpath(made)
        contents = {name: bundle_of(name, files=1) for name in FILES} | OTHERS
        for name, content in contents.items():
            path = Path(folder, "in", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name, target in LINKS.items():
            os.symlink(target, os.path.join(folder, "in", name))
        server.objects.update(
            {url: bundle_of(url, files=1) for urls in URLS for url in urls if "none" not in url}
        )
        server.objects["/b/%63.zip"] = server.objects["/b/c.zip"]
        os.chdir(folder)
        try:
            yield World(folder, server)
        finally:
            os.chdir(before)


@st.composite
def spellings(draw: st.DrawFn, path: str, folder: str) -> str:
    """Draw another way to write a path that is relative to a folder."""
    parts: list[str] = []
    for part in path.split("/"):
        parts += draw(
            st.sampled_from(
                [[], [], [], ["."], [""], ["..", os.path.basename(folder)] if not parts else ["."]]
            )
        )
        if part == "b" and draw(st.booleans()):
            parts += ["b", "up"]
        parts.append(part)
    spelled = "/".join(parts).lstrip("/")
    way = draw(st.sampled_from(["", "", "./", f"{folder}/", f"//{folder}/", "file"]))
    return f"file://{quote(f'{folder}/{spelled}')}" if way == "file" else way + spelled


def named(place: World) -> st.SearchStrategy[Named]:
    """Return a strategy for batches in a world, whose inputs may be named several times."""
    files = [*FILES, *OTHERS, *NOTHING, "link/c.zip", "l.zip", "b/gone.zip", "link/up/a.zip"]
    inputs = [spellings(f"in/{name}", place.folder) for name in files]
    inputs += [st.sampled_from([place.server.url + url for url in urls]) for urls in URLS]
    inputs += [st.sampled_from(["s3:///x", "ftp://host/x", "file://elsewhere/x", "-", "s3:/bucket", "\x01"])]
    inputs += [st.text(st.sampled_from(string.ascii_letters), max_size=3)]
    folders = st.sampled_from(["in", "in/b", "in/link", "in/*.zip", "in/**/c*"])
    return st.lists(st.sampled_from(inputs), min_size=1, max_size=3).flatmap(
        lambda some: st.builds(
            Named,
            listed=st.lists(st.one_of(some), max_size=6),
            sources=st.lists(st.one_of(*some, folders), max_size=3),
            base=st.sampled_from([None, None, "in", "./in/b/..", "in/b"]),
            destination=st.sampled_from(["out", "./out/", f"{place.folder}/out", "in/../out", "to"]),
            flat=st.booleans(),
            links=st.sampled_from(LINKED_OUTPUTS),
        )
    )


def chosen(place: World) -> list[Named]:
    """Return batches of the kinds that once lost a bundle."""
    plain = Named(listed=[], sources=[], base=None, destination="out", flat=False, links=())
    spelled = ["in/a.zip", "./in//a.zip", "in/b/../a.zip", f"{place.folder}/in/a.zip", "in/link/up/a.zip"]
    return [
        replace(plain, listed=spelled),
        replace(plain, listed=spelled, sources=spelled, flat=True),
        replace(plain, listed=[place.server.url + url for url in URLS[0]]),
        *(replace(plain, sources=["in"], links=links) for links in LINKED_OUTPUTS),
        *(replace(plain, listed=["in/b/b/c", "in/b/c.zip"], links=links) for links in LINKED_OUTPUTS),
    ]


def check(place: World, batch: Named) -> None:
    """Run a batch twice and check the sum."""
    with tempfile.TemporaryDirectory(dir=place.folder) as root:
        _make_destination(place.folder, root, batch)
        outside = _files(place.folder, but=root)
        reports = _run(place, batch)
        converted = [report for report in reports if isinstance(report, ConversionReport)]
        _check_sources(place, batch, reports)
        _check_packs(place, root, converted)
        again = _run(place, batch)
        assert _kinds(again) == {
            ("skipped" if kind == "converted" else kind, *more): count
            for (kind, *more), count in _kinds(reports).items()
        }
        _check_packs(place, root, [report for report in again if isinstance(report, SkipReport)])
        assert _files(place.folder, but=root) == outside


def _make_destination(folder: str, root: str, batch: Named) -> None:
    out = os.path.join(root, "out")
    for name, target in batch.links:
        link = os.path.join(out, name)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, link)
        if not target.endswith(".srcpack"):
            os.makedirs(os.path.realpath(link), exist_ok=True)
    os.makedirs(out, exist_ok=True)
    for name in ("out", "to"):
        link = os.path.join(folder, name)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(out, link)


def _run(place: World, batch: Named) -> list[BatchReport]:
    told: list[BatchProgress] = []
    names = Path(place.folder, "names")
    names.write_bytes(os.fsencode("\n".join(batch.listed)))
    with ThreadPoolExecutor(2) as executor, names.open("rb") as listed:
        inputs = Inputs(batch.sources, listed=listed, base=batch.base)
        reports = list(
            convert_many(
                inputs,
                batch.destination,
                Options(preset="raw", verify=False),
                executor=executor,
                jobs=2,
                flat=batch.flat,
                max_failures=1000,
                progress=told.append,
            )
        )
    assert (told[-1].found, told[-1].done, told[-1].running) == (len(reports), len(reports), 0)
    return reports


def _check_sources(place: World, batch: Named, reports: Sequence[BatchReport]) -> None:
    """Check that each input that was named has its pack, or as many failures as there are without one."""
    told = Counter(_identity(report.source) for report in reports)
    failed = Counter(_identity(report.source) for report in reports if isinstance(report, FailureReport))
    packed = {report.source_sha256 for report in reports if isinstance(report, ConversionReport)}
    lost: Counter[str] = Counter()
    for name in {*batch.listed, *batch.sources} - {""}:
        identity = _identity(name)
        url = name.removeprefix(place.server.url)
        if url != name:
            identity, content = place.server.url + url.partition("?")[0], place.server.objects.get(url, b"")
        else:
            content = Path(identity).read_bytes() if os.path.isfile(identity) else b""
        if content == APPLE_DOUBLE:
            assert identity not in told
        elif not _is_searched(name, batch):
            assert identity in told, name
            if sha256(content).digest() not in packed:
                lost[identity] += url != name or not lost[identity]
    assert lost <= failed


def _is_searched(name: str, batch: Named) -> bool:
    return name in batch.sources and (os.path.isdir(_identity(name)) or "*" in name)


def _check_packs(place: World, root: str, made: Sequence[ConversionReport | SkipReport]) -> None:
    """Check that there are as many packs as reports of them, each of the source that its report names."""
    packs = {
        os.path.realpath(path) for path in _files(root) if path.endswith(".srcpack") and os.path.exists(path)
    }
    assert packs == {os.path.realpath(report.output) for report in made}
    assert len(packs) == len(made)
    for report in made:
        with srcpack.open(report.output) as pack:
            digest = pack.bundle.source["sha256"]
        assert digest == report.source_sha256
        if report.source.startswith(place.server.url):
            path = report.source.removeprefix(place.server.url)
            candidates = [data for url, data in place.server.objects.items() if url.partition("?")[0] == path]
        else:
            candidates = [Path(report.source).read_bytes()]
        assert digest in [sha256(data).digest() for data in candidates], report.source


def _identity(name: str) -> str:
    if name.startswith("file:///"):
        name = path_or_url(name)
    return name if re.match("[a-z0-9]+:/", name) else os.path.realpath(name)


def _kinds(reports: Sequence[BatchReport]) -> Counter[tuple[str, ...]]:
    return Counter(
        (report.status, report.source, report.reason if isinstance(report, FailureReport) else "")
        for report in reports
    )


def _files(folder: str, but: str = "") -> set[str]:
    found: set[str] = set()
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(root, name) != but]
        found.update(os.path.join(root, name) for name in names)
    return found - {os.path.join(folder, name) for name in ("names", "out", "to")}
