"""Many bundles from and into buckets, against moto's S3 server in a process of its own."""

import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import srcpack
from srcpack_convert import BatchReport, FailureReport, Inputs, convert_many, storage
from srcpack_convert.cli import convert_one as converting
from srcpack_convert.cli import main as cli
from srcpack_convert.many import run_task as run_task_module
from srcpack_convert.many import up_to_date
from srcpack_convert.many.state import STATE_NAME
from srcpack_convert.one.convert import convert_bundle
from support.bundle_builder import build_bundle
from support.range_server import RangeServer
from support.s3_server import BUCKET, S3Server

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

URL = f"s3://{BUCKET}"


def bundle_of(text: str) -> bytes:
    return build_bundle({"x.js": f"f('{text}');\n".encode()}, {"files": {"x.js": {"type": "source"}}})


class Bucket(NamedTuple):
    client: Any

    def write(self, *keys: str, content: bytes | None = None) -> None:
        for key in keys:
            body = bundle_of(key) if content is None else content
            self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def keys(self, prefix: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]


@pytest.fixture
def bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket with three bundles, one of them not named so, and another file."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    empty = Bucket(s3.empty())
    empty.write("in/a.zip", "in/b/c.zip", "in/b/other name")
    empty.write("in/notes", content=b"no bundle")
    empty.write("in/x", content=b"x")
    return empty


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that are fetched whole."""
    urls: list[str] = []

    def recorded(call: Any) -> Any:
        def record(url: str, *args: Any, **options: Any) -> Any:
            urls.append(url)
            return call(url, *args, **options)

        return record

    monkeypatch.setattr(run_task_module, "convert_bundle", recorded(convert_bundle))
    monkeypatch.setattr(up_to_date, "fetched", recorded(storage.fetched))
    return urls


def batch(sources: Any, destination: object, **options: Any) -> dict[str, BatchReport]:
    with ThreadPoolExecutor(2) as executor:
        options = {"executor": executor, "jobs": 2, **options}
        reports = list(convert_many(sources, str(destination), **options))
    return {report.source: report for report in reports}


def statuses(reports: dict[str, BatchReport]) -> dict[str, str]:
    return {source: report.status for source, report in reports.items()}


def all_of(status: str) -> dict[str, str]:
    return {f"{URL}/in/{name}": status for name in ("a.zip", "b/c.zip", "b/other name")}


def test_a_folder_of_a_bucket_is_converted_into_another(bucket: Bucket, fetches: list[str]) -> None:
    """What begins as a bundle; a second run fetches nothing, as ETags tell."""
    inputs = Inputs([f"{URL}/in/"])
    reports = batch(inputs, f"{URL}/out/")
    assert statuses(reports) == all_of("converted")
    assert inputs.ignored == 2
    assert bucket.keys("out") == ["out/a.srcpack", "out/b/c.srcpack", "out/b/other name.srcpack"]
    assert reports[f"{URL}/in/a.zip"].output == f"{URL}/out/a.srcpack"
    with srcpack.open(f"{URL}/out/b/c.srcpack") as pack:
        assert pack["x.js"].text() == "f('in/b/c.zip');\n"
    fetches.clear()
    assert statuses(batch([f"{URL}/in" + "/"], f"{URL}/out")) == all_of("skipped")
    assert fetches == []
    bucket.write("in/a.zip", content=bundle_of("IN/A.ZIP"))
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out")) == {
        **all_of("skipped"), f"{URL}/in/a.zip": "converted",
    }  # fmt: skip


@pytest.mark.usefixtures("bucket")
def test_what_is_not_remembered_is_fetched_and_compared(fetches: list[str], tmp_path: Path) -> None:
    batch([f"{URL}/in/"], f"{URL}/out")
    (state,) = (tmp_path / "cache" / "srcpack").iterdir()
    state.unlink()
    fetches.clear()
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out")) == all_of("skipped")
    assert len(fetches) == 3
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out", checksum=True)) == all_of("skipped")
    assert len(fetches) == 6


def test_between_a_bucket_and_a_folder(bucket: Bucket, fetches: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert statuses(batch([f"{URL}/in/"], out)) == all_of("converted")
    fetches.clear()
    assert statuses(batch([f"{URL}/in/"], out)) == all_of("skipped")
    assert fetches == []
    assert sorted(os.listdir(out)) == [STATE_NAME, "a.srcpack", "b"]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "d.zip").write_bytes(bundle_of("d"))
    for status in ("converted", "skipped"):
        assert statuses(batch([tmp_path / "in"], f"{URL}/up")) == {f"{tmp_path}/in/d.zip": status}
    assert bucket.keys("up") == ["up/d.srcpack"]
    url = f"file://{tmp_path}"
    assert statuses(batch([f"{url}/in/"], f"{url}/files")) == {f"{tmp_path}/in/d.zip": "converted"}
    assert (tmp_path / "files" / "d.srcpack").exists()


@pytest.mark.usefixtures("bucket")
def test_objects_that_are_named(fetches: list[str], tmp_path: Path) -> None:
    """By their last part; size and ETag are asked when their turn comes."""
    names = [f"{URL}/in/b/c.zip", f"{URL}/in/none.zip", f"{URL}/in/notes"]
    reports = batch(names, tmp_path / "out")
    assert statuses(reports) == dict(zip(names, ["converted", "failed", "failed"], strict=True))
    failed = reports[names[1]]
    assert isinstance(failed, FailureReport)
    assert failed.reason == "no such object"
    fetches.clear()
    assert statuses(batch(names[:1], tmp_path / "out")) == {names[0]: "skipped"}
    assert fetches == []
    assert [each.relative for each in Inputs(names, base=f"{URL}/in")] == ["b/c.zip", "none.zip", "notes"]
    other = next(iter(Inputs([tmp_path / "x"], base=URL)))
    assert other.problem == "No such file or directory"


@pytest.mark.usefixtures("bucket")
def test_a_folder_named_without_its_slash_is_told_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a batch, and where one object is to become one pack."""
    hint = "; a folder's URL ends with a slash"
    (failed,) = batch([f"{URL}/in"], tmp_path).values()
    assert isinstance(failed, FailureReport)
    assert failed.reason == f"no such object{hint}"
    assert cli.run(["convert", f"{URL}/in", "-o", f"{tmp_path}/packs"]) == 1
    told = f"error: {URL}/in: no such object or bucket (404 Not Found){hint}\n"
    assert capfd.readouterr() == ("", told)


