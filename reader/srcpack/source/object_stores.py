"""URLs of object stores, as obstore's stores and their keys; obstore is imported with the first of them.

    with errors_of(url):
        store, key = locate(url)
        obstore.get_range(store, key, start=0, length=4096)

In `s3://`, `gs://` and `az://` URLs all that follows the bucket is the key, character by character, as the
stores' own tools take it. In `http://`, `https://` and `file://` URLs the path is percent-encoded.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from obstore.store import (
        AzureStore,
        ClientConfig,
        GCSStore,
        HTTPStore,
        LocalStore,
        MemoryStore,
        RetryConfig,
        S3Store,
    )

    ObjectStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store

__all__ = [
    "PATIENCE",
    "Patience",
    "check_process",
    "errors_of",
    "is_url",
    "local_path",
    "locate",
    "locate_folder",
    "path_or_url",
    "without_secrets",
]


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

_BUCKETS = {
    "s3": "S3Store",
    "s3a": "S3Store",
    "gs": "GCSStore",
    "az": "AzureStore",
    "azure": "AzureStore",
    "abfs": "AzureStore",
    "abfss": "AzureStore",
    "adl": "AzureStore",
}
_SCHEMES = {*_BUCKETS, "http", "https", "file"}
_ENVIRONMENT = {"S3Store": "AWS_", "GCSStore": "GOOGLE_", "AzureStore": "AZURE_"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_ONE_SLASH = re.compile(rf"({'|'.join(sorted(_SCHEMES))}):/(?!/)", re.IGNORECASE)
"""What `pathlib` leaves of a URL."""
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


@dataclass(frozen=True, slots=True)
class _Parts:
    scheme: str
    authority: str
    path: str
    query: str


def is_url(text: str) -> bool:
    """Return whether the text is a URL of a kind that is known here; plain paths are none."""
    # Most are paths, and a cache of open packs asks for each hit.
    match = _URL.match(text) if "://" in text else None
    return match is not None and match[1].lower() in _SCHEMES


def without_secrets(url: str) -> str:
    """Return the URL without user name, password and query, for messages, logs and reports."""
    match = _URL.match(url)
    if match is None:
        if _ONE_SLASH.match(url):
            return without_secrets(url.replace("/", "//", 1)).replace("//", "/", 1)
        return url
    scheme, authority, rest = match.groups()
    user, at, host = authority.rpartition("@")
    if not (at and scheme.lower() in {"abfs", "abfss"} and ":" not in user):  # there it is the container
        authority = host
    if scheme.lower() in _BUCKETS:
        rest = _without_signature(rest)
    elif scheme.lower() != "file":
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{authority}{rest}"


def local_path(url: str) -> str | None:
    """Return the path that a `file://` URL names, or None for other URLs.

    Raises:
        ValueError: It names another host, or nothing.
    """
    match = _URL.match(url)
    if match is None or match[1].lower() != "file":
        return None
    if match[2] not in {"", "localhost"}:
        shown = without_secrets(url)
        raise ValueError(f"{shown}: a file of another host; file:///path names one of this host")
    if not match[3]:
        raise ValueError(f"{url}: names no file; file:///path does")
    return unquote(match[3], errors="surrogateescape")


def path_or_url(place: str) -> str:
    """Return the path that a `file://` URL names; a path, or another URL, as it is.

    What looks like a URL and is none that can be used is refused, so that it is never taken for a path: a
    destination `s3:///`, say, where a variable for the bucket was empty.

    Raises:
        ValueError: Its scheme is none that is known here, or only one slash follows it; or it names no bucket
            or host, or another host's file.
    """
    if ":" not in place:
        return place
    match = _URL.match(place)
    if match is None:
        if _ONE_SLASH.match(place):
            raise ValueError(
                f"{without_secrets(place)}: in a URL two slashes follow the scheme; "
                "a path of that name begins with ./"
            )
        return place
    if match[1].lower() not in _SCHEMES:
        raise ValueError(
            f"{without_secrets(place)}: {match[1]}:// URLs cannot be used; a path of that name begins with ./"
        )
    if match[1].lower() == "file":
        return local_path(place) or ""
    _check_authority(place, match[2])
    return place


def locate(url: str, *, patience: Patience = PATIENCE) -> tuple["ObjectStore", str]:
    """Return the store of a URL's bucket (host, root folder), and the object's key there.

    A process keeps the stores, each with its connections, by what is before the path in the URL, the
    environment and the patience. Credentials, endpoint and region come from the environment that the stores'
    own tools use: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
    `AZURE_STORAGE_ACCOUNT_NAME` and so on.

    Hand URLs to other processes, never stores.

    Raises:
        ModuleNotFoundError: obstore is not installed.
        ValueError: It is no URL of an object, or of one that obstore cannot name.
        OSError: The store refuses its settings.
        RuntimeError: This process was forked from one that had used obstore, whose threads are not here.
    """
    store, key = locate_folder(url, patience=patience)
    if not key or url.endswith("/"):
        raise ValueError(f"{without_secrets(url)}: names a folder, not an object")
    return store, key


def locate_folder(url: str, *, patience: Patience = PATIENCE) -> tuple["ObjectStore", str]:
    """Return the store of a URL, and the key of a folder there, without a slash at its end; see `locate`."""
    parts = _parts(url)
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
    """Check that obstore can be used here.

    Raises:
        RuntimeError: This process was forked from one that had used obstore, whose threads are not here.
    """
    if _forked:
        raise RuntimeError(
            "this process was forked after obstore was used, and would wait for threads that it does not "
            "have: start processes with multiprocessing's spawn or forkserver"
        )


@contextmanager
def errors_of(url: str) -> Iterator[None]:
    """Raise what obstore raises in the block as an OSError, with the URL without secrets as its `filename`.

    Raises:
        FileNotFoundError: There is no such object, or no such bucket.
        PermissionError: The credentials are wrong, missing, or don't suffice.
        TimeoutError: There was no answer in time.
        ConnectionError: The connection was refused, or cut.
        OSError: Other failures; `errno.ESTALE` where the object is not the one any more that was asked for.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415  optional, and slow to import
    except ModuleNotFoundError:
        raise _missing() from None
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and error.errno is not None:
            raise  # of a local file, not obstore's
        code, reason = _explained(error)
        raise OSError(code, reason, without_secrets(url)) from None


