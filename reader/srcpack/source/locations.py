"""Where packs and bundles are: a path, or a URL of an object store, a web server or a file.

In `s3://`, `gs://` and `az://` URLs all that follows the bucket is the key, character by character, as the
stores' own tools take it. In `http://`, `https://` and `file://` URLs the path is percent-encoded.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = [
    "BUCKETS",
    "Location",
    "is_url",
    "is_web",
    "local_path",
    "parse_url",
    "path_or_url",
    "without_secrets",
]

BUCKETS = {
    "s3": "S3Store",
    "s3a": "S3Store",
    "gs": "GCSStore",
    "az": "AzureStore",
    "azure": "AzureStore",
    "abfs": "AzureStore",
    "abfss": "AzureStore",
    "adl": "AzureStore",
}
"""obstore's store for each scheme of a URL that names a bucket."""

_SCHEMES = {*BUCKETS, "http", "https", "file"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_BLANK = " \t\r\n\ufeff"
"""What a list, or a variable, may have before a URL."""
_ONE_SLASH = re.compile(rf"({'|'.join(sorted(_SCHEMES))}):/(?!/)", re.IGNORECASE)
"""What `pathlib` leaves of a URL."""


@dataclass(frozen=True, slots=True)
class Location:
    """A URL, taken apart: scheme in lower case, path not percent-encoded, query of a web server's URL.

    The authority is a bucket, or host and port, with the user name that it may have; empty for a file.
    """

    scheme: str
    authority: str
    path: str
    query: str


def is_url(text: str) -> bool:
    """Return whether the text is a URL of a kind that is known here; plain paths are not."""
    # Most are paths, and a cache of open packs asks for each hit.
    match = _URL.match(text) if "://" in text else None
    return match is not None and match[1].lower() in _SCHEMES


def without_secrets(url: str) -> str:
    """Return the URL without user name, password and query, for messages, logs and reports."""
    if url[:1] in _BLANK and (bare := url.lstrip(_BLANK)):
        return url[: len(url) - len(bare)] + without_secrets(bare)
    match = _URL.match(url)
    if match is None:
        if _ONE_SLASH.match(url):
            return without_secrets(url.replace("/", "//", 1)).replace("//", "/", 1)
        return url
    scheme, authority, rest = match.groups()
    if _is_cut_password(authority, rest) and scheme.lower() != "file":
        authority, _, rest = rest.rpartition("@")[2].partition("/")
        rest = f"/{rest}"
    user, at, host = authority.rpartition("@")
    if not (at and scheme.lower() in {"abfs", "abfss"} and ":" not in user):  # there it is the container
        authority = host
    if scheme.lower() in BUCKETS:
        rest = _without_signature(rest)
    elif scheme.lower() != "file" or authority not in {"", "localhost"}:
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{authority}{rest}"


def local_path(url: str) -> str | None:
    """Return the path that a `file://` URL names, None for others; ValueError if it is of another host."""
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

    What looks like a URL but cannot be used is a ValueError, so that it is never taken for a path: of a
    scheme that is not known, with one slash, with a blank before it, or with no bucket or host (`s3:///`,
    where a variable was empty).
    """
    if ":" not in place:
        return place
    match = _URL.match(place)
    if match is None:
        if is_url(place.lstrip(_BLANK)):
            raise ValueError(
                f"{without_secrets(place)!a}: a URL begins with its scheme; "
                "a path of that name begins with ./"
            )
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


def is_web(text: str) -> bool:
    """Return whether a text is a URL of a web server."""
    return is_url(text) and text[:4].lower() == "http"


def parse_url(url: str) -> Location:
    """Take apart a URL of an object, of a folder, or of a file; ValueError if it cannot be asked for."""
    match = _URL.match(url)
    if match is None or not is_url(url):
        raise ValueError(f"{without_secrets(url)!a}: no URL of an object store")
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    shown = without_secrets(url)
    if scheme == "file":
        return Location(scheme, "", local_path(url) or "/", "")
    _check_authority(url, authority)
    if scheme in BUCKETS:
        if rest != _without_signature(rest):
            raise ValueError(
                f"{shown}: {scheme}:// URLs have no query; credentials come from the environment, "
                "and a signed URL is one of https://"
            )
        if "@" in authority and (scheme not in {"abfs", "abfss"} or ":" in authority.rpartition("@")[0]):
            raise ValueError(
                f"{shown}: {scheme}:// URLs have no user name; credentials come from the environment"
            )
        return Location(scheme, authority, rest, "")
    path, _, query = rest.partition("#")[0].partition("?")
    if "%2f" in path.lower():
        raise ValueError(f"{shown}: an encoded slash in the path cannot be asked for")
    try:
        return Location(scheme, authority, unquote(path, errors="strict"), query)
    except UnicodeDecodeError:
        raise ValueError(f"{shown}: the path is not percent-encoded UTF-8") from None


def _check_authority(url: str, authority: str) -> None:
    if authority.rpartition("@")[2].partition(":")[0] == "":
        raise ValueError(f"{without_secrets(url)}: names no bucket or host")
    if is_web(url) and _has_odd_port(authority):
        raise ValueError(
            f"{without_secrets(url)}: what follows the host's colon is no port; "
            "/ ? # and @ in a password are percent-encoded"
        )


def _has_odd_port(authority: str) -> bool:
    _, colon, port = authority.rpartition("@")[2].rpartition(":")
    return bool(colon) and not port.endswith("]") and port != "" and not (port.isascii() and port.isdigit())


def _is_cut_password(authority: str, rest: str) -> bool:
    """Return whether a password seems to have a slash or the like, so that the host comes behind it."""
    return (
        "@" in rest and "@" not in authority and _has_odd_port(authority) and not authority.startswith("arn:")
    )


def _without_signature(rest: str) -> str:
    """Return a bucket URL's rest without what looks like a query: `?name=value` after its last slash."""
    folder, slash, name = rest.rpartition("/")
    start, question, query = name.partition("?")
    return f"{folder}{slash}{start}" if question and "=" in query else rest