@pytest.mark.usefixtures("bucket")
def test_a_listing_can_be_chosen_from() -> None:
    def chosen(**options: Any) -> list[str]:
        return [each.relative for each in Inputs([f"{URL}/in/"], **options)]

    assert chosen() == ["a.zip", "b/c.zip", "b/other name", "notes"]
    assert chosen(include=["*.zip"]) == ["a.zip", "b/c.zip"]
    assert chosen(exclude=["b"]) == ["a.zip", "notes"]
    assert [each.relative for each in Inputs([URL], include=["*.zip"])] == ["in/a.zip", "in/b/c.zip"]


@pytest.mark.usefixtures("bucket")
def test_what_cannot_be_listed_fails_and_the_rest_does_not(tmp_path: Path) -> None:
    sources = ["s3://no-such-bucket/", "https://example.invalid/x/", f"{URL}/in/"]
    reports = batch(sources, tmp_path / "out")
    assert statuses(reports) == {
        "s3://no-such-bucket/": "failed", "https://example.invalid/x/": "failed", **all_of("converted"),
    }  # fmt: skip
    failed = reports["https://example.invalid/x/"]
    assert isinstance(failed, FailureReport)
    assert failed.reason == "cannot be listed: a web server has no listing"


def test_what_is_no_pack_is_not_replaced(bucket: Bucket) -> None:
    bucket.write("out/a.srcpack", content=b"x")
    bucket.write("out/b/c.srcpack", content=bundle_of("x"))
    reports = batch([f"{URL}/in/"], f"{URL}/out")
    assert statuses(reports) == {**all_of("failed"), f"{URL}/in/b/other name": "converted"}
    failed = reports[f"{URL}/in/a.zip"]
    assert isinstance(failed, FailureReport)
    assert failed.reason == f"{URL}/out/a.srcpack: what is there is no pack"
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out", force=True)) == all_of("converted")


