"""Which URL is told in place of one that was not found."""

import pytest

from srcpack.rules.near_misses import NearMiss, UrlsByName


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        (
            ["~/x/a.js", "~/b/a.js"],
            ["https://h/b/a.js", "~/b/c/a.js"],
            NearMiss("~/b/a.js", "another prefix"),
        ),
        (["~/a.js?v=1", "~/b/a.js"], ["~/a.js"], NearMiss("~/a.js?v=1", "another query")),
        (["~/%5Bid%5D.js"], ["~/[id].js"], NearMiss("~/%5Bid%5D.js", "percent-encoded otherwise")),
        (["~/App.js"], ["~/app.js"], NearMiss("~/App.js", "upper and lower case")),
        (["~/b.js"], ["~/a.js"], None),
        ([], ["~/a.js"], None),
        (["~/a.js"], [], None),
    ],
)
def test_the_url_that_differs_least_is_told(
    there: list[str], wanted: list[str], expected: NearMiss | None
) -> None:
    assert UrlsByName(there).nearest(wanted) == expected
