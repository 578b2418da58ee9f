"""URLs of object stores: what is one, whose store and key it names, and that errors tell no secret."""

import errno
import os
import re
import socket
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from srcpack.source import object_stores as object_store
from srcpack.source.locations import is_url, local_path, path_or_url, without_secrets
from srcpack.source.object_stores import PATIENCE, Patience, check_process, locate, locate_folder
from srcpack.source.store_errors import errors_of
from support.range_server import RangeServer

SECRETS = ("hunter2", "SIGNED")


@pytest.fixture
def obstore(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    return pytest.importorskip("obstore", reason="no obstore: pip install 'srcpack[remote]'")


needs_obstore = pytest.mark.usefixtures("obstore")


# ---- what is a URL


@pytest.mark.parametrize("scheme", ["s3", "S3", "s3a", "gs", "az", "abfss", "http", "https", "file"])
def test_urls_are_known(scheme: str) -> None:
    assert is_url(f"{scheme}://host:8080/path?query")


@pytest.mark.parametrize(
    "text",
    ["", "app.zip", "/folder/app.zip", "C:\\app.zip", "c:/app.zip", "s3:bucket", "ftp://host/x", "a://b"],
)
def test_paths_and_other_schemes_are_no_urls(text: str) -> None:
    assert not is_url(text)


def test_file_urls_name_paths() -> None:
    assert local_path("file:///folder/a%20b%25.zip") == "/folder/a b%.zip"
    assert local_path("file://localhost/a") == "/a"
    assert local_path("file:///%FF") == "/\udcff"
    assert local_path("s3://bucket/key") is None
    assert path_or_url("file:///folder/a%20b.zip") == "/folder/a b.zip"
    assert path_or_url("s3://bucket/a%20b") == "s3://bucket/a%20b"
    for path in ("a%20b://c", "folder/s3://bucket", "C:/app.zip", "s3:bucket", "a:b"):
        assert path_or_url(path) == path
    with pytest.raises(ValueError, match=r"^file://server/share: a file of another host"):
        local_path("file://user:hunter2@server/share")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *[(f"{scheme}:///", "names no bucket or host") for scheme in ("s3", "S3", "gs", "az", "https")],
        ("s3://", "names no bucket or host"),
        ("https://:443/a.zip", "names no bucket or host"),
        ("https://host:port/a.zip", "no port"),
        ("file://", "names no file"),
        ("ftp://host/a", "ftp:// URLs cannot be used; a path of that name begins with ./"),
        ("s3:/bucket/a", "two slashes follow the scheme; a path of that name begins with ./"),
        ("HTTPS:/host/a", "two slashes follow the scheme"),
        ("file:/folder/a", "two slashes follow the scheme"),
    ],
)
def test_what_looks_like_a_url_and_is_none_is_never_taken_for_a_path(text: str, problem: str) -> None:
    """As where a variable for the bucket was empty, or `pathlib` made one slash of two."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}: .*{re.escape(problem)}"):
        path_or_url(text)
    assert path_or_url(f"./{text}") == f"./{text}"


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\ufeff", "\ufeff \r"])
def test_a_url_behind_a_blank_is_no_path(blank: str) -> None:
    """A variable or the first line of a list may have one; a destination would be a folder of that name."""
    with pytest.raises(ValueError, match="a URL begins with its scheme") as refused:
        path_or_url(f"{blank}https://user:hunter2@host/a?hunter2")
    assert "hunter2" not in str(refused.value)
    assert path_or_url(f"{blank}a:b") == f"{blank}a:b"


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [
        ("https:/", "@host/a"),
        ("ftp://", "@host/a?hunter2"),
        *(("https://", each) for each in ("@/?hunter2", "/?@host/a", "#@host/a")),
    ],
)
def test_a_url_is_refused_without_its_secrets(scheme: str, rest: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  no text but the secret matters
        path_or_url(f"{scheme}user:hunter2{rest}")
    assert "hunter2" not in str(refused.value)


# ---- secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a%20b.zip?X-Amz-Signature=SIGNED#part", "https://host/a%20b.zip"),
        ("https://user:hunter2@host:1/a", "https://host:1/a"),
        ("s3://key:hunter2@bucket/a", "s3://bucket/a"),
        ("az://container/a.zip?sv=1&sig=SIGNED", "az://container/a.zip"),
        ("s3://bucket/who?.zip", "s3://bucket/who?.zip"),
        ("s3://bucket/a?b=1/c#d", "s3://bucket/a?b=1/c#d"),
        ("abfss://container@account.dfs.core/a", "abfss://container@account.dfs.core/a"),
        ("abfss://container:hunter2@account/a", "abfss://account/a"),
        ("https://user:hunter2/hunter2@host/a", "https://host/a"),
        ("s3://KEY:hunter2/hunter2@bucket/a", "s3://bucket/a"),
        ("https://host:1/a@b", "https://host:1/a@b"),
        ("https://[::1]/a@b", "https://[::1]/a@b"),
        (" https://user:hunter2@host/a?hunter2", " https://host/a"),
        ("file:///a?b=1", "file:///a?b=1"),
        ("/plain/path?x=1", "/plain/path?x=1"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@needs_obstore
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://key:hunter2@bucket/a", "no user name"),
        ("abfss://container:hunter2@account/a", "no user name"),
        ("s3://bucket/a?X-Amz-Signature=SIGNED", "no query"),
        ("https://user:hunter2@/a?SIGNED", "names no bucket or host"),
        ("ftp://user:hunter2@host/a?SIGNED", "no URL of an object store"),
        ("https://user:hunter2@host/%ff?SIGNED", "not percent-encoded UTF-8"),
        ("https://user:hunter2@host/a%2Fb?SIGNED", "an encoded slash"),
        ("https://user:hunter2@host/?SIGNED", "names a folder"),
        ("https://user:hunter2@host/a//b?SIGNED", "empty part"),
    ],
)
def test_refusals_tell_no_secret(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        locate(url)
    assert not any(secret in str(caught.value) for secret in SECRETS)


# ---- stores and keys


@needs_obstore
@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("s3://bucket/folder/a.zip", "folder/a.zip"),
        ("s3://bucket/a b%20c#d?e/ü", "a b%20c#d?e/ü"),
        ("gs://bucket/a%2Fb", "a%2Fb"),
        ("https://host/a%20b%2520c/%C3%BC?sig=x#y", "a b%20c/ü"),
        ("file:///folder/a%20b", "folder/a b"),
    ],
)
def test_a_key_is_literal_in_buckets_and_decoded_elsewhere(url: str, key: str) -> None:
    assert locate(url)[1] == key


@needs_obstore
@pytest.mark.parametrize("key", ["a//b", "/a", "/", "../a", "./a", "a\nb"])
def test_keys_that_obstore_would_change_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        locate(f"s3://bucket/{key}")


@needs_obstore
@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/folder/"])
def test_a_folder_is_no_object(url: str) -> None:
    with pytest.raises(ValueError, match="names a folder"):
        locate(url)
    assert locate_folder(url)[1] == url.removeprefix("s3://bucket").strip("/")


@needs_obstore
def test_a_bucket_has_one_store_for_each_environment_and_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    store = locate("s3://bucket/a")[0]
    assert locate("s3://bucket/b")[0] is store
    assert locate("s3://other/a")[0] is not store
    assert locate("s3://bucket/a", patience=Patience(retries=1))[0] is not store
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert locate("s3://bucket/a")[0] is not store
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert locate("s3://bucket/a")[0] is store


def client_options(url: str) -> dict[str, Any]:
    store: Any = locate(url)[0]
    options: dict[str, Any] = store.client_options
    return options


@needs_obstore
def test_the_environment_decides_how_a_store_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert client_options("s3://bucket/a")["allow_http"] in {True, "true"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROXY_URL", "http://127.0.0.1:8")
    options = client_options("s3://bucket/a")
    assert options["proxy_url"] == "http://127.0.0.1:8"
    assert "allow_http" not in options
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    assert client_options("s3://bucket/a")["allow_http"] in {True, "true"}


@needs_obstore
def test_waiting_is_bounded() -> None:
    store: Any = locate("s3://bucket/a")[0]
    assert store.retry_config["max_retries"] == PATIENCE.retries
    assert store.retry_config["retry_timeout"].total_seconds() == PATIENCE.retry_for
    assert set(store.client_options) >= {"connect_timeout", "read_timeout", "timeout"}


# ---- errors


@needs_obstore
def test_what_a_block_raises_of_its_own_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing, errors_of("s3://bucket/a"):
        (tmp_path / "none").open()
    assert missing.value.filename == str(tmp_path / "none")
    with pytest.raises(KeyError), errors_of("s3://bucket/a"):
        raise KeyError


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection_is_an_error_of_connections(obstore: Any, scheme: str) -> None:
    with socket.socket() as bound:  # and not listening: it refuses
        bound.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        url = f"{scheme}://user:hunter2@{host}/a?SIGNED"
        store, key = locate(url, patience=Patience(retries=1, first_wait=0.01))
        with pytest.raises(ConnectionRefusedError) as caught, errors_of(url):
            obstore.head(store, key)
    assert caught.value.errno == errno.ECONNREFUSED
    assert caught.value.filename == f"{scheme}://{host}/a"
    assert str(caught.value).endswith(f"refused (after 1 retries): '{caught.value.filename}'")
    assert caught.value.__suppress_context__


_FAILED = "Generic S3 error: Error performing GET https://host/bucket/a?X-Amz-Signature=SIGNED in 3.2s"
_STATUS = f"{_FAILED} - status code:"
_NO_UPLOAD = "<Error><Code>NoSuchUpload</Code><Message>hunter2</Message></Error>"
# fmt: off
FAILURES = [
    ("GenericError",
        f"{_FAILED}, after 10 retries - status code: 503 Service Unavailable: <Code>SlowDown</Code>",
        errno.EIO, "the store failed (503 Service Unavailable, SlowDown, after 10 retries)"),
    ("GenericError", f"{_STATUS} 404 Not Found: <Code>NoSuchBucket</Code>",
        errno.ENOENT, "no such object or bucket (404 Not Found, NoSuchBucket)"),
    ("GenericError", "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 5s",
        errno.EACCES, "no credentials: none in the environment, and no cloud's metadata service answered"),
    ("GenericError", f"{_FAILED} - Received redirect without LOCATION, this normally indicates another one",
        errno.EIO, "the bucket is in another region (AWS_REGION)"),
    ("GenericError", f"{_FAILED} - HTTP error: dns error: no address for hunter2",
        errno.EHOSTUNREACH, "the host's name is not known"),
    ("GenericError", f"{_FAILED}, after 2 retries - HttpError {{ kind: Timeout }}",
        errno.ETIMEDOUT, "no answer in time (after 2 retries)"),
    ("NotFoundError", f"Object at location a not found: status code: 404 Not Found: {_NO_UPLOAD}",
        errno.EIO, "the upload failed, or was completed without an answer (404 Not Found, NoSuchUpload)"),
    ("PermissionDeniedError", f"{_STATUS} 403 Forbidden: <Code>AccessDenied</Code>",
        errno.EACCES, "the store refused the credentials (403 Forbidden, AccessDenied)"),
    ("UnauthenticatedError", _FAILED, errno.EACCES, "the store refused the credentials"),
    ("PreconditionError", _FAILED, errno.ESTALE, "the object was replaced meanwhile"),
    ("NotSupportedError", _FAILED, errno.ENOTSUP, "the store does not support this"),
    ("UnknownConfigurationKeyError", "Unable to take https://host/?SIGNED for \x1b[31ma key\nhunter2",
        errno.EIO, "Unable to take a URL for ?[31ma key"),
]
# fmt: on


@pytest.mark.parametrize(("kind", "text", "number", "reason"), FAILURES)
def test_of_a_failure_only_what_is_harmless_is_told(
    obstore: Any, kind: str, text: str, number: int, reason: str
) -> None:
    with pytest.raises(OSError) as caught, errors_of("s3://bucket/a"):  # noqa: PT011  compared whole
        raise getattr(obstore.exceptions, kind)(text)
    assert (caught.value.errno, caught.value.strerror) == (number, reason)
    assert caught.value.filename == "s3://bucket/a"


_ENDPOINTS = (
    *("", "x", "host:9000", "http://", "http:///x", "http://[", "://", "http://h:99999", "http://a b"),
    *("https://%zz", " http://h", "nonsense://user:hunter2@host"),
)
SETTINGS = [
    *(("s3", "AWS_ENDPOINT_URL", value) for value in _ENDPOINTS),
    *(("s3", f"AWS_{name}", "host") for name in ("ENDPOINT_URL_S3", "ENDPOINT_URL_STS", "METADATA_ENDPOINT")),
    *(("s3", f"AWS_{name}", "hunter2\n") for name in ("ACCESS_KEY_ID", "SESSION_TOKEN", "REGION")),
    *(("az", f"AZURE_{name}", "host:9000") for name in ("STORAGE_ENDPOINT", "AUTHORITY_HOST")),
    ("gs", "GOOGLE_BASE_URL", ""),
    ("s3", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/hunter2 "),
    ("gs", "GOOGLE_SERVICE_ACCOUNT", '{"private_key": "hunter2"}'),
    ("gs", "GOOGLE_APPLICATION_CREDENTIALS", ' {"private_key": "hunter2"}'),
]


@needs_obstore
@pytest.mark.parametrize(("scheme", "name", "value"), SETTINGS)
def test_a_setting_that_obstore_would_die_of_is_an_error_that_names_it(
    scheme: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match=f"^.{{0,20}}{name} (is|has)") as caught:
        locate(f"{scheme}://bucket/key")
    assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, f"{scheme}://bucket")
    assert "hunter2" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_panic_is_an_error(obstore: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a setting was not checked: it is a BaseException, as an interruption is."""
    from obstore.store import S3Store

    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    url = "s3://user:hunter2@bucket/key"
    with pytest.raises(OSError, match="obstore failed within itself") as caught, errors_of(url):
        obstore.head(S3Store("bucket", access_key_id="a", secret_access_key="b"), "key")
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, "s3://bucket/key")
    with pytest.raises(KeyboardInterrupt), errors_of(url):
        raise KeyboardInterrupt


