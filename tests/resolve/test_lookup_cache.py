"""Lookups are built once for all who want them, kept within their bytes, and nobody waits for ever."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import srcpack
from srcpack import DecodedMap, FormatError, Pack, PackSet, Resolved
from srcpack.errors import LookupUnavailable, MalformedSourceMap
from srcpack.resolve import LookupCache, lookup_cache
from srcpack.resolve.symbolic_lookup import SymbolicLookup
from srcpack.rules.original_position import OriginalPosition
from srcpack_convert import convert
from support.minified import Minified
from support.source_maps import bundle_with_map
from support.the import the

URL = "https://harbour.example/crane.js"


def crane(function: str = "hoist") -> Minified:
    minified = Minified({"crane.ts": "export function hoist() {\n  lift();\n}\n"})
    minified.add("function ")
    minified.add("h", (1, 17), function)
    minified.add("(){")
    minified.add("l", (2, 3), "lift")
    minified.add("()}")
    return minified


def bundle(minified: Minified, source_map: bytes | None = None) -> bytes:
    mapped = minified.map() if source_map is None else source_map
    return bundle_with_map(minified.text.encode(), mapped, "crane.js")


def found(pack: Pack) -> tuple[Resolved, Resolved]:
    packs = PackSet([pack])
    script = the(packs.resolve(URL))
    source_map = packs.source_map_for(script)
    assert isinstance(source_map, Resolved)
    return script, source_map


class Reader:
    """Reads files, and counts how often."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, resolved: Resolved) -> bytes:
        self.names.append(resolved.entry.name)
        return resolved.entry.read()


LIFT = OriginalPosition("crane.ts", 2, 3, "lift", "hoist")


def test_a_lookup_answers_what_symbolic_does() -> None:
    cache = LookupCache(1 << 20)
    lookup = cache.get(*found(srcpack.open(bundle(crane()))), Reader())
    token = the(lookup.token(1, 14))
    assert token.position == LIFT
    assert lookup.content(token) == crane().contents[0]
    assert lookup.token(2, 1) is None


def test_a_second_wish_reads_nothing() -> None:
    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    reader = Reader()
    lookup = cache.get(*files, reader)
    assert cache.get(*files, reader) is lookup
    assert reader.names == ["crane.js", "crane.js.map"]
    assert cache.statistics == (1, 1, 1, 0, lookup.size, 1)


def test_equal_contents_in_another_pack_are_read_and_share_the_lookup(tmp_path: Path) -> None:
    cache, reader = LookupCache(1 << 20), Reader()
    convert(bundle(crane()), tmp_path / "a.srcpack", dictionary="off", verify=False)
    first = cache.get(*found(srcpack.open(bundle(crane()))), reader)
    with srcpack.open(tmp_path / "a.srcpack") as pack:
        assert cache.get(*found(pack), reader) is first
    assert reader.names == ["crane.js", "crane.js.map"] * 2
    assert cache.statistics.builds == 1


def test_equal_maps_of_different_scripts_have_different_lookups() -> None:
    cache = LookupCache(1 << 20)
    other = crane()
    other.text = other.text.replace("function h", "function k")
    (token,) = (
        cache.get(*found(srcpack.open(bundle(each))), Reader()).token(1, 14) for each in (crane(), other)[1:]
    )
    assert token is not None
    assert cache.get(*found(srcpack.open(bundle(crane()))), Reader()).token(1, 14) is not None
    assert cache.statistics.builds == 2


def test_a_map_that_is_in_no_file_is_known_by_its_content() -> None:
    cache, reader = LookupCache(1 << 20), Reader()
    script, _ = found(srcpack.open(bundle(crane())))
    lookups = [
        cache.get(script, DecodedMap(content=crane(name).map(), source_base=None), reader)
        for name in ("hoist", "hoist", "drop")
    ]
    assert lookups[0] is lookups[1]
    assert lookups[0] is not lookups[2]
    assert reader.names == ["crane.js", "crane.js"]


