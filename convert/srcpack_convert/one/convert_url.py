"""A conversion from and to URLs: what it reads and writes stays a file.

    for found in list_objects("s3://bucket/bundles/"):
        convert_url(found.url, "s3://bucket/packs/" + name_of(found))

A bundle is fetched before it is converted; a pack is put when it is complete and verified.
"""

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace

from srcpack.errors import SrcpackError
from srcpack.source.locations import is_url, local_path, without_secrets
from srcpack.source.object_stores import PATIENCE, Patience
from srcpack_convert.one.convert import Progress, convert_bundle
from srcpack_convert.one.options import Options
from srcpack_convert.one.report import ConversionReport
from srcpack_convert.storage import MAX_FETCH, UPLOAD_PATIENCE, check_destination, fetched, put

__all__ = ["convert_url"]


def convert_url(
    source: str,
    destination: str,
    options: Options | None = None,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    spool: str | os.PathLike[str] | None = None,
    max_size: int = MAX_FETCH,
    patience: Patience | None = None,
) -> ConversionReport:
    """Convert a SourceBundle zip into a pack, each a path or a URL; see `srcpack_convert.convert`.

    The pack is put under its URL when it is complete and verified. The SHA-256 in it is that of the bytes
    that were fetched.

    Args:
        source: The zip.
        destination: The pack; what is there is replaced.
        options: How it is converted.
        jobs: Threads that compress.
        progress: Told the bytes of content done and in all.
        spool: Folder for the zip and the pack while they are here, the system's for temporary files if None.
        max_size: Bytes of the zip over which it is refused.
        patience: How long the stores are waited for; the modules' own constants if None.

    Returns:
        The report, with URLs as they were given but for user names and queries, which may be secrets; its
        seconds include fetching and putting.

    Raises:
        ValueError: An option or a URL is not valid.
        OSError: Something cannot be read or written.
        FormatError: The bundle is refused; or the check of the pack failed.
        LimitExceeded: The bundle is over a limit.
    """
    started = time.perf_counter()
    if source == destination:
        raise ValueError(f"{without_secrets(source)}: source and destination are one object")
    names: dict[str, str] = {}
    with ExitStack() as stack:
        bundle = pack = None
        if is_url(destination):
            pack = local_path(destination)
            if pack is None:
                check_destination(destination)
                pack = os.path.join(
                    stack.enter_context(tempfile.TemporaryDirectory(dir=spool, prefix="srcpack-")), "pack"
                )
            names[pack] = without_secrets(destination)
        if is_url(source):
            bundle = stack.enter_context(
                fetched(source, spool=spool, max_size=max_size, patience=patience or PATIENCE)
            )
            names[os.fspath(bundle)] = without_secrets(source)
        try:
            report = convert_bundle(
                bundle or source, pack or destination, options or Options(), jobs=jobs, progress=progress
            )
        except SrcpackError as error:
            _rename(error, names)
            raise
        if pack is not None and local_path(destination) is None:
            put(pack, destination, patience=patience or UPLOAD_PATIENCE)
    return replace(
        report,
        source=without_secrets(source),
        output=without_secrets(destination),
        seconds=time.perf_counter() - started,
    )


def _rename(error: SrcpackError, names: dict[str, str]) -> None:
    """Make an error name the URL in place of the file in the spool, which is gone when it is read."""
    for path, url in names.items():
        if error.file == path:
            error.file = url
            error.args = (str(error).replace(path, url), *error.args[1:])
