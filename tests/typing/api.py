"""The public interface as type checkers see it: right uses with the types they have, wrong ones refused.

Nobody runs this file; `.ci/run` checks it with mypy and pyright, and so does test_api.py. An unused `ignore`
is an error, so that a wrong use that begins to pass fails.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, assert_type

import srcpack
import srcpack_convert
from srcpack import (
    Catalog,
    CatalogedPack,
    ContentCache,
    Context,
    DamagedMember,
    DebugId,
    DecodedMap,
    Entry,
    FileType,
    FormatError,
    InvalidEvent,
    LimitExceeded,
    Limits,
    LookupCache,
    LookupUnavailable,
    MalformedSourceMap,
    NotFound,
    ObjectInfo,
    OriginalPosition,
    Pack,
    PackCache,
    PackSet,
    Resolved,
    SourceLink,
    SrcpackError,
)
from srcpack.resolve import FrameOrder, LookupCacheStatistics, ResolvedFrame, resolve_event
from srcpack_convert import (
    BatchProgress,
    BatchReport,
    BatchStopped,
    Cluster,
    ClusterError,
    ConversionReport,
    DamageReport,
    DictionaryChoice,
    ExportReport,
    FailureReport,
    Inputs,
    Options,
    PlanReport,
    SkipReport,
    convert,
    convert_many,
    convert_url,
    export,
)

# ---- the reader


def what_is_opened(path: Path, file: BinaryIO) -> None:
    assert_type(srcpack.open("app.srcpack"), Pack)
    assert_type(srcpack.open(path, source="pread", max_read=1 << 20), Pack)
    assert_type(srcpack.open(file, limits=Limits(max_files=10)), Pack)
    srcpack.open(bytearray())
    with srcpack.open(memoryview(b"")) as pack:
        assert_type(pack, Pack)
    assert_type(srcpack.__version__, str)
    srcpack.open_all  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    srcpack.open(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    srcpack.open(path, source="read")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    srcpack.open(path, "pread")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    srcpack.open(path, limits=10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_pack_is_a_mapping_that_nobody_changes(pack: Pack) -> None:
    mapping: Mapping[str, Entry] = pack
    assert_type(mapping["a.js"], Entry)
    assert_type(pack.get("a.js"), Entry | None)
    assert_type(list(pack), list[str])
    assert_type(list(pack.items()), list[tuple[str, Entry]])
    assert_type(pack.entries(), Iterator[Entry])
    assert_type(pack.find_prefix("src/"), Iterator[Entry])
    assert_type(pack.attributes, Mapping[str, str])
    assert_type(pack.sha256, bytes)
    pack[b"a.js"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    pack["a.js"] = mapping["a.js"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    del pack["a.js"]  # type: ignore[attr-defined]  # pyright: ignore[reportIndexIssue]
    pack.attributes["release"] = "2"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    pack.sha256 = b""  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def what_a_pack_is_asked(pack: Pack, debug_id: DebugId) -> None:
    assert_type(pack.by_path("/src/a.js"), Entry | None)
    assert_type(pack.by_url("~/a.js"), Entry | None)
    assert_type(pack.by_debug_id(debug_id, FileType.SOURCE_MAP), Entry | None)
    assert_type(pack.by_debug_id("5e618b9f-54a9-4389-b196-519819dd7c47", "source_map"), Entry | None)
    assert_type(pack.source_link("/src/a.c"), SourceLink | None)
    assert_type(pack.read_many(["a.js", pack["b.js"]], threads=2), list[bytes])
    assert_type(ObjectInfo.of(pack.attributes), ObjectInfo)
    assert_type(srcpack.verify(pack), list[SrcpackError])
    pack.by_debug_id(debug_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    pack.by_url(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pack.by_url("~/a.js").read()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    pack.read_many([b"a.js"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    srcpack.verify("app.srcpack")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_an_entry_is_asked(entry: Entry) -> None:
    assert_type(entry.type, FileType)
    assert_type(entry.url, str | None)
    assert_type(entry.headers, Mapping[str, str])
    assert_type(entry.debug_id, DebugId | None)
    assert_type(entry.sha256, bytes | None)
    assert_type(entry.damage, str | None)
    assert_type(entry.read(), bytes)
    assert_type(entry.text(), str)
    assert_type(entry.read_range(0, 10), bytes)
    assert_type(entry.parts(), Iterator[bytes])
    assert_type(entry.context(17, lines=2, column=5), Context | None)
    assert_type(entry.original(1, 2000), OriginalPosition | None)
    assert_type(BufferedReader(entry.open()).readline(), bytes)
    entry.read(10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    entry.read_range(0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    entry.size = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    entry.url.upper()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def positions_and_their_lines(position: OriginalPosition, around: Context) -> None:
    assert_type((position.source, position.line, position.column), tuple[str, int, int])
    assert_type(position.context(), Context | None)
    assert_type(around.pre_context, tuple[str, ...])
    position.line = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    around.lines  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def errors_are_told_apart(error: SrcpackError, member: DamagedMember) -> None:
    kinds: tuple[type[SrcpackError], ...] = (FormatError, LimitExceeded, NotFound, DamagedMember)
    kinds += (LookupUnavailable, MalformedSourceMap)
    assert_type(isinstance(error, kinds), bool)
    assert_type((error.file, error.member), tuple[str, str | None])
    assert_type(member.reason, str)
    assert_type(issubclass(InvalidEvent, ValueError), bool)
    error.offset  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


# ---- many packs


def a_catalog_says_which_packs_have_something(catalog: Catalog, id_: DebugId) -> None:
    assert_type(catalog.by_debug_id("text", "source_map"), list[CatalogedPack])
    catalog.by_debug_id(id_, FileType.SOURCE)
    catalog.by_release("release")
    catalog.by_release("release", None)
    catalog.by_release(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    catalog.by_bundle(b"identity")
    for pack in catalog:
        assert_type(pack.place, str)
        assert_type(pack.dist, str | None)
    with PackCache(10) as cache:
        packs = PackSet.from_catalog(catalog, release="release", debug_ids=["text", id_], opener=cache.get)
        assert_type(packs, PackSet)
    PackSet.from_catalog(catalog, "release")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def many_packs_are_searched(packs: PackSet, event: dict[str, Any]) -> None:
    found = packs.resolve("https://example.com/app.js", None, "minified_source")
    assert_type(found, Resolved | None)
    if found is not None:
        assert_type(packs.source_map_for(found), Resolved | DecodedMap | None)
        assert_type(packs.read(found), bytes)
        packs.source_map_for(found.entry)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(packs.resolve_frame({"abs_path": "app.js", "lineno": 1}), ResolvedFrame)
    assert_type(packs.source_by_path("/src/a.c"), Resolved | SourceLink | None)
    order: FrameOrder = "callee_first"
    assert_type(resolve_event(event, packs, frame_order=order), dict[str, Any])
    resolve_event(event, [packs])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    resolve_event("{}", packs)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def packs_and_contents_are_kept(path: os.PathLike[str]) -> None:
    with PackCache(max_open=100) as cache:
        assert_type(cache.get(path), Pack)
        contents, lookups = ContentCache(1 << 20, keep=lambda entry: entry.size < 1000), LookupCache(1 << 20)
        packs = PackSet([cache.get("app.srcpack")], content_cache=contents, lookup_cache=lookups)
        assert_type(contents.read(packs.packs[0]["a.js"]), bytes)
        assert_type(lookups.statistics, LookupCacheStatistics)
        PackSet([path])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        PackSet(packs.packs, contents)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
        cache.get(b"app.srcpack")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# ---- the converter


def a_bundle_is_converted_and_exported(path: Path, file: BinaryIO) -> None:
    dictionary: DictionaryChoice = b""
    report = convert(
        path, file, preset="max", dictionary=dictionary, raw=["*.png"], limits=Limits(max_files=9)
    )
    assert_type(report, ConversionReport)
    assert_type((report.files, report.ratio), tuple[int, float])
    assert_type(report.damaged, tuple[DamageReport, ...])
    assert_type([(each.member, each.reason) for each in report.damaged], list[tuple[str, str]])
    assert_type(convert_url("s3://a/b.zip", "s3://a/b.srcpack", Options(lookups=True)), ConversionReport)
    assert_type(export(srcpack.open(path), "again.zip", stored=True), ExportReport)
    convert(path)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    convert(path, file, "max")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    convert(path, file, dictionary="on")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    convert_url(path, "s3://a/b.srcpack")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    export(b"", path)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    report.files = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def many_bundles_are_converted(folder: Path) -> None:
    def told(progress: BatchProgress) -> None:
        assert_type((progress.done, progress.is_all), tuple[int, bool])

    try:
        for report in convert_many(Inputs([folder], exclude=["*.bak"]), "packs", jobs=2, progress=told):
            each: BatchReport = report
            assert_type(report, ConversionReport | SkipReport | FailureReport | PlanReport)
            assert_type(each.as_json(), dict[str, Any])
            if report.status == "failed":
                assert_type(report, FailureReport)
                assert_type(report.reason, str)
            report.files  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    except BatchStopped as stopped:
        assert_type(stopped.failures, int)
    with ThreadPoolExecutor() as executor:
        convert_many([folder, "more"], folder, Options(preset="fast"), executor=executor)
    convert_many([folder], folder, executor=Cluster("tcp://127.0.0.1:8786", timeout=5))
    assert_type(issubclass(ClusterError, Exception), bool)
    convert_many(folder, folder)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    convert_many([folder])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    convert_many([folder], folder, preset="fast")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Options("fast")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    srcpack_convert.convert_all  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
