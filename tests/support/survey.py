"""All that a pack can be asked, whatever it is: answered, or refused with an error of ours."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import srcpack
from srcpack import Entry, Pack, SrcpackError
from srcpack.opening import packfile_of
from support.damaged_packs import forget_dictionaries
from support.pack_recipe import GOOD, LONG, RAW

_ABOUT_A_PACK: tuple[Callable[[Pack], object], ...] = (
    *(len, lambda pack: pack.bundle, lambda pack: pack.attributes, lambda pack: pack.source_links),
    *(lambda pack: pack.by_path("/no/such"), lambda pack: pack.by_url("~/no/such")),
    lambda pack: pack.by_debug_id("00000001-2222-4333-8444-555566667777", "source"),
    *(lambda pack: list(islice(pack, 300)), lambda pack: list(pack.find_prefix("l"))),
    lambda pack: packfile_of(pack).dictionary(),
)
_ABOUT_AN_ENTRY: tuple[Callable[[Entry], object], ...] = (
    *(Entry.read, Entry.text, Entry.view, lambda entry: entry.open().read()),
    lambda entry: entry.read_range(1, 70),
    *(lambda entry: entry.context(1), lambda entry: entry.context(entry.lines, lines=40)),
    lambda entry: (entry.headers, entry.source_mapping_url, entry.type, entry.stored_size),
    lambda entry: entry.debug_id,
)


def survey(data: bytes) -> list[SrcpackError]:
    """Ask a pack all there is, and return what it raised; anything but our errors goes through.

    Whatever the pack is, errors begin with its name.
    """
    raised: list[SrcpackError] = []

    def ask(question: Callable[..., Any], *arguments: object) -> Any:
        try:
            return question(*arguments)
        except SrcpackError as error:
            raised.append(error)
            return None

    forget_dictionaries()
    pack = ask(srcpack.open, data)
    if pack is not None:
        for about in _ABOUT_A_PACK:
            ask(about, pack)
        entries = [ask(pack.__getitem__, name) for name in ("bad.js", "good.js", "long.js", "raw.bin")]
        entries += [ask(pack.by_url, "~/bad.js"), *(ask(partial(_first, pack)) or ())]
        for entry in filter(None, entries):
            for of_entry in _ABOUT_AN_ENTRY:
                ask(of_entry, entry)
    for error in raised:
        assert str(error).startswith("<bytes>: ")
        assert error.file == "<bytes>"
    return raised


def _first(pack: Pack) -> list[Entry]:
    return list(islice(pack.entries(), 300))


def problems(data: bytes) -> list[str]:
    """Return what `verify` tells of a pack that can be opened."""
    return list(map(str, srcpack.verify(srcpack.open(data))))


def others_are_right(data: bytes) -> None:
    """Check that all entries of a pack of the recipe but `bad.js` are read rightly."""
    pack = srcpack.open(data)
    assert pack["good.js"].read() == GOOD
    assert pack["long.js"].read() == LONG
    assert pack["raw.bin"].view() == RAW
    assert pack.by_url("~/good.js") == pack["good.js"]
    assert pack.get("absent") is None
