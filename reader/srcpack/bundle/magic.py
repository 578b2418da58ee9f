"""How a SourceBundle begins: with its header, or as a bare zip."""

__all__ = ["BUNDLE_MAGIC", "MAGIC_SIZE", "is_source_bundle"]

BUNDLE_MAGIC = b"SYSB"
MAGIC_SIZE = len(BUNDLE_MAGIC)
"""How many of its first bytes show whether a file may be a SourceBundle."""

_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


def is_source_bundle(head: bytes) -> bool:
    """Return whether a file that begins with these `MAGIC_SIZE` bytes is to be read as a SourceBundle."""
    return head == BUNDLE_MAGIC or head in _ZIP_MAGICS