def test_user_and_password_of_a_web_server_are_sent(obstore: Any) -> None:
    with RangeServer({"/a": b"content"}) as server:
        for user in ("us%C3%A9r:p%40ss:word@", "name@", ""):
            store, key = locate(server.url.replace("://", f"://{user}") + "/a")
            obstore.head(store, key)
        sent = [answer.authorization for answer in server.answers]
    texts = [text and b64decode(text.removeprefix("Basic ")).decode() for text in sent]
    assert texts == ["us\xe9r:p@ss:word", "name:", None]


@needs_obstore
def test_an_account_that_nobody_named_is_asked_for() -> None:
    with pytest.raises(OSError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        locate("az://container/a")


# ---- without obstore, and beside forks


def test_a_missing_obstore_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    for use in (lambda: locate("s3://never-asked-before/a"), lambda: errors_of("s3://bucket/a").__enter__()):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'srcpack\[remote\]'"):
            use()


FORKS = """
import os
from srcpack.source.object_stores import locate
for is_used in (False, True):
    child = os.fork()
    if child == 0:
        try:
            locate("s3://bucket/a")
        except RuntimeError as refused:
            os._exit(0 if is_used and "spawn" in str(refused) else 1)
        os._exit(1 if is_used else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    locate("s3://bucket/a")
"""


@needs_obstore
def test_a_fork_of_a_process_that_used_obstore_is_told_so_and_does_not_hang() -> None:
    """One that was forked before may use it."""
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


@needs_obstore
def test_a_process_that_was_forked_asks_no_store_that_was_used_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the fork's hook does in the child; that it runs there is tested above."""
    monkeypatch.setattr(object_store, "_forked", False)
    object_store._store.cache_clear()
    object_store._after_fork()
    check_process()
    locate("s3://bucket/a")
    object_store._after_fork()
    for use in (check_process, lambda: locate("s3://bucket/a")):
        with pytest.raises(RuntimeError, match="forked after obstore was used"):
            use()
