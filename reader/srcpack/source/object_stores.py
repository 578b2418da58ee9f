"""URLs of object stores, as obstore's stores and their keys; obstore is imported with the first of them.

with errors_of(url):
store, key = locate(url)
obstore.get_range(store, key, start=0, length=4096)
"""

import errno
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from srcpack.source.locations import BUCKETS, is_web, parse_url, without_secrets
from srcpack.source.store_errors import errors_of, obstore_missing

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

__all__ = ["PATIENCE", "Patience", "check_process", "locate", "locate_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a store is waited for, and how often it is asked again.

    Asked again are: status 5xx, 429 and 408, connections refused or cut, and time-outs.

    Attributes:
        connect: Seconds for a connection.
        idle: Seconds without a byte of the answer; for an upload, seconds for one request of it.
        whole: Seconds for one request with its answer.
        retries: How often one request is repeated at most.
        retry_for: Seconds after the request's start in which it is repeated.
        first_wait: Seconds before the first repetition; each further wait is about twice as long.
        longest_wait: Seconds between two requests at most.
    """

    connect: float = 5
    idle: float = 30
    whole: float = 3600
    retries: int = 10
    retry_for: float = 60
    first_wait: float = 0.1
    longest_wait: float = 10


PATIENCE = Patience()

_STORES = 64
"""Stores that a process keeps. Each has its connections."""

_ENVIRONMENT = {"S3Store": "AWS_", "GCSStore": "GOOGLE_", "AzureStore": "AZURE_"}
_CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
)
"""What obstore reads from the environment only where it is given no options at all."""

_ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
_ADDRESSES = (
    *_ENDPOINTS,
    "AWS_ENDPOINT_URL_STS",
    "AWS_METADATA_ENDPOINT",
    "AZURE_AUTHORITY_HOST",
    "AZURE_STORAGE_AUTHORITY_HOST",
    "AZURE_IDENTITY_ENDPOINT",
    "AZURE_MSI_ENDPOINT",
)
"""Variables with an address of a server: obstore panics where it is not an address."""

_PATH_OF_SERVER = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_KEY_FILES = {
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_APPLICATION_CREDENTIALS",
}
_OF_MANY_LINES = {"GOOGLE_SERVICE_ACCOUNT_KEY", "AZURE_FEDERATED_TOKEN"}


def locate(url: str, *, patience: Patience = PATIENCE) -> tuple["ObjectStore", str]:
    """Return the store of a URL's bucket (host, root folder), and the object's key there.

    A process keeps the stores, each with its connections, by what is before the path in the URL, the
    environment and the patience. Credentials, endpoint and region come from the environment that the stores'
    own tools use: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
    `AZURE_STORAGE_ACCOUNT_NAME` and so on. Hand URLs to other processes, never stores.

    Raises ValueError if it is no URL of an object that obstore can name, OSError if the store refuses its
    settings, ModuleNotFoundError if obstore is not installed; RuntimeError as `check_process`.
    """
    store, key = locate_folder(url, patience=patience)
    if not key or url.endswith("/"):
        raise ValueError(f"{without_secrets(url)}: names a folder, not an object")
    return store, key


def locate_folder(url: str, *, patience: Patience = PATIENCE) -> tuple["ObjectStore", str]:
    """Return the store of a URL, and the key of a folder there, without a slash at its end; see `locate`."""
    parts = parse_url(url)
    shown = without_secrets(url)
    path = parts.path.removeprefix("/")
    key = path.removesuffix("/")
    if path and any(part in {"", ".", ".."} or not part.isprintable() for part in key.split("/")):
        raise ValueError(
            f"{shown!a}: a key with an empty part, a part . or .., or control characters cannot be read"
        )
    check_process()
    return _store(parts.scheme, parts.authority, parts.query, patience, _environment(parts.scheme)), key


def check_process() -> None:
    """Refuse a process that was forked from one that had used obstore, by RuntimeError: threads are gone."""
    if _forked:
        raise RuntimeError(
            "this process was forked after obstore was used, and would wait for threads that it does not "
            "have: start processes with multiprocessing's spawn or forkserver"
        )


def _environment(scheme: str) -> frozenset[tuple[str, str]]:
    """Return the variables that decide how a store is reached: with others it is another store."""
    prefix = _ENVIRONMENT.get(BUCKETS.get(scheme, ""))
    if prefix is None:
        return frozenset()
    return frozenset(item for item in os.environ.items() if item[0].upper().startswith(prefix))


@lru_cache(maxsize=_STORES)
def _store(
    scheme: str, authority: str, query: str, patience: Patience, environment: frozenset[tuple[str, str]]
) -> "ObjectStore":
    try:
        from obstore import store as stores  # noqa: PLC0415  optional, and slow to import
    except ModuleNotFoundError:
        raise obstore_missing() from None
    if scheme == "file":
        return stores.LocalStore()
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=patience.connect),
        "read_timeout": timedelta(seconds=patience.idle),
        "timeout": timedelta(seconds=patience.whole),
    }
    retry: RetryConfig = {
        "max_retries": patience.retries,
        "retry_timeout": timedelta(seconds=patience.retry_for),
        "backoff": {
            "init_backoff": timedelta(seconds=patience.first_wait),
            "max_backoff": timedelta(seconds=patience.longest_wait),
            "base": 2,
        },
    }
    made: ObjectStore
    url = f"{scheme}://{authority}"
    with errors_of(url):
        if is_web(url):
            client["allow_http"] = scheme == "http"
            user, _, host = authority.rpartition("@")
            if user:
                client["default_headers"] = {"Authorization": _basic(user)}
            address = f"{scheme}://{host}" + (f"?{query}" if query else "")
            try:
                made = stores.HTTPStore.from_url(address, client_options=client, retry_config=retry)
            except ValueError as error:
                raise ValueError(f"{without_secrets(url)}: {error}") from None
        else:
            kind = BUCKETS[scheme]
            settings = dict(environment)
            _check_settings(url, settings)
            client |= _client_options(kind, settings)  # type: ignore[typeddict-item]
            maker: Any = getattr(stores, kind)
            made = maker.from_url(url, client_options=client, retry_config=retry)
    return made


def _basic(user: str) -> str:
    """Return what says who asks, by the user name and the password of a URL (RFC 7617)."""
    name, _, password = user.partition(":")
    return "Basic " + b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()


def _check_settings(url: str, settings: Mapping[str, str]) -> None:
    """Refuse settings of which obstore would make a panic, which prints a trace and is no Exception.

    And a key in the place of its path, which obstore's message would tell. Values that may be secret are not.
    """
    for name, value in settings.items():
        if name.upper() not in _OF_MANY_LINES and not value.isprintable():
            problem = f"{name} has a control character, a line feed at its end perhaps"
        elif name.upper() in _ADDRESSES and not _is_address(value):
            shown = repr(without_secrets(value)) if value else "empty"
            problem = f"{name} is {shown}, not a server's address as https://host:9000; unset it to use none"
        elif name.upper() == _PATH_OF_SERVER and value and not _is_address(f"http://host/{value}"):
            problem = f"{name} is no path of a server"
        elif name.upper() in _KEY_FILES and value.lstrip().startswith("{"):
            problem = f"{name} is a key itself, not the path of one, which GOOGLE_SERVICE_ACCOUNT_KEY takes"
        else:
            continue
        raise OSError(errno.EINVAL, problem, without_secrets(url))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return False
    return text.isascii() and not any(char in text for char in ' "<>\\^`{|}%')


def _client_options(kind: str, environment: dict[str, str]) -> dict[str, Any]:
    """Return what the environment says of the connection, and that HTTP is allowed if the endpoint is one."""
    prefix = _ENVIRONMENT[kind]
    options: dict[str, Any] = {
        name: environment[prefix + name.upper()]
        for name in _CLIENT_OPTIONS
        if environment.get(prefix + name.upper())
    }
    if any(environment.get(name, "").startswith("http://") for name in _ENDPOINTS):
        options["allow_http"] = True
    return options


_forked = False


def _after_fork() -> None:
    global _forked  # noqa: PLW0603  a fact about the process
    _forked = _forked or _store.cache_info().currsize > 0


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
