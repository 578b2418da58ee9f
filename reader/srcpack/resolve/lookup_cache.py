"""Lookups of positions in source maps, shared by all packs of a process and bounded by bytes.

To build a lookup takes 10 to 600 ms, to ask it some microseconds; so it is built once, however many threads
want it, and kept. What a pack says about its contents is never a key here (SPEC.md, "Verification"):
a minified file and its map are first read from the packs that they are wanted from, and hashed.

A lookup is built in a thread of its own. symbolic's parser calls itself for each bracket that opens, and a
thread can be given the stack for that. An exception that a signal raises meets those who wait, never the
work. And those who wait can stop: no one waits for ever, not after a fork either, where the thread is gone.
So the only lock is held by a thread that such an exception does not reach.
"""

import os
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple, TypeAlias
from weakref import ref

from srcpack.errors import LookupUnavailable, MalformedSourceMap
from srcpack.pack import Pack
from srcpack.resolve.resolved import DecodedMap, Resolved, decoded
from srcpack.resolve.symbolic_lookup import SymbolicLookup
from srcpack.rules.bracket_depth import bracket_depth
from srcpack.rules.references_in_content import is_utf8

__all__ = ["SHARED_LOOKUPS", "LookupCache", "LookupCacheStatistics"]

_Contents: TypeAlias = tuple[bytes, bytes]
"""SHA-256 of a minified file and of its map."""
_Files: TypeAlias = tuple[ref[Pack], str, ref[Pack] | None, str | bytes]
"""A minified file and its map in their packs; in place of a map that is in no pack, its SHA-256."""
_Outcome: TypeAlias = SymbolicLookup | MalformedSourceMap | LookupUnavailable

_MOST_FILES = 1 << 16
_REFUSED_SIZE = 1 << 10
_LOOK_AGAIN = 1.0
"""Seconds after which those who wait see whether there is still a thread that works."""

# Addresses, not memory: only what is used of a stack is ever there. Where so much is not to be had, less is.
_STACK_SIZES = (512 << 20, 64 << 20, 16 << 20)
_STACK_FOR_A_BRACKET = 8 << 10

_starting = threading.Lock()
"""Held while a thread is started: the size of its stack is set for all threads that start."""

_usual_stack: int | None = None
"""The size that others' threads get, while it is another."""


def _after_fork() -> None:
    """Undo what a thread of the parent was about, which is not in this process."""
    global _starting, _usual_stack  # noqa: PLW0603
    _starting = threading.Lock()
    if _usual_stack is not None:
        threading.stack_size(_usual_stack)
        _usual_stack = None


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class LookupCacheStatistics(NamedTuple):
    """What a cache did and holds.

    Attributes:
        hits: Lookups that were at hand. As all counts, exact where the interpreter has its global lock.
        misses: Those for which files had to be read.
        builds: Those that were built.
        evictions: Those dropped to make room.
        bytes: Sum of the sizes of the lookups kept.
        items: Lookups kept, and maps of which it is known that they are malformed.
    """

    hits: int
    misses: int
    builds: int
    evictions: int
    bytes: int
    items: int


