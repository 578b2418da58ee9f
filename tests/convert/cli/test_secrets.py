"""User name, password and query of a URL are secrets: nothing printed, written or pickled has them."""

import io
import pickle
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer

import srcpack
import srcpack_convert
from srcpack.source.object_stores import PATIENCE
from srcpack_convert.cli import main as cli
from srcpack_convert.storage import UPLOAD_PATIENCE, StoredObject, fetched, head, list_objects, put
from support.bundle_builder import build_bundle
from support.commands import FILES, MANIFEST, Run
from support.places import BUNDLES, PACKS
from support.range_server import RangeServer

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

MARK = "hunter2"
NAMES = ("app.srcpack", "app.zip", "junk.srcpack", "junk.zip", "cut.srcpack")

# What each command is given; {names} are URLs that have a secret in every place where one can be.
PACKS_OR_NOT = ["{app.srcpack}", "{app.zip}", "{junk.srcpack}", "{gone}", "{refused}", "{s3}", "{elsewhere}"]
PLACES = [*PACKS_OR_NOT, "{cut.srcpack}", "{one-slash}", "{nowhere}", "{unknown}", "{folder}"]
COMMANDS: dict[str, list[list[str]]] = {
    "convert": [
        ["{app.zip}", "-o", "{tmp}/app.zip.out"],
        *([place, "-o", "{tmp}/out.srcpack", "--force"] for place in [*PLACES, "{junk.zip}"]),
        *(["{tmp}/app.zip", "-o", place] for place in PLACES),
        *(["{tmp}/app.zip", "-o", "{tmp}/x.srcpack", "--dictionary", place] for place in PLACES),
        [
            *("{app.zip}", "{junk.zip}", "{gone}", "{refused}", "{tmp}/app.zip", "-o", "{tmp}/many/"),
            *("--report", "{tmp}/report", "--errors-to", "{tmp}/errors", "--state", "{tmp}/state", "-v"),
        ],
        *(["{tmp}/app.zip", place, "-o", "{tmp}/many/", "--dry-run"] for place in PLACES),
        *(["{tmp}/app.zip", "{tmp}/app.zip", "-o", place, "--dry-run"] for place in PLACES),
        *(
            ["{tmp}/app.zip", "-o", "{tmp}/many/", "--dry-run", option, place]
            for option in ("--report", "--errors-to", "--state", "--base", "--files-from", "--scheduler")
            for place in ("{gone}", "{s3}", "{elsewhere}", "{one-slash}")
        ),
    ],
    "info": [[place] for place in PLACES],
    "ls": [*([place, "--long"] for place in PLACES), ["{app.srcpack}", "nothing/"]],
    "cat": [*([place, "loose"] for place in PLACES), ["{app.srcpack}", "nothing"]],
    "find": [["--url", "~/app.js", *PLACES], ["--url", "~/app.js", "{app.srcpack}"]],
    "extract": [
        *([place, "-o", "{tmp}/sources"] for place in PLACES),
        *(["{tmp}/app.srcpack", "-o", place] for place in PLACES),
    ],
    "verify": [
        *([place] for place in PLACES),
        PLACES,
        ["{app.srcpack}", "--against", "{tmp}/app.zip"],
        ["{app.srcpack}", "--against", "{tmp}/other.zip"],
        *(["{tmp}/app.srcpack", "--against", place] for place in PLACES),
    ],
    "check": [*([place] for place in PLACES), PLACES],
    "resolve": [
        *([place, "--at", "https://host/app.js:1:1", "--explain"] for place in PLACES),
        *(["{app.srcpack}", place] for place in PLACES),
    ],
    "export": [
        *([place, "-o", "{tmp}/out.zip", "--force"] for place in PLACES),
        *(["{tmp}/app.srcpack", "-o", place] for place in PLACES),
    ],
    "bench": [
        *([place] for place in PLACES),
        *(["{tmp}/app.zip", "--plot", place] for place in PLACES),
    ],
    "catalog": [
        *(["{tmp}/app.srcpack", place, "-o", "{tmp}/catalog.db"] for place in PLACES),
        *(["{tmp}/app.srcpack", "-o", place] for place in PLACES),
    ],
    "stats": [
        [place, "--index", "{tmp}/index.jsonl", "--force"] for place in PLACES
    ] + [["{tmp}/app.srcpack", "--index", place] for place in PLACES] + [PLACES],
    "train": [
        *([place, "-o", "{tmp}/dictionary", "--force"] for place in PLACES),
        *(["{tmp}/app.zip", "-o", place] for place in PLACES),
        ["{tmp}/large.zip", "{gone}", "-o", "{tmp}/dictionary", "--size", "4K", "--force"],
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    bundle = build_bundle(FILES, MANIFEST)
    path = tmp_path_factory.mktemp("files") / "app.srcpack"
    srcpack_convert.convert(bundle, path)
    pack = path.read_bytes()
    return {
        "app.srcpack": pack,
        "app.zip": bundle,
        "junk.srcpack": b"junk" * 100,
        "junk.zip": b"PK\3\4" + b"junk" * 100,
        "cut.srcpack": pack[:-1],
    }


@pytest.fixture(autouse=True)
def impatience() -> Iterator[None]:
    """Ask a store that does not answer once, and not for a minute."""
    patience = [PATIENCE, UPLOAD_PATIENCE]
    retries = [each.retries for each in patience]
    for each in patience:
        object.__setattr__(each, "retries", 0)
    yield
    for each, number in zip(patience, retries, strict=True):
        object.__setattr__(each, "retries", number)


@pytest.fixture
def places(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "large.zip").write_bytes((BUNDLES / "many.zip").read_bytes())
    (tmp_path / "other.zip").write_bytes(build_bundle({**FILES, "loose": b"another"}, MANIFEST))
    with (
        RangeServer({f"/{name}?token={MARK}": data for name, data in files.items()}) as server,
        socket.socket() as bound,
    ):
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        host = server.url.removeprefix("http://")
        user = f"{MARK}:{MARK}@"
        yield {
            **{name: f"http://{user}{host}/{name}?token={MARK}" for name in files},
            "gone": f"http://{user}{host}/gone.zip?token={MARK}",
            "refused": f"http://{user}127.0.0.1:{bound.getsockname()[1]}/app.zip?token={MARK}",
            "s3": f"s3://{user}bucket/app.zip?token={MARK}",
            "elsewhere": f"file://{user}host/app.zip?token={MARK}",
            "one-slash": f"http:/{user}{host}/app.zip?token={MARK}",
            "nowhere": f"https://{user}?token={MARK}",
            "unknown": f"ftp://{user}host/app.zip?token={MARK}",
            "folder": f"http://{user}{host}/folder/?token={MARK}",
            "tmp": str(tmp_path),
        }


def filled(args: list[str], places: dict[str, str]) -> list[str]:
    for name, place in places.items():
        args = [arg.replace(f"{{{name}}}", place) for arg in args]
    return args


def test_every_command_is_tried() -> None:
    group: Any = typer.main.get_command(cli.app)
    assert set(COMMANDS) == set(group.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_or_writes_a_secret(
    run: Run, places: dict[str, str], tmp_path: Path, command: str
) -> None:
    codes = set()
    leaks: list[tuple[Any, str]] = []
    for args in COMMANDS[command]:
        results = [run(command, *filled(args, places))]
        if results[0].out:  # else it would be the same error
            results.append(run(command, *filled(args, places), "--json"))
        for result in results:
            codes.add(result.code)
            assert result.out + result.err, args
            leaks += [(args, line) for line in (result.out + result.err).splitlines() if MARK in line]
    for path in tmp_path.rglob("*"):
        if MARK in path.name or (path.is_file() and MARK.encode() in path.read_bytes()):
            leaks.append((str(path.relative_to(tmp_path)), "on the disk"))
    assert leaks == []
    assert codes & {0, 3} or command == "bench"  # which takes no URL
    assert codes & {1, 2}


def test_a_resolved_frame_tells_its_bundle_without_a_secret(run: Run) -> None:
    pytest.importorskip("symbolic", reason="PyPI symbolic looks the position up")
    with RangeServer({f"/app.srcpack?token={MARK}": (PACKS / "app.srcpack").read_bytes()}) as server:
        url = f"{server.url.replace('//', f'//{MARK}:{MARK}@')}/app.srcpack?token={MARK}"
        place = "https://shop.example/static/app.min.js:1:60"
        result = run("resolve", url, "--at", place, "--json", "--explain")
    assert '"bundled"' in result.out
    assert MARK not in result.out + result.err


def test_a_file_that_is_named_by_its_url_is_called_by_that_without_a_secret(tmp_path: Path) -> None:
    class Remote(io.BytesIO):
        name = f"https://{MARK}:{MARK}@host/a?token={MARK}"

    pack = tmp_path / "a.srcpack"
    report = srcpack_convert.convert(Remote(build_bundle(FILES, MANIFEST)), pack)
    assert (report.source, report.output) == ("https://host/a", str(pack))
    assert srcpack_convert.export(pack, Remote()).output == "https://host/a"
    assert srcpack.open(Remote(pack.read_bytes())).file == "https://host/a"


THREAD = ThreadPoolExecutor(1)
CALLS: list[Callable[[str], object]] = [
    lambda url: srcpack.open(url)["nothing"],
    lambda url: srcpack.open(url).by_url("nothing"),
    lambda url: srcpack.verify(srcpack.open(url)),
    lambda url: srcpack_convert.convert(url, "out.srcpack"),
    lambda url: srcpack_convert.convert("app.zip", url),
    lambda url: srcpack_convert.export(url, "out.zip"),
    lambda url: srcpack_convert.export("app.srcpack", url),
    lambda url: list(srcpack_convert.convert_many([url], "many", executor=THREAD)),
    lambda url: list(srcpack_convert.convert_many(["app.zip"], url, executor=THREAD)),
    lambda url: list(list_objects(url)),
    lambda url: put("app.zip", url),
    head,
    lambda url: fetched(url).__enter__(),
]


@pytest.mark.parametrize("call", range(len(CALLS)))
def test_no_report_and_no_error_has_a_secret_when_it_is_pickled(places: dict[str, str], call: int) -> None:
    del places["tmp"]
    leaks = []
    for name, url in places.items():
        try:
            told = CALLS[call](url)
        except Exception as error:  # noqa: BLE001  whichever it is
            told = [error, str(error)]
        # A pack and an entry are opened again by their URL, which pickles have; so has what a listing gives.
        if not isinstance(
            told, srcpack.Pack | srcpack.Entry | StoredObject
        ) and MARK.encode() in pickle.dumps(told):
            leaks.append((name, told))
    assert leaks == []
