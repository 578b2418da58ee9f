"""The command line: what is printed where, exit codes, and that nothing hostile reaches a terminal."""

import base64
import errno
import hashlib
import io
import json
import os
import pty
import random
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

import srcpack
import srcpack_convert
from srcpack import Pack
from srcpack.bundle.members import DEFAULT_LIMITS
from srcpack.format.head_tail import DICTIONARY
from srcpack_convert.cli import main as cli
from srcpack_convert.cli.arguments import parse_bytes
from srcpack_convert.cli.terminal import size_text
from srcpack_convert.many.batch import cores
from srcpack_convert.one.convert import convert
from support.bundle_builder import ZipMember, build_bundle, build_zip
from support.places import PACKS

DEBUG_ID = "5e618b9f-54a9-4389-b196-519819dd7c47"
FILES = {
    "files/app.js": b"minified()\n//# sourceMappingURL=app.js.map\n",
    "files/app.js.map": b'{"version": 3}',
    "files/blob": b"\xff\0\xfe",
    "files/empty": b"",
    "files/main.c": b"int main;\n",
    "loose": b"not listed",
}
MANIFEST: dict[str, Any] = {
    "files": {
        "files/app.js": {"type": "minified_source", "url": "~/app.js", "headers": {"Debug-Id": DEBUG_ID}},
        "files/app.js.map": {"type": "source_map", "url": "~/app.js.map", "headers": {"debug-id": DEBUG_ID}},
        "files/blob": {},
        "files/empty": {"type": "source", "url": "~/empty"},
        "files/main.c": {"type": "source", "path": "C:\\src\\main.c", "Note": 1},
    },
    "source_links": {"/lib/*": "https://example.com/*"},
    "release": "app@1",
}
COMMANDS = [
    "convert", "info", "ls", "cat", "find", "extract", "verify", "export", "bench", "stats"
]  # fmt: skip
HOSTILE = "\x1b]0;title\x07\x9b31m\u202egnp.[bold]x[red]\x7f\r\n"


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Return a function that runs one command in this process."""

    def run_command(*args: object) -> Result:
        capfdbinary.readouterr()
        code = cli.run([str(arg) for arg in args])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Result(code, captured.out.decode(), captured.err.decode())

    return run_command


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return a function that runs the whole program in this process."""
    handlers = [(number, signal.getsignal(number)) for number in cli._SIGNALS]

    def run_main(*args: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["srcpack", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, captured.out, captured.err)

    yield run_main
    for number, handler in handlers:
        signal.signal(number, handler)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "app.zip"
    path.write_bytes(build_bundle(FILES, MANIFEST))
    return path


@pytest.fixture
def pack(bundle: Path) -> Path:
    path = bundle.with_suffix(".srcpack")
    convert(bundle, path)
    return path


def start(*args: object, **options: Any) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "srcpack_convert", *map(str, args)]
    options.setdefault("env", {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    popen: Any = subprocess.Popen  # its type depends on options that are not seen here
    process: subprocess.Popen[bytes] = popen(command, **options)
    return process


def run_process(*args: object, **options: Any) -> Result:
    process = start(*args, **options)
    out, err = process.communicate(timeout=60)
    return Result(process.returncode, (out or b"").decode(), (err or b"").decode())


def damaged_bundle(tmp_path: Path, number: int = 1) -> Path:
    names = [f"bad{at:03}" for at in range(number)]
    manifest = {"files": {name: {"type": "source"} for name in [*names, "gone", "ok"]}}
    members = [ZipMember(name=name, content=b"bad", crc=1) for name in names]
    members += [
        ZipMember(name="ok", content=b"ok"),
        ZipMember(name="manifest.json", content=json.dumps(manifest).encode()),
    ]
    path = tmp_path / "damaged.zip"
    path.write_bytes(build_zip(members))
    return path


def flip(path: Path, name: str) -> None:
    """Damage the content of an entry in a pack."""
    with srcpack.open(path) as pack:
        offset = pack[name].record.frames[0].offset
    data = bytearray(path.read_bytes())
    data[offset + 9] ^= 1
    path.write_bytes(data)


# ---- help, version, completion, usage


def command_named(name: str) -> Any:
    group: Any = typer.main.get_command(cli.app)
    return group.commands[name]


def test_these_are_the_commands(run: Run) -> None:
    group: Any = typer.main.get_command(cli.app)
    assert list(group.commands) == COMMANDS
    result = run()
    assert (result.code, result.err) == (0, "")
    assert all(f" {name} " in result.out for name in COMMANDS)
    assert "Exit codes" in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_examples_that_its_options_take(run: Run, name: str) -> None:
    command = command_named(name)
    assert any("--json" in param.opts for param in command.params)
    assert all(param.help for param in command.params)
    examples = re.findall(r"^ +srcpack (.+)$", command.help, re.MULTILINE)
    assert examples
    for example in examples:
        first, *args = shlex.split(re.split(" [|>] ", example)[0])
        assert first == name
        command.make_context(name, args)
    result = run(name, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Examples:" in result.out


@pytest.mark.parametrize("name", ["convert", "verify"])
def test_help_shows_the_limits_as_they_are(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run(name, "--help").out
    for option in ("max-file-size", "max-total-size", "max-manifest-size"):
        match = re.search(rf"--{option} .*\[default: \((\w+)\)\]", text)
        assert match is not None
        assert parse_bytes(match[1]) == getattr(DEFAULT_LIMITS, option.replace("-", "_"))


def test_version() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"srcpack {srcpack.__version__}\n")


@pytest.mark.parametrize(
    ("words", "completions"),
    [("srcpack con", ["convert"]), ("srcpack cat --type so", ["source", "source_map"])],
)
def test_shells_complete_commands_and_choices(words: str, completions: list[str]) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "_SRCPACK_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    command = [sys.executable, "-m", "srcpack_convert"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    assert output.split() == completions


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["\x1b[31m"], r"No such command '\\x1b\[31m'"),
        (["ls"], "Missing argument"),
        (["cat", "p"], "exactly one of NAME, --url, --path, --debug-id"),
        (["cat", "p", "n", "--url", "u"], "exactly one of"),
        (["cat", "p", "--debug-id", DEBUG_ID], "--debug-id needs --type: source, minified_source, "),
        (["cat", "p", "n", "--type", "source"], "--type is only for --debug-id$"),
        (
            ["cat", "p", "--debug-id", DEBUG_ID, "--type", "wasm"],
            r"'--type': 'wasm' is not one of 'source', ",
        ),
        (["find", "p"], "exactly one of --url, --path, --debug-id"),
        (["find", "p", "--url", "u", "--type", "source"], "--type is only for --debug-id$"),
        (["find", "p", "--debug-id", "zz"], "invalid debug id 'zz'"),
        (["verify", "p", "q", "--against", "z"], "--against takes one pack"),
        (["extract", "p"], "--output"),
        (["extract", "p", "-o", "s3://k:pw@x/y"], "writes to URLs; give a path, not s3://x/y$"),
        (["extract", "p", "-o", "file://elsewhere/y"], "a file of another host"),
        (
            ["export", "p", "-o", "s3://x/y.zip"],
            "only convert writes to URLs; give a path, not s3://x/y.zip$",
        ),
        (["stats", "p", "--index", "s3://x/y.jsonl"], "give a path, not s3://x/y.jsonl$"),
        (["bench", "z", "--plot", "s3://x/y.svg"], "give a path, not s3://x/y.svg$"),
        (
            ["convert", "z", "--jobs", "0"],
            "'--jobs' / '-j': '0' is no whole number from 1 on",
        ),
        (
            ["convert", "z", "--level", "abc"],
            "'--level': 'abc' is no whole number from 1 on",
        ),
        (["convert", "z", "--max-files", "-1"], "'--max-files': '-1' is no whole number from 1 on"),
        (["convert", "z", "--frame-size", "1x"], "'1x' is no number of bytes"),
        (["convert", "z", "--preset", "best"], "preset is one of"),
        (["convert", "z", "--level", "99"], "level is 1 to 22, not 99"),
        (["convert", "z", "--dictionary", "2M"], "a dictionary has 1 to"),
        (["convert", "z", "-o", __file__, "--preset", "mx"], "preset is one of"),
        (["convert", "z", "y", "-o", __file__, "--level", "99"], "level is 1 to 22, not 99"),
        (["convert", "z", "-o", "-"], "-o -: a pack is not written to stdout"),
        (["convert", "z", "y", "-o", "-"], "-o -: a pack is not written to stdout"),
        (["convert", "http://u:p@host/z?s"], "http://host/z: give --output, nothing is put beside it"),
    ],
)
def test_wrong_usage_is_told_in_two_lines_and_exits_with_2(run: Run, args: list[str], message: str) -> None:
    result = run(*args)
    assert (result.code, result.out) == (2, "")
    assert re.search(message, result.err, re.MULTILINE)
    assert result.err.startswith("error: ")
    assert result.err.count("\n") <= 2


