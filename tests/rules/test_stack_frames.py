"""Names of JavaScript frames: which function name is taken, how files and modules are shortened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcpack.rules.stack_frames import (
    fixup_turbopack_filename,
    fixup_webpack_filename,
    fold_function_name,
    generate_module,
    get_function_for_token,
)


@pytest.mark.parametrize("useless", ["<anonymous>", "__webpack_require__", "__webpack_modules__"])
@pytest.mark.parametrize(
    ("frame", "caller", "chosen"),
    [
        ("t", "knead", "knead"),
        (None, "knead", "knead"),
        ("t", None, "t"),
        ("t", "", "t"),
        ("", None, ""),
        (None, None, "useless"),
        (None, "", "useless"),
    ],
)
def test_a_name_that_says_nothing_gives_way(
    useless: str, frame: str | None, caller: str | None, chosen: str
) -> None:
    expected = useless if chosen == "useless" else chosen
    assert get_function_for_token(frame, useless, caller) == expected


@pytest.mark.parametrize("token", ["bake", "", "<unknown>", "anonymous", "<Anonymous>"])
def test_all_other_names_are_taken(token: str) -> None:
    assert get_function_for_token("t", token, "knead") == token


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("bake", "bake"),
        ("", ""),
        (".", "."),
        ("oven.oven", "oven.oven"),
        ("oven.oven.oven", "{oven#2}.oven"),
        ("a.oven.oven.b.b.b.bake", "a.{oven#2}.{b#3}.bake"),
        ("oven.rack.oven.rack.bake", "oven.rack.oven.rack.bake"),
        ("...", "{#3}."),
        ("{a#2}.a.a.b", "{a#2}.{a#2}.b"),
    ],
)
def test_runs_of_equal_parts_are_folded(name: str, folded: str) -> None:
    assert fold_function_name(name) == folded


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=40))
def test_folding_loses_no_part(parts: list[str]) -> None:
    unfolded: list[str] = []
    for part in fold_function_name(".".join(parts)).split("."):
        name, _, count = part.strip("{}").partition("#")
        unfolded += [name] * int(count or 1)
    assert unfolded == parts


@pytest.mark.parametrize(
    ("filename", "short"),
    [
        ("webpack:///./src/oven.ts", "./src/oven.ts"),
        ("webpack:///src/oven.ts", "src/oven.ts"),
        ("webpack://bakery/./src/oven.ts", "./src/oven.ts"),
        ("webpack://@scope_1/./oven.ts", "./oven.ts"),
        ("webpack://bakery/src/oven.ts", "webpack://bakery/src/oven.ts"),
        ("webpack://bäckerei/./oven.ts", "webpack://bäckerei/./oven.ts"),
        ("webpack:///./~/dough/index.js", "~/dough/index.js"),
        ("webpack:///a/~/b/~/c.js", "~/b/~/c.js"),
        ("./~/dough/index.js", "~/dough/index.js"),
        ("webpack-internal:///./oven.ts", "./oven.ts"),
        ("webpack-internal:///oven.ts", "webpack-internal:///oven.ts"),
        ("a webpack:///./oven.ts", "a webpack:///./oven.ts"),
        ("oven.ts", "oven.ts"),
    ],
)
def test_what_webpack_puts_in_front_is_taken_off(filename: str, short: str) -> None:
    assert fixup_webpack_filename(filename) == short


@pytest.mark.parametrize(
    ("filename", "short"),
    [
        ("turbopack:///[project]/app/oven.tsx", "app/oven.tsx"),
        ("turbopack:///[project]/[project]/oven.tsx", "[project]/oven.tsx"),
        ("turbopack:///app/oven.tsx", "app/oven.tsx"),
        ("turbopack:///[externals]/fs", "[externals]/fs"),
        ("turbopack:///[project]oven", "[project]oven"),
        ("turbopack:[project]/oven.tsx", "turbopack:[project]/oven.tsx"),
        ("[project]/oven.tsx", "[project]/oven.tsx"),
    ],
)
def test_what_turbopack_puts_in_front_is_taken_off(filename: str, short: str) -> None:
    assert fixup_turbopack_filename(filename) == short


SHA1 = "0123456789abcdef0123456789abcdef01234567"
MD5 = SHA1[:32]


@pytest.mark.parametrize(
    ("abs_path", "module"),
    [
        ("https://bakery.example/bread/oven.js", "bread/oven"),
        ("https://bakery.example/bread/oven.min.js?v=2#top", "bread/oven"),
        ("https://bakery.example", "bakery"),
        ("app:///bread/oven", "bread/oven"),
        ("/srv/oven.v2.js", "srv/oven.v2"),
        ("/srv.d/oven", "srv.d/oven"),
        ("", ""),
        # Folders that say nothing go, at the start.
        ("/static/js/v1.2/node_modules/_next/.cache/~x/bread/oven.js", "bread/oven"),
        ("/Scripts/BUILD/bread/oven.js", "bread/oven"),
        ("/deadbeef/0abc123/bread/oven.js", "bread/oven"),
        ("/deadbeef0/bread/oven.js", "deadbeef0/bread/oven"),
        ("/bread/js/oven.js", "bread/js/oven"),
        ("/jsx/oven.js", "jsx/oven"),
        ("/._\n/oven.js", "._\n/oven"),
        # What follows a hash counts alone, wherever it is.
        (f"/bread/{MD5}/rolls/oven.js", "rolls/oven"),
        (f"/bread/{SHA1.upper()}/js/oven.js", "js/oven"),
        (f"/bread/{'z' * 32}/oven.js", "oven"),
        (f"/bread/{'z' * 40}/oven.js", f"bread/{'z' * 40}/oven"),
        (f"/bread/{'ö' * 16}/oven.js", "oven"),
        (f"/bread/{MD5}", ""),
        # A commit at the very end goes.
        ("/bread/oven-0abc123.js", "bread/oven"),
        ("/bread/oven.deadbeef0123.min.js", "bread/oven"),
        ("/bread/oven-abc123.js", "bread/oven-abc123"),
        ("/bread/oven-0abc123\n", "bread/oven-0abc123\n"),
    ],
)
def test_a_module_is_made_of_a_path(abs_path: str, module: str) -> None:
    assert generate_module(abs_path) == module


@pytest.mark.parametrize("unit", ["/", "js/", "_/", "1.", "a-0abcdef", "-0abcdef", "~", "."])
def test_long_paths_are_no_work(unit: str) -> None:
    generate_module(unit * 200_000)
    fold_function_name(unit * 200_000)


@given(st.text())
def test_any_text_is_a_name(text: str) -> None:
    for make in (generate_module, fixup_webpack_filename, fixup_turbopack_filename, fold_function_name):
        assert isinstance(make(text), str)