def _parts(url: str) -> _Parts:
    match = _URL.match(url)
    if match is None or not is_url(url):
        raise ValueError(f"{without_secrets(url)!a}: no URL of an object store")
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    shown = without_secrets(url)
    if scheme == "file":
        return _Parts(scheme, "", local_path(url) or "/", "")
    _check_authority(url, authority)
    if scheme in _BUCKETS:
        if rest != _without_signature(rest):
            raise ValueError(
                f"{shown}: {scheme}:// URLs have no query; credentials come from the environment, "
                "and a signed URL is one of https://"
            )
        if "@" in authority and (scheme not in {"abfs", "abfss"} or ":" in authority.rpartition("@")[0]):
            raise ValueError(
                f"{shown}: {scheme}:// URLs have no user name; credentials come from the environment"
            )
        return _Parts(scheme, authority, rest, "")
    path, _, query = rest.partition("#")[0].partition("?")
    if "%2f" in path.lower():
        raise ValueError(f"{shown}: an encoded slash in the path cannot be asked for")
    try:
        return _Parts(scheme, authority, unquote(path, errors="strict"), query)
    except UnicodeDecodeError:
        raise ValueError(f"{shown}: the path is not percent-encoded UTF-8") from None


def _check_authority(url: str, authority: str) -> None:
    if authority.rpartition("@")[2].partition(":")[0] == "":
        raise ValueError(f"{without_secrets(url)}: names no bucket or host")


def _without_signature(rest: str) -> str:
    """Return a bucket URL's rest without what looks like a query: `?name=value` after its last slash."""
    folder, slash, name = rest.rpartition("/")
    start, question, query = name.partition("?")
    return f"{folder}{slash}{start}" if question and "=" in query else rest


def _environment(scheme: str) -> frozenset[tuple[str, str]]:
    """Return the variables that decide how a store is reached: with others it is another store."""
    prefix = _ENVIRONMENT.get(_BUCKETS.get(scheme, ""))
    if prefix is None:
        return frozenset()
    return frozenset(item for item in os.environ.items() if item[0].upper().startswith(prefix))


