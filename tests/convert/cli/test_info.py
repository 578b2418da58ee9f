"""The command `info`."""

import hashlib
import json
from pathlib import Path

import srcpack
from srcpack.format.head_tail import DICTIONARY
from srcpack.opening import packfile_of
from support.commands import Run
from support.places import PACKS


def test_info_says_what_the_tail_and_the_attributes_say(run: Run, pack: Path) -> None:
    facts = json.loads(run("info", pack, "--json").out)
    with srcpack.open(pack) as opened:
        assert facts["sha256"] == opened.sha256.hex()
        assert facts["identity"] == opened.bundle.identity.hex()
        assert facts["size"] == pack.stat().st_size
        assert list(facts["sections"]) == ["content", "manifest", "index"]
    assert facts["format"] == "1.0"
    assert (facts["files"], facts["damaged"], facts["content_count"]) == (6, 0, 5)
    assert facts["attributes"] == {"release": "app@1"}
    assert facts["source_links"] == {"/lib/*": "https://example.com/*"}
    assert facts["dictionary"] is None
    assert facts["source"]["size"] == pack.with_suffix(".zip").stat().st_size
    assert facts["created_by"]["options"]["preset"] == "balanced"
    assert facts["key_kinds"] == ["name", "path", "url", "debug_id"]
    lines = run("info", pack).out
    for expected in (
        facts["sha256"],
        "source links          1\n",
        "attribute release     app@1\n",
        "6, 80 bytes",
    ):
        assert expected in lines


def test_info_tells_of_a_dictionary(run: Run) -> None:
    pack = PACKS / "many.srcpack"
    facts = json.loads(run("info", pack, "--json").out)["dictionary"]
    with srcpack.open(pack) as opened:
        data = packfile_of(opened).dictionary().data.as_bytes()
        stored = packfile_of(opened).tail.sections[DICTIONARY].length
    assert (facts["size"], facts["stored_size"]) == (len(data), stored)
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    lines = [line.split(maxsplit=1) for line in run("info", pack).out.splitlines()]
    (text,) = (value for name, value in lines if name == "dictionary")
    assert text.startswith(f"{len(data):,} bytes")
    assert text.endswith(f", {stored:,} in the pack, id {facts['id']}")
