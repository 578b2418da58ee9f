"""What requests reading a pack by URL makes (docs/remote.md): `python -m support.remote_requests FILE`.

A SourceBundle zip is converted, a pack taken as it is; a web server on loopback serves it and counts.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import srcpack
from srcpack import Entry, Pack, SourceLink
from srcpack_convert import convert
from support.range_server import RangeServer

MANY = 200


def steps(pack: Pack, local: Pack) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is done, in this order, with a pack that was just opened; `local` is the same on disk."""
    chosen = random.Random(6)
    entries = chosen.sample([entry for entry in local.values() if entry.url or entry.path], 2)
    many = chosen.sample(list(local), min(len(local), MANY))
    for nth, entry in zip(("a file", "a second file"), entries, strict=True):
        yield f"look up {nth} by {'URL' if entry.url else 'path'}", partial(find, pack, entry)
        yield f"read {nth}", find(pack, entry).read
    yield "look up a URL that is not there", partial(pack.by_url, "~/absent.js")
    yield f"read {len(many)} files, `read_many`", partial(pack.read_many, many)
    yield "list all files", partial(list, pack)
    yield "verify", partial(_verified, pack)


def find(pack: Pack, entry: Entry) -> Entry:
    """Return the pack's entry that has the URL, or else the path, of one of another pack."""
    found = pack.by_url(entry.url) if entry.url else pack.by_path(entry.path or "")
    if found is None or isinstance(found, SourceLink):
        raise LookupError(entry.name)
    return found


def _verified(pack: Pack) -> None:
    for error in srcpack.verify(pack):
        raise error


def measure(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield what was done, how many requests it made, and how many bytes were sent for them."""
    with srcpack.open(path) as local, RangeServer({"/pack": path.read_bytes()}) as server:
        pack = srcpack.open(f"{server.url}/pack")
        yield "open", len(server.answers), server.sent
        for name, do in steps(pack, local):
            server.answers.clear()
            do()
            yield name, len(server.answers), server.sent


def main(path: Path) -> None:
    """Print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        if path.suffix == ".zip":
            convert(path, Path(folder) / "a.srcpack", verify=False, force=True)
            path = Path(folder) / "a.srcpack"
        with srcpack.open(path) as pack:
            print(f"{len(pack):,} files, {path.stat().st_size:,} bytes\n")
        print("| | Requests | Bytes |\n|---|--:|--:|")
        for name, requests, sent in measure(path):
            print(f"| {name} | {requests} | {sent:,} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
