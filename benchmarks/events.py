"""Events to replay: their bundles, what is open of them, and what is done for each."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from srcpack.rules.references_in_content import discover_source_map_reference

from .contenders import Contender, lines_around
from .formats import load
from .workloads import File, write_bundle
from .workspace import Workspace

__all__ = [
    "LARGE_PAIRS",
    "SMALL_PAIRS",
    "Event",
    "Fleet",
    "bundle_name",
    "event_tasks",
    "make_events",
    "resolve_event",
]

SMALL_PAIRS, LARGE_PAIRS = 20, 2
"""Pairs of file and map in a bundle: of js-many, and of js-web."""

_MOST_LARGE = 1 << 20
_COLUMNS = 200
"""The greatest column of a frame; past the end of its line it counts as the end."""


@dataclass(frozen=True, slots=True)
class Event:
    """One frame to resolve.

    Attributes:
        bundle: Number of the bundle.
        url: Of the minified file.
        line: In it, from 1.
        column: In that, from 1.
    """

    bundle: int
    url: str
    line: int
    column: int


def bundle_name(number: int) -> str:
    """Return the name of one of the bundles."""
    return f"replay-{number:03}"


def make_events(work: Workspace, bundles: int, events: int) -> list[Event]:
    """Make the bundles, and return the events."""
    small, large = _pairs(work, "js-many"), _pairs(work, "js-web")
    rng = random.Random(23)
    urls: list[list[tuple[str, int]]] = []
    for number in range(bundles):
        chosen = rng.sample(small, min(SMALL_PAIRS, len(small)))
        chosen += rng.sample(large, min(LARGE_PAIRS, len(large)))
        rng.shuffle(chosen)
        name = bundle_name(number)
        work.add(name, partial(write_bundle, files=[file for pair in chosen for file in pair]))
        urls.append([(pair[0].info["url"], pair[0].content.count(b"\n") + 1) for pair in chosen])
    order = rng.sample(range(bundles), bundles)
    made = []
    for number in rng.choices(order, weights=[1 / rank for rank in range(1, bundles + 1)], k=events):
        mine = urls[number]
        url, lines = rng.choices(mine, weights=[1 / rank for rank in range(1, len(mine) + 1)])[0]
        made.append(Event(number, url, rng.randint(1, max(1, lines - 1)), rng.randint(1, _COLUMNS)))
    return made


def _pairs(work: Workspace, name: str) -> list[tuple[File, File]]:
    """Return the minified files of a workload whose map is there, with it."""
    material = load(work.bundle(name).path)
    pairs = []
    for member, record in sorted(material.records.items()):
        content = material.contents.get(member, b"")
        if record.get("type") != "minified_source" or not content or len(content) > _MOST_LARGE:
            continue
        reference = record.get("headers", {}).get("sourcemap") or discover_source_map_reference(content)
        target = material.by_url.get(_map_url(record["url"], reference or ""))
        if target is None or len(material.contents[target]) > _MOST_LARGE or b"\n" not in content:
            continue
        pairs.append(
            (
                File(member, content, record),
                File(target, material.contents[target], material.records[target]),
            )
        )
    return pairs


def _map_url(url: str, reference: str) -> str:
    return f"{url.rpartition('/')[0]}/{reference}"


class Fleet:
    """The open bundles of one service, opened when a worker first hits them."""

    def __init__(self, contender: type[Contender], files: Sequence[Path], workers: int) -> None:
        self._contender = contender
        self._files = files
        self._lock = threading.Lock()
        self._by_worker: list[dict[int, Contender]] = [{} for _ in range(workers)]
        self._shared: dict[int, Contender] = {}

    def store(self, number: int, worker: int) -> Contender:
        """Return the bundle of a number, for a worker."""
        mine = self._by_worker[worker]
        store = mine.get(number)
        if store is None:
            with self._lock:
                shared = self._shared.get(number)
                if shared is None:
                    store = self._shared[number] = self._contender(self._files[number])
            store = mine[number] = store or shared.own()  # type: ignore[union-attr]
        return store

    def release(self, store: Contender) -> None:
        """Say that an event is done with a bundle."""

    def close(self) -> None:
        """Close all."""
        for store in {id(store): store for stores in self._by_worker for store in stores.values()}.values():
            store.close()
        for stores in self._by_worker:
            stores.clear()
        self._shared.clear()


def resolve_event(store: Contender, event: Event) -> tuple[bytes, object, str | None, bytes]:
    """Resolve an event, and return all that was found."""
    found = store.find(event.url)
    content = store.read(found)
    context = lines_around(content, event.line)
    reference = store.reference(found, content)
    source_map = store.read(store.find(_map_url(event.url, reference or "")))
    return content, context, reference, source_map


def event_tasks(
    fleet: Fleet, events: Sequence[Event], threads: int, stamps: list[int]
) -> list[Callable[[], object]]:
    """Return what each of the threads is to do; nanoseconds of the single events go to `stamps`."""

    def task(worker: int) -> Callable[[], None]:
        share = events[worker::threads]

        def run() -> None:
            clock = time.perf_counter_ns
            for event in share:
                start = clock()
                store = fleet.store(event.bundle, worker)
                resolve_event(store, event)
                fleet.release(store)
                stamps.append(clock() - start)

        return run

    return [task(worker) for worker in range(threads)]
