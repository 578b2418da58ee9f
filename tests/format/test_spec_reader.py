"""SPEC.md is enough to read a pack: a reader written from it alone gives what the bundle held."""

import hashlib
import io
import itertools
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import xxhash
import zstandard

from srcpack_convert.one.convert import convert
from support import spec_reader

Refused = spec_reader.Refused
SpecReader: Any = spec_reader.SpecReader

Edit = Callable[[dict[str, Any]], bytes | None]
Made = tuple[str, bytes]

UUID = "dfb8e43a-f242-3d73-a453-aeb6a777ef75"
TYPES = {None: 0, "source": 1, "minified_source": 2, "source_map": 3, "indexed_ram_bundle": 4}
LONG = "".join(f"function f{i}(a, b) {{ return a * {i * i} + b; }}\n" for i in range(400)).encode()

CONTENTS: dict[str, bytes] = {
    "files/a.js": b"hi\n",
    "files/b.js": LONG,
    "files/b2.js": LONG,
    "files/binary": bytes(range(256)) * 40,
    "files/blanks.js": b"\n" * 9000,
    "files/crlf.c": b"one\r\ntwo\r\n\r\nlast",
    "files/empty.js": b"",
    "files/exact.js": b"x" * 4095 + b"\n" + b"y" * 4096,
    "files/long-line.js": b"z" * 10000,
    "files/m.map": b'{"version":3,"sources":["a"],"names":[],"mappings":"AAAA"}' * 200,
    "files/\N{PILE OF POO}.js": b"astral\n",
    "files/\N{HALFWIDTH KATAKANA MIDDLE DOT}.js": b"not astral",
    "files/unlisted.js": b"nobody lists me\n",
}
LISTED: dict[str, dict[str, Any]] = {
    "files/a.js": {
        "type": "minified_source",
        "path": "a\\b.js",
        "url": "~/a.js",
        "headers": {"Debug-Id": UUID},
    },
    "files/b.js": {
        "type": "minified_source",
        "path": "a/b.js",
        "url": "~/b.js",
        "headers": {"debug-id": UUID},
    },
    "files/b2.js": {"type": "source_map", "url": "~/b.js", "headers": {"debug-id": UUID.upper() + "-0A"}},
    "files/binary": {"type": "indexed_ram_bundle", "path": "", "url": ""},
    "files/blanks.js": {"type": "source", "headers": {"Debug-ID": "none", "debug-id": UUID, "x": "y"}},
    "files/crlf.c": {"type": None, "path": "../c.c", "headers": {"debug-id": UUID}},
    "files/empty.js": {"type": "source", "headers": {"DEBUG-ID": UUID, "debug-ID": "none"}},
    "files/exact.js": {"path": "/e", "headers": {"debug-id": UUID.replace("-", "")}},
    "files/gone.js": {"type": "source", "path": "../c.c", "url": "~/gone.js"},
    "files/long-line.js": {"type": "source_map", "headers": {"debug-id": "DFB8E43A2"}},
    "files/m.map": {"type": "source_map", "url": "~/m.map"},
    "files/\N{PILE OF POO}.js": {"type": "source", "url": "~/\N{PILE OF POO}"},
    "files/\N{HALFWIDTH KATAKANA MIDDLE DOT}.js": {"type": "source", "url": "~/\N{PILE OF POO}"},
}
WINNERS: list[tuple[int, str, str]] = [
    *((0, name, name) for name in sorted({*CONTENTS, *LISTED})),
    (1, "a/b.js", "files/b.js"),
    (1, "a\\b.js", "files/b.js"),
    (1, "../c.c", "files/gone.js"),
    (1, "/e", "files/exact.js"),
    (2, "~/a.js", "files/a.js"),
    (2, "~/b.js", "files/b2.js"),
    (2, "~/gone.js", "files/gone.js"),
    (2, "~/m.map", "files/m.map"),
    (2, "~/\N{PILE OF POO}", "files/\N{PILE OF POO}.js"),
    (3, f"{UUID} minified_source", "files/b.js"),
    (3, f"{UUID}-a source_map", "files/b2.js"),
    (3, f"{UUID} source", "files/blanks.js"),
    (3, "DFB8E43A-2 source_map", "files/long-line.js"),
]
MISSES = [(0, "manifest.json"), (1, ""), (1, "c.c"), (2, ""), (2, "~/B.js"), (3, f"{UUID} source_map")]