# ---- convert


def test_convert_writes_beside_the_zip_and_says_what_it_did(run: Run, bundle: Path) -> None:
    result = run("convert", bundle)
    pack = bundle.with_suffix(".srcpack")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(pack))}: 6 files of \d+ B; zip .+, pack .+, ratio \d\.\d{{3}}; \d\.\d s\n",
        result.out,
    )
    assert sorted(srcpack.open(pack)) == sorted(FILES)


def test_convert_adds_the_ending_to_a_name_without_zip(run: Run, bundle: Path) -> None:
    bundle.rename(bundle.with_name("app.bundle"))
    assert run("convert", bundle.with_name("app.bundle")).code == 0
    assert bundle.with_name("app.bundle.srcpack").exists()


def test_convert_takes_the_options_of_the_library(run: Run, bundle: Path) -> None:
    output = bundle.with_name("out.srcpack")
    args = ["--preset", "fast", "--level", 5, "--dictionary", "off", "--frame-size", "64K", "--raw", "*.map"]
    args += ["--raw", "loose", "--jobs", 2, "--no-verify", "--json"]
    result = run("convert", bundle, "-o", output, *args)
    report = json.loads(result.out)
    assert (report["preset"], report["level"], report["frame_size"], report["jobs"]) == ("fast", 5, 65536, 2)
    assert (report["verified"], report["files"], report["damaged"]) == (False, 6, [])
    assert report["sha256"] == srcpack.open(output).sha256.hex()
    assert report["source_sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    with srcpack.open(output) as pack:
        assert pack["loose"].raw
        assert pack["files/app.js.map"].raw
        assert pack.bundle.created_by["options"]["raw"] == ["*.map", "loose"]


def test_convert_takes_a_dictionary_by_size_or_file(run: Run, tmp_path: Path) -> None:
    files = {f"{n}.js": f"function f{n}() {{ return {n} * {n}; }}\n".encode() * 9 for n in range(600)}
    bundle = tmp_path / "many.zip"
    bundle.write_bytes(build_bundle(files, {}))
    assert json.loads(run("convert", bundle, "--dictionary", "8K", "--json").out)["dictionary_size"] <= 8192
    with srcpack.open(tmp_path / "many.srcpack") as pack:
        (tmp_path / "dictionary").write_bytes(pack.dictionary().data.as_bytes())
    other = run("convert", bundle, "-o", tmp_path / "b", "--dictionary", tmp_path / "dictionary", "--json")
    assert json.loads(other.out)["dictionary_size"] == (tmp_path / "dictionary").stat().st_size
    assert run("convert", bundle, "-o", tmp_path / "c", "--dictionary", "none").err == (
        "error: none: No such file or directory\n"
    )


def test_convert_refuses_an_output_that_exists_before_the_work(run: Run, pack: Path) -> None:
    before = pack.read_bytes()
    result = run("convert", "no-such.zip", "-o", pack)
    assert result == (1, "", f"error: {pack}: it exists; --force replaces it\n")
    assert pack.read_bytes() == before
    assert run("convert", pack.with_suffix(".zip"), "--force").code == 0
    assert run("convert", "x.zip", "-o", os.devnull, "--force").err.endswith("not a regular file\n")
    assert run("convert", "x.zip", "-o", pack.parent / "no" / "x").err.endswith("no'\n")


def test_convert_warns_of_damaged_members_and_exits_with_3(run: Run, tmp_path: Path) -> None:
    bundle = damaged_bundle(tmp_path)
    result = run("convert", bundle)
    assert result.code == 3
    assert "3 files of 2 B, 2 damaged" in result.out
    lines = [
        re.fullmatch(r"warning: (.+): '(.+)' cannot be read: .+", line) for line in result.err.splitlines()
    ]
    assert [line and line.groups() for line in lines] == [(str(bundle), "bad000"), (str(bundle), "gone")]
    assert len(json.loads(run("convert", bundle, "--force", "--json").out)["damaged"]) == 2


def test_thousands_of_warnings_are_cut_short(run: Run, tmp_path: Path) -> None:
    lines = run("convert", damaged_bundle(tmp_path, 100)).err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 81 more"


def test_convert_takes_limits(run: Run, bundle: Path) -> None:
    result = run("convert", bundle, "--max-file-size", 20)
    assert result.code == 3
    assert "'files/app.js' cannot be read: its size is 43, over the limit of 20" in result.err
    result = run("convert", bundle, "--force", "--max-manifest-size", "1K", "--max-total-size", 50)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert re.fullmatch(
        rf"error: {bundle}: the size of all members is \d+, over the limit of 50\n", result.err
    )
    result = run("convert", bundle, "--force", "--max-files", 1)
    assert result.code == 1
    assert "over the limit of 1\n" in result.err


def test_refused_bundle_is_one_line_and_no_pack(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"neither")
    result = run("convert", tmp_path / "bad.zip")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith(f"error: {tmp_path / 'bad.zip'}: not a SourceBundle at offset 0")
    assert os.listdir(tmp_path) == ["bad.zip"]


# ---- info, ls


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
        data = opened.dictionary().data.as_bytes()
        stored = opened.tail.sections[DICTIONARY].length
    assert (facts["size"], facts["stored_size"]) == (len(data), stored)
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    lines = [line.split(maxsplit=1) for line in run("info", pack).out.splitlines()]
    (text,) = (value for name, value in lines if name == "dictionary")
    assert text.startswith(f"{len(data):,} bytes")
    assert text.endswith(f", {stored:,} in the pack, id {facts['id']}")


def test_ls_lists_names_in_order_below_a_prefix(run: Run, pack: Path) -> None:
    assert run("ls", pack) == (0, "".join(f"{name}\n" for name in sorted(FILES)), "")
    assert run("ls", pack, "files/app").out == "files/app.js\nfiles/app.js.map\n"
    assert run("ls", pack, "no/") == (1, "", f"error: {pack}: no entry whose name begins with 'no/'\n")


def test_ls_long_says_type_sizes_lines_debug_id_and_place(run: Run, pack: Path) -> None:
    lines = run("ls", pack, "--long").out.splitlines()
    assert lines[0].split() == ["minified_source", "43", "43", "2", DEBUG_ID, "files/app.js", "~/app.js"]
    assert lines[4].split()[-2:] == ["files/main.c", "C:\\src\\main.c"]
    assert lines[5].endswith("loose  (not in the manifest)")


def test_ls_json_is_one_object_a_line(run: Run, pack: Path) -> None:
    entries = [json.loads(line) for line in run("ls", pack, "--json").out.splitlines()]
    assert [entry["name"] for entry in entries] == sorted(FILES)
    first = entries[0]
    assert first["sha256"] == hashlib.sha256(FILES["files/app.js"]).hexdigest()
    assert (first["debug_id"], first["source_mapping_url"]) == (DEBUG_ID, "app.js.map")
    assert first["headers"] == {"Debug-Id": DEBUG_ID}
    assert entries[4]["extra"] == '{"Note":1}'
    assert [entry["listed"] for entry in entries] == [True] * 5 + [False]


def test_damaged_members_are_marked(run: Run, tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    assert re.search(r"bad000  \(damaged: .*CRC.*\)\n", run("ls", tmp_path / "d.srcpack", "-l").out)
    assert json.loads(run("ls", tmp_path / "d.srcpack", "--json").out.splitlines()[0])["damage"]
    assert "2 damaged" in run("info", tmp_path / "d.srcpack").out


# ---- cat, find


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        (["files/blob"], "files/blob"),
        (["files/empty"], "files/empty"),
        (["--url", "~/app.js"], "files/app.js"),
        (["--path", "C:/src/main.c"], "files/main.c"),
        (["--debug-id", DEBUG_ID.replace("-", "").upper(), "--type", "source_map"], "files/app.js.map"),
    ],
)
def test_cat_writes_the_bytes_and_nothing_else(
    pack: Path, selector: list[str], name: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.run(["cat", str(pack), *selector]) == 0
    sys.stdout.flush()
    assert capfdbinary.readouterr() == (FILES[name], b"")


def test_cat_json_has_text_or_base64(run: Run, pack: Path) -> None:
    text = json.loads(run("cat", pack, "files/main.c", "--json").out)
    assert text == {
        "name": "files/main.c",
        "size": 10,
        "sha256": hashlib.sha256(FILES["files/main.c"]).hexdigest(),
        "encoding": "utf-8",
        "content": "int main;\n",
    }
    blob = json.loads(run("cat", pack, "files/blob", "--json").out)
    assert blob["encoding"] == "base64"
    assert base64.b64decode(blob["content"]) == FILES["files/blob"]


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (["files/none"], "no entry 'files/none'"),
        (["--url", "~/none"], "no entry has the URL '~/none'"),
        (["--path", "none"], "no entry has the path 'none'"),
        (
            ["--debug-id", DEBUG_ID, "--type", "source"],
            f"no entry has the debug id {DEBUG_ID} and the type source",
        ),
        (
            ["--path", "/lib/x.c"],
            "the path '/lib/x.c' is not in it, but has a source link: https://example.com/x.c",
        ),
    ],
)
def test_cat_of_what_is_not_there_is_a_line_on_stderr(
    run: Run, pack: Path, selector: list[str], message: str
) -> None:
    assert run("cat", pack, *selector) == (1, "", f"error: {pack}: {message}\n")


