"""URLs of frames: which URLs are tried, and how references are joined to them."""

import base64
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.urls import (
    candidate_urls,
    file_stem,
    join_paths,
    jvm_source_url,
    source_map_url,
    strip_hostname,
)


@pytest.mark.parametrize(
    ("url", "candidates"),
    [
        ("http://host/a.js", ["http://host/a.js", "~/a.js"]),
        ("http://host/a.js#x?y", ["http://host/a.js", "~/a.js"]),
        ("http://host/a.js?x#y", ["http://host/a.js?x", "http://host/a.js", "~/a.js?x", "~/a.js"]),
        ("http://host/a.js?x?y", ["http://host/a.js?x?y", "http://host/a.js", "~/a.js?x?y", "~/a.js"]),
        ("http://host/a.js?", ["http://host/a.js?", "http://host/a.js", "~/a.js?", "~/a.js"]),
        ("http://host?x=/a.js", ["http://host?x=/a.js", "http://host", "~/a.js"]),
        ("~/a.js", ["~/a.js", "~/a.js"]),
        ("app:///a.js", ["app:///a.js", "~/a.js"]),
        ("webpack-internal:///./a.js", ["webpack-internal:///./a.js", "~/./a.js"]),
        ("/a.js", ["/a.js", "~/a.js"]),
        ("a.js?x", ["a.js?x", "a.js", "~a.js?x", "~a.js"]),
        ("http://host", ["http://host", "~host"]),
        ("HTTP://Host/A.js", ["HTTP://Host/A.js", "~/A.js"]),
        ("", ["", "~"]),
        ("#x", ["", "~"]),
    ],
)
def test_candidates_go_from_the_url_itself_to_the_path_alone(url: str, candidates: list[str]) -> None:
    assert candidate_urls(url) == candidates


@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("https://host:80/a/b.js?x", "/a/b.js?x"),
        ("https://host/", "/"),
        ("https://host", "host"),
        ("a://b://c/d", "//c/d"),
        ("~/a.js", "/a.js"),
        ("~a.js", "a.js"),
        ("~~/a.js", "~/a.js"),
        ("/a.js", "/a.js"),
        ("a/b.js", "a/b.js"),
        ("webpack:/a.js", "webpack:/a.js"),
        ("", ""),
    ],
)
def test_the_host_or_tilde_is_stripped(path: str, stripped: str) -> None:
    assert strip_hostname(path) == stripped


