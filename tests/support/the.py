"""What has to be there."""

from typing import TypeVar

__all__ = ["the"]

T = TypeVar("T")


def the(found: T | None) -> T:
    """Return what was found; a miss fails the test."""
    assert found is not None
    return found
