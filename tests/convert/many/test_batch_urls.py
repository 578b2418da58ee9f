"""Many bundles from and into buckets, against moto's S3 server in a process of its own."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import srcpack
from srcpack_convert import Inputs, convert_many, storage
from srcpack_convert.cli import convert_one as converting
from srcpack_convert.many import run_task as run_task_module
from srcpack_convert.many import up_to_date
from srcpack_convert.many.state import STATE_NAME
from srcpack_convert.one.convert import convert_bundle
from support.batches import batch, bundle_of, failure_of, json_lines, statuses, write
from support.commands import Run
from support.range_server import RangeServer
from support.s3_server import BUCKET, Bucket

pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")

URL = f"s3://{BUCKET}"
NAMES = ("a.zip", "c.zip", "other name")


@pytest.fixture
def bucket(bucket: Bucket) -> Bucket:
    """A bucket with three bundles, one of them not named so, and other files."""
    for key in ("in/a.zip", "in/b/c.zip", "in/b/other name"):
        bucket.write(key, bundle_of(key))
    bucket.write("in/notes", b"no bundle")
    bucket.write("in/x", b"x")
    return bucket


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


def all_of(status: str) -> dict[str, str]:
    return dict.fromkeys(NAMES, status)


def test_a_folder_of_a_bucket_is_converted_into_another(bucket: Bucket, fetches: list[str]) -> None:
    """What begins as a bundle; a second run fetches nothing, as ETags tell."""
    inputs = Inputs([f"{URL}/in/"])
    reports = batch(inputs, f"{URL}/out/")
    assert statuses(reports) == all_of("converted")
    assert inputs.ignored == 2
    assert bucket.keys("out") == ["out/a.srcpack", "out/b/c.srcpack", "out/b/other name.srcpack"]
    assert reports["a.zip"].output == f"{URL}/out/a.srcpack"
    with srcpack.open(f"{URL}/out/b/c.srcpack") as pack:
        assert pack["files/0.js"].text() == "f0('in/b/c.zip');\n"
    fetches.clear()
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out")) == all_of("skipped")
    assert fetches == []
    bucket.write("in/a.zip", bundle_of("IN/A.ZIP"))
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out")) == {**all_of("skipped"), "a.zip": "converted"}


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
    write(tmp_path / "in", ["d.zip"])
    for status in ("converted", "skipped"):
        assert statuses(batch([tmp_path / "in"], f"{URL}/up")) == {"d.zip": status}
    assert bucket.keys("up") == ["up/d.srcpack"]
    url = f"file://{tmp_path}"
    assert statuses(batch([f"{url}/in/"], f"{url}/files")) == {"d.zip": "converted"}
    assert (tmp_path / "files" / "d.srcpack").exists()


@pytest.mark.usefixtures("bucket")
def test_objects_that_are_named(fetches: list[str], tmp_path: Path) -> None:
    """By their last part; size and ETag are asked when their turn comes."""
    names = [f"{URL}/in/b/c.zip", f"{URL}/in/none.zip", f"{URL}/in/notes"]
    reports = batch(names, tmp_path / "out")
    assert statuses(reports) == {"c.zip": "converted", "none.zip": "failed", "notes": "failed"}
    assert failure_of(reports["none.zip"]).reason == "no such object"
    fetches.clear()
    assert statuses(batch(names[:1], tmp_path / "out")) == {"c.zip": "skipped"}
    assert fetches == []
    assert [each.relative for each in Inputs(names, base=f"{URL}/in")] == ["b/c.zip", "none.zip", "notes"]
    other = next(iter(Inputs([tmp_path / "x"], base=URL)))
    assert other.problem == "No such file or directory"


@pytest.mark.usefixtures("bucket")
def test_a_folder_named_without_its_slash_is_told_of_it(run: Run, tmp_path: Path) -> None:
    """In a batch, and where one object is to become one pack."""
    hint = "; a folder's URL ends with a slash"
    (failed,) = batch([f"{URL}/in"], tmp_path).values()
    assert failure_of(failed).reason == f"no such object{hint}"
    told = f"error: {URL}/in: no such object or bucket (404 Not Found){hint}\n"
    assert run("convert", f"{URL}/in", "-o", f"{tmp_path}/packs") == (1, "", told)


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
    sources = ["s3://no-such-bucket/none/", "https://example.invalid/x/", f"{URL}/in/"]
    reports = {report.source: report for report in convert_many(sources, tmp_path / "out")}
    assert failure_of(reports.pop(sources[0])).output is None
    web = failure_of(reports.pop(sources[1]))
    assert web.reason == "cannot be listed: a web server has no listing"
    assert [report.status for report in reports.values()] == ["converted"] * 3


def test_what_is_no_pack_is_not_replaced(bucket: Bucket) -> None:
    bucket.write("out/a.srcpack", b"x")
    bucket.write("out/b/c.srcpack", bundle_of("x"))
    reports = batch([f"{URL}/in/"], f"{URL}/out")
    assert statuses(reports) == {**all_of("failed"), "other name": "converted"}
    assert failure_of(reports["a.zip"]).reason == f"{URL}/out/a.srcpack: what is there is no pack"
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out", force=True)) == all_of("converted")


def test_a_pack_that_is_not_whole_is_made_again(bucket: Bucket) -> None:
    batch([f"{URL}/in/"], f"{URL}/out")
    whole = bucket.read("out/a.srcpack")
    assert whole
    bucket.write("out/a.srcpack", whole[:-1])
    assert statuses(batch([f"{URL}/in/"], f"{URL}/out")) == {**all_of("skipped"), "a.zip": "converted"}


def test_secrets_are_in_no_report(tmp_path: Path) -> None:
    with RangeServer({"/x.zip": bundle_of("x")}) as server:
        secret = server.url.replace("//", "//user:hunter2@") + "/none.zip?signature=hunter2"
        reports = list(batch([secret, secret.replace("none", "x")], tmp_path).values())
    assert {report.source for report in reports} == {f"{server.url}/none.zip", f"{server.url}/x.zip"}
    assert "hunter2" not in json.dumps([report.as_json() for report in reports])
    assert b"hunter2" not in pickle.dumps(reports)
    assert "hunter2" not in repr(reports)
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    (found,) = Inputs([secret])
    assert found.relative == "none.zip"


def test_a_web_server_is_no_destination_and_is_not_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"http://x/y: http:// and https:// URLs are for reading only"):
        convert_many([], "http://x/y")
    monkeypatch.setattr(converting, "head", None)
    write(tmp_path, ["a.zip"])
    told = "error: https://host.invalid/a.srcpack: http:// and https:// URLs are for reading only\n"
    assert run("convert", tmp_path / "a.zip", "-o", "https://u:p@host.invalid/a.srcpack") == (1, "", told)


@pytest.mark.slow
def test_the_command_converts_a_bucket(bucket: Bucket, run: Run, tmp_path: Path) -> None:
    """In processes, whose environment is this one's; also a single object."""
    into = (f"{URL}/in/", "-o", f"{URL}/out/")
    code, out, err = run("convert", *into, "--report", tmp_path / "report", "--no-progress")
    assert (code, err) == (0, "")
    assert out.startswith("3 bundles: 3 converted; ")
    assert {line["source"] for line in json_lines(tmp_path / "report")} == {
        f"{URL}/in/{name}" for name in ("a.zip", "b/c.zip", "b/other name")
    }
    code, out, err = run("convert", *into)
    assert (code, err) == (0, "")
    assert out.startswith("nothing to convert: 3 bundles, up to date; 2 other files passed over; ")
    code, out, err = run("convert", f"{URL}/in/", "-o", f"{URL}/new/", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, f"convert {URL}/in/a.zip -> {URL}/new/a.srcpack")
    assert "Z 3 bundles: 3 to convert; 2 other files passed over; " in err
    assert bucket.keys("new") == []

    one = f"{URL}/in/a.zip"
    assert run("convert", one).out.startswith(f"{URL}/in/a.srcpack: 2 files of ")
    assert run("convert", one) == (0, f"{URL}/in/a.srcpack: up to date\n", "")
    bucket.write("in/a.srcpack", bundle_of("another"))
    assert run("convert", one).code == 1
    assert run("convert", one, "--force", "-o", tmp_path / "a.srcpack").code == 0
    assert srcpack.open(tmp_path / "a.srcpack")["files/0.js"].text() == "f0('in/a.zip');\n"
