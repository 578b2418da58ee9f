"""What both sides of a comparison are asked, and answer alike: members, keys, events."""

import random
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

from srcpack import Context, Entry, FileType, FormatError, Pack, SrcpackError
from srcpack.rules.context import CONTEXT_LINES, get_context
from srcpack.rules.references_in_content import discover_source_map_reference
from srcpack.rules.source_maps import any_host
from srcpack.rules.urls import candidate_urls, source_map_url
from srcpack_convert.bench.zip_side import ZIP_ERRORS, Key, Zip

__all__ = ["Asked", "Event", "Progress", "look_up_by", "replay_pack", "replay_zip", "sampled"]

Progress: TypeAlias = Callable[[str], None]
"""Told what is being done, in a few words."""


_SAMPLE_BYTES = 32 << 20
_SAMPLE_EVENTS = 200


class Event(NamedTuple):
    """A frame that asks for its file: line from 1, column from 0, and the bytes of the file and its map."""

    url: str
    line: int
    column: int
    size: int


def replay_zip(zipped: Zip, event: Event) -> tuple[bytes, Context | None] | None:
    """Return the source map of an event's file, and the lines around the event's place, from a zip."""
    name = _first(zipped.by_key.get, event.url)
    if name is None:
        return None
    content = zipped.zip.read(name)
    headers = {header.lower(): value for header, value in (zipped.files[name].get("headers") or {}).items()}
    reference = headers.get("sourcemap", headers.get("x-sourcemap"))
    if reference is None:
        reference = discover_source_map_reference(content)
    map_name = _first(zipped.by_key.get, _map_url(event.url, reference))
    if map_name is None:
        return None
    return zipped.zip.read(map_name), get_context(content.decode(), event.line, event.column, CONTEXT_LINES)


def replay_pack(pack: Pack, event: Event) -> tuple[bytes, Context | None] | None:
    """Return the same from a pack."""
    script = _first(pack.by_url, event.url)
    if script is None:
        return None
    source_map = _first(pack.by_url, _map_url(event.url, script.source_mapping_url))
    if source_map is None:
        return None
    return source_map.read(), script.context(event.line, CONTEXT_LINES, event.column)


_Found = TypeVar("_Found")


def _first(look_up: Callable[[str], _Found | None], url: str | None) -> _Found | None:
    if url is not None:
        for candidate in candidate_urls(url):
            if (found := look_up(candidate)) is not None:
                return found
    return None


def _map_url(base: str, reference: str | None) -> str | None:
    """Return the URL that a reference means; None without one, and for a map that is in the reference."""
    if not reference or reference.startswith("data:"):
        return None
    url = source_map_url(base, reference)
    return url if isinstance(url, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of both sides, in random order.

    The keys are those that lead both sides to members whose bytes are alike, by whose names `sizes` are.
    `minified` counts the keys of minified files, `with_map` those whose map is in the bundle; for some of
    these there is an event. What is left out is counted, members by the reason.
    """

    sizes: Mapping[str, int]
    left_out: Mapping[str, int]
    keys: Sequence[str]
    keys_left_out: int
    minified: int
    with_map: int
    events: Sequence[Event]

    @classmethod
    def of(cls, pack: Pack, zipped: Zip, tell: Progress) -> "Asked":
        """Compare both sides, member by member and key by key; FormatError if they answer nothing alike."""
        sizes, left_out = _compared(pack, zipped.zip, tell)
        rng = random.Random(7)  # noqa: S311  to be the same each time
        keys, keys_left_out = _alike(pack, zipped, sizes)
        if not keys:
            reason = "no URL or path that leads zipfile and the pack to the same bytes: nothing to measure"
            raise FormatError(zipped.file, reason)
        rng.shuffle(keys)
        tell("looking for source maps")
        minified, events = _events(pack, keys, rng) if zipped.key == "url" else (0, [])
        return cls(
            sizes=sizes,
            left_out=left_out,
            keys=keys,
            keys_left_out=keys_left_out,
            minified=minified,
            with_map=len(events),
            events=[
                event
                for event in sampled(events[:_SAMPLE_EVENTS], lambda event: event.size)
                if _answered_alike(pack, zipped, event)
            ],
        )


_Item = TypeVar("_Item")


def sampled(items: Sequence[_Item], size: Callable[[_Item], int]) -> list[_Item]:
    """Return the first items, at least one, that together have no more than some bytes."""
    sample: list[_Item] = []
    total = 0
    for item in items:
        total += size(item)
        if sample and total > _SAMPLE_BYTES:
            break
        sample.append(item)
    return sample


def _compared(
    pack: Pack, zipped: zipfile.ZipFile, tell: Progress
) -> tuple[dict[str, int], Mapping[str, int]]:
    """Read every member of both; return the sizes of those that are alike, and count the others."""
    sizes: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    for number, entry in enumerate(pack.entries()):
        if number % 64 == 0:
            tell(f"comparing every member: {number:,} of {len(pack):,}")
        reason = _difference(entry, zipped)
        if reason is None:
            sizes[entry.name] = entry.size
        else:
            left_out[reason] += 1
    return sizes, dict(sorted(left_out.items()))


def _difference(entry: Entry, zipped: zipfile.ZipFile) -> str | None:
    if entry.damage is not None:
        return "damaged"
    try:
        # The size is compared first: what zipfile would inflate may be more than the limits let in.
        same = zipped.getinfo(entry.name).file_size == entry.size and zipped.read(entry.name) == entry.read()
    except ZIP_ERRORS:
        return "refused by zipfile"
    return None if same else "read otherwise by zipfile"


def _alike(pack: Pack, zipped: Zip, sizes: Mapping[str, int]) -> tuple[list[str], int]:
    look_up = look_up_by(pack, zipped.key)
    keys = []
    for key, name in sorted(zipped.by_key.items()):
        found = look_up(key)
        if name in sizes and isinstance(found, Entry) and found.name == name:
            keys.append(key)
    return keys, len(zipped.by_key) - len(keys)


def _events(pack: Pack, keys: Sequence[str], rng: random.Random) -> tuple[int, list[Event]]:
    """Return how many of the keys are minified files', and an event for each that has its map there."""
    minified = 0
    events = []
    for key in keys:
        script = pack.by_url(key)
        if script is None or script.type is not FileType.MINIFIED_SOURCE:
            continue
        minified += 1
        url = any_host(key)
        source_map = _first(pack.by_url, _map_url(url, script.source_mapping_url))
        if script.lines and source_map is not None:
            line, column = rng.randint(1, script.lines), rng.randrange(-(-script.size // script.lines))
            events.append(Event(url, line, column, script.size + source_map.size))
    return minified, events


def _answered_alike(pack: Pack, zipped: Zip, event: Event) -> bool:
    try:
        answer = replay_pack(pack, event)
        return answer is not None and answer == replay_zip(zipped, event)
    except (SrcpackError, *ZIP_ERRORS):
        return False


def look_up_by(pack: Pack, key: Key) -> Callable[[str], Entry | None]:
    """Return how a pack looks up keys of a kind."""
    return pack.by_url if key == "url" else pack.by_path
