"""What all tests share: a server, bundles of the corpus converted once, the same examples of hypothesis."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from srcpack_convert import ConversionReport, convert
from support.places import CORPUS
from support.s3_server import S3Server, s3_server

# The same examples each time, however slow the machine is.
settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """moto's server, with what other tests left in its bucket."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, ConversionReport]]:
    """Return a function that converts a bundle of the corpus, `real/js-many.zip` say, once for all tests."""

    @cache
    def convert_one(name: str) -> tuple[Path, ConversionReport]:
        if not (CORPUS / name).is_file():
            pytest.skip("no ../shared/corpus beside the checkout")
        path = tmp_path_factory.mktemp("converted") / "a.srcpack"
        return path, convert(CORPUS / name, path, jobs=2)

    return convert_one