def test_a_pack_that_is_not_whole_is_made_again(bucket: Bucket) -> None:
    batch([f"{URL}/in/"], f"{URL}/out")
    whole = bucket.client.get_object(Bucket=BUCKET, Key="out/a.srcpack")["Body"].read()
    bucket.write("out/a.srcpack", content=whole[:-1])
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out")) == {
        **all_of("skipped"), f"{URL}/in/a.zip": "converted",
    }  # fmt: skip


def test_secrets_are_in_no_report(tmp_path: Path) -> None:
    with RangeServer({"/x.zip": bundle_of("x")}) as server:
        secret = server.url.replace("//", "//user:hunter2@") + "/none.zip?signature=hunter2"
        reports = list(
            convert_many([secret, secret.replace("none", "x")], tmp_path, executor=ThreadPoolExecutor(1))
        )
    assert {report.source for report in reports} == {f"{server.url}/none.zip", f"{server.url}/x.zip"}
    assert "hunter2" not in json.dumps([report.as_json() for report in reports])
    assert b"hunter2" not in pickle.dumps(reports)
    assert "hunter2" not in repr(reports)
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    (found,) = Inputs([secret])
    assert found.relative == "none.zip"


def test_web_servers_are_no_destination() -> None:
    with pytest.raises(ValueError, match=r"http://x/y: http:// and https:// URLs are for reading only"):
        convert_many([], "http://x/y")


def test_a_web_server_is_no_destination_of_one_and_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(converting, "head", None)
    (tmp_path / "a.zip").write_bytes(bundle_of("a"))
    assert cli.run(["convert", f"{tmp_path}/a.zip", "-o", "https://u:p@host.invalid/a.srcpack"]) == 1
    told = "error: https://host.invalid/a.srcpack: http:// and https:// URLs are for reading only\n"
    assert capfd.readouterr() == ("", told)


@pytest.mark.slow
def test_the_command_converts_a_bucket(
    bucket: Bucket, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In processes, whose environment is this one's; also a single object."""

    def run(*args: object) -> tuple[int, str, str]:
        code = cli.run(["convert", *map(str, args)])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    code, out, err = run(f"{URL}/in/", "-o", f"{URL}/out/", "--report", tmp_path / "report", "--no-progress")
    assert (code, err) == (0, "")
    assert out.startswith("3 bundles: 3 converted; ")
    lines = [json.loads(line) for line in (tmp_path / "report").read_text().splitlines()]
    assert {line["source"] for line in lines} == set(all_of(""))
    code, out, err = run(f"{URL}/in/", "-o", f"{URL}/out/")
    assert (code, err) == (0, "")
    assert out.startswith("nothing to convert: 3 bundles, up to date; 2 other files passed over; ")
    code, out, err = run(f"{URL}/in/", "-o", f"{URL}/new/", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, f"convert {URL}/in/a.zip -> {URL}/new/a.srcpack")
    assert "Z 3 bundles: 3 to convert; 2 other files passed over; " in err
    assert bucket.keys("new") == []

    assert run(f"{URL}/in/a.zip")[1].startswith(f"{URL}/in/a.srcpack: 1 file of ")
    assert run(f"{URL}/in/a.zip") == (0, f"{URL}/in/a.srcpack: up to date\n", "")
    bucket.write("in/a.srcpack", content=bundle_of("another"))
    assert run(f"{URL}/in/a.zip")[0] == 1
    assert run(f"{URL}/in/a.zip", "--force", "-o", tmp_path / "a.srcpack")[0] == 0
    assert srcpack.open(tmp_path / "a.srcpack")["x.js"].text() == "f('in/a.zip');\n"