@lru_cache(maxsize=_STORES)
def _store(
    scheme: str,
    authority: str,
    query: str,
    patience: Patience,
    environment: frozenset[tuple[str, str]],
) -> "ObjectStore":
    try:
        from obstore import store as stores  # noqa: PLC0415  optional, and slow to import
    except ModuleNotFoundError:
        raise _missing() from None
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
    with errors_of(f"{scheme}://{authority}"):
        if scheme in {"http", "https"}:
            client["allow_http"] = scheme == "http"
            address = f"{scheme}://{authority}" + (f"?{query}" if query else "")
            made = stores.HTTPStore.from_url(address, client_options=client, retry_config=retry)
        else:
            kind = _BUCKETS[scheme]
            client |= _client_options(kind, dict(environment))  # type: ignore[typeddict-item]
            maker: Any = getattr(stores, kind)
            made = maker.from_url(f"{scheme}://{authority}", client_options=client, retry_config=retry)
    return made


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


def _missing() -> ModuleNotFoundError:
    return ModuleNotFoundError(
        "URLs need obstore, which is not installed: pip install 'srcpack[remote]'", name="obstore"
    )


_CAUSES = (
    ("ConnectionRefused", errno.ECONNREFUSED, "the connection was refused"),
    ("dns error", errno.EHOSTUNREACH, "the host's name is not known"),
    ("kind: Timeout", errno.ETIMEDOUT, "no answer in time"),
    ("TimedOut", errno.ETIMEDOUT, "no answer in time"),
    ("kind: Interrupted", errno.ECONNRESET, "the connection was cut"),
    ("kind: Connect", errno.ECONNABORTED, "no connection"),
    ("IncompleteMessage", errno.ECONNRESET, "the connection was cut"),
    ("kind: Request", errno.ECONNRESET, "the connection was cut"),
)


def _explained(error: Exception) -> tuple[int, str]:
    """Return an errno, and in a few words what happened.

    obstore's message holds the URL asked for with its query, the server's answer and a dump of the error:
    only what is known to be harmless is taken from it.
    """
    text, kind = str(error), type(error).__name__
    retries = re.search(r"after (\d+) retries", text)
    status = re.search(r"status code: (\d{3})([A-Za-z -]{0,40})", text)
    s3_code = re.search(r"<Code>([A-Za-z0-9]{1,60})</Code>", text)
    said = [status[1] + status[2].rstrip()] if status else []
    said += [s3_code[1]] if s3_code else []
    said += [f"after {retries[1]} retries"] if retries else []
    detail = f" ({', '.join(said)})" if said else ""
    number = status[1] if status else ""
    if s3_code and s3_code[1] == "NoSuchUpload":
        # Also what a repeated completion is answered, if the answer to the first was lost.
        return errno.EIO, f"the upload failed, or was completed without an answer{detail}"
    if isinstance(error, FileNotFoundError) or number == "404":
        return errno.ENOENT, f"no such object or bucket{detail}"
    if re.search(r"https?://(169\.254\.|metadata\.google)", text):
        return (
            errno.EACCES,
            "no credentials: none in the environment, and no cloud's metadata service answered",
        )
    if kind in {"PermissionDeniedError", "UnauthenticatedError"} or number in {"401", "403"}:
        return errno.EACCES, f"the store refused the credentials{detail}"
    if kind == "PreconditionError" or number == "412":
        return errno.ESTALE, "the object was replaced meanwhile"
    if "redirect without LOCATION" in text:
        return errno.EIO, "the bucket is in another region (AWS_REGION)"
    for sign, code, reason in _CAUSES:
        if sign in text:
            return code, reason + detail
    if kind == "NotSupportedError":
        return errno.ENOTSUP, "the store does not support this" + detail
    if "MissingAccount" in text:
        return errno.EINVAL, "the environment names no storage account (AZURE_STORAGE_ACCOUNT_NAME)"
    if said:
        return errno.EIO, "the store failed" + detail
    # Configuration, paths and the like: the first line has no more than a name.
    line = re.sub(r"https?://\S+", "a URL", text.split("\n", 1)[0])[:200]
    return errno.EIO, "".join(char if char.isprintable() else "?" for char in line)


_forked = False


def _after_fork() -> None:
    global _forked  # noqa: PLW0603  a fact about the process
    _forked = _forked or _store.cache_info().currsize > 0


os.register_at_fork(after_in_child=_after_fork)
