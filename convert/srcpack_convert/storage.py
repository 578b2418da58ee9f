"""Objects in stores: listed, fetched whole into a spool, put whole.

URLs are those of `srcpack.source.locations`; credentials come from the environment.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from srcpack.errors import FormatError, LimitExceeded
from srcpack.source.local import PreadSource
from srcpack.source.locations import is_url, is_web, local_path, without_secrets
from srcpack.source.object_stores import PATIENCE, Patience, locate, locate_folder
from srcpack.source.store_errors import errors_of
from srcpack_convert.atomic_write import written_aside

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

__all__ = [
    "MAX_FETCH",
    "PART",
    "UPLOAD_PATIENCE",
    "StoredObject",
    "check_destination",
    "fetched",
    "first_bytes",
    "head",
    "is_one_file",
    "list_objects",
    "no_bundle",
    "put",
]

MAX_FETCH = 4 << 30
"""Bytes of an object over which it is not fetched."""

UPLOAD_PATIENCE = Patience(idle=120, retry_for=300)
"""For uploads: one part has 2 minutes, so that four at a time fit through a line of 3 Mbit/s."""

PART = 8 << 20
"""Bytes of an upload's part; a smaller object is put by one request."""
_PARTS = 9_000
"""Parts of an upload at most (S3 takes 10,000); those of larger objects are larger."""
_PARTS_AT_ONCE = 4
_CHUNK = 1 << 20
_LISTED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a store.

    Attributes:
        url: Of the object; `head`, `fetched` and `srcpack.source.object_stores.locate` take it.
        size: In bytes.
        modified: Seconds since 1970, UTC; 0 where a server does not say.
        etag: Another one for each version, in quotes, as the store gives it; None where it gives none.
    """

    url: str
    size: int
    modified: float
    etag: str | None


def list_objects(url: str, *, patience: Patience = PATIENCE) -> Iterator[StoredObject]:
    """Yield the objects below a folder of a bucket, or the files below a `file://` folder.

    A folder is a prefix that ends at a slash: `s3://bucket/app` has `app/a.zip`, and neither `app` itself nor
    `apple.zip`. They come in the store's order, which in S3 is that of the keys; files in that of the names.
    A page of 1,000 is held at a time, however many there are. Empty objects are left out: they are the marks
    of folders, and no bundle or pack is empty.

    Raises:
        ValueError: It is no such URL.
        OSError: The store cannot be listed; a web server never can. One key that obstore cannot name (with
            an empty part, say) makes it refuse the whole listing.
    """
    root = local_path(url)
    if root is not None:
        yield from _local_files(root)
        return
    if is_web(url):
        raise OSError(errno.ENOTSUP, "a web server has no listing", without_secrets(url))
    with errors_of(url):
        import obstore  # noqa: PLC0415  optional, and slow to import

        store, folder = locate_folder(url, patience=patience)
        pages = iter(obstore.list(store, folder or None, chunk_size=_LISTED_AT_ONCE))
    bucket = "/".join(url.split("/", 3)[:3])
    while True:
        with errors_of(url):
            page = next(pages, None)
        if page is None:
            return
        for meta in page:
            if meta["size"]:
                yield _stored(f"{bucket}/{meta['path']}", meta)


def head(url: str, *, patience: Patience = PATIENCE) -> StoredObject | None:
    """Return what the store says of an object, or None where there is none.

    Raises:
        ValueError: It is no URL of an object.
        OSError: The store cannot be asked, or refuses.
    """
    path = local_path(url)
    try:
        if path is not None:
            found = os.stat(path)
            return StoredObject(url, found.st_size, found.st_mtime, None)
        with errors_of(url):
            return _head(url, patience)
    except FileNotFoundError:
        return None


def first_bytes(place: str, size: int) -> bytes:
    """Return the first bytes of a file or an object, fewer if it has no more; none of what is no file.

    Raises:
        OSError: They cannot be read.
    """
    if not is_url(place):
        try:
            return PreadSource(place).read(0, size)
        except FormatError:  # a folder, a FIFO, a socket
            return b""
    with errors_of(place):
        import obstore  # noqa: PLC0415  optional, and slow to import

        store, key = locate(place)
        return bytes(obstore.get_range(store, key, start=0, length=size))


def is_one_file(path: str, other: str) -> bool:
    """Return whether two paths lead to one file that is there."""
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


def no_bundle(url: str, reason: str = "no such object") -> FileNotFoundError:
    """Return the error of a bundle that is not there; what is named like a folder may be one."""
    if not is_web(url) and not url.lower().endswith(".zip"):
        reason += "; a folder's URL ends with a slash"
    return FileNotFoundError(errno.ENOENT, reason, without_secrets(url))


@contextmanager
def fetched(
    url: str,
    *,
    spool: str | os.PathLike[str] | None = None,
    max_size: int = MAX_FETCH,
    patience: Patience = PATIENCE,
) -> Iterator[Path]:
    """Fetch a whole object into a file, and yield its path; the file is removed when the block ends.

    All bytes are of one version of the object. A cut connection goes on where it was, for the same ETag only.
    A `file://` URL yields the path of the file itself.

    Args:
        url: The object.
        spool: Folder for the file, the system's for temporary files if None. It takes up to `max_size` bytes
            for each object that is fetched at the same time.
        max_size: Bytes over which the object is refused before any is fetched.
        patience: How long the store is waited for.

    Raises:
        ValueError: It is no URL of an object.
        OSError: It cannot be read, or written to the spool; `errno.ESTALE` where it was replaced meanwhile.
        LimitExceeded: It is larger than `max_size`.
    """
    path = local_path(url)
    if path is not None:
        _check_size(url, os.stat(path).st_size, max_size)
        yield Path(path)
        return
    try:
        with errors_of(url):
            known = _head(url, patience)
    except FileNotFoundError as error:
        raise no_bundle(url, str(error.strerror)) from None
    _check_size(url, known.size, max_size)
    with tempfile.NamedTemporaryFile(dir=spool, prefix="srcpack-", suffix=".fetched") as file:
        _fetch(known, file, patience)
        file.flush()
        yield Path(file.name)


def put(path: str | os.PathLike[str], url: str, *, patience: Patience = UPLOAD_PATIENCE) -> StoredObject:
    """Store a file under a URL, and return what the store then says of it.

    The object appears, or replaces the one that was there, when all of it has arrived: a failed upload leaves
    the old one, or none. Files of up to 8 MiB are put by one request, larger ones in parts, four at a time;
    the parts of a failed upload are removed if the store can still be reached.

    Raises:
        ValueError: It is no URL of an object.
        OSError: The file cannot be read, or the object cannot be stored; or it is not what was put, because
            somebody else put another one at the same moment.
    """
    local = local_path(url)
    if local is not None:
        with open(path, "rb") as source, written_aside(local) as (out, _):
            shutil.copyfileobj(source, out, _CHUNK)
        found = os.stat(local)
        return StoredObject(url, found.st_size, found.st_mtime, None)
    check_destination(url)
    import obstore  # noqa: PLC0415  optional, and slow to import

    size = os.stat(path).st_size
    with errors_of(url):
        store, key = locate(url, patience=patience)
        result = obstore.put(
            store,
            key,
            Path(path),
            use_multipart=size > PART,
            chunk_size=max(PART, -(-size // _PARTS)),
            max_concurrency=_PARTS_AT_ONCE,
        )
        stored = _head(url, patience)
    if stored.size != size:
        problem = f"{size:,} bytes were put, the object has {stored.size:,}"
    elif url[:2].lower() == "s3" and _bare(stored.etag) != _bare(result["e_tag"]):
        # Only S3 promises that these are written alike for an upload in parts.
        problem = "another object of the same size was put at the same time"
    else:
        return stored
    raise OSError(errno.ESTALE, problem, without_secrets(url))


def check_destination(url: str) -> None:
    """Refuse a URL that no object can be put under, without asking the store.

    Raises:
        ValueError: It is no URL of an object.
        OSError: It is of a web server; or the store refuses its settings.
    """
    if is_web(url):
        raise OSError(errno.ENOTSUP, "http:// and https:// URLs are for reading only", without_secrets(url))
    locate(url)


def _check_size(url: str, size: int, max_size: int) -> None:
    if size > max_size:
        raise LimitExceeded(without_secrets(url), "object", size, max_size)


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _stored(url: str, meta: "ObjectMeta") -> StoredObject:
    etag = meta["e_tag"]
    if etag and not etag.endswith('"'):
        etag = f'"{etag}"'  # as Azure's listings have it, which leave out what its answers to HEAD have
    return StoredObject(url, meta["size"], meta["last_modified"].timestamp(), etag)


def _head(url: str, patience: Patience) -> StoredObject:
    import obstore  # noqa: PLC0415  optional, and slow to import

    store, key = locate(url, patience=patience)
    if is_web(url) and "?" in url:
        # A signed URL is signed for GET alone. The body is not read.
        return _stored(url, obstore.get(store, key).meta)
    return _stored(url, obstore.head(store, key))


def _fetch(known: StoredObject, file: IO[bytes], patience: Patience) -> None:
    """Write an object's bytes into a file.

    obstore goes on by itself after a cut, as long as its patience lasts from the request's start. For a large
    object that may be over by then, so we go on as often again as there was progress.

    Raises:
        OSError: See `fetched`.
    """
    import obstore  # noqa: PLC0415  optional, and slow to import

    url, shown = known.url, without_secrets(known.url)
    # A weak ETag never matches; without a match nothing keeps two versions apart but the check at the end.
    match = known.etag if known.etag and not known.etag.startswith("W/") else None
    at = attempt = 0
    while True:
        begun = at
        try:
            with errors_of(url):
                store, key = locate(url, patience=patience)
                options: GetOptions = {"if_match": match} if match else {}
                if at:
                    options["range"] = {"offset": at}
                result = obstore.get(store, key, options=options)
                if result.meta["size"] != known.size:
                    raise OSError(
                        errno.EIO,
                        f"{result.meta['size']:,} bytes are sent, {known.size:,} were announced",
                        shown,
                    )
                for chunk in result.stream(_CHUNK):
                    file.write(chunk)
                    at += len(chunk)
            break
        except (ConnectionError, TimeoutError):
            attempt += 1
            if match is None or at == begun or attempt > patience.retries:
                raise
    if at != known.size:
        raise OSError(errno.EIO, f"{at:,} bytes came, {known.size:,} were announced", shown)
    if is_web(url):
        # A web server need not heed If-Match.
        with errors_of(url):
            if _head(url, patience) != known:
                raise OSError(errno.ESTALE, "the object was replaced meanwhile", shown)


def _local_files(root: str) -> Iterator[StoredObject]:
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and (found := os.stat(path)).st_size:
                url = f"file://{quote(os.fsencode(path))}"
                yield StoredObject(url, found.st_size, found.st_mtime, None)


def _raise(error: OSError) -> None:
    raise error
