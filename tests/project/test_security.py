"""The limits that SECURITY.md promises are those of the code."""

import dataclasses
import inspect
import re

import srcpack
from srcpack.bundle.members import DEFAULT_LIMITS
from srcpack.format import head_tail as layout
from srcpack.format import index
from support.places import ROOT

UNITS = {"": 1, " MiB": 1 << 20, " GiB": 1 << 30}


def test_the_table_of_limits_is_what_the_code_has() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    promised = {
        name: int(number.replace(",", "")) * UNITS[unit]
        for number, unit, name in re.findall(
            r"^\|[^|]+\| ([0-9,]+)( [MG]iB)? \| `([^`]+)` \|$", text, re.MULTILINE
        )
    }
    assert promised == {
        **{f"Limits.{name}": value for name, value in dataclasses.asdict(DEFAULT_LIMITS).items()},
        "open(max_read)": inspect.signature(srcpack.open).parameters["max_read"].default,
        "layout.MAX_FRAME_SIZE": layout.MAX_FRAME_SIZE,
        "layout.MAX_BLOCK": layout.MAX_BLOCK,
        "layout.MAX_DICTIONARY": layout.MAX_DICTIONARY,
        "index.MAX_BUCKET": index.MAX_BUCKET,
    }
    assert text.count("\n| ") == len(promised) + 1
