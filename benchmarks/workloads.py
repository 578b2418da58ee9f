"""Bundles to measure on: real ones where they lie beside the checkout, else generated ones like them.

A generated bundle is the same whenever its seed, scale and zlib are. It has the real one's number of files
and its distribution of sizes, and text of roughly the same redundancy; figures measured on it are no
claim about the real one.
"""

import json
import random
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import UUID

from .harness import ROOT

__all__ = [
    "SHAPES",
    "Bundle",
    "File",
    "Shape",
    "find_bundle",
    "generate_bundle",
    "javascript",
    "numbered",
    "write_bundle",
]

_SHARED = ROOT.parent / "shared" / "corpus"
_REAL = {
    "js-many": "real/js-many.zip",
    "js-web": "real/js-web.zip",
    "jvm-junit4": "real/jvm-junit4.zip",
    "native-lua": "real/native-lua.zip",
    "native-zstd": "real/native-zstd.zip",
    "many-files": "odd/zip64-70000-files.zip",
}

Language: TypeAlias = Literal["javascript", "java", "c", "tiny"]

_PROBABILITIES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a generated bundle is like.

    Attributes:
        language: Of its files; a `javascript` bundle has a source map beside every second file.
        files: How many.
        sizes: The 0, 10, 25, 50, 75, 90, 95, 99 and 100 % quantiles of their sizes, in bytes.
        seed: Of the generator.
    """

    language: Language
    files: int
    sizes: tuple[int, ...]
    seed: int

    def size_at(self, probability: float) -> int:
        """Return the size below which that share of the files is, between two quantiles by proportion."""
        at = min(bisect_right(_PROBABILITIES, probability), len(_PROBABILITIES) - 1)
        low, high = _PROBABILITIES[at - 1], _PROBABILITIES[at]
        smaller, larger = self.sizes[at - 1], self.sizes[at]
        share = (probability - low) / (high - low)
        return round(smaller * float((larger / smaller) ** share))


SHAPES: Mapping[str, Shape] = {
    "js-many": Shape("javascript", 6562, (87, 431, 588, 1091, 2058, 5137, 8805, 20344, 549075), 1),
    "js-web": Shape("javascript", 238, (100, 1157, 3010, 12240, 53002, 193357, 441701, 1790852, 8382962), 2),
    "jvm-junit4": Shape("java", 471, (54, 297, 633, 1616, 3929, 7250, 10792, 19574, 40581), 3),
    "native-lua": Shape("c", 84, (143, 1116, 2168, 7865, 15818, 32775, 44967, 56543, 57340), 4),
    "native-zstd": Shape("c", 131, (143, 1347, 3797, 8778, 28561, 81215, 127634, 182559, 307630), 5),
    "many-files": Shape("tiny", 70_000, (8,) * 9, 6),
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A SourceBundle to measure on.

    Attributes:
        name: Of the workload.
        path: Of the zip.
        origin: `real` or `generated`.
    """

    name: str
    path: Path
    origin: str


def find_bundle(name: str, folder: Path, *, scale: float = 1.0, generated: bool = False) -> Bundle:
    """Return a workload's bundle: the real one where there is one, else one generated into `folder`.

    Args:
        name: A key of `SHAPES`.
        folder: Where generated bundles go; one that is there already is taken.
        scale: Share of the files, and of the sizes of the largest, that a generated one has.
        generated: Take a generated one in any case.
    """
    real = _SHARED / _REAL[name]
    if real.is_file() and not generated:
        return Bundle(name, real, "real")
    path = folder / f"{name}.zip"
    if not path.exists():
        generate_bundle(SHAPES[name], path, scale=scale)
    return Bundle(name, path, "generated")


def generate_bundle(shape: Shape, path: Path, *, scale: float = 1.0) -> None:
    """Write a bundle of a shape."""
    count = max(8, round(shape.files * scale))
    largest = round(shape.sizes[-1] * scale) if scale < 1 else shape.sizes[-1]
    generator = _GENERATORS[shape.language](random.Random(shape.seed))
    sizes = [
        max(8, min(shape.size_at((number + 0.5) / count), max(largest, shape.sizes[3])))
        for number in range(count)
    ]
    random.Random(shape.seed).shuffle(sizes)
    write_bundle(path, generator.files(sizes))


