"""The limits that SECURITY.md promises are those of the code."""

import dataclasses
import inspect
import re
from fractions import Fraction

import srcpack
from srcpack.bundle import members, zip_directory
from srcpack.bundle.members import DEFAULT_LIMITS
from srcpack.format import head_tail, index
from srcpack_convert.one import lookup_tables, lookup_worker
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
        "head_tail.MAX_FRAME_SIZE": head_tail.MAX_FRAME_SIZE,
        "head_tail.MAX_BLOCK": head_tail.MAX_BLOCK,
        "head_tail.MAX_DICTIONARY": head_tail.MAX_DICTIONARY,
        "index.MAX_BUCKET": index.MAX_BUCKET,
    }
    costs = [
        (Fraction(share.replace(",", "")), int(number.replace(",", "")) * UNITS[unit])
        for share, number, unit in re.findall(
            r"^\|[^|]+\| ([0-9/,]+) \| ([0-9,]+)( [MG]iB)? \|$", text, re.MULTILINE
        )
    ]
    ratio = DEFAULT_LIMITS.max_total_ratio
    assert costs == [
        (zip_directory._MAX_READS, zip_directory._READS_FREE),
        (ratio, members._TOTAL_FREE),
        (ratio, members._SHARED_FREE),
        (Fraction(ratio, members._MANIFEST_SHARE), members._MANIFEST_FREE),
        (Fraction(ratio, members._MARKS_SHARE), members._MARKS_FREE),
        (Fraction(ratio, members._MISSING_SHARE), members._MISSING_FREE),
        (ratio * lookup_tables._WORK_SHARE, lookup_tables._WORK_FREE),
        (Fraction(1, lookup_worker._BYTES_A_SECOND), lookup_worker._SECONDS),
    ]
    assert text.count("\n| ") == len(promised) + len(costs) + 2
