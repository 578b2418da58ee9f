"""SHA-256 of a byte source, a piece at a time."""

from hashlib import sha256

from .byte_source import ByteSource

__all__ = ["sha256_of"]

_PIECE = 1 << 20


def sha256_of(source: ByteSource, end: int | None = None) -> bytes:
    """Return the SHA-256 of the bytes up to offset `end`, or of all."""
    end = source.size if end is None else end
    digest = sha256()
    for at in range(0, end, _PIECE):
        digest.update(source.read(at, min(_PIECE, end - at)))
    return digest.digest()
