"""Events of our own: which files a frame is looked up in, which count as not here, the lines around it."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack import Pack, PackSet
from srcpack.resolve import LookupCache, resolve_event
from srcpack.resolve.search import Origin
from srcpack_convert import convert
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_bundle, build_zip
from support.harbour import (
    HOST,
    ID_A,
    ID_B,
    by_id,
    crane,
    frame,
    frames_of,
    harbour,
    image,
    members,
    names,
    resolved,
    script,
)
from support.minified import Minified
from support.tables import build_tables_here

Make = Callable[..., Pack]


def cached(*packs: Pack) -> PackSet:
    return PackSet(packs, lookup_cache=LookupCache(1 << 20))


# ---- which files


def test_a_debug_id_of_the_event_finds_script_and_map(make: Make) -> None:
    minified, _, call = crane()
    packs = PackSet([make(by_id(minified))], origins=[Origin("b://1", "release")])
    (shown,) = frames_of(resolved(packs, frame(call), modules=[image(ID_A.upper().replace("-", ""))]))
    assert shown["data"] == {
        "sourcemap": f"{HOST}/crane.js",
        "sourcemap_origin": {"bundled": ["b://1", {"source_map": {"debug_id": ID_A}}]},
        "resolved_with": "debug-id",
        "symbolicated": True,
    }
    event = {
        "stacktrace": {"frames": [frame(call)]},
        "debug_meta": {"images": [None, {"type": "elf"}, {**image(ID_A), "debug_id": 5}, image(ID_A)]},
    }
    assert resolve_event(event, packs)["stacktrace"]["frames"][0]["function"] == "Crane.hoist"


def test_of_images_for_one_file_the_last_counts(make: Make) -> None:
    minified, _, call = crane()
    pack = make(by_id(minified))
    assert names(resolved(pack, frame(call), modules=[image(ID_B), image(ID_A)])) == ["Crane.hoist"]
    for last in (image(ID_B), image("none"), {**image(ID_A), "debug_id": None}):
        assert names(resolved(pack, frame(call), modules=[image(ID_A), last])) == [None]
    assert names(resolved(pack, frame(call), modules=[image(ID_A, f"{HOST}/other.js")])) == [None]


def test_a_map_by_debug_id_alone_has_no_reference_of_its_own(make: Make) -> None:
    minified, _, call = crane()
    answer = resolved(make(by_id(minified, sourcemap="x")), frame(call), modules=[image(ID_A)])
    assert answer["errors"] == [
        {"abs_path": f"{HOST}/crane.js", "type": "malformed_sourcemap", "url": f"{HOST}/crane.js"}
    ]


def test_a_map_in_the_reference_is_read(make: Make) -> None:
    minified, _, call = crane()
    url = "data:application/json;base64," + b64encode(minified.map()).decode()
    (shown,) = frames_of(resolved(make({"~/crane.js": script(minified, url)}), frame(call)))
    assert shown["function"] == "Crane.hoist"
    assert shown["data"] == {
        "sourcemap": f"{HOST}/crane.js",
        "sourcemap_origin": "embedded",
        "resolved_with": "unknown",
        "symbolicated": True,
    }


def test_of_two_packs_the_one_with_the_greatest_uri_is_tried_first(make: Make) -> None:
    (old, _, call), (new, _, _) = crane(), crane()
    new.sources = ["new.ts"]
    packs = {"b://1": make(harbour(old)), "b://2": make(harbour(new))}
    (shown,) = frames_of(resolved(PackSet.by_uri(packs, resolved_with={"b://2": "index"}), frame(call)))
    assert (shown["filename"], shown["data"]["resolved_with"]) == ("new.ts", "index")
    (shown,) = frames_of(resolved(PackSet.by_uri({**packs, "b://0": packs["b://1"]}), frame(call)))
    assert shown["data"]["resolved_with"] == "unknown"


def test_one_async_is_taken_off(make: Make) -> None:
    minified, _, call = crane()
    answer = resolved(
        make({**harbour(minified), "async ~/x.js": ("source", "x")}),
        frame(call, f"async {HOST}/crane.js"),
        frame((1, 1), "async async ~/x.js"),
    )
    raw = answer["raw_stacktraces"][0]["frames"]
    assert [each["abs_path"] for each in frames_of(answer)] == [f"{HOST}/src/crane.ts", "async ~/x.js"]
    assert [each["abs_path"] for each in raw] == [f"{HOST}/crane.js", "async ~/x.js"]


def test_what_a_request_says_of_a_frames_map_is_handed_on(make: Make) -> None:
    minified, _, _ = crane()
    given = {"sourcemap": "a.map", "sourcemap_origin": {"bundled": []}, "resolved_with": "x"}
    answer = resolved(make(harbour(minified)), frame((1, 1), "absent.js", data={**given, "more": 1}))
    assert frames_of(answer)[0]["data"] == {**given, "symbolicated": False}


# ---- damage


def damaged_pack(path: Path, bundle: bytes, *names: str, frame: int = 0, **options: Any) -> Pack:
    """Convert a bundle, and open the pack with a bit flipped in a frame of each of the files named."""
    convert(bundle, path, dictionary="off", verify=False, **options)
    data = bytearray(path.read_bytes())
    with srcpack.open(path) as pack:
        for name in names:
            data[pack[name].record.frames[frame].offset + 8] ^= 1
    return srcpack.open(bytes(data))


@pytest.mark.parametrize("damaged", ["0", "1"])
def test_a_member_that_cannot_be_read_is_not_here(damaged: str) -> None:
    minified, _, call = crane()
    contents, manifest = members(harbour(minified))
    zipped = [
        ZipMember(name=each, content=contents[each], crc=1 if each == damaged else None) for each in "01"
    ]
    listing = ZipMember(name="manifest.json", content=json.dumps(manifest).encode())
    bad = srcpack.open(build_zip([*zipped, listing], header=BUNDLE_HEADER))
    packs = PackSet([bad, srcpack.open(build_bundle(contents, manifest))])
    assert names(resolved(packs, frame(call))) == ["Crane.hoist"]
    assert packs.errors


def test_a_map_whose_content_is_damaged_is_not_here(tmp_path: Path) -> None:
    """It is found, as its entry is whole, and turns out unreadable: the next one is taken."""
    minified, _, call = crane()
    bundle = build_bundle(*members(harbour(minified)))
    bad = damaged_pack(tmp_path / "bad.srcpack", bundle, "1")
    packs = cached(bad)
    answer = resolved(packs, frame(call))
    assert [error["type"] for error in answer["errors"]] == ["scraping_disabled"]
    assert packs.errors
    packs = cached(bad, damaged_pack(tmp_path / "good.srcpack", bundle))
    answer = resolved(packs, frame(call))
    assert (names(answer), answer["errors"]) == (["Crane.hoist"], [])
    assert packs.errors


def test_an_original_whose_content_is_damaged_is_not_here(tmp_path: Path) -> None:
    minified = Minified({"src/crane.ts": None})
    call = minified.add("h()", (2, 1))
    files = {**harbour(minified), "~/src/crane.ts": ("source", "first\nsecond\n")}
    bundle = build_bundle(*members(files))
    bad = damaged_pack(tmp_path / "bad.srcpack", bundle, "2")
    answer = resolved(cached(bad), frame(call))
    assert [error["type"] for error in answer["errors"]] == ["missing_source_content"]
    assert "context_line" not in frames_of(answer)[0]
    answer = resolved(cached(bad, damaged_pack(tmp_path / "good.srcpack", bundle)), frame(call))
    assert (frames_of(answer)[0]["context_line"], answer["errors"]) == ("second", [])


@pytest.mark.parametrize(
    "wanted",
    [
        {"platform": "java", "module": "harbour.Crane", "filename": "Crane.java", "lineno": 1},
        {"platform": "native", "abs_path": "/src/crane.c", "lineno": 1},
    ],
)
def test_a_source_of_other_platforms_whose_content_is_damaged_is_not_here(
    tmp_path: Path, wanted: dict[str, Any]
) -> None:
    listed = {
        "j": {"type": "source", "url": "~/harbour/Crane.jvm"},
        "c": {"type": "source", "path": "/src/crane.c"},
    }
    bundle = build_bundle({"j": b"class Crane {}\n", "c": b"int crane;\n"}, {"files": listed})
    good = srcpack.open(bundle)
    assert "context_line" in frames_of(resolved(good, wanted))[0]
    answer = resolved(good, wanted, apply_source_context=False)
    assert (frames_of(answer), answer["errors"]) == ([wanted], [])
    packs = PackSet([damaged_pack(tmp_path / "bad.srcpack", bundle, "j", "c")])
    answer = resolved(packs, wanted, wanted)
    assert frames_of(answer) == [wanted] * 2
    assert [error["type"] for error in answer["errors"]] == ["missing_source"]
    assert packs.errors == 1, "it is read once"


def long_script(source: str) -> tuple[bytes, tuple[int, int], tuple[int, int]]:
    """A bundle with a script of several frames and its map; places in the first of them and in the last."""
    minified = Minified({source: "first\nlast\n"})
    first = minified.add("a();", (1, 1))
    minified.add("\n" + "/* ballast */\n" * 1000)
    last = minified.add("b();", (2, 1))
    files: dict[str, Any] = {"~/crane.js": script(minified, f"{source}.map")}
    files[f"~/{source}.map"] = "source_map", minified.map()
    return build_bundle(*members(files)), first, last


@pytest.mark.parametrize(
    ("lookups", "wants_context", "sources"),
    [
        (False, False, ["whole.ts"] * 3),  # symbolic needs all of it
        (False, True, ["whole.ts"] * 3),
        (True, True, ["damaged.ts", "whole.ts", "whole.ts"]),
        (True, False, ["damaged.ts"] * 3),
    ],
)
def test_a_script_that_is_damaged_elsewhere_serves_until_that_is_needed(
    lookups: bool, wants_context: bool, sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_tables_here(monkeypatch)
    options = {"frame_size": 4096, "lookups": lookups}
    bundle, first, last = long_script("damaged.ts")
    bad = damaged_pack(tmp_path / "bad.srcpack", bundle, "0", frame=-1, **options)
    packs = cached(bad, damaged_pack(tmp_path / "good.srcpack", long_script("whole.ts")[0], **options))
    frames = map(frame, (first, last, first))
    answer = resolved(packs, *frames, apply_source_context=wants_context)
    assert [each.get("filename") for each in frames_of(answer)] == sources
    assert answer["errors"] == []
    assert bool(packs.errors) is not (lookups and not wants_context)


# ---- lines around the place


def original(content: str | None, line: int = 1) -> tuple[Minified, tuple[int, int]]:
    """A script of one piece, and its place, which comes from a line of a source."""
    minified = Minified({"a.ts": content})
    return minified, minified.add("x", (line, 1))


def test_an_original_that_the_map_lacks_is_found_by_its_url(make: Make) -> None:
    minified = Minified({"src/crane.ts": None, "src/lost.ts": None})
    here, lost = minified.add("x", (2, 1)), minified.add("y", (1, 1), source=1)
    files = {**harbour(minified), f"{HOST}/src/crane.ts": ("source_map", "one\r\ntwo\r\nthree\r\n")}
    answer = resolved(make(files), frame(here), frame(lost))
    shown, missing = frames_of(answer)
    assert (shown["pre_context"], shown["context_line"], shown["post_context"]) == (["one"], "two", ["three"])
    assert missing["data"]["symbolicated"] is True
    assert "context_line" not in missing
    assert answer["errors"] == [
        {
            "abs_path": f"{HOST}/crane.js",
            "type": "missing_source_content",
            "source": f"{HOST}/src/lost.ts",
            "sourcemap": f"{HOST}/crane.js.map",
        }
    ]


def test_an_original_with_a_broken_reference_of_its_own_is_not_here(make: Make) -> None:
    minified, place = original(None)
    files = {**harbour(minified), "~/a.ts": ("source", "x //# sourceMappingURL=data:;base64,*")}
    answer = resolved(make(files), frame(place))
    assert [error["type"] for error in answer["errors"]] == ["missing_source_content"]


@pytest.mark.parametrize(("content", "line"), [("", 1), ("one\n", 2), ("one", 9)])
def test_a_line_that_is_not_there_is_no_error(make: Make, content: str, line: int) -> None:
    minified, place = original(content, line)
    answer = resolved(make(harbour(minified)), frame(place))
    assert answer["errors"] == []
    assert "context_line" not in frames_of(answer)[0]


def test_context_that_came_with_a_frame_stays_if_there_is_no_better(make: Make) -> None:
    minified, place = original(None)
    came: Mapping[str, Any] = {"pre_context": ["p"], "context_line": "c", "post_context": ["q"]}
    answer = resolved(make(harbour(minified)), frame(place, **came), frame((7, 1), **came))
    for each in frames_of(answer):
        assert {key: each[key] for key in came} == came
    assert answer["raw_stacktraces"][0]["frames"][0]["context_line"] == "x"


def test_long_lines_are_cut_around_the_column(make: Make) -> None:
    minified = Minified({"a.ts": "b" * 300})
    minified.add("a" * 400)
    place = minified.add("x", (1, 200))
    answer = resolved(make(harbour(minified)), frame(place))
    assert answer["raw_stacktraces"][0]["frames"][0]["context_line"] == "{snip} " + "a" * 139 + "x"
    assert frames_of(answer)[0]["context_line"] == "{snip} " + "b" * 140 + " {snip}"


def test_without_source_context_no_original_is_missed(make: Make) -> None:
    minified, place = original(None)
    answer = resolved(make(harbour(minified)), frame(place), apply_source_context=False)
    assert answer["errors"] == []
    assert "context_line" not in frames_of(answer)[0]
    assert "context_line" not in answer["raw_stacktraces"][0]["frames"][0]
