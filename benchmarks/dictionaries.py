"""How large should a dictionary be, and whose: what does it save, and what does loading it cost?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import srcpack
from srcpack.opening import packfile_of
from srcpack_convert.one.convert import convert
from srcpack_convert.one.fleet_dictionary import FleetSamples
from srcpack_convert.one.options import DictionaryChoice
from srcpack_convert.one.presets import DEFAULT_PRESET

from .contenders import Pack, clear_caches
from .events import Event, Fleet, bundle_name, event_tasks, make_events
from .harness import Cell, Column, Job, Result, Table, Timings, measure, progress
from .workspace import Crew, Workspace, together

__all__ = ["run"]

_BUNDLES = 200
_EVENTS = 600
_THREADS = 4
_ROUNDS = 7
_OWN = (4, 16, 64, 110, 126)
_FLEET = (16, 64, 110)
"""In KiB."""
_TRAINED_ON = 4
"""One bundle of so many."""
_NONE = "none"


def run(work: Workspace) -> Result:
    """Convert 200 bundles with dictionaries of each kind and size, and replay events over the packs."""
    bundles = 8 if work.quick else _BUNDLES
    count = 24 if work.quick else _EVENTS
    progress(f"  making {bundles} bundles")
    events = make_events(work, bundles, count)
    zips = [work.bundle(bundle_name(number)).path for number in range(bundles)]
    packs: dict[str, list[Path]] = {}
    for name, choice in _choices(zips).items():
        progress(f"  {name}")
        packs[name] = _converted(work.folder / name.replace(" ", "-").replace(",", ""), zips, choice)
    timings = _measure(packs, events, work.rounds(_ROUNDS))
    zips_size = sum(path.stat().st_size for path in zips)
    hit = {event.bundle for event in events}
    rows: list[dict[str, Cell]] = []
    for name, files in packs.items():
        size = sum(path.stat().st_size for path in files)
        row: dict[str, Cell] = {"dictionary": name, "size": size, "share": size / zips_size}
        row["loaded"] = _loaded([files[number] for number in sorted(hit)])
        for state in ("cold", "warm"):
            row[state] = timings.each(f"{name}/{state}", 1e-6 * len(events))
            row[f"{state}_none"] = timings.cpu_speed(f"{name}/{state}", f"{_NONE}/{state}")
        row["threads"] = timings.each(f"{name}/threads", 1e-6 * len(events))
        rows.append(row)
    columns = [
        Column("dictionary", "Dictionary"),
        Column("size", "All packs, bytes"),
        Column("share", "Share of the zips", 3),
        Column("loaded", "Dictionaries loaded, bytes"),
        Column("cold", "Cold, µs an event", 1),
        Column("cold_none", "Times the speed without, by processor time"),
        Column("warm", "Warm, µs an event", 1),
        Column("warm_none", "Times the speed without, by processor time"),
        Column("threads", f"Cold, {_THREADS} threads, µs an event", 1),
    ]
    return Result(
        question="dictionaries",
        title="Dictionaries: what they save, and what loading them costs",
        method=f"""
            The bundles and events of `replay`: {bundles} bundles, {count} events. All are converted with the
            preset `{DEFAULT_PRESET}`: without a dictionary; each with one of its own of at most so many
            bytes, used where the pack gets smaller; and all with one that `srcpack train` made of every
            {_TRAINED_ON}th bundle. *Loaded* is what the first reads of a cold replay unpack and prepare, one
            that packs share counted once. Ways take turns; *cold* and *warm* are those of `replay`.
        """,
        quick=work.quick,
        bundles={
            **work.origins(["js-many", "js-web"]),
            f"{bundles} of their files": work.bundle("js-many").origin,
        },
        tables=[Table(title="Dictionaries", columns=columns, rows=rows)],
        targets=[],
    )


def _choices(zips: Sequence[Path]) -> dict[str, DictionaryChoice]:
    choices: dict[str, DictionaryChoice] = {_NONE: "off"}
    for size in _OWN:
        choices[f"own, {size} KiB"] = size << 10
    for size in _FLEET:
        samples = FleetSamples(size << 10)
        for path in zips[::_TRAINED_ON]:
            with srcpack.open(path) as bundle:
                samples.add(bundle)
        if (dictionary := samples.train()) is not None:
            choices[f"fleet, {size} KiB"] = dictionary
    return choices


def _converted(folder: Path, zips: Sequence[Path], choice: DictionaryChoice) -> list[Path]:
    folder.mkdir()
    packs = [folder / f"{path.stem}.srcpack" for path in zips]
    for path, pack in zip(zips, packs, strict=True):
        convert(path, pack, dictionary=choice)
    return packs


def _loaded(packs: Sequence[Path]) -> int:
    """Return the bytes of the dictionaries of packs, equal ones once."""
    sizes: dict[bytes, int] = {}
    for path in packs:
        with srcpack.open(path) as pack:
            tail = packfile_of(pack).tail
            sizes[tail.dictionary_sha256] = tail.dictionary_size
    return sum(sizes.values())


def _measure(packs: dict[str, list[Path]], events: Sequence[Event], rounds: int) -> Timings:
    jobs: list[Job] = []
    with Crew(_THREADS) as crew:
        for name, files in packs.items():
            fleet, shared = Fleet(Pack, files, 1), Fleet(Pack, files, _THREADS)
            (replay,) = event_tasks(fleet, events, 1, [])
            jobs.append(Job(name=f"{name}/cold", run=replay, prepare=clear_caches))
            jobs.append(Job(name=f"{name}/warm", run=replay, finish=_closing(fleet)))
            job = together(f"{name}/threads", crew, event_tasks(shared, events, _THREADS, []))
            forget = partial(crew.run, [clear_caches] * _THREADS)
            jobs.append(replace(job, prepare=forget, finish=_closing(shared)))
        return measure(jobs, rounds, warm_up=False)


def _closing(fleet: Fleet) -> Callable[[object], object]:
    return lambda _: fleet.close()
