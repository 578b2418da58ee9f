"""URLs of object stores: what is one, whose store and key it names, and that errors tell no secret."""

import errno
import os
import subprocess
import sys

import pytest

from sourcepack.object_store import (
    PATIENCE,
    Patience,
    errors_of,
    is_url,
    local_path,
    locate,
    locate_folder,
    without_secrets,
)

SECRETS = ("hunter2", "SIGNED")


@pytest.fixture
def obstore(monkeypatch):
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    return pytest.importorskip("obstore", reason="no obstore: pip install 'sourcepack[remote]'")


needs_obstore = pytest.mark.usefixtures("obstore")


# ---- what is a URL


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/key",
        "S3://bucket/key",
        "s3a://bucket/key",
        "gs://bucket/key",
        "az://container/key",
        "abfss://container@account.dfs.core.windows.net/key",
        "http://host:8080/path",
        "https://host/path?query",
        "file:///folder/file",
    ],
)
def test_urls_are_known(text):
    assert is_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app.zip",
        "/folder/app.zip",
        "C:\\app.zip",
        "c:/app.zip",
        "s3:bucket",
        "ftp://host/x",
        "memory://x",
        "a://b",
    ],
)
def test_paths_and_other_schemes_are_no_urls(text):
    assert not is_url(text)


def test_file_urls_name_paths():
    assert local_path("file:///folder/a%20b%25.zip") == "/folder/a b%.zip"
    assert local_path("file://localhost/a") == "/a"
    assert local_path("file:///%FF") == "/\udcff"
    assert local_path("s3://bucket/key") is None
    with pytest.raises(ValueError, match="another host"):
        local_path("file://server/share")


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
        (
            "abfss://container@account.dfs.core.windows.net/a",
            "abfss://container@account.dfs.core.windows.net/a",
        ),
        ("abfss://container:hunter2@account/a", "abfss://account/a"),
        ("file:///a?b=1", "file:///a?b=1"),
        ("/plain/path?x=1", "/plain/path?x=1"),
    ],
)
def test_urls_are_shown_without_secrets(url, shown):
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
def test_refusals_tell_no_secret(url, problem):
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
def test_a_key_is_literal_in_buckets_and_decoded_elsewhere(url, key):
    assert locate(url)[1] == key


@needs_obstore
@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a//b",
        "s3://bucket//a",
        "s3://bucket//",
        "s3://bucket/../a",
        "s3://bucket/./a",
        "s3://bucket/a\nb",
    ],
)
def test_keys_that_obstore_would_change_are_refused(url):
    with pytest.raises(ValueError, match="cannot be read"):
        locate(url)


@needs_obstore
@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/folder/"])
def test_a_folder_is_no_object(url):
    with pytest.raises(ValueError, match="names a folder"):
        locate(url)
    assert locate_folder(url)[1] == url.removeprefix("s3://bucket").strip("/")


@needs_obstore
def test_a_bucket_has_one_store_for_each_environment_and_patience(monkeypatch):
    store = locate("s3://bucket/a")[0]
    assert locate("s3://bucket/b")[0] is store
    assert locate("s3://other/a")[0] is not store
    assert locate("s3://bucket/a", patience=Patience(retries=1))[0] is not store
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert locate("s3://bucket/a")[0] is not store
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert locate("s3://bucket/a")[0] is store


@needs_obstore
def test_the_environment_decides_how_a_store_is_reached(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert locate("s3://bucket/a")[0].client_options["allow_http"] in {True, "true"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROXY_URL", "http://127.0.0.1:8")
    options = locate("s3://bucket/a")[0].client_options
    assert options["proxy_url"] == "http://127.0.0.1:8"
    assert "allow_http" not in options
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    assert locate("s3://bucket/a")[0].client_options["allow_http"] in {True, "true"}


@needs_obstore
def test_waiting_is_bounded():
    store = locate("s3://bucket/a")[0]
    assert store.retry_config["max_retries"] == PATIENCE.retries
    assert store.retry_config["retry_timeout"].total_seconds() == PATIENCE.retry_for
    assert set(store.client_options) >= {"connect_timeout", "read_timeout", "timeout"}


# ---- errors


@needs_obstore
def test_what_a_block_raises_of_its_own_is_left_alone(tmp_path):
    with pytest.raises(FileNotFoundError) as missing, errors_of("s3://bucket/a"):
        (tmp_path / "none").open()
    assert missing.value.filename == str(tmp_path / "none")
    with pytest.raises(KeyError), errors_of("s3://bucket/a"):
        {}["a"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection_is_an_error_of_connections(obstore, scheme, unused_port):
    url = f"{scheme}://user:hunter2@127.0.0.1:{unused_port}/a?SIGNED"
    store, key = locate(url, patience=Patience(retries=1, first_wait=0.01))
    with pytest.raises(ConnectionRefusedError) as caught, errors_of(url):
        obstore.head(store, key)
    assert caught.value.errno == errno.ECONNREFUSED
    assert caught.value.filename == f"{scheme}://127.0.0.1:{unused_port}/a"
    assert str(caught.value).endswith(f"refused (after 1 retries): '{caught.value.filename}'")
    assert caught.value.__suppress_context__


@needs_obstore
def test_an_account_that_nobody_named_is_asked_for():
    with pytest.raises(OSError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        locate("az://container/a")


# ---- without obstore, and beside forks


def test_a_missing_obstore_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    for use in (lambda: locate("s3://never-asked-before/a"), lambda: errors_of("s3://bucket/a").__enter__()):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'sourcepack\[remote\]'"):
            use()


def test_importing_the_library_does_not_import_obstore():
    script = "import sys, sourcepack, sourcepack.object_store; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


FORK = """
import os, sys
from sourcepack.object_store import locate
if sys.argv[1] == "used":
    locate("s3://bucket/a")
child = os.fork()
if child == 0:
    try:
        locate("s3://bucket/a")
    except RuntimeError as error:
        os._exit(1 if "spawn" in str(error) else 3)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs_obstore
@pytest.mark.parametrize(("before", "code"), [("used", 1), ("unused", 0)])
def test_a_fork_of_a_process_that_used_obstore_is_told_so_and_does_not_hang(before, code):
    done = subprocess.run([sys.executable, "-c", FORK, before], check=False, timeout=60)
    assert done.returncode == code


@pytest.fixture
def unused_port():
    """Return a port that nobody listens on: it is bound, and refuses."""
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
