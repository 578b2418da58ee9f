"""What obstore raises, as errors of the operating system that say what happened and hold no secret."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from srcpack.source.locations import without_secrets

__all__ = ["errors_of", "obstore_missing"]

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


@contextmanager
def errors_of(url: str) -> Iterator[None]:
    """Raise what obstore raises in the block as an OSError, with the URL without secrets as its `filename`.

    FileNotFoundError: no such object, or bucket. PermissionError: credentials that are wrong, missing, or
    don't suffice. TimeoutError, ConnectionError. All else is a plain one; `errno.ESTALE` where the object is
    not the one any more that was asked for.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415  optional, and slow to import
    except ModuleNotFoundError:
        raise obstore_missing() from None
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and error.errno is not None:
            raise  # of a local file, not obstore's
        code, reason = _explained(error)
        error.args = (reason,)  # it stays the context of ours, which some pickle with it, as Dask does
        raise OSError(code, reason, without_secrets(url)) from None
    except BaseException as error:
        # A panic of obstore is no Exception, and nobody expects one.
        if type(error).__module__ != "pyo3_runtime":
            raise
        reason = "obstore failed within itself; a setting in the environment may be one that it cannot take"
        raise OSError(errno.EIO, reason, without_secrets(url)) from None


def obstore_missing() -> ModuleNotFoundError:
    """Return the error of a program that needs obstore and has none."""
    return ModuleNotFoundError(
        "URLs need obstore, which is not installed: pip install 'srcpack[remote]'", name="obstore"
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
