"""The hash of a key, by which the index finds it (SPEC.md, "Keys")."""

from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from srcpack.rules.lookup_keys import Kind

__all__ = ["KeyHash", "digest_key", "hash_key"]

_HASH = Struct("<II")


_KIND_BYTES = tuple(bytes([kind]) for kind in Kind)


class KeyHash(NamedTuple):
    """The first 8 bytes of a key's SHA-256, as two little-endian numbers."""

    fingerprint: int
    spread: int

    @classmethod
    def of(cls, digest: bytes) -> "KeyHash":
        """Return the hash of a key with that SHA-256."""
        return cls._make(_HASH.unpack_from(digest))

    def bucket(self, bucket_count: int) -> int:
        """Return the number, below `bucket_count`, of the bucket that the key is in."""
        return self.spread * bucket_count >> 32


def hash_key(seed: bytes, kind: Kind, key: str) -> KeyHash:
    """Return the hash of a normalised key in a pack with that index seed."""
    return KeyHash.of(digest_key(seed, kind, key))


def digest_key(seed: bytes, kind: Kind, key: str) -> bytes:
    """Return the SHA-256 that a key's hash begins."""
    return sha256(seed + _KIND_BYTES[kind] + key.encode(errors="surrogatepass")).digest()