class LookupCache:
    """Lookups, kept while they are used and fit; the least recently used goes first.

    A lookup is known by the contents of its two files, so it serves all packs that have them. That two files
    have certain contents is known after they were read once. A hit takes no lock and reads nothing.

    Attributes:
        max_bytes: Most bytes of lookups that are kept. One that is larger is built for each who asks.
        build_seconds: How long a thread waits for a lookup that is being built. The work goes on, and what
            it gives is kept.
    """

    __slots__ = (
        "_builds",
        "_evictions",
        "_files",
        "_hits",
        "_kept",
        "_misses",
        "_tasks",
        "build_seconds",
        "max_bytes",
    )

    def __init__(self, max_bytes: int, *, build_seconds: float = 60.0) -> None:
        """Make an empty cache.

        Raises:
            ValueError: A limit is negative.
        """
        if max_bytes < 0 or build_seconds < 0:
            raise ValueError(f"limits of {max_bytes} bytes and {build_seconds} seconds must not be negative")
        self.max_bytes: int = max_bytes
        self.build_seconds: float = build_seconds
        # Dictionaries are changed by single operations alone, so that no lock is needed.
        self._files: dict[_Files, _Contents] = {}
        self._kept: dict[_Contents, _Kept] = {}
        self._tasks: dict[_Contents, _Task] = {}
        self._hits = self._misses = self._builds = self._evictions = 0

    def get(
        self,
        script: Resolved,
        source_map: Resolved | DecodedMap,
        read: Callable[[Resolved], bytes],
    ) -> SymbolicLookup:
        """Return the lookup of a minified file and its source map.

        Args:
            script: The minified file.
            source_map: Its map.
            read: How either is read, if it has to be.

        Raises:
            MalformedSourceMap: symbolic refuses the map.
            LookupUnavailable: symbolic is not installed, fails for a reason that is not in the map, or takes
                longer than `build_seconds`.
            FormatError: A file is not UTF-8.
            SrcpackError, OSError: What `read` raises.
        """
        if isinstance(source_map, DecodedMap):
            file, member = script.pack.file, None
            files: _Files = (ref(script.pack), script.entry.name, None, sha256(source_map.content).digest())
        else:
            file, member = source_map.pack.file, source_map.entry.name
            files = (ref(script.pack), script.entry.name, ref(source_map.pack), member)
        contents = self._files.get(files)
        kept = None if contents is None else self._kept.get(contents)
        if kept is not None:
            self._hits += 1
            kept.used = time.monotonic()
            return _result(kept.outcome, file, member)
        self._misses += 1
        texts = (_read(script, read), _read(source_map, read))
        contents = (sha256(texts[0]).digest(), sha256(texts[1]).digest())
        if len(self._files) >= _MOST_FILES:
            self._files.clear()
        self._files[files] = contents
        kept = self._kept.get(contents)
        outcome = self._built(contents, texts, file, member) if kept is None else kept.outcome
        return _result(outcome, file, member)

    def clear(self) -> None:
        """Drop all lookups; statistics go on."""
        self._kept.clear()
        self._files.clear()

    @property
    def statistics(self) -> LookupCacheStatistics:
        """What the cache did and holds, at this moment."""
        kept = self._kept.copy().values()
        return LookupCacheStatistics(
            self._hits,
            self._misses,
            self._builds,
            self._evictions,
            sum(each.size for each in kept),
            len(kept),
        )

    def _built(
        self, contents: _Contents, texts: tuple[bytes, bytes], file: str, member: str | None
    ) -> _Outcome:
        """Wait for the thread that builds a lookup, and start it if there is none."""
        until = time.monotonic() + self.build_seconds
        while True:
            task = _Task()
            try:
                found = self._tasks.setdefault(contents, task)
                if found is task:
                    try:
                        # In one step of C: an exception within `Thread.start` would break the thread.
                        start_new_thread(self._start, (contents, texts, task))
                    except RuntimeError as error:
                        raise LookupUnavailable(file, member, str(error)) from error
            except BaseException:
                # No one is to wait for a thread that never came to be.
                self._forget(contents, task)
                raise
            if found.process == os.getpid():
                while True:
                    left = until - time.monotonic()
                    if found.wait(min(_LOOK_AGAIN, max(0.0, left))):
                        return found.outcome
                    if left <= 0:
                        reason = f"it takes more than {self.build_seconds:g} seconds to build the lookup"
                        raise LookupUnavailable(file, member, reason)
                    if not found.started:
                        break
            if found.done:
                return found.outcome
            self._forget(contents, found)

    def _start(self, contents: _Contents, texts: tuple[bytes, bytes], task: "_Task") -> None:
        # Not by who starts it: an exception for that thread can meet this one, before its first step.
        task.started = True
        try:
            _start_thread(self._work, contents, texts, task)
        except RuntimeError as error:
            task.outcome = LookupUnavailable("", None, str(error))
            self._forget(contents, task)
            task.end()

    def _work(self, contents: _Contents, texts: tuple[bytes, bytes], task: "_Task", stack_size: int) -> None:
        try:
            script, source_map = texts
            self._builds += 1
            if bracket_depth(script) > stack_size // _STACK_FOR_A_BRACKET:
                script = b""
            task.outcome = SymbolicLookup(script, source_map, file="")
        except (MalformedSourceMap, LookupUnavailable) as error:
            task.outcome = error
        except BaseException as error:  # noqa: BLE001  it is passed on to those who wait
            task.outcome = LookupUnavailable("", None, f"{type(error).__name__}: {error}")
        try:
            self._keep(contents, task.outcome)
        finally:
            self._forget(contents, task)
            task.end()

    def _keep(self, contents: _Contents, outcome: _Outcome) -> None:
        """Keep what came of building, and drop what was not used for the longest time to make room."""
        if isinstance(outcome, LookupUnavailable):
            return
        size = outcome.size if isinstance(outcome, SymbolicLookup) else _REFUSED_SIZE
        if size > self.max_bytes:
            return
        self._kept[contents] = _Kept(outcome, size)
        all_kept = self._kept.copy()
        excess = sum(each.size for each in all_kept.values()) - self.max_bytes
        for oldest in sorted(all_kept, key=lambda each: all_kept[each].used):
            if excess <= 0:
                break
            if self._kept.pop(oldest, None) is not None:
                self._evictions += 1
            excess -= all_kept[oldest].size

    def _forget(self, contents: _Contents, task: "_Task") -> None:
        if self._tasks.get(contents) is task:
            self._tasks.pop(contents, None)

    def __repr__(self) -> str:
        return f"<LookupCache of {self.statistics.bytes:,} of {self.max_bytes:,} bytes>"


