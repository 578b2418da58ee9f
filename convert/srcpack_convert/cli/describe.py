"""What the command line tells of packs and entries, as JSON and as lines."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from srcpack import Entry, Pack
from srcpack.format.head_tail import CONTENT, DICTIONARY, HEAD_SIZE, INDEX, LOOKUPS, MANIFEST, parse_head
from srcpack.opening import packfile_of
from srcpack.rules.lookup_keys import Kind
from srcpack_convert.cli.terminal import escaped, size_text

_SECTIONS = {
    CONTENT: "content",
    MANIFEST: "manifest",
    DICTIONARY: "dictionary",
    INDEX: "index",
    LOOKUPS: "lookups",
}


def counts(pack: Pack) -> dict[str, Any]:
    """Return the counts that the tail has."""
    tail = packfile_of(pack).tail
    return {"files": len(pack), "damaged": tail.damaged_count, "total_size": tail.total_size}


def facts_of_pack(pack: Pack) -> dict[str, Any]:
    """Return what the tail and the attributes block say, as values that JSON knows."""
    tail, bundle = packfile_of(pack).tail, pack.bundle
    major, minor = parse_head(pack.store.source.read(0, HEAD_SIZE), file=pack.file)
    source_size = bundle.source.get("size")
    dictionary = None
    if DICTIONARY in tail.sections:
        dictionary = {
            "id": tail.dictionary_id,
            "size": tail.dictionary_size,
            "stored_size": tail.sections[DICTIONARY].length,
            "sha256": tail.dictionary_sha256.hex(),
        }
    return {
        "pack": pack.file,
        "format": f"{major}.{minor}",
        "size": tail.file_length,
        "sha256": tail.sha256.hex(),
        "identity": bundle.identity.hex(),
        **counts(pack),
        "content_count": tail.content_count,
        "content_size": tail.content_size,
        "frame_size": tail.frame_size,
        "keys": tail.slot_count,
        "key_kinds": [kind.name.lower() for kind in Kind if tail.key_kinds >> kind & 1],
        "ratio": (
            round(tail.file_length / source_size, 4)
            if isinstance(source_size, int) and source_size > 0
            else None
        ),
        "dictionary": dictionary,
        "sections": {
            _SECTIONS.get(id_, str(id_)): {"offset": section.offset, "length": section.length}
            for id_, section in tail.sections.items()
        },
        "attributes": dict(bundle.attributes),
        "source_links": dict(pack.source_links),
        "source": _plain(bundle.source),
        "created_by": _plain(bundle.created_by),
    }


def fact_lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what `facts_of_pack` gave, as names and texts for people."""
    yield "pack", facts["pack"]
    yield "format", facts["format"]
    yield "size", _exact(facts["size"]) + ("" if facts["ratio"] is None else f", {facts['ratio']} of the zip")
    yield "SHA-256", facts["sha256"]
    yield "content identity", facts["identity"]
    yield "files", f"{facts['files']:,}, {_exact(facts['total_size'])}{damage_text(facts['damaged'])}"
    yield "contents", f"{facts['content_count']:,} distinct, {_exact(facts['content_size'])}"
    yield "frame size", _exact(facts["frame_size"])
    yield "keys", f"{facts['keys']:,}: {', '.join(facts['key_kinds'])}"
    dictionary = facts["dictionary"]
    if dictionary is None:
        yield "dictionary", "none"
    else:
        stored = f"{dictionary['stored_size']:,} in the pack"
        yield "dictionary", f"{_exact(dictionary['size'])}, {stored}, id {dictionary['id']}"
    for name, section in facts["sections"].items():
        yield f"section {name}", f"{section['length']:,} bytes at {section['offset']:,}"
    for name in ("source", "created_by"):
        for key, value in facts[name].items():
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{name.replace('_', ' ')} {key}", text
    yield "source links", f"{len(facts['source_links']):,}"
    for key, value in facts["attributes"].items():
        yield f"attribute {key}", value


def _exact(size: int) -> str:
    return f"{size:,} bytes" if size < 1000 else f"{size:,} bytes ({size_text(size)})"


def _plain(value: Any) -> Any:
    """Return a value out of msgpack as one that JSON knows; bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else repr(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int) else repr(value)


def entry_facts(entry: Entry) -> dict[str, Any]:
    """Return all that a pack says of an entry, as values that JSON knows."""
    return {
        "name": entry.name,
        "type": entry.type,
        "path": entry.path,
        "url": entry.url,
        "debug_id": _debug_id(entry),
        "source_mapping_url": entry.source_mapping_url,
        "headers": dict(entry.record.headers or {}),
        "extra": entry.record.extra,
        "listed": entry.record.listed,
        "size": entry.size,
        "stored_size": entry.stored_size,
        "frames": len(entry.record.frames),
        "lines": entry.lines,
        "sha256": None if entry.sha256 is None else entry.sha256.hex(),
        "raw": entry.raw,
        "utf8": entry.record.utf8,
        "lookup_size": 0 if entry.record.lookup is None else entry.record.lookup.length,
        "lookup_reason": entry.record.lookup_reason,
        "damage": entry.damage,
    }


def content_facts(entry: Entry) -> dict[str, Any]:
    """Return an entry with its content, as values that JSON knows."""
    content = entry.read()
    try:
        encoding, text = "utf-8", content.decode()
    except UnicodeDecodeError:
        encoding, text = "base64", base64.b64encode(content).decode()
    return {
        "name": entry.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "encoding": encoding,
        "content": text,
    }


LONG_HEADER = f"{'type':<18} {'size':>13} {'stored':>12} {'lines':>9} {'debug id':<36}  name  URL or path"
"""What stands above the lines of `ls --long`."""


def long_line(entry: Entry) -> str:
    """Return the line of `ls --long` for an entry."""
    line = (
        f"{entry.type:<18} {entry.size:>13,} {entry.stored_size:>12,} {entry.lines:>9,} "
        f"{_debug_id(entry) or '-':<36}  {entry.name}"
    )
    if (place := entry.url or entry.path) is not None:
        line += f"  {place}"
    if not entry.record.listed:
        line += "  (not in the manifest)"
    if (lookup := entry.record.lookup) is not None:
        line += f"  (lookup table: {lookup.length:,})"
    if (reason := entry.record.lookup_reason) is not None:
        line += f"  (no lookup table: {reason})"
    return escaped(line + damage_mark(entry))


def _debug_id(entry: Entry) -> str | None:
    return None if entry.debug_id is None else str(entry.debug_id)


def damage_mark(entry: Entry) -> str:
    """Return what stands behind the name of a damaged entry."""
    return "" if entry.damage is None else f"  (damaged: {entry.damage})"


def lookups_text(number: int) -> str:
    """Return what stands behind a number of files of which some have lookup tables."""
    return f", {number:,} with lookups" if number else ""


def damage_text(number: int) -> str:
    """Return what stands behind a number of files of which some are damaged."""
    return f", {number:,} damaged" if number else ""