def test_cat_of_a_damaged_member_says_why(run: Run, tmp_path: Path, pack: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    result = run("cat", tmp_path / "d.srcpack", "bad000")
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(r"error: .*d\.srcpack: 'bad000' cannot be read: .*CRC.*\n", result.err)
    flip(pack, "files/main.c")
    result = run("cat", pack, "files/main.c")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {pack}: 'files/main.c': ")


def test_find_tells_packs_and_members(run: Run, pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.srcpack"
    convert(build_bundle({"x": b"x"}, {"files": {"x": {"url": "~/app.js"}}}), other)
    assert run("find", pack, other, "--url", "~/app.js") == (0, f"{pack}: files/app.js\n{other}: x\n", "")
    found = run("find", other, pack, "--debug-id", DEBUG_ID)
    assert found == (0, f"{pack}: files/app.js\n{pack}: files/app.js.map\n", "")
    assert (
        run("find", pack, "--debug-id", DEBUG_ID, "--type", "source_map").out == f"{pack}: files/app.js.map\n"
    )
    assert run("find", pack, "--path", "/lib/y") == (0, f"{pack}: source link https://example.com/y\n", "")
    assert run("find", pack, other, "--url", "none") == (1, "", "")
    assert json.loads(run("find", pack, "--path", "/lib/y", "--json").out) == {
        "pack": str(pack),
        "source_link": "https://example.com/y",
    }
    hit = json.loads(run("find", other, "--url", "~/app.js", "--json").out)
    assert (hit["pack"], hit["name"], hit["type"]) == (str(other), "x", "source")


def test_find_goes_on_after_a_pack_that_cannot_be_read(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no pack")
    result = run("find", tmp_path / "none", tmp_path / "bad", pack, "--url", "~/app.js")
    assert (result.code, result.out) == (3, f"{pack}: files/app.js\n")
    assert len(result.err.splitlines()) == 2
    assert result.err.startswith(
        f"error: {tmp_path / 'none'}: No such file or directory\nerror: {tmp_path / 'bad'}: "
    )
    assert run("find", tmp_path / "bad", pack, "--url", "none").code == 1


# ---- extract, export


def test_extract_writes_files_and_tells_changed_names(run: Run, tmp_path: Path) -> None:
    convert(build_bundle({"../up": b"1", "a": b"2"}, {}), tmp_path / "p.srcpack")
    result = run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "out")
    assert result == (
        0,
        f"{tmp_path / 'out'}: 2 files of 2 B\n",
        f"warning: {tmp_path / 'p.srcpack'}: '../up' goes to '%2E%2E/up'\n",
    )
    assert (tmp_path / "out" / "%2E%2E" / "up").read_bytes() == b"1"
    result = run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "out", "a", "--json")
    assert result.code == 1
    assert json.loads(result.out)["problems"] == [{"member": "a", "reason": "a: File exists"}]
    assert run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "out", "a", "--force").code == 0
    assert run("extract", tmp_path / "p.srcpack", "-o", tmp_path / "new", "b").code == 1


