"""What is at a pack's place already, and whether a conversion may replace it."""

import errno
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from srcpack.errors import SrcpackError
from srcpack.format.head_tail import PACK_HEAD, is_pack
from srcpack.opening import open_pack, packfile_of
from srcpack.pack import Pack
from srcpack.source.locations import is_url, without_secrets
from srcpack_convert.one.report import DamageReport
from srcpack_convert.storage import first_bytes

__all__ = ["PackFacts", "check_replaced", "facts_at", "has_content"]


class PackFacts(NamedTuple):
    """What a pack says of itself, and of the zip that it was made from.

    `options` are what decided its bytes, besides the zip and libzstd; `is_refused` says that symbolic refuses
    the zip, so that only a lenient conversion gives this pack.
    """

    source_sha256: bytes
    source_size: int
    options: Mapping[str, Any]
    size: int
    sha256: bytes
    files: int
    damaged: tuple[DamageReport, ...]
    is_refused: bool


def facts_at(place: str) -> PackFacts | None:
    """Return what the pack at a path or URL says of itself; FileExistsError if something else is there.

    None if nothing is there, or an empty file, or a pack that is damaged: head and tail are checked.
    """
    try:
        with open_pack(place, source="pread") as pack:
            return _facts_of(pack)
    except FileNotFoundError:
        return None
    except SrcpackError:
        if is_pack(first_bytes(place, PACK_HEAD)) or (os.path.isfile(place) and not has_content(place)):
            return None
        reason = "what is there is no pack"
        raise FileExistsError(errno.EEXIST, reason, without_secrets(place)) from None


def check_replaced(facts: PackFacts | None, source_sha256: bytes, file: str) -> None:
    """Refuse to replace the pack of another bundle than the one of these bytes.

    Raises:
        FileExistsError: It is another bundle's.
    """
    if facts is not None and facts.source_sha256 != source_sha256:
        raise FileExistsError(errno.EEXIST, "what is there is a pack of another bundle", file)


def has_content(place: str) -> bool:
    """Return whether something may be lost at a path or URL; programs make empty files to have a name."""
    return is_url(place) or (os.path.isfile(place) and os.path.getsize(place) > 0)


def _facts_of(pack: Pack) -> PackFacts | None:
    described = pack.bundle
    sha256, size = described.source.get("sha256"), described.source.get("size")
    options = described.created_by.get("options")
    if not (isinstance(sha256, bytes) and isinstance(size, int) and isinstance(options, Mapping)):
        return None
    tail = packfile_of(pack).tail
    damaged: tuple[DamageReport, ...] = ()
    if tail.damaged_count:
        told = ((entry.name, entry.damage) for entry in pack.entries())
        damaged = tuple(DamageReport(member=name, reason=why) for name, why in told if why is not None)
    return PackFacts(
        sha256,
        size,
        options,
        tail.file_length,
        tail.sha256,
        tail.entry_count,
        damaged,
        is_refused="refused" in described.created_by,
    )
