"""Packs of the fixtures on a web server, opened by URL."""

import srcpack
from srcpack import Pack
from srcpack.format.head_tail import DICTIONARY
from srcpack.opening import packfile_of
from support.places import PACKS
from support.range_server import RangeServer

MANY = (PACKS / "many.srcpack").read_bytes()
LINES = (PACKS / "lines.srcpack").read_bytes()
BEHIND_MANIFEST = len(MANY) - packfile_of(srcpack.open(MANY)).tail.sections[DICTIONARY].offset
"""Bytes that follow the manifest of MANY."""


def many(server: RangeServer) -> Pack:
    """Open MANY, and forget the requests for it."""
    return _opened(server, "many")


def lines(server: RangeServer) -> Pack:
    """Open LINES, and forget the requests for it."""
    return _opened(server, "lines")


def _opened(server: RangeServer, name: str) -> Pack:
    pack = srcpack.open(f"{server.url}/{name}.srcpack")
    server.answers.clear()
    return pack
