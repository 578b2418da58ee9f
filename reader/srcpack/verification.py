"""Verification of a pack's bytes against SPEC.md, for users; `format/verify.py` does it.

How good a bundle is, whatever it is stored in, `resolve/check.py` tells.
"""

from srcpack.errors import SrcpackError
from srcpack.opening import packfile_of
from srcpack.pack import Pack

__all__ = ["verify"]


def verify(pack: Pack) -> list[SrcpackError]:
    """Check every byte, every checksum and every rule of a pack, and return what is wrong with it.

    The list is empty if the pack is whole: nothing is raised for what is wrong. A pack that is read by URL is
    first copied to a temporary file.

    Raises:
        OSError: It cannot be read, or not be copied.
        TypeError: It is not an open `.srcpack`, but a path of one, say, or a SourceBundle zip.
    """
    from srcpack.format.verify import find_problems  # noqa: PLC0415  most processes verify nothing

    return list(find_problems(packfile_of(pack)))
