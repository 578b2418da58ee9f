"""Source links: which URL a path without content in the bundle leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.errors import LimitExceeded
from srcpack.rules.source_links import SourceLink, SourceLinks


@pytest.mark.parametrize(
    ("mapping", "path", "url"),
    [
        ({"/src/*": "https://host/*"}, "/src/a/b.c", "https://host/a/b.c"),
        ({"/src/*": "https://host/*"}, "/SRC/A/b.C", "https://host/A/b.C"),
        ({"D:\\Src\\*": "https://host/*"}, "d:\\src\\a\\B.cs", "https://host/a/B.cs"),
        ({"/src/*": "https://host/*?path=*"}, "/src/a.c", "https://host/a.c?path=a.c"),
        ({"/src/*": "https://host/fixed"}, "/src/a.c", "https://host/fixed"),
        ({"/src/*": "https://host/*"}, "/src/", "https://host/"),
        ({"/src/*": "https://host/*"}, "/src", None),
        ({"/src/*": "https://host/*"}, "/other/src/a.c", None),
        ({"*": "https://host/*"}, "", "https://host/"),
        ({"*": "https://host/*"}, "*", "https://host/*"),
        ({"/src/**": "https://host/*"}, "/src/*a", "https://host/a"),
        ({"/src/**": "https://host/*"}, "/src/a", None),
        ({"/a*b": "https://host/*"}, "/A*B", "https://host/*"),
        ({"/a*b": "https://host/*"}, "/axb", None),
        ({"": "https://host/"}, "", "https://host/"),
        ({}, "/src/a.c", None),
    ],
)
def test_a_pattern_with_or_without_a_star_at_its_end(
    mapping: dict[str, str], path: str, url: str | None
) -> None:
    assert SourceLinks(mapping).resolve(path) == url


def test_a_whole_path_comes_first_then_the_longest_prefix() -> None:
    links = SourceLinks(
        {"*": "any/*", "/src/*": "src/*", "/src/lib/*": "lib/*", "/src/lib/a.c": "exact", "/SRC/LI*": "li/*"}
    )
    found = [
        links.resolve(path) for path in ("/src/lib/A.c", "/src/lib/b.c", "/src/list.c", "/src/x.c", "x.c")
    ]
    assert found == ["exact", "lib/b.c", "li/st.c", "src/x.c", "any/x.c"]


def test_of_patterns_that_differ_in_case_only_the_last_counts() -> None:
    assert SourceLinks({"/a/*": "1/*", "/A/*": "2/*"}).resolve("/a/x") == "2/x"
    assert SourceLinks({"/A/B": "1", "/a/b": "2"}).resolve("/a/b") == "2"


def test_the_prefix_is_cut_off_by_the_bytes_of_its_lower_case() -> None:
    # Two bytes in upper case, three in lower: upstream cuts a byte too many, here the slash.
    assert SourceLinks({"/İ*": "h/*"}).resolve("/İ/abc") == "h/abc"
    # Three bytes and two: what would be left begins inside a character.
    assert SourceLinks({"/ẞ*": "h/*"}).resolve("/ẞ/abc") == "h/"
    assert SourceLinks({"/ẞẞ*": "h/*"}).resolve("/ẞẞabc") == "h/"
    assert SourceLinks({"/İ*": "h/*"}).resolve("/İ") == "h/"
    assert SourceLinks({"/É/*": "h/*"}).resolve("/é/ö\\x") == "h/ö/x"


def test_a_link_is_a_value() -> None:
    assert SourceLink("https://host/a") == SourceLink("https://host/a")
    with pytest.raises(AttributeError):
        SourceLink("https://host/a").url = "other"  # type: ignore[misc]


PATHS = st.text(st.sampled_from("aAbB/\\*İéÉ"), max_size=6)


@given(st.dictionaries(PATHS, PATHS, max_size=6), PATHS)
def test_links_resolve_as_by_trying_every_pattern_in_turn(mapping: dict[str, str], path: str) -> None:
    """The model is the rule read aloud: patterns sorted, tried one after another."""
    patterns = {}
    for pattern, url in mapping.items():
        is_prefix = pattern.endswith("*")
        lowered = (pattern[:-1] if is_prefix else pattern).lower()
        patterns[is_prefix, -len(lowered.encode()) if is_prefix else 0, lowered] = url
    expected = None
    for (is_prefix, _, lowered), url in sorted(patterns.items()):
        if not is_prefix and path.lower() == lowered:
            expected = url
            break
        if is_prefix and path.lower().startswith(lowered):
            rest = path.encode()[len(lowered.encode()) :]
            try:
                expected = url.replace("*", rest.decode().replace("\\", "/"))
            except UnicodeDecodeError:
                expected = url.replace("*", "")
            break
    assert SourceLinks(mapping).resolve(path) == expected


def test_a_url_is_not_blown_up_by_its_stars() -> None:
    """A few kilobytes of manifest must not give gigabytes of URL."""
    links = SourceLinks({"*": "*" * 10_000}, file="a.srcpack")
    assert links.resolve("x" * 100) == "x" * 1_000_000
    message = r"^a\.srcpack: URL of a source link is 2,010,000, over the limit of 1,048,576$"
    with pytest.raises(LimitExceeded, match=message):
        links.resolve("x" * 200)
