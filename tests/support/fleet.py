"""A catalog of packs, and what its updates do; packs of which none fails."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from srcpack import Catalog
from srcpack_convert.inputs.packs import find_packs
from srcpack_convert.stats.catalog import CatalogReport, PackFacts, read_facts, update_catalog

__all__ = ["Fleet", "no_failure"]


def no_failure(error: Exception) -> None:
    """Take the failure of a pack where there should be none."""
    raise error


class Fleet:
    """A catalog, and what its last update opened and complained of."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "catalog.db"
        self.read: list[str] = []
        self.failures: list[str] = []

    def update(self, *inputs: object, reading: Callable[[str], object] = str) -> CatalogReport:
        """Update it, and tell of each pack before it is read."""
        self.read.clear()
        self.failures.clear()

        def read(place: str) -> PackFacts:
            self.read.append(place)
            reading(place)
            return read_facts(place)

        report = update_catalog(
            self.path,
            find_packs(map(str, inputs)),
            failed=lambda error: self.failures.append(str(error)),
            read=read,
        )
        assert report.read <= len(self.read)
        with Catalog(self.path) as catalog:
            assert report.packs == len(catalog)
        return report

    def names(self, url: str) -> list[str]:
        with Catalog(self.path) as catalog:
            return [os.path.basename(pack.place) for pack in catalog.by_url(url)]

    def count(self, table: str) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            ((count,),) = connection.execute(f"SELECT count(*) FROM {table}")
        return int(count)
