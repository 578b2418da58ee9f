"""Small packs of each kind, to be damaged, and the bundles that they are made from."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import zstandard

from srcpack import Pack
from srcpack.format.packfile import PackFile
from srcpack.source.local import BytesSource
from srcpack_convert import convert
from support.bundle_builder import build_bundle
from support.source_maps import packed_map, source_map
from support.tables import tables_built_here

SAMPLES = ("dictionary", "plain", "raw", "frames", "lookups")
SMALL = 4096
"""The smallest frame size that the converter takes, so that a small file has several frames."""

DEBUG_IDS = [f"{number:08x}-2222-4333-8444-5555{number:08x}" for number in range(1, 60)]
_TEXTS = [f"let v{digit} = {digit * 6};\n" * 5 for digit in "123456"]
"""Of equal length; their frames have equal lengths too."""

_SOURCE_IN_ENTRY = "const here = 2;\n" * 70


def open_bytes(data: bytes) -> Pack:
    """Open a pack in memory, whatever it is."""
    return Pack(PackFile(BytesSource(data), file="pack"))


def _bundle(fillers: int, large: Mapping[str, bytes], release: str) -> bytes:
    """Build a bundle that has every kind of member and of key, `large` ones, and `fillers` more."""
    texts = [text.encode() for text in _TEXTS]
    script: dict[str, object] = {
        "type": "minified_source",
        "url": "~/app.min.js",
        "headers": {"Debug-Id": DEBUG_IDS[0], "sourcemap": "app.min.js.map"},
    }
    listed: dict[str, dict[str, object]] = {
        "files/_/app.min.js": script,
        "files/_/app.min.js.map": {
            "type": "source_map",
            "url": "~/app.min.js.map",
            "headers": {"debug-id": DEBUG_IDS[0]},
        },
        "files/src/b.c": {"type": "source", "path": "C:\\src\\b.c", "url": "", "odd": [1, {"two": None}]},
        "files/empty.js": {"type": "source", "url": "~/empty.js"},
        "files/latin.txt": {"type": None, "path": "/src/latin.txt"},
        "files/lost.js": {"type": "source", "path": "/src/lost.js", "url": "~/lost.js"},
        "files/no-type.js": {"url": "~/no-type.js", "headers": {}},
    }
    # Two members with the same path, URL and debug id: the greater name has the keys.
    for name in ("files/b/twice.js", "files/a/twice.js"):
        headers = {"debug-id": DEBUG_IDS[1], "x-sourcemap": f"{name}.map"}
        listed[name] = {"type": "source", "path": "/src/twice.js", "url": "~/twice.js", "headers": headers}
    files = {
        "files/_/app.min.js": b"(()=>{" + b"throw new Error(1);" * 5 + b"})()\n//# sourceMappingURL=no\n",
        "files/_/app.min.js.map": b'{"version":3,"sources":["a.js","a.js","a.js"],"mappings":"AAAA,AAAA"}',
        "files/src/b.c": b"int main(void)\r\n{\r\n    return 0;\r\n    return 0;\r\n}",
        "files/a/twice.js": texts[0],
        "files/b/twice.js": texts[1],
        "files/empty.js": b"",
        "files/latin.txt": "é à la carte, à la carte, à la carte, à la carte\n".encode("latin-1"),
        "files/no-type.js": texts[2] + f"//# debugId={DEBUG_IDS[3]}\n".encode(),
        "notes/unlisted.txt": texts[3],
    }
    for name, content in large.items():
        files[name] = content
        listed[name] = {"type": "source", "url": f"~/{name}", "path": f"/{name}"}
    for number in range(fillers):
        name = f"lib/{number:02}.js"
        files[name] = texts[number % len(texts)]
        listed[name] = {"type": "source", **({"url": f"~/{number}.js"} if number % 4 == 0 else {})}
    links = {"/linked/*": "https://example.com/*", "/linked/one.c": "https://example.com/1"}
    return build_bundle(files, {"release": release, "files": listed, "source_links": links})


def bundle_of(pack: str, *, release: str | None = None) -> bytes:
    """Return the bundle that a sample pack is made from, or that of another release."""
    fillers, large = {"dictionary": 8, "plain": 60, "lookups": 1}.get(pack, 4), {}
    if pack == "raw":
        large = {"raw/parts.bin": _noise(SMALL + 100), "raw/one.bin": _noise(90)}
    elif pack == "frames":
        line = b"%d: the same words on each line\n"
        large = {"frames/long.txt": b"".join(line % number for number in range(300))}
    elif pack == "lookups":
        large = {
            "m/m.js": b"x()\n//# sourceMappingURL=m.js.map\n",
            "m/m.js.map": _map_of_blocks(),
            "m/in.ts": _SOURCE_IN_ENTRY.encode(),
        }
    return _bundle(fillers, large, _noise(24).hex() if release is None else release)


def _map_of_blocks() -> bytes:
    """Return a map whose table has blocks of its own: two of rows and of strings."""
    names = [f"{'name' * 8}{number}" for number in range(64)]
    segments = [
        (number // 100, 9 * (number % 100), number % 2, number // 9, 2, number // 9 % 64)
        for number in range(600)
    ]
    texts = ["const embedded = 1;\n" * 70, _SOURCE_IN_ENTRY]
    return packed_map(source_map(segments, ["m.ts", "in.ts"], names, sourcesContent=texts))


def other_bundle(pack: str) -> bytes:
    """Return the bundle of another release, with the same members, that has just as many bytes."""
    whole = bundle_of(pack)
    return next(other for other in _releases(pack) if len(other) == len(whole))


def _releases(pack: str) -> Iterator[bytes]:
    for number in count():
        yield bundle_of(pack, release=hashlib.sha256(b"%d" % number).hexdigest()[:48])


@cache
def sample_packs() -> Mapping[str, bytes]:
    """Return a small pack of each kind.

    `dictionary` has one; `plain` has none, but three blocks of entries; `raw` has raw contents of one and
    of two parts; `frames` has a file of several frames; `lookups` has a lookup table in its head, and one of
    several blocks.
    """
    return {pack: _sample(pack) for pack in SAMPLES}


@cache
def other_pack(pack: str) -> bytes:
    """Return a pack of the same bundle at another level: other frames, another seed."""
    return _sample(pack, level=1)


@cache
def twin_pack(pack: str) -> bytes:
    """Return a pack of another bundle, with the same members, that has just as many bytes."""
    digits = _noise(200)[::-1].hex()
    releases = (digits[at : at + size] for at in range(0, 100, 9) for size in range(20, 80))
    twins = (_sample(pack, release=release) for release in releases)
    return next(twin for twin in twins if len(twin) == len(sample_packs()[pack]))


def _sample(pack: str, *, level: int = 12, release: str | None = None) -> bytes:
    options: dict[str, Any] = {"level": level, "frame_size": SMALL, "dictionary": "off"}
    if pack == "dictionary":
        options["dictionary"] = _dictionary()
    elif pack == "raw":
        options["raw"] = ["raw/*", "files/src/*", "files/latin*"]
    elif pack == "lookups":
        options["lookups"] = True
    return _converted(bundle_of(pack, release=release), **options)


@cache
def _dictionary() -> bytes:
    samples: list[bytes | bytearray | memoryview] = [
        f"{text}// {number}\n".encode() for number in range(60) for text in _TEXTS
    ]
    return zstandard.train_dictionary(600, samples).as_bytes()


@cache
def large_bundle() -> bytes:
    """Return a bundle of hundreds of files, of which the largest has a megabyte."""
    words = [hashlib.sha256(bytes([number])).hexdigest()[: 3 + number % 7] for number in range(200)]

    def text(seed: int, lines: int) -> bytes:
        picked = [words[byte % 200] for byte in hashlib.shake_256(b"%d" % seed).digest(6 * lines)]
        return "".join(" ".join(picked[at : at + 6]) + ";\n" for at in range(0, len(picked), 6)).encode()

    files = {f"files/{number:03}.js": text(number, 3 + number % 90) for number in range(400)}
    files["files/large.js"] = text(1000, 30_000)
    files["files/noise.bin"] = _noise(200_000)
    return build_bundle(files, {"files": {name: {"type": "source", "url": f"~/{name}"} for name in files}})


@cache
def large_pack() -> bytes:
    """Return the pack of the large bundle."""
    return _converted(large_bundle(), level=3, frame_size=64 << 10)


@cache
def equal_blocks_pack() -> bytes:
    """Return a pack whose two blocks of entries have the same length in the file."""
    files = {f"files/{number:02}.js": _TEXTS[0].encode() for number in range(36)}
    listed = {name: {"type": "source", "url": f"~/{name}"} for name in files}
    size = 0
    for attempt in count():
        listed["files/34.js"]["odd"] = _noise(4000).hex()[attempt : attempt + size]
        data = _converted(build_bundle(files, {"files": listed}), level=1, dictionary="off")
        places = PackFile(BytesSource(data), file="equal blocks").directory
        difference = places.block_place(0).length - places.block_place(1).length
        if not difference:
            return data
        size += difference
    raise AssertionError


def _noise(size: int) -> bytes:
    """Return bytes that zstd cannot shrink."""
    return hashlib.shake_256(b"noise").digest(size)


def _converted(bundle: bytes, **options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder, tables_built_here():
        path = Path(folder, "sample.srcpack")
        convert(bundle, path, **options)
        return path.read_bytes()
