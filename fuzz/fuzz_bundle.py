"""A fuzz target: any bytes as a SourceBundle. One that opens converts, and its pack gives the same answers.

`python fuzz/run.py bundle` fuzzes it; `check` and `mutate` need no fuzzer.
"""

import json
import os
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import srcpack
from srcpack import DamagedMember, Entry, SrcpackError
from srcpack.bundle.members import Limits, SourceBundle
from srcpack.bundle.zip_store import ZipStore
from srcpack_convert import convert, export
from srcpack_convert.back.compare import compare
from support.bundle_builder import BUNDLE_HEADER, ZipMember, build_zip
from support.pack_lies import scribble

__all__ = ["LIMITS", "MAX_LENGTH", "check", "mutate", "seeds"]

MAX_LENGTH = 32 << 10
"""Most bytes of an input."""

LIMITS = Limits(
    max_file_size=2 << 20,
    max_total_size=4 << 20,
    max_manifest_size=1 << 20,
    max_total_ratio=50,
    max_files=500,
)
"""So that what an input can cost is little."""

_OPTIONS: tuple[dict[str, Any], ...] = (
    {"dictionary": "off"},
    {"dictionary": "off", "preset": "raw"},
    {"dictionary": "off", "frame_size": 4096, "raw": ["*.map"], "level": 1},
    {"dictionary": 300, "level": 3},
)
_TEXTS: tuple[str, ...] = ("", "a", "~/a.js", "\\a\\b", "../x", "\x1b[31m", "\u202e", "\ud800")
_TEXTS += ("manifest.json", "dir/", "é" * 99)
_ENDS = (
    b"\n//# sourceMappingURL=a?b#c \n",
    b"//# debugId=00000001-2222-4333-8444-555566667777",
    b"\xff\xfe",
)
_NUMBERS = (0, 1, 2, 30, 46, 255, 2**16 - 1, 2**31, 2**32 - 2, 2**32 - 1)
_EXTRAS = (
    b"\0",
    struct.pack("<2H3Q", 1, 24, 2**64 - 1, 10, 8),
    struct.pack("<2HQ", 1, 8, 2**63),
    struct.pack("<2HBL", 0x7075, 6, 1, 0) + b"x",
    struct.pack("<2H", 0x9901, 7) + b"\2\0AE\3\0\0",
    struct.pack("<2H", 1, 60_000),
)


def seeds() -> dict[str, bytes]:
    """Return the bundles to begin with, by name."""
    folder = Path(__file__).parent.parent / "fixtures" / "bundles"
    small = {path.stem: path.read_bytes() for path in folder.glob("*.zip")}
    return {name: data for name, data in small.items() if len(data) < 4 << 10}


def check(data: bytes) -> bool:
    """Open bytes as a bundle, convert it, and compare; raise what is wrong; return whether it opens.

    Raises:
        AssertionError: An answer is wrong.
        Exception: Any other than a `SrcpackError` that the library let through.
    """
    try:
        bundle = SourceBundle(data, limits=LIMITS)
    except SrcpackError as error:
        _check_error(error)
        return False
    for name in {*bundle.members, *bundle.manifest.files}:
        with suppress(DamagedMember):
            content = bundle.read(name)
            assert content.startswith(bundle.read_head(name, 10))
            assert len(content) <= LIMITS.max_file_size
    slow = srcpack.Pack(ZipStore(data, limits=LIMITS))
    # Nothing has to survive a crash here.
    with tempfile.TemporaryDirectory(dir=_folder()) as folder, mock.patch("os.fsync"):
        path = Path(folder, "a.srcpack")
        convert(data, path, limits=LIMITS, **_OPTIONS[len(data) % len(_OPTIONS)])
        assert os.listdir(folder) == ["a.srcpack"]
        pack = srcpack.open(path.read_bytes())
        assert srcpack.verify(pack) == []
        assert list(compare(pack, bundle)) == []
        _compare(pack, slow)
        back = Path(folder, "b.zip")
        export(path, back)
        with SourceBundle(back) as again:
            assert again.manifest == bundle.manifest
    return True


@cache
def _folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  a folder in it is made


def _check_error(error: SrcpackError) -> None:
    message = str(error)
    assert error.file == "<bytes>"
    assert message.startswith("<bytes>: ")
    assert "\n" not in message


def _compare(pack: Any, slow: Any) -> None:
    """Check that a pack and the zip behind the same interface give the same answers."""
    assert list(pack) == list(slow)
    for entry, other in islice(zip(pack.entries(), slow.entries(), strict=True), 50):
        answers = [
            [
                _answer(lambda about=about, each=each: about(each))  # type: ignore[misc]
                for about in _ABOUT_AN_ENTRY
            ]
            for each in (entry, other)
        ]
        assert answers[0] == answers[1], entry.name
        for key in filter(None, (entry.path, entry.url)):
            found = [each.by_path(key) for each in (pack, slow)], [each.by_url(key) for each in (pack, slow)]
            for one, two in found:
                assert getattr(one, "name", one) == getattr(two, "name", two)


