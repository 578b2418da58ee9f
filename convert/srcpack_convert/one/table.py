"""A lookup table as it is built and stored: what is known of it where symbolic is not installed."""

from typing import NamedTuple

__all__ = ["NoTable", "Table"]


class NoTable(Exception):
    """There is no table for a map; the message says why."""


class Table(NamedTuple):
    """A table as it is stored.

    Attributes:
        data: The frames of head and blocks.
        head: Length of the head's frame.
        rows: How many rows it has.
    """

    data: bytes
    head: int
    rows: int
