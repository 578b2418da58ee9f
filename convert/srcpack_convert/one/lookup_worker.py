"""A process that builds lookup tables, one after the other, for `lookup_tables.py`.

symbolic is written in Rust, and yet hostile input ends its process: a script nested some thousands deep
overflows the stack. Other input takes it time or memory out of all proportion: time grows with the square of
a chain of `else if`. So it has limits by the size of its input, and the system ends it at them.

Messages are msgpack with their length before them. The first gives the entries' SHA-256; each further one a
script and a map, and is answered.
"""

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from struct import Struct
from typing import IO, Any

import msgpack

from srcpack_convert.one.table import NoTable

__all__ = ["main", "receive", "seconds_for", "send"]

try:
    _resource: Any = import_module("resource")
except ImportError:  # on Windows, which has no such limits
    _resource = None

_LENGTH = Struct("<Q")
_SECONDS = 10
_BYTES_A_SECOND = 32 << 10
_MEMORY = 1 << 30
_MEMORY_FOR_A_BYTE = 128
_SHA256_SIZE = 32


def main() -> None:
    """Serve the process that has the other ends of standard input and output, until it closes them."""
    # What starts this process needs the names below where symbolic is not installed.
    from srcpack_convert.one.lookups import build_table  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the other process decides
    if _resource is not None:
        _limit_to(_resource.RLIMIT_CORE, 0)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that is printed gets between the answers
    entries: dict[bytes, int] = {}
    while (message := receive(requests)) is not None:
        if "entries" in message:
            packed = message["entries"]
            for at in reversed(range(0, len(packed), _SHA256_SIZE)):  # of equal contents the first entry
                entries[packed[at : at + _SHA256_SIZE]] = at // _SHA256_SIZE
            continue
        script, source_map = message["script"], message["map"]
        _limit(message["seconds"], len(script) + len(source_map))
        try:
            table = build_table(script, source_map, message["number"], entries)
        except NoTable as reason:
            send(answers, {"reason": str(reason)})
        except MemoryError:
            send(answers, {"reason": "it takes too much memory"})
        else:
            send(answers, table._asdict())


def seconds_for(size: int) -> int:
    """Return how many seconds of processor time a script and a map of `size` bytes in the zip may take.

    Of those that compress well a zip has many for few bytes; honest ones are done in a tenth of it.
    """
    return _SECONDS + size // _BYTES_A_SECOND


def send(pipe: IO[bytes], message: dict[str, Any]) -> None:
    """Send a message."""
    packed = msgpack.packb(message)
    pipe.write(_LENGTH.pack(len(packed)))
    pipe.write(packed)
    pipe.flush()


def receive(pipe: IO[bytes]) -> dict[str, Any] | None:
    """Return the next message; None where the other side closed the pipe, or ended."""
    header = pipe.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    packed = pipe.read(length)
    if len(packed) < length:
        return None
    message: dict[str, Any] = msgpack.unpackb(packed)
    return message


def _limit(seconds: int, size: int) -> None:
    """Let the system end this process where the next work takes it out of proportion, if it has limits."""
    if _resource is None:
        return
    usage = _resource.getrusage(_resource.RUSAGE_SELF)
    _limit_to(_resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + seconds)
    _limit_to(_resource.RLIMIT_AS, _MEMORY + _MEMORY_FOR_A_BYTE * size)


def _limit_to(what: int, limit: int) -> None:
    _, hard = _resource.getrlimit(what)
    with suppress(ValueError, OSError):  # not every system has each limit
        _resource.setrlimit(what, (limit if hard == _resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main()
