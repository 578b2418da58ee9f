"""What is imported by whom reads; and the extras and tests that texts and CI name are there."""

import os
import re
import subprocess
import sys
import tomllib

from support.places import PACKS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

READ = """
import sys

before = set(sys.modules)

import srcpack
import srcpack.integrations.sentry

path = sys.argv[1]
with srcpack.open(path) as pack, srcpack.integrations.sentry.ArtifactBundleArchive(path) as archive:
    script = "~/static/app.min.js"
    assert pack.by_url(script).read() == archive.get_file_by_url(script)[0].read()
    assert list(srcpack.verify(pack)) == []
    assert srcpack.PackSet([pack]).resolve("http://example.com/static/app.min.js")
for module in set(sys.modules) - before:
    print(module.partition(".")[0])
"""


def test_reading_imports_neither_the_converter_nor_what_the_command_line_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ, PACKS / "app.srcpack"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
        check=True,
    )
    imported = set(done.stdout.split()) - sys.stdlib_module_names
    assert {"srcpack", "zstandard", "msgpack", "xxhash"} <= imported
    # What else is there belongs to these three: Cython's and cffi's own modules.
    assert {name for name in imported if "cython" not in name and "cffi" not in name} == {
        *("srcpack", "zstandard", "msgpack", "xxhash")
    }


def test_every_extra_that_a_text_names_is_there() -> None:
    extras = set(PROJECT["optional-dependencies"])
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.*")]:
        named = re.findall(r"(?:srcpack|-e ['\"]?\.)\[([\w,]+)\]", path.read_text(encoding="utf-8"))
        assert {extra for names in named for extra in names.split(",")} <= extras, path


def test_what_ci_runs_by_name_is_there() -> None:
    named = re.findall(r"\btests/[\w/]+(?:\.py)?", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