def test_the_least_recently_used_goes_when_bytes_run_out() -> None:
    packs = [srcpack.open(bundle(crane(name))) for name in ("a", "b", "c")]
    files = [found(pack) for pack in packs]
    size = LookupCache(1 << 20).get(*files[0], Reader()).size
    cache, reader = LookupCache(2 * size), Reader()
    for number in (0, 1, 0, 2):
        cache.get(*files[number], reader)
    assert cache.statistics[1:] == (3, 3, 1, 2 * size, 2)
    cache.get(*files[0], reader)
    assert cache.statistics.builds == 3
    cache.get(*files[1], reader)
    assert cache.statistics.builds == 4


def test_a_lookup_larger_than_the_cache_is_given_and_not_kept() -> None:
    cache = LookupCache(10)
    files = found(srcpack.open(bundle(crane())))
    for _ in range(2):
        assert cache.get(*files, Reader()).token(1, 14) is not None
    assert cache.statistics == (0, 2, 2, 0, 0, 0)


def test_a_cleared_cache_reads_again() -> None:
    cache, files, reader = LookupCache(1 << 20), found(srcpack.open(bundle(crane()))), Reader()
    cache.get(*files, reader)
    cache.clear()
    assert cache.statistics.items == 0
    cache.get(*files, reader)
    assert reader.names == ["crane.js", "crane.js.map"] * 2


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"limits of -1 bytes and 60\.0 seconds must not be negative"):
        LookupCache(-1)
    assert repr(LookupCache(1000)) == "<LookupCache of 0 of 1,000 bytes>"


# ---- what cannot be built


def test_a_malformed_map_is_refused_each_time_and_tried_once() -> None:
    cache, reader = LookupCache(1 << 20), Reader()
    pack = srcpack.open(bundle(crane(), b'{"mappings":"*"}'))
    files = found(pack)
    for _ in range(3):
        with pytest.raises(MalformedSourceMap, match=r"'crane.js.map': malformed source map: ") as caught:
            cache.get(*files, reader)
        assert (caught.value.file, caught.value.member) == (pack.file, "crane.js.map")
    assert reader.names == ["crane.js", "crane.js.map"]
    assert cache.statistics.builds == 1


def test_without_symbolic_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "symbolic.sourcemapcache", None)
    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    with pytest.raises(LookupUnavailable) as caught:
        cache.get(*files, Reader())
    assert caught.value.reason == (
        "PyPI symbolic is not installed; install srcpack[lookups], or convert the bundle with "
        "`srcpack convert --lookups`"
    )
    monkeypatch.undo()
    assert cache.get(*files, Reader()).token(1, 14) is not None