def javascript(seed: int, sizes: Sequence[int]) -> "list[File]":
    """Return generated modules and their source maps, of such sizes."""
    return list(_JavaScript(random.Random(seed)).files(sizes))


def numbered(count: int) -> "Iterator[File]":
    """Yield tiny files with URLs in folders of a hundred, to see what their number alone costs."""
    for number in range(count):
        name = f"static/d{number // 100}/f{number}.js"
        yield File(
            f"files/_/_/{name}",
            f"var f{number}={number * 7919};".encode(),
            {"type": "minified_source", "url": f"~/{name}"},
        )


def write_bundle(path: Path, files: "Sequence[File] | Iterator[File]") -> None:
    """Write a SourceBundle as sentry-cli does: the header, deflated members, the manifest last."""
    manifest: dict[str, Any] = {"files": {}, "release": "1.0.0"}
    with path.open("wb") as out:
        out.write(b"SYSB\x02\0\0\0")
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            for file in files:
                _add(target, file.member, file.content)
                manifest["files"][file.member] = file.info
            _add(target, "manifest.json", json.dumps(manifest).encode())


@dataclass(frozen=True, slots=True)
class File:
    """A file of a bundle: member name, content, what the manifest says."""

    member: str
    content: bytes
    info: Mapping[str, Any]


def _add(target: zipfile.ZipFile, member: str, content: bytes) -> None:
    info = zipfile.ZipInfo(member)  # dated 1980, not now
    info.compress_type = zipfile.ZIP_DEFLATED
    target.writestr(info, content)


# ---- generators of text


class _Phrases:
    """Text put together from lines, some of them frequent and most rare, as words are in a language."""

    def __init__(self, rng: random.Random, lines: Sequence[str], *, fresh: Sequence[str] = ()) -> None:
        self._rng = rng
        self._lines = lines
        self._fresh = fresh
        self._weights = list(accumulate(1 / (rank + 20) for rank in range(len(lines))))
        self._mean = sum(map(len, lines)) / len(lines)

    def text(self, size: int) -> str:
        """Return at least `size` characters of lines; one line in six has a name that is in no other."""
        taken = self._rng.choices(self._lines, cum_weights=self._weights, k=int(size / self._mean) + 4)
        for at in range(0, len(taken) if self._fresh else 0, 6):
            taken[at] = self._rng.choice(self._fresh).format(f"{self._rng.getrandbits(44):x}")
        text = "".join(taken)
        return text if len(text) >= size else text + self.text(size - len(text))