@pytest.mark.parametrize(
    ("base", "right", "joined"),
    [
        # References that stand for themselves.
        ("https://h/a/b.js", "http://other/x.map", "http://other/x.map"),
        ("https://h/a/b.js", "x://", "x://"),
        ("https://h/a/b.js", "webpack:./x.ts", "webpack:./x.ts"),
        ("https://h/a/b.js", "turbopack:[project]/x.ts", "turbopack:[project]/x.ts"),
        ("https://h/a/b.js", "turbopack/x.ts", "https://h/a/turbopack/x.ts"),
        ("https://h/a/b.js", "data:x", "https://h/a/data:x"),
        # From the root.
        ("https://h/a/b.js", "/x.map", "https://h/x.map"),
        ("https://h/a/b.js", "~/x/../y.map", "https://h/x/../y.map"),
        ("https://h/a/b.js", "//cdn/x.map", "https://cdn/x.map"),
        ("https://h/a/b.js", "~//cdn/x.map", "https://cdn/x.map"),
        ("/a/b.js", "//cdn/x.map", "//cdn/x.map"),
        ("a/b.js", "/x.map", "/x.map"),
        ("file:///a/b.js", "/x.map", "/x.map"),
        # Next to the file.
        ("https://h/a/b.js?q#f", "x.map", "https://h/a/x.map"),
        ("https://h/a/b.js?q=/c/d", "x.map", "https://h/a/b.js?q=/c/x.map"),
        ("https://h", "x.map", "https://h/x.map"),
        ("https://h/a/", "x.map", "https://h/a/x.map"),
        ("https://h/a/b.js", "~x.map", "https://h/a/x.map"),
        ("https://h/a/b.js", "", "https://h/a"),
        ("https://h/a//c//b.js", "x//y.map", "https://h/a/c/x/y.map"),
        ("/a/b.js", "x.map?q#f", "/a/x.map?q#f"),
        ("a/b.js", "x.map", "/a/x.map"),
        ("b.js", "x.map", "/x.map"),
        ("", "x.map", "/x.map"),
        ("file:///a/b.js", "x.map", "/a/x.map"),
        ("app:///a/b.js", "x.map", "app:///a/x.map"),
        # Dots: http drops all of them; other schemes keep what they cannot resolve.
        ("https://h/a/b.js", "../../../x.map", "https://h/x.map"),
        ("https://h/a/b.js", "./c/./../x.map", "https://h/a/x.map"),
        ("https://h/a/../c/b.js", "x.map", "https://h/a/../c/x.map"),
        ("app:///a/b.js", "../../x.map", "app:///../x.map"),
        ("app:///a/b.js", "././c/./x.map", "app:///a/c/./x.map"),
        ("app:///a/b.js", ".././x.map", "app:///x.map"),
        ("app:///a/b.js", "c/./x.map", "app:///a/c/./x.map"),
        ("/a/b.js", "../../x.map", "/../x.map"),
        # The one that was kept is a segment for the next to take away.
        ("/a/b.js", "../../../x.map", "/x.map"),
        ("/a/b.js", "../../../../x.map", "/../x.map"),
        ("/a/b.js", "./x/./y.map", "/a/x/./y.map"),
        ("HTTPS://h/a/b.js", "../../x.map", "HTTPS://h/../x.map"),
    ],
)
def test_a_reference_is_joined_to_a_file(base: str, right: str, joined: str) -> None:
    assert join_paths(base, right) == joined


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("https://h/a/b.min.js.map?x#y", "/a/b"),
        ("https://h/a/b.d.ts", "/a/b"),
        ("https://h/a/b.tsx", "/a/b"),
        ("~/b.mjs", "/b"),
        ("/a/b.js.txt", "/a/b.js.txt"),
        ("/a/b.JS", "/a/b.JS"),
        ("/a.js/b", "/a.js/b"),
        ("/a/.js", "/a/"),
        ("/a/b.js#x?y", "/a/b"),
        ("/a/", "/a/"),
        ("b.min.js?x", "b.min.js?x"),
        ("https://h", "h"),
        ("/a/b.js?x=/c.js", "/a/b.js?x=/c"),
    ],
)
def test_the_stem_is_what_a_file_and_its_map_have_in_common(path: str, stem: str) -> None:
    assert file_stem(path) == stem


def test_many_endings_are_cut_off_one_by_one() -> None:
    assert file_stem("/a" + ".min.js" * 100_000) == "/a"