def test_where_symbolic_cannot_write_the_map_is_not_to_blame(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    with pytest.raises(
        LookupUnavailable, match=r"'crane.js.map': no positions can be looked up: symbolic cannot write"
    ):
        cache.get(*files, Reader())
    monkeypatch.undo()
    assert cache.get(*files, Reader()).token(1, 14) is not None


def test_what_is_not_utf8_is_refused_and_not_guessed() -> None:
    script, source_map = found(srcpack.open(bundle(crane())))
    with pytest.raises(FormatError, match=r"'crane.js': text: found 'utf-8' codec"):
        LookupCache(1 << 20).get(script, source_map, lambda _: b"\xff")


@pytest.mark.parametrize("opening", ["(", "[", "{a(){", "x={a:", "`${", "class a{b(){", "function f(){"])
def test_brackets_without_end_end_no_process(opening: str) -> None:
    """symbolic alone ends the process with a script like this."""
    minified = crane()
    minified.text += "\n" + opening * 100_000
    lookup = LookupCache(1 << 24).get(*found(srcpack.open(bundle(minified))), Reader())
    token = the(lookup.token(1, 14))
    assert token.position == OriginalPosition("crane.ts", 2, 3, "lift", "<unknown>")


def test_brackets_nested_some_thousand_deep_are_parsed() -> None:
    minified = crane()
    minified.text += "\n" + "(" * 20_000 + ")" * 20_000
    lookup = LookupCache(1 << 24).get(*found(srcpack.open(bundle(minified))), Reader())
    assert lookup.token(1, 14) is not None


# ---- many who want one


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold whatever builds a lookup until this is set."""
    go = threading.Event()
    init = SymbolicLookup.__init__

    def wait_and_build(self: SymbolicLookup, script: bytes, source_map: bytes, **more: str) -> None:
        assert go.wait(30)
        init(self, script, source_map, file=more["file"])

    monkeypatch.setattr(SymbolicLookup, "__init__", wait_and_build)
    yield go
    go.set()


def until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_many_threads_get_what_one_builds(held: threading.Event) -> None:
    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    got: list[SymbolicLookup] = []
    threads = [threading.Thread(target=lambda: got.append(cache.get(*files, Reader()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: cache.statistics.misses == 8)
    held.set()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(map(id, got))) == 1
    assert cache.statistics.builds == 1


def test_who_waits_too_long_is_told_and_the_work_goes_on(held: threading.Event) -> None:
    cache, files = LookupCache(1 << 20, build_seconds=0.01), found(srcpack.open(bundle(crane())))
    with pytest.raises(LookupUnavailable, match=r"it takes more than 0\.01 seconds to build the lookup"):
        cache.get(*files, Reader())
    held.set()
    until(lambda: cache.statistics.items == 1)
    assert cache.get(*files, Reader()).token(1, 14) is not None
    assert cache.statistics.builds == 1


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals")
def test_an_exception_by_a_signal_leaves_nobody_waiting(held: threading.Event) -> None:
    class TimeoutRaised(Exception):
        pass

    def raise_timeout(*_: object) -> None:
        raise TimeoutRaised

    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    before = signal.signal(signal.SIGALRM, raise_timeout)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutRaised):
            cache.get(*files, Reader())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    held.set()
    assert cache.get(*files, Reader()).token(1, 14) is not None
    assert cache.statistics.builds == 1


@pytest.mark.parametrize("where", ["srcpack.resolve.lookup_cache.start_new_thread", "threading.Thread.start"])
def test_a_thread_that_cannot_be_started_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    before = threading.stack_size()
    with monkeypatch.context() as patched:
        patched.setattr(where, no_thread)
        with pytest.raises(LookupUnavailable, match=r"'crane\.js\.map': .*can't start new thread"):
            cache.get(*files, Reader())
    assert threading.stack_size() == before
    assert cache.get(*files, Reader()).token(1, 14) is not None


def test_a_task_whose_thread_never_came_to_be_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an exception between noting the task and starting its thread."""
    monkeypatch.setattr(lookup_cache, "_LOOK_AGAIN", 0.001)
    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    contents = tuple(sha256(each.entry.read()).digest() for each in files)
    cache._tasks[contents] = lookup_cache._Task()  # type: ignore[index]
    assert cache.get(*files, Reader()).token(1, 14) is not None


def test_a_lookup_that_cannot_be_kept_is_given_to_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    monkeypatch.setattr(LookupCache, "_keep", no_memory)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    assert cache.get(*files, Reader()).token(1, 14) is not None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_child_builds_what_the_parent_was_building(held: threading.Event) -> None:
    cache, files = LookupCache(1 << 20), found(srcpack.open(bundle(crane())))
    waiting = threading.Thread(target=lambda: cache.get(*files, Reader()))
    waiting.start()
    until(lambda: cache.statistics.builds == 1)
    child = os.fork()
    if not child:
        held.set()
        os._exit(0 if cache.get(*files, Reader()).token(1, 14) is not None else 1)
    _, status = os.waitpid(child, 0)
    held.set()
    waiting.join()
    assert status == 0
