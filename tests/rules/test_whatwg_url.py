"""Which texts parse as a URL, as browsers parse them; node's `new URL` gave each answer here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.whatwg_url import parses_as_url

URLS = [
    "https://bakery.example/oven.js", "HTTPS://BAKERY.EXAMPLE", "http:bakery.example",
    "http:\\\\bakery.example\\a", "\x00 http://bakery.example \x1f", "ht\ntps://bak\tery.example",
    "http://user:pass@bakery.example:8080/a", "http://bakery.example:/a", "http://bakery.example:00080/a",
    "http://%62akery.example", "http://bäckerei.example", "http://xn--bckerei-5wa.example",
    "http://b_a*k!e'r(y).example", "http://127.1", "http://0x7f.0.0.1", "http://0x", "http://0377.1",
    "http://4294967295", "http://[::1]:80/", "http://[1:2:3:4:5:6:7:8]", "http://[::ffff:1.2.3.4]",
    "http://bakery.example/ a<b>", "app:///oven.js", "app:oven.js", "app://", "app://a%zz/",
    "app://bäckerei", "node:fs", "C:\\oven.js", "a+b-c.d:x", "file:oven.js", "file:///oven.js",
    "file://C:/oven.js", "file://server/oven.js", "mailto:a b",
]  # fmt: skip
NO_URLS = [
    "", " ", "oven.js", "/oven.js", "//bakery.example/oven.js", "~/oven.js", "<anonymous>", "1app:oven",
    "äpp:oven", "http:", "http://", "http://?a", "http://#a", "http://:80", "http://user@/a", "http://a b/",
    "http://a<b", "http://a%zz", "http://a%20b", "http://a%00b", "http://%ff", "http://\ud800",
    "http://\u00ad", "http://xn--", "http://xn--a", "http://xn--abc", "http://bakery.example:65536",
    "http://bakery.example:8a", "http://bakery.example:80:80", "http://256.0.0.1", "http://1.2.3.4.5",
    "http://1.2.3.256", "http://1..2", "http://09", "http://bakery.0x1", "http://4294967296",
    "http://99999999999999999999", "http://[::1", "http://::1]", "http://[::1]a", "http://[::1%25eth0]",
    "http://[::01.2.3.4]", "http://[:1]", "app://a b/", "app://a:b/", "app://@/", "app://:1/",
    "app://[::1/", "file://a b/", "file://server:80/",
]  # fmt: skip


def test_a_label_of_a_host_is_bounded() -> None:
    """To decode Punycode, or to sort accents, takes the square of its length."""
    for size, parses in ((1900, True), (2001, False)):
        label = "\xe4" + "a" * size
        assert parses_as_url(f"http://{label}.example") is parses
        assert parses_as_url(f"http://xn--{label.encode('punycode').decode()}.example") is parses
    assert parses_as_url(f"http://{'a' * 2001}.example")


@pytest.mark.parametrize(
    ("text", "is_url"), [*((url, True) for url in URLS), *((text, False) for text in NO_URLS)]
)
def test_texts_are_urls_or_not(text: str, is_url: bool) -> None:
    assert parses_as_url(text) == is_url


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    for prefix in ("", "http://", "app://", "file://", "http://xn--", "http://0x"):
        assert parses_as_url(prefix + text) in (True, False)


@pytest.mark.parametrize("unit", ["a.", "1.", "[", "0", "0x", "@", ":", "%41", "ü", "xn--a.", "\t"])
def test_long_hosts_are_no_work(unit: str) -> None:
    parses_as_url("http://" + unit * 100_000)