def test_outputs_may_be_named_by_file_urls(run: Run, pack: Path, tmp_path: Path) -> None:
    assert run("extract", pack, "loose", "-o", f"file://{tmp_path}/a%20b").code == 0
    assert (tmp_path / "a b" / "loose").read_bytes() == FILES["loose"]
    assert run("stats", pack, "--index", f"file://{tmp_path}/a%20b.jsonl").code == 0
    assert len((tmp_path / "a b.jsonl").read_bytes().splitlines()) == len(FILES)


def test_extract_of_a_damaged_member_exits_with_3(run: Run, tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    result = run("extract", tmp_path / "d.srcpack", "-o", tmp_path / "out")
    assert (result.code, len(result.err.splitlines())) == (3, 2)
    assert os.listdir(tmp_path / "out") == ["ok"]


def test_export_gives_the_bundle_back(run: Run, pack: Path, tmp_path: Path) -> None:
    result = run("export", pack, "-o", tmp_path / "out.zip")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{tmp_path / 'out.zip'}: 6 files of 80 B; pack ")
    assert run("verify", pack, "--against", tmp_path / "out.zip").code == 0
    assert run("export", pack, "-o", tmp_path / "out.zip").code == 1
    assert json.loads(run("export", pack, "-o", tmp_path / "out.zip", "--force", "--stored", "--json").out)[
        "stored"
    ]


def test_export_of_damaged_members_exits_with_3(run: Run, tmp_path: Path) -> None:
    convert(damaged_bundle(tmp_path), tmp_path / "d.srcpack")
    result = run("export", tmp_path / "d.srcpack", "-o", tmp_path / "out.zip")
    assert result.code == 3
    assert "'bad000' is left out: " in result.err
    assert run("verify", tmp_path / "d.srcpack", "--against", tmp_path / "out.zip").code == 0


# ---- verify


def test_verify_says_ok_or_what_is_wrong(run: Run, pack: Path, bundle: Path) -> None:
    assert run("verify", pack) == (0, f"{pack}: ok, 6 files of 80 B\n", "")
    assert run("verify", pack, "--against", bundle) == (
        0,
        f"{pack}: ok, 6 files of 80 B, equal to {bundle}\n",
        "",
    )
    verdict = json.loads(run("verify", pack, "--json").out)
    assert verdict == {
        "pack": str(pack),
        "ok": True,
        "files": 6,
        "damaged": 0,
        "total_size": 80,
        "problems": [],
    }


def test_verify_goes_through_all_packs_and_fails_if_one_is_bad(run: Run, pack: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.srcpack"
    bad.write_bytes(pack.read_bytes())
    flip(bad, "files/main.c")
    result = run("verify", bad, tmp_path / "none", pack)
    first, where, second, third = result.out.splitlines()
    assert result.code == 1
    assert first.startswith(f"{bad}: SHA-256 of all before the tail")
    assert where.startswith(f"{bad}: 'files/main.c': checksum of raw content at offset ")
    assert second == f"{tmp_path / 'none'}: No such file or directory"
    assert third == f"{pack}: ok, 6 files of 80 B"
    assert not json.loads(run("verify", bad, "--json").out)["ok"]


def test_verify_says_of_what_is_no_pack_that_it_is_none(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "no.srcpack"
    path.write_bytes(b"no pack, though it is long enough to have a head")
    result = run("verify", path)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(f"{path}: not a pack: magic at offset 8")


# ---- zips and folders in the place of packs


def test_commands_that_only_read_files_take_zips(run: Run, bundle: Path, pack: Path, tmp_path: Path) -> None:
    listed = [json.loads(line) for line in run("ls", pack, "--json").out.splitlines()]
    zipped = [json.loads(line) for line in run("ls", bundle, "--json").out.splitlines()]
    for facts in (*listed, *zipped):  # how each of the two stores it
        del facts["stored_size"], facts["raw"]
    assert zipped == listed
    for wanted in (["loose"], ["--url", "~/app.js"], ["--debug-id", DEBUG_ID, "--type", "source_map"]):
        assert run("cat", bundle, *wanted) == run("cat", pack, *wanted)
    found = run("find", bundle, pack, "--path", "C:/src/main.c")
    assert found == (0, f"{bundle}: files/main.c\n{pack}: files/main.c\n", "")
    assert run("extract", bundle, "-o", tmp_path / "out").code == 0
    for name, content in FILES.items():
        assert (tmp_path / "out" / name).read_bytes() == content


def test_damage_in_a_zip_is_found_when_it_is_read(run: Run, tmp_path: Path) -> None:
    zipped = damaged_bundle(tmp_path)
    assert "bad000" in run("ls", zipped).out
    assert "(damaged: its CRC-32" in run("ls", zipped, "--long").out
    result = run("extract", zipped, "-o", tmp_path / "out")
    assert (result.code, len(result.err.splitlines())) == (3, 2)


@pytest.mark.parametrize("command", [["info"], ["verify"], ["export", "-o", "out.zip"], ["stats"]])
def test_commands_on_packs_say_of_a_zip_that_it_is_one(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(bundle.parent)
    result = run(*command, bundle)
    assert result.code == 1
    line = (result.out + result.err).splitlines()[0].removeprefix("error: ")
    assert line == f"{bundle}: a SourceBundle zip, not a pack: convert it first"
    assert not Path("out.zip").exists()


@pytest.mark.parametrize(
    "command",
    [["info"], ["ls"], ["cat", "--url", "x"], ["find", "--url", "x"], ["verify"], ["extract", "-o", "out"]],
)
def test_commands_on_packs_say_of_a_folder_that_it_is_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*command, tmp_path)
    line = (result.out + result.err).removeprefix("error: ")
    assert (result.code, line) == (1, f"{tmp_path}: it is a folder; name the packs in it\n")


# ---- verify against the zip


def changed(change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> bytes:
    manifest, files = json.loads(json.dumps(MANIFEST)), dict(FILES)
    change(manifest, files)
    return build_bundle(files, manifest)


def set_file(name: str, key: str, value: object) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    return lambda manifest, _: manifest["files"][name].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda _, files: files.__setitem__("loose", b"not lis7ed"),
            "'loose': content differs from the bundle's",
        ),
        (
            lambda _, files: files.__setitem__("loose", b"not listed!"),
            "'loose': size of the content: found 10",
        ),
        (lambda _, files: files.__setitem__("more", b""), "no entry 'more'"),
        (lambda _, files: files.pop("loose"), "'loose': an entry that is not in the bundle"),
        (lambda _, files: files.pop("files/blob"), "'files/blob': readable, though not in the bundle"),
        (lambda m, _: m["files"].pop("files/main.c"), "'files/main.c': listed, though the bundle's"),
        (
            lambda m, _: m["files"].__setitem__("loose", {}),
            "'loose': missing, or not as a file that the manifest",
        ),
        (
            lambda m, _: m["files"].__setitem__("files/app.js", m["files"].pop("files/app.js")),
            "the order of the",
        ),
        (lambda m, _: m.__setitem__("release", "app@2"), "attributes differs from the bundle's: found"),
        (lambda m, _: m.pop("source_links"), "source_links differs from the bundle's"),
        (
            set_file("files/app.js", "url", "~/b"),
            "'files/app.js': url differs from the bundle's: found '~/app.js'",
        ),
        (set_file("files/app.js", "type", "source"), "'files/app.js': type differs"),
        (set_file("files/blob", "type", None), "'files/blob': type_is_null differs"),
        (set_file("files/blob", "path", ""), "'files/blob': path differs"),
        (set_file("files/blob", "headers", {}), "'files/blob': headers differs"),
        (set_file("files/main.c", "Note", 2), "'files/main.c': extra differs"),
    ],
)
def test_verify_against_finds_every_difference(
    run: Run, pack: Path, tmp_path: Path, change: Any, message: str
) -> None:
    other = tmp_path / "other.zip"
    other.write_bytes(changed(change))
    result = run("verify", pack, "--against", other)
    assert (result.code, result.err) == (1, "")
    assert message in result.out


def test_verify_against_another_zip_says_so_first_and_compares(
    run: Run, pack: Path, bundle: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.zip"
    names = [f"more{number:03}" for number in range(30)]
    other.write_bytes(changed(lambda _, files: files.update(dict.fromkeys(names, b""))))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (other, bundle)]
    another = "made from another zip: SHA-256 found {}, expected {}".format(*digests)
    first, *lines = run("verify", pack, "--against", other).out.splitlines()
    assert first == f"{pack}: {another}"
    assert (len(lines), lines[-1]) == (21, "and 11 more")
    verdict = json.loads(run("verify", pack, "--against", other, "--json").out)
    assert [verdict["against_sha256"], verdict["source_sha256"]] == digests
    assert len(verdict["problems"]) == 31


def test_verify_takes_another_zip_of_the_same_content(run: Run, pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zip"
    run("export", pack, "-o", other)
    result = run("verify", pack, "--against", other)
    assert result.code == 0
    assert f", equal to {other}; made from another zip: SHA-256 found " in result.out
    assert json.loads(run("verify", pack, "--against", other, "--json").out)["ok"]


def test_verify_against_finds_a_member_that_the_pack_calls_damaged(run: Run, bundle: Path) -> None:
    assert run("convert", bundle, "--max-file-size", 20).code == 3
    result = run("verify", bundle.with_suffix(".srcpack"), "--against", bundle)
    assert result.code == 1
    assert "'files/app.js': not readable, though in the bundle" in result.out
    assert run("verify", bundle.with_suffix(".srcpack"), "--against", bundle, "--max-file-size", 20).code == 0


def test_verify_against_asks_every_key(
    run: Run, pack: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pack, "by_url", lambda self, _: self["loose"])
    monkeypatch.setattr(Pack, "by_path", lambda *_: None)
    monkeypatch.setattr(Pack, "by_debug_id", lambda self, *_: self["files/app.js"])
    lines = run("verify", pack, "--against", bundle).out.splitlines()
    assert [line.partition(f"{pack}: ")[2] for line in lines] == [
        "lookup of path 'C:/src/main.c': found None, expected 'files/main.c'",
        "lookup of URL '~/app.js': found 'loose', expected 'files/app.js'",
        "lookup of URL '~/app.js.map': found 'loose', expected 'files/app.js.map'",
        "lookup of URL '~/empty': found 'loose', expected 'files/empty'",
        f"lookup of debug id {DEBUG_ID} source_map: found 'files/app.js', expected 'files/app.js.map'",
    ]


def test_verify_against_knows_the_winners(run: Run, tmp_path: Path) -> None:
    twins = {"url": "u", "path": "p/q", "type": "source", "headers": {"debug-id": DEBUG_ID}}
    files = {name: {**twins} for name in ("z", "b", "\U0001f600", "\uffee", "B")}
    files["b"]["path"] = "p\\q"
    files["B"]["headers"] = {"debug-id": "invalid", "DEBUG-ID": DEBUG_ID}
    bundle = tmp_path / "twins.zip"
    bundle.write_bytes(build_bundle({name: name.encode() for name in files}, {"files": files}))
    assert run("convert", bundle).code == 0
    result = run("verify", bundle.with_suffix(".srcpack"), "--against", bundle)
    assert (result.code, result.err) == (0, "")


# ---- what reaches the terminal


def assert_harmless(text: str) -> None:
    assert all(char.isprintable() for line in text.split("\n") for char in line), ascii(text)


def test_no_control_character_of_a_name_reaches_the_terminal(run: Run, tmp_path: Path) -> None:
    manifest = {
        "files": {
            HOSTILE: {"type": "source", "url": HOSTILE, "headers": {"debug-id": DEBUG_ID}},
            f"{HOSTILE}gone": {"path": HOSTILE},
        },
        "source_links": {"x*": HOSTILE},
        HOSTILE: HOSTILE,
    }
    bundle = tmp_path / f"{HOSTILE}.zip"
    bundle.write_bytes(build_bundle({HOSTILE: b"content"}, manifest))
    pack = bundle.with_suffix(".srcpack")
    out = tmp_path / HOSTILE
    commands: Sequence[Sequence[object]] = [
        ("convert", bundle),
        ("convert", bundle),
        ("info", pack),
        ("ls", pack),
        ("ls", pack, "-l"),
        ("cat", pack, HOSTILE + "x"),
        ("cat", pack, f"{HOSTILE}gone"),
        ("cat", pack, "--path", "xx"),
        ("cat", pack, "--path", HOSTILE + "x"),
        ("find", pack, f"{pack}x", "--url", HOSTILE),
        ("find", pack, "--path", "xx"),
        ("extract", pack, "-o", out),
        ("extract", pack, "-o", out),
        ("verify", pack, "--against", bundle),
        ("export", pack, "-o", f"{out}.again"),
        ("ls", pack, HOSTILE + "x"),
        ("ls", pack, f"--{HOSTILE}"),
        (HOSTILE,),
    ]
    for command in commands:
        result = run(*command)
        assert result.out + result.err
        assert_harmless(result.out)
        assert_harmless(result.err)
        if command[0] not in ("export", "cat", "extract", HOSTILE):
            with_json = run(*command, "--json", *["--force"] * (command[0] == "convert"))
            assert with_json.out.isascii()
            assert_harmless(with_json.out)
    assert "[bold]x[red]" in run("ls", pack).out
    assert json.loads(run("ls", pack, "--json").out.splitlines()[0])["name"] == HOSTILE
    assert run("cat", pack, HOSTILE).out == "content"


def test_a_long_message_keeps_its_beginning_and_its_end(run: Run, pack: Path) -> None:
    result = run("cat", pack, "x" * 100_000)
    assert len(result.err) < 700
    assert result.err.startswith(f"error: {pack}: no entry 'xxx")
    assert result.err.endswith("xxx'\n")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_500, "1 MB")],
)
def test_sizes_are_told_in_three_digits(size: int, text: str) -> None:
    assert size_text(size) == text


