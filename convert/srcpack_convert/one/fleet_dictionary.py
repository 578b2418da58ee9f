"""One dictionary for many bundles: the same bytes in each of their packs, so that a process loads it once.

What a dictionary of a pack's own costs is paid by the first read from each pack.
"""

from hashlib import sha256

from srcpack import Pack, SrcpackError
from srcpack_convert.one.dictionary import SAMPLE, SAMPLES_PER_BYTE, SHORTEST_SAMPLE, given_dictionary, train

__all__ = ["FLEET_DICTIONARY", "FleetSamples"]

FLEET_DICTIONARY = 16 << 10
"""Bytes of a dictionary for many bundles, if not told otherwise.

With more, packs of 100 KB get larger, as each holds it (`benchmarks/results/dictionaries.md`).
"""

_FROM_EACH = 128 << 10
"""Most bytes of samples from one bundle, so that many have their share."""


class FleetSamples:
    """Samples of many bundles, of which as many are kept as a dictionary of `size` bytes is trained on.

    Which these are, the order of the bundles does not change: those whose SHA-256 is least.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._most = size * SAMPLES_PER_BYTE
        self._samples: dict[bytes, bytes] = {}
        self.taken: int = 0

    def add(self, bundle: Pack) -> None:
        """Take samples of a bundle, or of the pack of one; what is damaged is passed over."""
        taken = 0
        # In hash order they are spread over all folders and types.
        for entry in sorted(bundle.entries(), key=lambda entry: sha256(entry.name.encode()).digest()):
            if taken >= _FROM_EACH:
                break
            if entry.damage is not None or entry.size < SHORTEST_SAMPLE:
                continue
            try:
                sample = entry.read_range(0, SAMPLE)
            except SrcpackError:
                continue
            taken += len(sample)
            digest = sha256(sample).digest()
            if digest not in self._samples:
                self._samples[digest] = sample
                self.taken += len(sample)
        if self.taken > 2 * self._most:
            self._keep_least()

    def train(self) -> bytes | None:
        """Return the dictionary; None where libzstd finds the samples too few, or too much alike."""
        self._keep_least()
        dictionary = train(list(self._samples.values()), self._size)
        return None if dictionary is None else given_dictionary(dictionary.as_bytes()).as_bytes()

    def _keep_least(self) -> None:
        kept: dict[bytes, bytes] = {}
        taken = 0
        for digest in sorted(self._samples):
            if taken >= self._most:
                break
            kept[digest] = self._samples[digest]
            taken += len(kept[digest])
        self._samples, self.taken = kept, taken