def bundle(contents: dict[str, bytes], files: dict[str, dict[str, Any]], **attributes: str) -> bytes:
    out = io.BytesIO(b"SYSB" + (2).to_bytes(4, "little"))
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps({"files": files, **attributes}))
    return out.getvalue()


def pack(directory: Path, data: bytes, **options: Any) -> bytes:
    convert(data, directory / "p.srcpack", **options)
    return (directory / "p.srcpack").read_bytes()


def trained() -> bytes:
    samples: list[bytes | bytearray | memoryview] = [
        LONG[i : i + 700] + str(i * i).encode() * 9 for i in range(0, 15000, 60)
    ]
    return zstandard.train_dictionary(2048, samples).as_bytes()


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"dictionary": "off"},
    "auto": {},
    "dictionary": {"dictionary": trained()},
    "parts": {"frame_size": 4096, "dictionary": "off"},
    "dictionary parts": {"frame_size": 4096, "dictionary": trained()},
    "raw": {"preset": "raw"},
    "raw parts": {"preset": "raw", "frame_size": 4096},
    "some raw": {"raw": ["*.map", "*.c"], "frame_size": 4096},
    "max": {"preset": "max"},
}


@pytest.fixture(scope="module", params=OPTIONS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    data = bundle(CONTENTS, LISTED, release="1", debug_id=UUID)
    return request.param, pack(tmp_path_factory.mktemp("packs"), data, **OPTIONS[request.param])


def lines_of(content: bytes) -> list[bytes]:
    return [line for line in io.BytesIO(content)]  # noqa: C416


class TestReads:
    def test_opens_and_verifies(self, made: Made) -> None:
        name, data = made
        reader = SpecReader(data)
        reader.verify()
        assert bool(reader.tail.dictionary_id) == ("dictionary" in name) or name in (
            "auto",
            "some raw",
            "max",
        )
        assert reader.tail.frame_size == OPTIONS[name].get("frame_size", reader.tail.frame_size)
        assert reader.attributes()["attributes"] == {"debug_id": UUID, "release": "1"}

    def test_names(self, made: Made) -> None:
        assert SpecReader(made[1]).names() == sorted({*CONTENTS, *LISTED}, key=str.encode)

    def test_entries(self, made: Made) -> None:
        name, data = made
        reader = SpecReader(data)
        for entry in reader.entries():
            listed = LISTED.get(entry["name"])
            assert entry.get("unlisted", False) == (listed is None)
            for key in ("path", "url", "headers"):
                assert entry.get(key) == (listed or {}).get(key)
            assert entry.get("type") == (TYPES[listed["type"]] if listed and "type" in listed else None)
            if entry["name"] in CONTENTS:
                content = CONTENTS[entry["name"]]
                assert entry["size"] == len(content)
                assert entry["sha256"] == hashlib.sha256(content).digest()
                assert entry["lines"] == len(lines_of(content))
                assert entry.get("binary", False) == (entry["name"] == "files/binary")
                if name in ("raw", "raw parts") or (
                    name == "some raw" and entry["name"] in ("files/m.map", "files/crlf.c")
                ):
                    assert entry.get("raw", False) == (content != b"")

    def test_contents(self, made: Made) -> None:
        reader = SpecReader(made[1])
        for name, content in CONTENTS.items():
            assert reader.read(reader.find(0, name)) == content

    def test_a_member_that_is_not_there_is_an_error_and_no_miss(self, made: Made) -> None:
        reader = SpecReader(made[1])
        entry = reader.find(0, "files/gone.js")
        assert entry["reason"]
        with pytest.raises(Refused, match="damaged"):
            reader.read(entry)

    def test_lines(self, made: Made) -> None:
        reader = SpecReader(made[1])
        for name, content in CONTENTS.items():
            entry, lines = reader.find(0, name), lines_of(content)
            for n in sorted(
                {1, 2, 3, 150, 151, 152, len(lines) - 1, len(lines)} & set(range(1, len(lines) + 1))
            ):
                assert reader.lines(entry, n) == lines[n - 1]
            for n in (0, len(lines) + 1):
                with pytest.raises(IndexError):
                    reader.lines(entry, n)

    def test_a_line_needs_only_its_parts(self, made: Made) -> None:
        _, data = made
        reader = SpecReader(data)
        entry = reader.find(0, "files/b.js")
        frames = entry["frames"]
        first, last = frames[:4], frames[-4:]
        if first is not last and len(frames) > 4:
            broken = bytearray(data)
            broken[first[0] + first[1] // 2] ^= 1
            reader = SpecReader(bytes(broken))
            assert reader.lines(entry, 400) == lines_of(LONG)[-1]
            with pytest.raises(Refused):
                reader.lines(entry, 1)

    def test_lookups(self, made: Made) -> None:
        reader = SpecReader(made[1])
        for kind, key, name in WINNERS:
            assert reader.find(kind, key)["name"] == name
        for kind, key in MISSES:
            assert reader.find(kind, key) is None
        with pytest.raises(ValueError, match="not in the index"):
            reader.find(4, "a")


class TestMany:
    def test_blocks_and_buckets(self, tmp_path: Path) -> None:
        contents = {f"files/{i:04}.js": f"line {i % 150}\n".encode() for i in range(300)}
        files = {name: {"type": "source", "url": f"~/{name[6:]}"} for name in contents}
        reader = SpecReader(pack(tmp_path, bundle(contents, files)))
        reader.verify()
        assert reader.names() == list(contents)
        assert (reader.tail.entry_count, reader.tail.content_count) == (300, 150)
        for name, content in contents.items():
            assert reader.read(reader.find(2, f"~/{name[6:]}")) == content
        assert all(reader.find(2, f"~/{i:05}.js") is None for i in range(300))

    @pytest.mark.parametrize("contents", [{}, {"files/a": b""}])
    def test_no_contents(self, tmp_path: Path, contents: dict[str, bytes]) -> None:
        reader = SpecReader(pack(tmp_path, bundle(contents, {})))
        reader.verify()
        assert reader.names() == list(contents)
        assert reader.sections[1] == (24, 24)


@pytest.fixture(scope="module", params=["some raw", "dictionary parts"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    contents = {"files/a.js": LONG[:9000], "files/b.c": b"int main;\n" * 500}
    files = {"files/a.js": LISTED["files/a.js"], "files/b.c": {"type": "source", "path": "b.c"}}
    return pack(tmp_path_factory.mktemp("small"), bundle(contents, files), **OPTIONS[request.param])


def answers(data: bytes) -> Iterator[Any]:
    """What a reader gives, or that it refuses; asked one by one."""
    try:
        reader = SpecReader(data)
    except Refused:
        return
    questions: list[Callable[[], Any]] = [
        reader.names,
        reader.attributes,
        *(
            lambda k=k, key=key: reader.find(k, key)
            for k, key in [(0, "files/a.js"), (1, "b.c"), (2, "~/no")]
        ),
        *(lambda n=n: reader.read(reader.find(0, n)) for n in ("files/a.js", "files/b.c")),
        *(lambda n=n: reader.lines(reader.find(0, "files/a.js"), n) for n in (1, 90, 150)),
    ]
    for question in questions:
        try:
            yield question()
        except Refused:
            yield Refused


class TestDamage:
    def test_a_flipped_byte_is_refused_or_does_not_matter(self, small: bytes) -> None:
        right = list(answers(small))
        assert Refused not in right
        for at in {*range(0, len(small), 7), *range(len(small) - 330, len(small))}:
            broken = bytearray(small)
            broken[at] ^= 1 << at % 8
            for answer, expected in zip(answers(bytes(broken)), right, strict=False):
                assert answer in (Refused, expected), at
            with pytest.raises(Refused):
                SpecReader(bytes(broken)).verify()

    def test_a_cut_file_is_refused(self, small: bytes) -> None:
        for end in range(0, len(small), 11):
            with pytest.raises(Refused):
                SpecReader(small[:end])
        with pytest.raises(Refused):
            SpecReader(small + b"\0")

    def test_a_part_in_the_wrong_place_is_refused(self, small: bytes) -> None:
        reader = SpecReader(small)
        entry = reader.find(0, "files/a.js")
        frames = entry["frames"]
        with pytest.raises(Refused):
            reader.read({**entry, "frames": [*frames[4:7], 0, *frames[:3], frames[7], *frames[8:]]})


def sealed(body: bytes, tail: Any, **fields: Any) -> bytes:
    """The pack with right sums and other values in the tail."""
    tail = tail._replace(file_length=len(body) + 320, sha256=hashlib.sha256(body).digest(), **fields)
    raw = spec_reader.TAIL.pack(*tail)
    return bytes(body + raw[:304] + xxhash.xxh64_intdigest(raw[:304]).to_bytes(8, "little") + raw[312:])


def remade(data: bytes, edit: Edit, *, attributes: bool = False) -> bytes:
    """The pack with another map as its first entry or attributes; lengths and sums are right again."""
    reader = SpecReader(data)
    (m, m_end), index = reader.sections[2], reader.sections[4][0]

    def block(items: list[bytes], first: int) -> bytes:
        at = [sum(map(len, items[:i])) for i in range(len(items) + 1)]
        plain = reader.tail.seed + struct.pack(f"<{len(at) + 2}I", first, len(items), *at) + b"".join(items)
        return zstandard.ZstdCompressor(write_checksum=True).compress(plain)

    def edited(item: bytes) -> bytes:
        value = msgpack.unpackb(item)
        raw = edit(value)
        return msgpack.packb(value) if raw is None else raw

    items, own = reader._entry_block(0), [reader._attributes_item()]
    if attributes:
        own = [edited(own[0])]
    else:
        items[0] = edited(items[0])
    first, second = block(own, 0xFFFFFFFF), block(items, 0)
    manifest = struct.pack("<II", 0x184D2A5B, len(first + second)) + first + second
    place = struct.pack("<QI", m + 8 + len(first), len(second))
    body = data[:m] + manifest + data[m_end : index + 8] + place + data[index + 20 : -320]
    moved, shift = [], len(manifest) - (m_end - m)
    for number, reserved, offset, length in struct.iter_unpack("<IIQQ", reader.tail.sections):
        moved += [number, reserved, offset + shift * (number > 2), length + shift * (number == 2)]
    return sealed(
        body, reader.tail, sections=struct.pack("<" + 6 * "IIQQ", *moved), attributes_length=len(first)
    )


def also(**values: Any) -> Edit:
    return lambda entry: entry.update(values)


class TestReadsOver:
    @pytest.mark.parametrize("attributes", [False, True])
    def test_what_may_be_read_over(self, small: bytes, attributes: bool) -> None:
        for edit in (lambda _: None, also(later=1), also(later={"a": [None, 1.5]})):
            reader = SpecReader(remade(small, edit, attributes=attributes))
            assert reader.attributes()["has_files"] is True
            assert reader.read(reader.find(0, "files/a.js")) == LONG[:9000]


class TestRefuses:
    @pytest.mark.parametrize("element", range(3))
    @pytest.mark.parametrize("field", range(4))
    def test_a_section_table(self, small: bytes, element: int, field: int) -> None:
        tail = SpecReader(small).tail
        table = [list(row) for row in struct.iter_unpack("<IIQQ", tail.sections)]
        for value in (table[element][field] + 1, 0 if table[element][field] else 7, (1 << 32) - 1):
            other = [row[:] for row in table]
            other[element][field] = value
            with pytest.raises(Refused):
                SpecReader(
                    sealed(
                        small[:-320], tail, sections=struct.pack("<" + 6 * "IIQQ", *itertools.chain(*other))
                    )
                )
