"""The dictionary: trained on the bundle itself, and used only where it pays (SPEC.md, "Dictionary")."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256

import zstandard

from srcpack.bundle.members import SourceBundle
from srcpack.errors import DamagedMember, LimitExceeded
from srcpack.format.head_tail import MAX_DICTIONARY

__all__ = [
    "BYTES_PER_BYTE",
    "SAMPLE",
    "SAMPLES_PER_BYTE",
    "SHORTEST_SAMPLE",
    "SMALLEST_DICTIONARY",
    "choose_dictionary",
    "given_dictionary",
    "pack_dictionary",
    "train",
]

_MAGIC = b"\x37\xa4\x30\xec"

SMALLEST_DICTIONARY = 4 << 10
"""Bytes; where a bundle has no samples for this much, a dictionary cannot pay."""

SAMPLE = 16 << 10
"""Bytes of a file, its first, that are a sample."""

SAMPLES_PER_BYTE = 20
"""Bytes of samples for each byte of a dictionary."""

SHORTEST_SAMPLE = 8
"""Bytes; libzstd takes no shorter ones."""

BYTES_PER_BYTE = 12
"""Bytes of content for each byte of a dictionary, at least.

With fewer, small packs get smaller by little, and the first read from each has much more to load.
"""

_TRIAL = 512 << 10
_TRIAL_LEVEL = 3


def train(samples: Sequence[bytes], size: int) -> zstandard.ZstdCompressionDict | None:
    """Return a dictionary of at most `size` bytes; None where libzstd finds the samples too few.

    The parameters are those of fastCover that gave the ratio of the default trainer in a fraction of
    its time. Same samples, same dictionary.
    """
    try:
        return zstandard.train_dictionary(size, list(samples), k=512, d=8, f=18, accel=10)
    except zstandard.ZstdError:
        return None


def given_dictionary(data: bytes) -> zstandard.ZstdCompressionDict:
    """Return a dictionary that the caller gave.

    Raises ValueError if a pack may not have it: it may be a trained one of at most 1 MiB whose id is not 0.
    """
    if not 8 <= len(data) <= MAX_DICTIONARY:
        raise ValueError(f"a dictionary has 8 to {MAX_DICTIONARY} bytes, this one has {len(data)}")
    if not data.startswith(_MAGIC):
        raise ValueError("no trained dictionary: it does not begin with zstd's magic for one")
    dictionary = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
    if not dictionary.dict_id():
        raise ValueError("a dictionary must have an id that is not 0")
    return dictionary


@lru_cache(maxsize=1)  # the one that was chosen is packed again when it is written
def pack_dictionary(dictionary: zstandard.ZstdCompressionDict) -> bytes:
    """Return the zstd frame that the dictionary section holds."""
    return zstandard.ZstdCompressor(level=15, write_checksum=True).compress(dictionary.as_bytes())


def choose_dictionary(
    bundle: SourceBundle, names: Sequence[str], sizes: Sequence[int], *, level: int, frame_size: int
) -> zstandard.ZstdCompressionDict | None:
    """Return the dictionary that makes the pack smallest, its own bytes counted; None where none does.

    `names` are the members that will be compressed, `sizes` those in bytes to try.
    """
    total = sum(bundle.members[name].size for name in names)
    sizes = sorted({min(size, total // BYTES_PER_BYTE) for size in sizes})
    if not sizes or sizes[-1] < SMALLEST_DICTIONARY:
        return None
    # In hash order, a sample of any length is spread over all folders and types, and is the same each time.
    order = sorted(names, key=lambda name: sha256(name.encode()).digest())
    heads = _Samples(bundle, order, sizes[-1] * SAMPLES_PER_BYTE)
    trial = _trial_parts(bundle, [*order[heads.used :], *order[: heads.used]], frame_size)
    trial_size = sum(map(len, trial))
    # The gain differs little between levels; a high level is asked only where it must choose between sizes.
    trial_level = level if len(sizes) > 1 else min(level, _TRIAL_LEVEL)
    plain = _compressed_size(trial, trial_level, None)
    best, best_gain = None, 0.0
    for size in sizes:
        dictionary = train(heads.up_to(size * SAMPLES_PER_BYTE), size)
        if dictionary is None or not trial_size:
            continue
        gain = (plain - _compressed_size(trial, trial_level, dictionary)) * total / trial_size
        gain -= len(pack_dictionary(dictionary))
        if gain > best_gain:
            best, best_gain = dictionary, gain
    return best


class _Samples:
    """First bytes of files, up to a size in all."""

    def __init__(self, bundle: SourceBundle, order: Sequence[str], size: int) -> None:
        self._samples: list[bytes] = []
        self.used = 0
        taken = 0
        for name in order:
            if taken >= size:
                break
            self.used += 1
            try:
                head = bundle.read_head(name, SAMPLE)
            except DamagedMember:
                continue
            if len(head) >= SHORTEST_SAMPLE:
                self._samples.append(head)
                taken += len(head)

    def up_to(self, size: int) -> list[bytes]:
        chosen, taken = [], 0
        for sample in self._samples:
            if taken >= size:
                break
            chosen.append(sample)
            taken += len(sample)
        return chosen


def _trial_parts(bundle: SourceBundle, order: Sequence[str], frame_size: int) -> list[bytes]:
    def parts() -> Iterator[bytes]:
        for name in order:
            try:
                content = bundle.read_head(name, min(_TRIAL, frame_size))
            except (DamagedMember, LimitExceeded):
                continue
            yield content

    chosen, taken = [], 0
    for part in parts():
        chosen.append(part)
        taken += len(part)
        if taken >= _TRIAL:
            break
    return chosen


def _compressed_size(
    parts: Sequence[bytes], level: int, dictionary: zstandard.ZstdCompressionDict | None
) -> int:
    compressor = zstandard.ZstdCompressor(level=level, dict_data=dictionary, write_checksum=True)
    return sum(len(compressor.compress(part)) for part in parts)