class _Generator:
    """Makes the files of a bundle."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        syllables = [
            "ac",
            "con",
            "de",
            "er",
            "for",
            "get",
            "in",
            "list",
            "me",
            "node",
            "on",
            "pro",
            "re",
            "set",
        ]
        self._words = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(3000)]

    def files(self, sizes: Sequence[int]) -> Iterator[File]:
        """Yield files of such sizes."""
        raise NotImplementedError

    def _lines(self, templates: Sequence[str], count: int) -> list[str]:
        def line() -> str:
            template = self._rng.choice(templates)
            return template.format(*self._rng.choices(self._words, k=4), n=self._rng.randrange(1000))

        return [line() for _ in range(count)]


class _JavaScript(_Generator):
    def files(self, sizes: Sequence[int]) -> Iterator[File]:
        code = _Phrases(
            self._rng,
            self._lines(
                [
                    "var {0}=require('{1}/{2}');",
                    "function {0}({1},{2}){{return {1}.{3}({2})}}",
                    "exports.{0}=void 0;",
                    "if(!{0}.{1}&&{2}>{n}){{throw new Error('{3}')}}",
                    "const {0}={{{1}:{n},{2}:'{3}'}};\n",
                    "{0}.{1}=function(){{return this.{2}+{n}}};",
                ],
                4000,
            ),
            fresh=["var {0}=null;", "this['{0}']=1;"],
        )
        segment = [
            "".join(self._rng.choices("ACEGIKMOQSUWYacegikmoq", k=self._rng.choice((4, 4, 4, 5))))
            for _ in range(4000)
        ]
        mappings = _Phrases(self._rng, [text + self._rng.choice(",,,,;") for text in segment])
        for number in range(0, len(sizes), 2):
            name = f"{self._rng.choice(self._words)}/{self._rng.choice(self._words)}{number}.js"
            source = code.text(sizes[number])[: sizes[number]]
            debug_id = str(UUID(int=self._rng.getrandbits(128)))
            yield File(
                f"files/_/_/node_modules/{name}",
                source.encode(),
                {
                    "type": "minified_source",
                    "url": f"~/node_modules/{name}",
                    "headers": {"debug-id": debug_id, "sourcemap": f"{name.rpartition('/')[2]}.map"},
                },
            )
            if number + 1 < len(sizes):
                yield File(
                    f"files/_/_/node_modules/{name}.map",
                    self._map(name, source, sizes[number + 1], mappings),
                    {
                        "type": "source_map",
                        "url": f"~/node_modules/{name}.map",
                        "headers": {"debug-id": debug_id},
                    },
                )

    @staticmethod
    def _map(name: str, source: str, size: int, mappings: _Phrases) -> bytes:
        known = {"version": 3, "file": name, "sources": [f"../src/{name}"], "names": []}
        head = json.dumps({**known, "sourcesContent": [source[: size // 2]]})[:-1] + ',"mappings":"'
        return (head + mappings.text(max(0, size - len(head) - 2)))[
            : max(size - 2, len(head))
        ].encode() + b'"}'


class _Java(_Generator):
    _TEMPLATES = (
        "import org.{0}.{1}.{2};\n",
        "    private final {0} {1} = new {0}({n});\n",
        "    /** Returns the {0} of the {1}, or {2}. */\n",
        "    public {0} get{1}({2} {3}) {{\n        return {3}.{1}();\n    }}\n\n",
        '        if ({0} == null) {{\n            throw new IllegalStateException("{1} {2}");\n        }}\n',
        "        assertEquals({n}, {0}.{1}({2}));\n",
    )

    def files(self, sizes: Sequence[int]) -> Iterator[File]:
        phrases = _Phrases(self._rng, self._lines(self._TEMPLATES, 2500), fresh=["    int i{0};\n"])
        for number, size in enumerate(sizes):
            name = f"org/{self._rng.choice(self._words)}/{self._rng.choice(self._words)}{number}.jvm"
            content = phrases.text(size)[:size].encode()
            yield File(f"files/_/_/{name}", content, {"type": "source", "url": f"~/{name}"})


class _C(_Generator):
    _TEMPLATES = (
        '#include "{0}.h"\n',
        "static int {0}_{1} ({0} *L, int {2}) {{\n",
        "  lua_{0}(L, {n}, &{1}->{2});\n",
        "  if ({0}->{1} != NULL && {2} < {n})\n    return {3};\n",
        "/*\n** {0} {1} of the {2}, and {3}\n*/\n",
        "#define {0}_{1}\t{n}\n",
        "  for ({0} = 0; {0} < {1}->{2}; {0}++)\n    {3}({0});\n}}\n\n",
    )

    def files(self, sizes: Sequence[int]) -> Iterator[File]:
        phrases = _Phrases(self._rng, self._lines(self._TEMPLATES, 5000), fresh=["  int v{0};\n"])
        for number, size in enumerate(sizes):
            path = f"/build/{self._rng.choice(self._words)}/{self._rng.choice(self._words)}{number}.c"
            content = phrases.text(size)[:size].encode()
            yield File(f"files{path}", content, {"type": "source", "path": path})


class _Tiny(_Generator):
    def files(self, sizes: Sequence[int]) -> Iterator[File]:
        for number in range(len(sizes)):
            path = f"/src/d{number % 100:02}/f{number}.c"
            yield File(f"files{path}", f"int f{number};".encode(), {"type": "source", "path": path})


_GENERATORS: Mapping[str, type[_Generator]] = {
    "javascript": _JavaScript,
    "java": _Java,
    "c": _C,
    "tiny": _Tiny,
}
