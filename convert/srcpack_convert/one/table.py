"""A lookup table as it is built and stored: what is known of it where symbolic is not installed."""

from typing import NamedTuple

__all__ = ["NoTable", "Table"]


class NoTable(Exception):
    """There is no table for a map; the message says why."""


class Table(NamedTuple):
    """A table as it is stored: the frames of head and blocks, the length of the head's, number of rows."""

    data: bytes
    head: int
    rows: int