SHARED_LOOKUPS = LookupCache(256 << 20)
"""What sets of packs share that are given no cache of their own."""


class _Kept:
    """What came of building a lookup, and when it was last used."""

    __slots__ = ("outcome", "size", "used")

    def __init__(self, outcome: _Outcome, size: int) -> None:
        self.outcome = outcome
        self.size = size
        self.used = time.monotonic()


class _Task:
    """A lookup that is being built: by a thread of which process, and what came of it.

    Attributes:
        done: Whether it is.
        outcome: What came of it then.
        process: Where it is built; a forked one has no thread that does it.
        started: Whether there is such a thread: it ends the task whatever comes of the work.
    """

    __slots__ = ("_gate", "done", "outcome", "process", "started")

    def __init__(self) -> None:
        self.done = False
        self.outcome: _Outcome = LookupUnavailable("", None, "the work was given up")
        self.process = os.getpid()
        self.started = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def end(self) -> None:
        """Tell all who wait that it is done."""
        self.done = True
        self._gate.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is done, but not for longer; return whether it is."""
        # Who is ended in here may leave the gate shut: the others see that it is done when they look again.
        if not self.done and self._gate.acquire(timeout=seconds):
            self._gate.release()
        return self.done


def _start_thread(work: Callable[..., None], *arguments: object) -> None:
    """Start a thread with as large a stack as can be had, whose size it gets as its last argument."""
    global _usual_stack  # noqa: PLW0603  for a process that is forked meanwhile
    with _starting:
        _usual_stack = before = threading.stack_size()
        failure = RuntimeError("no stack is small enough")
        try:
            for size in _STACK_SIZES:
                threading.stack_size(size)
                thread = threading.Thread(
                    target=work, args=(*arguments, size), name="srcpack-lookup", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError as error:
                    failure = error
                else:
                    return
        finally:
            threading.stack_size(before)
            _usual_stack = None
    raise failure


def _read(file: Resolved | DecodedMap, read: Callable[[Resolved], bytes]) -> bytes:
    if isinstance(file, DecodedMap):
        return file.content
    content = read(file)
    if not is_utf8(content):  # symbolic would take it for what it resembles
        decoded(file, content)
    return content


def _result(outcome: _Outcome, file: str, member: str | None) -> SymbolicLookup:
    """Return a lookup, or raise why there is none, to the one who asks for it now."""
    if isinstance(outcome, SymbolicLookup):
        return outcome
    raise type(outcome)(file, member, outcome.reason)
