"""A pack and the SourceBundle zip it was made from, read by one interface: the same answers, key by key.

Some packs are read by URL as well, by as many range requests as there can be. Misses are compared as well as
finds, and errors as well as values. The corpus is data of others beside the checkout; without it the
project's own bundles are compared alone.
"""

import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pytest

import srcpack
from srcpack import Entry, FileType, Pack, SourceLink, SrcpackError
from srcpack.bundle.zip_store import ZipStore
from srcpack.source import remote, request_plan
from srcpack_convert import convert
from support.places import CORPUS, FIXTURES
from support.range_server import RangeServer

REAL = ("js-hermes", "js-names", "js-ram")
HUGE = "zip64-70000-files.zip"
"""It is compared in tests/whole/test_corpus.py."""
SAMPLE = {"mmap": 60, "url": 15}
"""How many entries are compared of a bundle that has more, by source."""
FIELDS = (
    *("name", "type", "path", "url", "headers", "debug_id", "source_mapping_url"),
    *("size", "lines", "sha256", "damage"),
)


def own_bundles() -> list[Path]:
    return sorted((FIXTURES / "bundles").glob("*.zip"))


def corpus_bundles() -> list[Path]:
    if not CORPUS.is_dir():
        return []
    odd = json.loads((CORPUS / "odd" / "EXPECT.json").read_text(encoding="utf-8"))
    return [
        *(CORPUS / "real" / f"{name}.zip" for name in REAL),
        *sorted((CORPUS / "symbolicator").glob("*.zip")),
        *(CORPUS / "odd" / name for name in odd if odd[name]["symbolic"] == "opens" and name != HUGE),
    ]


@dataclass
class Both:
    """A pack and its zip, opened, with the zip's path and the names of some or all of their entries."""

    pack: Pack
    zip: Pack
    path: Path
    names: list[str]

    def entries(self) -> Iterator[tuple[Entry, Entry]]:
        return ((self.pack[name], self.zip[name]) for name in self.names)