_ABOUT_AN_ENTRY: tuple[Callable[[Entry], object], ...] = (
    lambda entry: (entry.name, entry.type, entry.path, entry.url, dict(entry.headers), entry.debug_id),
    lambda entry: (entry.source_mapping_url, entry.size, entry.lines, entry.sha256, entry.damage),
    lambda entry: entry.read(),  # of its own class
    lambda entry: entry.text(),
    lambda entry: entry.read_range(3, 50),
    lambda entry: entry.context(entry.lines, lines=2),
)


def _answer(question: Callable[[], object]) -> object:
    try:
        return question()
    except DamagedMember as error:
        return error.reason


# ---- mutation


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Return a bundle whose manifest, members or zip lie, or with bytes changed."""
    random = Random(seed)
    made = _lie(data, random)
    return made if len(made) <= max_size else scribble(data, random)[:max_size]


def _lie(data: bytes, random: Random) -> bytes:
    try:
        bundle = SourceBundle(data, limits=LIMITS)
    except SrcpackError:
        return scribble(data, random)
    if not random.randrange(12):
        return scribble(data, random)
    members = []
    for name in bundle.members:
        with suppress(DamagedMember):
            members.append(ZipMember(name=name, content=bundle.read(name), stored=not random.randrange(4)))
    manifest = _manifest_of(data, bundle)
    for _ in range(random.randint(1, 3)):
        match random.randrange(4):
            case 0:
                manifest = scribble(manifest, random)
            case 1:
                manifest = _spoilt_json(manifest, random)
            case 2 if members:
                at = random.randrange(len(members))
                members[at] = _spoilt_member(members[at], random)
            case _:
                members.append(ZipMember(name=random.choice(_TEXTS), content=random.randbytes(9)))
    random.shuffle(members)
    last = ZipMember(name="manifest.json", content=manifest, stored=not random.randrange(4))
    if not random.randrange(8):
        last = _spoilt_member(last, random)
    try:
        return build_zip(
            [*members, last],
            header=random.choice((BUNDLE_HEADER, BUNDLE_HEADER, b"SYSB", b"")),
            comment=random.choice((b"", b"", b"PK\5\6", random.randbytes(30))),
            zip64=not random.randrange(6),
            offsets_from_zip=not random.randrange(3),
            count=None if random.randrange(8) else random.choice(_NUMBERS[:6]),
        )
    except (struct.error, UnicodeEncodeError):
        return scribble(data, random)


def _manifest_of(data: bytes, bundle: SourceBundle) -> bytes:
    """Return the text of a manifest: as it was written where it was stored, else written anew."""
    at = data.rfind(b'{"files"')
    if at >= 0 and (end := data.find(b"PK\1\2", at)) >= 0:
        return data[at:end]
    files: dict[str, Any] = {}
    for name, info in bundle.manifest.files.items():
        fields = {"type": info.type, "path": info.path, "url": info.url}
        files[name] = {key: value for key, value in fields.items() if value is not None}
        if info.headers is not None:
            files[name]["headers"] = dict(info.headers)
    manifest: dict[str, Any] = {**bundle.manifest.attributes, "files": files}
    if bundle.manifest.source_links is not None:
        manifest["source_links"] = bundle.manifest.source_links
    return json.dumps(manifest).encode()


def _spoilt_json(manifest: bytes, random: Random) -> bytes:
    """Return a manifest with another value in one place."""
    try:
        value = json.loads(manifest)
    except (ValueError, RecursionError):
        return scribble(manifest, random)
    place = value
    while isinstance(place, dict) and place:
        key = random.choice([*place])
        if not isinstance(place[key], dict) or not random.randrange(3):
            if random.randrange(2):
                place[random.choice((key, *_TEXTS, "type", "url", "path", "headers", "files"))] = _json(
                    random, 3
                )
            else:
                del place[key]
            break
        place = place[key]
    return json.dumps(value, ensure_ascii=not random.randrange(2)).encode(errors="surrogatepass")


def _json(random: Random, depth: int) -> Any:
    match random.randrange(9):
        case 0:
            return None
        case 1:
            return random.choice((True, 0, -1, 1e300, 2**70))
        case 2:
            return random.choice(("source", "minified_source", "source_map", "indexed_ram_bundle"))
        case 3:
            return f"{random.choice((1, 7)):08x}-2222-4333-8444-555566667777"
        case 4 if depth:
            return [_json(random, depth - 1) for _ in range(random.randrange(4))]
        case 5 if depth:
            return {
                random.choice(("debug-id", "Sourcemap", *_TEXTS)): _json(random, depth - 1) for _ in range(2)
            }
        case _:
            return random.choice(_TEXTS)


def _spoilt_member(member: ZipMember, random: Random) -> ZipMember:
    """Return a member whose content or header is another."""
    fields: dict[str, Any] = {"name": member.name, "content": member.content, "stored": member.stored}
    match random.randrange(6):
        case 0:
            fields["content"] = scribble(member.content, random)
        case 1:
            fields["content"] += random.choice(_ENDS)
        case 2:
            fields[random.choice(("size", "compressed_size", "crc", "offset"))] = random.choice(_NUMBERS)
        case 3:
            fields["method"] = random.choice((0, 8, 9, 12, 93, 99))
        case 4:
            fields["flags"] = random.choice((1, 8, 1 << 11, 0xFFFF))
        case _:
            fields["extra"] = random.choice(_EXTRAS)
    return ZipMember(**fields)