# ---- as a whole program


def test_the_program_exits_with_the_code_of_its_command(main: Run) -> None:
    pack = PACKS / "app.srcpack"
    result = main("ls", pack)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == list(srcpack.open(pack))
    assert main("cat", pack, "none") == (1, "", f"error: {pack}: no entry 'none'\n")
    assert main("cat").code == 2


def test_the_module_is_the_program_where_it_is_run_and_only_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], main: Run
) -> None:
    expected = main("--version")
    # A process that was spawned imports the main module by another name.
    runpy.run_module("srcpack_convert.__main__", run_name="__mp_main__")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "argv", ["srcpack", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("srcpack_convert", run_name="__main__")
    assert (caught.value.code, *capsys.readouterr()) == expected == (0, expected.out, "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_command_after_it_cleaned_up(
    main: Run, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    for number in cli._SIGNALS:  # who runs the tests may ignore some, and then they stay ignored
        signal.signal(number, signal.SIG_DFL)
    cleaned: list[str] = []

    def command(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(getattr(signal, name))
        finally:
            signal.raise_signal(signal.SIGTERM)  # a second one does not end the cleaning up
            cleaned.append("up")
            raise OSError(errno.EIO, "and then that fails too")

    monkeypatch.setattr(cli, "app", command)
    assert main("ls") == (code, "", "error: interrupted\n" if name == "SIGINT" else "")
    assert cleaned == ["up"]


def test_a_signal_that_is_ignored_stays_so(main: Run) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert main("--version").code == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is cli._on_signal


class Unwritable(io.RawIOBase):
    """An output that gives an error, until it is repaired."""

    def __init__(self, number: int) -> None:
        self.number = number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        return len(data)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, (1, "", "error: <stdout>: No space left on device\n")),
        (errno.EPIPE, (128 + signal.SIGPIPE, "", "")),
    ],
)
def test_output_that_cannot_be_written_is_an_error_or_ends_it_quietly(
    main: Run, monkeypatch: pytest.MonkeyPatch, buffered: bool, number: int, expected: Result
) -> None:
    raw = Unwritable(number)
    below: Any = io.BufferedWriter(raw) if buffered else raw
    out = io.TextIOWrapper(below, write_through=not buffered)
    instead: list[int] = []

    def replaced(opened: int, place: int) -> None:
        os.close(opened)
        instead.append(place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup2", replaced)
        patch.setattr(sys, "stdout", out)
        result = main("ls", PACKS / "app.srcpack")
    raw.number = 0
    out.close()
    assert result == expected
    assert instead == [1] * buffered


def test_an_error_that_names_no_file_is_told_with_the_output_s_name(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    output = bundle.with_suffix(".srcpack")
    assert run("convert", bundle) == (1, "", f"error: {output}: No space left on device\n")
    assert os.listdir(bundle.parent) == [bundle.name]


def test_a_closed_output_is_an_error_only_for_what_is_printed(
    main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = PACKS / "app.srcpack"
    monkeypatch.setattr(sys, "stdout", None)
    assert main("ls", pack) == (1, "", "error: <stdout>: it is closed\n")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stderr", None)
    assert main("cat", pack, "none") == (1, "", "")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "error: out of memory\n"),
        (typer.Abort(), 130, ""),
        (OSError("no number"), 1, "error: no number\n"),
        (ValueError("an option is wrong"), 2, "error: an option is wrong\n"),
    ],
)
def test_what_a_command_raises_becomes_a_line_and_a_code(
    main: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def command(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", command)
    assert main("ls") == (code, "", message)


def test_an_error_of_the_program_itself_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(cli, "app", command)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        run("ls")


def test_a_terminal_shows_progress(run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    result = run("convert", bundle)
    assert result.code == 0
    assert "finishing" in terminal.getvalue()


# ---- as a process


def test_bytes_and_exit_code_of_a_process(pack: Path) -> None:
    process = start("cat", pack, "files/blob")
    assert process.communicate() == (FILES["files/blob"], b"")
    assert process.returncode == 0
    assert run_process("cat", pack, "none").code == 1
    assert run_process("cat").code == 2


@pytest.mark.parametrize("command", [["ls"], ["ls", "--long"], ["ls", "--json"]])
def test_nobody_reading_ends_it_quietly(tmp_path: Path, command: list[str]) -> None:
    pack = tmp_path / "many.srcpack"
    convert(build_bundle({f"{number:09}" * 10: b"" for number in range(3000)}, {}), pack, preset="fast")
    process = start(command[0], pack, *command[1:])
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_output_is_an_error(pack: Path) -> None:
    for command in (["info", pack], ["cat", pack, "files/main.c"]):
        with open("/dev/full", "wb") as full:
            result = run_process(*command, stdout=full)
        assert result == (1, "", "error: <stdout>: No space left on device\n")


def test_closed_output_is_an_error(pack: Path) -> None:
    shell = 'exec "$0" -m srcpack_convert ls "$1" >&-'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        ["sh", "-c", shell, sys.executable, pack],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (1, "error: <stdout>: it is closed\n")


def test_closed_stderr_is_no_error() -> None:
    shell = 'exec "$0" -m srcpack_convert cat "$1" none 2>&-'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = ["sh", "-c", shell, sys.executable, str(PACKS / "app.srcpack")]
    result = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (1, b"", b"")


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_leaves_no_file_and_the_old_pack(tmp_path: Path, name: str, code: int, jobs: int) -> None:
    noise = random.Random(1)
    files = {f"{number}": noise.randbytes(1_000_000).hex().encode() for number in range(8)}
    bundle, pack = tmp_path / "slow.zip", tmp_path / "slow.srcpack"
    bundle.write_bytes(build_bundle(files, {}, stored=True))
    pack.write_bytes(b"old")
    # A shell starts what is in the background with SIGINT ignored, nohup with SIGHUP: so it stays.
    process = start(
        "convert", bundle, "--force", "--level", 22, "--dictionary", "off", "--jobs", jobs,
        preexec_fn=partial(signal.signal, getattr(signal, name), signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*.tmp")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, b"")
    assert err in (b"", b"error: interrupted\n")
    assert sorted(os.listdir(tmp_path)) == ["slow.srcpack", "slow.zip"]
    assert pack.read_bytes() == b"old"


def test_full_disk_names_the_pack_and_leaves_no_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    noise = random.Random(1).randbytes(200_000)
    (tmp_path / "a.zip").write_bytes(build_bundle({"a": noise}, {}, stored=True))
    result = run_process(
        "convert",
        tmp_path / "a.zip",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    assert result == (1, "", f"error: {tmp_path / 'a.srcpack'}: File too large\n")
    assert os.listdir(tmp_path) == ["a.zip"]


def test_cores_are_counted_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_progress_is_drawn_on_a_terminal_only(bundle: Path) -> None:
    assert run_process("convert", bundle).err == ""
    leader, follower = pty.openpty()
    process = start("convert", bundle, "--force", stderr=follower)
    out, _ = process.communicate(timeout=60)
    os.close(follower)
    drawn = os.read(leader, 65536)
    os.close(leader)
    assert process.returncode == 0
    assert b"ing" in drawn
    assert out.startswith(bytes(bundle.with_suffix(".srcpack")))


def test_the_public_api_needs_no_command_line() -> None:
    assert srcpack_convert.__all__ == sorted(srcpack_convert.__all__)
    program = (
        "import sys, srcpack_convert; srcpack_convert.convert, srcpack_convert.export;"
        "assert not {'typer', 'rich'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
