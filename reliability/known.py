"""Bundles whose every byte is known without reading them: what the runs compare answers with.

A content is a line of its own and a slice of a text, or of noise, that each process makes for itself. So what
a pack has to answer is worked out where it is asked, and nothing is believed that a pack says.
"""

import json
import os
import uuid
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal, TypeAlias

import zstandard

from srcpack_convert import convert
from srcpack_convert.one.presets import PRESETS
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_zip

__all__ = ["Kind", "KnownBundle", "KnownFile", "text"]

Kind: TypeAlias = Literal["text", "noise", "empty", "damaged"]
"""`noise` is not UTF-8 and does not shrink; the CRC-32 of what is `damaged` is wrong."""

_BASE = 1 << 20
_LARGE = 400_000
"""More than a reader takes by `pread` before it maps the file."""

_WORDS = (
    "const", "let", "return", "function", "await", "export", "import", "cart", "item", "price", "total",
    "render", "state", "props", "event", "index", "length", "null", "this", "if", "else", "for", "of", "new",
    "=", "=>", "{", "}", "(", ")", ";", ",", ".", "+", "===",
)  # fmt: skip
_KINDS: tuple[Kind, ...] = ("text", "noise", "empty", "damaged")
_TYPES = ("source", "minified_source", "source_map")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """A file and where its content comes from.

    Attributes:
        name: Of the member.
        kind: What is in it.
        start: Where in the text or the noise its content begins.
        size: Bytes of content beside the first line.
        type: The manifest's type.
        debug_id: That of its header, or None.
    """

    name: str
    kind: Kind
    start: int
    size: int
    type: str
    debug_id: str | None

    @property
    def url(self) -> str:
        """Its URL, as the manifest has it."""
        return f"~/{self.name}"

    @property
    def path(self) -> str:
        """Its path, as the manifest has it."""
        return f"/build/{self.name}"

    def content(self) -> bytes:
        """Return its content."""
        if self.kind == "empty":
            return b""
        if self.kind == "noise":
            return b"\xff" + self.name.encode() + b"\n" + _noise()[self.start : self.start + self.size]
        return b"// " + self.name.encode() + b"\n" + text(self.start, self.size)


class KnownBundle:
    """A bundle made from its number and a seed.

    Attributes:
        number: Its number.
        files: Its files, by the order of their names.
    """

    def __init__(self, number: int, seed: int) -> None:
        random = Random(f"{seed} {number}")
        self.number = number
        self._options = _options(random)
        self.files = [self._file(random, at) for at in range(random.choice((1, 3, 8, 12, 24, 70)))]

    def _file(self, random: Random, at: int) -> KnownFile:
        kind: Kind = random.choices(_KINDS, (85, 10, 2, 3))[0]
        size = int(random.choice((200, 3_000, 20_000, 80_000)) * random.random())
        if random.random() < 0.005:
            size = _LARGE
        return KnownFile(
            name=f"static/{self.number}/{at:02}.js",
            kind=kind,
            start=random.randrange(_BASE - _LARGE),
            size=size,
            type=random.choice(_TYPES),
            debug_id=str(uuid.UUID(int=random.getrandbits(128), version=4))
            if random.random() < 0.5
            else None,
        )

    def zip(self) -> bytes:
        """Return the SourceBundle."""
        members = [
            ZipMember(name=file.name, content=file.content(), crc=0 if file.kind == "damaged" else None)
            for file in self.files
        ]
        manifest = ZipMember(name="manifest.json", content=json.dumps(self._manifest()).encode())
        return build_zip([*members, manifest], header=BUNDLE_HEADER)

    def convert(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write its pack; other `options` than its own give other bytes with the same answers."""
        convert(self.zip(), path, force=True, **{**self._options, **options})

    def _manifest(self) -> dict[str, Any]:
        return {
            "release": f"app@{self.number}",
            "files": {
                file.name: {
                    "type": file.type,
                    "url": file.url,
                    "path": file.path,
                    "headers": {"debug-id": file.debug_id} if file.debug_id else {},
                }
                for file in self.files
            },
        }


def _options(random: Random) -> dict[str, Any]:
    """Choose how to convert: so that there are packs of every kind."""
    return {
        "preset": random.choice(tuple(PRESETS)),
        "level": None,
        "dictionary": random.choice(("off", "off", "auto", _dictionary(random.randrange(20)))),
        "frame_size": random.choice((None, None, 4096, 16_384)),
        "raw": random.choice(((), (), ("*1.js",))),
    }


def text(start: int, size: int) -> bytes:
    """Return a piece of a text that looks like JavaScript, of at most 1 MiB from its start on."""
    return _text()[start : start + size]


@cache
def _text() -> bytes:
    random = Random("text")
    words = random.choices(_WORDS, k=_BASE // 3)
    joined = "".join(word + ("\n" if random.random() < 0.1 else " ") for word in words)
    return joined.encode()[:_BASE]


@cache
def _noise() -> bytes:
    return Random("noise").randbytes(_BASE)


@cache
def _dictionary(number: int) -> bytes:
    random = Random(number)
    samples: list[bytes | bytearray | memoryview] = [
        text(random.randrange(_BASE - 1500), 1500) for _ in range(80)
    ]
    return zstandard.train_dictionary(4096, samples, k=64, d=8).as_bytes()
