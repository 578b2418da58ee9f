"""Keeps account of the calls of a function."""

from typing import Any

import pytest

__all__ = ["calls_of"]


def calls_of(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """Return a list of the arguments of each call from here on; of a method, `self` is not among them."""
    calls: list[tuple[Any, ...]] = []
    function = getattr(owner, name)
    first = 1 if isinstance(owner, type) else 0

    def noting(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[first:])
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, noting)
    return calls