@pytest.mark.parametrize(
    ("reference", "content"),
    [
        ("data:,a%20b", b"a b"),
        ("data:application/json,{}", b"{}"),
        ("data:,a?b%23c#d", b"a?b#c"),
        ("data:,100%", b"100%"),
        ("data:,%zz%%41%4", b"%zz%A%4"),
        ("data:,a\tb\r\nc%0Ad", b"abc\nd"),
        ("data:,%4\n1", b"%41"),
        ("data:,+a \x00\x1f ", b"+a"),
        ("data:,é%C3%A9", "éé".encode()),
        ("data:,", b""),
        ("data:x,y,z", b"y,z"),
        ("data:;base64,YWJj", b"abc"),
        ("data:application/json;charset=utf-8;base64,e30=", b"{}"),
        ("data:;BASE64,YQ==", b"a"),
        ("data: ;  base64 ,YQ", b"a"),
        ("data:;ba\nse64,YQ", b"a"),
        ("data:;base64,Y Q\n=\x0c=", b"a"),
        ("data:;base64,%59%51%3D%3d", b"a"),
        ("data:;base64,YR==", b"a"),
        ("data:;base64,YWI", b"ab"),
        ("data:;base64,YWI=#x", b"ab"),
        ("data:;base64,", b""),
        ("data:base64,YQ==", b"YQ=="),
        ("data:;base64;x,YQ==", b"YQ=="),
        ("data:;base64 x,YQ==", b"YQ=="),
    ],
)
def test_a_data_url_is_the_map_itself(reference: str, content: bytes) -> None:
    assert source_map_url("http://h/a.js", reference) == content


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("data:", "the data: URL has no comma"),
        ("data:;base64", "the data: URL has no comma"),
        ("data:#,x", "the data: URL has no comma"),
        ("data:,%ff", "the data: URL's content is not UTF-8: invalid start byte"),
        ("data:;base64,/w==", "the data: URL's content is not UTF-8: invalid start byte"),
        ("data:;base64,Y", "the data: URL's base64 is cut short or padded wrongly"),
        ("data:;base64,YQ=", "the data: URL's base64 is cut short or padded wrongly"),
        ("data:;base64,YWI==", "the data: URL's base64 is cut short or padded wrongly"),
        ("data:;base64,YWJj=", "the data: URL's base64 is cut short or padded wrongly"),
        ("data:;base64,====", "the data: URL's base64 is cut short or padded wrongly"),
        ("data:;base64,YQ==YQ==", "the data: URL's content is not base64"),
        ("data:;base64,Y-_w", "the data: URL's content is not base64"),
        ("data:;base64,YQé=", "the data: URL's content is not base64"),
        ("data:;base64,YW\x0bI=", "the data: URL's content is not base64"),
    ],
)
def test_a_data_url_that_does_not_decode_is_an_error(reference: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared whole
        source_map_url("http://h/a.js", reference)
    assert str(error.value) == problem


def test_any_other_reference_is_joined() -> None:
    assert source_map_url("http://h/a.js", "a.js.map") == "http://h/a.js.map"
    assert source_map_url("http://h/a.js", "DATA:,x") == "http://h/DATA:,x"
    assert source_map_url("http://h/a.js", "") == "http://h"


@given(st.text())
def test_data_urls_round_trip(text: str) -> None:
    content = text.encode()
    assert source_map_url("", "data:," + urllib.parse.quote(text)) == content
    assert source_map_url("", "data:;base64," + base64.b64encode(content).decode()) == content
    assert source_map_url("", "data:;base64," + base64.b64encode(content).decode().rstrip("=")) == content


@pytest.mark.parametrize(
    ("module", "abs_path", "url"),
    [
        ("a.b.Main", "Main.kt", "~/a/b/Main.jvm"),
        ("a.b.MainKt", "Other.kt", "~/a/b/Other.jvm"),
        ("a.b.Main$Inner", "Main.java", "~/a/b/Main.jvm"),
        ("a.b.Main$Inner", "Main.x.java", "~/a/b/Main.x.jvm"),
        ("Main", "Main.kt", "~/Main.jvm"),
        ("a.b.Main$Inner$1", None, "~/a/b/Main.jvm"),
        ("a.b.Main$$Lambda", "Unknown Source", "~/a/b/Main.jvm"),
        ("a.b.Main$Inner", "Main$Inner.java", "~/a/b/Main.jvm"),
        ("a.b.Main", "", "~/a/b/Main.jvm"),
        ("a.b.Main", ".java", "~/a/b/.jvm"),
        ("a.b.$Proxy", None, "~/a/b/.jvm"),
        ("Main", None, "~/Main.jvm"),
    ],
)
def test_a_jvm_frame_leads_to_the_file_of_its_outermost_class(
    module: str, abs_path: str | None, url: str
) -> None:
    assert jvm_source_url(module, abs_path) == url


@given(st.text(st.sampled_from("ab/.~:?#"), max_size=12), st.text(st.sampled_from("ab/.~:?#"), max_size=12))
def test_every_text_is_a_url(base: str, right: str) -> None:
    assert isinstance(join_paths(base, right), str)
    assert candidate_urls(base)[0] == base.split("#", maxsplit=1)[0]
    assert all("#" not in candidate for candidate in candidate_urls(base))
    assert isinstance(file_stem(base), str)
