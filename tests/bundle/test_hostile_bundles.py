"""Bundles made to do harm, converted by the real command line as a process of its own.

Each is converted, in part or whole, or refused; without much memory, without an end that says nothing or
too much, and without a trace anywhere but in the output.
"""

import json
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

import srcpack
from srcpack.bundle.members import SourceBundle
from srcpack_convert.back.compare import compare
from support.hostile_bundles import HOSTILE, Outcome, convert_in_process, main
from support.places import CORPUS

LIMITED = ("bomb-1gb-zeros", "manifest-million-files", "overlap-full", "overlap-fifield")
"""What symbolic opens, which has no limits, and we refuse."""
MOST_MEMORY = 400 << 20
MOST_LINES = 21  # 20 members, and how many more there are


def converted(bundle: Path, folder: Path, *, check: bool = False) -> Outcome:
    """Convert a bundle and see that it did so in good order, whatever came of it.

    The command verifies the pack; `check` compares all its answers with the zip's besides.
    """
    folder.mkdir()
    pack = folder / "a.srcpack"
    before = bundle.read_bytes()
    outcome = convert_in_process(bundle, pack)
    assert outcome.code in (0, 1, 3), outcome.err[-1000:]
    assert outcome.memory < MOST_MEMORY
    # What a name holds is never written as it is: what is left are lines of characters that one can see.
    out, err = outcome.out.decode(), outcome.err.decode()
    assert all(char.isprintable() or char == "\n" for char in out + err)
    lines = err.splitlines()
    assert len(lines) <= (1 if outcome.code == 1 else MOST_LINES)
    for line in lines[: MOST_LINES - 1]:
        assert line.startswith(f"{'error' if outcome.code == 1 else 'warning'}: {folder.parent}/")
        assert len(line) < 700
    assert "Traceback" not in err
    # Nothing is there that was not there but the pack.
    assert bundle.read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["a.srcpack"] * (outcome.code != 1)
    if outcome.code != 1:
        with srcpack.open(pack) as opened, SourceBundle(bundle) as zipped:
            assert (opened.tail.damaged_count > 0) == (outcome.code == 3) == bool(lines)
            assert out.startswith(f"{pack}: ")
            if check:
                assert list(compare(opened, zipped)) == []
    else:
        assert out == ""
    return outcome


def cases() -> list[ParameterSet]:
    return [
        pytest.param(name, id=name, marks=[pytest.mark.slow] if hostile.slow else [])
        for name, hostile in HOSTILE.items()
    ]


@pytest.mark.parametrize("name", cases())
def test_a_hostile_bundle_is_converted_or_refused(name: str, tmp_path: Path) -> None:
    hostile = HOSTILE[name]
    bundle = tmp_path / "a.zip"
    bundle.write_bytes(hostile.build())
    outcome = converted(bundle, tmp_path / "out", check=not hostile.slow)
    lines = outcome.err.decode().splitlines()
    assert (outcome.code, bool(lines)) == (hostile.code, bool(hostile.says))
    if lines:
        assert hostile.says in lines[0]
    if name == "files-of-one-url-and-path":
        assert lines[-1] == "and 59,980 more"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


def corpus() -> list[ParameterSet]:
    expectations = {
        path: what["symbolic"]
        for folder in ("hostile", "odd")
        for name, what in json.loads(_read(CORPUS / folder / "EXPECT.json")).items()
        if (path := CORPUS / folder / name)
    }
    if not expectations:
        skip = pytest.mark.skip(reason="no ../shared/corpus beside the checkout")
        return [pytest.param(Path(), "", marks=skip)]
    return [pytest.param(path, symbolic, id=path.stem) for path, symbolic in expectations.items()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else "{}"


@pytest.mark.slow
@pytest.mark.parametrize(("path", "symbolic"), corpus())
def test_a_bundle_of_the_corpus_is_converted_or_refused(path: Path, symbolic: str, tmp_path: Path) -> None:
    bundle = tmp_path / path.name
    bundle.symlink_to(path)
    outcome = converted(bundle, tmp_path / "out")
    refused = symbolic == "refuses" or path.stem in LIMITED
    assert (outcome.code == 1) == refused


def test_the_table_has_a_line_for_each_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--only", "key-twice"])
    *_, line = capsys.readouterr().out.splitlines()
    assert line.startswith("| a-key-twice | 261 | 1 | ")
    assert line.endswith(" | error: 'manifest.json': files is given twice at offset 20 |")