@pytest.fixture(
    scope="module",
    params=[
        *((path, "mmap") for path in (*own_bundles(), *corpus_bundles())),
        *((path, "url") for path in own_bundles()),
    ],
    ids=lambda param: f"{param[0].parent.name}-{param[0].stem}-{param[1]}",
)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    path, source = request.param
    pack_path = FIXTURES / "packs" / f"{path.stem}.srcpack"
    if path.parent != FIXTURES / "bundles":
        pack_path = tmp_path_factory.mktemp("pack") / "a.srcpack"
        convert(path, pack_path, preset="fast", verify=False)
    with ExitStack() as stack:
        pack_name = str(pack_path)
        if source == "url":
            pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(remote, "PIECE", 1024)
            for name in ("MAX_REQUEST", "MAX_GAP", "_LEAST_SHARE"):
                patch.setattr(request_plan, name, 1024)
            server = stack.enter_context(RangeServer({"/a.srcpack": pack_path.read_bytes()}))
            pack_name = f"{server.url}/a.srcpack"
        pack = stack.enter_context(srcpack.open(pack_name))
        zipped = stack.enter_context(srcpack.open(path))
        assert type(pack) is Pack
        assert type(zipped.store) is ZipStore
        names = list(pack)
        yield Both(pack, zipped, path, names[:: -(-len(names) // SAMPLE[source]) or 1])


def outcome(ask: Callable[..., object], *arguments: object) -> object:
    """Return what a call gives, or its error without the file's name; an entry as its name."""
    try:
        found = ask(*arguments)
    except (SrcpackError, ValueError, TypeError) as error:
        said = str(getattr(error, "reason", "")) or str(error)
        return type(error), said.partition(": ")[2] if isinstance(error, SrcpackError) else said
    if isinstance(found, Iterator):
        return [entry.name for entry in found]
    return found.name if isinstance(found, Entry) else found


def same(one: object, other: object, method: str, *arguments: object) -> None:
    assert outcome(getattr(one, method), *arguments) == outcome(getattr(other, method), *arguments), (
        method,
        arguments,
        one,
    )


# ---- one bundle after the other


def test_both_have_the_same_names_and_values(both: Both) -> None:
    assert list(both.pack) == list(both.zip) == [entry.name for entry in both.zip.entries()]
    assert len(both.pack) == len(both.zip)
    for name in (*both.names, "", "absent", "manifest.json", "files", "files/", *map(str.upper, both.names)):
        assert (name in both.pack) == (name in both.zip), name
        same(both.pack, both.zip, "__getitem__", name)
        same(both.pack, both.zip, "get", name)
    same(both.pack, both.zip, "__getitem__", 1)
    prefixes = {"", "f", "files/", "z", "\U0010ffff", "files/\uffff"}
    prefixes |= {name[:length] for name in both.names[:9] for length in (7, len(name) // 2, len(name))}
    for prefix in prefixes:
        same(both.pack, both.zip, "find_prefix", prefix)
    assert both.pack.attributes == both.zip.attributes
    assert both.pack.source_links == both.zip.source_links
    found, expected = both.pack.bundle_manifest(), both.zip.bundle_manifest()
    assert found == expected
    assert list(found.files) == list(expected.files)
    assert both.pack.bundle.has_files == both.zip.bundle.has_files


def test_entries_have_the_same_fields_and_content(both: Both) -> None:
    random = Random(5)
    for entry, zipped in both.entries():
        for field in FIELDS:
            assert getattr(entry, field) == getattr(zipped, field), (entry.name, field)
        assert zipped.record == entry.record._replace(frames=zipped.record.frames, raw=False)
        for read in ("read", "text", "view"):
            same(entry, zipped, read)
        size, last = entry.size, entry.lines
        ranges = [(0, 0), (0, size), (size, 1), (size + 9, 9), (-1, 1), (0, -1), (max(0, size - 3), 9)]
        for start, length in (*ranges, (random.randint(0, size), random.randint(0, size + 9))):
            same(entry, zipped, "read_range", start, length)
        for line in {-3, 0, 1, 2, last // 2, last, last + 1, 1 << 40}:
            for lines, column in ((5, 0), (0, 200), (1, 1 << 40), (-1, 0), (1, -1)):
                same(entry, zipped, "context", line, lines, column)


def test_entries_give_the_same_files(both: Both) -> None:
    for entry, zipped in both.entries():
        if entry.damage is not None:
            assert outcome(entry.open) == outcome(zipped.open)
            continue
        with entry.open() as file, zipped.open() as other:
            assert file.name == other.name
            assert file.read() == other.read()
            for offset, whence in ((0, 2), (entry.size // 2, 0), (-1, 1), (3, 0), (-9, 1), (0, 9)):
                same(file, other, "seek", offset, whence)
                assert file.tell() == other.tell()
                # A read stops where a frame ends, and a zip has one only.
                assert (file.read(1), file.read(1)) == (other.read(1), other.read(1))


def forms_of(keys: set[str]) -> set[str]:
    """Return keys and what is nearly these: the most of it is not found."""
    return keys | {
        form
        for key in keys
        for form in (
            *(key.replace("/", "\\"), key.replace("\\", "/"), key.upper(), key.lower(), key.swapcase()),
            *(key + "x", key[:-1], key[1:], f" {key}", f"{key}/", f"./{key}", f"~{key}", f"{key}\0"),
            *(key.partition("?")[0], f"{key}?a", key.replace("/", "//"), key.replace("*", "x/y")),
        )
    }


def test_every_key_has_the_same_answer(both: Both) -> None:
    paths = {entry.path or entry.name for entry, _ in both.entries()} | both.pack.source_links.keys()
    for path in forms_of(paths) | {"", "/", "\\", "absent"}:
        same(both.pack, both.zip, "by_path", path)
        same(both.pack, both.zip, "source_link", path)
    urls = {entry.url or entry.path or entry.name for entry, _ in both.entries()}
    for url in forms_of(urls) | {"", "~", "~/", "absent"}:
        same(both.pack, both.zip, "by_url", url)
    texts = {"", "nonsense", "00000000-0000-0000-0000-000000000000", "5e618b9f54a94389b196519819dd7c47"}
    ids: set[object] = set()
    for entry, _ in both.entries():
        texts |= {entry.headers.get("debug-id", ""), entry.record.content_debug_id or ""}
        if entry.debug_id is not None:
            ids |= {entry.debug_id, str(entry.debug_id)}
    for text in texts:
        ids |= {text, text.upper(), text.replace("-", ""), f"{text}-a", f"{text}x"}
    for debug_id in ids:
        for file_type in (*FileType, "bogus"):
            same(both.pack, both.zip, "by_debug_id", debug_id, file_type)
    for wrong in (None, 1, b"files/a", ("a",)):
        same(both.pack, both.zip, "by_url", wrong)
        with pytest.raises(TypeError, match="a key is a str"):
            both.zip.by_url(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a path is a str, not"):
            both.zip.by_path(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a debug id is a str or DebugId, not"):
            both.pack.by_debug_id(wrong, FileType.SOURCE)  # type: ignore[arg-type]


# ---- many at once


def test_many_are_read_in_the_order_asked_for(both: Both) -> None:
    whole = [name for name in both.names if both.pack[name].damage is None]
    names = [*reversed(whole), *whole[:3]]
    expected = [both.pack[name].read() for name in names]
    mixed = [both.zip[name] if at % 2 else name for at, name in enumerate(names)]
    for threads in (1, 4):
        assert both.zip.read_many(mixed, threads=threads) == expected
        for asked in ([*both.names, "absent"], ["absent"], []):
            reads = [partial(pack.read_many, asked, threads=threads) for pack in (both.pack, both.zip)]
            assert outcome(reads[0]) == outcome(reads[1])


def answers_of(pack: Pack, name: str) -> object:
    entry = pack[name]
    found = None if entry.url is None else pack.by_url(entry.url)
    at_path = pack.by_path(entry.path or "")
    return (
        None if found is None else found.name,
        at_path.url if isinstance(at_path, SourceLink) else at_path and at_path.name,
        entry.damage or (entry.sha256, entry.lines, entry.read(), entry.source_mapping_url),
    )


def test_threads_share_a_zip(both: Both) -> None:
    """They begin with nothing found out, so that several find it out at once."""
    expected = [answers_of(both.pack, name) for name in both.names]
    with srcpack.open(both.path) as zipped:

        def ask(seed: int) -> None:
            order = list(enumerate(both.names))
            Random(seed).shuffle(order)
            for at, name in order:
                assert answers_of(zipped, name) == expected[at]

        with ThreadPoolExecutor(8) as executor:
            list(executor.map(ask, range(8)))


def test_a_pickled_zip_gives_the_same(both: Both) -> None:
    again = pickle.loads(pickle.dumps(both.zip))
    assert type(again.store) is ZipStore
    assert (again.file, again.sha256, again.max_read) == (both.zip.file, both.zip.sha256, both.zip.max_read)
    assert list(again) == list(both.zip)
    for entry, zipped in list(both.entries())[:3]:
        other = pickle.loads(pickle.dumps(zipped))
        assert other.name == zipped.name
        same(other, entry, "read")
